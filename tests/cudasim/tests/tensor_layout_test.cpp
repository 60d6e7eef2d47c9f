// Where each lane's registers lie in the matrices of mma and ldmatrix, against the tables of the PTX ISA ("Matrix fragments for
// mma.m16n8k8 / mma.m16n8k16", "ldmatrix"), written down here as formulas: one element is set, and must be found where they say.
#include <cstring>

#include "cuda_library.hpp"

namespace {

struct Place { int row, column; };
// Element i of the lane's fragment, as the ISA numbers them: two a register, the lower in the low half.
Place a_place(int depth, int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  if (depth == 8) return {i < 2 ? group : group + 8, in_group * 2 + (i & 1)};
  return {i < 2 || (i >= 4 && i < 6) ? group : group + 8, in_group * 2 + (i & 1) + (i < 4 ? 0 : 8)};
}
Place b_place(int, int lane, int i) { return {lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8), lane >> 2}; }
Place c_place(int lane, int i) { return {i < 2 ? lane >> 2 : (lane >> 2) + 8, lane % 4 * 2 + (i & 1)}; }

// Whole numbers to 256 are exact in both formats.
std::uint16_t bits_of(bool half, int value) {
  const auto number = static_cast<float>(value);
  std::uint32_t word;
  std::memcpy(&word, &number, 4);
  if (!half) return static_cast<std::uint16_t>(word >> 16);
  return value == 0 ? 0 : static_cast<std::uint16_t>(((word >> 23) - 112) << 10 | (word >> 13 & 1023));
}

struct Case { int a[16][16], b[16][8], c[16][8]; };

// The lanes' registers of the matrices, one after the other.
std::vector<std::uint16_t> fragments(const Case& from, bool half, int depth, bool of_a) {
  const int elements = of_a ? depth / 2 : depth / 4;
  std::vector<std::uint16_t> out;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < elements; ++i) {
      const Place at = of_a ? a_place(depth, lane, i) : b_place(depth, lane, i);
      out.push_back(bits_of(half, of_a ? from.a[at.row][at.column] : from.b[at.row][at.column]));
    }
  return out;
}

template <typename T> CUdeviceptr upload(OpenCard& card, const std::vector<T>& values) {
  const CUdeviceptr memory = card.floats((values.size() * sizeof(T) + 3) / 4);
  cuMemcpyHtoD_v2(memory, values.data(), values.size() * sizeof(T));
  return memory;
}

void products(OpenCard& card, const std::string& image, bool half, int depth, const std::vector<Case>& cases, const std::string& name) {
  std::vector<std::uint16_t> a, b;
  std::vector<float> c, found(cases.size() * 128);
  for (const Case& one : cases) {
    const auto more_a = fragments(one, half, depth, true), more_b = fragments(one, half, depth, false);
    a.insert(a.end(), more_a.begin(), more_a.end());
    b.insert(b.end(), more_b.begin(), more_b.end());
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i) c.push_back(static_cast<float>(one.c[c_place(lane, i).row][c_place(lane, i).column]));
  }
  CUdeviceptr da = upload(card, a), db = upload(card, b), dc = upload(card, c), dd = card.floats(found.size());
  void* arguments[] = {&da, &db, &dc, &dd};
  expect(cuLaunchKernel(card.function(image, depth == 8 ? "mma_k8_registers" : "mma_k16_registers"), static_cast<unsigned>(cases.size()), 1, 1, 32, 1, 1, 0, nullptr,
                        arguments, nullptr), 0, name);
  expect(cuMemcpyDtoH_v2(found.data(), dd, found.size() * 4), 0, name);
  for (std::size_t n = 0; n < cases.size(); ++n)
    for (int lane = 0; lane < 32; ++lane)
      for (int i = 0; i < 4; ++i) {
        const Place at = c_place(lane, i);
        int expected = cases[n].c[at.row][at.column];
        for (int k = 0; k < depth; ++k) expected += cases[n].a[at.row][k] * cases[n].b[k][at.column];
        const float value = found[n * 128 + static_cast<std::size_t>(lane * 4 + i)];
        if (value != static_cast<float>(expected))
          return check(false, name + ", case " + std::to_string(n) + ", row " + std::to_string(at.row) + ", column " + std::to_string(at.column) + ": " +
                                  std::to_string(value) + ", expected " + std::to_string(expected));
      }
}

