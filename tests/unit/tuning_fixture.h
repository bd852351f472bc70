/* Rows, files and a log for the tests of the tuning database. After cmocka.h. */
#ifndef CLVGG_TESTS_TUNING_FIXTURE_H
#define CLVGG_TESTS_TUNING_FIXTURE_H

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/tuning.h"

/* A new folder; the caller removes it with remove_folder. */
static inline void make_folder(char out[PATH_MAX]) {
  const char *tmp = getenv("TMPDIR");
  snprintf(out, PATH_MAX, "%s/clvgg-tuning-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(out)) abort();
}

/* With the files in it, which have no folders. */
static inline void remove_folder(const char *name) {
  DIR *dir = opendir(name);
  for (struct dirent *entry; dir && (entry = readdir(dir));) unlinkat(dirfd(dir), entry->d_name, 0);
  if (dir) closedir(dir);
  rmdir(name);
}

static inline tuning_key made_up_key(const char *driver) {
  tuning_key key = {.name = "made up", .vendor = "nobody", .compute_units = 8, .platform_version = "OpenCL 3.0"};
  snprintf(key.driver, sizeof key.driver, "%s", driver);
  strcpy(key.kernels, "0123456789abcdef");
  strcpy(key.library, "0.1.0");
  return key;
}

static inline tuning_measurement ok_row(const char *problem, double seconds, int64_t session) {
  tuning_measurement m = {.state = TUNING_OK, .seconds = seconds, .runs = 5, .session = session, .created = 1000};
  snprintf(m.problem, sizeof m.problem, "%s", problem);
  strcpy(m.algorithm, "conv_f32_nchwc_winograd");
  strcpy(m.parameters, "M=4 TILES=13");
  return m;
}

static inline tuning_measurement failed_row(const char *problem, tuning_state state, const char *reason,
                                            int64_t session) {
  tuning_measurement m = ok_row(problem, 0, session);
  m.state = state;
  snprintf(m.reason, sizeof m.reason, "%s", reason);
  return m;
}

static inline bool find(tuning *t, const tuning_key *key, const char *problem, tuning_measurement *out) {
  bool found;
  const clvgg_status status = tuning_find(t, key, problem, "conv_f32_nchwc_winograd", "M=4 TILES=13", out, &found);
  return status == CLVGG_OK && found;
}

/* ---- the log */
typedef struct log_lines {
  int count;
  char last[1024];
} log_lines;

static inline void keep_line(const char *line, void *user) {
  log_lines *lines = user;
  lines->count++;
  snprintf(lines->last, sizeof lines->last, "%s", line);
}

/* ---- each test's folder, and the database in it */
static char folder[PATH_MAX];
static char path[PATH_MAX + 32];
static log_lines lines;

static inline int setup(void **state) {
  (void)state;
  make_folder(folder);
  snprintf(path, sizeof path, "%s/tuning.sqlite", folder);
  lines = (log_lines){0};
  clvgg_set_log(keep_line, &lines);
  return 0;
}
static inline int teardown(void **state) {
  (void)state;
  clvgg_set_log(NULL, NULL);
  remove_folder(folder);
  return 0;
}
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static inline tuning *open_stored(void) {
  tuning *t;
  const char *why;
  assert_int_equal(tuning_open(path, &t), CLVGG_OK);
  if (!tuning_is_stored(t, &why)) fail_msg("not stored: %s", why);
  return t;
}
static inline tuning *open_memory(void) {
  tuning *t;
  assert_int_equal(tuning_open_memory(&t), CLVGG_OK);
  return t;
}

/* Makes a file with some text in the test's folder. */
static inline const char *make_file(const char *name, const char *text) {
  static char file[PATH_MAX + 64];
  snprintf(file, sizeof file, "%s/%s", folder, name);
  assert_int_equal(file_write(file, text, strlen(text)), CLVGG_OK);
  return file;
}

#endif
