// matmul_int8: a matrix of 8-bit rows as plain elements in scratch memory, for the products of matmul*.cu: out[o, k] = code[o, k] * absmax[o] / 127
// codes [O, K] i8, row after row or, where `tiles` is set, in tiles (codes.cuh); absmax [O] f32; out [O, K] OUTPUT, rounded once from f32
// a thread takes 8 elements; moves count + sizeof(OUTPUT)*count bytes; memory bound
// source: arXiv:2208.07339, without the path for outliers; storage as bitsandbytes
#include "codes.cuh"

using namespace ptx;

#ifndef OUTPUT
#define OUTPUT float
#endif

constexpr int threads = 256, elements = 8;

KERNEL(threads) matmul_int8_dequantize(const u8* codes, const float* absmax, OUTPUT* out, long long count, int columns, int tiles) {
  const long long at = (static_cast<long long>(block_x()) * threads + thread_index()) * elements;
  if (at >= count) return;
  if (tiles == 0 && (columns % elements != 0 || reinterpret_cast<u64>(codes) % 8 != 0)) {
    const long long end = at + elements < count ? at + elements : count;
    for (long long i = at; i < end; ++i) out[i] = from_float<OUTPUT>(int8_at(codes[i], 0) * (absmax[i / columns] / 127.0f));
    return;
  }
  const long long first = tiles == 0 ? at : in_rows_of_int8(at, columns);
  const float scale = absmax[first / columns] / 127.0f;
  const uint2 eight = load8(codes + at);
  float v[elements];
#pragma unroll
  for (int i = 0; i < elements; ++i) v[i] = int8_at(i < 4 ? eight.x : eight.y, i % 4) * scale;
  store_rounded(out + first, v);
}
