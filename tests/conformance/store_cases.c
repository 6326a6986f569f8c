/* The conformance suite of the store port: the cluster's facts, commits, what is read. */
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

/* --- found --- */

static void store__the_first_facts_of_a_cluster_stay(void **state)
{
    struct store_client *c = begin(state);
    expect(ask(c, SCRIPT_FOUND, "", "1 256 1 abc"), "1 256 1 abc");
    expect(ask(c, SCRIPT_FOUND, "", "1 512 2 def"), "1 256 1 abc");
    assert_true(c->now_ms > 0);
    free(c);
}

/* --- commit --- */

static void store__a_commit_is_applied_once(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    const char *first = "n1 i1 F0 1 dig1 0 0 0 1 4 ? s/i/a rec t s/i/a rec s s head x s state";
    expect(ask(c, SCRIPT_COMMIT, "0", first), "held 1 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", first), "again 1 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 dig2 0 0 0 1 1 t s/i/a newer"), "held 2 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", first), "again 2 F0 0 0");
    expect(ask(c, SCRIPT_FACTS, "0", "n1 i1 F0 s/i/a"), "held newer");
    free(c);
}

static void store__a_commit_out_of_sequence_writes_nothing(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 dig 0 0 0 1 1 s s head"), "sequence 0 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 0 0 0 0"), "held 1 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 another 0 0 0 1 1 s s head"), "sequence 1 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 0 dig 0 0 0 0"), "sequence 1 F0 0 0");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s"), "held nil nil 0");
    free(c);
}

static void store__the_last_eight_commits_are_remembered(void **state)
{
    struct store_client *c = begin(state);
    char args[80];
    store_claim(c, 0, "n1 i1", 60000);
    for (int seq = 1; seq <= 9; seq++) {
        snprintf(args, sizeof args, "n1 i1 F0 %d d%d 0 0 0 0", seq, seq);
        ask(c, SCRIPT_COMMIT, "0", args);
        assert_true(span_is(c->items[1], "held"));
    }
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 0"), "again 9 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 0"), "sequence 9 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d9 0 0 0 0"), "sequence 9 F0 0 0");
    free(c);
}

static void store__a_zombie_commits_nothing(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 0);
    const char *late = "n1 i1 F0 1 dig 0 0 0 1 1 s s zombie";
    char old[24];
    memcpy(old, c->fence[0], sizeof old);
    store_claim(c, 1, "n1 i1", 60000);
    ask(c, SCRIPT_CLAIM, "0", "n2 i2 60000 0 h ''");
    char taken[24];
    snprintf(taken, sizeof taken, "%.*s", SPAN_ARGS(c->items[5]));
    ask(c, SCRIPT_COMMIT, "0", late);
    assert_true(span_is(c->items[1], "other"));
    memcpy(c->fence[0], taken, sizeof taken);
    expect(ask(c, SCRIPT_COMMIT, "0", late), "other 0 F0 0 0"); /* the right fence, another owner */
    expect(ask(c, SCRIPT_LOAD, "0", "n2 i2 F0 s"), "held nil nil 0");
    free(c);
}

static void store__a_former_owners_digest_is_not_ours(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 0 0 0 0"), "held 1 F0 0 0");
    ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 '' 0");
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig 0 0 0 0"), "sequence 1 F0 1 0");
    free(c);
}

static void store__a_section_whose_condition_fails_is_skipped_alone(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 2 t s2/i/a old t s2/k/b key");
    const char *mixed = "n1 i1 F0 2 d2 0 0 0 3 "
                        "2 ? s1/i/a rec s s1 head1 "
                        "5 ? s2/i/a rec ? s2/k/b key ? s2/i/c new s s2 head2 o s2 event "
                        "2 ? s3/i/a rec s s3 head3";
    expect(ask(c, SCRIPT_COMMIT, "0", mixed), "held 2 F0 0 1 1 1 s2/i/a old");
    expect(ask(c, SCRIPT_COMMIT, "0", mixed), "again 2 F0 0 1 1 1 s2/i/a old");
    expect(ask(c, SCRIPT_LOAD, "0 0 0", "n1 i1 F0 s1 F0 s2 F0 s3"), "held head1 nil 0 held nil nil 0 held head3 nil 0");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 10 ''"), "held ''");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 3 d3 0 0 0 1 1 t s2/i/a newer");
    expect(ask(c, SCRIPT_COMMIT, "0", mixed), "again 3 F0 0 1 1 1 s2/i/a newer");
    free(c);
}

