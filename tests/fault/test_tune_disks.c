/* Tuning and classifying with the user's folders on a disk that is full, that fills up meanwhile, or that is read-only. Real disks: mounted
 * in a name space of their own, which takes root and util-linux; skipped without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fault/program.h"

enum { CANNOT = 77 };
#define TUNE "tune --json --rgb8 --budget 0.1 -m " MODEL

static char disk[4096]; /* where each is mounted */

/* What clvgg wrote to a file of the test's folder; the caller frees it. */
static char *contents(const char *name) {
  char path[4096];
  make_path(path, name);
  char *text = calloc(1, 1 << 20);
  assert_non_null(text);
  read_file(path, (unsigned char *)text, (1 << 20) - 1);
  return text;
}

/* Mounts by the shell's words in prepare, then tunes and classifies with both of the user's folders on the disk. Both have to work, and the
 * answer to be right. Returns whether the tuning says that its database was stored. */
static bool tune_and_classify_on(const char *prepare) {
  static char script[1 << 15];
  const int length = snprintf(script, sizeof script,
                              "disk='%s'; { %s; } || exit %d; cd '%s' || exit 1\n"
                              "export XDG_DATA_HOME=\"$disk\" XDG_CACHE_HOME=\"$disk\"\n"
                              "'%s' " TUNE " >tune.out 2>tune.err && '%s' " CLASSIFY " >classify.out 2>classify.err",
                              disk, prepare, CANNOT, folder, getenv("CLVGG_CLI"), getenv("CLVGG_CLI"), image);
  assert_in_range(length, 1, sizeof script - 1);
  setenv("TEST_SCRIPT", script, 1);
  const int status = system(
      "command -v unshare >/dev/null || exit 77; unshare --mount true 2>/dev/null || exit 77\n"
      "exec unshare --mount sh -c \"$TEST_SCRIPT\"");
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == CANNOT) {
    print_message("no disk can be mounted here\n");
    skip();
  }
  char *tuned = contents("tune.out"), *said = contents("classify.out"), *why = contents("tune.err"),
       *why_not = contents("classify.err");
  if (WEXITSTATUS(status) != 0 || !is_right_answer(said))
    fail_msg("exit status %d\n%s\n%s\n%s", WEXITSTATUS(status), why, why_not, said);
  json_t *list = json_loads(tuned, 0, NULL);
  const json_t *stored = json_object_get(json_array_get(list, 0), "stored");
  assert_true(json_is_boolean(stored));
  const bool result = json_is_true(stored);
  json_decref(list);
  free(tuned);
  free(said);
  free(why);
  free(why_not);
  return result;
}

static void on_a_full_disk(void **state) {
  (void)state;
  assert_false(tune_and_classify_on(
      "mount -t tmpfs -o size=64k none \"$disk\" && { cat /dev/zero >\"$disk/filler\" 2>/dev/null; true; }"));
}

/* Large enough for a database, but not for its rows and the programs. */
static void on_a_disk_that_fills_up(void **state) {
  (void)state;
  tune_and_classify_on("mount -t tmpfs -o size=96k none \"$disk\"");
}

/* With what was tuned before, which can still be read, and without. */
static void on_a_read_only_disk(void **state) {
  (void)state;
  const char *mount = "mount --bind \"$disk\" \"$disk\" && mount -o remount,ro,bind \"$disk\"";
  assert_false(tune_and_classify_on(mount));
  assert_true(tune_and_classify_on("true"));
  assert_false(tune_and_classify_on(mount));
}

static int set_up_disk(void **state) {
  if (set_up_program(state)) return -1;
  make_path(disk, "disk");
  return mkdir(disk, 0700);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_a_full_disk),
      cmocka_unit_test(on_a_disk_that_fills_up),
      cmocka_unit_test(on_a_read_only_disk),
  };
  run_seconds = 600;
  return cmocka_run_group_tests(tests, set_up_disk, tear_down);
}
