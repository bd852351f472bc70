/* Runs a program as a person would and keeps what it said. */
#ifndef CLVGG_TESTS_COMMAND_H
#define CLVGG_TESTS_COMMAND_H

#include <stddef.h>

typedef struct command_result {
  int code;      /* exit status; 128 + signal when a signal ended it */
  int timed_out; /* 1: it was killed at the time limit */
  char *out, *err;
  size_t out_bytes, err_bytes;
} command_result;

/* Runs argv[0] with standard input empty. stdout_path: NULL to capture standard output; else a file to write it to; "|"
 * for a pipe whose reader is gone. Ends every process that it started at the time limit. Returns 0 when the program
 * could be started at all. */
int command_run(char *const *argv, const char *stdout_path, unsigned seconds, command_result *result);
void command_free(command_result *result);

/* Lines in text; a last line without a line break counts. */
size_t command_lines(const char *text);

#endif
