// abi.h, answered for the CUDA thread that is running.
#include "cudasim/abi.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "multiprocessor.hpp"
#include "warp_collective.hpp"

using cudasim::Defect;
using cudasim::Multiprocessor;

namespace {

Multiprocessor& run() { return *Multiprocessor::running; }
std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }
bool hardware() { return Multiprocessor::running != nullptr && run().card().arithmetic == cudasim::Arithmetic::hardware; }

// Keeps the leading `bits` of the fraction: an approximate instruction's lower bits are nothing to rely on.
float keep_fraction_bits(float value, int bits) {
  std::uint32_t word;
  std::memcpy(&word, &value, 4);
  word &= ~0u << (23 - bits);
  std::memcpy(&value, &word, 4);
  return value;
}

}  // namespace

int cudasim_thread_index() {
  const int thread = run().current(), x = static_cast<int>(run().launch().block[0]);
  return thread < x ? thread : thread % x;  // blocks of one dimension, by far the most, need no division
}
int cudasim_thread_count() { return static_cast<int>(run().launch().block[0]); }
int cudasim_block_index(int axis) { return static_cast<int>(run().block_index(axis)); }
int cudasim_grid_size(int axis) { return static_cast<int>(run().launch().grid[static_cast<std::size_t>(axis)]); }

void cudasim_sync_block() { run().sync_block(); }
void cudasim_sync_warp(unsigned mask) { cudasim::warp_sync(run(), mask); }
void cudasim_sync_named(int id, int threads) { run().sync_named(id, threads); }
unsigned cudasim_shuffle(int kind, unsigned value, int selector, unsigned mask) {
  return cudasim::warp_shuffle(run(), kind, value, selector, mask);
}
unsigned cudasim_ballot(int predicate, unsigned mask) { return cudasim::warp_ballot(run(), predicate != 0, mask); }

float cudasim_warp_sum(float value) { return cudasim::warp_sum(run(), value); }
float cudasim_warp_max(float value) { return cudasim::warp_max(run(), value); }

void* cudasim_shared_array(const void* key, unsigned long bytes) { return run().shared_array(key, static_cast<std::uint32_t>(bytes)); }
void* cudasim_dynamic_shared() { return reinterpret_cast<void*>(run().shared().dynamic()); }

// `bytes` is 8 or 16.
void cudasim_load(void* to, const void* from, int bytes) {
  run().access(address(from), static_cast<std::size_t>(bytes), false, __builtin_return_address(0));
  if (bytes == 16) std::memcpy(to, from, 16);
  else std::memcpy(to, from, 8);
}
void cudasim_store(void* to, const void* from, int bytes) {
  run().access(address(to), static_cast<std::size_t>(bytes), true, __builtin_return_address(0));
  if (bytes == 16) std::memcpy(to, from, 16);
  else std::memcpy(to, from, 8);
}

unsigned cudasim_atomic_add(unsigned* at, unsigned value) {
  run().access_atomic(address(at), __builtin_return_address(0));
  const unsigned before = *at;
  *at = before + value;
  return before;
}
unsigned cudasim_atomic_max(unsigned* at, unsigned value) {
  run().access_atomic(address(at), __builtin_return_address(0));
  const unsigned before = *at;
  *at = std::max(before, value);
  return before;
}

void cudasim_copy_async16(void* shared, const void* global, int valid) { run().copy_async(address(shared), address(global), valid); }
void cudasim_copy_async_commit() { run().copy_async_commit(); }
void cudasim_copy_async_wait(int pending) { run().copy_async_wait(pending); }

void cudasim_load_matrix(unsigned* registers, int count, int transposed, const void* row) {
  cudasim::warp_load_matrix(run(), registers, count, transposed != 0, row, __builtin_return_address(0));
}
void cudasim_mma(int type, int depth, float* c, const unsigned* a, const unsigned* b) { cudasim::warp_mma(run(), type, depth, c, a, b); }

void cudasim_warpgroup_fence() { run().products().fence(run()); }
void cudasim_warpgroup_commit() { run().products().commit(run()); }
void cudasim_warpgroup_wait(int pending) { run().products().wait(run(), pending); }
void cudasim_warpgroup_multiply(float* c, int blocks, const unsigned* fragment, unsigned long a, int a_across, unsigned long b, int b_across, int keep) {
  cudasim::WarpgroupProducts::Operands operands{c, blocks, keep, fragment != nullptr, {}, {a, a_across != 0}, {b, b_across != 0}, __builtin_return_address(0)};
  if (fragment != nullptr) std::memcpy(operands.fragment, fragment, sizeof operands.fragment);
  run().products().multiply(run(), operands);
}
void cudasim_fence_for_products() { run().fence_for_products(); }
unsigned long cudasim_shared_offset(const void* shared) { return address(shared) - run().shared().dynamic(); }

void cudasim_barrier_start(const void* barrier, int arrivals) { run().barrier_start(address(barrier), arrivals, __builtin_return_address(0)); }
void cudasim_barrier_expect(const void* barrier, int bytes) { run().barrier_expect(address(barrier), bytes, __builtin_return_address(0)); }
void cudasim_barrier_arrive(const void* barrier) { run().barrier_arrive(address(barrier), __builtin_return_address(0)); }
void cudasim_barrier_wait(const void* barrier, int parity) { run().barrier_wait(address(barrier), parity, __builtin_return_address(0)); }
void cudasim_copy_bulk(void* shared, const void* global, int bytes, const void* barrier) {
  run().copy_bulk(address(shared), address(global), bytes, address(barrier), __builtin_return_address(0));
}

// ex2.approx: 2 ulp in the PTX manual; tanh.approx: relative error 2^-11.
float cudasim_exp2_approx(float value) { return hardware() ? keep_fraction_bits(std::exp2(value), 22) : std::exp2(value); }
float cudasim_tanh_approx(float value) { return hardware() ? keep_fraction_bits(std::tanh(value), 11) : std::tanh(value); }
void cudasim_unsupported(const char* what) { run().fail(Defect::unsupported, what, __builtin_return_address(0)); }
