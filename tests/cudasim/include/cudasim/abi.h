// What compiled kernel text asks of the simulator. Included by device.hpp (inside the kernel, where no system header
// exists) and by the simulator, so the two cannot drift apart. Every call concerns the calling CUDA thread.
#pragma once

#define CUDASIM_EXPORT extern "C" __attribute__((visibility("default")))
// Constant for the life of one CUDA thread, so the compiler may keep the value.
#define CUDASIM_CONSTANT __attribute__((const))

namespace cudasim {

enum ShuffleKind : int { shuffle_index, shuffle_xor_lane, shuffle_down_lane };
enum MmaType : int { mma_half, mma_bfloat16 };

// One per KERNEL of a compiled text; `call` unpacks the driver's void** into the arguments.
struct KernelEntry {
  const char* name;
  void (*call)(void* const* arguments);
  int argument_count;
  const unsigned long* argument_bytes;
  int most_threads;  // launch bound
};

}  // namespace cudasim

CUDASIM_EXPORT int cudasim_thread_index() CUDASIM_CONSTANT;
CUDASIM_EXPORT int cudasim_thread_count() CUDASIM_CONSTANT;
// axis 0, 1, 2 = x, y, z
CUDASIM_EXPORT int cudasim_block_index(int axis) CUDASIM_CONSTANT;
CUDASIM_EXPORT int cudasim_grid_size(int axis) CUDASIM_CONSTANT;

CUDASIM_EXPORT void cudasim_sync_block();
CUDASIM_EXPORT void cudasim_sync_warp(unsigned mask);
CUDASIM_EXPORT void cudasim_sync_named(int id, int threads);
CUDASIM_EXPORT unsigned cudasim_shuffle(int kind, unsigned value, int selector, unsigned mask);
CUDASIM_EXPORT unsigned cudasim_ballot(int predicate, unsigned mask);
// ptx.cuh's loops over shuffle_xor in one step; all lanes.
CUDASIM_EXPORT float cudasim_warp_sum(float value);
CUDASIM_EXPORT float cudasim_warp_max(float value);

// The block's array that `key` stands for (its address is the identity), and the launch's dynamic shared memory.
CUDASIM_EXPORT void* cudasim_shared_array(const void* key, unsigned long bytes);
CUDASIM_EXPORT void* cudasim_dynamic_shared() CUDASIM_CONSTANT;

// A vector access of 8 or 16 bytes: checked as one access that must be aligned to its size.
CUDASIM_EXPORT void cudasim_load(void* to, const void* from, int bytes);
CUDASIM_EXPORT void cudasim_store(void* to, const void* from, int bytes);

// Read, change, write of one 32-bit word; the value before.
CUDASIM_EXPORT unsigned cudasim_atomic_add(unsigned* at, unsigned value);
CUDASIM_EXPORT unsigned cudasim_atomic_max(unsigned* at, unsigned value);

CUDASIM_EXPORT void cudasim_copy_async16(void* shared, const void* global, int valid);
CUDASIM_EXPORT void cudasim_copy_async_commit();
CUDASIM_EXPORT void cudasim_copy_async_wait(int pending);

CUDASIM_EXPORT void cudasim_load_matrix(unsigned* registers, int count, int transposed, const void* row);
// c (4 floats) += a b; depth 8 or 16; a has depth / 4 registers, b depth / 8.
CUDASIM_EXPORT void cudasim_mma(int type, int depth, float* c, const unsigned* a, const unsigned* b);

// Products of a warpgroup, which are done at the wait: c[blocks][4] (+)= a b, a from four registers or, where they are null, from the tile of a descriptor.
CUDASIM_EXPORT void cudasim_warpgroup_fence();
CUDASIM_EXPORT void cudasim_warpgroup_commit();
CUDASIM_EXPORT void cudasim_warpgroup_wait(int pending);
CUDASIM_EXPORT void cudasim_warpgroup_multiply(float* c, int blocks, const unsigned* fragment, unsigned long a, int a_across, unsigned long b, int b_across,
                                               int keep);
CUDASIM_EXPORT void cudasim_fence_for_products();
CUDASIM_EXPORT unsigned long cudasim_shared_offset(const void* shared);

// Barriers that count arrivals and the bytes of bulk copies; arriving and waiting are a whole warp's.
CUDASIM_EXPORT void cudasim_barrier_start(const void* barrier, int arrivals);
CUDASIM_EXPORT void cudasim_barrier_expect(const void* barrier, int bytes);
CUDASIM_EXPORT void cudasim_barrier_arrive(const void* barrier);
CUDASIM_EXPORT void cudasim_barrier_wait(const void* barrier, int parity);
CUDASIM_EXPORT void cudasim_copy_bulk(void* shared, const void* global, int bytes, const void* barrier);

CUDASIM_EXPORT float cudasim_exp2_approx(float value) CUDASIM_CONSTANT;
CUDASIM_EXPORT float cudasim_tanh_approx(float value) CUDASIM_CONSTANT;
CUDASIM_EXPORT void cudasim_unsupported(const char* what);
