/* What the files of the node's core share. lease.c writes partitions, turn.c slots and stages, commit.c groups and
 * commits, query.c replays; node.c routes. */
#ifndef MEERKAT_CORE_NODE_IMPL_H
#define MEERKAT_CORE_NODE_IMPL_H

#include "node/core/node.h"
#include "node/core/slot.h"

enum partition_state {
    PARTITION_NONE,     /* not ours; claimed again at claim_due_ms */
    PARTITION_CLAIMING, /* the claim is on its way */
    PARTITION_TAIL,     /* ours: events that may not have been published are being published again (rule 5) */
    PARTITION_ACTIVE,   /* ours: sessions with unfinished inputs are being found */
    PARTITION_OWNED,    /* ours: at work */
    PARTITION_SUSPENDED /* ours by the lease, but the store is not where we left it: held, reported, nothing guessed
                           (L26) */
};

struct partition {
    uint32_t id;
    enum partition_state state;
    struct mk_hex history;
    uint64_t fence, heard_fence;
    uint64_t sequence;  /* of the last commit that was built */
    uint64_t committed; /* of the last that the store has confirmed */
    uint64_t published; /* events of commits up to this one have left the node */
    uint64_t horizon_ms, bytes, renewals;
    uint64_t safe_until_ms; /* own clock: from the sending of the last renewal that succeeded */
    uint64_t claim_due_ms;
    uint64_t call; /* TAIL, ACTIVE: the call that is awaited; 0: to be (re)issued */
    char cursor[48];
    uint64_t trim_due_ms, trim_call;
    uint64_t trim_waiting;        /* facts of the page being forgotten that are still there */
    uint64_t trim_to, trim_bytes; /* the page's last commit, and its bytes */
    uint32_t building;            /* commit.c: 1 + index of its part in the commit being built */
};

struct group {
    struct slot *dirty, **dirty_end; /* staged, waiting for a commit, oldest first */
    struct commit *flight, **flight_end;
    size_t in_flight;
    size_t sections_max; /* halved when the store refuses a commit, until the culprit is alone */
    bool settle;         /* a commit was dissolved: nothing new until the flight is empty, then sequences go back */
    uint64_t retry_at_ms;
};

/* An `events` query that is being answered page by page. */
struct replay {
    struct replay *next;
    uint64_t call;
    struct mk_session_id session;
    uint32_t partition;
    struct mk_id re, to;
    uint64_t from, limit, found, first, bytes;
    uint64_t head; /* newest number, when asked */
    bool truncated;
    char cursor[48];
    struct mk_doc *data;
};

struct node {
    const struct mk_mem *mem;
    struct node_config config;
    struct slot_table slots;
    struct partition *partitions;
    struct group *groups;
    struct replay *replays;
    uint64_t now_ms, unix_ms, store_ms, store_at_ms; /* this event's time; the store's clock and when it was read */
    uint64_t calls;                                  /* ids given so far */
    uint64_t random[2];
    bool started, founded, store_up, bus_up, foreign_heard, leaving, left;
    uint64_t found_call, renew_call, claim_call, release_call;
    uint64_t renew_due_ms, renew_sent_ms, claim_sent_ms, heartbeat_due_ms, found_due_ms;
    uint64_t asks_due_ms;          /* a read was refused: nothing is asked before this */
    struct slot *asks, **asks_end; /* slots whose records or facts are to be asked for */
    struct node_effects *fx;       /* of the step being made */
    struct node_view seen;         /* counters */
};

/* --- node.c --- */
struct node_effect *emit(struct node *node,
                         enum node_effect_type type); /* NULL: no memory; the effect is lost, counted */
void trace(struct node *node, enum note_level level, const char *what, const struct slot *slot, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
uint64_t next_call(struct node *node);
uint64_t store_now(const struct node *node);
uint64_t sequence_of(struct span id); /* the commit that an outbox entry belongs to, by its stream id */
struct partition *partition_at(struct node *node, uint32_t id);
bool partition_ours(const struct partition *partition);           /* the lease is ours */
struct span answer_text(struct answer *answer, struct span text); /* kept in the answer's own storage */
void answer_now(struct node *node, struct answer *answer, const struct partition *partition);

/* --- lease.c --- */
void leases_tick(struct node *node);
void leases_start(struct node *node);
void partition_lose(struct node *node, struct partition *partition, const char *why);
void partition_suspend(struct node *node, struct partition *partition, const char *why, uint64_t stored);
void lease_event(struct node *node,
                 const struct node_event *event); /* FOUND CLAIMED RENEWED RELEASED ACTIVE EVENTS HEARTBEAT */
bool lease_call_failed(struct node *node, const struct node_event *event);
void leases_leave(struct node *node);
uint64_t leases_due_ms(const struct node *node);

/* --- turn.c --- */
struct slot *slot_for(struct node *node, struct span session, uint32_t partition); /* found or made; NULL: no memory */
void slot_give(struct node *node, struct slot *slot, const struct session_event *event, struct mk_blob *frame,
               size_t bytes);
void slot_pump(struct node *node, struct slot *slot); /* applies what waits, as far as it goes */
void slot_again(struct slot *slot);                   /* undo the stage; its events go back to the queue */
/* The stage is durable, or needed no store: says, publishes and orders what it holds. */
void slot_release(struct node *node, struct slot *slot, const struct partition *partition, uint64_t sequence);
void slot_drop(struct node *node, struct slot *slot); /* forget it, with its run */
void slot_quarantine(struct node *node, struct slot *slot, enum mk_err why, const char *text);
void slots_turn_end(struct node *node); /* asks for records and facts */
void slots_tick(struct node *node);
void slot_loaded(struct node *node, const struct node_event *event);
void slot_fact(struct node *node, const struct node_event *event);
bool slots_call_failed(struct node *node, const struct node_event *event);

/* --- commit.c --- */
void group_add(struct node *node, struct slot *slot); /* its stage is durable: it wants a section */
void group_remove(struct node *node, struct slot *slot);
void commits_turn_end(struct node *node);
void commit_verdict(struct node *node, const struct node_event *event);
bool commit_call_failed(struct node *node, const struct node_event *event);
void commits_forget_partition(struct node *node, uint32_t partition);
bool commits_idle(const struct node *node);
uint64_t commits_due_ms(const struct node *node);

/* --- retain.c --- */
void retain_tick(struct node *node);
bool retain_page(struct node *node, const struct node_event *event); /* false: not asked by retention */
bool retain_call_failed(struct node *node, uint64_t call);
void retain_done(struct partition *partition); /* a trim of one of its sessions is over */
uint64_t retain_due_ms(const struct node *node);

/* --- query.c --- */
void replay_start(struct node *node, struct slot *slot, const struct mk_command *command);
bool replay_page(struct node *node, const struct node_event *event); /* false: no replay waits for this call */
bool replay_call_failed(struct node *node, uint64_t call);
void replays_forget(struct node *node, uint32_t partition, bool all);
void node_query(struct node *node, const struct mk_command *command);

#endif
