#include "tests/lib/t.h"

#include "node/crashes.h"

static void test_crashes__the_wait_doubles_to_its_bound(void **state)
{
    static const uint64_t waits[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct crashes crashes = {0};
    (void)state;
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        crashes_ended(&crashes, i % 2 ? CHILD_ENDED_IDLE : CHILD_ENDED_MIDWAY, 1000);
        assert_int_equal(crashes.due_ms, 1000 + waits[i]);
        assert_int_equal(crashes_loop(&crashes), i + 1 >= CRASHES_LOOP);
    }
}

static void test_crashes__an_answer_ends_the_row(void **state)
{
    struct crashes crashes = {0};
    (void)state;
    for (size_t i = 0; i < CRASHES_LOOP; i++)
        crashes_ended(&crashes, CHILD_ENDED_SENSELESS, 1000);
    assert_true(crashes_loop(&crashes));
    crashes_answered(&crashes);
    assert_false(crashes_loop(&crashes));
    crashes_ended(&crashes, CHILD_ENDED_MIDWAY, 1000);
    assert_int_equal(crashes.due_ms, 1100);
}

static void test_crashes__who_has_answered_may_go_between_two_runs(void **state)
{
    struct crashes crashes = {0};
    (void)state;
    crashes_answered(&crashes);
    crashes_ended(&crashes, CHILD_ENDED_IDLE, 1000);
    assert_int_equal(crashes.due_ms, 1000);
    assert_int_equal(crashes.in_row, 0);
    crashes_ended(&crashes, CHILD_ENDED_IDLE, 1000); /* the next life has not */
    assert_int_equal(crashes.due_ms, 1100);
}

static void test_crashes__what_we_end_is_no_crash(void **state)
{
    struct crashes crashes = {0};
    (void)state;
    for (size_t i = 0; i < 2 * CRASHES_LOOP; i++)
        crashes_ended(&crashes, CHILD_ENDED_BY_US, 1000);
    assert_int_equal(crashes.due_ms, 1000);
    assert_false(crashes_loop(&crashes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes__the_wait_doubles_to_its_bound),
        cmocka_unit_test(test_crashes__an_answer_ends_the_row),
        cmocka_unit_test(test_crashes__who_has_answered_may_go_between_two_runs),
        cmocka_unit_test(test_crashes__what_we_end_is_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
