// attention: y = softmax(scale q k^T) v, every row over its own interval of key slots; forward, and backward in two passes
// q, y [T, N, H], k, v [T, K, H], lse [T, N] natural logarithm, all f32; key slots come from the past (ring or pages, f32 or bfloat16) and from the current rows
// a block takes 32 rows against 64 columns at a time, four by four to a thread; rows = token * group + head, so a key is read once for its group
// P = exp(scale q k^T - lse), D = sum dY*y:  dV = P^T dY,  dS = P * (dY v^T - D),  dQ = scale dS k,  dK = scale dS^T q; no sum leaves its block
// 4 N H (visible keys) FLOP forward, 14 N H backward; f32 throughout, runs on every card
// defines: HEAD_LIMIT (96, or a multiple of 64): H is any size up to it
// source: arXiv:2205.14135, arXiv:2307.08691
#include "attention.cuh"

using namespace attention;

#ifndef HEAD_LIMIT
#define HEAD_LIMIT 256
#endif

constexpr int threads = 128;
constexpr int rows = 32, columns = 64, depth = 32;  // of a tile, and how much of H is staged at a time
constexpr int pitch = depth + 4;                    // floats; keeps rows 16-byte aligned and off each other's banks
constexpr int span = HEAD_LIMIT % 64 == 0 ? 4 : 2;  // columns of H to a thread
constexpr int slab = 16 * span, slabs = HEAD_LIMIT / slab;
static_assert(HEAD_LIMIT % slab == 0, "HEAD_LIMIT is 96 or a multiple of 64");

// What a tile holds in shared memory: `staged` is a piece of both operands of a score, later a slab of values; `weights` is P or dS, transposed.
struct Tile {
  float staged[(rows + columns) * pitch > columns * slab ? (rows + columns) * pitch : columns * slab];
  float weights[columns * pitch];
  HeadRow row[2][rows], column[2][columns];  // the operands of the first and the second score; none outside
  int index[columns];                              // token * N + head of the query rows, or -1
  int start[columns], end[columns];                // their intervals; empty outside
};

DEVICE float4 get4(const float* p) {
  const uint4 v = load16(p);
  return {bits_float(v.x), bits_float(v.y), bits_float(v.z), bits_float(v.w)};
}
DEVICE void put4(float* p, float4 v) { store16(p, {float_bits(v.x), float_bits(v.y), float_bits(v.z), float_bits(v.w)}); }

DEVICE int row_of_thread() { return thread_index() / 16 * 4; }
DEVICE int lane_of_row() { return thread_index() % 16; }  // sixteen threads share four rows
DEVICE float most_of_row(float v) {
  for (int step = 8; step > 0; step >>= 1) v = fmaxf(v, shuffle_xor(v, step));
  return v;
}
DEVICE float sum_of_row(float v) {
  for (int step = 8; step > 0; step >>= 1) v += shuffle_xor(v, step);
  return v;
}

// score[i][j] = row (row_of_thread + i) . column (lane_of_row + 16 j). Starts and ends with a barrier.
DEVICE void score_tile(Tile& tile, int operand, int head_size, bool vectors, float (&score)[4][4]) {
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) score[i][j] = 0.0f;
  for (int from = 0; from < head_size; from += depth) {
    sync_block();
    for (int i = thread_index(); i < (rows + columns) * (depth / 4); i += threads) {
      const int r = i / (depth / 4), at = i % (depth / 4) * 4;
      const HeadRow source = r < rows ? tile.row[operand][r] : tile.column[operand][r - rows];
      put4(tile.staged + r * pitch + at, four_of(source, from + at, head_size, vectors));
    }
    sync_block();
    const float *row = tile.staged + row_of_thread() * pitch, *column = tile.staged + (rows + lane_of_row()) * pitch;
    for (int at = 0; at < depth && from + at < head_size; at += 4) {
      float4 a[4], b[4];
      for (int i = 0; i < 4; ++i) a[i] = get4(row + i * pitch + at), b[i] = get4(column + i * 16 * pitch + at);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) {
          score[i][j] = fused_multiply_add(a[i].x, b[j].x, score[i][j]);
          score[i][j] = fused_multiply_add(a[i].y, b[j].y, score[i][j]);
          score[i][j] = fused_multiply_add(a[i].z, b[j].z, score[i][j]);
          score[i][j] = fused_multiply_add(a[i].w, b[j].w, score[i][j]);
        }
    }
  }
  sync_block();
}

