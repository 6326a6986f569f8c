/* Takes a stream of bytes apart into frames: a u32 big-endian length, then so many bytes. Pure. Memory follows what
 * came, not what was announced, and never exceeds the limit. */
#ifndef MEERKAT_NODE_FRAMER_H
#define MEERKAT_NODE_FRAMER_H

#include "node/core/span.h"

struct framer {
    size_t most; /* bytes of a frame, its length apart */
    unsigned char head[4];
    size_t head_bytes; /* of `head` that are there */
    char *body;
    size_t bytes, room;
};

enum framer_said {
    FRAMER_MORE,      /* everything was taken, the frame is not whole yet */
    FRAMER_WHOLE,     /* a frame is whole: framer_take; what follows it was left in *bytes */
    FRAMER_EMPTY,     /* a frame of no bytes is announced */
    FRAMER_TOO_LARGE, /* one of more than `most`: framer_announced */
    FRAMER_NO_MEMORY
};

/* After the last three nothing more can be read: framer_reset. */
enum framer_said framer_feed(struct framer *framer, struct span *bytes);

/* The frame, which the caller frees with free(). */
char *framer_take(struct framer *framer, size_t *bytes);

uint32_t framer_announced(const struct framer *framer);
bool framer_midway(const struct framer *framer); /* part of a frame is there */
void framer_reset(struct framer *framer);        /* forgets what is there, frees; `most` stays */

#endif
