/* A session's life in memory: made, changed by one event at a time, committed or taken back; what of it is durable. */
#include "node/core/session_impl.h"

#include <assert.h>

/* --- made and freed --- */

struct session *session_new(const struct mk_mem *mem, struct span id, uint32_t partition)
{
    struct session *session = mem_alloc(mem, sizeof *session);
    if (!session)
        return NULL;
    session->mem = mem;
    session->partition = partition;
    session->core.ledger.next_admission = 1;
    session->core.next_event = 1;
    if (session_id_set(&session->id, id))
        return session;
    mem_free(mem, session);
    return NULL;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    stage_clear(session);
    session_forget(session);
    session_core_fini(&session->core, session->mem);
    mem_free(session->mem, session->unread);
    mem_free(session->mem, session);
}

/* --- the machine --- */

bool session_machine(struct session *session, const struct machine_input *in, struct machine_effects *fx)
{
    struct machine *machine = &session->core.machine, before = *machine;
    struct machine_effects mine;
    if (!machine_apply(machine, in, fx ? fx : &mine))
        return false;
    if (!session->fault)
        session->fault = machine_broken(machine);
    session->stage.durable |= !machine_equal(machine, &before);
    if (!machine->silent_intents)
        session->core.intent_count = 0;
    return true;
}

bool session_step(struct session *session, enum machine_input_type type, struct machine_effects *fx)
{
    struct machine_input in = {.type = type, .same_session = true, .binding = session->core.machine.binding};
    in.run = session->core.machine.current_run;
    return session_machine(session, &in, fx);
}

bool session_known(const struct session *session)
{
    const struct machine *machine = &session->core.machine;
    return machine->phase == PHASE_DESTROYED || (machine->registered && !session->core.retained);
}

enum phase session_phase(const struct session *session)
{
    return session_known(session) ? machine_visible_phase(&session->core.machine) : PHASE_DESTROYED;
}

void session_bound_event(const struct turn_of *turn)
{
    const struct binding *binding = &turn->session->core.machine.binding;
    struct staged_event *event = stage_effect(turn, MK_RUNTIME_BOUND);
    if (!event)
        return;
    char runtime[SESSION_ID_BYTES_MAX + 16] = "rt:session:";
    memcpy(runtime + strlen(runtime), turn->session->id.text, turn->session->id.bytes);
    doc_put_text(event->data, "runtime", span_of(runtime));
    doc_put_u64(event->data, "fence", binding->fence);
    doc_put_u64(event->data, "generation", binding->generation);
    doc_put_text(event->data, "epoch", id_span(&binding->epoch));
}

void session_announce(const struct turn_of *turn, const struct machine_effects *fx, struct span reason)
{
    static const struct {
        enum machine_effect effect;
        enum mk_effect_name name;
        const char *notice;
    } numbered[] = {
        {FX_NOTICE_EXIT, MK_RUNTIME_NOTICE, "exit"},    {FX_NOTICE_STOP, MK_RUNTIME_NOTICE, "stop"},
        {FX_NOTICE_RESET, MK_RUNTIME_NOTICE, "reset"},  {FX_NOTICE_RECOVER, MK_RUNTIME_NOTICE, "recover"},
        {FX_RUNTIME_RETIRED, MK_RUNTIME_RETIRED, NULL}, {FX_RUNTIME_DESTROYED, MK_RUNTIME_DESTROYED, NULL},
    };
    for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++) {
        if (!machine_has_effect(fx, numbered[i].effect))
            continue;
        struct staged_event *event = stage_effect(turn, numbered[i].name);
        if (!event)
            return;
        if (numbered[i].notice)
            doc_put_text(event->data, "notice", span_of(numbered[i].notice));
        if (reason.bytes)
            doc_put_text(event->data, "reason", reason);
    }
}

