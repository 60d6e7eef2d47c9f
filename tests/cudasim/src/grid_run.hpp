// The execution of one launch: its blocks one after the other in a shuffled order, each block's threads as fibers.
// A defect ends the launch at once: the thread that meets it never continues.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "card.hpp"
#include "fiber.hpp"
#include "module.hpp"
#include "shared_memory.hpp"
#include "thread_order.hpp"

namespace cudasim {

struct Launch {
  Function* function;
  std::array<unsigned, 3> grid, block;
  std::uint32_t dynamic_shared;
  std::vector<void*> arguments;
  int threads() const { return static_cast<int>(block[0] * block[1] * block[2]); }
};

class GridRun;

// A warp collective: every lane of the mask brings operands, the last to arrive performs it for all.
struct Collective {
  const char* name;
  void (*perform)(GridRun& run, int warp, std::uint32_t mask);
};

// sync_warp, the one collective that orders memory.
extern const Collective warp_barrier;

class GridRun {
 public:
  GridRun(Card& card, const Launch& launch, FiberStacks& stacks);
  void run();

  static GridRun* running;  // null while no kernel executes

  // What the running CUDA thread asks for.
  void sync_block();
  void sync_named(int id, int threads);
  void collective(const Collective& what, std::uint32_t mask, void* operands);
  void copy_async(std::uintptr_t shared, std::uintptr_t global, int valid);
  void copy_async_commit();
  void copy_async_wait(int pending);
  void* shared_array(const void* key, std::uint32_t bytes);

  // Bounds, alignment, order. `site` is an address in the kernel's code, for the report.
  void access(std::uintptr_t address, std::size_t bytes, bool write, const void* site, bool aligned = true);
  // The same on behalf of a lane that has already arrived at a collective.
  void access_by(int thread, std::uintptr_t address, std::size_t bytes, bool write, const void* site);
  [[noreturn]] void fail(Defect defect, const std::string& text, const void* site = nullptr);

  Card& card() { return card_; }
  const Launch& launch() const { return launch_; }
  SharedMemory& shared() { return shared_; }
  int current() const { return current_; }
  unsigned block_index(int axis) const { return block_index_[static_cast<std::size_t>(axis)]; }
  template <typename T> T& operands(int warp, int lane) { return *static_cast<T*>(threads_[warp * 32 + lane].operands); }

 private:
  struct AsyncCopy {
    std::uintptr_t shared, global;
    int valid;
    std::uint32_t group;
  };
  struct Thread {
    void* stack_pointer = nullptr;
    const char* waits_for = nullptr;
    bool exited = false;
    void* operands = nullptr;
    std::uint32_t collective_mask = 0;  // while waiting in a collective
    std::uint32_t open_group = 0;
    std::vector<AsyncCopy> copies;
  };
  struct PendingCollective {
    const Collective* what = nullptr;
    std::uint32_t mask = 0, arrived = 0;
  };
  struct NamedBarrier {
    int expected = 0, arrived = 0;
    std::array<std::uint32_t, 32> lanes{};
  };

  void run_block(unsigned linear);
  static void thread_main();
  [[noreturn]] void exit_thread();
  void wait(const char* what);
  void wake(int thread);
  // Continues at another runnable thread, or returns when that is the current one.
  void switch_away();
  void complete_block_barrier_if_all_arrived();
  std::string stuck_threads() const;
  std::string whereabouts(int thread) const;

  void check_cells(int thread, Cell* cell, std::uintptr_t address, std::size_t bytes, bool write, bool shared, const void* site);
  bool ordered(std::uint32_t stamp, int other, int thread, bool shared) const;
  void finish_copy(int thread, const AsyncCopy& copy);
  [[noreturn]] void fail_order(int thread, std::uint32_t stamp, int other, bool other_wrote, std::uintptr_t address,
                               std::size_t bytes, bool write, bool shared, const void* site);

  Card& card_;
  const Launch& launch_;
  FiberStacks& stacks_;
  SharedMemory shared_;
  ThreadOrder order_;
  std::vector<Thread> threads_;
  std::array<std::uint32_t, 32> runnable_lanes_{};
  std::uint32_t runnable_warps_ = 0;
  std::array<std::array<PendingCollective, 32>, 32> pending_{};  // [warp][lowest lane of the mask]
  std::array<NamedBarrier, 16> named_{};
  int current_ = 0, live_ = 0, at_block_barrier_ = 0;
  std::array<unsigned, 3> block_index_{};
  std::uint32_t launch_start_ = 0, block_start_ = 0;
  Allocation* last_allocation_ = nullptr;
  void* main_stack_pointer_ = nullptr;
};

}  // namespace cudasim
