// rms_norm: y = x * r * g with r = rsqrt(mean(x^2) + eps), g = gain_offset + w
// backward: dX (+)= r*g*dY - x * r^3/D * sum(g*dY*x); statistics are computed again, w is frozen
// x, y, dY, dX [T, D] f32; w [D] f32; y may be x
// ROW_THREADS = 32: one warp per row, four rows per block; else one block per row; f32 sums in a fixed order
// moves 8*T*D bytes forward, 12*T*D backward (the second pass over a row hits the cache); memory bound
// source: arXiv:1910.07467; order of transformers' Gemma3RMSNorm
#include "ptx.cuh"

using namespace ptx;

#ifndef ROW_THREADS
#define ROW_THREADS 32
#endif

constexpr int threads = ROW_THREADS == 32 ? 128 : ROW_THREADS;
constexpr int row_warps = ROW_THREADS / 32;

DEVICE int row_index() { return block_x() * (threads / ROW_THREADS) + thread_index() / ROW_THREADS; }
template <int n> DEVICE int first_column() { return thread_index() % ROW_THREADS * n; }

template <int n> DEVICE void forward(const float* x, const float* w, float* y, int width, float eps, float gain_offset) {
  SHARED_ARRAY(float, warp_sums, row_warps);
  float squares = 0.0f;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column);
    for (int i = 0; i < n; ++i) squares = fused_multiply_add(v.at[i], v.at[i], squares);
  }
  const float r = reciprocal_sqrt(row_sum<ROW_THREADS>(squares, warp_sums) / static_cast<float>(width) + eps);
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    Floats<n> v = load_floats<n>(x + column);
    const Floats<n> gain = load_floats<n>(w + column);
    for (int i = 0; i < n; ++i) v.at[i] = (gain_offset + gain.at[i]) * (v.at[i] * r);
    store_floats<n>(y + column, v);
  }
}

KERNEL(threads) rms_norm_forward(const float* x, const float* w, float* y, int rows, int width, float eps, float gain_offset) {
  const int row = row_index();
  if (row >= rows) return;
  x += static_cast<u64>(row) * width;
  y += static_cast<u64>(row) * width;
  if (vectors_allowed(4, width, x, w, y)) forward<4>(x, w, y, width, eps, gain_offset);
  else forward<1>(x, w, y, width, eps, gain_offset);
}

template <int n> DEVICE void backward(const float* x, const float* w, const float* dY, float* dX, int width, float eps,
                                      float gain_offset, int accumulate) {
  SHARED_ARRAY(float, square_sums, row_warps);
  SHARED_ARRAY(float, product_sums, row_warps);
  float squares = 0.0f, products = 0.0f;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column), gain = load_floats<n>(w + column), d = load_floats<n>(dY + column);
    for (int i = 0; i < n; ++i) {
      squares = fused_multiply_add(v.at[i], v.at[i], squares);
      products = fused_multiply_add((gain_offset + gain.at[i]) * d.at[i], v.at[i], products);
    }
  }
  const float columns = static_cast<float>(width);
  const float r = reciprocal_sqrt(row_sum<ROW_THREADS>(squares, square_sums) / columns + eps);
  const float slope = r * r * r / columns * row_sum<ROW_THREADS>(products, product_sums);
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column), gain = load_floats<n>(w + column), d = load_floats<n>(dY + column);
    Floats<n> out = {};
    if (accumulate) out = load_floats<n>(dX + column);
    for (int i = 0; i < n; ++i) out.at[i] += (gain_offset + gain.at[i]) * d.at[i] * r - v.at[i] * slope;
    store_floats<n>(dX + column, out);
  }
}

KERNEL(threads) rms_norm_backward(const float* x, const float* w, const float* dY, float* dX, int rows, int width, float eps,
                                  float gain_offset, int accumulate) {
  const int row = row_index();
  if (row >= rows) return;
  const u64 offset = static_cast<u64>(row) * width;
  x += offset, dY += offset, dX += offset;
  if (vectors_allowed(4, width, x, w, dY, dX)) backward<4>(x, w, dY, dX, width, eps, gain_offset, accumulate);
  else backward<1>(x, w, dY, dX, width, eps, gain_offset, accumulate);
}
