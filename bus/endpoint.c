#include "bus/endpoint.h"

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdlib.h>

#include "bus/inbox.h"
#include "bus/socket.h"

struct endpoint {
    struct bus__gate gate; /* of on_heard */
    nng_socket pub, sub;
    nng_aio *aio; /* the one receive that is always under way */
    struct bus_urls hubs;
    nng_dialer to_in[BUS_HUBS_MAX]; /* closing one is safe; one of the subscriber's is not */
    size_t frame_bytes_max;
    struct bus__links links_in, links_out;
    void (*wake)(void *user);
    void *wake_user;
    uint64_t sent, sent_bytes, refused; /* the owner's thread */
    pthread_mutex_t lock;               /* what follows is shared with the library's threads */
    struct inbox inbox;
    bool quiet;
    uint64_t heard, heard_bytes;
};

/* True: the queue has taken the message. Waking under the lock lets endpoint_quiet promise that no call is under way.
 */
static bool queue(struct endpoint *endpoint, nng_msg *msg)
{
    size_t bytes = nng_msg_len(msg);
    pthread_mutex_lock(&endpoint->lock);
    bool was_empty = endpoint->inbox.count == 0;
    bool taken = !endpoint->quiet && bytes <= endpoint->frame_bytes_max && inbox_push(&endpoint->inbox, msg, bytes);
    if (!endpoint->quiet) {
        endpoint->heard++;
        endpoint->heard_bytes += bytes;
    }
    if (taken && was_empty && endpoint->wake)
        endpoint->wake(endpoint->wake_user);
    pthread_mutex_unlock(&endpoint->lock);
    return taken;
}

/* In a thread of the library, which allows no more here than to queue, wake, and receive the next. */
static void on_heard(void *user)
{
    struct endpoint *endpoint = user;
    bus__gate_enter(&endpoint->gate);
    nng_socket sub = endpoint->sub;
    nng_aio *aio = endpoint->aio;
    int error = nng_aio_result(aio);
    if (!error) {
        nng_msg *msg = nng_aio_get_msg(aio);
        nng_aio_set_msg(aio, NULL);
        if (!queue(endpoint, msg))
            nng_msg_free(msg);
    }
    bus__gate_leave(&endpoint->gate);
    if (error != NNG_ECLOSED)
        nng_recv_aio(sub, aio);
}

static enum mk_err open_sockets(struct endpoint *endpoint, struct mk_note *note)
{
    enum mk_err err = bus__socket_open(&endpoint->pub, BUS__PUB, endpoint->frame_bytes_max, &endpoint->links_in, note);
    if (err)
        return err;
    err = bus__socket_open(&endpoint->sub, BUS__SUB, endpoint->frame_bytes_max, &endpoint->links_out, note);
    if (err) {
        bus__socket_close(endpoint->pub, &endpoint->links_in);
        return err;
    }
    int error = nng_aio_alloc(&endpoint->aio, on_heard, endpoint);
    if (error) {
        bus__socket_close(endpoint->sub, &endpoint->links_out);
        bus__socket_close(endpoint->pub, &endpoint->links_in);
        return bus__refused(note, error, "cannot receive from", "the bus");
    }
    nng_aio_set_timeout(endpoint->aio, NNG_DURATION_INFINITE);
    return MK_ERR_OK;
}

static enum mk_err dial_all(struct endpoint *endpoint, struct mk_note *note)
{
    size_t limit = endpoint->frame_bytes_max;
    nng_dialer to_out;
    enum mk_err err = MK_ERR_OK;
    for (size_t i = 0; !err && i < endpoint->hubs.count; i++) {
        const struct bus_url *hub = &endpoint->hubs.list[i];
        err = bus__dial(&endpoint->to_in[i], endpoint->pub, &hub->in, limit, note);
        if (!err)
            err = bus__dial(&to_out, endpoint->sub, &hub->out, limit, note);
    }
    return err;
}

static struct endpoint *endpoint_new(const struct endpoint_options *options)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint)
        return NULL;
    endpoint->hubs = options->hubs;
    endpoint->frame_bytes_max = options->frame_bytes_max;
    endpoint->wake = options->wake;
    endpoint->wake_user = options->wake_user;
    inbox_init(&endpoint->inbox, options->queue_frames_max ? options->queue_frames_max : ENDPOINT_QUEUE_FRAMES,
               options->queue_bytes_max ? options->queue_bytes_max : ENDPOINT_QUEUE_BYTES);
    pthread_mutex_init(&endpoint->lock, NULL);
    return endpoint;
}

static void endpoint_free(struct endpoint *endpoint)
{
    inbox_fini(&endpoint->inbox);
    pthread_mutex_destroy(&endpoint->lock);
    free(endpoint);
}

