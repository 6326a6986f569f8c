#include "tests/sim/story.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/core/crc16.h"

#define PATIENCE (30 * SECOND) /* of virtual time */

void story_await(struct sim *s, const struct item *item)
{
    uint64_t end_us = s->now_us + PATIENCE;
    while (!sim_item_closed(item) && !sim_is_broken(s) && s->now_us < end_us)
        sim_run_for(s, 5 * MILLISECOND);
    if (!sim_item_closed(item))
        sim_broken(s, "scenario", "%.*s got no answer in 30 s", SPAN_ARGS(sim_item_id(item)));
}

void story_expect_answer(struct sim *s, const struct item *item, const char *answer)
{
    if (!sim_is_broken(s) && strcmp(sim_item_answer(item), answer) != 0)
        sim_broken(s, "scenario", "%.*s is \"%s\", not \"%s\"", SPAN_ARGS(sim_item_id(item)), sim_item_answer(item),
                   answer);
}

void story_await_as(struct sim *s, const struct item *item, const char *answer)
{
    story_await(s, item);
    story_expect_answer(s, item, answer);
}

void story_await_said(struct sim *s, const char *text)
{
    uint64_t end_us = s->now_us + PATIENCE;
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

void story_await_true(struct sim *s, bool (*done)(struct sim *s), const char *what)
{
    if (!sim_run_until(s, done, PATIENCE))
        sim_broken(s, "scenario", "%s: not in 30 s", what);
}

void story_expect(struct sim *s, const char *what, uint64_t is, uint64_t wanted)
{
    if (!sim_is_broken(s) && is != wanted)
        sim_broken(s, "scenario", "%s: %llu, not %llu", what, (unsigned long long)is, (unsigned long long)wanted);
}

void story_expect_completions(struct sim *s, const char *session, uint64_t wanted)
{
    story_expect(s, sim_text(s, "completions of %s", session).at, checks_completions(s, session), wanted);
}

void story_first_input(struct sim *s, const char *session)
{
    story_await(s, sim_send(s, session, ONE));
}

size_t story_owner(struct sim *s, const char *session)
{
    uint32_t partition = partition_of(span_of(session), s->config.partitions);
    struct span owner = s->checks->partitions[partition].lease.node;
    for (size_t i = 0; i < s->config.nodes; i++)
        if (span_is(owner, s->nodes[i]->name))
            return i;
    sim_broken(s, "scenario", "nobody owns %s", session);
    return 0;
}

size_t story_owned(struct sim *s, size_t node)
{
    size_t owned = 0;
    for (uint32_t p = 0; p < s->config.partitions; p++)
        owned += span_is(s->checks->partitions[p].lease.node, s->nodes[node]->name);
    return owned;
}

const char *story_neighbour(struct sim *s)
{
    uint32_t partition = partition_of(SPAN_LIT("counter-0"), s->config.partitions);
    for (unsigned n = 4;; n += 4) {
        struct span name = sim_text(s, "counter-%u", n);
        if (partition_of(name, s->config.partitions) == partition)
            return name.at;
    }
}

void story_cut_client(struct sim *s, bool cut)
{
    sim_bus_cut(s, s->config.nodes, cut);
}

/* --- a cluster at rest --- */

void story_config_cluster(struct sim_config *c)
{
    sim_config_calm(c);
    c->partitions = STORY_PARTITIONS;
    c->lease_ms = STORY_LEASE_MS;
    c->heartbeat_ms = 250;
    c->finish_ms = STORY_FINISH_MS;
}

static bool at_rest(struct sim *s)
{
    return checks_owned(s) && checks_wanted(s);
}

void story_settle(struct sim *s)
{
    story_await_true(s, at_rest, "every partition is with its wanted owner");
}

uint64_t story_moves(const struct sim *s)
{
    uint64_t sum = 0;
    for (uint32_t p = 0; p < s->config.partitions; p++)
        sum += s->checks->partitions[p].moves;
    return sum;
}

size_t story_richest(struct sim *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->config.nodes; i++)
        if (story_owned(s, i) > story_owned(s, best))
            best = i;
    return best;
}