static void store__several_failed_conditions_are_all_told(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 3 t s/i/a A t s/i/b B t s/i/c ''");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 4 ? s/i/a x ? s/i/b B ? s/i/c y ? s/i/d z"),
           "held 2 F0 0 1 0 2 s/i/a A s/i/c ''");
    free(c);
}

static void store__a_partition_that_is_lost_leaves_the_others_alone(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    store_claim(c, 1, "n2 i2", 60000);
    store_claim(c, 2, "n1 i1", 60000);
    expect(ask(c, SCRIPT_COMMIT, "0 1 2 3",
               "n1 i1 F0 1 dA 0 0 0 1 1 s a A F1 1 dB 0 0 0 1 1 s b B F2 5 dC 0 0 0 1 1 s c C 9 1 dD 0 0 0 0"),
           "held 1 F0 0 0 other 0 F1 0 0 sequence 0 F2 0 0 free 0 0 0 0");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 a"), "held A nil 0");
    expect(ask(c, SCRIPT_LOAD, "1", "n2 i2 F1 b"), "held nil nil 0");
    free(c);
}

static void store__of_two_operations_on_a_field_the_last_counts(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 6 i s/1 a I s/1 '' I s/2 '' i s/2 b i s/3 c i s/3 ''");
    assert_true(span_is(c->items[1], "held"));
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 1 s s 1-3|head");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s"), "held 1-3|head nil 3 1 nil 2 b 3 ''");
    free(c);
}

static void store__deleted_fields_are_gone(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 4 s s 1|h i s/1 row x s state t s/i/a rec");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s"), "held 1|h state 1 1 row");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 4 S s '' I s/1 '' X s '' T s/i/a ''");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s"), "held nil nil 0");
    expect(ask(c, SCRIPT_FACTS, "0", "n1 i1 F0 s/i/a"), "held nil");
    expect(ask(c, SCRIPT_ACTIVE, "0", "n1 i1 F0"), "held");
    free(c);
}

static void store__a_call_that_is_not_well_formed_writes_nothing(void **state)
{
    static const char *const calls[] = {
        "",
        "n1",
        "n1 i1",
        "n1 i1 F0 1 d 0 0 0 1",
        "n1 i1 F0 1 d 0 0 0 1 1 s a",
        "n1 i1 F0 1 d 0 0 0 1 1 s a b c",
        "n1 i1 F0 1 d 0 0 0 1 1 q a b",
        "n1 i1 F0 x d 0 0 0 1 1 s a b",
        "n1 i1 F0 1 d 0 -1 0 1 1 s a b",
        "n1 i1 F0 1 d 0 0 0 99999999999999999 1 s a b",
        "n1 i1 F0 1 '' 0 0 0 1 1 s a b",
        "n1 i1 F0 1 d 0 0 0 1 1 - '' x",
    };
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strncmp(ask(c, SCRIPT_COMMIT, "0", calls[i]), "refused BADCALL commit: ", 24) != 0)
            fail_msg("\"%s\" was answered %s", calls[i], c->text);
    }
    expect(ask(c, SCRIPT_COMMIT, "0 1", "n1 i1 F0 1 d 0 0 0 1 1 s a b"),
           "refused BADCALL commit: fence (argument 14) is not a number below 2^53");
    expect(ask(c, SCRIPT_LIST, "0", "n1 i1 F0 0 10"), "held 0");
    free(c);
}

