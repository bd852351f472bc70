/* Looks a network's plan up, and opens an engine with it. */
#include "tune/tuned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/trusted.h"
#include "plan/steps.h"
#include "tune/preset.h"
#include "tune/rows.h"

/* The database's accepted plan for the network, the user's own first. */
static bool find_plan(const clvgg_device_info *dev, const char *name, tuning_plan *out) {
  char path[4096];
  tuning *db = NULL;
  bool found = false;
  tuning_key key;
  rows_key(dev, &key);
  /* Reading makes no file. */
  if (!file_user_path(TUNING_FILE, path, sizeof path) && file_exists(path) && !tuning_open(NULL, &db) &&
      tuning_find_plan(db, &key, name, out, &found))
    found = false;
  tuning_close(&db);
  return found && out->state == TUNING_ACCEPTED;
}

/* A plan for f32 images as one for pixels: the first layer from the pixels themselves where it is the direct convolution, which has a
 * form for them with the same parameters; else normalised to f32 first. */
static void take_pixels(tuning_plan *row) {
  static const char direct[] = "conv_f32_nchw_nchwc_direct ";
  char *steps = strdup(row->steps);
  if (!steps) {
    row->steps[0] = '\0';
    return;
  }
  const bool is_direct = strncmp(steps, direct, sizeof direct - 1) == 0;
  snprintf(row->steps, sizeof row->steps, "%s%s", is_direct ? "conv_u8_nhwc_nchwc_direct " : "convert_u8_nhwc_nchw; ",
           is_direct ? steps + sizeof direct - 1 : steps);
  free(steps);
}

/* The plan of the network with these options; of pixels also that for f32 images, where only that was tuned. */
static bool find_any_plan(const clvgg_device_info *dev, const layer *layers, size_t count,
                          const clvgg_engine_options *options, tuning_plan *out) {
  char name[ROWS_NETWORK_BYTES];
  rows_network(layers, count, options, name);
  if (find_plan(dev, name, out)) return true;
  if (options->input != CLVGG_INPUT_RGB8) return false;
  clvgg_engine_options plain = *options;
  plain.input = CLVGG_INPUT_F32;
  rows_network(layers, count, &plain, name);
  if (!find_plan(dev, name, out)) return false;
  take_pixels(out);
  return true;
}

/* The database's plan, trusted; its count is 0 when there is none. */
static clvgg_status stored_plan(clvgg_device *dev, const layer *layers, size_t count,
                                const clvgg_engine_options *options, plan *out) {
  char source[64];
  *out = (plan){0};
  tuning_plan *row = malloc(sizeof *row);
  if (!row) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a plan's text");
  clvgg_status status = CLVGG_OK;
  if (find_any_plan(device_info(dev), layers, count, options, row)) {
    const plan_options wishes = engine_wishes(options);
    snprintf(source, sizeof source, "%s%s", tuning_source_name(row->source),
             row->other_software ? ", verified anew" : "");
    status = plan_from_steps(device_info(dev), layers, count, options->max_batch, &wishes, row->steps, source, out);
    if (!status) status = trusted_check(dev, out);
    if (status) {
      base_log("device '%s': the tuned plan is not used: %s", device_info(dev)->name, clvgg_last_error());
      plan_free(out);
      if (status != CLVGG_ERROR_MEMORY) status = CLVGG_OK;
    }
  }
  free(row);
  return status;
}

clvgg_status tuned_plan(clvgg_device *dev, const layer *layers, size_t count, const clvgg_engine_options *options,
                        bool *stored, plan *out) {
  const char *wish = getenv("CLVGG_TUNING");
  *out = (plan){0};
  if (*stored && !options->algorithm && !(wish && strcmp(wish, "off") == 0))
    TRY(stored_plan(dev, layers, count, options, out));
  *stored = out->count > 0;
  if (*stored) return CLVGG_OK;
  plan_costs costs;
  TRY(preset_costs(device_info(dev), &costs));
  plan_options wishes = engine_wishes(options);
  if (costs.count) wishes.measured = &costs;
  const clvgg_status status = trusted_plan(dev, layers, count, options->max_batch, &wishes, out);
  costs_free(&costs);
  return status;
}

clvgg_status tuned_open_untuned(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                                engine **out) {
  pixel_map pixels;
  layer *layers = NULL;
  size_t count = 0;
  plan p = {0};
  bool stored = false;
  *out = NULL;
  clvgg_status status = engine_layers(net, options, &pixels, &layers, &count);
  if (!status) status = tuned_plan(dev, layers, count, options, &stored, &p);
  free(layers);
  return status ? status : engine_open_plan(dev, net, options, &p, out);
}
