// Primary contexts and which of them a thread works in.
#include "driver_state.hpp"

using namespace cudasim;

CUDASIM_API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return driver_call("cuDevicePrimaryCtxRetain", [&](Driver& driver) {
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (device < 0 || static_cast<std::size_t>(device) >= driver.contexts.size()) return CUDA_ERROR_INVALID_DEVICE;
    CUctx_st& primary = *driver.contexts[static_cast<std::size_t>(device)];
    if (primary.card == nullptr) {
      try {
        driver.open(primary);
      } catch (const std::exception& problem) {
        return driver.refuse(CUDA_ERROR_OUT_OF_MEMORY, problem.what());
      }
    }
    ++primary.references;
    *context = &primary;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return driver_call("cuDevicePrimaryCtxRelease_v2", [&](Driver& driver) {
    if (device < 0 || static_cast<std::size_t>(device) >= driver.contexts.size()) return CUDA_ERROR_INVALID_DEVICE;
    CUctx_st& primary = *driver.contexts[static_cast<std::size_t>(device)];
    if (primary.references == 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (--primary.references == 0) driver.close(primary);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuCtxSetCurrent(CUcontext context) {
  return driver_call("cuCtxSetCurrent", [&](Driver& driver) {
    bool known = context == nullptr;
    for (const auto& primary : driver.contexts) known = known || primary.get() == context;
    if (!known) return CUDA_ERROR_INVALID_CONTEXT;
    if (context != nullptr && context->card == nullptr) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    driver.set_current(context);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuCtxGetCurrent(CUcontext* context) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  if (!driver.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = driver.current();
  return CUDA_SUCCESS;
}

CUDASIM_API CUresult cuCtxSynchronize() {
  return context_call("cuCtxSynchronize", [](Driver& driver, CUctx_st& context) {
    if (const CUresult refused = driver.outside_capture("cuCtxSynchronize")) return refused;
    context.card->streams.drain_all();
    return CUDA_SUCCESS;
  });
}
