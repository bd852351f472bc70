/* Presets: the file nearest to a device, by its "match" object. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "store/json.h"

/* How near a preset is; fields 0: it is not for this device. */
typedef struct nearness {
  size_t fields, length;
} nearness;

static bool contains(const char *text, const char *part) {
  const size_t length = strlen(part);
  for (; *text; text++) {
    size_t i = 0;
    while (i < length && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
    if (i == length) return true;
  }
  return length == 0;
}

static const char *type_name(clvgg_device_type type) {
  return type == CLVGG_DEVICE_CPU ? "cpu" : type == CLVGG_DEVICE_GPU ? "gpu" : "accelerator";
}

static clvgg_status match(const json_t *root, const clvgg_device_info *dev, nearness *out) {
  const json_t *object = json_object_get(root, "match");
  const struct {
    const char *field, *text;
    bool whole;
  } fields[] = {{"platform", dev->platform, false},
                {"vendor", dev->vendor, false},
                {"name", dev->name, false},
                {"type", type_name(dev->type), true}};
  *out = (nearness){0};
  if (!json_is_object(object)) return base_fail(CLVGG_ERROR_FORMAT, "match: found none, expected an object");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const json_t *value = json_object_get(object, fields[i].field);
    const char *part = json_string_value(value);
    if (value == NULL) continue;
    if (part == NULL) return base_fail(CLVGG_ERROR_FORMAT, "match.%s: is no text", fields[i].field);
    if (*part == '\0') continue;
    if (fields[i].whole ? strcmp(part, fields[i].text) != 0 : !contains(fields[i].text, part)) {
      *out = (nearness){0};
      return CLVGG_OK;
    }
    out->fields++;
    out->length += strlen(part);
  }
  return CLVGG_OK;
}

static bool nearer(const nearness *a, const nearness *b) {
  return a->fields != b->fields ? a->fields > b->fields : a->length > b->length;
}

typedef struct nearest {
  json_t *root;
  nearness near;
  char name[256], path[PATH_MAX];
} nearest;

/* The file `name` beside the index, when it is nearer than *best: then it takes its place. */
static clvgg_status consider(const char *index, const char *name, const clvgg_device_info *dev, nearest *best) {
  char path[PATH_MAX];
  json_t *root;
  nearness near;
  const char *slash = strrchr(index, '/');
  const int n = snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - index) : 0, index, name);
  if (n < 0 || (size_t)n >= sizeof path) return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: its path is too long", name);
  TRY(tuning_json_load(path, &root));
  const clvgg_status status = match(root, dev, &near);
  if (status == CLVGG_OK && nearer(&near, &best->near)) {
    json_decref(best->root);
    best->root = json_incref(root);
    best->near = near;
    snprintf(best->name, sizeof best->name, "%s", name);
    memcpy(best->path, path, sizeof path);
  }
  json_decref(root);
  return status == CLVGG_OK ? CLVGG_OK : base_fail_in(status, "%s", path);
}

/* One file name a line; no folders. */
static clvgg_status search(const char *index, const file_map *lines, const clvgg_device_info *dev, nearest *best) {
  size_t at = 0;
  while (at < lines->bytes) {
    const char *line = (const char *)lines->data + at;
    const char *end = memchr(line, '\n', lines->bytes - at);
    const size_t length = end ? (size_t)(end - line) : lines->bytes - at;
    char name[256];
    at += length + 1;
    if (length == 0) continue;
    if (length >= sizeof name || memchr(line, '/', length) || memchr(line, '\0', length))
      return base_fail(CLVGG_ERROR_FORMAT, "%s: found \"%.*s\", expected names of files beside it", index,
                       length < 60 ? (int)length : 60, line);
    memcpy(name, line, length);
    name[length] = '\0';
    TRY(consider(index, name, dev, best));
  }
  return CLVGG_OK;
}

static clvgg_status load(const nearest *best, const tuning_key *key, tuning **out) {
  const tuning_key cleaned = store_clean_key(key);
  TRY(tuning_open_memory(out));
  const clvgg_status status = tuning_json_import(*out, best->path, best->root, TUNING_PRESET, &cleaned, NULL);
  if (status != CLVGG_OK) tuning_close(out);
  return status;
}

clvgg_status tuning_preset_load(const char *index, const clvgg_device_info *dev, const tuning_key *key, tuning **out,
                                char name[256]) {
  char own[PATH_MAX];
  file_map lines;
  nearest best = {0};
  *out = NULL;
  *name = '\0';
  if (index == NULL) {
    if (file_shared_path(TUNING_PRESET_INDEX, own, sizeof own) != CLVGG_OK) return CLVGG_OK;
    index = own;
  }
  if (!file_exists(index)) return CLVGG_OK;
  TRY(file_map_open(index, &lines));
  clvgg_status status = search(index, &lines, dev, &best);
  file_map_close(&lines);
  if (status == CLVGG_OK && best.root != NULL) status = load(&best, key, out);
  if (*out != NULL) snprintf(name, 256, "%s", best.name);
  json_decref(best.root);
  return status;
}
