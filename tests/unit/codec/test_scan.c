#include "tests/lib/t.h"

#include "codec/buf.h"
#include "codec/scan.h"

#include <stdlib.h>

#define FIXED(literal)                                                                                                 \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    } /* in a table */

static enum mk_err scan(struct span bytes)
{
    return scan_whole(bytes, NULL);
}

/* --- single values --- */

static void test_scan__every_form_of_a_value_is_read(void **state)
{
    static const struct {
        struct span bytes;
        enum value_type type;
        uint64_t number;
        int64_t negative;
        const char *text;
    } cases[] = {
        {FIXED("\xc0"), VALUE_NIL, 0, 0, NULL},
        {FIXED("\xc2"), VALUE_BOOL, 0, 0, NULL},
        {FIXED("\xc3"), VALUE_BOOL, 1, 0, NULL},
        {FIXED("\x00"), VALUE_UINT, 0, 0, NULL},
        {FIXED("\x7f"), VALUE_UINT, 127, 0, NULL},
        {FIXED("\xcc\xff"), VALUE_UINT, 255, 0, NULL},
        {FIXED("\xcd\x01\x02"), VALUE_UINT, 0x102, 0, NULL},
        {FIXED("\xce\x01\x02\x03\x04"), VALUE_UINT, 0x1020304, 0, NULL},
        {FIXED("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), VALUE_UINT, UINT64_MAX, 0, NULL},
        {FIXED("\xd0\x05"), VALUE_UINT, 5, 5, NULL},
        {FIXED("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), VALUE_UINT, INT64_MAX, INT64_MAX, NULL},
        {FIXED("\xff"), VALUE_NEGATIVE, 0, -1, NULL},
        {FIXED("\xe0"), VALUE_NEGATIVE, 0, -32, NULL},
        {FIXED("\xd0\x80"), VALUE_NEGATIVE, 0, -128, NULL},
        {FIXED("\xd1\x80\x00"), VALUE_NEGATIVE, 0, -32768, NULL},
        {FIXED("\xd2\x80\x00\x00\x00"), VALUE_NEGATIVE, 0, INT32_MIN, NULL},
        {FIXED("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), VALUE_NEGATIVE, 0, INT64_MIN, NULL},
        {FIXED("\xa0"), VALUE_STR, 0, 0, ""},
        {FIXED("\xa2hi"), VALUE_STR, 0, 0, "hi"},
        {FIXED("\xd9\x02hi"), VALUE_STR, 0, 0, "hi"},
        {FIXED("\xda\x00\x02hi"), VALUE_STR, 0, 0, "hi"},
        {FIXED("\xdb\x00\x00\x00\x02hi"), VALUE_STR, 0, 0, "hi"},
        {FIXED("\xc4\x01z"), VALUE_BIN, 0, 0, "z"},
        {FIXED("\xc5\x00\x01z"), VALUE_BIN, 0, 0, "z"},
        {FIXED("\xc6\x00\x00\x00\x01z"), VALUE_BIN, 0, 0, "z"},
        {FIXED("\xd4\x07z"), VALUE_EXT, 7, 0, "z"},
        {FIXED("\xd5\x07zz"), VALUE_EXT, 7, 0, "zz"},
        {FIXED("\xc7\x02\xffzz"), VALUE_EXT, 255, 0, "zz"},
        {FIXED("\xc8\x00\x01\x07z"), VALUE_EXT, 7, 0, "z"},
        {FIXED("\xc9\x00\x00\x00\x00\x07"), VALUE_EXT, 7, 0, ""},
        {FIXED("\x90"), VALUE_ARRAY, 0, 0, NULL},
        {FIXED("\xdc\x00\x00"), VALUE_ARRAY, 0, 0, NULL},
        {FIXED("\x80"), VALUE_MAP, 0, 0, NULL},
        {FIXED("\xde\x00\x00"), VALUE_MAP, 0, 0, NULL},
        {FIXED("\xdf\x00\x00\x00\x00"), VALUE_MAP, 0, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cursor cursor = cursor_of(cases[i].bytes);
        struct value value;
        assert_int_equal(scan(cases[i].bytes), MK_ERR_OK);
        assert_true(cursor_read(&cursor, &value));
        assert_ptr_equal(cursor.at, cursor.end);
        assert_int_equal(value.type, cases[i].type);
        assert_int_equal(value.number, cases[i].number);
        assert_int_equal(value.negative, cases[i].negative);
        if (cases[i].text)
            assert_span_equal(value.text, cases[i].text);
    }
}

static void test_scan__floats_of_both_widths_are_read(void **state)
{
    static const struct span floats[] = {FIXED("\xca\xbf\xc0\x00\x00"), FIXED("\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00")};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cursor cursor = cursor_of(floats[i]);
        struct value value;
        assert_true(cursor_read(&cursor, &value));
        assert_int_equal(value.type, VALUE_FLOAT);
        assert_true(value.real == -1.5);
    }
}

/* One value of each kind, nested. */
static const char sample[] = "\x85\xa1"
                             "a\x93\x01\xff\xc0\xa1"
                             "b\x81\xa1"
                             "c\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xd9\x01"
                             "d\xc4\x02xy\xa1"
                             "e\xd4\x01z\xa1"
                             "f\xcd\x01\x00";

static void test_scan__a_value_cut_short_at_any_byte_is_malformed(void **state)
{
    (void)state;
    assert_int_equal(scan(SPAN_LIT(sample)), MK_ERR_OK);
    for (size_t bytes = 0; bytes < sizeof sample - 1; bytes++) {
        char *copy = malloc(bytes ? bytes : 1);
        assert_non_null(copy);
        memcpy(copy, sample, bytes);
        struct cursor cursor = {copy, copy + bytes};
        assert_int_equal(scan(span_bytes(copy, bytes)), MK_ERR_MALFORMED);
        assert_false(cursor_skip(&cursor, NULL));
        assert_ptr_equal(cursor.at, copy);
        free(copy);
    }
}

static void test_scan__one_byte_behind_the_value_is_malformed(void **state)
{
    (void)state;
    assert_int_equal(scan(span_bytes(sample, sizeof sample)), MK_ERR_MALFORMED);
    assert_int_equal(scan(SPAN_LIT("\xc0\xc0")), MK_ERR_MALFORMED);
}

static void test_scan__nothing_and_the_reserved_byte_are_malformed(void **state)
{
    struct cursor cursor = cursor_of(SPAN_LIT("\xc1"));
    struct value value;
    (void)state;
    assert_int_equal(scan((struct span){NULL, 0}), MK_ERR_MALFORMED);
    assert_int_equal(scan(SPAN_LIT("\xc1")), MK_ERR_MALFORMED);
    assert_int_equal(scan(SPAN_LIT("\x91\xc1")), MK_ERR_MALFORMED);
    assert_false(cursor_read(&cursor, &value));
    assert_false(cursor_skip(&cursor, NULL));
}

static void test_scan__counts_and_lengths_beyond_the_bytes_are_malformed(void **state)
{
    static const struct span bombs[] = {
        FIXED("\xdd\xff\xff\xff\xff\xc0"),
        FIXED("\xdf\xff\xff\xff\xff\xc0"),
        FIXED("\xdc\xff\xff\xc0"),
        FIXED("\xde\xff\xff\xc0"),
        FIXED("\xdb\xff\xff\xff\xff\x61"),
        FIXED("\xc6\xff\xff\xff\xff\x61"),
        FIXED("\xc9\xff\xff\xff\xff\x01\x61"),
        FIXED("\x92\xc0"),
        FIXED("\x81\xc0"),
        FIXED("\xdd\x80\x00\x00\x00\xc0\xc0"),
        FIXED("\xdf\x80\x00\x00\x00\xc0\xc0"),
        FIXED("\x91\xdd\xff\xff\xff\xff\xc0"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct cursor cursor = cursor_of(bombs[i]);
        assert_int_equal(scan(bombs[i]), MK_ERR_MALFORMED);
        assert_false(cursor_skip(&cursor, NULL));
    }
}

/* --- nesting --- */

static enum mk_err scan_nested(const char *open, size_t bytes, size_t depth)
{
    char text[256];
    size_t at = 0;
    for (size_t i = 0; i < depth; i++, at += bytes)
        memcpy(text + at, open, bytes);
    text[at++] = '\x01';
    return scan(span_bytes(text, at));
}

static void test_scan__thirty_two_levels_are_read_and_thirty_three_are_not(void **state)
{
    (void)state;
    assert_int_equal(scan_nested("\x91", 1, NESTING_WRAPPED_MAX), MK_ERR_OK);
    assert_int_equal(scan_nested("\x91", 1, NESTING_WRAPPED_MAX + 1), MK_ERR_TOO_LARGE);
    assert_int_equal(scan_nested("\x81\x05", 2, NESTING_WRAPPED_MAX), MK_ERR_OK);
    assert_int_equal(scan_nested("\x81\x05", 2, NESTING_WRAPPED_MAX + 1), MK_ERR_TOO_LARGE);
    assert_int_equal(scan_nested("\x81", 1, 1), MK_ERR_MALFORMED);
}

static void test_scan__an_empty_container_is_a_level_too(void **state)
{
    char text[NESTING_WRAPPED_MAX + 1];
    (void)state;
    memset(text, '\x91', sizeof text);
    text[NESTING_WRAPPED_MAX - 1] = '\x90';
    assert_int_equal(scan(span_bytes(text, NESTING_WRAPPED_MAX)), MK_ERR_OK);
    text[NESTING_WRAPPED_MAX - 1] = '\x91';
    text[NESTING_WRAPPED_MAX] = '\x80';
    assert_int_equal(scan(span_bytes(text, NESTING_WRAPPED_MAX + 1)), MK_ERR_TOO_LARGE);
}

static void test_scan__depth_is_given_back_when_a_container_ends(void **state)
{
    struct buf text = {0};
    (void)state;
    buf_append(&text, "\xdc\x00\xc8", 3);
    for (int i = 0; i < 200; i++)
        buf_append(&text, "\x91\x91\x01", 3);
    assert_int_equal(scan(buf_span(&text)), MK_ERR_OK);
    buf_fini(&text);
}

/* --- keys --- */

static void test_scan__a_map_with_a_duplicate_key_is_malformed(void **state)
{
    static const struct {
        struct span bytes;
        enum mk_err wanted;
    } cases[] = {
        {FIXED("\x82\xa1"
               "a\x01\xa1"
               "a\x02"),
         MK_ERR_MALFORMED},
        {FIXED("\x82\xa1"
               "a\x01\xd9\x01"
               "a\x02"),
         MK_ERR_MALFORMED}, /* the same text in a wider form */
        {FIXED("\x82\xa1"
               "a\x01\xa1"
               "b\x02"),
         MK_ERR_OK},
        {FIXED("\x82\xa1"
               "a\x01\xc4\x01"
               "a\x02"),
         MK_ERR_OK},                                    /* text and bytes */
        {FIXED("\x82\xa1\x01\x01\x01\x02"), MK_ERR_OK}, /* the text "\x01" and the number 1 */
        {FIXED("\x82\x01\x01\x01\x02"), MK_ERR_MALFORMED},
        {FIXED("\x82\xc0\x01\xc0\x02"), MK_ERR_MALFORMED},
        {FIXED("\x82\x91\x01\x01\x91\x01\x02"), MK_ERR_MALFORMED},
        {FIXED("\x82\x91\x01\x01\x91\x02\x02"), MK_ERR_OK},
        {FIXED("\x82\xa0\x01\xa0\x02"), MK_ERR_MALFORMED},
        {FIXED("\x91\x82\xa0\x01\xa0\x02"), MK_ERR_MALFORMED},     /* in an array */
        {FIXED("\x81\x82\xa0\x01\xa0\x02\x01"), MK_ERR_MALFORMED}, /* in a key */
        {FIXED("\x92\x81\xa1"
               "a\x01\x81\xa1"
               "a\x02"),
         MK_ERR_OK}, /* in two maps */
        {FIXED("\x82\xa1"
               "a\x81\xa1"
               "b\x01\xa1"
               "b\x02"),
         MK_ERR_OK}, /* inside and outside */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(scan(cases[i].bytes), cases[i].wanted);
}

/* A map with the keys 0, 1, 2... as 16-bit numbers, one of them replaced. */
static enum mk_err scan_many(size_t count, size_t at, size_t twice)
{
    struct buf text = {0};
    char head[3] = {'\xde', (char)(count >> 8), (char)(count & 0xff)};
    buf_append(&text, head, 3);
    for (size_t i = 0; i < count; i++) {
        size_t key = i == at ? twice : i;
        char pair[4] = {'\xcd', (char)(key >> 8), (char)(key & 0xff), '\xc0'};
        buf_append(&text, pair, 4);
    }
    enum mk_err err = scan(buf_span(&text));
    buf_fini(&text);
    return err;
}

static void test_scan__a_duplicate_is_found_among_few_and_many_keys(void **state)
{
    static const size_t counts[] = {2, 3, 7, 24, 25, 100, MAP_KEYS_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        size_t count = counts[i];
        assert_int_equal(scan_many(count, count, 0), MK_ERR_OK);
        assert_int_equal(scan_many(count, count - 1, 0), MK_ERR_MALFORMED);
        assert_int_equal(scan_many(count, 0, count - 1), MK_ERR_MALFORMED);
        assert_int_equal(scan_many(count, count / 2, count / 2 ? 0 : 1), MK_ERR_MALFORMED);
    }
}

static void test_scan__one_key_more_than_the_limit_is_too_large(void **state)
{
    (void)state;
    assert_int_equal(scan_many(MAP_KEYS_MAX, MAP_KEYS_MAX, 0), MK_ERR_OK);
    assert_int_equal(scan_many(MAP_KEYS_MAX + 1, MAP_KEYS_MAX + 1, 0), MK_ERR_TOO_LARGE);
}

/* --- the cursor --- */

static void test_scan__skip_gives_the_bytes_of_a_whole_value(void **state)
{
    struct cursor cursor = cursor_of(SPAN_LIT("\x92\x81\xa1"
                                              "a\x01\xc0\x05"));
    struct span raw;
    (void)state;
    assert_true(cursor_skip(&cursor, &raw));
    assert_int_equal(raw.bytes, 6);
    assert_int_equal((uint8_t)raw.at[0], 0x92);
    assert_true(cursor_skip(&cursor, &raw));
    assert_span_equal(raw, "\x05");
    assert_false(cursor_skip(&cursor, &raw));
}

static void test_scan__a_refusal_says_where(void **state)
{
    struct mk_note note = {""};
    (void)state;
    assert_int_equal(scan_whole(SPAN_LIT("\x92\x01\xc1"), &note), MK_ERR_MALFORMED);
    assert_non_null(strstr(note.text, "byte 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__every_form_of_a_value_is_read),
        cmocka_unit_test(test_scan__floats_of_both_widths_are_read),
        cmocka_unit_test(test_scan__a_value_cut_short_at_any_byte_is_malformed),
        cmocka_unit_test(test_scan__one_byte_behind_the_value_is_malformed),
        cmocka_unit_test(test_scan__nothing_and_the_reserved_byte_are_malformed),
        cmocka_unit_test(test_scan__counts_and_lengths_beyond_the_bytes_are_malformed),
        cmocka_unit_test(test_scan__thirty_two_levels_are_read_and_thirty_three_are_not),
        cmocka_unit_test(test_scan__an_empty_container_is_a_level_too),
        cmocka_unit_test(test_scan__depth_is_given_back_when_a_container_ends),
        cmocka_unit_test(test_scan__a_map_with_a_duplicate_key_is_malformed),
        cmocka_unit_test(test_scan__a_duplicate_is_found_among_few_and_many_keys),
        cmocka_unit_test(test_scan__one_key_more_than_the_limit_is_too_large),
        cmocka_unit_test(test_scan__skip_gives_the_bytes_of_a_whole_value),
        cmocka_unit_test(test_scan__a_refusal_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
