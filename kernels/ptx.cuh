// The thin layer between our kernels and the hardware: everything a kernel may ask of the machine, in the field's words.
// Needs no toolkit header. NVRTC sees inline PTX (sm_75 .. sm_90a); g++ with GEMMACORE_CUDASIM sees the simulator
// (tests/cudasim), which keeps the same names, so a kernel is one text for both and never asks which one it runs on.
// Fragment layouts: PTX ISA, "Matrix fragments for mma.m16n8k8 / .m16n8k16"; g = lane / 4, t = lane % 4.
#pragma once

#ifdef GEMMACORE_CUDASIM
#include "cudasim/device.hpp"
#else

// KERNEL(threads) or KERNEL(threads, blocks): the most threads of a block, and how many blocks a multiprocessor should hold.
#define KERNEL(...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__)
#define DEVICE __device__ __forceinline__
// A block's own array with a size known at compile time; 16-byte aligned so that vector access is allowed.
#define SHARED_ARRAY(type, name, count) __shared__ __align__(16) type name[count]

namespace ptx {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

// Storage types: bits only, no arithmetic, so a missing conversion does not compile.
struct half { u16 bits; };
struct bfloat16 { u16 bits; };

constexpr int arch = __CUDA_ARCH__;  // 750, 800, 860, 890, 900
constexpr u32 full_warp = 0xffffffffu;

DEVICE int thread_index() { return threadIdx.x; }
DEVICE int thread_count() { return blockDim.x; }
DEVICE int block_x() { return blockIdx.x; }
DEVICE int block_y() { return blockIdx.y; }
DEVICE int block_z() { return blockIdx.z; }
DEVICE int grid_x() { return gridDim.x; }
DEVICE int grid_y() { return gridDim.y; }
DEVICE int lane_index() { return threadIdx.x & 31; }
DEVICE int warp_index() { return threadIdx.x >> 5; }

DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp(u32 mask = full_warp) { __syncwarp(mask); }
// Barrier `id` (1..15) over `threads` threads, a multiple of 32; id 0 is sync_block.
DEVICE void sync_named(int id, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

template <typename T> DEVICE T shuffle(T v, int from, u32 mask = full_warp) { return __shfl_sync(mask, v, from); }
template <typename T> DEVICE T shuffle_xor(T v, int with, u32 mask = full_warp) { return __shfl_xor_sync(mask, v, with); }
template <typename T> DEVICE T shuffle_down(T v, int by, u32 mask = full_warp) { return __shfl_down_sync(mask, v, by); }
DEVICE u32 ballot(bool p, u32 mask = full_warp) { return __ballot_sync(mask, p); }
DEVICE bool any(bool p, u32 mask = full_warp) { return __any_sync(mask, p); }
DEVICE bool all(bool p, u32 mask = full_warp) { return __all_sync(mask, p); }

// The launch's shared memory. It begins at a multiple of `alignment`, 16 or 1024.
template <typename T, int alignment = 16> DEVICE T* dynamic_shared() {
  if constexpr (alignment > 16) {
    extern __shared__ __align__(1024) u8 gemmacore_aligned_shared[];
    return reinterpret_cast<T*>(gemmacore_aligned_shared);
  } else {
    extern __shared__ __align__(16) u8 gemmacore_dynamic_shared[];
    return reinterpret_cast<T*>(gemmacore_dynamic_shared);
  }
}
// The compiler's own conversion, not asm: it folds constant offsets of shared addresses into the instruction, asm would cost a register each.
DEVICE u32 shared_address(const void* p) { return static_cast<u32>(__cvta_generic_to_shared(p)); }
// An address in shared memory as instructions take it. What is added to it after the conversion becomes part of the instruction, where a converted
// pointer each would cost registers.
using shared_place = u32;
DEVICE shared_place place_of(const void* p) { return shared_address(p); }

// 16- and 8-byte accesses; the address must be a multiple of the size.
DEVICE uint4 load16(const void* p) { return *static_cast<const uint4*>(p); }
DEVICE uint2 load8(const void* p) { return *static_cast<const uint2*>(p); }
DEVICE void store16(void* p, uint4 v) { *static_cast<uint4*>(p) = v; }
DEVICE void store8(void* p, uint2 v) { *static_cast<uint2*>(p) = v; }
// Read-once data (weights while decoding): through the read-only path and not kept in L1.
DEVICE uint4 load16_streaming(const void* p) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
      : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}

// Asynchronous 16-byte copy global -> shared; bytes past `valid` (0..16) are written as zero. From sm_80 on.
DEVICE void copy_async16(shared_place shared, const void* global, int valid = 16) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(valid) : "memory");
#else
  __trap();
