// adamw_update: p = p*keep - m/(sqrt(v)*root_scale + eps)*step_size after m = b1*m + (1-b1)*g, v = b2*v + (1-b2)*g^2, g scaled first
// p, g, m, v f32 of any shape; p, m, v in place. Corrections for early steps are in step_size and root_scale
// one thread per four elements; every product is rounded on its own, as on the CPU, so both devices agree to the last bit
// moves 28 bytes per element; memory bound. defines: THREADS
// C# src/GemmaCore.Ops/AdamwUpdate, test AdamwUpdateTests; source: arXiv:1711.05101 in the order of torch.optim.AdamW
#include "ptx.cuh"

using namespace ptx;

#ifndef THREADS
#define THREADS 256
#endif

struct Rates {
  float keep, step_size, root_scale, beta1, beta2, eps, gradient_scale;
};

DEVICE void update(float& p, float g, float& m, float& v, const Rates& rates) {
  g = rounded_product(g, rates.gradient_scale);
  m = rounded_product(m, rates.beta1) + rounded_product(g, 1.0f - rates.beta1);
  v = rounded_product(v, rates.beta2) + rounded_product(rounded_product(g, g), 1.0f - rates.beta2);
  const float root = rounded_product(sqrtf(v), rates.root_scale) + rates.eps;
  p = rounded_product(p, rates.keep) - rounded_product(m / root, rates.step_size);
}

KERNEL(THREADS) adamw_update_apply(float* p, const float* g, float* m, float* v, long long elements, float keep, float step_size,
                                   float root_scale, float beta1, float beta2, float eps, float gradient_scale) {
  const Rates rates = {keep, step_size, root_scale, beta1, beta2, eps, gradient_scale};
  const long long first = (static_cast<long long>(block_x()) * THREADS + thread_index()) * 4;
  if (first + 4 <= elements && vectors_allowed(4, 0, p, g, m, v)) {
    Floats<4> ps = load_floats<4>(p + first), gs = load_floats<4>(g + first), ms = load_floats<4>(m + first), vs = load_floats<4>(v + first);
    for (int i = 0; i < 4; ++i) update(ps.at[i], gs.at[i], ms.at[i], vs.at[i], rates);
    store_floats(p + first, ps), store_floats(m + first, ms), store_floats(v + first, vs);
  } else {
    for (long long i = first; i < first + 4 && i < elements; ++i) update(p[i], g[i], m[i], v[i], rates);
  }
}
