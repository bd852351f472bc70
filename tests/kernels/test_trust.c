/*
 * Algorithms are verified before they are trusted: planted wrong kernels leave the plan and the answer stays right; verdicts are
 * remembered for the very same device only, and no state of their file does harm. CLVGG_TEST_SMALL=1 leaves out what runs whole
 * networks again and again, for simulators and slow drivers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/model.h"
#include "base/file.h"
#include "base/random.h"
#include "kernels/planted.h"
#include "reference/reference.h"
#include "trust/trust.h"
#include "trust/verdicts.h"

/* Rounding of the bundled model's layers in f32, of the largest logit. */
#define TOLERANCE 1e-4
#define IMAGES    2

static char root[] = "/tmp/clvgg-trust-XXXXXX";
static char cache[64], kernels[64], file[96];

static clvgg_device *device;
static clvgg_model *model;
static float *images, *expected; /* (IMAGES, 3, 32, 32), (IMAGES, classes) */
static size_t image_elements, classes;

static void must(clvgg_status status) {
  if (status != CLVGG_OK) fail_msg("%s: %s", clvgg_status_name(status), clvgg_last_error());
}

static void shell(const char *format, const char *argument) {
  char command[300];
  snprintf(command, sizeof command, format, argument);
  if (system(command) != 0) fail_msg("failed: %s", command);
}

/* ---- the file of verdicts, for devices that do not exist */

static clvgg_device_info made_up(const char *driver) {
  clvgg_device_info d = {.compute_units = 8};
  strcpy(d.name, "made\tup"); /* a tab is the file's own */
  strcpy(d.vendor, "nobody");
  strcpy(d.platform_version, "OpenCL 1.2");
  snprintf(d.driver, sizeof d.driver, "%s", driver);
  return d;
}

static void add(const clvgg_device_info *d, const char *what, bool ok, const char *why) {
  verdicts *v;
  must(verdicts_open(d, true, &v));
  verdicts_add(v, what, ok, why);
  verdicts_close(&v);
  assert_null(v);
}

/* 'o' for ok, 'w' for wrong, '?' for unknown; why in the static text. */
static char why[VERDICTS_WHY_BYTES];
static char ask(const clvgg_device_info *d, const char *what) {
  verdicts *v;
  bool ok = false;
  must(verdicts_open(d, true, &v));
  const bool known = verdicts_find(v, what, &ok, why);
  verdicts_close(&v);
  return !known ? '?' : ok ? 'o' : 'w';
}

static void verdicts_come_back(void **state) {
  (void)state;
  const clvgg_device_info d = made_up("1.0");
  assert_int_equal(ask(&d, "a [X=1] conv"), '?');
  assert_false(file_exists(file)); /* asking makes no file */
  add(&d, "a [X=1] conv", true, "");
  add(&d, "a [X=2] conv", false, "off by\n1");
  assert_int_equal(ask(&d, "a [X=1] conv"), 'o');
  assert_int_equal(ask(&d, "a [X=2] conv"), 'w');
  assert_string_equal(why, "off by 1");
  assert_int_equal(ask(&d, "a [X=3] conv"), '?');
  assert_int_equal(ask(&d, "a [X=1]"), '?');
  add(&d, "a [X=2] conv", true, ""); /* a new verdict replaces the old one */
  assert_int_equal(ask(&d, "a [X=2] conv"), 'o');
  struct stat info;
  assert_int_equal(stat(file, &info), 0);
  const off_t before = info.st_size;
  add(&d, "a [X=2] conv", true, "");
  assert_int_equal(stat(file, &info), 0);
  assert_int_equal(info.st_size, before);
}

