// Streams and events. An operation is queued when it is asked for and executed later, when something waits: in any order
// that streams and events allow, drawn from the seed. What is not ordered will sooner or later run in the other order.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <random>

#include "operation.hpp"

namespace cudasim {

struct Event {
  StreamClock known;  // what waiting for the event waits for
  std::chrono::steady_clock::time_point time;
  bool recorded = false;
};

class Streams {
 public:
  explicit Streams(std::uint64_t seed) : random_(seed) { create(true); }

  // Stream 0 is the legacy default stream: it waits for every blocking stream, and they wait for it.
  int create(bool blocking);
  void destroy(int stream);
  bool exists(int stream) const;
  int live_count() const { return live_count_; }

  OperationKey enqueue(int stream, std::string name, std::function<void(const Operation&)> run);
  void wait_event(int stream, const Event& event);
  void record(int stream, const std::shared_ptr<Event>& event);

  // Executes until everything that `known` names is done; the host has then seen it.
  void drain(const StreamClock& known);
  void drain_stream(int stream);
  void drain_all();
  // Executes what is in the stream and before it, without the host knowing.
  void run_stream(int stream);
  // Makes some progress; whether `known` is finished, which the host then knows.
  bool poll(const StreamClock& known);
  bool host_knows(const std::vector<OperationKey>& operations) const;
  bool idle() const;
  bool finished(const StreamClock& known) const;
  const StreamClock& tail(int stream) const { return streams_[static_cast<std::size_t>(stream)].tail; }
  // Executes `operation`; set by the card.
  std::function<void(const Operation&)> execute;
  // Told what the host knows to be finished when nothing is queued, so that everything to come is ordered after it; set by the card.
  std::function<void(const StreamClock&)> settled;

 private:
  struct Stream {
    bool blocking, live = true;
    std::uint32_t issued = 0;
    StreamClock tail{};
    std::deque<Operation> queue{};
  };
  bool ready(const Stream& stream) const;
  bool step();
  void run_until(const StreamClock& known);
  void host_learns(const StreamClock& known);
  StreamClock all_before(int stream) const;

  std::vector<Stream> streams_;
  StreamClock executed_, host_known_;
  std::mt19937_64 random_;
  int live_count_ = 0;
};

}  // namespace cudasim
