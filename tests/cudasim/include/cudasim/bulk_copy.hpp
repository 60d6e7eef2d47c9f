// The simulator's side of kernels/bulk_copy.cuh.
#pragma once

#include "cudasim/abi.h"

namespace ptx {

#if __CUDA_ARCH__ < 900
#error "bulk_copy.cuh needs -arch=sm_90 or sm_90a"
#endif

DEVICE void barrier_start(shared_place barrier, int arrivals) { cudasim_barrier_start(barrier, arrivals); }
DEVICE void barriers_started() {}
DEVICE void barrier_expect(shared_place barrier, int bytes) { cudasim_barrier_expect(barrier, bytes); }
DEVICE void barrier_arrive(shared_place barrier) { cudasim_barrier_arrive(barrier); }
DEVICE void barrier_wait(shared_place barrier, int parity) { cudasim_barrier_wait(barrier, parity); }
DEVICE void copy_bulk(shared_place to, const void* from, int bytes, shared_place barrier) { cudasim_copy_bulk(to, from, bytes, barrier); }
template <int count> DEVICE void give_registers() { static_assert(count % 8 == 0 && count >= 24 && count <= 256, "a multiple of eight, 24 to 256"); }
template <int count> DEVICE void take_registers() { give_registers<count>(); }

}  // namespace ptx
