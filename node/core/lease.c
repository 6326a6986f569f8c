/* Leases: founding, membership, watching, claiming, renewing, losing. Safety is in the store, which compares owner,
 * incarnation and fence inside every call; here is liveness, and the clock that silences a node before its lease ends.
 *
 * Three times a lease a node says in the store that it is there, renews what it owns and looks at what others own. Who
 * may claim what is free, and when, is the rendezvous hash's (member.h): the first in rank at once, the k-th after k
 * leases, so that a claim that is never made is made by the next. */
#include "node/core/node_impl.h"

#include <stdio.h>

/* A renewal counter that stands so long belongs to a dead owner, whatever the store's clock says. */
#define STOOD_LEASES   2
#define SESSIONS_NAMED 8 /* of a suspended partition, in the log */

static uint64_t third(const struct node *node)
{
    return node->config.lease_ms / 3;
}

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

bool partition_ours(const struct partition *partition)
{
    return partition->state >= PARTITION_TAIL && !partition->taken;
}

bool partition_works(const struct partition *partition)
{
    return partition->state >= PARTITION_OWNED && partition->state <= PARTITION_SETTLING;
}

uint64_t partition_said(const struct partition *partition)
{
    return partition->spoken > partition->published ? partition->published : partition->committed;
}

bool partition_keeps(const struct partition *partition)
{
    return partition->state >= PARTITION_EXPECTED && partition->state <= PARTITION_OFFERED;
}

enum may node_may(const struct node *node, uint32_t id, uint64_t fence, uint64_t now_ms)
{
    const struct partition *partition = &node->partitions[id];
    bool over = !partition_ours(partition) || partition->state == PARTITION_RELEASING;
    if (over || partition->fence != fence)
        return IS_GONE;
    return now_ms < partition->safe_until_ms ? MAY_LEAVE : MUST_WAIT;
}

/* --- when to claim what is not ours --- */

/* The rank among those who may. Who let its lease run out is passed over: it is dead, or had its chance. Who was named
 * at the release comes first. */
static size_t rank_of(const struct node *node, const struct partition *partition)
{
    const struct watched *watched = &partition->watched;
    struct span self = id_span(&node->config.node), successor = id_span(&watched->successor);
    size_t rank = members_rank(&node->members, partition->id, self, id_span(&watched->holder));
    if (rank == MEMBERS_MAX || !watched->unowned_since_ms || !members_candidate(&node->members, successor))
        return rank;
    return span_equal(successor, self) ? 0 : rank + 1;
}

static bool stood_still(const struct node *node, const struct watched *watched)
{
    return watched->holder.bytes && node->now_ms >= watched->stood_since_ms + STOOD_LEASES * node->config.lease_ms;
}

static void plan_claim(struct node *node, struct partition *partition)
{
    const struct watched *watched = &partition->watched;
    size_t rank = rank_of(node, partition);
    partition->claim_due_ms = UINT64_MAX;
    if (node->leaving)
        return;
    if (partition->promised &&
        partition->promised == partition->heard.fence) { /* released to us; a look may be older */
        partition->claim_due_ms = node->now_ms;
        return;
    }
    if (!watched->looked_at || rank == MEMBERS_MAX)
        return;
    uint64_t from = watched->unowned_since_ms ? watched->unowned_since_ms : watched->expires_ms;
    uint64_t dead = watched->stood_since_ms + STOOD_LEASES * node->config.lease_ms;
    if (!watched->unowned_since_ms && dead < from)
        from = dead;
    partition->claim_due_ms = from + rank * node->config.lease_ms;
}

void leases_replan(struct node *node)
{
    for (uint32_t p = 0; p < node->config.partitions; p++)
        if (node->partitions[p].state <= PARTITION_EXPECTED)
            plan_claim(node, &node->partitions[p]);
}

