// What executes blocks, one at a time: their threads as fibers, shared memory, barriers and warp collectives.
// A defect ends the launch at once: the thread that meets it never continues.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <string>
#include <vector>

#include "card.hpp"
#include "fiber.hpp"
#include "module.hpp"
#include "shared_memory.hpp"
#include "thread_order.hpp"
#include "transaction_barriers.hpp"
#include "warp_operands.hpp"
#include "warpgroup_products.hpp"

namespace cudasim {

struct Launch {
  Function* function;
  std::array<unsigned, 3> grid, block;
  std::uint32_t dynamic_shared;
  std::vector<void*> arguments;
  int threads() const { return static_cast<int>(block[0] * block[1] * block[2]); }
};

// A launch's blocks in the order of their execution, for one multiprocessor or several.
struct BlockQueue {
  std::vector<unsigned> order;
  std::atomic<std::size_t> next{0};
};

class Multiprocessor;

// A warp collective: every lane of the mask brings operands, the last to arrive performs it for all.
struct Collective {
  const char* name;
  void (*perform)(Multiprocessor& sm, int warp, std::uint32_t mask);
};

// sync_warp, the one collective that orders memory.
extern const Collective warp_barrier;

class Multiprocessor {
 public:
  explicit Multiprocessor(Card& card);
  // Blocks of the launch until the queue is empty.
  void run(const Launch& launch, BlockQueue& blocks);

  // Null while no kernel executes. __thread, because a thread_local member is reached through a function that might initialise it.
  static __thread Multiprocessor* running;

  // What the running CUDA thread asks for.
  void sync_block();
  void sync_named(int id, int threads);
  void collective(const Collective& what, std::uint32_t mask);
  // transaction_barriers.cpp
  void barrier_start(std::uintptr_t address, int arrivals, const void* site);
  void barrier_expect(std::uintptr_t address, int bytes, const void* site);
  void barrier_arrive(std::uintptr_t address, const void* site);
  void barrier_wait(std::uintptr_t address, int parity, const void* site);
  void copy_bulk(std::uintptr_t shared, std::uintptr_t global, int bytes, std::uintptr_t barrier, const void* site);
  static void perform_arrival(Multiprocessor& sm, int warp, std::uint32_t);
  void copy_async(std::uintptr_t shared, std::uintptr_t global, int valid);
  void copy_async_commit();
  void copy_async_wait(int pending);
  void* shared_array(const void* key, std::uint32_t bytes);

  // Bounds, alignment, order; nothing when the card's checks are off. `site` is an address in the kernel's code, for the report.
  void access(std::uintptr_t address, std::size_t bytes, bool write, const void* site, bool aligned = true) {
    if (!checks_ || address - stack_bottom_ < fiber_stack_bytes) return;
    if (aligned && (address & (bytes - 1)) != 0) fail_alignment(address, bytes, write, site);
    access_by(current_, address, bytes, write, site);
  }
  // An atomic operation on a word: other threads may come first.
  void access_atomic(std::uintptr_t address, const void* site);
  // The same on behalf of a lane that has already arrived at a collective.
  void access_by(int thread, std::uintptr_t address, std::size_t bytes, bool write, const void* site) {
    if (checks_) check_access(thread, address, bytes, write ? Access::store : Access::load, site);
  }
  // A product's 16 bytes of shared memory; whoever stored them must have fenced them for it.
  void access_by_product(int thread, std::uintptr_t address, const void* site);
  void fence_for_products();
  [[noreturn]] void fail(Defect defect, const std::string& text, const void* site = nullptr);

  Card& card() { return card_; }
  const Launch& launch() const { return *launch_; }
  SharedMemory& shared() { return shared_; }
  WarpgroupProducts& products() { return products_; }
  int current() const { return current_; }
  unsigned block_index(int axis) const { return block_index_[static_cast<std::size_t>(axis)]; }
  // Where the lanes of a warp leave what a collective takes and find what it gives.
  WarpOperands& operands(int warp) { return operands_[static_cast<std::size_t>(warp)]; }

 private:
  struct AsyncCopy {
    std::uintptr_t shared, global;
    int valid;
    std::uint32_t group;
  };
  struct Thread {
    void* stack_pointer;
    std::uintptr_t stack_bottom;
    int stack;  // which of the stacks it runs on; negative before it starts
    std::uint32_t open_group;
    std::uint32_t fenced_before;  // its stores with older stamps are visible to products
    const char* waits_for;  // while it cannot run
    std::vector<AsyncCopy> copies{};
  };
  struct PendingCollective {
    const Collective* what = nullptr;
    std::uint32_t mask = 0, arrived = 0;
  };
  struct NamedBarrier {
    int expected = 0, arrived = 0;
    std::array<std::uint32_t, 32> lanes{};
  };

