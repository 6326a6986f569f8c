/* The conformance suite of the store port on a real redis-server, what only a connection can show, and the same random
 * calls to both stores. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "redis/lua_text.h"
#include "redis/store_memory.h"
#include "redis/store_redis.h"
#include "tests/conformance/redis_server.h"
#include "tests/conformance/store_cases.h"

#define CALLS_MAX 20 /* in flight, of the quick store */

struct fixture {
    struct redis_server server;
    struct test_mem mem;
    uv_loop_t loop;
    struct store_redis *store;
    struct store_bench bench;
    bool up, closed;
    int ups, downs;
    /* of `many` */
    uint64_t tags[64];
    enum store_verdict verdicts[64];
    size_t told;
};

static void step(void *self)
{
    struct fixture *f = self;
    uv_run(&f->loop, UV_RUN_ONCE);
}

static void on_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    struct fixture *f = user;
    if (tag < 1000000) {
        store_client_on_reply(&f->bench, tag, reply);
        return;
    }
    assert_true(f->told < 64);
    f->tags[f->told] = tag;
    f->verdicts[f->told++] = reply->verdict;
}

static void on_up(void *user, bool up)
{
    struct fixture *f = user;
    assert_true(f->up != up);
    f->up = up;
    f->ups += up;
    f->downs += !up;
}

static void on_closed(void *user)
{
    ((struct fixture *)user)->closed = true;
}

static void await(struct fixture *f, const bool *flag, bool wanted)
{
    time_t end = time(NULL) + 20;
    while (*flag != wanted && time(NULL) < end)
        uv_run(&f->loop, UV_RUN_ONCE);
    if (*flag != wanted)
        fail_msg("not in time; the store says '%s'", store_redis_why(f->store));
}

/* --- a script that is cut off --- */

/* Before the shipped text: a redis.call that counts writes, and raises an error behind the last one that it allows. */
static const char counting[] = "local REAL, LEFT = redis, %zu "
                               "local WRITES = {HSET = 1, HDEL = 1, XADD = 1, XDEL = 1, XTRIM = 1} "
                               "local redis = {call = function(...) "
                               "local reply = REAL.call(...) "
                               "if WRITES[(...)] then LEFT = LEFT - 1 if LEFT == 0 then error('cut off') end end "
                               "return reply end} ";

struct cut_answer {
    bool answered, replied;
};

static void on_cut(void *user, const struct store_reply *answer)
{
    *(struct cut_answer *)user = (struct cut_answer){true, answer->verdict == STORE_REPLIED};
}

static const char *text_of(enum script script)
{
    size_t i = 0;
    while (strcmp(lua_texts[i].name, script_name(script)) != 0)
        i++;
    return lua_texts[i].text;
}

static bool cut(void *self, const struct store_call *call, size_t writes)
{
    struct fixture *f = self;
    struct cut_answer answer = {false, false};
    size_t room = sizeof counting + 24 + strlen(text_of(call->script)), count = 0;
    char *text = malloc(room), keys[24];
    struct span *words = calloc(3 + call->key_count + call->arg_count, sizeof *words);
    assert_true(text && words);
    snprintf(text, room, counting, writes);
    strcat(text, text_of(call->script));
    snprintf(keys, sizeof keys, "%zu", call->key_count);
    words[count++] = SPAN_LIT("EVAL");
    words[count++] = span_of(text);
    words[count++] = span_of(keys);
    for (size_t i = 0; i < call->key_count; i++)
        words[count++] = call->keys[i];
    for (size_t i = 0; i < call->arg_count; i++)
        words[count++] = call->args[i];
    assert_true(store_redis_command(f->store, words, count, on_cut, &answer));
    await(f, &answer.answered, true);
    free(words);
    free(text);
    return !answer.replied;
}

static void open_store(struct fixture *f, const struct store_redis_options *given)
{
    struct mk_note note = {""};
    struct store_redis_options options = *given;
    options.url = options.url ? options.url : f->server.url;
    options.on_reply = on_reply;
    options.on_up = on_up;
    options.user = f;
    test_mem_init(&f->mem);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->store = store_redis_open(&f->loop, &f->mem.mem, &options, &note);
    if (!f->store)
        fail_msg("%s", note.text);
    f->bench = (struct store_bench){.port = store_redis_port(f->store), .step = step, .cut = cut, .self = f};
}

