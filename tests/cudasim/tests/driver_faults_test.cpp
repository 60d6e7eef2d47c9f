// Failures that a test asks for: a planted code at the k-th call, a card that is full, and threads that share a card.
#include <thread>

#include "cuda_library.hpp"

namespace {

void planted_failures() {
  OpenCard card(0);
  CUdeviceptr pointer = 0;
  cudasim_fail_call(2, CUDA_ERROR_OUT_OF_MEMORY);
  expect(cuMemAlloc_v2(&pointer, 64), 0, "the call before the planted one");
  int version = 0;
  cuDeviceGetAttribute(&version, 75, 0);  // cannot fail, does not count
  CUdeviceptr second = 0;
  expect(cuMemAlloc_v2(&second, 64), CUDA_ERROR_OUT_OF_MEMORY, "the planted call");
  check(second == 0 && cudasim_device_allocations(0) == 1, "a planted failure does nothing");
  expect(cuMemAlloc_v2(&second, 64), 0, "the call after it");
  const long long calls = cudasim_call_count();
  expect(cuCtxSynchronize(), 0, "synchronise");
  check(cudasim_call_count() == calls + 1, "calls are counted");
  cudasim_fail_call(1, CUDA_ERROR_LAUNCH_FAILED);
  expect(cuMemsetD8Async(pointer, 0, 64, nullptr), CUDA_ERROR_LAUNCH_FAILED, "a planted loss");
  expect(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED, "the context is lost for good");
  expect(cuMemFree_v2(pointer), CUDA_ERROR_LAUNCH_FAILED, "free in a lost context");
  expect(cuMemFree_v2(second), CUDA_ERROR_LAUNCH_FAILED, "free in a lost context");
  check(cudasim_device_allocations(0) == 0, "what a lost context was told to free does not count as a leak");
  expect(cuDevicePrimaryCtxRelease_v2(0), 0, "release");
  CUcontext context;
  expect(cuDevicePrimaryCtxRetain(&context, 0), 0, "retain");
  expect(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED, "a new context of a lost card is lost");
}

void full_card() {
  OpenCard card(0);
  std::size_t free_bytes = 0, total = 0;
  cuMemGetInfo_v2(&free_bytes, &total);
  check(total == 1 << 20 && free_bytes == total, "GEMMACORE_CUDASIM_MEMORY is the card's memory");
  CUdeviceptr most, more = 0;
  CUstream stream = card.stream();
  expect(cuMemAllocAsync(&most, 1 << 20, stream), 0, "all of the memory");
  expect(cuMemAlloc_v2(&more, 1), CUDA_ERROR_OUT_OF_MEMORY, "one byte more");
  cuMemFreeAsync(most, stream);
  expect(cuMemAlloc_v2(&more, 4096), 0, "memory whose free is still in a stream");
  cuMemGetInfo_v2(&free_bytes, &total);
  check(free_bytes == (1 << 20) - 4096, "free bytes");
  void* host = nullptr;
  expect(cuMemHostAlloc(&host, 4096, 0), 0, "page-locked memory");
  check(cudasim_pinned_allocations() == 1, "page-locked memory is counted");
  expect(cuMemFreeHost(host), 0, "page-locked memory");
  expect(cuMemFreeHost(host), CUDA_ERROR_INVALID_VALUE, "page-locked memory freed twice");
  check(cudasim_pinned_allocations() == 0, "page-locked memory is given back");
}

// Threads that share a card: each has its own stream and memory.
void threads() {
  OpenCard card(1);
  const std::string image = compiled(PLANTED "/planted.cu", {"-arch=sm_75"});
  const CUfunction copy = card.function(image, "overwritten_tile");
  std::vector<std::thread> running;
  std::vector<int> wrong(4, 0);
  for (int index = 0; index < 4; ++index)
    running.emplace_back([&, index] {
      cuCtxSetCurrent(card.context);
      const CUstream stream = card.stream();
      const CUdeviceptr in = card.floats(64), out = card.floats(64);
      for (int round = 0; round < 20; ++round) {
        const std::vector<float> values(64, static_cast<float>(100 * index + round));
        std::vector<float> back(64);
        cuMemcpyHtoDAsync_v2(in, values.data(), 256, stream);
        launch(copy, stream, in, out);
        cuMemcpyDtoHAsync_v2(back.data(), out, 256, stream);
        if (cuStreamSynchronize(stream) != 0 || back != values) ++wrong[static_cast<std::size_t>(index)];
      }
    });
  for (std::thread& thread : running) thread.join();
  for (const int count : wrong) check(count == 0, "threads disturb each other");
  CUcontext current = nullptr;
  std::thread([&] { cuCtxGetCurrent(&current); }).join();
  check(current == nullptr, "a new thread has no context");
}

void polling() {
  OpenCard card(1);
  const CUstream stream = card.stream();
  const CUdeviceptr memory = card.floats(64);
  CUevent event;
  float milliseconds = -1;
  cuEventCreate(&event, 0);
  expect(cuEventElapsedTime(&milliseconds, event, event), CUDA_ERROR_INVALID_HANDLE, "time of an event that was never recorded");
  for (int i = 0; i < 10; ++i) cuMemsetD32Async(memory, 0, 64, stream);
  cuEventRecord(event, stream);
  expect(cuStreamQuery(stream), CUDA_ERROR_NOT_READY, "a stream with work");
  int questions = 0;
  while (cuEventQuery(event) == CUDA_ERROR_NOT_READY && questions < 100) ++questions;
  check(questions > 0 && questions < 100, "asking lets work go on");
  expect(cuEventElapsedTime(&milliseconds, event, event), 0, "time");
  check(milliseconds == 0.0f, "no time passes between an event and itself");
}

}  // namespace

int main() {
  setenv("GEMMACORE_CUDASIM_DEVICE", "t4,gtx1650", 1);
  setenv("GEMMACORE_CUDASIM_MEMORY", "1048576", 1);
  setenv("GEMMACORE_CUDASIM_FAIL", "1:100", 1);
  expect(cuInit(0), CUDA_ERROR_NO_DEVICE, "a failure planted by the environment");
  unsetenv("GEMMACORE_CUDASIM_FAIL");
  setenv("GEMMACORE_CUDASIM_DEVICE", "t4,voodoo2", 1);
  expect(cuInit(0), CUDA_ERROR_NO_DEVICE, "a card that there is not");
  setenv("GEMMACORE_CUDASIM_DEVICE", "t4,gtx1650", 1);
  expect(cuInit(0), 0, "cuInit");
  planted_failures();
  full_card();
  threads();
  polling();
  std::printf("%s\n", failures == 0 ? "driver faults: all right" : "driver faults: failures above");
  return failures == 0 ? 0 : 1;
}
