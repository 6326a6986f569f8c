/* A session under test, driven as the node drives it, with a store made of two lists: what a commit wrote, and nothing
 * else, is there after rig_crash. Every event is followed by a check of the invariants. */
#ifndef MEERKAT_TESTS_RIG_H
#define MEERKAT_TESTS_RIG_H

#include "tests/lib/t.h"

#include "node/core/session.h"

#include <stdio.h>
#include <stdlib.h>

#define RIG_FACTS 512
#define RIG_ROWS  512
#define RIG_LOG   65536

struct rig_fact {
    enum fact_kind kind;
    struct mk_id name;
    struct fact_record record; /* without spans */
    char input[65], run[65], bytes[256];
};

struct rig_row {
    struct input_record record;
    struct admitted *input;
    struct mk_id run;
};

struct rig {
    struct test_mem t;
    struct session *session;
    struct session_ctx ctx;
    uint64_t draws;
    /* the store */
    struct rig_fact facts[RIG_FACTS];
    size_t fact_count;
    struct rig_row rows[RIG_ROWS];
    size_t row_count;
    bool has_head;
    struct session_record head;
    struct run_record run;
    struct mk_id executor;
    uint64_t active[ACTIVE_INPUTS_MAX];
    char state[256];
    size_t state_bytes;
    bool has_state;
    /* what came of the last event */
    char log[RIG_LOG]; /* one line per answer, event and order */
    char dead[1024];   /* "id reason attempts;" for each dead letter, of all events */
    char memos[1024];  /* "name;" for each memo, of all events */
    struct executor_order order;
    size_t wants, skips, commits;
    bool failed;
    struct mk_id run_id; /* the current run, or the last one */
    uint64_t attempt;
    struct run_at live; /* lent to ctx by rig_live */
};

static inline void rig_say(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void rig_say(struct rig *rig, const char *format, ...)
{
    size_t used = strlen(rig->log);
    va_list args;
    va_start(args, format);
    vsnprintf(rig->log + used, sizeof rig->log - used, format, args);
    va_end(args);
}

static inline bool rig_executor_known(void *self, struct span name)
{
    (void)self;
    return !span_is(name, "nobody");
}

static inline void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    test_mem_init(&rig->t);
    rig->session = session_new(&rig->t.mem, SPAN_LIT("s1"), 7);
    assert_non_null(rig->session);
    rig->ctx = (struct session_ctx){
        .mem = &rig->t.mem,
        .now_ms = 1000,
        .store_ms = 5000000,
        .fence = 100,
        .node = SPAN_LIT("n1"),
        .auto_register = true,
        .executor_known = rig_executor_known,
    };
}

static inline struct rig *rig_new(void)
{
    struct rig *rig = malloc(sizeof *rig);
    assert_non_null(rig);
    rig_init(rig);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    session_free(rig->session);
    for (size_t i = 0; i < rig->row_count; i++)
        input_release(rig->rows[i].input);
    assert_int_equal(rig->t.live, 0); /* no leak */
    free(rig);
}

/* --- the store --- */

static inline struct rig_fact *rig_fact(struct rig *rig, enum fact_kind kind, struct span name)
{
    for (size_t i = 0; i < rig->fact_count; i++)
        if (rig->facts[i].kind == kind && span_equal(id_span(&rig->facts[i].name), name))
            return &rig->facts[i];
    return NULL;
}

/* Without memory the event fails: the node would ask again. */
static inline void rig_tell(struct rig *rig, enum fact_kind kind, struct span name)
{
    struct rig_fact *fact = rig_fact(rig, kind, name);
    if (!fact) {
        rig->failed |= !session_know(rig->session, kind, name, NULL, (struct span){NULL, 0});
        return;
    }
    struct fact_record record = fact->record;
    record.input = fact->input[0] ? span_of(fact->input) : (struct span){NULL, 0};
    record.run = fact->run[0] ? span_of(fact->run) : (struct span){NULL, 0};
    record.bytes = fact->bytes[0] ? span_of(fact->bytes) : (struct span){NULL, 0};
    rig->failed |= !session_know(rig->session, kind, name, &record, span_bytes(fact, sizeof *fact));
}

