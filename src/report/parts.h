/* parts: what the reports of this folder share: escaping, numbers, tables, cells, figures, child processes. */
#ifndef NAS_REPORT_PARTS_H
#define NAS_REPORT_PARTS_H
#include "nn/genotype.h"
#include "report/report.h"

/* Appends s for a place in a text format; bytes that are not UTF-8 become U+FFFD, controls are escaped or spaces. */
typedef enum {
    AS_PLAIN,   /* a terminal: no controls, no direction marks */
    AS_JSON,    /* within "…" */
    AS_HTML,    /* element text and quoted attributes; SVG too */
    AS_DOT,     /* within a "…" label of Graphviz */
    AS_GNUPLOT, /* within '…' */
    AS_TSV
} Escape;
void escape_add(Arena *a, Text *out, Escape how, const char *s);
char *escape_text(Arena *a, Escape how, const char *s);
int64_t escape_width(const char *s); /* code points of valid UTF-8 */

char *format_count(Arena *a, int64_t n);                   /* 1,930,618 */
char *format_bytes(Arena *a, int64_t n);                   /* 7.4 MiB */
char *format_seconds(Arena *a, double s);                  /* "12.3 s", "4 min 05 s", "" if unknown */
char *format_real(Arena *a, double v);                     /* shortest text that reads back as v; "nan" "inf" */
char *format_metric(Arena *a, const char *name, double v); /* "90.31 %", "0.1234", "not defined" */
char *format_metrics(Arena *a, const Metric *m, int64_t n, const char *split); /* those of a split, comma-separated */

/* The metric that a set of metrics is judged by: the one behind the loss, where task_metrics() puts it, else the first that
 * is no loss, else a loss; 0 if there is none. *higher (may be 0) tells whether more is better. */
const char *metric_primary(const Metric *m, int64_t n, bool *higher);

/* The value of a name: that of split "" or else of the first split that has it; NaN if there is none. */
double metric_by_name(const Metric *m, int64_t n, const char *name);
const char *dtype_name(DType t);

/* ---- tables ---- */
typedef struct {
    const char *title;
    int64_t columns, rows, room;
    const char **head; /* columns; "" in all of them: no heading */
    bool *right;       /* columns: numbers */
    const char **cell; /* (rows, columns), raw text: escaped when rendered */
} Table;
Table *table_new(Arena *a, const char *title, const char *columns);      /* "run|>epoch|…": > aligns right */
int64_t table_column(Arena *a, Table *t, const char *head, bool right);  /* finds or, while rows == 0, adds a column */
const char **table_row(Arena *a, Table *t);                              /* a new row, all "" */
void table_pair(Arena *a, Table *t, const char *key, const char *value); /* a row of two; none if value is "" */
void table_text(Arena *a, Text *out, const Table *t);
void table_html(Arena *a, Text *out, const Table *t);

/* ---- records as paths and values ---- */
typedef struct {
    const char *path; /* "metrics[validation loss]", "settings[batch]", "tables[0].weight" */
    const char *text; /* of a value that is no number */
    double *number;   /* numbers of them, else */
    int64_t numbers;
} Leaf;
typedef struct {
    Leaf *leaf;
    int64_t count, room;
} Leaves;
Leaves record_leaves(Arena *a, const Record *r); /* every field but the bulk data, copied */
Leaves provenance_leaves(Arena *a, const Provenance *p);

/* The contenders of all contests, or 0; and what there is to say of them, a sentence a line. */
Table *verdict_table(const Story *s, Arena *a);
void verdict_text(const Story *s, Arena *a, Text *out);
void verdict_lines(const Story *s, Arena *a, Text *out, const char *indent); /* escaped for a terminal */

/* Mean relative errors of designs by family of problems, a column a contender; or 0. */
Table *designs_table(const Story *s, Arena *a);
/* Pictures of the designs of a story that keeps them, a row a problem, a column a candidate, with names and compliances: for
 * gnuplot, after `set terminal`, and the size in pixels. 0, or why there are none. */
const char *designs_script(const Story *s, Arena *a, Text *out, int64_t *width, int64_t *height);

/* The sections of a report, in order; each gives a table or 0. */
typedef Table *Section(const Story *s, Arena *a);
typedef enum {
    SECTION_PROVENANCE,
    SECTION_DATASETS,
    SECTION_SEARCHES,
    SECTION_GENOTYPES,
    SECTION_RUNS,
    SECTION_EVALUATIONS,
    SECTION_VERDICT,
    SECTION_DESIGNS,
    SECTION_SCORES,
    SECTION_CONFUSION,
    SECTION_TRANSFERS,
    SECTION_STUDIES,
    SECTION_EVENTS,
    SECTION_PROFILES,
    SECTION_CHECKPOINTS,
    SECTION_TENSORS,
    SECTION_COUNT
} SectionName;
extern Section *const section_table[SECTION_COUNT];
char *section_contents(const Story *s, Arena *a); /* "1 file, 14 records: dataset 1, …" */

