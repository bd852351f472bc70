/* The tuning database under 16 processes at once, under kill -9, and with flipped bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>

#include "unit/tuning_fixture.h"

/* In a child: cmocka's checks would run the rest of the tests there. */
#define CHECK(condition)                                                                       \
  do {                                                                                         \
    if (!(condition)) {                                                                        \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, clvgg_last_error()); \
      _exit(1);                                                                                \
    }                                                                                          \
  } while (0)

static void sleep_us(long us) {
  const struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

/* ---- many processes */

enum { PROCESSES = 16, ROWS_EACH = 25 };

static double seconds_of(int process, int row) {
  return 1e-6 * (1 + process * 1000 + row);
}

static void write_and_read(int process) {
  const tuning_key key = made_up_key("1.0");
  tuning *t;
  tuning_measurement found;
  char problem[64];
  int64_t session;
  CHECK(tuning_open(path, &t) == CLVGG_OK && tuning_is_stored(t, NULL));
  CHECK(tuning_session_begin(t, &session) == CLVGG_OK);
  for (int i = 0; i < ROWS_EACH; i++) {
    snprintf(problem, sizeof problem, "%d-%d", process, i);
    const tuning_measurement own = ok_row(problem, seconds_of(process, i), session);
    const tuning_measurement shared = ok_row("shared", seconds_of(process, i), 1);
    CHECK(tuning_record(t, &key, &own) == CLVGG_OK);
    CHECK(tuning_record(t, &key, &shared) == CLVGG_OK);
    CHECK(find(t, &key, problem, &found) && found.seconds == seconds_of(process, i));
    CHECK(find(t, &key, "shared", &found) && found.seconds <= seconds_of(process, i));
    if (i % 8 == 0) {
      tuning_measurement *rows;
      size_t count;
      CHECK(tuning_list(t, &key, &rows, &count) == CLVGG_OK && count > (size_t)i);
      free(rows);
    }
  }
  CHECK(tuning_is_stored(t, NULL));
  tuning_close(&t);
  _exit(0);
}

static void sixteen_processes_lose_no_row(void **state) {
  (void)state;
  pid_t child[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    child[i] = fork();
    assert_true(child[i] >= 0);
    if (child[i] == 0) write_and_read(i);
  }
  int failed = 0;
  for (int i = 0; i < PROCESSES; i++) {
    int status;
    assert_int_equal(waitpid(child[i], &status, 0), child[i]);
    failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  assert_int_equal(failed, 0);

  tuning *t = open_stored();
  const tuning_key key = made_up_key("1.0");
  tuning_measurement found;
  char problem[64];
  bool used[PROCESSES + 1] = {false};
  for (int i = 0; i < PROCESSES; i++)
    for (int k = 0; k < ROWS_EACH; k++) {
      snprintf(problem, sizeof problem, "%d-%d", i, k);
      if (!find(t, &key, problem, &found)) fail_msg("%s is lost", problem);
      assert_true(found.seconds == seconds_of(i, k));
      assert_in_range(found.session, 1, PROCESSES);
      if (k == 0) assert_false(used[found.session]); /* each a session of its own */
      used[found.session] = true;
    }
  assert_true(find(t, &key, "shared", &found));
  assert_true(found.seconds == seconds_of(0, 0));
  tuning_close(&t);
  assert_int_equal(lines.count, 0);
}

/* ---- kill -9 */

enum { KILLS = 50 };

/* Records rows from number first on; each that is committed is told. */
static void write_for_ever(int first, int told) {
  const tuning_key key = made_up_key("1.0");
  tuning *t;
  char problem[64];
  CHECK(tuning_open(path, &t) == CLVGG_OK && tuning_is_stored(t, NULL));
  for (int i = first;; i++) {
    snprintf(problem, sizeof problem, "row %d", i);
    const tuning_measurement m = ok_row(problem, seconds_of(0, i), 1);
    CHECK(tuning_record(t, &key, &m) == CLVGG_OK && tuning_is_stored(t, NULL));
    CHECK(write(told, &i, sizeof i) == sizeof i);
  }
}

static void check_integrity(void) {
  sqlite3 *db;
  sqlite3_stmt *statement;
  assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  assert_string_equal(sqlite3_column_text(statement, 0), "ok");
  sqlite3_finalize(statement);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Rows 0 .. next - 1, perhaps one more that could not be told. Returns how many there are. */
static int check_rows(int next) {
  const tuning_key key = made_up_key("1.0");
  tuning *t = open_stored();
  tuning_measurement *rows;
  size_t count;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  if (count != (size_t)next && count != (size_t)next + 1) fail_msg("%zu rows, %d were committed", count, next);
  bool *there = calloc(count + 1, sizeof *there);
  assert_non_null(there);
  for (size_t i = 0; i < count; i++) {
    int number;
    assert_int_equal(sscanf(rows[i].problem, "row %d", &number), 1);
    assert_in_range(number, 0, count - 1);
    assert_true(!there[number] && rows[i].seconds == seconds_of(0, number));
    there[number] = true;
  }
  free(there);
  free(rows);
  tuning_close(&t);
  return (int)count;
}

static void kills_lose_no_committed_row(void **state) {
  (void)state;
  int next = 0;
  srand(5);
  for (int i = 0; i < KILLS; i++) {
    int ends[2], number;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      close(ends[0]);
      write_for_ever(next, ends[1]);
    }
    close(ends[1]);
    /* Every other time not before its first row, so that the file has some to lose. */
    if (i % 2 && read(ends[0], &number, sizeof number) == sizeof number) next = number + 1;
    sleep_us(rand() % 30000);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &number, sizeof number) == sizeof number) {
      assert_int_equal(number, next);
      next = number + 1;
    }
    close(ends[0]);
    next = check_rows(next);
    check_integrity();
  }
  print_message("%d kills, %d rows\n", KILLS, next);
  assert_true(next >= KILLS / 2);
  assert_int_equal(lines.count, 0); /* nothing had to be repaired */
}

