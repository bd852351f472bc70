/* f32 to 24-bit integers with a scale, without a branch in the loops so that they vectorise. */
#include "base/int24.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/clones.h"

BASE_CLONES float int24_largest(const float *in, size_t n, float so_far) {
  /* Magnitudes are ordered as their bits are, infinity and then NaN behind the numbers: no NaN gets lost. */
  int32_t largest;
  memcpy(&largest, &so_far, sizeof largest);
  largest &= INT32_MAX;
  for (size_t i = 0; i < n; i++) {
    int32_t bits;
    memcpy(&bits, in + i, sizeof bits);
    bits &= INT32_MAX;
    largest = bits > largest ? bits : largest;
  }
  float value;
  memcpy(&value, &largest, sizeof value);
  return value;
}

float int24_scale(float largest) {
  const float scale = largest / INT24_LARGEST;
  return scale > FLT_MIN ? scale : FLT_MIN;
}

BASE_CLONES void float_to_int24_array(const float *in, const float *scale, size_t n, int16_t *high, uint8_t *low) {
  for (size_t i = 0; i < n; i++) {
    /* The scale's own rounding adds less than half to the largest quotient, which rounding takes away again. */
    const int32_t q = (int32_t)rint((double)in[i] / (double)scale[i]);
    low[i] = (uint8_t)(q & 0xFF);
    high[i] = (int16_t)((q - (q & 0xFF)) / 256);
  }
}
