/* The policy table, every combination, against the table of semantics-core.md 5.4 written out once more. */
#include "node/core/policy.h"
#include "tests/lib/t.h"

#include <stdio.h>

/* clang-format off */
static const struct {
    enum mk_kind kind;
    const char *modes; /* '-' none, 'q' queue, 's' steer */
    const char *fixed; /* apply drain queue routing consume lane boundary */
    const char *idle, *busy; /* wake, then the flags */
} expected[] = {
#define START "stage_run_start "
#define BOUND "stage_run_boundary "
#define QUEUE "queue_next_turn fifo queue on_run_complete q run_start"
#define STEER "steer_batch fifo steer on_run_complete s "
    {MK_PROMPT,                 "-q",  START QUEUE,                 "wake_if_idle wake",      "none"},
    {MK_PROMPT,                 "s",   BOUND STEER "run_checkpoint", "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_FLOW_STEP,              "-q",  START QUEUE,                 "wake_if_idle wake",      "none"},
    {MK_FLOW_STEP,              "s",   BOUND STEER "run_checkpoint", "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_EXTERNAL_EVENT,         "-q",  START QUEUE,                 "wake_if_idle wake",      "none"},
    {MK_EXTERNAL_EVENT,         "s",   BOUND STEER "run_checkpoint", "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_PEER_MESSAGE,           "-",   START QUEUE,                 "wake_if_idle wake",      "interrupt_yielding interrupt"},
    {MK_PEER_MESSAGE,           "q",   START QUEUE,                 "wake_if_idle wake",      "none"},
    {MK_PEER_MESSAGE,           "s",   BOUND STEER "run_checkpoint", "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_PEER_REQUEST,           "-",   START QUEUE,                 "wake_if_idle wake",      "interrupt_yielding interrupt"},
    {MK_PEER_REQUEST,           "q",   START QUEUE,                 "wake_if_idle wake",      "none"},
    {MK_PEER_REQUEST,           "s",   BOUND STEER "run_checkpoint", "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_PEER_RESPONSE_PROGRESS, "-qs", BOUND "steer_batch coalesce steer on_run_complete s run_checkpoint", "none", "none"},
    {MK_PEER_RESPONSE_TERMINAL, "-q",  START QUEUE,                 "wake_if_idle wake",      "wake_if_idle wake"},
    {MK_PEER_RESPONSE_TERMINAL, "s",   START STEER "run_start",      "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_CONTINUATION,           "-",   BOUND STEER "run_checkpoint", "wake_if_idle wake",      "interrupt_yielding interrupt"},
    {MK_CONTINUATION,           "q",   START QUEUE,                 "wake_if_idle wake",      "none"},
    {MK_CONTINUATION,           "s",   BOUND STEER "run_checkpoint", "wake_if_idle immediate", "interrupt_yielding immediate"},
    {MK_OPERATION,              "-qs", "ignore ignore priority drop on_accept q run_start", "none", "none"},
};
/* clang-format on */

static void say_fixed(const struct policy *p, char *text, size_t room)
{
    snprintf(text, room, "%s %s %s %s %s %c %s", apply_mode_name(p->apply), drain_policy_name(p->drain),
             queue_mode_name(p->queue), routing_name(p->routing), consume_point_name(p->consume),
             p->lane == LANE_STEER ? 's' : 'q', mk_boundary_name(p->boundary));
}

static void say_wake(const struct policy *p, char *text, size_t room)
{
    snprintf(text, room, "%s%s%s%s", wake_mode_name(p->wake), p->immediate ? " immediate" : "",
             p->interrupt ? " interrupt" : "", p->wake_if_idle ? " wake" : "");
}

static void assert_policy(const struct policy *p, const char *fixed, const char *wake)
{
    char text[160];
    say_fixed(p, text, sizeof text);
    assert_string_equal(text, fixed);
    say_wake(p, text, sizeof text);
    assert_string_equal(text, wake);
}

static struct mk_input input(enum mk_kind kind, char mode)
{
    enum mk_handling handling = mode == 'q' ? MK_HANDLING_QUEUE : mode == 's' ? MK_HANDLING_STEER : MK_HANDLING_NONE;
    return (struct mk_input){.kind = kind, .handling = handling, .wake = true};
}

static void test_policy__every_kind_and_mode_is_in_the_table(void **state)
{
    (void)state;
    bool seen[MK_KIND_COUNT][MK_HANDLING_COUNT] = {{false}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        for (const char *mode = expected[i].modes; *mode; mode++)
            for (unsigned bits = 0; bits < 4; bits++) {
                struct mk_input in = input(expected[i].kind, *mode);
                bool busy = bits & 1, running = bits & 2;
                struct policy p = policy_of(&in, busy, running, false);
                assert_policy(&p, expected[i].fixed, busy ? expected[i].busy : expected[i].idle);
                count += !seen[in.kind][in.handling];
                seen[in.kind][in.handling] = true;
            }
    assert_int_equal(count, MK_KIND_COUNT * MK_HANDLING_COUNT);
}

static void test_policy__continuations_resume_and_leave_no_transcript(void **state)
{
    (void)state;
    for (enum mk_kind kind = 0; kind < MK_KIND_COUNT; kind++)
        for (const char *mode = "-qs"; *mode; mode++) {
            struct mk_input in = input(kind, *mode);
            struct policy p = policy_of(&in, false, false, false);
            bool terminal = kind == MK_PEER_RESPONSE_TERMINAL;
            assert_int_equal(p.record_transcript, kind != MK_CONTINUATION && kind != MK_OPERATION);
            assert_int_equal(p.execution == EXECUTION_RESUME_PENDING, kind == MK_CONTINUATION);
            assert_int_equal(p.terminal_apply == TERMINAL_APPLY_APPEND_CONTEXT_AND_RUN, terminal);
        }
}

static void test_policy__workgraph_attention_is_a_queued_content_turn_in_any_mode(void **state)
{
    (void)state;
    for (const char *mode = "-qs"; *mode; mode++) {
        struct mk_input in = input(MK_CONTINUATION, *mode);
        in.continuation = MK_WORKGRAPH_ATTENTION;
        struct policy p = policy_of(&in, false, false, false);
        assert_policy(&p, START QUEUE, "wake_if_idle wake");
        assert_false(p.record_transcript);
        assert_int_equal(p.execution, EXECUTION_CONTENT_TURN);
        p = policy_of(&in, true, true, false);
        assert_policy(&p, START QUEUE, "none");
    }
}

static void test_policy__a_silenced_request_wakes_nobody_but_steer_keeps_lane_and_haste(void **state)
{
    (void)state;
    for (unsigned busy = 0; busy < 2; busy++) {
        struct mk_input in = input(MK_PEER_REQUEST, '-');
        struct policy p = policy_of(&in, busy, busy, true);
        assert_policy(&p, START QUEUE, "none");
        in.handling = MK_HANDLING_QUEUE;
        p = policy_of(&in, busy, busy, true);
        assert_policy(&p, START QUEUE, "none");
        in.handling = MK_HANDLING_STEER;
        p = policy_of(&in, busy, busy, true);
        assert_policy(&p, START STEER "run_start", "none immediate");
    }
}

static void test_policy__silence_is_for_requests_only(void **state)
{
    (void)state;
    struct mk_input in = input(MK_PEER_MESSAGE, '-');
    struct policy p = policy_of(&in, true, true, true);
    assert_policy(&p, START QUEUE, "interrupt_yielding interrupt");
}

static void test_policy__an_input_that_asks_for_no_wake_gets_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        for (const char *mode = expected[i].modes; *mode; mode++)
            for (unsigned bits = 0; bits < 4; bits++) {
                struct mk_input in = input(expected[i].kind, *mode);
                in.wake = false;
                struct policy p = policy_of(&in, bits & 1, bits & 1, bits & 2);
                char text[64];
                say_wake(&p, text, sizeof text);
                assert_string_equal(text, "none");
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__every_kind_and_mode_is_in_the_table),
        cmocka_unit_test(test_policy__continuations_resume_and_leave_no_transcript),
        cmocka_unit_test(test_policy__workgraph_attention_is_a_queued_content_turn_in_any_mode),
        cmocka_unit_test(test_policy__a_silenced_request_wakes_nobody_but_steer_keeps_lane_and_haste),
        cmocka_unit_test(test_policy__silence_is_for_requests_only),
        cmocka_unit_test(test_policy__an_input_that_asks_for_no_wake_gets_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
