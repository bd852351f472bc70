/* clvgg tune: finds a faster plan by measuring, and shares what was found. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "progress.h"

#define MAX_BATCHES 16

static const cli_usage usage = {
    "tune", "",
    "Finds a faster plan for a network on a device by measuring, and keeps it for all later runs.\n"
    "Candidates are built and run in a process of their own, so that one that crashes, hangs or is wrong\n"
    "costs nothing but its time, and is never tried again on this driver. The plan found is kept only\n"
    "where its answers agree with those without tuning and it was faster, both run in turns. Ctrl-C ends\n"
    "with the best plan so far; a second one ends at once, and keeps what was measured: the next run goes\n"
    "on from there.\n",
    "  clvgg tune\n"
    "  clvgg tune -m vgg16.pth -b 1,8\n"
    "  clvgg tune --arch vgg16 --budget 120 -d gpu\n"
    "  clvgg tune --arch vgg16 --layer conv3_2 --exhaustive\n"
    "  clvgg tune --export my-device.json\n"
    "  clvgg tune --import my-device.json\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

typedef struct tune_options {
  const cli_shared *shared;
  const char *arch, *batches, *layer, *to, *from;
  double budget, timeout;
  int exhaustive, fresh, rgb8, f32;
  cli_size input;
  size_t batch[MAX_BATCHES], batch_count;
} tune_options;

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number) {
  (void)number;
  if (interrupts < 2) interrupts = interrupts + 1;
}

/* What is known so far, on one line. */
static int show(const clvgg_tune_progress *p, void *user) {
  progress *bar = user;
  char extra[400], best[80] = "";
  if (p->best_ms > 0 && p->untuned_ms > 0)
    snprintf(best, sizeof best, "best %.3f ms (%.3f untuned)  ", p->best_ms, p->untuned_ms);
  if (p->budget_seconds > 0)
    snprintf(extra, sizeof extra, "of %.0f s  %s%zu tried, %zu failed  %s", p->budget_seconds, best, p->tried,
             p->failed, p->candidate);
  else
    snprintf(extra, sizeof extra, "s  %s%zu tried, %zu failed  %s", best, p->tried, p->failed, p->candidate);
  progress_seconds(bar, p->seconds, extra);
  return (int)interrupts;
}

static json_t *report_json(const clvgg_device_info *device, const char *model, size_t batch,
                           const clvgg_tune_report *r) {
  json_t *o = json_object();
  json_object_set_new(o, "model", json_text(model));
  json_object_set_new(o, "device", json_text(device->name));
  json_object_set_new(o, "device_id", json_text(device->id));
  json_object_set_new(o, "batch", json_integer((json_int_t)batch));
  json_object_set_new(o, "seconds", json_number(r->seconds));
  json_object_set_new(o, "tried", json_integer((json_int_t)r->tried));
  json_object_set_new(o, "failed", json_integer((json_int_t)r->failed));
  json_object_set_new(o, "known", json_integer((json_int_t)r->known));
  json_object_set_new(o, "restarts", json_integer((json_int_t)r->restarts));
  json_object_set_new(o, "ms", json_number(r->ms));
  json_object_set_new(o, "untuned_ms", json_number(r->untuned_ms));
  json_object_set_new(o, "ratio", json_number(r->ratio));
  json_object_set_new(o, "logits_error", json_number(r->logits_error));
  json_object_set_new(o, "accepted", json_boolean(r->accepted));
  json_object_set_new(o, "reason", json_text(r->reason));
  json_object_set_new(o, "stored", json_boolean(r->stored));
  return o;
}

static void print_report(const char *model, size_t batch, const clvgg_tune_report *r) {
  printf("%s, batch %zu: %zu candidates tried in %.1f s, %zu failed", model, batch, r->tried, r->seconds, r->failed);
  if (r->known) printf(", %zu results known before", r->known);
  printf("\n");
  if (r->ms > 0)
    printf("  found %.3f ms, untuned %.3f ms, ratio %.3f; logits differ by %.2g\n", r->ms, r->untuned_ms, r->ratio,
           r->logits_error);
  printf("  %s%s%s\n",
         r->accepted ? "the plan found is used from now on" : "no other plan is used: ", r->accepted ? "" : r->reason,
         r->stored ? "" : " (not stored: the tuning database cannot be written)");
}

