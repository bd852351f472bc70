/* Workers that do as they are told: what passes between them and their parent, what they inherit, and which program they are. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/stat.h>

#include "unit/worker_fixture.h"

static void test_echo(void **state) {
  (void)state;
  worker *w = start("echo");
  char text[64];
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof text, "message\t%d of \xE2\x82\xAC 1000", i);
    send_line(w, text);
    expect_line(w, text);
  }
  for (int i = 0; i < 100; i++) send_line(w, "one of many"); /* several in one read */
  for (int i = 0; i < 100; i++) expect_line(w, "one of many");
  static char line[MESSAGE_BYTES + 1];
  memset(line, 'x', MESSAGE_BYTES - 1);
  send_line(w, line);
  expect_line(w, line);
  line[MESSAGE_BYTES - 1] = 'x';
  assert_int_equal(worker_send(w, LONG_MS, line), WORKER_GARBAGE); /* too long */
  assert_int_equal(worker_send(w, LONG_MS, "a\nb"), WORKER_GARBAGE);
  send_line(w, "");
  expect_line(w, "");
  worker_end(&w);
  assert_null(w);
  worker_end(&w);
}

static void handler(int number) {
  (void)number;
}

/* Signals of the application: none is raised (SIGPIPE would end this test), and their handling stays as it was, here and as
 * if it had never been in the worker. */
static void test_signals_and_inheritance(void **state) {
  (void)state;
  struct sigaction now, old_pipe, old_child;
  sigset_t blocked, old;
  const int leaked = dup(STDERR_FILENO); /* an application that does not care for O_CLOEXEC */
  assert_true(leaked > 0);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, handler);
  signal(SIGUSR1, SIG_IGN);
  sigaction(SIGPIPE, NULL, &old_pipe);
  sigaction(SIGCHLD, NULL, &old_child);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &old);
  setenv("CLVGG_TEST_A", "from here", 1);
  setenv("CLVGG_TEST_B", "from here", 1);

  const char *const argv[] = {"/proc/self/exe", "--worker", "inherits", NULL};
  const char *const extra[] = {"CLVGG_TEST_B=extra", NULL};
  char line[MESSAGE_BYTES], *fields[8];
  size_t n = 0;
  worker *w = NULL;
  assert_int_equal(worker_start(argv, extra, &w), CLVGG_OK);
  assert_int_equal(worker_receive(w, LONG_MS, line), WORKER_OK);
  assert_int_equal(message_split(line, fields, 8, &n), CLVGG_OK);
  assert_int_equal(n, 6);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  assert_string_equal(fields[0], "9"); /* . .. 0 1 2, two of the side's, one of this program's, the folder's */
#endif
  assert_string_equal(fields[1], "0");
  assert_string_equal(fields[2], "0");
  assert_string_equal(fields[3], "from here");
  assert_string_equal(fields[4], "extra");
  assert_string_equal(fields[5], "0");
  kill(worker_pid(w), SIGKILL);
  expect(w, LONG_MS, WORKER_ENDED);
  for (int i = 0; i < 3; i++) assert_int_equal(worker_send(w, LONG_MS, "x"), WORKER_ENDED);
  worker_end(&w);

  sigaction(SIGPIPE, NULL, &now);
  assert_true(now.sa_handler == old_pipe.sa_handler && now.sa_flags == old_pipe.sa_flags);
  sigaction(SIGCHLD, NULL, &now);
  assert_true(now.sa_handler == old_child.sa_handler && now.sa_flags == old_child.sa_flags);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  signal(SIGCHLD, SIG_DFL);
  signal(SIGUSR1, SIG_DFL);
  close(leaked);
}

static void test_driver_that_prints(void **state) {
  (void)state;
  worker *w = start("prints");
  worker_ending ending;
  expect_line(w, "first");
  expect_line(w, "second");
  send_line(w, "x");
  expect_line(w, "x");
  worker_get_ending(w, &ending);
  assert_string_equal(ending.last_words, "warning: printed by a driver");
  worker_end(&w);
}

