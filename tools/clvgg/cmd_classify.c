/* clvgg classify: the most probable classes of images. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "images.h"
#include "output.h"
#include "predict.h"
#include "progress.h"

#define DEFAULT_TOP   5
#define DEFAULT_BATCH 8

static const cli_usage usage = {
    "classify", "IMAGE...",
    "Prints the most probable classes of each image: rank, probability in percent, class. A folder\n"
    "stands for the images in it. An image that cannot be read is reported and the others are done; the\n"
    "exit status is then 1. With several devices (-d all) the images are distributed over them.\n",
    "  clvgg classify photo.jpg\n"
    "  clvgg classify -m vgg16.pth -k 3 holiday/ photo.jpg\n"
    "  clvgg classify -m caffe.pth --bgr --mean 103.94,116.78,123.68 --std 1,1,1 photo.jpg\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

/* What the arguments came to: images, and the folders that gave none with the reason. */
typedef struct request {
  image_list images;
  char **error; /* (images.count) */
  size_t capacity;
} request;

typedef struct answers {
  const request *asked;
  const clvgg_model *model;
  size_t classes, top, failed;
  size_t *index;      /* (top) */
  float *probability; /* (top) */
  json_t *json;       /* NULL: for a person */
  progress progress;
} answers;

static void set_error(request *r, size_t first, const char *error) {
  while (r->capacity < r->images.count) r->error = cli_grow(r->error, &r->capacity, sizeof *r->error);
  for (size_t i = first; i < r->images.count; i++) r->error[i] = error ? cli_copy(error) : NULL;
}

static void add_argument(request *r, const char *path) {
  size_t first = r->images.count;
  char text[512] = "";
  if (is_folder(path)) {
    int error = image_list_walk(&r->images, path);
    int is_empty = r->images.count == first;
    set_error(r, first, NULL);
    if (!error && !is_empty) return;
    if (error)
      snprintf(text, sizeof text, "%.400s: cannot read the folder: %s", path, strerror(error));
    else
      snprintf(text, sizeof text, "%.400s: no images in the folder", path);
    first = r->images.count;
  }
  image_list_add(&r->images, path);
  set_error(r, first, *text ? text : NULL);
}

static void print_answer(const answers *a, const char *path, size_t count) {
  char *name = cli_clean(cli_copy(path));
  printf("%s\n", name);
  free(name);
  for (size_t i = 0; i < count; i++) {
    char *label = cli_clean(cli_copy(clvgg_model_class_name(a->model, a->index[i])));
    printf("%5zu  %6.2f %%  %s\n", i + 1, 100.0 * (double)a->probability[i], label);
    free(label);
  }
}

static void add_json(const answers *a, const char *path, const char *error, size_t count) {
  json_t *o = json_object(), *top = json_array();
  for (size_t i = 0; i < count; i++) {
    json_t *t = json_object();
    json_object_set_new(t, "index", json_integer((json_int_t)a->index[i]));
    json_object_set_new(t, "label", json_text(clvgg_model_class_name(a->model, a->index[i])));
    json_object_set_new(t, "probability", json_number((double)a->probability[i]));
    json_array_append_new(top, t);
  }
  json_object_set_new(o, "file", json_text(path));
  json_object_set_new(o, "top", top);
  json_object_set_new(o, "error", error ? json_text(error) : json_null());
  json_array_append_new(a->json, o);
}

static int take_answer(size_t index, int more, const char *error, const float *logits, void *user) {
  answers *a = user;
  const char *path = a->asked->images.path[index];
  size_t count = logits ? clvgg_top_k(logits, a->classes, a->top, a->index, a->probability) : 0;
  if (error) {
    a->failed++;
    cli_error("%s", error);
  }
  if (a->json) {
    add_json(a, path, error, count);
    if (!more) progress_step(&a->progress, index + 1, NULL);
    return 0;
  }
  if (!error) print_answer(a, path, count);
  /* Now, not at the end: answers are shown as they come, and a full disk stops the work. */
  return !output_flush();
}

static int classify(predictor *p, const request *asked, size_t top, int json) {
  answers a = {.asked = asked, .model = p->model, .classes = p->model_info.classes, .top = top};
  a.index = cli_alloc(top, sizeof *a.index);
  a.probability = cli_alloc(top, sizeof *a.probability);
  a.json = json ? json_array() : NULL;
  progress_start(&a.progress, "images", asked->images.count, json && asked->images.count > p->batch);
  int code = predict(p, asked->images.path, asked->error, asked->images.count, take_answer, &a);
  if (json) output_json(a.json);
  free(a.probability);
  free(a.index);
  return code == CLI_DONE && (a.failed || p->lost) ? CLI_FAILED : code;
}

int cmd_classify(int argc, char **argv) {
  cli_shared shared;
  image_options images;
  size_t top = DEFAULT_TOP;
  cli_option options[1 + IMAGE_OPTION_COUNT] = {
      {'k', "top", "N", "classes to print, 5 without it", CLI_COUNT, &top, 1, 100000}};
  image_options_rows(&images, options + 1);
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (first == argc) return cli_wrong_usage("classify", "no image given");

  request asked = {.error = NULL};
  predictor p;
  for (int i = first; i < argc; i++) add_argument(&asked, argv[i]);
  code = CLI_FAILED;
  if (predictor_open(&p, &shared, &images) && predictor_start(&p, &shared, &images, asked.images.count, DEFAULT_BATCH))
    code = classify(&p, &asked, top, shared.json);
  predictor_close(&p);
  for (size_t i = 0; i < asked.images.count; i++) free(asked.error[i]);
  free(asked.error);
  image_list_free(&asked.images);
  return code;
}
