/* Bus URLs (design section 8). One URL names the two ends of a hub: publishers' at the URL itself, subscribers' at the
 * next port (tcp, tls+tcp, ws) or with `.out` appended (ipc, inproc); `IN|OUT` names both. Several hubs: a list by
 * comma. Pure. */
#ifndef MEERKAT_BUS_URL_H
#define MEERKAT_BUS_URL_H

#include "node/core/err.h"
#include "node/core/span.h"

#define BUS_URL_DEFAULT   "tcp://127.0.0.1:7400"
#define BUS_URL_BYTES_MAX 255 /* of one end */
#define BUS_HUBS_MAX      8   /* in one list */

enum bus_scheme { BUS_TCP, BUS_TLS_TCP, BUS_WS, BUS_IPC, BUS_INPROC, BUS_SCHEME_COUNT };

struct bus_end {
    enum bus_scheme scheme;
    char text[BUS_URL_BYTES_MAX + 1]; /* zero-terminated, as the transport takes it */
};

struct bus_url {
    struct bus_end in, out; /* publishers dial `in`, subscribers dial `out` */
};

struct bus_urls {
    struct bus_url list[BUS_HUBS_MAX];
    size_t count;
};

/* One hub. Port 0 (where a hub is to listen) gives port 0 at both ends.
 *   errors  INVALID_FIELD, TOO_LARGE; the note says what, value, allowed */
enum mk_err bus_url_parse(struct span text, struct bus_url *out, struct mk_note *note);

/* One or more hubs. Port 0 is refused: nobody can dial it. */
enum mk_err bus_urls_parse(struct span text, struct bus_urls *out, struct mk_note *note);

/* "IN|OUT". `room` BUS_URL_PAIR_BYTES always fits; returns the length. */
#define BUS_URL_PAIR_BYTES (2 * BUS_URL_BYTES_MAX + 2)
size_t bus_url_write(char *out, size_t room, const struct bus_url *url);

const char *bus_scheme_name(enum bus_scheme scheme); /* "tls+tcp" */

/* The port of a tcp, tls+tcp or ws end; 0 for the others. */
unsigned bus_end_port(const struct bus_end *end);

/* For a hub that listened on port 0: puts the real port in its place. */
enum mk_err bus_end_set_port(struct bus_end *end, unsigned port, struct mk_note *note);

/* The path of an ipc end, "" for the others. Borrowed from it. */
const char *bus_end_path(const struct bus_end *end);

#endif
