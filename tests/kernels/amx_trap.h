/* AMX on processors that have none: its instructions trap there, and the handler does what they do. Linux on x86-64. */
#ifndef CLVGG_TESTS_KERNELS_AMX_TRAP_H
#define CLVGG_TESTS_KERNELS_AMX_TRAP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct amx_counts {
  size_t configurations, releases, loads, stores, products; /* instructions done */
  size_t misuses; /* of tiles that were not configured, or not as 16 rows of 64 bytes */
} amx_counts;

/* False where this system is another. What is no instruction on tiles ends the process as before. */
bool amx_trap_install(void);
amx_counts amx_trap_counts(void);

#endif
