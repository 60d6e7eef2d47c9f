// What a bulk copy brings is there after the wait, and every planted misuse of it or of its barrier must be reported.
#include <algorithm>
#include <numeric>

#include "cuda_library.hpp"

namespace {

std::string run(const std::string& image, std::vector<float>& back, int ordinal) {
  OpenCard card(ordinal);
  const CUdeviceptr in = card.floats(64), out = card.floats(128);
  std::vector<float> values(64);
  std::iota(values.begin(), values.end(), 1.0f);
  cuMemcpyHtoD_v2(in, values.data(), 256);
  expect(launch(card.function(image, "bulk_copy"), nullptr, in, out), 0, "bulk_copy");
  back.assign(128, 0.0f);
  return cuMemcpyDtoH_v2(back.data(), out, 512) == CUDA_SUCCESS ? "" : last_report();
}

// Any of what is expected: which of two right reports comes first can depend on the schedule.
void planted(const char* define, std::initializer_list<std::string> expected, int ordinal) {
  std::vector<float> back;
  const std::string report = run(compiled(TESTS "/bulk_copy.cu", {"-arch=sm_90", define}), back, ordinal);
  const bool found = std::any_of(expected.begin(), expected.end(), [&](const std::string& words) { return report.find(words) != std::string::npos; });
  check(found, std::string(define) + " on card " + std::to_string(ordinal) + ": expected '" + *expected.begin() + "', got '" + report + "'");
}

}  // namespace

int main() {
  setenv("GEMMACORE_CUDASIM_DEVICE", "h200:round_robin:1,h200:random:5,h200:priority:3,h200:adversarial:3", 1);
  cuInit(0);
  const char* checks = std::getenv("GEMMACORE_CUDASIM_CHECKS");
  const bool checked = checks == nullptr || std::string(checks) != "off";
  const std::string image = compiled(TESTS "/bulk_copy.cu", {"-arch=sm_90"});
  for (int ordinal = 0; ordinal < 4; ++ordinal) {
    std::vector<float> back;
    const std::string report = run(image, back, ordinal);
    check(report.empty(), report);
    for (std::size_t i = 0; i < back.size(); ++i) check(back[i] == static_cast<float>(64 - i % 64), "element " + std::to_string(i));
    if (!checked) continue;
    planted("-DPLANTED=1", {"before anything of its block was stored there", "was stored by thread 0 with no barrier between"}, ordinal);
    planted("-DPLANTED=2", {"of more bytes than its mbarrier expects"}, ordinal);
    planted("-DPLANTED=3", {"every thread waits"}, ordinal);
    planted("-DPLANTED=4", {"nobody has waited"}, ordinal);
    planted("-DPLANTED=5", {"the block has not started"}, ordinal);
    planted("-DPLANTED=6", {"not a multiple of 16"}, ordinal);
    planted("-DPLANTED=7", {"has not made visible"}, ordinal);
  }
  std::printf("%s\n", failures == 0 ? "bulk copies: all right" : "bulk copies: failures above");
  return failures == 0 ? 0 : 1;
}
