/* Stories of a partition on its way from one node to another, disturbed at each step: who dies, what is lost, what is
 * refused. Each is told with several seeds, and all invariants watch. */
#include "codec/message.h"
#include "codec/topic.h"
#include "node/core/crc16.h"
#include "tests/sim/story.h"

/* --- hand-over, disturbed --- */

static void begin_leave(struct sim *s, struct story_load *load, size_t *owner)
{
    story_settle(s);
    story_send_for(s, load, 6 * SECOND);
    sim_run_for(s, SECOND);
    *owner = story_richest(s);
    sim_node_leave(s, *owner);
}

static size_t other_than(const struct sim *s, size_t node)
{
    return (node + 1) % s->config.nodes;
}

static void the_successor_dies_when_it_was_offered(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    story_await_said(s, "offers partition");
    sim_node_crash(s, other_than(s, owner));
    story_end(s, load);
}

static void the_successor_dies_when_it_has_kept_inputs(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    story_await_said(s, "keeps what arrives for partition");
    sim_run_for(s, sim_between(s, 0, 20) * MILLISECOND);
    sim_node_crash(s, other_than(s, owner));
    story_end(s, load);
}

static void the_successor_dies_when_it_may_claim(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    story_await_said(s, "has released partition");
    sim_node_crash(s, other_than(s, owner));
    story_end(s, load);
}

static void the_owner_dies_behind_its_offer(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    story_await_said(s, "offers partition");
    sim_run_for(s, sim_between(s, 0, 5000));
    sim_node_crash(s, owner);
    story_end(s, load);
}

static void the_owner_dies_behind_its_release(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    story_await_said(s, "store > release");
    sim_node_crash(s, owner);
    story_end(s, load);
}

static void the_owner_is_paused_while_it_settles(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    story_await_said(s, "keeps what arrives for partition");
    sim_run_for(s, sim_between(s, 0, 3000));
    sim_node_pause(s, owner, 2 * STORY_LEASE);
    story_end(s, load);
}

static void the_answer_to_a_release_is_lost(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_RELEASE, 0, 1);
    begin_leave(s, load, &owner);
    story_await_said(s, "has left");
    story_end(s, load);
}

static void a_release_is_refused_for_a_while(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    sim_fail_call(s, FAULT_STORE_REFUSES, SCRIPT_RELEASE, 0, 3);
    begin_leave(s, load, &owner);
    story_await_said(s, "has left");
    story_end(s, load);
}

/* --- what was begun is finished first --- */

/* What the old owner has taken is answered and published by it, however slow the store. */
static void slow_commits_are_waited_for(struct sim *s)
{
    struct story_load *load = story_load_new(s, "echo", ONE);
    story_settle(s);
    s->config.slow_ms = 60;
    s->rate[FAULT_STORE_SLOW] = 300000;
    for (size_t i = 0; i < 3; i++)
        story_send_for(s, load, 3 * SECOND);
    sim_run_for(s, SECOND);
    sim_node_leave(s, story_richest(s));
    story_await_said(s, "has left");
    story_await_all(s, load);
    s->rate[FAULT_STORE_SLOW] = 0;
    story_expect_smooth(s, load);
    story_expect(s, "events published again", s->totals.repeated, 0);
    story_end(s, load);
}

/* A renewal comes so late that for a moment nothing may leave; just then the node is to leave. */
static void what_waits_for_a_safe_lease_leaves_before_its_partition(struct sim *s)
{
    struct story_load *load = story_load_new(s, "echo", ONE);
    story_settle(s);
    size_t owner = story_richest(s);
    sim_fail_node_call(s, FAULT_STORE_REFUSES, owner, SCRIPT_RENEW, 6);
    story_await_said(s, "renew of"); /* refused, six times, every 100 ms */
    for (size_t i = 0; i < 4; i++)
        story_send_for(s, load, 2 * SECOND);
    sim_run_for(s, 540 * MILLISECOND + sim_between(s, 0, 60) * MILLISECOND);
    sim_node_leave(s, owner);
    story_await_said(s, "has left");
    story_end(s, load);
    story_expect(s, "events published again", s->totals.repeated, 0);
}

