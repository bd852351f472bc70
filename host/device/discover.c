/* Asks OpenCL what devices there are and what they can do; a query that fails spoils its own device only. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "device/internal.h"
#include "device/select.h"

/* Of OpenCL 3.0 and of cl_khr_icd: not in the OpenCL 1.2 part of the headers. */
#ifndef CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE
#define CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE 0x1067
#endif
/* Of cl_nv_device_attribute_query, cl_amd_device_attribute_query and cl_intel_required_subgroup_size. */
#define DEVICE_WARP_SIZE_NV          0x4003
#define DEVICE_WAVEFRONT_WIDTH_AMD   0x4043
#define DEVICE_SUB_GROUP_SIZES_INTEL 0x4108
#ifndef CL_PLATFORM_NOT_FOUND_KHR
#define CL_PLATFORM_NOT_FOUND_KHR (-1001)
#endif
/* Of cl_nv_device_attribute_query. */
#ifndef CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV
#define CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV 0x4001
#endif

#define COUNT_OF_SIZES (sizeof((clvgg_device_info *)NULL)->sub_group_sizes / sizeof(unsigned))

#define INSTALL_TEXT                                                                                                \
  "no OpenCL platform found: install an OpenCL driver, for example the Debian packages pocl-opencl-icd (any CPU), " \
  "mesa-opencl-icd or intel-opencl-icd (GPUs), or your GPU vendor's driver"

typedef enum property_type { PROPERTY_TEXT, PROPERTY_VALUE } property_type;

