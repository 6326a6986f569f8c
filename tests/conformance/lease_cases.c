/* The conformance suite of the store port: leases, and who watches them. */
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

/* --- leases --- */

static void lease__a_lease_that_nobody_holds_is_claimed(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 7"), "held n1 F0 0");
    assert_true(strtoull(c->fence[0], NULL, 10) / 1000 <= c->now_ms);
    free(c);
}

static void lease__a_lease_that_is_held_tells_its_owner(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    uint64_t expires = number(c, 11);
    assert_int_equal(expires, c->now_ms + 60000);
    const char *text = ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 other ''");
    assert_memory_equal(text, "other history n1 i1 F0 0 0 0 0 1 ", 33);
    assert_int_equal(number(c, 11), expires);
    free(c);
}

static void lease__a_claim_repeated_changes_nothing(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    uint64_t expires = number(c, 11);
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 70000 F0 2"), "held n1 F0 0");
    ask(c, SCRIPT_CLAIM, "0", "n1 i1 10 0 h2 2");
    assert_true(number(c, 11) >= expires + 10000 - 1);
    assert_string_equal(strtok(c->text, " "), "held");
    assert_true(span_is(c->items[5], c->fence[0]));
    free(c);
}

/* A commit of unknown outcome may still be on its way: it must find another fence. */
static void lease__an_owner_that_gave_its_lease_up_gets_a_higher_fence(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_CLAIM, "0", "n1 i1 60000 F0 h2 ''");
    assert_true(span_is(c->items[1], "held"));
    assert_true(number(c, 5) > strtoull(c->fence[0], NULL, 10));
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 0 0 0 1 1 s a A");
    assert_true(span_is(c->items[1], "other"));
    free(c);
}

static void lease__an_expired_lease_is_taken_with_a_higher_fence(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 1);
    uint64_t before = number(c, 5);
    for (int tries = 0; tries < 100000; tries++) {
        ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 other ''");
        if (span_is(c->items[1], "held"))
            break;
    }
    assert_true(span_is(c->items[1], "held"));
    assert_true(span_is(c->items[2], "history"));
    assert_true(number(c, 5) > before);
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 8") + 0, c->text);
    assert_memory_equal(c->text, "other n2 ", 9);
    free(c);
}

static void lease__an_expired_lease_that_nobody_took_is_renewed(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 0);
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 2"), "held n1 F0 0");
    assert_string_equal(strtok((char *)(uintptr_t)ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 h ''"), " "), "other");
    free(c);
}

static void lease__a_fence_is_above_every_fence_heard(void **state)
{
    struct store_client *c = begin(state);
    ask(c, SCRIPT_CLAIM, "0", "n1 i1 0 8000000000000000 h ''");
    assert_true(span_is(c->items[5], "8000000000000001"));
    ask(c, SCRIPT_CLAIM, "0", "n2 i2 0 0 h ''");
    assert_true(span_is(c->items[5], "8000000000000002"));
    expect(ask(c, SCRIPT_CLAIM, "1", "n1 i1 0 9007199254740992 h ''"),
           "refused BADCALL claim: fence or history of key 1 is not as it must be");
    free(c);
}

static void lease__a_counter_that_stood_still_frees_a_lease(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 41");
    ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 h 40");
    assert_true(span_is(c->items[1], "other"));
    ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 h 41");
    assert_true(span_is(c->items[1], "held"));
    assert_true(span_is(c->items[10], "42"));
    ask(c, SCRIPT_CLAIM, "0", "n3 i3 60000 0 h 41");
    assert_true(span_is(c->items[1], "other"));
    free(c);
}

/* Each alone is not enough, in every script. */
static void lease__node_incarnation_and_fence_must_all_fit(void **state)
{
    static const char *const wrong[][2] = {{"n2 i1", "F0"}, {"n1 i2", "F0"}, {"n1 i1", "12345"}};
    static const struct {
        enum script script;
        const char *before, *after, *answer;
    } calls[] = {
        {SCRIPT_RENEW, "60000", "2", "other n1 F0 0"},
        {SCRIPT_RELEASE, "", "'' 0", "other n1 F0 0"},
        {SCRIPT_COMMIT, "", "1 dig 0 0 0 1 1 s s head", "other 0 F0 0 0"},
        {SCRIPT_LOAD, "", "s", "other nil nil 0"},
        {SCRIPT_FACTS, "", "s/i/a", "other nil"},
        {SCRIPT_ACTIVE, "", "", "other"},
        {SCRIPT_EVENTS, "", "'' 9 ''", "other ''"},
        {SCRIPT_LIST, "", "0 9", "other 0"},
    };
    struct store_client *c = begin(state);
    char args[128];
    store_claim(c, 0, "n1 i1", 60000);
    for (size_t w = 0; w < 3; w++) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            snprintf(args, sizeof args, "%s %s %s %s", wrong[w][0], calls[i].before, wrong[w][1], calls[i].after);
            expect(ask(c, calls[i].script, "0", args), calls[i].answer);
        }
    }
    expect(ask(c, SCRIPT_LIST, "0", "n1 i1 F0 0 9"), "held 0");
    free(c);
}

