/*
 * What a worker is to tune, as the lines in which it is told. Fields are separated by tabs (process/message.h):
 *
 *     version   VERSION                                       of the library that asks: another one's worker refuses
 *     device    ID  NAME
 *     options   BATCH HEIGHT WIDTH SOFTMAX PRECISION MEMORY INPUT
 *     pixels    BGR MEAN*3 STD*3                                  only where the input is pixels
 *     layer     NAME PROBLEM                                      each, in their order; algo/text.h, with batch 1 and block 1
 *     search    BUDGET_MS EXHAUSTIVE LAYER                        LAYER "" for all
 *     known     PROBLEM ALGORITHM PARAMETERS FAULT ALONE_MS SECONDS    each, what earlier sessions found
 *     go
 *
 * Numbers that are not whole are a double's bits in 16 hexadecimal digits: they arrive as they are, whatever an application's locale has
 * for a decimal point.
 *
 * Later "stop" asks for an early end. The answers are in side.h.
 */
#ifndef CLVGG_TUNE_TASK_H
#define CLVGG_TUNE_TASK_H

#include <stdarg.h>

#include "network/stand_in.h"
#include "process/message.h"
#include "tune/search.h"

typedef struct tune_known {
  const algo *algo;
  algo_problem problem;
  int param[ALGO_MAX_PARAMS];
  candidate_fault fault;
  double alone_ms, seconds; /* 0: not known */
} tune_known;

typedef struct tune_task {
  char device_id[16], device_name[256];
  clvgg_engine_options options; /* algorithm and preprocess not set */
  clvgg_preprocess preprocess;  /* mean, std and bgr, for pixels */
  stand_in_layer *layers;
  size_t layer_count;
  double budget_ms;
  bool exhaustive;
  char layer[64]; /* "": all */
  tune_known *known;
  size_t known_count;
} tune_task;

/* Calls send with every line but "go"; ends with its first failure. */
clvgg_status task_write(const tune_task *task, clvgg_status (*send)(const char *line, void *user), void *user);
/* One such line, split into its fields. CLVGG_ERROR_FORMAT for what is none. */
clvgg_status task_read(tune_task *task, char *const *fields, size_t count);
clvgg_status task_know(tune_task *task, const tune_known *one);
void task_free(tune_task *task);

#define TASK_MOST_FIELDS 12

/* The line of a word and count more fields, each a const char *; fewer than TASK_MOST_FIELDS. */
clvgg_status task_line(char line[MESSAGE_BYTES], const char *word, size_t count, va_list list);

#define TASK_REAL_BYTES 17
/* Returns out. */
char *task_real_text(double value, char out[TASK_REAL_BYTES]);
/* False for what is no such text, or not finite. */
bool task_real_parse(const char *text, double *out);

#endif
