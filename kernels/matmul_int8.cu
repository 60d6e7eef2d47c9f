// matmul_int8: a matrix of 8-bit rows as plain elements in scratch memory, for the products of matmul*.cu: out[o, k] = code[o, k] * absmax[o] / 127
// codes [O, K] i8, absmax [O] f32, out [O, K] OUTPUT, rounded once from f32
// a thread takes 8 elements; moves count + sizeof(OUTPUT)*count bytes; memory bound
// source: arXiv:2208.07339, without the path for outliers; storage as bitsandbytes
#include "ptx.cuh"

using namespace ptx;

#ifndef OUTPUT
#define OUTPUT float
#endif

constexpr int threads = 256, elements = 8;

DEVICE float code_at(u32 bytes, int i) { return static_cast<float>(static_cast<int>(bytes << (24 - 8 * i)) >> 24); }

KERNEL(threads) matmul_int8_dequantize(const u8* codes, const float* absmax, OUTPUT* out, long long count, int columns) {
  const long long first = (static_cast<long long>(block_x()) * threads + thread_index()) * elements;
  if (first >= count) return;
  if (columns % elements != 0 || reinterpret_cast<u64>(codes) % 8 != 0) {
    const long long end = first + elements < count ? first + elements : count;
    for (long long i = first; i < end; ++i) out[i] = from_float<OUTPUT>(code_at(codes[i], 0) * (absmax[i / columns] / 127.0f));
    return;
  }
  const float scale = absmax[first / columns] / 127.0f;
  const uint2 eight = load8(codes + first);
  float v[elements];
#pragma unroll
  for (int i = 0; i < elements; ++i) v[i] = code_at(i < 4 ? eight.x : eight.y, i % 4) * scale;
  store_rounded(out + first, v);
}
