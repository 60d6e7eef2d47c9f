// matmul_pack: a matrix as tensor cores want it: [rows, columns] SOURCE -> [rows, columns rounded up to 8] TARGET, zeros in the padding
// exponents null: plain rounding. Else each row is divided by 2^exponents[row], which puts its largest finite magnitude into
// [2^14, 2^15): half then neither overflows nor loses what lies within 2^28 of that maximum. No exponent is below `lowest` (at least
// -126), or where `beside` is not null below the exponent of the row beside it in the same sum by more than 40
// maxima not null: one exponent for the whole matrix, from the `maxima_count` maxima that matmul_absmax left
// one block per row; moves (SOURCE + TARGET) bytes an element, the source twice where it is scaled; memory bound
// defines: SOURCE (float, half, bfloat16), TARGET (half, bfloat16). Infinities and NaN stay what they are
#include "ptx.cuh"

using namespace ptx;

#ifndef SOURCE
#define SOURCE float
#endif
#ifndef TARGET
#define TARGET bfloat16
#endif

constexpr int block_threads = 128;
constexpr u32 infinity_bits = 0x7f800000u;

// Bits of the magnitude, whose order is that of the magnitudes; 0 for infinities and NaN.
DEVICE u32 finite_magnitude(float v) {
  const u32 bits = float_bits(v) & 0x7fffffffu;
  return bits < infinity_bits ? bits : 0u;
}

DEVICE u32 larger(u32 a, u32 b) { return a > b ? a : b; }

// The block's largest value, in every thread.
template <int warps> DEVICE u32 block_max(u32 v) {
  SHARED_ARRAY(u32, warp_maxima, warps);
  for (int step = 16; step > 0; step >>= 1) v = larger(v, shuffle_xor(v, step));
  if (lane_index() == 0) warp_maxima[warp_index()] = v;
  sync_block();
  for (int w = 0; w < warps; ++w) v = larger(v, warp_maxima[w]);
  return v;
}

// Brings a magnitude into [2^14, 2^15). From -126 on both 2^exponent and 2^-exponent are normal floats.
DEVICE int exponent_for(u32 magnitude, int lowest) {
  const int exponent = static_cast<int>(magnitude >> 23) - 127 - 14;
  return exponent < lowest ? lowest : exponent;
}

template <typename T> DEVICE float element(const T* row, int column, int columns) { return column < columns ? to_float(row[column]) : 0.0f; }

// Eight elements from `column` on, a multiple of eight; zeros past the row's end.
DEVICE void load_eight(float (&v)[8], const float* row, int column, int columns, bool vectors) {
  if (vectors) {
    const uint4 low = load16(row + column), high = load16(row + column + 4);
    v[0] = bits_float(low.x), v[1] = bits_float(low.y), v[2] = bits_float(low.z), v[3] = bits_float(low.w);
    v[4] = bits_float(high.x), v[5] = bits_float(high.y), v[6] = bits_float(high.z), v[7] = bits_float(high.w);
  } else {
    for (int i = 0; i < 8; ++i) v[i] = element(row, column + i, columns);
  }
}
template <typename T> DEVICE void load_eight(float (&v)[8], const T* row, int column, int columns, bool vectors) {
  if (vectors) {
    const uint4 raw = load16(row + column);
    v[0] = unpack_low<T>(raw.x), v[1] = unpack_high<T>(raw.x), v[2] = unpack_low<T>(raw.y), v[3] = unpack_high<T>(raw.y);
    v[4] = unpack_low<T>(raw.z), v[5] = unpack_high<T>(raw.z), v[6] = unpack_low<T>(raw.w), v[7] = unpack_high<T>(raw.w);
  } else {
    for (int i = 0; i < 8; ++i) v[i] = element(row, column + i, columns);
  }
}

KERNEL(block_threads) matmul_pack(const SOURCE* x, TARGET* packed, int* exponents, const int* beside, const u32* maxima, int maxima_count,
                                  int columns, int lowest) {
  const int row = block_x(), padded = (columns + 7) & ~7;
  const SOURCE* const from = x + static_cast<u64>(row) * columns;
  TARGET* const to = packed + static_cast<u64>(row) * padded;
  const bool vectors = columns % 8 == 0 && reinterpret_cast<u64>(x) % 16 == 0;
  float scale = 1.0f;
  if (exponents != nullptr) {
    u32 largest = 0;
    if (maxima != nullptr) {
      for (int i = thread_index(); i < maxima_count; i += block_threads) largest = larger(largest, maxima[i]);
    } else {
      for (int column = thread_index() * 8; column < columns; column += block_threads * 8) {
        float v[8];
        load_eight(v, from, column, columns, vectors);
        for (int i = 0; i < 8; ++i) largest = larger(largest, finite_magnitude(v[i]));
      }
    }
    const int exponent = exponent_for(block_max<block_threads / 32>(largest), beside != nullptr ? beside[row] - 40 : lowest);
    if (thread_index() == 0 && (maxima == nullptr || row == 0)) exponents[row] = exponent;
    scale = bits_float(static_cast<u32>(127 - exponent) << 23);
  }
  for (int column = thread_index() * 8; column < padded; column += block_threads * 8) {
    float v[8];
    load_eight(v, from, column, columns, vectors);
    store16(to + column, uint4{pack<TARGET>(v[0] * scale, v[1] * scale), pack<TARGET>(v[2] * scale, v[3] * scale),
                               pack<TARGET>(v[4] * scale, v[5] * scale), pack<TARGET>(v[6] * scale, v[7] * scale)});
  }
}

// The largest finite magnitude of each block's share, as bits, for one exponent of a whole matrix.
KERNEL(block_threads) matmul_absmax(const SOURCE* x, u32* maxima, long long count) {
  u32 largest = 0;
  for (long long i = static_cast<long long>(block_x()) * block_threads + thread_index(); i < count; i += static_cast<long long>(grid_x()) * block_threads)
    largest = larger(largest, finite_magnitude(to_float(x[i])));
  largest = block_max<block_threads / 32>(largest);
  if (thread_index() == 0) maxima[block_x()] = largest;
}
