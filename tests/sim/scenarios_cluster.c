/* Stories of several nodes: who dies, leaves, joins, hangs or is not heard, and what the work of its sessions comes to.
 * Each is told with several seeds, and all invariants watch. */
#include "codec/message.h"
#include "codec/topic.h"
#include "node/core/crc16.h"
#include "tests/sim/story.h"

/* --- deaths and pauses --- */

static void waiting_work_of_a_dead_owner_runs_on_the_others_in_one_burst(struct sim *s)
{
    struct story_load *load = story_load_new(s, "sleep", SPAN_LIT("\xcd\x01\x2c")); /* 300 ms */
    story_settle(s);
    story_send_round(s, load);
    story_send_round(s, load);
    sim_run_for(s, 200 * MILLISECOND);
    size_t dead = story_richest(s), owned = story_owned(s, dead);
    uint64_t before = story_moves(s);
    sim_node_crash(s, dead);
    sim_node_gone(s, dead);
    sim_run_for(s, STORY_LEASE + 300 * MILLISECOND);
    story_expect(s, "partitions of the dead owner", story_owned(s, dead), 0);
    story_expect(s, "partitions that moved", story_moves(s) - before, owned);
    story_end(s, load);
}

/* Who should have them does not get them: the next in rank takes them a lease later. */
static void what_the_first_in_rank_cannot_claim_the_next_one_does(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    size_t dead = story_richest(s), lame = (dead + 1) % s->config.nodes;
    story_send_for(s, load, 6 * SECOND);
    sim_run_for(s, SECOND);
    sim_fail_node_call(s, FAULT_STORE_REFUSES, lame, SCRIPT_CLAIM, 1000);
    sim_node_crash(s, dead);
    sim_node_gone(s, dead);
    sim_run_for(s, 2 * STORY_LEASE + 400 * MILLISECOND);
    story_expect(s, "partitions of the dead owner", story_owned(s, dead), 0);
    sim_fail(s, FAULT_STORE_REFUSES, 0, 0);
    story_end(s, load);
}

/* The store's clock falls back so far that leases seem to last for ever: a dead owner's counter stands still. */
static void a_dead_owner_is_followed_though_the_clock_of_the_store_is_wrong(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    s->config.wait_leases = 3;
    story_settle(s);
    size_t dead = story_richest(s);
    story_send_for(s, load, 10 * SECOND);
    sim_run_for(s, SECOND);
    sim_store_clock_back(s, 30 * SECOND);
    sim_node_crash(s, dead);
    sim_node_gone(s, dead);
    sim_run_for(s, 3 * STORY_LEASE);
    story_expect(s, "partitions of the dead owner", story_owned(s, dead), 0);
    story_end(s, load);
}

static void an_owner_paused_beyond_its_lease_comes_back_under_load(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    size_t owner = story_richest(s);
    story_send_for(s, load, 8 * SECOND);
    sim_run_for(s, SECOND);
    sim_node_pause(s, owner, 3 * STORY_LEASE);
    sim_run_for(s, 2 * STORY_LEASE);
    story_expect(s, "partitions of the paused owner", story_owned(s, owner), 0);
    sim_run_for(s, 5 * SECOND);
    story_end(s, load);
}

static void the_runs_of_a_paused_owner_are_dead_when_others_take_over(struct sim *s)
{
    struct story_load *load = story_load_new(s, "sleep", SPAN_LIT("\xcd\x13\x88")); /* 5 s */
    story_settle(s);
    story_send_round(s, load);
    sim_run_for(s, 300 * MILLISECOND);
    sim_node_pause(s, story_richest(s), 4 * STORY_LEASE);
    story_end(s, load);
    if (!s->struck[FAULT_RUN_STARVED])
        sim_broken(s, "scenario", "no run died with the lease of its node");
}

/* --- leaving --- */

static void leave(struct sim *s, size_t node)
{
    sim_node_leave(s, node);
    story_await_said(s, "has left");
}

