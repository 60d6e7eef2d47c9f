// matmul_quantized_rows_mma: y = x wT + bias for at most eight rows of x and a matrix of codes: decoding
// x [T, K] f32; bias [O] f32 or null; y [T, O] f32; K is a multiple of 64, x and codes are aligned to 16 bytes
// w [O, K]: NF4 two codes a byte, absmax of every 64 f32, or where it is null 8-bit codes: table[c] * scales[block / 256] + offset;
//   INT8 one code a byte, absmax of every row
// The weights are the rows of mma (16 of a warp), the tokens its columns: a row of x costs nothing more, and its sums do not depend on what is beside it.
// `parts` (4 or 8) of the eight warps share a tile of 16 outputs and split the depth. A warp rounds its share of a row of x to half over a power of two, as
// matmul_pack does a row; sums are fp32, an NF4 block's sum times its absmax in fp32. A lane holds 16 bytes of a row, a quad of lanes 64 bytes: of NF4 two
// blocks, which need sums of their own: four columns take the tokens of the first block, with zeros for the second, four the other way.
// NF4 codes become halves two at a time from a table of all bytes, a copy for each bank. Moves 0.56*O*K (NF4) or O*K bytes; memory bound
// defines: FORMAT (NF4, INT8), TOKENS (4, 8; INT8 has one kernel for both). source: kernels.md 1.5
#include "ptx.cuh"

using namespace ptx;

#ifndef FORMAT
#define FORMAT NF4
#endif
#ifndef TOKENS
#define TOKENS 8
#endif

