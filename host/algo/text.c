/* Writes and reads problems and parameters as text. */
#include "algo/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *algo_problem_text(const algo_problem *p, char *out) {
  const layer_shape *s = &p->shape;
  snprintf(out, ALGO_PROBLEM_BYTES, "%s %zux%zux%zu %zux%zux%zu%s%s b%zu k%zu", layer_op_name(s->op), s->in.c, s->in.h,
           s->in.w, s->out.c, s->out.h, s->out.w, s->relu ? " relu" : "", s->pool ? " pool" : "", p->batch, p->block);
  return out;
}

/* A decimal number at *at, which moves behind it. */
static bool read_size(const char **at, size_t *out) {
  if (**at < '0' || **at > '9') return false;
  char *end = NULL;
  errno = 0;
  const unsigned long long value = strtoull(*at, &end, 10);
  if (errno || value > SIZE_MAX) return false;
  *at = end;
  *out = (size_t)value;
  return true;
}

static bool skip(const char **at, const char *word) {
  const size_t length = strlen(word);
  if (strncmp(*at, word, length) != 0) return false;
  *at += length;
  return true;
}

static bool read_shape(const char **at, shape3 *out) {
  return read_size(at, &out->c) && skip(at, "x") && read_size(at, &out->h) && skip(at, "x") && read_size(at, &out->w);
}

static bool read_op(const char **at, layer_op *out) {
  for (int op = LAYER_CONV; op <= LAYER_CONVERT; op++) {
    const char *name = layer_op_name((layer_op)op);
    const size_t length = strlen(name);
    if (strncmp(*at, name, length) != 0 || (*at)[length] != ' ') continue;
    *at += length;
    *out = (layer_op)op;
    return true;
  }
  return false;
}

bool algo_problem_parse(const char *text, algo_problem *out) {
  algo_problem p = {.batch = 0};
  const char *at = text;
  if (!read_op(&at, &p.shape.op) || !skip(&at, " ") || !read_shape(&at, &p.shape.in) || !skip(&at, " ") ||
      !read_shape(&at, &p.shape.out))
    return false;
  p.shape.relu = skip(&at, " relu");
  p.shape.pool = skip(&at, " pool");
  if (!skip(&at, " b") || !read_size(&at, &p.batch) || !skip(&at, " k") || !read_size(&at, &p.block) || *at)
    return false;
  /* Only what is written the same way: one problem has one text. */
  char again[ALGO_PROBLEM_BYTES];
  if (strcmp(algo_problem_text(&p, again), text) != 0) return false;
  *out = p;
  return true;
}

bool algo_params_parse(const algo *a, const char *text, int *out) {
  int param[ALGO_MAX_PARAMS] = {0};
  const char *at = text;
  for (size_t i = 0; a->params && a->params[i].name; i++) {
    size_t value = 0;
    if ((i > 0 && !skip(&at, " ")) || !skip(&at, a->params[i].name) || !skip(&at, "=") || !read_size(&at, &value) ||
        value > INT_MAX)
      return false;
    param[i] = (int)value;
  }
  if (*at) return false;
  /* One set of parameters has one text, too. */
  char again[ALGO_PARAMS_BYTES];
  if (strcmp(algo_params_text(a, param, again, sizeof again), text) != 0) return false;
  memcpy(out, param, sizeof param);
  return true;
}
