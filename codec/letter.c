#include "codec/letter.h"

#include "codec/field_table.h"
#include "codec/message.h"
#include "codec/pack.h"

#include <stdio.h>

static const char *outcome_text(unsigned value)
{
    return mk_outcome_name((enum mk_outcome)value);
}

static const char *reason_text(unsigned value)
{
    return abandon_reason_name((enum abandon_reason)value);
}

void letter_record_pack(struct buf *out, const struct letter_record *in)
{
    struct map_pack map;
    map_open(&map, out);
    map_u64(&map, "v", in->version);
    map_u64(&map, "at", in->at_ms);
    map_u64(&map, "seq", in->seq);
    map_text(&map, "outcome", span_of(outcome_text(in->outcome)));
    map_text(&map, "reason", span_of(reason_text(in->reason)));
    map_text(&map, "error", in->error);
    map_text(&map, "detail", in->detail);
    map_some(&map, "attempts", in->attempts);
    map_text(&map, "run", in->run);
    map_some(&map, "left_out", in->left_out);
    map_key(&map, "input");
    input_pack(out, &in->input);
    map_close(&map);
}

/* The version first: another one may have quite other keys. */
static enum mk_err check_version(struct span map, struct mk_note *note)
{
    static const struct field table[] = {{.key = "v", .type = FIELD_U64, .required = true}};
    uint64_t version = 0;
    enum mk_err err = scan_whole(map, note);
    if (!err)
        err = fields_read(map, table, 1, &version, note);
    if (err || version == LETTER_RECORD_VERSION)
        return err;
    return err_set(note, MK_ERR_UNSUPPORTED_VERSION, "a letter of version %llu, known %d", (unsigned long long)version,
                   LETTER_RECORD_VERSION);
}

struct letter_fields {
    struct letter_record in;
    struct span input;
};

static enum mk_err read_input(struct span raw, struct mk_input *out, struct mk_note *note)
{
    struct message_head head;
    enum mk_err err = message_head_read(raw, &head, note);
    if (!err && head.type != MK_INPUT)
        err = err_set(note, MK_ERR_INVALID_FIELD, "t: an input wanted");
    if (!err)
        err = input_read(raw, out, note);
    return err_wrap(note, err, "input");
}

enum mk_err letter_record_read(struct span bytes, struct letter_record *out, struct mk_note *note)
{
    static const struct field table[] = {
        {.key = "v", .type = FIELD_U64, .offset = AT(letter_fields, in.version), .required = true},
        {.key = "at", .type = FIELD_U64, .offset = AT(letter_fields, in.at_ms), .required = true},
        {.key = "seq", .type = FIELD_U64, .offset = AT(letter_fields, in.seq), .required = true},
        {.key = "outcome",
         .type = FIELD_ENUM,
         .offset = AT(letter_fields, in.outcome),
         .most = MK_OUTCOME_COUNT,
         .name = outcome_text,
         .required = true},
        {.key = "reason",
         .type = FIELD_ENUM,
         .offset = AT(letter_fields, in.reason),
         .most = ABANDON_REASON_COUNT,
         .name = reason_text,
         .required = true},
        {.key = "error", .type = FIELD_TEXT, .offset = AT(letter_fields, in.error), .most = MESSAGE_ID_BYTES_MAX},
        {.key = "detail", .type = FIELD_TEXT, .offset = AT(letter_fields, in.detail), .most = FRAME_BYTES_MAX},
        {.key = "attempts", .type = FIELD_U64, .offset = AT(letter_fields, in.attempts)},
        {.key = "run", .type = FIELD_TEXT, .offset = AT(letter_fields, in.run), .most = MESSAGE_ID_BYTES_MAX},
        {.key = "left_out", .type = FIELD_U64, .offset = AT(letter_fields, in.left_out)},
        {.key = "input", .type = FIELD_RAW, .offset = AT(letter_fields, input), .required = true},
    };
    struct letter_fields read = {.in = {.version = 0}};
    enum mk_err err = check_version(bytes, note);
    if (!err)
        err = fields_read(bytes, table, COUNT(table), &read, note);
    if (!err)
        err = read_input(read.input, &read.in.input, note);
    *out = read.in;
    return err;
}

enum mk_err letters_open(struct span data, struct letters_page *out, struct mk_note *note)
{
    struct page_fields {
        struct span items, next;
    } read = {{NULL, 0}, {NULL, 0}};
    static const struct field table[] = {
        {.key = "items", .type = FIELD_RAW, .offset = AT(page_fields, items), .required = true},
        {.key = "next", .type = FIELD_TEXT, .offset = AT(page_fields, next), .least = 1, .most = MESSAGE_ID_BYTES_MAX},
    };
    struct value head;
    enum mk_err err = scan_whole(data, note);
    if (!err)
        err = fields_read(data, table, COUNT(table), &read, note);
    if (err)
        return err;
    struct cursor cursor = cursor_of(read.items);
    if (!cursor_read(&cursor, &head) || head.type != VALUE_ARRAY)
        return err_set(note, MK_ERR_INVALID_FIELD, "items: an array wanted");
    *out = (struct letters_page){cursor.at, cursor.end, (size_t)head.number, read.next};
    return MK_ERR_OK;
}

bool letters_next(struct letters_page *page, struct span *item)
{
    struct cursor cursor = {page->at, page->end};
    if (!page->left || !cursor_skip(&cursor, item))
        return false;
    page->left--;
    page->at = cursor.at;
    return true;
}

/* The number behind the last ~, or 0; `name` is what stands before it, else the whole. */
static unsigned tries_of(struct span id, struct span *name)
{
    unsigned tries = 0;
    size_t at = id.bytes, digits = 0;
    *name = id;
    while (at && id.at[at - 1] >= '0' && id.at[at - 1] <= '9')
        at--;
    digits = id.bytes - at;
    if (!digits || digits > 6 || id.at[at] == '0' || !at || id.at[at - 1] != '~')
        return 0;
    for (size_t i = at; i < id.bytes; i++)
        tries = 10 * tries + (unsigned)(id.at[i] - '0');
    name->bytes = at - 1;
    return tries;
}

bool letter_redriven_id(struct span id, struct mk_id *out)
{
    char text[MESSAGE_ID_BYTES_MAX + 12];
    struct span name;
    unsigned tries = tries_of(id, &name);
    if (!id.bytes || id.bytes > MESSAGE_ID_BYTES_MAX)
        return false;
    memcpy(text, name.at, name.bytes);
    size_t bytes = name.bytes + (size_t)snprintf(text + name.bytes, sizeof text - name.bytes, "~%u", tries + 1);
    return id_set(out, (struct span){text, bytes});
}
