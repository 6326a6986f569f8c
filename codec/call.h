/* A call of the store as flat bytes: packed once, sent as often as must be, byte-identical. The forms are in
 * codec/script.h. */
#ifndef MEERKAT_CODEC_CALL_H
#define MEERKAT_CODEC_CALL_H

#include "codec/buf.h"
#include "codec/script.h"
#include "node/core/node.h"

struct call {
    enum script script;
    struct buf bytes; /* all arguments, one behind the other */
    struct buf ends;  /* size_t each: where an argument ends */
    size_t key_count, count;
    struct span *spans; /* made by call_seal */
};

void call_init(struct call *call, enum script script);
void call_fini(struct call *call);
void call_key(struct call *call, uint32_t partition, uint32_t groups, char letter); /* all keys before any argument */
void call_key_text(struct call *call, const char *key);
void call_text(struct call *call, struct span text);
void call_u64(struct call *call, uint64_t number);
void call_lease(struct call *call, const struct node_config *config); /* node, incarnation */
/* False: no memory; the call must not be sent. `out` borrows from the call. */
bool call_seal(struct call *call, struct store_call *out);

/* The commit in full. Encodes every staged event (event->bytes) and sets the parts' bytes. False: no memory. `scratch`
 * is reused. */
struct commit_scratch {
    struct buf record;
    uint64_t active[ACTIVE_INPUTS_MAX];
};
bool call_commit(struct call *call, const struct node_config *config, struct commit *commit, uint64_t store_ms,
                 const struct mk_mem *mem, struct commit_scratch *scratch);

/* --- reading replies: items one after the other; after a wrong one `bad` is set and everything reads as empty --- */

struct reply_reader {
    const struct span *items;
    size_t left;
    bool bad;
};

struct reply_reader reply_open(const struct store_reply *reply, uint64_t *now_ms); /* reads `now` */
struct span reply_text(struct reply_reader *reader);
uint64_t reply_u64(struct reply_reader *reader);
enum lease_status reply_status(struct reply_reader *reader); /* unknown word: bad, LEASE_OTHER */

#endif
