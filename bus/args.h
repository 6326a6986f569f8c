/* Command lines, table-driven: `--name VALUE`, `--name=VALUE`, switches, and what is left. Flags have twins in the
 * environment: --ready-file is MEERKAT_READY_FILE; the command line wins. Every refusal says what, value, allowed. */
#ifndef MEERKAT_BUS_ARGS_H
#define MEERKAT_BUS_ARGS_H

#include <stdint.h>
#include <stdio.h>

#include "node/core/err.h"

struct flag {
    const char *name;    /* without dashes */
    const char *metavar; /* NULL: a switch */
    const char *help;    /* one line */
    const char **value;  /* set when given; a switch: "true" */
    bool no_twin;        /* not read from the environment */
};

struct args {
    const struct flag *flags;
    size_t flag_count;
    char **rest; /* what is no flag, in order; points into argv, which is rearranged */
    size_t rest_count;
};

/* Reads the environment first, then argv[1..]. "--" ends the flags; "-" alone is no flag.
 *   errors  INVALID_FIELD */
enum mk_err args_parse(struct args *args, int argc, char **argv, struct mk_note *note);

/* One line a flag, with its twin in the environment. */
void args_help(FILE *to, const struct args *args);

/* "250ms", "10s", "2m", "10" (seconds). At least 1 ms, at most an hour. */
enum mk_err args_duration(const char *what, const char *text, uint64_t *out_ms, struct mk_note *note);

/* A whole number within bounds. */
enum mk_err args_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *out,
                        struct mk_note *note);

#endif
