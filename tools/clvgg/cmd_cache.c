/* clvgg cache: the files that the library keeps to start faster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "output.h"
#include "table.h"

static const cli_usage usage = {
    "cache", "",
    "Shows what is kept so that the next start is faster: compiled programs, and verdicts on algorithms.\n"
    "All of it can be made again at any time. CLVGG_CACHE_MB is the most that programs may take, in MiB:\n"
    "256 without it, 0 turns them off; the least recently used go first.\n"
    "--fill loads the model, runs it once on the device and keeps all programs that this took. Needed on\n"
    "PoCL only, which compiles each program once more for that; for other drivers every command does it.\n",
    "  clvgg cache\n"
    "  clvgg cache --json\n"
    "  clvgg cache --fill -m vgg16.pth -b 8\n"
    "  clvgg cache --clear\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE | CLI_HAS_ENGINE};

typedef struct listing {
  clvgg_cache_info info;
  clvgg_cache_entry *entries;
  size_t count;
} listing;

static double mib(uint64_t bytes) {
  return (double)bytes / (1024 * 1024);
}

static const char *plural(size_t count) {
  return count == 1 ? "" : "s";
}

static void print_time(char *out, size_t bytes, int64_t seconds) {
  const time_t t = (time_t)seconds;
  struct tm local;
  if (!localtime_r(&t, &local) || !strftime(out, bytes, "%Y-%m-%d %H:%M", &local)) snprintf(out, bytes, "unknown");
}

static void add_row(table *t, const char *what, size_t count, uint64_t bytes, int64_t last_use) {
  char when[32];
  print_time(when, sizeof when, last_use);
  table_cell(t, "%s", what);
  table_cell(t, "%zu", count);
  table_cell(t, "%.2f", mib(bytes));
  table_cell(t, "%s", when);
}

/* One row a device, the one used last first: as the entries are. */
static void print_table(const listing *l) {
  static const table_column columns[] = {{"Of", 0}, {"Files", 1}, {"MiB", 1}, {"Last used", 0}};
  const clvgg_cache_info *info = &l->info;
  printf("%s: %zu program%s, %.2f of %.0f MiB%s\n", info->folder, l->count, plural(l->count), mib(info->bytes),
         mib(info->limit_bytes), info->limit_bytes ? "" : " (off)");
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < l->count; i++) {
    const clvgg_cache_entry *first = &l->entries[i];
    size_t count = 0, before = 0;
    uint64_t bytes = 0;
    for (size_t k = 0; k < l->count; k++) {
      if (strcmp(l->entries[k].device, first->device) != 0) continue;
      before += k < i;
      count++;
      bytes += l->entries[k].bytes;
    }
    if (!before) add_row(&t, *first->device ? first->device : "unreadable files", count, bytes, first->last_use_s);
  }
  if (info->verdict_bytes) add_row(&t, "verdicts on algorithms", 1, info->verdict_bytes, info->verdicts_last_s);
  if (t.count) table_print(&t);
  table_free(&t);
}

static void print_json(const listing *l) {
  json_t *o = json_object(), *list = json_array();
  json_object_set_new(o, "folder", json_text(l->info.folder));
  json_object_set_new(o, "bytes", json_integer((json_int_t)l->info.bytes));
  json_object_set_new(o, "limit_bytes", json_integer((json_int_t)l->info.limit_bytes));
  for (size_t i = 0; i < l->count; i++) {
    const clvgg_cache_entry *e = &l->entries[i];
    json_t *row = json_object();
    json_object_set_new(row, "file", json_text(e->file));
    json_object_set_new(row, "device", json_text(e->device));
    json_object_set_new(row, "source", json_text(e->source));
    json_object_set_new(row, "bytes", json_integer((json_int_t)e->bytes));
    json_object_set_new(row, "last_use", json_integer((json_int_t)e->last_use_s));
    json_array_append_new(list, row);
  }
  json_object_set_new(o, "programs", list);
  json_t *verdicts = json_object();
  json_object_set_new(verdicts, "path", json_text(l->info.verdicts));
  json_object_set_new(verdicts, "bytes", json_integer((json_int_t)l->info.verdict_bytes));
  json_object_set_new(o, "verdicts", verdicts);
  output_json(o);
}

