/*
 * The tuning database: what was measured on this machine's devices, which plans came of it, and what failed and why.
 *
 * File     $XDG_DATA_HOME/clvgg/tuning.sqlite, an SQLite database with a rollback journal. (Not a write-ahead log: that needs memory
 *          shared between the processes, which network homes do not have. A row a candidate is no load.)
 * Keys     A row belongs to a tuning_key: device, driver, platform, kernels, library. Rows measured on the same device with any
 *          of the last four different are found too, and marked other_software: verify before use. Failures are not: they
 *          say nothing about another driver.
 * Commits  A record call that returned CLVGG_OK has its row in the file, whatever becomes of the process then (unless
 *          tuning_is_stored says no). The file goes to the disk when the handle is closed; a power cut before may cost the
 *          rows since it was opened, or damage the file.
 * Damage   Each row ends in a checksum of its table's name and all its values, checked whenever it is read. A file that is no
 *          database, has another schema or holds a row with a wrong sum is damaged: sound rows are copied to a new file, which
 *          takes its name; the old one stays as tuning.sqlite.damaged (only the last). While other processes have the
 *          file open it is left, and this handle works in memory with the sound rows.
 * Versions application_id says whose file it is; user_version is the format's version v as v << 16 | (~v & 0xffff), so that a
 *          damaged one is not taken for a future one. A file of a future version is not touched: the handle is in memory.
 * Memory   Where the file cannot be used (read-only or full disk, no folder, another program's file) a handle works in memory, with
 *          the rows that could still be read. That is one log line, never an error.
 * Sharing  Any number of processes may use one file at once: SQLite's locks, each waited for up to half a minute, keep commits
 *          apart; a lock on tuning.sqlite.lock, shared by all who have the file open, keeps repairs apart from everything else.
 * Threads  One thread at a time uses a handle; several handles may be open. A child made by fork must not use its parent's,
 *          nor close it, and nobody may open and close the file itself in a process that has a handle on it: POSIX drops
 *          all of a process's locks on a file then.
 *
 * Texts in rows are cleaned when they are recorded or looked up: control characters and what is not UTF-8 become '?'.
 */
#ifndef CLVGG_STORE_TUNING_H
#define CLVGG_STORE_TUNING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define TUNING_FILE "tuning.sqlite"

typedef struct tuning tuning;

/* Whose rows. The first five name the device, the last four its software. */
typedef struct tuning_key {
  char name[256], vendor[128];
  int64_t compute_units;
  char platform_version[128], driver[128];
  char kernels[40]; /* digest of the kernel sources */
  char library[40]; /* clvgg_version() */
} tuning_key;

void tuning_key_make(const clvgg_device_info *dev, const char *kernels_digest, tuning_key *out);

typedef enum tuning_state {
  TUNING_OK,
  TUNING_BUILD,
  TUNING_CRASH,
  TUNING_HANG,
  TUNING_ERROR,
  TUNING_NAN,
  TUNING_WRONG
} tuning_state;
typedef enum tuning_plan_state { TUNING_ACCEPTED, TUNING_REJECTED } tuning_plan_state;
typedef enum tuning_source { TUNING_MEASURED, TUNING_IMPORTED, TUNING_PRESET } tuning_source;
/* "ok", "build", ...; "accepted", ...; "measured", ...; "?" for what is none */
const char *tuning_state_name(tuning_state state);
const char *tuning_plan_state_name(tuning_plan_state state);
const char *tuning_source_name(tuning_source source);

/* In all rows device is the store's own: the key's hash, set by the calls that take a key. created is in seconds since 1970; 0 in
 * a row to record means now. */

/* One algorithm with parameters on one problem. */
typedef struct tuning_measurement {
  int64_t device;
  char problem[256]; /* op, shapes, ReLU, pooling, batch, block: as the caller writes them */
  char algorithm[64], parameters[192];
  tuning_state state;
  char reason[256]; /* why it failed; else "" */
  double seconds;   /* of TUNING_OK, positive; 0 in a preset: to be preferred, never timed */
  int64_t runs;     /* that seconds is the least of */
  tuning_source source;
  int64_t session; /* of tuning_session_begin; 0 when not measured here */
  int64_t created;
  bool other_software; /* not stored: the row is of another driver, platform, kernels or library */
} tuning_measurement;

/* The plan that a tuning chose for a network, or why it was not taken. */
typedef struct tuning_plan {
  int64_t device;
  char network[256]; /* digest of the layers, batch, precision, options: as the caller writes them */
  char steps[8192];
  double ms, untuned_ms;
  double logits_error; /* relative to the untuned plan's logits */
  tuning_plan_state state;
  char reason[256];
  tuning_source source;
  int64_t session, created;
  bool other_software; /* not stored, as above */
} tuning_plan;

/* One step of a search, for pictures. */
typedef struct tuning_event {
  int64_t device;
  char network[256];
  int64_t session, number; /* events of a session count from 0 */
  double seconds;          /* since the session began */
  char candidate[320];
  double ms, best_ms; /* the candidate's; the whole network's, the best so far. 0: none */
} tuning_event;

