#include "tests/unit/core/rig.h"

static void test_run__the_first_input_registers_binds_attaches_and_starts_in_one_commit(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a accepted queued\n");
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 100 generation 1 epoch ");
    assert_said(rig, "effect run_started run ");
    assert_said(rig, "start a #1\n");
    assert_int_equal(rig->commits, 1);
    assert_string_equal(rig_phase(rig), "running");
    rig_succeed(rig, "42");
    assert_said(rig, "completion a completed 42 >c1\n");
    assert_string_equal(rig_phase(rig), "attached");
    assert_int_equal(rig->row_count, 0);
    assert_true(session_idle(rig->session));
    rig_free(rig);
}

static void test_run__the_end_of_a_run_and_the_start_of_the_next_are_one_commit(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    assert_unsaid(rig, "start");
    size_t commits = rig->commits;
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1 >c1\n");
    assert_said(rig, "start b #1\n");
    assert_int_equal(rig->commits, commits + 1);
    rig_succeed(rig, "2");
    rig_free(rig);
}

static void test_run__every_input_gets_its_own_result_or_all_get_the_one(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "p", MK_PROMPT);
    rig_send(rig, "a", MK_PEER_MESSAGE);
    rig_send(rig, "b", MK_PEER_MESSAGE);
    rig_succeed(rig, "0");
    assert_said(rig, "start a b #1\n");
    struct span two[] = {SPAN_LIT("ra"), SPAN_LIT("rb")};
    rig_finish(rig, (struct run_done){.end = RUN_RESULT, .results = two, .result_count = 2});
    assert_said(rig, "completion a completed ra >c1\ncompletion b completed rb >c1\n");
    rig_send(rig, "p2", MK_PROMPT);
    rig_send(rig, "c", MK_PEER_MESSAGE);
    rig_send(rig, "d", MK_PEER_MESSAGE);
    rig_succeed(rig, "0");
    rig_succeed(rig, "one");
    assert_said(rig, "completion c completed one >c1\ncompletion d completed one >c1\n");
    rig_free(rig);
}

static void test_run__its_verdicts_become_outcomes(void **state)
{
    (void)state;
    static const struct {
        enum run_end end;
        const char *said;
    } cases[] = {
        {RUN_NO_RESULT, "completion a completed_without_result >c1\n"},
        {RUN_CALLBACK_PENDING, "completion a callback_pending tool >c1\n"},
        {RUN_CANCELLED, "completion a cancelled cancelled >c1\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_new();
        struct span tool = SPAN_LIT("tool");
        rig_send(rig, "a", MK_PROMPT);
        rig_finish(rig, (struct run_done){.end = cases[i].end, .results = &tool, .result_count = 1});
        assert_said(rig, cases[i].said);
        assert_string_equal(rig_phase(rig), "attached");
        rig_free(rig);
    }
}

static void test_run__the_end_of_another_run_or_attempt_is_ignored(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    uint64_t attempt = rig->attempt;
    rig->attempt = 2;
    rig_succeed(rig, "x");
    assert_string_equal(rig->log, "");
    rig->attempt = attempt;
    struct mk_id run = rig->run_id;
    id_set(&rig->run_id, SPAN_LIT("another"));
    rig_succeed(rig, "x");
    assert_string_equal(rig->log, "");
    rig->run_id = run;
    rig_succeed(rig, "x");
    assert_said(rig, "completion a completed x");
    rig_free(rig);
}

static void test_run__state_receipt_and_executor_events_ride_on_the_same_commit(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    struct span one = SPAN_LIT("1");
    struct executor_event event = {SPAN_LIT("ticked"), SPAN_LIT("data")};
    size_t commits = rig->commits;
    rig_finish(rig, (struct run_done){.end = RUN_RESULT,
                                      .results = &one,
                                      .result_count = 1,
                                      .has_state = true,
                                      .state = SPAN_LIT("state"),
                                      .events = &event,
                                      .event_count = 1});
    assert_int_equal(rig->commits, commits + 1);
    assert_said(rig, "effect executor_event ticked");
    assert_memory_equal(rig->state, "state", 5);
    char name[80];
    snprintf(name, sizeof name, "%s.0", rig->run_id.text);
    assert_non_null(rig_fact(rig, FACT_RECEIPT, span_of(name)));
    struct mk_command command = rig_command("q", MK_OP_RECEIPT);
    command.args.run = id_span(&rig->run_id);
    rig_order(rig, command);
    assert_said(rig, "result q ok receipt receipt ");
    rig_free(rig);
}

static void test_run__a_failed_input_is_tried_three_times_with_backoff_and_completes_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_fail(rig);
    assert_said(rig, "effect run_failed run ");
    assert_said(rig, "attempt 1 error kind executor_failed message no will_retry true\n");
    assert_unsaid(rig, "completion");
    assert_int_equal(session_due_ms(rig->session, rig->ctx.now_ms, rig->ctx.store_ms),
                     rig->ctx.now_ms + BACKOFF_FIRST_MS);
    rig_tick(rig, BACKOFF_FIRST_MS - 1);
    assert_unsaid(rig, "start");
    rig_tick(rig, 1);
    assert_said(rig, "start a #1\n");
    rig_fail(rig);
    rig_tick(rig, 2 * BACKOFF_FIRST_MS - 1);
    assert_unsaid(rig, "start");
    rig_tick(rig, 1);
    assert_said(rig, "start a #1\n");
    rig_fail(rig);
    assert_said(rig, "will_retry false\n");
    assert_said(rig, "completion a abandoned_with_error max_attempts_exhausted executor_failed: no >c1\n");
    rig_tick(rig, 1000000);
    assert_unsaid(rig, "start");
    assert_string_equal(rig_phase(rig), "attached");
    rig_free(rig);
}

