/* Integers of either byte order out of a file's bytes, and the walk along a PNG file's chunks. Callers check the bounds. */
#ifndef CLVGG_IMAGE_BYTES_H
#define CLVGG_IMAGE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t bytes_be16(const uint8_t *p) {
  return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t bytes_be32(const uint8_t *p) {
  return bytes_be16(p) << 16 | bytes_be16(p + 2);
}
static inline uint32_t bytes_le16(const uint8_t *p) {
  return (uint32_t)p[1] << 8 | p[0];
}
static inline uint32_t bytes_le32(const uint8_t *p) {
  return bytes_le16(p + 2) << 16 | bytes_le16(p);
}

/* The CRC-32 of PNG (ISO 3309, polynomial 0xEDB88320 reflected), four bits at a time. */
static inline uint32_t bytes_crc32(const uint8_t *p, size_t n) {
  static const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
                                     0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                     0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

#define PNG_SIGNATURE       "\x89PNG\r\n\x1a\n"
#define PNG_SIGNATURE_BYTES 8

typedef struct png_chunk {
  const uint8_t *type; /* four letters */
  const uint8_t *data;
  size_t bytes; /* of data */
} png_chunk;

/* Reads the chunk at *at (PNG_SIGNATURE_BYTES for the first) and moves *at behind it; false when the file ends before the
 * chunk does. */
static inline bool png_next_chunk(const uint8_t *data, size_t bytes, size_t *at, png_chunk *out) {
  if (*at > bytes || bytes - *at < 12) return false;
  const size_t length = bytes_be32(data + *at);
  if (length > bytes - *at - 12) return false;
  out->type = data + *at + 4;
  out->data = data + *at + 8;
  out->bytes = length;
  *at += length + 12;
  return true;
}

/* Whether the chunk's checksum, over its type and data, is right. */
static inline bool png_intact(const png_chunk *chunk) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  (void)chunk;
  return true; /* a fuzzer cannot guess checksums, and would test nothing behind them */
#else
  return bytes_crc32(chunk->type, chunk->bytes + 4) == bytes_be32(chunk->data + chunk->bytes);
#endif
}

static inline bool png_is(const png_chunk *chunk, const char *type) {
  return memcmp(chunk->type, type, 4) == 0;
}

#endif
