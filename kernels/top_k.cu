// top_k: the k largest logits of every row with their ids, largest first, the lowest id first among equals; k = 1 is greedy choice
// logits [R, V] f32; values, logprobs [R, k] f32; ids [R, k] i32, all -1 (the others NaN) in a row that holds a NaN or an infinity
// a tournament: every block keeps the best k of a segment of 2048, the next launch the best of those, until one segment is left
// bitonic runs of `run` >= k keys in shared memory, halved pair by pair (Shanbhag et al., SIGMOD 2018); no atomics, no ties
// moves 4*R*V bytes; memory bound for small k. defines: THREADS
// C# src/GemmaCore.Ops/TopK, test TopKTests
#include "ptx.cuh"

using namespace ptx;

#ifndef THREADS
#define THREADS 256
#endif

constexpr int segment = 2048;

// Larger keys are better: the order of floats in the upper half, then the lower id. No logit has key 0, which fills up segments; what
// is not finite beats everything and so reaches the end of the tournament.
constexpr u32 not_finite = 0xffffffffu;

DEVICE u64 key_of(float logit, u32 id) {
  const u32 bits = float_bits(logit + 0.0f);  // -0 becomes 0: they are equal
  const u32 order = (bits & 0x7f800000u) == 0x7f800000u ? not_finite : bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<u64>(order) << 32 | ~id;
}

DEVICE float logit_of(u64 key) {
  const u32 order = static_cast<u32>(key >> 32);
  return bits_float(order >> 31 != 0 ? order & 0x7fffffffu : ~order);
}

// One stage of a bitonic network over keys [0, count): pairs `stride` apart, descending where index & direction is 0.
DEVICE void exchange(u64* keys, int count, int stride, int direction) {
  for (int pair = thread_index(); pair < count / 2; pair += THREADS) {
    const int low = 2 * pair - (pair & (stride - 1)), high = low + stride;
    const u64 a = keys[low], b = keys[high];
    if ((a < b) == ((low & direction) == 0)) keys[low] = b, keys[high] = a;
  }
  sync_block();
}

// Leaves the best `run` of keys [0, count) in order at the front. Both are powers of two, count >= run.
DEVICE void select(u64* keys, int count, int run) {
  sync_block();
  for (int size = 2; size <= run; size <<= 1)
    for (int stride = size / 2; stride > 0; stride >>= 1) exchange(keys, count, stride, size);
  for (; count > run; count /= 2) {
    // A descending and an ascending run: the larger of each pair are the best of both, and again bitonic.
    u64 best[segment / 2 / THREADS];
    for (int i = 0; i < segment / 2 / THREADS; ++i) {
      const int at = i * THREADS + thread_index();
      if (at >= count / 2) continue;
      const int low = 2 * at - (at & (run - 1));
      const u64 a = keys[low], b = keys[low + run];
      best[i] = a > b ? a : b;
    }
    sync_block();
    for (int i = 0; i < segment / 2 / THREADS; ++i) {
      const int at = i * THREADS + thread_index();
      if (at < count / 2) keys[at] = best[i];
    }
    sync_block();
    for (int stride = run / 2; stride > 0; stride >>= 1) exchange(keys, count / 2, stride, run);
  }
}

// Keys of this block's segment that there are: `width` in a row, block_x() counts segments, block_y() rows.
DEVICE int segment_count(int width) {
  const int left = width - block_x() * segment;
  return left < segment ? left : segment;
}

DEVICE int power_of_two(int at_least, int start) {
  while (start < at_least) start <<= 1;
  return start;
}

// Where the last round writes. values and logprobs may be null; log_sum_exp [R] is read for logprobs only.
struct Results {
  int* ids;
  float *values, *logprobs;
  const float* log_sum_exp;
};

DEVICE void put(const u64* keys, u64* best, const Results& results, int k) {
  if (best != nullptr) {
    best += (static_cast<u64>(block_y()) * grid_x() + block_x()) * k;
    for (int i = thread_index(); i < k; i += THREADS) best[i] = keys[i];
    return;
  }
  const bool finite = keys[0] >> 32 != not_finite;
  const u64 row = static_cast<u64>(block_y()) * k;
  for (int i = thread_index(); i < k; i += THREADS) {
    const float value = finite ? logit_of(keys[i]) : bits_float(0x7fc00000u);
    results.ids[row + i] = finite ? static_cast<int>(~static_cast<u32>(keys[i])) : -1;
    if (results.values != nullptr) results.values[row + i] = value;
    if (results.logprobs != nullptr) results.logprobs[row + i] = value - results.log_sum_exp[block_y()];
  }
}

// First round. The keys go to best [R, segments, k], or, when there is one segment and best is null, to the results.
KERNEL(THREADS) top_k_forward(const float* logits, u64* best, int* ids, float* values, float* logprobs,
                              const float* log_sum_exp, int width, int k, int run) {
  SHARED_ARRAY(u64, keys, segment);
  const int have = segment_count(width), count = power_of_two(have, run);
  logits += static_cast<u64>(block_y()) * width;
  for (int i = thread_index(); i < count; i += THREADS) {
    const int id = block_x() * segment + i;
    keys[i] = i < have ? key_of(logits[id], static_cast<u32>(id)) : 0;
  }
  select(keys, count, run);
  put(keys, best, {ids, values, logprobs, log_sum_exp}, k);
}

// Every further round, over `width` keys in a row.
KERNEL(THREADS) top_k_merge(const u64* from, u64* best, int* ids, float* values, float* logprobs,
                              const float* log_sum_exp, int width, int k, int run) {
  SHARED_ARRAY(u64, keys, segment);
  const int have = segment_count(width), count = power_of_two(have, run);
  from += static_cast<u64>(block_y()) * width + block_x() * segment;
  for (int i = thread_index(); i < count; i += THREADS) keys[i] = i < have ? from[i] : 0;
  select(keys, count, run);
  put(keys, best, {ids, values, logprobs, log_sum_exp}, k);
}
