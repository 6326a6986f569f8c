/* The machine by name: what is special of phases, bindings, commands, unregister and recovery. */
#include "tests/unit/core/machine_kit.h"

/* --- 1.1 --- */

static void test_machine__a_session_accepts_input_by_the_phase_that_it_shows(void **state)
{
    (void)state;
    static const struct {
        enum phase phase, pre_run, visible;
        bool accepts;
    } cases[] = {
        {PHASE_INITIALIZING, 0, PHASE_INITIALIZING, false},
        {PHASE_IDLE, 0, PHASE_IDLE, true},
        {PHASE_ATTACHED, 0, PHASE_ATTACHED, true},
        {PHASE_RUNNING, PHASE_IDLE, PHASE_RUNNING, true},
        {PHASE_RUNNING, PHASE_ATTACHED, PHASE_RUNNING, true},
        {PHASE_RUNNING, PHASE_RETIRED, PHASE_RETIRED, false},
        {PHASE_RETIRED, 0, PHASE_RETIRED, false},
        {PHASE_STOPPED, 0, PHASE_STOPPED, false},
        {PHASE_DESTROYED, 0, PHASE_DESTROYED, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine m = {.phase = cases[i].phase, .pre_run = cases[i].pre_run};
        assert_int_equal(machine_visible_phase(&m), cases[i].visible);
        assert_int_equal(machine_accepts_input(&m), cases[i].accepts);
    }
}

/* 1.5, one broken invariant after the other. */
static void test_machine__every_broken_invariant_is_named(void **state)
{
    (void)state;
    struct machine m[12];
    for (size_t i = 0; i < 12; i++)
        m[i] = at(PHASE_IDLE);
    m[0].binding = (struct binding){.has_fence = true, .fence = 5};
    m[1].binding = (struct binding){.has_generation = true, .generation = 1};
    m[2].binding = (struct binding){.epoch = id("e1")};
    m[3].binding = (struct binding){.runtime = true, .has_fence = true, .fence = 5};
    m[4].phase = PHASE_RUNNING;
    m[5].current_run = id("r1"), m[5].pre_run = PHASE_IDLE;
    m[6].phase = PHASE_RETIRED, m[6].current_run = id("r1");
    m[7].pre_run = PHASE_ATTACHED;
    m[8].pre_run = PHASE_STOPPED;
    m[9].stop_deferred = true;
    m[10].draining_comms = true;
    m[11].retains_snapshot = true;
    static const char *const words[] = {"runtime id",      "runtime id",    "runtime id", "runtime id",
                                        "running without", "outside",       "began",      "began",
                                        "began",           "deferred stop", "unregister", "unregister"};
    for (size_t i = 0; i < 12; i++) {
        const char *broken = machine_broken(&m[i]);
        if (!broken || !strstr(broken, words[i]))
            fail_msg("case %zu: %s", i, broken ? broken : "not broken");
    }
    m[0] = at(PHASE_RETIRED), m[0].recovered = true;
    assert_non_null(machine_broken(&m[0]));
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        m[0] = at(phase);
        assert_null(machine_broken(&m[0]));
    }
}

/* --- bindings --- */

static void test_machine__an_exact_repeat_of_prepare_bindings_keeps_idle(void **state)
{
    (void)state;
    struct machine m = at(PHASE_IDLE);
    struct machine_effects fx;
    assert_true(apply(&m, IN_PREPARE_BINDINGS, &fx));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_int_equal(fx.count, 0);
}

static void test_machine__a_first_binding_attaches_idle_and_is_announced(void **state)
{
    (void)state;
    struct machine m = at(PHASE_IDLE);
    m.binding = (struct binding){0};
    struct machine_effects fx;
    assert_true(apply(&m, IN_PREPARE_BINDINGS, &fx));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_int_equal(m.binding.fence, 5);
    EFFECTS(&fx, FX_RUNTIME_BOUND);
}

static void test_machine__a_bound_component_cannot_be_changed_or_left_out(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_input in = input(IN_PREPARE_BINDINGS);
    in.binding.fence = 6;
    assert_false(machine_apply(&m, &in, NULL));
    in.binding = bound_at(5, 3);
    in.binding.has_generation = false;
    assert_false(machine_apply(&m, &in, NULL));
    in.binding = bound_at(5, 3);
    in.binding.epoch = id("e2");
    assert_false(machine_apply(&m, &in, NULL));
}

