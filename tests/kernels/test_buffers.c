/* Device memory: what is written is read, filled and copied, whatever is asked beside it is refused, and no byte is lost count of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "device/internal.h"
#include "kernels/device_fixture.h"

static void check_round_trip(clvgg_device *on) {
  enum { N = 1000 };
  static const unsigned char patch[5] = {'h', 'e', 'l', 'l', 'o'};
  unsigned char out[N], in[N], expected[N];
  device_buffer b = {0};
  const uint64_t before = device_bytes_in_use(on);
  ASSERT_OK(device_buffer_create(on, N, &b));
  assert_int_equal(b.bytes, N);
  assert_int_equal(device_bytes_in_use(on), before + N);
  for (int i = 0; i < N; i++) out[i] = (unsigned char)(i * 7 + 3);
  ASSERT_OK(device_write(on, &b, 0, out, N));
  ASSERT_OK(device_read(on, &b, 0, in, N));
  assert_memory_equal(in, out, N);
  /* Odd offsets, and what is around stays. */
  ASSERT_OK(device_write(on, &b, 13, patch, sizeof patch));
  memcpy(expected, out, N);
  memcpy(expected + 13, patch, sizeof patch);
  ASSERT_OK(device_read(on, &b, 0, in, N));
  assert_memory_equal(in, expected, N);
  ASSERT_OK(device_read(on, &b, 15, in, 2));
  assert_memory_equal(in, patch + 2, 2);
  ASSERT_OK(device_write(on, &b, N, out, 0));
  ASSERT_OK(device_read(on, &b, N, in, 0));
  ASSERT_FAILS(device_write(on, &b, N, out, 1), CLVGG_ERROR_ARGUMENT, "outside the buffer of 1000 bytes");
  ASSERT_FAILS(device_write(on, &b, 1, out, N), CLVGG_ERROR_ARGUMENT, "outside");
  ASSERT_FAILS(device_read(on, &b, SIZE_MAX, in, 2), CLVGG_ERROR_ARGUMENT, "outside");
  ASSERT_FAILS(device_read(on, &b, 2, in, SIZE_MAX), CLVGG_ERROR_ARGUMENT, "outside");
  device_buffer_release(on, &b);
  device_buffer_release(on, &b);
  assert_null(b.mem);
  assert_int_equal(device_bytes_in_use(on), before);
}

static void test_buffer_round_trip(void **state) {
  (void)state;
  check_round_trip(dev);
}

/* As on a GPU in the host's memory, which this device need not be: copies by mapping, in turns with a kernel's work. */
static void test_mapped_round_trip(void **state) {
  (void)state;
  clvgg_device *mapping = NULL;
  ASSERT_OK(clvgg_device_open(NULL, &mapping));
  mapping->info.type = CLVGG_DEVICE_GPU;
  mapping->info.unified_memory = 1;
  mapping->info.software_rasteriser = 0;
  check_round_trip(mapping);
  device_buffer b = {0};
  device_kernel spin = {0};
  float values[256];
  ASSERT_OK(device_buffer_create(mapping, sizeof values, &b));
  ASSERT_OK(device_kernel_create(mapping, "good.cl", "spin", "-DSTEP=1", &spin));
  const device_arg args[] = {arg_buffer(b.mem), arg_int(1)};
  for (int round = 1; round <= 20; round++) {
    for (int i = 0; i < 256; i++) values[i] = (float)(round * 1000 + i);
    ASSERT_OK(device_write(mapping, &b, 0, values, sizeof values));
    ASSERT_OK(device_launch(mapping, &spin, args, 2, (size_t[3]){256, 1, 1}, (size_t[3]){1, 1, 1}));
    memset(values, 0, sizeof values);
    ASSERT_OK(device_read(mapping, &b, 0, values, sizeof values));
    for (int i = 0; i < 256; i++) assert_float_equal(values[i], (float)(round * 1000 + i) * 0.999f + 0.1f, 0.01f);
  }
  device_kernel_release(&spin);
  device_buffer_release(mapping, &b);
  assert_int_equal(device_bytes_in_use(mapping), 0);
  clvgg_device_close(&mapping);
}

