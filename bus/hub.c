#include "bus/hub.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bus/ipc.h"
#include "bus/socket.h"
#include "codec/message.h"

#define BEAT_MS       1000
#define PROBE_BEATS   2    /* an ipc listener is looked at every so many beats */
#define PROBE_WAIT_MS 1000 /* for its greeting, then for the connection: an idle machine needs less than one */
#define PROBE_NAP_MS  5
#define PROBE_MISSES  2 /* a listener is replaced after so many in a row */

/* An ipc end that may have to listen again. */
struct ipc_end {
    nng_socket socket;
    nng_listener listener;
    struct bus_end *end;
    struct bus__links *links;
    enum bus__peer as;
    unsigned misses;
};

struct hub {
    struct bus__gate gate; /* of on_frame */
    struct mk_id id;
    struct bus_url url;
    size_t frame_bytes_max;
    nng_socket sub, pub; /* IN, OUT */
    nng_aio *aio;        /* the one receive that is always under way */
    struct bus__links links_in, links_out;
    atomic_bool quiet;
    uint64_t opened_ms;
    atomic_ullong frames_in, bytes_in, frames_out, refused, failed, relistens;
    atomic_ullong by_class[TOPIC_CLASS_COUNT], other_class;
    pthread_t keeper; /* heartbeats, care of ipc listeners */
    pthread_mutex_t lock;
    pthread_cond_t stop_said;
    bool stop;              /* guarded by lock */
    struct ipc_end ends[2]; /* the keeper's */
    struct buf beat;        /* the keeper's */
    uint64_t beats;         /* the keeper's */
};

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- forwarding, in a thread of the library --- */

static void count_class(struct hub *hub, struct span topic)
{
    const char *slash = memchr(topic.at, '/', topic.bytes);
    struct span class = {topic.at, slash ? (size_t)(slash - topic.at) : topic.bytes};
    for (int i = 0; i < TOPIC_CLASS_COUNT; i++) {
        if (span_is(class, topic_class_name((enum topic_class)i))) {
            atomic_fetch_add(&hub->by_class[i], 1);
            return;
        }
    }
    atomic_fetch_add(&hub->other_class, 1);
}

/* Whether the frame may pass. A topic of a class that is not known yet may: newer programs speak through older hubs. */
static bool admit(struct hub *hub, nng_msg *msg)
{
    struct span topic, map;
    struct span frame = span_bytes(nng_msg_body(msg), nng_msg_len(msg));
    atomic_fetch_add(&hub->frames_in, 1);
    atomic_fetch_add(&hub->bytes_in, frame.bytes);
    if (atomic_load(&hub->quiet))
        return false;
    if (frame.bytes > hub->frame_bytes_max || frame_split(frame, &topic, &map) != MK_ERR_OK || topic.bytes == 0) {
        atomic_fetch_add(&hub->refused, 1);
        return false;
    }
    count_class(hub, topic);
    return true;
}

/* Takes the message. Sending to a publisher socket never waits. */
static void forward(struct hub *hub, nng_msg *msg)
{
    if (!admit(hub, msg)) {
        nng_msg_free(msg);
    } else if (nng_sendmsg(hub->pub, msg, NNG_FLAG_NONBLOCK) == 0) {
        atomic_fetch_add(&hub->frames_out, 1);
    } else {
        atomic_fetch_add(&hub->failed, 1);
        nng_msg_free(msg);
    }
}

static void on_frame(void *user)
{
    struct hub *hub = user;
    bus__gate_enter(&hub->gate);
    nng_socket sub = hub->sub;
    nng_aio *aio = hub->aio;
    int error = nng_aio_result(aio);
    if (!error) {
        nng_msg *msg = nng_aio_get_msg(aio);
        nng_aio_set_msg(aio, NULL);
        forward(hub, msg);
    }
    bus__gate_leave(&hub->gate);
    if (error != NNG_ECLOSED)
        nng_recv_aio(sub, aio);
}

/* --- the keeper --- */

