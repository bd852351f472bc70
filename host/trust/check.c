/* Runs an algorithm between poisoned buffers and judges what it wrote, and where. */
#include "trust/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "reference/reference.h"

/* Every output starts as this quiet NaN, and so do guards behind all buffers: what a kernel leaves out stays NaN, and what it
 * writes too far is seen. */
#define POISON      UINT32_C(0x7FC0DEAD)
#define GUARD_BYTES ((size_t)4096)

/* Rounded weights add an error that grows as the sum itself does; results may be this much smaller than their terms. */
#define WEIGHT_ERROR_GROWTH 4

/* A buffer with poison in it and behind it, and the values that the host reads back: all, or just the guard. */
typedef struct guarded {
  device_buffer buffer;
  size_t bytes;  /* without the guard */
  float *values; /* of a workspace only the guard */
} guarded;

typedef struct check_run {
  clvgg_device *dev;
  algo_instance inst;
  guarded in, out, work;
  void *sent; /* the input in the algorithm's layout */
  float *got; /* the output as (n, C, H, W) */
} check_run;

static clvgg_status guarded_open(clvgg_device *dev, size_t bytes, bool whole, guarded *g) {
  size_t all;
  if (!size_add(bytes, GUARD_BYTES + sizeof(float), &all))
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%zu bytes do not fit any memory", bytes);
  all -= all % sizeof(float); /* the fill's unit */
  g->bytes = bytes;
  g->values = malloc(whole ? all : all - bytes);
  if (!g->values) return base_fail(CLVGG_ERROR_MEMORY, "no memory to check %zu bytes", bytes);
  TRY(device_buffer_create(dev, all, &g->buffer));
  return device_fill(dev, &g->buffer, POISON, 0, all);
}

static void guarded_close(clvgg_device *dev, guarded *g) {
  device_buffer_release(dev, &g->buffer);
  free(g->values);
}

/* Whether the guard, whose bytes are given, is as it was. */
static bool is_intact(const guarded *g, const void *guard) {
  const uint32_t poison = POISON;
  unsigned char pattern[sizeof poison];
  memcpy(pattern, &poison, sizeof poison);
  const unsigned char *at = guard;
  for (size_t i = g->bytes; i < g->buffer.bytes; i++)
    if (*at++ != pattern[i % sizeof poison]) return false;
  return true;
}

static clvgg_status open_run(check_run *r, const algo *a, const algo_problem *p, const int *param, const layer *l) {
  TRY(algo_open(a, r->dev, p, param, l, &r->inst));
  /* Opening may have made the parameters smaller. */
  const size_t work_bytes = algo_workspace_bytes(a, device_info(r->dev), p, r->inst.param);
  TRY(guarded_open(r->dev, algo_bytes(a->in, p->shape.in, p->batch, p->block), true, &r->in));
  TRY(guarded_open(r->dev, algo_bytes(a->out, p->shape.out, p->batch, p->block), true, &r->out));
  TRY(guarded_open(r->dev, work_bytes, false, &r->work));
  r->sent = malloc(r->in.bytes);
  r->got = malloc(r->out.bytes);
  if (!r->sent || !r->got) return base_fail(CLVGG_ERROR_MEMORY, "no memory to check %s", a->name);
  return CLVGG_OK;
}

/* Leaves what is in the buffers afterwards in their values. */
static clvgg_status execute(check_run *r, const float *in) {
  const algo *a = r->inst.algo;
  const algo_problem *p = &r->inst.problem;
  if (a->in == ALGO_RGB8)
    pixels_from_plain(&r->inst.pixels, p->batch, p->shape.in.h * p->shape.in.w, in, r->sent);
  else
    algo_to_layout(a->in, p->shape.in, p->batch, p->block, in, r->sent);
  TRY(device_write(r->dev, &r->in.buffer, 0, r->sent, r->in.bytes));
  TRY(algo_enqueue(&r->inst, p->batch, &r->in.buffer, &r->out.buffer, &r->work.buffer));
  TRY(device_finish(r->dev));
  TRY(device_read(r->dev, &r->out.buffer, 0, r->out.values, r->out.buffer.bytes));
  TRY(device_read(r->dev, &r->in.buffer, 0, r->in.values, r->in.buffer.bytes));
  return device_read(r->dev, &r->work.buffer, r->work.bytes, r->work.values, r->work.buffer.bytes - r->work.bytes);
}

/* Surplus channels of the last blocks are part of the layout, and the layers after count on their zeros. */
static bool surplus_is_zero(check_run *r) {
  const algo_problem *p = &r->inst.problem;
  size_t stored = 0, plain = 0; /* values that are not zero */
  for (size_t i = 0; i < r->out.bytes / sizeof(float); i++) stored += r->out.values[i] != 0;
  for (size_t i = 0, n = p->batch * shape3_elements(p->shape.out); i < n; i++) plain += r->got[i] != 0;
  return stored == plain;
}

/* NULL when everything that was to stay did. */
static const char *damage(check_run *r) {
  if (!is_intact(&r->out, (const char *)r->out.values + r->out.bytes)) return "wrote outside its output";
  if (!is_intact(&r->in, (const char *)r->in.values + r->in.bytes) || memcmp(r->in.values, r->sent, r->in.bytes) != 0)
    return "changed its input";
  if (!is_intact(&r->work, r->work.values)) return "wrote outside its workspace";
  if (!surplus_is_zero(r)) return "left surplus channels that are not zero";
  return NULL;
}

