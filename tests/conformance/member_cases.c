/* The conformance suite of the store port: members. */
#include "tests/conformance/store_cases.h"

#include <stdio.h>
#include <stdlib.h>

#define ask                  store_ask
#define expect(text, wanted) assert_string_equal(text, wanted)

static uint32_t next_client; /* each case has partitions of its own */

static struct store_client *begin(void **state)
{
    return store_client_new(*state, next_client++);
}

static uint64_t number(const struct store_client *c, size_t item)
{
    return strtoull(c->items[item].at, NULL, 10);
}

/* The answer without the times: "held n1 i1 working n2 i2 deaf"; all of them `lease_ms` ahead of the last now. */
static const char *members(struct store_client *c, const char *args)
{
    static char text[1024];
    const char *answer = ask(c, SCRIPT_MEMBERS, "", args);
    if (c->count < 2)
        return answer;
    size_t at = (size_t)snprintf(text, sizeof text, "%.*s", SPAN_ARGS(c->items[1]));
    assert_int_equal((c->count - 2) % 4, 0);
    for (size_t i = 2; i < c->count; i += 4) {
        at += (size_t)snprintf(text + at, sizeof text - at, " %.*s %.*s %.*s", SPAN_ARGS(c->items[i]),
                               SPAN_ARGS(c->items[i + 1]), SPAN_ARGS(c->items[i + 2]));
        assert_true(at < sizeof text && number(c, i + 3) >= c->now_ms);
    }
    return text;
}

static void members__everybody_alive_is_told_in_order(void **state)
{
    struct store_client *c = begin(state);
    expect(members(c, "n2 i2 60000 working"), "held n2 i2 working");
    assert_int_equal(number(c, 5), c->now_ms + 60000);
    expect(members(c, "n3 i3 60000 draining"), "held n2 i2 working n3 i3 draining");
    expect(members(c, "n1 i1 60000 deaf"), "held n1 i1 deaf n2 i2 working n3 i3 draining");
    expect(members(c, "n2 i2 60000 draining"), "held n1 i1 deaf n2 i2 draining n3 i3 draining");
    free(c);
}

static void members__a_repeat_only_lives_longer(void **state)
{
    struct store_client *c = begin(state);
    members(c, "n1 i1 10000 working");
    expect(members(c, "n1 i1 60000 working"), "held n1 i1 working");
    assert_int_equal(number(c, 5), c->now_ms + 60000);
    uint64_t expires = number(c, 5);
    expect(members(c, "n2 i2 60000 working"), "held n1 i1 working n2 i2 working");
    assert_int_equal(number(c, 5), expires); /* others do not touch it */
    free(c);
}

static void members__who_leaves_is_gone_and_may_leave_twice(void **state)
{
    struct store_client *c = begin(state);
    members(c, "n1 i1 60000 working");
    members(c, "n2 i2 60000 working");
    expect(members(c, "n1 i1 60000 ''"), "held n2 i2 working");
    expect(store_read(c, store_members_key(c), "n1"), "nil");
    expect(members(c, "n1 i1 60000 ''"), "held n2 i2 working");
    expect(members(c, "n3 i3 60000 ''"), "held n2 i2 working"); /* was never there */
    expect(members(c, "n1 i1b 60000 working"), "held n1 i1b working n2 i2 working");
    free(c);
}

static void members__a_node_id_belongs_to_one_living_incarnation(void **state)
{
    struct store_client *c = begin(state);
    char value[64];
    members(c, "n1 i1 60000 working");
    snprintf(value, sizeof value, "%s", store_read(c, store_members_key(c), "n1"));
    store_write(c, store_members_key(c), "n0", "i0 1 working"); /* long dead: would be deleted by one who writes */
    expect(members(c, "n1 i2 70000 draining"), "other n1 i1 working");
    expect(members(c, "n1 i2 70000 ''"), "other n1 i1 working");
    expect(store_read(c, store_members_key(c), "n1"), value);
    expect(store_read(c, store_members_key(c), "n0"), "i0 1 working");
    members(c, "n1 i1 60000 ''");
    expect(members(c, "n1 i2 60000 working"), "held n1 i2 working");
    free(c);
}

static void set_member(struct store_client *c, const char *node, const char *incarnation, uint64_t expires)
{
    char value[64];
    snprintf(value, sizeof value, "%s %llu working", incarnation, (unsigned long long)expires);
    store_write(c, store_members_key(c), node, value);
}

