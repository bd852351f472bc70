/* The pipeline from image files to answers.
 *
 * Threads take the images in turn and decode them into the batch that is being filled. Each device has a thread that takes the next full
 * batch and runs it, while others are decoded: there are two batches for each device, and one more. The main thread hands the
 * answers out in the images' order. A batch that a device failed with is taken by another one. */
#include "predict.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum batch_state { BATCH_FREE, BATCH_FILLING, BATCH_READY, BATCH_RUNNING } batch_state;

typedef struct batch_buffer {
  uint8_t *pixels; /* (batch, height, width, 3) */
  batch_state state;
  size_t number, members; /* the batch's place among all, and its images */
  size_t missing;         /* members that are not decoded yet */
  size_t good;            /* when ready: images that could be read; their pixels are the first ones */
} batch_buffer;

typedef struct batch_answer {
  int done;
  float *logits; /* (good, classes) */
} batch_answer;

typedef struct pipeline {
  predictor *p;
  char *const *paths, *const *known_errors;
  size_t count, batches, image_bytes;
  char **errors;          /* (count): NULL, or why an image cannot be read */
  pthread_mutex_t lock;   /* guards what follows, and the buffers but for pixels of those that are filled or run */
  pthread_cond_t changed; /* any of it */
  batch_buffer *buffers, *filling;
  size_t buffer_count;
  batch_answer *answers; /* (batches) */
  size_t next;           /* the image that a thread decodes next */
  size_t done;           /* batches */
  size_t devices;        /* that still work */
  int stop;
} pipeline;

/* A device's thread. */
typedef struct worker {
  pipeline *line;
  predictor_device *device;
  pthread_t id;
} worker;

/* ---- decoding */

/* The first of the buffers in a state, by their batches' numbers; NULL when there is none. */
static batch_buffer *first_buffer(pipeline *line, batch_state state) {
  batch_buffer *first = NULL;
  for (size_t i = 0; i < line->buffer_count; i++) {
    batch_buffer *b = &line->buffers[i];
    if (b->state == state && (!first || b->number < first->number)) first = b;
  }
  return first;
}

/* NULL, or why the image cannot be read: for free(). */
static char *decode(const pipeline *line, size_t index, uint8_t *pixels) {
  const char *known = line->known_errors ? line->known_errors[index] : NULL;
  if (known) return cli_copy(known);
  if (clvgg_image_load_rgb8(line->paths[index], &line->p->preprocess, pixels)) return cli_copy(clvgg_last_error());
  return NULL;
}

/* Moves the pixels of the images that could be read together. */
static void close_gaps(const pipeline *line, batch_buffer *b) {
  b->good = 0;
  for (size_t i = 0; i < b->members; i++) {
    if (line->errors[b->number * line->p->batch + i]) continue;
    if (b->good < i)
      memcpy(b->pixels + b->good * line->image_bytes, b->pixels + i * line->image_bytes, line->image_bytes);
    b->good++;
  }
}

/* The buffer for the next image, with the lock held; NULL: none is free. */
static batch_buffer *buffer_for_next(pipeline *line) {
  const size_t batch = line->p->batch;
  if (line->next % batch) return line->filling;
  batch_buffer *b = first_buffer(line, BATCH_FREE);
  if (!b) return NULL;
  b->state = BATCH_FILLING;
  b->number = line->next / batch;
  b->members = b->missing = line->count - line->next < batch ? line->count - line->next : batch;
  return line->filling = b;
}

static void *decode_images(void *user) {
  pipeline *line = user;
  pthread_mutex_lock(&line->lock);
  while (!line->stop && line->next < line->count) {
    batch_buffer *b = buffer_for_next(line);
    if (!b) {
      pthread_cond_wait(&line->changed, &line->lock);
      continue;
    }
    const size_t index = line->next++;
    pthread_mutex_unlock(&line->lock);
    line->errors[index] = decode(line, index, b->pixels + index % line->p->batch * line->image_bytes);
    pthread_mutex_lock(&line->lock);
    if (--b->missing) continue;
    close_gaps(line, b);
    b->state = BATCH_READY;
    pthread_cond_broadcast(&line->changed);
  }
  pthread_mutex_unlock(&line->lock);
  return NULL;
}

/* ---- running */

/* 1: *logits is (good, classes), or NULL when there is no good image. 0: the device failed and is not used again. */
static int run_batch(const pipeline *line, predictor_device *d, const batch_buffer *b, float **logits) {
  *logits = NULL;
  if (!b->good) return 1;
  const double start = cli_now();
  *logits = cli_alloc(b->good, line->p->model_info.classes * sizeof **logits);
  if (!clvgg_engine_run_rgb8(d->engine, b->pixels, b->good, *logits)) {
    d->images += b->good;
    d->seconds += cli_now() - start;
    return 1;
  }
  d->error = cli_copy(clvgg_last_error());
  free(*logits);
  return 0;
}

