/* Workers that misbehave: they are silent, say what is no message, do not listen, or say too much. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/worker_fixture.h"

static void test_abort_with_words(void **state) {
  (void)state;
  worker *w = start("abort");
  expect(w, LONG_MS, WORKER_ENDED);
  expect_ending(w, SIGABRT, 0, "ended by SIGABRT");
  assert_non_null(strstr(clvgg_last_error(), "driver.c:17: assertion ? failed ?"));
  worker_ending ending;
  worker_get_ending(w, &ending);
  const char *words = ending.last_words, *end = "line 399 of a driver\ndriver.c:17: assertion ? failed ?";
  assert_int_equal(strncmp(words, "line ", 5), 0); /* begins with a whole line, of the last 2 KiB */
  assert_true(strlen(words) > WORKER_LAST_WORDS - 100);
  assert_string_equal(words + strlen(words) - strlen(end), end);
  worker_end(&w);
}

static void test_silence(void **state) {
  (void)state;
  static const char *const modes[] = {"hang", "half", "deaf_to_signals", "stopped", "flood_stderr"};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    worker *w = start(modes[i]);
    const pid_t pid = worker_pid(w);
    if (i == 2) expect_line(w, "ready");
    if (i == 3) expect_line(w, "before");
    expect(w, SHORT_MS, WORKER_TIMED_OUT);
    expect(w, 0, WORKER_TIMED_OUT);
    worker_end(&w);
    expect_gone(pid);
  }
}

static void test_words_of_a_hanging_worker(void **state) {
  (void)state;
  worker *w = start("hang");
  worker_ending ending = {0};
  for (int i = 0; i < 600 && ending.last_words[0] == '\0'; i++) {
    expect(w, 100, WORKER_TIMED_OUT);
    worker_get_ending(w, &ending);
  }
  assert_string_equal(ending.last_words, "still compiling");
  assert_false(ending.ended);
  worker_end(&w);
}

static void test_late(void **state) {
  (void)state;
  worker *w = start("late");
  expect(w, 100, WORKER_TIMED_OUT);
  expect_line(w, "late");
  send_line(w, "x");
  expect_line(w, "x");
  worker_end(&w);
}

static void test_garbage(void **state) {
  (void)state;
  static const char *const modes[] = {"flood", "invalid", "control", "closes_output"};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    worker *w = start(modes[i]);
    const pid_t pid = worker_pid(w);
    expect(w, LONG_MS, WORKER_GARBAGE);
    expect(w, LONG_MS, WORKER_GARBAGE);
    worker_end(&w);
    expect_gone(pid);
  }
}

static void test_flood_of_lines(void **state) {
  (void)state;
  worker *w = start("flood_lines");
  for (int i = 0; i < 20000; i++) {
    expect_line(w, "one");
    expect_line(w, "two");
  }
  const pid_t pid = worker_pid(w);
  worker_end(&w); /* while it writes */
  expect_gone(pid);
}

/* A worker that does not read. */
static void test_send_times_out(void **state) {
  (void)state;
  static char line[4000];
  worker *w = start("hang");
  worker_outcome outcome = WORKER_OK;
  memset(line, 'x', sizeof line - 1);
  for (int i = 0; i < 10000 && outcome == WORKER_OK; i++) outcome = worker_send(w, SHORT_MS, line);
  assert_int_equal(outcome, WORKER_TIMED_OUT);
  outcome = worker_send(w, SHORT_MS, "x");
  assert_true(outcome == WORKER_TIMED_OUT || outcome == WORKER_GARBAGE);
  worker_end(&w);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--worker") == 0) return planted_worker(argv[2]);
  const struct CMUnitTest tests[] = {
      TEST(test_abort_with_words),
      TEST(test_silence),
      TEST(test_words_of_a_hanging_worker),
      TEST(test_late),
      TEST(test_garbage),
      TEST(test_flood_of_lines),
      TEST(test_send_times_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
