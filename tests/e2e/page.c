/* Looks at pages of XHTML. */
#include "e2e/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "e2e/cli.h"

char *page_read(const char *path) {
  static unsigned char page[4 << 20];
  const size_t bytes = read_file(path, page, sizeof page - 1);
  assert_true(bytes > 0 && bytes < sizeof page - 1);
  page[bytes] = 0;
  return (char *)page;
}

void page_expect(const char *page, const char *part) {
  if (!strstr(page, part)) fail_msg("the page lacks '%s'", part);
}

void page_expect_none(const char *page, const char *part) {
  const char *at = strstr(page, part);
  if (at) fail_msg("the page has '%s': %.80s", part, at);
}

/* Behind a tag that begins at '<': its attributes are quoted, and values hold no '<'. */
static const char *skip_tag(const char *at) {
  const char *begin = at;
  for (at++; *at != '>'; at++) {
    if (*at == '<' || !*at) fail_msg("no end of the tag %.60s", begin);
    if (*at != '=') continue;
    if (at[1] != '"') fail_msg("a value without quotes: %.60s", begin);
    at += 2;
    at += strcspn(at, "\"<");
    if (*at != '"') fail_msg("a value without end: %.60s", begin);
  }
  return at + 1;
}

static void check_entity(const char *at) {
  static const char *const known[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
  size_t i = 0;
  while (i < sizeof known / sizeof *known && strncmp(at, known[i], strlen(known[i])) != 0) i++;
  if (i == sizeof known / sizeof *known) fail_msg("a bare ampersand: %.40s", at);
}

/* Every element ends where it must, as XML wants it. */
static void check_well_formed(const char *page) {
  const char *open[64];
  size_t depth = 0, elements = 0;
  assert_memory_equal(page, "<!DOCTYPE html>\n", 16);
  for (const char *at = page + 16; *at;) {
    if (*at == '&') check_entity(at);
    if (*at != '<') {
      if (depth == 0 && !isspace((unsigned char)*at)) fail_msg("text outside of everything: %.40s", at);
      at++;
      continue;
    }
    const char *name = at + 1 + (at[1] == '/');
    const size_t length = strcspn(name, " />");
    const char *end = skip_tag(at);
    if (at[1] == '/') {
      if (depth == 0 || strcspn(open[depth - 1], " />") != length || strncmp(open[depth - 1], name, length) != 0)
        fail_msg("%.30s does not end what is open", at);
      depth--;
    } else {
      elements++;
      if (end[-2] != '/') open[depth++] = name;
    }
    assert_true(depth < 64);
    at = end;
  }
  assert_int_equal(depth, 0);
  assert_true(elements > 100);
}

/* A strict reader's opinion, where there is one. */
static void check_by_reader(const char *path) {
  char *argv[] = {"python3", "-c", "import sys, xml.etree.ElementTree as t; t.parse(sys.argv[1])", (char *)path, NULL};
  char *probe[] = {"python3", "-c", "import xml.etree.ElementTree", NULL};
  command_result result = {0};
  const int there = command_run(probe, NULL, 60, &result) == 0 && result.code == 0;
  command_free(&result);
  if (!there) return;
  assert_int_equal(command_run(argv, NULL, 60, &result), 0);
  if (result.code) fail_msg("no XML: %s", result.err);
  command_free(&result);
}

void page_check(const char *path) {
  check_well_formed(page_read(path));
  check_by_reader(path);
}
