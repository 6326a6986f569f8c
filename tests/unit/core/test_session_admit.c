#include "tests/unit/core/rig.h"

#define UUID "33333333-3333-4333-8333-333333333333"

static struct mk_input terminal(void)
{
    struct mk_input input = rig_input("a", MK_PEER_RESPONSE_TERMINAL);
    input.origin = MK_PEER;
    input.peer_id = SPAN_LIT(UUID);
    input.peer_name = SPAN_LIT("peer");
    input.request_id = SPAN_LIT(UUID);
    input.status = MK_STATUS_COMPLETED;
    return input;
}

static void assert_refused(struct mk_input input)
{
    struct rig *rig = rig_new();
    rig_admit(rig, input);
    assert_said(rig, "admission a rejected validation_failed final\n");
    assert_int_equal(rig->commits, 0); /* and creates no session (rule 9) */
    rig_free(rig);
}

static void assert_taken(struct mk_input input)
{
    struct rig *rig = rig_new();
    rig_admit(rig, input);
    assert_said(rig, "admission a accepted queued\n");
    rig_free(rig);
}

static void test_admit__every_kind_and_origin_of_a_derived_input(void **state)
{
    (void)state;
    for (int kind = 0; kind < MK_KIND_COUNT; kind++) {
        for (int origin = 0; origin < MK_ORIGIN_COUNT; origin++) {
            struct mk_input input = rig_input("a", (enum mk_kind)kind);
            input.origin = (enum mk_origin)origin;
            input.durability = MK_DERIVED;
            bool inside = origin == MK_FLOW || origin == MK_SYSTEM;
            bool may = kind == MK_PEER_RESPONSE_PROGRESS || kind == MK_EXTERNAL_EVENT || kind == MK_CONTINUATION;
            if (kind == MK_OPERATION && inside)
                continue;
            if (inside && may)
                assert_taken(input);
            else
                assert_refused(input);
        }
    }
}

static void test_admit__what_breaks_a_rule_by_itself_is_refused_for_good(void **state)
{
    (void)state;
    struct mk_input input = rig_input("a", MK_PROMPT);
    input.durability = MK_DURABILITY_MISSING;
    assert_refused(input);
    input = rig_input("a", MK_PEER_RESPONSE_PROGRESS);
    input.handling = MK_HANDLING_STEER;
    assert_refused(input);
    assert_taken(terminal());
    input = terminal();
    input.peer_id = SPAN_LIT("bob");
    assert_refused(input);
    input = terminal();
    input.peer_name = (struct span){NULL, 0};
    assert_refused(input);
    input = terminal();
    input.request_id = SPAN_LIT("33333333-3333-4333-8333-33333333333x");
    assert_refused(input);
    input = terminal();
    input.status = MK_STATUS_CANCELLED;
    assert_refused(input);
    input.origin = MK_OPERATOR; /* checked for peers only */
    assert_taken(input);
}

static void test_admit__an_unknown_executor_or_predecessor_is_refused_for_now(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("b", MK_PROMPT);
    input.executor = SPAN_LIT("nobody");
    rig_admit(rig, input);
    assert_said(rig, "admission b rejected unknown_executor\n");
    input.executor = (struct span){NULL, 0};
    input.after = SPAN_LIT("a");
    rig_admit(rig, input);
    assert_said(rig, "admission b rejected not_known_yet\n");
    assert_int_equal(rig->wants, 2); /* b itself, before it was refused; and a */
    rig_send(rig, "a", MK_PROMPT);
    rig_admit(rig, input);
    assert_said(rig, "admission b accepted queued\n");
    rig_succeed(rig, "1");
    input.h.id = SPAN_LIT("c"); /* after one that has ended */
    rig_admit(rig, input);
    assert_said(rig, "admission c accepted queued\n");
    rig_free(rig);
}

