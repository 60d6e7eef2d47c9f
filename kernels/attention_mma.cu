// attention_mma: the forward pass of attention on tensor cores
// q, k, v as attention_pack leaves them (q times scale * log2 e, so that scores are in base 2); y [T, N, H] f32; lse [T, N] f32 natural logarithm
// a block takes QUERIES packed query rows of one key head, a warp sixteen of them; running softmax in f32 over tiles of KEYS slots; P is rounded once
// while V of a tile arrives its scores are computed, while K of the next arrives P V is; half: scores and P V carry the powers of two of attention_pack
// 4 N H (visible keys) FLOP; shared memory (QUERIES + 2 KEYS) * H * 2 bytes
// defines: ELEMENT (half or bfloat16), HEAD_DIM (72, or a multiple of 64), QUERIES (16 .. 128), KEYS (32, or with bfloat16 64)
// source: arXiv:2307.08691, kernels.md 1.0 - 1.3
#include "ptx.cuh"

using namespace ptx;

#ifndef ELEMENT
#define ELEMENT bfloat16
#endif
#ifndef HEAD_DIM
#define HEAD_DIM 256
#endif
#ifndef QUERIES
#define QUERIES 64
#endif
#ifndef KEYS
#define KEYS 64
#endif

constexpr int threads = QUERIES * 2, block_rows = 128, group_rows = 32;
constexpr int steps = HEAD_DIM / 16, chunks = HEAD_DIM / 8, key_pairs = KEYS / 16;
constexpr bool scaled = is_half<ELEMENT>, odd = chunks % 2 != 0;
static_assert(!scaled || KEYS <= group_rows, "one power of two for a tile of keys");
constexpr float ln_2 = 0.6931471805599453f;
constexpr int weight_bits = 14;  // P as half is 2^14 at most: the smaller the weights that stay normal numbers

DEVICE float minus_infinity() { return bits_float(0xff800000u); }

// As in attention.cu.
struct Sequence {
  u64 past_keys, past_values, pages;
  int first_row, row_count, past_start, past_count, past_row, capacity, query_block, key_block, split_keys, decode_row;
};

DEVICE const Sequence& sequence_at(const Sequence* sequences, int count, int block) {
  int low = 0;
  for (int high = count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (sequences[middle].query_block <= block) low = middle;
    else high = middle;
  }
  return sequences[low];
}

// Slots count from the oldest of the sequence here. `common`: those that all rows see.
struct Range { int begin, end, common_begin, common_end; };

DEVICE Range join(Range a, Range b) {
  return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end,
          a.common_begin > b.common_begin ? a.common_begin : b.common_begin, a.common_end < b.common_end ? a.common_end : b.common_end};
}
DEVICE Range warp_join(Range r) {
  for (int step = 16; step > 0; step >>= 1)
    r = join(r, {shuffle_xor(r.begin, step), shuffle_xor(r.end, step), shuffle_xor(r.common_begin, step), shuffle_xor(r.common_end, step)});
  return r;
}
DEVICE Range range_of(int start, int end) {
  return start < end ? Range{start, end, start, end} : Range{0x7fffffff, 0, 0x7fffffff, 0};
}

struct Queries {
  const int *key_start, *key_end;
  int first, count, group, oldest;  // packed rows of the tile within its sequence; slot of its oldest key
  DEVICE Range of_row(int row) const {
    if (row >= count) return range_of(0, 0);
    const int token = row / group;
    return range_of(key_start[token] - oldest, key_end[token] - oldest);
  }
};

// `rows` rows of a packed matrix into a tile; they are there after the next wait. The places repeat after eight rows: few addresses, many constant steps.
template <int rows> DEVICE void fetch(u16* tile, const ELEMENT* source) {
  constexpr int total = rows * chunks, period = odd || 8 * chunks < threads ? threads : 8 * chunks;
#pragma unroll
  for (int from = thread_index(), pass = 0; pass < period / threads; from += threads, ++pass) {
    const int at = odd ? from * 8 : tile_offset<HEAD_DIM>(from / chunks, from % chunks);
    const shared_place place = place_of(tile) + 2 * at;
#pragma unroll
    for (int step = 0; step < total; step += period) {
      if (step + period > total && from + step >= total) continue;
      if constexpr (arch >= 800) copy_async16(place + step * 16, source + (from + step) * 8);
      else store16(tile + at + step * 8, load16(source + (from + step) * 8));
    }
  }
  if constexpr (arch >= 800) copy_async_commit();
}
DEVICE void arrive() {
  if constexpr (arch >= 800) copy_async_wait<0>();
  sync_block();
}

