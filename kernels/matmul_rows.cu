// matmul_rows: y = alpha * (x wT + x2 w2T) + bias (+ y where accumulate is set) for a few rows: decoding
// x [T, K] f32 with T <= TOKENS; w [O, K] WEIGHT, read once and not kept in L1; x2 [T, R], w2 [O, R] f32 (R may be 0); y [T, O] f32
// a warp walks two rows of w with eight 16-byte loads in flight a lane; `split` (1 or 4) warps share the depth of their rows
// moves O*K weights; memory bound (2*T operations a weight); the order of a sum depends on O, K and split, never on T
// defines: WEIGHT, TOKENS (1, 2, 4, 8); fp32 arithmetic on every precision path, x is not rounded
// C# src/GemmaCore.Ops/Matmul, test MatmulTests, bench MatmulBench
#include "ptx.cuh"

using namespace ptx;

#ifndef WEIGHT
#define WEIGHT bfloat16
#endif
#ifndef TOKENS
#define TOKENS 1
#endif

constexpr int warps = 4, outputs = TOKENS == 8 ? 4 : 2;              // outputs of a warp: what is read of x is shared between them
constexpr int width = 16 / static_cast<int>(sizeof(WEIGHT));         // weights of one load
constexpr int ahead = TOKENS <= 2 ? 4 : 2;                           // loads in flight for each output

// Weights four by four: number `four` of a load's 16 bytes.
DEVICE void widen(float (&v)[4], uint4 raw, int, float) {
  v[0] = bits_float(raw.x), v[1] = bits_float(raw.y), v[2] = bits_float(raw.z), v[3] = bits_float(raw.w);
}
template <typename T> DEVICE void widen(float (&v)[4], uint4 raw, int four, T) {
  const u32 low = four == 0 ? raw.x : raw.z, high = four == 0 ? raw.y : raw.w;
  v[0] = unpack_low<T>(low), v[1] = unpack_high<T>(low), v[2] = unpack_low<T>(high), v[3] = unpack_high<T>(high);
}

// Adds this lane's share of x wT, vectors of w from `k` on in steps of `stride` elements.
DEVICE void add_vectors(float (&sums)[outputs][TOKENS], const float* (&x)[TOKENS], const WEIGHT* (&w)[outputs], int k, int stride, int depth) {
  for (; k < depth; k += ahead * stride) {
    uint4 raw[ahead][outputs];
#pragma unroll
    for (int step = 0; step < ahead; ++step)
#pragma unroll
      for (int o = 0; o < outputs; ++o)
        if (k + step * stride < depth) raw[step][o] = load16_streaming(w[o] + k + step * stride);
#pragma unroll
    for (int step = 0; step < ahead; ++step) {
      if (k + step * stride >= depth) break;
#pragma unroll
      for (int four = 0; four < width / 4; ++four) {
        float weight[outputs][4];
#pragma unroll
        for (int o = 0; o < outputs; ++o) widen(weight[o], raw[step][o], four, WEIGHT{});
#pragma unroll
        for (int token = 0; token < TOKENS; ++token) {
          float value[4];
          widen(value, load16(x[token] + k + step * stride + 4 * four), 0, 0.0f);
#pragma unroll
          for (int o = 0; o < outputs; ++o)
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[o][token] = fused_multiply_add(value[i], weight[o][i], sums[o][token]);
        }
      }
    }
  }
}

// The same element by element: rows that are not aligned, and the second pair.
template <typename T>
DEVICE void add_elements(float (&sums)[outputs][TOKENS], const float* x, const T* w, const int (&token_row)[TOKENS], const int (&output_row)[outputs],
                         int k, int stride, int depth) {
  for (; k < depth; k += stride)
#pragma unroll
    for (int o = 0; o < outputs; ++o) {
      const float weight = to_float(w[static_cast<u64>(output_row[o]) * depth + k]);
#pragma unroll
      for (int token = 0; token < TOKENS; ++token)
        sums[o][token] = fused_multiply_add(x[static_cast<u64>(token_row[token]) * depth + k], weight, sums[o][token]);
    }
}

KERNEL(warps * 32, TOKENS == 1 ? 8 : TOKENS == 4 ? 4 : 3) matmul_rows(const float* x, const WEIGHT* w, const float* x2, const float* w2, const float* bias, float* y, int rows,
                               int output_count, int k, int r, int split, float alpha, int accumulate) {
  SHARED_ARRAY(float, parts, warps * outputs * TOKENS);
  const int part = warp_index() % split, group = block_x() * (warps / split) + warp_index() / split;
  const int position = part * 32 + lane_index();
  // Rows past the end repeat the last one and are not stored.
  int token_row[TOKENS], output_row[outputs];
  const float* x_row[TOKENS];
  const WEIGHT* w_row[outputs];
#pragma unroll
  for (int token = 0; token < TOKENS; ++token) {
    token_row[token] = token < rows ? token : rows - 1;
    x_row[token] = x + static_cast<u64>(token_row[token]) * k;
  }
#pragma unroll
  for (int o = 0; o < outputs; ++o) {
    output_row[o] = group * outputs + o < output_count ? group * outputs + o : output_count - 1;
    w_row[o] = w + static_cast<u64>(output_row[o]) * k;
  }

  float sums[outputs][TOKENS] = {};
  if (k % width == 0 && (reinterpret_cast<u64>(x) | reinterpret_cast<u64>(w)) % 16 == 0)
    add_vectors(sums, x_row, w_row, position * width, split * 32 * width, k);
  else
    add_elements(sums, x, w, token_row, output_row, position, split * 32, k);
  add_elements(sums, x2, w2, token_row, output_row, position, split * 32, r);

#pragma unroll
  for (int o = 0; o < outputs; ++o)
#pragma unroll
    for (int token = 0; token < TOKENS; ++token) sums[o][token] = warp_sum(sums[o][token]);
  if (split > 1) {
    if (lane_index() == 0)
      for (int o = 0; o < outputs; ++o)
        for (int token = 0; token < TOKENS; ++token) parts[(warp_index() * outputs + o) * TOKENS + token] = sums[o][token];
    sync_block();
    if (part != 0) return;
#pragma unroll
    for (int o = 0; o < outputs; ++o)
#pragma unroll
      for (int token = 0; token < TOKENS; ++token)
        for (int other = 1; other < split; ++other) sums[o][token] += parts[((warp_index() + other) * outputs + o) * TOKENS + token];
  }
  // Lane by lane one result, from registers that a loop over constants can name.
#pragma unroll
  for (int o = 0; o < outputs; ++o)
#pragma unroll
    for (int token = 0; token < TOKENS; ++token) {
      const int output = group * outputs + o;
      if (lane_index() != o * TOKENS + token || token >= rows || output >= output_count) continue;
      float* const to = y + static_cast<u64>(token) * output_count + output;
      float v = alpha * sums[o][token];
      if (bias != nullptr) v += bias[output];
      if (accumulate) v += *to;
      *to = v;
    }
}
