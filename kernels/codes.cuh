// What kernels that read weights as codes have in common: the formats, and how codes lie on a card.
// NF4 two codes a byte, the first in the upper half; INT8 and INT8_GROUP one a byte. Blocks, rows or groups of them share a magnitude.
// In tiles (matmul_arrange.cu), where O is a multiple of 16 and K of 64: a tile is 16 outputs by 64 inputs, the K / 64 tiles of 16 outputs lie one after the
// other. Lane i of a warp multiplies inputs 16 * (i % 4) .. + 15 of a tile's rows i / 4 and i / 4 + 8, and reads them as whole lines with its warp:
//   NF4 512 bytes, 8 of one row and 8 of the other for each lane; INT8 1024 bytes, row by row
// Magnitudes of a tile's rows lie side by side: NF4 [O / 16, K / 64, 16], INT8_GROUP [O / 16, K / 128 rounded up, 16].
// source: kernels.md 1.5, whose tile has the columns in the order of mma; this one keeps a lane's together, because any order that x shares will do
#pragma once
#include "ptx.cuh"

namespace ptx {

enum Format { NF4, INT8, INT8_GROUP };

constexpr int tile_outputs = 16, tile_inputs = 64;
constexpr int nf4_block = 64, nested_blocks = 256, int8_group = 128;
constexpr float nf4_values[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
                                  -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                                  0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

template <Format format> constexpr int tile_bytes = tile_outputs * tile_inputs / (format == NF4 ? 2 : 1);

DEVICE u32 word(uint4 v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }
DEVICE float int8_at(u32 bytes, int i) { return static_cast<float>(static_cast<int>(bytes << (24 - 8 * i)) >> 24); }

// Number of the magnitude of a tile's row.
DEVICE long long place_in_tiles(int row, int tile, int tiles) {
  return (static_cast<long long>(row / tile_outputs) * tiles + tile) * tile_outputs + row % tile_outputs;
}

// Where code number `at` of tiles of 8-bit codes lies row after row.
DEVICE long long in_rows_of_int8(long long at, int columns) {
  const int tiles = columns / tile_inputs, in_tile = static_cast<int>(at % tile_bytes<INT8>);
  const long long tile = at / tile_bytes<INT8>, row = tile / tiles * tile_outputs + in_tile / tile_inputs;
  return row * columns + tile % tiles * tile_inputs + in_tile % tile_inputs;
}

// What a lane has of a tile: in words[0] and [1] its 16 inputs of rows lane / 4 and lane / 4 + 8, of NF4 two words each, all in words[0].
template <Format format> struct LaneCodes {
  uint4 words[format == NF4 ? 1 : 2];
  DEVICE void fetch(const u8* tile) {
    words[0] = load16_streaming(tile + 16 * lane_index());
    if constexpr (format != NF4) words[1] = load16_streaming(tile + 512 + 16 * lane_index());
  }
  // Word i, of two or four, of the upper (0) or lower (1) row.
  DEVICE u32 of_row(int row, int i) const {
    if constexpr (format == NF4) return word(words[0], 2 * row + i);
    else return word(words[row], i);
  }
};

// Four int8 codes as four halves: 1024 + (code + 128) has the byte as its last bits.
DEVICE void widen_int8(u32& low, u32& high, u32 word) {
  const u32 biased = word ^ 0x80808080u;
  low = subtract_halves(permute_bytes(biased, 0x64646464u, 0x4140), 0x64806480u);
  high = subtract_halves(permute_bytes(biased, 0x64646464u, 0x4342), 0x64806480u);
}
// Code 4 * i + e of a row of this lane as a float: its last bits are the byte in 2^23 + (code + 128).
DEVICE float int8_as_float(u32 biased, int e) { return bits_float(permute_bytes(biased, 0x4b000000u, 0x7440 + e)) - 8388736.0f; }

// Entry of a table in shared memory that has a copy for each bank, 128 bytes an entry: `bits` of a word from bit `from` on, by a shift and a mask.
template <typename T, int bits> DEVICE T entry_of(const T* table, u32 word, int from) {
  const u32 at = from < 7 ? word << (7 - from) : word >> (from - 7), mask = ((1u << bits) - 1) << 7;
  return *reinterpret_cast<const T*>(reinterpret_cast<const u8*>(table) + (at & mask | 4 * lane_index()));
}

// Inputs 4 * i .. + 3 of one of a lane's rows; `values` are the sixteen NF4 values, a copy for each bank.
template <Format format> DEVICE void widen_four(float (&v)[4], const LaneCodes<format>& codes, int row, int i, const float* values) {
  if constexpr (format == NF4) {
    // Two bytes, the upper half of each first.
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = entry_of<float, 4>(values, codes.of_row(row, i / 2), i % 2 * 16 + e / 2 * 8 + (e % 2 == 0 ? 4 : 0));
  } else {
    const u32 biased = codes.of_row(row, i) ^ 0x80808080u;
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = int8_as_float(biased, e);
  }
}
// The NF4 values in shared memory, a copy for each bank; complete after a barrier.
DEVICE void fill_values(float* values) {
#pragma unroll
  for (int code = 0; code < 16; ++code)
    if (code % (thread_count() / 32) == warp_index()) values[code * 32 + lane_index()] = nf4_values[code];
}

// Magnitudes of NF4 are f32, or where there are none 8-bit codes of them: table[code] * scales[block / 256] + offset, the blocks counted row by row.
// The magnitudes of the `tiles` tiles of 16 outputs, a stripe, of which every lane reads one row's: that of row lane % 16. They stay as stored until they are used, so that
// reading ahead waits for nothing.
template <Format format> struct TileScales;
template <> struct TileScales<INT8> {
  struct Raw {};
  DEVICE TileScales(const void*, const u8*, const float*, float, int, int) {}
  DEVICE Raw fetch(int) const { return {}; }
  DEVICE float value(Raw, const float*) const { return 1.0f; }
};
template <> struct TileScales<INT8_GROUP> {
  using Raw = half;
  const half* from;  // of this lane's row, in the first group
  DEVICE TileScales(const void* absmax, const u8*, const float*, float, int stripe, int tiles)
      : from(static_cast<const half*>(absmax) + static_cast<long long>(stripe) * ((tiles + 1) / 2) * tile_outputs + lane_index() % tile_outputs) {}
  DEVICE Raw fetch(int tile) const { return from[tile / 2 * tile_outputs]; }
  DEVICE float value(Raw raw, const float*) const { return to_float(raw); }
};
template <> struct TileScales<NF4> {
  struct Raw {
    float plain_or_scale;
    u32 code;
  };
  // Of this lane's row, in the first tile; the blocks are counted row by row.
  const float* plain;
  const u8* codes;
  const float* scales;
  float offset;
  u32 block;
  DEVICE TileScales(const void* absmax, const u8* nested_codes, const float* nested_scales, float nested_offset, int stripe, int tiles)
      : plain(static_cast<const float*>(absmax)), codes(nested_codes), scales(nested_scales), offset(nested_offset) {
    const u32 row = stripe * tile_outputs + lane_index() % tile_outputs, place = stripe * tiles * tile_outputs + lane_index() % tile_outputs;
    if (plain != nullptr) plain += place;
    else codes += place;
    block = row * tiles;
  }
  DEVICE Raw fetch(int tile) const {
    if (plain != nullptr) return {plain[tile * tile_outputs], 0};
    return {scales[(block + tile) / nested_blocks], codes[tile * tile_outputs]};
  }
  DEVICE float value(Raw raw, const float* table) const { return plain != nullptr ? raw.plain_or_scale : table[raw.code] * raw.plain_or_scale + offset; }
};

}  // namespace ptx
