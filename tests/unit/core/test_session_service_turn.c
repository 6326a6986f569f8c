/* Turns that a service outside owns. */
#include "tests/unit/core/rig.h"

static void start(struct rig *rig, const char *id, const char *run, uint64_t timeout_ms)
{
    struct mk_command command = rig_command(id, MK_OP_START_CONVERSATION_RUN);
    command.args.run = span_of(run);
    command.args.timeout_ms = timeout_ms;
    rig_order(rig, command);
}

static void end(struct rig *rig, const char *id, const char *run)
{
    struct mk_command command = rig_command(id, MK_OP_COMMIT_SERVICE_TURN);
    command.args.run = span_of(run);
    rig_order(rig, command);
}

static struct rig *in_turn(void)
{
    struct rig *rig = rig_attached();
    start(rig, "start", "turn", 0);
    assert_said(rig, "result start ok run turn timeout_ms 60000 phase running\n");
    assert_int_equal(session_due_ms(rig->session, rig->ctx.now_ms, rig->ctx.store_ms), rig->ctx.now_ms + 60000);
    return rig;
}

static void test_service__a_turn_lets_the_session_run_and_starts_no_executor(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    assert_unsaid(rig, "start turn");
    assert_false(rig->order.start);
    assert_false(session_idle(rig->session)); /* it must not leave memory */
    end(rig, "end", "turn");
    assert_said(rig, "result end ok run turn phase attached\n");
    assert_true(session_idle(rig->session));
    rig_send(rig, "i", MK_PROMPT);
    assert_said(rig, "start i #1\n");
    rig_free(rig);
}

static void test_service__its_commit_wants_that_turn_and_no_active_input(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    end(rig, "1", "other");
    assert_said(rig, "result 1 invalid_state running\n");
    end(rig, "2", "");
    assert_said(rig, "result 2 missing_field final\n");
    rig_send(rig, "i", MK_PROMPT);
    assert_said(rig, "admission i accepted queued\n");
    assert_unsaid(rig, "start i");
    end(rig, "3", "turn");
    assert_said(rig, "result 3 invalid_state running\n");
    assert_string_equal(rig_phase(rig), "running"); /* refused, it goes on */
    struct mk_command withdraw = rig_command("4", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("i");
    rig_order(rig, withdraw);
    end(rig, "3", "turn");
    assert_said(rig, "result 3 ok run turn phase attached\n");
    end(rig, "5", "turn");
    assert_said(rig, "result 5 invalid_state attached\n");
    end(rig, "3", "turn");
    assert_said(rig, "result 3 ok = result 3\n");
    rig_free(rig);
}

static void test_service__a_turn_is_refused_over_a_run_a_turn_and_waiting_inputs(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    start(rig, "1", "again", 0);
    assert_said(rig, "result 1 not_ready running\n");
    end(rig, "e", "turn");
    rig_send(rig, "i", MK_PROMPT);
    start(rig, "2", "again", 0);
    assert_said(rig, "result 2 not_ready running\n");
    rig_fail(rig); /* it waits for its next attempt */
    start(rig, "3", "again", 0);
    assert_said(rig, "result 3 not_ready attached\n");
    rig_free(rig);
}

static void test_service__an_idle_session_must_be_bound_and_others_refuse(void **state)
{
    static const enum mk_op over[] = {MK_OP_RETIRE, MK_OP_STOP};
    (void)state;
    struct rig *rig = rig_new();
    start(rig, "1", "turn", 0);
    assert_said(rig, "result 1 not_ready destroyed\n");
    end(rig, "2", "turn");
    assert_said(rig, "result 2 not_ready destroyed\n");
    rig_register(rig, "r");
    start(rig, "3", "turn", 0);
    assert_said(rig, "result 3 not_ready idle\n");
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    start(rig, "4", "turn", 0);
    assert_said(rig, "phase running\n");
    rig_free(rig);
    for (size_t i = 0; i < 2; i++) {
        rig = rig_attached();
        rig_do(rig, "o", over[i]);
        start(rig, "1", "turn", 0);
        assert_said(rig, "result 1 not_ready ");
        rig_free(rig);
    }
    rig = rig_attached();
    rig_do(rig, "d", MK_OP_DESTROY);
    start(rig, "1", "turn", 0);
    assert_said(rig, "result 1 destroyed final\n");
    rig_free(rig);
}

static void test_service__its_bound_in_time_has_a_limit_of_its_own(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    start(rig, "1", "turn", SERVICE_MS_MAX + 1);
    assert_said(rig, "result 1 invalid_field final\n");
    start(rig, "2", "", 0);
    assert_said(rig, "result 2 missing_field final\n");
    start(rig, "3", "turn", 5);
    assert_said(rig, "result 3 ok run turn timeout_ms 5 phase running\n");
    rig_free(rig);
}

/* L8, P8: whoever began the turn died. */
static void test_service__a_turn_that_is_not_committed_is_given_up_and_what_waits_runs(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    rig_send(rig, "i", MK_PROMPT);
    rig_tick(rig, 59999);
    assert_string_equal(rig_phase(rig), "running");
    assert_unsaid(rig, "start i");
    rig_tick(rig, 1);
    assert_said(rig, "start i #1\n");
    end(rig, "e", "turn");
    assert_said(rig, "result e invalid_state running\n");
    const struct failure_record *failure = &rig->session->core.failure;
    assert_string_equal(failure->run.text, "turn");
    assert_int_equal(failure->error, MK_ERR_DEADLINE_PASSED);
    rig_free(rig);
}

static void test_service__an_interrupt_ends_the_turn_at_once(void **state)
{
    static const enum mk_op ops[] = {MK_OP_INTERRUPT, MK_OP_CANCEL_AFTER_BOUNDARY};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = in_turn();
        rig_send(rig, "i", MK_PROMPT);
        struct mk_command command = rig_command("1", ops[i]);
        command.run = SPAN_LIT("other");
        rig_order(rig, command);
        assert_said(rig, "result 1 ok cancelled false run other\n");
        rig_do(rig, "2", ops[i]);
        assert_said(rig, "result 2 ok cancelled true run turn\n");
        assert_unsaid(rig, "_cancel\n"); /* no executor has it */
        assert_said(rig, "start i #1\n");
        rig_free(rig);
    }
}

