/* The program's pipeline of images over devices that are made up here: slow ones, and ones that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "predict.h"

#define CLASSES 2
#define MOST    200

/* ---- in place of the library: an image's path is its number, which is its pixels, and which the engines answer */

struct clvgg_engine {
  int number;
  long run_us;
  int fails_at; /* the run that fails, from 1 on; 0: none */
  int runs;
};

static _Thread_local const char *last_error = "";

const char *clvgg_last_error(void) {
  return last_error;
}

clvgg_status clvgg_image_load_rgb8(const char *path, const clvgg_preprocess *preprocess, uint8_t *out) {
  (void)preprocess;
  memset(out, atoi(path), 3);
  last_error = "not an image";
  return atoi(path) % 7 == 5 ? CLVGG_ERROR_FORMAT : CLVGG_OK;
}

static void wait_us(long us) {
  const struct timespec time = {0, us * 1000};
  nanosleep(&time, NULL);
}

clvgg_status clvgg_engine_run_rgb8(clvgg_engine *engine, const uint8_t *images, size_t n, float *logits) {
  if (engine->run_us > 0) wait_us(engine->run_us);
  last_error = "planted";
  if (++engine->runs == engine->fails_at) return CLVGG_ERROR_DEVICE;
  for (size_t i = 0; i < n; i++) {
    logits[i * CLASSES] = images[i * 3];
    logits[i * CLASSES + 1] = (float)engine->number;
  }
  return CLVGG_OK;
}

/* ---- in place of common.c */

static char said[4096]; /* what cli_error was given */

void cli_error(const char *format, ...) {
  va_list list;
  va_start(list, format);
  const size_t used = strlen(said);
  vsnprintf(said + used, sizeof said - used, format, list);
  va_end(list);
}

void *cli_alloc(size_t count, size_t bytes) {
  void *memory = calloc(count ? count : 1, bytes);
  assert_non_null(memory);
  return memory;
}

char *cli_copy(const char *text) {
  char *copy = strdup(text);
  assert_non_null(copy);
  return copy;
}

double cli_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- a run of it */

static struct run {
  predictor p;
  predictor_device devices[3];
  clvgg_engine engines[3];
  size_t answers, unreadable, stop_at; /* stop_at: 0: never */
} r;

static int take(size_t index, int more, const char *error, const float *logits, void *user) {
  assert_ptr_equal(user, &r);
  assert_int_equal(index, r.answers);
  r.answers++;
  assert_true(more || r.answers % r.p.batch == 0 || index + 1 == MOST);
  if (index % 7 == 5) {
    assert_string_equal(error, "not an image");
    assert_null(logits);
    r.unreadable++;
  } else {
    assert_null(error);
    assert_true(logits[0] == (float)index);
  }
  return r.stop_at && r.answers == r.stop_at;
}

static void set_up(size_t devices, size_t batch) {
  memset(&r, 0, sizeof r);
  said[0] = '\0';
  r.p = (predictor){.devices = r.devices, .device_count = devices, .batch = batch, .threads = 3};
  r.p.model_info.classes = CLASSES;
  r.p.preprocess = (clvgg_preprocess){.width = 1, .height = 1};
  for (int i = 0; i < 3; i++) {
    r.engines[i] = (clvgg_engine){.number = i};
    r.devices[i].engine = &r.engines[i];
    snprintf(r.devices[i].info.id, sizeof r.devices[i].info.id, "%d:0", i);
  }
}

static int predict_all(void) {
  static char text[MOST][8];
  static char *paths[MOST];
  for (size_t i = 0; i < MOST; i++) {
    snprintf(text[i], sizeof text[i], "%zu", i);
    paths[i] = text[i];
  }
  const int code = predict(&r.p, paths, NULL, MOST, take, &r);
  for (size_t i = 0; i < r.p.device_count; i++) free(r.devices[i].error);
  return code;
}

static size_t answered_by_devices(void) {
  size_t sum = 0;
  for (size_t i = 0; i < r.p.device_count; i++) sum += r.devices[i].images;
  return sum;
}

static void expect_all_answered(int code) {
  assert_int_equal(code, CLI_DONE);
  assert_int_equal(r.answers, MOST);
  assert_int_equal(answered_by_devices() + r.unreadable, MOST);
}

static void answers_come_in_order(void **state) {
  (void)state;
  for (size_t devices = 1; devices <= 3; devices++)
    for (size_t batch = 1; batch <= 256; batch = batch * 3 + 1) {
      set_up(devices, batch);
      r.engines[0].run_us = 300;
      expect_all_answered(predict_all());
      assert_int_equal(r.p.lost, 0);
      assert_string_equal(said, "");
    }
}

/* While one device is at its first batch the other does the rest, however many they are. */
static void a_slow_device_holds_up_no_other(void **state) {
  (void)state;
  set_up(2, 4);
  r.engines[0].run_us = 400000;
  r.engines[1].run_us = 100;
  expect_all_answered(predict_all());
  assert_in_range(r.engines[0].runs, 0, 1);
}

static void images_of_a_failed_device_go_to_others(void **state) {
  (void)state;
  for (int at = 1; at <= 4; at++) {
    set_up(3, 8);
    r.engines[1].fails_at = at;
    r.engines[0].run_us = r.engines[1].run_us = r.engines[2].run_us = 2000;
    expect_all_answered(predict_all());
    if (r.engines[1].runs < at) continue; /* the others were faster */
    assert_int_equal(r.engines[1].runs, at);
    assert_int_equal(r.p.lost, 1);
    assert_non_null(strstr(said, "device 1:0 failed after"));
    assert_non_null(strstr(said, "planted"));
  }
}

static void without_devices_there_are_no_answers(void **state) {
  (void)state;
  for (size_t devices = 1; devices <= 3; devices++) {
    set_up(devices, 8);
    for (size_t i = 0; i < devices; i++) r.engines[i].fails_at = 3;
    assert_int_equal(predict_all(), CLI_FAILED);
    assert_int_equal(r.p.lost, devices);
    assert_true(r.answers <= devices * 2 * 8 && r.answers % 8 == 0);
    if (devices == 1) assert_string_equal(said, "planted");
  }
}

static void the_caller_can_stop(void **state) {
  (void)state;
  set_up(2, 8);
  r.stop_at = 11;
  assert_int_equal(predict_all(), CLI_FAILED);
  assert_int_equal(r.answers, 11);
  assert_int_equal(r.p.lost, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers_come_in_order),
      cmocka_unit_test(a_slow_device_holds_up_no_other),
      cmocka_unit_test(images_of_a_failed_device_go_to_others),
      cmocka_unit_test(without_devices_there_are_no_answers),
      cmocka_unit_test(the_caller_can_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
