/* What an admission sets going, and what it replaces (semantics-core.md 5.3 and 5.4): signals, repeats, silent
 * intents, coalescing. */
#include "tests/unit/core/rig.h"

/* Attached, with an input that waits for the next wake. */
static struct rig *waiting(void)
{
    struct rig *rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    struct mk_input quiet = rig_input("quiet", MK_FLOW_STEP);
    quiet.wake = false;
    rig_admit(rig, quiet);
    assert_unsaid(rig, "start");
    return rig;
}

static void hush(struct rig *rig, const char *id, const char *intent)
{
    struct mk_command command = rig_command(id, MK_OP_SILENT_INTENTS);
    command.args.intents[0] = span_of(intent);
    command.args.intent_count = intent[0] ? 1 : 0;
    rig_order(rig, command);
}

/* --- signals --- */

struct signal {
    enum mk_kind kind;
    enum mk_handling handling;
    bool silent, wakes_a_run; /* a run that is under way is told */
};

/* clang-format off */
static const struct signal signals[] = {
    {MK_PROMPT,                 MK_HANDLING_NONE,  false, false},
    {MK_PROMPT,                 MK_HANDLING_QUEUE, false, false},
    {MK_PROMPT,                 MK_HANDLING_STEER, false, true},
    {MK_FLOW_STEP,              MK_HANDLING_NONE,  false, false},
    {MK_EXTERNAL_EVENT,         MK_HANDLING_QUEUE, false, false},
    {MK_EXTERNAL_EVENT,         MK_HANDLING_STEER, false, true},
    {MK_PEER_MESSAGE,           MK_HANDLING_NONE,  false, true},
    {MK_PEER_MESSAGE,           MK_HANDLING_QUEUE, false, false},
    {MK_PEER_MESSAGE,           MK_HANDLING_STEER, false, true},
    {MK_PEER_REQUEST,           MK_HANDLING_NONE,  false, true},
    {MK_PEER_REQUEST,           MK_HANDLING_NONE,  true,  false},
    {MK_PEER_REQUEST,           MK_HANDLING_QUEUE, true,  false},
    {MK_PEER_REQUEST,           MK_HANDLING_STEER, true,  true},
    {MK_PEER_RESPONSE_PROGRESS, MK_HANDLING_NONE,  false, false},
    {MK_PEER_RESPONSE_TERMINAL, MK_HANDLING_NONE,  false, true},
    {MK_PEER_RESPONSE_TERMINAL, MK_HANDLING_STEER, false, true},
    {MK_CONTINUATION,           MK_HANDLING_NONE,  false, true},
    {MK_CONTINUATION,           MK_HANDLING_QUEUE, false, false},
    {MK_OPERATION,              MK_HANDLING_NONE,  false, false},
};
/* clang-format on */

static struct mk_input signal_input(const struct signal *signal)
{
    struct mk_input input = rig_input("a", signal->kind);
    input.handling = signal->handling;
    input.intent = signal->silent ? SPAN_LIT("hush") : SPAN_LIT("loud");
    return input;
}

/* Idle, whatever the policy says of waking: progress, a silent request and an operation too. */
static void test_signals__an_idle_session_wakes_for_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct rig *rig = waiting();
        hush(rig, "s", "hush");
        rig_admit(rig, signal_input(&signals[i]));
        assert_said(rig, "admission a accepted");
        assert_said(rig, "start "); /* what waited, or what came: steer goes first */
        rig_free(rig);
    }
}

static void test_signals__a_running_session_is_woken_as_the_policy_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct rig *rig = rig_new();
        rig_send(rig, "z", MK_PROMPT);
        hush(rig, "s", "hush");
        assert_false(rig->session->core.wake);
        rig_admit(rig, signal_input(&signals[i]));
        if (rig->session->core.wake != signals[i].wakes_a_run)
            fail_msg("%s, handling %s, silent %d", mk_kind_name(signals[i].kind), mk_handling_name(signals[i].handling),
                     signals[i].silent);
        rig_free(rig);
    }
}

static void test_signals__an_input_that_asks_for_no_wake_gives_no_signal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct rig *rig = waiting();
        struct mk_input input = signal_input(&signals[i]);
        input.wake = false;
        size_t commits = rig->commits;
        rig_admit(rig, input);
        assert_said(rig, "admission a accepted");
        assert_unsaid(rig, "start");
        assert_int_equal(rig->commits, commits + 1); /* it is admitted as any other */
        rig_free(rig);
    }
}

