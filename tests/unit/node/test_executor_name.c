#include "tests/lib/t.h"

#include <stdio.h>

#include "node/executor_name.h"

static enum mk_err parse(struct executor_name *name, const char *text, struct mk_note *note)
{
    return executor_name_parse(name, span_of(text), note);
}

static void test_executor_name__a_builtin_gets_another_name(void **state)
{
    struct executor_name name;
    (void)state;
    assert_int_equal(parse(&name, "sum=builtin:counter", NULL), MK_ERR_OK);
    assert_span_equal(id_span(&name.name), "sum");
    assert_int_equal(name.builtin, BUILTIN_COUNTER);
    assert_int_equal(name.children, 0);
}

static void test_executor_name__a_command_is_taken_as_it_is(void **state)
{
    struct executor_name name;
    (void)state;
    assert_int_equal(parse(&name, "a=exec:256:cd /x && FOO=b:c python3 -u run.py", NULL), MK_ERR_OK);
    assert_int_equal(name.builtin, BUILTIN_COUNT);
    assert_int_equal(name.children, 256);
    assert_string_equal(name.command, "cd /x && FOO=b:c python3 -u run.py");
    assert_int_equal(parse(&name, "a=exec:1:x", NULL), MK_ERR_OK);
    assert_int_equal(name.children, 1);
}

static void test_executor_name__what_is_none_is_refused_with_what_is_allowed(void **state)
{
    static const char *const children = "wanted exec:N:COMMAND, N from 1 to 256 children";
    static const char *const command = "wanted exec:N:COMMAND, COMMAND of 1 to 1023 bytes for sh -c";
    static const char *const spec =
        "wanted builtin:echo, builtin:counter, builtin:sleep, builtin:fail or exec:N:COMMAND";
    const struct {
        const char *text, *says;
    } cases[] = {
        {"x=exec:0:cat", children},   {"x=exec:257:cat", children}, {"x=exec:99999999999:cat", children},
        {"x=exec::cat", children},    {"x=exec:-1:cat", children},  {"x=exec:2", children},
        {"x=exec:two:cat", children}, {"x=exec:", children},        {"x=exec:2:", command},
        {"x=builtin:nothing", spec},  {"x=builtin:", spec},         {"x=", spec},
        {"x=exe:1:cat", spec},        {"x=EXEC:1:cat", spec},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct executor_name name;
        struct mk_note note = {""};
        assert_int_equal(parse(&name, cases[i].text, &note), MK_ERR_INVALID_FIELD);
        assert_string_equal(note.text, cases[i].says);
    }
}

static void test_executor_name__a_command_has_a_bound(void **state)
{
    char text[EXECUTOR_COMMAND_BYTES + 32];
    struct executor_name name;
    (void)state;
    int head = snprintf(text, sizeof text, "x=exec:1:");
    memset(text + head, 'y', EXECUTOR_COMMAND_BYTES - 1);
    text[head + EXECUTOR_COMMAND_BYTES - 1] = '\0';
    assert_int_equal(parse(&name, text, NULL), MK_ERR_OK);
    assert_int_equal(strlen(name.command), EXECUTOR_COMMAND_BYTES - 1);
    strcat(text, "y");
    assert_int_equal(parse(&name, text, NULL), MK_ERR_INVALID_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_executor_name__a_builtin_gets_another_name),
        cmocka_unit_test(test_executor_name__a_command_is_taken_as_it_is),
        cmocka_unit_test(test_executor_name__what_is_none_is_refused_with_what_is_allowed),
        cmocka_unit_test(test_executor_name__a_command_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
