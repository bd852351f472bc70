/* Finds, reads and makes sample images. */
#include "gate/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/size.h"

/* Of a sample in the form that the engine is given. */
static bool image_bytes(const clvgg_engine_options *o, shape3 input, size_t *out) {
  const size_t factors[] = {input.c, input.h, input.w, o->input == CLVGG_INPUT_RGB8 ? 1 : sizeof(float)};
  return size_product(factors, sizeof factors / sizeof *factors, out);
}

static clvgg_status fail_size(shape3 input) {
  return base_fail(CLVGG_ERROR_TOO_LARGE, "sample images of %zux%zux%zu are more than memory can address", input.c,
                   input.h, input.w);
}

/* The paths of the list's files, and the digest of their bytes. 0 of them where one cannot be read: then none is of use. */
static size_t list_bundled(char (*paths)[4096], uint64_t *digest) {
  char list[4096];
  file_map names, file;
  size_t count = 0;
  if (file_shared_path(SAMPLES_LIST, list, sizeof list) || file_map_open(list, &names)) return 0;
  const int folder = (int)(strrchr(list, '/') - list);
  bool ok = true;
  for (size_t at = 0, length; ok && at < names.bytes && count < SAMPLES_MOST; at += length + 1) {
    const char *line = (const char *)names.data + at, *end = memchr(line, '\n', names.bytes - at);
    length = end ? (size_t)(end - line) : names.bytes - at;
    if (length == 0) continue;
    const int n = snprintf(paths[count], sizeof *paths, "%.*s/%.*s", folder, list, (int)length, line);
    ok = n > 0 && (size_t)n < sizeof *paths && !file_map_open(paths[count], &file);
    if (!ok) break;
    *digest = hash_bytes(*digest, file.data, file.bytes);
    file_map_close(&file);
    count++;
  }
  file_map_close(&names);
  return ok ? count : 0;
}

static void take_noise(samples *s, const char *why) {
  base_log("precision is judged by noise, not by images: %s", why);
  s->source = "noise";
  s->count = SAMPLES_NOISE;
  s->digest = HASH_START;
}

clvgg_status samples_find(const clvgg_engine_options *options, const clvgg_preprocess *preprocess, shape3 input,
                          samples *out) {
  size_t bytes, all;
  *out = (samples){.source = "given", .count = options->sample_count, .data = options->samples, .digest = HASH_START};
  if (!image_bytes(options, input, &bytes) || !size_mul(bytes, CLVGG_MAX_SAMPLES, &all)) return fail_size(input);
  if (out->data) {
    out->digest = hash_block(out->data, out->count * bytes);
  } else if (input.c == 3) {
    out->paths = malloc(SAMPLES_MOST * sizeof *out->paths);
    if (!out->paths) return base_fail(CLVGG_ERROR_MEMORY, "no memory for the paths of sample images");
    out->source = "bundled";
    out->count = list_bundled(out->paths, &out->digest);
    if (out->count == 0) take_noise(out, clvgg_last_error());
  } else {
    take_noise(out, "the network's input has not three channels");
  }
  /* How pixels become numbers; also where the device does it. */
  const float numbers[] = {preprocess->mean[0], preprocess->mean[1], preprocess->mean[2],          preprocess->std[0],
                           preprocess->std[1],  preprocess->std[2],  preprocess->bgr ? 1.0f : 0.0f};
  const unsigned sizes[] = {preprocess->resize_short, preprocess->width, preprocess->height,
                            preprocess->interpolation == CLVGG_BICUBIC};
  out->digest = hash_bytes(hash_bytes(out->digest, numbers, sizeof numbers), sizes, sizeof sizes);
  return CLVGG_OK;
}

/* Bundled ones, prepared as the model's images are; for another input size than the model's own, the whole image. */
static clvgg_status load_bundled(const clvgg_engine_options *o, const clvgg_preprocess *preprocess, shape3 input,
                                 size_t bytes, samples *s) {
  clvgg_preprocess pre = *preprocess;
  if (pre.width != input.w || pre.height != input.h) {
    pre.width = (unsigned)input.w;
    pre.height = (unsigned)input.h;
    pre.resize_short = 0;
  }
  for (size_t i = 0; i < s->count; i++) {
    char *to = (char *)s->owned + i * bytes;
    TRY(o->input == CLVGG_INPUT_RGB8 ? clvgg_image_load_rgb8(s->paths[i], &pre, (uint8_t *)to)
                                     : clvgg_image_load(s->paths[i], &pre, (float *)(void *)to));
  }
  return CLVGG_OK;
}

/* About a normalised image's range. */
static void make_noise(const clvgg_engine_options *o, size_t bytes, samples *s) {
  const size_t count = s->count * bytes;
  uint8_t *pixels = s->owned;
  if (o->input == CLVGG_INPUT_F32)
    random_fill(1, -2, 2, s->owned, count / sizeof(float));
  else
    for (size_t i = 0; i < count; i++) pixels[i] = (uint8_t)(256 * random_uniform(1, i));
}

clvgg_status samples_load(const clvgg_engine_options *options, const clvgg_preprocess *preprocess, shape3 input,
                          samples *s) {
  size_t bytes;
  if (s->data) return CLVGG_OK;
  if (!image_bytes(options, input, &bytes)) return fail_size(input);
  const size_t most = s->count > SAMPLES_NOISE ? s->count : SAMPLES_NOISE; /* samples_find checked the product */
  s->owned = malloc(most * bytes);
  if (!s->owned) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu sample images", most);
  s->data = s->owned;
  if (strcmp(s->source, "bundled") == 0) {
    const clvgg_status status = load_bundled(options, preprocess, input, bytes, s);
    if (!status || status == CLVGG_ERROR_MEMORY) return status;
    take_noise(s, clvgg_last_error());
  }
  make_noise(options, bytes, s);
  return CLVGG_OK;
}

void samples_free(samples *s) {
  free(s->paths);
  free(s->owned);
  *s = (samples){0};
}
