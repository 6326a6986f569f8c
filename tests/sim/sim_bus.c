/* The bus: everybody is subscribed coarsely (nodes in/ ctl/ node/ hb/, clients re/<client>, the watcher ev/). Either
 * one hub, which gives everybody what it hears in the order in which it heard it; or several, of which nothing is known
 * but that a pipe from each sender to each receiver keeps its order. Frames get lost, doubled and delayed; a full
 * receiver drops its oldest (sim_node.c). */
#include <stdio.h>

#include "codec/topic.h"
#include "tests/sim/sim.h"

struct pipe {
    uint64_t last_us; /* when the frame sent last arrives: the next does not overtake it */
};

struct sim_bus {
    struct pipe to_hub[SIM_ENDPOINTS_MAX];
    struct pipe pipes[SIM_ENDPOINTS_MAX][SIM_ENDPOINTS_MAX]; /* of one hub: [0][receiver] */
    unsigned cut[SIM_ENDPOINTS_MAX];                         /* ways */
    bool (*lost)(struct sim *s, size_t from, size_t to, struct span frame);
};

struct flight {
    size_t to;
    struct span frame;
};

static size_t endpoints(const struct sim *s)
{
    return s->config.nodes + s->config.clients + 1;
}

void sim_bus_new(struct sim *s)
{
    s->bus = sim_alloc(s, sizeof *s->bus);
}

static bool subscribed(const struct sim *s, size_t endpoint, const struct topic *topic)
{
    if (endpoint < s->config.nodes)
        return topic->class == TOPIC_IN || topic->class == TOPIC_CTL || topic->class == TOPIC_NODE ||
               topic->class == TOPIC_HB;
    if (endpoint == endpoints(s) - 1)
        return topic->class == TOPIC_EV;
    char client[8];
    snprintf(client, sizeof client, "c%u", (unsigned)(endpoint - s->config.nodes + 1) % 100);
    return topic->class == TOPIC_RE && span_is(topic->name, client);
}

static void arrive(struct sim *s, void *self, uint64_t word)
{
    (void)word;
    const struct flight *flight = self;
    if (s->bus->cut[flight->to] & WAY_IN)
        return;
    s->totals.frames++;
    if (flight->to < s->config.nodes)
        sim_node_frame(s->nodes[flight->to], flight->frame);
    else if (flight->to == endpoints(s) - 1)
        sim_watcher_frame(s, flight->frame);
    else
        sim_client_frame(s, flight->to - s->config.nodes, flight->frame);
}

/* When what is sent now through this pipe is there. */
static uint64_t through(struct sim *s, struct pipe *pipe, uint64_t delay_us)
{
    uint64_t due_us = s->now_us + delay_us;
    if (due_us < pipe->last_us)
        due_us = pipe->last_us;
    pipe->last_us = due_us;
    return due_us - s->now_us;
}

static void fly(struct sim *s, struct pipe *pipe, size_t to, struct span frame)
{
    uint64_t delay_us = sim_between(s, 50, 1000);
    if (sim_fault(s, FAULT_BUS_DELAY))
        delay_us += sim_between(s, 1, 500) * MILLISECOND;
    struct flight *flight = sim_alloc(s, sizeof *flight);
    *flight = (struct flight){to, frame};
    sim_at(s, through(s, pipe, delay_us), arrive, flight, 0);
}

/* Out of a hub, to all that want it. */
static void fan_out(struct sim *s, void *self, uint64_t from)
{
    const struct flight *flight = self;
    struct span topic_text, map;
    struct topic topic;
    if (frame_split(flight->frame, &topic_text, &map) != MK_ERR_OK)
        return;
    if (topic_parse(topic_text, &topic) != MK_ERR_OK)
        topic = (struct topic){.class = TOPIC_IN}; /* the hub looks at prefixes only: nodes see garbage too */
    for (size_t to = 0; to < endpoints(s); to++) {
        if (!subscribed(s, to, &topic) || sim_fault(s, FAULT_BUS_LOSS))
            continue;
        if (s->bus->lost && s->bus->lost(s, from, to, flight->frame))
            continue;
        struct pipe *pipe = &s->bus->pipes[s->config.hubs == 1 ? 0 : from][to];
        fly(s, pipe, to, flight->frame);
        if (sim_fault(s, FAULT_BUS_TWICE))
            fly(s, pipe, to, flight->frame);
    }
}

void sim_bus_send(struct sim *s, size_t endpoint, struct span frame)
{
    if (s->bus->cut[endpoint] & WAY_OUT)
        return;
    struct flight *flight = sim_alloc(s, sizeof *flight);
    flight->frame = sim_copy(s, frame);
    sim_at(s, through(s, &s->bus->to_hub[endpoint], sim_between(s, 50, 1000)), fan_out, flight, endpoint);
}

/* A node that is cut off, either way, notices by itself: it no longer hears its own heartbeat. */
void sim_bus_cut_ways(struct sim *s, size_t endpoint, enum way ways)
{
    static const char *const texts[] = {"back on the bus", "deaf on the bus", "mute on the bus", "cut off the bus"};
    if (s->bus->cut[endpoint] == ways)
        return;
    s->bus->cut[endpoint] = ways;
    if (endpoint >= s->config.nodes)
        return;
    sim_trace(s, s->nodes[endpoint]->name, "%s", texts[ways]);
    sim_disturbed(s);
}

void sim_bus_cut(struct sim *s, size_t endpoint, bool cut)
{
    sim_bus_cut_ways(s, endpoint, cut ? WAY_BOTH : 0);
}

unsigned sim_bus_ways_cut(const struct sim *s, size_t endpoint)
{
    return s->bus->cut[endpoint];
}

bool sim_bus_is_cut(const struct sim *s, size_t endpoint)
{
    return s->bus->cut[endpoint] != 0;
}

void sim_bus_lose(struct sim *s, bool (*lost)(struct sim *s, size_t from, size_t to, struct span frame))
{
    s->bus->lost = lost;
}

static void publish(void *self, struct span frame)
{
    struct sim_node *node = self;
    if (!sim_node_may_act(node))
        return;
    checks_published(node->sim, node, frame);
    sim_bus_send(node->sim, node->index, frame);
}

struct bus_port sim_bus_port(struct sim *s, size_t node)
{
    static const struct bus_ops ops = {publish};
    return (struct bus_port){&ops, s->nodes[node]};
}
