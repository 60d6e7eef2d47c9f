// Every planted defect must be reported under every schedule, with its name; the same kernel without it must run clean.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "card.hpp"
#include "multiprocessor.hpp"
#include "host_compiler.hpp"

using namespace cudasim;

namespace {

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int failures = 0;
void check(bool right, const std::string& what) {
  if (!right) std::printf("FAILED: %s\n", what.c_str()), ++failures;
}

OperationKey enqueue(Card& card, Multiprocessor& sm, int stream, Function& function, unsigned blocks, std::uintptr_t in, std::uintptr_t out) {
  return card.streams.enqueue(stream, function.entry->name, [&sm, &function, blocks, in, out](const Operation&) {
    std::uintptr_t from = in, to = out;
    const Launch launch{&function, {blocks, 1, 1}, {64, 1, 1}, 0, {&from, &to}};
    sm.run(launch);
  });
}

void fill(std::uintptr_t at, int count) {
  for (int i = 0; i < count; ++i) reinterpret_cast<float*>(at)[i] = static_cast<float>(i);
}

std::string report_of(Module& module, const std::string& kernel, unsigned blocks, const char* schedule) {
  Card card({"a100", schedule, 3, Arithmetic::ideal});
  Multiprocessor sm(card);
  Allocation& in = *card.memory.allocate(64 * 4);
  Allocation& out = *card.memory.allocate(128 * 4);
  fill(in.begin, 64);
  enqueue(card, sm, 0, *module.function(kernel), blocks, in.begin, out.begin);
  card.streams.drain_all();
  return card.last_report();
}

// Stream 1 writes what stream 2 reads; `ordered` puts an event between.
std::string report_of_streams(Module& module, bool ordered, std::uint64_t seed) {
  Card card({"a100", "round_robin", seed, Arithmetic::ideal});
  Multiprocessor sm(card);
  Allocation& in = *card.memory.allocate(64 * 4);
  Allocation& middle = *card.memory.allocate(64 * 4);
  Allocation& out = *card.memory.allocate(64 * 4);
  fill(in.begin, 64);
  const int first = card.streams.create(true), second = card.streams.create(true);
  Function& copy = *module.function("past_the_end");
  enqueue(card, sm, first, copy, 1, in.begin, middle.begin);
  const auto event = std::make_shared<Event>();
  if (ordered) card.streams.record(first, event), card.streams.wait_event(second, *event);
  enqueue(card, sm, second, copy, 1, middle.begin, out.begin);
  card.streams.drain_all();
  return card.last_report();
}

}  // namespace

int main() {
  const SourceFile source{"planted.cu", text_of(PLANTED "/planted.cu")};
  const std::vector<SourceFile> headers = {{"ptx.cuh", text_of(KERNELS "/ptx.cuh")}};
  const Compiled right = compile_kernel_text({source, headers, {"-arch=sm_80"}});
  const Compiled wrong = compile_kernel_text({source, headers, {"-arch=sm_80", "-DPLANTED"}});
  check(right.succeeded && wrong.succeeded, "planted.cu does not compile:\n" + right.log + wrong.log);
  if (failures != 0) return 1;
  Module clean(right.elf.data()), defective(wrong.elf.data());

  // A racing read that comes before its write meets unwritten memory, or a copy still under way.
  const std::string early = "read of unwritten shared memory", unfinished = "use before the asynchronous copy completed";
  const struct { const char* kernel; std::vector<std::string> defects; unsigned blocks; } cases[] = {
      {"missing_barrier", {"race", early}, 1},
      {"overwritten_tile", {"race"}, 1},
      {"shuffle_as_barrier", {"race", early}, 1},
      {"blocks_share_output", {"race"}, 2},
      {"past_the_end", {"out of bounds"}, 1},
      {"past_shared_array", {"out of bounds"}, 1},
      {"misaligned_vector", {"misaligned access"}, 1},
      {"divergent_shuffle", {"divergent warp collective"}, 1},
      {"left_early", {"divergent warp collective"}, 1},
      {"barrier_of_some", {"deadlock"}, 1},
      {"unfinished_copy", {unfinished}, 1},
      {"copy_without_barrier", {"race", early, unfinished}, 1},
  };
  for (const auto& [kernel, defects, blocks] : cases)
    for (const char* schedule : {"round_robin", "random", "priority", "adversarial"}) {
      const std::string name = std::string(kernel) + ", " + schedule;
      check(report_of(clean, kernel, blocks, schedule).empty(), name + ": reported though it is right");
      const std::string report = report_of(defective, kernel, blocks, schedule);
      bool named = false;
      for (const std::string& defect : defects) named = named || report.rfind(defect + ":", 0) == 0;
      check(named, name + ": expected '" + defects.front() + "', got '" + report + "'");
    }
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    check(report_of_streams(clean, true, seed).empty(), "two streams with an event are reported");
    check(report_of_streams(clean, false, seed).rfind("unordered streams", 0) == 0, "two streams without an event are not reported");
  }
  std::printf("%s\n", failures == 0 ? "planted: every defect caught, every right kernel clean" : "planted: failures above");
  return failures == 0 ? 0 : 1;
}
