/* The worker's own end of tuning: reads a task, searches, and tells what it finds. */
#include "tune/side.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/text.h"
#include "plan/steps.h"
#include "process/worker_side.h"
#include "tune/chain.h"
#include "tune/task.h"

typedef struct side {
  worker_side *line;
  atomic_bool stop;
  tune_task task;
} side;

/* A line, as task_line makes it. Whoever does not listen any more ends this process anyway. */
static void say(const side *s, const char *word, size_t count, ...) {
  char line[MESSAGE_BYTES];
  va_list list;
  va_start(list, count);
  const clvgg_status status = task_line(line, word, count, list);
  va_end(list);
  if (!status) (void)worker_side_send(s->line, line);
}

static void say_candidate(const side *s, const char *word, const candidate *c) {
  char problem[ALGO_PROBLEM_BYTES], params[ALGO_PARAMS_BYTES], ms[TASK_REAL_BYTES];
  algo_problem_text(&c->problem, problem);
  algo_params_text(c->algo, c->param, params, sizeof params);
  task_real_text(c->alone_ms, ms);
  if (strcmp(word, "begin") == 0)
    say(s, word, 3, problem, c->algo->name, params);
  else
    say(s, word, 6, problem, c->algo->name, params, candidate_fault_name(c->fault), c->why, ms);
}

/* ---- search_watch */

static void on_begin(const candidate *one, void *user) {
  say_candidate(user, "begin", one);
}
static void on_ended(const candidate *one, void *user) {
  say_candidate(user, "ended", one);
}
static void on_timed(const candidate *one, double seconds, void *user) {
  char problem[ALGO_PROBLEM_BYTES], params[ALGO_PARAMS_BYTES], text[TASK_REAL_BYTES];
  task_real_text(seconds, text);
  say(user, "timed", 4, algo_problem_text(&one->problem, problem), one->algo->name,
      algo_params_text(one->algo, one->param, params, sizeof params), text);
}
static void on_ran(const plan *p, double ms, void *user) {
  char text[TASK_REAL_BYTES];
  (void)p;
  task_real_text(ms, text);
  say(user, "ran", 1, text);
}
static bool is_stopped(void *user) {
  const side *s = user;
  return atomic_load(&s->stop);
}
static void on_alive(void *user) {
  say(user, "alive", 0);
}

/* ---- the work */

static clvgg_status say_verdict(side *s, const chain *c, const chain_verdict *v) {
  char *text[2] = {malloc(PLAN_STEPS_BYTES), malloc(PLAN_STEPS_BYTES)};
  char numbers[4][TASK_REAL_BYTES];
  const double values[4] = {v->ms, v->untuned_ms, v->ratio, v->logits_error};
  for (int i = 0; i < 4; i++) task_real_text(values[i], numbers[i]);
  clvgg_status status = CLVGG_OK;
  if (!text[0] || !text[1])
    status = base_fail(CLVGG_ERROR_MEMORY, "no memory for a plan's text");
  else if (!plan_steps_text(chain_plan(c), text[0], PLAN_STEPS_BYTES) ||
           !plan_steps_text(chain_untuned(c), text[1], PLAN_STEPS_BYTES))
    status = base_fail(CLVGG_ERROR_TOO_LARGE, "a plan of %zu steps is too long to be told", chain_plan(c)->count);
  else {
    /* A line each: both may not fit into one. */
    say(s, "plan", 1, text[0]);
    say(s, "verdict", 6, numbers[0], numbers[1], numbers[2], numbers[3], v->right ? "1" : "0",
        strcmp(text[0], text[1]) == 0 ? "same" : "other");
  }
  free(text[0]);
  free(text[1]);
  return status;
}

static clvgg_status search(side *s, clvgg_device *dev, const network *net) {
  const tune_task *t = &s->task;
  const search_watch watch = {on_begin, on_ended, on_timed, on_ran, on_alive, is_stopped, s};
  const search_options options = {
      .budget_ms = t->budget_ms, .exhaustive = t->exhaustive, .layer = t->layer[0] ? t->layer : NULL, .watch = &watch};
  clvgg_engine_options engine_options = t->options;
  engine_options.preprocess = &t->preprocess;
  chain *c = NULL;
  TRY(chain_open(dev, net, &engine_options, &options, &c));
  char gflops[TASK_REAL_BYTES], gbytes[TASK_REAL_BYTES];
  task_real_text(chain_flops_per_s(c) / 1e9, gflops);
  task_real_text(chain_bytes_per_s(c) / 1e9, gbytes);
  say(s, "peaks", 2, gflops, gbytes);
  for (size_t i = 0; i < t->known_count; i++) {
    const tune_known *k = &t->known[i];
    (void)chain_know(c, k->algo, &k->problem, k->param, k->fault, k->alone_ms, k->seconds);
  }
  chain_verdict verdict;
  clvgg_status status = chain_search(c);
  if (!status) status = chain_compare(c, &verdict);
  if (!status) status = say_verdict(s, c, &verdict);
  chain_close(&c);
  return status;
}

static clvgg_status work(side *s) {
  clvgg_device *dev = NULL;
  network *net = NULL;
  TRY(clvgg_device_open(s->task.device_id, &dev));
  clvgg_status status = CLVGG_OK;
  if (strcmp(device_info(dev)->name, s->task.device_name) != 0)
    status = base_fail(CLVGG_ERROR_DEVICE, "device %s is '%s', expected '%s'", s->task.device_id,
                       device_info(dev)->name, s->task.device_name);
  if (!status) status = network_stand_in(s->task.layers, s->task.layer_count, &net);
  say(s, "alive", 0);
  if (!status) status = search(s, dev, net);
  network_close(&net);
  clvgg_device_close(&dev);
  return status;
}

static clvgg_status read_task(side *s) {
  for (;;) {
    char line[MESSAGE_BYTES], *fields[TASK_MOST_FIELDS];
    size_t count = 0;
    bool ended = false;
    TRY(worker_side_receive(s->line, line, &ended));
    if (ended) return base_fail(CLVGG_ERROR_IO, "no task came");
    TRY(message_split(line, fields, TASK_MOST_FIELDS, &count));
    if (strcmp(fields[0], "go") == 0) return CLVGG_OK;
    TRY(task_read(&s->task, fields, count));
  }
}

/* Waits for "stop" for as long as the work goes on. */
static void *listen(void *user) {
  side *s = user;
  char line[MESSAGE_BYTES];
  bool ended = false;
  while (!ended && worker_side_receive(s->line, line, &ended) == CLVGG_OK)
    if (strcmp(line, "stop") == 0) atomic_store(&s->stop, true);
  return NULL;
}

int tune_side_run(void) {
  side s = {.line = NULL};
  if (worker_side_open(&s.line)) return 2;
  pthread_t listener;
  clvgg_status status = read_task(&s);
  if (!status && pthread_create(&listener, NULL, listen, &s))
    status = base_fail(CLVGG_ERROR_MEMORY, "no memory for a thread");
  if (!status) status = work(&s);
  char number[16];
  snprintf(number, sizeof number, "%d", (int)status);
  if (status)
    say(&s, "failed", 2, number, clvgg_last_error());
  else
    say(&s, "done", 0);
  task_free(&s.task);
  return status ? 1 : 0; /* the listener ends with the process */
}
