// mbarrier: a barrier in shared memory that counts arrivals and the bytes of bulk copies, phase by phase.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "thread_order.hpp"

namespace cudasim {

struct BulkCopy {
  std::uintptr_t shared, global;
  std::size_t bytes;
  int thread;
  const void* site;
};

struct TransactionBarrier {
  std::uintptr_t address;
  int arrivals, left;  // of every phase; still to come in this one
  std::size_t expected = 0, asked = 0;  // bytes of this phase
  int parity = 0;
  bool unseen = false;  // copies are there and nobody has waited for them
  ThreadOrder::Known arrived{}, complete{};  // what the arrivals of this phase publish, and those of the phases before
  std::array<std::uint32_t, 32> waiting{};   // lanes, per warp
  std::vector<BulkCopy> copies{};
};

}  // namespace cudasim
