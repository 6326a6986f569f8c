#include "redis/store_redis.h"

#include <inttypes.h>
#include <stdio.h>

#include "redis/store_redis_impl.h"
#include "redis/stored_reply.h"

static const struct store_reply ended = {.verdict = STORE_UNKNOWN,
                                         .error = {"the connection ended before the reply", 37}};
static const struct store_reply no_memory = {.verdict = STORE_UNKNOWN, .error = {"no memory for the reply", 23}};

/* --- replies --- */

static bool starts(struct span text, const char *word)
{
    size_t bytes = strlen(word);
    return text.bytes >= bytes && memcmp(text.at, word, bytes) == 0 && (text.bytes == bytes || text.at[bytes] == ' ');
}

/* Raised by a command inside a script, not by Redis before it ran the script: "... script: <sha>, on @user_script:12."
 */
static bool raised_inside(struct span text)
{
    static const char mark[] = "@user_script";
    for (size_t i = 0; i + strlen(mark) <= text.bytes; i++)
        if (memcmp(text.at + i, mark, strlen(mark)) == 0)
            return true;
    return false;
}

enum store_verdict redis_error_verdict(struct span error)
{
    /* These never change while a script runs: even when raised inside it, the first write was refused and nothing came
     * before. */
    static const char *const never_began[] = {"READONLY", "NOREPLICAS", "MASTERDOWN", "BADCALL", "BADVERSION"};
    static const char *const before[] = {"LOADING", "BUSY",      "UNKILLABLE", "TRYAGAIN", "CLUSTERDOWN", "MOVED",
                                         "ASK",     "CROSSSLOT", "NOSCRIPT",   "NOAUTH",   "NOPERM",      "WRONGPASS"};
    for (size_t i = 0; i < sizeof never_began / sizeof *never_began; i++)
        if (starts(error, never_began[i]))
            return STORE_REFUSED;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (starts(error, before[i]) && !raised_inside(error))
            return STORE_REFUSED;
    return STORE_UNKNOWN;
}

static bool reserve(struct store_redis *store, size_t count)
{
    if (count <= store->item_room)
        return true;
    struct span *items = mem_alloc(store->mem, 2 * count * sizeof *items);
    char(*numbers)[24] = mem_alloc(store->mem, 2 * count * sizeof *numbers);
    if (!items || !numbers) {
        mem_free(store->mem, items);
        mem_free(store->mem, numbers);
        return false;
    }
    mem_free(store->mem, store->items);
    mem_free(store->mem, store->numbers);
    store->items = items;
    store->numbers = numbers;
    store->item_room = 2 * count;
    return true;
}

static void read_item(struct store_redis *store, size_t at, const redisReply *r)
{
    store->items[at] = (struct span){NULL, 0};
    if (r->type == REDIS_REPLY_INTEGER) {
        snprintf(store->numbers[at], sizeof *store->numbers, "%lld", r->integer);
        store->items[at] = span_of(store->numbers[at]);
    } else if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) {
        store->items[at] = span_bytes(r->str, r->len);
    }
}

/* Borrows from the reply and from the store. */
static struct store_reply read_reply(struct store_redis *store, const redisReply *r)
{
    struct store_reply reply = {.verdict = STORE_REPLIED};
    if (r->type == REDIS_REPLY_ERROR) {
        reply.error = span_bytes(r->str, r->len);
        reply.verdict = redis_error_verdict(reply.error);
        return reply;
    }
    reply.count = r->type == REDIS_REPLY_ARRAY ? r->elements : 1;
    if (!reserve(store, reply.count + 1))
        return no_memory;
    if (r->type != REDIS_REPLY_ARRAY)
        read_item(store, 0, r);
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        read_item(store, i, r->element[i]);
    reply.items = store->items;
    return reply;
}

/* --- flights --- */

static void flight_free(struct flight *flight)
{
    const struct mk_mem *mem = flight->store->mem;
    if (flight->wire)
        redisFreeCommand(flight->wire);
    mem_free(mem, flight->kept);
    mem_free(mem, flight);
}

/* Takes the first flight out, then tells: the owner may call again from there. */
static void deliver(struct store_redis *store, const struct store_reply *reply)
{
    struct flight *flight = store->first;
    store->first = flight->next;
    if (!store->first)
        store->end = &store->first;
    store->calls--;
    store->bytes -= flight->wire_bytes;
    if (flight->answer)
        flight->answer(flight->answer_user, reply);
    else
        store->options.on_reply(store->options.user, flight->tag, reply);
    flight_free(flight);
}

/* Replies are told in the order of the calls: one that was repeated holds up those behind it. */
static void finish(struct flight *flight, const struct store_reply *reply)
{
    struct store_redis *store = flight->store;
    flight->done = true;
    if (flight != store->first) {
        flight->kept = stored_reply_new(store->mem, reply);
        return;
    }
    deliver(store, reply);
    while (store->first && store->first->done) {
        struct stored_reply *kept = store->first->kept;
        deliver(store, kept ? &kept->reply : &no_memory);
    }
}

static void on_reply(redisAsyncContext *context, void *data, void *self);

/* Nothing ran: loads the scripts and sends the same bytes once more. */
static bool repeat(struct flight *flight, struct span error)
{
    struct store_redis *store = flight->store;
    if (!flight->is_script || flight->repeated || store->state != LINK_UP || !starts(error, "NOSCRIPT"))
        return false;
    flight->repeated = true;
    if (store->greetings == 0)
        link_load_scripts(store);
    return redisAsyncFormattedCommand(store->context, on_reply, flight, flight->wire, flight->wire_bytes) == REDIS_OK;
}

