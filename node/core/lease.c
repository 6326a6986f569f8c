/* Partitions and their leases: founding, claiming, recovering, renewing, losing, releasing. Safety is in the store,
 * which compares owner, incarnation and fence inside every call; here is liveness, and the clock that silences a node
 * before its lease ends. */
#include "node/core/node_impl.h"

#include <stdio.h>

#define TAIL_ENTRIES 500 /* outbox entries looked at in one call */

/* A node is silent a tenth of a lease before the store would give the lease away: clocks drift, and sending takes time.
 */
static uint64_t safe_until(const struct node *node, uint64_t sent_ms, uint64_t left_ms)
{
    uint64_t margin = node->config.lease_ms / 10;
    return sent_ms + (left_ms > margin ? left_ms - margin : 0);
}

/* What a claim gave. One that is repeated, its answer lost, finds a lease that has been running meanwhile. */
static uint64_t left_of(const struct node *node, const struct lease *lease)
{
    uint64_t left = lease->expires_ms > node->store_ms ? lease->expires_ms - node->store_ms : 0;
    return left < node->config.lease_ms ? left : node->config.lease_ms;
}

static uint64_t third(const struct node *node)
{
    return node->config.lease_ms / 3;
}

bool partition_ours(const struct partition *partition)
{
    return partition->state >= PARTITION_TAIL;
}

enum may node_may(const struct node *node, uint32_t id, uint64_t fence, uint64_t now_ms)
{
    const struct partition *partition = &node->partitions[id];
    if (!partition_ours(partition) || partition->fence != fence)
        return IS_GONE;
    return now_ms < partition->safe_until_ms ? MAY_LEAVE : MUST_WAIT;
}

void partition_lose(struct node *node, struct partition *partition, const char *why)
{
    if (!partition_ours(partition))
        return;
    trace(node, NOTE_WARN, "partition lost", NULL, "%04x fence %llu: %s", (unsigned)partition->id,
          (unsigned long long)partition->fence, why);
    commits_forget_partition(node, partition->id);
    replays_forget(node, partition->id, false);
    while (node->slots.by_partition[partition->id])
        slot_drop(node, node->slots.by_partition[partition->id]);
    partition->state = PARTITION_NONE;
    partition->call = 0;
    partition->claim_due_ms = node->now_ms + third(node);
    node->seen.leases_lost++;
    struct node_effect *effect = emit(node, DO_LOST);
    if (effect)
        effect->partition = partition->id;
}

void partition_suspend(struct node *node, struct partition *partition, const char *why, uint64_t stored)
{
    if (partition->state == PARTITION_SUSPENDED)
        return;
    trace(node, NOTE_ERROR, "partition suspended", NULL, "%04x: %s (stored %llu, ours %llu)", (unsigned)partition->id,
          why, (unsigned long long)stored, (unsigned long long)partition->committed);
    partition->state = PARTITION_SUSPENDED;
    node->seen.faults++;
}

/* --- calls --- */

static struct node_effect *lease_call(struct node *node, enum node_effect_type type, uint64_t *call)
{
    struct node_effect *effect = emit(node, type);
    if (!effect)
        return NULL;
    effect->as.leases.leases = mem_alloc(node->mem, node->config.partitions * sizeof(struct lease_call));
    if (!effect->as.leases.leases) {
        node->fx->count--;
        return NULL;
    }
    effect->call = *call = next_call(node);
    return effect;
}

static struct lease_call *add_lease(struct node_effect *effect, const struct partition *partition)
{
    struct lease_call *lease = &effect->as.leases.leases[effect->as.leases.count++];
    lease->partition = partition->id;
    lease->fence = partition->fence;
    return lease;
}

/* A history names one life of a partition's record: minted when the record is. */
static struct mk_hex new_history(struct node *node)
{
    struct mk_hex hex;
    uint64_t a = node->random[0] += 0x9e3779b97f4a7c15ull, b = node->random[1] += 0xd1342543de82ef95ull;
    a = (a ^ (a >> 30)) * 0xbf58476d1ce4e5b9ull;
    b = (b ^ (b >> 27)) * 0x94d049bb133111ebull;
    snprintf(hex.text, sizeof hex.text, "%016llx%016llx", (unsigned long long)(a ^ (a >> 31)),
             (unsigned long long)(b ^ (b >> 31)));
    return hex;
}

static void claim(struct node *node)
{
    if (node->claim_call || node->leaving)
        return;
    struct node_effect *effect = NULL;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->state != PARTITION_NONE || node->now_ms < partition->claim_due_ms)
            continue;
        if (!effect && !(effect = lease_call(node, DO_CLAIM, &node->claim_call)))
            return;
        struct lease_call *lease = add_lease(effect, partition);
        lease->fence = partition->heard_fence;
        lease->history = new_history(node);
        partition->state = PARTITION_CLAIMING;
    }
    node->claim_sent_ms = node->now_ms;
}

