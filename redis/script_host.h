/* Runs the scripts of redis/lua (lua_text.h) on a keyspace, with an embedded Lua 5.1 and a redis.call of its own. A
 * script sees what redis/lua may use and nothing else: redis.call, string, table, math.floor, tonumber, tostring, type,
 * ipairs, unpack, KEYS and ARGV. Reading or writing any other global ends it, as in Redis; so do too many instructions.
 */
#ifndef MEERKAT_REDIS_SCRIPT_HOST_H
#define MEERKAT_REDIS_SCRIPT_HOST_H

#include "node/core/err.h"
#include "redis/keyspace.h"

struct script_host;

/* NULL, and the reason in the note: no memory, or a script does not compile. `mem` and `keyspace` outlive the host. */
struct script_host *script_host_new(const struct mk_mem *mem, struct keyspace *keyspace, struct mk_note *note);
void script_host_free(struct script_host *host);

struct script_call {
    const char *name; /* "commit" */
    const struct span *keys, *args;
    size_t key_count, arg_count;
};

/* Borrowed from the host until its next call. */
struct script_result {
    bool ok;                  /* else `error` */
    bool wrote;               /* something may have been written */
    const struct span *items; /* the reply, flat; nil as an absent span, integers as decimal text */
    size_t count;
    struct span error; /* "BADCALL commit: ..." */
};

void script_host_run(struct script_host *host, const struct script_call *call, struct script_result *result);

/* A fault for the simulator: the next run ends with an error after its `writes`-th write was done (0: takes the fault
 * back). A run that writes less ends well and uses the fault up all the same. */
void script_host_die_after(struct script_host *host, size_t writes);

/* Instructions a run may take, 100 million unless told otherwise; bounded like every loop of a node. */
void script_host_limit(struct script_host *host, int instructions);

#endif
