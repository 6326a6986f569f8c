/* A bounded queue of frames, between the bus library's threads and one owner; whoever shares it locks it. The frames
 * are the library's messages, kept as they came. Full: the newcomer is refused and counted, for what waits longest is
 * answered next. */
#ifndef MEERKAT_BUS_INBOX_H
#define MEERKAT_BUS_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inbox_slot {
    void *frame;
    size_t bytes;
};

struct inbox {
    struct inbox_slot *slots; /* a ring; doubles up to frames_max */
    size_t room, head, count;
    size_t bytes, frames_max, bytes_max;
    uint64_t dropped;
};

void inbox_init(struct inbox *inbox, size_t frames_max, size_t bytes_max);
void inbox_fini(struct inbox *inbox); /* the frames must have been taken */

/* False: full, or no memory; counted, and the caller keeps the frame. */
bool inbox_push(struct inbox *inbox, void *frame, size_t bytes);

/* The oldest frame, or NULL. */
void *inbox_pop(struct inbox *inbox);

#endif
