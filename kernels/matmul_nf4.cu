// matmul_nf4: an NF4 matrix as plain elements in scratch memory, for the products of matmul*.cu: out[i] = value(code[i]) * absmax[i / 64]
// codes: two a byte, the first in the upper half; magnitudes as in codes.cuh; both row after row, or in tiles of rows of `columns`, which then is not 0
// out: count elements OUTPUT, row after row, rounded once from f32; may be read as [O, K]
// a thread takes 16 elements; moves 0.5*count + sizeof(OUTPUT)*count bytes; memory bound
// source: arXiv:2305.14314; storage as bitsandbytes
#include "codes.cuh"

using namespace ptx;

#ifndef OUTPUT
#define OUTPUT float
#endif

constexpr int threads = 256, elements = 16;

KERNEL(threads) matmul_nf4_dequantize(const u8* codes, const float* absmax, const u8* nested_codes, const float* scales, const float* table,
                                      OUTPUT* out, long long count, int columns, float offset) {
  SHARED_ARRAY(float, value, 16);
#pragma unroll
  for (int i = 0; i < 16; ++i)
    if (thread_index() == i) value[i] = nf4_values[i];
  sync_block();
  const long long unit = static_cast<long long>(block_x()) * threads + thread_index();
  long long first = unit * elements, block = first / nf4_block, place = block;
  if (first >= count) return;
  if (columns != 0) {
    const int tiles = columns / tile_inputs, lane = static_cast<int>(unit) / 2 % 32;
    const long long tile = unit / 64;
    const int stripe = static_cast<int>(tile / tiles), column = static_cast<int>(tile % tiles), row = stripe * tile_outputs + lane / 4 + static_cast<int>(unit) % 2 * 8;
    block = static_cast<long long>(row) * tiles + column, place = place_in_tiles(row, column, tiles);
    first = block * nf4_block + lane % 4 * elements;
  }
  const float scale = absmax != nullptr ? absmax[place] : table[nested_codes[place]] * scales[block / nested_blocks] + offset;
  if (columns == 0 && (first + elements > count || reinterpret_cast<u64>(codes) % 8 != 0)) {
    const long long end = first + elements < count ? first + elements : count;
    for (long long i = first; i < end; ++i) out[i] = from_float<OUTPUT>(value[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15] * scale);
    return;
  }
  const uint2 bytes = load8(codes + unit * (elements / 2));
  float v[elements];
#pragma unroll
  for (int i = 0; i < elements; ++i) v[i] = value[(i < 8 ? bytes.x : bytes.y) >> (i / 2 % 4 * 8 + (i % 2 == 0 ? 4 : 0)) & 15] * scale;
  store_rounded(out + first, v);
}
