#include "node/outgoing.h"

#include "codec/message.h"
#include "codec/topic.h"

#include <stdio.h>

#define HEAD_BYTES_MAX 256 /* of a frame besides its items: topic, batch head */

void outgoing_init(struct outgoing *out, const struct mk_mem *mem, size_t frame_bytes_max)
{
    *out = (struct outgoing){.mem = mem, .frame_bytes_max = frame_bytes_max};
    out->end = &out->first;
}

static void item_free(struct outgoing *out, struct outgoing_item *item)
{
    blob_release(item->message);
    mem_free(out->mem, item);
}

void outgoing_fini(struct outgoing *out)
{
    for (struct outgoing_item *item = out->first, *next; item; item = next) {
        next = item->next;
        item_free(out, item);
    }
    buf_fini(&out->watchers.items);
    for (size_t i = 0; i < OUTGOING_CLIENTS_MAX; i++)
        buf_fini(&out->clients[i].items);
    buf_fini(&out->frame);
}

struct outgoing_item *outgoing_add(struct outgoing *out, enum outgoing_type type)
{
    struct outgoing_item *item = mem_alloc(out->mem, sizeof *item);
    if (!item)
        return NULL;
    item->type = type;
    *out->end = item;
    out->end = &item->next;
    out->waiting++;
    return item;
}

static void write_topic(struct outgoing *out, const struct outgoing_frame *frame)
{
    struct topic topic = {.class = frame->client.bytes ? TOPIC_RE : TOPIC_EV};
    if (frame->client.bytes)
        topic.name = id_span(&frame->client);
    else if (frame->count == 1)
        topic.name = session_id_span(&frame->session);
    else
        topic.any_name = true;
    char text[TOPIC_BYTES_MAX + 1];
    size_t bytes = topic_write(text, sizeof text, &topic);
    buf_append(&out->frame, text, bytes);
}

static void send_frame(struct outgoing *out, const struct outgoing_sink *sink, struct outgoing_frame *frame)
{
    if (!frame->count)
        return;
    buf_reset(&out->frame);
    write_topic(out, frame);
    if (frame->count > 1) {
        char id[24];
        int bytes = snprintf(id, sizeof id, "b%llu", (unsigned long long)++out->batches);
        batch_head_pack(&out->frame, (struct span){id, (size_t)bytes}, sink->unix_ms, frame->count);
    }
    buf_append(&out->frame, frame->items.at, frame->items.bytes);
    if (!out->frame.failed && !frame->items.failed) {
        sink->publish(sink->self, buf_span(&out->frame));
        out->frames++;
        out->bytes += out->frame.bytes;
    }
    buf_reset(&frame->items);
    frame->count = 0;
}

static void add_message(struct outgoing *out, const struct outgoing_sink *sink, struct outgoing_frame *frame,
                        const struct outgoing_item *item)
{
    struct span message = blob_span(item->message);
    if (frame->count == BATCH_ITEMS_MAX || frame->items.bytes + message.bytes + HEAD_BYTES_MAX > out->frame_bytes_max)
        send_frame(out, sink, frame);
    frame->session = item->session;
    buf_append(&frame->items, message.at, message.bytes);
    frame->count++;
    out->messages++;
}

static void send_clients(struct outgoing *out, const struct outgoing_sink *sink)
{
    for (size_t i = 0; i < out->client_count; i++)
        send_frame(out, sink, &out->clients[i]);
    out->client_count = 0;
}

static struct outgoing_frame *frame_of(struct outgoing *out, const struct outgoing_sink *sink,
                                       const struct mk_id *client)
{
    for (size_t i = 0; i < out->client_count; i++)
        if (span_equal(id_span(&out->clients[i].client), id_span(client)))
            return &out->clients[i];
    if (out->client_count == OUTGOING_CLIENTS_MAX)
        send_clients(out, sink);
    struct outgoing_frame *frame = &out->clients[out->client_count++];
    frame->client = *client;
    return frame;
}

static void leave(struct outgoing *out, const struct outgoing_sink *sink, const struct outgoing_item *item)
{
    if (item->type == OUT_RUN) {
        sink->start(sink->self, session_id_span(&item->session), &item->run);
        return;
    }
    if (item->type == OUT_INJECT) {
        sink->inject(sink->self, session_id_span(&item->session), &item->run, &item->input);
        return;
    }
    if (item->type == OUT_EVENT)
        add_message(out, sink, &out->watchers, item);
    for (size_t i = 0; i < item->to_count; i++)
        add_message(out, sink, frame_of(out, sink, &item->to[i]), item);
}

/* Whether an event of the same commit, or of an older one, has not left. */
static bool behind(const struct outgoing *out, const struct outgoing_item *sent)
{
    for (const struct outgoing_item *item = out->first; item; item = item->next)
        if (item->type == OUT_EVENT && item->partition == sent->partition && item->sequence <= sent->sequence)
            return true;
    return false;
}

/* Events leave before anybody is told that they have left. */
static void tell_published(const struct outgoing *out, const struct outgoing_sink *sink,
                           const struct outgoing_item *sent)
{
    for (const struct outgoing_item *item = sent; item; item = item->next)
        if (item->type == OUT_EVENT && !behind(out, item))
            sink->published(sink->self, item->partition, item->fence, item->sequence);
}

void outgoing_flush(struct outgoing *out, const struct outgoing_sink *sink)
{
    struct outgoing_item *sent = NULL, **sent_end = &sent;
    for (struct outgoing_item **link = &out->first, *item; (item = *link);) {
        enum may may = item->fence ? sink->may(sink->self, item->partition, item->fence) : MAY_LEAVE;
        if (may == MUST_WAIT) {
            link = &item->next;
            continue;
        }
        *link = item->next;
        if (out->end == &item->next)
            out->end = link;
        out->waiting--;
        item->next = NULL;
        if (may == IS_GONE) {
            item_free(out, item);
            continue;
        }
        leave(out, sink, item);
        *sent_end = item;
        sent_end = &item->next;
    }
    send_frame(out, sink, &out->watchers);
    send_clients(out, sink);
    tell_published(out, sink, sent);
    for (struct outgoing_item *next; sent; sent = next) {
        next = sent->next;
        item_free(out, sent);
    }
}
