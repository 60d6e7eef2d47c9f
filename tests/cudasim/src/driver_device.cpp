// cuInit, versions, and what a card says about itself.
#include <cstdio>
#include <cstring>

#include "driver_state.hpp"
#include "versions.hpp"

using namespace cudasim;

namespace {

// Answers that cannot fail on hardware once the driver is up: neither counted nor planted with failures.
template <typename Body> CUresult device_query(CUdevice device, Body body) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  if (!driver.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (device < 0 || static_cast<std::size_t>(device) >= driver.contexts.size()) return CUDA_ERROR_INVALID_DEVICE;
  const Settings& settings = driver.contexts[static_cast<std::size_t>(device)]->settings;
  return body(settings, profile_named(settings.device));
}

// Numbers of CUdevice_attribute. Null when the profile does not know it.
bool attribute_of(const Profile& profile, int attribute, int ordinal, int& value) {
  switch (attribute) {
    case 1: value = most_threads_per_block; return true;
    case 2: case 3: value = 1024; return true;  // block x, y
    case 4: value = 64; return true;            // block z
    case 5: value = 2147483647; return true;    // grid x
    case 6: case 7: value = 65535; return true;
    case 8: value = shared_per_block_default; return true;
    case 9: value = 65536; return true;  // constant memory
    case 10: value = 32; return true;    // warp
    case 12: case 82: value = registers_per_multiprocessor; return true;
    case 13: value = profile.clock_khz; return true;
    case 14: value = 512; return true;  // texture alignment
    case 15: value = 1; return true;    // copies overlap with kernels
    case 16: value = profile.multiprocessors; return true;
    case 17: case 18: case 20: case 34: case 35: case 50: value = 0; return true;  // timeout, integrated, mode, PCI device, TCC, PCI domain
    case 19: case 31: case 41: value = 1; return true;  // host memory mapping, concurrent kernels, unified addressing
    case 32: value = profile.memory_bus_bits > 4096 ? 1 : 0; return true;  // ECC
    case 33: value = ordinal + 1; return true;                             // PCI bus
    case 36: value = profile.memory_clock_khz; return true;
    case 37: value = profile.memory_bus_bits; return true;
    case 38: value = profile.level2_bytes; return true;
    case 39: value = profile.threads_per_multiprocessor; return true;
    case 40: value = 2; return true;  // copy engines
    case 75: value = profile.major; return true;
    case 76: value = profile.minor; return true;
    case 78: case 79: case 80: value = 1; return true;  // priorities, L1
    case 81: value = profile.shared_per_multiprocessor; return true;
    case 83: case 90: case 95: case 115: value = 1; return true;  // managed memory, preemption, cooperative launch, memory pools
    case 84: case 88: case 89: value = 0; return true;            // multi-GPU board, pageable access, concurrent managed access
    case 97: value = profile.shared_per_block_optin; return true;
    case 106: value = profile.blocks_per_multiprocessor; return true;
    case 111: value = profile.major >= 8 ? 1024 : 0; return true;  // reserved shared bytes per block
    default: return false;
  }
}

}  // namespace

CUDASIM_API CUresult cuInit(unsigned flags) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (driver.initialised) return driver.begin_call("cuInit");
  try {
    driver.read_environment();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return CUDA_ERROR_NO_DEVICE;
  }
  if (const CUresult planted = driver.begin_call("cuInit")) return planted;
  driver.initialised = true;
  return CUDA_SUCCESS;
}

CUDASIM_API CUresult cuDriverGetVersion(int* version) {
  if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *version = driver_version_of_environment();
  return CUDA_SUCCESS;
}

CUDASIM_API CUresult cuDeviceGetCount(int* count) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  if (!driver.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<int>(driver.contexts.size());
  return CUDA_SUCCESS;
}

CUDASIM_API CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return device_query(ordinal, [&](const Settings&, const Profile&) {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = ordinal;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuDeviceGetName(char* name, int bytes, CUdevice device) {
  return device_query(device, [&](const Settings&, const Profile& profile) {
    if (name == nullptr || bytes <= 0) return CUDA_ERROR_INVALID_VALUE;
    std::snprintf(name, static_cast<std::size_t>(bytes), "%s", profile.device_name);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device) {
  return device_query(device, [&](const Settings&, const Profile& profile) {
    return value != nullptr && attribute_of(profile, attribute, device, *value) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return device_query(device, [&](const Settings&, const Profile& profile) {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    // "cudasim", the ordinal, then the profile's short name.
    std::memset(uuid->bytes, 0, sizeof uuid->bytes);
    std::memcpy(uuid->bytes, "cudasim", 7);
    uuid->bytes[7] = static_cast<char>(device);
    std::memcpy(uuid->bytes + 8, profile.name, std::min<std::size_t>(8, std::strlen(profile.name)));
    return CUDA_SUCCESS;
  });
}
CUDASIM_API CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

CUDASIM_API CUresult cuDeviceTotalMem_v2(std::size_t* bytes, CUdevice device) {
  return device_query(device, [&](const Settings& settings, const Profile& profile) {
    if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *bytes = settings.memory_bytes != 0 ? settings.memory_bytes : profile.memory_bytes;
    return CUDA_SUCCESS;
  });
}
