/*
 * The algorithms on blocked activations, and those for CPUs that block their weights alike, against the C reference: blocks of 4, 8
 * and 16 channels, odd shapes, part batches, every legal combination of parameters. Outputs and workspaces are poisoned with
 * NaN, inputs have NaN behind their end, surplus channels must be zeros, and nothing outside the output may change.
 *
 *     test_blocked [--small] [ALGORITHM...]       CLVGG_DEVICE says where; CLVGG_TEST_SMALL=1 is --small
 *
 * --small is for simulators and slow drivers: fewer cases, and only in the blocks that the device would use.
 * CLVGG_TEST_WITHOUT=TEXT leaves out algorithms whose name contains TEXT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/half.h"
#include "kernels/fixture.h"
#include "reference/reference.h"

static clvgg_device *device;
static bool small;
static size_t cases_run, cases_refused;

/* What a test is about: its initial state. */
typedef struct subject {
  const algo *a;
  size_t block;
} subject;

static void must(clvgg_status status) {
  if (status != CLVGG_OK) fail_msg("%s: %s", clvgg_status_name(status), clvgg_last_error());
}

static void *allocate(size_t floats) {
  void *p = calloc(floats + 1, sizeof(float));
  if (!p) fail_msg("no memory for %zu floats", floats);
  return p;
}

static void choose(const algo *a, const algo_problem *p, int *param) {
  memset(param, 0, ALGO_MAX_PARAMS * sizeof *param);
  if (a->choose) a->choose(device_info(device), p, param);
}

/* ---- buffers between guards */

static guarded guarded_make(size_t bytes) {
  guarded g;
  must(guarded_open(device, bytes, &g));
  return g;
}

static float *guarded_read(const guarded *g) {
  float *values = allocate(g->bytes / sizeof(float));
  must(device_read(device, &g->buffer, 0, values, g->bytes));
  return values;
}

static void expect_poison(const void *values, size_t first, size_t end, const char *what, const char *label) {
  const size_t harm = guarded_harm(values, first, end);
  if (harm < end) fail_msg("%s: wrote byte %zu of the %s, which ends at %zu", label, harm, what, first);
}

/* ---- one case */

/* The layer as the algorithm stores it: where that is half precision, with its rows rounded to it, so that only f32's rounding is
 * left between the two. */
static void stored_layer(const algo *a, const layer *l, test_layer *t) {
  *t = (test_layer){.l = *l};
  t->l.bias = t->l.scale = NULL;
  if (!a->f16_weights) return;
  const size_t rows = l->shape.out.c, length = layer_row_length(&l->shape);
  t->values = allocate(rows * length);
  layer_read_rows(l, 0, rows, t->values);
  for (size_t i = 0; i < rows * length; i++) t->values[i] = half_to_float(float_to_half(t->values[i]));
  t->weight = *l->weight;
  t->weight.data = t->values;
  t->l.weight = &t->weight;
}

/* n images through l, and through the pooling that its shape says follows. */
static float *reference(const algo *a, const layer *l, size_t n, const float *in) {
  const size_t out = n * shape3_elements(l->shape.out);
  float *want = allocate(out);
  if (l->shape.op == LAYER_CONVERT) {
    memcpy(want, in, out * sizeof *want);
    return want;
  }
  test_layer t;
  stored_layer(a, l, &t);
  layer plain = t.l;
  plain.bias = l->bias;
  plain.scale = a->f16_weights ? NULL : l->scale;
  if (l->shape.pool) {
    plain.shape.pool = false;
    plain.shape.out = (shape3){l->shape.out.c, l->shape.in.h, l->shape.in.w};
    float *all = allocate(n * shape3_elements(plain.shape.out));
    must(reference_layer(&plain, n, in, all));
    const layer pool = {.shape = {.op = LAYER_MAXPOOL, .in = plain.shape.out, .out = l->shape.out}};
    must(reference_layer(&pool, n, all, want));
    free(all);
  } else {
    must(reference_layer(&plain, n, in, want));
  }
  layer_free(&t);
  return want;
}

