// The simulator's side of kernels/ptx.cuh: the same names, answered by cudasim/abi.h instead of by inline PTX.
// Self-contained: kernel text is compiled with -nostdinc, as NVRTC would find no headers either.
#pragma once

#include "cudasim/abi.h"
#include "cudasim/half.h"

// host_compiler.cpp finds kernels by this attribute in the preprocessed text and appends their KernelEntry.
#define KERNEL(threads, ...) extern "C" [[cudasim::kernel(threads)]] void
#define DEVICE inline __attribute__((always_inline))
#define SHARED_ARRAY(type, name, count)                                                      \
  static const char name##_key = 0;                                                          \
  type(&name)[count] = *static_cast<type(*)[count]>(cudasim_shared_array(&name##_key, sizeof(type) * (count)))

struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };

// The CUDA built-ins that kernels may call without a header.
DEVICE float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float expf(float v) { return __builtin_expf(v); }
DEVICE float exp2f(float v) { return __builtin_exp2f(v); }
DEVICE float logf(float v) { return __builtin_logf(v); }
DEVICE float log2f(float v) { return __builtin_log2f(v); }
DEVICE float tanhf(float v) { return __builtin_tanhf(v); }
DEVICE float sqrtf(float v) { return __builtin_sqrtf(v); }
DEVICE float rsqrtf(float v) { return 1.0f / __builtin_sqrtf(v); }
DEVICE float fabsf(float v) { return __builtin_fabsf(v); }
DEVICE float fmaxf(float a, float b) { return __builtin_fmaxf(a, b); }
DEVICE float fminf(float a, float b) { return __builtin_fminf(a, b); }
DEVICE float sinf(float v) { return __builtin_sinf(v); }
DEVICE float cosf(float v) { return __builtin_cosf(v); }

namespace ptx {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

struct half { u16 bits; };
struct bfloat16 { u16 bits; };

constexpr int arch = __CUDA_ARCH__;
constexpr u32 full_warp = 0xffffffffu;

DEVICE int thread_index() { return cudasim_thread_index(); }
DEVICE int thread_count() { return cudasim_thread_count(); }
DEVICE int block_x() { return cudasim_block_index(0); }
DEVICE int block_y() { return cudasim_block_index(1); }
DEVICE int block_z() { return cudasim_block_index(2); }
DEVICE int grid_x() { return cudasim_grid_size(0); }
DEVICE int grid_y() { return cudasim_grid_size(1); }
DEVICE int lane_index() { return cudasim_thread_index() & 31; }
DEVICE int warp_index() { return cudasim_thread_index() >> 5; }

DEVICE void sync_block() { cudasim_sync_block(); }
DEVICE void sync_warp(u32 mask = full_warp) { cudasim_sync_warp(mask); }
DEVICE void sync_named(int id, int threads) { cudasim_sync_named(id, threads); }

DEVICE u32 float_bits(float v) { return __builtin_bit_cast(u32, v); }
DEVICE float bits_float(u32 v) { return __builtin_bit_cast(float, v); }
DEVICE int first_bit(u32 v) { return __builtin_ctz(v); }

template <typename T> DEVICE T shuffle_value(cudasim::ShuffleKind kind, T v, int selector, u32 mask) {
  static_assert(sizeof(T) == 4, "a shuffle moves 32-bit values");
  return __builtin_bit_cast(T, cudasim_shuffle(kind, __builtin_bit_cast(u32, v), selector, mask));
}
template <typename T> DEVICE T shuffle(T v, int from, u32 mask = full_warp) {
  return shuffle_value(cudasim::shuffle_index, v, from, mask);
}
template <typename T> DEVICE T shuffle_xor(T v, int with, u32 mask = full_warp) {
  return shuffle_value(cudasim::shuffle_xor_lane, v, with, mask);
}
template <typename T> DEVICE T shuffle_down(T v, int by, u32 mask = full_warp) {
  return shuffle_value(cudasim::shuffle_down_lane, v, by, mask);
}
DEVICE u32 ballot(bool p, u32 mask = full_warp) { return cudasim_ballot(p, mask); }
DEVICE bool any(bool p, u32 mask = full_warp) { return cudasim_ballot(p, mask) != 0; }
DEVICE bool all(bool p, u32 mask = full_warp) { return cudasim_ballot(p, mask) == mask; }

template <typename T, int alignment = 16> DEVICE T* dynamic_shared() { return static_cast<T*>(cudasim_dynamic_shared()); }

using shared_place = u8*;
DEVICE shared_place place_of(const void* p) { return static_cast<u8*>(const_cast<void*>(p)); }

#ifdef CUDASIM_UNCHECKED
// Plain accesses, and copies that are done at once: an order that the hardware may choose.
DEVICE uint4 load16(const void* p) { return *static_cast<const uint4*>(p); }
DEVICE uint2 load8(const void* p) { return *static_cast<const uint2*>(p); }
DEVICE void store16(void* p, uint4 v) { *static_cast<uint4*>(p) = v; }
DEVICE void store8(void* p, uint2 v) { *static_cast<uint2*>(p) = v; }

DEVICE void copy_async16(void* shared, const void* global, int valid = 16) {
  if (arch < 800) cudasim_unsupported("cp.async needs sm_80");
  if (valid == 16) return store16(shared, load16(global));
  store16(shared, uint4{0, 0, 0, 0});
  __builtin_memcpy(shared, global, static_cast<unsigned long>(valid));
}
DEVICE void copy_async_commit() {}
template <int pending> DEVICE void copy_async_wait() {}

DEVICE u32 atomic_add(u32* p, u32 v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
DEVICE u32 atomic_max(u32* p, u32 v) {
  u32 before = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (before < v && !__atomic_compare_exchange_n(p, &before, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}
#else
DEVICE uint4 load16(const void* p) {
  uint4 v;
  cudasim_load(&v, p, 16);
  return v;
}
DEVICE uint2 load8(const void* p) {
  uint2 v;
  cudasim_load(&v, p, 8);
  return v;
}
DEVICE void store16(void* p, uint4 v) { cudasim_store(p, &v, 16); }
DEVICE void store8(void* p, uint2 v) { cudasim_store(p, &v, 8); }

DEVICE void copy_async16(void* shared, const void* global, int valid = 16) {
  if (arch < 800) cudasim_unsupported("cp.async needs sm_80");
  cudasim_copy_async16(shared, global, valid);
}
DEVICE void copy_async_commit() { cudasim_copy_async_commit(); }
template <int pending> DEVICE void copy_async_wait() { cudasim_copy_async_wait(pending); }

DEVICE u32 atomic_add(u32* p, u32 v) { return cudasim_atomic_add(p, v); }
DEVICE u32 atomic_max(u32* p, u32 v) { return cudasim_atomic_max(p, v); }
#endif
DEVICE uint4 load16_streaming(const void* p) { return load16(p); }

template <int count, bool transposed = false> DEVICE void load_matrix(u32 (&r)[count], const void* row) {
  static_assert(count == 1 || count == 2 || count == 4, "ldmatrix takes 1, 2 or 4 matrices");
  cudasim_load_matrix(r, count, transposed, row);
}

template <typename T> constexpr cudasim::MmaType mma_type = cudasim::mma_half;
template <> constexpr cudasim::MmaType mma_type<bfloat16> = cudasim::mma_bfloat16;

template <typename T> DEVICE void mma_k8(float (&c)[4], const u32 (&a)[2], const u32 (&b)[1]) {
  static_assert(mma_type<T> == cudasim::mma_half || arch >= 800, "mma on bfloat16 needs sm_80");
  cudasim_mma(mma_type<T>, 8, c, a, b);
}
template <typename T> DEVICE void mma_k16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  if constexpr (arch >= 800) {
    cudasim_mma(mma_type<T>, 16, c, a, b);
  } else {
    mma_k8<T>(c, {a[0], a[1]}, {b[0]});
    mma_k8<T>(c, {a[2], a[3]}, {b[1]});
  }
}

DEVICE float half_to_float(u16 bits) { return cudasim::half_value(bits); }
DEVICE u16 float_to_half(float v) { return cudasim::half_bits(v); }
DEVICE float exp2_approx(float v) { return cudasim_exp2_approx(v); }
DEVICE float tanh_approx(float v) { return cudasim_tanh_approx(v); }
DEVICE float fused_multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float rounded_product(float a, float b) { return a * b; }
DEVICE float reciprocal_sqrt(float v) { return 1.0f / __builtin_sqrtf(v); }
DEVICE u32 permute_bytes(u32 a, u32 b, u32 selector) {
  const u64 bytes = static_cast<u64>(b) << 32 | a;
  u32 r = 0;
  for (int i = 0; i < 4; ++i) r |= static_cast<u32>(bytes >> (selector >> 4 * i & 7) * 8 & 255) << 8 * i;
  return r;
}
DEVICE u32 subtract_halves(u32 a, u32 b) {
  const u32 low = float_to_half(half_to_float(static_cast<u16>(a)) - half_to_float(static_cast<u16>(b)));
  return low | static_cast<u32>(float_to_half(half_to_float(static_cast<u16>(a >> 16)) - half_to_float(static_cast<u16>(b >> 16)))) << 16;
}

}  // namespace ptx

namespace cudasim {

// call() runs outside the memory checks: it reads the driver's argument copies, which are host memory.
template <int... index> struct Indices {};
template <int count, int... rest> struct CountUp : CountUp<count - 1, count - 1, rest...> {};
template <int... rest> struct CountUp<0, rest...> { using Type = Indices<rest...>; };

template <auto kernel, typename Signature = decltype(kernel)> struct Launch;
template <auto kernel, typename... Arguments> struct Launch<kernel, void (*)(Arguments...)> {
  static constexpr int argument_count = sizeof...(Arguments);
  static constexpr unsigned long argument_bytes[sizeof...(Arguments) + 1] = {sizeof(Arguments)..., 0};
  template <int... index>
  __attribute__((no_sanitize("thread"))) static void unpack(void* const* arguments, Indices<index...>) {
    kernel(*static_cast<Arguments*>(arguments[index])...);
  }
  __attribute__((no_sanitize("thread"))) static void call(void* const* arguments) {
    unpack(arguments, typename CountUp<argument_count>::Type{});
  }
};

}  // namespace cudasim

