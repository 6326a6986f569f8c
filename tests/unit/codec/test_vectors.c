/* Replays tests/vectors: what our readers say of each vector, and what they find in it. */
#include "tests/lib/t.h"

#include "codec/message.h"
#include "codec/scan.h"
#include "codec/topic.h"
#include "node/core/crc16.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct bytes {
    char *at;
    size_t bytes;
};

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* An allocation of exactly its size, so that a sanitizer sees the first byte too far. */
static struct bytes from_hex(const char *hex)
{
    struct bytes out = {NULL, strlen(hex) / 2};
    out.at = malloc(out.bytes ? out.bytes : 1);
    assert_non_null(out.at);
    for (size_t i = 0; i < out.bytes; i++)
        out.at[i] = (char)(16 * digit(hex[2 * i]) + digit(hex[2 * i + 1]));
    return out;
}

static const char *text_of(const json_t *vector, const char *key)
{
    const char *text = json_string_value(json_object_get(vector, key));
    if (!text)
        fail_msg("a vector without %s", key);
    return text;
}

/* --- a msgpack value beside a JSON value --- */

static json_t *json_of(struct cursor *cursor);

static json_t *json_map(struct cursor *cursor, uint64_t pairs)
{
    json_t *map = json_object();
    for (uint64_t i = 0; i < pairs; i++) {
        struct value key;
        assert_true(cursor_read(cursor, &key));
        assert_int_equal(key.type, VALUE_STR);
        json_object_setn_new(map, key.text.at, key.text.bytes, json_of(cursor));
    }
    return map;
}

static json_t *json_bin(struct span bytes)
{
    char hex[513] = "";
    assert_true(bytes.bytes < sizeof hex / 2);
    for (size_t i = 0; i < bytes.bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)(uint8_t)bytes.at[i]);
    return json_pack("{s:s}", "$bin", hex);
}

static json_t *json_of(struct cursor *cursor)
{
    struct value value;
    json_t *array;
    assert_true(cursor_read(cursor, &value));
    switch (value.type) {
    case VALUE_NIL:
        return json_null();
    case VALUE_BOOL:
        return json_boolean(value.number);
    case VALUE_UINT:
        return json_integer((json_int_t)value.number);
    case VALUE_NEGATIVE:
        return json_integer((json_int_t)value.negative);
    case VALUE_FLOAT:
        return json_real(value.real);
    case VALUE_STR:
        return json_stringn(value.text.at, value.text.bytes);
    case VALUE_BIN:
        return json_bin(value.text);
    case VALUE_MAP:
        return json_map(cursor, value.number);
    case VALUE_ARRAY:
        array = json_array();
        for (uint64_t i = 0; i < value.number; i++)
            json_array_append_new(array, json_of(cursor));
        return array;
    case VALUE_EXT:
        break;
    }
    fail_msg("an extension type in a vector");
    return NULL;
}

static void same_json(const char *name, struct span map, const json_t *wanted)
{
    struct cursor cursor = cursor_of(map);
    json_t *found = json_of(&cursor);
    if (!json_equal(found, wanted)) {
        char *text = json_dumps(found, 0);
        fail_msg("%s: found %s", name, text);
    }
    json_decref(found);
}

/* --- our readers --- */

/* What was read is packed again into `out`; nothing is packed of types whose data goes one way only. */
static enum mk_err read_input(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_input in;
    enum mk_err err = input_read(map, &in, NULL);
    if (!err)
        input_pack(out, &in);
    assert_true(err || span_equal(in.h.id, head->h.id));
    return err;
}

static enum mk_err read_command(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_command in;
    enum mk_err err = command_read(map, &in, NULL);
    if (!err)
        command_pack(out, &in);
    assert_true(err || span_equal(in.h.id, head->h.id));
    return err;
}

/* Node and fence are not read back: they are given as the vectors have them. */
static enum mk_err read_admission(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_admission in;
    enum mk_err err = admission_read(map, &in, NULL);
    struct message_from from = {SPAN_LIT("n1"), 1, head->h.ts};
    if (!err && in.outcome == MK_ACCEPTED)
        from.fence = 1700000000000001;
    if (!err)
        admission_pack(out, head->h.id, &from, &in);
    return err;
}

static enum mk_err read_completion(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_completion in;
    enum mk_err err = completion_read(map, &in, NULL);
    if (!err)
        completion_pack(out, head->h.id, &in);
    return err;
}

