/* The published VGG configurations: one table. */
#ifndef CLVGG_NETWORK_FAMILY_H
#define CLVGG_NETWORK_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAMILY_MAX_CONVS  16
#define FAMILY_INPUT_SIDE 224

typedef struct family {
  const char *name;
  unsigned char stage_convs[5]; /* convolutions before each of the five pools */
  bool batch_norm;
  double top1, top5;      /* published, percent */
  const char *checkpoint; /* published file name; the eight hex digits at its end begin its SHA-256 */
} family;

#define FAMILY_COUNT 8
extern const family families[FAMILY_COUNT];
extern const size_t family_stage_channels[5]; /* 64 128 256 512 512 */
extern const size_t family_fc_outputs[3];     /* 4096 4096 1000 */

/* NULL when there is none of that name. */
const family *family_find(const char *name);

/* Parameters, and operations of one image of 224x224 as layer_table_flops counts them. */
void family_count(const family *f, uint64_t *params, uint64_t *table_flops);

#endif
