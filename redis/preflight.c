#include "redis/preflight.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/script.h"
#include "redis/store_redis_impl.h"

#define KEY_PROBE "mk:{c}:probe:"

struct preflight {
    struct store_redis *store;
    const struct mk_mem *mem;
    bool allow_volatile;
    preflight_done *done;
    void *user;
    char cli[512]; /* "redis-cli -h HOST -p PORT" */
    struct preflight_report report;
};

/* Every command of redis/lua once, on keys of their own, and nothing left behind. */
static const char probe[] = "redis.call('TIME') "
                            "redis.call('DEL', KEYS[1], KEYS[2]) "
                            "redis.call('HSET', KEYS[1], 'f', 'v') "
                            "redis.call('HGET', KEYS[1], 'f') "
                            "redis.call('HMGET', KEYS[1], 'f') "
                            "redis.call('HKEYS', KEYS[1]) "
                            "redis.call('HLEN', KEYS[1]) "
                            "redis.call('HGETALL', KEYS[1]) "
                            "redis.call('HSCAN', KEYS[1], '0') "
                            "redis.call('HDEL', KEYS[1], 'f') "
                            "redis.call('XADD', KEYS[2], '1-1', 'f', 'v') "
                            "redis.call('XRANGE', KEYS[2], '-', '+') "
                            "redis.call('XTRIM', KEYS[2], 'MINID', '=', '1') "
                            "redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', '1') "
                            "redis.call('XDEL', KEYS[2], '1-1') "
                            "redis.call('DEL', KEYS[1], KEYS[2]) "
                            "return {'ok'}";

/* --- the report --- */

static void say(struct preflight *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct preflight *p, const char *format, ...)
{
    if (p->report.line_count == PREFLIGHT_LINES)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(p->report.lines[p->report.line_count++], PREFLIGHT_LINE_BYTES, format, args);
    va_end(args);
}

#define refuse(p, ...) ((p)->report.ok = false, say(p, "refused: " __VA_ARGS__))
#define warn(p, ...)   say(p, "warning: " __VA_ARGS__)

static void finish(struct preflight *p)
{
    p->done(p->user, &p->report);
    mem_free(p->mem, p);
}

static void lose(struct preflight *p)
{
    p->report.ok = false;
    p->report.lost = true;
    finish(p);
}

/* Sends the next question; without a connection the report ends here. */
static void ask(struct preflight *p, const char *const words[], size_t count, store_redis_on_answer *next)
{
    struct span spans[8];
    for (size_t i = 0; i < count; i++)
        spans[i] = span_of(words[i]);
    if (!store_redis_command(p->store, spans, count, next, p))
        lose(p);
}

/* --- what INFO says --- */

/* The value of a line "name:value"; absent: an absent span. */
static struct span info(struct span text, const char *name)
{
    size_t bytes = strlen(name);
    const char *at = text.at, *end = text.at + text.bytes;
    while (at && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)((stop ? stop : end) - at);
        if (line > bytes && memcmp(at, name, bytes) == 0 && at[bytes] == ':') {
            struct span value = span_bytes(at + bytes + 1, line - bytes - 1);
            while (value.bytes && (value.at[value.bytes - 1] == '\r' || value.at[value.bytes - 1] == ' '))
                value.bytes--;
            return value;
        }
        at = stop ? stop + 1 : end;
    }
    return (struct span){NULL, 0};
}

static void check_version(struct preflight *p, struct span version)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", SPAN_ARGS(version));
    char *dot = strchr(text, '.');
    long major = strtol(text, NULL, 10), minor = dot ? strtol(dot + 1, NULL, 10) : 0;
    if (!span_given(version))
        warn(p, "the version is unreadable; 6.2 or newer is needed");
    else if (major < 6 || (major == 6 && minor < 2))
        refuse(p, "Redis %s is older than 6.2, which the scripts need; install redis-server 6.2 or newer", text);
    else
        say(p, "redis %s", text);
}

static void check_role(struct preflight *p, struct span text)
{
    struct span host = info(text, "master_host"), port = info(text, "master_port");
    if (span_is(info(text, "role"), "slave"))
        refuse(
            p,
            "this Redis is a replica and cannot be written; name its primary: --store redis://%.*s:%.*s/%u, or promote "
            "it: %s REPLICAOF NO ONE",
            SPAN_ARGS(host), SPAN_ARGS(port), p->store->url.db, p->cli);
    if (span_is(info(text, "cluster_enabled"), "1"))
        refuse(p,
               "this Redis is a member of a Redis Cluster (cluster-enabled yes), which is not supported; name a Redis "
               "that stands alone");
}

static void check_eviction(struct preflight *p, struct span most, struct span policy)
{
    if (!span_given(most) || !span_given(policy)) {
        warn(p, "maxmemory and maxmemory-policy are unreadable; an evicting policy would lose sessions");
        return;
    }
    if (span_is(policy, "noeviction"))
        return;
    if (span_is(most, "0"))
        warn(p,
             "maxmemory-policy is %.*s, harmless while maxmemory is 0; to be sure: %s CONFIG SET maxmemory-policy "
             "noeviction",
             SPAN_ARGS(policy), p->cli);
    else
        refuse(p,
               "maxmemory-policy is %.*s with maxmemory %.*s, so Redis may delete sessions and leases; remedy: %s "
               "CONFIG SET "
               "maxmemory-policy noeviction",
               SPAN_ARGS(policy), SPAN_ARGS(most), p->cli);
}

