/* The session machine: a pure state machine, one per session (semantics-core.md section 1). The table of transitions is
 * machine_table.h; this is its vocabulary. A rejected input changes nothing and emits nothing. */
#ifndef MEERKAT_CORE_MACHINE_H
#define MEERKAT_CORE_MACHINE_H

#include "node/core/span.h"

enum phase {
    PHASE_INITIALIZING,
    PHASE_IDLE,
    PHASE_ATTACHED,
    PHASE_RUNNING,
    PHASE_RETIRED,
    PHASE_STOPPED,
    PHASE_DESTROYED,
    PHASE_COUNT
};

enum registration { REGISTRATION_QUEUING, REGISTRATION_ACTIVE, REGISTRATION_DRAINING, REGISTRATION_COUNT };

enum turn { TURN_IDLE, TURN_OPEN, TURN_COMPLETED, TURN_FAILED, TURN_CANCELLED, TURN_COUNT };

enum failure_cause {
    CAUSE_NONE,
    CAUSE_UNKNOWN,
    CAUSE_PRIMITIVE_REJECTED,
    CAUSE_RUNTIME_APPLY,
    CAUSE_BUDGET_EXHAUSTED,
    CAUSE_TIME_BUDGET_EXCEEDED,
    CAUSE_STRUCTURED_OUTPUT_VALIDATION_FAILED,
    CAUSE_FAILED,
    CAUSE_COUNT
};

/* B of the semantics page. The runtime id is always "rt:session:" + session id, so only its presence is kept. */
struct binding {
    bool runtime, has_fence, has_generation; /* epoch.bytes == 0: absent */
    uint64_t fence, generation;
    struct mk_id epoch;
};

struct machine {
    enum phase phase;
    bool registered; /* session_id present */
    struct binding binding;
    struct mk_id current_run;
    enum phase pre_run; /* Idle, Attached or Retired; Initializing = none */
    bool recovered;     /* the current run was restored and nobody executes it yet: it may be bound again (D15) */
    bool stop_deferred;
    enum registration registration;
    bool draining_loop, draining_comms, draining_waiters; /* only while Draining */
    bool retains_snapshot;                                /* the same */
    enum turn turn;
    enum failure_cause cause;
    struct mk_id result_run;
    bool silent_intents; /* any are set; the set itself is the session's, which empties it when this falls */
};

enum machine_input_type {
    IN_INITIALIZE,
    IN_REGISTER_SESSION,
    IN_BEGIN_UNREGISTER_SESSION,
    IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER,
    IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER,
    IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER,
    IN_UNREGISTER_SESSION,
    IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY,
    IN_PREPARE_BINDINGS,
    IN_REBIND /* D15 */,
    IN_REVIVE /* D5 */,
    IN_ENSURE_SESSION_WITH_EXECUTOR,
    IN_RUNTIME_EXECUTOR_EXITED,
    IN_PREPARE,
    IN_DRAIN_QUEUED_RUN,
    IN_START_CONVERSATION_RUN,
    IN_RUN_COMPLETED,
    IN_RUN_FAILED,
    IN_RUN_CANCELLED,
    IN_COMMIT,
    IN_FAIL,
    IN_CANCEL_RUN,
    IN_ROLLBACK_RUN,
    IN_SERVICE_TURN_COMMITTED,
    IN_ACCEPT_WITH_COMPLETION,
    IN_ACCEPT_WITHOUT_WAKE,
    IN_INTERRUPT_CURRENT_RUN,
    IN_CANCEL_AFTER_BOUNDARY,
    IN_STOP_RUNTIME_EXECUTOR,
    IN_RETIRE,
    IN_RESET,
    IN_RECYCLE,
    IN_RECOVER,
    IN_DESTROY,
    IN_RESOLVE_TRANSCRIPT_EDIT_ADMISSION,
    IN_SET_SILENT_INTENTS,
    IN_INGEST,
    IN_PUBLISH_EVENT,
    IN_RECOVER_RUNTIME_AUTHORITY,
    IN_COUNT
};

