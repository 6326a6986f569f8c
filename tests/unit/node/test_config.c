#include "tests/lib/t.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/config.h"

static const char *twins[8][2]; /* name, value; ended by a NULL name */

static char *environment(const char *name)
{
    static char value[256];
    for (size_t i = 0; twins[i][0]; i++) {
        if (strcmp(twins[i][0], name) == 0) {
            snprintf(value, sizeof value, "%s", twins[i][1]);
            return value;
        }
    }
    return NULL;
}

static int no_twins(void **state)
{
    (void)state;
    memset(twins, 0, sizeof twins);
    return 0;
}

/* Arguments by a space. */
static enum mk_err read_line(struct config *config, const char *line, struct mk_note *note)
{
    char text[512], *argv[48] = {NULL};
    int argc = 1;
    char *rest = NULL;
    argv[0] = text;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    memset(note, 0, sizeof *note);
    return config_read(config, argc, argv, environment, note);
}

static void test_config__nothing_given_is_a_useful_node(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    assert_int_equal(read_line(&config, "", &note), MK_ERR_OK);
    assert_true(config.store_memory);
    assert_false(config.bus_given || config.http_given || config.help);
    assert_true(config.auto_register);
    assert_int_equal(config.lease_ms, LEASE_MS_DEFAULT);
    assert_int_equal(config.partitions, PARTITIONS_DEFAULT);
    assert_int_equal(config.groups, 1);
    assert_int_equal(config.run_ms, 3600000);
    assert_int_equal(config.finish_ms, 5000);
    assert_int_equal(config.retain_ms, RETAIN_MS_DEFAULT);
    assert_int_equal(config.retain_bytes, RETAIN_BYTES_DEFAULT);
    assert_int_equal(config.frame_bytes, FRAME_BYTES_DEFAULT);
    assert_int_equal(config.log_level, TRACE_INFO);
    assert_int_equal(config.log_format, LOG_LOGFMT);
    assert_span_equal(id_span(&config.default_executor), "echo");
    assert_int_equal(config.node.bytes, 0);
}

static void test_config__every_flag_is_read_in_both_forms(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    enum mk_err err =
        read_line(&config,
                  "--node-id n1 --store=unix:/tmp/s --bus tcp://h:1|tcp://h:2 --executor sum=builtin:counter "
                  "--executor=nap=builtin:sleep --default-executor sum --lease-ms=700 --partitions 16 --groups 4 "
                  "--auto-register no --idle-evict-ms 500 --stop-ms 0 --run-ms 7 --finish-ms 8 --http [::1]:0 "
                  "--ready-file /tmp/r "
                  "--log-level debug --log-format json",
                  &note);
    assert_string_equal(note.text, "");
    assert_int_equal(err, MK_ERR_OK);
    assert_span_equal(id_span(&config.node), "n1");
    assert_false(config.store_memory);
    assert_string_equal(config.store, "unix:/tmp/s");
    assert_true(config.bus_given);
    assert_string_equal(config.bus.list[0].out.text, "tcp://h:2");
    assert_int_equal(config.executor_count, 2);
    assert_int_equal(config.executors[1].builtin, BUILTIN_SLEEP);
    assert_int_equal(config.lease_ms, 700);
    assert_int_equal(config.groups, 4);
    assert_false(config.auto_register);
    assert_int_equal(config.stop_ms, 0);
    assert_int_equal(config.run_ms, 7);
    assert_int_equal(config.finish_ms, 8);
    assert_string_equal(config.http_host, "::1");
    assert_int_equal(config.http_port, 0);
    assert_string_equal(config.ready_file, "/tmp/r");
    assert_int_equal(config.log_level, TRACE_DEBUG);
    assert_int_equal(config.log_format, LOG_JSON);
}

