/* What every command shares: exit codes, options, errors, and opening the device and the model. */
#ifndef CLVGG_TOOLS_CLI_H
#define CLVGG_TOOLS_CLI_H

#include <stddef.h>

#include "clvgg/clvgg.h"

/* Exit codes. CLI_GO_ON is cli_parse's alone: no exit yet. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_GO_ON = -1 };

#define CLI_UNSET     ((size_t)-1) /* a CLI_COUNT that was not given and has no default */
#define CLI_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

int cmd_bench(int argc, char **argv);
int cmd_cache(int argc, char **argv);
int cmd_classify(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_tune(int argc, char **argv);
int cmd_verify(int argc, char **argv);

/* ------------------------------------------------------------------ options */

typedef enum cli_kind {
  CLI_FLAG,   /* int *: set to 1 */
  CLI_TEXT,   /* const char ** */
  CLI_COUNT,  /* size_t *: decimal digits, min..max */
  CLI_NUMBER, /* double *: finite, min..max */
  CLI_CHOICE, /* int *: the number of the value in argument, "f32|f16w|f24w|f16|auto|bf16" */
  CLI_SIZE,   /* cli_size *: "N" or "HxW", each min..max */
  CLI_COLOUR  /* cli_colour *: "a,b,c", each min..max */
} cli_kind;

typedef struct cli_size {
  size_t height, width; /* 0, 0: not given */
} cli_size;

typedef struct cli_colour {
  int given;
  float value[3];
} cli_colour;

typedef struct cli_option {
  int letter;           /* 0: only the long name */
  const char *name;     /* without the dashes */
  const char *argument; /* how --help names the value; NULL for CLI_FLAG */
  const char *help;     /* one line */
  cli_kind kind;
  void *target; /* holds the default before parsing, the value after; its type is the kind's */
  double min, max;
} cli_option;

/* The options that mean the same in every command that has them. --json, --verbose and --help are in all. */
enum { CLI_HAS_MODEL = 1, CLI_HAS_DEVICE = 2, CLI_HAS_ENGINE = 4 };

typedef struct cli_shared {
  const char *model;  /* -m, or NULL */
  const char *device; /* -d, or NULL */
  int json, verbose;
  int precision, memory; /* --precision, a clvgg_precision; --memory, a clvgg_memory */
  const char *samples;   /* --samples, or NULL */
} cli_shared;

typedef struct cli_usage {
  const char *command;  /* "classify" */
  const char *operands; /* "IMAGE...", or "" */
  const char *text;     /* what the command does, in lines of at most 100 columns */
  const char *examples; /* one a line */
  int shared;           /* CLI_HAS_... */
} cli_usage;

/* Reads argv with the command's own options and the shared ones. CLI_GO_ON: the operands are argv[*first] to
 * argv[argc - 1]; anything else is the exit code (--help was printed, or the command line is wrong and was reported). */
int cli_parse(const cli_usage *usage, const cli_option *own, size_t own_count, cli_shared *shared, int argc,
              char **argv, int *first);

/* Reports a wrong command line in one line that names the command's --help. Returns CLI_USAGE. */
int cli_wrong_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The one of names that a person may have meant with word, or NULL. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);

/* ------------------------------------------------------------------- values */

/* Each returns 1 and writes *out, or 0 when text is not wholly a value within the range. */
int value_count(const char *text, size_t min, size_t max, size_t *out);
int value_number(const char *text, double min, double max, double *out);
int value_size(const char *text, size_t min, size_t max, cli_size *out);
int value_colour(const char *text, double min, double max, cli_colour *out);
/* "1,2,8": at most capacity counts. Returns how many, 0 when text is wrong. */
size_t value_counts(const char *text, size_t min, size_t max, size_t *out, size_t capacity);

/* --------------------------------------------------- errors, memory, helpers */

/* "clvgg: ..." on stderr: always exactly one line, control characters shown as '?'. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The library's last error, likewise. Returns CLI_FAILED. */
int cli_library_error(void);

/* Replaces control characters (a terminal would obey them) with '?'. Returns text. */
char *cli_clean(char *text);

/* These never return NULL: a program without memory reports it and exits with CLI_FAILED. */
void *cli_alloc(size_t count, size_t bytes); /* zeroed */
void *cli_grow(void *old, size_t *capacity, size_t bytes);
char *cli_copy(const char *text);
char *cli_join(const char *folder, const char *name); /* "folder/name" */

double cli_now(void); /* seconds on a clock that only runs forward */

/* Images for timing: uniform values of about a normalised image's range, the same in every run. */
void cli_fill_noise(float *out, size_t count);

/* ------------------------------------------------------- devices and models */

/* Each reports its own error. 1: open. */
int cli_open_device(const cli_shared *shared, clvgg_device **out);
/* 1: *devices is an array of *count infos, at least one, for clvgg_device_list_free. */
int cli_select_devices(const cli_shared *shared, clvgg_device_info **devices, size_t *count);
/* Runs fn for each of the devices that -d means, with that as the only one, and headings between them; JSON is one array then. A
 * single device is as if there were no list. CLI_FAILED when fn failed for any, or no device can be selected, which is reported. */
int cli_each_device(const cli_shared *shared, int (*fn)(const cli_shared *shared, void *user), void *user);
int cli_open_model(const cli_shared *shared, const char *classes_path, clvgg_model **out);

/* Engine options with their defaults and the shared options' values. */
void cli_engine_options(const cli_shared *shared, clvgg_engine_options *out);

const char *cli_device_type(clvgg_device_type type); /* "gpu" */

#endif
