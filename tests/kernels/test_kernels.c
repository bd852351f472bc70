/*
 * Every algorithm against the C reference: odd shapes, part batches, every legal parameter value. Outputs and workspaces are
 * poisoned with NaN, inputs have NaN behind their end, and nothing outside the output may change.
 *
 *     test_kernels [--small] [ALGORITHM...]       CLVGG_DEVICE says where; CLVGG_TEST_SMALL=1 is --small
 *
 * --small is for simulators and slow drivers. CLVGG_TEST_WITHOUT=TEXT leaves out algorithms whose name contains TEXT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/fixture.h"
#include "reference/reference.h"

static clvgg_device *device;
static bool small;
static size_t cases_run, cases_refused;

/* ---- one case */

static void must(clvgg_status status) {
  if (status != CLVGG_OK) fail_msg("%s: %s", clvgg_status_name(status), clvgg_last_error());
}

static guarded guarded_make(size_t bytes) {
  guarded g;
  must(guarded_open(device, bytes, &g));
  return g;
}

static float *guarded_read(const guarded *g) {
  float *values = malloc(g->bytes);
  must(device_read(device, &g->buffer, 0, values, g->bytes));
  return values;
}

static void expect_poison(const void *values, size_t first, size_t end, const char *what, const char *label) {
  const size_t harm = guarded_harm(values, first, end);
  if (harm < end) fail_msg("%s: wrote byte %zu of the %s, which ends at %zu", label, harm, what, first);
}

static void check_output(const algo *a, const layer *l, size_t n, const float *in, const guarded *out,
                         const char *label) {
  const size_t count = n * shape3_elements(l->shape.out);
  float *want = malloc(count * sizeof *want), *got = guarded_read(out);
  if (l->shape.op == LAYER_CONVERT)
    memcpy(want, in, count * sizeof *want);
  else
    must(reference_layer(l, n, in, want));
  const reference_error error = reference_compare(got, want, count);
  const double tolerance = reference_tolerance(&l->shape) + a->weight_error;
  if (!(error.max_rel <= tolerance))
    fail_msg("%s: differs from the reference by %g of its maximum, at most %g is right", label, error.max_rel,
             tolerance);
  expect_poison(got, count * sizeof *got, out->bytes, "output", label);
  free(want);
  free(got);
}

static void run_case(const algo *a, const layer *l, const int *param, size_t batch, size_t n, uint64_t seed) {
  const algo_problem problem = {.shape = l->shape, .batch = batch};
  char label[512], shape[128], params[128], why[ALGO_WHY_BYTES] = "";
  snprintf(label, sizeof label, "%s [%s], %s%s%s, %zu of %zu images", a->name,
           algo_params_text(a, param, params, sizeof params), layer_shape_text(&l->shape, shape, sizeof shape),
           l->shape.relu ? ", ReLU" : "", l->scale ? ", BN" : "", n, batch);
  if (!algo_supports(a, device_info(device), &problem, param, why)) {
    if (cases_refused++ < 3) print_message("refused: %s: %s\n", label, why);
    return;
  }
  const size_t in_count = n * shape3_elements(l->shape.in), in_bytes = algo_bytes(a->in, l->shape.in, n, 0);
  float *in = malloc(in_count * sizeof *in);
  void *raw = malloc(in_bytes);
  input_random(a, l, n, seed, in);
  input_store(a, l, n, 0, in, raw);

  algo_instance inst;
  must(algo_open(a, device, &problem, param, l, &inst));
  const size_t workspace_bytes = algo_workspace_bytes(a, device_info(device), &problem, inst.param);
  guarded from = guarded_make(algo_bytes(a->in, l->shape.in, batch, 0));
  guarded to = guarded_make(algo_bytes(a->out, l->shape.out, batch, 0));
  guarded workspace = guarded_make(workspace_bytes);
  must(device_write(device, &from.buffer, 0, raw, in_bytes));

  /* Twice, and once with one image less: an instance is used again and again. */
  if (n > 1) must(algo_enqueue(&inst, n - 1, &from.buffer, &to.buffer, workspace_bytes ? &workspace.buffer : NULL));
  must(algo_enqueue(&inst, n, &from.buffer, &to.buffer, workspace_bytes ? &workspace.buffer : NULL));
  must(device_finish(device));

  check_output(a, l, n, in, &to, label);
  float *after = guarded_read(&from);
  if (memcmp(after, raw, in_bytes) != 0) fail_msg("%s: changed its input", label);
  expect_poison(after, in_bytes, from.bytes, "input", label);
  free(after);
  after = guarded_read(&workspace);
  expect_poison(after, workspace_bytes, workspace.bytes, "workspace", label);
  free(after);

  algo_close(&inst);
  device_buffer_release(device, &from.buffer);
  device_buffer_release(device, &to.buffer);
  device_buffer_release(device, &workspace.buffer);
  free(raw);
  free(in);
  cases_run++;
}

