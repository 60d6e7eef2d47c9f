// The simulator as a program finds it: opened by path, every entry point resolved by name.
#pragma once

#include "kernel_headers.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cudasim/driver.h"

inline void* open_cuda_library() {
  void* library = dlopen(CUDASIM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) std::fprintf(stderr, "%s\n", dlerror()), std::exit(1);
  return library;
}

// One entry point; a missing one ends the test.
template <typename Signature> class Entry;
template <typename Result, typename... Arguments> class Entry<Result(Arguments...)> {
 public:
  explicit Entry(const char* name) {
    static void* const library = open_cuda_library();
    function_ = reinterpret_cast<Result (*)(Arguments...)>(dlsym(library, name));
    if (function_ == nullptr) std::fprintf(stderr, "no %s in the library\n", name), std::exit(1);
  }
  Result operator()(Arguments... arguments) const { return function_(arguments...); }

 private:
  Result (*function_)(Arguments...);
};

#define ENTRY(name, ...) inline const Entry<CUresult(__VA_ARGS__)> name{#name}
ENTRY(cuInit, unsigned);
ENTRY(cuDeviceGetCount, int*);
ENTRY(cuDeviceGet, CUdevice*, int);
ENTRY(cuDeviceGetName, char*, int, CUdevice);
ENTRY(cuDeviceGetAttribute, int*, int, CUdevice);
ENTRY(cuDeviceTotalMem_v2, std::size_t*, CUdevice);
ENTRY(cuDevicePrimaryCtxRetain, CUcontext*, CUdevice);
ENTRY(cuDevicePrimaryCtxRelease_v2, CUdevice);
ENTRY(cuCtxSetCurrent, CUcontext);
ENTRY(cuCtxGetCurrent, CUcontext*);
ENTRY(cuCtxSynchronize);
ENTRY(cuModuleLoadDataEx, CUmodule*, const void*, unsigned, int*, void**);
ENTRY(cuModuleUnload, CUmodule);
ENTRY(cuModuleGetFunction, CUfunction*, CUmodule, const char*);
ENTRY(cuFuncSetAttribute, CUfunction, int, int);
ENTRY(cuFuncGetAttribute, int*, int, CUfunction);
ENTRY(cuOccupancyMaxActiveBlocksPerMultiprocessor, int*, CUfunction, int, std::size_t);
ENTRY(cuMemAlloc_v2, CUdeviceptr*, std::size_t);
ENTRY(cuMemFree_v2, CUdeviceptr);
ENTRY(cuMemAllocAsync, CUdeviceptr*, std::size_t, CUstream);
ENTRY(cuMemFreeAsync, CUdeviceptr, CUstream);
ENTRY(cuMemHostAlloc, void**, std::size_t, unsigned);
ENTRY(cuMemFreeHost, void*);
ENTRY(cuMemGetInfo_v2, std::size_t*, std::size_t*);
ENTRY(cuMemcpyHtoD_v2, CUdeviceptr, const void*, std::size_t);
ENTRY(cuMemcpyDtoH_v2, void*, CUdeviceptr, std::size_t);
ENTRY(cuMemcpyHtoDAsync_v2, CUdeviceptr, const void*, std::size_t, CUstream);
ENTRY(cuMemcpyDtoHAsync_v2, void*, CUdeviceptr, std::size_t, CUstream);
ENTRY(cuMemcpyDtoDAsync_v2, CUdeviceptr, CUdeviceptr, std::size_t, CUstream);
ENTRY(cuMemsetD8Async, CUdeviceptr, unsigned char, std::size_t, CUstream);
ENTRY(cuMemsetD32Async, CUdeviceptr, unsigned, std::size_t, CUstream);
ENTRY(cuStreamCreate, CUstream*, unsigned);
ENTRY(cuStreamDestroy_v2, CUstream);
ENTRY(cuStreamSynchronize, CUstream);
ENTRY(cuStreamQuery, CUstream);
ENTRY(cuStreamWaitEvent, CUstream, CUevent, unsigned);
ENTRY(cuEventCreate, CUevent*, unsigned);
ENTRY(cuEventRecord, CUevent, CUstream);
ENTRY(cuEventSynchronize, CUevent);
ENTRY(cuEventElapsedTime, float*, CUevent, CUevent);
ENTRY(cuEventDestroy_v2, CUevent);
ENTRY(cuEventQuery, CUevent);
ENTRY(cuStreamBeginCapture_v2, CUstream, int);
ENTRY(cuStreamEndCapture, CUstream, CUgraph*);
ENTRY(cuGraphInstantiateWithFlags, CUgraphExec*, CUgraph, unsigned long long);
ENTRY(cuGraphLaunch, CUgraphExec, CUstream);
ENTRY(cuGraphExecDestroy, CUgraphExec);
ENTRY(cuGraphDestroy, CUgraph);
ENTRY(cuGetProcAddress_v2, const char*, void**, int, std::uint64_t, int*);
ENTRY(cuLaunchKernel, CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void**, void**);
#undef ENTRY

