/* The roofline as a picture: each step's operations a byte against its GFLOP/s, below the device's two ceilings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "html.h"

#define WIDTH  980.0
#define HEIGHT 560.0
#define LEFT   64.0
#define RIGHT  (WIDTH - 16)
#define TOP    16.0
#define BOTTOM (HEIGHT - 52)

#define RADIUS 5.5
/* Of the labels' type, in pixels: an average character's width, and a line's height. */
#define CHARACTER 6.3
#define LINE      13.0
/* A ceiling's text is so long. */
#define CEILING_TEXT 180.0

typedef struct rectangle {
  double x, y, width, height;
} rectangle;

typedef struct point {
  const explain_step *step;
  double intensity, gflops; /* operations a byte; 1e9 operations a second */
  double x, y;
  rectangle label;
} point;

/* Pieces that the text along the slanting ceiling is taken apart into. */
#define PIECES 16

typedef struct picture {
  const explain_report *report;
  html_axis x, y;
  double slope[4];             /* the memory's ceiling from (0, 1) to (2, 3) */
  double text_x, text_y;       /* where its text begins */
  rectangle taken[PIECES + 2]; /* by both ceilings' texts */
  point *points;               /* (count) */
  size_t count;
} picture;

/* Steps without arithmetic, or too short for the clock, have no place on logarithmic axes. */
static int has_place(const point *p) {
  return isfinite(p->gflops) && p->gflops > 0 && isfinite(p->intensity) && p->intensity > 0;
}

static void collect(picture *pic) {
  const explain_report *r = pic->report;
  const double peak = r->roofline.peak_gflops, ridge = peak / r->roofline.peak_gbytes_per_s;
  pic->x = (html_axis){.least = ridge / 8, .most = ridge * 8, .is_log = 1, .from = LEFT, .to = RIGHT};
  pic->y = (html_axis){.least = peak / 30, .most = peak, .is_log = 1, .from = BOTTOM, .to = TOP};
  pic->points = cli_alloc(r->engine.layers, sizeof *pic->points);
  for (size_t i = 0; i < r->engine.layers; i++) {
    const explain_step *s = &r->steps[i];
    point p = {.step = s,
               .intensity = (double)s->plan.actual_flops * (double)r->batch / (double)s->plan.bytes,
               .gflops = explain_gflops(r, s->plan.actual_flops, s->ms)};
    if (!has_place(&p)) continue;
    pic->points[pic->count++] = p;
    pic->x.least = fmin(pic->x.least, p.intensity);
    pic->x.most = fmax(pic->x.most, p.intensity);
    pic->y.least = fmin(pic->y.least, p.gflops);
    pic->y.most = fmax(pic->y.most, p.gflops);
  }
  pic->x.least /= 1.4;
  pic->x.most *= 1.6;
  pic->y.least /= 1.5;
  pic->y.most *= 1.7;
  for (size_t i = 0; i < pic->count; i++) {
    pic->points[i].x = html_at(&pic->x, pic->points[i].intensity);
    pic->points[i].y = html_at(&pic->y, pic->points[i].gflops);
  }
}

/* ---- labels */

static int overlap(const rectangle *a, const rectangle *b) {
  return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height && b->y < a->y + a->height;
}

static rectangle mark_of(const point *p) {
  return (rectangle){p->x - RADIUS - 1, p->y - RADIUS - 1, 2 * RADIUS + 2, 2 * RADIUS + 2};
}

/* Marks that a text there would be over. */
static size_t count_hidden(const picture *pic, const rectangle *text) {
  size_t hidden = 0;
  for (size_t i = 0; i < pic->count; i++) {
    const rectangle mark = mark_of(&pic->points[i]);
    hidden += (size_t)overlap(text, &mark);
  }
  return hidden;
}

/* The memory's text from a part of the way up its ceiling on. Returns how many marks would be below it. */
static size_t place_text(picture *pic, double part) {
  const double *s = pic->slope, angle = atan2(s[3] - s[1], s[2] - s[0]);
  size_t hidden = 0;
  pic->text_x = s[0] + part * (s[2] - s[0]) + 9 * sin(angle);
  pic->text_y = s[1] + part * (s[3] - s[1]) - 9 * cos(angle);
  for (int i = 0; i < PIECES; i++) {
    const double along = CEILING_TEXT * i / PIECES;
    pic->taken[i] = (rectangle){pic->text_x + along * cos(angle), pic->text_y + along * sin(angle) - LINE,
                                CEILING_TEXT / PIECES + 2, LINE + 4};
    hidden += count_hidden(pic, &pic->taken[i]);
  }
  return hidden;
}

