#include "tests/lib/t.h"

#include <stdio.h>

#include "node/lines.h"

struct heard {
    char text[256]; /* "line;" of each, cut ones with a plus */
    size_t count, longest;
};

static void on_line(void *user, struct span line, bool cut)
{
    struct heard *heard = user;
    size_t used = strlen(heard->text);
    if (line.bytes < 32)
        snprintf(heard->text + used, sizeof heard->text - used, "%.*s%s;", SPAN_ARGS(line), cut ? "+" : "");
    heard->count++;
    heard->longest = line.bytes > heard->longest ? line.bytes : heard->longest;
}

static void test_lines__are_told_whole_however_they_are_cut(void **state)
{
    static const char text[] = "one\n\ntwo\nthree";
    (void)state;
    for (size_t step = 1; step <= sizeof text - 1; step++) {
        struct heard heard = {"", 0, 0};
        struct lines lines = {.bytes = 0};
        struct lines_out out = {on_line, &heard};
        for (size_t at = 0; at < sizeof text - 1; at += step)
            lines_feed(&lines, 5, span_bytes(text + at, at + step < sizeof text ? step : sizeof text - 1 - at), out);
        assert_string_equal(heard.text, "one;;two;");
        lines_end(&lines, 5, out);
        lines_end(&lines, 5, out);
        assert_string_equal(heard.text, "one;;two;three;");
    }
}

static void test_lines__long_ones_are_cut(void **state)
{
    static char text[3 * LINE_BYTES_MAX];
    struct heard heard = {"", 0, 0};
    struct lines lines = {.bytes = 0};
    struct lines_out out = {on_line, &heard};
    (void)state;
    memset(text, 'x', sizeof text);
    lines_feed(&lines, 5, span_bytes(text, sizeof text), out);
    assert_int_equal(heard.count, 0);
    lines_feed(&lines, 5, SPAN_LIT("\nshort\n"), out);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.longest, LINE_BYTES_MAX);
    assert_string_equal(heard.text, "short;");
}

static void test_lines__more_than_so_many_a_second_are_counted(void **state)
{
    struct heard heard = {"", 0, 0};
    struct lines lines = {.bytes = 0};
    struct lines_out out = {on_line, &heard};
    (void)state;
    for (size_t i = 0; i < LINES_A_SECOND + 7; i++)
        lines_feed(&lines, 5000, SPAN_LIT("a line that is longer than 32 bytes for sure\n"), out);
    assert_int_equal(heard.count, LINES_A_SECOND);
    assert_int_equal(lines_left_out(&lines), 7);
    assert_int_equal(lines_left_out(&lines), 0);
    lines_feed(&lines, 5999, SPAN_LIT("no\n"), out);
    assert_int_equal(lines_left_out(&lines), 1);
    lines_feed(&lines, 6000, SPAN_LIT("yes\n"), out);
    assert_string_equal(heard.text, "yes;");
}

static void test_lines__more_than_so_many_bytes_a_second_are_not_to_be_read(void **state)
{
    static char text[65536];
    struct heard heard = {"", 0, 0};
    struct lines lines = {.bytes = 0};
    struct lines_out out = {on_line, &heard};
    size_t fed = 0;
    (void)state;
    for (; !lines_full(&lines); fed += sizeof text)
        lines_feed(&lines, 7000, span_bytes(text, sizeof text), out);
    assert_int_equal(fed, LINES_BYTES_MAX);
    assert_int_equal(lines_due_ms(&lines), 7000 + LINES_WINDOW_MS);
    lines_feed(&lines, 7000 + LINES_WINDOW_MS, SPAN_LIT("x"), out);
    assert_false(lines_full(&lines));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines__are_told_whole_however_they_are_cut),
        cmocka_unit_test(test_lines__long_ones_are_cut),
        cmocka_unit_test(test_lines__more_than_so_many_a_second_are_counted),
        cmocka_unit_test(test_lines__more_than_so_many_bytes_a_second_are_not_to_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
