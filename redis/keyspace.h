/* A small keyspace in memory that answers the commands of Redis that the scripts use, in Redis' words: hashes and
 * streams. The memory store and the simulator run the shipped scripts on it. Time is the caller's. Single-threaded,
 * deterministic: fields keep the order in which they came.
 *
 * Commands: TIME, DEL, EXISTS, TYPE; HGET, HMGET, HSET, HDEL, HKEYS, HGETALL, HLEN, HSCAN [COUNT]; XADD with an
 * explicit id, XLEN, XDEL, XRANGE and XREVRANGE [COUNT], XTRIM MINID or MAXLEN. A command is done whole or, with an
 * error, not at all. */
#ifndef MEERKAT_REDIS_KEYSPACE_H
#define MEERKAT_REDIS_KEYSPACE_H

#include "node/core/mem.h"
#include "node/core/span.h"

struct keyspace;

struct keyspace_clock {
    uint64_t (*now_us)(void *self); /* the store's TIME */
    void *self;
};

enum keyspace_kind {
    KEYSPACE_NIL,
    KEYSPACE_NUMBER, /* number */
    KEYSPACE_TEXT,   /* text */
    KEYSPACE_STATUS, /* text: "hash" */
    KEYSPACE_ERROR,  /* text: "WRONGTYPE Operation ..." */
    KEYSPACE_ARRAY   /* number: how many items follow that belong to it, each an item or an array in turn */
};

struct keyspace_item {
    enum keyspace_kind kind;
    int64_t number;
    struct span text;
};

/* Borrowed from the keyspace until its next command. */
struct keyspace_reply {
    const struct keyspace_item *items;
    size_t count;
    bool wrote; /* something may have changed */
};

/* NULL: no memory. `mem` and `clock` outlive the keyspace. */
struct keyspace *keyspace_new(const struct mk_mem *mem, const struct keyspace_clock *clock);
void keyspace_free(struct keyspace *keyspace);

/* Does one command, words[0] being its name in any case. No memory is an error reply like any other. */
void keyspace_command(struct keyspace *keyspace, const struct span *words, size_t count, struct keyspace_reply *reply);

/* A copy with the same clock and memory, NULL: no memory. */
struct keyspace *keyspace_copy(const struct keyspace *keyspace);

/* Makes the content that of `from`, which stays. False: no memory, nothing changed. */
bool keyspace_restore(struct keyspace *keyspace, const struct keyspace *from);

size_t keyspace_keys(const struct keyspace *keyspace);
size_t keyspace_bytes(const struct keyspace *keyspace); /* of names, fields and values */

#endif
