/* What the files of the node's core share. lease.c writes partitions (recover.c what a new owner does first, handover.c
 * what the two ends of a hand-over do), turn.c slots and stages (load.c what they ask of the store), commit.c groups
 * and commits, replay.c replays; node.c routes. */
#ifndef MEERKAT_CORE_NODE_IMPL_H
#define MEERKAT_CORE_NODE_IMPL_H

#include "node/core/member.h"
#include "node/core/node.h"
#include "node/core/slot.h"

enum partition_state {
    PARTITION_NONE,      /* not ours; claimed at claim_due_ms */
    PARTITION_EXPECTED,  /* its owner is giving it to us: what arrives is kept */
    PARTITION_CLAIMING,  /* the claim is on its way: what arrives is kept */
    PARTITION_TAIL,      /* ours from here on: what may not have been published is being published again (rule 5) */
    PARTITION_ACTIVE,    /* sessions with unfinished inputs are being found */
    PARTITION_OWNED,     /* at work */
    PARTITION_FINISHING, /* to be given away: at work, but no run starts; those that run may finish */
    PARTITION_OFFERED,   /* the same, and the successor is asked to keep what arrives from now on */
    PARTITION_SETTLING,  /* nothing more is taken: what was begun is committed and published */
    PARTITION_RELEASING, /* the release is on its way */
    PARTITION_SUSPENDED  /* the store is not where we left it: held, reported, nothing guessed (L26) */
};

/* What is known of a partition whose lease is not ours. Times are this node's own. */
struct watched {
    struct mk_id holder, successor; /* who holds it; who shall have it, when nobody does */
    uint64_t expires_ms;
    uint64_t unowned_since_ms; /* 0: it is owned */
    uint64_t renewals, stood_since_ms;
    bool looked_at;
};

/* What owners said on the bus of a partition, under the highest fence. */
struct heard {
    struct mk_hex history;
    uint64_t fence, sequence;
};

/* A partition on its way to another node; after the release what becomes of it. */
struct handing {
    struct partition *next; /* of those on their way */
    struct mk_id successor; /* absent: nobody is there */
    uint64_t began_ms;
    uint64_t due_ms;  /* FINISHING: runs are cancelled then; OFFERED: nobody waits for the successor's word longer */
    uint64_t said_ms; /* when the offer was said last */
    bool kept;        /* the successor keeps what arrives */
    bool sent;        /* the release was sent at least once: it may be done */
    uint64_t told_until_ms; /* NONE: until then everybody is told that the successor may claim */
    uint64_t refused;       /* inputs and commands that came while nobody kept them */
    uint64_t sessions, took_ms;
    bool done; /* given away by this node's leaving: a line of its receipt */
};

