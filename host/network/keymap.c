/* Sorts a state dict's tensors into convolutions, batch norms and fully connected layers by their key names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/build.h"

static const keymap keymaps[] = {
    {"torchvision", "features.#", "features.#", 1, 2, 3, {"classifier.#"}, false, 0},
    {"mmclassification",
     "backbone.features.#.conv",
     "backbone.features.#.bn",
     0,
     1,
     1,
     {"backbone.classifier.#"},
     false,
     0},
    {"mmclassification", "backbone.features.#.conv", "backbone.features.#.bn", 0, 1, 1, {"head.fc"}, false, 224},
    {"timm", "features.#", "features.#", 1, 2, 3, {"pre_logits.fc1", "pre_logits.fc2", "head.fc"}, true, 0},
    {"pytorch-cifar", "features.#", "features.#", 1, 2, 3, {"classifier"}, false, 0},
};
enum { KEYMAP_COUNT = sizeof keymaps / sizeof *keymaps };

/* What wrappers (DataParallel, torch.compile) put before every name. */
static const char *const prefixes[] = {"module.", "_orig_mod."};

typedef enum role { ROLE_CONV, ROLE_BN, ROLE_FC } role;
typedef enum field { FIELD_WEIGHT, FIELD_BIAS, FIELD_MEAN, FIELD_VAR, FIELD_BATCHES, FIELD_COUNT } field;
static const char *const field_names[FIELD_COUNT] = {"weight", "bias", "running_mean", "running_var",
                                                     "num_batches_tracked"};

typedef struct entry {
  role role;
  size_t index;
  field field;
  const tensor *tensor;
} entry;

/* All tensors of one module. */
typedef struct group {
  role role;
  size_t index;
  const tensor *field[FIELD_COUNT];
} group;

static const char *skip_prefixes(const char *key) {
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes;) {
    const size_t length = strlen(prefixes[i]);
    if (strncmp(key, prefixes[i], length) == 0) {
      key += length;
      i = 0;
    } else {
      i++;
    }
  }
  return key;
}

/* Matches key with pattern, a dot and a field's name. */
static bool match_pattern(const char *pattern, const char *key, size_t *index, field *f) {
  for (*index = 0; *pattern; pattern++) {
    if (*pattern != '#') {
      if (*key++ != *pattern) return false;
      continue;
    }
    size_t digits = 0;
    while (key[digits] >= '0' && key[digits] <= '9' && digits < KEY_MAX_DIGITS)
      *index = *index * 10 + (size_t)(key[digits++] - '0');
    if (digits == 0 || (digits > 1 && *key == '0')) return false;
    key += digits;
  }
  if (*key++ != '.') return false;
  for (*f = 0; *f < FIELD_COUNT; (*f)++)
    if (strcmp(key, field_names[*f]) == 0) return true;
  return false;
}

static bool match_key(const keymap *map, const char *key, entry *e) {
  const bool shared = strcmp(map->conv, map->bn) == 0;
  key = skip_prefixes(key);
  if (match_pattern(map->conv, key, &e->index, &e->field)) {
    e->role = ROLE_CONV; /* or BN, where they share a pattern: split_shared */
    return shared || e->field <= FIELD_BIAS;
  }
  if (!shared && match_pattern(map->bn, key, &e->index, &e->field)) {
    e->role = ROLE_BN;
    return true;
  }
  for (size_t i = 0; i < 3 && map->fc[i]; i++) {
    size_t index;
    if (!match_pattern(map->fc[i], key, &index, &e->field)) continue;
    e->role = ROLE_FC;
    e->index = strchr(map->fc[i], '#') ? index : i;
    return e->field <= FIELD_BIAS;
  }
  return false;
}

