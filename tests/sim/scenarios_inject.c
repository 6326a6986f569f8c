/* Inputs that go into a run at work (semantics-core.md 5.5). */
#include "tests/sim/story.h"

#define TELLINGS      8
#define TWO_SECONDS   SPAN_LIT("\xcd\x07\xd0")
#define A_WHILE       (100 * MILLISECOND)
#define TAKEN_IN      "completed_without_result"
#define RUN_BY_ITSELF "completed"

static struct item *steer(struct sim *s, const char *session)
{
    struct mk_input input = {.session = span_of(session),
                             .kind = MK_PROMPT,
                             .origin = MK_OPERATOR,
                             .handling = MK_HANDLING_STEER,
                             .body = ONE,
                             .wake = true,
                             .transcript_eligible = true,
                             .operator_eligible = true};
    return sim_send_input(s, &input);
}

/* A run of two seconds that takes inputs in. */
static struct item *long_run(struct sim *s)
{
    sim_fail(s, FAULT_RUN_BOUNDARY, 0, 1);
    struct item *item = sim_send(s, "sleep-0", TWO_SECONDS);
    story_await_said(s, "starts run");
    sim_run_for(s, A_WHILE);
    return item;
}

static void an_injected_input_is_in_every_execution_until_a_run_commits(struct sim *s)
{
    struct item *run = long_run(s);
    struct item *first = steer(s, "sleep-0");
    story_await_as(s, first, TAKEN_IN);
    struct item *second = steer(s, "sleep-0");
    story_await_as(s, second, TAKEN_IN);
    sim_node_crash(s, story_owner(s, "sleep-0"));
    story_await_as(s, run, RUN_BY_ITSELF);
    story_expect(s, "injected", s->totals.injected, 2);
    story_expect(s, "given again", s->totals.carried, 2);
    story_await(s, sim_send(s, "sleep-0", ONE));
    story_expect(s, "given again behind the commit", s->totals.carried, 2);
    story_expect(s, "runs", checks_starts(s, "sleep-0"), 3);
}

static void an_input_that_a_run_does_not_take_in_runs_by_itself(struct sim *s)
{
    struct item *run = long_run(s);
    sim_fail(s, FAULT_RUN_REFUSES, 0, 1);
    struct item *input = steer(s, "sleep-0");
    story_await_as(s, run, RUN_BY_ITSELF);
    story_await_as(s, input, RUN_BY_ITSELF);
    story_expect(s, "injected", s->totals.injected, 0);
    story_expect(s, "runs", checks_starts(s, "sleep-0"), 2);
}

static void what_was_injected_into_a_cancelled_run_is_in_the_next(struct sim *s)
{
    struct item *run = long_run(s);
    story_await_as(s, steer(s, "sleep-0"), TAKEN_IN);
    story_await(s, sim_command(s, "sleep-0", MK_OP_INTERRUPT));
    story_await_as(s, run, "cancelled");
    story_await_as(s, sim_send(s, "sleep-0", ONE), RUN_BY_ITSELF);
    story_expect(s, "given again", s->totals.carried, 1);
    story_await_as(s, sim_send(s, "sleep-0", ONE), RUN_BY_ITSELF);
    story_expect(s, "given again behind the commit", s->totals.carried, 1);
}

/* The node dies between the question and the answer, or the commit: the input is one of a run, or was injected. */
static void an_input_on_its_way_into_a_turn_survives_its_node(struct sim *s)
{
    struct item *run = long_run(s);
    struct item *input = steer(s, "sleep-0");
    story_await_said(s, "is asked to take in");
    sim_run_for(s, sim_between(s, 1, 40) * MILLISECOND);
    sim_node_crash(s, story_owner(s, "sleep-0"));
    story_await(s, run);
    story_await(s, input);
    story_expect(s, "runs", checks_starts(s, "sleep-0"), 3 - s->totals.injected);
}

static const struct story stories[] = {
#define STORY(nodes, name)                                                                                             \
    {                                                                                                                  \
#name, nodes, name                                                                                             \
    }
    STORY(2, an_injected_input_is_in_every_execution_until_a_run_commits),
    STORY(1, an_input_that_a_run_does_not_take_in_runs_by_itself),
    STORY(1, what_was_injected_into_a_cancelled_run_is_in_the_next),
    STORY(2, an_input_on_its_way_into_a_turn_survives_its_node),
#undef STORY
};

size_t scenarios_inject_run(const struct telling *how, size_t *failed)
{
    return stories_tell(stories, sizeof stories / sizeof *stories, sim_config_calm, TELLINGS, how, failed);
}
