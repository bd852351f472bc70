/* The public clvgg_model: a checkpoint, the network made of it, its class names and how images are prepared for it. */
#include "api/model.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "network/family.h"

static const char bundled_model[] = "vgg16_bn_half_cifar10.safetensors";
static const char bundled_classes[] = "imagenet_classes.txt";
/* A safetensors file may carry a JSON object under this metadata key (tools/bundle-model writes it), all keys optional:
 * name; input [3, side, side]; mean, std [3]; resize_short; interpolation "bilinear" or "bicubic"; bgr; classes [names]. */
static const char metadata_key[] = "clvgg";
static const char published_at[] = "https://download.openmmlab.com/mmclassification/v0/vgg/";

enum { IMAGENET_CLASSES = 1000, PATH_BYTES = 4096 };

/* ---- class names */

static void free_names(char **names, size_t count) {
  for (size_t i = 0; names && i < count; i++) free(names[i]);
  free(names);
}

/* A copy of length bytes as one printable line. */
static char *copy_name(const char *text, size_t length) {
  char *name = malloc(length + 1);
  if (!name) return NULL;
  memcpy(name, text, length);
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) name[i] = '?';
  name[length] = '\0';
  return name;
}

typedef struct line {
  const char *text;
  size_t length;
} line;

/* The line at *at, which moves on to the next; false at the end. */
static bool next_line(const file_map *file, size_t *at, line *out) {
  if (*at >= file->bytes) return false;
  const char *start = (const char *)file->data + *at;
  const char *end = memchr(start, '\n', file->bytes - *at);
  size_t length = end ? (size_t)(end - start) : file->bytes - *at;
  *at += length + (end != NULL);
  if (length > 0 && start[length - 1] == '\r') length--;
  *out = (line){start, length};
  return true;
}

