#include "redis/stream.h"

#include <inttypes.h>
#include <stdio.h>

void stream_init(struct stream *stream, const struct mk_mem *mem)
{
    *stream = (struct stream){.mem = mem};
}

void stream_fini(struct stream *stream)
{
    stream_remove(stream, 0, stream->count);
    mem_free(stream->mem, stream->entries);
    *stream = (struct stream){0};
}

int stream_id_compare(struct stream_id a, struct stream_id b)
{
    if (a.major != b.major)
        return a.major < b.major ? -1 : 1;
    return a.minor == b.minor ? 0 : a.minor < b.minor ? -1 : 1;
}

/* Makes room for one more behind the last: moves the entries to the front of their array, or of one twice as large. */
static bool make_room(struct stream *stream)
{
    if (stream->first + stream->count < stream->room)
        return true;
    struct stream_entry **to = stream->entries;
    if (stream->count * 2 >= stream->room) {
        size_t room = stream->room ? stream->room * 2 : 8;
        to = mem_alloc(stream->mem, room * sizeof(struct stream_entry *));
        if (!to)
            return false;
        stream->room = room;
    }
    if (stream->count)
        memmove(to, stream->entries + stream->first, stream->count * sizeof(struct stream_entry *));
    if (to != stream->entries)
        mem_free(stream->mem, stream->entries);
    stream->entries = to;
    stream->first = 0;
    return true;
}

bool stream_add(struct stream *stream, struct stream_id id, const struct span *fields, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += fields[i].bytes;
    if (!make_room(stream))
        return false;
    struct stream_entry *entry = mem_alloc(stream->mem, sizeof *entry + count * sizeof(struct span) + bytes + 1);
    if (!entry)
        return false;
    entry->id = id;
    snprintf(entry->id_text, sizeof entry->id_text, "%" PRIu64 "-%" PRIu64, id.major, id.minor);
    entry->bytes = bytes;
    entry->count = count;
    char *at = (char *)&entry->fields[count];
    for (size_t i = 0; i < count; i++) {
        if (fields[i].bytes)
            memcpy(at, fields[i].at, fields[i].bytes);
        entry->fields[i] = span_bytes(at, fields[i].bytes);
        at += fields[i].bytes;
    }
    stream->entries[stream->first + stream->count++] = entry;
    stream->last = id;
    return true;
}

size_t stream_find(const struct stream *stream, struct stream_id id)
{
    size_t low = 0, high = stream->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (stream_id_compare(stream_at(stream, middle)->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct stream_entry *stream_at(const struct stream *stream, size_t place)
{
    return stream->entries[stream->first + place];
}

void stream_remove(struct stream *stream, size_t place, size_t count)
{
    struct stream_entry **at = stream->entries + stream->first + place;
    for (size_t i = 0; i < count; i++)
        mem_free(stream->mem, at[i]);
    if (place == 0)
        stream->first += count;
    else if (count)
        memmove(at, at + count, (stream->count - place - count) * sizeof(struct stream_entry *));
    stream->count -= count;
}