static void test_run__a_retry_keeps_its_place_before_what_came_later(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    rig_fail(rig);
    assert_unsaid(rig, "start");
    rig_tick(rig, BACKOFF_FIRST_MS);
    assert_said(rig, "start a #1\n");
    rig_succeed(rig, "1");
    assert_said(rig, "start b #1\n");
    rig_free(rig);
}

static void test_run__after_a_cancelled_run_the_rest_goes_on_at_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    rig_do(rig, "i", MK_OP_INTERRUPT);
    assert_said(rig, "result i ok cancelled true run ");
    assert_said(rig, "hard_cancel\n");
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "completion a cancelled");
    assert_said(rig, "start b #1\n");
    rig_free(rig);
}

/* Which of n inputs is the culprit; every run with it fails. */
static void bisect(size_t n, size_t culprit)
{
    struct rig *rig = rig_new();
    char id[8], wanted[32], completion[64];
    size_t completed = 0, runs = 0;
    rig_send(rig, "p", MK_PROMPT);
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof id, "m%03zu", i);
        rig_send(rig, id, MK_PEER_MESSAGE);
    }
    rig_succeed(rig, "0");
    snprintf(wanted, sizeof wanted, " m%03zu", culprit);
    snprintf(completion, sizeof completion, "completion m%03zu abandoned_with_error max_attempts", culprit);
    bool abandoned = false;
    while (rig->session->core.ledger.count) {
        assert_true(++runs < 2 * n + 4);
        const char *start = strstr(rig->log, "\nstart ");
        if (!start && !strncmp(rig->log, "start ", 6))
            start = rig->log;
        if (!start) {
            rig_tick(rig, BACKOFF_MAX_MS);
            continue;
        }
        if (strstr(start, wanted)) {
            rig_fail(rig);
            abandoned = abandoned || strstr(rig->log, completion);
        } else {
            rig_succeed(rig, "ok");
            for (const char *at = rig->log; (at = strstr(at, "completed ok")); at++)
                completed++;
        }
    }
    assert_true(abandoned);
    assert_int_equal(completed, n - 1);
    rig_free(rig);
}

static void test_run__a_failing_batch_is_split_until_only_the_culprit_is_abandoned(void **state)
{
    (void)state;
    bisect(1, 0);
    bisect(2, 0);
    bisect(2, 1);
    bisect(7, 3);
    bisect(40, 0);
    bisect(40, 39);
}

static void test_run__after_a_crash_the_same_run_goes_on_with_a_higher_attempt_and_fence(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "p", MK_PROMPT);
    rig_send(rig, "a", MK_PEER_MESSAGE);
    rig_send(rig, "b", MK_PEER_MESSAGE);
    rig_succeed(rig, "0");
    struct mk_id run = rig->run_id;
    rig_crash(rig);
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 101 generation 2 epoch ");
    assert_said(rig, "start a b #2\n");
    assert_string_equal(rig->run_id.text, run.text);
    assert_string_equal(rig_phase(rig), "running");
    rig_succeed(rig, "r");
    assert_said(rig, "completion a completed r >c1\ncompletion b completed r >c1\n");
    assert_string_equal(rig_phase(rig), "attached");
    rig_free(rig);
}

