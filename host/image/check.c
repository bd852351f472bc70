/* Whether a JPEG, PNG or BMP file is whole and within limits, before stb_image decodes it. */
#include "image/check.h"

#include <string.h>

#include "base/size.h"
#include "image/bytes.h"
#include "image/image.h"

clvgg_status image_check_size(const char *what, size_t width, size_t height) {
  size_t pixels;
  if (width == 0 || height == 0)
    return base_fail(CLVGG_ERROR_FORMAT, "%s is %zux%zu pixels, expected at least 1x1", what, width, height);
  if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || !size_mul(width, height, &pixels) ||
      pixels > IMAGE_MAX_PIXELS)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%s is %zux%zu pixels, expected at most %d a side and %d in all", what,
                     width, height, IMAGE_MAX_SIDE, IMAGE_MAX_PIXELS);
  return CLVGG_OK;
}

/* ------------------------------------------------------------------- JPEG */

/* What a JPEG has told so far. */
typedef struct jpeg_state {
  size_t width, height;
  bool progressive, adobe, scan;
  unsigned components;    /* 0: no frame header yet */
  uint8_t quantiser[255]; /* (components): the table that it uses */
  unsigned quantisers;    /* bit t: table t is defined */
  unsigned huffman[2];    /* [DC, AC] the same */
} jpeg_state;

static clvgg_status jpeg_frame(const uint8_t *body, size_t bytes, unsigned process, jpeg_state *s) {
  if (bytes < 6 || bytes < 6 + 3 * (size_t)body[5])
    return base_fail(CLVGG_ERROR_FORMAT, "JPEG is damaged: a frame header of %zu bytes", bytes);
  s->height = bytes_be16(body + 1);
  s->width = bytes_be16(body + 3);
  TRY(image_check_size("JPEG", s->width, s->height));
  if (process > 2 || body[0] != 8)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "JPEG of process %u with %u bits is not read; 0, 1, 2 with 8 bits are",
                     process, body[0]);
  s->progressive = process == 2;
  s->components = body[5];
  for (unsigned i = 0; i < s->components; i++) s->quantiser[i] = body[8 + 3 * i];
  return CLVGG_OK;
}

/* Huffman (T.81, B.2.4.2) and quantisation tables (B.2.4.1): stb_image trusts their lengths. */
static clvgg_status jpeg_tables(const uint8_t *body, size_t bytes, bool huffman, jpeg_state *s) {
  for (size_t at = 0; at < bytes;) {
    const unsigned kind = body[at] >> 4, table = body[at] & 15;
    size_t length = 0;
    if (huffman && bytes - at >= 17)
      for (size_t i = 1; i <= 16; i++) length += body[at + i];
    if (kind > 1 || table > 3 || length > 256 || bytes - at < (length += huffman ? 17 : 65 + 64 * kind))
      return base_fail(CLVGG_ERROR_FORMAT, "JPEG is damaged: a bad %s table", huffman ? "Huffman" : "quantisation");
    *(huffman ? &s->huffman[kind] : &s->quantisers) |= 1u << table;
    at += length;
  }
  return CLVGG_OK;
}

/* A scan must not use a table that is not there. */
static clvgg_status jpeg_scan(const uint8_t *body, size_t bytes, jpeg_state *s) {
  const size_t n = bytes > 0 ? body[0] : 0;
  if (s->components == 0 || n == 0 || bytes < 4 + 2 * n)
    return base_fail(CLVGG_ERROR_FORMAT, "JPEG is damaged: a scan %s", bytes < 4 + 2 * n ? "header" : "without frame");
  const bool first_dc = body[1 + 2 * n] == 0, refined = body[3 + 2 * n] >> 4 != 0;
  const bool dc = s->progressive ? first_dc && !refined : true, ac = s->progressive ? !first_dc : true;
  bool defined = true;
  for (size_t i = 0; i < n; i++) {
    const unsigned selector = body[2 + 2 * i];
    if (dc) defined = defined && (s->huffman[0] >> (selector >> 4) & 1) != 0;
    if (ac) defined = defined && (s->huffman[1] >> (selector & 15) & 1) != 0;
  }
  for (unsigned i = 0; i < s->components; i++)
    defined = defined && s->quantiser[i] <= 3 && (s->quantisers >> s->quantiser[i] & 1) != 0;
  if (!defined) return base_fail(CLVGG_ERROR_FORMAT, "JPEG is damaged: a scan uses a table that is not defined");
  s->scan = true;
  return CLVGG_OK;
}

