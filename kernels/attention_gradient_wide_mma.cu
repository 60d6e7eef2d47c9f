// attention_gradient_wide_mma: the backward pass of attention on tensor cores for heads of 256, from sm_80 on; two kernels, no sum leaves its block
// q (times scale * log2 e), k, v, dY and the statistics of the rows as attention_pack leaves them; dQ [T, N, H], dK, dV [T, K, H] f32
// S = row.column, dP = the same of the second operands, P = 2^(S - lse), dS = P * (dP - D);  dQ = scale dS k,  dK = ln 2 dS^T q,  dV = P^T dY
// Four warps are a group, as in attention_wide_mma: of 64 by 64 scores a warp computes 32 by 32, of 64 by 256 sums 64 by 64; P and dS go through
// shared memory. Keys: 64 of them stay, queries pass; one group computes P and dV, the other dS and dK. Queries: each group has 64 of its own, and
// V arrives while K is read, K while V is
// 14 N H (visible keys) FLOP; shared memory below, at most 227 KiB
// defines: QUERIES (64 or 128, of the query kernel), STAGES (1 or 2, of the key kernel)
// source: arXiv:2307.08691, kernels.md 1.2
#include "attention.cuh"

using namespace attention;

#ifndef QUERIES
#define QUERIES 128
#endif
#ifndef STAGES
#define STAGES 2
#endif

using element = bfloat16;
constexpr int head_dim = 256, chunks = head_dim / 8, side = 64, group_threads = 128;
constexpr int tile_elements = side * head_dim, weight_elements = side * side;
constexpr int query_groups = QUERIES / side, query_threads = QUERIES * 2, key_threads = 2 * group_threads;
constexpr int query_bytes = (2 * query_groups + 2) * tile_elements * 2 + query_groups * (weight_elements * 2 + (side + 1) * 16);
constexpr int key_bytes = (2 + 2 * STAGES) * tile_elements * 2 + 2 * weight_elements * 2 + weight_elements * 4 + STAGES * side * 16;
static_assert(query_bytes <= 227 * 1024 && key_bytes <= 227 * 1024, "more shared memory than any card has");

// 64 rows of a packed matrix into a tile, by the block's `threads`. Places repeat after eight rows: few addresses, many constant steps.
template <int threads> DEVICE void fetch(u16* tile, const element* source) {
  constexpr int rows = threads / chunks, passes = 8 / rows, at_a_time = 8 / passes;
  const int row = thread_index() / chunks, chunk = thread_index() % chunks;
  source += thread_index() * 8;
#pragma unroll
  for (int pass = 0; pass < passes; ++pass) {
    const shared_place place = place_of(tile) + 2 * tile_offset<head_dim>(row + pass * rows, chunk);
#pragma unroll at_a_time
    for (int i = 0; i < side; i += 8) copy_async16(place + i * head_dim * 2, source + (pass * rows + i) * head_dim);
  }
}
DEVICE void arrive() {
  copy_async_wait<0>();
  sync_block();
}

// As in attention_wide_mma.cu.
struct Places { shared_place at[4]; };
template <int width> DEVICE Places places_of(const u16* tile, int row, int chunk) {
  Places places;
#pragma unroll
  for (int i = 0; i < 4; ++i) places.at[i] = place_of(tile) + 2 * (row * width + ((2 * i + chunk) ^ (row & 7)) * 8);
  return places;
}

DEVICE int group_index() { return warp_index() / 4; }
DEVICE int group_warp() { return warp_index() % 4; }
DEVICE void sync_group() { sync_named(1 + group_index(), group_threads); }
// Of the thread's scores within the 64 by 64: rows are 8 apart, four of them; columns come in pairs, 8 apart.
DEVICE int thread_row() { return group_warp() / 2 * 32 + lane_index() / 4; }
DEVICE int thread_column() { return group_warp() % 2 * 32 + lane_index() % 4 * 2; }

using Scores = float[2][4][4];  // sixteen rows by eight columns a piece
using Sums = float[4][8][4];

