// scale_columns: y[t, o] = y[t, o] * scale[o] + bias[o], in place (the magnitudes of DoRA)
// y [T, O] f32; scale [O] f32; bias [O] f32 or null. Inference only: no backward
// one block per row, 16-byte vectors where O and the addresses allow them
// moves 8*T*O bytes; memory bound
// source: arXiv:2402.09353
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 256;

template <int n> DEVICE void scale_row(float* y, const float* scale, const float* bias, int width) {
  for (int column = thread_index() * n; column < width; column += threads * n) {
    Floats<n> v = load_floats<n>(y + column);
    const Floats<n> factor = load_floats<n>(scale + column);
    Floats<n> shift = {};
    if (bias != nullptr) shift = load_floats<n>(bias + column);
    for (int i = 0; i < n; ++i) v.at[i] = fused_multiply_add(v.at[i], factor.at[i], shift.at[i]);
    store_floats<n>(y + column, v);
  }
}

KERNEL(threads) scale_columns_forward(float* y, const float* scale, const float* bias, int width) {
  y += static_cast<u64>(block_x()) * width;
  if (vectors_allowed(4, width, y, scale, bias)) scale_row<4>(y, scale, bias, width);
  else scale_row<1>(y, scale, bias, width);
}
