// matmul_int8_columns: copies `count` columns of a matrix to a place in another with as many rows: a slab's part of the result of a large head, or of its gradient
// from [R, from_width] f32 beginning at from_column, to [R, to_width] f32 beginning at to_column
// a block takes 1024 columns of a row; moves 8*R*count bytes; memory bound
// C# src/GemmaCore.Ops/MatmulInt8/MatmulInt8.Slabs.cs, test MatmulInt8Tests
#include "ptx.cuh"

using namespace ptx;

constexpr int threads = 256, columns_per_block = 1024;

KERNEL(threads) matmul_int8_columns(const float* from, int from_column, int from_width, float* to, int to_column, int to_width, int count,
                                    int blocks_per_row) {
  const u64 row = block_x() / blocks_per_row;
  const int first = block_x() % blocks_per_row * columns_per_block, end = first + columns_per_block < count ? first + columns_per_block : count;
  from += row * from_width + from_column;
  to += row * to_width + to_column;
  for (int column = first + thread_index(); column < end; column += threads) to[column] = from[column];
}
