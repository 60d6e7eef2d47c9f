// The environment variables of the simulator, all read here (but for the compiler's, host_compiler.cpp).
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "card.hpp"
#include "listed_kernels.hpp"
#include "versions.hpp"

namespace cudasim {
namespace {

std::uint64_t whole_number(const std::string& text, const char* what) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 18)
    throw std::invalid_argument("cudasim: " + std::string(what) + " '" + text + "' is not a whole number");
  return std::stoull(text);
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
  return parts;
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != 0 ? value : nullptr;
}

}  // namespace

bool checks_of_environment() {
  const char* value = variable("GEMMACORE_CUDASIM_CHECKS");
  const std::string checks = value != nullptr ? value : "on";
  if (checks != "on" && checks != "off") throw std::invalid_argument("cudasim: GEMMACORE_CUDASIM_CHECKS is '" + checks + "'; it is on or off");
  return checks == "on";
}

int host_threads_of_environment() {
  if (const char* threads = variable("GEMMACORE_CUDASIM_THREADS")) return std::clamp(static_cast<int>(whole_number(threads, "GEMMACORE_CUDASIM_THREADS")), 1, 64);
  cpu_set_t usable;
  CPU_ZERO(&usable);
  return sched_getaffinity(0, sizeof usable, &usable) == 0 ? std::clamp(CPU_COUNT(&usable), 1, 64) : 1;
}

std::vector<Settings> settings_of_environment() {
  Settings common;
  common.checks = checks_of_environment();
  if (const char* schedule = variable("GEMMACORE_CUDASIM_SCHEDULE")) common.schedule = schedule;
  if (const char* seed = variable("GEMMACORE_CUDASIM_SEED")) common.seed = whole_number(seed, "GEMMACORE_CUDASIM_SEED");
  if (const char* bytes = variable("GEMMACORE_CUDASIM_MEMORY")) common.memory_bytes = whole_number(bytes, "GEMMACORE_CUDASIM_MEMORY");
  if (const char* arithmetic = variable("GEMMACORE_CUDASIM_ARITHMETIC")) {
    const std::string name = arithmetic;
    if (name != "ideal" && name != "hardware")
      throw std::invalid_argument("cudasim: no arithmetic '" + name + "'; there are ideal, hardware");
    common.arithmetic = name == "ideal" ? Arithmetic::ideal : Arithmetic::hardware;
  }
  const char* devices = variable("GEMMACORE_CUDASIM_DEVICE");
  std::vector<Settings> cards;
  for (const std::string& item : split(devices != nullptr ? devices : common.device, ',')) {
    const std::vector<std::string> parts = split(item, ':');
    Settings card = common;
    if (parts.empty() || parts.size() > 3)
      throw std::invalid_argument("cudasim: GEMMACORE_CUDASIM_DEVICE has '" + item + "'; a card is profile[:schedule[:seed]]");
    card.device = parts[0];
    if (parts.size() > 1) card.schedule = parts[1];
    if (parts.size() > 2) card.seed = whole_number(parts[2], "seed");
    profile_named(card.device);
    policy_named(card.schedule);
    cards.push_back(card);
  }
  return cards;
}

int driver_version_of_environment() {
  const char* value = variable("GEMMACORE_CUDASIM_DRIVER");
  return value != nullptr ? static_cast<int>(whole_number(value, "GEMMACORE_CUDASIM_DRIVER")) : 12040;
}

CompilerVersion compiler_version_of_environment() {
  const char* value = variable("GEMMACORE_CUDASIM_NVRTC");
  if (value == nullptr) return {12, 4};
  const std::vector<std::string> parts = split(value, '.');
  if (parts.size() != 2) throw std::invalid_argument("cudasim: GEMMACORE_CUDASIM_NVRTC is '" + std::string(value) + "'; it is major.minor, such as 11.2");
  return {static_cast<int>(whole_number(parts[0], "GEMMACORE_CUDASIM_NVRTC")), static_cast<int>(whole_number(parts[1], "GEMMACORE_CUDASIM_NVRTC"))};
}

int newest_architecture(CompilerVersion version) {
  const int number = version.major * 10 + version.minor;
  return number >= 118 ? 90 : number >= 111 ? 86 : number >= 110 ? 80 : 75;
}

std::pair<long long, int> planted_failure_of_environment() {
  const char* value = variable("GEMMACORE_CUDASIM_FAIL");
  if (value == nullptr) return {0, 0};
  const std::vector<std::string> parts = split(value, ':');
  if (parts.size() != 2) throw std::invalid_argument("cudasim: GEMMACORE_CUDASIM_FAIL is '" + std::string(value) + "'; it is call:code, such as 12:719");
  return {static_cast<long long>(whole_number(parts[0], "GEMMACORE_CUDASIM_FAIL")), static_cast<int>(whole_number(parts[1], "GEMMACORE_CUDASIM_FAIL"))};
}

std::string kernel_list_of_environment() {
  const char* list = variable("GEMMACORE_CUDASIM_LISTED");
  return list != nullptr ? list : "";
}

}  // namespace cudasim
