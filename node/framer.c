#include "node/framer.h"

#include <stdlib.h>

#define FIRST_BYTES 4096

uint32_t framer_announced(const struct framer *framer)
{
    uint32_t bytes = 0;
    for (size_t i = 0; i < sizeof framer->head; i++)
        bytes = bytes << 8 | framer->head[i];
    return bytes;
}

static void take(struct span *bytes, void *to, size_t count)
{
    memcpy(to, bytes->at, count);
    *bytes = span_bytes(bytes->at + count, bytes->bytes - count);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool grow(struct framer *framer, size_t wanted)
{
    if (wanted <= framer->room)
        return true;
    size_t room = framer->room ? framer->room : FIRST_BYTES;
    while (room < wanted)
        room *= 2;
    room = least(room, framer_announced(framer));
    char *body = realloc(framer->body, room);
    if (!body)
        return false;
    framer->body = body;
    framer->room = room;
    return true;
}

static enum framer_said read_head(struct framer *framer, struct span *bytes)
{
    size_t count = least(sizeof framer->head - framer->head_bytes, bytes->bytes);
    take(bytes, framer->head + framer->head_bytes, count);
    framer->head_bytes += count;
    if (framer->head_bytes < sizeof framer->head)
        return FRAMER_MORE;
    uint32_t announced = framer_announced(framer);
    return announced > framer->most ? FRAMER_TOO_LARGE : announced == 0 ? FRAMER_EMPTY : FRAMER_MORE;
}

enum framer_said framer_feed(struct framer *framer, struct span *bytes)
{
    if (framer->head_bytes < sizeof framer->head) {
        enum framer_said said = bytes->bytes ? read_head(framer, bytes) : FRAMER_MORE;
        if (said != FRAMER_MORE || framer->head_bytes < sizeof framer->head)
            return said;
    }
    size_t count = least(framer_announced(framer) - framer->bytes, bytes->bytes);
    if (!count)
        return FRAMER_MORE;
    if (!grow(framer, framer->bytes + count))
        return FRAMER_NO_MEMORY;
    take(bytes, framer->body + framer->bytes, count);
    framer->bytes += count;
    return framer->bytes == framer_announced(framer) ? FRAMER_WHOLE : FRAMER_MORE;
}

char *framer_take(struct framer *framer, size_t *bytes)
{
    char *body = framer->body;
    *bytes = framer->bytes;
    framer->body = NULL;
    framer_reset(framer);
    return body;
}

bool framer_midway(const struct framer *framer)
{
    return framer->head_bytes > 0;
}

void framer_reset(struct framer *framer)
{
    free(framer->body);
    *framer = (struct framer){.most = framer->most};
}
