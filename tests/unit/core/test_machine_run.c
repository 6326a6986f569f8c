/* The machine by name: what is special of admission and of runs. */
#include "tests/unit/core/machine_kit.h"

/* --- admission --- */

static void accept(enum phase phase, bool now, bool yields, bool wakes, struct machine_effects *fx)
{
    struct machine m = at(phase);
    struct machine_input in = input(IN_ACCEPT_WITH_COMPLETION);
    in.immediate = now;
    in.interrupt = yields;
    in.wake_if_idle = wakes;
    assert_true(machine_apply(&m, &in, fx));
    assert_int_equal(m.phase, phase);
}

static void test_machine__accept_with_completion_signals_by_phase_and_flags(void **state)
{
    (void)state;
    struct machine_effects fx;
    accept(PHASE_IDLE, false, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_WAKE_LOOP);
    accept(PHASE_ATTACHED, false, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_WAKE_LOOP);
    accept(PHASE_IDLE, true, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_REQUEST_IMMEDIATE_PROCESSING);
    accept(PHASE_ATTACHED, true, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_REQUEST_IMMEDIATE_PROCESSING, FX_SUBMIT_RUN_PRIMITIVE);
    accept(PHASE_RUNNING, false, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED);
    accept(PHASE_RUNNING, false, false, true, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_WAKE_LOOP);
    accept(PHASE_RUNNING, false, true, true, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_INTERRUPT_YIELDING);
    accept(PHASE_RUNNING, true, false, true, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_REQUEST_IMMEDIATE_PROCESSING);
}

static void test_machine__an_interrupting_accept_needs_a_run_and_no_haste(void **state)
{
    (void)state;
    struct machine_input in = input(IN_ACCEPT_WITH_COMPLETION);
    in.interrupt = true;
    struct machine m = at(PHASE_ATTACHED);
    assert_false(machine_apply(&m, &in, NULL));
    in.immediate = true;
    m = at(PHASE_RUNNING);
    assert_false(machine_apply(&m, &in, NULL));
}

/* --- runs --- */

static void test_machine__a_failed_run_needs_a_known_cause_and_wakes_the_loop(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_PREPARE, NULL));
    assert_false(apply(&m, IN_FAIL, NULL));
    struct machine_input in = input(IN_RUN_FAILED);
    in.cause = CAUSE_UNKNOWN;
    assert_false(machine_apply(&m, &in, NULL));
    in.machine_already_terminal = true;
    assert_false(machine_apply(&m, &in, NULL));
    in.machine_already_terminal = false;
    in.cause = CAUSE_TIME_BUDGET_EXCEEDED;
    struct machine_effects fx;
    assert_true(machine_apply(&m, &in, &fx));
    EFFECTS(&fx, FX_TURN_RUN_FAILED, FX_WAKE_LOOP);
    in.machine_already_terminal = true;
    in.cause = CAUSE_NONE;
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.cause, CAUSE_TIME_BUDGET_EXCEEDED);
    assert_true(apply(&m, IN_FAIL, &fx));
    EFFECTS(&fx, FX_RECORD_TERMINAL_OUTCOME);
    assert_int_equal(m.phase, PHASE_ATTACHED);
}

static void test_machine__a_new_run_knows_nothing_of_the_turn_before(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_input in = input(IN_RUN_FAILED);
    in.cause = CAUSE_BUDGET_EXHAUSTED;
    assert_true(apply(&m, IN_PREPARE, NULL));
    assert_true(machine_apply(&m, &in, NULL));
    assert_true(apply(&m, IN_FAIL, NULL));
    assert_true(apply(&m, IN_PREPARE, NULL));
    assert_int_equal(m.turn, TURN_IDLE);
    assert_false(m.result_run.bytes);
    assert_false(apply(&m, IN_FAIL, NULL));
    in.cause = CAUSE_RUNTIME_APPLY;
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.cause, CAUSE_RUNTIME_APPLY);
}

static void test_machine__another_run_cannot_end_the_current_one(void **state)
{
    (void)state;
    static const enum machine_input_type types[] = {IN_RUN_COMPLETED, IN_RUN_CANCELLED, IN_COMMIT, IN_ROLLBACK_RUN};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct machine m = at(PHASE_RUNNING);
        struct machine_input in = input(types[i]);
        in.run = id("r2");
        assert_false(machine_apply(&m, &in, NULL));
        in.run.bytes = 0;
        assert_false(machine_apply(&m, &in, NULL));
    }
}

static void test_machine__an_open_turn_ends_with_its_run(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_START_CONVERSATION_RUN, NULL));
    assert_false(apply(&m, IN_START_CONVERSATION_RUN, NULL));
    assert_true(apply(&m, IN_ROLLBACK_RUN, NULL));
    assert_true(apply(&m, IN_START_CONVERSATION_RUN, NULL));
    assert_true(apply(&m, IN_RUN_COMPLETED, NULL));
    assert_true(apply(&m, IN_SERVICE_TURN_COMMITTED, NULL));
    assert_int_equal(m.phase, PHASE_ATTACHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine__accept_with_completion_signals_by_phase_and_flags),
        cmocka_unit_test(test_machine__an_interrupting_accept_needs_a_run_and_no_haste),
        cmocka_unit_test(test_machine__a_failed_run_needs_a_known_cause_and_wakes_the_loop),
        cmocka_unit_test(test_machine__a_new_run_knows_nothing_of_the_turn_before),
        cmocka_unit_test(test_machine__another_run_cannot_end_the_current_one),
        cmocka_unit_test(test_machine__an_open_turn_ends_with_its_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
