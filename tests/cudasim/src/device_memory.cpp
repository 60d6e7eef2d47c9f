#include "device_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace cudasim {
namespace {

// Filling more than this with poison would touch host memory that the program itself may never touch.
constexpr std::size_t most_poisoned_bytes = std::size_t{256} << 20;

// Null when there is no such range of addresses.
template <typename T> T* reserve(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<T*>(memory);
}

void give_back(void* memory, std::size_t bytes) {
  if (memory != nullptr) munmap(memory, bytes);
}

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

DeviceMemory::DeviceMemory(std::size_t capacity_bytes, bool records) : capacity_bytes_(capacity_bytes) {
  constexpr std::size_t least_bytes = std::size_t{4} << 30;
  for (;; range_bytes_ /= 2) {
    if (range_bytes_ < least_bytes) throw std::runtime_error("cudasim: cannot reserve addresses for device memory");
    auto* memory = reserve<std::byte>(range_bytes_);
    cells_ = records ? reserve<Cell>(cell_bytes()) : nullptr;
    owner_ = reserve<std::uint32_t>(owner_bytes());
    if (memory != nullptr && (cells_ != nullptr || !records) && owner_ != nullptr) {
      base_ = reinterpret_cast<std::uintptr_t>(memory);
      break;
    }
    give_back(memory, range_bytes_), give_back(cells_, cell_bytes()), give_back(owner_, owner_bytes());
  }
  // Records are ten times the memory they are about: fewer page faults.
  if (records) madvise(cells_, cell_bytes(), MADV_HUGEPAGE);
}

DeviceMemory::~DeviceMemory() {
  give_back(reinterpret_cast<void*>(base_), range_bytes_), give_back(cells_, cell_bytes()), give_back(owner_, owner_bytes());
}

Allocation* DeviceMemory::allocate(std::size_t bytes) {
  if (bytes > capacity_bytes_ - used_bytes_) return nullptr;
  const std::size_t taken = round_up(bytes, unit_bytes) + unit_bytes;  // the last unit is the red zone
  if (taken > range_bytes_ - next_) {
    std::fputs("cudasim: no address is used twice, and all are used; start another process\n", stderr);
    return nullptr;
  }
  const std::uintptr_t begin = base_ + next_;
  allocations_.push_back({begin, begin + bytes});
  for (std::size_t unit = next_ / unit_bytes; unit < (next_ + taken) / unit_bytes; ++unit)
    owner_[unit] = static_cast<std::uint32_t>(allocations_.size());
  next_ += taken;
  used_bytes_ += bytes;
  most_used_bytes_ = std::max(most_used_bytes_, used_bytes_);
  ++live_count_;
  // 0xff bytes are NaN in every floating-point type and an index far out of range in every integer type.
  if (poisons_ && bytes <= most_poisoned_bytes) std::memset(reinterpret_cast<void*>(begin), 0xff, bytes);
  return &allocations_.back();
}

void DeviceMemory::release(Allocation& allocation) {
  allocation.live = false;
  allocation.touched_by.clear();
  const std::size_t bytes = allocation.end - allocation.begin;
  used_bytes_ -= bytes;
  --live_count_;
  constexpr std::size_t page = 4096;
  const std::uintptr_t first = round_up(allocation.begin, page), last = allocation.end / page * page;
  if (last <= first) return;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  if (cells_ == nullptr) return;
  const std::uintptr_t cell_first = round_up(reinterpret_cast<std::uintptr_t>(cell(first)), page);
  const std::uintptr_t cell_last = reinterpret_cast<std::uintptr_t>(cell(last)) / page * page;
  if (cell_last > cell_first) madvise(reinterpret_cast<void*>(cell_first), cell_last - cell_first, MADV_DONTNEED);
}

Allocation* DeviceMemory::find(std::uintptr_t address) {
  if (!contains(address)) return nullptr;
  const std::uint32_t owner = owner_[(address - base_) / unit_bytes];
  return owner == 0 ? nullptr : &allocations_[owner - 1];
}

std::string DeviceMemory::describe(std::uintptr_t address) {
  const Allocation* allocation = find(address);
  if (allocation == nullptr) return "no allocation is near";
  const auto bytes = std::to_string(allocation->end - allocation->begin);
  const std::string which = std::string(allocation->live ? "an" : "a freed") + " allocation of " + bytes + " bytes";
  if (address < allocation->end) return "byte " + std::to_string(address - allocation->begin) + " of " + which;
  return std::to_string(address - allocation->end) + " bytes past the end of " + which;
}

}  // namespace cudasim
