/* The executor port on a libuv loop. A run's end is never told from inside a hook: ends wait until executor_deliver,
 * which the loop calls in its turn; the loop does not sleep while any waits. */
#ifndef MEERKAT_NODE_EXECUTOR_H
#define MEERKAT_NODE_EXECUTOR_H

#include <uv.h>

#include "node/builtin.h"

#define EXECUTOR_NAMES_MAX 64

/* --executor NAME=builtin:KIND; the builtins are known by their own names besides. */
struct executor_name {
    struct mk_id name;
    enum builtin builtin;
};

/*   errors  INVALID_FIELD: no NAME=SPEC, a name that is none, a SPEC this build does not have */
enum mk_err executor_name_parse(struct executor_name *out, struct span text, struct mk_note *note);

struct executor;

struct executor_options {
    const struct executor_name *names; /* copied; a later one of the same name wins */
    size_t name_count;
    struct span default_name; /* known; copied */
    void (*on_done)(void *user, struct span session, const struct run_done *done);
    void *user;
};

/* NULL: no memory, or too many names. The loop outlives the executor. */
struct executor *executor_new(uv_loop_t *loop, const struct executor_options *options);

struct executor_port executor_port(struct executor *executor);

/* Tells the ends that are due, in the order in which they came; what ends meanwhile waits for the next call. Returns
 * how many. */
size_t executor_deliver(struct executor *executor);
bool executor_pending(const struct executor *executor);
size_t executor_running(const struct executor *executor);

/* Forgets every run without a word. The memory goes when the loop has run once more. */
void executor_close(struct executor *executor);

#endif
