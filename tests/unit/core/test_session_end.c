/* How a run ends: what is written, who is told what, in which order it comes (semantics-core.md 6). */
#include "tests/unit/core/rig.h"

/* A prompt that runs, and another that waits behind it. */
static struct rig *running(void)
{
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    return rig;
}

/* The end of the current run is applied; its stage is open, to be looked at, until settle(). */
static const struct stage *ends(struct rig *rig, struct run_done done)
{
    done.run = rig->run_id;
    done.attempt = rig->attempt;
    struct session_event event = {.type = EV_SESSION_RUN_DONE, .done = &done};
    rig->ctx.random[0] = ++rig->draws;
    session_apply(rig->session, &rig->ctx, &event);
    assert_false(rig->session->stage.failed);
    return &rig->session->stage;
}

static void settle(struct rig *rig)
{
    rig->log[0] = 0;
    assert_true(rig_conditions(rig));
    rig_store(rig);
    rig_release(rig);
}

static const struct mk_completion *completion_of(const struct stage *stage, const char *id)
{
    for (const struct staged_event *event = stage->events; event; event = event->next)
        if (event->is_completion && span_equal(event->as.completion.input, span_of(id)))
            return &event->as.completion;
    fail_msg("no completion of %s", id);
    abort();
}

static const struct fact_write *receipt_of(const struct stage *stage)
{
    for (const struct fact_write *write = stage->writes; write; write = write->next)
        if (write->record.kind == FACT_RECEIPT)
            return write;
    fail_msg("no receipt");
    abort();
}

static bool has_receipt(const struct stage *stage)
{
    for (const struct fact_write *write = stage->writes; write; write = write->next)
        if (write->record.kind == FACT_RECEIPT)
            return true;
    return false;
}

/* --- before the executor is called --- */

/* D13 and rule 3: the attempt, the run and its inputs are in the store, by the admission's commit or by the end of the
 * run before. */
static void test_end__an_attempt_is_counted_before_the_executor_is_called(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    assert_int_equal(rig->commits, 1);
    assert_true(rig->order.start);
    assert_int_equal(rig->rows[0].record.attempts, 1);
    assert_int_equal(rig->rows[0].record.phase, INPUT_STAGED);
    assert_string_equal(rig->rows[0].run.text, rig->run_id.text);
    assert_string_equal(rig->run.id.text, rig->run_id.text);
    assert_int_equal(rig->run.inputs[0], 1);
    rig_send(rig, "b", MK_PROMPT);
    assert_int_equal(rig->rows[1].record.attempts, 0);
    size_t commits = rig->commits;
    rig_succeed(rig, "1");
    assert_int_equal(rig->commits, commits + 1);
    assert_said(rig, "start b #1\n");
    assert_int_equal(rig->rows[0].record.attempts, 1);
    assert_string_equal(rig->run.id.text, rig->run_id.text);
    rig_fail(rig);
    rig_crash(rig); /* what failed is known to the next node */
    assert_int_equal(rig->session->core.ledger.entries[0]->attempts, 2);
    rig_free(rig);
}

/* --- receipts --- */

