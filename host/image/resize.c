/* Resizing as Pillow does it to the bit, centre crop, and normalisation to a network's input. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "image/image.h"

/* Weights are fixed point; 8 bits of pixel and 2 of head room (negative lobes, sums above 1) stay free in 32. */
enum { WEIGHT_BITS = 32 - 8 - 2 };

/* The filters, on the distance in output pixels when reducing, else in input pixels. */
static double triangle(double x) {
  x = fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* R. Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 4 with a = -1/2. */
static double keys(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

/* For each of count output positions: the input positions that it is a weighted mean of. */
typedef struct taps {
  size_t stride;          /* weights reserved for each output position */
  int32_t *weight;        /* (count, stride) */
  size_t *begin, *end;    /* (count): input positions [begin, end) */
  size_t lowest, highest; /* the smallest begin and the largest end */
} taps;

static void taps_free(taps *t) {
  free(t->weight);
  free(t->begin);
  *t = (taps){0};
}

/* Output positions [first, first + count) of a side that is resized from in to out pixels. */
static clvgg_status taps_make(size_t in, size_t out, size_t first, size_t count, clvgg_interpolation interpolation,
                              taps *t) {
  double (*const filter)(double) = interpolation == CLVGG_BICUBIC ? keys : triangle;
  const double scale = (double)in / (double)out;
  const double stretch = scale > 1.0 ? scale : 1.0; /* reducing: the filter covers all input pixels, against aliasing */
  const double support = (interpolation == CLVGG_BICUBIC ? 2.0 : 1.0) * stretch;
  const double narrow = 1.0 / stretch;
  size_t weights, bytes;
  *t = (taps){.stride = (size_t)ceil(support) * 2 + 1};
  double *exact = NULL;
  if (size_mul(count, t->stride, &weights) && size_mul(weights, sizeof *t->weight, &bytes)) {
    t->weight = calloc(weights, sizeof *t->weight);
    t->begin = calloc(count, 2 * sizeof *t->begin);
    exact = calloc(t->stride, sizeof *exact);
  }
  if (t->weight == NULL || t->begin == NULL || exact == NULL) {
    free(exact);
    taps_free(t);
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for resizing %zu pixels to %zu", in, out);
  }
  t->end = t->begin + count;
  t->lowest = in;
  for (size_t i = 0; i < count; i++) {
    const double centre = ((double)(first + i) + 0.5) * scale;
    const double low = centre - support + 0.5, high = centre + support + 0.5;
    const size_t begin = low > 0 ? (size_t)low : 0;
    const size_t end = high < (double)in ? (size_t)high : in;
    double sum = 0;
    for (size_t k = 0; k < end - begin; k++) {
      exact[k] = filter(((double)(k + begin) - centre + 0.5) * narrow);
      sum += exact[k];
    }
    for (size_t k = 0; k < end - begin; k++) {
      const double w = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << WEIGHT_BITS);
      t->weight[i * t->stride + k] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    t->begin[i] = begin;
    t->end[i] = end;
    if (begin < t->lowest) t->lowest = begin;
    if (end > t->highest) t->highest = end;
  }
  free(exact);
  return CLVGG_OK;
}

static inline uint8_t clip8(int32_t sum) {
  const int32_t level = sum >> WEIGHT_BITS;
  return level < 0 ? 0 : (level > 255 ? 255 : (uint8_t)level);
}

/* One line of the picture: to (count, 3) from the line in (width of the input, 3). */
static void resize_line(const uint8_t *restrict in, const taps *t, size_t count, uint8_t *restrict to) {
  for (size_t i = 0; i < count; i++) {
    const int32_t *const weight = t->weight + i * t->stride;
    int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r;
    for (size_t k = 0, x = t->begin[i]; x < t->end[i]; k++, x++) {
      r += weight[k] * in[3 * x];
      g += weight[k] * in[3 * x + 1];
      b += weight[k] * in[3 * x + 2];
    }
    to[3 * i] = clip8(r);
    to[3 * i + 1] = clip8(g);
    to[3 * i + 2] = clip8(b);
  }
}

/* to (n) = the weighted mean of lines, each of n bytes; sum (n) is scratch. */
static void mix_lines(const uint8_t *restrict lines, const int32_t *weight, size_t count, size_t n,
                      int32_t *restrict sum, uint8_t *restrict to) {
  for (size_t i = 0; i < n; i++) sum[i] = 1 << (WEIGHT_BITS - 1);
  for (size_t k = 0; k < count; k++) {
    const int32_t w = weight[k];
    const uint8_t *restrict line = lines + k * n;
    for (size_t i = 0; i < n; i++) sum[i] += w * line[i];
  }
  for (size_t i = 0; i < n; i++) to[i] = clip8(sum[i]);
}

typedef struct window {
  size_t x, y, width, height;
} window;

/* The part win of in resized to (height, width), without computing the rest. Across first, then down, as Pillow does: the
 * 8-bit rounding in between makes the order visible. */
static clvgg_status resize_window(const image *in, size_t width, size_t height, window win,
                                  clvgg_interpolation interpolation, image *out) {
  taps across = {0}, down = {0};
  uint8_t *middle = NULL; /* (rows, win.width, 3): the rows of in that are needed, resized across */
  uint8_t *rgb = NULL;
  int32_t *sum = NULL;
  const size_t line = win.width * 3;
  size_t rows;
  *out = (image){0, 0, NULL};
  clvgg_status status = image_check_size("the resized image", win.width, win.height);
  if (status == CLVGG_OK) status = taps_make(in->width, width, win.x, win.width, interpolation, &across);
  if (status == CLVGG_OK) status = taps_make(in->height, height, win.y, win.height, interpolation, &down);
  if (status != CLVGG_OK) goto done;
  rows = down.highest - down.lowest;
  status = image_check_size("the half-way resized image", win.width, rows);
  if (status != CLVGG_OK) goto done;
  middle = malloc(rows * line);
  sum = malloc(line * sizeof *sum);
  rgb = malloc(win.height * line);
  if (middle == NULL || sum == NULL || rgb == NULL) {
    status = base_fail(CLVGG_ERROR_MEMORY, "no memory for resizing an image of %zux%zu to %zux%zu", in->width,
                       in->height, width, height);
    goto done;
  }
  for (size_t y = 0; y < rows; y++)
    resize_line(in->rgb + (down.lowest + y) * in->width * 3, &across, win.width, middle + y * line);
  for (size_t y = 0; y < win.height; y++)
    mix_lines(middle + (down.begin[y] - down.lowest) * line, down.weight + y * down.stride, down.end[y] - down.begin[y],
              line, sum, rgb + y * line);
  *out = (image){win.width, win.height, rgb};
  rgb = NULL;
done:
  taps_free(&across);
  taps_free(&down);
  free(middle);
  free(sum);
  free(rgb);
  return status;
}

clvgg_status image_resize(const image *in, size_t width, size_t height, clvgg_interpolation filter, image *out) {
  return resize_window(in, width, height, (window){0, 0, width, height}, filter, out);
}

/* (whole - part) / 2 rounded half to even, as Python's round() does in torchvision's and mmclassification's CenterCrop. */
static size_t centre(size_t whole, size_t part) {
  const size_t twice = whole - part, half = twice / 2;
  return half + (twice % 2 != 0 && half % 2 != 0);
}

clvgg_status image_fit(const image *in, const clvgg_preprocess *pre, image *out) {
  size_t width = in->width, height = in->height;
  *out = (image){0, 0, NULL};
  if (pre->resize_short != 0) {
    /* The long side is cut to an integer, not rounded: torchvision's Resize and mmclassification's Resize((s, -1)) agree. */
    const size_t shorter = width < height ? width : height, target = pre->resize_short;
    width = in->width == shorter ? target : target * in->width / shorter;
    height = in->height == shorter ? target : target * in->height / shorter;
  }
  if (width >= pre->width && height >= pre->height) {
    const window crop = {centre(width, pre->width), centre(height, pre->height), pre->width, pre->height};
    return resize_window(in, width, height, crop, pre->interpolation, out);
  }
  if (width == in->width && height == in->height)
    return image_resize(in, pre->width, pre->height, pre->interpolation, out);
  image resized;
  TRY(image_resize(in, width, height, pre->interpolation, &resized));
  const clvgg_status status = image_resize(&resized, pre->width, pre->height, pre->interpolation, out);
  image_free(&resized);
  return status;
}

void image_normalise(const image *in, const clvgg_preprocess *pre, float *out) {
  const size_t pixels = in->width * in->height;
  for (size_t c = 0; c < 3; c++) {
    const uint8_t *restrict from = in->rgb + (pre->bgr ? 2 - c : c);
    float *restrict to = out + c * pixels;
    const float mean = pre->mean[c], deviation = pre->std[c];
    for (size_t i = 0; i < pixels; i++) to[i] = ((float)from[3 * i] - mean) / deviation;
  }
}