/* The lines of a file as names; empty lines at its end are not counted. */
static clvgg_status read_names(const char *path, size_t wanted, char **names) {
  file_map file;
  TRY(file_map_open(path, &file));
  clvgg_status status = CLVGG_OK;
  const size_t bom = file.bytes >= 3 && memcmp(file.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  size_t found = 0, number = 0;
  line l;
  for (size_t at = bom; next_line(&file, &at, &l);) {
    number++;
    if (l.length > 0) found = number;
  }
  if (found != wanted)
    status = base_fail(CLVGG_ERROR_ARGUMENT, "%s: has %zu class names, one a line; expected %zu", path, found, wanted);
  size_t at = bom;
  for (size_t i = 0; i < wanted && status == CLVGG_OK && next_line(&file, &at, &l); i++)
    if (!(names[i] = copy_name(l.text, l.length))) status = base_fail(CLVGG_ERROR_MEMORY, "no memory for class names");
  file_map_close(&file);
  return status;
}

/* The bundled ImageNet names; on failure the caller numbers the classes instead. */
static bool read_imagenet_names(char **names) {
  char path[PATH_BYTES];
  if (file_shared_path(bundled_classes, path, sizeof path) == CLVGG_OK &&
      read_names(path, IMAGENET_CLASSES, names) == CLVGG_OK)
    return true;
  base_log("classes have no names: %s", clvgg_last_error());
  for (size_t i = 0; i < IMAGENET_CLASSES; i++) {
    free(names[i]);
    names[i] = NULL;
  }
  return false;
}

/* Names from the metadata's array or else the checkpoint's own; false when there are none that fit. */
static bool copy_own_names(const clvgg_model *m, const json_t *array, const char *path, bool *failed) {
  const size_t wanted = m->network->classes;
  const size_t found = array ? json_array_size(array) : m->checkpoint ? checkpoint_class_count(m->checkpoint) : 0;
  if (found != wanted) {
    if (found > 0) base_log("%s: has %zu class names for %zu classes; they are not used", path, found, wanted);
    return false;
  }
  for (size_t i = 0; i < wanted && !*failed; i++) {
    const char *name = array ? json_string_value(json_array_get(array, i)) : checkpoint_class_name(m->checkpoint, i);
    *failed = !(m->classes[i] = copy_name(name, strlen(name)));
  }
  return true;
}

static clvgg_status name_classes(clvgg_model *m, const json_t *array, const char *classes_path, const char *path) {
  const size_t count = m->network->classes;
  m->classes = calloc(count, sizeof *m->classes);
  if (!m->classes) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu class names", count);
  if (classes_path) return read_names(classes_path, count, m->classes);
  bool failed = false;
  if (copy_own_names(m, array, path, &failed) || (count == IMAGENET_CLASSES && read_imagenet_names(m->classes)))
    return failed ? base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu class names", count) : CLVGG_OK;
  for (size_t i = 0; i < count; i++) {
    char name[32];
    const int length = snprintf(name, sizeof name, "class %zu", i);
    if (!(m->classes[i] = copy_name(name, (size_t)length)))
      return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu class names", count);
  }
  return CLVGG_OK;
}

/* ---- preprocessing */

/* ImageNet's statistics and the usual share of the image, 224 of 256; small inputs are taken whole. */
static clvgg_preprocess usual_preprocess(size_t side) {
  return (clvgg_preprocess){.struct_size = sizeof(clvgg_preprocess),
                            .resize_short = side <= 64 ? 0 : (unsigned)lround((double)side * 256 / 224),
                            .width = (unsigned)side,
                            .height = (unsigned)side,
                            .interpolation = CLVGG_BILINEAR,
                            .mean = {123.675f, 116.28f, 103.53f},
                            .std = {58.395f, 57.12f, 57.375f}};
}

static clvgg_status fail_metadata(const char *key, const char *expected) {
  return base_fail(CLVGG_ERROR_FORMAT, "metadata '%s': '%s' is wrong, expected %s", metadata_key, key, expected);
}

static clvgg_status get_three(const json_t *root, const char *key, bool positive, float *out) {
  const json_t *array = json_object_get(root, key);
  if (!array) return CLVGG_OK;
  const char *expected = positive ? "three normal numbers above 0" : "three numbers";
  if (json_array_size(array) != 3) return fail_metadata(key, expected);
  for (size_t i = 0; i < 3; i++) {
    const json_t *item = json_array_get(array, i);
    const float value = (float)json_number_value(item);
    const bool good = positive ? isnormal(value) && value > 0 : isfinite(value);
    if (!json_is_number(item) || !good) return fail_metadata(key, expected);
    out[i] = value;
  }
  return CLVGG_OK;
}

/* *side: 0 when the metadata does not say. */
static clvgg_status get_input_side(const json_t *root, size_t *side) {
  *side = 0;
  const json_t *array = json_object_get(root, "input");
  if (!array) return CLVGG_OK;
  json_int_t value[3] = {0};
  for (size_t i = 0; i < 3; i++) value[i] = json_integer_value(json_array_get(array, i));
  if (json_array_size(array) != 3 || value[0] != 3 || value[1] != value[2] || value[1] < 1 || value[1] > UINT16_MAX)
    return fail_metadata("input", "[3, side, side], sides of 1 to 65535");
  *side = (size_t)value[1];
  return CLVGG_OK;
}

static clvgg_status get_interpolation(const json_t *root, clvgg_interpolation *out) {
  static const char *const names[] = {[CLVGG_BILINEAR] = "bilinear", [CLVGG_BICUBIC] = "bicubic"};
  const json_t *item = json_object_get(root, "interpolation");
  if (!item) return CLVGG_OK;
  for (size_t i = 0; json_is_string(item) && i < 2; i++)
    if (strcmp(json_string_value(item), names[i]) == 0) {
      *out = (clvgg_interpolation)i;
      return CLVGG_OK;
    }
  return fail_metadata("interpolation", "\"bilinear\" or \"bicubic\"");
}

/* Everything but input and classes' number, over the defaults that are in m. */
static clvgg_status apply_metadata(const json_t *root, clvgg_model *m) {
  clvgg_preprocess *pre = &m->preprocess;
  const json_t *item = json_object_get(root, "name");
  if (item && (!json_is_string(item) || json_string_length(item) == 0 || json_string_length(item) >= sizeof m->name))
    return fail_metadata("name", "a text of 1 to 63 bytes");
  if (item) {
    char *name = copy_name(json_string_value(item), json_string_length(item));
    if (!name) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a name");
    snprintf(m->name, sizeof m->name, "%s", name);
    free(name);
  }
  TRY(get_three(root, "mean", false, pre->mean));
  TRY(get_three(root, "std", true, pre->std));
  TRY(get_interpolation(root, &pre->interpolation));
  if ((item = json_object_get(root, "resize_short"))) {
    const json_int_t value = json_integer_value(item);
    if (!json_is_integer(item) || value < 0 || value > UINT16_MAX)
      return fail_metadata("resize_short", "a whole number of pixels, 0 to 65535");
    pre->resize_short = (unsigned)value;
  }
  if ((item = json_object_get(root, "bgr"))) {
    if (!json_is_boolean(item)) return fail_metadata("bgr", "true or false");
    pre->bgr = json_is_true(item);
  }
  if ((item = json_object_get(root, "classes"))) {
    bool texts = json_is_array(item);
    for (size_t i = 0; texts && i < json_array_size(item); i++) texts = json_is_string(json_array_get(item, i));
    if (!texts) return fail_metadata("classes", "an array of texts");
  }
  return CLVGG_OK;
}

/* *root: the parsed metadata, NULL when there is none. */
static clvgg_status parse_metadata(const checkpoint *c, json_t **root) {
  const char *text = checkpoint_metadata(c, metadata_key);
  if (!text) return CLVGG_OK;
  json_error_t error;
  *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!*root)
    return base_fail(CLVGG_ERROR_FORMAT, "metadata '%s' is not JSON: %s at byte %d", metadata_key, error.text,
                     error.position);
  if (json_is_object(*root)) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_FORMAT, "metadata '%s' is not a JSON object", metadata_key);
}

