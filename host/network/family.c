/* The published VGG configurations as a table: Simonyan and Zisserman 2015 (arXiv:1409.1556), table 1, columns A B D E. */
#include "network/family.h"

#include <string.h>

#include "network/layer.h"

/* Accuracies and file names: mmclassification's model zoo, configs/vgg. */
const family families[FAMILY_COUNT] = {
    {"vgg11", {1, 1, 2, 2, 2}, false, 68.75, 88.87, "vgg11_batch256_imagenet_20210208-4271cd6c.pth"},
    {"vgg13", {2, 2, 2, 2, 2}, false, 70.02, 89.46, "vgg13_batch256_imagenet_20210208-4d1d6080.pth"},
    {"vgg16", {2, 2, 3, 3, 3}, false, 71.62, 90.49, "vgg16_batch256_imagenet_20210208-db26f1a5.pth"},
    {"vgg19", {2, 2, 4, 4, 4}, false, 72.41, 90.80, "vgg19_batch256_imagenet_20210208-e6920e4a.pth"},
    {"vgg11_bn", {1, 1, 2, 2, 2}, true, 70.67, 90.16, "vgg11_bn_batch256_imagenet_20210207-f244902c.pth"},
    {"vgg13_bn", {2, 2, 2, 2, 2}, true, 72.12, 90.66, "vgg13_bn_batch256_imagenet_20210207-1a8b7864.pth"},
    {"vgg16_bn", {2, 2, 3, 3, 3}, true, 73.74, 91.66, "vgg16_bn_batch256_imagenet_20210208-7e55cd29.pth"},
    {"vgg19_bn", {2, 2, 4, 4, 4}, true, 74.68, 92.27, "vgg19_bn_batch256_imagenet_20210208-da620c4f.pth"},
};

const size_t family_stage_channels[5] = {64, 128, 256, 512, 512};
const size_t family_fc_outputs[3] = {4096, 4096, 1000};

const family *family_find(const char *name) {
  for (size_t i = 0; name && i < FAMILY_COUNT; i++)
    if (strcmp(families[i].name, name) == 0) return &families[i];
  return NULL;
}

static void count_layer(layer_shape s, bool batch_norm, uint64_t *params, uint64_t *table_flops) {
  *params += layer_params(&s, batch_norm);
  *table_flops += layer_table_flops(&s, batch_norm);
}

void family_count(const family *f, uint64_t *params, uint64_t *table_flops) {
  *params = *table_flops = 0;
  shape3 at = {3, FAMILY_INPUT_SIDE, FAMILY_INPUT_SIDE};
  for (size_t stage = 0; stage < 5; stage++) {
    for (size_t i = 0; i < f->stage_convs[stage]; i++) {
      const shape3 out = {family_stage_channels[stage], at.h, at.w};
      count_layer((layer_shape){.op = LAYER_CONV, .relu = true, .in = at, .out = out}, f->batch_norm, params,
                  table_flops);
      at = out;
    }
    const shape3 out = {at.c, at.h / 2, at.w / 2};
    count_layer((layer_shape){.op = LAYER_MAXPOOL, .in = at, .out = out}, f->batch_norm, params, table_flops);
    at = out;
  }
  for (size_t i = 0; i < 3; i++) {
    const shape3 out = {family_fc_outputs[i], 1, 1};
    count_layer((layer_shape){.op = LAYER_FC, .relu = i < 2, .in = at, .out = out}, f->batch_norm, params, table_flops);
    at = out;
  }
}