/* A lease that is not ours, as the store has just told it. */
static void observe(struct node *node, struct partition *partition, const struct lease *lease)
{
    struct watched *watched = &partition->watched;
    if (!lease->history.text[0] &&
        lease->status == LEASE_OTHER) { /* of another version (L35); its neighbours are served */
        if (!partition->strange)
            trace(node, NOTE_ERROR, "a lease is not readable, and left alone", NULL, "%04x", (unsigned)partition->id);
        partition->strange = true;
        partition->claim_due_ms = UINT64_MAX;
        return;
    }
    partition->strange = false;
    bool owned = lease->owner.node.bytes != 0;
    if (lease->fence > partition->heard.fence)
        partition->heard.fence = lease->fence;
    if (!watched->looked_at || lease->renewals != watched->renewals)
        watched->stood_since_ms = node->now_ms;
    watched->looked_at = true;
    watched->renewals = lease->renewals;
    watched->holder = lease->owner.node;
    watched->successor = lease->successor;
    uint64_t store = store_now(node), left = lease->expires_ms > store ? lease->expires_ms - store : 0;
    watched->expires_ms = node->now_ms + left;
    if (owned && left)
        watched->unowned_since_ms = 0;
    else if (!watched->unowned_since_ms)
        watched->unowned_since_ms = node->now_ms;
    partition->claim_unsure = false;
    plan_claim(node, partition);
    if (span_is(span_of(node->config.incarnation.text), lease->owner.incarnation.text) && left)
        partition->claim_due_ms = node->now_ms; /* ours: a claim whose answer was lost; leaving too, to give it away */
}

/* What was kept for a partition that is not ours after all: publishers repeat it, and find the owner. */
static void drop_kept(struct node *node, struct partition *partition)
{
    while (node->slots.by_partition[partition->id])
        slot_drop(node, node->slots.by_partition[partition->id]);
    partition->state = PARTITION_NONE;
}

/* --- the end of ownership --- */

void partition_drop(struct node *node, struct partition *partition)
{
    commits_forget_partition(node, partition->id);
    replays_forget(node, partition->id, false);
    handover_forget(node, partition);
    drop_kept(node, partition);
    node->moved = true;
    partition->taken = false;
    partition->call = 0;
    partition->watched = (struct watched){0};
    partition->claim_due_ms = UINT64_MAX;
}

void partition_lose(struct node *node, struct partition *partition, const char *why)
{
    if (!partition_ours(partition))
        return;
    partition_drop(node, partition);
    node->watch_due_ms = node->now_ms;
    node->news.lost++;
    node->news.lost_why = why;
    node->seen.leases_lost++;
}

void partition_suspend(struct node *node, struct partition *partition, const char *why, uint64_t stored)
{
    if (partition->state == PARTITION_SUSPENDED)
        return;
    trace(node, NOTE_ERROR, "partition suspended", NULL, "%04x: %s (stored %llu, ours %llu)", (unsigned)partition->id,
          why, (unsigned long long)stored, (unsigned long long)partition->committed);
    partition->state = PARTITION_SUSPENDED;
    node->moved = true;
    partition->call = 0;
    commits_forget_partition(node, partition->id);
    replays_forget(node, partition->id, false);
    handover_forget(node, partition);
    unsigned named = 0;
    for (struct slot *slot = node->slots.by_partition[partition->id]; slot; slot = slot->partition_next) {
        slot_cancel(node, slot);
        if (named++ < SESSIONS_NAMED)
            trace(node, NOTE_ERROR, "session suspended", slot, "its last commit may not be in the store");
    }
    node->seen.faults++;
}

/* Memory is dropped only when all that we were confirmed was there as the new owner began; else the store lost it, and
 * this node is the only one that knows (L26). */
void partition_taken(struct node *node, struct partition *partition, uint64_t began, const char *why)
{
    if (!partition_ours(partition))
        return;
    if (partition->handing.sent) { /* the release whose answer was lost was done */
        handover_released(node, partition, NULL);
        return;
    }
    if (began >= partition->committed) {
        partition_lose(node, partition, why);
        return;
    }
    partition_suspend(node, partition, "another owner began before our last confirmed commit: the store has lost it",
                      began);
    partition->taken = true;
}

void partition_doubt(struct node *node)
{
    node->moved = true;
    node->renew_due_ms = node->now_ms;
    node->asks_due_ms = node->now_ms + BACKOFF_FIRST_MS;
}

/* --- calls --- */

struct node_effect *lease_call(struct node *node, enum node_effect_type type, uint64_t *call)
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

struct lease_call *add_lease(struct node_effect *effect, const struct partition *partition)
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
    snprintf(hex.text, sizeof hex.text, "%016llx%016llx", (unsigned long long)next_random(node, 0),
             (unsigned long long)next_random(node, 1));
    return hex;
}

static void claim(struct node *node)
{
    if (node->claim_call || !node->joined)
        return;
    struct node_effect *effect = NULL;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->state > PARTITION_EXPECTED || node->now_ms < partition->claim_due_ms)
            continue;
        if (!effect && !(effect = lease_call(node, DO_CLAIM, &node->claim_call)))
            return;
        struct lease_call *lease = add_lease(effect, partition);
        lease->fence = partition->heard.fence;
        lease->history = new_history(node);
        lease->stood = stood_still(node, &partition->watched);
        lease->renewals = partition->watched.renewals;
        partition->state = PARTITION_CLAIMING;
    }
    node->claim_sent_ms = node->now_ms;
}

