/* Runs the program for the fault tests, at once or beside the test. */
#include "fault/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_WORDS 24
/* How far a probability may be away: the order of f32 sums differs between plans. */
#define TOLERANCE 1e-4
#define MOST_TEXT ((size_t)1 << 20)

char database[4096];
static json_t *right; /* untuned */

int set_up_program(void **state) {
  char path[4096];
  if (set_up(state)) return -1;
  make_path(path, "cache");
  setenv("XDG_CACHE_HOME", path, 1);
  make_path(database, "clvgg/" TUNING_FILE);
  setenv("CLVGG_TUNING", "off", 1);
  run(CLASSIFY, image);
  expect_code(0);
  unsetenv("CLVGG_TUNING");
  right = parse();
  return 0;
}

static bool same_top(const json_t *a, const json_t *b) {
  if (!json_is_array(a) || json_array_size(a) != json_array_size(b) || json_array_size(a) == 0) return false;
  for (size_t i = 0; i < json_array_size(a); i++) {
    const json_t *x = json_array_get(a, i), *y = json_array_get(b, i);
    const double difference =
        json_number_value(json_object_get(x, "probability")) - json_number_value(json_object_get(y, "probability"));
    if (!json_equal(json_object_get(x, "index"), json_object_get(y, "index")) || !(fabs(difference) <= TOLERANCE))
      return false;
  }
  return true;
}

bool is_right_answer(const char *json) {
  json_t *found = json_loads(json, 0, NULL);
  const bool same = json_array_size(found) == 1 && same_top(json_object_get(json_array_get(found, 0), "top"),
                                                            json_object_get(json_array_get(right, 0), "top"));
  json_decref(found);
  return same;
}

void expect_right_answer(void) {
  run(CLASSIFY, image);
  expect_code(0);
  if (!is_right_answer(last.out)) fail_msg("another answer than without tuning: %s\n%s", last.out, last.err);
}

tuning *open_database(void) {
  tuning *t = NULL;
  const char *why = "";
  assert_int_equal(tuning_open(database, &t), CLVGG_OK);
  if (!tuning_is_stored(t, &why)) fail_msg("not stored: %s", why);
  return t;
}

tuning_key only_key(tuning *t) {
  tuning_device *devices = NULL;
  size_t count = 0;
  assert_int_equal(tuning_list_devices(t, &devices, &count), CLVGG_OK);
  assert_int_equal(count, 1);
  const tuning_key key = devices[0].key;
  free(devices);
  return key;
}

/* ---- beside the test */

void sleep_ms(unsigned ms) {
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0) {
  }
}

static int open_output(const char *name, const char *suffix) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
  return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* The program and the words of a line, which holds them; words has room for MOST_WORDS + 2. */
static void make_words(char *line, size_t bytes, char **words, const char *format, va_list list) {
  char *rest = NULL;
  size_t count = 0;
  vsnprintf(line, bytes, format, list);
  words[count++] = getenv("CLVGG_CLI");
  for (char *word = strtok_r(line, " ", &rest); word && count <= MOST_WORDS; word = strtok_r(NULL, " ", &rest))
    words[count++] = word;
  words[count] = NULL;
}

pid_t start(const char *name, const char *setting, const char *format, ...) {
  char line[8192], *words[MOST_WORDS + 2];
  va_list list;
  va_start(list, format);
  make_words(line, sizeof line, words, format, list);
  va_end(list);
  const int out = open_output(name, "out"), err = open_output(name, "err");
  assert_true(out >= 0 && err >= 0);
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    setpgid(0, 0);
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (setting) putenv((char *)setting);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
      _exit(127);
    execv(words[0], words);
    _exit(127);
  }
  close(out);
  close(err);
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  for (unsigned ms = 0; waitpid(pid, &status, WNOHANG) == 0; ms += 5) {
    if (ms > run_seconds * 1000) {
      kill(-pid, SIGKILL);
      waitpid(pid, &status, 0);
      fail_msg("no end after %u s", run_seconds);
    }
    sleep_ms(5);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *written(const char *name, const char *suffix) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s.%s", folder, name, suffix);
  char *text = malloc(MOST_TEXT);
  assert_non_null(text);
  text[read_file(path, (unsigned char *)text, MOST_TEXT - 1)] = '\0';
  return text;
}

/* Whether one of the strings, each ended by 0, is the wanted one. */
static bool has_string(const char *strings, size_t bytes, const char *wanted) {
  for (size_t at = 0; at < bytes; at += strlen(strings + at) + 1)
    if (strcmp(strings + at, wanted) == 0) return true;
  return false;
}

int count_with(const char *setting) {
  static char strings[1 << 17];
  int count = 0;
  DIR *dir = opendir("/proc");
  assert_non_null(dir);
  for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) {
    char path[300];
    if (!isdigit((unsigned char)e->d_name[0]) || atol(e->d_name) == (long)getpid()) continue;
    snprintf(path, sizeof path, "/proc/%s/environ", e->d_name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    const ssize_t bytes = read(fd, strings, sizeof strings - 1); /* nothing of a zombie */
    close(fd);
    if (bytes <= 0) continue;
    strings[bytes] = '\0';
    count += has_string(strings, (size_t)bytes, setting);
  }
  closedir(dir);
  return count;
}
