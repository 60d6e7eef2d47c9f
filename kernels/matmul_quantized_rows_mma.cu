// matmul_quantized_rows_mma: y = x wT + bias for at most eight rows of x and a matrix of codes in tiles (codes.cuh): decoding
// x [T, K] f32, aligned to 16 bytes; bias [O] f32 or null; y [T, O] f32
// w [O, K]: NF4, whose absmax is f32, or where it is null nested_codes [..] with scales, table [256] and offset; INT8, absmax of every row; INT8_GROUP, halves
// The weights are the rows of mma (16 of a warp), the tokens its columns: a row of x costs nothing more, and its sums do not depend on what is beside it.
// `parts` (4 or 8) of the eight warps share TILES tiles, one below the other, and split the depth. A warp rounds its share of a row of x to half over a power of
// two, as matmul_pack does a row, once for all its tiles; sums are fp32, and those of a tile are multiplied by its magnitudes in fp32 (INT8: at the end).
// NF4 codes become halves two at a time from a table of all bytes, a copy for each bank. Moves 0.56*O*K (NF4) or O*K bytes; memory bound
// defines: FORMAT (NF4, INT8, INT8_GROUP), TILES (1, 2). source: kernels.md 1.5
#include "codes.cuh"

using namespace ptx;

#ifndef FORMAT
#define FORMAT NF4
#endif
#ifndef TILES
#define TILES 2
#endif

constexpr Format format = FORMAT;
constexpr int warps = 8, threads = 32 * warps, tokens = 8, outputs = TILES * tile_outputs;  // outputs: of a warp
constexpr int products = tile_inputs / 16;                                               // of a tile
constexpr int ahead = format == NF4 || TILES == 1 ? 3 : 2;                               // steps whose loads are under way
using Scales = TileScales<format>;

// Table of bytes: both codes of byte b as a pair of halves, at [b * 32 + lane].
DEVICE void fill_pairs(u32* pairs) {
  // Byte 8 * i + warp: its upper code is known when this is compiled, of lower ones a warp has two.
  u32 lower[2] = {};
#pragma unroll
  for (int code = 0; code < 16; ++code)
    if (code % 8 == warp_index()) lower[code / 8] = float_to_half(nf4_values[code]);
#pragma unroll
  for (int i = 0; i < 32; ++i) pairs[(8 * i + warp_index()) * 32 + lane_index()] = float_to_half(nf4_values[i / 2]) | lower[i % 2] << 16;
}

// Product number i of a tile: inputs 4 * i .. + 3 of each lane, as an operand.
DEVICE void left_of(u32 (&left)[4], const LaneCodes<format>& codes, int i, const u32* pairs) {
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    if constexpr (format == NF4) {
      const u32 four = codes.of_row(row, i / 2);
      left[row] = entry_of<u32, 8>(pairs, four, i % 2 * 16), left[2 + row] = entry_of<u32, 8>(pairs, four, i % 2 * 16 + 8);
    } else {
      widen_int8(left[row], left[2 + row], codes.of_row(row, i));
    }
  }
}

// The power of two over which the largest finite magnitude of `count` elements, a multiple of 64, lies in [2^14, 2^15); the same in every lane.
DEVICE int exponent_of(const float* x, int count) {
  u32 largest = 0;
#pragma unroll 4
  for (int i = 4 * lane_index(); i < count; i += 128) {
    const uint4 four = load16(x + i);
    const u32 magnitudes[4] = {four.x & 0x7fffffffu, four.y & 0x7fffffffu, four.z & 0x7fffffffu, four.w & 0x7fffffffu};
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (magnitudes[j] < 0x7f800000u && magnitudes[j] > largest) largest = magnitudes[j];
  }
  for (int by = 16; by > 0; by >>= 1) {
    const u32 other = shuffle_xor(largest, by);
    largest = other > largest ? other : largest;
  }
  const int exponent = static_cast<int>(largest >> 23) - 127 - 14;
  return exponent < -126 ? -126 : exponent;
}

DEVICE float power_of_two(int exponent) { return bits_float(static_cast<u32>(127 + exponent) << 23); }

// This lane's column: its share of a row of x, from the first tile on, and the factor that rounds it. Past the rows there are it is another one, which is not stored.
struct Column {
  const float* x;
  float factor;
  DEVICE void round(u32 (&right)[products][2], int tile) const {
#pragma unroll
    for (int i = 0; i < products; ++i) {
      const uint4 four = load16(x + tile * tile_inputs + 4 * i);
      right[i][0] = pack<half>(bits_float(four.x) * factor, bits_float(four.y) * factor);
      right[i][1] = pack<half>(bits_float(four.z) * factor, bits_float(four.w) * factor);
    }
  }
};

// What a lane reads of the tiles of one depth, and the row that it reads the magnitudes of.
struct Step {
  LaneCodes<format> codes[TILES];
  typename Scales::Raw scale;
};

