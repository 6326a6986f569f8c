/* The life of a node: what the event loop would find at hand is queued in order of arrival and given to the driver in
 * turns. A node may die at any call of its ports, in the middle of a turn: from then on nothing leaves it, and its
 * memory is freed behind it. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define FRAMES_AT_HAND_MAX 512 /* then the oldest is dropped, as nng does */
#define TURN_US_MAX        800 /* how long a loop takes to come round */
#define MILLION            1000000

enum hand_type { HAND_FRAME, HAND_REPLY, HAND_STORE_UP, HAND_RUN_DONE, HAND_BOUNDARY, HAND_INJECTED, HAND_LEAVE };

struct hand {
    struct hand *next;
    enum hand_type type;
    bool up;
    uint64_t tag;
    struct span frame, session;
    struct store_reply reply;
    struct run_done done;
    struct run_injected injected; /* of a boundary: `at` alone */
};

/* --- memory that is counted: a driver that is freed leaves none behind --- */

static void *node_alloc(void *self, size_t bytes)
{
    struct sim_node *node = self;
    void *memory = calloc(1, bytes ? bytes : 1);
    node->mem_live += memory != NULL;
    return memory;
}

static void node_release(void *self, void *memory)
{
    struct sim_node *node = self;
    node->mem_live -= memory != NULL;
    free(memory);
}

/* --- clock and trace ports --- */

static uint64_t clock_now(void *self)
{
    return sim_node_now_ms(self);
}

uint64_t sim_node_now_ms(const struct sim_node *node)
{
    uint64_t passed_us = node->sim->now_us - node->clock_at_us;
    return (node->clock_us + passed_us * node->clock_rate / MILLION) / 1000;
}

uint64_t sim_node_when_us(const struct sim_node *node, uint64_t own_ms)
{
    if (own_ms >= UINT64_MAX / MILLION)
        return UINT64_MAX;
    if (own_ms * 1000 <= node->clock_us)
        return 0;
    return node->clock_at_us + ((own_ms * 1000 - node->clock_us) * MILLION + node->clock_rate - 1) / node->clock_rate;
}

uint64_t sim_node_unix_ms(const struct sim_node *node)
{
    return (uint64_t)((int64_t)(sim_unix_us(node->sim) / 1000) + node->unix_offset_ms);
}

static uint64_t clock_unix(void *self)
{
    return sim_node_unix_ms(self);
}

static void clock_random(void *self, void *bytes, size_t count)
{
    struct sim_node *node = self;
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)sim_random(node->sim);
}

static void trace_line(void *self, enum trace_level level, const char *what, const struct trace_field *fields,
                       size_t count)
{
    struct sim_node *node = self;
    char text[TRACE_LINE_BYTES];
    size_t used = (size_t)snprintf(text, sizeof text, "%.120s", what);
    for (size_t i = 0; i < count && used < sizeof text; i++) {
        size_t room = sizeof text - used;
        int n = fields[i].text.at
                    ? snprintf(text + used, room, " %s=%.*s", fields[i].key, SPAN_ARGS(fields[i].text))
                    : snprintf(text + used, room, " %s=%llu", fields[i].key, (unsigned long long)fields[i].number);
        used += (size_t)n;
    }
    if (!node->dying)
        sim_trace(node->sim, node->name, "%s%s", level == TRACE_ERROR ? "ERROR " : "", text);
}

/* --- life and death --- */

void sim_node_new(struct sim *s, size_t index)
{
    struct sim_node *node = sim_alloc(s, sizeof *node);
    *node = (struct sim_node){
        .sim = s, .index = index, .calls_to_death = -1, .hand_end = &node->hand, .tick_us = UINT64_MAX};
    snprintf(node->name, sizeof node->name, "n%u", (unsigned)(index + 1) % 100);
    node->clock_us = sim_between(s, 1000, 100000000) * 1000;
    node->clock_rate = MILLION;
    node->mem = (struct mk_mem){node_alloc, node_release, node};
    s->nodes[index] = node;
    node->ports.store = sim_store_port(s, index);
}