static void test_signals__a_repeat_writes_nothing_and_wakes_nobody(void **state)
{
    (void)state;
    struct rig *rig = waiting();
    struct mk_input keyed = rig_input("a", MK_FLOW_STEP);
    keyed.wake = false;
    keyed.idem = SPAN_LIT("k");
    rig_admit(rig, keyed);
    size_t commits = rig->commits, rows = rig->row_count, facts = rig->fact_count;
    keyed.wake = true;
    keyed.handling = MK_HANDLING_STEER; /* its plan is not applied either */
    rig_admit(rig, keyed);
    assert_said(rig, "admission a deduplicated of a queued\n");
    assert_unsaid(rig, "start");
    keyed.h.id = SPAN_LIT("b");
    rig_admit(rig, keyed);
    assert_said(rig, "admission b deduplicated of a queued\n");
    assert_unsaid(rig, "start");
    assert_int_equal(ledger_by_id(&rig->session->core.ledger, SPAN_LIT("a"))->lane, LANE_QUEUE);
    assert_true(rig->commits == commits && rig->row_count == rows && rig->fact_count == facts);
    rig_free(rig);
}

/* Keys live with what is remembered of their inputs, not with the memory of a node. */
static void test_signals__a_key_is_known_over_a_crash_of_what_waits_and_of_what_is_over(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("a", MK_PROMPT);
    input.idem = SPAN_LIT("k");
    rig_admit(rig, input);
    rig_crash(rig);
    input.h.id = SPAN_LIT("b");
    rig_admit(rig, input);
    assert_said(rig, "admission b deduplicated of a staged\n");
    rig_succeed(rig, "1");
    rig_crash(rig);
    input.h.id = SPAN_LIT("c");
    rig_admit(rig, input);
    assert_said(rig, "admission c deduplicated of a consumed [completion a completed]\n");
    rig_free(rig);
}

/* Accepted, then over at once: there is nothing to wait for, and it is known like any other. */
static void test_signals__an_operation_is_over_when_it_is_admitted(void **state)
{
    (void)state;
    static const char *const phases[] = {"attached", "running"};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "x", MK_OP_ATTACH);
        if (i)
            rig_send(rig, "z", MK_PROMPT);
        rig_send(rig, "a", MK_OPERATION);
        assert_said(rig, "admission a accepted consumed\ncompletion a completed_without_result >c1\n");
        assert_unsaid(rig, "start");
        assert_string_equal(rig_phase(rig), phases[i]);
        assert_int_equal(rig->row_count, i);
        rig_send(rig, "a", MK_OPERATION);
        assert_said(rig, "admission a deduplicated of a consumed [completion a completed_without_result]\n");
        rig_free(rig);
    }
}

/* --- silent intents --- */

/* Nobody is silenced twice: a set replaces the one before, and is gone with its session's work. */
static void test_signals__a_set_of_silent_intents_lasts_until_the_next_or_until_a_lifecycle_command(void **state)
{
    (void)state;
    static const enum mk_op ends[] = {MK_OP_RESET, MK_OP_STOP, MK_OP_DESTROY};
    struct rig *rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    hush(rig, "s1", "one");
    assert_said(rig, "result s1 ok intents 1 ");
    hush(rig, "s2", "two");
    assert_int_equal(rig->session->core.intent_count, 1);
    assert_string_equal(rig->session->core.intents[0].text, "two");
    hush(rig, "s3", "");
    assert_said(rig, "result s3 ok intents 0 ");
    assert_int_equal(rig->session->core.intent_count, 0);
    rig_free(rig);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        rig = rig_new();
        rig_do(rig, "x", MK_OP_ATTACH);
        hush(rig, "s", "hush");
        rig_do(rig, "o", ends[i]);
        assert_int_equal(rig->session->core.intent_count, 0);
        rig_free(rig);
    }
    rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    hush(rig, "s", "hush");
    rig_crash(rig);
    assert_int_equal(rig->session->core.intent_count, 0); /* they are not durable */
    rig_free(rig);
}

/* During a run: a steer that is loud, then one that is silenced. */
static struct rig *two_steers(void)
{
    struct rig *rig = rig_new();
    rig_send(rig, "z", MK_PROMPT);
    hush(rig, "s", "hush");
    struct mk_input loud = rig_input("loud", MK_PEER_REQUEST), silent = rig_input("silent", MK_PEER_REQUEST);
    loud.handling = silent.handling = MK_HANDLING_STEER;
    loud.intent = SPAN_LIT("loud");
    silent.intent = SPAN_LIT("hush");
    rig_admit(rig, loud);
    rig_admit(rig, silent);
    return rig;
}

static void assert_two_runs(struct rig *rig)
{
    rig_succeed(rig, "1");
    assert_said(rig, "start loud #1\n");
    assert_int_equal(rig->session->core.run.boundary, MK_RUN_CHECKPOINT);
    rig_succeed(rig, "2");
    assert_said(rig, "start silent #1\n");
    assert_int_equal(rig->session->core.run.boundary, MK_RUN_START);
    rig_free(rig);
}

static void test_signals__a_silenced_steer_shares_no_run_with_a_checkpoint(void **state)
{
    (void)state;
    assert_two_runs(two_steers());
}