KERNEL(threads, 2) matmul_quantized_rows_mma(const float* x, const u8* codes, const void* absmax, const u8* nested_codes, const float* scales,
                                         const float* table, const float* bias, float* y, int rows, int output_count, int k, int parts, float offset) {
  SHARED_ARRAY(u32, pairs, format == NF4 ? 256 * 32 : 1);
  SHARED_ARRAY(float, nested_table, format == NF4 ? 256 : 1);
  SHARED_ARRAY(float, results, warps * outputs * tokens);
  SHARED_ARRAY(float, factors, warps * tokens);
  const int part = warp_index() % parts, tiles = k / tile_inputs, stripes = output_count / tile_outputs;
  const int first_stripe = (block_x() * (warps / parts) + warp_index() / parts) * TILES;
  // Tiles past the last repeat it and are not stored.
  const u8* from[TILES];
#pragma unroll
  for (int i = 0; i < TILES; ++i)
    from[i] = codes + static_cast<long long>(first_stripe + i < stripes ? first_stripe + i : stripes - 1) * tiles * tile_bytes<format>;
  const int of_lane = first_stripe + lane_index() / tile_outputs % TILES;
  const Scales magnitudes(absmax, nested_codes, scales, offset, of_lane < stripes ? of_lane : stripes - 1, tiles);

  const int first = tiles * part / parts, last = tiles * (part + 1) / parts;
  Step steps[ahead];
  const auto fetch = [&](Step& step, int tile) {
#pragma unroll
    for (int i = 0; i < TILES; ++i) step.codes[i].fetch(from[i] + static_cast<long long>(tile) * tile_bytes<format>);
    step.scale = magnitudes.fetch(tile);
  };
#pragma unroll
  for (int i = 0; i < ahead; ++i)
    if (first + i < last) fetch(steps[i], first + i);
  if constexpr (format == NF4) {
    fill_pairs(pairs);
    if (table != nullptr) nested_table[thread_index()] = table[thread_index()];
  }
  Column column = {x + lane_index() % 4 * 16, 0.0f};
  for (int t = 0; t < rows; ++t) {
    const float* const row = x + static_cast<u64>(t) * k;
    const int exponent = exponent_of(row + first * tile_inputs, (last - first) * tile_inputs);
    if (t == lane_index() / 4) column = {row + lane_index() % 4 * 16, power_of_two(-exponent)};
    if (lane_index() == 0) factors[warp_index() * tokens + t] = power_of_two(exponent);
  }
  sync_block();

  float sums[TILES][4] = {};
  for (int tile = first; tile < last; tile += ahead)
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      if (tile + i >= last) break;
      const Step& step = steps[i];
      u32 right[products][2];
      column.round(right, tile + i);
      const float scale = magnitudes.value(step.scale, nested_table);
#pragma unroll
      for (int j = 0; j < TILES; ++j) {
        float tile_sums[4] = {};
        float(&into)[4] = format == INT8 ? sums[j] : tile_sums;
#pragma unroll
        for (int product = 0; product < products; ++product) {
          u32 left[4];
          left_of(left, step.codes[j], product, pairs);
          mma_k16<half>(into, left, right[product]);
        }
        if constexpr (format != INT8) {
          const float upper = shuffle(scale, j * tile_outputs + lane_index() / 4), lower = shuffle(scale, j * tile_outputs + 8 + lane_index() / 4);
#pragma unroll
          for (int e = 0; e < 4; ++e) sums[j][e] = fused_multiply_add(e < 2 ? upper : lower, tile_sums[e], sums[j][e]);
        }
      }
      if (tile + i + ahead < last) fetch(steps[i], tile + i + ahead);
    }

  // A lane has columns 2 * (lane % 4) and the next, of rows lane / 4 and eight further on.
#pragma unroll
  for (int j = 0; j < TILES; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      results[(warp_index() * tokens + lane_index() % 4 * 2 + e % 2) * outputs + j * tile_outputs + lane_index() / 4 + e / 2 * 8] = sums[j][e];
  sync_block();
  for (int at = thread_index(); at < warps / parts * outputs * tokens; at += threads) {
    const int set = at / (outputs * tokens), to_token = at / outputs % tokens, output = (block_x() * (warps / parts) + set) * outputs + at % outputs;
    if (to_token >= rows || output >= output_count) continue;
    float sum = 0.0f;
    for (int p = set * parts; p < (set + 1) * parts; ++p)
      sum = fused_multiply_add(factors[p * tokens + to_token], results[(p * tokens + to_token) * outputs + at % outputs], sum);
    if constexpr (format == INT8) sum *= static_cast<const float*>(absmax)[output] / 127.0f;
    y[static_cast<u64>(to_token) * output_count + output] = bias != nullptr ? sum + bias[output] : sum;
  }
}
