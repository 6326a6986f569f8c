/* Stories of how systems like this one broke in the field, and must not: one session on one node, its queue, its wakes,
 * its cancels and its ends. */
#include <stdio.h>

#include "tests/sim/story.h"

#define TELLINGS 4
#define DIES                                                                                                           \
    SPAN_LIT("\x81\xa3"                                                                                                \
             "die\xc3")                /* {die: true}: fail fails at every attempt */
#define ONE_S SPAN_LIT("\xcd\x03\xe8") /* sleep's body, milliseconds */
#define GRACE (2 * SECOND)             /* of a run that an unregister cancels */

static void await_at_once(struct sim *s, const struct item *item, const char *answer)
{
    uint64_t asked_us = s->now_us;
    story_await_as(s, item, answer);
    if (!sim_is_broken(s) && s->now_us > asked_us + 50 * MILLISECOND)
        sim_broken(s, "scenario", "%.*s was answered after %llu ms", SPAN_ARGS(sim_item_id(item)),
                   (unsigned long long)(s->now_us - asked_us) / 1000);
}

/* A run that is going on. */
static struct item *begin_run(struct sim *s, struct span body)
{
    struct item *item = sim_send(s, "sleep-2", body);
    story_await_said(s, "starts run");
    return item;
}

static struct item *send_event(struct sim *s, const char *session, struct span body)
{
    struct mk_input in = {
        .session = span_of(session),
        .kind = MK_EXTERNAL_EVENT,
        .event_type = SPAN_LIT("tick"),
        .origin = MK_EXTERNAL,
        .body = body,
        .executor = SPAN_LIT("fail"),
        .wake = true,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    return sim_send_input(s, &in);
}

static struct item *send_asleep(struct sim *s, const char *session)
{
    struct mk_input in = {
        .session = span_of(session),
        .kind = MK_PROMPT,
        .origin = MK_EXTERNAL,
        .body = ONE,
        .executor = SPAN_LIT("sleep"),
        .wake = false,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    return sim_send_input(s, &in);
}

/* --- wedges --- */

/* L1 */
static void a_failed_input_runs_again_without_being_woken(struct sim *s)
{
    struct item *item = sim_send(s, "fail-3",
                                 SPAN_LIT("\x81\xa4"
                                          "fail\x02")); /* {fail: 2} */
    story_await_as(s, item, "completed");
    story_expect(s, "runs", checks_starts(s, "fail-3"), 3);
}

/* L2 */
static void those_behind_a_head_that_always_fails_are_run(struct sim *s)
{
    struct item *head = sim_send(s, "fail-3", DIES), *behind[4];
    for (size_t i = 0; i < 4; i++)
        behind[i] = sim_send(s, "fail-3", ONE);
    story_await_as(s, head, "abandoned_with_error");
    for (size_t i = 0; i < 4; i++)
        story_await_as(s, behind[i], "completed");
    story_expect(s, "runs", checks_starts(s, "fail-3"), 7);
}

/* L3 */
static void only_the_culprit_of_a_failing_batch_is_abandoned(struct sim *s)
{
    struct item *items[6];
    story_first_input(s, "fail-3");
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1); /* the rest comes together */
    for (size_t i = 0; i < 6; i++)
        items[i] = send_event(s, "fail-3", i == 3 ? DIES : ONE);
    for (size_t i = 0; i < 6; i++)
        story_await_as(s, items[i], i == 3 ? "abandoned_with_error" : "completed");
}

/* L6 */
static void a_question_is_answered_while_a_run_goes_on(struct sim *s)
{
    static const enum mk_op questions[] = {MK_OP_STATE, MK_OP_SHOW, MK_OP_LIST_ACTIVE_INPUTS, MK_OP_EVENTS};
    struct item *item = begin_run(s, ONE_S);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        await_at_once(s, sim_command(s, "sleep-2", questions[i]), "ok");
    story_expect(s, "runs going on", sim_executors_running(s), 1);
    story_await_as(s, item, "completed");
}

/* L7 */
static void a_stop_behind_a_run_holds_up_nobody(struct sim *s)
{
    struct item *item = begin_run(s, ONE_S), *waiting = sim_send(s, "sleep-2", ONE_S);
    sim_run_for(s, 10 * MILLISECOND);
    await_at_once(s, sim_command(s, "sleep-2", MK_OP_STOP), "ok");
    await_at_once(s, sim_command(s, "sleep-2", MK_OP_STATE), "ok");
    story_await_as(s, item, "completed");
    story_await_as(s, waiting, "runtime_terminated");
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 1);
    story_await_as(s, sim_command(s, "sleep-2", MK_OP_STOP), "validation_failed"); /* it is stopped */
}