static void renew(struct node *node)
{
    if (node->renew_call || node->now_ms < node->renew_due_ms)
        return;
    struct node_effect *effect = NULL;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (!partition_ours(partition))
            continue;
        if (!effect && !(effect = lease_call(node, DO_RENEW, &node->renew_call)))
            return;
        add_lease(effect, partition)->renewals = ++partition->renewals;
    }
    node->renew_sent_ms = node->now_ms;
    node->renew_due_ms = node->now_ms + third(node);
}

static void found(struct node *node)
{
    if (node->found_call || node->now_ms < node->found_due_ms)
        return;
    struct node_effect *effect = emit(node, DO_FOUND);
    if (effect)
        effect->call = node->found_call = next_call(node);
}

/* --- recovery of a partition that has just become ours --- */

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

static void recover_next(struct node *node)
{
    if (node->now_ms < node->asks_due_ms)
        return;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->call)
            continue;
        if (partition->state == PARTITION_TAIL)
            ask_tail(node, partition);
        else if (partition->state == PARTITION_ACTIVE)
            ask_active(node, partition);
    }
}

static void at_work(struct node *node, struct partition *partition)
{
    partition->state = PARTITION_OWNED;
    for (struct slot *slot = node->slots.by_partition[partition->id], *next; slot; slot = next) {
        next = slot->partition_next;
        slot_pump(node, slot);
    }
}

static void claimed(struct node *node, const struct lease *lease)
{
    struct partition *partition = partition_at(node, lease->partition);
    if (partition->state != PARTITION_CLAIMING)
        return;
    if (lease->fence > partition->heard_fence)
        partition->heard_fence = lease->fence;
    if (lease->status != LEASE_HELD) {
        uint64_t left = lease->expires_ms > store_now(node) ? lease->expires_ms - store_now(node) : 1;
        partition->state = PARTITION_NONE;
        partition->claim_due_ms = node->now_ms + (left < third(node) ? left : third(node));
        return;
    }
    partition->history = lease->history;
    partition->fence = lease->fence;
    partition->sequence = partition->committed = lease->sequence;
    partition->published = lease->published;
    partition->horizon_ms = lease->horizon_ms;
    partition->bytes = lease->bytes;
    partition->renewals = lease->renewals;
    partition->safe_until_ms = safe_until(node, node->claim_sent_ms, left_of(node, lease));
    partition->call = 0;
    partition->trim_call = partition->trim_waiting = partition->trim_to = partition->trim_bytes =
        partition->trim_due_ms = 0;
    snprintf(partition->cursor, sizeof partition->cursor, "%llu-1", (unsigned long long)lease->published);
    if (lease->sequence == 0)
        at_work(node, partition); /* nothing was ever committed: nothing to recover */
    else
        partition->state = PARTITION_TAIL;
}

static void tail_page(struct node *node, struct partition *partition, const struct node_event *event)
{
    partition->call = 0;
    if (event->as.events.status != LEASE_HELD) {
        partition_lose(node, partition, "a read was refused: another owner");
        return;
    }
    for (size_t i = 0; i < event->as.events.count; i++) {
        const struct outbox_event *item = &event->as.events.events[i];
        struct node_effect *effect = emit(node, DO_REPUBLISH);
        if (!effect) { /* no memory: this page again */
            return;
        }
        effect->partition = partition->id;
        effect->fence = partition->fence;
        effect->as.republish.session = item->session;
        effect->as.republish.message = item->message;
        effect->as.republish.sequence = sequence_of(item->id);
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
        partition_lose(node, partition, "a read was refused: another owner");
        return;
    }
    for (size_t i = 0; i < event->as.active.count; i++)
        if (!slot_for(node, event->as.active.sessions[i], partition->id))
            return; /* no memory: asked again */
    at_work(node, partition);
}

static struct partition *awaiting(struct node *node, uint64_t call)
{
    for (uint32_t p = 0; p < node->config.partitions; p++)
        if (node->partitions[p].call == call)
            return &node->partitions[p];
    return NULL;
}

/* --- events --- */

static void renewed(struct node *node, const struct node_event *event)
{
    for (size_t i = 0; i < event->as.leases.count; i++) {
        const struct lease *lease = &event->as.leases.leases[i];
        struct partition *partition = partition_at(node, lease->partition);
        if (lease->fence > partition->heard_fence)
            partition->heard_fence = lease->fence;
        if (!partition_ours(partition))
            continue;
        if (lease->status == LEASE_HELD)
            partition->safe_until_ms = safe_until(node, node->renew_sent_ms, node->config.lease_ms);
        else
            partition_lose(node, partition, "the lease could not be renewed: another owner");
    }
}

