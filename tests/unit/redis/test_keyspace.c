#include "redis/keyspace.h"

#include <stdio.h>

#include "tests/lib/t.h"

struct fixture {
    struct test_mem mem;
    struct keyspace *ks;
    uint64_t now_us;
    char text[4096];
};

static uint64_t now_us(void *self)
{
    return ((struct fixture *)self)->now_us;
}

static void init(struct fixture *f)
{
    test_mem_init(&f->mem);
    f->now_us = 1700000000123456u;
    struct keyspace_clock clock = {now_us, f};
    f->ks = keyspace_new(&f->mem.mem, &clock);
    assert_non_null(f->ks);
}

static void fini(struct fixture *f)
{
    keyspace_free(f->ks);
    assert_int_equal(f->mem.live, 0);
}

static size_t print(const struct keyspace_item *item, char *out, size_t room)
{
    switch (item->kind) {
    case KEYSPACE_NIL:
        return (size_t)snprintf(out, room, "nil ");
    case KEYSPACE_NUMBER:
        return (size_t)snprintf(out, room, "%d ", (int)item->number);
    case KEYSPACE_ARRAY:
        return (size_t)snprintf(out, room, "[%d] ", (int)item->number);
    case KEYSPACE_ERROR:
        return (size_t)snprintf(out, room, "error %.*s ", (int)(strcspn(item->text.at, " ")), item->text.at);
    case KEYSPACE_TEXT:
    case KEYSPACE_STATUS:
        break;
    }
    return (size_t)snprintf(out, room, "%.*s ", SPAN_ARGS(item->text));
}

/* A command of words between spaces, and its reply as text. */
static const char *run(struct fixture *f, const char *line)
{
    struct span words[32];
    size_t count = 0, at = 0;
    struct keyspace_reply reply;
    for (; *line; line += strspn(line, " ")) {
        words[count++] = span_bytes(line, strcspn(line, " "));
        line += strcspn(line, " ");
    }
    keyspace_command(f->ks, words, count, &reply);
    for (size_t i = 0; i < reply.count; i++)
        at += print(&reply.items[i], f->text + at, sizeof f->text - at);
    f->text[at ? at - 1 : 0] = 0;
    return f->text;
}

#define expect(line, wanted) assert_string_equal(run(&f, line), wanted)

static void test_keyspace__hashes_answer_as_in_redis(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    expect("HSET h a 1 b 2", "2");
    expect("HSET h a 3 c 4", "1");
    expect("HGET h a", "3");
    expect("HGET h z", "nil");
    expect("HMGET h a z b", "[3] 3 nil 2");
    expect("HMGET none a", "[1] nil");
    expect("HKEYS h", "[3] a b c");
    expect("HGETALL h", "[6] a 3 b 2 c 4");
    expect("HDEL h a z", "1");
    expect("HLEN h", "2");
    expect("TYPE h", "hash");
    expect("HDEL h b c", "2");
    expect("EXISTS h", "0");
    expect("TYPE h", "none");
    fini(&f);
}

static void test_keyspace__streams_answer_as_in_redis(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    expect("XADD s 1-1 f a", "1-1");
    expect("XADD s 1-1 f a", "error ERR");
    expect("XADD s 0-0 f a", "error ERR");
    expect("XADD s 3 f b g c", "3-0");
    expect("XADD s 5-7 f d", "5-7");
    expect("XRANGE s - +", "[3] [2] 1-1 [2] f a [2] 3-0 [4] f b g c [2] 5-7 [2] f d");
    expect("XRANGE s (1-1 5 COUNT 1", "[1] [2] 3-0 [4] f b g c");
    expect("XRANGE s 2 (5-7", "[1] [2] 3-0 [4] f b g c");
    expect("XREVRANGE s + 2 COUNT 1", "[1] [2] 5-7 [2] f d");
    expect("XRANGE s x +", "error ERR");
    expect("XDEL s 3-0 4-0", "1");
    expect("XTRIM s MINID = 5", "1");
    expect("XLEN s", "1");
    expect("XDEL s 5-7", "1");
    expect("XADD s 5-7 f d", "error ERR"); /* the last id never goes back */
    expect("TYPE s", "stream");
    fini(&f);
}