static void test_end__a_receipt_tells_run_boundary_inputs_in_order_and_digest(void **state)
{
    (void)state;
    static const char *const digests[] = {"sha:1", NULL};
    static const enum mk_boundary boundaries[] = {MK_RUN_START, MK_RUN_CHECKPOINT};
    for (size_t d = 0; d < 2; d++)
        for (size_t b = 0; b < 2; b++) {
            struct rig *rig = rig_new();
            struct span one = SPAN_LIT("1");
            rig_send(rig, "p", MK_PROMPT);
            static const char *const ids[] = {"y", "x", "z"};
            for (size_t i = 0; i < 3; i++) {
                struct mk_input input = rig_input(ids[i], MK_FLOW_STEP);
                input.handling = b ? MK_HANDLING_STEER : MK_HANDLING_NONE;
                rig_admit(rig, input);
            }
            rig_succeed(rig, "0");
            assert_said(rig, "start y x z #1\n");
            struct mk_id run = rig->run_id;
            const struct stage *stage =
                ends(rig, (struct run_done){.end = RUN_RESULT,
                                            .results = &one,
                                            .result_count = 1,
                                            .digest = digests[d] ? span_of(digests[d]) : (struct span){NULL, 0}});
            char name[80], wanted[160];
            snprintf(name, sizeof name, "%s.0", run.text);
            snprintf(wanted, sizeof wanted, " run %s sequence 0 boundary %s%s inputs y x z", run.text,
                     mk_boundary_name(boundaries[b]), d ? "" : " digest sha:1");
            assert_string_equal(receipt_of(stage)->name.text, name);
            rig->log[0] = 0;
            rig_say_doc(rig, receipt_of(stage)->receipt);
            assert_string_equal(rig->log, wanted);
            for (size_t i = 0; i < 3; i++) { /* every completion carries it */
                const struct mk_completion *completion = completion_of(stage, ids[i]);
                assert_true(completion->has_receipt && completion->receipt.sequence == 0);
                assert_true(span_equal(completion->receipt.run, id_span(&run)));
                assert_int_equal(completion->receipt.boundary, boundaries[b]);
                assert_int_equal(span_given(completion->receipt.digest), digests[d] != NULL);
            }
            settle(rig);
            rig_free(rig);
        }
}

static void test_end__a_receipt_is_found_by_run_and_sequence_and_another_is_none(void **state)
{
    (void)state;
    struct rig *rig = running();
    struct mk_id run = rig->run_id;
    rig_succeed(rig, "1");
    rig_crash(rig);
    struct mk_command command = rig_command("q", MK_OP_RECEIPT);
    command.args.run = id_span(&run);
    rig_order(rig, command);
    assert_said(rig, "result q ok receipt receipt ");
    command.args.sequence = 1;
    rig_order(rig, command);
    assert_said(rig, "result q ok receipt nil\n");
    command.args.sequence = 0;
    command.args.run = SPAN_LIT("another");
    rig_order(rig, command);
    assert_said(rig, "result q ok receipt nil\n");
    rig_free(rig);
}

/* What was not committed has none: no receipt, no state, no executor's event. */
static void test_end__a_run_that_did_not_succeed_leaves_no_receipt_and_no_state(void **state)
{
    (void)state;
    static const enum run_end bad[] = {RUN_FAILED, RUN_CANCELLED, RUN_STOPPED, RUN_INTERNAL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rig *rig = running();
        struct executor_event event = {SPAN_LIT("ticked"), SPAN_LIT("data")};
        struct span one = SPAN_LIT("1");
        const struct stage *stage = ends(rig, (struct run_done){.end = bad[i],
                                                                .results = &one,
                                                                .result_count = 1,
                                                                .has_state = true,
                                                                .state = SPAN_LIT("state"),
                                                                .events = &event,
                                                                .event_count = 1});
        assert_false(has_receipt(stage) || stage->state_changed);
        settle(rig);
        assert_unsaid(rig, "ticked");
        assert_false(rig->has_state);
        rig_free(rig);
    }
}

/* --- outcomes --- */

