// patch_embed_gather: columns[patch, (channel, row, column)] = pixels of that patch, for the product with the patch matrix
// pixels [C, S, S] f32, one picture; columns [(S/p)^2, C*p*p] f32, patches in row-major order
// one block per patch; writes are contiguous, reads come in runs of p pixels
// moves 8*C*S*S bytes; memory bound
// C# src/GemmaCore.Ops/PatchEmbed (product, bias and positions are operations of their own), test PatchEmbedTests
// source: arXiv:2010.11929
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;

KERNEL(threads) patch_embed_gather(const float* pixels, float* columns, int channels, int size, int patch) {
  const int side = size / patch, inputs = channels * patch * patch;
  const int top = block_x() / side * patch, left = block_x() % side * patch;
  columns += static_cast<u64>(block_x()) * inputs;
  for (int i = thread_index(); i < inputs; i += threads) {
    const int line = i / patch, channel = line / patch, row = line - channel * patch, column = i - line * patch;
    columns[i] = pixels[(static_cast<u64>(channel) * size + top + row) * size + left + column];
  }
}
