// matmul_mma: C = alpha * (A B + A2 B2) + bias (+ C where accumulate is set) on tensor cores, fp32 sums; M, N, K as in BLAS
// LAYOUT NT: A [M, K'], B [N, K']; NN: A [M, K'], B [K, N']; TN: A [K, M'], B [K, N']; the second pair alike, of depth R. A, A2, B2
// are COMPUTE from matmul_pack, B is WEIGHT; sizes with ' are rounded up to 8 with zeros, so a row is whole 16-byte chunks
// half: A is x / 2^exponent, one exponent a row (TN: one), and B may have one as well; the sums are multiplied back in fp32. B without
// keeps its scale: bfloat16 weights become half as they are staged, what is below 2^-14 loses bits and what is below 2^-25 is zero
// splits > 1: C is [splits, M, N] of partial sums for matmul_reduce. 2*M*N*(K + R) operations; tensor bound from M, N ~ 256 on
// defines: COMPUTE, WEIGHT, LAYOUT, BLOCK_M, BLOCK_N. Staged by cp.async where WEIGHT is COMPUTE from sm_80 on, else through registers
#include "ptx.cuh"

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

enum Layout { NT, NN, TN };
constexpr Layout layout = LAYOUT;
constexpr bool a_inside = layout != TN, b_inside = layout == NT;  // the depth runs inside a stored row
constexpr int depth = 32;                                         // of a staged tile
constexpr int warps_m = 2, warps_n = BLOCK_N == 64 ? 2 : 4, block_threads = 32 * warps_m * warps_n;
constexpr int warp_m = BLOCK_M / warps_m, warp_n = BLOCK_N / warps_n;  // of the tile that one warp computes
constexpr int raster = 8;                                         // tiles of M that share a sweep over N, so that B is found in L2
constexpr bool converts = is_half<WEIGHT> != is_half<COMPUTE>;    // B changes its type between registers and shared memory
constexpr bool asynchronous = !converts && arch >= 800;
constexpr int stages = !asynchronous ? 2 : BLOCK_N > 128 ? 4 : 3;  // tiles of the depth in shared memory at once
// Blocks that a multiprocessor should hold; NN tiles staged through registers take too many of them for two.
constexpr int blocks = BLOCK_N > 128 || (layout == NN && arch < 800) ? 1 : 2;
constexpr int stage_a = BLOCK_M * depth, stage_b = BLOCK_N * depth;  // elements
constexpr int chunks_a = stage_a / 8 / block_threads, chunks_b = stage_b / 8 / block_threads;  // of 16 bytes, of a thread

// Element of a staged tile where the 16-byte chunk starts. Rows of 32 along the depth or of `across` elements; the exclusive or
// puts the eight rows that one ldmatrix reads into eight different groups of banks.
template <bool inside, int across> DEVICE int chunk_at(int row, int chunk) {
  return inside ? row * depth + (chunk ^ (row >> 1 & 3)) * 8 : row * across + (chunk ^ (row & 7)) * 8;
}

// The chunk number `index` of the tile at (first, k): where it is staged, and where in the matrix it starts; null outside.
template <bool inside, int across, typename T>
DEVICE const T* chunk_source(const T* matrix, int index, int first, int count, int k, int depth_count, int& at) {
  constexpr int row_chunks = inside ? depth / 8 : across / 8;
  const int row = index / row_chunks, chunk = index % row_chunks;
  at = chunk_at<inside, across>(row, chunk);
  const int outer = (inside ? first : k) + row, outer_count = inside ? count : depth_count;
  const int inner = (inside ? k : first) + chunk * 8, inner_count = inside ? depth_count : count;
  if (outer >= outer_count || inner >= inner_count) return nullptr;
  return matrix + static_cast<u64>(outer) * ((inner_count + 7) & ~7) + inner;
}

template <bool inside, int across, int chunks>
DEVICE void copy_tile(COMPUTE* stage, const COMPUTE* matrix, int first, int count, int k, int depth_count) {
#pragma unroll
  for (int i = 0; i < chunks; ++i) {
    int at;
    const COMPUTE* const from = chunk_source<inside, across>(matrix, i * block_threads + thread_index(), first, count, k, depth_count, at);
    copy_async16(stage + at, from == nullptr ? matrix : from, from == nullptr ? 0 : 16);
  }
}

template <bool inside, int across, int chunks, typename T>
DEVICE void fetch_tile(uint4 (&raw)[chunks], const T* matrix, int first, int count, int k, int depth_count) {
#pragma unroll
  for (int i = 0; i < chunks; ++i) {
    int at;
    const T* const from = chunk_source<inside, across>(matrix, i * block_threads + thread_index(), first, count, k, depth_count, at);
    raw[i] = from == nullptr ? uint4{0, 0, 0, 0} : load16(from);
  }
}

