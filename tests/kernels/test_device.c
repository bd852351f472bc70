/* host/device on a real device, the one that CLVGG_DEVICE names: how it is listed and opened, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernels/device_fixture.h"

static void test_list_agrees_with_the_open_device(void **state) {
  (void)state;
  clvgg_device_info *list = NULL, info;
  size_t count = 0, defaults = 0, found = 0;
  ASSERT_OK(clvgg_device_list(&list, &count));
  assert_true(count > 0);
  clvgg_device_get_info(dev, &info);
  for (size_t i = 0; i < count; i++) {
    assert_true(list[i].usable == (list[i].reason[0] == '\0'));
    if (!list[i].is_default) continue;
    defaults++;
    found = i;
  }
  assert_int_equal(defaults, 1);
  assert_memory_equal(&list[found], &info, sizeof info);
  assert_true(info.compute_units > 0 && info.max_work_group > 0 && info.native_float_width > 0);
  assert_true(info.global_bytes >= info.max_alloc_bytes && info.max_alloc_bytes >= (1 << 20));
  assert_true(info.local_bytes >= 1024 && info.base_align_bytes >= 4 && info.base_align_bytes <= 65536);
  assert_int_equal(info.max_iterations, strstr(info.name, "llvmpipe") != NULL ? 65535 : 0);
  clvgg_device_list_free(list);
  clvgg_device_list_free(NULL);
}

static void test_bad_calls(void **state) {
  (void)state;
  clvgg_device *other = (clvgg_device *)&state;
  ASSERT_FAILS(clvgg_device_open("77:0", &other), CLVGG_ERROR_DEVICE, "77:0");
  assert_null(other);
  ASSERT_FAILS(clvgg_device_open("all", &other), CLVGG_ERROR_ARGUMENT, "one device is wanted");
  ASSERT_FAILS(clvgg_device_open(NULL, NULL), CLVGG_ERROR_ARGUMENT, "NULL");
  ASSERT_FAILS(clvgg_device_wrap(NULL, NULL, &other), CLVGG_ERROR_ARGUMENT, "NULL");
  ASSERT_FAILS(clvgg_device_list(NULL, NULL), CLVGG_ERROR_ARGUMENT, "NULL");
  clvgg_device_close(NULL);
  clvgg_device_close(&other);
  clvgg_device_info info;
  clvgg_device_get_info(NULL, &info);
  assert_int_equal(info.usable, 0);
}

static void test_extensions_are_listed(void **state) {
  (void)state;
  const char *list = clvgg_device_get_extensions(dev);
  clvgg_device_info info;
  clvgg_device_get_info(dev, &info);
  assert_non_null(strstr(list, "cl_khr_"));
  assert_true((strstr(list, "cl_khr_fp16") != NULL) == (info.fp16 == 1));
  assert_true((strstr(list, "cl_khr_subgroups") || strstr(list, "cl_intel_subgroups")) == (info.subgroups == 1));
  assert_string_equal(clvgg_device_get_extensions(NULL), "");
}

static void test_limits_reach_the_device(void **state) {
  (void)state;
  clvgg_device *small = NULL;
  device_buffer buffer;
  device_kernel kernel;
  const size_t global[3] = {8, 1, 1}, local[3] = {8, 1, 1};
  setenv("CLVGG_DEVICE_LIMITS", "group=4,alloc=4096,global=6000,local=64", 1);
  ASSERT_OK(clvgg_device_open(device_info(dev)->id, &small));
  assert_int_equal(device_info(small)->local_bytes, 64);
  setenv("CLVGG_DEVICE_LIMITS", "group=many", 1);
  clvgg_device *none = NULL;
  ASSERT_FAILS(clvgg_device_open(NULL, &none), CLVGG_ERROR_ARGUMENT, "group=many");
  unsetenv("CLVGG_DEVICE_LIMITS");
  assert_null(none);
  ASSERT_FAILS(device_buffer_create(small, 4097, &buffer), CLVGG_ERROR_TOO_LARGE, "0.00 MiB");
  assert_null(buffer.mem);
  ASSERT_OK(device_buffer_create(small, 4096, &buffer));
  device_buffer second;
  ASSERT_FAILS(device_buffer_create(small, 4096, &second), CLVGG_ERROR_TOO_LARGE, "in use");
  ASSERT_OK(device_buffer_create(small, 1904, &second));
  assert_int_equal(device_bytes_in_use(small), 6000);
  ASSERT_OK(device_kernel_create(small, "good.cl", "ids", "-DSTEP=1", &kernel));
  assert_true(kernel.max_work_group <= 4);
  const device_arg args[] = {arg_buffer(buffer.mem), arg_int(8), arg_float(1)};
  const size_t fits[3] = {4, 1, 1};
  ASSERT_FAILS(device_launch(small, &kernel, args, 3, global, local), CLVGG_ERROR_TOO_LARGE, "8x1x1");
  ASSERT_OK(device_launch(small, &kernel, args, 3, global, fits));
  ASSERT_OK(device_finish(small));
  device_kernel_release(&kernel);
  device_buffer_release(small, &second);
  device_buffer_release(small, &buffer);
  assert_int_equal(device_bytes_in_use(small), 0);
  clvgg_device_close(&small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list_agrees_with_the_open_device),
      cmocka_unit_test(test_bad_calls),
      cmocka_unit_test(test_extensions_are_listed),
      cmocka_unit_test(test_limits_reach_the_device),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
