/* Section 1.3 of semantics-core.md once more, with D2, D5, D15, D17 and D18: read from the page by hand, as plain code
 * without rows, words or order, to compare the table with. */
#ifndef MEERKAT_TESTS_MACHINE_PAGE_H
#define MEERKAT_TESTS_MACHINE_PAGE_H

#include "node/core/machine.h"

struct page {
    struct machine *m;
    const struct machine_input *in;
    struct machine_effects *fx;
};

static inline bool page_emit(const struct page *p, enum machine_effect effect)
{
    p->fx->list[p->fx->count++] = effect;
    return true;
}

static inline bool page_in(const struct page *p, const char *phases)
{
    static const char letters[] = "NIARTSD"; /* Initializing, Idle, Attached, Running, reTired, Stopped, Destroyed */
    return strchr(phases, letters[p->m->phase]) != NULL;
}

/* --- B --- */

static inline bool page_same_text(const struct mk_id *a, const struct mk_id *b)
{
    return a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0;
}

static inline bool page_same_fence(const struct binding *a, const struct binding *b)
{
    return a->has_fence ? b->has_fence && a->fence == b->fence : !b->has_fence;
}

static inline bool page_same_generation(const struct binding *a, const struct binding *b)
{
    return a->has_generation ? b->has_generation && a->generation == b->generation : !b->has_generation;
}

/* s and all of B equal; absent matches only absent. */
static inline bool page_is_it(const struct page *p)
{
    const struct binding *a = &p->m->binding, *b = &p->in->binding;
    return p->m->registered && p->in->same_session && a->runtime == b->runtime && page_same_fence(a, b) &&
           page_same_generation(a, b) && page_same_text(&a->epoch, &b->epoch);
}

static inline bool page_prepare_bindings(const struct page *p)
{
    const struct binding *now = &p->m->binding, *b = &p->in->binding;
    bool given = b->runtime && b->has_fence && (b->has_generation || b->epoch.bytes);
    if (!page_in(p, "NIARTS") || !p->m->registered || !p->in->same_session || !given)
        return false;
    if (page_is_it(p))
        return true;
    if ((now->has_fence && !page_same_fence(now, b)) || (now->has_generation && !page_same_generation(now, b)) ||
        (now->epoch.bytes && !page_same_text(&now->epoch, &b->epoch)))
        return false;
    p->m->binding = *b;
    if (p->m->phase == PHASE_IDLE)
        p->m->phase = PHASE_ATTACHED;
    return page_emit(p, FX_RUNTIME_BOUND);
}

/* D15; a component that Reset or Recycle took may come back with any value. */
static inline bool page_rebind(const struct page *p)
{
    const struct binding *now = &p->m->binding, *b = &p->in->binding;
    bool phase = page_in(p, "IATS") || (page_in(p, "R") && p->m->recovered);
    if (!phase || !p->m->registered || !p->in->same_session || !b->runtime || !b->has_fence || !b->has_generation)
        return false;
    if ((now->has_fence && b->fence <= now->fence) || (now->has_generation && b->generation != now->generation + 1) ||
        (now->epoch.bytes && !page_same_text(&now->epoch, &b->epoch)))
        return false;
    p->m->binding = *b;
    p->m->recovered = false;
    return page_emit(p, FX_RUNTIME_BOUND);
}

/* --- what several inputs do --- */

static inline void page_clear_run(struct machine *m)
{
    memset(&m->current_run, 0, sizeof m->current_run);
    m->pre_run = PHASE_INITIALIZING;
    m->recovered = false;
    if (m->turn == TURN_OPEN)
        m->turn = TURN_IDLE;
}

static inline void page_wipe(struct machine *m)
{
    m->turn = TURN_IDLE;
    m->cause = CAUSE_NONE;
    memset(&m->result_run, 0, sizeof m->result_run);
    m->silent_intents = false;
}

static inline void page_end_drain(struct machine *m)
{
    m->registration = REGISTRATION_QUEUING;
    m->draining_loop = m->draining_comms = m->draining_waiters = m->retains_snapshot = false;
}

