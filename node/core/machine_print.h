/* The table of transitions as text, a row at a time: `meerkat-node --print-machine`, the documentation, tests. */
#ifndef MEERKAT_CORE_MACHINE_PRINT_H
#define MEERKAT_CORE_MACHINE_PRINT_H

#include "node/core/machine.h"

/* Names as the semantics pages have them, "RegisterSession"; lists are separated by commas, an empty one is "-". */
struct machine_row_text {
    const char *input;
    char from[64];     /* "Idle,Attached" */
    char guards[128];  /* words of machine_rows.h; "!draining": it must not hold */
    char updates[128]; /* the same, in order */
    char effects[256]; /* in order */
    const char *to;    /* a phase; "=": it stays; "pre_run"; "given": the one that the input names */
};

size_t machine_row_count(void);
bool machine_row_describe(size_t row, struct machine_row_text *out); /* false: no such row */

#endif
