// attention_gradient_mma: the backward pass of attention on tensor cores, two kernels that are mirror images; no sum leaves its block
// q (times scale * log2 e), k, v, dY and the statistics of the rows as attention_pack leaves them; dQ [T, N, H], dK, dV [T, K, H] f32
// ROWS rows stay (queries for dQ, keys for dK and dV), tiles of COLUMNS pass by (keys, or the packed queries of all heads of the group):
// S = row.column, dP = the same of the second operands, P = 2^(S - lse), dS = P * (dP - D);  dQ = scale dS k,  dK = ln 2 dS^T q,  dV = P^T dY
// SPLIT warps share sixteen rows: each computes its part of the columns' P and dS and, after an exchange, its part of the sums' H columns
// 14 N H (visible keys) FLOP; shared memory: shared_elements below; half: see `Units`
// defines: ELEMENT, HEAD_DIM (72, or a multiple of 64), ROWS (32 or 64), COLUMNS (16 or 32), SPLIT (1 or 2), STAGES (1, or from sm_80 on 2)
// source: arXiv:2307.08691, kernels.md 1.2
#include "attention.cuh"

using namespace attention;

#ifndef ELEMENT
#define ELEMENT bfloat16
#endif
#ifndef HEAD_DIM
#define HEAD_DIM 256
#endif
#ifndef ROWS
#define ROWS 64
#endif
#ifndef COLUMNS
#define COLUMNS 16
#endif
#ifndef SPLIT
#define SPLIT 2
#endif
#ifndef STAGES
#define STAGES 1
#endif

constexpr int threads = ROWS * 2 * SPLIT, group_rows = 32;
constexpr int chunks = HEAD_DIM / 8, tiles = COLUMNS / SPLIT / 8;       // tiles: of eight columns, a warp's share of the scores
constexpr int warp_chunks = chunks / SPLIT, pitch = COLUMNS + 8;        // a warp's share of the sums; elements of an exchanged row
constexpr int weight_elements = SPLIT > 1 ? ROWS * pitch : 0;
constexpr int shared_elements = (2 * ROWS + 2 * STAGES * COLUMNS) * HEAD_DIM + 2 * weight_elements;
constexpr bool scaled = is_half<ELEMENT>, odd = chunks % 2 != 0;
static_assert(chunks % SPLIT == 0 && (SPLIT == 1 || !odd) && (tiles % 2 == 0 || HEAD_DIM % 32 == 0), "the shares must be whole");
static_assert(shared_elements * 2 <= 227 * 1024, "more shared memory than any card has");
static_assert(COLUMNS <= group_rows, "one power of two for a tile of columns");
constexpr float most_weight = 1 << 14;

struct Operand { const ELEMENT* rows; const float* scales; };  // packed rows of one head of one sequence
DEVICE Operand rows_from(const ELEMENT* packed, const float* scales, u64 block) {
  return {packed + block * block_rows * HEAD_DIM, scaled ? scales + block * (block_rows / group_rows) : nullptr};
}

// As in attention_mma.cu.
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
}
DEVICE void commit() {
  if constexpr (arch >= 800) copy_async_commit();
}
template <int pending> DEVICE void arrive() {
  if constexpr (arch >= 800) copy_async_wait<pending>();
  sync_block();
}

using Scores = float[tiles][4];
using Sums = float[warp_chunks][4];