/* While its release is on its way an input's deadline passes; then the release fails. */
static void what_comes_due_during_a_release_does_not_hold_up_the_next_one(struct sim *s)
{
    struct mk_input input = {.session = SPAN_LIT("counter-0"),
                             .kind = MK_PROMPT,
                             .origin = MK_EXTERNAL,
                             .body = ONE,
                             .executor = SPAN_LIT("counter"),
                             .deadline_ms = 120,
                             .transcript_eligible = true,
                             .operator_eligible = true};
    story_settle(s);
    struct item *item = sim_send_input(s, &input); /* wakes nobody: it waits for its deadline */
    story_await_said(s, "is accepted");
    sim_run_for(s, 20 * MILLISECOND);
    sim_fail_call(s, FAULT_STORE_SLOW, SCRIPT_RELEASE, 0, 1);
    sim_fail_call(s, FAULT_STORE_LOST_BEFORE, SCRIPT_RELEASE, 0, 1);
    sim_node_leave(s, story_owner(s, "counter-0"));
    story_await_said(s, "has left");
    story_await(s, item);
    story_expect_completions(s, "counter-0", 1); /* which says that it was too late */
}

/* --- claims --- */

static void a_claim_whose_answer_was_lost_is_made_again_at_once(struct sim *s)
{
    story_settle(s);
    size_t owner = story_owner(s, "counter-0");
    sim_node_crash(s, owner);
    sim_node_gone(s, owner);
    struct item *item = sim_send(s, "counter-0", ONE);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_CLAIM, 0, 1);
    sim_run_for(s, STORY_LEASE + 600 * MILLISECOND); /* at most 200 of it to connect again */
    if (!checks_owned(s))
        sim_broken(s, "scenario", "nobody works on what was claimed");
    story_await(s, item);
}

static void who_leaves_gives_back_what_it_claimed_without_an_answer(struct sim *s)
{
    story_settle(s);
    size_t owner = story_owner(s, "counter-0"), other = (owner + 1) % s->config.nodes;
    sim_node_crash(s, owner);
    sim_node_gone(s, owner);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_CLAIM, 0, 1);
    story_await_said(s, "store > claim of");
    story_await_said(s, "store connected");
    sim_run_for(s, sim_between(s, 0, 3000));
    sim_node_leave(s, other);
    story_await_said(s, "has left"); /* and owns nothing: checks_left */
    story_await(s, sim_send(s, "counter-0", ONE));
}

/* Heartbeats that say this of any partition; one in so many gets through. */
struct muffle {
    enum said what;
    unsigned one_in, heard;
};

static bool says(struct span map, enum said what)
{
    struct mk_heartbeat beat;
    struct heartbeat_lists lists;
    struct mk_handing handing;
    uint32_t partition;
    if (heartbeat_read(map, &beat, &lists, NULL) != MK_ERR_OK)
        return false;
    while (handing_next(&lists.handing, &handing))
        if (handing.released ? what == SAID_RELEASED : what == SAID_OFFERED)
            return true;
    return what == SAID_EXPECTING && partition_next(&lists.expecting, &partition);
}

static bool muffled(struct sim *s, size_t from, size_t to, struct span frame)
{
    struct span text, map;
    struct topic topic;
    struct muffle *muffle = s->story;
    if (frame_split(frame, &text, &map) != MK_ERR_OK || topic_parse(text, &topic) != MK_ERR_OK ||
        topic.class != TOPIC_HB || from == to || !says(map, muffle->what))
        return false;
    return !muffle->one_in || ++muffle->heard % muffle->one_in;
}

static void muffle(struct sim *s, enum said what, unsigned one_in)
{
    struct muffle *muffle = sim_alloc(s, sizeof *muffle);
    *muffle = (struct muffle){.what = what, .one_in = one_in};
    s->story = muffle;
    sim_bus_lose(s, muffled);
}

static void leave_muffled(struct sim *s, enum said what, unsigned one_in)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    muffle(s, what, one_in);
    begin_leave(s, load, &owner);
    story_await_said(s, "has left");
    story_end(s, load);
}

/* An owner that may not renew is passed over. Who claims its partitions wants to give them back, since it is a member,
 * before it has read their sessions; then that one leaves. */
