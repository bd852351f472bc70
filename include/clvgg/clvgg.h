/*
 * clvgg.h - the public interface of libclvgg: the VGG image classifiers on any OpenCL device.
 *
 * A program opens a device, a model and an engine that binds the two, and runs images through it:
 *
 *     clvgg_device *device = NULL;  clvgg_model *model = NULL;  clvgg_engine *engine = NULL;
 *     if (clvgg_device_open(NULL, &device) || clvgg_model_open(NULL, NULL, &model) ||
 *         clvgg_engine_open(device, model, NULL, &engine))
 *       fprintf(stderr, "%s\n", clvgg_last_error());
 *
 * Rules that hold for every call
 *  - Every fallible call returns a clvgg_status; CLVGG_OK is 0. The sentence that says what was wrong (file, tensor or
 *    device, value found, value expected) is clvgg_last_error(), kept per thread until its next failing call.
 *  - The library never prints, exits or asserts on what comes from a file, a driver or a caller.
 *  - open(..., &out) writes *out only on success (else it sets it to NULL); close(&object) releases it and sets the
 *    pointer to NULL, and does nothing when it is NULL already.
 *  - Structures that begin with struct_size are set up with their _init function, then changed field by field.
 *    A program built against an older header keeps working: fields that it does not know keep their defaults.
 *  - Threads: a model is immutable and may be shared. A device may be shared. One engine is used by one thread at a time.
 *  - Strings are UTF-8; returned pointers belong to the library unless the text says otherwise.
 */
#ifndef CLVGG_CLVGG_H
#define CLVGG_CLVGG_H

#include <stddef.h>
#include <stdint.h>

/* The version is written here and nowhere else; the build reads it. */
#define CLVGG_VERSION_MAJOR 0
#define CLVGG_VERSION_MINOR 1
#define CLVGG_VERSION_PATCH 0

#if defined(_WIN32)
#define CLVGG_API
#else
#define CLVGG_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* OpenCL's own handle types, named by their struct tags so that this header needs no OpenCL header:
 * cl_context is struct _cl_context *, and so on. */
struct _cl_context;
struct _cl_command_queue;
struct _cl_mem;
struct _cl_event;

typedef struct clvgg_device clvgg_device;
typedef struct clvgg_model clvgg_model;
typedef struct clvgg_engine clvgg_engine;

typedef enum clvgg_status {
  CLVGG_OK = 0,
  CLVGG_ERROR_ARGUMENT = 1,    /* a call's argument is outside what its text allows */
  CLVGG_ERROR_MEMORY = 2,      /* the host has no memory left for it */
  CLVGG_ERROR_IO = 3,          /* a file cannot be opened, read or written */
  CLVGG_ERROR_FORMAT = 4,      /* a file is damaged or not of a known format */
  CLVGG_ERROR_MODEL = 5,       /* a checkpoint's tensors do not make a VGG */
  CLVGG_ERROR_DEVICE = 6,      /* no such device, or the driver reported an error */
  CLVGG_ERROR_BUILD = 7,       /* the device's compiler refused a kernel */
  CLVGG_ERROR_TOO_LARGE = 8,   /* does not fit the device or a stated limit */
  CLVGG_ERROR_UNSUPPORTED = 9, /* understood, but not possible here */
  CLVGG_ERROR_MISMATCH = 10    /* a result differs from the reference */
} clvgg_status;

/* The status' short name, such as "device error". Never NULL. */
CLVGG_API const char *clvgg_status_name(clvgg_status status);

/* This thread's last error in one line, without a line break. Empty when nothing failed yet. Never NULL. */
CLVGG_API const char *clvgg_last_error(void);

/* "0.1.0" */
CLVGG_API const char *clvgg_version(void);

/* Receives notes worth a person's attention (a broken platform was skipped, ...). NULL turns them off (the default). */
typedef void (*clvgg_log_fn)(const char *line, void *user);
CLVGG_API void clvgg_set_log(clvgg_log_fn fn, void *user);

/* ------------------------------------------------------------------ devices */

typedef enum clvgg_device_type {
  CLVGG_DEVICE_OTHER = 0,
  CLVGG_DEVICE_CPU = 1,
  CLVGG_DEVICE_GPU = 2,
  CLVGG_DEVICE_ACCELERATOR = 3
} clvgg_device_type;

