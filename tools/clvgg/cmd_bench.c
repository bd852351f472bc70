/* clvgg bench: time, throughput and memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accuracy.h"
#include "cli.h"
#include "output.h"
#include "progress.h"
#include "samples.h"
#include "table.h"

#define MAX_BATCHES     16
#define MAX_RUNS        100000
#define MIN_RUNS        5
#define WARM_UP_RUNS    2
#define PROFILED_RUNS   3
#define DEFAULT_SECONDS 3.0
#define DEFAULT_ARCH    "vgg16"

static const cli_usage usage = {
    "bench", "",
    "Times a network on seeded random images. Milliseconds are a whole batch's, from host memory to\n"
    "host memory, by the wall clock; images/s follows from the median. First is from opening the engine\n"
    "(planning, compiling kernels, uploading weights) to its first answer. Upload, compute and download\n"
    "are the device's own clock, the median of three more runs with a clock on every layer. Every\n"
    "configuration runs twice to warm up, then for --seconds and at least five times.\n"
    "The second table is what starting costs and the device memory that is held. Load is reading the\n"
    "model's file (its weights' bytes only when they are packed) or making random weights; Open is\n"
    "planning, compiling, packing and uploading; Answer is the first run. Peak is the most memory at\n"
    "once, from opening on; Over f32 is how much Total is above plain f32 weights and biases.\n"
    "Precision is what was really used; Error, Top-1 and Top-5 are how far its logits are from those of\n"
    "f32 on sample images, relative (L2), and on how many images the first and the first five agree.\n",
    "  clvgg bench\n"
    "  clvgg bench --arch vgg11,vgg16_bn -b 1,8 -d gpu\n"
    "  clvgg bench -m vgg16.pth -n 20 --layers --json\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

typedef struct bench_options {
  const char *arch, *batches, *algorithm;
  size_t runs; /* CLI_UNSET: as many as fit in seconds */
  double seconds;
  cli_size input;
  int layers, rgb8;
} bench_options;

typedef struct bench_layer {
  clvgg_plan_layer plan;
  double ms, gflops_per_s;
} bench_layer;

typedef struct result {
  char model[64];
  size_t batch, height, width, runs;
  double min, median, p90, p99; /* ms */
  double images_per_s, first_run_ms;
  double load_ms, first_answer_ms; /* opening the model; the engine's first run alone */
  clvgg_run_times split;
  clvgg_engine_info engine;
  clvgg_accuracy accuracy;
  bench_layer *layers; /* (engine.layers) */
  char error[512];     /* "" when the rest holds */
} result;

typedef struct bench {
  const cli_shared *shared;
  const bench_options *options;
  clvgg_device *device;
  clvgg_device_info device_info;
  result *results;
  size_t count, capacity, total, failed;
} bench;

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The nearest-rank percentile of sorted values. */
static double percentile(const double *sorted, size_t count, double percent) {
  size_t rank = (size_t)ceil(percent / 100.0 * (double)count);
  return sorted[rank ? rank - 1 : 0];
}

static double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare);
  return percentile(values, count, 50);
}

/* The first bytes of images as pixels, where that is asked for. */
static clvgg_status run_once(const bench_options *o, clvgg_engine *engine, const float *images, size_t batch,
                             float *logits) {
  return o->rgb8 ? clvgg_engine_run_rgb8(engine, (const uint8_t *)images, batch, logits)
                 : clvgg_engine_run(engine, images, batch, logits);
}

/* 1: done; 0: the library failed. */
static int time_runs(bench *b, clvgg_engine *engine, const float *images, float *logits, result *r) {
  const bench_options *o = b->options;
  size_t capacity = 0, wanted = o->runs == CLI_UNSET ? MAX_RUNS : o->runs;
  double *ms = NULL, start = cli_now();
  char label[160];
  progress bar;
  int ok = 1;
  snprintf(label, sizeof label, "%s, batch %zu (%zu of %zu)", r->model, r->batch, b->count, b->total);
  progress_start(&bar, "runs", o->runs == CLI_UNSET ? 0 : wanted, 1);
  while (ok && r->runs < wanted) {
    double now = cli_now();
    if (o->runs == CLI_UNSET && r->runs >= MIN_RUNS && now - start >= o->seconds) break;
    ok = !run_once(o, engine, images, r->batch, logits);
    if (!ms || r->runs == capacity) ms = cli_grow(ms, &capacity, sizeof *ms);
    ms[r->runs++] = 1e3 * (cli_now() - now);
    progress_step(&bar, r->runs, label);
  }
  if (ok && ms) {
    r->median = median(ms, r->runs);
    r->min = ms[0];
    r->p90 = percentile(ms, r->runs, 90);
    r->p99 = percentile(ms, r->runs, 99);
    r->images_per_s = 1e3 * (double)r->batch / r->median;
  }
  free(ms);
  return ok;
}

