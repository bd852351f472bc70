/* Image files through an engine: decoded by threads ahead of the device, answered in order. */
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

typedef struct predictor {
  clvgg_device *device;
  clvgg_model *model;
  clvgg_engine *engine;
  clvgg_device_info device_info;
  clvgg_model_info model_info;
  clvgg_accuracy accuracy;
  clvgg_preprocess preprocess; /* the model's, with the options' changes */
  size_t batch, threads;
} predictor;

/* Opens the model first, so that a wrong file is known at once; predictor_start opens the rest.
 * Both: 1 done, 0 reported. predictor_close takes a predictor in any state. */
int predictor_open(predictor *p, const cli_shared *shared, const image_options *options);
int predictor_start(predictor *p, const cli_shared *shared, const image_options *options, size_t default_batch);
void predictor_close(predictor *p);

/* Called in the order of the images: error is NULL and logits is (classes), or error says what was wrong with the image
 * and logits is NULL. more: others of the same batch follow at once. Returns 0 to go on. */
typedef int (*predict_fn)(size_t index, int more, const char *error, const float *logits, void *user);

/* Runs count images. known_errors is NULL or (count) of texts: one that is not NULL is passed on instead of loading.
 * CLI_DONE; CLI_FAILED when fn stopped it or the engine failed (that is reported here). */
int predict(predictor *p, char *const *paths, char *const *known_errors, size_t count, predict_fn fn, void *user);

#endif
