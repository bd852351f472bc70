/* What the host halves of the algorithms share: state, kernels built from the parameter table, checks, group sizes. */
#include "algo/common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/rules.h"

clvgg_status algo_state_open(algo_instance *inst) {
  inst->state = calloc(1, sizeof(algo_state));
  return inst->state ? CLVGG_OK : base_fail(CLVGG_ERROR_MEMORY, "%s: no memory", inst->algo->name);
}

void algo_state_release(algo_instance *inst) {
  algo_state *state = algo_state_of(inst);
  if (!state) return;
  device_kernel_release(&state->prologue);
  device_kernel_release(&state->kernel);
  device_kernel_release(&state->epilogue);
  pack_release(inst->dev, &state->weights);
  free(state);
  inst->state = NULL;
}

clvgg_status algo_build_with(const algo_instance *inst, const char *source, const char *name, const char *more,
                             device_kernel *out) {
  char options[512] = "";
  size_t used = 0;
  for (size_t i = 0; inst->algo->params && inst->algo->params[i].name; i++)
    if (!inst->algo->params[i].launched)
      used += (size_t)snprintf(options + used, sizeof options - used, "%s-D%s=%d", used ? " " : "",
                               inst->algo->params[i].name, inst->param[i]);
  snprintf(options + used, sizeof options - used, "%s", more);
  return device_kernel_create(inst->dev, source, name, options, out);
}

clvgg_status algo_build(const algo_instance *inst, const char *source, const char *name, device_kernel *out) {
  return algo_build_with(inst, source, name, "", out);
}

clvgg_status algo_build_group(algo_instance *inst, const char *source, size_t dimensions) {
  return algo_build_group_with(inst, source, dimensions, "");
}

clvgg_status algo_build_group_with(algo_instance *inst, const char *source, size_t dimensions, const char *more) {
  device_kernel *kernel = &algo_state_of(inst)->kernel;
  for (;;) {
    char why[ALGO_WHY_BYTES] = "", params[128];
    if (!algo_supports(inst->algo, device_info(inst->dev), &inst->problem, inst->param, why))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s (%s): %s", inst->algo->name,
                       algo_params_text(inst->algo, inst->param, params, sizeof params), why);
    TRY(algo_build_with(inst, source, inst->algo->name, more, kernel));
    size_t items = 1, larger = dimensions;
    for (size_t i = 0; i < dimensions; i++) {
      items *= (size_t)inst->param[i];
      if (inst->param[i] > 1) larger = i;
    }
    if (items <= kernel->max_work_group) return CLVGG_OK;
    device_kernel_release(kernel);
    if (larger == dimensions)
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s: %s allows no work-group at all for this kernel", inst->algo->name,
                       device_info(inst->dev)->name);
    inst->param[larger] /= 2;
  }
}

bool algo_refuse(char *why, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(why, ALGO_WHY_BYTES, format, args);
  va_end(args);
  return false;
}

clvgg_status algo_check(const algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                        const device_buffer *workspace) {
  const algo_problem *p = &inst->problem;
  if (batch > p->batch)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: %zu images, expected at most %zu", inst->algo->name, batch, p->batch);
  const struct {
    const char *what;
    const device_buffer *buffer;
    size_t bytes;
  } needs[] = {
      {"input", in, algo_bytes(inst->algo->in, p->shape.in, batch, p->block)},
      {"output", out, algo_bytes(inst->algo->out, p->shape.out, batch, p->block)},
      {"workspace", workspace, algo_workspace_bytes(inst->algo, device_info(inst->dev), p, inst->param)},
  };
  for (size_t i = 0; i < COUNT_OF(needs); i++) {
    const size_t bytes = needs[i].buffer ? needs[i].buffer->bytes : 0;
    if (bytes < needs[i].bytes)
      return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the %s buffer has %zu bytes, expected at least %zu", inst->algo->name,
                       needs[i].what, bytes, needs[i].bytes);
  }
  return CLVGG_OK;
}

int algo_power_of_two(size_t most, size_t limit) {
  int power = 1;
  while ((size_t)power * 2 <= most && (size_t)power * 2 <= limit) power *= 2;
  return power;
}

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Never the driver's choice: it knows less of what the kernel does. */
static void any_group(const algo_instance *inst, const device_kernel *kernel, size_t x, size_t y, size_t local[3]) {
  const clvgg_device_info *dev = device_info(inst->dev);
  const launch_rule *rule = rules_for(dev);
  const size_t most = smaller(kernel->max_work_group, dev->max_work_group);
  size_t group_x = (size_t)rule->plain_x, group_y = (size_t)rule->plain_y;
  for (; rule->plain_turns && group_x / 2 >= x; group_x /= 2) group_y *= 2;
  for (; rule->plain_turns && group_y / 2 >= y; group_y /= 2)
    if (group_x < x) group_x *= 2;
  local[0] = (size_t)algo_power_of_two(smaller(most, group_x), dev->max_work_item[0]);
  local[1] = (size_t)algo_power_of_two(smaller(most / local[0], group_y), dev->max_work_item[1]);
  local[2] = 1;
}