/* ---- flipped bits */

enum { MEASUREMENTS = 120, PLANS = 4, EVENTS = 40 };

static tuning_measurement expected_row(int i) {
  char problem[64];
  snprintf(problem, sizeof problem, "conv 64x%dx224 -> 64x%dx224", i, i);
  return i % 9 ? ok_row(problem, 1e-4 * (i + 1), 1) : failed_row(problem, TUNING_CRASH, "signal 11", 1);
}
static tuning_plan expected_plan(int i) {
  tuning_plan p = {.ms = 40 + i, .untuned_ms = 50 + i, .session = 1, .created = 1000};
  snprintf(p.network, sizeof p.network, "network %d", i);
  for (int k = 0; k < 40; k++) sprintf(p.steps + strlen(p.steps), "step %d of plan %d; ", k, i);
  return p;
}
static tuning_event expected_event(int i) {
  tuning_event e = {.network = "network", .session = 1, .number = i, .seconds = i, .ms = 1 + i, .best_ms = 60 - i};
  snprintf(e.candidate, sizeof e.candidate, "candidate %d", i);
  return e;
}

static void fill(void) {
  const tuning_key keys[2] = {made_up_key("1.0"), made_up_key("2.0")};
  tuning *t = open_stored();
  for (int i = 0; i < MEASUREMENTS; i++) {
    const tuning_measurement m = expected_row(i);
    assert_int_equal(tuning_record(t, &keys[i % 2], &m), CLVGG_OK);
  }
  for (int i = 0; i < PLANS; i++) {
    const tuning_plan p = expected_plan(i);
    assert_int_equal(tuning_record_plan(t, &keys[0], &p), CLVGG_OK);
  }
  for (int i = 0; i < EVENTS; i++) {
    const tuning_event e = expected_event(i);
    assert_int_equal(tuning_record_event(t, &keys[0], &e), CLVGG_OK);
  }
  assert_int_equal(tuning_record_peaks(t, &keys[0], 340, 27), CLVGG_OK);
  tuning_close(&t);
}

