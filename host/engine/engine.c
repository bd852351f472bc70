/* Runs a planned network on a device. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

struct engine {
  clvgg_device *dev;
  layer *layers; /* weights, scale and bias are not used after opening */
  size_t layer_count;
  plan plan;
  algo_instance *instances; /* one a layer */
  double *layer_ms;         /* of the last profiled run; negative before */
  device_buffer activation[2], workspace;
  device_timer *timer;
  size_t max_batch, image_elements, classes;
  shape3 input;
  uint64_t weight_bytes;
  double open_ms;
};

static clvgg_status open_layers(engine *e) {
  const uint64_t before = device_bytes_in_use(e->dev);
  for (size_t i = 0; i < e->layer_count; i++) {
    const plan_step *step = &e->plan.steps[i];
    const algo_problem problem = {.shape = e->layers[i].shape, .batch = e->max_batch};
    const clvgg_status status = algo_open(step->algo, e->dev, &problem, step->param, &e->layers[i], &e->instances[i]);
    if (status != CLVGG_OK) return base_fail_in(status, "%s by %s", e->layers[i].name, step->algo->name);
    /* From here on the layer must not reach into the network, which may be gone. */
    e->layers[i].weight = NULL;
    e->layers[i].scale = e->layers[i].bias = NULL;
  }
  TRY(device_finish(e->dev));
  e->weight_bytes = device_bytes_in_use(e->dev) - before;
  return CLVGG_OK;
}

static clvgg_status open_buffers(engine *e) {
  for (int i = 0; i < 2; i++) TRY(device_buffer_create(e->dev, e->plan.activation_bytes[i], &e->activation[i]));
  if (e->plan.workspace_bytes) TRY(device_buffer_create(e->dev, e->plan.workspace_bytes, &e->workspace));
  return CLVGG_OK;
}

static clvgg_status open_parts(engine *e, const network *net, const clvgg_engine_options *options) {
  const size_t height = options->height ? options->height : net->input.h;
  const size_t width = options->width ? options->width : net->input.w;
  TRY(network_layers(net, height, width, options->softmax != 0, &e->layers, &e->layer_count));
  e->input = e->layers[0].shape.in;
  e->image_elements = shape3_elements(e->input);
  e->classes = net->classes;
  e->instances = calloc(e->layer_count, sizeof *e->instances);
  e->layer_ms = calloc(e->layer_count, sizeof *e->layer_ms);
  if (!e->instances || !e->layer_ms)
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for an engine of %zu layers", e->layer_count);
  for (size_t i = 0; i < e->layer_count; i++) e->layer_ms[i] = -1;
  TRY(plan_make(device_info(e->dev), e->layers, e->layer_count, e->max_batch, options->algorithm, &e->plan));
  /* Activations first: when they do not fit, no time was lost on weights. */
  TRY(open_buffers(e));
  TRY(open_layers(e));
  return device_timer_open(e->dev, e->layer_count + 1, &e->timer);
}

clvgg_status engine_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out) {
  *out = NULL;
  engine *e = calloc(1, sizeof *e);
  if (!e) return base_fail(CLVGG_ERROR_MEMORY, "no memory for an engine");
  const double start = device_host_ms();
  e->dev = device_retain(dev);
  e->max_batch = options->max_batch;
  const clvgg_status status = open_parts(e, net, options);
  e->open_ms = device_host_ms() - start;
  if (status == CLVGG_OK)
    *out = e;
  else
    engine_close(&e);
  return status;
}

void engine_close(engine **pointer) {
  engine *e = *pointer;
  if (!e) return;
  *pointer = NULL;
  if (e->instances) {
    device_finish(e->dev); /* nothing may still use what is released */
    for (size_t i = 0; i < e->layer_count; i++) algo_close(&e->instances[i]);
  }
  device_timer_close(&e->timer);
  device_buffer_release(e->dev, &e->workspace);
  for (int i = 0; i < 2; i++) device_buffer_release(e->dev, &e->activation[i]);
  plan_free(&e->plan);
  free(e->instances);
  free(e->layer_ms);
  free(e->layers);
  clvgg_device_close(&e->dev);
  free(e);
}

/* Enqueues all layers on n <= max_batch images that are in activation[0]. */
static clvgg_status enqueue_layers(engine *e, size_t n, bool timed) {
  if (timed) {
    device_timer_reset(e->timer);
    TRY(device_timer_mark(e->timer));
  }
  for (size_t i = 0; i < e->layer_count; i++) {
    const clvgg_status status =
        algo_enqueue(&e->instances[i], n, &e->activation[i % 2], &e->activation[(i + 1) % 2], &e->workspace);
    if (status != CLVGG_OK) return base_fail_in(status, "%s by %s", e->layers[i].name, e->plan.steps[i].algo->name);
    if (timed) TRY(device_timer_mark(e->timer));
  }
  return CLVGG_OK;
}

static const device_buffer *result_buffer(const engine *e) {
  return &e->activation[e->layer_count % 2];
}

