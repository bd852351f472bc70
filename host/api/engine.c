/* The public engine: checks arguments, keeps the model alive. */
#include <stdlib.h>
#include <string.h>

#include "api/model.h"
#include "api/options.h"
#include "device/device.h"
#include "gate/gate.h"
#include "image/image.h"
#include "tune/alternatives.h"

struct clvgg_engine {
  engine *engine;
  clvgg_model *model;
  const clvgg_device_info *device; /* of the engine, which retains it */
  clvgg_engine_options options;    /* without what belongs to the caller, precision as it was opened */
  clvgg_accuracy accuracy;
  double open_ms;
};

clvgg_status clvgg_engine_open(clvgg_device *device, const clvgg_model *model, const clvgg_engine_options *options,
                               clvgg_engine **out) {
  if (!out) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_open: out must not be NULL");
  *out = NULL;
  if (!device || !model) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_open: device and model must not be NULL");
  clvgg_engine_options all;
  TRY(engine_options_read(options, &all));
  clvgg_preprocess preprocess;
  const bool given = all.input == CLVGG_INPUT_RGB8 && all.preprocess;
  TRY(image_preprocess_read(given ? all.preprocess : &model->preprocess, &preprocess));
  all.preprocess = &preprocess;
  clvgg_engine *e = calloc(1, sizeof *e);
  if (!e) return base_fail(CLVGG_ERROR_MEMORY, "no memory for an engine");
  gate_result result;
  const double start = device_host_ms();
  const clvgg_status status = gate_open(device, model_network(model), &all, &preprocess, &e->engine, &result);
  if (status != CLVGG_OK) {
    free(e);
    return status;
  }
  e->open_ms = device_host_ms() - start;
  e->accuracy = result.accuracy;
  e->model = model_retain(model);
  e->device = device_info(device);
  e->options = all;
  e->options.algorithm = NULL;
  e->options.preprocess = NULL;
  e->options.samples = NULL;
  e->options.precision = result.opened;
  *out = e;
  return CLVGG_OK;
}

void clvgg_engine_close(clvgg_engine **pointer) {
  if (!pointer || !*pointer) return;
  clvgg_engine *e = *pointer;
  *pointer = NULL;
  engine_close(&e->engine);
  clvgg_model_close(&e->model);
  free(e);
}

static clvgg_status check_run(const char *call, const clvgg_engine *e, const void *in, const void *out) {
  if (e && in && out) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_ARGUMENT, "%s: engine, images and logits must not be NULL", call);
}

/* Images are f32 or pixels, and nothing but this tells them apart. */
static clvgg_status check_form(const char *call, const clvgg_engine *e, bool rgb8) {
  if (engine_takes_rgb8(e->engine) == rgb8) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the engine was opened for %s, and these images are %s", call,
                   rgb8 ? "f32" : "8-bit pixels", rgb8 ? "8-bit pixels" : "f32");
}

clvgg_status clvgg_engine_run(clvgg_engine *e, const float *images, size_t n, float *logits) {
  TRY(check_run("clvgg_engine_run", e, images, logits));
  TRY(check_form("clvgg_engine_run", e, false));
  return engine_run(e->engine, images, n, logits);
}

clvgg_status clvgg_engine_run_rgb8(clvgg_engine *e, const uint8_t *images, size_t n, float *logits) {
  TRY(check_run("clvgg_engine_run_rgb8", e, images, logits));
  TRY(check_form("clvgg_engine_run_rgb8", e, true));
  return engine_run(e->engine, images, n, logits);
}

/* Of both forms. */
static clvgg_status profile(const char *call, clvgg_engine *e, bool rgb8, const void *images, size_t n, float *logits,
                            clvgg_run_times *times) {
  TRY(check_run(call, e, images, logits));
  TRY(check_form(call, e, rgb8));
  if (n == 0) return base_fail(CLVGG_ERROR_ARGUMENT, "%s: n must be at least 1", call);
  return engine_profile(e->engine, images, n, logits, times);
}

clvgg_status clvgg_engine_profile(clvgg_engine *e, const float *images, size_t n, float *logits,
                                  clvgg_run_times *times) {
  return profile("clvgg_engine_profile", e, false, images, n, logits, times);
}

clvgg_status clvgg_engine_profile_rgb8(clvgg_engine *e, const uint8_t *images, size_t n, float *logits,
                                       clvgg_run_times *times) {
  return profile("clvgg_engine_profile_rgb8", e, true, images, n, logits, times);
}

clvgg_status clvgg_engine_enqueue(clvgg_engine *e, struct _cl_mem *images, size_t n, struct _cl_mem *logits,
                                  uint32_t wait_count, struct _cl_event *const *wait, struct _cl_event **done) {
  if (done) *done = NULL;
  TRY(check_run("clvgg_engine_enqueue", e, images, logits));
  if (n == 0) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_enqueue: n must be at least 1");
  if ((wait_count > 0) != (wait != NULL))
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_enqueue: %u wait events, but the list is %s", wait_count,
                     wait ? "not NULL" : "NULL");
  return engine_enqueue(e->engine, images, n, logits, wait_count, wait, done);
}

void clvgg_engine_get_info(const clvgg_engine *e, clvgg_engine_info *out) {
  if (!out) return;
  memset(out, 0, sizeof *out);
  if (!e) return;
  engine_get_info(e->engine, out);
  out->open_ms = e->open_ms;
}

void clvgg_engine_get_accuracy(const clvgg_engine *e, clvgg_accuracy *out) {
  if (!out) return;
  *out = e ? e->accuracy : (clvgg_accuracy){0};
}

clvgg_status clvgg_engine_get_layer(const clvgg_engine *e, size_t index, clvgg_plan_layer *out) {
  if (!e || !out) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_get_layer: engine and out must not be NULL");
  return engine_get_layer(e->engine, index, out);
}

/* ---- what tuning knows */

clvgg_status clvgg_engine_get_alternatives(const clvgg_engine *e, size_t index, clvgg_alternative **list,
                                           size_t *count) {
  if (list) *list = NULL;
  if (count) *count = 0;
  if (!e || !list || !count)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_get_alternatives: engine, list and count must not be NULL");
  const double *step_ms;
  const plan *p = engine_plan(e->engine, &step_ms);
  if (index >= p->count) return base_fail(CLVGG_ERROR_ARGUMENT, "layer %zu of an engine that has %zu", index, p->count);
  return alternatives_of_step(e->device, &p->steps[index], &e->options, list, count);
}

void clvgg_alternatives_free(clvgg_alternative *list) {
  free(list);
}

clvgg_status clvgg_engine_get_tune_history(const clvgg_engine *e, clvgg_tune_event **list, size_t *count) {
  if (list) *list = NULL;
  if (count) *count = 0;
  if (!e || !list || !count)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_get_tune_history: engine, list and count must not be NULL");
  const network *net = model_network(e->model);
  const clvgg_engine_options *o = &e->options;
  layer *layers = NULL;
  size_t layer_count = 0;
  clvgg_status status = network_layers(net, o->height ? o->height : net->input.h, o->width ? o->width : net->input.w,
                                       o->softmax != 0, &layers, &layer_count);
  if (!status) status = alternatives_history(e->device, layers, layer_count, o, list, count);
  free(layers);
  return status;
}

void clvgg_tune_history_free(clvgg_tune_event *list) {
  free(list);
}
