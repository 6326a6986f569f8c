/* Retention (design section 5, rule 8). What is remembered of an input, its completion's message, its names and its
 * receipt, is kept for a time and up to a number of bytes a partition, oldest first, and never forgotten younger than
 * RETAIN_MS_MIN.
 *
 * The outbox is the history in order, so it is walked page by page from its beginning. What is old enough becomes a
 * trim of each completion's session, which forgets the names and moves its horizon as any event does; results of
 * commands and withdrawn ids, which no completion names, have memos there. When all of them
 * are durable, the page's entries are deleted with the partition's next commit. A crash between the two only repeats
 * the first. */
#include "node/core/node_impl.h"

#include <stdio.h>

#define LOOK_EVERY_MS 60000 /* at each partition that has a history */
#define PAGE_ENTRIES  64
#define PAGES_AT_ONCE 16 /* upkeep must not fill the connection */

static bool settled(const struct partition *partition)
{
    return partition->state == PARTITION_OWNED && !partition->trim_call && !partition->trim_waiting;
}

void retain_tick(struct node *node)
{
    if (!node->store_up || node->now_ms < node->retain_look_ms)
        return;
    size_t asked = 0;
    node->retain_look_ms = node->now_ms + LOOK_EVERY_MS;
    for (uint32_t p = 0; p < node->config.partitions; p++)
        asked += node->partitions[p].trim_call != 0;
    for (uint32_t p = 0; p < node->config.partitions && asked < PAGES_AT_ONCE; p++) {
        struct partition *partition = &node->partitions[p];
        if (!settled(partition) || !partition->committed || node->now_ms < partition->trim_due_ms)
            continue;
        asked++;
        struct node_effect *effect = emit(node, DO_EVENTS);
        if (!effect)
            return;
        effect->call = partition->trim_call = next_call(node);
        effect->partition = partition->id;
        effect->fence = partition->fence;
        effect->as.events.count = PAGE_ENTRIES;
        if (partition->trim_to) /* what lies before only waits for a commit to go with */
            snprintf(effect->as.events.from, sizeof effect->as.events.from, "%llu-%llu",
                     (unsigned long long)partition->trim_to, (unsigned long long)UINT64_MAX);
        partition->trim_due_ms = node->now_ms + LOOK_EVERY_MS;
    }
}

/* What was staged before this store time may be forgotten. */
static uint64_t cutoff(const struct node *node, const struct partition *partition)
{
    uint64_t now = store_now(node);
    uint64_t keep = partition->bytes > node->config.retain_bytes ? RETAIN_MS_MIN : node->config.retain_ms;
    return now > keep ? now - keep : 0;
}

/* The events of one commit are one entry: it goes when the last of them is old enough. A page holds whole entries. */
static size_t old_ones(const struct node *node, const struct partition *partition, const struct node_event *event)
{
    uint64_t before = cutoff(node, partition);
    const struct outbox_event *events = event->as.events.events;
    size_t count = 0;
    while (count < event->as.events.count && events[count].ts < before &&
           sequence_of(events[count].id) <= partition_said(partition))
        count++;
    bool cut = count < event->as.events.count;
    while (cut && count && sequence_of(events[count].id) == sequence_of(events[count - 1].id))
        count--;
    return count;
}

/* False: no memory; the page is looked at again later. */
static bool forget(struct node *node, struct partition *partition, const struct outbox_event *item)
{
    struct session_trim trim = {.up_to_ms = item->ts + 1};
    struct session_event event = {.type = EV_SESSION_TRIM, .trim = &trim};
    if (!span_given(item->input) && !span_given(item->command))
        return true;
    struct slot *slot = slot_for(node, item->session, partition->id);
    if (!slot || slot->state == SLOT_QUARANTINED)
        return slot != NULL;
    id_set(&trim.input, item->input);
    id_set(&trim.idem, item->idem);
    id_set(&trim.command, item->command);
    if (span_given(item->run) && item->run.bytes < 40) {
        char name[64];
        int bytes =
            snprintf(name, sizeof name, "%.*s.%llu", SPAN_ARGS(item->run), (unsigned long long)item->receipt_sequence);
        id_set(&trim.receipt, (struct span){name, (size_t)bytes});
    }
    partition->trim_waiting++;
    slot_give(node, slot, &event, NULL, 0);
    return true;
}

static struct partition *asked(struct node *node, uint64_t call)
{
    for (uint32_t p = 0; p < node->config.partitions; p++)
        if (node->partitions[p].trim_call == call)
            return &node->partitions[p];
    return NULL;
}

bool retain_page(struct node *node, const struct node_event *event)
{
    struct partition *partition = asked(node, event->call);
    if (!partition)
        return false;
    partition->trim_call = 0;
    node->retain_look_ms = node->now_ms; /* another partition's turn */
    if (event->as.events.status != LEASE_HELD || partition->state != PARTITION_OWNED)
        return true;
    size_t count = old_ones(node, partition, event);
    uint64_t before = partition->trim_to, bytes = partition->trim_bytes;
    partition->trim_waiting = 1; /* the page itself: nothing is deleted before all of it was looked at */
    for (size_t i = 0; i < count; i++) {
        const struct outbox_event *item = &event->as.events.events[i];
        if (!forget(node, partition, item)) {
            partition->trim_to = before;
            partition->trim_bytes = bytes;
            break;
        }
        partition->trim_bytes += item->message.bytes;
        partition->trim_to = sequence_of(item->id);
    }
    partition->trim_waiting--;
    if (partition->trim_to != before) /* there may be more */
        partition->trim_due_ms = node->now_ms;
    return true;
}

bool retain_call_failed(struct node *node, uint64_t call)
{
    struct partition *partition = asked(node, call);
    if (!partition)
        return false;
    partition->trim_call = 0;
    partition->trim_due_ms = node->retain_look_ms = node->now_ms + BACKOFF_FIRST_MS;
    return true;
}

void retain_done(struct node *node, struct partition *partition)
{
    if (partition->trim_waiting && !--partition->trim_waiting)
        node->retain_look_ms = node->now_ms; /* the next page may be asked for */
}

uint64_t retain_due_ms(const struct node *node)
{
    return node->store_up ? node->retain_look_ms : UINT64_MAX;
}
