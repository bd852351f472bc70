/* Collects a report of a device: capabilities, limits, verification of each algorithm, plans with their times. */
#include "device_report.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "explain.h"
#include "output.h"
#include "progress.h"

#define FORMAT 1 /* of the document: another number when a field changes its meaning */
#define BATCH  2

/* ---- no paths */

/* Takes the folders out of absolute paths, which name users: "/home/jo/a.cl:7" becomes "a.cl:7". */
static void hide_folders(char *text) {
  char *to = text;
  for (const char *at = text; *at;) {
    const int at_word = at == text || strchr(" \t'\"(=:,<", at[-1]) != NULL;
    if (at_word && (*at == '/' || (*at == '~' && at[1] == '/')) && !isspace((unsigned char)at[1])) {
      const char *name = at;
      const size_t length = strcspn(at, " \t'\")<>,");
      for (size_t i = 0; i < length; i++)
        if (at[i] == '/') name = at + i + 1;
      memmove(to, name, (size_t)(at + length - name));
      to += at + length - name;
      at += length;
    } else {
      *to++ = *at++;
    }
  }
  *to = '\0';
}

static json_t *safe_text(const char *text) {
  char *copy = cli_copy(text);
  hide_folders(copy);
  json_t *value = json_text(copy);
  free(copy);
  return value;
}

/* Of all texts of a document. Returns what takes value's place. */
static json_t *without_folders(json_t *value) {
  const char *key;
  void *next;
  json_t *member;
  if (json_is_string(value)) {
    json_t *safe = safe_text(json_string_value(value));
    json_decref(value);
    return safe;
  }
  json_object_foreach_safe(value, next, key, member)
      json_object_set_new(value, key, without_folders(json_incref(member)));
  for (size_t i = 0; i < json_array_size(value); i++)
    json_array_set_new(value, i, without_folders(json_incref(json_array_get(value, i))));
  return value;
}

static json_t *error_json(void) {
  json_t *o = json_object();
  json_object_set_new(o, "error", json_text(clvgg_last_error()));
  return o;
}

/* ---- the parts */

static json_t *capabilities(const clvgg_device *device) {
  clvgg_device_info info;
  clvgg_device_get_info(device, &info);
  json_t *o = device_json(&info), *list = json_array();
  for (const char *at = clvgg_device_get_extensions(device); *at;) {
    char word[128];
    const size_t length = strcspn(at, " ");
    snprintf(word, sizeof word, "%.*s", (int)length, at);
    if (length) json_array_append_new(list, json_text(word));
    at += length + (at[length] == ' ');
  }
  json_object_set_new(o, "extensions", list);
  return o;
}

static json_t *limits(clvgg_device *device) {
  clvgg_roofline measured;
  if (clvgg_device_measure(device, &measured)) return error_json();
  json_t *o = json_object();
  json_object_set_new(o, "peak_gflops", json_number(measured.peak_gflops));
  json_object_set_new(o, "peak_gbytes_per_s", json_number(measured.peak_gbytes_per_s));
  return o;
}

typedef struct summary {
  json_t *algorithms; /* {name: what became of it} */
  size_t checked, failed, unsupported;
  progress bar;
} summary;

static void count_one(json_t *o, const char *key) {
  json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + 1));
}

/* Each reason once, with the first layer that it was given for; it may begin with the layer's name. */
static void add_reason(json_t *reasons, const clvgg_verify_case *c) {
  const size_t length = strlen(c->layer);
  const int named = !strncmp(c->reason, c->layer, length) && !strncmp(c->reason + length, ": ", 2);
  const char *reason = c->reason + (named ? length + 2 : 0);
  for (size_t i = 0; i < json_array_size(reasons); i++)
    if (!strcmp(json_string_value(json_object_get(json_array_get(reasons, i), "reason")), reason)) return;
  json_t *o = json_object();
  json_object_set_new(o, "layer", json_text(c->layer));
  json_object_set_new(o, "failed", json_boolean(c->ran && !c->ok));
  json_object_set_new(o, "reason", json_text(reason));
  json_array_append_new(reasons, o);
}

static int add_case(const clvgg_verify_case *c, void *user) {
  summary *s = user;
  json_t *o = json_object_get(s->algorithms, c->algorithm);
  if (!o) {
    o = json_object();
    json_object_set_new(o, "ok", json_integer(0));
    json_object_set_new(o, "failed", json_integer(0));
    json_object_set_new(o, "unsupported", json_integer(0));
    json_object_set_new(o, "largest_rel_l2", json_null());
    json_object_set_new(o, "reasons", json_array());
    json_object_set_new(s->algorithms, c->algorithm, o);
  }
  const int failed = c->ran && !c->ok;
  count_one(o, !c->ran ? "unsupported" : failed ? "failed" : "ok");
  s->checked += c->ran != 0;
  s->failed += (size_t)failed;
  s->unsupported += !c->ran;
  const json_t *largest = json_object_get(o, "largest_rel_l2");
  if (c->ran && (!json_is_number(largest) || !(json_number_value(largest) >= c->rel_l2)))
    json_object_set_new(o, "largest_rel_l2", json_number(c->rel_l2));
  if (c->reason[0]) add_reason(json_object_get(o, "reasons"), c);
  progress_step(&s->bar, s->checked + s->unsupported, c->algorithm);
  return 0;
}

static json_t *verification(clvgg_device *device, const clvgg_model *model, size_t *failed) {
  summary s = {.algorithms = json_object()};
  progress_start(&s.bar, "cases verified", 0, 1);
  const int stopped = clvgg_verify(device, model, BATCH, add_case, &s) != CLVGG_OK;
  progress_clear();
  json_t *o = stopped ? error_json() : json_object();
  json_object_set_new(o, "checked", json_integer((json_int_t)s.checked));
  json_object_set_new(o, "failed", json_integer((json_int_t)s.failed));
  json_object_set_new(o, "unsupported", json_integer((json_int_t)s.unsupported));
  json_object_set_new(o, "algorithms", s.algorithms);
  *failed += s.failed + (size_t)stopped;
  return o;
}

/* A network's plan and times, as clvgg explain has them. */
static json_t *network(clvgg_device *device, const clvgg_model *model) {
  explain_report r = {.batch = 0};
  json_t *o = explain_measure(device, model, &r) ? explain_json(&r) : error_json();
  explain_free(&r);
  return o;
}

json_t *device_report(clvgg_device *device, int quick, size_t *failed) {
  char digest[24];
  clvgg_model *bundled = NULL, *vgg16 = NULL;
  json_t *o = json_object(), *networks = json_array();
  *failed = 0;
  snprintf(digest, sizeof digest, "%016" PRIx64, clvgg_kernel_digest());
  json_object_set_new(o, "format", json_integer(FORMAT));
  json_object_set_new(o, "clvgg", json_text(clvgg_version()));
  json_object_set_new(o, "kernels", json_text(digest));
  json_object_set_new(o, "roofline", limits(device));
  if (clvgg_model_open(NULL, NULL, &bundled)) {
    json_object_set_new(o, "verify", error_json());
  } else {
    json_object_set_new(o, "verify", verification(device, bundled, failed));
    json_array_append_new(networks, network(device, bundled));
  }
  if (!quick)
    json_array_append_new(networks, clvgg_model_random("vgg16", 1, &vgg16) ? error_json() : network(device, vgg16));
  json_object_set_new(o, "networks", networks);
  json_object_set_new(o, "device", capabilities(device)); /* last: kernels that ran tell more */
  clvgg_model_close(&vgg16);
  clvgg_model_close(&bundled);
  return without_folders(o);
}
