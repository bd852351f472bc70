/* Watches a worker that tunes, keeps what it finds, and goes on without what ends it. */
#include "tune/tuner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/steps.h"
#include "process/worker.h"
#include "tune/preset.h"
#include "tune/rows.h"

/* How long a turn of waiting is: the application is asked so often whether to go on. */
#define TURN_MS 100
/* Silence beside candidates: loading, compiling and running whole networks. So many times a candidate's time-out. */
#define QUIET_FACTOR 20
/* A worker that ends without a candidate to blame is started again so many times. */
#define MOST_BLAMELESS 2
#define SEND_MS        20000

enum { PROBLEM, ALGORITHM, PARAMS, CANDIDATE_FIELDS };

typedef struct tuner {
  const clvgg_device_info *dev;
  const clvgg_tune_options *options;
  clvgg_tune_report *report;
  tuning *db;
  tuning_key key;
  int64_t session, events;
  char network[ROWS_NETWORK_BYTES];
  layer *layers; /* (layer_count), as engines have them */
  size_t layer_count;
  pixel_map pixels;
  tune_task task;
  tune_task faults; /* only what it knows: this run's failures */
  double start_ms;
  worker *worker;
  size_t blameless;
  bool busy;                             /* a candidate is being tried */
  char candidate[CANDIDATE_FIELDS][256]; /* the one, or the last */
  clvgg_tune_progress progress;
  int wish; /* of the application: 0 go on, 1 end early, 2 end now */
  bool asked_to_stop, done;
  tuning_plan plan; /* as far as the worker told it */
} tuner;

static double seconds_since(const tuner *t) {
  return (device_host_ms() - t->start_ms) / 1e3;
}

/* A database that fails now has said so to the log: tuning goes on for what can still be learned. */
static void keep(tuner *t, clvgg_status status) {
  if (!status) return;
  base_log("tuning: %s", clvgg_last_error());
  t->report->stored = 0;
}

static void keep_event(tuner *t, double ms, double best_ms) {
  tuning_event event = {
      .session = t->session, .number = t->events++, .seconds = seconds_since(t), .ms = ms, .best_ms = best_ms};
  memcpy(event.network, t->network, sizeof t->network);
  if (t->candidate[ALGORITHM][0])
    snprintf(event.candidate, sizeof event.candidate, "%.120s | %.60s | %.120s", t->candidate[PROBLEM],
             t->candidate[ALGORITHM], t->candidate[PARAMS]);
  keep(t, tuning_record_event(t->db, &t->key, &event));
}

static void keep_time(tuner *t, char *const *fields, bool alone, double seconds) {
  tuning_measurement row;
  rows_measurement(fields[PROBLEM], fields[ALGORITHM], fields[PARAMS], alone, &row);
  row.seconds = seconds;
  row.session = t->session;
  keep(t, tuning_record(t->db, &t->key, &row));
}

static tuning_state state_of(const char *fault) {
  for (int state = TUNING_OK; state <= TUNING_WRONG; state++)
    if (strcmp(tuning_state_name((tuning_state)state), fault) == 0) return (tuning_state)state;
  return TUNING_ERROR;
}

static void keep_fault(tuner *t, const char *fault, const char *why) {
  tuning_measurement row;
  rows_measurement(t->candidate[PROBLEM], t->candidate[ALGORITHM], t->candidate[PARAMS], false, &row);
  row.state = state_of(fault);
  row.session = t->session;
  snprintf(row.reason, sizeof row.reason, "%s", why);
  keep(t, tuning_record(t->db, &t->key, &row));
  keep_event(t, 0, 0);
  t->progress.failed++;
  base_log("tuning: %s [%s] on %s: %s: %s", row.algorithm, row.parameters, row.problem, fault, why);
}

/* ---- what the worker says */

static clvgg_status on_candidate(tuner *t, char *const *f, bool begin) {
  double alone_ms = 0;
  if (begin) {
    for (int i = 0; i < CANDIDATE_FIELDS; i++) snprintf(t->candidate[i], sizeof t->candidate[i], "%s", f[i]);
    snprintf(t->progress.candidate, sizeof t->progress.candidate, "%.90s [%.60s] on %.90s", f[ALGORITHM], f[PARAMS],
             f[PROBLEM]);
    t->busy = true;
    return CLVGG_OK;
  }
  if (!t->busy || !task_real_parse(f[5], &alone_ms)) return CLVGG_ERROR_FORMAT;
  t->busy = false;
  t->progress.tried++;
  if (f[3][0])
    keep_fault(t, f[3], f[4]);
  else if (alone_ms > 0) {
    keep_time(t, f, true, alone_ms / 1e3);
    keep_event(t, alone_ms, 0);
  }
  return CLVGG_OK;
}