static enum mk_err read_effect(struct span map, const struct message_head *head, struct buf *out)
{
    struct effect_in in;
    enum mk_err err = effect_read(map, &in, NULL);
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
    if (!err)
        effect_pack(out, head->h.id, &effect);
    return err;
}

static enum mk_err read_result(struct span map, const struct message_head *head, struct buf *out)
{
    struct result_in in;
    enum mk_err err = result_read(map, &in, NULL);
    struct mk_result result = {.re = in.re,
                               .session = in.session,
                               .ok = in.ok,
                               .error = in.error,
                               .message = in.message,
                               .phase = in.phase,
                               .final = in.final};
    struct message_from from = {.node = SPAN_LIT("n1"), .fence = 1, .ts = head->h.ts};
    if (!err && !in.ok)
        result_pack(out, head->h.id, &from, &result);
    return err;
}

static enum mk_err read_heartbeat(struct span map, const struct message_head *head, struct buf *out)
{
    struct mk_heartbeat in;
    struct heartbeat_lists lists;
    struct mk_owned owned[4];
    struct mk_handing handing[4];
    uint32_t expecting[4], suspended[4];
    enum mk_err err = heartbeat_read(map, &in, &lists, NULL);
    if (err)
        return err;
    while (in.owned_count < 4 && owned_next(&lists.owned, &owned[in.owned_count]))
        in.owned_count++;
    while (in.handing_count < 4 && handing_next(&lists.handing, &handing[in.handing_count]))
        in.handing_count++;
    while (in.expecting_count < 4 && partition_next(&lists.expecting, &expecting[in.expecting_count]))
        in.expecting_count++;
    while (in.suspended_count < 4 && partition_next(&lists.suspended, &suspended[in.suspended_count]))
        in.suspended_count++;
    in.owned = owned;
    in.handing = handing;
    in.expecting = expecting;
    in.suspended = suspended;
    heartbeat_pack(out, head->h.id, head->h.ts, &in);
    return MK_ERR_OK;
}

static enum mk_err read_batch(struct span map, const struct message_head *head, struct buf *out)
{
    struct batch_reader reader;
    struct span item;
    enum mk_err err = batch_open(map, &reader, NULL);
    if (err)
        return err;
    batch_head_pack_numbered(out, &head->h, reader.left);
    while (batch_next(&reader, &item))
        buf_append(out, item.at, item.bytes);
    assert_int_equal(reader.left, 0);
    return MK_ERR_OK;
}

static enum mk_err read_message(struct span map, struct buf *out)
{
    static enum mk_err (*const readers[MK_TYPE_COUNT])(struct span, const struct message_head *, struct buf *) = {
        [MK_INPUT] = read_input,           [MK_COMMAND] = read_command, [MK_ADMISSION] = read_admission,
        [MK_COMPLETION] = read_completion, [MK_EFFECT] = read_effect,   [MK_RESULT] = read_result,
        [MK_HEARTBEAT] = read_heartbeat,   [MK_BATCH] = read_batch,
    };
    struct message_head head;
    struct mk_note note = {""};
    enum mk_err err = message_head_read(map, &head, &note);
    return err ? err : readers[head.type](map, &head, out);
}

/* --- the vectors --- */

static void replay_message(const json_t *vector)
{
    const char *name = text_of(vector, "name");
    const char *wanted = json_is_true(json_object_get(vector, "valid")) ? "ok" : text_of(vector, "error");
    struct bytes bytes = from_hex(text_of(vector, "hex"));
    struct buf packed = {0};
    struct span map = span_bytes(bytes.at, bytes.bytes);
    enum mk_err err = read_message(map, &packed);
    if (strcmp(mk_err_code(err), wanted))
        fail_msg("%s: %s, not %s", name, mk_err_code(err), wanted);
    if (!err)
        same_json(name, map, json_object_get(vector, "message"));
    if (!err && packed.bytes && !json_is_false(json_object_get(vector, "canonical")))
        same_json(name, buf_span(&packed), json_object_get(vector, "message"));
    buf_fini(&packed);
    free(bytes.at);
}

static void check_topic(const json_t *vector)
{
    struct topic topic;
    const char *text = text_of(vector, "topic");
    const json_t *session = json_object_get(json_object_get(vector, "message"), "session");
    assert_int_equal(topic_parse(span_of(text), &topic), MK_ERR_OK);
    if (!session || (topic.class != TOPIC_IN && topic.class != TOPIC_CTL))
        return;
    assert_span_equal(topic.name, json_string_value(session));
    assert_int_equal(topic.partition, partition_of(topic.name, PARTITIONS_DEFAULT));
}

