#include "thread_order.hpp"

namespace cudasim {

void ThreadOrder::start_block(std::uint32_t now, int threads) {
  block_known_ = now;
  const auto lanes = static_cast<std::size_t>(threads + 31) / 32 * 32;
  if (!warps_fresh_) warp_known_ = {};
  if (!lanes_fresh_ || lane_known_.size() != lanes) lane_known_.assign(lanes, {});
  warps_fresh_ = lanes_fresh_ = true;
}

void ThreadOrder::warps_synchronised(std::uint32_t warps, std::uint32_t now) {
  warps_fresh_ = false;
  Lanes joined{};
  for (int warp = 0; warp < 32; ++warp)
    if (warps >> warp & 1)
      for (std::size_t other = 0; other < 32; ++other) joined[other] = std::max(joined[other], warp_known_[static_cast<std::size_t>(warp)][other]);
  for (std::size_t warp = 0; warp < 32; ++warp)
    if (warps >> warp & 1) joined[warp] = now;
  for (std::size_t warp = 0; warp < 32; ++warp)
    if (warps >> warp & 1) warp_known_[warp] = joined;
}

void ThreadOrder::lanes_synchronised(int warp, std::uint32_t mask, std::uint32_t now) {
  lanes_fresh_ = false;
  Lanes joined{};
  Lanes* lanes = &lane_known_[static_cast<std::size_t>(warp) * 32];
  for (std::size_t lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      for (std::size_t other = 0; other < 32; ++other) joined[other] = std::max(joined[other], lanes[lane][other]);
  for (std::size_t lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) joined[lane] = now;
  for (std::size_t lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) lanes[lane] = joined;
}

}  // namespace cudasim
