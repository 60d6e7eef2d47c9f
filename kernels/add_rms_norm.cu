// add_rms_norm: sum = x + r, then y = sum * rsqrt(mean(sum^2) + eps) * (gain_offset + w), in one pass over memory
// x, r, sum, y [T, D] f32; w [D] f32; sum may be x or r. Backward is rms_norm's and the residual's: no kernel of its own
// ROW_THREADS = 32: one warp per row, four rows per block; else one block per row; f32 sums in a fixed order
// moves 16*T*D bytes (sum is read back from the cache); memory bound
// C# src/GemmaCore.Ops/AddRmsNorm, test AddRmsNormTests
// source: the residual stream of transformers' Gemma3DecoderLayer, norm as in rms_norm.cu
#include "ptx.cuh"

using namespace ptx;

#ifndef ROW_THREADS
#define ROW_THREADS 32
#endif

constexpr int threads = ROW_THREADS == 32 ? 128 : ROW_THREADS;

// Each thread reads back only the columns of `sum` that it wrote itself, so no barrier stands between.
template <int n> DEVICE void forward(const float* x, const float* r, const float* w, float* sum, float* y, int width, float eps,
                                     float gain_offset) {
  SHARED_ARRAY(float, warp_sums, ROW_THREADS / 32);
  const int first = thread_index() % ROW_THREADS * n;
  float squares = 0.0f;
  for (int column = first; column < width; column += ROW_THREADS * n) {
    Floats<n> v = load_floats<n>(x + column);
    const Floats<n> other = load_floats<n>(r + column);
    for (int i = 0; i < n; ++i) {
      v.at[i] += other.at[i];
      squares = fused_multiply_add(v.at[i], v.at[i], squares);
    }
    store_floats<n>(sum + column, v);
  }
  const float scale = reciprocal_sqrt(row_sum<ROW_THREADS>(squares, warp_sums) / static_cast<float>(width) + eps);
  for (int column = first; column < width; column += ROW_THREADS * n) {
    Floats<n> v = load_floats<n>(sum + column);
    const Floats<n> gain = load_floats<n>(w + column);
    for (int i = 0; i < n; ++i) v.at[i] = (gain_offset + gain.at[i]) * (v.at[i] * scale);
    store_floats<n>(y + column, v);
  }
}

KERNEL(threads) add_rms_norm_forward(const float* x, const float* r, const float* w, float* sum, float* y, int rows, int width,
                                     float eps, float gain_offset) {
  const int row = block_x() * (threads / ROW_THREADS) + thread_index() / ROW_THREADS;
  if (row >= rows) return;
  const u64 offset = static_cast<u64>(row) * width;
  x += offset, r += offset, sum += offset, y += offset;
  if (vectors_allowed(4, width, x, r, w, sum, y)) forward<4>(x, r, w, sum, y, width, eps, gain_offset);
  else forward<1>(x, r, w, sum, y, width, eps, gain_offset);
}
