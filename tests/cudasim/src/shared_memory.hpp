// One block's shared memory: the launch's dynamic bytes first, then the arrays that the kernel declares, with gaps.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "device_memory.hpp"

namespace cudasim {

class SharedMemory {
 public:
  SharedMemory();
  void start_launch(std::uint32_t dynamic_bytes) { dynamic_bytes_ = dynamic_bytes; }
  // Forgets the arrays of the block before, and with `poison` its bytes.
  void start_block(bool poison);
  // The array that `key` stands for in this block.
  std::uintptr_t array(const void* key, std::uint32_t bytes);
  std::uintptr_t dynamic() const { return base_; }
  std::uint32_t static_bytes() const { return static_bytes_; }

  bool contains(std::uintptr_t address) const { return address - base_ < capacity; }
  bool allocated(std::uintptr_t address, std::size_t bytes) const;
  Cell* cell(std::uintptr_t address) const { return cells_.get() + (address - base_) / granule_bytes; }

 private:
  struct Array {
    const void* key;
    std::uintptr_t begin, end;
  };
  static constexpr std::size_t capacity = 512 * 1024;
  static constexpr std::size_t gap_bytes = 64;
  static constexpr std::size_t alignment = 1024;  // of dynamic shared memory where nothing is declared before it, as on a card
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  // A stamp from before the block says that the block has not stored there, so cells are never cleared.
  std::unique_ptr<Cell, Free> cells_;
  std::uintptr_t base_;
  std::uint32_t dynamic_bytes_ = 0, static_bytes_ = 0;
  bool poison_ = true;
  std::uintptr_t next_;
  std::vector<Array> arrays_;
};

}  // namespace cudasim
