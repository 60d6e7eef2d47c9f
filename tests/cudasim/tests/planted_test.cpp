// Every planted defect must be reported under every schedule, with its name; the same kernel without it must run clean.
#include <numeric>

#include "cuda_library.hpp"

namespace {

const char* const schedules[] = {"round_robin", "random", "priority", "adversarial"};

// Ordinal of the card that has the schedule.
std::string report_of(const std::string& image, const char* kernel, unsigned blocks, int ordinal) {
  OpenCard card(ordinal);
  const CUdeviceptr in = card.floats(64), out = card.floats(128);
  std::vector<float> values(64);
  std::iota(values.begin(), values.end(), 0.0f);
  cuMemcpyHtoD_v2(in, values.data(), 256);
  expect(launch(card.function(image, kernel), nullptr, in, out, blocks), 0, kernel);
  return cuCtxSynchronize() == CUDA_SUCCESS ? "" : last_report();
}

// Stream 1 writes what stream 2 reads; `ordered` puts an event between.
std::string report_of_streams(const std::string& image, bool ordered, int ordinal) {
  OpenCard card(ordinal);
  const CUfunction copy = card.function(image, "past_the_end");
  const CUdeviceptr in = card.floats(64), middle = card.floats(64), out = card.floats(64);
  const CUstream first = card.stream(), second = card.stream();
  CUevent event;
  cuEventCreate(&event, 0);
  cuMemsetD32Async(in, 0, 64, first);
  launch(copy, first, in, middle);
  if (ordered) cuEventRecord(event, first), cuStreamWaitEvent(second, event, 0);
  launch(copy, second, middle, out);
  return cuCtxSynchronize() == CUDA_SUCCESS ? "" : last_report();
}

// 128 threads of two blocks count to 128; 64 threads find the largest of 0..63.
void counts(const std::string& image, int ordinal) {
  OpenCard card(ordinal);
  const CUdeviceptr in = card.floats(64), out = card.floats(64);
  std::vector<float> values(64), back(64);
  std::iota(values.begin(), values.end(), 0.0f);
  unsigned count = 0;
  cuMemcpyHtoD_v2(in, values.data(), 256);
  cuMemsetD32Async(out, 0, 64, nullptr);
  launch(card.function(image, "counting_blocks"), nullptr, in, out, 2);
  expect(cuMemcpyDtoH_v2(&count, out, 4), 0, "counting_blocks");
  launch(card.function(image, "count_read_early"), nullptr, in, out);
  expect(cuMemcpyDtoH_v2(back.data(), out, 256), 0, "count_read_early");
  check(count == 128, "128 atomic additions give " + std::to_string(count));
  check(back == std::vector<float>(64, 63.0f), "the largest of 0..63");
}

}  // namespace

int main() {
  std::string cards;
  for (const char* schedule : schedules) cards += std::string("a100:") + schedule + ":3,";
  for (int seed = 1; seed <= 8; ++seed) cards += "a100:round_robin:" + std::to_string(seed) + ",";
  setenv("GEMMACORE_CUDASIM_DEVICE", cards.c_str(), 1);
  cuInit(0);
  const std::string clean = compiled(PLANTED "/planted.cu", {"-arch=sm_80"});
  const std::string defective = compiled(PLANTED "/planted.cu", {"-arch=sm_80", "-DPLANTED"});

  // A racing read that comes before its write meets unwritten memory, or a copy still under way.
  const std::string early = "read of unwritten shared memory", unfinished = "use before the asynchronous copy completed";
  const struct { const char* kernel; std::vector<std::string> defects; unsigned blocks; } cases[] = {
      {"missing_barrier", {"race", early}, 1},
      {"overwritten_tile", {"race"}, 1},
      {"shuffle_as_barrier", {"race", early}, 1},
      {"blocks_share_output", {"race"}, 2},
      {"past_the_end", {"out of bounds"}, 1},
      {"past_shared_array", {"out of bounds"}, 1},
      {"never_stored", {early}, 1},
      {"misaligned_vector", {"misaligned access"}, 1},
      {"divergent_shuffle", {"divergent warp collective"}, 1},
      {"left_early", {"divergent warp collective"}, 1},
      {"barrier_of_some", {"deadlock"}, 1},
      {"unfinished_copy", {unfinished}, 1},
      {"counting_blocks", {"race"}, 2},
      {"count_read_early", {"race"}, 1},
      {"copy_without_barrier", {"race", early, unfinished}, 1},
  };
  for (const auto& [kernel, defects, blocks] : cases)
    for (int ordinal = 0; ordinal < 4; ++ordinal) {
      const std::string name = std::string(kernel) + ", " + schedules[ordinal];
      const std::string right = report_of(clean, kernel, blocks, ordinal);
      check(right.empty(), name + ": reported though it is right: " + right);
      const std::string report = report_of(defective, kernel, blocks, ordinal);
      bool named = false;
      for (const std::string& defect : defects) named = named || report.rfind(defect + ":", 0) == 0;
      check(named, name + ": expected '" + defects.front() + "', got '" + report + "'");
    }
  for (int ordinal = 0; ordinal < 4; ++ordinal) counts(clean, ordinal);
  for (int ordinal = 4; ordinal < 12; ++ordinal) {
    check(report_of_streams(clean, true, ordinal).empty(), "two streams with an event are reported");
    check(report_of_streams(clean, false, ordinal).rfind("unordered streams", 0) == 0, "two streams without an event are not reported");
  }
  std::printf("%s\n", failures == 0 ? "planted: every defect caught, every right kernel clean" : "planted: failures above");
  return failures == 0 ? 0 : 1;
}
