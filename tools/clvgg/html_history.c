/* The last tuning as a picture: the network's time and the best so far, and below every candidate in a lane of its layer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "html.h"

#define WIDTH  980.0
#define LEFT   128.0
#define RIGHT  (WIDTH - 124)
#define TOP    16.0
#define HEIGHT 240.0 /* of the network's part */
#define GAP    40.0
#define LANE   38.0
/* A candidate so many times as slow as its layer's best, or slower, is at its lane's upper edge. */
#define LANE_FACTOR 4.0

typedef struct lane {
  const char *layer;
  double best; /* ms; INFINITY: all failed */
  size_t tried, failed;
} lane;

typedef struct picture {
  const explain_report *report;
  html_axis x, y; /* seconds; ms of the network */
  lane *lanes;    /* (count) */
  size_t count, plans;
} picture;

static int is_plan(const clvgg_tune_event *e) {
  return !e->algorithm[0];
}

static const char *layer_of(const clvgg_tune_event *e) {
  return e->layer[0] ? e->layer : "other";
}

static lane *find_lane(const picture *pic, const char *layer) {
  for (size_t i = 0; i < pic->count; i++)
    if (!strcmp(pic->lanes[i].layer, layer)) return &pic->lanes[i];
  return NULL;
}

static void add_candidate(picture *pic, const clvgg_tune_event *e) {
  lane *to = find_lane(pic, layer_of(e));
  if (!to) {
    to = &pic->lanes[pic->count++];
    *to = (lane){.layer = layer_of(e), .best = INFINITY};
  }
  to->tried++;
  to->failed += e->fault[0] != 0;
  if (!e->fault[0]) to->best = fmin(to->best, e->ms);
}

/* By name, which is the order of the layers: conv1_1, conv1_2, ..., fc6. */
static int compare_lanes(const void *a, const void *b) {
  return strcmp(((const lane *)a)->layer, ((const lane *)b)->layer);
}

static void collect(picture *pic) {
  const explain_report *r = pic->report;
  double least = INFINITY, most = 0, seconds = 1;
  pic->lanes = cli_alloc(r->history_count, sizeof *pic->lanes);
  for (size_t i = 0; i < r->history_count; i++) {
    const clvgg_tune_event *e = &r->history[i];
    seconds = fmax(seconds, e->seconds);
    if (!is_plan(e)) {
      add_candidate(pic, e);
      continue;
    }
    pic->plans++;
    least = fmin(least, fmin(e->ms, e->best_ms));
    most = fmax(most, e->ms);
  }
  qsort(pic->lanes, pic->count, sizeof *pic->lanes, compare_lanes);
  const double margin = pic->plans ? fmax(0.08 * (most - least), 0.01 * most) : 1;
  pic->x = (html_axis){.least = 0, .most = 1.02 * seconds, .from = LEFT, .to = RIGHT};
  pic->y = (html_axis){.least = pic->plans ? fmax(least - margin, 0) : 0,
                       .most = pic->plans ? most + margin : 1,
                       .from = TOP + HEIGHT,
                       .to = TOP};
}

/* ---- the network */

/* Every plan's best so far, as stairs. Returns the last. */
static double draw_best(FILE *out, const picture *pic) {
  const explain_report *r = pic->report;
  double best = 0;
  for (size_t i = 0; i < r->history_count; i++) {
    const clvgg_tune_event *e = &r->history[i];
    if (!is_plan(e)) continue;
    const double x = html_at(&pic->x, e->seconds), y = html_at(&pic->y, e->best_ms);
    if (best > 0)
      fprintf(out, "H%.1fV%.1f", x, y);
    else
      fprintf(out, "<path class=\"best\" d=\"M%.1f %.1f", x, y);
    best = e->best_ms;
  }
  fprintf(out, "H%.1f\"/>\n", RIGHT);
  return best;
}

