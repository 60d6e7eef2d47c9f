// attention_pack: rows of q, dY, k, v as attention_mma reads them: 16 bits, heads apart, every sequence padded with zeros to whole blocks of 128 rows
// x [T, heads, H] f32 (slots also from the past, which may be bfloat16) -> packed [K, blocks * 128, H] ELEMENT; query rows are token * group + head of the group
// half: the rows of a group of 32 are divided by a power of two that brings their largest magnitude to [2^14, 2^15); scales [K, blocks * 4] f32
// holds it. bfloat16 has f32's range and needs none
// one block per group; moves 4 + 2 bytes per element; memory bound
// defines: ELEMENT (half or bfloat16), HEAD_DIM (a multiple of 8, at most 256), SQUARES (1: rows of 256 as attention_wide_warpgroup's tiles have them)
// source: kernels.md 1.0 (row exponents)
#include "attention_wide.cuh"

using namespace attention;

#ifndef ELEMENT
#define ELEMENT bfloat16
#endif
#ifndef HEAD_DIM
#define HEAD_DIM 256
#endif
#ifndef SQUARES
#define SQUARES 0
#endif

constexpr int threads = 128, group_rows = 32;
constexpr int warp_rows = group_rows / (threads / 32), pieces = (HEAD_DIM + 127) / 128;  // of four elements to a lane
static_assert(SQUARES == 0 || (warp_rows == 8 && HEAD_DIM == 256), "a warp's rows are one piece of square_offset");

using Group = float4[warp_rows][pieces];

// Biased exponent of the largest magnitude in the block, kept where both the power and its inverse are normal numbers.
DEVICE u32 largest_exponent(const Group& values) {
  SHARED_ARRAY(float, warps, threads / 32);
  float most = 0.0f;
  for (int r = 0; r < warp_rows; ++r)
    for (int i = 0; i < pieces; ++i) {
      const float4 v = values[r][i];
      most = fmaxf(most, fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w))));
    }
  most = warp_max(most);
  if (lane_index() == 0) warps[warp_index()] = most;
  sync_block();
  for (int w = 0; w < threads / 32; ++w) most = fmaxf(most, warps[w]);
  const u32 exponent = float_bits(most) >> 23;
  return exponent < 28u ? 28u : exponent > 254u ? 254u : exponent;
}

// An element of a warp's rows.
DEVICE ELEMENT* place_in(ELEMENT* rows, int row, int at) {
  if constexpr (SQUARES != 0) return rows + square_offset(row, at / 8) + at % 8;
  else return rows + row * HEAD_DIM + at;
}

DEVICE void put_group(const Group& values, ELEMENT* packed, float* scales) {
  const u64 group = static_cast<u64>(block_y()) * grid_x() + block_x();
  float factor = 1.0f;
  if constexpr (is_half<ELEMENT>) {
    const u32 exponent = largest_exponent(values);
    factor = bits_float((268u - exponent) << 23);
    if (thread_index() == 0) scales[group] = bits_float((exponent - 14u) << 23);
  }
  packed += (group * group_rows + warp_index() * warp_rows) * HEAD_DIM;
  for (int r = 0; r < warp_rows; ++r)
    for (int i = 0; i < pieces; ++i) {
      const int at = (i * 32 + lane_index()) * 4;
      const float4 v = values[r][i];
      if (at < HEAD_DIM) store8(place_in(packed, r, at), {pack<ELEMENT>(v.x * factor, v.y * factor), pack<ELEMENT>(v.z * factor, v.w * factor)});
    }
}

DEVICE void take_row(float4 (&values)[pieces], HeadRow row, float factor) {
  const bool vectors = (row.address & 14) == 0;
  for (int i = 0; i < pieces; ++i) {
    const int at = (i * 32 + lane_index()) * 4;
    const float4 v = four_of(row, at, HEAD_DIM, vectors);
    values[i] = {v.x * factor, v.y * factor, v.z * factor, v.w * factor};
  }
}

// q or dY, times `factor`. block x: group of 32 packed rows; block y: key head.
KERNEL(threads) attention_pack_queries(const float* x, const Sequence* sequences, int sequence_count, float factor, ELEMENT* packed,
                                       float* scales, int heads, int key_heads) {
  const int row = block_x() * group_rows, group = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, row / block_rows, &Sequence::query_block);
  const int first = row - sequence.query_block * block_rows + warp_index() * warp_rows;
  Group values;
  for (int r = 0; r < warp_rows; ++r) {
    const int token = (first + r) / group, head = block_y() * group + (first + r) % group;
    const float* source = x + (static_cast<u64>(sequence.first_row + token) * heads + head) * HEAD_DIM;
    take_row(values[r], row_of(token < sequence.row_count ? source : nullptr), factor);
  }
  put_group(values, packed, scales);
}

// k (block z = 0) and v (1). block x: group of 32 slots, from the oldest of the sequence on; block y: key head.
KERNEL(threads) attention_pack_slots(const float* k, const float* v, const Sequence* sequences, int sequence_count, ELEMENT* packed_k,
                                     ELEMENT* packed_v, float* scales_k, float* scales_v, int key_heads) {
  const int row = block_x() * group_rows;
  const Sequence& sequence = sequence_at(sequences, sequence_count, row / block_rows, &Sequence::key_block);
  const int first = row - sequence.key_block * block_rows + warp_index() * warp_rows;
  const bool keys = block_z() == 0;
  Group values;
  for (int r = 0; r < warp_rows; ++r) {
    const bool inside = first + r < sequence.past_count + sequence.row_count;
    const u64 past = keys ? sequence.past_keys : sequence.past_values;
    const u64 stride = static_cast<u64>(key_heads) * HEAD_DIM, head = static_cast<u64>(block_y()) * HEAD_DIM;
    take_row(values[r], inside ? slot_row(sequence, sequence.past_start + first + r, past, keys ? k : v, stride, head) : HeadRow{0}, 1.0f);
  }
  put_group(values, keys ? packed_k : packed_v, keys ? scales_k : scales_v);
}

// Of packed query rows, for the backward pass: lse in base 2, D = sum dY*y, and the interval counted from the oldest slot; a row that sees nothing has an
// empty one. [K, blocks * 128] of 16 bytes. block x: four rows, one to a warp; block y: key head.
KERNEL(threads) attention_pack_statistics(const float* dy, const float* y, const float* lse, const int* key_start, const int* key_end,
                                          const Sequence* sequences, int sequence_count, uint4* statistics, int heads, int key_heads) {
  const int row = block_x() * (threads / 32) + warp_index(), group = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, row / block_rows, &Sequence::query_block);
  const int at = row - sequence.query_block * block_rows, token = sequence.first_row + at / group;
  uint4 result = {0u, 0u, 0u, 0u};
  if (at < sequence.row_count * group && key_start[token] < key_end[token]) {
    const u64 index = static_cast<u64>(token) * heads + block_y() * group + at % group;
    float sum = 0.0f;
    for (int i = lane_index(); i < HEAD_DIM; i += 32) sum = fused_multiply_add(dy[index * HEAD_DIM + i], y[index * HEAD_DIM + i], sum);
    result = {float_bits(lse[index] * log2_e), float_bits(warp_sum(sum)), static_cast<u32>(key_start[token] - sequence.past_start),
              static_cast<u32>(key_end[token] - sequence.past_start)};
  }
  if (lane_index() == 0) store16(statistics + static_cast<u64>(block_y()) * grid_x() * (threads / 32) + row, result);
}
