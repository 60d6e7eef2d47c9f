// What the driver's opaque handles point to. A handle that was destroyed keeps its address for itself, so using it later is
// always recognised.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "card.hpp"
#include "cudasim/driver.h"
#include "multiprocessors.hpp"

namespace cudasim {

using Work = std::function<void(const Operation&)>;
// Work is made when it is issued: at the call, or at each launch of the graph that holds it.
using Issue = std::function<Work()>;

struct GraphNode {
  std::string name;
  Issue issue;
};

// What a stream collects between cuStreamBeginCapture and cuStreamEndCapture.
struct Capture {
  int mode;
  std::thread::id thread;
  bool invalidated = false;
  std::vector<GraphNode> nodes{};
};

}  // namespace cudasim

// Index 0 is the legacy default stream, which every context has from the start.
struct CUstream_st {
  CUctx_st* context;
  int index;
  bool blocking;
  std::shared_ptr<cudasim::Capture> capture{};
};

// One card of the process and its primary context.
struct CUctx_st {
  int ordinal;
  cudasim::Settings settings;
  std::unique_ptr<cudasim::Card> card;  // null while nobody has retained the context
  int references = 0;
  int lost = 0;  // outlives the context: only a new process gets a lost card back
  std::unique_ptr<cudasim::Multiprocessors> multiprocessors;
  CUstream_st legacy_stream{this, 0, true};
};

struct CUevent_st {
  CUctx_st* context;
  unsigned flags;
  std::shared_ptr<cudasim::Event> record{};  // of the last cuEventRecord; null before the first
  std::shared_ptr<cudasim::Capture> captured{};  // where it was recorded last, when that stream was capturing
};

// A straight line of nodes: captured from one stream.
struct CUgraph_st {
  CUctx_st* context;
  std::vector<cudasim::GraphNode> nodes;
};

struct CUgraphExec_st {
  CUctx_st* context;
  std::vector<cudasim::GraphNode> nodes;
};

struct CUfunc_st {
  CUmod_st* module;
  cudasim::Function* function;
};

struct CUmod_st {
  CUctx_st* context;
  std::shared_ptr<cudasim::Module> loaded;  // null after cuModuleUnload
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
  template <typename Visit> void for_each(Visit visit) const {
    for (T* handle : live_) visit(*handle);
  }
  std::size_t count() const { return live_.size(); }

 private:
  std::deque<std::unique_ptr<T>> all_;
  std::unordered_set<T*> live_;
};

}  // namespace cudasim
