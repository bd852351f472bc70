/* clvgg explain: the plan step by step, timed, beside what the device can do at most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "progress.h"
#include "table.h"

#define DEFAULT_RUNS 5
#define MAX_RUNS     10000

static const cli_usage usage = {
    "explain", "",
    "Shows how a network is computed: each step of the plan with its algorithm and the least time of\n"
    "several runs. GFLOP/s counts the layer's own operations (a multiply-add is 2), Actual those that the\n"
    "algorithm does, and Roof says how near the step comes to the device's limits, measured before and\n"
    "after: at 100 % it is as fast as the slower of arithmetic and reading memory allows; a step whose\n"
    "data comes from a cache may exceed it. With --measure the plan is made from measured times of whole\n"
    "networks, in seconds to minutes in which the device should have nothing else to do.\n",
    "  clvgg explain\n"
    "  clvgg explain --arch vgg16 -b 8 -d gpu\n"
    "  clvgg explain --arch vgg16 --measure\n"
    "  clvgg explain -m vgg16.pth --algorithm conv_f32_nchw_direct --json\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

typedef struct explain_options {
  const cli_shared *shared;
  const char *arch, *algorithm;
  size_t batch, runs;
  cli_size input;
  int rgb8, measure;
} explain_options;

typedef struct step {
  clvgg_plan_layer plan;
  double ms;      /* the least of the runs */
  double roof_ms; /* at the device's limits */
} step;

typedef struct report {
  clvgg_device_info device;
  clvgg_model_info model;
  size_t batch, height, width;
  clvgg_roofline roofline;
  clvgg_engine_info engine;
  step *steps; /* (engine.layers) */
} report;

static double larger(double a, double b) {
  return a > b ? a : b;
}

/* Keeps the larger of both figures: whatever disturbs a measurement makes it smaller. 1: done; 0: the library failed. */
static int measure_roofline(clvgg_device *device, clvgg_roofline *best) {
  clvgg_roofline now;
  if (clvgg_device_measure(device, &now)) return 0;
  best->peak_gflops = larger(best->peak_gflops, now.peak_gflops);
  best->peak_gbytes_per_s = larger(best->peak_gbytes_per_s, now.peak_gbytes_per_s);
  return 1;
}

/* A run to warm up, then runs, of which each step's least time counts. */
static int time_steps(clvgg_engine *engine, const explain_options *o, const float *images, float *logits, report *r) {
  const size_t runs = o->runs;
  progress bar;
  progress_start(&bar, "runs", runs, 1);
  for (size_t run = 0; run <= runs; run++) {
    if (o->rgb8 ? clvgg_engine_profile_rgb8(engine, (const uint8_t *)images, r->batch, logits, NULL)
                : clvgg_engine_profile(engine, images, r->batch, logits, NULL))
      return 0;
    for (size_t i = 0; run > 0 && i < r->engine.layers; i++) {
      step *s = &r->steps[i];
      if (clvgg_engine_get_layer(engine, i, &s->plan)) return 0;
      if (run == 1 || s->plan.ms < s->ms) s->ms = s->plan.ms;
    }
    progress_step(&bar, run, "");
  }
  progress_clear();
  return 1;
}

static int run_engine(clvgg_device *device, const clvgg_model *model, const explain_options *o, report *r) {
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  cli_engine_options(o->shared, &options);
  options.max_batch = o->batch;
  options.height = r->height;
  options.width = r->width;
  options.algorithm = o->algorithm;
  progress bar;
  options.measure = o->measure;
  options.progress = progress_measuring;
  options.progress_user = &bar;
  options.input = o->rgb8 ? CLVGG_INPUT_RGB8 : CLVGG_INPUT_F32;
  size_t floats = r->model.channels * r->height * r->width;
  float *images = cli_alloc(r->batch, floats * sizeof *images); /* (batch, C, H, W); as pixels any bytes will do */
  float *logits = cli_alloc(r->batch, r->model.classes * sizeof *logits); /* (batch, classes) */
  cli_fill_noise(images, r->batch * floats);
  int ok = !clvgg_engine_open(device, model, &options, &engine);
  progress_clear();
  if (ok) {
    clvgg_engine_get_info(engine, &r->engine);
    r->steps = cli_alloc(r->engine.layers, sizeof *r->steps);
    ok = time_steps(engine, o, images, logits, r);
  }
  clvgg_engine_close(&engine);
  free(logits);
  free(images);
  return ok;
}

