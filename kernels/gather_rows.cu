// gather_rows: y[i] = x[rows[i]]; backward: dX[t] (+)= sum of dY[i] over the i with rows[i] = t, in the order of the list
// x, dX [T, D] f32; rows [R] i32, may name a row twice; y, dY [R, D] f32
// forward: one block per listed row; a number outside x makes a row of NaN. backward: one block per row of dX, which looks for
// itself in the list, so there are no atomics and the order of the sum is fixed
// moves 8*R*D bytes forward; backward 4*T*D + 4*R*D and T reads of the list, from the cache
// C# src/GemmaCore.Ops/GatherRows, test GatherRowsTests
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;

template <int n> DEVICE void copy_row(const float* from, float* to, int width) {
  for (int column = thread_index() * n; column < width; column += threads * n) store_floats<n>(to + column, load_floats<n>(from + column));
}

KERNEL(threads) gather_rows_forward(const float* x, const int* rows, float* y, int limit, int width) {
  const int row = rows[block_x()];
  y += static_cast<u64>(block_x()) * width;
  if (static_cast<u32>(row) >= static_cast<u32>(limit)) {
    for (int column = thread_index(); column < width; column += threads) y[column] = bits_float(0x7fc00000u);
    return;
  }
  x += static_cast<u64>(row) * width;
  if (vectors_allowed(4, width, x, y)) copy_row<4>(x, y, width);
  else copy_row<1>(x, y, width);
}

// dX (+)= dY over one row; from == nullptr is a row of zeros.
template <int n> DEVICE void put_row(const float* from, float* to, int width, bool add) {
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

KERNEL(threads) gather_rows_backward(const float* dY, const int* rows, float* dX, int count, int width, int accumulate) {
  SHARED_ARRAY(u32, matches, threads / 32);
  dX += static_cast<u64>(block_x()) * width;
  const bool vectors = vectors_allowed(4, width, dY, dX);
  // A thread comes back to the columns that it wrote itself, so the sums need no barrier; the votes do.
  bool written = accumulate != 0;
  for (int first = 0; first < count; first += threads) {
    const int listed = first + thread_index();
    const u32 votes = ptx::ballot(listed < count && rows[listed] == block_x());
    if (lane_index() == 0) matches[warp_index()] = votes;
    sync_block();
    for (int warp = 0; warp < threads / 32; ++warp)
      for (u32 left = matches[warp]; left != 0; left &= left - 1) {
        const int i = first + warp * 32 + first_bit(left);
        const float* from = dY + static_cast<u64>(i) * width;
        if (vectors) put_row<4>(from, dX, width, written);
        else put_row<1>(from, dX, width, written);
        written = true;
      }
    sync_block();
  }
  if (!written) put_row<1>(nullptr, dX, width, false);
}