static json_t *load(const char *name)
{
    char path[96];
    json_error_t error;
    snprintf(path, sizeof path, "tests/vectors/%s.json", name);
    json_t *vectors = json_load_file(path, 0, &error);
    if (!vectors)
        fail_msg("%s: %s", path, error.text);
    assert_true(json_array_size(vectors) > 0);
    return vectors;
}

static void test_vectors__every_message_has_the_stated_verdict_and_content(void **state)
{
    static const char *const names[] = {"input",  "command",   "admission", "completion", "effect",
                                        "result", "heartbeat", "batch",     "invalid"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *vectors = load(names[i]), *vector;
        size_t index;
        json_array_foreach(vectors, index, vector)
        {
            replay_message(vector);
            check_topic(vector);
        }
        json_decref(vectors);
    }
}

/* A star, or the text. */
static void same_name(const json_t *wanted, bool any, struct span name)
{
    assert_span_equal(any ? SPAN_LIT("*") : name, json_string_value(wanted));
}

static void check_frame(const json_t *vector, const struct topic *topic)
{
    const json_t *partition = json_object_get(vector, "partition"), *session = json_object_get(vector, "session");
    assert_string_equal(topic_class_name(topic->class), text_of(vector, "class"));
    same_name(session ? session : json_object_get(vector, "name"), topic->any_name, topic->name);
    if (!partition)
        return;
    assert_int_equal(topic->any_partition, json_is_string(partition));
    assert_int_equal(topic->partition, json_integer_value(partition));
}

static void test_vectors__every_frame_is_split_as_stated(void **state)
{
    json_t *vectors = load("frames"), *vector;
    size_t index;
    (void)state;
    json_array_foreach(vectors, index, vector)
    {
        struct bytes frame = from_hex(text_of(vector, "frame"));
        struct span text, map;
        struct topic topic = {.class = TOPIC_CLASS_COUNT};
        enum mk_err err = frame_split(span_bytes(frame.at, frame.bytes), &text, &map);
        err = err ? err : topic_parse(text, &topic);
        if (!err != json_is_true(json_object_get(vector, "valid")))
            fail_msg("%s: %s", text_of(vector, "what"), mk_err_code(err));
        if (!err)
            check_frame(vector, &topic);
        free(frame.at);
    }
    json_decref(vectors);
}

static void test_vectors__the_check_value_of_the_crc_is_31c3(void **state)
{
    (void)state;
    assert_int_equal(crc16_xmodem(SPAN_LIT("123456789")), 0x31c3);
}

/* --- the page that goes with them --- */

static void named(const char *page, const char *word)
{
    char quoted[80];
    snprintf(quoted, sizeof quoted, "`%s`", word);
    if (!strstr(page, quoted))
        fail_msg("docs/protocol.md does not say %s", quoted);
}

static void test_vectors__the_protocol_page_names_every_error_and_operation(void **state)
{
    static char page[64 * 1024];
    FILE *file = fopen("docs/protocol.md", "r");
    (void)state;
    assert_non_null(file);
    size_t bytes = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    assert_true(bytes < sizeof page - 1);
    for (unsigned i = MK_ERR_OK + 1; i < MK_ERR_COUNT; i++) {
        char row[80];
        snprintf(row, sizeof row, "| `%s` | %s |", mk_err_code((enum mk_err)i),
                 mk_err_final((enum mk_err)i) ? "yes" : "no");
        if (!strstr(page, row))
            fail_msg("docs/protocol.md has no row %s", row);
    }
    for (unsigned i = 0; i < MK_OP_COUNT; i++)
        named(page, mk_op_name((enum mk_op)i));
    for (unsigned i = 0; i < MK_OUTCOME_COUNT; i++)
        named(page, mk_outcome_name((enum mk_outcome)i));
    for (unsigned i = 0; i < MK_EXECUTOR_EVENT; i++)
        named(page, mk_effect_name_name((enum mk_effect_name)i));
    for (unsigned i = 0; i < MK_KIND_COUNT; i++)
        named(page, mk_kind_name((enum mk_kind)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors__every_message_has_the_stated_verdict_and_content),
        cmocka_unit_test(test_vectors__every_frame_is_split_as_stated),
        cmocka_unit_test(test_vectors__the_check_value_of_the_crc_is_31c3),
        cmocka_unit_test(test_vectors__the_protocol_page_names_every_error_and_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