clvgg_status algo_launch_any(const algo_instance *inst, const device_kernel *kernel, const device_arg *args,
                             size_t count, size_t x, size_t y, size_t z) {
  size_t local[3];
  any_group(inst, kernel, x, y, local);
  return device_launch(inst->dev, kernel, args, count, (size_t[3]){x, y, z}, local);
}

/* Of the algorithm's own kernel; local NULL: any_group's. */
static clvgg_status launch_own(const algo_instance *inst, const device_arg *args, size_t count, const size_t global[3],
                               const size_t *local) {
  const device_kernel *kernel = &algo_state_of(inst)->kernel;
  if (!local) return algo_launch_any(inst, kernel, args, count, global[0], global[1], global[2]);
  return device_launch(inst->dev, kernel, args, count, global, local);
}

clvgg_status algo_launch_conv(const algo_instance *inst, size_t batch, const device_buffer *in,
                              const device_buffer *out, const size_t global[3], const size_t *local) {
  const packed_weights *w = &algo_state_of(inst)->weights;
  const layer_shape *s = &inst->problem.shape;
  const device_arg args[] = {
      arg_buffer(in->mem),     arg_buffer(w->panel[0].mem),
      arg_buffer(w->bias.mem), arg_buffer(out->mem),
      arg_int(batch),          arg_int(s->in.c),
      arg_int(s->out.c),       arg_int(s->out.h),
      arg_int(s->out.w),       arg_float(algo_lowest(s)),
  };
  return launch_own(inst, args, COUNT_OF(args), global, local);
}

clvgg_status algo_launch_pooling_conv(const algo_instance *inst, size_t batch, const device_buffer *in,
                                      const device_buffer *out, const size_t global[3], const size_t *local) {
  const packed_weights *w = &algo_state_of(inst)->weights;
  const layer_shape *s = &inst->problem.shape;
  const device_arg args[] = {
      arg_buffer(in->mem),
      arg_buffer(w->panel[0].mem),
      arg_buffer(w->bias.mem),
      arg_buffer(out->mem),
      arg_int(batch),
      arg_int(s->in.c),
      arg_int(s->out.c),
      arg_int(s->in.h),
      arg_int(s->in.w),
      arg_int(s->pool),
      arg_float(algo_lowest(s)),
  };
  return launch_own(inst, args, COUNT_OF(args), global, local);
}

clvgg_status algo_launch_fc(const algo_instance *inst, size_t batch, size_t panel, const device_buffer *in,
                            const device_buffer *out, const size_t global[3], const size_t *local) {
  const packed_weights *w = &algo_state_of(inst)->weights;
  const device_arg args[] = {
      arg_buffer(in->mem),
      arg_buffer(w->panel[panel].mem),
      arg_buffer(w->bias.mem),
      arg_buffer(out->mem),
      arg_int(batch),
      arg_int(w->length),
      arg_int(w->rows),
      arg_int(pack_first_row(w, panel)),
      arg_int(pack_row_count(w, panel)),
      arg_float(algo_lowest(&inst->problem.shape)),
  };
  return launch_own(inst, args, COUNT_OF(args), global, local);
}

void algo_pixel_args(const algo_instance *inst, device_arg args[ALGO_PIXEL_ARGS]) {
  const pixel_map *map = &inst->pixels;
  for (size_t colour = 0; colour < 3; colour++) {
    const size_t c = map->bgr ? 2 - colour : colour;
    args[colour] = arg_float(map->mean[c]);
    args[3 + colour] = arg_float(1 / map->std[c]);
  }
}

clvgg_status algo_epilogue(const algo_instance *inst, size_t batch, size_t pixels, const device_buffer *out) {
  const algo_state *state = algo_state_of(inst);
  const size_t channels = inst->problem.shape.out.c;
  const device_arg args[] = {arg_buffer(out->mem), arg_buffer(state->weights.bias.mem),
                             arg_int(batch),       arg_int(channels),
                             arg_int(pixels),      arg_float(algo_lowest(&inst->problem.shape))};
  return algo_launch_any(inst, &state->epilogue, args, COUNT_OF(args), pixels, channels, batch);
}