static void test_config__the_flag_wins_over_its_twin(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    twins[0][0] = "MEERKAT_LEASE_MS", twins[0][1] = "900";
    twins[1][0] = "MEERKAT_PARTITIONS", twins[1][1] = "32";
    twins[2][0] = "MEERKAT_EXECUTOR", twins[2][1] = "a=builtin:echo\nb=builtin:fail\n";
    assert_int_equal(read_line(&config, "--lease-ms 800", &note), MK_ERR_OK);
    assert_int_equal(config.lease_ms, 800);
    assert_int_equal(config.partitions, 32);
    assert_int_equal(config.executor_count, 2);
}

static void test_config__a_twin_of_several_lines_takes_whole_commands(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    twins[0][0] = "MEERKAT_EXECUTOR", twins[0][1] = "a=exec:2:cd /x && exec ./run --quick\nb=builtin:fail";
    assert_int_equal(read_line(&config, "", &note), MK_ERR_OK);
    assert_int_equal(config.executor_count, 2);
    assert_int_equal(config.executors[0].children, 2);
    assert_string_equal(config.executors[0].command, "cd /x && exec ./run --quick");
}

static void test_config__a_wrong_value_is_named_with_what_is_allowed(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"--bogus", "`--bogus` is no flag; --help lists them"},
        {"stray", "`stray` is no flag; --help lists them"},
        {"--lease", "`--lease` is no flag; --help lists them"},
        {"--lease-ms", "--lease-ms needs a value: MS, how soon a dead node's sessions are free"},
        {"--lease-ms 10", "--lease-ms `10`: wanted a whole number from 500 to 600000"},
        {"--lease-ms=", "--lease-ms ``: wanted a whole number from 500 to 600000"},
        {"--lease-ms 600001", "--lease-ms `600001`: wanted a whole number from 500 to 600000"},
        {"--lease-ms 99999999999999999999",
         "--lease-ms `99999999999999999999`: wanted a whole number from 500 to 600000"},
        {"--partitions -1", "--partitions `-1`: wanted a whole number from 1 to 4096"},
        {"--partitions 1.5", "--partitions `1.5`: wanted a whole number from 1 to 4096"},
        {"--groups 8 --partitions 4", "--groups `8`: wanted at most as many as --partitions, 4"},
        {"--node-id a/b", "--node-id `a/b`: wanted 1 to 64 characters of A-Z a-z 0-9 . _ : -"},
        {"--store mysql://x", "--store `mysql://x`: wanted memory:, redis://[USER@]HOST:PORT/DB or unix:PATH"},
        {"--log-level loud", "--log-level `loud`: wanted one of: error warn info debug"},
        {"--log-level inf", "--log-level `inf`: wanted one of: error warn info debug"},
        {"--auto-register maybe", "--auto-register `maybe`: wanted one of: yes no"},
        {"--help=yes", "--help takes no value"},
        {"--store-password-file /nonexistent/x",
         "--store-password-file `/nonexistent/x`: wanted a file that can be read"},
        {"--executor x=exec:0:cat", "--executor `x=exec:0:cat`: wanted exec:N:COMMAND, N from 1 to 256 children"},
        {"--executor x=builtin:nothing",
         "--executor `x=builtin:nothing`: wanted builtin:echo, builtin:counter, builtin:sleep, "
         "builtin:fail or exec:N:COMMAND"},
        {"--default-executor absent",
         "--default-executor `absent`: wanted echo, counter, sleep, fail or the NAME of an --executor"},
    };
    struct config config;
    struct mk_note note;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_line(&config, cases[i].line, &note), MK_ERR_INVALID_FIELD);
        assert_string_equal(note.text, cases[i].says);
    }
}

static void test_config__addresses_for_http_are_numeric_with_a_port(void **state)
{
    static const char *const wrong[] = {"nowhere", "127.0.0.1",      "127.0.0.1:65536", "127.0.0.1:x",
                                        ":80",     "example.org:80", "[::1:80"};
    struct config config;
    struct mk_note note;
    char line[64];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(line, sizeof line, "--http %s", wrong[i]);
        assert_int_equal(read_line(&config, line, &note), MK_ERR_INVALID_FIELD);
        assert_non_null(strstr(note.text, wrong[i]));
    }
    assert_int_equal(read_line(&config, "--http localhost:81", &note), MK_ERR_OK);
    assert_string_equal(config.http_host, "127.0.0.1");
    assert_int_equal(config.http_port, 81);
    assert_int_equal(read_line(&config, "--http localhost:81 --http off", &note), MK_ERR_OK);
    assert_false(config.http_given);
}

