/* Measures a device's ceilings with the kernels of cl/roofline.cl: the best of several short runs, each result checked. */
#include "measure/roofline.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"

#define REPEAT    8     /* as in cl/roofline.cl */
#define LOADS     8     /* as in cl/roofline.cl */
#define MAX_STEPS 65536 /* sums stay below 2^24, exact in f32 */

/* A run lasts at least this long, so that starting it does not count; runs are repeated until so much time is spent. */
#define RUN_MS   5.0
#define SPENT_MS 60.0
#define MAX_RUNS 8
/* Launches of one run, for fast devices and small buffers. */
#define MAX_LAUNCHES 256

/* Read from memory: much more than caches hold. Memory of its own is written quickly, and comes with the larger caches. */
#define SHARED_BYTES    ((size_t)256 << 20)
#define DEDICATED_BYTES ((size_t)1 << 30)
#define LEAST_BYTES     ((size_t)1 << 14) /* and a multiple of it: whole steps of every way */

/* How the work is laid out. A CPU's work-items are fastest alone in their group with vectors of their own, except with drivers
 * that make the vectors from a group's work-items; a GPU's are many, in large groups. */
typedef struct way {
  size_t vec, chains;
  size_t group; /* work-items in a group; 1: each reads a piece of its own */
  size_t groups;
} way;

static size_t ways_of(const clvgg_device_info *info, way out[2]) {
  const size_t units = info->compute_units ? info->compute_units : 1;
  const size_t native = info->native_float_width, preferred = info->preferred_float_width;
  const way wide = {.vec = preferred >= 4 ? 4 : 2, .chains = 12, .group = 256, .groups = units * 8};
  if (info->type != CLVGG_DEVICE_CPU) {
    out[0] = wide;
    return 1;
  }
  /* Only devices with 16 elements are known to have 32 registers. */
  out[0] = (way){.vec = native >= 16  ? 16
                        : native >= 8 ? 8
                                      : 4,
                 .chains = native >= 16 ? 24 : 12,
                 .group = 1,
                 .groups = units * 16};
  out[1] = wide;
  out[1].group = 64;
  return 2;
}

/* One kernel and its arguments, ready to be timed. */
typedef struct job {
  clvgg_device *dev;
  device_timer *timer; /* two marks */
  const device_buffer *in;
  device_buffer out;
  device_kernel kernel;
  size_t vec, group, items;
  device_arg args[5];
  double work;   /* operations or bytes of a launch */
  double figure; /* the best so far, 1e9 of them a second; of earlier ways too */
} job;

static void close_job(job *j) {
  device_kernel_release(&j->kernel);
  device_buffer_release(j->dev, &j->out);
}

/* The largest buffer that there can still be. */
static size_t room(const clvgg_device *dev) {
  const clvgg_device_info *info = device_info(dev);
  const uint64_t used = device_bytes_in_use(dev), left = info->global_bytes > used ? info->global_bytes - used : 0;
  return (size_t)(left < info->max_alloc_bytes ? left : info->max_alloc_bytes);
}

/* The kernel, and a place for each work-item's result. Where groups or buffers must be smaller than w says, they are. */
static clvgg_status open_job(job *j, const way *w, const char *name) {
  const clvgg_device_info *info = device_info(j->dev);
  char options[80];
  snprintf(options, sizeof options, "-DVEC=%zu -DCHAINS=%zu", w->vec, w->chains);
  TRY(device_kernel_create(j->dev, "roofline.cl", name, options, &j->kernel));
  j->vec = w->vec;
  for (j->group = w->group; j->group > 1; j->group /= 2)
    if (j->group <= j->kernel.max_work_group && j->group <= info->max_work_item[0]) break;
  const size_t item_bytes = w->vec * sizeof(float), most = room(j->dev) / 2 / item_bytes;
  j->items = w->groups * w->group;
  if (j->items > most) j->items = most;
  j->items -= j->items % j->group;
  if (j->items == 0) j->items = j->group;
  return device_buffer_create(j->dev, j->items * item_bytes, &j->out);
}

static clvgg_status run(const job *j, size_t launches, double *ms) {
  device_timer_reset(j->timer);
  TRY(device_timer_mark(j->timer));
  for (size_t i = 0; i < launches; i++)
    TRY(device_launch(j->dev, &j->kernel, j->args, sizeof j->args / sizeof *j->args, (size_t[]){j->items, 1, 1},
                      (size_t[]){j->group, 1, 1}));
  TRY(device_timer_mark(j->timer));
  return device_timer_read(j->timer, ms);
}

