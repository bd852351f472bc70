/*
 * Seeded numbers that any language can reproduce: element i of stream s is splitmix64 (Steele, Lea and Flood 2014,
 * "Fast splittable pseudorandom number generators") of counter i, so it needs no state:
 *     z = s * 0xD1342543DE82EF95 + (i + 1) * 0x9E3779B97F4A7C15;  z = (z ^ z>>30) * 0xBF58476D1CE4E5B9;
 *     z = (z ^ z>>27) * 0x94D049BB133111EB;  z ^= z>>31          (all modulo 2^64)
 *     uniform = (z >> 40) / 2^24                                   in [0, 1), exact in f32
 */
#ifndef CLVGG_BASE_RANDOM_H
#define CLVGG_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static inline float random_uniform(uint64_t stream, uint64_t i) {
  uint64_t z = stream * UINT64_C(0xD1342543DE82EF95) + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  z ^= z >> 31;
  return (float)(z >> 40) * 0x1p-24f;
}

/* out[i] = low + (high - low) * uniform(stream, i), in f32 arithmetic, for i in [0, n). */
void random_fill(uint64_t stream, float low, float high, float *out, size_t n);

#endif
