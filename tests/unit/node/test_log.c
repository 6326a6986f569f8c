#include "tests/lib/t.h"

#include <unistd.h>

#include "node/log.h"

static uint64_t unix_ms(void *self)
{
    (void)self;
    return 1767225599123; /* the last second of 2025 */
}

/* A logger that writes into a pipe. */
struct fixture {
    struct logger logger;
    int pipe[2];
    char line[2 * LOG_LINE_BYTES];
};

static int setup(void **state)
{
    static struct fixture f;
    static const struct clock_ops clock = {NULL, unix_ms, NULL};
    memset(&f, 0, sizeof f);
    assert_int_equal(pipe(f.pipe), 0);
    f.logger = (struct logger){.fd = f.pipe[1], .level = TRACE_INFO, .clock = {&clock, NULL}};
    id_set(&f.logger.node, span_of("n1"));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->pipe[0]);
    close(f->pipe[1]);
    return 0;
}

/* The line that a field leads to, behind what all lines begin with. */
static const char *say(struct fixture *f, struct span text)
{
    const struct trace_field field = {"k", text, 7};
    logger_line(&f->logger, TRACE_WARN, "it happened", &field, 1);
    ssize_t bytes = read(f->pipe[0], f->line, sizeof f->line - 1);
    assert_true(bytes > 0 && f->line[bytes - 1] == '\n');
    f->line[bytes] = '\0';
    const char *from = strstr(f->line, f->logger.format == LOG_JSON ? "\"k\":" : " k=");
    assert_non_null(from);
    return from;
}

static void test_log__a_logfmt_line_has_time_level_node_and_fields(void **state)
{
    struct fixture *f = *state;
    say(f, span_of("plain"));
    assert_string_equal(f->line, "t=2025-12-31T23:59:59.123Z level=warn node=n1 msg=\"it happened\" k=plain\n");
}

static void test_log__a_json_line_is_one_object(void **state)
{
    struct fixture *f = *state;
    f->logger.format = LOG_JSON;
    say(f, (struct span){0});
    assert_string_equal(
        f->line,
        "{\"t\":\"2025-12-31T23:59:59.123Z\",\"level\":\"warn\",\"node\":\"n1\",\"msg\":\"it happened\",\"k\":7}\n");
}

static void test_log__what_would_break_a_line_is_escaped(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(say(f, span_of("a b")), " k=\"a b\"\n");
    assert_string_equal(say(f, SPAN_LIT("")), " k=\"\"\n");
    assert_string_equal(say(f, span_of("a\"\\\n\x1b[0m")), " k=\"a\\\"\\\\\\n\\u001b[0m\"\n");
    assert_string_equal(say(f, span_bytes("a\0b", 3)), " k=\"a\\u0000b\"\n");
    assert_string_equal(say(f, span_of("a=b")), " k=\"a=b\"\n");
    f->logger.format = LOG_JSON;
    assert_string_equal(say(f, span_of("a\"\\\t")), "\"k\":\"a\\\"\\\\\\u0009\"}\n");
}

static void test_log__bytes_that_are_no_utf8_are_replaced(void **state)
{
    struct fixture *f = *state;
    f->logger.format = LOG_JSON;
    assert_string_equal(say(f, span_of("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")),
                        "\"k\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}\n");
    assert_string_equal(say(f, span_of("\xff")), "\"k\":\"\\ufffd\"}\n");
    assert_string_equal(say(f, span_of("\xc3")), "\"k\":\"\\ufffd\"}\n");                       /* cut short */
    assert_string_equal(say(f, span_of("\xc0\x80")), "\"k\":\"\\ufffd\\ufffd\"}\n");            /* overlong */
    assert_string_equal(say(f, span_of("\xed\xa0\x80")), "\"k\":\"\\ufffd\\ufffd\\ufffd\"}\n"); /* a surrogate */
}

static void test_log__a_field_that_does_not_fit_is_left_out_and_said(void **state)
{
    static char big[LOG_LINE_BYTES];
    struct fixture *f = *state;
    memset(big, 'x', sizeof big);
    const struct trace_field fields[] = {{"a", {0}, 1}, {"big", {big, sizeof big}, 0}, {"b", {0}, 2}};
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        f->logger.format = (enum log_format)format;
        logger_line(&f->logger, TRACE_ERROR, "e", fields, 3);
        ssize_t bytes = read(f->pipe[0], f->line, sizeof f->line - 1);
        assert_true(bytes > 0 && bytes <= LOG_LINE_BYTES);
        f->line[bytes] = '\0';
        assert_non_null(strstr(f->line, format == LOG_JSON ? ",\"a\":1,\"cut\":true}\n" : " a=1 cut=true\n"));
    }
}

static void test_log__a_level_below_the_wanted_one_is_silent(void **state)
{
    struct fixture *f = *state;
    struct trace_port port = logger_port(&f->logger);
    port.ops->line(port.self, TRACE_DEBUG, "unheard", NULL, 0);
    port.ops->line(port.self, TRACE_INFO, "heard", NULL, 0);
    ssize_t bytes = read(f->pipe[0], f->line, sizeof f->line - 1);
    assert_true(bytes > 0);
    f->line[bytes] = '\0';
    assert_string_equal(f->line, "t=2025-12-31T23:59:59.123Z level=info node=n1 msg=heard\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log__a_logfmt_line_has_time_level_node_and_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__a_json_line_is_one_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__what_would_break_a_line_is_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__bytes_that_are_no_utf8_are_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__a_field_that_does_not_fit_is_left_out_and_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log__a_level_below_the_wanted_one_is_silent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
