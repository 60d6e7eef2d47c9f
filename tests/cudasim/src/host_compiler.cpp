#include "host_compiler.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "kernel_options.hpp"
#include "object_cache.hpp"

extern char** environ;
// These headers travel inside the library (embedded_headers.cpp).
extern "C" const char cudasim_abi_text[], cudasim_half_text[], cudasim_device_text[], cudasim_warpgroup_text[], cudasim_bulk_copy_text[];

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

using Command = std::vector<std::string>;

void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string read_file(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

bool run(const fs::path& folder, Command command, std::string& log) {
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

// Strings with their lengths before them: source name and text, number of headers, their names and texts, options.
std::string bundle_of(const KernelText& text) {
  std::string bundle;
  const auto add = [&](const std::string& part) { bundle += std::to_string(part.size()) + "\n" + part; };
  add(text.source.name), add(text.source.text), add(std::to_string(text.headers.size()));
  for (const SourceFile& header : text.headers) add(header.name), add(header.text);
  add(std::to_string(text.options.size()));
  for (const std::string& option : text.options) add(option);
  return bundle;
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

// What module.cpp looks up.
std::string module_symbols(const std::string& preprocessed, const KernelOptions& options, bool checks) {
  return "\n# 1 \"kernel_table\"\n"
         "extern \"C\" { extern const int cudasim_module_kind[3]; const int cudasim_module_kind[3] = {" + options.arch + ", " +
         (options.specific ? "1" : "0") + ", " + (checks ? "1" : "0") + "};\n"
         "extern const cudasim::KernelEntry cudasim_module_kernels[]; const cudasim::KernelEntry cudasim_module_kernels[] = {\n" +
         kernel_table(preprocessed) + "{nullptr, nullptr, 0, nullptr, 0}};}\n"
         "asm(\".section .rodata\\n.globl cudasim_module_bundle\\ncudasim_module_bundle:\\n.incbin \\\"bundle\\\"\\n.byte 0\\n.text\\n\");\n";
}

Command compile_command(const std::string& compiler, bool checks) {
  Command command = {compiler, "-std=c++17", "-fpreprocessed", "-fPIC", "-ffp-contract=off", "-fno-exceptions", "-fno-gnu-unique", "-fno-strict-aliasing",
                     "-Wno-attributes", "-fvisibility=default"};
  // With checks no vectoriser and no merged stores: every access that the hooks see is one that the kernel's author wrote.
  const Command kind = checks ? Command{"-O1", "-g1", "-fsanitize=thread", "-fno-tree-vectorize", "-fno-store-merging", "-fno-tree-loop-distribute-patterns",
                                        "--param", "tsan-instrument-func-entry-exit=0"}
                              : Command{"-O2", "-fno-semantic-interposition"};
  command.insert(command.end(), kind.begin(), kind.end());
#if defined(__x86_64__)
  if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2")) command.insert(command.end(), {"-mfma", "-mavx2"});
#endif
  command.insert(command.end(), {"-c", "kernels.ii", "-o", "kernels.o"});
  return command;
}

std::string joined(const Command& command) {
  std::string line;
  for (const std::string& word : command) line += word + " ";
  return line;
}

}  // namespace

KernelText text_of_bundle(const char* bundle) {
  const auto next = [&] {
    char* end;
    const std::size_t bytes = std::strtoull(bundle, &end, 10);
    const std::string part(end + 1, bytes);
    bundle = end + 1 + bytes;
    return part;
  };
  KernelText text;
  text.source.name = next(), text.source.text = next();
  for (std::size_t left = std::stoull(next()); left > 0; --left) {
    const std::string name = next();
    text.headers.push_back({name, next()});
  }
  for (std::size_t left = std::stoull(next()); left > 0; --left) text.options.push_back(next());
  return text;
}

Compiled compile_kernel_text(const KernelText& text, bool checks) {
  Compiled result;
  const KernelOptions options = kernel_options(text.options);
  result.target = options.target;
  result.real_architecture = options.real;
  if (result.options_understood = options.error.empty(); !result.options_understood) {
    result.log = options.error;
    return result;
  }
  const char* chosen = std::getenv("GEMMACORE_CUDASIM_COMPILER");
  const std::string compiler = chosen != nullptr && *chosen != 0 ? chosen : CUDASIM_COMPILER;
  const std::string bundle = bundle_of(text), name = fs::path(text.source.name).filename().string();
  Command preprocess = {compiler, "-E", "-x", "c++", "-std=c++17", "-nostdinc", "-nostdinc++", "-Iinclude", name, "-o", "kernels.ii",
                        "-D__CUDA_ARCH__=" + options.arch + "0", "-DGEMMACORE_CUDASIM"};
  if (!checks) preprocess.push_back("-DCUDASIM_UNCHECKED");
  preprocess.insert(preprocess.end(), options.defines.begin(), options.defines.end());
  const Command compile = compile_command(compiler, checks);

  const ObjectCache& cache = ObjectCache::instance();
  const std::string key = joined(preprocess) + joined(compile) + bundle;
  if (std::optional<std::string> object = cache.find(key)) {
    result.elf = std::move(*object);
    result.succeeded = true;
    return result;
  }

  const TemporaryFolder folder;
  write_file(folder.path() / "include/cudasim/abi.h", cudasim_abi_text);
  write_file(folder.path() / "include/cudasim/half.h", cudasim_half_text);
  write_file(folder.path() / "include/cudasim/device.hpp", cudasim_device_text);
  write_file(folder.path() / "include/cudasim/warpgroup.hpp", cudasim_warpgroup_text);
  write_file(folder.path() / "include/cudasim/bulk_copy.hpp", cudasim_bulk_copy_text);
  for (const SourceFile& header : text.headers) write_file(folder.path() / "include" / header.name, header.text);
  write_file(folder.path() / name, text.source.text);
  write_file(folder.path() / "bundle", bundle);
  if (!run(folder.path(), preprocess, result.log)) return result;
  const std::string preprocessed = read_file(folder.path() / "kernels.ii");
  write_file(folder.path() / "kernels.ii", preprocessed + module_symbols(preprocessed, options, checks));
  if (!run(folder.path(), compile, result.log)) return result;
  result.succeeded = run(folder.path(), {compiler, "-shared", "-nostartfiles", "kernels.o", library_path(), "-lm", "-Wl,--no-undefined", "-o", "kernels.so"}, result.log);
  if (!result.succeeded) return result;
  result.elf = read_file(folder.path() / "kernels.so");
  cache.keep(key, result.elf);
  return result;
}

}  // namespace cudasim
