/* Escapes text for XHTML. */
#include <stdarg.h>
#include <string.h>

#include "html.h"
#include "output.h"

/* What stands for a byte, or NULL when it stands for itself. */
static const char *escape_of(unsigned char c) {
  switch (c) {
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '&':
      return "&amp;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      /* XML 1.0 has no control characters but these, not even escaped. */
      return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f ? "\xef\xbf\xbd" : NULL;
  }
}

void html_text(FILE *out, const char *text) {
  json_t *valid = json_text(text); /* UTF-8 */
  const char *at = valid ? json_string_value(valid) : "";
  for (; *at; at++) {
    const char *escape = escape_of((unsigned char)*at);
    /* U+FFFE and U+FFFF are UTF-8, but no XML. */
    if (!strncmp(at, "\xef\xbf\xbe", 3) || !strncmp(at, "\xef\xbf\xbf", 3)) {
      escape = "\xef\xbf\xbd";
      at += 2;
    }
    if (escape)
      fputs(escape, out);
    else
      putc(*at, out);
  }
  json_decref(valid);
}

void html_format(FILE *out, const char *format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  html_text(out, text);
}
