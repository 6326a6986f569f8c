/* The deterministic simulator: N real drivers and cores (node/driver.h) on a virtual clock, between fake ports.
 *
 *   clients, watchers <-> [sim_bus] <-> [sim_node: a driver each] <-> [sim_store: the shipped scripts on one keyspace]
 *                                              |
 *                                        [sim_executor]
 *
 * One queue of events, ordered by (due, sequence), one seeded generator: the same seed gives the same trace, byte for
 * byte. invariants.c looks at everything that crosses a port, at the moment it does, and breaks the run at the first
 * broken promise. Times are virtual microseconds unless a name says ms. Whatever the simulator allocates lives as long
 * as the simulation. */
#ifndef MEERKAT_TESTS_SIM_H
#define MEERKAT_TESTS_SIM_H

#include "node/core/port.h"
#include "node/driver.h"
#include "tests/sim/sim_map.h"

#define SIM_NODES_MAX      7
#define SIM_CLIENTS_MAX    4
#define SIM_ENDPOINTS_MAX  (SIM_NODES_MAX + SIM_CLIENTS_MAX + 1) /* nodes, clients, one watcher */
#define SIM_PARTITIONS_MAX 64
#define SECOND             1000000ull /* of virtual time */
#define MILLISECOND        1000ull

/* --- faults: each is asked for by name where it may strike, and counted when it does --- */

/*    id                   text                   at most, per million chances */
#define SIM_FAULTS(X)                                                                                                  \
    X(BUS_LOSS, "frame lost", 100000)                                                                                  \
    X(BUS_TWICE, "frame doubled", 100000)                                                                              \
    X(BUS_DELAY, "frame delayed", 100000)                                                                              \
    X(BUS_OVERFLOW, "frame dropped at the cap", 0)                                                                     \
    X(BUS_CUT, "node cut off the bus", 15000)                                                                          \
    X(BUS_DEAF, "node hears nothing, and is heard", 8000)                                                              \
    X(BUS_MUTE, "node is not heard, and hears", 8000)                                                                  \
    X(STORE_DOWN, "store unavailable", 30000)                                                                          \
    X(STORE_SLOW, "call slow", 20000)                                                                                  \
    X(STORE_LOST_BEFORE, "call lost, not executed", 10000)                                                             \
    X(STORE_LOST_AFTER, "reply lost, executed", 10000)                                                                 \
    X(STORE_LATE, "call executed after its connection ended", 10000)                                                   \
    X(STORE_DIES, "script died half-way", 10000)                                                                       \
    X(STORE_REFUSES, "call refused", 10000)                                                                            \
    X(STORE_CUT, "node cut off the store", 8000)                                                                       \
    X(STORE_CLOCK, "store's clock fell back", 5000)                                                                    \
    X(NODE_CRASH, "node crashed", 30000)                                                                               \
    X(NODE_CRASH_IN_TURN, "node crashed inside a turn", 3000)                                                          \
    X(NODE_PAUSE, "node paused", 20000)                                                                                \
    X(NODE_GONE, "node died for good", 3000)                                                                           \
    X(NODE_LEAVE, "node was asked to leave", 10000)                                                                    \
    X(NODE_LATE, "node joined late", 600000)                                                                           \
    X(NODE_CLOCK, "calendar clock jumped", 15000)                                                                      \
    X(NODE_DRIFT, "clock ran faster or slower", 30000)                                                                 \
    X(RUN_FAILS, "run failed", 50000)                                                                                  \
    X(RUN_HANGS, "run hung", 10000)                                                                                    \
    X(RUN_STARVED, "run died with its node's lease", 0)                                                                \
    X(RUN_LATE, "result of a dead node's run arrived", 900000)                                                         \
    X(RUN_TWICE, "result arrived twice", 30000)                                                                        \
    X(RUN_BOUNDARY, "run took inputs in", 1000000)                                                                     \
    X(RUN_REFUSES, "input not taken into a run", 250000)                                                               \
    X(RUN_LATE_WORD, "answer for an input after its run", 500000)                                                      \
    X(CLIENT_REPEATS, "input repeated on purpose", 50000)                                                              \
    X(CLIENT_CONFLICTS, "id sent with another body", 20000)                                                            \
    X(CLIENT_GARBAGE, "garbage sent", 20000)

enum fault {
#define X(id, text, rate) FAULT_##id,
    SIM_FAULTS(X)
#undef X
        FAULT_COUNT
};

const char *fault_name(enum fault fault);
uint32_t fault_rate_max(enum fault fault);

