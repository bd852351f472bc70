/* Figures of clvgg explain's report, and the report as tables and as JSON. */
#include <math.h>
#include <string.h>

#include "accuracy.h"
#include "cli.h"
#include "explain.h"
#include "output.h"
#include "table.h"

/* The sum of the steps whose algorithm computes op ("conv"); all of them: NULL. */
explain_step explain_sum(const explain_report *r, const char *op) {
  explain_step sum = {.ms = 0};
  for (size_t i = 0; i < r->engine.layers; i++) {
    const explain_step *s = &r->steps[i];
    size_t length = op ? strlen(op) : 0;
    if (op && (strncmp(s->plan.algorithm, op, length) != 0 || s->plan.algorithm[length] != '_')) continue;
    sum.ms += s->ms;
    sum.roof_ms += s->roof_ms;
    sum.plan.flops += s->plan.flops;
    sum.plan.actual_flops += s->plan.actual_flops;
  }
  return sum;
}

/* Not finite when the clock is too coarse to have seen the step. */
double explain_gflops(const explain_report *r, uint64_t flops, double ms) {
  return (double)flops * (double)r->batch / (ms * 1e6);
}

double explain_percent(const explain_step *s) {
  return 100 * s->roof_ms / s->ms;
}

size_t explain_runners_up(const explain_step *s) {
  size_t count = 0;
  while (count < s->alternative_count && !s->alternatives[count].fault[0]) count++;
  return count;
}

char *explain_slower(const clvgg_alternative *a, char out[EXPLAIN_SLOWER_BYTES]) {
  if (a->slower <= 0)
    snprintf(out, EXPLAIN_SLOWER_BYTES, "-");
  else if (a->slower < 2)
    snprintf(out, EXPLAIN_SLOWER_BYTES, "%+.0f %%", 100 * (a->slower - 1));
  else
    snprintf(out, EXPLAIN_SLOWER_BYTES, "%.1f x", a->slower);
  return out;
}

/* ---- JSON */

/* null where there is none. */
static json_t *positive(double value) {
  return value > 0 ? json_number(value) : json_null();
}

static json_t *alternative_json(const clvgg_alternative *a) {
  json_t *o = json_object();
  json_object_set_new(o, "algorithm", json_text(a->algorithm));
  json_object_set_new(o, "parameters", json_text(a->parameters));
  json_object_set_new(o, "source", json_text(a->source));
  json_object_set_new(o, "timed", a->fault[0] ? json_null() : json_text(a->in_network ? "network" : "alone"));
  json_object_set_new(o, "ms", positive(a->ms));
  json_object_set_new(o, "slower", positive(a->slower));
  json_object_set_new(o, "fault", json_text(a->fault));
  json_object_set_new(o, "reason", json_text(a->reason));
  return o;
}

static json_t *event_json(const clvgg_tune_event *e) {
  json_t *o = json_object();
  json_object_set_new(o, "seconds", json_number(e->seconds));
  json_object_set_new(o, "layer", json_text(e->layer));
  json_object_set_new(o, "algorithm", json_text(e->algorithm));
  json_object_set_new(o, "parameters", json_text(e->parameters));
  json_object_set_new(o, "ms", positive(e->ms));
  json_object_set_new(o, "best_ms", positive(e->best_ms));
  json_object_set_new(o, "fault", json_text(e->fault));
  return o;
}

static json_t *step_json(const explain_report *r, const explain_step *s) {
  json_t *o = json_object();
  json_object_set_new(o, "name", json_text(s->plan.name));
  json_object_set_new(o, "algorithm", json_text(s->plan.algorithm));
  json_object_set_new(o, "parameters", json_text(s->plan.parameters));
  json_object_set_new(o, "ms", json_number(s->ms));
  json_object_set_new(o, "gflops", json_number(explain_gflops(r, s->plan.flops, s->ms)));
  json_object_set_new(o, "actual_gflops", json_number(explain_gflops(r, s->plan.actual_flops, s->ms)));
  json_object_set_new(o, "roofline_percent", json_number(explain_percent(s)));
  json_object_set_new(o, "roofline_ms", json_number(s->roof_ms));
  json_object_set_new(o, "bytes", json_integer((json_int_t)s->plan.bytes));
  json_object_set_new(o, "source", json_text(s->plan.source));
  json_t *list = json_array();
  for (size_t i = 0; i < s->alternative_count; i++) json_array_append_new(list, alternative_json(&s->alternatives[i]));
  json_object_set_new(o, "alternatives", list);
  return o;
}

