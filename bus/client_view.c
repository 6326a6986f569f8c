/* What the client knows of the cluster: heartbeats say which nodes live and which partitions they own. */
#include <stdio.h>

#include "bus/client.h"
#include "node/core/crc16.h"

static bool heard_lately(uint64_t heard_ms)
{
    return heard_ms && client__now_ms() - heard_ms < OWNER_HEARD_MS;
}

/* --- who owns what --- */

/* A lower fence is that of somebody who was the owner once, unless nobody with a higher one is heard any more. */
static bool outdated(const struct owner_view *view, uint64_t fence)
{
    return fence < view->fence && heard_lately(view->heard_ms);
}

/* Whether whoever says so has only now become the owner. The first to be heard is new if it was not there before. */
static bool is_new(const struct mk_client *client, const struct owner_view *view, uint64_t fence)
{
    if (view->fence)
        return fence != view->fence;
    return client->ready && client__now_ms() - client->ready_ms >= OWNERS_KNOWN_MS;
}

static bool note_owned(struct mk_client *client, struct span node, const struct mk_owned *owned)
{
    struct owner_view *view = &client->owners[owned->partition];
    if (outdated(view, owned->fence))
        return false;
    bool new = is_new(client, view, owned->fence);
    *view = (struct owner_view){.heard_ms = client__now_ms(), .fence = owned->fence};
    id_set(&view->node, node);
    return new;
}

/* What was owned stays known, so that the next owner is seen to be another. */
static void note_handing(struct mk_client *client, struct span node, const struct mk_handing *handing)
{
    struct owner_view *view = &client->owners[handing->partition];
    if (outdated(view, handing->fence))
        return;
    view->fence = handing->fence;
    view->handing_ms = client__now_ms();
    id_set(&view->node, node);
    id_set(&view->successor, handing->successor);
}

static void note_suspended(struct mk_client *client, struct span node, uint32_t partition)
{
    struct owner_view *view = &client->owners[partition];
    if (!heard_lately(view->heard_ms))
        id_set(&view->node, node);
    if (span_equal(id_span(&view->node), node))
        view->suspended_ms = client__now_ms();
}

/* Everything unanswered of the partitions that have another owner now is repeated: what came in between may have been
 * kept by nobody. */
static void repeat_moved(struct mk_client *client, const bool moved[PARTITIONS_MAX])
{
    struct pending *pending;
    TAILQ_FOREACH(pending, &client->table.all, all)
    {
        if (!pending->node_command && moved[partition_of(span_of(pending->session), client->partitions)])
            pending_repeat_now(&client->table, pending);
    }
}

/* --- heartbeats --- */

static void note_lists(struct mk_client *client, struct span node, struct heartbeat_lists *lists, struct mk_beat *beat)
{
    bool moved[PARTITIONS_MAX] = {false}, any = false;
    struct mk_owned owned;
    struct mk_handing handing;
    uint32_t partition;
    for (; owned_next(&lists->owned, &owned); beat->owned++) {
        beat->fence_max = owned.fence > beat->fence_max ? owned.fence : beat->fence_max;
        if (owned.partition < PARTITIONS_MAX && note_owned(client, node, &owned))
            moved[owned.partition] = any = true;
    }
    for (; handing_next(&lists->handing, &handing); beat->handing++)
        if (handing.partition < PARTITIONS_MAX)
            note_handing(client, node, &handing);
    while (partition_next(&lists->expecting, &partition))
        beat->expecting++;
    for (; partition_next(&lists->suspended, &partition); beat->suspended++)
        if (partition < PARTITIONS_MAX)
            note_suspended(client, node, partition);
    if (any)
        repeat_moved(client, moved);
}

static void note_node(struct mk_client *client, const struct mk_heartbeat *in)
{
    client->node_heard_ms = client__now_ms();
    if (in->partitions_total >= 1 && in->partitions_total <= PARTITIONS_MAX)
        client->partitions = in->partitions_total;
}

