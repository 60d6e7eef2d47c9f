// attention_decode: attention of a few query rows over a long past, split over its keys; a second kernel joins the splits in their order
// q, y [T, N, H], k, v [T, K, H], lse [T, N] f32; key slots come from the past (ring or pages, of PAST) and from the current rows, which are rounded to PAST
// a block takes ROWS packed rows (token * group + head) of one key head and split_keys slots: all scores, then their softmax, then the values
// partials per row and split: the output [H] relative to the split's largest score, and [2] that score (base 2) and the sum; moves 8 K H bytes a slot, 4 where PAST is bfloat16;
// memory bound
// defines: HEAD_LIMIT (a multiple of 128; H is any size up to it), ROWS (1, 2 or 4), PAST (float or bfloat16)
// source: kernels.md 1.4; merging of softmax parts: arXiv:2205.14135
#include "attention.cuh"

using namespace attention;

#ifndef HEAD_LIMIT
#define HEAD_LIMIT 256
#endif
#ifndef ROWS
#define ROWS 2
#endif
#ifndef PAST
#define PAST float
#endif

constexpr int threads = 128, most_keys = 512;   // most_keys: of a split
constexpr int keys_at_once = 8;                 // that a warp scores together: their loads are under way at once, their sums share one butterfly
constexpr int pieces = HEAD_LIMIT / 128;        // of four elements to a lane
constexpr int row_threads = HEAD_LIMIT / 4, parties = threads / row_threads;  // threads that read one value row; rows that a block reads at once
constexpr int values_at_once = 16 / (parties / 2);                            // loads of a thread that are under way
constexpr int merged_at_once = 8;
constexpr int current_row = 1 << 30;            // flag in the row of a slot

DEVICE int split_count(const Sequence& sequence) {
  const int slots = sequence.past_count + sequence.row_count;
  return sequence.split_keys == 0 ? 0 : (slots + sequence.split_keys - 1) / sequence.split_keys;
}

// The row of a slot among the current rows (with the flag) or in the past's ring or pool.
DEVICE int row_of_slot(const Sequence& sequence, int slot) {
  const int ahead = slot - sequence.past_start - sequence.past_count;
  return ahead >= 0 ? (sequence.first_row + ahead) | current_row : past_row_of(sequence, slot);
}

// Four elements as they lie in the past, so that those under way take no more room than they have to.
template <typename T> struct FourOf { using Bits = float4; };
template <> struct FourOf<bfloat16> { using Bits = uint2; };
using Four = FourOf<PAST>::Bits;
DEVICE float4 widened(float4 v) { return v; }

DEVICE float4 four(const float* row, int at, int head_size, bool vectors) { return four_of(row_of(row), at, head_size, vectors); }

template <typename T>
DEVICE typename FourOf<T>::Bits four_at(int row, const T* past, const float* current, u64 stride, int at, int head_size, bool vectors) {
  const u64 first = (row & ~current_row) * stride;
  if constexpr (sizeof(T) == sizeof(float)) {
    return four(row & current_row ? current + first : past + first, at, head_size, vectors);
  } else {
    if (row & current_row) {
      const float4 v = four(current + first, at, head_size, vectors);
      return {pack<T>(v.x, v.y), pack<T>(v.z, v.w)};
    }
    const T* p = past + first + at;
    if (at >= head_size) return {0u, 0u};
    if (vectors) return load8(p);
    const auto bits = [&](int i) { return at + i < head_size ? static_cast<u32>(p[i].bits) : 0u; };
    return {bits(0) | bits(1) << 16, bits(2) | bits(3) << 16};
  }
}

DEVICE void add_scaled(float4& sum, float factor, float4 v) {
  sum.x = fused_multiply_add(factor, v.x, sum.x), sum.y = fused_multiply_add(factor, v.y, sum.y);
  sum.z = fused_multiply_add(factor, v.z, sum.z), sum.w = fused_multiply_add(factor, v.w, sum.w);
}

