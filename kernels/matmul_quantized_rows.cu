// matmul_quantized_rows: y = x wT + bias for at most TOKENS rows of x and a matrix of codes in tiles (codes.cuh): decoding on cards without tensor cores, in fp32
// x [T, K] f32, aligned to 16 bytes; bias [O] f32 or null; y [T, O] f32
// w [O, K]: NF4, whose absmax is f32, or where it is null nested_codes [..] with scales, table [256] and offset; INT8, absmax of every row; INT8_GROUP, halves
// a warp has a tile's sixteen outputs, a lane two of them and a quarter of the tile's depth; `split` (1 or 4) warps share the depth. NF4 codes become floats by a
// table with a copy for each bank. Moves 0.56*O*K (NF4) or O*K bytes; memory bound; the order of a sum depends on O, K and split, never on T
// defines: FORMAT (NF4, INT8, INT8_GROUP), TOKENS (1, 4, 8)
#include "codes.cuh"

using namespace ptx;

#ifndef FORMAT
#define FORMAT NF4
#endif
#ifndef TOKENS
#define TOKENS 1
#endif

constexpr Format format = FORMAT;
constexpr int warps = 4, fours = 4;         // fours: of a lane's inputs of a tile
constexpr int ahead = TOKENS == 8 ? 1 : 2;     // tiles whose loads are under way
constexpr int together = TOKENS == 8 ? 2 : 4;  // fours whose x is read at once: registers are short
using Scales = TileScales<format>;

struct Step {
  LaneCodes<format> codes;
  typename Scales::Raw scale;
};

KERNEL(warps * 32, 4) matmul_quantized_rows(const float* x, const u8* codes, const void* absmax, const u8* nested_codes, const float* scales,
                                            const float* table, const float* bias, float* y, int rows, int output_count, int k, int split, float offset) {
  SHARED_ARRAY(float, values, format == NF4 ? 16 * 32 : 1);
  SHARED_ARRAY(float, nested_table, format == NF4 ? 256 : 1);
  SHARED_ARRAY(float, parts, warps * tile_outputs * TOKENS);
  const int part = warp_index() % split, tiles = k / tile_inputs, stripes = output_count / tile_outputs;
  // Stripes past the last repeat it and are not stored.
  const int wanted = block_x() * (warps / split) + warp_index() / split, stripe = wanted < stripes ? wanted : stripes - 1;
  const u8* const from = codes + static_cast<long long>(stripe) * tiles * tile_bytes<format>;
  const Scales magnitudes(absmax, nested_codes, scales, offset, stripe, tiles);
  if constexpr (format == NF4) {
    fill_values(values);
    if (table != nullptr)
      for (int i = thread_index(); i < 256; i += 32 * warps) nested_table[i] = table[i];
    sync_block();
  }

  // Rows past the end repeat the last one and are not stored.
  x += lane_index() % 4 * 16;
  int x_row[TOKENS];
#pragma unroll
  for (int token = 0; token < TOKENS; ++token) x_row[token] = (token < rows ? token : rows - 1) * k;

  Step steps[ahead];
  const auto fetch = [&](Step& step, int tile) {
    step.codes.fetch(from + static_cast<long long>(tile) * tile_bytes<format>);
    step.scale = magnitudes.fetch(tile);
  };
#pragma unroll
  for (int i = 0; i < ahead; ++i)
    if (part + i * split < tiles) fetch(steps[i], part + i * split);
  float sums[2][TOKENS] = {};
  for (int first = part; first < tiles; first += ahead * split)
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      const int tile = first + i * split;
      if (tile >= tiles) break;
      float products[2][TOKENS] = {};
#pragma unroll together
      for (int four = 0; four < fours; ++four) {
        float weight[2][4];
#pragma unroll
        for (int row = 0; row < 2; ++row) widen_four(weight[row], steps[i].codes, row, four, values);
#pragma unroll
        for (int token = 0; token < TOKENS; ++token) {
          const uint4 v = load16(x + x_row[token] + tile * tile_inputs + 4 * four);
          const float value[4] = {bits_float(v.x), bits_float(v.y), bits_float(v.z), bits_float(v.w)};
#pragma unroll
          for (int row = 0; row < 2; ++row)
#pragma unroll
            for (int e = 0; e < 4; ++e) products[row][token] = fused_multiply_add(value[e], weight[row][e], products[row][token]);
        }
      }
      const float scale = magnitudes.value(steps[i].scale, nested_table);
#pragma unroll
      for (int row = 0; row < 2; ++row) {
        const float of_row = format == INT8 ? 1.0f : shuffle(scale, 8 * row + lane_index() / 4);
#pragma unroll
        for (int token = 0; token < TOKENS; ++token) sums[row][token] = fused_multiply_add(of_row, products[row][token], sums[row][token]);
      }
      if (tile + ahead * split < tiles) fetch(steps[i], tile + ahead * split);
    }

#pragma unroll
  for (int row = 0; row < 2; ++row)
#pragma unroll
    for (int token = 0; token < TOKENS; ++token) {
      float sum = sums[row][token];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      if (lane_index() % 4 == 0) parts[(warp_index() * TOKENS + token) * tile_outputs + 8 * row + lane_index() / 4] = sum;
    }
  sync_block();
  // Thread by thread some results; the parts of a sum in their order.
  for (int at = thread_index(); at < warps / split * tile_outputs * TOKENS; at += 32 * warps) {
    const int set = at / (tile_outputs * TOKENS), in_set = at % (tile_outputs * TOKENS), token = in_set / tile_outputs;
    const int output = (block_x() * (warps / split) + set) * tile_outputs + in_set % tile_outputs;
    if (token >= rows || output >= output_count) continue;
    float sum = 0.0f;
    for (int p = 0; p < split; ++p) sum += parts[(set * split + p) * tile_outputs * TOKENS + in_set];
    if constexpr (format == INT8) sum *= static_cast<const float*>(absmax)[output] / 127.0f;
    y[static_cast<u64>(token) * output_count + output] = bias != nullptr ? sum + bias[output] : sum;
  }
}