static void two_nodes_leave_one_after_the_other_under_load(struct sim *s)
{
    struct story_load *load = story_load_new(s, "echo", ONE);
    story_settle(s);
    story_send_for(s, load, 20 * SECOND);
    sim_run_for(s, SECOND);
    for (size_t i = 0; i < 2; i++) {
        leave(s, i);
        sim_run_for(s, 5 * SECOND); /* it is back */
        story_settle(s);
    }
    story_await_all(s, load);
    story_expect_smooth(s, load);
    story_end(s, load);
}

static void all_but_one_leave_at_once(struct sim *s)
{
    struct story_load *load = story_load_new(s, "echo", ONE);
    story_settle(s);
    story_send_for(s, load, 4 * SECOND);
    sim_run_for(s, SECOND);
    for (size_t i = 1; i < s->config.nodes; i++) {
        sim_node_leave(s, i);
        sim_node_gone(s, i);
    }
    sim_run_for(s, 4 * SECOND);
    for (size_t i = 1; i < s->config.nodes; i++)
        if (s->nodes[i]->driver)
            sim_broken(s, "scenario", "%s has not left", s->nodes[i]->name);
    story_await_all(s, load);
    story_expect_smooth(s, load);
    story_end(s, load);
}

static void the_last_node_leaves_and_its_work_is_found_when_it_comes_back(struct sim *s)
{
    struct story_load *load = story_load_new(s, "sleep", SPAN_LIT("\xcd\x01\x2c")); /* 300 ms */
    story_settle(s);
    story_send_round(s, load);
    story_send_round(s, load);
    sim_run_for(s, 50 * MILLISECOND);
    leave(s, 0);
    story_expect(s, "partitions of nobody", story_owned(s, 0), 0);
    story_cut_client(s, true);
    sim_run_for(s, 10 * SECOND);
    for (size_t i = 0; i < STORY_SESSIONS; i++)
        story_expect_completions(s, story_session(s, "sleep", i), 2);
    story_cut_client(s, false);
    story_end(s, load);
}

static void everybody_leaves_at_once(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    story_send_for(s, load, 3 * SECOND);
    sim_run_for(s, SECOND);
    for (size_t i = 0; i < s->config.nodes; i++)
        sim_node_leave(s, i);
    sim_run_for(s, 10 * SECOND);
    story_end(s, load);
}

static void a_run_that_does_not_end_is_cancelled_and_runs_again_without_an_attempt(struct sim *s)
{
    story_settle(s);
    struct item *item = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x27\x10")); /* 10 s */
    story_await_said(s, "starts run");
    size_t owner = story_owner(s, "sleep-2");
    sim_run_for(s, 100 * MILLISECOND);
    uint64_t asked_us = s->now_us;
    sim_node_gone(s, owner);
    leave(s, owner);
    if (s->now_us < asked_us + STORY_FINISH_MS * MILLISECOND ||
        s->now_us > asked_us + STORY_FINISH_MS * MILLISECOND + STORY_LEASE)
        sim_broken(s, "scenario", "leaving took %llu ms", (unsigned long long)(s->now_us - asked_us) / 1000);
    story_await_said(s, "starts run");
    story_expect(s, "attempts of the input", checks_attempts(s, "sleep-2"), 1);
    story_await(s, item);
    story_expect_completions(s, "sleep-2", 1);
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 2);
}

static void ask_to_drain(struct sim *s, size_t node, const char *id)
{
    struct mk_command command = {.h = {.id = span_of(id), .ts = 1},
                                 .op = MK_OP_DRAIN,
                                 .op_text = span_of(mk_op_name(MK_OP_DRAIN)),
                                 .reply_to = SPAN_LIT("c1")};
    struct topic topic = {.class = TOPIC_NODE, .name = span_of(s->nodes[node]->name)};
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    command_pack(&frame, &command);
    sim_bus_send(s, s->config.nodes, buf_span(&frame));
    buf_fini(&frame);
}

