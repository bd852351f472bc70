/* clvgg devices: what OpenCL offers on this machine. */
#include <stdio.h>

#include "cli.h"
#include "device_report.h"
#include "output.h"
#include "table.h"

static const cli_usage usage = {
    "devices", "[FILE]",
    "Lists every device of every OpenCL platform. '*' marks the one that is used without -d; a device\n"
    "that cannot be used says why. Memory is in MiB (local: KiB).\n"
    "With --report it writes all about one device to FILE, or prints it: what the device says of itself,\n"
    "its measured limits, which algorithms are right on it, the plans and times of two networks. It has\n"
    "no names of users, computers or folders, and is meant to be sent in; docs/porting.md says how.\n",
    "  clvgg devices\n"
    "  clvgg devices --json\n"
    "  clvgg devices --report report.json -d gpu\n",
    CLI_HAS_DEVICE};

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

static int list_devices(const cli_shared *shared) {
  clvgg_device_info *devices = NULL;
  size_t count = 0;
  if (clvgg_device_list(&devices, &count)) return cli_library_error();
  if (shared->json) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, device_json(&devices[i]));
    output_json(list);
  } else {
    print_table(devices, count);
  }
  clvgg_device_list_free(devices);
  return CLI_DONE;
}

/* 1: path holds the report, which is released. */
static int write_report(json_t *report, output_file *file) {
  const int ok = report && !json_dumpf(report, file->stream, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) &&
                 fputc('\n', file->stream) != EOF;
  json_decref(report);
  if (!ok) cli_error("%s: cannot write the report", file->path);
  return ok && output_commit(file);
}

/* What is wrong on the device is in the report, and no failure of its making. */
static int report_device(const cli_shared *shared, int quick, const char *path) {
  clvgg_device *device = NULL;
  output_file file = {0};
  size_t failed = 0;
  int ok = 0;
  if (path && !output_open(&file, path)) return CLI_FAILED;
  if (cli_open_device(shared, &device)) {
    json_t *report = device_report(device, quick, &failed);
    ok = path ? write_report(report, &file) : output_json(report);
    if (ok && failed) cli_error("note: %zu checks failed on this device; the report says which", failed);
  }
  output_drop(&file);
  clvgg_device_close(&device);
  return ok ? CLI_DONE : CLI_FAILED;
}

int cmd_devices(int argc, char **argv) {
  cli_shared shared;
  int report = 0, quick = 0;
  const cli_option options[] = {
      {0, "report", NULL, "write all about one device, to FILE or to standard output", CLI_FLAG, &report, 0, 0},
      {0, "quick", NULL, "leave out VGG-16, which needs 700 MB", CLI_FLAG, &quick, 0, 0},
  };
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (argc - first > (report ? 1 : 0))
    return cli_wrong_usage("devices", "'%s' is too much: %s", argv[argc - 1],
                           report ? "one file is expected" : "a file goes with --report");
  if (!report && (shared.device || quick))
    return cli_wrong_usage("devices", "--%s goes with --report", quick ? "quick" : "device");
  return report ? report_device(&shared, quick, first < argc ? argv[first] : NULL) : list_devices(&shared);
}
