/* The check of a Redis at the start, on real servers configured well and badly. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "redis/preflight.h"
#include "tests/conformance/redis_server.h"
#include "tests/conformance/store_client.h"
#include "tests/lib/t.h"

struct fixture {
    struct redis_server server;
    struct test_mem mem;
    uv_loop_t loop;
    struct store_redis *store;
    struct store_bench bench;
    bool up, closed, reported;
    struct preflight_report report;
};

static void on_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    store_client_on_reply(&((struct fixture *)user)->bench, tag, reply);
}

static void on_up(void *user, bool up)
{
    ((struct fixture *)user)->up = up;
}

static void on_closed(void *user)
{
    ((struct fixture *)user)->closed = true;
}

static void on_report(void *user, const struct preflight_report *report)
{
    struct fixture *f = user;
    f->report = *report;
    f->reported = true;
}

static void step(void *self)
{
    uv_run(&((struct fixture *)self)->loop, UV_RUN_ONCE);
}

static void await(struct fixture *f, const bool *flag)
{
    time_t end = time(NULL) + 20;
    while (!*flag && time(NULL) < end)
        step(f);
    if (!*flag)
        fail_msg("not in time; the store says '%s'", store_redis_why(f->store));
}

static void open_server(struct fixture *f, const char *const options[])
{
    memset(f, 0, sizeof *f);
    redis_server_open(&f->server, options);
    test_mem_init(&f->mem);
    assert_int_equal(uv_loop_init(&f->loop), 0);
}

static void open_store(struct fixture *f, const char *url, const char *password)
{
    struct mk_note note = {""};
    struct store_redis_options options = {
        .url = url, .password = span_of(password), .on_reply = on_reply, .on_up = on_up, .user = f};
    f->store = store_redis_open(&f->loop, &f->mem.mem, &options, &note);
    if (!f->store)
        fail_msg("%s", note.text);
    f->bench = (struct store_bench){.port = store_redis_port(f->store), .step = step, .self = f};
    f->closed = false;
    await(f, &f->up);
}

static void close_store(struct fixture *f)
{
    store_redis_close(f->store, on_closed, f);
    await(f, &f->closed);
}

static void close_server(struct fixture *f)
{
    while (uv_run(&f->loop, UV_RUN_NOWAIT))
        ;
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(f->mem.live, 0);
    redis_server_close(&f->server);
}

static void look(struct fixture *f, bool allow_volatile)
{
    f->reported = false;
    assert_true(preflight_start(f->store, &f->mem.mem, allow_volatile, on_report, f));
    await(f, &f->reported);
}

static bool says(const struct fixture *f, const char *what)
{
    for (size_t i = 0; i < f->report.line_count; i++)
        if (strstr(f->report.lines[i], what))
            return true;
    for (size_t i = 0; i < f->report.line_count; i++)
        print_message("%s\n", f->report.lines[i]);
    return false;
}

/* Starts, looks, ends. */
static void look_at(struct fixture *f, const char *const options[], bool allow_volatile)
{
    open_server(f, options);
    open_store(f, f->server.url, NULL);
    look(f, allow_volatile);
    close_store(f);
    close_server(f);
}

static void preflight__an_append_only_redis_is_fine(void **state)
{
    (void)state;
    struct fixture f;
    look_at(&f, NULL, false);
    assert_true(f.report.ok);
    assert_string_equal(f.report.durability, "everysec");
    assert_true(says(&f, "redis 7") || says(&f, "redis 6"));
    look_at(&f, (const char *const[]){"--appendonly", "yes", "--appendfsync", "always", NULL}, false);
    assert_true(f.report.ok);
    assert_string_equal(f.report.durability, "always");
    look_at(&f, (const char *const[]){"--appendonly", "yes", "--appendfsync", "no", NULL}, false);
    assert_true(f.report.ok && says(&f, "warning: appendfsync is no"));
}

static void preflight__a_redis_that_keeps_nothing_is_refused_unless_allowed(void **state)
{
    (void)state;
    struct fixture f;
    look_at(&f, (const char *const[]){"--appendonly", "no", NULL}, false);
    assert_false(f.report.ok);
    assert_true(says(&f, "refused: appendonly is no and save is empty") && says(&f, "CONFIG SET appendonly yes"));
    look_at(&f, (const char *const[]){"--appendonly", "no", NULL}, true);
    assert_true(f.report.ok);
    assert_string_equal(f.report.durability, "none");
    look_at(&f, (const char *const[]){"--save", "60 1", NULL}, false);
    assert_true(f.report.ok && says(&f, "save '60 1'"));
    assert_string_equal(f.report.durability, "snapshots");
}

static void preflight__a_redis_that_evicts_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    look_at(
        &f,
        (const char *const[]){"--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", NULL},
        false);
    assert_false(f.report.ok);
    assert_true(says(&f, "CONFIG SET maxmemory-policy noeviction"));
    look_at(&f, (const char *const[]){"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru", NULL}, false);
    assert_true(f.report.ok && says(&f, "harmless while maxmemory is 0"));
    look_at(&f, (const char *const[]){"--appendonly", "yes", "--maxmemory", "100mb", NULL}, false);
    assert_true(f.report.ok);
}

