/* How systems like this one broke in the field: what each of these stories taught, of one session. Others stand where
 * the rule stands; docs/semantics.md lists them all. */
#include "tests/unit/core/rig.h"

static struct mk_input event_of(const char *id)
{
    return rig_input(id, MK_EXTERNAL_EVENT);
}

/* z runs; behind it wait the events a, which dies with its node, and b, which run together, and the prompt c. */
static struct rig *with_a_batch(void)
{
    struct rig *rig = rig_new();
    struct mk_input a = event_of("a");
    a.durability = MK_EPHEMERAL;
    rig_send(rig, "z", MK_PROMPT);
    rig_admit(rig, a);
    rig_admit(rig, event_of("b"));
    rig_send(rig, "c", MK_PROMPT);
    rig_succeed(rig, "1");
    assert_said(rig, "start a b #1\n");
    return rig;
}

static uint64_t due_in(const struct rig *rig)
{
    uint64_t due = session_due_ms(rig->session, rig->ctx.now_ms, rig->ctx.store_ms);
    assert_true(due >= rig->ctx.now_ms);
    return due == UINT64_MAX ? UINT64_MAX : due - rig->ctx.now_ms;
}

/* --- L4: a sweep tolerates members that already went terminal --- */

static void test_lessons__a_run_that_lost_a_member_goes_on_with_the_rest(void **state)
{
    (void)state;
    struct rig *rig = with_a_batch();
    rig_crash(rig);
    assert_said(rig, "start b #2\n");
    rig_fail(rig);
    assert_said(rig, "effect run_failed");
    rig_tick(rig, due_in(rig));
    assert_said(rig, "start b #1\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion b completed 1");
    assert_said(rig, "start c #1\n");
    rig_free(rig);
}

static void test_lessons__a_member_that_ends_after_its_batch_failed_takes_no_wake_along(void **state)
{
    (void)state;
    struct rig *rig = with_a_batch();
    struct mk_command withdraw = rig_command("w", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("a");
    rig_fail(rig);
    rig_order(rig, withdraw);
    assert_said(rig, "completion a cancelled");
    rig_tick(rig, due_in(rig));
    assert_said(rig, "start b #1\n");
    rig_succeed(rig, "1");
    assert_said(rig, "start c #1\n");
    rig_free(rig);
}

static void test_lessons__the_late_failure_of_an_abandoned_batch_touches_nobody(void **state)
{
    (void)state;
    struct rig *rig = with_a_batch();
    struct run_done late = {.run = rig->run_id,
                            .attempt = rig->attempt,
                            .end = RUN_FAILED,
                            .cause = CAUSE_RUNTIME_APPLY,
                            .error = MK_ERR_EXECUTOR_FAILED};
    rig_do(rig, "t", MK_OP_RETIRE);
    rig_do(rig, "r", MK_OP_RESET);
    assert_said(rig, "result r ok abandoned 3 phase idle\n");
    rig_send(rig, "n", MK_PROMPT);
    assert_said(rig, "start n #1\n");
    rig_give(rig, (struct session_event){.type = EV_SESSION_RUN_DONE, .done = &late});
    assert_string_equal(rig->log, "");
    rig_succeed(rig, "1");
    assert_said(rig, "completion n completed 1");
    rig_free(rig);
}

/* --- L6: to look at a session never waits for its run --- */

static void test_lessons__questions_are_answered_while_a_run_goes_on(void **state)
{
    (void)state;
    static const enum mk_op ops[] = {MK_OP_STATE, MK_OP_SHOW, MK_OP_LIST_ACTIVE_INPUTS, MK_OP_INPUT_STATE,
                                     MK_OP_OUTCOME};
    struct rig *rig = with_a_batch();
    size_t commits = rig->commits;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct mk_command command = rig_command("q", ops[i]);
        command.args.id = SPAN_LIT("b");
        rig_order(rig, command);
        assert_said(rig, "result q ok");
    }
    assert_int_equal(rig->commits, commits); /* nor for the store */
    rig_free(rig);
}

/* --- L10: a wake survives what it cannot start, and without work it starts nothing --- */

static void test_lessons__wakes_without_work_run_nothing_and_leave_nothing_due(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "w1", MK_OP_WAKE);
    rig_do(rig, "w2", MK_OP_WAKE);
    rig_succeed(rig, "1");
    assert_unsaid(rig, "start");
    rig_do(rig, "w3", MK_OP_WAKE);
    assert_said(rig, "result w3 ok woken false\n");
    assert_unsaid(rig, "start");
    assert_false(rig->session->core.wake);
    assert_int_equal(due_in(rig), UINT64_MAX);
    rig_free(rig);
}

