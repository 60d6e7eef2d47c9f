// Stacks and the switch between them: one fiber is one CUDA thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cudasim {

constexpr std::size_t fiber_stack_bytes = 64 * 1024;

// The stacks of one block's threads, reused from block to block. A guard page below each turns an overflow into a fault.
class FiberStacks {
 public:
  explicit FiberStacks(int count);
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  // The saved stack pointer of a fiber that will start in `entry` when switched to; entry never returns.
  void* prepare(int index, void (*entry)());
  // The lowest address; the stack has fiber_stack_bytes.
  std::uintptr_t bottom(int index) const;
  // Whether the address is in any of the stacks.
  bool contains(std::uintptr_t address) const { return address - reinterpret_cast<std::uintptr_t>(memory_) < bytes_; }

 private:
  int guarded_ = 0;  // stacks below this index have their guard page
  std::size_t bytes_;
  std::byte* memory_;
};

// Saves the running fiber's registers and stack pointer in *save and continues at `next`.
extern "C" void cudasim_switch_fiber(void** save, void* next);

}  // namespace cudasim