static inline void rig_write(struct rig *rig, const struct fact_write *write)
{
    struct rig_fact *fact = rig_fact(rig, write->record.kind, id_span(&write->name));
    size_t used = strlen(rig->memos);
    if (write->memo)
        snprintf(rig->memos + used, sizeof rig->memos - used, "%s;", write->name.text);
    if (write->forget) {
        if (fact)
            *fact = rig->facts[--rig->fact_count];
        return;
    }
    if (!fact) {
        assert_true(rig->fact_count < RIG_FACTS);
        fact = &rig->facts[rig->fact_count++];
    }
    memset(fact, 0, sizeof *fact);
    fact->kind = write->record.kind;
    fact->name = write->name;
    fact->record = write->record;
    fact->record.input = fact->record.run = fact->record.bytes = (struct span){NULL, 0};
    snprintf(fact->input, sizeof fact->input, "%.*s", SPAN_ARGS(write->record.input));
    snprintf(fact->run, sizeof fact->run, "%.*s", SPAN_ARGS(write->record.run));
    if (write->completion)
        snprintf(fact->bytes, sizeof fact->bytes, "completion %s %s", write->completion->input.text,
                 mk_outcome_name(write->completion->as.completion.outcome));
    if (write->result)
        snprintf(fact->bytes, sizeof fact->bytes, "result %s", write->result->re.text);
    if (write->receipt)
        snprintf(fact->bytes, sizeof fact->bytes, "receipt %s", write->name.text);
}

static inline void rig_drop_row(struct rig *rig, uint64_t seq)
{
    for (size_t i = 0; i < rig->row_count; i++) {
        if (rig->rows[i].record.seq != seq)
            continue;
        input_release(rig->rows[i].input);
        rig->rows[i] = rig->rows[--rig->row_count];
        return;
    }
}

static inline void rig_store_row(struct rig *rig, const struct entry *entry)
{
    rig_drop_row(rig, entry->seq);
    assert_true(rig->row_count < RIG_ROWS);
    struct rig_row *row = &rig->rows[rig->row_count++];
    input_record_of(entry, &row->record);
    row->input = input_keep(entry->input);
    row->run = entry->run;
}

/* True: all conditions hold. Otherwise the session is told what stands in its way. */
static inline bool rig_conditions(struct rig *rig)
{
    bool hold = true;
    for (const struct fact_write *write = rig->session->stage.writes; write; write = write->next)
        hold = hold && !(write->condition && rig_fact(rig, write->record.kind, id_span(&write->name)));
    if (hold)
        return true;
    rig->skips++;
    struct fact_write *writes = rig->session->stage.writes;
    struct mk_id names[16];
    enum fact_kind kinds[16];
    size_t count = 0;
    for (; writes && count < 16; writes = writes->next)
        if (writes->condition && rig_fact(rig, writes->record.kind, id_span(&writes->name))) {
            names[count] = writes->name;
            kinds[count++] = writes->record.kind;
        }
    session_undo(rig->session);
    for (size_t i = 0; i < count; i++)
        rig_tell(rig, kinds[i], id_span(&names[i]));
    return false;
}

static inline void rig_store(struct rig *rig)
{
    struct session *session = rig->session;
    rig->commits++;
    for (const struct fact_write *write = session->stage.writes; write; write = write->next)
        rig_write(rig, write);
    for (size_t i = 0; i < session->stage.removed_count; i++)
        rig_drop_row(rig, session->stage.removed[i]);
    for (size_t i = 0; i < session->core.ledger.count; i++)
        if (session->core.ledger.entries[i]->dirty)
            rig_store_row(rig, session->core.ledger.entries[i]);
    for (size_t i = 0; i < session->core.carried.count; i++)
        if (session->core.carried.entries[i]->dirty)
            rig_store_row(rig, session->core.carried.entries[i]);
    session_record_of(session, rig->ctx.store_ms, rig->active, &rig->head);
    rig->has_head = true;
    rig->executor = session->core.executor;
    rig->head.executor = id_span(&rig->executor);
    rig->run = session->core.run;
    rig->head.run = rig->head.run ? &rig->run : NULL;
    if (session->stage.state_changed) {
        struct span state = blob_span(session->core.state);
        rig->has_state = span_given(state);
        rig->state_bytes = state.bytes;
        if (state.bytes)
            memcpy(rig->state, state.at, state.bytes);
    }
    assert_int_equal(rig->head.active_count, rig->row_count);
}

