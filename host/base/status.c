/* The status names, the version, and each thread's last error text. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_BYTES = 1024 };

static _Thread_local char last_error[ERROR_BYTES];

static const char *const status_names[] = {
    [CLVGG_OK] = "ok",
    [CLVGG_ERROR_ARGUMENT] = "argument error",
    [CLVGG_ERROR_MEMORY] = "out of memory",
    [CLVGG_ERROR_IO] = "file error",
    [CLVGG_ERROR_FORMAT] = "format error",
    [CLVGG_ERROR_MODEL] = "model error",
    [CLVGG_ERROR_DEVICE] = "device error",
    [CLVGG_ERROR_BUILD] = "kernel build error",
    [CLVGG_ERROR_TOO_LARGE] = "too large",
    [CLVGG_ERROR_UNSUPPORTED] = "unsupported",
    [CLVGG_ERROR_MISMATCH] = "result mismatch",
};

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *clvgg_status_name(clvgg_status status) {
  const unsigned i = (unsigned)status;
  return i < sizeof status_names / sizeof *status_names ? status_names[i] : "unknown status";
}

/* By clvgg_precision. */
static const char *const precision_names[] = {"f32", "f16w", "f24w", "f16", "auto", "bf16"};

const char *clvgg_precision_name(clvgg_precision precision) {
  const unsigned i = (unsigned)precision;
  return i < sizeof precision_names / sizeof *precision_names ? precision_names[i] : NULL;
}

const char *clvgg_last_error(void) {
  return last_error;
}

const char *clvgg_version(void) {
  return TEXT(CLVGG_VERSION_MAJOR) "." TEXT(CLVGG_VERSION_MINOR) "." TEXT(CLVGG_VERSION_PATCH);
}

/* Makes text, which vsnprintf may have cut, one line of whole UTF-8 characters. */
static void tidy(char *text) {
  size_t length = strlen(text);
  if (length == ERROR_BYTES - 1) {
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
    if (start > 0 && (unsigned char)text[start - 1] >= 0xC0) text[start - 1] = '\0';
  }
  for (char *p = text; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
}

clvgg_status(base_fail)(clvgg_status status, const char *format, ...) {
  char text[ERROR_BYTES]; /* not last_error itself: it may be among the arguments */
  va_list arguments;
  va_start(arguments, format);
  const int written = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (written < 0) text[0] = '\0';
  tidy(text);
  memcpy(last_error, text, sizeof text);
  return status;
}

clvgg_status(base_fail_in)(clvgg_status status, const char *format, ...) {
  char context[ERROR_BYTES];
  va_list arguments;
  va_start(arguments, format);
  const int written = vsnprintf(context, sizeof context, format, arguments);
  va_end(arguments);
  if (written < 0) context[0] = '\0';
  return base_fail(status, "%s: %s", context, last_error);
}