static clvgg_status on_ran(tuner *t, const char *text) {
  double ms;
  if (!task_real_parse(text, &ms)) return CLVGG_ERROR_FORMAT;
  if (t->progress.untuned_ms == 0) t->progress.untuned_ms = ms;
  if (t->progress.best_ms == 0 || ms < t->progress.best_ms) t->progress.best_ms = ms;
  t->candidate[ALGORITHM][0] = t->progress.candidate[0] = '\0';
  keep_event(t, ms, t->progress.best_ms);
  return CLVGG_OK;
}

/* Says why a plan is not taken; "" when it is. */
static void judge(const clvgg_tune_report *r, bool right, bool other, char *why, size_t bytes) {
  why[0] = '\0';
  if (!right)
    snprintf(why, bytes, "logits differ by %.3g of the largest from those without tuning", r->logits_error);
  else if (!other)
    snprintf(why, bytes, "nothing faster was found");
}

static clvgg_status on_verdict(tuner *t, char *const *f) {
  clvgg_tune_report *r = t->report;
  if (!task_real_parse(f[0], &r->ms) || !task_real_parse(f[1], &r->untuned_ms) || !task_real_parse(f[2], &r->ratio) ||
      !task_real_parse(f[3], &r->logits_error) || !t->plan.steps[0])
    return CLVGG_ERROR_FORMAT;
  judge(r, strcmp(f[4], "1") == 0, strcmp(f[5], "other") == 0, r->reason, sizeof r->reason);
  r->accepted = r->reason[0] == '\0';
  t->plan.ms = r->accepted ? r->ms : r->untuned_ms;
  t->plan.untuned_ms = r->untuned_ms;
  t->plan.logits_error = r->logits_error;
  t->plan.state = r->accepted ? TUNING_ACCEPTED : TUNING_REJECTED;
  t->plan.source = TUNING_MEASURED;
  t->plan.session = t->session;
  memcpy(t->plan.network, t->network, sizeof t->network);
  memcpy(t->plan.reason, r->reason, sizeof t->plan.reason);
  keep(t, tuning_record_plan(t->db, &t->key, &t->plan));
  return CLVGG_OK;
}

static clvgg_status on_failed(const char *number, const char *text) {
  const int status = atoi(number);
  return base_fail(status > CLVGG_OK && status <= CLVGG_ERROR_MISMATCH ? (clvgg_status)status : CLVGG_ERROR_DEVICE,
                   "%s", text);
}

/* What a line of each word must have, and what becomes of it. CLVGG_ERROR_FORMAT: the worker talks nonsense. */
static clvgg_status on_line(tuner *t, char *line, bool *failed) {
  char *f[TASK_MOST_FIELDS];
  size_t count = 0;
  double peaks[2];
  TRY(message_split(line, f, TASK_MOST_FIELDS, &count));
  const char *word = f[0];
  if (strcmp(word, "begin") == 0 && count == 4) return on_candidate(t, f + 1, true);
  if (strcmp(word, "ended") == 0 && count == 7) return on_candidate(t, f + 1, false);
  if (strcmp(word, "ran") == 0 && count == 2) return on_ran(t, f[1]);
  if (strcmp(word, "alive") == 0) return CLVGG_OK;
  if (strcmp(word, "timed") == 0 && count == 5 && task_real_parse(f[4], &peaks[0])) {
    if (peaks[0] > 0) keep_time(t, f + 1, false, peaks[0]);
    return CLVGG_OK;
  }
  if (strcmp(word, "peaks") == 0 && count == 3 && task_real_parse(f[1], &peaks[0]) &&
      task_real_parse(f[2], &peaks[1])) {
    keep(t, tuning_record_peaks(t->db, &t->key, peaks[0], peaks[1]));
    return CLVGG_OK;
  }
  if (strcmp(word, "plan") == 0 && count == 2 && strlen(f[1]) < sizeof t->plan.steps) {
    snprintf(t->plan.steps, sizeof t->plan.steps, "%s", f[1]);
    return CLVGG_OK;
  }
  if (strcmp(word, "verdict") == 0 && count == 7) return on_verdict(t, f + 1);
  if (strcmp(word, "failed") == 0 && count == 3) {
    *failed = true;
    return on_failed(f[1], f[2]);
  }
  t->done = strcmp(word, "done") == 0;
  return t->done ? CLVGG_OK : CLVGG_ERROR_FORMAT;
}

