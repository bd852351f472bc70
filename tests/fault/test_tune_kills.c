/* kill -9 at random moments of a tuning run, and 16 processes at once: no row that was there is lost, and no answer is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "fault/program.h"

#define KILLS 50
/* The moments, after the start: until the last, or twice what the first row takes here where that is later, within reason. */
#define FIRST_MS 50
#define LAST_MS  1500
#define MOST_MS  4000
/* How long a worker may outlive its parent: on a machine that is stopped for a while, too. */
#define GONE_MS 120000
#define MARK    "CLVGG_TEST_MARK"

/* ---- rows as they are in the file, without the library */

typedef struct row_list {
  size_t count;
  struct {
    char key[700]; /* device, problem, algorithm, parameters */
    char state[16];
    double seconds;
    long long session;
  } row[2000];
} row_list;

/* An integrity check, and all measurements in the order of their keys. A killed writer's journal is rolled back by this. */
static void read_rows(row_list *out) {
  sqlite3 *db = NULL;
  sqlite3_stmt *s = NULL;
  out->count = 0;
  if (access(database, R_OK)) return;
  assert_int_equal(sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  sqlite3_busy_timeout(db, 60000);
  assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(s), SQLITE_ROW);
  assert_string_equal((const char *)sqlite3_column_text(s, 0), "ok");
  sqlite3_finalize(s);
  static const char query[] =
      "SELECT device || '|' || problem || '|' || algorithm || '|' || parameters AS k, state, seconds,"
      " session FROM measurement ORDER BY k";
  /* Killed before the tables were made: no rows. */
  if (sqlite3_prepare_v2(db, query, -1, &s, NULL) == SQLITE_OK) {
    while (sqlite3_step(s) == SQLITE_ROW) {
      assert_true(out->count < sizeof out->row / sizeof *out->row);
      snprintf(out->row[out->count].key, sizeof out->row->key, "%s", sqlite3_column_text(s, 0));
      snprintf(out->row[out->count].state, sizeof out->row->state, "%s", sqlite3_column_text(s, 1));
      out->row[out->count].seconds = sqlite3_column_double(s, 2);
      out->row[out->count++].session = sqlite3_column_int64(s, 3);
    }
    sqlite3_finalize(s);
  }
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Every row of before is there after, as it was or replaced: in its session by a lesser time, or by a later session. */
static void check_kept(const row_list *before, const row_list *after) {
  for (size_t i = 0, k = 0; i < before->count; i++) {
    while (k < after->count && strcmp(after->row[k].key, before->row[i].key) < 0) k++;
    if (k == after->count || strcmp(after->row[k].key, before->row[i].key) != 0)
      fail_msg("lost: %s", before->row[i].key);
    if (after->row[k].session == before->row[i].session ? after->row[k].seconds > before->row[i].seconds
                                                        : after->row[k].session < before->row[i].session)
      fail_msg("replaced by something worse: %s", before->row[i].key);
    /* A worker that ends with its parent is no candidate's doing. */
    assert_string_equal(after->row[k].state, "ok");
  }
}

/* ---- kills */

static void wait_until_gone(const char *mark) {
  for (unsigned ms = 0; count_with(mark) > 0; ms += 20) {
    if (ms > GONE_MS) fail_msg("%d processes outlived the one that was killed", count_with(mark));
    sleep_ms(20);
  }
}

/* Names in a folder and those below that hold part. */
static int count_names(const char *path, const char *part) {
  int count = 0;
  DIR *dir = opendir(path);
  for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
    char child[4400];
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    snprintf(child, sizeof child, "%.4000s/%s", path, e->d_name);
    if (strstr(e->d_name, part)) count++, print_message("left: %s\n", child);
    if (e->d_type == DT_DIR) count += count_names(child, part);
  }
  if (dir) closedir(dir);
  return count;
}

