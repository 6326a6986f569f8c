/* One program's place on the bus: it publishes to the hubs' IN ends and hears the frames of the topics it subscribed to
 * from their OUT ends. A frame is opaque here: `topic, zero byte, map` (codec/topic.h).
 *
 * Threads: the library's threads only put frames into a bounded queue and call `wake`; everything below is for the
 * owner's thread. Loss: a bus loses frames while nobody is connected, when a queue is full, when a hub dies. Whoever
 * needs an answer repeats.
 *
 * A subscriber socket is never closed while frames may arrive (that can hang the library): a program opens its
 * endpoints once and ends with endpoint_quiet and _exit, or exit. endpoint_close is for tests that have silenced the
 * publishers. */
#ifndef MEERKAT_BUS_ENDPOINT_H
#define MEERKAT_BUS_ENDPOINT_H

#include "bus/url.h"

struct endpoint;

struct endpoint_options {
    struct bus_urls hubs;
    size_t frame_bytes_max;                   /* longer ones are not sent, and end the connection when received */
    size_t queue_frames_max, queue_bytes_max; /* waiting for endpoint_drain; 0: ENDPOINT_QUEUE_* */
    void (*wake)(void *user);                 /* frames wait; called from another thread, must not block or call back */
    void *wake_user;
};

#define ENDPOINT_QUEUE_FRAMES 65536
#define ENDPOINT_QUEUE_BYTES  (128u << 20)

/* Dials every hub in the background and keeps dialing (100 ms to 2 s apart): an absent hub is no error. Signals are
 * blocked in the library's threads. Hears nothing before endpoint_subscribe. errors  OVERLOADED (no memory),
 * INVALID_FIELD (a URL the transport refuses), REFUSED */
enum mk_err endpoint_open(struct endpoint **out, const struct endpoint_options *options, struct mk_note *note);

/* Frames whose first bytes are `prefix`, from now on. "in/" for a class, "re/c1" with its terminating zero byte for one
 * topic. Keep to a few: they are compared one by one with every frame. A prefix given twice counts once. */
enum mk_err endpoint_subscribe(struct endpoint *endpoint, struct span prefix, struct mk_note *note);
void endpoint_unsubscribe(struct endpoint *endpoint, struct span prefix);

/* Hands a copy of one frame to every connected hub; never waits. False: too long, or no memory; nothing was sent. True
 * says only that the bus has it. */
bool endpoint_publish(struct endpoint *endpoint, struct span frame);

/* Gives up to `max` waiting frames to on_frame (borrowed for the call), oldest first. Returns how many still wait: when
 * it is not zero, call again, no `wake` comes for those. */
size_t endpoint_drain(struct endpoint *endpoint, void (*on_frame)(void *user, struct span frame), void *user,
                      size_t max);

/* Breaks the connections to the IN ends and dials anew: for an owner that publishes and does not hear itself for
 * seconds (a hub may have lost its half without a word). What is on its way is lost. */
void endpoint_redial(struct endpoint *endpoint);

struct endpoint_status {
    unsigned hubs_in, hubs_out; /* connected ends */
    uint64_t sent, sent_bytes, heard, heard_bytes;
    uint64_t refused; /* not sent: too long */
    uint64_t dropped; /* heard, but the queue was full */
    uint64_t waiting; /* in the queue */
};

void endpoint_status(struct endpoint *endpoint, struct endpoint_status *out);

/* From now on nothing is heard and `wake` is never called again (when this returns, no call is under way); publishing
 * still works. What waited in the queue is dropped. */
void endpoint_quiet(struct endpoint *endpoint);

/* Frees everything. Only when no frame has arrived for 50 ms: after endpoint_quiet, and with the publishers silent. */
void endpoint_close(struct endpoint *endpoint); /* NULL is allowed */

/* For programs that live on: gives up an endpoint without closing its subscriber. What the library needs stays until
 * exit. */
void endpoint_leave(struct endpoint *endpoint); /* NULL is allowed */

#endif
