/* Admission (semantics-core.md 5.3): an input is answered deduplicated, rejected or accepted, and nothing else. */
#include "node/core/session_impl.h"

#include <stdio.h>

/* --- answers --- */

static struct answer *admission(const struct turn_of *turn, const struct mk_input *input, enum mk_admitted outcome)
{
    struct answer *answer = stage_answer(turn->session, ANSWER_ADMISSION, input->reply_to, input->h.id);
    if (!answer)
        return NULL;
    answer->as.admission.outcome = outcome;
    answer->as.admission.durability = input->durability;
    return answer;
}

static void reject(const struct turn_of *turn, const struct mk_input *input, enum mk_err reason, bool final,
                   const char *detail)
{
    struct answer *answer = admission(turn, input, MK_REJECTED);
    if (!answer)
        return;
    struct mk_admission *out = &answer->as.admission;
    out->reason = reason;
    out->final = final;
    snprintf(answer->text, sizeof answer->text, "%s", detail);
    out->detail = span_of(answer->text);
    if (reason == MK_ERR_NOT_READY)
        out->phase = span_of(phase_name(session_phase(turn->session)));
}

static void refuse(const struct turn_of *turn, const struct mk_input *input, enum mk_err reason)
{
    reject(turn, input, reason, mk_err_final(reason), mk_err_text(reason));
}

static struct answer *deduplicated(const struct turn_of *turn, const struct mk_input *input, struct span existing,
                                   enum input_phase phase)
{
    struct answer *answer = admission(turn, input, MK_DEDUPLICATED);
    if (!answer)
        return NULL;
    id_set(&answer->existing, existing);
    answer->as.admission.existing = id_span(&answer->existing);
    answer->as.admission.phase = span_of(input_phase_name(phase));
    return answer;
}

/* --- repeats --- */

struct knowledge session_know_input(const struct session *session, struct span id)
{
    struct knowledge known = {.how = KNOWN_UNASKED};
    known.entry = ledger_by_id(&session->core.ledger, id);
    if (known.entry) {
        known.how = KNOWN_ACTIVE;
        return known;
    }
    known.write = stage_written(session, FACT_INPUT, id);
    if (known.write) {
        known.how = KNOWN_STAGED;
        known.record = &known.write->record;
        return known;
    }
    const struct fact *fact = session_fact(session, FACT_INPUT, id);
    if (!fact)
        return known;
    known.how = fact->exists ? KNOWN_FACT : KNOWN_NOT;
    known.record = fact->exists ? &fact->record : NULL;
    return known;
}

static void join_active(const struct turn_of *turn, const struct mk_input *input, const struct entry *entry)
{
    struct session *session = turn->session;
    deduplicated(turn, input, entry->input->input.h.id, entry->phase);
    if (!input->reply_to.bytes)
        return;
    struct entry *mine = ledger_edit(&session->core.ledger, session->mem, entry->seq);
    if (!mine) {
        session->stage.failed = true;
        return;
    }
    entry_join(mine, input->reply_to);
}

/* The completion is on its way with this very stage: one more address for it. */
static void join_staged(const struct mk_input *input, struct staged_event *completion)
{
    if (!completion || !input->reply_to.bytes || completion->waiter_count == WAITERS_MAX)
        return;
    if (id_set(&completion->waiters[completion->waiter_count], input->reply_to))
        completion->waiter_count++;
}

/* The answer to a repeat of an input that is no longer active. */
static void answer_ended(const struct turn_of *turn, const struct mk_input *input, struct span existing,
                         const struct knowledge *known)
{
    const struct fact_record *record = known->record;
    if (record->reason == ABANDON_WITHDRAWN && !record->event) {
        refuse(turn, input, MK_ERR_WITHDRAWN); /* a tombstone: it was never admitted */
        return;
    }
    struct answer *answer = deduplicated(turn, input, existing, record->phase);
    if (!answer)
        return;
    if (known->how == KNOWN_STAGED)
        join_staged(input, known->write->completion);
    if (known->how == KNOWN_STAGED || !span_given(record->bytes))
        return;
    answer->bytes = blob_new(turn->session->mem, record->bytes);
    if (!answer->bytes) {
        turn->session->stage.failed = true;
        return;
    }
    answer->as.admission.completion = blob_span(answer->bytes);
}

