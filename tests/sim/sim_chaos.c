/* What strikes nodes and the store while the load lasts: every 50 ms each node and the store get their chance. */
#include "tests/sim/sim.h"

#define DRIFT_LOW  950000u /* per million of the true rate */
#define DRIFT_HIGH 1050000u

static size_t not_gone(const struct sim *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->config.nodes; i++)
        count += !s->nodes[i]->gone;
    return count;
}

/* Somebody always stays. */
static bool may_go(const struct sim *s, size_t index)
{
    return !s->nodes[index]->gone && not_gone(s) > 1;
}

static void strike_life(struct sim *s, size_t index)
{
    if (sim_fault(s, FAULT_NODE_CRASH)) {
        sim_node_crash(s, index);
    } else if (may_go(s, index) && sim_fault(s, FAULT_NODE_GONE)) {
        sim_node_crash(s, index);
        sim_node_gone(s, index);
    } else if (sim_fault(s, FAULT_NODE_PAUSE)) {
        sim_node_pause(s, index, sim_between(s, 10, 3 * s->config.lease_ms) * MILLISECOND);
    } else if (sim_fault(s, FAULT_NODE_LEAVE)) {
        sim_node_leave(s, index);
        if (may_go(s, index) && sim_chance(s, 200000))
            sim_node_gone(s, index);
    }
}

static void strike_clocks(struct sim *s, size_t index)
{
    struct sim_node *node = s->nodes[index];
    if (sim_fault(s, FAULT_NODE_CLOCK)) {
        node->unix_offset_ms = (int64_t)sim_between(s, 0, 7200000) - 3600000;
        sim_trace(s, node->name, "calendar clock off by %lld ms", (long long)node->unix_offset_ms);
    }
    if (sim_fault(s, FAULT_NODE_DRIFT))
        sim_node_drift(s, index, (uint32_t)sim_between(s, DRIFT_LOW, DRIFT_HIGH));
}

static void strike_links(struct sim *s, size_t index)
{
    if (sim_bus_is_cut(s, index)) {
        if (sim_chance(s, 50000))
            sim_bus_cut(s, index, false);
    } else if (sim_fault(s, FAULT_BUS_CUT)) {
        sim_bus_cut(s, index, true);
    } else if (sim_fault(s, FAULT_BUS_DEAF)) {
        sim_bus_cut_ways(s, index, WAY_IN);
    } else if (sim_fault(s, FAULT_BUS_MUTE)) {
        sim_bus_cut_ways(s, index, WAY_OUT);
    }
    if (sim_store_half_done(s))
        return;
    if (sim_store_is_cut(s, index) ? sim_chance(s, 50000) : sim_fault(s, FAULT_STORE_CUT))
        sim_store_cut(s, index, !sim_store_is_cut(s, index));
}

void sim_chaos(struct sim *s, void *self, uint64_t end_us)
{
    for (size_t i = 0; i < s->config.nodes; i++) {
        if (!sim_store_half_done(s))
            strike_life(s, i);
        strike_clocks(s, i);
        strike_links(s, i);
    }
    if (sim_fault(s, FAULT_STORE_DOWN))
        sim_store_down(s, sim_between(s, 10, 4000) * MILLISECOND);
    if (sim_fault(s, FAULT_STORE_CLOCK))
        sim_store_clock_back(s, sim_between(s, 1, 200) * MILLISECOND);
    if (s->now_us < end_us)
        sim_at(s, 50 * MILLISECOND, sim_chaos, self, end_us);
}
