/* The node's end of the supervisor (node/supervisor.h) on a libuv loop: orders never wait, reports are handed on. */
#ifndef MEERKAT_NODE_SUPERVISED_H
#define MEERKAT_NODE_SUPERVISED_H

#include <uv.h>

#include "node/supervisor.h"

struct supervised;

struct supervised_options {
    struct supervisor supervisor; /* taken */
    /* fds: of a child that was started, taken; else NULL. */
    void (*on_report)(void *user, const struct supervisor_report *report, const int *fds);
    /* It is gone, or does not answer; whatever it had started has been ended. Nothing more is reported. */
    void (*on_lost)(void *user, const char *why);
    void *user;
};

/* NULL: no memory. */
struct supervised *supervised_open(uv_loop_t *loop, const struct supervised_options *options);

/* Queued when the socket is full. Without memory for that the node ends: a child that should have been ended would
 * live. */
void supervised_order(struct supervised *supervised, const struct supervisor_order *order);

bool supervised_clear(const struct supervised *supervised); /* no order waits in this process */

/* The supervisor, which sees the socket close, ends everything. The memory goes when the loop has run once more. */
void supervised_close(struct supervised *supervised);

#endif
