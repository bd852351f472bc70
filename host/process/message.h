/* Messages between a process and its workers: lines of UTF-8, and the tab-separated fields that a line consists of. */
#ifndef CLVGG_PROCESS_MESSAGE_H
#define CLVGG_PROCESS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { MESSAGE_BYTES = 8192 }; /* the longest message, with its newline or final zero */

/* The length of the UTF-8 character that text begins with, of at most bytes bytes; 0 when it is none. */
size_t message_character(const char *text, size_t bytes);

/* Whether bytes bytes of text can be sent: UTF-8 without control characters, but for tabs; newline not counted. */
bool message_valid(const char *text, size_t bytes);

/* Fields, any strings, to a line. What a line cannot hold (tabs, control characters, bytes that are not UTF-8) is escaped, as
 * is the backslash. CLVGG_ERROR_TOO_LARGE when they do not fit. */
clvgg_status message_join(const char *const *fields, size_t count, char line[MESSAGE_BYTES]);

/* The fields of a line, which is changed: they point into it. CLVGG_ERROR_FORMAT for a wrong escape or more than most
 * fields; *count is at least 1. */
clvgg_status message_split(char *line, char **fields, size_t most, size_t *count);

/* Bytes as they arrive, to lines. Begins as zeros. */
typedef struct message_buffer {
  size_t begin, end; /* what was received and not yet taken */
  char bytes[MESSAGE_BYTES];
} message_buffer;

typedef enum message_found {
  MESSAGE_NONE, /* no whole line yet */
  MESSAGE_LINE,
  MESSAGE_BAD /* too long, or not a message */
} message_found;

/* Where to put what is read, and how much; never 0 after message_take has found none. */
char *message_room(message_buffer *buffer, size_t *bytes);

/* Takes the next line out, without its newline. */
message_found message_take(message_buffer *buffer, char line[MESSAGE_BYTES]);

#endif
