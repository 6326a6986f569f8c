#include "bus/batch.h"

#include "codec/message.h"
#include "node/core/crc16.h"

#define HEAD_BYTES 512 /* topic, and a batch's keys before its items */

void batch_fini(struct batch *batch)
{
    buf_fini(&batch->items);
    buf_fini(&batch->item);
    buf_fini(&batch->frame);
}

static struct topic topic_of(const struct pending *pending, uint32_t partitions)
{
    if (pending->node_command)
        return (struct topic){.class = TOPIC_NODE, .any_name = span_is(pending->node, "*"), .name = pending->node};
    struct span session = span_of(pending->session);
    return (struct topic){.class = pending->is_command ? TOPIC_CTL : TOPIC_IN,
                          .partition = partition_of(session, partitions),
                          .name = session};
}

/* The message as it is sent now: a repeat says when it was first sent. */
static void pack(struct buf *out, const struct pending *pending, struct mk_header header)
{
    header.id = id_span(&pending->id);
    if (pending->is_command) {
        struct mk_command command = pending->command;
        command.h = header;
        command.born = pending->born_ms;
        command_pack(out, &command);
        return;
    }
    struct mk_input input = pending->input;
    input.h = header;
    input.born = pending->born_ms;
    input_pack(out, &input);
}

static void put_topic(struct batch *batch, const struct topic *topic)
{
    char text[TOPIC_BYTES_MAX + 1];
    buf_reset(&batch->frame);
    buf_append(&batch->frame, text, topic_write(text, sizeof text, topic));
}

static struct mk_header numbered(struct batch *batch, enum topic_class class, struct batch_now now)
{
    return (struct mk_header){
        .id = now.id, .ts = now.unix_ms, .pub = batch->pub, .pe = batch->pe, .ps = ++batch->ps[class]};
}

static struct span single(struct batch *batch, const struct pending *pending, const struct topic *topic,
                          struct batch_now now)
{
    put_topic(batch, topic);
    pack(&batch->frame, pending, numbered(batch, topic->class, now));
    return batch->frame.failed ? (struct span){0} : buf_span(&batch->frame);
}

/* Whether `next` may ride with the first one, given what is packed. */
static bool joins(const struct batch *batch, const struct topic *first, const struct topic *next, size_t count)
{
    return count < BATCH_ITEMS_MAX && first->class == next->class && first->class != TOPIC_NODE &&
           batch->items.bytes + batch->item.bytes + HEAD_BYTES <= batch->frame_bytes_max;
}

static size_t collect(struct batch *batch, const struct pending_table *table, uint32_t partitions, struct batch_now now,
                      struct topic *topic)
{
    size_t count = 0;
    buf_reset(&batch->items);
    topic->any_name = true;
    for (const struct pending *p = TAILQ_FIRST(&table->queue); p; p = TAILQ_NEXT(p, queue), count++) {
        struct topic next = topic_of(p, partitions);
        buf_reset(&batch->item);
        pack(&batch->item, p, (struct mk_header){.ts = now.unix_ms});
        if (count && !joins(batch, topic, &next, count))
            break;
        buf_append(&batch->items, batch->item.at, batch->item.bytes);
        if (next.partition != topic->partition)
            topic->any_partition = true;
    }
    return count;
}

struct span batch_frame(struct batch *batch, const struct pending_table *table, uint32_t partitions,
                        struct batch_now now, size_t *taken)
{
    const struct pending *first = TAILQ_FIRST(&table->queue);
    const struct pending *second = first ? TAILQ_NEXT(first, queue) : NULL;
    *taken = first ? 1 : 0;
    if (!first)
        return (struct span){0};
    struct topic topic = topic_of(first, partitions);
    if (!second || topic.class == TOPIC_NODE || topic_of(second, partitions).class != topic.class)
        return single(batch, first, &topic, now);
    size_t count = collect(batch, table, partitions, now, &topic);
    *taken = count;
    if (count == 1) { /* the second one did not fit */
        topic = topic_of(first, partitions);
        return single(batch, first, &topic, now);
    }
    struct mk_header header = numbered(batch, topic.class, now);
    put_topic(batch, &topic);
    batch_head_pack_numbered(&batch->frame, &header, count);
    buf_append(&batch->frame, batch->items.at, batch->items.bytes);
    return batch->frame.failed || batch->items.failed || batch->item.failed ? (struct span){0}
                                                                            : buf_span(&batch->frame);
}
