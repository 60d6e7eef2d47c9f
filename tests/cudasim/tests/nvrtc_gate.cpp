// Compiles every kernel and specialisation of kernels/specialisations.csv for every architecture from its lowest to its highest with the real
// NVRTC and holds registers, shared memory and spills against kernels/budgets.csv. Every file of kernels/ must be listed. What the table has from
// 90a on is for sm_90a alone. Products of warpgroups that the compiler had to put in a row fail as well.
// Machine instructions per weight of the kernels that read codes are held against kernels/instructions.csv and what the card leaves for them.
// The simulator's own test kernels are compiled as well, so that all of ptx.cuh is, whoever uses it.
// Prints the tables with occupancy; `--write` makes the present figures the budget. Given the name of a kernel file, it compiles (and writes) only that one.
// Exit codes: 0 within budget, 1 not, 77 NVRTC is not there (CTest: skipped).
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "instruction_table.hpp"
#include "kernel_headers.hpp"

namespace {

struct Specialisation {
  std::string file, defines;
  int threads, lowest_arch, highest_arch = 90;  // threads: 0 where no budget is kept
  std::string folder = KERNELS;
  bool specific = false;  // for sm_90a alone
};
const std::vector<Specialisation> test_kernels = {{"planted.cu", "", 0, 75, 90, PLANTED},
                                                  {"planted.cu", "-DPLANTED", 0, 75, 90, PLANTED},
                                                  {"fragments.cu", "-DINPUT=half", 0, 75, 90, TESTS},
                                                  {"fragments.cu", "-DINPUT=bfloat16", 0, 80, 90, TESTS},
                                                  {"speed.cu", "", 0, 75, 90, TESTS},
                                                  {"bulk_copy.cu", "", 0, 90, 90, TESTS},
                                                  {"warpgroup.cu", "-DCOLUMNS=256", 0, 90, 90, TESTS, true},
                                                  {"warpgroup.cu", "-DA_ACROSS=true -DB_ACROSS=true", 0, 90, 90, TESTS, true},
                                                  {"warpgroup.cu", "-DCOLUMNS=256 -DFRAGMENT=true", 0, 90, 90, TESTS, true}};
// Threads, shared bytes and blocks that one multiprocessor holds: kernels.md 0.2, CUDA programming guide.
struct Architecture { const char* name; int arch, threads, shared, blocks; };
const Architecture architectures[] = {{"sm_75", 75, 1024, 65536, 16},  {"sm_80", 80, 2048, 167936, 32}, {"sm_86", 86, 1536, 102400, 16},
                                      {"sm_89", 89, 1536, 102400, 24}, {"sm_90", 90, 2048, 233472, 32}, {"sm_90a", 90, 2048, 233472, 32}};
struct Use { int registers, shared, spilled; };
struct Compilation { const Specialisation* what; const Architecture* on; bool succeeded; std::string log, cubin; };

using Program = void*;
struct Nvrtc {
  int (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(Program, int, const char* const*);
  int (*log_size)(Program, std::size_t*);
  int (*log)(Program, char*);
  int (*cubin_size)(Program, std::size_t*);
  int (*cubin)(Program, char*);
  int (*destroy)(Program*);
};

template <typename F> bool resolve(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
  return parts;
}

std::vector<Specialisation> listed_specialisations(int& failures) {
  const auto fail = [&](const std::string& why) { std::printf("FAILED: kernels/specialisations.csv: %s\n", why.c_str()), ++failures; };
  std::vector<Specialisation> all;
  std::set<std::string> files, lines;
  std::istringstream table(text_of(KERNELS "/specialisations.csv"));
  std::string line;
  std::getline(table, line);
  const std::string columns = "file,defines,threads,lowest_arch,highest_arch";
  if (line != columns) fail("its first line is '" + line + "', expected '" + columns + "'");
  while (std::getline(table, line)) {
    std::vector<std::string> parts = split(line, ',');
    const bool specific = parts.size() == 5 && parts[3] == "90a";
    if (specific) parts[3] = "90";
    const auto number = [&](std::size_t i) { return parts[i].empty() || parts[i].find_first_not_of("0123456789") != std::string::npos ? 0 : std::stoi(parts[i]); };
    if (parts.size() != 5 || number(2) < 32 || number(2) > 1024 || number(3) < 75 || number(4) < number(3)) fail("'" + line + "' is no " + columns);
    else if (!std::filesystem::exists(KERNELS "/" + parts[0])) fail("there is no kernels/" + parts[0]);
    else if (!lines.insert(parts[0] + "," + parts[1]).second) fail("'" + parts[0] + "," + parts[1] + "' is there twice");
    else all.push_back({parts[0], parts[1], number(2), number(3), number(4), KERNELS, specific}), files.insert(parts[0]);
  }
  for (const auto& entry : std::filesystem::directory_iterator(KERNELS))
    if (entry.path().extension() == ".cu" && files.count(entry.path().filename().string()) == 0) fail(entry.path().filename().string() + " is not listed");
  return all;
}

void compile(const Nvrtc& nvrtc, Compilation& job) {
  const std::string source = text_of(job.what->folder + "/" + job.what->file);
  static const KernelHeaders headers;
  Program program = nullptr;
  job.log = "nvrtcCreateProgram failed";
  if (nvrtc.create(&program, source.c_str(), job.what->file.c_str(), headers.count(), headers.texts.data(), headers.names.data()) != 0) return;
  const std::string arch = std::string("-arch=") + job.on->name;
  const std::vector<std::string> defines = split(job.what->defines, ' ');
  std::vector<const char*> options = {arch.c_str(), "-std=c++17", "--ptxas-options=-v"};
  for (const std::string& define : defines) options.push_back(define.c_str());
  job.succeeded = nvrtc.compile(program, static_cast<int>(options.size()), options.data()) == 0;
  std::size_t bytes = 0;
  nvrtc.log_size(program, &bytes);
  job.log.assign(bytes, '\0');
  nvrtc.log(program, job.log.data());
  if (job.succeeded && nvrtc.cubin_size(program, &bytes) == 0) {
    job.cubin.assign(bytes, '\0');
    nvrtc.cubin(program, job.cubin.data());
  }
  nvrtc.destroy(&program);
}

// Two at a time: NVRTC's programs are independent.
std::vector<Compilation> compile_all(const Nvrtc& nvrtc, const std::vector<Specialisation>& specialisations) {
  std::vector<Compilation> jobs;
  for (const Specialisation& what : specialisations)
    for (const Architecture& on : architectures)
      if (on.arch >= what.lowest_arch && on.arch <= what.highest_arch && (!what.specific || on.name == std::string("sm_90a"))) jobs.push_back({&what, &on, false, {}, {}});
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < jobs.size(); i = next++) compile(nvrtc, jobs[i]);
  };
  std::thread second(work);
  work();
  second.join();
  return jobs;
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
  const bool write = count > 1 && arguments[1] == std::string("--write");
  const std::string only = count > 1 + write ? arguments[1 + write] : "";
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
      !resolve(library, "nvrtcGetCUBINSize", nvrtc.cubin_size) || !resolve(library, "nvrtcGetCUBIN", nvrtc.cubin) ||
      !resolve(library, "nvrtcDestroyProgram", nvrtc.destroy)) {
    std::printf("%s is not NVRTC\n", path.c_str());
    return 1;
  }

  std::map<std::string, std::string> budget, table;
  std::ifstream budgets(KERNELS "/budgets.csv");
  for (std::string line; std::getline(budgets, line);) {
    std::size_t at = 0;
    for (int commas = 0; commas < 4 && at != std::string::npos; ++commas) at = line.find(',', at + (commas > 0));
    if (at != std::string::npos) budget[line.substr(0, at)] = line.substr(at + 1);
  }
  budget.erase("file,defines,arch,kernel");
  InstructionTable instructions(text_of(KERNELS "/instructions.csv"), write, only);
  int failures = 0;
  std::vector<Specialisation> specialisations = listed_specialisations(failures);
  specialisations.insert(specialisations.end(), test_kernels.begin(), test_kernels.end());
  if (!only.empty()) {
    const auto other = [&](const Specialisation& one) { return one.file != only; };
    specialisations.erase(std::remove_if(specialisations.begin(), specialisations.end(), other), specialisations.end());
    // The other files' lines stay as they are.
    for (auto line = budget.begin(); line != budget.end();) {
      const auto at = line++;
      if (at->first.rfind(only + ",", 0) != 0) table.insert(budget.extract(at));
    }
  }
  for (const Compilation& job : compile_all(nvrtc, specialisations)) {
    const auto kernels = uses(job.log);
    if (!job.succeeded || kernels.empty()) {
      std::printf("FAILED: %s %s for %s:\n%s\n", job.what->file.c_str(), job.what->defines.c_str(), job.on->name, job.log.c_str()), ++failures;
      continue;
    }
    // C7510 and on: put in a row, or with waits of the compiler's own between them.
    if (const std::size_t at = job.log.find("(C75"); at != std::string::npos) {
      const std::size_t from = job.log.rfind('\n', at) + 1;
      std::printf("FAILED: %s %s for %s: %s\n", job.what->file.c_str(), job.what->defines.c_str(), job.on->name,
                  job.log.substr(from, job.log.find('\n', at) - from).c_str()), ++failures;
    }
    if (job.what->threads == 0) continue;
    for (const auto& [kernel, use] : kernels) {
      const std::string key = job.what->file + "," + job.what->defines + "," + job.on->name + "," + kernel;
      const std::string found = std::to_string(use.registers) + "," + std::to_string(use.shared);
      table[key] = found;
      std::printf("%-90s %3d registers %5d bytes shared, occupancy %3d %%\n", key.c_str(), use.registers, use.shared,
                  occupancy(*job.on, use, job.what->threads));
      if (instructions.lists(job.what->file, kernel)) std::printf("    %s\n", instructions.measure(key, job.cubin).c_str());
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
  instructions.expect_all_measured();
  for (const std::string& failure : instructions.failures()) std::printf("FAILED: %s\n", failure.c_str()), ++failures;
  if (write && failures == 0) {
    std::ofstream(KERNELS "/instructions.csv") << instructions.text();
    std::ofstream budgets_now(KERNELS "/budgets.csv");
    budgets_now << "file,defines,arch,kernel,registers,shared_bytes\n";
    for (const auto& [key, figures] : table) budgets_now << key << "," << figures << "\n";
  }
  return failures == 0 ? 0 : 1;
}