static void a_drain_is_answered_once_everything_is_handed_over(struct sim *s)
{
    struct story_load *load = story_load_new(s, "echo", ONE);
    story_settle(s);
    story_send_for(s, load, 3 * SECOND);
    sim_run_for(s, SECOND);
    size_t node = story_richest(s), owned = story_owned(s, node);
    uint64_t before = story_moves(s);
    sim_run_for(s, 5 * MILLISECOND);
    ask_to_drain(s, node, "drain-1");
    sim_run_for(s, MILLISECOND);
    ask_to_drain(s, node, "drain-2"); /* somebody else asks, too */
    story_await_said(s, "has left");
    sim_run_for(s, 20 * MILLISECOND);
    story_expect(s, "partitions that moved", story_moves(s) - before, owned);
    sim_expect(s, "given away");
    sim_expect(s, "command drain-1 of : ok");
    sim_expect(s, "command drain-2 of : ok");
    sim_expect(s, "has left");
    story_await_all(s, load);
    story_expect_smooth(s, load);
    story_end(s, load);
}

/* --- joining --- */

static void a_node_that_joins_gets_its_share_and_nothing_else_moves(struct sim *s)
{
    size_t joiner = s->config.nodes - 1;
    struct story_load *load = story_load_new(s, "echo", ONE);
    story_settle(s);
    story_send_for(s, load, 10 * SECOND);
    sim_run_for(s, SECOND);
    uint64_t before = story_moves(s);
    sim_node_start(s, joiner);
    sim_run_for(s, 8 * SECOND);
    story_settle(s);
    story_expect(s, "partitions that moved", story_moves(s) - before, story_owned(s, joiner));
    story_await_all(s, load);
    story_expect_smooth(s, load);
    story_end(s, load);
}

/* --- links --- */

static void cut_and_heal(struct sim *s, unsigned ways, bool store)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    size_t node = story_richest(s);
    story_send_for(s, load, 12 * SECOND);
    sim_run_for(s, SECOND);
    sim_bus_cut_ways(s, node, ways);
    if (store)
        sim_store_cut(s, node, true);
    sim_run_for(s, 6 * STORY_LEASE);
    story_expect(s, "partitions of a node that is cut off", story_owned(s, node), 0);
    sim_bus_cut(s, node, false);
    sim_store_cut(s, node, false);
    sim_run_for(s, 6 * SECOND);
    story_end(s, load);
}

static void a_node_that_hears_nothing_gives_its_partitions_away(struct sim *s)
{
    cut_and_heal(s, WAY_IN, false);
}

static void a_node_that_is_not_heard_gives_its_partitions_away(struct sim *s)
{
    cut_and_heal(s, WAY_OUT, false);
}

static void a_node_cut_off_the_store_loses_its_partitions(struct sim *s)
{
    cut_and_heal(s, 0, true);
}

static void a_node_cut_off_everything_loses_its_partitions(struct sim *s)
{
    cut_and_heal(s, WAY_BOTH, true);
}

/* --- another life of the store, another owner --- */

/* A heartbeat by hand: somebody says that they own this partition, since this fence, with so many commits. */
static void say_owned(struct sim *s, uint32_t partition, struct span history, uint64_t fence, uint64_t sequence)
{
    struct mk_owned owned = {partition, history, fence, sequence};
    struct mk_heartbeat beat = {.node = SPAN_LIT("ghost"),
                                .incarnation = SPAN_LIT("00000000000000000000000000000001"),
                                .phase = SPAN_LIT("working"),
                                .partitions_total = s->config.partitions,
                                .owned = &owned,
                                .owned_count = 1};
    struct topic topic = {.class = TOPIC_HB, .name = beat.node};
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    heartbeat_pack(&frame, SPAN_LIT("h1"), 1, &beat);
    sim_bus_send(s, s->config.nodes, sim_copy(s, buf_span(&frame)));
    buf_fini(&frame);
}

