#include "bus/url.h"
#include "tests/lib/t.h"

static void test_url__names_the_other_end_of_every_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *text, *in, *out;
    } cases[] = {
        {"tcp://127.0.0.1:7400", "tcp://127.0.0.1:7400", "tcp://127.0.0.1:7401"},
        {"tcp://[::1]:9", "tcp://[::1]:9", "tcp://[::1]:10"},
        {"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", "tcp://127.0.0.1:0"},
        {"tls+tcp://hub.example:65534", "tls+tcp://hub.example:65534", "tls+tcp://hub.example:65535"},
        {"ws://localhost:80/bus", "ws://localhost:80/bus", "ws://localhost:81/bus"},
        {"ipc:///run/m/hub", "ipc:///run/m/hub", "ipc:///run/m/hub.out"},
        {"inproc://a", "inproc://a", "inproc://a.out"},
        {"tcp://a:1|ipc:///x", "tcp://a:1", "ipc:///x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bus_url url;
        struct mk_note note;
        assert_int_equal(bus_url_parse(span_of(cases[i].text), &url, &note), MK_ERR_OK);
        assert_string_equal(url.in.text, cases[i].in);
        assert_string_equal(url.out.text, cases[i].out);
    }
}

static void test_url__a_wrong_one_says_its_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "none of tcp://HOST:PORT"},
        {"tcp:/a:1", "none of tcp://HOST:PORT"},
        {"http://a:1", "`http://a:1` is none of tcp"},
        {"tcp://127.0.0.1", "has no port"},
        {"tcp://:7400", "has no port"},
        {"tcp://a:b", "has no port"},
        {"tcp://a:70000", "PORT 0 to 65535"},
        {"tcp://[::1]", "has no port"},
        {"tcp://a:65535", "at most 65534"},
        {"tcp://a:1/x", "only ws:// takes one"},
        {"ipc://", "names nothing"},
        {"inproc://", "names nothing"},
        {"tcp://a:1|", "none of tcp://HOST:PORT"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bus_url url;
        struct mk_note note = {{0}};
        assert_int_equal(bus_url_parse(span_of(cases[i].text), &url, &note), MK_ERR_INVALID_FIELD);
        if (!strstr(note.text, cases[i].said))
            fail_msg("%s: %s", cases[i].text, note.text);
    }
}

static void test_url__a_long_one_is_too_large(void **state)
{
    (void)state;
    char text[400];
    struct bus_url url;
    struct mk_note note;
    memset(text, 'x', sizeof text);
    memcpy(text, "ipc://", 6);
    assert_int_equal(bus_url_parse((struct span){text, 6 + 103}, &url, &note), MK_ERR_OK); /* 107 with .out */
    assert_int_equal(bus_url_parse((struct span){text, 6 + 104}, &url, &note), MK_ERR_TOO_LARGE);
    assert_int_equal(bus_url_parse((struct span){text, sizeof text}, &url, &note), MK_ERR_TOO_LARGE);
    memcpy(text, "inproc://", 9);
    assert_int_equal(bus_url_parse((struct span){text, 251}, &url, &note), MK_ERR_OK);
    assert_int_equal(bus_url_parse((struct span){text, 252}, &url, &note), MK_ERR_TOO_LARGE);
}

static void test_url__a_zero_byte_is_refused(void **state)
{
    (void)state;
    struct bus_url url;
    assert_int_equal(bus_url_parse((struct span){"inproc://a\0b", 12}, &url, NULL), MK_ERR_INVALID_FIELD);
}

static void test_urls__a_list_names_several_hubs(void **state)
{
    (void)state;
    struct bus_urls urls;
    struct mk_note note;
    assert_int_equal(bus_urls_parse(span_of("tcp://a:1,ipc:///b|ipc:///c"), &urls, &note), MK_ERR_OK);
    assert_int_equal(urls.count, 2);
    assert_string_equal(urls.list[0].out.text, "tcp://a:2");
    assert_string_equal(urls.list[1].out.text, "ipc:///c");
    assert_int_equal(bus_urls_parse(span_of("tcp://a:1,"), &urls, &note), MK_ERR_INVALID_FIELD);
    assert_int_equal(bus_urls_parse(span_of("tcp://a:0"), &urls, &note), MK_ERR_INVALID_FIELD);
    assert_non_null(strstr(note.text, "port 0"));
    assert_int_equal(
        bus_urls_parse(span_of("inproc://1,inproc://2,inproc://3,inproc://4,inproc://5,inproc://6,inproc://7,"
                               "inproc://8,inproc://9"),
                       &urls, &note),
        MK_ERR_TOO_LARGE);
}

static void test_url__the_real_port_takes_its_place(void **state)
{
    (void)state;
    struct bus_url url;
    char text[BUS_URL_PAIR_BYTES];
    assert_int_equal(bus_url_parse(span_of("ws://127.0.0.1:0/x"), &url, NULL), MK_ERR_OK);
    assert_int_equal(bus_end_set_port(&url.in, 4321, NULL), MK_ERR_OK);
    assert_int_equal(bus_end_port(&url.in), 4321);
    size_t length = bus_url_write(text, sizeof text, &url);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "ws://127.0.0.1:4321/x|ws://127.0.0.1:0/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__names_the_other_end_of_every_scheme),
        cmocka_unit_test(test_url__a_wrong_one_says_its_value_and_what_is_allowed),
        cmocka_unit_test(test_url__a_long_one_is_too_large),
        cmocka_unit_test(test_url__a_zero_byte_is_refused),
        cmocka_unit_test(test_urls__a_list_names_several_hubs),
        cmocka_unit_test(test_url__the_real_port_takes_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
