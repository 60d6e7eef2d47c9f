// sum_of_squares: sum of x^2 for the global gradient norm, in parts
// x f32; partials f32, one for every 16 K elements, which the host adds up in f64: with no atomics the order is fixed by the sizes
// one block per part
// moves 4 bytes per element; memory bound. defines: THREADS (a multiple of 32, at most 1024)
// C# src/GemmaCore.Ops/SumOfSquares, test SumOfSquaresTests
#include "ptx.cuh"

using namespace ptx;

#ifndef THREADS
#define THREADS 256
#endif

constexpr int part_elements = 16 << 10;

KERNEL(THREADS) sum_of_squares_forward(const float* x, float* partials, long long elements) {
  SHARED_ARRAY(float, warp_sums, THREADS / 32);
  const long long start = static_cast<long long>(block_x()) * part_elements, left = elements - start;
  const int count = left < part_elements ? static_cast<int>(left) : part_elements;
  x += start;
  float sum = 0.0f;
  int done = 0;
  if (vectors_allowed(4, 0, x)) {
    done = count & ~3;
    for (int i = thread_index() * 4; i < done; i += THREADS * 4) {
      const Floats<4> v = load_floats<4>(x + i);
      for (int j = 0; j < 4; ++j) sum = fused_multiply_add(v.at[j], v.at[j], sum);
    }
  }
  for (int i = done + thread_index(); i < count; i += THREADS) sum = fused_multiply_add(x[i], x[i], sum);
  sum = row_sum<THREADS>(sum, warp_sums);
  if (thread_index() == 0) partials[block_x()] = sum;
}
