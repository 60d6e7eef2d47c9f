// machine_peak: as many products as the card can do, for benchmarks to be compared with
// y f32, one sum a thread, so that the loop is not dropped; steps of eight independent chains
// blocks of 128 threads, any number; COMPUTE half or bfloat16: tensor cores, m16n8k16 (4096 operations of a warp a chain and step);
// without: fp32 multiply-adds, four a thread, chain and step. Bound by arithmetic, moves nothing
// defines: COMPUTE. C# bench/GemmaCore.Bench/CardPeaks.cs
#include "ptx.cuh"

using namespace ptx;

constexpr int chains = 8;

KERNEL(128) machine_peak_forward(float* y, int steps) {
  float c[chains][4];
  for (int i = 0; i < chains; ++i)
    for (int j = 0; j < 4; ++j) c[i][j] = static_cast<float>(thread_index() + i + j);
#ifdef COMPUTE
  // 0x3c00 is 1 in half and a small number in bfloat16: the sums stay finite.
  const u32 a[4] = {0x3c003c00, 0x3c003c00, 0x3c003c00, 0x3c003c00}, b[2] = {0x3c003c00, 0x3c003c00};
#else
  const float factor = 0.999f, term = 0.001f * static_cast<float>(thread_index());
#endif
  for (int step = 0; step < steps; ++step)
#pragma unroll
    for (int i = 0; i < chains; ++i) {
#ifdef COMPUTE
      mma_k16<COMPUTE>(c[i], a, b);
#else
      for (int j = 0; j < 4; ++j) c[i][j] = fused_multiply_add(c[i][j], factor, term);
#endif
    }
  float sum = 0.0f;
  for (int i = 0; i < chains; ++i)
    for (int j = 0; j < 4; ++j) sum += c[i][j];
  y[static_cast<long long>(block_x()) * 128 + thread_index()] = sum;
}
