/* clvgg models: the published VGG family. */
#include "cli.h"
#include "output.h"
#include "table.h"

static const cli_usage usage = {
    "models", "",
    "Lists the family. Params is in millions; FLOPs is in 1e9 for one image of 224x224, a multiply-add\n"
    "counted once; Top-1 and Top-5 are the published accuracy on ImageNet in percent. 'Here' says\n"
    "whether the checkpoint is in the data folder, $XDG_DATA_HOME/clvgg or ~/.local/share/clvgg, so\n"
    "that -m takes the bare name.\n",
    "  clvgg models\n"
    "  clvgg models --json\n",
    0};

static json_t *family_json(const clvgg_family_info *family) {
  char path[4096];
  int available = clvgg_family_find(family->name, path, sizeof path);
  json_t *o = json_object();
  json_object_set_new(o, "name", json_text(family->name));
  json_object_set_new(o, "params_m", json_rounded(family->params_m));
  json_object_set_new(o, "flops_g", json_rounded(family->flops_g));
  json_object_set_new(o, "top1", json_rounded(family->top1));
  json_object_set_new(o, "top5", json_rounded(family->top5));
  json_object_set_new(o, "checkpoint", json_text(family->checkpoint));
  json_object_set_new(o, "available", json_boolean(available));
  json_object_set_new(o, "path", json_text(path));
  return o;
}

static void print_table(void) {
  static const table_column columns[] = {{"Model", 0}, {"Params", 1},     {"FLOPs", 1}, {"Top-1", 1},
                                         {"Top-5", 1}, {"Checkpoint", 0}, {"Here", 0}};
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  for (size_t i = 0; i < clvgg_family_count(); i++) {
    const clvgg_family_info *family = clvgg_family_get(i);
    char path[4096];
    table_cell(&t, "%s", family->name);
    table_cell(&t, "%.2f", family->params_m);
    table_cell(&t, "%.2f", family->flops_g);
    table_cell(&t, "%.2f", family->top1);
    table_cell(&t, "%.2f", family->top5);
    table_cell(&t, "%s", family->checkpoint);
    table_cell(&t, "%s", clvgg_family_find(family->name, path, sizeof path) ? "yes" : "no");
  }
  table_print(&t);
  table_free(&t);
}

int cmd_models(int argc, char **argv) {
  cli_shared shared;
  int first = 0, code = cli_parse(&usage, NULL, 0, &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (!shared.json) {
    print_table();
    return CLI_DONE;
  }
  json_t *list = json_array();
  for (size_t i = 0; i < clvgg_family_count(); i++) json_array_append_new(list, family_json(clvgg_family_get(i)));
  output_json(list);
  return CLI_DONE;
}