static void close_store(struct fixture *f)
{
    store_redis_close(f->store, on_closed, f);
    await(f, &f->closed, true);
    while (uv_run(&f->loop, UV_RUN_NOWAIT))
        ;
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(f->mem.live, 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    redis_server_open(&f->server, NULL);
    open_store(f, &(struct store_redis_options){.deadline_ms = 10000});
    await(f, &f->up, true);
    *state = &f->bench;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = ((struct store_bench *)*state)->self;
    close_store(f);
    redis_server_close(&f->server);
    free(f);
    return 0;
}

static int setup_quick(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    redis_server_open(&f->server, NULL);
    open_store(f, &(struct store_redis_options){.deadline_ms = 400, .ping_ms = 100, .calls_max = CALLS_MAX});
    await(f, &f->up, true);
    *state = &f->bench;
    return 0;
}

static struct fixture *fixture_of(void **state)
{
    return ((struct store_bench *)*state)->self;
}

/* --- the connection --- */

static void done(void *user, const struct store_reply *answer)
{
    assert_int_equal(answer->verdict, STORE_REPLIED);
    *(bool *)user = true;
}

static void command(struct fixture *f, const char *a, const char *b, const char *c)
{
    bool answered = false;
    struct span words[] = {span_of(a), span_of(b), span_of(c)};
    assert_true(store_redis_command(f->store, words, c ? 3 : 2, done, &answered));
    await(f, &answered, true);
}

/* Sends `count` renewals of a partition nobody has, tags 1000000.. */
static size_t many(struct fixture *f, size_t count)
{
    struct span key = SPAN_LIT("mk:{0}:0fff:l");
    struct span args[] = {SPAN_LIT("n1"), SPAN_LIT("i1"), SPAN_LIT("1000"), SPAN_LIT("1"), SPAN_LIT("1")};
    struct store_call call = {SCRIPT_RENEW, &key, args, 1, 5};
    size_t sent = 0;
    f->told = 0;
    while (sent < count && f->bench.port.ops->call(f->bench.port.self, 1000000 + sent, &call))
        sent++;
    assert_int_equal(f->told, 0);
    return sent;
}

static void store_redis__scripts_that_were_flushed_are_loaded_again_and_replies_keep_their_order(void **state)
{
    struct fixture *f = fixture_of(state);
    command(f, "SCRIPT", "FLUSH", NULL);
    assert_int_equal(many(f, 20), 20);
    time_t end = time(NULL) + 20;
    while (f->told < 20 && time(NULL) < end)
        step(f);
    assert_int_equal(f->told, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(f->tags[i], 1000000 + i);
        assert_int_equal(f->verdicts[i], STORE_REPLIED);
    }
    assert_int_equal(f->downs, 0);
}

static void expect_lost(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(f->tags[i], 1000000 + i);
        assert_int_equal(f->verdicts[i], STORE_UNKNOWN);
    }
    assert_int_equal(f->told, count);
}

static void store_redis__a_dead_server_leaves_everything_in_flight_unknown(void **state)
{
    struct fixture *f = fixture_of(state);
    kill(f->server.pid, SIGSTOP);
    assert_int_equal(many(f, 10), 10);
    redis_server_kill(&f->server);
    await(f, &f->up, false);
    expect_lost(f, 10);
    assert_false(f->bench.port.ops->connected(f->bench.port.self));
    assert_int_equal(many(f, 1), 0);
    redis_server_start(&f->server, NULL);
    await(f, &f->up, true);
    assert_int_equal(many(f, 1), 1);
    while (f->told < 1)
        step(f);
    assert_int_equal(f->verdicts[0], STORE_REPLIED);
}

static void store_redis__a_server_that_hangs_is_given_up_at_the_deadline(void **state)
{
    struct fixture *f = fixture_of(state);
    kill(f->server.pid, SIGSTOP);
    assert_int_equal(many(f, 10), 10);
    await(f, &f->up, false);
    expect_lost(f, 10);
    assert_string_equal(store_redis_why(f->store), "store: no reply within the deadline");
    kill(f->server.pid, SIGCONT);
    await(f, &f->up, true);
}

