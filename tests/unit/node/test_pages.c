#include "tests/lib/t.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/pages.h"

static int setup(void **state)
{
    static struct pages_view view;
    view = (struct pages_view){
        .loop_age_ms = 3, .loop_age_ms_max = 5000, .driver = {.partitions_owned = 256, .accepted = 42}};
    *state = &view;
    return 0;
}

/* The page's text, until the next call. */
static const char *text(void (*fill)(const struct pages_view *, struct http_page *), const struct pages_view *view,
                        unsigned *status)
{
    static char copy[16384];
    struct http_page page = {.status = 200};
    fill(view, &page);
    snprintf(copy, sizeof copy, "%.*s", (int)page.body.bytes, page.body.at);
    buf_fini(&page.body);
    *status = page.status;
    return copy;
}

static void test_pages__a_loop_that_turns_is_healthy_and_one_that_stands_is_not(void **state)
{
    struct pages_view *view = *state;
    unsigned status;
    assert_string_equal(text(pages_health, view, &status),
                        "{\"healthy\":true,\"loop_age_ms\":3,\"loop_age_ms_max\":5000,\"uptime_ms\":0}\n");
    assert_int_equal(status, 200);
    view->loop_age_ms = 5001;
    assert_non_null(strstr(text(pages_health, view, &status), "\"healthy\":false"));
    assert_int_equal(status, 503);
}

static void test_pages__readiness_gives_the_reason_as_json(void **state)
{
    struct pages_view *view = *state;
    unsigned status;
    assert_string_equal(text(pages_ready, view, &status), "{\"ready\":true,\"partitions_owned\":256}\n");
    assert_int_equal(status, 200);
    view->unready_why = "ERR \"x\\y\"\n";
    assert_string_equal(text(pages_ready, view, &status),
                        "{\"ready\":false,\"reason\":\"ERR \\\"x\\\\y\\\"?\",\"partitions_owned\":256}\n");
    assert_int_equal(status, 503);
}

static void test_pages__every_metric_has_help_and_type_and_a_name_of_its_own(void **state)
{
    struct pages_view *view = *state;
    unsigned status;
    const char *line = text(pages_metrics, view, &status);
    size_t metrics = 0;
    assert_non_null(strstr(line, "\nmeerkat_accepted_total 42\n"));
    assert_non_null(strstr(line, "\nmeerkat_ready 1\n"));
    while (*line) {
        char help[80], type[80], kind[16], name[80];
        unsigned long long value;
        assert_int_equal(sscanf(line, "# HELP %79s ", help), 1);
        line = strchr(line, '\n') + 1;
        assert_int_equal(sscanf(line, "# TYPE %79s %15s", type, kind), 2);
        line = strchr(line, '\n') + 1;
        assert_int_equal(sscanf(line, "%79s %llu", name, &value), 2);
        line = strchr(line, '\n') + 1;
        assert_string_equal(help, name);
        assert_string_equal(type, name);
        bool is_total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
        assert_string_equal(kind, is_total ? "counter" : "gauge");
        assert_null(strstr(line, strcat(help, " "))); /* no second one */
        metrics++;
    }
    assert_true(metrics > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pages__a_loop_that_turns_is_healthy_and_one_that_stands_is_not, setup),
        cmocka_unit_test_setup(test_pages__readiness_gives_the_reason_as_json, setup),
        cmocka_unit_test_setup(test_pages__every_metric_has_help_and_type_and_a_name_of_its_own, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
