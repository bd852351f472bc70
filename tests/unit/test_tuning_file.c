/* The tuning database's file: of a future version, another program's, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "tuning_fixture.h"

/* Changes a database as nobody should. */
static void run_sql(const char *sql) {
  sqlite3 *db;
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void fill(void) {
  tuning *t = open_stored();
  const tuning_key key = made_up_key("1.0");
  for (int i = 0; i < 20; i++) {
    char problem[32];
    snprintf(problem, sizeof problem, "problem %d", i);
    const tuning_measurement m = ok_row(problem, 1e-3 * (i + 1), 1);
    assert_int_equal(tuning_record(t, &key, &m), CLVGG_OK);
  }
  tuning_close(&t);
}

static void a_future_version_is_left_as_it_is(void **state) {
  (void)state;
  fill();
  run_sql("PRAGMA user_version = 196605"); /* 2 << 16 | (~2 & 0xffff) */
  file_map before, after;
  assert_int_equal(file_map_open(path, &before), CLVGG_OK);
  unsigned char *copy = malloc(before.bytes);
  const size_t bytes = before.bytes;
  assert_non_null(copy);
  memcpy(copy, before.data, bytes);
  file_map_close(&before);

  tuning *t;
  const char *why;
  const tuning_key key = made_up_key("1.0");
  const tuning_measurement m = ok_row("p", 1e-3, 1);
  tuning_measurement found;
  assert_int_equal(tuning_open(path, &t), CLVGG_OK);
  assert_false(tuning_is_stored(t, &why));
  assert_non_null(strstr(why, "newer version"));
  assert_false(find(t, &key, "problem 3", &found));
  assert_int_equal(tuning_record(t, &key, &m), CLVGG_OK);
  assert_true(find(t, &key, "p", &found));
  tuning_close(&t);
  assert_int_equal(lines.count, 1);
  assert_non_null(strstr(lines.last, "newer version"));

  assert_int_equal(file_map_open(path, &after), CLVGG_OK);
  assert_int_equal(after.bytes, bytes);
  assert_memory_equal(after.data, copy, bytes);
  file_map_close(&after);
  free(copy);
}

static void another_programs_file_is_left_as_it_is(void **state) {
  (void)state;
  run_sql("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
  tuning *t;
  assert_int_equal(tuning_open(path, &t), CLVGG_OK);
  assert_false(tuning_is_stored(t, NULL));
  tuning_close(&t);
  run_sql("INSERT INTO theirs VALUES(2)");
  assert_int_equal(lines.count, 1);
}

/* sql: what is done to the file; NULL: it becomes a text. */
static void damage(const char *sql, int rows_left) {
  char kept[PATH_MAX + 64];
  snprintf(kept, sizeof kept, "%s.damaged", path);
  unlink(path);
  unlink(kept);
  lines = (log_lines){0};
  fill();
  if (sql)
    run_sql(sql);
  else
    make_file("tuning.sqlite", "no database");
  tuning *t;
  const tuning_key key = made_up_key("1.0");
  assert_int_equal(tuning_open(path, &t), CLVGG_OK);
  tuning_measurement *rows;
  size_t count;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  assert_int_equal(count, rows_left);
  for (size_t i = 0; i < count; i++) {
    int number;
    assert_int_equal(sscanf(rows[i].problem, "problem %d", &number), 1);
    assert_true(rows[i].seconds == 1e-3 * (number + 1));
  }
  free(rows);
  assert_true(tuning_is_stored(t, NULL));
  const tuning_measurement m = ok_row("new", 1e-3, 2);
  assert_int_equal(tuning_record(t, &key, &m), CLVGG_OK);
  tuning_close(&t);
  assert_true(file_exists(kept));
  assert_int_equal(lines.count, 1);
  t = open_stored();
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  assert_int_equal(count, rows_left + 1);
  free(rows);
  tuning_close(&t);
  assert_int_equal(lines.count, 1);
}

static void damaged_files_are_replaced(void **state) {
  (void)state;
  damage(NULL, 0);
  /* Values that SQLite takes for sound. */
  damage("UPDATE measurement SET seconds = 1e-9 WHERE problem = 'problem 7'", 19);
  damage("UPDATE measurement SET problem = 'problem 99' WHERE problem = 'problem 7'", 19);
  damage("UPDATE measurement SET state = 'fine' WHERE problem = 'problem 7'", 19);
  damage("UPDATE measurement SET algorithm = 3 WHERE problem = 'problem 7'", 19);
  /* Other schemas. */
  damage("DROP TABLE measurement", 0);
  damage("ALTER TABLE measurement RENAME COLUMN seconds TO minutes", 0);
  damage("DROP TABLE history", 20);
  damage("PRAGMA user_version = 65537", 20);
  damage("PRAGMA application_id = 1", 20);
}

static void damage_is_left_while_others_have_the_file(void **state) {
  (void)state;
  fill();
  run_sql("UPDATE measurement SET seconds = 1e-9 WHERE problem = 'problem 7'");
  tuning *other = open_stored(), *t = open_stored();
  const tuning_key key = made_up_key("1.0");
  tuning_measurement *rows;
  size_t count;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK); /* waits in vain */
  assert_int_equal(count, 19);
  free(rows);
  assert_false(tuning_is_stored(t, NULL));
  tuning_close(&t);
  assert_true(tuning_is_stored(other, NULL));
  assert_int_equal(tuning_list(other, &key, &rows, &count), CLVGG_OK); /* now it is alone */
  assert_int_equal(count, 19);
  free(rows);
  assert_true(tuning_is_stored(other, NULL));
  tuning_close(&other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_future_version_is_left_as_it_is),
      TEST(another_programs_file_is_left_as_it_is),
      TEST(damaged_files_are_replaced),
      TEST(damage_is_left_while_others_have_the_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