static void test_fill_and_copy(void **state) {
  (void)state;
  enum { N = 64 };
  uint32_t words[N];
  device_buffer a = {0}, b = {0};
  ASSERT_OK(device_buffer_create(dev, sizeof words, &a));
  ASSERT_OK(device_buffer_create(dev, sizeof words, &b));
  ASSERT_OK(device_fill(dev, &a, 0x11223344u, 0, sizeof words));
  ASSERT_OK(device_fill(dev, &a, 0xdeadbeefu, 20, 28));
  ASSERT_OK(device_fill(dev, &b, 0, 0, sizeof words));
  ASSERT_OK(device_copy(dev, a.mem, 16, b.mem, 160, 36));
  ASSERT_OK(device_read(dev, &a, 0, words, sizeof words));
  for (int i = 0; i < N; i++) assert_int_equal(words[i], i >= 5 && i < 12 ? 0xdeadbeefu : 0x11223344u);
  ASSERT_OK(device_read(dev, &b, 0, words, sizeof words));
  for (int i = 0; i < N; i++)
    assert_int_equal(words[i], i < 40 || i >= 49 ? 0 : i == 40 || i == 48 ? 0x11223344u : 0xdeadbeefu);
  ASSERT_OK(device_fill(dev, &a, 1, sizeof words, 0));
  ASSERT_FAILS(device_fill(dev, &a, 1, 2, 4), CLVGG_ERROR_ARGUMENT, "multiples of 4");
  ASSERT_FAILS(device_fill(dev, &a, 1, 0, 6), CLVGG_ERROR_ARGUMENT, "multiples of 4");
  ASSERT_FAILS(device_fill(dev, &a, 1, 4, sizeof words), CLVGG_ERROR_ARGUMENT, "outside");
  ASSERT_FAILS(device_copy(dev, a.mem, 4, b.mem, 0, sizeof words), CLVGG_ERROR_ARGUMENT, "copy from");
  ASSERT_FAILS(device_copy(dev, a.mem, 0, b.mem, 4, sizeof words), CLVGG_ERROR_ARGUMENT, "copy to");
  ASSERT_FAILS(device_copy(dev, NULL, 0, b.mem, 4, 4), CLVGG_ERROR_DEVICE, "CL_INVALID_MEM_OBJECT");
  device_buffer_release(dev, &a);
  device_buffer_release(dev, &b);
}

static void test_too_large(void **state) {
  (void)state;
  device_buffer b = {.bytes = 1};
  char text[40];
  const uint64_t most = device_info(dev)->max_alloc_bytes, before = device_bytes_in_use(dev);
  ASSERT_FAILS(device_buffer_create(dev, (size_t)most + 1, &b), CLVGG_ERROR_TOO_LARGE, device_info(dev)->name);
  snprintf(text, sizeof text, "%.2f MiB", (double)most / 1048576.0);
  assert_non_null(strstr(clvgg_last_error(), text));
  assert_null(b.mem);
  ASSERT_FAILS(device_buffer_create(dev, SIZE_MAX, &b), CLVGG_ERROR_TOO_LARGE, "MiB");
  ASSERT_FAILS(device_buffer_create(dev, 0, &b), CLVGG_ERROR_ARGUMENT, "0 bytes");
  assert_int_equal(device_bytes_in_use(dev), before);
}

static void test_foreign_buffers(void **state) {
  (void)state;
  device_buffer b = {0}, theirs = {0};
  clvgg_device *other = NULL;
  ASSERT_OK(device_buffer_create(dev, 100, &b));
  ASSERT_OK(device_check_foreign(dev, b.mem, 100, "images"));
  ASSERT_FAILS(device_check_foreign(dev, b.mem, 101, "images"), CLVGG_ERROR_ARGUMENT, "at least 101");
  ASSERT_FAILS(device_check_foreign(dev, NULL, 1, "logits"), CLVGG_ERROR_ARGUMENT, "logits");
  ASSERT_OK(clvgg_device_open(device_info(dev)->id, &other));
  ASSERT_OK(device_buffer_create(other, 100, &theirs));
  ASSERT_FAILS(device_check_foreign(dev, theirs.mem, 100, "images"), CLVGG_ERROR_ARGUMENT, "another context");
  device_buffer_release(other, &theirs);
  clvgg_device_close(&other);
  device_buffer_release(dev, &b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_buffer_round_trip), cmocka_unit_test(test_mapped_round_trip),
      cmocka_unit_test(test_fill_and_copy),     cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_foreign_buffers),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
