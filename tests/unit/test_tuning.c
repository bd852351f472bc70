/* The tuning database: rows in and out, what replaces what, other software. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "tuning_fixture.h"

static void rows_come_back_from_the_file(void **state) {
  (void)state;
  tuning *t = open_stored();
  const tuning_key key = made_up_key("1.0");
  tuning_measurement m = ok_row("conv A", 1.25e-3, 1), found;
  m.created = 0;
  assert_int_equal(tuning_record(t, &key, &m), CLVGG_OK);
  assert_int_equal(tuning_record_peaks(t, &key, 340.5, 26.75), CLVGG_OK);
  tuning_plan p = {.network = "vgg16", .steps = "all of them", .ms = 46.9, .untuned_ms = 50, .logits_error = 1e-7};
  tuning_plan found_plan;
  assert_int_equal(tuning_record_plan(t, &key, &p), CLVGG_OK);
  tuning_close(&t);
  assert_null(t);

  t = open_stored();
  assert_true(find(t, &key, "conv A", &found));
  assert_true(found.seconds == 1.25e-3);
  assert_int_equal(found.runs, 5);
  assert_int_equal(found.session, 1);
  assert_int_equal(found.source, TUNING_MEASURED);
  assert_int_equal(found.state, TUNING_OK);
  assert_true(found.created > 1700000000);
  assert_false(found.other_software);
  assert_false(find(t, &key, "conv B", &found));
  bool have;
  tuning_device d;
  assert_int_equal(tuning_find_device(t, &key, &d, &have), CLVGG_OK);
  assert_true(have && d.peak_gflops == 340.5 && d.peak_gbytes_per_s == 26.75);
  assert_string_equal(d.key.driver, "1.0");
  assert_int_equal(tuning_find_plan(t, &key, "vgg16", &found_plan, &have), CLVGG_OK);
  assert_true(have && found_plan.ms == 46.9 && found_plan.logits_error == 1e-7);
  assert_string_equal(found_plan.steps, "all of them");
  tuning_close(&t);
  assert_int_equal(lines.count, 0);
}

static void the_users_file_is_private(void **state) {
  (void)state;
  char data[PATH_MAX + 32], file[PATH_MAX + 64];
  snprintf(data, sizeof data, "%s/data", folder);
  setenv("XDG_DATA_HOME", data, 1);
  tuning *t;
  assert_int_equal(tuning_open(NULL, &t), CLVGG_OK);
  assert_true(tuning_is_stored(t, NULL));
  tuning_close(&t);
  unsetenv("XDG_DATA_HOME");
  struct stat info;
  assert_int_equal(stat(data, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0700);
  snprintf(file, sizeof file, "%s/clvgg/tuning.sqlite", data);
  assert_true(file_exists(file));
  snprintf(file, sizeof file, "%s/clvgg", data);
  remove_folder(file);
  rmdir(data);
}

static void what_replaces_what(void **state) {
  (void)state;
  enum { KEEPS, REPLACES };
  const tuning_measurement ok = ok_row("p", 2e-3, 5), wrong = failed_row("p", TUNING_WRONG, "off by 1", 5);
  tuning_measurement imported = ok_row("p", 2e-3, 0), imported_crash = failed_row("p", TUNING_CRASH, "signal 11", 0);
  imported.source = imported_crash.source = TUNING_IMPORTED;
  tuning_measurement imported_faster = imported, imported_slower = imported;
  imported_faster.seconds = 1e-3;
  imported_slower.seconds = 3e-3;
  const struct {
    tuning_measurement first, second;
    int result;
  } rows[] = {
      {ok, ok_row("p", 1e-3, 5), REPLACES},                    /* the least of a session */
      {ok, ok_row("p", 3e-3, 5), KEEPS},                       /* */
      {ok, ok_row("p", 3e-3, 6), REPLACES},                    /* a new session starts anew */
      {ok, ok_row("p", 1e-3, 4), KEEPS},                       /* and an older one is late */
      {ok, wrong, REPLACES},                                   /* a failure replaces ok */
      {ok, failed_row("p", TUNING_HANG, "", 4), REPLACES},     /* of an older session, too */
      {wrong, ok, KEEPS},                                      /* and stays */
      {wrong, ok_row("p", 1e-3, 4), KEEPS},                    /* */
      {wrong, ok_row("p", 1e-3, 6), REPLACES},                 /* until another session tries again */
      {wrong, failed_row("p", TUNING_NAN, "later", 5), KEEPS}, /* the first reason counts */
      {imported, ok, REPLACES},                                /* what is measured here */
      {ok, imported_faster, KEEPS},                            /* is never replaced */
      {ok, imported_crash, KEEPS},                             /* */
      {wrong, imported, KEEPS},                                /* */
      {imported, imported, KEEPS},                             /* again: nothing changes */
      {imported, imported_faster, REPLACES},                   /* in any order */
      {imported, imported_slower, KEEPS},                      /* */
      {imported, imported_crash, REPLACES},                    /* */
      {imported_crash, imported_faster, KEEPS},
  };
  const tuning_key key = made_up_key("1.0");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tuning *t = open_memory();
    tuning_measurement first = rows[i].first, second = rows[i].second, found;
    first.created = 1;
    second.created = 2;
    assert_int_equal(tuning_record(t, &key, &first), CLVGG_OK);
    assert_int_equal(tuning_record(t, &key, &second), CLVGG_OK);
    assert_true(find(t, &key, "p", &found));
    if (found.created != (rows[i].result == REPLACES ? 2 : 1)) fail_msg("case %zu", i);
    tuning_close(&t);
  }
}

