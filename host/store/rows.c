/* Rows in and out of an open database, inside a transaction. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "store/internal.h"

/* The largest structure of a row: store_tables' row_bytes are at most that. */
typedef union any_row {
  tuning_device device;
  tuning_measurement measurement;
  tuning_plan plan;
  tuning_event event;
  tuning_session session;
} any_row;

static int visit_all(const table *t, sqlite3_stmt *statement, store_visit visit, void *argument) {
  any_row row;
  int code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    code = table_read(t, statement, &row);
    if (code == SQLITE_OK) code = visit(argument, &row);
    if (code != SQLITE_OK) break;
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

int store_select(tuning *t, table_id id, statement_id which, const void *key, store_visit visit, void *argument) {
  const table *rows = &store_tables[id];
  sqlite3_stmt *statement = t->statements[id][which];
  const size_t keys = which == SELECT_ROW ? rows->keys : which == SELECT_GROUP ? 1 : 0;
  const int code = table_bind(rows, statement, key, keys);
  return code == SQLITE_OK ? visit_all(rows, statement, visit, argument) : code;
}

typedef struct one_row {
  void *row;
  size_t bytes;
  bool found;
} one_row;

static int keep_row(void *argument, const void *row) {
  one_row *one = argument;
  memcpy(one->row, row, one->bytes);
  one->found = true;
  return SQLITE_OK;
}

int store_get(tuning *t, table_id id, const void *key, void *row, bool *found) {
  one_row one = {.row = row, .bytes = store_tables[id].row_bytes};
  const int code = store_select(t, id, SELECT_ROW, key, keep_row, &one);
  *found = one.found;
  return code;
}

static int finish(sqlite3_stmt *statement, int code) {
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

int store_put(tuning *t, table_id id, const void *row) {
  const table *rows = &store_tables[id];
  sqlite3_stmt *statement = t->statements[id][PUT];
  int code = table_bind(rows, statement, row, rows->count);
  if (code == SQLITE_OK) code = table_bind_checksum(rows, statement, row);
  return finish(statement, code);
}

int store_delete(tuning *t, table_id id, const void *key) {
  sqlite3_stmt *statement = t->statements[id][DELETE_GROUP];
  return finish(statement, table_bind(&store_tables[id], statement, key, 1));
}

int store_prune(tuning *t, int64_t oldest) {
  static const char *const sqls[] = {"DELETE FROM history WHERE session < ?", "DELETE FROM session WHERE number < ?"};
  int code = SQLITE_OK;
  for (size_t i = 0; i < sizeof sqls / sizeof *sqls && code == SQLITE_OK; i++) {
    sqlite3_stmt *statement = NULL;
    code = sqlite3_prepare_v2(t->db, sqls[i], -1, &statement, NULL);
    if (code == SQLITE_OK) code = finish(statement, sqlite3_bind_int64(statement, 1, oldest));
    sqlite3_finalize(statement);
  }
  return code;
}

static int ignore_row(void *argument, const void *row) {
  (void)argument;
  (void)row;
  return SQLITE_OK;
}

int store_check_all(tuning *t) {
  int code = SQLITE_OK;
  for (int id = 0; id < TABLES && code == SQLITE_OK; id++)
    code = store_select(t, (table_id)id, SELECT_ALL, NULL, ignore_row, NULL);
  return code;
}

/* One way through a table, past bad rows, as far as it goes. */
static int rescue_table(sqlite3 *from, tuning *t, table_id id, statement_id which, size_t *rows, bool *complete) {
  const table *kind = &store_tables[id];
  char sql[1024];
  sqlite3_stmt *statement = NULL;
  any_row row;
  int code = SQLITE_OK, step = SQLITE_ERROR;
  *complete = false;
  if (sqlite3_prepare_v2(from, table_sql(kind, which, sql, sizeof sql), -1, &statement, NULL) == SQLITE_OK) {
    while (code == SQLITE_OK && (step = sqlite3_step(statement)) == SQLITE_ROW) {
      if (table_read(kind, statement, &row) != SQLITE_OK) continue;
      code = store_put(t, id, &row);
      ++*rows;
    }
    *complete = step == SQLITE_DONE;
  }
  sqlite3_finalize(statement);
  return code;
}

int store_rescue(sqlite3 *from, tuning *t, size_t *rows) {
  int code = SQLITE_OK;
  *rows = 0;
  /* A table whose definition is damaged then does not hide the others. */
  sqlite3_exec(from, "PRAGMA writable_schema = ON", NULL, NULL, NULL);
  for (int id = 0; id < TABLES && code == SQLITE_OK; id++) {
    bool complete;
    code = rescue_table(from, t, (table_id)id, SELECT_ALL, rows, &complete);
    /* Past a damaged page from its other side. */
    if (!complete && code == SQLITE_OK)
      code = rescue_table(from, t, (table_id)id, SELECT_ALL_BACKWARDS, rows, &complete);
  }
  return code;
}

int row_array_add(void *array, const void *row) {
  row_array *a = array;
  if (a->count == a->room) {
    const size_t room = a->room ? 2 * a->room : 16;
    size_t bytes;
    void *rows = size_mul(room, a->row_bytes, &bytes) ? realloc(a->rows, bytes) : NULL;
    if (!rows) return SQLITE_NOMEM;
    a->rows = rows;
    a->room = room;
  }
  memcpy((char *)a->rows + a->count++ * a->row_bytes, row, a->row_bytes);
  return SQLITE_OK;
}