/* Queries that fill a field of clvgg_device_info as they are. Optional ones (deprecated since OpenCL 2.0) may fail. */
static const struct property {
  const char *name;
  size_t offset, bytes;
  cl_device_info id;
  property_type type;
  bool optional;
} properties[] = {
#define ROW(type, id, field, optional) \
  { #id, offsetof(clvgg_device_info, field), sizeof(((clvgg_device_info *)NULL)->field), id, type, optional }
    ROW(PROPERTY_TEXT, CL_DEVICE_NAME, name, false),
    ROW(PROPERTY_TEXT, CL_DEVICE_VENDOR, vendor, false),
    ROW(PROPERTY_TEXT, CL_DRIVER_VERSION, driver, false),
    ROW(PROPERTY_TEXT, CL_DEVICE_VERSION, opencl_version, false),
    ROW(PROPERTY_TEXT, CL_DEVICE_OPENCL_C_VERSION, opencl_c, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_MAX_COMPUTE_UNITS, compute_units, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_MAX_CLOCK_FREQUENCY, clock_mhz, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_GLOBAL_MEM_SIZE, global_bytes, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_MAX_MEM_ALLOC_SIZE, max_alloc_bytes, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_LOCAL_MEM_SIZE, local_bytes, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_MAX_WORK_GROUP_SIZE, max_work_group, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, native_float_width, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, preferred_float_width, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_IMAGE_SUPPORT, images, false),
    ROW(PROPERTY_VALUE, CL_DEVICE_HOST_UNIFIED_MEMORY, unified_memory, true),
    ROW(PROPERTY_VALUE, CL_DEVICE_PROFILING_TIMER_RESOLUTION, timer_resolution_ns, true),
    ROW(PROPERTY_VALUE, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, cache_bytes, true),
#undef ROW
};

/* Printable ASCII, without the blanks around it, whatever the driver wrote. */
static void copy_text(const char *from, char *to, size_t bytes) {
  while (*from == ' ') from++;
  size_t n = 0;
  for (; from[n] != '\0' && n + 1 < bytes; n++) {
    const unsigned char c = (unsigned char)from[n];
    to[n] = from[n];
    if (c < 0x20) to[n] = ' ';
    if (c > 0x7E) to[n] = '?';
  }
  while (n > 0 && to[n - 1] == ' ') n--;
  to[n] = '\0';
}

static void set_unusable(clvgg_device_info *d, const char *reason) {
  if (d->reason[0] == '\0') snprintf(d->reason, sizeof d->reason, "%s", reason);
}

static void property_failed(clvgg_device_info *d, const char *property, cl_int code) {
  char reason[sizeof d->reason];
  snprintf(reason, sizeof reason, "%s: %s (%d)", property, device_code_name(code), (int)code);
  base_log("OpenCL device %s %s of platform '%s': %s", d->id[0] ? d->id : "(wrapped)", d->name, d->platform, reason);
  set_unusable(d, reason);
}

/* A text property of any length; the caller frees it. NULL when the query failed. */
static char *query_text(cl_device_id id, cl_device_info property, cl_int *code) {
  size_t bytes = 0, with_nul = 0;
  *code = clGetDeviceInfo(id, property, 0, NULL, &bytes);
  if (*code != CL_SUCCESS) return NULL;
  char *text = size_add(bytes, 1, &with_nul) ? calloc(1, with_nul) : NULL;
  *code = CL_OUT_OF_HOST_MEMORY;
  if (text == NULL) return NULL;
  *code = bytes == 0 ? CL_SUCCESS : clGetDeviceInfo(id, property, bytes, text, NULL);
  if (*code == CL_SUCCESS) return text;
  free(text);
  return NULL;
}

static void read_property(cl_device_id id, const struct property *p, clvgg_device_info *d) {
  cl_int code = CL_SUCCESS;
  char *field = (char *)d + p->offset;
  if (p->type == PROPERTY_TEXT) {
    char *text = query_text(id, p->id, &code);
    if (text != NULL) copy_text(text, field, p->bytes);
    free(text);
  } else {
    code = clGetDeviceInfo(id, p->id, p->bytes, field, NULL);
    if (code != CL_SUCCESS) memset(field, 0, p->bytes);
  }
  if (code != CL_SUCCESS && !p->optional) property_failed(d, p->name, code);
}

static void read_type(cl_device_id id, clvgg_device_info *d) {
  cl_device_type type = 0;
  const cl_int code = clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  if (code != CL_SUCCESS) property_failed(d, "CL_DEVICE_TYPE", code);
  d->type = type & CL_DEVICE_TYPE_GPU           ? CLVGG_DEVICE_GPU
            : type & CL_DEVICE_TYPE_ACCELERATOR ? CLVGG_DEVICE_ACCELERATOR
            : type & CL_DEVICE_TYPE_CPU         ? CLVGG_DEVICE_CPU
                                                : CLVGG_DEVICE_OTHER;
}

static void read_work_item_sizes(cl_device_id id, clvgg_device_info *d) {
  size_t sizes[32] = {0}; /* the device says how many dimensions there are; 3 is usual, and the least */
  const cl_int code = clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof sizes, sizes, NULL);
  if (code != CL_SUCCESS) property_failed(d, "CL_DEVICE_MAX_WORK_ITEM_SIZES", code);
  memcpy(d->max_work_item, sizes, sizeof d->max_work_item);
}

static void read_memory_traits(cl_device_id id, clvgg_device_info *d) {
  cl_device_local_mem_type local = 0;
  cl_int code = clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_TYPE, sizeof local, &local, NULL);
  if (code != CL_SUCCESS) property_failed(d, "CL_DEVICE_LOCAL_MEM_TYPE", code);
  d->local_is_dedicated = local == CL_LOCAL;

  cl_uint align_bits = 0;
  code = clGetDeviceInfo(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof align_bits, &align_bits, NULL);
  if (code != CL_SUCCESS) property_failed(d, "CL_DEVICE_MEM_BASE_ADDR_ALIGN", code);
  d->base_align_bytes = align_bits >= CHAR_BIT ? align_bits / CHAR_BIT : 1;
  if (d->native_float_width == 0) d->native_float_width = 1;
  if (d->preferred_float_width == 0) d->preferred_float_width = 1;
}

/* True when word is one of the blank-separated words of list. */
static bool has_word(const char *list, const char *word) {
  const size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  return false;
}

/* "OpenCL 1.2 ..." is at least major.minor. */
static bool version_at_least(const char *text, int major, int minor) {
  int found_major = 0, found_minor = 0;
  if (sscanf(text, "OpenCL %d.%d", &found_major, &found_minor) != 2) return false;
  return found_major > major || (found_major == major && found_minor >= minor);
}

