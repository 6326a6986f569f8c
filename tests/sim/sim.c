#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- memory: everything of one simulation in a few chunks, freed together --- */

#define ARENA_CHUNK_BYTES (1u << 20)
#define ARENA_CHUNKS_MAX  1024 /* a simulation that wants more goes round in circles */

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, room;
    max_align_t data[];
};

void *sim_alloc(struct sim *s, size_t bytes)
{
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct arena_chunk *chunk = s->arena;
    if (!chunk || chunk->used + bytes > chunk->room) {
        size_t room = bytes > ARENA_CHUNK_BYTES ? bytes : ARENA_CHUNK_BYTES;
        chunk = calloc(1, sizeof *chunk + room);
        if (!chunk)
            abort();
        if (++s->arena_chunks == ARENA_CHUNKS_MAX)
            sim_broken(s, "bounds", "the simulation took %u MiB: something repeats without end", ARENA_CHUNKS_MAX);
        *chunk = (struct arena_chunk){.next = s->arena, .room = room};
        s->arena = chunk;
    }
    void *memory = (char *)chunk->data + chunk->used;
    chunk->used += bytes;
    return memory;
}

struct span sim_copy(struct sim *s, struct span bytes)
{
    if (!bytes.at)
        return bytes;
    char *copy = sim_alloc(s, bytes.bytes + 1);
    memcpy(copy, bytes.at, bytes.bytes);
    return (struct span){copy, bytes.bytes};
}

struct span sim_text(struct sim *s, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sim_copy(s, span_of(text));
}

/* --- chance: xoshiro256**, seeded by splitmix64 --- */

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, unsigned by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t sim_random(struct sim *s)
{
    uint64_t *w = s->rng.word;
    uint64_t result = rotate(w[1] * 5, 7) * 9;
    uint64_t t = w[1] << 17;
    w[2] ^= w[0];
    w[3] ^= w[1];
    w[1] ^= w[2];
    w[0] ^= w[3];
    w[2] ^= t;
    w[3] = rotate(w[3], 45);
    return result;
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
    return n ? sim_random(s) % n : 0;
}

uint64_t sim_between(struct sim *s, uint64_t low, uint64_t high)
{
    return low + sim_below(s, high - low + 1);
}

bool sim_chance(struct sim *s, uint32_t per_million)
{
    return per_million && sim_below(s, 1000000) < per_million;
}

/* --- the queue: a binary heap by (due, sequence) --- */

struct sim_event {
    uint64_t due_us, sequence;
    sim_fn *fn;
    void *self;
    uint64_t word;
};

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->sequence < b->sequence;
}

static void queue_room(struct sim *s)
{
    struct queue *q = &s->queue;
    if (q->count < q->room)
        return;
    size_t room = q->room ? 2 * q->room : 256;
    struct sim_event *heap = sim_alloc(s, room * sizeof *heap);
    if (q->count)
        memcpy(heap, q->heap, q->count * sizeof *heap);
    q->heap = heap;
    q->room = room;
}

void sim_at(struct sim *s, uint64_t delay_us, sim_fn *fn, void *self, uint64_t word)
{
    queue_room(s);
    struct queue *q = &s->queue;
    struct sim_event event = {s->now_us + delay_us, q->next_sequence++, fn, self, word};
    size_t i = q->count++;
    for (; i && earlier(&event, &q->heap[(i - 1) / 2]); i = (i - 1) / 2)
        q->heap[i] = q->heap[(i - 1) / 2];
    q->heap[i] = event;
}

static struct sim_event queue_pop(struct queue *q)
{
    struct sim_event first = q->heap[0], last = q->heap[--q->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < q->count; i = child) {
        if (child + 1 < q->count && earlier(&q->heap[child + 1], &q->heap[child]))
            child++;
        if (!earlier(&q->heap[child], &last))
            break;
        q->heap[i] = q->heap[child];
    }
    q->heap[i] = last;
    return first;
}

bool sim_step(struct sim *s)
{
    if (!s->queue.count || sim_is_broken(s))
        return false;
    struct sim_event event = queue_pop(&s->queue);
    s->now_us = event.due_us;
    s->totals.steps++;
    event.fn(s, event.self, event.word);
    return true;
}

void sim_run_for(struct sim *s, uint64_t us)
{
    uint64_t end_us = s->now_us + us;
    while (s->queue.count && s->queue.heap[0].due_us <= end_us && sim_step(s))
        ;
    if (!sim_is_broken(s))
        s->now_us = end_us;
}

bool sim_run_until(struct sim *s, bool (*done)(struct sim *s), uint64_t limit_us)
{
    uint64_t end_us = s->now_us + limit_us;
    while (!sim_is_broken(s) && !done(s)) {
        if (s->now_us >= end_us)
            return false;
        sim_run_for(s, 20 * MILLISECOND);
    }
    return !sim_is_broken(s);
}

/* --- trace --- */

