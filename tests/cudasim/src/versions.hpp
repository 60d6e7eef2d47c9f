// Which CUDA the simulator says it is, so that tests can meet an old driver and an old compiler.
#pragma once

namespace cudasim {

// As cuDriverGetVersion gives it: 12040, or GEMMACORE_CUDASIM_DRIVER.
int driver_version_of_environment();

struct CompilerVersion {
  int major, minor;
};
// 12.4, or GEMMACORE_CUDASIM_NVRTC=major.minor. Throws std::invalid_argument.
CompilerVersion compiler_version_of_environment();

// Newest architecture that NVRTC of a version makes code for, as far as the simulator knows any (kernels.md 3.2).
int newest_architecture(CompilerVersion version);

}  // namespace cudasim