using Sums = float[slabs][4][span];

// sums += weights . (columns' second factor, H wide). Every thread passes its own weights. Ends with reads of the tile still running.
DEVICE void add_tile(Tile& tile, int operand, int head_size, bool vectors, const float (&weight)[4][4], Sums& sums) {
  sync_block();
  for (int j = 0; j < 4; ++j)
    put4(tile.weights + (lane_of_row() + 16 * j) * pitch + row_of_thread(), {weight[0][j], weight[1][j], weight[2][j], weight[3][j]});
#pragma unroll
  for (int s = 0; s < slabs; ++s) {
    if (s * slab >= head_size) break;
    if (s > 0) sync_block();
    for (int i = thread_index(); i < columns * slab / 4; i += threads) {
      const int c = i / (slab / 4), at = i % (slab / 4) * 4;
      put4(tile.staged + c * slab + at, four_of(tile.column[operand][c], s * slab + at, head_size, vectors));
    }
    sync_block();
    for (int c = 0; c < columns; ++c) {
      const float4 w = get4(tile.weights + c * pitch + row_of_thread());
      const float* values = tile.staged + c * slab + lane_of_row() * span;
      float value[span];
      if constexpr (span == 4) {
        const float4 v = get4(values);
        value[0] = v.x, value[1] = v.y, value[2] = v.z, value[3] = v.w;
      } else {
        const uint2 v = load8(values);
        value[0] = bits_float(v.x), value[1] = bits_float(v.y);
      }
      for (int e = 0; e < span; ++e) {
        sums[s][0][e] = fused_multiply_add(w.x, value[e], sums[s][0][e]);
        sums[s][1][e] = fused_multiply_add(w.y, value[e], sums[s][1][e]);
        sums[s][2][e] = fused_multiply_add(w.z, value[e], sums[s][2][e]);
        sums[s][3][e] = fused_multiply_add(w.w, value[e], sums[s][3][e]);
      }
    }
  }
}

// One of a thread's rows to global memory, times `factor`.
DEVICE void put_row(float* row, int i, int head_size, float factor, bool accumulate, const Sums& sums) {
#pragma unroll
  for (int s = 0; s < slabs; ++s)
    for (int e = 0; e < span; ++e) {
      const int at = s * slab + lane_of_row() * span + e;
      if (at < head_size) row[at] = accumulate ? fused_multiply_add(sums[s][i][e], factor, row[at]) : sums[s][i][e] * factor;
    }
}

struct Slots { int begin, end; };

// The slots that some of `count` rows see.
DEVICE Slots visible(const Tile& tile, int count) {
  int begin = 0x7fffffff, end = 0;
  for (int i = lane_index(); i < count; i += 32)
    if (tile.start[i] < tile.end[i]) {
      begin = begin < tile.start[i] ? begin : tile.start[i];
      end = end > tile.end[i] ? end : tile.end[i];
    }
  for (int step = 16; step > 0; step >>= 1) {
    const int other_begin = shuffle_xor(begin, step), other_end = shuffle_xor(end, step);
    begin = begin < other_begin ? begin : other_begin;
    end = end > other_end ? end : other_end;
  }
  return {begin, end};
}

// The queries of a tile, from packed row `first` of the sequence on: their intervals, and where q and dY (or null) lie.
DEVICE void take_queries(Tile& tile, const Sequence& sequence, int first, int count, const float* q, const float* dy, const int* key_start,
                         const int* key_end, int heads, int key_heads, int head_size, HeadRow* first_row, HeadRow* second_row) {
  const int i = thread_index(), group = heads / key_heads, packed = first + i;
  if (i >= count) return;
  const bool inside = packed < sequence.row_count * group;
  const int token = sequence.first_row + packed / group;
  const u64 index = static_cast<u64>(token) * heads + block_y() * group + packed % group;
  tile.index[i] = inside ? static_cast<int>(index) : -1;
  tile.start[i] = inside ? key_start[token] : 0;
  tile.end[i] = inside ? key_end[token] : 0;
  first_row[i] = row_of(inside ? q + index * head_size : nullptr);
  second_row[i] = row_of(inside && dy != nullptr ? dy + index * head_size : nullptr);
}

