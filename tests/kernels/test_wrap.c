/* A device on the application's own context and queue, and its events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernels/device_fixture.h"

typedef struct own {
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;
} own;

/* Finds the device by the numbers of its id, "P:D". */
static own make_own(cl_command_queue_properties properties) {
  unsigned p = 0, d = 0;
  cl_platform_id platforms[16];
  cl_device_id ids[64];
  own o = {0};
  cl_int code = CL_SUCCESS;
  assert_int_equal(sscanf(device_info(dev)->id, "%u:%u", &p, &d), 2);
  assert_true(p < 16 && d < 64);
  assert_int_equal(clGetPlatformIDs(16, platforms, NULL), CL_SUCCESS);
  assert_int_equal(clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 64, ids, NULL), CL_SUCCESS);
  o.id = ids[d];
  o.context = clCreateContext(NULL, 1, &o.id, NULL, NULL, &code);
  assert_int_equal(code, CL_SUCCESS);
  o.queue = clCreateCommandQueue(o.context, o.id, properties, &code);
  return o;
}

static void free_own(own *o) {
  if (o->queue != NULL) clReleaseCommandQueue(o->queue);
  clReleaseContext(o->context);
}

static void test_wrap(void **state) {
  (void)state;
  own mine = make_own(0), stranger = make_own(0);
  assert_non_null(mine.queue);
  clvgg_device *wrapped = NULL;
  ASSERT_FAILS(clvgg_device_wrap(stranger.context, mine.queue, &wrapped), CLVGG_ERROR_ARGUMENT, "another context");
  assert_null(wrapped);
  ASSERT_OK(clvgg_device_wrap(mine.context, mine.queue, &wrapped));
  assert_string_equal(device_info(wrapped)->id, "");
  assert_string_equal(device_info(wrapped)->name, device_info(dev)->name);
  assert_string_equal(device_info(wrapped)->platform, device_info(dev)->platform);
  assert_int_equal(device_info(wrapped)->usable, 1);
  assert_int_equal(device_info(wrapped)->max_alloc_bytes, device_info(dev)->max_alloc_bytes);

  /* Both are retained: the application's references may go. */
  free_own(&mine);
  clvgg_device *second = device_retain(wrapped);
  clvgg_device_close(&second);
  int32_t got[16];
  device_buffer b = {0};
  device_kernel k = {0};
  device_timer *timer = NULL;
  double ms = -1;
  ASSERT_OK(device_buffer_create(wrapped, sizeof got, &b));
  ASSERT_OK(device_kernel_create(wrapped, "good.cl", "ids", "-DSTEP=1", &k));
  ASSERT_OK(device_timer_open(wrapped, 2, &timer)); /* a queue without profiling: the host's clock */
  ASSERT_OK(device_timer_mark(timer));
  const device_arg args[] = {arg_buffer(b.mem), arg_int(16), arg_float(3)};
  ASSERT_OK(device_launch(wrapped, &k, args, 3, (const size_t[3]){16, 1, 1}, (const size_t[3]){4, 1, 1}));
  ASSERT_OK(device_timer_mark(timer));
  ASSERT_OK(device_timer_read(timer, &ms));
  assert_true(ms > 0);
  ASSERT_OK(device_read(wrapped, &b, 0, got, sizeof got));
  for (int i = 0; i < 16; i++) assert_int_equal(got[i], 3 * i + 1);
  device_kernel_release(&k);
  device_buffer_release(wrapped, &b);
  clvgg_device_close(&wrapped); /* the timer still keeps it */
  device_timer_close(&timer);
  free_own(&stranger);
}

static void test_wrap_refuses_out_of_order(void **state) {
  (void)state;
  own mine = make_own(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  if (mine.queue == NULL) {
    free_own(&mine);
    skip(); /* the driver has no such queues */
  }
  clvgg_device *wrapped = NULL;
  ASSERT_FAILS(clvgg_device_wrap(mine.context, mine.queue, &wrapped), CLVGG_ERROR_ARGUMENT, "out of order");
  assert_null(wrapped);
  free_own(&mine);
}

static void test_waits_and_signals(void **state) {
  (void)state;
  own mine = make_own(0);
  clvgg_device *wrapped = NULL;
  ASSERT_OK(clvgg_device_wrap(mine.context, mine.queue, &wrapped));
  device_buffer b = {0};
  cl_int code = CL_SUCCESS, running = CL_COMPLETE;
  cl_event gate = clCreateUserEvent(mine.context, &code), done = NULL;
  assert_int_equal(code, CL_SUCCESS);
  ASSERT_OK(device_buffer_create(wrapped, 4, &b));
  ASSERT_OK(device_wait_for(wrapped, 0, NULL));
  ASSERT_FAILS(device_wait_for(wrapped, 1, NULL), CLVGG_ERROR_ARGUMENT, "NULL");
  ASSERT_OK(device_wait_for(wrapped, 1, &gate));
  ASSERT_OK(device_fill(wrapped, &b, 42, 0, 4));
  ASSERT_OK(device_signal(wrapped, &done));
  usleep(20000);
  assert_int_equal(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof running, &running, NULL), CL_SUCCESS);
  assert_true(running > CL_COMPLETE); /* the gate is shut */
  assert_int_equal(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
  assert_int_equal(clWaitForEvents(1, &done), CL_SUCCESS);
  uint32_t word = 0;
  ASSERT_OK(device_read(wrapped, &b, 0, &word, sizeof word));
  assert_int_equal(word, 42);
  clReleaseEvent(gate);
  clReleaseEvent(done);
  device_buffer_release(wrapped, &b);
  clvgg_device_close(&wrapped);
  free_own(&mine);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wrap),
      cmocka_unit_test(test_wrap_refuses_out_of_order),
      cmocka_unit_test(test_waits_and_signals),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
