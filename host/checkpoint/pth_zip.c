/*
 * torch.save's zip container (PyTorch 1.6 and later): NAME/data.pkl is the tree, NAME/data/KEY a storage's elements,
 * NAME/byteorder, if there, says "little". libzip checks the CRC-32 of all that is read. Storages are read when a
 * tensor first needs them, once, into memory of the checkpoint.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/size.h"
#include "checkpoint/pth.h"

enum { MAX_NAME = 512 }; /* an entry's path */

typedef struct zip_reader {
  zip_t *archive;
  size_t entries;
  char folder[MAX_NAME];        /* NAME/ */
  const unsigned char **loaded; /* by entry; NULL until it is read */
  /* Bytes that may yet be read. Entries that are stored as they are cannot be larger, together, than the file; torch
   * does not deflate, other programs that re-pack may: weights shrink little, so that a small file that grows much is
   * an attack. */
  size_t stored_budget, deflated_budget;
  checkpoint *out;
} zip_reader;

static bool probe(const file_map *file) {
  return file->bytes >= 4 && memcmp(file->data, "PK\3\4", 4) == 0;
}

static clvgg_status fail_zip(const char *entry, zip_error_t *error) {
  return base_fail(CLVGG_ERROR_FORMAT, "its entry '%s' cannot be read: %s", entry, zip_error_strerror(error));
}

/* The size of an entry, once it is known that reading it is within the budgets. */
static clvgg_status check_entry(zip_reader *z, size_t index, const char *name, size_t *bytes) {
  zip_stat_t info;
  const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if (zip_stat_index(z->archive, index, 0, &info) != 0) return fail_zip(name, zip_get_error(z->archive));
  if ((info.valid & needed) != needed) return base_fail(CLVGG_ERROR_FORMAT, "its entry '%s' has no size", name);
  const bool stored = info.comp_method == ZIP_CM_STORE;
  size_t *budget = stored ? &z->stored_budget : &z->deflated_budget;
  if ((stored && info.comp_size != info.size) || info.size > *budget)
    return base_fail(CLVGG_ERROR_FORMAT, "its entry '%s' has %llu bytes, more than a file of this size justifies", name,
                     (unsigned long long)info.size);
  *budget -= (size_t)info.size;
  *bytes = (size_t)info.size;
  return CLVGG_OK;
}

static clvgg_status read_bytes(zip_file_t *file, const char *name, unsigned char *out, size_t bytes) {
  size_t got = 0;
  unsigned char beyond;
  while (got < bytes) {
    const zip_int64_t n = zip_fread(file, out + got, bytes - got);
    if (n < 0) return fail_zip(name, zip_file_get_error(file));
    if (n == 0) return base_fail(CLVGG_ERROR_FORMAT, "its entry '%s' ends after %zu of %zu bytes", name, got, bytes);
    got += (size_t)n;
  }
  /* Only the read that meets the end makes libzip compare the CRC. */
  const zip_int64_t rest = zip_fread(file, &beyond, 1);
  if (rest < 0) return fail_zip(name, zip_file_get_error(file));
  if (rest > 0) return base_fail(CLVGG_ERROR_FORMAT, "its entry '%s' is longer than %zu bytes", name, bytes);
  return CLVGG_OK;
}

/* *out = the whole entry in malloc'ed memory (at least a byte of it). */
static clvgg_status read_entry(zip_reader *z, size_t index, const char *name, unsigned char **out, size_t *bytes) {
  TRY(check_entry(z, index, name, bytes));
  zip_file_t *file = zip_fopen_index(z->archive, index, 0);
  if (file == NULL) return fail_zip(name, zip_get_error(z->archive));
  *out = malloc(*bytes + 1);
  clvgg_status status;
  if (*out == NULL)
    status = base_fail(CLVGG_ERROR_MEMORY, "no memory left for the %zu bytes of its entry '%s'", *bytes, name);
  else
    status = read_bytes(file, name, *out, *bytes);
  zip_fclose(file);
  if (status != CLVGG_OK) {
    free(*out);
    *out = NULL;
  }
  return status;
}

/* Sets folder from the one entry NAME/data.pkl, NAME without a slash. */
static clvgg_status find_folder(zip_reader *z) {
  static const char tree[] = "data.pkl";
  for (size_t i = 0; i < z->entries; i++) {
    const char *name = zip_get_name(z->archive, i, ZIP_FL_ENC_RAW);
    const char *slash = name == NULL ? NULL : strchr(name, '/');
    if (slash == NULL || strcmp(slash + 1, tree) != 0) continue;
    const size_t length = (size_t)(slash + 1 - name);
    if (length > MAX_NAME / 2) return base_fail(CLVGG_ERROR_FORMAT, "its folder's name has %zu bytes", length);
    memcpy(z->folder, name, length);
    z->folder[length] = '\0';
    return CLVGG_OK;
  }
  return base_fail(CLVGG_ERROR_FORMAT, "is a zip file without NAME/data.pkl, expected one that torch.save wrote");
}