static inline bool page_known(enum failure_cause cause)
{
    return cause > CAUSE_UNKNOWN;
}

/* --- registration, unregister, executor --- */

static inline bool page_register(const struct page *p)
{
    if (!page_in(p, "IARTS"))
        return false;
    if (p->m->registered && p->in->same_session)
        return true;
    p->m->registered = true;
    page_wipe(p->m);
    return true;
}

static inline bool page_begin_unregister(const struct page *p)
{
    struct machine *m = p->m;
    if (!page_in(p, "IARTS") || !page_is_it(p) || m->registration == REGISTRATION_DRAINING)
        return false;
    m->registration = REGISTRATION_DRAINING;
    m->draining_loop = m->draining_comms = m->draining_waiters = true;
    m->retains_snapshot = machine_visible_phase(m) == PHASE_RETIRED || m->phase == PHASE_STOPPED; /* D2 */
    page_emit(p, FX_REQUEST_RUNTIME_LOOP_STOP_FOR_UNREGISTER);
    page_emit(p, FX_REQUEST_COMMS_DRAIN_EXIT_FOR_UNREGISTER);
    return page_emit(p, FX_REQUEST_COMPLETION_WAITER_RESOLUTION_FOR_UNREGISTER);
}

static inline bool page_report(const struct page *p, bool *flag)
{
    bool due = page_in(p, "IARTS") && p->m->registered && p->in->same_session &&
               p->m->registration == REGISTRATION_DRAINING && *flag;
    if (due)
        *flag = false;
    return due;
}

static inline bool page_unregister(const struct page *p)
{
    struct machine *m = p->m;
    if (!page_in(p, "IARTS") || !page_is_it(p) || m->registration != REGISTRATION_DRAINING || m->draining_loop ||
        m->draining_comms || m->draining_waiters)
        return false;
    page_clear_run(m);
    page_wipe(m);
    page_end_drain(m);
    memset(&m->binding, 0, sizeof m->binding);
    m->registered = m->stop_deferred = false;
    m->phase = PHASE_IDLE;
    return true;
}

static inline bool page_resolve_durability(const struct page *p)
{
    return page_in(p, "IARTS") && page_is_it(p) &&
           page_emit(p, p->m->retains_snapshot ? FX_RETAIN_SNAPSHOT : FX_DELETE_SNAPSHOT);
}

static inline bool page_ensure(const struct page *p)
{
    if (page_in(p, "TS"))
        return true;
    if (!page_in(p, "IAR") || p->m->registration == REGISTRATION_DRAINING)
        return false;
    p->m->registration = REGISTRATION_ACTIVE;
    if (p->m->phase == PHASE_ATTACHED)
        p->m->stop_deferred = false;
    if (p->m->phase == PHASE_IDLE)
        p->m->phase = PHASE_ATTACHED;
    return true;
}

static inline bool page_exited(const struct page *p)
{
    struct machine *m = p->m;
    if (!page_in(p, "IARTS"))
        return false;
    if (m->registration != REGISTRATION_DRAINING)
        m->registration = REGISTRATION_QUEUING;
    if (m->phase == PHASE_STOPPED)
        return true;
    m->phase = machine_visible_phase(m) == PHASE_RETIRED ? PHASE_RETIRED : PHASE_STOPPED; /* D2 */
    page_clear_run(m);
    m->stop_deferred = m->silent_intents = false;
    return page_emit(p, FX_NOTICE_EXIT);
}

