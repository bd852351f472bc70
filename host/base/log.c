/* The application's log function, and the lines that go to it. */
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static clvgg_log_fn log_function; /* both under log_lock */
static void *log_user;

/* This thread is inside the application's function, and so holds the lock. */
static _Thread_local bool in_log_function;

void clvgg_set_log(clvgg_log_fn fn, void *user) {
  if (!in_log_function) pthread_mutex_lock(&log_lock);
  log_function = fn;
  log_user = user;
  if (!in_log_function) pthread_mutex_unlock(&log_lock);
}

void base_log(const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  const int written = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (written < 0 || in_log_function) return; /* a log function that makes the library log would never end */
  for (char *p = line; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = ' ';

  /* Called under the lock: lines of several threads do not overlap, and none arrives after clvgg_set_log(NULL). */
  pthread_mutex_lock(&log_lock);
  in_log_function = true;
  if (log_function != NULL) log_function(line, log_user);
  in_log_function = false;
  pthread_mutex_unlock(&log_lock);
}
