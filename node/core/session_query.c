/* Queries of one session: they read, and change nothing. What the session does not remember itself is asked of the
 * store. */
#include "node/core/session_impl.h"

#include <stdio.h>

static void put_run(struct mk_doc *doc, const struct session_core *core)
{
    doc_key(doc, "run");
    if (core->service.run.bytes) {
        doc_map(doc);
        doc_put_text(doc, "id", id_span(&core->service.run));
        doc_put_bool(doc, "service", true);
        doc_end(doc);
        return;
    }
    if (!core->run.id.bytes) {
        doc_nil(doc);
        return;
    }
    doc_map(doc);
    doc_put_text(doc, "id", id_span(&core->run.id));
    doc_put_u64(doc, "attempt", core->run.attempt);
    doc_put_text(doc, "boundary", span_of(mk_boundary_name(core->run.boundary)));
    doc_key(doc, "inputs");
    doc_array(doc);
    for (size_t i = 0; i < core->run.input_count; i++)
        doc_text(doc, ledger_by_seq(&core->ledger, core->run.inputs[i])->input->input.h.id);
    doc_end(doc);
    doc_end(doc);
}

static void query_state(const struct turn_of *turn, const struct mk_command *command)
{
    struct answer *answer = answer_ok(turn, command);
    if (answer)
        doc_put_text(answer->data, "phase", span_of(phase_name(session_phase(turn->session))));
}

static void query_show(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session_core *core = &turn->session->core;
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    struct mk_doc *doc = answer->data;
    doc_put_text(doc, "phase", span_of(phase_name(session_phase(turn->session))));
    doc_put_text(doc, "registration", span_of(registration_name(core->machine.registration)));
    doc_put_bool(doc, "attached", core->attached);
    doc_put_text(doc, "executor", id_span(&core->executor));
    doc_put_text(doc, "node", turn->ctx->node);
    doc_put_u64(doc, "fence", turn->ctx->fence);
    doc_put_u64(doc, "generation", core->generation);
    doc_put_text(doc, "epoch", id_span(&core->machine.binding.epoch));
    put_run(doc, core);
    doc_put_u64(doc, "active", core->ledger.count);
    doc_put_u64(doc, "events", core->next_event - 1);
    doc_put_u64(doc, "state_bytes", core->state ? core->state->bytes : 0);
    doc_put_u64(doc, "horizon_ms", core->horizon_ms);
    doc_put_u64(doc, "created_ms", core->created_ms);
}

static void put_entry(struct mk_doc *doc, const struct entry *entry)
{
    doc_put_text(doc, "phase", span_of(input_phase_name(entry->phase)));
    doc_put_text(doc, "kind", span_of(mk_kind_name(entry->input->input.kind)));
    doc_put_text(doc, "lane", span_of(entry->lane == LANE_STEER ? "steer" : "queue"));
    doc_put_u64(doc, "sequence", entry->seq);
    doc_put_u64(doc, "attempts", entry->attempts);
    doc_put_u64(doc, "deaths", entry->deaths);
    doc_put_text(doc, "run", id_span(&entry->run));
    doc_put_u64(doc, "admitted_ms", entry->admitted_ms);
    if (entry->deadline_at_ms)
        doc_put_u64(doc, "deadline_at_ms", entry->deadline_at_ms);
}

static void put_record(struct mk_doc *doc, const struct fact_record *record)
{
    doc_put_text(doc, "phase", span_of(input_phase_name(record->phase)));
    doc_put_u64(doc, "attempts", record->attempts);
    doc_put_text(doc, "run", record->run);
    if (record->phase < INPUT_CONSUMED)
        return;
    doc_put_text(doc, "outcome", span_of(mk_outcome_name(record->outcome)));
    if (record->reason)
        doc_put_text(doc, "reason", span_of(abandon_reason_name(record->reason)));
    if (span_given(record->bytes))
        doc_put_raw(doc, "completion", record->bytes);
}

