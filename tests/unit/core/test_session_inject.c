/* Live boundary injection: node/core/session_inject.c; semantics-core.md 5.5; D3. */
#include "tests/unit/core/rig.h"

/* A run of `a` whose boundary is live. */
static struct rig *running(void)
{
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_live(rig, true);
    return rig;
}

static const struct entry *active(const struct rig *rig, const char *id)
{
    return ledger_by_id(&rig->session->core.ledger, span_of(id));
}

static bool is_offered(const struct rig *rig, const char *id)
{
    const struct entry *entry = active(rig, id);
    return entry && entry->offer == OFFER_MADE;
}

static bool is_queued(const struct rig *rig, const char *id)
{
    const struct entry *entry = active(rig, id);
    return entry && entry->phase == INPUT_QUEUED;
}

static void inject(struct rig *rig, const char *id)
{
    rig_admit(rig, rig_steer(id));
    assert_true(is_offered(rig, id));
    rig_answer(rig, id, true);
    assert_null(active(rig, id));
}

/* How often the store has a receipt of the current run with this number. */
static bool has_receipt(struct rig *rig, unsigned sequence)
{
    char name[80];
    snprintf(name, sizeof name, "%s.%u", rig->run_id.text, sequence);
    return rig_fact(rig, FACT_RECEIPT, span_of(name)) != NULL;
}

static void test_inject__a_steered_input_goes_into_the_turn_that_runs(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    assert_string_equal(rig->log, "admission b accepted queued\ninject b\n");
    assert_true(is_queued(rig, "b")); /* until the executor has answered */
    rig_answer(rig, "b", true);
    assert_string_equal(rig->log, "completion b completed_without_result >c1\n");
    assert_true(has_receipt(rig, 1));
    const struct rig_fact *fact = rig_fact(rig, FACT_INPUT, SPAN_LIT("b"));
    assert_true(fact && fact->record.phase == INPUT_CONSUMED && fact->record.attempts == 1);
    assert_true(fact && strcmp(fact->run, rig->run_id.text) == 0);
    assert_string_equal(rig_phase(rig), "running");
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1 >c1\n");
    assert_unsaid(rig, "start");
    assert_int_equal(rig->row_count, 0);
    assert_true(session_idle(rig->session));
    rig_free(rig);
}

static void test_inject__the_receipts_of_a_run_are_counted_and_its_own_is_the_last(void **state)
{
    (void)state;
    struct rig *rig = running();
    inject(rig, "b");
    inject(rig, "c");
    assert_true(has_receipt(rig, 1) && has_receipt(rig, 2) && !has_receipt(rig, 3));
    assert_int_equal(rig->session->core.last_receipt_sequence, 2);
    rig_crash(rig); /* the numbers go on */
    rig_live(rig, true);
    inject(rig, "d");
    rig_succeed(rig, "1");
    assert_true(has_receipt(rig, 3) && has_receipt(rig, 4) && !has_receipt(rig, 0));
    rig_send(rig, "e", MK_PROMPT);
    rig_succeed(rig, "1");
    assert_true(has_receipt(rig, 0) && !has_receipt(rig, 1));
    rig_free(rig);
}

static void test_inject__only_a_live_boundary_of_the_very_execution_is_asked(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_live(rig, false);
    rig_admit(rig, rig_steer("b"));
    assert_unsaid(rig, "inject");
    rig_live(rig, true);
    rig->live.attempt++;
    rig_admit(rig, rig_steer("c"));
    assert_unsaid(rig, "inject");
    rig_live(rig, true);
    id_set(&rig->live.run, SPAN_LIT("another"));
    rig_admit(rig, rig_steer("d"));
    assert_unsaid(rig, "inject");
    rig_free(rig);
}

