/* The program cache without a device: the bytes of an entry, keys, limits, what may stand in the folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "device/cache.h"
#include "unit/made_up_device.h"

static char home[] = "/tmp/clvgg-test-cache-XXXXXX";
static const char binary[] = "what a driver gives: any bytes\0at all";

static cache_key key_of(const char *options) {
  const clvgg_device_info dev = device(CLVGG_DEVICE_CPU);
  cache_key key;
  assert_true(cache_key_make(&dev, "a.cl", "text", 4, options, &key));
  return key;
}

static const char *path_of(const char *name) {
  static char path[4096];
  assert_int_equal(cache_path(name, path, sizeof path), CLVGG_OK);
  return path;
}

static void write_name(const char *name, size_t bytes) {
  unsigned char data[256] = {0};
  assert_int_equal(file_make_folder(path_of(name)), CLVGG_OK);
  assert_int_equal(file_write(path_of(name), data, bytes), CLVGG_OK);
}

static void set_age(const char *name, long seconds) {
  struct timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[1]);
  times[1].tv_sec -= seconds;
  times[0] = times[1];
  assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

static bool is_there(const char *name) {
  return access(path_of(name), F_OK) == 0;
}

static void store(const cache_key *key, size_t bytes) {
  unsigned char *data = calloc(1, bytes);
  assert_non_null(data);
  if (cache_store(key, data, bytes) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  free(data);
}

static void make_encoded(const cache_key *key, unsigned char **file, size_t *bytes) {
  *file = cache_encode(key, binary, sizeof binary, bytes);
  assert_non_null(*file);
  assert_int_equal(*bytes, CACHE_HEAD_BYTES + key->bytes + sizeof binary);
}

static cache_state check(const unsigned char *file, size_t bytes, const cache_key *key) {
  const unsigned char *found;
  size_t found_bytes;
  const cache_state state = cache_check(file, bytes, key, &found, &found_bytes);
  assert_int_equal(found != NULL, state == CACHE_HIT);
  return state;
}

static void entry_comes_back(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1");
  unsigned char *file;
  const unsigned char *found;
  size_t bytes, found_bytes;
  make_encoded(&key, &file, &bytes);
  assert_int_equal(cache_check(file, bytes, &key, &found, &found_bytes), CACHE_HIT);
  assert_int_equal(found_bytes, sizeof binary);
  assert_memory_equal(found, binary, sizeof binary);
  free(file);
}

/* Whatever bit is wrong: in the head, the key, or the binary. */
static void every_wrong_bit_is_noticed(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1");
  unsigned char *file;
  size_t bytes;
  make_encoded(&key, &file, &bytes);
  for (size_t i = 0; i < 8 * bytes; i++) {
    file[i / 8] ^= (unsigned char)(1u << (i % 8));
    const cache_state found = check(file, bytes, &key);
    if (found != (i / 8 >= 8 && i / 8 < 12 ? CACHE_MISS : CACHE_DAMAGED))
      fail_msg("bit %zu of byte %zu: state %d", i % 8, i / 8, (int)found);
    file[i / 8] ^= (unsigned char)(1u << (i % 8));
  }
  assert_int_equal(check(file, bytes, &key), CACHE_HIT);
  free(file);
}

static void every_wrong_length_is_noticed(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1");
  unsigned char *file, *longer;
  size_t bytes;
  make_encoded(&key, &file, &bytes);
  longer = calloc(1, bytes + 64);
  assert_non_null(longer);
  memcpy(longer, file, bytes);
  for (size_t length = 0; length <= bytes + 64; length++)
    assert_int_equal(check(longer, length, &key), length == bytes ? CACHE_HIT : CACHE_DAMAGED);
  free(longer);
  free(file);
}

static void other_keys_and_versions_miss(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1"), other = key_of("-DA=2");
  unsigned char *file;
  size_t bytes;
  make_encoded(&other, &file, &bytes);
  assert_int_equal(check(file, bytes, &other), CACHE_HIT);
  assert_int_equal(check(file, bytes, &key), CACHE_MISS);
  file[8] = CACHE_FORMAT + 1;
  assert_int_equal(check(file, bytes, &other), CACHE_MISS);
  free(file);
}

static void refused_entries_are_known(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1"), other = key_of("-DA=2");
  size_t bytes;
  unsigned char *file = cache_encode(&key, NULL, 0, &bytes);
  assert_int_equal(check(file, bytes, &key), CACHE_REFUSED);
  assert_int_equal(check(file, bytes, &other), CACHE_MISS);
  free(file);
}

