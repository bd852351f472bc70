/* Networks of shapes alone: they are as asked for, and what is no network is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "network/stand_in.h"

enum { LAYERS = 6 };

/* conv, conv, pool, conv, pool, fc on 3 x 16 x 12 */
static void make_layers(stand_in_layer out[LAYERS]) {
  const shape3 image = {3, 16, 12}, wide = {20, 16, 12}, half = {20, 8, 6}, deep = {24, 8, 6}, last = {24, 4, 3};
  const stand_in_layer layers[LAYERS] = {
      {"conv1_1", {.op = LAYER_CONV, .relu = true, .in = image, .out = wide}},
      {"conv1_2", {.op = LAYER_CONV, .relu = true, .in = wide, .out = wide}},
      {"pool1", {.op = LAYER_MAXPOOL, .in = wide, .out = half}},
      {"conv2_1", {.op = LAYER_CONV, .relu = true, .in = half, .out = deep}},
      {"pool2", {.op = LAYER_MAXPOOL, .in = deep, .out = last}},
      {"fc6", {.op = LAYER_FC, .in = last, .out = {10, 1, 1}}},
  };
  memcpy(out, layers, sizeof layers);
}

static bool same_shape(const layer_shape *a, const layer_shape *b) {
  return a->op == b->op && a->relu == b->relu && a->pool == b->pool && a->in.c == b->in.c && a->in.h == b->in.h &&
         a->in.w == b->in.w && a->out.c == b->out.c && a->out.h == b->out.h && a->out.w == b->out.w;
}

static network *make(const stand_in_layer *layers, size_t count) {
  network *net = NULL;
  if (network_stand_in(layers, count, &net)) fail_msg("%s", clvgg_last_error());
  return net;
}

static void layers_are_as_given(void **state) {
  (void)state;
  stand_in_layer layers[LAYERS];
  make_layers(layers);
  network *net = make(layers, LAYERS);
  assert_int_equal(net->layer_count, LAYERS);
  assert_int_equal(net->classes, 10);
  assert_true(net->input.c == 3 && net->input.h == 16 && net->input.w == 12);
  assert_string_equal(net->name, "stand-in");
  for (size_t i = 0; i < LAYERS; i++) {
    assert_string_equal(net->layers[i].name, layers[i].name);
    assert_true(same_shape(&net->layers[i].shape, &layers[i].shape));
    assert_int_equal(net->layers[i].weight != NULL, layer_row_length(&layers[i].shape) > 0);
    assert_int_equal(net->layers[i].bias != NULL, layer_row_length(&layers[i].shape) > 0);
  }
  network_close(&net);
  assert_null(net);
}

/* All rows, finite, not all alike, and of a size that keeps activations in range: variance 2 / row length. */
static void weights_are_there_over_all_rows(void **state) {
  (void)state;
  stand_in_layer layers[LAYERS];
  make_layers(layers);
  network *net = make(layers, LAYERS);
  for (size_t i = 0; i < LAYERS; i++) {
    const layer *l = &net->layers[i];
    const size_t rows = l->shape.out.c, length = layer_row_length(&l->shape);
    if (length == 0) continue;
    float *all = malloc(rows * length * sizeof *all);
    assert_non_null(all);
    layer_read_rows(l, 0, rows, all);
    double sum = 0, squares = 0;
    for (size_t k = 0; k < rows * length; k++) {
      assert_true(isfinite(all[k]));
      sum += all[k];
      squares += (double)all[k] * all[k];
    }
    for (size_t r = 1; r < rows; r++) assert_memory_not_equal(all, all + r * length, length * sizeof *all);
    const double n = (double)(rows * length), variance = squares / n - sum / n * (sum / n);
    if (fabs(variance * (double)length / 2 - 1) > 0.3) fail_msg("%s: variance %g", l->name, variance);
    for (size_t r = 0; r < rows; r++) assert_true(fabs((double)l->bias[r]) <= 0.05);
    free(all);
  }
  network_close(&net);
}

