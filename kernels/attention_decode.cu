// attention_decode: attention of a few query rows over a long past, split over its keys; a second kernel joins the splits in their order
// q, y [T, N, H], k, v [T, K, H], lse [T, N] f32; key slots come from the past (ring or pages, f32) and from the current rows
// a block takes ROWS packed rows (token * group + head) of one key head and split_keys slots: all scores, then their softmax, then the values
// partials per row and split: the output [H] relative to the split's largest score, and [2] that score (base 2) and the sum; moves 8 K H bytes a slot;
// memory bound
// defines: HEAD_LIMIT (a multiple of 128; H is any size up to it), ROWS (1, 2 or 4)
// source: kernels.md 1.4; merging of softmax parts: arXiv:2205.14135
#include "ptx.cuh"

using namespace ptx;

#ifndef HEAD_LIMIT
#define HEAD_LIMIT 256
#endif
#ifndef ROWS
#define ROWS 2
#endif

constexpr int threads = 128, most_keys = 512;   // most_keys: of a split
constexpr int keys_at_once = 4;                 // that a warp scores together: their sums over the lanes share one butterfly
constexpr int values_at_once = 8;               // loads of a thread that are under way
constexpr int pieces = HEAD_LIMIT / 128;        // of four elements to a lane, of one element to a thread
constexpr int current_row = 1 << 30;            // flag in the row of a slot
constexpr float log2_e = 1.4426950408889634f, ln_2 = 0.6931471805599453f;

DEVICE float minus_infinity() { return bits_float(0xff800000u); }

// As in attention.cu.
struct Sequence {
  u64 past_keys, past_values, pages;
  int first_row, row_count, past_start, past_count, past_row, capacity, query_block, key_block, split_keys, decode_row;
};

DEVICE int split_count(const Sequence& sequence) {
  const int slots = sequence.past_count + sequence.row_count;
  return sequence.split_keys == 0 ? 0 : (slots + sequence.split_keys - 1) / sequence.split_keys;
}

// The row of a slot among the current rows (with the flag) or in the past's ring or pool.
DEVICE int row_of_slot(const Sequence& sequence, int slot) {
  const int ahead = slot - sequence.past_start - sequence.past_count;
  if (ahead >= 0) return (sequence.first_row + ahead) | current_row;
  int row = sequence.past_row + slot - sequence.past_start;
  if (row >= sequence.capacity) row -= sequence.capacity;
  if (sequence.pages != 0) row = reinterpret_cast<const int*>(sequence.pages)[row / 16] * 16 + row % 16;
  return row;
}

DEVICE const float* row_at(int row, const float* past, const float* current, u64 stride) {
  return row & current_row ? current + (row & ~current_row) * stride : past + row * stride;
}

DEVICE float4 four(const float* row, int at, int head_size, bool vectors) {
  float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
  if (at >= head_size) return v;
  if (vectors) {
    const uint4 bits = load16(row + at);
    return {bits_float(bits.x), bits_float(bits.y), bits_float(bits.z), bits_float(bits.w)};
  }
  v.x = row[at];
  if (at + 1 < head_size) v.y = row[at + 1];
  if (at + 2 < head_size) v.z = row[at + 2];
  if (at + 3 < head_size) v.w = row[at + 3];
  return v;
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
KERNEL(threads) attention_decode(const float* q, const float* k, const float* v, const Sequence* sequences, const int* key_start,
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
  const float *past_k = reinterpret_cast<const float*>(sequence.past_keys) + head_offset, *current_k = k + head_offset;
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
    float4 element[keys_at_once][pieces];
#pragma unroll
    for (int j = 0; j < keys_at_once; ++j) {
      const float* row = row_at(slots[key + j < keys ? key + j : key], past_k, current_k, stride);
      for (int i = 0; i < pieces; ++i) element[j][i] = four(row, (i * 32 + lane_index()) * 4, head_size, vectors);
    }
    float dot[ROWS * keys_at_once];
#pragma unroll
    for (int r = 0; r < ROWS; ++r)
#pragma unroll
      for (int j = 0; j < keys_at_once; ++j) {
        float partial = 0.0f;
        for (int i = 0; i < pieces; ++i) {
          const float4 a = query[r][i], b = element[j][i];
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

  const auto partial = [&](u64 row) { return row - static_cast<u64>(sequence.first_row - sequence.decode_row) * heads; };
  const float *past_v = reinterpret_cast<const float*>(sequence.past_values) + head_offset, *current_v = v + head_offset;
#pragma unroll
  for (int i = 0; i < pieces; ++i) {
    const int column = i * threads + thread_index();
    if (column >= head_size) break;
    float output[ROWS] = {};
    for (int key = 0; key < keys; key += values_at_once) {
      float value[values_at_once];
#pragma unroll
      for (int j = 0; j < values_at_once; ++j)
        value[j] = key + j < keys ? row_at(slots[key + j], past_v, current_v, stride)[column] : 0.0f;
#pragma unroll
      for (int j = 0; j < values_at_once; ++j)
        for (int r = 0; r < ROWS; ++r)
          if (key + j < keys) output[r] = fused_multiply_add(scores[r * most_keys + key + j], value[j], output[r]);
    }
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
      if (r >= rows) break;
      if (splits == 1) y[index[r] * head_size + column] = sum[r] == 0.0f ? 0.0f : output[r] / sum[r];
      else partial_y[(partial(index[r]) * grid_x() + block_x()) * head_size + column] = output[r];
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
  int low = 0;
  for (int high = sequence_count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (sequences[middle].decode_row <= block_x() / heads) low = middle;
    else high = middle;
  }
  const Sequence& sequence = sequences[low];
  const int count = split_count(sequence);
  if (count < 2) return;
  const u64 index = static_cast<u64>(sequence.first_row - sequence.decode_row) * heads + block_x();
  partial_y += static_cast<u64>(block_x()) * splits * head_size, partial_sums += static_cast<u64>(block_x()) * splits * 2;
  float largest = minus_infinity();
  for (int i = 0; i < count; ++i) largest = fmaxf(largest, partial_sums[2 * i]);
  const float shift = largest == minus_infinity() ? 0.0f : largest;
  float total = 0.0f, output[pieces] = {};
  for (int i = 0; i < count; ++i) {
    const float weight = exp2_approx(partial_sums[2 * i] - shift);
    total = fused_multiply_add(weight, partial_sums[2 * i + 1], total);
#pragma unroll
    for (int p = 0; p < pieces; ++p) {
      const int column = p * threads + thread_index();
      if (column < head_size) output[p] = fused_multiply_add(weight, partial_y[static_cast<u64>(i) * head_size + column], output[p]);
    }
  }
#pragma unroll
  for (int p = 0; p < pieces; ++p) {
    const int column = p * threads + thread_index();
    if (column < head_size) y[index * head_size + column] = total == 0.0f ? 0.0f : output[p] / total;
  }
  if (lse != nullptr && thread_index() == 0) lse[index] = total == 0.0f ? minus_infinity() : (largest + log2f(total)) * ln_2;
}
