// The public header alone, as C++: it compiles, and its names link as C names do.
#include "clvgg/clvgg.h"

int main() {
  clvgg_preprocess preprocess;
  clvgg_preprocess_init(&preprocess);
  clvgg_device *none = nullptr;
  clvgg_device_close(&none);
  const float logits[3] = {1.0F, 3.0F, 2.0F};
  size_t best[1];
  bool ok = clvgg_top_k(logits, 3, 1, best, nullptr) == 1 && best[0] == 1;
  return ok && preprocess.struct_size == sizeof preprocess && clvgg_family_get(clvgg_family_count()) == nullptr ? 0 : 1;
}
