/* What clvgg explain found out, and how it is shown. */
#ifndef CLVGG_TOOLS_EXPLAIN_H
#define CLVGG_TOOLS_EXPLAIN_H

#include <jansson.h>
#include <stdio.h>

#include "clvgg/clvgg.h"

typedef struct explain_step {
  clvgg_plan_layer plan;
  double ms;                       /* the least of the runs */
  double roof_ms;                  /* at the device's limits */
  clvgg_alternative *alternatives; /* (alternative_count) */
  size_t alternative_count;
} explain_step;

typedef struct explain_report {
  clvgg_device_info device;
  clvgg_model_info model;
  const char *file; /* of the model, as it was given; NULL: none was */
  size_t batch, height, width;
  size_t runners_up; /* to be shown for a step */
  clvgg_roofline roofline;
  clvgg_engine_info engine;
  clvgg_accuracy accuracy;
  explain_step *steps;       /* (engine.layers) */
  clvgg_tune_event *history; /* (history_count) */
  size_t history_count;
} explain_report;

/* The sum of the steps whose algorithm computes op ("conv"); all of them: NULL. Its plan has flops and actual_flops only. */
explain_step explain_sum(const explain_report *r, const char *op);
/* Of flops of one image in ms a batch. Not finite when the clock is too coarse to have seen the step. */
double explain_gflops(const explain_report *r, uint64_t flops, double ms);
/* How near the step comes to the roofline. */
double explain_percent(const explain_step *s);
/* The step's alternatives that did not fail: the first so many. */
size_t explain_runners_up(const explain_step *s);
/* "+12 %", "-3 %", "2.4 x"; "-" when it is not known. */
#define EXPLAIN_SLOWER_BYTES 24
char *explain_slower(const clvgg_alternative *a, char out[EXPLAIN_SLOWER_BYTES]);

/* Measures as clvgg explain does without options. 1: done; 0: reported. Both take explain_free. */
int explain_measure(clvgg_device *device, const clvgg_model *model, explain_report *out);
void explain_free(explain_report *r);

/* What --json prints. */
json_t *explain_json(const explain_report *r);
/* To standard output. */
void explain_print_json(const explain_report *r);
void explain_print_table(const explain_report *r);

/* The page that --html writes (html_page.c). */
void explain_write_html(FILE *out, const explain_report *r);

#endif
