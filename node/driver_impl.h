/* What the driver's files share. driver.c: life, time, frames in; driver_calls.c: effects that are calls of the store,
 * and their replies; driver_out.c: effects that leave the node. */
#ifndef MEERKAT_NODE_DRIVER_IMPL_H
#define MEERKAT_NODE_DRIVER_IMPL_H

#include "codec/call.h"
#include "codec/message.h"
#include "codec/record.h"
#include "codec/topic.h"
#include "node/core/node.h"
#include "node/driver.h"
#include "node/gaps.h"
#include "node/outgoing.h"

/* A name that a session asked about. */
struct asked_fact {
    enum fact_kind kind;
    struct mk_id name;
};

/* A call on its way: its bytes, and what its reply is about. */
struct driver_call {
    struct driver_call *next;
    uint64_t id;
    enum node_effect_type type;
    struct call call;
    struct mk_session_id *sessions; /* DO_LOAD: in order; DO_FACTS: one */
    struct asked_fact *facts;       /* DO_FACTS */
    struct lease_call *leases;      /* DO_CLAIM, DO_RENEW, DO_RELEASE */
    uint32_t partition;             /* DO_ACTIVE, DO_EVENTS */
    size_t count;                   /* of sessions, facts, leases; DO_COMMIT: parts */
    size_t *section_counts;         /* DO_COMMIT: sections of each part */
    bool failed;                    /* could not be packed: never sent */
};

struct driver {
    struct driver_options options;
    struct node_config config;
    struct ports ports;
    const struct mk_mem *mem;
    struct node *node;
    struct node_effects fx;
    struct driver_call *calls;
    uint64_t *unsent; /* ids of calls that could not be handed to the store */
    size_t unsent_count, unsent_room;
    struct outgoing out;
    struct gaps gaps;
    struct commit_scratch *scratch;
    struct buf pack;
    uint64_t own_heard_ms, ids;
    bool mismatch;
    struct mk_note mismatch_note;
    struct driver_status seen; /* counters */
};

uint64_t driver_now(const struct driver *driver);
struct node_event driver_event(const struct driver *driver, enum node_event_type type);
void driver_step(struct driver *driver, const struct node_event *event); /* steps the core and performs what follows */
void driver_say(struct driver *driver, enum trace_level level, const char *what, struct span key_value);

/* --- driver_calls.c --- */
void driver_call_effect(struct driver *driver, const struct node_effect *effect);
void driver_calls_free(struct driver *driver);

/* --- driver_out.c --- */
void driver_out_effect(struct driver *driver, struct node_effect *effect);
void driver_out_flush(struct driver *driver);
void driver_refuse(struct driver *driver, const struct message_head *head, enum mk_err why, const struct mk_note *note);

#endif
