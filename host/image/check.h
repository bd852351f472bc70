/* Whether an image file is whole and within limits, from its own structure alone. */
#ifndef CLVGG_IMAGE_CHECK_H
#define CLVGG_IMAGE_CHECK_H

#include <stdint.h>

#include "base/status.h"

/* Each walks through a file that begins like one of its format, and sets its size in pixels. stb_image does not notice a file
 * that ends early (the rest becomes grey or black), and trusts lengths and tables that it should not. */
clvgg_status image_check_jpeg(const uint8_t *data, size_t bytes, size_t *width, size_t *height);
clvgg_status image_check_png(const uint8_t *data, size_t bytes, size_t *width, size_t *height);
clvgg_status image_check_bmp(const uint8_t *data, size_t bytes, size_t *width, size_t *height);

#endif
