// The functions that g++ -fsanitize=thread calls before every load and store of a kernel. libtsan is not linked: these
// definitions stand in its place.
#include <cstdint>

#include "cudasim/abi.h"
#include "multiprocessor.hpp"

namespace {

inline void check(void* address, std::size_t bytes, bool write, const void* site, bool aligned) {
  cudasim::Multiprocessor* run = cudasim::Multiprocessor::running;
  if (run != nullptr) run->access(reinterpret_cast<std::uintptr_t>(address), bytes, write, site, aligned);
}

}  // namespace

#define HOOKS(bytes)                                                                                                  \
  CUDASIM_EXPORT void __tsan_read##bytes(void* a) { check(a, bytes, false, __builtin_return_address(0), true); }      \
  CUDASIM_EXPORT void __tsan_write##bytes(void* a) { check(a, bytes, true, __builtin_return_address(0), true); }      \
  CUDASIM_EXPORT void __tsan_volatile_read##bytes(void* a) { check(a, bytes, false, __builtin_return_address(0), true); } \
  CUDASIM_EXPORT void __tsan_volatile_write##bytes(void* a) { check(a, bytes, true, __builtin_return_address(0), true); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
// Aggregates that are not aligned to their size.
CUDASIM_EXPORT void __tsan_read_range(void* a, std::size_t bytes) { check(a, bytes, false, __builtin_return_address(0), false); }
CUDASIM_EXPORT void __tsan_write_range(void* a, std::size_t bytes) { check(a, bytes, true, __builtin_return_address(0), false); }
CUDASIM_EXPORT void __tsan_init() {}
CUDASIM_EXPORT void __tsan_func_entry(void*) {}
CUDASIM_EXPORT void __tsan_func_exit() {}
