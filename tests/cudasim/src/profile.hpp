// The cards the simulator can be: what the driver says about them, and the limits it enforces.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cudasim {

struct Profile {
  const char* name;         // as GEMMACORE_CUDASIM_DEVICE gives it
  const char* device_name;  // as cuDeviceGetName answers
  int major, minor;
  int multiprocessors;
  std::size_t memory_bytes;
  int shared_per_block_optin;  // with CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  int shared_per_multiprocessor;
  int threads_per_multiprocessor;
  int blocks_per_multiprocessor;
  int level2_bytes;
  int clock_khz, memory_clock_khz, memory_bus_bits;
  int accumulator_bits;  // fractional bits kept by the tensor core's aligned sum, kernels.md 4.5
};

constexpr int shared_per_block_default = 48 * 1024;
constexpr int registers_per_multiprocessor = 65536;
constexpr int most_threads_per_block = 1024;

const std::vector<Profile>& profiles();
// Throws std::invalid_argument naming the known profiles.
const Profile& profile_named(const std::string& name);

}  // namespace cudasim
