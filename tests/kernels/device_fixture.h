/* What the tests of host/device share: an open device, and a folder of kernels made for them. After cmocka.h. */
#ifndef CLVGG_TESTS_KERNELS_DEVICE_FIXTURE_H
#define CLVGG_TESTS_KERNELS_DEVICE_FIXTURE_H

#include <string.h>

#include "device/device.h"

#define ASSERT_OK(call)                                                    \
  do {                                                                     \
    if ((call) != CLVGG_OK) fail_msg("%s: %s", #call, clvgg_last_error()); \
  } while (0)

#define ASSERT_FAILS(call, status, text)                                                                     \
  do {                                                                                                       \
    assert_int_equal(call, status);                                                                          \
    if (strstr(clvgg_last_error(), text) == NULL) fail_msg("'%s' is not in '%s'", text, clvgg_last_error()); \
  } while (0)

extern clvgg_device *dev; /* the one that CLVGG_DEVICE names */
/* $CLVGG_KERNEL_DIR: good.cl has the kernels ids, sizes and spin, and wants -DSTEP; bad.cl does not compile. */
extern char kernel_dir[];

/* For cmocka_run_group_tests. */
int open_device(void **state);
int close_device(void **state);

#endif
