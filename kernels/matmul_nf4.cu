// matmul_nf4: an NF4 matrix as plain elements in scratch memory, for the products of matmul*.cu: out[i] = value(code[i]) * absmax[i / 64]
// codes: two a byte, the first in the upper half. absmax: f32, or where it is null 8-bit codes: table[c] * scales[block / 256] + offset
// out: count elements OUTPUT, rounded once from f32; may be read as [O, K]
// a thread takes 16 elements; moves 0.5*count + sizeof(OUTPUT)*count bytes; memory bound
// source: arXiv:2305.14314; storage as bitsandbytes
#include "ptx.cuh"

using namespace ptx;

#ifndef OUTPUT
#define OUTPUT float
#endif

constexpr int threads = 256, elements = 16, block_elements = 64, nested_blocks = 256;
constexpr float values[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
                              -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                              0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

KERNEL(threads) matmul_nf4_dequantize(const u8* codes, const float* absmax, const u8* nested_codes, const float* scales, const float* table,
                                      OUTPUT* out, long long count, float offset) {
  SHARED_ARRAY(float, value, 16);
#pragma unroll
  for (int i = 0; i < 16; ++i)
    if (thread_index() == i) value[i] = values[i];
  sync_block();
  const long long first = (static_cast<long long>(block_x()) * threads + thread_index()) * elements;
  if (first >= count) return;
  const long long block = first / block_elements;
  const float scale = absmax != nullptr ? absmax[block] : table[nested_codes[block]] * scales[block / nested_blocks] + offset;
  if (first + elements > count || reinterpret_cast<u64>(codes) % 8 != 0) {
    const long long end = first + elements < count ? first + elements : count;
    for (long long i = first; i < end; ++i) out[i] = from_float<OUTPUT>(value[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15] * scale);
    return;
  }
  const uint2 bytes = load8(codes + first / 2);
  float v[elements];
#pragma unroll
  for (int i = 0; i < elements; ++i) v[i] = value[(i < 8 ? bytes.x : bytes.y) >> (i / 2 % 4 * 8 + (i % 2 == 0 ? 4 : 0)) & 15] * scale;
  store_rounded(out + first, v);
}
