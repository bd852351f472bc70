/* Small problems that stand for a real one, and what the reference says of them. */
#include "trust/trust.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "reference/reference.h"
#include "trust/check.h"
#include "trust/verdicts.h"

struct trust {
  clvgg_device *dev;
  bool skip;
  verdicts *verdicts;
};

/* Sides and batches of the wide problem: tiles of up to 16 pixels and blocks of up to 6 images are once full and once not. They
 * do not depend on the real problem, so that a few checks do for many layers. */
#define WIDE_H     13
#define WIDE_W     17
#define WIDE_BATCH 7
/* Of the deep one, which has all input channels of the real problem: loops over them are as long as they will be. */
#define DEEP_H 5
#define DEEP_W 3
/* Images of problems with pixels. */
#define PIXEL_BATCH 2

clvgg_status trust_read_wish(trust_wish *out) {
  const char *wish = getenv("CLVGG_TRUST");
  *out = TRUST_ONCE;
  if (!wish || !*wish) return CLVGG_OK;
  if (strcmp(wish, "always") != 0 && strcmp(wish, "never") != 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "CLVGG_TRUST is '%.100s', expected always or never", wish);
  *out = strcmp(wish, "always") == 0 ? TRUST_ALWAYS : TRUST_NEVER;
  return CLVGG_OK;
}

clvgg_status trust_open(clvgg_device *dev, trust **out) {
  trust_wish wish;
  *out = NULL;
  TRY(trust_read_wish(&wish));
  trust *t = calloc(1, sizeof *t);
  if (!t) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the checks of algorithms");
  t->dev = dev;
  t->skip = wish == TRUST_ALWAYS;
  const clvgg_status status = t->skip ? CLVGG_OK : verdicts_open(device_info(dev), wish == TRUST_ONCE, &t->verdicts);
  if (status)
    trust_close(&t);
  else
    *out = t;
  return status;
}

void trust_close(trust **pointer) {
  trust *t = *pointer;
  if (!t) return;
  *pointer = NULL;
  verdicts_close(&t->verdicts);
  free(t);
}

/* ---- small problems */

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

static void set_output(layer_shape *s, size_t channels) {
  const size_t divisor = s->pool || s->op == LAYER_MAXPOOL ? 2 : 1;
  s->out = (shape3){channels, s->in.h / divisor, s->in.w / divisor};
}

/* Few channels, but more than a group of blocks; more than one tile each way. */
static void make_wide(const algo_problem *p, algo_problem *out) {
  layer_shape *s = &out->shape;
  const layer_shape *real = &p->shape;
  const size_t block = p->block ? p->block : 1;
  s->in = (shape3){least(real->in.c, block + 3), WIDE_H, WIDE_W};
  out->batch = s->op == LAYER_FC ? WIDE_BATCH : PIXEL_BATCH;
  switch (s->op) {
    case LAYER_CONV:
      set_output(s, least(real->out.c, 2 * block + 5));
      break;
    case LAYER_FC:
      s->in.h = least(real->in.h, DEEP_H);
      s->in.w = least(real->in.w, DEEP_W);
      if (real->in.h == 1 && real->in.w == 1) s->in.c = least(real->in.c, 16 * block + 3);
      s->out.c = least(real->out.c, 4 * block + 5);
      break;
    case LAYER_AVGPOOL: /* windows depend on both sizes */
      s->in.h = real->in.h;
      s->in.w = real->in.w;
      s->out.c = s->in.c;
      break;
    case LAYER_SOFTMAX:
      s->in = real->in;
      break;
    case LAYER_MAXPOOL:
    case LAYER_CONVERT:
      set_output(s, s->in.c);
      break;
  }
}

static void make_deep(const algo_problem *p, algo_problem *out) {
  layer_shape *s = &out->shape;
  const size_t block = p->block ? p->block : 1;
  out->batch = 1;
  s->relu = false;
  if (s->op == LAYER_FC) {
    s->out.c = least(s->out.c, block + 1);
    return;
  }
  s->in.h = least(s->in.h, DEEP_H);
  s->in.w = least(s->in.w, DEEP_W);
  set_output(s, least(s->out.c, block + 1));
}

size_t trust_problem(const algo_problem *p, size_t number, algo_problem *out) {
  *out = *p;
  if (number == 0)
    make_wide(p, out);
  else
    make_deep(p, out);
  const bool weighted = p->shape.op == LAYER_CONV || p->shape.op == LAYER_FC;
  algo_problem wide = *p;
  make_wide(p, &wide);
  return weighted && layer_row_length(&p->shape) > layer_row_length(&wide.shape) ? 2 : 1;
}

/* ---- running one */

typedef struct trial {
  layer l;
  tensor weight;
  float *values, *in, *middle, *want;
} trial;

/* ImageNet's normalisation. Any other differs in numbers only. */
static const pixel_map usual_pixels = {.mean = {123.675f, 116.28f, 103.53f}, .std = {58.395f, 57.12f, 57.375f}};

