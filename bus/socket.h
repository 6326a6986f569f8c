/* Private to bus/: sockets of the bus library, set up the way its version 1.5.2 needs (buffers of 8192, bounded frames,
 * keepalive, redial 100 ms to 2 s apart). */
#ifndef MEERKAT_BUS_SOCKET_H
#define MEERKAT_BUS_SOCKET_H

#include <nng/nng.h>
#include <signal.h>
#include <stdatomic.h>

#include "bus/gate.h"
#include "bus/url.h"

/* The library's threads inherit the mask of whoever calls it first: block everything around opening a socket. */
void bus__signals_block(sigset_t *before);
void bus__signals_restore(const sigset_t *before);

/* How many connections a socket has, kept by the library's threads. */
struct bus__links {
    struct bus__gate gate;
    atomic_uint now;
    atomic_ullong ever;
};

enum bus__side { BUS__PUB, BUS__SUB };

/* `links` is all zero, and lives until the socket is closed.
 *   errors  REFUSED */
enum mk_err bus__socket_open(nng_socket *out, enum bus__side side, size_t frame_bytes_max, struct bus__links *links,
                             struct mk_note *note);
void bus__socket_close(nng_socket socket, struct bus__links *links);

/* Dials in the background, until the dialer is closed. */
enum mk_err bus__dial(nng_dialer *out, nng_socket socket, const struct bus_end *end, size_t frame_bytes_max,
                      struct mk_note *note);

/* Listens; port 0 in `end` is replaced by the real one. */
enum mk_err bus__listen(nng_listener *out, nng_socket socket, struct bus_end *end, size_t frame_bytes_max,
                        struct mk_note *note);

/* What the library says of its error, with what was tried. */
enum mk_err bus__refused(struct mk_note *note, int error, const char *what, const char *value);

#endif
