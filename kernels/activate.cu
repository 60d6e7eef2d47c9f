// activate: y = act(x), element by element; backward: dX (+)= dY * act'(x), act' computed again from x
// x, y, dY, dX [count] f32; y may be x in the forward pass
// ACTIVATION = gelu_tanh, silu or quick_gelu (ptx.cuh), with the accurate expf
// grid-stride over 16-byte vectors, then the last count % 4 elements one by one
// moves 8*count bytes forward, 12*count backward; memory bound
// source: src/GemmaCore.Ops/Activation.cs names the papers
#include "ptx.cuh"

using namespace ptx;

#ifndef ACTIVATION
#define ACTIVATION gelu_tanh
#endif

constexpr int threads = 256;

DEVICE long long first_element(int n) { return (static_cast<long long>(block_x()) * threads + thread_index()) * n; }
DEVICE long long stride_of(int n) { return static_cast<long long>(grid_x()) * threads * n; }

template <int n> DEVICE void forward(const float* x, float* y, long long first, long long end) {
  for (long long at = first + first_element(n); at < end; at += stride_of(n)) {
    Floats<n> v = load_floats<n>(x + at);
    for (int i = 0; i < n; ++i) v.at[i] = activate<ACTIVATION>(v.at[i]);
    store_floats<n>(y + at, v);
  }
}

KERNEL(threads) activate_forward(const float* x, float* y, long long count) {
  const long long whole = vectors_allowed(4, 4, x, y) ? count & ~3ll : 0;
  forward<4>(x, y, 0, whole);
  forward<1>(x, y, whole, count);
}

template <int n> DEVICE void backward(const float* x, const float* dY, float* dX, int accumulate, long long first, long long end) {
  for (long long at = first + first_element(n); at < end; at += stride_of(n)) {
    const Floats<n> v = load_floats<n>(x + at), d = load_floats<n>(dY + at);
    Floats<n> out = {};
    if (accumulate) out = load_floats<n>(dX + at);
    for (int i = 0; i < n; ++i) {
      float derivative;
      activate<ACTIVATION>(v.at[i], derivative);
      out.at[i] = fused_multiply_add(d.at[i], derivative, out.at[i]);
    }
    store_floats<n>(dX + at, out);
  }
}

KERNEL(threads) activate_backward(const float* x, const float* dY, float* dX, long long count, int accumulate) {
  const long long whole = vectors_allowed(4, 4, x, dY, dX) ? count & ~3ll : 0;
  backward<4>(x, dY, dX, accumulate, 0, whole);
  backward<1>(x, dY, dX, accumulate, whole, count);
}
