/* What the pool's files share. pool.c: runs, who gets which child; pool_inject.c:
 * what goes into a run later; child.c: one child's life; child_streams.c: its
 * pipes. */
#ifndef MEERKAT_NODE_POOL_IMPL_H
#define MEERKAT_NODE_POOL_IMPL_H

#include "node/crashes.h"
#include "node/framer.h"
#include "node/lines.h"
#include "node/pool.h"
#include "node/supervised.h"

TAILQ_HEAD(pooled_runs, pooled_run);

enum child_state {
    CHILD_ABSENT, /* to be started when it is due */
    CHILD_COMING, /* asked for */
    CHILD_HERE
};

/* Why we ended it. */
enum condemned { NOT_CONDEMNED, FOR_NONSENSE, FOR_SIZE, FOR_SILENCE, FOR_DEADLINE, FOR_CANCEL, FOR_STOP };

struct child {
    struct pool *pool;
    uint32_t id, life;
    enum child_state state;
    int pid;
    struct streams *streams;
    struct pooled_run *run;
    struct crashes crashes;
    struct framer framer;
    struct lines lines;
    uv_timer_t timer;  /* its start, the run's deadline, a grace, the last bytes of one that has ended */
    uv_timer_t window; /* its stderr is read again */
    enum condemned condemned;
    char reason[200]; /* condemned, or ended: a sentence's end */
    const char *lost; /* a pipe of it was closed: which; its end is awaited */
    bool over;        /* nothing of it is left; what its pipes hold is still to be read */
    struct supervisor_report ended;
};

struct pool {
    struct pools *pools;
    const struct executor_name *name;
    bool hidden; /* a later name is the same */
    struct child *children;
    struct pooled_runs waiting;
};

struct pools {
    uv_loop_t *loop;
    struct pools_options options;
    struct supervised *supervised;
    struct pool *pools;     /* one a name; without children where it is no command */
    struct child *children; /* of all of them */
    size_t child_count;
    uint64_t until_ms;
    bool held; /* something waits for the leases, or for the socket */
    bool lost, closed;
    int closing; /* handles */
    char buffer[65536];
};

/* --- pool.c --- */
uint64_t pools_now_ms(const struct pools *pools);
bool pools_may_start(struct pools *pools); /* else what was to be started is looked at again later */
void pools_dispatch(struct pools *pools);
void pool_run_end(struct pooled_run *run, enum run_end end);
void pool_run_fail(struct pooled_run *run, enum mk_err error, enum failure_cause cause, struct span message);
void pool_run_again(struct pooled_run *run);
void pool_mind_the_crashes(struct pool *pool, const char *reason);

/* --- pool_inject.c --- */
void pool_run_boundary(struct pooled_run *run, bool live);
bool pool_run_injected(struct pooled_run *run, struct span input, bool ok); /* false: it was not asked */
void pool_run_renew(struct pooled_run *run);                                /* it begins anew */
void pool_run_drop_offers(struct pooled_run *run);                          /* without a word */

/* --- child.c --- */
void child_open(struct child *child, struct pool *pool, uint32_t id);
void child_close(struct child *child);
void child_wake(struct child *child); /* starts it, if it is absent and due */
bool child_is_idle(const struct child *child);
void child_give(struct child *child, struct pooled_run *run);
void child_cancel(struct child *child, bool hard);
bool child_inject(struct child *child, const struct run_input *input); /* false: it could not be asked */
void child_condemn(struct child *child, enum condemned why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void child_started(struct child *child, const struct supervisor_report *report, const int *fds);
void child_ended(struct child *child, const struct supervisor_report *report);

/* what its streams say; an end is said once */
void child_said(struct child *child, struct span bytes);
void child_silent(struct child *child);
void child_wrote(struct child *child, struct span bytes); /* to its stderr */
void child_deaf(struct child *child);
void child_read_all(struct child *child); /* both have ended */

/* --- child_streams.c --- */
struct streams *streams_open(struct child *child, const int *fds);                /* takes fds; NULL: it cannot be */
void streams_write(struct streams *streams, struct frame_bytes *frame, bool run); /* run: one, or a word about it */
bool streams_unread(const struct streams *streams);                               /* part of the run is still here */
void streams_close_out(struct streams *streams);                                  /* its stdout is not read any more */
void streams_hear(struct streams *streams, bool on);                              /* its stderr */
bool streams_ended(const struct streams *streams);
void streams_close(struct streams *streams); /* NULL is allowed */

struct frame_bytes *frame_new(void);           /* one reference */
void frame_release(struct frame_bytes *frame); /* NULL is allowed */

#endif