json_t *explain_json(const explain_report *r) {
  json_t *o = json_object(), *layers = json_array(), *history = json_array();
  json_object_set_new(o, "device", json_text(r->device.name));
  json_object_set_new(o, "device_id", json_text(r->device.id));
  json_object_set_new(o, "driver", json_text(r->device.driver));
  json_object_set_new(o, "model", json_text(r->model.name));
  json_object_set_new(o, "batch", json_integer((json_int_t)r->batch));
  json_object_set_new(o, "height", json_integer((json_int_t)r->height));
  json_object_set_new(o, "width", json_integer((json_int_t)r->width));
  json_object_set_new(o, "precision", json_text(clvgg_precision_name(r->accuracy.precision)));
  json_object_set_new(o, "accuracy", accuracy_json(&r->accuracy));
  json_object_set_new(o, "peak_gflops", json_number(r->roofline.peak_gflops));
  json_object_set_new(o, "peak_gbytes_per_s", json_number(r->roofline.peak_gbytes_per_s));
  for (size_t i = 0; i < r->engine.layers; i++) json_array_append_new(layers, step_json(r, &r->steps[i]));
  json_object_set_new(o, "layers", layers);
  json_object_set_new(o, "conv_ms", json_number(explain_sum(r, "conv").ms));
  json_object_set_new(o, "fc_ms", json_number(explain_sum(r, "fc").ms));
  json_object_set_new(o, "total_ms", json_number(explain_sum(r, NULL).ms));
  for (size_t i = 0; i < r->history_count; i++) json_array_append_new(history, event_json(&r->history[i]));
  json_object_set_new(o, "history", history);
  return o;
}

void explain_print_json(const explain_report *r) {
  output_json(explain_json(r));
}

/* ---- tables */

static void add_figures(table *t, const explain_report *r, const explain_step *s) {
  int seen = s->ms > 0;
  table_cell(t, "%.3f", s->ms);
  table_cell(t, seen ? "%.1f" : "-", explain_gflops(r, s->plan.flops, s->ms));
  table_cell(t, seen ? "%.1f" : "-", explain_gflops(r, s->plan.actual_flops, s->ms));
  table_cell(t, seen ? "%.0f %%" : "-", explain_percent(s));
}

/* Below the plan, when there is something to say. */
static void print_runners_up(const explain_report *r) {
  static const table_column columns[] = {{"Layer", 0},  {"Runner-up", 0}, {"Parameters", 0}, {"ms", 1},
                                         {"Own ms", 1}, {"Slower", 1},    {"Timed", 0}};
  char slower[EXPLAIN_SLOWER_BYTES];
  size_t rows = 0, failed = 0;
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < r->engine.layers; i++) {
    const explain_step *s = &r->steps[i];
    const size_t usable = explain_runners_up(s);
    failed += s->alternative_count - usable;
    for (size_t k = 0; k < usable && k < r->runners_up; k++, rows++) {
      const clvgg_alternative *a = &s->alternatives[k];
      table_cell(&t, "%s", k ? "" : s->plan.name);
      table_cell(&t, "%s", a->algorithm);
      table_cell(&t, "%s", a->parameters);
      table_cell(&t, "%.3f", a->ms);
      table_cell(&t, a->slower > 0 ? "%.3f" : "-", a->ms / a->slower);
      table_cell(&t, "%s", explain_slower(a, slower));
      table_cell(&t, "%s", a->in_network ? "network" : "alone");
    }
  }
  if (rows) {
    printf("\n");
    table_print(&t);
  }
  table_free(&t);
  if (failed && r->runners_up) printf("\n%zu ways failed here and are not used; --json and --html say how\n", failed);
}

void explain_print_table(const explain_report *r) {
  static const table_column columns[] = {{"Layer", 0},   {"Algorithm", 0}, {"Parameters", 0}, {"ms", 1},
                                         {"GFLOP/s", 1}, {"Actual", 1},    {"Roof", 1},       {"Source", 0}};
  char heading[512];
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < r->engine.layers; i++) {
    const explain_step *s = &r->steps[i];
    table_cell(&t, "%s", s->plan.name);
    table_cell(&t, "%s", s->plan.algorithm);
    table_cell(&t, "%s", s->plan.parameters);
    add_figures(&t, r, s);
    table_cell(&t, "%s", s->plan.source);
  }
  const explain_step total = explain_sum(r, NULL);
  table_cell(&t, "total");
  table_cell(&t, "%s", "");
  table_cell(&t, "%s", "");
  add_figures(&t, r, &total);
  table_cell(&t, "%s", "");
  snprintf(heading, sizeof heading, "%s, batch %zu, %zux%zu, on %s %s", r->model.name, r->batch, r->height, r->width,
           r->device.id, r->device.name);
  printf("%s\n", cli_clean(heading));
  table_print(&t);
  table_free(&t);
  const double conv_ms = explain_sum(r, "conv").ms, fc_ms = explain_sum(r, "fc").ms;
  printf("\nConvolutions %.3f ms, fully connected %.3f ms, other steps %.3f ms\n", conv_ms, fc_ms,
         fmax(0, total.ms - conv_ms - fc_ms));
  char precision[ACCURACY_TEXT_BYTES];
  printf("Precision: %s\n", accuracy_text(&r->accuracy, precision));
  printf("Device at most: %.1f GFLOP/s, reading %.1f GB/s\n", r->roofline.peak_gflops, r->roofline.peak_gbytes_per_s);
  if (r->runners_up) print_runners_up(r);
}