static void test_signals__a_silenced_steer_shares_none_on_the_next_node_either(void **state)
{
    (void)state;
    struct rig *rig = two_steers();
    rig_crash(rig);
    assert_two_runs(rig);
}

/* --- coalescing --- */

struct pair {
    const char *what;
    enum mk_kind old, new;
    const char *old_name, *new_name;
    bool coalesced;
};

static struct mk_input named(const char *id, enum mk_kind kind, const char *name)
{
    struct mk_input input = rig_input(id, kind);
    if (name[0])
        input.supersede = span_of(name);
    return input;
}

static void test_signals__only_queued_progress_of_the_same_name_is_replaced(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"progress", MK_PEER_RESPONSE_PROGRESS, MK_PEER_RESPONSE_PROGRESS, "job", "job", true},
        {"another name", MK_PEER_RESPONSE_PROGRESS, MK_PEER_RESPONSE_PROGRESS, "job", "other", false},
        {"no name", MK_PEER_RESPONSE_PROGRESS, MK_PEER_RESPONSE_PROGRESS, "", "", false},
        {"a name for none", MK_PEER_RESPONSE_PROGRESS, MK_PEER_RESPONSE_PROGRESS, "", "job", false},
        {"another kind before", MK_PEER_MESSAGE, MK_PEER_RESPONSE_PROGRESS, "job", "job", false},
        {"another kind behind", MK_PEER_RESPONSE_PROGRESS, MK_PEER_RESPONSE_TERMINAL, "job", "job", false},
        {"prompts", MK_PROMPT, MK_PROMPT, "job", "job", false},
        {"flow steps", MK_FLOW_STEP, MK_FLOW_STEP, "job", "job", false},
        {"events", MK_EXTERNAL_EVENT, MK_EXTERNAL_EVENT, "job", "job", false},
        {"messages", MK_PEER_MESSAGE, MK_PEER_MESSAGE, "job", "job", false},
        {"requests", MK_PEER_REQUEST, MK_PEER_REQUEST, "job", "job", false},
        {"terminals", MK_PEER_RESPONSE_TERMINAL, MK_PEER_RESPONSE_TERMINAL, "job", "job", false},
        {"continuations", MK_CONTINUATION, MK_CONTINUATION, "job", "job", false},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct rig *rig = rig_new();
        rig_send(rig, "z", MK_PROMPT);
        rig_admit(rig, named("old", pairs[i].old, pairs[i].old_name));
        rig_admit(rig, named("new", pairs[i].new, pairs[i].new_name));
        assert_said(rig, "admission new accepted queued\n");
        bool coalesced = strstr(rig->log, "completion old coalesced in new >c1\n") != NULL;
        if (coalesced != pairs[i].coalesced || rig->row_count != (coalesced ? 2 : 3))
            fail_msg("%s: %s", pairs[i].what, rig->log);
        rig_free(rig);
    }
}

static void test_signals__what_runs_is_not_replaced_and_what_was_replaced_stays_so(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input again = named("b", MK_PEER_RESPONSE_PROGRESS, "job");
    rig_admit(rig, named("a", MK_PEER_RESPONSE_PROGRESS, "job"));
    assert_said(rig, "start a #1\n");
    rig_admit(rig, again);
    assert_unsaid(rig, "coalesced");
    rig_admit(rig, named("c", MK_PEER_RESPONSE_PROGRESS, "job"));
    assert_said(rig, "completion b coalesced in c >c1\n");
    rig_crash(rig);
    rig_succeed(rig, "1");
    assert_said(rig, "start c #1\n");
    rig_admit(rig, again);
    assert_said(rig, "admission b deduplicated of b coalesced [completion b coalesced]\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals__an_idle_session_wakes_for_every_kind),
        cmocka_unit_test(test_signals__a_running_session_is_woken_as_the_policy_says),
        cmocka_unit_test(test_signals__an_input_that_asks_for_no_wake_gives_no_signal),
        cmocka_unit_test(test_signals__a_repeat_writes_nothing_and_wakes_nobody),
        cmocka_unit_test(test_signals__a_key_is_known_over_a_crash_of_what_waits_and_of_what_is_over),
        cmocka_unit_test(test_signals__an_operation_is_over_when_it_is_admitted),
        cmocka_unit_test(test_signals__a_set_of_silent_intents_lasts_until_the_next_or_until_a_lifecycle_command),
        cmocka_unit_test(test_signals__a_silenced_steer_shares_no_run_with_a_checkpoint),
        cmocka_unit_test(test_signals__a_silenced_steer_shares_none_on_the_next_node_either),
        cmocka_unit_test(test_signals__only_queued_progress_of_the_same_name_is_replaced),
        cmocka_unit_test(test_signals__what_runs_is_not_replaced_and_what_was_replaced_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
