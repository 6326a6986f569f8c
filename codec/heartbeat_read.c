/* Heartbeats: bytes -> message. Its lists are read item by item, where they lie. */
#include "codec/field_table.h"
#include "codec/message.h"

static const char *role_text(unsigned value)
{
    return value ? "hub" : "node";
}

struct heartbeat_fields {
    struct mk_heartbeat in;
    unsigned role;
    uint64_t partitions;
    struct span owned, handing, expecting, suspended;
};

/* A list that is absent reads as empty. */
static enum mk_err open_list(struct span raw, const char *key, enum value_type wanted, struct list_reader *out,
                             struct mk_note *note)
{
    *out = (struct list_reader){NULL, NULL, 0};
    if (!span_given(raw) || is_nil(raw))
        return MK_ERR_OK;
    struct cursor cursor = cursor_of(raw);
    struct value head;
    if (!cursor_read(&cursor, &head) || head.type != wanted || head.number > PARTITIONS_MAX)
        return err_set(note, MK_ERR_INVALID_FIELD, "%s: %s of at most %d wanted", key,
                       wanted == VALUE_MAP ? "a map" : "an array", PARTITIONS_MAX);
    *out = (struct list_reader){cursor.at, cursor.end, (size_t)head.number};
    return MK_ERR_OK;
}

/* Of these every item must be sound: what is half understood of a hand-over is not acted on. */
static enum mk_err check_handing(struct list_reader list, struct mk_note *note)
{
    struct mk_handing each;
    while (handing_next(&list, &each))
        ;
    return list.left ? err_set(note, MK_ERR_INVALID_FIELD, "handing: pp: [node, released, fence] wanted") : MK_ERR_OK;
}

static enum mk_err check_partitions(struct list_reader list, const char *key, struct mk_note *note)
{
    uint32_t each;
    while (partition_next(&list, &each))
        ;
    return list.left ? err_set(note, MK_ERR_INVALID_FIELD, "%s: numbers of partitions wanted", key) : MK_ERR_OK;
}

static enum mk_err open_lists(const struct heartbeat_fields *read, struct heartbeat_lists *out, struct mk_note *note)
{
    enum mk_err err = open_list(read->owned, "owned", VALUE_MAP, &out->owned, note);
    if (!err)
        err = open_list(read->handing, "handing", VALUE_MAP, &out->handing, note);
    if (!err)
        err = open_list(read->expecting, "expecting", VALUE_ARRAY, &out->expecting, note);
    if (!err)
        err = open_list(read->suspended, "suspended", VALUE_ARRAY, &out->suspended, note);
    if (!err)
        err = check_handing(out->handing, note);
    if (!err)
        err = check_partitions(out->expecting, "expecting", note);
    if (!err)
        err = check_partitions(out->suspended, "suspended", note);
    return err;
}

enum mk_err heartbeat_read(struct span map, struct mk_heartbeat *out, struct heartbeat_lists *lists,
                           struct mk_note *note)
{
    static const struct field table[] = {
        NEED_ENUM("role", AT(heartbeat_fields, role), role, 2),
        NEED("node", AT(heartbeat_fields, in.node), 1, MESSAGE_ID_BYTES_MAX),
        TEXT("incarnation", AT(heartbeat_fields, in.incarnation), 0, MESSAGE_ID_BYTES_MAX),
        TEXT("phase", AT(heartbeat_fields, in.phase), 0, MESSAGE_ID_BYTES_MAX),
        UP_TO("partitions_total", AT(heartbeat_fields, partitions), PARTITIONS_MAX),
        RAW("owned", AT(heartbeat_fields, owned)),
        RAW("handing", AT(heartbeat_fields, handing)),
        RAW("expecting", AT(heartbeat_fields, expecting)),
        RAW("suspended", AT(heartbeat_fields, suspended)),
        U64("sessions", AT(heartbeat_fields, in.sessions)),
        U64("load", AT(heartbeat_fields, in.load)),
        U64("frames_in", AT(heartbeat_fields, in.frames_in)),
        U64("frames_out", AT(heartbeat_fields, in.frames_out)),
        U64("dropped", AT(heartbeat_fields, in.dropped)),
        U64("bytes_in", AT(heartbeat_fields, in.bytes_in)),
    };
    struct heartbeat_fields read = {.role = 0};
    *lists = (struct heartbeat_lists){.owned.left = 0};
    enum mk_err err = fields_read(map, table, COUNT(table), &read, note);
    if (!err)
        err = open_lists(&read, lists, note);
    read.in.hub = read.role == 1;
    read.in.partitions_total = (uint32_t)read.partitions;
    *out = read.in;
    return err;
}

static bool read_hex4(struct span text, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *out = 16 * *out + (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return text.bytes == 4;
}

/* One entry "pp: [...]" of a map: the partition, and a cursor behind the head of an array of `members`. False: there is
 * none, or it has another form. */
static bool entry(struct cursor *cursor, uint32_t *partition, struct cursor *in, uint64_t members)
{
    struct value key, head;
    struct span name, raw;
    if (!cursor_skip(cursor, &name) || !cursor_skip(cursor, &raw))
        return false;
    struct cursor in_name = cursor_of(name);
    *in = cursor_of(raw);
    return cursor_read(&in_name, &key) && key.type == VALUE_STR && read_hex4(key.text, partition) &&
           cursor_read(in, &head) && head.type == VALUE_ARRAY && head.number == members;
}

static bool read_as(struct cursor *cursor, enum value_type type, struct value *out)
{
    return cursor_read(cursor, out) && out->type == type;
}

/* pp: [history, fence, sequence]. An entry of another form is stepped over. */
bool owned_next(struct list_reader *owned, struct mk_owned *out)
{
    while (owned->left) {
        struct cursor cursor = {owned->at, owned->end}, in;
        struct value history, fence, sequence;
        bool sound = entry(&cursor, &out->partition, &in, 3) && read_as(&in, VALUE_STR, &history) &&
                     read_as(&in, VALUE_UINT, &fence) && read_as(&in, VALUE_UINT, &sequence);
        owned->left--;
        owned->at = cursor.at;
        if (!sound)
            continue;
        out->history = history.text;
        out->fence = fence.number;
        out->sequence = sequence.number;
        return true;
    }
    return false;
}

/* pp: [node id, released, fence]. Stays where it is at an entry of another form: heartbeat_read refuses those. */
bool handing_next(struct list_reader *handing, struct mk_handing *out)
{
    struct cursor cursor = {handing->at, handing->end}, in;
    struct value successor, released, fence;
    if (!handing->left || !entry(&cursor, &out->partition, &in, 3) || !read_as(&in, VALUE_STR, &successor) ||
        successor.text.bytes > MESSAGE_ID_BYTES_MAX || !read_as(&in, VALUE_BOOL, &released) ||
        !read_as(&in, VALUE_UINT, &fence))
        return false;
    handing->left--;
    handing->at = cursor.at;
    out->successor = successor.text;
    out->released = released.number != 0;
    out->fence = fence.number;
    return true;
}

bool partition_next(struct list_reader *partitions, uint32_t *out)
{
    struct cursor cursor = {partitions->at, partitions->end};
    struct value number;
    if (!partitions->left || !read_as(&cursor, VALUE_UINT, &number) || number.number > UINT16_MAX)
        return false;
    partitions->left--;
    partitions->at = cursor.at;
    *out = (uint32_t)number.number;
    return true;
}
