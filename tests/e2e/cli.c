/* Runs the command line for its tests. */
#include "e2e/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ARGUMENTS 24

char folder[] = "/tmp/clvgg-cli-XXXXXX";
char images[4096];
char image[4096];
command_result last;
unsigned run_seconds = 600;

/* Runs clvgg with the words of line, which are separated by single blanks. %-formats insert paths without blanks. */
static void run_to(const char *stdout_path, const char *format, va_list list) {
  char line[8192], *words[MAX_ARGUMENTS + 2] = {getenv("CLVGG_CLI")}, *rest = NULL;
  size_t count = 1;
  vsnprintf(line, sizeof line, format, list);
  for (char *word = strtok_r(line, " ", &rest); word && count <= MAX_ARGUMENTS; word = strtok_r(NULL, " ", &rest))
    words[count++] = word;
  command_free(&last);
  assert_int_equal(command_run(words, stdout_path, run_seconds, &last), 0);
  if (last.timed_out) fail_msg("no end after %u s", run_seconds);
}

void run(const char *format, ...) {
  va_list list;
  va_start(list, format);
  run_to(NULL, format, list);
  va_end(list);
}

void run_into(const char *path, const char *format, ...) {
  va_list list;
  va_start(list, format);
  run_to(path, format, list);
  va_end(list);
}

void expect_code(int code) {
  if (last.code != code) fail_msg("exit status %d, expected %d; stderr: %s", last.code, code, last.err);
}

void expect_error(int code, const char *part) {
  expect_code(code);
  if (command_lines(last.err) != 1 || strncmp(last.err, "clvgg: ", 7) || !strstr(last.err, part))
    fail_msg("stderr is '%s', expected one line 'clvgg: ...%s...'", last.err, part);
  assert_string_equal(last.out, "");
}

json_t *parse(void) {
  json_error_t error;
  json_t *json = json_loadb(last.out, last.out_bytes, JSON_REJECT_DUPLICATES, &error);
  if (!json) fail_msg("stdout is no JSON (%s, line %d): %s", error.text, error.line, last.out);
  return json;
}

json_t *field(const json_t *object, const char *name, json_type type) {
  json_t *value = json_object_get(object, name);
  if (!value) fail_msg("no field %s", name);
  json_type found = json_typeof(value);
  if (type == JSON_TRUE && found == JSON_FALSE) found = JSON_TRUE;
  if (type == JSON_REAL && found == JSON_INTEGER) found = JSON_REAL;
  if (found != type) fail_msg("field %s has JSON type %d, expected %d", name, (int)found, (int)type);
  return value;
}

double number(const json_t *object, const char *name) {
  return json_number_value(field(object, name, JSON_REAL));
}

const char *text(const json_t *object, const char *name) {
  return json_string_value(field(object, name, JSON_STRING));
}

void make_path(char *out, const char *name) {
  snprintf(out, 4096, "%s/%s", folder, name);
}

void write_file(const char *name, const void *data, size_t bytes) {
  char path[4096];
  make_path(path, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, bytes, f), bytes);
  assert_int_equal(fclose(f), 0);
}

size_t read_file(const char *path, unsigned char *data, size_t bytes) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t count = fread(data, 1, bytes, f);
  fclose(f);
  return count;
}

static void remove_tree(const char *path) {
  DIR *dir = opendir(path);
  if (!dir) {
    unlink(path);
    return;
  }
  for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    char child[8192];
    struct stat info;
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    snprintf(child, sizeof child, "%s/%s", path, e->d_name);
    if (!lstat(child, &info) && S_ISDIR(info.st_mode))
      remove_tree(child);
    else
      unlink(child);
  }
  closedir(dir);
  rmdir(path);
}

int set_up(void **state) {
  (void)state;
  char path[4096];
  if (!getenv("CLVGG_CLI") || !mkdtemp(folder)) return -1;
  make_path(path, "pocl");
  if (!getenv("CLVGG_TEST_LANE")) setenv("POCL_CACHE_DIR", path, 1);
  /* No checkpoint of this machine's user is in the way. */
  setenv("XDG_DATA_HOME", folder, 1);
  snprintf(images, sizeof images, "%s/cifar10", TEST_DATA_DIR);
  DIR *dir = opendir(TEST_DATA_DIR "/cifar10/cat");
  for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
    if (strstr(e->d_name, ".png")) snprintf(image, sizeof image, "%s/cifar10/cat/%s", TEST_DATA_DIR, e->d_name);
  if (dir) closedir(dir);
  return *image ? 0 : -1;
}

int tear_down(void **state) {
  (void)state;
  command_free(&last);
  remove_tree(folder);
  return 0;
}
