/* One option reader for every command: tables in, values, --help texts and usage errors out. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define MAX_OPTIONS 40
#define FIRST_VALUE 256 /* getopt_long's value of option i is FIRST_VALUE + i, apart from every letter */
#define HELP_COLUMN 28

typedef struct option_set {
  cli_option option[MAX_OPTIONS];
  size_t count;
} option_set;

static void add_shared(option_set *set, const cli_usage *usage, cli_shared *shared, int *help) {
  const cli_option model = {
      'm',      "model",        "MODEL", "checkpoint file or family name; without it, the bundled model",
      CLI_TEXT, &shared->model, 0,       0};
  const cli_option device = {
      'd',      "device",        "DEVICE", "P:D, cpu, gpu, part of a name, a list, all; else $CLVGG_DEVICE, the best",
      CLI_TEXT, &shared->device, 0,        0};
  const cli_option json = {0, "json", NULL, "print JSON for programs to read", CLI_FLAG, &shared->json, 0, 0};
  const cli_option verbose = {'v',      "verbose",        NULL, "print the library's notes on stderr",
                              CLI_FLAG, &shared->verbose, 0,    0};
  const cli_option print_help = {'h', "help", NULL, "print this help", CLI_FLAG, help, 0, 0};
  const cli_option precision = {0,
                                "precision",
                                "f32|f16w|f24w|f16|auto|bf16",
                                "fc weights in 16 or 24 bits; f16, bf16: products, too; auto: the fastest",
                                CLI_CHOICE,
                                &shared->precision,
                                0,
                                0};
  const cli_option samples = {
      0,        "samples",        "DIR|LIST", "images to compare a precision with f32 on; without it, 20 small ones",
      CLI_TEXT, &shared->samples, 0,          0};
  const cli_option memory = {0,
                             "memory",
                             "balanced|fast|small",
                             "of weights: at most 60 MB more than plain ones, any, or no more",
                             CLI_CHOICE,
                             &shared->memory,
                             0,
                             0};
  if (usage->shared & CLI_HAS_MODEL) set->option[set->count++] = model;
  if (usage->shared & CLI_HAS_DEVICE) set->option[set->count++] = device;
  if (usage->shared & CLI_HAS_ENGINE) set->option[set->count++] = precision;
  if (usage->shared & CLI_HAS_ENGINE) set->option[set->count++] = samples;
  if (usage->shared & CLI_HAS_ENGINE) set->option[set->count++] = memory;
  set->option[set->count++] = json;
  set->option[set->count++] = verbose;
  set->option[set->count++] = print_help;
}

static void print_usage(const cli_usage *usage, const option_set *set) {
  printf("Usage: clvgg %s [OPTION...]%s%s\n\n%s\nOptions:\n", usage->command, *usage->operands ? " " : "",
         usage->operands, usage->text);
  for (size_t i = 0; i < set->count; i++) {
    const cli_option *o = &set->option[i];
    char left[64];
    char letter[5] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", (char)o->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, o->name, o->argument ? " " : "",
             o->argument ? o->argument : "");
    if (strlen(left) < HELP_COLUMN)
      printf("%-*s%s\n", HELP_COLUMN, left, o->help);
    else
      printf("%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
  }
  printf("\nExamples:\n%s", usage->examples);
}

int cli_wrong_usage(const char *command, const char *format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  cli_error("%s: %s; see 'clvgg %s --help'", command, text, command);
  return CLI_USAGE;
}

/* The number of the choice in "a|b|c" that is text, or -1. */
static int choice(const char *choices, const char *text) {
  const size_t length = strlen(text);
  for (int i = 0; *choices; i++) {
    const size_t next = strcspn(choices, "|");
    if (next == length && !strncmp(choices, text, length)) return i;
    choices += next + (choices[next] == '|');
  }
  return -1;
}

