// glu: y = act(gate) * up; backward: dGate (+)= dY * up * act'(gate), dUp (+)= dY * act(gate)
// gate, up, y and the gradients [count] f32; y may be gate or up; dGate or dUp is null where no gradient is wanted
// ACTIVATION = gelu_tanh (GEGLU), silu (SwiGLU) or quick_gelu (ptx.cuh), with the accurate expf
// grid-stride over 16-byte vectors, then the last count % 4 elements one by one
// moves 12*count bytes forward, 20*count backward; memory bound
// source: arXiv:2002.05202
#include "ptx.cuh"

using namespace ptx;

#ifndef ACTIVATION
#define ACTIVATION gelu_tanh
#endif

constexpr int threads = 256;

DEVICE long long first_element(int n) { return (static_cast<long long>(block_x()) * threads + thread_index()) * n; }
DEVICE long long stride_of(int n) { return static_cast<long long>(grid_x()) * threads * n; }

template <int n> DEVICE void forward(const float* gate, const float* up, float* y, long long first, long long end) {
  for (long long at = first + first_element(n); at < end; at += stride_of(n)) {
    Floats<n> g = load_floats<n>(gate + at);
    const Floats<n> u = load_floats<n>(up + at);
    for (int i = 0; i < n; ++i) g.at[i] = activate<ACTIVATION>(g.at[i]) * u.at[i];
    store_floats<n>(y + at, g);
  }
}

KERNEL(threads) glu_forward(const float* gate, const float* up, float* y, long long count) {
  const long long whole = vectors_allowed(4, 4, gate, up, y) ? count & ~3ll : 0;
  forward<4>(gate, up, y, 0, whole);
  forward<1>(gate, up, y, whole, count);
}

struct Gradients { float *gate, *up; int accumulate_gate, accumulate_up; };

template <int n> DEVICE void backward(const float* gate, const float* up, const float* dY, const Gradients& to, long long first,
                                      long long end) {
  for (long long at = first + first_element(n); at < end; at += stride_of(n)) {
    const Floats<n> g = load_floats<n>(gate + at), d = load_floats<n>(dY + at);
    Floats<n> value, derivative;
    for (int i = 0; i < n; ++i) value.at[i] = activate<ACTIVATION>(g.at[i], derivative.at[i]);
    if (to.gate != nullptr) {
      const Floats<n> u = load_floats<n>(up + at);
      Floats<n> out = {};
      if (to.accumulate_gate) out = load_floats<n>(to.gate + at);
      for (int i = 0; i < n; ++i) out.at[i] = fused_multiply_add(d.at[i] * u.at[i], derivative.at[i], out.at[i]);
      store_floats<n>(to.gate + at, out);
    }
    if (to.up != nullptr) {
      Floats<n> out = {};
      if (to.accumulate_up) out = load_floats<n>(to.up + at);
      for (int i = 0; i < n; ++i) out.at[i] = fused_multiply_add(d.at[i], value.at[i], out.at[i]);
      store_floats<n>(to.up + at, out);
    }
  }
}

KERNEL(threads) glu_backward(const float* gate, const float* up, const float* dY, float* dGate, float* dUp, long long count,
                             int accumulate_gate, int accumulate_up) {
  const Gradients to = {dGate, dUp, accumulate_gate, accumulate_up};
  const long long whole = vectors_allowed(4, 4, gate, up, dY, dGate, dUp) ? count & ~3ll : 0;
  backward<4>(gate, up, dY, to, 0, whole);
  backward<1>(gate, up, dY, to, whole, count);
}
