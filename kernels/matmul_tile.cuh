// What products on tensor cores have in common: which tile of C a block computes, how its operands come into shared memory, and where its sums go.
// A Tile says how threads share it: rows, columns, threads, blocks_m and blocks_n (16 x 8 pieces of a warp), and with row(i) and column() where a warp's
// pieces begin. Storage of A and B, and the cutting of the depth: matmul_mma.cu.
#pragma once
#include "ptx.cuh"

namespace ptx {

enum Layout { NT, NN, TN };

// A thread's share of one operand's tile, `pieces` of 16 bytes that lie `apart` rows from one another. Rows and columns past the matrix's end
// are read as its last ones, since nothing that they give is stored; depth past its end is zero. The matrix is not empty.
// Where the depth runs inside a stored row a tile has rows of `depth`, else of `across`; as slabs, of 64 in either case.
template <bool inside, int across, int depth, int threads, bool slabs> struct Reader {
  static constexpr bool is_inside = inside;
  static constexpr int width = inside ? depth : across, row_chunks = (slabs ? 64 : width) / 8, apart = threads / row_chunks;
  static constexpr int pieces = depth * across / 8 / threads, slab_pieces = slabs && !inside ? depth / apart : pieces;
  static_assert(apart % 8 == 0 && pieces % slab_pieces == 0, "all pieces of a thread have the same place in their swizzled rows");
  const u8* from;  // the first piece in the step at hand
  u32 pitch;       // bytes of a stored row
  int more;        // stored rows after the first piece's; across, columns after it
  int deep;        // depth from the first piece on

  // The tile of the `count` rows or columns at `first`, from depth k on.
  DEVICE void start(const void* matrix, int first, int count, int k, int depth_count) {
    const int row = thread_index() / row_chunks, chunk = thread_index() % row_chunks * 8;
    const int last = inside ? count - 1 : (count - 1) & ~7, at = first + (inside ? row : chunk), held = at < last ? at : last;
    const int outer = inside ? held : k + row, inner = inside ? k + chunk : held;
    pitch = 2 * ((static_cast<u32>(inside ? depth_count : count) + 7) & ~7u);
    from = static_cast<const u8*>(matrix) + static_cast<u64>(outer) * pitch + 2 * static_cast<u64>(inner);
    more = last - held;
    deep = depth_count - (inside ? inner : outer);
  }
  DEVICE const void* piece(int i) const {
    const int slab = i / slab_pieces * 64, beside = slab > more ? more : slab, below = i % slab_pieces * apart;
    const int row = inside && below > more ? more : below;
    return from + static_cast<u64>(static_cast<u32>(row)) * pitch + (slab_pieces == pieces ? 0 : 2 * beside);
  }
  DEVICE bool holds(int i) const { return deep > (inside ? 0 : i % slab_pieces * apart); }
  DEVICE void advance() {
    from += inside ? 2 * depth : static_cast<u64>(depth) * pitch;
    deep -= depth;
  }
  // Element of the staged tile where a 16-byte chunk starts. The exclusive or puts the eight rows that one instruction reads into eight different
  // groups of banks.
  static DEVICE int chunk_at(int row, int chunk) {
    return inside && depth == 32 ? row * depth + (chunk ^ (row >> 1 & 3)) * 8 : row * row_chunks * 8 + (chunk ^ (row & 7)) * 8;
  }
  static DEVICE int place(int i) {
    return chunk_at(thread_index() / row_chunks, thread_index() % row_chunks) + i / slab_pieces * 64 * depth + i % slab_pieces * apart * row_chunks * 8;
  }
  template <typename T> DEVICE void copy_piece(T* stage, int i) const { copy_async16(stage + place(i), piece(i), holds(i) ? 16 : 0); }
};

// The same through registers, before it is stored at its places.
template <typename R> DEVICE void fetch_tile(uint4 (&raw)[R::pieces], const R& reader) {
#pragma unroll
  for (int i = 0; i < R::pieces; ++i) raw[i] = reader.holds(i) ? load16(reader.piece(i)) : uint4{0, 0, 0, 0};
}

// 16 rows of A, 16 deep, as one mma operand. Lane groups of eight address (0, 0), (8, 0), (0, 8), (8, 8) in (row, depth).
template <typename R> DEVICE void load_left(u32 (&a)[4], shared_place stage, int row, int k) {
  const int lane = lane_index(), group = lane / 8;
  if constexpr (R::is_inside) load_matrix<4>(a, stage + 2 * R::chunk_at(row + lane % 16, k / 8 + group / 2));
  else load_matrix<4, true>(a, stage + 2 * R::chunk_at(k + lane % 8 + group / 2 * 8, row / 8 + group % 2));
}

// 16 columns of B, 16 deep, as two mma operands. Lane groups address (0, 0), (8, 0), (0, 8), (8, 8) in (depth, column).
template <typename R> DEVICE void load_right(u32 (&b)[4], shared_place stage, int column, int k) {
  const int lane = lane_index(), group = lane / 8;
  if constexpr (R::is_inside) load_matrix<4>(b, stage + 2 * R::chunk_at(column + lane % 8 + group / 2 * 8, k / 8 + group % 2));
  else load_matrix<4, true>(b, stage + 2 * R::chunk_at(k + lane % 8 + group % 2 * 8, column / 8 + group / 2));
}

// What a warp multiplies in one step of 16 along the depth, from tiles that lie as their readers have them.
template <typename T, typename ReaderA, typename ReaderB, int blocks_m, int blocks_n> struct Fragments {
  u32 left[blocks_m][4], right[blocks_n / 2][4];

  DEVICE void load(shared_place a, shared_place b, int row, int column, int k) {
#pragma unroll
    for (int i = 0; i < blocks_m; ++i) load_left<ReaderA>(left[i], a, row + 16 * i, k);
#pragma unroll
    for (int j = 0; j < blocks_n / 2; ++j) load_right<ReaderB>(right[j], b, column + 16 * j, k);
  }
  DEVICE void multiply(float (&sums)[blocks_m][blocks_n][4]) const {
#pragma unroll
    for (int i = 0; i < blocks_m; ++i)
#pragma unroll
      for (int j = 0; j < blocks_n; ++j) mma_k16<T>(sums[i][j], left[i], {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]});
  }
};