// score = the warp's sixteen query rows times the tile's keys.
DEVICE void score_tile(float (&score)[2 * key_pairs][4], shared_place queries, shared_place keys) {
#pragma unroll
  for (int n = 0; n < 2 * key_pairs; ++n)
    for (int i = 0; i < 4; ++i) score[n][i] = 0.0f;
#pragma unroll
  for (int step = 0; step < steps; ++step) {
    u32 a[4];
    load_a<HEAD_DIM>(a, queries, warp_index() * 16, 2 * step);
#pragma unroll
    for (int n = 0; n < key_pairs; ++n) {
      u32 b[4];
      load_b<HEAD_DIM>(b, keys, n * 16, 2 * step);
      mma_k16<ELEMENT>(score[2 * n], a, {b[0], b[1]});
      mma_k16<ELEMENT>(score[2 * n + 1], a, {b[2], b[3]});
    }
  }
  if constexpr (odd) {
    u32 a[2];
    load_half_piece<HEAD_DIM>(a, queries, warp_index() * 16, chunks - 1);
#pragma unroll
    for (int n = 0; n < key_pairs; ++n) {
      u32 b[2];
      load_half_piece<HEAD_DIM>(b, keys, n * 16, chunks - 1);
      mma_k8<ELEMENT>(score[2 * n], a, {b[0]});
      mma_k8<ELEMENT>(score[2 * n + 1], a, {b[1]});
    }
  }
}

// P as 16 bits: the accumulators of two tiles of eight keys are, as pairs, the A operand of the product with their sixteen values.
using Weights = u32[key_pairs][4];

DEVICE void take_weights(Weights& weights, const float (&p)[2 * key_pairs][4], float factor) {
#pragma unroll
  for (int k = 0; k < 2 * key_pairs; ++k)
    for (int i = 0; i < 2; ++i) weights[k / 2][k % 2 * 2 + i] = pack<ELEMENT>(p[k][2 * i] * factor, p[k][2 * i + 1] * factor);
}

// sums += P V.
DEVICE void add_values(float (&sums)[chunks][4], const Weights& weights, shared_place values) {
#pragma unroll
  for (int k = 0; k < key_pairs; ++k) {
#pragma unroll
    for (int n = 0; n < chunks / 2; ++n) {
      u32 b[4];
      load_b_transposed<HEAD_DIM>(b, values, k * 16, 2 * n);
      mma_k16<ELEMENT>(sums[2 * n], weights[k], {b[0], b[1]});
      mma_k16<ELEMENT>(sums[2 * n + 1], weights[k], {b[2], b[3]});
    }
    if constexpr (odd) {
      u32 b[2];
      load_half_piece<HEAD_DIM, true>(b, values, k * 16, chunks - 1);
      mma_k16<ELEMENT>(sums[chunks - 1], weights[k], b);
    }
  }
}

// One thread's share of two rows, g and g + 8 of the warp's sixteen.
struct Softmax {
  float most[2], sum[2];

  // Scores, times `factor`, become probabilities relative to the largest so far; older sums are brought up to date. Rows see [begin, end) of the tile.
  DEVICE void take(float (&score)[2 * key_pairs][4], float factor, bool whole, const int (&begin)[2], const int (&end)[2], float (&sums)[chunks][4]) {
    if (!whole) {
#pragma unroll
      for (int n = 0; n < 2 * key_pairs; ++n)
        for (int i = 0; i < 4; ++i) {
          const int key = n * 8 + lane_index() % 4 * 2 + i % 2;
          if (key < begin[i / 2] || key >= end[i / 2]) score[n][i] = minus_infinity();
        }
    }
    float older[2], shift[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = minus_infinity();
      for (int n = 0; n < 2 * key_pairs; ++n) largest = fmaxf(largest, fmaxf(score[n][2 * r], score[n][2 * r + 1]));
      largest = fmaxf(largest, shuffle_xor(largest, 1));
      largest = fmaxf(largest, shuffle_xor(largest, 2));
      largest = fmaxf(most[r], scaled ? largest * factor : largest);
      // While everything is hidden the maximum is -infinity; zero takes its place, as -infinity - -infinity would be NaN.
      shift[r] = largest == minus_infinity() ? 0.0f : largest;
      older[r] = exp2_approx(most[r] - shift[r]);
      most[r] = largest;
    }
    if (ptx::any(older[0] != 1.0f || older[1] != 1.0f)) {
#pragma unroll
      for (int n = 0; n < chunks; ++n)
        for (int i = 0; i < 4; ++i) sums[n][i] *= older[i / 2];
      sum[0] *= older[0], sum[1] *= older[1];
    }
#pragma unroll
    for (int n = 0; n < 2 * key_pairs; ++n)
      for (int i = 0; i < 4; ++i) {
        score[n][i] = exp2_approx(scaled ? fused_multiply_add(score[n][i], factor, -shift[i / 2]) : score[n][i] - shift[i / 2]);
        sum[i / 2] += score[n][i];
      }
  }
};

