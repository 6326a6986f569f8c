/* A small HTTP server on the node's libuv loop, without a thread of its own: GET and HEAD of a few pages. Requests,
 * connections and their time are bounded; what is no page is 404, what is no GET or HEAD is 405. */
#ifndef MEERKAT_NODE_HTTP_H
#define MEERKAT_NODE_HTTP_H

#include <uv.h>

#include "codec/buf.h"
#include "node/core/err.h"

struct http_page {
    unsigned status;  /* 200 unless set */
    const char *type; /* text/plain unless set; static */
    struct buf body;
};

struct http_route {
    const char *path;
    void (*fill)(void *user, struct http_page *page); /* called on the loop */
};

struct http_options {
    const char *host;                /* numeric */
    uint16_t port;                   /* 0: any free one */
    const struct http_route *routes; /* ended by a NULL path; outlive the server */
    void *user;
};

struct http_server;

/*   errors  REFUSED (the address is taken or not ours; the note says which), OVERLOADED (no memory) */
enum mk_err http_server_open(struct http_server **out, uv_loop_t *loop, const struct http_options *options,
                             struct mk_note *note);

/* HOST:PORT, [V6]:PORT with the real port. Lives as long as the server. */
const char *http_server_address(const struct http_server *server);

/* The memory goes when the loop has run once more. NULL is allowed. */
void http_server_close(struct http_server *server);

#endif
