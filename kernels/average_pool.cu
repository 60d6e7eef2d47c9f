// average_pool: y = mean over kernel x kernel windows of a side x side grid of rows, window and stride equal
// backward: every row of a window gets dY / kernel^2; a remainder at the right and lower edge gets nothing
// x, dX [N, side*side, D] f32; y, dY [N, (side/kernel)^2, D] f32
// forward: one block per pooled row, its window summed in row-major order; backward: one block per grid row
// moves 4*N*D*(side^2 + (side/kernel)^2) bytes; memory bound
// source: gemma3.md 4.4 (the projector's pooling)
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 128;

template <int n> DEVICE void forward(const float* x, float* y, int side, int kernel, int width) {
  const float share = 1.0f / static_cast<float>(kernel * kernel);
  for (int column = thread_index() * n; column < width; column += threads * n) {
    Floats<n> sum = {};
    for (int row = 0; row < kernel; ++row)
      for (int cell = 0; cell < kernel; ++cell) {
        const Floats<n> v = load_floats<n>(x + static_cast<u64>(row * side + cell) * width + column);
        for (int i = 0; i < n; ++i) sum.at[i] = fused_multiply_add(v.at[i], share, sum.at[i]);
      }
    store_floats<n>(y + column, sum);
  }
}

KERNEL(threads) average_pool_forward(const float* x, float* y, int side, int kernel, int width) {
  const int cells = side / kernel, image = block_x() / (cells * cells), cell = block_x() % (cells * cells);
  const int first = (image * side + cell / cells * kernel) * side + cell % cells * kernel;
  x += static_cast<u64>(first) * width;
  y += static_cast<u64>(block_x()) * width;
  if (vectors_allowed(4, width, x, y)) forward<4>(x, y, side, kernel, width);
  else forward<1>(x, y, side, kernel, width);
}

template <int n> DEVICE void backward(const float* dY, float* dX, float share, int width, int accumulate) {
  for (int column = thread_index() * n; column < width; column += threads * n) {
    Floats<n> d = {}, out = {};
    if (share != 0.0f) d = load_floats<n>(dY + column);
    if (accumulate) out = load_floats<n>(dX + column);
    for (int i = 0; i < n; ++i) out.at[i] = fused_multiply_add(d.at[i], share, out.at[i]);
    store_floats<n>(dX + column, out);
  }
}

KERNEL(threads) average_pool_backward(const float* dY, float* dX, int side, int kernel, int width, int accumulate) {
  const int cells = side / kernel, image = block_x() / (side * side), at = block_x() % (side * side);
  const int row = at / side / kernel, column = at % side / kernel;
  const bool inside = row < cells && column < cells;
  // Outside every window dY is not read, so its address there need not exist.
  const float share = inside ? 1.0f / static_cast<float>(kernel * kernel) : 0.0f;
  if (inside) dY += static_cast<u64>((image * cells + row) * cells + column) * width;
  dX += static_cast<u64>(block_x()) * width;
  if (vectors_allowed(4, width, dY, dX)) backward<4>(dY, dX, share, width, accumulate);
  else backward<1>(dY, dX, share, width, accumulate);
}