enum Format { NF4, INT8 };
constexpr Format format = FORMAT;
constexpr int warps = 8, threads = 32 * warps, tile = 16, tokens = 8;
constexpr int block_depth = 64;
constexpr int depth = format == NF4 ? 2 * block_depth : 64;    // of a step: 64 bytes of a row
constexpr int products = depth / 16;                           // of a step
constexpr int sets = format == NF4 ? TOKENS / 4 : 1;           // of columns
constexpr int ahead = 3;                                       // steps whose loads are under way
constexpr int nested_blocks = 256;
constexpr float nf4[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
                           -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                           0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// What a lane reads of a step: its share of two rows of codes, eight apart, and what scales its columns there.
struct Codes {
  uint4 words[2];
  float scale[2];
};

DEVICE u32 word(uint4 v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

struct Weights {
  const u8* rows[2];
  long long blocks[2];  // number of the first NF4 block of each row
  const float* absmax;
  const u8* nested_codes;
  const float *scales, *table;
  float offset;
  int k;

  // A step that K ends in the middle of has lanes without codes.
  DEVICE bool covers(int step) const { return format == INT8 || step * depth + lane_index() % 4 * (depth / 4) < k; }

  DEVICE void fetch(Codes& codes, int step) const {
    if (!covers(step)) {
      codes = {};
      return;
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      codes.words[r] = load16_streaming(rows[r] + static_cast<long long>(step) * 64 + lane_index() % 4 * 16);
      if constexpr (format == NF4) {
        // Of the block whose sums this lane receives, which is the one whose codes it holds.
        const long long block = blocks[r] + 2 * step + lane_index() % 4 / 2;
        codes.scale[r] = absmax != nullptr ? absmax[block] : table[nested_codes[block]] * scales[block / nested_blocks] + offset;
      }
    }
  }
};

// Table of bytes: both codes of byte b as a pair of halves, at [b * 32 + lane].
DEVICE void fill_table(u32* pairs) {
  // Byte 8 * i + warp: its upper code is known when this is compiled, of lower ones a warp has two.
  u32 lower[2] = {};
#pragma unroll
  for (int code = 0; code < 16; ++code)
    if (code % 8 == warp_index()) lower[code / 8] = float_to_half(nf4[code]);
#pragma unroll
  for (int i = 0; i < 32; ++i) pairs[(8 * i + warp_index()) * 32 + lane_index()] = float_to_half(nf4[i / 2]) | lower[i % 2] << 16;
}

// Four int8 codes as two pairs of halves: 1024 + (code + 128) has the byte as its last bits.
DEVICE void widen(u32 (&pairs)[2], u32 word) {
  const u32 biased = word ^ 0x80808080u;
  pairs[0] = subtract_halves(permute_bytes(biased, 0x64646464u, 0x4140), 0x64806480u);
  pairs[1] = subtract_halves(permute_bytes(biased, 0x64646464u, 0x4342), 0x64806480u);
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

// What a lane brings to its column of a set: a row of x from its first element of the first step on, and the factor that rounds it; not active where the
// column is of the other block.
struct Column {
  const float* x;
  float factor;
  bool active;
};

// sums += a step's weights times x; the depths of an mma are those of the codes that each lane holds.
DEVICE void multiply_step(float (&sums)[sets][4], const Codes& codes, const Column (&columns)[sets], int at, const u32* pairs) {
  float block_sums[sets][4] = {};
#pragma unroll
  for (int i = 0; i < products; ++i) {
    u32 left[4];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      if constexpr (format == NF4) {
        const u32 bytes = word(codes.words[r], i / 2) >> i % 2 * 16;
        left[r] = pairs[(bytes & 255) * 32 + lane_index()], left[2 + r] = pairs[(bytes >> 8 & 255) * 32 + lane_index()];
      } else {
        u32 both[2];
        widen(both, word(codes.words[r], i));
        left[r] = both[0], left[2 + r] = both[1];
      }
    }
#pragma unroll
    for (int set = 0; set < sets; ++set) {
      const Column& column = columns[set];
      u32 right[2] = {};
      if (column.active) {
        const uint4 four = load16(column.x + at + 4 * i);
        right[0] = pack<half>(bits_float(four.x) * column.factor, bits_float(four.y) * column.factor);
        right[1] = pack<half>(bits_float(four.z) * column.factor, bits_float(four.w) * column.factor);
      }
      mma_k16<half>(format == NF4 ? block_sums[set] : sums[set], left, right);
    }
  }
  if constexpr (format == NF4) {
#pragma unroll
    for (int set = 0; set < sets; ++set)
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[set][i] = fused_multiply_add(codes.scale[i / 2], block_sums[set][i], sums[set][i]);
  }
}

KERNEL(threads, sets == 2 ? 2 : 3) matmul_quantized_rows_mma(const float* x, const u8* codes, const float* absmax, const u8* nested_codes,
                                         const float* scales, const float* table, const float* bias, float* y, int rows, int outputs, int k,
                                         int parts, float offset) {
  SHARED_ARRAY(u32, pairs, format == NF4 ? 256 * 32 : 1);
  SHARED_ARRAY(float, results, warps * tile * tokens);
  SHARED_ARRAY(float, factors, warps * tokens);
  const int part = warp_index() % parts, group = lane_index() / 4, steps = (k + depth - 1) / depth;
  const int first_output = (block_x() * (warps / parts) + warp_index() / parts) * tile;
  Weights w = {{}, {}, absmax, nested_codes, scales, table, offset, k};
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    // Rows past the end repeat the last one and are not stored.
    const int wanted = first_output + group + 8 * r, row = wanted < outputs ? wanted : outputs - 1;
    w.blocks[r] = static_cast<long long>(row) * (k / block_depth);
    w.rows[r] = codes + static_cast<long long>(row) * (format == NF4 ? k / 2 : k);
  }

  const int first = steps * part / parts, last = steps * (part + 1) / parts;
  Codes raw[ahead];
#pragma unroll
  for (int i = 0; i < ahead; ++i)
    if (first + i < last) w.fetch(raw[i], first + i);
  if constexpr (format == NF4) fill_table(pairs);
  const int begin = first * depth, count = (last * depth < k ? last * depth : k) - begin;
  Column columns[sets] = {};
  for (int t = 0; t < rows; ++t) {
    const int exponent = exponent_of(x + static_cast<u64>(t) * k + begin, count);
#pragma unroll
    for (int set = 0; set < sets; ++set)
      if (t == (format == NF4 ? 4 * set + group % 4 : group)) {
        columns[set].x = x + static_cast<u64>(t) * k + lane_index() % 4 * (depth / 4);
        columns[set].factor = power_of_two(-exponent);
        columns[set].active = format == INT8 || group / 4 == lane_index() % 4 / 2;
      }
    if (lane_index() == 0) factors[warp_index() * tokens + t] = power_of_two(exponent);
  }
  sync_block();

  float sums[sets][4] = {};
  for (int step = first; step < last; step += ahead)
#pragma unroll
    for (int i = 0; i < ahead; ++i) {
      if (step + i >= last) break;
      if (format == NF4 && step + i == steps - 1 && !w.covers(step + i)) {
#pragma unroll
        for (int set = 0; set < sets; ++set) columns[set].active = false;
      }
      multiply_step(sums, raw[i], columns, (step + i) * depth, pairs);
      if (step + i + ahead < last) w.fetch(raw[i], step + i + ahead);
    }

  // A lane has columns 2 * (lane % 4) and the next of each set, of rows group and group + 8.
#pragma unroll
  for (int set = 0; set < sets; ++set)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = lane_index() % 4 * 2 + i % 2;
      float sum = sums[set][i];
      if constexpr (format == NF4) sum += shuffle_xor(sum, 2);
      if (format == INT8 || column < 4) results[(warp_index() * tokens + 4 * set + column) * tile + group + i / 2 * 8] = sum;
    }
  sync_block();
  const int set = thread_index() / (tile * tokens), at = thread_index() % (tile * tokens), to_token = at / tile;
  const int output = (block_x() * (warps / parts) + set) * tile + at % tile;
  if (set >= warps / parts || to_token >= rows || output >= outputs) return;
  float sum = 0.0f;
  for (int p = 0; p < parts; ++p) sum = fused_multiply_add(factors[(set * parts + p) * tokens + to_token], results[(set * parts + p) * tile * tokens + at], sum);
  if constexpr (format == INT8) sum *= absmax[output] / 127.0f;
  y[static_cast<u64>(to_token) * outputs + output] = bias != nullptr ? sum + bias[output] : sum;
}