static void a_hand_over_is_called_off_and_a_run_that_was_found_starts_after_all(struct sim *s)
{
    story_settle(s);
    struct item *item = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x0f\xa0")); /* 4 s */
    story_await_said(s, "starts run");
    size_t old = story_owner(s, "sleep-2");
    sim_fail_node_call(s, FAULT_STORE_REFUSES, old, SCRIPT_RENEW, 100);
    while (!sim_is_broken(s) && story_owner(s, "sleep-2") == old && sim_step(s))
        ;
    sim_fail_node_call(s, FAULT_STORE_REFUSES, story_owner(s, "sleep-2"), SCRIPT_LOAD, 4); /* read again each 100 ms */
    muffle(s, SAID_EXPECTING, 0);
    uint32_t partition = partition_of(SPAN_LIT("sleep-2"), s->config.partitions);
    story_await_said(s, sim_text(s, "offers partition %u to %s", partition, s->nodes[old]->name).at);
    sim_run_for(s, 150 * MILLISECOND);
    sim_node_leave(s, old);
    sim_node_gone(s, old);
    story_await(s, item);
    story_expect_completions(s, "sleep-2", 1);
}

static void most_offers_are_lost(struct sim *s)
{
    leave_muffled(s, SAID_OFFERED, 3);
}

static void no_offer_is_heard(struct sim *s)
{
    leave_muffled(s, SAID_OFFERED, 0);
}

static void most_acknowledgements_are_lost(struct sim *s)
{
    leave_muffled(s, SAID_EXPECTING, 3);
}

static void no_acknowledgement_is_heard(struct sim *s)
{
    leave_muffled(s, SAID_EXPECTING, 0);
}

static void most_words_of_a_release_are_lost(struct sim *s)
{
    leave_muffled(s, SAID_RELEASED, 3);
}

static void no_word_of_a_release_is_heard(struct sim *s)
{
    leave_muffled(s, SAID_RELEASED, 0);
}

static void the_owner_cannot_speak_while_it_leaves(struct sim *s)
{
    struct story_load *load = story_load_new(s, "counter", ONE);
    size_t owner;
    begin_leave(s, load, &owner);
    sim_bus_cut_ways(s, owner, WAY_OUT);
    story_await_said(s, "has left");
    sim_bus_cut(s, owner, false);
    story_end(s, load);
}

static const struct story stories[] = {
#define STORY(nodes, name)                                                                                             \
    {                                                                                                                  \
#name, nodes, name                                                                                             \
    }
    STORY(2, the_successor_dies_when_it_was_offered),
    STORY(3, the_successor_dies_when_it_has_kept_inputs),
    STORY(3, the_successor_dies_when_it_may_claim),
    STORY(3, the_owner_dies_behind_its_offer),
    STORY(3, the_owner_dies_behind_its_release),
    STORY(3, the_owner_is_paused_while_it_settles),
    STORY(3, the_answer_to_a_release_is_lost),
    STORY(3, a_release_is_refused_for_a_while),
    STORY(3, slow_commits_are_waited_for),
    STORY(2, what_comes_due_during_a_release_does_not_hold_up_the_next_one),
    STORY(2, a_claim_whose_answer_was_lost_is_made_again_at_once),
    STORY(2, who_leaves_gives_back_what_it_claimed_without_an_answer),
    STORY(3, what_waits_for_a_safe_lease_leaves_before_its_partition),
    STORY(3, a_hand_over_is_called_off_and_a_run_that_was_found_starts_after_all),
    STORY(3, most_offers_are_lost),
    STORY(3, no_offer_is_heard),
    STORY(3, most_acknowledgements_are_lost),
    STORY(3, no_acknowledgement_is_heard),
    STORY(3, most_words_of_a_release_are_lost),
    STORY(3, no_word_of_a_release_is_heard),
    STORY(3, the_owner_cannot_speak_while_it_leaves),
#undef STORY
};

size_t scenarios_handover_run(const struct telling *how, size_t *failed)
{
    return stories_tell(stories, sizeof stories / sizeof *stories, story_config_cluster, STORY_TELLINGS, how, failed);
}
