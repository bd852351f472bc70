/* What the forms of Winograd's convolution for GPUs share: parameters, sizes, what they need of a device, the models of their time, and
 * how parameters are chosen. */
#include "algo/winograd_gpu.h"

#include <string.h>

#include "algo/gpu.h"

#define PARAMS                                                                                   \
  [GROUP_T] = {"GROUP_T", "work-items of a group that share output channels", {1, 2, 4, 8, 16}}, \
  [GROUP_OC] = {"GROUP_OC", "work-items of a group that share tiles", {1, 2, 4, 8, 16}},         \
  [ITEM_T] = {"ITEM_T", "tiles of a work-item", {4, 8}},                                         \
  [ITEM_OC] = {"ITEM_OC", "output channels of a work-item", {4, 8}},                             \
  [TILE_K] = {"TILE_K", "input channels in local memory at a time", {1, 2, 4, 8}},               \
  [M] = {"M", "side of a tile of outputs", {2, 4}}

const algo_param winograd_gpu_staged_params[] = {PARAMS, {0}};
const algo_param winograd_gpu_fused_params[] = {
    PARAMS, [ITEM_F] = {"ITEM_F", "places of a transformed tile of a work-item", {1, 2, 4, 16}}, {0}};

/* The staged form works on a part of all tiles at a time to keep its scratch memory below this. */
#define PART_BYTES ((size_t)64 << 20)
/* A work-item's sums in registers: GPUs have 64 to 256 of them. */
#define MOST_SUMS 256
/* And a group's on a CPU: drivers run its work-items in turn, on one thread, whose stack (8 MiB by default) holds what each keeps across a
 * barrier. PoCL takes up to five times as much as the sums alone. */
#define CPU_GROUP_BYTES ((size_t)1 << 20)

/* ---- sizes */

typedef winograd_gpu_sizes sizes;

static size_t freqs_of(const int *param) {
  const size_t n = (size_t)param[M] + 2;
  return n * n;
}

static size_t tile_t_of(const int *param) {
  return (size_t)param[GROUP_T] * (size_t)param[ITEM_T];
}

static size_t tile_oc_of(const int *param) {
  return (size_t)param[GROUP_OC] * (size_t)param[ITEM_OC];
}

sizes winograd_gpu_measure(const algo_problem *p, const int *param) {
  const layer_shape *s = &p->shape;
  const size_t m = (size_t)param[M];
  sizes z = {.freqs = freqs_of(param),
             .tiles_y = size_ceil_div(s->in.h, m),
             .tiles_x = size_ceil_div(s->in.w, m),
             .tile_t = tile_t_of(param),
             .tile_oc = tile_oc_of(param)};
  z.channels = size_round_up(s->in.c, (size_t)param[TILE_K]);
  z.out_channels = size_round_up(s->out.c, z.tile_oc);
  z.tiles = p->batch * z.tiles_y * z.tiles_x;
  return z;
}

/* As even as possible. The bound assumes the largest padding: prepare may have to take smaller groups when the scratch memory is there
 * already. */
size_t winograd_gpu_part(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = winograd_gpu_measure(p, param);
  const double limit = dev->max_alloc_bytes < PART_BYTES ? (double)dev->max_alloc_bytes : (double)PART_BYTES;
  const double channels = (double)p->shape.in.c + (double)p->shape.out.c + 8 + 128;
  const double fit = limit / ((double)(z.freqs * sizeof(float)) * channels) - 128;
  const size_t most = fit < 1 ? 1 : (size_t)fit;
  return size_round_up(size_ceil_div(z.tiles, size_ceil_div(z.tiles, most)), z.tile_t);
}

size_t winograd_gpu_staged_workspace(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = winograd_gpu_measure(p, param);
  return z.freqs * (z.channels + z.out_channels) * winograd_gpu_part(dev, p, param) * sizeof(float);
}

/* ---- what parameters need of the device */

/* Work-items that share the places of a tile. */
static size_t group_f(const int *param) {
  return param[ITEM_F] ? freqs_of(param) / (size_t)param[ITEM_F] : 1;
}

static size_t group_items(const int *param) {
  return (size_t)param[GROUP_T] * (size_t)param[GROUP_OC] * group_f(param);
}

void winograd_gpu_group(const int *param, size_t local[3]) {
  local[0] = (size_t)param[GROUP_T];
  local[1] = (size_t)param[GROUP_OC];
  local[2] = group_f(param);
}

