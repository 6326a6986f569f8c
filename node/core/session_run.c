/* Runs: which inputs, when, and what becomes of them (semantics-core.md 5.6 and 6; D1-D3, D6, D13, D18, D19). */
#include "node/core/session_impl.h"

/* --- a run begins --- */

bool session_can_run(const struct session *session)
{
    const struct session_core *core = &session->core;
    const struct machine *machine = &core->machine;
    bool phase = machine->phase == PHASE_IDLE || machine->phase == PHASE_ATTACHED || machine->phase == PHASE_RETIRED;
    return phase && core->attached && !core->run.id.bytes && session_known(session) && !machine->stop_deferred &&
           machine->registration != REGISTRATION_DRAINING;
}

static void say_started(const struct turn_of *turn)
{
    const struct session_core *core = &turn->session->core;
    struct staged_event *event = stage_effect(turn, MK_RUN_STARTED);
    if (!event)
        return;
    doc_put_text(event->data, "run", id_span(&core->run.id));
    doc_put_u64(event->data, "attempt", core->run.attempt);
    doc_put_text(event->data, "boundary", span_of(mk_boundary_name(core->run.boundary)));
    doc_key(event->data, "inputs");
    doc_array(event->data);
    for (size_t i = 0; i < core->run.input_count; i++)
        doc_text(event->data, ledger_by_seq(&core->ledger, core->run.inputs[i])->input->input.h.id);
    doc_end(event->data);
}

/* The executor is told once the run record is durable: nothing here calls it. */
static void order_start(const struct turn_of *turn)
{
    struct session *session = turn->session;
    session->core.run_ordered = false;
    session->stage.order.start = true;
    session->stage.durable = true;
    say_started(turn);
}

static void start_run(const struct turn_of *turn, size_t count)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct machine_input in = {
        .type = core->machine.phase == PHASE_RETIRED ? IN_DRAIN_QUEUED_RUN : IN_PREPARE,
        .same_session = true,
    };
    stage_run_id(turn, &in.run);
    if (!session_machine(session, &in, NULL)) {
        session->fault = "the machine refuses a run that the session may start";
        return;
    }
    core->run.id = in.run;
    core->run.attempt = 1;
    core->run.deaths = 0;
    core->run.cancelled = false;
    core->run.input_count = count;
    core->wake = false;
    core->not_before_ms = 0;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = ledger_edit(&core->ledger, session->mem, core->run.inputs[i]);
        if (!entry) {
            session->stage.failed = true;
            return;
        }
        entry_stage(entry, &in.run);
    }
    core->run.boundary = ledger_by_seq(&core->ledger, core->run.inputs[0])->policy.boundary;
    order_start(turn);
}

/* Whether an input is there that a run failed with: who waits behind it waits for its backoff too (P5). */
static bool retry_waits(const struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->entries[i]->phase == INPUT_QUEUED && ledger->entries[i]->attempts)
            return true;
    return false;
}

void session_settle(const struct turn_of *turn)
{
    struct session_core *core = &turn->session->core;
    session_expire(turn);
    if (core->not_before_ms && !retry_waits(&core->ledger))
        core->not_before_ms = 0;
    if (core->recovery_owed)
        session_recover_run(turn);
    if (turn->ctx->hold_runs || turn->session->stage.failed || !core->wake || !session_can_run(turn->session))
        return;
    if (core->not_before_ms > turn->ctx->now_ms)
        return;
    size_t count = ledger_select(&core->ledger, core->run.inputs);
    if (count) {
        start_run(turn, count);
        return;
    }
    core->wake = false;
}

/* --- a run is over --- */

static void clear_run(const struct turn_of *turn)
{
    struct session *session = turn->session;
    session_end_offers(turn);
    memset(&session->core.run, 0, sizeof session->core.run);
    session->core.run_ordered = false;
    session->core.recovery_owed = false;
    session->stage.order.start = false; /* it was selected in this very stage: nobody was told */
    session->stage.durable = true;
}

