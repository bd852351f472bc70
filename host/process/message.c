/* Lines of UTF-8 and their fields: checks, escapes, and the buffer that bytes become lines in. */
#include "process/message.h"

#include <string.h>

/* Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t message_character(const char *text, size_t bytes) {
  static const struct {
    unsigned char first_low, first_high, second_low, second_high;
    size_t length;
  } forms[] = {
      {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
      {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
      {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
  };
  const unsigned char *p = (const unsigned char *)text;
  if (bytes == 0) return 0;
  if (p[0] < 0x80) return 1;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (p[0] < forms[i].first_low || p[0] > forms[i].first_high) continue;
    if (bytes < forms[i].length || p[1] < forms[i].second_low || p[1] > forms[i].second_high) return 0;
    for (size_t k = 2; k < forms[i].length; k++)
      if ((p[k] & 0xC0) != 0x80) return 0;
    return forms[i].length;
  }
  return 0;
}

static bool is_control(char c) {
  return (unsigned char)c < 0x20 || c == 0x7F;
}

bool message_valid(const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes;) {
    const size_t length = message_character(text + i, bytes - i);
    if (length == 0 || (is_control(text[i]) && text[i] != '\t')) return false;
    i += length;
  }
  return true;
}

/* The letter of a character's short escape, or 0. */
static char short_escape(char c) {
  switch (c) {
    case '\t':
      return 't';
    case '\n':
      return 'n';
    case '\\':
      return '\\';
    default:
      return 0;
  }
}

static const char digits[] = "0123456789abcdef";

/* The next character of a field in its form for a line, with how many bytes of the field that is in *taken. */
static size_t escape(const char *field, size_t bytes, char form[4], size_t *taken) {
  const char letter = short_escape(field[0]);
  const size_t length = message_character(field, bytes);
  *taken = 1;
  form[0] = '\\';
  if (letter != 0) {
    form[1] = letter;
    return 2;
  }
  if (length == 0 || is_control(field[0])) {
    form[1] = 'x';
    form[2] = digits[(unsigned char)field[0] >> 4];
    form[3] = digits[(unsigned char)field[0] & 15];
    return 4;
  }
  memcpy(form, field, length);
  *taken = length;
  return length;
}

clvgg_status message_join(const char *const *fields, size_t count, char line[MESSAGE_BYTES]) {
  size_t used = 0;
  for (size_t f = 0; f < count; f++) {
    const size_t bytes = strlen(fields[f]);
    for (size_t i = 0, taken = 0; i < bytes; i += taken) {
      char form[4];
      const size_t length = escape(fields[f] + i, bytes - i, form, &taken);
      if (length > MESSAGE_BYTES - 1 - used) /* 1: the newline, or a zero in its place */
        return base_fail(CLVGG_ERROR_TOO_LARGE, "a message to another process: field %zu does not fit in %d bytes",
                         f + 1, MESSAGE_BYTES);
      memcpy(line + used, form, length);
      used += length;
    }
    if (f + 1 < count) {
      if (used == MESSAGE_BYTES - 1)
        return base_fail(CLVGG_ERROR_TOO_LARGE, "a message to another process: more than %d bytes", MESSAGE_BYTES);
      line[used++] = '\t';
    }
  }
  line[used] = '\0';
  return CLVGG_OK;
}

static int hex(char c) {
  const char *digit = c == '\0' ? NULL : strchr(digits, c);
  return digit == NULL ? -1 : (int)(digit - digits);
}

/* The character that an escape (the text after a backslash) stands for, and its length in *length; 0 for a wrong one. */
static char unescape(const char *text, size_t *length) {
  *length = 1;
  switch (text[0]) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case '\\':
      return '\\';
    case 'x': {
      const int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
      *length = 3;
      return (char)(low < 0 ? 0 : high * 16 + low);
    }
    default:
      return 0;
  }
}

clvgg_status message_split(char *line, char **fields, size_t most, size_t *count) {
  char *to = line;
  *count = 0;
  for (const char *from = line;;) {
    if (*count == most)
      return base_fail(CLVGG_ERROR_FORMAT, "a message of another process: more than %zu fields", most);
    fields[(*count)++] = to;
    while (*from != '\t' && *from != '\0') {
      if (*from != '\\') {
        *to++ = *from++;
        continue;
      }
      size_t length = 0;
      const char c = unescape(from + 1, &length);
      if (c == '\0')
        return base_fail(CLVGG_ERROR_FORMAT, "a message of another process: wrong escape in field %zu", *count);
      *to++ = c;
      from += 1 + length;
    }
    const bool last = *from++ == '\0';
    *to++ = '\0'; /* never ahead of from: an escape is longer than what it stands for */
    if (last) return CLVGG_OK;
  }
}

char *message_room(message_buffer *buffer, size_t *bytes) {
  if (buffer->begin > 0) {
    memmove(buffer->bytes, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
    buffer->end -= buffer->begin;
    buffer->begin = 0;
  }
  *bytes = sizeof buffer->bytes - buffer->end;
  return buffer->bytes + buffer->end;
}

message_found message_take(message_buffer *buffer, char line[MESSAGE_BYTES]) {
  const char *text = buffer->bytes + buffer->begin;
  const size_t bytes = buffer->end - buffer->begin;
  const char *newline = bytes == 0 ? NULL : memchr(text, '\n', bytes);
  if (newline == NULL) return bytes < MESSAGE_BYTES ? MESSAGE_NONE : MESSAGE_BAD;
  const size_t length = (size_t)(newline - text);
  if (!message_valid(text, length)) return MESSAGE_BAD;
  memcpy(line, text, length);
  line[length] = '\0';
  buffer->begin += length + 1;
  return MESSAGE_LINE;
}