static void members__the_dead_are_not_told_and_a_new_incarnation_takes_their_place(void **state)
{
    struct store_client *c = begin(state);
    members(c, "n1 i1 60000 working");
    set_member(c, "n2", "i2", c->now_ms);
    expect(members(c, "n1 i1 60000 working"), "held n1 i1 working");
    assert_string_not_equal(store_read(c, store_members_key(c), "n2"), "nil"); /* still there to be looked at */
    expect(members(c, "n2 i2b 60000 deaf"), "held n1 i1 working n2 i2b deaf");
    free(c);
}

static void members__who_expired_ten_minutes_ago_is_deleted(void **state)
{
    struct store_client *c = begin(state);
    members(c, "n1 i1 60000 working");
    uint64_t now = c->now_ms;
    set_member(c, "n2", "i2", now - 600000);
    set_member(c, "n3", "i3", now - 600000 + 60000);
    members(c, "n1 i1 60000 working");
    expect(store_read(c, store_members_key(c), "n2"), "nil");
    assert_string_not_equal(store_read(c, store_members_key(c), "n3"), "nil");
    free(c);
}

static void members__a_value_of_another_form_is_left_alone(void **state)
{
    static const char *const values[] = {"",
                                         "i2",
                                         "i2 soon working",
                                         "i2 9000000000000000",
                                         "i2 9000000000000000 ",
                                         "i2 99999999999999999 working",
                                         "i2 9000000000000000 working more"};
    struct store_client *c = begin(state);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        store_write(c, store_members_key(c), "n2", values[i]);
        expect(members(c, "n1 i1 60000 working"), "held n1 i1 working");
        expect(store_read(c, store_members_key(c), "n2"), values[i][0] ? values[i] : "''");
    }
    expect(members(c, "n2 i2 60000 working"), "held n1 i1 working n2 i2 working"); /* its own: overwritten */
    free(c);
}

/* A phase of a later version is told as it is. */
static void members__an_unknown_phase_is_told(void **state)
{
    struct store_client *c = begin(state);
    store_write(c, store_members_key(c), "n2", "i2 9000000000000000 resting");
    expect(members(c, "n1 i1 60000 working"), "held n1 i1 working n2 i2 resting");
    free(c);
}

static void members__a_call_that_is_not_well_formed_writes_nothing(void **state)
{
    static const char *const calls[] = {"",
                                        "n2",
                                        "n2 i2 60000",
                                        "n2 i2 60000 working more",
                                        "'' i2 60000 working",
                                        "n2 '' 60000 working",
                                        "n2 i2 '' working",
                                        "n2 i2 -1 working",
                                        "n2 i2 9007199254740992 working",
                                        "n2 i2 60000 resting"};
    struct store_client *c = begin(state);
    members(c, "n1 i1 60000 working");
    store_write(c, store_members_key(c), "n0", "i0 1 working");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        assert_memory_equal(ask(c, SCRIPT_MEMBERS, "", calls[i]), "refused BADCALL members: ", 25);
    struct span key = store_members_key(c), keys[] = {key, key};
    struct span args[] = {SPAN_LIT("n2"), SPAN_LIT("i 2"), SPAN_LIT("60000"), SPAN_LIT("working")};
    assert_memory_equal(store_ask_keys(c, SCRIPT_MEMBERS, keys, 1, args, 4), "refused BADCALL members: ", 25);
    args[1] = SPAN_LIT("i2");
    assert_memory_equal(store_ask_keys(c, SCRIPT_MEMBERS, keys, 2, args, 4), "refused BADCALL members: ", 25);
    assert_memory_equal(store_ask_keys(c, SCRIPT_MEMBERS, keys, 0, args, 4), "refused BADCALL members: ", 25);
    expect(store_read(c, key, "n0"), "i0 1 working");
    expect(store_read(c, key, "n2"), "nil");
    free(c);
}

#define CASE(name) cmocka_unit_test(name)

const struct CMUnitTest member_cases[] = {
    CASE(members__everybody_alive_is_told_in_order),
    CASE(members__a_repeat_only_lives_longer),
    CASE(members__who_leaves_is_gone_and_may_leave_twice),
    CASE(members__a_node_id_belongs_to_one_living_incarnation),
    CASE(members__the_dead_are_not_told_and_a_new_incarnation_takes_their_place),
    CASE(members__who_expired_ten_minutes_ago_is_deleted),
    CASE(members__a_value_of_another_form_is_left_alone),
    CASE(members__an_unknown_phase_is_told),
    CASE(members__a_call_that_is_not_well_formed_writes_nothing),
};
const size_t member_case_count = sizeof member_cases / sizeof *member_cases;