/* What a device can do. Sizes in bytes. */
typedef struct clvgg_device_info {
  char id[16]; /* "P:D": platform and device number, as the selector takes them; "" for a wrapped device */
  char platform[128];
  char platform_version[128];
  char name[256];
  char vendor[128];
  char driver[128];
  char opencl_version[128]; /* CL_DEVICE_VERSION */
  char opencl_c[128];       /* CL_DEVICE_OPENCL_C_VERSION */
  clvgg_device_type type;
  unsigned compute_units;
  unsigned clock_mhz;
  uint64_t global_bytes;
  uint64_t max_alloc_bytes;    /* the largest single buffer */
  uint64_t local_bytes;        /* local memory a work-group may use */
  int local_is_dedicated;      /* 1: on-chip local memory; 0: ordinary memory (CPUs) */
  size_t max_work_group;       /* work-items in a work-group */
  size_t max_work_item[3];     /* per dimension */
  unsigned native_float_width; /* native vector width of float, in elements; at least 1 */
  unsigned preferred_float_width;
  unsigned base_align_bytes; /* alignment of a sub-buffer's start */
  int fp16;                  /* cl_khr_fp16: arithmetic in half precision */
  int fp64;
  int subgroups; /* cl_khr_subgroups or cl_intel_subgroups */
  int images;
  int unified_memory;      /* host and device share memory */
  uint64_t max_iterations; /* loop iterations of a work-item beyond which the driver goes silently wrong; 0: none */
  int software_rasteriser; /* 1: Mesa's llvmpipe or one like it: slow, its work-items are the lanes of a CPU's vectors */
  int usable;              /* 1: clvgg can run on it */
  char reason[256];        /* why it is not usable, else "" */
  int is_default;          /* 1: what clvgg_device_open(NULL) would open, or of the list in CLVGG_DEVICE */
  unsigned
      lanes; /* work-items that run in step: a warp, a wavefront, what a GPU's compiler puts side by side; 0: not known */
  unsigned sub_group_sizes[8];  /* that kernels can have, where the driver tells; the rest is 0 */
  uint64_t timer_resolution_ns; /* of event stamps */
  uint64_t cache_bytes;         /* of the cache in front of global memory; 0: none, or not known */
  unsigned
      preferred_multiple; /* of a work-group's size: CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, or before OpenCL 3.0 a
                                 * kernel's value, of an open device that has built one; 0: not known */
  int nvidia_capability; /* compute capability of an NVIDIA GPU times 10, 86 for 8.6; 0: another device, or not known */
  int intel_matrix_multiply; /* cl_intel_subgroup_matrix_multiply_accumulate: the matrix instructions of Intel's GPUs */
  int amx_bf16; /* of an open device: 1 where it is a CPU that multiplies bfloat16 by tdpbf16ps, and kernels may use that */
  int avx512_bf16; /* likewise by vdpbf16ps. Both are known of PoCL's devices only */
} clvgg_device_info;

/* Lists every device of every platform, unusable ones included (their reason says why). *devices is an array of *count
 * entries that the caller releases with clvgg_device_list_free. No platform at all is CLVGG_ERROR_DEVICE, with what to
 * install in the error text. */
CLVGG_API clvgg_status clvgg_device_list(clvgg_device_info **devices, size_t *count);
CLVGG_API void clvgg_device_list_free(clvgg_device_info *devices);

/* Lists the devices that a selector means, in its order, none twice: at least one, each usable. The selector is a comma list of what
 * clvgg_device_open takes, or "all": every usable device, software rasterisers among them. (A name that holds a comma is no
 * list.) NULL or "" means CLVGG_DEVICE, which may be a list here, else the best device. The array is released with
 * clvgg_device_list_free; each device is then opened by its id, so that one that fails takes no other with it. */
CLVGG_API clvgg_status clvgg_device_select(const char *selector, clvgg_device_info **devices, size_t *count);

/* Opens one device. The selector is "P:D" (platform and device number as listed), "cpu", "gpu", or a case-insensitive
 * part of a platform's or device's name. "P:D" and "cpu"/"gpu" take the best match; a name part must match exactly one
 * usable device. NULL or "" means the environment's CLVGG_DEVICE, else the best device: a GPU before an accelerator
 * before a CPU, more compute units first. */
CLVGG_API clvgg_status clvgg_device_open(const char *selector, clvgg_device **out);

/* Uses the caller's own context and in-order queue; both are retained until close. The device is the queue's. */
CLVGG_API clvgg_status clvgg_device_wrap(struct _cl_context *context, struct _cl_command_queue *queue,
                                         clvgg_device **out);
CLVGG_API void clvgg_device_close(clvgg_device **device);
CLVGG_API void clvgg_device_get_info(const clvgg_device *device, clvgg_device_info *out);
/* All extensions, separated by blanks, as the driver lists them; valid until the device closes. Never NULL. */
CLVGG_API const char *clvgg_device_get_extensions(const clvgg_device *device);

/* A number that changes with the source of any kernel in the library. */
CLVGG_API uint64_t clvgg_kernel_digest(void);

/* What a device can do at most, as measured. */
typedef struct clvgg_roofline {
  double peak_gflops;       /* f32 multiply-adds in registers, 1e9 operations a second, a multiply-add counted twice */
  double peak_gbytes_per_s; /* reading memory, 1e9 bytes a second */
} clvgg_roofline;