static bool renews(const struct partition *partition)
{
    return partition_ours(partition) && partition->state != PARTITION_RELEASING;
}

static void renew(struct node *node)
{
    if (node->renew_call || node->now_ms < node->renew_due_ms)
        return;
    struct node_effect *effect = NULL;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (!renews(partition))
            continue;
        if (!effect && !(effect = lease_call(node, DO_RENEW, &node->renew_call)))
            return;
        add_lease(effect, partition)->renewals = ++partition->renewals;
    }
    node->renew_sent_ms = node->now_ms;
    node->renew_due_ms = node->now_ms + third(node);
}

static void watch(struct node *node)
{
    if (node->watch_call || node->now_ms < node->watch_due_ms)
        return;
    struct node_effect *effect = NULL;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->state > PARTITION_EXPECTED)
            continue;
        if (!effect && !(effect = lease_call(node, DO_WATCH, &node->watch_call)))
            return;
        add_lease(effect, partition);
    }
    node->watch_due_ms = node->now_ms + third(node);
}

static void found(struct node *node)
{
    if (node->found_call || node->now_ms < node->found_due_ms)
        return;
    struct node_effect *effect = emit(node, DO_FOUND);
    if (effect)
        effect->call = node->found_call = next_call(node);
}

enum member_phase node_phase(const struct node *node)
{
    if (node->leaving)
        return MEMBER_DRAINING;
    return node->bus_up ? MEMBER_WORKING : MEMBER_DEAF;
}

/* Before the renewal of the same turn: a node that dies is dead before its leases are free. */
static void say_member(struct node *node)
{
    if (node->members_call || node->now_ms < node->members_due_ms || node->left)
        return;
    struct node_effect *effect = emit(node, DO_MEMBERS);
    if (!effect)
        return;
    effect->call = node->members_call = next_call(node);
    effect->as.members.leave = node->resigning = node->resigned;
    effect->as.members.phase = node_phase(node);
    node->members_due_ms = node->now_ms + third(node);
}

/* --- answers --- */

static void fatal(struct node *node, const char *what, const char *detail)
{
    struct node_effect *effect = emit(node, DO_FATAL);
    if (!effect)
        return;
    effect->as.trace.what = what;
    snprintf(effect->as.trace.detail, sizeof effect->as.trace.detail, "%s", detail);
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
    char detail[160];
    snprintf(detail, sizeof detail,
             "stored: version %llu, --partitions %llu, --groups %llu; this node: --partitions %u, --groups %u; give "
             "the cluster's own",
             (unsigned long long)event->as.found.version, (unsigned long long)event->as.found.partitions,
             (unsigned long long)event->as.found.groups, (unsigned)config->partitions, (unsigned)config->groups);
    fatal(node, "the store belongs to a cluster configured otherwise", detail);
}

/* Another process has our id. One that died is forgotten when its lease is over; one that lives is no mistake that this
 * node can mend. */
static void stranger(struct node *node)
{
    if (!node->stranger_since_ms)
        node->stranger_since_ms = node->now_ms;
    else if (node->now_ms > node->stranger_since_ms + 2 * node->config.lease_ms)
        fatal(node, "another process has this node's id", "end it, or start this one with another --node-id");
}

static void membered(struct node *node, const struct node_event *event)
{
    node->members_call = 0;
    if (node->resigning) {
        node->left = true;
        return;
    }
    if (event->as.members.status != LEASE_HELD) {
        stranger(node);
        return;
    }
    uint64_t set = node->members.set;
    node->stranger_since_ms = 0;
    members_take(&node->members, event->as.members.list, event->as.members.count, STOOD_LEASES * node->config.lease_ms,
                 node->now_ms, store_now(node));
    if (!node->joined || node->members.set != set)
        leases_replan(node);
    node->joined = true;
}

/* Whether the store is another one than the partition's owners spoke of, or an older one. */
static const char *differs(const struct partition *partition, const struct lease *lease)
{
    const struct heard *heard = &partition->heard;
    if (!heard->history.text[0])
        return NULL;
    if (strcmp(heard->history.text, lease->history.text) != 0)
        return "its owner spoke of another history: the store is not the one it was";
    return heard->sequence > lease->sequence ? "its owner spoke of later commits: the store has lost them" : NULL;
}

