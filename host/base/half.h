/* Stored floating point formats to f32 and back: IEEE 754 binary16, bfloat16. Inputs may be unaligned, and are little endian. */
#ifndef CLVGG_BASE_HALF_H
#define CLVGG_BASE_HALF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

float half_to_float(uint16_t half);
uint16_t float_to_half(float value); /* round to nearest even; overflow becomes infinity */
/* The same for n values. False when one of them became infinity or is not finite. */
bool float_to_half_array(const float *in, uint16_t *out, size_t n);
void half_to_float_array(const void *half, float *out, size_t n);
uint16_t float_to_bfloat16(float value); /* round to nearest even; a NaN stays one */
void bfloat16_to_float_array(const void *bfloat16, float *out, size_t n);

#endif
