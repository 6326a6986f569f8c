/* No memory, at any moment: the stage fails, and the session is what it was. */
#include "tests/unit/core/rig.h"

/* What a session is, as far as anybody can tell. */
struct picture {
    struct machine machine;
    struct run_record run;
    uint64_t next_event, next_admission, not_before_ms, generation, horizon_ms, terminal_count, receipt;
    bool attached, wake, ordered, cancelled, retained;
    struct mk_id executor, last_run, leaving;
    size_t intents, count;
    struct {
        uint64_t seq, attempts, deaths, share;
        enum input_phase phase;
        size_t waiters;
        bool dirty;
        struct admitted *input;
    } entries[16];
    struct mk_blob *state;
};

static void take_picture(const struct session *session, struct picture *out)
{
    const struct session_core *core = &session->core;
    memset(out, 0, sizeof *out);
    out->machine = core->machine;
    out->run = core->run;
    out->next_event = core->next_event;
    out->next_admission = core->ledger.next_admission;
    out->not_before_ms = core->not_before_ms;
    out->generation = core->generation;
    out->horizon_ms = core->horizon_ms;
    out->terminal_count = core->terminal_count;
    out->receipt = core->last_receipt_sequence;
    out->attached = core->attached;
    out->wake = core->wake;
    out->ordered = core->run_ordered;
    out->cancelled = core->run.cancelled;
    out->retained = core->retained;
    out->executor = core->executor;
    out->last_run = core->last_run;
    out->leaving = core->leaving.re;
    out->intents = core->intent_count;
    out->count = core->ledger.count;
    out->state = core->state;
    for (size_t i = 0; i < core->ledger.count; i++) {
        const struct entry *entry = core->ledger.entries[i];
        out->entries[i].seq = entry->seq;
        out->entries[i].attempts = entry->attempts;
        out->entries[i].deaths = entry->deaths;
        out->entries[i].share = entry->share;
        out->entries[i].phase = entry->phase;
        out->entries[i].waiters = entry->waiter_count;
        out->entries[i].dirty = entry->dirty;
        out->entries[i].input = entry->input;
    }
}

/* The steps of a long life, one event each; false: there is no such step. */
static bool step(struct rig *rig, size_t index)
{
    static const enum mk_op ops[] = {MK_OP_RECYCLE,
                                     MK_OP_RESET,
                                     MK_OP_START_CONVERSATION_RUN,
                                     MK_OP_WHY,
                                     MK_OP_COMMIT_SERVICE_TURN,
                                     MK_OP_INGEST,
                                     MK_OP_SHOW,
                                     MK_OP_OUTCOME,
                                     MK_OP_LIST_ACTIVE_INPUTS,
                                     MK_OP_RETIRE,
                                     MK_OP_RECOVER,
                                     MK_OP_WITHDRAW,
                                     MK_OP_UNREGISTER};
    struct mk_input input = rig_input("a", MK_PROMPT);
    struct mk_command command = rig_command("c", MK_OP_INTERRUPT);
    struct executor_event event = {SPAN_LIT("ticked"), SPAN_LIT("1")};
    struct span one = SPAN_LIT("1");
    char id[16];
    input.idem = SPAN_LIT("k");
    switch (index) {
    case 0:
    case 1: /* and its repeat */
        rig_admit(rig, input);
        return true;
    case 2:
        rig_send(rig, "b", MK_PEER_MESSAGE);
        return true;
    case 3:
        rig_send(rig, "d", MK_PEER_MESSAGE);
        return true;
    case 4:
        rig_finish(rig, (struct run_done){.end = RUN_RESULT,
                                          .results = &one,
                                          .result_count = 1,
                                          .has_state = true,
                                          .state = SPAN_LIT("s"),
                                          .digest = SPAN_LIT("d"),
                                          .events = &event,
                                          .event_count = 1});
        return true;
    case 5:
        input.h.id = SPAN_LIT("e");
        rig_admit(rig, input); /* a key that is known */
        return true;
    case 6:
        rig_fail(rig);
        return true;
    case 7:
        rig_tick(rig, BACKOFF_MAX_MS);
        return true;
    case 8:
        rig_order(rig, command);
        return true;
    case 9:
        rig_order(rig, command); /* its repeat */
        return true;
    case 10:
        rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
        return true;
    case 11:
        rig_succeed(rig, "1");
        return true;
    case 12:
        rig_send(rig, "f", MK_OPERATION);
        return true;
    default:
        break;
    }
    index -= 13;
    if (index >= sizeof ops / sizeof *ops)
        return false;
    snprintf(id, sizeof id, "o%zu", index);
    command = rig_command(id, ops[index]);
    command.args.id = SPAN_LIT("x");
    command.args.run = SPAN_LIT("turn");
    command.input = rig_input("g", MK_OPERATION); /* runs nothing: what follows is not held up */
    rig_order(rig, command);
    return true;
}

