/* The page that clvgg explain --html writes. */
#include <string.h>
#include <time.h>

#include "html.h"

/* The format of models that are no file. */
#define RANDOM "random weights"

static void key_figure(FILE *out, double value, int digits, const char *unit, const char *what) {
  fprintf(out, "<li><b>%.*f %s</b> ", digits, value, unit);
  html_text(out, what);
  fputs("</li>\n", out);
}

static void fact(FILE *out, const char *name, const char *value) {
  fprintf(out, "<dt>%s</dt><dd>", name);
  html_text(out, value);
  fputs("</dd>\n", out);
}

static void facts(FILE *out, const explain_report *r) {
  char text[400], date[64] = "";
  const time_t now = time(NULL);
  struct tm parts;
  if (localtime_r(&now, &parts)) strftime(date, sizeof date, "%Y-%m-%d %H:%M", &parts);
  fputs("<dl>\n", out);
  fact(out, "Model", r->model.name);
  fact(out, "Weights", r->file ? r->file : !strcmp(r->model.format, RANDOM) ? RANDOM : "bundled");
  snprintf(text, sizeof text, "%zu x %zu x %zu (channels, height, width), batch %zu", r->model.channels, r->height,
           r->width, r->batch);
  fact(out, "Input", text);
  snprintf(text, sizeof text, "%s (%s)", r->device.name, r->device.id);
  fact(out, "Device", text);
  snprintf(text, sizeof text, "%s, driver %s", r->device.platform_version, r->device.driver);
  fact(out, "Platform", text);
  snprintf(text, sizeof text, "%.1f GFLOP/s, reading %.1f GB/s, as measured in the same run", r->roofline.peak_gflops,
           r->roofline.peak_gbytes_per_s);
  fact(out, "At most", text);
  fact(out, "Date", date);
  fact(out, "clvgg", clvgg_version());
  fputs("</dl>\n", out);
}

void explain_write_html(FILE *out, const explain_report *r) {
  const explain_step total = explain_sum(r, NULL);
  fputs(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>",
      out);
  html_format(out, "%s on %s - clvgg explain", r->model.name, r->device.name);
  fprintf(out, "</title>\n<style>\n%s</style></head>\n<body><header><h1>", html_style);
  html_format(out, "%s, batch %zu", r->model.name, r->batch);
  fputs("</h1>\n<p class=\"device\">", out);
  html_format(out, "on %s", r->device.name);
  fputs("</p></header>\n<main><ul class=\"key\">\n", out);
  key_figure(out, total.ms, total.ms < 100 ? 2 : 0, "ms", r->batch > 1 ? "a batch, all steps" : "an image, all steps");
  key_figure(out, 1e3 * (double)r->batch / total.ms, 1, "", "images a second");
  key_figure(out, explain_gflops(r, total.plan.flops, total.ms), 0, "GFLOP/s", "of the layers' own operations");
  key_figure(out, explain_percent(&total), 0, "%", "of the roofline");
  fputs("</ul>\n", out);
  facts(out, r);
  html_roofline(out, r);
  html_history(out, r);
  html_plan(out, r);
  fputs("</main>\n<footer>Written by clvgg explain --html. Hover over a mark for its figures.</footer></body></html>\n",
        out);
}
