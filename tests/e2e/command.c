/* fork, exec, two pipes and a deadline. */
#include "e2e/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CANNOT_START 127

typedef struct sink {
  int fd; /* -1: closed */
  char *text;
  size_t bytes, capacity;
} sink;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int read_some(sink *s) {
  if (s->capacity - s->bytes < 4097) {
    size_t capacity = s->capacity ? s->capacity * 2 : 16384;
    char *text = realloc(s->text, capacity);
    if (!text) return -1;
    s->text = text;
    s->capacity = capacity;
  }
  ssize_t n = read(s->fd, s->text + s->bytes, 4096);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (n <= 0) {
    close(s->fd);
    s->fd = -1;
    n = 0;
  }
  s->bytes += (size_t)n;
  s->text[s->bytes] = 0;
  return 0;
}

static void child(char *const *argv, int out, int err) {
  int in = open("/dev/null", O_RDONLY);
  setpgid(0, 0);
  signal(SIGPIPE, SIG_DFL);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  for (int fd = 3; fd < 256; fd++) close(fd);
  execvp(argv[0], argv);
  _exit(CANNOT_START);
}

int command_run(char *const *argv, const char *stdout_path, unsigned seconds, command_result *result) {
  int out[2] = {-1, -1}, err[2] = {-1, -1}, status = 0;
  *result = (command_result){.code = -1};
  if (pipe(out) || pipe(err)) return -1;
  if (stdout_path && !strcmp(stdout_path, "|")) {
    close(out[0]);
    out[0] = -1;
  } else if (stdout_path) {
    close(out[0]);
    close(out[1]);
    out[0] = -1;
    out[1] = open(stdout_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  }
  pid_t pid = fork();
  if (pid < 0) return -1;
  if (!pid) child(argv, out[1], err[1]);
  setpgid(pid, pid);
  close(out[1]);
  close(err[1]);

  sink sinks[2] = {{.fd = out[0]}, {.fd = err[0]}};
  double deadline = now() + seconds;
  int failed = 0;
  while (!failed && !result->timed_out && (sinks[0].fd >= 0 || sinks[1].fd >= 0)) {
    struct pollfd waits[2] = {{.fd = sinks[0].fd, .events = POLLIN}, {.fd = sinks[1].fd, .events = POLLIN}};
    double left = deadline - now();
    if (left <= 0)
      result->timed_out = 1;
    else if (poll(waits, 2, (int)(left * 1e3) + 1) > 0)
      for (int i = 0; i < 2; i++)
        if (waits[i].revents && read_some(&sinks[i])) failed = 1;
  }
  /* Pipes may close before the process ends. */
  while (!failed && !result->timed_out && waitpid(pid, &status, WNOHANG) == 0) {
    struct timespec pause = {0, 5000000};
    nanosleep(&pause, NULL);
    result->timed_out = now() > deadline;
  }
  if (failed || result->timed_out) {
    kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  for (int i = 0; i < 2; i++)
    if (sinks[i].fd >= 0) close(sinks[i].fd);
  result->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result->out = sinks[0].text ? sinks[0].text : calloc(1, 1);
  result->err = sinks[1].text ? sinks[1].text : calloc(1, 1);
  result->out_bytes = sinks[0].bytes;
  result->err_bytes = sinks[1].bytes;
  return failed || !result->out || !result->err || result->code == CANNOT_START ? -1 : 0;
}

void command_free(command_result *result) {
  free(result->out);
  free(result->err);
  *result = (command_result){0};
}

size_t command_lines(const char *text) {
  size_t lines = 0;
  const char *at = text;
  for (; *at; at++) lines += *at == '\n';
  return lines + (at > text && at[-1] != '\n');
}
