/* Which files are meant: image folders, walked in a fixed order. */
#ifndef CLVGG_TOOLS_IMAGES_H
#define CLVGG_TOOLS_IMAGES_H

#include <stddef.h>

typedef struct image_list {
  char **path;
  size_t count, capacity;
} image_list;

void image_list_add(image_list *list, const char *path);
void image_list_free(image_list *list);

/* Adds every file below folder whose name ends like an image's (.jpg .jpeg .png .bmp .pnm .ppm .pgm), in the order of
 * their names. Names that begin with a dot are left out, and links to folders are not followed.
 * 0, or an errno when a folder cannot be read. */
int image_list_walk(image_list *list, const char *folder);

/* The folders in folder, in the order of their names; links to folders count. 0 or an errno. */
int image_list_folders(image_list *list, const char *folder);

int is_folder(const char *path);

#endif
