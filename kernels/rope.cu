// rope: element j of a head turns with element j + H/2 by angle position * inverse_frequency[j]
// rope_fill_table: cos, sin [T, H/2] f32 from positions [T] i32; rope_rotate: x [T, heads, H] f32 in place, direction 1
// forward, -1 backward (the transpose of a rotation is the rotation back)
// the angle is an f32 product; sinf and cosf reduce it exactly (2 ulp at any size, never the fast-math ones)
// one block per token; moves 8*T*heads*H + 4*T*H bytes; memory bound
// source: arXiv:2104.09864; pairing and rounding of transformers' Gemma3RotaryEmbedding
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;

KERNEL(threads) rope_fill_table(const int* positions, const float* inverse_frequencies, float* cos, float* sin, int half) {
  const float position = static_cast<float>(positions[block_x()]);
  cos += static_cast<u64>(block_x()) * half;
  sin += static_cast<u64>(block_x()) * half;
  for (int j = thread_index(); j < half; j += threads) {
    const float angle = rounded_product(position, inverse_frequencies[j]);
    cos[j] = cosf(angle);
    sin[j] = sinf(angle);
  }
}

// A thread turns n neighbouring pairs at a time.
template <int n> DEVICE void rotate(float* x, const float* cos, const float* sin, int heads, int half, float direction) {
  const int per_head = half / n;
  for (int item = thread_index(); item < heads * per_head; item += threads) {
    const int head = item / per_head, j = (item - head * per_head) * n;
    float* low = x + static_cast<u64>(head) * (2 * half) + j;
    const Floats<n> a = load_floats<n>(low), b = load_floats<n>(low + half), c = load_floats<n>(cos + j), s = load_floats<n>(sin + j);
    Floats<n> turned_a, turned_b;
    for (int i = 0; i < n; ++i) {
      const float signed_sin = s.at[i] * direction;
      turned_a.at[i] = a.at[i] * c.at[i] - b.at[i] * signed_sin;
      turned_b.at[i] = b.at[i] * c.at[i] + a.at[i] * signed_sin;
    }
    store_floats<n>(low, turned_a);
    store_floats<n>(low + half, turned_b);
  }
}

KERNEL(threads) rope_rotate(float* x, const float* cos, const float* sin, int heads, int half, float direction) {
  x += static_cast<u64>(block_x()) * heads * (2 * half);
  cos += static_cast<u64>(block_x()) * half;
  sin += static_cast<u64>(block_x()) * half;
  if (vectors_allowed(4, half, x, cos, sin)) rotate<4>(x, cos, sin, heads, half, direction);
  else rotate<1>(x, cos, sin, heads, half, direction);
}