static int explain(clvgg_device *device, const clvgg_model *model, const explain_options *o, report *r) {
  clvgg_device_get_info(device, &r->device);
  clvgg_model_get_info(model, &r->model);
  r->batch = o->batch;
  r->height = o->input.height ? o->input.height : r->model.height;
  r->width = o->input.height ? o->input.width : r->model.width;
  int ok = measure_roofline(device, &r->roofline) && run_engine(device, model, o, r) &&
           measure_roofline(device, &r->roofline);
  if (!ok) {
    cli_library_error();
    return 0;
  }
  for (size_t i = 0; i < r->engine.layers; i++) {
    step *s = &r->steps[i];
    s->roof_ms = larger((double)s->plan.actual_flops * (double)r->batch / (r->roofline.peak_gflops * 1e6),
                        (double)s->plan.bytes / (r->roofline.peak_gbytes_per_s * 1e6));
  }
  return 1;
}

/* The sum of the steps whose algorithm computes op ("conv"); all of them: NULL. */
static step sum_steps(const report *r, const char *op) {
  step sum = {.ms = 0};
  for (size_t i = 0; i < r->engine.layers; i++) {
    const step *s = &r->steps[i];
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
static double gflops(const report *r, uint64_t flops, double ms) {
  return (double)flops * (double)r->batch / (ms * 1e6);
}

static double percent(const step *s) {
  return 100 * s->roof_ms / s->ms;
}

static json_t *step_json(const report *r, const step *s) {
  json_t *o = json_object();
  json_object_set_new(o, "name", json_text(s->plan.name));
  json_object_set_new(o, "algorithm", json_text(s->plan.algorithm));
  json_object_set_new(o, "parameters", json_text(s->plan.parameters));
  json_object_set_new(o, "ms", json_number(s->ms));
  json_object_set_new(o, "gflops", json_number(gflops(r, s->plan.flops, s->ms)));
  json_object_set_new(o, "actual_gflops", json_number(gflops(r, s->plan.actual_flops, s->ms)));
  json_object_set_new(o, "roofline_percent", json_number(percent(s)));
  json_object_set_new(o, "roofline_ms", json_number(s->roof_ms));
  json_object_set_new(o, "bytes", json_integer((json_int_t)s->plan.bytes));
  json_object_set_new(o, "source", json_text(s->plan.source));
  return o;
}

static void print_json(const report *r) {
  json_t *o = json_object(), *layers = json_array();
  json_object_set_new(o, "device", json_text(r->device.name));
  json_object_set_new(o, "device_id", json_text(r->device.id));
  json_object_set_new(o, "driver", json_text(r->device.driver));
  json_object_set_new(o, "model", json_text(r->model.name));
  json_object_set_new(o, "batch", json_integer((json_int_t)r->batch));
  json_object_set_new(o, "height", json_integer((json_int_t)r->height));
  json_object_set_new(o, "width", json_integer((json_int_t)r->width));
  json_object_set_new(o, "peak_gflops", json_number(r->roofline.peak_gflops));
  json_object_set_new(o, "peak_gbytes_per_s", json_number(r->roofline.peak_gbytes_per_s));
  for (size_t i = 0; i < r->engine.layers; i++) json_array_append_new(layers, step_json(r, &r->steps[i]));
  json_object_set_new(o, "layers", layers);
  json_object_set_new(o, "conv_ms", json_number(sum_steps(r, "conv").ms));
  json_object_set_new(o, "fc_ms", json_number(sum_steps(r, "fc").ms));
  json_object_set_new(o, "total_ms", json_number(sum_steps(r, NULL).ms));
  json_object_set_new(o, "measure_ms", json_number(r->engine.measure_ms));
  json_object_set_new(o, "measured", json_integer((json_int_t)r->engine.measured));
  output_json(o);
}

static void add_figures(table *t, const report *r, const step *s) {
  int seen = s->ms > 0;
  table_cell(t, "%.3f", s->ms);
  table_cell(t, seen ? "%.1f" : "-", gflops(r, s->plan.flops, s->ms));
  table_cell(t, seen ? "%.1f" : "-", gflops(r, s->plan.actual_flops, s->ms));
  table_cell(t, seen ? "%.0f %%" : "-", percent(s));
}

static void print_table(const report *r) {
  static const table_column columns[] = {{"Layer", 0},   {"Algorithm", 0}, {"Parameters", 0}, {"ms", 1},
                                         {"GFLOP/s", 1}, {"Actual", 1},    {"Roof", 1},       {"Source", 0}};
  char heading[512];
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < r->engine.layers; i++) {
    const step *s = &r->steps[i];
    table_cell(&t, "%s", s->plan.name);
    table_cell(&t, "%s", s->plan.algorithm);
    table_cell(&t, "%s", s->plan.parameters);
    add_figures(&t, r, s);
    table_cell(&t, "%s", s->plan.source);
  }
  const step total = sum_steps(r, NULL);
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
  const double conv_ms = sum_steps(r, "conv").ms, fc_ms = sum_steps(r, "fc").ms;
  printf("\nConvolutions %.3f ms, fully connected %.3f ms, other steps %.3f ms\n", conv_ms, fc_ms,
         larger(0, total.ms - conv_ms - fc_ms));
  if (r->engine.measured)
    printf("Measuring took %.1f s and gave %zu times\n", r->engine.measure_ms / 1e3, r->engine.measured);
  printf("Device at most: %.1f GFLOP/s, reading %.1f GB/s\n", r->roofline.peak_gflops, r->roofline.peak_gbytes_per_s);
}

int cmd_explain(int argc, char **argv) {
  cli_shared shared;
  explain_options o = {.shared = &shared, .batch = 1, .runs = DEFAULT_RUNS};
  const cli_option options[] = {
      {0, "arch", "NAME", "a family's network with random weights instead of a model", CLI_TEXT, &o.arch, 0, 0},
      {'b', "batch", "N", "images at once, 1 without it", CLI_COUNT, &o.batch, 1, CLVGG_MAX_BATCH},
      {'n', "runs", "N", "timed runs, 5 without it; the least time of each step counts", CLI_COUNT, &o.runs, 1,
       MAX_RUNS},
      {0, "input", "HxW", "input size instead of the model's", CLI_SIZE, &o.input, 1, 8192},
      {0, "rgb8", NULL, "from 8-bit pixels, as classify and eval run it", CLI_FLAG, &o.rgb8, 0, 0},
      {0, "algorithm", "LIST", "algorithms to use wherever they are supported", CLI_TEXT, &o.algorithm, 0, 0},
      {0, "measure", NULL, "measure the ways to compute each layer, and plan with their times", CLI_FLAG, &o.measure, 0,
       0},
  };
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (o.arch && shared.model) return cli_wrong_usage("explain", "--arch and --model given, expected one of them");

  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  report r = {.batch = 0};
  code = CLI_FAILED;
  if (o.arch && clvgg_model_random(o.arch, 1, &model))
    cli_library_error();
  else if ((o.arch || cli_open_model(&shared, NULL, &model)) && cli_open_device(&shared, &device) &&
           explain(device, model, &o, &r)) {
    if (shared.json)
      print_json(&r);
    else
      print_table(&r);
    code = CLI_DONE;
  }
  free(r.steps);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return code;
}