/* Measures *out, blocking for a fraction of a second, plus compiling at the first call. The figures are true only while the
 * device has nothing else to do; the larger of several measurements is the better one. May be called while engines of the
 * device are open, but not while they run. Needs a part of the device's memory. CLVGG_ERROR_MISMATCH when the device
 * computed something wrong; *out is zeroed on every failure. */
CLVGG_API clvgg_status clvgg_device_measure(clvgg_device *device, clvgg_roofline *out);

/* ------------------------------------------------------------------- models */

/* One row of the model family table. */
typedef struct clvgg_family_info {
  const char *name;       /* "vgg16_bn" */
  double params_m;        /* parameters in millions, running statistics of BN not counted */
  double flops_g;         /* 1e9 operations for one image of 224x224, a multiply-add counted once */
  double top1, top5;      /* published ImageNet accuracy, percent */
  const char *checkpoint; /* file name of the published checkpoint */
} clvgg_family_info;

CLVGG_API size_t clvgg_family_count(void);
/* NULL when index is out of range. */
CLVGG_API const clvgg_family_info *clvgg_family_get(size_t index);
/* 1 and the path of the family's checkpoint in path (cut to bytes) when the file is in the user's data folder, else 0 and
 * the path where it would be looked for: $XDG_DATA_HOME/clvgg/FILE, by default ~/.local/share/clvgg/FILE. */
CLVGG_API int clvgg_family_find(const char *name, char *path, size_t bytes);

typedef enum clvgg_interpolation { CLVGG_BILINEAR = 0, CLVGG_BICUBIC = 1 } clvgg_interpolation;

/* How an image file becomes a network's input: decode, EXIF orientation, resize, centre crop, (x - mean) / std. */
typedef struct clvgg_preprocess {
  size_t struct_size;
  unsigned resize_short;  /* the short side is resized to this many pixels, antialiased; 0: no resize */
  unsigned width, height; /* centre crop to this size; an image that is smaller afterwards is resized to it */
  clvgg_interpolation interpolation;
  int bgr;       /* 1: channels in B, G, R order */
  float mean[3]; /* of pixel values 0..255, in channel order */
  float std[3];  /* above 0, and not so small (subnormal) that 1 / std could be infinite */
} clvgg_preprocess;

typedef struct clvgg_model_options {
  size_t struct_size;
  const char *classes_path; /* class names, one a line; NULL: from the checkpoint, else bundled, else "class 17" */
} clvgg_model_options;

/* One layer as the model has it, for the model's own input size. */
typedef struct clvgg_layer_info {
  char name[24];        /* "conv1_1", "pool5", "fc6" */
  char type[16];        /* "conv", "maxpool", "avgpool", "fc" */
  size_t in[3], out[3]; /* (C, H, W) */
  uint64_t params;
  uint64_t flops; /* one image; counted as in clvgg_family_info, BN included although it is folded */
} clvgg_layer_info;

typedef struct clvgg_model_info {
  char name[64];   /* "vgg16_bn", or "vgg-like (13 conv, 3 fc)" for other widths */
  char format[32]; /* "safetensors", "pth (zip)", "pth (legacy)", "random weights" */
  char keys[32];   /* whose key names: "torchvision", "mmclassification", ... */
  char dtype[8];   /* stored weights: "f32", "f16", "bf16" */
  size_t classes;
  size_t channels, height, width; /* the input size that it was trained for */
  size_t layers;
  int batch_norm; /* 1: trained with BN (folded into the convolutions) */
  uint64_t params;
  uint64_t flops;
  clvgg_preprocess preprocess;
} clvgg_model_info;

CLVGG_API void clvgg_model_options_init(clvgg_model_options *options);

/* Opens a checkpoint (.safetensors, .pth). model is a path, a family name (its published checkpoint in the user's data
 * folder), or NULL for the small bundled model (VGG-16-BN at half width, CIFAR-10). options may be NULL.
 * A name that is both a family's and an existing file's is the file's when it contains a '/' or a '.'. */
CLVGG_API clvgg_status clvgg_model_open(const char *model, const clvgg_model_options *options, clvgg_model **out);

/* A family's network with seeded random weights, the same on every machine; for benchmarks and tests. */
CLVGG_API clvgg_status clvgg_model_random(const char *family, uint64_t seed, clvgg_model **out);
CLVGG_API void clvgg_model_close(clvgg_model **model);
CLVGG_API void clvgg_model_get_info(const clvgg_model *model, clvgg_model_info *out);
/* CLVGG_ERROR_ARGUMENT when index is out of range. */
CLVGG_API clvgg_status clvgg_model_get_layer(const clvgg_model *model, size_t index, clvgg_layer_info *out);
/* NULL when index is out of range; valid until the model is closed. */
CLVGG_API const char *clvgg_model_class_name(const clvgg_model *model, size_t index);

