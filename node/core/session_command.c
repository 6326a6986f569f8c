/* Commands that change a session (semantics-core.md 4, 5.7 and 7). Their results are remembered under the command's id,
 * in the commit that performs them (rule 6). One that is refused has changed nothing and is not remembered. */
#include "node/core/session_impl.h"

#include <stdio.h>

#define UNREGISTER_GRACE_MS 2000 /* for a run that is cancelled by an unregister; then it is given up (L8) */

/* --- results --- */

static uint64_t digest_add(uint64_t digest, struct span part)
{
    for (size_t i = 0; i < part.bytes; i++)
        digest = (digest ^ (uint8_t)part.at[i]) * 1099511628211ull;
    return (digest ^ 0xff) * 1099511628211ull; /* no byte of a text: parts cannot run together */
}

/* Of everything that decides what a command does. It is stored: it must never change. */
static uint64_t command_digest(const struct mk_command *command)
{
    const struct mk_args *args = &command->args;
    struct span parts[] = {span_of(mk_op_name(command->op)),
                           command->run,
                           args->id,
                           args->idem,
                           args->run,
                           args->reason,
                           args->executor,
                           args->epoch,
                           args->kind};
    uint64_t digest = 14695981039346656037ull;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        digest = digest_add(digest, parts[i]);
    for (size_t i = 0; i < args->intent_count; i++)
        digest = digest_add(digest, args->intents[i]);
    return digest;
}

static struct answer *result(const struct turn_of *turn, struct span to, struct span re)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, to, re);
    if (!answer)
        return NULL;
    answer->as.result.ok = true;
    answer->data = doc_new(turn->session->mem);
    if (!answer->data) {
        turn->session->stage.failed = true;
        return NULL;
    }
    doc_map(answer->data);
    return answer;
}

static void remember(const struct turn_of *turn, struct span id, uint64_t digest, struct answer *answer)
{
    struct fact_write *write = stage_write_new(turn->session, FACT_COMMAND, id);
    if (!write)
        return;
    write->result = answer;
    write->record.at_ms = turn->ctx->store_ms;
    write->record.stamp = turn->ctx->fence;
    write->record.digest = digest;
}

struct answer *answer_ok(const struct turn_of *turn, const struct mk_command *command)
{
    struct answer *answer = result(turn, command->reply_to, command->h.id);
    if (answer && command->op <= MK_OP_LAST_MUTATING)
        remember(turn, command->h.id, command_digest(command), answer);
    return answer;
}

struct answer *answer_error(const struct turn_of *turn, const struct mk_command *command, enum mk_err err)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, command->reply_to, command->h.id);
    if (!answer)
        return NULL;
    bool about_phase = err == MK_ERR_NOT_READY || err == MK_ERR_INVALID_STATE || err == MK_ERR_VALIDATION_FAILED;
    answer->as.result.error = err;
    answer->as.result.message = span_of(mk_err_text(err));
    if (about_phase)
        answer->as.result.phase = span_of(phase_name(session_phase(turn->session)));
    answer->as.result.final = mk_err_final(err);
    if (err == MK_ERR_DESTROYED) /* said of unknown sessions too: those may still come into being */
        answer->as.result.final = turn->session->core.machine.phase == PHASE_DESTROYED;
    return answer;
}

static void copy_doc(struct mk_doc *to, const struct mk_doc *from)
{
    uint64_t left[8];
    size_t depth = 0;
    for (size_t i = 0; i < from->count; i++) {
        const struct mk_doc_item *item = &from->items[i];
        if (item->type == DOC_MAP || item->type == DOC_ARRAY) {
            item->type == DOC_MAP ? doc_map(to) : doc_array(to);
            left[depth++] = item->type == DOC_MAP ? 2 * item->number : item->number;
        } else if (item->type == DOC_TEXT) {
            doc_text(to, item->text);
        } else if (item->type == DOC_U64) {
            doc_u64(to, item->number);
        } else if (item->type == DOC_BOOL) {
            doc_bool(to, item->number != 0);
        } else if (item->type == DOC_RAW) {
            doc_raw(to, item->text);
        } else {
            doc_nil(to);
        }
        bool opened = item->type == DOC_MAP || item->type == DOC_ARRAY;
        while (depth && (opened ? left[depth - 1] == 0 : --left[depth - 1] == 0)) {
            doc_end(to);
            depth--;
            opened = false;
        }
    }
}

