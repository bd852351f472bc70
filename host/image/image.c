/* Image files to upright 8-bit RGB: which format it is, then decoding. */
#include "image/image.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/bytes.h"
#include "image/check.h"
#include "image/stb.h"

enum { FILE_MAX_BYTES = INT_MAX - 1024 }; /* stb_image counts in int, and a palette may be added */

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
  clvgg_status (*check)(const uint8_t *, size_t, size_t *, size_t *) = NULL;
  if (starts(data, bytes, 0, "\xFF\xD8\xFF")) {
    format = "JPEG";
    check = image_check_jpeg;
  } else if (starts(data, bytes, 0, PNG_SIGNATURE)) {
    format = "PNG";
    check = image_check_png;
  } else if (starts(data, bytes, 0, "BM")) {
    check = image_check_bmp;
  } else {
    return base_fail(CLVGG_ERROR_FORMAT, "looks like %s; JPEG, PNG, BMP and PNM (P5, P6) are read", guess(data, bytes));
  }
  size_t width = 0, height = 0;
  TRY(check(data, bytes, &width, &height));
  int w = 0, h = 0;
  const char *reason = NULL;
  uint8_t *copy = NULL;
  size_t stb_bytes = bytes;
  if (check == image_check_png) TRY(png_fill_palette(data, &stb_bytes, &copy));
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
  for (int c = 0; c < 3; c++) {
    if (!isfinite(out->mean[c]))
      return base_fail(CLVGG_ERROR_ARGUMENT, "preprocess: mean[%d] is %g, expected a finite number", c,
                       (double)out->mean[c]);
    /* Devices multiply by 1 / std, which must be finite; and they may take a subnormal for 0. */
    if (!isnormal(out->std[c]) || out->std[c] < 0)
      return base_fail(CLVGG_ERROR_ARGUMENT, "preprocess: std[%d] is %g, expected a normal number above 0", c,
                       (double)out->std[c]);
  }
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