static void store_redis__a_server_that_hangs_is_noticed_without_calls(void **state)
{
    struct fixture *f = fixture_of(state);
    kill(f->server.pid, SIGSTOP);
    await(f, &f->up, false);
    kill(f->server.pid, SIGCONT);
    await(f, &f->up, true);
}

static void store_redis__what_is_in_flight_is_bounded(void **state)
{
    struct fixture *f = fixture_of(state);
    kill(f->server.pid, SIGSTOP);
    assert_int_equal(many(f, 60), CALLS_MAX);
    await(f, &f->up, false);
    expect_lost(f, CALLS_MAX);
    kill(f->server.pid, SIGCONT);
}

static void on_nothing(void *user, uint64_t tag, const struct store_reply *reply)
{
    (void)tag;
    assert_int_equal(reply->verdict, STORE_UNKNOWN);
    (*(size_t *)user)++;
}

static void on_nothing_up(void *user, bool up)
{
    (void)user;
    (void)up;
}

/* Opens a store by itself and waits until it says `wanted`. */
static void expect_why(const char *url, const char *password, const char *wanted)
{
    uv_loop_t loop;
    struct test_mem mem;
    size_t told = 0;
    test_mem_init(&mem);
    assert_int_equal(uv_loop_init(&loop), 0);
    struct store_redis_options options = {
        .url = url, .password = span_of(password), .on_reply = on_nothing, .on_up = on_nothing_up, .user = &told};
    struct store_redis *store = store_redis_open(&loop, &mem.mem, &options, NULL);
    assert_non_null(store);
    time_t end = time(NULL) + 20;
    while (!strstr(store_redis_why(store), wanted) && time(NULL) < end)
        uv_run(&loop, UV_RUN_ONCE);
    if (!strstr(store_redis_why(store), wanted))
        fail_msg("why is '%s'", store_redis_why(store));
    struct fixture f = {.closed = false};
    store_redis_close(store, on_closed, &f);
    while (!f.closed)
        uv_run(&loop, UV_RUN_ONCE);
    while (uv_run(&loop, UV_RUN_NOWAIT))
        ;
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(mem.live, 0);
}

static void store_redis__says_why_there_is_no_connection(void **state)
{
    struct fixture *f = fixture_of(state);
    expect_why("unix:/nonexistent/redis.sock", NULL, "connect: No such file or directory");
    expect_why("redis://127.0.0.1:1/0", NULL, "connect: Connection refused");
    expect_why("redis://nonexistent.invalid:1/0", NULL, "nonexistent.invalid: ");
    expect_why(f->server.url, "wrong", "store: ERR AUTH");
}

/* --- both stores, the same calls --- */

struct pair {
    struct test_mem mem;
    struct store_memory *memory;
    struct store_bench bench;
    uint64_t now_us;
};

static uint64_t pair_now(void *self)
{
    return ((struct pair *)self)->now_us;
}

static void pair_step(void *self)
{
    struct pair *p = self;
    p->now_us += 1000;
    store_memory_pump(p->memory, store_client_on_reply, &p->bench);
}

static unsigned chance(uint64_t *seed, unsigned below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33) % below;
}

static size_t add_op(char *at, size_t room, uint64_t *seed)
{
    static const char codes[] = "??sSiIxXtTodD-";
    char code = codes[chance(seed, sizeof codes - 1)];
    unsigned session = chance(seed, 3), name = chance(seed, 4), value = chance(seed, 3);
    switch (code) {
    case '-':
    case 'D':
        return (size_t)snprintf(at, room, " %c '' %u", code, name);
    case 'o':
    case 'd':
    case 's':
        return (size_t)snprintf(at, room, " %c s%u 1-%u|v%u", code, session, name, value);
    case 'i':
        return (size_t)snprintf(at, room, " i s%u/%u v%u", session, name, value);
    case 'I':
        return (size_t)snprintf(at, room, " I s%u/%u ''", session, name);
    case 'x':
    case '?':
    case 't':
        return (size_t)snprintf(at, room, " %c s%u/i/%u v%u", code, session, name, value);
    default:
        return (size_t)snprintf(at, room, " %c s%u/i/%u ''", code, session, name);
    }
}

