// add: y = x + n, element by element (the residual sum)
// x, n, y [count] f32; y may be x or n. Backward is the same sum, or a copy: no kernel of its own
// grid-stride over 16-byte vectors, then the last count % 4 elements one by one
// moves 12*count bytes; memory bound
// C# src/GemmaCore.Ops/Add, test AddTests
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 256;

template <int n> DEVICE void add(const float* x, const float* other, float* y, long long first, long long end) {
  const long long stride = static_cast<long long>(grid_x()) * threads * n;
  for (long long at = first + (static_cast<long long>(block_x()) * threads + thread_index()) * n; at < end; at += stride) {
    Floats<n> v = load_floats<n>(x + at);
    const Floats<n> w = load_floats<n>(other + at);
    for (int i = 0; i < n; ++i) v.at[i] += w.at[i];
    store_floats<n>(y + at, v);
  }
}

KERNEL(threads) add_forward(const float* x, const float* n, float* y, long long count) {
  const long long whole = vectors_allowed(4, 4, x, n, y) ? count & ~3ll : 0;
  add<4>(x, n, y, 0, whole);
  add<1>(x, n, y, whole, count);
}
