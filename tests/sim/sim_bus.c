/* The bus: one hub, everybody subscribed coarsely (nodes in/ ctl/ node/ hb/, clients re/<client>, the watcher ev/). A
 * pipe from each sender to each receiver keeps its order; between pipes there is none. Frames get lost, doubled and
 * delayed; a full receiver drops its oldest (sim_node.c). */
#include <stdio.h>

#include "codec/topic.h"
#include "tests/sim/sim.h"

struct pipe {
    uint64_t last_us; /* when the frame sent last arrives: the next does not overtake it */
};

struct sim_bus {
    struct pipe pipes[SIM_ENDPOINTS_MAX][SIM_ENDPOINTS_MAX];
    bool cut[SIM_ENDPOINTS_MAX];
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
    if (s->bus->cut[flight->to])
        return;
    s->totals.frames++;
    if (flight->to < s->config.nodes)
        sim_node_frame(s->nodes[flight->to], flight->frame);
    else if (flight->to == endpoints(s) - 1)
        sim_watcher_frame(s, flight->frame);
    else
        sim_client_frame(s, flight->to - s->config.nodes, flight->frame);
}

static void fly(struct sim *s, size_t from, size_t to, struct span frame)
{
    struct pipe *pipe = &s->bus->pipes[from][to];
    uint64_t delay_us = sim_between(s, 50, 2000);
    if (sim_fault(s, FAULT_BUS_DELAY))
        delay_us += sim_between(s, 1, 500) * MILLISECOND;
    uint64_t due_us = s->now_us + delay_us;
    if (due_us < pipe->last_us)
        due_us = pipe->last_us;
    pipe->last_us = due_us;
    struct flight *flight = sim_alloc(s, sizeof *flight);
    *flight = (struct flight){to, frame};
    sim_at(s, due_us - s->now_us, arrive, flight, 0);
}

void sim_bus_send(struct sim *s, size_t endpoint, struct span frame)
{
    struct span topic_text, map;
    struct topic topic;
    if (s->bus->cut[endpoint] || frame_split(frame, &topic_text, &map) != MK_ERR_OK)
        return;
    if (topic_parse(topic_text, &topic) != MK_ERR_OK)
        topic = (struct topic){.class = TOPIC_IN}; /* the hub looks at prefixes only: nodes see garbage too */
    struct span copy = sim_copy(s, frame);
    for (size_t to = 0; to < endpoints(s); to++) {
        if (!subscribed(s, to, &topic) || sim_fault(s, FAULT_BUS_LOSS))
            continue;
        fly(s, endpoint, to, copy);
        if (sim_fault(s, FAULT_BUS_TWICE))
            fly(s, endpoint, to, copy);
    }
}

/* A node that is cut off notices by itself: it no longer hears its own heartbeat. */
void sim_bus_cut(struct sim *s, size_t endpoint, bool cut)
{
    if (s->bus->cut[endpoint] == cut)
        return;
    s->bus->cut[endpoint] = cut;
    if (endpoint < s->config.nodes)
        sim_trace(s, s->nodes[endpoint]->name, cut ? "cut off the bus" : "back on the bus");
}

bool sim_bus_is_cut(const struct sim *s, size_t endpoint)
{
    return s->bus->cut[endpoint];
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
