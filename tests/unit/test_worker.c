/* Worker processes: whatever one does, the process that started it goes on, and nothing is left over. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/worker.h"
#include "process/worker_side.h"
#include "unit/planted_worker.h"

enum {
  LONG_MS = 60000, /* for what has to come: nothing is measured here, and the machine may be busy */
  SHORT_MS = 300   /* for what never comes */
};

static bool group_signals = true; /* the kernel can signal a process group by a descriptor */

static worker *start(const char *mode) {
  const char *const argv[] = {"/proc/self/exe", "--worker", mode, NULL};
  worker *w = NULL;
  if (worker_start(argv, NULL, &w) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  return w;
}

static void expect(worker *w, int timeout_ms, worker_outcome outcome) {
  char line[MESSAGE_BYTES] = "";
  const worker_outcome found = worker_receive(w, timeout_ms, line);
  if (found != outcome) fail_msg("outcome %d, expected %d: %s (%.200s)", found, outcome, clvgg_last_error(), line);
}

static void expect_line(worker *w, const char *text) {
  char line[MESSAGE_BYTES] = "";
  const worker_outcome found = worker_receive(w, LONG_MS, line);
  if (found != WORKER_OK) fail_msg("outcome %d: %s", found, clvgg_last_error());
  assert_string_equal(line, text);
}

static void send_line(worker *w, const char *text) {
  assert_int_equal(worker_send(w, LONG_MS, text), WORKER_OK);
}

/* The process numbers that it sends. */
static void receive_numbers(worker *w, long *numbers, size_t count) {
  char line[MESSAGE_BYTES], *fields[8];
  size_t n = 0;
  assert_int_equal(worker_receive(w, LONG_MS, line), WORKER_OK);
  assert_int_equal(message_split(line, fields, 8, &n), CLVGG_OK);
  assert_int_equal(n, count);
  for (size_t i = 0; i < n; i++) numbers[i] = strtol(fields[i], NULL, 10);
}

/* Zombies count as gone: of grandchildren they are for the system to reap. */
static bool is_gone(long pid) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *f = fopen(path, "r");
  if (f == NULL) return true;
  const size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  const char *state = n == 0 ? NULL : strrchr(text, ')');
  return state == NULL || state[2] == 'Z' || state[2] == 'X';
}

static void expect_gone(long pid) {
  assert_true(pid > 1);
  for (int i = 0; i < 3000 && !is_gone(pid); i++) usleep(10000);
  if (!is_gone(pid)) {
    kill((pid_t)pid, SIGKILL);
    fail_msg("process %ld is still there", pid);
  }
}

static int count_descriptors(void) {
  int n = 0;
  DIR *folder = opendir("/proc/self/fd");
  assert_non_null(folder);
  while (readdir(folder) != NULL) n++;
  closedir(folder);
  return n;
}

/* Around each test: no descriptor and no child, zombie or not, is left. */
static int descriptors_before;

static int before(void **state) {
  (void)state;
  descriptors_before = count_descriptors();
  return 0;
}

static int after(void **state) {
  (void)state;
  siginfo_t info;
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD) {
    print_error("a child process is left\n");
    return 1;
  }
  if (count_descriptors() != descriptors_before) {
    print_error("descriptors: %d before, %d now\n", descriptors_before, count_descriptors());
    return 1;
  }
  return 0;
}

static void test_fields(void **state) {
  (void)state;
  const char *const fields[] = {"", "a\tb\nc\\d", "gr\xC3\xB6\xC3\x9Fr", "\x1b[1m\xff\x7f\r", "\xF0\x9F\x8C\x8A", ""};
  enum { COUNT = sizeof fields / sizeof *fields };
  char line[MESSAGE_BYTES], *found[COUNT];
  size_t n = 0;
  assert_int_equal(message_join(fields, COUNT, line), CLVGG_OK);
  assert_string_equal(line, "\ta\\tb\\nc\\\\d\tgr\xC3\xB6\xC3\x9Fr\t\\x1b[1m\\xff\\x7f\\x0d\t\xF0\x9F\x8C\x8A\t");
  assert_true(message_valid(line, strlen(line)));
  assert_int_equal(message_split(line, found, COUNT, &n), CLVGG_OK);
  assert_int_equal(n, COUNT);
  for (size_t i = 0; i < n; i++) assert_string_equal(found[i], fields[i]);

  static const char *const wrong[] = {"\\", "a\\q", "\\x", "\\x1", "\\x1g", "\\x00", "1\t2\t3\t4\t5\t6\t7"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    snprintf(line, sizeof line, "%s", wrong[i]);
    assert_int_equal(message_split(line, found, COUNT, &n), CLVGG_ERROR_FORMAT);
  }
  /* Overlong, surrogate, above the last character, cut, alone. */
  static const char *const invalid[] = {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80",
                                        "\n",       "\x01"};
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
    assert_false(message_valid(invalid[i], strlen(invalid[i])));
}

