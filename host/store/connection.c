/* The database's file: opened and locked, repaired when damaged, given up for memory when it cannot be used. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "store/internal.h"

#define APPLICATION_ID  0x634c5667 /* "cLVg" */
#define VERSION         1
#define USER_VERSION(v) ((v) << 16 | (~(v)&0xffff))

/* Others' locks are held for milliseconds, but a process may be stopped while it holds one. */
#define BUSY_SECONDS   30
#define REPAIR_SECONDS 5

/* What a failure is about. */
typedef enum fault { NO_FAULT, DAMAGED, UNUSABLE, BUSY, NO_MEMORY, NEWER, FOREIGN } fault;

static fault fault_of(int code) {
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return NO_FAULT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return BUSY;
    case SQLITE_NOMEM:
      return NO_MEMORY;
    /* The statements are constant and right, so an error of SQL means another schema than theirs. */
    case SQLITE_ERROR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_FORMAT:
    case SQLITE_RANGE:
      return DAMAGED;
    default:
      return UNUSABLE;
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Differs between the processes that wait for one lock, so that they do not meet at it again and again. */
static void nap(void) {
  const unsigned spread = ((unsigned)getpid() * 2654435761U ^ (unsigned)(now() * 1e6)) % 8;
  const struct timespec pause = {.tv_nsec = (long)(1 + spread) * 1000000};
  nanosleep(&pause, NULL);
}

static int wait_for_lock(void *argument, int calls) {
  tuning *t = argument;
  if (calls == 0) t->deadline = now() + BUSY_SECONDS;
  if (now() > t->deadline) return 0;
  nap();
  return 1;
}

static int execute(sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int read_number(sqlite3 *db, const char *sql, int64_t *out) {
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(statement) == SQLITE_ROW ? SQLITE_OK : sqlite3_errcode(db);
  if (code == SQLITE_OK) *out = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return code;
}

static void disconnect(tuning *t) {
  for (int id = 0; id < TABLES; id++)
    for (int which = 0; which < STATEMENTS; which++) {
      sqlite3_finalize(t->statements[id][which]);
      t->statements[id][which] = NULL;
    }
  sqlite3_close(t->db);
  t->db = NULL;
}

/* ---- the schema */

static int prepare(tuning *t) {
  char sql[1024];
  int code = SQLITE_OK;
  for (int id = 0; id < TABLES && code == SQLITE_OK; id++)
    for (int which = 0; which < STATEMENTS && code == SQLITE_OK; which++)
      code = sqlite3_prepare_v3(t->db, table_sql(&store_tables[id], (statement_id)which, sql, sizeof sql), -1,
                                SQLITE_PREPARE_PERSISTENT, &t->statements[id][which], NULL);
  return code;
}

static int create(sqlite3 *db) {
  char sql[1024];
  int code = SQLITE_OK;
  for (int id = 0; id < TABLES && code == SQLITE_OK; id++)
    code = execute(db, table_sql_create(&store_tables[id], sql, sizeof sql));
  snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
           USER_VERSION(VERSION));
  return code == SQLITE_OK ? execute(db, sql) : code;
}

/* Whose the file is, by its head. *empty: nobody's yet. */
static fault identify(sqlite3 *db, bool *empty) {
  int64_t application = 0, version = 0, tables = 0;
  int code = read_number(db, "PRAGMA application_id", &application);
  if (code == SQLITE_OK) code = read_number(db, "PRAGMA user_version", &version);
  if (code == SQLITE_OK) code = read_number(db, "SELECT count(*) FROM sqlite_master", &tables);
  *empty = code == SQLITE_OK && application == 0 && version == 0 && tables == 0;
  if (code != SQLITE_OK || *empty) return fault_of(code);
  const int64_t number = version >> 16;
  const bool is_version = number > 0 && version == USER_VERSION(number);
  if (application != APPLICATION_ID) return is_version ? DAMAGED : FOREIGN;
  if (!is_version) return DAMAGED;
  return number > VERSION ? NEWER : NO_FAULT;
}

/* What was committed is the system's, and so safe from the end of this process. It goes to the disk once, when a handle closes:
 * on a busy disk a sync takes up to half a second, too long for every row of a search that has half a minute. */
static int sync_file(sqlite3 *db) {
  char sql[80];
  snprintf(sql, sizeof sql, "PRAGMA synchronous = FULL; PRAGMA user_version = %d", USER_VERSION(VERSION));
  return execute(db, sql);
}

static fault identify_or_create(sqlite3 *db) {
  bool empty;
  fault f = identify(db, &empty);
  if (f != NO_FAULT || !empty) return f;
  f = fault_of(execute(db, "BEGIN IMMEDIATE"));
  if (f != NO_FAULT) return f;
  f = identify(db, &empty); /* another process may have come first */
  if (f == NO_FAULT && empty) f = fault_of(create(db));
  if (f == NO_FAULT) f = fault_of(execute(db, "COMMIT"));
  if (!sqlite3_get_autocommit(db)) execute(db, "ROLLBACK");
  return f;
}

/* path ":memory:" is SQLite's own. */
static fault connect_to(tuning *t, const char *path) {
  int code = sqlite3_open_v2(path, &t->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
  if (t->db == NULL) return NO_MEMORY;
  if (code != SQLITE_OK) return fault_of(code);
  sqlite3_extended_result_codes(t->db, 1);
  sqlite3_busy_handler(t->db, wait_for_lock, t);
  /* secure_delete: no row that was replaced is left in the file, whole and with a right sum, for a damaged pointer to find. */
  code = execute(t->db,
                 "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON;"
                 "PRAGMA synchronous = OFF"); /* see sync_file */
  if (code != SQLITE_OK) return fault_of(code);
  const fault f = identify_or_create(t->db);
  return f == NO_FAULT ? fault_of(prepare(t)) : f;
}

/* ---- the lock beside the file */

/* False when it was not to be had within that time. */
static bool take_lock(int lock, int kind, double seconds) {
  const double deadline = now() + seconds;
  while (flock(lock, kind | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    if (now() > deadline) return false;
    nap();
  }
  return true;
}

static void name_beside(const tuning *t, const char *suffix, char out[PATH_MAX]) {
  /* tuning_open has seen to the room. */
  snprintf(out, PATH_MAX, "%.*s%s", PATH_MAX - 32, t->path, suffix);
}

static bool open_lock(tuning *t) {
  char name[PATH_MAX];
  name_beside(t, ".lock", name);
  t->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
  return t->lock >= 0 && take_lock(t->lock, LOCK_SH, BUSY_SECONDS);
}

static void close_lock(tuning *t) {
  if (t->lock >= 0) close(t->lock);
  t->lock = -1;
}

/* ---- memory */

/* *rows: those of the file that could be read. */
static int rescue_from(const char *path, tuning *to, size_t *rows) {
  sqlite3 *from = NULL;
  int code = SQLITE_OK;
  *rows = 0;
  if (sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
    sqlite3_busy_timeout(from, 1000 * REPAIR_SECONDS);
    code = execute(to->db, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) code = store_rescue(from, to, rows);
    if (code == SQLITE_OK) code = execute(to->db, "COMMIT");
    if (!sqlite3_get_autocommit(to->db)) execute(to->db, "ROLLBACK");
  }
  sqlite3_close(from);
  return code;
}

/* From now on in memory, with the file's rows unless they are another program's. */
static clvgg_status go_to_memory(tuning *t, bool with_rows, const char *format, ...) BASE_PRINTF(3, 4);
static clvgg_status go_to_memory(tuning *t, bool with_rows, const char *format, ...) {
  size_t rows;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->why, sizeof t->why, format, arguments);
  va_end(arguments);
  disconnect(t);
  t->stored = false;
  const bool opened = connect_to(t, ":memory:") == NO_FAULT;
  if (!opened) disconnect(t);
  if (opened && with_rows) (void)rescue_from(t->path, t, &rows); /* what does not fit is lost, as without them */
  close_lock(t);
  base_log("tuning database: %s; what is found now is not kept", t->why);
  return opened ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "no memory for the tuning database");
}

/* ---- repair */

/* A new file with the damaged one's sound rows takes its place; the lock is exclusive. */
static bool replace_file(tuning *t, size_t *rows) {
  char fresh[PATH_MAX], kept[PATH_MAX], journal[PATH_MAX], kept_journal[PATH_MAX];
  name_beside(t, ".new", fresh);
  name_beside(t, ".damaged", kept);
  name_beside(t, "-journal", journal);
  name_beside(t, ".damaged-journal", kept_journal);
  unlink(fresh);
  bool made = connect_to(t, fresh) == NO_FAULT && rescue_from(t->path, t, rows) == SQLITE_OK;
  made = made && sync_file(t->db) == SQLITE_OK;
  disconnect(t);
  /* The journal goes first: beside the new file it would be played back into that. */
  made = made && (rename(journal, kept_journal) == 0 || errno == ENOENT);
  unlink(kept);
  /* A link, so that there is a file of that name at every moment; some file systems have none. */
  made = made && (link(t->path, kept) == 0 || rename(t->path, kept) == 0) && rename(fresh, t->path) == 0;
  if (!made) unlink(fresh);
  return made;
}

static clvgg_status repair(tuning *t) {
  size_t rows = 0;
  disconnect(t);
  flock(t->lock, LOCK_UN); /* others who noticed wait for the same lock */
  if (!take_lock(t->lock, LOCK_EX, REPAIR_SECONDS)) {
    (void)take_lock(t->lock, LOCK_SH, REPAIR_SECONDS);
    return go_to_memory(t, true, "%s is damaged, and in use by other processes", t->path);
  }
  fault f = connect_to(t, t->path);
  if (f == NO_FAULT) f = fault_of(store_check_all(t));
  disconnect(t);
  bool sound = f == NO_FAULT; /* another process repaired it */
  if (f == DAMAGED) {
    sound = replace_file(t, &rows);
    if (sound)
      base_log("tuning database: %s was damaged; it is kept as %s.damaged, %zu of its rows were saved", t->path,
               t->path, rows);
  }
  if (sound) sound = connect_to(t, t->path) == NO_FAULT && flock(t->lock, LOCK_SH) == 0;
  return sound ? CLVGG_OK : go_to_memory(t, true, "%s is damaged, and cannot be replaced", t->path);
}

/* ---- open, close, run */

static clvgg_status handle_fault(tuning *t, fault f, const char *text) {
  switch (f) {
    case NO_FAULT:
      return CLVGG_OK;
    case DAMAGED:
      return repair(t);
    case NEWER:
      return go_to_memory(t, false, "%s is of a newer version of clvgg, and left as it is", t->path);
    case FOREIGN:
      return go_to_memory(t, false, "%s is another program's database, and left as it is", t->path);
    case NO_MEMORY:
      return base_fail(CLVGG_ERROR_MEMORY, "no memory for the tuning database");
    case BUSY:
      return base_fail(CLVGG_ERROR_IO, "%s: kept locked by other processes for %d s", t->path, BUSY_SECONDS);
    case UNUSABLE:
      break;
  }
  return go_to_memory(t, true, "%s cannot be used: %s", t->path, text);
}

/* The file's absolute path, links resolved, so that what is made beside it lies where SQLite's journal does. */
static clvgg_status set_path(tuning *t, const char *path) {
  char own[PATH_MAX];
  if (path == NULL) {
    TRY(file_user_path(TUNING_FILE, own, sizeof own));
    path = own;
  }
  /* A relative path gets a "./": SQLite may take "file:..." for a URI, and ":memory:" for no file. */
  const size_t length = strlen(path);
  if (length == 0 || length >= PATH_MAX - 32)
    return base_fail(CLVGG_ERROR_ARGUMENT, "the tuning database's path has %zu bytes, expected 1 to %d", length,
                     PATH_MAX - 33);
  snprintf(t->path, sizeof t->path, "%s%s", path[0] == '/' ? "" : "./", path);
  char *real = realpath(t->path, NULL);
  if (real != NULL && strlen(real) < PATH_MAX - 32) snprintf(t->path, sizeof t->path, "%s", real);
  free(real);
  return CLVGG_OK;
}

static clvgg_status open_file(tuning *t, const char *path) {
  if (set_path(t, path) != CLVGG_OK || file_make_folder(t->path) != CLVGG_OK)
    return go_to_memory(t, false, "%s", clvgg_last_error());
  if (!open_lock(t)) return go_to_memory(t, true, "%s cannot be locked: %s", t->path, strerror(errno));
  t->stored = true;
  const fault f = connect_to(t, t->path);
  /* The handle is good for something even when others never let go. */
  if (f == BUSY) return go_to_memory(t, false, "%s is kept locked by other processes", t->path);
  return handle_fault(t, f, t->db != NULL ? sqlite3_errmsg(t->db) : "no memory");
}

static clvgg_status open_handle(const char *path, bool in_memory, tuning **out) {
  *out = NULL;
  tuning *t = calloc(1, sizeof *t);
  if (t == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the tuning database");
  t->lock = -1;
  snprintf(t->why, sizeof t->why, "opened in memory");
  clvgg_status status;
  if (!in_memory)
    status = open_file(t, path);
  else
    status = handle_fault(t, connect_to(t, ":memory:") == NO_FAULT ? NO_FAULT : NO_MEMORY, "");
  if (status == CLVGG_OK)
    *out = t;
  else
    tuning_close(&t);
  return status;
}

clvgg_status tuning_open(const char *path, tuning **out) {
  return open_handle(path, false, out);
}
clvgg_status tuning_open_memory(tuning **out) {
  return open_handle(NULL, true, out);
}

void tuning_close(tuning **pointer) {
  tuning *t = *pointer;
  if (t == NULL) return;
  *pointer = NULL;
  if (t->changed && t->stored && t->db != NULL) (void)sync_file(t->db);
  disconnect(t);
  close_lock(t);
  free(t);
}

bool tuning_is_stored(const tuning *t, const char **why) {
  if (why != NULL) *why = t->stored ? "" : t->why;
  return t->stored;
}

clvgg_status store_run(tuning *t, bool writes, store_operation operation, void *argument) {
  char text[256] = "";
  /* File, repaired file, memory. */
  for (int attempt = 0; attempt < 3; attempt++) {
    if (t->db == NULL) break;
    int code = execute(t->db, writes ? "BEGIN IMMEDIATE" : "BEGIN");
    if (code == SQLITE_OK) code = operation(t, argument);
    if (code == SQLITE_OK) code = execute(t->db, "COMMIT");
    if (code == SQLITE_OK) {
      t->changed |= writes;
      return CLVGG_OK;
    }
    snprintf(text, sizeof text, "%s", sqlite3_errstr(code));
    if (!sqlite3_get_autocommit(t->db)) execute(t->db, "ROLLBACK");
    fault f = fault_of(code);
    if (!t->stored && f != NO_MEMORY) break;
    /* A head that asks for a newer format: SQLite only reads such files. */
    if (code == SQLITE_READONLY && access(t->path, W_OK) == 0) f = DAMAGED;
    if (f == DAMAGED && attempt > 0)
      TRY(go_to_memory(t, true, "%s: %s, even after a repair", t->path, text));
    else
      TRY(handle_fault(t, f, text));
  }
  return base_fail(CLVGG_ERROR_IO, "tuning database: %s", *text ? text : "closed by an earlier error");
}