static void take_figure(job *j, double ms) {
  const double figure = ms > 0 ? j->work / (ms * 1e6) : 0;
  if (figure > j->figure) j->figure = figure;
}

/* Raises the figure to that of the fastest of some runs of several launches each. */
static clvgg_status best_launch(job *j) {
  double ms, spent = 0;
  TRY(run(j, 1, &ms));
  /* Another way is far ahead. */
  if (j->work < 0.7 * j->figure * ms * 1e6) return CLVGG_OK;
  size_t launches = MAX_LAUNCHES;
  if (ms * MAX_LAUNCHES > RUN_MS) launches = (size_t)(RUN_MS / ms) + 1;
  for (int i = 0; i < MAX_RUNS && (i < 2 || spent < SPENT_MS); i++) {
    TRY(run(j, launches, &ms));
    spent += ms;
    take_figure(j, ms / (double)launches);
  }
  if (j->figure > 0) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_DEVICE, "device '%s': its clock did not advance during %zu launches of %s",
                   device_info(j->dev)->name, launches, j->kernel.name);
}

typedef double (*expected_fn)(const void *context, size_t item, size_t lane);

/* Compares out (items, vec) with what every work-item must have computed, exactly. */
static clvgg_status check(const job *j, expected_fn expected, const void *context) {
  float *found = malloc(j->out.bytes);
  if (!found) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the results of %s", j->kernel.name);
  clvgg_status status = device_read(j->dev, &j->out, 0, found, j->out.bytes);
  for (size_t i = 0; i < j->items * j->vec && !status; i++) {
    const double right = expected(context, i / j->vec, i % j->vec);
    if ((double)found[i] != right)
      status = base_fail(CLVGG_ERROR_MISMATCH, "device '%s': %s computed %.9g in work-item %zu, expected %.9g",
                         device_info(j->dev)->name, j->kernel.name, (double)found[i], i / j->vec, right);
  }
  free(found);
  return status;
}

/* The most loop iterations of a work-item, of at most wanted. */
static size_t cap_steps(const clvgg_device *dev, size_t wanted) {
  const uint64_t cap = device_info(dev)->max_iterations;
  return cap && cap < wanted ? (size_t)cap : wanted;
}

/* ---- arithmetic */

typedef struct chains {
  size_t count, steps;
} chains;

/* See the head of cl/roofline.cl; factor and term are 1. Chains are numbered 10 to 15, 20 to 25 and so on. */
static double expected_sum(const void *context, size_t item, size_t lane) {
  const chains *c = context;
  size_t sum = 0;
  for (size_t i = 0; i < c->count; i++) sum += lane + item % 8 + 10 * (1 + i / 6) + i % 6 + REPEAT * c->steps;
  return (double)sum;
}

static clvgg_status measure_flops(job *j, const way *w) {
  TRY(open_job(j, w, "roofline_f32_fma"));
  const size_t most = cap_steps(j->dev, MAX_STEPS);
  chains c = {.count = w->chains, .steps = most < 64 ? most : 64};
  double ms = 0;
  /* The first launch, which may compile, does not count; then steps grow until a launch takes its time. */
  for (int first = 1;; first = 0) {
    const device_arg args[] = {arg_buffer(j->in->mem), arg_buffer(j->out.mem), arg_float(1), arg_float(1),
                               arg_int(c.steps)};
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) j->args[i] = args[i];
    TRY(run(j, 1, &ms));
    if (first) continue;
    if (ms >= RUN_MS || c.steps == most) break;
    const double growth = ms * 16 < RUN_MS ? 16 : ms * 2 > RUN_MS ? 2 : RUN_MS / ms;
    const double steps = growth * (double)c.steps + 1;
    c.steps = steps < (double)most ? (size_t)steps : most;
  }
  j->work = 2.0 * REPEAT * (double)(c.count * c.steps) * (double)(j->items * j->vec);
  TRY(best_launch(j));
  return check(j, expected_sum, &c);
}

/* ---- memory */

static double expected_count(const void *context, size_t item, size_t lane) {
  (void)item, (void)lane;
  return LOADS * (double)*(const size_t *)context;
}

