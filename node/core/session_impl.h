/* What the files of a session share: session*.c and stage.c, nobody else. Every function works on the open stage;
 * without memory it sets stage.failed and does nothing more, so callers go on or return as they like: the node undoes
 * it all. */
#ifndef MEERKAT_CORE_SESSION_IMPL_H
#define MEERKAT_CORE_SESSION_IMPL_H

#include "node/core/session.h"

/* A session that is being changed by one event. */
struct turn_of {
    struct session *session;
    const struct session_ctx *ctx;
};

/* --- stage.c: what an event leads to --- */

bool stage_open(struct session *session); /* false: no memory; nothing is open */
void session_core_fini(struct session_core *core, const struct mk_mem *mem);
void stage_clear(struct session *session);

/* Each appends to the stage; NULL: no memory. A name has one write in a stage: the last wish for it holds. */
struct answer *stage_answer(struct session *session, enum answer_type type, struct span to, struct span re);
struct fact_write *stage_write(struct session *session, enum fact_kind kind, struct span name);
/* The same for a name that must be new to the store, or stale there. */
struct fact_write *stage_write_new(struct session *session, enum fact_kind kind, struct span name);
/* NULL: not in this stage. What is to be forgotten is not found: until then the store is asked for it. */
struct fact_write *stage_written(const struct session *session, enum fact_kind kind, struct span name);
void stage_forget(struct session *session, enum fact_kind kind, struct span name);
struct staged_event *stage_effect(const struct turn_of *turn,
                                  enum mk_effect_name name); /* with a data map that is open */
struct staged_event *stage_completion(const struct turn_of *turn, const struct entry *entry, enum mk_outcome outcome);
void stage_want(struct session *session, enum fact_kind kind, struct span name);
void stage_row_removed(struct session *session, uint64_t seq);
void stage_run_id(const struct turn_of *turn, struct mk_id *out); /* 32 hex digits of the event's random numbers */

/* What the node told of a name; NULL: nothing was told. Look into the ledger and the stage first. */
const struct fact *session_fact(const struct session *session, enum fact_kind kind, struct span name);

/* --- session.c --- */

static inline bool phase_is_over(enum phase phase)
{
    return phase == PHASE_STOPPED || phase == PHASE_DESTROYED;
}

/* Applies an input to the machine; a rejection changes nothing. */
bool session_machine(struct session *session, const struct machine_input *in, struct machine_effects *fx);
bool session_step(struct session *session, enum machine_input_type type,
                  struct machine_effects *fx); /* of the registered session */

/* Whether clients know the session: it is registered, or destroyed. */
bool session_known(const struct session *session);
enum phase
session_phase(const struct session *session); /* the visible phase; Destroyed when nobody knows the session */

/* Registers what is not, also a record that was kept. False: the machine refused. */
bool session_register(const struct turn_of *turn);

/* Registers, binds and attaches what is not (the session's first input). False: the machine refused. */
bool session_bring_up(const struct turn_of *turn, struct span executor);
bool session_bind(const struct turn_of *turn);
bool session_attach(const struct turn_of *turn, struct span executor);
void session_rebind(const struct turn_of *turn, const struct binding *before);
void session_bound_event(const struct turn_of *turn);
/* The machine's effects that are numbered events of their own. */
void session_announce(const struct turn_of *turn, const struct machine_effects *fx, struct span reason);

/* --- session_admit.c --- */

void session_admit(const struct turn_of *turn, const struct mk_input *input);

/* --- session_end.c --- */

/* How an input ends. Spans are copied; result is shared. */
struct ending {
    enum input_phase phase;
    enum abandon_reason reason;
    enum mk_outcome outcome;
    struct mk_blob *result;
    enum mk_err error;
    struct span message; /* of the error; without one, the reason */
    const struct mk_receipt *receipt;
    struct span aggregate;
};