// score = the warp's 32 rows times its 32 columns; with a depth of 1 fewer registers.
template <int depth = 2> DEVICE void score_tile(Scores& score, const u16* rows, const u16* columns) {
  const int lane = lane_index();
  const Places a_places = places_of<head_dim>(rows, group_warp() / 2 * 32 + lane % 16, lane / 16);
  const Places b_places = places_of<head_dim>(columns, group_warp() % 2 * 32 + lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int m = 0; m < 2; ++m)
    for (int n = 0; n < 4; ++n)
      for (int i = 0; i < 4; ++i) score[m][n][i] = 0.0f;
  u32 a[depth][2][4], b[2][4];  // fragments are on their way while others are multiplied
  auto load_rows = [&](int step, int m) { load_matrix<4>(a[step % depth][m], a_places.at[step % 4] + step / 4 * 128 + m * 16 * head_dim * 2); };
  auto load_columns = [&](int at) { load_matrix<4>(b[at % 2], b_places.at[at / 2 % 4] + at / 8 * 128 + at % 2 * 16 * head_dim * 2); };
  load_rows(0, 0), load_rows(0, 1), load_columns(0);
#pragma unroll
  for (int at = 0; at < head_dim / 8; ++at) {
    const int step = at / 2, half = at % 2;
    if (at + 1 < head_dim / 8) load_columns(at + 1);
    if (depth > 1 && step + 1 < head_dim / 16) load_rows(step + 1, half);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      mma_k16<element>(score[m][2 * half], a[step % depth][m], {b[half][0], b[half][1]});
      mma_k16<element>(score[m][2 * half + 1], a[step % depth][m], {b[half][2], b[half][3]});
      if (depth == 1 && half == 1 && step + 1 < head_dim / 16) load_rows(step + 1, m);
    }
  }
}

// sums += the group's weights times the warp's 64 columns of H.
DEVICE void add_tile(Sums& sums, const u16* weights, const u16* columns) {
  const int lane = lane_index();
  const Places a_places = places_of<side>(weights, lane % 16, lane / 16);
  const Places b_places = places_of<head_dim>(columns + group_warp() * 64, lane % 16, lane / 16);
  u32 a[2][4][4], b[2][4];
#pragma unroll
  for (int m = 0; m < 4; ++m) load_matrix<4>(a[0][m], a_places.at[0] + m * 16 * side * 2);
  load_matrix<4, true>(b[0], b_places.at[0]);
#pragma unroll
  for (int at = 0; at < 16; ++at) {
    const int k = at / 4, n = at % 4, next = at + 1;
    if (next < 16) load_matrix<4, true>(b[next % 2], b_places.at[next % 4] + next / 4 * 16 * head_dim * 2);
    if (k < 3) load_matrix<4>(a[(k + 1) % 2][n], a_places.at[(k + 1) % 4] + n * 16 * side * 2);
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      mma_k16<element>(sums[m][2 * n], a[k % 2][m], {b[at % 2][0], b[at % 2][1]});
      mma_k16<element>(sums[m][2 * n + 1], a[k % 2][m], {b[at % 2][2], b[at % 2][3]});
    }
  }
}

// The group's P or dS as 16 bits.
DEVICE void offer(u16* weights, const Scores& score) {
#pragma unroll
  for (int r = 0; r < 4; ++r)
    for (int n = 0; n < 4; ++n) {
      u16* const place = weights + tile_offset<side>(thread_row() + 8 * r, group_warp() % 2 * 4 + n) + lane_index() % 4 * 2;
      *reinterpret_cast<u32*>(place) = pack<element>(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]);
    }
}