static void test_inject__only_what_is_urgent_of_a_boundary_and_has_text_goes_in(void **state)
{
    static const struct {
        enum mk_kind kind;
        enum mk_handling handling;
        bool offered;
    } cases[] = {
        {MK_PROMPT, MK_HANDLING_STEER, true},
        {MK_FLOW_STEP, MK_HANDLING_STEER, true},
        {MK_EXTERNAL_EVENT, MK_HANDLING_STEER, true},
        {MK_PEER_MESSAGE, MK_HANDLING_STEER, true},
        {MK_PEER_REQUEST, MK_HANDLING_STEER, true},
        {MK_PEER_MESSAGE, MK_HANDLING_NONE, false}, /* interrupts, but begins a run */
        {MK_PEER_RESPONSE_PROGRESS, MK_HANDLING_NONE, false},
        {MK_PEER_RESPONSE_TERMINAL, MK_HANDLING_STEER, false},
        {MK_CONTINUATION, MK_HANDLING_STEER, false},
        {MK_PROMPT, MK_HANDLING_QUEUE, false},
        {MK_PROMPT, MK_HANDLING_NONE, false},
    };
    (void)state;
    struct rig *rig = running();
    char id[8];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(id, sizeof id, "i%zu", i);
        struct mk_input input = rig_input(id, cases[i].kind);
        input.handling = cases[i].handling;
        rig_admit(rig, input);
        assert_said(rig, "accepted");
        assert_int_equal(is_offered(rig, id), cases[i].offered);
    }
    struct mk_input empty = rig_steer("nil"), absent = rig_steer("absent"), asleep = rig_steer("asleep");
    empty.body = SPAN_LIT("\xc0");
    absent.body = (struct span){NULL, 0};
    asleep.wake = false;
    rig_admit(rig, empty);
    rig_admit(rig, absent);
    rig_admit(rig, asleep);
    assert_false(is_offered(rig, "nil") || is_offered(rig, "absent") || is_offered(rig, "asleep"));
    rig_free(rig);
}

static void test_inject__a_silenced_request_is_never_injected(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct span hush = SPAN_LIT("hush");
    struct mk_input request = rig_input("b", MK_PEER_REQUEST);
    request.handling = MK_HANDLING_STEER;
    request.intent = hush;
    rig_register(rig, "r");
    struct mk_command command = rig_command("i", MK_OP_SILENT_INTENTS);
    command.args.intents[0] = hush;
    command.args.intent_count = 1;
    rig_order(rig, command);
    rig_send(rig, "a", MK_PROMPT);
    rig_live(rig, true);
    rig_admit(rig, request);
    assert_false(is_offered(rig, "b"));
    rig_free(rig);
}

static void test_inject__what_the_executor_does_not_stage_runs_by_itself(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    rig_answer(rig, "b", false);
    assert_string_equal(rig->log, "");
    rig_answer(rig, "b", true); /* twice, and otherwise: the first word counts */
    assert_string_equal(rig->log, "");
    rig_succeed(rig, "1");
    assert_said(rig, "start b #1\n");
    rig_succeed(rig, "2");
    assert_said(rig, "completion b completed 2 >c1\n");
    rig_free(rig);
}

static void test_inject__without_an_answer_it_runs_by_itself_once_the_run_is_over(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    struct mk_id old = rig->run_id;
    rig_succeed(rig, "1");
    assert_said(rig, "start b #1\n");
    struct run_injected late = {.at = {old, 1}, .ok = true};
    id_set(&late.input, SPAN_LIT("b"));
    rig_give(rig, (struct session_event){.type = EV_SESSION_INJECTED, .injected = &late});
    assert_string_equal(rig->log, "");
    rig_succeed(rig, "2");
    assert_said(rig, "completion b completed 2 >c1\n");
    rig_free(rig);
}

