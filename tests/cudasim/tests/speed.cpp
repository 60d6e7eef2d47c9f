// How fast the simulator executes (not a test): operations a second of processor time, of a few kernels on one card.
//   GEMMACORE_CUDASIM_DEVICE=a100 GEMMACORE_CUDASIM_CHECKS=off build/tests/cudasim/speed [size [kernel]]
#include <ctime>

#include "cuda_library.hpp"

namespace {

// Processor time: the machine may have other work.
double now() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_of(CUfunction function, const std::vector<CUdeviceptr>& memory, int n, int k, unsigned grid_x, unsigned grid_y, unsigned threads) {
  std::vector<void*> arguments;
  std::vector<CUdeviceptr> pointers = memory;
  for (CUdeviceptr& pointer : pointers) arguments.push_back(&pointer);
  arguments.push_back(&n);
  arguments.push_back(&k);
  const double start = now();
  cuLaunchKernel(function, grid_x, grid_y, 1, threads, 1, 1, 0, nullptr, arguments.data(), nullptr);
  expect(cuCtxSynchronize(), 0, "a timed kernel");
  return now() - start;
}

CUdeviceptr filled(OpenCard& card, std::size_t floats, unsigned word) {
  const CUdeviceptr memory = card.floats(floats);
  cuMemsetD32Async(memory, word, floats, nullptr);
  return memory;
}

}  // namespace

int main(int count, char** arguments) {
  const int size = count > 1 ? std::atoi(arguments[1]) : 256;
  if (size <= 0 || size % 64 != 0) return std::fprintf(stderr, "speed: the size is a multiple of 64\n"), 2;
  cuInit(0);
  OpenCard card(0);
  int major = 0, minor = 0;
  cuDeviceGetAttribute(&major, 75, 0);
  cuDeviceGetAttribute(&minor, 76, 0);
  const std::string arch = "-arch=sm_" + std::to_string(major * 10 + minor);
  const std::string image = compiled(TESTS "/speed.cu", {arch.c_str()});
  const auto n = static_cast<std::size_t>(size);
  const auto tiles = static_cast<unsigned>(size / 64);
  // 0x3e803e80 is 0.25 in both halves of a word as bfloat16 and near it as float.
  const CUdeviceptr a = filled(card, n * n, 0x3e803e80), b = filled(card, n * n, 0x3e803e80), c = filled(card, n * n, 0);
  cuCtxSynchronize();
  const double products = 2.0 * size * size * size;
  const auto time = [&](const char* name, double operations, const char* unit, const std::vector<CUdeviceptr>& memory, int first, int second,
                        unsigned grid_x, unsigned grid_y, unsigned threads) {
    if (count > 2 && std::string(arguments[2]) != name) return;
    const double seconds = seconds_of(card.function(image, name), memory, first, second, grid_x, grid_y, threads);
    std::printf("%-10s %8.1f %s\n", name, 1e-6 * operations / seconds, unit);
  };
  time("gemm_simt", products, "Mflop/s", {a, b, c}, size, size, tiles, tiles, 256);
  time("gemm_mma", products, "Mflop/s", {a, b, c}, size, size, tiles, tiles, 128);
  time("add_one", size * size, "Melement/s", {a, c}, size * size, 0, tiles * 4, 1, 256);
  time("row_sums", size * size, "Melement/s", {a, c}, size, size, tiles * 8, 1, 256);
  return failures == 0 ? 0 : 1;
}