static int store(const char *command, const cli_option *o, const char *text) {
  int ok = 1;
  switch (o->kind) {
    case CLI_FLAG:
      *(int *)o->target = 1;
      return CLI_GO_ON;
    case CLI_TEXT:
      *(const char **)o->target = text;
      if (*text) return CLI_GO_ON;
      return cli_wrong_usage(command, "--%s: the value is empty, expected %s", o->name, o->argument);
    case CLI_CHOICE: {
      const int i = choice(o->argument, text);
      if (i < 0) return cli_wrong_usage(command, "--%s: '%s' is not %s", o->name, text, o->argument);
      *(int *)o->target = i;
      return CLI_GO_ON;
    }
    case CLI_COUNT:
      ok = value_count(text, (size_t)o->min, (size_t)o->max, o->target);
      break;
    case CLI_NUMBER:
      ok = value_number(text, o->min, o->max, o->target);
      break;
    case CLI_SIZE:
      ok = value_size(text, (size_t)o->min, (size_t)o->max, o->target);
      break;
    case CLI_COLOUR:
      ok = value_colour(text, o->min, o->max, o->target);
      break;
  }
  if (ok) return CLI_GO_ON;
  static const char *const expected[] = {[CLI_COUNT] = "a whole number",
                                         [CLI_NUMBER] = "a number",
                                         [CLI_SIZE] = "N or HxW with each",
                                         [CLI_COLOUR] = "three numbers a,b,c with each"};
  return cli_wrong_usage(command, "--%s: '%s' is not %s from %g to %g", o->name, text, expected[o->kind], o->min,
                         o->max);
}

static int report_unknown(const cli_usage *usage, const option_set *set, const char *word, int opt) {
  if (opt >= FIRST_VALUE)
    return cli_wrong_usage(usage->command, "--%s takes no value", set->option[opt - FIRST_VALUE].name);
  if (opt) return cli_wrong_usage(usage->command, "unknown option -%c", opt);
  const char *names[MAX_OPTIONS];
  char name[64];
  for (size_t i = 0; i < set->count; i++) names[i] = set->option[i].name;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
  const char *nearest = cli_nearest(name, names, set->count);
  if (nearest) return cli_wrong_usage(usage->command, "unknown option '--%s', did you mean --%s?", name, nearest);
  return cli_wrong_usage(usage->command, "unknown option '--%s'", name);
}

static void print_note(const char *line, void *user) {
  (void)user;
  cli_error("note: %s", line);
}

int cli_parse(const cli_usage *usage, const cli_option *own, size_t own_count, cli_shared *shared, int argc,
              char **argv, int *first) {
  option_set set = {.count = 0};
  struct option longs[MAX_OPTIONS + 1] = {{0}};
  char letters[2 * MAX_OPTIONS + 2] = ":"; /* a leading colon: a missing value is reported as ':' */
  size_t length = 1;
  int help = 0;
  memset(shared, 0, sizeof *shared);
  for (size_t i = 0; i < own_count; i++) set.option[set.count++] = own[i];
  add_shared(&set, usage, shared, &help);
  for (size_t i = 0; i < set.count; i++) {
    const cli_option *o = &set.option[i];
    longs[i] =
        (struct option){o->name, o->kind == CLI_FLAG ? no_argument : required_argument, NULL, FIRST_VALUE + (int)i};
    if (!o->letter) continue;
    letters[length++] = (char)o->letter;
    if (o->kind != CLI_FLAG) letters[length++] = ':';
  }
  letters[length] = 0;

  int wrong = CLI_GO_ON, value = 0;
  optind = 1;
  opterr = 0;
  while (wrong == CLI_GO_ON && !help && (value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
    int missing = value == ':';
    if (value == '?') return report_unknown(usage, &set, argv[optind - 1], optopt);
    if (missing) value = optopt;
    size_t i = 0;
    while (i < set.count && value != FIRST_VALUE + (int)i && value != set.option[i].letter) i++;
    if (missing)
      return cli_wrong_usage(usage->command, "--%s needs a value, %s", set.option[i].name, set.option[i].argument);
    wrong = store(usage->command, &set.option[i], optarg);
  }
  if (wrong != CLI_GO_ON) return wrong;
  if (help) {
    print_usage(usage, &set);
    return CLI_DONE;
  }
  if (!*usage->operands && optind < argc)
    return cli_wrong_usage(usage->command, "'%s' is too much: it takes no arguments", argv[optind]);
  if (shared->verbose) clvgg_set_log(print_note, NULL);
  *first = optind;
  return CLI_GO_ON;
}