/* n images' bytes of input or logits; false when that is no size. */
static bool batch_bytes(size_t n, size_t elements, size_t *bytes) {
  return size_mul(elements, sizeof(float), bytes) && size_mul(*bytes, n, bytes);
}

static clvgg_status check_batch(const engine *e, size_t n) {
  size_t bytes;
  if (!batch_bytes(n, e->image_elements, &bytes) || !batch_bytes(n, e->classes, &bytes))
    return base_fail(CLVGG_ERROR_ARGUMENT, "%zu images of %zux%zux%zu are more than memory can address", n, e->input.c,
                     e->input.h, e->input.w);
  return CLVGG_OK;
}

clvgg_status engine_run(engine *e, const float *images, size_t n, float *logits) {
  TRY(check_batch(e, n));
  for (size_t done = 0; done < n;) {
    const size_t now = n - done < e->max_batch ? n - done : e->max_batch;
    TRY(device_write(e->dev, &e->activation[0], 0, images + done * e->image_elements,
                     now * e->image_elements * sizeof(float)));
    TRY(enqueue_layers(e, now, false));
    TRY(device_read(e->dev, result_buffer(e), 0, logits + done * e->classes, now * e->classes * sizeof(float)));
    done += now;
  }
  return CLVGG_OK;
}

clvgg_status engine_profile(engine *e, const float *images, size_t n, float *logits, clvgg_run_times *times) {
  if (n > e->max_batch)
    return base_fail(CLVGG_ERROR_ARGUMENT, "a profiled run takes at most max_batch = %zu images, not %zu", e->max_batch,
                     n);
  const double start = device_host_ms();
  TRY(device_write(e->dev, &e->activation[0], 0, images, n * e->image_elements * sizeof(float)));
  const double uploaded = device_host_ms();
  TRY(enqueue_layers(e, n, true));
  TRY(device_timer_read(e->timer, e->layer_ms));
  const double computed = device_host_ms();
  TRY(device_read(e->dev, result_buffer(e), 0, logits, n * e->classes * sizeof(float)));
  if (!times) return CLVGG_OK;
  *times = (clvgg_run_times){.upload_ms = uploaded - start, .download_ms = device_host_ms() - computed};
  for (size_t i = 0; i < e->layer_count; i++) times->compute_ms += e->layer_ms[i];
  return CLVGG_OK;
}

clvgg_status engine_enqueue(engine *e, struct _cl_mem *images, size_t n, struct _cl_mem *logits, uint32_t wait_count,
                            struct _cl_event *const *wait, struct _cl_event **done) {
  size_t in_bytes, out_bytes;
  if (!batch_bytes(n, e->image_elements, &in_bytes) || !batch_bytes(n, e->classes, &out_bytes))
    return check_batch(e, n);
  TRY(device_check_foreign(e->dev, images, in_bytes, "images"));
  TRY(device_check_foreign(e->dev, logits, out_bytes, "logits"));
  TRY(device_wait_for(e->dev, wait_count, wait));
  const size_t in_image = e->image_elements * sizeof(float), out_image = e->classes * sizeof(float);
  for (size_t at = 0; at < n;) {
    const size_t now = n - at < e->max_batch ? n - at : e->max_batch;
    TRY(device_copy(e->dev, images, at * in_image, e->activation[0].mem, 0, now * in_image));
    TRY(enqueue_layers(e, now, false));
    TRY(device_copy(e->dev, result_buffer(e)->mem, 0, logits, at * out_image, now * out_image));
    at += now;
  }
  return done ? device_signal(e->dev, done) : CLVGG_OK;
}

void engine_get_info(const engine *e, clvgg_engine_info *out) {
  *out = (clvgg_engine_info){.layers = e->layer_count,
                             .max_batch = e->max_batch,
                             .channels = e->input.c,
                             .height = e->input.h,
                             .width = e->input.w,
                             .classes = e->classes,
                             .weight_bytes = e->weight_bytes,
                             .activation_bytes = e->activation[0].bytes + e->activation[1].bytes,
                             .workspace_bytes = e->workspace.bytes,
                             .open_ms = e->open_ms};
  out->device_bytes = out->weight_bytes + out->activation_bytes + out->workspace_bytes;
}

clvgg_status engine_get_layer(const engine *e, size_t index, clvgg_plan_layer *out) {
  if (index >= e->layer_count)
    return base_fail(CLVGG_ERROR_ARGUMENT, "layer %zu of an engine that has %zu", index, e->layer_count);
  const plan_step *step = &e->plan.steps[index];
  *out = (clvgg_plan_layer){.flops = layer_flops(&e->layers[index].shape), .ms = e->layer_ms[index]};
  snprintf(out->name, sizeof out->name, "%s", e->layers[index].name);
  snprintf(out->algorithm, sizeof out->algorithm, "%s", step->algo->name);
  snprintf(out->source, sizeof out->source, "%s", step->source);
  algo_params_text(step->algo, step->param, out->parameters, sizeof out->parameters);
  return CLVGG_OK;
}
