#include "tensor_core.hpp"

#include <cmath>
#include <cstring>

#include "cudasim/half.h"

// Vectors are passed to inlined functions only.
#pragma GCC diagnostic ignored "-Wpsabi"
#define INLINE inline __attribute__((always_inline))

namespace cudasim {
namespace {

// One row of c: its eight columns side by side.
using Doubles = double __attribute__((vector_size(64)));
using Ints = std::int32_t __attribute__((vector_size(32)));
using Floats = float __attribute__((vector_size(32)));
using Words = std::int64_t __attribute__((vector_size(64)));

#if defined(__x86_64__)
// The same function in two forms; the loader takes the one that the processor has.
#define WIDE __attribute__((target_clones("avx2,fma", "default")))
#else
#define WIDE
#endif

constexpr std::int64_t exponent_mask = 0x7ff0000000000000;

INLINE Doubles power_of_two_below(const Doubles& v) { return (Doubles)((Words)v & exponent_mask); }
INLINE Doubles larger(const Doubles& a, const Doubles& b) { return a > b ? a : b; }
// |v| < 2^31
INLINE Doubles truncated(const Doubles& v) { return __builtin_convertvector(__builtin_convertvector(v, Ints), Doubles); }

// The floats that are nearest to v on the side of zero.
INLINE Floats rounded_toward_zero(const Doubles& v) {
  const Floats nearest = __builtin_convertvector(v, Floats);
  const Doubles back = __builtin_convertvector(nearest, Doubles);
  const Words too_far = ((Words)back & INT64_MAX) > ((Words)v & INT64_MAX);  // as bits: magnitudes in order, infinity last
  // All ones where it was rounded away from zero: one bit pattern less is the neighbour on zero's side.
  return (Floats)((Ints)nearest + __builtin_convertvector(too_far, Ints));
}

WIDE void multiply_add_ideal(const double (&a)[16][16], const Doubles (&b)[16], int depth, Floats* c) {
  for (int i = 0; i < 16; ++i) {
    Doubles sum = __builtin_convertvector(c[i], Doubles);
    for (int k = 0; k < depth; ++k) sum += a[i][k] * b[k];
    c[i] = __builtin_convertvector(sum, Floats);
  }
}

WIDE void multiply_add_truncating(const double (&a)[16][16], const Doubles (&b)[16], int begin, int end, int fraction_bits, Floats* c) {
  Doubles b_power[16];
  for (int k = begin; k < end; ++k) b_power[k] = power_of_two_below(b[k]);
  for (int i = 0; i < 16; ++i) {
    const Doubles start = __builtin_convertvector(c[i], Doubles);
    // A product's exponent is the sum of its factors', before normalisation; the powers of two stand for the exponents.
    Doubles largest = power_of_two_below(start);
    for (int k = begin; k < end; ++k) {
      std::int64_t bits;
      std::memcpy(&bits, &a[i][k], 8);
      bits &= exponent_mask;
      double a_power;
      std::memcpy(&a_power, &bits, 8);
      largest = larger(largest, a_power * b_power[k]);
    }
    // Where every term is zero any scale will do.
    largest = largest > 0.0 ? largest : largest + 1.0;
    const Doubles scale = std::ldexp(1.0, fraction_bits) / largest;
    // At most 17 terms below 2^(fraction_bits + 2): exact in fp64.
    Doubles sum = truncated(start * scale);
    for (int k = begin; k < end; ++k) sum += truncated(a[i][k] * b[k] * scale);
    c[i] = rounded_toward_zero(sum / scale);
  }
}

}  // namespace

void TensorCore::multiply_add(const std::uint16_t (&a)[16][16], const std::uint16_t (&b)[8][16], float (&c)[16][8]) const {
  double wide_a[16][16];
  Doubles wide_b[16];
  Floats rows[16];
  std::memcpy(rows, c, sizeof rows);
  const auto value = [this](std::uint16_t bits) { return half ? half_value(bits) : bfloat16_value(bits); };
  bool finite = true;
  for (int j = 0; j < 8; ++j)
    for (int k = 0; k < depth; ++k) {
      const float v = value(b[j][k]);
      finite = finite && std::isfinite(v);
      wide_b[k][j] = v;
    }
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) finite = finite && std::isfinite(c[i][j]);
    for (int k = 0; k < depth; ++k) {
      const float v = value(a[i][k]);
      finite = finite && std::isfinite(v);
      wide_a[i][k] = v;
    }
  }
  // Infinities and NaNs come out the same either way.
  if (fraction_bits == 0 || !finite) {
    multiply_add_ideal(wide_a, wide_b, depth, rows);
  } else {
    for (int begin = 0; begin < depth; begin += step) multiply_add_truncating(wide_a, wide_b, begin, begin + step, fraction_bits, rows);
  }
  std::memcpy(c, rows, sizeof rows);
}

}  // namespace cudasim
