/* Hand-over: a partition moves between two nodes that live, because its wanted owner is another (member.h) or because
 * this node leaves.
 *
 * The owner's end. FINISHING: no run starts; those that run may finish, for a bounded time, then they are cancelled
 * without an attempt. OFFERED: the successor is told on the bus; until it says that it keeps what arrives, nothing
 * changes. SETTLING: nothing more is taken; what was begun is committed and published. RELEASING: the store frees the
 * lease and notes the successor; then the bus says so.
 *
 * The successor's end. EXPECTED on the offer: it keeps what arrives in slots that are not read yet. It claims when the
 * release is said, and recovers as after a death, but finds nothing unpublished.
 *
 * Every message may be lost: the offer is repeated and waited for a bounded time; the release is in the store, where
 * the successor finds it by watching. */
#include "node/core/node_impl.h"

#define SAY_AGAIN_MS    50  /* an offer without an answer */
#define YOUNG_MS        100 /* one that waits for a run longer does not hold others up */
#define CANCEL_EVERY_MS 1000
#define UNHEARD_MAX     4 /* offers without an answer, a lease apart: then it is released all the same */
#define MEMBERS_LOOK_MS 5 /* while the members are being asked for */

static struct span self_id(const struct node *node)
{
    return id_span(&node->config.node);
}

/* --- the owner's end --- */

static void unlink_hand(struct node *node, struct partition *partition)
{
    struct partition **link = &node->hands;
    while (*link && *link != partition)
        link = &(*link)->handing.next;
    if (*link)
        *link = partition->handing.next;
}

void handover_forget(struct node *node, struct partition *partition)
{
    node->moved = true;
    unlink_hand(node, partition);
    partition->handing = (struct handing){0};
}

static void begin(struct node *node, struct partition *partition, const struct member *heir)
{
    partition->state = PARTITION_FINISHING;
    node->moved = true;
    partition->handing = (struct handing){
        .next = node->hands, .began_ms = node->now_ms, .due_ms = node->now_ms + node->config.finish_ms};
    if (heir)
        partition->handing.successor = heir->who.node;
    node->hands = partition;
}

/* Who shall have it; NULL: it stays, or (leaving) nobody is there. */
static const struct member *heir_of(const struct node *node, const struct partition *partition)
{
    if (node->leaving)
        return members_wanted(&node->members, partition->id, self_id(node));
    const struct member *wanted = members_wanted(&node->members, partition->id, (struct span){NULL, 0});
    return wanted && !span_equal(id_span(&wanted->who.node), self_id(node)) ? wanted : NULL;
}

static uint64_t stable_at_ms(const struct node *node)
{
    uint64_t leases = members_candidate(&node->members, self_id(node)) ? 2 : 1; /* the deaf are of no use to anybody */
    return node->members.since_ms + leases * node->config.lease_ms;
}

static size_t busy_hands(const struct node *node)
{
    size_t busy = 0;
    for (const struct partition *hand = node->hands; hand; hand = hand->handing.next)
        busy += hand->state != PARTITION_FINISHING || node->now_ms < hand->handing.began_ms + YOUNG_MS;
    return busy;
}

/* Begins what is to be given away, a few at a time, so that each is away for a short time only. */
static void begin_some(struct node *node)
{
    if (!node->joined || node->now_ms < node->hand_due_ms)
        return;
    if (!node->leaving && node->now_ms < stable_at_ms(node)) {
        node->hand_due_ms = stable_at_ms(node);
        return;
    }
    if (node->members_call || node->now_ms >= node->members_due_ms) { /* who is there is being asked */
        node->hand_due_ms = node->now_ms + MEMBERS_LOOK_MS;
        return;
    }
    size_t busy = busy_hands(node);
    node->hand_due_ms = node->now_ms + node->config.lease_ms / 3;
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        struct partition *partition = &node->partitions[p];
        if (partition->state != PARTITION_OWNED || (node->now_ms < partition->stays_until_ms && !node->leaving))
            continue;
        const struct member *heir = heir_of(node, partition);
        if (!heir && !node->leaving)
            continue;
        if (busy++ == HANDOVERS_MAX) {
            node->hand_due_ms = node->now_ms + YOUNG_MS / 2;
            return;
        }
        begin(node, partition, heir);
    }
}

/* Whether a run is with the executor, or will be as soon as its commit is confirmed. */
static bool runs(const struct node *node, const struct partition *partition)
{
    if (partition->runs)
        return true;
    for (const struct slot *slot = node->slots.by_partition[partition->id]; slot; slot = slot->partition_next)
        if (slot->session && slot->session->stage.open && slot->session->stage.order.start)
            return true;
    return false;
}