#endif
}
DEVICE void copy_async16(void* shared, const void* global, int valid = 16) { copy_async16(place_of(shared), global, valid); }
DEVICE void copy_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until at most `pending` of this thread's committed groups are unfinished. Other threads need a barrier as well.
template <int pending> DEVICE void copy_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// count 8x8 matrices of 16-bit elements from shared memory; lane i gives row i % 8 of matrix i / 8. Every lane's address
// must be valid, also where count < 4 (sm_75 reads them all).
template <int count, bool transposed = false> DEVICE void load_matrix(u32 (&r)[count], shared_place a) {
  static_assert(count == 1 || count == 2 || count == 4, "ldmatrix takes 1, 2 or 4 matrices");
  if constexpr (count == 1 && !transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(a) : "memory");
  if constexpr (count == 1 && transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(a) : "memory");
  if constexpr (count == 2 && !transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(a) : "memory");
  if constexpr (count == 2 && transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1]) : "r"(a) : "memory");
  if constexpr (count == 4 && !transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a) : "memory");
  if constexpr (count == 4 && transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(a) : "memory");
}
template <int count, bool transposed = false> DEVICE void load_matrix(u32 (&r)[count], const void* row) {
  load_matrix<count, transposed>(r, place_of(row));
}

// c += a b, a 16x8 and b 8x8, fp32 sums. half from sm_75, bfloat16 from sm_80.
template <typename T> DEVICE void mma_k8(float (&c)[4], const u32 (&a)[2], const u32 (&b)[1]);
template <> DEVICE void mma_k8<half>(float (&c)[4], const u32 (&a)[2], const u32 (&b)[1]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}
#if __CUDA_ARCH__ >= 800
template <> DEVICE void mma_k8<bfloat16>(float (&c)[4], const u32 (&a)[2], const u32 (&b)[1]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}
#endif
// c += a b, a 16x16 and b 16x8, fp32 sums. On sm_75 half is two steps of eight.
template <typename T> DEVICE void mma_k16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]);
template <> DEVICE void mma_k16<half>(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  mma_k8<half>(c, {a[0], a[1]}, {b[0]});
  mma_k8<half>(c, {a[2], a[3]}, {b[1]});
#endif
}
#if __CUDA_ARCH__ >= 800
template <> DEVICE void mma_k16<bfloat16>(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Integer atomics on global or shared memory; each returns the value before. They order nothing else.
DEVICE u32 atomic_add(u32* p, u32 v) { return atomicAdd(p, v); }
DEVICE u32 atomic_max(u32* p, u32 v) { return atomicMax(p, v); }

DEVICE u32 float_bits(float v) { return __float_as_uint(v); }
DEVICE float bits_float(u32 v) { return __uint_as_float(v); }
DEVICE int first_bit(u32 v) { return __ffs(static_cast<int>(v)) - 1; }  // index of the lowest set bit; v is not 0
DEVICE float half_to_float(u16 bits) {
  float v;
  asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(bits));
  return v;
}
DEVICE u16 float_to_half(float v) {
  u16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(v));
  return bits;
}
// Flushes what is no normal number to zero, which saves three instructions of scaling.
DEVICE float exp2_approx(float v) {
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
DEVICE float tanh_approx(float v) {
  float r;
  asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
DEVICE float fused_multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
// A product that is rounded before anything is added to it: the compiler may not contract it.
DEVICE float rounded_product(float a, float b) { return __fmul_rn(a, b); }
DEVICE float reciprocal_sqrt(float v) { return rsqrtf(v); }
// Byte i of the result is byte (selector >> 4i) & 7 of b:a, b the upper four.
DEVICE u32 permute_bytes(u32 a, u32 b, u32 selector) { return __byte_perm(a, b, selector); }
// Two halves in a register, each rounded.
DEVICE u32 subtract_halves(u32 a, u32 b) {
  u32 r;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}

}  // namespace ptx
#endif

// What follows is arithmetic in both worlds.
namespace ptx {

DEVICE float to_float(float v) { return v; }
DEVICE float to_float(half v) { return half_to_float(v.bits); }
DEVICE float to_float(bfloat16 v) { return bits_float(static_cast<u32>(v.bits) << 16); }

// Round to nearest even; a NaN stays a NaN (adding to its bits could carry it into infinity).
template <typename T> DEVICE T from_float(float v);
template <> DEVICE float from_float<float>(float v) { return v; }
template <> DEVICE half from_float<half>(float v) { return half{float_to_half(v)}; }
template <> DEVICE bfloat16 from_float<bfloat16>(float v) {
  const u32 bits = float_bits(v);
  if (v != v) return bfloat16{static_cast<u16>((bits >> 16) | 0x40u)};
  return bfloat16{static_cast<u16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}
template <typename T> constexpr bool is_half = false;
template <> constexpr bool is_half<half> = true;
// The first lane's value, which is every lane's: so the compiler knows that the warp stays together where it decides a branch.
DEVICE int uniform(int v) { return shuffle(v, 0); }
// Two 16-bit values in one register, the lower index in the low bits. sm_80 has one instruction for it.
template <typename T> DEVICE u32 pack(float low, float high) {
#if !defined(GEMMACORE_CUDASIM) && __CUDA_ARCH__ >= 800
  u32 r;
  if constexpr (is_half<T>)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  return from_float<T>(low).bits | static_cast<u32>(from_float<T>(high).bits) << 16;
#endif
}
template <typename T> DEVICE float unpack_low(u32 v) { return to_float(T{static_cast<u16>(v)}); }
template <typename T> DEVICE float unpack_high(u32 v) { return to_float(T{static_cast<u16>(v >> 16)}); }


// The simulator without checks does these loops in one go: the same operations on the same lanes.
#ifdef CUDASIM_UNCHECKED
DEVICE float warp_sum(float v) { return cudasim_warp_sum(v); }
DEVICE float warp_max(float v) { return cudasim_warp_max(v); }
#else
DEVICE float warp_sum(float v) {
  for (int step = 16; step > 0; step >>= 1) v += shuffle_xor(v, step);
  return v;
}
DEVICE float warp_max(float v) {
  for (int step = 16; step > 0; step >>= 1) {
    const float other = shuffle_xor(v, step);
    v = other > v ? other : v;
  }
  return v;
}
#endif
// Every lane gets the warp's sum. redux.sync is one instruction from sm_80 on.
DEVICE u32 warp_sum(u32 v) {
#if !defined(GEMMACORE_CUDASIM) && __CUDA_ARCH__ >= 800
  u32 r;
  asm volatile("redux.sync.add.u32 %0, %1, 0xffffffff;" : "=r"(r) : "r"(v));
  return r;
#else
  for (int step = 16; step > 0; step >>= 1) v += shuffle_xor(v, step);
  return v;
#endif
}

// `count` neighbouring floats: four in one 16-byte access, where vectors_allowed says so, or one.
template <int count> struct Floats { float at[count]; };
template <int count> DEVICE Floats<count> load_floats(const float* p) {
  static_assert(count == 1 || count == 4, "one float or a 16-byte vector");
  if constexpr (count == 4) {
    const uint4 v = load16(p);
    return {bits_float(v.x), bits_float(v.y), bits_float(v.z), bits_float(v.w)};
  } else {
    return {*p};
  }
}
template <int count> DEVICE void store_floats(float* p, const Floats<count>& v) {
  if constexpr (count == 4)
    store16(p, uint4{float_bits(v.at[0]), float_bits(v.at[1]), float_bits(v.at[2]), float_bits(v.at[3])});
  else
    *p = v.at[0];
}
// `count` neighbouring elements, each rounded once, in 16-byte accesses.
template <typename T, int count> DEVICE void store_rounded(T* p, const float (&v)[count]) {
  constexpr int chunk = 16 / sizeof(T);
  static_assert(count % chunk == 0, "whole 16-byte chunks");
#pragma unroll
  for (int i = 0; i < count; i += chunk) {
    if constexpr (sizeof(T) == 4)
      store16(p + i, uint4{float_bits(v[i]), float_bits(v[i + 1]), float_bits(v[i + 2]), float_bits(v[i + 3])});
    else
      store16(p + i, uint4{pack<T>(v[i], v[i + 1]), pack<T>(v[i + 2], v[i + 3]), pack<T>(v[i + 4], v[i + 5]), pack<T>(v[i + 6], v[i + 7])});
  }
}
// Eight neighbouring floats, in 16-byte accesses where `vectors` allows it, and their sixteen bytes of T, each times `factor` and rounded once.
DEVICE Floats<8> load_eight(const float* p, bool vectors) {
  if (!vectors) return {{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]}};
  const Floats<4> low = load_floats<4>(p), high = load_floats<4>(p + 4);
  return {{low.at[0], low.at[1], low.at[2], low.at[3], high.at[0], high.at[1], high.at[2], high.at[3]}};
}
template <typename T> DEVICE uint4 round_eight(const Floats<8>& v, float factor) {
  return {pack<T>(v.at[0] * factor, v.at[1] * factor), pack<T>(v.at[2] * factor, v.at[3] * factor), pack<T>(v.at[4] * factor, v.at[5] * factor),
          pack<T>(v.at[6] * factor, v.at[7] * factor)};
}
// Whether rows of `width` elements at these addresses (null counts as aligned) may be read in vectors of `count`, 16 bytes each.
template <typename... T> DEVICE bool vectors_allowed(int count, int width, const T*... rows) {
  return width % count == 0 && ((reinterpret_cast<u64>(rows) | ...) & 15) == 0;
}

// Sum over the consecutive `threads` that share a row, the same bits in each: one warp, or the whole block, whose warps' sums
// are added in order. A block leaves them in `warp_sums` (threads / 32 floats), which needs a barrier before it is used again.
template <int threads> DEVICE float row_sum(float v, float* warp_sums) {
  v = warp_sum(v);
  if constexpr (threads == 32) return v;
  if (lane_index() == 0) warp_sums[warp_index()] = v;
  sync_block();
  float total = 0.0f;
  for (int w = 0; w < threads / 32; ++w) total += warp_sums[w];
  return total;
}

// The activations, each x * sigmoid(z(x)): the argument z and its slope dz/dx. Sources: src/GemmaCore.Ops/Activation.cs.
struct gelu_tanh {  // (1 + tanh u) / 2 = sigmoid(2u), which does not cancel for negative x
  DEVICE static float argument(float x) { return x * 1.5957691216057308f * fused_multiply_add(x * x, 0.044715f, 1.0f); }
  DEVICE static float slope(float x) { return 1.5957691216057308f * fused_multiply_add(x * x, 3 * 0.044715f, 1.0f); }
};
struct silu {
  DEVICE static float argument(float x) { return x; }
  DEVICE static float slope(float) { return 1.0f; }
};
struct quick_gelu {
  DEVICE static float argument(float x) { return 1.702f * x; }
  DEVICE static float slope(float) { return 1.702f; }
};
// e^-z held within what a normal number can be; beyond it the sigmoid is 0 or 1 to within 2e-38.
DEVICE float exp_of_minus(float z) { return expf(fminf(fmaxf(-z, -87.0f), 87.0f)); }
template <typename A> DEVICE float activate(float x) { return x / (1.0f + exp_of_minus(A::argument(x))); }
// The value again, and its derivative s + x s (1 - s) z'. 1 - s = e s without cancellation; e s first, because x z' may be
// large where it is tiny.
template <typename A> DEVICE float activate(float x, float& derivative) {
  const float e = exp_of_minus(A::argument(x)), s = 1.0f / (1.0f + e);
  derivative = fused_multiply_add(x * (e * s) * s, A::slope(x), s);
  return x * s;
}

// Tiles of 16-bit elements in shared memory, `width` elements to a row. Rows of a multiple of 64 have their 16-byte chunks permuted by
// row & 7, so that load_matrix meets no bank conflict; rows of 72 need nothing (eight of them begin at banks 0, 4, .. 28 as they are).
template <int width> DEVICE int tile_offset(int row, int chunk) {
  return row * width + (width % 64 == 0 ? chunk ^ (row & 7) : chunk) * 8;
}
// Fragments of a 16x16 piece at (row, 8 * chunk). A: rows are m. B: rows are n, two fragments of eight columns, or, transposed, rows are k.
template <int width> DEVICE void load_a(u32 (&a)[4], shared_place tile, int row, int chunk) {
  load_matrix<4>(a, tile + 2 * tile_offset<width>(row + lane_index() % 16, chunk + lane_index() / 16));
}
template <int width> DEVICE void load_b(u32 (&b)[4], shared_place tile, int row, int chunk) {
  load_matrix<4>(b, tile + 2 * tile_offset<width>(row + lane_index() / 16 * 8 + lane_index() % 8, chunk + lane_index() / 8 % 2));
}
template <int width> DEVICE void load_b_transposed(u32 (&b)[4], shared_place tile, int row, int chunk) {
  load_matrix<4, true>(b, tile + 2 * tile_offset<width>(row + lane_index() % 16, chunk + lane_index() / 16));
}
// The same of a 16x8 piece: A of depth eight, B of depth eight for sixteen columns, B transposed for eight columns.
template <int width, bool transposed = false> DEVICE void load_half_piece(u32 (&r)[2], shared_place tile, int row, int chunk) {
  load_matrix<2, transposed>(r, tile + 2 * tile_offset<width>(row + lane_index() % 16, chunk));
}

}  // namespace ptx