bool session_bind(const struct turn_of *turn)
{
    struct session *session = turn->session;
    const struct binding *now = &session->core.machine.binding;
    if (now->runtime && now->has_fence) {
        struct binding before = *now;
        if (before.fence != turn->ctx->fence) /* its record was kept, unregistered, while the partition changed hands */
            session_rebind(turn, &before);
        return true;
    }
    struct machine_input in = {.type = IN_PREPARE_BINDINGS, .same_session = true, .binding = *now};
    struct machine_effects fx;
    in.binding.runtime = true;
    in.binding.has_fence = true;
    in.binding.fence = turn->ctx->fence;
    if (!now->has_generation) {
        in.binding.has_generation = true;
        in.binding.generation = session->core.generation + 1;
    }
    if (!now->epoch.bytes)
        stage_run_id(turn, &in.binding.epoch);
    if (!session_machine(session, &in, &fx))
        return false;
    session->core.generation = in.binding.generation;
    if (machine_has_effect(&fx, FX_RUNTIME_BOUND))
        session_bound_event(turn);
    return true;
}

/* D15: the same runtime id and epoch, a new fence, the next generation. A session that was never bound stays so. */
void session_rebind(const struct turn_of *turn, const struct binding *before)
{
    struct session *session = turn->session;
    if (!before->runtime)
        return;
    struct machine_input in = {.type = IN_REBIND, .same_session = true, .binding = *before};
    in.binding.has_fence = true;
    in.binding.fence = turn->ctx->fence;
    in.binding.has_generation = true;
    in.binding.generation = session->core.generation + 1;
    if (!session_machine(session, &in, NULL))
        return;
    session->core.generation = in.binding.generation;
    session_bound_event(turn);
}

bool session_attach(const struct turn_of *turn, struct span executor)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    if (core->attached)
        return true;
    if (!session_step(session, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL) ||
        core->machine.registration != REGISTRATION_ACTIVE)
        return false;
    core->attached = true;
    core->wake |= core->ledger.count > 0; /* what was queued before runs now */
    session->stage.durable = true;
    if (executor.bytes)
        id_set(&core->executor, executor);
    return true;
}

bool session_register(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    if (core->machine.phase == PHASE_INITIALIZING && !session_step(session, IN_INITIALIZE, NULL))
        return false;
    if (!session_step(session, IN_REGISTER_SESSION, NULL))
        return false;
    if (core->retained)
        session->stage.durable = true;
    core->retained = false;
    if (!core->created_ms)
        core->created_ms = turn->ctx->store_ms;
    return true;
}

bool session_bring_up(const struct turn_of *turn, struct span executor)
{
    struct session_core *core = &turn->session->core;
    if (!session_register(turn))
        return false;
    core->attached = false;
    memset(&core->executor, 0, sizeof core->executor);
    return session_bind(turn) && session_attach(turn, executor);
}

/* --- events --- */

static void rebound(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct binding before = session->core.machine.binding;
    if (!session_known(session) || session->core.machine.phase == PHASE_DESTROYED)
        return;
    session_rebind(turn, &before);
    session_recover_run(turn);
    bool stops = session->core.stop_owed || session->core.machine.stop_deferred;
    if (stops && !session->core.run.id.bytes)
        session_finish_stop(turn); /* it waited for a turn that ended with its node */
}

static void forget(const struct turn_of *turn, enum fact_kind kind, const struct mk_id *name)
{
    if (name->bytes)
        stage_forget(turn->session, kind, id_span(name));
}

/* Rule 8: a retry that was born before the horizon finds nothing any more, and is too late. */
static void trimmed(const struct turn_of *turn, const struct session_trim *trim)
{
    struct session_core *core = &turn->session->core;
    if (trim->up_to_ms > core->horizon_ms)
        core->horizon_ms = trim->up_to_ms;
    core->terminal_count -= trim->input.bytes && core->terminal_count > 0;
    turn->session->stage.durable = true;
    forget(turn, FACT_INPUT, &trim->input);
    forget(turn, FACT_KEY, &trim->idem);
    forget(turn, FACT_RECEIPT, &trim->receipt);
    forget(turn, FACT_COMMAND, &trim->command);
}

/* The next owner would not know of it: it must not vanish without a word (L18). */
static void parted(const struct turn_of *turn)
{
    struct ledger *ledger = &turn->session->core.ledger;
    struct ending ending = ending_terminated(ABANDON_STOPPED, SPAN_LIT("its partition went to another node"));
    for (size_t i = 0; i < ledger->count && !turn->session->stage.failed;) {
        const struct entry *entry = ledger->entries[i];
        if (!entry_is_durable(entry) && entry->phase == INPUT_QUEUED)
            session_end_input(turn, entry->seq, &ending);
        else
            i++;
    }
}

