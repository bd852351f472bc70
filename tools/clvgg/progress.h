/* One line of progress on stderr, when that is a terminal. */
#ifndef CLVGG_TOOLS_PROGRESS_H
#define CLVGG_TOOLS_PROGRESS_H

#include <stddef.h>

typedef struct progress {
  const char *unit;    /* "images" */
  size_t total;        /* 0: not known */
  double start, shown; /* seconds */
  int on;
} progress;

/* on: 0 keeps quiet even on a terminal. */
void progress_start(progress *p, const char *unit, size_t total, int on);
/* done of total; extra (may be NULL) follows at the end of the line. Draws ten times a second at most. */
void progress_step(progress *p, size_t done, const char *extra);
/* So many seconds have passed; extra follows. */
void progress_seconds(progress *p, double seconds, const char *extra);
/* Takes the line away; anything else that prints on the terminal calls it first. */
void progress_clear(void);

#endif