static void check_output(const algo_instance *inst, const layer *l, size_t n, const float *in, const guarded *out,
                         const char *label) {
  const algo *a = inst->algo;
  const shape3 s = l->shape.out;
  const size_t block = inst->problem.block, plain = n * shape3_elements(s), stored = algo_elements(a->out, s, n, block);
  float *want = reference(a, l, n, in), *raw = guarded_read(out), *got = allocate(plain), *zeros = allocate(stored);
  algo_from_layout(a->out, s, n, block, raw, got);
  const reference_error error = reference_compare(got, want, plain);
  const double tolerance = reference_tolerance(&l->shape) * (a->error_growth > 1 ? a->error_growth : 1);
  if (!(error.max_rel <= tolerance))
    fail_msg("%s: differs from the reference by %g of its maximum, at most %g is right", label, error.max_rel,
             tolerance);
  algo_to_layout(a->out, s, n, block, got, zeros);
  for (size_t i = 0; i < stored; i++)
    if (raw[i] != zeros[i]) fail_msg("%s: element %zu, of a surplus channel, is %g, not 0", label, i, raw[i]);
  expect_poison(raw, stored * sizeof *raw, out->bytes, "output", label);
  free(zeros);
  free(got);
  free(want);
  free(raw);
}

static void run_case(const subject *sub, const layer *l, const int *param, size_t batch, size_t n, uint64_t seed) {
  const algo *a = sub->a;
  const algo_problem problem = {.shape = l->shape, .batch = batch, .block = sub->block};
  char label[512], shape[128], params[128], why[ALGO_WHY_BYTES] = "";
  snprintf(label, sizeof label, "%s [%s] in blocks of %zu, %s%s%s%s, %zu of %zu images", a->name,
           algo_params_text(a, param, params, sizeof params), sub->block,
           layer_shape_text(&l->shape, shape, sizeof shape), l->shape.pool ? ", pooled" : "",
           l->shape.relu ? ", ReLU" : "", l->scale ? ", BN" : "", n, batch);
  if (!algo_supports(a, device_info(device), &problem, param, why)) {
    if (cases_refused++ < 3) print_message("refused: %s: %s\n", label, why);
    return;
  }
  const size_t plain = n * shape3_elements(l->shape.in);
  const size_t stored = algo_bytes(a->in, l->shape.in, n, sub->block);
  float *in = allocate(plain);
  void *raw = allocate(size_ceil_div(stored, sizeof(float)));
  input_random(a, l, n, seed, in);
  input_store(a, l, n, sub->block, in, raw);

  algo_instance inst;
  must(algo_open(a, device, &problem, param, l, &inst));
  const size_t workspace_bytes = algo_workspace_bytes(a, device_info(device), &problem, inst.param);
  guarded from = guarded_make(algo_bytes(a->in, l->shape.in, batch, sub->block));
  guarded to = guarded_make(algo_bytes(a->out, l->shape.out, batch, sub->block));
  guarded workspace = guarded_make(workspace_bytes);
  must(device_write(device, &from.buffer, 0, raw, stored));

  /* Twice, and once with one image less: an instance is used again and again. */
  const device_buffer *scratch = workspace_bytes ? &workspace.buffer : NULL;
  if (n > 1) must(algo_enqueue(&inst, n - 1, &from.buffer, &to.buffer, scratch));
  must(algo_enqueue(&inst, n, &from.buffer, &to.buffer, scratch));
  must(device_finish(device));

  check_output(&inst, l, n, in, &to, label);
  float *after = guarded_read(&from);
  if (memcmp(after, raw, stored) != 0) fail_msg("%s: changed its input", label);
  expect_poison(after, stored, from.bytes, "input", label);
  free(after);
  after = guarded_read(&workspace);
  expect_poison(after, workspace_bytes, workspace.bytes, "workspace", label);
  free(after);

  algo_close(&inst);
  device_buffer_release(device, &from.buffer);
  device_buffer_release(device, &to.buffer);
  device_buffer_release(device, &workspace.buffer);
  free(in);
  free(raw);
  cases_run++;
}

/* ---- shapes, with the parameters that are chosen for them */

