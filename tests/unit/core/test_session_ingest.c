/* The control plane's door for an input: op `ingest`. */
#include "tests/unit/core/rig.h"

static void ingest_input(struct rig *rig, const char *command_id, struct mk_input input)
{
    struct mk_command command = rig_command(command_id, MK_OP_INGEST);
    command.input = input;
    rig_order(rig, command);
}

static void ingest(struct rig *rig, const char *command_id, const char *input_id)
{
    ingest_input(rig, command_id, rig_input(input_id, MK_PROMPT));
}

static void test_ingest__an_input_is_admitted_and_run_and_nobody_waits_for_it(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    ingest(rig, "c", "i");
    assert_said(rig, "result c ok outcome accepted phase queued\n");
    assert_said(rig, "start i #1\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion i completed 1\n"); /* no address behind it */
    assert_unsaid(rig, ">");
    rig_free(rig);
}

static void test_ingest__the_answer_is_the_commands_alone(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    struct mk_command command = rig_command("c", MK_OP_INGEST);
    command.input = rig_input("i", MK_PROMPT);
    session_apply(rig->session, &rig->ctx, &(struct session_event){.type = EV_SESSION_COMMAND, .command = &command});
    for (const struct answer *answer = rig->session->stage.answers; answer; answer = answer->next)
        assert_int_equal(answer->type == ANSWER_ADMISSION, answer->to.bytes == 0);
    session_undo(rig->session);
    rig_free(rig);
}

static void test_ingest__a_session_that_is_unknown_or_not_bound_refuses(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    ingest(rig, "1", "i");
    assert_said(rig, "result 1 not_found\n");
    rig_register(rig, "r");
    ingest(rig, "2", "i");
    assert_said(rig, "result 2 invalid_state idle\n");
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    ingest(rig, "3", "i");
    assert_said(rig, "result 3 ok outcome accepted");
    rig_free(rig);
}

/* D15: the source would want prepare_bindings first. */
static void test_ingest__after_a_reset_the_session_is_bound_again_at_once(void **state)
{
    static const enum mk_op ops[] = {MK_OP_RESET, MK_OP_RECYCLE};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_attached();
        rig_do(rig, "r", ops[i]);
        ingest(rig, "c", "i");
        assert_said(rig, "result c ok outcome accepted");
        rig_free(rig);
    }
}

static void test_ingest__retired_stopped_and_destroyed_sessions_refuse(void **state)
{
    static const struct {
        enum mk_op op;
        const char *said;
    } cases[] = {
        {MK_OP_RETIRE, "result c invalid_state retired\n"},
        {MK_OP_STOP, "result c invalid_state stopped\n"},
        {MK_OP_DESTROY, "result c invalid_state destroyed\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_attached();
        rig_do(rig, "o", cases[i].op);
        ingest(rig, "c", "i");
        assert_said(rig, cases[i].said);
        assert_int_equal(rig->session->core.ledger.count, 0);
        rig_free(rig);
    }
}

static void test_ingest__a_draining_session_shows_retired_and_refuses(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    rig_send(rig, "z", MK_PROMPT);
    rig_do(rig, "r", MK_OP_RETIRE);
    ingest(rig, "c", "i");
    assert_said(rig, "result c invalid_state retired\n");
    rig_free(rig);
}

static void test_ingest__without_an_input_it_is_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    rig_do(rig, "c", MK_OP_INGEST);
    assert_said(rig, "result c missing_field final\n");
    rig_free(rig);
}

static void test_ingest__a_known_input_is_deduplicated_with_what_became_of_it(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    rig_send(rig, "i", MK_PROMPT);
    ingest(rig, "1", "i");
    assert_said(rig, "result 1 ok outcome deduplicated phase staged existing i\n");
    rig_succeed(rig, "1");
    ingest(rig, "2", "i");
    assert_said(rig, "result 2 ok outcome deduplicated phase consumed existing i completion completion i completed\n");
    rig_free(rig);
}

static void test_ingest__a_rejection_is_a_result_and_is_not_remembered(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    struct mk_input input = rig_input("i", MK_PROMPT);
    input.after = SPAN_LIT("first");
    size_t commits = rig->commits;
    ingest_input(rig, "c", input);
    assert_said(rig, "result c ok outcome rejected reason not_known_yet detail ");
    assert_said(rig, " final false\n");
    assert_int_equal(rig->commits, commits);
    rig_send(rig, "first", MK_PROMPT);
    ingest_input(rig, "c", input);
    assert_said(rig, "result c ok outcome accepted phase queued\n");
    rig_free(rig);
}

static void test_ingest__it_is_validated_like_any_input(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    struct mk_input input = rig_input("i", MK_PROMPT);
    input.durability = MK_DERIVED;
    ingest_input(rig, "c", input);
    assert_said(
        rig,
        "outcome rejected reason validation_failed detail external ingress cannot submit derived inputs final true\n");
    rig_free(rig);
}

static void test_ingest__a_repeat_answers_the_first_result_and_another_input_conflicts(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    ingest(rig, "c", "i");
    rig_succeed(rig, "1");
    ingest(rig, "c", "i");
    assert_said(rig, "result c ok = result c\n");
    ingest(rig, "c", "j");
    assert_said(rig, "result c id_conflict final\n");
    struct mk_input other = rig_input("i", MK_PROMPT);
    other.body = SPAN_LIT("another");
    ingest_input(rig, "c", other);
    assert_said(rig, "result c id_conflict final\n");
    assert_int_equal(rig->session->core.ledger.count, 0);
    rig_free(rig);
}

static void test_ingest__it_survives_its_node(void **state)
{
    (void)state;
    struct rig *rig = rig_attached();
    ingest(rig, "c", "i");
    rig_crash(rig);
    assert_said(rig, "start i #2\n");
    ingest(rig, "c", "i");
    assert_said(rig, "result c ok = result c\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ingest__an_input_is_admitted_and_run_and_nobody_waits_for_it),
        cmocka_unit_test(test_ingest__the_answer_is_the_commands_alone),
        cmocka_unit_test(test_ingest__a_session_that_is_unknown_or_not_bound_refuses),
        cmocka_unit_test(test_ingest__after_a_reset_the_session_is_bound_again_at_once),
        cmocka_unit_test(test_ingest__retired_stopped_and_destroyed_sessions_refuse),
        cmocka_unit_test(test_ingest__a_draining_session_shows_retired_and_refuses),
        cmocka_unit_test(test_ingest__without_an_input_it_is_refused),
        cmocka_unit_test(test_ingest__a_known_input_is_deduplicated_with_what_became_of_it),
        cmocka_unit_test(test_ingest__a_rejection_is_a_result_and_is_not_remembered),
        cmocka_unit_test(test_ingest__it_is_validated_like_any_input),
        cmocka_unit_test(test_ingest__a_repeat_answers_the_first_result_and_another_input_conflicts),
        cmocka_unit_test(test_ingest__it_survives_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
