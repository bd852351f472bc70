/* The tables of the tuning database as data: from them come the SQL, rows in and out, checksums and bounds. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "store/internal.h"

static const char *const state_names[] = {"ok", "build", "crash", "hang", "error", "nan", "wrong", NULL};
static const char *const plan_state_names[] = {"accepted", "rejected", NULL};
static const char *const source_names[] = {"measured", "imported", "preset", NULL};

static const char *name_of(const char *const *names, int value) {
  for (int i = 0; names[i]; i++)
    if (i == value) return names[i];
  return "?";
}
const char *tuning_state_name(tuning_state state) {
  return name_of(state_names, (int)state);
}
const char *tuning_plan_state_name(tuning_plan_state state) {
  return name_of(plan_state_names, (int)state);
}
const char *tuning_source_name(tuning_source source) {
  return name_of(source_names, (int)source);
}

/* ---- the tables */

#define MOST_INTEGER       9007199254740992.0 /* 2^53: exact as a double, too */
#define MOST_SECONDS       1e6
#define MOST_MS            1e9

#define FIELD(type, field) offsetof(type, field), sizeof(((type *)0)->field)
#define ID(type) \
  { "device", COLUMN_ID, FIELD(type, device), .local = true }
#define TEXT(type, field) \
  { #field, COLUMN_TEXT, FIELD(type, field) }
#define REQUIRED(type, field) \
  { #field, COLUMN_TEXT, FIELD(type, field), .required = true }
#define INTEGER(type, field) \
  { #field, COLUMN_INTEGER, FIELD(type, field), .most = MOST_INTEGER }
#define LOCAL_INTEGER(type, field) \
  { #field, COLUMN_INTEGER, FIELD(type, field), .most = MOST_INTEGER, .local = true }
#define REAL(type, field, largest) \
  { #field, COLUMN_REAL, FIELD(type, field), .most = (largest) }
#define NAME(type, field, all_names) \
  { #field, COLUMN_NAME, FIELD(type, field), .names = (all_names) }

static const column device_columns[] = {
    ID(tuning_device),
    {"name", COLUMN_TEXT, FIELD(tuning_device, key.name), .required = true},
    {"vendor", COLUMN_TEXT, FIELD(tuning_device, key.vendor)},
    {"compute_units", COLUMN_INTEGER, FIELD(tuning_device, key.compute_units), .most = MOST_INTEGER},
    {"platform_version", COLUMN_TEXT, FIELD(tuning_device, key.platform_version)},
    {"driver", COLUMN_TEXT, FIELD(tuning_device, key.driver)},
    {"kernels", COLUMN_TEXT, FIELD(tuning_device, key.kernels)},
    {"library", COLUMN_TEXT, FIELD(tuning_device, key.library)},
    REAL(tuning_device, peak_gflops, 1e9),
    REAL(tuning_device, peak_gbytes_per_s, 1e9),
    INTEGER(tuning_device, created),
};
static const column measurement_columns[] = {
    ID(tuning_measurement),
    REQUIRED(tuning_measurement, problem),
    REQUIRED(tuning_measurement, algorithm),
    TEXT(tuning_measurement, parameters),
    NAME(tuning_measurement, state, state_names),
    TEXT(tuning_measurement, reason),
    REAL(tuning_measurement, seconds, MOST_SECONDS),
    INTEGER(tuning_measurement, runs),
    NAME(tuning_measurement, source, source_names),
    LOCAL_INTEGER(tuning_measurement, session),
    INTEGER(tuning_measurement, created),
};
static const column plan_columns[] = {
    ID(tuning_plan),
    REQUIRED(tuning_plan, network),
    TEXT(tuning_plan, steps),
    REAL(tuning_plan, ms, MOST_MS),
    REAL(tuning_plan, untuned_ms, MOST_MS),
    REAL(tuning_plan, logits_error, 1e30),
    NAME(tuning_plan, state, plan_state_names),
    TEXT(tuning_plan, reason),
    NAME(tuning_plan, source, source_names),
    LOCAL_INTEGER(tuning_plan, session),
    INTEGER(tuning_plan, created),
};
static const column event_columns[] = {
    ID(tuning_event),
    REQUIRED(tuning_event, network),
    INTEGER(tuning_event, session),
    INTEGER(tuning_event, number),
    REAL(tuning_event, seconds, MOST_MS),
    TEXT(tuning_event, candidate),
    REAL(tuning_event, ms, MOST_MS),
    REAL(tuning_event, best_ms, MOST_MS),
};
static const column session_columns[] = {
    INTEGER(tuning_session, number),
    INTEGER(tuning_session, created),
};

#define TABLE(name, columns, keys, type) \
  { name, columns, sizeof(columns) / sizeof *(columns), keys, sizeof(type) }
const table store_tables[TABLES] = {
    [TABLE_DEVICE] = TABLE("device", device_columns, 1, tuning_device),
    [TABLE_MEASUREMENT] = TABLE("measurement", measurement_columns, 4, tuning_measurement),
    [TABLE_PLAN] = TABLE("network_plan", plan_columns, 2, tuning_plan),
    [TABLE_EVENT] = TABLE("history", event_columns, 4, tuning_event),
    [TABLE_SESSION] = TABLE("session", session_columns, 1, tuning_session),
};

/* ---- SQL */

/* Adds to the text in out, as far as there is room. */
static void add(char *out, size_t bytes, const char *a, const char *b) {
  const size_t length = strlen(out);
  snprintf(out + length, bytes - length, "%s%s", a, b);
}

char *table_sql_create(const table *t, char *out, size_t bytes) {
  static const char *const types[] = {[COLUMN_ID] = " INTEGER NOT NULL, ",
                                      [COLUMN_INTEGER] = " INTEGER NOT NULL, ",
                                      [COLUMN_REAL] = " REAL NOT NULL, ",
                                      [COLUMN_TEXT] = " TEXT NOT NULL, ",
                                      [COLUMN_NAME] = " TEXT NOT NULL, "};
  /* WITHOUT ROWID: a row is one cell of one tree, all of it under the checksum, and no index can disagree with it. */
  snprintf(out, bytes, "CREATE TABLE %s(", t->name);
  for (size_t i = 0; i < t->count; i++) add(out, bytes, t->columns[i].name, types[t->columns[i].kind]);
  add(out, bytes, "checksum INTEGER NOT NULL, PRIMARY KEY(", "");
  for (size_t i = 0; i < t->keys; i++) add(out, bytes, i ? ", " : "", t->columns[i].name);
  add(out, bytes, ")) WITHOUT ROWID", "");
  return out;
}

char *table_sql(const table *t, statement_id which, char *out, size_t bytes) {
  *out = '\0';
  if (which == PUT) {
    add(out, bytes, "INSERT OR REPLACE INTO ", t->name);
    for (size_t i = 0; i < t->count; i++) add(out, bytes, i ? ", " : "(", t->columns[i].name);
    add(out, bytes, ", checksum) VALUES(?", "");
    for (size_t i = 0; i < t->count; i++) add(out, bytes, ", ?", "");
    add(out, bytes, ")", "");
    return out;
  }
  if (which == DELETE_GROUP) {
    add(out, bytes, "DELETE", "");
  } else {
    for (size_t i = 0; i < t->count; i++) add(out, bytes, i ? ", " : "SELECT ", t->columns[i].name);
    add(out, bytes, ", checksum", "");
  }
  add(out, bytes, " FROM ", t->name);
  const size_t keys = which == SELECT_ROW ? t->keys : which == SELECT_GROUP || which == DELETE_GROUP ? 1 : 0;
  for (size_t i = 0; i < keys; i++) {
    add(out, bytes, i ? " AND " : " WHERE ", t->columns[i].name);
    add(out, bytes, " = ?", "");
  }
  if (which != DELETE_GROUP)
    for (size_t i = 0; i < t->keys; i++) {
      add(out, bytes, i ? ", " : " ORDER BY ", t->columns[i].name);
      if (which == SELECT_ALL_BACKWARDS) add(out, bytes, " DESC", "");
    }
  return out;
}

/* ---- rows */

static const void *at(const column *c, const void *row) {
  return (const char *)row + c->offset;
}
static int64_t get_integer(const column *c, const void *row) {
  int64_t value;
  memcpy(&value, at(c, row), sizeof value);
  return value;
}
static double get_real(const column *c, const void *row) {
  double value;
  memcpy(&value, at(c, row), sizeof value);
  return value;
}
_Static_assert(sizeof(tuning_state) == sizeof(int) && sizeof(tuning_plan_state) == sizeof(int) &&
                   sizeof(tuning_source) == sizeof(int),
               "enums are read as int");
static const char *get_name(const column *c, const void *row) {
  int value;
  memcpy(&value, at(c, row), sizeof value);
  return name_of(c->names, value);
}

static uint64_t hash_integer(uint64_t hash, uint64_t value) {
  unsigned char bytes[8]; /* the same on every machine */
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> 8 * i);
  return hash_bytes(hash, bytes, sizeof bytes);
}

static int64_t checksum(const table *t, const void *row) {
  uint64_t hash = hash_bytes(HASH_START, t->name, strlen(t->name) + 1), bits;
  for (size_t i = 0; i < t->count; i++) {
    const column *c = &t->columns[i];
    if (c->kind == COLUMN_TEXT || c->kind == COLUMN_NAME) {
      const char *text = c->kind == COLUMN_NAME ? get_name(c, row) : at(c, row);
      hash = hash_bytes(hash, text, strlen(text) + 1);
    } else {
      memcpy(&bits, at(c, row), sizeof bits);
      hash = hash_integer(hash, bits);
    }
  }
  memcpy(&bits, &hash, sizeof bits);
  return (int64_t)bits;
}

int table_bind(const table *t, sqlite3_stmt *statement, const void *row, size_t columns) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < columns && code == SQLITE_OK; i++) {
    const column *c = &t->columns[i];
    const int to = (int)i + 1;
    switch (c->kind) {
      case COLUMN_ID:
      case COLUMN_INTEGER:
        code = sqlite3_bind_int64(statement, to, get_integer(c, row));
        break;
      case COLUMN_REAL:
        code = sqlite3_bind_double(statement, to, get_real(c, row));
        break;
      case COLUMN_TEXT:
        code = sqlite3_bind_text(statement, to, at(c, row), -1, SQLITE_TRANSIENT);
        break;
      case COLUMN_NAME:
        code = sqlite3_bind_text(statement, to, get_name(c, row), -1, SQLITE_STATIC);
        break;
    }
  }
  return code;
}

int table_bind_checksum(const table *t, sqlite3_stmt *statement, const void *row) {
  return sqlite3_bind_int64(statement, (int)t->count + 1, checksum(t, row));
}

/* False when it does not fit, or holds a NUL. */
static bool read_text(sqlite3_stmt *statement, int from, char *out, size_t bytes) {
  const unsigned char *text = sqlite3_column_text(statement, from);
  const size_t length = (size_t)sqlite3_column_bytes(statement, from);
  if (!text || length >= bytes || memchr(text, 0, length)) return false;
  memcpy(out, text, length);
  out[length] = '\0';
  return true;
}

static bool read_name(const column *c, const char *text, int *out) {
  for (int i = 0; c->names[i]; i++)
    if (strcmp(c->names[i], text) == 0) {
      *out = i;
      return true;
    }
  return false;
}

static bool read_column(const column *c, sqlite3_stmt *statement, int from, void *row) {
  void *to = (char *)row + c->offset;
  const int type = sqlite3_column_type(statement, from);
  if (c->kind == COLUMN_ID || c->kind == COLUMN_INTEGER) {
    const int64_t value = sqlite3_column_int64(statement, from);
    memcpy(to, &value, sizeof value);
    return type == SQLITE_INTEGER;
  }
  if (c->kind == COLUMN_REAL) {
    const double value = sqlite3_column_double(statement, from);
    memcpy(to, &value, sizeof value);
    return type == SQLITE_FLOAT || type == SQLITE_INTEGER;
  }
  if (type != SQLITE_TEXT) return false;
  if (c->kind == COLUMN_TEXT) return read_text(statement, from, to, c->bytes);
  char name[32];
  int value = 0;
  if (!read_text(statement, from, name, sizeof name) || !read_name(c, name, &value)) return false;
  memcpy(to, &value, sizeof value);
  return true;
}

int table_read(const table *t, sqlite3_stmt *statement, void *row) {
  memset(row, 0, t->row_bytes);
  const int sum = (int)t->count;
  for (size_t i = 0; i < t->count; i++)
    if (!read_column(&t->columns[i], statement, (int)i, row)) return SQLITE_CORRUPT;
  if (sqlite3_column_type(statement, sum) != SQLITE_INTEGER || sqlite3_column_int64(statement, sum) != checksum(t, row))
    return SQLITE_CORRUPT;
  return SQLITE_OK;
}

/* ---- bounds */

/* Bytes of the UTF-8 character that text begins with; 0 when it is none (Unicode 15, table 3-7). */
static size_t character_bytes(const unsigned char *text) {
  const unsigned char a = text[0];
  if (a < 0x80) return 1;
  const size_t more = a >= 0xC2 && a <= 0xDF ? 1 : a >= 0xE0 && a <= 0xEF ? 2 : a >= 0xF0 && a <= 0xF4 ? 3 : 0;
  const unsigned char least = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
  if (more == 0 || text[1] < least || text[1] > most) return 0;
  for (size_t i = 2; i <= more; i++)
    if (text[i] < 0x80 || text[i] > 0xBF) return 0;
  return more + 1;
}

void text_clean(char *text, size_t bytes) {
  text[bytes - 1] = '\0';
  for (unsigned char *p = (unsigned char *)text; *p;) {
    const size_t n = character_bytes(p);
    if (n == 0 || *p < ' ' || *p == 0x7F) *p = '?';
    p += n ? n : 1;
  }
}

void table_clean(const table *t, void *row) {
  for (size_t i = 0; i < t->count; i++) {
    const column *c = &t->columns[i];
    if (c->kind == COLUMN_TEXT) text_clean((char *)row + c->offset, c->bytes);
    if (c->kind == COLUMN_REAL) {
      const double value = get_real(c, row) + 0.0; /* SQLite keeps no -0.0, which the checksum would miss */
      memcpy((char *)row + c->offset, &value, sizeof value);
    }
  }
}

clvgg_status table_check(const table *t, const void *row) {
  for (size_t i = 0; i < t->count; i++) {
    const column *c = &t->columns[i];
    const double value = c->kind == COLUMN_INTEGER ? (double)get_integer(c, row)
                         : c->kind == COLUMN_REAL  ? get_real(c, row)
                                                   : 0;
    if (!isfinite(value) || value < 0 || (c->most > 0 && value > c->most))
      return base_fail(CLVGG_ERROR_ARGUMENT, "%s: found %g, expected a number from 0 to %g", c->name, value, c->most);
    if (c->kind == COLUMN_TEXT && c->required && *(const char *)at(c, row) == '\0')
      return base_fail(CLVGG_ERROR_ARGUMENT, "%s: found an empty text", c->name);
    if (c->kind == COLUMN_NAME && strcmp(get_name(c, row), "?") == 0)
      return base_fail(CLVGG_ERROR_ARGUMENT, "%s: found no known value", c->name);
  }
  return CLVGG_OK;
}
