#include "profile.hpp"

#include <stdexcept>

namespace cudasim {

// Limits: kernels.md 0.2 and 2.1. Level 2, clocks and bus: the vendor's published tables.
const std::vector<Profile>& profiles() {
  constexpr std::size_t gib = std::size_t{1} << 30;
  static const std::vector<Profile> all = {
      {"gtx1650", "NVIDIA GeForce GTX 1650", 7, 5, 14, 4 * gib, 65536, 65536, 1024, 16, 1 << 20, 1665000, 4001000, 128, 24},
      {"t4", "Tesla T4", 7, 5, 40, 16 * gib, 65536, 65536, 1024, 16, 4 << 20, 1590000, 5001000, 256, 24},
      {"rtx3090", "NVIDIA GeForce RTX 3090", 8, 6, 82, 24 * gib, 101376, 102400, 1536, 16, 6 << 20, 1695000, 9751000, 384, 24},
      {"a100", "NVIDIA A100-SXM4-80GB", 8, 0, 108, 80 * gib, 166912, 167936, 2048, 32, 40 << 20, 1410000, 1593000, 5120, 24},
      {"h200", "NVIDIA H200", 9, 0, 132, 141 * gib, 232448, 233472, 2048, 32, 60 << 20, 1980000, 3201000, 6144, 25},
  };
  return all;
}

const Profile& profile_named(const std::string& name) {
  std::string known;
  for (const Profile& profile : profiles()) {
    if (name == profile.name) return profile;
    known += std::string(known.empty() ? "" : ", ") + profile.name;
  }
  throw std::invalid_argument("cudasim: no device profile '" + name + "'; there are " + known);
}

}  // namespace cudasim
