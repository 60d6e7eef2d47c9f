// Copies of whole tiles to shared memory that one thread asks for (cp.async.bulk), and the barriers on which they announce their arrival (mbarrier). sm_90.
// A barrier is eight bytes of shared memory. Its phases alternate between parity 0 and 1; one is complete when every arrival that barrier_start named and
// every byte that barrier_expect named are there. Waiting for the parity of the phase before the first returns at once.
// What a copy brings is visible to who has waited, to products (warpgroup.cuh) without a fence; what a warp did before it arrived as well.
#pragma once
#include "ptx.cuh"

#ifdef GEMMACORE_CUDASIM
#include "cudasim/bulk_copy.hpp"
#else

namespace ptx {

// By one thread; afterwards barriers_started by the same thread, and a barrier of the block.
DEVICE void barrier_start(shared_place barrier, int arrivals) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory"); }
DEVICE void barriers_started() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// One thread's arrival, and that `bytes` of copies are to come in this phase.
DEVICE void barrier_expect(shared_place barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// One arrival for the whole warp, which must be together.
DEVICE void barrier_arrive(shared_place barrier) {
  sync_warp();
  if (lane_index() == 0) asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Until the phase of that parity is complete; by the whole warp, of which no lane goes on before all have seen it: the next phase of that parity would
// stop those that come late.
DEVICE void barrier_wait(shared_place barrier, int parity) {
  asm volatile(
      "{.reg .pred p; again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @p bra done; bra again; done: }" ::"r"(barrier), "r"(parity) : "memory");
  sync_warp();
}
// By one thread: `bytes` (a multiple of 16, as both addresses) from global memory; they count at the barrier when they are there.
DEVICE void copy_bulk(shared_place to, const void* from, int bytes, shared_place barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier)
               : "memory");
}

// Registers of a thread from here on, a multiple of eight: a group of four warps that only copies gives some up, those that compute take them.
template <int count> DEVICE void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count)); }
template <int count> DEVICE void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count)); }

}  // namespace ptx
#endif
