/* What the files of the tuning database share: its tables as data, and the connection to the file. */
#ifndef CLVGG_STORE_INTERNAL_H
#define CLVGG_STORE_INTERNAL_H

#include <limits.h>
#include <sqlite3.h>

#include "store/tuning.h"

/* ---- tables.c: the schema, rows in and out, their checksums, bounds of their fields */

typedef enum column_kind {
  COLUMN_ID,      /* int64_t, any value: a hash */
  COLUMN_INTEGER, /* int64_t, 0..most */
  COLUMN_REAL,    /* double, 0..most, finite */
  COLUMN_TEXT,    /* an array of char, ended by a NUL */
  COLUMN_NAME     /* an enum, stored as its name */
} column_kind;

typedef struct column {
  const char *name;
  column_kind kind;
  size_t offset, bytes; /* in the row's structure */
  double most;
  bool required; /* a text that may not be empty */
  bool local;    /* has no meaning outside this file: not in exports */
  const char *const *names;
} column;

/* Columns of the primary key come first. */
typedef struct table {
  const char *name;
  const column *columns;
  size_t count, keys, row_bytes;
} table;

typedef enum table_id { TABLE_DEVICE, TABLE_MEASUREMENT, TABLE_PLAN, TABLE_EVENT, TABLE_SESSION, TABLES } table_id;
extern const table store_tables[TABLES];

typedef struct tuning_session {
  int64_t number, created;
} tuning_session;

typedef enum statement_id {
  SELECT_ALL,
  SELECT_ALL_BACKWARDS,
  SELECT_GROUP, /* rows of one value of the first key column */
  SELECT_ROW,
  PUT,
  DELETE_GROUP,
  STATEMENTS
} statement_id;

/* "SELECT ...", "INSERT ..." */
char *table_sql(const table *t, statement_id which, char *out, size_t bytes);
char *table_sql_create(const table *t, char *out, size_t bytes);

int table_bind(const table *t, sqlite3_stmt *statement, const void *row, size_t columns);
int table_bind_checksum(const table *t, sqlite3_stmt *statement, const void *row);
/* SQLITE_CORRUPT when the statement's row is not one that table_bind wrote. */
int table_read(const table *t, sqlite3_stmt *statement, void *row);

/* Replaces control characters and what is not UTF-8 in the row's texts, which it ends where they are not, and -0.0. */
void table_clean(const table *t, void *row);
/* CLVGG_ERROR_ARGUMENT, with "seconds: found -1, expected ..." as the error text, when a field is outside its bounds. */
clvgg_status table_check(const table *t, const void *row);
void text_clean(char *text, size_t bytes);

/* ---- connection.c: the file, opened, locked, repaired, or given up for memory */

struct tuning {
  sqlite3 *db;
  sqlite3_stmt *statements[TABLES][STATEMENTS];
  char path[PATH_MAX];
  int lock; /* descriptor, or -1 */
  bool stored, changed;
  char why[512];   /* it is not stored */
  double deadline; /* of the wait for others' locks that is going on */
};

/* Runs operation in a transaction. When the file turns out to be damaged or unusable, it is repaired or left for memory, and
 * operation is run again: it has to start anew each time. It returns SQLite's codes. */
typedef int (*store_operation)(tuning *t, void *argument);
clvgg_status store_run(tuning *t, bool writes, store_operation operation, void *argument);

/* ---- rows.c: inside a transaction; all return SQLite's codes */

/* Each row, in the order of the keys, to visit, until that returns something other than SQLITE_OK. key: a row whose key columns
 * count; unused for SELECT_ALL. */
typedef int (*store_visit)(void *argument, const void *row);
int store_select(tuning *t, table_id id, statement_id which, const void *key, store_visit visit, void *argument);
/* *found, and the row itself. */
int store_get(tuning *t, table_id id, const void *key, void *row, bool *found);
int store_put(tuning *t, table_id id, const void *row);
int store_delete(tuning *t, table_id id, const void *key);
/* Removes sessions before the oldest, and their events. */
int store_prune(tuning *t, int64_t oldest);

/* Every sound row of from's tables, into t. */
int store_rescue(sqlite3 *from, tuning *t, size_t *rows);
/* SQLITE_OK when all rows are sound. */
int store_check_all(tuning *t);

/* A growing array of rows. Zeroed, it is empty. */
typedef struct row_array {
  void *rows;
  size_t row_bytes, count, room;
} row_array;
int row_array_add(void *array, const void *row); /* a store_visit; SQLITE_NOMEM */

/* ---- tuning.c */

int64_t store_key_id(const tuning_key *cleaned);
tuning_key store_clean_key(const tuning_key *key);
/* Inside a transaction: makes sure of the device's row; puts *row (a tuning_measurement or tuning_plan, checked, with its
 * device) by the rules in tuning.h. */
int store_touch_device(tuning *t, const tuning_key *cleaned, double peak_gflops, double peak_gbytes_per_s);
int store_merge(tuning *t, table_id id, const void *row, bool *changed);

#endif
