// Happens-before among the threads of one block: which of another thread's accesses does a barrier place before mine?
// Time is one counter for the whole device that grows by one at every completed barrier, so an access is stamped with the
// counter's value and "known up to stamp s" says everything. Shuffles, votes, ldmatrix and mma order nothing, as in CUDA.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace cudasim {

class ThreadOrder {
 public:
  // Up to which stamp what each warp did is known.
  using Known = std::array<std::uint32_t, 32>;
  static void join(Known& into, const Known& other) {
    for (std::size_t warp = 0; warp < 32; ++warp) into[warp] = std::max(into[warp], other[warp]);
  }

  void start_block(std::uint32_t now, int threads);
  void block_synchronised(std::uint32_t now) { block_known_ = now; }
  // A named barrier: whole warps, given as a set of bits.
  void warps_synchronised(std::uint32_t warps, std::uint32_t now);
  void lanes_synchronised(int warp, std::uint32_t mask, std::uint32_t now);

  // Adds what a warp knows, and gives a warp what others have added.
  void publish(int warp, Known& into) const { join(into, warp_known_[static_cast<std::size_t>(warp)]); }
  void acquire(int warp, const Known& from) {
    warps_fresh_ = false;
    join(warp_known_[static_cast<std::size_t>(warp)], from);
  }

  // Every access of this block at a stamp below it is ordered before what any of its threads does now.
  std::uint32_t block_known() const { return block_known_; }

  // Whether thread `other`'s access at `stamp` (of this block) is ordered before what thread `me` does now.
  bool before(int other, std::uint32_t stamp, int me) const {
    return other == me || stamp < block_known_ || stamp < warp_known_[me / 32][other / 32] ||
           (me / 32 == other / 32 && stamp < lane_known_[static_cast<std::size_t>(me)][other % 32]);
  }

 private:
  using Lanes = Known;
  std::uint32_t block_known_ = 0;
  bool warps_fresh_ = false, lanes_fresh_ = false;  // nothing known yet in this block: no need to clear
  std::array<Lanes, 32> warp_known_{};
  std::vector<Lanes> lane_known_;
};

}  // namespace cudasim