/* ------------------------------------------------------------------- images */

CLVGG_API void clvgg_preprocess_init(clvgg_preprocess *preprocess);

/* Decodes and prepares one image file (JPEG, PNG, BMP, PNM) into out, f32 of shape (3, height, width) of preprocess.
 * Grey becomes three equal channels; alpha is ignored. May be called from any thread. */
CLVGG_API clvgg_status clvgg_image_load(const char *path, const clvgg_preprocess *preprocess, float *out);

/* The same without the last step: out is 8-bit RGB of shape (height, width, 3), whatever bgr, mean and std are. A quarter of the
 * bytes, for an engine opened with CLVGG_INPUT_RGB8, which does that step on the device. */
CLVGG_API clvgg_status clvgg_image_load_rgb8(const char *path, const clvgg_preprocess *preprocess, uint8_t *out);

/* ------------------------------------------------------------------- engine */

/* The most images that may be asked for at once. */
#define CLVGG_MAX_BATCH 4096

/* How weights are stored on the device, and the arithmetic. The other forms than F32 are used where the device has an algorithm for
 * them and their answers were measured to be near enough to those of F32 (clvgg_accuracy below); else the plan is that of F32.
 *
 * F16W  IEEE half, rounded to nearest: half the memory and traffic. Weights of 65520 or more do not fit.
 * F24W  24-bit integers and an f32 scale for each row of weights: three quarters of the memory and traffic. A weight is off by at
 *       most 2^-24 of the largest of its row, about what sums in f32 are rounded by anyway. All finite weights fit.
 * F16   as F16W, and where the device has arithmetic in half precision (cl_khr_fp16) or matrix instructions (of NVIDIA's or Intel's GPUs),
 *       products of halves too: a layer's inputs are rounded to half, and sums of many products are f32.
 * BF16  as F16, and where the device is a CPU with AMX-BF16 or AVX512-BF16 (clvgg_device_info), products of bfloat16 in convolutions: a
 *       layer's inputs and weights are rounded to 8 significant bits, and sums are f32.
 * AUTO  the fastest of these that is near enough: each is timed when an engine is opened for the first time. */
typedef enum clvgg_precision {
  CLVGG_PRECISION_F32 = 0,
  CLVGG_PRECISION_F16W = 1,
  CLVGG_PRECISION_F24W = 2,
  CLVGG_PRECISION_F16 = 3,
  CLVGG_PRECISION_AUTO = 4,
  CLVGG_PRECISION_BF16 = 5
} clvgg_precision;

/* "f32", "f16w", ...; NULL for a value that is none. */
CLVGG_API const char *clvgg_precision_name(clvgg_precision precision);

/* How much device memory weights may take. Winograd's convolutions are fastest with transformed weights, which are up to seven times
 * as large as plain ones.
 *
 * BALANCED  the fastest plan whose weights take at most 60 MB more than the model's own as f32, where such a plan is expected to be at
 *           most 5 % slower than FAST; else FAST
 * FAST      the fastest plan
 * SMALL     no transformed weights, at the cost of time */
typedef enum clvgg_memory { CLVGG_MEMORY_BALANCED = 0, CLVGG_MEMORY_FAST = 1, CLVGG_MEMORY_SMALL = 2 } clvgg_memory;

/* What an engine is given. */
typedef enum clvgg_input {
  CLVGG_INPUT_F32 = 0, /* f32 (n, C, H, W), prepared: clvgg_image_load */
  CLVGG_INPUT_RGB8 =
      1 /* 8-bit pixels (n, H, W, 3) in the order red, green, blue: clvgg_image_load_rgb8. The device normalises
                        * them on the way into the first layer. For networks of 3 input channels */
} clvgg_input;

typedef struct clvgg_engine_options {
  size_t struct_size;
  size_t max_batch;      /* images at once, 1 to CLVGG_MAX_BATCH; more are run in turns. Default 1 */
  size_t height, width;  /* input size; 0: the model's own. Others need adaptive pooling before the first fc layer */
  int softmax;           /* 1: probabilities instead of logits. Default 0 */
  const char *algorithm; /* NULL, or a comma list of algorithm names that are to be used wherever they are supported */
  clvgg_precision precision;          /* the least exact that may be used; default CLVGG_PRECISION_F32 */
  clvgg_memory memory;                /* default CLVGG_MEMORY_BALANCED */
  clvgg_input input;                  /* default CLVGG_INPUT_F32 */
  const clvgg_preprocess *preprocess; /* with CLVGG_INPUT_RGB8: its bgr, mean and std count, and it need not outlive the
                                       * call. NULL: the model's own */
  const void
      *samples; /* images that another precision than F32 is judged by, (sample_count) of them in the form that input
                        * says; they need not outlive the call. NULL, the default: twenty small photographs that come with
                        * the library. The user's own kind of images is better */
  size_t sample_count; /* with samples: 1 to CLVGG_MAX_SAMPLES */
} clvgg_engine_options;