/* ---- shapes */

static void with_shape(const algo *a, layer_shape s, size_t number) {
  static const size_t large[][2] = {{1, 1}, {5, 5}, {5, 2}, {2, 1}}; /* problem's, enqueued */
  static const size_t little[][2] = {{1, 1}, {2, 2}, {3, 2}, {2, 1}};
  const size_t *batch = small ? little[number % 4] : large[number % 4];
  const algo_problem problem = {.shape = s, .batch = batch[0]};
  int param[ALGO_MAX_PARAMS] = {0};
  if (a->choose) a->choose(device_info(device), &problem, param);
  test_layer t;
  layer_make(&s, number % 3 == 0, 100 + number, &t);
  run_case(a, &t.l, param, batch[0], batch[1], 200 + number);
  layer_free(&t);
}

static void conv_shapes(const algo *a) {
  static const size_t sides[][2] = {{1, 1}, {2, 3}, {7, 7}, {11, 5}, {17, 13}, {1, 5}, {14, 14}, {33, 5}};
  static const size_t channels[] = {1, 3, 17, 33, 64};
  const size_t side_count = small ? 4 : COUNT(sides), channel_count = small ? 3 : COUNT(channels);
  size_t number = 0;
  for (size_t i = 0; i < side_count; i++)
    for (size_t in = 0; in < channel_count; in++)
      for (size_t out = 0; out < channel_count; out++, number++) {
        if (small && (in + out + i) % 3 != 0) continue;
        with_shape(a, conv_shape(channels[in], channels[out], sides[i][0], sides[i][1], (number + i) % 2), number);
      }
}

static void fc_shapes(const algo *a) {
  static const size_t sizes[] = {1, 3, 17, 33, 64, 257, 1000};
  const size_t count = small ? 6 : COUNT(sizes);
  size_t number = 0;
  for (size_t in = 0; in < count; in++)
    for (size_t out = 0; out < count; out++, number++) {
      if (small && (in + out) % 3 != 0) continue;
      with_shape(a, fc_shape((shape3){sizes[in], 1, 1}, sizes[out], number % 2), number);
    }
  with_shape(a, fc_shape((shape3){5, 7, 3}, 33, false), 1); /* flattened pixels */
}

static void maxpool_shapes(const algo *a) {
  static const size_t sides[][2] = {{2, 2}, {3, 2}, {7, 7}, {14, 14}, {17, 13}, {33, 5}, {5, 64}};
  for (size_t i = 0; i < (small ? 3 : COUNT(sides)); i++)
    for (size_t c = 1; c < 40; c += 16) with_shape(a, maxpool_shape(c, sides[i][0], sides[i][1]), i + c);
}

static void avgpool_shapes(const algo *a) {
  static const size_t sides[][4] = {{7, 7, 7, 7},  {8, 8, 7, 7},   {1, 1, 7, 7}, {3, 5, 7, 7},
                                    {14, 9, 7, 7}, {17, 13, 1, 1}, {5, 3, 2, 2}, {2, 33, 3, 4}};
  for (size_t i = 0; i < COUNT(sides); i++)
    with_shape(a, avgpool_shape(1 + i * 5, sides[i][0], sides[i][1], sides[i][2], sides[i][3]), i);
}

static void softmax_shapes(const algo *a) {
  static const size_t classes[] = {1, 2, 10, 63, 257, 1000};
  for (size_t i = 0; i < COUNT(classes); i++) with_shape(a, softmax_shape(classes[i]), i);
}