static void heard(struct node *node, const struct node_event *event)
{
    const struct mk_owned *owned = event->as.heartbeat.owned;
    if (!owned || owned->partition >= node->config.partitions || owned->fence >= FENCE_MAX / 2)
        return; /* a fence is the store's time in us: far below, or nobody's */
    struct partition *partition = partition_at(node, owned->partition);
    if (owned->fence > partition->heard_fence)
        partition->heard_fence = owned->fence;
    if (partition_ours(partition) && owned->fence > partition->fence)
        node->renew_due_ms = node->now_ms; /* suspicion: the store decides */
}

static void founded(struct node *node, const struct node_event *event)
{
    node->found_call = 0;
    const struct node_config *config = &node->config;
    if (event->as.found.version == 1 && event->as.found.partitions == config->partitions &&
        event->as.found.groups == config->groups) {
        node->founded = true;
        return;
    }
    node->found_due_ms = UINT64_MAX;
    struct node_effect *effect = emit(node, DO_FATAL);
    if (!effect)
        return;
    effect->as.trace.what = "the store belongs to a cluster configured otherwise";
    snprintf(effect->as.trace.detail, sizeof effect->as.trace.detail,
             "stored: version %llu, --partitions %llu, --groups %llu; this node: --partitions %u, --groups %u",
             (unsigned long long)event->as.found.version, (unsigned long long)event->as.found.partitions,
             (unsigned long long)event->as.found.groups, (unsigned)config->partitions, (unsigned)config->groups);
}

void lease_event(struct node *node, const struct node_event *event)
{
    struct partition *partition;
    switch ((int)event->type) {
    case EV_FOUND:
        if (event->call == node->found_call)
            founded(node, event);
        break;
    case EV_CLAIMED:
        if (event->call != node->claim_call)
            break;
        node->claim_call = 0;
        for (size_t i = 0; i < event->as.leases.count; i++)
            claimed(node, &event->as.leases.leases[i]);
        break;
    case EV_RENEWED:
        if (event->call != node->renew_call)
            break;
        node->renew_call = 0;
        renewed(node, event);
        break;
    case EV_RELEASED:
        if (event->call == node->release_call)
            node->left = true;
        break;
    case EV_ACTIVE:
        if ((partition = awaiting(node, event->call)))
            active_found(node, partition, event);
        break;
    case EV_EVENTS:
        if ((partition = awaiting(node, event->call)))
            tail_page(node, partition, event);
        break;
    default:
        heard(node, event);
    }
}

/* A claim or a renewal whose reply was lost is simply made again: both are safe to repeat. */
bool lease_call_failed(struct node *node, const struct node_event *event)
{
    struct partition *partition = awaiting(node, event->call);
    if (partition) {
        partition->call = 0;
        node->asks_due_ms = node->now_ms + BACKOFF_FIRST_MS;
    } else if (event->call == node->found_call) {
        node->found_call = 0;
        node->found_due_ms = node->now_ms + BACKOFF_FIRST_MS;
    } else if (event->call == node->claim_call) {
        node->claim_call = 0;
        for (uint32_t p = 0; p < node->config.partitions; p++)
            if (node->partitions[p].state == PARTITION_CLAIMING) {
                node->partitions[p].state = PARTITION_NONE;
                node->partitions[p].claim_due_ms = node->now_ms + BACKOFF_FIRST_MS;
            }
    } else if (event->call == node->renew_call) {
        node->renew_call = 0;
        node->renew_due_ms = node->now_ms + BACKOFF_FIRST_MS;
    } else if (event->call == node->release_call) {
        node->release_call = 0;
    } else {
        return false;
    }
    return true;
}

/* --- time --- */

static bool quiet(const struct node *node)
{
    return commits_idle(node) && node->seen.runs_active == 0 && !node->claim_call;
}

/* Everything that was begun is finished: the partitions are given up, so that another node need not wait for the
 * leases' end. */
void leases_leave(struct node *node)
{
    if (node->release_call || node->left || !quiet(node))
        return;
    struct node_effect *effect = NULL;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        if (!partition_ours(&node->partitions[p]))
            continue;
        if (!effect && !(effect = lease_call(node, DO_RELEASE, &node->release_call)))
            return;
        add_lease(effect, &node->partitions[p]);
    }
    if (!effect)
        node->left = true;
}

void leases_tick(struct node *node)
{
    if (!node->started || !node->store_up)
        return;
    if (!node->founded) {
        found(node);
        return;
    }
    claim(node);
    renew(node);
    recover_next(node);
    if (node->leaving)
        leases_leave(node);
}

uint64_t leases_due_ms(const struct node *node)
{
    if (!node->started || !node->store_up)
        return UINT64_MAX;
    if (!node->founded)
        return node->found_call ? UINT64_MAX : node->found_due_ms;
    uint64_t due = node->renew_call ? UINT64_MAX : node->renew_due_ms;
    for (uint32_t p = 0; p < node->config.partitions && !node->claim_call; p++) {
        const struct partition *partition = &node->partitions[p];
        if (partition->state == PARTITION_NONE && partition->claim_due_ms < due)
            due = partition->claim_due_ms;
    }
    return due;
}
