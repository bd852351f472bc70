/* clvgg eval: accuracy on labelled images. */
#include <stdio.h>
#include <stdlib.h>

#include "accuracy.h"
#include "cli.h"
#include "dataset.h"
#include "output.h"
#include "predict.h"
#include "progress.h"

#define TOP           5
#define DEFAULT_BATCH 16

static const cli_usage usage = {
    "eval", "[DIR]",
    "Measures Top-1 and Top-5 accuracy in percent. DIR holds a folder for each class, called by the\n"
    "class' name or number (or, when no folder is either and there are as many as classes, in the order\n"
    "of the classes). --list reads lines 'PATH LABEL' instead, LABEL a class number or name, PATH\n"
    "relative to the list's folder.\n"
    "An image that cannot be read is reported, counted as failed and left out of the accuracy; the exit\n"
    "status is then 1. images/s includes reading and decoding the files.\n"
    "With several devices (-d all, -d gpu,cpu) each takes the next batch as soon as it is free. Images of\n"
    "one that fails go to the others; the exit status is then 1. A device's images/s are of its runs.\n"
    "--csv has the columns class,images,top1,top5 (percent); --predictions path,label,pred,prob (class\n"
    "numbers).\n",
    "  clvgg eval -m vgg16.pth imagenet/val\n"
    "  clvgg eval --list val.txt --limit 1000 --csv classes.csv --json\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

typedef struct eval_options {
  const char *list, *csv, *predictions;
  size_t limit;
} eval_options;

typedef struct class_counts {
  size_t images, top1, top5;
} class_counts;

typedef struct scores {
  const dataset *set;
  size_t classes;
  class_counts all, *each; /* each: (classes) */
  size_t failed;
  json_t *failures;
  output_file csv, predictions;
  progress progress;
  double seconds;
} scores;

static double percent(size_t part, size_t whole) {
  return 100.0 * (double)part / (double)whole;
}

static void count_answer(class_counts *c, int first, int among) {
  c->images++;
  c->top1 += (size_t)first;
  c->top5 += (size_t)among;
}

static void write_prediction(scores *s, size_t index, const size_t *top, float probability) {
  if (!s->predictions.stream) return;
  output_csv_text(s->predictions.stream, s->set->images.path[index]);
  if (top)
    fprintf(s->predictions.stream, ",%zu,%zu,%.9g\n", s->set->label[index], top[0], (double)probability);
  else
    fprintf(s->predictions.stream, ",%zu,,\n", s->set->label[index]);
}

static int take_answer(size_t index, int more, const char *error, const float *logits, void *user) {
  scores *s = user;
  if (error) {
    json_t *failure = json_object();
    json_object_set_new(failure, "file", json_text(s->set->images.path[index]));
    json_object_set_new(failure, "error", json_text(error));
    json_array_append_new(s->failures, failure);
    s->failed++;
    cli_error("%s", error);
    write_prediction(s, index, NULL, 0);
  } else {
    size_t top[TOP], label = s->set->label[index];
    float probability[TOP];
    size_t count = clvgg_top_k(logits, s->classes, TOP, top, probability);
    int among = 0;
    for (size_t i = 0; i < count; i++) among |= top[i] == label;
    count_answer(&s->all, top[0] == label, among);
    count_answer(&s->each[label], top[0] == label, among);
    write_prediction(s, index, top, probability[0]);
  }
  if (more) return 0;
  char running[64] = "";
  if (s->all.images)
    snprintf(running, sizeof running, "top-1 %.2f  top-5 %.2f", percent(s->all.top1, s->all.images),
             percent(s->all.top5, s->all.images));
  progress_step(&s->progress, index + 1, running);
  return 0;
}

static void write_classes(scores *s, const clvgg_model *model) {
  FILE *out = s->csv.stream;
  fputs("class,images,top1,top5\n", out);
  for (size_t i = 0; i < s->classes; i++) {
    const class_counts *c = &s->each[i];
    output_csv_text(out, clvgg_model_class_name(model, i));
    if (c->images)
      fprintf(out, ",%zu,%.4f,%.4f\n", c->images, percent(c->top1, c->images), percent(c->top5, c->images));
    else
      fputs(",0,,\n", out);
  }
}

static void print_json(scores *s, const predictor *p) {
  const class_counts *c = &s->all;
  json_t *o = json_object(), *devices = json_array();
  json_object_set_new(o, "model", json_text(p->model_info.name));
  json_object_set_new(o, "precision", json_text(clvgg_precision_name(p->devices[0].accuracy.precision)));
  json_object_set_new(o, "accuracy", accuracy_json(&p->devices[0].accuracy));
  json_object_set_new(o, "images", json_integer((json_int_t)c->images));
  json_object_set_new(o, "failed", json_integer((json_int_t)s->failed));
  json_object_set_new(o, "top1", c->images ? json_number(percent(c->top1, c->images)) : json_null());
  json_object_set_new(o, "top5", c->images ? json_number(percent(c->top5, c->images)) : json_null());
  json_object_set_new(o, "seconds", json_number(s->seconds));
  json_object_set_new(o, "images_per_s", json_number((double)c->images / s->seconds));
  for (size_t i = 0; i < p->device_count; i++) {
    const predictor_device *d = &p->devices[i];
    json_t *device = json_object();
    json_object_set_new(device, "id", json_text(d->info.id));
    json_object_set_new(device, "name", json_text(d->info.name));
    json_object_set_new(device, "images", json_integer((json_int_t)d->images));
    json_object_set_new(device, "images_per_s", json_number((double)d->images / d->seconds));
    json_object_set_new(device, "precision", json_text(clvgg_precision_name(d->accuracy.precision)));
    json_object_set_new(device, "error", d->error ? json_text(d->error) : json_null());
    json_array_append_new(devices, device);
  }
  json_object_set_new(o, "devices", devices);
  json_object_set(o, "failures", s->failures);
  output_json(o);
}

static void print_text(const scores *s, predictor *p, int precision) {
  const class_counts *c = &s->all;
  char text[ACCURACY_TEXT_BYTES];
  printf("Model   %s\n", cli_clean(p->model_info.name));
  for (size_t i = 0; i < p->device_count; i++) {
    predictor_device *d = &p->devices[i];
    printf("Device  %s %s", d->info.id, cli_clean(d->info.name));
    if (p->device_count > 1) printf(": %zu images", d->images);
    if (p->device_count > 1 && d->images) printf(", %.4g images/s", (double)d->images / d->seconds);
    putchar('\n');
    if (precision != CLVGG_PRECISION_F32) printf("Uses    %s\n", accuracy_text(&d->accuracy, text));
  }
  printf("Images  %zu (%zu failed)\n", c->images, s->failed);
  if (c->images) {
    printf("Top-1   %.2f %%\n", percent(c->top1, c->images));
    printf("Top-5   %.2f %%\n", percent(c->top5, c->images));
  }
  printf("Speed   %.4g images/s\n", (double)c->images / s->seconds);
}

static int evaluate(predictor *p, scores *s, const cli_shared *shared) {
  double start = cli_now();
  progress_start(&s->progress, "images", s->set->images.count, 1);
  int code = predict(p, s->set->images.path, NULL, s->set->images.count, take_answer, s);
  progress_clear();
  s->seconds = cli_now() - start;
  if (code != CLI_DONE) return code;
  if (s->csv.stream) {
    write_classes(s, p->model);
    if (!output_commit(&s->csv)) code = CLI_FAILED;
  }
  if (s->predictions.stream && !output_commit(&s->predictions)) code = CLI_FAILED;
  if (shared->json)
    print_json(s, p);
  else
    print_text(s, p, shared->precision);
  return s->failed || p->lost ? CLI_FAILED : code;
}

/* Everything that can be wrong is found out before the first image runs, unwritable files included. */
static int run(const cli_shared *shared, const image_options *images, const eval_options *o, const char *folder) {
  predictor p;
  dataset set = {.label = NULL};
  scores s = {.set = &set, .failures = json_array()};
  int code = CLI_FAILED;
  if (!predictor_open(&p, shared, images)) goto done;
  if (o->list ? !dataset_open_list(&set, o->list, p.model) : !dataset_open_folder(&set, folder, p.model)) goto done;
  if (o->limit != CLI_UNSET) dataset_limit(&set, o->limit);
  if (o->csv && !output_open(&s.csv, o->csv)) goto done;
  if (o->predictions && !output_open(&s.predictions, o->predictions)) goto done;
  if (s.predictions.stream) fputs("path,label,pred,prob\n", s.predictions.stream);
  s.classes = p.model_info.classes;
  s.each = cli_alloc(s.classes, sizeof *s.each);
  if (predictor_start(&p, shared, images, set.images.count, DEFAULT_BATCH)) code = evaluate(&p, &s, shared);
done:
  output_drop(&s.csv);
  output_drop(&s.predictions);
  json_decref(s.failures);
  free(s.each);
  dataset_free(&set);
  predictor_close(&p);
  return code;
}

int cmd_eval(int argc, char **argv) {
  cli_shared shared;
  image_options images;
  eval_options o = {.limit = CLI_UNSET};
  cli_option options[4 + IMAGE_OPTION_COUNT] = {
      {0, "list", "FILE", "labelled images, one 'PATH LABEL' a line, instead of DIR", CLI_TEXT, &o.list, 0, 0},
      {0, "limit", "N", "only N images, spread evenly over all", CLI_COUNT, &o.limit, 1, 1e9},
      {0, "csv", "FILE", "write the accuracy of each class", CLI_TEXT, &o.csv, 0, 0},
      {0, "predictions", "FILE", "write the answer for each image", CLI_TEXT, &o.predictions, 0, 0}};
  image_options_rows(&images, options + 4);
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  int sources = argc - first + (o.list != NULL);
  if (sources != 1) return cli_wrong_usage("eval", "%d sets of images given, expected one: DIR or --list", sources);
  return run(&shared, &images, &o, argv[first]);
}
