/* One line a happening on stderr, as logfmt or JSON. Used by the hub's program. */
#ifndef MEERKAT_BUS_LOG_H
#define MEERKAT_BUS_LOG_H

#include <stdio.h>

#include "node/core/err.h"
#include "node/core/span.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG }; /* a person must act; retried; a move; a frame */

struct log_field {
    const char *key;
    struct span text; /* given: a text; else the number */
    uint64_t number;
};

struct log {
    FILE *to;
    enum log_level level; /* lines above it are left out */
    bool json;
};

/*   errors  INVALID_FIELD: neither of the names; NULL is info, logfmt */
enum mk_err log_level_parse(const char *text, enum log_level *out, struct mk_note *note);
enum mk_err log_format_parse(const char *text, bool *json, struct mk_note *note);

void log_line(const struct log *log, enum log_level level, const char *what, const struct log_field *fields,
              size_t count);

#endif
