/* A cancel that was answered is carried out, whatever happens to the node in between. */
#include "tests/unit/core/rig.h"

static struct rig *running(void)
{
    struct rig *rig = rig_new();
    rig_send(rig, "z", MK_PROMPT);
    rig_send(rig, "y", MK_PROMPT);
    assert_unsaid(rig, "start y");
    return rig;
}

static void test_cancel__a_run_that_was_asked_to_end_is_not_run_again_by_the_next_owner(void **state)
{
    static const enum mk_op ops[] = {MK_OP_INTERRUPT, MK_OP_CANCEL_AFTER_BOUNDARY};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = running();
        rig_do(rig, "c", ops[i]);
        assert_said(rig, "result c ok cancelled true run ");
        rig_crash(rig);
        assert_said(rig, "completion z cancelled");
        assert_unsaid(rig, "start z");
        assert_said(rig, "start y #1\n"); /* and the rest goes on */
        rig_free(rig);
    }
}

/* Also where no run may start: it needs no executor. */
static void test_cancel__it_is_carried_out_while_the_partition_is_given_away(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "c", MK_OP_INTERRUPT);
    rig->ctx.hold_runs = true;
    rig_crash(rig);
    assert_said(rig, "completion z cancelled");
    assert_unsaid(rig, "start ");
    assert_false(rig->session->core.recovery_owed);
    rig_free(rig);
}

static void test_cancel__the_next_run_is_not_touched_by_it(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "c", MK_OP_INTERRUPT);
    rig_succeed(rig, "1"); /* it reached its end before */
    assert_said(rig, "completion z completed 1");
    assert_said(rig, "start y #1\n");
    assert_false(rig->session->core.run.cancelled);
    rig_crash(rig);
    assert_said(rig, "start y #2\n");
    rig_free(rig);
}

static void test_cancel__one_that_missed_its_run_leaves_no_wish(void **state)
{
    (void)state;
    struct rig *rig = running();
    struct mk_command command = rig_command("c", MK_OP_INTERRUPT);
    command.run = SPAN_LIT("another");
    rig_order(rig, command);
    assert_said(rig, "cancelled false run another\n");
    rig_crash(rig);
    assert_said(rig, "start z #2\n");
    rig_free(rig);
}

/* An unregister cancels first; its node died before it answered. */
static void test_cancel__a_run_that_an_unregister_cancelled_is_not_run_again_either(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_unsaid(rig, "result u");
    rig_crash(rig);
    assert_said(rig, "completion z cancelled");
    rig_do(rig, "u", MK_OP_UNREGISTER); /* who has no answer repeats it */
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "result u ok retained false");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel__a_run_that_was_asked_to_end_is_not_run_again_by_the_next_owner),
        cmocka_unit_test(test_cancel__it_is_carried_out_while_the_partition_is_given_away),
        cmocka_unit_test(test_cancel__the_next_run_is_not_touched_by_it),
        cmocka_unit_test(test_cancel__one_that_missed_its_run_leaves_no_wish),
        cmocka_unit_test(test_cancel__a_run_that_an_unregister_cancelled_is_not_run_again_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
