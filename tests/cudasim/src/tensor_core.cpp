#include "tensor_core.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cudasim/half.h"

// Vectors are passed to inlined functions only.
#pragma GCC diagnostic ignored "-Wpsabi"
#define INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
// The same function in several forms; the loader takes the one that the processor has.
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

namespace cudasim {
namespace {

// One row of c or b: its eight columns side by side.
using Doubles = double __attribute__((vector_size(64)));
using Words = std::int64_t __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));

struct Inputs {
  alignas(64) float a[16][16];
  Floats b[16];
};

constexpr std::int32_t nothing = -10000;  // the exponent of zero

INLINE Floats floats(const Ints& bits) { return (Floats)bits; }
INLINE Ints bits_of(const Floats& v) { return (Ints)v; }
INLINE Ints larger(const Ints& a, const Ints& b) { return a > b ? a : b; }

template <bool half> INLINE void decode(const std::uint16_t* from, float* to, int count) {
  for (int i = 0; i < count; ++i) to[i] = half ? half_value(from[i]) : bfloat16_value(from[i]);
}
INLINE int largest_magnitude(const std::uint16_t* from, int count) {
  int largest = 0;
  for (int i = 0; i < count; ++i) largest = std::max(largest, from[i] & 0x7fff);
  return largest;
}

// Of normal floats and zero; subnormal ones count as zero.
INLINE Ints exponents(const Floats& v) {
  const Ints field = bits_of(v) >> 23 & 255;
  return field == 0 ? Ints{} + nothing : field - 127;
}

// The floats that are nearest to v on the side of zero.
INLINE Floats rounded_toward_zero(const Doubles& v) {
  const Floats nearest = __builtin_convertvector(v, Floats);
  const Doubles back = __builtin_convertvector(nearest, Doubles);
  // As bits, magnitudes are in order and infinity is the last.
  const Words too_far = ((Words)back & INT64_MAX) > ((Words)v & INT64_MAX);
  // All ones where it was rounded away from zero: one bit pattern less is the neighbour on zero's side.
  return floats(bits_of(nearest) + __builtin_convertvector(too_far, Ints));
}

WIDE void add_ideal(const Inputs& in, int begin, int end, Floats* c) {
  for (int i = 0; i < 16; ++i) {
    Doubles sum = __builtin_convertvector(c[i], Doubles);
    for (int k = begin; k < end; ++k) sum += static_cast<double>(in.a[i][k]) * __builtin_convertvector(in.b[k], Doubles);
    c[i] = __builtin_convertvector(sum, Floats);
  }
}

// One element, for any finite input.
float add_truncating(const Inputs& in, int row, int column, int begin, int end, int fraction_bits, float c) {
  // A product's exponent is the sum of its factors', before normalisation.
  int largest = c == 0 ? nothing : std::ilogb(c);
  for (int k = begin; k < end; ++k)
    if (in.a[row][k] != 0 && in.b[k][column] != 0) largest = std::max(largest, std::ilogb(in.a[row][k]) + std::ilogb(in.b[k][column]));
  if (largest == nothing) return c;
  const int scale = fraction_bits - largest;
  // At most 17 terms below 2^(fraction_bits + 2): exact in fp64.
  double sum = std::trunc(std::ldexp(static_cast<double>(c), scale));
  for (int k = begin; k < end; ++k) sum += std::trunc(std::ldexp(static_cast<double>(in.a[row][k]) * in.b[k][column], scale));
  return rounded_toward_zero(Doubles{} + std::ldexp(sum, -scale))[0];
}

