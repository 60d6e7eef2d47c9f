// Capture of one stream into a graph, and its replay. What was captured is fixed: argument values and addresses; the
// memory behind the addresses is read anew at each launch.
#include "driver_state.hpp"

using namespace cudasim;

CUresult Driver::spoil(Capture& capture, CUresult code, const std::string& why) {
  capture.invalidated = true;
  return refuse(code, why);
}

CUresult Driver::outside_capture(const char* call) {
  CUresult refused = CUDA_SUCCESS;
  streams.for_each([&](CUstream_st& stream) {
    if (stream.capture == nullptr) return;
    Capture& capture = *stream.capture;
    const bool mine = capture.thread == std::this_thread::get_id();
    if (mine ? capture.mode == CU_STREAM_CAPTURE_MODE_RELAXED : capture.mode != CU_STREAM_CAPTURE_MODE_GLOBAL) return;
    refused = spoil(capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, std::string(call) + " while a stream is capturing");
  });
  return refused;
}

void Driver::drop_captures(CUctx_st& context) {
  streams.for_each([&](CUstream_st& stream) {
    if (stream.context == &context) stream.capture.reset();
  });
}

CUresult Driver::not_capturing(CUstream_st& stream, const char* call) {
  if (stream.capture != nullptr)
    return spoil(*stream.capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, std::string(call) + " on a capturing stream");
  CUresult refused = CUDA_SUCCESS;
  if (stream.index == 0)
    streams.for_each([&](CUstream_st& other) {
      if (other.context == stream.context && other.blocking && other.capture != nullptr)
        refused = spoil(*other.capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
                        std::string(call) + " on the legacy stream, which would wait for a blocking stream that is capturing");
    });
  return refused;
}

CUresult Driver::submit(CUstream_st& stream, const std::string& name, Issue issue) {
  if (stream.capture != nullptr) {
    if (stream.capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream.capture->nodes.push_back({name, std::move(issue)});
    return CUDA_SUCCESS;
  }
  if (const CUresult refused = not_capturing(stream, name.c_str())) return refused;
  stream.context->card->streams.enqueue(stream.index, name, issue());
  return CUDA_SUCCESS;
}

CUresult Driver::submit(CUstream_st& stream, const std::string& name, Work work) {
  return submit(stream, name, Issue([work = std::move(work)] { return work; }));
}

CUDASIM_API CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  return context_call("cuStreamBeginCapture_v2", [&](Driver& driver, CUctx_st& context) {
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
    if (on->index == 0) return driver.refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamBeginCapture: the legacy stream cannot be captured");
    if (on->capture != nullptr) return driver.refuse(CUDA_ERROR_ILLEGAL_STATE, "cuStreamBeginCapture: the stream is capturing already");
    on->capture = std::make_shared<Capture>(Capture{mode, std::this_thread::get_id()});
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  return context_call("cuStreamEndCapture", [&](Driver& driver, CUctx_st& context) {
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (on->capture == nullptr) return driver.refuse(CUDA_ERROR_ILLEGAL_STATE, "cuStreamEndCapture: the stream is not capturing");
    if (on->capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && on->capture->thread != std::this_thread::get_id())
      return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    const std::shared_ptr<Capture> capture = std::move(on->capture);
    on->capture = nullptr;
    *graph = nullptr;
    if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    *graph = driver.graphs.make(&context, capture->nodes);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  return context_call("cuGraphInstantiateWithFlags", [&](Driver& driver, CUctx_st& context) {
    if (exec == nullptr || !driver.graphs.live(graph)) return CUDA_ERROR_INVALID_VALUE;
    *exec = driver.graph_execs.make(&context, graph->nodes);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  return context_call("cuGraphLaunch", [&](Driver& driver, CUctx_st& context) {
    if (!driver.graph_execs.live(exec) || exec->context != &context) return CUDA_ERROR_INVALID_VALUE;
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    for (const GraphNode& node : exec->nodes)
      if (const CUresult refused = driver.submit(*on, node.name, node.issue)) return refused;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuGraphExecDestroy(CUgraphExec exec) {
  return context_call("cuGraphExecDestroy", [&](Driver& driver, CUctx_st&) {
    if (!driver.graph_execs.live(exec)) return CUDA_ERROR_INVALID_VALUE;
    exec->nodes.clear();
    driver.graph_execs.drop(exec);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}

CUDASIM_API CUresult cuGraphDestroy(CUgraph graph) {
  return context_call("cuGraphDestroy", [&](Driver& driver, CUctx_st&) {
    if (!driver.graphs.live(graph)) return CUDA_ERROR_INVALID_VALUE;
    graph->nodes.clear();
    driver.graphs.drop(graph);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}
