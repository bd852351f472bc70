/* Reads labelled images and matches labels to the model's classes. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t class_count(const clvgg_model *model) {
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  return info.classes;
}

static int fold(int c) {
  return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c == '_' ? ' ' : c;
}

static int same_name(const char *a, const char *b) {
  while (*a && fold((unsigned char)*a) == fold((unsigned char)*b)) a++, b++;
  return !*a && !*b;
}

/* The class called name, or CLI_UNSET. */
static size_t find_class(const clvgg_model *model, const char *name) {
  const char *candidate = NULL;
  for (size_t i = 0; (candidate = clvgg_model_class_name(model, i)); i++)
    if (same_name(name, candidate)) return i;
  return CLI_UNSET;
}

/* A name, else a number, which may be too large: the caller checks. CLI_UNSET: neither. */
static size_t find_label(const clvgg_model *model, const char *text) {
  size_t label = find_class(model, text);
  if (label == CLI_UNSET && !value_count(text, 0, CLI_UNSET - 1, &label)) return CLI_UNSET;
  return label;
}

static void label_new_images(dataset *set, size_t first, size_t label) {
  while (set->capacity < set->images.count) set->label = cli_grow(set->label, &set->capacity, sizeof *set->label);
  for (size_t i = first; i < set->images.count; i++) set->label[i] = label;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* Whether the folders stand for the classes by their order: as many as classes, and not one is a name or a number. */
static int labels_by_order(const image_list *folders, const clvgg_model *model) {
  if (folders->count != class_count(model)) return 0;
  for (size_t i = 0; i < folders->count; i++)
    if (find_label(model, base_name(folders->path[i])) != CLI_UNSET) return 0;
  return 1;
}

static int add_folder(dataset *set, const char *path, size_t label, size_t classes) {
  if (label == CLI_UNSET) {
    cli_error("%s: the folder's name is no class name of the model and no class number", path);
    return 0;
  }
  if (label >= classes) {
    cli_error("%s: class number %zu, the model has %zu classes (0 to %zu)", path, label, classes, classes - 1);
    return 0;
  }
  size_t first = set->images.count;
  int error = image_list_walk(&set->images, path);
  label_new_images(set, first, label);
  if (error) cli_error("%s: cannot read the folder: %s", path, strerror(error));
  return !error;
}

int dataset_open_folder(dataset *set, const char *folder, const clvgg_model *model) {
  *set = (dataset){.label = NULL};
  image_list folders = {0};
  size_t classes = class_count(model);
  int error = image_list_folders(&folders, folder), ok = 0;
  if (error) {
    cli_error("%s: cannot read the folder: %s", folder, strerror(error));
    goto done;
  }
  if (!folders.count) {
    cli_error("%s: no folders in it, expected one for each class", folder);
    goto done;
  }
  int by_order = labels_by_order(&folders, model);
  for (size_t i = 0; i < folders.count; i++) {
    size_t label = by_order ? i : find_label(model, base_name(folders.path[i]));
    if (!add_folder(set, folders.path[i], label, classes)) goto done;
  }
  ok = set->images.count > 0;
  if (!ok) cli_error("%s: no images in its class folders", folder);
done:
  image_list_free(&folders);
  return ok;
}

/* Cuts line into path and label; returns the label's text, or NULL when the line has only one part. */
static char *split_line(char *line, const clvgg_model *model) {
  char *cut = strchr(line, '\t');
  if (!cut) {
    /* A class name may hold blanks, and so may a path. What is unambiguous is a last word that is a label by itself;
     * otherwise the path is the first word. */
    cut = strrchr(line, ' ');
    if (cut && find_label(model, cut + 1) == CLI_UNSET) cut = strchr(line, ' ');
  }
  if (!cut) return NULL;
  char *label = cut + 1 + strspn(cut + 1, " \t");
  while (cut > line && cut[-1] == ' ') cut--;
  *cut = 0;
  return cut == line || !*label ? NULL : label;
}

static int add_line(dataset *set, char *line, const char *list, size_t number, const clvgg_model *model) {
  size_t length = strlen(line), classes = class_count(model);
  while (length && strchr(" \t\r\n", line[length - 1])) line[--length] = 0;
  line += strspn(line, " \t");
  if (!*line || *line == '#') return 1;
  char *text = split_line(line, model);
  if (!text) {
    cli_error("%s:%zu: '%s', expected a path and a label", list, number, line);
    return 0;
  }
  size_t label = find_label(model, text);
  if (label == CLI_UNSET) {
    cli_error("%s:%zu: '%s' is no class name of the model and no class number", list, number, text);
    return 0;
  }
  if (label >= classes) {
    cli_error("%s:%zu: class number %zu, the model has %zu classes (0 to %zu)", list, number, label, classes,
              classes - 1);
    return 0;
  }
  const char *slash = strrchr(list, '/');
  size_t first = set->images.count;
  if (slash && line[0] != '/') {
    char *folder = cli_copy(list);
    folder[slash - list + 1] = 0;
    char *path = cli_join(folder, line);
    image_list_add(&set->images, path);
    free(path);
    free(folder);
  } else {
    image_list_add(&set->images, line);
  }
  label_new_images(set, first, label);
  return 1;
}

/* O_NONBLOCK: a FIFO without a writer is refused, not waited for. */
static FILE *open_regular(const char *path) {
  struct stat info;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0 && !fstat(fd, &info) && S_ISREG(info.st_mode)) {
    FILE *stream = fdopen(fd, "r");
    if (stream) return stream;
  } else if (fd >= 0) {
    cli_error("%s: not a regular file, expected a list of images", path);
    close(fd);
    return NULL;
  }
  cli_error("%s: cannot read: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  return NULL;
}

int dataset_open_list(dataset *set, const char *path, const clvgg_model *model) {
  *set = (dataset){.label = NULL};
  FILE *stream = open_regular(path);
  if (!stream) return 0;
  char *line = NULL;
  size_t bytes = 0;
  int ok = 1;
  for (size_t number = 1; ok && getline(&line, &bytes, stream) >= 0; number++)
    ok = add_line(set, line, path, number, model);
  if (ok && ferror(stream)) {
    cli_error("%s: cannot read: %s", path, strerror(errno));
    ok = 0;
  }
  if (ok && !set->images.count) {
    cli_error("%s: no images in the list", path);
    ok = 0;
  }
  free(line);
  fclose(stream);
  return ok;
}

void dataset_limit(dataset *set, size_t limit) {
  size_t total = set->images.count;
  if (limit >= total) return;
  char **path = set->images.path;
  for (size_t i = 0; i < limit; i++) {
    /* i * total / limit, which is at least i, without i * total. */
    size_t from = total / limit * i + total % limit * i / limit;
    char *kept = path[from];
    path[from] = path[i]; /* swapped, so that every path is still freed once */
    path[i] = kept;
    set->label[i] = set->label[from];
  }
  for (size_t i = limit; i < total; i++) free(path[i]);
  set->images.count = limit;
}

void dataset_free(dataset *set) {
  image_list_free(&set->images);
  free(set->label);
  *set = (dataset){.label = NULL};
}