/* Everything that can be read is right. Returns how many rows there are. */
static size_t read_all(tuning *t) {
  size_t all = 0, count;
  for (int k = 0; k < 2; k++) {
    const tuning_key key = made_up_key(k ? "2.0" : "1.0");
    tuning_measurement *rows;
    assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
    for (size_t i = 0; i < count; i++) {
      int number;
      assert_int_equal(sscanf(rows[i].problem, "conv 64x%d", &number), 1);
      assert_in_range(number, 0, MEASUREMENTS - 1);
      tuning_measurement expected = expected_row(number);
      expected.device = rows[i].device;
      expected.other_software = number % 2 != k;
      assert_memory_equal(&rows[i], &expected, sizeof expected);
      all += !rows[i].other_software;
    }
    free(rows);
    tuning_device d;
    bool found;
    assert_int_equal(tuning_find_device(t, &key, &d, &found), CLVGG_OK);
    if (found) assert_true(d.peak_gflops == (k ? 0 : 340) && d.peak_gbytes_per_s == (k ? 0 : 27));
    all += found;
  }
  const tuning_key key = made_up_key("1.0");
  tuning_plan *plans;
  assert_int_equal(tuning_list_plans(t, &key, &plans, &count), CLVGG_OK);
  for (size_t i = 0; i < count; i++) {
    int number;
    assert_int_equal(sscanf(plans[i].network, "network %d", &number), 1);
    tuning_plan expected = expected_plan(number);
    expected.device = plans[i].device;
    assert_memory_equal(&plans[i], &expected, sizeof expected);
  }
  free(plans);
  all += count;
  tuning_event *events;
  assert_int_equal(tuning_list_events(t, &key, "network", &events, &count), CLVGG_OK);
  for (size_t i = 0; i < count; i++) {
    tuning_event expected = expected_event((int)events[i].number);
    expected.device = events[i].device;
    assert_memory_equal(&events[i], &expected, sizeof expected);
  }
  free(events);
  return all + count;
}

static void flipped_bits_make_no_wrong_row(void **state) {
  (void)state;
  const size_t all = MEASUREMENTS + 2 + PLANS + EVENTS;
  file_map file;
  fill();
  assert_int_equal(file_map_open(path, &file), CLVGG_OK);
  const size_t bytes = file.bytes;
  unsigned char *whole = malloc(bytes);
  assert_non_null(whole);
  memcpy(whole, file.data, bytes);
  file_map_close(&file);
  assert_in_range(bytes, 20000, 100000);

  size_t flips = 0, repaired = 0, in_memory = 0, worst = all;
  /* All of the head, then every 97th byte. */
  for (size_t at = 0; at < bytes; at += at < 100 ? 1 : 97 - at % 97, flips++) {
    const unsigned char bit = (unsigned char)(1U << flips % 8);
    char kept[PATH_MAX + 64];
    snprintf(kept, sizeof kept, "%s.damaged", path);
    unlink(kept);
    whole[at] ^= bit;
    assert_int_equal(file_write(path, whole, bytes), CLVGG_OK);
    whole[at] ^= bit;

    tuning *t;
    const tuning_key key = made_up_key("3.0");
    assert_int_equal(tuning_open(path, &t), CLVGG_OK);
    const size_t rows = read_all(t);
    if (rows < worst) worst = rows;
    if (rows > all) fail_msg("byte %zu: %zu rows of %zu", at, rows, all);
    /* And it goes on. */
    const tuning_measurement m = ok_row("conv 64x0", 1, 1);
    tuning_measurement found;
    assert_int_equal(tuning_record(t, &key, &m), CLVGG_OK);
    assert_true(find(t, &key, m.problem, &found));
    repaired += (size_t)file_exists(kept);
    in_memory += !tuning_is_stored(t, NULL);
    tuning_close(&t);
  }
  print_message("%zu bytes, %zu flips: %zu files repaired, %zu times in memory, at least %zu of %zu rows saved\n",
                bytes, flips, repaired, in_memory, worst, all);
  assert_true(repaired > flips / 4);
  free(whole);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(sixteen_processes_lose_no_row),
      TEST(kills_lose_no_committed_row),
      TEST(flipped_bits_make_no_wrong_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
