#include "multiprocessor.hpp"

#include <algorithm>
#include <numeric>

namespace cudasim {

__thread Multiprocessor* Multiprocessor::running = nullptr;

Multiprocessor::Multiprocessor(Card& card)
    : card_(card), checks_(card.checks), stacks_(most_threads_per_block), threads_(most_threads_per_block), operands_(32) {}

void Multiprocessor::run(const Launch& launch, BlockQueue& blocks) {
  launch_ = &launch;
  launch_start_ = card_.now;
  settled_before_ = std::min(launch_start_, card_.history.safe_before());
  last_allocation_ = nullptr;
  thread_count_ = launch.threads();
  for (int warp = 0; warp < 32; ++warp) {
    const int lanes = std::clamp(thread_count_ - 32 * warp, 0, 32);
    existing_lanes_[static_cast<std::size_t>(warp)] = lanes == 0 ? 0u : ~0u >> (32 - lanes);
  }
  shared_.start_launch(launch.dynamic_shared);
  running = this;
  for (std::size_t i = blocks.next++; i < blocks.order.size() && card_.lost == 0; i = blocks.next++) run_block(blocks.order[i]);
  running = nullptr;
}

void Multiprocessor::run_block(unsigned linear) {
  const auto [x, y, z] = launch_->grid;
  block_index_ = {linear % x, linear / x % y, linear / x / y};
  card_.tick();
  block_start_ = card_.now;
  const int warps = (thread_count_ + 31) / 32;
  live_lanes_ = runnable_lanes_ = existing_lanes_;
  runnable_warps_ = ~0u >> (32 - warps);
  for (int i = 0; i < thread_count_; ++i) {
    Thread& thread = threads_[static_cast<std::size_t>(i)];
    thread.stack = -1;
    thread.open_group = 0;
    thread.fenced_before = 0;
  }
  free_stacks_.resize(static_cast<std::size_t>(thread_count_));
  std::iota(free_stacks_.rbegin(), free_stacks_.rend(), 0);
  live_ = thread_count_;
  at_block_barrier_ = 0;
  if (checks_) order_.start_block(card_.now, thread_count_);
  shared_.start_block(checks_);
  products_.start_block();
  transaction_barriers_.clear();
  if (checks_) card_.schedule.start_block(warps);
  current_ = 0;
  continue_at(next_thread(), &main_stack_pointer_);
  // A copy that nobody waited for lands in memory that no longer exists.
  for (int i = 0; i < thread_count_; ++i) {
    std::vector<AsyncCopy>& copies = threads_[static_cast<std::size_t>(i)].copies;
    for (const AsyncCopy& copy : copies)
      for (std::uintptr_t at = copy.shared; at < copy.shared + 16; at += granule_bytes) shared_.cell(at)->copy_pending = 0;
    copies.clear();
  }
  for (const TransactionBarrier& barrier : transaction_barriers_)
    for (const BulkCopy& copy : barrier.copies)
      for (std::uintptr_t at = copy.shared; checks_ && at < copy.shared + copy.bytes; at += granule_bytes) shared_.cell(at)->copy_pending = 0;
}

void Multiprocessor::thread_main() {
  Multiprocessor& sm = *running;
  for (;;) {
    sm.launch_->function->entry->call(sm.launch_->arguments.data());
    sm.leave();
  }
}

void Multiprocessor::leave() {
  const int warp = current_ / 32;
  const std::uint32_t bit = 1u << current_ % 32;
  // Lanes that all run or have left: nobody of the warp waits for anything.
  if ((live_lanes_[static_cast<std::size_t>(warp)] & ~runnable_lanes_[static_cast<std::size_t>(warp)]) != 0)
    for (const PendingCollective& pending : pending_[static_cast<std::size_t>(warp)])
      if (pending.arrived != 0 && (pending.mask & bit) != 0)
        fail(Defect::divergence, whereabouts(current_) + " leaves the kernel while other lanes of its warp wait for it in " + pending.what->name);
  if (const std::string problem = products_.problem_at_leaving(warp); !problem.empty()) fail(Defect::early_use, whereabouts(current_) + " " + problem);
  live_lanes_[static_cast<std::size_t>(warp)] &= ~bit;
  wait("nothing, it has left");
  void* unused;
  if (--live_ == 0) {
    if (const std::string problem = products_.problem_at_end((thread_count_ + 31) / 32); !problem.empty()) fail(Defect::divergence, problem);
    if (const std::string problem = problem_of_bulk_copies(); !problem.empty()) fail(Defect::early_use, problem);
    cudasim_switch_fiber(&unused, main_stack_pointer_);
  }
  complete_block_barrier_if_all_arrived();
  const int next = next_thread();
  const Thread& left = threads_[static_cast<std::size_t>(current_)];
  Thread& following = threads_[static_cast<std::size_t>(next)];
  if (following.stack >= 0) {
    free_stacks_.push_back(left.stack);
    continue_at(next, &unused);
  }
  current_ = next;
  following.stack = left.stack;
  following.stack_bottom = left.stack_bottom;
}

int Multiprocessor::scheduled_thread() {
  if (runnable_warps_ == 0) fail(Defect::deadlock, "every thread waits:" + stuck_threads());
  return card_.schedule.next(runnable_warps_, runnable_lanes_, current_);
}

void Multiprocessor::give_stack(Thread& thread) {
  thread.stack = free_stacks_.back();
  free_stacks_.pop_back();
  thread.stack_bottom = stacks_.bottom(thread.stack);
  thread.stack_pointer = stacks_.prepare(thread.stack, &Multiprocessor::thread_main);
}

void* Multiprocessor::shared_array(const void* key, std::uint32_t bytes) {
  const std::uintptr_t array = shared_.array(key, bytes);
  const std::uint32_t all = shared_.static_bytes() + launch_->dynamic_shared;
  const std::uint32_t asked_for = launch_->function->shared_asked_for ? launch_->function->most_dynamic_shared + shared_.static_bytes() : 0;
  const auto most = std::max<std::uint32_t>(shared_per_block_default, asked_for);
  if (shared_.static_bytes() > shared_per_block_default || all > most)
    fail(Defect::resources, "the block needs " + std::to_string(all) + " bytes of shared memory (" + std::to_string(shared_.static_bytes()) +
                                " declared); it may have " + std::to_string(most));
  if (shared_.static_bytes() > launch_->function->static_shared) launch_->function->static_shared = shared_.static_bytes();
  return reinterpret_cast<void*>(array);
}

std::string Multiprocessor::whereabouts(int thread) const {
  return "thread " + std::to_string(thread) + " of block (" + std::to_string(block_index_[0]) + ", " + std::to_string(block_index_[1]) +
         ", " + std::to_string(block_index_[2]) + ")";
}

std::string Multiprocessor::stuck_threads() const {
  std::string text;
  const auto waits_for = [&](int thread) { return std::string(threads_[static_cast<std::size_t>(thread)].waits_for); };
  for (int first = 0; first < thread_count_;) {
    int last = first;
    while (last + 1 < thread_count_ && waits_for(last + 1) == waits_for(first)) ++last;
    text += " threads " + std::to_string(first) + ".." + std::to_string(last) + " for " + waits_for(first) + ";";
    first = last + 1;
  }
  return text;
}

void Multiprocessor::fail(Defect defect, const std::string& text, const void* site) {
  std::string where;
  if (site != nullptr) {
    // A return address points behind the call.
    const std::string line = launch_->function->module->source_line(reinterpret_cast<std::uintptr_t>(site) - 1);
    if (!line.empty()) where = " at " + line;
  }
  card_.fail(defect, std::string(launch_->function->entry->name) + where + ": " + text);
  // What was under way in this block is abandoned.
  pending_ = {};
  named_ = {};
  void* unused;
  cudasim_switch_fiber(&unused, main_stack_pointer_);
  __builtin_unreachable();
}

}  // namespace cudasim