enum mk_err endpoint_open(struct endpoint **out, const struct endpoint_options *options, struct mk_note *note)
{
    *out = NULL;
    struct endpoint *endpoint = endpoint_new(options);
    if (!endpoint)
        return err_set(note, MK_ERR_OVERLOADED, "no memory for a bus endpoint");
    sigset_t before;
    bus__signals_block(&before);
    enum mk_err err = open_sockets(endpoint, note);
    if (err) {
        endpoint_free(endpoint);
        goto out;
    }
    bus__gate_open(&endpoint->gate);
    nng_recv_aio(endpoint->sub, endpoint->aio);
    err = dial_all(endpoint, note);
    if (err)
        endpoint_leave(endpoint);
    else
        *out = endpoint;
out:
    bus__signals_restore(&before);
    return err;
}

enum mk_err endpoint_subscribe(struct endpoint *endpoint, struct span prefix, struct mk_note *note)
{
    int error = nng_socket_set(endpoint->sub, NNG_OPT_SUB_SUBSCRIBE, prefix.at, prefix.bytes);
    return error ? bus__refused(note, error, "cannot subscribe to", "a topic") : MK_ERR_OK;
}

void endpoint_unsubscribe(struct endpoint *endpoint, struct span prefix)
{
    nng_socket_set(endpoint->sub, NNG_OPT_SUB_UNSUBSCRIBE, prefix.at, prefix.bytes);
}

bool endpoint_publish(struct endpoint *endpoint, struct span frame)
{
    nng_msg *msg = NULL;
    if (frame.bytes > endpoint->frame_bytes_max) {
        endpoint->refused++;
        return false;
    }
    if (nng_msg_alloc(&msg, 0))
        return false;
    if (nng_msg_append(msg, frame.at, frame.bytes) || nng_sendmsg(endpoint->pub, msg, NNG_FLAG_NONBLOCK)) {
        nng_msg_free(msg);
        return false;
    }
    endpoint->sent++;
    endpoint->sent_bytes += frame.bytes;
    return true;
}

void endpoint_redial(struct endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->hubs.count; i++) {
        nng_dialer_close(endpoint->to_in[i]);
        bus__dial(&endpoint->to_in[i], endpoint->pub, &endpoint->hubs.list[i].in, endpoint->frame_bytes_max, NULL);
    }
}

static nng_msg *next(struct endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    nng_msg *msg = inbox_pop(&endpoint->inbox);
    pthread_mutex_unlock(&endpoint->lock);
    return msg;
}

static size_t waiting(struct endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    size_t count = endpoint->inbox.count;
    pthread_mutex_unlock(&endpoint->lock);
    return count;
}

size_t endpoint_drain(struct endpoint *endpoint, void (*on_frame)(void *user, struct span frame), void *user,
                      size_t max)
{
    for (size_t i = 0; i < max; i++) {
        nng_msg *msg = next(endpoint);
        if (!msg)
            return 0;
        on_frame(user, span_bytes(nng_msg_body(msg), nng_msg_len(msg)));
        nng_msg_free(msg);
    }
    return waiting(endpoint);
}

void endpoint_status(struct endpoint *endpoint, struct endpoint_status *out)
{
    *out = (struct endpoint_status){
        .hubs_in = atomic_load(&endpoint->links_in.now),
        .hubs_out = atomic_load(&endpoint->links_out.now),
        .sent = endpoint->sent,
        .sent_bytes = endpoint->sent_bytes,
        .refused = endpoint->refused,
    };
    pthread_mutex_lock(&endpoint->lock);
    out->heard = endpoint->heard;
    out->heard_bytes = endpoint->heard_bytes;
    out->dropped = endpoint->inbox.dropped;
    out->waiting = endpoint->inbox.count;
    pthread_mutex_unlock(&endpoint->lock);
}

void endpoint_quiet(struct endpoint *endpoint)
{
    pthread_mutex_lock(&endpoint->lock);
    endpoint->quiet = true;
    pthread_mutex_unlock(&endpoint->lock);
    for (nng_msg *msg; (msg = next(endpoint));)
        nng_msg_free(msg);
}

void endpoint_close(struct endpoint *endpoint)
{
    if (!endpoint)
        return;
    endpoint_quiet(endpoint);
    bus__socket_close(endpoint->sub, &endpoint->links_out);
    bus__socket_close(endpoint->pub, &endpoint->links_in);
    nng_aio_stop(endpoint->aio);
    bus__gate_close(&endpoint->gate);
    nng_aio_free(endpoint->aio);
    endpoint_free(endpoint);
}

void endpoint_leave(struct endpoint *endpoint)
{
    if (!endpoint)
        return;
    endpoint_quiet(endpoint);
    bus__socket_close(endpoint->pub, &endpoint->links_in);
}
