/* A device's capabilities as JSON. */
#include "cli.h"
#include "device_report.h"
#include "output.h"

json_t *device_json(const clvgg_device_info *d) {
  json_t *o = json_object();
  json_object_set_new(o, "id", json_text(d->id));
  json_object_set_new(o, "platform", json_text(d->platform));
  json_object_set_new(o, "platform_version", json_text(d->platform_version));
  json_object_set_new(o, "name", json_text(d->name));
  json_object_set_new(o, "vendor", json_text(d->vendor));
  json_object_set_new(o, "driver", json_text(d->driver));
  json_object_set_new(o, "opencl_version", json_text(d->opencl_version));
  json_object_set_new(o, "opencl_c", json_text(d->opencl_c));
  json_object_set_new(o, "type", json_text(cli_device_type(d->type)));
  json_object_set_new(o, "compute_units", json_integer(d->compute_units));
  json_object_set_new(o, "clock_mhz", json_integer(d->clock_mhz));
  json_object_set_new(o, "global_bytes", json_integer((json_int_t)d->global_bytes));
  json_object_set_new(o, "max_alloc_bytes", json_integer((json_int_t)d->max_alloc_bytes));
  json_object_set_new(o, "local_bytes", json_integer((json_int_t)d->local_bytes));
  json_object_set_new(o, "local_is_dedicated", json_boolean(d->local_is_dedicated));
  json_object_set_new(o, "max_work_group", json_integer((json_int_t)d->max_work_group));
  json_t *items = json_array();
  for (int i = 0; i < 3; i++) json_array_append_new(items, json_integer((json_int_t)d->max_work_item[i]));
  json_object_set_new(o, "max_work_item", items);
  json_object_set_new(o, "native_float_width", json_integer(d->native_float_width));
  json_object_set_new(o, "preferred_float_width", json_integer(d->preferred_float_width));
  json_object_set_new(o, "base_align_bytes", json_integer(d->base_align_bytes));
  json_object_set_new(o, "fp16", json_boolean(d->fp16));
  json_object_set_new(o, "fp64", json_boolean(d->fp64));
  json_object_set_new(o, "subgroups", json_boolean(d->subgroups));
  json_object_set_new(o, "images", json_boolean(d->images));
  json_object_set_new(o, "unified_memory", json_boolean(d->unified_memory));
  json_object_set_new(o, "nvidia_capability", json_integer(d->nvidia_capability));
  json_object_set_new(o, "intel_matrix_multiply", json_boolean(d->intel_matrix_multiply));
  json_object_set_new(o, "amx_bf16", json_boolean(d->amx_bf16));
  json_object_set_new(o, "avx512_bf16", json_boolean(d->avx512_bf16));
  json_object_set_new(o, "max_iterations", json_integer((json_int_t)d->max_iterations));
  json_object_set_new(o, "software_rasteriser", json_boolean(d->software_rasteriser));
  json_object_set_new(o, "usable", json_boolean(d->usable));
  json_object_set_new(o, "reason", json_text(d->reason));
  json_object_set_new(o, "default", json_boolean(d->is_default));
  json_object_set_new(o, "lanes", json_integer(d->lanes));
  json_object_set_new(o, "preferred_multiple", json_integer(d->preferred_multiple));
  json_t *sizes = json_array();
  for (size_t i = 0; i < CLI_LENGTH(d->sub_group_sizes) && d->sub_group_sizes[i]; i++)
    json_array_append_new(sizes, json_integer(d->sub_group_sizes[i]));
  json_object_set_new(o, "sub_group_sizes", sizes);
  json_object_set_new(o, "timer_resolution_ns", json_integer((json_int_t)d->timer_resolution_ns));
  json_object_set_new(o, "cache_bytes", json_integer((json_int_t)d->cache_bytes));
  return o;
}