/* Every outcome that a run or its lack leads to; each names its input's waiters, once. */
static void test_end__every_end_of_a_run_has_its_outcome_phase_and_reason(void **state)
{
    (void)state;
    static const struct {
        enum run_end end;
        size_t results;
        bool final;
        enum mk_outcome outcome;
        enum input_phase phase;
        enum abandon_reason reason;
        const char *result; /* NULL: it carries none */
    } cases[] = {
        {RUN_RESULT, 1, false, MK_COMPLETED, INPUT_CONSUMED, ABANDON_NONE, "one"},
        {RUN_RESULT, 0, false, MK_COMPLETED_WITHOUT_RESULT, INPUT_CONSUMED, ABANDON_NONE, NULL},
        {RUN_NO_RESULT, 0, false, MK_COMPLETED_WITHOUT_RESULT, INPUT_CONSUMED, ABANDON_NONE, NULL},
        {RUN_NO_RESULT, 1, false, MK_COMPLETED_WITHOUT_RESULT, INPUT_CONSUMED, ABANDON_NONE, NULL},
        {RUN_CALLBACK_PENDING, 1, false, MK_CALLBACK_PENDING, INPUT_CONSUMED, ABANDON_NONE, "one"},
        {RUN_CANCELLED, 1, false, MK_CANCELLED, INPUT_ABANDONED, ABANDON_CANCELLED, NULL},
        {RUN_FAILED, 1, true, MK_ABANDONED_WITH_ERROR, INPUT_ABANDONED, ABANDON_MAX_ATTEMPTS_EXHAUSTED, NULL},
        {RUN_STOPPED, 1, true, MK_ABANDONED_WITH_ERROR, INPUT_ABANDONED, ABANDON_MAX_ATTEMPTS_EXHAUSTED, NULL},
        {RUN_INTERNAL, 1, true, MK_ABANDONED_WITH_ERROR, INPUT_ABANDONED, ABANDON_MAX_ATTEMPTS_EXHAUSTED, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = running();
        struct mk_input again = rig_input("a", MK_PROMPT);
        struct span one = SPAN_LIT("one");
        again.reply_to = SPAN_LIT("c2");
        rig_admit(rig, again);
        const struct stage *stage = ends(
            rig, (struct run_done){
                     .end = cases[i].end, .results = &one, .result_count = cases[i].results, .final = cases[i].final});
        const struct mk_completion *completion = completion_of(stage, "a");
        assert_int_equal(completion->outcome, cases[i].outcome);
        assert_int_equal(span_given(completion->result), cases[i].result != NULL);
        if (cases[i].result)
            assert_span_equal(completion->result, cases[i].result);
        settle(rig);
        assert_said(rig, ">c1 >c2\n");
        assert_null(strstr(strstr(rig->log, "completion a ") + 1, "completion a "));
        const struct rig_fact *fact = rig_fact(rig, FACT_INPUT, SPAN_LIT("a"));
        assert_true(fact && fact->record.phase == cases[i].phase && fact->record.reason == cases[i].reason &&
                    fact->record.outcome == cases[i].outcome);
        assert_said(rig, "start b #1\n"); /* P8: whatever the end, the next one runs */
        rig_free(rig);
    }
}

/* --- failures --- */

/* A failure is no end: its waiters are told when there is one (D1). */
static void test_end__a_failed_attempt_tells_no_waiter(void **state)
{
    (void)state;
    static const struct {
        enum run_end end;
        enum mk_err error;
        const char *kind;
    } cases[] = {
        {RUN_FAILED, MK_ERR_EXECUTOR_FAILED, "kind executor_failed message it broke will_retry true\n"},
        {RUN_FAILED, MK_ERR_RESULT_TOO_LARGE, "kind result_too_large message it broke will_retry true\n"},
        {RUN_FAILED, MK_ERR_OK, "kind executor_failed message it broke will_retry true\n"},
        {RUN_STOPPED, MK_ERR_OK, "kind executor_failed message it broke will_retry true\n"},
        {RUN_INTERNAL, MK_ERR_OK, "kind internal message it broke will_retry true\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = running();
        rig_finish(rig,
                   (struct run_done){.end = cases[i].end, .error = cases[i].error, .message = SPAN_LIT("it broke")});
        assert_said(rig, cases[i].kind);
        assert_unsaid(rig, "completion");
        assert_string_equal(rig_phase(rig), "attached");
        assert_int_equal(rig->row_count, 2);
        rig_free(rig);
    }
}

/* The class of a failure is what the executor says, never what its text sounds like. */
static void test_end__the_class_of_a_failure_is_the_executors_word(void **state)
{
    (void)state;
    static const struct {
        enum failure_cause said, classed;
    } cases[] = {
        {CAUSE_NONE, CAUSE_RUNTIME_APPLY},
        {CAUSE_UNKNOWN, CAUSE_RUNTIME_APPLY},
        {CAUSE_PRIMITIVE_REJECTED, CAUSE_PRIMITIVE_REJECTED},
        {CAUSE_RUNTIME_APPLY, CAUSE_RUNTIME_APPLY},
        {CAUSE_BUDGET_EXHAUSTED, CAUSE_BUDGET_EXHAUSTED},
        {CAUSE_TIME_BUDGET_EXCEEDED, CAUSE_TIME_BUDGET_EXCEEDED},
        {CAUSE_STRUCTURED_OUTPUT_VALIDATION_FAILED, CAUSE_STRUCTURED_OUTPUT_VALIDATION_FAILED},
        {CAUSE_FAILED, CAUSE_FAILED},
    };
    assert_int_equal(sizeof cases / sizeof *cases, CAUSE_COUNT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = running();
        rig_finish(rig, (struct run_done){.end = RUN_FAILED,
                                          .cause = cases[i].said,
                                          .message = SPAN_LIT("the time budget is exceeded: cancelled")});
        assert_int_equal(rig->session->core.machine.turn, TURN_FAILED);
        assert_int_equal(rig->session->core.machine.cause, cases[i].classed);
        rig_tick(rig, BACKOFF_FIRST_MS);
        assert_said(rig, "start a #1\n"); /* and it is tried again, like any other */
        rig_free(rig);
    }
}

/* D19: what failed comes before what waits, and what waits is not forgotten. */
static void test_end__after_its_last_attempt_the_next_runs_at_once(void **state)
{
    (void)state;
    struct rig *rig = running();
    for (int attempt = 1; attempt <= STAGE_ATTEMPTS_MAX; attempt++) {
        assert_int_equal(rig->session->core.ledger.entries[0]->attempts, attempt);
        rig_fail(rig);
        if (attempt == STAGE_ATTEMPTS_MAX)
            break;
        assert_unsaid(rig, "completion");
        rig_tick(rig, BACKOFF_MAX_MS);
        assert_said(rig, "start a #1\n");
    }
    assert_said(rig, "completion a abandoned_with_error max_attempts_exhausted");
    assert_said(rig, "start b #1\n");
    const struct rig_fact *fact = rig_fact(rig, FACT_INPUT, SPAN_LIT("a"));
    assert_true(fact && fact->record.attempts == STAGE_ATTEMPTS_MAX);
    rig_free(rig);
}

/* D16: what would be refused together runs one behind the other, and pays nothing for it. */
static void test_end__a_conflicting_input_runs_next_and_pays_no_attempt(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    struct mk_input peer = rig_input("peer", MK_PEER_MESSAGE), step = rig_input("step", MK_FLOW_STEP);
    peer.handling = step.handling = MK_HANDLING_STEER;
    peer.wake = step.wake = false; /* admitted while nothing runs: queue's mode, against steer's */
    rig_admit(rig, peer);
    rig_admit(rig, step);
    rig_do(rig, "w", MK_OP_WAKE);
    assert_said(rig, "start peer #1\n");
    assert_int_equal(rig->session->core.ledger.entries[1]->attempts, 0);
    rig_succeed(rig, "1");
    assert_said(rig, "completion peer completed 1 >c1\n");
    assert_said(rig, "start step #1\n");
    assert_int_equal(rig->session->core.ledger.entries[0]->attempts, 1);
    rig_free(rig);
}

/* The next owner would not know of it. What is durable goes along. */
static void test_end__what_is_not_durable_ends_with_a_word_when_its_partition_leaves(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.hold_runs = true; /* it is being given away */
    rig_send(rig, "kept", MK_PROMPT);
    struct mk_input lost = rig_input("lost", MK_PROMPT);
    lost.durability = MK_EPHEMERAL;
    rig_admit(rig, lost);
    rig_give(rig, (struct session_event){.type = EV_SESSION_PART});
    assert_said(rig, "completion lost runtime_terminated its partition went to another node >c1\n");
    assert_unsaid(rig, "completion kept");
    rig->ctx.hold_runs = false;
    rig_crash(rig);
    assert_said(rig, "start kept #1\n");
    rig_free(rig);
}

/* --- cancels --- */

static void test_end__a_run_that_was_asked_to_end_may_still_reach_its_end(void **state)
{
    (void)state;
    static const enum mk_op cancels[] = {MK_OP_CANCEL_AFTER_BOUNDARY, MK_OP_INTERRUPT};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = running();
        rig_do(rig, "c", cancels[i]);
        assert_said(rig, i ? "hard_cancel\n" : "boundary_cancel\n");
        assert_unsaid(rig, i ? "boundary_cancel\n" : "hard_cancel\n");
        rig_succeed(rig, "1");
        assert_said(rig, "completion a completed 1 >c1\n");
        assert_said(rig, "start b #1\n");
        rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
        assert_said(rig, "completion b cancelled"); /* its own word: the cancel was not for it */
        rig_free(rig);
    }
}

static void test_end__a_cancelled_batch_is_abandoned_whole_and_not_queued_again(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "p", MK_PROMPT);
    rig_send(rig, "a", MK_FLOW_STEP);
    rig_send(rig, "b", MK_FLOW_STEP);
    rig_send(rig, "later", MK_PROMPT);
    rig_succeed(rig, "0");
    assert_said(rig, "start a b #1\n");
    rig_do(rig, "i", MK_OP_INTERRUPT);
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "completion a cancelled cancelled >c1\ncompletion b cancelled cancelled >c1\n");
    assert_said(rig, "start later #1\n");
    rig_free(rig);
}

