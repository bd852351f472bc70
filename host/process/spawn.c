/* Starting a worker: its descriptors, its environment, and posix_spawn. A process that uses OpenCL has threads, so that fork
 * without exec would leave locks behind that nobody opens. */
#define _GNU_SOURCE /* pipe2, posix_spawn_file_actions_addclosefrom_np */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/internal.h"

extern char **environ;

enum { TO, FROM, ERRORS, CHANNELS };

/* Both ends of each channel, in the order: the parent's, the worker's. */
typedef struct channels {
  int end[CHANNELS][2];
} channels;

static void close_channels(channels *c) {
  for (int i = 0; i < CHANNELS; i++)
    for (int k = 0; k < 2; k++)
      if (c->end[i][k] >= 0) close(c->end[i][k]);
}

/* Every descriptor is closed by exec, so that no worker, nor anything that the application starts, holds another one's ends;
 * and none is 0, 1 or 2, where posix_spawn would overwrite one with another. 0, or -1 with errno set. */
static int open_channel(int end[2], bool is_socket) {
  int made[2];
  const int failed = is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made) : pipe2(made, O_CLOEXEC);
  if (failed != 0) return -1;
  int error = 0;
  for (int k = 0; k < 2; k++) {
    end[k] = made[k] > STDERR_FILENO ? made[k] : fcntl(made[k], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (end[k] < 0) error = errno;
  }
  for (int k = 0; k < 2; k++)
    if (made[k] != end[k]) close(made[k]);
  errno = error;
  return error == 0 ? 0 : -1;
}

static int open_channels(channels *c) {
  for (int i = 0; i < CHANNELS; i++)
    if (open_channel(c->end[i], i == TO) != 0) return -1;
  for (int i = FROM; i <= ERRORS; i++)
    if (fcntl(c->end[i][0], F_SETFL, O_NONBLOCK) != 0) return -1; /* of this end alone */
  return 0;
}

static size_t count_strings(const char *const *strings) {
  size_t n = 0;
  while (strings != NULL && strings[n] != NULL) n++;
  return n;
}

/* Whether one of n "NAME=value"s has the name of entry. */
static bool has_name(const char *const *strings, size_t n, const char *entry) {
  const size_t length = strcspn(entry, "=");
  for (size_t i = 0; i < n; i++)
    if (strncmp(strings[i], entry, length) == 0 && strings[i][length] == '=') return true;
  return false;
}

/* parent and extra, then what this process's environment has besides: pointers to the strings, to be freed. */
static const char **make_environment(const char *parent, const char *const *extra) {
  const size_t extras = count_strings(extra), all = count_strings((const char *const *)environ);
  const char **out = calloc(all + extras + 2, sizeof *out);
  if (out == NULL) return NULL;
  size_t n = 0;
  out[n++] = parent;
  for (size_t i = 0; i < extras; i++) out[n++] = extra[i];
  const size_t ours = n;
  for (size_t i = 0; i < all; i++)
    if (!has_name(out, ours, environ[i])) out[n++] = environ[i];
  return out;
}

/* posix_spawn and its tables; an error number. */
static int spawn(pid_t *pid, const char *const *argv, const char *const *environment, const channels *c) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  error = posix_spawnattr_init(&attributes);
  if (error != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  for (int i = 0; i < CHANNELS && error == 0; i++)
    error =
        posix_spawn_file_actions_adddup2(&actions, c->end[i][1], i); /* TO, FROM, ERRORS are stdin, stdout, stderr */
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  /* What the application has open without O_CLOEXEC is not the worker's to keep open. */
  if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
#endif
  /* Signals that the application ignores or blocks would be so in the worker, too. */
  if (error == 0) error = posix_spawnattr_setsigdefault(&attributes, &all);
  if (error == 0) error = posix_spawnattr_setsigmask(&attributes, &none);
  if (error == 0) error = posix_spawnattr_setpgroup(&attributes, 0);
  if (error == 0)
    error =
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  if (error == 0)
    error = posix_spawn(pid, argv[0], &actions, &attributes, (char *const *)argv, (char *const *)environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* A descriptor of the process itself, which its number is not: that may become another's. */
static int open_pidfd(pid_t pid) {
#ifdef SYS_pidfd_open
  return (int)syscall(SYS_pidfd_open, pid, 0); /* closed by exec */
#else
  (void)pid;
  return -1;
#endif
}

clvgg_status spawn_worker(worker *w, const char *const *argv, const char *const *extra_environment) {
  channels c = {{{-1, -1}, {-1, -1}, {-1, -1}}};
  char parent[64];
  clvgg_status status = CLVGG_OK;
  snprintf(parent, sizeof parent, WORKER_PARENT_VARIABLE "=%jd", (intmax_t)getpid());
  const char **environment = make_environment(parent, extra_environment);
  if (environment == NULL) {
    status = base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to start it", argv[0]);
  } else {
    const int error = open_channels(&c) != 0 ? errno : spawn(&w->pid, argv, environment, &c);
    if (error != 0) status = base_fail(CLVGG_ERROR_IO, "%s: cannot start it: %s", argv[0], strerror(error));
  }
  if (status == CLVGG_OK) {
    w->pidfd = open_pidfd(w->pid);
    int *const kept[CHANNELS] = {[TO] = &w->to, [FROM] = &w->from, [ERRORS] = &w->errors};
    for (int i = 0; i < CHANNELS; i++) {
      *kept[i] = c.end[i][0];
      c.end[i][0] = -1;
    }
  }
  close_channels(&c);
  free(environment);
  return status;
}