static void keys_hold_all_that_matters(void **state) {
  (void)state;
  clvgg_device_info devices[6];
  for (int i = 0; i < 6; i++) devices[i] = device(CLVGG_DEVICE_CPU);
  strcpy(devices[1].name, "other");
  strcpy(devices[2].vendor, "other");
  strcpy(devices[3].driver, "other");
  strcpy(devices[4].platform_version, "other");
  devices[5].compute_units++;
  cache_key keys[10];
  size_t count = 0;
  for (int i = 0; i < 6; i++) assert_true(cache_key_make(&devices[i], "a.cl", "text", 4, "-DA", &keys[count++]));
  assert_true(cache_key_make(&devices[0], "b.cl", "text", 4, "-DA", &keys[count++]));
  assert_true(cache_key_make(&devices[0], "a.cl", "texT", 4, "-DA", &keys[count++]));
  assert_true(cache_key_make(&devices[0], "a.cl", "text", 3, "-DA", &keys[count++]));
  assert_true(cache_key_make(&devices[0], "a.cl", "text", 4, "-DB", &keys[count++]));
  for (size_t i = 0; i < count; i++) {
    assert_true(cache_is_entry_name(keys[i].name));
    for (size_t k = 0; k < i; k++) {
      assert_string_not_equal(keys[i].text, keys[k].text);
      assert_string_not_equal(keys[i].name, keys[k].name);
    }
  }
  static char options[CACHE_KEY_BYTES];
  memset(options, 'x', sizeof options - 1);
  assert_false(cache_key_make(&devices[0], "a.cl", "text", 4, options, &keys[0]));
}

static void names_of_other_files_are_not_entries(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    ".",
                                    "..",
                                    ".bin",
                                    "0123456789abcdef",
                                    "0123456789abcde.bin",
                                    "0123456789abcdef0.bin",
                                    "0123456789ABCDEF.bin",
                                    "0123456789abcdef.bim",
                                    "0123456789abcdef.bin ",
                                    "0123456789abcdef.bin.1-2.tmp",
                                    "../23456789abcdef.bin",
                                    "trust"};
  assert_true(cache_is_entry_name("0123456789abcdef.bin"));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(cache_is_entry_name(bad[i]));
}

static void limit_is_read_from_the_environment(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t mib;
  } cases[] = {{"", 256},   {"0", 0},    {"1", 1},   {"1000000", 1000000},         {"-1", 256},
               {" 1", 256}, {"1x", 256}, {"x", 256}, {"99999999999999999999", 256}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    setenv("CLVGG_CACHE_MB", cases[i].text, 1);
    assert_true(cache_limit() == cases[i].mib << 20);
  }
  unsetenv("CLVGG_CACHE_MB");
  assert_true(cache_limit() == (uint64_t)256 << 20);
}

static void files_are_stored_and_loaded(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1"), other = key_of("-DA=2");
  cache_entry entry;
  assert_int_equal(cache_load(&key, &entry), CACHE_MISS);
  assert_int_equal(cache_store(&key, binary, sizeof binary), CLVGG_OK);
  set_age(key.name, 1000);
  assert_int_equal(cache_load(&other, &entry), CACHE_MISS);
  assert_int_equal(cache_load(&key, &entry), CACHE_HIT);
  assert_int_equal(entry.bytes, sizeof binary);
  assert_memory_equal(entry.binary, binary, sizeof binary);
  cache_entry_free(&entry);
  struct stat info;
  assert_int_equal(stat(path_of(key.name), &info), 0);
  assert_true(time(NULL) - info.st_mtime < 500); /* it was used now */

  assert_int_equal(cache_store(&key, NULL, 0), CLVGG_OK);
  assert_int_equal(cache_load(&key, &entry), CACHE_REFUSED);

  write_name(key.name, 100);
  assert_int_equal(cache_load(&key, &entry), CACHE_DAMAGED);
  assert_null(entry.file);
  assert_false(is_there(key.name));
  assert_int_equal(cache_load(&key, &entry), CACHE_MISS);
}

/* What is no file of ours is not read: a link, a folder, a FIFO (which must not block). */
static void odd_files_miss(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1"), other = key_of("-DA=2");
  cache_entry entry;
  char target[4096];
  store(&other, 10);
  snprintf(target, sizeof target, "%s", path_of(other.name));
  assert_int_equal(symlink(target, path_of(key.name)), 0);
  assert_int_equal(cache_load(&key, &entry), CACHE_MISS);
  assert_int_equal(unlink(path_of(key.name)), 0);
  assert_int_equal(mkdir(path_of(key.name), 0700), 0);
  assert_int_equal(cache_load(&key, &entry), CACHE_MISS);
  assert_int_not_equal(cache_store(&key, binary, sizeof binary), CLVGG_OK);
  assert_int_equal(rmdir(path_of(key.name)), 0);
  assert_int_equal(mkfifo(path_of(key.name), 0600), 0);
  assert_int_equal(cache_load(&key, &entry), CACHE_MISS);
  assert_int_equal(unlink(path_of(key.name)), 0);
  if (geteuid() == 0) {
    store(&key, 10);
    assert_int_equal(cache_load(&key, &entry), CACHE_HIT);
    cache_entry_free(&entry);
    assert_int_equal(chown(path_of(key.name), 1, 1), 0);
    assert_int_equal(cache_load(&key, &entry), CACHE_MISS); /* another user's code */
  } else {
    print_message("not root: another user's file cannot be made\n");
  }
}

enum { HALF_MIB = 1 << 19 };

