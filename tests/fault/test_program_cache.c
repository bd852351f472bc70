/* The program cache under damage, full disks, read-only folders and many processes: right answers every time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "device/cache.h"
#include "e2e/cli.h"

/* Every so many bytes are changed; a prime, so that all places within structures are met. */
enum { STRIDE = 97, FILES = 32, PROCESSES = 16, ROUNDS = 3 };

/* What the cache of the bundled model holds, and what the program answers without a cache. */
static struct {
  char name[CACHE_NAME_BYTES];
  unsigned char *data;
  size_t bytes;
} files[FILES];
static size_t file_count;
static char cache_home[256], answer[4096];

static void entry_path(char *out, const char *name) {
  snprintf(out, 4096, "%s/clvgg/%s/%s", cache_home, CACHE_FOLDER, name);
}

static void write_entry(const char *name, const void *data, size_t bytes) {
  char path[4096];
  entry_path(path, name);
  if (file_make_folder(path) || file_write(path, data, bytes)) fail_msg("%s", clvgg_last_error());
}

static void write_all(void) {
  for (size_t i = 0; i < file_count; i++) write_entry(files[i].name, files[i].data, files[i].bytes);
}

static size_t count_files(const char *end) {
  char path[4096];
  size_t count = 0;
  entry_path(path, "");
  DIR *dir = opendir(path);
  for (const struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
    const size_t length = strlen(d->d_name), end_length = strlen(end);
    count += length > end_length && !strcmp(d->d_name + length - end_length, end);
  }
  if (dir) closedir(dir);
  return count;
}

/* The very same answer, and nothing to complain about. */
static void expect_answer(void) {
  run("classify -k 2 %s", image);
  expect_code(0);
  assert_string_equal(last.out, answer);
  assert_string_equal(last.err, "");
  assert_int_equal(count_files(".tmp"), 0);
}

/* The key is in the file, whose head is checked in tests/unit/test_cache.c. */
static cache_key key_of(size_t i) {
  cache_key key = {.bytes = files[i].data[12] + 256u * files[i].data[13]};
  assert_true(CACHE_HEAD_BYTES + key.bytes < files[i].bytes && key.bytes < sizeof key.text);
  memcpy(key.text, files[i].data + CACHE_HEAD_BYTES, key.bytes);
  snprintf(key.name, sizeof key.name, "%s", files[i].name);
  return key;
}

static cache_state check(const unsigned char *data, size_t bytes, const cache_key *key) {
  const unsigned char *binary;
  size_t binary_bytes;
  return cache_check(data, bytes, key, &binary, &binary_bytes);
}

/* ---- damage */

static void wrong_bits_and_lengths_never_reach_the_driver(void **state) {
  (void)state;
  size_t tried = 0;
  for (size_t i = 0; i < file_count; i++) {
    const cache_key key = key_of(i);
    unsigned char *data = files[i].data;
    assert_int_equal(check(data, files[i].bytes, &key), CACHE_HIT);
    for (size_t at = 0; at < files[i].bytes; at += STRIDE, tried++) {
      const unsigned char bit = (unsigned char)(1u << (at / STRIDE % 8));
      data[at] ^= bit;
      if (check(data, files[i].bytes, &key) == CACHE_HIT) fail_msg("%s: byte %zu", files[i].name, at);
      data[at] ^= bit;
      if (check(data, at, &key) == CACHE_HIT) fail_msg("%s: cut to %zu bytes", files[i].name, at);
    }
    assert_int_equal(check(data, files[i].bytes, &key), CACHE_HIT);
  }
  print_message("%zu bits, %zu files\n", tried, file_count);
}

static void flipped_files_are_compiled_again(void **state) {
  (void)state;
  /* In the magic, the version, the key, the start of the binary, its middle. */
  for (int place = 0; place < 5; place++) {
    for (size_t i = 0; i < file_count; i++) {
      const size_t binary = CACHE_HEAD_BYTES + key_of(i).bytes, bytes = files[i].bytes;
      const size_t at = ((const size_t[]){3, 8, 40, binary, (binary + bytes) / 2})[place];
      files[i].data[at] ^= 0x10;
      write_entry(files[i].name, files[i].data, bytes);
      files[i].data[at] ^= 0x10;
    }
    expect_answer();
  }
}

static void cut_files_are_compiled_again(void **state) {
  (void)state;
  for (int cut = 0; cut < 4; cut++) {
    for (size_t i = 0; i < file_count; i++) {
      const size_t bytes = files[i].bytes;
      write_entry(files[i].name, files[i].data, ((const size_t[]){0, 31, bytes / 2, bytes - 1})[cut]);
    }
    expect_answer();
  }
}