// block x: tile of packed query rows, the last first, because those usually see most; block y: key head.
KERNEL(threads) attention_forward_mma(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const float* q_scales, const float* k_scales,
                                      const float* v_scales, const Sequence* sequences, int sequence_count, const int* key_start,
                                      const int* key_end, float* y, float* lse, int heads, int key_heads, int key_blocks) {
  u16* const queries = dynamic_shared<u16>();
  u16 *const keys = queries + QUERIES * HEAD_DIM, *const values = keys + KEYS * HEAD_DIM;
  const int packed = (grid_x() - 1 - block_x()) * QUERIES, group = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, packed / block_rows);
  const int first_row = sequence.first_row, first = packed - sequence.query_block * block_rows, count = sequence.row_count * group;
  if (first >= count) return;
  const u64 query_row = static_cast<u64>(block_y()) * grid_x() * QUERIES + packed;
  const u64 key_row = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows;
  k += key_row * HEAD_DIM, v += key_row * HEAD_DIM;

  const Queries rows = {key_start + first_row, key_end + first_row, first, count, group, sequence.past_start};
  Range tile = range_of(0, 0);
  for (int i = lane_index(); i < QUERIES; i += 32) tile = join(tile, rows.of_row(first + i));
  tile = warp_join(tile);
  const int row = first + warp_index() * 16 + lane_index() / 4;
  const Range mine[2] = {rows.of_row(row), rows.of_row(row + 8)};
  const Range warp = warp_join(join(mine[0], mine[1]));

  fetch<QUERIES>(queries, q + query_row * HEAD_DIM);
  int slot = tile.begin / KEYS * KEYS;
  if (slot < tile.end) fetch<KEYS>(keys, k + static_cast<u64>(slot) * HEAD_DIM);
  float sums[chunks][4] = {}, query_scale = 1.0f, value_scale = 0.0f;
  Softmax softmax = {{minus_infinity(), minus_infinity()}, {0.0f, 0.0f}};
  if constexpr (scaled) query_scale = q_scales[(query_row + warp_index() * 16) / group_rows];
  for (; slot < tile.end; slot += KEYS) {
    arrive();
    fetch<KEYS>(values, v + static_cast<u64>(slot) * HEAD_DIM);
    const bool seen = slot < warp.end && slot + KEYS > warp.begin;
    float score[2 * key_pairs][4];
    if (seen) {
      score_tile(score, place_of(queries), place_of(keys));
      float factor = 1.0f;
      if constexpr (scaled) factor = query_scale * k_scales[(key_row + slot) / group_rows];
      const int begin[2] = {mine[0].begin - slot, mine[1].begin - slot}, end[2] = {mine[0].end - slot, mine[1].end - slot};
      softmax.take(score, factor, slot >= warp.common_begin && slot + KEYS <= warp.common_end, begin, end, sums);
    }
    arrive();
    if (slot + KEYS < tile.end) fetch<KEYS>(keys, k + static_cast<u64>(slot + KEYS) * HEAD_DIM);
    if (!seen) continue;
    float weight = 1.0f;
    if constexpr (scaled) {
      // The sums are in units of the largest value scale so far, and 2^-weight_bits of it.
      const float scale = v_scales[(key_row + slot) / group_rows], larger = fmaxf(scale, value_scale);
      if (larger != value_scale) {
        const float older = value_scale / larger;
#pragma unroll
        for (int n = 0; n < chunks; ++n)
          for (int i = 0; i < 4; ++i) sums[n][i] *= older;
        value_scale = larger;
      }
      weight = scale / value_scale * (1 << weight_bits);
    }
    Weights weights;
    take_weights(weights, score, weight);
    add_values(sums, weights, place_of(values));
  }
  if constexpr (arch >= 800) copy_async_wait<0>();
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float total = softmax.sum[r];
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    if (row + 8 * r >= count) continue;
    const u64 index = static_cast<u64>(first_row + (row + 8 * r) / group) * heads + block_y() * group + (row + 8 * r) % group;
    float factor = total == 0.0f ? 0.0f : 1.0f / total;
    if constexpr (scaled) factor *= value_scale * (1.0f / (1 << weight_bits));
    float* out = y + index * HEAD_DIM + lane_index() % 4 * 2;
#pragma unroll
    for (int n = 0; n < chunks; ++n) store8(out + n * 8, {float_bits(sums[n][2 * r] * factor), float_bits(sums[n][2 * r + 1] * factor)});
    if (lse != nullptr && lane_index() % 4 == 0) lse[index] = total == 0.0f ? minus_infinity() : (softmax.most[r] + log2f(total)) * ln_2;
  }
}
