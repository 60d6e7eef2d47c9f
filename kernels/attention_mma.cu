// attention_mma: the forward pass of attention on tensor cores
// k, v as attention_pack leaves them; y [T, N, H] f32; lse [T, N] f32 natural logarithm
// q: bfloat16 takes [T, N, H] f32, multiplies by `factor` (scale * log2 e, so that scores are in base 2) and rounds; half takes it packed
// a block takes QUERIES packed query rows of one key head, a warp PIECES times sixteen of them; running softmax in f32 over tiles of KEYS slots; P is
// rounded once. STAGES 1: while V of a tile arrives its scores are computed, while K of the next arrives P V is; 2: the next tile arrives meanwhile
// half: scores and P V carry the powers of two of attention_pack
// 4 N H (visible keys) FLOP; shared memory (QUERIES + 2 STAGES KEYS) * H * 2 bytes
// defines: ELEMENT (half or bfloat16), HEAD_DIM (72, or a multiple of 64), QUERIES (64 or 128), KEYS (32, or with bfloat16 64), PIECES (1 or 2),
// STAGES (1, or with bfloat16 2)
// source: arXiv:2307.08691, kernels.md 1.0 - 1.3
#include "attention.cuh"

using namespace attention;

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
#ifndef PIECES
#define PIECES 1
#endif
#ifndef STAGES
#define STAGES 1
#endif

constexpr int threads = QUERIES * 2 / PIECES, warp_rows = 16 * PIECES, group_rows = 32;
constexpr int steps = HEAD_DIM / 16, chunks = HEAD_DIM / 8, key_pairs = KEYS / 16;
constexpr bool scaled = is_half<ELEMENT>, odd = chunks % 2 != 0;
static_assert(!scaled || KEYS <= group_rows, "one power of two for a tile of keys");
constexpr int weight_bits = 14;  // P as half is 2^14 at most: the smaller the weights that stay normal numbers
// A row's sums stay relative to an older maximum until a score exceeds it by this power of two, so they are rarely scaled.
constexpr float most_growth = scaled ? 0.0f : 8.0f;
constexpr bool keeps_queries = PIECES > 1 && HEAD_DIM <= 72;  // as fragments in registers

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

using Scores = float[PIECES][2 * key_pairs][4];
using Sums = float[PIECES][chunks][4];

// A operands of the warp's query rows.
struct Fragments { u32 at[PIECES][4]; };
DEVICE void load_queries(Fragments& a, shared_place queries, int step) {
#pragma unroll
  for (int m = 0; m < PIECES; ++m) load_a<HEAD_DIM>(a.at[m], queries, warp_index() * warp_rows + m * 16, 2 * step);
}
DEVICE void load_odd_queries(Fragments& a, shared_place queries) {
#pragma unroll
  for (int m = 0; m < PIECES; ++m) {
    u32 half[2];
    load_half_piece<HEAD_DIM>(half, queries, warp_index() * warp_rows + m * 16, chunks - 1);
    a.at[m][0] = half[0], a.at[m][1] = half[1];
  }
}
constexpr int query_steps = steps + (odd ? 1 : 0);
using Kept = Fragments[keeps_queries ? query_steps : 1];
DEVICE void keep_queries(Kept& kept, shared_place queries) {
  if constexpr (keeps_queries) {
#pragma unroll
    for (int step = 0; step < steps; ++step) load_queries(kept[step], queries, step);
    if constexpr (odd) load_odd_queries(kept[steps], queries);
  }
}

constexpr int under_way = 3;  // fragments of K or V: one is multiplied, the next are read

