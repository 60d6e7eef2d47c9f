// scatter_rows: y[rows[i]] = source[i], other rows of y stay; backward: dSource[i] (+)= dY[rows[i]], then zero those rows of dY
// source, dSource [P, D] f32; rows [P] i32, distinct; y, dY [T, D] f32; scatter_rows_narrow has y in bfloat16, to nearest, and no backward pass
// one block per listed row; distinct rows mean that no two blocks write the same one
// a number outside y is passed over: the contract's caller has made the list
// moves 8*P*D bytes; memory bound
// C# src/GemmaCore.Ops/ScatterRows, test ScatterRowsTests
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;

// from == nullptr is a row of zeros.
template <int n> DEVICE void put_row(const float* from, float* to, int width, int add) {
  for (int column = thread_index() * n; column < width; column += threads * n) {
    Floats<n> v = {};
    if (from != nullptr) v = load_floats<n>(from + column);
    if (add) {
      const Floats<n> before = load_floats<n>(to + column);
      for (int i = 0; i < n; ++i) v.at[i] += before.at[i];
    }
    store_floats<n>(to + column, v);
  }
}

// A null source writes zeros.
KERNEL(threads) scatter_rows_forward(const float* source, const int* rows, float* y, int limit, int width) {
  const int row = rows[block_x()];
  if (static_cast<u32>(row) >= static_cast<u32>(limit)) return;
  if (source != nullptr) source += static_cast<u64>(block_x()) * width;
  y += static_cast<u64>(row) * width;
  if (vectors_allowed(4, width, source, y)) put_row<4>(source, y, width, 0);
  else put_row<1>(source, y, width, 0);
}

KERNEL(threads) scatter_rows_backward(const float* dY, const int* rows, float* dSource, int limit, int width, int accumulate) {
  const int row = rows[block_x()];
  if (static_cast<u32>(row) >= static_cast<u32>(limit)) return;
  dY += static_cast<u64>(row) * width;
  dSource += static_cast<u64>(block_x()) * width;
  if (vectors_allowed(4, width, dY, dSource)) put_row<4>(dY, dSource, width, accumulate);
  else put_row<1>(dY, dSource, width, accumulate);
}

KERNEL(threads) scatter_rows_narrow(const float* source, const int* rows, bfloat16* y, int limit, int width) {
  const int row = rows[block_x()];
  if (static_cast<u32>(row) >= static_cast<u32>(limit)) return;
  source += static_cast<u64>(block_x()) * width, y += static_cast<u64>(row) * width;
  if (vectors_allowed(8, width, source, y)) {
    for (int column = thread_index() * 8; column < width; column += threads * 8) store16(y + column, round_eight<bfloat16>(load_eight(source + column, true), 1.0f));
  } else {
    for (int column = thread_index(); column < width; column += threads) y[column] = from_float<bfloat16>(source[column]);
  }
}