template <typename T> DEVICE u32 converted(u32 pair) { return pack<COMPUTE>(unpack_low<T>(pair), unpack_high<T>(pair)); }

template <typename T, bool inside, int across, int chunks> DEVICE void deposit_tile(COMPUTE* stage, const uint4 (&raw)[chunks]) {
#pragma unroll
  for (int i = 0; i < chunks; ++i) {
    constexpr int row_chunks = inside ? depth / 8 : across / 8;
    const int index = i * block_threads + thread_index();
    uint4 v = raw[i];
    if constexpr (is_half<T> != is_half<COMPUTE>) v = {converted<T>(v.x), converted<T>(v.y), converted<T>(v.z), converted<T>(v.w)};
    store16(stage + chunk_at<inside, across>(index / row_chunks, index % row_chunks), v);
  }
}

// 16 rows of A, 16 deep, as one mma operand. Lane groups of eight address (0, 0), (8, 0), (0, 8), (8, 8) in (row, depth).
DEVICE void load_a(u32 (&a)[4], shared_place stage, int row, int k) {
  const int lane = lane_index(), group = lane / 8;
  if constexpr (a_inside) load_matrix<4>(a, stage + 2 * chunk_at<true, BLOCK_M>(row + lane % 16, k / 8 + group / 2));
  else load_matrix<4, true>(a, stage + 2 * chunk_at<false, BLOCK_M>(k + lane % 8 + group / 2 * 8, row / 8 + group % 2));
}

// 16 columns of B, 16 deep, as two mma operands. Lane groups address (0, 0), (8, 0), (0, 8), (8, 8) in (depth, column).
DEVICE void load_b(u32 (&b)[4], shared_place stage, int column, int k) {
  const int lane = lane_index(), group = lane / 8;
  if constexpr (b_inside) load_matrix<4>(b, stage + 2 * chunk_at<true, BLOCK_N>(column + lane % 8 + group / 2 * 8, k / 8 + group % 2));
  else load_matrix<4, true>(b, stage + 2 * chunk_at<false, BLOCK_N>(k + lane % 8 + group % 2 * 8, column / 8 + group / 2));
}

// v * 2^exponent for -252 <= exponent <= 252: two factors, as one power of two may be more than a float holds.
DEVICE float scaled(float v, int exponent) {
  const int half_way = exponent >> 1;
  return v * bits_float(static_cast<u32>(127 + half_way) << 23) * bits_float(static_cast<u32>(127 + exponent - half_way) << 23);
}

using Sums = float[warp_m / 16][warp_n / 8][4];