// Row `row` of the group's 64 by 256, the thread's share.
DEVICE void put_row(float* to, const Sums& sums, int r, float factor, bool accumulate) {
  to += group_warp() * 64 + lane_index() % 4 * 2;
#pragma unroll
  for (int n = 0; n < 8; ++n) {
    float low = sums[r / 2][n][r % 2 * 2] * factor, high = sums[r / 2][n][r % 2 * 2 + 1] * factor;
    if (accumulate) {
      const uint2 old = load8(to + n * 8);
      low += bits_float(old.x), high += bits_float(old.y);
    }
    store8(to + n * 8, {float_bits(low), float_bits(high)});
  }
}

// dQ. block x: QUERIES packed query rows, the last first; block y: key head.
KERNEL(query_threads, 1) attention_query_gradient_wide_mma(const element* q, const element* k, const element* v, const element* dy, const uint4* statistics,
                                                           const Sequence* sequences, int sequence_count, float scale, float* dq, int accumulate,
                                                           int heads, int key_heads, int key_blocks) {
  const int packed = (grid_x() - 1 - block_x()) * QUERIES, group = heads / key_heads, query_blocks = grid_x() * QUERIES / block_rows;
  const Sequence& sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::query_block);
  const int first = packed - sequence.query_block * block_rows, count = sequence.row_count * group, own = first + group_index() * side;
  if (first >= count) return;
  const u64 query_row = (static_cast<u64>(block_y()) * query_blocks + sequence.query_block) * block_rows;
  const u64 key_row = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows;
  q += (query_row + first) * head_dim, dy += (query_row + first) * head_dim, k += key_row * head_dim, v += key_row * head_dim;
  statistics += query_row;

  u16* const rows = dynamic_shared<u16>();  // Q and dY of every group
  u16 *const keys = rows + 2 * query_groups * tile_elements, *const values = keys + tile_elements;
  u16* const weights = values + tile_elements + group_index() * weight_elements;
  // Of the group's rows, and what all of them together see; here, because registers are scarce.
  uint4* const numbers = reinterpret_cast<uint4*>(values + tile_elements + query_groups * weight_elements) + group_index() * (side + 1);
  const u16 *const queries = rows + 2 * group_index() * tile_elements, *const slopes = queries + tile_elements;

  // Slots that the block's rows see, that the group's do, and that all of the group's do.
  int begin = 0x7fffffff, end = 0, own_begin = 0x7fffffff, own_end = 0, common_begin = 0, common_end = 0x7fffffff;
  for (int i = lane_index(); i < QUERIES; i += 32) {
    const Statistics row = statistics_of(statistics, first + i);
    const bool seen = row.start < row.end, mine = i / side == group_index();
    if (mine && group_warp() == 0) store16(numbers + i % side, {float_bits(row.lse), float_bits(row.row_sum), static_cast<u32>(row.start), static_cast<u32>(row.end)});
    if (seen) begin = row.start < begin ? row.start : begin, end = row.end > end ? row.end : end;
    if (seen && mine) own_begin = row.start < own_begin ? row.start : own_begin, own_end = row.end > own_end ? row.end : own_end;
    if (mine) common_begin = row.start > common_begin ? row.start : common_begin, common_end = row.end < common_end ? row.end : common_end;
  }
  for (int step = 16; step > 0; step >>= 1) {
    auto least = [=](int v) { const int other = shuffle_xor(v, step); return other < v ? other : v; };
    auto most = [=](int v) { const int other = shuffle_xor(v, step); return other > v ? other : v; };
    begin = least(begin), own_begin = least(own_begin), common_end = least(common_end);
    end = most(end), own_end = most(own_end), common_begin = most(common_begin);
  }
  if (group_warp() == 0 && lane_index() == 0)
    store16(numbers + side, {static_cast<u32>(own_begin), static_cast<u32>(own_end), static_cast<u32>(common_begin), static_cast<u32>(common_end)});

  Sums sums = {};
  int slot = begin / side * side;
  if (slot < end) {
    fetch<query_threads>(values, v + static_cast<u64>(slot) * head_dim);
    for (int g = 0; g < query_groups; ++g) {
      fetch<query_threads>(rows + 2 * g * tile_elements, q + g * tile_elements);
      fetch<query_threads>(rows + (2 * g + 1) * tile_elements, dy + g * tile_elements);
    }
  }
  copy_async_commit();
  for (; slot < end; slot += side) {
    arrive();
    const uint4 bounds = load16(numbers + side);
    const bool seen = slot < static_cast<int>(bounds.y) && slot + side > static_cast<int>(bounds.x);
    const bool whole = slot >= static_cast<int>(bounds.z) && slot + side <= static_cast<int>(bounds.w);
    fetch<query_threads>(keys, k + static_cast<u64>(slot) * head_dim);
    copy_async_commit();
    Scores slope;
    if (seen) score_tile(slope, slopes, values);
    arrive();
    if (slot + side < end) fetch<query_threads>(values, v + static_cast<u64>(slot + side) * head_dim);
    copy_async_commit();
    if (!seen) continue;
    Scores weight;
    score_tile<1>(weight, queries, keys);
    if (!whole)
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const Statistics row = statistics_of(numbers, thread_row() + 8 * r);
        for (int n = 0; n < 4; ++n)
          for (int i = 0; i < 2; ++i) {
            const int column = slot + thread_column() + n * 8 + i;
            if (column < row.start || column >= row.end) weight[r / 2][n][r % 2 * 2 + i] = minus_infinity();
          }
      }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const Statistics row = statistics_of(numbers, thread_row() + 8 * r);
      for (int n = 0; n < 4; ++n)
        for (int i = r % 2 * 2; i < r % 2 * 2 + 2; ++i)
          slope[r / 2][n][i] = exp2_approx(weight[r / 2][n][i] - row.lse) * (slope[r / 2][n][i] - row.row_sum);
    }
    offer(weights, slope);
    sync_group();
    add_tile(sums, weights, keys);
  }
  copy_async_wait<0>();
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const int row = own + lane_index() / 4 + 8 * r;
    if (row >= count) continue;
    const u64 index = static_cast<u64>(sequence.first_row + row / group) * heads + block_y() * group + row % group;
    put_row(dq + index * head_dim, sums, r, scale, accumulate != 0);
  }
}