#define CLVGG_MAX_SAMPLES 1024

CLVGG_API void clvgg_engine_options_init(clvgg_engine_options *options);

/* Plans the network for the device, compiles the kernels, packs and uploads the weights. Retains device and model:
 * either may be closed before the engine. Engines of one device are opened one after the other if their figures of memory
 * are to be right. */
CLVGG_API clvgg_status clvgg_engine_open(clvgg_device *device, const clvgg_model *model,
                                         const clvgg_engine_options *options, clvgg_engine **out);
CLVGG_API void clvgg_engine_close(clvgg_engine **engine);

/* images: n images, f32 (n, C, H, W), host memory. logits: f32 (n, classes). Returns when logits is written.
 * CLVGG_ERROR_ARGUMENT when the engine was opened for another input. */
CLVGG_API clvgg_status clvgg_engine_run(clvgg_engine *engine, const float *images, size_t n, float *logits);

/* The same for an engine opened with CLVGG_INPUT_RGB8; images: 8-bit (n, H, W, 3). Logits are those of clvgg_engine_run on the
 * normalised images, but for rounding. */
CLVGG_API clvgg_status clvgg_engine_run_rgb8(clvgg_engine *engine, const uint8_t *images, size_t n, float *logits);

/* The same on OpenCL buffers of the engine's context (clvgg_device_wrap), images in the form that the engine was opened for,
 * without waiting: work begins after the wait events, and *done (may be NULL) is an event that the caller releases. Buffers
 * must stay alive until then. A buffer that is too small is CLVGG_ERROR_ARGUMENT. */
CLVGG_API clvgg_status clvgg_engine_enqueue(clvgg_engine *engine, struct _cl_mem *images, size_t n,
                                            struct _cl_mem *logits, uint32_t wait_count, struct _cl_event *const *wait,
                                            struct _cl_event **done);

/* One step of the engine's plan: a layer, a convolution with the pooling after it, or a change of memory layout. */
typedef struct clvgg_plan_layer {
  char name[52];        /* "conv1_1", "conv1_2+pool1", "to NCHW16c" */
  char algorithm[64];   /* "conv_f32_nchw_direct" */
  char parameters[128]; /* "TILE_X=8 TILE_OC=4", or "" */
  char source[128];     /* where the choice came from */
  uint64_t flops;       /* floating point operations of one image, a multiply-add counted twice */
  double ms;            /* device time in the last profiled run, all images of it; negative when never profiled */
  uint64_t
      actual_flops; /* what the algorithm computes for one image, in the same unit as flops: fewer by fast algorithms,
                            more with padding, of which each of max_batch images has its share */
  uint64_t bytes; /* the least traffic of one run of max_batch images: weights as stored, input and output, each once */
} clvgg_plan_layer;

typedef struct clvgg_engine_info {
  size_t layers; /* steps of the plan */
  size_t max_batch;
  size_t channels, height, width, classes;
  uint64_t device_bytes; /* device memory that the engine holds */
  uint64_t weight_bytes, activation_bytes, workspace_bytes;
  double open_ms;      /* planned, algorithms and precision checked, kernels compiled, weights packed and uploaded */
  uint64_t peak_bytes; /* the most device memory that opening and running held at once */
  uint64_t plain_weight_bytes; /* of the network's weights and biases as f32, each once; weight_bytes are as packed */
} clvgg_engine_info;

CLVGG_API void clvgg_engine_get_info(const clvgg_engine *engine, clvgg_engine_info *out);
CLVGG_API clvgg_status clvgg_engine_get_layer(const clvgg_engine *engine, size_t index, clvgg_plan_layer *out);

/* ---- what another precision than f32 costs in accuracy
 *
 * Before an engine uses another precision than F32, the network runs sample images (clvgg_engine_options) in f32 and in that
 * precision, on the same device. It is used only where
 *  - the logits' relative error is within clvgg_accuracy's limit: 2e-5 for F24W, 2e-3 for F16W, 1e-2 for F16; and
 *  - on every image whose f32 answer is decided, the first class and the set of the first five are the same. It is decided where the
 *    difference between the logits that come next to each other there, of the first and second or the fifth and sixth, is larger
 *    than errors at the limit can explain: four times the limit of the image's root mean square logit.
 * What this came to is remembered like the checks of algorithms, for exactly these weights, plan, images, device and driver:
 * CLVGG_TRUST=never always measures again, CLVGG_TRUST=always does not and uses what was asked for. At most one plan's weights are on
 * the device at a time. */
