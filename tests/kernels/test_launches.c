/* Programs and launches: work-items on rounded grids, what must be refused, builds that fail, threads that share a device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/device_fixture.h"

static void test_kernel_runs_on_a_rounded_grid(void **state) {
  (void)state;
  enum { N = 100, ROOM = 128 };
  int32_t got[ROOM];
  device_buffer b = {0};
  device_kernel k = {0};
  ASSERT_OK(device_buffer_create(dev, sizeof got, &b));
  ASSERT_OK(device_fill(dev, &b, 0xffffffffu, 0, sizeof got));
  ASSERT_OK(device_kernel_create(dev, "good.cl", "ids", "-DSTEP=5", &k));
  assert_string_equal(k.name, "ids");
  assert_true(k.max_work_group > 0 && k.max_work_group <= device_info(dev)->max_work_group);
  const device_arg args[] = {arg_buffer(b.mem), arg_int(N), arg_float(2.0f)};
  ASSERT_OK(device_launch(dev, &k, args, 3, (const size_t[3]){N, 1, 1}, (const size_t[3]){8, 1, 1}));
  ASSERT_OK(device_read(dev, &b, 0, got, sizeof got));
  for (int i = 0; i < ROOM; i++) assert_int_equal(got[i], i < N ? 2 * i + 5 : -1);
  device_kernel_release(&k);
  device_kernel_release(&k);

  ASSERT_OK(device_kernel_create(dev, "good.cl", "sizes", "-DSTEP=5", &k));
  const device_arg out[] = {arg_buffer(b.mem)};
  ASSERT_OK(device_launch(dev, &k, out, 1, (const size_t[3]){10, 5, 3}, (const size_t[3]){8, 2, 1}));
  ASSERT_OK(device_read(dev, &b, 0, got, sizeof got));
  const int32_t expected[] = {16, 6, 3, 8, 2, 1};
  assert_memory_equal(got, expected, sizeof expected);
  ASSERT_OK(device_launch(dev, &k, out, 1, (const size_t[3]){10, 5, 3}, (const size_t[3]){0, 0, 0}));
  ASSERT_OK(device_read(dev, &b, 0, got, sizeof got));
  assert_int_equal(got[0], 10);
  assert_int_equal(got[1], 5);
  assert_int_equal(got[2], 3);
  /* Nothing to do is done. */
  ASSERT_OK(device_fill(dev, &b, 0, 0, sizeof got));
  ASSERT_OK(device_launch(dev, &k, out, 1, (const size_t[3]){10, 0, 3}, (const size_t[3]){8, 2, 1}));
  ASSERT_OK(device_read(dev, &b, 0, got, sizeof got));
  assert_int_equal(got[0], 0);
  device_kernel_release(&k);
  device_buffer_release(dev, &b);
}

static void test_bad_launches(void **state) {
  (void)state;
  device_buffer b = {0};
  device_kernel k = {0};
  ASSERT_OK(device_buffer_create(dev, 64, &b));
  ASSERT_OK(device_kernel_create(dev, "good.cl", "ids", "-DSTEP=0", &k));
  const device_arg args[] = {arg_buffer(b.mem), arg_int(1), arg_float(1)};
  const size_t global[3] = {64, 1, 1};
  char text[40];
  snprintf(text, sizeof text, "1 to %zu", k.max_work_group);
  ASSERT_FAILS(device_launch(dev, &k, args, 3, global, (const size_t[3]){k.max_work_group + 1, 1, 1}),
               CLVGG_ERROR_TOO_LARGE, text);
  assert_non_null(strstr(clvgg_last_error(), "ids"));
  assert_non_null(strstr(clvgg_last_error(), device_info(dev)->name));
  ASSERT_FAILS(device_launch(dev, &k, args, 3, global, (const size_t[3]){SIZE_MAX, SIZE_MAX, 2}), CLVGG_ERROR_TOO_LARGE,
               "work-group");
  ASSERT_FAILS(device_launch(dev, &k, args, 3, global, (const size_t[3]){4, 0, 1}), CLVGG_ERROR_ARGUMENT, "4x0x1");
  ASSERT_FAILS(device_launch(dev, &k, args, 3, (const size_t[3]){SIZE_MAX, 1, 1}, (const size_t[3]){4, 1, 1}),
               CLVGG_ERROR_TOO_LARGE, "too large");
  ASSERT_FAILS(device_launch(dev, &k, args, 3, (const size_t[3]){SIZE_MAX / 2, 4, 1}, (const size_t[3]){0, 0, 0}),
               CLVGG_ERROR_TOO_LARGE, "too large");
  const device_arg four[] = {args[0], args[1], args[2], arg_int(1)};
  ASSERT_FAILS(device_launch(dev, &k, four, 4, global, (const size_t[3]){4, 1, 1}), CLVGG_ERROR_DEVICE,
               "CL_INVALID_ARG_INDEX");
  assert_non_null(strstr(clvgg_last_error(), "argument 3 of 4"));
  /* The device is none the worse for it. */
  ASSERT_OK(device_launch(dev, &k, args, 3, global, (const size_t[3]){4, 1, 1}));
  ASSERT_OK(device_finish(dev));
  device_kernel_release(&k);
  device_buffer_release(dev, &b);
}

