/* Messages: fields that a line cannot hold come through it all the same, and wrong lines are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "process/message.h"

static void test_fields(void **state) {
  (void)state;
  const char *const fields[] = {"", "a\tb\nc\\d", "gr\xC3\xB6\xC3\x9Fr", "\x1b[1m\xff\x7f\r", "\xF0\x9F\x8C\x8A", ""};
  enum { COUNT = sizeof fields / sizeof *fields };
  char line[MESSAGE_BYTES], *found[COUNT];
  size_t n = 0;
  assert_int_equal(message_join(fields, COUNT, line), CLVGG_OK);
  assert_string_equal(line, "\ta\\tb\\nc\\\\d\tgr\xC3\xB6\xC3\x9Fr\t\\x1b[1m\\xff\\x7f\\x0d\t\xF0\x9F\x8C\x8A\t");
  assert_true(message_valid(line, strlen(line)));
  assert_int_equal(message_split(line, found, COUNT, &n), CLVGG_OK);
  assert_int_equal(n, COUNT);
  for (size_t i = 0; i < n; i++) assert_string_equal(found[i], fields[i]);

  static const char *const wrong[] = {"\\", "a\\q", "\\x", "\\x1", "\\x1g", "\\x00", "1\t2\t3\t4\t5\t6\t7"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    snprintf(line, sizeof line, "%s", wrong[i]);
    assert_int_equal(message_split(line, found, COUNT, &n), CLVGG_ERROR_FORMAT);
  }
  /* Overlong, surrogate, above the last character, cut, alone. */
  static const char *const invalid[] = {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80",
                                        "\n",       "\x01"};
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
    assert_false(message_valid(invalid[i], strlen(invalid[i])));
}

/* The longest line that fits, and each that is longer, with one and with two fields. */
static void test_long_fields(void **state) {
  (void)state;
  static char text[MESSAGE_BYTES + 8], line[MESSAGE_BYTES];
  char *found[2];
  size_t n = 0;
  for (size_t length = MESSAGE_BYTES - 6; length < MESSAGE_BYTES + 4; length++) {
    memset(text, 'x', length);
    text[length] = '\0';
    const char *const fields[] = {text, ""};
    for (size_t count = 1; count <= 2; count++) {
      const bool fits = length + count - 1 < MESSAGE_BYTES;
      assert_int_equal(message_join(fields, count, line), fits ? CLVGG_OK : CLVGG_ERROR_TOO_LARGE);
      if (!fits) continue;
      assert_int_equal(strlen(line), length + count - 1);
      assert_int_equal(message_split(line, found, 2, &n), CLVGG_OK);
      assert_int_equal(n, count);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fields),
      cmocka_unit_test(test_long_fields),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