DEVICE void take_slots(const Sequence& sequence, int first, int count, int end, const float* k, const float* v, int key_heads, int head_size,
                       HeadRow* key, HeadRow* value) {
  const int i = thread_index(), slot = first + i;
  if (i >= count) return;
  const u64 stride = static_cast<u64>(key_heads) * head_size, head = static_cast<u64>(block_y()) * head_size;
  key[i] = slot < end ? slot_row(sequence, slot, sequence.past_keys, k, stride, head) : HeadRow{0};
  value[i] = slot < end ? slot_row(sequence, slot, sequence.past_values, v, stride, head) : HeadRow{0};
}

// block x: 32 packed query rows, the last first, because those usually see most; block y: key head.
KERNEL(threads) attention_forward(const float* q, const float* k, const float* v, const Sequence* sequences, int sequence_count,
                                  const int* key_start, const int* key_end, float scale, float* y, float* lse, int heads, int key_heads,
                                  int head_size) {
  SHARED_ARRAY(Tile, tiles, 1);
  Tile& tile = tiles[0];
  const int packed = (grid_x() - 1 - block_x()) * rows;
  const Sequence sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::query_block);
  const int first = packed - sequence.query_block * block_rows;
  if (first >= sequence.row_count * (heads / key_heads)) return;
  const bool vectors = vectors_allowed(4, head_size, q, k, v) && (sequence.past_keys | sequence.past_values) % 16 == 0;
  take_queries(tile, sequence, first, rows, q, nullptr, key_start, key_end, heads, key_heads, head_size, tile.row[0], tile.row[1]);
  sync_block();
  const Slots range = visible(tile, rows);

  const float factor = scale * log2_e;  // scores are in base 2
  float most[4], sum[4] = {};
  Sums sums = {};
  for (int i = 0; i < 4; ++i) most[i] = minus_infinity();
  for (int slot = range.begin; slot < range.end; slot += columns) {
    sync_block();
    take_slots(sequence, slot, columns, range.end, k, v, key_heads, head_size, tile.column[0], tile.column[1]);
    float score[4][4];
    score_tile(tile, 0, head_size, vectors, score);
    for (int i = 0; i < 4; ++i) {
      const int start = tile.start[row_of_thread() + i] - slot - lane_of_row(), end = tile.end[row_of_thread() + i] - slot - lane_of_row();
      float largest = most[i];
      for (int j = 0; j < 4; ++j) {
        score[i][j] = 16 * j >= start && 16 * j < end ? score[i][j] * factor : minus_infinity();
        largest = fmaxf(largest, score[i][j]);
      }
      largest = most_of_row(largest);
      // While everything is hidden the maximum is -infinity; zero takes its place, as -infinity - -infinity would be NaN.
      const float shift = largest == minus_infinity() ? 0.0f : largest, older = exp2_approx(most[i] - shift);
      most[i] = largest;
      sum[i] *= older;
      for (int s = 0; s < slabs; ++s)
        for (int e = 0; e < span; ++e) sums[s][i][e] *= older;
      for (int j = 0; j < 4; ++j) sum[i] += score[i][j] = exp2_approx(score[i][j] - shift);
    }
    add_tile(tile, 1, head_size, vectors, score, sums);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int index = tile.index[row_of_thread() + i];
    const float total = sum_of_row(sum[i]);
    if (index < 0) continue;
    put_row(y + static_cast<u64>(index) * head_size, i, head_size, total == 0.0f ? 0.0f : 1.0f / total, false, sums);
    if (lse != nullptr && lane_of_row() == 0) lse[index] = total == 0.0f ? minus_infinity() : (most[i] + log2f(total)) * ln_2;
  }
}

// D [rows] = sum dY*y over H; one warp to a row.
KERNEL(threads) attention_row_sums(const float* dy, const float* y, float* row_sums, int row_count, int head_size) {
  const int row = block_x() * (threads / 32) + warp_index();
  if (row >= row_count) return;
  dy += static_cast<u64>(row) * head_size, y += static_cast<u64>(row) * head_size;
  float sum = 0.0f;
  for (int at = lane_index(); at < head_size; at += 32) sum = fused_multiply_add(dy[at], y[at], sum);
  sum = warp_sum(sum);
  if (lane_index() == 0) row_sums[row] = sum;
}

// score becomes P and slope dS / scale of one query and one slot; `at` is the query's place in the tile.
DEVICE void probability(const Tile& tile, int at, int slot, const float* lse, const float* row_sums, float factor, float& score, float& slope) {
  const bool seen = slot >= tile.start[at] && slot < tile.end[at];
  const int index = tile.index[at];
  score = seen ? exp2_approx(fused_multiply_add(score, factor, -lse[index] * log2_e)) : 0.0f;
  slope = seen ? score * (slope - row_sums[index]) : 0.0f;
}