/* A worker outlives the thread that started it. */
static void *start_in_thread(void *mode) {
  worker *w = start(mode);
  send_line(w, "x");
  expect_line(w, "x"); /* it watches its parent by now */
  return w;
}

static void test_thread_that_ends(void **state) {
  (void)state;
  pthread_t thread;
  void *started = NULL;
  assert_int_equal(pthread_create(&thread, NULL, start_in_thread, "echo"), 0);
  assert_int_equal(pthread_join(thread, &started), 0);
  worker *w = started;
  for (int i = 0; i < 20; i++) {
    usleep(5000);
    send_line(w, "still there");
    expect_line(w, "still there");
  }
  worker_end(&w);
}

static void test_no_program(void **state) {
  (void)state;
  worker *w = NULL;
  const char *const missing[] = {"/nonexistent/program", NULL}, *const none[] = {NULL};
  assert_int_equal(worker_start(missing, NULL, &w), CLVGG_ERROR_IO);
  assert_non_null(strstr(clvgg_last_error(), "/nonexistent/program"));
  assert_null(w);
  assert_int_equal(worker_start(none, NULL, &w), CLVGG_ERROR_ARGUMENT);
  /* A program that is no worker. */
  const char *const other[] = {"/bin/sh", "-c", "echo oops >&2; exit 7", NULL};
  assert_int_equal(worker_start(other, NULL, &w), CLVGG_OK);
  expect(w, LONG_MS, WORKER_ENDED);
  assert_non_null(strstr(clvgg_last_error(), "ended with exit status 7; it wrote: oops"));
  worker_end(&w);
  /* A worker that nobody started. */
  worker_side *side;
  unsetenv("CLVGG_WORKER_PARENT");
  assert_int_equal(worker_side_open(&side), CLVGG_ERROR_ARGUMENT);
}

/* An empty program file named clvgg in a new folder; path has room for it. */
static void make_program(const char *folder, char *path, size_t bytes) {
  snprintf(path, bytes, "%s/clvgg", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fclose(f);
  assert_int_equal(chmod(path, 0755), 0);
}

static void test_program(void **state) {
  (void)state;
  char folder[] = "/tmp/clvgg-test-XXXXXX", path[64], found[4096], variable[128], small[4];
  assert_non_null(mkdtemp(folder));
  make_program(folder, path, sizeof path);
  unsetenv("CLVGG_PROGRAM");
  /* This test lies in the build tree, which may have the program built or not; so only $PATH's or its own are right. */
  snprintf(variable, sizeof variable, "relative::/nonexistent:%s", folder);
  char *old_path = strdup(getenv("PATH"));
  setenv("PATH", variable, 1);
  assert_int_equal(worker_program(found, sizeof found), CLVGG_OK);
  if (strcmp(found, path) != 0) assert_non_null(strstr(found, "/tools/clvgg"));
  setenv("CLVGG_PROGRAM", path, 1);
  assert_int_equal(worker_program(found, sizeof found), CLVGG_OK);
  assert_string_equal(found, path);
  assert_int_equal(worker_program(small, sizeof small), CLVGG_ERROR_TOO_LARGE);
  assert_int_equal(chmod(path, 0644), 0);
  assert_int_equal(worker_program(found, sizeof found), CLVGG_ERROR_IO);
  assert_non_null(strstr(clvgg_last_error(), path));
  setenv("PATH", old_path, 1);
  free(old_path);
  unsetenv("CLVGG_PROGRAM");
  unlink(path);
  rmdir(folder);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--worker") == 0) return planted_worker(argv[2]);
  const struct CMUnitTest tests[] = {
      TEST(test_echo),
      TEST(test_signals_and_inheritance),
      TEST(test_driver_that_prints),
      TEST(test_thread_that_ends),
      TEST(test_no_program),
      TEST(test_program),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