static void cancel_runs(struct node *node, struct partition *partition)
{
    for (struct slot *slot = node->slots.by_partition[partition->id]; slot; slot = slot->partition_next)
        slot_cancel(node, slot);
    partition->handing.due_ms = node->now_ms + CANCEL_EVERY_MS; /* one that was not started yet is told again */
}

static void offer(struct node *node, struct partition *partition)
{
    partition->state = PARTITION_OFFERED;
    partition->handing.due_ms = node->now_ms + node->config.lease_ms / 3;
    partition->handing.said_ms = node->now_ms;
    node->beat_now = true;
}

static bool slot_settled(const struct slot *slot)
{
    return !slot->queue.first && !slot->applied.first && !slot->dirty &&
           (slot->state == SLOT_READY || slot->state == SLOT_QUARANTINED);
}

static bool settled(const struct node *node, const struct partition *partition)
{
    if (partition->runs || partition->sequence != partition->committed || partition->spoken > partition->published)
        return false;
    for (const struct slot *slot = node->slots.by_partition[partition->id]; slot; slot = slot->partition_next)
        if (!slot_settled(slot))
            return false;
    return true;
}

/* Its sessions go on here: those that held work back are looked at again. */
static void keep(struct node *node, struct partition *partition)
{
    struct session_event tick = {.type = EV_SESSION_TICK};
    handover_forget(node, partition);
    partition_resume(node, partition);
    for (struct slot *slot = node->slots.by_partition[partition->id], *next; slot; slot = next) {
        next = slot->partition_next;
        if (slot->session && slot->session->held)
            slot_give(node, slot, &tick, NULL, 0);
    }
}

/* The successor may die, leave, or not be wanted any more, before it was promised anything. False: it stays here. */
static bool still_goes(struct node *node, struct partition *partition)
{
    struct handing *handing = &partition->handing;
    const struct member *heir = heir_of(node, partition);
    struct span id = heir ? id_span(&heir->who.node) : (struct span){NULL, 0};
    if (span_equal(id, id_span(&handing->successor)))
        return true;
    if (!heir && !node->leaving) {
        keep(node, partition);
        return false;
    }
    memset(&handing->successor, 0, sizeof handing->successor);
    if (heir)
        handing->successor = heir->who.node;
    handing->kept = false;
    if (partition->state == PARTITION_OFFERED)
        offer(node, partition);
    return true;
}

/* Behind what was taken before, and the last that its sessions are told here. */
static void settle(struct node *node, struct partition *partition)
{
    struct session_event part = {.type = EV_SESSION_PART};
    partition->state = PARTITION_SETTLING;
    for (struct slot *slot = node->slots.by_partition[partition->id], *next; slot; slot = next) {
        next = slot->partition_next;
        if (slot->queue.first || slot->applied.first || (slot->session && slot->session->core.ledger.count))
            slot_give(node, slot, &part, NULL, 0);
    }
}

static void progress(struct node *node, struct partition *partition)
{
    struct handing *handing = &partition->handing;
    if (partition->state >= PARTITION_SETTLING || !still_goes(node, partition))
        return;
    bool waits = handing->successor.bytes && node->bus_up;
    if (partition->state == PARTITION_FINISHING) {
        if (!runs(node, partition))
            offer(node, partition);
        else if (node->now_ms >= handing->due_ms)
            cancel_runs(node, partition);
    }
    if (partition->state != PARTITION_OFFERED)
        return;
    bool late = node->now_ms >= handing->due_ms;
    bool blue = late && waits && !handing->kept && !node->leaving;
    if (blue && ++partition->unheard < UNHEARD_MAX) { /* it may be dead, or not hear */
        keep(node, partition);
        partition->stays_until_ms = node->now_ms + node->config.lease_ms;
    } else if (handing->kept || !waits || late) {
        settle(node, partition);
    } else if (node->now_ms >= handing->said_ms + SAY_AGAIN_MS) {
        handing->said_ms = node->now_ms;
        node->beat_now = true;
    }
}

/* At the end of a turn: what the turn led to has left by then, and after the release nothing leaves any more. */
void handovers_release(struct node *node)
{
    struct node_effect *effect = NULL;
    bool renewing =
        node->renew_call || node->now_ms >= node->renew_due_ms; /* it may tell that the lease is another's */
    if (node->release_call || renewing)
        return;
    for (struct partition *hand = node->hands; hand; hand = hand->handing.next) {
        if (hand->state != PARTITION_SETTLING || !settled(node, hand))
            continue;
        uint64_t call;
        if (!effect && !(effect = lease_call(node, DO_RELEASE, &call)))
            return;
        struct lease_call *lease = add_lease(effect, hand);
        lease->successor = hand->handing.successor;
        lease->published = hand->committed;
        hand->state = PARTITION_RELEASING;
    }
    if (effect)
        node->release_call = effect->call;
}

