/* Networks from tensors that the test makes: key names, inference, every kind of defect, BN folding, seeded weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "network/network.h"

enum { MAX_TENSORS = 160, NAME_BYTES = 64 };

/* A state dict. Values are 0.01 unless a test changes them. */
typedef struct dict {
  tensor tensors[MAX_TENSORS];
  char names[MAX_TENSORS][NAME_BYTES];
  float *values[MAX_TENSORS];
  size_t count;
} dict;

static void add(dict *d, const char *name, size_t dims, size_t a, size_t b, size_t c, size_t e) {
  const size_t t = d->count++;
  assert_true(t < MAX_TENSORS);
  snprintf(d->names[t], NAME_BYTES, "%s", name);
  d->tensors[t] = (tensor){.name = d->names[t], .dtype = TENSOR_F32, .dims = dims, .shape = {a, b, c, e}};
  const size_t elements = tensor_elements(&d->tensors[t]);
  d->values[t] = malloc((elements ? elements : 1) * sizeof(float));
  assert_non_null(d->values[t]);
  for (size_t i = 0; i < elements; i++) d->values[t][i] = 0.01f;
  d->tensors[t].data = d->values[t];
  d->tensors[t].bytes = elements * sizeof(float);
}

static void drop(dict *d) {
  for (size_t i = 0; i < d->count; i++) free(d->values[i]);
  free(d);
}

static size_t find(const dict *d, const char *name) {
  for (size_t i = 0; i < d->count; i++)
    if (strcmp(d->names[i], name) == 0) return i;
  fail_msg("the test has no tensor %s", name);
  return 0;
}

static void take_out(dict *d, const char *name) {
  const size_t t = find(d, name);
  free(d->values[t]);
  for (size_t i = t; i + 1 < d->count; i++) {
    d->tensors[i] = d->tensors[i + 1];
    d->values[i] = d->values[i + 1];
    memcpy(d->names[i], d->names[i + 1], NAME_BYTES);
    d->tensors[i].name = d->names[i];
  }
  d->count--;
}

typedef enum style { TORCHVISION, MMCLS } style;

/* stages: widths with 0 for a pool, ended by -1; the pool after the last convolution is the caller's to list too. */
static dict *make_dict(style s, bool bn, const char *prefix, const int *stages, size_t fc_side, const int *fcs) {
  static const char *const bn_fields[] = {"weight", "bias", "running_mean", "running_var"};
  dict *d = calloc(1, sizeof *d);
  assert_non_null(d);
  char name[NAME_BYTES];
  const char *backbone = s == MMCLS ? "backbone." : "";
  size_t channels = 3;
  int index = 0;
  for (; *stages >= 0; stages++) {
    if (*stages == 0) {
      index++;
      continue;
    }
    const size_t out = (size_t)*stages;
    snprintf(name, sizeof name, "%s%sfeatures.%d%s.weight", prefix, backbone, index, s == MMCLS ? ".conv" : "");
    add(d, name, 4, out, channels, 3, 3);
    snprintf(name, sizeof name, "%s%sfeatures.%d%s.bias", prefix, backbone, index, s == MMCLS ? ".conv" : "");
    add(d, name, 1, out, 1, 1, 1);
    if (bn) {
      const int bn_index = s == MMCLS ? index : index + 1;
      const char *part = s == MMCLS ? ".bn" : "";
      for (size_t f = 0; f < 4; f++) {
        snprintf(name, sizeof name, "%s%sfeatures.%d%s.%s", prefix, backbone, bn_index, part, bn_fields[f]);
        add(d, name, 1, out, 1, 1, 1);
      }
      snprintf(name, sizeof name, "%s%sfeatures.%d%s.num_batches_tracked", prefix, backbone, bn_index, part);
      add(d, name, 0, 1, 1, 1, 1);
      d->tensors[d->count - 1].dtype = TENSOR_INT;
    }
    index += s == MMCLS ? 1 : bn ? 3 : 2;
    channels = out;
  }
  size_t inputs = channels * fc_side * fc_side;
  for (int i = 0; fcs[i] > 0; i++) {
    snprintf(name, sizeof name, "%s%sclassifier.%d.weight", prefix, backbone, 3 * i);
    add(d, name, 2, (size_t)fcs[i], inputs, 1, 1);
    snprintf(name, sizeof name, "%s%sclassifier.%d.bias", prefix, backbone, 3 * i);
    add(d, name, 1, (size_t)fcs[i], 1, 1, 1);
    inputs = (size_t)fcs[i];
  }
  return d;
}

