/* Selectors, the ranking of devices, driver quirks and CLVGG_DEVICE_LIMITS, on made-up device tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "device/select.h"

static clvgg_device_info make(const char *id, const char *platform, const char *name, clvgg_device_type type,
                              unsigned units) {
  clvgg_device_info d = {.type = type, .compute_units = units, .usable = 1};
  snprintf(d.id, sizeof d.id, "%s", id);
  snprintf(d.platform, sizeof d.platform, "%s", platform);
  snprintf(d.name, sizeof d.name, "%s", name);
  select_apply_quirks(&d);
  return d;
}

static void spoil(clvgg_device_info *d, const char *reason) {
  d->usable = 0;
  snprintf(d->reason, sizeof d->reason, "%s", reason);
}

#define LLVMPIPE "llvmpipe (LLVM 15.0.6, 256 bits)"

/* A workstation with everything; index: 0 CPU, 1 llvmpipe, 2 and 3 GPUs, 4 FPGA, 5 an old GPU. */
enum { CPU, SOFT, SMALL_GPU, BIG_GPU, FPGA, OLD_GPU, ALL };
static void fill_table(clvgg_device_info t[ALL]) {
  t[CPU] = make("0:0", "Portable Computing Language", "pthread-skylake", CLVGG_DEVICE_CPU, 128);
  t[SOFT] = make("1:0", "rusticl", LLVMPIPE, CLVGG_DEVICE_CPU, 256);
  t[SMALL_GPU] = make("2:0", "Intel(R) OpenCL Graphics", "UHD Graphics 770", CLVGG_DEVICE_GPU, 32);
  t[BIG_GPU] = make("2:1", "Intel(R) OpenCL Graphics", "Arc A770 Graphics", CLVGG_DEVICE_GPU, 512);
  t[FPGA] = make("3:0", "FPGA Company", "Board 9000", CLVGG_DEVICE_ACCELERATOR, 9000);
  t[OLD_GPU] = make("4:0", "Ancient", "Relic GPU", CLVGG_DEVICE_GPU, 4096);
  spoil(&t[OLD_GPU], "the device has version 'OpenCL 1.1', at least OpenCL 1.2 is needed");
}

static char why[800];

static size_t expect_found(const clvgg_device_info *t, size_t n, const char *selector) {
  size_t index = 99;
  const clvgg_status status = select_device(t, n, selector, &index, why, sizeof why);
  if (status != CLVGG_OK) print_error("%s: %s\n", selector != NULL ? selector : "NULL", why);
  assert_int_equal(status, CLVGG_OK);
  assert_true(index < n);
  return index;
}

static void expect_failure(const clvgg_device_info *t, size_t n, const char *selector, clvgg_status wanted,
                           const char *const *texts) {
  size_t index = 0;
  memset(why, 'x', sizeof why);
  assert_int_equal(select_device(t, n, selector, &index, why, sizeof why), wanted);
  assert_non_null(memchr(why, '\0', sizeof why));
  for (; *texts != NULL; texts++)
    if (strstr(why, *texts) == NULL) fail_msg("'%s' is not in '%s'", *texts, why);
}
#define EXPECT_FAILURE(t, n, selector, status, ...) \
  expect_failure(t, n, selector, status, (const char *const[]){__VA_ARGS__, NULL})

static void test_default_is_the_biggest_usable_gpu(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  assert_int_equal(select_best(t, ALL), BIG_GPU);
  assert_int_equal(expect_found(t, ALL, NULL), BIG_GPU);
  assert_int_equal(expect_found(t, ALL, ""), BIG_GPU);
  t[BIG_GPU].usable = t[SMALL_GPU].usable = 0;
  assert_int_equal(select_best(t, ALL), FPGA);
  t[FPGA].usable = 0;
  assert_int_equal(select_best(t, ALL), CPU); /* llvmpipe has more compute units, but cuts loops short */
  t[CPU].usable = 0;
  assert_int_equal(select_best(t, ALL), SOFT);
  t[SOFT].usable = 0;
  assert_int_equal(select_best(t, ALL), ALL);
  EXPECT_FAILURE(t, ALL, NULL, CLVGG_ERROR_DEVICE, "no usable OpenCL device", "0:0", "pthread-skylake", "OpenCL 1.1");
  assert_int_equal(select_best(t, 0), 0);
  EXPECT_FAILURE(t, 0, NULL, CLVGG_ERROR_DEVICE, "none");
}

