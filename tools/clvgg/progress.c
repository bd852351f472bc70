/* Draws the progress line: percentage, rate and the time that is left. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

#define SECONDS_BETWEEN 0.1
#define DEFAULT_COLUMNS 80

/* Whether a line is on the terminal now. Only the main thread prints. */
static int line_is_shown;

void progress_start(progress *p, const char *unit, size_t total, int on) {
  const char *terminal = getenv("TERM");
  *p = (progress){.unit = unit, .total = total, .start = cli_now()};
  p->on = on && isatty(STDERR_FILENO) && !(terminal && !strcmp(terminal, "dumb"));
}

static int columns(void) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20) return DEFAULT_COLUMNS;
  return size.ws_col;
}

/* A line that wraps could not be taken back. */
static void draw(const char *line) {
  fprintf(stderr, "\r%.*s\033[K", columns() - 1, line);
  fflush(stderr);
  line_is_shown = 1;
}

void progress_step(progress *p, size_t done, const char *extra) {
  if (!p->on) return;
  double now = cli_now(), seconds = now - p->start;
  if (now - p->shown < SECONDS_BETWEEN) return;
  p->shown = now;
  char line[256], left[64] = "";
  double rate = seconds > 0 ? (double)done / seconds : 0;
  if (p->total) {
    unsigned long eta = rate > 0 ? (unsigned long)((double)(p->total - done) / rate + 0.5) : 0;
    if (rate > 0) snprintf(left, sizeof left, "  %lu:%02lu:%02lu left", eta / 3600, eta / 60 % 60, eta % 60);
    snprintf(line, sizeof line, "%3.0f %%  %zu/%zu %s  %.4g/s%s", 100.0 * (double)done / (double)p->total, done,
             p->total, p->unit, rate, left);
  } else {
    snprintf(line, sizeof line, "%zu %s  %.4g/s", done, p->unit, rate);
  }
  size_t length = strlen(line);
  if (extra && *extra) snprintf(line + length, sizeof line - length, "  %s", extra);
  draw(line);
}

void progress_seconds(progress *p, double seconds, const char *extra) {
  if (!p->on || cli_now() - p->shown < SECONDS_BETWEEN) return;
  p->shown = cli_now();
  char line[512];
  snprintf(line, sizeof line, "%.0f %s", seconds, extra);
  draw(line);
}

void progress_clear(void) {
  if (!line_is_shown) return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  line_is_shown = 0;
}
