#include "codec/buf.h"

#include <stdlib.h>

void buf_fini(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf){0};
}

void buf_reset(struct buf *buf)
{
    buf->bytes = 0;
    buf->failed = false;
}

static bool reserve(struct buf *buf, size_t more)
{
    if (buf->room - buf->bytes >= more)
        return true;
    size_t room = buf->room ? buf->room : 256;
    while (room - buf->bytes < more) {
        if (room > SIZE_MAX / 2)
            return false;
        room *= 2;
    }
    char *at = realloc(buf->at, room);
    if (!at)
        return false;
    buf->at = at;
    buf->room = room;
    return true;
}

void buf_append(struct buf *buf, const void *at, size_t bytes)
{
    if (buf->failed || bytes == 0)
        return;
    if (!reserve(buf, bytes)) {
        buf->failed = true;
        return;
    }
    memcpy(buf->at + buf->bytes, at, bytes);
    buf->bytes += bytes;
}