/* As a later version of clvgg may write it: only the magic and the place of the version are promised. */
static void future_versions_are_left_alone(void **state) {
  (void)state;
  unsigned char future[64] = "CLVGGPRG\2";
  for (size_t i = 0; i < file_count; i++) write_entry(files[i].name, future, sizeof future);
  expect_answer();
  run("cache --fill");
  expect_code(0);
  for (size_t i = 0; i < file_count; i++) {
    cache_entry entry;
    const cache_key key = key_of(i);
    assert_int_equal(cache_load(&key, &entry), CACHE_HIT);
    cache_entry_free(&entry);
  }
}

/* ---- folders */

/* Permission bits do not stop root; a file in the folder's place does. */
static void folder_may_be_a_file(void **state) {
  (void)state;
  static const char *const names[] = {"", "/clvgg", ("/clvgg/" CACHE_FOLDER)};
  for (size_t i = 0; i < 3; i++) {
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s/blocked%zu", folder, i);
    setenv("XDG_CACHE_HOME", path, 1);
    snprintf(path + length, sizeof path - (size_t)length, "%s", names[i]);
    assert_int_equal(file_make_folder(path), CLVGG_OK);
    assert_int_equal(file_write(path, "x", 1), CLVGG_OK);
    run("classify -k 2 %s", image);
    setenv("XDG_CACHE_HOME", cache_home, 1);
    expect_code(0);
    assert_string_equal(last.out, answer);
    assert_string_equal(last.err, "");
  }
}

static void no_home_is_no_error(void **state) {
  (void)state;
  const char *home = getenv("HOME");
  char old[4096];
  snprintf(old, sizeof old, "%s", home ? home : "");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  run("classify -k 2 %s", image);
  setenv("XDG_CACHE_HOME", cache_home, 1);
  if (home) setenv("HOME", old, 1);
  expect_code(0);
  assert_string_equal(last.out, answer);
}

/* A file system of 64 KiB at cache_home. False, and said, where nothing may be mounted. */
static bool mount_small(unsigned long flags) {
  if (mkdir(cache_home, 0700) != 0 && errno != EEXIST) return false;
  if (mount("tmpfs", cache_home, "tmpfs", flags, "size=64k") == 0) return true;
  print_message("skipped: cannot mount a small file system: %s\n", strerror(errno));
  return false;
}

static void full_disk_is_no_error(void **state) {
  (void)state;
  if (!mount_small(0)) skip();
  run("cache --fill");
  const command_result filled = last;
  const bool full = filled.code == 1 && strstr(filled.err, "No space left") != NULL;
  run("classify -k 2 %s", image);
  const bool right = last.code == 0 && !strcmp(last.out, answer) && !*last.err;
  const size_t left = count_files(".tmp");
  umount(cache_home);
  assert_true(full);
  assert_true(right);
  assert_int_equal(left, 0);
}

/* What is in a read-only folder is used. */
static void read_only_folder_is_no_error(void **state) {
  (void)state;
  if (!mount_small(0)) skip();
  const cache_key key = key_of(0);
  const bool fits = cache_store(&key, files[0].data, 100) == CLVGG_OK;
  const bool read_only = mount("tmpfs", cache_home, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=64k") == 0;
  cache_entry entry;
  const cache_state found = cache_load(&key, &entry);
  cache_entry_free(&entry);
  run("cache --fill");
  const int fill_code = last.code;
  /* That entry's binary is none: the driver refuses it, and that cannot be written down. */
  run("classify -k 2 %s", image);
  const bool right = last.code == 0 && !strcmp(last.out, answer) && !*last.err;
  umount(cache_home);
  assert_true(fits && read_only);
  assert_int_equal(found, CACHE_HIT);
  assert_int_equal(fill_code, 1);
  assert_true(right);
}

/* The same of a limit on the size of files, which needs no rights. */
static void short_writes_leave_nothing(void **state) {
  (void)state;
  struct rlimit old, small;
  const cache_key key = key_of(0);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = old;
  small.rlim_cur = 4096;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  const clvgg_status status = cache_store(&key, files[0].data, 10000);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, SIG_DFL);
  assert_int_equal(status, CLVGG_ERROR_IO);
  assert_int_equal(count_files(".bin") + count_files(".tmp"), 0);
}

/* ---- many processes */

static pid_t start(const char *output, char *const *argv) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(fd, STDOUT_FILENO);
  execv(argv[0], argv);
  _exit(127);
}