static void read_nvidia_capability(cl_device_id id, clvgg_device_info *d) {
  cl_uint major = 0, minor = 0;
  if (clGetDeviceInfo(id, CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL) == CL_SUCCESS &&
      clGetDeviceInfo(id, CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV, sizeof minor, &minor, NULL) == CL_SUCCESS &&
      major < 1000 && minor < 10)
    d->nvidia_capability = (int)(major * 10 + minor);
}

static void read_extensions(cl_device_id id, clvgg_device_info *d) {
  cl_int code = CL_SUCCESS;
  char *list = query_text(id, CL_DEVICE_EXTENSIONS, &code);
  if (list == NULL) {
    property_failed(d, "CL_DEVICE_EXTENSIONS", code);
    return;
  }
  d->fp16 = has_word(list, "cl_khr_fp16");
  d->fp64 = has_word(list, "cl_khr_fp64");
  d->subgroups = has_word(list, "cl_khr_subgroups") || has_word(list, "cl_intel_subgroups");
  d->intel_matrix_multiply = has_word(list, "cl_intel_subgroup_matrix_multiply_accumulate");
  if (has_word(list, "cl_nv_device_attribute_query")) read_nvidia_capability(id, d);
  free(list);
}

/* What vendors say of a SIMD's lanes, each in a query of its own that other drivers refuse. */
static void read_lanes(cl_device_id id, clvgg_device_info *d) {
  size_t sizes[COUNT_OF_SIZES] = {0}, bytes = 0, multiple = 0;
  if (clGetDeviceInfo(id, DEVICE_SUB_GROUP_SIZES_INTEL, sizeof sizes, sizes, &bytes) == CL_SUCCESS)
    for (size_t i = 0; i < COUNT_OF_SIZES && i < bytes / sizeof *sizes; i++) d->sub_group_sizes[i] = (unsigned)sizes[i];
  static const cl_device_info widths[] = {DEVICE_WARP_SIZE_NV, DEVICE_WAVEFRONT_WIDTH_AMD};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    cl_uint width = 0;
    if (clGetDeviceInfo(id, widths[i], sizeof width, &width, NULL) == CL_SUCCESS && width > 0) d->lanes = width;
  }
  /* Of several the compiler mostly takes 16. */
  for (size_t i = 0; i < COUNT_OF_SIZES && d->lanes < 16; i++)
    if (d->sub_group_sizes[i] > d->lanes && d->sub_group_sizes[i] <= 16) d->lanes = d->sub_group_sizes[i];
  if (clGetDeviceInfo(id, CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof multiple, &multiple, NULL) == CL_SUCCESS)
    d->preferred_multiple = (unsigned)multiple;
  if (d->lanes == 0 && d->type == CLVGG_DEVICE_GPU) d->lanes = d->preferred_multiple;
}

static void read_availability(cl_device_id id, clvgg_device_info *d) {
  static const struct {
    cl_device_info id;
    const char *name, *reason;
  } needed[] = {
      {CL_DEVICE_AVAILABLE, "CL_DEVICE_AVAILABLE", "the driver says that the device is not available"},
      {CL_DEVICE_COMPILER_AVAILABLE, "CL_DEVICE_COMPILER_AVAILABLE", "the driver has no OpenCL C compiler"},
  };
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    cl_bool is_there = CL_FALSE;
    const cl_int code = clGetDeviceInfo(id, needed[i].id, sizeof is_there, &is_there, NULL);
    if (code != CL_SUCCESS)
      property_failed(d, needed[i].name, code);
    else if (!is_there)
      set_unusable(d, needed[i].reason);
  }
}

static void check_versions(clvgg_device_info *d) {
  char reason[sizeof d->reason];
  /* The platform's version too: below 1.2 its dispatch table ends before the calls that this library makes. */
  const char *const found[] = {d->opencl_version, d->platform_version};
  for (size_t i = 0; i < 2; i++) {
    if (version_at_least(found[i], 1, 2)) continue;
    snprintf(reason, sizeof reason, "%s has version '%.60s', at least OpenCL 1.2 is needed",
             i == 0 ? "the device" : "the platform", found[i]);
    set_unusable(d, reason);
  }
}

