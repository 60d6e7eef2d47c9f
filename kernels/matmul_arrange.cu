// matmul_arrange: codes or magnitudes of a matrix [O, K], stored row after row as files have them, in the order of tiles (codes.cuh); O is a multiple of 16
// from, to [O, width] UNIT, which is what of a row stays together; a row of a tile has `across` units: 4 of 16 codes, 1 magnitude
// a thread moves one unit, in the order in which they are written; moves 2*O*width*sizeof(UNIT) bytes; memory bound
// defines: UNIT (uint2 NF4 codes, whose rows alternate with those eight further on; uint4 8-bit codes; u8, half, float magnitudes)
#include "codes.cuh"

using namespace ptx;

#ifndef UNIT
#define UNIT uint2
#endif

constexpr int threads = 256;
template <typename T> constexpr bool alternates = false;
template <> constexpr bool alternates<uint2> = true;

template <typename T> DEVICE void move(T* to, const T* from) {
  if constexpr (sizeof(T) == 16) store16(to, load16(from));
  else if constexpr (sizeof(T) == 8) store8(to, load8(from));
  else *to = *from;
}

KERNEL(threads) matmul_arrange(const UNIT* from, UNIT* to, long long count, int width, int across) {
  const long long i = static_cast<long long>(block_x()) * threads + thread_index();
  if (i >= count) return;
  const int tile_units = tile_outputs * across, in_stripe = static_cast<int>(i % (tile_outputs * width)), tile = in_stripe / tile_units, in_tile = in_stripe % tile_units;
  int row = in_tile / across, unit = in_tile % across;
  if (alternates<UNIT>) row = in_tile / (2 * across) + in_tile % 2 * 8, unit = in_tile / 2 % across;
  move(to + i, from + i - in_stripe + static_cast<long long>(row) * width + tile * across + unit);
}
