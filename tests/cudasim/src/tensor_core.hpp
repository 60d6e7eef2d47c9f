// Arithmetic of one warp's tensor core instruction: c [16][8] += a [16][depth] b [depth][8] on 16-bit inputs.
#pragma once

#include <cstdint>

namespace cudasim {

struct TensorCore {
  bool half;          // else bfloat16
  int depth;          // 8 or 16
  // 0: products exact, summed in fp64, rounded to nearest once. Else as the hardware does it (kernels.md 4.5): products and
  // c aligned to the largest exponent, truncated to this many fractional bits, summed exactly, rounded toward zero.
  int fraction_bits;
  int step;           // that many products are summed at a time with fraction_bits

  void multiply_add(const std::uint16_t (&a)[16][16], const std::uint16_t (&b)[16][8], float (&c)[16][8]) const;
};

}  // namespace cudasim
