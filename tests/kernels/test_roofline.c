/* The measured ceilings of the device that CLVGG_DEVICE names: plausible, repeatable, on small devices too, and never taken from
 * a kernel that skipped work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/fixture.h"
#include "measure/roofline.h"

#define ASSERT_OK(call)                                                    \
  do {                                                                     \
    if ((call) != CLVGG_OK) fail_msg("%s: %s", #call, clvgg_last_error()); \
  } while (0)

/* A device opened afresh: limits are read then, and kernels are compiled again. */
static clvgg_roofline measure(clvgg_device_info *info) {
  clvgg_device *dev = NULL;
  clvgg_roofline r = {-1, -1};
  ASSERT_OK(clvgg_device_open(NULL, &dev));
  ASSERT_OK(roofline_measure(dev, &r));
  assert_int_equal(device_bytes_in_use(dev), 0);
  if (info) *info = *device_info(dev);
  clvgg_device_close(&dev);
  print_message("%.1f GFLOP/s, %.1f GB/s\n", r.peak_gflops, r.peak_gbytes_per_s);
  assert_true(isfinite(r.peak_gflops) && r.peak_gflops > 0);
  assert_true(isfinite(r.peak_gbytes_per_s) && r.peak_gbytes_per_s > 0);
  return r;
}

/* Keeps the two largest values, largest first. */
static void keep_two(double two[2], double value) {
  if (value > two[0])
    two[1] = two[0], two[0] = value;
  else if (value > two[1])
    two[1] = value;
}

/* Whatever else the machine does makes a figure smaller, so the two largest of a few are what must agree. */
static void test_two_calls_agree(void **state) {
  (void)state;
  clvgg_device_info info;
  double flops[2] = {0}, bytes[2] = {0};
  bool agree = false;
  for (int i = 0; i < 6 && !agree; i++) {
    const clvgg_roofline r = measure(&info);
    keep_two(flops, r.peak_gflops);
    keep_two(bytes, r.peak_gbytes_per_s);
    agree = flops[0] < 3 * flops[1] && bytes[0] < 3 * bytes[1];
  }
  assert_true(agree);
  /* No core has more than four FMA units of sixteen lanes or a clock above 7 GHz: more is work that was dropped. */
  if (info.type == CLVGG_DEVICE_CPU) assert_true(flops[0] < info.compute_units * 7.0 * 4 * 16 * 2);
}

static void test_small_devices(void **state) {
  (void)state;
  static const char *const limits[] = {"group=1", "group=16,alloc=1048576,global=16777216", "iterations=100",
                                       "iterations=1,alloc=65536,global=262144"};
  for (size_t i = 0; i < COUNT(limits); i++) {
    setenv("CLVGG_DEVICE_LIMITS", limits[i], 1);
    measure(NULL);
  }
  unsetenv("CLVGG_DEVICE_LIMITS");
}

static void test_little_memory_left(void **state) {
  (void)state;
  clvgg_device *dev = NULL;
  device_buffer taken;
  clvgg_roofline r;
  setenv("CLVGG_DEVICE_LIMITS", "global=16777216", 1);
  ASSERT_OK(clvgg_device_open(NULL, &dev));
  unsetenv("CLVGG_DEVICE_LIMITS");
  ASSERT_OK(device_buffer_create(dev, 15 << 20, &taken));
  ASSERT_OK(roofline_measure(dev, &r));
  assert_true(r.peak_gbytes_per_s > 0);
  device_buffer_release(dev, &taken);
  clvgg_device_close(&dev);
}

/* A file of cl/ with the first from replaced by to, in a folder that CLVGG_KERNEL_DIR names. */
static void write_edited(const char *folder, const char *from, const char *to) {
  char path[200], text[16384];
  FILE *f = fopen(KERNEL_SOURCE, "r");
  assert_non_null(f);
  const size_t length = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  assert_true(length < sizeof text - 1);
  text[length] = '\0';
  char *at = strstr(text, from);
  assert_non_null(at);
  snprintf(path, sizeof path, "%s/roofline.cl", folder);
  f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  assert_int_equal(fclose(f), 0);
}

static void test_skipped_work_is_noticed(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *kernel;
  } faults[] = {
      {"i < steps; i++)", "i < steps - 1; i++)", "roofline_f32_fma"},
      {"read##j += at", "read##j = at", "roofline_f32_read"},
      {"i < steps; i++, at", "i < min(steps, 65); i++, at", "roofline_f32_read"},
  };
  char folder[] = "/tmp/clvgg-test-roofline-XXXXXX", path[200];
  assert_non_null(mkdtemp(folder));
  setenv("CLVGG_KERNEL_DIR", folder, 1);
  for (size_t i = 0; i < COUNT(faults); i++) {
    clvgg_device *dev = NULL;
    clvgg_roofline r = {-1, -1};
    write_edited(folder, faults[i].from, faults[i].to);
    ASSERT_OK(clvgg_device_open(NULL, &dev));
    assert_int_equal(roofline_measure(dev, &r), CLVGG_ERROR_MISMATCH);
    if (!strstr(clvgg_last_error(), faults[i].kernel)) fail_msg("no kernel's name in '%s'", clvgg_last_error());
    assert_true(r.peak_gflops == 0 && r.peak_gbytes_per_s == 0);
    assert_int_equal(device_bytes_in_use(dev), 0);
    clvgg_device_close(&dev);
  }
  unsetenv("CLVGG_KERNEL_DIR");
  snprintf(path, sizeof path, "%s/roofline.cl", folder);
  unlink(path);
  rmdir(folder);
}

int main(void) {
  cache_make();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_calls_agree),
      cmocka_unit_test(test_small_devices),
      cmocka_unit_test(test_little_memory_left),
      cmocka_unit_test(test_skipped_work_is_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