static void other_software_is_marked(void **state) {
  (void)state;
  tuning *t = open_memory();
  const tuning_key old = made_up_key("1.0"), new = made_up_key("2.0");
  tuning_key elsewhere = made_up_key("1.0"), kernels = made_up_key("2.0");
  strcpy(elsewhere.name, "another device");
  strcpy(kernels.kernels, "fedcba9876543210");
  tuning_measurement a = ok_row("a", 1e-3, 1), b = failed_row("b", TUNING_CRASH, "signal 11", 1), found;
  assert_int_equal(tuning_record(t, &old, &a), CLVGG_OK);
  assert_int_equal(tuning_record(t, &old, &b), CLVGG_OK);
  a.seconds = 9;
  assert_int_equal(tuning_record(t, &elsewhere, &a), CLVGG_OK);

  assert_true(find(t, &old, "a", &found) && !found.other_software);
  assert_true(find(t, &new, "a", &found) && found.other_software && found.seconds == 1e-3);
  assert_true(find(t, &kernels, "a", &found) && found.other_software);
  assert_true(find(t, &old, "b", &found) && found.state == TUNING_CRASH);
  assert_string_equal(found.reason, "signal 11");
  assert_false(find(t, &new, "b", &found)); /* a crash of another driver */
  assert_true(found.seconds == 0);

  /* Its own row goes first, in lists too. */
  a.seconds = 5e-3;
  a.created = 999; /* older than the other driver's row */
  assert_int_equal(tuning_record(t, &new, &a), CLVGG_OK);
  assert_true(find(t, &new, "a", &found) && !found.other_software && found.seconds == 5e-3);
  tuning_measurement *rows;
  size_t count;
  assert_int_equal(tuning_list(t, &new, &rows, &count), CLVGG_OK);
  assert_int_equal(count, 2);
  assert_true(!rows[0].other_software && rows[0].seconds == 5e-3);
  assert_true(rows[1].other_software && rows[1].seconds == 1e-3);
  free(rows);

  tuning_plan p = {.network = "n", .steps = "s", .ms = 1, .state = TUNING_ACCEPTED}, plan;
  bool have;
  assert_int_equal(tuning_record_plan(t, &old, &p), CLVGG_OK);
  assert_int_equal(tuning_find_plan(t, &new, "n", &plan, &have), CLVGG_OK);
  assert_true(have && plan.other_software);
  p.state = TUNING_REJECTED;
  strcpy(p.reason, "slower than untuned");
  assert_int_equal(tuning_record_plan(t, &old, &p), CLVGG_OK);
  assert_int_equal(tuning_find_plan(t, &new, "n", &plan, &have), CLVGG_OK);
  assert_false(have);
  assert_int_equal(tuning_find_plan(t, &old, "n", &plan, &have), CLVGG_OK);
  assert_true(have && plan.state == TUNING_REJECTED);
  assert_string_equal(plan.reason, "slower than untuned");
  tuning_close(&t);
}