static void test_first_listed_wins_among_equals(void **state) {
  (void)state;
  const clvgg_device_info t[] = {make("0:0", "P", "twin", CLVGG_DEVICE_GPU, 10),
                                 make("0:1", "P", "twin", CLVGG_DEVICE_GPU, 10)};
  assert_int_equal(select_best(t, 2), 0);
}

static void test_rasteriser_is_no_gpu(void **state) {
  (void)state;
  /* Not through rusticl, so that no quirk is known, and calling itself a GPU. */
  const clvgg_device_info t[] = {make("0:0", "Clover", LLVMPIPE, CLVGG_DEVICE_GPU, 64),
                                 make("1:0", "Portable Computing Language", "pthread-x", CLVGG_DEVICE_CPU, 2)};
  assert_int_equal(t[0].max_iterations, 0);
  assert_int_equal(t[0].software_rasteriser, 1);
  assert_int_equal(t[1].software_rasteriser, 0);
  assert_int_equal(select_best(t, 2), 1);
  EXPECT_FAILURE(t, 2, "gpu", CLVGG_ERROR_DEVICE, "no usable GPU", "1:0");
  assert_int_equal(expect_found(t, 2, "llvmpipe"), 0);
}

static void test_binaries_are_used_as_the_driver_allows(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  assert_int_equal(select_binary_use(&t[CPU]), BINARIES_ON_REQUEST);
  assert_int_equal(select_binary_use(&t[SOFT]), BINARIES_NEVER);
  assert_int_equal(select_binary_use(&t[BIG_GPU]), BINARIES_AT_CLOSE);
  const clvgg_device_info real = make("0:0", "rusticl", "AMD Radeon RX 6600 (radeonsi)", CLVGG_DEVICE_GPU, 1);
  assert_int_equal(select_binary_use(&real), BINARIES_NEVER);
  assert_int_equal(real.max_iterations, 0);
}

static void test_quirk_is_known_and_ranked_last_under_limits(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  assert_int_equal(t[SOFT].max_iterations, 65535);
  assert_int_equal(t[CPU].max_iterations, 0);
  const clvgg_device_info upper = make("0:0", "RUSTICL", "LLVMpipe", CLVGG_DEVICE_CPU, 1);
  assert_int_equal(upper.max_iterations, 65535);
  const clvgg_device_info real = make("0:0", "rusticl", "AMD Radeon RX 6600 (radeonsi)", CLVGG_DEVICE_GPU, 1);
  assert_int_equal(real.max_iterations, 0);
  assert_int_equal(real.software_rasteriser, 0);
  for (int i = 0; i < ALL; i++) assert_int_equal(select_apply_limits("iterations=1000", &t[i]), CLVGG_OK);
  t[SMALL_GPU].usable = t[BIG_GPU].usable = t[FPGA].usable = 0;
  assert_int_equal(select_best(t, ALL), CPU);
}

static void test_id(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  for (size_t i = 0; i < OLD_GPU; i++) assert_int_equal(expect_found(t, ALL, t[i].id), i);
  EXPECT_FAILURE(t, ALL, "4:0", CLVGG_ERROR_DEVICE, "4:0", "Relic GPU", "OpenCL 1.1");
  EXPECT_FAILURE(t, ALL, "3:1", CLVGG_ERROR_DEVICE, "no device 3:1", "0:0 'pthread-skylake'",
                 "2:1 'Arc A770 Graphics'");
  EXPECT_FAILURE(t, ALL, "99999999999999999999999:0", CLVGG_ERROR_DEVICE, "no device");
  EXPECT_FAILURE(t, ALL, "0:0x", CLVGG_ERROR_DEVICE, "no device matches '0:0x'");
  EXPECT_FAILURE(t, ALL, "-1:0", CLVGG_ERROR_DEVICE, "no device matches '-1:0'");
  EXPECT_FAILURE(t, ALL, ":", CLVGG_ERROR_DEVICE, "no device matches ':'");
}

static void test_type(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  assert_int_equal(expect_found(t, ALL, "gpu"), BIG_GPU);
  assert_int_equal(expect_found(t, ALL, "GPU"), BIG_GPU);
  assert_int_equal(expect_found(t, ALL, "cpu"), CPU);
  t[CPU].usable = 0;
  assert_int_equal(expect_found(t, ALL, "Cpu"), SOFT);
  EXPECT_FAILURE(t, 1, "gpu", CLVGG_ERROR_DEVICE, "no usable GPU");
  EXPECT_FAILURE(t, 1, "cpu", CLVGG_ERROR_DEVICE, "no usable CPU");
}