static void lease__a_released_lease_is_free_and_keeps_its_sequence(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 3 4 5 0"), "held 1 F0 0 0");
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 n2 0"), "held n1 F0 0");
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 n2 0"), "free '' F0 0");
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 2"), "free '' F0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 dig 3 4 5 0"), "free 1 F0 0 0");
    uint64_t before = strtoull(c->fence[0], NULL, 10);
    store_claim(c, 0, "n2 i2", 60000);
    assert_true(number(c, 5) > before);
    assert_true(span_is(c->items[6], "1") && span_is(c->items[7], "3"));
    assert_true(span_is(c->items[8], "4") && span_is(c->items[9], "5"));
    free(c);
}

static void lease__a_record_that_was_never_made_is_free(void **state)
{
    struct store_client *c = begin(state);
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 1000 1 1"), "free '' 0 0");
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 1 '' 0"), "free '' 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 1 1 dig 0 0 0 0"), "free 0 0 0 0");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 1 s"), "free nil nil 0");
    expect(ask(c, SCRIPT_FACTS, "0", "n1 i1 1 s/i/a"), "free nil");
    expect(ask(c, SCRIPT_ACTIVE, "0", "n1 i1 1"), "free");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 1 '' 5 ''"), "free ''");
    expect(ask(c, SCRIPT_LIST, "0", "n1 i1 1 0 5"), "free 0");
    free(c);
}

static void lease__many_leases_are_judged_one_by_one(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    store_claim(c, 1, "n2 i2", 60000);
    expect(ask(c, SCRIPT_RENEW, "0 1 2", "n1 i1 60000 F0 2 F1 2 5 2"), "held n1 F0 0 other n2 F1 0 free '' 0 0");
    expect(ask(c, SCRIPT_RELEASE, "1 0", "n1 i1 F1 '' 0 F0 '' 0"), "other n2 F1 0 held n1 F0 0");
    free(c);
}

/* --- what a lease remembers of its changes of hands --- */

static void lease__the_beginning_of_a_fence_is_kept(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    assert_true(span_is(c->items[12], "0"));
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 a 0 0 0 0"), "held 1 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 b 0 0 0 0"), "held 2 F0 0 0");
    ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 n2 0");
    store_claim(c, 0, "n2 i2", 60000);
    assert_true(span_is(c->items[12], "2"));
    expect(ask(c, SCRIPT_COMMIT, "0", "n2 i2 F0 3 c 0 0 0 0"), "held 3 F0 2 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n2 i2 F0 3 c 0 0 0 0"), "again 3 F0 2 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n2 i2 F0 9 d 0 0 0 0"), "sequence 3 F0 2 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 1 3 c 0 0 0 0"), "other 3 F0 2 0");
    expect(ask(c, SCRIPT_RENEW, "0", "n2 i2 60000 F0 5"), "held n2 F0 2");
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 1 5"), "other n2 F0 2");
    ask(c, SCRIPT_CLAIM, "0",
        "n2 i2 60000 0 h ''"); /* a repeat: the beginning is not moved to where the sequence is now */
    assert_true(span_is(c->items[6], "3") && span_is(c->items[12], "2"));
    ask(c, SCRIPT_RELEASE, "0", "n2 i2 F0 '' 0");
    expect(ask(c, SCRIPT_RENEW, "0", "n2 i2 60000 F0 6"), "free '' F0 2");
    free(c);
}

