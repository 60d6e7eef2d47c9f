// Compiles every kernel and specialisation for every architecture with the real NVRTC and holds registers, shared memory
// and spills against kernels/budgets.csv. Prints the table with occupancy; `--write` makes the present figures the budget.
// Exit codes: 0 within budget, 1 not, 77 NVRTC is not there (CTest: skipped).
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

// `first` and `last` bound the architectures: fp16 products are launched on 7.5 alone, bf16 ones from 8.0 on.
struct Specialisation { std::string file; std::vector<std::string> defines; int threads, first = 75, last = 90; };
// Name every file of kernels/ here, with the -D combinations that the launches use.
std::vector<Specialisation> specialisations = {
    {"rms_norm.cu", {"-DROW_THREADS=32"}, 128},
    {"rms_norm.cu", {"-DROW_THREADS=256"}, 256},
    {"add_rms_norm.cu", {"-DROW_THREADS=32"}, 128},
    {"add_rms_norm.cu", {"-DROW_THREADS=256"}, 256},
    {"rms_norm_rope.cu", {}, 128},
    {"layer_norm.cu", {"-DROW_THREADS=32"}, 128},
    {"layer_norm.cu", {"-DROW_THREADS=256"}, 256},
    {"rope.cu", {}, 128},
    {"add.cu", {}, 256},
    {"activate.cu", {"-DACTIVATION=gelu_tanh"}, 256},
    {"activate.cu", {"-DACTIVATION=silu"}, 256},
    {"activate.cu", {"-DACTIVATION=quick_gelu"}, 256},
    {"glu.cu", {"-DACTIVATION=gelu_tanh"}, 256},
    {"glu.cu", {"-DACTIVATION=silu"}, 256},
    {"glu.cu", {"-DACTIVATION=quick_gelu"}, 256},
    {"scale_columns.cu", {}, 256},
    {"average_pool.cu", {}, 128},
    {"embedding.cu", {"-DTABLE=float"}, 128},
    {"embedding.cu", {"-DTABLE=half"}, 128},
    {"embedding.cu", {"-DTABLE=bfloat16"}, 128},
    {"gather_rows.cu", {}, 128},
    {"scatter_rows.cu", {}, 128},
    {"patch_embed.cu", {}, 128},
    {"matmul_reduce.cu", {}, 256},
    {"lora.cu", {}, 256},
    {"adamw_update.cu", {}, 256},
    {"linear_cross_entropy.cu", {"-DTHREADS=1024"}, 1024},
    {"linear_cross_entropy.cu", {"-DTHREADS=256"}, 256},
    {"sum_of_squares.cu", {}, 256},
    {"top_k.cu", {}, 256},
};
// The combinations of src/GemmaCore.Ops/Matmul/MatmulKernels.cs that Matmul.Cuda.cs launches.
void add_matmul() {
  for (const std::string weight : {"float", "half", "bfloat16"}) {
    for (const char* tokens : {"1", "4", "8"}) specialisations.push_back({"matmul_rows.cu", {"-DWEIGHT=" + weight, std::string("-DTOKENS=") + tokens}, 128});
    for (const std::string layout : {"NT", "NN", "TN"})
      for (const char* tile : {"64", "128"})
        if (layout != "TN" || weight == "float")
          specialisations.push_back({"matmul.cu", {"-DWEIGHT=" + weight, "-DLAYOUT=" + layout, std::string("-DTILE=") + tile}, 256});
    specialisations.push_back({"matmul_pack.cu", {"-DSOURCE=" + weight, "-DTARGET=half"}, 128, 75, 75});
    specialisations.push_back({"matmul_pack.cu", {"-DSOURCE=" + weight, "-DTARGET=bfloat16"}, 128, 80, 90});
  }
  const auto add_tiles = [](const std::string& compute, const std::string& weight, const std::string& layout, int first, int last) {
    const auto add = [&](const char* m, const char* n, int threads, int oldest) {
      specialisations.push_back({"matmul_mma.cu", {"-DCOMPUTE=" + compute, "-DWEIGHT=" + weight, "-DLAYOUT=" + layout,
                                                   std::string("-DBLOCK_M=") + m, std::string("-DBLOCK_N=") + n}, threads, oldest, last});
    };
    add("64", "64", 128, first);
    add("128", "128", 256, first);
    if (first == 80) add("128", "256", 256, 80);
  };
  for (const std::string layout : {"NT", "NN", "TN"}) {
    add_tiles("half", "half", layout, 75, 75);
    if (layout != "TN") add_tiles("half", "bfloat16", layout, 75, 75);
    add_tiles("bfloat16", "bfloat16", layout, 80, 90);
  }
}
// What AttentionKernels.cs of src/GemmaCore.Ops/Attention names, with the tiles of AttentionPlan.cs.
void add_attention() {
  for (const char* limit : {"64", "96", "128", "256"}) specialisations.push_back({"attention.cu", {std::string("-DHEAD_LIMIT=") + limit}, 128});
  for (const char* limit : {"128", "256"})
    for (const char* rows : {"1", "2", "4"})
      specialisations.push_back({"attention_decode.cu", {std::string("-DHEAD_LIMIT=") + limit, std::string("-DROWS=") + rows}, 128});
  for (const int head : {64, 72, 128, 256})
    for (const bool half : {true, false}) {
      const std::vector<std::string> element = {half ? "-DELEMENT=half" : "-DELEMENT=bfloat16", "-DHEAD_DIM=" + std::to_string(head)};
      const int first = half ? 75 : 80, last = half ? 75 : 90;
      const auto add = [&](const char* file, const std::vector<std::pair<const char*, int>>& tile, int threads) {
        Specialisation added{file, element, threads, first, last};
        for (const auto& [name, value] : tile) added.defines.push_back(std::string("-D") + name + "=" + std::to_string(value));
        specialisations.push_back(added);
      };
      const auto add_gradient = [&](int rows, int columns, int split, int stages) {
        add("attention_gradient_mma.cu", {{"ROWS", rows}, {"COLUMNS", columns}, {"SPLIT", split}, {"STAGES", stages}}, rows * 2 * split);
      };
      add("attention_pack.cu", {}, 128);
      add("attention_mma.cu", {{"QUERIES", 64}, {"KEYS", half ? 32 : 64}}, 128);
      if (half) {
        add_gradient(head == 256 ? 32 : 64, head == 256 ? 16 : 32, head < 128 ? 1 : 2, 1);
        continue;
      }
      add_gradient(64, 32, head < 128 ? 1 : 2, 2);
      if (head < 256) continue;
      add("attention_mma.cu", {{"QUERIES", 128}, {"KEYS", 64}}, 256);
      add_gradient(64, 16, 2, 1);
    }
}

