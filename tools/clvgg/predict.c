/* The pipeline from image files to answers.
 *
 * Threads take the images in turn and decode image i into slot i % slots; they stay less than `slots` images ahead of
 * the main thread, which takes the slots in order, gathers a batch, and runs it while the threads decode on. */
#include "predict.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_BYTES 1024

typedef struct slot {
  uint8_t *pixels; /* (height, width, 3) */
  int ready;
  char error[ERROR_BYTES]; /* "" when pixels are good */
} slot;

typedef struct pipeline {
  predictor *p;
  char *const *paths, *const *known_errors;
  size_t count, image_bytes;
  slot *slots;
  size_t slot_count;
  pthread_mutex_t lock; /* guards what follows and every slot's ready */
  pthread_cond_t changed;
  size_t next;  /* the image that a thread takes next */
  size_t taken; /* images that the main thread is done with */
  int stop;
} pipeline;

static void decode(const pipeline *line, size_t index, slot *s) {
  const char *known = line->known_errors ? line->known_errors[index] : NULL;
  s->error[0] = 0;
  if (known)
    snprintf(s->error, sizeof s->error, "%s", known);
  else if (clvgg_image_load_rgb8(line->paths[index], &line->p->preprocess, s->pixels))
    snprintf(s->error, sizeof s->error, "%s", clvgg_last_error());
}

static void *decode_images(void *user) {
  pipeline *line = user;
  pthread_mutex_lock(&line->lock);
  while (!line->stop && line->next < line->count) {
    if (line->next >= line->taken + line->slot_count) {
      pthread_cond_wait(&line->changed, &line->lock);
      continue;
    }
    size_t index = line->next++;
    slot *s = &line->slots[index % line->slot_count];
    pthread_mutex_unlock(&line->lock);
    decode(line, index, s);
    pthread_mutex_lock(&line->lock);
    s->ready = 1;
    pthread_cond_broadcast(&line->changed);
  }
  pthread_mutex_unlock(&line->lock);
  return NULL;
}

/* Copies image index into pixels. Returns NULL or the error's text, which the caller frees. */
static char *take(pipeline *line, size_t index, uint8_t *pixels) {
  slot *s = &line->slots[index % line->slot_count];
  pthread_mutex_lock(&line->lock);
  while (!s->ready) pthread_cond_wait(&line->changed, &line->lock);
  pthread_mutex_unlock(&line->lock);
  char *error = s->error[0] ? cli_copy(s->error) : NULL;
  if (!error) memcpy(pixels, s->pixels, line->image_bytes);
  pthread_mutex_lock(&line->lock);
  s->ready = 0;
  line->taken = index + 1;
  pthread_cond_broadcast(&line->changed);
  pthread_mutex_unlock(&line->lock);
  return error;
}

static int run_batches(pipeline *line, predict_fn fn, void *user) {
  size_t batch = line->p->batch, classes = line->p->model_info.classes;
  uint8_t *pixels = cli_alloc(batch, line->image_bytes);      /* (batch, height, width, 3) */
  float *logits = cli_alloc(batch, classes * sizeof *logits); /* (batch, classes) */
  char **errors = cli_alloc(batch, sizeof *errors);
  int code = CLI_DONE;
  for (size_t first = 0; first < line->count && code == CLI_DONE; first += batch) {
    size_t members = line->count - first < batch ? line->count - first : batch, good = 0;
    for (size_t i = 0; i < members; i++) {
      errors[i] = take(line, first + i, pixels + good * line->image_bytes);
      good += !errors[i];
    }
    if (good && clvgg_engine_run_rgb8(line->p->engine, pixels, good, logits)) code = cli_library_error();
    for (size_t i = 0, answer = 0; i < members; i++) {
      if (code == CLI_DONE &&
          fn(first + i, i + 1 < members, errors[i], errors[i] ? NULL : logits + answer * classes, user))
        code = CLI_FAILED;
      answer += !errors[i];
      free(errors[i]);
    }
  }
  free(errors);
  free(logits);
  free(pixels);
  return code;
}

int predict(predictor *p, char *const *paths, char *const *known_errors, size_t count, predict_fn fn, void *user) {
  pipeline line = {.p = p, .paths = paths, .known_errors = known_errors, .count = count};
  size_t threads = p->threads < count ? p->threads : count, started = 0;
  const clvgg_preprocess *pre = &p->preprocess;
  line.image_bytes = (size_t)3 * pre->height * pre->width; /* sides are at most 8192: see MAX_SIDE */
  line.slot_count = p->batch + threads;                    /* a whole batch waits while the device works */
  if (line.slot_count > count) line.slot_count = count ? count : 1;
  line.slots = cli_alloc(line.slot_count, sizeof *line.slots);
  for (size_t i = 0; i < line.slot_count; i++) line.slots[i].pixels = cli_alloc(line.image_bytes, 1);
  pthread_mutex_init(&line.lock, NULL);
  pthread_cond_init(&line.changed, NULL);

  pthread_t *ids = cli_alloc(threads, sizeof *ids);
  while (started < threads && !pthread_create(&ids[started], NULL, decode_images, &line)) started++;
  int code = CLI_FAILED;
  if (count && !started)
    cli_error("cannot start a thread to decode images");
  else
    code = run_batches(&line, fn, user);
  pthread_mutex_lock(&line.lock);
  line.stop = 1;
  pthread_cond_broadcast(&line.changed);
  pthread_mutex_unlock(&line.lock);
  for (size_t i = 0; i < started; i++) pthread_join(ids[i], NULL);

  free(ids);
  pthread_cond_destroy(&line.changed);
  pthread_mutex_destroy(&line.lock);
  for (size_t i = 0; i < line.slot_count; i++) free(line.slots[i].pixels);
  free(line.slots);
  return code;
}