static inline bool page_recover_authority(const struct page *p)
{
    const struct machine_input *in = p->in;
    const struct binding *b = &in->binding;
    bool begun = in->pre_run == PHASE_IDLE || in->pre_run == PHASE_ATTACHED || in->pre_run == PHASE_RETIRED;
    bool both = in->run.bytes && begun, neither = !in->run.bytes && in->pre_run == PHASE_INITIALIZING;
    bool wanted = in->phase == PHASE_RUNNING ? both : in->phase == PHASE_RETIRED ? both || neither : neither;
    bool stop = !in->stop_deferred || in->phase == PHASE_RUNNING || in->phase == PHASE_ATTACHED;
    bool sound =
        b->runtime ? b->has_generation || b->epoch.bytes : !b->has_fence && !b->has_generation && !b->epoch.bytes;
    if (!page_in(p, "N") || in->phase == PHASE_INITIALIZING || !wanted || !stop || !sound)
        return false;
    memset(p->m, 0, sizeof *p->m);
    p->m->phase = in->phase;
    p->m->registered = true;
    p->m->binding = *b;
    p->m->current_run = in->run;
    p->m->pre_run = in->pre_run;
    p->m->recovered = in->phase == PHASE_RUNNING;
    p->m->stop_deferred = in->stop_deferred;
    p->m->registration = in->active ? REGISTRATION_ACTIVE : REGISTRATION_QUEUING;
    return true;
}

/* --- runs --- */

static inline bool page_begin_run(const struct page *p, const char *phases, enum phase pre_run, enum turn turn)
{
    struct machine *m = p->m;
    if (!page_in(p, phases) || !p->in->run.bytes)
        return false;
    m->current_run = p->in->run;
    m->pre_run = pre_run;
    m->recovered = false;
    m->turn = turn;
    m->cause = CAUSE_NONE;
    memset(&m->result_run, 0, sizeof m->result_run);
    m->phase = PHASE_RUNNING;
    return page_emit(p, turn == TURN_OPEN ? FX_TURN_RUN_STARTED : FX_SUBMIT_RUN_PRIMITIVE);
}

static inline bool page_start_turn(const struct page *p)
{
    const struct machine *m = p->m;
    enum phase pre_run = m->phase == PHASE_RUNNING ? m->pre_run : PHASE_ATTACHED;
    if (m->turn == TURN_OPEN || (m->phase == PHASE_IDLE && !m->binding.runtime))
        return false;
    return page_begin_run(p, "NIAR", pre_run, TURN_OPEN);
}

static inline bool page_current(const struct page *p)
{
    return page_in(p, "R") && p->in->run.bytes && page_same_text(&p->in->run, &p->m->current_run);
}

static inline bool page_outcome(const struct page *p, enum turn outcome)
{
    p->m->turn = outcome;
    p->m->result_run = p->m->current_run;
    return true;
}

static inline bool page_completed(const struct page *p)
{
    bool over = p->m->turn > TURN_OPEN;
    return page_current(p) && page_outcome(p, over ? p->m->turn : TURN_COMPLETED) &&
           page_emit(p, FX_TURN_RUN_COMPLETED);
}

static inline bool page_failed(const struct page *p)
{
    struct machine *m = p->m;
    bool may =
        p->in->machine_already_terminal ? m->turn == TURN_FAILED && page_known(m->cause) : page_known(p->in->cause);
    if (!page_current(p) || !may)
        return false;
    page_outcome(p, TURN_FAILED);
    if (m->cause == CAUSE_NONE)
        m->cause = p->in->cause;
    return page_emit(p, FX_TURN_RUN_FAILED) && page_emit(p, FX_WAKE_LOOP);
}

/* D18: a stop that cannot stand where the run returns to is told again. */
static inline bool page_end_run(const struct page *p, bool may, bool records)
{
    struct machine *m = p->m;
    bool falls = m->stop_deferred && m->pre_run != PHASE_ATTACHED;
    if (!page_current(p) || !may)
        return false;
    m->phase = m->pre_run;
    page_clear_run(m);
    m->stop_deferred = m->stop_deferred && !falls;
    if (records)
        page_emit(p, FX_RECORD_TERMINAL_OUTCOME);
    return !falls || page_emit(p, FX_FACT_STOP_RUNTIME_EXECUTOR);
}

/* --- admission --- */

