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
  const bool vectors = vectors_allowed(4, width, logits);
  RunningSum running;
  if (vectors) {
    for (int column = thread_index() * 4; column < width; column += THREADS * 4) {
      const Floats<4> v = load_floats<4>(logits + column);
      raise(running, fmaxf(fmaxf(v.at[0], v.at[1]), fmaxf(v.at[2], v.at[3])));
      for (int i = 0; i < 4; ++i) running.sum += expf(v.at[i] - running.largest);
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
      Floats<4> v = load_floats<4>(logits + column);
      for (int i = 0; i < 4; ++i) v.at[i] = expf(v.at[i] - row.largest) * factor - (column + i == target ? scale : 0.0f);
      store_floats(logits + column, v);
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