static void *run_batches(void *user) {
  worker *w = user;
  pipeline *line = w->line;
  pthread_mutex_lock(&line->lock);
  /* One that has nothing to do stays: another may fail. */
  while (!line->stop && line->done < line->batches && !w->device->error) {
    batch_buffer *b = first_buffer(line, BATCH_READY);
    if (!b) {
      pthread_cond_wait(&line->changed, &line->lock);
      continue;
    }
    b->state = BATCH_RUNNING;
    pthread_mutex_unlock(&line->lock);
    float *logits = NULL;
    const int right = run_batch(line, w->device, b, &logits);
    pthread_mutex_lock(&line->lock);
    if (right) {
      line->answers[b->number] = (batch_answer){1, logits};
      line->done++;
      b->state = BATCH_FREE;
    } else {
      b->state = BATCH_READY;
    }
    pthread_cond_broadcast(&line->changed);
  }
  line->devices--;
  pthread_cond_broadcast(&line->changed);
  pthread_mutex_unlock(&line->lock);
  return NULL;
}

/* ---- answers */

/* 1: the batch has its answer. 0: there is no device left to give it. */
static int wait_for(pipeline *line, size_t batch) {
  pthread_mutex_lock(&line->lock);
  while (!line->answers[batch].done && line->devices) pthread_cond_wait(&line->changed, &line->lock);
  const int done = line->answers[batch].done;
  pthread_mutex_unlock(&line->lock);
  return done;
}

static int hand_out(pipeline *line, predict_fn fn, void *user) {
  const size_t batch = line->p->batch, classes = line->p->model_info.classes;
  for (size_t k = 0; k < line->batches; k++) {
    if (!wait_for(line, k)) return CLI_FAILED;
    const size_t first = k * batch, end = line->count - first < batch ? line->count : first + batch;
    const float *logits = line->answers[k].logits;
    for (size_t i = first; i < end; i++) {
      const char *error = line->errors[i];
      if (fn(i, i + 1 < end, error, error ? NULL : logits, user)) return CLI_FAILED;
      if (!error) logits += classes;
    }
    free(line->answers[k].logits);
    line->answers[k].logits = NULL;
  }
  return CLI_DONE;
}

/* ---- all of it */

static void open_pipeline(pipeline *line) {
  const predictor *p = line->p;
  line->image_bytes = (size_t)3 * p->preprocess.height * p->preprocess.width; /* sides are at most 8192: see MAX_SIDE */
  line->batches = line->count / p->batch + (line->count % p->batch != 0);
  line->errors = cli_alloc(line->count, sizeof *line->errors);
  line->answers = cli_alloc(line->batches, sizeof *line->answers);
  line->buffer_count = p->device_count * 2 + 1;
  if (line->buffer_count > line->batches) line->buffer_count = line->batches;
  line->buffers = cli_alloc(line->buffer_count, sizeof *line->buffers);
  for (size_t i = 0; i < line->buffer_count; i++) line->buffers[i].pixels = cli_alloc(p->batch, line->image_bytes);
  pthread_mutex_init(&line->lock, NULL);
  pthread_cond_init(&line->changed, NULL);
}

static void close_pipeline(pipeline *line) {
  pthread_cond_destroy(&line->changed);
  pthread_mutex_destroy(&line->lock);
  for (size_t i = 0; i < line->buffer_count; i++) free(line->buffers[i].pixels);
  for (size_t i = 0; i < line->batches; i++) free(line->answers[i].logits);
  for (size_t i = 0; i < line->count; i++) free(line->errors[i]);
  free(line->buffers);
  free(line->answers);
  free(line->errors);
}

/* Says which devices failed; the only one says it as any other error. */
static void report_devices(predictor *p) {
  for (size_t i = 0; i < p->device_count; i++) {
    const predictor_device *d = &p->devices[i];
    if (!d->error) continue;
    p->lost++;
    if (p->device_count == 1)
      cli_error("%s", d->error);
    else
      cli_error("device %s failed after %zu images: %s", d->info.id, d->images, d->error);
  }
}

int predict(predictor *p, char *const *paths, char *const *known_errors, size_t count, predict_fn fn, void *user) {
  pipeline line = {.p = p, .paths = paths, .known_errors = known_errors, .count = count};
  const size_t threads = p->threads < count ? p->threads : count;
  size_t decoders = 0, workers = 0;
  open_pipeline(&line);
  pthread_t *ids = cli_alloc(threads, sizeof *ids);
  worker *all = cli_alloc(p->device_count, sizeof *all);
  pthread_mutex_lock(&line.lock); /* a device that ends at once is not the last while others are yet to start */
  while (decoders < threads && !pthread_create(&ids[decoders], NULL, decode_images, &line)) decoders++;
  for (; workers < p->device_count; workers++) {
    all[workers] = (worker){.line = &line, .device = &p->devices[workers]};
    if (pthread_create(&all[workers].id, NULL, run_batches, &all[workers])) break;
  }
  line.devices = workers;
  pthread_mutex_unlock(&line.lock);

  int code = CLI_FAILED;
  if (count && (!decoders || !workers))
    cli_error("cannot start the threads that decode images and run them");
  else
    code = hand_out(&line, fn, user);
  pthread_mutex_lock(&line.lock);
  line.stop = 1;
  pthread_cond_broadcast(&line.changed);
  pthread_mutex_unlock(&line.lock);
  for (size_t i = 0; i < decoders; i++) pthread_join(ids[i], NULL);
  for (size_t i = 0; i < workers; i++) pthread_join(all[i].id, NULL);
  report_devices(p);
  free(all);
  free(ids);
  close_pipeline(&line);
  return code;
}