  struct AskedBarrier {
    std::uintptr_t address;
    const void* site;
  };

  void run_block(unsigned linear);
  static void thread_main();
  // The current thread has returned from the kernel. Comes back when a thread that has not started yet is to run next: it takes
  // over the stack, so threads that never wait need no switch at all.
  void leave();
  void wait(const char* what) {
    const auto warp = static_cast<std::size_t>(current_ / 32);
    threads_[static_cast<std::size_t>(current_)].waits_for = what;
    runnable_lanes_[warp] &= ~(1u << current_ % 32);
    if (runnable_lanes_[warp] == 0) runnable_warps_ &= ~(1u << warp);
  }
  void wake(int warp, std::uint32_t lanes) {
    runnable_lanes_[static_cast<std::size_t>(warp)] |= lanes;
    runnable_warps_ |= 1u << warp;
  }
  int next_thread() {
    if (!checks_ && runnable_warps_ != 0) {
      // Without checks the order is the one that switches least: a warp goes on as long as it can.
      const auto warp = static_cast<std::size_t>(runnable_warps_ >> current_ / 32 & 1 ? current_ / 32 : __builtin_ctz(runnable_warps_));
      return static_cast<int>(warp) * 32 + __builtin_ctz(runnable_lanes_[warp]);
    }
    return scheduled_thread();
  }
  int scheduled_thread();
  // Continues at another runnable thread, or returns when that is the current one.
  void switch_away() {
    const int next = next_thread();
    if (next != current_) continue_at(next, &threads_[static_cast<std::size_t>(current_)].stack_pointer);
  }
  void continue_at(int next, void** save) {
    Thread& thread = threads_[static_cast<std::size_t>(next)];
    if (thread.stack < 0) give_stack(thread);
    current_ = next;
    stack_bottom_ = thread.stack_bottom;
    cudasim_switch_fiber(save, thread.stack_pointer);
  }
  void give_stack(Thread& thread);
  void complete_block_barrier_if_all_arrived();
  TransactionBarrier& barrier_at(std::uintptr_t address, const void* site);
  void arrive(TransactionBarrier& barrier, const void* site);
  void complete_phase_if_all_there(TransactionBarrier& barrier);
  void finish_bulk_copy(const BulkCopy& copy);
  std::string problem_of_bulk_copies() const;
  // What is stored there must be visible to products and bulk copies.
  void require_fenced(std::uintptr_t address, const void* site);
  std::string stuck_threads() const;
  std::string whereabouts(int thread) const;

  [[noreturn]] void fail_alignment(std::uintptr_t address, std::size_t bytes, bool write, const void* site);
  enum class Access { load, store, atomic };
  void check_access(int thread, std::uintptr_t address, std::size_t bytes, Access access, const void* site);
  template <bool shared> void check_cells(int thread, Cell* cell, std::uintptr_t address, std::size_t bytes, Access access, const void* site);
  template <Access access, bool shared>
  void check_cells(int thread, Cell* cell, std::uintptr_t address, std::size_t bytes, const void* site);
  bool ordered(std::uint32_t stamp, int other, int thread, bool shared) const;
  void finish_copy(int thread, const AsyncCopy& copy);
  [[noreturn]] void fail_order(int thread, std::uint32_t stamp, int other, bool other_wrote, std::uintptr_t address,
                               std::size_t bytes, Access access, bool shared, const void* site);
  static const char* name_of(Access access);

  Card& card_;
  const bool checks_;
  const Launch* launch_ = nullptr;
  FiberStacks stacks_;
  SharedMemory shared_;
  ThreadOrder order_;
  std::vector<Thread> threads_;
  std::vector<int> free_stacks_;
  std::vector<WarpOperands> operands_;
  WarpgroupProducts products_;
  std::array<std::uint32_t, 32> existing_lanes_{}, live_lanes_{}, runnable_lanes_{};  // per warp
  std::uint32_t runnable_warps_ = 0;
  std::array<std::array<PendingCollective, 32>, 32> pending_{};  // [warp][lowest lane of the mask]
  std::array<NamedBarrier, 16> named_{};
  std::deque<TransactionBarrier> transaction_barriers_;
  std::array<AskedBarrier, most_threads_per_block> asked_barrier_{};
  int thread_count_ = 0, current_ = 0, live_ = 0, at_block_barrier_ = 0;
  std::uintptr_t stack_bottom_ = 0;  // of the current thread's stack
  std::array<unsigned, 3> block_index_{};
  std::uint32_t launch_start_ = 0, block_start_ = 0, settled_before_ = 0;
  Allocation* last_allocation_ = nullptr;
  void* main_stack_pointer_ = nullptr;
};

}  // namespace cudasim
