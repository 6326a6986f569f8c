/* Durable records <-> bytes (node/core/record.h; docs/keys.md). Every record is a msgpack map with short keys, its
 * version first. Read: the previous version and this one; another: UNSUPPORTED_VERSION, the bytes are left alone (L35).
 * Nothing is allocated; spans borrow from the bytes given; bytes from the store are as untrusted as those from the bus.
 */
#ifndef MEERKAT_CODEC_RECORD_H
#define MEERKAT_CODEC_RECORD_H

#include "codec/buf.h"
#include "node/core/record.h"

/* "3,5-9|" and the map (codec/script.h, load). */
void session_record_pack(struct buf *out, const struct session_record *record);
void input_record_pack(struct buf *out, const struct input_record *record);
void fact_record_pack(struct buf *out, const struct fact_record *record);
void memo_record_pack(struct buf *out, const struct memo_record *record);

/* active: room for ACTIVE_INPUTS_MAX, lent to out; run: filled and lent to out when there is one.
 *   errors  MALFORMED, INVALID_FIELD, UNSUPPORTED_VERSION */
enum mk_err session_record_read(struct span bytes, struct session_record *out, struct run_record *run, uint64_t *active,
                                struct mk_note *note);
enum mk_err input_record_read(struct span bytes, struct input_record *out, struct mk_note *note);
enum mk_err fact_record_read(struct span bytes, struct fact_record *out, struct mk_note *note);
enum mk_err memo_record_read(struct span bytes, struct memo_record *out, struct mk_note *note);

/* Where an event has its session a memo has "/" and the session, which no session is called: whoever asks for the
 * events of one never gets it. memo_field: the length; memo_session: absent for an event. */
#define MEMO_FIELD_BYTES (SESSION_ID_BYTES_MAX + 1)
size_t memo_field(char *out, struct span session);
struct span memo_session(struct span field);

/* Field of hash t: session "/" letter "/" name. Returns the length; room FACT_FIELD_BYTES always fits. */
#define FACT_FIELD_BYTES (SESSION_ID_BYTES_MAX + MESSAGE_ID_BYTES_MAX + 4)
size_t fact_field(char *out, struct span session, enum fact_kind kind, struct span name);
bool fact_field_split(struct span field, struct span *session, enum fact_kind *kind, struct span *name);

/* Field of hash i: session "/" seq in decimal. */
#define INPUT_FIELD_BYTES (SESSION_ID_BYTES_MAX + 22)
size_t input_field(char *out, struct span session, uint64_t seq);

#endif
