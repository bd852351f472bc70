/* Runs a planned network on a device. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/trusted.h"

/* A step with its kernels and weights; not open: instance.algo is NULL. */
typedef struct bound_step {
  algo_instance instance;
  uint64_t bytes; /* of weights on the device */
} bound_step;

struct engine {
  clvgg_device *dev;
  plan plan;
  bound_step *steps; /* (plan.count) */
  double *step_ms;   /* (plan.count), of the last profiled run; negative before */
  device_buffer activation[2], workspace;
  device_timer *timer;
  bool rgb8; /* images are 8-bit pixels */
  pixel_map pixels;
  size_t max_batch, image_bytes, classes;
  shape3 input;
  uint64_t plain_weight_bytes;
  uint64_t bytes_before, peak_bytes; /* of the device, when the engine was opened; the most above that meanwhile */
};

/* A step's weights are what its opening adds, so other engines of the device must not be opened meanwhile if they are to be
 * counted right. */
static clvgg_status open_steps(engine *e, const layer *layers) {
  for (size_t i = 0; i < e->plan.count; i++) {
    if (e->steps[i].instance.algo) continue; /* kept */
    const plan_step *step = &e->plan.steps[i];
    const uint64_t before = device_bytes_in_use(e->dev);
    layer l = layers[step->layer];
    l.shape = step->problem.shape;
    const clvgg_status status = algo_open(step->algo, e->dev, &step->problem, step->param, &l, &e->steps[i].instance);
    if (status != CLVGG_OK) return base_fail_in(status, "%s by %s", step->name, step->algo->name);
    e->steps[i].bytes = device_bytes_in_use(e->dev) - before;
  }
  return device_finish(e->dev);
}

/* A buffer of the size, or none: its contents do not matter between runs. */
static clvgg_status fit_buffer(engine *e, size_t bytes, device_buffer *buffer) {
  if (buffer->bytes == bytes) return CLVGG_OK;
  device_buffer_release(e->dev, buffer);
  return bytes ? device_buffer_create(e->dev, bytes, buffer) : CLVGG_OK;
}

static clvgg_status open_buffers(engine *e) {
  for (int i = 0; i < 2; i++) TRY(fit_buffer(e, e->plan.activation_bytes[i], &e->activation[i]));
  return fit_buffer(e, e->plan.workspace_bytes, &e->workspace);
}

/* Exacter forms are allowed, too: where a precision's own is not there, and where they are faster. */
static algo_form form_of(clvgg_precision precision) {
  static const algo_form forms[] = {[CLVGG_PRECISION_F32] = ALGO_F32,
                                    [CLVGG_PRECISION_F24W] = ALGO_F24,
                                    [CLVGG_PRECISION_F16W] = ALGO_F16,
                                    [CLVGG_PRECISION_F16] = ALGO_F16_MATH,
                                    [CLVGG_PRECISION_BF16] = ALGO_BF16_MATH};
  return forms[precision];
}

/* Moves to steps what can be kept of the engine's, and closes the rest. */
static void take_steps(engine *e, const plan *next, bound_step *steps) {
  for (size_t i = 0; i < e->plan.count; i++) {
    bound_step *from = &e->steps[i];
    for (size_t k = 0; k < next->count && from->instance.algo; k++)
      if (plan_same_step(&e->plan.steps[i], &next->steps[k]) && !steps[k].instance.algo) {
        steps[k] = *from;
        *from = (bound_step){0};
      }
    algo_close(&from->instance);
  }
}

