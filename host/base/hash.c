/* FNV-1a, 64 bits (Fowler, Noll, Vo and Eastlake, "The FNV Non-Cryptographic Hash Algorithm", section 2). */
#include "base/hash.h"

#include <string.h>

uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes) {
  const unsigned char *at = data;
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* Independent sums, so that their multiplications overlap. */
#define LANES 8

uint64_t hash_block(const void *data, size_t bytes) {
  const unsigned char *at = data;
  uint64_t lanes[LANES];
  for (size_t k = 0; k < LANES; k++) lanes[k] = HASH_START + k;
  size_t left = bytes;
  for (; left >= sizeof lanes; left -= sizeof lanes, at += sizeof lanes)
    for (size_t k = 0; k < LANES; k++) {
      uint64_t word;
      memcpy(&word, at + k * sizeof word, sizeof word);
      /* FNV-1a on words; the rotation brings their high bits, which products cannot move down, into reach of the next. */
      const uint64_t mixed = (lanes[k] ^ word) * UINT64_C(0x100000001b3);
      lanes[k] = mixed << 29 | mixed >> 35;
    }
  return hash_bytes(hash_bytes(hash_bytes(HASH_START, &bytes, sizeof bytes), lanes, sizeof lanes), at, left);
}
