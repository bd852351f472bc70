/* Image files through an engine on each of some devices: decoded by threads ahead of them, answered in order. */
#ifndef CLVGG_TOOLS_PREDICT_H
#define CLVGG_TOOLS_PREDICT_H

#include "cli.h"

/* The options of the commands that read images. */
typedef struct image_options {
  const char *classes; /* file of class names, or NULL */
  size_t resize;       /* CLI_UNSET: the model's */
  cli_size crop;
  cli_colour mean, std;
  int bicubic, bgr;
  size_t batch, threads; /* CLI_UNSET: chosen */
  const char *algorithm;
} image_options;

#define IMAGE_OPTION_COUNT 10
/* Sets up the defaults and writes IMAGE_OPTION_COUNT rows to out. */
void image_options_rows(image_options *options, cli_option *out);

/* One of the devices. What it did is predict's. */
typedef struct predictor_device {
  clvgg_device *device;
  clvgg_engine *engine;
  clvgg_device_info info;
  clvgg_accuracy accuracy;
  size_t images;  /* that it answered */
  double seconds; /* in which it did */
  char *error;    /* NULL, or why it was not used any more */
} predictor_device;

typedef struct predictor {
  clvgg_model *model;
  predictor_device *devices; /* (device_count): those that could be opened */
  size_t device_count;
  size_t lost; /* devices that could not be opened or that failed; this was reported */
  clvgg_model_info model_info;
  clvgg_preprocess preprocess; /* the model's, with the options' changes */
  size_t batch, threads;
} predictor;

/* Opens the model first, so that a wrong file is known at once; predictor_start opens the rest for count images, most_batch of them
 * at once, or fewer where every device is to have some. Both: 1 done, 0 reported. One device of several that cannot be opened is
 * reported and lost. predictor_close takes a predictor in any state. */
int predictor_open(predictor *p, const cli_shared *shared, const image_options *options);
int predictor_start(predictor *p, const cli_shared *shared, const image_options *options, size_t count,
                    size_t most_batch);
void predictor_close(predictor *p);

/* Called in the order of the images: error is NULL and logits is (classes), or error says what was wrong with the image
 * and logits is NULL. more: others of the same batch follow at once. Returns 0 to go on. */
typedef int (*predict_fn)(size_t index, int more, const char *error, const float *logits, void *user);

/* Runs count images. known_errors is NULL or (count) of texts: one that is not NULL is passed on instead of loading.
 * CLI_DONE: every image had its answer, even if p->lost is not 0. CLI_FAILED: fn stopped it, or no device is left (that is
 * reported here). */
int predict(predictor *p, char *const *paths, char *const *known_errors, size_t count, predict_fn fn, void *user);

#endif
