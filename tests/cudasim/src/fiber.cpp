#include "fiber.hpp"

#include <sys/mman.h>

#include <stdexcept>

namespace cudasim {
namespace {
constexpr std::size_t guard_bytes = 4096;
constexpr std::size_t stride = fiber_stack_bytes + guard_bytes;
}  // namespace

#if defined(__x86_64__)
// System V: rbx, rbp, r12..r15 survive a call, everything else is the caller's; kernels never change MXCSR.
asm(R"(
.text
.globl cudasim_switch_fiber
.hidden cudasim_switch_fiber
.type cudasim_switch_fiber, @function
cudasim_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cudasim_switch_fiber, .-cudasim_switch_fiber
)");
constexpr int saved_registers = 6;
#elif defined(__aarch64__)
// AAPCS64: x19..x30 and d8..d15 survive a call; 160 bytes keep sp aligned.
asm(R"(
.text
.globl cudasim_switch_fiber
.hidden cudasim_switch_fiber
.type cudasim_switch_fiber, %function
cudasim_switch_fiber:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#else
#error "the simulator's fibers know x86-64 and aarch64"
#endif

FiberStacks::FiberStacks(int count) : bytes_(stride * static_cast<std::size_t>(count)) {
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("cudasim: no memory for the stacks of a block's threads");
  memory_ = static_cast<std::byte*>(memory);
}

FiberStacks::~FiberStacks() { munmap(memory_, bytes_); }

std::uintptr_t FiberStacks::bottom(int index) const {
  return reinterpret_cast<std::uintptr_t>(memory_) + stride * static_cast<std::size_t>(index) + guard_bytes;
}

void* FiberStacks::prepare(int index, void (*entry)()) {
  for (; guarded_ <= index; ++guarded_) mprotect(memory_ + stride * static_cast<std::size_t>(guarded_), guard_bytes, PROT_NONE);
  // Frames at the same place in every stack would all want the same few lines of the cache.
  const std::size_t shift = static_cast<std::size_t>(index) * 5 % 32 * 128;
  auto* top = reinterpret_cast<std::uint64_t*>(bottom(index) + fiber_stack_bytes - shift);
#if defined(__x86_64__)
  // At its first instruction a function expects rsp = 16 n + 8, with a return address there.
  *--top = 0;
  *--top = reinterpret_cast<std::uint64_t>(entry);
  for (int i = 0; i < saved_registers; ++i) *--top = 0;
#else
  top -= 20;
  for (int i = 0; i < 20; ++i) top[i] = 0;
  top[11] = reinterpret_cast<std::uint64_t>(entry);  // x30
#endif
  return top;
}

}  // namespace cudasim
