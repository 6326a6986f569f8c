/* What waits to leave the node: answers, numbered events, run starts. Everything that rests on a partition's lease
 * leaves only while the lease is safe by the clock, re-read at each flush; what belongs to a lost partition is dropped.
 * Messages of one flush travel together: one frame per client, one for all watchers (design section 6, batches). */
#ifndef MEERKAT_NODE_OUTGOING_H
#define MEERKAT_NODE_OUTGOING_H

#include "codec/buf.h"
#include "node/core/node.h"
#include "node/core/port.h"

enum outgoing_type { OUT_ANSWER, OUT_EVENT, OUT_RUN, OUT_INJECT };

struct outgoing_item {
    struct outgoing_item *next;
    enum outgoing_type type;
    uint32_t partition;
    uint64_t fence;    /* 0: rests on no lease */
    uint64_t sequence; /* event: of its commit */
    struct mk_session_id session;
    struct mk_id run;             /* run, inject */
    struct mk_id input;           /* inject */
    struct mk_blob *message;      /* answer, event */
    struct mk_id to[WAITERS_MAX]; /* clients; of an answer just the one */
    size_t to_count;
};

/* One frame being filled for one topic. */
struct outgoing_frame {
    struct mk_id client;          /* absent: the watchers' */
    struct mk_session_id session; /* watchers: of the only message so far */
    struct buf items;
    size_t count;
};

#define OUTGOING_CLIENTS_MAX 64 /* frames filled at once; more clients: the fullest leave earlier */

struct outgoing {
    const struct mk_mem *mem;
    struct outgoing_item *first, **end;
    size_t waiting;
    size_t frame_bytes_max;
    uint64_t messages, bytes, frames; /* sent since the start */
    uint64_t batches;                 /* for batch ids */
    struct outgoing_frame watchers, clients[OUTGOING_CLIENTS_MAX];
    size_t client_count;
    struct buf frame; /* scratch */
};

/* Where it goes, and what it asks and tells on the way. */
struct outgoing_sink {
    void *self;
    enum may (*may)(void *self, uint32_t partition, uint64_t fence);
    void (*publish)(void *self, struct span frame);
    void (*start)(void *self, struct span session, const struct mk_id *run);
    void (*inject)(void *self, struct span session, const struct mk_id *run, const struct mk_id *input);
    void (*published)(void *self, uint32_t partition, uint64_t fence, uint64_t sequence);
    uint64_t unix_ms;
};

void outgoing_init(struct outgoing *out, const struct mk_mem *mem, size_t frame_bytes_max);
void outgoing_fini(struct outgoing *out);
struct outgoing_item *outgoing_add(struct outgoing *out,
                                   enum outgoing_type type); /* zeroed, at the end; NULL: no memory */
void outgoing_flush(struct outgoing *out, const struct outgoing_sink *sink);

#endif
