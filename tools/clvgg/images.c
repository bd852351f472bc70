/* Walks image folders. */
#include "images.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli.h"

#define MAX_DEPTH 32

void image_list_add(image_list *list, const char *path) {
  if (list->count == list->capacity) list->path = cli_grow(list->path, &list->capacity, sizeof *list->path);
  list->path[list->count++] = cli_copy(path);
}

void image_list_free(image_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->path[i]);
  free(list->path);
  *list = (image_list){0};
}

int is_folder(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISDIR(info.st_mode);
}

static int has_image_name(const char *name) {
  static const char *const endings[] = {".jpg", ".jpeg", ".png", ".bmp", ".pnm", ".ppm", ".pgm"};
  const char *ending = strrchr(name, '.');
  for (size_t i = 0; ending && i < CLI_LENGTH(endings); i++)
    if (!strcasecmp(ending, endings[i])) return 1;
  return 0;
}

static int is_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* Byte order, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk(image_list *list, const char *folder, int depth) {
  struct dirent **entries = NULL;
  int count = scandir(folder, &entries, is_visible, by_name);
  if (count < 0) return errno;
  int error = 0;
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    struct stat info;
    char *path = cli_join(folder, name);
    if (!error && !lstat(path, &info)) {
      if (S_ISDIR(info.st_mode))
        error = depth < MAX_DEPTH ? walk(list, path, depth + 1) : ELOOP;
      else if (has_image_name(name))
        image_list_add(list, path);
    }
    free(path);
    free(entries[i]);
  }
  free(entries);
  return error;
}

int image_list_walk(image_list *list, const char *folder) {
  return walk(list, folder, 0);
}

int image_list_folders(image_list *list, const char *folder) {
  struct dirent **entries = NULL;
  int count = scandir(folder, &entries, is_visible, by_name);
  if (count < 0) return errno;
  for (int i = 0; i < count; i++) {
    char *path = cli_join(folder, entries[i]->d_name);
    if (is_folder(path)) image_list_add(list, path);
    free(path);
    free(entries[i]);
  }
  free(entries);
  return 0;
}
