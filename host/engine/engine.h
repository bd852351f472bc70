/* Binds a plan to a device: buffers, packed weights, kernels; runs batches and times layers. */
#ifndef CLVGG_ENGINE_ENGINE_H
#define CLVGG_ENGINE_ENGINE_H

#include "network/network.h"
#include "plan/plan.h"

typedef struct engine engine;

/* The device is retained; the network must outlive this call only for its layers' names and shapes, which are copied:
 * its weights are on the device afterwards. options: every field set, and preprocess valid where input is RGB8. */
clvgg_status engine_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out);
/* The same with a plan that was made for these options, whose algorithms are trusted; it is taken over: *p is zeroed, on failure too. */
clvgg_status engine_open_plan(clvgg_device *dev, const network *net, const clvgg_engine_options *options, plan *p,
                              engine **out);
void engine_close(engine **e);

/* As the public calls of the same name; images are what the engine was opened for. */
bool engine_takes_rgb8(const engine *e);
clvgg_status engine_run(engine *e, const void *images, size_t n, float *logits);
clvgg_status engine_profile(engine *e, const void *images, size_t n, float *logits, clvgg_run_times *times);
clvgg_status engine_enqueue(engine *e, struct _cl_mem *images, size_t n, struct _cl_mem *logits, uint32_t wait_count,
                            struct _cl_event *const *wait, struct _cl_event **done);
void engine_get_info(const engine *e,
                     clvgg_engine_info *out); /* but for open_ms, of which an engine knows only the end */
clvgg_status engine_get_layer(const engine *e, size_t index, clvgg_plan_layer *out);

/* engine_run without a softmax at the end. */
clvgg_status engine_run_logits(engine *e, const void *images, size_t n, float *logits);

/* ---- for who makes plans by measuring an engine */

/* The layers that an engine with these options computes, an array that the caller frees on failure too; the first may point to
 * pixels. And what its plan keeps to. */
clvgg_status engine_layers(const network *net, const clvgg_engine_options *options, pixel_map *pixels, layer **layers,
                           size_t *count);
plan_options engine_wishes(const clvgg_engine_options *options);

/* Makes the engine run another plan of the same layers and batch, which it takes over: *p is zeroed, on failure too. Steps that
 * stay keep their kernels and weights; those that go are released before new ones are made. After a failure the engine takes
 * another plan, or is closed, and nothing else. */
clvgg_status engine_change_plan(engine *e, const layer *layers, plan *p);
/* The plan, and each step's device time in the last profiled run, (plan.count); negative before. */
const plan *engine_plan(const engine *e, const double **step_ms);

#endif
