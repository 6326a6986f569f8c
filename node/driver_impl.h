/* What the driver's files share. driver.c: life, time, frames in; driver_calls.c: effects that are calls of the store;
 * driver_replies.c: what the replies say; driver_out.c: effects that leave the node. */
#ifndef MEERKAT_NODE_DRIVER_IMPL_H
#define MEERKAT_NODE_DRIVER_IMPL_H

#include "codec/call.h"
#include "codec/letter.h"
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

/* What goes to the store as one call: its bytes, and which items of the driver's call it is about. */
struct call_part {
    struct call call;
    size_t first, count; /* places in `order` */
};

/* A call on its way. It is one part, but for those about many leases or sessions: a part of them is of one group, and
 * no larger than a call may be. The core knows nothing of parts: all parts together are one answer, and when one fails,
 * the whole has failed. */
struct driver_call {
    struct driver_call *next;
    uint64_t id;
    enum node_effect_type type;
    enum script script;
    struct mk_session_id *sessions; /* DO_LOAD: in order; DO_FACTS: one */
    struct asked_fact *facts;       /* DO_FACTS */
    struct lease *leases;   /* DO_CLAIM, DO_RENEW, DO_RELEASE, DO_WATCH: what was answered, in the order asked */
    uint32_t partition;     /* DO_ACTIVE, DO_EVENTS */
    bool letters;           /* DO_EVENTS: of the dead letters */
    size_t count;           /* of sessions, facts, leases; DO_COMMIT: parts of the commit */
    size_t *section_counts; /* DO_COMMIT: sections of each part of the commit */
    size_t *order;          /* items as the parts have them, one part behind the other */
    uint64_t store_ms;      /* the latest of the replies so far */
    bool failed;            /* could not be packed: never sent */
    size_t awaited;         /* parts that were sent and not answered */
    size_t part_count;
    struct call_part parts[];
};

/* A call that could not be handed to the store. */
struct unsent_call {
    uint64_t id;
    bool begun; /* some of its parts were */
};

struct driver {
    struct driver_options options;
    struct node_config config;
    struct ports ports;
    const struct mk_mem *mem;
    struct node *node;
    struct node_effects fx;
    struct driver_call *calls;
    struct unsent_call *unsent;
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

/* --- driver_replies.c --- */
/* One part of a call was answered: gives the core what it says, once it says it all. False: the reply cannot be read,
 * and the core was told that the call failed. The call may be gone only if it is a commit. */
bool driver_read_reply(struct driver *driver, struct driver_call *call, size_t part, const struct store_reply *reply);

/* --- driver_out.c --- */
void driver_out_effect(struct driver *driver, struct node_effect *effect);
void driver_out_flush(struct driver *driver);
void driver_refuse(struct driver *driver, const struct message_head *head, enum mk_err why, const struct mk_note *note);

#endif