// v * 2^exponent for -252 <= exponent <= 252: two factors, as one power of two may be more than a float holds.
DEVICE float scaled(float v, int exponent) {
  const int half_way = exponent >> 1;
  return v * bits_float(static_cast<u32>(127 + half_way) << 23) * bits_float(static_cast<u32>(127 + exponent - half_way) << 23);
}

// Where a tile begins in C.
struct Corner { int row, column; };

constexpr int raster = 8;  // tiles of M that share a sweep over N, so that B is found in L2

template <typename Tile> DEVICE Corner corner_of(int tile, int m, int n) {
  const int tiles_m = (m + Tile::rows - 1) / Tile::rows, tiles_n = (n + Tile::columns - 1) / Tile::columns, sweep = tile / (raster * tiles_n);
  const int height = tiles_m - sweep * raster < raster ? tiles_m - sweep * raster : raster, in_sweep = tile % (raster * tiles_n);
  return {(sweep * raster + in_sweep % height) * Tile::rows, in_sweep / height * Tile::columns};
}

// Which tile a block computes, and which part of its depth in steps.
struct Work {
  int tile, cut, first, last;  // cut: negative for a whole tile, else its number among the parts
};
template <typename Tile> DEVICE Work work_of(int block, int m, int n, int steps, int whole, int splits) {
  const int tiles = ((m + Tile::rows - 1) / Tile::rows) * ((n + Tile::columns - 1) / Tile::columns), cut = block - whole;
  const int tile = cut < 0 ? block : whole + cut % (tiles - whole), split = cut < 0 ? 0 : cut / (tiles - whole), parts = cut < 0 ? 1 : splits;
  return {tile, cut, static_cast<int>(static_cast<long long>(steps) * split / parts), static_cast<int>(static_cast<long long>(steps) * (split + 1) / parts)};
}

// Sixteen rows of a warp's tile from `row` on to C, with what is added to them only once.
template <int count> DEVICE void store_rows(const float (&sums)[count][4], int row, int column, const float* bias, float* c, int m, int n, bool accumulate) {
  const bool pairs = n % 2 == 0 && reinterpret_cast<u64>(c) % 8 == 0;
#pragma unroll
  for (int part = 0; part < 2; ++part) {
    const int to_row = row + 8 * part + lane_index() / 4;
    if (to_row >= m) continue;
#pragma unroll
    for (int j = 0; j < count; ++j) {
      const int to_column = column + 8 * j + lane_index() % 4 * 2;
      float* const to = c + static_cast<u64>(to_row) * n + to_column;
      float v[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        v[e] = sums[j][2 * part + e];
        if (to_column + e >= n) continue;
        if (bias != nullptr) v[e] += bias[to_column + e];
        if (accumulate) v[e] += to[e];
        if (!pairs) to[e] = v[e];
      }
      if (pairs && to_column < n) store8(to, uint2{float_bits(v[0]), float_bits(v[1])});
    }
  }
}

// The sums of a part in the order in which threads hold them: [parts, tiles, blocks_m, blocks_n, threads, 4].
template <typename Tile> DEVICE float* partial_of(float* partials, int part, int i) {
  return partials + (static_cast<u64>(part) * Tile::blocks_m + i) * Tile::blocks_n * Tile::threads * 4 + thread_index() * 4;
}
template <typename Tile> DEVICE void store_partial(const float (&sums)[Tile::blocks_n][4], float* partials, int part, int i) {
  float* const to = partial_of<Tile>(partials, part, i);
#pragma unroll
  for (int j = 0; j < Tile::blocks_n; ++j)
    store16(to + j * Tile::threads * 4, uint4{float_bits(sums[j][0]), float_bits(sums[j][1]), float_bits(sums[j][2]), float_bits(sums[j][3])});
}

// Adds up, in order, what the parts of the cut tiles have left. A block has sixteen rows of every warp in a tile, and `share` of its columns of eight.
template <typename Tile, int share>
DEVICE void reduce_parts(const float* partials, const float* bias, float* c, int m, int n, int whole, int splits, bool accumulate) {
  constexpr int shares = Tile::blocks_n / share, blocks = Tile::blocks_m * shares;
  static_assert(Tile::blocks_n % share == 0, "whole shares");
  const int tiles = grid_x() / blocks, tile = block_x() / blocks, i = block_x() % blocks / shares, first = block_x() % shares * share;
  const Corner corner = corner_of<Tile>(whole + tile, m, n);
  float sums[share][4] = {};
  for (int split = 0; split < splits; ++split) {
    const float* const from = partial_of<Tile>(const_cast<float*>(partials), split * tiles + tile, i) + first * Tile::threads * 4;
#pragma unroll
    for (int j = 0; j < share; ++j) {
      const uint4 raw = load16(from + j * Tile::threads * 4);
      sums[j][0] += bits_float(raw.x), sums[j][1] += bits_float(raw.y), sums[j][2] += bits_float(raw.z), sums[j][3] += bits_float(raw.w);
    }
  }
  store_rows(sums, corner.row + Tile::row(i), corner.column + Tile::column() + 8 * first, bias, c, m, n, accumulate);
}

}  // namespace ptx
