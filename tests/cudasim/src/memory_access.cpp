// Every load and store of a kernel: is the address the thread's to touch, and is the access ordered with all others?
#include <cstring>

#include "multiprocessor.hpp"

namespace cudasim {

void Multiprocessor::fail_alignment(std::uintptr_t address, std::size_t bytes, bool write, const void* site) {
  fail(Defect::misaligned, std::string(write ? "store" : "load") + " of " + std::to_string(bytes) + " bytes by " + whereabouts(current_) +
                               " at an address that is " + std::to_string(address & (bytes - 1)) + " past a multiple of " + std::to_string(bytes), site);
}

const char* Multiprocessor::name_of(Access access) {
  switch (access) {
    case Access::load: return "load";
    case Access::store: return "store";
    case Access::atomic: return "atomic operation";
  }
  return "access";
}

void Multiprocessor::access_atomic(std::uintptr_t address, const void* site) {
  // Who is first at an atomic is the hardware's choice.
  switch_away();
  if ((address & 3) != 0) fail_alignment(address, 4, true, site);
  check_access(current_, address, 4, Access::atomic, site);
}

void Multiprocessor::check_access(int thread, std::uintptr_t address, std::size_t bytes, Access access, const void* site) {
  const auto refuse = [&](const std::string& what) {
    fail(Defect::out_of_bounds, std::string(name_of(access)) + " of " + std::to_string(bytes) + " bytes by " + whereabouts(thread) + ": " + what, site);
  };
  if (shared_.contains(address)) {
    if (!shared_.allocated(address, bytes)) refuse("shared memory that the block has not declared");
    return check_cells<true>(thread, shared_.cell(address), address, bytes, access, site);
  }
  if (last_allocation_ == nullptr || address < last_allocation_->begin || address + bytes > last_allocation_->end) {
    Allocation* allocation = card_.memory.find(address);
    if (allocation == nullptr) {
      if (access == Access::load && launch_->function->module->contains(address)) return;  // a constant table
      refuse(stacks_.contains(address) ? "another thread's local variable" : "not device memory");
    }
    if (address < allocation->begin || address + bytes > allocation->end) refuse(card_.memory.describe(address));
    if (const auto problem = card_.use(*allocation))
      fail(allocation->live ? Defect::stream_order : Defect::out_of_bounds, *problem, site);
    last_allocation_ = allocation;
  }
  check_cells<false>(thread, card_.memory.cell(address), address, bytes, access, site);
}

template <bool shared>
void Multiprocessor::check_cells(int thread, Cell* cell, std::uintptr_t address, std::size_t bytes, Access access, const void* site) {
  switch (access) {
    case Access::load: return check_cells<Access::load, shared>(thread, cell, address, bytes, site);
    case Access::store: return check_cells<Access::store, shared>(thread, cell, address, bytes, site);
    case Access::atomic: return check_cells<Access::atomic, shared>(thread, cell, address, bytes, site);
  }
}

void Multiprocessor::access_by_product(int thread, std::uintptr_t address, const void* site) {
  if (!shared_.contains(address)) fail(Defect::out_of_bounds, "wgmma reads memory that is not shared", site);
  access_by(thread, address, 16, false, site);
  if (!checks_) return;
  require_fenced(address, site);
}

void Multiprocessor::require_fenced(std::uintptr_t address, const void* site) {
  for (const Cell* cell = shared_.cell(address); cell < shared_.cell(address) + 16 / granule_bytes; ++cell)
    if (!cell->write_bulk && cell->write_stamp >= block_start_ && cell->write_stamp >= threads_[cell->write_thread].fenced_before)
      fail(Defect::early_use, "wgmma or cp.async.bulk touches what " + whereabouts(cell->write_thread) +
                                  " stored and has not made visible to it with fence.proxy.async", site);
}

void Multiprocessor::fence_for_products() {
  card_.tick();
  threads_[static_cast<std::size_t>(current_)].fenced_before = card_.now;
}

bool Multiprocessor::ordered(std::uint32_t stamp, int other, int thread, bool shared) const {
  if (stamp >= block_start_) return order_.before(other, stamp, thread);
  if (shared) return true;                   // another block's memory, reused
  if (stamp >= launch_start_) return false;  // another block of this launch
  return card_.history.ordered(stamp);
}

template <Multiprocessor::Access access, bool shared>
void Multiprocessor::check_cells(int thread, Cell* cell, std::uintptr_t address, std::size_t bytes, const void* site) {
  // Copies, which no store to a cell can change.
  const std::uint32_t now = card_.now, block_start = block_start_, settled_before = settled_before_, block_known = order_.block_known();
  const auto index = static_cast<std::uint16_t>(thread);
  const std::uintptr_t end = address + bytes;
  // Most stamps are settled by comparison: before the block's last barrier, or in global memory before the launch. No barrier has completed since a stamp that is still the present one.
  const auto in_order = [&](std::uint32_t stamp, int other) {
    const bool settled = shared ? stamp < block_known : stamp < settled_before || (stamp >= block_start && stamp < block_known);
    return settled || (stamp == now ? other == thread : ordered(stamp, other, thread, shared));
  };
  for (std::uintptr_t at = address & ~(granule_bytes - 1); at < end; at += granule_bytes, ++cell) {
    const unsigned touched = (at >= address ? 1u : 0u) | (at + 1 < end ? 2u : 0u);
    if (shared && cell->copy_pending)
      fail(Defect::early_use, std::string(name_of(access)) + " by " + whereabouts(thread) +
                                  " touches shared memory that an unfinished asynchronous copy will write", site);
    // Atomics of one launch may meet; one of another stream's operation must be ordered like any access.
    const bool both_atomic = access == Access::atomic && cell->write_atomic && cell->write_stamp >= launch_start_;
    if (cell->write_stamp != 0 && (cell->write_bytes & touched) && !both_atomic && !in_order(cell->write_stamp, cell->write_thread))
      fail_order(thread, cell->write_stamp, cell->write_thread, true, at, bytes, access, shared, site);
    if (shared && access != Access::store && cell->write_stamp < block_start)
      fail(Defect::unwritten_shared, std::string(name_of(access)) + " by " + whereabouts(thread) + " before anything of its block was stored there", site);
    if (access != Access::load) {
      const unsigned read_bytes[2] = {cell->read_bytes_0, cell->read_bytes_1};
      for (int reader = 0; reader < 2; ++reader)
        if (cell->read_stamp[reader] != 0 && (read_bytes[reader] & touched) && !in_order(cell->read_stamp[reader], cell->read_thread[reader]))
          fail_order(thread, cell->read_stamp[reader], cell->read_thread[reader], false, at, bytes, access, shared, site);
      cell->write_stamp = now;
      cell->write_thread = index;
      cell->write_bytes = touched & 3;
      cell->write_atomic = access == Access::atomic;
      cell->write_bulk = 0;
      if (touched == 3) cell->read_stamp[0] = cell->read_stamp[1] = 0;
      continue;
    }
    if (cell->read_stamp[0] == 0 || in_order(cell->read_stamp[0], cell->read_thread[0])) {
      cell->read_stamp[0] = now, cell->read_thread[0] = index, cell->read_bytes_0 = touched & 3;
    } else if (cell->read_stamp[1] == 0 || cell->read_thread[1] / 32 == cell->read_thread[0] / 32 ||
               in_order(cell->read_stamp[1], cell->read_thread[1])) {
      cell->read_stamp[1] = now, cell->read_thread[1] = index, cell->read_bytes_1 = touched & 3;
    }
  }
}

void Multiprocessor::fail_order(int thread, std::uint32_t stamp, int other, bool other_wrote, std::uintptr_t address, std::size_t bytes,
                         Access access, bool shared, const void* site) {
  const std::string mine = std::string(name_of(access)) + " of " + std::to_string(bytes) + " bytes by " + whereabouts(thread);
  const std::string place = shared ? "shared memory" : card_.memory.describe(address);
  const std::string theirs = other_wrote ? "was stored" : "was loaded";
  if (stamp < launch_start_)
    fail(Defect::stream_order, mine + " (stream " + std::to_string(card_.history.current().stream) + ", " + place + ") is not ordered after " +
                                   card_.history.operation_at(stamp), site);
  if (stamp < block_start_) fail(Defect::race, mine + ": " + place + " " + theirs + " by another block of the same launch", site);
  fail(Defect::race, mine + ": " + place + " " + theirs + " by thread " + std::to_string(other) + " with no barrier between", site);
}

void Multiprocessor::copy_async(std::uintptr_t shared, std::uintptr_t global, int valid) {
  const void* site = nullptr;
  if (valid < 0 || valid > 16) fail(Defect::out_of_bounds, "cp.async with " + std::to_string(valid) + " valid bytes; it copies 0 to 16");
  if (!shared_.contains(shared)) fail(Defect::out_of_bounds, "cp.async writes to memory that is not shared");
  access(shared, 16, true, site);
  if (global % 16 != 0) fail(Defect::misaligned, "cp.async reads at an address that is not a multiple of 16");
  if (valid > 0) access_by(current_, global, static_cast<std::size_t>(valid), false, site);
  for (std::uintptr_t at = shared; at < shared + 16; at += granule_bytes) shared_.cell(at)->copy_pending = 1;
  threads_[current_].copies.push_back({shared, global, valid, threads_[current_].open_group});
}

void Multiprocessor::copy_async_commit() { ++threads_[current_].open_group; }

void Multiprocessor::copy_async_wait(int pending) {
  Thread& thread = threads_[current_];
  std::size_t kept = 0;
  for (const AsyncCopy& copy : thread.copies) {
    if (copy.group + static_cast<std::uint32_t>(pending) < thread.open_group) finish_copy(current_, copy);
    else thread.copies[kept++] = copy;
  }
  thread.copies.resize(kept);
}

void Multiprocessor::finish_copy(int thread, const AsyncCopy& copy) {
  std::uint8_t bytes[16] = {};
  std::memcpy(bytes, reinterpret_cast<const void*>(copy.global), static_cast<std::size_t>(copy.valid));
  for (std::uintptr_t at = copy.shared; at < copy.shared + 16; at += granule_bytes) shared_.cell(at)->copy_pending = 0;
  access_by(thread, copy.shared, 16, true, nullptr);
  std::memcpy(reinterpret_cast<void*>(copy.shared), bytes, 16);
}

}  // namespace cudasim
