/* A reply kept for later: one allocation that holds a copy of everything. */
#ifndef MEERKAT_REDIS_STORED_REPLY_H
#define MEERKAT_REDIS_STORED_REPLY_H

#include "node/core/port.h"

struct stored_reply {
    struct store_reply reply; /* points behind the struct */
};

/* NULL: no memory. Freed with mem_free. */
struct stored_reply *stored_reply_new(const struct mk_mem *mem, const struct store_reply *reply);

#endif