// What the key kernel needs to know of the packed queries [row, row + 64).
struct Columns { bool seen, whole; };
DEVICE Columns columns_of(const uint4* rows, int row, int first_slot) {
  bool seen = false, whole = true;
  for (int i = lane_index(); i < side; i += 32) {
    const Statistics mine = statistics_of(rows, row + i);
    seen |= mine.start < mine.end && mine.start < first_slot + side && mine.end > first_slot;
    whole &= mine.start <= first_slot && mine.end >= first_slot + side;
  }
  return {ptx::any(seen), ptx::all(whole)};
}

// dK and dV (either may be null). block x: 64 slots; block y: key head. No sequence has a past here.
KERNEL(key_threads, 1) attention_key_gradient_wide_mma(const element* q, const element* k, const element* v, const element* dy, const uint4* statistics,
                                                       const Sequence* sequences, int sequence_count, float* dk, float* dv, int accumulate_dk,
                                                       int accumulate_dv, int heads, int key_heads, int query_blocks) {
  const int packed = block_x() * side, key_blocks = grid_x() * side / block_rows;
  const Sequence& sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::key_block);
  const int first = packed - sequence.key_block * block_rows, count = sequence.row_count, end = count * (heads / key_heads);
  if (first >= count) return;
  const u64 query_row = (static_cast<u64>(block_y()) * query_blocks + sequence.query_block) * block_rows;
  const u64 key_row = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows + first;
  q += query_row * head_dim, dy += query_row * head_dim, k += key_row * head_dim, v += key_row * head_dim;
  statistics += query_row;

  u16 *const rows = dynamic_shared<u16>(), *const tiles = rows + 2 * tile_elements;  // K and V; Q and dY of a stage
  u16* const weights = tiles + 2 * STAGES * tile_elements;                            // P, dS
  uint4* const exchange = reinterpret_cast<uint4*>(weights + 2 * weight_elements);    // P in f32, as the threads hold it
  uint4* const numbers = exchange + weight_elements / 4;                              // the statistics of a stage's columns
  const bool slopes = group_index() == 1, wanted = (slopes ? dk : dv) != nullptr;

  Columns about = {false, false};
  auto next = [&](int from) {
    while (from < end && !(about = columns_of(statistics, from, first)).seen) from += side;
    return from;
  };
  auto fetch_columns = [&](int at, int stage) {
    if (at < end) {
      fetch<key_threads>(tiles + 2 * stage * tile_elements, q + static_cast<u64>(at) * head_dim);
      fetch<key_threads>(tiles + (2 * stage + 1) * tile_elements, dy + static_cast<u64>(at) * head_dim);
      if (thread_index() < side) copy_async16(numbers + stage * side + thread_index(), statistics + at + thread_index());
    }
    copy_async_commit();
  };

  Sums sums = {};
  int tile = next(0);
  if (tile < end) fetch<key_threads>(rows, k), fetch<key_threads>(rows + tile_elements, v);
  fetch_columns(tile, 0);
  for (int stage = 0; tile < end; stage = STAGES - 1 - stage) {
    const bool whole = about.whole;
    const int following = next(tile + side);
    arrive();
    if (STAGES > 1) fetch_columns(following, 1 - stage);
    const u16* const column_tiles = tiles + 2 * stage * tile_elements;
    Scores score;
    score_tile(score, rows + group_index() * tile_elements, column_tiles + group_index() * tile_elements);
    if (!slopes) {
#pragma unroll
      for (int n = 0; n < 4; ++n)
        for (int i = 0; i < 2; ++i) {
          const Statistics of = statistics_of(numbers + stage * side, thread_column() + n * 8 + i);
          if (!whole)
            for (int r = 0; r < 4; ++r) {
              const int slot = first + thread_row() + 8 * r;
              if (slot < of.start || slot >= of.end) score[r / 2][n][r % 2 * 2 + i] = minus_infinity();
            }
          for (int r = 0; r < 4; ++r) {
            float& p = score[r / 2][n][r % 2 * 2 + i];
            p = exp2_approx(p - of.lse);
          }
        }
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float(&four)[4] = score[i / 4][i % 4];
        store16(exchange + i * group_threads + thread_index() % group_threads,
                {float_bits(four[0]), float_bits(four[1]), float_bits(four[2]), float_bits(four[3])});
      }
      if (wanted) offer(weights, score);
    }
    sync_block();
    if (slopes && wanted) {
#pragma unroll
      for (int n = 0; n < 4; ++n)
        for (int i = 0; i < 2; ++i) {
          const float row_sum = statistics_of(numbers + stage * side, thread_column() + n * 8 + i).row_sum;
          for (int r = 0; r < 4; ++r) score[r / 2][n][r % 2 * 2 + i] -= row_sum;
        }
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const uint4 p = load16(exchange + i * group_threads + thread_index() % group_threads);
        float(&four)[4] = score[i / 4][i % 4];
        four[0] *= bits_float(p.x), four[1] *= bits_float(p.y), four[2] *= bits_float(p.z), four[3] *= bits_float(p.w);
      }
      offer(weights + weight_elements, score);
      sync_group();
    }
    if (wanted) add_tile(sums, weights + group_index() * weight_elements, column_tiles + (1 - group_index()) * tile_elements);
    if (STAGES == 1) {
      sync_block();
      fetch_columns(following, 0);
    }
    tile = following;
  }
  copy_async_wait<0>();
  if (!wanted) return;
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const int row = first + lane_index() / 4 + 8 * r;
    if (row >= count) continue;
    const u64 at = (static_cast<u64>(sequence.first_row + row) * key_heads + block_y()) * head_dim;
    put_row((slopes ? dk : dv) + at, sums, r, slopes ? ln_2 : 1.0f, (slopes ? accumulate_dk : accumulate_dv) != 0);
  }
}
