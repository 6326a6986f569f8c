/* Frames that the bus lost are counted by their numbers, once. */
#include "tests/lib/t.h"

#include "node/gaps.h"

#include <stdlib.h>

static uint64_t note(struct gaps *gaps, enum topic_class class, const char *pub, uint64_t epoch, uint64_t number)
{
    struct mk_header header = {.pub = span_of(pub), .pe = epoch, .ps = number};
    return gaps_note(gaps, class, &header);
}

static void test_gaps__only_what_is_missing_between_two_numbers_counts(void **state)
{
    (void)state;
    struct gaps *gaps = calloc(1, sizeof *gaps);
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 5), 0); /* the first that is heard: nobody knows what was before */
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 6), 0);
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 9), 2);
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 9), 0); /* twice */
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 7), 0); /* late: it was counted as lost */
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 10), 0);
    free(gaps);
}

static void test_gaps__classes_publishers_and_epochs_are_numbered_apart(void **state)
{
    (void)state;
    struct gaps *gaps = calloc(1, sizeof *gaps);
    note(gaps, TOPIC_IN, "p", 1, 5);
    assert_int_equal(note(gaps, TOPIC_CTL, "p", 1, 1), 0);
    assert_int_equal(note(gaps, TOPIC_IN, "q", 1, 1), 0);
    assert_int_equal(note(gaps, TOPIC_IN, "p", 2, 1), 0);
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 9), 0); /* an older epoch */
    assert_int_equal(note(gaps, TOPIC_IN, "p", 2, 3), 1);
    free(gaps);
}

static void test_gaps__frames_without_numbers_count_nothing(void **state)
{
    (void)state;
    struct gaps *gaps = calloc(1, sizeof *gaps);
    assert_int_equal(note(gaps, TOPIC_IN, NULL, 0, 5), 0);
    assert_int_equal(note(gaps, TOPIC_IN, NULL, 0, 50), 0);
    assert_int_equal(note(gaps, TOPIC_IN, "p", 1, 0), 0);
    free(gaps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaps__only_what_is_missing_between_two_numbers_counts),
        cmocka_unit_test(test_gaps__classes_publishers_and_epochs_are_numbered_apart),
        cmocka_unit_test(test_gaps__frames_without_numbers_count_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
