/* Stories of ownership, recovery and what must not count: between two lives of a node, or two nodes over one store.
 * Each is told with several seeds, which decide what comes first where things happen at once. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/message.h"
#include "codec/topic.h"
#include "node/core/crc16.h"
#include "tests/sim/invariants.h"

#define ONE      SPAN_LIT("\x01")
#define TELLINGS 8            /* seeds a story */
#define LEASE    (1 * SECOND) /* as sim_config_calm says */

/* --- telling --- */

static void await(struct sim *s, const struct item *item)
{
    uint64_t end_us = s->now_us + 30 * SECOND;
    while (!sim_item_closed(item) && !sim_is_broken(s) && s->now_us < end_us)
        sim_run_for(s, 5 * MILLISECOND);
    if (!sim_item_closed(item))
        sim_broken(s, "scenario", "%.*s got no answer in 30 s", SPAN_ARGS(sim_item_id(item)));
}

static void await_said(struct sim *s, const char *text)
{
    uint64_t end_us = s->now_us + 30 * SECOND;
    while (!sim_is_broken(s) && s->now_us < end_us) {
        uint64_t lines = s->trace_count;
        if (!sim_step(s))
            break;
        for (; lines < s->trace_count; lines++)
            if (strstr(s->trace[lines % TRACE_LINES], text))
                return;
    }
    sim_broken(s, "scenario", "nobody said \"%s\" in 30 s", text);
}

static void expect_completions(struct sim *s, const char *session, uint64_t wanted)
{
    uint64_t is = checks_completions(s, session);
    if (!sim_is_broken(s) && is != wanted)
        sim_broken(s, "scenario", "%s has %llu completions, not %llu", session, (unsigned long long)is,
                   (unsigned long long)wanted);
}

static void first_input(struct sim *s, const char *session)
{
    await(s, sim_send(s, session, ONE));
}

static size_t owner_of(struct sim *s, const char *session)
{
    uint32_t partition = partition_of(span_of(session), s->config.partitions);
    struct span owner = s->checks->partitions[partition].lease.node;
    for (size_t i = 0; i < s->config.nodes; i++)
        if (span_is(owner, s->nodes[i]->name))
            return i;
    sim_broken(s, "scenario", "nobody owns %s", session);
    return 0;
}

static void cut_client(struct sim *s, bool cut)
{
    sim_bus_cut(s, s->config.nodes, cut);
}

/* Another counter in the partition of counter-0. */
static const char *neighbour(struct sim *s)
{
    uint32_t partition = partition_of(SPAN_LIT("counter-0"), s->config.partitions);
    for (unsigned n = 4;; n += 4) {
        struct span name = sim_text(s, "counter-%u", n);
        if (partition_of(name, s->config.partitions) == partition)
            return name.at;
    }
}

/* --- two nodes --- */

static void the_commit_of_a_node_that_lost_its_lease_changes_nothing(struct sim *s)
{
    first_input(s, "counter-0");
    size_t owner = owner_of(s, "counter-0");
    sim_fail_call(s, FAULT_STORE_LATE, SCRIPT_COMMIT, 0, 1);
    struct item *second = sim_send(s, "counter-0", ONE);
    await_said(s, "store connection ended");
    sim_node_pause(s, owner, 6 * SECOND);
    cut_client(s, true); /* the other node owns, and has nothing to commit when the late commit comes */
    sim_run_for(s, 5 * SECOND);
    cut_client(s, false);
    await(s, second);
    sim_run_for(s, 3 * SECOND);
    expect_completions(s, "counter-0", 2);
    checks_end(s);
}

static void what_waited_to_leave_when_the_lease_was_lost_never_leaves(struct sim *s)
{
    first_input(s, "counter-0");
    size_t owner = owner_of(s, "counter-0");
    struct item *second = sim_send(s, "counter-0", ONE);
    await_said(s, "store > commit");
    sim_node_pause(s, owner, 4 * LEASE);
    await(s, second);
    sim_run_for(s, 4 * LEASE);
    expect_completions(s, "counter-0", 2);
    checks_end(s);
}

static void a_node_that_died_is_followed_by_the_other(struct sim *s)
{
    first_input(s, "sleep-2");
    size_t owner = owner_of(s, "sleep-2");
    struct item *second = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x01\xf4")); /* 500 ms */
    await_said(s, "c1-2 of sleep-2 is accepted");
    sim_run_for(s, 100 * MILLISECOND);
    sim_node_crash(s, owner);
    await(s, second);
    expect_completions(s, "sleep-2", 2);
    sim_run_for(s, SECOND);
    checks_end(s);
}

/* --- one node, answers that come too late --- */

static void a_claim_answered_after_its_lease_ran_out_lets_nothing_leave(struct sim *s)
{
    first_input(s, "counter-0"); /* its last events lie behind the mark: the next life publishes them again */
    sim_node_crash(s, 0);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_RENEW, 0, 1);
    await_said(s, "store > claim of n1");
    sim_node_pause(s, 0, LEASE + sim_between(s, 1, 50) * MILLISECOND);
    await(s, sim_send(s, "counter-0", ONE));
    expect_completions(s, "counter-0", 2);
}

static void a_renewal_answered_after_its_lease_ran_out_lets_nothing_leave(struct sim *s)
{
    first_input(s, "counter-0");
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1); /* a renewal comes to stand behind it */
    struct item *second = sim_send(s, "counter-0", ONE);
    await_said(s, "store > commit of n1");
    sim_run_for(s, MILLISECOND / 10);
    sim_node_pause(s, 0, LEASE + sim_between(s, 1, 50) * MILLISECOND);
    await(s, second);
    expect_completions(s, "counter-0", 2);
}

