/* Winograd's convolution with transformed inputs and weights rounded to bf16, by matrices made from the interpolation points. */
#ifndef CLVGG_TESTS_KERNELS_WINOGRAD_BF16_H
#define CLVGG_TESTS_KERNELS_WINOGRAD_BF16_H

#include "algo/algo.h"

bool winograd_bf16_is(const algo *a);

/* n images in (n, C, H, W) through l, which has no pooling, by F(m x m, 3 x 3), m = 2 or 4; sums in f64. */
void winograd_bf16_reference(const layer *l, int m, size_t n, const float *in, float *out);

#endif