/* ---- cells ---- */
typedef struct {
    const char *name, *text;
    const char *unreadable; /* why the text is no genotype, or 0 */
    Genotype genotype;
    bool weighted; /* the weights below come from the search that gave this genotype */
    double weight[2][GENOTYPE_MAX_NODES * GENOTYPE_MAX_INPUTS]; /* normal, reduce */
} Drawing;
/* The network of an item that is an evaluation: of its run, genotype and size the last before it in its file (in a sweep's
 * results runs of one name follow each other), else the last one anywhere; or 0. */
const NetworkRecord *story_network(const Story *s, const StoryItem *evaluation);
/* Every genotype of the story once, in order; those of searches where no Genotype record names them. */
Drawing *story_drawings(const Story *s, Arena *a, int64_t *count);
void cell_text(Arena *a, Text *out, const Genotype *g); /* both cells side by side, below 80 columns */
void cell_dot(Arena *a, Text *out, const Drawing *d, int64_t count, CellChoice which);
/* An <svg> element for a page, styled by the classes none skip pool sep dil split state. 0 or why not. */
const char *cell_svg(Arena *a, Text *out, const Drawing *d, CellChoice which);

/* ---- figures ---- */
typedef enum { LINE_SOLID, LINE_DASHED, LINE_THIN, LINE_POINTS } LineStyle; /* POINTS: dots, no line */
typedef struct {
    const char *label; /* "": not in the legend */
    double *x, *y;
    int64_t count;
    int colour; /* 0 … FIGURE_COLOURS-1 */
    LineStyle style;
} Series;
typedef struct {
    const char *title, *y_title;
    const char *x_title; /* 0: "epoch" */
    bool whole_x, log_x; /* ticks at whole numbers (as epochs); a logarithmic axis */
    const char **x_name; /* x_names of them, at 0, 1, …, in place of numbers; or 0 */
    int64_t x_names;
    Series *series;
    int64_t count, room;
    double x0, x1, y0, y1; /* of the finite points */
} Panel;
typedef struct {
    Panel *panel;
    int64_t count, room;
} Figure;
enum { FIGURE_COLOURS = 8 };
extern const char *const figure_colour[FIGURE_COLOURS];
Figure figure_curves(const Story *s, Arena *a);  /* loss and metric by epoch, of searches and of training runs */
Figure figure_alphas(const Story *s, Arena *a);  /* entropy of the mixing weights by epoch */
Figure figure_weights(const Story *s, Arena *a); /* quantiles of the mixing weights by epoch; their histograms */
Figure figure_spread(const Story *s, Arena *a);  /* the runs of each contender of a verdict, with boxes */
Figure figure_fronts(const Story *s, Arena *a);  /* parameters and MACs against the metric, with the Pareto front */
Figure figure_depth(const Story *s, Arena *a);   /* the metric by layers and by channels */
/* To build one: a panel, then its series, each with room for so many points, then figure_finish(), which drops what is
 * empty and sets the ranges. */
Panel *figure_panel(Arena *a, Figure *f, const char *title, const char *y_title);
Series *figure_series(Arena *a, Panel *p, const char *label, int64_t colour, LineStyle style, int64_t room);
void figure_point(Panel *p, Series *s, double x, double y); /* not finite, or far too large: a gap */
void figure_finish(Figure *f);
void figure_svg(Arena *a, Text *out, const Panel *p); /* an <svg> element for a page */
double figure_step(double range, int64_t ticks);      /* a round distance of axis ticks */

/* ---- heat map of transfers: cells (rows) by the dataset that they were trained on (columns) ---- */
typedef struct {
    int64_t rows, columns;
    const char **row_name, **column_name; /* a column: "digits (accuracy)" */
    const char **metric;                  /* columns */
    double *value;                        /* (rows, columns), means over runs; NaN: none */
    double *shade;                        /* the same as a place within its column: 0 worst, 1 best */
} Heat;
Heat heat_of(const Story *s, Arena *a);
void heat_svg(Arena *a, Text *out, const Heat *h);              /* an <svg> element for a page */
void heat_size(const Heat *h, int64_t *width, int64_t *height); /* of gnuplot's picture, in pixels */
void heat_script(Arena *a, Text *out, const Heat *h);           /* for gnuplot, after `set terminal` */
Table *heat_table(Arena *a, const Heat *h);

/* Runs argv[0] (found on PATH) with `input` on its standard input; its standard output is appended to *output.
 * Returns 0, or why not; `package` is named when the program is missing. */
const char *child_run(Arena *a, const char *const *argv, const Text *input, const char *package, Text *output);

/* FNV-1a over n bytes, from h: HASH_START or the hash of what comes before. */
#define HASH_START 0xcbf29ce484222325u
uint64_t hash_bytes(uint64_t h, const void *bytes, int64_t n);
#endif
