#include "kernel_options.hpp"

#include <regex>

namespace cudasim {
namespace {

// Options NVRTC has and the host compiler needs not hear.
bool ignorable(const std::string& option) {
  static const char* const prefixes[] = {"--ptxas-options", "-lineinfo", "-fmad", "--fmad", "-default-device", "--generate-line-info", "--diag-suppress"};
  for (const char* prefix : prefixes)
    if (option.rfind(prefix, 0) == 0) return true;
  return false;
}

// Without -arch: what NVRTC 12 compiles for.
constexpr char default_target[] = "sm_52";

}  // namespace

KernelOptions kernel_options(const std::vector<std::string>& options) {
  KernelOptions result;
  result.target = default_target;
  for (std::size_t i = 0; i < options.size(); ++i) {
    std::string option = options[i];
    if ((option == "-arch" || option == "--gpu-architecture" || option == "-D" || option == "-std") && i + 1 < options.size())
      option += (option == "-D" ? "" : "=") + options[++i];
    const std::size_t equals = option.find('=');
    const std::string name = option.substr(0, equals), value = equals == std::string::npos ? "" : option.substr(equals + 1);
    bool understood = true;
    if (name == "-arch" || name == "--gpu-architecture") result.target = value;
    else if (option.rfind("-D", 0) == 0) result.defines.push_back(option);
    else if (name == "--define-macro") result.defines.push_back("-D" + value);
    else if (name == "-std" || name == "--std") understood = value == "c++17";
    else understood = ignorable(option);
    if (understood) continue;
    result.error = "nvrtc: error: invalid value for --option (" + option + ")\n";
    return result;
  }
  static const std::regex target(R"((sm|compute)_(75|80|86|89|90)(a?))");
  std::smatch parts;
  if (!std::regex_match(result.target, parts, target) || (parts[3].length() > 0 && parts[2] != "90")) {
    result.error = "nvrtc: error: invalid value for --gpu-architecture (-arch): " + result.target + "\n";
    return result;
  }
  result.real = parts[1] == "sm";
  result.arch = parts[2];
  result.specific = parts[3].length() > 0;
  return result;
}

}  // namespace cudasim
