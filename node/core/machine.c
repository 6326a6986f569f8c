#include "node/core/machine.h"

#include "node/core/machine_rows.h"

/* --- the table --- */

#define ROW(input_, from_, guards_, updates_, to_, effects_)                                                           \
    {.input = IN_##input_,                                                                                             \
     .from = from_,                                                                                                    \
     .guards = LIST guards_,                                                                                           \
     .updates = LIST updates_,                                                                                         \
     .to = to_,                                                                                                        \
     .effects = LIST effects_},
#define LIST(...)                                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

/* The effects as the table calls them. */
enum {
    none = FX_NONE,
    runtime_bound = FX_RUNTIME_BOUND,
    loop_stop = FX_REQUEST_RUNTIME_LOOP_STOP_FOR_UNREGISTER,
    comms_exit = FX_REQUEST_COMMS_DRAIN_EXIT_FOR_UNREGISTER,
    waiters_end = FX_REQUEST_COMPLETION_WAITER_RESOLUTION_FOR_UNREGISTER,
    retain_snapshot = FX_RETAIN_SNAPSHOT,
    delete_snapshot = FX_DELETE_SNAPSHOT,
    exit_notice = FX_NOTICE_EXIT,
    stop_notice = FX_NOTICE_STOP,
    reset_notice = FX_NOTICE_RESET,
    recover_notice = FX_NOTICE_RECOVER,
    submit_run = FX_SUBMIT_RUN_PRIMITIVE,
    run_started = FX_TURN_RUN_STARTED,
    run_completed = FX_TURN_RUN_COMPLETED,
    run_failed = FX_TURN_RUN_FAILED,
    terminal_outcome = FX_RECORD_TERMINAL_OUTCOME,
    accepted = FX_INGRESS_ACCEPTED,
    wake_loop = FX_WAKE_LOOP,
    yield = FX_INTERRUPT_YIELDING,
    process_now = FX_REQUEST_IMMEDIATE_PROCESSING,
    interrupt_wake = FX_WAKE_INTERRUPT,
    cancel_at_boundary = FX_REQUEST_CANCELLATION_AT_BOUNDARY,
    cancel_effect = FX_FACT_CANCEL_AFTER_BOUNDARY,
    stop_effect = FX_FACT_STOP_RUNTIME_EXECUTOR,
    runtime_retired = FX_RUNTIME_RETIRED,
    initiate_recycle = FX_INITIATE_RECYCLE,
    runtime_destroyed = FX_RUNTIME_DESTROYED,
    denied_busy = FX_DENIED_BUSY,
    admissible = FX_ADMISSIBLE,
    resolve_admission = FX_RESOLVE_ADMISSION,
    ingress_notice = FX_INGRESS_NOTICE,
};

const struct machine_row machine_rows[] = {
#include "node/core/machine_table.h"
};

size_t machine_row_count(void)
{
    return sizeof machine_rows / sizeof machine_rows[0];
}

/* --- guards: one function a word of machine_rows.h --- */

#define GUARD(word, expression)                                                                                        \
    static bool is_##word(const struct machine *m, const struct machine_input *in)                                     \
    {                                                                                                                  \
        (void)m, (void)in;                                                                                             \
        return (expression);                                                                                           \
    }

static bool epoch_equal(const struct binding *a, const struct binding *b)
{
    return span_equal(id_span(&a->epoch), id_span(&b->epoch));
}

static bool fence_equal(const struct binding *a, const struct binding *b)
{
    return a->has_fence == b->has_fence && (!a->has_fence || a->fence == b->fence);
}

static bool generation_equal(const struct binding *a, const struct binding *b)
{
    return a->has_generation == b->has_generation && (!a->has_generation || a->generation == b->generation);
}

static bool bindings_equal(const struct binding *a, const struct binding *b)
{
    return a->runtime == b->runtime && fence_equal(a, b) && generation_equal(a, b) && epoch_equal(a, b);
}

bool machine_equal(const struct machine *a, const struct machine *b)
{
    bool runs = span_equal(id_span(&a->current_run), id_span(&b->current_run)) &&
                span_equal(id_span(&a->result_run), id_span(&b->result_run)) && a->pre_run == b->pre_run &&
                a->recovered == b->recovered && a->turn == b->turn && a->cause == b->cause;
    bool leaving = a->draining_loop == b->draining_loop && a->draining_comms == b->draining_comms &&
                   a->draining_waiters == b->draining_waiters && a->retains_snapshot == b->retains_snapshot;
    return a->phase == b->phase && a->registered == b->registered && bindings_equal(&a->binding, &b->binding) &&
           a->stop_deferred == b->stop_deferred && a->registration == b->registration &&
           a->silent_intents == b->silent_intents && runs && leaving;
}