/* The release was not done, or nobody knows: what came due meanwhile is still to be applied. */
static void settle_again(struct node *node, struct partition *partition)
{
    partition->state = PARTITION_SETTLING;
    partition_pump(node, partition);
}

static uint64_t sessions_in_memory(const struct node *node, const struct partition *partition)
{
    uint64_t count = 0;
    for (const struct slot *slot = node->slots.by_partition[partition->id]; slot; slot = slot->partition_next)
        count++;
    return count;
}

void handover_released(struct node *node, struct partition *partition, const struct lease *lease)
{
    uint64_t sessions = lease ? lease->sessions : sessions_in_memory(node, partition);
    struct handing handing = partition->handing;
    struct heard heard = {partition->history, partition->fence, partition->committed};
    partition_drop(node, partition);
    handing.next = NULL;
    handing.sessions = sessions;
    handing.took_ms = node->now_ms - handing.began_ms;
    handing.told_until_ms = handing.successor.bytes ? node->now_ms + 2 * node->config.lease_ms : 0;
    handing.done = node->leaving;
    partition->handing = handing;
    if (heard.fence >= partition->heard.fence)
        partition->heard = heard;
    node->beat_now = true;
    node->hand_due_ms = node->now_ms;
    node->news.given++;
}

static void released(struct node *node, const struct node_event *event)
{
    for (size_t i = 0; i < event->as.leases.count; i++) {
        const struct lease *lease = &event->as.leases.leases[i];
        struct partition *partition = partition_at(node, lease->partition);
        if (partition->state != PARTITION_RELEASING)
            continue;
        if (lease->status == LEASE_HELD || partition->handing.sent) {
            handover_released(node, partition, lease);
        } else { /* it is not ours to give: a renewal tells whose it is */
            settle_again(node, partition);
            partition_doubt(node);
        }
    }
}

/* It may have been done: then the repeat, or a renewal, finds it free, or the successor's. */
bool handover_call_failed(struct node *node, uint64_t call)
{
    if (call != node->release_call)
        return false;
    node->release_call = 0;
    for (struct partition *hand = node->hands; hand; hand = hand->handing.next)
        if (hand->state == PARTITION_RELEASING) {
            hand->handing.sent = true;
            settle_again(node, hand);
        }
    return true;
}

/* --- the successor's end --- */

static void told(struct node *node, const struct mk_handing *said)
{
    if (said->partition >= node->config.partitions || !span_equal(said->successor, self_id(node)) || node->leaving)
        return;
    struct partition *partition = partition_at(node, said->partition);
    if (partition->state > PARTITION_EXPECTED || said->fence < partition->heard.fence || said->fence >= FENCE_MAX / 2)
        return;
    partition->heard.fence = said->fence;
    if (said->released) {
        partition->promised = said->fence;
        partition->claim_due_ms = node->now_ms;
        return;
    }
    node->news.kept += partition->state == PARTITION_NONE;
    partition->state = PARTITION_EXPECTED;
    partition->expected_until_ms = node->now_ms + 2 * node->config.lease_ms;
    node->beat_now = true; /* also when it was said before: the answer may be lost */
}

static void kept(struct node *node, struct span by, uint32_t id)
{
    if (id >= node->config.partitions)
        return;
    struct partition *partition = partition_at(node, id);
    if (partition->state == PARTITION_OFFERED && span_equal(by, id_span(&partition->handing.successor)))
        partition->handing.kept = true;
}

void handover_event(struct node *node, const struct node_event *event)
{
    if (event->type == EV_RELEASED) {
        if (event->call != node->release_call)
            return;
        node->release_call = 0;
        released(node, event);
    } else if (event->as.heartbeat.part == BEAT_HANDING) {
        told(node, event->as.heartbeat.handing);
    } else {
        kept(node, event->as.heartbeat.beat->node, event->as.heartbeat.expecting);
    }
}

/* --- leaving --- */

static void leave_begin(struct node *node)
{
    if (node->leaving)
        return;
    node->leaving = node->moved = true;
    leases_replan(node);
    node->leaving_since_ms = node->now_ms;
    node->hand_due_ms = node->members_due_ms = node->now_ms;
    node->beat_now = true; /* nobody shall give us anything any more */
}