/* ---- the worker */

static clvgg_status send_line(const char *line, void *user) {
  tuner *t = user;
  return worker_send(t->worker, SEND_MS, line) ? CLVGG_ERROR_DEVICE : CLVGG_OK;
}

/* What is known by now: earlier sessions' rows and this one's. */
static clvgg_status refresh_known(tuner *t) {
  tuning_measurement *rows = NULL;
  size_t count = 0;
  t->task.known_count = 0;
  keep(t, tuning_list(t->db, &t->key, &rows, &count));
  clvgg_status status = rows_known(rows, count, &t->task);
  for (size_t i = 0; i < t->faults.known_count && !status; i++) status = task_know(&t->task, &t->faults.known[i]);
  free(rows);
  return status;
}

static clvgg_status start_worker(tuner *t) {
  char path[4096];
  if (t->options->program)
    snprintf(path, sizeof path, "%s", t->options->program);
  else
    TRY(worker_program(path, sizeof path));
  TRY(refresh_known(t));
  if (t->report->restarts == 0) t->report->known = t->task.known_count;
  TRY(preset_suggest(t->dev, t->layers, t->layer_count, &t->task));
  const double spent_ms = device_host_ms() - t->start_ms, budget_ms = t->options->budget_seconds * 1e3;
  t->task.budget_ms = budget_ms > 0 ? fmax(budget_ms - spent_ms, 1) : 0;
  const char *const argv[] = {path, CLVGG_TUNE_WORKER_ARGUMENT, NULL};
  const char *const environment[] = {"CLVGG_CACHE_MB=0", NULL}; /* hundreds of kernels that nobody will run again */
  TRY(worker_start(argv, environment, &t->worker));
  t->asked_to_stop = false;
  /* One that ends meanwhile is told apart when its answer is waited for. */
  if (task_write(&t->task, send_line, t) == CLVGG_OK) (void)send_line("go", t);
  return CLVGG_OK;
}

/* The worker is of no use any more: why, and whether a candidate is to blame. */
static clvgg_status blame(tuner *t, worker_outcome outcome, double silent_ms) {
  worker_ending ending;
  char how[120], why[256];
  worker_get_ending(t->worker, &ending);
  worker_describe(&ending, how, sizeof how);
  const size_t words = strlen(ending.last_words);
  const char *last = words > 100 ? ending.last_words + words - 100 : ending.last_words;
  if (outcome == WORKER_TIMED_OUT)
    snprintf(why, sizeof why, "no answer for %.0f s", silent_ms / 1e3);
  else
    snprintf(why, sizeof why, "%s%s%.100s", outcome == WORKER_GARBAGE ? "it talks nonsense" : how, words ? ": " : "",
             last);
  worker_end(&t->worker);
  t->report->restarts++;
  if (t->busy) {
    t->busy = false;
    t->progress.tried++;
    keep_fault(t, outcome == WORKER_TIMED_OUT ? "hang" : "crash", why);
    return CLVGG_OK;
  }
  base_log("tuning: the worker failed beside any candidate: %s", why);
  if (++t->blameless <= MOST_BLAMELESS) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_DEVICE, "device '%s': the process that tunes failed %zu times: %s", t->dev->name,
                   t->blameless, why);
}

/* Lets the application look at it, and take its wish. */
static void show(tuner *t) {
  t->progress.seconds = seconds_since(t);
  if (t->options->progress) {
    const int wish = t->options->progress(&t->progress, t->options->progress_user);
    if (wish > t->wish) t->wish = wish;
  }
  if (t->wish == 1 && !t->asked_to_stop) {
    t->asked_to_stop = true;
    (void)send_line("stop", t);
  }
}