static clvgg_status measure_bytes(job *j, const way *w) {
  const size_t unit = LOADS * w->vec * sizeof(float), units = j->in->bytes / unit; /* what a step reads */
  /* Where a work-item may only take few steps there are more of them. */
  const size_t most = cap_steps(j->dev, MAX_STEPS), items = size_ceil_div(units, most);
  way enough = *w;
  if (size_ceil_div(items, w->group) > w->groups) enough.groups = size_ceil_div(items, w->group);
  TRY(open_job(j, &enough, "roofline_f32_read"));
  if (j->items > units) j->items = units > j->group ? units - units % j->group : units;
  if (j->items < j->group) j->group = 1;
  /* All work-items read the same number of whole steps. */
  const size_t steps = units / j->items < most ? units / j->items : most;
  const bool pieces = w->group == 1;
  const device_arg args[] = {arg_buffer(j->in->mem), arg_buffer(j->out.mem), arg_int(steps),
                             arg_int(pieces ? steps * LOADS : 1), arg_int(pieces ? 1 : j->items)};
  for (size_t i = 0; i < sizeof args / sizeof *args; i++) j->args[i] = args[i];
  double ms;
  TRY(run(j, 1, &ms)); /* may compile */
  j->work = (double)unit * (double)(j->items * steps);
  TRY(best_launch(j));
  return check(j, expected_count, &steps);
}

/* ---- both */

typedef clvgg_status (*measure_fn)(job *j, const way *w);

/* The best figure of all ways. */
static clvgg_status best_way(clvgg_device *dev, device_timer *timer, const device_buffer *in, measure_fn measure,
                             double *best) {
  way ways[2];
  const size_t count = ways_of(device_info(dev), ways);
  for (size_t i = 0; i < count; i++) {
    job j = {.dev = dev, .timer = timer, .in = in, .figure = *best};
    const clvgg_status status = measure(&j, &ways[i]);
    if (status != CLVGG_OK) device_finish(dev); /* nothing may still use what is released */
    close_job(&j);
    TRY(status);
    *best = j.figure;
  }
  return CLVGG_OK;
}

/* What roofline_f32_read reads: as much as there should be, or as other buffers leave. */
static clvgg_status create_memory(clvgg_device *dev, device_buffer *out) {
  const clvgg_device_info *info = device_info(dev);
  size_t bytes = info->unified_memory || info->type == CLVGG_DEVICE_CPU ? SHARED_BYTES : DEDICATED_BYTES;
  if (bytes > info->max_alloc_bytes / 2) bytes = (size_t)info->max_alloc_bytes / 2;
  if (bytes > info->global_bytes / 8) bytes = (size_t)info->global_bytes / 8;
  if (bytes > room(dev) / 2) bytes = room(dev) / 2;
  bytes = bytes < LEAST_BYTES ? LEAST_BYTES : bytes - bytes % LEAST_BYTES;
  clvgg_status status;
  while ((status = device_buffer_create(dev, bytes, out)) == CLVGG_ERROR_TOO_LARGE && bytes > LEAST_BYTES)
    bytes = (bytes / 2 + LEAST_BYTES - 1) / LEAST_BYTES * LEAST_BYTES;
  TRY(status);
  /* Memory that nobody wrote may be one page of zeros. 0x3f800000 is 1.0f, so that sums count. */
  return device_fill(dev, out, UINT32_C(0x3f800000), 0, bytes);
}

static clvgg_status create_lanes(clvgg_device *dev, device_buffer *out) {
  float lanes[16];
  for (size_t i = 0; i < 16; i++) lanes[i] = (float)i;
  TRY(device_buffer_create(dev, sizeof lanes, out));
  return device_write(dev, out, 0, lanes, sizeof lanes);
}

clvgg_status roofline_measure(clvgg_device *dev, clvgg_roofline *out) {
  device_timer *timer = NULL;
  device_buffer lanes = {0}, memory = {0};
  *out = (clvgg_roofline){0};
  clvgg_status status = device_timer_open(dev, 2, &timer);
  if (!status) status = create_lanes(dev, &lanes);
  if (!status) status = create_memory(dev, &memory);
  if (!status) status = best_way(dev, timer, &lanes, measure_flops, &out->peak_gflops);
  if (!status) status = best_way(dev, timer, &memory, measure_bytes, &out->peak_gbytes_per_s);
  if (status) *out = (clvgg_roofline){0};
  device_buffer_release(dev, &memory);
  device_buffer_release(dev, &lanes);
  device_timer_close(&timer);
  return status;
}