static void test_machine__rebind_wants_the_same_epoch_a_higher_fence_and_the_next_generation(void **state)
{
    (void)state;
    static const enum phase phases[] = {PHASE_IDLE, PHASE_ATTACHED, PHASE_RETIRED, PHASE_STOPPED};
    for (size_t i = 0; i < 4; i++) {
        struct machine m = at(phases[i]);
        struct machine_input in = input(IN_REBIND);
        struct machine_effects fx;
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(6, 3);
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(5, 4);
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(6, 5);
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(6, 4);
        in.binding.epoch = id("e2");
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(900, 4);
        assert_true(machine_apply(&m, &in, &fx));
        assert_int_equal(m.phase, phases[i]);
        assert_int_equal(m.binding.fence, 900);
        assert_int_equal(m.binding.generation, 4);
        EFFECTS(&fx, FX_RUNTIME_BOUND);
    }
}

static void test_machine__rebind_follows_reset_at_the_same_fence(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_RESET, NULL));
    struct machine_input in = input(IN_REBIND);
    in.binding = bound_at(5, 4);
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_true(m.binding.has_fence);
}

static void test_machine__a_recovered_run_is_bound_again_once_and_a_live_one_never(void **state)
{
    (void)state;
    struct machine m;
    memset(&m, 0, sizeof m);
    struct machine_input in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.phase = PHASE_RUNNING;
    in.pre_run = PHASE_RETIRED;
    assert_true(machine_apply(&m, &in, NULL));
    assert_true(m.recovered);
    in = input(IN_REBIND);
    in.binding = bound_at(6, 4);
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.phase, PHASE_RUNNING);
    in.binding = bound_at(7, 5);
    assert_false(machine_apply(&m, &in, NULL));
}

/* --- commands --- */

static void test_machine__reset_takes_the_fence_only(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RETIRED);
    m.silent_intents = true;
    struct machine_effects fx;
    assert_true(apply(&m, IN_RESET, &fx));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_false(m.binding.has_fence);
    assert_false(m.silent_intents);
    assert_true(m.binding.runtime && m.binding.has_generation);
    assert_span_equal(id_span(&m.binding.epoch), "e1");
    EFFECTS(&fx, FX_NOTICE_RESET);
}

static void test_machine__ingest_needs_the_whole_binding_with_its_fence(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_input in = input(IN_INGEST);
    assert_true(machine_apply(&m, &in, NULL));
    assert_true(apply(&m, IN_RESET, NULL));
    assert_false(machine_apply(&m, &in, NULL));
    in.binding = without_fence(in.binding);
    assert_false(machine_apply(&m, &in, NULL));
}

static void test_machine__recycle_takes_all_of_the_binding_and_keeps_attached(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_effects fx;
    assert_true(apply(&m, IN_RECYCLE, &fx));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_false(m.binding.runtime || m.binding.has_fence || m.binding.has_generation || m.binding.epoch.bytes);
    EFFECTS(&fx, FX_INITIATE_RECYCLE);
    m = at(PHASE_RETIRED);
    assert_true(apply(&m, IN_RECYCLE, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_false(m.binding.runtime);
}

static void test_machine__retire_during_a_run_keeps_it_and_ends_in_retired(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RUNNING);
    struct machine_effects fx;
    assert_true(apply(&m, IN_RETIRE, &fx));
    EFFECTS(&fx, FX_RUNTIME_RETIRED);
    assert_int_equal(m.phase, PHASE_RUNNING);
    assert_int_equal(machine_visible_phase(&m), PHASE_RETIRED);
    assert_span_equal(id_span(&m.current_run), "r1");
    assert_true(apply(&m, IN_RUN_COMPLETED, NULL));
    assert_span_equal(id_span(&m.result_run), "r1");
    assert_true(apply(&m, IN_COMMIT, NULL));
    assert_int_equal(m.phase, PHASE_RETIRED);
    assert_true(apply(&m, IN_DRAIN_QUEUED_RUN, NULL));
    assert_int_equal(machine_visible_phase(&m), PHASE_RETIRED);
    assert_true(apply(&m, IN_ROLLBACK_RUN, NULL));
    assert_int_equal(m.phase, PHASE_RETIRED);
}

static void test_machine__retire_is_announced_only_when_bound_with_a_fence(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    m.binding = without_fence(m.binding);
    struct machine_effects fx;
    assert_true(apply(&m, IN_RETIRE, &fx));
    assert_int_equal(m.phase, PHASE_RETIRED);
    assert_int_equal(fx.count, 0);
}

static void test_machine__stop_from_attached_waits_for_the_executor(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, &fx));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_true(m.stop_deferred);
    EFFECTS(&fx, FX_NOTICE_STOP, FX_FACT_STOP_RUNTIME_EXECUTOR);
    assert_true(apply(&m, IN_RUNTIME_EXECUTOR_EXITED, &fx));
    assert_int_equal(m.phase, PHASE_STOPPED);
    assert_false(m.stop_deferred);
    EFFECTS(&fx, FX_NOTICE_EXIT);
}

