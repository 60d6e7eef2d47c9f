#include "schedule.hpp"

#include <stdexcept>

namespace cudasim {
namespace {

int highest_bit(std::uint32_t mask) { return 31 - __builtin_clz(mask); }
std::uint32_t bit_count(std::uint32_t mask) { return static_cast<std::uint32_t>(__builtin_popcount(mask)); }

// The first set bit at or after `from`, wrapping round; mask is not empty.
int bit_from(std::uint32_t mask, int from) {
  const std::uint32_t later = from >= 32 ? 0 : mask & (~0u << from);
  return __builtin_ctz(later != 0 ? later : mask);
}

int nth_bit(std::uint32_t mask, std::uint32_t n) {
  while (n-- > 0) mask &= mask - 1;
  return __builtin_ctz(mask);
}

// Change points fall somewhere in the first steps of a block; a step is one switch between threads.
constexpr std::uint32_t change_horizon = 4096;

}  // namespace

Policy policy_named(const std::string& name) {
  if (name == "round_robin") return Policy::round_robin;
  if (name == "random") return Policy::random;
  if (name == "priority") return Policy::priority;
  if (name == "adversarial") return Policy::adversarial;
  throw std::invalid_argument("cudasim: no schedule '" + name + "'; there are round_robin, random, priority, adversarial");
}

void Schedule::start_block(int warps) {
  steps_ = 0;
  lowest_ = 1000;
  for (int warp = 0; warp < warps; ++warp) priority_[static_cast<std::size_t>(warp)] = 1000 + below(1u << 20);
  for (std::uint32_t& point : change_points_) point = below(change_horizon);
}

int Schedule::next(std::uint32_t runnable_warps, const std::array<std::uint32_t, 32>& runnable_lanes, int current) {
  const int current_warp = current / 32;
  int warp = 0, lane = 0;
  switch (policy_) {
    case Policy::round_robin: {
      const std::uint32_t later = current % 32 == 31 ? 0 : runnable_lanes[static_cast<std::size_t>(current_warp)] & (~0u << (current % 32 + 1));
      if (later != 0) return current_warp * 32 + __builtin_ctz(later);
      warp = bit_from(runnable_warps, current_warp + 1);
      lane = __builtin_ctz(runnable_lanes[static_cast<std::size_t>(warp)]);
      break;
    }
    case Policy::random: {
      warp = nth_bit(runnable_warps, below(bit_count(runnable_warps)));
      const std::uint32_t lanes = runnable_lanes[static_cast<std::size_t>(warp)];
      lane = nth_bit(lanes, below(bit_count(lanes)));
      break;
    }
    case Policy::priority: {
      ++steps_;
      for (const std::uint32_t point : change_points_)
        if (point == steps_) priority_[static_cast<std::size_t>(current_warp)] = --lowest_;
      std::uint32_t best = 0;
      for (std::uint32_t rest = runnable_warps; rest != 0; rest &= rest - 1) {
        const int candidate = __builtin_ctz(rest);
        if (priority_[static_cast<std::size_t>(candidate)] >= best) best = priority_[static_cast<std::size_t>(candidate)], warp = candidate;
      }
      const std::uint32_t lanes = runnable_lanes[static_cast<std::size_t>(warp)];
      lane = nth_bit(lanes, below(bit_count(lanes)));
      break;
    }
    case Policy::adversarial:
      warp = runnable_warps >> current_warp & 1 ? current_warp : highest_bit(runnable_warps);
      lane = highest_bit(runnable_lanes[static_cast<std::size_t>(warp)]);
      break;
  }
  return warp * 32 + lane;
}

}  // namespace cudasim