clvgg_status engine_change_plan(engine *e, const layer *layers, plan *p) {
  bound_step *steps = calloc(p->count, sizeof *steps);
  double *step_ms = calloc(p->count, sizeof *step_ms);
  if (!steps || !step_ms) {
    const size_t count = p->count;
    free(steps);
    free(step_ms);
    plan_free(p);
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for an engine of %zu steps", count);
  }
  for (size_t i = 0; i < p->count; i++) step_ms[i] = -1;
  if (e->steps) device_finish(e->dev); /* nothing may still use what is released */
  device_timer_close(&e->timer);
  take_steps(e, p, steps);
  free(e->steps);
  free(e->step_ms);
  plan_free(&e->plan);
  e->plan = *p;
  e->steps = steps;
  e->step_ms = step_ms;
  *p = (plan){0};
  /* Activations first: when they do not fit, no time was lost on weights. */
  TRY(open_buffers(e));
  TRY(open_steps(e, layers));
  const uint64_t peak = device_bytes_peak(e->dev);
  e->peak_bytes = peak > e->bytes_before ? peak - e->bytes_before : 0;
  return device_timer_open(e->dev, e->plan.count + 1, &e->timer);
}

/* How pixels become the first layer's input. */
static clvgg_status set_pixels(layer *first, const clvgg_preprocess *pre, pixel_map *pixels) {
  if (first->shape.in.c != 3)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "the network's input has %zu channels, expected 3 for RGB pixels",
                     first->shape.in.c);
  *pixels = (pixel_map){.bgr = pre->bgr != 0};
  memcpy(pixels->mean, pre->mean, sizeof pixels->mean);
  memcpy(pixels->std, pre->std, sizeof pixels->std);
  first->pixels = pixels;
  return CLVGG_OK;
}

clvgg_status engine_layers(const network *net, const clvgg_engine_options *options, pixel_map *pixels, layer **layers,
                           size_t *count) {
  TRY(network_layers(net, options->height ? options->height : net->input.h,
                     options->width ? options->width : net->input.w, options->softmax != 0, layers, count));
  return options->input == CLVGG_INPUT_RGB8 ? set_pixels(*layers, options->preprocess, pixels) : CLVGG_OK;
}

plan_options engine_wishes(const clvgg_engine_options *options) {
  return (plan_options){.wanted = options->algorithm,
                        .form = form_of(options->precision),
                        .rgb8 = options->input == CLVGG_INPUT_RGB8,
                        .memory = options->memory};
}

/* Weights and biases as they are, in f32, each once. */
static uint64_t plain_bytes(const layer *layers, size_t count) {
  uint64_t floats = 0;
  for (size_t i = 0; i < count; i++) {
    const layer_shape *s = &layers[i].shape;
    if (layers[i].weight) floats += (uint64_t)layer_weight_count(s) + s->out.c;
  }
  return floats * sizeof(float);
}

clvgg_status engine_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out) {
  return engine_open_plan(dev, net, options, &(plan){0}, out);
}

clvgg_status engine_open_plan(clvgg_device *dev, const network *net, const clvgg_engine_options *options, plan *p,
                              engine **out) {
  *out = NULL;
  engine *e = calloc(1, sizeof *e);
  if (!e) {
    plan_free(p);
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for an engine");
  }
  e->dev = device_retain(dev);
  e->max_batch = options->max_batch;
  e->bytes_before = device_bytes_in_use(dev);
  device_peak_restart(dev);
  layer *layers = NULL;
  size_t count = 0;
  clvgg_status status = engine_layers(net, options, &e->pixels, &layers, &count);
  if (status == CLVGG_OK) {
    e->classes = net->classes;
    e->plain_weight_bytes = plain_bytes(layers, count);
    const plan_options wishes = engine_wishes(options);
    e->rgb8 = options->input == CLVGG_INPUT_RGB8;
    e->input = layers[0].shape.in;
    e->image_bytes = algo_bytes(e->rgb8 ? ALGO_RGB8 : ALGO_NCHW, e->input, 1, 1);
    if (p->count == 0) status = trusted_plan(dev, layers, count, e->max_batch, &wishes, p);
    if (status == CLVGG_OK) status = engine_change_plan(e, layers, p);
  }
  plan_free(p);
  free(layers);
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
  if (e->steps) {
    device_finish(e->dev); /* nothing may still use what is released */
    for (size_t i = 0; i < e->plan.count; i++) algo_close(&e->steps[i].instance);
  }
  device_timer_close(&e->timer);
  device_buffer_release(e->dev, &e->workspace);
  for (int i = 0; i < 2; i++) device_buffer_release(e->dev, &e->activation[i]);
  free(e->steps);
  free(e->step_ms);
  plan_free(&e->plan);
  clvgg_device_close(&e->dev);
  free(e);
}