/* A fault that a scenario orders: pass `skip` chances, then strike `count` times. */
struct fault_plan {
    unsigned skip, count;
    bool one_script; /* store faults: only calls of `script` are chances */
    enum script script;
    const struct sim_node *node; /* store faults: only its calls are; NULL: everybody's */
};

/* --- what a simulation is made of --- */

struct sim_config {
    size_t nodes, clients, inputs, sessions;
    size_t absent;        /* so many of the nodes, the last ones, are not started with the others */
    uint64_t slow_ms;     /* a slow call takes at most so long */
    uint64_t load_us;     /* inputs are sent over this time; faults strike during it */
    size_t hubs;          /* of the bus: one, or more */
    uint64_t wait_leases; /* so many until somebody takes over: 1, but where the store's clock is wrong */
    uint32_t partitions, groups;
    uint64_t lease_ms, heartbeat_ms, idle_evict_ms, finish_ms;
    uint32_t rate[FAULT_COUNT]; /* per million chances */
    bool commands;              /* lifecycle commands besides inputs */
};

struct sim_listener {
    /* A node says it, and every promise held. Not a batch: each of its items. */
    void (*said)(struct sim *s, struct sim_node *node, enum mk_type type, struct span map);
    /* A run begins: `done` is what it would return, after `takes_us`. Both may be changed. */
    void (*started)(struct sim *s, struct sim_node *node, const struct run_request *request, struct run_done *done,
                    uint64_t *takes_us);
};

#define TRACE_LINES      40 /* kept to be shown with a failure */
#define TRACE_LINE_BYTES 240

struct rng {
    uint64_t word[4];
};

struct sim_event;
struct sim_listener;
struct queue {
    struct sim_event *heap;
    size_t count, room;
    uint64_t next_sequence;
};

struct totals {
    uint64_t inputs, commands, accepted, completions, events, commits, calls, runs, crashes, left, frames, steps;
    uint64_t taken_over, handed_over; /* changes of owner: after an expiry; after a release */
    uint64_t repeated;                /* events published more than once */
    uint64_t injected, carried;       /* inputs that went into a run at work; given to later executions */
    uint64_t waits;                   /* ended waits of sessions with work that nobody did */
};

struct sim {
    uint64_t seed;
    struct sim_config config;
    uint64_t now_us;
    struct rng rng;
    struct queue queue;
    struct arena_chunk *arena;
    size_t arena_chunks;

    uint32_t rate[FAULT_COUNT]; /* 0 once healed */
    struct fault_plan plan[FAULT_COUNT];
    uint64_t struck[FAULT_COUNT];
    struct totals totals;

    char trace[TRACE_LINES][TRACE_LINE_BYTES];
    uint64_t trace_count, hash; /* hash: FNV-1a over every line */
    bool print;                 /* every line at once */
    bool keep;                  /* scenarios: the whole trace, and how far sim_expect has read */
    char *kept;
    size_t kept_bytes, kept_room, kept_read;

    char broken[512];         /* the promise that was broken; empty: none */
    uint64_t disturbed_us;    /* the last time something happened that may delay a take-over */
    uint64_t longest_wait_us; /* of a session with work, beyond a lease, counted from the last disturbance */

    struct sim_store *store;
    struct sim_bus *bus;
    struct sim_executors *executors;
    struct sim_node *nodes[SIM_NODES_MAX];
    struct sim_clients *clients;
    struct checks *checks;
    bool deaf;                           /* executors hear no cancel and no stop: their runs go on to their end */
    void *story;                         /* what a story keeps for its own callbacks */
    const struct sim_listener *listener; /* NULL: nobody; sequences follow what is said and decide how runs end */
};

/* --- sim.c: clock, queue, generator, trace, faults, memory --- */

/* Draws a configuration from the seed when `config` is NULL; `print` and `keep` are the caller's. False: no memory; the
 * reason is in s->broken. */
bool sim_init(struct sim *s, uint64_t seed, const struct sim_config *config);
void sim_fini(struct sim *s);
void sim_config_calm(struct sim_config *config); /* no faults, one node, one client that sends nothing by itself */

typedef void sim_fn(struct sim *s, void *self, uint64_t word);
void sim_at(struct sim *s, uint64_t delay_us, sim_fn *fn, void *self, uint64_t word);
bool sim_step(struct sim *s); /* false: nothing is due any more, or a promise is broken */
void sim_run_for(struct sim *s, uint64_t us);
/* True once `done` says so; false when the time has passed or a promise is broken. */
bool sim_run_until(struct sim *s, bool (*done)(struct sim *s), uint64_t limit_us);

uint64_t sim_random(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t n);                    /* 0..n-1; 0 when n is 0 */
uint64_t sim_between(struct sim *s, uint64_t low, uint64_t high); /* both included */
bool sim_chance(struct sim *s, uint32_t per_million);

