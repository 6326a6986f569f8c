/* The scanner beside msgpack-c, and every reader on the same bytes: as a message, as each record of the store, and as a
 * child's answer. What is read is packed and read again, and must then be packed to the very same bytes. */
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/letter.h"
#include "codec/message.h"
#include "codec/record.h"
#include "codec/run.h"
#include "codec/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* --- the scanner and its oracle --- */

#define PAIRS_COMPARED 300 /* keys of a map that are compared each with each */

static bool same_text(const msgpack_object *a, const msgpack_object *b)
{
    return a->type == MSGPACK_OBJECT_STR && b->type == MSGPACK_OBJECT_STR && a->via.str.size == b->via.str.size &&
           (a->via.str.size == 0 || memcmp(a->via.str.ptr, b->via.str.ptr, a->via.str.size) == 0);
}

/* A text that is a key twice; or, when `any`, any key that might be one twice (a NaN is not equal to itself). */
static bool repeats(const msgpack_object_map *map, bool any)
{
    for (uint32_t i = 0; i < map->size; i++)
        for (uint32_t j = 0; j < i; j++) {
            const msgpack_object *a = &map->ptr[i].key, *b = &map->ptr[j].key;
            bool composite =
                a->type == b->type && (a->type == MSGPACK_OBJECT_ARRAY || a->type == MSGPACK_OBJECT_MAP ||
                                       a->type == MSGPACK_OBJECT_FLOAT32 || a->type == MSGPACK_OBJECT_FLOAT64);
            if (same_text(a, b) || (any && (composite || msgpack_object_equal(*a, *b))))
                return true;
        }
    return false;
}

/* Whether our rules beyond msgpack's forbid it. `any` as above. */
static bool forbidden(const msgpack_object *object, bool any)
{
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        for (uint32_t i = 0; i < object->via.array.size; i++)
            if (forbidden(&object->via.array.ptr[i], any))
                return true;
        return false;
    }
    if (object->type != MSGPACK_OBJECT_MAP)
        return false;
    const msgpack_object_map *map = &object->via.map;
    if (map->size > MAP_KEYS_MAX || (any && map->size > PAIRS_COMPARED))
        return true;
    if (map->size <= PAIRS_COMPARED && repeats(map, any))
        return true;
    for (uint32_t i = 0; i < map->size; i++)
        if (forbidden(&map->ptr[i].key, any) || forbidden(&map->ptr[i].val, any))
            return true;
    return false;
}

static void same_value(struct cursor *cursor, const msgpack_object *object);

static void same_bytes(const struct value *value, const char *at, uint32_t size)
{
    MUST(value->text.bytes == size && (size == 0 || memcmp(value->text.at, at, size) == 0));
}

static void same_items(struct cursor *cursor, const struct value *value, const msgpack_object *object)
{
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        MUST(value->type == VALUE_ARRAY && value->number == object->via.array.size);
        for (uint32_t i = 0; i < object->via.array.size; i++)
            same_value(cursor, &object->via.array.ptr[i]);
        return;
    }
    MUST(value->type == VALUE_MAP && value->number == object->via.map.size);
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        same_value(cursor, &object->via.map.ptr[i].key);
        same_value(cursor, &object->via.map.ptr[i].val);
    }
}

