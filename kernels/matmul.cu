// matmul: C = alpha * (A B + A2 B2) + bias (+ C where accumulate is set), fp32 multiply-add, M, N, K in the BLAS sense
// LAYOUT NT: A [M, K], B [N, K]; NN: A [M, K], B [K, N]; TN: A [K, M], B [K, N]. A f32, B WEIGHT; the second pair, of depth R, f32
// one block per TILE x TILE of C and part of the depth; splits > 1: C is [splits, M, N] of partial sums for matmul_reduce
// 2*M*N*(K + R) operations; bound by fp32 multiply-add at TILE 128, by shared memory at TILE 64 (few rows or columns)
// defines: WEIGHT, LAYOUT, TILE (128, 64); any size: vectors where rows are aligned, scalar loads and zeros elsewhere
// source: register blocking after Volkov and Demmel (SC 2008), 8 x 8 results a thread, two buffers in shared memory
#include "ptx.cuh"

using namespace ptx;

#ifndef WEIGHT
#define WEIGHT float
#endif
#ifndef LAYOUT
#define LAYOUT NT
#endif
#ifndef TILE
#define TILE 128
#endif

enum Layout { NT, NN, TN };
constexpr Layout layout = LAYOUT;
constexpr int block_threads = 256;
constexpr int depth = 4 * block_threads / TILE;  // each thread stages four elements of either operand
constexpr int pitch = TILE + 4;                  // of a staged row; rows stay aligned and their stores spread over the banks
constexpr int quads = TILE / 64;                 // a thread owns quads x quads squares of 4 x 4, 64 apart
constexpr int raster = 8;                        // tiles of M that share a sweep over N, so that B is found in L2

DEVICE void load_four(float (&v)[4], const float* p) {
  const uint4 raw = load16(p);
  v[0] = bits_float(raw.x), v[1] = bits_float(raw.y), v[2] = bits_float(raw.z), v[3] = bits_float(raw.w);
}
template <typename T> DEVICE void load_four(float (&v)[4], const T* p) {
  const uint2 raw = load8(p);
  v[0] = unpack_low<T>(raw.x), v[1] = unpack_high<T>(raw.x), v[2] = unpack_low<T>(raw.y), v[3] = unpack_high<T>(raw.y);
}

template <typename T> DEVICE bool rows_are_quads(const T* matrix, int columns) {
  return columns % 4 == 0 && reinterpret_cast<u64>(matrix) % (4 * sizeof(T)) == 0;
}

// Where this thread's four elements of an operand's tile lie. depth_inside: the matrix is [across, depth], else [depth, across].
template <bool depth_inside> DEVICE int staged_across() {
  return depth_inside ? thread_index() / (depth / 4) : thread_index() % (TILE / 4) * 4;
}
template <bool depth_inside> DEVICE int staged_depth() {
  return depth_inside ? thread_index() % (depth / 4) * 4 : thread_index() / (TILE / 4);
}

// This thread's four elements of the tile at (across, k); zeros outside the matrix.
template <bool depth_inside, typename T>
DEVICE void fetch(float (&v)[4], const T* matrix, int across, int across_count, int k, int depth_count, bool vectors) {
  across += staged_across<depth_inside>();
  k += staged_depth<depth_inside>();
  const int row = depth_inside ? across : k, rows = depth_inside ? across_count : depth_count;
  const int column = depth_inside ? k : across, columns = depth_inside ? depth_count : across_count;
  v[0] = v[1] = v[2] = v[3] = 0.0f;
  if (row >= rows) return;
  const T* p = matrix + static_cast<u64>(row) * columns + column;
  if (vectors) {
    if (column < columns) load_four(v, p);
  } else {
    for (int i = 0; i < 4; ++i)
      if (column + i < columns) v[i] = to_float(p[i]);
  }
}

template <bool depth_inside> DEVICE void deposit(float (&stage)[depth * pitch], const float (&v)[4]) {
  const int across = staged_across<depth_inside>(), k = staged_depth<depth_inside>();
  for (int i = 0; i < 4; ++i) stage[depth_inside ? (k + i) * pitch + across : k * pitch + across + i] = v[i];
}

