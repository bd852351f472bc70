/* Standard output, JSON and result files. */
#ifndef CLVGG_TOOLS_OUTPUT_H
#define CLVGG_TOOLS_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

/* 1 when all that was printed has been written; else reports it (once) and returns 0. */
int output_flush(void);

/* Prints value and a line break, and releases value. Returns output_flush(). */
int output_json(json_t *value);

/* Between these two calls output_json prints nothing, and its values, or the members of those that are arrays, become one array, which the
 * second prints. Returns output_flush(). */
void output_array_begin(void);
int output_array_end(void);

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *json_text(const char *text);
/* A number; null when value is not finite, which JSON cannot say. */
json_t *json_number(double value);
/* value rounded to two digits after the point. */
json_t *json_rounded(double value);

/* A file that appears whole or not at all: written to a temporary name beside it, then renamed over it. What is not a
 * regular file (/dev/stdout) is written directly. */
typedef struct output_file {
  FILE *stream;
  char *path, *temporary; /* temporary is NULL when written directly */
} output_file;

/* 1: open. 0: reported. */
int output_open(output_file *file, const char *path);
/* 1: path holds what was written. 0: reported, and path is as before. */
int output_commit(output_file *file);
/* Drops a file that is still open; does nothing after output_commit. */
void output_drop(output_file *file);

/* text as a CSV field (RFC 4180), quoted when it has to be. */
void output_csv_text(FILE *stream, const char *text);

#endif
