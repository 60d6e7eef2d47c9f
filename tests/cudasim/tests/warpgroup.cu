// c [64, COLUMNS] = a [64, 64] b [64, COLUMNS] by one warpgroup, in every way that warpgroup.cuh offers; a and b are bfloat16, stored as they are written here.
// PLANTED 1 to 6 each hold one defect; warpgroup_test.cpp expects them to be noticed.
#include "warpgroup.cuh"

using namespace ptx;

#ifndef A_ACROSS
#define A_ACROSS false
#endif
#ifndef B_ACROSS
#define B_ACROSS false
#endif
#ifndef FRAGMENT
#define FRAGMENT false
#endif
#ifndef COLUMNS
#define COLUMNS 64
#endif
#ifndef PLANTED
#define PLANTED 0
#endif

constexpr int depth = 64, rows = 64, columns = COLUMNS, blocks = columns / 8;

// Rows of 64 elements: of `lines` lines (depth inside), or slabs of 64 lines each (depth across).
template <bool across> DEVICE int place(int line, int k) {
  return across ? line / 64 * 64 * depth + tile_offset<64>(k, line % 64 / 8) + line % 8 : tile_offset<64>(line, k / 8) + k % 8;
}

KERNEL(128) warpgroup_product(const u16* a, const u16* b, float* c) {
  u16* const tile_a = dynamic_shared<u16, 1024>();
  u16* const tile_b = tile_a + rows * depth;
  for (int i = thread_index(); i < rows * depth; i += 128) tile_a[place<A_ACROSS>(i / depth, i % depth)] = a[i];
  for (int i = thread_index(); i < columns * depth; i += 128) tile_b[place<B_ACROSS>(i % columns, i / columns)] = b[i];
  if (PLANTED != 1) fence_for_products();
  sync_block();
  const u64 left = matrix_descriptor(place_of(tile_a), 1024, A_ACROSS ? 128 * depth : 16), right = matrix_descriptor(place_of(tile_b), 1024, B_ACROSS ? 128 * depth : 16);
  float sums[blocks][4];
  u32 fragments[depth / 16][4];
  for (int step = 0; step < depth / 16; ++step)
    load_matrix<4>(fragments[step], tile_a + tile_offset<64>(warp_index() * 16 + lane_index() % 16, 2 * step + lane_index() / 16));
  if (PLANTED != 2) warpgroup_fence(sums);
#pragma unroll
  for (int step = 0; step < depth / 16; ++step) {
    const u64 from_b = right + step * (B_ACROSS ? 2048 : 32) / 16;
    if (PLANTED == 5 && step == 3 && warp_index() == 3) break;
#if FRAGMENT
    warpgroup_multiply<B_ACROSS>(sums, fragments[step], from_b, step > 0);
#else
    warpgroup_multiply<A_ACROSS, B_ACROSS>(sums, left + step * (A_ACROSS ? 2048 : 32) / 16, from_b, step > 0);
#endif
  }
  warpgroup_commit();
  if (PLANTED == 3) {
    sync_block();
    tile_b[thread_index()] = static_cast<u16>(1 + thread_index());
    fence_for_products();
    sync_block();
  }
  if (PLANTED != 4) warpgroup_wait<PLANTED == 6 ? 1 : 0>();
  warpgroup_hold(sums);
  for (int j = 0; j < blocks; ++j)
    for (int e = 0; e < 4; ++e) c[(warp_index() * 16 + lane_index() / 4 + e / 2 * 8) * columns + j * 8 + lane_index() % 4 * 2 + e % 2] = sums[j][e];
}