// score = sixteen rows times the warp's share of the columns.
DEVICE void score_tile(Scores& score, shared_place row_tile, int row, shared_place column_tile, int column) {
#pragma unroll
  for (int n = 0; n < tiles; ++n)
    for (int i = 0; i < 4; ++i) score[n][i] = 0.0f;
#pragma unroll
  for (int step = 0; step < chunks / 2; ++step) {
    u32 a[4];
    load_a<HEAD_DIM>(a, row_tile, row, 2 * step);
    if constexpr (tiles == 1) {
      u32 b[2];
      load_matrix<2>(b, column_tile + 2 * tile_offset<HEAD_DIM>(column + lane_index() % 8, 2 * step + lane_index() / 8 % 2));
      mma_k16<ELEMENT>(score[0], a, b);
    } else {
#pragma unroll
      for (int n = 0; n < tiles / 2; ++n) {
        u32 b[4];
        load_b<HEAD_DIM>(b, column_tile, column + n * 16, 2 * step);
        mma_k16<ELEMENT>(score[2 * n], a, {b[0], b[1]});
        mma_k16<ELEMENT>(score[2 * n + 1], a, {b[2], b[3]});
      }
    }
  }
  if constexpr (odd) {
    u32 a[2];
    load_half_piece<HEAD_DIM>(a, row_tile, row, chunks - 1);
#pragma unroll
    for (int n = 0; n < tiles / 2; ++n) {
      u32 b[2];
      load_half_piece<HEAD_DIM>(b, column_tile, column + n * 16, chunks - 1);
      mma_k8<ELEMENT>(score[2 * n], a, {b[0]});
      mma_k8<ELEMENT>(score[2 * n + 1], a, {b[1]});
    }
  }
}

// All COLUMNS weights of the warp's sixteen rows as A operands: its own accumulators, or through shared memory those of its neighbours too.
using Weights = u32[COLUMNS / 16][4];
DEVICE void offer(u16* exchange, const Scores& weight, float factor) {
  u16* const place = exchange + (warp_index() / SPLIT * 16 + lane_index() / 4) * pitch + warp_index() % SPLIT * (COLUMNS / SPLIT) + lane_index() % 4 * 2;
#pragma unroll
  for (int n = 0; n < tiles; ++n) {
    *reinterpret_cast<u32*>(place + n * 8) = pack<ELEMENT>(weight[n][0] * factor, weight[n][1] * factor);
    *reinterpret_cast<u32*>(place + 8 * pitch + n * 8) = pack<ELEMENT>(weight[n][2] * factor, weight[n][3] * factor);
  }
}
DEVICE void take(Weights& weights, const u16* exchange, const Scores& weight, float factor) {
#pragma unroll
  for (int k = 0; k < COLUMNS / 16; ++k) {
    if constexpr (SPLIT > 1) {
      load_matrix<4>(weights[k], place_of(exchange) + 2 * ((warp_index() / SPLIT * 16 + lane_index() % 16) * pitch + k * 16 + lane_index() / 16 * 8));
    } else {
      for (int i = 0; i < 4; ++i)
        weights[k][i] = pack<ELEMENT>(weight[2 * k + i / 2][i % 2 * 2] * factor, weight[2 * k + i / 2][i % 2 * 2 + 1] * factor);
    }
  }
}

// sums += weights times the warp's share of the columns' H.
DEVICE void add_tile(Sums& sums, const Weights& weights, shared_place column_tile) {
  const int first = warp_index() % SPLIT * warp_chunks;
#pragma unroll
  for (int k = 0; k < COLUMNS / 16; ++k) {
#pragma unroll
    for (int n = 0; n < warp_chunks / 2; ++n) {
      u32 b[4];
      load_b_transposed<HEAD_DIM>(b, column_tile, k * 16, first + 2 * n);
      mma_k16<ELEMENT>(sums[2 * n], weights[k], {b[0], b[1]});
      mma_k16<ELEMENT>(sums[2 * n + 1], weights[k], {b[2], b[3]});
    }
    if constexpr (odd) {
      u32 b[2];
      load_half_piece<HEAD_DIM, true>(b, column_tile, k * 16, chunks - 1);
      mma_k16<ELEMENT>(sums[chunks - 1], weights[k], b);
    }
  }
}