DEVICE void store_four(float* row, int at, int head_size, float4 v, float factor) {
  const float elements[4] = {factor * v.x, factor * v.y, factor * v.z, factor * v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (at + i < head_size) row[at + i] = elements[i];
}

// Sums of `count` values over the warp with count - 1 + log2(32 / count) shuffles: lane i ends with value i / (32 / count).
template <int count, int step = 16> DEVICE float warp_sums(float (&v)[count]) {
  if constexpr (count == 1) {
    for (int by = step; by > 0; by /= 2) v[0] += shuffle_xor(v[0], by);
    return v[0];
  } else {
    const bool upper = (lane_index() & step) != 0;
    float half[count / 2];
#pragma unroll
    for (int i = 0; i < count / 2; ++i) half[i] = (upper ? v[i + count / 2] : v[i]) + shuffle_xor(upper ? v[i] : v[i + count / 2], step);
    return warp_sums<count / 2, step / 2>(half);
  }
}

// block x: split; block y: key head + K * (first packed row / ROWS); block z: sequence.
KERNEL(threads, HEAD_LIMIT == 128 ? 4 : 3) attention_decode(const float* q, const float* k, const float* v, const Sequence* sequences, const int* key_start,
                                 const int* key_end, float scale, float* y, float* lse, float* partial_y, float* partial_sums, int heads,
                                 int key_heads, int head_size) {
  const Sequence sequence = sequences[block_z()];
  const int group = heads / key_heads, key_head = block_y() % key_heads, first = block_y() / key_heads * ROWS;
  const int rows = sequence.row_count * group - first, from = block_x() * sequence.split_keys, splits = split_count(sequence);
  if (block_x() >= splits || rows <= 0) return;
  const int behind = sequence.past_count + sequence.row_count - from, keys = behind < sequence.split_keys ? behind : sequence.split_keys;
  SHARED_ARRAY(float, scores, ROWS * most_keys);
  SHARED_ARRAY(int, slots, most_keys);
  SHARED_ARRAY(float, most, ROWS);
  SHARED_ARRAY(float, sum, ROWS);
  for (int i = thread_index(); i < keys; i += threads) slots[i] = row_of_slot(sequence, sequence.past_start + from + i);

  // Rows beyond the last stay empty: their intervals see nothing.
  int start[ROWS], end[ROWS];
  u64 index[ROWS];
  float4 query[ROWS][pieces];
  const u64 stride = static_cast<u64>(key_heads) * head_size, head_offset = static_cast<u64>(key_head) * head_size;
  const PAST* past_k = reinterpret_cast<const PAST*>(sequence.past_keys) + head_offset;
  const float* current_k = k + head_offset;
  const bool vectors = head_size % 4 == 0 && (reinterpret_cast<u64>(q) | reinterpret_cast<u64>(k) | sequence.past_keys) % 16 == 0;
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
    const int token = sequence.first_row + (first + r) / group;
    const bool inside = r < rows;
    index[r] = static_cast<u64>(token) * heads + key_head * group + (first + r) % group;
    start[r] = inside ? key_start[token] - sequence.past_start - from : 0;
    end[r] = inside ? key_end[token] - sequence.past_start - from : 0;
    for (int i = 0; i < pieces; ++i)
      query[r][i] = inside ? four(q + index[r] * head_size, (i * 32 + lane_index()) * 4, head_size, vectors) : float4{0.0f, 0.0f, 0.0f, 0.0f};
  }
  sync_block();

  for (int key = warp_index() * keys_at_once; key < keys; key += threads / 32 * keys_at_once) {
    Four element[keys_at_once][pieces];
#pragma unroll
    for (int j = 0; j < keys_at_once; ++j) {
      const int row = slots[key + j < keys ? key + j : key];
      for (int i = 0; i < pieces; ++i) element[j][i] = four_at(row, past_k, current_k, stride, (i * 32 + lane_index()) * 4, head_size, vectors);
    }
    float dot[ROWS * keys_at_once];
#pragma unroll
    for (int r = 0; r < ROWS; ++r)
#pragma unroll
      for (int j = 0; j < keys_at_once; ++j) {
        float partial = 0.0f;
        for (int i = 0; i < pieces; ++i) {
          const float4 a = query[r][i], b = widened(element[j][i]);
          partial = fused_multiply_add(a.x, b.x, fused_multiply_add(a.y, b.y, fused_multiply_add(a.z, b.z, fused_multiply_add(a.w, b.w, partial))));
        }
        dot[r * keys_at_once + j] = partial;
      }
    const float score = warp_sums(dot);
    constexpr int lanes = 32 / (ROWS * keys_at_once);
    const int row = lane_index() / lanes / keys_at_once, at = key + lane_index() / lanes % keys_at_once;
    int row_start = start[0], row_end = end[0];
#pragma unroll
    for (int r = 1; r < ROWS; ++r)
      if (row == r) row_start = start[r], row_end = end[r];
    if (lane_index() % lanes == 0 && at < keys)
      scores[row * most_keys + at] = at >= row_start && at < row_end ? score * (scale * log2_e) : minus_infinity();
  }
  sync_block();

  if (warp_index() < ROWS) {
    float* mine = scores + warp_index() * most_keys;
    float largest = minus_infinity(), total = 0.0f;
    for (int i = lane_index(); i < keys; i += 32) largest = fmaxf(largest, mine[i]);
    largest = warp_max(largest);
    const float shift = largest == minus_infinity() ? 0.0f : largest;
    for (int i = lane_index(); i < keys; i += 32) total += mine[i] = exp2_approx(mine[i] - shift);
    total = warp_sum(total);
    if (lane_index() == 0) most[warp_index()] = largest, sum[warp_index()] = total;
  }
  sync_block();

  // Each party of threads sums every parties-th key, four columns to a thread; the first adds up what they found.
  const auto partial = [&](u64 row) { return row - static_cast<u64>(sequence.first_row - sequence.decode_row) * heads; };
  const PAST* past_v = reinterpret_cast<const PAST*>(sequence.past_values) + head_offset;
  const float* current_v = v + head_offset;
  const bool value_vectors = head_size % 4 == 0 && (reinterpret_cast<u64>(v) | sequence.past_values) % 16 == 0;
  const int party = thread_index() / row_threads, column = thread_index() % row_threads * 4;
  float4 output[ROWS] = {};
  for (int key = party; key < keys; key += parties * values_at_once) {
    Four value[values_at_once];
#pragma unroll
    for (int j = 0; j < values_at_once; ++j) {
      const int at = key + j * parties;
      value[j] = at < keys ? four_at(slots[at], past_v, current_v, stride, column, head_size, value_vectors) : Four{};
    }
#pragma unroll
    for (int j = 0; j < values_at_once; ++j) {
      const int at = key + j * parties;
      if (at >= keys) break;
#pragma unroll
      for (int r = 0; r < ROWS; ++r) add_scaled(output[r], scores[r * most_keys + at], widened(value[j]));
    }
  }
  SHARED_ARRAY(float4, others, (parties - 1) * ROWS * row_threads);
  if (party > 0)
    for (int r = 0; r < ROWS; ++r) others[((party - 1) * ROWS + r) * row_threads + thread_index() % row_threads] = output[r];
  sync_block();
  if (party == 0) {
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      if (r >= rows) break;
      for (int other = 0; other < parties - 1; ++other) add_scaled(output[r], 1.0f, others[(other * ROWS + r) * row_threads + thread_index()]);
      const float share = splits > 1 ? 1.0f : sum[r] == 0.0f ? 0.0f : 1.0f / sum[r];
      float* const to = splits > 1 ? partial_y + (partial(index[r]) * grid_x() + block_x()) * head_size : y + index[r] * head_size;
      store_four(to, column, head_size, output[r], share);
    }
  }
  if (thread_index() >= ROWS || thread_index() >= rows) return;
  const int r = thread_index();
  const u64 at = static_cast<u64>(sequence.first_row + (first + r) / group) * heads + key_head * group + (first + r) % group;
  if (splits > 1) {
    float* const sums = partial_sums + (partial(at) * grid_x() + block_x()) * 2;
    sums[0] = most[r], sums[1] = sum[r];
  } else if (lse != nullptr) {
    lse[at] = sum[r] == 0.0f ? minus_infinity() : (most[r] + log2f(sum[r])) * ln_2;
  }
}

