// layer_norm: y = (x - mean) * r * w + b with r = rsqrt(var(x) + eps), the biased variance
// backward, n = (x - mean)*r and u = w*dY: dX (+)= r*(u - mean(u) - n*mean(u*n)); statistics are computed again
// x, y, dY, dX [T, D] f32; w, b [D] f32, frozen; y may be x
// ROW_THREADS = 32: one warp per row, four rows per block; else one block per row. Mean first, then the squares of what
// is left, so a large mean costs no digits. Moves 8*T*D bytes forward, 12*T*D backward (later passes hit the cache)
// source: arXiv:1607.06450
#include "ptx.cuh"

using namespace ptx;

#ifndef ROW_THREADS
#define ROW_THREADS 32
#endif

constexpr int threads = ROW_THREADS == 32 ? 128 : ROW_THREADS;
constexpr int row_warps = ROW_THREADS / 32;

DEVICE int row_index() { return block_x() * (threads / ROW_THREADS) + thread_index() / ROW_THREADS; }
template <int n> DEVICE int first_column() { return thread_index() % ROW_THREADS * n; }

template <int n> DEVICE void forward(const float* x, const float* w, const float* b, float* y, int width, float eps) {
  SHARED_ARRAY(float, sums, row_warps);
  SHARED_ARRAY(float, square_sums, row_warps);
  const float columns = static_cast<float>(width);
  float sum = 0.0f, squares = 0.0f;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column);
    for (int i = 0; i < n; ++i) sum += v.at[i];
  }
  const float mean = row_sum<ROW_THREADS>(sum, sums) / columns;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column);
    for (int i = 0; i < n; ++i) squares = fused_multiply_add(v.at[i] - mean, v.at[i] - mean, squares);
  }
  const float r = reciprocal_sqrt(row_sum<ROW_THREADS>(squares, square_sums) / columns + eps);
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    Floats<n> v = load_floats<n>(x + column);
    const Floats<n> gain = load_floats<n>(w + column), shift = load_floats<n>(b + column);
    for (int i = 0; i < n; ++i) v.at[i] = fused_multiply_add((v.at[i] - mean) * r, gain.at[i], shift.at[i]);
    store_floats<n>(y + column, v);
  }
}

KERNEL(threads) layer_norm_forward(const float* x, const float* w, const float* b, float* y, int rows, int width, float eps) {
  const int row = row_index();
  if (row >= rows) return;
  x += static_cast<u64>(row) * width;
  y += static_cast<u64>(row) * width;
  if (vectors_allowed(4, width, x, w, b, y)) forward<4>(x, w, b, y, width, eps);
  else forward<1>(x, w, b, y, width, eps);
}

template <int n> DEVICE void backward(const float* x, const float* w, const float* dY, float* dX, int width, float eps, int accumulate) {
  SHARED_ARRAY(float, sums, row_warps);
  SHARED_ARRAY(float, u_sums, row_warps);
  SHARED_ARRAY(float, square_sums, row_warps);
  SHARED_ARRAY(float, product_sums, row_warps);
  const float columns = static_cast<float>(width);
  float sum = 0.0f, sum_u = 0.0f, squares = 0.0f, products = 0.0f;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column), gain = load_floats<n>(w + column), d = load_floats<n>(dY + column);
    for (int i = 0; i < n; ++i) {
      sum += v.at[i];
      sum_u = fused_multiply_add(gain.at[i], d.at[i], sum_u);
    }
  }
  const float mean = row_sum<ROW_THREADS>(sum, sums) / columns, mean_u = row_sum<ROW_THREADS>(sum_u, u_sums) / columns;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column), gain = load_floats<n>(w + column), d = load_floats<n>(dY + column);
    for (int i = 0; i < n; ++i) {
      const float deviation = v.at[i] - mean;
      squares = fused_multiply_add(deviation, deviation, squares);
      products = fused_multiply_add(gain.at[i] * d.at[i], deviation, products);
    }
  }
  const float r = reciprocal_sqrt(row_sum<ROW_THREADS>(squares, square_sums) / columns + eps);
  const float slope = row_sum<ROW_THREADS>(products, product_sums) * r / columns;
  for (int column = first_column<n>(); column < width; column += ROW_THREADS * n) {
    const Floats<n> v = load_floats<n>(x + column), gain = load_floats<n>(w + column), d = load_floats<n>(dY + column);
    Floats<n> out = {};
    if (accumulate) out = load_floats<n>(dX + column);
    // u rounded, as the mean of a single column is u itself.
    for (int i = 0; i < n; ++i) out.at[i] += (rounded_product(gain.at[i], d.at[i]) - mean_u - (v.at[i] - mean) * r * slope) * r;
    store_floats<n>(dX + column, out);
  }
}

KERNEL(threads) layer_norm_backward(const float* x, const float* w, const float* dY, float* dX, int rows, int width, float eps,
                                    int accumulate) {
  const int row = row_index();
  if (row >= rows) return;
  const u64 offset = static_cast<u64>(row) * width;
  x += offset, dY += offset, dX += offset;
  if (vectors_allowed(4, width, x, w, dY, dX)) backward<4>(x, w, dY, dX, width, eps, accumulate);
  else backward<1>(x, w, dY, dX, width, eps, accumulate);
}