static void test_machine__attaching_again_takes_a_deferred_stop_back(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    assert_false(m.stop_deferred);
    assert_int_equal(m.registration, REGISTRATION_ACTIVE);
}

static void stop_during_a_run_over(enum phase pre_run, enum phase end)
{
    struct machine m = running_over(pre_run);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(m.stop_deferred);
    assert_true(apply(&m, IN_RUN_COMPLETED, NULL));
    assert_true(apply(&m, IN_COMMIT, &fx));
    assert_int_equal(m.phase, pre_run);
    assert_int_equal(m.stop_deferred, pre_run == PHASE_ATTACHED);
    assert_int_equal(machine_has_effect(&fx, FX_FACT_STOP_RUNTIME_EXECUTOR), pre_run != PHASE_ATTACHED);
    assert_true(apply(&m, IN_RUNTIME_EXECUTOR_EXITED, NULL));
    assert_int_equal(m.phase, end);
    assert_false(m.stop_deferred);
}

static void test_machine__a_stop_deferred_behind_a_run_completes(void **state)
{
    (void)state;
    stop_during_a_run_over(PHASE_IDLE, PHASE_STOPPED);
    stop_during_a_run_over(PHASE_ATTACHED, PHASE_STOPPED);
    stop_during_a_run_over(PHASE_RETIRED, PHASE_RETIRED);
}

static void test_machine__retire_does_not_forget_a_stop_that_waits_for_the_run(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RUNNING);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(apply(&m, IN_RETIRE, NULL));
    assert_true(apply(&m, IN_ROLLBACK_RUN, &fx));
    assert_int_equal(m.phase, PHASE_RETIRED);
    EFFECTS(&fx, FX_FACT_STOP_RUNTIME_EXECUTOR);
}

