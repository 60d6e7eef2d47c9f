// What the driver's opaque handles point to. A handle that was destroyed keeps its address for itself, so using it later is
// always recognised.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "card.hpp"
#include "cudasim/driver.h"
#include "fiber.hpp"
#include "module.hpp"

// Index 0 is the legacy default stream, which every context has from the start.
struct CUstream_st {
  CUctx_st* context;
  int index;
};

// One card of the process and its primary context.
struct CUctx_st {
  int ordinal;
  cudasim::Settings settings;
  std::unique_ptr<cudasim::Card> card;  // null while nobody has retained the context
  int references = 0;
  int lost = 0;  // outlives the context: only a new process gets a lost card back
  std::unique_ptr<cudasim::FiberStacks> stacks;
  CUstream_st legacy_stream{this, 0};
};

struct CUevent_st {
  CUctx_st* context;
  unsigned flags;
  std::shared_ptr<cudasim::Event> record;  // of the last cuEventRecord; null before the first
};

struct CUfunc_st {
  CUmod_st* module;
  cudasim::Function* function;
};

struct CUmod_st {
  CUctx_st* context;
  std::unique_ptr<cudasim::Module> loaded;  // null after cuModuleUnload
  std::unordered_map<std::string, CUfunction> functions{};
};

namespace cudasim {

template <typename T> class Handles {
 public:
  template <typename... Arguments> T* make(Arguments&&... arguments) {
    all_.push_back(std::unique_ptr<T>(new T{std::forward<Arguments>(arguments)...}));
    live_.insert(all_.back().get());
    return all_.back().get();
  }
  bool live(T* handle) const { return live_.count(handle) != 0; }
  void drop(T* handle) { live_.erase(handle); }
  template <typename Condition> void drop_all(Condition condition) {
    for (auto at = live_.begin(); at != live_.end();) at = condition(**at) ? live_.erase(at) : std::next(at);
  }
  std::size_t count() const { return live_.size(); }

 private:
  std::deque<std::unique_ptr<T>> all_;
  std::unordered_set<T*> live_;
};

}  // namespace cudasim
