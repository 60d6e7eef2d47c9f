// Modules, their functions, and how many blocks of one fit a multiprocessor.
#include <algorithm>
#include <cstdio>

#include "driver_state.hpp"

using namespace cudasim;

namespace {

// A cubin runs on its own major version from its minor version on; "a" only on exactly its card; PTX on everything later.
bool runs_on(const Module& module, const Profile& profile) {
  const int card = profile.major * 10 + profile.minor;
  if (module.architecture_specific()) return card == module.arch();
  if (module.is_ptx()) return card >= module.arch();
  return card / 10 == module.arch() / 10 && card >= module.arch();
}

void write_jit_log(unsigned count, const int* options, void** values, const std::string& text) {
  char* buffer = nullptr;
  std::size_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER) buffer = static_cast<char*>(values[i]);
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) bytes = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(values[i]));
  }
  if (buffer != nullptr && bytes > 0) std::snprintf(buffer, bytes, "%s", text.c_str());
}

// g++ gives no register count; the launch bound lets the real compiler use at most this many.
int most_registers(const Function& function) {
  const int warps = (function.entry->most_threads + 31) / 32;
  return std::min(255, registers_per_multiprocessor / (32 * warps) / 8 * 8);
}

}  // namespace

CUDASIM_API CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, int* options, void** values) {
  return context_call("cuModuleLoadDataEx", [&](Driver& driver, CUctx_st& context) {
    if (module == nullptr || image == nullptr || (count > 0 && (options == nullptr || values == nullptr))) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult refused = driver.outside_capture("cuModuleLoadDataEx")) return refused;
    std::shared_ptr<Module> loaded;
    try {
      loaded = std::make_shared<Module>(image, context.settings.checks);
    } catch (const std::invalid_argument& problem) {
      write_jit_log(count, options, values, problem.what());
      return driver.refuse(CUDA_ERROR_INVALID_IMAGE, std::string("cuModuleLoadDataEx: ") + problem.what());
    }
    const Profile& profile = context.card->profile;
    if (!runs_on(*loaded, profile))
      return driver.refuse(loaded->is_ptx() ? CUDA_ERROR_INVALID_PTX : CUDA_ERROR_NO_BINARY_FOR_GPU,
                           "cuModuleLoadDataEx: an image for sm_" + std::to_string(loaded->arch()) + (loaded->architecture_specific() ? "a" : "") +
                               " does not run on " + profile.device_name);
    *module = driver.modules.make(&context, std::move(loaded));
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuModuleUnload(CUmodule module) {
  return context_call("cuModuleUnload", [&](Driver& driver, CUctx_st& context) {
    if (!driver.modules.live(module) || module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult refused = driver.outside_capture("cuModuleUnload")) return refused;
    context.card->streams.drain_all();
    for (const auto& [name, function] : module->functions) driver.functions.drop(function);
    module->loaded.reset();
    driver.modules.drop(module);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}

CUDASIM_API CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return context_call("cuModuleGetFunction", [&](Driver& driver, CUctx_st& context) {
    if (function == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!driver.modules.live(module) || module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    Function* found = module->loaded->function(name);
    if (found == nullptr) return driver.refuse(CUDA_ERROR_NOT_FOUND, std::string("cuModuleGetFunction: the module has no kernel ") + name);
    CUfunction& handle = module->functions[name];
    if (handle == nullptr) handle = driver.functions.make(module, found);
    *function = handle;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuModuleGetGlobal_v2(CUdeviceptr*, std::size_t*, CUmodule module, const char* name) {
  return context_call("cuModuleGetGlobal_v2", [&](Driver& driver, CUctx_st& context) {
    if (!driver.modules.live(module) || module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    return driver.refuse(CUDA_ERROR_NOT_FOUND, std::string("cuModuleGetGlobal: no ") + (name != nullptr ? name : "(null)") + "; ptx.cuh offers kernels no global variables");
  });
}

CUDASIM_API CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  return context_call("cuFuncSetAttribute", [&](Driver& driver, CUctx_st& context) {
    if (!driver.functions.live(function) || function->module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT) return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0) return CUDA_ERROR_INVALID_VALUE;
    const int most = context.card->profile.shared_per_block_optin;
    if (value > most - static_cast<int>(function->function->static_shared))
      return driver.refuse(CUDA_ERROR_INVALID_VALUE, std::string("cuFuncSetAttribute: ") + function->function->entry->name + " asks for " +
                                                         std::to_string(value) + " bytes of dynamic shared memory; a block of this card has " + std::to_string(most));
    function->function->most_dynamic_shared = static_cast<std::uint32_t>(value);
    function->function->shared_asked_for = true;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
  return context_call("cuFuncGetAttribute", [&](Driver& driver, CUctx_st& context) {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!driver.functions.live(function) || function->module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    const Function& of = *function->function;
    switch (attribute) {
      case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = of.entry->most_threads; return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = static_cast<int>(of.static_shared); return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
      case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *value = 0; return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = most_registers(of); return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_PTX_VERSION:
      case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = of.module->arch(); return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = static_cast<int>(of.most_dynamic_shared); return CUDA_SUCCESS;
      case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = -1; return CUDA_SUCCESS;
      default: return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

CUDASIM_API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int threads, std::size_t dynamic_shared) {
  return context_call("cuOccupancyMaxActiveBlocksPerMultiprocessor", [&](Driver& driver, CUctx_st& context) {
    if (blocks == nullptr || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    if (!driver.functions.live(function) || function->module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    const Function& of = *function->function;
    const Profile& profile = context.card->profile;
    *blocks = 0;
    if (threads > of.entry->most_threads) return CUDA_SUCCESS;
    const int warps = (threads + 31) / 32;
    const auto shared = dynamic_shared + of.static_shared + (profile.major >= 8 ? 1024 : 0);
    if (dynamic_shared > of.most_dynamic_shared) return CUDA_SUCCESS;
    *blocks = std::min({profile.blocks_per_multiprocessor, profile.threads_per_multiprocessor / (32 * warps),
                        registers_per_multiprocessor / (most_registers(of) * 32 * warps)});
    if (shared > 0) *blocks = std::min(*blocks, static_cast<int>(static_cast<std::size_t>(profile.shared_per_multiprocessor) / shared));
    return CUDA_SUCCESS;
  });
}
