// matmul_mma: C = alpha * (A B + A2 B2) + bias (+ C where accumulate is set) on tensor cores, fp32 sums; M, N, K as in BLAS
// LAYOUT NT: A [M, K'], B [N, K']; NN: A [M, K'], B [K, N']; TN: A [K, M'], B [K, N']; the second pair alike, of depth R. A, A2, B2
// are COMPUTE from matmul_pack, B is WEIGHT; sizes with ' are rounded up to 8 with zeros, so a row is whole 16-byte chunks
// half: A is x / 2^exponent, one exponent a row (TN: one), and B may have one as well; the sums are multiplied back in fp32. B without
// keeps its scale: bfloat16 weights become half as they are staged, what is below 2^-14 loses bits and what is below 2^-25 is zero
// the first `whole` tiles are a block each; of the others the depth is cut into `splits`, whose sums matmul_mma_reduce adds in order:
// a last round of few tiles would leave most of the card idle. 2*M*N*(K + R) operations; tensor bound from M, N ~ 256 on
// defines: COMPUTE, WEIGHT, LAYOUT, BLOCK_M, BLOCK_N. bfloat16 is staged by cp.async, half (sm_75 has none) through registers
#include "matmul_tile.cuh"

using namespace ptx;

#ifndef COMPUTE
#define COMPUTE half
#endif
#ifndef WEIGHT
#define WEIGHT COMPUTE
#endif
#ifndef LAYOUT
#define LAYOUT NT
#endif
#ifndef BLOCK_M
#define BLOCK_M 128
#endif
#ifndef BLOCK_N
#define BLOCK_N 128
#endif

constexpr Layout layout = LAYOUT;
constexpr bool a_inside = layout != TN, b_inside = layout == NT;  // the depth runs inside a stored row
constexpr bool scales = is_half<COMPUTE>;                         // bfloat16 has the range of float and no exponents
constexpr bool converts = is_half<WEIGHT> != is_half<COMPUTE>;    // B changes its type between registers and shared memory
constexpr bool asynchronous = !is_half<COMPUTE>;                  // cp.async and bfloat16 both come with sm_80
constexpr bool wide = BLOCK_M * BLOCK_N > 128 * 128, small = BLOCK_M < 128;
// Measured on an H200, where deep stages cost fewer barriers; what reads a matrix across its rows has no registers for them but in one case.
#ifndef DEPTH
#define DEPTH ((wide && layout != TN) || (layout == NT && asynchronous && !small && arch >= 900) ? 64 : 32)
#endif
#ifndef STAGES
#define STAGES (!asynchronous ? 2 : arch >= 900 ? (wide && layout == NT ? 256 : 192) / depth : wide ? 192 / depth : arch == 800 ? 5 : 3)
#endif
constexpr int depth = DEPTH;    // of a staged tile
constexpr int stages = STAGES;  // tiles of the depth in shared memory at once
// Of the tile that one warp computes. 64 x 64 reads shared memory least often for each multiplication; without cp.async registers are short.
constexpr int warp_m = small ? 32 : 64, warp_n = small || !asynchronous ? 32 : 64;
constexpr int warps_n = BLOCK_N / warp_n;
// Blocks that a multiprocessor should hold; NN tiles staged through registers take too many of them for two.
constexpr int blocks = wide || (layout == NN && !asynchronous) ? 1 : small && asynchronous ? 4 : 2;
constexpr int stage_a = BLOCK_M * depth, stage_b = BLOCK_N * depth;  // elements

struct Tile {
  static constexpr int rows = BLOCK_M, columns = BLOCK_N, threads = 32 * (BLOCK_M / warp_m) * warps_n, blocks_m = warp_m / 16, blocks_n = warp_n / 8;
  DEVICE static int row(int i) { return warp_index() / warps_n * warp_m + 16 * i; }
  DEVICE static int column() { return warp_index() % warps_n * warp_n; }
};
constexpr int blocks_m = Tile::blocks_m, blocks_n = Tile::blocks_n;
using ReaderA = Reader<a_inside, BLOCK_M, depth, Tile::threads, false>;
using ReaderB = Reader<b_inside, BLOCK_N, depth, Tile::threads, false>;

