#include "redis/table.h"

#define BUCKETS_FIRST 8 /* many hashes stay small */

bool table_init(struct table *table, const struct mk_mem *mem)
{
    *table = (struct table){.mem = mem, .bucket_count = BUCKETS_FIRST};
    table->buckets = mem_alloc(mem, BUCKETS_FIRST * sizeof(struct table_slot *));
    return table->buckets != NULL;
}

void table_fini(struct table *table)
{
    struct table_slot *next;
    for (struct table_slot *slot = table->first; slot; slot = next) {
        next = slot->after;
        mem_free(table->mem, slot);
    }
    mem_free(table->mem, table->buckets);
    *table = (struct table){0};
}

static struct table_slot **bucket_of(const struct table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

struct table_slot *table_find(const struct table *table, struct span name)
{
    uint64_t hash = span_hash(name);
    struct table_slot *slot = *bucket_of(table, hash);
    while (slot && !(slot->hash == hash && span_equal(slot->name, name)))
        slot = slot->chain;
    return slot;
}

struct table_slot *table_slot_new(const struct table *table, struct span name)
{
    struct table_slot *slot = mem_alloc(table->mem, sizeof *slot + name.bytes + 1);
    if (!slot)
        return NULL;
    char *text = (char *)(slot + 1);
    if (name.bytes)
        memcpy(text, name.at, name.bytes);
    slot->name = span_bytes(text, name.bytes);
    slot->hash = span_hash(name);
    return slot;
}

void table_slot_free(const struct table *table, struct table_slot *slot)
{
    mem_free(table->mem, slot);
}

/* Without memory the table stays as it is and its chains grow longer. */
static void grow(struct table *table)
{
    size_t count = table->bucket_count * 2;
    struct table_slot **buckets = mem_alloc(table->mem, count * sizeof(struct table_slot *));
    if (!buckets)
        return;
    mem_free(table->mem, table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
    for (struct table_slot *slot = table->first; slot; slot = slot->after) {
        struct table_slot **bucket = bucket_of(table, slot->hash);
        slot->chain = *bucket;
        *bucket = slot;
    }
}

void table_link(struct table *table, struct table_slot *slot)
{
    if (table->count >= table->bucket_count)
        grow(table);
    struct table_slot **bucket = bucket_of(table, slot->hash);
    slot->chain = *bucket;
    *bucket = slot;
    slot->serial = ++table->serial;
    slot->before = table->last;
    slot->after = NULL;
    *(table->last ? &table->last->after : &table->first) = slot;
    table->last = slot;
    table->count++;
}

void table_unlink(struct table *table, struct table_slot *slot)
{
    struct table_slot **at = bucket_of(table, slot->hash);
    while (*at != slot)
        at = &(*at)->chain;
    *at = slot->chain;
    *(slot->before ? &slot->before->after : &table->first) = slot->after;
    *(slot->after ? &slot->after->before : &table->last) = slot->before;
    table->count--;
}