/* Goes from marker to marker (ITU-T T.81, B.1) to the end-of-image marker; what follows that one is the camera's own
 * business. Inside entropy-coded data 0xFF is followed by 0 or a restart marker, so the same walk passes it. */
clvgg_status image_check_jpeg(const uint8_t *data, size_t bytes, size_t *width, size_t *height) {
  jpeg_state s = {0};
  for (size_t at = 2;;) {
    const uint8_t *const ff = memchr(data + at, 0xFF, bytes - at);
    at = ff != NULL ? (size_t)(ff - data) : bytes;
    while (at < bytes && data[at] == 0xFF) at++;
    if (at == bytes) return base_fail(CLVGG_ERROR_FORMAT, "JPEG is truncated: %zu bytes without an end marker", bytes);
    const uint8_t marker = data[at++];
    if (marker == 0xD9) break;
    if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) continue; /* these have no length */
    const size_t length = bytes - at < 2 ? 0 : bytes_be16(data + at);
    if (length < 2 || length > bytes - at)
      return base_fail(CLVGG_ERROR_FORMAT,
                       "JPEG is %s: its segment FF%02X at byte %zu has length %zu, the file %zu bytes",
                       length > 2 ? "truncated" : "damaged", marker, at - 2, length, bytes);
    const uint8_t *const body = data + at + 2;
    if (marker == 0xC4 || marker == 0xDB)
      TRY(jpeg_tables(body, length - 2, marker == 0xC4, &s));
    else if (marker == 0xDA)
      TRY(jpeg_scan(body, length - 2, &s));
    else if (marker == 0xEE)
      s.adobe = s.adobe || (length >= 14 && memcmp(body, "Adobe", 5) == 0);
    else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC8 && marker != 0xCC)
      TRY(jpeg_frame(body, length - 2, marker - 0xC0u, &s));
    at += length;
  }
  if (!s.scan) return base_fail(CLVGG_ERROR_FORMAT, "JPEG is damaged: no image before its end marker");
  if (s.components == 4 && !s.adobe)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "JPEG of four components without an Adobe marker: unknown colours");
  /* Every 8x8 block has a code of at least one bit. Of 32x32 pixels, at worst (components sampled 4x1 and 1x4) eight blocks
   * are coded: a byte makes at most 1024 pixels. */
  if (s.width * s.height / 1024 > bytes)
    return base_fail(CLVGG_ERROR_FORMAT, "JPEG is damaged: %zux%zu pixels in %zu bytes", s.width, s.height, bytes);
  *width = s.width;
  *height = s.height;
  return CLVGG_OK;
}

/* -------------------------------------------------------------------- PNG */