// block x: row among those taken * N + head; `splits` is the grid of attention_decode. A row whose sequence has one split is finished.
KERNEL(threads) attention_decode_merge(const float* partial_y, const float* partial_sums, const Sequence* sequences, int sequence_count,
                                       int splits, float* y, float* lse, int heads, int head_size) {
  const Sequence& sequence = sequence_at(sequences, sequence_count, block_x() / heads, &Sequence::decode_row);
  const int count = split_count(sequence);
  if (count < 2) return;
  const u64 index = static_cast<u64>(sequence.first_row - sequence.decode_row) * heads + block_x();
  partial_y += static_cast<u64>(block_x()) * splits * head_size, partial_sums += static_cast<u64>(block_x()) * splits * 2;
  float largest = minus_infinity();
  for (int i = lane_index(); i < count; i += 32) largest = fmaxf(largest, partial_sums[2 * i]);
  largest = warp_max(largest);
  const float shift = largest == minus_infinity() ? 0.0f : largest;
  // Parties as above, over splits.
  const int party = thread_index() / row_threads, column = thread_index() % row_threads * 4;
  const bool vectors = head_size % 4 == 0;
  float total = 0.0f;
  float4 output = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int first = party; first < count; first += parties * merged_at_once) {
    float weight[merged_at_once], sums[merged_at_once];
    float4 part[merged_at_once];
#pragma unroll
    for (int j = 0; j < merged_at_once; ++j) {
      const int i = first + j * parties, from = i < count ? i : first;
      weight[j] = i < count ? partial_sums[2 * from] : minus_infinity(), sums[j] = partial_sums[2 * from + 1];
      part[j] = four(partial_y + static_cast<u64>(from) * head_size, column, head_size, vectors);
    }
#pragma unroll
    for (int j = 0; j < merged_at_once; ++j) {
      const float w = exp2_approx(weight[j] - shift);
      total = fused_multiply_add(w, sums[j], total);
      add_scaled(output, w, part[j]);
    }
  }
  SHARED_ARRAY(float4, others, (parties - 1) * row_threads);
  SHARED_ARRAY(float, totals, parties);
  if (thread_index() % row_threads == 0) totals[party] = total;
  if (party > 0) others[(party - 1) * row_threads + thread_index() % row_threads] = output;
  sync_block();
  if (party > 0) return;
  for (int other = 1; other < parties; ++other) {
    total += totals[other];
    add_scaled(output, 1.0f, others[(other - 1) * row_threads + thread_index()]);
  }
  store_four(y + index * head_size, column, head_size, output, total == 0.0f ? 0.0f : 1.0f / total);
  if (lse != nullptr && thread_index() == 0) lse[index] = total == 0.0f ? minus_infinity() : (largest + log2f(total)) * ln_2;
}
