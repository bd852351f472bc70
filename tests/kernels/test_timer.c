/* The device's clock: marks between launches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/device_fixture.h"

static void test_timer(void **state) {
  (void)state;
  enum { ITEMS = 4096, MARKS = 4 };
  device_timer *timer = NULL;
  device_buffer b = {0};
  device_kernel k = {0};
  double ms[MARKS - 1] = {-1, -1, -1};
  ASSERT_OK(device_buffer_create(dev, ITEMS * sizeof(float), &b));
  ASSERT_OK(device_fill(dev, &b, 0, 0, ITEMS * sizeof(float)));
  ASSERT_OK(device_kernel_create(dev, "good.cl", "spin", "-DSTEP=0", &k));
  const device_arg args[] = {arg_buffer(b.mem), arg_int(20000)};
  const size_t global[3] = {ITEMS, 1, 1}, any[3] = {0};
  ASSERT_OK(device_launch(dev, &k, args, 2, global, any));
  ASSERT_OK(device_finish(dev));
  ASSERT_FAILS(device_timer_open(dev, 0, &timer), CLVGG_ERROR_ARGUMENT, "0 marks");
  assert_null(timer);
  ASSERT_OK(device_timer_open(dev, MARKS, &timer));
  ASSERT_OK(device_timer_read(timer, ms)); /* no marks, no intervals */
  for (int round = 0; round < 2; round++) {
    device_timer_reset(timer);
    const double start = device_host_ms();
    ASSERT_OK(device_timer_mark(timer));
    ASSERT_OK(device_launch(dev, &k, args, 2, global, any));
    ASSERT_OK(device_timer_mark(timer));
    ASSERT_OK(device_timer_mark(timer));
    for (int i = 0; i < 3; i++) ASSERT_OK(device_launch(dev, &k, args, 2, global, any));
    ASSERT_OK(device_timer_mark(timer));
    ASSERT_OK(device_timer_read(timer, ms));
    const double host_ms = device_host_ms() - start;
    for (int i = 0; i < MARKS - 1; i++) assert_true(ms[i] >= 0);
    /* Facts of any clock: work takes time, and all intervals are inside the host's. */
    assert_true(ms[0] > 0 && ms[2] > 0);
    assert_true(ms[0] + ms[1] + ms[2] <= host_ms * 1.3 + 1);
  }
  ASSERT_FAILS(device_timer_mark(timer), CLVGG_ERROR_ARGUMENT, "full");
  device_timer_close(&timer);
  assert_null(timer);
  device_timer_close(&timer);
  device_timer_close(NULL);
  device_kernel_release(&k);
  device_buffer_release(dev, &b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_timer),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