typedef enum clvgg_accuracy_state {
  CLVGG_ACCURACY_EXACT = 0,    /* the plan is f32 throughout, and nothing else was to be compared with it */
  CLVGG_ACCURACY_PASSED = 1,   /* the figures are within the limits; the plan has that precision */
  CLVGG_ACCURACY_REFUSED = 2,  /* they are not, and the plan is f32 */
  CLVGG_ACCURACY_UNCHECKED = 3 /* the plan has another precision than f32, and nothing was measured: reason says why */
} clvgg_accuracy_state;

typedef struct clvgg_accuracy {
  clvgg_precision precision; /* of the plan that runs: the least exact form of weights in it, or F32 */
  clvgg_precision compared;  /* what the rest is about: the precision asked for, or of AUTO the chosen one */
  clvgg_accuracy_state state;
  double rel_l2;  /* |logits - f32 logits| / |f32 logits|, over all images. Infinite where a logit is not finite */
  double max_rel; /* the largest difference, relative to the largest f32 logit */
  double limit;   /* on rel_l2; 0 for EXACT */
  size_t
      images; /* that were compared: fewer than the bundled ones where a device takes longer than five seconds for them; 0 when
                   * nothing was compared */
  size_t top1_agree, top5_agree;     /* of these: with the same first class; with the same five first, in any order */
  size_t top1_decided, top5_decided; /* of these: decided as above, so that a difference is an error */
  char samples[16]; /* "given", "bundled"; "noise" where neither could be had; "" when nothing was compared */
  char reason[256]; /* "", or why not PASSED, or how AUTO chose */
} clvgg_accuracy;

/* out is zeroed when engine is NULL. */
CLVGG_API void clvgg_engine_get_accuracy(const clvgg_engine *engine, clvgg_accuracy *out);

/* Times of one run in milliseconds. */
typedef struct clvgg_run_times {
  double upload_ms;   /* host to device */
  double compute_ms;  /* all layers */
  double download_ms; /* device to host */
} clvgg_run_times;

/* clvgg_engine_run with a clock on every layer: fills times (may be NULL) and the ms of clvgg_engine_get_layer.
 * n must be at most max_batch. */
CLVGG_API clvgg_status clvgg_engine_profile(clvgg_engine *engine, const float *images, size_t n, float *logits,
                                            clvgg_run_times *times);
/* Likewise of clvgg_engine_run_rgb8. */
CLVGG_API clvgg_status clvgg_engine_profile_rgb8(clvgg_engine *engine, const uint8_t *images, size_t n, float *logits,
                                                 clvgg_run_times *times);

/* ------------------------------------------------------------------- tuning */

/*
 * Tuning finds a faster plan for a network on a device by measuring, and keeps it in the user's tuning database, from which every engine
 * that is opened for the same network and options on the same device takes it. It cannot hurt: candidates are built and run in a
 * process of their own, a result counts only after the candidate's output matched the C reference, and the plan is kept only where its
 * logits agree with those of the plan without tuning and it was faster than that, both run in turns.
 */
typedef struct clvgg_tune_progress {
  double seconds, budget_seconds; /* since the beginning; the budget is 0 when there is none */
  size_t tried, failed;           /* candidates, in this run */
  double untuned_ms, best_ms;     /* the whole network without tuning, and the fastest plan so far; 0: not yet known */
  char candidate[256];            /* what is being tried, or "" */
} clvgg_tune_progress;

/* Returns 0 to go on. 1 asks for an early end, with the best plan so far; 2 ends at once and keeps measurements only. Called on the thread
 * that called clvgg_tune, ten times a second or oftener. */
typedef int (*clvgg_tune_fn)(const clvgg_tune_progress *progress, void *user);

typedef struct clvgg_tune_options {
  size_t struct_size;
  const clvgg_engine_options
      *engine; /* NULL, or what engines will be opened with: batch, input size and form, precision, memory. Its
                                       * algorithm must be NULL, and its precision not AUTO: every precision has plans of its own */
  double budget_seconds;  /* default 30; 0: until nothing is left to try */
  int exhaustive;         /* 1: all legal parameters, not only those that may be fast. Default 0 */
  const char *layer;      /* NULL, or the only step to look at: "conv3_1", "conv1_2+pool1" */
  double timeout_seconds; /* a candidate that takes longer hangs. Default 20 */
  int fresh; /* 1: what earlier sessions measured on this device is forgotten first. Default 0: the search goes on where
                           * they ended. What failed is remembered in any case */
  const char *program;    /* NULL, or a program that calls clvgg_tune_worker first of all when its only argument is
                           * CLVGG_TUNE_WORKER_ARGUMENT. Default: the clvgg program that belongs to the library */
  clvgg_tune_fn progress; /* NULL: none */
  void *progress_user;
} clvgg_tune_options;

