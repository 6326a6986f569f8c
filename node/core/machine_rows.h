/* The words of machine_table.h, for the files that read the table: machine.c, machine_print.c and their test.
 *
 * A row says: this input, in one of these phases, while all these guards hold, does these updates in this order, leads
 * there and emits these effects. Each guard and update is one small function of machine.c. */
#ifndef MEERKAT_CORE_MACHINE_ROWS_H
#define MEERKAT_CORE_MACHINE_ROWS_H

#include "node/core/machine_print.h"

/* Sets of phases. `to` is one phase, or one that is not known before the row is taken. */
enum {
    In = 1 << PHASE_INITIALIZING,
    Id = 1 << PHASE_IDLE,
    At = 1 << PHASE_ATTACHED,
    Ru = 1 << PHASE_RUNNING,
    Re = 1 << PHASE_RETIRED,
    St = 1 << PHASE_STOPPED,
    De = 1 << PHASE_DESTROYED,
    Same = 0,                 /* the phase stays */
    Pre = 1 << PHASE_COUNT,   /* where the run began: pre_run */
    Asked = 2 << PHASE_COUNT, /* the phase that the input names */
};

/* clang-format off */

/*    word            holds when */
#define MACHINE_GUARDS(X)                                                                                              \
    X(registered)     /* a session is registered */                                                                    \
    X(same_session)   /* and it is the one that the input names */                                                     \
    X(draining)       /* registration is Draining: an unregister is under way */                                       \
    X(loop_due)       /* the loop has not stopped for it yet */                                                        \
    X(comms_due)      /* the comms drain has not exited */                                                             \
    X(waiters_due)    /* the completion waiters are not resolved */                                                    \
    X(any_due)        /* one of these three */                                                                         \
    X(retaining)      /* the durable records outlive the registration */                                               \
    X(bound)          /* a runtime id is bound */                                                                      \
    X(fenced)         /* a runtime id and a fence are bound */                                                         \
    X(binding_whole)  /* the B given has a runtime id, a fence, and a generation or an epoch */                        \
    X(binding_equal)  /* it equals the current B; absent equals only absent */                                         \
    X(binding_fits)   /* each current component is absent or equal to the given */                                     \
    X(binding_next)   /* the same of runtime id and epoch; the fence given is higher, the generation the next */       \
    X(binding_sound)  /* it obeys the invariants of a binding */                                                       \
    X(run_given)      /* the input names a run */                                                                      \
    X(pair)           /* and the phase that the run began in, one that a run can begin in */                           \
    X(no_pair)        /* it names neither */                                                                           \
    X(same_run)       /* the run named is the current one */                                                           \
    X(recovered)      /* the current run was restored, and nobody executes it yet */                                   \
    X(over_retired)   /* the current run drains a retired session */                                                   \
    X(stop_falls)     /* a stop waits for the current run, which will not return to Attached */                        \
    X(turn_open)      /* a turn has begun and has no outcome yet */                                                    \
    X(turn_completed) /* the turn's outcome is Completed */                                                            \
    X(turn_failed)    /* the turn's outcome is Failed, and its cause known */                                          \
    X(turn_cancelled) /* the turn's outcome is Cancelled */                                                            \
    X(cause_known)    /* the input names a cause of failure, and not Unknown */                                        \
    X(seen_terminal)  /* the input only repeats that the turn is over */                                               \
    X(immediate)      /* flag of AcceptWithCompletion: it is to be processed at once */                                \
    X(interrupt)      /* flag of AcceptWithCompletion: the running turn is to yield */                                 \
    X(wake_if_idle)   /* flag of AcceptWithCompletion: an idle session is to be woken */                               \
    X(busy)           /* ResolveTranscriptEditAdmission: something runs or waits */                                    \
    X(asks_attached)  /* RecoverRuntimeAuthority: the phase to restore is Attached */                                  \
    X(asks_running)   /* the same: Running */                                                                          \
    X(asks_retired)   /* the same: Retired */                                                                          \
    X(asks_rest)      /* the same: Idle, Stopped or Destroyed */                                                       \
    X(asks_stop)      /* RecoverRuntimeAuthority: a deferred stop is to be restored */

/*    word            does */
#define MACHINE_UPDATES(X)                                                                                             \
    X(admit)          /* a session is registered; nothing stays of another's turn, result and silent intents */        \
    X(forget)         /* none is: no B, no run, no turn, no stop, no silent intents */                                 \
    X(restore)        /* everything that RecoverRuntimeAuthority names */                                              \
    X(bind)           /* B := given */                                                                                 \
    X(unbind)         /* B := absent */                                                                                \
    X(unfence)        /* fence := absent */                                                                            \
    X(activate)       /* registration := Active */                                                                     \
    X(release)        /* registration := Queuing, unless Draining */                                                   \
    X(drain)          /* registration := Draining, all three reports are due */                                        \
    X(retain)         /* the durable records outlive the registration */                                               \
    X(loop_done)      /* the loop has reported its stop */                                                             \
    X(comms_done)     /* the comms drain its exit */                                                                   \
    X(waiters_done)   /* the completion waiters their resolution */                                                    \
    X(undrain)        /* registration := Queuing, nothing is due, nothing retained */                                  \
    X(begin_run)      /* current_run := given, pre_run := phase; no result yet, no turn yet */                         \
    X(begin_turn)     /* current_run := given, pre_run := Attached unless one runs; the turn is open */                \
    X(resume)         /* a recovered run is executed from here on */                                                   \
    X(retire_run)     /* pre_run := Retired */                                                                         \
    X(complete_turn)  /* turn := Completed, unless it has an outcome; the run may publish its result */                \
    X(fail_turn)      /* turn := Failed, cause := given unless it has one; the run may publish its result */           \
    X(cancel_turn)    /* turn := Cancelled; the run may publish its result */                                          \
    X(end_run)        /* no current_run, no pre_run; an open turn ends with its run */                                 \
    X(defer_stop)     /* stop_deferred := true */                                                                      \
    X(drop_stop)      /* stop_deferred := false */                                                                     \
    X(end_all)        /* end_run, drop_stop, and no silent intents */                                                  \
    X(drop_intents)   /* silent intents := none */                                                                     \
    X(set_intents)    /* silent intents := given */

/* clang-format on */

/* A guard stands in a row as it is, or negated: -word, it must not hold. */
enum machine_guard {
    always,
#define X(word) word,
    MACHINE_GUARDS(X)
#undef X
        MACHINE_GUARD_COUNT
};

enum machine_update {
    nothing,
#define X(word) word,
    MACHINE_UPDATES(X)
#undef X
        MACHINE_UPDATE_COUNT
};

#define MACHINE_GUARDS_MAX  5
#define MACHINE_UPDATES_MAX 4

struct machine_row {
    enum machine_input_type input;
    unsigned from;                          /* set of phases */
    signed char guards[MACHINE_GUARDS_MAX]; /* each list ends with its zero, or at its end */
    enum machine_update updates[MACHINE_UPDATES_MAX];
    unsigned to;
    unsigned char effects[MACHINE_EFFECTS_MAX]; /* enum machine_effect */
};

extern const struct machine_row machine_rows[]; /* machine_row_count() of them */

bool machine_guard_holds(enum machine_guard guard, const struct machine *machine, const struct machine_input *in);
bool machine_row_matches(const struct machine_row *row, const struct machine *machine, const struct machine_input *in);

/* The first row that matches, or NULL: the input is rejected. */
const struct machine_row *machine_row_of(const struct machine *machine, const struct machine_input *in);

#endif