/* Publishes the completion and makes it durable as a fact; the entry stays where it is. */
void session_say_end(const struct turn_of *turn, const struct entry *entry, const struct ending *ending);
/* The same, deletes the row and forgets the entry. */
void session_end_input(const struct turn_of *turn, uint64_t seq, const struct ending *ending);
/* seqs: the contributors' admission sequences, in order; they are still in the ledger. */
void session_write_receipt(const struct turn_of *turn, const struct mk_receipt *receipt, const uint64_t *seqs,
                           size_t count);
/* The run's next receipt: 1, 2, 3... for what is injected, then one for itself (D3); alone it has 0. */
uint64_t session_next_receipt(struct session *session, const struct mk_id *run, bool injection);
/* Every active input, for one reason; how many. */
size_t session_abandon_all(const struct turn_of *turn, enum abandon_reason reason, struct span message);
struct ending ending_terminated(enum abandon_reason reason, struct span message);
void session_expire(const struct turn_of *turn); /* inputs whose deadline has passed (rule 10) */

/* --- session_run.c --- */

void session_run_done(const struct turn_of *turn, const struct run_done *done);
/* The current run ends as cancelled, told by the executor or because it was never told of it. */
void session_run_cancelled(const struct turn_of *turn);
/* The current run is forgotten; its inputs are queued again as if they had not been selected. */
void session_roll_back(const struct turn_of *turn);
/* The machine has left the run behind (reset, destroy, stop): the executor is told to end it. */
void session_drop_run(const struct turn_of *turn);
void session_recover_run(const struct turn_of *turn); /* after a rebind: the same run again */
/* The machine has returned to where a run began: what waited for that is done. */
void session_after_run(const struct turn_of *turn, const struct machine_effects *fx);
void session_finish_stop(const struct turn_of *turn); /* the executor is gone: RuntimeExecutorExited and what follows */
bool session_can_run(const struct session *session);  /* the machine admits a run, and an executor is there */
void session_settle(const struct turn_of *turn);      /* starts the next run, if one can start */

/* --- session_inject.c --- */

/* An input was admitted with this signal: it goes into the running turn, if that can take it. */
void session_offer(const struct turn_of *turn, const struct entry *entry, const struct machine_effects *signal);
void session_injected(const struct turn_of *turn, const struct run_injected *injected);
void session_end_offers(const struct turn_of *turn); /* the run is over: what was not answered stays queued */
/* A run has committed, or the session ended: nothing is carried any more. */
void session_drop_carried(const struct turn_of *turn);
void session_carried_failed(const struct turn_of *turn); /* a run failed with it */

/* --- session_service.c: turns that a service outside owns --- */

void session_service_cancelled(const struct turn_of *turn); /* a turn is going on, and is to end */
void session_service_expired(const struct turn_of *turn);   /* the same: its time is up */

/* --- session_why.c --- */

struct waiting session_waits(const struct session *session); /* for what, since when; as the session stands */
/* Kept in the head, for `why`. The message is shortened. */
void session_note_failure(const struct turn_of *turn, struct span run, enum mk_err error, struct span message,
                          bool will_retry);
void session_why(const struct turn_of *turn, const struct mk_command *command);

/* --- session_command.c, session_query.c --- */

void session_command(const struct turn_of *turn, const struct mk_command *command);
void session_query(const struct turn_of *turn, const struct mk_command *command);

/* A result that is ok, with a map of data that is open. NULL: no memory. */
struct answer *answer_ok(const struct turn_of *turn, const struct mk_command *command);
/* One that is not, with the session's phase where that is the reason. NULL: no memory. */
struct answer *answer_error(const struct turn_of *turn, const struct mk_command *command, enum mk_err err);
void session_finish_leaving(const struct turn_of *turn); /* the run is over: the unregister goes on */

/* What is known of an input, in this order: active, ended in this stage, told by the node. */
enum known { KNOWN_UNASKED, KNOWN_NOT, KNOWN_ACTIVE, KNOWN_STAGED, KNOWN_FACT };

struct knowledge {
    enum known how;
    const struct entry *entry;        /* ACTIVE */
    const struct fact_record *record; /* STAGED, FACT */
    struct fact_write *write;         /* STAGED */
};

struct knowledge session_know_input(const struct session *session, struct span id);

#endif
