/* Talking to a worker, with a limit on every wait, and ending it. */
#include "process/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "process/internal.h"

enum {
  SLICE_MS = 250,      /* one wait; see spend */
  BLIND_SLICE_MS = 10, /* the same where nothing says at once that the worker has ended */
  LEAVE_MS = 500,      /* what a worker gets that was asked to end */
  DIE_MS = 3000,       /* and one that was killed: the kernel ends it in no time, unless a driver holds it there */
  SILENT_MS = 2000     /* how long it may run on with stdout or stdin closed: crashing processes close them first */
};

/* What is left of a wait. */
typedef struct patience {
  bool endless;
  int64_t left_us, last_us;
} patience;

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static patience wait_begin(int timeout_ms) {
  return (patience){.endless = timeout_ms < 0, .left_us = (int64_t)timeout_ms * 1000, .last_us = now_us()};
}

/* The time since the last call. Waits are cut into slices, so much more than a slice means that this process was not
 * running: then the worker was perhaps stopped with it, and is not to pay for that. */
static int64_t spend(patience *p) {
  const int64_t now = now_us(), slice = (int64_t)SLICE_MS * 1000;
  const int64_t spent = now - p->last_us;
  p->last_us = now;
  const int64_t counted = spent > 2 * slice ? slice : spent;
  p->left_us -= counted;
  return counted;
}

static bool is_spent(const patience *p) {
  return !p->endless && p->left_us <= 0;
}

/* Waits until the worker writes or ends, or what was asked for (0, or POLLOUT: it can be written to), a slice at most. */
static void wait_a_slice(worker *w, const patience *p, short stdin_events) {
  const bool blind = w->pidfd < 0 || w->exiting;
  int64_t most = blind ? BLIND_SLICE_MS : SLICE_MS;
  if (!p->endless && p->left_us / 1000 + 1 < most) most = p->left_us < 0 ? 0 : p->left_us / 1000 + 1;
  struct pollfd fds[] = {
      {.fd = w->from, .events = POLLIN}, /* poll passes negative ones by */
      {.fd = w->errors, .events = POLLIN},
      {.fd = stdin_events == 0 ? -1 : w->to, .events = stdin_events},
      {.fd = blind ? -1 : w->pidfd, .events = POLLIN},
  };
  if (poll(fds, sizeof fds / sizeof *fds, (int)most) > 0 && fds[3].revents != 0) w->exiting = true;
}

/* Reads once. What is over is closed, and *fd is -1 then. Returns the bytes read. */
static size_t read_some(int *fd, char *to, size_t bytes) {
  if (*fd < 0) return 0;
  const ssize_t n = read(*fd, to, bytes);
  if (n > 0) return (size_t)n;
  if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    close(*fd);
    *fd = -1;
  }
  return 0;
}

/* Takes what it has written to stderr, some KiB at most. Returns whether there was anything. */
static bool hear_words(worker *w) {
  char text[4096];
  const size_t n = read_some(&w->errors, text, sizeof text);
  for (size_t i = 0; i < n; i++) w->ring[w->words++ % sizeof w->ring] = text[i];
  return n > 0;
}

static bool hear(worker *w) {
  size_t room = 0;
  char *to = message_room(&w->input, &room);
  const size_t n = read_some(&w->from, to, room);
  w->input.end += n;
  return n > 0;
}

static worker_outcome fault(worker *w, worker_outcome outcome, const char *what) {
  worker_ending ending;
  w->failed = true;
  worker_get_ending(w, &ending);
  const size_t length = strlen(ending.last_words), most = 500; /* an error text is a line */
  const char *words = ending.last_words + (length > most ? length - most : 0);
  while (((unsigned char)*words & 0xC0) == 0x80) words++;
  (void)base_fail(CLVGG_ERROR_IO, "worker process %ld: %s%s%s", (long)w->pid, what, length > 0 ? "; it wrote: " : "",
                  words);
  return outcome;
}

static worker_outcome ended(worker *w) {
  char what[128];
  worker_ending ending;
  for (int i = 0; i < 64 && hear_words(w); i++) {
  } /* its last words; who else holds its stderr may write forever */
  worker_get_ending(w, &ending);
  worker_describe(&ending, what, sizeof what);
  return fault(w, WORKER_ENDED, what);
}