/* As declared in conv_winograd_gpu.cl. */
uint64_t winograd_gpu_staged_local_bytes(const int *param) {
  return (uint64_t)param[TILE_K] * (tile_t_of(param) + tile_oc_of(param)) * sizeof(float);
}

uint64_t winograd_gpu_fused_local_bytes(const int *param) {
  const uint64_t inputs = winograd_gpu_staged_local_bytes(param), tile_t = tile_t_of(param);
  const uint64_t sums = 2 * (uint64_t)param[GROUP_OC] * tile_t * sizeof(float);
  return freqs_of(param) * (inputs > sums ? inputs : sums) + 3 * tile_t * sizeof(int32_t);
}

bool winograd_gpu_supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why) {
  const sizes z = winograd_gpu_measure(p, param);
  const int sums = (param[ITEM_F] ? param[ITEM_F] : 1) * param[ITEM_T] * param[ITEM_OC];
  if (param[ITEM_F] && z.freqs % (size_t)param[ITEM_F] != 0)
    return algo_refuse(why, "the %zu places of a tile are no multiple of %d", z.freqs, param[ITEM_F]);
  if (sums > MOST_SUMS)
    return algo_refuse(why, "it holds %d sums in registers, at most %d are useful", sums, MOST_SUMS);
  size_t local[3];
  winograd_gpu_group(param, local);
  const size_t kept = local[0] * local[1] * local[2] * (size_t)sums * sizeof(float);
  if (dev->type == CLVGG_DEVICE_CPU && kept > CPU_GROUP_BYTES)
    return algo_refuse(why, "the sums of a group take %zu KiB, which a CPU's driver keeps on a thread's stack",
                       kept >> 10);
  const size_t weights[] = {z.freqs, z.channels, z.out_channels};
  const size_t scratch[] = {z.freqs, z.channels + z.out_channels, param[ITEM_F] ? 1 : winograd_gpu_part(dev, p, param)};
  size_t weight_floats, scratch_floats;
  if (!size_product(weights, 3, &weight_floats) || weight_floats > dev->max_alloc_bytes / sizeof(float))
    return algo_refuse(why, "transformed weights of %.0f MiB exceed the largest buffer of %llu MiB",
                       (double)z.freqs * (double)z.channels * (double)z.out_channels * sizeof(float) / 1048576,
                       (unsigned long long)(dev->max_alloc_bytes >> 20));
  if (weight_floats > INT32_MAX || !size_product(scratch, 3, &scratch_floats) || scratch_floats > INT32_MAX)
    return algo_refuse(why, "transformed weights or tiles need more than 32-bit indices");
  return true;
}

/* ---- iterations: every loop counted as if it were not unrolled */

static uint64_t tile_iterations(const int *param) {
  const uint64_t n = (uint64_t)param[M] + 2;
  return n * (2 + n) + n * (1 + 2 * n) + n * n + n * (1 + n); /* either transform, and reading or writing */
}

static uint64_t multiply_iterations(const int *param) {
  const uint64_t t = (uint64_t)param[ITEM_T] / 4, o = (uint64_t)param[ITEM_OC] / 4;
  return 1 + t + o * (1 + t);
}

static uint64_t sum_iterations(const int *param) {
  return (uint64_t)param[ITEM_OC] * (1 + (uint64_t)param[ITEM_T] / 4);
}

uint64_t winograd_gpu_staged_iterations(const algo_problem *p, const int *param) {
  const sizes z = winograd_gpu_measure(p, param);
  const uint64_t items = group_items(param), k = (uint64_t)param[TILE_K];
  const uint64_t loads = size_ceil_div(k * z.tile_t / 4, items) + size_ceil_div(k * z.tile_oc / 4, items);
  const uint64_t multiply =
      2 * sum_iterations(param) + loads + z.channels / k * (1 + 2 * loads + k * (1 + multiply_iterations(param)));
  return multiply > tile_iterations(param) ? multiply : tile_iterations(param);
}

uint64_t winograd_gpu_fused_iterations(const algo_problem *p, const int *param) {
  const sizes z = winograd_gpu_measure(p, param);
  const uint64_t items = group_items(param), k = (uint64_t)param[TILE_K];
  const uint64_t f = (uint64_t)param[ITEM_F], outputs = size_ceil_div(z.tile_oc * z.tile_t, items) + 8;
  const uint64_t chunk = 1 + size_ceil_div(k * z.freqs * z.tile_oc / 4, items) +
                         size_ceil_div(k * z.tile_t, items) * (1 + tile_iterations(param)) +
                         k * (1 + f * (1 + multiply_iterations(param)));
  return size_ceil_div(z.tile_t, items) + 3 * f * (1 + sum_iterations(param)) + z.channels / k * chunk +
         outputs * (1 + tile_iterations(param));
}