/* Reading, writing, removing and throwing out all at once; 1 MiB hardly holds one model's programs. */
static void many_processes_share_it(void **state) {
  (void)state;
  char *cli = getenv("CLVGG_CLI");
  char *const classify[] = {cli, "classify", "-k", "2", image, NULL}, *const fill[] = {cli, "cache", "--fill", NULL},
              *const clear[] = {cli, "cache", "--clear", NULL};
  for (int round = 0; round < ROUNDS; round++) {
    pid_t pids[PROCESSES];
    char names[PROCESSES][32], path[4096];
    if (round == 1) setenv("CLVGG_CACHE_MB", "1", 1);
    for (int i = 0; i < PROCESSES; i++) {
      snprintf(names[i], sizeof names[i], "out%d", i);
      make_path(path, names[i]);
      pids[i] = start(path, i % 4 == 0 ? fill : round == 2 && i == 7 ? clear : classify);
      assert_true(pids[i] > 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
      int status = -1;
      assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
      if (status != 0) fail_msg("round %d, process %d: wait status %d", round, i, status);
      if (i % 4 == 0 || (round == 2 && i == 7)) continue;
      unsigned char got[4096];
      make_path(path, names[i]);
      got[read_file(path, got, sizeof got - 1)] = '\0';
      assert_string_equal((char *)got, answer);
    }
    assert_int_equal(count_files(".tmp"), 0);
  }
  unsetenv("CLVGG_CACHE_MB");
  for (size_t i = 0; i < file_count; i++) {
    cache_entry entry;
    const cache_key key = key_of(i);
    const cache_state found = cache_load(&key, &entry); /* --clear may have been the last */
    assert_true(found == CACHE_HIT || found == CACHE_MISS);
    cache_entry_free(&entry);
  }
}

/* ---- */

static int fill_and_read(void **state) {
  run_seconds = 900; /* a paused machine is no failure */
  if (set_up(state) != 0) return -1;
  snprintf(cache_home, sizeof cache_home, "%s/cache", folder);
  setenv("XDG_CACHE_HOME", cache_home, 1);
  setenv("CLVGG_CACHE_MB", "0", 1);
  run("classify -k 2 %s", image);
  if (last.code != 0 || !strstr(last.out, "cat")) return -1;
  snprintf(answer, sizeof answer, "%s", last.out);
  unsetenv("CLVGG_CACHE_MB");
  run("cache --fill");
  if (last.code != 0) return -1;
  char path[4096];
  entry_path(path, "");
  DIR *dir = opendir(path);
  for (const struct dirent *d = dir ? readdir(dir) : NULL; d && file_count < FILES; d = readdir(dir)) {
    file_map map;
    if (!cache_is_entry_name(d->d_name)) continue;
    entry_path(path, d->d_name);
    if (file_map_open(path, &map) != CLVGG_OK) return -1;
    memcpy(files[file_count].name, d->d_name, strlen(d->d_name) + 1);
    files[file_count].data = malloc(map.bytes);
    files[file_count].bytes = map.bytes;
    memcpy(files[file_count++].data, map.data, map.bytes);
    file_map_close(&map);
  }
  if (dir) closedir(dir);
  return file_count > 0 ? 0 : -1;
}

static int free_files(void **state) {
  umount2(cache_home, MNT_DETACH); /* where a test ended before it did */
  for (size_t i = 0; i < file_count; i++) free(files[i].data);
  return tear_down(state);
}

/* Each test begins with a whole cache, or with none. */
static int whole(void **state) {
  (void)state;
  write_all();
  return 0;
}

static int empty(void **state) {
  (void)state;
  size_t count;
  uint64_t bytes;
  return cache_clear(&count, &bytes) != CLVGG_OK;
}

static void whole_cache_is_used(void **state) {
  (void)state;
  expect_answer();
  run("cache --fill --json");
  expect_code(0);
  json_t *o = parse();
  assert_int_equal((int)number(o, "written"), 0);
  assert_int_equal((size_t)number(o, "loaded"), file_count);
  json_decref(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(whole_cache_is_used, whole),
      cmocka_unit_test_setup(wrong_bits_and_lengths_never_reach_the_driver, whole),
      cmocka_unit_test_setup(flipped_files_are_compiled_again, whole),
      cmocka_unit_test_setup(cut_files_are_compiled_again, whole),
      cmocka_unit_test_setup(future_versions_are_left_alone, whole),
      cmocka_unit_test_setup(folder_may_be_a_file, whole),
      cmocka_unit_test_setup(no_home_is_no_error, whole),
      cmocka_unit_test_setup(full_disk_is_no_error, empty),
      cmocka_unit_test_setup(read_only_folder_is_no_error, empty),
      cmocka_unit_test_setup(short_writes_leave_nothing, empty),
      cmocka_unit_test_setup(many_processes_share_it, empty),
  };
  return cmocka_run_group_tests(tests, fill_and_read, free_files);
}