/* Three stages, odd widths, trained on 16x16. */
static const int small_stages[] = {5, 7, 0, 9, 0, 11, 3, 0, -1};
static const int small_fcs[] = {13, 17, 4, 0};

static dict *small(style s, bool bn, const char *prefix) {
  return make_dict(s, bn, prefix, small_stages, 2, small_fcs);
}

static network *open_dict(const dict *d, size_t side) {
  network *net = NULL;
  if (network_from_tensors(d->tensors, d->count, side, &net) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  return net;
}

static void check_small(const network *net, const char *keys, bool bn) {
  static const char *const names[] = {"conv1_1", "conv1_2", "pool1", "conv2_1", "pool2", "conv3_1",
                                      "conv3_2", "pool3",   "fc4",   "fc5",     "fc6"};
  static const size_t out[][3] = {{5, 16, 16}, {7, 16, 16}, {7, 8, 8},  {9, 8, 8},  {9, 4, 4}, {11, 4, 4},
                                  {3, 4, 4},   {3, 2, 2},   {13, 1, 1}, {17, 1, 1}, {4, 1, 1}};
  assert_string_equal(net->keys, keys);
  assert_string_equal(net->name, "vgg-like (5 conv, 3 fc)");
  assert_string_equal(net->dtype, "f32");
  assert_int_equal(net->batch_norm, bn);
  assert_int_equal(net->input.c, 3);
  assert_int_equal(net->input.h, 16);
  assert_int_equal(net->input.w, 16);
  assert_int_equal(net->classes, 4);
  assert_int_equal(net->layer_count, 11);
  for (size_t i = 0; i < 11; i++) {
    const layer *l = &net->layers[i];
    assert_string_equal(l->name, names[i]);
    assert_int_equal(l->shape.out.c, out[i][0]);
    assert_int_equal(l->shape.out.h, out[i][1]);
    assert_int_equal(l->shape.out.w, out[i][2]);
    if (i > 0 && i != 8) assert_memory_equal(&l->shape.in, &net->layers[i - 1].shape.out, sizeof(shape3));
    assert_int_equal(l->shape.relu, l->weight != NULL && i != 10);
    assert_int_equal(l->scale != NULL, bn && l->shape.op == LAYER_CONV);
  }
  assert_int_equal(net->layers[8].shape.in.h, 2);
  /* by hand: 5*28 + 7*46 + 9*64 + 11*82 + 3*100 + 13*13 + 17*14 + 4*18, BN adds 2 * (5+7+9+11+3) */
  assert_int_equal(net->params, 140 + 322 + 576 + 902 + 300 + 169 + 238 + 72 + (bn ? 70 : 0));
}

static void key_names_are_recognised(void **state) {
  (void)state;
  static const char *const prefixes[] = {"", "module.", "module.module."};
  for (size_t p = 0; p < 3; p++)
    for (int bn = 0; bn < 2; bn++)
      for (int s = 0; s < 2; s++) {
        dict *d = small(s ? MMCLS : TORCHVISION, bn, prefixes[p]);
        network *net = open_dict(d, 0);
        check_small(net, s ? "mmclassification" : "torchvision", bn);
        network_close(&net);
        assert_null(net);
        drop(d);
      }
}

/* timm's fc1 is a convolution as large as the last feature map. */
static void timm_head_is_recognised(void **state) {
  (void)state;
  dict *d = make_dict(TORCHVISION, false, "", small_stages, 2, (const int[]){0});
  add(d, "pre_logits.fc1.weight", 4, 13, 3, 2, 2);
  add(d, "pre_logits.fc1.bias", 1, 13, 1, 1, 1);
  add(d, "pre_logits.fc2.weight", 4, 17, 13, 1, 1);
  add(d, "pre_logits.fc2.bias", 1, 17, 1, 1, 1);
  add(d, "head.fc.weight", 2, 4, 17, 1, 1);
  add(d, "head.fc.bias", 1, 4, 1, 1, 1);
  network *net = open_dict(d, 0);
  check_small(net, "timm", false);
  network_close(&net);
  take_out(d, "pre_logits.fc2.weight");
  take_out(d, "pre_logits.fc2.bias");
  assert_int_equal(network_from_tensors(d->tensors, d->count, 0, &net), CLVGG_ERROR_MODEL);
  assert_non_null(strstr(clvgg_last_error(), "pre_logits.fc2.weight"));
  drop(d);
}

static void a_plain_classifier_is_recognised(void **state) {
  (void)state;
  dict *d = make_dict(TORCHVISION, true, "module.", (const int[]){8, 0, 8, -1}, 1, (const int[]){0});
  add(d, "module.classifier.weight", 2, 10, 8, 1, 1);
  add(d, "module.classifier.bias", 1, 10, 1, 1, 1);
  network *net = open_dict(d, 0);
  assert_string_equal(net->name, "vgg-like (2 conv, 1 fc)");
  assert_int_equal(net->input.h, 4);
  assert_string_equal(net->layers[net->layer_count - 1].name, "fc3");
  network_close(&net);
  drop(d);
}

static void a_family_is_recognised_with_any_class_count(void **state) {
  (void)state;
  static const int vgg11[] = {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0, -1};
  dict *d = make_dict(MMCLS, false, "", vgg11, 7, (const int[]){4096, 4096, 3, 0});
  network *net = open_dict(d, 0);
  assert_string_equal(net->name, "vgg11");
  assert_int_equal(net->input.h, 224);
  assert_int_equal(net->classes, 3);
  assert_string_equal(net->layers[12].name, "pool5");
  assert_string_equal(net->layers[13].name, "fc6");
  network_close(&net);
  drop(d);
}

static void the_last_pool_follows_from_the_input_side(void **state) {
  (void)state;
  dict *d = make_dict(TORCHVISION, false, "", (const int[]){4, 0, 6, -1}, 4, (const int[]){5, 0});
  network *net = open_dict(d, 0); /* unknown: as in a VGG, the last convolution is followed by a pool */
  assert_int_equal(net->input.h, 16);
  assert_int_equal(net->layer_count, 5);
  network_close(&net);
  net = open_dict(d, 8); /* 8 / 2 = 4: no room for a second pool */
  assert_int_equal(net->input.h, 8);
  assert_int_equal(net->layer_count, 4);
  assert_int_equal(net->layers[2].shape.op, LAYER_CONV);
  network_close(&net);
  net = open_dict(d, 40); /* 40 / 4 = 10: adaptive pooling to 4 */
  assert_int_equal(net->layer_count, 6);
  assert_int_equal(net->layers[4].shape.op, LAYER_AVGPOOL);
  assert_int_equal(net->layers[4].shape.in.h, 10);
  network_close(&net);
  drop(d);
}

/* ---- defects */

static void expect_error(dict *d, const char *a, const char *b) {
  network *net = (network *)d;
  const clvgg_status status = network_from_tensors(d->tensors, d->count, 0, &net);
  assert_null(net);
  assert_int_equal(status, CLVGG_ERROR_MODEL);
  if (!strstr(clvgg_last_error(), a) || !strstr(clvgg_last_error(), b))
    fail_msg("\"%s\" lacks \"%s\" or \"%s\"", clvgg_last_error(), a, b);
  drop(d);
}

static void every_missing_tensor_is_noticed(void **state) {
  (void)state;
  for (int s = 0; s < 2; s++) {
    dict *whole = small(s ? MMCLS : TORCHVISION, true, "module.");
    for (size_t i = 0; i < whole->count; i++) {
      if (whole->tensors[i].dtype == TENSOR_INT) continue;
      dict *d = small(s ? MMCLS : TORCHVISION, true, "module.");
      take_out(d, whole->names[i]);
      expect_error(d, whole->names[i], "missing");
    }
    drop(whole);
  }
}

static void a_missing_layer_is_noticed(void **state) {
  (void)state;
  dict *d = make_dict(TORCHVISION, false, "", (const int[]){4, 4, 4, 0, -1}, 1, small_fcs);
  take_out(d, "features.2.weight");
  take_out(d, "features.2.bias");
  expect_error(d, "'features.4.weight' follows 'features.0.weight'", "distance of 4");
  d = make_dict(TORCHVISION, false, "", small_stages, 2, (const int[]){6, 6, 6, 0});
  take_out(d, "classifier.3.weight");
  take_out(d, "classifier.3.bias");
  expect_error(d, "'classifier.6.weight' follows 'classifier.0.weight'", "distance of 6");
  d = make_dict(TORCHVISION, false, "", small_stages, 2, (const int[]){0});
  expect_error(d, "classifier.0.weight", "missing");
  d = make_dict(TORCHVISION, false, "", (const int[]){0, 4, -1}, 1, small_fcs);
  expect_error(d, "features.0.weight", "missing");
}

static void extra_tensors_are_named(void **state) {
  (void)state;
  dict *d = small(TORCHVISION, false, "");
  add(d, "aux.weight", 1, 1, 1, 1, 1);
  expect_error(d, "'aux.weight'", "not part of a VGG");
  d = small(MMCLS, false, "");
  add(d, "features.0.weight", 4, 5, 3, 3, 3);
  expect_error(d, "'features.0.weight'", "mmclassification");
  d = small(TORCHVISION, false, "");
  add(d, "module.features.0.weight", 4, 5, 3, 3, 3);
  expect_error(d, "'features.0.weight'", "'module.features.0.weight'");
  d = small(TORCHVISION, false, "");
  add(d, "classifier.9.weight", 2, 4, 4, 1, 1);
  add(d, "classifier.9.bias", 1, 4, 1, 1, 1);
  expect_error(d, "'classifier.9.weight'", "1 to 3");
}

static void set_shape(dict *d, const char *name, size_t dims, size_t a, size_t b, size_t c, size_t e) {
  tensor *t = &d->tensors[find(d, name)];
  t->dims = dims;
  const size_t shape[] = {a, b, c, e};
  memcpy(t->shape, shape, sizeof shape);
}

static void wrong_shapes_name_found_and_expected(void **state) {
  (void)state;
  dict *d = small(TORCHVISION, true, "");
  set_shape(d, "features.3.bias", 1, 6, 1, 1, 1);
  expect_error(d, "'features.3.bias' is (6,)", "expected (7,)");
  d = small(TORCHVISION, true, "");
  set_shape(d, "features.4.running_var", 2, 7, 1, 1, 1);
  expect_error(d, "'features.4.running_var' is (7, 1)", "expected (7,)");
  d = small(TORCHVISION, true, "");
  set_shape(d, "features.3.weight", 4, 7, 4, 3, 3);
  expect_error(d, "'features.3.weight' is (7, 4, 3, 3)", "expected (7, 5, 3, 3)");
  d = small(MMCLS, true, "");
  set_shape(d, "backbone.features.0.conv.weight", 4, 5, 3, 1, 9);
  expect_error(d, "is (5, 3, 1, 9)", "3x3, this is 1x9");
  d = small(MMCLS, true, "");
  set_shape(d, "backbone.features.0.conv.weight", 3, 5, 3, 9, 1);
  expect_error(d, "is (5, 3, 9)", "expected (out, in, 3, 3)");
  d = small(TORCHVISION, true, "");
  set_shape(d, "classifier.3.weight", 2, 17, 12, 1, 1);
  expect_error(d, "'classifier.3.weight' is (17, 12)", "expected (17, 13)");
  d = small(TORCHVISION, true, "");
  set_shape(d, "classifier.0.weight", 2, 13, 15, 1, 1);
  expect_error(d, "'classifier.0.weight' is (13, 15)", "3 * s * s");
  d = small(TORCHVISION, true, "");
  set_shape(d, "classifier.6.weight", 4, 4, 17, 1, 1);
  expect_error(d, "'classifier.6.weight' is (4, 17, 1, 1)", "expected (out, in)");
  d = small(TORCHVISION, true, "");
  set_shape(d, "classifier.6.bias", 0, 1, 1, 1, 1);
  expect_error(d, "'classifier.6.bias' is ()", "expected (4,)");
}

/* Shapes whose products do not fit, and empty ones; no data stands behind them. */
static void absurd_sizes_are_refused(void **state) {
  (void)state;
  dict *d = small(TORCHVISION, false, "");
  set_shape(d, "features.0.weight", 4, SIZE_MAX / 2, SIZE_MAX / 2, 3, 3);
  expect_error(d, "'features.0.weight'", "expected 1 to 2147483647 elements");
  d = small(TORCHVISION, false, "");
  set_shape(d, "features.0.weight", 4, 0, 3, 3, 3);
  expect_error(d, "'features.0.weight'", "expected 1 to 2147483647 elements");
  d = small(TORCHVISION, false, "");
  set_shape(d, "classifier.0.weight", 2, 0, 12, 1, 1);
  expect_error(d, "'classifier.0.weight'", "expected 1 to 2147483647 elements");
}

static void values_are_checked(void **state) {
  (void)state;
  dict *d = small(TORCHVISION, true, "");
  d->tensors[find(d, "features.3.weight")].dtype = TENSOR_INT;
  expect_error(d, "'features.3.weight'", "integers");
  d = small(TORCHVISION, true, "");
  d->values[find(d, "features.3.weight")][314] = strtof("nan", NULL);
  d->values[find(d, "features.3.weight")][300] = strtof("-inf", NULL);
  expect_error(d, "'features.3.weight' holds an infinity at element 300", "finite");
  d = small(TORCHVISION, true, "");
  d->values[find(d, "classifier.6.bias")][3] = strtof("nan", NULL);
  expect_error(d, "'classifier.6.bias' holds NaN at element 3", "finite");
  d = small(TORCHVISION, true, "");
  d->values[find(d, "features.4.running_var")][2] = -0.5f;
  expect_error(d, "'features.4.running_var' holds -0.5 at element 2", "negative");
  d = small(TORCHVISION, true, "");
  d->values[find(d, "features.4.weight")][2] = 3e38f;
  expect_error(d, "'features.4.weight'", "overflows");
}

static void other_networks_are_told_apart(void **state) {
  (void)state;
  dict *d = calloc(1, sizeof *d);
  add(d, "conv1.weight", 4, 64, 3, 7, 7);
  add(d, "bn1.weight", 1, 64, 1, 1, 1);
  add(d, "layer1.0.conv1.weight", 4, 64, 64, 1, 1);
  expect_error(d, "does not look like a VGG", "'conv1.weight' is a 7x7 convolution");
  d = calloc(1, sizeof *d);
  add(d, "one", 1, 2, 1, 1, 1);
  expect_error(d, "first keys are 'one'", "none of its 1 tensors");
  d = calloc(1, sizeof *d);
  expect_error(d, "does not look like a VGG", "no tensors");
  d = calloc(1, sizeof *d); /* AlexNet has torchvision's names */
  add(d, "features.0.weight", 4, 64, 3, 11, 11);
  add(d, "features.0.bias", 1, 64, 1, 1, 1);
  add(d, "classifier.1.weight", 2, 10, 64, 1, 1);
  add(d, "classifier.1.bias", 1, 10, 1, 1, 1);
  expect_error(d, "'features.0.weight' is (64, 3, 11, 11)", "this is 11x11");
}

/* ---- numbers */

static void batch_norm_is_folded(void **state) {
  (void)state;
  dict *d = make_dict(TORCHVISION, true, "", (const int[]){2, 0, -1}, 1, (const int[]){2, 0});
  static const float conv_bias[] = {0.5f, -1}, gamma[] = {2, -3}, beta[] = {0.25f, 1}, mean[] = {1.5f, 2},
                     var[] = {4 - 1e-5f, 0.25f - 1e-5f};
  memcpy(d->values[find(d, "features.0.bias")], conv_bias, sizeof conv_bias);
  memcpy(d->values[find(d, "features.1.weight")], gamma, sizeof gamma);
  memcpy(d->values[find(d, "features.1.bias")], beta, sizeof beta);
  memcpy(d->values[find(d, "features.1.running_mean")], mean, sizeof mean);
  memcpy(d->values[find(d, "features.1.running_var")], var, sizeof var);
  for (size_t i = 0; i < 54; i++) d->values[find(d, "features.0.weight")][i] = (float)i;
  d->values[find(d, "classifier.0.bias")][1] = 7;
  network *net = open_dict(d, 0);
  const layer *conv = &net->layers[0];
  /* sqrt(4) = 2 and sqrt(1/4) = 1/2: scales 2/2 and -3*2; biases (0.5-1.5)*1+0.25 and (-1-2)*-6+1 */
  assert_float_equal(conv->scale[0], 1, 1e-6);
  assert_float_equal(conv->scale[1], -6, 1e-5);
  assert_float_equal(conv->bias[0], -0.75, 1e-6);
  assert_float_equal(conv->bias[1], 19, 1e-4);
  float rows[54];
  layer_read_rows(conv, 0, 2, rows);
  assert_float_equal(rows[26], 26, 1e-4);
  assert_float_equal(rows[27], -162, 1e-3);
  layer_read_rows(conv, 1, 1, rows);
  assert_float_equal(rows[26], -318, 2e-3);
  assert_int_equal(layer_row_length(&conv->shape), 27);
  assert_null(net->layers[2].scale);
  assert_float_equal(net->layers[2].bias[1], 7, 0);
  network_close(&net);
  drop(d);
}

static void convolutions_without_bias_are_accepted(void **state) {
  (void)state;
  dict *d = make_dict(MMCLS, true, "", (const int[]){2, 4, 0, -1}, 1, (const int[]){2, 0});
  take_out(d, "backbone.features.0.conv.bias");
  take_out(d, "backbone.features.1.conv.bias");
  network *net = open_dict(d, 0);
  /* every BN value is 0.01: scale = 0.01 / sqrt(0.01001), bias = -0.01 * scale + 0.01 */
  assert_float_equal(net->layers[0].scale[1], 0.0999500375, 1e-7);
  assert_float_equal(net->layers[0].bias[1], 0.0090004996, 1e-8);
  network_close(&net);
  drop(d);
}

static void half_precision_weights_are_read(void **state) {
  (void)state;
  dict *d = make_dict(TORCHVISION, false, "", (const int[]){1, 0, -1}, 1, (const int[]){1, 0});
  static const uint16_t halves[27] = {0x3C00, 0xC000, 0x3555}; /* 1, -2, 0.333251953125 */
  tensor *t = &d->tensors[find(d, "features.0.weight")];
  t->dtype = TENSOR_F16;
  t->data = halves;
  t->bytes = sizeof halves;
  network *net = open_dict(d, 0);
  float row[27];
  layer_read_rows(&net->layers[0], 0, 1, row);
  assert_string_equal(net->dtype, "f16");
  assert_float_equal(row[0], 1, 0);
  assert_float_equal(row[1], -2, 0);
  assert_float_equal(row[2], 0.333251953125, 0);
  network_close(&net);
  drop(d);
}

/* ---- other input sizes */

static void layers_follow_the_input_size(void **state) {
  (void)state;
  dict *d = small(TORCHVISION, false, "");
  network *net = open_dict(d, 0);
  layer *layers;
  size_t count;
  assert_int_equal(network_layers(net, 16, 16, true, &layers, &count), CLVGG_OK);
  assert_int_equal(count, 12);
  assert_int_equal(layers[11].shape.op, LAYER_SOFTMAX);
  assert_string_equal(layers[11].name, "softmax");
  assert_int_equal(layers[11].shape.in.c, 4);
  free(layers);

  assert_int_equal(network_layers(net, 37, 26, false, &layers, &count), CLVGG_OK);
  assert_int_equal(count, 12); /* 37 -> 18 -> 9 -> 4, 26 -> 13 -> 6 -> 3 */
  assert_int_equal(layers[8].shape.op, LAYER_AVGPOOL);
  assert_string_equal(layers[8].name, "avgpool");
  const size_t in[] = {3, 4, 3}, out[] = {3, 2, 2};
  assert_memory_equal(&layers[8].shape.in, in, sizeof in);
  assert_memory_equal(&layers[8].shape.out, out, sizeof out);
  assert_memory_equal(&layers[9].shape.in, out, sizeof out);
  assert_ptr_equal(layers[0].bias, net->layers[0].bias);
  free(layers);

  assert_int_equal(network_layers(net, 8, 8, false, &layers, &count), CLVGG_OK);
  assert_int_equal(layers[8].shape.in.h, 1); /* averaging one pixel into four, as PyTorch does */
  free(layers);

  assert_int_equal(network_layers(net, 8, 7, false, &layers, &count), CLVGG_ERROR_ARGUMENT);
  assert_null(layers);
  assert_non_null(strstr(clvgg_last_error(), "8x7"));
  assert_non_null(strstr(clvgg_last_error(), "at least 8x8"));
  assert_int_equal(network_layers(net, 0, 16, false, &layers, &count), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(network_layers(net, 65536, 65536, false, &layers, &count), CLVGG_ERROR_TOO_LARGE);
  assert_int_equal(network_layers(net, 20000, 20000, false, &layers, &count), CLVGG_ERROR_TOO_LARGE);
  assert_int_equal(network_layers(net, SIZE_MAX, SIZE_MAX, false, &layers, &count), CLVGG_ERROR_TOO_LARGE);
  network_close(&net);
  drop(d);
}

static void a_trained_input_too_small_for_the_pools_is_refused(void **state) {
  (void)state;
  dict *d = small(TORCHVISION, false, "");
  network *net = NULL;
  assert_int_equal(network_from_tensors(d->tensors, d->count, 4, &net), CLVGG_ERROR_MODEL);
  assert_null(net);
  assert_non_null(strstr(clvgg_last_error(), "an input of 4x4 is too small for 3 pools"));
  drop(d);
}

static void operations_are_counted(void **state) {
  (void)state;
  const layer_shape conv = {.op = LAYER_CONV, .relu = true, .in = {3, 4, 5}, .out = {2, 4, 5}};
  assert_int_equal(layer_params(&conv, false), 2 * 27 + 2);
  assert_int_equal(layer_params(&conv, true), 2 * 27 + 2 + 4);
  assert_int_equal(layer_table_flops(&conv, false), 40 * (28 + 1));
  assert_int_equal(layer_table_flops(&conv, true), 40 * (28 + 2 + 1));
  assert_int_equal(layer_flops(&conv), 40 * 54);
  const layer_shape pool = {.op = LAYER_MAXPOOL, .in = {3, 4, 5}, .out = {3, 2, 2}};
  assert_int_equal(layer_params(&pool, true), 0);
  assert_int_equal(layer_table_flops(&pool, true), 60);
  const layer_shape fc = {.op = LAYER_FC, .in = {3, 2, 2}, .out = {7, 1, 1}};
  assert_int_equal(layer_table_flops(&fc, true), 7 * 13);
  assert_int_equal(layer_flops(&fc), 7 * 24);
  char text[64];
  assert_string_equal(layer_shape_text(&conv, text, sizeof text), "conv 3x4x5 -> 2x4x5");
  assert_string_equal(layer_shape_text(&conv, text, 5), "conv");
}

/* ---- seeded weights; the constants are tests/golden/make_network.py's */

static void check_weight(const network *net, size_t index, size_t row, size_t column, float expected) {
  const layer *l = &net->layers[index];
  float *values = malloc(layer_row_length(&l->shape) * sizeof *values);
  assert_non_null(values);
  layer_read_rows(l, row, 1, values);
  if (values[column] != expected) fail_msg("%s: %a, expected %a", l->name, (double)values[column], (double)expected);
  free(values);
}

static void seeded_weights_are_numpys(void **state) {
  (void)state;
  network *net = NULL;
  assert_int_equal(network_random("vgg11", 7, &net), CLVGG_OK);
  assert_string_equal(net->name, "vgg11");
  assert_string_equal(net->keys, "torchvision");
  assert_string_equal(net->dtype, "f32");
  assert_int_equal(net->classes, 1000);
  assert_int_equal(net->layer_count, 16);
  assert_int_equal(net->params, 132863336);
  check_weight(net, 0, 0, 0, -0x1.abc35p-2f);
  check_weight(net, 0, 0, 1, 0x1.5c8814p-3f);
  check_weight(net, 0, 63, 26, -0x1.b26d7ap-2f);
  check_weight(net, 13, 4095, 25087, -0x1.73853cp-8f); /* fc6 */
  assert_true(net->layers[15].bias[999] == 0x1.8cebd2p-5f);
  network_close(&net);
}

static void seeded_batch_norm_is_numpys(void **state) {
  (void)state;
  network *net = NULL;
  assert_int_equal(network_random("vgg16_bn", (UINT64_C(1) << 63) + 5, &net), CLVGG_OK);
  assert_string_equal(net->name, "vgg16_bn");
  assert_true(net->batch_norm);
  const layer *l = &net->layers[1];
  assert_string_equal(l->name, "conv1_2");
  assert_float_equal(l->scale[63], 0x1.5f0b2cp+0, 0);
  assert_float_equal(l->bias[63], -0x1.87d7a6p-3, 0);
  check_weight(net, 1, 63, 575, 0x1.fa7d2cp-7f);
  network_close(&net);
  assert_int_equal(network_random("vgg12", 1, &net), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "vgg12"));
  assert_null(net);
  assert_int_equal(network_random(NULL, 1, &net), CLVGG_ERROR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(key_names_are_recognised),
      cmocka_unit_test(timm_head_is_recognised),
      cmocka_unit_test(a_plain_classifier_is_recognised),
      cmocka_unit_test(a_family_is_recognised_with_any_class_count),
      cmocka_unit_test(the_last_pool_follows_from_the_input_side),
      cmocka_unit_test(every_missing_tensor_is_noticed),
      cmocka_unit_test(a_missing_layer_is_noticed),
      cmocka_unit_test(extra_tensors_are_named),
      cmocka_unit_test(wrong_shapes_name_found_and_expected),
      cmocka_unit_test(absurd_sizes_are_refused),
      cmocka_unit_test(values_are_checked),
      cmocka_unit_test(other_networks_are_told_apart),
      cmocka_unit_test(batch_norm_is_folded),
      cmocka_unit_test(convolutions_without_bias_are_accepted),
      cmocka_unit_test(half_precision_weights_are_read),
      cmocka_unit_test(layers_follow_the_input_size),
      cmocka_unit_test(a_trained_input_too_small_for_the_pools_is_refused),
      cmocka_unit_test(operations_are_counted),
      cmocka_unit_test(seeded_weights_are_numpys),
      cmocka_unit_test(seeded_batch_norm_is_numpys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
