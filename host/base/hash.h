/* A 64-bit hash of bytes: for names and checksums of what this library itself wrote, not against anybody's intent. */
#ifndef CLVGG_BASE_HASH_H
#define CLVGG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Goes on with hash, which begins as HASH_START: the hash of a and then b is that of both in one. */
uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes);

/* Of one block of any size, as fast as memory: other values than hash_bytes, and not to be gone on with. */
uint64_t hash_block(const void *data, size_t bytes);

#endif