// Every element of a alone against a full b, every element of b alone against a full a, every element of c alone.
std::vector<Case> single_elements(int depth) {
  std::vector<Case> cases;
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < depth; ++k) {
      Case one{};
      one.a[row][k] = 1;
      for (int i = 0; i < depth; ++i)
        for (int j = 0; j < 8; ++j) one.b[i][j] = 1 + 8 * i + j;
      cases.push_back(one);
    }
  for (int k = 0; k < depth; ++k)
    for (int column = 0; column < 8; ++column) {
      Case one{};
      one.b[k][column] = 1;
      for (int i = 0; i < 16; ++i)
        for (int j = 0; j < depth; ++j) one.a[i][j] = 1 + (i * depth + j) % 251;
      cases.push_back(one);
    }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      Case one{};
      one.c[row][column] = 1 + row * 8 + column;
      cases.push_back(one);
    }
  return cases;
}

void load_matrix(OpenCard& card, const std::string& image, int count, bool transposed, const std::string& name) {
  std::vector<std::uint16_t> matrices(256);
  for (std::size_t i = 0; i < 256; ++i) matrices[i] = static_cast<std::uint16_t>(1000 + i);
  // Rows in no natural order; the lanes that x1 and x2 do not use repeat valid ones.
  std::vector<int> order(32);
  for (int lane = 0; lane < 32; ++lane) order[static_cast<std::size_t>(lane)] = lane < 8 * count ? (lane * 11 + 3) % 32 : (lane * 7) % 32;
  std::vector<std::uint32_t> found(static_cast<std::size_t>(32 * count));
  CUdeviceptr in = upload(card, matrices), rows = upload(card, order), out = card.floats(found.size());
  void* arguments[] = {&in, &rows, &out};
  const std::string kernel = "load_matrix_x" + std::to_string(count) + (transposed ? "_trans" : "");
  expect(cuLaunchKernel(card.function(image, kernel.c_str()), 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr), 0, name);
  expect(cuMemcpyDtoH_v2(found.data(), out, found.size() * 4), 0, name);
  const auto element = [&](int matrix, int row, int column) {
    return std::uint32_t{matrices[static_cast<std::size_t>(order[static_cast<std::size_t>(8 * matrix + row)] * 8 + column)]};
  };
  for (int lane = 0; lane < 32; ++lane)
    for (int matrix = 0; matrix < count; ++matrix) {
      const int i = lane / 4, j = 2 * (lane % 4);
      const std::uint32_t expected = transposed ? element(matrix, j, i) | element(matrix, j + 1, i) << 16 : element(matrix, i, j) | element(matrix, i, j + 1) << 16;
      check(found[static_cast<std::size_t>(lane * count + matrix)] == expected, name + " " + kernel + ", lane " + std::to_string(lane));
    }
}

void addresses_of_high_lanes(OpenCard& card, const std::string& image, bool turing) {
  CUdeviceptr in = card.floats(32), order = 0, out = card.floats(32);
  cuMemsetD32Async(in, 0, 32, nullptr);
  void* arguments[] = {&in, &order, &out};
  cuLaunchKernel(card.function(image, "load_matrix_low_lanes"), 1, 1, 1, 32, 1, 1, 0, nullptr, arguments, nullptr);
  expect(cuCtxSynchronize(), turing ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS, "addresses in the low lanes only");
}

}  // namespace

int main() {
  const struct { const char *device, *target; } cards[] = {{"t4", "-arch=sm_75"}, {"a100", "-arch=sm_80"}, {"h200", "-arch=sm_90"}};
  setenv("GEMMACORE_CUDASIM_DEVICE", "t4,a100:random:2,h200", 1);
  cuInit(0);
  for (int ordinal = 0; ordinal < 3; ++ordinal)
    for (const bool half : {true, false}) {
      if (ordinal == 0 && !half) continue;  // no bfloat16 on sm_75
      const std::string name = std::string(cards[ordinal].device) + (half ? " half" : " bfloat16");
      const std::string image = compiled(TESTS "/fragments.cu", {cards[ordinal].target, half ? "-DINPUT=half" : "-DINPUT=bfloat16"});
      OpenCard card(ordinal);
      products(card, image, half, 8, single_elements(8), name + " k8");
      products(card, image, half, 16, single_elements(16), name + " k16");
      for (const int count : {1, 2, 4})
        for (const bool transposed : {false, true}) load_matrix(card, image, count, transposed, name);
      addresses_of_high_lanes(card, image, ordinal == 0);
    }
  std::printf("%s\n", failures == 0 ? "tensor layouts: all right" : "tensor layouts: failures above");
  return failures == 0 ? 0 : 1;
}