/* A component that is bound already may be repeated, never changed or left out. */
static bool bindings_fit(const struct binding *now, const struct binding *given)
{
    return (!now->runtime || given->runtime) && (!now->has_fence || fence_equal(now, given)) &&
           (!now->has_generation || generation_equal(now, given)) && (!now->epoch.bytes || epoch_equal(now, given));
}

/* What Reset or Recycle took away may be anything: the session remembers the epoch and counts the generation. */
static bool bindings_follow(const struct binding *now, const struct binding *given)
{
    return given->has_generation && (!now->runtime || given->runtime) &&
           (!now->epoch.bytes || epoch_equal(now, given)) && (!now->has_fence || given->fence > now->fence) &&
           (!now->has_generation || given->generation == now->generation + 1);
}

/* Fence, generation and epoch each imply a runtime id, and that implies generation or epoch. */
static bool binding_is_sound(const struct binding *b)
{
    bool incarnation = b->has_generation || b->epoch.bytes;
    return b->runtime ? incarnation : !incarnation && !b->has_fence;
}

static bool binding_is_whole(const struct binding *b)
{
    return b->runtime && b->has_fence && (b->has_generation || b->epoch.bytes);
}

static bool begins_runs(enum phase phase)
{
    return phase == PHASE_IDLE || phase == PHASE_ATTACHED || phase == PHASE_RETIRED;
}

static bool known_cause(enum failure_cause cause)
{
    return cause != CAUSE_NONE && cause != CAUSE_UNKNOWN;
}

static bool run_is_current(const struct machine *m, const struct machine_input *in)
{
    return in->run.bytes && span_equal(id_span(&in->run), id_span(&m->current_run));
}

GUARD(registered, m->registered)
GUARD(same_session, m->registered && in->same_session)
GUARD(draining, m->registration == REGISTRATION_DRAINING)
GUARD(loop_due, m->draining_loop)
GUARD(comms_due, m->draining_comms)
GUARD(waiters_due, m->draining_waiters)
GUARD(any_due, m->draining_loop || m->draining_comms || m->draining_waiters)
GUARD(retaining, m->retains_snapshot)
GUARD(bound, m->binding.runtime)
GUARD(fenced, m->binding.runtime && m->binding.has_fence)
GUARD(binding_whole, binding_is_whole(&in->binding))
GUARD(binding_equal, bindings_equal(&m->binding, &in->binding))
GUARD(binding_fits, bindings_fit(&m->binding, &in->binding))
GUARD(binding_next, bindings_follow(&m->binding, &in->binding))
GUARD(binding_sound, binding_is_sound(&in->binding))
GUARD(run_given, in->run.bytes)
GUARD(pair, in->run.bytes &&begins_runs(in->pre_run))
GUARD(no_pair, !in->run.bytes && in->pre_run == PHASE_INITIALIZING)
GUARD(same_run, run_is_current(m, in))
GUARD(recovered, m->recovered)
GUARD(over_retired, m->pre_run == PHASE_RETIRED)
GUARD(stop_falls, m->stop_deferred && m->pre_run != PHASE_ATTACHED)
GUARD(turn_open, m->turn == TURN_OPEN)
GUARD(turn_completed, m->turn == TURN_COMPLETED)
GUARD(turn_failed, m->turn == TURN_FAILED && known_cause(m->cause))
GUARD(turn_cancelled, m->turn == TURN_CANCELLED)
GUARD(cause_known, known_cause(in->cause))
GUARD(seen_terminal, in->machine_already_terminal)
GUARD(immediate, in->immediate)
GUARD(interrupt, in->interrupt)
GUARD(wake_if_idle, in->wake_if_idle)
GUARD(busy, in->running || in->active_inputs)
GUARD(asks_attached, in->phase == PHASE_ATTACHED)
GUARD(asks_running, in->phase == PHASE_RUNNING)
GUARD(asks_retired, in->phase == PHASE_RETIRED)
GUARD(asks_rest, in->phase == PHASE_IDLE || in->phase == PHASE_STOPPED || in->phase == PHASE_DESTROYED)
GUARD(asks_stop, in->stop_deferred)

