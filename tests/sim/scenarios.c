/* Single stories with a golden trace: one fault where it hurts most, and what must follow, in order. */
#include <stdio.h>
#include <stdlib.h>

#include "node/core/crc16.h"
#include "tests/sim/story.h"

/* Whether the store remembers the input of the first counter. */
static uint64_t remembered(struct sim *s, const struct item *item)
{
    struct fact_record fact;
    return checks_fact(s, SPAN_LIT("counter-0"), FACT_INPUT, sim_item_id(item), &fact);
}

/* --- the stories --- */

static void an_input_is_answered_once_stored_and_completed_once_run(struct sim *s)
{
    struct item *item = sim_send(s, "counter-0", ONE);
    story_await_as(s, item, "completed");
    sim_expect(s, "c1 > sends c1-1");
    sim_expect(s, "store > commit of n1");
    sim_expect(s, "c1-1 of counter-0 is accepted");
    sim_expect(s, "store > commit of n1");
    sim_expect(s, "c1-1 is completed");
    story_expect(s, "completions", checks_completions(s, "counter-0"), 1);
}

static void a_commit_whose_reply_is_lost_is_sent_again_and_answered_once(struct sim *s)
{
    sim_run_for(s, SECOND);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_COMMIT, 0, 1);
    struct item *item = sim_send(s, "counter-0", ONE);
    story_await_as(s, item, "completed");
    sim_expect(s, "store > commit of n1");
    sim_expect(s, "store connection ended, 1 in flight");
    sim_expect(s, "store connected");
    sim_expect(s, "store > commit of n1");
    sim_expect(s, "c1-1 of counter-0 is accepted");
    sim_expect_none(s, "c1-1 of counter-0 is accepted");
    story_expect(s, "completions", checks_completions(s, "counter-0"), 1);
}

static void a_commit_that_was_lost_before_its_execution_is_sent_again(struct sim *s)
{
    sim_run_for(s, SECOND);
    sim_fail_call(s, FAULT_STORE_LOST_BEFORE, SCRIPT_COMMIT, 0, 1);
    struct item *item = sim_send(s, "counter-0", ONE);
    story_await_as(s, item, "completed");
    story_expect(s, "runs", checks_starts(s, "counter-0"), 1);
}

static void a_script_that_died_half_way_is_repeated(struct sim *s)
{
    sim_run_for(s, SECOND);
    sim_fail_call(s, FAULT_STORE_DIES, SCRIPT_COMMIT, 0, 1);
    struct item *item = sim_send(s, "counter-0", ONE);
    story_await_as(s, item, "completed");
    sim_expect(s, "died half-way");
    sim_expect(s, "store > commit of n1");
}

static void while_the_store_is_dead_nothing_is_acknowledged(struct sim *s)
{
    sim_run_for(s, SECOND);
    sim_store_down(s, 5 * SECOND);
    struct item *items[8];
    for (size_t i = 0; i < 8; i++)
        items[i] = sim_send(s, i % 2 ? "counter-0" : "echo-1", ONE);
    sim_expect(s, "store > down");
    uint64_t accepted = s->totals.accepted;
    sim_run_for(s, 4 * SECOND);
    story_expect(s, "accepted while the store is dead", s->totals.accepted - accepted, 0);
    for (size_t i = 0; i < 8; i++)
        story_await(s, items[i]);
    for (size_t i = 0; i < 8; i++)
        story_expect_answer(s, items[i], "completed");
}

static void the_tail_that_was_stored_and_not_published_is_published_by_the_next_life(struct sim *s)
{
    sim_run_for(s, SECOND);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_COMMIT, 1, 1); /* the second commit holds the completion */
    struct item *item = sim_send(s, "counter-0", ONE);
    while (!sim_is_broken(s) && !checks_completions(s, "counter-0") && sim_step(s))
        ;
    sim_node_crash(s, 0); /* stored, not published */
    sim_expect(s, "n1 > crashed");
    story_await(s, item);
    sim_expect(s, "n1 > starts, life 2");
    sim_expect(s, "counter-0: c1-1 is completed");
    story_expect(s, "completions", checks_completions(s, "counter-0"), 1);
    story_expect(s, "runs", checks_starts(s, "counter-0"), 1);
    sim_run_for(s, SECOND);
    checks_end(s);
}

