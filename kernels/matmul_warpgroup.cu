// matmul_warpgroup: C = alpha * (A B + A2 B2) + bias (+ C where accumulate is set) by Hopper's warpgroups (wgmma), fp32 sums; layouts, the second pair and
// cut tiles as in matmul_mma.cu, whose parameters these are; everything is bfloat16
// two groups of four warps, each with half of a tile's rows; both operands are read from shared memory, where cp.async has put them four steps of 64
// deep: one is multiplied, one waits for it, two are on their way. 2*M*N*(K + R) operations; bound by what L2 gives a multiprocessor, so the tile
// of 256 x 192, whose operands serve most products, where enough of them fill the card
// defines: LAYOUT, BLOCK_M (128 or 256), BLOCK_N (128, 192 or 256; with 256 rows 192 at most)
#include "matmul_tile.cuh"
#include "warpgroup.cuh"

using namespace ptx;

#ifndef LAYOUT
#define LAYOUT NT
#endif
#ifndef BLOCK_M
#define BLOCK_M 128
#endif
#ifndef BLOCK_N
#define BLOCK_N 256
#endif
#ifndef STAGES
#define STAGES (BLOCK_M * BLOCK_N > 128 * 128 ? 4 : 3)
#endif

constexpr bool a_inside = LAYOUT != TN, b_inside = LAYOUT == NT;  // the depth runs inside a stored row
constexpr int depth = 64, stages = STAGES, groups = 2;

struct Tile {
  static constexpr int rows = BLOCK_M, columns = BLOCK_N, threads = 128 * groups, blocks_m = rows / (64 * groups), blocks_n = columns / 8;
  // A product has 64 rows, sixteen to a warp.
  DEVICE static int row(int i) { return (warp_index() / 4 * blocks_m + i) * 64 + warp_index() % 4 * 16; }
  DEVICE static int column() { return 0; }
};
using ReaderA = Reader<a_inside, BLOCK_M, depth, Tile::threads, true>;
using ReaderB = Reader<b_inside, BLOCK_N, depth, Tile::threads, true>;

constexpr int slab = 64 * depth, stage_a = BLOCK_M * depth, stage_b = BLOCK_N * depth;  // elements

// From a step of sixteen along the depth to the next, in units of a descriptor.
DEVICE constexpr int step_of(bool inside) { return (inside ? 2 * 16 : 2 * 16 * 64) / 16; }

KERNEL(Tile::threads, BLOCK_M * BLOCK_N > 128 * 128 ? 1 : 2) matmul_warpgroup_tile(
    const bfloat16* a, const bfloat16* b, const bfloat16* a2, const bfloat16* b2, const float* bias, float* c, float* partials, int m, int n, int k, int r,
    int whole, int splits, float alpha, int accumulate) {
  bfloat16* const shared_a = dynamic_shared<bfloat16, 1024>();
  bfloat16* const shared_b = shared_a + stages * stage_a;
  const int seam = (k + depth - 1) / depth;
  const Work work = work_of<Tile>(block_x(), m, n, seam + (r + depth - 1) / depth, whole, splits);
  const Corner corner = corner_of<Tile>(work.tile, m, n);

  ReaderA reader_a;
  ReaderB reader_b;
  // In order. A stage is refilled two steps after it was multiplied: by then every group has seen its product done.
  const auto copy_step = [&](int step) {
    if (step < work.last) {
      if (step == work.first || step == seam) {
        const bool second = step >= seam;
        reader_a.start(second ? a2 : a, corner.row, m, (second ? step - seam : step) * depth, second ? r : k);
        reader_b.start(second ? b2 : b, corner.column, n, (second ? step - seam : step) * depth, second ? r : k);
      }
      const int stage = (step - work.first) % stages;
#pragma unroll
      for (int i = 0; i < ReaderA::pieces; ++i) reader_a.copy_piece(shared_a + stage * stage_a, i);
#pragma unroll
      for (int i = 0; i < ReaderB::pieces; ++i) reader_b.copy_piece(shared_b + stage * stage_b, i);
      reader_a.advance();
      reader_b.advance();
    }
    copy_async_commit();
  };

  const u64 tile_a = matrix_descriptor(place_of(shared_a) + warp_index() / 4 * Tile::blocks_m * slab * 2, 1024, a_inside ? 16 : slab * 2);
  const u64 tile_b = matrix_descriptor(place_of(shared_b), 1024, b_inside ? 16 : slab * 2);
  float sums[Tile::blocks_m][Tile::blocks_n][4] = {};
#pragma unroll
  for (int i = 0; i < Tile::blocks_m; ++i) warpgroup_hold(sums[i]);
#pragma unroll
  for (int step = 0; step < stages - 2; ++step) copy_step(work.first + step);
  for (int step = work.first, stage = 0; step < work.last; ++step, stage = stage == stages - 1 ? 0 : stage + 1) {
    copy_async_wait<stages - 3>();
    fence_for_products();
    sync_block();
    warpgroup_fence();
#pragma unroll
    for (int at = 0; at < depth / 16; ++at)
#pragma unroll
      for (int i = 0; i < Tile::blocks_m; ++i)
        warpgroup_multiply<!a_inside, !b_inside>(sums[i], tile_a + (stage * stage_a + i * slab) * 2 / 16 + at * step_of(a_inside),
                                                 tile_b + stage * stage_b * 2 / 16 + at * step_of(b_inside), 1);
    warpgroup_commit();
    copy_step(step + stages - 2);
    warpgroup_wait<1>();
  }
  warpgroup_wait<0>();
#pragma unroll
  for (int i = 0; i < Tile::blocks_m; ++i) {
    warpgroup_hold(sums[i]);
#pragma unroll
    for (int j = 0; j < Tile::blocks_n; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] *= alpha;
    if (work.cut < 0) store_rows(sums[i], corner.row + Tile::row(i), corner.column, bias, c, m, n, accumulate != 0);
    else store_partial<Tile>(sums[i], partials, work.cut, i);
  }
}

KERNEL(Tile::threads) matmul_warpgroup_reduce(const float* partials, const float* bias, float* c, int m, int n, int whole, int splits, int accumulate) {
  reduce_parts<Tile, 4>(partials, bias, c, m, n, whole, splits, accumulate != 0);
}