static void with_shape(const subject *sub, layer_shape s, size_t number) {
  static const size_t large[][2] = {{1, 1}, {5, 5}, {5, 2}, {2, 1}}; /* problem's, enqueued */
  static const size_t little[][2] = {{1, 1}, {2, 2}, {3, 2}, {2, 1}};
  const size_t *batch = small ? little[number % 4] : large[number % 4];
  const algo_problem problem = {.shape = s, .batch = batch[0], .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  choose(sub->a, &problem, param);
  test_layer t;
  layer_make(&s, number % 3 == 0, 100 + number, &t);
  run_case(sub, &t.l, param, batch[0], batch[1], 200 + number);
  layer_free(&t);
}

static layer_shape pooled(layer_shape s) {
  s.pool = true;
  s.out.h /= 2;
  s.out.w /= 2;
  return s;
}

static void conv_shapes(const subject *sub) {
  static const size_t sides[][2] = {{1, 1}, {3, 5}, {7, 7}, {2, 2}, {13, 9}, {1, 6}, {9, 14}, {17, 15}};
  static const size_t channels[] = {1, 3, 17, 33};
  const size_t side_count = small ? 3 : COUNT(sides), channel_count = small ? 3 : COUNT(channels);
  size_t number = 0;
  for (size_t i = 0; i < side_count; i++)
    for (size_t in = 0; in < channel_count; in++)
      for (size_t out = 0; out < channel_count; out++, number++) {
        if (small && (in + out + i) % 3 != 0) continue;
        const layer_shape s = conv_shape(channels[in], channels[out], sides[i][0], sides[i][1], (number + i) % 2);
        with_shape(sub, s, number);
        if (sub->a->pools && sides[i][0] > 1 && sides[i][1] > 1) with_shape(sub, pooled(s), number + 1);
      }
}

static void fc_shapes(const subject *sub) {
  static const shape3 inputs[] = {{1, 1, 1}, {17, 1, 1}, {33, 2, 3}, {3, 7, 7}, {16, 1, 2}, {257, 1, 1}};
  static const size_t outputs[] = {1, 3, 17, 33, 64, 130};
  size_t number = 0;
  for (size_t in = 0; in < COUNT(inputs); in++)
    for (size_t out = 0; out < COUNT(outputs); out++, number++)
      if (!small || (in + out) % 3 == 0) with_shape(sub, fc_shape(inputs[in], outputs[out], number % 2), number + in);
}

static void maxpool_shapes(const subject *sub) {
  static const size_t sides[][2] = {{2, 2}, {3, 2}, {7, 7}, {17, 13}, {33, 5}, {5, 64}};
  for (size_t i = 0; i < (small ? 3 : COUNT(sides)); i++)
    for (size_t c = 1; c < 40; c += 16) with_shape(sub, maxpool_shape(c, sides[i][0], sides[i][1]), i + c);
}

static void avgpool_shapes(const subject *sub) {
  static const size_t sides[][4] = {{7, 7, 7, 7},  {8, 8, 7, 7},   {1, 1, 7, 7}, {3, 5, 7, 7},
                                    {14, 9, 7, 7}, {17, 13, 1, 1}, {5, 3, 2, 2}, {2, 33, 3, 4}};
  for (size_t i = 0; i < COUNT(sides); i++)
    with_shape(sub, avgpool_shape(1 + i * 5, sides[i][0], sides[i][1], sides[i][2], sides[i][3]), i);
}

static void convert_shapes(const subject *sub) {
  static const shape3 shapes[] = {{1, 1, 1}, {3, 5, 7}, {17, 1, 3}, {16, 9, 2}, {33, 13, 11}, {8, 2, 2}};
  for (size_t i = 0; i < COUNT(shapes); i++)
    with_shape(sub, (layer_shape){.op = LAYER_CONVERT, .in = shapes[i], .out = shapes[i]}, i);
}

static void (*const shapes_of[])(const subject *sub) = {
    [LAYER_CONV] = conv_shapes, [LAYER_MAXPOOL] = maxpool_shapes, [LAYER_AVGPOOL] = avgpool_shapes,
    [LAYER_FC] = fc_shapes,     [LAYER_CONVERT] = convert_shapes,
};

static void right_on_odd_shapes(void **state) {
  const subject *sub = *state;
  const size_t before = cases_run;
  shapes_of[sub->a->op](sub);
  if (cases_run > before) return;
  /* They are made for CPUs, and long loops do not run everywhere. */
  if (device_info(device)->type != CLVGG_DEVICE_CPU || device_info(device)->max_iterations) skip();
  fail_msg("%s: the device supports none of the shapes", sub->a->name);
}

/* ---- every legal combination of parameters (small: each value of each, the others as chosen) */

static void with_combinations(const subject *sub, const layer *l, size_t batch, size_t p, int *param) {
  const algo *a = sub->a;
  if (!a->params[p].name) {
    run_case(sub, l, param, batch, batch, 8);
    return;
  }
  const int chosen = param[p];
  for (size_t v = 0; v < COUNT(a->params[p].legal) && a->params[p].legal[v]; v++) {
    param[p] = a->params[p].legal[v];
    if (!small)
      with_combinations(sub, l, batch, p + 1, param);
    else if (param[p] != chosen)
      run_case(sub, l, param, batch, batch, 8 + v);
  }
  param[p] = chosen;
  if (small) with_combinations(sub, l, batch, p + 1, param);
}

static void right_with_every_parameter(void **state) {
  const subject *sub = *state;
  const bool conv = sub->a->op == LAYER_CONV, image = conv && sub->a->in != ALGO_NCHWC;
  layer_shape s = conv ? conv_shape(image ? 3 : 19, 37, 7, 9, true) : fc_shape((shape3){9, 3, 2}, 37, true);
  if (sub->a->pools) s = pooled(s);
  const size_t batch = conv ? 2 : 5;
  const algo_problem problem = {.shape = s, .batch = batch, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  choose(sub->a, &problem, param);
  test_layer t;
  layer_make(&s, true, 7, &t);
  with_combinations(sub, &t.l, batch, 0, param);
  layer_free(&t);
}

/* ---- half precision */

/* An instance on a layer of one set of weights, made by hand. */
static clvgg_status open_weights(const subject *sub, test_layer *t, size_t batch, algo_instance *out) {
  const algo_problem problem = {.shape = t->l.shape, .batch = batch, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  choose(sub->a, &problem, param);
  return algo_open(sub->a, device, &problem, param, &t->l, out);
}

static bool supported(const subject *sub, const layer_shape *s) {
  const algo_problem problem = {.shape = *s, .batch = 1, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  char why[ALGO_WHY_BYTES];
  choose(sub->a, &problem, param);
  return algo_supports(sub->a, device_info(device), &problem, param, why);
}

static void half_weights_have_their_range(void **state) {
  const subject *sub = *state;
  const layer_shape s = fc_shape((shape3){5, 1, 1}, 3, false);
  if (!supported(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  snprintf(t.l.name, sizeof t.l.name, "fc6");
  algo_instance inst;
  t.values[7] = 65519.0f; /* rounds to the largest, 65504 */
  must(open_weights(sub, &t, 1, &inst));
  algo_close(&inst);
  const float wrong[] = {65520.0f, -1e6f};
  for (size_t i = 0; i < COUNT(wrong); i++) {
    t.values[7] = wrong[i];
    assert_int_equal(open_weights(sub, &t, 1, &inst), CLVGG_ERROR_UNSUPPORTED);
    assert_non_null(strstr(clvgg_last_error(), "fc6"));
  }
  layer_free(&t);
}

/* Halves below 2^-14 have fewer bits, and are as exact as any other. */
static void half_weights_may_be_subnormal(void **state) {
  const subject *sub = *state;
  const layer_shape s = fc_shape((shape3){3, 1, 1}, 2, false);
  if (!supported(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  const float weights[6] = {0x1p-24f, 0x3p-24f, -0x1p-15f, 0, 0x3ffp-24f, 0x1p-14f}, bias[2] = {0, 0};
  const float in[3] = {0x1p20f, -0x1p18f, 0x1p16f};
  const float want[2] = {0x1p-4f - 0x3p-6f - 2, -0x3ffp-6f + 4};
  memcpy(t.values, weights, sizeof weights);
  memcpy(t.l.bias, bias, sizeof bias);
  algo_instance inst;
  must(open_weights(sub, &t, 1, &inst));
  guarded from = guarded_make(algo_bytes(sub->a->in, s.in, 1, sub->block)), to = guarded_make(2 * sizeof(float));
  float raw[16] = {0};
  algo_to_layout(sub->a->in, s.in, 1, sub->block, in, raw);
  must(device_write(device, &from.buffer, 0, raw, algo_elements(sub->a->in, s.in, 1, sub->block) * sizeof *raw));
  must(algo_enqueue(&inst, 1, &from.buffer, &to.buffer, NULL));
  float *got = guarded_read(&to);
  for (size_t i = 0; i < 2; i++) assert_true(got[i] == want[i]);
  free(got);
  algo_close(&inst);
  device_buffer_release(device, &from.buffer);
  device_buffer_release(device, &to.buffer);
  layer_free(&t);
}

/* ---- what enqueue must refuse */
static void bad_arguments_are_refused(void **state) {
  const subject *sub = *state;
  const algo *a = sub->a;
  const layer_shape s = a->op == LAYER_CONV      ? conv_shape(3, 3, 4, 4, true)
                        : a->op == LAYER_FC      ? fc_shape((shape3){6, 1, 1}, 3, true)
                        : a->op == LAYER_MAXPOOL ? maxpool_shape(2, 4, 4)
                        : a->op == LAYER_AVGPOOL
                            ? avgpool_shape(2, 4, 4, 3, 3)
                            : (layer_shape){.op = LAYER_CONVERT, .in = {3, 4, 4}, .out = {3, 4, 4}};
  if (!supported(sub, &s)) skip();
  test_layer t;
  layer_make(&s, false, 1, &t);
  algo_instance inst;
  must(open_weights(sub, &t, 2, &inst));
  const size_t workspace = algo_workspace_bytes(a, device_info(device), &inst.problem, inst.param);
  const size_t in = algo_bytes(a->in, s.in, 2, sub->block), out = algo_bytes(a->out, s.out, 2, sub->block);
  device_buffer large, no_in, no_out;
  must(device_buffer_create(device, 65536 + workspace, &large));
  must(device_buffer_create(device, in - 1, &no_in));
  must(device_buffer_create(device, out - 1, &no_out));
  assert_int_equal(algo_enqueue(&inst, 0, &large, &large, &large), CLVGG_OK);
  assert_int_equal(algo_enqueue(&inst, 3, &large, &large, &large), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(algo_enqueue(&inst, 2, &no_in, &large, &large), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(algo_enqueue(&inst, 2, &large, &no_out, &large), CLVGG_ERROR_ARGUMENT);
  if (workspace > 0) assert_int_equal(algo_enqueue(&inst, 2, &large, &large, NULL), CLVGG_ERROR_ARGUMENT);
  algo_close(&inst);
  algo_close(&inst);
  device_buffer_release(device, &large);
  device_buffer_release(device, &no_in);
  device_buffer_release(device, &no_out);
  layer_free(&t);
}

static void nothing_leaks(void **state) {
  (void)state;
  assert_int_equal(device_bytes_in_use(device), 0);
}

/* ---- main */

#define MAX_TESTS 256
static struct CMUnitTest tests[MAX_TESTS];
static char names[MAX_TESTS][96];
static subject subjects[MAX_TESTS];
static size_t test_count;

static void add(const char *what, subject sub, CMUnitTestFunction function) {
  if (test_count == MAX_TESTS) return;
  subjects[test_count] = sub;
  snprintf(names[test_count], sizeof names[0], "%s %s, blocks of %zu", sub.a ? sub.a->name : "all", what, sub.block);
  tests[test_count] =
      (struct CMUnitTest){.name = names[test_count], .test_func = function, .initial_state = &subjects[test_count]};
  test_count++;
}

static void add_algorithm(subject sub) {
  add("right on odd shapes", sub, right_on_odd_shapes);
  if (sub.a->params) add("right with every parameter", sub, right_with_every_parameter);
  if (sub.a->f16_weights) add("has half's range", sub, half_weights_have_their_range);
  if (sub.a->f16_weights) add("takes subnormal halves", sub, half_weights_may_be_subnormal);
  add("refuses bad arguments", sub, bad_arguments_are_refused);
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
  for (size_t block = 4; block <= 16; block *= 2) {
    if (small && block != algo_block(device_info(device))) continue;
    for (size_t i = 0; i < algo_count(); i++) {
      const algo *a = algo_get(i);
      bool wanted = argc < 2;
      for (int k = 1; k < argc; k++) wanted = wanted || strcmp(argv[k], a->name) == 0;
      if (without && *without && strstr(a->name, without)) wanted = false;
      if (wanted && algo_uses_blocks(a)) add_algorithm((subject){a, block});
    }
  }
  add("leaves no buffer behind", (subject){NULL, 0}, nothing_leaks);
  const int failed = _cmocka_run_group_tests("blocked", tests, test_count, NULL, NULL);
  printf("%zu cases right, %zu refused, on %s (%s)%s\n", cases_run, cases_refused, device_info(device)->name,
         device_info(device)->platform, small ? ", small" : "");
  clvgg_device_close(&device);
  return failed != 0;
}
