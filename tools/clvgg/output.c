/* Writes results: standard output with its errors noticed, JSON, and files by way of a rename. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"

int output_flush(void) {
  static int reported;
  int error = fflush(stdout) ? errno : 0;
  if (!error && !ferror(stdout)) return 1;
  if (!reported) cli_error("standard output: cannot write: %s", error ? strerror(error) : "an earlier write failed");
  reported = 1;
  return 0;
}

static json_t *gathered; /* NULL outside of output_array_begin and output_array_end */

int output_json(json_t *value) {
  progress_clear();
  if (!value) {
    cli_error("out of memory");
    exit(CLI_FAILED);
  }
  if (gathered) {
    if (json_is_array(value))
      json_array_extend(gathered, value);
    else
      json_array_append(gathered, value);
    json_decref(value);
    return 1;
  }
  /* Nine digits name a float exactly; more would print 0.1 as 0.10000000000000001. */
  int failed = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  json_decref(value);
  putchar('\n');
  (void)failed; /* a failed write is the stream's error too */
  return output_flush();
}

void output_array_begin(void) {
  gathered = json_array();
}

int output_array_end(void) {
  json_t *all = gathered;
  gathered = NULL;
  return output_json(all);
}

/* The length of the valid UTF-8 sequence at text, or 0 (Unicode 15, table 3-7). */
static size_t sequence_length(const unsigned char *text) {
  unsigned char a = text[0], low = 0x80, high = 0xbf;
  size_t length = a < 0x80 ? 1 : a >= 0xc2 && a < 0xe0 ? 2 : (a & 0xf0) == 0xe0 ? 3 : a >= 0xf0 && a < 0xf5 ? 4 : 0;
  if (a == 0xe0) low = 0xa0;
  if (a == 0xed) high = 0x9f;
  if (a == 0xf0) low = 0x90;
  if (a == 0xf4) high = 0x8f;
  for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
    if (text[i] < low || text[i] > high) return 0;
  return length;
}

json_t *json_text(const char *text) {
  char *clean = cli_alloc(3 * strlen(text) + 1, 1);
  size_t length = 0;
  while (*text) {
    size_t n = sequence_length((const unsigned char *)text);
    memcpy(clean + length, n ? text : "\xef\xbf\xbd", n ? n : 3);
    length += n ? n : 3;
    text += n ? n : 1;
  }
  json_t *value = json_stringn(clean, length);
  free(clean);
  return value;
}

json_t *json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_rounded(double value) {
  return json_number(round(value * 100) / 100);
}

/* A device or pipe, written directly. O_NONBLOCK: a FIFO that nobody reads fails instead of waiting for ever. */
static FILE *open_special(const char *path) {
  int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return NULL;
  int flags = fcntl(fd, F_GETFL);
  FILE *stream = flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) ? NULL : fdopen(fd, "w");
  if (!stream) close(fd);
  return stream;
}

static FILE *open_temporary(const char *path, char **temporary) {
  static const char suffix[] = ".XXXXXX";
  size_t bytes = strlen(path) + sizeof suffix;
  char *name = cli_alloc(bytes, 1);
  snprintf(name, bytes, "%s%s", path, suffix);
  int fd = mkstemp(name);
  mode_t mask = umask(0);
  umask(mask);
  FILE *stream = fd < 0 || fchmod(fd, 0666 & ~mask) ? NULL : fdopen(fd, "w");
  if (stream) {
    *temporary = name;
    return stream;
  }
  int error = errno;
  if (fd >= 0) {
    close(fd);
    unlink(name);
  }
  free(name);
  errno = error;
  return NULL;
}

int output_open(output_file *file, const char *path) {
  struct stat info;
  int exists = !stat(path, &info);
  /* A symbolic link keeps pointing where it did: its target is what gets replaced. */
  char *target = exists ? realpath(path, NULL) : NULL;
  *file = (output_file){.path = target ? target : cli_copy(path)};
  if (exists && S_ISDIR(info.st_mode))
    errno = EISDIR;
  else if (exists && !S_ISREG(info.st_mode))
    file->stream = open_special(path);
  else
    file->stream = open_temporary(file->path, &file->temporary);
  if (file->stream) return 1;
  cli_error("%s: cannot write: %s", path, strerror(errno));
  output_drop(file);
  return 0;
}

int output_commit(output_file *file) {
  FILE *stream = file->stream;
  file->stream = NULL;
  int failed = fflush(stream) || ferror(stream);
  int error = failed ? errno : 0;
  if (fclose(stream) && !failed) {
    failed = 1;
    error = errno;
  }
  if (!failed && file->temporary && rename(file->temporary, file->path)) {
    failed = 1;
    error = errno;
  }
  if (failed) {
    cli_error("%s: cannot write: %s", file->path, strerror(error));
  } else {
    free(file->temporary);
    file->temporary = NULL;
  }
  output_drop(file);
  return !failed;
}

void output_drop(output_file *file) {
  if (file->stream) fclose(file->stream);
  if (file->temporary) unlink(file->temporary);
  free(file->temporary);
  free(file->path);
  *file = (output_file){0};
}

void output_csv_text(FILE *stream, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, stream);
    return;
  }
  putc('"', stream);
  for (; *text; text++) {
    if (*text == '"') putc('"', stream);
    putc(*text, stream);
  }
  putc('"', stream);
}