static void test_machine__only_revive_unregister_and_destroy_leave_stopped(void **state)
{
    (void)state;
    struct machine m = at(PHASE_STOPPED);
    assert_true(apply(&m, IN_REGISTER_SESSION, NULL));
    assert_int_equal(m.phase, PHASE_STOPPED);
    assert_true(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    assert_int_equal(m.registration, REGISTRATION_QUEUING);
    assert_true(apply(&m, IN_REVIVE, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_true(m.registered);
    assert_int_equal(m.binding.generation, 3);
}

static void test_machine__destroy_ends_everything(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RUNNING);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_true(apply(&m, IN_DESTROY, &fx));
    EFFECTS(&fx, FX_RUNTIME_DESTROYED);
    assert_int_equal(m.registration, REGISTRATION_QUEUING);
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        assert_false(apply(&m, type, NULL));
}

/* --- unregister --- */

static void report_all(struct machine *m)
{
    assert_false(apply(m, IN_UNREGISTER_SESSION, NULL));
    assert_true(apply(m, IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER, NULL));
    assert_false(apply(m, IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER, NULL));
    assert_true(apply(m, IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER, NULL));
    assert_false(apply(m, IN_UNREGISTER_SESSION, NULL));
    assert_true(apply(m, IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER, NULL));
}

static void test_machine__unregister_waits_for_three_reports_and_forgets_all(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_effects fx;
    m.stop_deferred = true;
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, &fx));
    EFFECTS(&fx, FX_REQUEST_RUNTIME_LOOP_STOP_FOR_UNREGISTER, FX_REQUEST_COMMS_DRAIN_EXIT_FOR_UNREGISTER,
            FX_REQUEST_COMPLETION_WAITER_RESOLUTION_FOR_UNREGISTER);
    assert_false(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_false(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    report_all(&m);
    assert_true(apply(&m, IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY, &fx));
    EFFECTS(&fx, FX_DELETE_SNAPSHOT);
    assert_true(apply(&m, IN_UNREGISTER_SESSION, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_false(m.registered || m.binding.runtime || m.stop_deferred);
    assert_int_equal(m.registration, REGISTRATION_QUEUING);
}

static void test_machine__a_draining_run_counts_as_retired_when_unregistered(void **state)
{
    (void)state;
    struct machine m = running_over(PHASE_RETIRED);
    struct machine_effects fx;
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_true(apply(&m, IN_COMMIT, NULL));
    report_all(&m);
    assert_true(apply(&m, IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY, &fx));
    EFFECTS(&fx, FX_RETAIN_SNAPSHOT);
}

static void test_machine__an_executor_exit_keeps_draining(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_true(apply(&m, IN_RUNTIME_EXECUTOR_EXITED, NULL));
    assert_int_equal(m.phase, PHASE_STOPPED);
    assert_int_equal(m.registration, REGISTRATION_DRAINING);
}

/* --- recovery --- */

static void test_machine__recovery_restores_attached_with_its_registration_and_its_stop(void **state)
{
    (void)state;
    struct machine m;
    memset(&m, 0, sizeof m);
    struct machine_input in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.run.bytes = 0;
    in.phase = PHASE_ATTACHED;
    in.active = in.stop_deferred = true;
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_int_equal(m.registration, REGISTRATION_ACTIVE);
    assert_true(m.registered && m.stop_deferred && !m.recovered);
    assert_int_equal(m.binding.fence, 5);
}

static void test_machine__recovery_refuses_what_would_break_an_invariant(void **state)
{
    (void)state;
    struct machine m;
    memset(&m, 0, sizeof m);
    struct machine_input in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.phase = PHASE_IDLE;
    in.pre_run = PHASE_ATTACHED;
    assert_false(machine_apply(&m, &in, NULL)); /* a run in Idle */
    in.phase = PHASE_RUNNING;
    in.pre_run = PHASE_STOPPED;
    assert_false(machine_apply(&m, &in, NULL)); /* no run begins in Stopped */
    in.pre_run = PHASE_ATTACHED;
    in.run.bytes = 0;
    assert_false(machine_apply(&m, &in, NULL)); /* Running without a run */
    in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.run.bytes = 0;
    in.phase = PHASE_RETIRED;
    in.stop_deferred = true;
    assert_false(machine_apply(&m, &in, NULL)); /* a stop deferred in Retired */
    in.stop_deferred = false;
    in.binding = (struct binding){.has_fence = true, .fence = 5};
    assert_false(machine_apply(&m, &in, NULL)); /* a fence without a runtime */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine__a_session_accepts_input_by_the_phase_that_it_shows),
        cmocka_unit_test(test_machine__every_broken_invariant_is_named),
        cmocka_unit_test(test_machine__an_exact_repeat_of_prepare_bindings_keeps_idle),
        cmocka_unit_test(test_machine__a_first_binding_attaches_idle_and_is_announced),
        cmocka_unit_test(test_machine__a_bound_component_cannot_be_changed_or_left_out),
        cmocka_unit_test(test_machine__rebind_wants_the_same_epoch_a_higher_fence_and_the_next_generation),
        cmocka_unit_test(test_machine__rebind_follows_reset_at_the_same_fence),
        cmocka_unit_test(test_machine__a_recovered_run_is_bound_again_once_and_a_live_one_never),
        cmocka_unit_test(test_machine__reset_takes_the_fence_only),
        cmocka_unit_test(test_machine__ingest_needs_the_whole_binding_with_its_fence),
        cmocka_unit_test(test_machine__recycle_takes_all_of_the_binding_and_keeps_attached),
        cmocka_unit_test(test_machine__retire_during_a_run_keeps_it_and_ends_in_retired),
        cmocka_unit_test(test_machine__retire_is_announced_only_when_bound_with_a_fence),
        cmocka_unit_test(test_machine__stop_from_attached_waits_for_the_executor),
        cmocka_unit_test(test_machine__attaching_again_takes_a_deferred_stop_back),
        cmocka_unit_test(test_machine__a_stop_deferred_behind_a_run_completes),
        cmocka_unit_test(test_machine__retire_does_not_forget_a_stop_that_waits_for_the_run),
        cmocka_unit_test(test_machine__only_revive_unregister_and_destroy_leave_stopped),
        cmocka_unit_test(test_machine__destroy_ends_everything),
        cmocka_unit_test(test_machine__unregister_waits_for_three_reports_and_forgets_all),
        cmocka_unit_test(test_machine__a_draining_run_counts_as_retired_when_unregistered),
        cmocka_unit_test(test_machine__an_executor_exit_keeps_draining),
        cmocka_unit_test(test_machine__recovery_restores_attached_with_its_registration_and_its_stop),
        cmocka_unit_test(test_machine__recovery_refuses_what_would_break_an_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
