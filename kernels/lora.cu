// lora: the dropout of the low-rank branch, y = m * x (+ y where accumulate is set); its products are matmul's
// x, y [count] f32; m is 0 where hash(key0, key1, index) < threshold, else kept_scale = 1 / (1 - p)
// the hash is that of src/GemmaCore.Ops/Lora/Dropout.cs, so that every device draws the same mask and backward draws it again
// four elements a thread, neighbours by neighbouring threads; moves 8 bytes an element, 12 to accumulate; memory bound
// C# src/GemmaCore.Ops/Lora, test LoraTests, bench LoraBench
// source: JMLR 15 (2014); MurmurHash3's 32-bit finaliser
#include "ptx.cuh"

using namespace ptx;

constexpr int block_threads = 256, each = 4;  // elements of a thread

DEVICE float factor(u32 index, u32 key0, u32 key1, u32 threshold, float kept_scale) {
  u32 h = index * 0x9E3779B1u + key0;
  h = ((h ^ (h >> 16)) * 0x85EBCA6Bu) ^ key1;
  h = (h ^ (h >> 13)) * 0xC2B2AE35u;
  return (h ^ (h >> 16)) < threshold ? 0.0f : kept_scale;
}

KERNEL(block_threads) lora_drop(const float* x, float* y, long long count, int key0, int key1, int threshold, float kept_scale, int accumulate) {
  const long long first = static_cast<long long>(block_x()) * block_threads * each + thread_index();
  for (int step = 0; step < each; ++step) {
    const long long i = first + step * block_threads;
    if (i >= count) return;
    const float m = factor(static_cast<u32>(i), static_cast<u32>(key0), static_cast<u32>(key1), static_cast<u32>(threshold), kept_scale);
    const float kept = rounded_product(x[i], m);
    y[i] = accumulate ? y[i] + kept : kept;
  }
}
