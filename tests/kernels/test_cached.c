/* The program cache on a real device: loaded programs compute the same, and what the driver refuses is built from source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "device/cache.h"
#include "device/internal.h"
#include "kernels/fixture.h"

static char home[] = "/tmp/clvgg-test-cached-XXXXXX";

static const char source[] =
    "__kernel void twice(__global int *out) { out[get_global_id(0)] = 2 * (int)get_global_id(0) + STEP; }\n"
    "__kernel void thrice(__global int *out) { out[get_global_id(0)] = 3 * (int)get_global_id(0) + STEP; }\n";
static const char other_source[] = "__kernel void other(__global int *out) { out[0] = STEP; }\n";
static const char options[] = "-cl-std=CL1.2 -DSTEP=5"; /* as device_kernel_create has them */

static void write_source(const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/test.cl", home);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static clvgg_device *open_device(void) {
  clvgg_device *dev = NULL;
  must(clvgg_device_open(NULL, &dev));
  return dev;
}

static void expect_kernel(clvgg_device *dev, const char *name, int factor) {
  enum { ITEMS = 64 };
  const size_t global[3] = {ITEMS, 1, 1}, local[3] = {8, 1, 1};
  int got[ITEMS];
  device_kernel k;
  device_buffer b;
  must(device_kernel_create(dev, "test.cl", name, "-DSTEP=5", &k));
  must(device_buffer_create(dev, sizeof got, &b));
  const device_arg arg = arg_buffer(b.mem);
  must(device_launch(dev, &k, &arg, 1, global, local));
  must(device_read(dev, &b, 0, got, sizeof got));
  for (int i = 0; i < ITEMS; i++) assert_int_equal(got[i], factor * i + 5);
  device_buffer_release(dev, &b);
  device_kernel_release(&k);
}

static void expect_counts(clvgg_device *dev, unsigned hits, unsigned misses, unsigned refused, unsigned damaged) {
  clvgg_cache_counts c;
  clvgg_device_get_cache_counts(dev, &c);
  if (c.hits != hits || c.misses != misses || c.refused != refused || c.damaged != damaged)
    fail_msg("hits %u, misses %u, refused %u, damaged %u; expected %u, %u, %u, %u", (unsigned)c.hits,
             (unsigned)c.misses, (unsigned)c.refused, (unsigned)c.damaged, hits, misses, refused, damaged);
}

static cache_key key_of(const clvgg_device *dev, const char *text) {
  cache_key key;
  assert_true(cache_key_make(device_info(dev), "test.cl", text, strlen(text), options, &key));
  return key;
}

/* Compiles and keeps it. Returns how many were written. */
static size_t fill(void) {
  size_t count = 0;
  clvgg_device *dev = open_device();
  expect_kernel(dev, "twice", 2);
  expect_counts(dev, 0, 1, 0, 0);
  must(clvgg_device_save_programs(dev, &count));
  clvgg_device_close(&dev);
  return count;
}

static void second_device_loads(void **state) {
  (void)state;
  assert_int_equal(fill(), 1);
  clvgg_device *dev = open_device();
  expect_kernel(dev, "twice", 2);
  expect_kernel(dev, "thrice", 3); /* was never launched before the binary was fetched */
  expect_counts(dev, 1, 0, 0, 0);
  size_t count = 7;
  must(clvgg_device_save_programs(dev, &count));
  assert_int_equal(count, 0);
  clvgg_device_close(&dev);

  write_source(other_source); /* the same name, another text */
  dev = open_device();
  device_kernel k;
  must(device_kernel_create(dev, "test.cl", "other", "-DSTEP=5", &k));
  device_kernel_release(&k);
  expect_counts(dev, 0, 1, 0, 0);
  clvgg_device_close(&dev);
}

/* By what select.c knows of the driver. */
static void close_writes_where_it_is_to(void **state) {
  (void)state;
  static const binary_use uses[] = {BINARIES_ON_REQUEST, BINARIES_NEVER, BINARIES_AT_CLOSE};
  for (size_t i = 0; i < COUNT(uses); i++) {
    clvgg_cache_entry *entries;
    size_t count;
    clvgg_device *dev = open_device();
    dev->binaries = uses[i];
    expect_kernel(dev, "twice", 2);
    expect_counts(dev, 0, uses[i] != BINARIES_NEVER, 0, 0);
    if (uses[i] == BINARIES_NEVER) {
      must(clvgg_device_save_programs(dev, &count));
      assert_int_equal(count, 0);
    }
    clvgg_device_close(&dev);
    must(cache_list(&entries, &count));
    assert_int_equal(count, uses[i] == BINARIES_AT_CLOSE);
    free(entries);
  }
  clvgg_device *dev = open_device();
  expect_kernel(dev, "twice", 2);
  expect_counts(dev, 1, 0, 0, 0);
  clvgg_device_close(&dev);
}

