/* Labelled images: a folder per class, or a list file. */
#ifndef CLVGG_TOOLS_DATASET_H
#define CLVGG_TOOLS_DATASET_H

#include "cli.h"
#include "images.h"

typedef struct dataset {
  image_list images;
  size_t *label; /* (images.count), each below the model's classes */
  size_t capacity;
} dataset;

/* Each: 1 when at least one image was found, 0 reported. dataset_free takes a dataset in any state. */
/* DIR/CLASS/image: CLASS is a class name (letters' case and '_' for ' ' do not matter), or a class number; or, when no
 * folder is either and there are as many as classes, classes in the order of the folders' names. */
int dataset_open_folder(dataset *set, const char *folder, const clvgg_model *model);
/* Lines "PATH LABEL" with a class number or name; a tab, else the last blank, separates them; PATH is relative to the
 * list's folder. Empty lines and those that begin with '#' are left out. */
int dataset_open_list(dataset *set, const char *path, const clvgg_model *model);
/* Keeps limit images, spread evenly; the same ones every time. */
void dataset_limit(dataset *set, size_t limit);
void dataset_free(dataset *set);

#endif
