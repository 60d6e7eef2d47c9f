// Barriers that count bytes, and the copies that announce themselves there. A copy's bytes appear when its phase is complete, at the latest moment that the
// hardware may choose; until then whoever touches them is reported.
#include "transaction_barriers.hpp"

#include <cstring>

#include "multiprocessor.hpp"

namespace cudasim {
namespace {

void nothing(Multiprocessor&, int, std::uint32_t) {}
constexpr Collective arrival{"mbarrier.arrive", Multiprocessor::perform_arrival}, asking{"mbarrier.try_wait", nothing}, seen{"mbarrier.try_wait's end", nothing};

}  // namespace

TransactionBarrier& Multiprocessor::barrier_at(std::uintptr_t address, const void* site) {
  for (TransactionBarrier& barrier : transaction_barriers_)
    if (barrier.address == address) {
      access(address, 8, false, site);
      return barrier;
    }
  fail(Defect::unwritten_shared, "an mbarrier that the block has not started", site);
}

void Multiprocessor::barrier_start(std::uintptr_t address, int arrivals, const void* site) {
  access(address, 8, true, site);
  if (arrivals < 1) fail(Defect::unsupported, "an mbarrier of " + std::to_string(arrivals) + " arrivals", site);
  for (TransactionBarrier& barrier : transaction_barriers_)
    if (barrier.address == address) fail(Defect::unsupported, "an mbarrier that is started twice", site);
  transaction_barriers_.push_back({address, arrivals, arrivals});
}

void Multiprocessor::barrier_expect(std::uintptr_t address, int bytes, const void* site) {
  TransactionBarrier& barrier = barrier_at(address, site);
  if (bytes < 0) fail(Defect::unsupported, "an mbarrier that expects " + std::to_string(bytes) + " bytes", site);
  barrier.expected += static_cast<std::size_t>(bytes);
  // One thread's arrival publishes what its warp knows, not what the warp has done.
  if (checks_) order_.publish(current_ / 32, barrier.arrived);
  arrive(barrier, site);
}

void Multiprocessor::barrier_arrive(std::uintptr_t address, const void* site) {
  barrier_at(address, site);
  asked_barrier_[static_cast<std::size_t>(current_)] = {address, site};
  collective(arrival, ~0u);
}

void Multiprocessor::perform_arrival(Multiprocessor& sm, int warp, std::uint32_t) {
  const AskedBarrier& first = sm.asked_barrier_[static_cast<std::size_t>(warp) * 32];
  for (std::size_t lane = 1; lane < 32; ++lane)
    if (sm.asked_barrier_[static_cast<std::size_t>(warp) * 32 + lane].address != first.address)
      sm.fail(Defect::divergence, "the lanes of a warp arrive at different mbarriers", first.site);
  TransactionBarrier& barrier = sm.barrier_at(first.address, first.site);
  if (sm.checks_) {
    sm.card_.tick();
    sm.order_.publish(warp, barrier.arrived);
    barrier.arrived[static_cast<std::size_t>(warp)] = sm.card_.now;
  }
  sm.arrive(barrier, first.site);
}

void Multiprocessor::arrive(TransactionBarrier& barrier, const void* site) {
  if (barrier.left == 0) fail(Defect::divergence, "more arrivals at an mbarrier than the " + std::to_string(barrier.arrivals) + " of a phase", site);
  --barrier.left;
  complete_phase_if_all_there(barrier);
}

void Multiprocessor::complete_phase_if_all_there(TransactionBarrier& barrier) {
  if (barrier.left > 0 || barrier.asked < barrier.expected) return;
  for (const BulkCopy& copy : barrier.copies) finish_bulk_copy(copy);
  card_.tick();
  for (const BulkCopy& copy : barrier.copies) barrier.arrived[static_cast<std::size_t>(copy.thread / 32)] = card_.now;
  ThreadOrder::join(barrier.complete, barrier.arrived);
  barrier.unseen = !barrier.copies.empty();
  barrier.copies.clear();
  barrier.left = barrier.arrivals;
  barrier.expected = barrier.asked = 0;
  barrier.parity ^= 1;
  for (int warp = 0; warp < 32; ++warp)
    if (std::uint32_t& lanes = barrier.waiting[static_cast<std::size_t>(warp)]; lanes != 0) wake(warp, lanes), lanes = 0;
}

void Multiprocessor::barrier_wait(std::uintptr_t address, int parity, const void* site) {
  TransactionBarrier& barrier = barrier_at(address, site);
  if (parity != 0 && parity != 1) fail(Defect::unsupported, "mbarrier.try_wait for parity " + std::to_string(parity), site);
  collective(asking, ~0u);
  while (barrier.parity == parity) {
    barrier.waiting[static_cast<std::size_t>(current_ / 32)] |= 1u << current_ % 32;
    wait("mbarrier.try_wait");
    switch_away();
  }
  collective(seen, ~0u);
  barrier.unseen = false;
  if (checks_) order_.acquire(current_ / 32, barrier.complete);
}

void Multiprocessor::copy_bulk(std::uintptr_t shared, std::uintptr_t global, int bytes, std::uintptr_t address, const void* site) {
  TransactionBarrier& barrier = barrier_at(address, site);
  const auto refuse = [&](const char* what) { fail(Defect::misaligned, std::string("cp.async.bulk with ") + what + " that is not a multiple of 16", site); };
  if (bytes <= 0 || bytes % 16 != 0) refuse("a size");
  if (shared % 16 != 0) refuse("a destination");
  if (global % 16 != 0) refuse("a source");
  if (!shared_.contains(shared)) fail(Defect::out_of_bounds, "cp.async.bulk writes to memory that is not shared", site);
  const BulkCopy copy{shared, global, static_cast<std::size_t>(bytes), current_, site};
  barrier.asked += copy.bytes;
  if (barrier.asked > barrier.expected) fail(Defect::early_use, "cp.async.bulk of more bytes than its mbarrier expects", site);
  if (checks_)
    for (std::size_t at = 0; at < copy.bytes; at += 16) {
      require_fenced(shared + at, site);
      access(shared + at, 16, true, site);
      access_by(current_, global + at, 16, false, site);
      for (std::size_t granule = 0; granule < 16; granule += granule_bytes) shared_.cell(shared + at + granule)->copy_pending = 1;
    }
  barrier.copies.push_back(copy);
  complete_phase_if_all_there(barrier);
}

void Multiprocessor::finish_bulk_copy(const BulkCopy& copy) {
  if (checks_)
    for (std::uintptr_t at = copy.shared; at < copy.shared + copy.bytes; at += 16) {
      Cell* const cells = shared_.cell(at);
      for (std::size_t i = 0; i < 16 / granule_bytes; ++i) cells[i].copy_pending = 0;
      access_by(copy.thread, at, 16, true, copy.site);
      for (std::size_t i = 0; i < 16 / granule_bytes; ++i) cells[i].write_bulk = 1;
    }
  std::memcpy(reinterpret_cast<void*>(copy.shared), reinterpret_cast<const void*>(copy.global), copy.bytes);
}

std::string Multiprocessor::problem_of_bulk_copies() const {
  for (const TransactionBarrier& barrier : transaction_barriers_)
    if (barrier.unseen || !barrier.copies.empty()) return "the block ends and nobody has waited for a cp.async.bulk";
  return "";
}

}  // namespace cudasim
