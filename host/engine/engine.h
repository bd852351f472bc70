/* Binds a plan to a device: buffers, packed weights, kernels; runs batches and times layers. */
#ifndef CLVGG_ENGINE_ENGINE_H
#define CLVGG_ENGINE_ENGINE_H

#include "network/network.h"
#include "plan/plan.h"

typedef struct engine engine;

/* The device is retained; the network must outlive this call only for its layers' names and shapes, which are copied:
 * its weights are on the device afterwards. options: every field set, and preprocess valid where input is RGB8. */
clvgg_status engine_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out);
void engine_close(engine **e);

/* As the public calls of the same name; images are what the engine was opened for. */
bool engine_takes_rgb8(const engine *e);
clvgg_status engine_run(engine *e, const void *images, size_t n, float *logits);
clvgg_status engine_profile(engine *e, const void *images, size_t n, float *logits, clvgg_run_times *times);
clvgg_status engine_enqueue(engine *e, struct _cl_mem *images, size_t n, struct _cl_mem *logits, uint32_t wait_count,
                            struct _cl_event *const *wait, struct _cl_event **done);
void engine_get_info(const engine *e, clvgg_engine_info *out);
clvgg_status engine_get_layer(const engine *e, size_t index, clvgg_plan_layer *out);

#endif