/* The file's own name for a tensor of the map, wrappers' prefixes included. */
static char *key_text(const keymap *map, const char *prefix_of, role r, size_t index, field f, char *out) {
  const char *pattern = r == ROLE_CONV ? map->conv : r == ROLE_BN ? map->bn : map->fc[0];
  if (r == ROLE_FC && !strchr(pattern, '#')) pattern = map->fc[index];
  const int prefix = (int)(skip_prefixes(prefix_of) - prefix_of);
  const char *hash = strchr(pattern, '#');
  if (hash)
    snprintf(out, KEY_NAME_BYTES, "%.*s%.*s%zu%s.%s", prefix, prefix_of, (int)(hash - pattern), pattern, index,
             hash + 1, field_names[f]);
  else
    snprintf(out, KEY_NAME_BYTES, "%.*s%s.%s", prefix, prefix_of, pattern, field_names[f]);
  return out;
}

static clvgg_status fail_missing(const keymap *map, const char *prefix_of, role r, size_t index, field f) {
  char name[KEY_NAME_BYTES];
  return base_fail(CLVGG_ERROR_MODEL, "tensor '%s' is missing (key names of %s)",
                   key_text(map, prefix_of, r, index, f, name), map->name);
}

static clvgg_status fail_not_vgg(const tensor *tensors, size_t count) {
  if (count == 0) return base_fail(CLVGG_ERROR_MODEL, "this does not look like a VGG: there are no tensors in it");
  char hint[2 * KEY_NAME_BYTES] = "";
  for (size_t i = 0; i < count && !*hint; i++)
    if (tensors[i].dims == 4 && (tensors[i].shape[2] != 3 || tensors[i].shape[3] != 3))
      snprintf(hint, sizeof hint, "; '%.100s' is a %zux%zu convolution, a VGG's are 3x3", tensors[i].name,
               tensors[i].shape[2], tensors[i].shape[3]);
  return base_fail(
      CLVGG_ERROR_MODEL,
      "this does not look like a VGG: none of its %zu tensors has the name of a VGG's convolution, such as "
      "features.0.weight; first keys are '%.100s', '%.100s', '%.100s'%s",
      count, tensors[0].name, count > 1 ? tensors[1].name : "", count > 2 ? tensors[2].name : "", hint);
}

/* The map that knows most of the names, the earlier among equals. */
static clvgg_status choose_map(const tensor *tensors, size_t count, const keymap **out) {
  size_t best = 0;
  *out = NULL;
  for (size_t m = 0; m < KEYMAP_COUNT; m++) {
    size_t matched = 0, convs = 0;
    for (size_t i = 0; i < count; i++) {
      entry e;
      if (!match_key(&keymaps[m], tensors[i].name, &e)) continue;
      matched++;
      convs += e.role == ROLE_CONV;
    }
    if (convs > 0 && matched > best) {
      best = matched;
      *out = &keymaps[m];
    }
  }
  return *out ? CLVGG_OK : fail_not_vgg(tensors, count);
}

static int compare_entries(const void *left, const void *right) {
  const entry *a = left, *b = right;
  if (a->role != b->role) return a->role < b->role ? -1 : 1;
  if (a->index != b->index) return a->index < b->index ? -1 : 1;
  return a->field < b->field ? -1 : a->field > b->field;
}

/* Gathers sorted entries into groups, which has room for count. */
static clvgg_status make_groups(const entry *entries, size_t count, group *groups, size_t *group_count) {
  group *last = NULL;
  *group_count = 0;
  for (size_t i = 0; i < count; i++) {
    const entry *e = &entries[i];
    if (!last || last->role != e->role || last->index != e->index) {
      last = &groups[(*group_count)++];
      *last = (group){.role = e->role, .index = e->index};
    }
    if (last->field[e->field])
      return base_fail(CLVGG_ERROR_MODEL, "tensors '%s' and '%s' are the same part of the network, expected one",
                       last->field[e->field]->name, e->tensor->name);
    last->field[e->field] = e->tensor;
  }
  return CLVGG_OK;
}

