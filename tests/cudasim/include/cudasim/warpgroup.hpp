// The simulator's side of kernels/warpgroup.cuh.
#pragma once

#include "cudasim/abi.h"

namespace ptx {

#if __CUDA_ARCH__ < 900
#error "warpgroup.cuh needs -arch=sm_90a"
#endif

template <int blocks> DEVICE void warpgroup_hold(float (&)[blocks][4]) {}
DEVICE void warpgroup_fence() { cudasim_warpgroup_fence(); }
template <int blocks> DEVICE void warpgroup_fence(float (&)[blocks][4]) { cudasim_warpgroup_fence(); }
DEVICE void warpgroup_commit() { cudasim_warpgroup_commit(); }
template <int pending> DEVICE void warpgroup_wait() { cudasim_warpgroup_wait(pending); }
DEVICE void fence_for_products() { cudasim_fence_for_products(); }

DEVICE u64 matrix_descriptor(shared_place tile, int along, int across = 16) {
  return cudasim_shared_offset(tile) >> 4 | static_cast<u64>(across >> 4) << 16 | static_cast<u64>(along >> 4) << 32 | 1ull << 62;
}

template <bool a_across, bool b_across, int blocks> DEVICE void warpgroup_multiply(float (&c)[blocks][4], u64 a, u64 b, int keep) {
  cudasim_warpgroup_multiply(c[0], blocks, nullptr, a, a_across, b, b_across, keep);
}
template <bool b_across, int blocks> DEVICE void warpgroup_multiply(float (&c)[blocks][4], const u32 (&a)[4], u64 b, int keep) {
  cudasim_warpgroup_multiply(c[0], blocks, a, 0, 0, b, b_across, keep);
}

}  // namespace ptx
