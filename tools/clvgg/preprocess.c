/* The options that say how image files are read, and the opening of model, device and engine with them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "predict.h"
#include "samples.h"

#define MAX_SIDE    8192
#define MAX_THREADS 64

void image_options_rows(image_options *options, cli_option *out) {
  *options = (image_options){.resize = CLI_UNSET, .batch = CLI_UNSET, .threads = CLI_UNSET};
  const cli_option rows[IMAGE_OPTION_COUNT] = {
      {'b', "batch", "N", "images at once on the device", CLI_COUNT, &options->batch, 1, CLVGG_MAX_BATCH},
      {'j', "threads", "N", "threads that decode images", CLI_COUNT, &options->threads, 1, MAX_THREADS},
      {0, "classes", "FILE", "class names, one a line, instead of the model's", CLI_TEXT, &options->classes, 0, 0},
      {0, "resize", "N", "resize the short side to N pixels; 0: not at all", CLI_COUNT, &options->resize, 0, MAX_SIDE},
      {0, "crop", "HxW", "cut the centre to this size, which is the network's input", CLI_SIZE, &options->crop, 1,
       MAX_SIDE},
      {0, "mean", "A,B,C", "subtract this from pixel values 0..255, in channel order", CLI_COLOUR, &options->mean, -1e6,
       1e6},
      {0, "std", "A,B,C", "then divide by this", CLI_COLOUR, &options->std, 1e-6, 1e6},
      {0, "bicubic", NULL, "resize with bicubic instead of bilinear filtering", CLI_FLAG, &options->bicubic, 0, 0},
      {0, "bgr", NULL, "channels in the order blue, green, red", CLI_FLAG, &options->bgr, 0, 0},
      {0, "algorithm", "LIST", "algorithms to use wherever they are supported", CLI_TEXT, &options->algorithm, 0, 0},
  };
  memcpy(out, rows, sizeof rows);
}

int predictor_open(predictor *p, const cli_shared *shared, const image_options *options) {
  *p = (predictor){0};
  if (!cli_open_model(shared, options->classes, &p->model)) return 0;
  clvgg_model_get_info(p->model, &p->model_info);
  p->preprocess = p->model_info.preprocess;
  if (p->model_info.channels != 3) {
    cli_error("model %s: its input has %zu channels, images have 3", p->model_info.name, p->model_info.channels);
    return 0;
  }
  clvgg_preprocess *pre = &p->preprocess;
  if (options->resize != CLI_UNSET) pre->resize_short = (unsigned)options->resize;
  if (options->crop.height) {
    pre->height = (unsigned)options->crop.height;
    pre->width = (unsigned)options->crop.width;
  }
  if (options->mean.given) memcpy(pre->mean, options->mean.value, sizeof pre->mean);
  if (options->std.given) memcpy(pre->std, options->std.value, sizeof pre->std);
  if (options->bicubic) pre->interpolation = CLVGG_BICUBIC;
  if (options->bgr) pre->bgr = 1;
  return 1;
}

/* 1: d is open. 0: that is reported, and it is closed. */
static int start_device(const predictor *p, predictor_device *d, const clvgg_engine_options *options) {
  if (clvgg_device_open(d->info.id, &d->device) || clvgg_engine_open(d->device, p->model, options, &d->engine)) {
    cli_library_error();
    clvgg_device_close(&d->device);
    return 0;
  }
  clvgg_engine_get_accuracy(d->engine, &d->accuracy);
  if (d->accuracy.state == CLVGG_ACCURACY_REFUSED) cli_error("note: f32 is used, not %s", d->accuracy.reason);
  return 1;
}

int predictor_start(predictor *p, const cli_shared *shared, const image_options *options, size_t count,
                    size_t most_batch) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  clvgg_device_info *chosen = NULL;
  size_t chosen_count = 0;
  if (!cli_select_devices(shared, &chosen, &chosen_count)) return 0;
  const size_t share = count / chosen_count + (count % chosen_count != 0);
  p->batch = options->batch != CLI_UNSET ? options->batch : share < most_batch ? share : most_batch;
  p->threads = options->threads;
  /* More than eight would decode faster than any device that this is meant for classifies. */
  if (p->threads == CLI_UNSET) p->threads = processors < 1 ? 1 : processors > 8 ? 8 : (size_t)processors;

  clvgg_engine_options engine;
  cli_engine_options(shared, &engine);
  engine.max_batch = p->batch;
  engine.height = p->preprocess.height;
  engine.width = p->preprocess.width;
  engine.algorithm = options->algorithm;
  engine.input = CLVGG_INPUT_RGB8; /* decoding ends in bytes, and the device normalises them */
  engine.preprocess = &p->preprocess;
  void *samples = NULL;
  if (!cli_load_samples(shared, p->model_info.channels, &p->preprocess, &engine, &samples)) {
    clvgg_device_list_free(chosen);
    return 0;
  }
  p->devices = cli_alloc(chosen_count, sizeof *p->devices);
  for (size_t i = 0; i < chosen_count; i++) {
    predictor_device *d = &p->devices[p->device_count];
    *d = (predictor_device){.info = chosen[i]};
    if (start_device(p, d, &engine))
      p->device_count++;
    else
      p->lost++;
  }
  free(samples);
  clvgg_device_list_free(chosen);
  return p->device_count > 0;
}

void predictor_close(predictor *p) {
  for (size_t i = 0; i < p->device_count; i++) {
    clvgg_engine_close(&p->devices[i].engine);
    clvgg_device_close(&p->devices[i].device);
    free(p->devices[i].error);
  }
  free(p->devices);
  clvgg_model_close(&p->model);
}