/* Where convolutions and BNs share a pattern, a BN is what has statistics or a one-dimensional weight. */
static clvgg_status split_shared(const keymap *map, const char *prefix_of, group *groups, size_t count) {
  if (strcmp(map->conv, map->bn) != 0) return CLVGG_OK;
  for (size_t i = 0; i < count && groups[i].role == ROLE_CONV; i++) {
    group *g = &groups[i];
    const tensor *weight = g->field[FIELD_WEIGHT];
    if (!g->field[FIELD_MEAN] && !g->field[FIELD_VAR] && !g->field[FIELD_BATCHES] && !(weight && weight->dims == 1))
      continue;
    if (g->index < map->bn_offset || i == 0)
      return fail_missing(map, prefix_of, ROLE_CONV, g->index < map->bn_offset ? 0 : g->index - map->bn_offset,
                          FIELD_WEIGHT);
    g->role = ROLE_BN;
  }
  return CLVGG_OK;
}

/* Convolutions in order, each with its BN; bias all or none. */
static clvgg_status take_convs(const keymap *map, const char *prefix_of, const group *groups, size_t count,
                               network_parts *out) {
  size_t biases = 0;
  for (size_t i = 0; i < count; i++) {
    const group *g = &groups[i];
    if (g->role != ROLE_CONV) continue;
    if (!g->field[FIELD_WEIGHT]) return fail_missing(map, prefix_of, ROLE_CONV, g->index, FIELD_WEIGHT);
    out->convs[out->conv_count++] =
        (conv_parts){.index = g->index, .weight = g->field[FIELD_WEIGHT], .bias = g->field[FIELD_BIAS]};
    biases += g->field[FIELD_BIAS] != NULL;
  }
  for (size_t c = 0; biases > 0 && c < out->conv_count; c++)
    if (!out->convs[c].bias) return fail_missing(map, prefix_of, ROLE_CONV, out->convs[c].index, FIELD_BIAS);
  size_t c = 0;
  for (size_t i = 0; i < count; i++) {
    const group *g = &groups[i];
    if (g->role != ROLE_BN) continue;
    const size_t index = g->index < map->bn_offset ? 0 : g->index - map->bn_offset;
    while (c < out->conv_count && out->convs[c].index < index) c++;
    if (c == out->conv_count || out->convs[c].index != index)
      return fail_missing(map, prefix_of, ROLE_CONV, index, FIELD_WEIGHT);
    for (field f = FIELD_WEIGHT; f <= FIELD_VAR; f++) {
      if (!g->field[f]) return fail_missing(map, prefix_of, ROLE_BN, g->index, f);
      out->convs[c].bn[f] = g->field[f];
    }
  }
  return CLVGG_OK;
}

/* Pools have no tensors: the indices leave room for them. */
static clvgg_status place_pools(const keymap *map, const char *prefix_of, network_parts *out) {
  if (out->convs[0].index != 0) return fail_missing(map, prefix_of, ROLE_CONV, 0, FIELD_WEIGHT);
  for (size_t c = 0; c + 1 < out->conv_count; c++) {
    conv_parts *conv = &out->convs[c];
    const tensor *weight = conv->weight, *next = conv[1].weight;
    const size_t gap = conv[1].index - conv->index, step = conv->bn[BN_WEIGHT] ? map->step_bn : map->step;
    if (weight && next && gap != step && gap != step + 1)
      return base_fail(CLVGG_ERROR_MODEL,
                       "'%s' follows '%s' at a distance of %zu: a VGG's next convolution is %zu on, or %zu with a pool "
                       "between (is a tensor missing?)",
                       next->name, weight->name, gap, step, step + 1);
    conv->pool_after = gap == step + 1;
  }
  return CLVGG_OK;
}

/* A numbered classifier has ReLU, and perhaps dropout, between its layers, and perhaps dropout before the first. */
static clvgg_status check_fc_index(const keymap *map, const char *prefix_of, const group *g, const group *previous) {
  if (!previous) return g->index <= 2 ? CLVGG_OK : fail_missing(map, prefix_of, ROLE_FC, 0, FIELD_WEIGHT);
  const size_t gap = g->index - previous->index;
  if (gap == 2 || gap == 3) return CLVGG_OK;
  char name[KEY_NAME_BYTES];
  return base_fail(
      CLVGG_ERROR_MODEL,
      "'%s' follows '%s' at a distance of %zu: a VGG's next fully connected layer is 2 or 3 on (is a tensor "
      "missing?)",
      key_text(map, prefix_of, ROLE_FC, g->index, FIELD_WEIGHT, name), previous->field[FIELD_WEIGHT]->name, gap);
}