static void on_reply(redisAsyncContext *context, void *data, void *self)
{
    (void)context;
    struct flight *flight = self;
    struct store_redis *store = flight->store;
    const redisReply *r = data;
    if (!r) {
        link_fall(store, "");
        finish(flight, &ended);
        return;
    }
    store->heard_ms = uv_now(store->loop);
    struct store_reply reply = read_reply(store, r);
    if (repeat(flight, reply.error))
        return;
    if (starts(reply.error, "READONLY")) /* a replica now: whoever is the primary is found by connecting again */
        link_fall(store, "READONLY: this Redis is a replica");
    finish(flight, &reply);
}

/* --- sending --- */

static bool room_for(const struct store_redis *store)
{
    return store->state == LINK_UP && !store->closing && store->calls < store->options.calls_max &&
           store->bytes < store->options.bytes_max;
}

/* Sends and enqueues what `made` says; copies. */
static bool send_words(struct store_redis *store, const struct flight *made, const struct span *const parts[2],
                       const size_t counts[2], const struct span *head, size_t head_count)
{
    size_t count = head_count + counts[0] + counts[1], n = 0;
    const char **texts = mem_alloc(store->mem, count * sizeof *texts);
    size_t *lengths = mem_alloc(store->mem, count * sizeof *lengths);
    struct flight *flight = mem_alloc(store->mem, sizeof *flight);
    bool sent = false;
    if (!texts || !lengths || !flight)
        goto out;
    *flight = *made;
    for (size_t i = 0; i < head_count; i++, n++)
        texts[n] = head[i].at, lengths[n] = head[i].bytes;
    for (size_t part = 0; part < 2; part++)
        for (size_t i = 0; i < counts[part]; i++, n++)
            texts[n] = span_given(parts[part][i]) ? parts[part][i].at : "", lengths[n] = parts[part][i].bytes;
    int bytes = redisFormatCommandArgv(&flight->wire, (int)count, texts, lengths);
    if (bytes < 0)
        goto out;
    flight->wire_bytes = (size_t)bytes;
    sent = redisAsyncFormattedCommand(store->context, on_reply, flight, flight->wire, flight->wire_bytes) == REDIS_OK;
out:
    mem_free(store->mem, texts);
    mem_free(store->mem, lengths);
    if (sent) {
        *store->end = flight;
        store->end = &flight->next;
        store->calls++;
        store->bytes += flight->wire_bytes;
    } else if (flight) {
        flight->store = store;
        flight_free(flight);
    }
    return sent;
}

static bool call(void *self, uint64_t tag, const struct store_call *what)
{
    struct store_redis *store = self;
    if (!room_for(store))
        return false;
    char keys[24];
    snprintf(keys, sizeof keys, "%zu", what->key_count);
    struct flight made = {
        .store = store, .tag = tag, .sent_ms = uv_now(store->loop), .script = what->script, .is_script = true};
    struct span head[] = {SPAN_LIT("EVALSHA"), span_of(store->sha[what->script]), span_of(keys)};
    return send_words(store, &made, (const struct span *const[]){what->keys, what->args},
                      (size_t[]){what->key_count, what->arg_count}, head, 3);
}

bool store_redis_command(struct store_redis *store, const struct span *words, size_t count, store_redis_on_answer *done,
                         void *user)
{
    if (!room_for(store))
        return false;
    struct flight made = {.store = store, .sent_ms = uv_now(store->loop), .answer = done, .answer_user = user};
    return send_words(store, &made, (const struct span *const[]){words, NULL}, (size_t[]){count, 0}, NULL, 0);
}

static bool connected(void *self)
{
    const struct store_redis *store = self;
    return store->state == LINK_UP && !store->closing;
}

struct store_port store_redis_port(struct store_redis *store)
{
    static const struct store_ops ops = {call, connected};
    return (struct store_port){&ops, store};
}

const char *store_redis_why(const struct store_redis *store)
{
    return store->why;
}

/* --- open and close --- */

static void set_defaults(struct store_redis_options *options)
{
    options->connect_ms = options->connect_ms ? options->connect_ms : 2000;
    options->deadline_ms = options->deadline_ms ? options->deadline_ms : 2000;
    options->ping_ms = options->ping_ms ? options->ping_ms : 1000;
    options->calls_max = options->calls_max ? options->calls_max : 1024;
    options->bytes_max = options->bytes_max ? options->bytes_max : 64u << 20;
}

struct store_redis *store_redis_open(uv_loop_t *loop, const struct mk_mem *mem,
                                     const struct store_redis_options *options, struct mk_note *note)
{
    struct redis_url url;
    if (redis_url_parse(options->url, &url, note) != MK_ERR_OK)
        return NULL;
    struct store_redis *store = mem_alloc(mem, sizeof *store);
    if (!store || options->password.bytes >= sizeof store->password) {
        err_set(note, store ? MK_ERR_TOO_LARGE : MK_ERR_OVERLOADED,
                store ? "the store's password is longer than 511 bytes" : "no memory for the store");
        mem_free(mem, store);
        return NULL;
    }
    store->loop = loop;
    store->mem = mem;
    store->options = *options;
    store->url = url;
    set_defaults(&store->options);
    if (options->password.bytes)
        memcpy(store->password, options->password.at, options->password.bytes);
    store->end = &store->first;
    link_start(store);
    return store;
}

void store_redis_close(struct store_redis *store, store_redis_on_closed *closed, void *user)
{
    store->closed = closed;
    store->closed_user = user;
    link_close(store);
}

void store_redis_free(struct store_redis *store)
{
    memset(store->password, 0, sizeof store->password);
    mem_free(store->mem, store->items);
    mem_free(store->mem, store->numbers);
    mem_free(store->mem, store);
}
