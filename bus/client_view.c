/* What the client knows of the cluster: heartbeats say which nodes live and which partitions they own. */
#include <stdio.h>

#include "bus/client.h"
#include "node/core/crc16.h"

static void note_owned(struct mk_client *client, struct owned_reader *owned, struct mk_beat *beat)
{
    struct mk_owned one;
    uint64_t now_ms = client__now_ms();
    while (owned_next(owned, &one)) {
        beat->owned++;
        if (one.fence > beat->fence_max)
            beat->fence_max = one.fence;
        if (one.partition < PARTITIONS_MAX)
            client->owner_heard_ms[one.partition] = now_ms;
    }
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
    struct owned_reader owned;
    if (heartbeat_read(map, &in, &owned, NULL) != MK_ERR_OK) {
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
        note_owned(client, &owned, &beat);
    }
    if (client->on_beat)
        client->on_beat(client->beat_user, &beat);
}

static bool heard_lately(uint64_t heard_ms)
{
    return heard_ms && client__now_ms() - heard_ms < OWNER_HEARD_MS;
}

const char *client__advice(struct mk_client *client, const struct pending *pending)
{
    uint32_t partition = partition_of(span_of(pending->session), client->partitions);
    char *out = client->advice;
    size_t room = sizeof client->advice;
    if (!client->ready)
        snprintf(out, room, "no hub answers at %.160s; nothing was sent, repeating is safe", client->hubs);
    else if (!heard_lately(client->node_heard_ms))
        snprintf(out, room, "no node is heard on the bus; repeating with the same id is safe");
    else if (!pending->node_command && !heard_lately(client->owner_heard_ms[partition]))
        snprintf(out, room, "no node owns partition %u of session %.128s now; repeating with the same id is safe",
                 (unsigned)partition, pending->session);
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
