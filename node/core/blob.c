#include "node/core/blob.h"

#include <assert.h>

struct mk_blob *blob_new(const struct mk_mem *mem, struct span from)
{
    struct mk_blob *blob = mem_alloc(mem, sizeof *blob + from.bytes);
    if (!blob)
        return NULL;
    blob->mem = mem;
    blob->refs = 1;
    blob->bytes = from.bytes;
    if (from.at && from.bytes)
        memcpy(blob->data, from.at, from.bytes);
    return blob;
}

struct mk_blob *blob_keep(struct mk_blob *blob)
{
    if (blob)
        blob->refs++;
    return blob;
}

void blob_release(struct mk_blob *blob)
{
    if (!blob)
        return;
    assert(blob->refs > 0);
    if (--blob->refs == 0)
        mem_free(blob->mem, blob);
}

struct span blob_span(const struct mk_blob *blob)
{
    return blob ? span_bytes(blob->data, blob->bytes) : (struct span){NULL, 0};
}