// Threads, shared bytes and blocks that one multiprocessor holds: kernels.md 0.2, CUDA programming guide.
struct Architecture { const char* name; int threads, shared, blocks; };
const Architecture architectures[] = {{"sm_75", 1024, 65536, 16}, {"sm_80", 2048, 167936, 32}, {"sm_86", 1536, 102400, 16},
                                      {"sm_89", 1536, 102400, 24}, {"sm_90", 2048, 233472, 32}, {"sm_90a", 2048, 233472, 32}};
struct Use { int registers, shared, spilled; };

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

using Program = void*;
struct Nvrtc {
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(Program, int, const char* const*);
  int (*log_size)(Program, std::size_t*);
  int (*log)(Program, char*);
  int (*destroy)(Program*);
};

template <typename F> bool resolve(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

std::string compile(const Nvrtc& nvrtc, const Specialisation& what, const std::string& architecture, bool& succeeded) {
  const std::string source = text_of(std::string(KERNELS) + "/" + what.file), header = text_of(KERNELS "/ptx.cuh");
  const char* const texts[] = {header.c_str()};
  const char* const names[] = {"ptx.cuh"};
  Program program = nullptr;
  succeeded = false;
  if (nvrtc.create(&program, source.c_str(), what.file.c_str(), 1, texts, names) != 0) return "nvrtcCreateProgram failed";
  const std::string arch = "-arch=" + architecture;
  std::vector<const char*> options = {arch.c_str(), "-std=c++17", "--ptxas-options=-v"};
  for (const std::string& define : what.defines) options.push_back(define.c_str());
  succeeded = nvrtc.compile(program, static_cast<int>(options.size()), options.data()) == 0;
  std::size_t bytes = 0;
  nvrtc.log_size(program, &bytes);
  std::string log(bytes, '\0');
  nvrtc.log(program, log.data());
  nvrtc.destroy(&program);
  return log;
}

// What ptxas -v says about each entry function.
std::map<std::string, Use> uses(const std::string& log) {
  static const std::regex entry("Compiling entry function '(\\w+)'"), spill("(\\d+) bytes spill stores, (\\d+) bytes spill loads"),
      used("Used (\\d+) registers"), shared("(\\d+) bytes smem");
  std::map<std::string, Use> result;
  std::istringstream lines(log);
  std::string kernel;
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_search(line, found, entry)) kernel = found[1], result[kernel] = {-1, 0, -1};
    if (kernel.empty()) continue;
    if (std::regex_search(line, found, spill)) result[kernel].spilled = std::stoi(found[1]) + std::stoi(found[2]);
    if (std::regex_search(line, found, used)) result[kernel].registers = std::stoi(found[1]);
    if (std::regex_search(line, found, shared)) result[kernel].shared = std::stoi(found[1]);
  }
  return result;
}

