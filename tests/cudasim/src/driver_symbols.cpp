// cuGetProcAddress: a function by its name without version suffix, in the newest form that the library has.
#include <dlfcn.h>

#include <cstring>
#include <string>

#include "cudasim/driver.h"

namespace {
constexpr int found = 0, symbol_not_found = 1, version_not_sufficient = 2;  // CUdriverProcAddressQueryResult
}

CUDASIM_API CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, std::uint64_t, int* status) {
  if (symbol == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  int answer = symbol_not_found;
  Dl_info self;
  if (std::strncmp(symbol, "cu", 2) == 0 && std::strncmp(symbol, "cudasim", 7) != 0 && dladdr(reinterpret_cast<void*>(&cuGetProcAddress_v2), &self) != 0) {
    void* library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    for (const char* suffix : {"_v2", ""})
      if (*function == nullptr) *function = dlsym(library, (std::string(symbol) + suffix).c_str());
    dlclose(library);
    if (*function != nullptr) answer = found;
    if (*function != nullptr && version < 11030) *function = nullptr, answer = version_not_sufficient;
  }
  if (status != nullptr) *status = answer;
  // With a place for the status, an unknown name is no error.
  return *function != nullptr || status != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