static void keep_line(struct sim *s, const char *line, size_t bytes)
{
    if (s->kept_bytes + bytes + 1 > s->kept_room) {
        s->kept_room = 2 * (s->kept_room + bytes + 1);
        char *kept = sim_alloc(s, s->kept_room);
        if (s->kept_bytes)
            memcpy(kept, s->kept, s->kept_bytes);
        s->kept = kept;
    }
    memcpy(s->kept + s->kept_bytes, line, bytes + 1);
    s->kept_bytes += bytes;
}

void sim_trace(struct sim *s, const char *who, const char *format, ...)
{
    char *line = s->trace[s->trace_count++ % TRACE_LINES];
    int head = snprintf(line, TRACE_LINE_BYTES, "[%7llu.%03llu] %s > ", (unsigned long long)(s->now_us / 1000),
                        (unsigned long long)(s->now_us % 1000), who);
    va_list args;
    va_start(args, format);
    int rest = vsnprintf(line + head, TRACE_LINE_BYTES - (size_t)head - 1, format, args);
    va_end(args);
    size_t bytes = (size_t)head + (size_t)rest;
    if (bytes > TRACE_LINE_BYTES - 2)
        bytes = TRACE_LINE_BYTES - 2;
    memcpy(line + bytes, "\n", 2);
    for (size_t i = 0; i < bytes; i++)
        s->hash = (s->hash ^ (uint8_t)line[i]) * 1099511628211ull;
    if (s->print)
        fputs(line, stdout);
    if (s->keep)
        keep_line(s, line, bytes + 1);
}

void sim_broken(struct sim *s, const char *promise, const char *format, ...)
{
    if (sim_is_broken(s))
        return;
    int head = snprintf(s->broken, sizeof s->broken, "%s: ", promise);
    va_list args;
    va_start(args, format);
    vsnprintf(s->broken + head, sizeof s->broken - (size_t)head, format, args);
    va_end(args);
    sim_trace(s, "sim", "BROKEN %s", s->broken);
}

bool sim_is_broken(const struct sim *s)
{
    return s->broken[0] != 0;
}

void sim_expect(struct sim *s, const char *text)
{
    const char *from = s->kept ? s->kept + s->kept_read : "";
    const char *found = strstr(from, text);
    if (!found) {
        sim_broken(s, "expected", "no line with \"%s\" from here on: %.160s", text, from);
        return;
    }
    s->kept_read = (size_t)(found - s->kept) + strcspn(found, "\n");
}

void sim_expect_none(struct sim *s, const char *text)
{
    const char *from = s->kept ? s->kept + s->kept_read : "";
    const char *found = strstr(from, text);
    if (found)
        sim_broken(s, "expected", "no line with \"%s\", but: %.*s", text, (int)strcspn(found, "\n"), found);
}

/* --- faults --- */

const char *fault_name(enum fault fault)
{
    static const char *const names[FAULT_COUNT] = {
#define X(id, text, rate) text,
        SIM_FAULTS(X)
#undef X
    };
    return names[fault];
}

uint32_t fault_rate_max(enum fault fault)
{
    static const uint32_t rates[FAULT_COUNT] = {
#define X(id, text, rate) rate,
        SIM_FAULTS(X)
#undef X
    };
    return rates[fault];
}

static bool plan_strikes(struct fault_plan *plan)
{
    if (!plan->count)
        return false;
    if (plan->skip) {
        plan->skip--;
        return false;
    }
    plan->count--;
    return true;
}

bool sim_fault_on_call(struct sim *s, enum fault fault, const struct sim_node *node, enum script script)
{
    struct fault_plan *plan = &s->plan[fault];
    bool meant = (!plan->one_script || plan->script == script) && (!plan->node || plan->node == node);
    bool planned = meant && plan_strikes(plan);
    if (!planned && !sim_chance(s, s->rate[fault]))
        return false;
    s->struck[fault]++;
    return true;
}

bool sim_fault(struct sim *s, enum fault fault)
{
    return sim_fault_on_call(s, fault, NULL, SCRIPT_COUNT);
}

void sim_fail(struct sim *s, enum fault fault, unsigned skip, unsigned count)
{
    s->plan[fault] = (struct fault_plan){.skip = skip, .count = count};
}

void sim_fail_call(struct sim *s, enum fault fault, enum script script, unsigned skip, unsigned count)
{
    s->plan[fault] = (struct fault_plan){.skip = skip, .count = count, .one_script = true, .script = script};
}

void sim_fail_node_call(struct sim *s, enum fault fault, size_t node, enum script script, unsigned count)
{
    s->plan[fault] = (struct fault_plan){.count = count, .one_script = true, .script = script, .node = s->nodes[node]};
}

