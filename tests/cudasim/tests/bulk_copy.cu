// out = in reversed, twice over: 64 floats that a bulk copy brings to shared memory, in two phases of one barrier. Two warps.
// PLANTED 1 to 7 each hold one defect; bulk_copy_test.cpp expects them to be noticed.
#include "bulk_copy.cuh"

using namespace ptx;

#ifndef PLANTED
#define PLANTED 0
#endif

constexpr int bytes = 256;

KERNEL(64) bulk_copy(const float* in, float* out) {
  SHARED_ARRAY(float, tile, 64);
  SHARED_ARRAY(u64, barriers, 2);
  const shared_place barrier = place_of(barriers + (PLANTED == 5 ? 1 : 0));
  if (thread_index() == 0) barrier_start(place_of(barriers), 1), barriers_started();
  sync_block();
  for (int phase = 0; phase < 2; ++phase) {
    if (thread_index() == 0) {
      barrier_expect(barrier, PLANTED == 2 ? bytes / 2 : PLANTED == 3 ? 2 * bytes : bytes);
      copy_bulk(place_of(tile), in, PLANTED == 6 ? bytes - 4 : bytes, barrier);
    }
    if (PLANTED == 4) return;
    if (PLANTED != 1 || warp_index() == 0) barrier_wait(barrier, phase);
    out[64 * phase + thread_index()] = tile[63 - thread_index()];
    sync_block();
    if (PLANTED == 7) tile[thread_index()] = 0.0f, sync_block();
  }
}