static void store__a_commit_may_be_large(void **state)
{
    enum { OPS = 4000 };
    struct store_client *c = begin(state);
    struct span *args = calloc(10 + 3 * OPS, sizeof *args);
    char(*names)[16] = calloc(OPS, sizeof *names);
    assert_true(args && names);
    store_claim(c, 0, "n1 i1", 60000);
    static const char *const head[] = {"n1", "i1", "", "1", "d1", "0", "0", "0", "1", "4000"};
    size_t n = 0;
    for (; n < 10; n++)
        args[n] = span_of(n == 2 ? c->fence[0] : head[n]);
    for (int i = 0; i < OPS; i++) {
        snprintf(names[i], sizeof names[i], "s/i/%d", i);
        args[n++] = i % 2 ? SPAN_LIT("?") : SPAN_LIT("t");
        args[n++] = span_of(names[i]);
        args[n++] = SPAN_LIT("value");
    }
    expect(store_ask_spans(c, SCRIPT_COMMIT, "0", args, n), "held 1 F0 0 0");
    expect(ask(c, SCRIPT_FACTS, "0 0 0", "n1 i1 F0 s/i/0 F0 s/i/3998 F0 s/i/3999"), "held value held value held nil");
    free(names);
    free(args);
    free(c);
}

static void store__values_are_bytes(void **state)
{
    static const char value[] = {'a', 0, (char)0xff, '\r', '\n', 0};
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    struct span bytes = span_bytes(value, sizeof value), fence = span_of(c->fence[0]);
    struct span args[] = {SPAN_LIT("n1"), SPAN_LIT("i1"), fence,         SPAN_LIT("1"), bytes,         SPAN_LIT("0"),
                          SPAN_LIT("0"),  SPAN_LIT("0"),  SPAN_LIT("1"), SPAN_LIT("4"), SPAN_LIT("?"), bytes,
                          SPAN_LIT(""),   SPAN_LIT("t"),  bytes,         bytes,         SPAN_LIT("x"), SPAN_LIT("s"),
                          bytes,          SPAN_LIT("o"),  SPAN_LIT("s"), bytes};
    expect(store_ask_spans(c, SCRIPT_COMMIT, "0", args, 22), "held 1 F0 0 0");
    expect(store_ask_spans(c, SCRIPT_COMMIT, "0", args, 22), "again 1 F0 0 0");
    struct span fact[] = {SPAN_LIT("n1"), SPAN_LIT("i1"), fence, bytes};
    store_ask_spans(c, SCRIPT_FACTS, "0", fact, 4);
    assert_true(c->count == 3 && span_equal(c->items[2], bytes));
    ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s");
    assert_true(span_equal(c->items[3], bytes));
    ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 s");
    assert_true(c->count == 6 && span_equal(c->items[5], bytes));
    free(c);
}

/* --- reading --- */

static void store__a_session_is_loaded_with_its_rows(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0",
        "n1 i1 F0 1 d1 0 0 0 2 6 s s 3,5-7|h i s/3 three i s/5 five i s/7 seven i s/9 nine x s state "
        "2 s broken 9-1|h s none nothing");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s"), "held 3,5-7|h state 4 3 three 5 five 6 nil 7 seven");
    expect(ask(c, SCRIPT_LOAD, "0 0", "n1 i1 F0 broken F0 none"), "held 9-1|h nil 0 held nothing nil 0");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i2 F0 s"), "other nil nil 0");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 2 s a 0-99999999|h s b 1-4096|h");
    expect(ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 a"), "held 0-99999999|h nil 0");
    ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 b");
    assert_int_equal(c->count, 5 + 2 * 4096);
    free(c);
}

static void store__active_inputs_are_told_by_field(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_ACTIVE, "0", "n1 i1 F0"), "held");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 2 i s/1 a i s/2 b");
    expect(ask(c, SCRIPT_ACTIVE, "0", "n1 i1 F0"), "held s/1 s/2");
    expect(ask(c, SCRIPT_ACTIVE, "0", "n2 i1 F0"), "other");
    free(c);
}