static int profile_runs(const bench_options *o, clvgg_engine *engine, const float *images, float *logits, result *r) {
  size_t layers = r->engine.layers;
  double upload[PROFILED_RUNS], compute[PROFILED_RUNS], download[PROFILED_RUNS];
  double *ms = cli_alloc(layers, sizeof *ms * PROFILED_RUNS); /* (layers, PROFILED_RUNS) */
  int ok = 1;
  r->layers = cli_alloc(layers, sizeof *r->layers);
  for (size_t run = 0; ok && run < PROFILED_RUNS; run++) {
    clvgg_run_times times;
    ok = o->rgb8 ? !clvgg_engine_profile_rgb8(engine, (const uint8_t *)images, r->batch, logits, &times)
                 : !clvgg_engine_profile(engine, images, r->batch, logits, &times);
    if (!ok) break;
    upload[run] = times.upload_ms;
    compute[run] = times.compute_ms;
    download[run] = times.download_ms;
    for (size_t i = 0; ok && i < layers; i++) {
      ok = !clvgg_engine_get_layer(engine, i, &r->layers[i].plan);
      ms[i * PROFILED_RUNS + run] = r->layers[i].plan.ms;
    }
  }
  if (ok) {
    r->split.upload_ms = median(upload, PROFILED_RUNS);
    r->split.compute_ms = median(compute, PROFILED_RUNS);
    r->split.download_ms = median(download, PROFILED_RUNS);
    for (size_t i = 0; i < layers; i++) {
      bench_layer *layer = &r->layers[i];
      layer->ms = median(ms + i * PROFILED_RUNS, PROFILED_RUNS);
      layer->gflops_per_s = (double)layer->plan.flops * (double)r->batch / (layer->ms * 1e6);
    }
  }
  free(ms);
  return ok;
}

static void measure(bench *b, const clvgg_model *model, double load_ms, size_t batch) {
  const bench_options *o = b->options;
  if (b->count == b->capacity) b->results = cli_grow(b->results, &b->capacity, sizeof *b->results);
  result *r = &b->results[b->count++];
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  *r = (result){.batch = batch, .height = info.height, .width = info.width, .load_ms = load_ms};
  snprintf(r->model, sizeof r->model, "%s", info.name);
  if (o->input.height) {
    r->height = o->input.height;
    r->width = o->input.width;
  }
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  cli_engine_options(b->shared, &options);
  options.max_batch = batch;
  options.height = r->height;
  options.width = r->width;
  options.algorithm = o->algorithm;
  options.input = o->rgb8 ? CLVGG_INPUT_RGB8 : CLVGG_INPUT_F32;
  size_t floats = info.channels * r->height * r->width;
  float *images = cli_alloc(batch, floats * sizeof *images);       /* (batch, C, H, W) */
  float *logits = cli_alloc(batch, info.classes * sizeof *logits); /* (batch, classes) */
  cli_fill_noise(images, batch * floats);

  void *samples = NULL;
  int loaded = cli_load_samples(b->shared, info.channels, &info.preprocess, &options, &samples);
  int ok = loaded && !clvgg_engine_open(b->device, model, &options, &engine);
  free(samples);
  if (ok) clvgg_engine_get_info(engine, &r->engine);
  clvgg_engine_get_accuracy(engine, &r->accuracy);
  double start = cli_now();
  ok = ok && !run_once(o, engine, images, batch, logits);
  r->first_answer_ms = 1e3 * (cli_now() - start);
  r->first_run_ms = r->engine.open_ms + r->first_answer_ms;
  for (int i = 1; ok && i < WARM_UP_RUNS; i++) ok = !run_once(o, engine, images, batch, logits);
  ok = ok && time_runs(b, engine, images, logits, r) && profile_runs(o, engine, images, logits, r);
  if (!ok) {
    snprintf(r->error, sizeof r->error, "%s", clvgg_last_error());
    if (loaded) cli_error("%s, batch %zu: %s", r->model, batch, r->error);
    b->failed++;
  }
  progress_clear();
  clvgg_engine_close(&engine);
  free(logits);
  free(images);
}

