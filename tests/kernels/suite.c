/* What test_kernels and test_blocked share: an algorithm's runs beside the C reference, and the program around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "kernels/suite.h"

#include "base/half.h"
#include "kernels/guarded.h"
#include "kernels/winograd_bf16.h"
#include "reference/reference.h"

#define MOST_VALUES COUNT(((algo_param *)NULL)->legal)

struct suite suite;

void suite_choose(const subject *sub, const algo_problem *p, int *param) {
  memset(param, 0, ALGO_MAX_PARAMS * sizeof *param);
  if (sub->a->choose) sub->a->choose(device_info(suite.device), p, param);
}

bool suite_supports(const subject *sub, const layer_shape *s) {
  const algo_problem problem = {.shape = *s, .batch = 1, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  char why[ALGO_WHY_BYTES];
  suite_choose(sub, &problem, param);
  return algo_supports(sub->a, device_info(suite.device), &problem, param, why);
}

bool suite_device_lacks(const algo *a) {
  const clvgg_device_info *dev = device_info(suite.device);
  return (strcmp(a->name, "conv_f16_nchw_implicit_gemm") == 0 && !dev->fp16) ||
         (strstr(a->name, "_subgroup") && !dev->subgroups);
}

/* ---- one case */

/* What is left of a row of weights as 24-bit integers: multiples of 1 / (2^23 - 1) of its largest. */
static void round_to_24_bits(float *row, size_t length) {
  double largest = 0;
  for (size_t i = 0; i < length; i++) largest = fmax(largest, fabs((double)row[i]));
  const double scale = (float)(largest / 8388607);
  for (size_t i = 0; largest > 0 && i < length; i++) row[i] = (float)(nearbyint((double)row[i] / scale) * scale);
}

static void round_to_half(float *values, size_t n) {
  for (size_t i = 0; i < n; i++) values[i] = half_to_float(float_to_half(values[i]));
}

static void round_to_bfloat16(float *values, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const uint16_t rounded = float_to_bfloat16(values[i]);
    bfloat16_to_float_array(&rounded, &values[i], 1);
  }
}

/* Rows of l rounded as they are stored, its scale in them. */
static float *stored_rows(algo_form form, const layer *l) {
  const size_t rows = l->shape.out.c, length = layer_row_length(&l->shape);
  float *values = allocate(rows * length);
  layer_read_rows(l, 0, rows, values);
  for (size_t r = 0; form == ALGO_F24 && r < rows; r++) round_to_24_bits(values + r * length, length);
  if (form == ALGO_F16 || form == ALGO_F16_MATH) round_to_half(values, rows * length);
  if (form == ALGO_BF16_MATH) round_to_bfloat16(values, rows * length); /* products of which are exact */
  return values;
}

static void through_layer(const algo *a, const int *param, const layer *l, size_t n, const float *in, float *out) {
  if (winograd_bf16_is(a))
    winograd_bf16_reference(l, param[0], n, in, out);
  else
    must(reference_layer(l, n, in, out));
}

/* n images through l, and through the pooling that its shape says follows. Weights are as the algorithm stores them, and inputs as it
 * rounds them, so that only the rounding of sums and products is left between the two. */