void client__heartbeat(struct mk_client *client, struct span map)
{
    struct mk_heartbeat in;
    struct heartbeat_lists lists;
    if (heartbeat_read(map, &in, &lists, NULL) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    struct mk_beat beat = {.id = bytes_of(in.node),
                           .hub = in.hub,
                           .incarnation = bytes_of(in.incarnation),
                           .phase = bytes_of(in.phase),
                           .partitions = in.partitions_total,
                           .sessions = in.sessions,
                           .load = in.load,
                           .message = bytes_of(map)};
    if (in.hub) {
        client->hub_heard = true;
    } else {
        note_node(client, &in);
        note_lists(client, in.node, &lists, &beat);
    }
    if (client->on_beat)
        client->on_beat(client->beat_user, &beat);
}

bool mk_beat_claims(struct mk_bytes message, void (*each)(void *user, const struct mk_claim *claim), void *user)
{
    struct message_head head;
    struct mk_heartbeat in;
    struct heartbeat_lists lists;
    struct mk_owned owned;
    struct mk_handing handing;
    uint32_t partition;
    struct span map = span_from(message);
    if (message_head_read(map, &head, NULL) != MK_ERR_OK || head.type != MK_HEARTBEAT ||
        heartbeat_read(map, &in, &lists, NULL) != MK_ERR_OK)
        return false;
    while (owned_next(&lists.owned, &owned))
        each(user, &(struct mk_claim){.kind = MK_CLAIM_OWNED,
                                      .partition = owned.partition,
                                      .fence = owned.fence,
                                      .sequence = owned.sequence,
                                      .history = bytes_of(owned.history)});
    while (handing_next(&lists.handing, &handing))
        each(user, &(struct mk_claim){.kind = MK_CLAIM_HANDING,
                                      .partition = handing.partition,
                                      .fence = handing.fence,
                                      .successor = bytes_of(handing.successor),
                                      .released = handing.released});
    while (partition_next(&lists.expecting, &partition))
        each(user, &(struct mk_claim){.kind = MK_CLAIM_EXPECTING, .partition = partition});
    while (partition_next(&lists.suspended, &partition))
        each(user, &(struct mk_claim){.kind = MK_CLAIM_SUSPENDED, .partition = partition});
    return true;
}

/* --- what is known --- */

/* What stands in the way of a session's request, as far as its partition is concerned; false: nothing is known to. */
static bool owner_advice(struct mk_client *client, const struct pending *pending)
{
    unsigned partition = partition_of(span_of(pending->session), client->partitions);
    const struct owner_view *view = &client->owners[partition];
    const char *known = pending->admitted ? "accepted and durable, but " : "";
    const char *safe = "; repeating with the same id is safe";
    char *out = client->advice;
    size_t room = sizeof client->advice;
    if (heard_lately(view->handing_ms))
        snprintf(out, room, "%spartition %u of session %.64s is being handed over by node %.32s to %.32s%s", known,
                 partition, pending->session, view->node.text,
                 view->successor.bytes ? view->successor.text : "whoever comes", safe);
    else if (heard_lately(view->suspended_ms))
        snprintf(out, room,
                 "%snode %.32s does not work on partition %u of session %.64s: the store is not as it left it%s", known,
                 view->node.text, partition, pending->session, safe);
    else if (!heard_lately(view->heard_ms))
        snprintf(out, room, "%sno node owns partition %u of session %.128s now%s", known, partition, pending->session,
                 safe);
    else
        return false;
    return true;
}

const char *client__advice(struct mk_client *client, const struct pending *pending)
{
    char *out = client->advice;
    size_t room = sizeof client->advice;
    if (!client->ready)
        snprintf(out, room, "no hub answers at %.160s; nothing was sent, repeating is safe", client->hubs);
    else if (!heard_lately(client->node_heard_ms))
        snprintf(out, room, "no node is heard on the bus; repeating with the same id is safe");
    else if (!pending->node_command && owner_advice(client, pending))
        return out;
    else if (pending->admitted)
        snprintf(out, room, "accepted and durable, not completed yet; ask `outcome`, or repeat with the same id");
    else
        snprintf(out, room, "no answer in time; it may have been done, repeating with the same id is safe");
    return out;
}

enum mk_client_error mk_client_watch(struct mk_client *client, const char *session,
                                     void (*on_event)(void *user, const struct mk_event *event), void *user)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct topic one = {.class = TOPIC_EV, .name = span_of(session)};
    struct topic every = {.class = TOPIC_EV, .any_name = true};
    enum mk_err err;
    if (session && !session_id_valid(span_of(session))) {
        err_set(&client->note, MK_ERR_INVALID_FIELD, "session `%.80s`: wanted 1..128 bytes of [A-Za-z0-9._:-]",
                session);
        return MK_CLIENT_INVALID;
    }
    client->on_event = on_event;
    client->event_user = user;
    if (!session) {
        err = endpoint_subscribe(client->endpoint, SPAN_LIT("ev/"), &client->note);
    } else {
        err = endpoint_subscribe(client->endpoint, (struct span){text, topic_write(text, sizeof text, &one)},
                                 &client->note);
        if (!err)
            err = endpoint_subscribe(client->endpoint, (struct span){text, topic_write(text, sizeof text, &every)},
                                     &client->note);
    }
    return err ? MK_CLIENT_REFUSED : MK_CLIENT_OK;
}

void mk_client_on_beat(struct mk_client *client, void (*on_beat)(void *user, const struct mk_beat *beat), void *user)
{
    client->on_beat = on_beat;
    client->beat_user = user;
}

void mk_client_view(const struct mk_client *client, struct mk_view *out)
{
    struct endpoint_status status;
    endpoint_status(client->endpoint, &status);
    *out = (struct mk_view){
        .hub_heard = client->hub_heard || client->ready,
        .node_heard = heard_lately(client->node_heard_ms),
        .partitions = client->partitions,
        .frames_sent = status.sent,
        .frames_heard = status.heard,
        .frames_dropped = status.dropped,
        .frames_bad = client->frames_bad,
        .repeats = client->repeats,
    };
}

void mk_client_owner(const struct mk_client *client, uint32_t partition, struct mk_owner *out)
{
    *out = (struct mk_owner){.node = "", .successor = ""};
    if (partition >= PARTITIONS_MAX || !client->owners[partition].node.bytes)
        return;
    const struct owner_view *view = &client->owners[partition];
    uint64_t said_ms = view->heard_ms > view->handing_ms ? view->heard_ms : view->handing_ms;
    *out = (struct mk_owner){.node = view->node.text,
                             .fence = view->fence,
                             .silent_ms = client__now_ms() - said_ms,
                             .successor = heard_lately(view->handing_ms) ? view->successor.text : "",
                             .suspended = heard_lately(view->suspended_ms)};
}