/* Of pixels, which have three channels. */
static void convert_shapes(const algo *a) {
  static const size_t sides[][2] = {{1, 1}, {1, 3}, {5, 7}, {33, 5}, {17, 13}, {9, 64}};
  for (size_t i = 0; i < COUNT(sides); i++) {
    const shape3 s = {3, sides[i][0], sides[i][1]};
    with_shape(a, (layer_shape){.op = LAYER_CONVERT, .in = s, .out = s}, i);
  }
}

static void (*const shapes[])(const algo *a) = {
    [LAYER_CONV] = conv_shapes, [LAYER_MAXPOOL] = maxpool_shapes, [LAYER_AVGPOOL] = avgpool_shapes,
    [LAYER_FC] = fc_shapes,     [LAYER_SOFTMAX] = softmax_shapes, [LAYER_CONVERT] = convert_shapes,
};

static void right_on_odd_shapes(void **state) {
  const algo *a = *state;
  const size_t before = cases_run;
  shapes[a->op](a);
  if (cases_run == before) fail_msg("%s: the device supports none of the shapes", a->name);
}

/* ---- parameters: each value of each, the others as chosen */

static void with_parameters(const algo *a, layer_shape s, size_t batch) {
  const algo_problem problem = {.shape = s, .batch = batch};
  test_layer t;
  layer_make(&s, true, 7, &t);
  for (size_t p = 0; a->params[p].name; p++)
    for (size_t v = 0; v < COUNT(a->params[p].legal) && a->params[p].legal[v]; v++) {
      int param[ALGO_MAX_PARAMS] = {0};
      a->choose(device_info(device), &problem, param);
      if (param[p] == a->params[p].legal[v]) continue; /* that is what the shapes ran with */
      param[p] = a->params[p].legal[v];
      run_case(a, &t.l, param, batch, batch, 8 + v);
    }
  layer_free(&t);
}

static void right_with_every_parameter(void **state) {
  const algo *a = *state;
  switch (a->op) {
    case LAYER_CONV:
      with_parameters(a, small ? conv_shape(3, 19, 7, 9, true) : conv_shape(5, 19, 17, 13, true), small ? 1 : 2);
      if (!small) with_parameters(a, conv_shape(3, 9, 7, 7, false), 1);
      break;
    case LAYER_FC:
      with_parameters(a, fc_shape((shape3){257, 1, 1}, small ? 9 : 19, true), small ? 2 : 5);
      if (!small) with_parameters(a, fc_shape((shape3){33, 1, 1}, 10, false), 1);
      break;
    default:
      with_parameters(a, softmax_shape(100), 3);
  }
}

/* ---- softmax where exp of the plain score overflows or vanishes */
static void softmax_is_stable(void **state) {
  const algo *a = *state;
  const float scores[2][5] = {{1000, 999, -1000, 1000, 0}, {-2000, -2001, -2000, -3000, -2000}};
  const algo_problem problem = {.shape = softmax_shape(5), .batch = 2};
  int param[ALGO_MAX_PARAMS] = {0};
  a->choose(device_info(device), &problem, param);
  const layer l = {.name = "softmax", .shape = problem.shape};
  algo_instance inst;
  must(algo_open(a, device, &problem, param, &l, &inst));
  device_buffer in, out;
  must(device_buffer_create(device, sizeof scores, &in));
  must(device_buffer_create(device, sizeof scores, &out));
  must(device_write(device, &in, 0, scores, sizeof scores));
  must(algo_enqueue(&inst, 2, &in, &out, NULL));
  float got[2][5];
  must(device_read(device, &out, 0, got, sizeof got));
  /* 1 / (2 + e^-1), e^-1 / (2 + e^-1), 0; and 1 / (3 + e^-1), e^-1 / (3 + e^-1) */
  const float want[2][5] = {{0.42231880f, 0.15536240f, 0, 0.42231880f, 0},
                            {0.29692274f, 0.10923177f, 0.29692274f, 0, 0.29692274f}};
  for (size_t i = 0; i < 10; i++) assert_float_equal(got[i / 5][i % 5], want[i / 5][i % 5], 1e-6f);
  algo_close(&inst);
  device_buffer_release(device, &in);
  device_buffer_release(device, &out);
}

