/* What a new owner does first: events that may not have been published are published again, then the sessions with
 * unfinished inputs are found and read; all others come back when something arrives for them. */
#include "node/core/node_impl.h"

#include <stdio.h>

#define TAIL_ENTRIES  500 /* outbox entries looked at in one call */
#define ASKED_AT_ONCE 128 /* partitions: a burst must not fill the connection */

void partition_pump(struct node *node, struct partition *partition)
{
    for (struct slot *slot = node->slots.by_partition[partition->id], *next; slot; slot = next) {
        next = slot->partition_next;
        slot_pump(node, slot);
    }
}

void partition_resume(struct node *node, struct partition *partition)
{
    partition->state = PARTITION_OWNED;
    if (node->leaving)
        node->hand_due_ms = node->now_ms;
    partition_pump(node, partition);
}

/* What was kept while the partition was on its way to us waits in slots: their records can be read now. */
void recover_begin(struct node *node, struct partition *partition)
{
    partition->call = 0;
    partition->owned_since_ms = store_now(node);
    snprintf(partition->cursor, sizeof partition->cursor, "%llu-1", (unsigned long long)partition->published);
    for (struct slot *slot = node->slots.by_partition[partition->id]; slot; slot = slot->partition_next)
        slot_ask(node, slot);
    if (partition->sequence == 0)
        partition_resume(node, partition); /* nothing was ever committed: nothing to recover */
    else if (partition->published >= partition->sequence)
        partition->state = PARTITION_ACTIVE; /* its owner gave it away with everything said */
    else
        partition->state = PARTITION_TAIL;
}

static void ask_tail(struct node *node, struct partition *partition)
{
    struct node_effect *effect = emit(node, DO_EVENTS);
    if (!effect)
        return;
    effect->call = partition->call = next_call(node);
    effect->partition = partition->id;
    effect->fence = partition->fence;
    memcpy(effect->as.events.from, partition->cursor, sizeof partition->cursor);
    effect->as.events.count = TAIL_ENTRIES;
}

static void ask_active(struct node *node, struct partition *partition)
{
    struct node_effect *effect = emit(node, DO_ACTIVE);
    if (!effect)
        return;
    effect->call = partition->call = next_call(node);
    effect->partition = partition->id;
    effect->fence = partition->fence;
}

void recover_next(struct node *node)
{
    size_t asked = 0;
    if (node->now_ms < node->asks_due_ms)
        return;
    for (uint32_t p = 0; p < node->config.partitions; p++)
        asked += node->partitions[p].call != 0;
    for (uint32_t p = 0; p < node->config.partitions && asked < ASKED_AT_ONCE; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->call || partition->state < PARTITION_TAIL || partition->state > PARTITION_ACTIVE)
            continue;
        asked++;
        if (partition->state == PARTITION_TAIL)
            ask_tail(node, partition);
        else
            ask_active(node, partition);
    }
}

static void tail_page(struct node *node, struct partition *partition, const struct node_event *event)
{
    partition->call = 0;
    if (event->as.events.status != LEASE_HELD) {
        partition_doubt(node);
        return;
    }
    for (size_t i = 0; i < event->as.events.count; i++) {
        const struct outbox_event *item = &event->as.events.events[i];
        if (item->memo)
            continue;
        struct node_effect *effect = emit(node, DO_REPUBLISH);
        if (!effect) /* no memory: this page again */
            return;
        effect->partition = partition->id;
        effect->fence = partition->fence;
        effect->as.republish.session = item->session;
        effect->as.republish.message = item->message;
        effect->as.republish.sequence = sequence_of(item->id);
        partition->spoken = effect->as.republish.sequence;
    }
    struct span last = event->as.events.last;
    if (!last.bytes || last.bytes >= sizeof partition->cursor) {
        partition->state = PARTITION_ACTIVE;
        return;
    }
    memset(partition->cursor, 0, sizeof partition->cursor);
    memcpy(partition->cursor, last.at, last.bytes);
}

static void active_found(struct node *node, struct partition *partition, const struct node_event *event)
{
    partition->call = 0;
    if (event->as.active.status != LEASE_HELD) {
        partition_doubt(node);
        return;
    }
    for (size_t i = 0; i < event->as.active.count; i++)
        if (!slot_for(node, event->as.active.sessions[i], partition->id))
            return; /* no memory: asked again */
    partition_resume(node, partition);
}

static struct partition *awaiting(struct node *node, uint64_t call)
{
    for (uint32_t p = 0; p < node->config.partitions; p++)
        if (node->partitions[p].call == call)
            return &node->partitions[p];
    return NULL;
}

bool recover_event(struct node *node, const struct node_event *event)
{
    struct partition *partition = awaiting(node, event->call);
    if (!partition)
        return false;
    if (event->type == EV_EVENTS)
        tail_page(node, partition, event);
    else
        active_found(node, partition, event);
    return true;
}

bool recover_call_failed(struct node *node, uint64_t call)
{
    struct partition *partition = awaiting(node, call);
    if (!partition)
        return false;
    partition->call = 0;
    node->asks_due_ms = node->now_ms + BACKOFF_FIRST_MS;
    return true;
}
