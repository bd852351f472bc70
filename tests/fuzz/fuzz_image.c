/* libFuzzer target: any bytes as an image file, decoded, turned and fitted to a small crop. */
#include <stdlib.h>

#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  image img, fitted;
  const int orientation = image_exif_orientation(data, bytes);
  if (orientation < 1 || orientation > 8) abort();
  if (image_decode_memory(data, bytes, &img) != CLVGG_OK) {
    if (img.rgb != NULL || *clvgg_last_error() == '\0') abort();
    return 0;
  }
  clvgg_preprocess pre;
  clvgg_preprocess_init(&pre);
  pre.resize_short = 10;
  pre.width = 9;
  pre.height = 8;
  if (image_fit(&img, &pre, &fitted) == CLVGG_OK) image_free(&fitted);
  image_free(&img);
  return 0;
}