static void test_lessons__a_wake_between_two_attempts_is_not_spent(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_fail(rig);
    rig_do(rig, "w", MK_OP_WAKE);
    assert_unsaid(rig, "start");
    rig_tick(rig, due_in(rig));
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

/* --- L13: a key is coarser than the retry --- */

static void expect_known(struct rig *rig, const char *id)
{
    struct mk_input again = rig_input(id, MK_PROMPT);
    char text[64];
    again.idem = SPAN_LIT("k");
    rig_admit(rig, again);
    snprintf(text, sizeof text, "admission %s deduplicated of a ", id);
    assert_said(rig, text);
    assert_unsaid(rig, "start");
}

static void test_lessons__a_key_is_the_same_at_every_attempt_and_after_every_crash(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input a = rig_input("a", MK_PROMPT);
    a.idem = SPAN_LIT("k");
    rig_admit(rig, a);
    expect_known(rig, "b"); /* while it runs */
    rig_fail(rig);
    expect_known(rig, "c"); /* between two attempts */
    rig_crash(rig);
    assert_said(rig, "start a #1\n");
    expect_known(rig, "d");
    rig_crash(rig);
    assert_said(rig, "start a #2\n");
    expect_known(rig, "e"); /* the same run again, after its node died */
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1");
    expect_known(rig, "f"); /* it is over */
    rig_crash(rig);
    expect_known(rig, "g");
    rig_free(rig);
}

/* --- L18: what is on its way out takes nothing more, and says so --- */

static void test_lessons__a_session_that_is_unregistered_takes_no_input_and_loses_none(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "z", MK_PROMPT);
    rig_send(rig, "y", MK_PROMPT);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    rig_send(rig, "x", MK_PROMPT);
    assert_said(rig, "admission x rejected not_ready running\n");
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "completion z cancelled");
    assert_said(rig, "completion y runtime_terminated");
    assert_said(rig, "result u ok");
    rig_free(rig);
}

/* --- L30: to come back costs the size of what is alive --- */

struct cost {
    size_t rows, allocations, wants, runs;
};

/* One input runs and one waits, after so many that are over; the node dies. */
static struct cost cost_of_coming_back(size_t past)
{
    struct rig *rig = rig_new();
    char id[32];
    for (size_t i = 0; i < past; i++) {
        snprintf(id, sizeof id, "past-%zu", i);
        struct mk_input input = rig_input(id, MK_PROMPT);
        input.idem = span_of(id);
        rig_admit(rig, input);
        rig_succeed(rig, "1");
    }
    rig_send(rig, "runs", MK_PROMPT);
    rig_send(rig, "waits", MK_PROMPT);
    struct cost cost = {.rows = rig->row_count};
    size_t wants = rig->wants, allocations = rig->t.count;
    rig_crash(rig);
    assert_said(rig, "start runs #2\n");
    cost.allocations = rig->t.count - allocations;
    rig_succeed(rig, "1");
    assert_said(rig, "start waits #1\n");
    cost.wants = rig->wants - wants;
    cost.runs = rig->session->core.run.input_count;
    rig_free(rig);
    return cost;
}

static void test_lessons__a_long_past_costs_nothing_when_a_session_comes_back(void **state)
{
    (void)state;
    struct cost young = cost_of_coming_back(1), old = cost_of_coming_back(150);
    assert_int_equal(young.rows, 2);
    assert_memory_equal(&young, &old, sizeof young);
    assert_int_equal(old.wants, 0);
}

/* --- L31: one precision for one instant --- */

/* What was due is done when its time comes, and is not due again at the same instant. */
static void expect_progress(struct rig *rig, const char *said)
{
    uint64_t wait = due_in(rig);
    assert_in_range(wait, 1, 60000);
    rig_tick(rig, wait - 1);
    assert_string_equal(rig->log, "");
    assert_int_equal(due_in(rig), 1);
    rig_tick(rig, 1);
    assert_said(rig, said);
    assert_true(due_in(rig) > 0);
}

static void test_lessons__what_is_due_is_done_at_its_instant_and_is_not_due_again(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input late = rig_input("b", MK_PROMPT);
    late.deadline_ms = 777;
    rig_send(rig, "a", MK_PROMPT);
    rig_admit(rig, late);
    expect_progress(rig, "completion b abandoned_with_error deadline_passed"); /* by the store's clock */
    rig_fail(rig);
    expect_progress(rig, "start a #1\n"); /* by the node's clock */
    rig_fail(rig);
    expect_progress(rig, "start a #1\n");
    rig_do(rig, "u", MK_OP_UNREGISTER);
    expect_progress(rig, "result u ok");
    assert_int_equal(due_in(rig), UINT64_MAX);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lessons__a_run_that_lost_a_member_goes_on_with_the_rest),
        cmocka_unit_test(test_lessons__a_member_that_ends_after_its_batch_failed_takes_no_wake_along),
        cmocka_unit_test(test_lessons__the_late_failure_of_an_abandoned_batch_touches_nobody),
        cmocka_unit_test(test_lessons__questions_are_answered_while_a_run_goes_on),
        cmocka_unit_test(test_lessons__wakes_without_work_run_nothing_and_leave_nothing_due),
        cmocka_unit_test(test_lessons__a_wake_between_two_attempts_is_not_spent),
        cmocka_unit_test(test_lessons__a_key_is_the_same_at_every_attempt_and_after_every_crash),
        cmocka_unit_test(test_lessons__a_session_that_is_unregistered_takes_no_input_and_loses_none),
        cmocka_unit_test(test_lessons__a_long_past_costs_nothing_when_a_session_comes_back),
        cmocka_unit_test(test_lessons__what_is_due_is_done_at_its_instant_and_is_not_due_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
