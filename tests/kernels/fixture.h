/* What the kernel tests share: a device with a compiler cache of its own, and layers made by hand. After cmocka.h. */
#ifndef CLVGG_TESTS_KERNELS_FIXTURE_H
#define CLVGG_TESTS_KERNELS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/algo.h"
#include "base/random.h"
#include "base/size.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- PoCL's cache, which is not safe between processes: the lane's, whose tests take turns (tests/CMakeLists.txt), or one of this
 * process's own. */
static char cache_dir[] = "/tmp/clvgg-test-XXXXXX";

static inline void cache_remove(void) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", cache_dir);
  if (system(command) != 0) fprintf(stderr, "%s stays behind\n", cache_dir);
}

/* Before the first OpenCL call. */
static inline void cache_make(void) {
  if (getenv("CLVGG_TEST_LANE")) return;
  if (!mkdtemp(cache_dir)) {
    perror(cache_dir);
    exit(1);
  }
  setenv("POCL_CACHE_DIR", cache_dir, 1);
  atexit(cache_remove);
}

static inline void must(clvgg_status status) {
  if (status != CLVGG_OK) fail_msg("%s: %s", clvgg_status_name(status), clvgg_last_error());
}

/* Whether it computes in blocks of channels: on blocked activations, or with blocked weights. test_blocked is for these. */
static inline bool algo_uses_blocks(const algo *a) {
  return a->in == ALGO_NCHWC || a->out == ALGO_NCHWC || strstr(a->name, "_gemv") != NULL;
}

/* ---- layers */
typedef struct test_layer {
  layer l;
  tensor weight;
  float *values;
  pixel_map pixels;
} test_layer;

/* Random weights and bias where the op has them; batch_norm adds a scale for each output channel. Every other seed has pixels'
 * channels in reverse. */
static inline void layer_make(const layer_shape *s, bool batch_norm, uint64_t seed, test_layer *t) {
  *t = (test_layer){.l.shape = *s, .pixels = {seed % 2, {123.675f, 116.28f, 103.53f}, {58.395f, 57.12f, 5.7f}}};
  t->l.pixels = &t->pixels;
  snprintf(t->l.name, sizeof t->l.name, "test");
  const size_t length = layer_row_length(s), rows = s->out.c;
  if (length == 0) return;
  t->values = malloc(rows * length * sizeof *t->values);
  t->l.bias = malloc(rows * sizeof *t->l.bias);
  random_fill(seed, -1, 1, t->values, rows * length);
  random_fill(seed + 1, -1, 1, t->l.bias, rows);
  if (batch_norm) {
    t->l.scale = malloc(rows * sizeof *t->l.scale);
    random_fill(seed + 2, 0.5f, 2, t->l.scale, rows);
  }
  const bool conv = s->op == LAYER_CONV;
  t->weight = (tensor){.name = "test.weight",
                       .dtype = TENSOR_F32,
                       .dims = conv ? 4 : 2,
                       .shape = {rows, conv ? s->in.c : length, 3, 3},
                       .data = t->values,
                       .bytes = rows * length * sizeof(float)};
  t->l.weight = &t->weight;
}

static inline void layer_free(test_layer *t) {
  free(t->values);
  free(t->l.bias);
  free(t->l.scale);
}

static inline layer_shape conv_shape(size_t in, size_t out, size_t h, size_t w, bool relu) {
  return (layer_shape){.op = LAYER_CONV, .relu = relu, .in = {in, h, w}, .out = {out, h, w}};
}

/* A convolution with the pooling after it. */
static inline layer_shape pooled_shape(layer_shape s) {
  s.pool = true;
  s.out.h /= 2;
  s.out.w /= 2;
  return s;
}

static inline layer_shape fc_shape(shape3 in, size_t out, bool relu) {
  return (layer_shape){.op = LAYER_FC, .relu = relu, .in = in, .out = {out, 1, 1}};
}

static inline layer_shape maxpool_shape(size_t c, size_t h, size_t w) {
  return (layer_shape){.op = LAYER_MAXPOOL, .in = {c, h, w}, .out = {c, h / 2, w / 2}};
}

static inline layer_shape avgpool_shape(size_t c, size_t h, size_t w, size_t out_h, size_t out_w) {
  return (layer_shape){.op = LAYER_AVGPOOL, .in = {c, h, w}, .out = {c, out_h, out_w}};
}

static inline layer_shape softmax_shape(size_t classes) {
  return (layer_shape){.op = LAYER_SOFTMAX, .in = {classes, 1, 1}, .out = {classes, 1, 1}};
}

#endif
