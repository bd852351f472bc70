/* The worker processes that the tests of workers start: each misbehaves in one way. */
#define _GNU_SOURCE /* PTRACE_SEIZE */
#include "unit/planted_worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/worker.h"
#include "process/worker_side.h"

static worker_side *side;
static int raw; /* the pipe to the parent, for what is no message */

static void say(const char *text) {
  if (worker_side_send(side, text) != CLVGG_OK) _exit(9);
}

static void say_numbers(long a, long b) {
  char text[64];
  snprintf(text, sizeof text, "%ld\t%ld", a, b);
  say(text);
}

static void hang(void) {
  for (;;) pause();
}

static int echo(void) {
  char line[MESSAGE_BYTES];
  bool ended = false;
  while (worker_side_receive(side, line, &ended) == CLVGG_OK && !ended) say(line);
  return ended ? 0 : 8;
}

/* A process in this one's group that does nothing. */
static pid_t grandchild(void) {
  const pid_t pid = fork();
  if (pid == 0) hang();
  return pid;
}

static void crash(void) {
  char line[MESSAGE_BYTES];
  bool ended;
  volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  worker_side_receive(side, line, &ended); /* not before it is told to */
  signal(SIGSEGV, SIG_DFL);                /* a sanitizer's */
  *page = 1;
}

static int mode_segv(void) {
  crash();
  return 0;
}

static int mode_abort(void) {
  for (int i = 0; i < 400; i++) fprintf(stderr, "line %d of a driver\n", i);
  fprintf(stderr, "driver.c:17: assertion \x1b failed \xff\n");
  signal(SIGABRT, SIG_DFL);
  abort();
}

static int mode_exit3(void) {
  say("before");
  exit(3);
}

static int mode_hang(void) {
  fprintf(stderr, "still compiling\n");
  hang();
  return 0;
}

static void write_forever(int fd, const char *text) {
  for (;;)
    if (write(fd, text, strlen(text)) < 0 && errno != EINTR) _exit(7);
}

static int mode_flood(void) {
  write_forever(raw, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
  return 0;
}

static int mode_flood_lines(void) {
  write_forever(raw, "one\ntwo\n");
  return 0;
}

static int mode_flood_stderr(void) {
  write_forever(STDERR_FILENO, "warning: a driver that warns about everything\n");
  return 0;
}

static int write_and_hang(const char *bytes, size_t n) {
  if (write(raw, bytes, n) != (ssize_t)n) _exit(7);
  hang();
  return 0;
}

static int mode_half(void) {
  return write_and_hang("half a li", 9);
}
static int mode_invalid(void) {
  return write_and_hang("a\xC0\x80z\n", 5);
}
static int mode_control(void) {
  return write_and_hang("a\0b\n", 4);
}

static int mode_late(void) {
  sleep(2);
  say("late");
  return echo();
}

static int mode_deaf_to_signals(void) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  say("ready");
  return mode_hang();
}

static int mode_grandchild(void) {
  say_numbers(grandchild(), 0);
  crash();
  return 0;
}

static int mode_grandchild_idle(void) {
  say_numbers(grandchild(), 0);
  return echo();
}

static int mode_closes_output(void) {
  struct stat info;
  for (int fd = 1; fd < 64; fd++)
    if (fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode))
      close(fd); /* not the socket that is watched for the parent's end */
  hang();
  return 0;
}

static int mode_stopped(void) {
  say("before");
  raise(SIGSTOP);
  return echo();
}

/* Busy as a kernel in an endless loop, in a process that blocks all signals it can. */
static _Noreturn void busy(void) {
  say_numbers(getpid(), grandchild());
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  for (volatile unsigned i = 0;; i++)
    if (i % 4096 == 0) usleep(1000); /* kind to the tests beside it */
}

static int mode_busy(void) {
  busy();
}

static int mode_busy_stdin_only(void) {
  prctl(PR_SET_PDEATHSIG, 0);
  busy();
}