static void test_builds_that_fail(void **state) {
  (void)state;
  device_kernel k = {.max_work_group = 1};
  ASSERT_FAILS(device_kernel_create(dev, "bad.cl", "bad", "-DWIDTH=3", &k), CLVGG_ERROR_BUILD, "no_such_name");
  assert_null(k.kernel);
  assert_non_null(strstr(clvgg_last_error(), "bad.cl"));
  assert_non_null(strstr(clvgg_last_error(), "-DWIDTH=3"));
  assert_non_null(strstr(clvgg_last_error(), "-cl-std=CL1.2"));
  assert_non_null(strstr(clvgg_last_error(), device_info(dev)->name));
  assert_null(strchr(clvgg_last_error(), '\n'));
  ASSERT_FAILS(device_kernel_create(dev, "good.cl", "no_kernel", "-DSTEP=1", &k), CLVGG_ERROR_BUILD, "no_kernel");
  ASSERT_FAILS(device_kernel_create(dev, "missing.cl", "x", NULL, &k), CLVGG_ERROR_IO, "missing.cl");
  unsetenv("CLVGG_KERNEL_DIR");
  ASSERT_FAILS(device_kernel_create(dev, "missing.cl", "x", NULL, &k), CLVGG_ERROR_ARGUMENT, "missing.cl");
  /* Built before: kept, whatever the folder is now. */
  ASSERT_OK(device_kernel_create(dev, "good.cl", "ids", "-DSTEP=5", &k));
  device_kernel_release(&k);
  setenv("CLVGG_KERNEL_DIR", kernel_dir, 1);
}

typedef struct worker {
  pthread_t thread;
  int number, wrong;
} worker;

static void *work(void *argument) {
  worker *w = argument;
  char options[40];
  for (int round = 0; round < 5 && w->wrong == 0; round++) {
    int32_t got[64] = {0};
    const int step = 10 + (w->number + round) % 3; /* the same few programs, wanted by all at once */
    device_buffer b = {0};
    device_kernel k = {0};
    snprintf(options, sizeof options, "-DSTEP=%d", step);
    if (device_buffer_create(dev, sizeof got, &b) || device_kernel_create(dev, "good.cl", "ids", options, &k)) {
      w->wrong = 1;
    } else {
      const device_arg args[] = {arg_buffer(b.mem), arg_int(64), arg_float(1)};
      if (device_launch(dev, &k, args, 3, (const size_t[3]){64, 1, 1}, (const size_t[3]){4, 1, 1}) ||
          device_read(dev, &b, 0, got, sizeof got))
        w->wrong = 2;
      for (int i = 0; i < 64 && w->wrong == 0; i++)
        if (got[i] != i + step) w->wrong = 3;
    }
    device_kernel_release(&k);
    device_buffer_release(dev, &b);
  }
  return NULL;
}

static void test_threads_share_a_device(void **state) {
  (void)state;
  worker workers[4] = {{0}};
  const uint64_t before = device_bytes_in_use(dev);
  for (int i = 0; i < 4; i++) {
    workers[i].number = i;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(workers[i].thread, NULL);
    assert_int_equal(workers[i].wrong, 0);
  }
  assert_int_equal(device_bytes_in_use(dev), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kernel_runs_on_a_rounded_grid),
      cmocka_unit_test(test_bad_launches),
      cmocka_unit_test(test_builds_that_fail),
      cmocka_unit_test(test_threads_share_a_device),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
