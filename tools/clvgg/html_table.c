/* The plan as a table, each step with the ways that come next. */
#include <math.h>

#include "cli.h"
#include "html.h"

/* Failed ways shown of a step. */
#define MOST_FAILED 3

static void cell(FILE *out, const char *text) {
  fputs("<td>", out);
  html_text(out, text);
  fputs("</td>", out);
}

/* A dash where the clock saw nothing. */
static void number(FILE *out, double value, int digits, const char *unit) {
  fputs("<td class=\"n\">", out);
  if (isfinite(value))
    fprintf(out, "%.*f%s", digits, value, unit);
  else
    putc('-', out);
  fputs("</td>", out);
}

static void figures(FILE *out, const explain_report *r, const explain_step *s) {
  const double share = 100 * s->ms / explain_sum(r, NULL).ms;
  number(out, s->ms, 3, "");
  number(out, share, 1, " %");
  number(out, explain_gflops(r, s->plan.flops, s->ms), 1, "");
  number(out, explain_gflops(r, s->plan.actual_flops, s->ms), 1, "");
  number(out, explain_percent(s), 0, " %");
}

static void alternative_row(FILE *out, const clvgg_alternative *a) {
  char slower[EXPLAIN_SLOWER_BYTES];
  fputs("<tr class=\"next\"><td></td>", out);
  cell(out, a->algorithm);
  cell(out, a->parameters);
  if (a->fault[0]) {
    fputs("<td></td><td colspan=\"4\" class=\"failed\">", out);
    html_format(out, "failed: %s%s%s", a->fault, a->reason[0] ? ", " : "", a->reason);
  } else {
    number(out, a->ms, 3, "");
    fputs("<td class=\"n\">", out);
    html_text(out, explain_slower(a, slower));
    fprintf(out, "</td><td colspan=\"3\">%s", a->in_network ? "in the network" : "by itself");
    if (a->slower > 0) fprintf(out, ", own %.3f", a->ms / a->slower);
  }
  fputs("</td>", out);
  cell(out, a->source);
  fputs("</tr>\n", out);
}

static void step_rows(FILE *out, const explain_report *r, const explain_step *s) {
  const size_t usable = explain_runners_up(s), failed = s->alternative_count - usable;
  fputs("<tbody><tr><th scope=\"row\">", out);
  html_text(out, s->plan.name);
  fputs("</th>", out);
  cell(out, s->plan.algorithm);
  cell(out, s->plan.parameters);
  figures(out, r, s);
  cell(out, s->plan.source);
  fputs("</tr>\n", out);
  for (size_t i = 0; i < usable && i < r->runners_up; i++) alternative_row(out, &s->alternatives[i]);
  for (size_t i = 0; i < failed && i < MOST_FAILED && r->runners_up; i++)
    alternative_row(out, &s->alternatives[usable + i]);
  if (failed > MOST_FAILED && r->runners_up)
    fprintf(out, "<tr class=\"next\"><td></td><td colspan=\"8\" class=\"failed\">and %zu more failed</td></tr>\n",
            failed - MOST_FAILED);
  fputs("</tbody>\n", out);
}

static void heading(FILE *out) {
  static const struct {
    const char *title;
    int is_number;
  } columns[] = {{"Step", 0},    {"Algorithm", 0}, {"Parameters", 0}, {"ms", 1},    {"Share", 1},
                 {"GFLOP/s", 1}, {"Actual", 1},    {"Roof", 1},       {"Source", 0}};
  fputs("<thead><tr>", out);
  for (size_t i = 0; i < CLI_LENGTH(columns); i++)
    fprintf(out, "<th scope=\"col\"%s>%s</th>", columns[i].is_number ? " class=\"n\"" : "", columns[i].title);
  fputs("</tr></thead>\n", out);
}

void html_plan(FILE *out, const explain_report *r) {
  size_t alternatives = 0;
  for (size_t i = 0; i < r->engine.layers; i++) alternatives += r->steps[i].alternative_count;
  fputs(
      "<section><h2>Plan</h2>\n"
      "<p>GFLOP/s counts the layer's own operations, Actual those that the algorithm does. Roof is the time\n"
      "that the device's limits allow, in percent of the time taken.\n",
      out);
  if (alternatives && r->runners_up)
    fputs(
        "Below a step are the ways that come next, as tuning found them here: the time, how much slower that is\n"
        "than the step's own taken in the same way, and which way that was.\n",
        out);
  fputs("</p>\n<div class=\"wide\" tabindex=\"0\"><table>", out);
  heading(out);
  for (size_t i = 0; i < r->engine.layers; i++) step_rows(out, r, &r->steps[i]);
  const explain_step total = explain_sum(r, NULL);
  fputs("<tfoot><tr><th scope=\"row\">total</th><td></td><td></td>", out);
  figures(out, r, &total);
  fputs("<td></td></tr></tfoot></table></div></section>\n", out);
}
