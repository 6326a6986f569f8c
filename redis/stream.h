/* A stream: entries with rising ids, each a list of texts. Internal to the keyspace. */
#ifndef MEERKAT_REDIS_STREAM_H
#define MEERKAT_REDIS_STREAM_H

#include "node/core/mem.h"
#include "node/core/span.h"

#define STREAM_ID_BYTES 44 /* two 64-bit numbers, a dash, a zero byte */

struct stream_id {
    uint64_t major, minor;
};

/* One allocation: the fields' bytes lie behind the array. */
struct stream_entry {
    struct stream_id id;
    char id_text[STREAM_ID_BYTES];
    size_t bytes; /* of all fields */
    size_t count;
    struct span fields[];
};

struct stream {
    const struct mk_mem *mem;
    struct stream_entry **entries; /* from `first` on, in order of id */
    size_t first, count, room;
    struct stream_id last; /* given last; never goes back */
};

void stream_init(struct stream *stream, const struct mk_mem *mem);
void stream_fini(struct stream *stream);

int stream_id_compare(struct stream_id a, struct stream_id b);

/* False: no memory, nothing changed. The id is above stream->last. */
bool stream_add(struct stream *stream, struct stream_id id, const struct span *fields, size_t count);
/* The place of the first entry with an id at or above `id`, 0..count. */
size_t stream_find(const struct stream *stream, struct stream_id id);
const struct stream_entry *stream_at(const struct stream *stream, size_t place);
void stream_remove(struct stream *stream, size_t place, size_t count);

#endif
