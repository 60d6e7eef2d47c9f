// The driver and NVRTC through their C names, as the C# side uses them: two cards in one process, a kernel's numbers, handles,
// limits and leaks.
#include <cmath>
#include <cstring>

#include "cuda_library.hpp"

namespace {

constexpr int rows = 4, width = 130;

// rms_norm_forward on the context's card: copies in, launch, copies out, all in one stream. What is not executed leaves the fill.
void rms_norm(const std::string& image, const std::string& name, bool executed = true) {
  CUmodule module;
  CUfunction function;
  CUstream stream;
  expect(cuModuleLoadDataEx(&module, image.data(), 0, nullptr, nullptr), 0, name + " module");
  expect(cuModuleGetFunction(&function, module, "rms_norm_forward"), 0, name + " function");
  expect(cuModuleGetFunction(&function, module, "no_such_kernel"), CUDA_ERROR_NOT_FOUND, name + " unknown kernel");
  expect(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), 0, name + " stream");
  std::vector<float> x(rows * width), w(width), y(rows * width);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(0.37f * static_cast<float>(i));
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.01f * static_cast<float>(i % 7);
  CUdeviceptr dx, dw, dy;
  expect(cuMemAlloc_v2(&dx, x.size() * 4), 0, name + " allocation");
  expect(cuMemAlloc_v2(&dw, w.size() * 4), 0, name + " allocation");
  expect(cuMemAllocAsync(&dy, y.size() * 4, stream), 0, name + " allocation in the stream");
  expect(cuMemcpyHtoDAsync_v2(dx, x.data(), x.size() * 4, stream), 0, name + " copy");
  expect(cuMemcpyHtoDAsync_v2(dw, w.data(), w.size() * 4, stream), 0, name + " copy");
  expect(cuMemsetD32Async(dy, 0x7fc00000, y.size(), stream), 0, name + " fill");
  int row_count = rows, columns = width;
  float eps = 1e-6f, offset = 1.0f;
  {
    // The argument values are copied at the call.
    int passed = columns;
    void* arguments[] = {&dx, &dw, &dy, &row_count, &passed, &eps, &offset};
    expect(cuLaunchKernel(function, rows, 1, 1, 128, 1, 1, 0, stream, arguments, nullptr), 0, name + " launch");
    passed = 7;
  }
  expect(cuMemcpyDtoHAsync_v2(y.data(), dy, y.size() * 4, stream), 0, name + " copy back");
  expect(cuStreamSynchronize(stream), 0, name + " synchronise");
  for (int row = 0; row < rows; ++row) {
    double squares = 0;
    for (int i = 0; i < width; ++i) squares += static_cast<double>(x[row * width + i]) * x[row * width + i];
    for (int i = 0; i < width; ++i) {
      if (!executed) {
        check(std::isnan(y[row * width + i]), name + ": a number in row " + std::to_string(row));
        continue;
      }
      const double expected = x[row * width + i] / std::sqrt(squares / width + 1e-6) * (1.0 + w[i]);
      check(std::fabs(y[row * width + i] - expected) <= 2e-6, name + ": a wrong number in row " + std::to_string(row));
    }
  }
  expect(cuMemFree_v2(dx), 0, name + " free");
  expect(cuMemFree_v2(dx), CUDA_ERROR_INVALID_VALUE, name + " free twice");
  expect(cuMemFree_v2(dw), 0, name + " free");
  expect(cuMemFreeAsync(dy, stream), 0, name + " free in the stream");
  expect(cuStreamDestroy_v2(stream), 0, name + " stream");
  expect(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE, name + " destroyed stream");
  expect(cuModuleUnload(module), 0, name + " module");
}

}  // namespace

int main() {
  setenv("GEMMACORE_CUDASIM_DEVICE", "gtx1650,a100:random:3", 1);
  int count = 0;
  expect(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED, "a call before cuInit");
  expect(cuInit(0), 0, "cuInit");
  cuDeviceGetCount(&count);
  check(count == 2, "two cards");
  const char* names[] = {"NVIDIA GeForce GTX 1650", "NVIDIA A100-SXM4-80GB"};
  const char* targets[] = {"-arch=sm_75", "-arch=sm_80"};
  for (int ordinal = 0; ordinal < 2; ++ordinal) {
    char name[64];
    cuDeviceGetName(name, sizeof name, ordinal);
    check(std::strcmp(name, names[ordinal]) == 0, std::string("the name ") + name);
    CUcontext context;
    expect(cuDevicePrimaryCtxRetain(&context, ordinal), 0, "context");
    expect(cuCtxSetCurrent(context), 0, "context");
    rms_norm(compiled(KERNELS "/rms_norm.cu", {targets[ordinal], "-DROW_THREADS=128"}), std::string(name) + " cubin");
    rms_norm(compiled(KERNELS "/rms_norm.cu", {"-arch=compute_75", "-DROW_THREADS=128"}), std::string(name) + " PTX");
    const std::string image = compiled(KERNELS "/rms_norm.cu", {targets[ordinal], "-DROW_THREADS=128"});
    const long long launches = cudasim_launch_count(ordinal);
    check(cudasim_execute_launches(ordinal, 1) == 1, "executing one launch");
    rms_norm(image, std::string(name) + " the one launch");
    rms_norm(image, std::string(name) + " a launch behind it", false);
    cudasim_execute_launches(ordinal, -1);
    rms_norm(image, std::string(name) + " all launches again");
    check(cudasim_launch_count(ordinal) == launches + 3, "launches are counted, executed or not");
    CUmodule module;
    const std::string other = compiled(KERNELS "/rms_norm.cu", {targets[1 - ordinal], "-DROW_THREADS=128"});
    expect(cuModuleLoadDataEx(&module, other.data(), 0, nullptr, nullptr), CUDA_ERROR_NO_BINARY_FOR_GPU, "another card's cubin");
    check(cudasim_device_allocations(ordinal) == 0 && cudasim_device_bytes(ordinal) == 0, "device memory leaks");
    check(cudasim_most_device_bytes(ordinal) == 4 * (2 * rows * width + width), "most device bytes");
    check(cudasim_live_handles() == 0, "handles leak");
  }
  for (int ordinal = 0; ordinal < 2; ++ordinal) expect(cuDevicePrimaryCtxRelease_v2(ordinal), 0, "release");
  check(cudasim_execute_launches(0, 1) == 0, "executing launches without a context");
  CUdeviceptr pointer;
  expect(cuMemAlloc_v2(&pointer, 16), CUDA_ERROR_CONTEXT_IS_DESTROYED, "a call in a released context");
  std::printf("%s\n", failures == 0 ? "driver: all right" : "driver: failures above");
  return failures == 0 ? 0 : 1;
}
