/* Accuracy beside f32 as JSON, as cells of a table, and as a line. */
#include "accuracy.h"

#include <stdio.h>

#include "output.h"

/* Whether the figures are the running plan's. */
static int are_own(const clvgg_accuracy *a) {
  return a->images && a->state == CLVGG_ACCURACY_PASSED;
}

json_t *accuracy_json(const clvgg_accuracy *a) {
  json_t *o = json_object();
  const int compared = a->images > 0, exact = a->state == CLVGG_ACCURACY_EXACT;
  json_object_set_new(o, "precision", json_text(clvgg_precision_name(a->compared)));
  json_object_set_new(o, "rel_l2", compared || exact ? json_number(a->rel_l2) : json_null());
  json_object_set_new(o, "max_rel", compared || exact ? json_number(a->max_rel) : json_null());
  json_object_set_new(o, "limit", json_number(a->limit));
  json_object_set_new(o, "top1_agree", compared ? json_integer((json_int_t)a->top1_agree) : json_null());
  json_object_set_new(o, "top5_agree", compared ? json_integer((json_int_t)a->top5_agree) : json_null());
  json_object_set_new(o, "images", json_integer((json_int_t)a->images));
  json_object_set_new(o, "samples", json_text(a->samples));
  json_object_set_new(
      o, "passed",
      a->state == CLVGG_ACCURACY_UNCHECKED ? json_null() : json_boolean(a->state != CLVGG_ACCURACY_REFUSED));
  json_object_set_new(o, "reason", json_text(a->reason));
  return o;
}

void accuracy_cells(table *t, const clvgg_accuracy *a) {
  table_cell(t, "%s", clvgg_precision_name(a->precision));
  if (!are_own(a)) {
    table_cell(t, a->state == CLVGG_ACCURACY_UNCHECKED ? "?" : "-");
    table_cell(t, "-");
    table_cell(t, "-");
    return;
  }
  table_cell(t, "%.1e", a->rel_l2);
  table_cell(t, "%zu/%zu", a->top1_agree, a->images);
  table_cell(t, "%zu/%zu", a->top5_agree, a->images);
}

char *accuracy_text(const clvgg_accuracy *a, char out[ACCURACY_TEXT_BYTES]) {
  const char *name = clvgg_precision_name(a->precision);
  const char *before = a->reason[0] ? "; " : "";
  switch (a->state) {
    case CLVGG_ACCURACY_REFUSED:
      snprintf(out, ACCURACY_TEXT_BYTES, "%s is used, not %s", name, a->reason);
      break;
    case CLVGG_ACCURACY_UNCHECKED:
      snprintf(out, ACCURACY_TEXT_BYTES, "%s, not compared with f32: %s", name, a->reason);
      break;
    case CLVGG_ACCURACY_EXACT:
      snprintf(out, ACCURACY_TEXT_BYTES, "%s%s%s", name, before, a->reason);
      break;
    case CLVGG_ACCURACY_PASSED:
      snprintf(out, ACCURACY_TEXT_BYTES,
               "%s, error %.1e of f32's logits (limit %.0e), top-1 as f32 %zu/%zu, top-5 %zu/%zu (%s images)%s%s", name,
               a->rel_l2, a->limit, a->top1_agree, a->images, a->top5_agree, a->images, a->samples, before, a->reason);
      break;
  }
  return out;
}