static inline bool page_accept(const struct page *p)
{
    const struct machine_input *in = p->in;
    bool runs = p->m->phase == PHASE_RUNNING;
    if (!page_in(p, "IAR") || !p->m->registered || (in->interrupt && (!runs || in->immediate)))
        return false;
    page_emit(p, FX_INGRESS_ACCEPTED);
    if (in->immediate)
        page_emit(p, FX_REQUEST_IMMEDIATE_PROCESSING);
    else if (in->interrupt)
        page_emit(p, FX_INTERRUPT_YIELDING);
    else if (!runs || in->wake_if_idle)
        page_emit(p, FX_WAKE_LOOP);
    return !(in->immediate && p->m->phase == PHASE_ATTACHED) || page_emit(p, FX_SUBMIT_RUN_PRIMITIVE);
}

static inline bool page_intents(const struct page *p)
{
    if (!page_in(p, "IARTS") || !p->m->registered)
        return false;
    if (p->m->phase != PHASE_STOPPED)
        p->m->silent_intents = p->in->any_intents;
    return true;
}

/* --- commands --- */

static inline bool page_stop(const struct page *p)
{
    struct machine *m = p->m;
    bool waits = page_in(p, "AR");
    if (!waits && !page_in(p, "NIT"))
        return false;
    if (!waits)
        page_clear_run(m);
    m->stop_deferred = waits;
    m->silent_intents = false;
    return page_emit(p, FX_NOTICE_STOP) && page_emit(p, FX_FACT_STOP_RUNTIME_EXECUTOR);
}

static inline bool page_retire(const struct page *p)
{
    struct machine *m = p->m;
    if (!page_in(p, "IART"))
        return false;
    if (m->phase == PHASE_RUNNING) { /* D2 */
        m->pre_run = PHASE_RETIRED;
    } else {
        m->phase = PHASE_RETIRED;
        m->stop_deferred = false;
    }
    return !(m->binding.runtime && m->binding.has_fence) || page_emit(p, FX_RUNTIME_RETIRED);
}

static inline bool page_reset(const struct page *p)
{
    struct machine *m = p->m;
    if (!page_in(p, "NIAT"))
        return false;
    page_clear_run(m);
    m->binding.has_fence = m->stop_deferred = m->silent_intents = false;
    m->binding.fence = 0;
    m->phase = PHASE_IDLE;
    return page_emit(p, FX_NOTICE_RESET);
}

static inline bool page_recycle(const struct page *p)
{
    struct machine *m = p->m;
    if (!page_in(p, "IAT") || !m->registered)
        return false;
    memset(&m->binding, 0, sizeof m->binding);
    page_clear_run(m);
    if (m->phase == PHASE_RETIRED)
        m->phase = PHASE_IDLE;
    return page_emit(p, FX_INITIATE_RECYCLE);
}

static inline bool page_destroy(const struct page *p)
{
    struct machine *m = p->m;
    if (m->phase == PHASE_DESTROYED || (m->phase == PHASE_INITIALIZING && !m->binding.runtime))
        return false;
    page_clear_run(m);
    page_end_drain(m);
    m->stop_deferred = m->silent_intents = false;
    m->phase = PHASE_DESTROYED;
    return page_emit(p, FX_RUNTIME_DESTROYED);
}

/* --- all of it --- */

