#include "tests/lib/t.h"

#include "codec/topic.h"

/* The partition of a topic that has none, or a star for it. */
#define NONE 0

static const struct {
    const char *text;
    enum topic_class class;
    uint32_t partition;
    const char *name; /* NULL: a star */
    bool any_partition;
} sound[] = {
    {"in/0000/s", TOPIC_IN, 0, "s", false},         {"in/00ff/a.b_c:d-E9", TOPIC_IN, 255, "a.b_c:d-E9", false},
    {"in/abcd/*", TOPIC_IN, 0xabcd, NULL, false},   {"in/*/*", TOPIC_IN, NONE, NULL, true},
    {"ctl/0fff/s1", TOPIC_CTL, 0xfff, "s1", false}, {"ctl/*/*", TOPIC_CTL, NONE, NULL, true},
    {"node/n1", TOPIC_NODE, NONE, "n1", false},     {"node/*", TOPIC_NODE, NONE, NULL, false},
    {"re/cli-1", TOPIC_RE, NONE, "cli-1", false},   {"ev/s1", TOPIC_EV, NONE, "s1", false},
    {"ev/*", TOPIC_EV, NONE, NULL, false},          {"hb/n1", TOPIC_HB, NONE, "n1", false},
};

static void test_topic__every_form_is_read_and_written_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) {
        char text[TOPIC_BYTES_MAX + 1];
        struct topic topic;
        assert_int_equal(topic_parse(span_of(sound[i].text), &topic), MK_ERR_OK);
        assert_int_equal(topic.class, sound[i].class);
        assert_int_equal(topic.partition, sound[i].partition);
        assert_int_equal(topic.any_partition, sound[i].any_partition);
        assert_int_equal(topic.any_name, !sound[i].name);
        if (sound[i].name)
            assert_span_equal(topic.name, sound[i].name);
        assert_int_equal(topic_write(text, sizeof text, &topic), strlen(sound[i].text) + 1);
        assert_string_equal(text, sound[i].text);
    }
}

static void test_topic__anything_else_is_malformed(void **state)
{
    static const char *const wrong[] = {
        "",          "in",      "in/",   "in/0000",     "in/0000/",    "in/000/s",   "in/00000/s", "in/00FF/s",
        "in/00g0/s", "in/*/s",  "in//s", "in/0000/a/b", "in/0000/a b", "in/0000/*x", "IN/0000/s",  "inn/0000/s",
        "/0000/s",   "ctl/*/s", "node/", "node",        "node/a/b",    "node/**",    "re/*",       "re/",
        "ev/",       "ev/a/b",  "ev/*/", "hb/*",        "hb/",         "hb/a\n",     "xx/a",       " ev/a",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct topic topic;
        if (topic_parse(span_of(wrong[i]), &topic) != MK_ERR_MALFORMED)
            fail_msg("\"%s\" was read", wrong[i]);
    }
}

/* `class` and a name of so many bytes. */
static enum mk_err parse_long(const char *class, size_t bytes)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct topic topic;
    size_t at = strlen(class);
    memcpy(text, class, at);
    memset(text + at, 'x', bytes);
    return topic_parse(span_bytes(text, at + bytes), &topic);
}

static void test_topic__names_have_their_bounds(void **state)
{
    static const struct {
        const char *class;
        size_t most;
    } bounds[] = {{"in/0000/", SESSION_ID_BYTES_MAX}, {"ctl/0000/", SESSION_ID_BYTES_MAX},
                  {"ev/", SESSION_ID_BYTES_MAX},      {"node/", MESSAGE_ID_BYTES_MAX},
                  {"re/", MESSAGE_ID_BYTES_MAX},      {"hb/", MESSAGE_ID_BYTES_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        assert_int_equal(parse_long(bounds[i].class, bounds[i].most), MK_ERR_OK);
        assert_int_equal(parse_long(bounds[i].class, bounds[i].most + 1), MK_ERR_MALFORMED);
    }
}

static void test_topic__a_topic_that_does_not_fit_is_cut_and_never_overflows(void **state)
{
    char text[8] = "-------";
    struct topic topic = {.class = TOPIC_EV, .name = SPAN_LIT("session")};
    (void)state;
    assert_int_equal(topic_write(text, 4, &topic), 4);
    assert_memory_equal(text, "ev/s---", 8);
}

static void test_topic__a_frame_is_split_at_its_first_zero(void **state)
{
    struct span topic, map;
    (void)state;
    assert_int_equal(frame_split(SPAN_LIT("ev/s\0\x80\0"), &topic, &map), MK_ERR_OK);
    assert_span_equal(topic, "ev/s");
    assert_int_equal(map.bytes, 2);
    assert_int_equal(frame_split(SPAN_LIT("\0\x80"), &topic, &map), MK_ERR_OK); /* topic_parse refuses the topic */
    assert_int_equal(topic.bytes, 0);
    assert_int_equal(frame_split(SPAN_LIT("ev/s\0"), &topic, &map), MK_ERR_MALFORMED);
    assert_int_equal(frame_split(SPAN_LIT("ev/s"), &topic, &map), MK_ERR_MALFORMED);
    assert_int_equal(frame_split(SPAN_LIT(""), &topic, &map), MK_ERR_MALFORMED);
    assert_int_equal(frame_split((struct span){NULL, 0}, &topic, &map), MK_ERR_MALFORMED);
}

static void test_topic__a_topic_of_a_frame_has_its_bound(void **state)
{
    char frame[TOPIC_BYTES_MAX + 3];
    struct span topic, map;
    (void)state;
    memset(frame, 'x', sizeof frame);
    frame[TOPIC_BYTES_MAX] = '\0';
    assert_int_equal(frame_split(span_bytes(frame, sizeof frame), &topic, &map), MK_ERR_OK);
    frame[TOPIC_BYTES_MAX] = 'x';
    frame[TOPIC_BYTES_MAX + 1] = '\0';
    assert_int_equal(frame_split(span_bytes(frame, sizeof frame), &topic, &map), MK_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topic__every_form_is_read_and_written_alike),
        cmocka_unit_test(test_topic__anything_else_is_malformed),
        cmocka_unit_test(test_topic__names_have_their_bounds),
        cmocka_unit_test(test_topic__a_topic_that_does_not_fit_is_cut_and_never_overflows),
        cmocka_unit_test(test_topic__a_frame_is_split_at_its_first_zero),
        cmocka_unit_test(test_topic__a_topic_of_a_frame_has_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
