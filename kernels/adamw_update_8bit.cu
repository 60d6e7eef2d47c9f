// adamw_update_8bit: adamw_update with m and v as codes of a 256-entry map times their block's largest magnitude, widened, updated and rounded again
// p, g f32 of n elements; codes u8 of n, absmax f32 of a block of 256 each, maps f32 [256] ascending; p, codes, absmax in place
// one warp per block, eight elements a lane, four blocks one after the other; every product is rounded on its own, as on the CPU, to the last bit
// moves 16 bytes per element; memory bound. defines: THREADS
// C# src/GemmaCore.Ops/AdamwUpdate, test QuantizedAdamwUpdateTests, bench AdamwUpdateBench
// source: arXiv:2110.02861, maps and block of bitsandbytes; v above zero never becomes zero, which is ours: m / sqrt(v) would explode
#include "ptx.cuh"

using namespace ptx;

#ifndef THREADS
#define THREADS 256
#endif

constexpr int codes = 256, block_size = 256, per_lane = block_size / 32, blocks_per_warp = 4;

// How many limits lie below the value.
DEVICE u32 code_of(const float* limits, float value) {
  u32 code = 0;
#pragma unroll
  for (u32 half = codes / 2; half > 0; half /= 2) code += value > limits[code + half - 1] ? half : 0;
  return code;
}

// Eight neighbouring codes of a lane, the first in the lowest byte.
DEVICE uint2 load_codes(const u8* p, int count, bool whole) {
  if (whole) return load8(p);
  uint2 v = {0, 0};
  for (int i = 0; i < count; ++i) (i < 4 ? v.x : v.y) |= static_cast<u32>(p[i]) << 8 * (i % 4);
  return v;
}
DEVICE void store_codes(u8* p, uint2 v, int count, bool whole) {
  if (whole) return store8(p, v);
  for (int i = 0; i < count; ++i) p[i] = static_cast<u8>((i < 4 ? v.x : v.y) >> 8 * (i % 4));
}
DEVICE u32 code_at(uint2 v, int i) { return ((i < 4 ? v.x : v.y) >> 8 * (i % 4)) & 255u; }

// Rounds a lane's share of a block to codes; a value above zero gets at least the code `smallest`.
DEVICE uint2 quantize(const float (&values)[per_lane], float absmax, const float* limits, u32 smallest) {
  uint2 result = {0, 0};
#pragma unroll
  for (int i = 0; i < per_lane; ++i) {
    u32 code = code_of(limits, values[i] / absmax);
    if (values[i] > 0.0f && code < smallest) code = smallest;
    (i < 4 ? result.x : result.y) |= code << 8 * (i % 4);
  }
  return result;
}

KERNEL(THREADS) adamw_update_8bit_apply(float* p, const float* g, u8* m_codes, float* m_absmax, const float* m_map, u8* v_codes, float* v_absmax,
                                        const float* v_map, long long elements, float keep, float step_size, float root_scale, float beta1,
                                        float beta2, float eps, float gradient_scale) {
  SHARED_ARRAY(float, m_values, codes);
  SHARED_ARRAY(float, v_values, codes);
  SHARED_ARRAY(float, m_limits, codes);
  SHARED_ARRAY(float, v_limits, codes);
  for (int i = thread_index(); i < codes; i += THREADS) {
    m_values[i] = m_map[i], v_values[i] = v_map[i];
    m_limits[i] = i + 1 < codes ? (m_map[i] + m_map[i + 1]) * 0.5f : 0.0f;
    v_limits[i] = i + 1 < codes ? (v_map[i] + v_map[i + 1]) * 0.5f : 0.0f;
  }
  sync_block();

  const bool aligned = vectors_allowed(4, 0, p, g) && ((reinterpret_cast<u64>(m_codes) | reinterpret_cast<u64>(v_codes)) & 7) == 0;
  const long long first_block = (static_cast<long long>(block_x()) * (THREADS / 32) + warp_index()) * blocks_per_warp;
  for (long long block = first_block; block < first_block + blocks_per_warp && block * block_size < elements; ++block) {
    const long long at = block * block_size + lane_index() * per_lane, left = elements - at;
    const int count = left >= per_lane ? per_lane : left > 0 ? static_cast<int>(left) : 0;
    const bool whole = aligned && count == per_lane;
    float ps[per_lane], gs[per_lane], m[per_lane], v[per_lane];
#pragma unroll
    for (int i = 0; i < per_lane; i += 4) {
      Floats<4> p4 = {}, g4 = {};
      if (whole) {
        p4 = load_floats<4>(p + at + i), g4 = load_floats<4>(g + at + i);
      } else {
        for (int j = 0; j < 4; ++j)
          if (i + j < count) p4.at[j] = p[at + i + j], g4.at[j] = g[at + i + j];
      }
      for (int j = 0; j < 4; ++j) ps[i + j] = p4.at[j], gs[i + j] = g4.at[j];
    }

    const uint2 m_old = load_codes(m_codes + at, count, whole), v_old = load_codes(v_codes + at, count, whole);
    // Lane 0 alone touches the magnitudes: it replaces them below, and a shuffle orders no memory.
    float m_scale = 0.0f, v_scale = 0.0f;
    if (lane_index() == 0) m_scale = m_absmax[block], v_scale = v_absmax[block];
    m_scale = shuffle(m_scale, 0), v_scale = shuffle(v_scale, 0);
    float m_largest = 0.0f, v_largest = 0.0f;
#pragma unroll
    for (int i = 0; i < per_lane; ++i) {
      const float gradient = rounded_product(gs[i], gradient_scale);
      m[i] = rounded_product(rounded_product(m_values[code_at(m_old, i)], m_scale), beta1) + rounded_product(gradient, 1.0f - beta1);
      v[i] = rounded_product(rounded_product(v_values[code_at(v_old, i)], v_scale), beta2) +
             rounded_product(rounded_product(gradient, gradient), 1.0f - beta2);
      const float root = rounded_product(sqrtf(v[i]), root_scale) + eps;
      ps[i] = rounded_product(ps[i], keep) - rounded_product(m[i] / root, step_size);
      if (i < count) m_largest = fmaxf(m_largest, fabsf(m[i])), v_largest = fmaxf(v_largest, v[i]);
    }

    m_largest = warp_max(m_largest), v_largest = warp_max(v_largest);
    if (lane_index() == 0) m_absmax[block] = m_largest, v_absmax[block] = v_largest;
    store_codes(m_codes + at, quantize(m, m_largest, m_limits, 0), count, whole);
    store_codes(v_codes + at, quantize(v, v_largest, v_limits, 1), count, whole);
    if (whole) {
      for (int i = 0; i < per_lane; i += 4) store_floats(p + at + i, Floats<4>{{ps[i], ps[i + 1], ps[i + 2], ps[i + 3]}});
    } else {
      for (int i = 0; i < per_lane; ++i)
        if (i < count) p[at + i] = ps[i];
    }
  }
}
