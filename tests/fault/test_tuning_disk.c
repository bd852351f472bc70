/* The tuning database on a full disk, in a read-only folder, and without a folder. */
#define _GNU_SOURCE /* unshare */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unit/tuning_fixture.h"

/* In a child: cmocka's checks would run the rest of the tests there. */
#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, clvgg_last_error()); \
      _exit(1);                                                                                \
    }                                                                                          \
  } while (0)

enum { CANNOT = 77, EARLIER = 30, LATER = 1500 };

/* Runs body in a child, whose mounts and limits go with it. False when this system does not let it. */
static bool run_child(void (*body)(void)) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    body();
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == CANNOT) return false;
  assert_int_equal(WEXITSTATUS(status), 0);
  return true;
}

static void own_mounts(void) {
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) _exit(CANNOT);
}

static void record(tuning *t, int number) {
  const tuning_key key = made_up_key("1.0");
  char problem[64];
  snprintf(problem, sizeof problem, "row %d", number);
  const tuning_measurement m = ok_row(problem, 1e-3 * (number + 1), 1);
  CHECK(tuning_record(t, &key, &m) == CLVGG_OK);
}
static bool has(tuning *t, int number) {
  const tuning_key key = made_up_key("1.0");
  char problem[64];
  tuning_measurement m;
  snprintf(problem, sizeof problem, "row %d", number);
  if (!find(t, &key, problem, &m)) return false;
  CHECK(m.seconds == 1e-3 * (number + 1));
  return true;
}

static void record_earlier(void) {
  tuning *t;
  CHECK(tuning_open(path, &t) == CLVGG_OK && tuning_is_stored(t, NULL));
  for (int i = 0; i < EARLIER; i++) record(t, i);
  tuning_close(&t);
}

/* Rows are recorded until the file takes no more, and some beyond. */
static void record_beyond_the_end(void) {
  tuning *t;
  CHECK(tuning_open(path, &t) == CLVGG_OK);
  int stored = EARLIER;
  for (int i = EARLIER; i < LATER; i++) {
    record(t, i);
    if (tuning_is_stored(t, NULL)) stored = i + 1;
  }
  CHECK(!tuning_is_stored(t, NULL) && lines.count == 1);
  for (int i = 0; i < LATER; i++) CHECK(has(t, i));
  tuning_close(&t);
  /* What was stored is in the file. */
  CHECK(tuning_open(path, &t) == CLVGG_OK);
  for (int i = 0; i < stored; i++) CHECK(has(t, i));
  CHECK(!has(t, LATER - 1));
  tuning_close(&t);
}

static void on_a_small_disk(void) {
  own_mounts();
  if (mount("none", folder, "tmpfs", 0, "size=96k") != 0) _exit(CANNOT);
  record_earlier();
  record_beyond_the_end();
}

static void on_a_full_disk(void) {
  char name[PATH_MAX + 32], block[4096] = "";
  own_mounts();
  if (mount("none", folder, "tmpfs", 0, "size=64k") != 0) _exit(CANNOT);
  snprintf(name, sizeof name, "%s/filler", folder);
  const int fd = open(name, O_WRONLY | O_CREAT, 0600);
  CHECK(fd >= 0);
  while (write(fd, block, sizeof block) > 0) {
  }
  close(fd);
  tuning *t;
  CHECK(tuning_open(path, &t) == CLVGG_OK && !tuning_is_stored(t, NULL));
  record(t, 1);
  CHECK(has(t, 1) && lines.count == 1);
  tuning_close(&t);
}

static void under_a_limit(void) {
  const struct rlimit limit = {64 << 10, 64 << 10};
  signal(SIGXFSZ, SIG_IGN);
  record_earlier();
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(CANNOT);
  record_beyond_the_end();
}

static void full_disks(void **state) {
  (void)state;
  if (!run_child(under_a_limit)) print_message("no limit on files here\n");
  char name[PATH_MAX + 64];
  unlink(path);
  snprintf(name, sizeof name, "%s-journal", path);
  unlink(name);
  if (!run_child(on_a_small_disk) || !run_child(on_a_full_disk))
    print_message("no disk can be mounted here: only tried with a limit on files\n");
}

static void without_a_folder(void **state) {
  (void)state;
  char below[PATH_MAX + 96];
  snprintf(below, sizeof below, "%s/tuning.sqlite", make_file("file", "no folder"));
  tuning *t;
  assert_int_equal(tuning_open(below, &t), CLVGG_OK);
  assert_false(tuning_is_stored(t, NULL));
  record(t, 1);
  assert_true(has(t, 1));
  tuning_close(&t);
  assert_int_equal(lines.count, 1);
}

static void in_a_read_only_folder(void) {
  if (geteuid() == 0) { /* whom permissions do not stop */
    own_mounts();
    if (mount(folder, folder, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, folder, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
      _exit(CANNOT);
  } else {
    CHECK(chmod(folder, 0500) == 0);
  }
  tuning *t;
  CHECK(tuning_open(path, &t) == CLVGG_OK);
  for (int i = 0; i < EARLIER; i++) CHECK(has(t, i)); /* it can still be read */
  record(t, EARLIER);
  CHECK(has(t, EARLIER) && has(t, 0));
  CHECK(!tuning_is_stored(t, NULL) && lines.count == 1);
  tuning_close(&t);
  CHECK(tuning_open(path, &t) == CLVGG_OK && !has(t, EARLIER));
  tuning_close(&t);
}

static void read_only_folders(void **state) {
  (void)state;
  record_earlier();
  const bool done = run_child(in_a_read_only_folder);
  chmod(folder, 0700);
  if (!done) {
    print_message("no folder can be made read-only here\n");
    skip();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(full_disks),
      TEST(without_a_folder),
      TEST(read_only_folders),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
