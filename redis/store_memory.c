#include "redis/store_memory.h"

#include <assert.h>

#include "redis/stored_reply.h"

#define PENDING_MAX 4096 /* replies not fetched; the owner pumps every turn */

struct pending {
    struct pending *next;
    uint64_t tag;
    struct stored_reply *reply; /* NULL: it found no memory */
};

struct store_memory {
    const struct mk_mem *mem;
    struct keyspace_clock clock;
    struct keyspace *keyspace;
    struct script_host *host;
    struct pending *first, **end;
    size_t pending;
};

struct store_memory *store_memory_new(const struct mk_mem *mem, const struct keyspace_clock *clock,
                                      struct mk_note *note)
{
    struct store_memory *store = mem_alloc(mem, sizeof *store);
    if (!store) {
        err_set(note, MK_ERR_OVERLOADED, "no memory for the store");
        return NULL;
    }
    store->mem = mem;
    store->end = &store->first;
    store->clock = *clock;
    store->keyspace = keyspace_new(mem, clock);
    if (!store->keyspace)
        err_set(note, MK_ERR_OVERLOADED, "no memory for the keyspace");
    else
        store->host = script_host_new(mem, store->keyspace, note);
    if (store->host)
        return store;
    store_memory_free(store);
    return NULL;
}

void store_memory_free(struct store_memory *store)
{
    if (!store)
        return;
    for (struct pending *next; store->first; store->first = next) {
        next = store->first->next;
        mem_free(store->mem, store->first->reply);
        mem_free(store->mem, store->first);
    }
    script_host_free(store->host);
    keyspace_free(store->keyspace);
    mem_free(store->mem, store);
}

void store_memory_execute(struct store_memory *store, const struct store_call *call, struct store_reply *reply)
{
    struct script_call run = {script_name(call->script), call->keys, call->args, call->key_count, call->arg_count};
    struct script_result result;
    script_host_run(store->host, &run, &result);
    *reply = (struct store_reply){.verdict = STORE_REPLIED, .items = result.items, .count = result.count};
    if (result.ok)
        return;
    reply->verdict = result.wrote ? STORE_UNKNOWN : STORE_REFUSED;
    reply->error = result.error;
}

static bool call(void *self, uint64_t tag, const struct store_call *what)
{
    struct store_memory *store = self;
    if (store->pending >= PENDING_MAX)
        return false;
    struct pending *p = mem_alloc(store->mem, sizeof *p);
    if (!p)
        return false;
    struct store_reply reply;
    store_memory_execute(store, what, &reply);
    p->reply = stored_reply_new(store->mem, &reply);
    p->tag = tag;
    *store->end = p;
    store->end = &p->next;
    store->pending++;
    return true;
}

static bool connected(void *self)
{
    (void)self;
    return true;
}

struct store_port store_memory_port(struct store_memory *store)
{
    static const struct store_ops ops = {call, connected};
    return (struct store_port){&ops, store};
}

size_t store_memory_pump(struct store_memory *store, store_memory_deliver *deliver, void *user)
{
    /* A reply that found no memory is as good as lost on a connection. */
    const struct store_reply lost = {.verdict = STORE_UNKNOWN, .error = SPAN_LIT("no memory for the reply")};
    size_t count = store->pending;
    for (size_t i = 0; i < count; i++) {
        struct pending *p = store->first;
        assert(p);
        store->first = p->next;
        if (!store->first)
            store->end = &store->first;
        store->pending--;
        deliver(user, p->tag, p->reply ? &p->reply->reply : &lost);
        mem_free(store->mem, p->reply);
        mem_free(store->mem, p);
    }
    return count;
}

bool store_memory_pending(const struct store_memory *store)
{
    return store->pending > 0;
}

struct keyspace *store_memory_keyspace(struct store_memory *store)
{
    return store->keyspace;
}

struct script_host *store_memory_host(struct store_memory *store)
{
    return store->host;
}
