// Kernels that are right, and with -DPLANTED each hold one defect; planted_test.cpp expects both to be noticed.
// in, out: float arrays of one element per thread (64 threads, one block unless said otherwise).
#include "ptx.cuh"

using namespace ptx;

#ifdef PLANTED
constexpr bool planted = true;
#else
constexpr bool planted = false;
#endif

KERNEL(64) missing_barrier(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  tile[thread_index()] = in[thread_index()];
  if (!planted) sync_block();
  out[thread_index()] = tile[63 - thread_index()];
}

// The tile is overwritten while slower warps may still read it.
KERNEL(64) overwritten_tile(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  tile[thread_index()] = in[thread_index()];
  sync_block();
  const float first = tile[63 - thread_index()];
  if (!planted) sync_block();
  tile[thread_index()] = first;
  sync_block();
  out[thread_index()] = tile[63 - thread_index()];
}

// A shuffle moves a value but orders no memory.
KERNEL(64) shuffle_as_barrier(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  tile[thread_index()] = in[thread_index()];
  shuffle_xor(0, 1);
  if (!planted) sync_warp();
  out[thread_index()] = tile[thread_index() ^ 1];
}

// Two blocks.
KERNEL(64) blocks_share_output(const float* in, float* out) {
  const int row = planted ? 0 : block_x() * 64;
  out[row + thread_index()] = in[thread_index()];
}

KERNEL(64) past_the_end(const float* in, float* out) {
  out[thread_index()] = in[thread_index() + (planted ? 65 : 0)];
}

KERNEL(64) past_shared_array(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  tile[thread_index() + (planted ? 1 : 0)] = in[thread_index()];
  sync_block();
  out[thread_index()] = tile[thread_index() + (planted ? 1 : 0)];
}

// No schedule makes a race of it: one element is never stored.
KERNEL(64) never_stored(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  if (!planted || thread_index() != 5) tile[thread_index()] = in[thread_index()];
  sync_block();
  out[thread_index()] = tile[63 - thread_index()];
}

KERNEL(64) misaligned_vector(const float* in, float* out) {
  if (thread_index() >= 15) return;
  store16(out + 4 * thread_index(), load16(in + 4 * thread_index() + (planted ? 1 : 0)));
}

KERNEL(64) divergent_shuffle(const float* in, float* out) {
  float value = in[thread_index()];
  if (!planted || lane_index() < 16) value += shuffle_xor(value, 1);
  out[thread_index()] = value;
}

KERNEL(64) left_early(const float* in, float* out) {
  if (planted && lane_index() == 31) return;
  out[thread_index()] = warp_sum(in[thread_index()]);
}

KERNEL(64) barrier_of_some(const float* in, float* out) {
  if (!planted || warp_index() == 0) sync_named(1, 64);
  sync_block();
  out[thread_index()] = in[thread_index()];
}

// From sm_80 on.
KERNEL(64) unfinished_copy(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  if (thread_index() < 16) copy_async16(tile + 4 * thread_index(), in + 4 * thread_index());
  copy_async_commit();
  if (planted) copy_async_wait<1>();
  else copy_async_wait<0>();
  sync_block();
  out[thread_index()] = tile[63 - thread_index()];
}

KERNEL(64) copy_without_barrier(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  if (thread_index() < 16) copy_async16(tile + 4 * thread_index(), in + 4 * thread_index());
  copy_async_commit();
  copy_async_wait<0>();
  if (!planted) sync_block();
  out[thread_index()] = tile[63 - thread_index()];
}

// Two blocks count in one word; the planted ones store to it instead.
KERNEL(64) counting_blocks(const float* in, float* out) {
  u32* count = reinterpret_cast<u32*>(out);
  if (planted) *count = 1;
  else atomic_add(count, in[thread_index()] < 0.0f ? 2 : 1);
}

// Read back without a barrier after the atomics.
KERNEL(64) count_read_early(const float* in, float* out) {
  SHARED_ARRAY(u32, largest, 1);
  if (thread_index() == 0) largest[0] = 0;
  sync_block();
  atomic_max(largest, static_cast<u32>(in[thread_index()]));
  if (!planted) sync_block();
  out[thread_index()] = static_cast<float>(largest[0]);
}