bool sim_node_lives(const struct sim_node *node, uint64_t life)
{
    return node->driver && node->life == life;
}

bool sim_node_may_act(struct sim_node *node)
{
    if (node->calls_to_death > 0 && --node->calls_to_death == 0)
        node->dying = true;
    return !node->dying;
}

static void put_at_hand(struct sim_node *node, struct hand *hand);

static void forget_hand(struct sim_node *node)
{
    node->hand = NULL;
    node->hand_end = &node->hand;
    node->frames_at_hand = 0;
}

static void free_driver(struct sim_node *node)
{
    driver_free(node->driver);
    node->driver = NULL;
    if (node->mem_live)
        sim_broken(node->sim, "memory", "%zu allocations outlive the driver of %s", node->mem_live, node->name);
    node->mem_live = 0;
}

static void restart(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!node->driver && node->life == life && !node->gone)
        sim_node_start(s, node->index);
}

/* The process ends: its memory, its connections, its executors. */
static void ends(struct sim *s, struct sim_node *node)
{
    node->dying = true;
    free_driver(node);
    node->paused = node->leaving = false;
    forget_hand(node);
    sim_store_abandon(s, node->index);
    sim_executors_die(s, node->index);
    sim_disturbed(s);
    sim_at(s, sim_between(s, 0, 4 * SECOND), restart, node, node->life);
}

void sim_node_crash(struct sim *s, size_t index)
{
    struct sim_node *node = s->nodes[index];
    if (!node->driver)
        return;
    sim_trace(s, node->name, "crashed");
    s->totals.crashes++;
    ends(s, node);
}

void sim_node_leave(struct sim *s, size_t index)
{
    struct sim_node *node = s->nodes[index];
    if (!node->driver || node->leaving)
        return;
    sim_trace(s, node->name, "is asked to leave");
    node->leaving = true;
    node->asked_us = s->now_us;
    sim_disturbed(s);
    struct hand *hand = sim_alloc(s, sizeof *hand);
    hand->type = HAND_LEAVE;
    put_at_hand(node, hand);
}

static void leave_when_done(struct sim *s, struct sim_node *node)
{
    struct driver_status status;
    driver_status(node->driver, &status);
    if (status.leaving && !node->leaving) { /* by a command */
        node->leaving = true;
        node->asked_us = s->now_us;
        sim_disturbed(s);
    }
    if (!status.left)
        return;
    sim_trace(s, node->name, "has left");
    s->totals.left++;
    checks_left(s, node);
    ends(s, node);
}

void sim_node_gone(struct sim *s, size_t index)
{
    s->nodes[index]->gone = true;
    sim_trace(s, s->nodes[index]->name, "stays away for good");
}

bool sim_node_works(const struct sim *s, size_t index)
{
    const struct sim_node *node = s->nodes[index];
    return node->driver && !node->paused && !node->leaving && !sim_bus_is_cut(s, index) && sim_store_reaches(s, index);
}

void sim_node_free(struct sim *s, size_t index)
{
    if (s->nodes[index]->driver) {
        s->nodes[index]->dying = true;
        free_driver(s->nodes[index]);
    }
}

/* --- turns --- */

static void turn(struct sim *s, void *self, uint64_t life);

static void turn_soon(struct sim_node *node)
{
    if (node->turn_due || node->paused)
        return;
    node->turn_due = true;
    sim_at(node->sim, sim_below(node->sim, TURN_US_MAX), turn, node, node->life);
}

static void tick(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!sim_node_lives(node, life) || node->tick_us > s->now_us)
        return;
    node->tick_us = UINT64_MAX;
    turn_soon(node);
}

static uint64_t due_us(const struct sim_node *node)
{
    return sim_node_when_us(node, driver_due_ms(node->driver));
}

static void plan_tick(struct sim_node *node)
{
    uint64_t due = due_us(node);
    if (due >= node->tick_us)
        return;
    node->tick_us = due;
    sim_at(node->sim, due > node->sim->now_us ? due - node->sim->now_us : 0, tick, node, node->life);
}