clvgg_status worker_start(const char *const *argv, const char *const *extra_environment, worker **out) {
  *out = NULL;
  ending_reap_buried();
  if (argv == NULL || argv[0] == NULL) return base_fail(CLVGG_ERROR_ARGUMENT, "a worker process without a program");
  worker *w = calloc(1, sizeof *w);
  if (w == NULL) return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to start it", argv[0]);
  w->silent_us = (int64_t)SILENT_MS * 1000;
  const clvgg_status status = spawn_worker(w, argv, extra_environment);
  if (status != CLVGG_OK) {
    free(w);
    return status;
  }
  *out = w;
  return CLVGG_OK;
}

pid_t worker_pid(const worker *w) {
  return w->pid;
}

/* Sends what the socket takes of text now. Returns the bytes sent. */
static size_t send_some(worker *w, const char *text, size_t bytes) {
  const ssize_t n = send(w->to, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return (size_t)n;
  if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM) w->deaf = true;
  return 0;
}

worker_outcome worker_send(worker *w, int timeout_ms, const char *line) {
  char text[MESSAGE_BYTES];
  const size_t length = strlen(line), bytes = length + 1;
  if (bytes > sizeof text || !message_valid(line, length)) {
    (void)base_fail(CLVGG_ERROR_ARGUMENT, "a message to a worker process is too long or has control characters");
    return WORKER_GARBAGE;
  }
  memcpy(text, line, length);
  text[length] = '\n';

  patience p = wait_begin(timeout_ms);
  size_t sent = 0;
  for (;;) {
    if (!w->deaf) sent += send_some(w, text + sent, bytes - sent);
    if (sent == bytes) return WORKER_OK;
    if (ending_check(w)) return ended(w);
    if (w->deaf && w->silent_us <= 0) return fault(w, WORKER_GARBAGE, "closed its input but runs on");
    if (is_spent(&p)) break;
    hear_words(w); /* it may be waiting for room there */
    wait_a_slice(w, &p, w->deaf ? 0 : POLLOUT);
    const int64_t spent = spend(&p);
    if (w->deaf) w->silent_us -= spent;
  }
  if (sent > 0) w->deaf = true;
  return fault(w, WORKER_TIMED_OUT, "takes no message");
}

worker_outcome worker_receive(worker *w, int timeout_ms, char line[MESSAGE_BYTES]) {
  patience p = wait_begin(timeout_ms);
  bool last_look = false; /* after the time was up: an answer counts that came while this process was not running */
  for (;;) {
    switch (message_take(&w->input, line)) {
      case MESSAGE_LINE:
        return WORKER_OK;
      case MESSAGE_BAD:
        return fault(w, WORKER_GARBAGE, "sent what is no message");
      case MESSAGE_NONE:
        break;
    }
    hear_words(w);
    if (hear(w)) continue;
    if (w->over) return ended(w);
    if (ending_check(w)) continue; /* what is left to read comes first */
    if (w->from < 0 && w->silent_us <= 0) return fault(w, WORKER_GARBAGE, "closed its output but runs on");
    if (last_look) return fault(w, WORKER_TIMED_OUT, "no answer in time");
    wait_a_slice(w, &p, 0);
    const int64_t spent = spend(&p);
    if (w->from < 0) w->silent_us -= spent;
    last_look = is_spent(&p);
  }
}

/* Waits until it has ended, and lets it write what it likes. */
static bool wait_for_ending(worker *w, int timeout_ms) {
  patience p = wait_begin(timeout_ms);
  while (!ending_check(w) && !is_spent(&p)) {
    hear_words(w);
    w->input.begin = w->input.end = 0;
    hear(w);
    wait_a_slice(w, &p, 0);
    spend(&p);
  }
  return ending_check(w);
}

static void close_descriptor(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void worker_end(worker **pointer) {
  worker *w = *pointer;
  *pointer = NULL;
  if (w == NULL) return;
  close_descriptor(&w->to);
  if (w->failed || !wait_for_ending(w, LEAVE_MS)) {
    ending_kill(w);
    if (!wait_for_ending(w, DIE_MS)) ending_bury(w);
  }
  close_descriptor(&w->from);
  close_descriptor(&w->errors);
  if (w->over) close_descriptor(&w->pidfd); /* else it went with the buried */
  free(w);
  ending_reap_buried();
}
