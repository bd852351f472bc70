/* host/device on a real device, the one that CLVGG_DEVICE names: memory, programs, launches, time, wrapping, CLBlast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device/device.h"
#include "device/internal.h"

#define ASSERT_OK(call)                                                    \
  do {                                                                     \
    if ((call) != CLVGG_OK) fail_msg("%s: %s", #call, clvgg_last_error()); \
  } while (0)

#define ASSERT_FAILS(call, status, text)                                                                     \
  do {                                                                                                       \
    assert_int_equal(call, status);                                                                          \
    if (strstr(clvgg_last_error(), text) == NULL) fail_msg("'%s' is not in '%s'", text, clvgg_last_error()); \
  } while (0)

static clvgg_device *dev;
static char kernel_dir[] = "/tmp/clvgg-test-device-XXXXXX";

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

static int open_device(void **state) {
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

static int close_device(void **state) {
  (void)state;
  clvgg_device_close(&dev);
  remove_kernel("good.cl");
  remove_kernel("bad.cl");
  rmdir(kernel_dir);
  return dev == NULL ? 0 : -1;
}

/* ---- listing and opening */

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

/* ---- memory */

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

/* ---- programs and launches */

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

/* ---- time and events */

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

/* ---- the application's own context and queue */

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

/* ---- CLBlast */

enum { M = 33, N = 20, K = 47, PAD = 3, OFFSET = 5 };

static float value(size_t i) {
  return (float)((i * 2654435761u) % 1000) / 500.0f - 1.0f;
}

static void check_gemm(const device_gemm_config *config, bool ta, bool tb, bool accumulate) {
  static float a[OFFSET + (M + K) * (M + K + PAD)], b[OFFSET + (N + K) * (N + K + PAD)], c[OFFSET + M * (N + PAD)];
  static float got[OFFSET + M * (N + PAD)];
  const size_t lda = (ta ? M : K) + PAD, ldb = (tb ? K : N) + PAD, ldc = N + PAD;
  for (size_t i = 0; i < sizeof a / sizeof *a; i++) a[i] = value(i);
  for (size_t i = 0; i < sizeof b / sizeof *b; i++) b[i] = value(i + 7777);
  /* What is there before must not matter unless it is added to. */
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) c[i] = accumulate ? value(i + 99) : NAN;
  device_buffer da = {0}, db = {0}, dc = {0};
  ASSERT_OK(device_buffer_create(dev, sizeof a, &da));
  ASSERT_OK(device_buffer_create(dev, sizeof b, &db));
  ASSERT_OK(device_buffer_create(dev, sizeof c, &dc));
  ASSERT_OK(device_write(dev, &da, 0, a, sizeof a));
  ASSERT_OK(device_write(dev, &db, 0, b, sizeof b));
  ASSERT_OK(device_write(dev, &dc, 0, c, sizeof c));
  ASSERT_OK(device_gemm(dev, config, M, N, K, (device_matrix){da.mem, OFFSET, lda, ta},
                        (device_matrix){db.mem, OFFSET, ldb, tb}, accumulate,
                        (device_matrix){dc.mem, OFFSET, ldc, false}));
  ASSERT_OK(device_read(dev, &dc, 0, got, sizeof got));
  for (size_t i = 0; i < OFFSET; i++) assert_memory_equal(&got[i], &c[i], sizeof c[i]);
  for (size_t y = 0; y < M; y++)
    for (size_t x = 0; x < ldc; x++) {
      const size_t at = OFFSET + y * ldc + x;
      if (x >= N) {
        assert_memory_equal(&got[at], &c[at], sizeof c[at]); /* the padding of a row is not the product's */
        continue;
      }
      double sum = accumulate ? c[at] : 0;
      for (size_t z = 0; z < K; z++)
        sum += (double)a[OFFSET + (ta ? z * lda + y : y * lda + z)] * b[OFFSET + (tb ? x * ldb + z : z * ldb + x)];
      if (!(fabs(got[at] - sum) <= 1e-5 * K))
        fail_msg("ta %d tb %d accumulate %d: C[%zu][%zu] is %g, expected %g", ta, tb, accumulate, y, x, got[at], sum);
    }
  device_buffer_release(dev, &da);
  device_buffer_release(dev, &db);
  device_buffer_release(dev, &dc);
}

static void test_gemm(void **state) {
  (void)state;
  if (!device_has_clblast()) {
    const device_matrix none = {0};
    ASSERT_FAILS(device_gemm(dev, NULL, 1, 1, 1, none, none, false, none), CLVGG_ERROR_UNSUPPORTED, "without CLBlast");
    skip();
  }
  for (int i = 0; i < 8; i++) check_gemm(NULL, i & 1, i & 2, i & 4);
}