static void same_value(struct cursor *cursor, const msgpack_object *object)
{
    struct value value;
    MUST(cursor_read(cursor, &value));
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        MUST(value.type == VALUE_NIL);
        break;
    case MSGPACK_OBJECT_BOOLEAN:
        MUST(value.type == VALUE_BOOL && (value.number != 0) == object->via.boolean);
        break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        MUST(value.type == VALUE_UINT && value.number == object->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        MUST(value.type == VALUE_NEGATIVE && value.negative == object->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        MUST(value.type == VALUE_FLOAT && (value.real == object->via.f64 || value.real != value.real));
        break;
    case MSGPACK_OBJECT_STR:
        MUST(value.type == VALUE_STR);
        same_bytes(&value, object->via.str.ptr, object->via.str.size);
        break;
    case MSGPACK_OBJECT_BIN:
        MUST(value.type == VALUE_BIN);
        same_bytes(&value, object->via.bin.ptr, object->via.bin.size);
        break;
    case MSGPACK_OBJECT_EXT:
        MUST(value.type == VALUE_EXT && (uint8_t)object->via.ext.type == value.number);
        same_bytes(&value, object->via.ext.ptr, object->via.ext.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
    case MSGPACK_OBJECT_MAP:
        same_items(cursor, &value, object);
        break;
    }
}

/* msgpack-c allocates what a header announces, gigabytes from six bytes: it is not asked about bytes that could be one.
 */
static bool could_be_bomb(struct span bytes)
{
    for (size_t i = 0; i + 2 < bytes.bytes; i++) {
        uint8_t first = (uint8_t)bytes.at[i];
        if ((first == 0xdd || first == 0xdf) && (bytes.at[i + 1] || bytes.at[i + 2]))
            return true;
    }
    return false;
}

static void compare(struct span bytes)
{
    msgpack_unpacked oracle;
    size_t end = 0;
    enum mk_err err = scan_whole(bytes, NULL);
    if (err ? could_be_bomb(bytes) : scan_depth(bytes, NESTING_MAX, NULL) != MK_ERR_OK)
        return; /* more than the oracle can take: memory, or depth */
    msgpack_unpacked_init(&oracle);
    bool whole =
        msgpack_unpack_next(&oracle, bytes.at, bytes.bytes, &end) == MSGPACK_UNPACK_SUCCESS && end == bytes.bytes;
    if (!err) {
        struct cursor cursor = cursor_of(bytes), all = cursor;
        MUST(whole && !forbidden(&oracle.data, false));
        same_value(&cursor, &oracle.data);
        MUST(cursor.at == cursor.end);
        MUST(cursor_skip(&all, NULL) && all.at == all.end);
    } else {
        MUST(!whole || forbidden(&oracle.data, true));
    }
    msgpack_unpacked_destroy(&oracle);
}

/* --- messages: each function reads one and packs it; false: it was refused --- */

static bool again_input(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_input in;
    (void)head;
    if (input_read(map, &in, NULL))
        return false;
    input_pack(out, &in);
    return true;
}

static bool again_command(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_command in;
    (void)head;
    if (command_read(map, &in, NULL))
        return false;
    command_pack(out, &in);
    return true;
}

static bool again_admission(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_admission in;
    struct message_from from = {.ts = head->h.ts};
    if (admission_read(map, &in, NULL))
        return false;
    admission_pack(out, head->h.id, &from, &in);
    return true;
}

static bool again_completion(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_completion in;
    if (completion_read(map, &in, NULL))
        return false;
    completion_pack(out, head->h.id, &in);
    return true;
}

static bool again_effect(struct span map, const struct message_head *head, struct buf *out)
{
    struct effect_in in;
    if (effect_read(map, &in, NULL))
        return false;
    struct mk_effect effect = {.session = in.session,
                               .name = MK_EXECUTOR_EVENT,
                               .event_name = in.name,
                               .data_raw = in.data,
                               .seq = in.seq,
                               .fence = in.fence,
                               .generation = in.generation,
                               .node = in.node,
                               .epoch = in.epoch,
                               .ts = in.ts};
    effect_pack(out, head->h.id, &effect);
    return true;
}

static bool again_result(struct span map, const struct message_head *head, struct buf *out)
{
    struct result_in in;
    struct message_from from = {.ts = head->h.ts};
    if (result_read(map, &in, NULL))
        return false;
    struct mk_result result = {.re = in.re,
                               .session = in.session,
                               .ok = in.ok,
                               .error = in.error,
                               .message = in.message,
                               .phase = in.phase,
                               .final = in.final};
    result_pack(out, head->h.id, &from, &result);
    return true;
}

static bool again_heartbeat(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_heartbeat in;
    struct heartbeat_lists lists;
    struct mk_owned owned[64];
    struct mk_handing handing[64];
    uint32_t expecting[64], suspended[64];
    if (heartbeat_read(map, &in, &lists, NULL))
        return false;
    while (in.owned_count < 64 && owned_next(&lists.owned, &owned[in.owned_count]))
        in.owned_count++;
    while (in.handing_count < 64 && handing_next(&lists.handing, &handing[in.handing_count]))
        in.handing_count++;
    while (in.expecting_count < 64 && partition_next(&lists.expecting, &expecting[in.expecting_count]))
        in.expecting_count++;
    while (in.suspended_count < 64 && partition_next(&lists.suspended, &suspended[in.suspended_count]))
        in.suspended_count++;
    in.owned = owned;
    in.handing = handing;
    in.expecting = expecting;
    in.suspended = suspended;
    for (size_t i = 0; i < in.owned_count; i++)
        for (size_t j = 0; j < i; j++)
            MUST(owned[i].partition != owned[j].partition);
    for (size_t i = 0; i < in.handing_count; i++)
        for (size_t j = 0; j < i; j++)
            MUST(handing[i].partition != handing[j].partition);
    /* Of these, what was accepted can be read to its end. */
    MUST(in.handing_count == 64 || !lists.handing.left);
    MUST(in.expecting_count == 64 || !lists.expecting.left);
    MUST(in.suspended_count == 64 || !lists.suspended.left);
    heartbeat_pack(out, head->h.id, head->h.ts, &in);
    return true;
}

typedef bool (*again)(struct span map, const struct message_head *head, struct buf *out);

static again again_of(enum mk_type type)
{
    static const again functions[MK_TYPE_COUNT] = {
        [MK_INPUT] = again_input,           [MK_COMMAND] = again_command, [MK_ADMISSION] = again_admission,
        [MK_COMPLETION] = again_completion, [MK_EFFECT] = again_effect,   [MK_RESULT] = again_result,
        [MK_HEARTBEAT] = again_heartbeat,
    };
    return functions[type];
}

static void read_twice(struct span map, const struct message_head *head, again read)
{
    struct buf once = {0}, twice = {0};
    struct message_head same;
    if (read(map, head, &once)) {
        MUST(!once.failed);
        MUST(!message_head_read(buf_span(&once), &same, NULL));
        MUST(same.type == head->type && span_equal(same.h.id, head->h.id));
        MUST(read(buf_span(&once), &same, &twice));
        MUST(span_equal(buf_span(&once), buf_span(&twice)));
    }
    buf_fini(&once);
    buf_fini(&twice);
}

static void read_batch(struct span map)
{
    struct batch_reader reader;
    struct span item;
    if (batch_open(map, &reader, NULL))
        return;
    size_t left = reader.left;
    for (; batch_next(&reader, &item); left--) {
        struct message_head head;
        if (!message_head_read(item, &head, NULL) && head.type != MK_BATCH)
            read_twice(item, &head, again_of(head.type));
    }
    MUST(left == 0);
}

static void read_message(struct span map)
{
    struct message_head head;
    if (message_head_read(map, &head, NULL))
        return;
    if (head.type == MK_BATCH)
        read_batch(map);
    else
        read_twice(map, &head, again_of(head.type));
}

/* --- records --- */

static uint64_t active[ACTIVE_INPUTS_MAX];

static bool record_session(struct span bytes, struct buf *out)
{
    struct session_record record;
    struct run_record run;
    if (session_record_read(bytes, &record, &run, active, NULL))
        return false;
    session_record_pack(out, &record);
    return true;
}

static bool record_input(struct span bytes, struct buf *out)
{
    struct input_record record;
    if (input_record_read(bytes, &record, NULL))
        return false;
    input_record_pack(out, &record);
    return true;
}

static bool record_fact(struct span bytes, struct buf *out)
{
    struct fact_record record;
    if (fact_record_read(bytes, &record, NULL))
        return false;
    fact_record_pack(out, &record);
    return true;
}

static bool record_memo(struct span bytes, struct buf *out)
{
    struct memo_record record;
    if (memo_record_read(bytes, &record, NULL))
        return false;
    memo_record_pack(out, &record);
    return true;
}

static bool record_letter(struct span bytes, struct buf *out)
{
    struct letter_record letter;
    struct mk_id id;
    if (letter_record_read(bytes, &letter, NULL))
        return false;
    letter_record_pack(out, &letter);
    MUST(!letter_redriven_id(letter.input.h.id, &id) || id.bytes > letter.input.h.id.bytes ||
         !span_equal(id_span(&id), letter.input.h.id));
    return true;
}

static void read_letters(struct span bytes)
{
    struct letters_page page;
    struct span item;
    if (letters_open(bytes, &page, NULL))
        return;
    while (letters_next(&page, &item))
        MUST(item.at >= bytes.at && item.at + item.bytes <= bytes.at + bytes.bytes);
    MUST(page.left == 0); /* it was scanned: every item is whole */
}

/* --- what a child says --- */

static void within(struct span part, struct span bytes)
{
    MUST(!part.at || (part.at >= bytes.at && part.at + part.bytes <= bytes.at + bytes.bytes));
}

static void read_answer(struct span bytes)
{
    static struct run_answer answer;
    char text[RUN_MESSAGE_BYTES];
    struct mk_note note = {""};
    enum mk_err err = run_answer_read(bytes, 2, &answer, &note);
    MUST(err == MK_ERR_OK || err == MK_ERR_EXECUTOR_FAILED || err == MK_ERR_RESULT_TOO_LARGE);
    if (err)
        return;
    MUST(answer.result_count <= 2 && answer.event_count <= RUN_EVENTS_MAX);
    MUST((answer.word == WORD_ANSWER) == !answer.about.bytes);
    within(answer.about, bytes);
    within(answer.state, bytes);
    within(answer.message, bytes);
    for (size_t i = 0; i < answer.result_count; i++)
        within(answer.results[i], bytes);
    for (size_t i = 0; i < answer.event_count; i++) {
        within(answer.events[i].name, bytes);
        within(answer.events[i].data, bytes);
    }
    MUST(run_text(text, sizeof text, answer.message) < sizeof text);
}

static void record_twice(struct span bytes, bool (*read)(struct span, struct buf *))
{
    struct buf once = {0}, twice = {0};
    if (read(bytes, &once)) {
        MUST(!once.failed && read(buf_span(&once), &twice));
        MUST(span_equal(buf_span(&once), buf_span(&twice)));
    }
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_bytes(data, size);
    compare(bytes);
    read_message(bytes);
    record_twice(bytes, record_session);
    record_twice(bytes, record_input);
    record_twice(bytes, record_fact);
    record_twice(bytes, record_memo);
    record_twice(bytes, record_letter);
    read_letters(bytes);
    read_answer(bytes);
    return 0;
}