// The same for all elements at once in 32-bit steps. False, with c untouched, where the numbers are too large or too small.
WIDE bool add_truncating(const Inputs& in, int begin, int end, int fraction_bits, Floats* c) {
  alignas(64) std::int32_t a_exponent[16][16];
  Ints b_exponent[16];
  std::int32_t most_a = nothing;
  Ints most_b = Ints{} + nothing, subnormal{};
  for (int k = begin; k < end; ++k) {
    b_exponent[k] = exponents(in.b[k]);
    most_b = larger(most_b, b_exponent[k]);
    subnormal |= (in.b[k] != 0.0f) & (b_exponent[k] == nothing);
  }
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 16; k += 8) {
      if (k < begin || k >= end) continue;
      Floats row;
      std::memcpy(&row, &in.a[i][k], sizeof row);
      const Ints exponent = exponents(row);
      std::memcpy(&a_exponent[i][k], &exponent, sizeof exponent);
      for (int e = 0; e < 8; ++e) most_a = std::max(most_a, exponent[e]);
      subnormal |= (row != 0.0f) & (exponent == nothing);
    }
  // Products must stay below 2^128. Small ones need no care: what is lost to underflow would be truncated anyway.
  Ints unfit = subnormal | (most_b + most_a > 125);
  Floats out[16];
  for (int i = 0; i < 16; ++i) {
    Ints largest = exponents(c[i]);
    for (int k = begin; k < end; ++k) largest = larger(largest, b_exponent[k] + a_exponent[i][k]);
    // A subnormal c beside products that count would be truncated to nothing; alone it is the result.
    const Ints all_zero = largest < nothing / 2;
    unfit |= ~all_zero & (largest < -100);
    largest = all_zero ? Ints{} : largest;
    const Floats scale = floats((127 + fraction_bits - largest) << 23);
    Doubles sum = __builtin_convertvector(__builtin_convertvector(c[i] * scale, Ints), Doubles);
    for (int start = begin; start < end; start += 8) {
      Ints part{};  // below 8 * 2^(25 + 2)
      for (int k = start; k < start + 8; ++k) part += __builtin_convertvector(in.a[i][k] * in.b[k] * scale, Ints);
      sum += __builtin_convertvector(part, Doubles);
    }
    out[i] = rounded_toward_zero(sum / __builtin_convertvector(scale, Doubles));
    out[i] = all_zero ? c[i] : out[i];
  }
  for (int j = 0; j < 8; ++j)
    if (unfit[j] != 0) return false;
  for (int i = 0; i < 16; ++i) c[i] = out[i];
  return true;
}

// Whether nothing that enters is infinite or NaN: of all elements, or of one.
template <bool half> constexpr int infinity = half ? 0x7c00 : 0x7f80;
template <bool half> bool all_finite(const std::uint16_t* a, const std::uint16_t* b, int begin, int end, const Floats* c) {
  int largest = largest_magnitude(b + 8 * begin, 8 * (end - begin));
  for (int i = 0; i < 16; ++i) largest = std::max(largest, largest_magnitude(a + 16 * i + begin, end - begin));
  Ints c_bits{};
  for (int i = 0; i < 16; ++i) c_bits = larger(c_bits, bits_of(c[i]) & INT32_MAX);
  for (int j = 0; j < 8; ++j)
    if (c_bits[j] >= 0x7f800000) return false;
  return largest < infinity<half>;
}
bool finite(const Inputs& in, int row, int column, int begin, int end, float c) {
  bool all = std::isfinite(c);
  for (int k = begin; k < end; ++k) all = all && std::isfinite(in.a[row][k]) && std::isfinite(in.b[k][column]);
  return all;
}

// Infinities and NaNs come out the same either way; the elements beside them do not.
void add_truncating_or_ideal(const Inputs& in, int begin, int end, int fraction_bits, Floats* c) {
  Floats ideal[16];
  std::memcpy(ideal, c, sizeof ideal);
  add_ideal(in, begin, end, ideal);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j)
      c[i][j] = finite(in, i, j, begin, end, c[i][j]) ? add_truncating(in, i, j, begin, end, fraction_bits, c[i][j]) : ideal[i][j];
}

template <bool half> void multiply_add(const TensorCore& core, const std::uint16_t* a, const std::uint16_t* b, Floats* c) {
  Inputs in;
  decode<half>(a, in.a[0], 16 * 16);
  decode<half>(b, reinterpret_cast<float*>(in.b), 8 * core.depth);
  if (core.fraction_bits == 0) return add_ideal(in, 0, core.depth, c);
  for (int begin = 0; begin < core.depth; begin += core.step) {
    const int end = begin + core.step;
    const bool plain = all_finite<half>(a, b, begin, end, c);
    if (!plain || !add_truncating(in, begin, end, core.fraction_bits, c)) add_truncating_or_ideal(in, begin, end, core.fraction_bits, c);
  }
}

}  // namespace

void TensorCore::multiply_add(const std::uint16_t (&a)[16][16], const std::uint16_t (&b)[16][8], float (&c)[16][8]) const {
  Floats rows[16];
  std::memcpy(rows, c, sizeof rows);
  if (half) cudasim::multiply_add<true>(*this, a[0], b[0], rows);
  else cudasim::multiply_add<false>(*this, a[0], b[0], rows);
  std::memcpy(c, rows, sizeof rows);
}

}  // namespace cudasim
