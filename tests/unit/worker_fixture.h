/* What the tests of worker processes share: starting planted workers, what they are expected to say, and that nothing is left. After
 * cmocka.h. */
#ifndef CLVGG_TESTS_WORKER_FIXTURE_H
#define CLVGG_TESTS_WORKER_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/worker.h"
#include "process/worker_side.h"
#include "unit/planted_worker.h"

enum {
  LONG_MS = 60000, /* for what has to come: nothing is measured here, and the machine may be busy */
  SHORT_MS = 300   /* for what never comes */
};

static inline worker *start(const char *mode) {
  const char *const argv[] = {"/proc/self/exe", "--worker", mode, NULL};
  worker *w = NULL;
  if (worker_start(argv, NULL, &w) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  return w;
}

static inline void expect(worker *w, int timeout_ms, worker_outcome outcome) {
  char line[MESSAGE_BYTES] = "";
  const worker_outcome found = worker_receive(w, timeout_ms, line);
  if (found != outcome) fail_msg("outcome %d, expected %d: %s (%.200s)", found, outcome, clvgg_last_error(), line);
}

static inline void expect_line(worker *w, const char *text) {
  char line[MESSAGE_BYTES] = "";
  const worker_outcome found = worker_receive(w, LONG_MS, line);
  if (found != WORKER_OK) fail_msg("outcome %d: %s", found, clvgg_last_error());
  assert_string_equal(line, text);
}

static inline void send_line(worker *w, const char *text) {
  assert_int_equal(worker_send(w, LONG_MS, text), WORKER_OK);
}

/* The process numbers that it sends. */
static inline void receive_numbers(worker *w, long *numbers, size_t count) {
  char line[MESSAGE_BYTES], *fields[8];
  size_t n = 0;
  assert_int_equal(worker_receive(w, LONG_MS, line), WORKER_OK);
  assert_int_equal(message_split(line, fields, 8, &n), CLVGG_OK);
  assert_int_equal(n, count);
  for (size_t i = 0; i < n; i++) numbers[i] = strtol(fields[i], NULL, 10);
}

/* Zombies count as gone: of grandchildren they are for the system to reap. */
static inline bool is_gone(long pid) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *f = fopen(path, "r");
  if (f == NULL) return true;
  const size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  const char *state = n == 0 ? NULL : strrchr(text, ')');
  return state == NULL || state[2] == 'Z' || state[2] == 'X';
}

static inline void expect_gone(long pid) {
  assert_true(pid > 1);
  for (int i = 0; i < 3000 && !is_gone(pid); i++) usleep(10000);
  if (!is_gone(pid)) {
    kill((pid_t)pid, SIGKILL);
    fail_msg("process %ld is still there", pid);
  }
}

static inline void expect_ending(worker *w, int signal_number, int status, const char *described) {
  worker_ending ending;
  char text[128];
  worker_get_ending(w, &ending);
  assert_true(ending.ended && ending.known);
  assert_int_equal(ending.signal, signal_number);
  assert_int_equal(ending.status, status);
  worker_describe(&ending, text, sizeof text);
  assert_string_equal(text, described);
  assert_non_null(strstr(clvgg_last_error(), described));
}

static inline int count_descriptors(void) {
  int n = 0;
  DIR *folder = opendir("/proc/self/fd");
  assert_non_null(folder);
  while (readdir(folder) != NULL) n++;
  closedir(folder);
  return n;
}

/* Around each test: no descriptor and no child, zombie or not, is left. */
static int descriptors_before;

static inline int before(void **state) {
  (void)state;
  descriptors_before = count_descriptors();
  return 0;
}

static inline int after(void **state) {
  (void)state;
  siginfo_t info;
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD) {
    print_error("a child process is left\n");
    return 1;
  }
  if (count_descriptors() != descriptors_before) {
    print_error("descriptors: %d before, %d now\n", descriptors_before, count_descriptors());
    return 1;
  }
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

#endif
