/* The images that a precision is judged by: the caller's, photographs that come with the library, or noise. */
#ifndef CLVGG_GATE_SAMPLES_H
#define CLVGG_GATE_SAMPLES_H

#include "network/layer.h"

/* The list of the bundled ones in share/clvgg/samples (host/data/samples): a file's name a line. */
#define SAMPLES_LIST "samples/index.txt"
#define SAMPLES_MOST 32 /* of these */
/* Of noise, where there are no images. */
#define SAMPLES_NOISE 8

typedef struct samples {
  const char *source; /* "given", "bundled", "noise" */
  size_t count;
  uint64_t digest;  /* of all that they are made from, so that answers about them can be remembered */
  const void *data; /* (count, C, H, W) in f32, or pixels (count, H, W, 3); NULL before samples_load */
  void *owned;      /* what of this is to be freed */
  char (*paths)[4096];
} samples;

/* Finds them: what they are, but not decoded. input: of the network. preprocess: the model's, whose own size and that of the input may
 * differ. options: input, samples, sample_count. */
clvgg_status samples_find(const clvgg_engine_options *options, const clvgg_preprocess *preprocess, shape3 input,
                          samples *out);
/* Fills data. Bundled images that cannot be read are no error: noise does instead, of which a line is logged. */
clvgg_status samples_load(const clvgg_engine_options *options, const clvgg_preprocess *preprocess, shape3 input,
                          samples *s);
void samples_free(samples *s);

#endif
