/* The conformance suite of the store port on the memory store, and what only this one can show: a script that dies
 * half-way. */
#include <stdio.h>
#include <stdlib.h>

#include "redis/store_memory.h"
#include "tests/conformance/store_cases.h"

struct fixture {
    struct test_mem mem;
    struct store_memory *store;
    struct store_bench bench;
    uint64_t now_us;
};

static uint64_t now_us(void *self)
{
    struct fixture *f = self;
    return f->now_us;
}

/* A millisecond passes with every step. */
static void step(void *self)
{
    struct fixture *f = self;
    f->now_us += 1000;
    store_memory_pump(f->store, store_client_on_reply, &f->bench);
}

static bool cut(void *self, const struct store_call *call, size_t writes)
{
    struct fixture *f = self;
    struct store_reply reply;
    script_host_die_after(store_memory_host(f->store), writes);
    store_memory_execute(f->store, call, &reply);
    script_host_die_after(store_memory_host(f->store), 0);
    return reply.verdict != STORE_REPLIED;
}

static void fixture_init(struct fixture *f)
{
    struct mk_note note = {""};
    test_mem_init(&f->mem);
    f->now_us = 1700000000000000u;
    struct keyspace_clock clock = {now_us, f};
    f->store = store_memory_new(&f->mem.mem, &clock, &note);
    if (!f->store)
        fail_msg("%s", note.text);
    f->bench = (struct store_bench){.port = store_memory_port(f->store), .step = step, .cut = cut, .self = f};
}

static void fixture_fini(struct fixture *f)
{
    store_memory_free(f->store);
    assert_int_equal(f->mem.live, 0);
}

/* The whole keyspace of partition 0 as text, to compare two stores. */
static void dump(struct fixture *f, char *out, size_t room)
{
    static const char *const keys[] = {"l", "s", "i", "x", "t", "o", "d"};
    size_t at = 0;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        char key[40];
        struct keyspace_reply reply;
        snprintf(key, sizeof key, "mk:{0}:0000:%s", keys[k]);
        struct span all[] = {SPAN_LIT("HGETALL"), span_of(key)};
        struct span range[] = {SPAN_LIT("XRANGE"), span_of(key), SPAN_LIT("-"), SPAN_LIT("+")};
        keyspace_command(store_memory_keyspace(f->store), k < 5 ? all : range, k < 5 ? 2 : 4, &reply);
        for (size_t i = 0; i < reply.count; i++)
            at += (size_t)snprintf(out + at, room - at, "%.*s ", SPAN_ARGS(reply.items[i].text));
        assert_true(at < room);
    }
}

static const char half[] = "n1 i1 F0 2 dig2 1 7 9 3 "
                           "6 ? s1/i/a rec t s1/i/a rec s s1 head1 i s1/1 row x s1 state o s1 event1 "
                           "3 ? s2/i/a rec s s2 head2 o s2 event2 "
                           "8 T s3/i/a '' I s3/4 '' s s3 head3 o s3 event3 d s3 letter d s3 other D '' 9 - '' 1";

#define WRITES 12 /* HSET s i x t, HDEL i t, XADD o d d, XTRIM d o, HSET l */

static struct store_client *before_half(struct fixture *f)
{
    fixture_init(f);
    struct store_client *c = store_client_new(&f->bench, 0);
    store_claim(c, 0, "n1 i1", 60000);
    store_ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 1 dig1 0 0 0 1 4 t s2/i/a other t s3/i/a x i s3/4 row o s3 event0");
    return c;
}

static void store_memory__a_commit_that_died_half_way_is_repeated_with_the_same_verdict(void **state)
{
    (void)state;
    static char whole[8192], repeated[8192];
    struct fixture f;
    struct store_client *c = before_half(&f);
    assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", half), "held 2 F0 0 1 1 1 s2/i/a other");
    dump(&f, whole, sizeof whole);
    free(c);
    fixture_fini(&f);
    for (size_t deaths = 1; deaths <= WRITES + 1; deaths++) {
        c = before_half(&f);
        script_host_die_after(store_memory_host(f.store), deaths);
        const char *verdict = store_ask(c, SCRIPT_COMMIT, "0", half);
        if (deaths <= WRITES) {
            assert_string_equal(verdict, "unknown");
            verdict = store_ask(c, SCRIPT_COMMIT, "0", half);
        }
        bool done = deaths == WRITES; /* died after its very last write */
        assert_string_equal(verdict, done ? "again 2 F0 0 1 1 1 s2/i/a other" : "held 2 F0 0 1 1 1 s2/i/a other");
        dump(&f, repeated, sizeof repeated);
        assert_string_equal(repeated, whole);
        free(c);
        fixture_fini(&f);
    }
}