/* Negative when weights are stored in less than f32. */
static json_int_t above_plain(const result *r) {
  return (json_int_t)r->engine.device_bytes - (json_int_t)r->engine.plain_weight_bytes;
}

static json_t *result_json(const bench *b, const result *r) {
  json_t *o = json_object(), *ms = json_object(), *split = json_object(), *startup = json_object(),
         *layers = json_array();
  json_object_set_new(o, "model", json_text(r->model));
  json_object_set_new(o, "device", json_text(b->device_info.name));
  json_object_set_new(o, "device_id", json_text(b->device_info.id));
  json_object_set_new(o, "driver", json_text(b->device_info.driver));
  json_object_set_new(o, "batch", json_integer((json_int_t)r->batch));
  json_object_set_new(o, "height", json_integer((json_int_t)r->height));
  json_object_set_new(o, "width", json_integer((json_int_t)r->width));
  json_object_set_new(o, "precision", json_text(clvgg_precision_name(r->accuracy.precision)));
  json_object_set_new(o, "error", *r->error ? json_text(r->error) : json_null());
  if (*r->error) {
    json_decref(ms);
    json_decref(split);
    json_decref(startup);
    json_decref(layers);
    return o;
  }
  json_object_set_new(o, "accuracy", accuracy_json(&r->accuracy));
  json_object_set_new(o, "runs", json_integer((json_int_t)r->runs));
  json_object_set_new(ms, "min", json_number(r->min));
  json_object_set_new(ms, "median", json_number(r->median));
  json_object_set_new(ms, "p90", json_number(r->p90));
  json_object_set_new(ms, "p99", json_number(r->p99));
  json_object_set_new(o, "ms", ms);
  json_object_set_new(o, "images_per_s", json_number(r->images_per_s));
  json_object_set_new(o, "first_run_ms", json_number(r->first_run_ms));
  json_object_set_new(o, "open_ms", json_number(r->engine.open_ms));
  json_object_set_new(startup, "load", json_number(r->load_ms));
  json_object_set_new(startup, "open", json_number(r->engine.open_ms));
  json_object_set_new(startup, "first_answer", json_number(r->first_answer_ms));
  json_object_set_new(startup, "total", json_number(r->load_ms + r->first_run_ms));
  json_object_set_new(o, "startup_ms", startup);
  json_object_set_new(split, "upload", json_number(r->split.upload_ms));
  json_object_set_new(split, "compute", json_number(r->split.compute_ms));
  json_object_set_new(split, "download", json_number(r->split.download_ms));
  json_object_set_new(o, "split_ms", split);
  json_object_set_new(o, "device_bytes", json_integer((json_int_t)r->engine.device_bytes));
  json_object_set_new(o, "weight_bytes", json_integer((json_int_t)r->engine.weight_bytes));
  json_object_set_new(o, "activation_bytes", json_integer((json_int_t)r->engine.activation_bytes));
  json_object_set_new(o, "workspace_bytes", json_integer((json_int_t)r->engine.workspace_bytes));
  json_object_set_new(o, "peak_bytes", json_integer((json_int_t)r->engine.peak_bytes));
  json_object_set_new(o, "plain_weight_bytes", json_integer((json_int_t)r->engine.plain_weight_bytes));
  json_object_set_new(o, "above_plain_bytes", json_integer(above_plain(r)));
  for (size_t i = 0; i < r->engine.layers; i++) {
    const bench_layer *layer = &r->layers[i];
    json_t *l = json_object();
    json_object_set_new(l, "name", json_text(layer->plan.name));
    json_object_set_new(l, "algorithm", json_text(layer->plan.algorithm));
    json_object_set_new(l, "parameters", json_text(layer->plan.parameters));
    json_object_set_new(l, "source", json_text(layer->plan.source));
    json_object_set_new(l, "ms", json_number(layer->ms));
    json_object_set_new(l, "gflops", json_number(layer->gflops_per_s));
    json_array_append_new(layers, l);
  }
  json_object_set_new(o, "layers", layers);
  return o;
}