void session_drop_run(const struct turn_of *turn)
{
    struct session *session = turn->session;
    memset(&session->core.service, 0, sizeof session->core.service);
    if (!session->core.run.id.bytes)
        return;
    if (session->core.run_ordered) {
        session->stage.order.hard_cancel = true;
        session->stage.order.cancel = session->core.run.id;
    }
    clear_run(turn);
}

void session_finish_stop(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (session_step(session, IN_RUNTIME_EXECUTOR_EXITED, &fx))
        session_announce(turn, &fx, SPAN_LIT(""));
    session_drop_run(turn);
    session->stage.order.stop |= session->core.attached;
    session->stage.durable = true;
    session_drop_carried(turn);
    session->core.stop_owed = false;
    session->core.attached = false;
    session_abandon_all(turn, ABANDON_STOPPED, SPAN_LIT("runtime stopped"));
}

/* The machine has returned to where the run began; now what waited for that. */
void session_after_run(const struct turn_of *turn, const struct machine_effects *fx)
{
    struct session *session = turn->session;
    session->core.wake = true;
    if (session->core.leaving.re.bytes)
        session_finish_leaving(turn);
    else if (session->core.machine.stop_deferred || machine_has_effect(fx, FX_FACT_STOP_RUNTIME_EXECUTOR))
        session_finish_stop(turn);
}

void session_run_cancelled(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct run_record run = session->core.run;
    struct machine_effects fx;
    struct ending ending = {.phase = INPUT_ABANDONED, .reason = ABANDON_CANCELLED, .outcome = MK_CANCELLED};
    session_step(session, IN_RUN_CANCELLED, NULL);
    session_step(session, IN_CANCEL_RUN, &fx);
    clear_run(turn);
    for (size_t i = 0; i < run.input_count && !session->stage.failed; i++)
        session_end_input(turn, run.inputs[i], &ending);
    session_after_run(turn, &fx);
}

static void requeue(const struct turn_of *turn, uint64_t seq, size_t together, bool failed)
{
    struct entry *entry = ledger_edit(&turn->session->core.ledger, turn->session->mem, seq);
    if (entry)
        entry_requeue(entry, together, failed);
    else
        turn->session->stage.failed = true;
}

void session_roll_back(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct run_record run = session->core.run;
    struct machine_effects fx;
    session_step(session, IN_ROLLBACK_RUN, &fx);
    clear_run(turn);
    for (size_t i = 0; i < run.input_count; i++)
        requeue(turn, run.inputs[i], run.input_count, false);
    session_after_run(turn, &fx);
}

/* --- it succeeded --- */

static enum mk_outcome outcome_of(const struct run_done *done)
{
    if (done->end == RUN_CALLBACK_PENDING)
        return MK_CALLBACK_PENDING;
    return done->end == RUN_RESULT && done->result_count ? MK_COMPLETED : MK_COMPLETED_WITHOUT_RESULT;
}

static void say_executor_events(const struct turn_of *turn, const struct run_done *done)
{
    for (size_t i = 0; i < done->event_count; i++) {
        struct staged_event *event = stage_effect(turn, MK_EXECUTOR_EVENT);
        if (!event)
            return;
        event->text = blob_new(turn->session->mem, done->events[i].name);
        event->result = blob_new(turn->session->mem, done->events[i].data);
        if (!event->text || !event->result) {
            turn->session->stage.failed = true;
            return;
        }
        event->as.effect.event_name = blob_span(event->text);
        if (span_given(done->events[i].data))
            event->as.effect.data_raw = blob_span(event->result);
    }
}

/* The state, the results and the consumption of the inputs are one stage (P4). */
static bool take_state(struct session *session, const struct run_done *done)
{
    if (!done->has_state)
        return true;
    struct mk_blob *state = span_given(done->state) ? blob_new(session->mem, done->state) : NULL;
    if (span_given(done->state) && !state)
        return false;
    blob_release(session->core.state);
    session->core.state = state;
    session->stage.state_changed = true;
    return true;
}

