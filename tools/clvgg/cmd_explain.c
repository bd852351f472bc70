/* clvgg explain: the plan step by step, timed, beside what the device can do at most. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "explain.h"
#include "output.h"
#include "progress.h"
#include "samples.h"

#define DEFAULT_RUNS 5
#define MAX_RUNS     10000
#define RUNNERS_UP   3

static const cli_usage usage = {
    "explain", "",
    "Shows how a network is computed: each step of the plan with its algorithm and the least time of\n"
    "several runs. GFLOP/s counts the layer's own operations (a multiply-add is 2), Actual those that the\n"
    "algorithm does, and Roof says how near the step comes to the device's limits, measured before and\n"
    "after: at 100 % it is as fast as the slower of arithmetic and reading memory allows; a step whose\n"
    "data comes from a cache may exceed it.\n"
    "What clvgg tune tried for a step on this very device and driver comes below: the next best ways, and\n"
    "how much slower they are than the step's own, timed in the same way. --html writes a page with the\n"
    "roofline and the last tuning as pictures, besides.\n",
    "  clvgg explain\n"
    "  clvgg explain --arch vgg16 -b 8 -d gpu\n"
    "  clvgg explain --arch vgg16 --html vgg16.html\n"
    "  clvgg explain -m vgg16.pth --algorithm conv_f32_nchw_direct --json\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

typedef struct explain_options {
  const cli_shared *shared;
  const char *arch, *algorithm, *html;
  size_t batch, runs, runners_up;
  cli_size input;
  int rgb8;
} explain_options;

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
static int time_steps(clvgg_engine *engine, const explain_options *o, const float *images, float *logits,
                      explain_report *r) {
  const size_t runs = o->runs;
  progress bar;
  progress_start(&bar, "runs", runs, 1);
  for (size_t run = 0; run <= runs; run++) {
    if (o->rgb8 ? clvgg_engine_profile_rgb8(engine, (const uint8_t *)images, r->batch, logits, NULL)
                : clvgg_engine_profile(engine, images, r->batch, logits, NULL))
      return 0;
    for (size_t i = 0; run > 0 && i < r->engine.layers; i++) {
      explain_step *s = &r->steps[i];
      if (clvgg_engine_get_layer(engine, i, &s->plan)) return 0;
      if (run == 1 || s->plan.ms < s->ms) s->ms = s->plan.ms;
    }
    progress_step(&bar, run, "");
  }
  progress_clear();
  return 1;
}

/* What tuning knows. Without it there is still a plan to show, so a database that cannot be read is only reported. */
static void look_up(const clvgg_engine *engine, explain_report *r) {
  int ok = !clvgg_engine_get_tune_history(engine, &r->history, &r->history_count);
  for (size_t i = 0; i < r->engine.layers && ok; i++)
    ok = !clvgg_engine_get_alternatives(engine, i, &r->steps[i].alternatives, &r->steps[i].alternative_count);
  if (!ok) cli_error("no runners-up are shown: %s", clvgg_last_error());
}

static void set_engine_options(const explain_options *o, const explain_report *r, clvgg_engine_options *out) {
  cli_engine_options(o->shared, out);
  out->max_batch = o->batch;
  out->height = r->height;
  out->width = r->width;
  out->algorithm = o->algorithm;
  out->input = o->rgb8 ? CLVGG_INPUT_RGB8 : CLVGG_INPUT_F32;
}

static int run_engine(clvgg_device *device, const clvgg_model *model, const explain_options *o,
                      const clvgg_engine_options *options, explain_report *r) {
  clvgg_engine *engine = NULL;
  size_t floats = r->model.channels * r->height * r->width;
  float *images = cli_alloc(r->batch, floats * sizeof *images); /* (batch, C, H, W); as pixels any bytes will do */
  float *logits = cli_alloc(r->batch, r->model.classes * sizeof *logits); /* (batch, classes) */
  cli_fill_noise(images, r->batch * floats);
  int ok = !clvgg_engine_open(device, model, options, &engine);
  progress_clear();
  if (ok) {
    clvgg_engine_get_info(engine, &r->engine);
    clvgg_engine_get_accuracy(engine, &r->accuracy);
    r->steps = cli_alloc(r->engine.layers, sizeof *r->steps);
    ok = time_steps(engine, o, images, logits, r);
    if (ok) look_up(engine, r);
  }
  clvgg_engine_close(&engine);
  free(logits);
  free(images);
  return ok;
}

