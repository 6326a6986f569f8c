/* What the client makes of heartbeats: who owns a partition, what is repeated when that changes, what it advises. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/client.h"
#include "node/core/crc16.h"
#include "tests/lib/t.h"

static uint32_t p1(void)
{
    return partition_of(SPAN_LIT("s1"), PARTITIONS_DEFAULT);
}

static int set_up(void **state)
{
    struct mk_client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    assert_true(pending_table_init(&client->table, 16));
    client->partitions = PARTITIONS_DEFAULT;
    client->ready = true;
    client->ready_ms = client__now_ms();
    *state = client;
    return 0;
}

static int tear_down(void **state)
{
    struct mk_client *client = *state;
    pending_table_fini(&client->table);
    free(client);
    return 0;
}

static void hear(struct mk_client *client, const char *node, struct mk_heartbeat beat)
{
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    struct topic topic = {.class = TOPIC_HB, .name = span_of(node)};
    beat.node = span_of(node);
    beat.incarnation = beat.phase = SPAN_LIT("x");
    beat.partitions_total = PARTITIONS_DEFAULT;
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    heartbeat_pack(&frame, SPAN_LIT("b"), 1, &beat);
    assert_false(frame.failed);
    client__hear(client, buf_span(&frame));
    assert_int_equal(client->frames_bad, 0);
    buf_fini(&frame);
}

/* `node` says that it owns the partition of s1. */
static void owns(struct mk_client *client, const char *node, uint64_t fence)
{
    const struct mk_owned owned = {.partition = p1(), .history = SPAN_LIT("h"), .fence = fence, .sequence = 4};
    hear(client, node, (struct mk_heartbeat){.owned = &owned, .owned_count = 1});
}

static void gives(struct mk_client *client, const char *node, uint64_t fence, bool released)
{
    const struct mk_owned owned = {.partition = p1(), .history = SPAN_LIT("h"), .fence = fence, .sequence = 4};
    const struct mk_handing handing = {
        .partition = p1(), .successor = SPAN_LIT("n2"), .released = released, .fence = fence};
    hear(client, node,
         (struct mk_heartbeat){
             .owned = &owned, .owned_count = released ? 0 : 1, .handing = &handing, .handing_count = 1});
}

static void nothing(struct mk_client *client, const char *node)
{
    hear(client, node, (struct mk_heartbeat){.owned = NULL});
}

/* A request that was sent and waits. */
static struct pending *waiting(struct mk_client *client, const char *id, const char *session)
{
    struct pending *p = calloc(1, sizeof *p);
    assert_non_null(p);
    id_set(&p->id, span_of(id));
    snprintf(p->session, sizeof p->session, "%s", session);
    p->deadline_ms = UINT64_MAX;
    assert_true(pending_add(&client->table, p));
    pending_sent(&client->table, p, client__now_ms(), 1);
    return p;
}

static void test_view__a_first_heartbeat_repeats_nothing(void **state)
{
    struct mk_client *client = *state;
    waiting(client, "a", "s1");
    owns(client, "n1", 5);
    assert_null(TAILQ_FIRST(&client->table.queue));
}

static void test_view__a_higher_fence_repeats_what_waits_for_that_partition_once(void **state)
{
    struct mk_client *client = *state;
    struct pending *a = waiting(client, "a", "s1"), *b = waiting(client, "b", "s1");
    struct pending *elsewhere = waiting(client, "c", "s2"), *of_node = waiting(client, "d", "");
    of_node->node_command = true;
    owns(client, "n1", 5);
    owns(client, "n2", 6);
    assert_ptr_equal(TAILQ_FIRST(&client->table.queue), a);
    assert_ptr_equal(TAILQ_NEXT(a, queue), b);
    assert_null(TAILQ_NEXT(b, queue));
    assert_false(elsewhere->queued || of_node->queued);
    pending_sent(&client->table, a, client__now_ms(), 1);
    pending_sent(&client->table, b, client__now_ms(), 1);
    owns(client, "n2", 6);
    assert_null(TAILQ_FIRST(&client->table.queue));
}

static void test_view__a_node_that_was_the_owner_changes_nothing(void **state)
{
    struct mk_client *client = *state;
    struct mk_owner owner;
    waiting(client, "a", "s1");
    owns(client, "n2", 6);
    owns(client, "n1", 5);
    gives(client, "n1", 5, true);
    assert_null(TAILQ_FIRST(&client->table.queue));
    mk_client_owner(client, p1(), &owner);
    assert_string_equal(owner.node, "n2");
    assert_int_equal(owner.fence, 6);
    assert_string_equal(owner.successor, "");
}

