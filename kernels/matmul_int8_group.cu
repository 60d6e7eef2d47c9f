// matmul_int8_group: a matrix of 8-bit codes as plain elements in scratch memory, for the products of matmul*.cu: out[o, k] = code[o, k] * scale[o, k / 128]
// codes [O, K] i8, scales [O, K / 128 rounded up] half, out [O, K] OUTPUT, rounded once from f32
// a thread takes 8 elements; moves (1 + 1/64)*count + sizeof(OUTPUT)*count bytes; memory bound
// C# src/GemmaCore.Ops/MatmulInt8Group, test MatmulInt8GroupTests, bench MatmulInt8GroupBench
// source: kernels.md 1.5 (I8-128)
#include "ptx.cuh"

using namespace ptx;

#ifndef OUTPUT
#define OUTPUT float
#endif

constexpr int threads = 256, elements = 8, group = 128;

DEVICE float code_at(u32 bytes, int i) { return static_cast<float>(static_cast<int>(bytes << (24 - 8 * i)) >> 24); }

KERNEL(threads) matmul_int8_group_dequantize(const u8* codes, const half* scales, OUTPUT* out, long long count, int columns, int groups) {
  const long long first = (static_cast<long long>(block_x()) * threads + thread_index()) * elements;
  if (first >= count) return;
  if (columns % elements != 0 || reinterpret_cast<u64>(codes) % 8 != 0) {
    const long long end = first + elements < count ? first + elements : count;
    for (long long i = first; i < end; ++i)
      out[i] = from_float<OUTPUT>(code_at(codes[i], 0) * to_float(scales[i / columns * groups + static_cast<int>(i % columns) / group]));
    return;
  }
  // Eight divides the rows, and so the groups within them: all eight share a scale.
  const float scale = to_float(scales[first / columns * groups + static_cast<int>(first % columns) / group]);
  const uint2 eight = load8(codes + first);
  float v[elements];
#pragma unroll
  for (int i = 0; i < elements; ++i) v[i] = code_at(i < 4 ? eight.x : eight.y, i % 4) * scale;
  store_rounded(out + first, v);
}
