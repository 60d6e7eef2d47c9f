#include "driver_state.hpp"

#include <cstdio>
#include <cstdlib>

namespace cudasim {
namespace {
thread_local CUcontext current_context = nullptr;
}  // namespace

Driver& Driver::instance() {
  // Never destroyed: a thread of the host may still be in a call while the process ends.
  static Driver& driver = *new Driver;
  return driver;
}

bool loses_context(CUresult code) {
  switch (code) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED: return true;
    default: return false;
  }
}

void Driver::read_environment() {
  const std::vector<Settings> cards = settings_of_environment();
  contexts.clear();
  for (std::size_t i = 0; i < cards.size(); ++i) {
    contexts.push_back(std::make_unique<CUctx_st>());
    contexts.back()->ordinal = static_cast<int>(i);
    contexts.back()->settings = cards[i];
  }
  if (const auto [calls_from_now, code] = planted_failure_of_environment(); calls_from_now > 0)
    plant_failure(calls_from_now, static_cast<CUresult>(code));
}

CUresult Driver::begin_call(const char* name) {
  ++calls;
  if (failing_call_ < 0 || failing_call_ != calls) return CUDA_SUCCESS;
  failing_call_ = -1;
  last_report = std::string(name) + ": planted failure " + std::to_string(failing_code_);
  if (CUctx_st* context = current(); context != nullptr && context->card != nullptr && loses_context(failing_code_))
    context->lost = context->card->lost = failing_code_;
  return failing_code_;
}

void Driver::plant_failure(long long calls_from_now, CUresult code) {
  failing_call_ = calls_from_now <= 0 ? -1 : calls + calls_from_now;
  failing_code_ = code;
}

CUcontext Driver::current() const { return current_context; }
void Driver::set_current(CUcontext context) { current_context = context; }

void Driver::open(CUctx_st& context) {
  context.card = std::make_unique<Card>(context.settings);
  context.card->lost = context.lost;
  context.multiprocessors = std::make_unique<Multiprocessors>(*context.card);
}

void Driver::close(CUctx_st& context) {
  context.card->streams.drain_all();
  const auto of_context = [&](const auto& object) { return object.context == &context; };
  functions.drop_all([&](const CUfunc_st& function) { return function.module->context == &context; });
  modules.drop_all([&](CUmod_st& module) {
    if (module.context != &context) return false;
    module.loaded.reset();
    return true;
  });
  events.drop_all(of_context);
  graphs.drop_all(of_context);
  graph_execs.drop_all(of_context);
  streams.drop_all(of_context);
  context.lost = context.card->lost;
  context.multiprocessors.reset();
  context.card.reset();
}

CUstream_st* Driver::stream(CUctx_st& context, CUstream handle) {
  const auto value = reinterpret_cast<std::uintptr_t>(handle);
  if (value == 0 || value == CU_STREAM_LEGACY) return &context.legacy_stream;
  if (!streams.live(handle) || handle->context != &context) return nullptr;
  return handle;
}

bool Driver::is_pinned(const void* begin, std::size_t bytes) const {
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  auto after = pinned.upper_bound(address);
  if (after == pinned.begin()) return false;
  --after;
  return address + bytes <= after->first + after->second;
}

CUresult Driver::refuse(CUresult code, const std::string& why) {
  last_report = why;
  std::fprintf(stderr, "cudasim: %s\n", why.c_str());
  return code;
}

}  // namespace cudasim
