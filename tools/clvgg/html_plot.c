/* Axes, grids and marks of the page's pictures. */
#include <math.h>
#include <string.h>

#include "cli.h"
#include "html.h"

static const struct {
  const char *prefix, *class, *title;
} kinds[HTML_KINDS] = {[HTML_CONV] = {"conv_", "conv", "convolution"},
                       [HTML_FC] = {"fc_", "fc", "fully connected"},
                       [HTML_POOL] = {"maxpool_", "pool", "pooling"},
                       [HTML_OTHER] = {"", "other", "other"}};

html_kind html_kind_of(const char *algorithm) {
  if (!strncmp(algorithm, "avgpool_", 8)) return HTML_POOL;
  int kind = HTML_CONV;
  while (strncmp(algorithm, kinds[kind].prefix, strlen(kinds[kind].prefix)) != 0) kind++;
  return (html_kind)kind;
}

const char *html_kind_class(html_kind kind) {
  return kinds[kind].class;
}

const char *html_kind_title(html_kind kind) {
  return kinds[kind].title;
}

void html_mark(FILE *out, html_kind kind, double x, double y, double radius) {
  const char *class = kinds[kind].class;
  const double side = 0.9 * radius, point = 1.25 * radius;
  switch (kind) {
    case HTML_FC:
      fprintf(out, "<rect class=\"mark %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", class, x - side,
              y - side, 2 * side, 2 * side);
      return;
    case HTML_POOL:
      fprintf(out, "<path class=\"mark %s\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fZ\"/>", class, x, y - point, x + point,
              y + side, x - point, y + side);
      return;
    case HTML_OTHER:
      fprintf(out, "<path class=\"mark %s\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fL%.1f %.1fZ\"/>", class, x, y - point,
              x + point, y, x, y + point, x - point, y);
      return;
    default:
      fprintf(out, "<circle class=\"mark %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", class, x, y, radius);
  }
}

double html_at(const html_axis *a, double value) {
  double part = a->is_log ? log(value / a->least) / log(a->most / a->least) : (value - a->least) / (a->most - a->least);
  if (!(part > 0)) part = 0; /* NaN, too */
  return a->from + (a->to - a->from) * fmin(part, 1);
}

/* 1, 2 or 5 times a power of ten, about a sixth of the range. */
static double step_of(double range) {
  const double rough = range / 6, power = pow(10, floor(log10(rough))), factor = rough / power;
  return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
}

size_t html_ticks(const html_axis *a, double ticks[HTML_MOST_TICKS]) {
  static const double factors[] = {1, 2, 5};
  size_t count = 0;
  if (!a->is_log) {
    const double step = step_of(a->most - a->least);
    const double first = ceil(a->least / step - 1e-9);
    for (; count < HTML_MOST_TICKS && (first + (double)count) * step <= a->most * (1 + 1e-9); count++)
      ticks[count] = (first + (double)count) * step;
    return count;
  }
  const size_t each = a->most / a->least < 2e3 ? CLI_LENGTH(factors) : 1;
  const int first = (int)floor(log10(a->least)), last = (int)floor(log10(a->most));
  for (int exponent = first; exponent <= last; exponent++)
    for (size_t i = 0; i < each && count < HTML_MOST_TICKS; i++) {
      const double tick = pow(10, exponent) * factors[i];
      if (tick >= a->least * (1 - 1e-9) && tick <= a->most * (1 + 1e-9)) ticks[count++] = tick;
    }
  return count;
}

void html_begin(FILE *out, double width, double height, const char *label) {
  /* A window too narrow scrolls it, with the keyboard too. */
  fputs("<div class=\"picture\" tabindex=\"0\"><svg xmlns=\"http://www.w3.org/2000/svg\" ", out);
  fprintf(out, "viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", width, height);
  html_text(out, label);
  fputs("\">\n", out);
}

void html_end(FILE *out) {
  fputs("</svg></div>\n", out);
}

void html_grid_x(FILE *out, const html_axis *x, double top, double bottom) {
  double ticks[HTML_MOST_TICKS];
  const size_t count = html_ticks(x, ticks);
  for (size_t i = 0; i < count; i++) {
    const double at = html_at(x, ticks[i]);
    fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", at, top, at, bottom);
    fprintf(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%.6g</text>\n", at, bottom + 18,
            ticks[i]);
  }
}

void html_grid_y(FILE *out, const html_axis *y, double left, double right) {
  double ticks[HTML_MOST_TICKS];
  const size_t count = html_ticks(y, ticks);
  for (size_t i = 0; i < count; i++) {
    const double at = html_at(y, ticks[i]);
    fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", left, at, right, at);
    fprintf(out, "<text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">%.6g</text>\n", left - 8, at + 4,
            ticks[i]);
  }
}
