/* How an engine's accuracy beside f32 is shown. */
#ifndef CLVGG_TOOLS_ACCURACY_H
#define CLVGG_TOOLS_ACCURACY_H

#include <jansson.h>

#include "clvgg/clvgg.h"
#include "table.h"

/* An object: precision, rel_l2, max_rel, limit, top1_agree, top5_agree, images, samples, passed, reason. Figures are null where nothing was
 * compared. */
json_t *accuracy_json(const clvgg_accuracy *a);

/* Four cells: precision, error, top-1, top-5. */
void accuracy_cells(table *t, const clvgg_accuracy *a);

/* "f16w: the logits' error is 0.00016 of f32's, first class as in f32 for 20 of 20 images, ...". Returns out. */
#define ACCURACY_TEXT_BYTES 600
char *accuracy_text(const clvgg_accuracy *a, char out[ACCURACY_TEXT_BYTES]);

#endif