/* --- load --- */

struct story_load *story_load_new(struct sim *s, const char *executor, struct span body)
{
    struct story_load *load = sim_alloc(s, sizeof *load);
    load->executor = executor;
    load->body = body;
    return load;
}

const char *story_session(struct sim *s, const char *executor, size_t index)
{
    return sim_text(s, "%s-%zu", executor, index).at;
}

static void send_one(struct sim *s, struct story_load *load)
{
    const char *name = story_session(s, load->executor, load->count % STORY_SESSIONS);
    if (load->count < STORY_LOAD_MAX)
        load->items[load->count++] = sim_send(s, name, load->body);
}

static void send_next(struct sim *s, void *self, uint64_t word)
{
    struct story_load *load = self;
    if (s->now_us >= load->until_us)
        return;
    send_one(s, load);
    sim_at(s, 25 * MILLISECOND, send_next, self, word);
}

void story_send_for(struct sim *s, struct story_load *load, uint64_t us)
{
    load->until_us = s->now_us + us;
    send_next(s, load, 0);
}

void story_send_round(struct sim *s, struct story_load *load)
{
    for (size_t i = 0; i < STORY_SESSIONS; i++)
        send_one(s, load);
}

void story_await_all(struct sim *s, const struct story_load *load)
{
    if (s->now_us < load->until_us)
        sim_run_for(s, load->until_us - s->now_us);
    for (size_t i = 0; i < load->count && !sim_is_broken(s); i++) {
        const struct item *item = load->items[i];
        story_await(s, item);
        if (!sim_is_broken(s) && strncmp(sim_item_answer(item), "completed", 9))
            sim_broken(s, "scenario", "%.*s is \"%s\"", SPAN_ARGS(sim_item_id(item)), sim_item_answer(item));
    }
}

void story_expect_smooth(struct sim *s, const struct story_load *load)
{
    for (size_t i = 0; i < load->count && !sim_is_broken(s); i++) {
        const struct item *item = load->items[i];
        if (sim_item_sends(item) != 1 || sim_item_refusals(item))
            sim_broken(s, "hand-over", "%.*s was sent %u times and refused %u times", SPAN_ARGS(sim_item_id(item)),
                       sim_item_sends(item), sim_item_refusals(item));
    }
}

void story_end(struct sim *s, const struct story_load *load)
{
    story_await_all(s, load);
    sim_run_for(s, SECOND);
    checks_quiet(s);
    checks_end(s);
    story_settle(s);
}

/* --- telling --- */

static bool tell(const struct story *story, const struct sim_config *config, uint64_t seed, const struct telling *how)
{
    struct sim *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->keep = true;
    if (sim_init(s, seed, config))
        story->run(s);
    bool good = !sim_is_broken(s);
    if (!good || how->verbose || how->only)
        printf("%sscenario %s, telling %llu: %s\n", (good && !how->only) || !s->kept ? "" : s->kept, story->name,
               (unsigned long long)seed, good ? "passed" : s->broken);
    sim_fini(s);
    free(s);
    return good;
}

size_t stories_tell(const struct story *stories, size_t count, void (*config)(struct sim_config *), size_t tellings,
                    const struct telling *how, size_t *failed)
{
    size_t passed = 0;
    for (size_t i = 0; i < count; i++) {
        if (how->only && strcmp(how->only, stories[i].name) != 0)
            continue;
        struct sim_config c;
        config(&c);
        c.nodes = stories[i].nodes;
        bool good = true;
        for (uint64_t seed = 1; seed <= tellings && good; seed++)
            good = tell(&stories[i], &c, seed, how);
        passed += good;
        *failed += !good;
    }
    return passed;
}
