#include "warp_collective.hpp"

#include <cstring>

#include "multiprocessor.hpp"
#include "tensor_core.hpp"

namespace cudasim {
namespace {

template <int kind> void perform_shuffle(Multiprocessor& sm, int warp, std::uint32_t mask) {
  auto& all = sm.operands(warp).shuffle;
  std::uint32_t outside = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    int from = lane;
    if (kind == shuffle_index) from = all.selector[lane] & 31;
    if (kind == shuffle_xor_lane) from = (lane ^ all.selector[lane]) & 31;
    if (kind == shuffle_down_lane && lane + all.selector[lane] < 32) from = lane + all.selector[lane];
    if (!(mask >> from & 1)) outside |= 1u << lane;
    all.result[lane] = all.value[from];
  }
  if (outside != 0)
    sm.fail(Defect::divergence, "lane " + std::to_string(__builtin_ctz(outside)) + " shuffles from a lane that is not in the mask");
}

struct Add {
  float operator()(float mine, float other) const { return mine + other; }
};
struct Max {
  float operator()(float mine, float other) const { return other > mine ? other : mine; }
};

template <typename Combine> void perform_reduce(Multiprocessor& sm, int warp, std::uint32_t) {
  auto& all = sm.operands(warp).reduce;
  float value[32], next[32];
  std::memcpy(value, all.value, sizeof value);
  for (int step = 16; step > 0; step >>= 1) {
    for (int lane = 0; lane < 32; ++lane) next[lane] = Combine()(value[lane], value[lane ^ step]);
    std::memcpy(value, next, sizeof value);
  }
  std::memcpy(all.result, value, sizeof value);
}

void perform_ballot(Multiprocessor& sm, int warp, std::uint32_t mask) {
  auto& all = sm.operands(warp).ballot;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) all.result[lane] = all.predicates & mask;
}

template <int count, bool transposed> void perform_load_matrix(Multiprocessor& sm, int warp, std::uint32_t) {
  auto& all = sm.operands(warp).load_matrix;
  // Turing reads every lane's address, also those that x1 and x2 do not use.
  const int addresses = sm.card().profile.major < 8 ? 32 : 8 * count;
  for (int lane = 0; lane < addresses; ++lane) {
    const std::uintptr_t row = all.row[lane];
    if (row % 16 != 0) sm.fail(Defect::misaligned, "ldmatrix row of lane " + std::to_string(lane) + " is not at a multiple of 16", all.site[lane]);
    if (!sm.shared().contains(row)) sm.fail(Defect::out_of_bounds, "ldmatrix row of lane " + std::to_string(lane) + " is not in shared memory", all.site[lane]);
    sm.access_by(warp * 32 + lane, row, 16, false, all.site[lane]);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const int outer = lane / 4, inner = 2 * (lane % 4);
    const auto element = [&](int matrix, int i, int j) {
      std::uint16_t bits;
      std::memcpy(&bits, reinterpret_cast<const void*>(all.row[8 * matrix + i] + 2 * static_cast<std::uintptr_t>(j)), 2);
      return std::uint32_t{bits};
    };
    for (int matrix = 0; matrix < count; ++matrix)
      all.registers[lane][matrix] = transposed ? element(matrix, inner, outer) | element(matrix, inner + 1, outer) << 16
                                               : element(matrix, outer, inner) | element(matrix, outer, inner + 1) << 16;
  }
}

template <int type, int depth> void perform_mma(Multiprocessor& sm, int warp, std::uint32_t) {
  auto& all = sm.operands(warp).mma;
  const Profile& profile = sm.card().profile;
  const bool hardware = sm.card().arithmetic == Arithmetic::hardware;
  // Ampere and Ada execute k16 as two sums of eight, Hopper sums all sixteen at once.
  const TensorCore core{type == mma_half, depth, hardware ? profile.accumulator_bits : 0, profile.major >= 9 ? depth : 8};
  core.multiply_add(all.a, all.b, all.c);
}

constexpr Collective shuffles[] = {{"a shuffle", perform_shuffle<shuffle_index>},
                                   {"a shuffle by xor", perform_shuffle<shuffle_xor_lane>},
                                   {"a shuffle down", perform_shuffle<shuffle_down_lane>}};