/* The longest line that fits, and each that is longer, with one and with two fields. */
static void test_long_fields(void **state) {
  (void)state;
  static char text[MESSAGE_BYTES + 8], line[MESSAGE_BYTES];
  char *found[2];
  size_t n = 0;
  for (size_t length = MESSAGE_BYTES - 6; length < MESSAGE_BYTES + 4; length++) {
    memset(text, 'x', length);
    text[length] = '\0';
    const char *const fields[] = {text, ""};
    for (size_t count = 1; count <= 2; count++) {
      const bool fits = length + count - 1 < MESSAGE_BYTES;
      assert_int_equal(message_join(fields, count, line), fits ? CLVGG_OK : CLVGG_ERROR_TOO_LARGE);
      if (!fits) continue;
      assert_int_equal(strlen(line), length + count - 1);
      assert_int_equal(message_split(line, found, 2, &n), CLVGG_OK);
      assert_int_equal(n, count);
    }
  }
}

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

static void test_ends_when_asked(void **state) {
  (void)state;
  worker *w = start("echo");
  send_line(w, "x");
  expect_line(w, "x");
  const pid_t pid = worker_pid(w);
  worker_ending ending;
  worker_get_ending(w, &ending);
  assert_false(ending.ended);
  worker_end(&w);
  expect_gone(pid);
}

static void expect_ending(worker *w, int signal_number, int status, const char *described) {
  worker_ending ending;
  char text[128];
  worker_get_ending(w, &ending);
  assert_true(ending.ended && ending.known);
  assert_int_equal(ending.signal, signal_number);
  assert_int_equal(ending.status, status);
  worker_describe(&ending, text, sizeof text);
  assert_string_equal(text, described);
  assert_non_null(strstr(clvgg_last_error(), described));
}

static void test_crash(void **state) {
  (void)state;
  worker *w = start("segv");
  send_line(w, "now");
  expect(w, LONG_MS, WORKER_ENDED);
  expect_ending(w, SIGSEGV, 0, "ended by SIGSEGV");
  expect(w, LONG_MS, WORKER_ENDED); /* and again */
  assert_int_equal(worker_send(w, LONG_MS, "x"), WORKER_ENDED);
  worker_end(&w);
}

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

