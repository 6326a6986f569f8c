#include "tests/lib/t.h"

#include "codec/fields.h"

#define FIXED(literal)                                                                                                 \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    } /* in a table */

struct thing {
    struct span text, session, token, bytes, raw;
    struct mk_id id;
    uint64_t number;
    bool yes;
    unsigned word;
};

static const char *word_name(unsigned value)
{
    static const char *const names[] = {"one", "two"};
    return names[value];
}

#define AT(member) offsetof(struct thing, member)

static const struct field table[] = {
    {.key = "te", .type = FIELD_TEXT, .offset = AT(text), .least = 2, .most = 4},
    {.key = "se", .type = FIELD_SESSION, .offset = AT(session)},
    {.key = "to", .type = FIELD_TOKEN, .offset = AT(token), .least = 1, .most = 4},
    {.key = "by", .type = FIELD_BYTES, .offset = AT(bytes), .most = 3},
    {.key = "ra", .type = FIELD_RAW, .offset = AT(raw)},
    {.key = "id", .type = FIELD_ID, .offset = AT(id)},
    {.key = "nu", .type = FIELD_U64, .offset = AT(number), .most = 200},
    {.key = "ye", .type = FIELD_BOOL, .offset = AT(yes)},
    {.key = "wo", .type = FIELD_ENUM, .offset = AT(word), .most = 2, .name = word_name},
};

static enum mk_err read_thing(struct span map, struct thing *out, struct mk_note *note)
{
    *out = (struct thing){.number = 77, .word = 9};
    assert_int_equal(scan_whole(map, note), MK_ERR_OK);
    return fields_read(map, table, sizeof table / sizeof *table, out, note);
}

static void test_fields__every_type_fills_its_member(void **state)
{
    struct thing thing;
    (void)state;
    assert_int_equal(read_thing(SPAN_LIT("\x89\xa2te\xa3"
                                         "abc\xa2se\xa2s1\xa2to\xa1"
                                         "t\xa2"
                                         "by\xc4\x02"
                                         "xy\xa2ra\x91\x01"
                                         "\xa2id\xa2i1\xa2nu\xcc\xc8\xa2ye\xc3\xa2wo\xa3two"),
                                &thing, NULL),
                     MK_ERR_OK);
    assert_span_equal(thing.text, "abc");
    assert_span_equal(thing.session, "s1");
    assert_span_equal(thing.token, "t");
    assert_span_equal(thing.bytes, "xy");
    assert_span_equal(thing.raw, "\x91\x01");
    assert_string_equal(thing.id.text, "i1");
    assert_int_equal(thing.number, 200);
    assert_true(thing.yes);
    assert_int_equal(thing.word, 1);
}

static void test_fields__absent_unknown_and_nil_keys_leave_the_members_alone(void **state)
{
    static const struct span maps[] = {
        FIXED("\x80"),
        FIXED("\x82\xa1x\x01\x05\x06"),
        FIXED("\x82\xa2nu\xc0\xa2te\xc0"),
        FIXED("\x81\x92\xa2nu\x01\x05"), /* a key that is an array */
        FIXED("\x81\xc4\x02nu\x05"),     /* a key of bytes is no name */
        FIXED("\x82\xa3nuu\x05\xa1n\x05"),
        FIXED("\x81\xa0\x05"), /* longer, shorter, empty */
    };
    (void)state;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        struct thing thing;
        assert_int_equal(read_thing(maps[i], &thing, NULL), MK_ERR_OK);
        assert_int_equal(thing.number, 77);
        assert_int_equal(thing.word, 9);
        assert_false(span_given(thing.text));
    }
}