/* --- what is said --- */

static inline void rig_say_doc(struct rig *rig, const struct mk_doc *doc)
{
    for (size_t i = 0; doc && i < doc->count; i++) {
        const struct mk_doc_item *item = &doc->items[i];
        if (item->type == DOC_TEXT || item->type == DOC_RAW)
            rig_say(rig, " %.*s", SPAN_ARGS(item->text));
        else if (item->type == DOC_U64)
            rig_say(rig, " %llu", (unsigned long long)item->number);
        else if (item->type == DOC_BOOL)
            rig_say(rig, " %s", item->number ? "true" : "false");
        else if (item->type == DOC_NIL)
            rig_say(rig, " nil");
    }
}

static inline void rig_say_answer(struct rig *rig, const struct answer *answer)
{
    if (answer->type == ANSWER_RESULT) {
        const struct mk_result *out = &answer->as.result;
        rig_say(rig, "result %s %s", answer->re.text, out->ok ? "ok" : mk_err_code(out->error));
        if (span_given(out->phase))
            rig_say(rig, " %.*s", SPAN_ARGS(out->phase));
        if (out->final)
            rig_say(rig, " final");
        rig_say_doc(rig, answer->data);
        rig_say(rig, "%s%.*s\n", answer->bytes ? " = " : "", SPAN_ARGS(blob_span(answer->bytes)));
        return;
    }
    const struct mk_admission *out = &answer->as.admission;
    rig_say(rig, "admission %s %s", answer->re.text, mk_admitted_name(out->outcome));
    if (out->reason)
        rig_say(rig, " %s%s", mk_err_code(out->reason), out->final ? " final" : "");
    if (span_given(out->existing))
        rig_say(rig, " of %.*s", SPAN_ARGS(out->existing));
    if (span_given(out->phase))
        rig_say(rig, " %.*s", SPAN_ARGS(out->phase));
    if (span_given(out->completion))
        rig_say(rig, " [%.*s]", SPAN_ARGS(out->completion));
    rig_say(rig, "\n");
}

static inline void rig_say_event(struct rig *rig, const struct staged_event *event)
{
    const struct mk_completion *out = &event->as.completion;
    if (!event->is_completion) {
        struct span name = event->as.effect.event_name;
        rig_say(rig, "effect %s", mk_effect_name_name(event->as.effect.name));
        if (span_given(name))
            rig_say(rig, " %.*s", SPAN_ARGS(name));
        rig_say_doc(rig, event->data);
        rig_say(rig, "\n");
        return;
    }
    rig_say(rig, "completion %s %s", event->input.text, mk_outcome_name(out->outcome));
    if (span_given(out->result))
        rig_say(rig, " %.*s", SPAN_ARGS(out->result));
    if (span_given(out->reason))
        rig_say(rig, " %.*s", SPAN_ARGS(out->reason));
    if (out->error)
        rig_say(rig, " %s: %.*s", mk_err_code(out->error), SPAN_ARGS(out->error_message));
    if (span_given(out->aggregate))
        rig_say(rig, " in %.*s", SPAN_ARGS(out->aggregate));
    for (size_t i = 0; i < event->waiter_count; i++)
        rig_say(rig, " >%s", event->waiters[i].text);
    rig_say(rig, "\n");
}

static inline void rig_bury(struct rig *rig, const struct staged_event *event)
{
    size_t used = strlen(rig->dead);
    if (event->dead)
        snprintf(rig->dead + used, sizeof rig->dead - used, "%.*s %s %llu;", SPAN_ARGS(event->dead->input.h.id),
                 abandon_reason_name(event->dead_why), (unsigned long long)event->dead_attempts);
}