const plan *engine_plan(const engine *e, const double **step_ms) {
  *step_ms = e->step_ms;
  return &e->plan;
}

/* Enqueues the first so many steps on n <= max_batch images that are in activation[0]. */
static clvgg_status enqueue_steps(engine *e, size_t count, size_t n, bool timed) {
  if (timed) {
    device_timer_reset(e->timer);
    TRY(device_timer_mark(e->timer));
  }
  for (size_t i = 0; i < count; i++) {
    const clvgg_status status =
        algo_enqueue(&e->steps[i].instance, n, &e->activation[i % 2], &e->activation[(i + 1) % 2], &e->workspace);
    if (status != CLVGG_OK) return base_fail_in(status, "%s by %s", e->plan.steps[i].name, e->plan.steps[i].algo->name);
    if (timed) TRY(device_timer_mark(e->timer));
  }
  return CLVGG_OK;
}

/* What the first so many steps end in. */
static const device_buffer *result_buffer(const engine *e, size_t count) {
  return &e->activation[count % 2];
}

/* The bytes of n images and of their logits. */
static clvgg_status batch_bytes(const engine *e, size_t n, size_t *images, size_t *logits) {
  if (size_mul(n, e->image_bytes, images) && size_mul(n, e->classes * sizeof(float), logits)) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_ARGUMENT, "%zu images of %zux%zux%zu are more than memory can address", n, e->input.c,
                   e->input.h, e->input.w);
}

bool engine_takes_rgb8(const engine *e) {
  return e->rgb8;
}

/* The first so many steps, of which the last gives as many numbers as there are classes. */
static clvgg_status run_steps(engine *e, size_t count, const void *images, size_t n, float *logits) {
  size_t in_bytes, out_bytes;
  TRY(batch_bytes(e, n, &in_bytes, &out_bytes));
  for (size_t done = 0; done < n;) {
    const size_t now = n - done < e->max_batch ? n - done : e->max_batch;
    TRY(device_write(e->dev, &e->activation[0], 0, (const char *)images + done * e->image_bytes, now * e->image_bytes));
    TRY(enqueue_steps(e, count, now, false));
    TRY(device_read(e->dev, result_buffer(e, count), 0, logits + done * e->classes, now * e->classes * sizeof(float)));
    done += now;
  }
  return CLVGG_OK;
}

clvgg_status engine_run(engine *e, const void *images, size_t n, float *logits) {
  return run_steps(e, e->plan.count, images, n, logits);
}

clvgg_status engine_run_logits(engine *e, const void *images, size_t n, float *logits) {
  const bool softmax = e->plan.steps[e->plan.count - 1].algo->op == LAYER_SOFTMAX; /* of plain activations */
  return run_steps(e, e->plan.count - softmax, images, n, logits);
}

clvgg_status engine_profile(engine *e, const void *images, size_t n, float *logits, clvgg_run_times *times) {
  if (n > e->max_batch)
    return base_fail(CLVGG_ERROR_ARGUMENT, "a profiled run takes at most max_batch = %zu images, not %zu", e->max_batch,
                     n);
  const double start = device_host_ms();
  TRY(device_write(e->dev, &e->activation[0], 0, images, n * e->image_bytes));
  const double uploaded = device_host_ms();
  TRY(enqueue_steps(e, e->plan.count, n, true));
  TRY(device_timer_read(e->timer, e->step_ms));
  const double computed = device_host_ms();
  TRY(device_read(e->dev, result_buffer(e, e->plan.count), 0, logits, n * e->classes * sizeof(float)));
  if (!times) return CLVGG_OK;
  *times = (clvgg_run_times){.upload_ms = uploaded - start, .download_ms = device_host_ms() - computed};
  for (size_t i = 0; i < e->plan.count; i++) times->compute_ms += e->step_ms[i];
  return CLVGG_OK;
}

