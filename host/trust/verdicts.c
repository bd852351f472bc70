/* The file of verdicts: rows with a checksum each, merged and replaced whole. */
#include "trust/verdicts.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/size.h"
#include "device/identity.h"

#define HEADER "clvgg trust 1"
/* Longer rows and files were not written here. */
#define ROW_BYTES  2048
#define FILE_BYTES ((size_t)VERDICTS_MOST * ROW_BYTES)

/* Rows as they are in the file, without the line break; oldest first. */
typedef struct row_list {
  char **rows;
  size_t count, room;
} row_list;

struct verdicts {
  char identity[IDENTITY_BYTES];
  bool stored; /* the file may be used */
  row_list known, added;
};

/* Tabs and line breaks are the file's own. */
static void flatten(char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < ' ') *text = ' ';
}

static bool list_add(row_list *list, const char *row, size_t length) {
  if (list->count == list->room) {
    size_t room = list->room ? 2 * list->room : 64, bytes;
    char **rows = size_mul(room, sizeof *rows, &bytes) ? realloc(list->rows, bytes) : NULL;
    if (!rows) return false;
    list->rows = rows;
    list->room = room;
  }
  char *copy = strndup(row, length);
  if (copy) list->rows[list->count++] = copy;
  return copy != NULL;
}

static void list_free(row_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->rows[i]);
  free(list->rows);
  *list = (row_list){0};
}

/* ---- rows */

/* The part that begins after the number-th tab, its end in *length; NULL when there is none. */
static const char *field(const char *row, int number, size_t *length) {
  while (number-- > 0) {
    row = strchr(row, '\t');
    if (!row) return NULL;
    row++;
  }
  *length = strcspn(row, "\t");
  return row;
}

static bool field_is(const char *row, int number, const char *text) {
  size_t length = 0;
  const char *found = field(row, number, &length);
  return found && length == strlen(text) && memcmp(found, text, length) == 0;
}

/* "0123456789abcdef " and the rest that it is the checksum of. */
#define SUM_CHARS ((size_t)17)

static bool is_whole(const char *row) {
  char sum[SUM_CHARS + 1];
  size_t length;
  if (strlen(row) < SUM_CHARS || !field(row, 3, &length)) return false;
  snprintf(sum, sizeof sum, "%016" PRIx64 " ", hash_bytes(HASH_START, row + SUM_CHARS, strlen(row + SUM_CHARS)));
  return memcmp(sum, row, SUM_CHARS) == 0;
}

/* Two rows about the same case of the same device. */
static bool same_case(const char *a, const char *b) {
  size_t a_length = 0, b_length = 0;
  const char *a_key = field(a, 1, &a_length), *b_key = field(b, 1, &b_length);
  if (!a_key || !b_key) return false;
  a_length += 1 + strcspn(a_key + a_length + (a_key[a_length] != '\0'), "\t");
  b_length += 1 + strcspn(b_key + b_length + (b_key[b_length] != '\0'), "\t");
  return a_length == b_length && memcmp(a_key, b_key, a_length) == 0;
}

static const char *list_find(const row_list *list, const char *identity, const char *what) {
  for (size_t i = list->count; i-- > 0;)
    if (field_is(list->rows[i], 2, what) && field_is(list->rows[i], 1, identity)) return list->rows[i];
  return NULL;
}

/* ---- the file */

/* The sound rows of a file, of one identity or of all (NULL). */
static void read_rows(const char *path, const char *identity, row_list *out) {
  file_map map;
  if (!file_exists(path) || file_map_open(path, &map) != CLVGG_OK) return;
  const char *at = map.data ? (const char *)map.data : "", *end = at + map.bytes;
  bool known = map.bytes <= FILE_BYTES;
  for (bool first = true; known && at < end; first = false) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end) break; /* cut off in the middle */
    const size_t length = (size_t)(line_end - at);
    if (first) {
      known = length == strlen(HEADER) && memcmp(at, HEADER, length) == 0;
    } else if (length < ROW_BYTES) {
      char row[ROW_BYTES];
      memcpy(row, at, length);
      row[length] = '\0';
      if (strlen(row) == length && is_whole(row) && (!identity || field_is(row, 1, identity)) &&
          !list_add(out, row, length))
        break;
    }
    at = line_end + 1;
  }
  file_map_close(&map);
}

