/* One session: its machine, its ledger of inputs, its numbers, and the stage on which an event's changes wait for the
 * store.
 *
 * Pure. The node (node.c) drives it so:
 *   session_apply(event)*  ->  the stage holds what changed and what is to be said
 *   stage.wants not empty  ->  session_undo, read the facts, session_know, apply the same events again
 *   stage.durable          ->  one section of a commit; then session_commit, or session_undo + session_know + again
 *   not durable            ->  session_commit at once
 * Nothing of a stage is said, published or executed before session_commit. While a section is in flight no event is
 * applied. One file writes each struct: ledger.c the ledger, session*.c the rest; everybody else reads. */
#ifndef MEERKAT_CORE_SESSION_H
#define MEERKAT_CORE_SESSION_H

#include "node/core/blob.h"
#include "node/core/doc.h"
#include "node/core/ledger.h"
#include "node/core/machine.h"
#include "node/core/record.h"

/* One execution of a run. */
struct run_at {
    struct mk_id run;
    uint64_t attempt;
};

/* What the session may know of the world while it applies an event. Borrowed for the call, but node: for ever. */
struct session_ctx {
    const struct mk_mem *mem;
    uint64_t now_ms;    /* this node's clock: backoff */
    uint64_t store_ms;  /* the store's clock, as well as it is known: deadlines, durable times */
    uint64_t random[2]; /* fresh for every event: ids of runs and epochs are made of it */
    uint64_t fence;     /* of the partition, now */
    struct span node;
    bool hold_runs;            /* the partition is being given away: no run is selected */
    const struct run_at *live; /* the run at whose turn boundary the executor takes inputs in; NULL: none */
    bool auto_register;        /* a valid input creates the session */
    bool storeless;            /* nothing outlives the node: no record is retained */
    uint64_t owned_since_ms;   /* store time: since when the partition is this node's */
    bool (*executor_known)(void *self, struct span name); /* "" or absent: the default one */
    void *self;
};

/* --- facts: what the store remembers of names (record.h), as far as the session has been told --- */

struct fact {
    struct fact *next;
    enum fact_kind kind;
    struct mk_id name;
    bool exists;
    bool stale; /* of an ephemeral input under a fence that is over: as if it did not exist, and replaced */
    struct fact_record record; /* its spans point into `bytes`' data */
    struct mk_blob *bytes;     /* the stored record; NULL when it does not exist */
};

struct fact_want {
    struct fact_want *next;
    enum fact_kind kind;
    struct mk_id name;
};

/* A record for hash `t`. condition: the name must be unknown to the store (or hold exactly this record), else the
 * section is skipped. Without condition: it replaces what is there. */
struct fact_write {
    struct fact_write *next;
    bool condition;
    bool forget; /* the name is to be deleted */
    bool memo;   /* no event names it: the outbox gets a memo, for retention */
    struct mk_id name;
    struct fact_record record;
    struct staged_event *completion; /* terminal input: record.bytes is this event's encoding */
    struct answer *result;           /* command: record.bytes is this answer's encoding, a result */
    struct mk_doc *receipt;          /* receipt: record.bytes is this, packed; owned */
    struct admitted *input;          /* keeps the record's other spans alive, or NULL */
    struct mk_id run;                /* storage of record.run */
};

/* --- what an event leads to, once committed --- */

/* A numbered event (P7): published on ev/<session>; a completion also goes to its waiters. */
struct staged_event {
    struct staged_event *next;
    bool is_completion;
    union {
        struct mk_completion completion;
        struct mk_effect effect;
    } as;
    struct mk_doc *data;    /* effect's data; owned */
    struct mk_blob *result; /* completion's result; kept */
    struct mk_blob *text;   /* completion's error message, reason or receipt digest; an executor event's name; kept */
    struct mk_session_id session; /* storage of spans in `as`, with the next */
    struct mk_id run, epoch, input, aggregate, idem;
    struct mk_id waiters[WAITERS_MAX]; /* re/<client> addresses */
    size_t waiter_count;
    struct admitted *dead; /* a completion: the input that becomes a dead letter with it; kept. NULL: none does */
    enum abandon_reason dead_why;
    uint64_t dead_attempts;
    struct mk_blob *bytes; /* the encoded message, set once by the driver when it encodes the commit */
};

enum answer_type { ANSWER_ADMISSION, ANSWER_RESULT };

struct answer {
    struct answer *next;
    enum answer_type type;
    struct mk_id to; /* re/<to>; absent: nobody asked */
    struct mk_id re;
    union {
        struct mk_admission admission;
        struct mk_result result;
    } as;
    struct mk_doc *data; /* result's; owned */
    struct mk_blob
        *bytes; /* a stored completion or result that is answered as it is: admission.completion, or the whole result */
    struct mk_id existing; /* storage */
    char text[REASON_BYTES_MAX];
};

