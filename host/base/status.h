/* The error text behind clvgg_last_error(), and the macros that pass a status on. */
#ifndef CLVGG_BASE_STATUS_H
#define CLVGG_BASE_STATUS_H

#include "clvgg/clvgg.h"

#if defined(__GNUC__)
#define BASE_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define BASE_PRINTF(text, first)
#endif

/* Sets this thread's error text (control characters become '?') and returns status. */
clvgg_status base_fail(clvgg_status status, const char *text, ...) BASE_PRINTF(2, 3);

/* Puts "context: " before this thread's error text and returns status: for a caller that knows the file's name. */
clvgg_status base_fail_in(clvgg_status status, const char *text, ...) BASE_PRINTF(2, 3);

/* The same calls, but the compiler sees that what they return is the status that they were given, and so knows that an error
 * is not CLVGG_OK. */
#define base_fail(status, ...)    (base_fail(status, __VA_ARGS__), (status))
#define base_fail_in(status, ...) (base_fail_in(status, __VA_ARGS__), (status))

/* One line to the log function that the application set, if any. */
void base_log(const char *format, ...) BASE_PRINTF(1, 2);

/* Passes a failure of expression on to the caller. */
#define TRY(expression)                              \
  do {                                               \
    const clvgg_status try_status_ = (expression);   \
    if (try_status_ != CLVGG_OK) return try_status_; \
  } while (0)

#endif
