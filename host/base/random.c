/* Arrays of the seeded numbers that random.h defines. */
#include "base/random.h"

void random_fill(uint64_t stream, float low, float high, float *out, size_t n) {
  const float span = high - low;
  for (size_t i = 0; i < n; i++) {
    /* The product of two floats is exact in double: rounding it to float by hand gives the f32 product on every
     * machine, where a compiler might otherwise fuse product and sum. */
    const float scaled = (float)((double)span * (double)random_uniform(stream, i));
    out[i] = low + scaled;
  }
}