static void a_crash_before_the_executor_starts_leaves_the_same_run_to_the_next_life(struct sim *s)
{
    sim_run_for(s, SECOND);
    sim_fail_call(s, FAULT_STORE_LOST_AFTER, SCRIPT_COMMIT, 0, 1); /* stored with its run; the reply never comes */
    struct item *item = sim_send(s, "counter-0", ONE);
    uint64_t commits = s->totals.commits;
    while (!sim_is_broken(s) && s->totals.commits == commits && sim_step(s))
        ;
    sim_node_crash(s, 0);
    story_expect(s, "runs of the first life", checks_starts(s, "counter-0"), 0);
    story_await_as(s, item, "completed");
    story_expect(s, "runs", checks_starts(s, "counter-0"), 1);
}

static void a_run_that_died_with_its_node_runs_again_and_counts_once(struct sim *s)
{
    sim_run_for(s, SECOND);
    struct item *item = sim_send(s, "sleep-2", SPAN_LIT("\xcd\x01\xf4")); /* 500 ms */
    story_await_said(s, "is accepted");
    sim_run_for(s, 100 * MILLISECOND);
    sim_node_crash(s, 0);
    story_await_as(s, item, "completed");
    sim_expect(s, "attempt 1");
    sim_expect(s, "n1 > crashed");
    sim_expect(s, "attempt 2");
    story_expect(s, "runs", checks_starts(s, "sleep-2"), 2);
    story_expect(s, "completions", checks_completions(s, "sleep-2"), 1);
}