/* --- persistence --- */

static void check_probe(struct preflight *p);

static void on_save(void *self, const struct store_reply *answer)
{
    struct preflight *p = self;
    bool readable = answer->verdict == STORE_REPLIED && answer->count == 2;
    if (!readable) {
        p->report.durability = "unreadable";
        warn(
            p,
            "the append-only file is off and whether snapshots are made is unreadable (CONFIG is refused); inputs that "
            "were accepted may be lost when Redis restarts");
    } else if (answer->items[1].bytes) {
        p->report.durability = "snapshots";
        warn(p,
             "appendonly is no: inputs accepted since the last snapshot (save '%.*s') are lost when Redis dies; "
             "remedy: %s "
             "CONFIG SET appendonly yes",
             SPAN_ARGS(answer->items[1]), p->cli);
    } else {
        p->report.durability = "none";
        if (p->allow_volatile)
            warn(p, "appendonly is no and save is empty: everything is lost when Redis stops; allowed as asked");
        else
            refuse(p,
                   "appendonly is no and save is empty, so everything is lost when Redis stops; remedy: %s CONFIG SET "
                   "appendonly yes (and in redis.conf), or allow it: --allow-volatile",
                   p->cli);
    }
    check_probe(p);
}

static void on_fsync(void *self, const struct store_reply *answer)
{
    struct preflight *p = self;
    bool readable = answer->verdict == STORE_REPLIED && answer->count == 2;
    p->report.durability = "unreadable";
    if (readable && span_is(answer->items[1], "always"))
        p->report.durability = "always";
    else if (readable && span_is(answer->items[1], "everysec"))
        p->report.durability = "everysec";
    else if (readable)
        p->report.durability = "no";
    if (strcmp(p->report.durability, "no") == 0)
        warn(p,
             "appendfsync is no: a power failure loses what the system had not written yet; remedy: %s CONFIG SET "
             "appendfsync everysec",
             p->cli);
    if (!readable)
        warn(p, "the append-only file is on, appendfsync is unreadable (CONFIG is refused)");
    check_probe(p);
}

static void check_persistence(struct preflight *p, struct span aof)
{
    if (!span_given(aof))
        check_probe(p);
    else if (span_is(aof, "1"))
        ask(p, (const char *const[]){"CONFIG", "GET", "appendfsync"}, 3, on_fsync);
    else
        ask(p, (const char *const[]){"CONFIG", "GET", "save"}, 3, on_save);
}

static void on_info(void *self, const struct store_reply *answer)
{
    struct preflight *p = self;
    if (answer->verdict != STORE_REPLIED || answer->count != 1) {
        warn(p, "INFO is unreadable: %.*s; version, role, eviction and persistence are not checked",
             SPAN_ARGS(answer->error));
        check_persistence(p, (struct span){NULL, 0});
        return;
    }
    struct span text = answer->items[0];
    check_version(p, info(text, "redis_version"));
    check_role(p, text);
    check_eviction(p, info(text, "maxmemory"), info(text, "maxmemory_policy"));
    check_persistence(p, info(text, "aof_enabled"));
}

/* --- rights --- */

static void on_probed(void *self, const struct store_reply *answer)
{
    struct preflight *p = self;
    const char *user = p->store->url.user[0] ? p->store->url.user : "default";
    if (p->store->state != LINK_UP) {
        lose(p);
        return;
    }
    if (answer->verdict == STORE_REPLIED) {
        say(p, "durability %s", p->report.durability);
    } else {
        refuse(p,
               "a script that tries every command the node needs was not run: %.*s; remedy, if it is a matter of "
               "rights: %s "
               "ACL SETUSER %s '~mk:*' " PREFLIGHT_RIGHTS,
               SPAN_ARGS(answer->error), p->cli, user);
    }
    finish(p);
}

static void on_loaded(void *self, const struct store_reply *answer)
{
    struct preflight *p = self;
    if (answer->verdict != STORE_REPLIED || answer->count != 1) {
        on_probed(p, answer);
        return;
    }
    char sha[64];
    snprintf(sha, sizeof sha, "%.*s", SPAN_ARGS(answer->items[0]));
    ask(p, (const char *const[]){"EVALSHA", sha, "2", KEY_PROBE "h", KEY_PROBE "s"}, 5, on_probed);
}

static void check_probe(struct preflight *p)
{
    ask(p, (const char *const[]){"SCRIPT", "LOAD", probe}, 3, on_loaded);
}

/* --- start --- */

bool preflight_start(struct store_redis *store, const struct mk_mem *mem, bool allow_volatile, preflight_done *done,
                     void *user)
{
    struct preflight *p = mem_alloc(mem, sizeof *p);
    if (!p)
        return false;
    p->store = store;
    p->mem = mem;
    p->allow_volatile = allow_volatile;
    p->done = done;
    p->user = user;
    p->report.ok = true;
    p->report.durability = "unreadable";
    if (store->url.path[0])
        snprintf(p->cli, sizeof p->cli, "redis-cli -s %s", store->url.path);
    else
        snprintf(p->cli, sizeof p->cli, "redis-cli -h %s -p %u", store->url.host, store->url.port);
    const struct span words[] = {SPAN_LIT("INFO")};
    if (store_redis_command(store, words, 1, on_info, p))
        return true;
    mem_free(mem, p);
    return false;
}