static void consume(const struct turn_of *turn, const struct run_record *run, const struct run_done *done,
                    const struct mk_receipt *receipt)
{
    struct session *session = turn->session;
    bool each = done->result_count == run->input_count, any = done->result_count && done->end != RUN_NO_RESULT;
    struct ending ending = {.phase = INPUT_CONSUMED, .outcome = outcome_of(done), .receipt = receipt};
    for (size_t i = 0; i < run->input_count && !session->stage.failed; i++) {
        if (any && (each || i == 0)) {
            blob_release(ending.result);
            ending.result = blob_new(session->mem, done->results[each ? i : 0]);
            session->stage.failed |= !ending.result;
        }
        session_end_input(turn, run->inputs[i], &ending);
    }
    blob_release(ending.result);
}

static void succeeded(const struct turn_of *turn, const struct run_done *done)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct run_record run = core->run;
    struct machine_effects fx;
    struct mk_receipt receipt = {
        .run = id_span(&run.id),
        .sequence = session_next_receipt(session, &run.id, false),
        .boundary = run.boundary,
        .digest = done->digest,
    };
    session_step(session, IN_RUN_COMPLETED, NULL);
    session_step(session, IN_COMMIT, &fx);
    clear_run(turn);
    session_drop_carried(turn);
    if (!take_state(session, done)) {
        session->stage.failed = true;
        return;
    }
    say_executor_events(turn, done);
    session_write_receipt(turn, &receipt, run.inputs, run.input_count);
    consume(turn, &run, done, &receipt);
    session_after_run(turn, &fx);
}

/* --- it failed --- */

static enum mk_err error_of(const struct run_done *done)
{
    if (done->error)
        return done->error;
    return done->end == RUN_INTERNAL ? MK_ERR_INTERNAL : MK_ERR_EXECUTOR_FAILED;
}

static void say_failed(const struct turn_of *turn, const struct run_record *run, const struct ending *ending,
                       bool will_retry)
{
    struct staged_event *event = stage_effect(turn, MK_RUN_FAILED);
    if (!event)
        return;
    doc_put_text(event->data, "run", id_span(&run->id));
    doc_put_u64(event->data, "attempt", run->attempt);
    doc_key(event->data, "error");
    doc_map(event->data);
    doc_put_text(event->data, "kind", span_of(mk_err_code(ending->error)));
    doc_put_text(event->data, "message", ending->message);
    doc_end(event->data);
    doc_put_bool(event->data, "will_retry", will_retry);
}

static uint64_t backoff_ms(uint64_t attempts)
{
    uint64_t wait = BACKOFF_FIRST_MS;
    while (attempts-- > 1 && wait < BACKOFF_MAX_MS)
        wait *= 2;
    return wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
}

static uint64_t attempts_of(const struct session_core *core, const struct run_record *run)
{
    uint64_t most = 0;
    for (size_t i = 0; i < run->input_count; i++) {
        const struct entry *entry = ledger_by_seq(&core->ledger, run->inputs[i]);
        most = entry->attempts > most ? entry->attempts : most;
    }
    return most;
}

/* Only an input that failed alone is given up (D6); a batch goes back and is split. */
static void failed(const struct turn_of *turn, const struct run_done *done)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct run_record run = core->run;
    struct machine_effects fx;
    bool known = done->cause != CAUSE_NONE && done->cause != CAUSE_UNKNOWN;
    struct machine_input in = {
        .type = IN_RUN_FAILED, .same_session = true, .run = run.id, .cause = known ? done->cause : CAUSE_RUNTIME_APPLY};
    uint64_t attempts = attempts_of(core, &run);
    bool will_retry = run.input_count > 1 || (attempts < STAGE_ATTEMPTS_MAX && !done->final);
    struct ending ending = {
        .phase = INPUT_ABANDONED,
        .reason = ABANDON_MAX_ATTEMPTS_EXHAUSTED,
        .outcome = MK_ABANDONED_WITH_ERROR,
        .error = error_of(done),
    };
    ending.message = done->message.bytes ? done->message : span_of(mk_err_text(ending.error));
    session_machine(session, &in, NULL);
    session_step(session, IN_FAIL, &fx);
    clear_run(turn);
    session_carried_failed(turn);
    say_failed(turn, &run, &ending, will_retry);
    session_note_failure(turn, id_span(&run.id), ending.error, ending.message, will_retry);
    for (size_t i = 0; will_retry && i < run.input_count; i++)
        requeue(turn, run.inputs[i], run.input_count, true);
    if (will_retry)
        core->not_before_ms = turn->ctx->now_ms + backoff_ms(attempts);
    else
        session_end_input(turn, run.inputs[0], &ending);
    session_after_run(turn, &fx);
}