static void give(struct sim_node *node, const struct hand *hand)
{
    switch (hand->type) {
    case HAND_FRAME:
        driver_frame(node->driver, hand->frame);
        break;
    case HAND_REPLY:
        driver_store_reply(node->driver, hand->tag, &hand->reply);
        break;
    case HAND_STORE_UP:
        driver_store_up(node->driver, hand->up);
        break;
    case HAND_RUN_DONE:
        driver_run_done(node->driver, hand->session, &hand->done);
        break;
    case HAND_BOUNDARY:
        driver_boundary(node->driver, hand->session, &hand->injected.at, hand->up);
        break;
    case HAND_INJECTED:
        driver_injected(node->driver, hand->session, &hand->injected);
        break;
    case HAND_LEAVE:
        driver_leave(node->driver);
        break;
    }
}

/* All that is at hand, then the end of the turn. False: it died on the way. */
static bool turn_whole(struct sim_node *node)
{
    while (node->hand && !node->dying) {
        struct hand *hand = node->hand;
        node->hand = hand->next;
        if (!node->hand)
            node->hand_end = &node->hand;
        node->frames_at_hand -= hand->type == HAND_FRAME;
        give(node, hand);
    }
    if (!node->dying && due_us(node) <= node->sim->now_us)
        driver_tick(node->driver);
    if (!node->dying)
        driver_turn_end(node->driver);
    return !node->dying;
}

static void turn(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!sim_node_lives(node, life))
        return;
    node->turn_due = false;
    if (node->paused)
        return;
    if (!sim_store_half_done(s) && sim_fault(s, FAULT_NODE_CRASH_IN_TURN))
        node->calls_to_death = (int)sim_between(s, 1, 6);
    if (!turn_whole(node)) {
        sim_node_crash(s, node->index);
        return;
    }
    node->calls_to_death = -1;
    checks_turn(s, node);
    sim_executors_feed(s, node->index, sim_node_when_us(node, driver_safe_until_ms(node->driver)));
    leave_when_done(s, node);
    if (node->driver)
        plan_tick(node);
}

void sim_node_drift(struct sim *s, size_t index, uint32_t rate)
{
    struct sim_node *node = s->nodes[index];
    uint64_t passed_us = s->now_us - node->clock_at_us;
    node->clock_us += passed_us * node->clock_rate / MILLION;
    node->clock_at_us = s->now_us;
    node->clock_rate = rate;
    sim_trace(s, node->name, "clock runs at %u per million", rate);
    if (node->driver)
        plan_tick(node);
}

void sim_node_start(struct sim *s, size_t index)
{
    struct sim_node *node = s->nodes[index];
    node->life++;
    node->dying = node->paused = node->leaving = node->gone = node->turn_due = false;
    node->fed_us = UINT64_MAX;
    node->calls_to_death = -1;
    node->tick_us = UINT64_MAX;
    node->incarnation = (struct mk_hex){0};
    forget_hand(node);
    node->ports = (struct ports){
        .store = sim_store_port(s, index),
        .bus = sim_bus_port(s, index),
        .executor = sim_executor_port(s, index),
    };
    static const struct clock_ops clock = {clock_now, clock_unix, clock_random};
    static const struct trace_ops trace = {trace_line};
    node->ports.clock = (struct clock_port){&clock, node};
    node->ports.trace = (struct trace_port){&trace, node};
    const struct sim_config *c = &s->config;
    struct driver_options options = {
        .partitions = c->partitions,
        .groups = c->groups,
        .lease_ms = c->lease_ms,
        .heartbeat_ms = c->heartbeat_ms,
        .finish_ms = c->finish_ms,
        .idle_evict_ms = c->idle_evict_ms,
        .retain_ms = RETAIN_MS_MIN, /* only stories last long enough to see it */
        .retain_bytes = RETAIN_BYTES_DEFAULT,
        .frame_bytes_max = FRAME_BYTES_DEFAULT,
        .auto_register = true,
    };
    id_set(&options.node, span_of(node->name));
    struct mk_note note = {{0}};
    sim_trace(s, node->name, "starts, life %llu", (unsigned long long)node->life);
    node->driver = driver_new(&options, &node->ports, &node->mem, &note);
    if (!node->driver) {
        sim_broken(s, "sim", "driver_new: %s", note.text);
        return;
    }
    sim_disturbed(s);
    sim_store_connect(s, index);
    driver_start(node->driver);
    turn_soon(node);
}