/* What the output should be: all of it, or samples. */
typedef struct expectation {
  const float *all;
  const reference_samples *samples;
} expectation;

static reference_error compare(const float *got, size_t count, const expectation *want) {
  if (want->all) return reference_compare(got, want->all, count);
  const reference_samples *samples = want->samples;
  for (size_t i = 0; i < count; i++)
    if (!isfinite(got[i])) return (reference_error){INFINITY, INFINITY, INFINITY};
  float chosen[REFERENCE_MOST_SAMPLES];
  for (size_t i = 0; i < samples->count; i++) chosen[i] = got[samples->element[i]];
  return reference_compare(chosen, samples->value, samples->count);
}

static clvgg_status judge(check_run *r, const expectation *want, clvgg_verify_case *result) {
  const algo_problem *p = &r->inst.problem;
  algo_from_layout(r->inst.algo->out, p->shape.out, p->batch, p->block, r->out.values, r->got);
  const reference_error error = compare(r->got, p->batch * shape3_elements(p->shape.out), want);
  const char *harm = damage(r);
  result->max_abs = error.max_abs;
  result->max_rel = error.max_rel;
  result->rel_l2 = error.rel_l2;
  result->ok = error.max_rel <= result->tolerance && !harm;
  if (harm)
    snprintf(result->reason, sizeof result->reason, "%s", harm);
  else if (!result->ok && isinf(error.max_rel))
    snprintf(result->reason, sizeof result->reason, "values that are not finite");
  else if (!result->ok)
    snprintf(result->reason, sizeof result->reason, "off by %.3g of the largest value, %.3g allowed", error.max_rel,
             result->tolerance);
  if (result->ok) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_MISMATCH, "%s on device '%s': %s", r->inst.algo->name, device_info(r->dev)->name,
                   result->reason);
}

/* The run that was judged has warmed everything up. */
static clvgg_status time_runs(check_run *r, check_timing *timing) {
  device_timer *timer = NULL;
  TRY(device_timer_open(r->dev, 2, &timer));
  clvgg_status status = CLVGG_OK;
  timing->ms = INFINITY;
  for (timing->runs = 0; timing->runs < timing->most_runs && !status; timing->runs++) {
    double ms = 0;
    device_timer_reset(timer);
    status = device_timer_mark(timer);
    if (!status) status = algo_enqueue(&r->inst, r->inst.problem.batch, &r->in.buffer, &r->out.buffer, &r->work.buffer);
    if (!status) status = device_timer_mark(timer);
    if (!status) status = device_timer_read(timer, &ms);
    if (ms < timing->ms) timing->ms = ms;
    if (timing->hopeless_ms > 0 && ms > timing->hopeless_ms) break;
  }
  device_timer_close(&timer);
  return status;
}

static const clvgg_precision precision_of[] = {[ALGO_F32] = CLVGG_PRECISION_F32,
                                               [ALGO_F24] = CLVGG_PRECISION_F24W,
                                               [ALGO_F16] = CLVGG_PRECISION_F16W,
                                               [ALGO_F16_MATH] = CLVGG_PRECISION_F16,
                                               [ALGO_BF16_MATH] = CLVGG_PRECISION_BF16};

static clvgg_status run_check(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param, const layer *l,
                              const float *in, const expectation *want, check_timing *timing,
                              clvgg_verify_case *result) {
  const double growth = a->error_growth > 1 ? a->error_growth : 1;
  result->tolerance = reference_tolerance(&p->shape) * growth + WEIGHT_ERROR_GROWTH * a->weight_error;
  result->ran = result->ok = 0;
  result->max_abs = result->max_rel = result->rel_l2 = 0;
  result->reason[0] = '\0';
  snprintf(result->algorithm, sizeof result->algorithm, "%s", a->name);
  snprintf(result->precision, sizeof result->precision, "%s", clvgg_precision_name(precision_of[a->form]));
  check_run r = {.dev = dev};
  clvgg_status status = open_run(&r, a, p, param, l);
  if (!status) status = execute(&r, in);
  if (!status) {
    result->ran = 1;
    status = judge(&r, want, result);
    if (!status && timing) status = time_runs(&r, timing);
  } else {
    result->ran = status != CLVGG_ERROR_TOO_LARGE && status != CLVGG_ERROR_UNSUPPORTED;
    if (result->ran) result->max_abs = result->max_rel = result->rel_l2 = INFINITY;
    snprintf(result->reason, sizeof result->reason, "%s", clvgg_last_error());
  }
  device_finish(dev); /* nothing may still use what is released; its failure was reported before */
  algo_close(&r.inst);
  guarded_close(dev, &r.work);
  guarded_close(dev, &r.out);
  guarded_close(dev, &r.in);
  free(r.got);
  free(r.sent);
  return status;
}

clvgg_status check_algo(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param, const layer *l,
                        const float *in, const float *want, clvgg_verify_case *result) {
  return run_check(dev, a, p, param, l, in, &(expectation){.all = want}, NULL, result);
}

clvgg_status check_algo_sampled(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param,
                                const layer *l, const float *in, const reference_samples *samples, check_timing *timing,
                                clvgg_verify_case *result) {
  return run_check(dev, a, p, param, l, in, &(expectation){.samples = samples}, timing, result);
}
