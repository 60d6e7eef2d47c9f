// Kernels that speed.cpp times: c [M, N] = a [M, K] b [N, K]^T for sizes that are multiples of the tiles.
#include "ptx.cuh"

using namespace ptx;

// 64x64 per block of 256 threads, 4x4 per thread, 16 of K at a time, fp32.
KERNEL(256) gemm_simt(const float* a, const float* b, float* c, int n, int k) {
  SHARED_ARRAY(float, as, 16 * 64);
  SHARED_ARRAY(float, bs, 16 * 64);
  const int thread = thread_index(), row = thread / 16 * 4, column = thread % 16 * 4;
  a += static_cast<u64>(block_y()) * 64 * k;
  b += static_cast<u64>(block_x()) * 64 * k;
  float sum[4][4] = {};
  for (int start = 0; start < k; start += 16) {
    union { uint4 whole; float element[4]; } va, vb;
    va.whole = load16(a + static_cast<u64>(thread / 4) * k + start + thread % 4 * 4);
    vb.whole = load16(b + static_cast<u64>(thread / 4) * k + start + thread % 4 * 4);
    for (int i = 0; i < 4; ++i) {
      as[(thread % 4 * 4 + i) * 64 + thread / 4] = va.element[i];
      bs[(thread % 4 * 4 + i) * 64 + thread / 4] = vb.element[i];
    }
    sync_block();
    for (int kk = 0; kk < 16; ++kk) {
      union { uint4 whole; float element[4]; } x, y;
      x.whole = load16(as + kk * 64 + row);
      y.whole = load16(bs + kk * 64 + column);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) sum[i][j] = fused_multiply_add(x.element[i], y.element[j], sum[i][j]);
    }
    sync_block();
  }
  for (int i = 0; i < 4; ++i) {
    union { uint4 whole; float element[4]; } out;
    for (int j = 0; j < 4; ++j) out.element[j] = sum[i][j];
    store16(c + static_cast<u64>(block_y() * 64 + row + i) * n + block_x() * 64 + column, out.whole);
  }
}

// 64x64 per block of 128 threads, 32x32 per warp, 32 of K at a time, bf16 through ldmatrix and mma m16n8k16 (or half, in two k8 steps, below sm_80).
#if __CUDA_ARCH__ >= 800
using Input = bfloat16;
#else
using Input = half;
#endif
KERNEL(128) gemm_mma(const Input* a, const Input* b, float* c, int n, int k) {
  SHARED_ARRAY(Input, as, 64 * 40);
  SHARED_ARRAY(Input, bs, 64 * 40);
  const int thread = thread_index(), lane = lane_index(), row = warp_index() / 2 * 32, column = warp_index() % 2 * 32;
  a += static_cast<u64>(block_y()) * 64 * k;
  b += static_cast<u64>(block_x()) * 64 * k;
  float sum[2][4][4] = {};
  for (int start = 0; start < k; start += 32) {
    for (int chunk = thread; chunk < 256; chunk += 128) {
      store16(as + chunk / 4 * 40 + chunk % 4 * 8, load16(a + static_cast<u64>(chunk / 4) * k + start + chunk % 4 * 8));
      store16(bs + chunk / 4 * 40 + chunk % 4 * 8, load16(b + static_cast<u64>(chunk / 4) * k + start + chunk % 4 * 8));
    }
    sync_block();
    for (int step = 0; step < 32; step += 16) {
      u32 x[2][4], y[4][2];
      for (int i = 0; i < 2; ++i) load_matrix<4>(x[i], as + (row + 16 * i + lane % 16) * 40 + step + lane / 16 * 8);
      for (int j = 0; j < 4; ++j) load_matrix<2>(y[j], bs + (column + 8 * j + lane % 8) * 40 + step + lane / 8 % 2 * 8);
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j) mma_k16<Input>(sum[i][j], x[i], y[j]);
    }
    sync_block();
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int r = 0; r < 4; ++r)
        c[static_cast<u64>(block_y() * 64 + row + 16 * i + lane / 4 + 8 * (r / 2)) * n + block_x() * 64 + column + 8 * j + lane % 4 * 2 + r % 2] = sum[i][j][r];
}

// y = x + 1, one element a thread: no barrier at all.
KERNEL(256) add_one(const float* x, float* y, int n, int) {
  for (int i = block_x() * 256 + thread_index(); i < n; i += grid_x() * 256) y[i] = x[i] + 1.0f;
}

// Sums of rows of k floats, one warp a row: shuffles.
KERNEL(256) row_sums(const float* x, float* y, int n, int k) {
  const int row = block_x() * 8 + warp_index();
  if (row >= n) return;
  float sum = 0.0f;
  for (int i = lane_index(); i < k; i += 32) sum += x[static_cast<u64>(row) * k + i];
  sum = warp_sum(sum);
  if (lane_index() == 0) y[row] = sum;
}