using Program = void*;
#define ENTRY(name, ...) inline const Entry<int(__VA_ARGS__)> name{#name}
ENTRY(nvrtcCreateProgram, Program*, const char*, const char*, int, const char* const*, const char* const*);
ENTRY(nvrtcCompileProgram, Program, int, const char* const*);
ENTRY(nvrtcDestroyProgram, Program*);
ENTRY(nvrtcGetCUBINSize, Program, std::size_t*);
ENTRY(nvrtcGetCUBIN, Program, char*);
ENTRY(nvrtcGetPTXSize, Program, std::size_t*);
ENTRY(nvrtcGetPTX, Program, char*);
ENTRY(nvrtcGetProgramLogSize, Program, std::size_t*);
ENTRY(nvrtcGetProgramLog, Program, char*);
#undef ENTRY

inline const Entry<int(int)> cudasim_device_allocations{"cudasim_device_allocations"};
inline const Entry<long long(int)> cudasim_device_bytes{"cudasim_device_bytes"}, cudasim_most_device_bytes{"cudasim_most_device_bytes"};
inline const Entry<int()> cudasim_pinned_allocations{"cudasim_pinned_allocations"}, cudasim_live_handles{"cudasim_live_handles"};
inline const Entry<long long()> cudasim_call_count{"cudasim_call_count"};
inline const Entry<int(char*, int)> cudasim_report_text{"cudasim_last_report"};
inline const Entry<void(long long, int)> cudasim_fail_call{"cudasim_fail_call"};
inline const Entry<long long(int)> cudasim_launch_count{"cudasim_launch_count"};
inline const Entry<int(int, long long)> cudasim_execute_launches{"cudasim_execute_launches"};
inline const Entry<int(int)> cudasim_revive{"cudasim_revive"};

inline std::string last_report() {
  char text[1024];
  cudasim_report_text(text, sizeof text);
  return text;
}

// The image of a kernel file (its path) for `options`; "-arch=compute_XX" gives PTX. Ends the test when it does not compile.
inline std::string compiled(const std::string& path, std::vector<const char*> options) {
  const std::string source = text_of(path), name = path.substr(path.rfind('/') + 1);
  const KernelHeaders headers;
  options.push_back("-std=c++17");
  Program program = nullptr;
  nvrtcCreateProgram(&program, source.c_str(), name.c_str(), headers.count(), headers.texts.data(), headers.names.data());
  const int result = nvrtcCompileProgram(program, static_cast<int>(options.size()), options.data());
  std::size_t bytes = 0;
  nvrtcGetProgramLogSize(program, &bytes);
  std::string log(bytes, 0);
  nvrtcGetProgramLog(program, log.data());
  if (result != 0) std::fprintf(stderr, "%s does not compile:\n%s\n", name.c_str(), log.c_str()), std::exit(1);
  nvrtcGetCUBINSize(program, &bytes);
  const bool cubin = bytes > 0;
  if (!cubin) nvrtcGetPTXSize(program, &bytes);
  std::string image(bytes, 0);
  (cubin ? nvrtcGetCUBIN : nvrtcGetPTX)(program, image.data());
  nvrtcDestroyProgram(&program);
  return image;
}

// One card, its context and what a test launches; gone with the object, and a lost card is given back.
struct OpenCard {
  explicit OpenCard(int ordinal_) : ordinal(ordinal_) {
    cuDevicePrimaryCtxRetain(&context, ordinal);
    cuCtxSetCurrent(context);
  }
  ~OpenCard() {
    cuDevicePrimaryCtxRelease_v2(ordinal);
    cudasim_revive(ordinal);
  }
  OpenCard(const OpenCard&) = delete;
  OpenCard& operator=(const OpenCard&) = delete;

  CUfunction function(const std::string& image, const char* name) {
    CUmodule module = nullptr;
    CUfunction found = nullptr;
    cuModuleLoadDataEx(&module, image.data(), 0, nullptr, nullptr);
    cuModuleGetFunction(&found, module, name);
    return found;
  }
  CUdeviceptr floats(std::size_t count) {
    CUdeviceptr pointer = 0;
    cuMemAlloc_v2(&pointer, count * sizeof(float));
    return pointer;
  }
  CUstream stream(unsigned flags = CU_STREAM_NON_BLOCKING) {
    CUstream made = nullptr;
    cuStreamCreate(&made, flags);
    return made;
  }

  int ordinal;
  CUcontext context = nullptr;
};

// A kernel of planted.cu: (in, out), one block of 64 threads unless said otherwise.
inline CUresult launch(CUfunction function, CUstream stream, CUdeviceptr in, CUdeviceptr out, unsigned grid = 1, unsigned threads = 64, unsigned shared = 0) {
  void* arguments[] = {&in, &out};
  return cuLaunchKernel(function, grid, 1, 1, threads, 1, 1, shared, stream, arguments, nullptr);
}

inline int failures = 0;
inline void check(bool right, const std::string& what) {
  if (!right) std::printf("FAILED: %s\n", what.c_str()), ++failures;
}
inline void expect(int found, int expected, const std::string& what) {
  check(found == expected, what + ": code " + std::to_string(found) + ", expected " + std::to_string(expected) + " (" + last_report() + ")");
}
