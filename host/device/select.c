/*
 * Selectors: which device of a table is meant, and which is the best one. No OpenCL here, so that tests need none.
 *
 * For testing the rules for small devices on a large one, CLVGG_DEVICE_LIMITS lowers the caps that every device reports:
 *     CLVGG_DEVICE_LIMITS="group=64,local=16384,alloc=134217728,iterations=65535"
 *     group       work-items in a work-group              local       bytes of local memory
 *     alloc       bytes of the largest single buffer      global      bytes of device memory
 *     iterations  loop iterations of a work-item (max_iterations)
 *     width       elements of a native vector of float, which decides the blocks of blocked activations
 *     gpu         a CPU is taken for a GPU with so many lanes: no limit, but a way to see there what is planned for a GPU
 * A value is a positive decimal number; one above the device's own cap changes nothing. Bad syntax is an error.
 */
#include "device/select.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What no query reports, by parts of the platform's and the device's name; the first row that fits counts. */
static const struct quirk {
  const char *platform, *device;
  uint64_t max_iterations; /* 0: no limit */
  binary_use binaries;
} quirks[] = {
    /* Mesa 22.3: the loops of a work-item end silently after 65,535 iterations, all of them counted together. */
    {"rusticl", "llvmpipe", 65535, BINARIES_NEVER},
    /* Mesa 22.3: binaries are SPIR-V, which saves a start 10 of 360 ms, and one that it does not take ends the process. */
    {"rusticl", "", 0, BINARIES_NEVER},
    /* PoCL 3.1: asked for a program's binary, it first compiles every kernel once more, for work-groups of any size, which takes as
     * long as all else of a first start. Loading what it then gives is quicker than its own cache. */
    {"Portable Computing Language", "", 0, BINARIES_ON_REQUEST},
    /* An interpreter, which compiles otherwise when it looks for uninitialised values: a binary of other runs would not do. */
    {"Oclgrind", "", 0, BINARIES_NEVER},
};

/* Software rasterisers, by parts of the device's name; they may call themselves GPUs. */
static const char *const rasterisers[] = {"llvmpipe", "softpipe", "swrast"};

/* Lanes of GPUs whose drivers do not tell, by parts of the vendor's name. */
static const struct {
  const char *vendor;
  unsigned lanes;
} vendor_lanes[] = {
    {"NVIDIA", 32},   {"AMD", 64},         {"Advanced Micro Devices", 64}, {"Intel", 16}, {"ARM", 16}, {"Apple", 32},
    {"Qualcomm", 64}, {"Imagination", 32},
};