static void pack_heartbeat(struct hub *hub, const struct hub_counts *counts)
{
    char id[32];
    struct topic topic = {.class = TOPIC_HB, .name = id_span(&hub->id)};
    char text[TOPIC_BYTES_MAX + 1];
    size_t bytes = topic_write(text, sizeof text, &topic);
    snprintf(id, sizeof id, "hb%llu", (unsigned long long)++hub->beats);
    struct mk_heartbeat beat = {
        .hub = true,
        .node = id_span(&hub->id),
        .phase = SPAN_LIT("ready"),
        .frames_in = counts->frames_in,
        .frames_out = counts->frames_out,
        .dropped = counts->refused + counts->failed,
        .bytes_in = counts->bytes_in,
    };
    buf_reset(&hub->beat);
    buf_append(&hub->beat, text, bytes);
    heartbeat_pack(&hub->beat, span_of(id), clock_ms(CLOCK_REALTIME), &beat);
}

static void send_heartbeat(struct hub *hub)
{
    struct hub_counts counts;
    nng_msg *msg = NULL;
    hub_counts(hub, &counts);
    pack_heartbeat(hub, &counts);
    if (hub->beat.failed || nng_msg_alloc(&msg, 0))
        return;
    if (nng_msg_append(msg, hub->beat.at, hub->beat.bytes) || nng_sendmsg(hub->pub, msg, NNG_FLAG_NONBLOCK))
        nng_msg_free(msg);
}

/* Whether the listener still makes connections: it may greet after it has stopped to. Somebody else's connection proves
 * the same. */
static bool listens(const struct ipc_end *end)
{
    const struct timespec nap = {.tv_nsec = PROBE_NAP_MS * 1000000L};
    unsigned long long before = atomic_load(&end->links->ever);
    int fd = bus__ipc_greet(bus_end_path(end->end), end->as, PROBE_WAIT_MS);
    for (int i = 0; fd >= 0 && i < PROBE_WAIT_MS / PROBE_NAP_MS && atomic_load(&end->links->ever) == before; i++)
        nanosleep(&nap, NULL);
    if (fd >= 0)
        close(fd);
    return atomic_load(&end->links->ever) != before;
}

/* Who was greeted by the dead listener believes to be connected. Closing it tells them; for subscribers that is safe. A
 * listener of publishers stays open beside the new one, for closing it under traffic may hang: publishers that do not
 * hear themselves dial anew (endpoint_redial). */
static void care_for(struct hub *hub, struct ipc_end *end)
{
    if (listens(end)) {
        end->misses = 0;
        return;
    }
    if (++end->misses < PROBE_MISSES)
        return;
    end->misses = 0;
    if (end->as == BUS__AS_SUBSCRIBER)
        nng_listener_close(end->listener);
    unlink(bus_end_path(end->end));
    if (bus__listen(&end->listener, end->socket, end->end, hub->frame_bytes_max, NULL) == MK_ERR_OK)
        atomic_fetch_add(&hub->relistens, 1);
}

static bool wait_for_stop(struct hub *hub, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int error = 0;
    pthread_mutex_lock(&hub->lock);
    while (!hub->stop && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&hub->stop_said, &hub->lock, &until);
    bool stop = hub->stop;
    pthread_mutex_unlock(&hub->lock);
    return stop;
}

static void *keep(void *user)
{
    struct hub *hub = user;
    uint64_t due_ms = clock_ms(CLOCK_MONOTONIC);
    do {
        send_heartbeat(hub);
        for (int i = 0; i < 2 && hub->beats % PROBE_BEATS == 0; i++)
            if (hub->ends[i].end->scheme == BUS_IPC)
                care_for(hub, &hub->ends[i]);
        due_ms += BEAT_MS;
        uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
        due_ms = due_ms < now_ms ? now_ms : due_ms;
    } while (!wait_for_stop(hub, due_ms));
    return NULL;
}

/* --- opening and closing --- */

static enum mk_err open_sockets(struct hub *hub, struct mk_note *note)
{
    enum mk_err err = bus__socket_open(&hub->sub, BUS__SUB, hub->frame_bytes_max, &hub->links_in, note);
    if (err)
        return err;
    err = bus__socket_open(&hub->pub, BUS__PUB, hub->frame_bytes_max, &hub->links_out, note);
    if (err) {
        bus__socket_close(hub->sub, &hub->links_in);
        return err;
    }
    int error = nng_socket_set(hub->sub, NNG_OPT_SUB_SUBSCRIBE, "", 0);
    if (!error)
        error = nng_aio_alloc(&hub->aio, on_frame, hub);
    if (error) {
        bus__socket_close(hub->pub, &hub->links_out);
        bus__socket_close(hub->sub, &hub->links_in);
        return bus__refused(note, error, "cannot receive from", "the bus");
    }
    nng_aio_set_timeout(hub->aio, NNG_DURATION_INFINITE);
    return MK_ERR_OK;
}