// The unit that sums are kept in. Half only: it grows to the largest that a tile asks for, a power of two, and weights are divided by it.
struct Units {
  float unit = 0.0f;
  DEVICE void grow(float asked, Sums& sums) {
    if constexpr (!scaled) return;
    asked = fmaxf(asked, 1e-36f);
    if (asked <= unit) return;
    const float older = unit / asked;
#pragma unroll
    for (int n = 0; n < warp_chunks; ++n)
      for (int i = 0; i < 4; ++i) sums[n][i] *= older;
    unit = asked;
  }
};
// |dS| <= |dP| + |D|, and dP sums H products of at most 2^30 times both powers of two: what dS may be divided by so that it fits half.
DEVICE float slope_unit(float scales, float largest_sum) {
  const float bound = 2.0f * fmaxf(scales * (HEAD_DIM * 1073741824.0f), largest_sum);
  return fmaxf(bits_float((float_bits(bound) & 0x7f800000u) + (1u << 23)) * (1.0f / 32768), 1e-30f);
}

// What a column tile needs to know of the packed queries [row, row + COLUMNS).
struct Columns { bool seen, whole; float largest_sum; };
DEVICE Columns columns_of(const uint4* rows, int row, int first_slot) {
  const Statistics mine = statistics_of(rows, row + lane_index() % COLUMNS);
  const bool seen = mine.start < mine.end && mine.start < first_slot + ROWS && mine.end > first_slot;
  return {ptx::any(seen), ptx::all(mine.start <= first_slot && mine.end >= first_slot + ROWS), scaled ? warp_max(fabsf(mine.row_sum)) : 0.0f};
}