/* A random call on partitions 0 and 1; most commits have the sequence that is due. */
static enum script random_call(uint64_t *seed, unsigned due, char *partitions, char *args, size_t room)
{
    unsigned owner = chance(seed, 12) == 0 ? 2 : 1, pub = chance(seed, due + 1);
    unsigned seq = chance(seed, 5) ? due : chance(seed, due + 2);
    size_t at = (size_t)snprintf(args, room, "n%u i%u ", owner, owner);
    strcpy(partitions, "0");
    switch (chance(seed, 16)) {
    case 0:
        if (chance(seed, 4)) {
            snprintf(args + at, room - at, "F0");
            return SCRIPT_ACTIVE;
        }
        snprintf(args + at, room - at, "F0 %s %u", chance(seed, 2) ? "n2" : "''", pub);
        return SCRIPT_RELEASE;
    case 1:
        strcpy(partitions, "0 1");
        snprintf(args + at, room - at, "60000 F0 %u F1 %u", seq, pub);
        return SCRIPT_RENEW;
    case 2:
        strcpy(partitions, "0 0 1");
        snprintf(args + at, room - at, "F0 s%u F0 s%u F1 s1", chance(seed, 3), chance(seed, 3));
        return SCRIPT_LOAD;
    case 3:
        snprintf(args + at, room - at, "F0 s%u/i/%u", chance(seed, 3), chance(seed, 4));
        return SCRIPT_FACTS;
    case 4:
        snprintf(args + at, room - at, "F0 %s %u %s", chance(seed, 2) ? "''" : "2-1", 1 + chance(seed, 4),
                 chance(seed, 2) ? "''" : "s1");
        return SCRIPT_EVENTS;
    case 5:
        snprintf(args + at, room - at, "F0 0 1000");
        return SCRIPT_LIST;
    case 6:
        strcpy(partitions, "0 1 2");
        args[0] = 0;
        return SCRIPT_WATCH;
    case 7:
        strcpy(partitions, "0 1");
        snprintf(args + at, room - at, "60000000 0 h '' 0 h %u", chance(seed, 9));
        return SCRIPT_CLAIM;
    case 8:
        snprintf(args, room, "n%u i%u 60000000 %s", chance(seed, 4), chance(seed, 2),
                 chance(seed, 3) ? "working" : "''");
        return SCRIPT_MEMBERS;
    default:
        break;
    }
    unsigned sections = chance(seed, 4);
    at += (size_t)snprintf(args + at, room - at, "F0 %u d%u %u 0 0 %u", seq, seq, pub, sections);
    for (unsigned s = 0; s < sections; s++) {
        unsigned ops = chance(seed, 5);
        at += (size_t)snprintf(args + at, room - at, " %u", ops);
        for (unsigned i = 0; i < ops; i++)
            at += add_op(args + at, room - at, seed);
    }
    return SCRIPT_COMMIT;
}

