/* The trace port: one line per event, logfmt or JSON, to a file descriptor.
 *
 *   t=2026-01-31T23:59:59.123Z level=info node=n1 msg="partition claimed" partition=7
 *   {"t":"2026-01-31T23:59:59.123Z","level":"info","node":"n1","msg":"partition claimed","partition":7}
 *
 * A line is at most LOG_LINE_BYTES and is written at once; what does not fit is left out, whole fields at a time, and
 * `cut` is added. Texts may hold anything: control characters are escaped, bytes that are no UTF-8 become U+FFFD. */
#ifndef MEERKAT_NODE_LOG_H
#define MEERKAT_NODE_LOG_H

#include "node/core/port.h"

#define LOG_LINE_BYTES 4096

enum log_format { LOG_LOGFMT, LOG_JSON };

struct logger {
    int fd;                 /* borrowed */
    enum trace_level level; /* this one and graver ones are written */
    enum log_format format;
    struct mk_id node;
    struct clock_port clock;
};

struct trace_port logger_port(struct logger *logger);

const char *trace_level_name(enum trace_level level); /* "warn" */

/* For the shell's own lines. */
void logger_line(struct logger *logger, enum trace_level level, const char *what, const struct trace_field *fields,
                 size_t count);

#endif
