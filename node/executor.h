/* The executor port on a libuv loop: builtins on timers, commands in pools of children (node/pool.h). A run's end is
 * never told from inside a hook: ends wait until executor_deliver, which the loop calls in its turn; the loop does not
 * sleep while any waits. */
#ifndef MEERKAT_NODE_EXECUTOR_H
#define MEERKAT_NODE_EXECUTOR_H

#include <uv.h>

#include "node/executor_name.h"
#include "node/supervisor.h"

struct executor;

struct executor_options {
    const struct executor_name *names; /* copied; a later one of the same name wins */
    size_t name_count;
    struct span default_name; /* known; copied */
    void (*on_done)(void *user, struct span session, const struct run_done *done);
    void (*on_boundary)(void *user, struct span session, const struct run_at *at, bool live);
    void (*on_injected)(void *user, struct span session, const struct run_injected *injected);
    void *user;
    /* For commands only: */
    struct supervisor supervisor; /* started with these very names; taken */
    struct trace_port trace;
    struct clock_port clock;
    size_t answer_bytes_max;                       /* of one answer of a child */
    uint64_t run_ms;                               /* a run may take; 0: any time */
    void (*on_fault)(void *user, const char *why); /* no child can be had any more: the node is to end */
};

/* NULL: no memory, too many names, or a command without a supervisor. The loop outlives the executor. */
struct executor *executor_new(uv_loop_t *loop, const struct executor_options *options);

struct executor_port executor_port(struct executor *executor);

/* Until when, by CLOCK_BOOTTIME, everything that the node owns is surely its own; UINT64_MAX: it owns nothing. To be
 * said in every turn, before runs are started: when it has passed without a later one, the supervisor ends what runs in
 * children (design section 5, rule 12). */
void executor_feed(struct executor *executor, uint64_t until_ms);

/* Tells what runs said, then the ends that are due, in the order in which they came; what comes meanwhile waits for the
 * next call. Returns how many ends. */
size_t executor_deliver(struct executor *executor);
bool executor_pending(const struct executor *executor);
size_t executor_running(const struct executor *executor);

/* Forgets every run without a word. The memory goes when the loop has run once more. */
void executor_close(struct executor *executor);

#endif