static void test_gemm_errors(void **state) {
  (void)state;
  if (!device_has_clblast()) skip();
  device_buffer b = {0};
  ASSERT_OK(device_buffer_create(dev, 400, &b));
  const device_matrix good = {b.mem, 0, 10, false}, narrow = {b.mem, 0, 9, false}, late = {b.mem, 1, 10, false};
  const device_matrix turned = {b.mem, 0, 10, true};
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 10, 10, narrow, good, false, good), CLVGG_ERROR_ARGUMENT,
               "leading dimension of A");
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 10, 10, good, late, false, good), CLVGG_ERROR_ARGUMENT,
               "buffer of B is too small");
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 0, 10, good, good, false, good), CLVGG_ERROR_ARGUMENT, "larger than 0");
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 10, 10, good, good, false, turned), CLVGG_ERROR_ARGUMENT, "transposed");
  device_buffer_release(dev, &b);
}

#define XGEMM_VALUES  16
#define DIRECT_VALUES 10

/* Groups of one item with the tile given, for all three kernels. */
static device_gemm_config make_config(int id, size_t values[XGEMM_VALUES + DIRECT_VALUES + 1], size_t tile,
                                      size_t width) {
  static const char *const names[] = {
      "MWG",   "NWG",    "VWM",    "GEMMK",  "STRM",   "STRN", "SA",   "SB",   "KWG",
      "MDIMC", "NDIMC",  "MDIMA",  "NDIMB",  "KWI",    "VWN",  "KREG", "WGD",  "PADA",
      "PADB",  "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD", "KWID", "VWMD", "VWND", "XGEMM_MIN_INDIRECT_SIZE"};
  for (size_t i = 0; i < XGEMM_VALUES + DIRECT_VALUES + 1; i++) values[i] = 1;
  values[0] = values[1] = tile;
  values[2] = width;
  for (size_t i = 3; i < 8; i++) values[i] = 0;
  return (device_gemm_config){
      .id = id,
      .part = {{"Xgemm", XGEMM_VALUES, names, values},
               {"XgemmDirect", DIRECT_VALUES, names + XGEMM_VALUES, values + XGEMM_VALUES},
               {"GemmRoutine", 1, names + XGEMM_VALUES + DIRECT_VALUES, values + XGEMM_VALUES + DIRECT_VALUES}}};
}

/* What one configuration does wrong is over with the next; results do not depend on what was set before. */
static void test_gemm_configurations(void **state) {
  (void)state;
  if (!device_has_clblast()) skip();
  size_t values[5][XGEMM_VALUES + DIRECT_VALUES + 1];
  const device_gemm_config four = make_config(101, values[0], 4, 4), two = make_config(102, values[1], 2, 2);
  const device_gemm_config odd = make_config(103, values[2], 3, 3); /* no vector has three elements */
  device_gemm_config incomplete = make_config(104, values[3], 4, 4), unknown = make_config(105, values[4], 4, 4);
  incomplete.part[0].count--;
  unknown.part[1].kernel = "no kernel";
  device_buffer b = {0};
  ASSERT_OK(device_buffer_create(dev, 400, &b));
  const device_matrix any = {b.mem, 0, 10, false};
  for (int round = 0; round < 2; round++) {
    check_gemm(&four, false, true, false);
    ASSERT_FAILS(device_gemm(dev, &incomplete, 10, 10, 10, any, any, false, any), CLVGG_ERROR_BUILD,
                 "configuration 104");
    check_gemm(&two, false, false, false);
    ASSERT_FAILS(device_gemm(dev, &odd, 10, 10, 10, any, any, false, any), CLVGG_ERROR_BUILD, "product of 10x10");
    check_gemm(&four, false, false, false);
    ASSERT_FAILS(device_gemm(dev, &unknown, 10, 10, 10, any, any, false, any), CLVGG_ERROR_BUILD, "no kernel");
  }
  check_gemm(&two, true, true, true);
  device_buffer_release(dev, &b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_list_agrees_with_the_open_device),
      cmocka_unit_test(test_bad_calls),
      cmocka_unit_test(test_limits_reach_the_device),
      cmocka_unit_test(test_extensions_are_listed),
      cmocka_unit_test(test_buffer_round_trip),
      cmocka_unit_test(test_mapped_round_trip),
      cmocka_unit_test(test_fill_and_copy),
      cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_foreign_buffers),
      cmocka_unit_test(test_kernel_runs_on_a_rounded_grid),
      cmocka_unit_test(test_bad_launches),
      cmocka_unit_test(test_builds_that_fail),
      cmocka_unit_test(test_threads_share_a_device),
      cmocka_unit_test(test_timer),
      cmocka_unit_test(test_wrap),
      cmocka_unit_test(test_wrap_refuses_out_of_order),
      cmocka_unit_test(test_waits_and_signals),
      cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_gemm_errors),
      cmocka_unit_test(test_gemm_configurations),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
