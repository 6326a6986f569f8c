#include "redis/url.h"

#include "tests/lib/t.h"

static void test_url__addresses_are_read(void **state)
{
    static const struct {
        const char *text, *path, *host, *user;
        unsigned port, db;
    } cases[] = {
        {"redis://localhost", "", "localhost", "", 6379, 0},
        {"redis://localhost/", "", "localhost", "", 6379, 0},
        {"redis://10.0.0.1:7000/3", "", "10.0.0.1", "", 7000, 3},
        {"redis://meerkat@db.example:6380/0", "", "db.example", "meerkat", 6380, 0},
        {"redis://[::1]:6379/1", "", "::1", "", 6379, 1},
        {"redis://[fe80::1]", "", "fe80::1", "", 6379, 0},
        {"unix:/run/redis.sock", "/run/redis.sock", "", "", 6379, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_url url;
        struct mk_note note = {""};
        assert_int_equal(redis_url_parse(cases[i].text, &url, &note), MK_ERR_OK);
        assert_string_equal(url.path, cases[i].path);
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(url.user, cases[i].user);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.db, cases[i].db);
    }
}

static void test_url__wrong_addresses_are_refused_with_the_form(void **state)
{
    static const char *const cases[] = {
        "",           "redis://",       "http://x",      "redis://:6379", "redis://h:0", "redis://h:65536",
        "redis://h:", "redis://h:x/0",  "redis://h/x",   "redis://h/0/1", "redis://@h",  "redis://[::1",
        "unix:",      "redis://[::1]x", "redis://h:1 2", "redis://h:-1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct redis_url url;
        struct mk_note note = {""};
        if (redis_url_parse(cases[i], &url, &note) != MK_ERR_INVALID_FIELD)
            fail_msg("'%s' was taken", cases[i]);
        assert_non_null(strstr(note.text, "redis://[USER@]HOST[:PORT][/DB] or unix:PATH"));
    }
}

static void test_url__a_password_in_the_address_is_refused_and_not_repeated(void **state)
{
    struct redis_url url;
    struct mk_note note = {""};
    (void)state;
    assert_int_equal(redis_url_parse("redis://me:secret@h/0", &url, &note), MK_ERR_INVALID_FIELD);
    assert_null(strstr(note.text, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__addresses_are_read),
        cmocka_unit_test(test_url__wrong_addresses_are_refused_with_the_form),
        cmocka_unit_test(test_url__a_password_in_the_address_is_refused_and_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