static inline void rig_release(struct rig *rig)
{
    struct stage *stage = &rig->session->stage;
    rig->order = stage->order;
    for (const struct answer *answer = stage->answers; answer; answer = answer->next)
        rig_say_answer(rig, answer);
    for (const struct staged_event *event = stage->events; event; event = event->next) {
        rig_say_event(rig, event);
        rig_bury(rig, event);
    }
    for (size_t i = 0; rig->order.inject && i < rig->session->core.ledger.count; i++) {
        const struct entry *entry = rig->session->core.ledger.entries[i];
        if (entry->offer == OFFER_DUE)
            rig_say(rig, "inject %.*s\n", SPAN_ARGS(entry->input->input.h.id));
    }
    session_commit(rig->session);
    const struct run_record *run = &rig->session->core.run;
    if (rig->order.start) {
        rig_say(rig, "start");
        for (size_t i = 0; i < run->input_count; i++)
            rig_say(rig, " %.*s",
                    SPAN_ARGS(ledger_by_seq(&rig->session->core.ledger, run->inputs[i])->input->input.h.id));
        rig_say(rig, " #%llu", (unsigned long long)run->attempt);
        for (size_t i = 0; i < rig->session->core.carried.count; i++)
            rig_say(rig, " +%.*s", SPAN_ARGS(rig->session->core.carried.entries[i]->input->input.h.id));
        rig_say(rig, "\n");
        rig->run_id = run->id;
        rig->attempt = run->attempt;
    }
    if (rig->order.hard_cancel)
        rig_say(rig, "hard_cancel\n");
    if (rig->order.boundary_cancel)
        rig_say(rig, "boundary_cancel\n");
    if (rig->order.stop)
        rig_say(rig, "stop_executor\n");
}

/* --- events --- */

static inline void rig_learn(struct rig *rig)
{
    struct mk_id names[8];
    enum fact_kind kinds[8];
    size_t count = 0;
    for (const struct fact_want *want = rig->session->stage.wants; want; want = want->next) {
        assert_true(count < 8);
        names[count] = want->name;
        kinds[count++] = want->kind;
    }
    rig->wants += count;
    session_undo(rig->session);
    for (size_t i = 0; i < count; i++)
        rig_tell(rig, kinds[i], id_span(&names[i]));
}

/* Several events in one stage, as a busy node gives them. */
static inline void rig_give_all(struct rig *rig, const struct session_event *events, size_t count)
{
    rig->log[0] = 0;
    rig->failed = false;
    for (int round = 0; !rig->failed; round++) {
        assert_true(round < 16);
        for (size_t i = 0; i < count && !rig->session->stage.wants && !rig->session->stage.failed; i++) {
            rig->ctx.random[0] = ++rig->draws;
            rig->ctx.random[1] = rig->draws * 31;
            session_apply(rig->session, &rig->ctx, &events[i]);
            if (!rig->session->stage.wants && !rig->session->stage.failed) {
                const char *broken = session_broken(rig->session);
                if (broken)
                    fail_msg("%s", broken);
                assert_null(rig->session->fault);
            }
        }
        if (rig->session->stage.failed) {
            rig->failed = true;
            session_undo(rig->session);
            return;
        }
        if (rig->session->stage.wants) {
            rig_learn(rig);
            continue;
        }
        if (!rig->session->stage.durable)
            break;
        if (!rig_conditions(rig))
            continue;
        rig_store(rig);
        break;
    }
    if (!rig->failed)
        rig_release(rig);
}

static inline void rig_give(struct rig *rig, struct session_event event)
{
    rig_give_all(rig, &event, 1);
}