static void store_memory__what_a_former_owner_left_half_done_is_not_published(void **state)
{
    (void)state;
    struct fixture f;
    for (size_t n = 2; n < 2 * WRITES; n++) {
        size_t writes = n / 2, with_events = n % 2;
        struct store_client *c = before_half(&f);
        script_host_die_after(store_memory_host(f.store), writes);
        assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", half), "unknown");
        store_ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 '' 0");
        store_claim(c, 0, "n2 i2", 60000);
        assert_null(strstr(store_ask(c, SCRIPT_EVENTS, "0", "n2 i2 F0 '' 9 ''"), "event1"));
        if (with_events == 0) {
            assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", "n2 i2 F0 2 digB 0 0 0 0"), "held 2 F0 1 0");
            assert_null(strstr(store_ask(c, SCRIPT_EVENTS, "0", "n2 i2 F0 '' 9 ''"), "event1"));
            free(c);
            fixture_fini(&f);
            continue;
        }
        assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", "n2 i2 F0 2 digB 0 0 0 1 2 o s9 mine d s9 letter"),
                            "held 2 F0 1 0");
        assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", "n2 i2 F0 2 digB 0 0 0 1 2 o s9 mine d s9 letter"),
                            "again 2 F0 1 0");
        const char *events = store_ask(c, SCRIPT_EVENTS, "0", "n2 i2 F0 '' 9 ''");
        assert_null(strstr(events, "event1"));
        assert_non_null(strstr(events, "s9 mine"));
        const char *letters = store_ask_letters(c, 0, "n2 i2 F0 '' 9 ''");
        assert_null(strstr(letters, "s3"));
        assert_non_null(strstr(letters, "s9 letter"));
        free(c);
        fixture_fini(&f);
    }
}

/* Two long dead and one garbled record of its own: three writes. */
static struct store_client *before_members(struct fixture *f)
{
    fixture_init(f);
    struct store_client *c = store_client_new(&f->bench, 0);
    store_write(c, store_members_key(c), "n2", "i2 1 working");
    store_write(c, store_members_key(c), "n3", "i3 2 deaf");
    store_write(c, store_members_key(c), "n1", "i1");
    return c;
}

static void store_memory__a_heartbeat_that_died_half_way_is_repeated(void **state)
{
    (void)state;
    struct fixture f;
    for (size_t deaths = 1; deaths <= 4; deaths++) {
        struct store_client *c = before_members(&f);
        script_host_die_after(store_memory_host(f.store), deaths);
        const char *answer = store_ask(c, SCRIPT_MEMBERS, "", "n1 i1 60000 working");
        if (deaths <= 3) {
            assert_string_equal(answer, "unknown");
            store_ask(c, SCRIPT_MEMBERS, "", "n1 i1 60000 working");
        }
        assert_int_equal(c->count, 6);
        assert_true(span_is(c->items[1], "held") && span_is(c->items[2], "n1"));
        assert_string_equal(store_read(c, store_members_key(c), "n2"), "nil");
        assert_string_equal(store_read(c, store_members_key(c), "n3"), "nil");
        free(c);
        fixture_fini(&f);
    }
}

/* Asks at this very time; the second item of the reply. */
static const char *status_at(struct fixture *f, uint64_t now_ms, enum script script, struct span key,
                             const struct span *args, size_t count)
{
    static char text[64];
    struct store_reply reply;
    const struct store_call call = {script, &key, args, 1, count};
    f->now_us = now_ms * 1000 + 999;
    store_memory_execute(f->store, &call, &reply);
    assert_true(reply.verdict == STORE_REPLIED && reply.count > 1);
    snprintf(text, sizeof text, "%.*s", SPAN_ARGS(reply.items[1]));
    return text;
}

