#include "host_compiler.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <regex>
#include <sstream>

#include "cudasim/abi.h"

extern char** environ;
// abi.h and device.hpp travel inside the library (embedded_headers.cpp).
extern "C" const char cudasim_abi_text[], cudasim_device_text[];

namespace cudasim {
namespace {

namespace fs = std::filesystem;

// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "cudasim-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cudasim: cannot make a temporary folder " + pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string read_file(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

bool run(const fs::path& folder, std::vector<std::string> command, std::string& log) {
  const fs::path output = folder / "log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 1;
  if (failed == 0) waitpid(child, &status, 0);
  else log += "cudasim: cannot start " + command[0] + "; set GEMMACORE_CUDASIM_COMPILER\n";
  log += read_file(output);
  return status == 0;
}

// Options NVRTC has and the host compiler needs not hear.
bool ignorable(const std::string& option) {
  static const char* const prefixes[] = {"--ptxas-options", "-lineinfo", "-fmad", "--fmad", "-default-device", "--generate-line-info", "--diag-suppress"};
  for (const char* prefix : prefixes)
    if (option.rfind(prefix, 0) == 0) return true;
  return false;
}

// After preprocessing a kernel reads: extern "C" [[cudasim::kernel(bound)]] void name(
std::string kernel_table(const std::string& preprocessed) {
  static const std::regex kernel(R"(\[\[cudasim::kernel\(((?:[^\[\]]|\n)*?)\)\]\]\s*(?:#[^\n]*\n\s*)*void\s+(\w+))");
  std::string table;
  for (std::sregex_iterator at(preprocessed.begin(), preprocessed.end(), kernel), end; at != end; ++at) {
    const std::string name = (*at)[2].str(), launch = "cudasim::Launch<&" + name + ">::";
    table += "{\"" + name + "\", &" + launch + "call, " + launch + "argument_count, " + launch + "argument_bytes, " + (*at)[1].str() + "},\n";
  }
  return table;
}

std::string library_path() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&cudasim_sync_block), &info);
  return fs::canonical(info.dli_fname).string();
}

}  // namespace

Compiled compile_kernel_text(const SourceFile& source, const std::vector<SourceFile>& headers, const std::vector<std::string>& options) {
  Compiled result;
  std::vector<std::string> defines;
  result.target = "sm_52";
  for (std::size_t i = 0; i < options.size(); ++i) {
    std::string option = options[i];
    if ((option == "-arch" || option == "--gpu-architecture" || option == "-D" || option == "-std") && i + 1 < options.size())
      option += (option == "-D" ? "" : "=") + options[++i];
    const std::size_t equals = option.find('=');
    const std::string name = option.substr(0, equals), value = equals == std::string::npos ? "" : option.substr(equals + 1);
    if (name == "-arch" || name == "--gpu-architecture") result.target = value;
    else if (option.rfind("-D", 0) == 0) defines.push_back(option);
    else if (option.rfind("--define-macro=", 0) == 0) defines.push_back("-D" + value);
    else if (name == "-std" || name == "--std") { if (value != "c++17") result.options_understood = false; }
    else if (!ignorable(option)) result.options_understood = false;
    if (!result.options_understood) {
      result.log = "nvrtc: error: invalid value for --option (" + option + ")\n";
      return result;
    }
  }
  static const std::regex target(R"((sm|compute)_(75|80|86|89|90)(a?))");
  std::smatch parts;
  if (!std::regex_match(result.target, parts, target) || (parts[3].matched && parts[3].length() > 0 && parts[2] != "90")) {
    result.options_understood = false;
    result.log = "nvrtc: error: invalid value for --gpu-architecture (-arch): " + result.target + "\n";
    return result;
  }
  result.real_architecture = parts[1] == "sm";
  defines.push_back("-D__CUDA_ARCH__=" + parts[2].str() + "0");
  defines.push_back("-DGEMMACORE_CUDASIM");

  const TemporaryFolder folder;
  write_file(folder.path() / "include/cudasim/abi.h", cudasim_abi_text);
  write_file(folder.path() / "include/cudasim/device.hpp", cudasim_device_text);
  for (const SourceFile& header : headers) write_file(folder.path() / "include" / header.name, header.text);
  const std::string name = fs::path(source.name.empty() ? "default_program" : source.name).filename().string();
  write_file(folder.path() / name, source.text);

  const char* chosen = std::getenv("GEMMACORE_CUDASIM_COMPILER");
  const std::string compiler = chosen != nullptr ? chosen : CUDASIM_COMPILER;
  std::vector<std::string> preprocess = {compiler, "-E", "-x", "c++", "-std=c++17", "-nostdinc", "-nostdinc++", "-Iinclude", name, "-o", "kernels.ii"};
  preprocess.insert(preprocess.end(), defines.begin(), defines.end());
  if (!run(folder.path(), preprocess, result.log)) return result;
  const std::string text = read_file(folder.path() / "kernels.ii");
  std::string tail = "\n# 1 \"kernel_table\"\n"
      "extern \"C\" { extern const int cudasim_module_arch[2]; const int cudasim_module_arch[2] = {" + parts[2].str() + ", " +
      (parts[3].length() > 0 ? "1" : "0") + "};\n"
      "extern const cudasim::KernelEntry cudasim_module_kernels[]; const cudasim::KernelEntry cudasim_module_kernels[] = {\n" + kernel_table(text);
  tail += "{nullptr, nullptr, 0, nullptr, 0}};}\n";
  write_file(folder.path() / "kernels.ii", text + tail);

  // No vectoriser and no merged stores: every access that the hooks see is one that the kernel's author wrote.
  if (!run(folder.path(), {compiler, "-std=c++17", "-fpreprocessed", "-O1", "-g1", "-fPIC", "-fsanitize=thread", "-fno-tree-vectorize",
                           "-fno-store-merging", "-fno-tree-loop-distribute-patterns", "-ffp-contract=off", "-fno-exceptions",
                           "-fno-gnu-unique", "-fno-strict-aliasing", "-Wno-attributes", "-fvisibility=default",
#if defined(__x86_64__)
                           __builtin_cpu_supports("fma") ? "-mfma" : "-msse2",
#endif
                           "--param", "tsan-instrument-func-entry-exit=0", "-c", "kernels.ii", "-o", "kernels.o"}, result.log))
    return result;
  result.succeeded = run(folder.path(), {compiler, "-shared", "-nostartfiles", "kernels.o", library_path(), "-lm", "-Wl,--no-undefined", "-o", "kernels.so"}, result.log);
  if (result.succeeded) result.elf = read_file(folder.path() / "kernels.so");
  return result;
}

}  // namespace cudasim
