/* What nodes say of partitions in their heartbeats: who gives which to whom. Each change is a line of the trace, so
 * that stories can wait for it. */
#include "codec/message.h"
#include "tests/sim/invariants.h"

/* True when this is not what the node said of the partition last. */
static bool news(struct sim *s, const struct sim_node *node, uint32_t partition, uint8_t said)
{
    struct checks *c = s->checks;
    if (partition >= s->config.partitions) {
        sim_broken(s, "hand-over", "%s speaks of partition %u", node->name, partition);
        return false;
    }
    if (c->said_life[node->index] != node->life) {
        c->said_life[node->index] = node->life;
        memset(c->said[node->index], 0, sizeof c->said[node->index]);
    }
    uint8_t *last = &c->said[node->index][partition];
    bool changed = (*last & said) == 0;
    *last |= said;
    return changed;
}

static void forget(struct sim *s, const struct sim_node *node, const bool *named, uint8_t said)
{
    for (uint32_t p = 0; p < s->config.partitions; p++)
        if (!named[p])
            s->checks->said[node->index][p] &= (uint8_t)~said;
}

/* Only the owner offers; who says that it has released owns it no more. */
static void check_handing(struct sim *s, const struct sim_node *node, const struct mk_handing *handing)
{
    const struct seen_lease *lease = &s->checks->partitions[handing->partition].lease;
    bool owns = span_is(lease->node, node->name) && span_is(lease->incarnation, node->incarnation.text);
    if (handing->released && owns && lease->fence == handing->fence)
        sim_broken(s, "hand-over", "%s says that partition %u is released, and it is not", node->name,
                   handing->partition);
    if (span_is(handing->successor, node->name))
        sim_broken(s, "hand-over", "%s gives partition %u to itself", node->name, handing->partition);
}

static void hear_handing(struct sim *s, const struct sim_node *node, struct list_reader *list)
{
    bool offered[SIM_PARTITIONS_MAX] = {false}, released[SIM_PARTITIONS_MAX] = {false};
    struct mk_handing handing;
    while (handing_next(list, &handing) && !sim_is_broken(s)) {
        if (news(s, node, handing.partition, handing.released ? SAID_RELEASED : SAID_OFFERED))
            sim_trace(s, node->name, "%s partition %u to %.*s", handing.released ? "has released" : "offers",
                      handing.partition, SPAN_ARGS(handing.successor));
        if (sim_is_broken(s))
            return;
        check_handing(s, node, &handing);
        (handing.released ? released : offered)[handing.partition] = true;
    }
    forget(s, node, offered, SAID_OFFERED);
    forget(s, node, released, SAID_RELEASED);
}

static void hear_partitions(struct sim *s, const struct sim_node *node, struct list_reader *list, uint8_t said,
                            const char *text)
{
    bool named[SIM_PARTITIONS_MAX] = {false};
    uint32_t partition;
    while (partition_next(list, &partition) && !sim_is_broken(s)) {
        if (news(s, node, partition, said))
            sim_trace(s, node->name, "%s partition %u", text, partition);
        if (!sim_is_broken(s))
            named[partition] = true;
    }
    forget(s, node, named, said);
}

void checks_heartbeat(struct sim *s, const struct sim_node *node, struct span map)
{
    struct mk_heartbeat beat;
    struct heartbeat_lists lists;
    struct mk_note note;
    if (heartbeat_read(map, &beat, &lists, &note) != MK_ERR_OK) {
        sim_broken(s, "P10", "%s sends a heartbeat that cannot be read: %s", node->name, note.text);
        return;
    }
    hear_handing(s, node, &lists.handing);
    hear_partitions(s, node, &lists.expecting, SAID_EXPECTING, "keeps what arrives for");
    hear_partitions(s, node, &lists.suspended, SAID_SUSPENDED, "holds and does not work on");
}