/* ASCII only: towlower and the locale have no say in what a selector means. */
static int lower(char c) {
  return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool select_contains(const char *text, const char *part) {
  for (;; text++) {
    size_t i = 0;
    while (part[i] != '\0' && lower(text[i]) == lower(part[i])) i++;
    if (part[i] == '\0') return true;
    if (*text == '\0') return false;
  }
}

static const struct quirk *find_quirk(const clvgg_device_info *d) {
  for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
    if (select_contains(d->platform, quirks[i].platform) && select_contains(d->name, quirks[i].device))
      return &quirks[i];
  return NULL;
}

void select_apply_quirks(clvgg_device_info *device) {
  const struct quirk *q = find_quirk(device);
  if (q != NULL) device->max_iterations = q->max_iterations;
  for (size_t i = 0; i < sizeof rasterisers / sizeof rasterisers[0]; i++)
    if (select_contains(device->name, rasterisers[i])) device->software_rasteriser = 1;
  for (size_t i = 0; i < sizeof vendor_lanes / sizeof vendor_lanes[0]; i++)
    if (device->lanes == 0 && device->type == CLVGG_DEVICE_GPU && !device->software_rasteriser &&
        select_contains(device->vendor, vendor_lanes[i].vendor))
      device->lanes = vendor_lanes[i].lanes;
}

binary_use select_binary_use(const clvgg_device_info *device) {
  const struct quirk *q = find_quirk(device);
  return q != NULL ? q->binaries : BINARIES_AT_CLOSE;
}

/* ---- caps */

static void cap(uint64_t *value, uint64_t limit) {
  if (*value > limit) *value = limit;
}

static void cap_group(clvgg_device_info *d, uint64_t limit) {
  if (d->max_work_group > limit) d->max_work_group = (size_t)limit;
  for (int i = 0; i < 3; i++)
    if (d->max_work_item[i] > limit) d->max_work_item[i] = (size_t)limit;
}
static void cap_local(clvgg_device_info *d, uint64_t limit) {
  cap(&d->local_bytes, limit);
}
static void cap_alloc(clvgg_device_info *d, uint64_t limit) {
  cap(&d->max_alloc_bytes, limit);
}
static void cap_global(clvgg_device_info *d, uint64_t limit) {
  cap(&d->global_bytes, limit);
}
static void cap_iterations(clvgg_device_info *d, uint64_t limit) {
  if (d->max_iterations == 0 || d->max_iterations > limit) d->max_iterations = limit;
}

static void cap_width(clvgg_device_info *d, uint64_t limit) {
  if (d->native_float_width > limit) d->native_float_width = (unsigned)limit;
}

static void take_for_gpu(clvgg_device_info *d, uint64_t lanes) {
  if (d->type != CLVGG_DEVICE_CPU) return;
  d->type = CLVGG_DEVICE_GPU;
  d->lanes = lanes < UINT32_MAX ? (unsigned)lanes : UINT32_MAX;
}

static const struct {
  const char *key;
  void (*apply)(clvgg_device_info *d, uint64_t limit);
} limit_keys[] = {
    {"group", cap_group},           {"local", cap_local}, {"alloc", cap_alloc},  {"global", cap_global},
    {"iterations", cap_iterations}, {"width", cap_width}, {"gpu", take_for_gpu},
};

/* Reads one "key=value", applies it and returns what follows its comma, or NULL where the syntax is wrong. */
static const char *apply_limit(const char *text, clvgg_device_info *device) {
  const size_t key_length = strcspn(text, "=");
  if (text[key_length] != '=' || !isdigit((unsigned char)text[key_length + 1])) return NULL;
  char *end = NULL;
  errno = 0;
  const unsigned long long value = strtoull(text + key_length + 1, &end, 10);
  if (errno != 0 || value == 0 || (*end != ',' && *end != '\0') || (*end == ',' && end[1] == '\0')) return NULL;
  for (size_t i = 0; i < sizeof limit_keys / sizeof limit_keys[0]; i++) {
    if (strlen(limit_keys[i].key) != key_length || strncmp(text, limit_keys[i].key, key_length) != 0) continue;
    limit_keys[i].apply(device, value);
    return *end == ',' ? end + 1 : end;
  }
  return NULL;
}

clvgg_status select_apply_limits(const char *limits, clvgg_device_info *device) {
  if (limits == NULL) return CLVGG_OK;
  for (const char *at = limits; *at != '\0';) {
    const char *next = apply_limit(at, device);
    if (next == NULL)
      return base_fail(
          CLVGG_ERROR_ARGUMENT,
          "CLVGG_DEVICE_LIMITS is '%.200s', wrong from '%.80s' on; expected group=, local=, alloc=, global=, "
          "iterations=, width= or gpu= with a positive number each, separated by commas",
          limits, at);
    at = next;
  }
  return CLVGG_OK;
}

/* ---- ranking */

static clvgg_device_type real_type(const clvgg_device_info *d) {
  return d->software_rasteriser ? CLVGG_DEVICE_CPU : d->type;
}

/* What decides, the most important first; a larger number is better. A device whose loops end silently is the last resort,
 * also when CLVGG_DEVICE_LIMITS has capped the iterations of all of them. */
enum { RANKS = 5 };
static void rank(const clvgg_device_info *d, unsigned out[RANKS]) {
  const struct quirk *q = find_quirk(d);
  static const unsigned of_type[] = {
      [CLVGG_DEVICE_OTHER] = 0, [CLVGG_DEVICE_CPU] = 1, [CLVGG_DEVICE_ACCELERATOR] = 2, [CLVGG_DEVICE_GPU] = 3};
  out[0] = q == NULL || q->max_iterations == 0;
  out[1] = d->max_iterations == 0;
  out[2] = of_type[real_type(d)];
  out[3] = !d->software_rasteriser;
  out[4] = d->compute_units;
}

static bool is_better(const clvgg_device_info *a, const clvgg_device_info *b) {
  unsigned of_a[RANKS], of_b[RANKS];
  rank(a, of_a);
  rank(b, of_b);
  for (int i = 0; i < RANKS; i++)
    if (of_a[i] != of_b[i]) return of_a[i] > of_b[i];
  return false;
}

/* The best of those that wanted accepts (NULL: all), the first listed among equals. */
static size_t best_of(const clvgg_device_info *devices, size_t count, const clvgg_device_type *wanted) {
  size_t best = count;
  for (size_t i = 0; i < count; i++) {
    if (!devices[i].usable || (wanted != NULL && real_type(&devices[i]) != *wanted)) continue;
    if (best == count || is_better(&devices[i], &devices[best])) best = i;
  }
  return best;
}

size_t select_best(const clvgg_device_info *devices, size_t count) {
  return best_of(devices, count, NULL);
}

/* ---- error texts */

typedef struct writer {
  char *text;
  size_t bytes, used;
} writer;

static void put(writer *w, const char *format, ...) BASE_PRINTF(2, 3);
static void put(writer *w, const char *format, ...) {
  if (w->used + 1 >= w->bytes) return;
  va_list arguments;
  va_start(arguments, format);
  const int n = vsnprintf(w->text + w->used, w->bytes - w->used, format, arguments);
  va_end(arguments);
  if (n > 0) w->used += (size_t)n;
  if (w->used >= w->bytes) w->used = w->bytes - 1;
}

static bool matches_name(const clvgg_device_info *d, const char *part) {
  return select_contains(d->platform, part) || select_contains(d->name, part);
}

/* Writes ids, names and, where they are unusable, why: of all devices, or of those with part in a name. */
static void put_devices(writer *w, const clvgg_device_info *devices, size_t count, const char *part) {
  enum { MOST = 6 };
  size_t listed = 0;
  for (size_t i = 0; i < count; i++) {
    const clvgg_device_info *d = &devices[i];
    if (part != NULL && !matches_name(d, part)) continue;
    if (listed++ >= MOST) continue;
    put(w, "%s%s '%.60s' (%.40s%s%.80s)", listed == 1 ? "" : ", ", d->id, d->name, d->platform,
        d->usable ? "" : "; not usable: ", d->usable ? "" : d->reason);
  }
  if (listed > MOST) put(w, ", and %zu more", listed - MOST);
  if (listed == 0) put(w, "none");
}

/* ---- selectors */

/* "P:D" */
static bool parse_id(const char *text, unsigned long *platform, unsigned long *device) {
  char *end = NULL;
  if (!isdigit((unsigned char)*text)) return false;
  *platform = strtoul(text, &end, 10);
  if (*end != ':' || !isdigit((unsigned char)end[1])) return false;
  *device = strtoul(end + 1, &end, 10);
  return *end == '\0';
}

static clvgg_status select_id(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                              writer *why) {
  unsigned long platform = 0, device = 0, p = 0, d = 0;
  parse_id(selector, &platform, &device);
  for (size_t i = 0; i < count; i++) {
    if (!parse_id(devices[i].id, &p, &d) || p != platform || d != device) continue;
    *index = i;
    if (devices[i].usable) return CLVGG_OK;
    put(why, "device %s '%.80s' cannot be used: %.200s", devices[i].id, devices[i].name, devices[i].reason);
    return CLVGG_ERROR_DEVICE;
  }
  put(why, "no device %.40s; there is ", selector);
  put_devices(why, devices, count, NULL);
  return CLVGG_ERROR_DEVICE;
}

static clvgg_status select_type(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                                writer *why) {
  const clvgg_device_type type = strcasecmp(selector, "gpu") == 0 ? CLVGG_DEVICE_GPU : CLVGG_DEVICE_CPU;
  *index = best_of(devices, count, &type);
  if (*index != count) return CLVGG_OK;
  put(why, "no usable %s device; there is ", type == CLVGG_DEVICE_GPU ? "GPU" : "CPU");
  put_devices(why, devices, count, NULL);
  return CLVGG_ERROR_DEVICE;
}

/* Names may contain commas, "llvmpipe (LLVM 15.0.6, 256 bits)", so a list is what matches no name. */
static bool is_list(const clvgg_device_info *devices, size_t count, const char *selector) {
  for (size_t i = 0; i < count; i++)
    if (matches_name(&devices[i], selector)) return false;
  return strchr(selector, ',') != NULL;
}

static clvgg_status select_name(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                                writer *why) {
  size_t usable = 0, unusable = 0;
  for (size_t i = 0; i < count; i++) {
    if (!matches_name(&devices[i], selector)) continue;
    if (devices[i].usable && usable++ == 0) *index = i;
    if (!devices[i].usable) unusable++;
  }
  if (usable == 1) return CLVGG_OK;
  if (usable > 1) {
    put(why, "'%.80s' could be %zu devices: ", selector, usable);
    put_devices(why, devices, count, selector);
    return CLVGG_ERROR_ARGUMENT;
  }
  if (unusable == 0 && is_list(devices, count, selector)) {
    put(why, "'%.80s' is a list of devices, one device is wanted here", selector);
    return CLVGG_ERROR_ARGUMENT;
  }
  put(why, unusable ? "no usable device matches '%.80s': " : "no device matches '%.80s'; there is ", selector);
  put_devices(why, devices, count, unusable ? selector : NULL);
  return CLVGG_ERROR_DEVICE;
}

clvgg_status select_device(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                           char *why, size_t bytes) {
  writer w = {why, bytes, 0};
  if (bytes > 0) why[0] = '\0';
  unsigned long platform = 0, device = 0;
  if (selector == NULL || selector[0] == '\0') {
    *index = select_best(devices, count);
    if (*index != count) return CLVGG_OK;
    put(&w, "no usable OpenCL device; there is ");
    put_devices(&w, devices, count, NULL);
    return CLVGG_ERROR_DEVICE;
  }
  if (strcasecmp(selector, "all") == 0) {
    put(&w, "'%s' means every device, one device is wanted here", selector);
    return CLVGG_ERROR_ARGUMENT;
  }
  if (parse_id(selector, &platform, &device)) return select_id(devices, count, selector, index, &w);
  if (strcasecmp(selector, "gpu") == 0 || strcasecmp(selector, "cpu") == 0)
    return select_type(devices, count, selector, index, &w);
  return select_name(devices, count, selector, index, &w);
}

/* ---- several devices */

static void add_index(size_t *index, size_t *found, size_t i) {
  for (size_t k = 0; k < *found; k++)
    if (index[k] == i) return;
  index[(*found)++] = i;
}

static clvgg_status add_devices(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                                size_t *found, char *why, size_t bytes) {
  size_t i = 0;
  if (selector == NULL || strcasecmp(selector, "all") != 0) {
    const clvgg_status status = select_device(devices, count, selector, &i, why, bytes);
    if (status == CLVGG_OK) add_index(index, found, i);
    return status;
  }
  for (i = 0; i < count; i++)
    if (devices[i].usable) add_index(index, found, i);
  return *found > 0 ? CLVGG_OK : select_device(devices, count, NULL, &i, why, bytes); /* which says why */
}

clvgg_status select_devices(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                            size_t *found, char *why, size_t bytes) {
  *found = 0;
  if (selector == NULL || !is_list(devices, count, selector))
    return add_devices(devices, count, selector, index, found, why, bytes);
  for (const char *at = selector; at != NULL;) {
    char part[sizeof devices->name];
    at += strspn(at, " ");
    const size_t length = strcspn(at, ",");
    if (length == 0 || length >= sizeof part) {
      writer w = {why, bytes, 0};
      put(&w, "'%.80s' is no list of devices: a part of it is %s", selector, length == 0 ? "empty" : "too long");
      return CLVGG_ERROR_ARGUMENT;
    }
    snprintf(part, sizeof part, "%.*s", (int)length, at);
    const clvgg_status status = add_devices(devices, count, part, index, found, why, bytes);
    if (status != CLVGG_OK) return status;
    at = at[length] == ',' ? at + length + 1 : NULL;
  }
  return CLVGG_OK;
}