static void answer_asker(struct node *node, const struct asker *asker)
{
    struct answer *answer = mem_alloc(node->mem, sizeof *answer);
    if (!answer)
        return;
    answer->type = ANSWER_RESULT;
    answer->to = asker->to;
    answer->re = asker->re;
    answer->as.result = (struct mk_result){.re = id_span(&answer->re), .ok = true};
    answer->data = doc_new(node->mem);
    if (answer->data) {
        drain_receipt(node, answer->data);
        answer->as.result.data = answer->data;
    }
    answer_now(node, answer, NULL);
}

void drain_ask(struct node *node, const struct mk_command *command)
{
    struct asker asker = {{0}, {0}};
    if (command && id_set(&asker.to, command->reply_to) && id_set(&asker.re, command->h.id)) {
        size_t i = 0;
        while (i < node->asker_count && !span_equal(id_span(&node->askers[i].re), id_span(&asker.re)))
            i++;
        if (node->resigned) {
            answer_asker(node, &asker);
        } else if (i < DRAIN_ASKERS_MAX) {
            node->askers[i] = asker;
            node->asker_count += i == node->asker_count;
        }
    }
    leave_begin(node);
}

static bool gives_nothing_more(const struct node *node)
{
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        const struct partition *partition = &node->partitions[p];
        if (partition->claim_unsure ||
            (partition->state >= PARTITION_CLAIMING && partition->state != PARTITION_SUSPENDED))
            return false;
    }
    return true;
}

void drain_end(struct node *node)
{
    if (node->resigned)
        return;
    node->resigned = true;
    node->left_after_ms = node->now_ms - node->leaving_since_ms;
    node->members_due_ms = node->now_ms;
    for (size_t i = 0; i < node->asker_count; i++)
        answer_asker(node, &node->askers[i]);
}

struct receipt {
    uint64_t partitions, sessions, refused, suspended;
};

static struct receipt add_up(const struct node *node)
{
    struct receipt sum = {0, 0, 0, 0};
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        const struct handing *handing = &node->partitions[p].handing;
        sum.suspended += node->partitions[p].state == PARTITION_SUSPENDED;
        if (!handing->done)
            continue;
        sum.partitions++;
        sum.sessions += handing->sessions;
        sum.refused += handing->refused;
    }
    return sum;
}

void drain_receipt(const struct node *node, struct mk_doc *doc)
{
    struct receipt sum = add_up(node);
    doc_map(doc);
    doc_put_text(doc, "node", self_id(node));
    doc_put_u64(doc, "partitions", sum.partitions);
    doc_put_u64(doc, "sessions", sum.sessions);
    doc_put_u64(doc, "refused", sum.refused);
    doc_put_u64(doc, "ms", node->left_after_ms);
    doc_put_u64(doc, "suspended", sum.suspended); /* these it holds until it ends, and gives nobody */
    doc_key(doc, "moved");
    doc_array(doc);
    for (uint32_t p = 0; p < node->config.partitions; p++) {
        const struct handing *handing = &node->partitions[p].handing;
        if (!handing->done)
            continue;
        doc_map(doc);
        doc_put_u64(doc, "partition", p);
        doc_put_u64(doc, "sessions", handing->sessions);
        doc_put_text(doc, "successor", handing->successor.bytes ? id_span(&handing->successor) : SPAN_LIT(""));
        doc_put_u64(doc, "refused", handing->refused);
        doc_put_u64(doc, "ms", handing->took_ms);
        doc_end(doc);
    }
    doc_end(doc);
    doc_end(doc);
}

/* --- time --- */

void handovers_tick(struct node *node)
{
    begin_some(node);
    for (struct partition *hand = node->hands, *next; hand; hand = next) {
        next = hand->handing.next;
        progress(node, hand);
    }
    if (node->leaving && gives_nothing_more(node))
        drain_end(node);
}

uint64_t handovers_due_ms(const struct node *node)
{
    uint64_t due = UINT64_MAX;
    for (const struct partition *hand = node->hands; hand; hand = hand->handing.next) {
        const struct handing *handing = &hand->handing;
        uint64_t wanted = hand->state == PARTITION_FINISHING  ? handing->due_ms
                          : hand->state == PARTITION_OFFERED  ? handing->said_ms + SAY_AGAIN_MS
                          : hand->state == PARTITION_SETTLING ? node->now_ms + 1 /* what left last is told later */
                                                              : UINT64_MAX;
        if (wanted < due)
            due = wanted;
    }
    return due;
}
