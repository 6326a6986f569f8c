/* Membership: who is a candidate, whose turn it is, and that one who comes or goes moves one share only. */
#include "tests/lib/t.h"

#include "node/core/member.h"

#include <stdio.h>

#define PARTITIONS 256
#define LEASE      3000

/* The members a, b, c...: working and alive until `expires_ms`, unless a test says otherwise. */
static void members_of(struct member *list, size_t count, uint64_t expires_ms)
{
    memset(list, 0, count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "node-%u", (unsigned)(i + 1) % 100);
        id_set(&list[i].who.node, span_of(name));
        list[i].expires_ms = expires_ms;
    }
}

static void take(struct members *members, const struct member *list, size_t count)
{
    *members = (struct members){0};
    members_take(members, list, count, 2 * LEASE, 1000, 5000);
}

static struct span wanted(const struct members *members, uint32_t partition)
{
    const struct member *member = members_wanted(members, partition, (struct span){NULL, 0});
    assert_non_null(member);
    return id_span(&member->who.node);
}

static void test_member__every_node_has_about_its_share(void **state)
{
    (void)state;
    for (size_t count = 2; count <= 7; count++) {
        struct member list[7];
        struct members members;
        size_t share[7] = {0};
        members_of(list, count, 9000);
        take(&members, list, count);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            for (size_t i = 0; i < count; i++)
                share[i] += span_equal(wanted(&members, p), id_span(&list[i].who.node));
        for (size_t i = 0; i < count; i++) {
            assert_true(share[i] * count > PARTITIONS / 2);
            assert_true(share[i] * count < 2 * PARTITIONS);
        }
    }
}

static void test_member__one_who_joins_takes_its_share_and_nothing_else_moves(void **state)
{
    (void)state;
    struct member list[4];
    struct members before, after;
    members_of(list, 4, 9000);
    take(&before, list, 3);
    take(&after, list, 4);
    size_t moved = 0, joiners = 0;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        bool joiner = span_is(wanted(&after, p), "node-4");
        joiners += joiner;
        moved += !span_equal(wanted(&before, p), wanted(&after, p));
        assert_true(joiner || span_equal(wanted(&before, p), wanted(&after, p)));
    }
    assert_true(joiners > 0);
    assert_int_equal(moved, joiners);
}

static void test_member__the_order_of_the_list_does_not_matter(void **state)
{
    (void)state;
    struct member list[3], turned[3];
    struct members one, other;
    members_of(list, 3, 9000);
    for (size_t i = 0; i < 3; i++)
        turned[i] = list[2 - i];
    take(&one, list, 3);
    take(&other, turned, 3);
    assert_true(one.set == other.set);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        assert_true(span_equal(wanted(&one, p), wanted(&other, p)));
}

static void test_member__ranks_are_a_permutation_and_the_first_is_wanted(void **state)
{
    (void)state;
    struct member list[5];
    struct members members;
    members_of(list, 5, 9000);
    take(&members, list, 5);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        bool seen[5] = {false};
        for (size_t i = 0; i < 5; i++) {
            size_t rank = members_rank(&members, p, id_span(&list[i].who.node), (struct span){NULL, 0});
            assert_true(rank < 5 && !seen[rank]);
            seen[rank] = true;
            assert_int_equal(rank == 0, span_equal(wanted(&members, p), id_span(&list[i].who.node)));
        }
    }
}

static void test_member__one_who_is_passed_over_makes_the_next_the_first(void **state)
{
    (void)state;
    struct member list[3];
    struct members members;
    members_of(list, 3, 9000);
    take(&members, list, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        struct span dead = wanted(&members, p);
        const struct member *next = members_wanted(&members, p, dead);
        assert_non_null(next);
        assert_false(span_equal(id_span(&next->who.node), dead));
        assert_int_equal(members_rank(&members, p, id_span(&next->who.node), dead), 0);
        assert_int_equal(members_rank(&members, p, id_span(&next->who.node), (struct span){NULL, 0}), 1);
    }
}