static enum mk_err listen_at(struct hub *hub, struct mk_note *note)
{
    struct bus_end *const ends[] = {&hub->url.out, &hub->url.in}; /* nobody publishes before others can hear */
    const nng_socket sockets[] = {hub->pub, hub->sub};
    enum mk_err err = MK_ERR_OK;
    for (int i = 0; !err && i < 2; i++) {
        hub->ends[i] = (struct ipc_end){.socket = sockets[i],
                                        .end = ends[i],
                                        .links = i == 0 ? &hub->links_out : &hub->links_in,
                                        .as = i == 0 ? BUS__AS_SUBSCRIBER : BUS__AS_PUBLISHER};
        if (ends[i]->scheme == BUS_IPC)
            err = bus__ipc_check(bus_end_path(ends[i]), note);
        if (!err)
            err = bus__listen(&hub->ends[i].listener, sockets[i], ends[i], hub->frame_bytes_max, note);
    }
    return err;
}

static struct hub *hub_new(const struct hub_options *options)
{
    pthread_condattr_t monotonic;
    struct hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    id_set(&hub->id, options->id);
    hub->url = options->listen;
    hub->frame_bytes_max = options->frame_bytes_max;
    hub->opened_ms = clock_ms(CLOCK_MONOTONIC);
    pthread_mutex_init(&hub->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->stop_said, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return hub;
}

static void hub_free(struct hub *hub)
{
    buf_fini(&hub->beat);
    pthread_cond_destroy(&hub->stop_said);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void close_sockets(struct hub *hub)
{
    bus__socket_close(hub->sub, &hub->links_in);
    bus__socket_close(hub->pub, &hub->links_out);
    nng_aio_stop(hub->aio);
    bus__gate_close(&hub->gate);
    nng_aio_free(hub->aio);
}

enum mk_err hub_open(struct hub **out, const struct hub_options *options, struct mk_note *note)
{
    *out = NULL;
    struct hub *hub = hub_new(options);
    if (!hub)
        return err_set(note, MK_ERR_OVERLOADED, "no memory for a hub");
    sigset_t before;
    bus__signals_block(&before);
    enum mk_err err = open_sockets(hub, note);
    if (err)
        goto no_sockets;
    bus__gate_open(&hub->gate);
    nng_recv_aio(hub->sub, hub->aio);
    err = listen_at(hub, note);
    if (err)
        goto no_listeners;
    if (pthread_create(&hub->keeper, NULL, keep, hub) != 0) {
        err = err_set(note, MK_ERR_OVERLOADED, "no thread for the hub's heartbeats");
        goto no_listeners;
    }
    *out = hub;
    goto out;
no_listeners:
    close_sockets(hub);
no_sockets:
    hub_free(hub);
out:
    bus__signals_restore(&before);
    return err;
}

const struct bus_url *hub_url(const struct hub *hub)
{
    return &hub->url;
}

void hub_counts(struct hub *hub, struct hub_counts *out)
{
    *out = (struct hub_counts){
        .frames_in = atomic_load(&hub->frames_in),
        .bytes_in = atomic_load(&hub->bytes_in),
        .frames_out = atomic_load(&hub->frames_out),
        .refused = atomic_load(&hub->refused),
        .failed = atomic_load(&hub->failed),
        .other_class = atomic_load(&hub->other_class),
        .publishers = atomic_load(&hub->links_in.now),
        .subscribers = atomic_load(&hub->links_out.now),
        .connections = atomic_load(&hub->links_in.ever) + atomic_load(&hub->links_out.ever),
        .relistens = atomic_load(&hub->relistens),
        .uptime_ms = clock_ms(CLOCK_MONOTONIC) - hub->opened_ms,
    };
    for (int i = 0; i < TOPIC_CLASS_COUNT; i++)
        out->by_class[i] = atomic_load(&hub->by_class[i]);
}

void hub_quiet(struct hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    bool first = !hub->stop;
    hub->stop = true;
    pthread_cond_signal(&hub->stop_said);
    pthread_mutex_unlock(&hub->lock);
    atomic_store(&hub->quiet, true);
    if (first)
        pthread_join(hub->keeper, NULL);
}

void hub_close(struct hub *hub)
{
    if (!hub)
        return;
    hub_quiet(hub);
    close_sockets(hub);
    hub_free(hub);
}