// score = the warp's query rows times the tile's keys.
DEVICE void score_tile(Scores& score, const Kept& kept, shared_place queries, shared_place keys) {
#pragma unroll
  for (int m = 0; m < PIECES; ++m)
    for (int n = 0; n < 2 * key_pairs; ++n)
      for (int i = 0; i < 4; ++i) score[m][n][i] = 0.0f;
  u32 b[under_way][4];
  auto load = [&](int at) {
    if (at < steps * key_pairs) load_b<HEAD_DIM>(b[at % under_way], keys, at % key_pairs * 16, at / key_pairs * 2);
  };
#pragma unroll
  for (int at = 0; at + 1 < under_way; ++at) load(at);
  Fragments a;
#pragma unroll
  for (int at = 0; at < steps * key_pairs; ++at) {
    const int step = at / key_pairs, n = at % key_pairs;
    load(at + under_way - 1);
    if (n == 0 && !keeps_queries) load_queries(a, queries, step);
    const Fragments& mine = keeps_queries ? kept[step] : a;
    const u32(&pair)[4] = b[at % under_way];
#pragma unroll
    for (int m = 0; m < PIECES; ++m) {
      mma_k16<ELEMENT>(score[m][2 * n], mine.at[m], {pair[0], pair[1]});
      mma_k16<ELEMENT>(score[m][2 * n + 1], mine.at[m], {pair[2], pair[3]});
    }
  }
  if constexpr (odd) {
    if constexpr (!keeps_queries) load_odd_queries(a, queries);
    const Fragments& mine = keeps_queries ? kept[query_steps - 1] : a;
#pragma unroll
    for (int n = 0; n < key_pairs; ++n) {
      u32 pair[2];
      load_half_piece<HEAD_DIM>(pair, keys, n * 16, chunks - 1);
#pragma unroll
      for (int m = 0; m < PIECES; ++m) {
        mma_k8<ELEMENT>(score[m][2 * n], {mine.at[m][0], mine.at[m][1]}, {pair[0]});
        mma_k8<ELEMENT>(score[m][2 * n + 1], {mine.at[m][0], mine.at[m][1]}, {pair[1]});
      }
    }
  }
}

// P as 16 bits: the accumulators of two tiles of eight keys are, as pairs, the A operand of the product with their sixteen values.
using Weights = u32[PIECES][key_pairs][4];

DEVICE void take_weights(Weights& weights, const Scores& p, float factor) {
#pragma unroll
  for (int m = 0; m < PIECES; ++m)
    for (int k = 0; k < 2 * key_pairs; ++k)
      for (int i = 0; i < 2; ++i) weights[m][k / 2][k % 2 * 2 + i] = pack<ELEMENT>(p[m][k][2 * i] * factor, p[m][k][2 * i + 1] * factor);
}

// sums += P V.
DEVICE void add_values(Sums& sums, const Weights& weights, shared_place values) {
  constexpr int pairs = chunks / 2;
  u32 b[under_way][4];
  auto load = [&](int at) {
    if (at < key_pairs * pairs) load_b_transposed<HEAD_DIM>(b[at % under_way], values, at / pairs * 16, at % pairs * 2);
  };
#pragma unroll
  for (int at = 0; at + 1 < under_way; ++at) load(at);
#pragma unroll
  for (int at = 0; at < key_pairs * pairs; ++at) {
    load(at + under_way - 1);
    const u32(&pair)[4] = b[at % under_way];
    const int k = at / pairs, n = at % pairs;
#pragma unroll
    for (int m = 0; m < PIECES; ++m) {
      mma_k16<ELEMENT>(sums[m][2 * n], weights[m][k], {pair[0], pair[1]});
      mma_k16<ELEMENT>(sums[m][2 * n + 1], weights[m][k], {pair[2], pair[3]});
    }
  }
  if constexpr (odd) {
#pragma unroll
    for (int k = 0; k < key_pairs; ++k) {
      u32 last[2];
      load_half_piece<HEAD_DIM, true>(last, values, k * 16, chunks - 1);
#pragma unroll
      for (int m = 0; m < PIECES; ++m) mma_k16<ELEMENT>(sums[m][chunks - 1], weights[m][k], last);
    }
  }
}

DEVICE void scale_sums(Sums& sums, const float (&factor)[2 * PIECES]) {
#pragma unroll
  for (int m = 0; m < PIECES; ++m)
    for (int n = 0; n < chunks; ++n)
      for (int i = 0; i < 4; ++i) sums[m][n][i] *= factor[2 * m + i / 2];
}

