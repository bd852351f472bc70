/* Image files to network input. Knows nothing of networks. The public clvgg_image_load is in image.c. */
#ifndef CLVGG_IMAGE_IMAGE_H
#define CLVGG_IMAGE_IMAGE_H

#include <stdint.h>

#include "base/status.h"

/* Larger images are refused before anything is allocated for their pixels (CLVGG_ERROR_TOO_LARGE). */
#define IMAGE_MAX_SIDE   65535     /* pixels; also of crops and resized images */
#define IMAGE_MAX_PIXELS 100000000 /* width * height */

/* 8-bit RGB, (height, width, 3), malloc'ed. */
typedef struct image {
  size_t width, height;
  uint8_t *rgb;
} image;

/* Decodes a file: format by content, grey to RGB, alpha dropped, turned upright by its EXIF orientation (1..8). */
clvgg_status image_decode_file(const char *path, image *out);
/* The same for a file's bytes; error texts then name no file. */
clvgg_status image_decode_memory(const uint8_t *data, size_t bytes, image *out);
void image_free(image *img);

/* CLVGG_ERROR_TOO_LARGE when an image of this size is over the limits above; what names it in the text. */
clvgg_status image_check_size(const char *what, size_t width, size_t height);

/* The EXIF orientation (1..8) of a JPEG or PNG file's bytes; 1 when there is none or it is damaged. */
int image_exif_orientation(const uint8_t *data, size_t bytes);
/* Turns img upright in place (its width and height may swap). */
clvgg_status image_orient(image *img, int orientation);

/* Pillow's antialiased resize (libImaging/Resample.c: support scaled by the reduction factor, coefficients normalised and
 * rounded to 22-8-2 bit fixed point, horizontal then vertical, 8-bit in between), so equal to Pillow's pixels. */
clvgg_status image_resize(const image *in, size_t width, size_t height, clvgg_interpolation filter, image *out);

/* Resize and crop as clvgg_preprocess says, without the normalisation: an image of (pre->height, pre->width). */
clvgg_status image_fit(const image *in, const clvgg_preprocess *pre, image *out);

/* The caller's preprocessing, whose struct may be an older one, over the defaults, and checked. */
clvgg_status image_preprocess_read(const clvgg_preprocess *given, clvgg_preprocess *out);

/* out (3, height, width) = (pixel - mean[c]) / std[c]. */
void image_normalise(const image *in, const clvgg_preprocess *pre, float *out);

#endif
