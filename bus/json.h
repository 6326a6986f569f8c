/* Values between JSON and msgpack, for programs that show them to people. */
#ifndef MEERKAT_BUS_JSON_H
#define MEERKAT_BUS_JSON_H

#include <jansson.h>

#include "bus/meerkat.h"
#include "codec/buf.h"
#include "node/core/err.h"

/* JSON if it parses, else a string. False: no memory, or it cannot be a message's value: the note says why. */
bool json_value_pack(struct buf *out, const char *text, struct mk_note *note);

/* NULL for an absent value; `null` for one that JSON cannot show. */
json_t *json_of_value(struct mk_bytes msgpack);

/* Absent for an absent text. */
json_t *json_of_text(struct mk_bytes text);

#endif
