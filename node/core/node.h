/* A node's core: which partitions it owns, which sessions it holds, what is staged, in flight, committed. Pure:
 * node_step turns one event into effects, in order; the driver performs them.
 *
 *   frame -> INPUT / COMMAND -> slot's queue -> session_apply -> stage -> [TURN_END] commit in flight -> COMMITTED
 *         -> answers, publications, executor orders
 *
 * A slot is a session's place in this node: its queue of events, the session itself once loaded, and where it stands
 * (loading, reading facts, staged, in flight). At most one section of a session is in flight; what arrives meanwhile
 * waits in the queue. A group (partition mod groups) has at most COMMITS_IN_FLIGHT_MAX commits in flight, in order. */
#ifndef MEERKAT_CORE_NODE_H
#define MEERKAT_CORE_NODE_H

#include "node/core/script.h"
#include "node/core/session.h"

struct node;

#define LOADS_MAX 64 /* sessions in one call */

struct node_config {
    struct mk_id node;
    struct mk_hex incarnation, cluster; /* random; cluster: used if this node founds it */
    uint32_t partitions, groups;
    uint64_t lease_ms, idle_evict_ms, heartbeat_ms;
    uint64_t retain_ms, retain_bytes;
    uint64_t answer_bytes_max; /* of the items of one answer to `events` or `dead` */
    uint64_t held_events_max, held_bytes_max;
    uint64_t finish_ms; /* a run may take this much longer when its partition is given away */
    uint64_t random_seed[2];
    bool auto_register;
    bool storeless; /* the store ends with the node: nothing is retained for a next one */
    bool (*executor_known)(void *self, struct span name);
    void *self;
};

/* --- what is in flight to the store --- */

/* A fact that made a condition fail, as the store holds it. */
struct known_fact {
    enum fact_kind kind;
    struct span name, bytes;
    struct fact_record record;
};

struct commit_section {
    struct slot *slot;
    struct session *session; /* its stage is what is written */
};

/* One partition's part of a commit. */
struct commit_part {
    uint32_t partition;
    uint64_t fence, sequence, published, horizon_ms;
    uint64_t *total; /* bytes of the partition's history with all that is in flight: moved when the part is packed */
    uint64_t growth; /* of it by this part, modulo 2^64: a trim may make it negative */
    uint64_t trim_to, trim_bytes; /* outbox entries up to this commit are deleted with it; 0: none */
    struct commit_section *sections;
    size_t section_count;
};

struct commit {
    struct commit *next;
    uint64_t id;
    uint32_t group;
    bool sent;      /* waiting for a reply */
    bool uncertain; /* a reply was lost: it may have been applied; only a byte-identical repeat is allowed */
    struct commit_part *parts;
    size_t part_count, section_count;
    struct commit_section *sections; /* storage of all parts' sections */
};

/* --- events --- */

enum node_event_type {
    EV_START,
    EV_INPUT,
    EV_COMMAND,
    EV_HEARTBEAT,
    EV_BUS,
    EV_STORE,
    EV_RUN_DONE,
    EV_BOUNDARY,
    EV_INJECTED,
    EV_TICK,
    EV_TURN_END,
    EV_LEAVE,
    EV_PUBLISHED,
    /* answers of calls */
    EV_FOUND,
    EV_CLAIMED,
    EV_RENEWED,
    EV_RELEASED,
    EV_COMMITTED,
    EV_LOADED,
    EV_FACTS,
    EV_ACTIVE,
    EV_EVENTS,
    EV_MEMBERS,
    EV_WATCHED,
    EV_CALL_FAILED
};

/* One session as the store holds it. */
struct loaded {
    struct span session;
    enum lease_status status;
    bool exists;
    enum mk_err error;   /* the head cannot be read ... */
    struct mk_note note; /* ... for this reason */
    const struct session_record *head;
    const struct input_record *rows;
    size_t row_count, bad_rows;
    struct span state;
};

/* A verdict on one part of a commit; skipped sections by index, with what stood in their way. */
struct part_verdict {
    enum lease_status status;
    uint64_t sequence, fence, began; /* as stored; began: the sequence at which the fence began */
    const size_t *skipped;
    size_t skipped_count;
};

