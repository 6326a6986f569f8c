#include "tests/lib/t.h"

#include <stdio.h>

#include "node/executor.h"

#define BOUND_MS 5000 /* a test that waits longer has failed */

struct fixture {
    uv_loop_t loop;
    struct executor *executor;
    struct executor_port port;
    char told[256]; /* "session end" of each end, in order */
    size_t ends;
};

static void on_done(void *user, struct span session, const struct run_done *done)
{
    static const char *const ends[] = {"result", "no_result", "pending", "failed", "cancelled", "stopped", "internal"};
    struct fixture *f = user;
    size_t used = strlen(f->told);
    snprintf(f->told + used, sizeof f->told - used, "%.*s %s;", SPAN_ARGS(session), ends[done->end]);
    f->ends++;
}

static int setup(void **state)
{
    static struct fixture f;
    struct executor_name name;
    memset(&f, 0, sizeof f);
    assert_int_equal(executor_name_parse(&name, span_of("nap=builtin:sleep"), NULL), MK_ERR_OK);
    uv_loop_init(&f.loop);
    struct executor_options options = {
        .names = &name, .name_count = 1, .default_name = SPAN_LIT("echo"), .on_done = on_done, .user = &f};
    f.executor = executor_new(&f.loop, &options);
    assert_non_null(f.executor);
    f.port = executor_port(f.executor);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    executor_close(f->executor);
    for (uint64_t end = uv_hrtime() + BOUND_MS * 1000000ull; uv_run(&f->loop, UV_RUN_NOWAIT) && uv_hrtime() < end;)
        continue;
    return uv_loop_close(&f->loop);
}

static void start(struct fixture *f, const char *session, const char *run, const char *executor, const char *body)
{
    struct run_record record = {.attempt = 1};
    struct mk_input input = {.body = span_of(body)};
    struct run_input list = {&input, 1};
    id_set(&record.id, span_of(run));
    struct run_request request = {
        .session = span_of(session), .executor = span_of(executor), .run = &record, .inputs = &list, .input_count = 1};
    f->port.ops->start(f->port.self, &request);
}

static void on_bound(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Runs the loop until so many runs have ended. */
static void await_ends(struct fixture *f, size_t ends)
{
    uv_timer_t bound;
    bool late = false;
    uv_timer_init(&f->loop, &bound);
    bound.data = &late;
    uv_timer_start(&bound, on_bound, BOUND_MS, 0);
    while (f->ends < ends && !late) {
        uv_run(&f->loop, UV_RUN_ONCE);
        executor_deliver(f->executor);
    }
    uv_close((uv_handle_t *)&bound, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_false(late);
}

static void test_executor__an_end_is_never_told_inside_start(void **state)
{
    struct fixture *f = *state;
    start(f, "a", "r1", NULL, "\x01");
    assert_int_equal(f->ends, 0);
    assert_true(executor_pending(f->executor));
    assert_int_equal(executor_running(f->executor), 1);
    await_ends(f, 1);
    assert_string_equal(f->told, "a result;");
    assert_int_equal(executor_running(f->executor), 0);
}

static void test_executor__ends_come_in_order_and_sleep_comes_later(void **state)
{
    struct fixture *f = *state;
    start(f, "a", "r1", "nap", "\x14");
    start(f, "b", "r2", "echo", "\x01");
    start(f, "c", "r3", "counter", "\x01");
    await_ends(f, 3);
    assert_string_equal(f->told, "b result;c result;a result;");
}

static void test_executor__a_cancel_ends_a_sleeping_run_once(void **state)
{
    struct fixture *f = *state;
    start(f, "a", "r1", "sleep", "\xce\x7f\xff\xff\xff");
    f->port.ops->cancel(f->port.self, span_of("a"), span_of("r0"), true); /* another run: ignored */
    assert_false(executor_pending(f->executor));
    f->port.ops->cancel(f->port.self, span_of("a"), span_of("r1"), false);
    f->port.ops->cancel(f->port.self, span_of("a"), span_of("r1"), true);
    await_ends(f, 1);
    assert_int_equal(executor_deliver(f->executor), 0);
    assert_string_equal(f->told, "a cancelled;");
}

static void test_executor__a_cancel_after_the_end_changes_nothing(void **state)
{
    struct fixture *f = *state;
    start(f, "a", "r1", "echo", "\x01");
    f->port.ops->cancel(f->port.self, span_of("a"), span_of("r1"), true);
    await_ends(f, 1);
    assert_string_equal(f->told, "a result;");
}

static void test_executor__stop_ends_the_session_and_no_other(void **state)
{
    struct fixture *f = *state;
    start(f, "a", "r1", "sleep", "\xce\x7f\xff\xff\xff");
    start(f, "b", "r1", "sleep", "\x05");
    f->port.ops->stop(f->port.self, span_of("a"));
    await_ends(f, 2);
    assert_string_equal(f->told, "a stopped;b result;");
}

/* They never say that they take anything in; who asks all the same is told nothing, and the run goes its way. */
static void test_executor__builtins_take_nothing_in(void **state)
{
    struct fixture *f = *state;
    struct mk_input input = {.h = {.id = SPAN_LIT("i")}, .body = SPAN_LIT("\x01")};
    struct run_input given = {&input, 1};
    start(f, "a", "r1", "sleep", "\x0a");
    f->port.ops->inject(f->port.self, span_of("a"), span_of("r1"), &given);
    f->port.ops->inject(f->port.self, span_of("a"), span_of("no such run"), &given);
    assert_false(executor_pending(f->executor));
    await_ends(f, 1);
    assert_string_equal(f->told, "a result;");
}

static void test_executor__an_unknown_name_fails_the_run(void **state)
{
    struct fixture *f = *state;
    assert_true(f->port.ops->known(f->port.self, (struct span){0}));
    assert_true(f->port.ops->known(f->port.self, span_of("nap")));
    assert_true(f->port.ops->known(f->port.self, span_of("fail")));
    assert_false(f->port.ops->known(f->port.self, span_of("nope")));
    start(f, "a", "r1", "nope", "\x01");
    await_ends(f, 1);
    assert_string_equal(f->told, "a failed;");
}

static void test_executor__closing_forgets_what_runs(void **state)
{
    struct fixture *f = *state;
    start(f, "a", "r1", "sleep", "\xce\x7f\xff\xff\xff");
    start(f, "b", "r1", "echo", "\x01");
    assert_int_equal(executor_running(f->executor), 2); /* teardown closes, and checks that nothing holds the loop */
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_executor__an_end_is_never_told_inside_start),
        WITH_FIXTURE(test_executor__ends_come_in_order_and_sleep_comes_later),
        WITH_FIXTURE(test_executor__a_cancel_ends_a_sleeping_run_once),
        WITH_FIXTURE(test_executor__a_cancel_after_the_end_changes_nothing),
        WITH_FIXTURE(test_executor__stop_ends_the_session_and_no_other),
        WITH_FIXTURE(test_executor__builtins_take_nothing_in),
        WITH_FIXTURE(test_executor__an_unknown_name_fails_the_run),
        WITH_FIXTURE(test_executor__closing_forgets_what_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