static void print_results(const bench *b) {
  static const table_column columns[] = {{"Model", 0},  {"Batch", 1},   {"Min ms", 1},   {"Median", 1},
                                         {"p90", 1},    {"p99", 1},     {"Images/s", 1}, {"First", 1},
                                         {"Upload", 1}, {"Compute", 1}, {"Download", 1}, {"Precision", 0},
                                         {"Error", 1},  {"Top-1", 1},   {"Top-5", 1}};
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < b->count; i++) {
    const result *r = &b->results[i];
    if (*r->error) continue;
    const double values[] = {r->min, r->median, r->p90, r->p99, r->images_per_s};
    table_cell(&t, "%s", r->model);
    table_cell(&t, "%zu", r->batch);
    for (size_t k = 0; k < CLI_LENGTH(values); k++) table_cell(&t, "%.2f", values[k]);
    table_cell(&t, "%.0f", r->first_run_ms);
    table_cell(&t, "%.2f", r->split.upload_ms);
    table_cell(&t, "%.2f", r->split.compute_ms);
    table_cell(&t, "%.2f", r->split.download_ms);
    accuracy_cells(&t, &r->accuracy);
  }
  char device[512];
  snprintf(device, sizeof device, "%s %s", b->device_info.id, b->device_info.name);
  printf("Device: %s\n", cli_clean(device));
  table_print(&t);
  table_free(&t);
  char text[ACCURACY_TEXT_BYTES];
  for (size_t i = 0; i < b->count; i++)
    if (!*b->results[i].error && b->shared->precision != CLVGG_PRECISION_F32)
      printf("%s, batch %zu: %s\n", b->results[i].model, b->results[i].batch,
             accuracy_text(&b->results[i].accuracy, text));
}

static void print_start_and_memory(const bench *b) {
  static const table_column columns[] = {{"Model", 0},   {"Batch", 1}, {"Load ms", 1},     {"Open", 1},
                                         {"Answer", 1},  {"Sum", 1},   {"Weights MiB", 1}, {"Activations", 1},
                                         {"Scratch", 1}, {"Total", 1}, {"Peak", 1},        {"Over f32", 1}};
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < b->count; i++) {
    const result *r = &b->results[i];
    if (*r->error) continue;
    const clvgg_engine_info *e = &r->engine;
    const double ms[] = {r->load_ms, e->open_ms, r->first_answer_ms, r->load_ms + r->first_run_ms};
    const double bytes[] = {(double)e->weight_bytes, (double)e->activation_bytes, (double)e->workspace_bytes,
                            (double)e->device_bytes, (double)e->peak_bytes,       (double)above_plain(r)};
    table_cell(&t, "%s", r->model);
    table_cell(&t, "%zu", r->batch);
    for (size_t k = 0; k < CLI_LENGTH(ms); k++) table_cell(&t, "%.0f", ms[k]);
    for (size_t k = 0; k < CLI_LENGTH(bytes); k++) table_cell(&t, "%.1f", bytes[k] / (1024 * 1024));
  }
  printf("\nStart, and memory on the device:\n");
  table_print(&t);
  table_free(&t);
}

static void print_layers(const result *r) {
  static const table_column columns[] = {{"Layer", 0}, {"Algorithm", 0}, {"Parameters", 0},
                                         {"ms", 1},    {"GFLOP/s", 1},   {"Source", 0}};
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < r->engine.layers; i++) {
    const bench_layer *layer = &r->layers[i];
    table_cell(&t, "%s", layer->plan.name);
    table_cell(&t, "%s", layer->plan.algorithm);
    table_cell(&t, "%s", layer->plan.parameters);
    table_cell(&t, "%.3f", layer->ms);
    table_cell(&t, layer->ms > 0 ? "%.1f" : "-", layer->gflops_per_s);
    table_cell(&t, "%s", layer->plan.source);
  }
  printf("\n%s, batch %zu, %s\n", r->model, r->batch, clvgg_precision_name(r->accuracy.precision));
  table_print(&t);
  table_free(&t);
}

static void print_all(const bench *b) {
  if (b->shared->json) {
    json_t *list = json_array();
    for (size_t i = 0; i < b->count; i++) json_array_append_new(list, result_json(b, &b->results[i]));
    output_json(list);
    return;
  }
  if (b->count > b->failed) {
    print_results(b);
    print_start_and_memory(b);
  }
  for (size_t i = 0; b->options->layers && i < b->count; i++)
    if (!*b->results[i].error) print_layers(&b->results[i]);
}