static void ticked(const struct turn_of *turn)
{
    struct session_core *core = &turn->session->core;
    if (core->leaving.re.bytes && core->run.id.bytes && turn->ctx->now_ms >= core->leaving.until_ms)
        session_run_cancelled(turn); /* L8: the grace is over */
    if (core->service.run.bytes && turn->ctx->now_ms >= core->service.until_ms)
        session_service_expired(turn);
}

static void dispatch(const struct turn_of *turn, const struct session_event *event)
{
    switch (event->type) {
    case EV_SESSION_INPUT:
        session_admit(turn, event->input);
        break;
    case EV_SESSION_COMMAND:
        session_command(turn, event->command);
        break;
    case EV_SESSION_INJECTED:
        session_injected(turn, event->injected);
        break;
    case EV_SESSION_RUN_DONE:
        session_run_done(turn, event->done);
        break;
    case EV_SESSION_TICK:
        ticked(turn);
        break;
    case EV_SESSION_REBIND:
        rebound(turn);
        break;
    case EV_SESSION_PART:
        parted(turn);
        break;
    case EV_SESSION_TRIM:
        trimmed(turn, event->trim);
        break;
    }
}

static void seal_doc(struct stage *stage, struct mk_doc *doc)
{
    if (!doc)
        return;
    while (doc->depth)
        doc_end(doc);
    stage->failed |= doc->failed;
}

/* Closes the documents that the event left open, and learns whether one of them had no memory. */
static void seal(struct stage *stage)
{
    for (struct answer *answer = stage->answers; answer; answer = answer->next) {
        seal_doc(stage, answer->data);
        if (answer->type == ANSWER_RESULT)
            answer->as.result.data = answer->data;
    }
    for (struct staged_event *event = stage->events; event; event = event->next)
        seal_doc(stage, event->data);
    for (struct fact_write *write = stage->writes; write; write = write->next)
        seal_doc(stage, write->receipt);
}

void session_apply(struct session *session, const struct session_ctx *ctx, const struct session_event *event)
{
    struct stage *stage = &session->stage;
    const struct turn_of turn = {session, ctx};
    assert(!stage->wants && !stage->failed);
    if (!stage->open && !stage_open(session)) {
        stage->failed = true;
        return;
    }
    session->held = ctx->hold_runs;
    session->fence = ctx->fence;
    session->event_ms = ctx->store_ms;
    stage->minted = 0;
    dispatch(&turn, event);
    if (!stage->wants && !stage->failed)
        session_settle(&turn);
    seal(stage);
}

void session_commit(struct session *session)
{
    bool started = session->stage.order.start;
    struct session_core *core = &session->core;
    stage_clear(session);
    session_forget(session);
    if (started)
        core->run_ordered = true;
    for (size_t i = 0; i < core->ledger.count; i++) { /* shared with nobody any more */
        struct entry *entry = core->ledger.entries[i];
        entry->dirty = false;
        if (entry->offer == OFFER_DUE)
            entry->offer = OFFER_MADE;
    }
    for (size_t i = 0; i < core->carried.count; i++)
        core->carried.entries[i]->dirty = false;
    session->waiting = session_waits(session);
    session->restored = false;
}

void session_undo(struct session *session)
{
    struct session_core *before = session->stage.before;
    if (before) {
        session_core_fini(&session->core, session->mem);
        session->core = *before;
        mem_free(session->mem, before);
        session->stage.before = NULL;
    }
    stage_clear(session);
}

/* --- what is durable --- */

/* What is restored: the phase itself (D17), of a run where it began. A name may be remembered before there is a
 * session. */
static enum phase stored_phase(const struct machine *machine)
{
    if (machine->phase == PHASE_INITIALIZING)
        return PHASE_IDLE;
    return machine->phase == PHASE_RUNNING ? machine->pre_run : machine->phase;
}

/* Into an ascending list. */
static void insert(uint64_t *list, size_t count, uint64_t seq)
{
    while (count > 0 && list[count - 1] > seq) {
        list[count] = list[count - 1];
        count--;
    }
    list[count] = seq;
}

/* The durable inputs, those that are carried and, while the session is not over, those that could not be read;
 * ascending. */