static void another_device_or_driver_is_not_trusted(void **state) {
  (void)state;
  const clvgg_device_info d = made_up("1.0"), newer = made_up("1.1");
  clvgg_device_info larger = d, renamed = d, platform = d, vendor = d;
  larger.compute_units++;
  strcpy(renamed.name, "made uq");
  strcpy(platform.platform_version, "OpenCL 1.2 b");
  strcpy(vendor.vendor, "somebody");
  add(&d, "a", true, "");
  assert_int_equal(ask(&d, "a"), 'o');
  assert_int_equal(ask(&newer, "a"), '?');
  assert_int_equal(ask(&larger, "a"), '?');
  assert_int_equal(ask(&renamed, "a"), '?');
  assert_int_equal(ask(&platform, "a"), '?');
  assert_int_equal(ask(&vendor, "a"), '?');
  add(&newer, "a", false, "worse");
  assert_int_equal(ask(&newer, "a"), 'w');
  assert_int_equal(ask(&d, "a"), 'o');
}

static void other_kernels_and_limits_leave_the_file_alone(void **state) {
  (void)state;
  const clvgg_device_info d = made_up("1.0");
  static const char *const variables[] = {"CLVGG_KERNEL_DIR", "CLVGG_DEVICE_LIMITS"};
  add(&d, "a", true, "");
  for (int i = 0; i < 2; i++) {
    setenv(variables[i], "group=64", 1);
    assert_int_equal(ask(&d, "a"), '?');
    add(&d, "b", true, "");
    unsetenv(variables[i]);
    assert_int_equal(ask(&d, "b"), '?');
    assert_int_equal(ask(&d, "a"), 'o');
  }
}

/* A row that is not whole must not count: it could say ok of what was wrong. */
static void damaged_files_are_only_forgotten(void **state) {
  (void)state;
  const clvgg_device_info d = made_up("1.0");
  add(&d, "first", false, "wrong");
  add(&d, "second", true, "");
  file_map map;
  must(file_map_open(file, &map));
  const size_t bytes = map.bytes;
  char *text = malloc(bytes), *damaged = malloc(bytes);
  memcpy(text, map.data, bytes);
  file_map_close(&map);
  for (size_t keep = 0; keep < bytes; keep++) {
    must(file_write(file, text, keep));
    const char first = ask(&d, "first"), second = ask(&d, "second");
    assert_true(first == 'w' || first == '?');
    assert_int_equal(second, '?');
  }
  size_t forgotten = 0;
  for (size_t i = 0; i < bytes; i++)
    for (int bit = 0; bit < 8; bit += 3) {
      memcpy(damaged, text, bytes);
      damaged[i] ^= (char)(1 << bit);
      must(file_write(file, damaged, bytes));
      const char first = ask(&d, "first"), second = ask(&d, "second");
      assert_true(first == 'w' || first == '?');
      assert_true(second == 'o' || second == '?');
      forgotten += first == '?' || second == '?';
    }
  assert_int_equal(forgotten, bytes * 3); /* no byte is there for nothing */
  for (size_t i = 0; i < bytes; i++) damaged[i] = (char)(unsigned char)(random_uniform(1, i) * 256);
  must(file_write(file, damaged, bytes));
  assert_int_equal(ask(&d, "first"), '?');
  add(&d, "third", true, ""); /* and what is damaged is replaced */
  assert_int_equal(ask(&d, "third"), 'o');
  free(damaged);
  free(text);
}

static void no_place_for_the_file_is_no_error(void **state) {
  (void)state;
  const clvgg_device_info d = made_up("1.0");
  setenv("XDG_CACHE_HOME", "/proc/nowhere", 1); /* nobody can make a folder there, not even root */
  add(&d, "a", true, "");
  assert_int_equal(ask(&d, "a"), '?');
  setenv("XDG_CACHE_HOME", cache, 1);
  char folder[96];
  snprintf(folder, sizeof folder, "%s/clvgg", cache);
  must(file_make_folder(folder));
  must(file_write(folder, "x", 1)); /* a file where the folder should be */
  add(&d, "a", true, "");
  assert_int_equal(ask(&d, "a"), '?');
  unlink(folder);
  shell("mkdir -p %s/clvgg/trust", cache); /* a folder where the file should be */
  add(&d, "a", true, "");
  assert_int_equal(ask(&d, "a"), '?');
  unsetenv("XDG_CACHE_HOME");
  char *home = strdup(getenv("HOME"));
  unsetenv("HOME");
  add(&d, "a", true, "");
  assert_int_equal(ask(&d, "a"), '?');
  setenv("HOME", home, 1);
  free(home);
}

