#include "tests/lib/t.h"

#include <stdlib.h>

#include "node/framer.h"

static void test_framer__takes_frames_however_they_are_cut(void **state)
{
    static const char stream[] = "\0\0\0\3abc\0\0\0\1d";
    (void)state;
    for (size_t step = 1; step <= sizeof stream - 1; step++) {
        struct framer framer = {.most = 8};
        char got[8] = "";
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            struct span bytes = span_bytes(stream + at, at + step < sizeof stream ? step : sizeof stream - 1 - at);
            while (framer_feed(&framer, &bytes) == FRAMER_WHOLE) {
                size_t length;
                char *frame = framer_take(&framer, &length);
                strncat(got, frame, length);
                strcat(got, ";");
                free(frame);
            }
            assert_int_equal(bytes.bytes, 0);
        }
        assert_string_equal(got, "abc;d;");
        assert_false(framer_midway(&framer));
    }
}

static void test_framer__memory_follows_what_came_and_not_what_was_announced(void **state)
{
    struct framer framer = {.most = 1u << 30};
    struct span bytes = span_bytes("\x3f\xff\xff\xff.", 5);
    (void)state;
    assert_int_equal(framer_feed(&framer, &bytes), FRAMER_MORE);
    assert_int_equal(framer_announced(&framer), 0x3fffffff);
    assert_true(framer.room <= 4096);
    assert_true(framer_midway(&framer));
    framer_reset(&framer);
    assert_false(framer_midway(&framer));
    assert_int_equal(framer.most, 1u << 30);
}

static void test_framer__memory_never_exceeds_the_frame(void **state)
{
    struct framer framer = {.most = 10000};
    static char body[9000];
    struct span head = span_bytes("\0\0\x23\x28", 4), bytes = span_bytes(body, sizeof body);
    (void)state;
    assert_int_equal(framer_feed(&framer, &head), FRAMER_MORE);
    assert_int_equal(framer_feed(&framer, &bytes), FRAMER_WHOLE);
    assert_int_equal(framer.room, sizeof body);
    framer_reset(&framer);
}

static void test_framer__refuses_none_and_too_many_bytes(void **state)
{
    struct framer framer = {.most = 4};
    struct span empty = span_bytes("\0\0\0\0", 4), large = span_bytes("Hello", 5), fits = span_bytes("\0\0\0\4abcd", 8);
    (void)state;
    assert_int_equal(framer_feed(&framer, &empty), FRAMER_EMPTY);
    framer_reset(&framer);
    assert_int_equal(framer_feed(&framer, &large), FRAMER_TOO_LARGE);
    assert_int_equal(framer_announced(&framer), 0x48656c6c);
    framer_reset(&framer);
    assert_int_equal(framer_feed(&framer, &fits), FRAMER_WHOLE);
    framer_reset(&framer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framer__takes_frames_however_they_are_cut),
        cmocka_unit_test(test_framer__memory_follows_what_came_and_not_what_was_announced),
        cmocka_unit_test(test_framer__memory_never_exceeds_the_frame),
        cmocka_unit_test(test_framer__refuses_none_and_too_many_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
