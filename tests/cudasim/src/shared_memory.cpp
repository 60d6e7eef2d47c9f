#include "shared_memory.hpp"

#include <cstring>
#include <new>

namespace cudasim {

SharedMemory::SharedMemory()
    : memory_(static_cast<std::byte*>(std::calloc(capacity + alignment, 1))), cells_(static_cast<Cell*>(std::calloc(capacity / granule_bytes, sizeof(Cell)))) {
  if (memory_ == nullptr || cells_ == nullptr) throw std::bad_alloc();
  base_ = (reinterpret_cast<std::uintptr_t>(memory_.get()) + alignment - 1) / alignment * alignment;
  next_ = base_;
}

void SharedMemory::start_block(bool poison) {
  arrays_.clear();
  static_bytes_ = 0;
  next_ = base_ + dynamic_bytes_;
  poison_ = poison;
  if (poison_) std::memset(reinterpret_cast<void*>(base_), 0xff, dynamic_bytes_);
}

std::uintptr_t SharedMemory::array(const void* key, std::uint32_t bytes) {
  for (const Array& array : arrays_)
    if (array.key == key) return array.begin;
  const std::uintptr_t begin = (next_ + gap_bytes + 15) / 16 * 16;
  arrays_.push_back({key, begin, begin + bytes});
  next_ = begin + bytes;
  static_bytes_ += bytes;
  if (poison_) std::memset(reinterpret_cast<void*>(begin), 0xff, bytes);
  return begin;
}

bool SharedMemory::allocated(std::uintptr_t address, std::size_t bytes) const {
  if (address + bytes <= base_ + dynamic_bytes_) return true;
  for (const Array& array : arrays_)
    if (address >= array.begin && address + bytes <= array.end) return true;
  return false;
}

}  // namespace cudasim