/* The command was performed by this very stage: its result once more. */
static void repeat_staged(const struct turn_of *turn, const struct mk_command *command, const struct fact_write *write)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, command->reply_to, command->h.id);
    if (!answer)
        return;
    answer->as.result.ok = true;
    answer->data = doc_new(turn->session->mem);
    if (answer->data)
        copy_doc(answer->data, write->result->data);
    else
        turn->session->stage.failed = true;
}

static void repeat_stored(const struct turn_of *turn, const struct mk_command *command, struct span bytes)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_RESULT, command->reply_to, command->h.id);
    if (!answer)
        return;
    answer->as.result.ok = true;
    answer->bytes = blob_new(turn->session->mem, bytes);
    if (!answer->bytes)
        turn->session->stage.failed = true;
}

/* True: the command's id is known, and answered. */
static bool repeated(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct leaving *leaving = &session->core.leaving;
    uint64_t digest = command_digest(command);
    const struct fact_write *write = stage_written(session, FACT_COMMAND, command->h.id);
    const struct fact *fact = session_fact(session, FACT_COMMAND, command->h.id);
    if (span_equal(id_span(&leaving->re), command->h.id)) {
        if (leaving->digest != digest)
            answer_error(turn, command, MK_ERR_ID_CONFLICT);
        else if (command->reply_to.bytes)
            id_set(&leaving->to, command->reply_to); /* it is being performed: who asked last is answered */
        return true;
    }
    if (!write && (!fact || !fact->exists))
        return false;
    if ((write ? write->record.digest : fact->record.digest) != digest)
        answer_error(turn, command, MK_ERR_ID_CONFLICT);
    else if (write)
        repeat_staged(turn, command, write);
    else
        repeat_stored(turn, command, fact->record.bytes);
    return true;
}

static void put_phase(const struct turn_of *turn, struct answer *answer)
{
    if (answer)
        doc_put_text(answer->data, "phase", span_of(phase_name(session_phase(turn->session))));
}

static void answer_phase(const struct turn_of *turn, const struct mk_command *command)
{
    put_phase(turn, answer_ok(turn, command));
}

static void answer_count(const struct turn_of *turn, const struct mk_command *command, const char *what, size_t count)
{
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, what, count);
    put_phase(turn, answer);
}

/* --- being there --- */

static bool make_registered(const struct turn_of *turn)
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

static bool executor_there(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session_ctx *ctx = turn->ctx;
    return !ctx->executor_known || ctx->executor_known(ctx->self, command->args.executor);
}

/* D5, L11: registering a stopped session revives it, with its identity and bindings. With auto_register a session that
 * can work is bound and gets its executor at once, as with its first input: nothing that is sent to it later waits for
 * one (P8). */
static void do_register(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    bool whole = turn->ctx->auto_register;
    if (whole && !executor_there(turn, command)) {
        answer_error(turn, command, MK_ERR_UNKNOWN_EXECUTOR);
        return;
    }
    bool done = make_registered(turn);
    if (done && session->core.machine.phase == PHASE_STOPPED)
        done = session_step(session, IN_REVIVE, NULL);
    if (done && whole && session->core.machine.phase == PHASE_IDLE)
        done = session_bind(turn) && session_attach(turn, command->args.executor);
    if (done)
        answer_phase(turn, command);
    else
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
}

static void do_attach(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    enum phase phase = session->core.machine.phase;
    bool over = phase == PHASE_RETIRED || phase == PHASE_STOPPED;
    if (!executor_there(turn, command)) {
        answer_error(turn, command, MK_ERR_UNKNOWN_EXECUTOR);
        return;
    }
    if (over && !session->core.attached) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    if (!make_registered(turn) || !session_bind(turn) || !session_attach(turn, command->args.executor)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_text(answer->data, "executor", id_span(&session->core.executor));
    put_phase(turn, answer);
}

static void do_prepare_bindings(const struct turn_of *turn, const struct mk_command *command)
{
    const struct binding *binding = &turn->session->core.machine.binding;
    if (!make_registered(turn) || !session_bind(turn)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    if (turn->session->core.machine.phase == PHASE_IDLE && turn->session->core.attached)
        session_step(turn->session, IN_ENSURE_SESSION_WITH_EXECUTOR,
                     NULL); /* after a reset, which bound it again already */
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, "fence", binding->fence);
    doc_put_u64(answer->data, "generation", binding->generation);
    doc_put_text(answer->data, "epoch", id_span(&binding->epoch));
    put_phase(turn, answer);
}

/* --- unregister --- */

static void answer_left(const struct turn_of *turn, const struct leaving *leaving, bool retained, size_t abandoned)
{
    struct answer *answer = result(turn, id_span(&leaving->to), id_span(&leaving->re));
    if (!answer)
        return;
    remember(turn, id_span(&leaving->re), leaving->digest, answer);
    doc_put_bool(answer->data, "retained", retained);
    doc_put_u64(answer->data, "abandoned", abandoned);
}

/* The executor's loop is stopped: what it would still have run is abandoned. Without one, inputs wait for the next
 * registration. */
static size_t stop_loop(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session->core.attached)
        return 0;
    if (session_step(session, IN_RUNTIME_EXECUTOR_EXITED, &fx))
        session_announce(turn, &fx, SPAN_LIT("runtime session unregistered"));
    session->core.attached = false;
    session->stage.order.stop = true;
    return session_abandon_all(turn, ABANDON_STOPPED, "runtime stopped");
}

