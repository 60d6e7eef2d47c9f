// rms_norm_forward in float against an fp64 loop, on every schedule and four profiles; and the same launch one column too
// wide must be reported as out of bounds.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "card.hpp"
#include "multiprocessor.hpp"
#include "host_compiler.hpp"

using namespace cudasim;

namespace {

std::string text_of(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(std::string(KERNELS) + "/" + name).rdbuf();
  return text.str();
}

int failures = 0;
void check(bool right, const std::string& what) {
  if (!right) std::printf("FAILED: %s\n", what.c_str()), ++failures;
}

void launch(Card& card, Function& function, unsigned rows, std::vector<void*> arguments) {
  Multiprocessor sm(card);
  card.streams.enqueue(0, "rms_norm_forward", [&](const Operation&) {
    const Launch launch{&function, {rows, 1, 1}, {128, 1, 1}, 0, arguments};
    sm.run(launch);
  });
  card.streams.drain_all();
}

void run_case(Module& module, const Settings& settings, int width, int extra_columns) {
  Card card(settings);
  constexpr int rows = 3;
  Allocation& x = *card.memory.allocate(sizeof(float) * rows * width);
  Allocation& w = *card.memory.allocate(sizeof(float) * width);
  Allocation& y = *card.memory.allocate(sizeof(float) * rows * width);
  auto* xs = reinterpret_cast<float*>(x.begin);
  auto* ws = reinterpret_cast<float*>(w.begin);
  auto* ys = reinterpret_cast<float*>(y.begin);
  for (int i = 0; i < rows * width; ++i) xs[i] = std::sin(0.37f * static_cast<float>(i));
  for (int i = 0; i < width; ++i) ws[i] = 0.01f * static_cast<float>(i % 7);
  float eps = 1e-6f, offset = 1.0f;
  int row_count = rows, columns = width + extra_columns;
  launch(card, *module.function("rms_norm_forward"), rows, {&xs, &ws, &ys, &row_count, &columns, &eps, &offset});
  const std::string name = settings.device + ", " + settings.schedule + ", width " + std::to_string(width);
  if (extra_columns > 0) {
    check(card.last_report().rfind("out of bounds", 0) == 0, name + ": not reported out of bounds but '" + card.last_report() + "'");
    return;
  }
  check(card.lost == 0, name + ": " + card.last_report());
  for (int row = 0; row < rows && card.lost == 0; ++row) {
    double squares = 0;
    for (int i = 0; i < width; ++i) squares += static_cast<double>(xs[row * width + i]) * xs[row * width + i];
    for (int i = 0; i < width; ++i) {
      const double expected = xs[row * width + i] / std::sqrt(squares / width + 1e-6) * (1.0 + ws[i]);
      if (std::fabs(ys[row * width + i] - expected) <= 2e-6) continue;
      check(false, name + ", row " + std::to_string(row) + ", column " + std::to_string(i) + ": " + std::to_string(ys[row * width + i]));
      return;
    }
  }
}

}  // namespace

int main() {
  const Compiled compiled = compile_kernel_text({{"rms_norm.cu", text_of("rms_norm.cu")}, {{"ptx.cuh", text_of("ptx.cuh")}},
                                                 {"-arch=sm_75", "-std=c++17", "-DROW_THREADS=128"}});
  check(compiled.succeeded, "rms_norm.cu does not compile:\n" + compiled.log);
  if (failures != 0) return 1;
  Module module(compiled.elf.data());
  for (const char* device : {"gtx1650", "t4", "a100", "h200"})
    for (const char* schedule : {"round_robin", "random", "priority", "adversarial"})
      for (const int width : {1, 127, 129, 1152}) run_case(module, {device, schedule, 7, Arithmetic::hardware}, width, 0);
  run_case(module, {"t4", "random", 7, Arithmetic::hardware}, 127, 5);
  std::printf("%s\n", failures == 0 ? "rms_norm: all right" : "rms_norm: failures above");
  return failures == 0 ? 0 : 1;
}