static int show(int json) {
  listing l;
  if (clvgg_cache_list(&l.info, &l.entries, &l.count)) return cli_library_error();
  if (json)
    print_json(&l);
  else
    print_table(&l);
  clvgg_cache_list_free(l.entries);
  return CLI_DONE;
}

static int clear(int json) {
  size_t files = 0;
  uint64_t bytes = 0;
  const clvgg_status status = clvgg_cache_clear(&files, &bytes);
  if (json && !status) {
    json_t *o = json_object();
    json_object_set_new(o, "removed_files", json_integer((json_int_t)files));
    json_object_set_new(o, "removed_bytes", json_integer((json_int_t)bytes));
    output_json(o);
  } else if (!json) {
    printf("%zu file%s removed, %.2f MiB\n", files, plural(files), mib(bytes));
  }
  return status ? cli_library_error() : CLI_DONE;
}

/* ---- filling */

/* One run with pixels, as classify and eval have it, so that every kernel has been launched. 1: done. 0: reported. */
static int run_once(clvgg_device *device, const clvgg_model *model, const cli_shared *shared, size_t batch) {
  clvgg_model_info model_info;
  clvgg_engine_options options;
  clvgg_engine *engine = NULL;
  clvgg_model_get_info(model, &model_info);
  cli_engine_options(shared, &options);
  options.max_batch = batch;
  options.input = CLVGG_INPUT_RGB8;
  int ok = !clvgg_engine_open(device, model, &options, &engine);
  if (ok) {
    uint8_t *pixels = cli_alloc(batch, 3 * model_info.height * model_info.width);
    float *logits = cli_alloc(batch, model_info.classes * sizeof *logits);
    ok = !clvgg_engine_run_rgb8(engine, pixels, batch, logits);
    free(logits);
    free(pixels);
  }
  if (!ok) cli_library_error();
  clvgg_engine_close(&engine);
  return ok;
}

static int fill(const cli_shared *shared, size_t batch) {
  clvgg_model *model = NULL;
  clvgg_device *device = NULL;
  clvgg_cache_counts counts;
  size_t written = 0;
  int code = CLI_FAILED;
  if (cli_open_model(shared, NULL, &model) && cli_open_device(shared, &device) &&
      run_once(device, model, shared, batch))
    code = clvgg_device_save_programs(device, &written) ? cli_library_error() : CLI_DONE;
  if (code == CLI_DONE) {
    clvgg_device_get_cache_counts(device, &counts);
    if (shared->json) {
      json_t *o = json_object();
      json_object_set_new(o, "written", json_integer((json_int_t)written));
      json_object_set_new(o, "loaded", json_integer((json_int_t)counts.hits));
      output_json(o);
    } else {
      printf("%zu program%s written, %zu %s there\n", written, plural(written), (size_t)counts.hits,
             counts.hits == 1 ? "was" : "were");
    }
  }
  clvgg_device_close(&device);
  clvgg_model_close(&model);
  return code;
}

int cmd_cache(int argc, char **argv) {
  cli_shared shared;
  int do_clear = 0, do_fill = 0;
  size_t batch = 1;
  const cli_option options[] = {
      {0, "clear", NULL, "remove all of it, and say how much it was", CLI_FLAG, &do_clear, 0, 0},
      {0, "fill", NULL, "keep the programs that the model needs on the device", CLI_FLAG, &do_fill, 0, 0},
      {'b', "batch", "N", "with --fill: images at once, 1 without it", CLI_COUNT, &batch, 1, CLVGG_MAX_BATCH}};
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (do_clear && do_fill) return cli_wrong_usage("cache", "--clear and --fill are two commands");
  return do_clear ? clear(shared.json) : do_fill ? fill(&shared, batch) : show(shared.json);
}