/* Until the worker is done, ends, or is given up. */
static clvgg_status attend(tuner *t) {
  double silent_ms = 0;
  while (!t->done && t->wish < 2) {
    char line[MESSAGE_BYTES];
    bool failed = false;
    const worker_outcome outcome = worker_receive(t->worker, TURN_MS, line);
    show(t);
    if (outcome == WORKER_TIMED_OUT) {
      silent_ms += TURN_MS;
      const double limit_ms = t->options->timeout_seconds * 1e3 * (t->busy ? 1 : QUIET_FACTOR);
      if (silent_ms > limit_ms) return blame(t, outcome, silent_ms);
      continue;
    }
    if (outcome != WORKER_OK) return blame(t, outcome, silent_ms);
    silent_ms = 0;
    const clvgg_status status = on_line(t, line, &failed);
    if (failed) return status;
    if (status) return blame(t, WORKER_GARBAGE, 0);
  }
  return CLVGG_OK;
}

/* A worker after another, each without the candidates that ended those before. */
static clvgg_status work(tuner *t) {
  clvgg_status status = CLVGG_OK;
  while (!t->done && t->wish < 2 && !status) {
    status = start_worker(t);
    if (!status) status = attend(t);
    worker_end(&t->worker);
  }
  return status;
}

static clvgg_status make_task(tuner *t, const network *net) {
  const clvgg_engine_options *wishes = t->options->engine;
  snprintf(t->task.device_id, sizeof t->task.device_id, "%s", t->dev->id);
  snprintf(t->task.device_name, sizeof t->task.device_name, "%s", t->dev->name);
  t->task.options = *wishes;
  if (wishes->preprocess) t->task.preprocess = *wishes->preprocess;
  t->task.exhaustive = t->options->exhaustive != 0;
  snprintf(t->task.layer, sizeof t->task.layer, "%s", t->options->layer ? t->options->layer : "");
  t->task.layers = calloc(net->layer_count, sizeof *t->task.layers);
  if (!t->task.layers) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu layers", net->layer_count);
  t->task.layer_count = net->layer_count;
  for (size_t i = 0; i < net->layer_count; i++) {
    memcpy(t->task.layers[i].name, net->layers[i].name, sizeof t->task.layers[i].name);
    t->task.layers[i].shape = net->layers[i].shape;
  }
  return CLVGG_OK;
}

/* The layer must be one, or nothing would be looked at. */
static clvgg_status check_layer(const char *wanted, const layer *layers, size_t count) {
  if (!wanted) return CLVGG_OK;
  for (size_t i = 0; i < count; i++) {
    layer_shape pooled;
    char both[2 * sizeof layers[i].name] = "";
    if (plan_pooled_shape(layers, count, i, &pooled))
      snprintf(both, sizeof both, "%s+%s", layers[i].name, layers[i + 1].name);
    if (strcmp(wanted, layers[i].name) == 0 || strcmp(wanted, both) == 0) return CLVGG_OK;
  }
  return base_fail(CLVGG_ERROR_ARGUMENT, "the network has no layer '%.60s'; its first is %s", wanted, layers[0].name);
}

static clvgg_status prepare(tuner *t, const network *net) {
  TRY(engine_layers(net, t->options->engine, &t->pixels, &t->layers, &t->layer_count));
  TRY(check_layer(t->options->layer, t->layers, t->layer_count));
  rows_network(t->layers, t->layer_count, t->options->engine, t->network);
  TRY(make_task(t, net));
  rows_key(t->dev, &t->key);
  TRY(tuning_open(NULL, &t->db));
  t->report->stored = tuning_is_stored(t->db, NULL);
  if (t->options->fresh) TRY(rows_forget(t->db, &t->key));
  keep(t, tuning_session_begin(t->db, &t->session));
  return CLVGG_OK;
}

clvgg_status tuner_run(const clvgg_device_info *dev, const network *net, const clvgg_tune_options *options,
                       clvgg_tune_report *out) {
  *out = (clvgg_tune_report){.ratio = 1};
  tuner t = {.dev = dev, .options = options, .report = out, .start_ms = device_host_ms()};
  t.progress.budget_seconds = options->budget_seconds;
  clvgg_status status = prepare(&t, net);
  if (!status) status = work(&t);
  worker_end(&t.worker);
  tuning_close(&t.db);
  task_free(&t.task);
  task_free(&t.faults);
  free(t.layers);
  out->seconds = seconds_since(&t);
  out->tried = t.progress.tried;
  out->failed = t.progress.failed;
  if (!status && !t.done) snprintf(out->reason, sizeof out->reason, "ended before plans were compared");
  return status;
}
