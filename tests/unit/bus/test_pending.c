#include <stdio.h>
#include <stdlib.h>

#include "bus/pending.h"
#include "tests/lib/t.h"

static struct pending *request(const char *id, uint64_t deadline_ms)
{
    struct pending *pending = calloc(1, sizeof *pending);
    assert_non_null(pending);
    id_set(&pending->id, span_of(id));
    pending->deadline_ms = deadline_ms;
    return pending;
}

static void test_retry__waits_250_ms_first_and_doubles_up_to_5_s(void **state)
{
    (void)state;
    static const uint64_t expected[] = {250, 500, 1000, 2000, 4000, 5000, 5000, 5000};
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(retry_wait_ms(i + 1), expected[i]);
    assert_int_equal(retry_wait_ms(4000000000u), 5000);
}

static void test_pending__a_request_is_found_until_it_is_taken(void **state)
{
    (void)state;
    struct pending_table table;
    char id[16];
    assert_true(pending_table_init(&table, 16));
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "r%d", i);
        assert_true(pending_add(&table, request(id, 1000)));
    }
    assert_int_equal(table.count, 100);
    for (int i = 0; i < 100; i += 2) {
        snprintf(id, sizeof id, "r%d", i);
        struct pending *p = pending_find(&table, span_of(id));
        assert_non_null(p);
        pending_take(&table, p);
        pending_free(p);
        assert_null(pending_find(&table, span_of(id)));
    }
    assert_non_null(pending_find(&table, SPAN_LIT("r99")));
    assert_int_equal(table.count, 50);
    pending_table_fini(&table);
}

static void test_pending__an_id_is_taken_once(void **state)
{
    (void)state;
    struct pending_table table;
    struct pending *twice = request("a", 1);
    assert_true(pending_table_init(&table, 16));
    assert_true(pending_add(&table, request("a", 1)));
    assert_false(pending_add(&table, twice));
    pending_free(twice);
    pending_table_fini(&table);
}

static void test_pending__is_repeated_when_due_in_order_of_sending(void **state)
{
    (void)state;
    struct pending_table table;
    assert_true(pending_table_init(&table, 16));
    struct pending *a = request("a", 10000), *b = request("b", 10000);
    pending_add(&table, a);
    pending_add(&table, b);
    pending_sent(&table, a, 1000, 77);
    pending_sent(&table, b, 1100, 88);
    assert_null(TAILQ_FIRST(&table.queue));
    assert_int_equal(pending_due_ms(&table), 1250);
    pending_enqueue_due(&table, 1249);
    assert_null(TAILQ_FIRST(&table.queue));
    pending_enqueue_due(&table, 1350);
    assert_ptr_equal(TAILQ_FIRST(&table.queue), a);
    assert_ptr_equal(TAILQ_NEXT(a, queue), b);
    pending_sent(&table, a, 1350, 99);
    assert_int_equal(a->retry_ms, 1850);
    assert_int_equal(a->born_ms, 77); /* its first sending */
    pending_table_fini(&table);
}

/* Sent at 0, so often, and never answered. */
static struct pending *sent(struct pending_table *table, const char *id, unsigned times)
{
    struct pending *p = request(id, 100000);
    assert_true(pending_add(table, p));
    for (unsigned i = 0; i < times; i++) {
        pending_enqueue(table, p);
        pending_sent(table, p, 0, 1);
    }
    return p;
}

static void test_pending__is_repeated_now_and_then_soon_again(void **state)
{
    (void)state;
    struct pending_table table;
    assert_true(pending_table_init(&table, 16));
    struct pending *a = sent(&table, "a", 6);
    assert_int_equal(a->retry_ms, 5000);
    pending_repeat_now(&table, a);
    pending_repeat_now(&table, a); /* queued is queued */
    assert_ptr_equal(TAILQ_FIRST(&table.queue), a);
    assert_null(TAILQ_NEXT(a, queue));
    pending_sent(&table, a, 1000, 1);
    assert_int_equal(a->retry_ms, 1250);
    assert_int_equal(a->sends, 7);
    pending_table_fini(&table);
}

static void test_pending__one_that_is_admitted_keeps_its_pace(void **state)
{
    (void)state;
    struct pending_table table;
    assert_true(pending_table_init(&table, 16));
    struct pending *a = sent(&table, "a", 6);
    a->admitted = true;
    pending_repeat_now(&table, a);
    assert_ptr_equal(TAILQ_FIRST(&table.queue), a);
    pending_sent(&table, a, 1000, 1);
    assert_int_equal(a->retry_ms, 6000);
    pending_table_fini(&table);
}

static void test_pending__a_gathering_one_that_was_answered_is_not_repeated(void **state)
{
    (void)state;
    struct pending_table table;
    assert_true(pending_table_init(&table, 16));
    struct pending *a = sent(&table, "a", 1);
    a->gather = true;
    a->items = 1;
    pending_repeat_now(&table, a);
    assert_null(TAILQ_FIRST(&table.queue));
    pending_table_fini(&table);
}

static void test_pending__expires_at_its_deadline_queued_or_not(void **state)
{
    (void)state;
    struct pending_table table;
    assert_true(pending_table_init(&table, 16));
    struct pending *a = request("a", 500), *b = request("b", 400);
    pending_add(&table, a);
    pending_add(&table, b);
    pending_sent(&table, a, 300, 1);
    assert_int_equal(pending_due_ms(&table), 400);
    assert_null(pending_expired(&table, 399));
    assert_ptr_equal(pending_expired(&table, 400), b);
    pending_take(&table, b);
    pending_free(b);
    assert_int_equal(pending_due_ms(&table), 500); /* before its next repeat */
    assert_ptr_equal(pending_expired(&table, 500), a);
    pending_table_fini(&table);
}

static void test_pending__is_found_by_the_id_it_was_first_sent_with(void **state)
{
    (void)state;
    struct pending_table table;
    assert_true(pending_table_init(&table, 16));
    struct pending *a = request("a", 500);
    pending_add(&table, a);
    pending_set_existing(&table, a, SPAN_LIT("a"));
    assert_null(pending_by_existing(&table, SPAN_LIT("a")));
    pending_set_existing(&table, a, SPAN_LIT("older"));
    assert_ptr_equal(pending_by_existing(&table, SPAN_LIT("older")), a);
    pending_take(&table, a);
    pending_free(a);
    assert_null(pending_by_existing(&table, SPAN_LIT("older")));
    pending_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry__waits_250_ms_first_and_doubles_up_to_5_s),
        cmocka_unit_test(test_pending__a_request_is_found_until_it_is_taken),
        cmocka_unit_test(test_pending__an_id_is_taken_once),
        cmocka_unit_test(test_pending__is_repeated_when_due_in_order_of_sending),
        cmocka_unit_test(test_pending__is_repeated_now_and_then_soon_again),
        cmocka_unit_test(test_pending__one_that_is_admitted_keeps_its_pace),
        cmocka_unit_test(test_pending__a_gathering_one_that_was_answered_is_not_repeated),
        cmocka_unit_test(test_pending__expires_at_its_deadline_queued_or_not),
        cmocka_unit_test(test_pending__is_found_by_the_id_it_was_first_sent_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