static void test_name_part(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  assert_int_equal(expect_found(t, ALL, "Portable"), CPU);
  assert_int_equal(expect_found(t, ALL, "portABLE comp"), CPU);
  assert_int_equal(expect_found(t, ALL, "rusticl"), SOFT);
  assert_int_equal(expect_found(t, ALL, "a770"), BIG_GPU);
  assert_int_equal(expect_found(t, ALL, "board 9000"), FPGA);
  /* A full name with a comma in it is no list. */
  assert_int_equal(expect_found(t, ALL, LLVMPIPE), SOFT);
  EXPECT_FAILURE(t, ALL, "Intel", CLVGG_ERROR_ARGUMENT, "'Intel' could be 2 devices", "2:0 'UHD Graphics 770'",
                 "2:1 'Arc A770 Graphics'");
  assert_null(strstr(why, "pthread"));
  EXPECT_FAILURE(t, ALL, "voodoo", CLVGG_ERROR_DEVICE, "no device matches 'voodoo'", "0:0 'pthread-skylake'",
                 "1:0 '" LLVMPIPE "'");
  EXPECT_FAILURE(t, ALL, "relic", CLVGG_ERROR_DEVICE, "no usable device matches 'relic'", "OpenCL 1.1");
  /* Unusable ones do not make a name ambiguous. */
  t[SMALL_GPU].usable = 0;
  assert_int_equal(expect_found(t, ALL, "intel"), BIG_GPU);
}

static void test_lists_are_refused(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  EXPECT_FAILURE(t, ALL, "all", CLVGG_ERROR_ARGUMENT, "one device is wanted");
  EXPECT_FAILURE(t, ALL, "ALL", CLVGG_ERROR_ARGUMENT, "one device is wanted");
  EXPECT_FAILURE(t, ALL, "0:0,2:1", CLVGG_ERROR_ARGUMENT, "0:0,2:1", "one device is wanted");
  EXPECT_FAILURE(t, ALL, "cpu,gpu", CLVGG_ERROR_ARGUMENT, "one device is wanted");
}

/* Indices of what a selector means, -1 behind the last. */
static void expect_several(const clvgg_device_info *t, const char *selector, const int *wanted) {
  size_t index[ALL], found = 99;
  const clvgg_status status = select_devices(t, ALL, selector, index, &found, why, sizeof why);
  if (status != CLVGG_OK) fail_msg("%s: %s", selector != NULL ? selector : "NULL", why);
  for (size_t i = 0; i < found; i++)
    if (wanted[i] < 0 || index[i] != (size_t)wanted[i])
      fail_msg("'%s': device %zu at %zu, expected %d", selector, index[i], i, wanted[i]);
  assert_int_equal(wanted[found], -1);
}
#define EXPECT_SEVERAL(t, selector, ...) expect_several(t, selector, (const int[]){__VA_ARGS__, -1})

static void test_lists(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  EXPECT_SEVERAL(t, NULL, BIG_GPU);
  EXPECT_SEVERAL(t, "cpu", CPU);
  EXPECT_SEVERAL(t, "cpu,gpu", CPU, BIG_GPU);
  EXPECT_SEVERAL(t, "gpu, 2:0, a770", BIG_GPU, SMALL_GPU); /* the last is the first */
  EXPECT_SEVERAL(t, "All", CPU, SOFT, SMALL_GPU, BIG_GPU, FPGA);
  EXPECT_SEVERAL(t, "fpga,all", FPGA, CPU, SOFT, SMALL_GPU, BIG_GPU);
  /* A name with a comma is a name, and in a list each of its parts is one, too. */
  EXPECT_SEVERAL(t, LLVMPIPE, SOFT);
  EXPECT_SEVERAL(t, LLVMPIPE ",0:0", SOFT, CPU);
}

static void expect_no_list(const clvgg_device_info *t, size_t n, const char *selector, clvgg_status wanted,
                           const char *part) {
  size_t index[ALL], found = 0;
  assert_int_equal(select_devices(t, n, selector, index, &found, why, sizeof why), wanted);
  if (strstr(why, part) == NULL) fail_msg("'%s' is not in '%s'", part, why);
}

