/* clvgg verify: every algorithm on every layer against the C reference, on this device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "progress.h"

#include "table.h"

#define MAX_SEED 4294967295.0

static const cli_usage usage = {
    "verify", "",
    "Runs every algorithm on every layer of the network and on an adaptive pooling, and the whole network\n"
    "in each precision, on the device, and compares with the C reference on the same random input. Prints\n"
    "what differs (--all: everything); the exit status is 1 when anything does. 'unsupported' counts\n"
    "algorithms that this device or layer does not take. Tolerance bounds Max rel, which is Max abs\n"
    "divided by the largest magnitude in the reference.\n",
    "  clvgg verify\n"
    "  clvgg verify --arch vgg16 --all\n"
    "  clvgg verify -m vgg11_bn.pth -d gpu -b 3 --json\n",
    CLI_HAS_MODEL | CLI_HAS_DEVICE};

typedef struct cases {
  clvgg_verify_case *item;
  size_t count, capacity;
  size_t failed, unsupported;
  progress progress;
} cases;

static int add_case(const clvgg_verify_case *result, void *user) {
  cases *c = user;
  if (c->count == c->capacity) c->item = cli_grow(c->item, &c->capacity, sizeof *c->item);
  c->item[c->count++] = *result;
  c->failed += result->ran && !result->ok;
  c->unsupported += !result->ran;
  char at[128];
  snprintf(at, sizeof at, "%zu failed  %s %s", c->failed, result->layer, result->algorithm);
  progress_step(&c->progress, c->count, at);
  return 0;
}

static const char *outcome(const clvgg_verify_case *c) {
  return !c->ran ? "unsupported" : c->ok ? "ok" : "FAILED";
}

static void print_table(const cases *all, int print_all) {
  static const table_column columns[] = {{"Layer", 0},   {"Algorithm", 0}, {"Precision", 0}, {"Max abs", 1},
                                         {"Max rel", 1}, {"Rel L2", 1},    {"Tolerance", 1}, {"Result", 0}};
  table t;
  size_t rows = 0;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < all->count; i++) {
    const clvgg_verify_case *c = &all->item[i];
    if (!print_all && (!c->ran || c->ok)) continue;
    rows++;
    table_cell(&t, "%s", c->layer);
    table_cell(&t, "%s", c->algorithm);
    table_cell(&t, "%s", c->precision);
    if (c->ran) {
      table_cell(&t, "%.3g", c->max_abs);
      table_cell(&t, "%.3g", c->max_rel);
      table_cell(&t, "%.3g", c->rel_l2);
      table_cell(&t, "%.1g", c->tolerance);
    } else {
      for (int k = 0; k < 4; k++) table_cell(&t, "%s", "-");
    }
    table_cell(&t, "%s", outcome(c));
    if (*c->reason) table_note(&t, c->reason);
  }
  if (rows) {
    table_print(&t);
    putchar('\n');
  }
  table_free(&t);
  printf("%zu checked, %zu failed, %zu unsupported\n", all->count - all->unsupported, all->failed, all->unsupported);
}

static void print_json(const cases *all, const clvgg_model *model, const clvgg_device *device) {
  clvgg_model_info model_info;
  clvgg_device_info device_info;
  clvgg_model_get_info(model, &model_info);
  clvgg_device_get_info(device, &device_info);
  json_t *o = json_object(), *list = json_array();
  json_object_set_new(o, "model", json_text(model_info.name));
  json_object_set_new(o, "device", json_text(device_info.name));
  json_object_set_new(o, "device_id", json_text(device_info.id));
  json_object_set_new(o, "checked", json_integer((json_int_t)(all->count - all->unsupported)));
  json_object_set_new(o, "failed", json_integer((json_int_t)all->failed));
  json_object_set_new(o, "unsupported", json_integer((json_int_t)all->unsupported));
  for (size_t i = 0; i < all->count; i++) {
    const clvgg_verify_case *c = &all->item[i];
    json_t *j = json_object();
    json_object_set_new(j, "layer", json_text(c->layer));
    json_object_set_new(j, "algorithm", json_text(c->algorithm));
    json_object_set_new(j, "precision", json_text(c->precision));
    json_object_set_new(j, "ran", json_boolean(c->ran));
    json_object_set_new(j, "ok", c->ran ? json_boolean(c->ok) : json_null());
    json_object_set_new(j, "max_abs", c->ran ? json_number(c->max_abs) : json_null());
    json_object_set_new(j, "max_rel", c->ran ? json_number(c->max_rel) : json_null());
    json_object_set_new(j, "rel_l2", c->ran ? json_number(c->rel_l2) : json_null());
    json_object_set_new(j, "tolerance", c->ran ? json_number(c->tolerance) : json_null());
    json_object_set_new(j, "reason", json_text(c->reason));
    json_array_append_new(list, j);
  }
  json_object_set_new(o, "cases", list);
  output_json(o);
}

typedef struct verify_options {
  const char *arch;
  size_t batch, seed;
  int print_all;
} verify_options;

static int verify_device(const cli_shared *shared, void *user) {
  const verify_options *o = user;
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  cases all = {.item = NULL};
  int code = CLI_FAILED;
  if (o->arch && clvgg_model_random(o->arch, o->seed, &model)) {
    cli_library_error();
  } else if ((o->arch || cli_open_model(shared, NULL, &model)) && cli_open_device(shared, &device)) {
    progress_start(&all.progress, "cases", 0, 1);
    int stopped = clvgg_verify(device, model, o->batch, add_case, &all) != CLVGG_OK;
    progress_clear();
    if (stopped) cli_library_error();
    if (shared->json)
      print_json(&all, model, device);
    else
      print_table(&all, o->print_all);
    code = stopped || all.failed ? CLI_FAILED : CLI_DONE;
  }
  free(all.item);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return code;
}

int cmd_verify(int argc, char **argv) {
  cli_shared shared;
  verify_options o = {.batch = 2, .seed = 1};
  const cli_option options[] = {
      {0, "arch", "NAME", "a family's network with random weights, instead of -m", CLI_TEXT, &o.arch, 0, 0},
      {0, "seed", "N", "seed of the random weights, 1 without it", CLI_COUNT, &o.seed, 0, MAX_SEED},
      {'b', "batch", "N", "images at once, 2 without it", CLI_COUNT, &o.batch, 1, 256},
      {'a', "all", NULL, "print what agrees and what is unsupported too", CLI_FLAG, &o.print_all, 0, 0},
  };
  int first = 0, code = cli_parse(&usage, options, CLI_LENGTH(options), &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (o.arch && shared.model) return cli_wrong_usage("verify", "--arch and --model given, expected one of them");
  return cli_each_device(&shared, verify_device, &o);
}
