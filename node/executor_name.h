/* What --executor says. */
#ifndef MEERKAT_NODE_EXECUTOR_NAME_H
#define MEERKAT_NODE_EXECUTOR_NAME_H

#include "node/builtin.h"

#define EXECUTOR_NAMES_MAX     64
#define EXECUTOR_CHILDREN_MAX  256  /* of one name */
#define EXECUTOR_COMMAND_BYTES 1024 /* its zero byte included; what is longer belongs in a script */

/* --executor NAME=builtin:KIND or NAME=exec:N:COMMAND; the builtins are known by their own names besides. */
struct executor_name {
    struct mk_id name;
    enum builtin builtin;                 /* BUILTIN_COUNT: a command */
    uint32_t children;                    /* of a command: N; else 0 */
    char command[EXECUTOR_COMMAND_BYTES]; /* for sh -c; else empty */
};

/*   errors  INVALID_FIELD: no NAME=SPEC, a name that is none, a SPEC that is none */
enum mk_err executor_name_parse(struct executor_name *out, struct span text, struct mk_note *note);

#endif
