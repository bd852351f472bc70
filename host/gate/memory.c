/* Figures of accuracy as a verdict's text and back. */
#include "gate/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/parallel.h"
#include "gate/limits.h"
#include "plan/steps.h"

/* ---- digests */

/* A part of a tensor: large ones are read by all processors. */
#define PART_BYTES ((size_t)8 << 20)

typedef struct part {
  const char *data;
  size_t bytes;
  uint64_t digest;
} part;

static void digest_part(size_t i, void *context) {
  part *p = (part *)context + i;
  p->digest = hash_block(p->data, p->bytes);
}

static uint64_t digest_tensor(uint64_t digest, const tensor *t) {
  const size_t count = t->bytes / PART_BYTES + 1;
  part *parts = calloc(count, sizeof *parts);
  if (!parts) return hash_bytes(digest, t->data, t->bytes); /* another value, which is known to nobody */
  for (size_t i = 0; i < count; i++) {
    const size_t from = i * PART_BYTES;
    parts[i] = (part){.data = (const char *)t->data + from,
                      .bytes = t->bytes - from < PART_BYTES ? t->bytes - from : PART_BYTES};
  }
  parallel_for(count, digest_part, parts);
  for (size_t i = 0; i < count; i++) digest = hash_bytes(digest, &parts[i].digest, sizeof parts[i].digest);
  free(parts);
  return digest;
}

uint64_t memory_weights(const layer *layers, size_t count) {
  uint64_t digest = HASH_START;
  for (size_t i = 0; i < count; i++) {
    const layer *l = &layers[i];
    const size_t row = l->shape.out.c * sizeof(float);
    if (!l->weight) continue;
    digest = hash_bytes(digest, &l->weight->dtype, sizeof l->weight->dtype);
    digest = digest_tensor(digest, l->weight);
    if (l->scale) digest = hash_bytes(digest, l->scale, row);
    if (l->bias) digest = hash_bytes(digest, l->bias, row);
  }
  return digest;
}

uint64_t memory_plan(uint64_t digest, const plan *p) {
  char steps[PLAN_STEPS_BYTES] = "";
  (void)plan_steps_text(p, steps, sizeof steps);
  return hash_bytes(digest, steps, strlen(steps) + 1);
}

void memory_case(const char *name, uint64_t weights, uint64_t plans, uint64_t images, char out[MEMORY_CASE_BYTES]) {
  snprintf(out, MEMORY_CASE_BYTES, "precision of %s, weights %016" PRIx64 ", plan %016" PRIx64 ", images %016" PRIx64,
           name, weights, plans, images);
}

/* ---- figures. Numbers that are not whole are a double's bits, whatever an application's locale has for a decimal point. */

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static double of_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

bool memory_find(const verdicts *v, const char *what, clvgg_accuracy *out) {
  char why[VERDICTS_WHY_BYTES], precision[8];
  uint64_t rel_l2, max_rel;
  bool ok;
  int reason = 0;
  *out = (clvgg_accuracy){.compared = CLVGG_PRECISION_F32};
  if (!v || !verdicts_find(v, what, &ok, why)) return false;
  if (sscanf(why, "%7s %" SCNx64 " %" SCNx64 " %zu %zu %zu %zu %zu %15s %n", precision, &rel_l2, &max_rel, &out->images,
             &out->top1_agree, &out->top5_agree, &out->top1_decided, &out->top5_decided, out->samples, &reason) != 9 ||
      reason == 0)
    return false;
  const char *name = clvgg_precision_name(out->compared);
  while (name && strcmp(name, precision) != 0) name = clvgg_precision_name(++out->compared);
  if (!name || out->compared == CLVGG_PRECISION_AUTO) return false;
  if (strcmp(out->samples, "-") == 0) out->samples[0] = '\0';
  out->state = !ok                                    ? CLVGG_ACCURACY_REFUSED
               : out->compared == CLVGG_PRECISION_F32 ? CLVGG_ACCURACY_EXACT
                                                      : CLVGG_ACCURACY_PASSED;
  out->rel_l2 = of_bits(rel_l2);
  out->max_rel = of_bits(max_rel);
  out->limit = limits_error(out->compared);
  snprintf(out->reason, sizeof out->reason, "%s", why + reason);
  return true;
}

void memory_add(verdicts *v, const char *what, const clvgg_accuracy *a) {
  char why[VERDICTS_WHY_BYTES + sizeof a->reason];
  if (!v) return;
  /* What is too long loses its end, which is the reason's. */
  snprintf(why, sizeof why, "%s %" PRIx64 " %" PRIx64 " %zu %zu %zu %zu %zu %s %s", clvgg_precision_name(a->compared),
           bits_of(a->rel_l2), bits_of(a->max_rel), a->images, a->top1_agree, a->top5_agree, a->top1_decided,
           a->top5_decided, a->samples[0] ? a->samples : "-", a->reason);
  verdicts_add(v, what, a->state != CLVGG_ACCURACY_REFUSED, why);
}