static void test_run__an_input_that_kills_its_nodes_ends_alone_and_its_neighbour_completes(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "p", MK_PROMPT);
    rig_send(rig, "a", MK_PEER_MESSAGE);
    rig_send(rig, "b", MK_PEER_MESSAGE);
    rig_succeed(rig, "0");
    rig_crash(rig);
    assert_said(rig, "start a b #2\n");
    rig_crash(rig);
    assert_said(rig, "start a #1\n"); /* two deaths: alone from now on */
    rig_crash(rig);
    assert_said(rig, "completion a abandoned_with_error node_deaths executor_failed: ");
    assert_said(rig, "start b #1\n");
    rig_succeed(rig, "ok");
    assert_said(rig, "completion b completed ok");
    rig_free(rig);
}

static void test_run__a_crash_does_not_count_as_an_attempt(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_crash(rig);
    rig_crash(rig);
    rig_fail(rig);
    assert_said(rig, "will_retry true");
    rig_tick(rig, BACKOFF_MAX_MS);
    rig_fail(rig);
    assert_said(rig, "will_retry true");
    rig_tick(rig, BACKOFF_MAX_MS);
    rig_fail(rig);
    assert_said(rig, "will_retry false");
    rig_free(rig);
}

static void test_run__what_waits_runs_after_a_crash(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    rig_fail(rig); /* a waits out its backoff */
    rig_crash(rig);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_run__a_leaving_node_starts_nothing_and_a_hand_over_costs_no_attempt(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig->ctx.hold_runs = true;
    rig->session->taken_back = rig->run_id;
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_unsaid(rig, "completion");
    assert_unsaid(rig, "start");
    assert_int_equal(rig->session->core.ledger.entries[0]->attempts, 0);
    rig->ctx.hold_runs = false;
    rig_crash(rig);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

/* A new owner that is giving the partition away already, and then keeps it after all. */
static void test_run__a_recovered_run_that_was_held_starts_when_it_no_longer_is(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig->ctx.hold_runs = true;
    rig_crash(rig);
    assert_unsaid(rig, "start");
    rig->ctx.hold_runs = false;
    rig_tick(rig, 0);
    assert_said(rig, "start a #2\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed");
    rig_free(rig);
}

static void test_run__a_final_failure_is_not_tried_again_but_splits_a_batch(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct run_done final = {.end = RUN_FAILED,
                             .cause = CAUSE_RUNTIME_APPLY,
                             .error = MK_ERR_EXECUTOR_FAILED,
                             .message = SPAN_LIT("no"),
                             .final = true};
    rig_send(rig, "a", MK_PROMPT);
    rig_finish(rig, final);
    assert_said(rig, "will_retry false\n");
    assert_said(rig, "completion a abandoned_with_error");
    rig->ctx.hold_runs = true;
    rig_send(rig, "b", MK_PEER_MESSAGE);
    rig_send(rig, "c", MK_PEER_MESSAGE);
    rig->ctx.hold_runs = false;
    rig_tick(rig, 0);
    assert_said(rig, "start b c #1\n");
    rig_finish(rig, final);
    assert_said(rig, "will_retry true\n");
    assert_unsaid(rig, "completion");
    rig_free(rig);
}

static void test_run__an_input_whose_deadline_passed_is_never_run(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    struct mk_input late = rig_input("b", MK_PROMPT);
    late.deadline_ms = 50;
    rig_admit(rig, late);
    assert_int_equal(session_due_ms(rig->session, rig->ctx.now_ms, rig->ctx.store_ms), rig->ctx.now_ms + 50);
    rig->ctx.store_ms += 50;
    rig_succeed(rig, "1");
    assert_said(rig, "completion b abandoned_with_error deadline_passed deadline_passed: ");
    assert_unsaid(rig, "start");
    rig_free(rig);
}

static void test_run__a_tick_abandons_what_is_late_while_another_runs(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    struct mk_input late = rig_input("b", MK_PROMPT);
    late.deadline_ms = 50;
    rig_admit(rig, late);
    rig_tick(rig, 49);
    assert_string_equal(rig->log, "");
    rig_tick(rig, 1);
    assert_said(rig, "completion b abandoned_with_error deadline_passed");
    rig_free(rig);
}

static void test_run__steer_goes_before_queue(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    struct mk_input steer = rig_input("c", MK_PROMPT);
    steer.handling = MK_HANDLING_STEER;
    rig_admit(rig, steer);
    rig_succeed(rig, "1");
    assert_said(rig, "start c #1\n");
    assert_int_equal(rig->session->core.run.boundary, MK_RUN_CHECKPOINT);
    rig_succeed(rig, "2");
    assert_said(rig, "start b #1\n");
    rig_free(rig);
}

static void test_run__an_input_that_does_not_wake_waits_for_the_next_wake(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    struct mk_input quiet = rig_input("a", MK_PROMPT);
    quiet.wake = false;
    rig_admit(rig, quiet);
    assert_unsaid(rig, "start");
    rig_do(rig, "w", MK_OP_WAKE);
    assert_said(rig, "result w ok woken true\n");
    assert_said(rig, "start a #1\n");
    quiet.h.id = SPAN_LIT("b");
    rig_admit(rig, quiet);
    rig_succeed(rig, "1");
    assert_said(rig, "start b #1\n"); /* the end of a run is a wake */
    rig_free(rig);
}

static void test_run__event_numbers_go_on_after_a_crash(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    uint64_t next = rig->session->core.next_event;
    assert_int_equal(next, 3); /* bound, started */
    rig_crash(rig);
    assert_int_equal(rig->session->core.next_event, 5);
    rig_free(rig);
}

/* P8: who waits behind the backoff of another does so while that other is there. */
static void test_run__a_backoff_ends_with_the_last_input_that_it_was_for(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    rig_fail(rig);
    assert_unsaid(rig, "start");
    struct mk_command withdraw = rig_command("x", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("a");
    rig_order(rig, withdraw);
    assert_said(rig, "start b #1\n");
    rig_fail(rig);
    rig_do(rig, "s", MK_OP_STOP);
    rig_do(rig, "g", MK_OP_REGISTER);
    rig_send(rig, "c", MK_PROMPT);
    assert_said(rig, "start c #1\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run__a_backoff_ends_with_the_last_input_that_it_was_for),
        cmocka_unit_test(test_run__the_first_input_registers_binds_attaches_and_starts_in_one_commit),
        cmocka_unit_test(test_run__the_end_of_a_run_and_the_start_of_the_next_are_one_commit),
        cmocka_unit_test(test_run__every_input_gets_its_own_result_or_all_get_the_one),
        cmocka_unit_test(test_run__its_verdicts_become_outcomes),
        cmocka_unit_test(test_run__the_end_of_another_run_or_attempt_is_ignored),
        cmocka_unit_test(test_run__state_receipt_and_executor_events_ride_on_the_same_commit),
        cmocka_unit_test(test_run__a_failed_input_is_tried_three_times_with_backoff_and_completes_once),
        cmocka_unit_test(test_run__a_retry_keeps_its_place_before_what_came_later),
        cmocka_unit_test(test_run__after_a_cancelled_run_the_rest_goes_on_at_once),
        cmocka_unit_test(test_run__a_failing_batch_is_split_until_only_the_culprit_is_abandoned),
        cmocka_unit_test(test_run__after_a_crash_the_same_run_goes_on_with_a_higher_attempt_and_fence),
        cmocka_unit_test(test_run__an_input_that_kills_its_nodes_ends_alone_and_its_neighbour_completes),
        cmocka_unit_test(test_run__a_crash_does_not_count_as_an_attempt),
        cmocka_unit_test(test_run__what_waits_runs_after_a_crash),
        cmocka_unit_test(test_run__a_leaving_node_starts_nothing_and_a_hand_over_costs_no_attempt),
        cmocka_unit_test(test_run__a_recovered_run_that_was_held_starts_when_it_no_longer_is),
        cmocka_unit_test(test_run__a_final_failure_is_not_tried_again_but_splits_a_batch),
        cmocka_unit_test(test_run__an_input_whose_deadline_passed_is_never_run),
        cmocka_unit_test(test_run__a_tick_abandons_what_is_late_while_another_runs),
        cmocka_unit_test(test_run__steer_goes_before_queue),
        cmocka_unit_test(test_run__an_input_that_does_not_wake_waits_for_the_next_wake),
        cmocka_unit_test(test_run__event_numbers_go_on_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