/* Neither the interrupt nor the turn needs an executor. */
static void test_service__a_turn_of_a_session_without_executor_can_be_interrupted(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_register(rig, "r");
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    start(rig, "1", "turn", 0);
    rig_do(rig, "2", MK_OP_INTERRUPT);
    assert_said(rig, "result 2 ok cancelled true run turn\n");
    assert_string_equal(rig_phase(rig), "attached");
    rig_free(rig);
}

static void test_service__an_input_in_the_turn_gets_its_executor_and_runs_after_it(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_register(rig, "r");
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    start(rig, "1", "turn", 0);
    rig_send(rig, "i", MK_PROMPT);
    rig_do(rig, "2", MK_OP_INTERRUPT);
    assert_said(rig, "start i #1\n"); /* P8 */
    rig_free(rig);
}

static void test_service__unregister_destroy_and_reset_end_the_turn(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_said(rig, "result u ok retained false abandoned 0\n");
    rig_free(rig);
    rig = in_turn();
    rig_do(rig, "d", MK_OP_DESTROY);
    assert_said(rig, "phase destroyed\n");
    rig_tick(rig, 100000);
    assert_string_equal(rig_phase(rig), "destroyed");
    rig_free(rig);
    rig = in_turn();
    rig_do(rig, "1", MK_OP_RESET);
    assert_said(rig, "result 1 invalid_state running\n"); /* as every run, */
    rig_do(rig, "t", MK_OP_RETIRE);
    rig_do(rig, "2", MK_OP_RESET);
    assert_said(rig, "result 2 ok abandoned 0 phase "); /* unless the session is retired */
    end(rig, "e", "turn");
    assert_said(rig, "result e invalid_state ");
    rig_free(rig);
}

static void test_service__a_stop_waits_for_the_turn(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    rig_send(rig, "i", MK_PROMPT);
    rig_do(rig, "s", MK_OP_STOP);
    assert_said(rig, "result s ok deferred true phase running\n");
    rig_tick(rig, 60000); /* its commit cannot come, for an input waits: the bound ends it */
    assert_said(rig, "completion i runtime_terminated");
    assert_string_equal(rig_phase(rig), "stopped");
    rig_free(rig);
}

static void test_service__a_retired_session_ends_its_turn_in_retired(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    rig_do(rig, "r", MK_OP_RETIRE);
    end(rig, "e", "turn");
    assert_said(rig, "result e ok run turn phase retired\n");
    rig_free(rig);
}

static void test_service__a_turn_ends_with_its_node_and_what_waits_runs(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    rig_send(rig, "i", MK_PROMPT);
    rig_crash(rig);
    assert_said(rig, "start i #1\n");
    end(rig, "e", "turn");
    assert_said(rig, "result e invalid_state running\n");
    rig_free(rig);
}

/* D18: the stop was answered, so the next owner carries it out. */
static void test_service__a_stop_that_waited_for_the_turn_survives_the_node(void **state)
{
    (void)state;
    struct rig *rig = in_turn();
    rig_send(rig, "i", MK_PROMPT);
    rig_do(rig, "s", MK_OP_STOP);
    rig_crash(rig);
    assert_said(rig, "completion i runtime_terminated");
    assert_unsaid(rig, "start i");
    assert_string_equal(rig_phase(rig), "stopped");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service__a_turn_lets_the_session_run_and_starts_no_executor),
        cmocka_unit_test(test_service__its_commit_wants_that_turn_and_no_active_input),
        cmocka_unit_test(test_service__a_turn_is_refused_over_a_run_a_turn_and_waiting_inputs),
        cmocka_unit_test(test_service__an_idle_session_must_be_bound_and_others_refuse),
        cmocka_unit_test(test_service__its_bound_in_time_has_a_limit_of_its_own),
        cmocka_unit_test(test_service__a_turn_that_is_not_committed_is_given_up_and_what_waits_runs),
        cmocka_unit_test(test_service__an_interrupt_ends_the_turn_at_once),
        cmocka_unit_test(test_service__a_turn_of_a_session_without_executor_can_be_interrupted),
        cmocka_unit_test(test_service__an_input_in_the_turn_gets_its_executor_and_runs_after_it),
        cmocka_unit_test(test_service__unregister_destroy_and_reset_end_the_turn),
        cmocka_unit_test(test_service__a_stop_waits_for_the_turn),
        cmocka_unit_test(test_service__a_retired_session_ends_its_turn_in_retired),
        cmocka_unit_test(test_service__a_turn_ends_with_its_node_and_what_waits_runs),
        cmocka_unit_test(test_service__a_stop_that_waited_for_the_turn_survives_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
