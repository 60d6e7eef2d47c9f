// The card's multiprocessors. With checks there is one, so that a run can be repeated; without, one for each processor of the
// host (or GEMMACORE_CUDASIM_THREADS), and they share the blocks of a launch.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "multiprocessor.hpp"

namespace cudasim {

class Multiprocessors {
 public:
  explicit Multiprocessors(Card& card);
  ~Multiprocessors();
  Multiprocessors(const Multiprocessors&) = delete;
  Multiprocessors& operator=(const Multiprocessors&) = delete;

  // All blocks of the launch, in a shuffled order.
  void run(const Launch& launch);

 private:
  void start_helpers();
  void help(Multiprocessor& sm);

  Card& card_;
  const int count_;
  Multiprocessor first_;
  std::vector<std::unique_ptr<Multiprocessor>> others_;
  std::vector<std::thread> helpers_;
  std::mutex lock_;
  std::condition_variable work_, done_;
  BlockQueue blocks_;
  const Launch* launch_ = nullptr;
  int round_ = 0, busy_ = 0;  // the launch that helpers are to join, and how many are in it
  bool closing_ = false;
};

}  // namespace cudasim
