#include "codec/fields.h"

#include "node/core/crc16.h"

#include <assert.h>

static enum mk_err wrong(struct mk_note *note, const struct field *field, const char *wanted)
{
    return err_set(note, MK_ERR_INVALID_FIELD, "%s: %s wanted", field->key, wanted);
}

static enum mk_err read_text(const struct field *field, const struct value *value, struct span *out,
                             struct mk_note *note)
{
    if (value->type != VALUE_STR && !(field->type == FIELD_BYTES && value->type == VALUE_BIN))
        return wrong(note, field, "a string");
    if (value->text.bytes > field->most)
        return err_set(note, MK_ERR_TOO_LARGE, "%s: %zu bytes, limit %llu", field->key, value->text.bytes,
                       (unsigned long long)field->most);
    if (value->text.bytes < field->least)
        return err_set(note, MK_ERR_INVALID_FIELD, "%s: %zu bytes, at least %llu", field->key, value->text.bytes,
                       (unsigned long long)field->least);
    if (field->type == FIELD_TOKEN && value->text.bytes && !session_id_valid(value->text))
        return wrong(note, field, "letters, digits and . _ : -");
    *out = value->text;
    return MK_ERR_OK;
}

static enum mk_err read_enum(const struct field *field, const struct value *value, unsigned *out, struct mk_note *note)
{
    if (value->type != VALUE_STR)
        return wrong(note, field, "a string");
    for (unsigned i = 0; i < field->most; i++)
        if (span_is(value->text, field->name(i))) {
            *out = i;
            return MK_ERR_OK;
        }
    int bytes = value->text.bytes < 40 ? (int)value->text.bytes : 40;
    return err_set(note, MK_ERR_INVALID_FIELD, "%s: unknown word \"%.*s\"", field->key, bytes, value->text.at);
}

static enum mk_err read_number(const struct field *field, const struct value *value, uint64_t *out,
                               struct mk_note *note)
{
    if (value->type != VALUE_UINT)
        return wrong(note, field, "a non-negative integer");
    if (field->most && value->number > field->most)
        return err_set(note, MK_ERR_INVALID_FIELD, "%s: %llu, limit %llu", field->key,
                       (unsigned long long)value->number, (unsigned long long)field->most);
    *out = value->number;
    return MK_ERR_OK;
}

static enum mk_err read_one(const struct field *field, struct span raw, void *member, struct mk_note *note)
{
    struct cursor cursor = cursor_of(raw);
    struct value value;
    cursor_read(&cursor, &value);
    switch (field->type) {
    case FIELD_RAW:
        *(struct span *)member = raw;
        return MK_ERR_OK;
    case FIELD_TEXT:
    case FIELD_TOKEN:
    case FIELD_BYTES:
        return read_text(field, &value, member, note);
    case FIELD_SESSION:
        if (value.type != VALUE_STR || !session_id_valid(value.text))
            return wrong(note, field, "1..128 letters, digits and . _ : -");
        *(struct span *)member = value.text;
        return MK_ERR_OK;
    case FIELD_ID:
        if (value.type != VALUE_STR || !id_set(member, value.text))
            return wrong(note, field, "a string of at most 64 bytes");
        return MK_ERR_OK;
    case FIELD_U64:
        return read_number(field, &value, member, note);
    case FIELD_BOOL:
        if (value.type != VALUE_BOOL)
            return wrong(note, field, "a boolean");
        *(bool *)member = value.number != 0;
        return MK_ERR_OK;
    case FIELD_ENUM:
        return read_enum(field, &value, member, note);
    }
    return MK_ERR_INTERNAL;
}

static size_t find(const struct field *fields, size_t count, struct span key)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].key[0] == (key.bytes ? key.at[0] : 0) && span_is(key, fields[i].key))
            return i;
    return count;
}

enum mk_err fields_read(struct span map, const struct field *fields, size_t count, void *out, struct mk_note *note)
{
    struct cursor cursor = cursor_of(map);
    struct value head, key;
    uint64_t given = 0;
    assert(count <= 64);
    if (!cursor_read(&cursor, &head) || head.type != VALUE_MAP)
        return err_set(note, MK_ERR_MALFORMED, "a map is wanted");
    for (uint64_t i = 0; i < head.number; i++) {
        struct span raw;
        struct span key_raw;
        if (!cursor_skip(&cursor, &key_raw) || !cursor_skip(&cursor, &raw))
            return err_set(note, MK_ERR_MALFORMED, "the map ends too early");
        struct cursor key_cursor = cursor_of(key_raw);
        if (!cursor_read(&key_cursor, &key) || key.type != VALUE_STR)
            continue;
        size_t f = find(fields, count, key.text);
        bool nil = raw.bytes == 1 && (uint8_t)raw.at[0] == 0xc0;
        if (f == count || (nil && fields[f].type != FIELD_RAW))
            continue;
        given |= (uint64_t)1 << f;
        enum mk_err err = read_one(&fields[f], raw, (char *)out + fields[f].offset, note);
        if (err)
            return err;
    }
    for (size_t f = 0; f < count; f++)
        if (fields[f].required && !(given >> f & 1))
            return err_set(note, MK_ERR_MISSING_FIELD, "%s: missing", fields[f].key);
    return MK_ERR_OK;
}

enum mk_err fields_read_in(struct span raw, const char *key, const struct field *fields, size_t count, void *out,
                           struct mk_note *note)
{
    enum mk_err err = fields_read(raw, fields, count, out, note);
    return err_wrap(note, err == MK_ERR_MALFORMED ? MK_ERR_INVALID_FIELD : err, key);
}
