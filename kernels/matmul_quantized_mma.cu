// matmul_quantized_mma: C = A wT + bias (LAYOUT NT) or A w (+ C where accumulate is set; NN) with a matrix w [O, K] of codes in tiles (codes.cuh), tensor cores
// A [M, K] (NN: [M, O]) COMPUTE from matmul_pack, whose rows of half are over 2^exponent; bias [O] f32 or null; C [M, O] (NN: [M, K]) f32
// w: NF4, whose absmax is f32, or where it is null nested_codes [..] with scales, table [256] and offset; INT8, absmax of every row; INT8_GROUP, halves
// A warp fetches a tile of codes two steps ahead, multiplies it by its magnitudes in fp32 and rounds it to COMPUTE once, as matmul_nf4, matmul_int8 and
// matmul_int8_group do, into a stage of shared memory, which lies as in matmul_mma. NN reads that stage transposed. Tiles and cut depths: matmul_tile.cuh
// 2*M*O*K operations, and three to four a weight for every 64 rows; moves 0.56*O*K (NF4) or O*K bytes for every 64 rows
// defines: FORMAT (NF4, INT8, INT8_GROUP), COMPUTE (half, bfloat16), LAYOUT (NT, NN). source: kernels.md 1.6, 1.7
#include "codes.cuh"
#include "matmul_tile.cuh"

using namespace ptx;

#ifndef FORMAT
#define FORMAT NF4
#endif
#ifndef COMPUTE
#define COMPUTE half
#endif
#ifndef LAYOUT
#define LAYOUT NT
#endif

constexpr Format format = FORMAT;
constexpr Layout layout = LAYOUT;
constexpr bool asynchronous = !is_half<COMPUTE>;  // as in matmul_mma
constexpr int depth = tile_inputs, rows = 64, columns = 128, warp_columns = 32, warps = 8;
constexpr int stage_a = rows * depth, stage_b = columns * depth;  // elements
constexpr int depth_tiles = depth / tile_outputs;                 // NN: tiles of codes below one another in a step

struct Tile {
  static constexpr int rows = ::rows, columns = ::columns, threads = 32 * warps, blocks_m = 2, blocks_n = warp_columns / 8;
  DEVICE static int row(int i) { return warp_index() / (columns / warp_columns) * 32 + 16 * i; }
  DEVICE static int column() { return warp_index() % (columns / warp_columns) * warp_columns; }
};
using ReaderA = Reader<true, rows, depth, Tile::threads, false>;
using ReaderB = Reader<layout == NT, columns, depth, Tile::threads, false>;
using Pieces = Fragments<COMPUTE, ReaderA, ReaderB, Tile::blocks_m, Tile::blocks_n>;
static_assert((layout == NT ? columns / tile_outputs : depth_tiles * columns / tile_inputs) == warps, "a tile of codes for every warp");

// A warp's tile of codes with the magnitude of row lane % 16.
struct Fetched {
  LaneCodes<format> codes;
  typename TileScales<format>::Raw scale;
  float row_absmax;  // INT8
};

// w as this kernel was given it.
struct Weights {
  const u8* codes;
  const void* absmax;
  const u8* nested_codes;
  const float *scales, *table;
  float offset;
  int outputs, inputs;

  // The tile of this warp in a step; past w's end the last one, since nothing that it gives is stored or meets other than zeros.
  DEVICE void fetch(Fetched& to, int step, int first_column) const {
    const int stripes = outputs / tile_outputs, tiles = inputs / tile_inputs;
    const int stripe = layout == NT ? first_column / tile_outputs + warp_index() : step * depth_tiles + warp_index() % depth_tiles;
    const int tile = layout == NT ? step : first_column / tile_inputs + warp_index() / depth_tiles;
    const int held = stripe < stripes ? stripe : stripes - 1, held_tile = tile < tiles ? tile : tiles - 1;
    to.codes.fetch(codes + (static_cast<long long>(held) * tiles + held_tile) * tile_bytes<format>);
    to.scale = TileScales<format>(absmax, nested_codes, scales, offset, held, tiles).fetch(held_tile);
    if constexpr (format == INT8) to.row_absmax = static_cast<const float*>(absmax)[held * tile_outputs + lane_index() % tile_outputs];
  }

  DEVICE float scale_of(const Fetched& from, const float* nested_table) const {
    if constexpr (format == INT8) return from.row_absmax / 127.0f;
    return TileScales<format>(absmax, nested_codes, scales, offset, 0, 0).value(from.scale, nested_table);
  }
};

// The warp's tile as elements of its stage: a lane has 16 inputs of two rows.
DEVICE void deposit(COMPUTE* stage, const Fetched& from, float scale, const float* values) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    const float of_row = shuffle(scale, 8 * row + lane_index() / 4);
    const int output = (layout == NT ? warp_index() : warp_index() % depth_tiles) * tile_outputs + 8 * row + lane_index() / 4;
    const int chunk = (layout == NT ? 0 : warp_index() / depth_tiles * (tile_inputs / 8)) + lane_index() % 4 * 2;
    float v[16];