static void test_inject__the_answer_of_another_run_or_attempt_changes_nothing(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    struct run_injected other = {.at = {rig->run_id, rig->attempt + 1}, .ok = true};
    id_set(&other.input, SPAN_LIT("b"));
    rig_give(rig, (struct session_event){.type = EV_SESSION_INJECTED, .injected = &other});
    assert_true(is_offered(rig, "b"));
    other.at.attempt = rig->attempt;
    id_set(&other.at.run, SPAN_LIT("another"));
    rig_give(rig, (struct session_event){.type = EV_SESSION_INJECTED, .injected = &other});
    assert_true(is_offered(rig, "b"));
    rig_answer(rig, "a", true); /* one that was not asked for */
    assert_string_equal(rig->log, "");
    rig_free(rig);
}

static void test_inject__two_at_once_keep_the_order_in_which_they_were_staged(void **state)
{
    (void)state;
    struct rig *rig = running();
    struct mk_input b = rig_steer("b"), c = rig_steer("c");
    struct session_event both[] = {{.type = EV_SESSION_INPUT, .input = &b}, {.type = EV_SESSION_INPUT, .input = &c}};
    rig_give_all(rig, both, 2);
    assert_said(rig, "inject b\ninject c\n");
    rig_answer(rig, "c", true);
    rig_answer(rig, "b", true);
    rig_crash(rig);
    assert_said(rig, "start a #2 +c +b\n");
    rig_free(rig);
}

static void test_inject__a_recovered_run_has_what_was_injected_and_the_commit_ends_that(void **state)
{
    (void)state;
    struct rig *rig = running();
    inject(rig, "b");
    assert_int_equal(rig->row_count, 2);
    for (uint64_t attempt = 2; attempt <= 3; attempt++) {
        char line[32];
        snprintf(line, sizeof line, "start a #%llu +b\n", (unsigned long long)attempt);
        rig_crash(rig);
        assert_said(rig, line);
    }
    rig_do(rig, "q", MK_OP_LIST_ACTIVE_INPUTS);
    assert_said(rig, "result q ok inputs a\n"); /* it is no active input */
    rig_succeed(rig, "1");
    assert_int_equal(rig->row_count, 0);
    assert_int_equal(rig->head.injected_count, 0);
    rig_send(rig, "d", MK_PROMPT);
    assert_said(rig, "start d #1\n");
    rig_free(rig);
}

static void test_inject__an_answer_and_the_runs_end_in_one_stage_leave_no_row(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    struct run_injected yes = {.at = {rig->run_id, rig->attempt}, .ok = true};
    id_set(&yes.input, SPAN_LIT("b"));
    struct run_done done = {.run = rig->run_id, .attempt = rig->attempt, .end = RUN_NO_RESULT};
    struct session_event both[] = {{.type = EV_SESSION_INJECTED, .injected = &yes},
                                   {.type = EV_SESSION_RUN_DONE, .done = &done}};
    rig_give_all(rig, both, 2);
    assert_said(rig, "completion b completed_without_result >c1\ncompletion a completed_without_result >c1\n");
    assert_int_equal(rig->row_count, 0);
    assert_true(has_receipt(rig, 1) && has_receipt(rig, 2));
    rig_free(rig);
}

static void test_inject__a_run_that_fails_leaves_it_to_the_next_until_it_failed_three_times(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_live(rig, true);
    inject(rig, "b");
    rig_fail(rig);
    rig_tick(rig, 60000);
    assert_said(rig, "start a #1 +b\n");
    rig_fail(rig);
    rig_tick(rig, 60000);
    assert_said(rig, "start a #1 +b\n");
    rig_crash(rig);
    assert_said(rig, "start a #2 +b\n"); /* the count of its failures, too, is stored */
    rig_fail(rig);
    assert_said(rig, "completion a abandoned_with_error");
    assert_int_equal(rig->row_count, 0);
    rig_send(rig, "c", MK_PROMPT);
    assert_said(rig, "start c #1\n");
    rig_free(rig);
}