clvgg_status engine_enqueue(engine *e, struct _cl_mem *images, size_t n, struct _cl_mem *logits, uint32_t wait_count,
                            struct _cl_event *const *wait, struct _cl_event **done) {
  size_t in_bytes, out_bytes;
  TRY(batch_bytes(e, n, &in_bytes, &out_bytes));
  TRY(device_check_foreign(e->dev, images, in_bytes, "images"));
  TRY(device_check_foreign(e->dev, logits, out_bytes, "logits"));
  TRY(device_wait_for(e->dev, wait_count, wait));
  const size_t in_image = e->image_bytes, out_image = e->classes * sizeof(float);
  for (size_t at = 0; at < n;) {
    const size_t now = n - at < e->max_batch ? n - at : e->max_batch;
    TRY(device_copy(e->dev, images, at * in_image, e->activation[0].mem, 0, now * in_image));
    TRY(enqueue_steps(e, e->plan.count, now, false));
    TRY(device_copy(e->dev, result_buffer(e, e->plan.count)->mem, 0, logits, at * out_image, now * out_image));
    at += now;
  }
  return done ? device_signal(e->dev, done) : CLVGG_OK;
}

void engine_get_info(const engine *e, clvgg_engine_info *out) {
  *out = (clvgg_engine_info){.layers = e->plan.count,
                             .max_batch = e->max_batch,
                             .channels = e->input.c,
                             .height = e->input.h,
                             .width = e->input.w,
                             .classes = e->classes,
                             .plain_weight_bytes = e->plain_weight_bytes,
                             .activation_bytes = e->activation[0].bytes + e->activation[1].bytes,
                             .workspace_bytes = e->workspace.bytes,
                             .peak_bytes = e->peak_bytes};
  for (size_t i = 0; i < e->plan.count; i++) out->weight_bytes += e->steps[i].bytes;
  out->device_bytes = out->weight_bytes + out->activation_bytes + out->workspace_bytes;
}

/* What a step computes and the least that it must move, in flops and bytes of out. */
static void describe_work(const plan_step *step, clvgg_plan_layer *out) {
  const algo_problem *p = &step->problem;
  double flops = (double)out->flops * (double)p->batch;
  double bytes = (double)sizeof(float) * (double)layer_weight_count(&p->shape);
  if (step->algo->work) step->algo->work(p, step->param, &flops, &bytes);
  bytes += (double)algo_bytes(step->algo->in, p->shape.in, p->batch, p->block);
  bytes += (double)algo_bytes(step->algo->out, p->shape.out, p->batch, p->block);
  out->actual_flops = (uint64_t)(flops / (double)p->batch + 0.5);
  out->bytes = (uint64_t)bytes;
}

clvgg_status engine_get_layer(const engine *e, size_t index, clvgg_plan_layer *out) {
  if (index >= e->plan.count)
    return base_fail(CLVGG_ERROR_ARGUMENT, "layer %zu of an engine that has %zu", index, e->plan.count);
  const plan_step *step = &e->plan.steps[index];
  *out = (clvgg_plan_layer){.flops = layer_flops(&step->problem.shape), .ms = e->step_ms[index]};
  snprintf(out->name, sizeof out->name, "%s", step->name);
  snprintf(out->algorithm, sizeof out->algorithm, "%s", step->algo->name);
  snprintf(out->source, sizeof out->source, "%s", step->source);
  algo_params_text(step->algo, step->param, out->parameters, sizeof out->parameters);
  describe_work(step, out);
  return CLVGG_OK;
}
