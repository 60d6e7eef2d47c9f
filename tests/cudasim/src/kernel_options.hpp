// The options that NVRTC would get, read for the host compiler.
#pragma once

#include <string>
#include <vector>

namespace cudasim {

struct KernelOptions {
  std::string error;      // NVRTC's line about an option it does not know; empty when all are understood
  std::string target;     // sm_80, compute_75, sm_90a ...
  std::string arch;       // its digits
  bool real = true;       // sm_XX gives cubin and PTX, compute_XX gives PTX alone
  bool specific = false;  // the "a" of sm_90a
  std::vector<std::string> defines;
};

KernelOptions kernel_options(const std::vector<std::string>& options);

}  // namespace cudasim