static void test_config__a_wrong_twin_is_named_as_such(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    twins[0][0] = "MEERKAT_LEASE_MS", twins[0][1] = "10";
    assert_int_equal(read_line(&config, "", &note), MK_ERR_INVALID_FIELD);
    assert_string_equal(note.text, "MEERKAT_LEASE_MS `10`: wanted a whole number from 500 to 600000");
}

static void test_config__a_secret_comes_from_the_first_line_of_a_file(void **state)
{
    struct config config;
    struct mk_note note;
    char path[] = "/tmp/meerkat-secret-XXXXXX";
    (void)state;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "pa ss\nnot this\n", 15), 15);
    close(fd);
    twins[0][0] = "MEERKAT_STORE_PASSWORD_FILE", twins[0][1] = path;
    enum mk_err err = read_line(&config, "--store redis://127.0.0.1:6379/0", &note);
    unlink(path);
    assert_int_equal(err, MK_ERR_OK);
    assert_string_equal(config.store_password, "pa ss");
}

static void test_config__a_flag_may_stand_alone_or_be_taken_back(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    assert_int_equal(read_line(&config, "--allow-volatile --lease-ms 700", &note), MK_ERR_OK);
    assert_true(config.allow_volatile);
    assert_int_equal(config.lease_ms, 700);
    twins[0][0] = "MEERKAT_ALLOW_VOLATILE", twins[0][1] = "yes";
    assert_int_equal(read_line(&config, "", &note), MK_ERR_OK);
    assert_true(config.allow_volatile);
    assert_int_equal(read_line(&config, "--allow-volatile=no", &note), MK_ERR_OK);
    assert_false(config.allow_volatile);
}

static void test_config__help_version_and_print_machine_end_the_reading(void **state)
{
    struct config config;
    struct mk_note note;
    (void)state;
    assert_int_equal(read_line(&config, "--help --bogus", &note), MK_ERR_OK);
    assert_true(config.help);
    assert_int_equal(read_line(&config, "--version", &note), MK_ERR_OK);
    assert_true(config.version);
    assert_int_equal(read_line(&config, "--print-machine --bogus", &note), MK_ERR_OK);
    assert_true(config.print_machine);
    assert_int_equal(read_line(&config, "--bogus --print-machine", &note), MK_ERR_INVALID_FIELD);
}

static void test_config__help_names_every_flag_once(void **state)
{
    char text[8192] = "";
    (void)state;
    FILE *to = fmemopen(text, sizeof text, "w");
    config_help(to);
    fclose(to);
    assert_non_null(strstr(text, "--lease-ms MS"));
    assert_non_null(strstr(text, "(3000)"));
    assert_non_null(strstr(text, "--version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_config__nothing_given_is_a_useful_node, no_twins),
        cmocka_unit_test_setup(test_config__every_flag_is_read_in_both_forms, no_twins),
        cmocka_unit_test_setup(test_config__the_flag_wins_over_its_twin, no_twins),
        cmocka_unit_test_setup(test_config__a_twin_of_several_lines_takes_whole_commands, no_twins),
        cmocka_unit_test_setup(test_config__a_wrong_value_is_named_with_what_is_allowed, no_twins),
        cmocka_unit_test_setup(test_config__addresses_for_http_are_numeric_with_a_port, no_twins),
        cmocka_unit_test_setup(test_config__a_wrong_twin_is_named_as_such, no_twins),
        cmocka_unit_test_setup(test_config__a_secret_comes_from_the_first_line_of_a_file, no_twins),
        cmocka_unit_test_setup(test_config__a_flag_may_stand_alone_or_be_taken_back, no_twins),
        cmocka_unit_test_setup(test_config__help_version_and_print_machine_end_the_reading, no_twins),
        cmocka_unit_test_setup(test_config__help_names_every_flag_once, no_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