KERNEL(block_threads, 2) matmul_tile(const float* a, const WEIGHT* b, const float* a2, const float* b2, const float* bias, float* c,
                                  int m, int n, int k, int r, int splits, float alpha, int accumulate) {
  SHARED_ARRAY(float, stage_a, 2 * depth * pitch);
  SHARED_ARRAY(float, stage_b, 2 * depth * pitch);
  using Stage = float[depth * pitch];
  Stage* const stages_a = reinterpret_cast<Stage*>(stage_a);
  Stage* const stages_b = reinterpret_cast<Stage*>(stage_b);
  constexpr bool a_inside = layout != TN, b_inside = layout == NT;

  const int tiles_m = (m + TILE - 1) / TILE, tiles_n = (n + TILE - 1) / TILE, tiles = tiles_m * tiles_n;
  const int split = block_x() / tiles, tile = block_x() % tiles, sweep = tile / (raster * tiles_n);
  const int height = tiles_m - sweep * raster < raster ? tiles_m - sweep * raster : raster;
  const int first_m = (sweep * raster + tile % (raster * tiles_n) % height) * TILE, first_n = tile % (raster * tiles_n) / height * TILE;
  const int seam = (k + depth - 1) / depth, steps = seam + (r + depth - 1) / depth;
  const int first = static_cast<int>(static_cast<long long>(steps) * split / splits);
  const int last = static_cast<int>(static_cast<long long>(steps) * (split + 1) / splits);
  const bool vectors = rows_are_quads(a, a_inside ? k : m) && rows_are_quads(b, b_inside ? k : n);
  const bool vectors2 = rows_are_quads(a2, a_inside ? r : m) && rows_are_quads(b2, b_inside ? r : n);

  float next_a[4], next_b[4];
  const auto fetch_step = [&](int step) {
    const bool second = step >= seam;
    const int at = (second ? step - seam : step) * depth;
    fetch<a_inside>(next_a, second ? a2 : a, first_m, m, at, second ? r : k, second ? vectors2 : vectors);
    if (second) fetch<b_inside>(next_b, b2, first_n, n, at, r, vectors2);
    else fetch<b_inside>(next_b, b, first_n, n, at, k, vectors);
  };

  const int row = thread_index() / 16 * 4, column = thread_index() % 16 * 4;
  float sums[quads * 4][quads * 4] = {};
  if (first < last) {
    fetch_step(first);
    deposit<a_inside>(stages_a[0], next_a);
    deposit<b_inside>(stages_b[0], next_b);
  }
  sync_block();
  for (int step = first; step < last; ++step) {
    const int buffer = (step - first) & 1;
    if (step + 1 < last) fetch_step(step + 1);
#pragma unroll 2
    for (int i = 0; i < depth; ++i) {  // two: more and two blocks no longer fit into the registers
      float left[quads * 4], right[quads * 4];
#pragma unroll
      for (int q = 0; q < quads; ++q) {
        load_four(*reinterpret_cast<float(*)[4]>(left + 4 * q), &stages_a[buffer][i * pitch + row + 64 * q]);
        load_four(*reinterpret_cast<float(*)[4]>(right + 4 * q), &stages_b[buffer][i * pitch + column + 64 * q]);
      }
#pragma unroll
      for (int y = 0; y < quads * 4; ++y)
#pragma unroll
        for (int x = 0; x < quads * 4; ++x) sums[y][x] = fused_multiply_add(left[y], right[x], sums[y][x]);
    }
    if (step + 1 < last) {
      deposit<a_inside>(stages_a[buffer ^ 1], next_a);
      deposit<b_inside>(stages_b[buffer ^ 1], next_b);
    }
    sync_block();
  }

  c += static_cast<u64>(split) * m * n;
  const bool vectors_c = rows_are_quads(c, n) && (bias == nullptr || reinterpret_cast<u64>(bias) % 16 == 0);
#pragma unroll
  for (int y = 0; y < quads * 4; ++y) {
    const int to_row = first_m + row + y / 4 * 64 + y % 4;
#pragma unroll
    for (int q = 0; q < quads; ++q) {
      const int to_column = first_n + column + 64 * q;
      if (to_row >= m || to_column >= n) continue;
      float* const to = c + static_cast<u64>(to_row) * n + to_column;
      float v[4], present[4] = {}, shift[4] = {};
      if (vectors_c) {
        if (accumulate) load_four(present, to);
        if (bias != nullptr) load_four(shift, bias + to_column);
      }
#pragma unroll
      for (int x = 0; x < 4; ++x) {
        const bool inside = !vectors_c && to_column + x < n;
        if (inside && accumulate) present[x] = to[x];
        if (inside && bias != nullptr) shift[x] = bias[to_column + x];
        v[x] = alpha * sums[y][4 * q + x] + shift[x] + present[x];
        if (inside) to[x] = v[x];
      }
      if (vectors_c) store16(to, uint4{float_bits(v[0]), float_bits(v[1]), float_bits(v[2]), float_bits(v[3])});
    }
  }
}
