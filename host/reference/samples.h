/* Single values of a layer's output: what a kernel is checked against where the whole reference would take too long. */
#ifndef CLVGG_REFERENCE_SAMPLES_H
#define CLVGG_REFERENCE_SAMPLES_H

#include "network/layer.h"

#define REFERENCE_MOST_SAMPLES 256

/* Elements of an output (n, C, H, W), and what they are by the reference. */
typedef struct reference_samples {
  size_t count;
  size_t *element; /* (count), in (n, C, H, W) */
  float *value;    /* (count) */
} reference_samples;

/* count elements (16 to REFERENCE_MOST_SAMPLES) of the output of a convolution (with the pooling after it, if its shape says so) or a fully connected layer on
 * n images: the corners of first and last channels and images, and seeded others all over. in (n, C, H, W). Other layers are
 * CLVGG_ERROR_UNSUPPORTED: the whole reference does for them. */
clvgg_status reference_samples_make(const layer *l, size_t n, const float *in, size_t count, reference_samples *out);
void reference_samples_free(reference_samples *samples);

#endif
