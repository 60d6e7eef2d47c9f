// rms_norm: y = x * rsqrt(mean(x^2) + eps) * (weight_offset + w); add_rms_norm: sum = x + r first, then y from sum
// x, r, sum, y [T, D] ELEMENT (float, half or bfloat16); w [D] WEIGHT; rstd [T] f32, saved for backward (may be null)
// one block per row, f32 sums; one rounding after (1 + w), which is Gemma's order (weight_offset = 1)
// moves 2*T*D elements (4*T*D with the add) + D weights + 4*T bytes; memory bound
// defines: ELEMENT, WEIGHT, THREADS (a multiple of 32, at most 1024); 16-byte vectors where D allows them
// source: arXiv:1910.07467; cast order of transformers' Gemma3RMSNorm
#include "ptx.cuh"

using namespace ptx;

#ifndef ELEMENT
#define ELEMENT bfloat16
#endif
#ifndef WEIGHT
#define WEIGHT ELEMENT
#endif
#ifndef THREADS
#define THREADS 128
#endif

constexpr int vector_width = 16 / static_cast<int>(sizeof(ELEMENT));

union Vector {
  uint4 whole;
  ELEMENT element[vector_width];
};

// The block's sum, the same bits in every thread: warps first, then the warps' sums in order.
DEVICE float block_sum(float value, float* warp_sums) {
  value = warp_sum(value);
  if (lane_index() == 0) warp_sums[warp_index()] = value;
  sync_block();
  float total = 0.0f;
  for (int w = 0; w < THREADS / 32; ++w) total += warp_sums[w];
  return total;
}

DEVICE bool rows_are_vectors(int width, const void* a, const void* b, const void* c) {
  const u64 addresses = reinterpret_cast<u64>(a) | reinterpret_cast<u64>(b) | reinterpret_cast<u64>(c);
  return width % vector_width == 0 && addresses % 16 == 0;
}

DEVICE ELEMENT normalised(ELEMENT x, float scale, WEIGHT w, float weight_offset) {
  return from_float<ELEMENT>(to_float(x) * scale * (weight_offset + to_float(w)));
}

// Reads `input` and writes y; the caller has left sum(x^2) of this thread's columns in `squares`.
DEVICE void scale_row(const ELEMENT* input, const WEIGHT* w, ELEMENT* y, float* rstd, int width, float eps,
                      float weight_offset, float squares, bool vectors) {
  SHARED_ARRAY(float, warp_sums, THREADS / 32);
  const float scale = reciprocal_sqrt(block_sum(squares, warp_sums) / static_cast<float>(width) + eps);
  if (rstd != nullptr && thread_index() == 0) rstd[block_x()] = scale;
  if (vectors) {
    for (int column = thread_index() * vector_width; column < width; column += THREADS * vector_width) {
      Vector v, out;
      v.whole = load16(input + column);
      for (int i = 0; i < vector_width; ++i) out.element[i] = normalised(v.element[i], scale, w[column + i], weight_offset);
      store16(y + column, out.whole);
    }
  } else {
    for (int column = thread_index(); column < width; column += THREADS)
      y[column] = normalised(input[column], scale, w[column], weight_offset);
  }
}

KERNEL(THREADS) rms_norm_forward(const ELEMENT* x, const WEIGHT* w, ELEMENT* y, float* rstd, int width, float eps,
                                 float weight_offset) {
  x += static_cast<u64>(block_x()) * width;
  y += static_cast<u64>(block_x()) * width;
  const bool vectors = rows_are_vectors(width, x, y, y);
  float squares = 0.0f;
  if (vectors) {
    for (int column = thread_index() * vector_width; column < width; column += THREADS * vector_width) {
      Vector v;
      v.whole = load16(x + column);
      for (int i = 0; i < vector_width; ++i) {
        const float value = to_float(v.element[i]);
        squares = fused_multiply_add(value, value, squares);
      }
    }
  } else {
    for (int column = thread_index(); column < width; column += THREADS) {
      const float value = to_float(x[column]);
      squares = fused_multiply_add(value, value, squares);
    }
  }
  scale_row(x, w, y, rstd, width, eps, weight_offset, squares, vectors);
}

// Each thread reads back only the columns of `sum` that it wrote itself, so no barrier stands between.
KERNEL(THREADS) add_rms_norm_forward(const ELEMENT* x, const ELEMENT* r, const WEIGHT* w, ELEMENT* sum, ELEMENT* y,
                                     float* rstd, int width, float eps, float weight_offset) {
  const u64 row = static_cast<u64>(block_x()) * width;
  x += row, r += row, sum += row, y += row;
  const bool vectors = rows_are_vectors(width, x, r, sum) && reinterpret_cast<u64>(y) % 16 == 0;
  float squares = 0.0f;
  if (vectors) {
    for (int column = thread_index() * vector_width; column < width; column += THREADS * vector_width) {
      Vector a, b;
      a.whole = load16(x + column);
      b.whole = load16(r + column);
      for (int i = 0; i < vector_width; ++i) {
        a.element[i] = from_float<ELEMENT>(to_float(a.element[i]) + to_float(b.element[i]));
        const float value = to_float(a.element[i]);
        squares = fused_multiply_add(value, value, squares);
      }
      store16(sum + column, a.whole);
    }
  } else {
    for (int column = thread_index(); column < width; column += THREADS) {
      sum[column] = from_float<ELEMENT>(to_float(x[column]) + to_float(r[column]));
      const float value = to_float(sum[column]);
      squares = fused_multiply_add(value, value, squares);
    }
  }
  scale_row(sum, w, y, rstd, width, eps, weight_offset, squares, vectors);
}
