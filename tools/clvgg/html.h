/* The parts of the page that clvgg explain --html writes: XHTML with SVG pictures, no script, nothing from elsewhere. */
#ifndef CLVGG_TOOLS_HTML_H
#define CLVGG_TOOLS_HTML_H

#include <stdio.h>

#include "explain.h"

/* ---- html_text.c */

/* Text for an element or a quoted attribute: what is special in XML is escaped, what XML cannot hold becomes U+FFFD. */
void html_text(FILE *out, const char *text);
/* The same of a formatted line, cut to 1023 bytes. */
void html_format(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- html_plot.c: what both pictures share */

/* What colours and marks tell apart. */
typedef enum html_kind { HTML_CONV, HTML_FC, HTML_POOL, HTML_OTHER, HTML_KINDS } html_kind;
html_kind html_kind_of(const char *algorithm); /* "conv_f32_nchw_direct" */
const char *html_kind_class(html_kind kind);   /* "conv" */
const char *html_kind_title(html_kind kind);   /* "convolution" */
/* The kind's mark around (x, y): kinds differ in form, too, for who does not see colours. */
void html_mark(FILE *out, html_kind kind, double x, double y, double radius);

/* Values least..most on pixels from..to. */
typedef struct html_axis {
  double least, most;
  int is_log;
  double from, to;
} html_axis;

/* Where a value is; what is beyond an end is at that end. */
double html_at(const html_axis *a, double value);
/* Round values on the axis; returns how many. */
#define HTML_MOST_TICKS 32
size_t html_ticks(const html_axis *a, double ticks[HTML_MOST_TICKS]);
/* Begins a picture of that many pixels, with what it shows for who cannot see it; html_end ends it. */
void html_begin(FILE *out, double width, double height, const char *label);
void html_end(FILE *out);
/* The grid with its numbers: of values across, and of values up. */
void html_grid_x(FILE *out, const html_axis *x, double top, double bottom);
void html_grid_y(FILE *out, const html_axis *y, double left, double right);

extern const char html_style[]; /* html_style.c */

/* ---- the sections of the page */

void html_roofline(FILE *out, const explain_report *r); /* html_roofline.c */
void html_history(FILE *out, const explain_report *r);  /* html_history.c */
void html_plan(FILE *out, const explain_report *r);     /* html_table.c */

#endif
