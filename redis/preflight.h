/* Looks at a Redis before the node relies on it: version, role, eviction, persistence, rights. Asks over the store's
 * connection and reports once. What a managed Redis does not show is told as unreadable, which refuses nothing. */
#ifndef MEERKAT_REDIS_PREFLIGHT_H
#define MEERKAT_REDIS_PREFLIGHT_H

#include "redis/store_redis.h"

/* What a user of Redis must be allowed besides the keys ~mk:*. The same stands in docs/keys.md. */
#define PREFLIGHT_RIGHTS                                                                                               \
    "+evalsha +script|load +ping +select +info +config|get +time +del +hget +hmget +hset +hdel +hkeys +hlen "          \
    "+hgetall +hscan +xadd +xrange +xtrim +xdel"

#define PREFLIGHT_LINES      16
#define PREFLIGHT_LINE_BYTES 512

struct preflight_report {
    bool ok;
    bool lost; /* the connection ended meanwhile: nothing is known, ask again */
    const char
        *durability; /* what `accepted` means: always, everysec, no (the system decides), snapshots, none, unreadable */
    size_t line_count; /* one sentence each: "refused: ...", "warning: ...", "redis 7.0.15, ..." */
    char lines[PREFLIGHT_LINES][PREFLIGHT_LINE_BYTES];
};

typedef void preflight_done(void *user, const struct preflight_report *report);

/* Call when the store is up. `allow_volatile`: a Redis that keeps nothing over its restart is good enough. The report
 * comes later, once, and is borrowed for the call. False: no connection, or no memory; nothing comes. */
bool preflight_start(struct store_redis *store, const struct mk_mem *mem, bool allow_volatile, preflight_done *done,
                     void *user);

#endif
