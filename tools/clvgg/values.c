/* Option values from text: the whole text must be a value, and within its range. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Reads digits from *text up to a character that is not one; moves *text there. */
static int read_count(const char **text, size_t min, size_t max, size_t *out) {
  const char *at = *text;
  /* strtoull would take blanks and a sign. */
  if (*at < '0' || *at > '9') return 0;
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(at, &end, 10);
  if (errno || value < min || value > max) return 0;
  *text = end;
  *out = (size_t)value;
  return 1;
}

static int read_number(const char **text, double min, double max, double *out) {
  const char *at = *text;
  if (!*at || !strchr("0123456789+-.", *at)) return 0;
  char *end = NULL;
  double value = strtod(at, &end);
  if (end == at || !isfinite(value) || value < min || value > max) return 0;
  *text = end;
  *out = value;
  return 1;
}

int value_count(const char *text, size_t min, size_t max, size_t *out) {
  size_t value = 0;
  if (!read_count(&text, min, max, &value) || *text) return 0;
  *out = value;
  return 1;
}

int value_number(const char *text, double min, double max, double *out) {
  double value = 0;
  if (!read_number(&text, min, max, &value) || *text) return 0;
  *out = value;
  return 1;
}

int value_size(const char *text, size_t min, size_t max, cli_size *out) {
  cli_size size = {0, 0};
  if (!read_count(&text, min, max, &size.height)) return 0;
  size.width = size.height;
  if ((*text == 'x' || *text == 'X') && (text++, !read_count(&text, min, max, &size.width))) return 0;
  if (*text) return 0;
  *out = size;
  return 1;
}

int value_colour(const char *text, double min, double max, cli_colour *out) {
  cli_colour colour = {1, {0}};
  for (int i = 0; i < 3; i++) {
    double value = 0;
    if (i > 0 && *text++ != ',') return 0;
    if (!read_number(&text, min, max, &value)) return 0;
    colour.value[i] = (float)value;
  }
  if (*text) return 0;
  *out = colour;
  return 1;
}

size_t value_counts(const char *text, size_t min, size_t max, size_t *out, size_t capacity) {
  size_t count = 0;
  while (count < capacity && read_count(&text, min, max, &out[count])) {
    count++;
    if (!*text) return count;
    if (*text++ != ',') return 0;
  }
  return 0;
}