static void store_memory__what_expires_now_has_expired(void **state)
{
    (void)state;
    struct fixture f;
    char name[KEY_BYTES];
    fixture_init(&f);
    struct store_client *c = store_client_new(&f.bench, 0);
    struct span members = store_members_key(c), lease = store_key(c, 0, 'l', name);
    const struct span claim[] = {SPAN_LIT("n2"), SPAN_LIT("i2"), SPAN_LIT("60000"),
                                 SPAN_LIT("0"),  SPAN_LIT("h"),  SPAN_LIT("")};
    const struct span other[] = {SPAN_LIT("n1"), SPAN_LIT("i2"), SPAN_LIT("1"), SPAN_LIT("working")};
    const struct span third[] = {SPAN_LIT("n3"), SPAN_LIT("i3"), SPAN_LIT("1"), SPAN_LIT("working")};
    store_claim(c, 0, "n1 i1", 60000);
    uint64_t end = strtoull(c->items[11].at, NULL, 10);
    assert_string_equal(status_at(&f, end - 1, SCRIPT_WATCH, lease, NULL, 0), "other");
    assert_string_equal(status_at(&f, end - 1, SCRIPT_CLAIM, lease, claim, 6), "other");
    assert_string_equal(status_at(&f, end, SCRIPT_WATCH, lease, NULL, 0), "free");
    assert_string_equal(status_at(&f, end, SCRIPT_CLAIM, lease, claim, 6), "held");
    store_ask(c, SCRIPT_MEMBERS, "", "n1 i1 60000 working");
    end = strtoull(c->items[5].at, NULL, 10);
    assert_string_equal(status_at(&f, end - 1, SCRIPT_MEMBERS, members, other, 4), "other");
    assert_string_equal(status_at(&f, end + 599999, SCRIPT_MEMBERS, members, third, 4), "held");
    f.now_us = (end - 60000) * 1000; /* back, where the lease behind store_read is alive */
    assert_string_not_equal(store_read(c, members, "n1"), "nil");
    assert_string_equal(status_at(&f, end + 600000, SCRIPT_MEMBERS, members, third, 4), "held");
    f.now_us = (end - 60000) * 1000;
    assert_string_equal(store_read(c, members, "n1"), "nil");
    free(c);
    fixture_fini(&f);
}

/* One HSET writes a lease: of two, each is as it was or done, and a repeat does the rest. */
static void store_memory__a_release_that_died_half_way_is_repeated(void **state)
{
    (void)state;
    struct fixture f;
    static const char release[] = "n1 i1 F0 n2 1 F1 n2 1";
    for (size_t deaths = 1; deaths <= 2; deaths++) {
        fixture_init(&f);
        struct store_client *c = store_client_new(&f.bench, 0);
        store_claim(c, 0, "n1 i1", 60000);
        store_claim(c, 1, "n1 i1", 60000);
        store_ask(c, SCRIPT_COMMIT, "0 1", "n1 i1 F0 1 d 0 0 0 1 1 s a A F1 1 d 0 0 0 0");
        script_host_die_after(store_memory_host(f.store), deaths);
        assert_string_equal(store_ask(c, SCRIPT_RELEASE, "0 1", release), "unknown");
        assert_string_equal(store_ask(c, SCRIPT_RELEASE, "0 1", release),
                            deaths == 1 ? "free '' F0 1 held n1 F1 0" : "free '' F0 1 free '' F1 0");
        store_ask(c, SCRIPT_WATCH, "0 1", "");
        for (size_t p = 0; p < 2; p++) {
            const struct span *record = c->items + 1 + 13 * p;
            assert_true(span_is(record[0], "free") && span_is(record[6], "1") && span_is(record[12], "n2"));
        }
        free(c);
        fixture_fini(&f);
    }
}

static void store_memory__without_memory_a_call_is_refused_or_unknown(void **state)
{
    (void)state;
    struct fixture f;
    for (size_t n = 1; n < 400; n++) {
        struct store_client *c = before_half(&f);
        size_t live = f.mem.live;
        f.mem.fail_at = f.mem.count + n;
        const struct span args[] = {SPAN_LIT("n1"), SPAN_LIT("i1"), span_of(c->fence[0]), SPAN_LIT("s3")};
        const struct span keys[] = {SPAN_LIT("mk:{0}:0000:l"), SPAN_LIT("mk:{0}:0000:s"), SPAN_LIT("mk:{0}:0000:i"),
                                    SPAN_LIT("mk:{0}:0000:x")};
        const struct store_call call = {SCRIPT_LOAD, keys, args, 4, 4};
        struct store_reply reply;
        store_memory_execute(f.store, &call, &reply);
        assert_true(reply.verdict == STORE_REFUSED || reply.count == 5);
        f.mem.fail_at = 0;
        assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", half), "held 2 F0 0 1 1 1 s2/i/a other");
        assert_true(live > 0);
        free(c);
        fixture_fini(&f);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_init(f);
    *state = &f->bench;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = ((struct store_bench *)*state)->self;
    fixture_fini(f);
    free(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test(store_memory__a_commit_that_died_half_way_is_repeated_with_the_same_verdict),
        cmocka_unit_test(store_memory__what_a_former_owner_left_half_done_is_not_published),
        cmocka_unit_test(store_memory__a_heartbeat_that_died_half_way_is_repeated),
        cmocka_unit_test(store_memory__what_expires_now_has_expired),
        cmocka_unit_test(store_memory__a_release_that_died_half_way_is_repeated),
        cmocka_unit_test(store_memory__without_memory_a_call_is_refused_or_unknown),
    };
    int failed = store_run_cases(setup, teardown);
    return failed + cmocka_run_group_tests_name("memory alone", own, NULL, NULL);
}
