/* Publishers number their frames (pub, pe, ps): what is missing between two numbers was lost by the bus (L24). */
#ifndef MEERKAT_NODE_GAPS_H
#define MEERKAT_NODE_GAPS_H

#include "codec/topic.h"
#include "node/core/msg.h"

#define GAP_MAX         65536 /* a larger jump is a publisher's mistake, or worse */
#define GAPS_PUBLISHERS 1024  /* remembered; a newer one takes the place of another of the same hash */

struct gaps {
    struct gap_entry {
        uint64_t key, epoch, last;
    } entries[GAPS_PUBLISHERS];
};

/* Notes a frame; returns how many were lost before it. Repeats and frames of an older epoch count nothing. */
uint64_t gaps_note(struct gaps *gaps, enum topic_class class, const struct mk_header *header);

#endif