static int explain(clvgg_device *device, const clvgg_model *model, const explain_options *o, explain_report *r) {
  clvgg_device_get_info(device, &r->device);
  clvgg_model_get_info(model, &r->model);
  r->file = o->shared->model;
  r->batch = o->batch;
  r->runners_up = o->runners_up;
  r->height = o->input.height ? o->input.height : r->model.height;
  r->width = o->input.height ? o->input.width : r->model.width;
  clvgg_engine_options options;
  void *samples = NULL;
  set_engine_options(o, r, &options);
  if (!cli_load_samples(o->shared, r->model.channels, &r->model.preprocess, &options, &samples)) return 0;
  int ok = measure_roofline(device, &r->roofline) && run_engine(device, model, o, &options, r) &&
           measure_roofline(device, &r->roofline);
  free(samples);
  if (!ok) {
    cli_library_error();
    return 0;
  }
  for (size_t i = 0; i < r->engine.layers; i++) {
    explain_step *s = &r->steps[i];
    s->roof_ms = larger((double)s->plan.actual_flops * (double)r->batch / (r->roofline.peak_gflops * 1e6),
                        (double)s->plan.bytes / (r->roofline.peak_gbytes_per_s * 1e6));
  }
  return 1;
}

int explain_measure(clvgg_device *device, const clvgg_model *model, explain_report *out) {
  const cli_shared shared = {0};
  const explain_options o = {.shared = &shared, .batch = 1, .runs = DEFAULT_RUNS};
  return explain(device, model, &o, out);
}

void explain_free(explain_report *r) {
  for (size_t i = 0; r->steps && i < r->engine.layers; i++) clvgg_alternatives_free(r->steps[i].alternatives);
  clvgg_tune_history_free(r->history);
  free(r->steps);
}

/* 1: all is written. */
static int show(const explain_report *r, const explain_options *o, output_file *page) {
  if (o->html) explain_write_html(page->stream, r);
  if (o->html && !output_commit(page)) return 0;
  if (o->shared->json)
    explain_print_json(r);
  else
    explain_print_table(r);
  return 1;
}

/* 1: done; 0: reported. */
static int explain_device(const cli_shared *shared, void *user) {
  explain_options *o = user;
  o->shared = shared;
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  explain_report r = {.batch = 0};
  output_file page = {0};
  int ok = 0;
  /* First of all: who cannot have the file need not wait for what it would hold. */
  if (o->html && !output_open(&page, o->html)) return CLI_FAILED;
  if (o->arch && clvgg_model_random(o->arch, 1, &model))
    cli_library_error();
  else
    ok = (o->arch || cli_open_model(shared, NULL, &model)) && cli_open_device(shared, &device) &&
         explain(device, model, o, &r) && show(&r, o, &page);
  output_drop(&page);
  explain_free(&r);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return ok ? CLI_DONE : CLI_FAILED;
}

int cmd_explain(int argc, char **argv) {
  cli_shared shared;
  explain_options o = {.batch = 1, .runs = DEFAULT_RUNS, .runners_up = RUNNERS_UP};
  const cli_option options[] = {
      {0, "arch", "NAME", "a family's network with random weights instead of a model", CLI_TEXT, &o.arch, 0, 0},
      {'b', "batch", "N", "images at once, 1 without it", CLI_COUNT, &o.batch, 1, CLVGG_MAX_BATCH},
      {'n', "runs", "N", "timed runs, 5 without it; the least time of each step counts", CLI_COUNT, &o.runs, 1,
       MAX_RUNS},
      {0, "input", "HxW", "input size instead of the model's", CLI_SIZE, &o.input, 1, 8192},
      {0, "rgb8", NULL, "from 8-bit pixels, as classify and eval run it", CLI_FLAG, &o.rgb8, 0, 0},
      {0, "algorithm", "LIST", "algorithms to use wherever they are supported", CLI_TEXT, &o.algorithm, 0, 0},
      {0, "runners-up", "N", "so many for each step, 3 without it, 0: none; --json has all", CLI_COUNT, &o.runners_up,
       0, 1000},
      {0, "html", "FILE", "write a page with pictures, too", CLI_TEXT, &o.html, 0, 0},
  };
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (o.arch && shared.model) return cli_wrong_usage("explain", "--arch and --model given, expected one of them");
  /* A page has one device, and opening that says so. */
  return o.html ? explain_device(&shared, &o) : cli_each_device(&shared, explain_device, &o);
}
