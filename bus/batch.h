/* Private to libmeerkat: makes frames of messages. One message alone is a frame on its own topic; several of one class
 * are a batch on the topic with stars. Every frame is numbered (pub, pe, ps) within its class. Pure. */
#ifndef MEERKAT_BUS_BATCH_H
#define MEERKAT_BUS_BATCH_H

#include "bus/pending.h"
#include "codec/buf.h"
#include "codec/topic.h"

struct batch {
    struct span pub; /* the publisher's id; borrowed */
    uint64_t pe;     /* its epoch */
    uint64_t ps[TOPIC_CLASS_COUNT];
    size_t frame_bytes_max;
    struct buf items, item, frame;
};

void batch_fini(struct batch *batch);

/* What stands at the head of the queue, as one frame: packs up to BATCH_ITEMS_MAX messages of one class, as many as
 * fit. partitions  of the cluster now         of the sending: `ts`, and `id` of the batch taken       how many of the
 * queue are in the frame Borrowed until the next call. Absent when the queue is empty, or there is no memory. */
struct batch_now {
    uint64_t unix_ms;
    struct span id;
};
struct span batch_frame(struct batch *batch, const struct pending_table *table, uint32_t partitions,
                        struct batch_now now, size_t *taken);

#endif
