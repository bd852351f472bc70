/* Reads an engine's options. */
#include "api/options.h"

#include <string.h>

void clvgg_engine_options_init(clvgg_engine_options *options) {
  if (options) *options = (clvgg_engine_options){.struct_size = sizeof *options, .max_batch = 1};
}

clvgg_status engine_options_read(const clvgg_engine_options *options, clvgg_engine_options *all) {
  clvgg_engine_options_init(all);
  if (options) {
    if (options->struct_size < sizeof options->struct_size || options->struct_size > sizeof *all)
      return base_fail(CLVGG_ERROR_ARGUMENT,
                       "clvgg_engine_options: struct_size is %zu, expected at most %zu (use clvgg_engine_options_init)",
                       options->struct_size, sizeof *all);
    memcpy(all, options, options->struct_size);
  }
  if (all->max_batch < 1 || all->max_batch > CLVGG_MAX_BATCH)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_options: max_batch is %zu, expected 1 to %d", all->max_batch,
                     CLVGG_MAX_BATCH);
  if (!clvgg_precision_name(all->precision))
    return base_fail(
        CLVGG_ERROR_ARGUMENT,
        "clvgg_engine_options: precision is %d, expected 0 (f32), 1 (f16w), 2 (f24w), 3 (f16), 4 (auto) or 5 (bf16)",
        (int)all->precision);
  if ((int)all->memory < 0 || all->memory > CLVGG_MEMORY_SMALL)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "clvgg_engine_options: memory is %d, expected 0 (balanced), 1 (fast) or 2 (small)",
                     (int)all->memory);
  if (all->input != CLVGG_INPUT_F32 && all->input != CLVGG_INPUT_RGB8)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_options: input is %d, expected 0 (f32) or 1 (rgb8)",
                     (int)all->input);
  if (!all->samples) all->sample_count = 0;
  if (all->samples && (all->sample_count < 1 || all->sample_count > CLVGG_MAX_SAMPLES))
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_engine_options: sample_count is %zu, expected 1 to %d",
                     all->sample_count, CLVGG_MAX_SAMPLES);
  return CLVGG_OK;
}
