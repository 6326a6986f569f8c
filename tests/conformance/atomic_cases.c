/* What must be atomic is: each durable step of a session lands whole or not at all, on every store. Shown of each step:
 * it is refused whole to everybody but the owner who is next; applied, all of it is there; cut off behind any of its
 * writes, nothing of it is told to anybody, and the repeat completes it, once; and whoever lost the partition in
 * between writes nothing more. */
#include "tests/conformance/store_cases.h"

#include <stdio.h>
#include <stdlib.h>

/* A step is the second commit of its partition, made by n1 i1 under the fence F0. `none` is what can be read before it,
 * `all` behind it: view() says how. */
struct step {
    const char *what, *before, *commit;
    const char *none, *all;
};

static uint32_t next_client;

/* An admission: the row, the names that make a repeat known, the head, before anything is acknowledged. */
static const struct step admission = {
    .what = "persist_input_state",
    .before = "s s |new",
    .commit = "7 ? s/i/a queued t s/i/a queued ? s/k/key of-a t s/k/key of-a i s/1 row s s 1|head o s started",
    .none = "1 0 0 0; |new nil 0; nil nil nil; active; events; letters",
    .all = "2 1 7 9; 1|head nil 1 1 row; queued of-a nil; active s/1; events 2-1 s started; letters",
};

/* A run that succeeded: new state, receipt, completion, consumption of the input, head. */
static const struct step application = {
    .what = "atomic_apply",
    .before = "s s 1|run x s old i s/1 row t s/i/a queued",
    .commit = "6 x s new t s/r/run receipt t s/i/a consumed I s/1 '' s s |idle o s completion",
    .none = "1 0 0 0; 1|run old 1 1 row; queued nil nil; active s/1; events; letters",
    .all = "2 1 7 9; |idle new 0; consumed nil receipt; active; events 2-1 s completion; letters",
};

/* A lifecycle command: the record, every row, what becomes of the inputs, and their letters. */
static const struct step lifecycle = {
    .what = "commit_machine_lifecycle",
    .before = "s s 1-3|attached x s state i s/1 one i s/2 two i s/3 three t s/i/a queued t s/k/key of-a",
    .commit = "13 s s 3|reset X s '' I s/1 '' I s/2 '' i s/3 kept t s/i/a abandoned T s/k/key '' o s notice o s ended "
              "o s ended-too d s letter d s letter-too D '' 9",
    .none = "1 0 0 0; 1-3|attached state 3 1 one 2 two 3 three; queued of-a nil; active s/1 s/2 s/3; events; letters",
    .all = "2 1 7 9; 3|reset nil 1 3 kept; abandoned nil nil; active s/3; events 2-1 s notice 2-1 s ended 2-1 s "
           "ended-too; "
           "letters 2-1 s letter 2-2 s letter-too",
};

static const struct step *const steps[] = {&admission, &application, &lifecycle};
#define STEPS (sizeof steps / sizeof *steps)

static struct store_client *begin(void **state, const struct step *step)
{
    struct store_client *c = store_client_new(*state, next_client++);
    char text[512];
    size_t operations = 0, words = 1;
    for (const char *at = step->before; *at; at++)
        words += *at == ' ';
    operations = words / 3;
    store_claim(c, 0, "n1 i1", 600000);
    snprintf(text, sizeof text, "n1 i1 F0 1 first 0 0 0 1 %zu %s", operations, step->before);
    assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", text), "held 1 F0 0 0");
    return c;
}

static size_t add(char *out, size_t at, size_t room, const char *more, const char *text, size_t skip)
{
    while (skip-- && *text) { /* words of the reply that are not about it */
        text += strcspn(text, " ");
        text += *text == ' ';
    }
    int bytes = snprintf(out + at, room - at, "%s%s%s", more, *more && *text ? " " : "", text);
    assert_true(bytes >= 0 && at + (size_t)bytes < room);
    return at + (size_t)bytes;
}

