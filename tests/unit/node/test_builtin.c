#include "tests/lib/t.h"

#include "codec/scan.h"
#include "node/builtin.h"

#define BODY(text) SPAN_LIT(text)

/* A run of up to four inputs. */
struct fixture {
    struct run_record record;
    struct mk_input inputs[4];
    struct run_input list[4];
    struct run_request request;
    struct builtin_run run;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    id_set(&f.record.id, span_of("r1"));
    f.record.attempt = 3;
    f.request = (struct run_request){.session = SPAN_LIT("s"), .run = &f.record, .inputs = f.list};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    builtin_release(&f->run);
    return 0;
}

static void add(struct fixture *f, struct span body, uint64_t attempts)
{
    size_t i = f->request.input_count++;
    f->inputs[i].body = body;
    f->list[i] = (struct run_input){&f->inputs[i], attempts};
}

static const struct run_done *apply(struct fixture *f, const char *name)
{
    builtin_apply(&f->run, builtin_parse(span_of(name)), &f->request);
    return &f->run.done;
}

/* The number in a counter's result. */
static int64_t value_in(struct span result)
{
    struct cursor cursor = cursor_of(result);
    struct value map, key, value;
    assert_int_equal(scan_whole(result, NULL), MK_ERR_OK);
    assert_true(cursor_read(&cursor, &map) && cursor_read(&cursor, &key) && cursor_read(&cursor, &value));
    assert_true(map.type == VALUE_MAP && map.number == 1 && span_is(key.text, "value"));
    return value.type == VALUE_NEGATIVE ? value.negative : (int64_t)value.number;
}

static void test_builtin__names_are_known_and_others_are_not(void **state)
{
    (void)state;
    for (enum builtin b = BUILTIN_ECHO; b < BUILTIN_COUNT; b++)
        assert_int_equal(builtin_parse(span_of(builtin_name(b))), b);
    assert_int_equal(builtin_parse(span_of("ech")), BUILTIN_COUNT);
    assert_int_equal(builtin_parse((struct span){0}), BUILTIN_COUNT);
}

static void test_builtin__echo_gives_each_input_its_body(void **state)
{
    struct fixture *f = *state;
    add(f, BODY("\xa5hello"), 1);
    add(f, (struct span){0}, 1);
    add(f, BODY("\x07"), 1);
    const struct run_done *done = apply(f, "echo");
    assert_int_equal(done->end, RUN_RESULT);
    assert_span_equal(id_span(&done->run), "r1");
    assert_int_equal(done->attempt, 3);
    assert_int_equal(done->result_count, 3);
    assert_span_equal(done->results[0], "\xa5hello");
    assert_span_equal(done->results[1], "\xc0"); /* no body is nil */
    assert_span_equal(done->results[2], "\x07");
    assert_false(done->has_state);
    assert_int_equal(f->run.delay_ms, 0);
}

static void test_builtin__counter_adds_to_its_state_input_by_input(void **state)
{
    struct fixture *f = *state;
    f->request.state = BODY("\x05");
    add(f, BODY("\x02"), 1);
    add(f, BODY("\xa1x"), 1);        /* no integer counts as 1 */
    add(f, BODY("\xcd\x03\xe8"), 1); /* 1000 */
    add(f, BODY("\xe0"), 1);         /* -32 */
    const struct run_done *done = apply(f, "counter");
    assert_int_equal(done->end, RUN_RESULT);
    const int64_t sums[] = {7, 8, 1008, 976};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(value_in(done->results[i]), sums[i]);
    assert_true(done->has_state);
    assert_int_equal(done->state.bytes, 9);
    assert_memory_equal(done->state.at, "\xd3\0\0\0\0\0\0\x03\xd0", 9); /* 976 */
}

static void test_builtin__counter_reads_back_every_state_it_wrote(void **state)
{
    struct fixture *f = *state;
    static const int64_t sums[] = {0, 1, 127, 128, 65536, -1, -200, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        char body[9] = {(char)0xd3};
        for (int b = 0; b < 8; b++)
            body[1 + b] = (char)((uint64_t)sums[i] >> (56 - 8 * b));
        f->request.input_count = 0;
        f->request.state = (struct span){0};
        add(f, span_bytes(body, sizeof body), 1);
        char kept[16];
        size_t bytes = apply(f, "counter")->state.bytes;
        memcpy(kept, f->run.done.state.at, bytes);
        builtin_release(&f->run);
        f->request.state = span_bytes(kept, bytes);
        f->inputs[0].body = BODY("\x00");
        assert_int_equal(value_in(apply(f, "counter")->results[0]), sums[i]);
        builtin_release(&f->run);
    }
}

