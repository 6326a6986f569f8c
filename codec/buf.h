/* A growable buffer for what is packed. Memory comes from malloc through one allocation that doubles; `failed` is
 * sticky, so that a packer checks once, at the end. */
#ifndef MEERKAT_CODEC_BUF_H
#define MEERKAT_CODEC_BUF_H

#include "node/core/span.h"

struct buf {
    char *at;
    size_t bytes, room;
    bool failed;
};

void buf_fini(struct buf *buf);  /* frees; the struct is zero afterwards */
void buf_reset(struct buf *buf); /* empty, memory kept, failed cleared */
void buf_append(struct buf *buf, const void *at, size_t bytes);
static inline struct span buf_span(const struct buf *buf)
{
    return (struct span){buf->at, buf->bytes};
}

#endif