static void test_wrong_lists_are_refused(void **state) {
  (void)state;
  clvgg_device_info t[ALL];
  fill_table(t);
  expect_no_list(t, ALL, "gpu,", CLVGG_ERROR_ARGUMENT, "empty");
  expect_no_list(t, ALL, ",gpu", CLVGG_ERROR_ARGUMENT, "empty");
  expect_no_list(t, ALL, "gpu, ,cpu", CLVGG_ERROR_ARGUMENT, "empty");
  expect_no_list(t, ALL, "gpu,voodoo", CLVGG_ERROR_DEVICE, "'voodoo'");
  expect_no_list(t, ALL, "cpu,Intel", CLVGG_ERROR_ARGUMENT, "could be 2 devices");
  expect_no_list(t, ALL, "cpu,4:0", CLVGG_ERROR_DEVICE, "OpenCL 1.1");
  char selector[600];
  memset(selector, 'z', sizeof selector);
  memcpy(selector, "cpu,", 4);
  selector[sizeof selector - 1] = '\0';
  expect_no_list(t, ALL, selector, CLVGG_ERROR_ARGUMENT, "too long");
  expect_no_list(t, 0, "all", CLVGG_ERROR_DEVICE, "no usable");
  for (int i = 0; i < ALL; i++) t[i].usable = 0;
  expect_no_list(t, ALL, "all", CLVGG_ERROR_DEVICE, "no usable");
}

static void test_error_text_is_bounded(void **state) {
  (void)state;
  static clvgg_device_info t[300];
  for (size_t i = 0; i < 300; i++) {
    t[i] = make("0:0", "P", "", CLVGG_DEVICE_GPU, 1);
    memset(t[i].name, 'n', sizeof t[i].name - 1);
    memset(t[i].platform, 'p', sizeof t[i].platform - 1);
  }
  static char selector[5000];
  memset(selector, 'z', sizeof selector - 1);
  EXPECT_FAILURE(t, 300, selector, CLVGG_ERROR_DEVICE, "no device matches 'zzz");
  EXPECT_FAILURE(t, 300, "nn", CLVGG_ERROR_ARGUMENT, "could be 300 devices");
  char tiny[8] = "1234567";
  size_t index = 0;
  assert_int_equal(select_device(t, 300, "nn", &index, tiny, 4), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(tiny[3], '\0');
  assert_int_equal(tiny[4], '5');
  assert_int_equal(select_device(t, 300, "nn", &index, NULL, 0), CLVGG_ERROR_ARGUMENT);
}

static void test_limits_lower_only(void **state) {
  (void)state;
  const clvgg_device_info whole = {.max_work_group = 1024,
                                   .max_work_item = {1024, 512, 32},
                                   .local_bytes = 65536,
                                   .max_alloc_bytes = UINT64_C(1) << 33,
                                   .global_bytes = UINT64_C(1) << 35};
  clvgg_device_info d = whole;
  assert_int_equal(select_apply_limits(NULL, &d), CLVGG_OK);
  assert_int_equal(select_apply_limits("", &d), CLVGG_OK);
  assert_memory_equal(&d, &whole, sizeof d);
  assert_int_equal(select_apply_limits("group=64,local=16384,alloc=134217728,iterations=65535", &d), CLVGG_OK);
  assert_int_equal(d.max_work_group, 64);
  assert_int_equal(d.max_work_item[0], 64);
  assert_int_equal(d.max_work_item[1], 64);
  assert_int_equal(d.max_work_item[2], 32);
  assert_int_equal(d.local_bytes, 16384);
  assert_int_equal(d.max_alloc_bytes, 134217728);
  assert_int_equal(d.global_bytes, UINT64_C(1) << 35);
  assert_int_equal(d.max_iterations, 65535);
  d.native_float_width = 16;
  assert_int_equal(select_apply_limits("width=8", &d), CLVGG_OK);
  assert_int_equal(d.native_float_width, 8);
  assert_int_equal(select_apply_limits("width=16", &d), CLVGG_OK);
  assert_int_equal(d.native_float_width, 8);
  assert_int_equal(select_apply_limits("group=4096,alloc=99999999999999,iterations=70000,global=5", &d), CLVGG_OK);
  assert_int_equal(d.max_work_group, 64);
  assert_int_equal(d.max_alloc_bytes, 134217728);
  assert_int_equal(d.max_iterations, 65535);
  assert_int_equal(d.global_bytes, 5);
}

static void test_limits_syntax(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "group",   "group=",    "group=x",           "group=-1",
      "group=0", "group=64k", "groups=64",         "gr=64",
      "=64",     "group=64,", "group=64,,local=1", ",",
      "GROUP=1", "group= 64", "group=64;local=1",  "iterations=99999999999999999999999"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    clvgg_device_info d = {.max_work_group = 1024};
    if (select_apply_limits(wrong[i], &d) != CLVGG_ERROR_ARGUMENT) fail_msg("'%s' was accepted", wrong[i]);
    assert_non_null(strstr(clvgg_last_error(), "CLVGG_DEVICE_LIMITS"));
    assert_non_null(strstr(clvgg_last_error(), wrong[i]));
  }
}