static void test_exit_status(void **state) {
  (void)state;
  worker *w = start("exit3");
  siginfo_t info;
  /* Even when it is long gone, what it had said comes first. */
  assert_int_equal(waitid(P_PID, (id_t)worker_pid(w), &info, WEXITED | WNOWAIT), 0);
  expect_line(w, "before");
  expect(w, LONG_MS, WORKER_ENDED);
  expect_ending(w, 0, 3, "ended with exit status 3");
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

static void test_grandchild_of_a_crashed_worker(void **state) {
  (void)state;
  long pid[2];
  worker *w = start("grandchild");
  receive_numbers(w, pid, 2);
  assert_false(is_gone(pid[0]));
  send_line(w, "now");
  expect(w, LONG_MS, WORKER_ENDED); /* although the grandchild holds its stdout */
  expect_ending(w, SIGSEGV, 0, "ended by SIGSEGV");
  expect_gone(pid[0]);
  worker_end(&w);

  w = start("grandchild_idle");
  receive_numbers(w, pid, 2);
  worker_end(&w); /* it ends as asked, with status 0 */
  expect_gone(pid[0]);
}

/* An application that ignores SIGCHLD, or reaps every child: the status is lost, and nothing else. */
static void test_application_that_reaps(void **state) {
  (void)state;
  long pid[2];
  worker_ending ending;
  for (int turn = 0; turn < 2; turn++) {
    if (turn == 0) signal(SIGCHLD, SIG_IGN);
    worker *w = start("grandchild");
    receive_numbers(w, pid, 2);
    send_line(w, "now");
    if (turn == 1) assert_int_equal(waitpid(-1, NULL, 0), worker_pid(w));
    expect(w, LONG_MS, WORKER_ENDED);
    worker_get_ending(w, &ending);
    assert_true(ending.ended);
    if (turn == 1) assert_false(ending.known);
    if (group_signals)
      expect_gone(pid[0]);
    else
      kill((pid_t)pid[0], SIGKILL);
    worker_end(&w);

    w = start("hang");
    expect(w, SHORT_MS, WORKER_TIMED_OUT);
    const pid_t hanging = worker_pid(w);
    worker_end(&w);
    expect_gone(hanging);
    if (turn == 0) signal(SIGCHLD, SIG_DFL);
  }
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

/* Killed with kill -9 while its worker is busy: by the kernel's signal and stdin's end, and by each of them alone. */
static void test_parent_killed(void **state) {
  (void)state;
  static const char *const modes[] = {"parent", "parent_of_fork", "parent_stdin_only"};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    long pid[3]; /* the parent's worker, that one's child, a fork of the parent */
    worker *w = start(modes[i]);
    receive_numbers(w, pid, 3);
    assert_false(is_gone(pid[0]) || is_gone(pid[1]));
    kill(worker_pid(w), SIGKILL);
    if (i == 1) assert_false(is_gone(pid[2]));
    for (int k = 0; k < 3000 && !(is_gone(pid[0]) && is_gone(pid[1])); k++) usleep(10000);
    const bool gone = is_gone(pid[0]) && is_gone(pid[1]);
    if (!gone) {
      kill((pid_t)pid[0], SIGKILL);
      kill((pid_t)pid[1], SIGKILL);
    }
    worker_end(&w); /* and with it the fork, which is in its group */
    assert_true(gone);
    if (i == 1) expect_gone(pid[2]);
  }
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

static void test_many(void **state) {
  (void)state;
  enum { MANY = 20 };
  worker *w[MANY];
  char text[32];
  for (int i = 0; i < MANY; i++) w[i] = start("echo");
  for (int turn = 0; turn < 3; turn++) {
    for (int i = 0; i < MANY; i++) {
      snprintf(text, sizeof text, "worker %d", i);
      send_line(w[i], text);
    }
    for (int i = 0; i < MANY; i++) {
      snprintf(text, sizeof text, "worker %d", i);
      expect_line(w[i], text);
    }
  }
  kill(worker_pid(w[3]), SIGKILL); /* the others do not hold its descriptors */
  expect(w[3], LONG_MS, WORKER_ENDED);
  for (int i = 0; i < MANY; i++) worker_end(&w[i]);
}

/* A killed worker that stays: worker_end comes back all the same, and a later call reaps it. */
static void test_worker_that_stays(void **state) {
  (void)state;
  long pid[2];
  worker *w = start("held");
  receive_numbers(w, pid, 2);
  const pid_t held = worker_pid(w);
  worker_end(&w);
  siginfo_t info;
  const bool stayed = waitid(P_PID, (id_t)held, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  kill((pid_t)pid[0], SIGKILL);
  expect_gone(pid[0]);
  if (!stayed) {
    assert_int_equal(pid[1], 0);
    print_message("this system does not allow tracing\n");
    return;
  }
  do usleep(10000); /* until the kernel has handed it back */
  while (waitid(P_PID, (id_t)held, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0);
  w = start("echo");
  assert_int_equal(waitid(P_PID, (id_t)held, &info, WEXITED | WNOHANG | WNOWAIT), -1);
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

/* Makes the kernel an older one, in which a system call fails so. */
static int take_away(unsigned number, int error) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool can_signal_groups(void) {
  const int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (fd < 0) return false;

  const bool can =
      syscall(SYS_pidfd_send_signal, fd, 0, NULL, 4 /* PIDFD_SIGNAL_PROCESS_GROUP */) == 0 || errno == ESRCH;
  close(fd);
  return can;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--worker") == 0) return planted_worker(argv[2]);
  if (argc == 2 && strcmp(argv[1], "--no-pidfd") == 0 && take_away(SYS_pidfd_open, ENOSYS) != 0) return 77;
  if (argc == 2 && strcmp(argv[1], "--no-group") == 0 && take_away(SYS_pidfd_send_signal, EINVAL) != 0) return 77;
  group_signals = can_signal_groups();
#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)
  const struct CMUnitTest tests[] = {
      TEST(test_fields),
      TEST(test_long_fields),
      TEST(test_echo),
      TEST(test_ends_when_asked),
      TEST(test_crash),
      TEST(test_abort_with_words),
      TEST(test_exit_status),
      TEST(test_silence),
      TEST(test_words_of_a_hanging_worker),
      TEST(test_late),
      TEST(test_garbage),
      TEST(test_flood_of_lines),
      TEST(test_send_times_out),
      TEST(test_grandchild_of_a_crashed_worker),
      TEST(test_application_that_reaps),
      TEST(test_signals_and_inheritance),
      TEST(test_driver_that_prints),
      TEST(test_parent_killed),
      TEST(test_thread_that_ends),
      TEST(test_many),
      TEST(test_worker_that_stays),
      TEST(test_no_program),
      TEST(test_program),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