/* ---- the model of time: gpu.h has its units. Factors are estimates: what they are to say is which sets are far from the best. */

/* How near the products come to the peak. More sums for each value read from local memory, larger tiles for each read from memory and
 * more steps between barriers help; items below a SIMD width are idle lanes, and many sums leave room for few groups at a time. */
static double efficiency(const int *param) {
  const double t = param[ITEM_T], o = param[ITEM_OC], k = param[TILE_K];
  const double tile_t = param[GROUP_T] * t, tile_oc = param[GROUP_OC] * o;
  const double item = t * o / (t + o), tile = tile_t * tile_oc / (tile_t + tile_oc);
  const double sums = t * o * (param[ITEM_F] ? param[ITEM_F] : 1);
  return 0.9 * item / (item + 1) * tile / (tile + 8) * k / (k + 0.5) * fmin(1, (double)group_items(param) / 32) *
         fmin(1, 96 / sums);
}

/* How much longer the busiest compute unit works than the average one. */
static double busiest(const clvgg_device_info *dev, double groups) {
  const double units = dev->compute_units ? dev->compute_units : 1;
  return ceil(groups / units) * units / groups;
}

static double weight_bytes(const sizes *z) {
  return sizeof(float) * (double)z->freqs * (double)z->channels * (double)z->out_channels;
}

/* Of the batch's input and output. */
static double image_bytes(const algo_problem *p) {
  return sizeof(float) * (double)p->batch * (double)(shape3_elements(p->shape.in) + shape3_elements(p->shape.out));
}

static double staged_model(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = winograd_gpu_measure(p, param);
  const double part = (double)winograd_gpu_part(dev, p, param), parts = ceil((double)z.tiles / part);
  const double freqs = (double)z.freqs, channels = (double)z.channels, out_channels = (double)z.out_channels;
  const double groups = freqs * (part / (double)z.tile_t) * (out_channels / (double)z.tile_oc);
  const double multiply = 2 * freqs * part * parts * channels * out_channels / efficiency(param) * busiest(dev, groups);
  const double scratch = 2 * sizeof(float) * freqs * part * parts * (channels + out_channels);
  return 3 * parts * GPU_FLOPS_A_LAUNCH + multiply + GPU_FLOPS_A_BYTE * (scratch + weight_bytes(&z) + image_bytes(p));
}

/* Operations in the time of a transform's loads and stores in a cache or local memory, and its arithmetic, for each place; sums go
 * through local memory between two barriers, while many items are idle. */
#define FLOPS_A_PLACE     20
#define FLOPS_A_SUM_PLACE 40
/* When a group's local memory leaves room for no other, nobody computes while it waits. */
#define ALONE 0.8

static double fused_model(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  const sizes z = winograd_gpu_measure(p, param);
  const double blocks = (double)size_ceil_div(z.tiles, z.tile_t);
  const double oc_blocks = (double)z.out_channels / (double)z.tile_oc;
  const double places = (double)z.freqs * blocks * (double)z.tile_t;
  const double together = winograd_gpu_fused_local_bytes(param) > dev->local_bytes / 2 ? ALONE : 1;
  const double multiply = 2 * places * (double)z.channels * (double)z.out_channels / (efficiency(param) * together);
  const double transforms =
      places * (FLOPS_A_PLACE * (double)z.channels * oc_blocks + FLOPS_A_SUM_PLACE * (double)z.out_channels);
  return GPU_FLOPS_A_LAUNCH + (multiply + transforms) * busiest(dev, blocks * oc_blocks) +
         GPU_FLOPS_A_BYTE * (weight_bytes(&z) + image_bytes(p));
}

double winograd_gpu_staged_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return gpu_has_model(dev) ? staged_model(dev, p, param) : INFINITY;
}

double winograd_gpu_fused_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {
  return gpu_has_model(dev) ? fused_model(dev, p, param) : INFINITY;
}

/* Operations are counted in conv_winograd_gpu.cl: of input_row and output_row, a multiply-add as two. input_times: how often a tile is
 * transformed. */