/* True: the id is known, and its repeat answered. */
static bool repeated_id(const struct turn_of *turn, const struct mk_input *input)
{
    struct knowledge known = session_know_input(turn->session, input->h.id);
    if (known.how == KNOWN_UNASKED || known.how == KNOWN_NOT)
        return false;
    uint64_t digest = known.how == KNOWN_ACTIVE ? known.entry->input->digest : known.record->digest;
    bool tombstone = known.how != KNOWN_ACTIVE && known.record->reason == ABANDON_WITHDRAWN && !known.record->event;
    if (!tombstone && digest != input_digest(input))
        refuse(turn, input, MK_ERR_ID_CONFLICT);
    else if (known.how == KNOWN_ACTIVE)
        join_active(turn, input, known.entry);
    else
        answer_ended(turn, input, input->h.id, &known);
    return true;
}

/* True: the key is known, and its repeat answered; or more must be known first. */
static bool repeated_key(const struct turn_of *turn, const struct mk_input *input)
{
    struct session *session = turn->session;
    if (!input->idem.bytes)
        return false;
    const struct entry *entry = ledger_by_key(&session->core.ledger, input->idem);
    if (entry) {
        join_active(turn, input, entry);
        return true;
    }
    const struct fact_write *write = stage_written(session, FACT_KEY, input->idem);
    const struct fact *fact = session_fact(session, FACT_KEY, input->idem);
    if (!write && (!fact || !fact->exists))
        return false;
    struct span existing = write ? write->record.input : fact->record.input;
    struct knowledge known = session_know_input(session, existing);
    if (known.how == KNOWN_ACTIVE)
        join_active(turn, input, known.entry);
    else if (known.how == KNOWN_UNASKED)
        stage_want(session, FACT_INPUT, existing);
    else if (known.how == KNOWN_NOT) /* the key outlived what is remembered of its input */
        deduplicated(turn, input, existing, INPUT_CONSUMED);
    else
        answer_ended(turn, input, existing, &known);
    return true;
}

/* --- validation: the first rule that is broken, in the stated order; NULL: valid --- */

static bool is_uuid(struct span text)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool dash = c == '-' && text.bytes == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (!hex && !dash)
            return false;
        digits += hex;
    }
    return digits == 32 && (text.bytes == 32 || text.bytes == 36);
}

static const char *derived_fault(const struct mk_input *input)
{
    if (input->origin != MK_FLOW && input->origin != MK_SYSTEM)
        return "external ingress cannot submit derived inputs";
    switch (input->kind) {
    case MK_PROMPT:
    case MK_PEER_MESSAGE:
    case MK_PEER_REQUEST:
    case MK_PEER_RESPONSE_TERMINAL:
    case MK_FLOW_STEP:
        return "an input of this kind cannot be derived";
    case MK_PEER_RESPONSE_PROGRESS:
    case MK_EXTERNAL_EVENT:
    case MK_CONTINUATION:
    case MK_OPERATION:
    case MK_KIND_COUNT:
        break;
    }
    return NULL;
}

static const char *terminal_fault(const struct mk_input *input)
{
    if (!is_uuid(input->peer_id))
        return "a terminal response needs the uuid of its peer";
    if (!input->peer_name.bytes)
        return "a terminal response needs its peer's display identity";
    if (!is_uuid(input->request_id))
        return "a terminal response needs the uuid of its request";
    return input->status == MK_STATUS_CANCELLED ? "a terminal response cannot be cancelled" : NULL;
}

static const char *fault_of(const struct mk_input *input)
{
    const char *fault = NULL;
    if (input->durability == MK_DURABILITY_MISSING)
        return "the durability is missing";
    if (input->durability == MK_DERIVED)
        fault = derived_fault(input);
    if (!fault && input->kind == MK_PEER_RESPONSE_PROGRESS && input->handling != MK_HANDLING_NONE)
        fault = "a progress response has no handling mode";
    if (!fault && input->kind == MK_PEER_RESPONSE_TERMINAL && input->origin == MK_PEER)
        fault = terminal_fault(input);
    return fault;
}

/* --- what stands in the way of an input that is new --- */

/* An ephemeral input writes nothing when it is admitted, so no condition finds out that its names are known: they are
 * asked for. */
static bool names_asked(const struct turn_of *turn, const struct mk_input *input)
{
    struct session *session = turn->session;
    if (input->durability != MK_EPHEMERAL)
        return false;
    if (session_know_input(session, input->h.id).how == KNOWN_UNASKED)
        stage_want(session, FACT_INPUT, input->h.id);
    if (input->idem.bytes && !ledger_by_key(&session->core.ledger, input->idem) &&
        !stage_written(session, FACT_KEY, input->idem) && !session_fact(session, FACT_KEY, input->idem))
        stage_want(session, FACT_KEY, input->idem);
    return session->stage.wants != NULL;
}