/* ---- opening */

void clvgg_model_options_init(clvgg_model_options *options) {
  *options = (clvgg_model_options){.struct_size = sizeof *options};
}

/* The caller's options, which may be an older, shorter struct, over the defaults. */
static clvgg_status read_options(const clvgg_model_options *options, clvgg_model_options *out) {
  clvgg_model_options_init(out);
  if (!options) return CLVGG_OK;
  const size_t bytes = options->struct_size;
  if (bytes < sizeof options->struct_size || bytes > sizeof *out)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "clvgg_model_options.struct_size is %zu, expected %zu (clvgg_model_options_init)", bytes,
                     sizeof *out);
  memcpy(out, options, bytes);
  return CLVGG_OK;
}

/* The file behind the name that the caller gave. */
static clvgg_status find_file(const char *model, char *path, size_t bytes) {
  const family *f = family_find(model);
  if (!model) return file_shared_path(bundled_model, path, bytes);
  if (f) {
    TRY(file_user_path(f->checkpoint, path, bytes));
    if (file_exists(path)) return CLVGG_OK;
    return base_fail(CLVGG_ERROR_IO, "%s: its checkpoint %s is missing; download %s%s to %s", f->name, f->checkpoint,
                     published_at, f->checkpoint, path);
  }
  if ((size_t)snprintf(path, bytes, "%s", model) < bytes) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_ARGUMENT, "the model's path is longer than %zu bytes", bytes - 1);
}

static clvgg_status make_network(clvgg_model *m, const family *wanted, size_t side) {
  if (wanted && side == 0) side = FAMILY_INPUT_SIDE;
  TRY(network_from_tensors(checkpoint_tensors(m->checkpoint), checkpoint_tensor_count(m->checkpoint), side,
                           &m->network));
  if (!wanted || strcmp(m->network->name, wanted->name) == 0) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_MODEL, "holds a %s, expected a %s", m->network->name, wanted->name);
}

/* What follows from the network alone. */
static void set_defaults(clvgg_model *m) {
  snprintf(m->name, sizeof m->name, "%s", m->network->name);
  m->preprocess = usual_preprocess(m->network->input.h);
}

/* Fills m from path. *root is the caller's to release. */
static clvgg_status read_model(clvgg_model *m, const char *path, const family *wanted, json_t **root) {
  size_t side = 0;
  clvgg_status status = parse_metadata(m->checkpoint, root);
  if (status == CLVGG_OK) status = get_input_side(*root, &side);
  if (status == CLVGG_OK) status = make_network(m, wanted, side);
  if (status == CLVGG_OK) {
    set_defaults(m);
    status = apply_metadata(*root, m);
  }
  return status == CLVGG_OK ? CLVGG_OK : base_fail_in(status, "%s", path);
}

