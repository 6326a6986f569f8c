/* Stories of ownership, recovery and what must not count: between two lives of a node, or two nodes over one store.
 * Each is told with several seeds, which decide what comes first where things happen at once. */
#include "codec/message.h"
#include "codec/topic.h"
#include "node/core/crc16.h"
#include "tests/sim/story.h"

#define TELLINGS 8
#define LEASE    (1 * SECOND) /* as sim_config_calm says */

/* --- two nodes --- */

static void the_commit_of_a_node_that_lost_its_lease_changes_nothing(struct sim *s)
{
    story_first_input(s, "counter-0");
    size_t owner = story_owner(s, "counter-0");
    sim_fail_call(s, FAULT_STORE_LATE, SCRIPT_COMMIT, 0, 1);
    struct item *second = sim_send(s, "counter-0", ONE);
    story_await_said(s, "store connection ended");
    sim_node_pause(s, owner, 6 * SECOND);
    story_cut_client(s, true); /* the other node owns, and has nothing to commit when the late commit comes */
    sim_run_for(s, 5 * SECOND);
    story_cut_client(s, false);
    story_await(s, second);
    sim_run_for(s, 3 * SECOND);
    story_expect_completions(s, "counter-0", 2);
    checks_end(s);
}

static void what_waited_to_leave_when_the_lease_was_lost_never_leaves(struct sim *s)
{
    story_first_input(s, "counter-0");
    size_t owner = story_owner(s, "counter-0");
    struct item *second = sim_send(s, "counter-0", ONE);
    story_await_said(s, "store > commit");
    sim_node_pause(s, owner, 4 * LEASE);
    story_await(s, second);
    sim_run_for(s, 4 * LEASE);
    story_expect_completions(s, "counter-0", 2);
    checks_end(s);
}

static void a_node_that_died_is_followed_by_the_other(struct sim *s)
{
    story_first_input(s, "sleep-2");
    size_t owner = story_owner(s, "sleep-2");
    struct item *second = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x01\xf4")); /* 500 ms */
    story_await_said(s, "c1-2 of sleep-2 is accepted");
    sim_run_for(s, 100 * MILLISECOND);
    sim_node_crash(s, owner);
    story_await(s, second);
    story_expect_completions(s, "sleep-2", 2);
    sim_run_for(s, SECOND);
    checks_end(s);
}

/* --- one node, answers that come too late --- */

static void a_claim_answered_after_its_lease_ran_out_lets_nothing_leave(struct sim *s)
{
    story_first_input(s, "counter-0"); /* its last events lie behind the mark: the next life publishes them again */
    sim_node_crash(s, 0);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_RENEW, 0, 1);
    story_await_said(s, "store > claim of n1");
    sim_node_pause(s, 0, LEASE + sim_between(s, 1, 50) * MILLISECOND);
    story_await(s, sim_send(s, "counter-0", ONE));
    story_expect_completions(s, "counter-0", 2);
}

static void a_renewal_answered_after_its_lease_ran_out_lets_nothing_leave(struct sim *s)
{
    story_first_input(s, "counter-0");
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1); /* a renewal comes to stand behind it */
    struct item *second = sim_send(s, "counter-0", ONE);
    story_await_said(s, "store > commit of n1");
    sim_run_for(s, MILLISECOND / 10);
    sim_node_pause(s, 0, LEASE + sim_between(s, 1, 50) * MILLISECOND);
    story_await(s, second);
    story_expect_completions(s, "counter-0", 2);
}

/* --- one node, what must be found and what must not count --- */

static void unfinished_work_is_found_without_its_publisher(struct sim *s)
{
    struct item *item = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x01\xf4"));
    story_await_said(s, "c1-1 of sleep-2 is accepted");
    story_cut_client(s, true);
    sim_node_crash(s, 0);
    sim_run_for(s, 8 * SECOND);
    story_expect_completions(s, "sleep-2", 1);
    story_cut_client(s, false);
    story_await(s, item);
}

