/* Runs that commands execute: for each `exec:N:COMMAND` a pool of N children (docs/executors.md), started and ended by
 * the supervisor, one run at a time each. Runs wait in the order in which they came; two of one session are never at
 * work at once. Whatever a child does ends in an end of its run, never in one of the node.
 *
 * A run that the supervisor had to end because this node's leases had run out is started again, in its turn, once they
 * are good again: it has no end then that the core could be told. It did not fail, nobody cancelled it, and its inputs
 * must not pay with an attempt for what its node did (design section 5, rule 4). */
#ifndef MEERKAT_NODE_POOL_H
#define MEERKAT_NODE_POOL_H

#include <sys/queue.h>
#include <uv.h>

#include "codec/run.h"
#include "node/supervisor.h"

#define CANCEL_GRACE_MS 2000 /* after a hard cancel's frame, then the child is killed */

struct pools;
struct pool;
struct child;

/* Bytes on their way to a child, kept until they were written and are wanted no more. */
struct frame_bytes {
    size_t refs;
    struct buf bytes;
};

/* One run, inside of what the caller keeps of it. */
struct pooled_run {
    TAILQ_ENTRY(pooled_run) waiting;
    struct pool *pool;   /* NULL: not a command's run */
    struct child *child; /* NULL: it waits */
    struct mk_session_id session;
    struct mk_id id;
    size_t input_count;
    struct frame_bytes *frame;
    bool live;                                      /* its child takes inputs in */
    TAILQ_HEAD(pooled_offers, pooled_offer) offers; /* inputs that it was asked to take in */
    struct buf injected;                            /* those that it took, and that are not in `frame` */
    size_t injected_count, count_at;                /* all that it has; where `frame` counts them */
    unsigned words;                                 /* that its child said */
    bool asked, asked_hard;                         /* to end */
    struct run_answer *answer;
    char *answer_bytes;
    char message[RUN_MESSAGE_BYTES];
    struct run_done done; /* when it has ended; points into the rest */
};

struct pools_options {
    const struct executor_name *names; /* outlive the pools */
    size_t name_count;
    struct supervisor supervisor; /* taken */
    struct trace_port trace;
    struct clock_port clock;
    size_t answer_bytes_max;
    uint64_t run_ms;                                    /* 0: no deadline */
    void (*on_end)(void *user, struct pooled_run *run); /* run->done is filled; never inside of pools_start */
    void (*on_boundary)(void *user, struct pooled_run *run, bool live);
    void (*on_injected)(void *user, struct pooled_run *run, const struct run_injected *injected);
    bool (*is_held)(void *user, const struct pooled_run *run); /* another run of its session is at work */
    void (*on_fault)(void *user, const char *why);             /* the supervisor is lost */
    void *user;
};

/* NULL: no memory. Asks for all children at once; the pool of a name that a later one hides has none. */
struct pools *pools_open(uv_loop_t *loop, const struct pools_options *options);

/* name: the place of a command among the names. Copies what it needs of the request. */
void pools_start(struct pools *pools, size_t name, struct pooled_run *run, const struct run_request *request);

/* Answered by on_injected, perhaps at once; not any more when the run has ended. */
void pools_inject(struct pools *pools, struct pooled_run *run, const struct run_input *input);

/* Asks; the end comes by on_end, perhaps at once. Not of a run that has ended. */
void pools_cancel(struct pools *pools, struct pooled_run *run, bool hard);
void pools_stop(struct pools *pools, struct pooled_run *run);

/* Forgets a run that has ended, or all of whose pool is being closed. */
void pooled_run_release(struct pooled_run *run);

/* Until when the leases are good (node/executor.h). To be called often: what waited for it goes on. */
void pools_feed(struct pools *pools, uint64_t until_ms);

/* Without a word about any run. The memory goes when the loop has run once more. */
void pools_close(struct pools *pools);

#endif