/* --- one node, what must be found and what must not count --- */

static void unfinished_work_is_found_without_its_publisher(struct sim *s)
{
    struct item *item = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x01\xf4"));
    await_said(s, "c1-1 of sleep-2 is accepted");
    cut_client(s, true);
    sim_node_crash(s, 0);
    sim_run_for(s, 8 * SECOND);
    expect_completions(s, "sleep-2", 1);
    cut_client(s, false);
    await(s, item);
}

static void a_result_told_twice_is_not_the_next_runs(struct sim *s)
{
    first_input(s, "counter-0");
    sim_fail(s, FAULT_RUN_TWICE, 0, 1);
    struct item *items[3];
    for (size_t i = 0; i < 3; i++)
        items[i] = sim_send(s, "counter-0", SPAN_LIT("\x05"));
    for (size_t i = 0; i < 3; i++)
        await(s, items[i]);
    expect_completions(s, "counter-0", 4);
}

static void the_result_of_an_attempt_that_died_does_not_end_the_next(struct sim *s)
{
    first_input(s, "sleep-2");
    sim_fail(s, FAULT_RUN_LATE, 0, 1);
    struct item *long_one = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x17\x70")); /* 6 s: another life runs it meanwhile */
    await_said(s, "c1-2 of sleep-2 is accepted");
    struct item *next = sim_send(s, "sleep-2", ONE);
    sim_run_for(s, 100 * MILLISECOND);
    sim_node_crash(s, 0);
    await(s, long_one);
    await(s, next);
    expect_completions(s, "sleep-2", 3);
}

/* Two sessions of one partition: the second's commit is on its way behind the first's, which is refused. */
static void a_refused_commit_takes_the_one_behind_it_back(struct sim *s)
{
    const char *other = neighbour(s);
    first_input(s, "counter-0");
    first_input(s, other);
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_COMMIT, 0, 1);
    struct item *one = sim_send(s, "counter-0", ONE);
    sim_run_for(s, 4 * MILLISECOND);
    struct item *two = sim_send(s, other, ONE);
    await(s, one);
    await(s, two);
    expect_completions(s, "counter-0", 2);
    expect_completions(s, other, 2);
    checks_end(s);
}

/* The first of two commits was applied, its answer lost, its repeat refused for a while; the second stands, and a third
 * comes. */
static void the_mark_stays_below_a_commit_whose_outcome_is_not_known(struct sim *s)
{
    const char *other = neighbour(s);
    first_input(s, "counter-0");
    first_input(s, other);
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_COMMIT, 0, 1);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_COMMIT, 0, 1);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_COMMIT, 1, 1); /* the one lost is not asked */
    struct item *one = sim_send(s, "counter-0", ONE);
    sim_run_for(s, 4 * MILLISECOND);
    struct item *two = sim_send(s, other, ONE);
    await(s, one);
    await(s, two);
    checks_end(s);
}

static void a_claim_repeated_after_its_lease_ran_out_lets_nothing_leave(struct sim *s)
{
    first_input(s, "counter-0");
    sim_node_crash(s, 0);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_CLAIM, 0, 1);
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_RENEW, 0, 1);
    await_said(s, "store > claim of n1");
    sim_store_down(s, LEASE + sim_between(s, 1, 50) * MILLISECOND);
    await(s, sim_send(s, "counter-0", ONE));
    expect_completions(s, "counter-0", 2);
}

static void a_session_registered_again_by_the_next_owner_runs_under_its_fence(struct sim *s)
{
    first_input(s, "echo-1");
    await(s, sim_command(s, "echo-1", MK_OP_STOP));
    await(s, sim_command(s, "echo-1", MK_OP_UNREGISTER));
    sim_node_crash(s, 0);
    await(s, sim_command(s, "echo-1", MK_OP_REGISTER));
    await(s, sim_send(s, "echo-1", ONE));
    expect_completions(s, "echo-1", 2);
}

/* Sent by hand: the frame says partition p, the session lies in another. */
static void an_input_on_the_topic_of_another_partition_is_refused(struct sim *s)
{
    first_input(s, "counter-0");
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
    await_said(s, "is rejected, wrong_partition");
    sim_run_for(s, SECOND);
    expect_completions(s, "counter-0", 1);
}

static const struct {
    const char *name;
    size_t nodes;
    void (*run)(struct sim *s);
} stories[] = {
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
    STORY(1, an_input_on_the_topic_of_another_partition_is_refused),
#undef STORY
};

static bool tell(size_t index, uint64_t seed, bool verbose)
{
    struct sim_config config;
    sim_config_calm(&config);
    config.nodes = stories[index].nodes;
    struct sim *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->keep = true;
    if (sim_init(s, seed, &config))
        stories[index].run(s);
    bool good = !sim_is_broken(s);
    if (!good || verbose)
        printf("%sscenario %s, telling %llu: %s\n", good || !s->kept ? "" : s->kept, stories[index].name,
               (unsigned long long)seed, good ? "passed" : s->broken);
    sim_fini(s);
    free(s);
    return good;
}

size_t scenarios_owner_run(size_t *failed, bool verbose)
{
    size_t passed = 0, count = sizeof stories / sizeof *stories;
    for (size_t i = 0; i < count; i++) {
        bool good = true;
        for (uint64_t seed = 1; seed <= TELLINGS && good; seed++)
            good = tell(i, seed, verbose);
        passed += good;
    }
    *failed += count - passed;
    return passed;
}