static void place_ceilings(picture *pic) {
  static const double parts[] = {0.06, 0.25, 0.4, 0.55};
  const double peak = pic->report->roofline.peak_gflops, bytes = pic->report->roofline.peak_gbytes_per_s;
  /* The memory's ceiling begins where the picture does: at its left or at its lower edge. */
  const double first = fmax(pic->x.least, pic->y.least / bytes);
  const double slope[4] = {html_at(&pic->x, first), html_at(&pic->y, first * bytes), html_at(&pic->x, peak / bytes),
                           html_at(&pic->y, peak)};
  memcpy(pic->slope, slope, sizeof slope);
  for (size_t i = 0; i < CLI_LENGTH(parts); i++)
    if (place_text(pic, parts[i]) == 0) break;
  /* The other one's text is at its right end, or, where marks are there already, at its left one. */
  rectangle *level = &pic->taken[PIECES];
  *level = (rectangle){RIGHT - 6 - CEILING_TEXT, slope[3] - 8 - LINE, CEILING_TEXT, LINE + 4};
  if (count_hidden(pic, level)) level->x = slope[2] + 6;
  pic->taken[PIECES + 1] = (rectangle){slope[2], slope[3] - 2, RIGHT - slope[2], 4}; /* the line itself */
}

static int is_free(const picture *pic, size_t own, const rectangle *place) {
  if (place->x < LEFT + 2 || place->x + place->width > RIGHT - 2 || place->y < TOP || place->y + place->height > BOTTOM)
    return 0;
  for (size_t i = 0; i < pic->count; i++) {
    const rectangle mark = mark_of(&pic->points[i]);
    if (overlap(place, &mark) || (i < own && overlap(place, &pic->points[i].label))) return 0;
  }
  for (size_t i = 0; i < CLI_LENGTH(pic->taken); i++)
    if (overlap(place, &pic->taken[i])) return 0;
  return 1;
}

/* The nearest free place around the point: to the right, then round about, then farther away. */
static void place_label(picture *pic, size_t own) {
  point *p = &pic->points[own];
  const double width = CHARACTER * (double)strlen(p->step->plan.name) + 4;
  for (int ring = 0; ring < 30; ring++)
    for (int i = 0; i < 16; i++) {
      /* 0, 1, -1, 2, -2, ... sixteenths of a turn. */
      const int turn = (i + 1) / 2;
      const double angle = (i % 2 ? 0.3926990817 : -0.3926990817) * turn;
      const double side = cos(angle), up = sin(angle), away = RADIUS + 3 + 8 * ring;
      const rectangle place = {p->x + away * side +
                                   (side > 0.1    ? 0
                                    : side < -0.1 ? -width
                                                  : -width / 2),
                               p->y + away * up - LINE / 2 + LINE / 2 * up, width, LINE};
      p->label = place;
      if (is_free(pic, own, &place)) return;
    }
  /* No place at all: over whatever is there. */
  p->label = (rectangle){p->x + RADIUS + 3, p->y - LINE / 2, width, LINE};
}

/* A thin line from the mark to a label that is not beside it. */
static void draw_leader(FILE *out, const point *p) {
  const rectangle *l = &p->label;
  const double x = fmin(fmax(p->x, l->x), l->x + l->width), y = fmin(fmax(p->y, l->y), l->y + l->height);
  if (hypot(x - p->x, y - p->y) > RADIUS + 9)
    fprintf(out, "<line class=\"leader\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", p->x, p->y, x, y);
}

static void draw_point(FILE *out, const point *p) {
  const explain_step *s = p->step;
  const clvgg_plan_layer *plan = &s->plan;
  fputs("<g><title>", out);
  html_format(out, "%s: %s%s%s\n%.3f ms, %.1f GFLOP/s, %.3g FLOP per byte\n%.0f %% of the roofline", plan->name,
              plan->algorithm, *plan->parameters ? " " : "", plan->parameters, s->ms, p->gflops, p->intensity,
              explain_percent(s));
  fputs("</title>", out);
  html_mark(out, html_kind_of(plan->algorithm), p->x, p->y, RADIUS);
  fprintf(out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\">", p->label.x + 2, p->label.y + LINE - 3);
  html_text(out, plan->name);
  fputs("</text></g>\n", out);
}