struct partition {
    uint32_t id;
    enum partition_state state;
    struct mk_hex history;
    uint64_t fence;
    uint64_t sequence;  /* of the last commit that was built */
    uint64_t committed; /* of the last that the store has confirmed */
    uint64_t published; /* events of commits up to this one have left the node */
    uint64_t spoken;    /* the last commit that had events */
    uint64_t horizon_ms, bytes, renewals;
    uint64_t owned_since_ms; /* store time: when it became ours */
    uint64_t safe_until_ms;  /* own clock: from the sending of the last renewal that succeeded */
    bool taken;              /* SUSPENDED, and the lease is another's */
    uint64_t runs;           /* that the executor has */
    struct watched watched;
    struct heard heard;
    struct handing handing;
    uint64_t stays_until_ms; /* nobody answered the offer: it is not offered again before */
    unsigned unheard;        /* such offers since it is ours */
    uint64_t claim_due_ms;
    uint64_t promised;          /* the fence of an owner that released it to us; 0: nobody did */
    bool claim_unsure;          /* a claim got no answer: it may have been done */
    bool strange;               /* its lease is of another version */
    uint64_t expected_until_ms; /* EXPECTED: what is kept is dropped then */
    uint64_t call;              /* TAIL, ACTIVE: the call that is awaited; 0: to be (re)issued */
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

/* A query, `events` or `dead`, that is being answered page by page from what the store holds of a partition. */
struct replay {
    struct replay *next;
    uint64_t call;
    struct mk_session_id session; /* absent: of all sessions */
    uint32_t partition;
    struct mk_id re, to;
    uint64_t from, limit, found, first, bytes;
    uint64_t head;      /* events: newest number, when asked */
    bool letters;       /* dead letters; else events */
    bool every;         /* letters: of this partition and all above it that this node owns */
    struct mk_id input; /* letters: of this input only */
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
    struct members members;
    struct partition *hands; /* that are being given away, in any order */
    struct asker {           /* of a drain: answered when everything is given away */
        struct mk_id to, re;
    } askers[DRAIN_ASKERS_MAX];
    size_t asker_count;
    bool started, founded, joined, store_up, bus_up, foreign_heard;
    bool leaving, resigned, left; /* giving everything away; all is given away; no member any more: done */
    bool resigning;               /* the store is being told: members_call */
    bool beat_now;                /* something that others wait for is to be said at once */
    uint64_t found_call, members_call, renew_call, watch_call, claim_call, release_call;
    uint64_t members_due_ms, renew_due_ms, renew_sent_ms, watch_due_ms, claim_sent_ms;
    uint64_t heartbeat_due_ms, found_due_ms, hand_due_ms;
    /* A turn must not cost a look at every partition: they are looked at when something moved, or is due. */
    bool moved;
    uint64_t look_due_ms, retain_look_ms;
    struct tally { /* as of the last look */
        uint32_t owned, claiming, recovering, suspended, handing, expecting;
        uint64_t safe_until_ms;
    } tally;
    uint64_t stranger_since_ms; /* another process has our id: since when; 0: no */
    uint64_t leaving_since_ms, left_after_ms;
    struct news { /* of this turn, told in one line each */
        uint32_t lost, claimed, given, kept;
        const char *lost_why;
    } news;
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
uint64_t next_random(struct node *node, size_t which); /* 0 or 1 */
uint64_t store_now(const struct node *node);
uint64_t sequence_of(struct span id); /* the commit that an outbox entry belongs to, by its stream id */
struct partition *partition_at(struct node *node, uint32_t id);
bool partition_ours(const struct partition *partition);           /* the lease is ours, or was when we last knew */
bool partition_works(const struct partition *partition);          /* events of its sessions are applied and committed */
uint64_t partition_said(const struct partition *partition);       /* all events of commits up to this one have left */
bool partition_keeps(const struct partition *partition);          /* what arrives for it is taken, or kept */
struct span answer_text(struct answer *answer, struct span text); /* kept in the answer's own storage */
void answer_now(struct node *node, struct answer *answer, const struct partition *partition);

/* --- lease.c --- */
void leases_tick(struct node *node);
enum member_phase node_phase(const struct node *node); /* what it says of itself, in the store and on the bus */
void leases_replan(struct node *node);                 /* who may claim what has changed */
void leases_store_up(struct node *node);               /* or it went down */
void partition_lose(struct node *node, struct partition *partition, const char *why);
void partition_drop(struct node *node, struct partition *partition); /* lost or given away: its sessions leave memory */
void partition_suspend(struct node *node, struct partition *partition, const char *why, uint64_t stored);
/* Another owner's fence began at commit `began`: what we were confirmed is in the store, or it is not. */
void partition_taken(struct node *node, struct partition *partition, uint64_t began, const char *why);
void partition_doubt(struct node *node);                             /* a read was refused: a renewal tells why */
void lease_event(struct node *node, const struct node_event *event); /* FOUND MEMBERS CLAIMED RENEWED WATCHED */
void lease_heard(struct node *node, const struct mk_owned *owned);   /* on the bus, from another node */
bool lease_call_failed(struct node *node, uint64_t call);
uint64_t leases_due_ms(const struct node *node);
/* The call for these partitions; NULL: no memory. `call` gets its id. */
struct node_effect *lease_call(struct node *node, enum node_effect_type type, uint64_t *call);
struct lease_call *add_lease(struct node_effect *effect, const struct partition *partition);

/* --- recover.c --- */
void recover_begin(struct node *node, struct partition *partition);
void recover_next(struct node *node);
bool recover_event(struct node *node, const struct node_event *event); /* ACTIVE EVENTS; false: not asked here */
bool recover_call_failed(struct node *node, uint64_t call);
void partition_pump(struct node *node, struct partition *partition);   /* what waits in its slots is applied */
void partition_resume(struct node *node, struct partition *partition); /* at work (again) */

/* --- handover.c --- */
void handovers_tick(struct node *node);
void handovers_release(struct node *node);
void handover_event(struct node *node, const struct node_event *event); /* RELEASED, HEARTBEAT */
/* `lease` NULL: found out by another call than the release. */
void handover_released(struct node *node, struct partition *partition, const struct lease *lease);
void handover_forget(struct node *node, struct partition *partition);
bool handover_call_failed(struct node *node, uint64_t call);
uint64_t handovers_due_ms(const struct node *node);
void drain_ask(struct node *node, const struct mk_command *command); /* leave, and tell who asked when it is done */
void drain_end(struct node *node); /* all that can be given away is: who asked is answered */
void drain_receipt(const struct node *node, struct mk_doc *doc);

/* --- turn.c --- */
struct slot *slot_for(struct node *node, struct span session, uint32_t partition); /* found or made; NULL: no memory */
void slot_give(struct node *node, struct slot *slot, const struct session_event *event, struct mk_blob *frame,
               size_t bytes);
void slot_pump(struct node *node, struct slot *slot); /* applies what waits, as far as it goes */
void slot_again(struct slot *slot);                   /* undo the stage; its events go back to the queue */
/* The stage is durable, or needed no store: says, publishes and orders what it holds. */
void slot_release(struct node *node, struct slot *slot, const struct partition *partition, uint64_t sequence);
void slot_drop(struct node *node, struct slot *slot); /* forget it, with its run */
void slot_cancel(struct node *node,
                 struct slot *slot); /* its run is to end; a hand-over does not count as an attempt */
void slot_quarantine(struct node *node, struct slot *slot, enum mk_err why, const char *text);
void slots_tick(struct node *node);

/* --- load.c --- */
void slot_ask(struct node *node, struct slot *slot); /* its records, or the facts it wants, are to be read */
void slot_unask(struct node *node, struct slot *slot);
void slots_turn_end(struct node *node); /* asks for records and facts */
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
uint64_t commits_due_ms(const struct node *node);

/* --- retain.c --- */
void retain_tick(struct node *node);
bool retain_page(struct node *node, const struct node_event *event); /* false: not asked by retention */
bool retain_call_failed(struct node *node, uint64_t call);
void retain_done(struct node *node, struct partition *partition); /* a trim of one of its sessions is over */
uint64_t retain_due_ms(const struct node *node);

/* --- replay.c --- */
void replay_start(struct node *node, struct slot *slot, const struct mk_command *command); /* slot NULL: of the node */
bool replay_page(struct node *node, const struct node_event *event); /* false: no replay waits for this call */
bool replay_call_failed(struct node *node, uint64_t call);
void replays_forget(struct node *node, uint32_t partition, bool all);

/* --- query.c --- */
void node_query(struct node *node, const struct mk_command *command);

#endif