static void the_oldest_verdicts_go(void **state) {
  (void)state;
  const clvgg_device_info d = made_up("1.0");
  char what[32];
  add(&d, "the oldest", true, "");
  verdicts *v;
  must(verdicts_open(&d, true, &v));
  for (int i = 0; i < VERDICTS_MOST; i++) {
    snprintf(what, sizeof what, "case %d", i);
    verdicts_add(v, what, true, "");
  }
  verdicts_close(&v);
  assert_int_equal(ask(&d, "the oldest"), '?');
  assert_int_equal(ask(&d, "case 0"), 'o');
  add(&d, "one more", true, "");
  assert_int_equal(ask(&d, "case 0"), '?');
  assert_int_equal(ask(&d, "case 1"), 'o');
  assert_int_equal(ask(&d, "one more"), 'o');
}

static void processes_may_write_at_once(void **state) {
  (void)state;
  enum { WRITERS = 4, ROUNDS = 40 };
  const clvgg_device_info d = made_up("1.0");
  pid_t child[WRITERS];
  char what[32];
  for (int w = 0; w < WRITERS; w++) {
    child[w] = fork();
    assert_true(child[w] >= 0);
    if (child[w] > 0) continue;
    for (int i = 0; i < ROUNDS; i++) {
      verdicts *v;
      if (verdicts_open(&d, true, &v)) _exit(1);
      snprintf(what, sizeof what, "writer %d, case %d", w, i);
      verdicts_add(v, what, i % 2 == 0, "");
      verdicts_close(&v);
    }
    _exit(0);
  }
  for (int w = 0; w < WRITERS; w++) {
    int code = -1;
    assert_int_equal(waitpid(child[w], &code, 0), child[w]);
    assert_int_equal(code, 0);
  }
  size_t known = 0;
  for (int w = 0; w < WRITERS; w++)
    for (int i = 0; i < ROUNDS; i++) {
      snprintf(what, sizeof what, "writer %d, case %d", w, i);
      const char verdict = ask(&d, what);
      if (verdict == '?') continue;
      assert_int_equal(verdict, i % 2 == 0 ? 'o' : 'w');
      known++;
    }
  assert_true(known > 0);
  /* Nothing is left behind beside the file. */
  char command[160];
  snprintf(command, sizeof command, "test \"$(ls -A %s/clvgg)\" = trust", cache);
  assert_int_equal(system(command), 0);
}

/* ---- small problems */

static void small_problems_have_what_matters(void **state) {
  (void)state;
  const layer_shape conv = {.op = LAYER_CONV, .relu = true, .in = {512, 28, 28}, .out = {512, 14, 14}, .pool = true};
  const layer_shape fc = {.op = LAYER_FC, .in = {512, 7, 7}, .out = {4096, 1, 1}};
  algo_problem p = {.shape = conv, .batch = 8, .block = 16}, small;
  assert_int_equal(trust_problem(&p, 0, &small), 2);
  assert_true(small.shape.pool && small.shape.relu);
  assert_int_equal(small.shape.out.h, small.shape.in.h / 2);
  assert_true(small.shape.in.c > 16 && small.shape.in.c % 16 != 0);   /* a full block and a part of one */
  assert_true(small.shape.out.c > 32 && small.shape.out.c % 16 != 0); /* two blocks at once, and a part */
  assert_true(small.batch <= 2);
  trust_problem(&p, 1, &small);
  assert_int_equal(small.shape.in.c, 512); /* its loops are as long as the real one's */
  p.shape = fc;
  trust_problem(&p, 1, &small);
  assert_int_equal(layer_row_length(&small.shape), 25088);
  p.shape.in = (shape3){3, 1, 1};
  assert_int_equal(trust_problem(&p, 0, &small), 1); /* small enough itself */
  assert_int_equal(small.shape.in.c, 3);
}