static void layers_share_the_largest_ones_memory(void **state) {
  (void)state;
  stand_in_layer layers[LAYERS];
  make_layers(layers);
  network *net = make(layers, LAYERS);
  for (size_t i = 0; i < LAYERS; i++) {
    if (!net->layers[i].weight) continue;
    assert_ptr_equal(net->layers[i].weight->data, net->layers[0].weight->data);
    assert_ptr_not_equal(net->layers[i].weight, i ? net->layers[0].weight : NULL);
  }
  network_close(&net);
  /* More numbers than are drawn: the block repeats itself, but the rows differ still. */
  const stand_in_layer large[] = {{"fc6", {.op = LAYER_FC, .in = {4096, 1, 1}, .out = {1000, 1, 1}}}};
  net = make(large, 1);
  float *first = malloc(4096 * sizeof *first), *other = malloc(4096 * sizeof *other);
  assert_true(first && other);
  layer_read_rows(&net->layers[0], 0, 1, first);
  for (size_t r = 1; r < 1000; r++) {
    layer_read_rows(&net->layers[0], r, 1, other);
    assert_memory_not_equal(first, other, 4096 * sizeof *first);
    for (size_t i = 0; i < 4096; i++) assert_true(fabs((double)other[i]) <= sqrt(6.0 / 4096));
  }
  free(first);
  free(other);
  network_close(&net);
}

static void expect_refused(const stand_in_layer *layers, size_t count, const char *part) {
  network *net = (network *)(uintptr_t)8;
  const clvgg_status status = network_stand_in(layers, count, &net);
  if (status != CLVGG_ERROR_MODEL) fail_msg("%s: %s", part, clvgg_status_name(status));
  assert_null(net);
  if (!strstr(clvgg_last_error(), part)) fail_msg("'%s' does not say '%s'", clvgg_last_error(), part);
}

static void shapes_that_do_not_follow_are_refused(void **state) {
  (void)state;
  stand_in_layer l[LAYERS];
#define REFUSED(change, part)        \
  do {                               \
    make_layers(l);                  \
    change;                          \
    expect_refused(l, LAYERS, part); \
  } while (0)
  REFUSED(l[1].shape.in.c = 21, "conv1_2");
  REFUSED(l[1].shape.in.h = l[1].shape.out.h = 17, "conv1_2");
  REFUSED(l[0].shape.out.w = 11, "conv1_1"); /* convolutions keep height and width */
  REFUSED(l[2].shape.out.h = 16, "pool1");   /* poolings halve them */
  REFUSED(l[2].shape.out.c = 21, "pool1");
  REFUSED(l[5].shape.out.h = 2, "fc6"); /* a vector */
  REFUSED(l[1].shape.pool = true, "conv1_2");
  REFUSED(l[1].shape.op = LAYER_SOFTMAX, "conv1_2");
  REFUSED(l[1].shape.op = LAYER_CONVERT, "conv1_2");
  REFUSED(l[1].shape.op = (layer_op)77, "conv1_2");
  REFUSED(l[0].shape.in.c = 0, "conv1_1");
  REFUSED(l[5].shape.out.c = 0, "fc6");
  REFUSED(l[0] = l[2], "conv1_2");
#undef REFUSED
  make_layers(l);
  expect_refused(l, 0, "0 layers");
  expect_refused(l, 3, "does not end in one with weights");
  for (size_t count = 4; count <= LAYERS; count += 2) {
    network *net = make(l, count);
    network_close(&net);
  }
}