/* Records of an earlier program have no `beg`. */
static void lease__an_unknown_beginning_is_told_as_0_until_the_owner_changes(void **state)
{
    char key[KEY_BYTES];
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 a 0 0 0 0");
    store_write(c, store_key(c, 0, 'l', key), "beg", NULL);
    expect(store_read(c, store_key(c, 0, 'l', key), "beg"), "nil");
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 5"), "held n1 F0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 b 0 0 0 0"), "held 2 F0 0 0");
    ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 h ''");
    assert_true(span_is(c->items[1], "other") && span_is(c->items[12], "0"));
    ask(c, SCRIPT_WATCH, "0", "");
    assert_true(span_is(c->items[1], "other") && span_is(c->items[12], "0"));
    ask(c, SCRIPT_CLAIM, "0", "n1 i1 60000 0 h ''");
    assert_true(span_is(c->items[1], "held") && span_is(c->items[12], "0"));
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 '' 0"), "held n1 F0 0");
    store_claim(c, 0, "n2 i2", 60000);
    assert_true(span_is(c->items[12], "2"));
    expect(ask(c, SCRIPT_RENEW, "0", "n2 i2 60000 F0 5"), "held n2 F0 2");
    free(c);
}

static void lease__a_successor_is_named_until_somebody_claims(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    assert_true(span_is(c->items[13], ""));
    ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 n2 0");
    ask(c, SCRIPT_WATCH, "0", "");
    assert_true(span_is(c->items[1], "free") && span_is(c->items[13], "n2"));
    store_claim(c, 0, "n3 i3", 60000); /* naming binds nobody */
    assert_true(span_is(c->items[13], ""));
    ask(c, SCRIPT_WATCH, "0", "");
    assert_true(span_is(c->items[1], "other") && span_is(c->items[13], ""));
    free(c);
}

static void lease__a_release_moves_the_published_mark_forward_only(void **state)
{
    char key[KEY_BYTES];
    struct store_client *c = begin(state);
    for (int seq = 1; seq <= 3; seq++) {
        char args[64];
        store_claim(c, 0, "n1 i1", 60000);
        snprintf(args, sizeof args, "n1 i1 F0 %d dig 1 0 0 0", seq);
        ask(c, SCRIPT_COMMIT, "0", args);
        ask(c, SCRIPT_RELEASE, "0", seq == 1 ? "n1 i1 F0 '' 0" : seq == 2 ? "n1 i1 F0 '' 2" : "n1 i1 F0 '' 99");
        /* never back, forward as told, never past what was committed */
        expect(store_read(c, store_key(c, 0, 'l', key), "pub"), seq == 1 ? "1" : seq == 2 ? "2" : "3");
    }
    free(c);
}

static void lease__a_release_repeated_changes_nothing(void **state)
{
    char key[KEY_BYTES];
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 0 0 0 3 1 s a A 1 s b B 1 s c C");
    expect(ask(c, SCRIPT_RELEASE, "0", "n2 i1 F0 n3 1"), "other n1 F0 3");
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 n2 0"), "held n1 F0 3");
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 n3 1"), "free '' F0 3");
    expect(store_read(c, store_key(c, 0, 'l', key), "succ"), "n2");
    expect(store_read(c, store_key(c, 0, 'l', key), "pub"), "0");
    store_claim(c, 0, "n2 i2", 60000);
    char taken[24];
    memcpy(taken, c->fence[0], sizeof taken);
    expect(ask(c, SCRIPT_RELEASE, "0", "n1 i1 1 n3 1"), "other n2 F0 3"); /* came late: the successor keeps it */
    expect(ask(c, SCRIPT_RENEW, "0", "n2 i2 60000 F0 2"), "held n2 F0 1");
    assert_string_equal(taken, c->fence[0]);
    free(c);
}

/* --- watch --- */

static void watch__every_lease_is_told_as_it_is(void **state)
{
    struct store_client *c = begin(state);
    char wanted[512];
    store_claim(c, 0, "n1 i1", 60000);
    uint64_t expires = number(c, 11);
    store_claim(c, 1, "n2 i2", 60000);
    ask(c, SCRIPT_COMMIT, "1", "n2 i2 F1 1 dig 1 7 9 0");
    ask(c, SCRIPT_RELEASE, "1", "n2 i2 F1 n1 1");
    store_claim(c, 2, "n3 i3", 0);
    uint64_t expired = number(c, 11);
    snprintf(wanted, sizeof wanted,
             "other history n1 i1 F0 0 0 0 0 1 %llu 0 '' "
             "free history '' '' F1 1 1 7 9 1 0 0 n1 "
             "free history n3 i3 F2 0 0 0 0 1 %llu 0 '' "
             "free '' '' '' 0 0 0 0 0 0 0 0 ''",
             (unsigned long long)expires, (unsigned long long)expired);
    expect(ask(c, SCRIPT_WATCH, "0 1 2 3", ""), wanted);
    free(c);
}