/* What the executor is to be told. */
struct executor_order {
    bool start;           /* the session's current run, by `run` */
    bool hard_cancel;     /* the run named `cancel` */
    bool boundary_cancel; /* the same, cooperatively */
    struct mk_id cancel;
    bool inject; /* inputs to its current run: the entries whose offer is due */
    bool stop;   /* the session's executor is done */
};

struct stage {
    bool open;
    bool durable; /* something must be written */
    bool failed;  /* no memory: undo; answer overloaded */
    bool state_changed;
    struct session_core *before; /* the copy to go back to; private to session.c */
    struct answer *answers, **answers_end;
    struct staged_event *events, **events_end;
    struct fact_write *writes, **writes_end;
    struct fact_want *wants;
    uint64_t *removed; /* admission sequences whose rows are to be deleted; rows to write: entries with `dirty` */
    size_t removed_count, removed_room;
    struct executor_order order;
    uint64_t minted; /* ids made of this event's random numbers */
};

/* An unregister that waits for the current run to end. Not durable: who has no answer repeats the command. */
struct leaving {
    struct mk_id to, re; /* whom to answer; re absent: nobody unregisters */
    uint64_t digest;
    uint64_t until_ms; /* by the node's clock: after it, the run is given up */
};

/* A turn that a service outside owns (StartConversationRun): the session is Running, and nothing is executed. Not
 * durable: it ends with its node. */
struct service_turn {
    struct mk_id run;  /* absent: none */
    uint64_t until_ms; /* by the node's clock: after it, the turn is given up */
};

/* What session_undo goes back over: everything that an event may change. */
struct session_core {
    struct machine machine;
    struct ledger ledger;
    struct carried carried;
    struct mk_id executor; /* durable name; absent: the default */
    bool attached;         /* an executor is attached */
    bool wake;             /* a wake is pending: the lanes are to be looked at */
    struct run_record run; /* the current run; id absent: none */
    bool run_ordered;      /* the executor has been told (only after a commit) */
    bool recovery_owed;    /* its run is to start again, and the partition was being given away */
    bool stop_owed;        /* a stop waited for what ended with its node, in a phase in which none can wait */
    bool retained;         /* unregistered while Retired or Stopped: nobody sees it until it is registered again */
    struct leaving leaving;
    struct service_turn service;   /* never beside `run` */
    struct failure_record failure; /* the last one */
    uint64_t not_before_ms;        /* backoff: no run starts before this, by the node's clock */
    uint64_t next_event;
    uint64_t terminal_count, horizon_ms, created_ms;
    struct mk_id last_run;
    uint64_t last_receipt_sequence;
    struct mk_blob *state; /* executor's opaque state; NULL: none */
    struct mk_id intents[SILENT_INTENTS_MAX];
    size_t intent_count;
    uint64_t generation;
};

/* What a session waits for (`why`). */
enum wait {
    WAIT_NOTHING,
    WAIT_EXECUTOR,     /* an executor to attach */
    WAIT_RUN,          /* the end of its run */
    WAIT_SERVICE_TURN, /* the end of a service's turn */
    WAIT_BACKOFF,      /* the time of the next attempt */
    WAIT_HANDOVER,     /* the next owner of its partition */
    WAIT_UNREGISTER,   /* its run, to be unregistered then */
    WAIT_STOP,         /* its run, to be stopped then */
    WAIT_WAKE,         /* somebody to wake it: its inputs asked not to */
    WAIT_COUNT
};

struct waiting {
    enum wait what;
    struct mk_id run;
    uint64_t attempt;
    uint64_t since_ms; /* store time */
    bool exact;        /* else it was so already when the session came into this memory */
};

struct session {
    struct mk_session_id id;
    uint32_t partition;
    const struct mk_mem *mem;
    struct session_core core;
    struct stage stage;
    struct fact *facts; /* told by the node; dropped when the stage is committed */
    uint64_t *unread;   /* admission sequences whose rows cannot be used, ascending: they stay listed (L35) */
    size_t unread_count;
    bool held;               /* the partition is being given away: work that could run is left to the next owner */
    struct mk_id taken_back; /* a run that was cancelled for that reason: not by anybody's wish */
    uint64_t fence;          /* of the event that was applied last */
    struct waiting waiting;  /* as of the last commit */
    uint64_t event_ms;       /* store time of the event that was applied last */
    bool restored;           /* from its records, and nothing was committed since */
    const char *fault;       /* an event broke an invariant half-way, if only for a moment; NULL: none did */
};

/* --- events --- */

enum run_end { RUN_RESULT, RUN_NO_RESULT, RUN_CALLBACK_PENDING, RUN_FAILED, RUN_CANCELLED, RUN_STOPPED, RUN_INTERNAL };

struct executor_event {
    struct span name, data; /* data: one msgpack value */
};

