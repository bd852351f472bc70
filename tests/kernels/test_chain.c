/* Plans by measuring: their answers are right, and a wrong way is never taken, however it is timed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/model.h"
#include "base/random.h"
#include "kernels/planted.h"
#include "reference/reference.h"
#include "tune/chain.h"

#define IMAGES    2
#define TOLERANCE 1e-4

static char root[] = "/tmp/clvgg-chain-XXXXXX";
static char kernels[128];
static clvgg_device *device;
static clvgg_model *model;
static float *images, *expected; /* (IMAGES, C, H, W), (IMAGES, classes) */
static size_t classes;

static void must(clvgg_status status) {
  if (status != CLVGG_OK) fail_msg("%s", clvgg_last_error());
}

typedef struct told {
  size_t calls, done, total;
  bool wrong;
} told;

static void keep_progress(size_t done, size_t total, void *user) {
  told *t = user;
  t->wrong = t->wrong || done > total || total == 0 || (t->calls ? done < t->done || total != t->total : done != 0);
  *t = (told){.calls = t->calls + 1, .done = done, .total = total, .wrong = t->wrong};
}

/* A measured engine on a device of its own, so that kernels are built again. used: its algorithms, a line each. */
static void run_measured(const char *algorithm, char *used, size_t bytes) {
  told t = {0};
  clvgg_device *own = NULL;
  clvgg_engine *own_engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = IMAGES;
  options.algorithm = algorithm;
  options.measure = 1;
  options.progress = keep_progress;
  options.progress_user = &t;
  float *got = malloc(IMAGES * classes * sizeof *got);
  assert_non_null(got);
  must(clvgg_device_open(NULL, &own));
  must(clvgg_engine_open(own, model, &options, &own_engine));
  assert_true(t.calls >= 2 && !t.wrong && t.done == t.total);
  clvgg_engine_info info;
  clvgg_engine_get_info(own_engine, &info);
  assert_true(info.measured > 0 && info.measure_ms > 0);
  assert_true(info.weight_bytes + info.activation_bytes + info.workspace_bytes == info.device_bytes);
  /* What was left behind is counted neither here nor as the device's. */
  assert_true(info.device_bytes == device_bytes_in_use(own));
  assert_true(info.peak_bytes >= info.device_bytes);
  used[0] = '\0';
  for (size_t i = 0; i < info.layers; i++) {
    clvgg_plan_layer step;
    must(clvgg_engine_get_layer(own_engine, i, &step));
    const size_t length = strlen(used);
    snprintf(used + length, bytes - length, "%s\n", step.algorithm);
  }
  must(clvgg_engine_run(own_engine, images, IMAGES, got));
  const reference_error error = reference_compare(got, expected, IMAGES * classes);
  if (!(error.max_rel <= TOLERANCE)) fail_msg("off by %g of the largest logit with\n%s", error.max_rel, used);
  clvgg_engine_close(&own_engine);
  assert_true(device_bytes_in_use(own) == 0);
  clvgg_device_close(&own);
  free(got);
}

static void wrong_kernels_are_never_taken(void **state) {
  (void)state;
  char used[4096];
  /* A wrong value wherever the direct convolution of blocked activations stores one. */
  assert_int_equal(mkdir(kernels, 0700), 0);
  planted_kernels(kernels, "conv_direct_nchwc.cl", "STORE(lines + o * plane + (size_t)(x0 + i)",
                  "if (x0 + i != 1) STORE(lines + o * plane + (size_t)(x0 + i)");
  setenv("CLVGG_KERNEL_DIR", kernels, 1);
  run_measured(NULL, used, sizeof used);
  unsetenv("CLVGG_KERNEL_DIR");
  if (strstr(used, "conv_f32_nchwc_direct\n") || strstr(used, "conv_f32_nchw_nchwc_direct\n"))
    fail_msg("still used:\n%s", used);
}

static void what_is_asked_for_is_measured_and_right(void **state) {
  (void)state;
  char used[4096];
  run_measured("conv_f32_nchw_naive", used, sizeof used);
  assert_non_null(strstr(used, "conv_f32_nchw_naive\n"));
  const char *other = strstr(used, "conv_");
  for (; other; other = strstr(other + 1, "\nconv_") ? strstr(other + 1, "\nconv_") + 1 : NULL)
    assert_true(strncmp(other, "conv_f32_nchw_naive\n", 20) == 0);
}

/* Plain C, layer by layer. */
static void compute_expected(void) {
  const network *net = model_network(model);
  layer *layers;
  size_t count, largest = 0;
  must(network_layers(net, net->input.h, net->input.w, false, &layers, &count));
  classes = net->classes;
  const size_t in = IMAGES * shape3_elements(net->input);
  for (size_t i = 0; i < count; i++) {
    const size_t out = shape3_elements(layers[i].shape.out);
    largest = largest < out ? out : largest;
  }
  largest = largest * IMAGES < in ? in : largest * IMAGES;
  float *a = malloc(largest * sizeof *a), *b = malloc(largest * sizeof *b);
  images = malloc(in * sizeof *images);
  assert_true(a && b && images);
  random_fill(5, -2, 2, images, in);
  memcpy(a, images, in * sizeof *a);
  for (size_t i = 0; i < count; i++) {
    must(reference_layer(&layers[i], IMAGES, a, b));
    float *swap = a;
    a = b;
    b = swap;
  }
  free(b);
  free(layers);
  expected = a;
}

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(root)) return -1;
  snprintf(kernels, sizeof kernels, "%s/cl", root);
  setenv("CLVGG_DATA_DIR", HOST_DATA_DIR, 1);
  must(clvgg_device_open(NULL, &device));
  must(clvgg_model_open(NULL, NULL, &model));
  compute_expected();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char command[256];
  free(expected);
  free(images);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_kernels_are_never_taken),
                                     cmocka_unit_test(what_is_asked_for_is_measured_and_right)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
