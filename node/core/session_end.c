/* How an input ends: its completion, what is remembered of it, its dead letter; and the receipt of who was consumed
 * (semantics-core.md 6.1 and 6.3; D3). */
#include "node/core/session_impl.h"

#include <stdio.h>

/* --- its completion, and what is remembered --- */

static void fill_completion(struct staged_event *event, const struct entry *entry, const struct ending *ending)
{
    struct mk_completion *out = &event->as.completion;
    event->run = entry->run;
    event->result = blob_keep(ending->result);
    out->result = blob_span(event->result);
    out->error = ending->error;
    if (ending->error)
        out->error_message = blob_span(event->text);
    if (ending->reason)
        out->reason = span_of(abandon_reason_name(ending->reason));
    if (!ending->error && !ending->receipt && event->text)
        out->reason = blob_span(event->text);
    if (ending->receipt) {
        out->has_receipt = true;
        out->receipt = *ending->receipt;
        out->receipt.digest = blob_span(event->text);
    }
    out->receipt.run = id_span(&event->run);
    if (ending->aggregate.bytes && id_set(&event->aggregate, ending->aggregate))
        out->aggregate = id_span(&event->aggregate);
}

/* It goes into the dead letters in the commit that publishes its completion. */
static void bury(const struct entry *entry, const struct ending *ending, struct staged_event *event)
{
    if (ending->phase != INPUT_ABANDONED || !abandon_leaves_letter(ending->reason))
        return;
    event->dead = input_keep(entry->input);
    event->dead_why = ending->reason;
    event->dead_attempts = entry->attempts;
}

/* What is remembered of the input from now on. A fact of this same stage is replaced in its place: the store must find
 * one value, and the condition is that of the admission. */
static void remember_end(const struct turn_of *turn, const struct entry *entry, const struct ending *ending,
                         struct staged_event *event)
{
    struct session *session = turn->session;
    struct span id = entry->input->input.h.id;
    struct fact_write *write = stage_written(session, FACT_INPUT, id);
    if (!write)
        write = stage_write(session, FACT_INPUT, id);
    if (!write)
        return;
    if (!write->input)
        write->input = input_keep(entry->input);
    write->completion = event;
    write->run = entry->run;
    write->record.at_ms = turn->ctx->store_ms;
    write->record.stamp = turn->ctx->fence;
    write->record.digest = entry->input->digest;
    write->record.phase = ending->phase;
    write->record.reason = ending->reason;
    write->record.outcome = ending->outcome;
    write->record.event = event->as.completion.seq;
    write->record.attempts = entry->attempts;
    write->record.run = id_span(&write->run);
    write->record.ephemeral = !entry_is_durable(entry) && ending->reason != ABANDON_WITHDRAWN; /* for good */
    session->core.terminal_count++;
}

/* The key of an ephemeral input, which was not remembered at its admission. */
static void remember_key(const struct turn_of *turn, const struct entry *entry)
{
    struct fact_write *write = stage_write(turn->session, FACT_KEY, entry->input->input.idem);
    if (!write)
        return;
    write->input = input_keep(entry->input);
    write->record.at_ms = turn->ctx->store_ms;
    write->record.stamp = turn->ctx->fence;
    write->record.digest = entry->input->digest;
    write->record.ephemeral = true;
    write->record.input = entry->input->input.h.id;
}

void session_say_end(const struct turn_of *turn, const struct entry *entry, const struct ending *ending)
{
    struct session *session = turn->session;
    struct span text = ending->receipt ? ending->receipt->digest : ending->message;
    struct staged_event *event = stage_completion(turn, entry, ending->outcome);
    if (!event)
        return;
    if (text.bytes && !(event->text = blob_new(session->mem, text))) {
        session->stage.failed = true;
        return;
    }
    fill_completion(event, entry, ending);
    bury(entry, ending, event);
    remember_end(turn, entry, ending, event);
    if (!entry_is_durable(entry) && entry->input->input.idem.bytes)
        remember_key(turn, entry);
}

void session_end_input(const struct turn_of *turn, uint64_t seq, const struct ending *ending)
{
    struct session *session = turn->session;
    session_say_end(turn, ledger_by_seq(&session->core.ledger, seq), ending);
    if (session->stage.failed)
        return;
    stage_row_removed(session, seq);
    ledger_remove(&session->core.ledger, session->mem, seq);
}

struct ending ending_terminated(enum abandon_reason reason, struct span message)
{
    return (struct ending){
        .phase = INPUT_ABANDONED, .reason = reason, .outcome = MK_RUNTIME_TERMINATED, .message = message};
}

size_t session_abandon_all(const struct turn_of *turn, enum abandon_reason reason, struct span message)
{
    struct ledger *ledger = &turn->session->core.ledger;
    struct ending ending = ending_terminated(reason, message);
    size_t count = ledger->count;
    while (ledger->count && !turn->session->stage.failed)
        session_end_input(turn, ledger->entries[0]->seq, &ending);
    return count;
}

void session_expire(const struct turn_of *turn)
{
    struct ledger *ledger = &turn->session->core.ledger;
    struct ending ending = {
        .phase = INPUT_ABANDONED,
        .reason = ABANDON_DEADLINE_PASSED,
        .outcome = MK_ABANDONED_WITH_ERROR,
        .error = MK_ERR_DEADLINE_PASSED,
        .message = span_of(mk_err_text(MK_ERR_DEADLINE_PASSED)),
    };
    for (size_t i = 0; i < ledger->count && !turn->session->stage.failed;) {
        const struct entry *entry = ledger->entries[i];
        bool passed =
            entry->phase == INPUT_QUEUED && entry->deadline_at_ms && entry->deadline_at_ms <= turn->ctx->store_ms;
        if (passed && !entry->offer)
            session_end_input(turn, entry->seq, &ending);
        else
            i++;
    }
}

/* --- receipts --- */

void session_write_receipt(const struct turn_of *turn, const struct mk_receipt *receipt, const uint64_t *seqs,
                           size_t count)
{
    struct session *session = turn->session;
    char name[MESSAGE_ID_BYTES_MAX + 1];
    snprintf(name, sizeof name, "%.*s.%llu", SPAN_ARGS(receipt->run), (unsigned long long)receipt->sequence);
    struct fact_write *write = stage_write(session, FACT_RECEIPT, span_of(name));
    if (!write)
        return;
    id_set(&write->run, receipt->run);
    write->record.at_ms = turn->ctx->store_ms;
    write->record.stamp = turn->ctx->fence;
    write->record.run = id_span(&write->run);
    write->receipt = doc_new(session->mem);
    if (!write->receipt) {
        session->stage.failed = true;
        return;
    }
    struct mk_doc *doc = write->receipt;
    doc_map(doc);
    doc_put_text(doc, "run", receipt->run);
    doc_put_u64(doc, "sequence", receipt->sequence);
    doc_put_text(doc, "boundary", span_of(mk_boundary_name(receipt->boundary)));
    if (span_given(receipt->digest))
        doc_put_text(doc, "digest", receipt->digest);
    doc_key(doc, "inputs");
    doc_array(doc);
    for (size_t i = 0; i < count; i++)
        doc_text(doc, ledger_by_seq(&session->core.ledger, seqs[i])->input->input.h.id);
}

uint64_t session_next_receipt(struct session *session, const struct mk_id *run, bool injection)
{
    struct session_core *core = &session->core;
    bool same = span_equal(id_span(&core->last_run), id_span(run));
    core->last_receipt_sequence = same ? core->last_receipt_sequence + 1 : injection;
    core->last_run = *run;
    return core->last_receipt_sequence;
}
