// Crashes in a member function of a template in a namespace.
#include <cstdint>

namespace deep {

template <typename T>
struct Crasher {
  __attribute__((noinline)) int crash(T where) const {
    *reinterpret_cast<volatile int *>(static_cast<std::uintptr_t>(where)) = 1;
    return 1;
  }
};

}  // namespace deep

int main(int argc, char **) {
  const volatile deep::Crasher<unsigned long> crasher{};
  return const_cast<const deep::Crasher<unsigned long> &>(crasher).crash(static_cast<unsigned long>(argc));
}