static void watch__and_claim_tell_one_record(void **state)
{
    struct store_client *c = begin(state);
    char told[512];
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 1 7 9 0");
    snprintf(told, sizeof told, "%s", ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 h ''"));
    expect(ask(c, SCRIPT_WATCH, "0", ""), told);
    free(c);
}

static void watch__writes_nothing(void **state)
{
    char key[KEY_BYTES];
    struct store_client *c = begin(state);
    ask(c, SCRIPT_WATCH, "0", "");
    expect(store_read(c, store_key(c, 0, 'l', key), "v"), "nil");
    store_claim(c, 0, "n1 i1", 0);
    ask(c, SCRIPT_WATCH, "0", "");
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 2"), "held n1 F0 0");
    free(c);
}

/* --- records that are not as this program makes them --- */

static void lease__a_record_of_another_version_is_left_alone(void **state)
{
    char key[KEY_BYTES];
    struct store_client *c = begin(state);
    struct span lease = store_key(c, 0, 'l', key);
    store_write(c, lease, "v", "2");
    expect(ask(c, SCRIPT_WATCH, "0", ""), "other '' '' '' 0 0 0 0 0 0 0 0 ''");
    assert_memory_equal(ask(c, SCRIPT_CLAIM, "1 0", "n1 i1 60000 0 h '' 0 h ''"), "held h ",
                        7); /* its neighbour is served */
    expect(ask(c, SCRIPT_CLAIM, "0", "n1 i1 60000 0 h ''"), "other '' '' '' 0 0 0 0 0 0 0 0 ''");
    expect(store_read(c, lease, "node"), "nil");
    expect(store_read(c, lease, "v"), "2");
    free(c);
}

static void lease__numbers_that_a_record_does_not_have_are_told_as_0(void **state)
{
    char key[KEY_BYTES];
    struct store_client *c = begin(state);
    store_write(c, store_key(c, 0, 'l', key), "v", "1");
    store_write(c, store_key(c, 0, 'l', key), "node", "n9");
    store_write(c, store_key(c, 0, 'l', key), "exp", "9000000000000000");
    expect(ask(c, SCRIPT_WATCH, "0", ""), "other '' n9 '' 0 0 0 0 0 0 9000000000000000 0 ''");
    expect(ask(c, SCRIPT_CLAIM, "0", "n1 i1 60000 0 h ''"), "other '' n9 '' 0 0 0 0 0 0 9000000000000000 0 ''");
    free(c);
}

static void lease__a_call_that_is_not_well_formed_writes_nothing(void **state)
{
    static const struct {
        enum script script;
        const char *partitions, *args;
    } calls[] = {
        {SCRIPT_CLAIM, "", "n2 i2 60000"},
        {SCRIPT_CLAIM, "0 1", "n2 i2 60000 0 h ''"},
        {SCRIPT_CLAIM, "0 1", "n2 i2 60000 0 h '' 0 ''"},
        {SCRIPT_CLAIM, "0 1", "'' i2 60000 0 h '' 0 h ''"},
        {SCRIPT_CLAIM, "0 1", "n2 '' 60000 0 h '' 0 h ''"},
        {SCRIPT_CLAIM, "0 1", "n2 i2 soon 0 h '' 0 h ''"},
        {SCRIPT_CLAIM, "0 1", "n2 i2 60000 0 h '' x h ''"},
        {SCRIPT_CLAIM, "0 1", "n2 i2 60000 0 h '' 0 '' ''"},
        {SCRIPT_CLAIM, "0 1", "n2 i2 60000 0 h '' 9007199254740991 h ''"},
        {SCRIPT_WATCH, "", ""},
        {SCRIPT_WATCH, "0 1", "n2"},
        {SCRIPT_RENEW, "", "n1 i1 1"},
        {SCRIPT_RENEW, "0 1", "n1 i1 1 F0 9 F1"},
        {SCRIPT_RENEW, "0 1", "n1 i1 1 F0 9 F1 9 9"},
        {SCRIPT_RENEW, "0 1", "n1 i1 1 F0 9 F1 nine"},
        {SCRIPT_RENEW, "0 1", "n1 i1 1 F0 9 -1 9"},
        {SCRIPT_RENEW, "0 1", "n1 i1 -1 F0 9 F1 9"},
        {SCRIPT_RENEW, "0 1", "'' i1 1 F0 9 F1 9"},
        {SCRIPT_RELEASE, "", "n1 i1"},
        {SCRIPT_RELEASE, "0 1", "n1 i1 F0 n2 0 F1 n2"},
        {SCRIPT_RELEASE, "0 1", "n1 i1 F0 n2 0 F1 n2 0 0"},
        {SCRIPT_RELEASE, "0 1", "n1 i1 F0 n2 0 F1 n2 ''"},
        {SCRIPT_RELEASE, "0 1", "n1 i1 F0 n2 0 F1 n2 9007199254740992"},
        {SCRIPT_RELEASE, "0 1", "n1 i1 F0 n2 0 fence n2 0"},
        {SCRIPT_RELEASE, "0 1", "n1 '' F0 n2 0 F1 n2 0"},
    };
    struct store_client *c = begin(state);
    char before[2048];
    store_claim(c, 0, "n1 i1", 60000);
    store_claim(c, 1, "n1 i1", 60000);
    ask(c, SCRIPT_RELEASE, "1", "n1 i1 F1 n9 0"); /* one that is held, one that is free */
    snprintf(before, sizeof before, "%s", ask(c, SCRIPT_WATCH, "0 1", ""));
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const char *answer = ask(c, calls[i].script, calls[i].partitions, calls[i].args);
        if (strncmp(answer, "refused BADCALL ", 16) != 0)
            fail_msg("%s of %s was answered %s", script_name(calls[i].script), calls[i].args, answer);
        expect(ask(c, SCRIPT_WATCH, "0 1", ""), before);
    }
    free(c);
}

