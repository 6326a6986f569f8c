/* Reads untrusted msgpack without allocating: first the whole is checked (scan_whole), then a cursor picks values out
 * of it. Accepted: every type, integers of any width. Refused: more depth than NESTING_WRAPPED_MAX, counts or lengths
 * that the bytes left cannot hold, a key twice in one map (strings by content, others by their bytes), a map of more
 * than MAP_KEYS_MAX keys, the reserved byte 0xc1, and anything behind the value. */
#ifndef MEERKAT_CODEC_SCAN_H
#define MEERKAT_CODEC_SCAN_H

#include "node/core/err.h"
#include "node/core/limits.h"
#include "node/core/span.h"

enum value_type {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_UINT,
    VALUE_NEGATIVE,
    VALUE_FLOAT,
    VALUE_STR,
    VALUE_BIN,
    VALUE_EXT,
    VALUE_ARRAY,
    VALUE_MAP
};

struct value {
    enum value_type type;
    uint64_t number;  /* BOOL, UINT; ARRAY: items; MAP: pairs; EXT: its type as an unsigned byte */
    int64_t negative; /* NEGATIVE */
    double real;      /* FLOAT */
    struct span text; /* STR, BIN, EXT: content, borrowed */
};

/* Exactly one value from the first byte to the last. errors: MALFORMED, TOO_LARGE */
enum mk_err scan_whole(struct span bytes, struct mk_note *note);

/* Whether a value that was scanned has at most so many maps and arrays within one another, itself included. errors:
 * TOO_LARGE */
enum mk_err scan_depth(struct span value, size_t depth_max, struct mk_note *note);

struct cursor {
    const char *at, *end;
};

static inline struct cursor cursor_of(struct span bytes)
{
    return (struct cursor){bytes.at, bytes.bytes ? bytes.at + bytes.bytes : bytes.at}; /* C forbids even NULL + 0 */
}

/* The next value; of an array or map only its head. False, and nothing moved: the bytes end too early, or 0xc1. */
bool cursor_read(struct cursor *cursor, struct value *out);

/* Steps over a whole value, however deep; `out` may be NULL, else its bytes. False as above. */
bool cursor_skip(struct cursor *cursor, struct span *out);

#endif