bool machine_guard_holds(enum machine_guard guard, const struct machine *machine, const struct machine_input *in)
{
    static bool (*const guards[])(const struct machine *, const struct machine_input *) = {
#define X(word) [word] = is_##word,
        MACHINE_GUARDS(X)
#undef X
    };
    return guard == always || guards[guard](machine, in);
}

/* --- updates: the same --- */

#define UPDATE(word, statement)                                                                                        \
    static void do_##word(struct machine *m, const struct machine_input *in)                                           \
    {                                                                                                                  \
        (void)in;                                                                                                      \
        statement;                                                                                                     \
    }

static const struct mk_id no_id;

/* What belongs to a session, not to its runtime. */
static void wipe(struct machine *m)
{
    m->turn = TURN_IDLE;
    m->cause = CAUSE_NONE;
    m->result_run = no_id;
    m->silent_intents = false;
}

/* A turn without an outcome does not outlive its run: else no other could ever begin. */
static void leave_run(struct machine *m)
{
    m->current_run = no_id;
    m->pre_run = PHASE_INITIALIZING;
    m->recovered = false;
    if (m->turn == TURN_OPEN)
        m->turn = TURN_IDLE;
}

static void undue(struct machine *m)
{
    m->registration = REGISTRATION_QUEUING;
    m->draining_loop = m->draining_comms = m->draining_waiters = false;
    m->retains_snapshot = false;
}

static void enter_run(struct machine *m, const struct machine_input *in, enum phase pre_run, enum turn turn)
{
    m->current_run = in->run;
    m->pre_run = pre_run;
    m->recovered = false;
    m->turn = turn;
    m->cause = CAUSE_NONE;
    m->result_run = no_id;
}

static void end_turn(struct machine *m, enum turn outcome)
{
    m->turn = outcome;
    m->result_run = m->current_run;
}

UPDATE(admit, m->registered = true; wipe(m))
UPDATE(forget, m->registered = m->stop_deferred = false; m->binding = (struct binding){0}; leave_run(m); wipe(m))
UPDATE(bind, m->binding = in->binding)
UPDATE(unbind, m->binding = (struct binding){0})
UPDATE(unfence, m->binding.has_fence = false; m->binding.fence = 0)
UPDATE(activate, m->registration = REGISTRATION_ACTIVE)
UPDATE(release, if (m->registration != REGISTRATION_DRAINING) m->registration = REGISTRATION_QUEUING)
UPDATE(drain, m->registration = REGISTRATION_DRAINING;
       m->draining_loop = m->draining_comms = m->draining_waiters = true)
UPDATE(retain, m->retains_snapshot = true)
UPDATE(loop_done, m->draining_loop = false)
UPDATE(comms_done, m->draining_comms = false)
UPDATE(waiters_done, m->draining_waiters = false)
UPDATE(undrain, undue(m))
UPDATE(begin_run, enter_run(m, in, m->phase, TURN_IDLE))
UPDATE(begin_turn, enter_run(m, in, m->phase == PHASE_RUNNING ? m->pre_run : PHASE_ATTACHED, TURN_OPEN))
UPDATE(resume, m->recovered = false)
UPDATE(retire_run, m->pre_run = PHASE_RETIRED)
UPDATE(complete_turn, end_turn(m, m->turn == TURN_IDLE || m->turn == TURN_OPEN ? TURN_COMPLETED : m->turn))
UPDATE(fail_turn, end_turn(m, TURN_FAILED); if (m->cause == CAUSE_NONE) m->cause = in->cause)
UPDATE(cancel_turn, end_turn(m, TURN_CANCELLED))
UPDATE(end_run, leave_run(m))
UPDATE(defer_stop, m->stop_deferred = true)
UPDATE(drop_stop, m->stop_deferred = false)
UPDATE(end_all, leave_run(m); m->stop_deferred = m->silent_intents = false)
UPDATE(drop_intents, m->silent_intents = false)
UPDATE(set_intents, m->silent_intents = in->any_intents)

