/* Values as 24-bit integers that have a scale in common, value ~ q * scale; the upper 16 and the lower 8 bits of q are stored apart. */
#ifndef CLVGG_BASE_INT24_H
#define CLVGG_BASE_INT24_H

#include <stddef.h>
#include <stdint.h>

#define INT24_LARGEST 8388607 /* 2^23 - 1: -q exists, too, and all of them are f32 exactly */

/* The largest magnitude of n values and of so_far. Not finite when one of the values is not. */
float int24_largest(const float *in, size_t n, float so_far);

/* The scale of values whose largest magnitude is this, finite: half of it is the error of a value, 2^-24 of the largest. It is never
 * below the least normal number, where it would lose its own precision: values that are all below 2^-103 are off by 2^-127. */
float int24_scale(float largest);

/* q = in / scale, rounded to nearest, for n values, each with its scale. q = 256 * high + low. */
void float_to_int24_array(const float *in, const float *scale, size_t n, int16_t *high, uint8_t *low);

#endif