static void test_inject__a_run_that_is_cancelled_leaves_it_to_the_next(void **state)
{
    (void)state;
    struct rig *rig = running();
    inject(rig, "b");
    rig_do(rig, "i", MK_OP_INTERRUPT);
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "completion a cancelled");
    assert_false(session_idle(rig->session));
    rig_crash(rig);
    rig_send(rig, "c", MK_PROMPT);
    assert_said(rig, "start c #1 +b\n");
    rig_succeed(rig, "1");
    assert_int_equal(rig->row_count, 0);
    rig_free(rig);
}

static void test_inject__it_ends_with_its_session(void **state)
{
    static const enum mk_op ops[] = {MK_OP_RESET, MK_OP_STOP, MK_OP_UNREGISTER, MK_OP_DESTROY};
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct rig *rig = running();
        inject(rig, "b");
        rig_do(rig, "i", MK_OP_INTERRUPT);
        rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
        assert_int_equal(rig->row_count, 1);
        rig_do(rig, "x", ops[i]);
        assert_said(rig, "result x ok");
        assert_int_equal(rig->row_count, 0);
        assert_int_equal(rig->session->core.carried.count, 0);
        rig_free(rig);
    }
}

static void test_inject__a_run_that_kills_its_nodes_takes_it_along(void **state)
{
    (void)state;
    struct rig *rig = running();
    inject(rig, "b");
    for (int death = 0; death < 3; death++)
        rig_crash(rig);
    assert_said(rig, "completion a abandoned_with_error node_deaths");
    assert_int_equal(rig->row_count, 0);
    rig_free(rig);
}

