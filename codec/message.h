/* Messages <-> bytes (docs/protocol.md). Reading never allocates and trusts nothing: the whole map is scanned first
 * (scan.h), then its keys are picked; everything read borrows from the bytes given. Packing goes through msgpack-c into
 * a struct buf. */
#ifndef MEERKAT_CODEC_MESSAGE_H
#define MEERKAT_CODEC_MESSAGE_H

#include "codec/buf.h"
#include "node/core/msg.h"

#define MESSAGE_VERSION 1

/* What every message says first. type MK_TYPE_COUNT: unknown `t`. reply_to and id are filled whenever they could be
 * read, so that even a refused message can be answered. */
struct message_head {
    uint64_t version;
    enum mk_type type;
    struct mk_header h;
    struct span reply_to;
    struct span session;
};

/* Scans one whole message (bounds, depth, unique keys, nothing behind it) and reads its head.
 *   errors  MALFORMED, TOO_LARGE; MISSING_FIELD / INVALID_FIELD (t, id, v); UNSUPPORTED_VERSION; UNKNOWN_TYPE. `out` is
 * always set */
enum mk_err message_head_read(struct span map, struct message_head *out, struct mk_note *note);

/* A batch: steps through its items. Call after message_head_read said MK_BATCH. Items are whole messages of the same
 * rules, scanned already; one that is itself a batch is for the caller to refuse. */
struct batch_reader {
    const char *at, *end;
    size_t left;
};
enum mk_err batch_open(struct span map, struct batch_reader *out, struct mk_note *note);
bool batch_next(struct batch_reader *reader, struct span *item);

/* Each reads a message whose head was read without error. errors: MISSING_FIELD, INVALID_FIELD (also a bad session id,
 * an id out of bounds, an unknown kind, origin, handling...), TOO_LARGE. Unknown keys are ignored. */
enum mk_err input_read(struct span map, struct mk_input *out, struct mk_note *note);
enum mk_err command_read(struct span map, struct mk_command *out, struct mk_note *note);
enum mk_err admission_read(struct span map, struct mk_admission *out, struct mk_note *note);
enum mk_err completion_read(struct span map, struct mk_completion *out, struct mk_note *note);

/* effect, result: their data comes as it is (a msgpack value). */
struct effect_in {
    struct span session, name, data, node, epoch;
    uint64_t seq, fence, generation, ts;
};
struct result_in {
    struct span re, session, data, message, phase;
    bool ok, final;
    enum mk_err error;
    struct span error_code;
};
enum mk_err effect_read(struct span map, struct effect_in *out, struct mk_note *note);
enum mk_err result_read(struct span map, struct result_in *out, struct mk_note *note);

/* The lists of a heartbeat, one item after the other; `lists` is always set. An entry of `owned` that has another form
 * is stepped over; of the other three every item is sound, else the heartbeat is INVALID_FIELD. A partition is at most
 * 65535, and may be one that the reader's cluster does not have. */
struct list_reader {
    const char *at, *end;
    size_t left;
};
struct heartbeat_lists {
    struct list_reader owned, handing, expecting, suspended;
};
enum mk_err heartbeat_read(struct span map, struct mk_heartbeat *out, struct heartbeat_lists *lists,
                           struct mk_note *note);
bool owned_next(struct list_reader *owned, struct mk_owned *out);
bool handing_next(struct list_reader *handing, struct mk_handing *out);
bool partition_next(struct list_reader *partitions, uint32_t *out); /* expecting, suspended */

/* --- packing: each appends one whole map; absent spans, zero optional numbers and defaults are left out --- */

/* What the sending node says of itself in everything it sends. */
struct message_from {
    struct span node;
    uint64_t fence; /* of the partition concerned */
    uint64_t ts;
};

void input_pack(struct buf *out, const struct mk_input *in);
void command_pack(struct buf *out, const struct mk_command *in); /* args: those that are given */
void admission_pack(struct buf *out, struct span id, const struct message_from *from, const struct mk_admission *in);
void completion_pack(struct buf *out, struct span id, const struct mk_completion *in);
void effect_pack(struct buf *out, struct span id, const struct mk_effect *in);
void result_pack(struct buf *out, struct span id, const struct message_from *from, const struct mk_result *in);
void heartbeat_pack(struct buf *out, struct span id, uint64_t ts, const struct mk_heartbeat *in);
void batch_head_pack(struct buf *out, struct span id, uint64_t ts, size_t items); /* then the items' own bytes follow */
void doc_pack(struct buf *out, const struct mk_doc *doc);

/* A batch head for a numbered publisher (pub, pe, ps). */
void batch_head_pack_numbered(struct buf *out, const struct mk_header *header, size_t items);

#endif
