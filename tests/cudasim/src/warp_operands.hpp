// What the lanes of one warp leave for each other during a collective: by lane, or already in the place that a matrix
// instruction gives the lane's registers. A lane writes only what is its own, so one that is ahead disturbs none that has
// still to fetch its result.
#pragma once

#include <cstdint>

namespace cudasim {

struct alignas(64) WarpOperands {
  struct {
    std::uint32_t value[32], result[32];
    int selector[32];
  } shuffle;
  struct {
    float value[32], result[32];
  } reduce;
  struct {
    std::uint32_t predicates, result[32];
  } ballot;
  struct {
    std::uintptr_t row[32];
    const void* site[32];
    std::uint32_t registers[32][4];
  } load_matrix;
  // 16-bit elements as they are in the registers: a [m][k], b [k][n]; c [m][n].
  struct {
    alignas(64) std::uint16_t a[16][16], b[16][8];
    alignas(64) float c[16][8];
  } mma;
};

}  // namespace cudasim
