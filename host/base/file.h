/* Regular files as mapped memory, whole-file writing by rename, and the folders where the product's data lives. */
#ifndef CLVGG_BASE_FILE_H
#define CLVGG_BASE_FILE_H

#include <limits.h>
#include <stdbool.h>

#include "base/status.h"

typedef struct file_map {
  const unsigned char *data; /* bytes; NULL when bytes is 0 */
  size_t bytes;
} file_map;

/* Maps a regular file read-only. A missing file, directory, FIFO or device is CLVGG_ERROR_IO with the path in the text;
 * never blocks. Close with file_map_close, which takes NULL fields too. */
clvgg_status file_map_open(const char *path, file_map *out);
void file_map_close(file_map *map);

/* Writes path whole: to a temporary name beside it first, then renamed over it. */
clvgg_status file_write(const char *path, const void *data, size_t bytes);

/* 1 when path is a regular file that can be read. */
int file_exists(const char *path);

/* The path of a downloaded file: $XDG_DATA_HOME/clvgg/name, by default ~/.local/share/clvgg/name. */
clvgg_status file_user_path(const char *name, char *out, size_t bytes);

/* The path of a file that the library can always make again: $XDG_CACHE_HOME/clvgg/name, by default ~/.cache/clvgg/name. */
clvgg_status file_cache_path(const char *name, char *out, size_t bytes);

/* Makes the folder that path lies in, and those above it, private to the user where they are new. */
clvgg_status file_make_folder(const char *path);

/* The path of a file that comes with the library (host/data/): in $CLVGG_DATA_DIR; in share/clvgg/ beside the bin/, lib/ or
 * lib/ARCHITECTURE/ that the library (or the program it is part of) was loaded from, so that an installed tree can be moved;
 * in the folder it was to be installed to; or in the source tree that it was built from. The first that exists counts;
 * CLVGG_ERROR_IO when none has it. */
clvgg_status file_shared_path(const char *name, char *out, size_t bytes);

/* The file that this code was loaded from, links resolved: the shared library, or the program that it is linked into. */
bool file_self(char out[PATH_MAX]);

#endif
