/* The page that clvgg explain --html writes. */
#include <time.h>

#include "html.h"

static const char style[] =
    ":root{color-scheme:light "
    "dark;--page:#fff;--ink:#1c2026;--soft:#59626e;--rule:#d9dee5;--card:#f4f6f9;--conv:#1f5fbf;"
    "--fc:#b3541e;--pool:#1f7a48;--other:#7a45a3;--bad:#c0262d;--line:#1c2026}\n"
    "@media "
    "(prefers-color-scheme:dark){:root{--page:#14171c;--ink:#e6e9ee;--soft:#a3adba;--rule:#333a44;--card:#1d2229;"
    "--conv:#7db0ff;--fc:#ffb074;--pool:#7fd6a4;--other:#cfa8f5;--bad:#ff8f88;--line:#e6e9ee}}\n"
    "@media "
    "print{:root{--page:#fff;--ink:#000;--soft:#444;--rule:#ccc;--card:#fff;--conv:#1f5fbf;--fc:#b3541e;--pool:#1f7a48;"
    "--other:#7a45a3;--bad:#c0262d;--line:#000}section{break-inside:avoid-page}tbody{break-inside:avoid}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:1120px;padding:24px 20px 48px;background:var(--page);color:var(--ink);font:16px/1.5 "
    "system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:1.25rem;margin:40px 0 "
    "8px}\n"
    "p{margin:0 0 12px;max-width:75ch}code{font-family:ui-monospace,\"DejaVu Sans Mono\",monospace}\n"
    ".device{color:var(--soft);overflow-wrap:anywhere}\n"
    ".key{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0;padding:0;list-style:none}\n"
    ".key li{flex:1 1 150px;background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px "
    "14px;color:"
    "var(--soft);font-size:.875rem}.key b{display:block;color:var(--ink);font-size:1.35rem;font-weight:600}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;font-size:.9rem}dt{color:var(--soft)}"
    "dd{margin:0;overflow-wrap:anywhere}\n"
    ".picture,.wide{overflow-x:auto}.picture svg{display:block;width:100%;min-width:680px;height:auto}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 8px;padding:0;list-style:none;font-size:.875rem}"
    ".legend svg{vertical-align:-2px}\n"
    "svg text{font-family:inherit;fill:var(--ink);font-size:12px}\n"
    "svg .grid{stroke:var(--rule);stroke-width:1}svg .tick{fill:var(--soft);font-size:11px}svg "
    ".axis{fill:var(--soft)}\n"
    "svg .roof{fill:none;stroke:var(--line);stroke-width:2}svg .ceiling{font-size:12px;font-weight:600}\n"
    "svg .label{font-size:11px}svg .label,svg "
    ".ceiling{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:"
    "round}\n"
    "svg .leader{stroke:var(--soft);stroke-width:.75}svg .mark{stroke:var(--page);stroke-width:1}\n"
    "svg .conv{fill:var(--conv)}svg .fc{fill:var(--fc)}svg .pool{fill:var(--pool)}svg .other{fill:var(--other)}\n"
    "svg .best{fill:none;stroke:var(--conv);stroke-width:2}svg .plan{fill:var(--conv);stroke:var(--page)}svg "
    ".untuned{stroke:"
    "var(--soft);stroke-dasharray:6 5}\n"
    "svg .ring{fill:none;stroke:var(--line);stroke-width:1.5}svg .fail{fill:none;stroke:var(--bad);stroke-width:2}svg "
    ".value{font-size:11.5px;font-weight:600}\n"
    "table{border-collapse:collapse;font-size:.85rem;width:100%}th,td{padding:4px 10px 4px "
    "0;text-align:left;vertical-align:top;"
    "white-space:nowrap}\n"
    "thead th{border-bottom:2px solid var(--rule);color:var(--soft)}tbody{border-bottom:1px solid var(--rule)}"
    "tfoot th,tfoot td{font-weight:600;border-top:2px solid var(--rule)}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums}.next td{color:var(--soft);font-size:.8rem;padding-top:1px}"
    ".next td:nth-child(2){padding-left:14px}.next td.failed{color:var(--bad);white-space:normal}\n"
    "footer{margin-top:40px;color:var(--soft);font-size:.85rem}\n";

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
  fact(out, "File", r->file ? r->file : "none was named");
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
  fprintf(out, "</title>\n<style>\n%s</style></head>\n<body><header><h1>", style);
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