// One thread's share of its rows: g and g + 8 of every sixteen.
struct Softmax {
  float most[2 * PIECES], sum[2 * PIECES];

  // Scores, times `factor`, become probabilities relative to the largest that was taken for a measure; older sums are brought up to date.
  DEVICE void take(Scores& score, float factor, Sums& sums) {
    float older[2 * PIECES], shift[2 * PIECES];
    bool grown = false;
#pragma unroll
    for (int r = 0; r < 2 * PIECES; ++r) {
      float largest = minus_infinity();
      for (int n = 0; n < 2 * key_pairs; ++n) largest = fmaxf(largest, fmaxf(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]));
      largest = fmaxf(largest, shuffle_xor(largest, 1));
      largest = fmaxf(largest, shuffle_xor(largest, 2));
      if (scaled) largest *= factor;
      older[r] = 1.0f;
      if (largest > most[r] + most_growth) {
        older[r] = exp2_approx(most[r] - largest);
        most[r] = largest, grown = true;
      }
      // While everything is hidden the maximum is -infinity; zero takes its place, as -infinity - -infinity would be NaN.
      shift[r] = most[r] == minus_infinity() ? 0.0f : most[r];
    }
    if (ptx::any(grown)) {
      scale_sums(sums, older);
#pragma unroll
      for (int r = 0; r < 2 * PIECES; ++r) sum[r] *= older[r];
    }
#pragma unroll
    for (int r = 0; r < 2 * PIECES; ++r)
      for (int n = 0; n < 2 * key_pairs; ++n)
        for (int i = r % 2 * 2; i < r % 2 * 2 + 2; ++i) {
          float& p = score[r / 2][n][i];
          p = exp2_approx(scaled ? fused_multiply_add(p, factor, -shift[r]) : p - shift[r]);
          sum[r] += p;
        }
  }
};

// Rows see their slots only; `slot` is the tile's first.
DEVICE void hide(Scores& score, const Range (&mine)[2 * PIECES], int slot) {
#pragma unroll
  for (int r = 0; r < 2 * PIECES; ++r)
    for (int n = 0; n < 2 * key_pairs; ++n)
      for (int i = 0; i < 2; ++i) {
        const int key = slot + n * 8 + lane_index() % 4 * 2 + i;
        if (key < mine[r].begin || key >= mine[r].end) score[r / 2][n][r % 2 * 2 + i] = minus_infinity();
      }
}

// bfloat16: f32 rows of q into the tile. Rows past the last repeat it: nobody reads what becomes of them.
DEVICE void fetch_queries(u16* tile, const float* q, const Queries& rows, int first_row, int heads, int head, float factor) {
  constexpr int total = QUERIES * chunks, batch = 4;
  const bool vectors = vectors_allowed(4, HEAD_DIM, q);
  for (int from = thread_index(); from < total; from += batch * threads) {
    Floats<8> values[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int at = from + i * threads < total ? from + i * threads : total - 1, asked = rows.first + at / chunks, row = asked < rows.count ? asked : rows.count - 1;
      const u64 index = static_cast<u64>(first_row + row / rows.group) * heads + head + row % rows.group;
      values[i] = load_eight(q + index * HEAD_DIM + at % chunks * 8, vectors);
    }
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int at = from + i * threads;
      if (at < total) store16(tile + tile_offset<HEAD_DIM>(at / chunks, at % chunks), round_eight<ELEMENT>(values[i], factor));
    }
  }
}

