// Capture and replay: captured values are fixed, memory is read anew, and a capture forbids what it forbids on hardware.
#include "cuda_library.hpp"

namespace {

std::string image;

void capture(CUstream stream) { expect(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), 0, "begin capture"); }

CUgraphExec instance_of(CUstream stream) {
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  expect(cuStreamEndCapture(stream, &graph), 0, "end capture");
  expect(cuGraphInstantiateWithFlags(&exec, graph, 0), 0, "instantiate");
  expect(cuGraphDestroy(graph), 0, "a graph is not needed once it is instantiated");
  return exec;
}

void replay() {
  OpenCard card(0);
  const CUfunction copy = card.function(image, "past_the_end");
  const CUstream stream = card.stream();
  CUdeviceptr in = card.floats(64), out = card.floats(64);
  const CUdeviceptr first_out = out, elsewhere = card.floats(64);
  std::vector<float> values(64, 1.0f), back(64), other(64);
  cuMemsetD32Async(out, 0, 64, stream);
  cuMemsetD32Async(elsewhere, 0, 64, stream);
  capture(stream);
  expect(cuMemcpyHtoDAsync_v2(in, values.data(), 256, stream), 0, "captured copy");
  void* arguments[] = {&in, &out};
  expect(cuLaunchKernel(copy, 1, 1, 1, 64, 1, 1, 0, stream, arguments, nullptr), 0, "captured launch");
  const CUgraphExec exec = instance_of(stream);
  expect(cuStreamSynchronize(stream), 0, "nothing of a capture runs");
  cuMemcpyDtoH_v2(back.data(), first_out, 256);
  check(back[5] == 0.0f, "nothing of a capture runs");
  // The argument changes after the capture: the replay does not know.
  out = elsewhere;
  for (const float value : {2.0f, 3.0f}) {
    values.assign(64, value);
    expect(cuGraphLaunch(exec, stream), 0, "graph launch");
    expect(cuStreamSynchronize(stream), 0, "graph launch");
    cuMemcpyDtoH_v2(back.data(), first_out, 256);
    cuMemcpyDtoH_v2(other.data(), elsewhere, 256);
    check(back[5] == value && other[5] == 0.0f, "a replay writes where the captured argument said, from memory as it is at the launch");
  }
  expect(cuMemFree_v2(in), 0, "free");
  expect(cuGraphLaunch(exec, stream), 0, "a graph over freed memory is launched");
  expect(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS, "and noticed when it runs");
  expect(cuGraphExecDestroy(exec), CUDA_ERROR_ILLEGAL_ADDRESS, "a lost context says so to every call");
}

void unloaded_module() {
  OpenCard card(0);
  CUmodule module;
  CUfunction copy;
  cuModuleLoadDataEx(&module, image.data(), 0, nullptr, nullptr);
  cuModuleGetFunction(&copy, module, "past_the_end");
  const CUstream stream = card.stream();
  const CUdeviceptr in = card.floats(64), out = card.floats(64);
  capture(stream);
  expect(launch(copy, stream, in, out), 0, "captured launch");
  const CUgraphExec exec = instance_of(stream);
  expect(cuModuleUnload(module), 0, "unload");
  expect(launch(copy, stream, in, out), CUDA_ERROR_INVALID_HANDLE, "a function of an unloaded module");
  cuGraphLaunch(exec, stream);
  expect(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_PC, "a graph over an unloaded module");
}

// Each refusal spoils its capture.
template <typename Call> void forbidden(const char* what, CUresult code, unsigned stream_flags, Call call) {
  OpenCard card(0);
  const CUstream stream = card.stream(stream_flags);
  CUgraph graph;
  capture(stream);
  expect(call(card, stream), code, what);
  expect(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, std::string(what) + " spoils the capture");
  expect(cuStreamSynchronize(stream), 0, std::string(what) + " leaves the context whole");
}

}  // namespace

int main() {
  setenv("GEMMACORE_CUDASIM_DEVICE", "h200", 1);
  cuInit(0);
  image = compiled(PLANTED "/planted.cu", {"-arch=sm_90"});
  replay();
  unloaded_module();
  CUdeviceptr pointer;
  forbidden("synchronising", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CU_STREAM_NON_BLOCKING, [](OpenCard&, CUstream stream) { return cuStreamSynchronize(stream); });
  forbidden("allocating", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CU_STREAM_NON_BLOCKING, [&](OpenCard&, CUstream) { return cuMemAlloc_v2(&pointer, 64); });
  forbidden("allocating in the stream", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, CU_STREAM_NON_BLOCKING, [&](OpenCard&, CUstream stream) { return cuMemAllocAsync(&pointer, 64, stream); });
  forbidden("an event from outside", CUDA_ERROR_STREAM_CAPTURE_ISOLATION, CU_STREAM_NON_BLOCKING, [](OpenCard& card, CUstream stream) {
    CUevent event;
    cuEventCreate(&event, 0);
    cuEventRecord(event, card.stream());
    return cuStreamWaitEvent(stream, event, 0);
  });
  forbidden("the legacy stream beside a blocking one", CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 0, [&](OpenCard&, CUstream) {
    CUevent event;
    cuEventCreate(&event, 0);
    return cuEventRecord(event, nullptr);
  });
  CUgraph graph;
  {
    OpenCard card(0);
    expect(cuStreamEndCapture(card.stream(), &graph), CUDA_ERROR_ILLEGAL_STATE, "the end of no capture");
    expect(cuStreamBeginCapture_v2(nullptr, 0), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "capture of the legacy stream");
  }
  void* function = nullptr;
  int status = -1;
  expect(cuGetProcAddress_v2("cuMemAlloc", &function, 12040, 0, &status), 0, "cuGetProcAddress");
  check(function != nullptr && status == 0, "cuMemAlloc is found without its suffix");
  cuGetProcAddress_v2("cuNoSuchCall", &function, 12040, 0, &status);
  check(function == nullptr && status == 1, "an unknown name is not found");
  std::printf("%s\n", failures == 0 ? "graphs: all right" : "graphs: failures above");
  return failures == 0 ? 0 : 1;
}