static inline struct mk_input rig_input(const char *id, enum mk_kind kind)
{
    struct mk_input input = {
        .h.id = span_of(id),
        .session = SPAN_LIT("s1"),
        .kind = kind,
        .body = SPAN_LIT("body"),
        .durability = MK_DURABLE,
        .origin = MK_EXTERNAL,
        .reply_to = SPAN_LIT("c1"),
        .wake = true,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    if (kind == MK_EXTERNAL_EVENT || kind == MK_CONTINUATION)
        input.handling = MK_HANDLING_QUEUE;
    return input;
}

static inline void rig_admit(struct rig *rig, struct mk_input input)
{
    rig_give(rig, (struct session_event){.type = EV_SESSION_INPUT, .input = &input});
}

static inline void rig_send(struct rig *rig, const char *id, enum mk_kind kind)
{
    rig_admit(rig, rig_input(id, kind));
}

static inline struct mk_command rig_command(const char *id, enum mk_op op)
{
    return (struct mk_command){.h.id = span_of(id), .session = SPAN_LIT("s1"), .op = op, .reply_to = SPAN_LIT("c1")};
}

static inline void rig_order(struct rig *rig, struct mk_command command)
{
    rig_give(rig, (struct session_event){.type = EV_SESSION_COMMAND, .command = &command});
}

static inline void rig_do(struct rig *rig, const char *id, enum mk_op op)
{
    rig_order(rig, rig_command(id, op));
}

static inline void rig_finish(struct rig *rig, struct run_done done)
{
    done.run = rig->run_id;
    done.attempt = rig->attempt;
    rig_give(rig, (struct session_event){.type = EV_SESSION_RUN_DONE, .done = &done});
}

static inline void rig_succeed(struct rig *rig, const char *text)
{
    struct span one = span_of(text);
    rig_finish(rig, (struct run_done){.end = RUN_RESULT, .results = &one, .result_count = 1});
}

/* A session with an executor and nothing to do. */
static inline struct rig *rig_attached(void)
{
    struct rig *rig = rig_new();
    rig_do(rig, "attach", MK_OP_ATTACH);
    return rig;
}

/* The current run takes inputs in from now on, or no run does. */
static inline void rig_live(struct rig *rig, bool live)
{
    rig->live = (struct run_at){rig->run_id, rig->attempt};
    rig->ctx.live = live ? &rig->live : NULL;
}

static inline struct mk_input rig_steer(const char *id)
{
    struct mk_input input = rig_input(id, MK_PROMPT);
    input.handling = MK_HANDLING_STEER;
    return input;
}

/* The executor's answer for an input that the current run was asked to take in. */
static inline void rig_answer(struct rig *rig, const char *id, bool ok)
{
    struct run_injected injected = {.at = {rig->run_id, rig->attempt}, .ok = ok};
    id_set(&injected.input, span_of(id));
    rig_give(rig, (struct session_event){.type = EV_SESSION_INJECTED, .injected = &injected});
}

static inline void rig_fail(struct rig *rig)
{
    rig_finish(rig, (struct run_done){.end = RUN_FAILED,
                                      .cause = CAUSE_RUNTIME_APPLY,
                                      .error = MK_ERR_EXECUTOR_FAILED,
                                      .message = SPAN_LIT("no")});
}

static inline void rig_tick(struct rig *rig, uint64_t ms)
{
    rig->ctx.now_ms += ms;
    rig->ctx.store_ms += ms;
    rig_give(rig, (struct session_event){.type = EV_SESSION_TICK});
}

/* Registered and no more: unbound, without an executor. */
static inline void rig_register(struct rig *rig, const char *id)
{
    bool automatic = rig->ctx.auto_register;
    rig->ctx.auto_register = false;
    rig_do(rig, id, MK_OP_REGISTER);
    rig->ctx.auto_register = automatic;
}

/* The node dies; another takes the session over from what the store holds. */
static inline void rig_crash(struct rig *rig)
{
    struct input_record records[RIG_ROWS];
    struct mk_note note = {""};
    size_t bad = 0;
    session_free(rig->session);
    rig->session = NULL;
    rig->ctx.fence++;
    if (!rig->has_head) {
        rig->session = session_new(&rig->t.mem, SPAN_LIT("s1"), 7);
        return;
    }
    for (size_t i = 0; i < rig->row_count; i++) {
        records[i] = rig->rows[i].record;
        records[i].input = rig->rows[i].input->input;
        records[i].last_run = id_span(&rig->rows[i].run);
    }
    enum mk_err err = session_restore(
        &rig->session, &rig->t.mem, SPAN_LIT("s1"), 7, &rig->head, records, rig->row_count,
        rig->has_state ? span_bytes(rig->state, rig->state_bytes) : (struct span){NULL, 0}, &bad, &note);
    if (err)
        fail_msg("%s", note.text);
    assert_int_equal(bad, 0);
    rig_give(rig, (struct session_event){.type = EV_SESSION_REBIND});
}

static inline const char *rig_phase(const struct rig *rig)
{
    return phase_name(machine_visible_phase(&rig->session->core.machine));
}

/* The log holds the line (or its beginning). */
#define assert_said(rig, text)                                                                                         \
    do {                                                                                                               \
        if (!strstr((rig)->log, text))                                                                                 \
            fail_msg("not said: %s\nbut:\n%s", text, (rig)->log);                                                      \
    } while (0)
#define assert_unsaid(rig, text)                                                                                       \
    do {                                                                                                               \
        if (strstr((rig)->log, text))                                                                                  \
            fail_msg("said: %s\nin:\n%s", text, (rig)->log);                                                           \
    } while (0)

#endif
