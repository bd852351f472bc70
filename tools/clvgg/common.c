/* Errors, memory, the clock, noise, and opening the device and the model. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "progress.h"

char *cli_clean(char *text) {
  for (unsigned char *c = (unsigned char *)text; *c; c++) {
    if (*c < 0x20 || *c == 0x7f) *c = '?';
    /* U+0080..U+009F, the C1 controls, as UTF-8. */
    if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) c[0] = c[1] = '?';
  }
  return text;
}

void cli_error(const char *format, ...) {
  char text[2048];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  progress_clear();
  fprintf(stderr, "clvgg: %s\n", cli_clean(text));
}

int cli_library_error(void) {
  cli_error("%s", clvgg_last_error());
  return CLI_FAILED;
}

static void *check(void *memory) {
  if (memory) return memory;
  cli_error("out of memory");
  exit(CLI_FAILED);
}

void *cli_alloc(size_t count, size_t bytes) {
  return check(calloc(count ? count : 1, bytes));
}

void *cli_grow(void *old, size_t *capacity, size_t bytes) {
  size_t more = *capacity ? *capacity * 2 : 64;
  if (more > SIZE_MAX / bytes) return check(NULL);
  *capacity = more;
  return check(realloc(old, more * bytes));
}

char *cli_copy(const char *text) {
  return check(strdup(text));
}

char *cli_join(const char *folder, const char *name) {
  size_t length = strlen(folder);
  while (length > 1 && folder[length - 1] == '/') length--;
  size_t bytes = length + strlen(name) + 2;
  char *path = cli_alloc(bytes, 1);
  snprintf(path, bytes, "%.*s%s%s", (int)length, folder, length == 1 && folder[0] == '/' ? "" : "/", name);
  return path;
}

double cli_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014). */
void cli_fill_noise(float *out, size_t count) {
  uint64_t state = 1;
  for (size_t i = 0; i < count; i++) {
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    out[i] = (float)((z ^ (z >> 31)) >> 40) * (4.0F / 16777216.0F) - 2.0F;
  }
}

/* Levenshtein's distance, one row at a time; words are cut to 31 characters. */
static size_t edit_distance(const char *a, const char *b) {
  size_t row[32];
  size_t n = strnlen(a, 31), m = strnlen(b, 31);
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[m];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count) {
  const char *nearest = NULL;
  size_t best = 3; /* two slips of the finger are a typing error, three another word */
  for (size_t i = 0; i < count; i++) {
    size_t distance = edit_distance(word, names[i]);
    if (strlen(word) >= 2 && !strncmp(word, names[i], strlen(word))) distance = 1;
    if (distance < best && distance < strlen(names[i])) {
      best = distance;
      nearest = names[i];
    }
  }
  return nearest;
}

int cli_open_device(const cli_shared *shared, clvgg_device **out) {
  if (!clvgg_device_open(shared->device, out)) return 1;
  cli_library_error();
  return 0;
}

int cli_select_devices(const cli_shared *shared, clvgg_device_info **devices, size_t *count) {
  if (!clvgg_device_select(shared->device, devices, count)) return 1;
  cli_library_error();
  return 0;
}

int cli_open_model(const cli_shared *shared, const char *classes_path, clvgg_model **out) {
  clvgg_model_options options;
  clvgg_model_options_init(&options);
  options.classes_path = classes_path;
  if (!clvgg_model_open(shared->model, &options, out)) return 1;
  cli_library_error();
  return 0;
}

void cli_engine_options(const cli_shared *shared, clvgg_engine_options *out) {
  clvgg_engine_options_init(out);
  out->precision = (clvgg_precision)shared->precision;
  out->memory = (clvgg_memory)shared->memory;
}

const char *cli_device_type(clvgg_device_type type) {
  static const char *const names[] = {[CLVGG_DEVICE_OTHER] = "other",
                                      [CLVGG_DEVICE_CPU] = "cpu",
                                      [CLVGG_DEVICE_GPU] = "gpu",
                                      [CLVGG_DEVICE_ACCELERATOR] = "accelerator"};
  return (size_t)type < CLI_LENGTH(names) ? names[type] : "other";
}
