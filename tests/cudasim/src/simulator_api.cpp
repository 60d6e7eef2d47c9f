// What tests ask the simulator itself. None of these is a driver call: nothing here counts or can fail.
#include <algorithm>

#include "driver_state.hpp"

using namespace cudasim;

namespace {

template <typename Answer> auto ask(Answer answer) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  return answer(driver);
}

const Card* card_at(const Driver& driver, int ordinal) {
  if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= driver.contexts.size()) return nullptr;
  return driver.contexts[static_cast<std::size_t>(ordinal)]->card.get();
}

}  // namespace

// Live device allocations of a card, in number, bytes, and the most bytes since its context was made.
CUDASIM_API int cudasim_device_allocations(int ordinal) {
  return ask([&](const Driver& driver) { const Card* card = card_at(driver, ordinal); return card != nullptr ? card->memory.live_count() : 0; });
}
CUDASIM_API long long cudasim_device_bytes(int ordinal) {
  return ask([&](const Driver& driver) { const Card* card = card_at(driver, ordinal); return card != nullptr ? static_cast<long long>(card->memory.used_bytes()) : 0; });
}
CUDASIM_API long long cudasim_most_device_bytes(int ordinal) {
  return ask([&](const Driver& driver) { const Card* card = card_at(driver, ordinal); return card != nullptr ? static_cast<long long>(card->memory.most_used_bytes()) : 0; });
}
// Kernels that were launched on a card since its context was made.
CUDASIM_API long long cudasim_launch_count(int ordinal) {
  return ask([&](const Driver& driver) { const Card* card = card_at(driver, ordinal); return card != nullptr ? card->launches.load() : 0; });
}
// Executes the next `count` launches of a card and none behind them, which are checked and counted and change nothing; a negative count executes all again. What is
// allocated meanwhile holds zeros: nobody computes what else would be there. 0 when the card has no context.
CUDASIM_API int cudasim_execute_launches(int ordinal, long long count) {
  return ask([&](Driver& driver) {
    if (card_at(driver, ordinal) == nullptr) return 0;
    Card& card = *driver.contexts[static_cast<std::size_t>(ordinal)]->card;
    card.executed_launches = count;
    card.memory.poison(count < 0);
    return 1;
  });
}
// Live page-locked host memory of the process.
CUDASIM_API int cudasim_pinned_allocations() {
  return ask([](const Driver& driver) { return static_cast<int>(driver.pinned.size()); });
}
CUDASIM_API long long cudasim_pinned_bytes() {
  return ask([](const Driver& driver) {
    long long bytes = 0;
    for (const auto& [begin, size] : driver.pinned) bytes += static_cast<long long>(size);
    return bytes;
  });
}
// Live streams, events, modules and graphs of the process, together.
CUDASIM_API int cudasim_live_handles() {
  return ask([](const Driver& driver) { 
    return static_cast<int>(driver.streams.count() + driver.events.count() + driver.modules.count() + driver.graphs.count() + driver.graph_execs.count());
  });
}
CUDASIM_API long long cudasim_call_count() {
  return ask([](const Driver& driver) { return driver.calls; });
}
// The last line that went to stderr, without its "cudasim: "; copies at most `bytes` with the zero and returns the whole length.
CUDASIM_API int cudasim_last_report(char* text, int bytes) {
  return ask([&](const Driver& driver) {
    if (text != nullptr && bytes > 0) {
      const std::size_t kept = std::min(driver.last_report.size(), static_cast<std::size_t>(bytes) - 1);
      driver.last_report.copy(text, kept);
      text[kept] = 0;
    }
    return static_cast<int>(driver.last_report.size());
  });
}
// The k-th driver call from now answers with `code` and does nothing else; 0 takes a planted failure back.
CUDASIM_API void cudasim_fail_call(long long k, int code) {
  ask([&](Driver& driver) { driver.plant_failure(k, static_cast<CUresult>(code)); return 0; });
}
// Gives a lost card back, as a new process would get it; its context must have been released. 0 when it was not.
CUDASIM_API int cudasim_revive(int ordinal) {
  return ask([&](Driver& driver) {
    if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= driver.contexts.size()) return 0;
    CUctx_st& context = *driver.contexts[static_cast<std::size_t>(ordinal)];
    if (context.card != nullptr) return 0;
    context.lost = 0;
    return 1;
  });
}