static void take(struct node *node, struct partition *partition, const struct lease *lease)
{
    partition->history = lease->history;
    partition->fence = lease->fence;
    partition->sequence = partition->committed = lease->sequence;
    partition->published = lease->published;
    partition->spoken = 0;
    partition->horizon_ms = lease->horizon_ms;
    partition->bytes = lease->bytes;
    partition->renewals = lease->renewals;
    partition->safe_until_ms = safe_until(node, node->claim_sent_ms, left_of(node, lease));
    partition->trim_call = partition->trim_waiting = partition->trim_to = partition->trim_bytes =
        partition->trim_due_ms = 0;
    partition->handing = (struct handing){0};
    partition->unheard = 0;
    partition->stays_until_ms = 0;
    partition->claim_unsure = false;
    partition->promised = 0;
    node->news.claimed++;
    node->retain_look_ms = node->now_ms;
    node->hand_due_ms = node->members_due_ms = node->now_ms; /* no moving on before the members are read anew */
    node->beat_now = true; /* publishers and the other nodes learn at once who owns it */
    recover_begin(node, partition);
    const char *why = differs(partition, lease);
    if (why)
        partition_suspend(node, partition, why, lease->sequence);
}

static void claimed(struct node *node, const struct lease *lease)
{
    struct partition *partition = partition_at(node, lease->partition);
    if (partition->state != PARTITION_CLAIMING)
        return;
    if (lease->status == LEASE_HELD) {
        take(node, partition, lease);
        return;
    }
    partition->promised = 0;
    partition->state = PARTITION_EXPECTED;
    if (node->now_ms >= partition->expected_until_ms)
        drop_kept(node, partition);
    observe(node, partition, lease);
    if (partition->claim_due_ms <= node->now_ms) /* it is alive after all */
        partition->claim_due_ms = node->now_ms + third(node);
}

static void renewed(struct node *node, const struct node_event *event)
{
    for (size_t i = 0; i < event->as.leases.count; i++) {
        const struct lease *lease = &event->as.leases.leases[i];
        struct partition *partition = partition_at(node, lease->partition);
        if (lease->fence > partition->heard.fence)
            partition->heard.fence = lease->fence;
        if (!partition_ours(partition))
            continue;
        if (lease->status == LEASE_HELD)
            partition->safe_until_ms = safe_until(node, node->renew_sent_ms, node->config.lease_ms);
        else
            partition_taken(node, partition, lease->began, "the lease could not be renewed: another owner");
    }
}

static void watched(struct node *node, const struct node_event *event)
{
    for (size_t i = 0; i < event->as.leases.count; i++) {
        struct partition *partition = partition_at(node, event->as.leases.leases[i].partition);
        if (partition->state <= PARTITION_EXPECTED)
            observe(node, partition, &event->as.leases.leases[i]);
    }
}

void lease_heard(struct node *node, const struct mk_owned *owned)
{
    if (owned->partition >= node->config.partitions || owned->fence >= FENCE_MAX / 2)
        return; /* a fence is the store's time in us: far below, or nobody's */
    struct partition *partition = partition_at(node, owned->partition);
    struct heard *heard = &partition->heard;
    bool told = owned->history.bytes == sizeof heard->history.text - 1;
    bool newer = owned->fence > heard->fence || !heard->history.text[0];
    bool same = owned->fence == heard->fence && span_is(owned->history, heard->history.text);
    if (told && owned->fence >= heard->fence && newer) {
        memcpy(heard->history.text, owned->history.at, owned->history.bytes);
        heard->sequence = owned->sequence;
    } else if (same && owned->sequence > heard->sequence) {
        heard->sequence = owned->sequence;
    }
    if (owned->fence > heard->fence)
        heard->fence = owned->fence;
    if (partition->handing.told_until_ms && owned->fence > partition->fence)
        partition->handing.told_until_ms = 0; /* the successor has it */
    if (partition_ours(partition) && owned->fence > partition->fence)
        node->renew_due_ms = node->now_ms; /* suspicion: the store decides */
}

void lease_event(struct node *node, const struct node_event *event)
{
    switch ((int)event->type) {
    case EV_FOUND:
        if (event->call == node->found_call)
            founded(node, event);
        break;
    case EV_MEMBERS:
        if (event->call == node->members_call)
            membered(node, event);
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
    default:
        if (event->call != node->watch_call)
            break;
        node->watch_call = 0;
        watched(node, event);
    }
}

