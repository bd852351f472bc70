/* The orientation that a camera wrote into a photo, and turning the pixels by it. Formats: Exif 2.32 (CIPA DC-008), TIFF 6. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "image/bytes.h"
#include "image/image.h"

enum { UPRIGHT = 1, TAG_ORIENTATION = 0x0112, TIFF_SHORT = 3, TIFF_LONG = 4, IFD_ENTRY_BYTES = 12 };

/* The orientation in a TIFF block's first image file directory. */
static int tiff_orientation(const uint8_t *tiff, size_t bytes) {
  if (bytes < 8) return UPRIGHT;
  const bool big = memcmp(tiff, "MM\0*", 4) == 0;
  if (!big && memcmp(tiff, "II*\0", 4) != 0) return UPRIGHT;
  const size_t ifd = big ? bytes_be32(tiff + 4) : bytes_le32(tiff + 4);
  if (ifd > bytes || bytes - ifd < 2) return UPRIGHT;
  const size_t entries = big ? bytes_be16(tiff + ifd) : bytes_le16(tiff + ifd);
  const uint8_t *entry = tiff + ifd + 2;
  size_t left = bytes - ifd - 2;
  for (size_t i = 0; i < entries && left >= IFD_ENTRY_BYTES; i++, entry += IFD_ENTRY_BYTES, left -= IFD_ENTRY_BYTES) {
    if ((big ? bytes_be16(entry) : bytes_le16(entry)) != TAG_ORIENTATION) continue;
    const uint32_t type = big ? bytes_be16(entry + 2) : bytes_le16(entry + 2);
    const uint32_t count = big ? bytes_be32(entry + 4) : bytes_le32(entry + 4);
    uint32_t value = 0;
    if (type == TIFF_SHORT)
      value = big ? bytes_be16(entry + 8) : bytes_le16(entry + 8);
    else if (type == TIFF_LONG) /* not what the standard says, but written and understood by others */
      value = big ? bytes_be32(entry + 8) : bytes_le32(entry + 8);
    return count == 1 && value >= 1 && value <= 8 ? (int)value : UPRIGHT;
  }
  return UPRIGHT;
}

/* A block that may begin with the JPEG marker's "Exif\0\0". */
static int exif_orientation(const uint8_t *block, size_t bytes) {
  if (bytes >= 6 && memcmp(block, "Exif\0", 5) == 0) return tiff_orientation(block + 6, bytes - 6);
  return tiff_orientation(block, bytes);
}

static int jpeg_orientation(const uint8_t *data, size_t bytes) {
  size_t at = 2;
  while (bytes - at >= 4) {
    if (data[at] != 0xFF) return UPRIGHT;
    const uint8_t marker = data[at + 1];
    if (marker == 0xFF) { /* fill byte */
      at++;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return UPRIGHT; /* image data or the end: metadata comes before them */
    const size_t length = bytes_be16(data + at + 2);
    if (length < 2 || length > bytes - at - 2) return UPRIGHT;
    const uint8_t *const block = data + at + 4;
    if (marker == 0xE1 && length >= 8 && memcmp(block, "Exif\0", 5) == 0) return exif_orientation(block, length - 2);
    at += 2 + length;
  }
  return UPRIGHT;
}

static int png_orientation(const uint8_t *data, size_t bytes) {
  png_chunk chunk;
  for (size_t at = PNG_SIGNATURE_BYTES; png_next_chunk(data, bytes, &at, &chunk) && !png_is(&chunk, "IEND");)
    if (png_is(&chunk, "eXIf")) return png_intact(&chunk) ? exif_orientation(chunk.data, chunk.bytes) : UPRIGHT;
  return UPRIGHT;
}

int image_exif_orientation(const uint8_t *data, size_t bytes) {
  if (bytes >= 4 && data[0] == 0xFF && data[1] == 0xD8) return jpeg_orientation(data, bytes);
  if (bytes >= PNG_SIGNATURE_BYTES && memcmp(data, PNG_SIGNATURE, PNG_SIGNATURE_BYTES) == 0)
    return png_orientation(data, bytes);
  return UPRIGHT;
}

clvgg_status image_orient(image *img, int orientation) {
  if (orientation == UPRIGHT) return CLVGG_OK;
  if (orientation < 1 || orientation > 8)
    return base_fail(CLVGG_ERROR_ARGUMENT, "orientation is %d, expected 1..8", orientation);
  const ptrdiff_t w = (ptrdiff_t)img->width, h = (ptrdiff_t)img->height;
  /* Upright pixel (y, x) is stored pixel first + y * down + x * right, counted in row-major order: the tag says which edge
   * of the scene the stored row 0 and column 0 are. */
  const ptrdiff_t top_left = 0, top_right = w - 1, bottom_left = (h - 1) * w, bottom_right = h * w - 1;
  const struct {
    ptrdiff_t first, down, right;
  } turns[9] = {
      [2] = {top_right, w, -1},     /* row 0 is the top, column 0 the right side: mirrored */
      [3] = {bottom_right, -w, -1}, /* bottom, right: upside down */
      [4] = {bottom_left, -w, 1},   /* bottom, left */
      [5] = {top_left, 1, w},       /* left side, top: mirrored in the main diagonal */
      [6] = {bottom_left, 1, -w},   /* right side, top: to be turned a quarter clockwise */
      [7] = {bottom_right, -1, -w}, /* right side, bottom */
      [8] = {top_right, -1, w},     /* left side, bottom: a quarter counter-clockwise */
  };
  const ptrdiff_t first = turns[orientation].first, down = turns[orientation].down, right = turns[orientation].right;
  const bool swap = orientation >= 5;
  const size_t width = swap ? img->height : img->width, height = swap ? img->width : img->height;
  size_t bytes;
  if (!size_product((size_t[]){width, height, 3}, 3, &bytes))
    return base_fail(CLVGG_ERROR_TOO_LARGE, "an image of %zux%zu does not fit memory", width, height);
  uint8_t *const turned = malloc(bytes);
  if (turned == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory for turning an image of %zux%zu", width, height);
  uint8_t *to = turned;
  for (size_t y = 0; y < height; y++)
    for (size_t x = 0; x < width; x++, to += 3)
      memcpy(to, img->rgb + 3 * (first + (ptrdiff_t)y * down + (ptrdiff_t)x * right), 3);
  free(img->rgb);
  *img = (image){width, height, turned};
  return CLVGG_OK;
}
