/* A hash table from bytes to bytes (or to an object) that remembers the order in which names came. Internal to the
 * keyspace. */
#ifndef MEERKAT_REDIS_TABLE_H
#define MEERKAT_REDIS_TABLE_H

#include "node/core/mem.h"
#include "node/core/span.h"

struct table_slot {
    struct table_slot *chain;          /* of the bucket */
    struct table_slot *before, *after; /* in order of coming */
    uint64_t hash, serial;             /* serial: 1, 2, 3... in order of coming, never reused */
    struct span name;                  /* lies behind the slot */
    void *value;                       /* the table's owner allocates and frees it */
    size_t bytes;                      /* of the value */
};

struct table {
    const struct mk_mem *mem;
    struct table_slot **buckets;
    size_t bucket_count, count;
    struct table_slot *first, *last;
    uint64_t serial;
};

bool table_init(struct table *table, const struct mk_mem *mem); /* false: no memory */
void table_fini(struct table *table); /* frees the slots; values must be gone or owned elsewhere */

struct table_slot *table_find(const struct table *table, struct span name);
struct table_slot *table_slot_new(const struct table *table, struct span name); /* not linked yet; NULL: no memory */
void table_slot_free(const struct table *table, struct table_slot *slot);       /* one that is not linked */
void table_link(struct table *table, struct table_slot *slot);                  /* takes; the name is not there yet */
void table_unlink(struct table *table, struct table_slot *slot);                /* gives it back */

#endif