void session_run_done(const struct turn_of *turn, const struct run_done *done)
{
    const struct session_core *core = &turn->session->core;
    if (!core->run.id.bytes || !span_equal(id_span(&core->run.id), id_span(&done->run)) ||
        core->run.attempt != done->attempt)
        return; /* a run that is not ours any more */
    switch (done->end) {
    case RUN_RESULT:
    case RUN_NO_RESULT:
    case RUN_CALLBACK_PENDING:
        succeeded(turn, done);
        break;
    case RUN_CANCELLED:
        if (span_equal(id_span(&core->run.id), id_span(&turn->session->taken_back)) && !core->run.cancelled)
            session_roll_back(turn); /* the hand-over cancelled it: no attempt (rule 4) */
        else
            session_run_cancelled(turn);
        break;
    case RUN_FAILED:
    case RUN_STOPPED:
    case RUN_INTERNAL:
        failed(turn, done);
        break;
    }
}

/* --- its node died --- */

/* Counts the death. Whether one of the inputs must run alone from now on. */
static bool count_deaths(const struct turn_of *turn, const struct run_record *run)
{
    bool alone = false;
    for (size_t i = 0; i < run->input_count; i++) {
        struct entry *entry = ledger_edit(&turn->session->core.ledger, turn->session->mem, run->inputs[i]);
        if (!entry) {
            turn->session->stage.failed = true;
            return false;
        }
        entry_recover(entry, &run->id);
        entry->deaths++;
        entry->recoveries++;
        alone |= entry->deaths >= DEATHS_BEFORE_ALONE;
    }
    return alone;
}

static void give_up(const struct turn_of *turn, uint64_t seq)
{
    struct machine_effects fx;
    struct ending ending = {
        .phase = INPUT_ABANDONED,
        .reason = ABANDON_NODE_DEATHS,
        .outcome = MK_ABANDONED_WITH_ERROR,
        .error = MK_ERR_EXECUTOR_FAILED,
        .message = SPAN_LIT("its node died again and again while it ran"),
    };
    session_note_failure(turn, id_span(&turn->session->core.run.id), ending.error, ending.message, false);
    session_step(turn->session, IN_ROLLBACK_RUN, &fx);
    clear_run(turn);
    session_drop_carried(turn); /* it may be what they died of */
    session_end_input(turn, seq, &ending);
    session_after_run(turn, &fx);
}

/* The same run, the same inputs in the same order, a higher attempt (P6): until too many nodes died of it, rule 4. */
void session_recover_run(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct run_record *run = &session->core.run;
    session->core.recovery_owed = run->id.bytes && turn->ctx->hold_runs;
    if (run->id.bytes && run->cancelled) {
        session_run_cancelled(turn); /* as was answered; nobody executes it */
        return;
    }
    if (!run->id.bytes || turn->ctx->hold_runs)
        return;
    const struct entry *first = ledger_by_seq(&session->core.ledger, run->inputs[0]);
    bool hopeless = run->input_count == 1 && first->deaths >= DEATHS_BEFORE_ALONE;
    bool alone = count_deaths(turn, run);
    if (session->stage.failed)
        return;
    if (hopeless) {
        give_up(turn, run->inputs[0]);
    } else if (alone && run->input_count > 1) {
        session_roll_back(turn);
    } else {
        run->attempt++;
        run->deaths++;
        order_start(turn);
    }
}
