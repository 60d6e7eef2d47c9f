// embedding: y[t] = scale * table[ids[t]]
// ids [T] i32; table [V, D] TABLE (float, half or bfloat16); y [T, D] f32. The table is frozen: no backward
// one block per token, 16-byte vectors of the table where D and the addresses allow them
// an id outside the table makes a row of NaN: nobody waits for the device to tell
// moves T*D*(4 + size of TABLE) bytes; memory bound
// source: gemma3.md 3.1 (the factor)
#include "ptx.cuh"

using namespace ptx;

#ifndef TABLE
#define TABLE bfloat16
#endif

constexpr int threads = 128;
constexpr int vector_width = 16 / static_cast<int>(sizeof(TABLE));

union TableVector {
  uint4 whole;
  TABLE element[vector_width];
};

DEVICE void scale_vectors(const TABLE* row, float scale, float* y, int width) {
  for (int column = thread_index() * vector_width; column < width; column += threads * vector_width) {
    TableVector v;
    v.whole = load16(row + column);
    for (int part = 0; part < vector_width; part += 4) {
      Floats<4> out;
      for (int i = 0; i < 4; ++i) out.at[i] = to_float(v.element[part + i]) * scale;
      store_floats<4>(y + column + part, out);
    }
  }
}

KERNEL(threads) embedding_forward(const int* ids, const TABLE* table, float* y, int vocabulary, int width, float scale) {
  const int id = ids[block_x()];
  y += static_cast<u64>(block_x()) * width;
  if (static_cast<u32>(id) >= static_cast<u32>(vocabulary)) {
    for (int column = thread_index(); column < width; column += threads) y[column] = bits_float(0x7fc00000u);
    return;
  }
  const TABLE* row = table + static_cast<u64>(id) * width;
  if (vectors_allowed(vector_width, width, row, y)) return scale_vectors(row, scale, y, width);
  for (int column = thread_index(); column < width; column += threads) y[column] = to_float(row[column]) * scale;
}