/* ---- what enqueue must refuse */
static void bad_arguments_are_refused(void **state) {
  const algo *a = *state;
  const layer_shape s = a->op == LAYER_CONV      ? conv_shape(2, 3, 4, 4, true)
                        : a->op == LAYER_FC      ? fc_shape((shape3){6, 1, 1}, 3, true)
                        : a->op == LAYER_MAXPOOL ? maxpool_shape(2, 4, 4)
                        : a->op == LAYER_AVGPOOL ? avgpool_shape(2, 4, 4, 3, 3)
                        : a->op == LAYER_SOFTMAX
                            ? softmax_shape(5)
                            : (layer_shape){.op = LAYER_CONVERT, .in = {3, 4, 4}, .out = {3, 4, 4}};
  const algo_problem problem = {.shape = s, .batch = 2};
  int param[ALGO_MAX_PARAMS] = {0};
  if (a->choose) a->choose(device_info(device), &problem, param);
  test_layer t;
  layer_make(&s, false, 1, &t);
  algo_instance inst;
  must(algo_open(a, device, &problem, param, &t.l, &inst));
  device_buffer large, little;
  must(device_buffer_create(device, 65536, &large));
  must(device_buffer_create(device, 4, &little));
  assert_int_equal(algo_enqueue(&inst, 0, &large, &large, &large), CLVGG_OK);
  assert_int_equal(algo_enqueue(&inst, 3, &large, &large, &large), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(algo_enqueue(&inst, 2, &little, &large, &large), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(algo_enqueue(&inst, 2, &large, &little, &large), CLVGG_ERROR_ARGUMENT);
  if (algo_workspace_bytes(a, device_info(device), &problem, param) > 0)
    assert_int_equal(algo_enqueue(&inst, 2, &large, &large, NULL), CLVGG_ERROR_ARGUMENT);
  algo_close(&inst);
  algo_close(&inst);
  device_buffer_release(device, &large);
  device_buffer_release(device, &little);
  layer_free(&t);
}

static void nothing_leaks(void **state) {
  (void)state;
  assert_int_equal(device_bytes_in_use(device), 0);
}

/* ---- main */

#define MAX_TESTS 128
static struct CMUnitTest tests[MAX_TESTS];
static char names[MAX_TESTS][96];
static size_t test_count;

static void add(const char *what, const algo *a, CMUnitTestFunction function) {
  snprintf(names[test_count], sizeof names[0], "%s %s", a ? a->name : "all", what);
  tests[test_count] =
      (struct CMUnitTest){.name = names[test_count], .test_func = function, .initial_state = (void *)(uintptr_t)a};
  test_count++;
}

static void add_algorithm(const algo *a) {
  add("right on odd shapes", a, right_on_odd_shapes);
  if (a->params) add("right with every parameter", a, right_with_every_parameter);
  if (a->op == LAYER_SOFTMAX) add("is stable", a, softmax_is_stable);
  add("refuses bad arguments", a, bad_arguments_are_refused);
}

int main(int argc, char **argv) {
  const char *environment = getenv("CLVGG_TEST_SMALL"), *without = getenv("CLVGG_TEST_WITHOUT");
  small = environment && strcmp(environment, "1") == 0;
  if (argc > 1 && strcmp(argv[1], "--small") == 0) {
    small = true;
    argc--, argv++;
  }
  cache_make();
  if (clvgg_device_open(NULL, &device) != CLVGG_OK) {
    fprintf(stderr, "no device: %s\n", clvgg_last_error());
    return 77; /* ctest: skipped, where that is allowed */
  }
  for (size_t i = 0; i < algo_count(); i++) {
    const algo *a = algo_get(i);
    bool wanted = argc < 2;
    for (int k = 1; k < argc; k++) wanted = wanted || strcmp(argv[k], a->name) == 0;
    if (without && *without && strstr(a->name, without)) wanted = false;
    if (strstr(a->name, "clblast") && !device_has_clblast()) wanted = false;
    if (wanted && !algo_uses_blocks(a)) add_algorithm(a); /* the others: test_blocked */
  }
  add("leaves no buffer behind", NULL, nothing_leaks);
  const int failed = _cmocka_run_group_tests("kernels", tests, test_count, NULL, NULL);
  printf("%zu cases right, %zu refused, on %s (%s)%s\n", cases_run, cases_refused, device_info(device)->name,
         device_info(device)->platform, small ? ", small" : "");
  clvgg_device_close(&device);
  return failed != 0;
}