static void test_member__the_dead_and_the_draining_are_no_candidates(void **state)
{
    (void)state;
    struct member list[3];
    struct members members;
    members_of(list, 3, 9000);
    list[0].expires_ms = 5000; /* now */
    list[1].phase = MEMBER_DRAINING;
    take(&members, list, 3);
    assert_int_equal(members.candidates, 1);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        assert_true(span_is(wanted(&members, p), "node-3"));
    assert_int_equal(members_rank(&members, 0, SPAN_LIT("node-2"), (struct span){NULL, 0}), MEMBERS_MAX);
    assert_null(members_wanted(&members, 0, SPAN_LIT("node-3")));
}

static void test_member__the_deaf_are_candidates_only_while_nobody_works(void **state)
{
    (void)state;
    struct member list[3];
    struct members members;
    members_of(list, 3, 9000);
    list[0].phase = list[1].phase = MEMBER_DEAF;
    take(&members, list, 3);
    assert_int_equal(members.candidates, 1);
    list[2].phase = MEMBER_DRAINING;
    take(&members, list, 3);
    assert_int_equal(members.candidates, 2);
    assert_false(members_candidate(&members, SPAN_LIT("node-3")));
}

static void test_member__the_set_is_another_one_when_somebody_dies_by_the_stores_clock(void **state)
{
    (void)state;
    struct member list[2];
    struct members members;
    members_of(list, 2, 5000 + LEASE);
    list[1].expires_ms = 5000 + 2 * LEASE;
    take(&members, list, 2);
    assert_true(members.since_ms == 1000);
    assert_false(members_look(&members, 2000, 5000 + LEASE - 1));
    assert_true(members.since_ms == 1000);
    assert_true(members_look(&members, 3000, 5000 + LEASE));
    assert_true(members.since_ms == 3000);
    assert_int_equal(members.candidates, 1);
    list[0].expires_ms = 5000 + 3 * LEASE; /* back again: another set once more */
    members_take(&members, list, 2, 2 * LEASE, 4000, 5000 + LEASE);
    assert_true(members.since_ms == 4000);
}

static void test_member__one_whose_record_stands_still_is_dead_whatever_the_stores_clock_says(void **state)
{
    (void)state;
    struct member list[2];
    struct members members;
    members_of(list, 2, 1000000);
    take(&members, list, 2);
    for (uint64_t now = 2000; now < 1000 + 2 * LEASE; now += 1000) {
        list[0].expires_ms++; /* the first says that it is there, the second does not */
        members_take(&members, list, 2, 2 * LEASE, now, 5000);
        assert_int_equal(members.candidates, 2);
    }
    members_take(&members, list, 2, 2 * LEASE, 1000 + 2 * LEASE, 5000);
    assert_int_equal(members.candidates, 1);
    assert_true(members_candidate(&members, SPAN_LIT("node-1")));
    members_unseen(&members, 1000 + 2 * LEASE); /* the store was away: nothing is known */
    members_take(&members, list, 2, 2 * LEASE, 1000 + 3 * LEASE, 5000);
    assert_int_equal(members.candidates, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_member__every_node_has_about_its_share),
        cmocka_unit_test(test_member__one_who_joins_takes_its_share_and_nothing_else_moves),
        cmocka_unit_test(test_member__the_order_of_the_list_does_not_matter),
        cmocka_unit_test(test_member__ranks_are_a_permutation_and_the_first_is_wanted),
        cmocka_unit_test(test_member__one_who_is_passed_over_makes_the_next_the_first),
        cmocka_unit_test(test_member__the_dead_and_the_draining_are_no_candidates),
        cmocka_unit_test(test_member__the_deaf_are_candidates_only_while_nobody_works),
        cmocka_unit_test(test_member__one_whose_record_stands_still_is_dead_whatever_the_stores_clock_says),
        cmocka_unit_test(test_member__the_set_is_another_one_when_somebody_dies_by_the_stores_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
