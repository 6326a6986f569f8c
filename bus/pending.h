/* Private to libmeerkat: requests that wait for their end, found by id, and the queue of those to be sent (again).
 * Pure: the time is given. */
#ifndef MEERKAT_BUS_PENDING_H
#define MEERKAT_BUS_PENDING_H

#include <sys/queue.h>

#include "bus/meerkat.h"
#include "node/core/msg.h"

#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS   5000

/* How long to wait after the nth sending, from 1: 250 ms, doubling, at most 5 s. */
uint64_t retry_wait_ms(unsigned sends);

struct pending {
    TAILQ_ENTRY(pending) all, queue;
    struct pending *same_hash;
    struct mk_id id;
    char session[SESSION_ID_BYTES_MAX + 1]; /* "" for a node command */
    bool is_command, gather, await_completion, node_command;
    struct mk_input input;     /* or: */
    struct mk_command command; /* a node command's node is in `node` */
    struct span node;
    char *texts; /* what the spans point into; owned */
    bool queued, admitted, told_admitted, deduplicated;
    unsigned sends, items;
    unsigned waits;                 /* since its schedule began */
    uint64_t born_ms;               /* unix time of the first sending */
    uint64_t retry_ms, deadline_ms; /* when to repeat, when to give up */
    struct mk_id existing;          /* the id it was first sent with, when another */
    enum mk_err reason;             /* of the last answer that was no end */
    char detail[REASON_BYTES_MAX];
    mk_answer_fn on_answer;
    void *user;
};

TAILQ_HEAD(pending_list, pending);

struct pending_table {
    struct pending **buckets;
    size_t mask, count, aliases;    /* aliases: how many have an `existing` */
    struct pending_list all, queue; /* in order of their first, and of their next sending */
};

bool pending_table_init(struct pending_table *table, size_t window); /* false: no memory */
void pending_table_fini(struct pending_table *table);                /* frees what is in it */

/* Takes it, and queues it. False: the id is there already; nothing was taken. */
bool pending_add(struct pending_table *table, struct pending *pending);

struct pending *pending_find(const struct pending_table *table, struct span id);
struct pending *pending_by_existing(const struct pending_table *table, struct span existing);
void pending_set_existing(struct pending_table *table, struct pending *pending, struct span existing);

void pending_enqueue(struct pending_table *table, struct pending *pending); /* no-op when it is queued */

/* Somebody else is there to take it: it is queued at once. If it is not known to be admitted, its schedule begins
 * anew. */
void pending_repeat_now(struct pending_table *table, struct pending *pending);

/* The first of the queue was sent just now. */
void pending_sent(struct pending_table *table, struct pending *pending, uint64_t now_ms, uint64_t unix_ms);

/* Queues what is due again; gives one whose time is up, or NULL. Call until NULL. */
struct pending *pending_expired(struct pending_table *table, uint64_t now_ms);
void pending_enqueue_due(struct pending_table *table, uint64_t now_ms);
uint64_t pending_due_ms(const struct pending_table *table); /* UINT64_MAX: never */

/* Out of the table; the caller frees it. */
void pending_take(struct pending_table *table, struct pending *pending);
void pending_free(struct pending *pending); /* NULL is allowed */

#endif
