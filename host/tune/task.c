/* Writes a task as lines, and reads it again. */
#include "tune/task.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/text.h"
#include "base/size.h"

/* More was not written here. */
#define MOST_LAYERS 1000
#define MOST_KNOWN  100000

typedef struct writer {
  clvgg_status (*send)(const char *line, void *user);
  void *user;
} writer;

clvgg_status task_line(char line[MESSAGE_BYTES], const char *word, size_t count, va_list list) {
  const char *fields[TASK_MOST_FIELDS] = {word};
  for (size_t i = 0; i < count; i++) fields[1 + i] = va_arg(list, const char *);
  return message_join(fields, 1 + count, line);
}

static clvgg_status write_line(const writer *w, const char *word, size_t count, ...) {
  char line[MESSAGE_BYTES];
  va_list list;
  va_start(list, count);
  const clvgg_status status = task_line(line, word, count, list);
  va_end(list);
  return status ? status : w->send(line, w->user);
}

char *task_real_text(double value, char out[TASK_REAL_BYTES]) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  snprintf(out, TASK_REAL_BYTES, "%016" PRIx64, bits);
  return out;
}

bool task_real_parse(const char *text, double *out) {
  if (strlen(text) != TASK_REAL_BYTES - 1 || strspn(text, "0123456789abcdef") != TASK_REAL_BYTES - 1) return false;
  const uint64_t bits = strtoull(text, NULL, 16);
  memcpy(out, &bits, sizeof *out);
  return isfinite(*out);
}

typedef struct number {
  char text[40];
} number;
static number real(double value) {
  number n;
  task_real_text(value, n.text);
  return n;
}
static number whole(size_t value) {
  number n;
  snprintf(n.text, sizeof n.text, "%zu", value);
  return n;
}

clvgg_status task_write(const tune_task *task, clvgg_status (*send)(const char *line, void *user), void *user) {
  const writer w = {send, user};
  const clvgg_engine_options *o = &task->options;
  const clvgg_preprocess *pre = &task->preprocess;
  TRY(write_line(&w, "version", 1, clvgg_version()));
  TRY(write_line(&w, "device", 2, task->device_id, task->device_name));
  TRY(write_line(&w, "options", 7, whole(o->max_batch).text, whole(o->height).text, whole(o->width).text,
                 whole(o->softmax != 0).text, whole((size_t)o->precision).text, whole((size_t)o->memory).text,
                 whole((size_t)o->input).text));
  if (o->input == CLVGG_INPUT_RGB8)
    TRY(write_line(&w, "pixels", 7, whole(pre->bgr != 0).text, real(pre->mean[0]).text, real(pre->mean[1]).text,
                   real(pre->mean[2]).text, real(pre->std[0]).text, real(pre->std[1]).text, real(pre->std[2]).text));
  for (size_t i = 0; i < task->layer_count; i++) {
    const stand_in_layer *l = &task->layers[i];
    char problem[ALGO_PROBLEM_BYTES];
    algo_problem_text(&(algo_problem){.shape = l->shape, .batch = 1, .block = 1}, problem);
    TRY(write_line(&w, "layer", 2, l->name, problem));
  }
  TRY(write_line(&w, "search", 3, real(task->budget_ms).text, whole(task->exhaustive).text, task->layer));
  for (size_t i = 0; i < task->known_count; i++) {
    const tune_known *k = &task->known[i];
    char problem[ALGO_PROBLEM_BYTES], params[ALGO_PARAMS_BYTES];
    TRY(write_line(&w, "known", 6, algo_problem_text(&k->problem, problem), k->algo->name,
                   algo_params_text(k->algo, k->param, params, sizeof params), candidate_fault_name(k->fault),
                   real(k->alone_ms).text, real(k->seconds).text));
  }
  return CLVGG_OK;
}

/* ---- reading */

static bool read_whole(const char *text, size_t most, size_t *out) {
  char *end = NULL;
  if (*text < '0' || *text > '9') return false;
  const unsigned long long value = strtoull(text, &end, 10);
  *out = (size_t)value;
  return !*end && value <= most;
}

static bool read_fault(const char *text, candidate_fault *out) {
  for (int fault = 0; fault < FAULTS; fault++)
    if (strcmp(candidate_fault_name((candidate_fault)fault), text) == 0) {
      *out = (candidate_fault)fault;
      return true;
    }
  return false;
}

