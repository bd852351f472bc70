/* Makes the plans of several precisions. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "gate/internal.h"
#include "tune/tuned.h"

clvgg_precision gate_plan_precision(const plan *p) {
  static const clvgg_precision precisions[] = {[ALGO_F32] = CLVGG_PRECISION_F32,
                                               [ALGO_F24] = CLVGG_PRECISION_F24W,
                                               [ALGO_F16] = CLVGG_PRECISION_F16W,
                                               [ALGO_F16_MATH] = CLVGG_PRECISION_F16,
                                               [ALGO_BF16_MATH] = CLVGG_PRECISION_BF16};
  algo_form form = ALGO_F32;
  for (size_t i = 0; i < p->count; i++)
    if (p->steps[i].algo->form > form) form = p->steps[i].algo->form;
  return precisions[form];
}

/* Of a list of names those that are f32; the caller's to free. NULL: none is, or there is no memory. Unknown ones are reported later. */
static char *exact_names(const char *list) {
  char *names = list ? calloc(1, strlen(list) + 2) : NULL;
  size_t used = 0;
  for (const char *at = list; names && *at;) {
    at += strspn(at, ", ");
    const size_t length = strcspn(at, ", ");
    memcpy(names + used, at, length);
    names[used + length] = '\0';
    const algo *a = algo_find(names + used);
    if (length && (!a || a->form == ALGO_F32)) {
      used += length;
      names[used++] = ',';
    }
    at += length;
  }
  if (names) names[used] = '\0';
  if (used) return names;
  free(names);
  return NULL;
}

static clvgg_status make_candidate(const gate *g, clvgg_precision precision, gate_candidate *out) {
  clvgg_engine_options options = g->options;
  options.precision = precision;
  *out = (gate_candidate){.precision = precision, .stored = g->stored};
  return tuned_plan(g->dev, g->layers, g->count, &options, &out->stored, &out->plan);
}

clvgg_status gate_make_exact(gate *g) {
  if (g->exact.plan.count) return CLVGG_OK;
  if (g->options.precision == CLVGG_PRECISION_F32) return make_candidate(g, CLVGG_PRECISION_F32, &g->exact);
  /* Whoever names an algorithm allows its form; but what others are compared with has to be f32. */
  gate plain = *g;
  char *names = exact_names(g->options.algorithm);
  plain.options.algorithm = names;
  const clvgg_status status = make_candidate(&plain, CLVGG_PRECISION_F32, &g->exact);
  free(names);
  return status;
}

/* Of two precisions with the same plan the one that is asked for by the more exact name does. */
static bool is_new(const gate *g, const gate_candidate *one) {
  const uint64_t digest = memory_plan(HASH_START, &one->plan);
  bool is_new = digest != memory_plan(HASH_START, &g->exact.plan);
  for (size_t i = 0; i < g->other_count; i++) is_new = is_new && digest != memory_plan(HASH_START, &g->others[i].plan);
  return is_new;
}

clvgg_status gate_make_others(gate *g) {
  static const clvgg_precision all[] = {CLVGG_PRECISION_F24W, CLVGG_PRECISION_F16W, CLVGG_PRECISION_F16,
                                        CLVGG_PRECISION_BF16};
  const bool automatic = g->options.precision == CLVGG_PRECISION_AUTO;
  if (automatic) TRY(gate_make_exact(g));
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    gate_candidate *one = &g->others[g->other_count];
    if (!automatic && all[i] != g->options.precision) continue;
    TRY(make_candidate(g, all[i], one));
    if (!automatic || is_new(g, one))
      g->other_count++;
    else
      plan_free(&one->plan);
  }
  return CLVGG_OK;
}
