/* What the two containers of torch.save share: from the pickled tree to named tensors. */
#ifndef CLVGG_CHECKPOINT_PTH_H
#define CLVGG_CHECKPOINT_PTH_H

#include "checkpoint/format.h"
#include "checkpoint/pickle.h"

/* *data = the storage's elements, in the file or owned by the checkpoint. A storage whose size in the file is not
 * elements * size of an element is an error. */
typedef clvgg_status (*pth_load_fn)(void *context, const pickle_value *storage, const unsigned char **data);

/* Adds the state dict's tensors and the class names that it finds in the tree. file_bytes bounds how much memory copies
 * of tensors that are not contiguous may take. */
clvgg_status pth_read_tree(const pickle_value *root, size_t file_bytes, pth_load_fn load, void *context,
                           checkpoint *out);

/* *bytes = the storage's size; false when it does not fit. */
bool pth_storage_bytes(const pickle_value *storage, size_t *bytes);

#endif