static void claim_failed(struct node *node)
{
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->state != PARTITION_CLAIMING)
            continue;
        partition->state = PARTITION_EXPECTED; /* what was kept stays */
        partition->claim_unsure = true;
        partition->expected_until_ms = node->now_ms + 2 * node->config.lease_ms;
        partition->claim_due_ms = node->now_ms + BACKOFF_FIRST_MS;
    }
}

/* A claim or a renewal whose reply was lost is simply made again: both are safe to repeat. */
bool lease_call_failed(struct node *node, uint64_t call)
{
    uint64_t again_ms = node->now_ms + BACKOFF_FIRST_MS;
    if (call == node->found_call) {
        node->found_call = 0;
        node->found_due_ms = again_ms;
    } else if (call == node->members_call) {
        node->members_call = 0;
        node->members_due_ms = again_ms;
    } else if (call == node->claim_call) {
        node->claim_call = 0;
        claim_failed(node);
    } else if (call == node->renew_call) {
        node->renew_call = 0;
        node->renew_due_ms = again_ms;
    } else if (call == node->watch_call) {
        node->watch_call = 0;
        node->watch_due_ms = again_ms;
    } else {
        return false;
    }
    return true;
}

/* --- time --- */

/* A counter can be seen to stand only while it can be seen. */
void leases_store_up(struct node *node)
{
    node->members_due_ms = node->watch_due_ms = node->now_ms;
    members_unseen(&node->members, node->now_ms);
    for (uint32_t p = 0; p < node->config.partitions; p++)
        node->partitions[p].watched.stood_since_ms = node->now_ms;
}

static void expectations(struct node *node)
{
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->state == PARTITION_EXPECTED && node->now_ms >= partition->expected_until_ms)
            drop_kept(node, partition);
    }
}

static void count_partition(struct tally *tally, const struct partition *partition)
{
    bool handing = partition->state >= PARTITION_FINISHING && partition->state <= PARTITION_RELEASING;
    tally->owned += partition->state == PARTITION_OWNED || handing;
    tally->handing += handing;
    tally->claiming += partition->state == PARTITION_CLAIMING;
    tally->recovering += partition->state == PARTITION_TAIL || partition->state == PARTITION_ACTIVE;
    tally->suspended += partition->state == PARTITION_SUSPENDED;
    tally->expecting += partition->state == PARTITION_EXPECTED;
    if (partition_ours(partition) && partition->safe_until_ms < tally->safe_until_ms)
        tally->safe_until_ms = partition->safe_until_ms;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something of what leases_tick does is due again. */
static uint64_t next_look(const struct node *node)
{
    uint64_t due =
        sooner(node->renew_call ? UINT64_MAX : node->renew_due_ms, node->watch_call ? UINT64_MAX : node->watch_due_ms);
    if (!node->members_call && !node->left)
        due = sooner(due, node->members_due_ms);
    if (node->joined)
        due = sooner(due, node->hand_due_ms);
    if (node->asks_due_ms > node->now_ms)
        due = sooner(due, node->asks_due_ms);
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        const struct partition *partition = &node->partitions[p];
        if (partition->state == PARTITION_EXPECTED)
            due = sooner(due, partition->expected_until_ms);
        if (partition->state <= PARTITION_EXPECTED && !node->claim_call && node->joined)
            due = sooner(due, partition->claim_due_ms);
    }
    return due;
}

static void look(struct node *node)
{
    node->moved = false;
    if (members_look(&node->members, node->now_ms, store_now(node))) {
        leases_replan(node);
        node->hand_due_ms = node->now_ms;
    }
    say_member(node);
    claim(node);
    renew(node);
    watch(node);
    expectations(node);
    recover_next(node);
    handovers_tick(node);
    node->tally = (struct tally){.safe_until_ms = UINT64_MAX};
    for (uint32_t p = 0; p < node->config.partitions; p++)
        count_partition(&node->tally, &node->partitions[p]);
    node->look_due_ms = next_look(node);
    if (node->look_due_ms <= node->now_ms) /* something could not be done, for want of memory: not again at once */
        node->look_due_ms = node->now_ms + 1;
}

void leases_tick(struct node *node)
{
    if (!node->started || !node->store_up)
        return;
    if (!node->founded)
        found(node);
    else if (node->moved || node->now_ms >= node->look_due_ms)
        look(node);
    else if (node->hands)
        handovers_tick(node);
}

uint64_t leases_due_ms(const struct node *node)
{
    if (!node->started || !node->store_up)
        return UINT64_MAX;
    if (!node->founded)
        return node->found_call ? UINT64_MAX : node->found_due_ms;
    return node->moved ? node->now_ms + 1 : node->look_due_ms;
}
