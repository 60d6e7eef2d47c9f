#include "grid_run.hpp"

#include <algorithm>
#include <numeric>

namespace cudasim {

GridRun* GridRun::running = nullptr;

GridRun::GridRun(Card& card, const Launch& launch, FiberStacks& stacks)
    : card_(card), launch_(launch), stacks_(stacks), shared_(launch.dynamic_shared) {}

void GridRun::run() {
  const auto [x, y, z] = launch_.grid;
  std::vector<unsigned> blocks(static_cast<std::size_t>(x) * y * z);
  std::iota(blocks.begin(), blocks.end(), 0u);
  for (std::size_t left = blocks.size(); left > 1; --left)
    std::swap(blocks[left - 1], blocks[card_.schedule.below(static_cast<std::uint32_t>(left))]);
  launch_start_ = card_.now;
  running = this;
  for (const unsigned block : blocks) {
    run_block(block);
    if (card_.lost != 0) break;
  }
  running = nullptr;
}

void GridRun::run_block(unsigned linear) {
  block_index_ = {linear % launch_.grid[0], linear / launch_.grid[0] % launch_.grid[1], linear / launch_.grid[0] / launch_.grid[1]};
  card_.tick();
  block_start_ = card_.now;
  const int count = launch_.threads();
  threads_.assign(static_cast<std::size_t>(count), {});
  runnable_lanes_ = {};
  runnable_warps_ = 0;
  for (int i = 0; i < count; ++i) {
    threads_[i].stack_pointer = stacks_.prepare(i, &GridRun::thread_main);
    wake(i);
  }
  pending_ = {};
  named_ = {};
  live_ = count;
  at_block_barrier_ = 0;
  order_.start_block(card_.now, count);
  shared_.start_block();
  card_.schedule.start_block((count + 31) / 32);
  current_ = card_.schedule.next(runnable_warps_, runnable_lanes_, 0);
  cudasim_switch_fiber(&main_stack_pointer_, threads_[current_].stack_pointer);
  // A copy that nobody waited for lands in memory that no longer exists.
  for (const Thread& thread : threads_)
    for (const AsyncCopy& copy : thread.copies)
      for (std::uintptr_t at = copy.shared; at < copy.shared + 16; at += granule_bytes) shared_.cell(at)->copy_pending = 0;
}

void GridRun::thread_main() {
  running->launch_.function->entry->call(running->launch_.arguments.data());
  running->exit_thread();
}

void GridRun::exit_thread() {
  const int warp = current_ / 32;
  threads_[current_].exited = true;
  threads_[current_].waits_for = "nothing, it has left";
  --live_;
  for (const PendingCollective& pending : pending_[warp])
    if (pending.what != nullptr && (pending.mask >> current_ % 32 & 1))
      fail(Defect::divergence, whereabouts(current_) + " leaves the kernel while other lanes of its warp wait for it in " + pending.what->name);
  wait("nothing, it has left");
  if (live_ == 0) {
    void* unused;
    cudasim_switch_fiber(&unused, main_stack_pointer_);
  }
  complete_block_barrier_if_all_arrived();
  switch_away();
  __builtin_unreachable();
}

void GridRun::wait(const char* what) {
  threads_[current_].waits_for = what;
  const int warp = current_ / 32;
  runnable_lanes_[warp] &= ~(1u << current_ % 32);
  if (runnable_lanes_[warp] == 0) runnable_warps_ &= ~(1u << warp);
}

void GridRun::wake(int thread) {
  threads_[thread].waits_for = nullptr;
  runnable_lanes_[thread / 32] |= 1u << thread % 32;
  runnable_warps_ |= 1u << thread / 32;
}

void GridRun::switch_away() {
  if (runnable_warps_ == 0) fail(Defect::deadlock, "every thread waits:" + stuck_threads());
  const int next = card_.schedule.next(runnable_warps_, runnable_lanes_, current_);
  if (next == current_) return;
  void** save = &threads_[current_].stack_pointer;
  current_ = next;
  cudasim_switch_fiber(save, threads_[next].stack_pointer);
}

void GridRun::complete_block_barrier_if_all_arrived() {
  if (at_block_barrier_ == 0 || at_block_barrier_ != live_) return;
  card_.tick();
  order_.block_synchronised(card_.now);
  at_block_barrier_ = 0;
  for (std::size_t i = 0; i < threads_.size(); ++i)
    if (!threads_[i].exited) wake(static_cast<int>(i));
}

void GridRun::sync_block() {
  ++at_block_barrier_;
  wait("sync_block");
  complete_block_barrier_if_all_arrived();
  switch_away();
}

void GridRun::sync_named(int id, int threads) {
  if (id < 0 || id > 15) fail(Defect::unsupported, "barrier " + std::to_string(id) + "; there are 0 to 15");
  if (threads <= 0 || threads % 32 != 0 || threads > launch_.threads())
    fail(Defect::divergence, "barrier " + std::to_string(id) + " over " + std::to_string(threads) +
                                 " threads; it takes a multiple of 32, at most the block's " + std::to_string(launch_.threads()));
  NamedBarrier& barrier = named_[id];
  if (barrier.arrived > 0 && barrier.expected != threads)
    fail(Defect::divergence, "barrier " + std::to_string(id) + " is asked for " + std::to_string(threads) +
                                 " threads while others wait in it for " + std::to_string(barrier.expected));
  barrier.expected = threads;
  ++barrier.arrived;
  barrier.lanes[current_ / 32] |= 1u << current_ % 32;
  wait("sync_named");
  if (barrier.arrived == barrier.expected) {
    std::uint32_t warps = 0;
    for (int warp = 0; warp < 32; ++warp) {
      if (barrier.lanes[warp] == 0) continue;
      if (barrier.lanes[warp] != ~0u) fail(Defect::divergence, "only some lanes of warp " + std::to_string(warp) + " reach barrier " + std::to_string(id));
      warps |= 1u << warp;
      for (int lane = 0; lane < 32; ++lane) wake(warp * 32 + lane);
    }
    card_.tick();
    order_.warps_synchronised(warps, card_.now);
    barrier = {};
  }
  switch_away();
}

void GridRun::collective(const Collective& what, std::uint32_t mask, void* operands) {
  const int warp = current_ / 32, lane = current_ % 32;
  const auto refuse = [&](const std::string& why) {
    fail(Defect::divergence, std::string(what.name) + " by " + whereabouts(current_) + ": " + why);
  };
  if (!(mask >> lane & 1)) refuse("its own lane is not in the mask");
  PendingCollective& pending = pending_[warp][__builtin_ctz(mask)];
  if (pending.what != nullptr && (pending.what != &what || pending.mask != mask))
    refuse(std::string("other lanes of the warp are in ") + pending.what->name);
  for (int other = 0; other < 32; ++other) {
    if (!(mask >> other & 1)) continue;
    const auto index = static_cast<std::size_t>(warp * 32 + other);
    if (index >= threads_.size()) refuse("the mask names lane " + std::to_string(other) + ", which the block has not");
    const Thread& thread = threads_[index];
    if (thread.exited) refuse("lane " + std::to_string(other) + " of the mask has left the kernel");
    if (thread.waits_for != nullptr && !(pending.arrived >> other & 1))
      refuse("lane " + std::to_string(other) + " of the mask waits in " + thread.waits_for);
  }
  pending.what = &what;
  pending.mask = mask;
  pending.arrived |= 1u << lane;
  threads_[current_].operands = operands;
  wait(what.name);
  if (pending.arrived == mask) {
    pending = {};
    what.perform(*this, warp, mask);
    for (int other = 0; other < 32; ++other)
      if (mask >> other & 1) wake(warp * 32 + other);
    if (&what == &warp_barrier) {
      card_.tick();
      order_.lanes_synchronised(warp, mask, card_.now);
    }
  }
  switch_away();
}

void* GridRun::shared_array(const void* key, std::uint32_t bytes) {
  const std::uintptr_t array = shared_.array(key, bytes);
  const std::uint32_t all = shared_.static_bytes() + launch_.dynamic_shared;
  const auto most = std::max<std::uint32_t>(shared_per_block_default, launch_.function->most_dynamic_shared);
  if (shared_.static_bytes() > shared_per_block_default || all > most)
    fail(Defect::resources, "the block needs " + std::to_string(all) + " bytes of shared memory (" + std::to_string(shared_.static_bytes()) +
                                " declared); it may have " + std::to_string(most));
  launch_.function->static_shared = std::max(launch_.function->static_shared, shared_.static_bytes());
  return reinterpret_cast<void*>(array);
}

std::string GridRun::whereabouts(int thread) const {
  return "thread " + std::to_string(thread) + " of block (" + std::to_string(block_index_[0]) + ", " + std::to_string(block_index_[1]) +
         ", " + std::to_string(block_index_[2]) + ")";
}

std::string GridRun::stuck_threads() const {
  std::string text;
  for (std::size_t first = 0; first < threads_.size();) {
    std::size_t last = first;
    while (last + 1 < threads_.size() && std::string(threads_[last + 1].waits_for) == threads_[first].waits_for) ++last;
    text += " threads " + std::to_string(first) + ".." + std::to_string(last) + " for " + threads_[first].waits_for + ";";
    first = last + 1;
  }
  return text;
}

void GridRun::fail(Defect defect, const std::string& text, const void* site) {
  std::string where;
  if (site != nullptr) {
    // A return address points behind the call.
    const std::string line = launch_.function->module->source_line(reinterpret_cast<std::uintptr_t>(site) - 1);
    if (!line.empty()) where = " at " + line;
  }
  card_.fail(defect, std::string(launch_.function->entry->name) + where + ": " + text);
  void* unused;
  cudasim_switch_fiber(&unused, main_stack_pointer_);
  __builtin_unreachable();
}

}  // namespace cudasim
