#include "bus/pending.h"

#include <assert.h>
#include <stdlib.h>

uint64_t retry_wait_ms(unsigned sends)
{
    uint64_t wait_ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < sends && wait_ms < RETRY_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
}

bool pending_table_init(struct pending_table *table, size_t window)
{
    size_t room = 16;
    while (room < window)
        room *= 2;
    *table = (struct pending_table){.mask = room - 1};
    TAILQ_INIT(&table->all);
    TAILQ_INIT(&table->queue);
    table->buckets = calloc(room, sizeof *table->buckets);
    return table->buckets != NULL;
}

void pending_free(struct pending *pending)
{
    if (!pending)
        return;
    free(pending->texts);
    free(pending);
}

void pending_table_fini(struct pending_table *table)
{
    for (struct pending *p; (p = TAILQ_FIRST(&table->all));) {
        TAILQ_REMOVE(&table->all, p, all);
        pending_free(p);
    }
    free(table->buckets);
    table->buckets = NULL;
}

static struct pending **bucket(const struct pending_table *table, struct span id)
{
    return &table->buckets[span_hash(id) & table->mask];
}

struct pending *pending_find(const struct pending_table *table, struct span id)
{
    struct pending *p = *bucket(table, id);
    while (p && !span_equal(id_span(&p->id), id))
        p = p->same_hash;
    return p;
}

struct pending *pending_by_existing(const struct pending_table *table, struct span existing)
{
    struct pending *p;
    if (!table->aliases)
        return NULL;
    TAILQ_FOREACH(p, &table->all, all)
    {
        if (p->existing.bytes && span_equal(id_span(&p->existing), existing))
            break;
    }
    return p;
}

void pending_set_existing(struct pending_table *table, struct pending *pending, struct span existing)
{
    if (!existing.bytes || pending->existing.bytes || span_equal(existing, id_span(&pending->id)))
        return;
    if (id_set(&pending->existing, existing))
        table->aliases++;
}

bool pending_add(struct pending_table *table, struct pending *pending)
{
    struct span id = id_span(&pending->id);
    if (pending_find(table, id))
        return false;
    pending->same_hash = *bucket(table, id);
    *bucket(table, id) = pending;
    TAILQ_INSERT_TAIL(&table->all, pending, all);
    table->count++;
    pending_enqueue(table, pending);
    return true;
}

void pending_enqueue(struct pending_table *table, struct pending *pending)
{
    if (pending->queued)
        return;
    TAILQ_INSERT_TAIL(&table->queue, pending, queue);
    pending->queued = true;
}

/* A gathering request that reached somebody has reached everybody: a repeat would be answered twice. */
static bool repeats(const struct pending *pending)
{
    return !pending->queued && !(pending->gather && pending->items);
}

void pending_repeat_now(struct pending_table *table, struct pending *pending)
{
    if (!repeats(pending))
        return;
    if (!pending->admitted)
        pending->waits = 0;
    pending_enqueue(table, pending);
}

void pending_sent(struct pending_table *table, struct pending *pending, uint64_t now_ms, uint64_t unix_ms)
{
    assert(pending == TAILQ_FIRST(&table->queue));
    TAILQ_REMOVE(&table->queue, pending, queue);
    pending->queued = false;
    pending->sends++;
    pending->retry_ms = now_ms + retry_wait_ms(++pending->waits);
    if (!pending->born_ms)
        pending->born_ms = unix_ms;
}

struct pending *pending_expired(struct pending_table *table, uint64_t now_ms)
{
    struct pending *p;
    TAILQ_FOREACH(p, &table->all, all)
    {
        if (p->deadline_ms <= now_ms)
            break;
    }
    return p;
}

void pending_enqueue_due(struct pending_table *table, uint64_t now_ms)
{
    struct pending *p;
    TAILQ_FOREACH(p, &table->all, all)
    {
        if (repeats(p) && p->retry_ms <= now_ms)
            pending_enqueue(table, p);
    }
}

uint64_t pending_due_ms(const struct pending_table *table)
{
    const struct pending *p;
    uint64_t due_ms = UINT64_MAX;
    TAILQ_FOREACH(p, &table->all, all)
    {
        uint64_t at_ms = !repeats(p) || p->retry_ms > p->deadline_ms ? p->deadline_ms : p->retry_ms;
        due_ms = at_ms < due_ms ? at_ms : due_ms;
    }
    return due_ms;
}

void pending_take(struct pending_table *table, struct pending *pending)
{
    struct pending **at = bucket(table, id_span(&pending->id));
    while (*at != pending)
        at = &(*at)->same_hash;
    *at = pending->same_hash;
    TAILQ_REMOVE(&table->all, pending, all);
    if (pending->queued)
        TAILQ_REMOVE(&table->queue, pending, queue);
    if (pending->existing.bytes)
        table->aliases--;
    table->count--;
}