void sim_heal(struct sim *s)
{
    sim_trace(s, "sim", "healed");
    memset(s->rate, 0, sizeof s->rate);
    memset(s->plan, 0, sizeof s->plan);
    for (size_t i = 0; i < s->config.nodes; i++) {
        sim_bus_cut(s, i, false);
        sim_store_cut(s, i, false);
        if (!s->nodes[i]->driver && !s->nodes[i]->gone)
            sim_node_start(s, i);
    }
}

void sim_disturbed(struct sim *s)
{
    s->disturbed_us = s->now_us;
}

/* --- one simulation --- */

void sim_config_calm(struct sim_config *config)
{
    *config = (struct sim_config){
        .nodes = 1,
        .clients = 1,
        .sessions = 1,
        .hubs = 1,
        .wait_leases = 1,
        .partitions = 4,
        .groups = 1,
        .slow_ms = 1000,
        .lease_ms = 1000,
        .heartbeat_ms = 500,
        .idle_evict_ms = 60000,
        .finish_ms = 5000,
    };
}

/* Every kind of fault is there in about half of the seeds, at a rate of its own: together they hide what each alone
 * shows. */
static void draw_faults(struct sim *s)
{
    struct sim_config *c = &s->config;
    bool calm = sim_chance(s, 50000), members_only = c->nodes > 1 && sim_chance(s, 300000);
    for (enum fault f = 0; f < FAULT_COUNT; f++) {
        bool on = sim_chance(s, 500000);
        uint64_t rate = sim_between(s, 0, fault_rate_max(f));
        bool hides = members_only && (f <= FAULT_STORE_CLOCK || f == FAULT_NODE_CRASH_IN_TURN);
        c->rate[f] = on && !calm && !hides ? (uint32_t)rate : 0;
    }
    if (c->nodes == 1)
        return;
    /* What a script that died left is made whole by its repeat; another owner's load would see the half. */
    c->rate[FAULT_STORE_DIES] = 0;
}

static void draw_config(struct sim *s, size_t nodes)
{
    struct sim_config *c = &s->config;
    *c = (struct sim_config){
        .nodes = nodes,
        .clients = sim_between(s, 2, SIM_CLIENTS_MAX),
        .inputs = sim_between(s, 40, nodes < 4 ? 200 : 120),
        .sessions = sim_between(s, 2, 16),
        .slow_ms = 1000,
        .load_us = sim_between(s, 4, 16) * SECOND,
        .hubs = sim_between(s, 1, 2),
        .wait_leases = 1,
        .partitions = (uint32_t)1 << sim_below(s, nodes > 1 ? 6 : 5),
        .groups = (uint32_t)sim_between(s, 1, 2),
        .lease_ms = sim_between(s, 500, 3000),
        .heartbeat_ms = sim_between(s, 250, 1000),
        .idle_evict_ms = sim_between(s, 200, 5000),
        .finish_ms = sim_between(s, 200, 5000),
        .commands = sim_chance(s, 600000),
    };
    if (c->groups > c->partitions)
        c->groups = c->partitions;
    draw_faults(s);
}

/* Most seeds have several nodes over the one store and bus. */
static size_t nodes_of(uint64_t seed)
{
    static const size_t nodes[] = {3, 2, 1, 3, 4, 2, 5, 1, 6, 7};
    return nodes[seed % (sizeof nodes / sizeof *nodes)];
}

static void start_late(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!node->driver && node->life == life && !node->gone)
        sim_node_start(s, node->index);
}

/* The first is always there. */
static void start_nodes(struct sim *s)
{
    for (size_t i = 0; i < s->config.nodes; i++)
        sim_node_new(s, i);
    for (size_t i = 0; i < s->config.nodes; i++)
        if (i && sim_fault(s, FAULT_NODE_LATE))
            sim_at(s, sim_between(s, SECOND, s->config.load_us), start_late, s->nodes[i], 0);
        else if (i < s->config.nodes - s->config.absent)
            sim_node_start(s, i);
}

bool sim_init(struct sim *s, uint64_t seed, const struct sim_config *config)
{
    bool print = s->print, keep = s->keep;
    *s = (struct sim){.seed = seed, .print = print, .keep = keep, .hash = 1469598103934665603ull};
    uint64_t state = seed;
    for (size_t i = 0; i < 4; i++)
        s->rng.word[i] = splitmix(&state);
    if (config)
        s->config = *config;
    else
        draw_config(s, nodes_of(seed));
    memcpy(s->rate, s->config.rate, sizeof s->rate);
    checks_new(s);
    if (!sim_store_new(s))
        return false;
    sim_bus_new(s);
    sim_executors_new(s);
    sim_clients_new(s);
    start_nodes(s);
    sim_at(s, 0, checks_waits, NULL, 0);
    return true;
}

void sim_fini(struct sim *s)
{
    for (size_t i = 0; i < s->config.nodes; i++)
        if (s->nodes[i])
            sim_node_free(s, i);
    sim_store_free(s);
    for (struct arena_chunk *chunk = s->arena, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    s->arena = NULL;
}
