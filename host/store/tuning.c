/* What callers record, find and list. */
#include "store/tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "store/internal.h"

/* ---- keys */

void tuning_key_make(const clvgg_device_info *dev, const char *kernels_digest, tuning_key *out) {
  *out = (tuning_key){.compute_units = dev->compute_units};
  snprintf(out->name, sizeof out->name, "%s", dev->name);
  snprintf(out->vendor, sizeof out->vendor, "%s", dev->vendor);
  snprintf(out->platform_version, sizeof out->platform_version, "%s", dev->platform_version);
  snprintf(out->driver, sizeof out->driver, "%s", dev->driver);
  snprintf(out->kernels, sizeof out->kernels, "%s", kernels_digest);
  snprintf(out->library, sizeof out->library, "%s", clvgg_version());
}

tuning_key store_clean_key(const tuning_key *key) {
  tuning_device row = {.key = *key};
  table_clean(&store_tables[TABLE_DEVICE], &row);
  return row.key;
}

int64_t store_key_id(const tuning_key *cleaned) {
  const char *const texts[] = {cleaned->name,   cleaned->vendor,  cleaned->platform_version,
                               cleaned->driver, cleaned->kernels, cleaned->library};
  char units[24];
  snprintf(units, sizeof units, "%lld", (long long)cleaned->compute_units);
  uint64_t hash = hash_bytes(HASH_START, units, strlen(units) + 1);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) hash = hash_bytes(hash, texts[i], strlen(texts[i]) + 1);
  int64_t id;
  memcpy(&id, &hash, sizeof id);
  return id;
}

/* ---- the rules of merging */

/* What the rules look at, of a measurement or plan. */
typedef struct standing {
  tuning_source source;
  int64_t session;
  bool ok;
  double time;
  bool last_counts; /* within a session */
} standing;

static standing standing_of(table_id id, const void *row) {
  if (id == TABLE_MEASUREMENT) {
    const tuning_measurement *m = row;
    return (standing){m->source, m->session, m->state == TUNING_OK, m->seconds, false};
  }
  const tuning_plan *p = row;
  return (standing){p->source, p->session, p->state == TUNING_ACCEPTED, p->ms, true};
}

static bool replaces(const standing *old, const standing *new) {
  const bool better = old->ok && (!new->ok || new->time < old->time);
  if (new->source != TUNING_MEASURED) return old->source != TUNING_MEASURED && better;
  if (old->source != TUNING_MEASURED || new->session > old->session) return true;
  if (new->session < old->session) return old->ok && !new->ok;
  return new->last_counts || better;
}

int store_merge(tuning *t, table_id id, const void *row, bool *changed) {
  union {
    tuning_measurement measurement;
    tuning_plan plan;
  } old;
  bool found;
  *changed = false;
  const int code = store_get(t, id, row, &old, &found);
  if (code != SQLITE_OK) return code;
  if (found) {
    const standing before = standing_of(id, &old), after = standing_of(id, row);
    if (!replaces(&before, &after)) return SQLITE_OK;
  }
  *changed = true;
  return store_put(t, id, row);
}

int store_touch_device(tuning *t, const tuning_key *cleaned, double peak_gflops, double peak_gbytes_per_s) {
  tuning_device row = {.device = store_key_id(cleaned)};
  bool found;
  const int code = store_get(t, TABLE_DEVICE, &row, &row, &found);
  if (code != SQLITE_OK || (found && peak_gflops == 0 && peak_gbytes_per_s == 0)) return code;
  row.device = store_key_id(cleaned);
  row.key = *cleaned;
  row.created = (int64_t)time(NULL);
  if (peak_gflops > 0) row.peak_gflops = peak_gflops;
  if (peak_gbytes_per_s > 0) row.peak_gbytes_per_s = peak_gbytes_per_s;
  return store_put(t, TABLE_DEVICE, &row);
}

/* ---- recording */

typedef struct recording {
  table_id id;
  tuning_key key;
  const void *row; /* NULL: only the device */
  double peak_gflops, peak_gbytes_per_s;
} recording;

static int record(tuning *t, void *argument) {
  const recording *r = argument;
  bool changed;
  int code = store_touch_device(t, &r->key, r->peak_gflops, r->peak_gbytes_per_s);
  if (code != SQLITE_OK || r->row == NULL) return code;
  return r->id == TABLE_EVENT ? store_put(t, r->id, r->row) : store_merge(t, r->id, r->row, &changed);
}

static clvgg_status check_device(const tuning_key *cleaned, double peak_gflops, double peak_gbytes_per_s) {
  const tuning_device row = {.key = *cleaned, .peak_gflops = peak_gflops, .peak_gbytes_per_s = peak_gbytes_per_s};
  return table_check(&store_tables[TABLE_DEVICE], &row);
}

