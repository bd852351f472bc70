/* The folder of the program cache: what is in it, and keeping it within its limit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "device/cache.h"

clvgg_status cache_path(const char *name, char *out, size_t bytes) {
  char relative[NAME_MAX + sizeof CACHE_FOLDER + 2];
  const int n = snprintf(relative, sizeof relative, "%s/%s", CACHE_FOLDER, name);
  if (n < 0 || (size_t)n >= sizeof relative)
    return base_fail(CLVGG_ERROR_ARGUMENT, "'%.80s' is too long for the name of a file", name);
  return file_cache_path(relative, out, bytes);
}

/* The digits and ".bin". */
enum { DIGITS = 16, NAME_LENGTH = 20 };

static bool begins_as_entry(const char *name) {
  for (int i = 0; i < DIGITS; i++)
    if (!((name[i] >= '0' && name[i] <= '9') || (name[i] >= 'a' && name[i] <= 'f'))) return false;
  return strncmp(name + DIGITS, ".bin", NAME_LENGTH - DIGITS) == 0;
}

bool cache_is_entry_name(const char *name) {
  return begins_as_entry(name) && name[NAME_LENGTH] == '\0';
}

/* As file_write names them: beside the entry, with more after its name. */
static bool is_temporary_name(const char *name) {
  const size_t length = strlen(name);
  return begins_as_entry(name) && length > NAME_LENGTH + 4 && strcmp(name + length - 4, ".tmp") == 0;
}

typedef struct found_file {
  char name[64];
  bool temporary;
  uint64_t bytes;
  struct timespec used;
} found_file;

typedef struct found_list {
  found_file *files;
  size_t count, room;
} found_list;

static bool found_add(found_list *list, const found_file *file) {
  if (list->count == list->room) {
    size_t room = list->room > 0 ? 2 * list->room : 64, bytes;
    found_file *files = size_mul(room, sizeof *files, &bytes) ? realloc(list->files, bytes) : NULL;
    if (files == NULL) return false;
    list->files = files;
    list->room = room;
  }
  list->files[list->count++] = *file;
  return true;
}

/* Entries and temporary files; other things in the folder are not ours. */
static clvgg_status scan(const char *folder, found_list *out) {
  *out = (found_list){0};
  DIR *dir = opendir(folder);
  if (dir == NULL) {
    if (errno == ENOENT) return CLVGG_OK;
    return base_fail(CLVGG_ERROR_IO, "%s: cannot read this folder: %s", folder, strerror(errno));
  }
  clvgg_status status = CLVGG_OK;
  for (const struct dirent *d = readdir(dir); d != NULL && status == CLVGG_OK; d = readdir(dir)) {
    found_file f = {.temporary = is_temporary_name(d->d_name)};
    struct stat info;
    if (!f.temporary && !cache_is_entry_name(d->d_name)) continue;
    if (fstatat(dirfd(dir), d->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) continue;
    if (strlen(d->d_name) >= sizeof f.name) continue;
    snprintf(f.name, sizeof f.name, "%s", d->d_name);
    f.bytes = (uint64_t)info.st_size;
    f.used = info.st_mtim;
    if (!found_add(out, &f)) status = base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to list it", folder);
  }
  closedir(dir);
  if (status != CLVGG_OK) free(out->files);
  return status;
}

/* The last used first; equal ones by name, so that the order does not depend on the file system. */
static int by_use(const void *a, const void *b) {
  const found_file *x = a, *y = b;
  if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
  if (x->used.tv_nsec != y->used.tv_nsec) return x->used.tv_nsec < y->used.tv_nsec ? 1 : -1;
  return strcmp(x->name, y->name);
}

static void sort(const found_list *list) {
  if (list->count > 1) qsort(list->files, list->count, sizeof *list->files, by_use);
}

/* True also when another process was faster. */
static bool remove_file(const char *folder, const char *name) {
  char path[PATH_MAX];
  const int n = snprintf(path, sizeof path, "%s%s", folder, name);
  return n > 0 && (size_t)n < sizeof path && (unlink(path) == 0 || errno == ENOENT);
}

void cache_trim(uint64_t limit) {
  char folder[PATH_MAX];
  found_list list;
  if (cache_path("", folder, sizeof folder) != CLVGG_OK || scan(folder, &list) != CLVGG_OK) return;
  sort(&list);
  const time_t now = time(NULL);
  uint64_t left = limit;
  bool full = false;
  for (size_t i = 0; i < list.count; i++) {
    const found_file *f = &list.files[i];
    if (f->temporary) {
      if (f->used.tv_sec + CACHE_STALE_S < now) remove_file(folder, f->name);
      continue;
    }
    /* After the first that does not fit none stays, however small: what goes is what was not used for longest. */
    full = full || f->bytes > left;
    if (full)
      remove_file(folder, f->name);
    else
      left -= f->bytes;
  }
  free(list.files);
}

/* Copies what follows word in a key's text, up to one of ends. */
static void copy_field(const char *key, const char *word, const char *ends, char *out, size_t bytes) {
  const char *at = strstr(key, word);
  if (at == NULL) return;
  at += strlen(word);
  const char *end = strstr(at, ends);
  if (end != NULL) snprintf(out, bytes, "%.*s", (int)(end - at), at);
}

/* The names in the key; they stay empty when there is none. Nothing is verified: a list only shows. */
static void read_names(const char *folder, clvgg_cache_entry *entry) {
  char path[PATH_MAX], head[CACHE_HEAD_BYTES + CACHE_KEY_BYTES + 1];
  const int n = snprintf(path, sizeof path, "%s%s", folder, entry->file);
  const int fd =
      n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW) : -1;
  const ssize_t got = fd >= 0 ? read(fd, head, sizeof head - 1) : -1;
  if (fd >= 0) close(fd);
  if (got < CACHE_HEAD_BYTES) return;
  head[got] = '\0';
  copy_field(head + CACHE_HEAD_BYTES, "\ndevice ", " | ", entry->device, sizeof entry->device);
  copy_field(head + CACHE_HEAD_BYTES, "\nsource ", " ", entry->source, sizeof entry->source);
}

clvgg_status cache_list(clvgg_cache_entry **entries, size_t *count) {
  *entries = NULL;
  *count = 0;
  char folder[PATH_MAX];
  found_list list;
  TRY(cache_path("", folder, sizeof folder));
  TRY(scan(folder, &list));
  sort(&list);
  clvgg_cache_entry *out = calloc(list.count + 1, sizeof *out);
  if (out == NULL) {
    free(list.files);
    return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to list it", folder);
  }
  for (size_t i = 0; i < list.count; i++) {
    const found_file *f = &list.files[i];
    if (f->temporary) continue;
    clvgg_cache_entry *entry = &out[(*count)++];
    snprintf(entry->file, sizeof entry->file, "%s", f->name);
    entry->bytes = f->bytes;
    entry->last_use_s = (int64_t)f->used.tv_sec;
    read_names(folder, entry);
  }
  free(list.files);
  *entries = out;
  return CLVGG_OK;
}

clvgg_status cache_clear(size_t *files, uint64_t *bytes) {
  *files = 0;
  *bytes = 0;
  char folder[PATH_MAX];
  found_list list;
  TRY(cache_path("", folder, sizeof folder));
  TRY(scan(folder, &list));
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < list.count; i++) {
    if (!remove_file(folder, list.files[i].name)) {
      status = base_fail(CLVGG_ERROR_IO, "%s%s: cannot remove it: %s", folder, list.files[i].name, strerror(errno));
      continue;
    }
    *bytes += list.files[i].bytes;
    *files += 1;
  }
  free(list.files);
  return status;
}
