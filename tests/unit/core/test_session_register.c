/* Being there, getting an executor, and leaving: what sections 3 and 4 of semantics-core.md say besides the table of
 * preconditions. */
#include "tests/unit/core/rig.h"

static void attach(struct rig *rig, const char *id, const char *executor)
{
    struct mk_command command = rig_command(id, MK_OP_ATTACH);
    command.args.executor = span_of(executor);
    rig_order(rig, command);
}

static const char *epoch_of(const struct rig *rig)
{
    return rig->session->core.machine.binding.epoch.text;
}

static void test_attach__a_second_executor_is_discarded(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    attach(rig, "1", "first");
    attach(rig, "2", "second");
    assert_said(rig, "result 2 ok executor first phase attached\n");
    rig_free(rig);
}

static void test_attach__one_that_is_refused_leaves_no_session_behind(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    attach(rig, "1", "nobody");
    assert_said(rig, "result 1 unknown_executor\n");
    rig_do(rig, "2", MK_OP_CONTAINS_SESSION);
    assert_said(rig, "result 2 ok contains false\n");
    assert_int_equal(rig->commits, 0);
    rig_free(rig);
}

/* Upgraded in place: what was queued runs now, for the same waiter, under the same epoch. */
static void test_attach__queued_inputs_waiters_and_the_epoch_survive_it(void **state)
{
    char epoch[sizeof(struct mk_id)];
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_do(rig, "r", MK_OP_REGISTER);
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    snprintf(epoch, sizeof epoch, "%s", epoch_of(rig));
    rig_send(rig, "i", MK_PROMPT);
    assert_unsaid(rig, "start");
    attach(rig, "a", "counter");
    assert_said(rig, "start i #1\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion i completed 1 >c1\n");
    assert_string_equal(epoch_of(rig), epoch);
    rig_free(rig);
}

static void test_attach__it_binds_only_where_inputs_make_sessions_too(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    attach(rig, "1", "");
    assert_true(rig->session->core.machine.binding.has_fence);
    rig_free(rig);
    rig = rig_new();
    rig->ctx.auto_register = false;
    attach(rig, "1", "");
    assert_said(rig, "result 1 ok executor nil phase attached\n");
    assert_false(rig->session->core.machine.binding.has_fence);
    rig_free(rig);
}

static void test_attach__nobody_gets_a_session_that_is_leaving(void **state)
{
    static const enum mk_op ops[] = {MK_OP_ATTACH, MK_OP_REGISTER, MK_OP_PREPARE_BINDINGS};
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "i", MK_PROMPT);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    for (size_t i = 0; i < 3; i++) {
        rig_do(rig, "a", ops[i]);
        assert_said(rig, "result a not_ready running\n");
    }
    rig_free(rig);
}

static void test_unregister__afterwards_the_session_is_unknown_to_all(void **state)
{
    static const struct {
        enum mk_op op;
        const char *said;
    } cases[] = {
        {MK_OP_CONTAINS_SESSION, "result c ok contains false\n"},
        {MK_OP_SESSION_HAS_EXECUTOR, "result c ok has_executor false\n"},
        {MK_OP_STATE, "result c not_found\n"},
        {MK_OP_RETIRE, "result c not_found\n"},
        {MK_OP_STOP, "result c not_ready destroyed\n"},
        {MK_OP_LIST_ACTIVE_INPUTS, "result c not_ready destroyed\n"},
        {MK_OP_UNREGISTER, "result c ok\n"},
    };
    static const enum mk_op before[] = {MK_OP_WAKE, MK_OP_RETIRE, MK_OP_STOP}; /* deleted, retained, retained */
    (void)state;
    for (size_t b = 0; b < 3; b++) {
        struct rig *rig = rig_new();
        rig->ctx.auto_register = false;
        attach(rig, "a", "");
        rig_do(rig, "b", before[b]);
        rig_do(rig, "u", MK_OP_UNREGISTER);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            rig_do(rig, "c", cases[i].op);
            assert_said(rig, cases[i].said);
        }
        rig_crash(rig); /* and to the next owner */
        rig_do(rig, "c", MK_OP_CONTAINS_SESSION);
        assert_said(rig, "result c ok contains false\n");
        rig_free(rig);
    }
}

static void test_unregister__a_deleted_record_begins_a_new_epoch_and_a_retained_one_keeps_its_own(void **state)
{
    (void)state;
    for (int retained = 0; retained < 2; retained++) {
        char epoch[sizeof(struct mk_id)];
        struct rig *rig = rig_new();
        attach(rig, "a", "");
        snprintf(epoch, sizeof epoch, "%s", epoch_of(rig));
        if (retained)
            rig_do(rig, "s", MK_OP_STOP);
        rig_do(rig, "u", MK_OP_UNREGISTER);
        rig_do(rig, "r", MK_OP_REGISTER);
        assert_int_equal(!strcmp(epoch_of(rig), epoch), retained);
        rig_free(rig);
    }
}

/* Decided when it begins: the machine of a draining session is Running, and counts as Retired (D2). */
static void test_unregister__a_draining_session_keeps_its_record(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "i", MK_PROMPT);
    rig_do(rig, "t", MK_OP_RETIRE);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "result u ok retained true");
    rig_do(rig, "r", MK_OP_REGISTER);
    assert_said(rig, "result r ok phase retired\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach__a_second_executor_is_discarded),
        cmocka_unit_test(test_attach__one_that_is_refused_leaves_no_session_behind),
        cmocka_unit_test(test_attach__queued_inputs_waiters_and_the_epoch_survive_it),
        cmocka_unit_test(test_attach__it_binds_only_where_inputs_make_sessions_too),
        cmocka_unit_test(test_attach__nobody_gets_a_session_that_is_leaving),
        cmocka_unit_test(test_unregister__afterwards_the_session_is_unknown_to_all),
        cmocka_unit_test(test_unregister__a_deleted_record_begins_a_new_epoch_and_a_retained_one_keeps_its_own),
        cmocka_unit_test(test_unregister__a_draining_session_keeps_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