/* path = folder + name; *index of it, or an error. */
static bool find_entry(const zip_reader *z, const char *name, size_t name_length, char *path, size_t *index) {
  const size_t folder_length = strlen(z->folder);
  if (name_length >= MAX_NAME - folder_length || memchr(name, 0, name_length) != NULL) return false;
  memcpy(path, z->folder, folder_length);
  memcpy(path + folder_length, name, name_length);
  path[folder_length + name_length] = '\0';
  const zip_int64_t found = zip_name_locate(z->archive, path, ZIP_FL_ENC_RAW);
  if (found < 0) return false;
  *index = (size_t)found;
  return true;
}

static clvgg_status load(void *context, const pickle_value *storage, const unsigned char **data) {
  zip_reader *z = context;
  const pickle_value *key = storage->as.storage.key;
  char name[MAX_NAME] = "data/", path[MAX_NAME];
  size_t index, wanted, bytes;
  const size_t prefix = strlen(name);
  zip_stat_t info;
  const int shown = (int)(key->as.text.length < 60 ? key->as.text.length : 60);
  if (key->as.text.length < MAX_NAME - prefix) memcpy(name + prefix, key->as.text.data, key->as.text.length);
  if (key->as.text.length >= MAX_NAME - prefix || !find_entry(z, name, prefix + key->as.text.length, path, &index) ||
      zip_stat_index(z->archive, index, 0, &info) != 0)
    return base_fail(CLVGG_ERROR_FORMAT, "its storage '%.*s' is not in the file", shown, key->as.text.data);
  if (!pth_storage_bytes(storage, &wanted) || (info.valid & ZIP_STAT_SIZE) == 0 || info.size != wanted)
    return base_fail(CLVGG_ERROR_FORMAT, "its storage '%s' has %llu bytes, expected %zu elements of %zu bytes", path,
                     (unsigned long long)info.size, storage->as.storage.elements,
                     pickle_storage_element_bytes(storage));
  if (z->loaded[index] == NULL) {
    unsigned char *memory;
    TRY(read_entry(z, index, path, &memory, &bytes));
    TRY(checkpoint_own(z->out, memory));
    z->loaded[index] = memory;
  }
  *data = z->loaded[index];
  return CLVGG_OK;
}

static clvgg_status check_byteorder(zip_reader *z) {
  char path[MAX_NAME];
  size_t index, bytes;
  unsigned char *text;
  if (!find_entry(z, "byteorder", 9, path, &index)) return CLVGG_OK; /* before PyTorch 2.1 */
  TRY(read_entry(z, index, path, &text, &bytes));
  const bool little = bytes == 6 && memcmp(text, "little", 6) == 0;
  free(text);
  if (!little) return base_fail(CLVGG_ERROR_UNSUPPORTED, "its byte order is not 'little'");
  return CLVGG_OK;
}

static clvgg_status read_archive(zip_reader *z, const file_map *file) {
  char path[MAX_NAME];
  size_t index, bytes, used;
  unsigned char *text;
  TRY(find_folder(z));
  TRY(check_byteorder(z));
  z->loaded = calloc(z->entries, sizeof *z->loaded);
  if (z->loaded == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory left for %zu entries", z->entries);
  if (find_entry(z, "constants.pkl", 13, path, &index))
    return base_fail(CLVGG_ERROR_FORMAT,
                     "is a TorchScript program, expected a state dict: torch.save(model.state_dict(), ...)");
  if (!find_entry(z, "data.pkl", 8, path, &index)) return base_fail(CLVGG_ERROR_FORMAT, "has no data.pkl");
  TRY(read_entry(z, index, path, &text, &bytes));
  pickle p = {0};
  pickle_value *root;
  clvgg_status status = pickle_read(&p, text, bytes, &root, &used);
  if (status == CLVGG_OK) status = pth_read_tree(root, file->bytes, load, z, z->out);
  pickle_release(&p);
  free(text);
  return status;
}

/* NULL, with the error set, when it is no zip file. */
static zip_t *open_archive(const file_map *file, zip_error_t *error) {
  zip_source_t *source = zip_source_buffer_create(file->data, file->bytes, 0, error);
  if (source == NULL) return NULL;
  zip_t *archive = zip_open_from_source(source, ZIP_RDONLY, error);
  if (archive == NULL) zip_source_free(source);
  return archive;
}

static clvgg_status read_zip(const file_map *file, checkpoint *out) {
  zip_error_t error;
  zip_error_init(&error);
  zip_reader z = {.out = out, .stored_budget = file->bytes};
  if (!size_mul(file->bytes, 20, &z.deflated_budget) ||
      !size_add(z.deflated_budget, (size_t)64 << 20, &z.deflated_budget))
    z.deflated_budget = SIZE_MAX;
  z.archive = open_archive(file, &error);
  clvgg_status status;
  if (z.archive == NULL) {
    status = base_fail(CLVGG_ERROR_FORMAT, "is a damaged zip file: %s (cut short?)", zip_error_strerror(&error));
  } else {
    z.entries = (size_t)zip_get_num_entries(z.archive, 0);
    status = read_archive(&z, file);
    zip_discard(z.archive);
  }
  free(z.loaded);
  zip_error_fini(&error);
  return status;
}

const checkpoint_format checkpoint_pth_zip = {.name = "pth (zip)", .probe = probe, .read = read_zip};