static void least_recently_used_go_first(void **state) {
  (void)state;
  setenv("CLVGG_CACHE_MB", "2", 1);
  char options[16];
  cache_key keys[5];
  cache_entry entry;
  for (int i = 0; i < 5; i++) {
    snprintf(options, sizeof options, "-DA=%d", i);
    keys[i] = key_of(options);
  }
  for (int i = 0; i < 3; i++) {
    store(&keys[i], HALF_MIB);
    set_age(keys[i].name, 1000 - 100 * i);
  }
  assert_int_equal(cache_load(&keys[0], &entry), CACHE_HIT); /* now 1 is the oldest */
  cache_entry_free(&entry);
  set_age(keys[0].name, 10); /* else the clock of files may take it and the next for equally old */
  store(&keys[3], HALF_MIB); /* with the heads, four are more than 2 MiB */
  assert_true(is_there(keys[0].name) && is_there(keys[2].name) && is_there(keys[3].name));
  assert_false(is_there(keys[1].name));

  /* Larger than everything together: not written, and nothing goes for it. */
  unsigned char *large = calloc(5, HALF_MIB);
  assert_int_equal(cache_store(&keys[4], large, (size_t)5 * HALF_MIB), CLVGG_ERROR_TOO_LARGE);
  free(large);
  assert_true(is_there(keys[0].name) && is_there(keys[2].name) && is_there(keys[3].name));

  setenv("CLVGG_CACHE_MB", "1", 1); /* a smaller limit counts from the next write on */
  store(&keys[4], 100);
  assert_true(is_there(keys[4].name) && is_there(keys[3].name));
  assert_false(is_there(keys[0].name) || is_there(keys[2].name));
  setenv("CLVGG_CACHE_MB", "0", 1);
  assert_int_equal(cache_store(&keys[1], binary, sizeof binary), CLVGG_OK);
  assert_false(is_there(keys[1].name));
}

static void small_old_files_do_not_outlive_larger_new_ones(void **state) {
  (void)state;
  const cache_key small = key_of("-DA=1"), large = key_of("-DA=2"), new = key_of("-DA=3");
  setenv("CLVGG_CACHE_MB", "1", 1);
  store(&small, 10);
  set_age(small.name, 2000);
  store(&large, HALF_MIB);
  set_age(large.name, 1000);
  store(&new, HALF_MIB);
  assert_true(is_there(new.name));
  assert_false(is_there(large.name) || is_there(small.name));
}

static const char temporary[] = "0123456789abcdef.bin.77-0.tmp", young[] = "0123456789abcdef.bin.78-0.tmp",
                  foreign[] = "notes.txt", unreadable[] = "0123456789abcdef.bin";

static void folder_is_listed_trimmed_and_cleared(void **state) {
  (void)state;
  const cache_key key = key_of("-DA=1");
  clvgg_cache_entry *entries;
  size_t count, files;
  uint64_t bytes;
  assert_int_equal(cache_list(&entries, &count), CLVGG_OK); /* no folder yet */
  assert_int_equal(count, 0);
  free(entries);
  write_name(temporary, 10);
  write_name(young, 10);
  write_name(foreign, 10);
  write_name(unreadable, 10);
  set_age(temporary, CACHE_STALE_S + 60);
  set_age(unreadable, 5000);
  set_age(foreign, 5000);
  store(&key, 100);
  assert_false(is_there(temporary));
  assert_true(is_there(young) && is_there(foreign) && is_there(unreadable));

  assert_int_equal(cache_list(&entries, &count), CLVGG_OK);
  assert_int_equal(count, 2);
  assert_string_equal(entries[0].file, key.name);
  assert_string_equal(entries[0].device, "made up");
  assert_string_equal(entries[0].source, "a.cl");
  assert_int_equal(entries[0].bytes, CACHE_HEAD_BYTES + key.bytes + 100);
  assert_true(entries[0].last_use_s > time(NULL) - 1000);
  assert_string_equal(entries[1].file, unreadable);
  assert_string_equal(entries[1].device, "");
  free(entries);

  assert_int_equal(cache_clear(&files, &bytes), CLVGG_OK);
  assert_int_equal(files, 3);
  assert_int_equal(bytes, CACHE_HEAD_BYTES + key.bytes + 100 + 20);
  assert_true(is_there(foreign));
}

/* Each test has a folder of its own. */
static int make_home(void **state) {
  (void)state;
  memcpy(home + sizeof home - 7, "XXXXXX", 6);
  unsetenv("CLVGG_CACHE_MB");
  return mkdtemp(home) == NULL || setenv("XDG_CACHE_HOME", home, 1) != 0;
}

static int remove_home(void **state) {
  (void)state;
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", home);
  return system(command);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(entry_comes_back),
      TEST(every_wrong_bit_is_noticed),
      TEST(every_wrong_length_is_noticed),
      TEST(other_keys_and_versions_miss),
      TEST(refused_entries_are_known),
      TEST(keys_hold_all_that_matters),
      TEST(names_of_other_files_are_not_entries),
      TEST(limit_is_read_from_the_environment),
      TEST(files_are_stored_and_loaded),
      TEST(odd_files_miss),
      TEST(least_recently_used_go_first),
      TEST(small_old_files_do_not_outlive_larger_new_ones),
      TEST(folder_is_listed_trimmed_and_cleared),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
