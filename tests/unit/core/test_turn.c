/* A slot whose stage cannot be built. */
#include "tests/lib/t.h"

#include "node/core/node_impl.h"

static void test_turn__without_memory_for_long_an_event_waits_and_its_session_is_not_to_blame(void **state)
{
    (void)state;
    struct test_mem memory;
    struct node_effects fx;
    struct node_config config = {.partitions = 8, .groups = 1, .held_events_max = 8, .held_bytes_max = 1024};
    test_mem_init(&memory);
    id_set(&config.node, SPAN_LIT("n1"));
    struct node *node = node_new(&config, &memory.mem);
    assert_non_null(node);
    node_effects_init(&fx, &memory.mem);
    node->fx = &fx;
    node->partitions[2].state = PARTITION_OWNED;
    struct slot *slot = slot_for(node, SPAN_LIT("s"), 2);
    assert_non_null(slot);
    struct session_trim trim = {.up_to_ms = 1};
    slot_give(node, slot, &(struct session_event){.type = EV_SESSION_TRIM, .trim = &trim}, NULL, 0);
    slot->session = session_new(&memory.mem, SPAN_LIT("s"), 2);
    assert_non_null(slot->session);
    slot->state = SLOT_READY;
    memory.fail_at = memory.count + 1;
    memory.fail_all_after = 1;
    for (int i = 0; i < 1000; i++) /* the slot is due again every 100 ms */
        slot_pump(node, slot);
    assert_int_equal(slot->state, SLOT_READY);
    memory.fail_at = 0;
    memory.fail_all_after = 0;
    slot_pump(node, slot);
    assert_int_equal(slot->session->core.horizon_ms, 1);
    assert_true(slot->dirty);
    node_effects_fini(&fx);
    node_free(node);
    assert_int_equal(memory.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn__without_memory_for_long_an_event_waits_and_its_session_is_not_to_blame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