/* Every algorithm that supports a layer of VGG-16 is checked by some small problem, and passes. */
static void all_algorithms_pass_their_check(void **state) {
  (void)state;
  const layer_shape shapes[] = {
      {.op = LAYER_CONV, .relu = true, .in = {3, 64, 64}, .out = {64, 64, 64}},
      {.op = LAYER_CONV, .relu = true, .in = {64, 28, 28}, .out = {128, 28, 28}},
      {.op = LAYER_CONV, .relu = true, .in = {64, 28, 28}, .out = {64, 14, 14}, .pool = true},
      {.op = LAYER_MAXPOOL, .in = {64, 28, 28}, .out = {64, 14, 14}},
      {.op = LAYER_AVGPOOL, .in = {64, 8, 10}, .out = {64, 7, 7}},
      {.op = LAYER_FC, .relu = true, .in = {64, 7, 7}, .out = {1000, 1, 1}},
      {.op = LAYER_FC, .in = {4096, 1, 1}, .out = {1000, 1, 1}},
      {.op = LAYER_SOFTMAX, .in = {1000, 1, 1}, .out = {1000, 1, 1}},
      {.op = LAYER_CONVERT, .in = {64, 28, 28}, .out = {64, 28, 28}},
      {.op = LAYER_CONVERT, .in = {3, 28, 28}, .out = {3, 28, 28}},
  };
  const clvgg_device_info *info = device_info(device);
  trust *t;
  must(trust_open(device, &t));
  for (size_t k = 0; k < algo_count(); k++) {
    const algo *a = algo_get(k);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
      const algo_problem p = {.shape = shapes[i], .batch = 8, .block = algo_block(info)};
      int param[ALGO_MAX_PARAMS] = {0};
      char refused[ALGO_WHY_BYTES], reason[TRUST_WHY_BYTES];
      if (a->op != shapes[i].op) continue;
      if (a->choose) a->choose(info, &p, param);
      if (!algo_supports(a, info, &p, param, refused)) continue;
      algo_problem small;
      trust_problem(&p, 0, &small);
      if (!algo_supports(a, info, &small, param, refused)) fail_msg("%s: cannot be checked: %s", a->name, refused);
      if (trust_check(t, a, &p, param, reason) != CLVGG_OK) fail_msg("%s: %s", a->name, reason);
    }
  }
  trust_close(&t);
}

/* ---- engines */

/* An engine on a device of its own, so that kernels are built again; its steps' names and sources, "name (source)\n". */
static char steps[8192];
static clvgg_status run_engine(const char *wanted, int softmax, float *out) {
  clvgg_device *own = NULL;
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = IMAGES;
  options.algorithm = wanted;
  options.softmax = softmax;
  steps[0] = '\0';
  must(clvgg_device_open(NULL, &own));
  clvgg_status status = clvgg_engine_open(own, model, &options, &engine);
  if (status == CLVGG_OK) {
    clvgg_engine_info info;
    clvgg_engine_get_info(engine, &info);
    for (size_t i = 0; i < info.layers; i++) {
      clvgg_plan_layer step;
      must(clvgg_engine_get_layer(engine, i, &step));
      const size_t used = strlen(steps);
      snprintf(steps + used, sizeof steps - used, "%s %s (%s)\n", step.name, step.algorithm, step.source);
    }
    status = clvgg_engine_run(engine, images, IMAGES, out);
  }
  clvgg_engine_close(&engine);
  clvgg_device_close(&own);
  return status;
}

static void expect_right(const float *got) {
  const reference_error error = reference_compare(got, expected, IMAGES * classes);
  if (!(error.max_rel <= TOLERANCE)) fail_msg("off by %g of the largest logit with\n%s", error.max_rel, steps);
}

/* Whether a step runs on an algorithm. */
static bool uses(const char *algorithm) {
  char text[80];
  snprintf(text, sizeof text, " %s (", algorithm);
  return strstr(steps, text) != NULL;
}

