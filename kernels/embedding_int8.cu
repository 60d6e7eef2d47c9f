// embedding_int8: y[t] = scale * (code[ids[t]] * absmax[ids[t]] / 127)
// ids [T] i32; codes [V, D] i8, row after row or, where `tiles` is set, in tiles (codes.cuh); absmax [V] f32; y [T, D] f32. The table is frozen: no backward
// one block per token, eight codes a thread where D and the addresses allow them; every product is rounded on its own, as on the CPU
// an id outside the table makes a row of NaN: nobody waits for the device to tell
// moves 5*T*D bytes; memory bound
// source: gemma3.md 3.1 (the factor), kernels.md 1.5 (rows of the head)
#include "codes.cuh"

using namespace ptx;

constexpr int threads = 128, codes_per_thread = 8;

DEVICE float value_of(float code, float row_scale, float scale) { return rounded_product(rounded_product(code, row_scale), scale); }

KERNEL(threads) embedding_int8_forward(const int* ids, const u8* codes, const float* absmax, float* y, int vocabulary, int width,
                                     int tiles, float scale) {
  const int id = ids[block_x()];
  y += static_cast<u64>(block_x()) * width;
  if (static_cast<u32>(id) >= static_cast<u32>(vocabulary)) {
    for (int column = thread_index(); column < width; column += threads) y[column] = bits_float(0x7fc00000u);
    return;
  }
  const u8* row = codes + (tiles == 0 ? static_cast<u64>(id) * width : static_cast<u64>(id / tile_outputs) * tile_outputs * width + id % tile_outputs * tile_inputs);
  const float row_scale = absmax[id] / 127.0f;
  const auto place = [&](int column) { return tiles == 0 ? column : column / tile_inputs * tile_bytes<INT8> + column % tile_inputs; };
  if (width % codes_per_thread != 0 || ((reinterpret_cast<u64>(row) & 7) | (reinterpret_cast<u64>(y) & 15)) != 0) {
    for (int column = thread_index(); column < width; column += threads) y[column] = value_of(int8_at(row[place(column)], 0), row_scale, scale);
    return;
  }
  for (int column = thread_index() * codes_per_thread; column < width; column += threads * codes_per_thread) {
    const uint2 eight = load8(row + place(column));
    for (int half = 0; half < 2; ++half) {
      Floats<4> out;
      for (int i = 0; i < 4; ++i) out.at[i] = value_of(int8_at(half == 0 ? eight.x : eight.y, i), row_scale, scale);
      store_floats<4>(y + column + 4 * half, out);
    }
  }
}