// block x: tile of packed query rows, the last first, because those usually see most; block y: key head.
KERNEL(threads) attention_forward_mma(const void* q, const ELEMENT* k, const ELEMENT* v, const float* q_scales, const float* k_scales,
                                      const float* v_scales, const Sequence* sequences, int sequence_count, const int* key_start,
                                      const int* key_end, float factor, float* y, float* lse, int heads, int key_heads, int key_blocks) {
  constexpr int tile_elements = KEYS * HEAD_DIM;
  u16* const queries = dynamic_shared<u16>();
  u16* const tiles = queries + QUERIES * HEAD_DIM;  // K and V of a stage
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
  const int row = first + warp_index() * warp_rows + lane_index() / 4;
  Range mine[2 * PIECES], warp = range_of(0, 0);
#pragma unroll
  for (int r = 0; r < 2 * PIECES; ++r) mine[r] = rows.of_row(row + 8 * r), warp = r == 0 ? mine[r] : join(warp, mine[r]);
  warp = warp_join(warp);

  int slot = tile.begin / KEYS * KEYS;
  auto fetch_keys = [&](int at, int stage) {
    if (at < tile.end) fetch<KEYS>(tiles + 2 * stage * tile_elements, k + static_cast<u64>(at) * HEAD_DIM);
  };
  auto fetch_values = [&](int at, int stage) {
    if (at < tile.end) fetch<KEYS>(tiles + (2 * stage + 1) * tile_elements, v + static_cast<u64>(at) * HEAD_DIM);
  };
  fetch_keys(slot, 0);
  if (STAGES > 1) fetch_values(slot, 0);
  if constexpr (scaled) fetch<QUERIES>(queries, static_cast<const ELEMENT*>(q) + query_row * HEAD_DIM);
  else fetch_queries(queries, static_cast<const float*>(q), rows, first_row, heads, block_y() * group, factor);
  Sums sums = {};
  float query_scale = 1.0f, value_scale = 0.0f;
  Softmax softmax;
  for (int r = 0; r < 2 * PIECES; ++r) softmax.most[r] = minus_infinity(), softmax.sum[r] = 0.0f;
  if constexpr (scaled) query_scale = q_scales[(query_row + warp_index() * warp_rows) / group_rows];
  Kept kept;
  if constexpr (keeps_queries) {
    sync_block();
    keep_queries(kept, place_of(queries));
  }
  for (int stage = 0; slot < tile.end; slot += KEYS, stage = STAGES - 1 - stage) {
    arrive();
    if (STAGES > 1) fetch_keys(slot + KEYS, 1 - stage);
    fetch_values(STAGES > 1 ? slot + KEYS : slot, STAGES > 1 ? 1 - stage : 0);
    const u16 *const keys = tiles + 2 * stage * tile_elements, *const values = keys + tile_elements;
    const bool seen = slot < warp.end && slot + KEYS > warp.begin;
    Scores score;
    if (seen) {
      score_tile(score, kept, place_of(queries), place_of(keys));
      if (slot < warp.common_begin || slot + KEYS > warp.common_end) hide(score, mine, slot);
      softmax.take(score, scaled ? query_scale * k_scales[(key_row + slot) / group_rows] : 1.0f, sums);
    }
    if (STAGES == 1) {
      arrive();
      fetch_keys(slot + KEYS, 0);
    }
    if (!seen) continue;
    float weight = 1.0f;
    if constexpr (scaled) {
      // The sums are in units of the largest value scale so far, and 2^-weight_bits of it.
      const float scale = v_scales[(key_row + slot) / group_rows], larger = fmaxf(scale, value_scale);
      if (larger != value_scale) {
        float older[2 * PIECES];
        for (int r = 0; r < 2 * PIECES; ++r) older[r] = value_scale / larger;
        scale_sums(sums, older);
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
  for (int r = 0; r < 2 * PIECES; ++r) {
    float total = softmax.sum[r];
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    if (row + 8 * r >= count) continue;
    const u64 index = static_cast<u64>(first_row + (row + 8 * r) / group) * heads + block_y() * group + (row + 8 * r) % group;
    float inverse = total == 0.0f ? 0.0f : 1.0f / total;
    if constexpr (scaled) inverse *= value_scale * (1.0f / (1 << weight_bits));
    float* out = y + index * HEAD_DIM + lane_index() % 4 * 2;
#pragma unroll
    for (int n = 0; n < chunks; ++n) store8(out + n * 8, {float_bits(sums[r / 2][n][r % 2 * 2] * inverse), float_bits(sums[r / 2][n][r % 2 * 2 + 1] * inverse)});
    if (lse != nullptr && lane_index() % 4 == 0) lse[index] = total == 0.0f ? minus_infinity() : (softmax.most[r] + log2f(total)) * ln_2;
  }
}