static void store__facts_are_told_to_the_owner_only(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    store_claim(c, 1, "n2 i2", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 2 t s/i/a A t s/k/b B");
    expect(ask(c, SCRIPT_FACTS, "0 1 0 0", "n1 i1 F0 s/k/b F1 x/i/a F0 s/i/a F0 s/i/z"),
           "held B other nil held A held nil");
    free(c);
}

/* --- the outbox --- */

static void store__events_come_page_by_page(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 2 ''"), "held ''");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 2 2 o a a1 o a a2 1 o b b1");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 0");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 3 d3 0 0 0 1 1 o a a3");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 4 d4 0 0 0 1 1 o b b2");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 2 ''"), "held 3-1 1-1 a a1 1-1 a a2 1-1 b b1 3-1 a a3");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 3-1 2 ''"), "held '' 4-1 b b2");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 3 b"), "held 4-1 1-1 b b1 4-1 b b2");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 1 c"), "held 1-1");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 4-1 1 ''"), "held ''");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i2 F0 '' 1 ''"), "other ''");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 x 1 ''"), "refused BADCALL events: from or count is not as it must be");
    free(c);
}

static void store__a_memo_is_told_with_all_events_and_with_no_sessions(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 2 o /s memo o s event");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 1 o /s alone");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held '' 1-1 /s memo 1-1 s event 2-1 /s alone");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 s"), "held '' 1-1 s event");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 3 d3 2 0 0 1 1 - '' 2");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held ''");
    free(c);
}

static void store__trimming_takes_what_was_published(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 1 o a a1");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 1 0 0 1 1 o a a2");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 3 d3 2 0 0 1 1 - '' 1");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held '' 2-1 a a2");
    free(c);
}

static void store__trimming_never_passes_the_published_mark(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 1 o a a1");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 1 0 0 1 2 o a a2 - '' 2");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held '' 2-1 a a2");
    free(c);
}

/* --- dead letters --- */

static void store__dead_letters_are_told_one_by_one_to_the_owner(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    expect(store_ask_letters(c, 0, "n1 i1 F0 '' 9 ''"), "held ''");
    const char *twice = "n1 i1 F0 1 d1 0 0 0 2 4 d s one d s two o s event D '' 9 2 d r three D '' 9";
    expect(ask(c, SCRIPT_COMMIT, "0", twice), "held 1 F0 0 0");
    expect(ask(c, SCRIPT_COMMIT, "0", twice), "again 1 F0 0 0");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 1 s s head");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 3 d3 0 0 0 1 2 d s four D '' 9");
    expect(ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held '' 1-1 s event");
    expect(store_ask_letters(c, 0, "n1 i1 F0 '' 9 ''"), "held '' 1-1 s one 1-2 s two 1-3 r three 3-1 s four");
    expect(store_ask_letters(c, 0, "n1 i1 F0 '' 2 ''"), "held 1-2 1-1 s one 1-2 s two");
    expect(store_ask_letters(c, 0, "n1 i1 F0 1-2 2 s"), "held 3-1 3-1 s four");
    expect(store_ask_letters(c, 0, "n1 i1 F0 3-1 2 s"), "held ''");
    expect(store_ask_letters(c, 0, "n2 i1 F0 '' 9 ''"), "other ''");
    free(c);
}

static void store__the_oldest_dead_letters_go_beyond_the_bound(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 4 d s 1 d s 2 d s 3 D '' 4");
    expect(store_ask_letters(c, 0, "n1 i1 F0 '' 9 ''"), "held '' 1-1 s 1 1-2 s 2 1-3 s 3");
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 1 4 d s 4 d s 5 d s 6 D '' 4");
    expect(store_ask_letters(c, 0, "n1 i1 F0 '' 9 ''"), "held '' 1-3 s 3 2-1 s 4 2-2 s 5 2-3 s 6");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 3 d3 0 0 0 1 1 D '' x"),
           "refused BADCALL commit: a trim without a number");
    free(c);
}

