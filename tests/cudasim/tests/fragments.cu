// One warp instruction a block, register by register: what comes in for a lane and what goes out. tensor_layout_test and
// tensor_arithmetic_test say what it must be.
// defines: INPUT (half or bfloat16); blocks of 32 threads, one case a block.
#include "ptx.cuh"

using namespace ptx;

#ifndef INPUT
#define INPUT half
#endif

// a, b, c hold the lanes' registers one lane after the other: 2, 1 and 4 of them (k8), or 4, 2 and 4 (k16).
KERNEL(32) mma_k8_registers(const u32* a, const u32* b, const float* c, float* d) {
  const int thread = block_x() * 32 + lane_index();
  float sum[4];
  for (int r = 0; r < 4; ++r) sum[r] = c[4 * thread + r];
  const u32 x[2] = {a[2 * thread], a[2 * thread + 1]}, y[1] = {b[thread]};
  mma_k8<INPUT>(sum, x, y);
  for (int r = 0; r < 4; ++r) d[4 * thread + r] = sum[r];
}

KERNEL(32) mma_k16_registers(const u32* a, const u32* b, const float* c, float* d) {
  const int thread = block_x() * 32 + lane_index();
  float sum[4];
  for (int r = 0; r < 4; ++r) sum[r] = c[4 * thread + r];
  const u32 x[4] = {a[4 * thread], a[4 * thread + 1], a[4 * thread + 2], a[4 * thread + 3]}, y[2] = {b[2 * thread], b[2 * thread + 1]};
  mma_k16<INPUT>(sum, x, y);
  for (int r = 0; r < 4; ++r) d[4 * thread + r] = sum[r];
}

// Four 8x8 matrices lie one after the other in shared memory; order[lane] is the row (0..31) whose address the lane gives.
template <int count, bool transposed> DEVICE void load_matrix_registers(const u16* matrices, const int* order, u32* out) {
  SHARED_ARRAY(u16, rows, 4 * 8 * 8);
  for (int i = lane_index(); i < 256; i += 32) rows[i] = matrices[i];
  sync_warp();
  u32 registers[count];
  load_matrix<count, transposed>(registers, rows + order[lane_index()] * 8);
  for (int r = 0; r < count; ++r) out[lane_index() * count + r] = registers[r];
}
KERNEL(32) load_matrix_x1(const u16* m, const int* order, u32* out) { load_matrix_registers<1, false>(m, order, out); }
KERNEL(32) load_matrix_x2(const u16* m, const int* order, u32* out) { load_matrix_registers<2, false>(m, order, out); }
KERNEL(32) load_matrix_x4(const u16* m, const int* order, u32* out) { load_matrix_registers<4, false>(m, order, out); }
KERNEL(32) load_matrix_x1_trans(const u16* m, const int* order, u32* out) { load_matrix_registers<1, true>(m, order, out); }
KERNEL(32) load_matrix_x2_trans(const u16* m, const int* order, u32* out) { load_matrix_registers<2, true>(m, order, out); }
KERNEL(32) load_matrix_x4_trans(const u16* m, const int* order, u32* out) { load_matrix_registers<4, true>(m, order, out); }

// Only the eight lanes whose addresses x1 uses give one. sm_75 reads all 32.
KERNEL(32) load_matrix_low_lanes(const u16* m, const int* order, u32* out) {
  SHARED_ARRAY(u16, rows, 8 * 8);
  for (int i = lane_index(); i < 64; i += 32) rows[i] = m[i];
  sync_warp();
  u32 registers[1];
  load_matrix<1>(registers, lane_index() < 8 ? rows + lane_index() * 8 : nullptr);
  out[lane_index()] = registers[0];
}