template <bool by_keys> struct Pass {
  Operand row[2], column[2];   // keys and values, or queries and dY
  const uint4* statistics;     // of the packed query rows of this head and sequence
  int first_row, column_end;   // of the rows in the tile; columns from 0 on, or those that the tile's queries see
  bool wants_slope, wants_weight;

  // The next column tile with something to see, from `from` on.
  DEVICE int next(int from, Columns& about) const {
    if constexpr (by_keys)
      while (from < column_end && !(about = columns_of(statistics, from, first_row)).seen) from += COLUMNS;
    return from;
  }

  DEVICE void run(u16* shared, int from, Sums& slope_sums, Sums& weight_sums, Units& slope_units, Units& weight_units) const {
    u16 *const row_tile[2] = {shared, shared + ROWS * HEAD_DIM}, *const column_tiles = shared + 2 * ROWS * HEAD_DIM;
    u16* const exchange = column_tiles + 2 * STAGES * COLUMNS * HEAD_DIM;
    const int warp_row = warp_index() / SPLIT * 16, share = warp_index() % SPLIT * (COLUMNS / SPLIT), thread_column = share + lane_index() % 4 * 2;
    Statistics mine[2];
    float largest_sum = 0.0f, row_scale[2] = {1.0f, 1.0f};
    int common_start = 0, common_end = 0x7fffffff;
    if constexpr (!by_keys) {
      for (int r = 0; r < 2; ++r) {
        mine[r] = statistics_of(statistics, first_row + warp_row + lane_index() / 4 + 8 * r);
        common_start = mine[r].start > common_start ? mine[r].start : common_start;
        common_end = mine[r].end < common_end ? mine[r].end : common_end;
      }
      if constexpr (scaled) largest_sum = warp_max(fmaxf(fabsf(mine[0].row_sum), fabsf(mine[1].row_sum)));
    }
    if constexpr (scaled)
      for (int i = 0; i < 2; ++i) row_scale[i] = row[i].scales[(first_row + warp_row) / group_rows];

    Columns about = {true, false, largest_sum}, following = about;
    int tile = next(from, about);
    for (int i = 0; i < 2; ++i) fetch<ROWS>(row_tile[i], row[i].rows + static_cast<u64>(first_row) * HEAD_DIM);
    auto fetch_columns = [&](int at, int stage) {
      if (at < column_end)
        for (int i = 0; i < 2; ++i)
          fetch<COLUMNS>(column_tiles + (2 * stage + i) * COLUMNS * HEAD_DIM, column[i].rows + static_cast<u64>(at) * HEAD_DIM);
      commit();
    };
    fetch_columns(tile, 0);
    for (int stage = 0, following_tile; tile < column_end; tile = following_tile, about = following, stage = STAGES - 1 - stage) {
      following_tile = next(tile + COLUMNS, following);
      if constexpr (STAGES == 2) fetch_columns(following_tile, 1 - stage);
      arrive<STAGES - 1>();
      const shared_place first = place_of(column_tiles + 2 * stage * COLUMNS * HEAD_DIM), second = first + 2 * COLUMNS * HEAD_DIM;

      Scores weight, slope = {};
      score_tile(weight, place_of(row_tile[0]), warp_row, first, share);
      if (wants_slope) score_tile(slope, place_of(row_tile[1]), warp_row, second, share);
      float score_scale = 1.0f, slope_scale = 1.0f, column_scale[2] = {1.0f, 1.0f};
      if constexpr (scaled) {
        for (int i = 0; i < 2; ++i) column_scale[i] = column[i].scales[tile / group_rows];
        score_scale = row_scale[0] * column_scale[0], slope_scale = row_scale[1] * column_scale[1];
      }
      const bool whole = by_keys ? about.whole : ptx::all(common_start <= tile && common_end >= tile + COLUMNS);
#pragma unroll
      for (int n = 0; n < tiles; ++n)
        for (int i = 0; i < 4; ++i) {
          const int at = tile + thread_column + n * 8 + i % 2, slot = by_keys ? first_row + warp_row + lane_index() / 4 + i / 2 * 8 : at;
          const Statistics of = by_keys ? statistics_of(statistics, at) : mine[i / 2];
          const bool seen = whole || (slot >= of.start && slot < of.end);
          const float p = seen ? exp2_approx(scaled ? fused_multiply_add(weight[n][i], score_scale, -of.lse) : weight[n][i] - of.lse) : 0.0f;
          weight[n][i] = p;
          slope[n][i] = p * ((scaled ? slope[n][i] * slope_scale : slope[n][i]) - of.row_sum);
        }

      float slope_factor = 1.0f, weight_factor = 1.0f;
      if constexpr (scaled) {
        slope_units.grow(slope_unit(slope_scale, by_keys ? about.largest_sum : largest_sum) * column_scale[0], slope_sums);
        slope_factor = column_scale[0] / slope_units.unit;
        weight_units.grow(column_scale[1] * (1.0f / most_weight), weight_sums);
        weight_factor = column_scale[1] / weight_units.unit;
      }
      if constexpr (SPLIT > 1) {
        if (wants_slope) offer(exchange, slope, slope_factor);
        if (wants_weight) offer(exchange + weight_elements, weight, weight_factor);
        sync_named(1 + warp_index() / SPLIT, 32 * SPLIT);
      }
      Weights weights;
      if (wants_slope) {
        take(weights, exchange, slope, slope_factor);
        add_tile(slope_sums, weights, first);
      }
      if (wants_weight) {
        take(weights, exchange + weight_elements, weight, weight_factor);
        add_tile(weight_sums, weights, second);
      }
      sync_block();
      if constexpr (STAGES == 1) fetch_columns(following_tile, 0);
    }
    arrive<0>();
  }
};

DEVICE void put_row(float* row, const Sums& sums, int r, float factor, bool accumulate) {
  row += (warp_index() % SPLIT * warp_chunks) * 8 + lane_index() % 4 * 2;
#pragma unroll
  for (int n = 0; n < warp_chunks; ++n) {
    float low = sums[n][2 * r] * factor, high = sums[n][2 * r + 1] * factor;
    if (accumulate) {
      const uint2 old = load8(row + n * 8);
      low += bits_float(old.x), high += bits_float(old.y);
    }
    store8(row + n * 8, {float_bits(low), float_bits(high)});
  }
}