/* True: answered, or more must be known first. */
static bool held_back(const struct turn_of *turn, const struct mk_input *input)
{
    if (!input->after.bytes)
        return false;
    struct knowledge known = session_know_input(turn->session, input->after);
    if (known.how == KNOWN_UNASKED)
        stage_want(turn->session, FACT_INPUT, input->after);
    else if (known.how == KNOWN_NOT)
        refuse(turn, input, MK_ERR_NOT_KNOWN_YET);
    return known.how == KNOWN_UNASKED || known.how == KNOWN_NOT;
}

static bool executor_there(const struct turn_of *turn, const struct mk_input *input)
{
    const struct session_ctx *ctx = turn->ctx;
    struct span name = input->executor;
    if (!span_given(name) && session_known(turn->session))
        name = id_span(&turn->session->core.executor);
    return !ctx->executor_known || ctx->executor_known(ctx->self, name);
}

/* A refusal for the session's sake must not hide what became of an input that was admitted before: its id is looked up
 * first. */
static void refuse_new(const struct turn_of *turn, const struct mk_input *input, enum mk_err reason)
{
    if (session_know_input(turn->session, input->h.id).how == KNOWN_UNASKED)
        stage_want(turn->session, FACT_INPUT, input->h.id);
    else
        refuse(turn, input, reason);
}

/* True: refused, or more must be known first. */
static bool not_ready(const struct turn_of *turn, const struct mk_input *input)
{
    const struct session *session = turn->session;
    const struct machine *machine = &session->core.machine;
    bool open = session_known(session)
                    ? machine_accepts_input(machine) && machine->registration != REGISTRATION_DRAINING
                    : turn->ctx->auto_register && !session->core.retained;
    if (!open)
        refuse_new(turn, input, MK_ERR_NOT_READY);
    return !open;
}

/* True: answered, or more must be known first. */
static bool too_late(const struct turn_of *turn, const struct mk_input *input)
{
    struct session *session = turn->session;
    if (!input->born || input->born >= session->core.horizon_ms)
        return false;
    if (session_know_input(session, input->h.id).how == KNOWN_UNASKED)
        stage_want(session, FACT_INPUT, input->h.id);
    else
        refuse(turn, input, MK_ERR_TOO_LATE);
    return true;
}

/* --- accepted --- */

static bool silenced(const struct session *session, const struct mk_input *input)
{
    for (size_t i = 0; i < session->core.intent_count; i++)
        if (span_equal(id_span(&session->core.intents[i]), input->intent))
            return true;
    return false;
}

/* The names by which a repeat is known: new to the store, or this section is not written. */
static void remember(const struct turn_of *turn, struct admitted *input)
{
    struct span names[FACT_KIND_COUNT] = {[FACT_INPUT] = input->input.h.id, [FACT_KEY] = input->input.idem};
    for (size_t kind = 0; kind < FACT_KIND_COUNT; kind++) {
        if (!names[kind].bytes)
            continue;
        struct fact_write *write = stage_write_new(turn->session, (enum fact_kind)kind, names[kind]);
        if (!write)
            return;
        write->input = input_keep(input);
        write->record.at_ms = turn->ctx->store_ms;
        write->record.stamp = turn->ctx->fence;
        write->record.digest = input->digest;
        write->record.phase = INPUT_QUEUED;
        if (kind == FACT_KEY)
            write->record.input = input->input.h.id;
    }
}

/* The input that the new one replaces (progress of one thing), or NULL: the first queued one, queue lane first. */
static const struct entry *replaced_by(const struct session *session, const struct entry *entry)
{
    static const enum lane lanes[] = {LANE_QUEUE, LANE_STEER};
    const struct mk_input *input = &entry->input->input;
    if (entry->policy.queue != QUEUE_COALESCE || !input->supersede.bytes)
        return NULL;
    for (size_t lane = 0; lane < 2; lane++) {
        for (size_t i = 0; i < session->core.ledger.count; i++) {
            const struct entry *old = session->core.ledger.entries[i];
            bool equal =
                old->input->input.kind == input->kind && span_equal(old->input->input.supersede, input->supersede);
            if (old != entry && old->lane == lanes[lane] && old->phase == INPUT_QUEUED && equal)
                return old;
        }
    }
    return NULL;
}

/* signal: what the machine makes of it. */
static bool machine_accepts(const struct turn_of *turn, const struct mk_input *input, const struct policy *policy,
                            struct machine_effects *signal)
{
    struct machine_input in = {
        .type = input->wake ? IN_ACCEPT_WITH_COMPLETION : IN_ACCEPT_WITHOUT_WAKE,
        .same_session = true,
        .immediate = policy->immediate,
        .interrupt = policy->interrupt,
        .wake_if_idle = policy->wake_if_idle,
    };
    if (!session_machine(turn->session, &in, signal))
        return false;
    bool wakes = machine_has_effect(signal, FX_WAKE_LOOP) || machine_has_effect(signal, FX_INTERRUPT_YIELDING) ||
                 machine_has_effect(signal, FX_REQUEST_IMMEDIATE_PROCESSING);
    turn->session->core.wake |= wakes;
    return true;
}

