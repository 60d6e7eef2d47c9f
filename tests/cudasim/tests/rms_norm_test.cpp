// rms_norm_forward in float against an fp64 loop, on every schedule and four profiles; and the same launch one column too
// wide must be reported as out of bounds (where accesses are checked).
#include <cmath>

#include "cuda_library.hpp"

namespace {

constexpr unsigned rows = 3;

void run_case(const std::string& image, int ordinal, int width, int extra_columns, const std::string& name) {
  OpenCard card(ordinal);
  const auto columns = static_cast<std::size_t>(width);
  std::vector<float> xs(rows * columns), ws(columns), ys(rows * columns);
  for (std::size_t i = 0; i < xs.size(); ++i) xs[i] = std::sin(0.37f * static_cast<float>(i));
  for (std::size_t i = 0; i < columns; ++i) ws[i] = 0.01f * static_cast<float>(i % 7);
  CUdeviceptr x = card.floats(xs.size()), w = card.floats(columns), y = card.floats(ys.size());
  cuMemcpyHtoD_v2(x, xs.data(), 4 * xs.size());
  cuMemcpyHtoD_v2(w, ws.data(), 4 * columns);
  float eps = 1e-6f, offset = 1.0f;
  int row_count = rows, launched = width + extra_columns;
  void* arguments[] = {&x, &w, &y, &row_count, &launched, &eps, &offset};
  expect(cuLaunchKernel(card.function(image, "rms_norm_forward"), rows, 1, 1, 128, 1, 1, 0, nullptr, arguments, nullptr), 0, name);
  if (extra_columns > 0) {
    expect(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS, name + ", one launch too wide");
    check(last_report().rfind("out of bounds", 0) == 0, name + ": not reported out of bounds but '" + last_report() + "'");
    return;
  }
  expect(cuMemcpyDtoH_v2(ys.data(), y, 4 * ys.size()), 0, name);
  for (std::size_t row = 0; row < rows; ++row) {
    double squares = 0;
    for (std::size_t i = 0; i < columns; ++i) squares += static_cast<double>(xs[row * columns + i]) * xs[row * columns + i];
    for (std::size_t i = 0; i < columns; ++i) {
      const double expected = xs[row * columns + i] / std::sqrt(squares / width + 1e-6) * (1.0 + ws[i]);
      if (std::fabs(ys[row * columns + i] - expected) <= 2e-6) continue;
      check(false, name + ", row " + std::to_string(row) + ", column " + std::to_string(i) + ": " + std::to_string(ys[row * columns + i]));
      return;
    }
  }
}

}  // namespace

int main() {
  std::vector<std::string> names;
  std::string cards;
  for (const char* device : {"gtx1650", "t4", "a100", "h200"})
    for (const char* schedule : {"round_robin", "random", "priority", "adversarial"}) {
      names.push_back(std::string(device) + ":" + schedule + ":7");
      cards += names.back() + ",";
    }
  setenv("GEMMACORE_CUDASIM_DEVICE", cards.c_str(), 1);
  cuInit(0);
  const std::string image = compiled(KERNELS "/rms_norm.cu", {"-arch=compute_75", "-DROW_THREADS=128"});
  for (std::size_t ordinal = 0; ordinal < names.size(); ++ordinal)
    for (const int width : {1, 127, 129, 1152})
      run_case(image, static_cast<int>(ordinal), width, 0, names[ordinal] + ", width " + std::to_string(width));
  const char* checks = std::getenv("GEMMACORE_CUDASIM_CHECKS");
  if (checks == nullptr || std::string(checks) != "off") run_case(image, 1, 127, 5, names[1]);
  std::printf("%s\n", failures == 0 ? "rms_norm: all right" : "rms_norm: failures above");
  return failures == 0 ? 0 : 1;
}
