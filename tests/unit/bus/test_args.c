#include <stdlib.h>

#include "bus/args.h"
#include "tests/lib/t.h"

struct fixture {
    const char *bus, *ready_file, *json;
    struct flag flags[3];
    struct args args;
    struct mk_note note;
    char text[128], *argv[16];
};

/* Parses words that are separated by a space. */
static enum mk_err parse(struct fixture *f, const char *line)
{
    int argc = 0;
    *f = (struct fixture){.bus = NULL};
    f->flags[0] = (struct flag){"bus", "URL", "hubs", &f->bus, false};
    f->flags[1] = (struct flag){"ready-file", "PATH", "a file", &f->ready_file, false};
    f->flags[2] = (struct flag){"json", NULL, "JSON", &f->json, false};
    f->args = (struct args){.flags = f->flags, .flag_count = 3};
    snprintf(f->text, sizeof f->text, "program %s", line);
    for (char *word = strtok(f->text, " "); word; word = strtok(NULL, " "))
        f->argv[argc++] = word;
    return args_parse(&f->args, argc, f->argv, &f->note);
}

static void test_args__flags_and_words_may_mix(void **state)
{
    (void)state;
    struct fixture f;
    enum mk_err err = parse(&f, "s1 --bus a -5 --json --ready-file=b=c - -- --bus");
    assert_int_equal(err, MK_ERR_OK);
    assert_string_equal(f.bus, "a");
    assert_string_equal(f.ready_file, "b=c");
    assert_string_equal(f.json, "true");
    assert_int_equal(f.args.rest_count, 4);
    assert_string_equal(f.args.rest[0], "s1");
    assert_string_equal(f.args.rest[1], "-5");
    assert_string_equal(f.args.rest[2], "-");
    assert_string_equal(f.args.rest[3], "--bus");
}

static void test_args__an_unknown_flag_names_the_allowed_ones(void **state)
{
    (void)state;
    struct fixture f;
    enum mk_err err = parse(&f, "--buss x");
    assert_int_equal(err, MK_ERR_INVALID_FIELD);
    assert_non_null(strstr(f.note.text, "unknown flag `--buss`; allowed: --bus --ready-file --json"));
    assert_null(f.bus);
}

static void test_args__a_flag_without_its_value_says_so(void **state)
{
    (void)state;
    struct fixture f;
    enum mk_err err = parse(&f, "--bus");
    assert_int_equal(err, MK_ERR_INVALID_FIELD);
    assert_non_null(strstr(f.note.text, "--bus wants a value: --bus URL"));
}

static void test_args__a_switch_takes_no_value(void **state)
{
    (void)state;
    struct fixture f;
    enum mk_err err = parse(&f, "--json=1");
    assert_int_equal(err, MK_ERR_INVALID_FIELD);
    assert_non_null(strstr(f.note.text, "takes no value"));
}

static void test_args__the_environment_has_twins_and_the_command_line_wins(void **state)
{
    (void)state;
    setenv("MEERKAT_READY_FILE", "from-env", 1);
    setenv("MEERKAT_BUS", "from-env", 1);
    setenv("MEERKAT_JSON", "1", 1);
    struct fixture f;
    enum mk_err err = parse(&f, "--bus given");
    assert_int_equal(err, MK_ERR_OK);
    assert_string_equal(f.bus, "given");
    assert_string_equal(f.ready_file, "from-env");
    assert_string_equal(f.json, "true");
    setenv("MEERKAT_JSON", "maybe", 1);
    assert_int_equal(parse(&f, ""), MK_ERR_INVALID_FIELD);
    assert_non_null(strstr(f.note.text, "MEERKAT_JSON=maybe: wanted true or false"));
    unsetenv("MEERKAT_READY_FILE");
    unsetenv("MEERKAT_BUS");
    unsetenv("MEERKAT_JSON");
}

static void test_args__times_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"250ms", 250}, {"10s", 10000}, {"2m", 120000}, {"3", 3000}, {"60m", 3600000}};
    static const char *const bad[] = {"", "0", "0ms", "-1s", "1h", "61m", "10 s", "s", "99999999999999999999", "3601"};
    uint64_t ms;
    struct mk_note note;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(args_duration("--timeout", good[i].text, &ms, &note), MK_ERR_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(args_duration("--timeout", bad[i], &ms, &note), MK_ERR_INVALID_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_args__flags_and_words_may_mix),
        cmocka_unit_test(test_args__an_unknown_flag_names_the_allowed_ones),
        cmocka_unit_test(test_args__a_flag_without_its_value_says_so),
        cmocka_unit_test(test_args__a_switch_takes_no_value),
        cmocka_unit_test(test_args__the_environment_has_twins_and_the_command_line_wins),
        cmocka_unit_test(test_args__times_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