static void sizes_that_overflow_are_refused(void **state) {
  (void)state;
  const size_t third = (size_t)1 << 22, half = (size_t)1 << 32; /* 2^66, 2^64 */
  const shape3 too_large[] = {{third, third, third},
                              {half, half, 1},
                              {SIZE_MAX, 1, 1},
                              {1, SIZE_MAX, 2},
                              {65536, 32768, 1},
                              {1, 1, SIZE_MAX},
                              {(size_t)INT32_MAX + 1, 1, 1}};
  for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
    const shape3 s = too_large[i];
    const stand_in_layer conv[] = {{"conv1_1", {.op = LAYER_CONV, .in = s, .out = {1, s.h, s.w}}}};
    const stand_in_layer wide[] = {{"conv1_1", {.op = LAYER_CONV, .in = {1, s.h, s.w}, .out = s}}};
    const stand_in_layer fc[] = {{"fc6", {.op = LAYER_FC, .in = s, .out = {1, 1, 1}}}};
    expect_refused(conv, 1, "conv1_1");
    expect_refused(wide, 1, "conv1_1");
    expect_refused(fc, 1, "fc6");
  }
  /* Activations that fit, and weights that do not. */
  const stand_in_layer weights[] = {
      {"fc6", {.op = LAYER_FC, .in = {65536, 1, 1}, .out = {65536, 1, 1}}},
      {"conv1_1", {.op = LAYER_CONV, .in = {65536, 1, 1}, .out = {65536, 1, 1}}},
      {"fc7", {.op = LAYER_FC, .in = {INT32_MAX, 1, 1}, .out = {INT32_MAX, 1, 1}}},
  };
  for (size_t i = 0; i < 3; i++) expect_refused(&weights[i], 1, weights[i].name);
}

/* As for a real network: other sizes shape the convolutions and get an average pooling. */
static void other_input_sizes_work(void **state) {
  (void)state;
  stand_in_layer given[LAYERS];
  make_layers(given);
  network *net = make(given, LAYERS);
  layer *layers = NULL;
  size_t count = 0;
  assert_int_equal(network_layers(net, 16, 12, false, &layers, &count), CLVGG_OK);
  assert_int_equal(count, LAYERS);
  for (size_t i = 0; i < count; i++) assert_true(same_shape(&layers[i].shape, &given[i].shape));
  free(layers);
  assert_int_equal(network_layers(net, 33, 21, true, &layers, &count), CLVGG_OK);
  assert_int_equal(count, LAYERS + 2);
  assert_true(layers[0].shape.in.h == 33 && layers[1].shape.out.w == 21);
  assert_true(layers[2].shape.out.h == 16 && layers[2].shape.out.w == 10);
  assert_int_equal(layers[5].shape.op, LAYER_AVGPOOL);
  assert_true(layers[5].shape.in.h == 8 && layers[5].shape.in.w == 5 && layers[5].shape.out.h == 4);
  assert_true(same_shape(&layers[6].shape, &given[5].shape));
  assert_ptr_equal(layers[6].weight, net->layers[5].weight);
  assert_int_equal(layers[7].shape.op, LAYER_SOFTMAX);
  float row[24 * 4 * 3];
  layer_read_rows(&layers[6], 9, 1, row);
  free(layers);
  assert_int_equal(network_layers(net, 3, 12, false, &layers, &count), CLVGG_ERROR_ARGUMENT);
  network_close(&net);
  /* One that was made with the average pooling, for a network at another size than its own. */
  stand_in_layer pooled[LAYERS + 1];
  memcpy(pooled, given, sizeof given);
  pooled[6] = given[5];
  pooled[5] = (stand_in_layer){"avgpool", {.op = LAYER_AVGPOOL, .in = {24, 4, 3}, .out = {24, 2, 2}}};
  pooled[6].shape.in = (shape3){24, 2, 2};
  net = make(pooled, LAYERS + 1);
  assert_int_equal(network_layers(net, 16, 12, false, &layers, &count), CLVGG_OK);
  assert_int_equal(count, LAYERS + 1);
  for (size_t i = 0; i < count; i++) assert_true(same_shape(&layers[i].shape, &pooled[i].shape));
  free(layers);
  assert_int_equal(network_layers(net, 8, 8, false, &layers, &count), CLVGG_OK);
  assert_int_equal(count, LAYERS);
  free(layers);
  network_close(&net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layers_are_as_given),
      cmocka_unit_test(weights_are_there_over_all_rows),
      cmocka_unit_test(layers_share_the_largest_ones_memory),
      cmocka_unit_test(shapes_that_do_not_follow_are_refused),
      cmocka_unit_test(sizes_that_overflow_are_refused),
      cmocka_unit_test(other_input_sizes_work),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