static void test_builtin__counter_fails_rather_than_wrap_or_guess(void **state)
{
    struct fixture *f = *state;
    f->request.state = BODY("\xa1x");
    add(f, BODY("\x01"), 1);
    assert_int_equal(apply(f, "counter")->end, RUN_FAILED);
    assert_span_equal(f->run.done.message, "the session's state is no counter's");
    assert_int_equal(f->run.done.result_count, 0);
    builtin_release(&f->run);
    f->request.state = span_bytes("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
    assert_int_equal(apply(f, "counter")->end, RUN_FAILED);
    assert_false(f->run.done.has_state);
}

static void test_builtin__sleep_takes_what_its_inputs_say(void **state)
{
    struct fixture *f = *state;
    add(f, BODY("\x0a"), 1);
    add(f, BODY("\xcd\x01\x00"), 1);
    add(f, BODY("\xff"), 1); /* -1 */
    add(f, BODY("\xa1x"), 1);
    const struct run_done *done = apply(f, "sleep");
    assert_int_equal(f->run.delay_ms, 266);
    assert_int_equal(done->end, RUN_RESULT);
    assert_span_equal(done->results[0], "\x0a");
}

static void test_builtin__sleep_is_bounded_by_the_clock(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++)
        add(f, span_bytes("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", 9), 1);
    apply(f, "sleep");
    assert_true(f->run.delay_ms == UINT64_MAX);
}

static void test_builtin__fail_fails_the_first_attempts_then_echoes(void **state)
{
    struct fixture *f = *state;
    add(f,
        BODY("\x81\xa4"
             "fail\x02"),
        2);
    assert_int_equal(apply(f, "fail")->end, RUN_FAILED);
    assert_int_equal(f->run.done.error, MK_ERR_EXECUTOR_FAILED);
    assert_span_equal(f->run.done.message, "attempt 2 failed, as it was asked to");
    builtin_release(&f->run);
    f->list[0].attempts = 3;
    assert_int_equal(apply(f, "fail")->end, RUN_RESULT);
    assert_span_equal(f->run.done.results[0], "\x81\xa4"
                                              "fail\x02");
}

static void test_builtin__fail_can_be_asked_to_die_for_ever(void **state)
{
    struct fixture *f = *state;
    add(f,
        BODY("\x82\xa1"
             "a\x91\x01\xa3"
             "die\xc3"),
        1000000);
    assert_int_equal(apply(f, "fail")->end, RUN_FAILED);
    builtin_release(&f->run);
    f->inputs[0].body = BODY("\x81\xa3"
                             "die\xc2");
    assert_int_equal(apply(f, "fail")->end, RUN_RESULT);
}

static void test_builtin__one_input_that_fails_fails_the_run(void **state)
{
    struct fixture *f = *state;
    add(f, BODY("\x01"), 1);
    add(f,
        BODY("\x81\xa4"
             "fail\x01"),
        1);
    assert_int_equal(apply(f, "fail")->end, RUN_FAILED);
    assert_int_equal(f->run.done.result_count, 0);
}

static void test_builtin__a_run_that_is_cut_short_has_no_result_and_no_state(void **state)
{
    struct fixture *f = *state;
    add(f, BODY("\x01"), 1);
    apply(f, "counter");
    builtin_cut_short(&f->run, RUN_CANCELLED);
    assert_int_equal(f->run.done.end, RUN_CANCELLED);
    assert_span_equal(id_span(&f->run.done.run), "r1");
    assert_int_equal(f->run.done.attempt, 3);
    assert_int_equal(f->run.done.result_count, 0);
    assert_false(f->run.done.has_state);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_builtin__names_are_known_and_others_are_not),
        WITH_FIXTURE(test_builtin__echo_gives_each_input_its_body),
        WITH_FIXTURE(test_builtin__counter_adds_to_its_state_input_by_input),
        WITH_FIXTURE(test_builtin__counter_reads_back_every_state_it_wrote),
        WITH_FIXTURE(test_builtin__counter_fails_rather_than_wrap_or_guess),
        WITH_FIXTURE(test_builtin__sleep_takes_what_its_inputs_say),
        WITH_FIXTURE(test_builtin__sleep_is_bounded_by_the_clock),
        WITH_FIXTURE(test_builtin__fail_fails_the_first_attempts_then_echoes),
        WITH_FIXTURE(test_builtin__fail_can_be_asked_to_die_for_ever),
        WITH_FIXTURE(test_builtin__one_input_that_fails_fails_the_run),
        WITH_FIXTURE(test_builtin__a_run_that_is_cut_short_has_no_result_and_no_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
