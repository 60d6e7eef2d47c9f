// The card's memory: a reserved range of host addresses, allocations with red zones between them, and one access record
// (Cell) for every two bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace cudasim {

// Who touched a granule of two bytes last: stamps are Card::now values (0 = never), threads are indices in their block.
// Two readers are kept, from different warps where possible, so that a write unordered with any of many concurrent
// readers meets at least one it is unordered with.
struct Cell {
  std::uint32_t write_stamp, read_stamp[2];
  std::uint16_t write_thread, read_thread[2];
  // Which of the granule's two bytes each record is about (bits 0 and 1).
  std::uint8_t write_bytes : 2, read_bytes_0 : 2, read_bytes_1 : 2, copy_pending : 1;
  std::uint8_t write_atomic : 1;  // atomics need no order among themselves
  std::uint8_t write_bulk : 1;    // by a bulk copy, which products see without a fence
};
constexpr std::size_t granule_bytes = 2;

struct OperationKey {
  int stream;
  std::uint32_t sequence;
};

struct Allocation {
  std::uintptr_t begin, end;
  bool live = true;
  bool stream_ordered = false;
  bool free_asked = false;  // cuMemFreeAsync is in a stream
  OperationKey allocated_by{-1, 0};
  // The last operation of each stream that touched it; who frees it must come after all of them.
  std::vector<OperationKey> touched_by{};
};

class DeviceMemory {
 public:
  // With `records` every access can be recorded.
  DeviceMemory(std::size_t capacity_bytes, bool records);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // New allocations hold NaN in every type of number, so that nobody relies on them; without, they hold zeros.
  void poison(bool poisons) { poisons_ = poisons; }
  // Null when the card is full. Addresses are never used twice, so a stale pointer always meets a dead allocation.
  Allocation* allocate(std::size_t bytes);
  void release(Allocation& allocation);

  // The allocation that holds the address, or the one before it when it lies in a red zone; null outside the range.
  Allocation* find(std::uintptr_t address);
  bool contains(std::uintptr_t address) const { return address - base_ < range_bytes_; }
  Cell* cell(std::uintptr_t address) const { return cells_ + (address - base_) / granule_bytes; }

  std::size_t capacity_bytes() const { return capacity_bytes_; }
  std::size_t used_bytes() const { return used_bytes_; }
  std::size_t most_used_bytes() const { return most_used_bytes_; }
  int live_count() const { return live_count_; }
  std::string describe(std::uintptr_t address);

 private:
  std::size_t cell_bytes() const { return range_bytes_ / granule_bytes * sizeof(Cell); }
  std::size_t owner_bytes() const { return range_bytes_ / unit_bytes * sizeof(std::uint32_t); }
  static constexpr std::size_t unit_bytes = 256;  // alignment of every allocation

  std::size_t capacity_bytes_, used_bytes_ = 0, most_used_bytes_ = 0, next_ = unit_bytes;
  int live_count_ = 0;
  bool poisons_ = true;
  std::size_t range_bytes_ = std::size_t{256} << 30;  // of addresses; only what is touched takes memory
  std::uintptr_t base_ = 0;
  Cell* cells_ = nullptr;
  std::uint32_t* owner_ = nullptr;  // per unit: 1 + index into allocations_
  std::deque<Allocation> allocations_;
};

}  // namespace cudasim