static void test_fields__a_wrong_type_or_bound_is_refused_by_name(void **state)
{
    static const struct {
        struct span map;
        enum mk_err wanted;
    } cases[] = {
        {FIXED("\x81\xa2te\x05"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2te\xc4\x02"
               "ab"),
         MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2te\xa1"
               "a"),
         MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2te\xa2"
               "ab"),
         MK_ERR_OK},
        {FIXED("\x81\xa2te\xa4"
               "abcd"),
         MK_ERR_OK},
        {FIXED("\x81\xa2te\xa5"
               "abcde"),
         MK_ERR_TOO_LARGE},
        {FIXED("\x81\xa2se\xa0"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2se\xa1/"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2se\x01"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2to\xa0"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2to\xa1*"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2to\xa5"
               "abcde"),
         MK_ERR_TOO_LARGE},
        {FIXED("\x81\xa2"
               "by\xa3"
               "abc"),
         MK_ERR_OK},
        {FIXED("\x81\xa2"
               "by\xc4\x04"
               "abcd"),
         MK_ERR_TOO_LARGE},
        {FIXED("\x81\xa2"
               "by\x90"),
         MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2id\x01"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2nu\xcc\xc9"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2nu\xff"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2nu\xca\x3f\x80\x00\x00"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2nu\xa1"
               "1"),
         MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2ye\x01"), MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2wo\xa4"
               "zero"),
         MK_ERR_INVALID_FIELD},
        {FIXED("\x81\xa2wo\x01"), MK_ERR_INVALID_FIELD},
        {FIXED("\x91\x01"), MK_ERR_MALFORMED},
        {FIXED("\x01"), MK_ERR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct thing thing;
        struct mk_note note = {""};
        assert_int_equal(read_thing(cases[i].map, &thing, &note), cases[i].wanted);
        if (cases[i].wanted && cases[i].wanted != MK_ERR_MALFORMED)
            assert_memory_equal(note.text, cases[i].map.at + 2, 2);
    }
}

static void test_fields__an_id_has_at_most_64_bytes(void **state)
{
    char map[80] = "\x81\xa2id\xd9";
    struct thing thing;
    (void)state;
    memset(map + 6, 'i', 65);
    map[5] = 64;
    assert_int_equal(read_thing(span_bytes(map, 70), &thing, NULL), MK_ERR_OK);
    assert_int_equal(thing.id.bytes, 64);
    map[5] = 65;
    assert_int_equal(read_thing(span_bytes(map, 71), &thing, NULL), MK_ERR_INVALID_FIELD);
}

static void test_fields__a_required_key_must_be_there_and_not_nil(void **state)
{
    static const struct field needs[] = {{.key = "nu", .type = FIELD_U64, .required = true}};
    uint64_t number = 5;
    struct mk_note note = {""};
    (void)state;
    assert_int_equal(fields_read(SPAN_LIT("\x80"), needs, 1, &number, &note), MK_ERR_MISSING_FIELD);
    assert_string_equal(note.text, "nu: missing");
    assert_int_equal(fields_read(SPAN_LIT("\x81\xa2nu\xc0"), needs, 1, &number, NULL), MK_ERR_MISSING_FIELD);
    assert_int_equal(number, 5);
    assert_int_equal(fields_read(SPAN_LIT("\x81\xa2nu\x00"), needs, 1, &number, NULL), MK_ERR_OK);
    assert_int_equal(number, 0);
}

static void test_fields__an_inner_map_is_named_in_the_refusal(void **state)
{
    static const struct field inner[] = {{.key = "nu", .type = FIELD_U64}};
    uint64_t number = 0;
    struct mk_note note = {""};
    (void)state;
    assert_int_equal(fields_read_in(SPAN_LIT("\x81\xa2nu\xff"), "outer", inner, 1, &number, &note),
                     MK_ERR_INVALID_FIELD);
    assert_string_equal(note.text, "outer: nu: a non-negative integer wanted");
    assert_int_equal(fields_read_in(SPAN_LIT("\x90"), "outer", inner, 1, &number, &note), MK_ERR_INVALID_FIELD);
    assert_string_equal(note.text, "outer: a map is wanted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields__every_type_fills_its_member),
        cmocka_unit_test(test_fields__absent_unknown_and_nil_keys_leave_the_members_alone),
        cmocka_unit_test(test_fields__a_wrong_type_or_bound_is_refused_by_name),
        cmocka_unit_test(test_fields__an_id_has_at_most_64_bytes),
        cmocka_unit_test(test_fields__a_required_key_must_be_there_and_not_nil),
        cmocka_unit_test(test_fields__an_inner_map_is_named_in_the_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