/* "seq pub hor bytes; head state rows; fact key receipt; active; events; letters", as the owner "node inc" reads it. */
static const char *view(struct store_client *c, const char *owner)
{
    static char out[2048];
    char args[256];
    size_t at = 0;
    store_ask(c, SCRIPT_WATCH, "0", "");
    for (size_t i = 6; i < 10; i++) {
        char word[40];
        snprintf(word, sizeof word, "%.*s%s", SPAN_ARGS(c->items[i]), i < 9 ? " " : "; ");
        at = add(out, at, sizeof out, "", word, 0);
    }
    snprintf(args, sizeof args, "%s F0 s", owner);
    at = add(out, at, sizeof out, "", store_ask(c, SCRIPT_LOAD, "0", args), 1);
    snprintf(args, sizeof args, "%s F0 s/i/a F0 s/k/key F0 s/r/run", owner);
    store_ask(c, SCRIPT_FACTS, "0 0 0", args);
    at = add(out, at, sizeof out, ";", "", 0);
    for (size_t i = 2; i < 7; i += 2) {
        char word[64];
        snprintf(word, sizeof word, " %.*s", span_given(c->items[i]) ? (int)c->items[i].bytes : 3,
                 span_given(c->items[i]) ? c->items[i].at : "nil");
        at = add(out, at, sizeof out, "", word, 0);
    }
    snprintf(args, sizeof args, "%s F0", owner);
    at = add(out, at, sizeof out, "; active", store_ask(c, SCRIPT_ACTIVE, "0", args), 1);
    snprintf(args, sizeof args, "%s F0 '' 99 ''", owner);
    at = add(out, at, sizeof out, "; events", store_ask(c, SCRIPT_EVENTS, "0", args), 2);
    add(out, at, sizeof out, "; letters", store_ask_letters(c, 0, args), 2);
    return out;
}

/* The step as a call of `owner` under `fence`, as commit number `seq`. */
static const char *call_of(const struct step *step, const char *owner, const char *fence, unsigned seq)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s %s %u step 1 7 9 1 %s", owner, fence, seq, step->commit);
    return text;
}

static void expect(const struct step *step, const char *when, const char *text, const char *wanted)
{
    if (strcmp(text, wanted) != 0)
        fail_msg("%s, %s:\n  %s\nwanted:\n  %s", step->what, when, text, wanted);
}

static void atomic__a_step_is_there_whole_and_once(void **state)
{
    for (size_t i = 0; i < STEPS; i++) {
        struct store_client *c = begin(state, steps[i]);
        expect(steps[i], "before", view(c, "n1 i1"), steps[i]->none);
        expect(steps[i], "verdict", store_ask(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2)),
               "held 2 F0 0 0");
        expect(steps[i], "behind", view(c, "n1 i1"), steps[i]->all);
        expect(steps[i], "verdict", store_ask(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2)),
               "again 2 F0 0 0");
        expect(steps[i], "repeated", view(c, "n1 i1"), steps[i]->all);
        free(c);
    }
}

static void atomic__who_is_not_the_owner_or_not_next_writes_nothing(void **state)
{
    static const struct {
        const char *owner, *fence;
        unsigned seq;
    } callers[] = {{"n2 i1", "F0", 2}, {"n1 i2", "F0", 2}, {"n1 i1", "1", 2}, {"n1 i1", "F0", 1}, {"n1 i1", "F0", 3}};
    for (size_t i = 0; i < STEPS; i++) {
        struct store_client *c = begin(state, steps[i]);
        for (size_t caller = 0; caller < sizeof callers / sizeof *callers; caller++) {
            store_ask(c, SCRIPT_COMMIT, "0",
                      call_of(steps[i], callers[caller].owner, callers[caller].fence, callers[caller].seq));
            assert_false(span_is(c->items[1], "held") || span_is(c->items[1], "again"));
            expect(steps[i], "refused", view(c, "n1 i1"), steps[i]->none);
        }
        free(c);
    }
}

