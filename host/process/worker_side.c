/* A worker's own end: its messages, and two ways to notice that the process which started it is gone. */
#define _GNU_SOURCE /* POLLRDHUP */
#include "process/worker_side.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "process/internal.h"

enum { LEAVE_MS = 1000 }; /* from the parent's closing its end to the end of this process */

struct worker_side {
  int in, out;
  message_buffer input;
};

static worker_side the_side; /* a process has one stdin */
static pid_t parent;

/* Ends this process and what it has started; async-signal-safe. */
static void end_group(void) {
  if (getpgrp() == getpid()) kill(0, SIGKILL);
  _exit(1);
}

/* Linux sends its signal when the thread that started this process ends. That is of interest only when the whole process has:
 * so it cannot be SIGKILL. */
static void on_parent_thread_end(int signal_number) {
  (void)signal_number;
  if (getppid() != parent) end_group();
}

static int death_signal(void) {
  return SIGRTMAX - 1;
}

/* Works also where the parent is in another process-identifier namespace, and on systems without PR_SET_PDEATHSIG; but not
 * while a fork of the parent holds the other end, too. */
static void *watch_stdin(void *unused) {
  (void)unused;
  struct pollfd fd = {.fd = the_side.in, .events = POLLRDHUP}; /* also while lines wait to be read */
  while (poll(&fd, 1, -1) <= 0) {
    if (errno != EINTR) end_group();
  }
  struct timespec left = {.tv_sec = LEAVE_MS / 1000, .tv_nsec = LEAVE_MS % 1000 * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  end_group();
  return NULL;
}

static clvgg_status watch_parent(void) {
  struct sigaction action = {.sa_handler = on_parent_thread_end, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  const char *text = getenv(WORKER_PARENT_VARIABLE);
  const pid_t expected = text == NULL ? 0 : (pid_t)strtol(text, NULL, 10);
  if (expected <= 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "this command is only for processes that clvgg itself starts");
  unsetenv(WORKER_PARENT_VARIABLE); /* what is started from here has another parent */
  parent = getppid();               /* 0: in another namespace */
  if (sigaction(death_signal(), &action, NULL) != 0 || prctl(PR_SET_PDEATHSIG, death_signal()) != 0)
    return base_fail(CLVGG_ERROR_IO, "cannot watch the parent process: %s", strerror(errno));
  if ((parent != 0 && parent != expected) || getppid() != parent) end_group(); /* it ended before all this */
  return CLVGG_OK;
}

/* Threads of drivers may block what signals they like: this one takes the signal, and no other. */
static clvgg_status start_watching_stdin(void) {
  sigset_t watched, before;
  pthread_t thread;
  sigfillset(&watched);
  sigdelset(&watched, death_signal());
  pthread_sigmask(SIG_SETMASK, &watched, &before);
  const int error = pthread_create(&thread, NULL, watch_stdin, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) return base_fail(CLVGG_ERROR_IO, "cannot start a thread: %s", strerror(error));
  pthread_detach(thread);
  return CLVGG_OK;
}

/* Messages get descriptors of their own, which what is started from here does not inherit. */
static clvgg_status take_channels(void) {
  the_side.in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  the_side.out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool done = the_side.in >= 0 && the_side.out >= 0 && empty >= 0 && dup2(empty, STDIN_FILENO) >= 0 &&
                    dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
  const int error = errno;
  if (empty >= 0) close(empty);
  if (!done) return base_fail(CLVGG_ERROR_IO, "cannot take stdin and stdout: %s", strerror(error));
  return CLVGG_OK;
}

/* A candidate that crashes would write gigabytes. 1: with 0, Linux still writes to a core_pattern that is a program. */
static void turn_core_dumps_off(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max < 1 ? limit.rlim_max : 1;
  setrlimit(RLIMIT_CORE, &limit);
}

clvgg_status worker_side_open(worker_side **out) {
  *out = NULL;
  TRY(watch_parent());
  turn_core_dumps_off();
  TRY(take_channels());
  TRY(start_watching_stdin());
  *out = &the_side;
  return CLVGG_OK;
}

clvgg_status worker_side_receive(worker_side *side, char line[MESSAGE_BYTES], bool *ended) {
  *ended = false;
  for (;;) {
    switch (message_take(&side->input, line)) {
      case MESSAGE_LINE:
        return CLVGG_OK;
      case MESSAGE_BAD:
        return base_fail(CLVGG_ERROR_FORMAT, "the parent process sent what is no message");
      case MESSAGE_NONE:
        break;
    }
    size_t room = 0;
    char *to = message_room(&side->input, &room);
    const ssize_t n = read(side->in, to, room);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base_fail(CLVGG_ERROR_IO, "cannot read from the parent process: %s", strerror(errno));
    if (n == 0) {
      *ended = true;
      return CLVGG_OK;
    }
    side->input.end += (size_t)n;
  }
}

clvgg_status worker_side_send(worker_side *side, const char *line) {
  char text[MESSAGE_BYTES];
  const size_t length = strlen(line), bytes = length + 1;
  if (bytes > sizeof text || !message_valid(line, length))
    return base_fail(CLVGG_ERROR_ARGUMENT, "a message to the parent process is too long or has control characters");
  memcpy(text, line, length);
  text[length] = '\n';
  for (size_t sent = 0; sent < bytes;) {
    const ssize_t n = write(side->out, text + sent, bytes - sent);
    if (n < 0 && errno != EINTR)
      return base_fail(CLVGG_ERROR_IO, "cannot write to the parent process: %s", strerror(errno));
    if (n > 0) sent += (size_t)n;
  }
  return CLVGG_OK;
}
