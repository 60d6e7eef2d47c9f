// rms_norm_rope: y = R(rms_norm(x)): every head row normalised with one gain, then turned by its token's angles (rope.cu)
// backward: u = R^-1(dY), dX (+)= r*g*u - x * r^3/H * sum(g*u*x), g = gain_offset + w, r = rsqrt(mean(x^2) + eps)
// x, y, dY, dX [T, heads, H] f32; w [H] f32; cos, sin [T, H/2] f32; y may be x
// one warp per head row, four rows per block, f32 sums in a fixed order
// moves 8*T*heads*H + 4*T*H bytes forward, 12*T*heads*H + 4*T*H backward; memory bound
// source: kernels.md 1.11; norm as in rms_norm.cu, pairing as in rope.cu
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;

template <int n> DEVICE void forward(const float* x, const float* w, const float* cos, const float* sin, float* y, int half,
                                     float eps, float gain_offset) {
  float squares = 0.0f;
  for (int j = lane_index() * n; j < half; j += 32 * n) {
    const Floats<n> low = load_floats<n>(x + j), high = load_floats<n>(x + half + j);
    for (int i = 0; i < n; ++i)
      squares = fused_multiply_add(low.at[i], low.at[i], fused_multiply_add(high.at[i], high.at[i], squares));
  }
  const float r = reciprocal_sqrt(warp_sum(squares) / static_cast<float>(2 * half) + eps);
  for (int j = lane_index() * n; j < half; j += 32 * n) {
    const Floats<n> low = load_floats<n>(x + j), high = load_floats<n>(x + half + j), c = load_floats<n>(cos + j), s = load_floats<n>(sin + j);
    const Floats<n> gain_low = load_floats<n>(w + j), gain_high = load_floats<n>(w + half + j);
    Floats<n> turned_low, turned_high;
    for (int i = 0; i < n; ++i) {
      const float a = (gain_offset + gain_low.at[i]) * (low.at[i] * r), b = (gain_offset + gain_high.at[i]) * (high.at[i] * r);
      turned_low.at[i] = a * c.at[i] - b * s.at[i];
      turned_high.at[i] = b * c.at[i] + a * s.at[i];
    }
    store_floats<n>(y + j, turned_low);
    store_floats<n>(y + half + j, turned_high);
  }
}

KERNEL(threads) rms_norm_rope_forward(const float* x, const float* w, const float* cos, const float* sin, float* y, int rows,
                                      int heads, int half, float eps, float gain_offset) {
  const int row = block_x() * (threads / 32) + warp_index();
  if (row >= rows) return;
  x += static_cast<u64>(row) * (2 * half);
  y += static_cast<u64>(row) * (2 * half);
  cos += static_cast<u64>(row / heads) * half;
  sin += static_cast<u64>(row / heads) * half;
  if (vectors_allowed(4, half, x, w, cos, sin, y)) forward<4>(x, w, cos, sin, y, half, eps, gain_offset);
  else forward<1>(x, w, cos, sin, y, half, eps, gain_offset);
}

// The pair (low, high) of dY, turned back and multiplied by the gain.
template <int n> struct Pair { Floats<n> low, high; };
template <int n> DEVICE Pair<n> gained_gradient(const float* dY, const float* w, const float* cos, const float* sin, int half, int j,
                                                float gain_offset) {
  const Floats<n> a = load_floats<n>(dY + j), b = load_floats<n>(dY + half + j), c = load_floats<n>(cos + j), s = load_floats<n>(sin + j);
  const Floats<n> gain_low = load_floats<n>(w + j), gain_high = load_floats<n>(w + half + j);
  Pair<n> u;
  for (int i = 0; i < n; ++i) {
    u.low.at[i] = (gain_offset + gain_low.at[i]) * (a.at[i] * c.at[i] + b.at[i] * s.at[i]);
    u.high.at[i] = (gain_offset + gain_high.at[i]) * (b.at[i] * c.at[i] - a.at[i] * s.at[i]);
  }
  return u;
}

template <int n> DEVICE void backward(const float* x, const float* w, const float* cos, const float* sin, const float* dY, float* dX,
                                      int half, float eps, float gain_offset, int accumulate) {
  float squares = 0.0f, products = 0.0f;
  for (int j = lane_index() * n; j < half; j += 32 * n) {
    const Floats<n> low = load_floats<n>(x + j), high = load_floats<n>(x + half + j);
    const Pair<n> u = gained_gradient<n>(dY, w, cos, sin, half, j, gain_offset);
    for (int i = 0; i < n; ++i) {
      squares = fused_multiply_add(low.at[i], low.at[i], fused_multiply_add(high.at[i], high.at[i], squares));
      products = fused_multiply_add(u.low.at[i], low.at[i], fused_multiply_add(u.high.at[i], high.at[i], products));
    }
  }
  const float columns = static_cast<float>(2 * half);
  const float r = reciprocal_sqrt(warp_sum(squares) / columns + eps);
  const float slope = r * r * r / columns * warp_sum(products);
  for (int j = lane_index() * n; j < half; j += 32 * n) {
    const Floats<n> low = load_floats<n>(x + j), high = load_floats<n>(x + half + j);
    const Pair<n> u = gained_gradient<n>(dY, w, cos, sin, half, j, gain_offset);
    Floats<n> out_low = {}, out_high = {};
    if (accumulate) out_low = load_floats<n>(dX + j), out_high = load_floats<n>(dX + half + j);
    for (int i = 0; i < n; ++i) {
      out_low.at[i] += u.low.at[i] * r - low.at[i] * slope;
      out_high.at[i] += u.high.at[i] * r - high.at[i] * slope;
    }
    store_floats<n>(dX + j, out_low);
    store_floats<n>(dX + half + j, out_high);
  }
}

KERNEL(threads) rms_norm_rope_backward(const float* x, const float* w, const float* cos, const float* sin, const float* dY, float* dX,
                                       int rows, int heads, int half, float eps, float gain_offset, int accumulate) {
  const int row = block_x() * (threads / 32) + warp_index();
  if (row >= rows) return;
  const u64 offset = static_cast<u64>(row) * (2 * half);
  x += offset, dY += offset, dX += offset;
  cos += static_cast<u64>(row / heads) * half;
  sin += static_cast<u64>(row / heads) * half;
  if (vectors_allowed(4, half, x, w, cos, sin, dY, dX)) backward<4>(x, w, cos, sin, dY, dX, half, eps, gain_offset, accumulate);
  else backward<1>(x, w, cos, sin, dY, dX, half, eps, gain_offset, accumulate);
}