/* Chunks, their checksums (of the critical ones: an unreadable comment hurts nobody) and the end chunk. */
clvgg_status image_check_png(const uint8_t *data, size_t bytes, size_t *width, size_t *height) {
  size_t at = PNG_SIGNATURE_BYTES, compressed = 0, raw = 0;
  bool first = true;
  for (png_chunk chunk;; first = false) {
    const size_t start = at;
    if (!png_next_chunk(data, bytes, &at, &chunk))
      return base_fail(CLVGG_ERROR_FORMAT, "PNG is truncated: %zu bytes, its chunk at byte %zu is incomplete", bytes,
                       start);
    if (first && (!png_is(&chunk, "IHDR") || chunk.bytes != 13))
      return base_fail(CLVGG_ERROR_FORMAT, "PNG is damaged: its first chunk is %.4s of %zu bytes, expected IHDR of 13",
                       (const char *)chunk.type, chunk.bytes);
    if (first) {
      *width = bytes_be32(chunk.data);
      *height = bytes_be32(chunk.data + 4);
      TRY(image_check_size("PNG", *width, *height));
      raw = *width * *height * 8; /* at most four channels of 16 bits */
    }
    if ((chunk.type[0] & 0x20) == 0 && !png_intact(&chunk))
      return base_fail(CLVGG_ERROR_FORMAT, "PNG is damaged: its chunk %.4s at byte %zu has a wrong checksum",
                       (const char *)chunk.type, start);
    if ((chunk.type[0] & 0x20) == 0 && !png_is(&chunk, "IHDR") && !png_is(&chunk, "PLTE") && !png_is(&chunk, "IDAT") &&
        !png_is(&chunk, "IEND"))
      return base_fail(CLVGG_ERROR_UNSUPPORTED, "PNG with an unknown critical chunk %.4s at byte %zu",
                       (const char *)chunk.type, start);
    if (png_is(&chunk, "IDAT")) compressed += chunk.bytes;
    if (png_is(&chunk, "IEND")) break;
  }
  /* Deflate makes at most 1032 bytes of one, and stores what it cannot compress: outside these bounds the pixels cannot be
   * complete, or the stream would inflate to far more memory than the pixels need. */
  if (*width * *height / 8 / 1032 > compressed || compressed > 2 * raw + 65536)
    return base_fail(CLVGG_ERROR_FORMAT, "PNG is damaged: %zux%zu pixels in %zu compressed bytes", *width, *height,
                     compressed);
  return CLVGG_OK;
}

/* -------------------------------------------------------------------- BMP */

clvgg_status image_check_bmp(const uint8_t *data, size_t bytes, size_t *width, size_t *height) {
  if (bytes < 54) return base_fail(CLVGG_ERROR_FORMAT, "BMP is truncated: %zu bytes, expected at least 54", bytes);
  const uint32_t header = bytes_le32(data + 14);
  if (header != 40 && header != 56 && header != 108 && header != 124)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "BMP with a header of %u bytes is not read; of 40, 56, 108 and 124 are",
                     header);
  const uint32_t lines = bytes_le32(data + 22); /* negative: stored top down */
  *width = bytes_le32(data + 18);
  *height = lines > INT32_MAX ? 0u - lines : lines;
  TRY(image_check_size("BMP", *width, *height));
  const uint32_t bits = bytes_le16(data + 28), compression = bytes_le32(data + 30);
  if (compression != 0 && compression != 3)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "BMP of compression %u is not read; 0 (none) and 3 (bit fields) are",
                     compression);
  if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
    return base_fail(CLVGG_ERROR_FORMAT, "BMP is damaged: %u bits a pixel, expected 1, 4, 8, 16, 24 or 32", bits);
  const size_t offset = bytes_le32(data + 10), line_bytes = (*width * bits + 7) / 8;
  const size_t needed = offset + (*height - 1) * size_round_up(line_bytes, 4) + line_bytes;
  if (offset < 14 + header || needed > bytes)
    return base_fail(CLVGG_ERROR_FORMAT, "BMP is truncated: pixels from byte %zu to %zu in a file of %zu bytes", offset,
                     needed, bytes);
  if (bits > 8) return CLVGG_OK;
  const size_t colours = (offset - 14 - header) / 4, per_byte = 8 / bits;
  for (size_t y = 0; y < *height; y++) {
    const uint8_t *const line = data + offset + y * size_round_up(line_bytes, 4);
    for (size_t x = 0; x < *width; x++) {
      const unsigned index = line[x / per_byte] >> (8 - bits - x % per_byte * bits) & ((1u << bits) - 1);
      if (index >= colours)
        return base_fail(CLVGG_ERROR_FORMAT, "BMP is damaged: a pixel of colour %u, its palette has %zu", index,
                         colours);
    }
  }
  return CLVGG_OK;
}
