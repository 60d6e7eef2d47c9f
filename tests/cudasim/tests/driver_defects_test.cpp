// Defects in the use of the driver, each with its right twin: what the driver refuses at the call, what only shows when a
// stream gets there, and which code the program reads.
#include <cstring>

#include "cuda_library.hpp"

namespace {

std::string clean, planted;

void report_begins(const std::string& with, const std::string& what) {
  check(last_report().find(with) != std::string::npos, what + ": reported '" + last_report() + "', expected '" + with + "'");
}

// The code that synchronising gives after a defect; and the context stays lost.
void lost_with(CUresult code, const std::string& report, const std::string& what) {
  expect(cuCtxSynchronize(), code, what);
  report_begins(report, what);
  CUdeviceptr pointer;
  expect(cuMemAlloc_v2(&pointer, 64), code, what + ", and the context is lost");
}

void kernel_defect(const char* kernel, CUresult code, const std::string& report) {
  for (const bool wrong : {false, true}) {
    OpenCard card(0);
    const CUdeviceptr in = card.floats(64), out = card.floats(64);
    std::vector<float> values(64, 1.0f);
    cuMemcpyHtoD_v2(in, values.data(), 256);
    expect(launch(card.function(wrong ? planted : clean, kernel), nullptr, in, out), 0, std::string(kernel) + " launch");
    if (wrong) lost_with(code, report, kernel);
    else expect(cuCtxSynchronize(), 0, std::string(kernel) + " without its defect");
  }
}

void streams_without_event() {
  for (const bool wrong : {false, true}) {
    OpenCard card(0);
    const CUfunction copy = card.function(clean, "past_the_end");
    const CUdeviceptr a = card.floats(64), b = card.floats(64), c = card.floats(64);
    const CUstream first = card.stream(), second = card.stream();
    CUevent event;
    cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
    cuMemsetD32Async(a, 0, 64, first);
    launch(copy, first, a, b);
    cuEventRecord(event, first);
    if (!wrong) cuStreamWaitEvent(second, event, 0);
    launch(copy, second, b, c);
    if (wrong) lost_with(CUDA_ERROR_LAUNCH_FAILED, "unordered streams", "two streams without an event");
    else expect(cuCtxSynchronize(), 0, "two streams with an event");
  }
}

// cuMemcpyHtoD from pageable memory is ordered for the default stream, not for a non-blocking one.
void staged_copy() {
  for (const bool wrong : {false, true}) {
    OpenCard card(0);
    const CUdeviceptr in = card.floats(64), out = card.floats(64);
    std::vector<float> values(64, 1.0f);
    cuMemcpyHtoD_v2(in, values.data(), 256);
    if (!wrong) cuStreamSynchronize(nullptr);
    launch(card.function(clean, "past_the_end"), card.stream(), in, out);
    if (wrong) lost_with(CUDA_ERROR_LAUNCH_FAILED, "unordered streams", "a staged copy is used in a non-blocking stream");
    else expect(cuCtxSynchronize(), 0, "a staged copy is waited for");
  }
}

void host_memory_of_copies() {
  for (const bool wrong : {false, true}) {
    OpenCard card(0);
    const CUdeviceptr a = card.floats(64);
    const CUstream stream = card.stream();
    std::vector<float> values(64, 1.0f), back(64, 0.0f);
    cuMemcpyHtoDAsync_v2(a, values.data(), 256, stream);
    if (!wrong) cuStreamSynchronize(stream);
    values[3] = 5.0f;
    if (wrong) {
      lost_with(CUDA_ERROR_LAUNCH_FAILED, "host memory of an unfinished copy", "the host buffer is reused too early");
      continue;
    }
    // Read before the stream got there, the host buffer still has its old contents.
    cuMemcpyDtoHAsync_v2(back.data(), a, 256, stream);
    check(back[3] == 0.0f, "an asynchronous copy to the host is not done at the call");
    expect(cuStreamSynchronize(stream), 0, "the host buffer is reused in time");
    check(back[3] == 1.0f, "the copy arrives");
  }
}

void freed_memory() {
  for (const bool wrong : {false, true}) {
    OpenCard card(0);
    const CUfunction copy = card.function(clean, "past_the_end");
    const CUdeviceptr in = card.floats(64), out = card.floats(64);
    cuMemsetD32Async(in, 0, 64, nullptr);
    if (wrong) expect(cuMemFree_v2(in), 0, "free");
    launch(copy, nullptr, in, out);
    if (wrong) lost_with(CUDA_ERROR_ILLEGAL_ADDRESS, "used after it was freed", "use after free");
    else expect(cuCtxSynchronize(), 0, "use before free");
  }
  for (const bool wrong : {false, true}) {
    OpenCard card(0);
    const CUstream first = card.stream(), second = card.stream();
    CUdeviceptr memory;
    cuMemAllocAsync(&memory, 256, first);
    if (!wrong) cuStreamSynchronize(first);
    cuMemsetD8Async(memory, 0, 256, second);
    if (wrong) lost_with(CUDA_ERROR_LAUNCH_FAILED, "before its cuMemAllocAsync", "use in a stream that does not wait for the allocation");
    else expect(cuCtxSynchronize(), 0, "use after the allocation");
  }
}

void refused_at_the_call() {
  OpenCard card(0);
  const CUfunction copy = card.function(clean, "past_the_end");
  const CUdeviceptr in = card.floats(64), out = card.floats(64);
  expect(launch(copy, nullptr, in, out, 0), CUDA_ERROR_INVALID_VALUE, "an empty grid");
  expect(launch(copy, nullptr, in, out, 1, 96), CUDA_ERROR_INVALID_VALUE, "more threads than the launch bound");
  report_begins("launch bound is 64", "more threads than the launch bound");
  expect(launch(copy, nullptr, in, out, 1, 2048), CUDA_ERROR_INVALID_VALUE, "more threads than a block has");
  expect(launch(copy, nullptr, in, out, 1, 64, 48 * 1024 + 4), CUDA_ERROR_INVALID_VALUE, "dynamic shared memory without the attribute");
  expect(cuFuncSetAttribute(copy, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 164 * 1024), CUDA_ERROR_INVALID_VALUE, "more shared memory than an A100's block has");
  expect(cuFuncSetAttribute(copy, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 163 * 1024), 0, "an A100's shared memory");
  void* arguments[] = {const_cast<CUdeviceptr*>(&in), const_cast<CUdeviceptr*>(&out)};
  expect(cuLaunchKernel(copy, 1, 65536, 1, 64, 1, 1, 0, nullptr, arguments, nullptr), CUDA_ERROR_INVALID_VALUE, "a grid of 65536 in y");
  expect(cuLaunchKernel(copy, 1, 1, 1, 64, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_ERROR_INVALID_VALUE, "no arguments");
  char text[8];
  expect(cuMemcpyDtoH_v2(text, in + 252, 8), CUDA_ERROR_INVALID_VALUE, "a copy past the end");
  expect(cuMemsetD32Async(in + 2, 0, 1, nullptr), CUDA_ERROR_INVALID_VALUE, "a misaligned fill");
  expect(launch(copy, reinterpret_cast<CUstream>(text), in, out), CUDA_ERROR_INVALID_HANDLE, "a stream that is none");
  CUmodule module;
  expect(cuModuleLoadDataEx(&module, "not an image, but text", 0, nullptr, nullptr), CUDA_ERROR_INVALID_IMAGE, "an image that is none");
  // None of these harms the context.
  cuMemsetD32Async(in, 0, 64, nullptr);
  expect(launch(copy, nullptr, in, out, 1, 64, 163 * 1024), 0, "a right launch after all refusals");
  expect(cuCtxSynchronize(), 0, "the context is whole");
}

}  // namespace

int main() {
  setenv("GEMMACORE_CUDASIM_DEVICE", "a100:random:5", 1);
  cuInit(0);
  clean = compiled(PLANTED "/planted.cu", {"-arch=sm_80"});
  planted = compiled(PLANTED "/planted.cu", {"-arch=sm_80", "-DPLANTED"});
  kernel_defect("misaligned_vector", CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned access");
  kernel_defect("past_the_end", CUDA_ERROR_ILLEGAL_ADDRESS, "out of bounds");
  kernel_defect("divergent_shuffle", CUDA_ERROR_LAUNCH_FAILED, "divergent warp collective");
  kernel_defect("missing_barrier", CUDA_ERROR_LAUNCH_FAILED, "");
  streams_without_event();
  staged_copy();
  host_memory_of_copies();
  freed_memory();
  refused_at_the_call();
  std::printf("%s\n", failures == 0 ? "driver defects: every one noticed" : "driver defects: failures above");
  return failures == 0 ? 0 : 1;
}