#pragma unroll
    for (int four = 0; four < 4; ++four) {
      float code[4];
      widen_four(code, from.codes, row, four, values);
#pragma unroll
      for (int e = 0; e < 4; ++e) v[4 * four + e] = code[e] * of_row;
    }
#pragma unroll
    for (int eight = 0; eight < 2; ++eight)
      store16(stage + ReaderB::chunk_at(output, chunk + eight), uint4{pack<COMPUTE>(v[8 * eight], v[8 * eight + 1]), pack<COMPUTE>(v[8 * eight + 2], v[8 * eight + 3]),
                                                                      pack<COMPUTE>(v[8 * eight + 4], v[8 * eight + 5]), pack<COMPUTE>(v[8 * eight + 6], v[8 * eight + 7])});
  }
}

KERNEL(Tile::threads, asynchronous ? 2 : 1) matmul_quantized_mma_tile(const COMPUTE* a, const u8* codes, const void* absmax, const u8* nested_codes, const float* scales,
                                      const float* table, const int* exponents, const float* bias, float* c, float* partials, int m, int outputs,
                                      int inputs, int whole, int splits, int accumulate, float offset) {
  SHARED_ARRAY(float, values, format == NF4 ? 16 * 32 : 1);
  SHARED_ARRAY(float, nested_table, format == NF4 ? 256 : 1);
  COMPUTE* const shared_a = dynamic_shared<COMPUTE>();
  COMPUTE* const shared_b = shared_a + 2 * stage_a;
  const int n = layout == NT ? outputs : inputs, k = layout == NT ? inputs : outputs;
  const Work work = work_of<Tile>(block_x(), m, n, (k + depth - 1) / depth, whole, splits);
  const Corner corner = corner_of<Tile>(work.tile, m, n);
  const int first = work.first, last = work.last, row = Tile::row(0), column = Tile::column();
  const Weights w = {codes, absmax, nested_codes, scales, table, offset, outputs, inputs};

  Fetched fetched;
  ReaderA reader_a;
  uint4 next_a[ReaderA::pieces];
  const auto start_a = [&](int stage) {
    if constexpr (asynchronous) {
#pragma unroll
      for (int i = 0; i < ReaderA::pieces; ++i) reader_a.copy_piece(shared_a + stage * stage_a, i);
      copy_async_commit();
    } else {
      fetch_tile(next_a, reader_a);
    }
    reader_a.advance();
  };
  const auto finish_a = [&](int stage) {
    if constexpr (!asynchronous) {
#pragma unroll
      for (int i = 0; i < ReaderA::pieces; ++i) store16(shared_a + stage * stage_a + ReaderA::place(i), next_a[i]);
    }
  };
  const auto deposit_b = [&](int stage) { deposit(shared_b + stage * stage_b, fetched, w.scale_of(fetched, nested_table), values); };

  reader_a.start(a, corner.row, m, first * depth, k);
  if (first < last) {
    w.fetch(fetched, first, corner.column);
    start_a(0);
  }
  if constexpr (format == NF4) {
    fill_values(values);
    if (table != nullptr) nested_table[thread_index()] = table[thread_index()];
    sync_block();
  }
  if (first < last) {
    deposit_b(0);
    finish_a(0);
    if (first + 1 < last) w.fetch(fetched, first + 1, corner.column);
  }
  float sums[Tile::blocks_m][Tile::blocks_n][4] = {};
  for (int step = first; step < last; ++step) {
    const int stage = (step - first) & 1;
    // Behind the barrier the step's stage is complete, and all have read the other one.
    copy_async_wait<0>();
    sync_block();
    const bool more = step + 1 < last;
    if (more) {
      start_a(stage ^ 1);
      deposit_b(stage ^ 1);
      if (step + 2 < last) w.fetch(fetched, step + 2, corner.column);
    }
#pragma unroll
    for (int at = 0; at < depth; at += 16) {
      Pieces fragments;
      fragments.load(place_of(shared_a + stage * stage_a), place_of(shared_b + stage * stage_b), row, column, at);
      fragments.multiply(sums);
    }
    if (more) finish_a(stage ^ 1);
  }

#pragma unroll
  for (int i = 0; i < Tile::blocks_m; ++i) {
    if constexpr (!asynchronous) {
#pragma unroll
      for (int part = 0; part < 2; ++part) {
        const int to_row = corner.row + row + 16 * i + 8 * part + lane_index() / 4;
        const int exponent = to_row < m ? exponents[to_row] : 0;
#pragma unroll
        for (int j = 0; j < Tile::blocks_n; ++j)
#pragma unroll
          for (int e = 2 * part; e < 2 * part + 2; ++e) sums[i][j][e] = scaled(sums[i][j][e], exponent);
      }
    }
    if (work.cut < 0) store_rows(sums[i], corner.row + row + 16 * i, corner.column + column, bias, c, m, n, accumulate != 0);
    else store_partial<Tile>(sums[i], partials, work.cut, i);
  }
}

KERNEL(Tile::threads) matmul_quantized_mma_reduce(const float* partials, const float* bias, float* c, int m, int n, int whole, int splits, int accumulate) {
  reduce_parts<Tile, Tile::blocks_n>(partials, bias, c, m, n, whole, splits, accumulate != 0);
}
