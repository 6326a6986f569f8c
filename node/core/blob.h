/* Reference-counted bytes that nobody changes after they were filled: bodies, results, states, encoded events. */
#ifndef MEERKAT_CORE_BLOB_H
#define MEERKAT_CORE_BLOB_H

#include "node/core/mem.h"
#include "node/core/span.h"

struct mk_blob {
    const struct mk_mem *mem;
    size_t refs;
    size_t bytes;
    char data[];
};

/* One reference for the caller; the bytes are copied. NULL when there is no memory. `from.at` may be NULL: zeroed
 * bytes. */
struct mk_blob *blob_new(const struct mk_mem *mem, struct span from);

/* Both allow NULL. keep returns its argument. */
struct mk_blob *blob_keep(struct mk_blob *blob);
void blob_release(struct mk_blob *blob);

/* Absent for NULL. */
struct span blob_span(const struct mk_blob *blob);

#endif
