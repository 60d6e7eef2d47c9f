// matmul_int8_group: a matrix of 8-bit codes as plain elements in scratch memory, for the products of matmul*.cu: out[o, k] = code[o, k] * scale[o, k / 128]
// codes [O, K] i8, scales [O, K / 128 rounded up] half, both row after row or, where `tiles` is set, in tiles (codes.cuh); out [O, K] OUTPUT, rounded once
// a thread takes 8 elements; moves (1 + 1/64)*count + sizeof(OUTPUT)*count bytes; memory bound
// C# src/GemmaCore.Ops/MatmulInt8Group, test MatmulInt8GroupTests, bench MatmulInt8GroupBench
// source: kernels.md 1.5 (I8-128)
#include "codes.cuh"

using namespace ptx;

#ifndef OUTPUT
#define OUTPUT float
#endif

constexpr int threads = 256, elements = 8;

KERNEL(threads) matmul_int8_group_dequantize(const u8* codes, const half* scales, OUTPUT* out, long long count, int columns, int groups, int tiles) {
  const long long at = (static_cast<long long>(block_x()) * threads + thread_index()) * elements;
  if (at >= count) return;
  if (tiles == 0 && (columns % elements != 0 || reinterpret_cast<u64>(codes) % 8 != 0)) {
    const long long end = at + elements < count ? at + elements : count;
    for (long long i = at; i < end; ++i)
      out[i] = from_float<OUTPUT>(int8_at(codes[i], 0) * to_float(scales[i / columns * groups + static_cast<int>(i % columns) / int8_group]));
    return;
  }
  // Eight divides the rows, and so the groups within them: all eight share a scale.
  const long long first = tiles == 0 ? at : in_rows_of_int8(at, columns);
  const int row = static_cast<int>(first / columns), group = static_cast<int>(first % columns) / int8_group;
  const float scale = to_float(scales[tiles == 0 ? static_cast<long long>(row) * groups + group : place_in_tiles(row, group, groups)]);
  const uint2 eight = load8(codes + at);
  float v[elements];
#pragma unroll
  for (int i = 0; i < elements; ++i) v[i] = int8_at(i < 4 ? eight.x : eight.y, i % 4) * scale;
  store_rounded(out + first, v);
}
