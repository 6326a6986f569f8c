/* Topics and frames: `topic bytes, one zero byte, one msgpack map` (design section 6). Pure. */
#ifndef MEERKAT_CODEC_TOPIC_H
#define MEERKAT_CODEC_TOPIC_H

#include "node/core/err.h"
#include "node/core/limits.h"
#include "node/core/span.h"

enum topic_class {
    TOPIC_IN,   /* in/<pp>/<session>; a star for the session or for both */
    TOPIC_CTL,  /* ctl/<pp>/<session>, and the same stars */
    TOPIC_NODE, /* node/<id>, or a star */
    TOPIC_RE,   /* re/<client> */
    TOPIC_EV,   /* ev/<session>, or a star */
    TOPIC_HB,   /* hb/<id> */
    TOPIC_CLASS_COUNT
};

struct topic {
    enum topic_class class;
    bool any_partition, any_name; /* a star stands there */
    uint32_t partition;           /* in, ctl */
    struct span name;             /* session, client or node; absent when any_name */
};

/* A frame's two parts, both borrowed from it. MALFORMED when there is no zero byte within TOPIC_BYTES_MAX or nothing
 * behind it. */
enum mk_err frame_split(struct span frame, struct span *topic, struct span *map);

/* MALFORMED for anything that is not one of the forms above, exactly. */
enum mk_err topic_parse(struct span text, struct topic *out);

/* Writes the topic with its terminating zero byte; returns the length with that byte. `room` TOPIC_BYTES_MAX + 1 always
 * fits. */
size_t topic_write(char *out, size_t room, const struct topic *topic);

const char *topic_class_name(enum topic_class class); /* "in" */

#endif
