// The driver as one process sees it, and the frame that every entry point runs in: one call at a time, counted, with the
// checks that all calls share.
#pragma once

#include <map>
#include <mutex>
#include <new>
#include <stdexcept>

#include "driver_objects.hpp"

namespace cudasim {

class Driver {
 public:
  static Driver& instance();

  std::mutex lock;
  bool initialised = false;
  std::vector<std::unique_ptr<CUctx_st>> contexts;  // by ordinal
  Handles<CUstream_st> streams;
  Handles<CUevent_st> events;
  Handles<CUmod_st> modules;
  Handles<CUfunc_st> functions;
  Handles<CUgraph_st> graphs;
  Handles<CUgraphExec_st> graph_execs;
  std::map<std::uintptr_t, std::size_t> pinned;  // page-locked host memory: begin, bytes

  long long calls = 0;
  std::string last_report;

  // The cards, from the environment. Throws std::invalid_argument.
  void read_environment();
  // Counts the call and answers with the code that a test has planted for it, or success.
  CUresult begin_call(const char* name);
  void plant_failure(long long calls_from_now, CUresult code);

  CUcontext current() const;
  void set_current(CUcontext context);
  void open(CUctx_st& context);
  void close(CUctx_st& context);
  // The stream that a handle means in the context; null when there is none.
  CUstream_st* stream(CUctx_st& context, CUstream handle);
  // Gives work to a stream, or to the graph that the stream is capturing.
  CUresult submit(CUstream_st& stream, const std::string& name, Issue issue);
  CUresult submit(CUstream_st& stream, const std::string& name, Work work);
  // Refuses, and spoils the captures concerned, while a capture forbids calls that might wait or allocate.
  CUresult outside_capture(const char* call);
  // Refuses and spoils the capture when the stream, or with the legacy stream any that it waits for, is capturing.
  CUresult not_capturing(CUstream_st& stream, const char* call);
  // What a lost context was capturing is lost with it, and stands in nobody's way.
  void drop_captures(CUctx_st& context);
  CUresult spoil(Capture& capture, CUresult code, const std::string& why);
  bool is_pinned(const void* begin, std::size_t bytes) const;
  // Prints why a call is refused and keeps it for cudasim_last_report.
  CUresult refuse(CUresult code, const std::string& why);

 private:
  long long failing_call_ = -1;
  CUresult failing_code_ = CUDA_SUCCESS;
};

// Codes after which a context answers nothing else.
bool loses_context(CUresult code);

// A call that needs no context.
template <typename Body> CUresult driver_call(const char* name, Body body) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  if (!driver.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (const CUresult planted = driver.begin_call(name)) return planted;
  return body(driver);
}

enum class WhenLost {
  refuse,   // answer with the loss
  release,  // give back what is asked for, so that tests can count leaks, and then answer with the loss
};

// A call on behalf of the calling thread's context.
template <typename Body> CUresult context_call(const char* name, Body body, WhenLost when_lost = WhenLost::refuse) {
  return driver_call(name, [&](Driver& driver) -> CUresult {
    CUctx_st* context = driver.current();
    if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
    if (context->card == nullptr) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    Card& card = *context->card;
    if (card.lost != 0 && when_lost == WhenLost::refuse) return static_cast<CUresult>(card.lost.load());
    const bool was_lost = card.lost != 0;
    if (was_lost) driver.drop_captures(*context);
    CUresult result = CUDA_SUCCESS;
    try {
      result = body(driver, *context);
    } catch (const std::bad_alloc&) {
      result = CUDA_ERROR_OUT_OF_MEMORY;
    } catch (const std::exception& problem) {
      result = driver.refuse(CUDA_ERROR_UNKNOWN, std::string(name) + ": " + problem.what());
    }
    if (card.lost == 0) return result;
    context->lost = card.lost;
    if (!was_lost) driver.last_report = card.last_report();
    return static_cast<CUresult>(card.lost.load());
  });
}

}  // namespace cudasim