// dQ: block x is 32 packed query rows, slots run through the columns.
KERNEL(threads) attention_query_gradient(const float* q, const float* k, const float* v, const float* dy, const float* lse,
                                         const float* row_sums, const Sequence* sequences, int sequence_count, const int* key_start,
                                         const int* key_end, float scale, float* dq, int accumulate, int heads, int key_heads, int head_size) {
  SHARED_ARRAY(Tile, tiles, 1);
  Tile& tile = tiles[0];
  const int packed = (grid_x() - 1 - block_x()) * rows;
  const Sequence sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::query_block);
  const int first = packed - sequence.query_block * block_rows;
  if (first >= sequence.row_count * (heads / key_heads)) return;
  const bool vectors = vectors_allowed(4, head_size, q, k, v, dy);
  take_queries(tile, sequence, first, rows, q, dy, key_start, key_end, heads, key_heads, head_size, tile.row[0], tile.row[1]);
  sync_block();
  const Slots range = visible(tile, rows);
  Sums sums = {};
  for (int slot = range.begin; slot < range.end; slot += columns) {
    sync_block();
    take_slots(sequence, slot, columns, range.end, k, v, key_heads, head_size, tile.column[0], tile.column[1]);
    float score[4][4], slope[4][4];
    score_tile(tile, 0, head_size, vectors, score);
    score_tile(tile, 1, head_size, vectors, slope);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j)
        probability(tile, row_of_thread() + i, slot + lane_of_row() + 16 * j, lse, row_sums, scale * log2_e, score[i][j], slope[i][j]);
    add_tile(tile, 0, head_size, vectors, slope, sums);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int index = tile.index[row_of_thread() + i];
    if (index >= 0) put_row(dq + static_cast<u64>(index) * head_size, i, head_size, scale, accumulate != 0, sums);
  }
}

// dK and dV (either may be null): block x is 32 slots of current rows, the packed query rows of all heads of the group run through the columns.
KERNEL(threads) attention_key_gradient(const float* q, const float* k, const float* v, const float* dy, const float* lse,
                                       const float* row_sums, const Sequence* sequences, int sequence_count, const int* key_start,
                                       const int* key_end, float scale, float* dk, float* dv, int accumulate_dk, int accumulate_dv, int heads,
                                       int key_heads, int head_size) {
  SHARED_ARRAY(Tile, tiles, 1);
  Tile& tile = tiles[0];
  const int packed = block_x() * rows;
  const Sequence sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::key_block);
  const int first = packed - sequence.key_block * block_rows, queries = sequence.row_count * (heads / key_heads);
  if (first >= sequence.row_count) return;
  const bool vectors = vectors_allowed(4, head_size, q, k, v, dy);
  const int slot = sequence.past_start + sequence.past_count + first, last = slot - first + sequence.row_count;
  take_slots(sequence, slot, rows, last, k, v, key_heads, head_size, tile.row[0], tile.row[1]);
  Sums dk_sums = {}, dv_sums = {};
  for (int query = 0; query < queries; query += columns) {
    sync_block();
    take_queries(tile, sequence, query, columns, q, dy, key_start, key_end, heads, key_heads, head_size, tile.column[0], tile.column[1]);
    sync_block();
    const Slots seen = visible(tile, columns);
    if (seen.end <= slot || seen.begin >= slot + rows) continue;
    float score[4][4], slope[4][4] = {};
    score_tile(tile, 0, head_size, vectors, score);
    if (dk != nullptr) score_tile(tile, 1, head_size, vectors, slope);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j)
        probability(tile, lane_of_row() + 16 * j, slot + row_of_thread() + i, lse, row_sums, scale * log2_e, score[i][j], slope[i][j]);
    if (dv != nullptr) add_tile(tile, 1, head_size, vectors, score, dv_sums);
    if (dk != nullptr) add_tile(tile, 0, head_size, vectors, slope, dk_sums);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = first + row_of_thread() + i;
    if (row >= sequence.row_count) continue;
    const u64 at = (static_cast<u64>(sequence.first_row + row) * key_heads + block_y()) * head_size;
    if (dk != nullptr) put_row(dk + at, i, head_size, scale, accumulate_dk != 0, dk_sums);
    if (dv != nullptr) put_row(dv + at, i, head_size, 1.0f, accumulate_dv != 0, dv_sums);
  }
}