struct node_event {
    enum node_event_type type;
    uint64_t now_ms, unix_ms;
    uint64_t call; /* answers: the call's id */
    uint64_t store_ms;
    union {
        struct {
            struct mk_blob *frame; /* kept as long as the message is needed */
            const struct mk_input *input;
            const struct mk_command *command;
            uint32_t partition; /* from the topic; of a command for a node: unused */
            size_t bytes;
        } message;
        struct {
            const struct mk_heartbeat *beat;                                             /* who says it */
            enum beat_part { BEAT_HEAD, BEAT_OWNED, BEAT_HANDING, BEAT_EXPECTING } part; /* one event for each item */
            const struct mk_owned *owned;
            const struct mk_handing *handing;
            uint32_t expecting;
        } heartbeat;
        bool up; /* EV_BUS, EV_STORE */
        struct {
            struct span session;
            const struct run_done *done;
        } run;
        struct {
            struct span session;
            const struct run_at *at;
            bool live;
        } boundary;
        struct {
            struct span session;
            const struct run_injected *what;
        } injected;
        struct {
            uint32_t partition;
            uint64_t fence, sequence;
        } published;
        struct {
            uint64_t version, partitions, groups;
        } found;
        struct {
            const struct lease *leases; /* claim, renew, release, watch: in the order asked */
            size_t count;
        } leases;
        struct {
            enum lease_status status; /* OTHER: another incarnation of this node's id is alive */
            const struct member *list;
            size_t count;
        } members;
        struct {
            const struct part_verdict *parts; /* in the order of the commit */
            /* What stood in the way of a skipped section; asked for while the event is handled. */
            bool (*known)(void *self, size_t part, size_t section, size_t index, struct known_fact *out);
            void *self;
        } committed;
        struct loaded loaded;
        struct {
            struct span session;
            enum lease_status status;
            enum fact_kind kind;
            struct span name;
            const struct fact_record *record; /* NULL: nothing is remembered */
            struct span bytes;
            bool last; /* of this session in this answer */
        } fact;
        struct {
            enum lease_status status;
            const struct span *sessions;
            size_t count;
        } active;
        struct {
            enum lease_status status;
            struct span last; /* the last id looked at; absent: the end was reached */
            const struct outbox_event {
                struct span id, session, message;
                uint64_t seq; /* the event's own number; of a dead letter, its completion's */
                uint64_t ts;  /* when it was staged, store time */
                /* the names of a completion, and the input of a dead letter; else absent */
                struct span input, idem, run;
                uint64_t receipt_sequence;
                bool memo;           /* no event: `session` and a name, of an input or: */
                struct span command; /* a command */
            } * events;
            size_t count;
        } events;
        struct {
            bool unknown;   /* it may have been executed; else nothing was written */
            bool transient; /* refused for the store's own reasons: repeating may help */
            struct span why;
        } failed;
    } as;
};

/* --- effects --- */

enum node_effect_type {
    /* calls of the store; each is answered by one event with its id */
    DO_FOUND,
    DO_CLAIM,
    DO_RENEW,
    DO_RELEASE,
    DO_COMMIT,
    DO_LOAD,
    DO_FACTS,
    DO_ACTIVE,
    DO_EVENTS,
    DO_MEMBERS,
    DO_WATCH,
    DO_RESEND, /* the call `call`, byte-identical */
    DO_FORGET, /* the call `call` will not be resent */
    /* what leaves the node; each only while the partition's lease is safe */
    DO_ANSWER,
    DO_PUBLISH,
    DO_REPUBLISH,
    DO_RUN,
    DO_INJECT,
    DO_CANCEL,
    DO_STOP_EXECUTOR,
    DO_HEARTBEAT,
    DO_FATAL, /* the store belongs to a cluster configured otherwise */
    DO_TRACE
};

struct lease_call {
    uint32_t partition;
    uint64_t fence;         /* claim: the highest heard; else ours */
    uint64_t renewals;      /* renew: the new counter; claim: the one that stood still, with `stood` */
    bool stood;             /* claim: renewals did not change for two leases */
    struct mk_hex history;  /* claim: for a new record */
    struct mk_id successor; /* release */
    uint64_t published;     /* release */
};

