/* Why a session does not go on. */
#include "tests/unit/core/rig.h"

static void pass(struct rig *rig, uint64_t ms)
{
    rig->ctx.now_ms += ms;
    rig->ctx.store_ms += ms;
}

/* Asks, and expects the answer's values from `waits_for` to `run`, in their order. */
static void waits(struct rig *rig, const char *said)
{
    static unsigned asked;
    char id[16], line[200];
    snprintf(id, sizeof id, "why%u", asked++);
    rig_do(rig, id, MK_OP_WHY);
    snprintf(line, sizeof line, " waits_for %s", said);
    assert_said(rig, line);
}

static void test_why__nobody_is_not_found_and_an_idle_session_waits_for_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_do(rig, "w", MK_OP_WHY);
    assert_said(rig, "result w not_found\n");
    rig_free(rig);
    rig = rig_attached();
    rig->ctx.owned_since_ms = rig->ctx.store_ms - 9;
    rig_do(rig, "w", MK_OP_WHY);
    assert_said(rig, "result w ok phase attached registration active attached true executor nil waits_for nothing ");
    assert_said(rig, " run nil active 0 last_failure nil node n1 fence 100 partition 7 owned_for_ms 9\n");
    rig_free(rig);
}

static void test_why__a_run_is_waited_for_since_it_began(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    pass(rig, 5);
    rig_send(rig, "i", MK_PROMPT);
    pass(rig, 30);
    rig_send(rig, "j", MK_PROMPT); /* another event does not begin the wait anew */
    pass(rig, 40);
    waits(rig, "run since_ms 5000005 for_ms 70 since_exact true run id ");
    assert_said(rig, " attempt 1 inputs 1 cancelled false active 2 oldest i oldest_ms 70 ");
    rig_do(rig, "c", MK_OP_INTERRUPT);
    waits(rig, "run since_ms 5000005 for_ms 70 ");
    assert_said(rig, " cancelled true ");
    rig_free(rig);
}

static void test_why__a_failure_is_told_with_the_time_of_the_next_attempt(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    rig_send(rig, "i", MK_PROMPT);
    pass(rig, 10);
    rig_fail(rig);
    pass(rig, 20);
    waits(rig, "backoff since_ms 5000010 for_ms 20 since_exact true until_ms 5000110 run nil ");
    assert_said(rig, " last_failure run ");
    assert_said(rig, " error executor_failed message no at_ms 5000010 ago_ms 20 will_retry true ");
    rig_tick(rig, BACKOFF_FIRST_MS);
    rig_fail(rig);
    rig_tick(rig, 2 * BACKOFF_FIRST_MS);
    rig_fail(rig);
    waits(rig, "nothing ");
    assert_said(rig, " ago_ms 0 will_retry false ");
    rig_crash(rig); /* it is durable */
    waits(rig, "nothing ");
    assert_said(rig, " error executor_failed message no ");
    rig_free(rig);
}

static void test_why__a_long_message_is_cut_between_characters(void **state)
{
    char text[3 * FAILURE_BYTES_MAX];
    (void)state;
    for (size_t at = 0; at + 3 <= sizeof text; at += 3)
        memcpy(text + at, "\xe2\x82\xac", 3);
    struct rig *rig = rig_attached();
    rig_send(rig, "i", MK_PROMPT);
    rig_finish(
        rig, (struct run_done){.end = RUN_FAILED, .cause = CAUSE_RUNTIME_APPLY, .message = span_bytes(text + 1, 200)});
    assert_int_equal(rig->session->core.failure.bytes, 119); /* two bytes that begin nothing, then whole ones */
    rig_free(rig);
}

static void test_why__inputs_wait_for_an_executor_or_a_wake(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_register(rig, "r");
    rig_send(rig, "i", MK_PROMPT);
    pass(rig, 3);
    waits(rig, "executor since_ms 5000000 for_ms 3 ");
    rig_free(rig);
    rig = rig_attached();
    struct mk_input input = rig_input("i", MK_PROMPT);
    input.wake = false;
    rig_admit(rig, input);
    waits(rig, "wake ");
    rig_do(rig, "w", MK_OP_WAKE);
    waits(rig, "run ");
    rig_free(rig);
}

static void test_why__an_unregister_and_a_stop_wait_for_the_run(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    rig_send(rig, "i", MK_PROMPT);
    rig_do(rig, "s", MK_OP_STOP);
    waits(rig, "stop since_ms ");
    rig_do(rig, "u", MK_OP_UNREGISTER);
    pass(rig, 500);
    waits(rig, "unregister since_ms 5000000 for_ms 500 since_exact true until_ms 5002000 run id ");
    rig_free(rig);
}

static void test_why__a_service_turn_is_told_with_its_end(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    struct mk_command command = rig_command("t", MK_OP_START_CONVERSATION_RUN);
    command.args.run = SPAN_LIT("turn");
    command.args.timeout_ms = 700;
    pass(rig, 1);
    rig_order(rig, command);
    pass(rig, 100);
    waits(rig, "service_turn since_ms 5000001 for_ms 100 since_exact true until_ms 5000701 run id turn attempt 0 ");
    rig_tick(rig, 600);
    waits(rig, "nothing ");
    assert_said(rig, " error deadline_passed message the service did not commit its turn in time ");
    rig_free(rig);
}

static void test_why__what_a_partition_on_its_way_holds_back_is_said(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    rig->ctx.hold_runs = true;
    rig_send(rig, "i", MK_PROMPT);
    waits(rig, "handover ");
    rig_free(rig);
}

static void test_why__after_a_take_over_the_time_is_a_lower_bound(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    pass(rig, 1);
    rig_send(rig, "i", MK_PROMPT);
    waits(rig, "run since_ms 5000001 for_ms 0 since_exact true ");
    pass(rig, 99);
    rig_crash(rig);
    pass(rig, 7);
    waits(rig, "run since_ms 5000100 for_ms 7 since_exact false ");
    rig_succeed(rig, "1");
    waits(rig, "nothing since_ms 5000107 for_ms 0 since_exact true ");
    rig_free(rig);
}

/* A query is answered with what is staged: what began in the same stage began now. */
static void test_why__what_begins_in_the_same_stage_begins_now(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    pass(rig, 8);
    struct mk_input input = rig_input("i", MK_PROMPT);
    struct mk_command command = rig_command("w", MK_OP_WHY);
    rig_give_all(rig,
                 (struct session_event[]){{.type = EV_SESSION_INPUT, .input = &input},
                                          {.type = EV_SESSION_COMMAND, .command = &command}},
                 2);
    assert_said(rig, " waits_for run since_ms 5000008 for_ms 0 since_exact true ");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why__nobody_is_not_found_and_an_idle_session_waits_for_nothing),
        cmocka_unit_test(test_why__a_run_is_waited_for_since_it_began),
        cmocka_unit_test(test_why__a_failure_is_told_with_the_time_of_the_next_attempt),
        cmocka_unit_test(test_why__a_long_message_is_cut_between_characters),
        cmocka_unit_test(test_why__inputs_wait_for_an_executor_or_a_wake),
        cmocka_unit_test(test_why__an_unregister_and_a_stop_wait_for_the_run),
        cmocka_unit_test(test_why__a_service_turn_is_told_with_its_end),
        cmocka_unit_test(test_why__what_a_partition_on_its_way_holds_back_is_said),
        cmocka_unit_test(test_why__after_a_take_over_the_time_is_a_lower_bound),
        cmocka_unit_test(test_why__what_begins_in_the_same_stage_begins_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
