// cuLaunchKernel: what the driver refuses at the call, the copy of the arguments, and the launch as a stream's operation.
#include <cstring>

#include "driver_state.hpp"

using namespace cudasim;

namespace {

// A launch that owns its argument values: what the caller passed may be gone when the stream gets there.
struct OwnedLaunch {
  Launch launch;
  std::vector<std::uint64_t> values;
};

// A kernel's parameters are pointers, int, float and long long: at most 8 bytes each, aligned to their size.
bool copy_arguments(OwnedLaunch& into, const KernelEntry& entry, void** parameters, void** extra) {
  const auto count = static_cast<std::size_t>(entry.argument_count);
  into.values.assign(count, 0);
  const char* buffer = nullptr;
  std::size_t buffer_bytes = 0;
  if (parameters == nullptr && extra != nullptr)
    for (; reinterpret_cast<std::uintptr_t>(*extra) != CU_LAUNCH_PARAM_END; extra += 2) {
      const auto key = reinterpret_cast<std::uintptr_t>(extra[0]);
      if (key == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = static_cast<const char*>(extra[1]);
      else if (key == CU_LAUNCH_PARAM_BUFFER_SIZE) buffer_bytes = *static_cast<const std::size_t*>(extra[1]);
      else return false;
    }
  if (count > 0 && parameters == nullptr && buffer == nullptr) return false;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bytes = entry.argument_bytes[i];
    if (bytes > sizeof(std::uint64_t)) return false;
    offset = (offset + bytes - 1) / bytes * bytes;
    if (parameters == nullptr && offset + bytes > buffer_bytes) return false;
    if (parameters != nullptr && parameters[i] == nullptr) return false;
    std::memcpy(&into.values[i], parameters != nullptr ? parameters[i] : buffer + offset, bytes);
    offset += bytes;
  }
  into.launch.arguments.clear();
  for (std::uint64_t& value : into.values) into.launch.arguments.push_back(&value);
  return true;
}

// Why the card cannot run it, or an empty string.
std::string over_the_limits(const Launch& launch, const Profile& profile) {
  const auto [x, y, z] = launch.grid;
  const auto [bx, by, bz] = launch.block;
  const auto of = [](unsigned a, unsigned b, unsigned c) { return "(" + std::to_string(a) + ", " + std::to_string(b) + ", " + std::to_string(c) + ")"; };
  if (x == 0 || y == 0 || z == 0) return "an empty grid " + of(x, y, z);
  if (bx == 0 || by == 0 || bz == 0) return "an empty block " + of(bx, by, bz);
  if (x > 2147483647u || y > 65535 || z > 65535) return "grid " + of(x, y, z) + "; at most (2147483647, 65535, 65535)";
  const std::uint64_t threads = std::uint64_t{bx} * by * bz;
  if (bx > 1024 || by > 1024 || bz > 64 || threads > most_threads_per_block) return "block " + of(bx, by, bz) + "; at most 1024 threads, (1024, 1024, 64)";
  const KernelEntry& entry = *launch.function->entry;
  if (threads > static_cast<std::uint64_t>(entry.most_threads))
    return std::to_string(threads) + " threads; its launch bound is " + std::to_string(entry.most_threads);
  const std::uint32_t dynamic = launch.dynamic_shared, fixed = launch.function->static_shared;
  if (dynamic > launch.function->most_dynamic_shared)
    return std::to_string(dynamic) + " bytes of dynamic shared memory; it may have " + std::to_string(launch.function->most_dynamic_shared) +
           " (CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)";
  const auto most = static_cast<std::uint32_t>(dynamic <= shared_per_block_default && dynamic + fixed <= shared_per_block_default ? shared_per_block_default
                                                                                                                             : profile.shared_per_block_optin);
  if (dynamic + fixed > most) return std::to_string(dynamic + fixed) + " bytes of shared memory; a block of this card has " + std::to_string(most);
  return "";
}

}  // namespace

CUDASIM_API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                                    unsigned block_z, unsigned dynamic_shared, CUstream stream, void** parameters, void** extra) {
  return context_call("cuLaunchKernel", [&](Driver& driver, CUctx_st& context) {
    if (!driver.functions.live(function) || function->module->context != &context) return CUDA_ERROR_INVALID_HANDLE;
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const KernelEntry& entry = *function->function->entry;
    const auto owned = std::make_shared<OwnedLaunch>();
    owned->launch = {function->function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, dynamic_shared, {}};
    if (const std::string why = over_the_limits(owned->launch, context.card->profile); !why.empty())
      return driver.refuse(CUDA_ERROR_INVALID_VALUE, std::string("cuLaunchKernel of ") + entry.name + ": " + why);
    if (!copy_arguments(*owned, entry, parameters, extra))
      return driver.refuse(CUDA_ERROR_INVALID_VALUE, std::string("cuLaunchKernel of ") + entry.name + ": it takes " + std::to_string(entry.argument_count) +
                                                         " parameters, of which one is missing or has more than 8 bytes");
    const std::weak_ptr<Module> module = function->module->loaded;
    return driver.submit(*on, entry.name, Work([&context, owned, module](const Operation& operation) {
      // A graph may outlive the module that its kernels came from.
      if (module.expired()) return context.card->fail(Defect::unloaded, operation.name + " is launched by a graph after cuModuleUnload");
      if (context.card->begin_launch()) context.multiprocessors->run(owned->launch);
    }));
  });
}