static void lease__keys_of_a_release_come_in_pairs(void **state)
{
    char lease[KEY_BYTES];
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    struct span key = store_key(c, 0, 'l', lease);
    struct span args[] = {SPAN_LIT("n1"), SPAN_LIT("i1"), span_of(c->fence[0]), SPAN_LIT(""), SPAN_LIT("0")};
    assert_memory_equal(store_ask_keys(c, SCRIPT_RELEASE, &key, 1, args, 5), "refused BADCALL release: ", 25);
    expect(ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 2"), "held n1 F0 0");
    free(c);
}

#define CASE(name) cmocka_unit_test(name)

const struct CMUnitTest lease_cases[] = {
    CASE(lease__a_lease_that_nobody_holds_is_claimed),
    CASE(lease__a_lease_that_is_held_tells_its_owner),
    CASE(lease__a_claim_repeated_changes_nothing),
    CASE(lease__an_owner_that_gave_its_lease_up_gets_a_higher_fence),
    CASE(lease__an_expired_lease_is_taken_with_a_higher_fence),
    CASE(lease__an_expired_lease_that_nobody_took_is_renewed),
    CASE(lease__a_fence_is_above_every_fence_heard),
    CASE(lease__a_counter_that_stood_still_frees_a_lease),
    CASE(lease__node_incarnation_and_fence_must_all_fit),
    CASE(lease__a_released_lease_is_free_and_keeps_its_sequence),
    CASE(lease__a_record_that_was_never_made_is_free),
    CASE(lease__many_leases_are_judged_one_by_one),
    CASE(lease__the_beginning_of_a_fence_is_kept),
    CASE(lease__an_unknown_beginning_is_told_as_0_until_the_owner_changes),
    CASE(lease__a_successor_is_named_until_somebody_claims),
    CASE(lease__a_release_moves_the_published_mark_forward_only),
    CASE(lease__a_release_repeated_changes_nothing),
    CASE(watch__every_lease_is_told_as_it_is),
    CASE(watch__and_claim_tell_one_record),
    CASE(watch__writes_nothing),
    CASE(lease__a_record_of_another_version_is_left_alone),
    CASE(lease__numbers_that_a_record_does_not_have_are_told_as_0),
    CASE(lease__a_call_that_is_not_well_formed_writes_nothing),
    CASE(lease__keys_of_a_release_come_in_pairs),
};
const size_t lease_case_count = sizeof lease_cases / sizeof *lease_cases;
