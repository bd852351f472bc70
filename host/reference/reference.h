/*
 * The layers in plain C: what every kernel is checked against. Sums are kept in double, so the result is that of exact
 * arithmetic rounded to f32 for all purposes here. Clarity before speed, but threads are used.
 */
#ifndef CLVGG_REFERENCE_REFERENCE_H
#define CLVGG_REFERENCE_REFERENCE_H

#include "network/layer.h"

/* One layer on n images: in (n, C, H, W) -> out (n, out). Weights are read through layer_read_rows. */
clvgg_status reference_layer(const layer *l, size_t n, const float *in, float *out);

/* How far got is from want (n values): max |got - want|, that over max |want|, and |got - want| / |want| (L2). Any NaN or
 * infinity in got makes all three infinite. */
typedef struct reference_error {
  double max_abs, max_rel, rel_l2;
} reference_error;
reference_error reference_compare(const float *got, const float *want, size_t n);

/* The max_rel that an f32 algorithm may have on this shape: grows with the square root of the summed terms. */
double reference_tolerance(const layer_shape *s);

#endif