/* A process that is killed while it has a worker. It sends the numbers of the worker and of that one's child, and of a fork of
 * itself, if it is to have one, that holds on to its descriptors. */
static int have_worker(const char *mode, bool with_fork) {
  const char *const argv[] = {"/proc/self/exe", "--worker", mode, NULL};
  char line[MESSAGE_BYTES];
  worker *w;
  if (worker_start(argv, NULL, &w) != CLVGG_OK || worker_receive(w, 60000, line) != WORKER_OK) return 6;
  pid_t fork_pid = 0;
  if (with_fork) {
    fork_pid = fork();
    if (fork_pid == 0) hang();
  }
  snprintf(line + strlen(line), 32, "\t%ld", (long)fork_pid);
  say(line);
  hang();
  return 0;
}

static int mode_parent(void) {
  return have_worker("busy", false);
}
static int mode_parent_of_fork(void) {
  return have_worker("busy", true);
}
static int mode_parent_stdin_only(void) {
  return have_worker("busy_stdin_only", false);
}

/* What a driver prints between messages. */
static int mode_prints(void) {
  say("first");
  printf("warning: printed by a driver\n");
  fflush(stdout);
  say("second");
  return echo();
}

/* What it has inherited: descriptors, ignored and blocked signals, the environment, bytes on stdin. */
static int mode_inherits(void) {
  int descriptors = 0, ignored = 0, blocked = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL) descriptors++;
  if (folder != NULL) closedir(folder);
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  for (int s = 1; s < 32; s++) {
    struct sigaction action;
    ignored += sigaction(s, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
    blocked += sigismember(&mask, s) == 1;
  }
  char text[256], byte;
  const char *a = getenv("CLVGG_TEST_A"), *b = getenv("CLVGG_TEST_B");
  snprintf(text, sizeof text, "%d\t%d\t%d\t%s\t%s\t%d", descriptors, ignored, blocked, a ? a : "-", b ? b : "-",
           (int)read(STDIN_FILENO, &byte, 1));
  say(text);
  return echo();
}

/* Killed, it stays a zombie that its parent cannot reap, because another process traces it: as one that a driver holds. */
static int mode_held(void) {
  int ready[2];
  char byte = 'n';
  if (pipe(ready) != 0) return 6;
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  const pid_t traced = getpid(), tracer = fork();
  if (tracer == 0) {
    setsid();
    byte = ptrace(PTRACE_SEIZE, traced, NULL, NULL) == 0 ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(6);
    hang();
  }
  if (read(ready[0], &byte, 1) != 1) return 6;
  say_numbers(tracer, byte == 'y');
  hang();
  return 0;
}

int planted_worker(const char *mode) {
  static const struct {
    const char *name;
    int (*run)(void);
  } modes[] = {
      {"echo", echo},
      {"segv", mode_segv},
      {"abort", mode_abort},
      {"exit3", mode_exit3},
      {"hang", mode_hang},
      {"flood", mode_flood},
      {"flood_lines", mode_flood_lines},
      {"flood_stderr", mode_flood_stderr},
      {"half", mode_half},
      {"invalid", mode_invalid},
      {"control", mode_control},
      {"late", mode_late},
      {"deaf_to_signals", mode_deaf_to_signals},
      {"grandchild", mode_grandchild},
      {"grandchild_idle", mode_grandchild_idle},
      {"closes_output", mode_closes_output},
      {"stopped", mode_stopped},
      {"busy", mode_busy},
      {"busy_stdin_only", mode_busy_stdin_only},
      {"parent", mode_parent},
      {"parent_of_fork", mode_parent_of_fork},
      {"parent_stdin_only", mode_parent_stdin_only},
      {"prints", mode_prints},
      {"inherits", mode_inherits},
      {"held", mode_held},
  };
  raw = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (worker_side_open(&side) != CLVGG_OK) {
    fprintf(stderr, "%s\n", clvgg_last_error());
    return 5;
  }
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(modes[i].name, mode) == 0) return modes[i].run();
  return 4;
}