static void a_higher_fence_is_heard_and_the_store_knows_nothing_of_it(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    story_send_for(s, load, 6 * SECOND);
    sim_run_for(s, SECOND);
    const struct seen_lease *lease =
        &s->checks->partitions[partition_of(SPAN_LIT("counter-0"), STORY_PARTITIONS)].lease;
    uint64_t told = lease->fence + 500000000, before = story_moves(s);
    say_owned(s, partition_of(SPAN_LIT("counter-0"), STORY_PARTITIONS), lease->history, told, lease->sequence);
    sim_run_for(s, 2 * SECOND);
    story_expect(s, "partitions that moved", story_moves(s) - before, 0);
    size_t owner = story_owner(s, "counter-0");
    sim_node_crash(s, owner); /* the next fence is above what was heard */
    sim_node_gone(s, owner);
    story_await_all(s, load);
    if (lease->fence <= told)
        sim_broken(s, "scenario", "the fence %llu is not above the one heard", (unsigned long long)lease->fence);
    story_end(s, load);
}

static void an_old_owner_is_heard_and_nothing_follows(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    story_send_for(s, load, 3 * SECOND);
    sim_run_for(s, SECOND);
    const struct seen_lease *lease =
        &s->checks->partitions[partition_of(SPAN_LIT("counter-0"), STORY_PARTITIONS)].lease;
    uint64_t before = story_moves(s);
    say_owned(s, partition_of(SPAN_LIT("counter-0"), STORY_PARTITIONS), lease->history, lease->fence - 1000, 1);
    sim_run_for(s, 2 * SECOND);
    story_expect(s, "partitions that moved", story_moves(s) - before, 0);
    story_end(s, load);
}

static void await_suspended(struct sim *s)
{
    story_await_said(s, "holds and does not work on partition");
    sim_run_for(s, 3 * STORY_LEASE);
}

/* The store goes back behind commits that were answered: the owner holds what it has and says so. */
static void a_store_that_lost_its_tail_under_its_owner_is_reported(struct sim *s)
{
    story_settle(s);
    story_first_input(s, "counter-0");
    sim_store_remember(s);
    story_first_input(s, "counter-0");
    s->checks->blind = true;
    sim_store_forget(s);
    struct item *third = sim_send(s, "counter-0", ONE);
    await_suspended(s);
    if (sim_item_accepted(third) || sim_item_closed(third))
        sim_broken(s, "L26", "an input was answered over a store that lost its tail");
}

/* The owner, not heard any more, commits; the store forgets it, and another begins below. When it comes back it is the
 * only one that knows. */
static void a_store_that_lost_its_tail_and_went_to_another_is_reported_by_who_knows_more(struct sim *s)
{
    story_settle(s);
    story_first_input(s, "counter-0");
    size_t owner = story_owner(s, "counter-0");
    sim_store_remember(s);
    sim_bus_cut_ways(s, owner, WAY_OUT);
    uint64_t before = checks_completions(s, "counter-0");
    struct item *second = sim_send(s, "counter-0", ONE);
    sim_run_for(s, 200 * MILLISECOND);
    story_expect_completions(s, "counter-0", before + 1);
    s->checks->blind = true;
    sim_store_cut(s, owner, true);
    sim_store_forget(s);
    story_await(s, second); /* of the other, which knows nothing of its first life */
    sim_run_for(s, STORY_LEASE);
    sim_expect_none(s, "suspended");
    sim_bus_cut(s, owner, false);
    sim_store_cut(s, owner, false);
    story_await_said(s, sim_text(s, "%s > holds and does not work on partition", s->nodes[owner]->name).at);
    sim_expect(s, "ERROR partition suspended");
    sim_expect(s, "ERROR session suspended");
    story_await(s, sim_send(s, "counter-0", ONE)); /* the other goes on */
}