static void query_input_state(const struct turn_of *turn, const struct mk_command *command)
{
    struct knowledge known = session_know_input(turn->session, command->args.id);
    if (!command->args.id.bytes) {
        answer_error(turn, command, MK_ERR_MISSING_FIELD);
        return;
    }
    if (known.how == KNOWN_UNASKED) {
        stage_want(turn->session, FACT_INPUT, command->args.id);
        return;
    }
    if (known.how == KNOWN_NOT) {
        answer_error(turn, command, MK_ERR_NOT_FOUND);
        return;
    }
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_text(answer->data, "input", command->args.id);
    if (known.how == KNOWN_ACTIVE)
        put_entry(answer->data, known.entry);
    else
        put_record(answer->data, known.record);
}

static void query_list_active_inputs(const struct turn_of *turn, const struct mk_command *command)
{
    const struct ledger *ledger = &turn->session->core.ledger;
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_key(answer->data, "inputs");
    doc_array(answer->data);
    for (size_t i = 0; i < ledger->count; i++)
        doc_text(answer->data, ledger->entries[i]->input->input.h.id);
    doc_end(answer->data);
}

/* --- outcome (D14) --- */

static void answer_outcome(const struct turn_of *turn, const struct mk_command *command, struct span id,
                           const struct knowledge *known)
{
    const struct fact_record *record = known->record;
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    struct mk_doc *doc = answer->data;
    uint64_t horizon_ms = turn->session->core.horizon_ms;
    bool flies = known->how == KNOWN_ACTIVE || (record && record->phase < INPUT_CONSUMED);
    const char *state = flies ? "in_flight" : "committed";
    if (known->how == KNOWN_NOT)
        state = horizon_ms ? "unknown" : "never_seen";
    else if (record && record->reason == ABANDON_WITHDRAWN && !record->event)
        state = "withdrawn";
    doc_put_text(doc, "state", span_of(state));
    doc_put_text(doc, "input", id);
    doc_put_bool(doc, "repeat_safe", true); /* its id is remembered, or born refuses it */
    if (known->how == KNOWN_NOT && horizon_ms) {
        doc_put_text(doc, "why", SPAN_LIT("it was never seen, or is older than the horizon and forgotten"));
        doc_put_u64(doc, "horizon_ms", horizon_ms);
    }
    if (flies) {
        doc_put_text(doc, "node", turn->ctx->node);
        doc_put_u64(doc, "fence", turn->ctx->fence);
    }
    if (known->how == KNOWN_ACTIVE)
        put_entry(doc, known->entry);
    else if (record)
        put_record(doc, record);
}

/* The id that a key stands for. False: nothing is known of the key, or it must be asked for (and *asked is set). */
static bool id_of_key(const struct turn_of *turn, struct span key, struct span *id, bool *asked)
{
    struct session *session = turn->session;
    const struct entry *entry = ledger_by_key(&session->core.ledger, key);
    const struct fact_write *write = stage_written(session, FACT_KEY, key);
    const struct fact *fact = session_fact(session, FACT_KEY, key);
    *asked = false;
    if (entry)
        *id = entry->input->input.h.id;
    else if (write)
        *id = write->record.input;
    else if (fact && fact->exists)
        *id = fact->record.input;
    else if (!fact)
        stage_want(session, FACT_KEY, key), *asked = true;
    return entry || write || (fact && fact->exists);
}

static void query_outcome(const struct turn_of *turn, const struct mk_command *command)
{
    struct span id = command->args.id, key = command->args.idem;
    struct knowledge known = {.how = KNOWN_NOT};
    bool asked = false;
    if (!id.bytes && !key.bytes) {
        answer_error(turn, command, MK_ERR_MISSING_FIELD);
        return;
    }
    if (id.bytes || id_of_key(turn, key, &id, &asked))
        known = session_know_input(turn->session, id);
    if (asked)
        return;
    if (known.how == KNOWN_UNASKED)
        stage_want(turn->session, FACT_INPUT, id);
    else
        answer_outcome(turn, command, id, &known);
}