static void a_result_told_twice_is_not_the_next_runs(struct sim *s)
{
    story_first_input(s, "counter-0");
    sim_fail(s, FAULT_RUN_TWICE, 0, 1);
    struct item *items[3];
    for (size_t i = 0; i < 3; i++)
        items[i] = sim_send(s, "counter-0", SPAN_LIT("\x05"));
    for (size_t i = 0; i < 3; i++)
        story_await(s, items[i]);
    story_expect_completions(s, "counter-0", 4);
}

static void the_result_of_an_attempt_that_died_does_not_end_the_next(struct sim *s)
{
    story_first_input(s, "sleep-2");
    sim_fail(s, FAULT_RUN_LATE, 0, 1);
    struct item *long_one = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x17\x70")); /* 6 s: another life runs it meanwhile */
    story_await_said(s, "c1-2 of sleep-2 is accepted");
    struct item *next = sim_send(s, "sleep-2", ONE);
    sim_run_for(s, 100 * MILLISECOND);
    sim_node_crash(s, 0);
    story_await(s, long_one);
    story_await(s, next);
    story_expect_completions(s, "sleep-2", 3);
}

/* Two sessions of one partition: the second's commit is on its way behind the first's, which is refused. */
static void a_refused_commit_takes_the_one_behind_it_back(struct sim *s)
{
    const char *other = story_neighbour(s);
    story_first_input(s, "counter-0");
    story_first_input(s, other);
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_COMMIT, 0, 1);
    struct item *one = sim_send(s, "counter-0", ONE);
    sim_run_for(s, 4 * MILLISECOND);
    struct item *two = sim_send(s, other, ONE);
    story_await(s, one);
    story_await(s, two);
    story_expect_completions(s, "counter-0", 2);
    story_expect_completions(s, other, 2);
    checks_end(s);
}

/* The first of two commits was applied, its answer lost, its repeat refused for a while; the second stands, and a third
 * comes. */
static void the_mark_stays_below_a_commit_whose_outcome_is_not_known(struct sim *s)
{
    const char *other = story_neighbour(s);
    story_first_input(s, "counter-0");
    story_first_input(s, other);
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_COMMIT, 0, 1);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_COMMIT, 1, 1); /* the one lost is not asked */
    struct item *one = sim_send(s, "counter-0", ONE);
    sim_run_for(s, 4 * MILLISECOND);
    struct item *two = sim_send(s, other, ONE);
    story_await(s, one);
    story_await(s, two);
    checks_end(s);
}

static void a_claim_repeated_after_its_lease_ran_out_lets_nothing_leave(struct sim *s)
{
    story_first_input(s, "counter-0");
    sim_node_crash(s, 0);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_CLAIM, 0, 1);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_RENEW, 0, 1);
    story_await_said(s, "store > claim of n1");
    sim_store_down(s, LEASE + sim_between(s, 1, 50) * MILLISECOND);
    story_await(s, sim_send(s, "counter-0", ONE));
    story_expect_completions(s, "counter-0", 2);
}

static void a_session_registered_again_by_the_next_owner_runs_under_its_fence(struct sim *s)
{
    story_first_input(s, "echo-1");
    story_await(s, sim_command(s, "echo-1", MK_OP_STOP));
    story_await(s, sim_command(s, "echo-1", MK_OP_UNREGISTER));
    sim_node_crash(s, 0);
    story_await(s, sim_command(s, "echo-1", MK_OP_REGISTER));
    story_await(s, sim_send(s, "echo-1", ONE));
    story_expect_completions(s, "echo-1", 2);
}

/* It was answered, so the next owner ends the run instead of running it again. */
static void a_cancel_that_was_answered_is_carried_out_by_the_next_owner(struct sim *s)
{
    struct item *item = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x27\x10")); /* 10 s */
    story_await_said(s, "starts run");
    struct item *cancel = sim_command(s, "sleep-2", MK_OP_CANCEL_AFTER_BOUNDARY);
    while (!sim_item_closed(cancel) && !sim_is_broken(s) && sim_step(s))
        ;
    sim_node_crash(s, 0);
    story_await(s, item);
    story_expect(s, "cancelled", !strcmp(sim_item_answer(item), "cancelled"), true);
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 1);
}

