/* report: what nas-stats can say about streams.
 *
 * Two ways in.  Line by line: report_line(), report_json(), report_tsv() turn one record into text as it arrives.  As a
 * whole: a Story collects the records of all files (bulk data left out), and report_summary(), report_dot(),
 * report_plot() and report_html() tell it.  Everything is built as a Text in an arena; nothing here prints.
 */
#ifndef NAS_REPORT_H
#define NAS_REPORT_H
#include "stream/record.h"

/* ---- a record at a time ---- */

/* "    14  search_epoch  1203  epoch 3 of 10: train loss …": number, kind, bytes and what it says, safe for a terminal;
 * without an end of line. */
void report_line(Arena *a, Text *out, const Record *r);
/* One JSON object with every field but the bulk data; its end of line included. Numbers that are not finite are null. */
void report_json(Arena *a, Text *out, const char *file, const Record *r);
void report_json_provenance(Arena *a, Text *out, const char *file, const Provenance *p, int64_t count);

/* Tab-separated rows of one kind of record. The columns are listed in report_tsv_columns() and only ever grow at the
 * end. In a cell, tab, end of line and backslash are written \t \n \\. */
const char *report_tsv_columns(RecordKind kind); /* the heading, or 0: this kind has no table */
void report_tsv(Arena *a, Text *out, const char *file, const Record *r);

/* A kind by its name ("-" and "_" are the same), or REC_NONE. */
RecordKind report_kind(const char *name, int64_t length);

/* ---- two streams, beside each other ---- */
typedef struct Diff Diff;
Diff *diff_new(Arena *perm, const char *a, const char *b); /* names of the streams */
void diff_add(Diff *d, int side, const Record *r);         /* side: 0 a, 1 b; nothing of r stays in use */
void diff_provenance(Diff *d, int side, const Provenance *p, int64_t count);
/* What differs: records that one of them alone has, fields that changed, numbers with their difference. Times, hosts
 * and digests of inputs are not compared. json: an object a difference. Returns how many there are. */
int64_t report_diff(const Diff *d, Arena *a, bool json, Text *out);

/* ---- a whole story ---- */

typedef struct {
    const char *file;
    Record r; /* pointers to bulk data are 0 */
} StoryItem;

typedef struct {                     /* the epochs of one training run */
    const char *name, *label, *file; /* label: distinct among the runs of the story */
    const NetworkRecord *network;    /* or 0 */
    const TrainEpoch **epoch;
    int64_t count, room;
} StoryRun;

typedef struct { /* the epochs of one search */
    const char *label, *file;
    const SearchSpace *space; /* or 0 */
    const SearchEpoch **epoch;
    int64_t count, room;
} StorySearch;

typedef struct {
    Arena *perm;
    const char **file;
    int64_t file_count, file_room;
    StoryItem *item;
    int64_t count, room;
    const Provenance **step;
    int64_t step_count, step_room;
    StoryRun *run;
    int64_t run_count, run_room;
    StorySearch *search;
    int64_t search_count, search_room;
    int64_t repeated;  /* records that were in the story already: files of one pipeline share their beginning */
    bool keep_designs; /* set before the first record: densities of designs stay, for pictures */
    uint64_t *seen;    /* hash set of records */
    int64_t seen_count, seen_room;
    const char *note; /* a remark that summary, verdict and page show; or 0 */
} Story;

Story *story_new(Arena *perm);
/* Takes in a record. False: nothing of its memory is used, it may be given back. */
bool story_add(Story *s, const char *file, const Record *r);
/* After the last record of a file; p stays in use. */
void story_end_file(Story *s, const char *file, const Provenance *p, int64_t count);
/* After the last file: gathers runs and searches. */
void story_finish(Story *s);

void report_summary(const Story *s, Arena *a, Text *out);

/* The rows of one run's profile as a line and a table for a terminal. */
const char *report_profile(Arena *a, const ProfileRecord *p, int64_t count);

typedef enum { CELL_NORMAL = 1, CELL_REDUCE = 2, CELL_BOTH = 3 } CellChoice;
/* Graphviz source of all cells. Returns 0 or why not. */
const char *report_dot(const Story *s, Arena *a, CellChoice which, Text *out);
/* The same through `dot -Tformat`: "svg" or "png" (bytes of out->length). */
const char *report_cells(const Story *s, Arena *a, CellChoice which, const char *format, Text *out);
/* what: "curves" or "alphas"; format: "svg", "png", or "text" for a terminal. Needs gnuplot. */
const char *report_plot(const Story *s, Arena *a, const char *what, const char *format, Text *out);
/* Whether searching was worth it: a table of the contenders, then a sentence a line. Returns 0 or why there is none. */
const char *report_verdict(const Story *s, Arena *a, Text *out);
/* Each comparison of a search with a control as a record of study "verdict", numbers as text; how many in *rows. */
StudyRow *report_verdict_rows(const Story *s, Arena *a, int64_t *rows);
/* What cells and mixing weights are like, beside `draws` random cells (report/cells.h): tables, or the same numbers as rows
 * of TSV or JSON ("tables", "tsv", "json"). Returns 0 or why there are none. */
const char *report_cellstats(const Story *s, Arena *a, const char *form, int64_t draws, uint64_t seed, Text *out);
/* A paragraph of what each measure means, for a program's help. */
const char *report_cellstats_help(Arena *a);
/* What to do next, by the rules of advice.c: what shows a sign, what was looked at and shows none; as text, or an object a
 * rule and finding. */
void report_advice(const Story *s, Arena *a, bool json, Text *out);
/* A page that needs no other file, no script and no network. Cells are drawn by dot if there is one, else as text. */
void report_html(const Story *s, Arena *a, Text *out);

/* ---- a picture of samples ---- */

/* The first samples of every class, a row each, or the first samples of all; images as they are, numbers of other kinds
 * shaded by the dataset's mean and standard deviation, series as curves. */
typedef struct ContactSheet ContactSheet;
ContactSheet *contact_sheet_new(Arena *perm);
const char *contact_sheet_add(ContactSheet *s, const Record *r); /* takes what it needs of a record; 0 or why not */
const char *contact_sheet_png(ContactSheet *s, Arena *a, Text *out);
const char *contact_sheet_legend(const ContactSheet *s, Arena *a); /* which class is in which row */
#endif
