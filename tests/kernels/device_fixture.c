/* Opens the device that the tests of host/device use, and writes the kernels that they launch. */
#include "kernels/device_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

clvgg_device *dev;
char kernel_dir[] = "/tmp/clvgg-test-device-XXXXXX";

static const char good_source[] =
    "__kernel void ids(__global int *out, int n, float scale) {\n"
    "  int i = get_global_id(0) + get_global_size(0) * (get_global_id(1) + get_global_size(1) * get_global_id(2));\n"
    "  if (i < n) out[i] = (int)(i * scale) + STEP;\n"
    "}\n"
    "__kernel void sizes(__global int *out) {\n"
    "  if (get_global_id(0) + get_global_id(1) + get_global_id(2) == 0)\n"
    "    for (int d = 0; d < 3; d++) { out[d] = get_global_size(d); out[3 + d] = get_local_size(d); }\n"
    "}\n"
    "__kernel void spin(__global float *out, int n) {\n"
    "  float x = out[get_global_id(0)];\n"
    "  for (int i = 0; i < n; i++) x = x * 0.999f + 0.1f;\n"
    "  out[get_global_id(0)] = x;\n"
    "}\n";
static const char bad_source[] = "__kernel void bad(__global int *out) {\n  out[0] = no_such_name;\n}\n";

static void write_kernel(const char *name, const char *text) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", kernel_dir, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fputs(text, f) >= 0, 1);
  assert_int_equal(fclose(f), 0);
}

static void remove_kernel(const char *name) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", kernel_dir, name);
  unlink(path);
}

int open_device(void **state) {
  (void)state;
  if (mkdtemp(kernel_dir) == NULL) return -1;
  write_kernel("good.cl", good_source);
  write_kernel("bad.cl", bad_source);
  setenv("CLVGG_KERNEL_DIR", kernel_dir, 1);
  if (clvgg_device_open(NULL, &dev) == CLVGG_OK) {
    print_message("device: %s '%s'\n", device_info(dev)->id, device_info(dev)->name);
    return 0;
  }
  print_error("%s\n", clvgg_last_error());
  return -1;
}

int close_device(void **state) {
  (void)state;
  clvgg_device_close(&dev);
  remove_kernel("good.cl");
  remove_kernel("bad.cl");
  rmdir(kernel_dir);
  return dev == NULL ? 0 : -1;
}
