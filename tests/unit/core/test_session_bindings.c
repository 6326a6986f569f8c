/* Registration, prepare_bindings and epochs (semantics-core.md 2, D4, D15): who gives them, how long they last. */
#include "tests/unit/core/rig.h"

static const struct binding *binding_of(const struct rig *rig)
{
    return &rig->session->core.machine.binding;
}

/* Bound by prepare_bindings alone, which registers it. */
static struct rig *bound(void)
{
    struct rig *rig = rig_new();
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    assert_said(rig, "result b ok fence 100 generation 1 epoch ");
    assert_said(rig, " phase attached\n");
    return rig;
}

static void assert_epoch(const struct rig *rig, const struct mk_id *epoch)
{
    assert_true(binding_of(rig)->epoch.bytes > 0);
    assert_string_equal(binding_of(rig)->epoch.text, epoch->text);
}

static void test_bindings__a_first_binding_registers_attaches_the_phase_and_is_announced(void **state)
{
    (void)state;
    struct rig *rig = bound();
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 100 generation 1 epoch ");
    assert_int_equal(rig->session->core.machine.registration, REGISTRATION_QUEUING); /* no executor came */
    assert_false(rig->session->core.attached);
    rig_free(rig);
}

static void test_bindings__a_repeat_answers_the_same_and_says_nothing(void **state)
{
    (void)state;
    struct rig *rig = bound();
    struct binding before = *binding_of(rig);
    rig_do(rig, "b2", MK_OP_PREPARE_BINDINGS);
    char wanted[160];
    snprintf(wanted, sizeof wanted, "result b2 ok fence 100 generation 1 epoch %s phase attached\n", before.epoch.text);
    assert_string_equal(rig->log, wanted);
    assert_int_equal(binding_of(rig)->generation, before.generation);
    rig_free(rig);
}

static void test_bindings__registering_again_changes_nothing(void **state)
{
    (void)state;
    struct rig *rig = bound();
    struct machine before = rig->session->core.machine;
    rig_register(rig, "g");
    assert_string_equal(rig->log, "result g ok phase attached\n");
    assert_true(machine_equal(&before, &rig->session->core.machine));
    rig_free(rig);
}

static void test_bindings__without_auto_register_a_registered_session_is_idle_and_unbound(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_register(rig, "g");
    assert_string_equal(rig->log, "result g ok phase idle\n");
    assert_false(binding_of(rig)->runtime);
    rig_free(rig);
}

/* D4: before its first run is over, and though no operation was ever begun. */
static void test_bindings__an_epoch_is_durable_when_it_is_minted(void **state)
{
    (void)state;
    struct rig *rig = bound();
    struct mk_id epoch = binding_of(rig)->epoch;
    assert_string_equal(rig->head.binding.epoch.text, epoch.text);
    rig_crash(rig);
    assert_epoch(rig, &epoch);
    rig_do(rig, "b2", MK_OP_PREPARE_BINDINGS); /* and fits what is bound */
    assert_said(rig, "result b2 ok fence 101 generation 2 epoch ");
    rig_free(rig);
}

static void test_bindings__an_epoch_outlives_reset_recycle_retire_recover_stop_and_take_over(void **state)
{
    (void)state;
    static const enum mk_op ops[] = {MK_OP_RECOVER, MK_OP_RECYCLE, MK_OP_RESET,   MK_OP_RETIRE,
                                     MK_OP_RESET,   MK_OP_STOP,    MK_OP_REGISTER};
    struct rig *rig = rig_new();
    rig_do(rig, "g", MK_OP_REGISTER);
    struct mk_id epoch = binding_of(rig)->epoch;
    uint64_t generation = binding_of(rig)->generation;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        char id[16];
        snprintf(id, sizeof id, "c%zu", i);
        rig_do(rig, id, ops[i]);
        assert_said(rig, " ok");
        assert_epoch(rig, &epoch);
        rig_crash(rig);
        assert_epoch(rig, &epoch);
        assert_true(binding_of(rig)->generation > generation);
        generation = binding_of(rig)->generation;
    }
    rig_free(rig);
}

/* D15: at once after Reset and Recycle, so that the session is never without a fence. */
static void test_bindings__reset_and_recycle_are_bound_again_in_the_same_commit(void **state)
{
    (void)state;
    static const enum mk_op ops[] = {MK_OP_RESET, MK_OP_RECYCLE};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "g", MK_OP_REGISTER);
        size_t commits = rig->commits;
        rig_do(rig, "r", ops[i]);
        assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 100 generation 2 epoch ");
        assert_int_equal(rig->commits, commits + 1);
        assert_true(binding_of(rig)->runtime && binding_of(rig)->has_fence);
        rig_free(rig);
    }
}

static void test_bindings__an_unregister_that_deletes_ends_the_epoch(void **state)
{
    (void)state;
    struct rig *rig = bound();
    struct mk_id epoch = binding_of(rig)->epoch;
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_said(rig, "result u ok retained false");
    assert_false(binding_of(rig)->runtime);
    rig_do(rig, "b2", MK_OP_PREPARE_BINDINGS);
    assert_true(binding_of(rig)->epoch.bytes > 0);
    assert_string_not_equal(binding_of(rig)->epoch.text, epoch.text);
    rig_free(rig);
}

static void test_bindings__an_unregister_that_retains_keeps_the_epoch(void **state)
{
    (void)state;
    static const enum mk_op ends[] = {MK_OP_RETIRE, MK_OP_STOP};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "g", MK_OP_REGISTER);
        struct mk_id epoch = binding_of(rig)->epoch;
        rig_do(rig, "e", ends[i]);
        rig_do(rig, "u", MK_OP_UNREGISTER);
        assert_said(rig, "result u ok retained true");
        rig_crash(rig);
        rig_do(rig, "g2", MK_OP_REGISTER);
        assert_said(rig, " ok");
        assert_epoch(rig, &epoch);
        rig_free(rig);
    }
}

static void test_bindings__a_destroyed_session_gives_none(void **state)
{
    (void)state;
    struct rig *rig = bound();
    rig_do(rig, "d", MK_OP_DESTROY);
    rig_do(rig, "b2", MK_OP_PREPARE_BINDINGS);
    assert_string_equal(rig->log, "result b2 destroyed final\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bindings__a_first_binding_registers_attaches_the_phase_and_is_announced),
        cmocka_unit_test(test_bindings__a_repeat_answers_the_same_and_says_nothing),
        cmocka_unit_test(test_bindings__registering_again_changes_nothing),
        cmocka_unit_test(test_bindings__without_auto_register_a_registered_session_is_idle_and_unbound),
        cmocka_unit_test(test_bindings__an_epoch_is_durable_when_it_is_minted),
        cmocka_unit_test(test_bindings__an_epoch_outlives_reset_recycle_retire_recover_stop_and_take_over),
        cmocka_unit_test(test_bindings__reset_and_recycle_are_bound_again_in_the_same_commit),
        cmocka_unit_test(test_bindings__an_unregister_that_deletes_ends_the_epoch),
        cmocka_unit_test(test_bindings__an_unregister_that_retains_keeps_the_epoch),
        cmocka_unit_test(test_bindings__a_destroyed_session_gives_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