/* Fills all but id, platform and platform_version, which are there. */
static clvgg_status read_device(cl_device_id id, clvgg_device_info *d) {
  for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++) read_property(id, &properties[i], d);
  read_type(id, d);
  read_work_item_sizes(id, d);
  read_memory_traits(id, d);
  read_extensions(id, d);
  read_lanes(id, d);
  read_availability(id, d);
  check_versions(d);
  d->usable = d->reason[0] == '\0';
  select_apply_quirks(d);
  return select_apply_limits(getenv("CLVGG_DEVICE_LIMITS"), d);
}

/* Starts d, all zero, with what its devices have in common. */
static void read_platform(cl_platform_id platform, clvgg_device_info *d) {
  const struct {
    cl_platform_info id;
    const char *name;
    char *field;
    size_t bytes;
  } texts[] = {
      {CL_PLATFORM_NAME, "CL_PLATFORM_NAME", d->platform, sizeof d->platform},
      {CL_PLATFORM_VERSION, "CL_PLATFORM_VERSION", d->platform_version, sizeof d->platform_version},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char text[1024] = "";
    const cl_int code = clGetPlatformInfo(platform, texts[i].id, sizeof text - 1, text, NULL);
    if (code == CL_SUCCESS)
      copy_text(text, texts[i].field, texts[i].bytes);
    else
      property_failed(d, texts[i].name, code);
  }
}

clvgg_status discover_one(cl_device_id id, clvgg_device_info *out) {
  *out = (clvgg_device_info){0};
  cl_platform_id platform = NULL;
  const cl_int code = clGetDeviceInfo(id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
  if (code != CL_SUCCESS)
    return base_fail(CLVGG_ERROR_DEVICE, "CL_DEVICE_PLATFORM: %s (%d)", device_code_name(code), (int)code);
  read_platform(platform, out);
  return read_device(id, out);
}

char *discover_extensions(cl_device_id id) {
  cl_int code = CL_SUCCESS;
  char *text = query_text(id, CL_DEVICE_EXTENSIONS, &code);
  if (text != NULL) copy_text(text, text, strlen(text) + 1);
  return text;
}

/* ---- the table of all devices */

void discover_free(device_table *table) {
  free(table->info);
  free(table->id);
  *table = (device_table){0};
}

/* Room for more devices; false when there is no memory. */
static bool reserve(device_table *t, size_t more) {
  size_t needed = 0, info_bytes = 0, id_bytes = 0;
  const bool fits = size_add(t->count, more, &needed) && size_mul(needed, sizeof *t->info, &info_bytes) &&
                    size_mul(needed, sizeof *t->id, &id_bytes);
  clvgg_device_info *info = fits ? realloc(t->info, info_bytes) : NULL;
  if (info != NULL) t->info = info;
  cl_device_id *id = info != NULL ? realloc(t->id, id_bytes) : NULL;
  if (id != NULL) t->id = id;
  return id != NULL;
}

static clvgg_status add_platform(device_table *t, size_t number, cl_platform_id platform) {
  clvgg_device_info common = {0};
  snprintf(common.id, sizeof common.id, "%zu:*", number);
  read_platform(platform, &common);

  cl_uint count = 0;
  cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count);
  if (code == CL_DEVICE_NOT_FOUND || (code == CL_SUCCESS && count == 0)) {
    base_log("OpenCL platform %zu '%s' lists no devices", number, common.platform);
    return CLVGG_OK;
  }
  if (code == CL_SUCCESS) {
    if (!reserve(t, count))
      return base_fail(CLVGG_ERROR_MEMORY, "no memory for the %u devices of an OpenCL platform", (unsigned)count);
    code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, t->id + t->count, NULL);
  }
  if (code != CL_SUCCESS) {
    base_log("OpenCL platform %zu '%s' is skipped: clGetDeviceIDs: %s (%d)", number, common.platform,
             device_code_name(code), (int)code);
    return CLVGG_OK;
  }
  for (cl_uint i = 0; i < count; i++) {
    clvgg_device_info *d = &t->info[t->count];
    *d = common;
    /* Six digits each always fit. */
    snprintf(d->id, sizeof d->id, "%u:%u", (unsigned)(number % 1000000), (unsigned)(i % 1000000));
    TRY(read_device(t->id[t->count], d));
    t->count++;
  }
  return CLVGG_OK;
}