struct machine_input {
    enum machine_input_type type;
    bool same_session;      /* the session named is the one registered, or none is (register); else false */
    struct binding binding; /* B given */
    struct mk_id run;
    enum failure_cause cause;
    bool machine_already_terminal;           /* RunFailed: the second form */
    bool immediate, interrupt, wake_if_idle; /* AcceptWithCompletion */
    bool running, active_inputs;             /* ResolveTranscriptEditAdmission */
    bool any_intents;                        /* SetSilentIntents: the new set is not empty */
    enum phase phase, pre_run;  /* RecoverRuntimeAuthority; with Running, or Retired over a run, both ... */
    bool active, stop_deferred; /* ... and an executor held the registration, a stop waited (D17, D18) */
};

enum machine_effect {
    FX_NONE,
    FX_RUNTIME_BOUND,
    FX_REQUEST_RUNTIME_LOOP_STOP_FOR_UNREGISTER,
    FX_REQUEST_COMMS_DRAIN_EXIT_FOR_UNREGISTER,
    FX_REQUEST_COMPLETION_WAITER_RESOLUTION_FOR_UNREGISTER,
    FX_RETAIN_SNAPSHOT,
    FX_DELETE_SNAPSHOT,
    FX_NOTICE_EXIT,
    FX_NOTICE_STOP,
    FX_NOTICE_RESET,
    FX_NOTICE_RECOVER,
    FX_SUBMIT_RUN_PRIMITIVE,
    FX_TURN_RUN_STARTED,
    FX_TURN_RUN_COMPLETED,
    FX_TURN_RUN_FAILED,
    FX_RECORD_TERMINAL_OUTCOME,
    FX_INGRESS_ACCEPTED,
    FX_WAKE_LOOP,
    FX_INTERRUPT_YIELDING,
    FX_REQUEST_IMMEDIATE_PROCESSING,
    FX_WAKE_INTERRUPT,
    FX_REQUEST_CANCELLATION_AT_BOUNDARY,
    FX_FACT_CANCEL_AFTER_BOUNDARY,
    FX_FACT_STOP_RUNTIME_EXECUTOR,
    FX_RUNTIME_RETIRED,
    FX_INITIATE_RECYCLE,
    FX_RUNTIME_DESTROYED,
    FX_DENIED_BUSY,
    FX_ADMISSIBLE,
    FX_RESOLVE_ADMISSION,
    FX_INGRESS_NOTICE,
    FX_COUNT
};

#define MACHINE_EFFECTS_MAX 4

struct machine_effects {
    enum machine_effect list[MACHINE_EFFECTS_MAX];
    size_t count;
};

/* Applies one input. Rejected (false): the machine is unchanged and `out` is empty. `out` may be NULL. Whoever applies
 * asks machine_broken afterwards. */
bool machine_apply(struct machine *machine, const struct machine_input *in, struct machine_effects *out);

bool machine_equal(const struct machine *a, const struct machine *b);

/* The first broken invariant of 1.5 as a sentence, or NULL. */
const char *machine_broken(const struct machine *machine);

enum phase machine_visible_phase(const struct machine *machine); /* Running over a retired one shows as Retired */
bool machine_accepts_input(const struct machine *machine);

const char *phase_name(enum phase phase); /* "idle" */
enum phase phase_parse(struct span text); /* PHASE_COUNT when unknown */
const char *registration_name(enum registration registration);
const char *machine_input_name(enum machine_input_type type); /* "RegisterSession" */
const char *machine_effect_name(enum machine_effect effect);  /* "RuntimeBound" */

static inline bool machine_has_effect(const struct machine_effects *fx, enum machine_effect wanted)
{
    for (size_t i = 0; i < fx->count; i++)
        if (fx->list[i] == wanted)
            return true;
    return false;
}

#endif