static inline bool page_take(const struct page *p)
{
    struct machine *m = p->m;
    switch (p->in->type) {
    case IN_INITIALIZE:
        return page_in(p, "N") && (m->phase = PHASE_IDLE, true);
    case IN_REGISTER_SESSION:
        return page_register(p);
    case IN_BEGIN_UNREGISTER_SESSION:
        return page_begin_unregister(p);
    case IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER:
        return page_report(p, &m->draining_loop);
    case IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER:
        return page_report(p, &m->draining_comms);
    case IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER:
        return page_report(p, &m->draining_waiters);
    case IN_UNREGISTER_SESSION:
        return page_unregister(p);
    case IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY:
        return page_resolve_durability(p);
    case IN_PREPARE_BINDINGS:
        return page_prepare_bindings(p);
    case IN_REBIND:
        return page_rebind(p);
    case IN_REVIVE: /* D5 */
        return page_in(p, "S") && m->registered && p->in->same_session && m->registration != REGISTRATION_DRAINING &&
               (m->phase = PHASE_IDLE, true);
    case IN_ENSURE_SESSION_WITH_EXECUTOR:
        return page_ensure(p);
    case IN_RUNTIME_EXECUTOR_EXITED:
        return page_exited(p);
    case IN_PREPARE:
        return m->registered && page_begin_run(p, "IA", m->phase, TURN_IDLE);
    case IN_DRAIN_QUEUED_RUN:
        return m->registered && page_begin_run(p, "T", PHASE_RETIRED, TURN_IDLE);
    case IN_START_CONVERSATION_RUN:
        return page_start_turn(p);
    case IN_RUN_COMPLETED:
        return page_completed(p);
    case IN_RUN_FAILED:
        return page_failed(p);
    case IN_RUN_CANCELLED:
        return page_current(p) && page_outcome(p, TURN_CANCELLED);
    case IN_COMMIT:
    case IN_ROLLBACK_RUN:
        return page_end_run(p, true, false);
    case IN_FAIL:
        return page_end_run(p, m->turn == TURN_FAILED && page_known(m->cause), true);
    case IN_CANCEL_RUN:
        return page_end_run(p, m->turn == TURN_CANCELLED, true);
    case IN_SERVICE_TURN_COMMITTED:
        return page_end_run(p, m->turn == TURN_COMPLETED, false);
    case IN_ACCEPT_WITH_COMPLETION:
        return page_accept(p);
    case IN_ACCEPT_WITHOUT_WAKE:
        return page_in(p, "IAR") && m->registered && page_emit(p, FX_INGRESS_ACCEPTED);
    case IN_INTERRUPT_CURRENT_RUN:
        return page_in(p, "AR") && page_emit(p, FX_WAKE_INTERRUPT) && page_emit(p, FX_REQUEST_CANCELLATION_AT_BOUNDARY);
    case IN_CANCEL_AFTER_BOUNDARY:
        return page_in(p, "AR") && page_emit(p, FX_REQUEST_CANCELLATION_AT_BOUNDARY) &&
               page_emit(p, FX_FACT_CANCEL_AFTER_BOUNDARY);
    case IN_STOP_RUNTIME_EXECUTOR:
        return page_stop(p);
    case IN_RETIRE:
        return page_retire(p);
    case IN_RESET:
        return page_reset(p);
    case IN_RECYCLE:
        return page_recycle(p);
    case IN_RECOVER:
        return page_in(p, "NIATS") && page_emit(p, FX_NOTICE_RECOVER);
    case IN_DESTROY:
        return page_destroy(p);
    case IN_RESOLVE_TRANSCRIPT_EDIT_ADMISSION:
        return page_in(p, "IAR") &&
               page_emit(p, p->in->running || p->in->active_inputs ? FX_DENIED_BUSY : FX_ADMISSIBLE);
    case IN_SET_SILENT_INTENTS:
        return page_intents(p);
    case IN_INGEST:
        return page_in(p, "IAR") && page_is_it(p) && m->binding.runtime && m->binding.has_fence &&
               page_emit(p, FX_RESOLVE_ADMISSION);
    case IN_PUBLISH_EVENT:
        return page_in(p, "IARTS") && m->registered && page_emit(p, FX_INGRESS_NOTICE);
    case IN_RECOVER_RUNTIME_AUTHORITY:
        return page_recover_authority(p);
    case IN_COUNT:
        break;
    }
    return false;
}

/* As machine_apply. What is rejected may have touched *m. */
static inline bool page_apply(struct machine *m, const struct machine_input *in, struct machine_effects *fx)
{
    struct page p = {m, in, fx};
    memset(fx, 0, sizeof *fx);
    return page_take(&p);
}

#endif