static float *reference(const algo *a, const int *param, const layer *l, size_t n, const float *input) {
  const size_t out = n * shape3_elements(l->shape.out), count = n * shape3_elements(l->shape.in);
  float *want = allocate(out), *in = allocate(count), *stored = NULL;
  memcpy(in, input, count * sizeof *in);
  if (a->form == ALGO_F16_MATH) round_to_half(in, count);
  const bool rounds_plain = a->form == ALGO_BF16_MATH && !winograd_bf16_is(a); /* not after a transform */
  if (rounds_plain) round_to_bfloat16(in, count);
  if (l->shape.op == LAYER_CONVERT) {
    memcpy(want, in, out * sizeof *want);
    free(in);
    return want;
  }
  layer plain = *l;
  tensor weight;
  if (a->form != ALGO_F32 && !winograd_bf16_is(a)) {
    stored = stored_rows(a->form, l);
    weight = *l->weight;
    weight.data = stored;
    plain.weight = &weight;
    plain.scale = NULL;
  }
  if (l->shape.pool) {
    plain.shape.pool = false;
    plain.shape.out = (shape3){l->shape.out.c, l->shape.in.h, l->shape.in.w};
    float *all = allocate(n * shape3_elements(plain.shape.out));
    through_layer(a, param, &plain, n, in, all);
    const layer pool = {.shape = {.op = LAYER_MAXPOOL, .in = plain.shape.out, .out = l->shape.out}};
    must(reference_layer(&pool, n, all, want));
    free(all);
  } else {
    through_layer(a, param, &plain, n, in, want);
  }
  free(stored);
  free(in);
  return want;
}

/* What a sum is about, at least, of products of weights and inputs between -1 and 1, whose mean square is 1/9. A lone result may be
 * far below it, and errors of products are not. */
static double usual_sum(const layer_shape *s) {
  return sqrt((double)s->in.c) / 3;
}

static void compare(const guarded_run *r, const layer *l, const float *in, const char *label) {
  const algo *a = r->inst.algo;
  float *want = reference(a, r->inst.param, l, r->images, in), *got = guarded_output(r);
  const reference_error error = reference_compare(got, want, r->images * shape3_elements(l->shape.out));
  double tolerance = reference_tolerance(&l->shape) * (a->error_growth > 1 ? a->error_growth : 1);
  /* The reference's weights are rounded as the stored ones are, but not its products. */
  if (a->form == ALGO_F32) tolerance += a->weight_error;
  if (a->form == ALGO_F16_MATH)
    tolerance += a->weight_error * fmax(1, usual_sum(&l->shape) * error.max_rel / error.max_abs);
  /* A transformed value that is nearly in the middle between two of bf16 may become the other one: a step of 2^-8 of one of many. */
  if (winograd_bf16_is(a)) tolerance += 0x1p-8;
  if (!(error.max_rel <= tolerance))
    fail_msg("%s: differs from the reference by %g of its maximum, at most %g is right", label, error.max_rel,
             tolerance);
  free(got);
  free(want);
}

void suite_case(const subject *sub, const layer *l, const int *param, size_t batch, size_t n, uint64_t seed) {
  const algo *a = sub->a;
  const algo_problem problem = {.shape = l->shape, .batch = batch, .block = sub->block};
  char label[512], shape[128], params[128], blocks[40] = "", why[ALGO_WHY_BYTES] = "";
  if (sub->block) snprintf(blocks, sizeof blocks, " in blocks of %zu", sub->block);
  snprintf(label, sizeof label, "%s [%s]%s, %s%s%s%s, %zu of %zu images", a->name,
           algo_params_text(a, param, params, sizeof params), blocks, layer_shape_text(&l->shape, shape, sizeof shape),
           l->shape.pool ? ", pooled" : "", l->shape.relu ? ", ReLU" : "", l->scale ? ", BN" : "", n, batch);
  if (!algo_supports(a, device_info(suite.device), &problem, param, why)) {
    if (suite.cases_refused++ < 3) print_message("refused: %s: %s\n", label, why);
    return;
  }
  const size_t count = n * shape3_elements(l->shape.in);
  float *in = allocate(count);
  if (a->in == ALGO_RGB8)
    pixels_random(l->pixels, seed, n, l->shape.in.h * l->shape.in.w, in);
  else
    random_fill(seed, -1, 1, in, count);
  guarded_run r;
  guarded_open(suite.device, a, &problem, param, l, &r);
  guarded_execute(&r, n, in);
  compare(&r, l, in, label);
  guarded_check(&r, label);
  guarded_close(&r);
  free(in);
  suite.cases_right++;
}

/* ---- shapes, with the parameters that are chosen for them */