static bool is_replaced(const verdicts *v, const char *row) {
  for (size_t i = 0; i < v->added.count; i++)
    if (same_case(v->added.rows[i], row)) return true;
  return false;
}

static void write_rows(const verdicts *v, const char *path) {
  row_list all = {0};
  read_rows(path, NULL, &all);
  size_t keep = 0;
  for (size_t i = 0; i < all.count; i++) {
    if (is_replaced(v, all.rows[i]))
      free(all.rows[i]);
    else
      all.rows[keep++] = all.rows[i];
  }
  all.count = keep;
  bool complete = true;
  for (size_t i = 0; i < v->added.count && complete; i++)
    complete = list_add(&all, v->added.rows[i], strlen(v->added.rows[i]));
  const size_t first = all.count > VERDICTS_MOST ? all.count - VERDICTS_MOST : 0;
  size_t bytes = strlen(HEADER) + 1;
  for (size_t i = first; i < all.count; i++) bytes += strlen(all.rows[i]) + 1;
  char *text = complete ? malloc(bytes + 1) : NULL;
  if (text) {
    char *to = text + sprintf(text, "%s\n", HEADER);
    for (size_t i = first; i < all.count; i++) to += sprintf(to, "%s\n", all.rows[i]);
    if (file_make_folder(path) != CLVGG_OK || file_write(path, text, bytes) != CLVGG_OK)
      base_log("checks of algorithms are not remembered: %s", clvgg_last_error());
  }
  free(text);
  list_free(&all);
}

/* ---- what the rest sees */

clvgg_status verdicts_open(const clvgg_device_info *dev, bool read, verdicts **out) {
  verdicts *v = *out = calloc(1, sizeof *v);
  if (!v) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the checks of algorithms");
  const bool fits = identity_of_device(dev, v->identity, sizeof v->identity);
  const char *kernels = getenv("CLVGG_KERNEL_DIR"), *limits = getenv("CLVGG_DEVICE_LIMITS");
  v->stored = fits && !(kernels && *kernels) && !(limits && *limits);
  char path[PATH_MAX];
  if (v->stored && read && file_cache_path(VERDICTS_FILE, path, sizeof path) == CLVGG_OK)
    read_rows(path, v->identity, &v->known);
  return CLVGG_OK;
}

void verdicts_close(verdicts **pointer) {
  verdicts *v = *pointer;
  if (!v) return;
  *pointer = NULL;
  char path[PATH_MAX];
  if (v->stored && v->added.count && file_cache_path(VERDICTS_FILE, path, sizeof path) == CLVGG_OK) write_rows(v, path);
  list_free(&v->known);
  list_free(&v->added);
  free(v);
}

bool verdicts_find(const verdicts *v, const char *what, bool *ok, char *why) {
  const char *row = list_find(&v->added, v->identity, what);
  if (!row) row = list_find(&v->known, v->identity, what);
  if (!row) return false;
  size_t length;
  const char *reason = field(row, 3, &length);
  const char *result = strchr(row + SUM_CHARS, ' ');
  *ok = result && strncmp(result, " ok\t", 4) == 0;
  snprintf(why, VERDICTS_WHY_BYTES, "%s", reason ? reason : "");
  return true;
}

void verdicts_add(verdicts *v, const char *what, bool ok, const char *why) {
  char rest[ROW_BYTES], row[ROW_BYTES], reason[VERDICTS_WHY_BYTES];
  snprintf(reason, sizeof reason, "%s", why);
  flatten(reason);
  int n = snprintf(rest, sizeof rest, "%lld %s\t%s\t%s\t%s", (long long)time(NULL), ok ? "ok" : "wrong", v->identity,
                   what, reason);
  if (n < 0 || (size_t)n >= sizeof rest - SUM_CHARS) return;
  n = snprintf(row, sizeof row, "%016" PRIx64 " %s", hash_bytes(HASH_START, rest, (size_t)n), rest);
  if (n > 0 && (size_t)n < sizeof row) (void)list_add(&v->added, row, (size_t)n);
}
