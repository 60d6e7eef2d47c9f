// Products of warpgroups against their definition, and every planted misuse must be reported.
#include <cstring>

#include "cuda_library.hpp"

namespace {

constexpr int rows = 64, depth = 64;

std::uint16_t bfloat16_of(int value) {
  const float wide = static_cast<float>(value);
  std::uint32_t bits;
  std::memcpy(&bits, &wide, 4);
  return static_cast<std::uint16_t>(bits >> 16);
}

// Small whole numbers, whose sums are exact in any order.
int element(int i, int seed) { return static_cast<int>((static_cast<unsigned>(i) * 2654435761u + static_cast<unsigned>(seed) * 40503u) >> 13) % 17 - 8; }

std::string run(const std::vector<const char*>& options, int columns, std::vector<float>& c) {
  const std::string image = compiled(TESTS "/warpgroup.cu", options);
  OpenCard card(0);
  CUdeviceptr a = 0, b = 0, out = 0;
  const std::size_t a_count = rows * depth, b_count = static_cast<std::size_t>(columns * depth), c_count = static_cast<std::size_t>(rows * columns);
  std::vector<std::uint16_t> left(a_count), right(b_count);
  for (std::size_t i = 0; i < a_count; ++i) left[i] = bfloat16_of(element(static_cast<int>(i), 1));
  for (std::size_t i = 0; i < b_count; ++i) right[i] = bfloat16_of(element(static_cast<int>(i), 2));
  cuMemAlloc_v2(&a, a_count * 2), cuMemAlloc_v2(&b, b_count * 2), cuMemAlloc_v2(&out, c_count * 4);
  cuMemcpyHtoD_v2(a, left.data(), a_count * 2), cuMemcpyHtoD_v2(b, right.data(), b_count * 2);
  const CUfunction function = card.function(image, "warpgroup_product");
  const int shared = (rows + columns) * depth * 2;
  cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared);
  void* arguments[] = {&a, &b, &out};
  cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, static_cast<unsigned>(shared), nullptr, arguments, nullptr);
  c.assign(c_count, 0.0f);
  return cuMemcpyDtoH_v2(c.data(), out, c_count * 4) == CUDA_SUCCESS ? "" : last_report();
}

void product(std::vector<const char*> options, int columns, const std::string& name) {
  std::vector<float> c;
  const std::string report = run(options, columns, c);
  check(report.empty(), name + ": " + report);
  int wrong = 0;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j) {
      int sum = 0;
      for (int k = 0; k < depth; ++k) sum += element(i * depth + k, 1) * element(k * columns + j, 2);
      wrong += c[static_cast<std::size_t>(i * columns + j)] != static_cast<float>(sum);
    }
  check(wrong == 0, name + ": " + std::to_string(wrong) + " wrong elements");
}

void planted(const char* define, const std::string& expected) {
  std::vector<float> c;
  const std::string report = run({"-arch=sm_90a", define}, 64, c);
  check(report.find(expected) != std::string::npos, std::string(define) + ": expected '" + expected + "', got '" + report + "'");
}

}  // namespace

int main() {
  setenv("GEMMACORE_CUDASIM_DEVICE", "h200:random:5", 1);
  cuInit(0);
  for (const int columns : {64, 192, 256}) {
    const std::string define = "-DCOLUMNS=" + std::to_string(columns);
    for (const char* a : {"-DA_ACROSS=false", "-DA_ACROSS=true"})
      for (const char* b : {"-DB_ACROSS=false", "-DB_ACROSS=true"}) product({"-arch=sm_90a", define.c_str(), a, b}, columns, define + " " + a + " " + b);
    if (columns < 256) continue;  // the one width that takes fragments
    for (const char* b : {"-DB_ACROSS=false", "-DB_ACROSS=true"})
      product({"-arch=sm_90a", define.c_str(), "-DFRAGMENT=true", b}, columns, define + " from registers " + b);
  }
  const char* checks = std::getenv("GEMMACORE_CUDASIM_CHECKS");
  if (checks == nullptr || std::string(checks) != "off") {
    planted("-DPLANTED=1", "has not made visible");
    planted("-DPLANTED=2", "no wgmma.fence");
    planted("-DPLANTED=3", "changed before the product was waited for");
    planted("-DPLANTED=4", "while a product is unfinished");
    planted("-DPLANTED=5", "did not ask for the same products");
    planted("-DPLANTED=6", "while a product is unfinished");
  }
  std::printf("%s\n", failures == 0 ? "warpgroup products: all right" : "warpgroup products: failures above");
  return failures == 0 ? 0 : 1;
}