static void test_view__a_lower_fence_is_believed_once_the_higher_is_no_longer_heard(void **state)
{
    struct mk_client *client = *state;
    struct mk_owner owner;
    struct pending *a = waiting(client, "a", "s1");
    owns(client, "n2", UINT64_MAX);
    client->owners[p1()].heard_ms -= OWNER_HEARD_MS;
    mk_client_owner(client, p1(), &owner);
    assert_true(owner.silent_ms >= OWNER_HEARD_MS);
    owns(client, "n1", 5);
    assert_ptr_equal(TAILQ_FIRST(&client->table.queue), a);
    mk_client_owner(client, p1(), &owner);
    assert_string_equal(owner.node, "n1");
    assert_true(owner.silent_ms < OWNER_HEARD_MS);
}

static void test_view__the_first_owner_after_long_listening_is_a_new_one(void **state)
{
    struct mk_client *client = *state;
    struct pending *a = waiting(client, "a", "s1");
    client->ready_ms -= OWNERS_KNOWN_MS;
    owns(client, "n1", 5);
    assert_ptr_equal(TAILQ_FIRST(&client->table.queue), a);
}

static void test_view__a_hand_over_ends_in_a_repeat(void **state)
{
    struct mk_client *client = *state;
    struct mk_owner owner;
    struct pending *a = waiting(client, "a", "s1");
    gives(client, "n1", 5, false);
    mk_client_owner(client, p1(), &owner);
    assert_string_equal(owner.node, "n1");
    assert_string_equal(owner.successor, "n2");
    gives(client, "n1", 5, true);
    assert_null(TAILQ_FIRST(&client->table.queue));
    assert_non_null(strstr(client__advice(client, a), "is being handed over by node n1 to n2"));
    owns(client, "n2", 6);
    assert_ptr_equal(TAILQ_FIRST(&client->table.queue), a);
    gives(client, "n1", 5, true); /* it says so for a while */
    mk_client_owner(client, p1(), &owner);
    assert_string_equal(owner.node, "n2");
    assert_string_equal(owner.successor, "");
    assert_null(strstr(client__advice(client, a), "handed over"));
}

/* Seen from the hand-over on, without having heard the old owner claim it. */
static void test_view__the_end_of_a_hand_over_is_a_new_owner(void **state)
{
    struct mk_client *client = *state;
    struct pending *a = waiting(client, "a", "s1");
    gives(client, "n1", 5, true);
    owns(client, "n2", 6);
    assert_ptr_equal(TAILQ_FIRST(&client->table.queue), a);
}

static void test_view__a_hand_over_that_is_taken_back_is_none(void **state)
{
    struct mk_client *client = *state;
    struct mk_owner owner;
    waiting(client, "a", "s1");
    gives(client, "n1", 5, false);
    owns(client, "n1", 5);
    mk_client_owner(client, p1(), &owner);
    assert_string_equal(owner.successor, "");
    assert_null(TAILQ_FIRST(&client->table.queue));
}

static void test_view__advice_says_when_nobody_owns_the_partition(void **state)
{
    struct mk_client *client = *state;
    struct pending *a = waiting(client, "a", "s1");
    assert_non_null(strstr(client__advice(client, a), "no node is heard"));
    nothing(client, "n1");
    assert_non_null(strstr(client__advice(client, a), "no node owns partition 120 of session s1"));
    owns(client, "n1", 5);
    assert_null(strstr(client__advice(client, a), "owns"));
    client->owners[p1()].heard_ms -= OWNER_HEARD_MS;
    a->admitted = true;
    assert_non_null(strstr(client__advice(client, a), "accepted and durable, but no node owns partition 120"));
}