static clvgg_status take_fcs(const keymap *map, const char *prefix_of, const group *groups, size_t count,
                             network_parts *out) {
  const bool numbered = strchr(map->fc[0], '#') != NULL;
  const group *previous = NULL;
  for (size_t i = 0; i < count; i++) {
    const group *g = &groups[i];
    if (g->role != ROLE_FC) continue;
    const tensor *any = g->field[FIELD_WEIGHT] ? g->field[FIELD_WEIGHT] : g->field[FIELD_BIAS];
    if (out->fc_count == 3)
      return base_fail(CLVGG_ERROR_MODEL, "'%s' is a fourth fully connected layer, expected 1 to 3",
                       any ? any->name : "?");
    if (numbered) TRY(check_fc_index(map, prefix_of, g, previous));
    if (!numbered && g->index != out->fc_count)
      return fail_missing(map, prefix_of, ROLE_FC, out->fc_count, FIELD_WEIGHT);
    for (field f = FIELD_WEIGHT; f <= FIELD_BIAS; f++)
      if (!g->field[f]) return fail_missing(map, prefix_of, ROLE_FC, g->index, f);
    out->fcs[out->fc_count++] = (fc_parts){g->field[FIELD_WEIGHT], g->field[FIELD_BIAS]};
    previous = g;
  }
  if (out->fc_count == 0) return fail_missing(map, prefix_of, ROLE_FC, 0, FIELD_WEIGHT);
  if (!numbered && out->fc_count < 3 && map->fc[out->fc_count])
    return fail_missing(map, prefix_of, ROLE_FC, out->fc_count, FIELD_WEIGHT);
  return CLVGG_OK;
}

static clvgg_status sort_tensors(const keymap *map, const tensor *tensors, size_t count, entry *entries, group *groups,
                                 network_parts *out) {
  for (size_t i = 0; i < count; i++) {
    if (!match_key(map, tensors[i].name, &entries[i]))
      return base_fail(CLVGG_ERROR_MODEL,
                       "tensor '%s' is not part of a VGG with the key names of %s, expected only %s.*, %s.*",
                       tensors[i].name, map->name, map->conv, map->fc[0]);
    entries[i].tensor = &tensors[i];
  }
  qsort(entries, count, sizeof *entries, compare_entries);
  size_t group_count;
  const char *prefix_of = tensors[0].name;
  TRY(make_groups(entries, count, groups, &group_count));
  TRY(split_shared(map, prefix_of, groups, group_count));
  TRY(take_convs(map, prefix_of, groups, group_count, out));
  TRY(place_pools(map, prefix_of, out));
  return take_fcs(map, prefix_of, groups, group_count, out);
}

clvgg_status parts_from_tensors(const tensor *tensors, size_t count, network_parts *out) {
  *out = (network_parts){0};
  TRY(choose_map(tensors, count, &out->map));
  entry *entries = calloc(count, sizeof *entries);
  group *groups = calloc(count, sizeof *groups);
  out->convs = calloc(count, sizeof *out->convs);
  clvgg_status status = entries && groups && out->convs ? CLVGG_OK : CLVGG_ERROR_MEMORY;
  if (status == CLVGG_OK)
    status = sort_tensors(out->map, tensors, count, entries, groups, out);
  else
    status = base_fail(status, "no memory to sort %zu tensors", count);
  free(entries);
  free(groups);
  if (status != CLVGG_OK) parts_free(out);
  return status;
}

void parts_free(network_parts *parts) {
  free(parts->convs);
  *parts = (network_parts){0};
}