struct node_effect {
    enum node_effect_type type;
    uint64_t call;
    uint32_t partition;
    uint64_t fence;
    union {
        struct {
            struct lease_call *leases; /* owned by the effect list */
            size_t count;
        } leases;
        struct {
            enum member_phase phase;
            bool leave; /* no member any more */
        } members;
        struct commit *commit; /* the core's; the driver sets the events' bytes and the parts' bytes */
        struct {
            struct slot *slots[LOADS_MAX];
            size_t count;
        } load;
        struct {
            struct slot *slot;
            struct session *session; /* stage.wants */
        } facts;
        struct {
            char from[48];
            uint64_t count;
            struct mk_session_id session; /* bytes 0: all */
            bool letters;                 /* of the dead letters; else of the outbox */
        } events;
        struct answer *answer; /* taken: the driver frees it with staged_answer_free */
        struct {
            struct staged_event *event; /* taken: freed with staged_event_free */
            struct mk_session_id session;
            uint64_t sequence; /* of the commit */
        } publish;
        struct {
            struct span session, message; /* borrowed from the event being handled */
            uint64_t sequence;
        } republish;
        struct {
            struct mk_session_id session; /* which may be gone already */
            struct mk_id run;
            struct mk_id input; /* DO_INJECT */
            bool hard;
        } executor;
        struct mk_session_id stopped; /* DO_STOP_EXECUTOR: the session, which may be gone already */
        struct {
            enum note_level { NOTE_ERROR, NOTE_WARN, NOTE_INFO } level;
            const char *what;
            struct mk_session_id session;
            char detail[160];
        } trace;
    } as;
};

struct node_effects {
    const struct mk_mem *mem;
    struct node_effect *list;
    size_t count, room;
};

void node_effects_init(struct node_effects *fx, const struct mk_mem *mem);
void node_effects_reset(struct node_effects *fx); /* frees what the effects own */
void node_effects_fini(struct node_effects *fx);

/* NULL when there is no memory. */
struct node *node_new(const struct node_config *config, const struct mk_mem *mem);
void node_free(struct node *node);

/* Appends to `fx`, which the caller resets once it has performed them. */
void node_step(struct node *node, const struct node_event *event, struct node_effects *fx);

uint64_t node_due_ms(const struct node *node); /* when EV_TICK is wanted; UINT64_MAX: never */

/* Whether something of this partition, committed under this fence, may leave the node now. GONE: never again. */
enum may { MAY_LEAVE, MUST_WAIT, IS_GONE };
enum may node_may(const struct node *node, uint32_t partition, uint64_t fence, uint64_t now_ms);

/* --- what is known of the node: for status, heartbeats, queries --- */

struct node_view {
    bool founded, joined, store_up, bus_up, foreign_heard, leaving, left;
    enum member_phase phase;
    uint32_t partitions, owned, claiming, recovering, suspended, handing, expecting, members;
    bool unsafe;            /* silent until a lease is renewed */
    uint64_t safe_until_ms; /* the first of its leases that runs out; UINT64_MAX: there is none */
    uint64_t sessions, quarantined, runs_active, held_events, held_bytes;
    uint64_t oldest_staged_ms;
    uint64_t foreign, accepted, deduplicated, rejected, overloaded, completed, runs_started, runs_failed;
    uint64_t commits, sections, sections_again, commits_resent, leases_lost, faults;
};

void node_view(const struct node *node, uint64_t now_ms, struct node_view *out);

/* Partitions one after the other, for the heartbeat: start with *cursor = 0. */
bool node_owned_next(const struct node *node, uint32_t *cursor, struct mk_owned *out);
bool node_handing_next(const struct node *node, uint32_t *cursor, struct mk_handing *out);
bool node_expecting_next(const struct node *node, uint32_t *cursor, uint32_t *out);
bool node_suspended_next(const struct node *node, uint32_t *cursor, uint32_t *out);

bool node_takes(const struct node *node, uint32_t partition);   /* frames for it are wanted, now or soon */
void node_passed(struct node *node, uint32_t partition);        /* a frame for it was not: counted */
void node_receipt(const struct node *node, struct mk_doc *doc); /* of its leaving, when it has left */

const struct session *node_session(const struct node *node, struct span id); /* NULL: not in memory */
uint64_t node_store_ms(const struct node *node, uint64_t now_ms); /* the store's clock, as well as it is known */
struct span slot_id(const struct slot *slot);
uint32_t slot_partition(const struct slot *slot);
uint64_t slot_fence(const struct node *node, const struct slot *slot);
const struct node_config *node_config_of(const struct node *node);

#endif