static void query_receipt(const struct turn_of *turn, const struct mk_command *command)
{
    struct span run = command->args.run.bytes ? command->args.run : command->run;
    char name[MESSAGE_ID_BYTES_MAX + 1];
    int length = snprintf(name, sizeof name, "%.*s.%llu", SPAN_ARGS(run), (unsigned long long)command->args.sequence);
    if (!run.bytes || length >= (int)sizeof name) {
        answer_error(turn, command, run.bytes ? MK_ERR_INVALID_FIELD : MK_ERR_MISSING_FIELD);
        return;
    }
    const struct fact *fact = session_fact(turn->session, FACT_RECEIPT, span_of(name));
    if (!fact) {
        stage_want(turn->session, FACT_RECEIPT, span_of(name));
        return;
    }
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_key(answer->data, "receipt");
    if (fact->exists && span_given(fact->record.bytes))
        doc_raw(answer->data, fact->record.bytes);
    else
        doc_nil(answer->data);
}

static void query_transcript_edit(const struct turn_of *turn, const struct mk_command *command)
{
    struct machine machine = turn->session->core.machine;
    struct machine_effects fx;
    struct machine_input in = {
        .type = IN_RESOLVE_TRANSCRIPT_EDIT_ADMISSION,
        .same_session = true,
        .running = command->args.running,
        .active_inputs = command->args.active_inputs,
    };
    if (session_phase(turn->session) == PHASE_RETIRED || !machine_apply(&machine, &in, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    struct answer *answer = answer_ok(turn, command);
    if (answer)
        doc_put_text(answer->data, "verdict",
                     span_of(machine_has_effect(&fx, FX_DENIED_BUSY) ? "denied_busy" : "admissible"));
}

static void answer_yes_or_no(const struct turn_of *turn, const struct mk_command *command, const char *what, bool yes)
{
    struct answer *answer = answer_ok(turn, command);
    if (answer)
        doc_put_bool(answer->data, what, yes);
}

static void query_contains_session(const struct turn_of *turn, const struct mk_command *command)
{
    answer_yes_or_no(turn, command, "contains", session_known(turn->session));
}

static void query_session_has_executor(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session *session = turn->session;
    bool active = session->core.machine.registration == REGISTRATION_ACTIVE;
    answer_yes_or_no(turn, command, "has_executor", session_known(session) && active);
}

/* Nothing of comms is here: no session has a peer-ingress owner. */
static void query_session_has_comms(const struct turn_of *turn, const struct mk_command *command)
{
    answer_yes_or_no(turn, command, "has_comms", false);
}

struct query {
    void (*answer)(const struct turn_of *turn, const struct mk_command *command);
    enum mk_err unknown; /* OK: it answers an unknown session itself */
};

void session_query(const struct turn_of *turn, const struct mk_command *command)
{
    static const struct query queries[MK_OP_COUNT] = {
        [MK_OP_STATE] = {query_state, MK_ERR_NOT_FOUND},
        [MK_OP_SHOW] = {query_show, MK_ERR_NOT_FOUND},
        [MK_OP_INPUT_STATE] = {query_input_state, MK_ERR_NOT_READY},
        [MK_OP_LIST_ACTIVE_INPUTS] = {query_list_active_inputs, MK_ERR_NOT_READY},
        [MK_OP_OUTCOME] = {query_outcome, MK_ERR_OK},
        [MK_OP_RECEIPT] = {query_receipt, MK_ERR_NOT_FOUND},
        [MK_OP_TRANSCRIPT_EDIT] = {query_transcript_edit, MK_ERR_NOT_READY},
        [MK_OP_CONTAINS_SESSION] = {query_contains_session, MK_ERR_OK},
        [MK_OP_SESSION_HAS_EXECUTOR] = {query_session_has_executor, MK_ERR_OK},
        [MK_OP_SESSION_HAS_COMMS] = {query_session_has_comms, MK_ERR_NOT_READY},
        [MK_OP_WHY] = {session_why, MK_ERR_NOT_FOUND},
    };
    const struct query *query = &queries[command->op];
    if (!query->answer) /* a node's operation, or one that the node answers */
        answer_error(turn, command, MK_ERR_UNKNOWN_OP);
    else if (!session_known(turn->session) && query->unknown)
        answer_error(turn, command, query->unknown);
    else
        query->answer(turn, command);
}