static clvgg_status record_row(tuning *t, const tuning_key *key, table_id id, void *row, int64_t *device) {
  recording r = {.id = id, .key = store_clean_key(key), .row = row};
  TRY(check_device(&r.key, 0, 0));
  *device = store_key_id(&r.key);
  table_clean(&store_tables[id], row);
  TRY(table_check(&store_tables[id], row));
  return store_run(t, true, record, &r);
}

clvgg_status tuning_record(tuning *t, const tuning_key *key, const tuning_measurement *row) {
  tuning_measurement copy = *row;
  if (copy.created == 0) copy.created = (int64_t)time(NULL);
  if (copy.state == TUNING_OK && copy.source != TUNING_PRESET && copy.seconds == 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "seconds: found 0 for an algorithm that ran, expected more");
  return record_row(t, key, TABLE_MEASUREMENT, &copy, &copy.device);
}

clvgg_status tuning_record_plan(tuning *t, const tuning_key *key, const tuning_plan *row) {
  tuning_plan copy = *row;
  if (copy.created == 0) copy.created = (int64_t)time(NULL);
  return record_row(t, key, TABLE_PLAN, &copy, &copy.device);
}

clvgg_status tuning_record_event(tuning *t, const tuning_key *key, const tuning_event *row) {
  tuning_event copy = *row;
  return record_row(t, key, TABLE_EVENT, &copy, &copy.device);
}

clvgg_status tuning_record_peaks(tuning *t, const tuning_key *key, double peak_gflops, double peak_gbytes_per_s) {
  recording r = {.key = store_clean_key(key), .peak_gflops = peak_gflops, .peak_gbytes_per_s = peak_gbytes_per_s};
  TRY(check_device(&r.key, peak_gflops, peak_gbytes_per_s));
  return store_run(t, true, record, &r);
}

/* ---- sessions */

typedef struct newest_session {
  int64_t number;
  int64_t oldest_kept; /* events of sessions before it go */
} newest_session;

static int see_session(void *argument, const void *row) {
  newest_session *s = argument;
  const tuning_session *session = row;
  if (session->number > s->number) s->number = session->number;
  return SQLITE_OK;
}
static int see_measurement(void *argument, const void *row) {
  newest_session *s = argument;
  const tuning_measurement *m = row;
  if (m->session > s->number) s->number = m->session;
  return SQLITE_OK;
}
static int see_plan(void *argument, const void *row) {
  newest_session *s = argument;
  const tuning_plan *p = row;
  if (p->session > s->number) s->number = p->session;
  return SQLITE_OK;
}

static int begin_session(tuning *t, void *argument) {
  newest_session *s = argument;
  *s = (newest_session){0};
  /* After a repair the rows may know of more sessions than their own table does. */
  int code = store_select(t, TABLE_SESSION, SELECT_ALL, NULL, see_session, s);
  if (code == SQLITE_OK) code = store_select(t, TABLE_MEASUREMENT, SELECT_ALL, NULL, see_measurement, s);
  if (code == SQLITE_OK) code = store_select(t, TABLE_PLAN, SELECT_ALL, NULL, see_plan, s);
  if (code != SQLITE_OK) return code;
  const tuning_session row = {.number = ++s->number, .created = (int64_t)time(NULL)};
  s->oldest_kept = s->number > TUNING_SESSIONS_KEPT ? s->number - TUNING_SESSIONS_KEPT + 1 : 0;
  code = store_put(t, TABLE_SESSION, &row);
  return code == SQLITE_OK ? store_prune(t, s->oldest_kept) : code;
}

clvgg_status tuning_session_begin(tuning *t, int64_t *number) {
  newest_session s;
  *number = 0;
  TRY(store_run(t, true, begin_session, &s));
  *number = s.number;
  return CLVGG_OK;
}

/* ---- clearing */

static int note_device(void *argument, const void *row) {
  return row_array_add(argument, row);
}

static int clear(tuning *t, void *argument) {
  const tuning_key *cleaned = argument;
  row_array devices = {.row_bytes = sizeof(tuning_device)};
  const tuning_device one = {.device = cleaned ? store_key_id(cleaned) : 0};
  int code =
      cleaned ? note_device(&devices, &one) : store_select(t, TABLE_DEVICE, SELECT_ALL, NULL, note_device, &devices);
  for (size_t i = 0; i < devices.count && code == SQLITE_OK; i++) {
    const tuning_device *d = (const tuning_device *)devices.rows + i;
    static const table_id of_device[] = {TABLE_MEASUREMENT, TABLE_PLAN, TABLE_EVENT, TABLE_DEVICE};
    for (size_t k = 0; k < sizeof of_device / sizeof *of_device && code == SQLITE_OK; k++)
      code = store_delete(t, of_device[k], d);
  }
  free(devices.rows);
  return code;
}

clvgg_status tuning_clear(tuning *t, const tuning_key *key) {
  if (key == NULL) return store_run(t, true, clear, NULL);
  tuning_key cleaned = store_clean_key(key);
  return store_run(t, true, clear, &cleaned);
}