static struct entry *enter(const struct turn_of *turn, const struct mk_input *input, const struct policy *policy,
                           bool running, bool silent)
{
    struct session *session = turn->session;
    struct admitted *copy = input_copy(session->mem, input);
    struct entry *entry = copy ? ledger_add(&session->core.ledger, session->mem, copy, policy) : NULL;
    input_release(copy);
    if (!entry) {
        session->stage.failed = true;
        return NULL;
    }
    entry->admitted_while_running = running;
    entry->silent = silent;
    entry->admitted_ms = turn->ctx->store_ms;
    entry->deadline_at_ms = input->deadline_ms ? turn->ctx->store_ms + input->deadline_ms : 0;
    if (entry_is_durable(entry)) {
        session->stage.durable = true;
        remember(turn, copy);
    }
    return entry;
}

static void accepted(const struct turn_of *turn, const struct mk_input *input, const struct entry *entry)
{
    bool consumed = entry->policy.consume == CONSUME_ON_ACCEPT;
    struct answer *answer = admission(turn, input, MK_ACCEPTED);
    if (!answer)
        return;
    answer->as.admission.phase = span_of(input_phase_name(consumed ? INPUT_CONSUMED : INPUT_QUEUED));
    if (consumed) {
        struct ending ending = {.phase = INPUT_CONSUMED, .outcome = MK_COMPLETED_WITHOUT_RESULT};
        session_end_input(turn, entry->seq, &ending);
        return;
    }
    const struct entry *old = replaced_by(turn->session, entry);
    if (old) {
        struct ending ending = {
            .phase = INPUT_COALESCED, .outcome = MK_COALESCED, .aggregate = entry->input->input.h.id};
        session_end_input(turn, old->seq, &ending);
    }
}

/* An input makes its session able to run it: registered, bound, with an executor (P8). What is retired, stopped or on
 * its way out was refused before. */
static bool made_ready(const struct turn_of *turn, const struct mk_input *input)
{
    const struct session_core *core = &turn->session->core;
    if (!session_known(turn->session))
        return session_bring_up(turn, input->executor);
    if (core->attached || !turn->ctx->auto_register)
        return true;
    return session_bind(turn) && session_attach(turn, core->executor.bytes ? SPAN_LIT("") : input->executor);
}

static void accept(const struct turn_of *turn, const struct mk_input *input)
{
    struct session *session = turn->session;
    if (!made_ready(turn, input)) {
        reject(turn, input, MK_ERR_INVALID_STATE, false, "the machine refuses to register the session");
        return;
    }
    if (session->core.ledger.next_admission == 1 && !session->core.executor.bytes)
        id_set(&session->core.executor, input->executor);        /* `register` left it open: the first input says */
    bool running = session->core.machine.phase == PHASE_RUNNING; /* a live boundary is always one of a run */
    bool silent = silenced(session, input);
    struct policy policy = policy_of(input, running, running, silent);
    struct machine_effects signal;
    if (!machine_accepts(turn, input, &policy, &signal)) {
        reject(turn, input, MK_ERR_VALIDATION_FAILED, false, "the machine refuses the input");
        return;
    }
    struct entry *entry = enter(turn, input, &policy, running, silent);
    if (!entry)
        return;
    session_offer(turn, entry, &signal);
    accepted(turn, input, entry);
}

void session_admit(const struct turn_of *turn, const struct mk_input *input)
{
    const struct session *session = turn->session;
    if (repeated_id(turn, input))
        return;
    if (session->core.machine.phase == PHASE_DESTROYED) {
        refuse_new(turn, input, MK_ERR_DESTROYED);
        return;
    }
    if (held_back(turn, input))
        return;
    if (!executor_there(turn, input)) {
        refuse_new(turn, input, MK_ERR_UNKNOWN_EXECUTOR);
        return;
    }
    if (not_ready(turn, input))
        return;
    const char *fault = fault_of(input);
    if (fault) {
        reject(turn, input, MK_ERR_VALIDATION_FAILED, true, fault); /* the reason lies in the input alone */
        return;
    }
    if (names_asked(turn, input) || repeated_key(turn, input) || too_late(turn, input))
        return;
    if (session->core.ledger.count + session->core.carried.count + session->unread_count >= ACTIVE_INPUTS_MAX) {
        refuse_new(turn, input, MK_ERR_OVERLOADED);
        return;
    }
    accept(turn, input);
}
