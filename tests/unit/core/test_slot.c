/* The table of slots: found by id, in order of what is due, oldest first, and nothing leaks. */
#include "tests/lib/t.h"

#include "node/core/slot.h"

#include <stdio.h>

#define PARTITIONS 4
#define MANY       500

struct fixture {
    struct test_mem memory;
    struct slot_table table;
};

static void setup(struct fixture *f)
{
    test_mem_init(&f->memory);
    assert_true(slot_table_init(&f->table, &f->memory.mem, PARTITIONS));
}

static void teardown(struct fixture *f)
{
    slot_table_fini(&f->table);
    assert_int_equal(f->memory.live, 0);
}

static struct slot *add(struct fixture *f, size_t number, uint64_t now_ms)
{
    char id[16];
    int bytes = snprintf(id, sizeof id, "s%zu", number);
    return slot_add(&f->table, (struct span){id, (size_t)bytes}, (uint32_t)(number % PARTITIONS), now_ms);
}

static void test_slot__every_slot_is_found_by_its_id_while_the_table_grows(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct slot *slots[MANY];
    for (size_t i = 0; i < MANY; i++)
        slots[i] = add(&f, i, i);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(slot_find(&f.table, session_id_span(&slots[i]->id)), slots[i]);
    assert_null(slot_find(&f.table, SPAN_LIT("nobody")));
    slot_remove(&f.table, slots[7]);
    assert_null(slot_find(&f.table, SPAN_LIT("s7")));
    assert_int_equal(f.table.count, MANY - 1);
    teardown(&f);
}

static void test_slot__what_is_due_comes_out_in_order_whatever_was_changed(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct slot *slots[MANY];
    for (size_t i = 0; i < MANY; i++) {
        slots[i] = add(&f, i, 0);
        slot_due(&f.table, slots[i], (i * 7919) % 1000);
    }
    for (size_t i = 0; i < MANY; i += 3)
        slot_due(&f.table, slots[i], (i * 104729) % 1000);
    for (size_t i = 1; i < MANY; i += 5)
        slot_remove(&f.table, slots[i]);
    uint64_t last = 0;
    size_t seen = 0;
    for (struct slot *slot; (slot = slot_first_due(&f.table)); seen++) {
        assert_true(slot->due_ms >= last);
        last = slot->due_ms;
        slot_due(&f.table, slot, UINT64_MAX);
    }
    assert_int_equal(seen, f.table.count);
    teardown(&f);
}

static void test_slot__age_follows_use_and_an_expired_slot_is_the_oldest(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct slot *a = add(&f, 1, 10), *b = add(&f, 2, 20), *c = add(&f, 3, 30);
    slot_touch(&f.table, a, 40);
    assert_ptr_equal(f.table.oldest, b);
    assert_ptr_equal(f.table.newest, a);
    slot_expire(&f.table, a);
    assert_ptr_equal(f.table.oldest, a);
    assert_ptr_equal(f.table.newest, c);
    assert_int_equal(a->used_ms, 0);
    slot_remove(&f.table, b);
    assert_ptr_equal(a->age_next, c);
    teardown(&f);
}

static void test_slot__a_partition_lists_its_slots_and_no_others(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < 40; i++)
        add(&f, i, 0);
    slot_remove(&f.table, slot_find(&f.table, SPAN_LIT("s4")));
    size_t listed = 0;
    for (struct slot *slot = f.table.by_partition[0]; slot; slot = slot->partition_next, listed++)
        assert_int_equal(slot->partition, 0);
    assert_int_equal(listed, 9);
    teardown(&f);
}

static void test_slot__waiting_events_keep_their_order_over_an_undo(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    struct queued_list queue, applied;
    queued_list_init(&queue);
    queued_list_init(&applied);
    for (uint64_t i = 1; i <= 4; i++) {
        struct session_trim trim = {.up_to_ms = i};
        struct session_event event = {.type = EV_SESSION_TRIM, .trim = &trim};
        queued_push(i <= 2 ? &applied : &queue, queued_new(&f.memory.mem, &event, NULL, 0));
    }
    queued_prepend(&queue, &applied);
    assert_null(applied.first);
    assert_int_equal(queue.count, 4);
    for (uint64_t i = 1; i <= 4; i++) {
        struct queued *queued = queued_pop(&queue);
        assert_int_equal(queued->trim->up_to_ms, i);
        queued_free(&f.memory.mem, queued);
    }
    assert_null(queued_pop(&queue));
    teardown(&f);
}

static void test_slot__what_an_executor_returned_outlives_the_call_that_told_it(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    char bytes[] = "result state digest name data message";
    struct span results[] = {{bytes, 6}};
    struct executor_event events[] = {{{bytes + 20, 4}, {bytes + 25, 4}}};
    struct run_done done = {.attempt = 3,
                            .results = results,
                            .result_count = 1,
                            .has_state = true,
                            .state = {bytes + 7, 5},
                            .digest = {bytes + 13, 6},
                            .events = events,
                            .event_count = 1,
                            .message = {bytes + 30, 7}};
    struct session_event event = {.type = EV_SESSION_RUN_DONE, .done = &done};
    struct queued *queued = queued_new(&f.memory.mem, &event, NULL, 0);
    memset(bytes, '!', sizeof bytes);
    memset(results, 0, sizeof results);
    memset(events, 0, sizeof events);
    assert_int_equal(queued->done->attempt, 3);
    assert_span_equal(queued->done->results[0], "result");
    assert_span_equal(queued->done->state, "state");
    assert_span_equal(queued->done->digest, "digest");
    assert_span_equal(queued->done->events[0].name, "name");
    assert_span_equal(queued->done->events[0].data, "data");
    assert_span_equal(queued->done->message, "message");
    queued_free(&f.memory.mem, queued);
    teardown(&f);
}

static void test_slot__without_memory_nothing_is_added(void **state)
{
    (void)state;
    for (size_t n = 1; n < 20; n++) {
        struct fixture f;
        setup(&f);
        size_t added = 0;
        f.memory.fail_at = f.memory.count + n;
        for (size_t i = 0; i < 200; i++)
            added += add(&f, i, 0) != NULL;
        assert_int_equal(f.table.count, added);
        assert_true(added >= 199);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot__every_slot_is_found_by_its_id_while_the_table_grows),
        cmocka_unit_test(test_slot__what_is_due_comes_out_in_order_whatever_was_changed),
        cmocka_unit_test(test_slot__age_follows_use_and_an_expired_slot_is_the_oldest),
        cmocka_unit_test(test_slot__a_partition_lists_its_slots_and_no_others),
        cmocka_unit_test(test_slot__waiting_events_keep_their_order_over_an_undo),
        cmocka_unit_test(test_slot__what_an_executor_returned_outlives_the_call_that_told_it),
        cmocka_unit_test(test_slot__without_memory_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
