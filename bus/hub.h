/* The hub: what publishers send to its IN end goes to everybody who listens at its OUT end. It forwards, counts, and
 * says once a second that it lives (heartbeat on hb/<hub id>). It reads nothing but the topic, and keeps nothing.
 *
 * It runs in threads of its own (the library's, and one for heartbeats and care of its listeners): a program that
 * embeds it (meerkat-node without --bus) only opens it. */
#ifndef MEERKAT_BUS_HUB_H
#define MEERKAT_BUS_HUB_H

#include "bus/url.h"
#include "codec/topic.h"

struct hub;

struct hub_options {
    struct span id;         /* 1..64 bytes; names its heartbeats */
    struct bus_url listen;  /* port 0: any free one. ipc: the folder must be ours and closed to others (0700) */
    size_t frame_bytes_max; /* a longer frame ends its publisher's connection */
};

/*   errors  REFUSED (the address is taken, or the folder is open to others: the note says which), OVERLOADED */
enum mk_err hub_open(struct hub **out, const struct hub_options *options, struct mk_note *note);

/* Where it listens, with the real ports. Lives as long as the hub. */
const struct bus_url *hub_url(const struct hub *hub);

struct hub_counts {
    uint64_t frames_in, bytes_in; /* received, refused ones too */
    uint64_t frames_out;          /* handed to the subscribers' queues, once each */
    uint64_t refused;             /* no topic, or no body behind it */
    uint64_t failed;              /* could not be handed on: no memory */
    uint64_t by_class[TOPIC_CLASS_COUNT], other_class;
    uint64_t publishers, subscribers; /* connected now */
    uint64_t connections;             /* since the start, both ends */
    uint64_t relistens;               /* ipc: a dead listener was replaced */
    uint64_t uptime_ms;
};

void hub_counts(struct hub *hub, struct hub_counts *out);

/* Stops forwarding and heartbeats at once; a hub under traffic cannot be closed (endpoint.h), so the program then
 * exits. */
void hub_quiet(struct hub *hub);

/* Frees everything. Only after hub_quiet and when no frame has arrived for 50 ms. */
void hub_close(struct hub *hub); /* NULL is allowed */

#endif