static void preflight__a_replica_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    look_at(&f, (const char *const[]){"--appendonly", "yes", "--replicaof", "127.0.0.1", "1", NULL}, false);
    assert_false(f.report.ok);
    assert_true(says(&f, "is a replica") && says(&f, "redis://127.0.0.1:1/0"));
}

static void preflight__a_redis_without_config_is_unreadable_not_refused(void **state)
{
    (void)state;
    struct fixture f;
    look_at(&f, (const char *const[]){"--appendonly", "yes", "--rename-command", "CONFIG", "", NULL}, false);
    assert_true(f.report.ok && says(&f, "appendfsync is unreadable"));
    assert_string_equal(f.report.durability, "unreadable");
}

/* A server whose only user has the rights that docs/keys.md and a refusal name, and then `more`. */
static void open_with_rights(struct fixture *f, const char *more)
{
    char words[512];
    const char *options[40] = {"--appendonly", "yes"};
    size_t n = 2;
    snprintf(words, sizeof words,
             "--user default on >secret resetkeys ~mk:* resetchannels -@all " PREFLIGHT_RIGHTS " %s", more);
    for (char *word = strtok(words, " "); word && n < 35; word = strtok(NULL, " "))
        options[n++] = word;
    open_server(f, options);
    open_store(f, f->server.url, "secret");
}

static void preflight__the_rights_that_are_named_are_enough(void **state)
{
    (void)state;
    struct fixture f;
    open_with_rights(&f, "");
    look(&f, false);
    assert_true(says(&f, "durability everysec") && f.report.ok);
    struct store_client *c = store_client_new(&f.bench, 0);
    store_claim(c, 0, "n1 i1", 60000);
    assert_string_equal(store_ask(c, SCRIPT_FOUND, "", "1 256 1 id"), "1 256 1 id");
    assert_string_equal(store_ask(c, SCRIPT_RENEW, "0", "n1 i1 60000 F0 2"), "held n1 F0 0");
    assert_string_equal(
        store_ask(c, SCRIPT_COMMIT, "0",
                  "n1 i1 F0 1 d1 0 0 0 1 7 s s 1|h i s/1 row x s state t s/i/a A T s/i/b '' o s e d s dead"),
        "held 1 F0 0 0");
    assert_string_equal(store_ask(c, SCRIPT_COMMIT, "0", "n1 i1 F0 2 d2 1 0 0 1 1 - '' 1"), "held 2 F0 0 0");
    assert_string_equal(store_ask(c, SCRIPT_LOAD, "0", "n1 i1 F0 s"), "held 1|h state 1 1 row");
    assert_string_equal(store_ask(c, SCRIPT_FACTS, "0", "n1 i1 F0 s/i/a"), "held A");
    assert_string_equal(store_ask(c, SCRIPT_ACTIVE, "0", "n1 i1 F0"), "held s/1");
    assert_string_equal(store_ask(c, SCRIPT_EVENTS, "0", "n1 i1 F0 '' 9 ''"), "held ''");
    assert_string_equal(store_ask(c, SCRIPT_LIST, "0", "n1 i1 F0 0 9"), "held 0 s 1|h");
    store_ask(c, SCRIPT_WATCH, "0", "");
    assert_true(span_is(c->items[1], "other") && span_is(c->items[3], "n1"));
    assert_string_equal(store_ask(c, SCRIPT_RELEASE, "0", "n1 i1 F0 '' 0"), "held n1 F0 1");
    store_write(c, store_members_key(c), "n2", "i2 1 working"); /* one to be deleted */
    store_ask(c, SCRIPT_MEMBERS, "", "n1 i1 60000 working");
    assert_true(c->count == 6 && span_is(c->items[1], "held") && span_is(c->items[2], "n1"));
    free(c);
    close_store(&f);
    close_server(&f);
}

static void preflight__a_right_that_is_missing_is_told(void **state)
{
    static const char *const rights[] = {"-xadd", "-hscan", "-del", "-hlen", "-hgetall"};
    (void)state;
    struct fixture f;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        open_with_rights(&f, rights[i]);
        look(&f, false);
        assert_false(f.report.ok);
        assert_true(says(&f, "refused: a script that tries every command") &&
                    says(&f, "ACL SETUSER default '~mk:*' +evalsha"));
        close_store(&f);
        close_server(&f);
    }
    open_with_rights(&f, "-config -info");
    look(&f, false);
    assert_true(f.report.ok && says(&f, "warning: INFO is unreadable"));
    close_store(&f);
    close_server(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preflight__an_append_only_redis_is_fine),
        cmocka_unit_test(preflight__a_redis_that_keeps_nothing_is_refused_unless_allowed),
        cmocka_unit_test(preflight__a_redis_that_evicts_is_refused),
        cmocka_unit_test(preflight__a_replica_is_refused),
        cmocka_unit_test(preflight__a_redis_without_config_is_unreadable_not_refused),
        cmocka_unit_test(preflight__the_rights_that_are_named_are_enough),
        cmocka_unit_test(preflight__a_right_that_is_missing_is_told),
    };
    return cmocka_run_group_tests_name("preflight", tests, NULL, NULL);
}