/* ---- the rest */

static void draw_ceilings(FILE *out, const picture *pic) {
  const double peak = pic->report->roofline.peak_gflops, bytes = pic->report->roofline.peak_gbytes_per_s;
  const double *s = pic->slope;
  fprintf(out, "<path class=\"roof\" d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1f\"/>\n", s[0], s[1], s[2], s[3], RIGHT, s[3]);
  fprintf(out, "<text class=\"ceiling\" transform=\"translate(%.1f %.1f) rotate(%.2f)\">", pic->text_x, pic->text_y,
          atan2(s[3] - s[1], s[2] - s[0]) * 57.29577951);
  fprintf(out, "reading memory: %.1f GB/s</text>\n<text class=\"ceiling\" ", bytes);
  fprintf(out, "x=\"%.1f\" y=\"%.1f\">arithmetic: %.1f GFLOP/s</text>\n", pic->taken[PIECES].x, s[3] - 8, peak);
}

static void draw_legend(FILE *out, const picture *pic) {
  int seen[HTML_KINDS] = {0};
  for (size_t i = 0; i < pic->count; i++) seen[html_kind_of(pic->points[i].step->plan.algorithm)] = 1;
  fputs("<ul class=\"legend\">", out);
  for (int kind = 0; kind < HTML_KINDS; kind++) {
    if (!seen[kind]) continue;
    fputs("<li><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"14\" height=\"14\" aria-hidden=\"true\">", out);
    html_mark(out, (html_kind)kind, 7, 7, RADIUS);
    fprintf(out, "</svg> %s</li>", html_kind_title((html_kind)kind));
  }
  fputs("</ul>\n", out);
}

static void name_missing(FILE *out, const picture *pic) {
  const explain_report *r = pic->report;
  size_t shown = 0, missing = 0;
  for (size_t i = 0; i < r->engine.layers; i++) {
    if (shown < pic->count && pic->points[shown].step == &r->steps[i]) {
      shown++;
      continue;
    }
    fputs(missing++ ? ", " : " Without arithmetic, and so not in the picture: ", out);
    html_text(out, r->steps[i].plan.name);
  }
  if (missing) fputs(".", out);
}

void html_roofline(FILE *out, const explain_report *r) {
  picture pic = {.report = r};
  collect(&pic);
  place_ceilings(&pic);
  for (size_t i = 0; i < pic.count; i++) place_label(&pic, i);
  fputs(
      "<section><h2>Roofline</h2>\n"
      "<p>A step's place says what it may reach: the farther to the right, the more it computes for each\n"
      "byte that it must move. At the line it is as fast as the device allows, and its distance below the\n"
      "line is what is lost. Above the slanting line its data came from a cache; above the level one,\n"
      "something else kept the device busy while its limits were measured.\n",
      out);
  name_missing(out, &pic);
  fputs("</p>\n", out);
  draw_legend(out, &pic);
  html_begin(out, WIDTH, HEIGHT,
             "Roofline plot: each step's floating point operations per byte against GFLOP/s, and the device's two "
             "ceilings. The table of the plan has the steps' figures.");
  html_grid_x(out, &pic.x, TOP, BOTTOM);
  html_grid_y(out, &pic.y, LEFT, RIGHT);
  fprintf(out, "<text class=\"axis\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">FLOP per byte</text>\n",
          (LEFT + RIGHT) / 2, HEIGHT - 8);
  fprintf(out,
          "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(14 %.1f) rotate(-90)\">GFLOP/s</text>\n",
          (TOP + BOTTOM) / 2);
  draw_ceilings(out, &pic);
  for (size_t i = 0; i < pic.count; i++) draw_leader(out, &pic.points[i]);
  for (size_t i = 0; i < pic.count; i++) draw_point(out, &pic.points[i]);
  html_end(out);
  fputs("</section>\n", out);
  free(pic.points);
}