/* L8 */
static void an_unregister_gives_up_a_run_that_hears_no_cancel(struct sim *s)
{
    s->deaf = true;
    struct item *item = begin_run(s, SPAN_LIT("\xcd\x75\x30")); /* 30 s */
    uint64_t asked_us = s->now_us;
    story_await_as(s, sim_command(s, "sleep-2", MK_OP_UNREGISTER), "ok");
    story_expect_answer(s, item, "cancelled");
    if (s->now_us < asked_us + GRACE || s->now_us > asked_us + GRACE + GRACE / 4)
        sim_broken(s, "scenario", "the unregister took %llu ms", (unsigned long long)(s->now_us - asked_us) / 1000);
}

/* L10 */
static void a_wake_that_comes_during_a_run_is_kept(struct sim *s)
{
    struct item *item = begin_run(s, ONE_S), *asleep = send_asleep(s, "sleep-2");
    sim_run_for(s, 10 * MILLISECOND);
    await_at_once(s, sim_command(s, "sleep-2", MK_OP_WAKE), "ok");
    story_await_as(s, item, "completed");
    story_await_as(s, asleep, "completed");
}

/* L10 */
static void an_input_that_wakes_nobody_waits_for_a_wake(struct sim *s)
{
    story_first_input(s, "sleep-2");
    struct item *asleep = send_asleep(s, "sleep-2");
    sim_run_for(s, 2 * SECOND);
    story_expect(s, "runs before the wake", checks_starts(s, "sleep-2"), 1);
    story_await_as(s, sim_command(s, "sleep-2", MK_OP_WAKE), "ok");
    story_await_as(s, asleep, "completed");
}

/* L10 */
static void a_wake_without_work_runs_nothing(struct sim *s)
{
    story_first_input(s, "sleep-2");
    uint64_t commits = s->totals.commits;
    for (size_t i = 0; i < 3; i++)
        story_await_as(s, sim_command(s, "sleep-2", MK_OP_WAKE), "ok");
    sim_run_for(s, SECOND);
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 1);
    story_expect(s, "commits, each an answer", s->totals.commits - commits <= 4, 1);
}

/* --- double work --- */

/* L14 */
static void what_was_consumed_does_not_run_again_in_the_next_life(struct sim *s)
{
    struct item *item = sim_send(s, "counter-0", ONE);
    story_await_as(s, item, "completed");
    sim_node_crash(s, 0);
    story_await_said(s, "partitions claimed");
    sim_item_repeat(item);
    story_await_as(s, item, "completed, as the repeat says");
    story_first_input(s, "counter-0");
    story_expect(s, "runs", checks_starts(s, "counter-0"), 2);
    story_expect_completions(s, "counter-0", 2);
}

/* L15 */
static void an_interrupt_of_a_run_that_is_over_leaves_the_next_alone(struct sim *s)
{
    struct item *first = begin_run(s, ONE);
    struct mk_id run = checks_session(s, SPAN_LIT("sleep-2"))->run;
    struct mk_command late = {.session = SPAN_LIT("sleep-2"), .op = MK_OP_INTERRUPT, .run = id_span(&run)};
    story_await_as(s, first, "completed");
    struct item *next = begin_run(s, ONE_S);
    await_at_once(s, sim_send_command(s, &late, 0), "ok");
    story_await_as(s, next, "completed");
}

/* L15: bound to the run at its first receipt */
static void an_interrupt_that_is_repeated_cancels_one_run(struct sim *s)
{
    struct item *first = begin_run(s, ONE_S), *interrupt = sim_command(s, "sleep-2", MK_OP_INTERRUPT);
    story_await_as(s, interrupt, "ok");
    story_await_as(s, first, "cancelled");
    struct item *next = begin_run(s, ONE_S);
    sim_item_repeat(interrupt);
    await_at_once(s, interrupt, "ok");
    story_await_as(s, next, "completed");
}

