#include "bus/inbox.h"
#include "tests/lib/t.h"

static char frames[1000];

static void test_inbox__gives_frames_in_order_while_it_grows_and_wraps(void **state)
{
    (void)state;
    struct inbox inbox;
    size_t in = 0, out = 0;
    inbox_init(&inbox, 1000, 1 << 20);
    while (out < 1000) {
        for (int i = 0; i < 7 && in < 1000; i++, in++)
            assert_true(inbox_push(&inbox, &frames[in], 1));
        for (int i = 0; i < 3; i++, out++)
            if (out < 1000)
                assert_ptr_equal(inbox_pop(&inbox), &frames[out]);
    }
    assert_null(inbox_pop(&inbox));
    assert_int_equal(inbox.bytes, 0);
    inbox_fini(&inbox);
}

static void test_inbox__refuses_and_counts_what_is_beyond_its_frames(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox, 2, 100);
    assert_true(inbox_push(&inbox, &frames[0], 1));
    assert_true(inbox_push(&inbox, &frames[1], 1));
    assert_false(inbox_push(&inbox, &frames[2], 1));
    assert_int_equal(inbox.dropped, 1);
    assert_ptr_equal(inbox_pop(&inbox), &frames[0]);
    assert_true(inbox_push(&inbox, &frames[3], 1));
    assert_ptr_equal(inbox_pop(&inbox), &frames[1]);
    assert_ptr_equal(inbox_pop(&inbox), &frames[3]);
    inbox_fini(&inbox);
}

static void test_inbox__refuses_what_is_beyond_its_bytes(void **state)
{
    (void)state;
    struct inbox inbox;
    inbox_init(&inbox, 10, 100);
    assert_true(inbox_push(&inbox, &frames[0], 60));
    assert_false(inbox_push(&inbox, &frames[1], 41));
    assert_false(inbox_push(&inbox, &frames[1], SIZE_MAX));
    assert_true(inbox_push(&inbox, &frames[2], 40));
    assert_int_equal(inbox.dropped, 2);
    while (inbox_pop(&inbox))
        ;
    inbox_fini(&inbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inbox__gives_frames_in_order_while_it_grows_and_wraps),
        cmocka_unit_test(test_inbox__refuses_and_counts_what_is_beyond_its_frames),
        cmocka_unit_test(test_inbox__refuses_what_is_beyond_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