/* What an executor returned. Borrowed for the call. */
struct run_done {
    struct mk_id run;
    uint64_t attempt;
    enum run_end end;
    const struct span *results; /* one per input, or one, or none: msgpack values */
    size_t result_count;
    bool has_state;
    struct span state;  /* the new state */
    struct span digest; /* conversation digest, or absent */
    const struct executor_event *events;
    size_t event_count;
    enum failure_cause cause; /* RUN_FAILED */
    enum mk_err error;        /* RUN_FAILED: executor_failed, result_too_large, ... */
    bool final;               /* RUN_FAILED: the executor says that trying again is of no use */
    struct span message;
};

/* What the executor says of an input that it was asked to take into a turn: staged, or not. */
struct run_injected {
    struct run_at at;
    struct mk_id input;
    bool ok;
};

/* The names under which an input that ended, or a command that was done, before `up_to_ms` (store time) is remembered;
 * absent ones have no bytes. */
struct session_trim {
    uint64_t up_to_ms;
    struct mk_id input, idem, receipt, command;
};

enum session_event_type {
    EV_SESSION_INPUT,    /* input */
    EV_SESSION_COMMAND,  /* command: every op of a session but `events` and `dead`, which the node answers */
    EV_SESSION_RUN_DONE, /* done; for another run or attempt than the current one: ignored */
    EV_SESSION_INJECTED, /* injected; the same */
    EV_SESSION_TICK,     /* backoff or a deadline is due */
    EV_SESSION_REBIND, /* the partition has a new fence: D15; recovered runs start again with attempt + 1, deaths + 1 */
    EV_SESSION_PART,   /* the partition leaves this node: what is not durable ends here, and says so */
    EV_SESSION_TRIM    /* trim: what is remembered of an old input or command is forgotten (rule 8) */
};

struct session_event {
    enum session_event_type type;
    const struct mk_input *input;
    const struct mk_command *command;
    const struct run_done *done;
    const struct run_injected *injected;
    const struct session_trim *trim;
};

/* A session that nobody has heard of: Initializing, nothing registered. NULL when there is no memory. */
struct session *session_new(const struct mk_mem *mem, struct span id, uint32_t partition);

/* The same from its records; rows in any order. The caller stages EV_SESSION_REBIND next.
 *   errors   QUARANTINED (the head cannot be used: note says why; *out is NULL), OVERLOADED (no memory). A row that
 * cannot be used is left out and counted in *bad_rows (D7); what the head lists and no row could be made of stays
 * listed, for a program that can read it. */
enum mk_err session_restore(struct session **out, const struct mk_mem *mem, struct span id, uint32_t partition,
                            const struct session_record *head, const struct input_record *rows, size_t row_count,
                            struct span state, size_t *bad_rows, struct mk_note *note);
void session_free(struct session *session); /* NULL is allowed */

/* Applies one event to the stage, opening it when it is not open. Never fails: what could not be done is an answer, a
 * want, or stage.failed. After a want nothing more is applied until it is undone. */
void session_apply(struct session *session, const struct session_ctx *ctx, const struct session_event *event);

/* The stage is durable (or needed no store): it becomes the truth, the caller has taken what it wanted from the stage,
 * which is emptied here. */
void session_commit(struct session *session);

/* The session as it was before the stage was opened; everything staged is gone. Facts stay. */
void session_undo(struct session *session);

/* Tells what the store holds of a name; `record` NULL: nothing. Copies. False: no memory. `bytes`: the stored record,
 * which `record`'s spans point into. */
bool session_know(struct session *session, enum fact_kind kind, struct span name, const struct fact_record *record,
                  struct span bytes);
void session_forget(struct session *session); /* drops the facts */

/* What a stage held, when its taker is done with it. NULL is allowed. */
void staged_answer_free(const struct mk_mem *mem, struct answer *answer);
void staged_event_free(const struct mk_mem *mem, struct staged_event *event);

/* The durable form of the session as staged. `active` has room for ACTIVE_INPUTS_MAX; both are lent to *out. */
void session_record_of(const struct session *session, uint64_t store_ms, uint64_t *active, struct session_record *out);
void input_record_of(const struct entry *entry, struct input_record *out);

/* When to send EV_SESSION_TICK, by the node's clock; UINT64_MAX: never. store_ms maps deadlines to it. */
uint64_t session_due_ms(const struct session *session, uint64_t now_ms, uint64_t store_ms);

/* The run that goes on, an executor's or a service's; absent: none. */
struct span session_run(const struct session *session);

/* Nothing runs, waits or is staged: it may leave memory. */
bool session_idle(const struct session *session);

/* No promise or invariant is broken by the session as it stands, or was on the way there; else a sentence. Checked by
 * the node after every event: it then quarantines the session. */
const char *session_broken(const struct session *session);

#endif