void *sim_alloc(struct sim *s, size_t bytes); /* zeroed; never NULL */
struct span sim_copy(struct sim *s, struct span bytes);
struct span sim_text(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool sim_fault(struct sim *s, enum fault fault); /* does it strike now? */
bool sim_fault_on_call(struct sim *s, enum fault fault, const struct sim_node *node, enum script script);
void sim_fail(struct sim *s, enum fault fault, unsigned skip, unsigned count);
void sim_fail_call(struct sim *s, enum fault fault, enum script script, unsigned skip, unsigned count);
void sim_fail_node_call(struct sim *s, enum fault fault, size_t node, enum script script, unsigned count);
void sim_heal(struct sim *s); /* no fault strikes any more; cut, paused and dead nodes come back, but those for good */
void sim_disturbed(struct sim *s); /* waits are counted from here on */

void sim_trace(struct sim *s, const char *who, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The next line of the trace that has `text` in it must come behind the ones expected before. */
void sim_expect(struct sim *s, const char *text);
void sim_expect_none(struct sim *s, const char *text); /* no line from here on has `text` in it */
void sim_broken(struct sim *s, const char *promise, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool sim_is_broken(const struct sim *s);

/* --- sim_node.c: the life of a node; its at-hand queue and its turns --- */

struct sim_node {
    struct sim *sim;
    size_t index;
    char name[8];          /* "n1" */
    struct driver *driver; /* NULL: dead */
    uint64_t life;         /* counts its starts; what belongs to an earlier one is dropped */
    bool paused;
    bool leaving; /* asked to; ends with driver_status.left */
    uint64_t asked_us;
    bool gone;                      /* for good */
    uint64_t clock_us, clock_at_us; /* own clock: clock_us at clock_at_us, and on from there at clock_rate */
    uint32_t clock_rate;            /* of the true rate, per million */
    int64_t unix_offset_ms;
    int calls_to_death; /* -1: none; else it dies after so many calls of its ports */
    bool dying;         /* died inside this turn: nothing leaves it any more */
    struct ports ports;
    struct mk_mem mem;
    size_t mem_live;
    struct hand *hand, **hand_end; /* what the loop would find at hand, in order of arrival */
    size_t frames_at_hand;
    bool turn_due;
    uint64_t tick_us;          /* when the next tick is queued; UINT64_MAX: none */
    uint64_t fed_us;           /* until when its executors may live, as it last told their supervisor */
    struct mk_hex incarnation; /* as its store calls say; empty before the first */
};

void sim_node_new(struct sim *s, size_t index);
void sim_node_start(struct sim *s, size_t index); /* a new life */
void sim_node_crash(struct sim *s, size_t index); /* kill -9 */
void sim_node_pause(struct sim *s, size_t index, uint64_t us);
void sim_node_leave(struct sim *s, size_t index);                /* SIGTERM; it comes back after a while */
void sim_node_gone(struct sim *s, size_t index);                 /* what is dead, or leaves, stays away for good */
void sim_node_drift(struct sim *s, size_t index, uint32_t rate); /* from now on, per million of the true rate */
bool sim_node_works(const struct sim *s, size_t index);          /* alive, not leaving, on the bus and the store */
void sim_node_free(struct sim *s, size_t index);
uint64_t sim_node_unix_ms(const struct sim_node *node);
uint64_t sim_node_now_ms(const struct sim_node *node);                   /* its own clock */
uint64_t sim_node_when_us(const struct sim_node *node, uint64_t own_ms); /* the virtual time at which it says so */
bool sim_node_lives(const struct sim_node *node, uint64_t life);
bool sim_node_may_act(struct sim_node *node); /* counts a call of a port; false: it died before this one */

/* What the ports put at hand. All copy. */
void sim_node_frame(struct sim_node *node, struct span frame);
void sim_node_reply(struct sim_node *node, uint64_t tag, const struct store_reply *reply);
void sim_node_store_up(struct sim_node *node, bool up);
void sim_node_run_done(struct sim_node *node, struct span session, const struct run_done *done);
void sim_node_boundary(struct sim_node *node, struct span session, const struct run_at *at, bool live);
void sim_node_injected(struct sim_node *node, struct span session, const struct run_injected *injected);

/* --- sim_chaos.c --- */

void sim_chaos(struct sim *s, void *self, uint64_t word); /* node and store faults, every 50 ms while the load lasts */

/* --- sim_rest.c: heal, wait until it is quiet, wake what was to wait, and look at everything once more --- */

bool sim_rest(struct sim *s, uint64_t pause_us); /* pauses where it is quiet. False: a promise is broken */
bool sim_rest_until(struct sim *s, bool (*done)(struct sim *s), const char *promise);

/* --- sim_bus.c: one hub, or several; what goes from an endpoint to another stays in order --- */

void sim_bus_new(struct sim *s);
struct bus_port sim_bus_port(struct sim *s, size_t node);
/* Endpoints: 0.. the nodes, then the clients, then the watcher. */
void sim_bus_send(struct sim *s, size_t endpoint, struct span frame);
enum way { WAY_IN = 1, WAY_OUT = 2, WAY_BOTH = 3 };                   /* what it hears, what it says */
void sim_bus_cut(struct sim *s, size_t endpoint, bool cut);           /* both ways */
void sim_bus_cut_ways(struct sim *s, size_t endpoint, enum way ways); /* exactly these; 0: none */
unsigned sim_bus_ways_cut(const struct sim *s, size_t endpoint);
bool sim_bus_is_cut(const struct sim *s, size_t endpoint); /* one way or both */
/* Stories: frames for which `lost` says so never arrive. NULL: none. */
void sim_bus_lose(struct sim *s, bool (*lost)(struct sim *s, size_t from, size_t to, struct span frame));

/* --- sim_store.c: the keyspace, and a connection from each node --- */

bool sim_store_new(struct sim *s);
void sim_store_free(struct sim *s);
struct store_port sim_store_port(struct sim *s, size_t node);
void sim_store_connect(struct sim *s, size_t node);       /* a new life dials */
void sim_store_abandon(struct sim *s, size_t node);       /* a life ended: nobody reads its replies */
void sim_store_down(struct sim *s, uint64_t us);          /* every connection ends; none can be made */
void sim_store_cut(struct sim *s, size_t node, bool cut); /* this node's calls and replies vanish, it cannot connect */
bool sim_store_reaches(const struct sim *s, size_t node); /* it is connected, and not cut off */
bool sim_store_is_cut(const struct sim *s, size_t node);
void sim_store_clock_back(struct sim *s, uint64_t us);
void sim_store_remember(struct sim *s);         /* what sim_store_forget goes back to */
void sim_store_forget(struct sim *s);           /* the tail is lost; every connection ends */
bool sim_store_half_done(const struct sim *s);  /* a script died half-way and was not repeated yet */
uint64_t sim_store_now_us(const struct sim *s); /* its own clock */
uint64_t sim_unix_us(const struct sim *s);      /* the true time */
/* Reading past the scripts, for the invariants. Absent spans: not there. Borrowed until the next execution. */
struct span sim_store_get(struct sim *s, uint32_t partition, char letter, struct span field);
void sim_store_each(struct sim *s, uint32_t partition, char letter,
                    void (*each)(struct sim *s, void *self, struct span field, struct span value), void *self);
/* Entries of the outbox ('o') or the dead letters ('d') with a commit sequence above `after`, in order. */
void sim_store_each_event(struct sim *s, uint32_t partition, char letter, uint64_t after,
                          void (*each)(struct sim *s, void *self, uint64_t sequence, struct span session,
                                       struct span message),
                          void *self);
uint64_t sim_store_first_entry(struct sim *s, uint32_t partition); /* its sequence; 0: the outbox is empty */

/* A call as the store sees it, for the invariants. */
struct sim_call {
    struct sim_node *node;
    uint64_t life, tag;
    enum script script;
    struct span *keys, *args;
    size_t key_count, arg_count;
    bool orphan; /* its connection ended: nobody reads the reply */
    bool wrote;  /* executed, and something may have been written */
};

/* --- sim_executor.c --- */

void sim_executors_new(struct sim *s);
struct executor_port sim_executor_port(struct sim *s, size_t node);
void sim_executors_die(struct sim *s, size_t node);                     /* with their node */
void sim_executors_feed(struct sim *s, size_t node, uint64_t until_us); /* then they die, unless fed again (rule 12) */
/* Runs of a session, or of a whole partition (session absent), that go on on nodes that turn. */
size_t sim_executors_at_work(const struct sim *s, struct span session, uint32_t partition);
size_t sim_executors_running(const struct sim *s);
bool sim_executors_deaf(const struct sim *s); /* a run goes on that was told to end: who waits for it waits */
/* An execution of this run took the input in, and said so before it ended. */
bool sim_executors_took(const struct sim *s, struct span session, struct span run, struct span input);

/* --- sim_client.c: publishers that keep the protocol, and the watcher --- */

void sim_clients_new(struct sim *s);
void sim_clients_start(struct sim *s); /* the load of the configuration */
void sim_client_frame(struct sim *s, size_t client, struct span frame);
void sim_watcher_frame(struct sim *s, struct span frame);
bool sim_clients_closed(struct sim *s); /* everything sent has a definite answer */
bool sim_clients_quiet(struct sim *s);  /* the same, but what was sent with wake: false may wait */
void sim_clients_settle(struct sim *s); /* no new load; what is refused again and again is withdrawn */
void sim_clients_wake_all(struct sim *s);
const char *sim_clients_open(struct sim *s); /* the first item without an answer, for people */
const struct mk_command *sim_clients_command(struct sim *s, struct span session, struct span id); /* NULL: none such */

const struct mk_input *sim_clients_input(struct sim *s, struct span session, struct span id); /* the same */

/* Scenarios send by hand; kept and repeated like any other. */
struct item;
struct item *sim_send(struct sim *s, const char *session, struct span body); /* body: a msgpack value */
struct item *sim_command(struct sim *s, const char *session, enum mk_op op);
struct item *sim_turn(struct sim *s, const char *session, uint64_t timeout_ms); /* of a service: begun, never ended */
struct item *sim_send_input(struct sim *s, const struct mk_input *input); /* id, ts, born, reply_to are the client's */
struct mk_input sim_draw_prompt(struct sim *s, size_t session); /* to the session of this index, as the load draws it */
void sim_fill_kind(struct sim *s, struct mk_input *in);         /* what its kind needs, and a fitting origin */
struct item *sim_send_command(struct sim *s, const struct mk_command *command, uint64_t written_ms_ago);
void sim_item_repeat(struct item *item);   /* the same once more, whatever was answered */
void sim_item_conflict(struct item *item); /* the same id once, with other content: to be answered id_conflict */
void sim_send_garbage(struct sim *s);
struct item *sim_item_of(struct sim *s, struct span session, struct span id); /* NULL: none such */
struct item *sim_item_next(struct sim *s, const struct item *after); /* of the first client; NULL: the first, none */
bool sim_item_closed(const struct item *item);
bool sim_item_accepted(const struct item *item);
const char *sim_item_answer(const struct item *item); /* "completed", "withdrawn", an error code...; "" while open */
struct span sim_item_id(const struct item *item);
struct span sim_item_session(const struct item *item);
bool sim_item_is_command(const struct item *item);
unsigned sim_item_sends(const struct item *item);
unsigned sim_item_refusals(const struct item *item);

/* --- invariants.c, invariants_said.c: called where things cross a port --- */

void checks_new(struct sim *s);
void checks_sent(struct sim *s, struct sim_node *node, const struct store_call *call);
void checks_answered(struct sim *s, const struct sim_call *call, const struct store_reply *reply);
void checks_executed(struct sim *s, const struct sim_call *call);
void checks_published(struct sim *s, struct sim_node *node, struct span frame);
void checks_started(struct sim *s, struct sim_node *node, const struct run_request *request);
void checks_turn(struct sim *s, struct sim_node *node);
void checks_watched(struct sim *s, struct span session, uint64_t seq, struct span message);
void checks_commanded(struct sim *s, struct span session, enum mk_op op); /* a client sends it */
void checks_quiet(struct sim *s);                                         /* P8: nothing that could run waits */
void checks_end(struct sim *s);
void checks_waits(struct sim *s, void *self, uint64_t word); /* every 20 ms: nobody waits longer than is stated */
void checks_left(struct sim *s, struct sim_node *node);      /* it says that it has left: its receipt adds up */
void checks_failed(struct sim *s, struct span session, const struct span *inputs, size_t count); /* a run of these */
bool checks_owned(struct sim *s);  /* every partition is owned by exactly one living node */
bool checks_wanted(struct sim *s); /* by the one with the highest rendezvous hash */
uint64_t checks_completions(const struct sim *s, const char *session);
uint64_t checks_attempts(struct sim *s, const char *session);     /* of its first active input, as stored */
uint64_t checks_starts(const struct sim *s, const char *session); /* runs started, repeats included */

/* --- scenarios*.c --- */

struct telling {
    const char *only; /* the story of this name, with its whole trace; NULL: all */
    bool verbose;
};

/* How many stories passed; adds to *failed. */
size_t scenarios_run(const struct telling *how, size_t *failed);
size_t scenarios_owner_run(const struct telling *how, size_t *failed);
size_t scenarios_cluster_run(const struct telling *how, size_t *failed);
size_t scenarios_handover_run(const struct telling *how, size_t *failed);
size_t scenarios_lessons_run(const struct telling *how, size_t *failed);
size_t scenarios_inject_run(const struct telling *how, size_t *failed);

#endif
