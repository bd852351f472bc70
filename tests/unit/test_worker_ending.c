/* Workers that end, or whose parent does: it is told how, at once, and no process is left over; also on older kernels. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "unit/worker_fixture.h"

static bool group_signals = true; /* the kernel can signal a process group by a descriptor */

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
  const struct CMUnitTest tests[] = {
      TEST(test_ends_when_asked),
      TEST(test_crash),
      TEST(test_exit_status),
      TEST(test_grandchild_of_a_crashed_worker),
      TEST(test_application_that_reaps),
      TEST(test_parent_killed),
      TEST(test_many),
      TEST(test_worker_that_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
