#include "listed_kernels.hpp"

#include <fstream>
#include <sstream>
#include <string>

namespace cudasim {

std::string unlisted(const std::string& list, const std::string& file, const std::string& defines, int arch) {
  std::ifstream table(list);
  if (!table) return list + " cannot be read";
  for (std::string line; std::getline(table, line);) {
    // file,defines,threads,lowest_arch,highest_arch
    std::istringstream columns(line);
    std::string name, defined, threads, lowest, highest;
    std::getline(columns, name, ','), std::getline(columns, defined, ','), std::getline(columns, threads, ',');
    std::getline(columns, lowest, ','), std::getline(columns, highest, ',');
    if (name == file && defined == defines && std::stoi(lowest) <= arch && arch <= std::stoi(highest)) return "";
  }
  return file + " (" + defines + ") for " + std::to_string(arch) + " is not in " + list + ", so no card's compiler has been tried on it";
}

}  // namespace cudasim
