/* The store port in memory: the shipped scripts on a keyspace. Nothing outlives the process. A call is executed at once
 * and its reply queued; the owner fetches replies with store_memory_pump, so that nothing calls back from inside
 * call(). */
#ifndef MEERKAT_REDIS_STORE_MEMORY_H
#define MEERKAT_REDIS_STORE_MEMORY_H

#include "node/core/port.h"
#include "redis/keyspace.h"
#include "redis/script_host.h"

struct store_memory;

/* NULL, and the reason in the note: no memory. `mem` outlives the store; the clock is copied. */
struct store_memory *store_memory_new(const struct mk_mem *mem, const struct keyspace_clock *clock,
                                      struct mk_note *note);
void store_memory_free(struct store_memory *store); /* replies not delivered are dropped */

struct store_port store_memory_port(struct store_memory *store);

typedef void store_memory_deliver(void *user, uint64_t tag, const struct store_reply *reply);

/* Delivers the replies that are queued now, in order; what is called meanwhile waits for the next pump. Returns how
 * many. */
size_t store_memory_pump(struct store_memory *store, store_memory_deliver *deliver, void *user);
bool store_memory_pending(const struct store_memory *store);

/* Executes a call at once. The reply is borrowed until the next call of any kind. An error after a write is
 * STORE_UNKNOWN, as it would be over a connection; before, STORE_REFUSED. */
void store_memory_execute(struct store_memory *store, const struct store_call *call, struct store_reply *reply);

struct keyspace *store_memory_keyspace(struct store_memory *store);
struct script_host *store_memory_host(struct store_memory *store);

#endif