static void do_restore(struct machine *m, const struct machine_input *in)
{
    *m = (struct machine){
        .registered = true,
        .binding = in->binding,
        .current_run = in->run,
        .pre_run = in->pre_run,
        .recovered = in->phase == PHASE_RUNNING,
        .stop_deferred = in->stop_deferred,
        .registration = in->active ? REGISTRATION_ACTIVE : REGISTRATION_QUEUING,
    };
}

static void update(struct machine *machine, const struct machine_input *in, enum machine_update word)
{
    static void (*const updates[])(struct machine *, const struct machine_input *) = {
#define X(name) [name] = do_##name,
        MACHINE_UPDATES(X)
#undef X
    };
    updates[word](machine, in);
}

/* --- the dispatcher --- */

static bool guards_hold(const struct machine_row *row, const struct machine *machine, const struct machine_input *in)
{
    for (size_t i = 0; i < MACHINE_GUARDS_MAX && row->guards[i] != always; i++) {
        bool negated = row->guards[i] < 0;
        enum machine_guard guard = (enum machine_guard)(negated ? -row->guards[i] : row->guards[i]);
        if (machine_guard_holds(guard, machine, in) == negated)
            return false;
    }
    return true;
}

bool machine_row_matches(const struct machine_row *row, const struct machine *machine, const struct machine_input *in)
{
    return row->input == in->type && row->from & 1u << machine->phase && guards_hold(row, machine, in);
}

const struct machine_row *machine_row_of(const struct machine *machine, const struct machine_input *in)
{
    for (const struct machine_row *row = machine_rows; row < machine_rows + machine_row_count(); row++)
        if (machine_row_matches(row, machine, in))
            return row;
    return NULL;
}

static enum phase destination(const struct machine_row *row, const struct machine *machine,
                              const struct machine_input *in)
{
    switch (row->to) {
    case Same:
        return machine->phase;
    case Pre:
        return machine->pre_run;
    case Asked:
        return in->phase;
    default:
        break;
    }
    enum phase to = PHASE_INITIALIZING;
    while (1u << to != row->to)
        to++;
    return to;
}

bool machine_apply(struct machine *machine, const struct machine_input *in, struct machine_effects *out)
{
    if (out)
        memset(out, 0, sizeof *out);
    const struct machine_row *row = machine_row_of(machine, in);
    if (!row)
        return false;
    enum phase to = destination(row, machine, in);
    for (size_t i = 0; i < MACHINE_UPDATES_MAX && row->updates[i] != nothing; i++)
        update(machine, in, row->updates[i]);
    machine->phase = to;
    for (size_t i = 0; out && i < MACHINE_EFFECTS_MAX && row->effects[i] != FX_NONE; i++)
        out->list[out->count++] = (enum machine_effect)row->effects[i];
    return true;
}

/* --- what others ask --- */

/* Invariants in which one thing implies another, in the words of 1.5. */
const char *machine_broken(const struct machine *m)
{
    bool leaving = m->registration == REGISTRATION_DRAINING;
    bool due = m->draining_loop || m->draining_comms || m->draining_waiters;
    bool runs = m->current_run.bytes;
    if (!binding_is_sound(&m->binding))
        return "fence, generation and epoch need a runtime id, which needs generation or epoch";
    if (m->phase == PHASE_RUNNING && !runs)
        return "running without a current run";
    if (runs && m->phase != PHASE_RUNNING && m->phase != PHASE_RETIRED)
        return "a current run outside running and retired";
    if (runs ? !begins_runs(m->pre_run) : m->pre_run != PHASE_INITIALIZING)
        return "a current run needs the phase that it began in, and the other way round";
    if (m->recovered && m->phase != PHASE_RUNNING)
        return "a recovered run outside running";
    if (m->stop_deferred && m->phase != PHASE_ATTACHED && m->phase != PHASE_RUNNING)
        return "a deferred stop outside attached and running";
    if (!leaving && (due || m->retains_snapshot))
        return "something is due or retained for an unregister that is not under way";
    return NULL;
}

enum phase machine_visible_phase(const struct machine *machine)
{
    bool drains = machine->phase == PHASE_RUNNING && machine->pre_run == PHASE_RETIRED;
    return drains ? PHASE_RETIRED : machine->phase;
}

bool machine_accepts_input(const struct machine *machine)
{
    enum phase phase = machine_visible_phase(machine);
    return phase == PHASE_IDLE || phase == PHASE_ATTACHED || phase == PHASE_RUNNING;
}
