/* Worker processes: started, talked to in lines of text, watched, and always ended. What may crash or hang is done there.
 *
 * No call blocks for longer than it was told to, changes the process's signal handlers, or is disturbed by those that the
 * application has: a worker that floods, falls silent, is stopped or ignores signals costs its time-out, and nothing else.
 * A worker is used by one thread at a time; several workers by several threads. */
#ifndef CLVGG_PROCESS_WORKER_H
#define CLVGG_PROCESS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"
#include "process/message.h"

typedef struct worker worker;

/* Whatever is not WORKER_OK has its reason in clvgg_last_error(). */
typedef enum worker_outcome {
  WORKER_OK = 0,
  WORKER_TIMED_OUT, /* nothing whole has come, or not all could be sent, in the time given */
  WORKER_ENDED,     /* the process is gone, see worker_get_ending, and what it had sent before was received */
  WORKER_GARBAGE    /* it sent what is no message, or closed its end and runs on. There is nothing left but to end it */
} worker_outcome;

enum { WORKER_LAST_WORDS = 2048 };

typedef struct worker_ending {
  bool ended;
  bool known; /* 0: its exit status went elsewhere, as the application ignores SIGCHLD or waits for any child */
  int signal; /* that ended it, or 0 */
  int status; /* exit status, where signal is 0 */
  char last_words[WORKER_LAST_WORDS + 1]; /* the end of what it wrote to stderr so far: UTF-8, lines, no other control
                                           * characters */
} worker_ending;

/* Starts argv[0], a path, in a process group of its own; argv ends with NULL. extra_environment (NULL, or "NAME=value"s and
 * NULL) goes before the environment of this process. The program has to call worker_side_open (process/worker_side.h), or to
 * exec one that does, for then it ends when this process does. */
clvgg_status worker_start(const char *const *argv, const char *const *extra_environment, worker **out);

/* Sends one line, given without its newline. WORKER_GARBAGE, with nothing sent, when it is not a message (message_valid) or
 * too long; after WORKER_TIMED_OUT part of it may have gone, and nothing more can be sent. */
worker_outcome worker_send(worker *w, int timeout_ms, const char *line);

/* Receives one line. Time in which this process itself did not run, because it or the machine was stopped, is not counted.
 * May be called again after WORKER_TIMED_OUT. A negative timeout_ms is no limit. */
worker_outcome worker_receive(worker *w, int timeout_ms, char line[MESSAGE_BYTES]);

/* How it ended, and its last words, which there are while it runs, too. */
void worker_get_ending(worker *w, worker_ending *out);

/* Says an ending in a few words: "ended by SIGSEGV", "ended with exit status 3". */
void worker_describe(const worker_ending *ending, char *out, size_t bytes);

pid_t worker_pid(const worker *w);

/* Ends a worker, all that it started (unless that made itself a process group of its own), and sets *w to NULL. One that
 * has not failed is asked first, by closing its stdin, and given half a second. Takes a pointer to NULL. */
void worker_end(worker **w);

/* The path of the clvgg program, for argv[0]: $CLVGG_PROGRAM; the program that this code is part of, when it is that; the one
 * that belongs to the library that this code was loaded from (bin/ beside its folder, or its build tree); or from $PATH.
 * CLVGG_ERROR_IO when there is none. */
clvgg_status worker_program(char *out, size_t bytes);

#endif