static void work(const algo_problem *p, const int *param, double tiles, double input_times, double *flops,
                 double *weights) {
  static const double row_flops[2][2] = {{4, 4}, {19, 13}}; /* M = 2, 4 */
  const sizes z = winograd_gpu_measure(p, param);
  const double m = param[M], n = m + 2, *row = row_flops[param[M] / 2 - 1];
  const double input = 2 * n * row[0] * (double)p->shape.in.c * input_times;
  const double output = (n + m) * row[1] * (double)p->shape.out.c;
  *flops =
      2 * (double)z.freqs * tiles * (double)z.channels * (double)z.out_channels + (input + output) * (double)z.tiles;
  *weights = weight_bytes(&z);
}

void winograd_gpu_staged_work(const algo_problem *p, const int *param, double *flops, double *weights) {
  const sizes z = winograd_gpu_measure(p, param);
  work(p, param, (double)size_round_up(z.tiles, z.tile_t), 1, flops, weights);
}

void winograd_gpu_fused_work(const algo_problem *p, const int *param, double *flops, double *weights) {
  const sizes z = winograd_gpu_measure(p, param);
  work(p, param, (double)size_round_up(z.tiles, z.tile_t), (double)z.out_channels / (double)z.tile_oc, flops, weights);
}

/* ---- choosing */

bool winograd_gpu_make_smaller(int *param) {
  int *larger = &param[param[GROUP_T] > param[GROUP_OC] ? GROUP_T : GROUP_OC];
  if (*larger > 1) {
    *larger /= 2;
    return true;
  }
  const int places = (int)freqs_of(param), more = param[ITEM_F] == 4 ? 16 : 2 * param[ITEM_F];
  if (more == 0 || more > 16 || places % more != 0 || more * param[ITEM_T] * param[ITEM_OC] > MOST_SUMS) return false;
  param[ITEM_F] = more;
  return true;
}

static bool fits(const clvgg_device_info *dev, uint64_t local_bytes, const int *param) {
  size_t local[3] = {1, 1, 1};
  winograd_gpu_group(param, local);
  return local[0] * local[1] * local[2] <= dev->max_work_group && local[0] <= dev->max_work_item[0] &&
         local[1] <= dev->max_work_item[1] && local[2] <= dev->max_work_item[2] && local_bytes <= dev->local_bytes;
}

typedef double (*model_function)(const clvgg_device_info *dev, const algo_problem *p, const int *param);
typedef uint64_t (*bytes_function)(const int *param);

/* As many channels at a time as leave local memory for a second group, so that one computes while the other waits. */
static void choose_depth(const clvgg_device_info *dev, bytes_function local_bytes, int *param) {
  while (param[TILE_K] > 1 && local_bytes(param) > dev->local_bytes / 2) param[TILE_K] /= 2;
}

/* Sums of a work-item on devices whose local memory is ordinary memory: these are small ones, with few registers. */
#define SMALL_ITEM 16

/* The cheapest by model of the sets that are worth trying and fit; param holds one that needs least. */
static void choose(const clvgg_device_info *dev, const algo_problem *p, const int *places, int depth,
                   model_function model, bytes_function local_bytes, int *param) {
  static const int groups[] = {16, 8, 4, 2, 1}, items[] = {8, 4};
  double best = INFINITY;
  for (size_t g = 0; g < COUNT_OF(groups); g++)
    for (size_t i = 0; i < COUNT_OF(items); i++)
      for (int m = 2; m <= 4; m += 2)
        for (const int *f = places; *f >= 0; f++) {
          char why[ALGO_WHY_BYTES];
          int one[ALGO_MAX_PARAMS] = {groups[g], groups[g], items[i], items[i], depth, m, *f};
          if (!dev->local_is_dedicated && items[i] * items[i] > SMALL_ITEM) continue;
          choose_depth(dev, local_bytes, one);
          if (!fits(dev, local_bytes(one), one) || !winograd_gpu_supports(dev, p, one, why)) continue;
          const double cost = model(dev, p, one);
          if (cost < best) memcpy(param, one, sizeof one), best = cost;
        }
}

void winograd_gpu_choose_staged(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int places[] = {0, -1}, least[ALGO_MAX_PARAMS] = {1, 1, 4, 4, 1, 2};
  memcpy(param, least, sizeof least);
  choose(dev, p, places, 8, staged_model, winograd_gpu_staged_local_bytes, param);
}

void winograd_gpu_choose_fused(const clvgg_device_info *dev, const algo_problem *p, int *param) {
  static const int places[] = {1, 2, 4, 16, -1}, least[ALGO_MAX_PARAMS] = {1, 1, 4, 4, 1, 2, 16};
  memcpy(param, least, sizeof least);
  choose(dev, p, places, 4, fused_model, winograd_gpu_fused_local_bytes, param);
}