static void test_keyspace__a_scan_tells_each_field_that_stays_once(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    expect("HSET h a 1 b 2 c 3 d 4 e 5", "5");
    expect("HSCAN h 0 COUNT 2", "[2] 2 [4] a 1 b 2");
    expect("HDEL h b d", "2");
    expect("HSCAN h 2 COUNT 1", "[2] 3 [2] c 3");
    expect("HSCAN h 3 COUNT 9", "[2] 0 [2] e 5");
    expect("HSCAN none 0", "[2] 0 [0]");
    fini(&f);
}

static void test_keyspace__wrong_types_and_wrong_words_change_nothing(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    run(&f, "HSET h a 1");
    run(&f, "XADD s 1-1 a 1");
    expect("XADD h 1-1 a 1", "error WRONGTYPE");
    expect("HSET s a 1", "error WRONGTYPE");
    expect("HGET s a", "error WRONGTYPE");
    expect("HSET h a", "error ERR");
    expect("HSET h a 1 b", "error ERR");
    expect("NONSENSE h", "error ERR");
    expect("hget h a", "1");
    assert_int_equal(keyspace_keys(f.ks), 2);
    fini(&f);
}

static void test_keyspace__time_is_the_callers(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    expect("TIME", "[2] 1700000000 123456");
    fini(&f);
}

static void test_keyspace__a_copy_can_be_restored(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    run(&f, "HSET h a 1");
    run(&f, "XADD s 1-1 a 1");
    run(&f, "XADD s 2-1 a 1");
    run(&f, "XDEL s 2-1");
    size_t bytes = keyspace_bytes(f.ks);
    struct keyspace *copy = keyspace_copy(f.ks);
    assert_non_null(copy);
    run(&f, "HSET h a 2 b 3");
    run(&f, "DEL s");
    assert_true(keyspace_restore(f.ks, copy));
    keyspace_free(copy);
    expect("HGETALL h", "[2] a 1");
    expect("XRANGE s - +", "[1] [2] 1-1 [2] a 1");
    expect("XADD s 2-1 a 1", "error ERR");
    assert_int_equal(keyspace_bytes(f.ks), bytes);
    fini(&f);
}

static void test_keyspace__bytes_come_back_to_nothing(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    run(&f, "HSET h a 1 b 22");
    run(&f, "HSET h a 333");
    assert_int_equal(keyspace_bytes(f.ks), 1 + 1 + 3 + 1 + 2);
    run(&f, "HDEL h a b");
    run(&f, "XADD s 1-1 a 1");
    run(&f, "DEL s");
    assert_int_equal(keyspace_bytes(f.ks), 0);
    assert_int_equal(keyspace_keys(f.ks), 0);
    fini(&f);
}

static void test_keyspace__without_memory_a_command_changes_nothing(void **state)
{
    static const char *const lines[] = {"HSET h a 9 b 9 c 9", "HSET n a 1", "XADD s 9-1 a 9", "XADD m 9-1 a 9"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t n = 1; n < 6; n++) {
            struct fixture f;
            init(&f);
            run(&f, "HSET h a 1");
            run(&f, "XADD s 1-1 a 1");
            f.mem.fail_at = f.mem.count + n;
            bool failed = strncmp(run(&f, lines[i]), "error OOM", 9) == 0;
            f.mem.fail_at = 0;
            if (failed) {
                expect("HGETALL h", "[2] a 1");
                expect("XRANGE s - +", "[1] [2] 1-1 [2] a 1");
                assert_int_equal(keyspace_keys(f.ks), 2);
            }
            assert_true(failed || n > 1);
            fini(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyspace__hashes_answer_as_in_redis),
        cmocka_unit_test(test_keyspace__streams_answer_as_in_redis),
        cmocka_unit_test(test_keyspace__a_scan_tells_each_field_that_stays_once),
        cmocka_unit_test(test_keyspace__wrong_types_and_wrong_words_change_nothing),
        cmocka_unit_test(test_keyspace__time_is_the_callers),
        cmocka_unit_test(test_keyspace__a_copy_can_be_restored),
        cmocka_unit_test(test_keyspace__bytes_come_back_to_nothing),
        cmocka_unit_test(test_keyspace__without_memory_a_command_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