constexpr Collective sum{"warp_sum", perform_reduce<Add>}, maximum{"warp_max", perform_reduce<Max>};
constexpr Collective ballot{"a vote", perform_ballot};
// [log2 of the count][transposed]
constexpr Collective load_matrices[3][2] = {{{"ldmatrix x1", perform_load_matrix<1, false>}, {"ldmatrix x1.trans", perform_load_matrix<1, true>}},
                                            {{"ldmatrix x2", perform_load_matrix<2, false>}, {"ldmatrix x2.trans", perform_load_matrix<2, true>}},
                                            {{"ldmatrix x4", perform_load_matrix<4, false>}, {"ldmatrix x4.trans", perform_load_matrix<4, true>}}};
// [type][depth / 8 - 1]
constexpr Collective products[2][2] = {{{"mma k8 of half", perform_mma<mma_half, 8>}, {"mma k16 of half", perform_mma<mma_half, 16>}},
                                       {{"mma k8 of bfloat16", perform_mma<mma_bfloat16, 8>}, {"mma k16 of bfloat16", perform_mma<mma_bfloat16, 16>}}};

float reduce(Multiprocessor& sm, const Collective& what, float value) {
  auto& all = sm.operands(sm.current() / 32).reduce;
  all.value[sm.current() % 32] = value;
  sm.collective(what, ~0u);
  return all.result[sm.current() % 32];
}

}  // namespace

const Collective warp_barrier{"sync_warp", [](Multiprocessor&, int, std::uint32_t) {}};

void warp_sync(Multiprocessor& sm, std::uint32_t mask) { sm.collective(warp_barrier, mask); }

std::uint32_t warp_shuffle(Multiprocessor& sm, int kind, std::uint32_t value, int selector, std::uint32_t mask) {
  const int lane = sm.current() % 32;
  auto& all = sm.operands(sm.current() / 32).shuffle;
  all.value[lane] = value;
  all.selector[lane] = selector;
  sm.collective(shuffles[kind], mask);
  return all.result[lane];
}

float warp_sum(Multiprocessor& sm, float value) { return reduce(sm, sum, value); }
float warp_max(Multiprocessor& sm, float value) { return reduce(sm, maximum, value); }

std::uint32_t warp_ballot(Multiprocessor& sm, bool predicate, std::uint32_t mask) {
  const int lane = sm.current() % 32;
  auto& all = sm.operands(sm.current() / 32).ballot;
  all.predicates = predicate ? all.predicates | 1u << lane : all.predicates & ~(1u << lane);
  sm.collective(ballot, mask);
  return all.result[lane];
}

void warp_load_matrix(Multiprocessor& sm, std::uint32_t* registers, int count, bool transposed, const void* row, const void* site) {
  const int lane = sm.current() % 32;
  auto& all = sm.operands(sm.current() / 32).load_matrix;
  all.row[lane] = reinterpret_cast<std::uintptr_t>(row);
  all.site[lane] = site;
  sm.collective(load_matrices[count / 2][transposed], ~0u);
  for (int matrix = 0; matrix < count; ++matrix) registers[matrix] = all.registers[lane][matrix];
}

// Layouts: kernels.md 4.4. Register r of a holds row g + 8 (r & 1) and columns 2t + 8 (r >> 1); of b rows 2t + 8 r.
void warp_mma(Multiprocessor& sm, int type, int depth, float* c, const std::uint32_t* a, const std::uint32_t* b) {
  const int lane = sm.current() % 32, g = lane / 4, t = lane % 4;
  auto& all = sm.operands(sm.current() / 32).mma;
  for (int r = 0; r < depth / 4; ++r) std::memcpy(&all.a[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)], &a[r], 4);
  for (int r = 0; r < depth / 8; ++r)
    for (int half = 0; half < 2; ++half) all.b[2 * t + half + 8 * r][g] = static_cast<std::uint16_t>(b[r] >> 16 * half);
  std::memcpy(&all.c[g][2 * t], c, 8);
  std::memcpy(&all.c[g + 8][2 * t], c + 2, 8);
  sm.collective(products[type][depth / 8 - 1], ~0u);
  std::memcpy(c, &all.c[g][2 * t], 8);
  std::memcpy(c + 2, &all.c[g + 8][2 * t], 8);
}

}  // namespace cudasim