/* A device that has rows, and its ceilings when it was tuned (0: not measured). */
typedef struct tuning_device {
  int64_t device;
  tuning_key key;
  double peak_gflops, peak_gbytes_per_s;
  int64_t created;
} tuning_device;

/* path NULL: the user's file. Fails without memory only. */
clvgg_status tuning_open(const char *path, tuning **out);
clvgg_status tuning_open_memory(tuning **out);
void tuning_close(tuning **pointer);
/* False when what is recorded ends with the handle; *why (may be NULL) is then the reason. */
bool tuning_is_stored(const tuning *t, const char **why);

/* A number larger than those of all sessions before, in this file. Older sessions' events go beyond the last
 * TUNING_SESSIONS_KEPT. */
#define TUNING_SESSIONS_KEPT 32
clvgg_status tuning_session_begin(tuning *t, int64_t *number);

/*
 * Record calls fail with CLVGG_ERROR_ARGUMENT when a field is outside its bounds, CLVGG_ERROR_IO when other processes kept the file
 * locked for too long, and CLVGG_ERROR_MEMORY. Where there is a row of that key already, the new one replaces it when
 *   measured  it was not measured here; or it is of an older session; or of this session, and slower, or ok while the new one failed.
 *             A failure of an older session, still running, replaces a measured ok too.
 *   others    it was not measured here either, and is slower, or ok while the new one failed. So recording in any order, and again,
 *             ends in the same rows.
 * A plan follows the same rules, but one measured in the same session always replaces.
 */
clvgg_status tuning_record(tuning *t, const tuning_key *key, const tuning_measurement *row);
clvgg_status tuning_record_plan(tuning *t, const tuning_key *key, const tuning_plan *row);
clvgg_status tuning_record_event(tuning *t, const tuning_key *key, const tuning_event *row);
clvgg_status tuning_record_peaks(tuning *t, const tuning_key *key, double peak_gflops, double peak_gbytes_per_s);

/* The row of exactly this key, else the newest ok (accepted) one of other software. *found false: none; *out is then zeroed. */
clvgg_status tuning_find(tuning *t, const tuning_key *key, const char *problem, const char *algorithm,
                         const char *parameters, tuning_measurement *out, bool *found);
clvgg_status tuning_find_plan(tuning *t, const tuning_key *key, const char *network, tuning_plan *out, bool *found);
/* Peaks are of exactly this key. */
clvgg_status tuning_find_device(tuning *t, const tuning_key *key, tuning_device *out, bool *found);

/* Arrays that the caller frees; NULL when *count is 0. Measurements: those of exactly this key, then ok ones of other software,
 * newest software first. Events: of the network's last session, in order. */
clvgg_status tuning_list(tuning *t, const tuning_key *key, tuning_measurement **rows, size_t *count);
clvgg_status tuning_list_plans(tuning *t, const tuning_key *key, tuning_plan **rows, size_t *count);
clvgg_status tuning_list_events(tuning *t, const tuning_key *key, const char *network, tuning_event **rows,
                                size_t *count);
clvgg_status tuning_list_devices(tuning *t, tuning_device **rows, size_t *count);

/* Removes all rows of a key, or of all keys (NULL). */
clvgg_status tuning_clear(tuning *t, const tuning_key *key);

/*
 * Sharing as JSON: devices with their peaks, measurements and plans. Sessions and events stay here.
 *   {"format": "clvgg tuning", "version": 1,
 *    "devices": [{"name": ..., ..., "peak_gflops": 0.0, "peak_gbytes_per_s": 0.0, "measurements": [{...}], "plans": [{...}]}]}
 * Fields are named as in the structures above; unknown ones are ignored; device, session and other_software are left out.
 */
#define TUNING_JSON_FORMAT     "clvgg tuning"
#define TUNING_JSON_VERSION    1
#define TUNING_JSON_MOST_BYTES ((size_t)64 << 20)

/* One key's rows, or all (NULL). */
clvgg_status tuning_export(tuning *t, const tuning_key *key, const char *path);

typedef struct tuning_import_report {
  size_t rows;    /* in the file */
  size_t changed; /* of them, those that are new here or replaced another */
} tuning_import_report;
/* All rows or, on an error, none. They are recorded as TUNING_IMPORTED. report may be NULL. */
clvgg_status tuning_import(tuning *t, const char *path, tuning_import_report *report);

/*
 * Presets: exported files that come with the library, each with a "match" object:
 *   {"format": ..., "match": {"platform": "portable computing", "vendor": "", "name": "avx512", "type": "cpu"}, "devices": [...]}
 * All fields that are there have to match: the texts as parts of the device's, in any case; the type as one of cpu, gpu,
 * accelerator. The nearest preset has the most fields that match, then the longest text in them, then comes first in the index.
 *
 * index: a text file of one file name a line, beside those files; NULL: presets/index.txt of the library's data files. *out is a
 * handle in memory with the nearest preset's rows, all under key and as TUNING_PRESET, with the peaks that its times belong to,
 * and name its file; *out is NULL, with CLVGG_OK, when there is no index or none matches. A preset that is damaged is an error.
 */
#define TUNING_PRESET_INDEX "presets/index.txt"
clvgg_status tuning_preset_load(const char *index, const clvgg_device_info *dev, const tuning_key *key, tuning **out,
                                char name[256]);

#endif
