#include "redis/stored_reply.h"

static struct span keep(char **at, struct span text)
{
    if (!span_given(text))
        return text;
    struct span kept = span_bytes(*at, text.bytes);
    if (text.bytes)
        memcpy(*at, text.at, text.bytes);
    *at += text.bytes + 1; /* a byte more: an empty text has an address of its own */
    return kept;
}

struct stored_reply *stored_reply_new(const struct mk_mem *mem, const struct store_reply *reply)
{
    size_t bytes = reply->error.bytes + 1;
    for (size_t i = 0; i < reply->count; i++)
        bytes += reply->items[i].bytes + 1;
    struct stored_reply *stored = mem_alloc(mem, sizeof *stored + reply->count * sizeof(struct span) + bytes);
    if (!stored)
        return NULL;
    struct span *items = (struct span *)(stored + 1);
    char *at = (char *)(items + reply->count);
    stored->reply = *reply;
    stored->reply.error = keep(&at, reply->error);
    for (size_t i = 0; i < reply->count; i++)
        items[i] = keep(&at, reply->items[i]);
    stored->reply.items = items;
    return stored;
}