/* --- pause: the machine goes on, the node does not --- */

static void resume(struct sim *s, void *self, uint64_t life)
{
    struct sim_node *node = self;
    if (!sim_node_lives(node, life) || !node->paused)
        return;
    sim_trace(s, node->name, "resumes");
    node->paused = false;
    sim_disturbed(s);
    turn_soon(node);
}

void sim_node_pause(struct sim *s, size_t index, uint64_t us)
{
    struct sim_node *node = s->nodes[index];
    if (!node->driver || node->paused)
        return;
    sim_trace(s, node->name, "paused for %llu ms", (unsigned long long)(us / 1000));
    node->paused = true;
    sim_disturbed(s);
    sim_at(s, us, resume, node, node->life);
}

/* --- what the ports put at hand --- */

static void put_at_hand(struct sim_node *node, struct hand *hand)
{
    *node->hand_end = hand;
    node->hand_end = &hand->next;
    turn_soon(node);
}

static void drop_oldest_frame(struct sim_node *node)
{
    struct hand **at = &node->hand;
    while ((*at)->type != HAND_FRAME)
        at = &(*at)->next;
    *at = (*at)->next;
    if (!*at)
        node->hand_end = at;
    node->frames_at_hand--;
    node->sim->struck[FAULT_BUS_OVERFLOW]++;
}

void sim_node_frame(struct sim_node *node, struct span frame)
{
    if (!node->driver)
        return;
    struct hand *hand = sim_alloc(node->sim, sizeof *hand);
    hand->frame = frame;
    if (node->frames_at_hand == FRAMES_AT_HAND_MAX)
        drop_oldest_frame(node);
    node->frames_at_hand++;
    put_at_hand(node, hand);
}

void sim_node_reply(struct sim_node *node, uint64_t tag, const struct store_reply *reply)
{
    struct sim *s = node->sim;
    struct hand *hand = sim_alloc(s, sizeof *hand);
    struct span *items = sim_alloc(s, (reply->count + 1) * sizeof *items);
    for (size_t i = 0; i < reply->count; i++)
        items[i] = sim_copy(s, reply->items[i]);
    *hand = (struct hand){.type = HAND_REPLY, .tag = tag, .reply = *reply};
    hand->reply.items = items;
    hand->reply.error = sim_copy(s, reply->error);
    put_at_hand(node, hand);
}

void sim_node_store_up(struct sim_node *node, bool up)
{
    struct hand *hand = sim_alloc(node->sim, sizeof *hand);
    *hand = (struct hand){.type = HAND_STORE_UP, .up = up};
    put_at_hand(node, hand);
}

/* `done` lives as long as the simulation: the executor made it. */
void sim_node_run_done(struct sim_node *node, struct span session, const struct run_done *done)
{
    if (!node->driver)
        return;
    struct hand *hand = sim_alloc(node->sim, sizeof *hand);
    *hand = (struct hand){.type = HAND_RUN_DONE, .session = session, .done = *done};
    put_at_hand(node, hand);
}

void sim_node_boundary(struct sim_node *node, struct span session, const struct run_at *at, bool live)
{
    if (!node->driver)
        return;
    struct hand *hand = sim_alloc(node->sim, sizeof *hand);
    *hand = (struct hand){.type = HAND_BOUNDARY, .session = session, .up = live, .injected = {.at = *at}};
    put_at_hand(node, hand);
}

void sim_node_injected(struct sim_node *node, struct span session, const struct run_injected *injected)
{
    if (!node->driver)
        return;
    struct hand *hand = sim_alloc(node->sim, sizeof *hand);
    *hand = (struct hand){.type = HAND_INJECTED, .session = session, .injected = *injected};
    put_at_hand(node, hand);
}