static size_t list_active(const struct session *session, uint64_t *active)
{
    const struct ledger *ledger = &session->core.ledger;
    size_t count = 0, unread = 0, unread_count = phase_is_over(session->core.machine.phase) ? 0 : session->unread_count;
    for (size_t i = 0; i < ledger->count; i++) {
        while (unread < unread_count && session->unread[unread] < ledger->entries[i]->seq)
            active[count++] = session->unread[unread++];
        if (entry_is_durable(ledger->entries[i]))
            active[count++] = ledger->entries[i]->seq;
    }
    while (unread < unread_count)
        active[count++] = session->unread[unread++];
    const struct carried *carried = &session->core.carried;
    for (size_t i = 0; i < carried->count; i++)
        if (entry_is_durable(carried->entries[i]))
            insert(active, count++, carried->entries[i]->seq);
    return count;
}

void session_record_of(const struct session *session, uint64_t store_ms, uint64_t *active, struct session_record *out)
{
    const struct session_core *core = &session->core;
    const struct machine *machine = &core->machine;
    size_t count = list_active(session, active);
    *out = (struct session_record){
        .version = SESSION_RECORD_VERSION,
        .phase = stored_phase(machine),
        .registered = machine->registered && !core->retained,
        .attached = core->attached,
        .stop_deferred = machine->stop_deferred,
        .binding = machine->binding,
        .executor = id_span(&core->executor),
        .next_admission = core->ledger.next_admission,
        .next_event = core->next_event,
        .terminal_count = core->terminal_count,
        .horizon_ms = core->horizon_ms,
        .created_ms = core->created_ms,
        .updated_ms = store_ms,
        .last_run = core->last_run,
        .last_receipt_sequence = core->last_receipt_sequence,
        .failure = core->failure,
        .run = core->run.id.bytes ? &core->run : NULL,
        .active = active,
        .active_count = count,
    };
    for (size_t i = 0; i < core->carried.count; i++)
        if (entry_is_durable(core->carried.entries[i]))
            out->injected[out->injected_count++] = core->carried.entries[i]->seq;
}

void input_record_of(const struct entry *entry, struct input_record *out)
{
    *out = (struct input_record){
        .version = INPUT_RECORD_VERSION,
        .input = entry->input->input,
        .seq = entry->seq,
        .order = entry->order,
        .lane = entry->lane,
        .phase = entry->phase,
        .attempts = entry->attempts,
        .deaths = entry->deaths,
        .recoveries = entry->recoveries,
        .last_run = id_span(&entry->run),
        .last_boundary_sequence = entry->boundary_sequence,
        .resume_pending = entry->policy.execution == EXECUTION_RESUME_PENDING,
        .admitted_while_running = entry->admitted_while_running,
        .silent = entry->silent,
        .admitted_ms = entry->admitted_ms,
        .deadline_at_ms = entry->deadline_at_ms,
    };
}

/* --- what the node asks --- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t session_due_ms(const struct session *session, uint64_t now_ms, uint64_t store_ms)
{
    const struct session_core *core = &session->core;
    uint64_t due = UINT64_MAX, selected[RUN_INPUTS_MAX];
    if (core->leaving.re.bytes)
        due = core->leaving.until_ms;
    if (core->service.run.bytes)
        due = sooner(due, core->service.until_ms);
    if (core->wake && !session->held && session_can_run(session) && ledger_select(&core->ledger, selected))
        due = sooner(due, core->not_before_ms > now_ms ? core->not_before_ms : now_ms);
    for (size_t i = 0; i < core->ledger.count; i++) {
        const struct entry *entry = core->ledger.entries[i];
        if (entry->phase == INPUT_QUEUED && !entry->offer && entry->deadline_at_ms)
            due = sooner(due, now_ms + (entry->deadline_at_ms > store_ms ? entry->deadline_at_ms - store_ms : 0));
    }
    return due;
}

struct span session_run(const struct session *session)
{
    return id_span(&session->core.machine.current_run);
}

bool session_idle(const struct session *session)
{
    const struct session_core *core = &session->core;
    return !session->stage.open && !session_run(session).bytes && !core->ledger.count && !core->leaving.re.bytes &&
           !core->carried.count && !core->intent_count;
}