static clvgg_status new_model(clvgg_model **out) {
  *out = calloc(1, sizeof **out);
  if (!*out) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a model");
  atomic_init(&(*out)->references, 1);
  return CLVGG_OK;
}

clvgg_status clvgg_model_open(const char *model, const clvgg_model_options *options, clvgg_model **out) {
  if (!out) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_model_open: out is NULL");
  *out = NULL;
  clvgg_model_options all;
  char path[PATH_BYTES];
  TRY(read_options(options, &all));
  TRY(find_file(model, path, sizeof path));

  clvgg_model *m;
  json_t *root = NULL;
  TRY(new_model(&m));
  clvgg_status status = checkpoint_open(path, &m->checkpoint);
  if (status == CLVGG_OK) status = read_model(m, path, family_find(model), &root);
  if (status == CLVGG_OK) status = name_classes(m, json_object_get(root, "classes"), all.classes_path, path);
  json_decref(root);
  if (status == CLVGG_OK)
    *out = m;
  else
    clvgg_model_close(&m);
  return status;
}

clvgg_status clvgg_model_random(const char *family_name, uint64_t seed, clvgg_model **out) {
  if (!out) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_model_random: out is NULL");
  *out = NULL;
  clvgg_model *m;
  TRY(new_model(&m));
  clvgg_status status = network_random(family_name, seed, &m->network);
  if (status == CLVGG_OK) {
    set_defaults(m);
    status = name_classes(m, NULL, NULL, m->name);
  }
  if (status == CLVGG_OK)
    *out = m;
  else
    clvgg_model_close(&m);
  return status;
}

void clvgg_model_close(clvgg_model **model) {
  if (!model || !*model) return;
  clvgg_model *m = *model;
  *model = NULL;
  if (atomic_fetch_sub(&m->references, 1) > 1) return;
  if (m->network) free_names(m->classes, m->network->classes);
  network_close(&m->network);
  checkpoint_close(&m->checkpoint);
  free(m);
}

clvgg_model *model_retain(const clvgg_model *model) {
  clvgg_model *m = (clvgg_model *)model; /* const means its content; the count of owners is not part of it */
  atomic_fetch_add(&m->references, 1);
  return m;
}

const network *model_network(const clvgg_model *model) {
  return model->network;
}

/* ---- asking */

void clvgg_model_get_info(const clvgg_model *model, clvgg_model_info *out) {
  const network *net = model->network;
  *out = (clvgg_model_info){.classes = net->classes,
                            .channels = net->input.c,
                            .height = net->input.h,
                            .width = net->input.w,
                            .layers = net->layer_count,
                            .batch_norm = net->batch_norm,
                            .params = net->params,
                            .flops = net->table_flops,
                            .preprocess = model->preprocess};
  snprintf(out->name, sizeof out->name, "%s", model->name);
  snprintf(out->format, sizeof out->format, "%s",
           model->checkpoint ? checkpoint_format_name(model->checkpoint) : "random weights");
  snprintf(out->keys, sizeof out->keys, "%s", net->keys);
  snprintf(out->dtype, sizeof out->dtype, "%s", net->dtype);
}

clvgg_status clvgg_model_get_layer(const clvgg_model *model, size_t index, clvgg_layer_info *out) {
  const network *net = model->network;
  if (index >= net->layer_count)
    return base_fail(CLVGG_ERROR_ARGUMENT, "layer %zu of %s, expected 0 to %zu", index, model->name,
                     net->layer_count - 1);
  const layer *l = &net->layers[index];
  const shape3 in = l->shape.in, to = l->shape.out;
  *out = (clvgg_layer_info){.in = {in.c, in.h, in.w},
                            .out = {to.c, to.h, to.w},
                            .params = layer_params(&l->shape, l->scale != NULL),
                            .flops = layer_table_flops(&l->shape, l->scale != NULL)};
  snprintf(out->name, sizeof out->name, "%s", l->name);
  snprintf(out->type, sizeof out->type, "%s", layer_op_name(l->shape.op));
  return CLVGG_OK;
}

const char *clvgg_model_class_name(const clvgg_model *model, size_t index) {
  return index < model->network->classes ? model->classes[index] : NULL;
}
