#include "shared_memory.hpp"

#include <cstring>

namespace cudasim {

SharedMemory::SharedMemory(std::uint32_t dynamic_bytes)
    : memory_(new std::byte[capacity + 256]), cells_(new Cell[capacity / granule_bytes]), dynamic_bytes_(dynamic_bytes) {
  base_ = (reinterpret_cast<std::uintptr_t>(memory_.get()) + 255) / 256 * 256;
  next_ = base_ + capacity;
  std::memset(static_cast<void*>(cells_.get()), 0, sizeof(Cell) * (dynamic_bytes / granule_bytes + 1));
}

void SharedMemory::start_block() {
  arrays_.clear();
  static_bytes_ = 0;
  next_ = base_ + dynamic_bytes_;
  std::memset(reinterpret_cast<void*>(base_), 0xff, dynamic_bytes_);
}

std::uintptr_t SharedMemory::array(const void* key, std::uint32_t bytes) {
  for (const Array& array : arrays_)
    if (array.key == key) return array.begin;
  const std::uintptr_t begin = (next_ + gap_bytes + 15) / 16 * 16;
  arrays_.push_back({key, begin, begin + bytes});
  next_ = begin + bytes;
  static_bytes_ += bytes;
  std::memset(reinterpret_cast<void*>(begin), 0xff, bytes);
  std::memset(static_cast<void*>(cell(begin)), 0, sizeof(Cell) * ((bytes + granule_bytes - 1) / granule_bytes));
  return begin;
}

bool SharedMemory::allocated(std::uintptr_t address, std::size_t bytes) const {
  if (address + bytes <= base_ + dynamic_bytes_) return true;
  for (const Array& array : arrays_)
    if (address >= array.begin && address + bytes <= array.end) return true;
  return false;
}

}  // namespace cudasim
