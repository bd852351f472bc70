/* What the tests of the command line share: running clvgg, looking at what it said, files to give to it. */
#ifndef CLVGG_TESTS_CLI_H
#define CLVGG_TESTS_CLI_H

#include <jansson.h>

#include "e2e/command.h"

extern char folder[];       /* of this run; removed at the end */
extern char images[4096];   /* the bundled images, <class>/<number>.png */
extern char image[4096];    /* one of them */
extern command_result last; /* what the last run came to */
extern unsigned
    run_seconds; /* when a run is given up, 600: a hang, even where a sanitized program compiles all its kernels */

/* Runs clvgg ($CLVGG_CLI) with the words of a line, which are separated by single blanks; it has to end
 * in time. */
void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with standard output to a file, or "|" for a pipe that nobody reads. */
void run_into(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

void expect_code(int code);
/* Exit status code, one line on stderr that begins as every error does and holds part, nothing on stdout. */
void expect_error(int code, const char *part);

/* The last run's standard output as JSON; the caller releases it. */
json_t *parse(void);
/* A member that has to be there with this type; JSON_TRUE stands for either truth value, JSON_REAL for any number. */
json_t *field(const json_t *object, const char *name, json_type type);
double number(const json_t *object, const char *name);
const char *text(const json_t *object, const char *name);

/* name in folder; out holds 4096 bytes. */
void make_path(char *out, const char *name);
void write_file(const char *name, const void *data, size_t bytes);
size_t read_file(const char *path, unsigned char *data, size_t bytes);

/* For cmocka_run_group_tests. */
int set_up(void **state);
int tear_down(void **state);

#endif