static void two_inputs_with_one_key_are_one(struct sim *s)
{
    struct mk_input input = {
        .session = SPAN_LIT("counter-0"),
        .kind = MK_PROMPT,
        .origin = MK_EXTERNAL,
        .body = ONE,
        .executor = SPAN_LIT("counter"),
        .idem = SPAN_LIT("once"),
        .wake = true,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    struct item *first = sim_send_input(s, &input), *second = sim_send_input(s, &input);
    story_await(s, first);
    story_await(s, second);
    sim_expect(s, "is accepted");
    sim_expect(s, "is deduplicated");
    story_expect(s, "completions", checks_completions(s, "counter-0"), 1);
}

static void behind_a_failed_run_nothing_waits_for_a_wake(struct sim *s)
{
    sim_run_for(s, SECOND);
    struct item *bad = sim_send(s, "fail-3",
                                SPAN_LIT("\x81\xa3"
                                         "die\xc3"));
    struct item *good = sim_send(s, "fail-3", ONE);
    story_await(s, bad);
    story_await(s, good);
    story_expect_answer(s, bad, "abandoned_with_error");
    story_expect_answer(s, good, "completed");
}

static void a_node_paused_beyond_its_lease_leaves_one_history(struct sim *s)
{
    struct item *first = sim_send(s, "counter-0", ONE);
    story_await(s, first);
    sim_node_pause(s, 0, 3 * SECOND);
    struct item *second = sim_send(s, "counter-0", ONE);
    story_await_as(s, second, "completed");
    story_expect(s, "completions", checks_completions(s, "counter-0"), 2);
}

static void what_is_older_than_its_retention_is_forgotten_and_the_rest_stays(struct sim *s)
{
    struct item *old = sim_send(s, "counter-0", ONE);
    story_await(s, old);
    sim_run_for(s, 10 * 60 * SECOND);
    struct item *young = sim_send(s, "counter-0", ONE);
    story_await(s, young);
    story_expect(s, "remembered after 10 minutes", remembered(s, old) + remembered(s, young), 2);
    sim_run_for(s, 8 * 60 * SECOND);
    story_expect(s, "the old one is remembered after 18 minutes", remembered(s, old), 0);
    story_expect(s, "the young one is remembered after 18 minutes", remembered(s, young), 1);
    struct item *next = sim_send(s, "counter-0", ONE);
    story_await_as(s, next, "completed");
    story_expect(s, "completions", checks_completions(s, "counter-0"), 3);
}

static uint64_t done_once(struct sim *s, const struct item *item)
{
    struct fact_record fact;
    return checks_fact(s, SPAN_LIT("counter-0"), FACT_COMMAND, sim_item_id(item), &fact);
}

/* A command may leave no event at all: what it left in the outbox holds up nobody's published mark, and goes too. */
static void results_of_commands_are_forgotten_under_the_same_rule(struct sim *s)
{
    uint32_t partition = partition_of(SPAN_LIT("counter-0"), s->config.partitions);
    story_await(s, sim_command(s, "counter-0", MK_OP_REGISTER));
    struct item *old = sim_command(s, "counter-0", MK_OP_WAKE);
    story_await(s, old);
    uint64_t first = sim_store_first_entry(s, partition);
    sim_run_for(s, 10 * 60 * SECOND);
    struct item *young = sim_command(s, "counter-0", MK_OP_WAKE);
    story_await(s, young);
    story_expect(s, "remembered after 10 minutes", done_once(s, old) + done_once(s, young), 2);
    sim_run_for(s, 8 * 60 * SECOND);
    story_expect(s, "the old one is remembered after 18 minutes", done_once(s, old), 0);
    story_expect(s, "the young one is remembered after 18 minutes", done_once(s, young), 1);
    story_await(s, sim_command(s, "counter-0", MK_OP_WAKE));
    if (sim_store_first_entry(s, partition) <= first)
        sim_broken(s, "rule 8", "the outbox still has what is forgotten");
}

static const struct {
    const char *name;
    void (*run)(struct sim *s);
} stories[] = {
#define STORY(name)                                                                                                    \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    STORY(an_input_is_answered_once_stored_and_completed_once_run),
    STORY(a_commit_whose_reply_is_lost_is_sent_again_and_answered_once),
    STORY(a_commit_that_was_lost_before_its_execution_is_sent_again),
    STORY(a_script_that_died_half_way_is_repeated),
    STORY(while_the_store_is_dead_nothing_is_acknowledged),
    STORY(the_tail_that_was_stored_and_not_published_is_published_by_the_next_life),
    STORY(a_crash_before_the_executor_starts_leaves_the_same_run_to_the_next_life),
    STORY(a_run_that_died_with_its_node_runs_again_and_counts_once),
    STORY(two_inputs_with_one_key_are_one),
    STORY(behind_a_failed_run_nothing_waits_for_a_wake),
    STORY(a_node_paused_beyond_its_lease_leaves_one_history),
    STORY(what_is_older_than_its_retention_is_forgotten_and_the_rest_stays),
    STORY(results_of_commands_are_forgotten_under_the_same_rule),
#undef STORY
};

static bool run_story(size_t index, const struct telling *how)
{
    struct sim_config config;
    sim_config_calm(&config);
    struct sim *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->keep = true;
    if (sim_init(s, index + 1, &config))
        stories[index].run(s);
    bool good = !sim_is_broken(s);
    if (!good || how->verbose || how->only)
        printf("%sscenario %s: %s\n", (good && !how->only) || !s->kept ? "" : s->kept, stories[index].name,
               good ? "passed" : s->broken);
    sim_fini(s);
    free(s);
    return good;
}

size_t scenarios_run(const struct telling *how, size_t *failed)
{
    size_t passed = 0;
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        if (how->only && strcmp(how->only, stories[i].name) != 0)
            continue;
        bool good = run_story(i, how);
        passed += good;
        *failed += !good;
    }
    return passed;
}