static void expect_gone(const char *algorithm) {
  char text[100];
  if (uses(algorithm)) fail_msg("%s is still used:\n%s", algorithm, steps);
  snprintf(text, sizeof text, "; %s failed verification)", algorithm);
  /* A kernel file can serve two algorithms. */
  if (!strstr(steps, text) && !strstr(steps, "; 2 failed verification)"))
    fail_msg("no source says '%s':\n%s", text, steps);
}

typedef struct plant {
  const char *what, *wanted, *algorithm, *source, *from, *to, *note;
} plant;

static const plant plants[] = {
    {"a value is wrong", "fc_f32_tiled", "fc_f32_tiled", "fc_tiled.cl", " = value < lowest ? lowest : value;",
     " = (value < lowest ? lowest : value) + 0.01f;", "off by"},
    {"elements stay unwritten", "conv_f32_nchw_nchwc_direct", "conv_f32_nchw_nchwc_direct", "conv_direct_nchwc.cl",
     "STORE(lines + o * plane + (size_t)(x0 + i)",
     "if (x0 + i != 2 || g + o > 0) STORE(lines + o * plane + (size_t)(x0 + i)", "values that are not finite"},
    {"a value behind the end", "fc_f32_naive", "fc_f32_naive", "fc_naive.cl", "  out[n * outputs + first_row + r] =",
     "  if (r == 0) out[batch * outputs + 3] = 0;\n  out[n * outputs + first_row + r] =", "outside"},
    {"surplus channels", "conv_f32_nchwc_winograd", "convert_f32_nchw_nchwc", "convert.cl", "0.0f", "1.0f", "surplus"},
    {"it does not build", "conv_f32_nchw_direct", "conv_f32_nchw_direct", "conv_direct.cl", "__kernel",
     "no_such_word __kernel", "cannot build"},
    {"its loop ends early", "fc_f32_gemv", "fc_f32_gemv", "fc_gemv.cl", "k < inputs", "k < min(inputs, 300)", "off by"},
};

static char notes[4096];
static void keep_note(const char *line, void *user) {
  (void)user;
  const size_t used = strlen(notes);
  snprintf(notes + used, sizeof notes - used, "%s\n", line);
}

static void wrong_kernels_leave_the_plan(void **state) {
  const plant *p = *state;
  if (getenv("CLVGG_TEST_SMALL")) skip();
  float *got = malloc(IMAGES * classes * sizeof *got);
  must(run_engine(p->wanted, 0, got));
  expect_right(got);
  if (!uses(p->algorithm)) {
    print_message("not checked: this device does not support %s\n", p->algorithm);
    free(got);
    skip();
  }
  planted_kernels(kernels, p->source, p->from, p->to);
  setenv("CLVGG_KERNEL_DIR", kernels, 1);
  notes[0] = '\0';
  clvgg_set_log(keep_note, NULL);
  const clvgg_status status = run_engine(p->wanted, 0, got);
  clvgg_set_log(NULL, NULL);
  unsetenv("CLVGG_KERNEL_DIR");
  must(status);
  expect_right(got);
  expect_gone(p->algorithm);
  if (!strstr(notes, p->algorithm) || !strstr(notes, p->note))
    fail_msg("expected a note on %s with '%s', found:\n%s", p->algorithm, p->note, notes);
  free(got);
  /* And the plant says nothing of the real kernel. */
  must(run_engine(p->wanted, 0, (float[IMAGES * 1000]){0}));
  assert_true(uses(p->algorithm));
}

