/* Commands about the current run and about inputs (semantics-core.md 7). */
#include "node/core/session_ops.h"

#include <assert.h>

/* --- the current run --- */

/* Bound to a run at its first receipt, for a repeat must not cancel the next one (rule 6, L15). */
static void cancel(const struct turn_of *turn, const struct mk_command *command, bool hard)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct span meant = command_run(command);
    struct mk_id run = core->machine.current_run;
    bool hit = run.bytes && (!meant.bytes || span_equal(meant, id_span(&run)));
    session_step(session, hard ? IN_INTERRUPT_CURRENT_RUN : IN_CANCEL_AFTER_BOUNDARY, NULL);
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_bool(answer->data, "cancelled", hit);
    doc_put_text(answer->data, "run", hit ? id_span(&run) : meant);
    if (!hit)
        return;
    if (core->service.run.bytes) {
        session_service_cancelled(turn); /* there is no executor that could be told */
        return;
    }
    core->run.cancelled = true; /* durable with the answer: a next owner does not run it again */
    if (!core->run_ordered) {
        session_run_cancelled(turn); /* nobody was told of it */
        return;
    }
    session->stage.order.hard_cancel |= hard;
    session->stage.order.boundary_cancel |= !hard;
    session->stage.order.cancel = run;
}

/* Somebody executes, or could: an executor, or a service that owns the turn. */
static bool cancels(const struct session *session, enum phase phase)
{
    bool there = session->core.attached || session->core.service.run.bytes;
    return there && (phase == PHASE_ATTACHED || phase == PHASE_RUNNING);
}

void op_interrupt(const struct turn_of *turn, const struct mk_command *command)
{
    if (cancels(turn->session, turn->session->core.machine.phase))
        cancel(turn, command, true);
    else
        answer_error(turn, command, MK_ERR_NOT_READY);
}

void op_cancel_after_boundary(const struct turn_of *turn, const struct mk_command *command)
{
    if (cancels(turn->session, session_phase(turn->session)))
        cancel(turn, command, false);
    else
        answer_error(turn, command, MK_ERR_NOT_READY);
}

/* --- inputs --- */

void op_silent_intents(const struct turn_of *turn, const struct mk_command *command)
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
    answer_with_count(turn, command, "intents", core->intent_count);
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
    write->memo = true;
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
void op_withdraw(const struct turn_of *turn, const struct mk_command *command)
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
        if (known.entry->phase != INPUT_QUEUED || known.entry->offer) { /* or it is on its way into the turn */
            answer_withdrawn(turn, command, false, known.entry->offer ? INPUT_STAGED : known.entry->phase, NULL);
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

void op_wake(const struct turn_of *turn, const struct mk_command *command)
{
    struct session_core *core = &turn->session->core;
    bool active = core->ledger.count > 0;
    if (active && !core->attached) {
        struct answer *refusal = answer_error(turn, command, MK_ERR_NOT_READY);
        if (refusal) /* without a loop it counts as Idle, wherever it stands */
            refusal->as.result.phase = span_of(phase_name(PHASE_IDLE));
        return;
    }
    core->wake |= active;
    struct answer *answer = answer_ok(turn, command);
    if (answer)
        doc_put_bool(answer->data, "woken", active);
}

void op_publish_event(const struct turn_of *turn, const struct mk_command *command)
{
    struct machine_effects fx;
    if (!session_step(turn->session, IN_PUBLISH_EVENT, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    struct staged_event *event = stage_effect(turn, MK_INGRESS_NOTICE);
    if (event && command->args.kind.bytes)
        doc_put_text(event->data, "kind", command->args.kind);
    answer_with_phase(turn, command);
}

/* --- ingest --- */

static void put_admission(struct mk_doc *doc, const struct mk_admission *admission)
{
    doc_put_text(doc, "outcome", span_of(mk_admitted_name(admission->outcome)));
    if (span_given(admission->phase))
        doc_put_text(doc, "phase", admission->phase);
    if (span_given(admission->existing))
        doc_put_text(doc, "existing", admission->existing);
    if (span_given(admission->completion))
        doc_put_raw(doc, "completion", admission->completion);
    if (admission->outcome != MK_REJECTED)
        return;
    doc_put_text(doc, "reason", span_of(mk_err_code(admission->reason)));
    if (span_given(admission->detail))
        doc_put_text(doc, "detail", admission->detail);
    doc_put_bool(doc, "final", admission->final);
}

/* A rejection changed nothing, and is not remembered: the same command may do better later. */
static void answer_ingested(const struct turn_of *turn, const struct mk_command *command,
                            const struct mk_admission *admission)
{
    bool rejected = admission->outcome == MK_REJECTED;
    if (rejected && command_asked(turn, command))
        return;
    struct answer *answer = rejected ? answer_plain(turn, command->reply_to, command->h.id) : answer_ok(turn, command);
    if (answer)
        put_admission(answer->data, admission);
}

/* An input through the control plane's door: admitted like any other, once the session is bound; nobody waits for its
 * completion. Its admission stays in the stage, addressed to nobody, and is counted. */
void op_ingest(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine machine = session->core.machine;
    struct machine_input in = {.type = IN_INGEST, .same_session = true, .binding = machine.binding};
    struct mk_input input = command->input;
    if (!input.h.id.bytes) {
        answer_error(turn, command, MK_ERR_MISSING_FIELD);
        return;
    }
    if (session_phase(session) == PHASE_RETIRED || !machine_apply(&machine, &in, NULL)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    input.reply_to = (struct span){NULL, 0};
    struct answer **next = session->stage.answers_end;
    session_admit(turn, &input);
    if (session->stage.wants || session->stage.failed)
        return;
    const struct answer *admission = *next;
    assert(admission && admission->type == ANSWER_ADMISSION);
    answer_ingested(turn, command, &admission->as.admission);
}
