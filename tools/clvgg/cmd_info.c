/* clvgg info: what is in a checkpoint. */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "output.h"
#include "table.h"

static const cli_usage usage = {
    "info", "[FILE]",
    "Describes a checkpoint (FILE, or -m MODEL, or the bundled model): its network, how images are\n"
    "prepared for it, and its layers. FLOPs are for one image, a multiply-add counted once.\n",
    "  clvgg info vgg16.pth\n"
    "  clvgg info -m vgg16_bn --json\n",
    CLI_HAS_MODEL};

static json_t *triple(const float *value) {
  json_t *list = json_array();
  for (int i = 0; i < 3; i++) json_array_append_new(list, json_number((double)value[i]));
  return list;
}

static json_t *shape(const size_t *value) {
  json_t *list = json_array();
  for (int i = 0; i < 3; i++) json_array_append_new(list, json_integer((json_int_t)value[i]));
  return list;
}

static const char *interpolation_name(clvgg_interpolation i) {
  return i == CLVGG_BICUBIC ? "bicubic" : "bilinear";
}

static void print_json(const clvgg_model *model, const clvgg_model_info *info) {
  const clvgg_preprocess *pre = &info->preprocess;
  const size_t input[3] = {info->channels, info->height, info->width};
  json_t *o = json_object(), *p = json_object(), *layers = json_array(), *classes = json_array();
  json_object_set_new(o, "name", json_text(info->name));
  json_object_set_new(o, "format", json_text(info->format));
  json_object_set_new(o, "keys", json_text(info->keys));
  json_object_set_new(o, "dtype", json_text(info->dtype));
  json_object_set_new(o, "classes", json_integer((json_int_t)info->classes));
  json_object_set_new(o, "input", shape(input));
  json_object_set_new(o, "batch_norm", json_boolean(info->batch_norm));
  json_object_set_new(o, "params", json_integer((json_int_t)info->params));
  json_object_set_new(o, "flops", json_integer((json_int_t)info->flops));
  json_object_set_new(p, "resize_short", json_integer(pre->resize_short));
  json_object_set_new(p, "width", json_integer(pre->width));
  json_object_set_new(p, "height", json_integer(pre->height));
  json_object_set_new(p, "interpolation", json_text(interpolation_name(pre->interpolation)));
  json_object_set_new(p, "bgr", json_boolean(pre->bgr));
  json_object_set_new(p, "mean", triple(pre->mean));
  json_object_set_new(p, "std", triple(pre->std));
  json_object_set_new(o, "preprocess", p);
  clvgg_layer_info layer;
  for (size_t i = 0; i < info->layers && !clvgg_model_get_layer(model, i, &layer); i++) {
    json_t *l = json_object();
    json_object_set_new(l, "name", json_text(layer.name));
    json_object_set_new(l, "type", json_text(layer.type));
    json_object_set_new(l, "in", shape(layer.in));
    json_object_set_new(l, "out", shape(layer.out));
    json_object_set_new(l, "params", json_integer((json_int_t)layer.params));
    json_object_set_new(l, "flops", json_integer((json_int_t)layer.flops));
    json_array_append_new(layers, l);
  }
  json_object_set_new(o, "layers", layers);
  for (size_t i = 0; i < info->classes; i++)
    json_array_append_new(classes, json_text(clvgg_model_class_name(model, i)));
  json_object_set_new(o, "class_names", classes);
  output_json(o);
}

static void print_layers(const clvgg_model *model, size_t count) {
  static const table_column columns[] = {{"Layer", 0}, {"Type", 0},   {"In", 1},
                                         {"Out", 1},   {"Params", 1}, {"MFLOPs", 1}};
  table t;
  table_init(&t, columns, CLI_LENGTH(columns));
  clvgg_layer_info layer;
  for (size_t i = 0; i < count && !clvgg_model_get_layer(model, i, &layer); i++) {
    table_cell(&t, "%s", layer.name);
    table_cell(&t, "%s", layer.type);
    table_cell(&t, "%zux%zux%zu", layer.in[0], layer.in[1], layer.in[2]);
    table_cell(&t, "%zux%zux%zu", layer.out[0], layer.out[1], layer.out[2]);
    table_cell(&t, "%" PRIu64, layer.params);
    table_cell(&t, "%.2f", (double)layer.flops / 1e6);
  }
  table_print(&t);
  table_free(&t);
}

static void print_text(const clvgg_model *model, clvgg_model_info *info) {
  const clvgg_preprocess *pre = &info->preprocess;
  printf("Model       %s%s\n", cli_clean(info->name), info->batch_norm ? " (with batch normalisation)" : "");
  printf("Format      %s, %s keys, %s\n", cli_clean(info->format), cli_clean(info->keys), cli_clean(info->dtype));
  printf("Input       %zux%zux%zu (channels x height x width)\n", info->channels, info->height, info->width);
  printf("Classes     %zu\n", info->classes);
  printf("Parameters  %" PRIu64 " (%.2f M)\n", info->params, (double)info->params / 1e6);
  printf("FLOPs       %" PRIu64 " (%.2f G) an image\n", info->flops, (double)info->flops / 1e9);
  printf("Images      ");
  if (pre->resize_short)
    printf("%s resize of the short side to %u, ", interpolation_name(pre->interpolation), pre->resize_short);
  printf("centre %ux%u, %s,\n", pre->height, pre->width, pre->bgr ? "BGR" : "RGB");
  printf("            mean %g,%g,%g  std %g,%g,%g\n\n", (double)pre->mean[0], (double)pre->mean[1],
         (double)pre->mean[2], (double)pre->std[0], (double)pre->std[1], (double)pre->std[2]);
  print_layers(model, info->layers);
}

int cmd_info(int argc, char **argv) {
  cli_shared shared;
  int first = 0, code = cli_parse(&usage, NULL, 0, &shared, argc, argv, &first);
  if (code != CLI_GO_ON) return code;
  if (argc - first + (shared.model != NULL) > 1)
    return cli_wrong_usage("info", "%d models given, expected one", argc - first + (shared.model != NULL));
  if (first < argc) shared.model = argv[first];
  clvgg_model *model = NULL;
  if (!cli_open_model(&shared, NULL, &model)) return CLI_FAILED;
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  if (shared.json)
    print_json(model, &info);
  else
    print_text(model, &info);
  clvgg_model_close(&model);
  return CLI_DONE;
}