/* Engines on f32 do not use what takes pixels, so these are checked one by one. */
static void pixels_are_checked_too(void **state) {
  (void)state;
  static const struct {
    const char *algorithm, *source, *from, *to;
    layer_shape shape;
  } cases[] = {
      {"convert_u8_nhwc_nchw", "convert.cl", "- m1", "- m0", {LAYER_CONVERT, .in = {3, 9, 9}, .out = {3, 9, 9}}},
      {"convert_u8_nhwc_nchw",
       "convert.cl",
       "to[pixels] =",
       "to[pixels * 3] =",
       {LAYER_CONVERT, .in = {3, 9, 9}, .out = {3, 9, 9}}},
      {"conv_u8_nhwc_nchwc_direct",
       "conv_direct_nchwc.cl",
       "x0 > 0 ? NORMAL",
       "x0 >= 0 ? NORMAL",
       {LAYER_CONV, .in = {3, 64, 64}, .out = {64, 64, 64}}},
      {"conv_u8_nhwc_nchwc_direct",
       "conv_direct_nchwc.cl",
       "x0 + TILE < width ? NORMAL",
       "x0 + TILE < 0 ? NORMAL",
       {LAYER_CONV, .in = {3, 64, 64}, .out = {64, 64, 64}}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const algo *a = algo_find(cases[i].algorithm);
    const algo_problem p = {.shape = cases[i].shape, .batch = 1, .block = algo_block(device_info(device))};
    int param[ALGO_MAX_PARAMS] = {0};
    char refused[ALGO_WHY_BYTES], reason[TRUST_WHY_BYTES] = "";
    if (a->choose) a->choose(device_info(device), &p, param);
    if (!algo_supports(a, device_info(device), &p, param, refused)) continue;
    for (int planted = 0; planted < 2; planted++) {
      clvgg_device *own = NULL;
      trust *t;
      if (planted) {
        planted_kernels(kernels, cases[i].source, cases[i].from, cases[i].to);
        setenv("CLVGG_KERNEL_DIR", kernels, 1);
      }
      must(clvgg_device_open(NULL, &own));
      must(trust_open(own, &t));
      const clvgg_status status = trust_check(t, a, &p, param, reason);
      trust_close(&t);
      clvgg_device_close(&own);
      unsetenv("CLVGG_KERNEL_DIR");
      if (status != (planted ? CLVGG_ERROR_MISMATCH : CLVGG_OK))
        fail_msg("%s, planted %d, case %zu: status %d, %s", a->name, planted, i, (int)status, reason);
    }
  }
}

static void without_any_right_algorithm_nothing_runs(void **state) {
  (void)state;
  float got[IMAGES * 1000];
  planted_kernels(kernels, "softmax.cl", "/ total;", "/ total * 1.01f;");
  setenv("CLVGG_KERNEL_DIR", kernels, 1);
  const clvgg_status status = run_engine(NULL, 1, got);
  unsetenv("CLVGG_KERNEL_DIR");
  assert_int_equal(status, CLVGG_ERROR_MISMATCH);
  assert_non_null(strstr(clvgg_last_error(), "softmax_f32_naive"));
  assert_non_null(strstr(clvgg_last_error(), device_info(device)->name));
}

/* The case of the last row of the file that is about an algorithm. */
static void find_case(const char *algorithm, char *out, size_t bytes) {
  file_map map;
  must(file_map_open(file, &map));
  char *text = strndup((const char *)map.data, map.bytes), start[80];
  file_map_close(&map);
  snprintf(start, sizeof start, "\t%s [", algorithm);
  const char *at = strstr(text, start);
  if (!at) fail_msg("no verdict on %s in\n%s", algorithm, text);
  snprintf(out, bytes, "%.*s", (int)strcspn(at + 1, "\t"), at + 1);
  free(text);
}

static void verdicts_on_the_device_count(void **state) {
  (void)state;
  static const char *const name = "fc_f32_tiled"; /* all devices support it */
  float got[IMAGES * 1000];
  char what[600];
  if (getenv("CLVGG_TEST_SMALL")) skip();
  must(run_engine(name, 0, got));
  assert_true(uses(name));
  find_case(name, what, sizeof what);
  assert_int_equal(ask(device_info(device), what), 'o');

  clvgg_device_info other = *device_info(device);
  strcat(other.driver, " and a bit");
  add(&other, what, false, "planted");
  must(run_engine(name, 0, got));
  assert_true(uses(name));

  add(device_info(device), what, false, "planted"); /* a verdict that only the file can know */
  must(run_engine(name, 0, got));
  expect_gone(name);
  expect_right(got);

  setenv("CLVGG_TRUST", "never", 1); /* checks again, and corrects the file */
  must(run_engine(name, 0, got));
  assert_true(uses(name));
  assert_int_equal(ask(device_info(device), what), 'o');
  add(device_info(device), what, false, "planted");
  setenv("CLVGG_TRUST", "always", 1);
  must(run_engine(name, 0, got));
  assert_true(uses(name));
  setenv("CLVGG_TRUST", "perhaps", 1);
  assert_int_equal(run_engine(name, 0, got), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "perhaps"));
  unsetenv("CLVGG_TRUST");

  setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
  must(run_engine(name, 0, got));
  expect_right(got);
  assert_true(uses(name));
}

