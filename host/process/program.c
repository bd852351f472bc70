/* Where the clvgg program is, which a library has to start. */
#define _GNU_SOURCE /* secure_getenv */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "process/worker.h"

static bool is_program(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static bool is_clvgg(const char *path) {
  const char *slash = strrchr(path, '/');
  return strcmp(slash == NULL ? path : slash + 1, "clvgg") == 0 && is_program(path);
}

static clvgg_status give(const char *path, char *out, size_t bytes) {
  const size_t length = strlen(path);
  if (length >= bytes)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: the path is too long (expected less than %zu bytes)", path, bytes);
  memcpy(out, path, length + 1);
  return CLVGG_OK;
}

/* The program that belongs to a file of the library. */
static bool find_beside(const char *code, char out[PATH_MAX]) {
  /* In bin/ itself; lib/; lib/ARCHITECTURE/; a build tree's host/ or tests/. */
  static const char *const places[] = {"clvgg", "../bin/clvgg", "../../bin/clvgg", "../tools/clvgg"};
  const int folder = (int)(strrchr(code, '/') - code);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%.*s/%s", folder, code, places[i]);
    if (is_program(path) && realpath(path, out) != NULL) return true;
  }
  return false;
}

static bool find_in_path(char out[PATH_MAX]) {
  const char *folders = secure_getenv("PATH");
  while (folders != NULL && *folders != '\0') {
    const size_t length = strcspn(folders, ":");
    char path[PATH_MAX];
    /* Only absolute ones: a relative one means whatever folder the application is in. */
    if (folders[0] == '/' && length + sizeof "/clvgg" <= sizeof path) {
      snprintf(path, sizeof path, "%.*s/clvgg", (int)length, folders);
      if (is_program(path) && realpath(path, out) != NULL) return true;
    }
    folders += length + (folders[length] == ':');
  }
  return false;
}

clvgg_status worker_program(char *out, size_t bytes) {
  const char *asked = secure_getenv("CLVGG_PROGRAM");
  if (asked != NULL && *asked != '\0') {
    if (!is_program(asked)) return base_fail(CLVGG_ERROR_IO, "CLVGG_PROGRAM: %s is no program", asked);
    return give(asked, out, bytes);
  }
  char code[PATH_MAX] = "", found[PATH_MAX] = "";
  const bool known = file_self(code);
  if (known && is_clvgg(code)) return give(code, out, bytes);
  if (known && find_beside(code, found)) return give(found, out, bytes);
  if (realpath("/proc/self/exe", found) != NULL && is_clvgg(found)) return give(found, out, bytes);
  if (find_in_path(found)) return give(found, out, bytes);
  return base_fail(
      CLVGG_ERROR_IO,
      "the program clvgg is not in CLVGG_PROGRAM, beside %s, in the bin folder beside its folder, or in PATH",
      known ? code : "the library");
}