/* Its bytes are right as far as the cache can know: the driver has to say no. */
static void refused_binary_is_built_from_source_once(void **state) {
  (void)state;
  clvgg_device *dev = open_device();
  const cache_key key = key_of(dev, source);
  must(cache_store(&key, "no binary", 9));
  for (int i = 0; i < 2; i++) {
    expect_kernel(dev, "twice", 2);
    expect_counts(dev, 0, 0, 1, 0);
    size_t count = 7;
    must(clvgg_device_save_programs(dev, &count));
    assert_int_equal(count, 0);
    clvgg_device_close(&dev);
    cache_entry entry;
    assert_int_equal(cache_load(&key, &entry), CACHE_REFUSED);
    dev = open_device(); /* and the second time it is not even offered */
  }
  clvgg_device_close(&dev);
}

/* A sound binary of another program. */
static void binary_without_the_kernel_is_built_from_source(void **state) {
  (void)state;
  write_source(other_source);
  clvgg_device *dev = open_device();
  device_kernel k;
  must(device_kernel_create(dev, "test.cl", "other", "-DSTEP=5", &k));
  device_kernel_release(&k);
  must(clvgg_device_save_programs(dev, NULL));
  const cache_key other = key_of(dev, other_source), key = key_of(dev, source);
  clvgg_device_close(&dev);
  cache_entry entry;
  assert_int_equal(cache_load(&other, &entry), CACHE_HIT);
  must(cache_store(&key, entry.binary, entry.bytes));
  cache_entry_free(&entry);

  write_source(source);
  dev = open_device();
  expect_kernel(dev, "twice", 2);
  expect_kernel(dev, "thrice", 3);
  expect_counts(dev, 1, 0, 1, 0);
  assert_int_equal(cache_load(&key, &entry), CACHE_REFUSED);
  clvgg_device_close(&dev);
}

static void wrong_kernel_name_spoils_nothing(void **state) {
  (void)state;
  fill();
  clvgg_device *dev = open_device();
  device_kernel k;
  assert_int_equal(device_kernel_create(dev, "test.cl", "no_such", "-DSTEP=5", &k), CLVGG_ERROR_BUILD);
  assert_int_equal(device_kernel_create(dev, "test.cl", "no_such", "-DSTEP=5", &k), CLVGG_ERROR_BUILD);
  expect_kernel(dev, "twice", 2);
  const cache_key key = key_of(dev, source);
  clvgg_device_close(&dev);
  cache_entry entry;
  assert_int_equal(cache_load(&key, &entry), CACHE_HIT);
  cache_entry_free(&entry);
}

static void damaged_file_is_noted_once_and_written_again(void **state) {
  (void)state;
  fill();
  clvgg_device *dev = open_device();
  const cache_key key = key_of(dev, source);
  char path[4096];
  must(cache_path(key.name, path, sizeof path));
  assert_int_equal(truncate(path, 3000), 0);
  expect_kernel(dev, "twice", 2);
  expect_counts(dev, 0, 0, 0, 1);
  size_t count = 0;
  must(clvgg_device_save_programs(dev, &count));
  assert_int_equal(count, 1);
  clvgg_device_close(&dev);
  dev = open_device();
  expect_kernel(dev, "twice", 2);
  expect_counts(dev, 1, 0, 0, 0);
  clvgg_device_close(&dev);
}

static void switched_off_it_does_nothing(void **state) {
  (void)state;
  fill();
  setenv("CLVGG_CACHE_MB", "0", 1);
  clvgg_device *dev = open_device();
  expect_kernel(dev, "twice", 2);
  expect_counts(dev, 0, 0, 0, 0);
  size_t count = 7;
  must(clvgg_device_save_programs(dev, &count));
  assert_int_equal(count, 0);
  clvgg_device_close(&dev);
}

static int make_home(void **state) {
  (void)state;
  memcpy(home + sizeof home - 7, "XXXXXX", 6);
  if (mkdtemp(home) == NULL || setenv("XDG_CACHE_HOME", home, 1) != 0) return -1;
  unsetenv("CLVGG_CACHE_MB");
  setenv("CLVGG_KERNEL_DIR", home, 1);
  write_source(source);
  return 0;
}

static int remove_home(void **state) {
  (void)state;
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", home);
  return system(command);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)

int main(void) {
  cache_make();
  clvgg_device *dev = open_device();
  const bool unused = dev->binaries == BINARIES_NEVER;
  clvgg_device_close(&dev);
  if (unused) {
    puts("skipped: this driver's binaries are not used");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      TEST(second_device_loads),
      TEST(close_writes_where_it_is_to),
      TEST(refused_binary_is_built_from_source_once),
      TEST(binary_without_the_kernel_is_built_from_source),
      TEST(wrong_kernel_name_spoils_nothing),
      TEST(damaged_file_is_noted_once_and_written_again),
      TEST(switched_off_it_does_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