static bool read_options(clvgg_engine_options *o, char *const *f) {
  size_t softmax, precision, memory, input;
  *o = (clvgg_engine_options){.struct_size = sizeof *o};
  if (!read_whole(f[0], CLVGG_MAX_BATCH, &o->max_batch) || !read_whole(f[1], INT32_MAX, &o->height) ||
      !read_whole(f[2], INT32_MAX, &o->width) || !read_whole(f[3], 1, &softmax) ||
      !read_whole(f[4], CLVGG_PRECISION_BF16, &precision) || !read_whole(f[5], CLVGG_MEMORY_SMALL, &memory) ||
      !read_whole(f[6], CLVGG_INPUT_RGB8, &input))
    return false;
  if (precision == CLVGG_PRECISION_AUTO) return false; /* an engine has one */
  o->softmax = (int)softmax;
  o->precision = (clvgg_precision)precision;
  o->memory = (clvgg_memory)memory;
  o->input = (clvgg_input)input;
  return o->max_batch > 0;
}

static bool read_pixels(clvgg_preprocess *pre, char *const *f) {
  size_t bgr;
  if (!read_whole(f[0], 1, &bgr)) return false;
  pre->bgr = (int)bgr;
  for (size_t i = 0; i < 6; i++) {
    double value;
    if (!task_real_parse(f[1 + i], &value)) return false;
    *(i < 3 ? &pre->mean[i] : &pre->std[i - 3]) = (float)value;
  }
  return true;
}

/* One more at the end of an array. */
static void *append(void *array, size_t *count, size_t most, const void *one, size_t bytes) {
  size_t all;
  if (*count >= most || !size_mul(*count + 1, bytes, &all)) return NULL;
  /* Grown by doubling, at each power of two. */
  if ((*count & (*count - 1)) == 0) {
    size_t room;
    if (!size_mul(*count ? *count * 2 : 1, bytes, &room)) return NULL;
    array = realloc(array, room);
    if (!array) return NULL;
  }
  memcpy((char *)array + (*count)++ * bytes, one, bytes);
  return array;
}

static clvgg_status read_layer(tune_task *task, char *const *f) {
  stand_in_layer one = {0};
  algo_problem p;
  if (!algo_problem_parse(f[1], &p)) return base_fail(CLVGG_ERROR_FORMAT, "'%.80s' is no layer", f[1]);
  snprintf(one.name, sizeof one.name, "%s", f[0]);
  one.shape = p.shape;
  void *grown = append(task->layers, &task->layer_count, MOST_LAYERS, &one, sizeof one);
  if (!grown) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu layers", task->layer_count + 1);
  task->layers = grown;
  return CLVGG_OK;
}

clvgg_status task_know(tune_task *task, const tune_known *one) {
  void *grown = append(task->known, &task->known_count, MOST_KNOWN, one, sizeof *one);
  if (!grown) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu known times", task->known_count + 1);
  task->known = grown;
  return CLVGG_OK;
}

static clvgg_status read_known(tune_task *task, char *const *f) {
  tune_known k = {.algo = algo_find(f[1])};
  if (!k.algo || !algo_problem_parse(f[0], &k.problem) || !algo_params_parse(k.algo, f[2], k.param) ||
      !read_fault(f[3], &k.fault) || !task_real_parse(f[4], &k.alone_ms) || !task_real_parse(f[5], &k.seconds))
    return base_fail(CLVGG_ERROR_FORMAT, "'%.80s' of '%.80s' is no candidate", f[1], f[0]);
  return task_know(task, &k);
}

clvgg_status task_read(tune_task *task, char *const *fields, size_t count) {
  const char *word = fields[0];
  char *const *f = fields + 1;
  bool read = false;
  if (strcmp(word, "version") == 0 && count == 2) {
    if (strcmp(f[0], clvgg_version()) != 0)
      return base_fail(CLVGG_ERROR_FORMAT, "the worker is of clvgg %s, and this is %.40s", clvgg_version(), f[0]);
    read = true;
  } else if (strcmp(word, "device") == 0 && count == 3) {
    snprintf(task->device_id, sizeof task->device_id, "%s", f[0]);
    snprintf(task->device_name, sizeof task->device_name, "%s", f[1]);
    read = true;
  } else if (strcmp(word, "options") == 0 && count == 8) {
    read = read_options(&task->options, f);
  } else if (strcmp(word, "pixels") == 0 && count == 8) {
    read = read_pixels(&task->preprocess, f);
  } else if (strcmp(word, "layer") == 0 && count == 3) {
    return read_layer(task, f);
  } else if (strcmp(word, "known") == 0 && count == 7) {
    return read_known(task, f);
  } else if (strcmp(word, "search") == 0 && count == 4) {
    size_t exhaustive = 0;
    read = task_real_parse(f[0], &task->budget_ms) && read_whole(f[1], 1, &exhaustive);
    task->exhaustive = exhaustive != 0;
    snprintf(task->layer, sizeof task->layer, "%s", f[2]);
  }
  return read ? CLVGG_OK : base_fail(CLVGG_ERROR_FORMAT, "'%.80s' with %zu fields is no line of a task", word, count);
}

void task_free(tune_task *task) {
  free(task->layers);
  free(task->known);
  *task = (tune_task){0};
}