static void test_memory__when_any_allocation_fails_the_session_is_what_it_was(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct picture before, after;
    size_t failures = 0;
    for (size_t index = 0;; index++) {
        bool more = true;
        for (size_t n = 1;; n++) {
            struct rig copy = *rig; /* what the store held */
            size_t live = rig->t.live;
            take_picture(rig->session, &before);
            rig->t.fail_at = rig->t.count + n;
            rig->t.fail_all_after = 1;
            more = step(rig, index);
            if (!rig->failed) {
                rig->t.fail_at = 0;
                break;
            }
            failures++;
            rig->t.fail_at = 0;
            session_forget(rig->session);
            take_picture(rig->session, &after);
            assert_memory_equal(&before, &after, sizeof before);
            assert_true(rig->t.live <= live); /* room that was not needed is not taken again */
            assert_null(session_broken(rig->session));
            assert_int_equal(rig->commits, copy.commits);
            rig->ctx.now_ms = copy.ctx.now_ms;
            rig->ctx.store_ms = copy.ctx.store_ms;
        }
        if (!more)
            break;
    }
    assert_true(failures > 100);
    rig_free(rig);
}

static void test_memory__a_restore_without_memory_leaks_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    struct input_record rows[2];
    for (size_t i = 0; i < 2; i++) {
        rows[i] = rig->rows[i].record;
        rows[i].input = rig->rows[i].input->input;
        rows[i].last_run = (struct span){NULL, 0};
    }
    size_t live = rig->t.live, bad = 0;
    struct mk_note note = {""};
    for (size_t n = 1;; n++) {
        struct session *session = NULL;
        rig->t.fail_at = rig->t.count + n;
        enum mk_err err = session_restore(&session, &rig->t.mem, SPAN_LIT("s1"), 7, &rig->head, rows, 2,
                                          SPAN_LIT("state"), &bad, &note);
        if (!err) {
            session_free(session);
            break;
        }
        assert_int_equal(err, MK_ERR_OVERLOADED);
        assert_null(session);
        assert_int_equal(rig->t.live, live);
    }
    rig->t.fail_at = 0;
    assert_int_equal(rig->t.live, live);
    rig_free(rig);
}

static void test_memory__an_undone_stage_leaves_no_trace(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct picture before, after;
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    take_picture(rig->session, &before);
    struct span one = SPAN_LIT("1");
    struct run_done done = {.run = rig->run_id,
                            .attempt = 1,
                            .end = RUN_RESULT,
                            .results = &one,
                            .result_count = 1,
                            .has_state = true,
                            .state = SPAN_LIT("new")};
    struct mk_command command = rig_command("d", MK_OP_DESTROY);
    struct session_event events[] = {{.type = EV_SESSION_RUN_DONE, .done = &done},
                                     {.type = EV_SESSION_COMMAND, .command = &command}};
    session_apply(rig->session, &rig->ctx, &events[0]);
    session_apply(rig->session, &rig->ctx, &events[1]);
    assert_int_equal(rig->session->core.machine.phase, PHASE_DESTROYED);
    session_undo(rig->session);
    take_picture(rig->session, &after);
    assert_memory_equal(&before, &after, sizeof before);
    rig_succeed(rig, "1");
    assert_said(rig, "start b #1\n");
    rig_free(rig);
}

static void test_memory__a_row_that_cannot_be_used_is_left_out_and_counted(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_register(rig, "g");
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    struct input_record rows[3];
    for (size_t i = 0; i < 2; i++) {
        rows[i] = rig->rows[i].record;
        rows[i].input = rig->rows[i].input->input;
    }
    rows[2] = rows[0]; /* twice the same */
    rows[1].version = INPUT_RECORD_VERSION + 1;
    struct session *session = NULL;
    struct mk_note note = {""};
    size_t bad = 0;
    assert_int_equal(session_restore(&session, &rig->t.mem, SPAN_LIT("s1"), 7, &rig->head, rows, 3,
                                     (struct span){NULL, 0}, &bad, &note),
                     MK_ERR_OK);
    assert_int_equal(bad, 2);
    assert_int_equal(session->core.ledger.count, 1);
    session_free(session);
    rig->head.version++;
    assert_int_equal(session_restore(&session, &rig->t.mem, SPAN_LIT("s1"), 7, &rig->head, rows, 1,
                                     (struct span){NULL, 0}, &bad, &note),
                     MK_ERR_QUARANTINED);
    assert_null(session);
    assert_string_equal(note.text, "the head has version 2, not 1");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__when_any_allocation_fails_the_session_is_what_it_was),
        cmocka_unit_test(test_memory__a_restore_without_memory_leaks_nothing),
        cmocka_unit_test(test_memory__an_undone_stage_leaves_no_trace),
        cmocka_unit_test(test_memory__a_row_that_cannot_be_used_is_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
