#include "codec/scan.h"

#include <assert.h>

/* --- one value --- */

static uint64_t big_endian(const char *at, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | (uint8_t)at[i];
    return number;
}

static bool take(struct cursor *cursor, size_t bytes, const char **at)
{
    if ((size_t)(cursor->end - cursor->at) < bytes)
        return false;
    *at = cursor->at;
    cursor->at += bytes;
    return true;
}

static bool take_number(struct cursor *cursor, size_t bytes, uint64_t *out)
{
    const char *at;
    if (!take(cursor, bytes, &at))
        return false;
    *out = big_endian(at, bytes);
    return true;
}

static bool take_text(struct cursor *cursor, enum value_type type, uint64_t bytes, struct value *out)
{
    const char *at;
    if (bytes > (uint64_t)(cursor->end - cursor->at) || !take(cursor, (size_t)bytes, &at))
        return false;
    out->type = type;
    out->text = (struct span){at, (size_t)bytes};
    return true;
}

static bool take_ext(struct cursor *cursor, uint64_t bytes, struct value *out)
{
    uint64_t type;
    if (!take_number(cursor, 1, &type) || !take_text(cursor, VALUE_EXT, bytes, out))
        return false;
    out->number = type;
    return true;
}

static bool take_float(struct cursor *cursor, size_t bytes, struct value *out)
{
    uint64_t bits;
    if (!take_number(cursor, bytes, &bits))
        return false;
    out->type = VALUE_FLOAT;
    if (bytes == 8) {
        memcpy(&out->real, &bits, sizeof out->real);
        return true;
    }
    uint32_t half = (uint32_t)bits;
    float real;
    memcpy(&real, &half, sizeof real);
    out->real = (double)real;
    return true;
}

static bool take_signed(struct cursor *cursor, size_t bytes, struct value *out)
{
    uint64_t bits;
    if (!take_number(cursor, bytes, &bits))
        return false;
    unsigned shift = (unsigned)(64 - 8 * bytes);
    uint64_t sign = bits >> (8 * bytes - 1) & 1;
    uint64_t wide = sign && shift ? bits | ~(uint64_t)0 << (8 * bytes) : bits;
    out->type = sign ? VALUE_NEGATIVE : VALUE_UINT;
    out->number = sign ? 0 : wide;
    memcpy(&out->negative, &wide, sizeof wide);
    return true;
}

static bool take_container(enum value_type type, uint64_t count, struct value *out)
{
    out->type = type;
    out->number = count;
    return true;
}

static bool take_counted(struct cursor *cursor, enum value_type type, size_t bytes, struct value *out)
{
    uint64_t count;
    if (!take_number(cursor, bytes, &count))
        return false;
    if (type == VALUE_ARRAY || type == VALUE_MAP)
        return take_container(type, count, out);
    return type == VALUE_EXT ? take_ext(cursor, count, out) : take_text(cursor, type, count, out);
}

static bool take_uint(struct cursor *cursor, size_t bytes, struct value *out)
{
    out->type = VALUE_UINT;
    return take_number(cursor, bytes, &out->number);
}

/* 0xc0..0xdf: the type is the whole first byte. */
static bool read_wide(struct cursor *cursor, uint8_t first, struct value *out)
{
    switch (first) {
    case 0xc0:
        out->type = VALUE_NIL;
        return true;
    case 0xc2:
    case 0xc3:
        out->type = VALUE_BOOL;
        out->number = first & 1;
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return take_counted(cursor, VALUE_BIN, (size_t)1 << (first - 0xc4), out);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return take_counted(cursor, VALUE_EXT, (size_t)1 << (first - 0xc7), out);
    case 0xca:
    case 0xcb:
        return take_float(cursor, first == 0xca ? 4 : 8, out);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take_uint(cursor, (size_t)1 << (first - 0xcc), out);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take_signed(cursor, (size_t)1 << (first - 0xd0), out);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_ext(cursor, (uint64_t)1 << (first - 0xd4), out);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return take_counted(cursor, VALUE_STR, (size_t)1 << (first - 0xd9), out);
    case 0xdc:
    case 0xdd:
        return take_counted(cursor, VALUE_ARRAY, first == 0xdc ? 2 : 4, out);
    case 0xde:
    case 0xdf:
        return take_counted(cursor, VALUE_MAP, first == 0xde ? 2 : 4, out);
    default:
        return false; /* 0xc1 */
    }
}

static bool read_value(struct cursor *cursor, struct value *out)
{
    const char *at;
    *out = (struct value){.type = VALUE_NIL};
    if (!take(cursor, 1, &at))
        return false;
    uint8_t first = (uint8_t)*at;
    if (first <= 0x7f) {
        out->type = VALUE_UINT;
        out->number = first;
        return true;
    }
    if (first >= 0xe0) {
        out->type = VALUE_NEGATIVE;
        out->negative = (int8_t)first;
        return true;
    }
    if (first <= 0x8f)
        return take_container(VALUE_MAP, first & 15, out);
    if (first <= 0x9f)
        return take_container(VALUE_ARRAY, first & 15, out);
    if (first <= 0xbf)
        return take_text(cursor, VALUE_STR, first & 31, out);
    return read_wide(cursor, first, out);
}

bool cursor_read(struct cursor *cursor, struct value *out)
{
    struct cursor trial = *cursor;
    if (!read_value(&trial, out))
        return false;
    *cursor = trial;
    return true;
}

