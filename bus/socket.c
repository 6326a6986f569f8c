#include "bus/socket.h"

#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdio.h>

#define BUFFER_FRAMES   8192 /* the library's maximum; a full buffer drops its oldest frame without a word */
#define REDIAL_FIRST_MS 100
#define REDIAL_MAX_MS   2000
#define IPC_MODE        0600

void bus__signals_block(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

void bus__signals_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

enum mk_err bus__refused(struct mk_note *note, int error, const char *what, const char *value)
{
    enum mk_err err = error == NNG_ENOMEM ? MK_ERR_OVERLOADED : MK_ERR_REFUSED;
    return err_set(note, err, "%s %s: %s", what, value, nng_strerror(error));
}

static void on_link(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    (void)pipe;
    struct bus__links *links = user;
    bus__gate_enter(&links->gate);
    if (event == NNG_PIPE_EV_ADD_POST) {
        atomic_fetch_add(&links->now, 1);
        atomic_fetch_add(&links->ever, 1);
    } else {
        atomic_fetch_sub(&links->now, 1);
    }
    bus__gate_leave(&links->gate);
}

enum mk_err bus__socket_open(nng_socket *out, enum bus__side side, size_t frame_bytes_max, struct bus__links *links,
                             struct mk_note *note)
{
    const char *buffer = side == BUS__PUB ? NNG_OPT_SENDBUF : NNG_OPT_RECVBUF;
    const char *what = side == BUS__PUB ? "publisher" : "subscriber";
    int error = side == BUS__PUB ? nng_pub0_open(out) : nng_sub0_open(out);
    if (error)
        return bus__refused(note, error, "cannot open a socket for the", what);
    bus__gate_open(&links->gate);
    if ((error = nng_socket_set_int(*out, buffer, BUFFER_FRAMES)) ||
        (error = nng_socket_set_size(*out, NNG_OPT_RECVMAXSZ, frame_bytes_max)) ||
        (error = nng_socket_set_ms(*out, NNG_OPT_RECONNMINT, REDIAL_FIRST_MS)) ||
        (error = nng_socket_set_ms(*out, NNG_OPT_RECONNMAXT, REDIAL_MAX_MS)) ||
        (error = nng_pipe_notify(*out, NNG_PIPE_EV_ADD_POST, on_link, links)) ||
        (error = nng_pipe_notify(*out, NNG_PIPE_EV_REM_POST, on_link, links))) {
        bus__socket_close(*out, links);
        return bus__refused(note, error, "cannot set up the", what);
    }
    return MK_ERR_OK;
}

void bus__socket_close(nng_socket socket, struct bus__links *links)
{
    nng_close(socket);
    bus__gate_close(&links->gate);
}

enum mk_err bus__dial(nng_dialer *out, nng_socket socket, const struct bus_end *end, size_t frame_bytes_max,
                      struct mk_note *note)
{
    nng_dialer dialer;
    int error = nng_dialer_create(&dialer, socket, end->text);
    if (!error && (end->scheme == BUS_TCP || end->scheme == BUS_TLS_TCP))
        error = nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
    if (!error && end->scheme == BUS_WS) /* a ws dialer ignores the socket's bound */
        error = nng_dialer_set_size(dialer, NNG_OPT_WS_RECVMAXFRAME, frame_bytes_max);
    if (!error)
        error = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    *out = dialer;
    return error ? bus__refused(note, error, "cannot dial", end->text) : MK_ERR_OK;
}

static bool has_port_option(enum bus_scheme scheme)
{
    return scheme == BUS_TCP || scheme == BUS_TLS_TCP || scheme == BUS_WS;
}

/* Writes the port that the system chose into the URL. */
static enum mk_err adopt_port(nng_listener listener, struct bus_end *end, struct mk_note *note)
{
    int port = 0;
    int error = nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (error)
        return bus__refused(note, error, "cannot learn the port of", end->text);
    return bus_end_set_port(end, (unsigned)port, note);
}

enum mk_err bus__listen(nng_listener *out, nng_socket socket, struct bus_end *end, size_t frame_bytes_max,
                        struct mk_note *note)
{
    nng_listener listener;
    int error = nng_listener_create(&listener, socket, end->text);
    if (!error && (end->scheme == BUS_TCP || end->scheme == BUS_TLS_TCP))
        error = nng_listener_set_bool(listener, NNG_OPT_TCP_KEEPALIVE, true);
    if (!error && end->scheme == BUS_WS)
        error = nng_listener_set_size(listener, NNG_OPT_WS_RECVMAXFRAME, frame_bytes_max);
    if (!error && end->scheme == BUS_IPC)
        error = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, IPC_MODE);
    if (!error)
        error = nng_listener_start(listener, 0);
    if (error)
        return bus__refused(note, error, "cannot listen on", end->text);
    *out = listener;
    return has_port_option(end->scheme) && bus_end_port(end) == 0 ? adopt_port(listener, end, note) : MK_ERR_OK;
}