/* ---- set-up */

static int fresh_cache(void **state) {
  (void)state;
  setenv("XDG_CACHE_HOME", cache, 1);
  shell("rm -rf %s/clvgg", cache); /* drivers have folders beside it */
  return 0;
}

/* Plain C, layer by layer. */
static void compute_expected(void) {
  const network *net = model_network(model);
  layer *layers;
  size_t count, largest = 0;
  must(network_layers(net, net->input.h, net->input.w, false, &layers, &count));
  image_elements = shape3_elements(net->input);
  classes = net->classes;
  for (size_t i = 0; i < count; i++) {
    const size_t in = shape3_elements(layers[i].shape.in), out = shape3_elements(layers[i].shape.out);
    largest = largest < in ? in : largest;
    largest = largest < out ? out : largest;
  }
  float *a = malloc(IMAGES * largest * sizeof *a), *b = malloc(IMAGES * largest * sizeof *b);
  images = malloc(IMAGES * image_elements * sizeof *images);
  assert_true(a && b && images);
  random_fill(5, -2, 2, images, IMAGES * image_elements);
  memcpy(a, images, IMAGES * image_elements * sizeof *a);
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
  snprintf(cache, sizeof cache, "%s/cache", root);
  snprintf(kernels, sizeof kernels, "%s/cl", root);
  snprintf(file, sizeof file, "%s/clvgg/trust", cache);
  char pocl[64];
  snprintf(pocl, sizeof pocl, "%s/pocl", root);
  if (!getenv("CLVGG_TEST_LANE")) setenv("POCL_CACHE_DIR", pocl, 1);
  setenv("CLVGG_DATA_DIR", HOST_DATA_DIR, 1);
  unsetenv("CLVGG_TRUST");
  if (mkdir(kernels, 0700) != 0) return -1;
  fresh_cache(state);
  must(clvgg_device_open(NULL, &device));
  must(clvgg_model_open(NULL, NULL, &model));
  compute_expected();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free(expected);
  free(images);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  shell("rm -rf %s", root);
  return 0;
}

int main(void) {
#define FRESH(test) cmocka_unit_test_setup(test, fresh_cache)
#define PLANT(i) \
  { plants[i].what, wrong_kernels_leave_the_plan, fresh_cache, NULL, (void *)&plants[i] }
  const struct CMUnitTest tests[] = {
      FRESH(verdicts_come_back),
      FRESH(another_device_or_driver_is_not_trusted),
      FRESH(other_kernels_and_limits_leave_the_file_alone),
      FRESH(damaged_files_are_only_forgotten),
      FRESH(no_place_for_the_file_is_no_error),
      FRESH(the_oldest_verdicts_go),
      FRESH(processes_may_write_at_once),
      FRESH(small_problems_have_what_matters),
      FRESH(all_algorithms_pass_their_check),
      PLANT(0),
      PLANT(1),
      PLANT(2),
      PLANT(3),
      PLANT(4),
      PLANT(5),
      FRESH(pixels_are_checked_too),
      FRESH(without_any_right_algorithm_nothing_runs),
      FRESH(verdicts_on_the_device_count),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