/* The service is dead, and so is the node; the session is not. */
static void a_turn_of_a_service_keeps_a_session_no_longer_than_its_node(struct sim *s)
{
    story_first_input(s, "echo-1");
    story_await(s, sim_turn(s, "echo-1", 3600000));
    struct item *item = sim_send(s, "echo-1", ONE);
    sim_run_for(s, 300 * MILLISECOND);
    story_expect(s, "completions in the turn", checks_completions(s, "echo-1"), 1);
    sim_node_crash(s, 0);
    story_await(s, item);
    story_expect_completions(s, "echo-1", 2);
}

static void a_turn_of_a_service_that_died_is_given_up_in_time(struct sim *s)
{
    story_first_input(s, "echo-1");
    story_await(s, sim_turn(s, "echo-1", 300));
    story_await(s, sim_send(s, "echo-1", ONE));
    story_expect_completions(s, "echo-1", 2);
}

/* Sent by hand: the frame says partition p, the session lies in another. */
static void an_input_on_the_topic_of_another_partition_is_refused(struct sim *s)
{
    story_first_input(s, "counter-0");
    struct span session = SPAN_LIT("counter-0"), client = SPAN_LIT("c1");
    struct mk_input input = {.h = {.id = SPAN_LIT("astray"), .ts = 1},
                             .session = session,
                             .kind = MK_PROMPT,
                             .origin = MK_EXTERNAL,
                             .body = ONE,
                             .reply_to = client,
                             .wake = true,
                             .transcript_eligible = true,
                             .operator_eligible = true};
    struct topic topic = {.class = TOPIC_IN,
                          .any_name = true,
                          .partition = (partition_of(session, s->config.partitions) + 1) % s->config.partitions};
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    input_pack(&frame, &input);
    sim_bus_send(s, s->config.nodes, sim_copy(s, buf_span(&frame)));
    buf_fini(&frame);
    story_await_said(s, "is rejected, wrong_partition");
    sim_run_for(s, SECOND);
    story_expect_completions(s, "counter-0", 1);
}

static const struct story stories[] = {
#define STORY(nodes, name)                                                                                             \
    {                                                                                                                  \
#name, nodes, name                                                                                             \
    }
    STORY(2, the_commit_of_a_node_that_lost_its_lease_changes_nothing),
    STORY(2, what_waited_to_leave_when_the_lease_was_lost_never_leaves),
    STORY(2, a_node_that_died_is_followed_by_the_other),
    STORY(1, a_claim_answered_after_its_lease_ran_out_lets_nothing_leave),
    STORY(1, a_renewal_answered_after_its_lease_ran_out_lets_nothing_leave),
    STORY(1, unfinished_work_is_found_without_its_publisher),
    STORY(1, a_result_told_twice_is_not_the_next_runs),
    STORY(1, the_result_of_an_attempt_that_died_does_not_end_the_next),
    STORY(1, a_refused_commit_takes_the_one_behind_it_back),
    STORY(1, the_mark_stays_below_a_commit_whose_outcome_is_not_known),
    STORY(1, a_claim_repeated_after_its_lease_ran_out_lets_nothing_leave),
    STORY(1, a_session_registered_again_by_the_next_owner_runs_under_its_fence),
    STORY(1, a_cancel_that_was_answered_is_carried_out_by_the_next_owner),
    STORY(1, a_turn_of_a_service_keeps_a_session_no_longer_than_its_node),
    STORY(1, a_turn_of_a_service_that_died_is_given_up_in_time),
    STORY(1, an_input_on_the_topic_of_another_partition_is_refused),
#undef STORY
};

size_t scenarios_owner_run(const struct telling *how, size_t *failed)
{
    return stories_tell(stories, sizeof stories / sizeof *stories, sim_config_calm, TELLINGS, how, failed);
}