CLVGG_API void clvgg_tune_options_init(clvgg_tune_options *options);

typedef struct clvgg_tune_report {
  double seconds;
  size_t tried, failed; /* candidates, in this run */
  size_t known;         /* candidates that earlier sessions had tried */
  size_t restarts;      /* worker processes that crashed, hung or were of no use */
  double ms,
      untuned_ms; /* a run of the network with the plan that was found and without tuning: the least of several, in turns */
  double ratio;        /* the median of their ratios in a turn; below 1: the plan found is faster */
  double logits_error; /* the largest difference of the logits of both, relative to the largest logit */
  int accepted; /* 1: the plan found is used from now on; 0: it is not right, not faster, or the same; reason says which */
  char reason[256];
  int stored; /* 0: the database cannot be written, so that all of this is forgotten */
} clvgg_tune_report;

/* The device must be one that clvgg_device_open finds again: a wrapped one is CLVGG_ERROR_UNSUPPORTED. The model's weights do not matter,
 * and are not read. */
CLVGG_API clvgg_status clvgg_tune(clvgg_device *device, const clvgg_model *model, const clvgg_tune_options *options,
                                  clvgg_tune_report *out);

/* The argument with which a worker is started, and what its program then calls first of all: it returns the program's exit status. */
#define CLVGG_TUNE_WORKER_ARGUMENT "tune-worker"
CLVGG_API int clvgg_tune_worker(void);

/* All plans and measurements as JSON, to be taken to other machines with the same device. */
CLVGG_API clvgg_status clvgg_tuning_export(const char *path);
/* Adds what a file holds that is not known here; what was measured here stays. rows and changed (each may be NULL): in the file, and of them
 * new here. All or, on an error, nothing. */
CLVGG_API clvgg_status clvgg_tuning_import(const char *path, size_t *rows, size_t *changed);

/* ---- what tuning knows about an engine's plan. Both calls read the user's tuning database, and of it only what was found on exactly this
 * device, driver, kernels and version of the library. Nothing known is no error: *list is NULL then, and *count 0, as on every
 * failure. CLVGG_ERROR_IO when the database cannot be read, for other processes keep it locked. They do not use the device. */

/* A way to compute a step of the plan that tuning tried, and that is not the step's own. */
typedef struct clvgg_alternative {
  char algorithm[64];
  char parameters[192];
  char source[16]; /* whose result it is: "measured" (on this device), "imported", "preset" */
  int in_network; /* 1: ms is its time as a step of the whole network; 0: by itself, where caches make it look faster, since
                    * it was too slow even so to be tried in the network, or there was no time left for it */
  double ms;      /* of max_batch images; 0: it failed */
  double slower; /* ms as a multiple of the step's own time, taken in the same way. Below 1 it is the faster one, but no
                    * faster plan came of it: in another memory layout it needs conversions around it. 0: not known */
  char fault[16];   /* "", or how it failed: "build", "crash", "hang", "error", "nan", "wrong". It is not tried again */
  char reason[256]; /* what was wrong, in words; "" when nothing */
} clvgg_alternative;

/* Those of step index (below clvgg_engine_info's layers, else CLVGG_ERROR_ARGUMENT) that the engine's options allow: first those
 * timed in the network, fastest first, then those timed by themselves, fastest first, then those that failed. *list is an array of
 * *count entries that the caller releases with clvgg_alternatives_free. */
CLVGG_API clvgg_status clvgg_engine_get_alternatives(const clvgg_engine *engine, size_t index, clvgg_alternative **list,
                                                     size_t *count);
CLVGG_API void clvgg_alternatives_free(clvgg_alternative *list);

/* One event of the last tuning of the engine's network with its options: a run of a whole plan, or a candidate for a layer. */
typedef struct clvgg_tune_event {
  double seconds;     /* since that tuning began */
  char layer[52];     /* the first layer that the candidate is for, "conv3_2"; "" for a plan */
  char algorithm[64]; /* "" for a plan */
  char parameters[192];
  double ms;      /* of a plan: a run of the network; of a candidate: its time by itself, 0 when it failed */
  double best_ms; /* of a plan: the least of those so far; 0 for a candidate */
  char fault[16]; /* "", or how the candidate failed, as above */
} clvgg_tune_event;

/* All of them in their order. *list is an array of *count entries that the caller releases with clvgg_tune_history_free. */
CLVGG_API clvgg_status clvgg_engine_get_tune_history(const clvgg_engine *engine, clvgg_tune_event **list,
                                                     size_t *count);
CLVGG_API void clvgg_tune_history_free(clvgg_tune_event *list);

/* ------------------------------------------------------------------ answers */

/* The k largest of n scores, largest first, the lower index first among equals: index (k), and probability (k, may be NULL)
 * by softmax over all n. NaN scores order last. k is cut to n; returns the number written. */