/* L15: bound to what ran when it came first, be it nothing. */
static void test_end__a_cancel_that_met_no_run_cancels_none_later(void **state)
{
    (void)state;
    static const enum mk_op cancels[] = {MK_OP_INTERRUPT, MK_OP_CANCEL_AFTER_BOUNDARY};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "x", MK_OP_ATTACH);
        rig_do(rig, "i", cancels[i]);
        assert_said(rig, "result i ok cancelled false run ");
        rig_send(rig, "a", MK_PROMPT);
        rig_do(rig, "i", cancels[i]);
        assert_said(rig, "result i ok = result i\n");
        assert_unsaid(rig, "cancel\n");
        struct mk_command named = rig_command("j", cancels[i]);
        named.args.run = SPAN_LIT("an older run");
        rig_order(rig, named);
        assert_said(rig, "result j ok cancelled false run an older run\n");
        assert_unsaid(rig, "cancel\n");
        rig_free(rig);
    }
}

/* The same command again, for the same run, asks once. */
static void test_end__a_repeated_cancel_asks_the_executor_once(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "i", MK_OP_INTERRUPT);
    assert_said(rig, "hard_cancel\n");
    rig_do(rig, "i", MK_OP_INTERRUPT);
    assert_unsaid(rig, "hard_cancel\n");
    rig_crash(rig);
    rig_do(rig, "i", MK_OP_INTERRUPT); /* it is remembered on the next node, too */
    assert_said(rig, "result i ok = result i\n");
    assert_unsaid(rig, "hard_cancel\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end__an_attempt_is_counted_before_the_executor_is_called),
        cmocka_unit_test(test_end__a_receipt_tells_run_boundary_inputs_in_order_and_digest),
        cmocka_unit_test(test_end__a_receipt_is_found_by_run_and_sequence_and_another_is_none),
        cmocka_unit_test(test_end__a_run_that_did_not_succeed_leaves_no_receipt_and_no_state),
        cmocka_unit_test(test_end__every_end_of_a_run_has_its_outcome_phase_and_reason),
        cmocka_unit_test(test_end__a_failed_attempt_tells_no_waiter),
        cmocka_unit_test(test_end__the_class_of_a_failure_is_the_executors_word),
        cmocka_unit_test(test_end__after_its_last_attempt_the_next_runs_at_once),
        cmocka_unit_test(test_end__a_conflicting_input_runs_next_and_pays_no_attempt),
        cmocka_unit_test(test_end__what_is_not_durable_ends_with_a_word_when_its_partition_leaves),
        cmocka_unit_test(test_end__a_run_that_was_asked_to_end_may_still_reach_its_end),
        cmocka_unit_test(test_end__a_cancelled_batch_is_abandoned_whole_and_not_queued_again),
        cmocka_unit_test(test_end__a_cancel_that_met_no_run_cancels_none_later),
        cmocka_unit_test(test_end__a_repeated_cancel_asks_the_executor_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
