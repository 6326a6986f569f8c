/* Why a session does not go on: what it waits for, since when, and how its last run failed (the query `why`). */
#include "node/core/session_impl.h"

/* --- how a run failed last --- */

/* A text is not cut within a character. */
static size_t shortened(struct span text)
{
    size_t bytes = text.bytes < FAILURE_BYTES_MAX ? text.bytes : FAILURE_BYTES_MAX;
    while (bytes && bytes < text.bytes && ((unsigned char)text.at[bytes] & 0xc0) == 0x80)
        bytes--;
    return bytes;
}

void session_note_failure(const struct turn_of *turn, struct span run, enum mk_err error, struct span message,
                          bool will_retry)
{
    struct failure_record *failure = &turn->session->core.failure;
    *failure = (struct failure_record){
        .at_ms = turn->ctx->store_ms, .error = error, .will_retry = will_retry, .bytes = shortened(message)};
    id_set(&failure->run, run);
    if (failure->bytes)
        memcpy(failure->message, message.at, failure->bytes);
    turn->session->stage.durable = true;
}

/* --- what it waits for --- */

static const char *const wait_names[WAIT_COUNT] = {
    [WAIT_NOTHING] = "nothing",           [WAIT_EXECUTOR] = "executor", [WAIT_RUN] = "run",
    [WAIT_SERVICE_TURN] = "service_turn", [WAIT_BACKOFF] = "backoff",   [WAIT_HANDOVER] = "handover",
    [WAIT_UNREGISTER] = "unregister",     [WAIT_STOP] = "stop",         [WAIT_WAKE] = "wake",
};

static enum wait waits_for(const struct session *session)
{
    const struct session_core *core = &session->core;
    if (!session_known(session))
        return WAIT_NOTHING;
    if (core->leaving.re.bytes)
        return WAIT_UNREGISTER;
    if (session_run(session).bytes && core->machine.stop_deferred)
        return WAIT_STOP;
    if (core->service.run.bytes)
        return WAIT_SERVICE_TURN;
    if (core->run.id.bytes && !core->recovery_owed)
        return WAIT_RUN;
    if (!core->ledger.count)
        return WAIT_NOTHING;
    if (!core->attached)
        return WAIT_EXECUTOR;
    if (session->held)
        return WAIT_HANDOVER;
    if (core->not_before_ms)
        return WAIT_BACKOFF;
    return core->wake ? WAIT_NOTHING : WAIT_WAKE;
}

struct waiting session_waits(const struct session *session)
{
    const struct session_core *core = &session->core;
    struct waiting now = {.what = waits_for(session),
                          .attempt = core->run.attempt,
                          .since_ms = session->event_ms,
                          .exact = !session->restored};
    id_set(&now.run, session_run(session));
    const struct waiting *last = &session->waiting;
    bool same = last->since_ms && last->what == now.what && last->attempt == now.attempt &&
                span_equal(id_span(&last->run), id_span(&now.run));
    if (!same)
        return now;
    now.since_ms = last->since_ms;
    now.exact = last->exact;
    return now;
}

/* --- the answer --- */

static uint64_t since(uint64_t then_ms, uint64_t now_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* The time at which the wait ends by itself, by the store's clock; 0: at none. */
static uint64_t ends_at(const struct turn_of *turn, enum wait what)
{
    const struct session_core *core = &turn->session->core;
    uint64_t at_ms = 0;
    if (what == WAIT_BACKOFF)
        at_ms = core->not_before_ms;
    else if (what == WAIT_UNREGISTER)
        at_ms = core->leaving.until_ms;
    else if (core->service.run.bytes)
        at_ms = core->service.until_ms;
    return at_ms ? turn->ctx->store_ms + since(turn->ctx->now_ms, at_ms) : 0;
}

static void put_wait(const struct turn_of *turn, struct mk_doc *doc)
{
    const struct session *session = turn->session;
    struct waiting waiting = session_waits(session);
    uint64_t until_ms = ends_at(turn, waiting.what);
    doc_put_text(doc, "waits_for", span_of(wait_names[waiting.what]));
    doc_put_u64(doc, "since_ms", waiting.since_ms);
    doc_put_u64(doc, "for_ms", since(waiting.since_ms, turn->ctx->store_ms));
    doc_put_bool(doc, "since_exact", waiting.exact);
    if (until_ms)
        doc_put_u64(doc, "until_ms", until_ms);
    doc_key(doc, "run");
    if (!waiting.run.bytes) {
        doc_nil(doc);
        return;
    }
    doc_map(doc);
    doc_put_text(doc, "id", id_span(&waiting.run));
    doc_put_u64(doc, "attempt", waiting.attempt);
    doc_put_u64(doc, "inputs", session->core.run.input_count);
    doc_put_bool(doc, "cancelled", session->core.run.cancelled);
    doc_end(doc);
}

static void put_inputs(const struct turn_of *turn, struct mk_doc *doc)
{
    const struct ledger *ledger = &turn->session->core.ledger;
    doc_put_u64(doc, "active", ledger->count);
    if (!ledger->count)
        return;
    const struct entry *oldest = ledger->entries[0]; /* ascending in admission */
    doc_put_text(doc, "oldest", oldest->input->input.h.id);
    doc_put_u64(doc, "oldest_ms", since(oldest->admitted_ms, turn->ctx->store_ms));
}

static void put_failure(const struct turn_of *turn, struct mk_doc *doc)
{
    const struct failure_record *failure = &turn->session->core.failure;
    doc_key(doc, "last_failure");
    if (!failure->at_ms) {
        doc_nil(doc);
        return;
    }
    doc_map(doc);
    doc_put_text(doc, "run", id_span(&failure->run));
    doc_put_text(doc, "error", span_of(mk_err_code(failure->error)));
    doc_put_text(doc, "message", span_bytes(failure->message, failure->bytes));
    doc_put_u64(doc, "at_ms", failure->at_ms);
    doc_put_u64(doc, "ago_ms", since(failure->at_ms, turn->ctx->store_ms));
    doc_put_bool(doc, "will_retry", failure->will_retry);
    doc_end(doc);
}

void session_why(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session *session = turn->session;
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    struct mk_doc *doc = answer->data;
    doc_put_text(doc, "phase", span_of(phase_name(session_phase(session))));
    doc_put_text(doc, "registration", span_of(registration_name(session->core.machine.registration)));
    doc_put_bool(doc, "attached", session->core.attached);
    doc_put_text(doc, "executor", id_span(&session->core.executor));
    put_wait(turn, doc);
    put_inputs(turn, doc);
    put_failure(turn, doc);
    doc_put_text(doc, "node", turn->ctx->node);
    doc_put_u64(doc, "fence", turn->ctx->fence);
    doc_put_u64(doc, "partition", session->partition);
    doc_put_u64(doc, "owned_for_ms", since(turn->ctx->owned_since_ms, turn->ctx->store_ms));
}