CLVGG_API size_t clvgg_top_k(const float *logits, size_t n, size_t k, size_t *index, float *probability);

/* ------------------------------------------------------------- verification */

/* One algorithm on one layer, against the plain C reference on the same seeded random input. */
typedef struct clvgg_verify_case {
  char layer[24];
  char algorithm[64];
  char precision
      [8]; /* the form of its weights and arithmetic, as clvgg_precision_name; of "network": what was asked for */
  int ran; /* 0: not supported here; reason says why */
  int ok;  /* 1: within tolerance, no NaN, nothing written outside the output */
  double max_abs;   /* max |x - reference| */
  double max_rel;   /* max_abs / max |reference|; infinite when a value is not finite */
  double rel_l2;    /* |x - reference| / |reference| */
  double tolerance; /* on max_rel */
  char reason[256];
} clvgg_verify_case;

/* Returns 0 to go on, else verification stops early. */
typedef int (*clvgg_verify_fn)(const clvgg_verify_case *result, void *user);

/* Runs every algorithm that the registry has on every layer of the model, batch images at a time, and then the whole
 * network end to end (layer "network"), in each precision. An adaptive pooling to 7x7 is checked, too, which an input of
 * another size may need (layer "adaptive"). A mismatch is a case that is not ok, not an error. */
CLVGG_API clvgg_status clvgg_verify(clvgg_device *device, const clvgg_model *model, size_t batch, clvgg_verify_fn fn,
                                    void *user);

/* ------------------------------------------------------------- cached files */

/* What can always be made again is kept in the user's cache folder, $XDG_CACHE_HOME/clvgg or ~/.cache/clvgg: compiled programs in
 * its folder "programs", and "trust", the verdicts on algorithms. A program counts for the very same device, driver, source and
 * build options only, and is verified before the driver sees it. Whatever is wrong with these files or their folder is never an
 * error of other calls: programs are then compiled. The programs take up to CLVGG_CACHE_MB MiB (an environment variable; 256 by
 * default; 0: they are neither read nor written), the least recently used go first. Any number of processes may share the folder.
 *
 * Programs that a device has compiled are written when it closes, but for drivers (PoCL) that would have to compile them once more
 * for that: there, clvgg_device_save_programs does. */

/* One compiled program. */
typedef struct clvgg_cache_entry {
  char file[64];      /* its name in the folder */
  char device[256];   /* the device's name; "" when the file does not say */
  char source[64];    /* what it was compiled from, "conv_direct.cl"; "" likewise */
  uint64_t bytes;     /* of the file */
  int64_t last_use_s; /* seconds since 1970 */
} clvgg_cache_entry;

typedef struct clvgg_cache_info {
  char folder[4096];       /* of the programs, whether it exists or not */
  uint64_t bytes;          /* all entries */
  uint64_t limit_bytes;    /* 0: the cache is off */
  char verdicts[4096];     /* the path of "trust" */
  uint64_t verdict_bytes;  /* 0: there is no such file */
  int64_t verdicts_last_s; /* when it was last written, in seconds since 1970 */
} clvgg_cache_info;

/* Lists the compiled programs, the last used first. *entries is an array of *count that the caller releases with
 * clvgg_cache_list_free; info may be NULL. A folder that does not exist is empty; one that cannot be read is CLVGG_ERROR_IO.
 * May be called from any thread. */
CLVGG_API clvgg_status clvgg_cache_list(clvgg_cache_info *info, clvgg_cache_entry **entries, size_t *count);
CLVGG_API void clvgg_cache_list_free(clvgg_cache_entry *entries);

/* Removes the compiled programs and the verdicts, while they are in use, too. *files and *bytes (either may be NULL) say what went,
 * also when the rest could not be removed, which is CLVGG_ERROR_IO. */
CLVGG_API clvgg_status clvgg_cache_clear(size_t *files, uint64_t *bytes);

/* What became of the programs that a device was asked for since it was opened. */
typedef struct clvgg_cache_counts {
  uint64_t hits;    /* loaded */
  uint64_t misses;  /* not in the cache: compiled */
  uint64_t refused; /* in the cache, but the driver did not take it: compiled. It is not offered to this driver again */
  uint64_t damaged; /* the file was damaged: removed, compiled */
  uint64_t written;
} clvgg_cache_counts;

CLVGG_API void clvgg_device_get_cache_counts(clvgg_device *device, clvgg_cache_counts *out);

/* Writes the programs that the device has compiled and the cache does not have. On PoCL this takes about as long as compiling them
 * did; what has run before, with which sizes of work-groups, is then in them. *count (may be NULL) is how many were written: 0 with
 * CLVGG_CACHE_MB=0. The first that cannot be written is the error. */
CLVGG_API clvgg_status clvgg_device_save_programs(clvgg_device *device, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