void suite_shape(const subject *sub, layer_shape s, size_t number) {
  static const size_t large[][2] = {{1, 1}, {5, 5}, {5, 2}, {2, 1}}; /* problem's, enqueued */
  static const size_t little[][2] = {{1, 1}, {2, 2}, {3, 2}, {2, 1}};
  const size_t *batch = suite.small ? little[number % 4] : large[number % 4];
  const algo_problem problem = {.shape = s, .batch = batch[0], .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  suite_choose(sub, &problem, param);
  test_layer t;
  layer_make(&s, number % 3 == 0, 100 + number, &t);
  suite_case(sub, &t.l, param, batch[0], batch[1], 200 + number);
  layer_free(&t);
}

void suite_maxpool_shapes(const subject *sub) {
  static const size_t sides[][2] = {{2, 2}, {3, 2}, {7, 7}, {14, 14}, {17, 13}, {33, 5}, {5, 64}};
  for (size_t i = 0; i < (suite.small ? 3 : COUNT(sides)); i++)
    for (size_t c = 1; c < 40; c += 16) suite_shape(sub, maxpool_shape(c, sides[i][0], sides[i][1]), i + c);
}

void suite_avgpool_shapes(const subject *sub) {
  static const size_t sides[][4] = {{7, 7, 7, 7},  {8, 8, 7, 7},   {1, 1, 7, 7}, {3, 5, 7, 7},
                                    {14, 9, 7, 7}, {17, 13, 1, 1}, {5, 3, 2, 2}, {2, 33, 3, 4}};
  for (size_t i = 0; i < COUNT(sides); i++)
    suite_shape(sub, avgpool_shape(1 + i * 5, sides[i][0], sides[i][1], sides[i][2], sides[i][3]), i);
}

/* ---- parameters: a covering array, made greedily, of the combinations that the device supports. Each next one is that with the most
 * values (or pairs of values) that have not been run, in turns the first and the last such in order: so the least of all come
 * together, and the largest. */

typedef struct coverage {
  const subject *sub;
  algo_problem problem;
  suite_extent extent;
  size_t count, places[ALGO_MAX_PARAMS]; /* parameters, and how many values of each are to be run */
  bool done[ALGO_MAX_PARAMS][MOST_VALUES][ALGO_MAX_PARAMS][MOST_VALUES]; /* single values are on the diagonal */
} coverage;

static void coverage_open(const subject *sub, const algo_problem *problem, suite_extent extent, coverage *c) {
  *c = (coverage){.sub = sub, .problem = *problem, .extent = extent};
  for (const algo_param *p = sub->a->params; p[c->count].name; c->count++) {
    size_t n = 0;
    while (n < MOST_VALUES && p[c->count].legal[n]) n++;
    c->places[c->count] = extent == SUITE_ENDS && n > 2 ? 2 : n;
  }
}

/* Combination number i, of as many as places multiply to: of each parameter which value, and that value. */
static void combination(const coverage *c, size_t i, size_t *place, int *param) {
  memset(param, 0, ALGO_MAX_PARAMS * sizeof *param);
  for (size_t p = c->count; p-- > 0; i /= c->places[p]) {
    const int *legal = c->sub->a->params[p].legal;
    place[p] = i % c->places[p];
    size_t at = place[p];
    while (c->extent == SUITE_ENDS && at > 0 && at + 1 < MOST_VALUES && legal[at + 1]) at++;
    param[p] = legal[at];
  }
}

static size_t combinations(const coverage *c) {
  size_t n = 1;
  for (size_t p = 0; p < c->count; p++) n *= c->places[p];
  return n;
}

/* How much of a combination has not been run; with mark it has been from now on. */
static size_t news(coverage *c, const size_t *place, bool mark) {
  size_t n = 0;
  for (size_t p = 0; p < c->count; p++)
    for (size_t q = p; q < (c->extent == SUITE_PAIRS ? c->count : p + 1); q++) {
      bool *done = &c->done[p][place[p]][q][place[q]];
      /* What is no macro of the kernel needs no pairs. */
      if (p != q && (c->sub->a->params[p].launched || c->sub->a->params[q].launched)) continue;
      n += !*done;
      *done |= mark;
    }
  return n;
}

/* The supported combination with the most news; false when none has any. */
static bool next_combination(coverage *c, bool backwards, int *param) {
  const size_t all = combinations(c);
  size_t most = 0, best = 0, place[ALGO_MAX_PARAMS];
  char why[ALGO_WHY_BYTES];
  for (size_t k = 0; k < all; k++) {
    const size_t i = backwards ? all - 1 - k : k;
    combination(c, i, place, param);
    const size_t n = news(c, place, false);
    if (n <= most || !algo_supports(c->sub->a, device_info(suite.device), &c->problem, param, why)) continue;
    most = n;
    best = i;
  }
  if (most == 0) return false;
  combination(c, best, place, param);
  news(c, place, true);
  return true;
}

void suite_parameters(const subject *sub, layer_shape s, size_t batch, suite_extent extent) {
  const algo_problem problem = {.shape = s, .batch = batch, .block = sub->block};
  int param[ALGO_MAX_PARAMS];
  static coverage c;
  test_layer t;
  layer_make(&s, true, 7, &t);
  coverage_open(sub, &problem, suite.ends ? SUITE_ENDS : extent, &c);
  /* Interpreters take seconds for the largest values together. */
  const bool turns = suite.ends || !suite.small;
  for (size_t i = 0; next_combination(&c, turns && i % 2, param); i++)
    suite_case(sub, &t.l, param, batch, batch, 8 + i);
  layer_free(&t);
}

/* ---- what enqueue must refuse */

static layer_shape shape_of(layer_op op) {
  switch (op) {
    case LAYER_CONV:
      return conv_shape(3, 3, 4, 4, true); /* pixels have 3 channels */
    case LAYER_FC:
      return fc_shape((shape3){6, 1, 1}, 3, true);
    case LAYER_MAXPOOL:
      return maxpool_shape(2, 4, 4);
    case LAYER_AVGPOOL:
      return avgpool_shape(2, 4, 4, 3, 3);
    case LAYER_CONVERT:
      return (layer_shape){.op = LAYER_CONVERT, .in = {3, 4, 4}, .out = {3, 4, 4}};
    default:
      return softmax_shape(5);
  }
}

void suite_bad_arguments_are_refused(void **state) {
  const subject *sub = *state;
  const algo *a = sub->a;
  const layer_shape s = shape_of(a->op);
  if (suite_device_lacks(a) || (sub->block && !suite_supports(sub, &s))) skip(); /* blocks are for CPUs */
  const algo_problem problem = {.shape = s, .batch = 2, .block = sub->block};
  clvgg_device *dev = suite.device;
  int param[ALGO_MAX_PARAMS];
  suite_choose(sub, &problem, param);
  test_layer t;
  layer_make(&s, false, 1, &t);
  algo_instance inst;
  must(algo_open(a, dev, &problem, param, &t.l, &inst));
  const size_t workspace = algo_workspace_bytes(a, device_info(dev), &problem, inst.param);
  const size_t in = algo_bytes(a->in, s.in, 2, sub->block), out = algo_bytes(a->out, s.out, 2, sub->block);
  device_buffer large, no_in, no_out;
  must(device_buffer_create(dev, 65536 + workspace, &large));
  must(device_buffer_create(dev, in - 1, &no_in));
  must(device_buffer_create(dev, out - 1, &no_out));
  assert_int_equal(algo_enqueue(&inst, 0, &large, &large, &large), CLVGG_OK);
  assert_int_equal(algo_enqueue(&inst, 3, &large, &large, &large), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(algo_enqueue(&inst, 2, &no_in, &large, &large), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(algo_enqueue(&inst, 2, &large, &no_out, &large), CLVGG_ERROR_ARGUMENT);
  if (workspace > 0) assert_int_equal(algo_enqueue(&inst, 2, &large, &large, NULL), CLVGG_ERROR_ARGUMENT);
  algo_close(&inst);
  algo_close(&inst);
  device_buffer_release(dev, &large);
  device_buffer_release(dev, &no_in);
  device_buffer_release(dev, &no_out);
  layer_free(&t);
}

static void nothing_leaks(void **state) {
  (void)state;
  assert_int_equal(device_bytes_in_use(suite.device), 0);
}

/* ---- the program */

#define MAX_TESTS 256
static struct CMUnitTest tests[MAX_TESTS];
static char names[MAX_TESTS][96];
static subject subjects[MAX_TESTS];
static size_t test_count;

void suite_add(const char *what, subject sub, CMUnitTestFunction function) {
  if (test_count == MAX_TESTS) {
    fprintf(stderr, "more than %d tests\n", MAX_TESTS);
    exit(1);
  }
  char *name = names[test_count];
  subjects[test_count] = sub;
  if (sub.block)
    snprintf(name, sizeof names[0], "%s %s, blocks of %zu", sub.a->name, what, sub.block);
  else
    snprintf(name, sizeof names[0], "%s %s", sub.a ? sub.a->name : "all", what);
  tests[test_count] = (struct CMUnitTest){.name = name, .test_func = function, .initial_state = &subjects[test_count]};
  test_count++;
}

/* Whether a is named, or none is, and it is for this program, this build and this run. */
static bool wanted(const algo *a, int argc, char **argv, bool blocks) {
  const char *without = getenv("CLVGG_TEST_WITHOUT");
  bool named = argc < 2;
  for (int k = 1; k < argc; k++) named = named || strcmp(argv[k], a->name) == 0;
  if (without && *without && strstr(a->name, without)) return false;
  if (strstr(a->name, "clblast") && !device_has_clblast()) return false;
  return named && algo_uses_blocks(a) == blocks;
}

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value && strcmp(value, "1") == 0;
}

int suite_main(int argc, char **argv, const char *name, bool blocks, void (*add)(subject sub)) {
  unsigned part = 1, parts = 1;
  size_t number = 0;
  suite.small = is_set("CLVGG_TEST_SMALL");
  suite.ends = is_set("CLVGG_TEST_ENDS");
  for (; argc > 1 && strncmp(argv[1], "--", 2) == 0; argc--, argv++) {
    suite.small |= strcmp(argv[1], "--small") == 0;
    suite.ends |= strcmp(argv[1], "--ends") == 0;
  }
  const char *text = getenv("CLVGG_TEST_PART");
  if (text && (sscanf(text, "%u/%u", &part, &parts) != 2 || part < 1 || part > parts)) {
    fprintf(stderr, "CLVGG_TEST_PART is '%s', not K/N with K from 1 to N\n", text);
    return 2;
  }
  cache_make();
  if (clvgg_device_open(NULL, &suite.device) != CLVGG_OK) {
    fprintf(stderr, "no device: %s\n", clvgg_last_error());
    return 77; /* ctest: skipped, where that is allowed */
  }
  const clvgg_device_info *info = device_info(suite.device);
  static const size_t sizes[] = {0, 4, 8, 16}; /* 0 for those that use no blocks */
  for (size_t k = 0; k < COUNT(sizes); k++) {
    if (blocks != (sizes[k] > 0) || (blocks && suite.small && sizes[k] != algo_block(info))) continue;
    for (size_t i = 0; i < algo_count(); i++)
      if (wanted(algo_get(i), argc, argv, blocks) && number++ % parts == part - 1)
        add((subject){algo_get(i), sizes[k]});
  }
  suite_add("leaves no buffer behind", (subject){NULL, 0}, nothing_leaks);
  const int failed = _cmocka_run_group_tests(name, tests, test_count, NULL, NULL);
  printf("%zu cases right, %zu refused, on %s (%s)%s\n", suite.cases_right, suite.cases_refused, info->name,
         info->platform, suite.small ? ", small" : "");
  clvgg_device_close(&suite.device);
  return failed != 0;
}
