// matmul_quantized_rows: y = x wT + bias for at most TOKENS rows of x and a matrix of codes: decoding on cards without tensor cores, in fp32
// x [T, K] f32; bias [O] f32 or null; y [T, O] f32; K is a multiple of 64, x and codes are aligned to 16 bytes
// w [O, K]: NF4 two codes a byte, absmax of every 64 f32, or where it is null 8-bit codes: table[c] * scales[block / 256] + offset;
//   INT8 one code a byte, absmax of every row
// a warp walks `outputs` rows of w, sixteen codes of each to a lane; `split` (1 or 4) warps share the depth of their rows. NF4 codes become floats by a table
// with a copy for each bank. Moves 0.56*O*K (NF4) or O*K bytes; memory bound; the order of a sum depends on O, K and split, never on T
// defines: FORMAT (NF4, INT8), TOKENS (1, 4, 8)
#include "ptx.cuh"

using namespace ptx;

#ifndef FORMAT
#define FORMAT NF4
#endif
#ifndef TOKENS
#define TOKENS 1
#endif

enum Format { NF4, INT8 };
constexpr Format format = FORMAT;
constexpr int warps = 4, outputs = TOKENS == 8 ? 2 : 4;       // of a warp: what is read of x is shared between them
constexpr int share = 16, words = format == NF4 ? 2 : 4;      // codes of a lane at a time, and the words that hold them
constexpr int block_depth = 64, nested_blocks = 256;
constexpr float nf4[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
                           -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                           0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// Weights 4 * four .. 4 * four + 3 of a lane's share.
DEVICE void widen(float (&v)[4], const u32 (&codes)[words], int four, const float* values) {
  if constexpr (format == NF4) {
    // Two bytes, the upper half of each first.
    const u32 bytes = codes[four / 2] >> four % 2 * 16;
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = values[(bytes >> (i / 2 * 8 + (i % 2 == 0 ? 4 : 0)) & 15) * 32 + lane_index()];
  } else {
    // 2^23 + (code + 128) has the byte as its last bits.
    const u32 biased = codes[four] ^ 0x80808080u;
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = bits_float(permute_bytes(biased, 0x4b000000u, 0x7440 + i)) - 8388736.0f;
  }
}

KERNEL(warps * 32, TOKENS == 8 ? 2 : 4) matmul_quantized_rows(const float* x, const u8* codes, const float* absmax, const u8* nested_codes, const float* scales,
                                            const float* table, const float* bias, float* y, int rows, int output_count, int k, int split, float offset) {
  SHARED_ARRAY(float, values, format == NF4 ? 16 * 32 : 1);
  SHARED_ARRAY(float, parts, warps * outputs * TOKENS);
  const int part = warp_index() % split, group = block_x() * (warps / split) + warp_index() / split;
  if constexpr (format == NF4) {
#pragma unroll
    for (int code = 0; code < 16; ++code)
      if (code / 4 == warp_index()) values[code * 32 + lane_index()] = nf4[code];
    sync_block();
  }

  // Rows past the end repeat the last one and are not stored.
  const float* x_row[TOKENS];
  long long row_start[outputs];
#pragma unroll
  for (int token = 0; token < TOKENS; ++token) x_row[token] = x + static_cast<u64>(token < rows ? token : rows - 1) * k;
#pragma unroll
  for (int o = 0; o < outputs; ++o) {
    const int row = group * outputs + o;
    row_start[o] = static_cast<long long>(row < output_count ? row : output_count - 1) * k;
  }

  float sums[outputs][TOKENS] = {};
  for (int at = (part * 32 + lane_index()) * share; at < k; at += split * 32 * share) {
    u32 raw[outputs][words];
    float scale[outputs];
#pragma unroll
    for (int o = 0; o < outputs; ++o) {
      const long long element = row_start[o] + at;
      if constexpr (format == NF4) {
        const uint2 v = load8(codes + element / 2);
        raw[o][0] = v.x, raw[o][1] = v.y;
        const long long block = element / block_depth;
        scale[o] = absmax != nullptr ? absmax[block] : table[nested_codes[block]] * scales[block / nested_blocks] + offset;
      } else {
        const uint4 v = load16_streaming(codes + element);
        raw[o][0] = v.x, raw[o][1] = v.y, raw[o][2] = v.z, raw[o][3] = v.w;
        scale[o] = 1.0f;
      }
    }
    float products[outputs][TOKENS] = {};
#pragma unroll
    for (int four = 0; four < share / 4; ++four) {
      float weight[outputs][4];
#pragma unroll
      for (int o = 0; o < outputs; ++o) widen(weight[o], raw[o], four, values);
#pragma unroll
      for (int token = 0; token < TOKENS; ++token) {
        const uint4 v = load16(x_row[token] + at + 4 * four);
        const float value[4] = {bits_float(v.x), bits_float(v.y), bits_float(v.z), bits_float(v.w)};
#pragma unroll
        for (int o = 0; o < outputs; ++o)
#pragma unroll
          for (int i = 0; i < 4; ++i) products[o][token] = fused_multiply_add(value[i], weight[o][i], products[o][token]);
      }
    }
#pragma unroll
    for (int o = 0; o < outputs; ++o)
#pragma unroll
      for (int token = 0; token < TOKENS; ++token) sums[o][token] = fused_multiply_add(scale[o], products[o][token], sums[o][token]);
  }

#pragma unroll
  for (int o = 0; o < outputs; ++o)
#pragma unroll
    for (int token = 0; token < TOKENS; ++token) {
      sums[o][token] = warp_sum(sums[o][token]);
      if (lane_index() == 0) parts[(warp_index() * outputs + o) * TOKENS + token] = sums[o][token];
    }
  sync_block();
  // Thread by thread one result; the parts of a sum in their order.
  const int results = warps / split * outputs * TOKENS;
  if (thread_index() >= results) return;
  const int token = thread_index() % TOKENS, in_block = thread_index() / TOKENS, output = block_x() * (warps / split) * outputs + in_block;
  if (token >= rows || output >= output_count) return;
  const int first = (in_block / outputs * split * outputs + in_block % outputs) * TOKENS + token;
  float sum = 0.0f;
  for (int p = 0; p < split; ++p) sum += parts[first + p * outputs * TOKENS];
  if constexpr (format == INT8) sum *= absmax[output] / 127.0f;
  y[static_cast<u64>(token) * output_count + output] = bias != nullptr ? sum + bias[output] : sum;
}
