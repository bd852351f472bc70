/* clvgg devices: what OpenCL offers on this machine. */
#include <stdio.h>

#include "cli.h"
#include "output.h"
#include "table.h"

static const cli_usage usage = {
    "devices", "",
    "Lists every device of every OpenCL platform. '*' marks the one that is used without -d; a device\n"
    "that cannot be used says why. Memory is in MiB (local: KiB).\n",
    "  clvgg devices\n"
    "  clvgg devices --json\n",
    0};

static json_t *device_json(const clvgg_device_info *d) {
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
  json_object_set_new(o, "max_iterations", json_integer((json_int_t)d->max_iterations));
  json_object_set_new(o, "software_rasteriser", json_boolean(d->software_rasteriser));
  json_object_set_new(o, "usable", json_boolean(d->usable));
  json_object_set_new(o, "reason", json_text(d->reason));
  json_object_set_new(o, "default", json_boolean(d->is_default));
  return o;
}

static void print_table(const clvgg_device_info *devices, size_t count) {
  static const table_column columns[] = {{"", 0},      {"Id", 0},    {"Type", 0}, {"Units", 1}, {"Memory", 1},
                                         {"Local", 1}, {"Group", 1}, {"fp16", 0}, {"Device", 0}};
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < count; i++) {
    const clvgg_device_info *d = &devices[i];
    table_cell(&t, "%s", d->is_default ? "*" : "");
    table_cell(&t, "%s", d->id);
    table_cell(&t, "%s", cli_device_type(d->type));
    table_cell(&t, "%u", d->compute_units);
    table_cell(&t, "%.0f", (double)d->global_bytes / (1024 * 1024));
    table_cell(&t, "%.0f", (double)d->local_bytes / 1024);
    table_cell(&t, "%zu", d->max_work_group);
    table_cell(&t, "%s", d->fp16 ? "yes" : "no");
    table_cell(&t, "%s", d->name);
    char note[512];
    snprintf(note, sizeof note, "%s, driver %s, %s", d->platform, *d->driver ? d->driver : "unknown",
             d->opencl_version);
    table_note(&t, note);
    snprintf(note, sizeof note, "not usable: %s", d->reason);
    if (!d->usable) table_note(&t, note);
  }
  table_print(&t);
  table_free(&t);
}

int cmd_devices(int argc, char **argv) {
  cli_shared shared;
  int first = 0, code = cli_parse(&usage, NULL, 0, &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  clvgg_device_info *devices = NULL;
  size_t count = 0;
  if (clvgg_device_list(&devices, &count)) return cli_library_error();
  if (shared.json) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, device_json(&devices[i]));
    output_json(list);
  } else {
    print_table(devices, count);
  }
  clvgg_device_list_free(devices);
  return CLI_DONE;
}
