// matmul_reduce: C = sum over splits of partials + bias (+ C where accumulate is set), in the order of the splits
// partials [splits, M, N] f32, already times alpha; bias [N] f32 or null; C [M, N] f32; count = M * N
// four neighbouring elements a thread (vectors where N is a multiple of four), so that results never depend on timing
// moves 4*M*N*(splits + 1) bytes, 4*M*N more to accumulate; memory bound
// C# src/GemmaCore.Ops/Matmul, test MatmulTests; the second half of a product that matmul_tile cut along its depth
#include "ptx.cuh"

using namespace ptx;

DEVICE void add_four(float (&sum)[4], const float* p) {
  const uint4 raw = load16(p);
  sum[0] += bits_float(raw.x), sum[1] += bits_float(raw.y), sum[2] += bits_float(raw.z), sum[3] += bits_float(raw.w);
}

KERNEL(256) matmul_reduce(const float* partials, const float* bias, float* c, int n, int splits, long long count, int accumulate) {
  const long long at = 4 * (static_cast<long long>(block_x()) * thread_count() + thread_index());
  if (at >= count) return;
  const u64 addresses = reinterpret_cast<u64>(partials) | reinterpret_cast<u64>(bias) | reinterpret_cast<u64>(c);
  const int column = static_cast<int>(at % n);
  if (n % 4 == 0 && addresses % 16 == 0) {
    float sum[4] = {};
    for (int split = 0; split < splits; ++split) add_four(sum, partials + split * count + at);
    if (bias != nullptr) add_four(sum, bias + column);
    if (accumulate) add_four(sum, c + at);
    store16(c + at, uint4{float_bits(sum[0]), float_bits(sum[1]), float_bits(sum[2]), float_bits(sum[3])});
  } else {
    for (long long i = at; i < at + 4 && i < count; ++i) {
      float sum = 0.0f;
      for (int split = 0; split < splits; ++split) sum += partials[split * count + i];
      if (bias != nullptr) sum += bias[i % n];
      if (accumulate) sum += c[i];
      c[i] = sum;
    }
  }
}