/* names: (count), families for random weights; NULL: the model of -m. */
static void run_models(bench *b, char *const *names, size_t name_count, const size_t *batches, size_t batch_count) {
  b->total = (names ? name_count : 1) * batch_count;
  for (size_t i = 0; i < (names ? name_count : 1); i++) {
    clvgg_model *model = NULL;
    const double start = cli_now();
    if (!names && !cli_open_model(b->shared, NULL, &model)) {
      b->failed++;
      continue;
    }
    if (names && clvgg_model_random(names[i], 1, &model)) {
      cli_library_error();
      b->failed++;
      continue;
    }
    const double load_ms = 1e3 * (cli_now() - start);
    for (size_t k = 0; k < batch_count; k++) measure(b, model, load_ms, batches[k]);
    clvgg_model_close(&model);
  }
}

/* What is to be measured on each device. */
typedef struct bench_plan {
  const bench_options *options;
  char *const *names; /* (name_count), families for random weights; NULL: the model of -m */
  size_t name_count;
  const size_t *batches; /* (batch_count) */
  size_t batch_count;
} bench_plan;

static int bench_device(const cli_shared *shared, void *user) {
  const bench_plan *plan = user;
  bench b = {.shared = shared, .options = plan->options};
  if (!cli_open_device(shared, &b.device)) return CLI_FAILED;
  clvgg_device_get_info(b.device, &b.device_info);
  run_models(&b, plan->names, plan->name_count, plan->batches, plan->batch_count);
  print_all(&b);
  for (size_t i = 0; i < b.count; i++) free(b.results[i].layers);
  free(b.results);
  clvgg_device_close(&b.device);
  return b.failed ? CLI_FAILED : CLI_DONE;
}

int cmd_bench(int argc, char **argv) {
  cli_shared shared;
  bench_options o = {.batches = "1", .runs = CLI_UNSET, .seconds = DEFAULT_SECONDS};
  const cli_option options[] = {
      {0, "arch", "NAME,...", "families' networks with random weights, " DEFAULT_ARCH " without it", CLI_TEXT, &o.arch,
       0, 0},
      {'b', "batch", "N,...", "images at once; a list is measured one after the other", CLI_TEXT, &o.batches, 0, 0},
      {'n', "runs", "N", "timed runs of each configuration", CLI_COUNT, &o.runs, 1, MAX_RUNS},
      {0, "seconds", "S", "time for each configuration, 3 without it", CLI_NUMBER, &o.seconds, 0, 86400},
      {0, "input", "HxW", "input size instead of the model's", CLI_SIZE, &o.input, 1, 8192},
      {0, "layers", NULL, "print each layer's algorithm, time and GFLOP/s (a multiply-add is 2)", CLI_FLAG, &o.layers,
       0, 0},
      {0, "rgb8", NULL, "from 8-bit pixels, as classify and eval run it", CLI_FLAG, &o.rgb8, 0, 0},
      {0, "algorithm", "LIST", "algorithms to use wherever they are supported", CLI_TEXT, &o.algorithm, 0, 0},
  };
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  size_t batches[MAX_BATCHES], batch_count = value_counts(o.batches, 1, CLVGG_MAX_BATCH, batches, MAX_BATCHES);
  if (!batch_count)
    return cli_wrong_usage("bench", "--batch: '%s' is not a list of up to %d whole numbers from 1 to %d", o.batches,
                           MAX_BATCHES, CLVGG_MAX_BATCH);
  if (o.arch && shared.model) return cli_wrong_usage("bench", "--arch and --model given, expected one of them");

  char *list = cli_copy(o.arch ? o.arch : DEFAULT_ARCH), *rest = NULL;
  char **names = cli_alloc(strlen(list) + 1, sizeof *names);
  size_t name_count = 0;
  for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) names[name_count++] = name;
  if (name_count) {
    const bench_plan plan = {&o, shared.model ? NULL : names, name_count, batches, batch_count};
    code = cli_each_device(&shared, bench_device, (void *)&plan);
  } else {
    code = cli_wrong_usage("bench", "--arch: '%s' names no family", o.arch);
  }
  free(names);
  free(list);
  return code;
}