static void fields_out_of_bounds_are_refused(void **state) {
  (void)state;
  tuning *t = open_memory();
  const tuning_key key = made_up_key("1.0"), nameless = {.vendor = "nobody"};
  const tuning_measurement good = ok_row("p", 1e-3, 1);
  tuning_measurement bad[] = {good, good, good, good, good, good, good};
  bad[0].seconds = -1;
  bad[1].seconds = 0;
  bad[2].seconds = 1.0 / 0.0;
  bad[3].seconds = 0.0 / 0.0;
  bad[4].problem[0] = '\0';
  bad[5].state = (tuning_state)99;
  bad[6].runs = -3;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (tuning_record(t, &key, &bad[i]) != CLVGG_ERROR_ARGUMENT) fail_msg("case %zu was recorded", i);
  assert_int_equal(tuning_record(t, &nameless, &good), CLVGG_ERROR_ARGUMENT);
  tuning_measurement *rows;
  size_t count;
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  assert_int_equal(count, 0);
  assert_null(rows);

  /* Texts are cleaned, and found again by what they were. */
  tuning_measurement odd = failed_row("line\nbreak", TUNING_ERROR, "bad \xff byte, \xc3\xa9, \xe2\x82", 1), found;
  odd.seconds = -0.0;
  assert_int_equal(tuning_record(t, &key, &odd), CLVGG_OK);
  assert_true(find(t, &key, "line\nbreak", &found));
  assert_string_equal(found.problem, "line?break");
  assert_string_equal(found.reason, "bad ? byte, \xc3\xa9, ??");
  /* Too long for a row: none has it. */
  char text[1000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';
  assert_false(find(t, &key, text, &found));
  /* A text without an end gets one. */
  odd = good;
  memset(odd.problem, 'y', sizeof odd.problem);
  assert_int_equal(tuning_record(t, &key, &odd), CLVGG_OK);
  tuning_close(&t);
}

static void sessions_count_up(void **state) {
  (void)state;
  tuning *t = open_stored();
  const tuning_key key = made_up_key("1.0");
  int64_t first, second, last;
  assert_int_equal(tuning_session_begin(t, &first), CLVGG_OK);
  assert_int_equal(first, 1);
  tuning_event e = {.network = "n", .session = first, .candidate = "c", .ms = 2, .best_ms = 50};
  assert_int_equal(tuning_record_event(t, &key, &e), CLVGG_OK);
  tuning_close(&t);
  t = open_stored();
  assert_int_equal(tuning_session_begin(t, &second), CLVGG_OK);
  assert_int_equal(second, 2);
  e.session = second;
  for (int i = 0; i < 3; i++) {
    e.number = i;
    e.seconds = i;
    assert_int_equal(tuning_record_event(t, &key, &e), CLVGG_OK);
  }
  tuning_event *events;
  size_t count;
  assert_int_equal(tuning_list_events(t, &key, "n", &events, &count), CLVGG_OK);
  assert_int_equal(count, 3); /* of the last session */
  for (int i = 0; i < 3; i++) assert_true(events[i].number == i && events[i].session == second);
  free(events);
  assert_int_equal(tuning_list_events(t, &key, "m", &events, &count), CLVGG_OK);
  assert_int_equal(count, 0);

  /* Events go with their sessions; the numbers go on. */
  for (int i = 0; i < TUNING_SESSIONS_KEPT; i++) assert_int_equal(tuning_session_begin(t, &last), CLVGG_OK);
  assert_int_equal(last, second + TUNING_SESSIONS_KEPT);
  assert_int_equal(tuning_list_events(t, &key, "n", &events, &count), CLVGG_OK);
  assert_int_equal(count, 0);
  /* So they do when only the rows know. */
  const tuning_measurement m = ok_row("p", 1e-3, 1000);
  assert_int_equal(tuning_record(t, &key, &m), CLVGG_OK);
  assert_int_equal(tuning_session_begin(t, &last), CLVGG_OK);
  assert_int_equal(last, 1001);
  tuning_close(&t);
}

static void clearing(void **state) {
  (void)state;
  tuning *t = open_memory();
  const tuning_key a = made_up_key("1.0"), b = made_up_key("2.0");
  const tuning_measurement m = ok_row("p", 1e-3, 1);
  tuning_measurement found;
  tuning_device *devices;
  size_t count;
  assert_int_equal(tuning_record(t, &a, &m), CLVGG_OK);
  assert_int_equal(tuning_record(t, &b, &m), CLVGG_OK);
  assert_int_equal(tuning_list_devices(t, &devices, &count), CLVGG_OK);
  assert_int_equal(count, 2);
  free(devices);
  assert_int_equal(tuning_clear(t, &a), CLVGG_OK);
  assert_true(find(t, &a, "p", &found) && found.other_software); /* b's */
  assert_int_equal(tuning_clear(t, NULL), CLVGG_OK);
  assert_false(find(t, &b, "p", &found));
  assert_int_equal(tuning_list_devices(t, &devices, &count), CLVGG_OK);
  assert_int_equal(count, 0);
  tuning_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(rows_come_back_from_the_file),
      TEST(the_users_file_is_private),
      TEST(what_replaces_what),
      TEST(other_software_is_marked),
      TEST(fields_out_of_bounds_are_refused),
      TEST(sessions_count_up),
      TEST(clearing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