/* The obligations of the drain, then the end. A Retired or Stopped session keeps its record as it was (section 4), any
 * other a tombstone: an Idle, unbound head with its event numbers (rule 9). */
void session_finish_leaving(const struct turn_of *turn)
{
    static const enum machine_input_type reports[] = {
        IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER, IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER,
        IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER, IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY,
        IN_UNREGISTER_SESSION};
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct leaving leaving = core->leaving;
    bool retains = core->machine.retains_snapshot;
    size_t abandoned = stop_loop(turn);
    struct machine_input back = {
        .type = IN_RECOVER_RUNTIME_AUTHORITY,
        .same_session = true,
        .binding = core->machine.binding,
        .phase = core->machine.phase,
    };
    bool done = true;
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++)
        done = session_step(session, reports[i], NULL) && done;
    memset(&core->leaving, 0, sizeof core->leaving);
    memset(&core->executor, 0, sizeof core->executor);
    core->not_before_ms = 0;
    if (retains) {
        memset(&core->machine, 0, sizeof core->machine);
        core->retained = true;
        done = session_machine(session, &back, NULL) && done;
    }
    if (!done)
        session->fault = "an unregister did not reach its end";
    answer_left(turn, &leaving, retains, abandoned);
}

static void do_unregister(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    if (core->leaving.re.bytes)
        return; /* another's is on its way, and not durable: who asks again is answered when it is done */
    if (!session_known(session) || core->machine.phase == PHASE_DESTROYED) {
        if (session_fact(session, FACT_COMMAND, command->h.id))
            result(turn, command->reply_to, command->h.id); /* it is gone: nothing changes */
        else
            stage_want(session, FACT_COMMAND, command->h.id); /* perhaps by this very command */
        return;
    }
    if (core->run_ordered && !session_fact(session, FACT_COMMAND, command->h.id)) {
        /* It will be remembered only when the run is over: whether it was done before must be known now. */
        stage_want(session, FACT_COMMAND, command->h.id);
        return;
    }
    if (core->run.id.bytes && !core->run_ordered)
        session_run_cancelled(turn); /* nobody was told of it */
    if (!session_step(session, IN_BEGIN_UNREGISTER_SESSION, NULL)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    id_set(&core->leaving.to, command->reply_to);
    id_set(&core->leaving.re, command->h.id);
    core->leaving.digest = command_digest(command);
    core->leaving.until_ms = turn->ctx->now_ms + UNREGISTER_GRACE_MS;
    if (!core->run.id.bytes) {
        session_finish_leaving(turn);
        return;
    }
    core->run_cancelled = true;
    session->stage.order.hard_cancel = true;
    session->stage.order.cancel = core->run.id;
    session->stage.durable = true;
}

static void do_unregister_if_epoch(const struct turn_of *turn, const struct mk_command *command)
{
    if (span_equal(id_span(&turn->session->core.machine.binding.epoch), command->args.epoch))
        do_unregister(turn, command);
    else
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
}

/* --- the life of the runtime --- */

static void do_retire(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session_step(session, IN_RETIRE, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_announce(turn, &fx, command->args.reason);
    size_t count = session->core.ledger.count;
    bool drains = session->core.attached;
    session->core.wake = true;
    if (!drains)
        session_abandon_all(turn, ABANDON_RETIRED, "retired without runtime loop");
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, "abandoned", drains ? 0 : count);
    doc_put_u64(answer->data, "pending_drain", drains ? count : 0);
    put_phase(turn, answer);
}

/* A retired session may be reset while its last run goes on: the run is left behind. */
static void do_reset(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct binding before = session->core.machine.binding;
    struct machine_effects fx;
    enum phase phase = session_phase(session);
    if (phase == PHASE_RUNNING || phase == PHASE_STOPPED) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    if (session->core.run.id.bytes) {
        session_step(session, IN_ROLLBACK_RUN, NULL);
        session_drop_run(turn);
    }
    session_step(session, IN_RESET, &fx);
    session_announce(turn, &fx, command->args.reason);
    session->core.not_before_ms = 0;
    size_t count = session_abandon_all(turn, ABANDON_RESET, "runtime reset");
    session_rebind(turn, &before);
    answer_count(turn, command, "abandoned", count);
}

static void do_recycle(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct binding before = session->core.machine.binding;
    if (!session_step(session, IN_RECYCLE, NULL)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_rebind(turn, &before);
    session->core.wake = true;
    answer_count(turn, command, "transferred", session->core.ledger.count);
}

/* D17: phase, registration and executor stay. Nothing is staged outside a run, so nothing is requeued. */
static void do_recover(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session_step(session, IN_RECOVER, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_announce(turn, &fx, command->args.reason);
    session->core.wake = true;
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, "recovered", session->core.ledger.count);
    doc_put_u64(answer->data, "abandoned", 0);
    doc_put_u64(answer->data, "requeued", 0);
    put_phase(turn, answer);
}

/* Overtakes queued work, but waits for a current run to end (D18). */
static void do_stop(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session_step(session, IN_STOP_RUNTIME_EXECUTOR, &fx)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    session_announce(turn, &fx, command->args.reason);
    bool deferred = session->core.run.id.bytes != 0;
    if (!deferred)
        session_finish_stop(turn);
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_bool(answer->data, "deferred", deferred);
    put_phase(turn, answer);
}

static void do_destroy(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct machine_effects fx;
    if (!session_step(session, IN_DESTROY, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_drop_run(turn);
    session->stage.order.stop |= core->attached;
    core->attached = false;
    core->not_before_ms = 0;
    size_t count = session_abandon_all(turn, ABANDON_DESTROYED, "runtime destroyed");
    session_announce(turn, &fx, command->args.reason);
    blob_release(core->state);
    core->state = NULL;
    session->stage.state_changed = true;
    if (core->leaving.re.bytes)
        answer_left(turn, &core->leaving, false, count);
    memset(&core->leaving, 0, sizeof core->leaving);
    answer_count(turn, command, "abandoned", count);
}

static void do_abandon_retired(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    char reason[REASON_BYTES_MAX];
    if (!session_known(session) || session->core.machine.phase != PHASE_RETIRED) {
        struct answer *answer = answer_error(turn, command, MK_ERR_NOT_READY);
        if (answer && session_known(session)) /* the machine's own phase: a draining session is Running */
            answer->as.result.phase = span_of(phase_name(session->core.machine.phase));
        return;
    }
    snprintf(reason, sizeof reason, "%.*s", SPAN_ARGS(command->args.reason));
    answer_count(turn, command, "abandoned", session_abandon_all(turn, ABANDON_RETIRED, reason));
}

/* --- the current run --- */

/* Bound to a run at its first receipt, for a repeat must not cancel the next one (rule 6, L15). */
static void cancel(const struct turn_of *turn, const struct mk_command *command, bool hard)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct span meant = command->run.bytes ? command->run : command->args.run;
    struct mk_id run = core->run.id;
    bool hit = run.bytes && (!meant.bytes || span_equal(meant, id_span(&run)));
    session_step(session, hard ? IN_INTERRUPT_CURRENT_RUN : IN_CANCEL_AFTER_BOUNDARY, NULL);
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_bool(answer->data, "cancelled", hit);
    doc_put_text(answer->data, "run", hit ? id_span(&run) : meant);
    if (!hit)
        return;
    core->run_cancelled = true;
    if (!core->run_ordered) {
        session_run_cancelled(turn); /* nobody was told of it */
        return;
    }
    session->stage.order.hard_cancel |= hard;
    session->stage.order.boundary_cancel |= !hard;
    session->stage.order.cancel = run;
}

static void do_interrupt(const struct turn_of *turn, const struct mk_command *command)
{
    enum phase phase = turn->session->core.machine.phase;
    if (turn->session->core.attached && (phase == PHASE_ATTACHED || phase == PHASE_RUNNING))
        cancel(turn, command, true);
    else
        answer_error(turn, command, MK_ERR_NOT_READY);
}

static void do_cancel_after_boundary(const struct turn_of *turn, const struct mk_command *command)
{
    enum phase phase = session_phase(turn->session);
    if (turn->session->core.attached && (phase == PHASE_ATTACHED || phase == PHASE_RUNNING))
        cancel(turn, command, false);
    else
        answer_error(turn, command, MK_ERR_NOT_READY);
}

/* --- inputs --- */

static void do_silent_intents(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    const struct mk_args *args = &command->args;
    struct machine_input in = {
        .type = IN_SET_SILENT_INTENTS, .same_session = true, .any_intents = args->intent_count > 0};
    for (size_t i = 0; i < args->intent_count; i++) {
        if (args->intents[i].bytes == 0 || args->intents[i].bytes > MESSAGE_ID_BYTES_MAX) {
            answer_error(turn, command, MK_ERR_INVALID_FIELD);
            return;
        }
    }
    if (!session_machine(session, &in, NULL)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    core->intent_count = core->machine.silent_intents ? args->intent_count : 0;
    for (size_t i = 0; i < core->intent_count; i++)
        id_set(&core->intents[i], args->intents[i]);
    answer_count(turn, command, "intents", core->intent_count);
}

static void tombstone(const struct turn_of *turn, struct span id)
{
    struct fact_write *write = stage_write_new(turn->session, FACT_INPUT, id);
    if (!write)
        return;
    write->record.at_ms = turn->ctx->store_ms;
    write->record.stamp = turn->ctx->fence;
    write->record.phase = INPUT_ABANDONED;
    write->record.reason = ABANDON_WITHDRAWN;
    write->record.outcome = MK_CANCELLED;
    turn->session->core.terminal_count++;
}

static void answer_withdrawn(const struct turn_of *turn, const struct mk_command *command, bool withdrawn,
                             enum input_phase phase, const struct fact_record *record)
{
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_bool(answer->data, "withdrawn", withdrawn);
    doc_put_text(answer->data, "phase", span_of(input_phase_name(phase)));
    if (!record)
        return;
    if (phase >= INPUT_CONSUMED)
        doc_put_text(answer->data, "outcome", span_of(mk_outcome_name(record->outcome)));
    if (span_given(record->bytes))
        doc_put_raw(answer->data, "completion", record->bytes);
}

/* Either the input never runs from now on, or the answer says what became of it. */
static void do_withdraw(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct span id = command->args.id;
    struct ending ending = {.phase = INPUT_ABANDONED, .reason = ABANDON_WITHDRAWN, .outcome = MK_CANCELLED};
    if (!id.bytes || id.bytes > MESSAGE_ID_BYTES_MAX) {
        answer_error(turn, command, id.bytes ? MK_ERR_INVALID_FIELD : MK_ERR_MISSING_FIELD);
        return;
    }
    struct knowledge known = session_know_input(session, id);
    switch (known.how) {
    case KNOWN_UNASKED:
    case KNOWN_NOT:
        tombstone(turn, id);
        answer_withdrawn(turn, command, true, INPUT_ABANDONED, NULL);
        break;
    case KNOWN_ACTIVE:
        if (known.entry->phase != INPUT_QUEUED) {
            answer_withdrawn(turn, command, false, known.entry->phase, NULL);
            break;
        }
        session_end_input(turn, known.entry->seq, &ending);
        answer_withdrawn(turn, command, true, INPUT_ABANDONED, NULL);
        break;
    case KNOWN_STAGED:
    case KNOWN_FACT:
        answer_withdrawn(turn, command, known.record->reason == ABANDON_WITHDRAWN, known.record->phase, known.record);
        break;
    }
}

static void do_wake(const struct turn_of *turn, const struct mk_command *command)
{
    struct session_core *core = &turn->session->core;
    bool active = core->ledger.count > 0;
    if (active && !core->attached) {
        answer_error(turn, command, MK_ERR_NOT_READY);
        return;
    }
    core->wake |= active;
    struct answer *answer = answer_ok(turn, command);
    if (answer)
        doc_put_bool(answer->data, "woken", active);
}

static void do_publish_event(const struct turn_of *turn, const struct mk_command *command)
{
    struct machine_effects fx;
    if (!session_step(turn->session, IN_PUBLISH_EVENT, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    struct staged_event *event = stage_effect(turn, MK_INGRESS_NOTICE);
    if (event && command->args.kind.bytes)
        doc_put_text(event->data, "kind", command->args.kind);
    answer_phase(turn, command);
}

/* --- which, and to whom it is refused at once --- */

struct operation {
    void (*perform)(const struct turn_of *turn, const struct mk_command *command);
    enum mk_err unknown, destroyed; /* OK: it answers an unknown, or destroyed, session itself */
    bool leaving;                   /* it is performed while an unregister waits for the run */
};

/* clang-format off */
static const struct operation operations[MK_OP_LAST_MUTATING + 1] = {
    /*                            perform                   unknown                   destroyed         leaving */
    [MK_OP_REGISTER]            = {do_register,              MK_ERR_OK,                MK_ERR_DESTROYED, false},
    [MK_OP_ATTACH]              = {do_attach,                MK_ERR_OK,                MK_ERR_DESTROYED, false},
    [MK_OP_PREPARE_BINDINGS]    = {do_prepare_bindings,      MK_ERR_OK,                MK_ERR_DESTROYED, false},
    [MK_OP_UNREGISTER]          = {do_unregister,            MK_ERR_OK,                MK_ERR_OK,        true},
    [MK_OP_UNREGISTER_IF_EPOCH] = {do_unregister_if_epoch,   MK_ERR_NOT_READY,         MK_ERR_DESTROYED, true},
    [MK_OP_RETIRE]              = {do_retire,                MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED, false},
    [MK_OP_RESET]               = {do_reset,                 MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED, false},
    [MK_OP_RECYCLE]             = {do_recycle,               MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED, false},
    [MK_OP_RECOVER]             = {do_recover,               MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED, false},
    [MK_OP_STOP]                = {do_stop,                  MK_ERR_NOT_READY,         MK_ERR_DESTROYED, false},
    [MK_OP_DESTROY]             = {do_destroy,               MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED, true},
    [MK_OP_ABANDON_RETIRED]     = {do_abandon_retired,       MK_ERR_NOT_READY,         MK_ERR_NOT_READY, false},
    [MK_OP_INTERRUPT]           = {do_interrupt,             MK_ERR_DESTROYED,         MK_ERR_DESTROYED, true},
    [MK_OP_CANCEL_AFTER_BOUNDARY] = {do_cancel_after_boundary, MK_ERR_NOT_READY,       MK_ERR_DESTROYED, true},
    [MK_OP_SILENT_INTENTS]      = {do_silent_intents,        MK_ERR_VALIDATION_FAILED, MK_ERR_DESTROYED, false},
    [MK_OP_WITHDRAW]            = {do_withdraw,              MK_ERR_OK,                MK_ERR_OK,        true},
    [MK_OP_WAKE]                = {do_wake,                  MK_ERR_NOT_READY,         MK_ERR_OK,        false},
    [MK_OP_PUBLISH_EVENT]       = {do_publish_event,         MK_ERR_NOT_FOUND,         MK_ERR_DESTROYED, true},
};
/* clang-format on */

/* L19: `deadline_ms` counts from the command's own `ts`; past it, it is never performed. */
static bool past_deadline(const struct turn_of *turn, const struct mk_command *command)
{
    return command->deadline_ms && command->h.ts && command->h.ts + command->deadline_ms < turn->ctx->store_ms;
}

void session_command(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session *session = turn->session;
    if (command->op >= MK_OP_COUNT) {
        answer_error(turn, command, MK_ERR_UNKNOWN_OP);
        return;
    }
    if (command->op > MK_OP_LAST_MUTATING) {
        session_query(turn, command);
        return;
    }
    if (repeated(turn, command))
        return;
    const struct operation *operation = &operations[command->op];
    bool destroyed = session->core.machine.phase == PHASE_DESTROYED;
    enum mk_err refusal = destroyed ? operation->destroyed : session_known(session) ? MK_ERR_OK : operation->unknown;
    if (!refusal && past_deadline(turn, command))
        refusal = MK_ERR_DEADLINE_PASSED;
    if (!refusal && session->core.leaving.re.bytes && !operation->leaving)
        refusal = MK_ERR_NOT_READY;
    if (refusal)
        answer_error(turn, command, refusal);
    else
        operation->perform(turn, command);
}
