/* Dead letters <-> bytes (node/core/record.h; docs/protocol.md, docs/keys.md). Nothing is allocated; spans borrow from
 * the bytes given, which are untrusted, whether they come from the store or from a node's answer. */
#ifndef MEERKAT_CODEC_LETTER_H
#define MEERKAT_CODEC_LETTER_H

#include "codec/buf.h"
#include "node/core/record.h"

void letter_record_pack(struct buf *out, const struct letter_record *letter);

/* errors  MALFORMED, MISSING_FIELD, INVALID_FIELD, TOO_LARGE, UNSUPPORTED_VERSION */
enum mk_err letter_record_read(struct span bytes, struct letter_record *out, struct mk_note *note);

/* What `dead` answered: its items one after the other, and where to go on. */
struct letters_page {
    const char *at, *end;
    size_t left;
    struct span next; /* `cursor` of the next question; absent: that was all */
};

enum mk_err letters_open(struct span data, struct letters_page *out, struct mk_note *note);
bool letters_next(struct letters_page *page, struct span *item);

/* The id of an input that is redriven: `x` -> `x~1` -> `x~2`... False: it would be longer than an id may be. */
bool letter_redriven_id(struct span id, struct mk_id *out);

#endif
