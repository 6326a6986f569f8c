/* Private to libmeerkat: the client. client.c opens, sends and runs it, client_request.c makes requests,
 * client_letter.c redrives, client_hear.c reads what comes back, client_view.c keeps what heartbeats say. */
#ifndef MEERKAT_BUS_CLIENT_H
#define MEERKAT_BUS_CLIENT_H

#include "bus/batch.h"
#include "bus/endpoint.h"
#include "codec/message.h"

#define CLIENT_TIMEOUT_MS 10000 /* of a request that names none */
#define PROBE_MS          100   /* until the client hears itself */
#define REDIAL_MS         3000  /* without hearing itself: the connection may be half dead */
#define OWNER_HEARD_MS    5000  /* silence after which a node, or an owner, is not there */
#define OWNERS_KNOWN_MS   1500  /* of listening, after which whoever is new is a new owner: one heartbeat, and a half */

/* What heartbeats say of one partition. */
struct owner_view {
    uint64_t heard_ms;     /* when its owner last said that it is; 0: never */
    uint64_t fence;        /* of that owner, the last one */
    uint64_t handing_ms;   /* when the owner last said that it gives it away; 0: it does not */
    uint64_t suspended_ms; /* when it last said that it does not work on it; 0: it does */
    struct mk_id node, successor;
};

struct mk_client {
    struct endpoint *endpoint;
    int wake_fd; /* readable: frames wait */
    struct mk_id id;
    struct mk_id probe;               /* `re` of the frames that the client sends to itself */
    char hubs[BUS_URL_BYTES_MAX + 1]; /* for people, shortened */
    size_t window, frame_bytes_max;
    uint32_t partitions;
    struct pending_table table;
    struct batch batch;
    struct buf scratch;
    bool ready, hub_heard;
    uint64_t probe_due_ms, redial_due_ms;
    uint64_t ready_ms;      /* since when it hears the bus */
    uint64_t node_heard_ms; /* 0: never */
    struct owner_view owners[PARTITIONS_MAX];
    uint64_t repeats, frames_bad;
    size_t answers; /* given in this poll */
    void (*on_event)(void *user, const struct mk_event *event);
    void *event_user;
    void (*on_beat)(void *user, const struct mk_beat *beat);
    void *beat_user;
    char advice[MK_ERROR_BYTES];
    struct mk_note note;
};

uint64_t client__now_ms(void); /* CLOCK_MONOTONIC */
uint64_t client__unix_ms(void);

/* 32 hex digits of chance. */
void client__random_id(struct mk_id *out);

/* What a request must keep to; client_request.c and client_letter.c make requests. `id` absent: made at random. */
enum mk_client_error client__check_size(struct mk_client *client, const char *what, size_t bytes);
enum mk_client_error client__check_room(struct mk_client *client, struct span id);

/* A request with room for its texts; id NULL: made at random, session NULL: none. NULL: no memory, which
 * client__no_memory says. */
struct pending *client__pending_new(const char *id, const char *session, uint64_t timeout_ms, size_t text_bytes);
enum mk_client_error client__no_memory(struct mk_client *client);

/* Gives the last answer: the request leaves the table, is told, and freed. id and session of `answer` are filled in. */
void client__end(struct mk_client *client, struct pending *pending, struct mk_answer *answer);

/* Gives an answer that is not the last. */
void client__tell(struct mk_client *client, struct pending *pending, struct mk_answer *answer);

/* The time of a request is up. */
void client__expire(struct mk_client *client, struct pending *pending);

/* One frame from the bus, untrusted. */
void client__hear(struct mk_client *client, struct span frame);

/* Heartbeats. */
void client__heartbeat(struct mk_client *client, struct span map);
const char *client__advice(struct mk_client *client, const struct pending *pending);

static inline struct mk_bytes bytes_of(struct span s)
{
    return (struct mk_bytes){s.at, s.bytes};
}

static inline struct span span_from(struct mk_bytes b)
{
    return span_bytes(b.at, b.bytes);
}

#endif
