/* Which inputs become dead letters: those that were abandoned otherwise than by their publisher's own wish. */
#include "tests/unit/core/rig.h"

static struct rig *rig;

static int set_up(void **state)
{
    (void)state;
    rig = rig_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_free(rig);
    return 0;
}

static void send_ephemeral(const char *id)
{
    struct mk_input input = rig_input(id, MK_PROMPT);
    input.durability = MK_EPHEMERAL;
    rig_admit(rig, input);
}

static void test_dead__an_input_that_failed_three_times_is_a_letter(void **state)
{
    (void)state;
    rig_send(rig, "a", MK_PROMPT);
    rig_fail(rig);
    rig_tick(rig, 60000);
    rig_fail(rig);
    assert_string_equal(rig->dead, "");
    rig_tick(rig, 60000);
    rig_fail(rig);
    assert_string_equal(rig->dead, "a max_attempts_exhausted 3;");
}

static void test_dead__what_an_executor_calls_final_is_a_letter(void **state)
{
    (void)state;
    rig_send(rig, "a", MK_PROMPT);
    rig_finish(rig, (struct run_done){.end = RUN_FAILED,
                                      .cause = CAUSE_RUNTIME_APPLY,
                                      .error = MK_ERR_EXECUTOR_FAILED,
                                      .final = true,
                                      .message = SPAN_LIT("no")});
    assert_non_null(strstr(rig->dead, "a "));
}

static void test_dead__a_deadline_that_passed_makes_a_letter(void **state)
{
    (void)state;
    rig_send(rig, "runs", MK_PROMPT);
    struct mk_input late = rig_input("late", MK_PROMPT);
    late.deadline_ms = 10;
    rig_admit(rig, late);
    rig_tick(rig, 1000);
    rig_succeed(rig, "ok");
    assert_string_equal(rig->dead, "late deadline_passed 0;");
}

static void test_dead__commands_that_abandon_leave_letters_of_durable_and_ephemeral_inputs(void **state)
{
    static const struct {
        enum mk_op op;
        const char *wanted;
    } cases[] = {
        {MK_OP_DESTROY, "a destroyed 1;b destroyed 0;e destroyed 0;"},
        {MK_OP_STOP, "b stopped 0;e stopped 0;"}, /* the one that runs may end */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_send(rig, "a", MK_PROMPT);
        rig_send(rig, "b", MK_PROMPT);
        send_ephemeral("e");
        rig_do(rig, "c", cases[i].op);
        if (cases[i].op == MK_OP_STOP)
            rig_succeed(rig, "ok");
        assert_string_equal(rig->dead, cases[i].wanted);
        rig_free(rig);
        rig = rig_new();
    }
}

static void test_dead__a_reset_leaves_letters(void **state)
{
    (void)state;
    rig_register(rig, "r");
    struct mk_input quiet = rig_input("a", MK_PROMPT);
    quiet.wake = false;
    rig_admit(rig, quiet);
    rig_do(rig, "c", MK_OP_RESET);
    assert_string_equal(rig->dead, "a reset 0;");
}

static void test_dead__what_its_publisher_took_back_is_no_letter(void **state)
{
    (void)state;
    rig_send(rig, "runs", MK_PROMPT);
    rig_send(rig, "waits", MK_PROMPT);
    struct mk_command withdraw = rig_command("w", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("waits");
    rig_order(rig, withdraw);
    rig_do(rig, "i", MK_OP_INTERRUPT);
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "completion runs cancelled");
    withdraw.h.id = SPAN_LIT("w2");
    withdraw.args.id = SPAN_LIT("never seen");
    rig_order(rig, withdraw);
    assert_string_equal(rig->dead, "");
}

static void test_dead__what_was_done_or_merged_is_no_letter(void **state)
{
    (void)state;
    rig_send(rig, "done", MK_PROMPT);
    rig_succeed(rig, "ok");
    for (int i = 0; i < 2; i++) {
        struct mk_input progress = rig_input(i ? "p2" : "p1", MK_PEER_RESPONSE_PROGRESS);
        progress.supersede = SPAN_LIT("same");
        progress.request_id = SPAN_LIT("q");
        progress.wake = false;
        rig_admit(rig, progress);
    }
    assert_said(rig, "completion p1 coalesced");
    assert_string_equal(rig->dead, "");
}

static void test_dead__an_event_keeps_its_letters_input_until_it_is_freed(void **state)
{
    (void)state;
    rig_send(rig, "a", MK_PROMPT);
    struct mk_command destroy = rig_command("c", MK_OP_DESTROY);
    struct session_event event = {.type = EV_SESSION_COMMAND, .command = &destroy};
    session_apply(rig->session, &rig->ctx, &event);
    while (rig->session->stage.wants) {
        rig_learn(rig);
        session_apply(rig->session, &rig->ctx, &event);
    }
    assert_non_null(rig->session->stage.events->dead);
    session_undo(rig->session); /* the leak check of the rig counts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dead__an_input_that_failed_three_times_is_a_letter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__what_an_executor_calls_final_is_a_letter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__a_deadline_that_passed_makes_a_letter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__commands_that_abandon_leave_letters_of_durable_and_ephemeral_inputs,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__a_reset_leaves_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__what_its_publisher_took_back_is_no_letter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__what_was_done_or_merged_is_no_letter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dead__an_event_keeps_its_letters_input_until_it_is_freed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
