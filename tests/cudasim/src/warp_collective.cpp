#include "warp_collective.hpp"

#include <cstring>

#include "grid_run.hpp"
#include "number_formats.hpp"
#include "tensor_core.hpp"

namespace cudasim {
namespace {

struct Shuffle { int kind; std::uint32_t value; int selector; std::uint32_t result; };
struct Ballot { bool predicate; std::uint32_t result; };
struct LoadMatrix { std::uint32_t* registers; int count; bool transposed; std::uintptr_t row; const void* site; };
struct Mma { int type, depth; float* c; const std::uint32_t *a, *b; };

void perform_shuffle(GridRun& run, int warp, std::uint32_t mask) {
  for (int lane = 0; lane < 32; ++lane) {
    if (!(mask >> lane & 1)) continue;
    Shuffle& mine = run.operands<Shuffle>(warp, lane);
    int from = lane;
    if (mine.kind == shuffle_index) from = mine.selector & 31;
    if (mine.kind == shuffle_xor_lane) from = (lane ^ mine.selector) & 31;
    if (mine.kind == shuffle_down_lane && lane + mine.selector < 32) from = lane + mine.selector;
    if (!(mask >> from & 1))
      run.fail(Defect::divergence, "lane " + std::to_string(lane) + " shuffles from lane " + std::to_string(from) + ", which is not in the mask");
    mine.result = run.operands<Shuffle>(warp, from).value;
  }
}

void perform_ballot(GridRun& run, int warp, std::uint32_t mask) {
  std::uint32_t votes = 0;
  for (int lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) && run.operands<Ballot>(warp, lane).predicate) votes |= 1u << lane;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) run.operands<Ballot>(warp, lane).result = votes;
}

void perform_load_matrix(GridRun& run, int warp, std::uint32_t) {
  const int count = run.operands<LoadMatrix>(warp, 0).count;
  // Turing reads every lane's address, also those that x1 and x2 do not use.
  const int addresses = run.card().profile.major < 8 ? 32 : 8 * count;
  std::uint16_t tile[4][8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const LoadMatrix& mine = run.operands<LoadMatrix>(warp, lane);
    if (mine.count != count || mine.transposed != run.operands<LoadMatrix>(warp, 0).transposed)
      run.fail(Defect::divergence, "the lanes of a warp are in different forms of ldmatrix", mine.site);
    if (lane >= addresses) continue;
    if (mine.row % 16 != 0) run.fail(Defect::misaligned, "ldmatrix row of lane " + std::to_string(lane) + " is not at a multiple of 16", mine.site);
    if (!run.shared().contains(mine.row)) run.fail(Defect::out_of_bounds, "ldmatrix row of lane " + std::to_string(lane) + " is not in shared memory", mine.site);
    run.access_by(warp * 32 + lane, mine.row, 16, false, mine.site);
    std::memcpy(tile[lane / 8][lane % 8], reinterpret_cast<const void*>(mine.row), 16);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const LoadMatrix& mine = run.operands<LoadMatrix>(warp, lane);
    const int outer = lane / 4, inner = 2 * (lane % 4);
    for (int matrix = 0; matrix < count; ++matrix) {
      const auto& m = tile[matrix];
      const std::uint32_t low = mine.transposed ? m[inner][outer] : m[outer][inner];
      const std::uint32_t high = mine.transposed ? m[inner + 1][outer] : m[outer][inner + 1];
      mine.registers[matrix] = low | high << 16;
    }
  }
}

float element(int type, std::uint32_t word, int half) {
  const auto bits = static_cast<std::uint16_t>(word >> 16 * half);
  return type == mma_half ? half_value(bits) : bfloat16_value(bits);
}

// Layouts: kernels.md 4.4. Register r of a holds rows g + 8 (r & 1) and columns 2t + 8 (r >> 1); of b rows 2t + 8 r.
void perform_mma(GridRun& run, int warp, std::uint32_t) {
  const int type = run.operands<Mma>(warp, 0).type, depth = run.operands<Mma>(warp, 0).depth;
  float a[16][16], b[8][16], c[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const Mma& mine = run.operands<Mma>(warp, lane);
    if (mine.type != type || mine.depth != depth) run.fail(Defect::divergence, "the lanes of a warp are in different forms of mma");
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int r = 0; r < depth / 4; ++r) a[g + 8 * (r & 1)][2 * t + half + 8 * (r >> 1)] = element(type, mine.a[r], half);
      for (int r = 0; r < depth / 8; ++r) b[g][2 * t + half + 8 * r] = element(type, mine.b[r], half);
      for (int r = 0; r < 2; ++r) c[g + 8 * r][2 * t + half] = mine.c[2 * r + half];
    }
  }
  const bool hardware = run.card().arithmetic == Arithmetic::hardware;
  // Ampere and Ada execute k16 as two sums of eight, Hopper sums all sixteen at once.
  const int step = run.card().profile.major >= 9 ? depth : 8;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      if (!hardware) {
        c[i][j] = multiply_add_ideal(a[i], b[j], depth, c[i][j]);
        continue;
      }
      for (int k = 0; k < depth; k += step)
        c[i][j] = multiply_add_truncating(a[i] + k, b[j] + k, step, c[i][j], run.card().profile.accumulator_bits);
    }
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r) run.operands<Mma>(warp, lane).c[r] = c[lane / 4 + 8 * (r >> 1)][2 * (lane % 4) + (r & 1)];
}

constexpr Collective shuffle_collective{"a shuffle", perform_shuffle};
constexpr Collective ballot_collective{"a vote", perform_ballot};
constexpr Collective load_matrix_collective{"ldmatrix", perform_load_matrix};
constexpr Collective mma_collective{"mma", perform_mma};

}  // namespace

const Collective warp_barrier{"sync_warp", [](GridRun&, int, std::uint32_t) {}};

void warp_sync(GridRun& run, std::uint32_t mask) { run.collective(warp_barrier, mask, nullptr); }

std::uint32_t warp_shuffle(GridRun& run, int kind, std::uint32_t value, int selector, std::uint32_t mask) {
  Shuffle mine{kind, value, selector, 0};
  run.collective(shuffle_collective, mask, &mine);
  return mine.result;
}

std::uint32_t warp_ballot(GridRun& run, bool predicate, std::uint32_t mask) {
  Ballot mine{predicate, 0};
  run.collective(ballot_collective, mask, &mine);
  return mine.result;
}

void warp_load_matrix(GridRun& run, std::uint32_t* registers, int count, bool transposed, const void* row, const void* site) {
  LoadMatrix mine{registers, count, transposed, reinterpret_cast<std::uintptr_t>(row), site};
  run.collective(load_matrix_collective, ~0u, &mine);
}

void warp_mma(GridRun& run, int type, int depth, float* c, const std::uint32_t* a, const std::uint32_t* b) {
  Mma mine{type, depth, c, a, b};
  run.collective(mma_collective, ~0u, &mine);
}

}  // namespace cudasim
