/* Aligned tables for people. */
#ifndef CLVGG_TOOLS_TABLE_H
#define CLVGG_TOOLS_TABLE_H

#include <stddef.h>

typedef struct table_column {
  const char *title;
  int is_number; /* aligned to the right */
} table_column;

typedef struct table {
  const table_column *columns;
  size_t column_count;
  char **cells; /* (rows, column_count); NULL in the first column: the second is a note over the whole row */
  size_t count, capacity;
} table;

/* columns must live as long as the table. */
void table_init(table *t, const table_column *columns, size_t count);
/* The next cell, left to right, row by row. */
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line of its own below the row that was completed last. */
void table_note(table *t, const char *text);
/* To standard output. */
void table_print(const table *t);
void table_free(table *t);

#endif
