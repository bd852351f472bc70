/* IEEE 754 binary16 and bfloat16 to f32 and back, without a branch in the array loops so that they vectorise. */
#include "base/half.h"

#include <string.h>

#include "base/clones.h"

static inline float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t bits_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* The bits of the f32 that equals half. Exponents are biased by 15 in binary16 and by 127 in f32. */
static inline uint32_t widen(uint32_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  const uint32_t rebias = (127u - 15u) << 23;
  const uint32_t normal = (magnitude << 13) + rebias;
  const uint32_t special = normal + rebias; /* infinity and NaN: exponent 31 becomes 255 */
  /* A subnormal is magnitude * 2^-24: put it behind the 1 of 0.5 (whose last place is 2^-24) and take 0.5 away. No f32
   * subnormal takes part, so that the result holds where the processor flushes those to zero. */
  const uint32_t subnormal = bits_from_float(float_from_bits(0x3F000000u + magnitude) - 0.5f);
  /* Masks rather than ?: , which gcc may turn into branches. */
  const uint32_t is_subnormal = 0u - (uint32_t)(magnitude < 0x0400u);
  const uint32_t is_special = 0u - (uint32_t)(magnitude >= 0x7C00u);
  const uint32_t finite = (subnormal & is_subnormal) | (normal & ~is_subnormal);
  return sign | (special & is_special) | (finite & ~is_special);
}

float half_to_float(uint16_t half) {
  return float_from_bits(widen(half));
}

uint16_t float_to_half(float value) {
  const uint32_t bits = bits_from_float(value);
  const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x1FFu));
  if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u); /* 65520 and more round to infinity */
  if (magnitude < 0x33000000u) return sign;                        /* below half of the least subnormal, 2^-25 */
  uint32_t mantissa, dropped;    /* mantissa with the exponent above it; bits to round off */
  if (magnitude < 0x38800000u) { /* below 2^-14: subnormal in binary16 */
    mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    dropped = 126 - (magnitude >> 23);
  } else {
    mantissa = magnitude - ((127u - 15u) << 23);
    dropped = 13;
  }
  uint32_t result = mantissa >> dropped;
  const uint32_t rest = mantissa & ((1u << dropped) - 1), halfway = 1u << (dropped - 1);
  if (rest > halfway || (rest == halfway && (result & 1u))) result++; /* a carry into the exponent is right */
  return (uint16_t)(sign | result);
}

/* float_to_half without a branch. A value that is normal in binary16 is rounded by adding just less than half of its last
 * place, one more where the kept part is odd; a subnormal by adding 0.5, whose last place is binary16's least, 2^-24. */
static inline uint32_t narrow(uint32_t bits) {
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  const uint32_t normal = (magnitude - ((127u - 15u) << 23) + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
  const uint32_t subnormal = bits_from_float(float_from_bits(magnitude) + 0.5f) - 0x3F000000u;
  const uint32_t nan = 0x7E00u | (magnitude >> 13 & 0x1FFu);
  const uint32_t is_subnormal = 0u - (uint32_t)(magnitude < 0x38800000u);
  const uint32_t is_infinite = 0u - (uint32_t)(magnitude >= 0x477FF000u);
  const uint32_t is_nan = 0u - (uint32_t)(magnitude > 0x7F800000u);
  uint32_t result = (subnormal & is_subnormal) | (normal & ~is_subnormal);
  result = (0x7C00u & is_infinite) | (result & ~is_infinite);
  result = (nan & is_nan) | (result & ~is_nan);
  return (bits >> 16 & 0x8000u) | result;
}

BASE_CLONES bool float_to_half_array(const float *in, uint16_t *out, size_t n) {
  uint32_t too_large = 0;
  for (size_t i = 0; i < n; i++) {
    const uint32_t bits = bits_from_float(in[i]);
    too_large |= (uint32_t)((bits & 0x7FFFFFFFu) >= 0x477FF000u);
    out[i] = (uint16_t)narrow(bits);
  }
  return too_large == 0;
}

BASE_CLONES void half_to_float_array(const void *half, float *out, size_t n) {
  const unsigned char *in = half;
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, in + 2 * i, sizeof h);
    out[i] = float_from_bits(widen(h));
  }
}

uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = bits_from_float(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
    return (uint16_t)(bits >> 16 | 0x40u); /* quiet: its lower half may be all it had */
  return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

void bfloat16_to_float_array(const void *bfloat16, float *out, size_t n) {
  const unsigned char *in = bfloat16;
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, in + 2 * i, sizeof h);
    out[i] = float_from_bits((uint32_t)h << 16);
  }
}
