// linear_cross_entropy: loss = log sum exp(logits) - logits[target] per row; with `differentiate` the logits become
// (softmax - onehot) * scale in place, ready for the GEMM with the head that gives dHidden
// logits [R, V] f32, one chunk of supervised rows; targets [R] i32 (null: the loss is log sum exp(logits) alone); losses [R] f32
// one block per row: maximum and sum online in one pass over V (arXiv:1805.02867), a second pass writes the gradient
// moves 4*R*V bytes, with the gradient 12*R*V; memory bound. defines: THREADS (a multiple of 32, at most 1024)
// C# src/GemmaCore.Ops/LinearCrossEntropy, test LinearCrossEntropyTests; source: arXiv:2410.10989
#include "ptx.cuh"

using namespace ptx;

#ifndef THREADS
#define THREADS 256
#endif

// exp(x - largest) summed; the start is finite, so that a logit of minus infinity adds 0 and not NaN. A NaN stays in the sum.
struct RunningSum {
  float largest = -3.402823466e38f, sum = 0.0f;
};

DEVICE void raise(RunningSum& running, float largest) {
  if (largest > running.largest) {
    running.sum *= expf(running.largest - largest);
    running.largest = largest;
  }
}

DEVICE RunningSum merged(RunningSum a, RunningSum b) {
  raise(a, b.largest);
  a.sum += b.sum * expf(b.largest - a.largest);
  return a;
}

// The same bits in every thread: lane 0 of each warp collects its warp, then everyone merges the warps in order.
DEVICE RunningSum merged_over_block(RunningSum running) {
  SHARED_ARRAY(float, warp_largest, THREADS / 32);
  SHARED_ARRAY(float, warp_total, THREADS / 32);
  for (int step = 16; step > 0; step >>= 1) {
    RunningSum other;
    other.largest = shuffle_down(running.largest, step);
    other.sum = shuffle_down(running.sum, step);
    running = merged(running, other);
  }
  if (lane_index() == 0) warp_largest[warp_index()] = running.largest, warp_total[warp_index()] = running.sum;
  sync_block();
  RunningSum total;
  for (int w = 0; w < THREADS / 32; ++w) {
    RunningSum warp;
    warp.largest = warp_largest[w], warp.sum = warp_total[w];
    total = merged(total, warp);
  }
  return total;
}

KERNEL(THREADS) linear_cross_entropy_forward(float* logits, const int* targets, float* losses, int width, float scale,
                                             int differentiate) {
  logits += static_cast<u64>(block_x()) * width;
  const int target = targets != nullptr ? targets[block_x()] : -1;
  // Read before the barrier, after which the row is overwritten.
  const float target_logit = thread_index() == 0 && targets != nullptr ? logits[target] : 0.0f;
  const bool vectors = width % 4 == 0 && reinterpret_cast<u64>(logits) % 16 == 0;
  RunningSum running;
  if (vectors) {
    for (int column = thread_index() * 4; column < width; column += THREADS * 4) {
      const uint4 v = load16(logits + column);
      const float a = bits_float(v.x), b = bits_float(v.y), c = bits_float(v.z), d = bits_float(v.w);
      raise(running, fmaxf(fmaxf(a, b), fmaxf(c, d)));
      running.sum += (expf(a - running.largest) + expf(b - running.largest)) + (expf(c - running.largest) + expf(d - running.largest));
    }
  } else {
    for (int column = thread_index(); column < width; column += THREADS) {
      const float value = logits[column];
      raise(running, value);
      running.sum += expf(value - running.largest);
    }
  }
  const RunningSum row = merged_over_block(running);
  if (thread_index() == 0) losses[block_x()] = logf(row.sum) + (row.largest - target_logit);
  if (differentiate == 0) return;

  const float factor = scale / row.sum;
  if (vectors) {
    for (int column = thread_index() * 4; column < width; column += THREADS * 4) {
      const uint4 v = load16(logits + column);
      const float from[4] = {bits_float(v.x), bits_float(v.y), bits_float(v.z), bits_float(v.w)};
      u32 to[4];
      for (int i = 0; i < 4; ++i)
        to[i] = float_bits(expf(from[i] - row.largest) * factor - (column + i == target ? scale : 0.0f));
      store16(logits + column, {to[0], to[1], to[2], to[3]});
    }
  } else {
    for (int column = thread_index(); column < width; column += THREADS)
      logits[column] = expf(logits[column] - row.largest) * factor - (column == target ? scale : 0.0f);
  }
}

// dhidden[rows[i]] += dloss * gradient[i]; gradient [R, D] is what the forward pass left, every row is listed once. One block per row.
KERNEL(THREADS) linear_cross_entropy_backward(const float* gradient, const float* dloss, const int* rows, float* dhidden, int width) {
  gradient += static_cast<u64>(block_x()) * width;
  dhidden += static_cast<u64>(rows[block_x()]) * width;
  const float factor = *dloss;
  for (int column = thread_index(); column < width; column += THREADS)
    dhidden[column] = fused_multiply_add(factor, gradient[column], dhidden[column]);
}