/* There are platforms, but no devices: says which, and what may help. */
static clvgg_status fail_without_devices(const cl_platform_id *platforms, size_t count) {
  char names[400] = "";
  bool rusticl = false;
  for (size_t i = 0, used = 0; i < count && used < sizeof names; i++) {
    clvgg_device_info d = {0};
    read_platform(platforms[i], &d);
    rusticl = rusticl || select_contains(d.platform, "rusticl");
    const int n = snprintf(names + used, sizeof names - used, "%s'%.60s'", i == 0 ? "" : ", ", d.platform);
    used += n > 0 ? (size_t)n : 0;
  }
  return base_fail(CLVGG_ERROR_DEVICE, "no OpenCL device found: the installed platforms (%s) list none%s", names,
                   rusticl ? "; rusticl shows a device when RUSTICL_ENABLE names its driver, such as radeonsi, iris or "
                             "llvmpipe"
                           : "; a driver for this machine's GPU, or pocl-opencl-icd for its CPU, is missing");
}

/* What is meant without a selector; *from: how an error text begins. */
static const char *or_environment(const char *selector, const char **from) {
  *from = "";
  if (selector != NULL && selector[0] != '\0') return selector;
  selector = getenv("CLVGG_DEVICE");
  if (selector != NULL && selector[0] != '\0') *from = "CLVGG_DEVICE: ";
  return selector;
}

/* Without a default (CLVGG_DEVICE names none) the table is still good. */
static void mark_default(device_table *table) {
  char why[800];
  const char *from = NULL, *selector = or_environment(NULL, &from);
  size_t *index = calloc(table->count, sizeof *index), found = 0;
  if (index == NULL) return;
  if (select_devices(table->info, table->count, selector, index, &found, why, sizeof why) != CLVGG_OK)
    base_log("no default device: %s%s", from, why);
  else
    for (size_t i = 0; i < found; i++) table->info[index[i]].is_default = 1;
  free(index);
}

clvgg_status discover_devices(device_table *out) {
  *out = (device_table){0};
  cl_platform_id *platforms = NULL;
  clvgg_status status = CLVGG_OK;
  cl_uint count = 0;
  cl_int code = clGetPlatformIDs(0, NULL, &count);
  if (code == CL_PLATFORM_NOT_FOUND_KHR || (code == CL_SUCCESS && count == 0))
    return base_fail(CLVGG_ERROR_DEVICE, INSTALL_TEXT);
  if (code == CL_SUCCESS) {
    platforms = calloc(count, sizeof *platforms);
    if (platforms == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %u OpenCL platforms", (unsigned)count);
    code = clGetPlatformIDs(count, platforms, NULL);
  }
  if (code == CL_SUCCESS) {
    for (cl_uint i = 0; i < count && status == CLVGG_OK; i++) status = add_platform(out, i, platforms[i]);
    if (status == CLVGG_OK && out->count == 0) status = fail_without_devices(platforms, count);
    if (out->count > 0) mark_default(out);
  } else {
    status = base_fail(CLVGG_ERROR_DEVICE, "clGetPlatformIDs: %s (%d)", device_code_name(code), (int)code);
  }
  free(platforms);
  if (status != CLVGG_OK) discover_free(out);
  return status;
}

clvgg_status discover_select(const device_table *table, const char *selector, size_t *index) {
  char why[800];
  const char *from = NULL;
  selector = or_environment(selector, &from);
  const clvgg_status status = select_device(table->info, table->count, selector, index, why, sizeof why);
  return status == CLVGG_OK ? CLVGG_OK : base_fail(status, "%s%s", from, why);
}

clvgg_status discover_select_all(const device_table *table, const char *selector, size_t *index, size_t *found) {
  char why[800];
  const char *from = NULL;
  selector = or_environment(selector, &from);
  const clvgg_status status = select_devices(table->info, table->count, selector, index, found, why, sizeof why);
  return status == CLVGG_OK ? CLVGG_OK : base_fail(status, "%s%s", from, why);
}