// dQ. block x: tile of packed query rows, the last first; block y: key head.
KERNEL(threads) attention_query_gradient_mma(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const ELEMENT* dy, const float* q_scales,
                                             const float* k_scales, const float* v_scales, const float* dy_scales, const uint4* statistics,
                                             const Sequence* sequences, int sequence_count, float scale, float* dq, int accumulate, int heads,
                                             int key_heads, int key_blocks) {
  const int packed = (grid_x() - 1 - block_x()) * ROWS, group = heads / key_heads, query_blocks = grid_x() * ROWS / block_rows;
  const Sequence& sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::query_block);
  const int first = packed - sequence.query_block * block_rows, count = sequence.row_count * group;
  if (first >= count) return;
  const u64 query_block = static_cast<u64>(block_y()) * query_blocks + sequence.query_block;
  const u64 key_block = static_cast<u64>(block_y()) * key_blocks + sequence.key_block;
  Pass<false> pass = {{rows_from(q, q_scales, query_block), rows_from(dy, dy_scales, query_block)},
                      {rows_from(k, k_scales, key_block), rows_from(v, v_scales, key_block)},
                      statistics + query_block * block_rows, first, 0, true, false};
  int begin = 0x7fffffff;
  for (int i = lane_index(); i < ROWS; i += 32) {
    const Statistics row = statistics_of(pass.statistics, first + i);
    if (row.start >= row.end) continue;
    begin = row.start < begin ? row.start : begin;
    pass.column_end = row.end > pass.column_end ? row.end : pass.column_end;
  }
  for (int step = 16; step > 0; step >>= 1) {
    const int other_begin = shuffle_xor(begin, step), other_end = shuffle_xor(pass.column_end, step);
    begin = other_begin < begin ? other_begin : begin;
    pass.column_end = other_end > pass.column_end ? other_end : pass.column_end;
  }
  Sums sums = {}, unused = {};
  Units units, unused_units;
  pass.run(dynamic_shared<u16>(), begin / COLUMNS * COLUMNS, sums, unused, units, unused_units);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first + warp_index() / SPLIT * 16 + lane_index() / 4 + 8 * r;
    if (row >= count) continue;
    const u64 index = static_cast<u64>(sequence.first_row + row / group) * heads + block_y() * group + row % group;
    put_row(dq + index * HEAD_DIM, sums, r, scaled ? scale * units.unit : scale, accumulate != 0);
  }
}

// dK and dV (either may be null). block x: tile of slots; block y: key head. No sequence has a past here.
KERNEL(threads, 1) attention_key_gradient_mma(const ELEMENT* q, const ELEMENT* k, const ELEMENT* v, const ELEMENT* dy, const float* q_scales,
                                           const float* k_scales, const float* v_scales, const float* dy_scales, const uint4* statistics,
                                           const Sequence* sequences, int sequence_count, float* dk, float* dv, int accumulate_dk,
                                           int accumulate_dv, int heads, int key_heads, int query_blocks) {
  const int packed = block_x() * ROWS, key_blocks = grid_x() * ROWS / block_rows;
  const Sequence& sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::key_block);
  const int first = packed - sequence.key_block * block_rows, count = sequence.row_count;
  if (first >= count) return;
  const u64 query_block = static_cast<u64>(block_y()) * query_blocks + sequence.query_block;
  const u64 key_block = static_cast<u64>(block_y()) * key_blocks + sequence.key_block;
  const Pass<true> pass = {{rows_from(k, k_scales, key_block), rows_from(v, v_scales, key_block)},
                           {rows_from(q, q_scales, query_block), rows_from(dy, dy_scales, query_block)},
                           statistics + query_block * block_rows, first, count * (heads / key_heads), dk != nullptr, dv != nullptr};
  Sums dk_sums = {}, dv_sums = {};
  Units dk_units, dv_units;
  pass.run(dynamic_shared<u16>(), 0, dk_sums, dv_sums, dk_units, dv_units);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first + warp_index() / SPLIT * 16 + lane_index() / 4 + 8 * r;
    if (row >= count) continue;
    const u64 at = (static_cast<u64>(sequence.first_row + row) * key_heads + block_y()) * HEAD_DIM;
    if (dk != nullptr) put_row(dk + at, dk_sums, r, scaled ? ln_2 * dk_units.unit : ln_2, accumulate_dk != 0);
    if (dv != nullptr) put_row(dv + at, dv_sums, r, scaled ? dv_units.unit : 1.0f, accumulate_dv != 0);
  }
}
