// tensor_core_probe: two loops of as many multiply-adds, by mma and by fp32 instructions, whose times tell whether a card of 7.5 has tensor cores
// out [blocks * threads] f32, written so that the loops are not empty; steps: mma instructions of a warp, 1024 multiply-adds each
// one block per multiprocessor, four warps; compute bound
// source: kernels.md 0.2
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;
constexpr int chains = 4;  // independent sums hide the instructions' latency

KERNEL(threads) tensor_core_probe_mma(float* out, int steps) {
  float sums[chains][4] = {};
  const u32 a[2] = {0x3c003c00u, 0x3c003c00u}, b[1] = {0x3c003c00u};  // ones
  for (int step = 0; step < steps; step += chains)
    for (int i = 0; i < chains; ++i) mma_k8<half>(sums[i], a, b);
  float total = 0.0f;
  for (int i = 0; i < chains; ++i) total += sums[i][0];
  out[block_x() * threads + thread_index()] = total;
}

KERNEL(threads) tensor_core_probe_fma(float* out, int steps) {
  constexpr int per_step = 32;  // 1024 multiply-adds of a warp
  float sums[per_step] = {};
  const float factor = 1.0f + static_cast<float>(steps) * 1e-9f;
  for (int step = 0; step < steps; ++step)
    for (int i = 0; i < per_step; ++i) sums[i] = fused_multiply_add(sums[i], factor, 1.0f);
  float total = 0.0f;
  for (int i = 0; i < per_step; ++i) total += sums[i];
  out[block_x() * threads + thread_index()] = total;
}
