/* What the node needs of the world: five ports, each with a real implementation, a simulated one, and one conformance
 * suite (tests/conformance). All run on the node's one thread and none may block. A port never calls back from inside a
 * hook: an answer comes later, through the driver's functions (node/driver.h). */
#ifndef MEERKAT_CORE_PORT_H
#define MEERKAT_CORE_PORT_H

#include "node/core/script.h"
#include "node/core/session.h"

/* --- store --- */

struct store_call {
    enum script script;
    const struct span *keys, *args; /* borrowed for the call */
    size_t key_count, arg_count;
};

enum store_verdict {
    STORE_REPLIED, /* items hold the reply */
    STORE_REFUSED, /* a definite error: nothing of this call was written (error says why) */
    STORE_UNKNOWN  /* the connection ended, or the deadline passed, before a reply: it may have been executed */
};

struct store_reply {
    enum store_verdict verdict;
    const struct span
        *items; /* the reply, flat; integers as decimal text; nil as an absent span. Borrowed for the call */
    size_t count;
    struct span error;
};

struct store_ops {
    /* Sends a call; its reply comes once, as driver_store_reply(tag, ...), replies in order of the calls of one
     * connection. False: there is no connection, or too much is in flight; nothing was sent and no reply comes. Copies
     * what it needs. */
    bool (*call)(void *self, uint64_t tag, const struct store_call *call);
    /* Changes are also told through driver_store_up. */
    bool (*connected)(void *self);
};

struct store_port {
    const struct store_ops *ops;
    void *self;
};

/* --- bus --- */

struct bus_ops {
    /* Hands one whole frame (topic, zero byte, map) to the bus. Never fails and never waits: a bus may lose it. Copies.
     */
    void (*publish)(void *self, struct span frame);
};

struct bus_port {
    const struct bus_ops *ops;
    void *self;
};

/* --- executor --- */

struct run_input {
    const struct mk_input *input;
    uint64_t attempts; /* this one included */
};

/* A run as the executor sees it. Borrowed for the call. */
struct run_request {
    struct span session, executor;
    const struct run_record *run;
    uint64_t fence, generation;
    struct span state; /* absent: none yet */
    const struct run_input *inputs;
    size_t input_count;
    /* What was injected into runs of the session whose end was not committed, in that order: this one has it from the
     * beginning. */
    const struct run_input *injected;
    size_t injected_count;
};

struct executor_ops {
    /* Starts a run; its end comes once, as driver_run_done, whatever happens. */
    void (*start)(void *self, const struct run_request *request);
    /* Stages an input's context into the running turn. Only asked after driver_boundary said that the run's boundary is
     * live. Answered once, by driver_injected, before the run's end is told; one that is not answered by then was not
     * staged. What was staged belongs to the run however often the executor begins it anew. A run that is not there
     * is ignored. */
    void (*inject)(void *self, struct span session, struct span run, const struct run_input *input);
    /* Asks the run to end: at its next boundary, or (hard) now. A run that is not there is ignored. */
    void (*cancel)(void *self, struct span session, struct span run, bool hard);
    /* The session has no more use for its executor. */
    void (*stop)(void *self, struct span session);
    /* Whether runs for this name can be started; absent: the default one. */
    bool (*known)(void *self, struct span name);
};

struct executor_port {
    const struct executor_ops *ops;
    void *self;
};

/* --- clock and chance --- */

struct clock_ops {
    uint64_t (*now_ms)(void *self);  /* CLOCK_BOOTTIME: counts while the machine sleeps */
    uint64_t (*unix_ms)(void *self); /* for `ts` only */
    void (*random)(void *self, void *bytes, size_t count);
};

struct clock_port {
    const struct clock_ops *ops;
    void *self;
};

/* --- trace --- */

enum trace_level { TRACE_ERROR, TRACE_WARN, TRACE_INFO, TRACE_DEBUG }; /* a person must act; retried; a move; a frame */

struct trace_field {
    const char *key;
    struct span text; /* given: a text; else the number */
    uint64_t number;
};

struct trace_ops {
    /* One line: what happened (a short sentence), and fields. Borrowed for the call. */
    void (*line)(void *self, enum trace_level level, const char *what, const struct trace_field *fields, size_t count);
};

struct trace_port {
    const struct trace_ops *ops;
    void *self;
};

struct ports {
    struct store_port store;
    struct bus_port bus;
    struct executor_port executor;
    struct clock_port clock;
    struct trace_port trace;
};

#endif
