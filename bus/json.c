/* Values between JSON and msgpack. What JSON cannot say (bin, ext) becomes text in hexadecimal digits; numbers beyond
 * 2^63 become floats, as in most JSON readers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/json.h"
#include "codec/scan.h"

/* --- JSON -> msgpack --- */

/* A tag and a big-endian number of so many bytes. */
static void put_number(struct buf *out, unsigned tag, uint64_t number, unsigned bytes)
{
    unsigned char text[9] = {(unsigned char)tag};
    for (unsigned i = 0; i < bytes; i++)
        text[1 + i] = (unsigned char)(number >> (8 * (bytes - 1 - i)));
    buf_append(out, text, 1 + bytes);
}

static void put_text(struct buf *out, const char *text, size_t bytes)
{
    put_number(out, 0xdb, bytes, 4);
    buf_append(out, text, bytes);
}

static void put_integer(struct buf *out, json_int_t number)
{
    if (number >= 0 && number < 128)
        put_number(out, (unsigned)number, 0, 0);
    else
        put_number(out, number < 0 ? 0xd3 : 0xcf, (uint64_t)number, 8);
}

static void put_real(struct buf *out, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    put_number(out, 0xcb, bits, 8);
}

static void put_value(struct buf *out, json_t *value);

static void put_object(struct buf *out, json_t *value)
{
    const char *key;
    json_t *item;
    put_number(out, 0xdf, json_object_size(value), 4);
    json_object_foreach(value, key, item)
    {
        put_text(out, key, strlen(key));
        put_value(out, item);
    }
}

static void put_array(struct buf *out, json_t *value)
{
    size_t i;
    json_t *item;
    put_number(out, 0xdd, json_array_size(value), 4);
    json_array_foreach(value, i, item)
    {
        put_value(out, item);
    }
}

/* jansson bounds the depth of what it parses, and the scan below refuses what is too deep for a message. */
static void put_value(struct buf *out, json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value);
        break;
    case JSON_ARRAY:
        put_array(out, value);
        break;
    case JSON_STRING:
        put_text(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        put_integer(out, json_integer_value(value));
        break;
    case JSON_REAL:
        put_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        put_number(out, json_is_true(value) ? 0xc3 : 0xc2, 0, 0);
        break;
    case JSON_NULL:
        put_number(out, 0xc0, 0, 0);
        break;
    }
}

bool json_value_pack(struct buf *out, const char *text, struct mk_note *note)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (value)
        put_value(out, value);
    else
        put_text(out, text, strlen(text));
    json_decref(value);
    if (out->failed)
        err_set(note, MK_ERR_OVERLOADED, "no memory");
    return !out->failed && scan_whole(buf_span(out), note) == MK_ERR_OK;
}

/* --- msgpack -> JSON --- */

static json_t *text_or_hex(struct span text)
{
    json_t *json = json_stringn(text.at ? text.at : "", text.bytes);
    if (json)
        return json;
    char *hex = malloc(2 * text.bytes + 1); /* not UTF-8 */
    if (!hex)
        return NULL;
    for (size_t i = 0; i < text.bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)(unsigned char)text.at[i]);
    json = json_stringn(hex, 2 * text.bytes);
    free(hex);
    return json;
}

static json_t *read_value(struct cursor *cursor);

static json_t *read_array(struct cursor *cursor, uint64_t count)
{
    json_t *array = json_array();
    for (uint64_t i = 0; i < count; i++)
        json_array_append_new(array, read_value(cursor));
    return array;
}

static void put_member(json_t *object, json_t *key, json_t *value)
{
    char *text = json_is_string(key) ? strdup(json_string_value(key)) : json_dumps(key, JSON_ENCODE_ANY);
    if (text)
        json_object_set_new_nocheck(object, text, value);
    else
        json_decref(value);
    free(text);
    json_decref(key);
}

static json_t *read_map(struct cursor *cursor, uint64_t count)
{
    json_t *object = json_object();
    for (uint64_t i = 0; i < count; i++) {
        json_t *key = read_value(cursor);
        put_member(object, key, read_value(cursor));
    }
    return object;
}

static json_t *read_integer(uint64_t number)
{
    return number <= INT64_MAX ? json_integer((json_int_t)number) : json_real((double)number);
}

/* The bytes were scanned: depth and counts are bounded. */
static json_t *read_value(struct cursor *cursor)
{
    struct value value;
    if (!cursor_read(cursor, &value))
        return json_null();
    switch (value.type) {
    case VALUE_NIL:
        break;
    case VALUE_BOOL:
        return json_boolean(value.number);
    case VALUE_UINT:
        return read_integer(value.number);
    case VALUE_NEGATIVE:
        return json_integer(value.negative);
    case VALUE_FLOAT: {
        json_t *real = json_real(value.real); /* NULL: not a number */
        return real ? real : json_null();
    }
    case VALUE_STR:
    case VALUE_BIN:
    case VALUE_EXT:
        return text_or_hex(value.text);
    case VALUE_ARRAY:
        return read_array(cursor, value.number);
    case VALUE_MAP:
        return read_map(cursor, value.number);
    }
    return json_null();
}

json_t *json_of_value(struct mk_bytes msgpack)
{
    struct span bytes = span_bytes(msgpack.at, msgpack.bytes);
    if (!msgpack.at)
        return NULL;
    if (scan_whole(bytes, NULL) != MK_ERR_OK)
        return json_null();
    struct cursor cursor = cursor_of(bytes);
    return read_value(&cursor);
}

json_t *json_of_text(struct mk_bytes text)
{
    return text.at ? text_or_hex(span_bytes(text.at, text.bytes)) : NULL;
}
