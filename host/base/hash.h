/* FNV-1a, 64 bits (Fowler, Noll, Vo and Eastlake, "The FNV Non-Cryptographic Hash Algorithm", section 2): checksums and digests,
 * against accidents and not against intent. */
#ifndef CLVGG_BASE_HASH_H
#define CLVGG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_FNV1A_START UINT64_C(0xcbf29ce484222325)

/* Goes on from hash: HASH_FNV1A_START, or what came before. */
uint64_t hash_fnv1a(uint64_t hash, const void *data, size_t bytes);

#endif