DEVICE void multiply_stage(Sums& sums, shared_place a, shared_place b, int row, int column) {
#pragma unroll
  for (int k = 0; k < depth; k += 16) {
    u32 left[warp_m / 16][4], right[warp_n / 16][4];
#pragma unroll
    for (int i = 0; i < warp_m / 16; ++i) load_a(left[i], a, row + 16 * i, k);
#pragma unroll
    for (int j = 0; j < warp_n / 16; ++j) load_b(right[j], b, column + 16 * j, k);
#pragma unroll
    for (int i = 0; i < warp_m / 16; ++i)
#pragma unroll
      for (int j = 0; j < warp_n / 8; ++j) mma_k16<COMPUTE>(sums[i][j], left[i], {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
  }
}

KERNEL(block_threads, blocks) matmul_mma_tile(const COMPUTE* a, const WEIGHT* b, const COMPUTE* a2, const COMPUTE* b2, const int* exponents,
                                      const int* exponents2, const int* exponent_b, const int* exponent_b2, const float* bias, float* c, int m, int n, int k, int r, int splits,
                                      float alpha, int accumulate) {
  COMPUTE* const shared_a = dynamic_shared<COMPUTE>();
  COMPUTE* const shared_b = shared_a + stages * stage_a;
  const int tiles_m = (m + BLOCK_M - 1) / BLOCK_M, tiles_n = (n + BLOCK_N - 1) / BLOCK_N, tiles = tiles_m * tiles_n;
  const int split = block_x() / tiles, tile = block_x() % tiles, sweep = tile / (raster * tiles_n);
  const int height = tiles_m - sweep * raster < raster ? tiles_m - sweep * raster : raster;
  const int first_m = (sweep * raster + tile % (raster * tiles_n) % height) * BLOCK_M, first_n = tile % (raster * tiles_n) / height * BLOCK_N;
  const int seam = (k + depth - 1) / depth, steps = seam + (r + depth - 1) / depth;
  const int first = static_cast<int>(static_cast<long long>(steps) * split / splits);
  const int last = static_cast<int>(static_cast<long long>(steps) * (split + 1) / splits);
  const int row = warp_index() / warps_n * warp_m, column = warp_index() % warps_n * warp_n;

  Sums sums = {};
  const int of_b = exponent_b == nullptr ? 0 : *exponent_b, of_b2 = exponent_b2 == nullptr ? 0 : *exponent_b2;
  // From the first pair's scale to the second's: exact, as scales are powers of two.
  const auto cross_seam = [&] {
#pragma unroll
    for (int i = 0; i < warp_m / 16; ++i)
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        const int at = first_m + row + 16 * i + 8 * part + lane_index() / 4;
        const int change = at < m ? exponents[at] + of_b - exponents2[at] - of_b2 : 0;
#pragma unroll
        for (int j = 0; j < warp_n / 8; ++j)
#pragma unroll
          for (int e = 0; e < 2; ++e) sums[i][j][2 * part + e] = scaled(sums[i][j][2 * part + e], change);
      }
  };
  const bool crosses = exponents2 != nullptr && first < seam && seam < last;

  if constexpr (asynchronous) {
    const auto copy_step = [&](int step, int stage) {
      const bool second = step >= seam;
      const int at = (second ? step - seam : step) * depth, deep = second ? r : k;
      copy_tile<a_inside, BLOCK_M, chunks_a>(shared_a + stage * stage_a, second ? a2 : a, first_m, m, at, deep);
      copy_tile<b_inside, BLOCK_N, chunks_b>(shared_b + stage * stage_b, second ? b2 : reinterpret_cast<const COMPUTE*>(b), first_n, n, at, deep);
    };
#pragma unroll
    for (int stage = 0; stage < stages - 1; ++stage) {
      if (first + stage < last) copy_step(first + stage, stage);
      copy_async_commit();
    }
    int stage = 0;
    for (int step = first; step < last; ++step) {
      copy_async_wait<stages - 2>();
      sync_block();
      // The stage that the previous step has used, which everyone has left at this barrier.
      if (step + stages - 1 < last) copy_step(step + stages - 1, stage == 0 ? stages - 1 : stage - 1);
      copy_async_commit();
      if (crosses && step == seam) cross_seam();
      multiply_stage(sums, place_of(shared_a + stage * stage_a), place_of(shared_b + stage * stage_b), row, column);
      stage = stage == stages - 1 ? 0 : stage + 1;
    }
  } else {
    uint4 next_a[chunks_a], next_b[chunks_b];
    const auto fetch_step = [&](int step) {
      const bool second = step >= seam;
      const int at = (second ? step - seam : step) * depth;
      fetch_tile<a_inside, BLOCK_M>(next_a, second ? a2 : a, first_m, m, at, second ? r : k);
      if (second) fetch_tile<b_inside, BLOCK_N>(next_b, b2, first_n, n, at, r);
      else fetch_tile<b_inside, BLOCK_N>(next_b, b, first_n, n, at, k);
    };
    const auto deposit_step = [&](int step, int stage) {
      deposit_tile<COMPUTE, a_inside, BLOCK_M>(shared_a + stage * stage_a, next_a);
      if (converts && step < seam) deposit_tile<WEIGHT, b_inside, BLOCK_N>(shared_b + stage * stage_b, next_b);
      else deposit_tile<COMPUTE, b_inside, BLOCK_N>(shared_b + stage * stage_b, next_b);
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
      multiply_stage(sums, place_of(shared_a + stage * stage_a), place_of(shared_b + stage * stage_b), row, column);
      if (step + 1 < last) deposit_step(step + 1, stage ^ 1);
      sync_block();
    }
  }

  c += static_cast<u64>(split) * m * n;
  const bool in_second = last > seam && r > 0;  // whose scale the sums have by now
  const bool pairs = n % 2 == 0 && reinterpret_cast<u64>(c) % 8 == 0;
#pragma unroll
  for (int i = 0; i < warp_m / 16; ++i)
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int to_row = first_m + row + 16 * i + 8 * part + lane_index() / 4;
      if (to_row >= m) continue;
      int exponent = 0;
      if (exponents != nullptr) exponent = (in_second ? exponents2 : exponents)[layout == TN ? 0 : to_row] + (in_second ? of_b2 : of_b);
#pragma unroll
      for (int j = 0; j < warp_n / 8; ++j) {
        const int to_column = first_n + column + 8 * j + lane_index() % 4 * 2;
        float* const to = c + static_cast<u64>(to_row) * n + to_column;
        float v[2];
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          v[e] = alpha * scaled(sums[i][j][2 * part + e], exponent);
          if (to_column + e >= n) continue;
          if (bias != nullptr) v[e] += bias[to_column + e];
          if (accumulate) v[e] += to[e];
          if (!pairs) to[e] = v[e];
        }
        if (pairs && to_column < n) store8(to, uint2{float_bits(v[0]), float_bits(v[1])});
      }
    }
}
