// The simulated card: what one process sees behind the driver API.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "defect.hpp"
#include "device_memory.hpp"
#include "profile.hpp"
#include "schedule.hpp"
#include "streams.hpp"

namespace cudasim {

enum class Arithmetic {
  ideal,     // tensor core sums in fp64, rounded once; approximations are the host library's
  hardware,  // aligned and truncated sums (kernels.md 4.5), approximate functions with their documented error
};

struct Settings {
  std::string device = "a100";
  std::string schedule = "round_robin";
  std::uint64_t seed = 1;
  Arithmetic arithmetic = Arithmetic::hardware;
  std::size_t memory_bytes = 0;  // 0: the profile's
  bool checks = true;            // of kernels' accesses; the driver's own stay
};
// The process's cards in the order of their ordinals, from GEMMACORE_CUDASIM_{DEVICE,SCHEDULE,SEED,ARITHMETIC,MEMORY,CHECKS}. DEVICE is a list:
// profile[:schedule[:seed]],... Throws std::invalid_argument naming what is allowed.
std::vector<Settings> settings_of_environment();
// GEMMACORE_CUDASIM_CHECKS, which the compiler asks for as well.
bool checks_of_environment();
// GEMMACORE_CUDASIM_THREADS, or the processors that this process may use.
int host_threads_of_environment();
// GEMMACORE_CUDASIM_FAIL=k:code, or zeros.
std::pair<long long, int> planted_failure_of_environment();

class Card {
 public:
  explicit Card(const Settings& settings);

  const Profile& profile;
  const Arithmetic arithmetic;
  const bool checks;
  Schedule schedule;
  DeviceMemory memory;
  Streams streams;
  OperationHistory history;
  // Grows at every completed barrier and at both ends of every operation; stamps accesses. 0 stands for "never".
  std::uint32_t now = 0;
  // A defect found while executing: this code is then every later call's answer, as on a card.
  std::atomic<int> lost{0};
  // Kernels that were launched, and how many more of them are executed; negative for all. The others leave memory as it is, so that a model that is too large to
  // simulate can still take its memory.
  std::atomic<long long> launches{0}, executed_launches{-1};

  // Counts a launch that a stream has come to. Whether it is executed.
  bool begin_launch();
  void tick();
  void fail(Defect defect, const std::string& text);
  const std::string& last_report() const { return last_report_; }

  // Notes that the current operation touches the allocation. Returns why it may not, or nothing.
  std::optional<std::string> use(Allocation& allocation);
  // A copy's or fill's access to [begin, begin + bytes): checks bounds and order, stamps the cells. False after fail().
  bool access_range(std::uintptr_t begin, std::size_t bytes, bool write);
  // Frees in the order of the current operation.
  void release(Allocation& allocation);

 private:
  void execute(const Operation& operation);
  std::mutex report_lock_;  // several threads may execute blocks
  std::string last_report_;
};

}  // namespace cudasim
