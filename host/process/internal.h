/* What the parts of host/process/ share: a worker as its parent sees it. */
#ifndef CLVGG_PROCESS_INTERNAL_H
#define CLVGG_PROCESS_INTERNAL_H

#include "process/worker.h"

/* Says to a worker which process has started it. */
#define WORKER_PARENT_VARIABLE "CLVGG_WORKER_PARENT"

struct worker {
  pid_t pid;         /* also its process group */
  int pidfd;         /* -1 where the kernel has none (before Linux 5.3) */
  bool exiting;      /* pidfd has become readable */
  int to;            /* a socket, its stdin; sockets can be written without SIGPIPE */
  int from;          /* its stdout; -1 when that is closed */
  int errors;        /* its stderr; -1 when that is closed */
  bool deaf;         /* its stdin is closed, or has half a line in it */
  bool failed;       /* it timed out or sent garbage: no use in asking it to end */
  bool over;         /* it has ended and was reaped; ending says how */
  int64_t silent_us; /* how much longer it may run without stdout, or stdin */
  worker_ending ending;
  message_buffer input;
  size_t words; /* all bytes of stderr so far; the last are in ring[words % sizeof ring] and before */
  char ring[WORKER_LAST_WORDS];
};

/* Fills in w's process and descriptors. */
clvgg_status spawn_worker(worker *w, const char *const *argv, const char *const *extra_environment);

/* Whether it has ended. If so, what it started and left behind is killed, and it is reaped. Never waits. */
bool ending_check(worker *w);

/* Kills it and all of its process group. Does not wait. */
void ending_kill(worker *w);

/* Keeps in mind a killed worker that does not end, since a driver holds it in the kernel, to reap it later; and reaps those of
 * them that have ended since. */
void ending_bury(const worker *w);
void ending_reap_buried(void);

#endif