/* The same, but nothing was lost: the other began where it ended. */
static void an_owner_that_was_cut_off_drops_what_another_has_taken_whole(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    story_settle(s);
    story_send_for(s, load, 8 * SECOND);
    sim_run_for(s, SECOND);
    size_t owner = story_richest(s);
    sim_store_cut(s, owner, true);
    sim_run_for(s, 3 * STORY_LEASE);
    sim_store_cut(s, owner, false);
    story_end(s, load);
    sim_expect(s, "partitions lost");
    sim_expect_none(s, "suspended");
}

/* The owner died; another claims over a store that is behind what the dead one said on the bus. */
static void a_store_that_lost_its_tail_is_reported_by_the_next_owner(struct sim *s)
{
    story_settle(s);
    story_first_input(s, "counter-0");
    sim_store_remember(s);
    story_first_input(s, "counter-0");
    sim_run_for(s, SECOND); /* a heartbeat has said it */
    size_t owner = story_owner(s, "counter-0");
    s->checks->blind = true;
    sim_store_forget(s);
    sim_node_crash(s, owner);
    sim_node_gone(s, owner);
    struct item *third = sim_send(s, "counter-0", ONE);
    await_suspended(s);
    if (sim_item_accepted(third) || sim_item_closed(third))
        sim_broken(s, "L26", "an input was answered over a store that lost its tail");
}

static const struct story stories[] = {
#define STORY(nodes, name)                                                                                             \
    {                                                                                                                  \
#name, nodes, name                                                                                             \
    }
    STORY(3, waiting_work_of_a_dead_owner_runs_on_the_others_in_one_burst),
    STORY(3, what_the_first_in_rank_cannot_claim_the_next_one_does),
    STORY(3, a_dead_owner_is_followed_though_the_clock_of_the_store_is_wrong),
    STORY(3, an_owner_paused_beyond_its_lease_comes_back_under_load),
    STORY(3, the_runs_of_a_paused_owner_are_dead_when_others_take_over),
    STORY(3, two_nodes_leave_one_after_the_other_under_load),
    STORY(5, all_but_one_leave_at_once),
    STORY(1, the_last_node_leaves_and_its_work_is_found_when_it_comes_back),
    STORY(3, everybody_leaves_at_once),
    STORY(3, a_drain_is_answered_once_everything_is_handed_over),
    STORY(2, a_run_that_does_not_end_is_cancelled_and_runs_again_without_an_attempt),
    STORY(3, a_node_that_hears_nothing_gives_its_partitions_away),
    STORY(3, a_node_that_is_not_heard_gives_its_partitions_away),
    STORY(3, a_node_cut_off_the_store_loses_its_partitions),
    STORY(3, a_node_cut_off_everything_loses_its_partitions),
    STORY(3, a_higher_fence_is_heard_and_the_store_knows_nothing_of_it),
    STORY(3, an_old_owner_is_heard_and_nothing_follows),
    STORY(2, a_store_that_lost_its_tail_under_its_owner_is_reported),
    STORY(2, a_store_that_lost_its_tail_is_reported_by_the_next_owner),
    STORY(2, a_store_that_lost_its_tail_and_went_to_another_is_reported_by_who_knows_more),
    STORY(3, an_owner_that_was_cut_off_drops_what_another_has_taken_whole),
#undef STORY
};

static void config_joining(struct sim_config *c)
{
    story_config_cluster(c);
    c->absent = 1;
}

static const struct story joining[] = {
#define STORY(nodes, name)                                                                                             \
    {                                                                                                                  \
#name, nodes, name                                                                                             \
    }
    STORY(2, a_node_that_joins_gets_its_share_and_nothing_else_moves),
    STORY(4, a_node_that_joins_gets_its_share_and_nothing_else_moves),
    STORY(7, a_node_that_joins_gets_its_share_and_nothing_else_moves),
#undef STORY
};

size_t scenarios_cluster_run(const struct telling *how, size_t *failed)
{
    return stories_tell(stories, sizeof stories / sizeof *stories, story_config_cluster, STORY_TELLINGS, how, failed) +
           stories_tell(joining, sizeof joining / sizeof *joining, config_joining, STORY_TELLINGS, how, failed);
}