static void test_admit__without_auto_register_a_session_must_be_registered(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a rejected not_ready destroyed\n");
    rig_register(rig, "r");
    assert_said(rig, "result r ok phase idle\n");
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a accepted queued\n");
    assert_unsaid(rig, "start"); /* no executor yet */
    rig_do(rig, "x", MK_OP_ATTACH);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_admit__a_repeat_of_an_active_input_joins_it(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input again = rig_input("a", MK_PROMPT);
    rig_send(rig, "a", MK_PROMPT);
    again.reply_to = SPAN_LIT("c2");
    rig_admit(rig, again);
    assert_said(rig, "admission a deduplicated of a staged\n");
    rig_admit(rig, again);
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1 >c1 >c2\n");
    rig_free(rig);
}

static void test_admit__a_repeat_of_an_ended_input_is_answered_with_its_completion(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_succeed(rig, "1");
    rig_send(rig, "a", MK_PROMPT); /* learned from the skipped section */
    assert_int_equal(rig->skips, 1);
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    assert_unsaid(rig, "start");
    rig_crash(rig);
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    rig_free(rig);
}

static void test_admit__the_same_id_with_another_body_is_a_conflict(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input other = rig_input("a", MK_PROMPT);
    other.body = SPAN_LIT("other");
    rig_send(rig, "a", MK_PROMPT);
    rig_admit(rig, other);
    assert_said(rig, "admission a rejected id_conflict final\n");
    rig_succeed(rig, "1");
    rig_admit(rig, other);
    assert_said(rig, "admission a rejected id_conflict final\n");
    rig_free(rig);
}

static void test_admit__a_key_is_admitted_once_active_or_ended(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("a", MK_PROMPT);
    input.idem = SPAN_LIT("k");
    rig_admit(rig, input);
    input.h.id = SPAN_LIT("b");
    input.reply_to = SPAN_LIT("c2");
    rig_admit(rig, input);
    assert_said(rig, "admission b deduplicated of a staged\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1 >c1 >c2\n");
    input.h.id = SPAN_LIT("c");
    rig_admit(rig, input);
    assert_said(rig, "admission c deduplicated of a consumed [completion a completed]\n");
    assert_int_equal(rig->wants, 1); /* the key came with the skipped section, its input was asked for */
    rig_free(rig);
}

static void test_admit__a_repeat_within_one_stage_is_known_too(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input a = rig_input("a", MK_PROMPT), b = rig_input("b", MK_OPERATION), again = b;
    again.reply_to = SPAN_LIT("c2");
    struct session_event events[] = {{.type = EV_SESSION_INPUT, .input = &a},
                                     {.type = EV_SESSION_INPUT, .input = &b},
                                     {.type = EV_SESSION_INPUT, .input = &again}};
    rig_give_all(rig, events, 3);
    assert_int_equal(rig->commits, 1);
    assert_said(rig, "admission b accepted consumed\n");
    assert_said(rig, "admission b deduplicated of b consumed\n");
    assert_said(rig, "completion b completed_without_result >c1 >c2\n");
    rig_free(rig);
}

static void test_admit__an_ephemeral_input_leaves_no_row_and_no_fact(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    struct mk_input input = rig_input("b", MK_PROMPT);
    input.durability = MK_EPHEMERAL;
    size_t commits = rig->commits;
    rig_admit(rig, input);
    assert_said(rig, "admission b accepted queued\n");
    assert_int_equal(rig->commits, commits);
    assert_null(rig_fact(rig, FACT_INPUT, SPAN_LIT("b")));
    rig_succeed(rig, "1");
    assert_said(rig, "start b #1\n");
    rig_crash(rig); /* it died with its node; the run has nothing left */
    assert_unsaid(rig, "start");
    assert_string_equal(rig_phase(rig), "attached");
    rig_free(rig);
}

static void test_admit__an_ephemeral_input_is_known_while_its_owner_lasts(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("a", MK_PROMPT);
    input.durability = MK_EPHEMERAL;
    input.idem = SPAN_LIT("key");
    rig_admit(rig, input);
    rig_succeed(rig, "1");
    rig_admit(rig, input); /* once more, when it is over */
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    input.h.id = SPAN_LIT("b"); /* another id with its key */
    rig_admit(rig, input);
    assert_said(rig, "admission b deduplicated of a consumed");
    assert_unsaid(rig, "start");
    rig_crash(rig); /* beyond it nothing is promised of it: it is as new */
    input.h.id = SPAN_LIT("a");
    rig_admit(rig, input);
    assert_said(rig, "admission a accepted");
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_admit__the_newer_progress_replaces_the_queued_one(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "p", MK_PROMPT);
    struct mk_input input = rig_input("a", MK_PEER_RESPONSE_PROGRESS);
    input.supersede = SPAN_LIT("job");
    rig_admit(rig, input);
    input.h.id = SPAN_LIT("b");
    rig_admit(rig, input);
    assert_said(rig, "completion a coalesced in b >c1\n");
    input.h.id = SPAN_LIT("c");
    input.supersede = SPAN_LIT("other");
    rig_admit(rig, input);
    assert_unsaid(rig, "coalesced");
    rig_succeed(rig, "1");
    assert_said(rig, "start b c #1\n");
    rig_free(rig);
}

static void test_admit__a_retry_from_before_the_horizon_is_too_late_unless_it_is_known(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_succeed(rig, "1");
    rig_give(rig, (struct session_event){.type = EV_SESSION_TRIM, .trim = &(struct session_trim){.up_to_ms = 4000}});
    struct mk_input old = rig_input("b", MK_PROMPT);
    old.born = 3999;
    rig_admit(rig, old);
    assert_said(rig, "admission b rejected too_late final\n");
    old.h.id = SPAN_LIT("a");
    rig_admit(rig, old);
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    old.h.id = SPAN_LIT("c");
    old.born = 4000;
    rig_admit(rig, old);
    assert_said(rig, "admission c accepted queued\n");
    rig_free(rig);
}

static void test_admit__a_full_session_is_overloaded(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("first", MK_PROMPT);
    input.durability = MK_EPHEMERAL;
    char id[16];
    rig_admit(rig, input);
    for (int i = 1; i < ACTIVE_INPUTS_MAX; i++) {
        snprintf(id, sizeof id, "i%d", i);
        input.h.id = span_of(id);
        rig_admit(rig, input);
    }
    input.h.id = SPAN_LIT("more");
    rig_admit(rig, input);
    assert_said(rig, "admission more rejected overloaded\n");
    rig_free(rig);
}

static void test_admit__a_destroyed_session_refuses_for_good_but_knows_what_it_did(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_succeed(rig, "1");
    rig_do(rig, "d", MK_OP_DESTROY);
    rig_send(rig, "b", MK_PROMPT);
    assert_said(rig, "admission b rejected destroyed final\n");
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    rig_free(rig);
}

static void test_admit__retired_and_stopped_sessions_are_not_ready(void **state)
{
    (void)state;
    static const struct {
        enum mk_op op;
        const char *said;
    } cases[] = {
        {MK_OP_RETIRE, "admission a rejected not_ready retired\n"},
        {MK_OP_STOP, "admission a rejected not_ready stopped\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "x", MK_OP_ATTACH);
        rig_do(rig, "o", cases[i].op);
        rig_send(rig, "a", MK_PROMPT);
        assert_said(rig, cases[i].said);
        rig_free(rig);
    }
}

static void test_admit__a_silenced_request_is_queued_like_any_other(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    struct mk_command command = rig_command("s", MK_OP_SILENT_INTENTS);
    command.args.intents[0] = SPAN_LIT("hush");
    command.args.intent_count = 1;
    rig_order(rig, command);
    struct mk_input input = rig_input("a", MK_PEER_REQUEST);
    input.intent = SPAN_LIT("hush");
    rig_admit(rig, input);
    assert_said(rig, "start a #1\n"); /* an idle session wakes for every input */
    input.h.id = SPAN_LIT("b");
    input.handling = MK_HANDLING_STEER;
    rig_admit(rig, input);
    assert_int_equal(ledger_by_id(&rig->session->core.ledger, SPAN_LIT("b"))->policy.boundary, MK_RUN_START);
    rig_free(rig);
}

static void test_admit__a_repeat_to_a_retired_session_is_answered_with_its_completion(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_succeed(rig, "1");
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a deduplicated");
    rig_send(rig, "b", MK_PROMPT);
    assert_said(rig, "admission b rejected not_ready retired\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admit__a_repeat_to_a_retired_session_is_answered_with_its_completion),
        cmocka_unit_test(test_admit__every_kind_and_origin_of_a_derived_input),
        cmocka_unit_test(test_admit__what_breaks_a_rule_by_itself_is_refused_for_good),
        cmocka_unit_test(test_admit__an_unknown_executor_or_predecessor_is_refused_for_now),
        cmocka_unit_test(test_admit__without_auto_register_a_session_must_be_registered),
        cmocka_unit_test(test_admit__a_repeat_of_an_active_input_joins_it),
        cmocka_unit_test(test_admit__a_repeat_of_an_ended_input_is_answered_with_its_completion),
        cmocka_unit_test(test_admit__the_same_id_with_another_body_is_a_conflict),
        cmocka_unit_test(test_admit__a_key_is_admitted_once_active_or_ended),
        cmocka_unit_test(test_admit__a_repeat_within_one_stage_is_known_too),
        cmocka_unit_test(test_admit__an_ephemeral_input_leaves_no_row_and_no_fact),
        cmocka_unit_test(test_admit__an_ephemeral_input_is_known_while_its_owner_lasts),
        cmocka_unit_test(test_admit__the_newer_progress_replaces_the_queued_one),
        cmocka_unit_test(test_admit__a_retry_from_before_the_horizon_is_too_late_unless_it_is_known),
        cmocka_unit_test(test_admit__a_full_session_is_overloaded),
        cmocka_unit_test(test_admit__a_destroyed_session_refuses_for_good_but_knows_what_it_did),
        cmocka_unit_test(test_admit__retired_and_stopped_sessions_are_not_ready),
        cmocka_unit_test(test_admit__a_silenced_request_is_queued_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