static void test_view__advice_says_when_the_owner_does_not_work(void **state)
{
    struct mk_client *client = *state;
    struct mk_owner owner;
    struct pending *a = waiting(client, "a", "s1");
    const struct mk_owned owned = {.partition = p1(), .history = SPAN_LIT("h"), .fence = 5, .sequence = 4};
    const uint32_t suspended = p1();
    const struct mk_heartbeat beat = {.owned = &owned, .owned_count = 1, .suspended = &suspended, .suspended_count = 1};
    hear(client, "n1", beat);
    assert_non_null(strstr(client__advice(client, a), "node n1 does not work on partition 120"));
    mk_client_owner(client, p1(), &owner);
    assert_true(owner.suspended);
    owns(client, "n1", 5);
    mk_client_owner(client, p1(), &owner);
    assert_false(owner.suspended);
    owns(client, "n2", 6);
    hear(client, "n1", beat); /* it was taken from it, and it does not let go */
    mk_client_owner(client, p1(), &owner);
    assert_string_equal(owner.node, "n2");
    assert_false(owner.suspended);
}

/* --- claims --- */

struct told {
    unsigned count[4];
    struct mk_claim last[4];
};

static void on_claim(void *user, const struct mk_claim *claim)
{
    struct told *told = user;
    told->count[claim->kind]++;
    told->last[claim->kind] = *claim;
}

static void test_claims__every_list_is_given(void **state)
{
    (void)state;
    struct buf map = {0};
    struct told told = {.count = {0}};
    const struct mk_owned owned[] = {{1, SPAN_LIT("h"), 5, 6}, {2, SPAN_LIT("h"), 7, 8}};
    const struct mk_handing handing = {.partition = 2, .successor = SPAN_LIT("n2"), .released = true, .fence = 7};
    const uint32_t expecting[] = {9, 10, 11}, suspended[] = {1};
    const struct mk_heartbeat beat = {.node = SPAN_LIT("n1"),
                                      .owned = owned,
                                      .owned_count = 2,
                                      .handing = &handing,
                                      .handing_count = 1,
                                      .expecting = expecting,
                                      .expecting_count = 3,
                                      .suspended = suspended,
                                      .suspended_count = 1};
    heartbeat_pack(&map, SPAN_LIT("b"), 1, &beat);
    assert_true(mk_beat_claims((struct mk_bytes){map.at, map.bytes}, on_claim, &told));
    assert_int_equal(told.count[MK_CLAIM_OWNED], 2);
    assert_int_equal(told.last[MK_CLAIM_OWNED].fence, 7);
    assert_int_equal(told.last[MK_CLAIM_OWNED].sequence, 8);
    assert_int_equal(told.count[MK_CLAIM_HANDING], 1);
    assert_int_equal(told.last[MK_CLAIM_HANDING].partition, 2);
    assert_true(told.last[MK_CLAIM_HANDING].released);
    assert_span_equal(span_from(told.last[MK_CLAIM_HANDING].successor), "n2");
    assert_int_equal(told.count[MK_CLAIM_EXPECTING], 3);
    assert_int_equal(told.last[MK_CLAIM_EXPECTING].partition, 11);
    assert_int_equal(told.count[MK_CLAIM_SUSPENDED], 1);
    buf_fini(&map);
}

static void test_claims__of_another_message_there_are_none(void **state)
{
    (void)state;
    struct buf map = {0};
    struct told told = {.count = {0}};
    const struct message_from from = {.node = SPAN_LIT("n1"), .ts = 1};
    const struct mk_result result = {.re = SPAN_LIT("r"), .ok = true};
    result_pack(&map, SPAN_LIT("b"), &from, &result);
    assert_false(mk_beat_claims((struct mk_bytes){map.at, map.bytes}, on_claim, &told));
    assert_false(mk_beat_claims((struct mk_bytes){map.at, map.bytes - 1}, on_claim, &told));
    assert_false(mk_beat_claims((struct mk_bytes){"", 0}, on_claim, &told));
    buf_fini(&map);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_view__a_first_heartbeat_repeats_nothing),
        CASE(test_view__a_higher_fence_repeats_what_waits_for_that_partition_once),
        CASE(test_view__a_node_that_was_the_owner_changes_nothing),
        CASE(test_view__a_lower_fence_is_believed_once_the_higher_is_no_longer_heard),
        CASE(test_view__the_first_owner_after_long_listening_is_a_new_one),
        CASE(test_view__a_hand_over_ends_in_a_repeat),
        CASE(test_view__the_end_of_a_hand_over_is_a_new_owner),
        CASE(test_view__a_hand_over_that_is_taken_back_is_none),
        CASE(test_view__advice_says_when_nobody_owns_the_partition),
        CASE(test_view__advice_says_when_the_owner_does_not_work),
        cmocka_unit_test(test_claims__every_list_is_given),
        cmocka_unit_test(test_claims__of_another_message_there_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
