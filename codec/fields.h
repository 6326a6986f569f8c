/* Maps with known keys -> structs: a table says which key fills which member, how, and within what bounds. Unknown keys
 * are ignored. The map was scanned before (scan.h). */
#ifndef MEERKAT_CODEC_FIELDS_H
#define MEERKAT_CODEC_FIELDS_H

#include "codec/scan.h"

enum field_type {
    FIELD_TEXT,    /* struct span <- str of least..most bytes */
    FIELD_SESSION, /* struct span <- str that is a session id */
    FIELD_TOKEN,   /* struct span <- str of least..most bytes of [A-Za-z0-9._:-] */
    FIELD_BYTES,   /* struct span <- str or bin of at most `most` bytes */
    FIELD_ID,      /* struct mk_id <- str of at most 64 bytes */
    FIELD_U64,     /* uint64_t <- non-negative integer, at most `most` if that is given */
    FIELD_BOOL,    /* bool */
    FIELD_ENUM,    /* unsigned <- str, by `names` */
    FIELD_RAW      /* struct span <- the whole value as it is */
};

struct field {
    const char *key;
    enum field_type type;
    size_t offset; /* of the member */
    bool required;
    uint64_t least, most;
    const char *(*name)(unsigned value); /* ENUM: the names, 0, 1, 2... below `most` */
};

/* Fills what is there; members of absent keys and of keys that are nil stay as they are, but a required one must be
 * there. errors  MALFORMED (no map), MISSING_FIELD, INVALID_FIELD, TOO_LARGE; the note names the key */
enum mk_err fields_read(struct span map, const struct field *fields, size_t count, void *out, struct mk_note *note);

/* The same for a map that is the value of `key`; no map: INVALID_FIELD. The note begins with the key. */
enum mk_err fields_read_in(struct span raw, const char *key, const struct field *fields, size_t count, void *out,
                           struct mk_note *note);

#endif