/* At the right end of a line. */
static void draw_value(FILE *out, double y, const char *what, double ms) {
  fprintf(out, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s %.3f ms</text>\n", RIGHT + 8, y, what, ms);
}

static void draw_network(FILE *out, const picture *pic) {
  const explain_report *r = pic->report;
  double untuned = 0;
  html_grid_y(out, &pic->y, LEFT, RIGHT);
  fprintf(
      out,
      "<text class=\"axis\" text-anchor=\"middle\" transform=\"translate(58 %.1f) rotate(-90)\">network, ms</text>\n",
      TOP + HEIGHT / 2);
  for (size_t i = 0; i < r->history_count && untuned <= 0; i++)
    if (is_plan(&r->history[i])) untuned = r->history[i].ms;
  const double y = html_at(&pic->y, untuned);
  fprintf(out, "<line class=\"untuned\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", LEFT, y, RIGHT, y);
  const double best = draw_best(out, pic), best_y = html_at(&pic->y, best);
  /* Two lines of text need some distance. */
  const double apart = best_y - y < 16 ? (16 - (best_y - y)) / 2 : 0;
  draw_value(out, y + 4 - apart, "first", untuned);
  draw_value(out, best_y + 4 + apart, "best", best);
  for (size_t i = 0; i < r->history_count; i++) {
    const clvgg_tune_event *e = &r->history[i];
    if (!is_plan(e)) continue;
    fprintf(out, "<circle class=\"plan\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>", html_at(&pic->x, e->seconds),
            html_at(&pic->y, e->ms));
    html_format(out, "a plan after %.1f s\n%.3f ms; the best so far %.3f ms", e->seconds, e->ms, e->best_ms);
    fputs("</title></circle>\n", out);
  }
}

/* ---- the lanes */

static double lane_y(const lane *l, double top, double ms) {
  const html_axis y = {
      .least = l->best, .most = LANE_FACTOR * l->best, .is_log = 1, .from = top + LANE - 8, .to = top + 6};
  return html_at(&y, ms);
}

static void draw_candidate(FILE *out, const picture *pic, const lane *l, double top, const clvgg_tune_event *e) {
  const double x = html_at(&pic->x, e->seconds);
  fputs("<g><title>", out);
  html_format(out, "%s: %s%s%s\n", l->layer, e->algorithm, *e->parameters ? " " : "", e->parameters);
  if (e->fault[0]) {
    html_format(out, "failed after %.1f s: %s", e->seconds, e->fault);
    fprintf(out, "</title><path class=\"fail\" d=\"M%.1f %.1fl8 8m0 -8l-8 8\"/></g>\n", x - 4, top + 5);
    return;
  }
  html_format(out, "%.3f ms by itself, %.2f times the best", e->ms, e->ms / l->best);
  fputs("</title>", out);
  if (e->ms <= l->best)
    fprintf(out, "<circle class=\"ring\" cx=\"%.1f\" cy=\"%.1f\" r=\"6\"/>", x, lane_y(l, top, e->ms));
  html_mark(out, html_kind_of(e->algorithm), x, lane_y(l, top, e->ms), 3);
  fputs("</g>\n", out);
}

static void draw_lane(FILE *out, const picture *pic, const lane *l, double top) {
  const explain_report *r = pic->report;
  fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", LEFT, top + LANE, RIGHT,
          top + LANE);
  fprintf(out, "<text class=\"label\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", LEFT - 8, top + LANE / 2 + 4);
  html_text(out, l->layer);
  fprintf(out, "</text>\n<text class=\"value\" x=\"%.1f\" y=\"%.1f\">", RIGHT + 8, top + LANE / 2 - 2);
  if (isfinite(l->best))
    html_format(out, "best %.3f ms", l->best);
  else
    fputs("none", out);
  fprintf(out, "</text><text class=\"tick\" x=\"%.1f\" y=\"%.1f\">", RIGHT + 8, top + LANE / 2 + 12);
  if (l->failed)
    html_format(out, "%zu tried, %zu failed", l->tried, l->failed);
  else
    html_format(out, "%zu tried", l->tried);
  fputs("</text>\n", out);
  for (size_t i = 0; i < r->history_count; i++)
    if (!is_plan(&r->history[i]) && !strcmp(layer_of(&r->history[i]), l->layer))
      draw_candidate(out, pic, l, top, &r->history[i]);
}

static void draw(FILE *out, const picture *pic) {
  const double lanes = pic->plans ? TOP + HEIGHT + (pic->count ? GAP : 0) : TOP;
  const double bottom = lanes + LANE * (double)pic->count;
  html_begin(out, WIDTH, bottom + 50,
             "History of the last tuning: the network's time against seconds since its beginning, and below it the "
             "candidates' times, with a lane for each layer.");
  html_grid_x(out, &pic->x, TOP, bottom);
  fprintf(out, "<text class=\"axis\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">seconds since tuning began</text>\n",
          (LEFT + RIGHT) / 2, bottom + 40);
  if (pic->plans) draw_network(out, pic);
  if (pic->count)
    fprintf(out, "<text class=\"axis\" x=\"%.1f\" y=\"%.1f\">candidates by themselves</text>\n", 8.0, lanes - 10);
  for (size_t i = 0; i < pic->count; i++) draw_lane(out, pic, &pic->lanes[i], lanes + LANE * (double)i);
  html_end(out);
}

void html_history(FILE *out, const explain_report *r) {
  fputs("<section><h2>Tuning</h2>\n", out);
  if (r->history_count == 0) {
    fputs(
        "<p>This network was not tuned yet with this device, driver and version of the kernels.\n"
        "<code>clvgg tune</code>, with the same model, batch and options, looks for a faster plan,\n"
        "and its search will be shown here.</p></section>\n",
        out);
    return;
  }
  picture pic = {.report = r};
  collect(&pic);
  fputs(
      "<p>The last tuning of this network on this device. Above, each dot is a plan that was run as a whole;\n"
      "the line is the best so far, and the dashed one the first, without tuning.\n",
      out);
  if (pic.count)
    fprintf(out,
            "Below, each mark is a candidate that was checked and run by itself: the fastest of its layer has a\n"
            "ring and is on its lane's lower line; what is %.0f times as slow, or slower, is at the upper edge. A\n"
            "cross is one that failed.\n",
            LANE_FACTOR);
  fputs("</p>\n", out);
  draw(out, &pic);
  fputs("</section>\n", out);
  free(pic.lanes);
}