/* How long the first row takes, once everything that it needs was compiled. */
static unsigned first_row_ms(const char *mark) {
  static row_list rows;
  unsigned ms = 0;
  for (int run = 0; run < 2; run++) {
    const pid_t pid = start("first", mark, "tune --fresh --budget 600 -m " MODEL);
    rows.count = 0;
    for (ms = 0; rows.count == 0 && ms < run_seconds * 1000; ms += 20) {
      sleep_ms(20);
      read_rows(&rows);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    wait_until_gone(mark);
    if (run == 0) assert_int_equal(remove(database), 0);
  }
  return ms;
}

static void kills_cost_nothing_but_time(void **state) {
  (void)state;
  static row_list before, running, after;
  static char mark[64];
  char path[4096];
  snprintf(mark, sizeof mark, MARK "=%ld", (long)getpid());
  size_t in_vain = 0;
  unsigned last_ms = 2 * first_row_ms(mark);
  last_ms = last_ms < LAST_MS ? LAST_MS : last_ms > MOST_MS ? MOST_MS : last_ms;
  for (uint64_t i = 0; i < KILLS; i++) {
    float moment;
    random_fill(i + 1, FIRST_MS, (float)last_ms, &moment, 1);
    const pid_t pid = start("killed", mark, "tune --budget 600 -m " MODEL);
    sleep_ms((unsigned)moment);
    read_rows(&running);
    kill(pid, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status)) fail_msg("it ended by itself, with %d, before it was killed", status);
    wait_until_gone(mark);
    read_rows(&after);
    check_kept(&before, &running);
    check_kept(&running, &after);
    in_vain += after.count == before.count;
    before = after;
  }
  print_message("%zu rows after %d kills, %zu of which came before anything new\n", after.count, KILLS, in_vain);
  assert_true(after.count > 0);
  run("tune --json --budget 2 -m " MODEL);
  expect_code(0);
  json_t *list = parse();
  assert_true(number(json_array_get(list, 0), "known") > 0 && number(json_array_get(list, 0), "restarts") == 0);
  json_decref(list);
  read_rows(&after);
  check_kept(&before, &after);
  expect_right_answer();
  make_path(path, "clvgg");
  assert_int_equal(count_names(path, "tmp") + count_names(path, "-journal") + count_names(path, "damaged"), 0);
  make_path(path, "cache");
  assert_int_equal(count_names(path, "tmp"), 0);
}

/* ---- many at once */

#define PROCESSES 16
#define TUNERS    6 /* the others classify */

static void sixteen_at_once(void **state) {
  (void)state;
  static char caches[PROCESSES][128];
  pid_t pid[PROCESSES];
  char command[600], name[32];
  for (int i = 0; i < PROCESSES; i++) {
    /* PoCL's cache is not safe between processes: a copy of what is compiled already for each. */
    snprintf(caches[i], sizeof caches[i], "POCL_CACHE_DIR=%s/pocl-%d", folder, i);
    snprintf(command, sizeof command, "cp -r %s %s/pocl-%d", getenv("POCL_CACHE_DIR"), folder, i);
    assert_int_equal(system(command), 0);
  }
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < PROCESSES; i++) {
      snprintf(name, sizeof name, "at-once-%d", i);
      if (i < TUNERS && round == 0)
        pid[i] = start(name, caches[i], "tune --json --budget %d -b %d -m " MODEL, 1 + i % 2, i < 4 ? 1 : 2);
      else
        pid[i] = start(name, caches[i], CLASSIFY, image);
    }
    for (int i = 0; i < PROCESSES; i++) {
      snprintf(name, sizeof name, "at-once-%d", i);
      const int code = wait_for(pid[i]);
      char *out = written(name, "out"), *err = written(name, "err");
      if (code != 0) fail_msg("exit status %d: %s", code, err);
      if (i >= TUNERS || round > 0) {
        if (!is_right_answer(out)) fail_msg("another answer than without tuning: %s", out);
      } else if (!strstr(out, "\"stored\": true")) {
        fail_msg("not stored: %s", err);
      }
      free(out);
      free(err);
    }
  }
  static row_list rows;
  read_rows(&rows);
  assert_true(rows.count > 0);
  tuning *t = open_database();
  tuning_close(&t);
  char path[4096];
  make_path(path, "clvgg");
  assert_int_equal(count_names(path, "damaged"), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kills_cost_nothing_but_time), cmocka_unit_test(sixteen_at_once)};
  run_seconds = 900;
  return cmocka_run_group_tests(tests, set_up_program, tear_down);
}