static int by_text(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    size_t least = x->bytes < y->bytes ? x->bytes : y->bytes;
    int order = least ? memcmp(x->at, y->at, least) : 0;
    return order ? order : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The two stores have clocks of their own: a time, 13 digits, counts as any other, and so does a fence, 16 digits. */
static void without_times(char *text)
{
    for (char *at = text; *at;) {
        size_t digits = strspn(at, "0123456789");
        if (digits == 13 || digits == 16)
            memset(at, 'T', digits);
        at += digits ? digits : 1;
    }
}

static void expect_same(enum script script, const char *args, struct store_client *a, struct store_client *b)
{
    bool unordered = script == SCRIPT_ACTIVE || script == SCRIPT_LIST;
    without_times(a->text);
    without_times(b->text);
    if (!unordered && strcmp(a->text, b->text) != 0)
        fail_msg("%s %s\n memory: %s\n redis:  %s", script_name(script), args, a->text, b->text);
    if (!unordered)
        return;
    assert_int_equal(a->count, b->count);
    for (int side = 0; side < 2; side++)
        qsort(side ? b->items : a->items, a->count, sizeof(struct span), by_text);
    for (size_t i = 0; i < a->count; i++) /* the time, the only thing that differs, is a number that sorts first */
        assert_true(span_equal(a->items[i], b->items[i]) || a->items[i].bytes == 13);
}

/* Partition 1 may have gone to another owner: its fence is known from the claim. Partition 0 is given back at once. */
static void after_claim(struct store_client *c)
{
    if (c->count < 19)
        return;
    snprintf(c->fence[1], sizeof c->fence[1], "%.*s", SPAN_ARGS(c->items[18]));
    if (!span_is(c->items[1], "held"))
        return;
    snprintf(c->fence[0], sizeof c->fence[0], "%.*s", SPAN_ARGS(c->items[5]));
    if (!span_is(c->items[3], "n2"))
        return;
    store_ask(c, SCRIPT_RELEASE, "0", "n2 i2 F0 '' 0");
    store_claim(c, 0, "n1 i1", 60000000);
}

static void claim_both(struct store_client *one, struct store_client *other)
{
    store_claim(one, 0, "n1 i1", 60000000);
    store_claim(other, 0, "n1 i1", 60000000);
}

static void store_redis__both_stores_answer_random_calls_alike(void **state)
{
    static char args[65536];
    char partitions[8];
    uint64_t seed = 20260101;
    struct pair pair;
    struct mk_note note;
    test_mem_init(&pair.mem);
    pair.now_us = 1700000000000000u;
    struct keyspace_clock clock = {pair_now, &pair};
    pair.memory = store_memory_new(&pair.mem.mem, &clock, &note);
    assert_non_null(pair.memory);
    pair.bench = (struct store_bench){.port = store_memory_port(pair.memory), .step = pair_step, .self = &pair};
    struct store_client *memory = store_client_new(&pair.bench, 900), *redis = store_client_new(*state, 900);
    unsigned due = 1, commits = 0;
    claim_both(memory, redis);
    store_claim(memory, 1, "n1 i1", 60000000);
    store_claim(redis, 1, "n1 i1", 60000000);
    for (int round = 0; round < 4000; round++) {
        enum script script = random_call(&seed, due, partitions, args, sizeof args);
        store_ask(memory, script, partitions, args);
        store_ask(redis, script, partitions, args);
        expect_same(script, args, memory, redis);
        if (script == SCRIPT_CLAIM) {
            after_claim(memory);
            after_claim(redis);
        }
        if (script == SCRIPT_COMMIT && span_is(memory->items[1], "held")) {
            due++;
            commits++;
        }
        if (script != SCRIPT_RENEW && memory->count > 1 && span_is(memory->items[1], "free"))
            claim_both(memory, redis);
    }
    assert_true(commits > 500);
    free(memory);
    free(redis);
    store_memory_free(pair.memory);
    assert_int_equal(pair.mem.live, 0);
}

int main(void)
{
    const struct CMUnitTest own[] = {
        cmocka_unit_test_setup_teardown(
            store_redis__scripts_that_were_flushed_are_loaded_again_and_replies_keep_their_order, setup_quick,
            teardown),
        cmocka_unit_test_setup_teardown(store_redis__a_dead_server_leaves_everything_in_flight_unknown, setup_quick,
                                        teardown),
        cmocka_unit_test_setup_teardown(store_redis__a_server_that_hangs_is_given_up_at_the_deadline, setup_quick,
                                        teardown),
        cmocka_unit_test_setup_teardown(store_redis__a_server_that_hangs_is_noticed_without_calls, setup_quick,
                                        teardown),
        cmocka_unit_test_setup_teardown(store_redis__what_is_in_flight_is_bounded, setup_quick, teardown),
        cmocka_unit_test_setup_teardown(store_redis__says_why_there_is_no_connection, setup_quick, teardown),
        cmocka_unit_test_setup_teardown(store_redis__both_stores_answer_random_calls_alike, setup, teardown),
    };
    int failed = store_run_cases(setup, teardown);
    return failed + cmocka_run_group_tests_name("redis alone", own, NULL, NULL);
}
