#include "ptx_image.hpp"

#include <cstring>
#include <stdexcept>

namespace cudasim {
namespace {

constexpr char opening[] = "// cudasim PTX\n.version 8.4\n.target ";
constexpr char marker[] = "\n// object ";
constexpr char digits[] = "0123456789abcdef";

int digit(char c) {
  const char* found = c == 0 ? nullptr : std::strchr(digits, c);
  if (found == nullptr) throw std::invalid_argument("the PTX image is damaged");
  return static_cast<int>(found - digits);
}

}  // namespace

std::string ptx_image(const std::string& target, const std::string& elf) {
  std::string text = opening + target + marker;
  text.reserve(text.size() + 2 * elf.size() + 1);
  for (const char c : elf) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text + "\n";
}

bool is_ptx_image(const char* image) { return std::strncmp(image, opening, std::strlen(opening)) == 0; }

std::string elf_of_ptx_image(const char* image) {
  const char* hex = std::strstr(image, marker);
  if (hex == nullptr) throw std::invalid_argument("the PTX image is damaged");
  std::string elf;
  for (hex += std::strlen(marker); *hex != '\n'; hex += 2) {
    const int high = digit(hex[0]);
    elf += static_cast<char>(high << 4 | digit(hex[1]));
  }
  return elf;
}

}  // namespace cudasim