/* Seeded numbers; weights are multiples of 2^-8, which half precision holds exactly, too. */
static clvgg_status make_trial(const algo *a, const algo_problem *p, trial *t) {
  const layer_shape *s = &p->shape;
  const size_t length = layer_row_length(s), weights = length * s->out.c;
  const size_t inputs = p->batch * shape3_elements(s->in), outputs = p->batch * shape3_elements(s->out);
  const size_t unpooled = p->batch * s->out.c * s->in.h * s->in.w;
  *t = (trial){.l = {.name = "check", .shape = *s, .pixels = &usual_pixels}};
  t->in = malloc(inputs * sizeof *t->in);
  t->want = malloc(outputs * sizeof *t->want);
  if (weights) t->values = malloc(weights * sizeof *t->values);
  if (weights) t->l.bias = malloc(s->out.c * sizeof *t->l.bias);
  if (s->pool) t->middle = malloc(unpooled * sizeof *t->middle);
  if (!t->in || !t->want || (weights && (!t->values || !t->l.bias)) || (s->pool && !t->middle))
    return base_fail(CLVGG_ERROR_MEMORY, "no memory to check an algorithm");
  if (a->in == ALGO_RGB8)
    pixels_random(&usual_pixels, 1, p->batch, s->in.h * s->in.w, t->in);
  else
    random_fill(1, -1, 1, t->in, inputs);
  if (!weights) return CLVGG_OK;
  random_fill(2, -1, 1, t->values, weights);
  for (size_t i = 0; i < weights; i++) t->values[i] = nearbyintf(t->values[i] * 256) / 256;
  random_fill(3, -1, 1, t->l.bias, s->out.c);
  t->weight = (tensor){.name = "check.weight",
                       .dtype = TENSOR_F32,
                       .dims = s->op == LAYER_CONV ? 4 : 2,
                       .shape = {s->out.c, s->op == LAYER_CONV ? s->in.c : length, 3, 3},
                       .data = t->values,
                       .bytes = weights * sizeof(float)};
  t->l.weight = &t->weight;
  return CLVGG_OK;
}

static clvgg_status compute_reference(const algo_problem *p, trial *t) {
  const layer_shape *s = &p->shape;
  if (s->op == LAYER_CONVERT) {
    memcpy(t->want, t->in, p->batch * shape3_elements(s->in) * sizeof *t->want);
    return CLVGG_OK;
  }
  if (!s->pool) return reference_layer(&t->l, p->batch, t->in, t->want);
  layer conv = t->l, pool = {.name = "check", .shape = {.op = LAYER_MAXPOOL, .out = s->out}};
  conv.shape.pool = false;
  conv.shape.out = pool.shape.in = (shape3){s->out.c, s->in.h, s->in.w};
  TRY(reference_layer(&conv, p->batch, t->in, t->middle));
  return reference_layer(&pool, p->batch, t->middle, t->want);
}

static clvgg_status run_trial(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param, char *why) {
  trial t;
  clvgg_verify_case result = {.layer = "check"};
  clvgg_status status = make_trial(a, p, &t);
  if (!status) status = compute_reference(p, &t);
  if (!status) status = check_algo(dev, a, p, param, &t.l, t.in, t.want, &result);
  snprintf(why, TRUST_WHY_BYTES, "%s", result.reason);
  free(t.middle);
  free(t.values);
  free(t.l.bias);
  free(t.want);
  free(t.in);
  return status;
}

/* The case in words, which is also what it is remembered by. */
static void describe(const algo *a, const algo_problem *p, const int *param, char *out, size_t bytes) {
  char params[128], shape[128];
  snprintf(out, bytes, "%s [%s] %s%s%s, %zu images, blocks of %zu", a->name,
           algo_params_text(a, param, params, sizeof params), layer_shape_text(&p->shape, shape, sizeof shape),
           p->shape.relu ? " ReLU" : "", p->shape.pool ? " pool" : "", p->batch, p->block);
}

static clvgg_status check_one(trust *t, const algo *a, const algo_problem *p, const int *param, char *why) {
  char what[512], unsupported[ALGO_WHY_BYTES];
  describe(a, p, param, what, sizeof what);
  bool ok;
  if (verdicts_find(t->verdicts, what, &ok, why)) {
    return ok ? CLVGG_OK
              : base_fail(CLVGG_ERROR_MISMATCH, "%s on device '%s': %s", a->name, device_info(t->dev)->name, why);
  }
  /* Parameters can be impossible on a small problem only: the other problem says more. */
  if (!algo_supports(a, device_info(t->dev), p, param, unsupported)) return CLVGG_OK;
  const clvgg_status status = run_trial(t->dev, a, p, param, why);
  if (status == CLVGG_OK || status == CLVGG_ERROR_MISMATCH) verdicts_add(t->verdicts, what, status == CLVGG_OK, why);
  /* What does not fit now says nothing of the algorithm, and the network will not fit either. */
  if (status == CLVGG_ERROR_UNSUPPORTED || status == CLVGG_ERROR_TOO_LARGE) return CLVGG_OK;
  return status;
}

clvgg_status trust_check(trust *t, const algo *a, const algo_problem *p, const int *param, char *why) {
  why[0] = '\0';
  if (t->skip) return CLVGG_OK;
  size_t count = 1;
  for (size_t i = 0; i < count; i++) {
    algo_problem small;
    count = trust_problem(p, i, &small);
    TRY(check_one(t, a, &small, param, why));
  }
  return CLVGG_OK;
}