/* The incoming step is older than what is stored: another was committed in its place. */
static void atomic__a_step_that_comes_too_late_writes_nothing(void **state)
{
    for (size_t i = 0; i < STEPS; i++) {
        struct store_client *c = begin(state, steps[i]);
        char newer[512];
        store_ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 other 0 0 0 1 1 x s newer");
        snprintf(newer, sizeof newer, "%s", view(c, "n1 i1"));
        expect(steps[i], "verdict", store_ask(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2)),
               "sequence 2 F0 0 0");
        expect(steps[i], "too late", view(c, "n1 i1"), newer);
        free(c);
    }
}

/* Compare-and-swap: a condition that does not hold leaves out the whole step. */
static void atomic__a_condition_that_fails_leaves_out_the_whole_step(void **state)
{
    for (size_t i = 0; i < STEPS; i++) {
        struct store_client *c = begin(state, steps[i]);
        struct step asked = *steps[i];
        char commit[512], none[512];
        snprintf(commit, sizeof commit, "%d ? s/i/z mine %s", atoi(asked.commit) + 1, strchr(asked.commit, ' ') + 1);
        asked.commit = commit;
        store_ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 taken 0 0 0 1 1 t s/i/z theirs");
        expect(&asked, "verdict", store_ask(c, SCRIPT_COMMIT, "0", call_of(&asked, "n1 i1", "F0", 3)),
               "held 3 F0 0 1 0 1 s/i/z theirs");
        snprintf(none, sizeof none, "3 1 7 9%s", asked.none + strcspn(asked.none, ";"));
        expect(&asked, "skipped", view(c, "n1 i1"), none);
        free(c);
    }
}

/* Lease, outbox and dead letters of a view: what others than the session's owner get to know. */
static void told(const char *text, char *out, size_t room)
{
    snprintf(out, room, "%.*s %s", (int)strcspn(text, ";"), text, strstr(text, "; events"));
}

static void atomic__a_step_cut_off_behind_any_write_is_told_to_nobody_and_its_repeat_completes_it(void **state)
{
    for (size_t i = 0; i < STEPS; i++) {
        size_t writes = 0;
        for (bool died = true; died;) {
            struct store_client *c = begin(state, steps[i]);
            char before[512], after[512];
            told(view(c, "n1 i1"), before, sizeof before);
            died = store_ask_cut(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2), ++writes);
            told(view(c, "n1 i1"), after, sizeof after);
            bool last = strcmp(after, before) != 0; /* behind its last write it is done */
            if (last)
                expect(steps[i], "done", view(c, "n1 i1"), steps[i]->all);
            expect(steps[i], "verdict", store_ask(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2)),
                   last ? "again 2 F0 0 0" : "held 2 F0 0 0");
            expect(steps[i], "completed", view(c, "n1 i1"), steps[i]->all);
            expect(steps[i], "verdict", store_ask(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2)),
                   "again 2 F0 0 0");
            expect(steps[i], "repeated", view(c, "n1 i1"), steps[i]->all);
            free(c);
        }
        assert_true(writes > 5); /* it was cut in many places */
    }
}

static void atomic__who_lost_the_partition_in_between_does_not_complete_its_step(void **state)
{
    for (size_t i = 0; i < STEPS; i++)
        for (size_t writes = 1; writes < 5; writes++) {
            struct store_client *c = begin(state, steps[i]);
            char stale[1024], left[1024];
            char fence[24];
            memcpy(fence, c->fence[0], sizeof fence);
            assert_true(store_ask_cut(c, SCRIPT_COMMIT, "0", call_of(steps[i], "n1 i1", "F0", 2), writes));
            store_ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 '' 0");
            store_claim(c, 0, "n2 i2", 600000);
            snprintf(left, sizeof left, "%s", view(c, "n2 i2"));
            assert_null(strstr(left, "events 2-1"));
            assert_null(strstr(left, "letters 2-1"));
            snprintf(stale, sizeof stale, "%s", call_of(steps[i], "n1 i1", fence, 2));
            store_ask(c, SCRIPT_COMMIT, "0", stale);
            assert_true(span_is(c->items[1], "other"));
            expect(steps[i], "stale", view(c, "n2 i2"), left);
            free(c);
        }
}