static void test_inject__on_its_way_it_is_not_withdrawn(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    struct mk_command withdraw = rig_command("w", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("b");
    rig_order(rig, withdraw);
    assert_string_equal(rig->log, "result w ok withdrawn false phase staged\n");
    rig_answer(rig, "b", false);
    withdraw.h.id = SPAN_LIT("w2");
    rig_order(rig, withdraw);
    assert_said(rig, "result w2 ok withdrawn true phase abandoned\n");
    rig_free(rig);
}

static void test_inject__on_its_way_its_deadline_does_not_pass(void **state)
{
    (void)state;
    struct rig *rig = running();
    struct mk_input input = rig_steer("b");
    input.deadline_ms = 100;
    rig_admit(rig, input);
    assert_int_equal(session_due_ms(rig->session, rig->ctx.now_ms, rig->ctx.store_ms), UINT64_MAX);
    rig_tick(rig, 1000);
    assert_string_equal(rig->log, "");
    rig_answer(rig, "b", false);
    assert_said(rig, "completion b abandoned_with_error deadline_passed");
    rig_free(rig);
}

static void test_inject__a_repeat_finds_it_on_its_way_and_when_it_is_over(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_admit(rig, rig_steer("b"));
    rig_admit(rig, rig_steer("b"));
    assert_string_equal(rig->log, "admission b deduplicated of b queued\n");
    rig_answer(rig, "b", true);
    rig_admit(rig, rig_steer("b"));
    assert_said(rig, "admission b deduplicated of b consumed [completion b completed_without_result]\n");
    assert_unsaid(rig, "inject");
    rig_free(rig);
}

static void test_inject__no_more_than_the_bound_is_carried(void **state)
{
    (void)state;
    struct rig *rig = running();
    char id[8];
    for (int i = 0; i < INJECTED_MAX - 1; i++) {
        snprintf(id, sizeof id, "b%d", i);
        inject(rig, id);
    }
    rig_admit(rig, rig_steer("last"));
    assert_true(is_offered(rig, "last")); /* what is on its way counts */
    rig_admit(rig, rig_steer("more"));
    assert_false(is_offered(rig, "more"));
    rig_answer(rig, "last", true);
    assert_int_equal(rig->head.injected_count, INJECTED_MAX);
    rig_crash(rig);
    assert_int_equal(rig->session->core.carried.count, INJECTED_MAX);
    rig_succeed(rig, "1");
    assert_said(rig, "start more #1\n");
    rig_free(rig);
}

static void test_inject__an_ephemeral_one_is_carried_in_memory_only(void **state)
{
    (void)state;
    struct rig *rig = running();
    struct mk_input input = rig_steer("b");
    input.durability = MK_EPHEMERAL;
    rig_admit(rig, input);
    rig_answer(rig, "b", true);
    assert_said(rig, "completion b completed_without_result");
    assert_int_equal(rig->row_count, 1);
    rig_fail(rig);
    rig_tick(rig, 60000);
    assert_said(rig, "start a #1 +b\n");
    rig_crash(rig);
    assert_said(rig, "start a #2\n");
    rig_free(rig);
}

static void test_inject__before_its_run_was_ordered_nothing_is_offered(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input a = rig_input("a", MK_PROMPT), b = rig_steer("b");
    struct session_event both[] = {{.type = EV_SESSION_INPUT, .input = &a}, {.type = EV_SESSION_INPUT, .input = &b}};
    rig_give_all(rig, both, 2);
    assert_unsaid(rig, "inject");
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_inject__without_memory_nothing_has_happened(void **state)
{
    (void)state;
    for (size_t failing = 1;; failing++) {
        struct rig *rig = running();
        rig_admit(rig, rig_steer("b"));
        rig->t.fail_at = rig->t.count + failing;
        rig->t.fail_all_after = true;
        rig_answer(rig, "b", true);
        rig->t.fail_at = 0;
        bool done = !rig->failed;
        assert_int_equal(rig->session->core.carried.count, done);
        assert_int_equal(is_offered(rig, "b"), !done);
        rig_free(rig);
        if (done)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inject__a_steered_input_goes_into_the_turn_that_runs),
        cmocka_unit_test(test_inject__the_receipts_of_a_run_are_counted_and_its_own_is_the_last),
        cmocka_unit_test(test_inject__only_a_live_boundary_of_the_very_execution_is_asked),
        cmocka_unit_test(test_inject__only_what_is_urgent_of_a_boundary_and_has_text_goes_in),
        cmocka_unit_test(test_inject__a_silenced_request_is_never_injected),
        cmocka_unit_test(test_inject__what_the_executor_does_not_stage_runs_by_itself),
        cmocka_unit_test(test_inject__without_an_answer_it_runs_by_itself_once_the_run_is_over),
        cmocka_unit_test(test_inject__the_answer_of_another_run_or_attempt_changes_nothing),
        cmocka_unit_test(test_inject__two_at_once_keep_the_order_in_which_they_were_staged),
        cmocka_unit_test(test_inject__a_recovered_run_has_what_was_injected_and_the_commit_ends_that),
        cmocka_unit_test(test_inject__an_answer_and_the_runs_end_in_one_stage_leave_no_row),
        cmocka_unit_test(test_inject__a_run_that_fails_leaves_it_to_the_next_until_it_failed_three_times),
        cmocka_unit_test(test_inject__a_run_that_is_cancelled_leaves_it_to_the_next),
        cmocka_unit_test(test_inject__it_ends_with_its_session),
        cmocka_unit_test(test_inject__a_run_that_kills_its_nodes_takes_it_along),
        cmocka_unit_test(test_inject__on_its_way_it_is_not_withdrawn),
        cmocka_unit_test(test_inject__on_its_way_its_deadline_does_not_pass),
        cmocka_unit_test(test_inject__a_repeat_finds_it_on_its_way_and_when_it_is_over),
        cmocka_unit_test(test_inject__no_more_than_the_bound_is_carried),
        cmocka_unit_test(test_inject__an_ephemeral_one_is_carried_in_memory_only),
        cmocka_unit_test(test_inject__before_its_run_was_ordered_nothing_is_offered),
        cmocka_unit_test(test_inject__without_memory_nothing_has_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