static void store__letters_of_a_skipped_section_are_not_kept(void **state)
{
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 d1 0 0 0 1 1 t s/i/a old");
    expect(ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 0 0 0 2 3 ? s/i/a new d s lost D '' 9 2 d r kept D '' 9"),
           "held 2 F0 0 1 0 1 s/i/a old");
    expect(store_ask_letters(c, 0, "n1 i1 F0 '' 9 ''"), "held '' 2-1 r kept");
    free(c);
}

/* --- listing --- */

static void store__sessions_are_listed_page_by_page(void **state)
{
    enum { SESSIONS = 700 }; /* more than Redis keeps in a flat list */
    static char seen[SESSIONS];
    struct store_client *c = begin(state);
    store_claim(c, 0, "n1 i1", 60000);
    memset(seen, 0, sizeof seen);
    char *args = calloc(1, SESSIONS * 24 + 80);
    assert_non_null(args);
    int at = sprintf(args, "n1 i1 F0 1 d1 0 0 0 1 %d", SESSIONS);
    for (int i = 0; i < SESSIONS; i++)
        at += sprintf(args + at, " s s%d h%d", i, i);
    expect(ask(c, SCRIPT_COMMIT, "0", args), "held 1 F0 0 0");
    char cursor[32] = "0";
    int pages = 0;
    do {
        snprintf(args, 80, "n1 i1 F0 %s 100", cursor);
        ask(c, SCRIPT_LIST, "0", args);
        assert_true(span_is(c->items[1], "held"));
        for (size_t i = 3; i + 1 < c->count; i += 2) {
            int session = atoi(c->items[i].at + 1);
            assert_int_equal(session, atoi(c->items[i + 1].at + 1));
            seen[session] = 1;
        }
        snprintf(cursor, sizeof cursor, "%.*s", SPAN_ARGS(c->items[2]));
    } while (strcmp(cursor, "0") != 0 && ++pages < 100);
    assert_true(pages > 1 && pages < 100);
    for (int i = 0; i < SESSIONS; i++)
        assert_true(seen[i]);
    free(args);
    free(c);
}

#define CASE(name) cmocka_unit_test(name)

const struct CMUnitTest store_cases[] = {
    CASE(store__the_first_facts_of_a_cluster_stay),
    CASE(store__a_commit_is_applied_once),
    CASE(store__a_commit_out_of_sequence_writes_nothing),
    CASE(store__the_last_eight_commits_are_remembered),
    CASE(store__a_zombie_commits_nothing),
    CASE(store__a_former_owners_digest_is_not_ours),
    CASE(store__a_section_whose_condition_fails_is_skipped_alone),
    CASE(store__several_failed_conditions_are_all_told),
    CASE(store__a_partition_that_is_lost_leaves_the_others_alone),
    CASE(store__of_two_operations_on_a_field_the_last_counts),
    CASE(store__deleted_fields_are_gone),
    CASE(store__a_call_that_is_not_well_formed_writes_nothing),
    CASE(store__a_commit_may_be_large),
    CASE(store__values_are_bytes),
    CASE(store__a_session_is_loaded_with_its_rows),
    CASE(store__active_inputs_are_told_by_field),
    CASE(store__facts_are_told_to_the_owner_only),
    CASE(store__events_come_page_by_page),
    CASE(store__a_memo_is_told_with_all_events_and_with_no_sessions),
    CASE(store__trimming_takes_what_was_published),
    CASE(store__trimming_never_passes_the_published_mark),
    CASE(store__dead_letters_are_told_one_by_one_to_the_owner),
    CASE(store__the_oldest_dead_letters_go_beyond_the_bound),
    CASE(store__letters_of_a_skipped_section_are_not_kept),
    CASE(store__sessions_are_listed_page_by_page),
};
const size_t store_case_count = sizeof store_cases / sizeof *store_cases;