static int tune_one(clvgg_device *device, const clvgg_model *model, const char *name, const tune_options *o,
                    size_t batch, json_t *list) {
  clvgg_engine_options engine;
  clvgg_tune_options options;
  clvgg_tune_report report;
  clvgg_device_info info;
  cli_engine_options(o->shared, &engine);
  engine.max_batch = batch;
  engine.height = o->input.height;
  engine.width = o->input.width;
  engine.input = o->rgb8 ? CLVGG_INPUT_RGB8 : CLVGG_INPUT_F32;
  clvgg_tune_options_init(&options);
  progress bar;
  progress_start(&bar, "s", 0, 1);
  options.engine = &engine;
  options.budget_seconds = o->budget;
  options.timeout_seconds = o->timeout;
  options.exhaustive = o->exhaustive;
  options.fresh = o->fresh;
  options.layer = o->layer;
  options.progress = show;
  options.progress_user = &bar;
  const clvgg_status status = clvgg_tune(device, model, &options, &report);
  progress_clear();
  if (status) return cli_library_error();
  clvgg_device_get_info(device, &info);
  if (list)
    json_array_append_new(list, report_json(&info, name, batch, &report));
  else
    print_report(name, batch, &report);
  return CLI_DONE;
}

static int tune_all(clvgg_device *device, const clvgg_model *model, const tune_options *o) {
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  json_t *list = o->shared->json ? json_array() : NULL;
  int code = CLI_DONE;
  signal(SIGINT, on_interrupt);
  for (size_t i = 0; i < o->batch_count && code == CLI_DONE && !interrupts; i++)
    code = tune_one(device, model, info.name, o, o->batch[i], list);
  signal(SIGINT, SIG_DFL);
  if (code == CLI_DONE && list)
    output_json(list);
  else
    json_decref(list);
  return code;
}

static int share(const tune_options *o) {
  size_t rows = 0, changed = 0;
  if (o->to && clvgg_tuning_export(o->to)) return cli_library_error();
  if (o->from && clvgg_tuning_import(o->from, &rows, &changed)) return cli_library_error();
  if (o->shared->json) {
    json_t *object = json_object();
    json_object_set_new(object, "rows", json_integer((json_int_t)rows));
    json_object_set_new(object, "changed", json_integer((json_int_t)changed));
    output_json(object);
  } else if (o->from) {
    printf("%zu rows in %s, %zu of them new here\n", rows, o->from, changed);
  }
  return CLI_DONE;
}

int cmd_tune(int argc, char **argv) {
  cli_shared shared;
  tune_options o = {.shared = &shared, .batches = "1", .budget = 30, .timeout = 20};
  const cli_option options[] = {
      {0, "arch", "NAME", "a family's network instead of a model", CLI_TEXT, &o.arch, 0, 0},
      {'b', "batch", "LIST", "images at once: 1,2,8; 1 without it", CLI_TEXT, &o.batches, 0, 0},
      {0, "budget", "SECONDS", "for each batch, 30 without it; 0: until nothing is left to try", CLI_NUMBER, &o.budget,
       0, 1e7},
      {0, "exhaustive", NULL, "try all legal parameters; sets no budget unless one is given", CLI_FLAG, &o.exhaustive,
       0, 0},
      {0, "layer", "NAME", "only this step's candidates: conv3_1, conv1_2+pool1", CLI_TEXT, &o.layer, 0, 0},
      {0, "timeout", "SECONDS", "a candidate that takes longer hangs, 20 without it", CLI_NUMBER, &o.timeout, 0.1, 1e6},
      {0, "fresh", NULL, "forget what was measured on this device before", CLI_FLAG, &o.fresh, 0, 0},
      {0, "input", "HxW", "input size instead of the model's", CLI_SIZE, &o.input, 1, 8192},
      {0, "rgb8", NULL, "for 8-bit pixels, as classify and eval run it", CLI_FLAG, &o.rgb8, 0, 0},
      {0, "export", "FILE", "write all that was found as JSON", CLI_TEXT, &o.to, 0, 0},
      {0, "import", "FILE", "add what such a file holds", CLI_TEXT, &o.from, 0, 0},
  };
  int first = 0, budget_given = 0;
  for (int i = 1; i < argc; i++) budget_given = budget_given || !strncmp(argv[i], "--budget", 8);
  int code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (o.arch && shared.model) return cli_wrong_usage("tune", "--arch and --model given, expected one of them");
  if (o.to || o.from) return share(&o);
  if (shared.precision == CLVGG_PRECISION_AUTO)
    return cli_wrong_usage("tune",
                           "--precision: every precision has plans of its own: tune f32, f16w, f24w, f16 or bf16");
  o.batch_count = value_counts(o.batches, 1, CLVGG_MAX_BATCH, o.batch, MAX_BATCHES);
  if (o.batch_count == 0) return cli_wrong_usage("tune", "--batch '%s', expected counts such as 1,2,8", o.batches);
  if (o.exhaustive && !budget_given) o.budget = 0;
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  code = CLI_FAILED;
  if (o.arch && clvgg_model_random(o.arch, 1, &model))
    cli_library_error();
  else if ((o.arch || cli_open_model(&shared, NULL, &model)) && cli_open_device(&shared, &device))
    code = tune_all(device, model, &o);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return code;
}