// Blocks per multiprocessor times threads, in per cent; registers are given to warps in units of 256.
int occupancy(const Architecture& on, const Use& use, int threads) {
  const int registers = (use.registers * 32 + 255) / 256 * 256 * (threads / 32);
  int blocks = std::min({on.threads / threads, 65536 / registers, on.blocks});
  if (use.shared > 0) blocks = std::min(blocks, on.shared / use.shared);
  return 100 * blocks * threads / on.threads;
}

}  // namespace

int main(int count, char** arguments) {
  const bool write = count > 1 && std::strcmp(arguments[1], "--write") == 0;
  const char* chosen = std::getenv("GEMMACORE_NVRTC_LIBRARY");
  const std::string path = chosen != nullptr ? chosen : FETCHED "/usr/lib/x86_64-linux-gnu/libnvrtc.so.12";
  // The compiler's built-ins lie beside it and are looked for by name alone.
  dlopen((path.substr(0, path.rfind('/') + 1) + "libnvrtc-builtins.so.12.4").c_str(), RTLD_NOW | RTLD_GLOBAL);
  void* library = dlopen(path.c_str(), RTLD_NOW);
  if (library == nullptr) {
    std::printf("skipped: %s; run tools/fetch_nvrtc.sh or set GEMMACORE_NVRTC_LIBRARY\n", dlerror());
    return 77;
  }
  Nvrtc nvrtc{};
  if (!resolve(library, "nvrtcCreateProgram", nvrtc.create) || !resolve(library, "nvrtcCompileProgram", nvrtc.compile) ||
      !resolve(library, "nvrtcGetProgramLogSize", nvrtc.log_size) || !resolve(library, "nvrtcGetProgramLog", nvrtc.log) ||
      !resolve(library, "nvrtcDestroyProgram", nvrtc.destroy)) {
    std::printf("%s is not NVRTC\n", path.c_str());
    return 1;
  }

  add_matmul();
  add_attention();
  std::map<std::string, std::string> budget;
  std::ifstream budgets(KERNELS "/budgets.csv");
  for (std::string line; std::getline(budgets, line);) {
    std::size_t at = 0;
    for (int commas = 0; commas < 4 && at != std::string::npos; ++commas) at = line.find(',', at + (commas > 0));
    if (at != std::string::npos) budget[line.substr(0, at)] = line.substr(at + 1);
  }
  budget.erase("file,defines,arch,kernel");
  std::string table = "file,defines,arch,kernel,registers,shared_bytes\n";
  int failures = 0;
  for (const Specialisation& what : specialisations)
    for (const Architecture& on : architectures) {
      const int capability = std::atoi(on.name + 3);
      if (capability < what.first || capability > what.last) continue;
      bool succeeded = false;
      const std::string log = compile(nvrtc, what, on.name, succeeded);
      const auto kernels = uses(log);
      if (!succeeded || kernels.empty()) {
        std::printf("FAILED: %s for %s:\n%s\n", what.file.c_str(), on.name, log.c_str());
        ++failures;
        continue;
      }
      std::string defines;
      for (const std::string& define : what.defines) defines += (defines.empty() ? "" : " ") + define;
      for (const auto& [kernel, use] : kernels) {
        const std::string key = what.file + "," + defines + "," + on.name + "," + kernel;
        const std::string found = std::to_string(use.registers) + "," + std::to_string(use.shared);
        table += key + "," + found + "\n";
        std::printf("%-90s %3d registers %5d bytes shared, occupancy %3d %%\n", key.c_str(), use.registers, use.shared, occupancy(on, use, what.threads));
        if (use.spilled != 0 || use.registers < 0) std::printf("FAILED: %s spills %d bytes; expected 0\n", key.c_str(), use.spilled), ++failures;
        const auto allowed = budget.find(key);
        if (!write && (allowed == budget.end() || allowed->second != found)) {
          std::printf("FAILED: %s: registers,shared = %s, budget %s; if meant, run nvrtc_gate --write and commit kernels/budgets.csv\n",
                      key.c_str(), found.c_str(), allowed == budget.end() ? "none" : allowed->second.c_str());
          ++failures;
        }
        if (allowed != budget.end()) budget.erase(allowed);
      }
    }
  for (const auto& [key, figures] : budget)
    if (!write) std::printf("FAILED: %s is in kernels/budgets.csv but is no longer compiled\n", key.c_str()), ++failures;
  if (write && failures == 0) std::ofstream(KERNELS "/budgets.csv") << table;
  return failures == 0 ? 0 : 1;
}