bool cursor_skip(struct cursor *cursor, struct span *out)
{
    struct cursor trial = *cursor;
    for (uint64_t left = 1; left > 0; left--) {
        struct value value;
        if (!read_value(&trial, &value))
            return false;
        uint64_t more = value.type == VALUE_MAP ? 2 * value.number : value.type == VALUE_ARRAY ? value.number : 0;
        if (more > (uint64_t)(trial.end - trial.at))
            return false;
        left += more;
    }
    if (out)
        *out = (struct span){cursor->at, (size_t)(trial.at - cursor->at)};
    *cursor = trial;
    return true;
}

/* --- the whole --- */

static enum mk_err check_structure(struct span bytes, size_t depth_max, struct mk_note *note)
{
    assert(depth_max <= NESTING_WRAPPED_MAX);
    struct cursor cursor = cursor_of(bytes);
    uint64_t left[NESTING_WRAPPED_MAX];
    size_t depth = 0;
    do {
        struct value value;
        size_t at = (size_t)(cursor.at - bytes.at);
        if (!read_value(&cursor, &value))
            return err_set(note, MK_ERR_MALFORMED, "no msgpack value at byte %zu", at);
        uint64_t more = value.type == VALUE_MAP ? 2 * value.number : value.type == VALUE_ARRAY ? value.number : 0;
        if (more > (uint64_t)(cursor.end - cursor.at))
            return err_set(note, MK_ERR_MALFORMED, "at byte %zu: %llu values, %zu bytes left", at,
                           (unsigned long long)more, (size_t)(cursor.end - cursor.at));
        if (value.type == VALUE_MAP && value.number > MAP_KEYS_MAX)
            return err_set(note, MK_ERR_TOO_LARGE, "at byte %zu: a map of %llu keys, limit %d", at,
                           (unsigned long long)value.number, MAP_KEYS_MAX);
        bool container = value.type == VALUE_MAP || value.type == VALUE_ARRAY;
        if (container && depth == depth_max)
            return err_set(note, MK_ERR_TOO_LARGE, "at byte %zu: deeper than %zu", at, depth_max);
        if (more)
            left[depth++] = more;
        while (!more && depth && --left[depth - 1] == 0)
            depth--;
    } while (depth);
    if (cursor.at != cursor.end)
        return err_set(note, MK_ERR_MALFORMED, "%zu bytes behind the value", (size_t)(cursor.end - cursor.at));
    return MK_ERR_OK;
}

/* A key as it is compared: strings by their content, others by their bytes. */
struct map_key {
    struct span content;
    bool text;
};

static struct map_key key_of_raw(struct span raw)
{
    struct cursor cursor = cursor_of(raw);
    struct value value;
    bool text = cursor_read(&cursor, &value) && value.type == VALUE_STR;
    return (struct map_key){text ? value.text : raw, text};
}

static int key_order(const struct map_key *a, const struct map_key *b)
{
    if (a->text != b->text)
        return a->text ? 1 : -1;
    if (a->content.bytes != b->content.bytes)
        return a->content.bytes < b->content.bytes ? -1 : 1;
    return a->content.bytes ? memcmp(a->content.at, b->content.at, a->content.bytes) : 0;
}

static void sift(struct map_key *keys, size_t at, size_t count)
{
    struct map_key moved = keys[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && key_order(&keys[child], &keys[child + 1]) < 0)
            child++;
        if (key_order(&moved, &keys[child]) >= 0)
            break;
        keys[at] = keys[child];
    }
    keys[at] = moved;
}

/* A heap sort: no memory, no recursion, and no choice of keys makes it slow. */
static void sort_keys(struct map_key *keys, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(keys, i, count);
    for (size_t last = count; last-- > 1;) {
        struct map_key top = keys[0];
        keys[0] = keys[last];
        keys[last] = top;
        sift(keys, 0, last);
    }
}

static bool keys_unique(struct map_key *keys, size_t count)
{
    sort_keys(keys, count);
    for (size_t i = 1; i < count; i++)
        if (key_order(&keys[i - 1], &keys[i]) == 0)
            return false;
    return true;
}

static void collect_keys(struct cursor cursor, struct map_key *keys, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct span raw = {NULL, 0};
        cursor_skip(&cursor, &raw);
        cursor_skip(&cursor, NULL);
        keys[i] = key_of_raw(raw);
    }
}

/* Every map on the way is looked at by itself; what lies below is stepped over once a level, and levels are few. */
static enum mk_err check_keys(struct span bytes, struct mk_note *note)
{
    struct map_key keys[MAP_KEYS_MAX];
    struct cursor cursor = cursor_of(bytes);
    while (cursor.at < cursor.end) {
        struct value value;
        size_t at = (size_t)(cursor.at - bytes.at);
        read_value(&cursor, &value);
        if (value.type != VALUE_MAP || value.number < 2)
            continue;
        collect_keys(cursor, keys, value.number);
        if (!keys_unique(keys, (size_t)value.number))
            return err_set(note, MK_ERR_MALFORMED, "at byte %zu: a key stands twice in one map", at);
    }
    return MK_ERR_OK;
}

enum mk_err scan_whole(struct span bytes, struct mk_note *note)
{
    enum mk_err err = check_structure(bytes, NESTING_WRAPPED_MAX, note);
    return err ? err : check_keys(bytes, note);
}

enum mk_err scan_depth(struct span value, size_t depth_max, struct mk_note *note)
{
    return check_structure(value, depth_max, note);
}