/* L18 */
static void what_comes_while_an_unregister_waits_is_refused_and_comes_again(struct sim *s)
{
    s->deaf = true;
    struct item *running = begin_run(s, ONE_S), *waiting = sim_send(s, "sleep-2", ONE);
    sim_run_for(s, 10 * MILLISECOND);
    struct item *unregister = sim_command(s, "sleep-2", MK_OP_UNREGISTER);
    sim_run_for(s, 10 * MILLISECOND);
    struct item *late = sim_send(s, "sleep-2", ONE);
    story_await_said(s, "is rejected, not_ready");
    story_await_as(s, unregister, "ok");
    story_await_as(s, running, "completed");
    story_await_as(s, waiting, "runtime_terminated");
    story_await_as(s, late, "completed"); /* in the session's next life */
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 2);
}

/* L19 */
static void an_operation_past_its_deadline_is_answered_and_never_performed(struct sim *s)
{
    struct mk_command late = {.session = SPAN_LIT("sleep-2"), .op = MK_OP_STOP, .deadline_ms = 100};
    story_first_input(s, "sleep-2");
    story_await_as(s, sim_send_command(s, &late, 5000), "deadline_passed");
    story_await_as(s, sim_send(s, "sleep-2", ONE), "completed");
}

/* L19 */
static void an_input_past_its_deadline_is_answered_and_never_run(struct sim *s)
{
    struct item *long_one = begin_run(s, ONE_S);
    struct mk_input in = {
        .session = SPAN_LIT("sleep-2"),
        .kind = MK_PROMPT,
        .origin = MK_EXTERNAL,
        .body = ONE,
        .executor = SPAN_LIT("sleep"),
        .wake = true,
        .deadline_ms = 200,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    struct item *late = sim_send_input(s, &in);
    story_await_as(s, late, "abandoned_with_error");
    story_await_as(s, long_one, "completed");
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 1);
}

/* --- what sequences found --- */

/* Rule 6: what an operation leads to does not refuse its repeat. */
static void an_operation_that_is_repeated_is_answered_by_its_result(struct sim *s)
{
    static const enum mk_op ops[] = {MK_OP_STOP, MK_OP_REGISTER, MK_OP_RETIRE, MK_OP_RESET, MK_OP_DESTROY};
    struct item *items[sizeof ops / sizeof *ops];
    story_first_input(s, "sleep-2");
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        items[i] = sim_command(s, "sleep-2", ops[i]);
        story_await_as(s, items[i], "ok");
        for (size_t former = 0; former <= i; former++) {
            sim_item_repeat(items[former]);
            story_await_as(s, items[former], "ok");
        }
    }
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 1);
}

/* P8 */
static void an_input_gives_an_executor_to_a_session_that_was_only_bound(struct sim *s)
{
    story_await_as(s, sim_command(s, "sleep-2", MK_OP_PREPARE_BINDINGS), "ok");
    story_await_as(s, sim_send(s, "sleep-2", ONE), "completed");
}

static const struct story stories[] = {
#define STORY(nodes, name)                                                                                             \
    {                                                                                                                  \
#name, nodes, name                                                                                             \
    }
    STORY(1, a_failed_input_runs_again_without_being_woken),
    STORY(1, those_behind_a_head_that_always_fails_are_run),
    STORY(1, only_the_culprit_of_a_failing_batch_is_abandoned),
    STORY(1, a_question_is_answered_while_a_run_goes_on),
    STORY(1, a_stop_behind_a_run_holds_up_nobody),
    STORY(1, an_unregister_gives_up_a_run_that_hears_no_cancel),
    STORY(1, a_wake_that_comes_during_a_run_is_kept),
    STORY(1, an_input_that_wakes_nobody_waits_for_a_wake),
    STORY(1, a_wake_without_work_runs_nothing),
    STORY(1, what_was_consumed_does_not_run_again_in_the_next_life),
    STORY(1, an_interrupt_of_a_run_that_is_over_leaves_the_next_alone),
    STORY(1, an_interrupt_that_is_repeated_cancels_one_run),
    STORY(1, what_comes_while_an_unregister_waits_is_refused_and_comes_again),
    STORY(1, an_operation_past_its_deadline_is_answered_and_never_performed),
    STORY(1, an_input_past_its_deadline_is_answered_and_never_run),
    STORY(1, an_operation_that_is_repeated_is_answered_by_its_result),
    STORY(1, an_input_gives_an_executor_to_a_session_that_was_only_bound),
#undef STORY
};

size_t scenarios_lessons_run(const struct telling *how, size_t *failed)
{
    return stories_tell(stories, sizeof stories / sizeof *stories, sim_config_calm, TELLINGS, how, failed);
}
