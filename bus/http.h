/* A small HTTP server for diagnostics, in a thread of its own: GET of a few pages, nothing else. */
#ifndef MEERKAT_BUS_HTTP_H
#define MEERKAT_BUS_HTTP_H

#include "node/core/err.h"

#define HTTP_ADDRESS_BYTES 128
#define HTTP_PAGE_BYTES    8192

struct http;

/* Fills `body` (zero-terminated) for a path. Called in the server's thread. Returns the status, 404 for an unknown
 * path. */
typedef unsigned (*http_page_fn)(void *user, const char *path, char body[HTTP_PAGE_BYTES]);

/* `address`: HOST:PORT, [V6]:PORT; port 0: any free one.
 *   errors  INVALID_FIELD (no address), REFUSED (taken, or not ours) */
enum mk_err http_open(struct http **out, const char *address, http_page_fn page, void *user, struct mk_note *note);
const char *http_address(const struct http *http); /* HOST:PORT with the real port */
void http_close(struct http *http);                /* NULL is allowed */

#endif
