/* Image files to upright 8-bit RGB: which format it is, whether the file is whole and within limits, then decoding. */
#include "image/image.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "image/bytes.h"
#include "image/stb.h"

enum { FILE_MAX_BYTES = INT_MAX - 1024 }; /* stb_image counts in int, and a palette may be added */

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

/* What a file looks like, and how it is read: stb_image does not notice a file that ends early (the rest becomes grey or
 * black), so check goes through the file's own structure first. It also sets the size. */
typedef clvgg_status (*check_fn)(const uint8_t *data, size_t bytes, size_t *width, size_t *height);

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
static clvgg_status jpeg_check(const uint8_t *data, size_t bytes, size_t *width, size_t *height) {
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
static clvgg_status png_check(const uint8_t *data, size_t bytes, size_t *width, size_t *height) {
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

/* stb_image reads what was never written where a pixel is beyond a short palette; so it gets a copy with 256 colours, the
 * rest black. NULL, without an error, when the file has no palette or a full one. *bytes becomes the copy's. */
static clvgg_status png_fill_palette(const uint8_t *data, size_t *bytes, uint8_t **out) {
  const size_t full = 768; /* 256 colours */
  png_chunk chunk;
  *out = NULL;
  for (size_t at = PNG_SIGNATURE_BYTES; png_next_chunk(data, *bytes, &at, &chunk);) {
    if (!png_is(&chunk, "PLTE") || chunk.bytes % 3 != 0 || chunk.bytes >= full) continue;
    const size_t before = (size_t)(chunk.data - data) + chunk.bytes, missing = full - chunk.bytes;
    *out = calloc(1, *bytes + missing);
    if (*out == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory for a PNG of %zu bytes", *bytes);
    memcpy(*out, data, before);
    memcpy(*out + before + missing, data + before, *bytes - before);
    uint8_t *const length = *out + (chunk.type - data) - 4; /* of two significant bytes; nobody checks the sum again */
    length[2] = (uint8_t)(full >> 8);
    length[3] = (uint8_t)full;
    *bytes += missing;
    break;
  }
  return CLVGG_OK;
}

/* -------------------------------------------------------------------- BMP */

static clvgg_status bmp_check(const uint8_t *data, size_t bytes, size_t *width, size_t *height) {
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

/* -------------------------------------------------------------------- PNM */

/* The next number of a PNM header, after white space and comments; 0 when there is none. *at then is behind it. */
static size_t pnm_number(const uint8_t *data, size_t bytes, size_t *at) {
  size_t value = 0;
  while (*at < bytes && (isspace(data[*at]) || data[*at] == '#'))
    if (data[(*at)++] == '#')
      while (*at < bytes && data[*at] != '\n' && data[*at] != '\r') (*at)++;
  for (; *at < bytes && isdigit(data[*at]) && value <= UINT32_MAX; (*at)++) value = 10 * value + (data[*at] - '0');
  return value;
}

/* netpbm's P5 and P6 with any maximum (stb_image ignores it, and misreads 16 bits), so they are read here. */
static clvgg_status pnm_decode(const uint8_t *data, size_t bytes, image *out) {
  if (data[1] != '5' && data[1] != '6')
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "PNM of kind P%c is not read; P5 and P6 are", data[1]);
  const size_t channels = data[1] == '6' ? 3 : 1;
  size_t at = 2;
  const size_t width = pnm_number(data, bytes, &at), height = pnm_number(data, bytes, &at);
  const size_t maximum = pnm_number(data, bytes, &at);
  TRY(image_check_size("PNM", width, height));
  if (maximum < 1 || maximum > 65535 || at == bytes || !isspace(data[at]))
    return base_fail(CLVGG_ERROR_FORMAT, "PNM is damaged: its maximum is %zu, expected 1..65535 and a white space",
                     maximum);
  at++;
  const size_t sample_bytes = maximum > 255 ? 2 : 1, samples = width * height * channels;
  if (samples * sample_bytes > bytes - at)
    return base_fail(CLVGG_ERROR_FORMAT, "PNM is truncated: %zu bytes of pixels, expected %zu for %zux%zu", bytes - at,
                     samples * sample_bytes, width, height);
  uint8_t *const rgb = malloc(width * height * 3);
  if (rgb == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory for an image of %zux%zu", width, height);
  for (size_t i = 0; i < samples; i++) {
    const uint8_t *const sample = data + at + i * sample_bytes;
    const size_t value = sample_bytes == 2 ? bytes_be16(sample) : *sample;
    const size_t scaled = (value * 255 + maximum / 2) / maximum;
    const uint8_t level = scaled < 255 ? (uint8_t)scaled : 255;
    if (channels == 3)
      rgb[i] = level;
    else
      memset(rgb + 3 * i, level, 3);
  }
  *out = (image){width, height, rgb};
  return CLVGG_OK;
}

/* ------------------------------------------------------------------ files */

static bool starts(const uint8_t *data, size_t bytes, size_t at, const char *magic) {
  const size_t n = strlen(magic);
  return bytes >= at + n && memcmp(data + at, magic, n) == 0;
}

/* What a file of no format that is read looks like. */
static const char *guess(const uint8_t *data, size_t bytes) {
  static const struct {
    size_t at;
    const char *magic, *name;
  } known[] = {{0, "GIF8", "GIF"},         {8, "WEBP", "WebP"},        {0, "II*", "TIFF"},
               {0, "MM", "TIFF"},          {4, "ftypavif", "AVIF"},    {4, "ftyp", "HEIF"},
               {4, "jP  ", "JPEG 2000"},   {0, "8BPS", "Photoshop"},   {0, "%PDF", "PDF"},
               {0, "PK\3\4", "zip"},       {0, "\x76/1\1", "OpenEXR"}, {0, "qoif", "QOI"},
               {0, "\xFF\x0A", "JPEG XL"}, {4, "JXL ", "JPEG XL"},     {0, "#?RADIANCE", "Radiance"},
               {0, "<svg", "SVG"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (starts(data, bytes, known[i].at, known[i].magic)) return known[i].name;
  for (size_t i = 0; i < bytes && i < 64; i++)
    if (data[i] < 0x20 && !isspace(data[i])) return "binary data";
  return "text";
}

clvgg_status image_decode_memory(const uint8_t *data, size_t bytes, image *out) {
  *out = (image){0, 0, NULL};
  if (bytes == 0) return base_fail(CLVGG_ERROR_FORMAT, "is empty; JPEG, PNG, BMP and PNM are read");
  if (bytes > FILE_MAX_BYTES)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "is a file of %zu bytes, expected at most %d", bytes, FILE_MAX_BYTES);
  if (bytes >= 3 && data[0] == 'P' && isdigit(data[1]) && isspace(data[2])) return pnm_decode(data, bytes, out);
  const char *format = "BMP";
  check_fn check = NULL;
  if (starts(data, bytes, 0, "\xFF\xD8\xFF")) {
    format = "JPEG";
    check = jpeg_check;
  } else if (starts(data, bytes, 0, PNG_SIGNATURE)) {
    format = "PNG";
    check = png_check;
  } else if (starts(data, bytes, 0, "BM")) {
    check = bmp_check;
  } else {
    return base_fail(CLVGG_ERROR_FORMAT, "looks like %s; JPEG, PNG, BMP and PNM (P5, P6) are read", guess(data, bytes));
  }
  size_t width = 0, height = 0;
  TRY(check(data, bytes, &width, &height));
  int w = 0, h = 0;
  const char *reason = NULL;
  uint8_t *copy = NULL;
  size_t stb_bytes = bytes;
  if (check == png_check) TRY(png_fill_palette(data, &stb_bytes, &copy));
  out->rgb = stb_decode_rgb(copy != NULL ? copy : data, stb_bytes, &w, &h, &reason);
  free(copy);
  if (out->rgb == NULL && strcmp(reason, "outofmem") == 0)
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for an image of %zux%zu", width, height);
  if (out->rgb == NULL)
    return base_fail(CLVGG_ERROR_FORMAT, "%s of %zux%zu cannot be decoded: %s", format, width, height, reason);
  out->width = (size_t)w;
  out->height = (size_t)h;
  clvgg_status status = CLVGG_OK;
  if (out->width != width || out->height != height)
    status = base_fail(CLVGG_ERROR_FORMAT, "%s is damaged: two sizes, %dx%d and %zux%zu", format, w, h, width, height);
  else
    status = image_orient(out, image_exif_orientation(data, bytes));
  if (status != CLVGG_OK) image_free(out);
  return status;
}

clvgg_status image_decode_file(const char *path, image *out) {
  file_map map;
  *out = (image){0, 0, NULL};
  TRY(file_map_open(path, &map));
  clvgg_status status = image_decode_memory(map.data, map.bytes, out);
  if (status != CLVGG_OK) status = base_fail_in(status, "%s", path);
  file_map_close(&map);
  return status;
}

void image_free(image *img) {
  free(img->rgb);
  *img = (image){0, 0, NULL};
}

/* ------------------------------------------------------------- public calls */

void clvgg_preprocess_init(clvgg_preprocess *preprocess) {
  *preprocess = (clvgg_preprocess){.struct_size = sizeof *preprocess,
                                   .resize_short = 256,
                                   .width = 224,
                                   .height = 224,
                                   .interpolation = CLVGG_BILINEAR,
                                   .mean = {123.675f, 116.28f, 103.53f},
                                   .std = {58.395f, 57.12f, 57.375f}};
}

clvgg_status image_preprocess_read(const clvgg_preprocess *given, clvgg_preprocess *out) {
  clvgg_preprocess_init(out);
  const size_t known = sizeof *out, bytes = given->struct_size;
  if (bytes < sizeof given->struct_size || bytes > known || bytes % sizeof(float) != 0)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "preprocess: struct_size is %zu, expected %zu: call clvgg_preprocess_init first", bytes, known);
  memcpy(out, given, bytes);
  if (out->interpolation != CLVGG_BILINEAR && out->interpolation != CLVGG_BICUBIC)
    return base_fail(CLVGG_ERROR_ARGUMENT, "preprocess: interpolation is %d, expected 0 (bilinear) or 1 (bicubic)",
                     (int)out->interpolation);
  if (out->width == 0 || out->height == 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "preprocess: size is %ux%u, expected at least 1x1", out->width, out->height);
  TRY(image_check_size("preprocess: the input", out->width, out->height));
  if (out->resize_short > IMAGE_MAX_SIDE)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "preprocess: resize_short is %u, expected at most %d", out->resize_short,
                     IMAGE_MAX_SIDE);
  for (int c = 0; c < 3; c++)
    if (!isfinite(out->mean[c]) || !isfinite(out->std[c]) || out->std[c] == 0)
      return base_fail(CLVGG_ERROR_ARGUMENT, "preprocess: mean[%d] is %g and std[%d] %g, expected finite and std not 0",
                       c, (double)out->mean[c], c, (double)out->std[c]);
  return CLVGG_OK;
}

/* What both calls below do: fitted is the image that the network is to see, pre the preprocessing that was read. */
static clvgg_status load(const char *call, const char *path, const clvgg_preprocess *preprocess, const void *out,
                         clvgg_preprocess *pre, image *fitted) {
  if (path == NULL || preprocess == NULL || out == NULL)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: %s is NULL", call,
                     path == NULL ? "path" : (preprocess == NULL ? "preprocess" : "out"));
  TRY(image_preprocess_read(preprocess, pre));
  image decoded;
  TRY(image_decode_file(path, &decoded));
  const clvgg_status status = image_fit(&decoded, pre, fitted);
  image_free(&decoded);
  return status == CLVGG_OK ? CLVGG_OK : base_fail_in(status, "%s", path);
}

clvgg_status clvgg_image_load(const char *path, const clvgg_preprocess *preprocess, float *out) {
  clvgg_preprocess pre;
  image fitted;
  TRY(load("clvgg_image_load", path, preprocess, out, &pre, &fitted));
  image_normalise(&fitted, &pre, out);
  image_free(&fitted);
  return CLVGG_OK;
}

clvgg_status clvgg_image_load_rgb8(const char *path, const clvgg_preprocess *preprocess, uint8_t *out) {
  clvgg_preprocess pre;
  image fitted;
  TRY(load("clvgg_image_load_rgb8", path, preprocess, out, &pre, &fitted));
  memcpy(out, fitted.rgb, fitted.width * fitted.height * 3);
  image_free(&fitted);
  return CLVGG_OK;
}
