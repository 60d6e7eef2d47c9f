// Which runnable thread goes next. All four policies are legal orders; a correct kernel gives the same result under each.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace cudasim {

enum class Policy {
  round_robin,
  random,       // uniform over warps, then over lanes
  priority,     // random warp priorities, lowered at a few random points (PCT, Burckhardt et al. 2010)
  adversarial,  // one warp runs as far as it can, the last one first
};
// Throws std::invalid_argument naming the known policies.
Policy policy_named(const std::string& name);

class Schedule {
 public:
  Schedule(Policy policy, std::uint64_t seed) : policy_(policy), state_(seed) {}
  void start_block(int warps);
  // Lanes that can run, per warp; `runnable_warps` has a bit for every warp with at least one. Returns the thread's index.
  int next(std::uint32_t runnable_warps, const std::array<std::uint32_t, 32>& runnable_lanes, int current);
  // SplitMix64 (Steele, Lea, Flood 2014), its upper half scaled down to the bound: asked for at every switch, where a Mersenne twister and a division took an
  // eighth of a kernel's time.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return static_cast<std::uint32_t>(((mixed ^ mixed >> 31) >> 32) * bound >> 32);
  }

 private:
  Policy policy_;
  std::uint64_t state_;
  std::array<std::uint32_t, 32> priority_{};
  std::array<std::uint32_t, 3> change_points_{};
  std::uint32_t steps_ = 0, lowest_ = 0;
};

}  // namespace cudasim
