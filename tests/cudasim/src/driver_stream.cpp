// Streams and events. Work that was asked for runs when something waits for it, or bit by bit when something asks whether
// it is done.
#include <chrono>

#include "driver_state.hpp"

using namespace cudasim;

namespace {

// Runs `body` on the stream that the handle means.
template <typename Body> CUresult stream_call(const char* call, CUstream handle, Body body) {
  return context_call(call, [&](Driver& driver, CUctx_st& context) -> CUresult {
    CUstream_st* stream = driver.stream(context, handle);
    return stream != nullptr ? body(driver, context, *stream) : CUDA_ERROR_INVALID_HANDLE;
  });
}

template <typename Body> CUresult event_call(const char* call, CUevent event, Body body, WhenLost when_lost = WhenLost::refuse) {
  return context_call(call, [&](Driver& driver, CUctx_st& context) -> CUresult {
    return driver.events.live(event) ? body(driver, context) : CUDA_ERROR_INVALID_HANDLE;
  }, when_lost);
}

Streams& streams_of(CUevent event) { return event->context->card->streams; }
// An event of a capture stands for no moment that the host could ask about.
CUresult not_captured(Driver& driver, CUevent event, const char* call) {
  if (event->captured == nullptr) return CUDA_SUCCESS;
  return driver.spoil(*event->captured, CUDA_ERROR_CAPTURED_EVENT, std::string(call) + ": the event was recorded in a capturing stream");
}

bool done(CUevent event) { return event->record == nullptr || streams_of(event).finished(event->record->known); }

}  // namespace

CUDASIM_API CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return context_call("cuStreamCreate", [&](Driver& driver, CUctx_st& context) {
    if (stream == nullptr || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    const bool blocking = flags != CU_STREAM_NON_BLOCKING;
    *stream = driver.streams.make(&context, context.card->streams.create(blocking), blocking);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuStreamDestroy_v2(CUstream stream) {
  return context_call("cuStreamDestroy_v2", [&](Driver& driver, CUctx_st& context) {
    if (!driver.streams.live(stream) || stream->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    context.card->streams.destroy(stream->index);
    driver.streams.drop(stream);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}

CUDASIM_API CUresult cuStreamSynchronize(CUstream stream) {
  return stream_call("cuStreamSynchronize", stream, [](Driver& driver, CUctx_st& context, CUstream_st& on) {
    if (const CUresult refused = driver.not_capturing(on, "cuStreamSynchronize")) return refused;
    context.card->streams.drain_stream(on.index);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuStreamQuery(CUstream stream) {
  return stream_call("cuStreamQuery", stream, [](Driver& driver, CUctx_st& context, CUstream_st& on) {
    if (const CUresult refused = driver.not_capturing(on, "cuStreamQuery")) return refused;
    Streams& streams = context.card->streams;
    if (!streams.poll(streams.tail(on.index))) return CUDA_ERROR_NOT_READY;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  return stream_call("cuStreamWaitEvent", stream, [&](Driver& driver, CUctx_st& context, CUstream_st& on) {
    if (!driver.events.live(event)) return CUDA_ERROR_INVALID_HANDLE;
    if (flags > 1) return CUDA_ERROR_INVALID_VALUE;
    if (on.capture != nullptr) {
      if (event->captured == on.capture) return CUDA_SUCCESS;  // its own event: a straight line is in order anyway
      return driver.spoil(*on.capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "cuStreamWaitEvent: a capturing stream may not wait for an event from outside");
    }
    if (event->captured != nullptr)
      return driver.spoil(*event->captured, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamWaitEvent: the simulator captures one stream, not several that join");
    if (event->record == nullptr) return CUDA_SUCCESS;
    if (event->context == &context) context.card->streams.wait_event(on.index, *event->record);
    else streams_of(event).drain(event->record->known);  // another card's work: done before this stream goes on
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return context_call("cuEventCreate", [&](Driver& driver, CUctx_st& context) {
    if (event == nullptr || flags > (CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING)) return CUDA_ERROR_INVALID_VALUE;
    *event = driver.events.make(&context, flags);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuEventRecord(CUevent event, CUstream stream) {
  return stream_call("cuEventRecord", stream, [&](Driver& driver, CUctx_st& context, CUstream_st& on) {
    if (!driver.events.live(event) || event->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    event->captured = on.capture;
    if (on.capture != nullptr) return on.capture->invalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
    if (const CUresult refused = driver.not_capturing(on, "cuEventRecord")) return refused;
    event->record = std::make_shared<Event>();
    context.card->streams.record(on.index, event->record);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuEventSynchronize(CUevent event) {
  return event_call("cuEventSynchronize", event, [&](Driver& driver, CUctx_st&) {
    if (const CUresult refused = not_captured(driver, event, "cuEventSynchronize")) return refused;
    if (event->record != nullptr) streams_of(event).drain(event->record->known);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuEventQuery(CUevent event) {
  return event_call("cuEventQuery", event, [&](Driver& driver, CUctx_st&) {
    if (const CUresult refused = not_captured(driver, event, "cuEventQuery")) return refused;
    if (event->record == nullptr || streams_of(event).poll(event->record->known)) return CUDA_SUCCESS;
    return CUDA_ERROR_NOT_READY;
  });
}

CUDASIM_API CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return event_call("cuEventElapsedTime", end, [&](Driver& driver, CUctx_st&) {
    if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!driver.events.live(start) || start->context != end->context || ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)) return CUDA_ERROR_INVALID_HANDLE;
    for (const CUevent event : {start, end})
      if (const CUresult refused = not_captured(driver, event, "cuEventElapsedTime")) return refused;
    if (start->record == nullptr || end->record == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (!done(start) || !done(end)) return CUDA_ERROR_NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(end->record->time - start->record->time).count();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuEventDestroy_v2(CUevent event) {
  return event_call("cuEventDestroy_v2", event, [&](Driver& driver, CUctx_st&) {
    driver.events.drop(event);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}
