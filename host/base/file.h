/* Regular files as mapped memory, whole-file writing by rename, and the folders where the product's data lives. */
#ifndef CLVGG_BASE_FILE_H
#define CLVGG_BASE_FILE_H

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

/* The path of a file that comes with the library (host/data/): in $CLVGG_DATA_DIR, the installed folder, or the source
 * tree that it was built from; the first that exists. CLVGG_ERROR_IO when none has it. */
clvgg_status file_shared_path(const char *name, char *out, size_t bytes);

#endif
