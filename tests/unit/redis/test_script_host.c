#include "redis/script_host.h"

#include <stdlib.h>

#include "redis/lua_text.h"
#include "tests/lib/t.h"

struct fixture {
    struct test_mem mem;
    struct keyspace *keyspace;
    struct script_host *host;
};

static uint64_t now_us(void *self)
{
    (void)self;
    return 1700000000000000u;
}

static void init(struct fixture *f)
{
    struct mk_note note = {""};
    struct keyspace_clock clock = {now_us, NULL};
    test_mem_init(&f->mem);
    f->keyspace = keyspace_new(&f->mem.mem, &clock);
    f->host = script_host_new(&f->mem.mem, f->keyspace, &note);
    if (!f->host)
        fail_msg("%s", note.text);
}

static void fini(struct fixture *f)
{
    script_host_free(f->host);
    keyspace_free(f->keyspace);
    assert_int_equal(f->mem.live, 0);
}

static void found(struct fixture *f, struct script_result *result)
{
    static const struct span key = {"facts", 5};
    static const struct span args[] = {{"1", 1}, {"256", 3}, {"1", 1}, {"id", 2}};
    const struct script_call call = {"found", &key, args, 1, 4};
    script_host_run(f->host, &call, result);
}

static void test_script_host__every_shipped_script_runs(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    for (const struct lua_text *script = lua_texts; script->name; script++) {
        struct script_result result;
        const struct script_call call = {script->name, NULL, NULL, 0, 0};
        script_host_run(f.host, &call, &result);
        assert_false(result.ok || result.wrote);
        assert_true(result.error.bytes > 8 && memcmp(result.error.at, "BADCALL ", 8) == 0);
    }
    fini(&f);
}

static void test_script_host__a_reply_is_flat_text(void **state)
{
    (void)state;
    struct fixture f;
    struct script_result result;
    init(&f);
    found(&f, &result);
    assert_true(result.ok && result.wrote);
    assert_int_equal(result.count, 5);
    assert_span_equal(result.items[0], "1700000000000");
    assert_span_equal(result.items[4], "id");
    found(&f, &result);
    assert_true(result.ok && !result.wrote);
    fini(&f);
}

static void test_script_host__an_unknown_script_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    struct script_result result;
    init(&f);
    const struct script_call call = {"nonsense", NULL, NULL, 0, 0};
    script_host_run(f.host, &call, &result);
    assert_false(result.ok);
    assert_memory_equal(result.error.at, "NOSCRIPT", 8);
    fini(&f);
}

static void test_script_host__a_script_can_be_made_to_die_after_a_write(void **state)
{
    (void)state;
    struct fixture f;
    struct script_result result;
    init(&f);
    script_host_die_after(f.host, 1);
    found(&f, &result);
    assert_true(!result.ok && result.wrote);
    assert_int_equal(keyspace_keys(f.keyspace), 1);
    found(&f, &result); /* the fault is used up */
    assert_true(result.ok);
    fini(&f);
}

static void test_script_host__a_script_that_runs_too_long_is_ended(void **state)
{
    (void)state;
    struct fixture f;
    struct script_result result;
    init(&f);
    script_host_limit(f.host, 5);
    found(&f, &result);
    assert_false(result.ok || result.wrote);
    assert_span_equal(result.error, "ERR the script ran too long");
    fini(&f);
}

static void test_script_host__without_memory_nothing_leaks(void **state)
{
    (void)state;
    for (size_t n = 1; n < 3000; n += 7) {
        struct test_mem mem;
        struct mk_note note;
        struct keyspace_clock clock = {now_us, NULL};
        test_mem_init(&mem);
        struct keyspace *keyspace = keyspace_new(&mem.mem, &clock);
        mem.fail_at = mem.count + n;
        script_host_free(script_host_new(&mem.mem, keyspace, &note));
        keyspace_free(keyspace);
        assert_int_equal(mem.live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script_host__every_shipped_script_runs),
        cmocka_unit_test(test_script_host__a_reply_is_flat_text),
        cmocka_unit_test(test_script_host__an_unknown_script_is_an_error),
        cmocka_unit_test(test_script_host__a_script_can_be_made_to_die_after_a_write),
        cmocka_unit_test(test_script_host__a_script_that_runs_too_long_is_ended),
        cmocka_unit_test(test_script_host__without_memory_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
