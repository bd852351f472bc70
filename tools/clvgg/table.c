/* Lays out a table: every column as wide as its widest cell, two blanks between them. */
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

#define MAX_COLUMNS 16
#define NOTE_INDENT 4

void table_init(table *t, const table_column *columns, size_t count) {
  *t = (table){.columns = columns, .column_count = count < MAX_COLUMNS ? count : MAX_COLUMNS};
}

static void add(table *t, char *text) {
  if (t->count == t->capacity) t->cells = cli_grow(t->cells, &t->capacity, sizeof *t->cells);
  t->cells[t->count++] = text;
}

void table_cell(table *t, const char *format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  add(t, cli_copy(cli_clean(text)));
}

void table_note(table *t, const char *text) {
  add(t, NULL);
  add(t, cli_clean(cli_copy(text)));
  for (size_t i = 2; i < t->column_count; i++) add(t, NULL);
}

/* Code points, which is what a terminal shows for the scripts that device and class names use. */
static size_t text_width(const char *text) {
  size_t width = 0;
  for (; *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
  return width;
}

static void print_blanks(size_t count) {
  while (count--) putchar(' ');
}

static void print_row(const table *t, const char *const *row, const size_t *width) {
  size_t pending = 0; /* blanks that are only printed when something follows */
  for (size_t c = 0; c < t->column_count; c++) {
    size_t blanks = width[c] - text_width(row[c]);
    int right = t->columns[c].is_number;
    if (*row[c]) {
      print_blanks(pending + (right ? blanks : 0));
      fputs(row[c], stdout);
      pending = right ? 0 : blanks;
    } else {
      pending += blanks;
    }
    pending += 2;
  }
  putchar('\n');
}

void table_print(const table *t) {
  size_t width[MAX_COLUMNS] = {0};
  const char *titles[MAX_COLUMNS] = {0};
  for (size_t c = 0; c < t->column_count; c++) {
    titles[c] = t->columns[c].title;
    width[c] = text_width(titles[c]);
  }
  for (size_t i = 0; i + t->column_count <= t->count; i += t->column_count)
    for (size_t c = 0; t->cells[i] && c < t->column_count; c++)
      if (text_width(t->cells[i + c]) > width[c]) width[c] = text_width(t->cells[i + c]);
  print_row(t, titles, width);
  for (size_t i = 0; i + t->column_count <= t->count; i += t->column_count) {
    if (t->cells[i])
      print_row(t, (const char *const *)t->cells + i, width);
    else
      printf("%*s%s\n", NOTE_INDENT, "", t->cells[i + 1]);
  }
}

void table_free(table *t) {
  for (size_t i = 0; i < t->count; i++) free(t->cells[i]);
  free(t->cells);
  *t = (table){0};
}
