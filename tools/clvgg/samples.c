/* Reads sample images: those of a folder, or of a list with a path a line. */
#include "samples.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images.h"

/* More say little more about a precision, and take the time of as many runs. */
#define MOST_SAMPLES 256

/* Paths relative to the list's folder. 0: reported. */
static int read_list(image_list *list, const char *path) {
  FILE *stream = fopen(path, "re");
  char *line = NULL;
  size_t bytes = 0;
  const char *slash = strrchr(path, '/');
  if (!stream) {
    cli_error("--samples: %s: cannot read: %s", path, strerror(errno));
    return 0;
  }
  while (getline(&line, &bytes, stream) >= 0) {
    line[strcspn(line, "\r\n")] = 0;
    if (!*line || *line == '#') continue;
    if (!slash || *line == '/') {
      image_list_add(list, line);
      continue;
    }
    char *folder = cli_copy(path);
    folder[slash - path + 1] = 0;
    char *whole = cli_join(folder, line);
    image_list_add(list, whole);
    free(whole);
    free(folder);
  }
  const int ok = !ferror(stream);
  if (!ok) cli_error("--samples: %s: cannot read: %s", path, strerror(errno));
  free(line);
  fclose(stream);
  return ok;
}

/* 1: at least one. */
static int find_images(image_list *list, const char *from) {
  if (is_folder(from)) {
    const int error = image_list_walk(list, from);
    if (error) cli_error("--samples: %s: cannot read the folder: %s", from, strerror(error));
    if (error) return 0;
  } else if (!read_list(list, from)) {
    return 0;
  }
  if (!list->count) cli_error("--samples: %s: no images", from);
  return list->count > 0;
}

int cli_load_samples(const cli_shared *shared, size_t channels, const clvgg_preprocess *preprocess,
                     clvgg_engine_options *engine, void **data) {
  image_list list = {.count = 0};
  clvgg_preprocess pre = *preprocess;
  *data = NULL;
  if (!shared->samples || engine->precision == CLVGG_PRECISION_F32) return 1;
  if (channels != 3) cli_error("--samples: the model's input has %zu channels, images have 3", channels);
  int ok = channels == 3 && find_images(&list, shared->samples);
  if (engine->height && (pre.height != engine->height || pre.width != engine->width)) {
    pre.height = (unsigned)engine->height;
    pre.width = (unsigned)engine->width;
    pre.resize_short = 0; /* the whole image */
  }
  const int rgb8 = engine->input == CLVGG_INPUT_RGB8;
  const size_t bytes = (size_t)3 * pre.height * pre.width * (rgb8 ? 1 : sizeof(float)); /* sides are at most 65535 */
  const size_t count = list.count < MOST_SAMPLES ? list.count : MOST_SAMPLES;
  char *images = ok ? cli_alloc(count, bytes) : NULL; /* (count, H, W, 3) or (count, 3, H, W) */
  for (size_t i = 0; ok && i < count; i++) {
    const char *path = list.path[i * list.count / count]; /* spread evenly */
    char *to = images + i * bytes;
    ok = rgb8 ? !clvgg_image_load_rgb8(path, &pre, (uint8_t *)to) : !clvgg_image_load(path, &pre, (float *)(void *)to);
    if (!ok) cli_library_error();
  }
  image_list_free(&list);
  if (!ok) {
    free(images);
    return 0;
  }
  *data = images;
  engine->samples = images;
  engine->sample_count = count;
  return 1;
}