template <typename T> DEVICE u32 converted(u32 pair) { return pack<COMPUTE>(unpack_low<T>(pair), unpack_high<T>(pair)); }

template <typename T, typename R> DEVICE void deposit_tile(COMPUTE* stage, const uint4 (&raw)[R::pieces]) {
#pragma unroll
  for (int i = 0; i < R::pieces; ++i) {
    uint4 v = raw[i];
    if constexpr (is_half<T> != is_half<COMPUTE>) v = {converted<T>(v.x), converted<T>(v.y), converted<T>(v.z), converted<T>(v.w)};
    store16(stage + R::place(i), v);
  }
}

using Pieces = Fragments<COMPUTE, ReaderA, ReaderB, blocks_m, blocks_n>;
using Sums = float[blocks_m][blocks_n][4];

KERNEL(Tile::threads, blocks) matmul_mma_tile(const COMPUTE* a, const WEIGHT* b, const COMPUTE* a2, const COMPUTE* b2, const int* exponents,
                                      const int* exponents2, const int* exponent_b, const int* exponent_b2, const float* bias, float* c, float* partials,
                                      int m, int n, int k, int r, int whole, int splits, float alpha, int accumulate) {
  COMPUTE* const shared_a = dynamic_shared<COMPUTE>();
  COMPUTE* const shared_b = shared_a + stages * stage_a;
  const int seam = (k + depth - 1) / depth;
  const Work work = work_of<Tile>(block_x(), m, n, seam + (r + depth - 1) / depth, whole, splits);
  const Corner corner = corner_of<Tile>(work.tile, m, n);
  const int first = work.first, last = work.last, row = Tile::row(0), column = Tile::column();
  const Corner warp = {corner.row + row, corner.column + column};  // once: asked again at the end it would spill on sm_75

  Sums sums = {};
  const int of_b = exponent_b == nullptr ? 0 : *exponent_b, of_b2 = exponent_b2 == nullptr ? 0 : *exponent_b2;
  ReaderA reader_a;
  ReaderB reader_b;
  const auto start_a = [&](int step) {
    const bool second = step >= seam;
    reader_a.start(second ? a2 : a, corner.row, m, (second ? step - seam : step) * depth, second ? r : k);
  };
  const auto start_b = [&](int step) {
    const bool second = step >= seam;
    reader_b.start(second ? static_cast<const void*>(b2) : b, corner.column, n, (second ? step - seam : step) * depth, second ? r : k);
  };

  if constexpr (asynchronous) {
    constexpr int groups = depth / 16, pieces = ReaderA::pieces + ReaderB::pieces;
    // A part of a stage's copies, so that they are spread among the multiplications.
    const auto copy_part = [&](int part, int parts_of_it, int stage) {
#pragma unroll
      for (int i = 0; i < pieces; ++i) {
        if (i * parts_of_it / pieces != part) continue;
        if (i < ReaderA::pieces) reader_a.copy_piece(shared_a + stage * stage_a, i);
        else reader_b.copy_piece(shared_b + stage * stage_b, i - ReaderA::pieces);
      }
    };
    // Before a step's tile is copied, which happens in order, and after it.
    const auto turn_to = [&](int step) {
      if (step != first && step != seam) return;
      start_a(step);
      start_b(step);
    };
    const auto advance = [&] {
      reader_a.advance();
      reader_b.advance();
    };
#pragma unroll
    for (int stage = 0; stage < stages - 1; ++stage) {
      if (first + stage < last) {
        turn_to(first + stage);
        copy_part(0, 1, stage);
        advance();
      }
      copy_async_commit();
    }
    copy_async_wait<stages - 2>();
    sync_block();
    Pieces fragments[2];
    if (first < last) fragments[0].load(place_of(shared_a), place_of(shared_b), row, column, 0);
    int stage = 0;
    for (int step = first; step < last; ++step) {
      const bool copies = step + stages - 1 < last;
      if (copies) turn_to(step + stages - 1);
      // After the last step nothing follows, and the stage at hand is read once more for nothing.
      const int following = step == last - 1 ? stage : stage == stages - 1 ? 0 : stage + 1, free = stage == 0 ? stages - 1 : stage - 1;
#pragma unroll
      for (int group = 0; group < groups; ++group) {
        const bool ends = group == groups - 1;
        // The next fragments are on their way while these are multiplied. Those of the stage were all read by now: its tile may be replaced
        // after the barrier, behind which the next stage's is complete.
        if (ends) {
          copy_async_wait<stages - 2>();
          sync_block();
        }
        const int from = ends ? following : stage;
        fragments[(group + 1) % 2].load(place_of(shared_a + from * stage_a), place_of(shared_b + from * stage_b), row, column, (group + 1) % groups * 16);
        if (group < groups - 1) {
          if (copies) copy_part(group, groups - 1, free);
          if (group == groups - 2) {
            copy_async_commit();
            advance();
          }
        }
        fragments[group % 2].multiply(sums);
      }
      stage = following;
    }
  } else {
    // From the first pair's scale to the second's: exact, as scales are powers of two.
    const auto cross_seam = [&] {
#pragma unroll
      for (int i = 0; i < blocks_m; ++i)
#pragma unroll
        for (int part = 0; part < 2; ++part) {
          const int at = warp.row + 16 * i + 8 * part + lane_index() / 4;
          const int change = at < m ? exponents[at] + of_b - exponents2[at] - of_b2 : 0;
#pragma unroll
          for (int j = 0; j < blocks_n; ++j)
#pragma unroll
            for (int e = 0; e < 2; ++e) sums[i][j][2 * part + e] = scaled(sums[i][j][2 * part + e], change);
        }
    };
    const bool crosses = exponents2 != nullptr && first < seam && seam < last;
    uint4 next_a[ReaderA::pieces], next_b[ReaderB::pieces];
    const auto fetch_step = [&](int step) {
      // Started anew each time: registers are short.
      start_a(step);
      fetch_tile(next_a, reader_a);
      start_b(step);
      fetch_tile(next_b, reader_b);
    };
    const auto deposit_step = [&](int step, int stage) {
      deposit_tile<COMPUTE, ReaderA>(shared_a + stage * stage_a, next_a);
      if (converts && step < seam) deposit_tile<WEIGHT, ReaderB>(shared_b + stage * stage_b, next_b);
      else deposit_tile<COMPUTE, ReaderB>(shared_b + stage * stage_b, next_b);
    };
    if (first < last) {
      fetch_step(first);
      deposit_step(first, 0);
    }
    sync_block();
    for (int step = first; step < last; ++step) {
      const int stage = (step - first) & 1;
      if (step + 1 < last) fetch_step(step + 1);
      if (crosses && step == seam) cross_seam();
#pragma unroll
      for (int at = 0; at < depth; at += 16) {
        Pieces fragments;
        fragments.load(place_of(shared_a + stage * stage_a), place_of(shared_b + stage * stage_b), row, column, at);
        fragments.multiply(sums);
      }
      if (step + 1 < last) deposit_step(step + 1, stage ^ 1);
      sync_block();
    }
  }

  const bool in_second = last > seam;  // whose scale the sums have by now
#pragma unroll
  for (int i = 0; i < blocks_m; ++i) {
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int to_row = warp.row + 16 * i + 8 * part + lane_index() / 4;
      int exponent = 0;
      if (scales && exponents != nullptr && to_row < m) exponent = (in_second ? exponents2 : exponents)[layout == TN ? 0 : to_row] + (in_second ? of_b2 : of_b);
#pragma unroll
      for (int j = 0; j < blocks_n; ++j)
#pragma unroll
        for (int e = 2 * part; e < 2 * part + 2; ++e) sums[i][j][e] = alpha * (scales ? scaled(sums[i][j][e], exponent) : sums[i][j][e]);
    }
    if (work.cut < 0) store_rows(sums[i], warp.row + 16 * i, warp.column, bias, c, m, n, accumulate != 0);
    else store_partial<Tile>(sums[i], partials, work.cut, i);
  }
}

KERNEL(Tile::threads) matmul_mma_reduce(const float* partials, const float* bias, float* c, int m, int n, int whole, int splits, int accumulate) {
  reduce_parts<Tile, blocks_n>(partials, bias, c, m, n, whole, splits, accumulate != 0);
}
