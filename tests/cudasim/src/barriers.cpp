// What threads wait for: the block's barrier, named barriers, and the warp collectives' arrival.
#include "multiprocessor.hpp"

namespace cudasim {

void Multiprocessor::complete_block_barrier_if_all_arrived() {
  if (at_block_barrier_ == 0 || at_block_barrier_ != live_) return;
  card_.tick();
  order_.block_synchronised(card_.now);
  at_block_barrier_ = 0;
  for (int warp = 0; 32 * warp < thread_count_; ++warp)
    if (const std::uint32_t lanes = live_lanes_[static_cast<std::size_t>(warp)]) wake(warp, lanes);
}

void Multiprocessor::sync_block() {
  ++at_block_barrier_;
  wait("sync_block");
  complete_block_barrier_if_all_arrived();
  switch_away();
}

void Multiprocessor::sync_named(int id, int threads) {
  if (id < 0 || id > 15) fail(Defect::unsupported, "barrier " + std::to_string(id) + "; there are 0 to 15");
  if (threads <= 0 || threads % 32 != 0 || threads > thread_count_)
    fail(Defect::divergence, "barrier " + std::to_string(id) + " over " + std::to_string(threads) +
                                 " threads; it takes a multiple of 32, at most the block's " + std::to_string(thread_count_));
  NamedBarrier& barrier = named_[static_cast<std::size_t>(id)];
  if (barrier.arrived > 0 && barrier.expected != threads)
    fail(Defect::divergence, "barrier " + std::to_string(id) + " is asked for " + std::to_string(threads) +
                                 " threads while others wait in it for " + std::to_string(barrier.expected));
  barrier.expected = threads;
  ++barrier.arrived;
  barrier.lanes[static_cast<std::size_t>(current_ / 32)] |= 1u << current_ % 32;
  wait("sync_named");
  if (barrier.arrived == barrier.expected) {
    std::uint32_t warps = 0;
    for (int warp = 0; warp < 32; ++warp) {
      const std::uint32_t lanes = barrier.lanes[static_cast<std::size_t>(warp)];
      if (lanes == 0) continue;
      if (lanes != ~0u) fail(Defect::divergence, "only some lanes of warp " + std::to_string(warp) + " reach barrier " + std::to_string(id));
      warps |= 1u << warp;
      wake(warp, lanes);
    }
    card_.tick();
    if (checks_) order_.warps_synchronised(warps, card_.now);
    barrier = {};
  }
  switch_away();
}

void Multiprocessor::collective(const Collective& what, std::uint32_t mask) {
  const int warp = current_ / 32;
  const auto w = static_cast<std::size_t>(warp);
  const std::uint32_t bit = 1u << current_ % 32;
  const auto refuse = [&](const std::string& why) {
    fail(Defect::divergence, std::string(what.name) + " by " + whereabouts(current_) + ": " + why);
  };
  const auto first = [](std::uint32_t lanes) { return std::to_string(__builtin_ctz(lanes)); };
  if ((mask & bit) == 0) refuse("its own lane is not in the mask");
  PendingCollective& pending = pending_[w][static_cast<std::size_t>(__builtin_ctz(mask))];
  if (pending.arrived != 0 && (pending.what != &what || pending.mask != mask))
    refuse(std::string("other lanes of the warp are in ") + pending.what->name);
  if (const std::uint32_t missing = mask & ~existing_lanes_[w]) refuse("the mask names lane " + first(missing) + ", which the block has not");
  if (const std::uint32_t left = mask & ~live_lanes_[w]) refuse("lane " + first(left) + " of the mask has left the kernel");
  if (const std::uint32_t elsewhere = mask & ~runnable_lanes_[w] & ~pending.arrived)
    refuse("lane " + first(elsewhere) + " of the mask waits in " + threads_[w * 32 + static_cast<std::size_t>(__builtin_ctz(elsewhere))].waits_for);
  pending.what = &what;
  pending.mask = mask;
  pending.arrived |= bit;
  wait(what.name);
  if (pending.arrived == mask) {
    pending.arrived = 0;
    what.perform(*this, warp, mask);
    wake(warp, mask);
    if (&what == &warp_barrier) {
      card_.tick();
      if (checks_) order_.lanes_synchronised(warp, mask, card_.now);
    }
  }
  switch_away();
}

}  // namespace cudasim
