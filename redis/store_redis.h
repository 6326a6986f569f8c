/* The store port on one Redis: one connection, pipelined, on the node's libuv loop. It connects by itself and again
 * after a loss (100 ms, doubling to 2 s, with jitter), loads the scripts, and calls them by their digest.
 *
 * What a caller may rely on: replies come in order of the calls; every call that was taken is answered exactly once,
 * also when the connection ends (STORE_UNKNOWN) or the store is closed; nothing calls back from inside call(). */
#ifndef MEERKAT_REDIS_STORE_REDIS_H
#define MEERKAT_REDIS_STORE_REDIS_H

#include <uv.h>

#include "node/core/err.h"
#include "node/core/port.h"

struct store_redis;

typedef void store_redis_on_reply(void *user, uint64_t tag, const struct store_reply *reply);
typedef void store_redis_on_up(void *user, bool up);
typedef void store_redis_on_closed(void *user);
typedef void store_redis_on_answer(void *user, const struct store_reply *answer);

/* 0 means the default. */
struct store_redis_options {
    const char *url;      /* url.h says the form */
    struct span password; /* absent: none. Copied */
    uint64_t connect_ms;  /* until connected and greeted: 2000 */
    uint64_t deadline_ms; /* oldest call in flight: 2000. Passed: the connection is given up */
    uint64_t ping_ms;     /* an idle connection is tried this often: 1000 */
    size_t calls_max;     /* in flight: 1024 */
    size_t bytes_max;     /* in flight: 64 MiB */
    store_redis_on_reply *on_reply;
    store_redis_on_up *on_up; /* only changes; the first is `up` */
    void *user;
};

/* Begins to connect. NULL, and the reason in the note: a bad address, no memory. Loop and mem outlive the store. */
struct store_redis *store_redis_open(uv_loop_t *loop, const struct mk_mem *mem,
                                     const struct store_redis_options *options, struct mk_note *note);

/* Answers what is in flight with STORE_UNKNOWN, ends the connection, then frees the store and tells. */
void store_redis_close(struct store_redis *store, store_redis_on_closed *closed, void *user);

struct store_port store_redis_port(struct store_redis *store);

/* Why there is no connection, "" when there is one: "connect: Connection refused". */
const char *store_redis_why(const struct store_redis *store);

/* Sends any command; its answer comes once and in order with the calls; an answer that is one value is one item, a list
 * is its elements. False: there is no connection, or too much is in flight. */
bool store_redis_command(struct store_redis *store, const struct span *words, size_t count, store_redis_on_answer *done,
                         void *user);

/* Whether an error of Redis means that nothing of the call was done (STORE_REFUSED), or that it may have been done in
 * part (STORE_UNKNOWN; the byte-identical repeat is the cure). */
enum store_verdict redis_error_verdict(struct span error);

#endif