/* A canonical miss is authoritative: nothing is found under another name, nothing is made up. */
static void atomic__what_is_not_there_is_told_as_absent(void **state)
{
    struct store_client *c = store_client_new(*state, next_client++);
    store_claim(c, 0, "n1 i1", 600000);
    assert_string_equal(view(c, "n1 i1"), "0 0 0 0; nil nil 0; nil nil nil; active; events; letters");
    assert_string_equal(store_ask(c, SCRIPT_LOAD, "0 0", "n1 i1 F0 S F0 s1"), "held nil nil 0 held nil nil 0");
    assert_string_equal(view(c, "n1 i1"),
                        "0 0 0 0; nil nil 0; nil nil nil; active; events; letters"); /* reads write nothing */
    free(c);
}

/* An error that the store itself raises in the middle: the state's key holds something else. */
static void atomic__an_error_in_the_middle_is_an_unknown_outcome_and_told_to_nobody(void **state)
{
    struct store_client *c = begin(state, &admission);
    char names[7][KEY_BYTES];
    struct span keys[7];
    for (size_t i = 0; i < 7; i++)
        keys[i] = store_key(c, i == 5 ? 0 : 1, "lsixxxd"[i], names[i]);
    keys[5] = store_key(c, 0, 'x', names[5]); /* in the place of an outbox: the key becomes a stream */
    store_claim(c, 1, "n1 i1", 600000);
    struct span args[] = {SPAN_LIT("n1"), SPAN_LIT("i1"), span_of(c->fence[1]), SPAN_LIT("1"), SPAN_LIT("d"),
                          SPAN_LIT("0"),  SPAN_LIT("0"),  SPAN_LIT("0"),        SPAN_LIT("1"), SPAN_LIT("1"),
                          SPAN_LIT("o"),  SPAN_LIT("s"),  SPAN_LIT("event")};
    assert_string_equal(store_ask_keys(c, SCRIPT_COMMIT, keys, 7, args, sizeof args / sizeof *args), "held 1 F1 0 0");
    const char *call = "n1 i1 F0 2 step 0 0 0 1 4 s s 1|head x s state o s event d s letter";
    assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", call), "unknown");
    assert_string_equal(store_ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held ''");
    assert_string_equal(store_ask_letters(c, 0, "n1 i1 F0 '' 9 ''"), "held ''");
    store_ask(c, SCRIPT_WATCH, "0", "");
    assert_true(span_is(c->items[6], "1")); /* the sequence: it was not applied */
    assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", call), "unknown");
    free(c);
}

#define CASE(name) cmocka_unit_test(name)

const struct CMUnitTest atomic_cases[] = {
    CASE(atomic__a_step_is_there_whole_and_once),
    CASE(atomic__who_is_not_the_owner_or_not_next_writes_nothing),
    CASE(atomic__a_step_that_comes_too_late_writes_nothing),
    CASE(atomic__a_condition_that_fails_leaves_out_the_whole_step),
    CASE(atomic__a_step_cut_off_behind_any_write_is_told_to_nobody_and_its_repeat_completes_it),
    CASE(atomic__who_lost_the_partition_in_between_does_not_complete_its_step),
    CASE(atomic__what_is_not_there_is_told_as_absent),
    CASE(atomic__an_error_in_the_middle_is_an_unknown_outcome_and_told_to_nobody),
};
const size_t atomic_case_count = sizeof atomic_cases / sizeof *atomic_cases;
