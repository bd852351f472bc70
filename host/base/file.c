/* Mapped files, whole-file writing, and the folders where the product's data lives. */
#define _GNU_SOURCE /* dladdr */
#include "base/file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_name(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISSOCK(mode)) return "a socket";
  return "a special file";
}

static clvgg_status map_descriptor(int fd, const char *path, file_map *out) {
  struct stat info;
  if (fstat(fd, &info) != 0) return base_fail(CLVGG_ERROR_IO, "%s: %s", path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return base_fail(CLVGG_ERROR_IO, "%s: is %s, expected a file", path, kind_name(info.st_mode));
  if ((uintmax_t)info.st_size > SIZE_MAX) return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: too large to map", path);
  if (info.st_size == 0) return CLVGG_OK; /* mmap refuses length 0 */
  void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return base_fail(CLVGG_ERROR_IO, "%s: cannot map it: %s", path, strerror(errno));
  out->data = data;
  out->bytes = (size_t)info.st_size;
  return CLVGG_OK;
}

clvgg_status file_map_open(const char *path, file_map *out) {
  *out = (file_map){NULL, 0};
  if (path == NULL || *path == '\0') return base_fail(CLVGG_ERROR_ARGUMENT, "the path of a file is empty");
  /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return base_fail(CLVGG_ERROR_IO, "%s: %s", path, strerror(errno));
  const clvgg_status status = map_descriptor(fd, path, out);
  close(fd);
  return status;
}

void file_map_close(file_map *map) {
  if (map->data != NULL) munmap((void *)map->data, map->bytes);
  *map = (file_map){NULL, 0};
}

/* 0, or -1 with errno set. */
static int write_all(int fd, const unsigned char *data, size_t bytes) {
  const size_t most = (size_t)1 << 30; /* Linux writes at most 2 GiB at once */
  while (bytes > 0) {
    const ssize_t n = write(fd, data, bytes < most ? bytes : most);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    data += n;
    bytes -= (size_t)n;
  }
  return 0;
}

/* A new file beside path, which gets the permissions that the user's umask says (mkstemp would make it private). */
static int open_temporary(const char *path, char *name, size_t bytes) {
  static atomic_uint serial;
  for (int attempt = 0; attempt < 100; attempt++) {
    snprintf(name, bytes, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

static clvgg_status write_and_rename(const char *path, const void *data, size_t bytes) {
  const size_t name_bytes = strlen(path) + 64;
  char *name = malloc(name_bytes);
  if (name == NULL) return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to write it", path);
  clvgg_status status = CLVGG_OK;
  const int fd = open_temporary(path, name, name_bytes);
  if (fd < 0) {
    status = base_fail(CLVGG_ERROR_IO, "%s: cannot write it: %s", path, strerror(errno));
  } else {
    int error = write_all(fd, data, bytes) == 0 ? 0 : errno;
    if (close(fd) != 0 && error == 0) error = errno;
    if (error == 0 && rename(name, path) != 0) error = errno;
    if (error != 0) {
      unlink(name);
      status = base_fail(CLVGG_ERROR_IO, "%s: cannot write it: %s", path, strerror(error));
    }
  }
  free(name);
  return status;
}

/* A pipe or terminal (/dev/stdout) is written to, not replaced. */
static clvgg_status write_through(const char *path, const void *data, size_t bytes) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    if (write_all(fd, data, bytes) != 0) error = errno;
    if (close(fd) != 0 && error == 0) error = errno;
  }
  if (error != 0) return base_fail(CLVGG_ERROR_IO, "%s: cannot write it: %s", path, strerror(error));
  return CLVGG_OK;
}

clvgg_status file_write(const char *path, const void *data, size_t bytes) {
  if (path == NULL || *path == '\0') return base_fail(CLVGG_ERROR_ARGUMENT, "the path of a file to write is empty");
  struct stat info;
  const int exists = stat(path, &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    return base_fail(CLVGG_ERROR_IO, "%s: is a directory, expected a file to write", path);
  if (exists && !S_ISREG(info.st_mode)) return write_through(path, data, bytes);
  char *target = exists ? realpath(path, NULL) : NULL; /* a link stays a link: what it points to is replaced */
  const clvgg_status status = write_and_rename(target != NULL ? target : path, data, bytes);
  free(target);
  return status;
}

int file_exists(const char *path) {
  struct stat info;
  return path != NULL && stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;
}

/* out = folder + between + name. */
static clvgg_status join(const char *folder, const char *between, const char *name, char *out, size_t bytes) {
  const size_t a = strlen(folder), b = strlen(between), c = strlen(name);
  if (a >= bytes || b >= bytes - a || c >= bytes - a - b)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: the path of its folder is too long (%zu bytes, expected at most %zu)",
                     name, a, bytes);
  memcpy(out, folder, a);
  memcpy(out + a, between, b);
  memcpy(out + a + b, name, c + 1);
  return CLVGG_OK;
}

/* A folder of the XDG Base Directory specification: the variable's, which must be absolute to count, or below HOME. */
static clvgg_status xdg_path(const char *variable, const char *below_home, const char *name, char *out, size_t bytes) {
  const char *folder = getenv(variable);
  if (folder != NULL && folder[0] == '/') return join(folder, "/clvgg/", name, out, bytes);
  const char *home = getenv("HOME");
  if (home == NULL || *home == '\0')
    return base_fail(CLVGG_ERROR_IO, "%s: neither %s nor HOME says where its folder is", name, variable);
  return join(home, below_home, name, out, bytes);
}

clvgg_status file_user_path(const char *name, char *out, size_t bytes) {
  return xdg_path("XDG_DATA_HOME", "/.local/share/clvgg/", name, out, bytes);
}

clvgg_status file_cache_path(const char *name, char *out, size_t bytes) {
  return xdg_path("XDG_CACHE_HOME", "/.cache/clvgg/", name, out, bytes);
}

clvgg_status file_make_folder(const char *path) {
  char *folder = strdup(path);
  if (folder == NULL) return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to make its folder", path);
  clvgg_status status = CLVGG_OK;
  for (char *slash = strchr(folder + (folder[0] == '/'), '/'); slash != NULL && status == CLVGG_OK;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
      status = base_fail(CLVGG_ERROR_IO, "%s: cannot make this folder: %s", folder, strerror(errno));
    *slash = '/';
  }
  free(folder);
  return status;
}

bool file_self(char out[PATH_MAX]) {
  static const char here = 0; /* an object of this code: function pointers do not convert to dladdr's type */
  Dl_info self, program;
  /* The loader knows the program by its argv[0] only, which may be no path. */
  const char *path = "/proc/self/exe";
  if (dladdr(&here, &self) == 0 || self.dli_fname == NULL) return false;
  if (dladdr((const void *)getauxval(AT_ENTRY), &program) != 0 && program.dli_fbase != self.dli_fbase)
    path = self.dli_fname;
  return realpath(path, out) != NULL;
}

/* Cuts the last part of a path off. */
static void cut(char *path) {
  char *slash = strrchr(path, '/');
  if (slash != NULL) *slash = '\0';
}

clvgg_status file_shared_path(const char *name, char *out, size_t bytes) {
  char self[PATH_MAX] = "", near[2][PATH_MAX + 16] = {"", ""};
  if (file_self(self)) {
    cut(self); /* the file's name */
    for (int i = 0; i < 2; i++) {
      cut(self); /* bin, lib; lib/ARCHITECTURE */
      snprintf(near[i], sizeof near[i], "%s/share/clvgg", self);
    }
  }
  const char *const folders[] = {getenv("CLVGG_DATA_DIR"), near[0], near[1], CLVGG_INSTALLED_DATA_DIR,
                                 CLVGG_SOURCE_DATA_DIR};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    if (folders[i] == NULL || *folders[i] == '\0') continue;
    TRY(join(folders[i], "/", name, out, bytes));
    if (file_exists(out)) return CLVGG_OK;
  }
  return base_fail(CLVGG_ERROR_IO, "%s: not found in CLVGG_DATA_DIR, %s, %s or %s", name, near[0],
                   CLVGG_INSTALLED_DATA_DIR, CLVGG_SOURCE_DATA_DIR);
}