static void test_contains(void **state) {
  (void)state;
  assert_true(select_contains("abcABD", "cab"));
  assert_true(select_contains("aab", "AB"));
  assert_true(select_contains("", ""));
  assert_false(select_contains("", "a"));
  assert_false(select_contains("ab", "abc"));
}

static void test_lanes_follow_the_vendor_where_the_driver_is_silent(void **state) {
  (void)state;
  static const struct {
    const char *vendor, *name;
    clvgg_device_type type;
    unsigned told, expected;
  } cases[] = {
      {"NVIDIA Corporation", "GeForce", CLVGG_DEVICE_GPU, 0, 32},
      {"Advanced Micro Devices, Inc.", "gfx906", CLVGG_DEVICE_GPU, 0, 64},
      {"Advanced Micro Devices, Inc.", "gfx1030", CLVGG_DEVICE_GPU, 32, 32},
      {"Intel(R) Corporation", "UHD Graphics", CLVGG_DEVICE_GPU, 0, 16},
      {"ARM", "Mali-G78", CLVGG_DEVICE_GPU, 0, 16},
      {"QUALCOMM", "Adreno", CLVGG_DEVICE_GPU, 0, 64},
      {"nobody", "Board", CLVGG_DEVICE_GPU, 0, 0},
      {"GenuineIntel", "pthread-skylake", CLVGG_DEVICE_CPU, 0, 0},
      {"Mesa/X.org, Intel", LLVMPIPE, CLVGG_DEVICE_GPU, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    clvgg_device_info d = {.type = cases[i].type, .lanes = cases[i].told, .usable = 1};
    snprintf(d.vendor, sizeof d.vendor, "%s", cases[i].vendor);
    snprintf(d.name, sizeof d.name, "%s", cases[i].name);
    select_apply_quirks(&d);
    assert_int_equal(d.lanes, cases[i].expected);
  }
}

static void test_a_cpu_can_be_taken_for_a_gpu(void **state) {
  (void)state;
  clvgg_device_info cpu = {.type = CLVGG_DEVICE_CPU}, other = {.type = CLVGG_DEVICE_ACCELERATOR};
  assert_int_equal(select_apply_limits("gpu=32,group=64", &cpu), CLVGG_OK);
  assert_int_equal(select_apply_limits("gpu=32", &other), CLVGG_OK);
  assert_true(cpu.type == CLVGG_DEVICE_GPU && cpu.lanes == 32);
  assert_true(other.type == CLVGG_DEVICE_ACCELERATOR && other.lanes == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_cpu_can_be_taken_for_a_gpu),
      cmocka_unit_test(test_lanes_follow_the_vendor_where_the_driver_is_silent),
      cmocka_unit_test(test_default_is_the_biggest_usable_gpu),
      cmocka_unit_test(test_first_listed_wins_among_equals),
      cmocka_unit_test(test_rasteriser_is_no_gpu),
      cmocka_unit_test(test_quirk_is_known_and_ranked_last_under_limits),
      cmocka_unit_test(test_binaries_are_used_as_the_driver_allows),
      cmocka_unit_test(test_id),
      cmocka_unit_test(test_type),
      cmocka_unit_test(test_name_part),
      cmocka_unit_test(test_lists_are_refused),
      cmocka_unit_test(test_lists),
      cmocka_unit_test(test_wrong_lists_are_refused),
      cmocka_unit_test(test_error_text_is_bounded),
      cmocka_unit_test(test_limits_lower_only),
      cmocka_unit_test(test_limits_syntax),
      cmocka_unit_test(test_contains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
