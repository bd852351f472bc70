/* The table of device classes. Numbers for GPUs follow vendors' guides to their hardware; none was measured. */
#include "algo/rules.h"

#include <stddef.h>

typedef enum memory_kind { ANY_MEMORY, OWN_MEMORY, SHARED_MEMORY } memory_kind;

/* The first row that fits counts. */
static const struct {
  bool cpu;             /* CPUs, software rasterisers included; other rows are of all other types */
  memory_kind memory;   /* shared with the host, or not */
  unsigned least_lanes; /* unknown lanes count as 32 */
  launch_rule rule;
} table[] = {
    /* A group's work-items are a loop there: one, which works on whole vectors. PoCL compiles a kernel again for every size of groups. */
    {true, ANY_MEMORY, 0, {"CPU", 1, 4, 8, 1, 8, 16, 16, 4, false}},
    /* AMD's GCN and CDNA: wavefronts of 64, of which a compute unit has up to 40. */
    {false, OWN_MEMORY, 64, {"GPU with its own memory, 64 lanes", 64, 4, 8, 1024, 8, 16, 64, 1, true}},
    /* NVIDIA, AMD's RDNA: warps of 32, of which a compute unit has 32 to 64. Two share a group, which halves the number of groups. */
    {false, OWN_MEMORY, 32, {"GPU with its own memory, 32 lanes", 64, 4, 8, 1024, 8, 16, 32, 4, true}},
    /* Intel's Arc: a compute unit is an execution unit of eight threads with 8 or 16 lanes. */
    {false, OWN_MEMORY, 0, {"GPU with its own memory, fewer than 32 lanes", 32, 4, 4, 128, 4, 16, 16, 4, true}},
    /* Adreno, AMD's processors with graphics: 64 lanes, few compute units, memory as slow as the host's. */
    {false, SHARED_MEMORY, 64, {"GPU that shares the host's memory, 64 lanes", 64, 4, 4, 512, 8, 8, 64, 1, true}},
    /* Apple, PowerVR, NVIDIA's Jetson. */
    {false, SHARED_MEMORY, 32, {"GPU that shares the host's memory, 32 lanes", 64, 4, 4, 512, 8, 8, 32, 4, true}},
    /* Intel's processors with graphics, Mali: short vectors, and few registers for each work-item. */
    {false,
     SHARED_MEMORY,
     0,
     {"GPU that shares the host's memory, fewer than 32 lanes", 32, 2, 4, 128, 4, 8, 16, 4, true}},
};

const launch_rule *rules_for(const clvgg_device_info *dev) {
  const bool cpu = dev->type == CLVGG_DEVICE_CPU || dev->software_rasteriser;
  const unsigned lanes = dev->lanes ? dev->lanes : 32;
  const memory_kind memory = dev->unified_memory ? SHARED_MEMORY : OWN_MEMORY;
  size_t i = 0;
  while (table[i].cpu != cpu || (table[i].memory != ANY_MEMORY && table[i].memory != memory) ||
         table[i].least_lanes > lanes)
    i++; /* ends: each combination has a row for any lanes */
  return &table[i].rule;
}
