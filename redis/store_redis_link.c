/* The life of the connection: resolve, connect, greet, watch, fall, try again. */
#include "redis/store_redis_impl.h"

#include <fcntl.h>
#include <stdio.h>

#include "redis/adapter_uv.h"
#include "redis/lua_text.h"

#define BACKOFF_FIRST 100
#define BACKOFF_MOST  2000
#define TICK_LEAST    10

static void on_timer(uv_timer_t *timer);

static void wake(struct store_redis *store, uint64_t ms)
{
    uv_timer_start(&store->timer, on_timer, ms, 0);
}

/* How often the deadlines are looked at. */
static uint64_t tick_of(const struct store_redis *store)
{
    uint64_t tick = store->options.deadline_ms / 8;
    return tick < TICK_LEAST ? TICK_LEAST : tick;
}

static void enter(struct store_redis *store, enum link_state state)
{
    store->state = state;
    store->since_ms = store->tick_ms = uv_now(store->loop);
}

static void say_why(struct store_redis *store, const char *where, const char *why)
{
    snprintf(store->why, sizeof store->why, "%.255s: %.250s", where, why);
}

/* --- down --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct store_redis *store = handle->data;
    store_redis_on_closed *closed = store->closed;
    void *user = store->closed_user;
    store_redis_free(store);
    if (closed)
        closed(user);
}

static void close_when_quiet(struct store_redis *store)
{
    if (!store->context && !store->resolving && !uv_is_closing((uv_handle_t *)&store->timer))
        uv_close((uv_handle_t *)&store->timer, on_timer_closed);
}

static uint64_t next_delay(struct store_redis *store)
{
    uint64_t next = store->backoff_ms ? store->backoff_ms * 2 : BACKOFF_FIRST;
    store->backoff_ms = next > BACKOFF_MOST ? BACKOFF_MOST : next;
    return store->backoff_ms / 2 + uv_hrtime() / 1000 % (store->backoff_ms / 2 + 1);
}

/* The context is gone, all its callbacks have run. */
static void went_down(struct store_redis *store)
{
    store->context = NULL;
    store->greetings = 0;
    store->pinging = false;
    enter(store, LINK_DOWN);
    if (store->told_up) {
        store->told_up = false;
        store->options.on_up(store->options.user, false);
    }
    if (store->closing)
        close_when_quiet(store);
    else
        wake(store, next_delay(store));
}

void link_fall(struct store_redis *store, const char *why)
{
    if (*why)
        say_why(store, "store", why);
    if (store->state == LINK_DOWN || store->state == LINK_FALLING)
        return;
    enter(store, LINK_FALLING);
    wake(store, 0);
}

/* Only from the timer: hiredis is not on the stack, so that it frees at once and runs what is pending. */
static void drop(struct store_redis *store)
{
    if (store->context)
        redisAsyncFree(store->context);
    if (store->resolving)
        uv_cancel((uv_req_t *)&store->resolve);
    if (store->state != LINK_DOWN)
        went_down(store);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct store_redis *store = context->data;
    if (status != REDIS_OK)
        say_why(store, "connection", context->errstr);
    went_down(store);
}

/* --- greeting --- */

static void greeted(struct store_redis *store)
{
    if (--store->greetings > 0 || store->state != LINK_GREETING)
        return;
    enter(store, LINK_UP);
    store->heard_ms = uv_now(store->loop);
    store->backoff_ms = 0;
    store->why[0] = 0;
    store->told_up = true;
    wake(store, tick_of(store));
    store->options.on_up(store->options.user, true);
}

static void on_greeting(redisAsyncContext *context, void *data, void *self)
{
    struct store_redis *store = context->data;
    const redisReply *r = data;
    char *sha = self;
    if (!r) {
        link_fall(store, "");
        return;
    }
    if (r->type == REDIS_REPLY_ERROR) {
        link_fall(store, r->str);
        return;
    }
    if (sha && r->type == REDIS_REPLY_STRING && r->len == 40)
        memcpy(sha, r->str, 41);
    greeted(store);
}

static void greet(struct store_redis *store, char *sha, const char *const words[], int count)
{
    const char *texts[3] = {words[0], words[1], count > 2 ? words[2] : NULL};
    store->greetings++;
    if (redisAsyncCommandArgv(store->context, on_greeting, sha, count, texts, NULL) != REDIS_OK)
        link_fall(store, "the connection does not take commands");
}

void link_load_scripts(struct store_redis *store)
{
    for (int script = 0; script < SCRIPT_COUNT; script++) {
        const char *name = script_name((enum script)script);
        const struct lua_text *text = lua_texts;
        while (text->name && strcmp(text->name, name) != 0)
            text++;
        greet(store, store->sha[script], (const char *const[]){"SCRIPT", "LOAD", text->text}, 3);
    }
}

static void on_connect(const redisAsyncContext *context, int status)
{
    struct store_redis *store = context->data;
    if (status != REDIS_OK) { /* hiredis frees the context; nothing was sent */
        say_why(store, "connect", context->errstr);
        went_down(store);
        return;
    }
    enter(store, LINK_GREETING);
    char db[16];
    snprintf(db, sizeof db, "%u", store->url.db);
    if (store->url.user[0])
        greet(store, NULL, (const char *const[]){"AUTH", store->url.user, store->password}, 3);
    else if (store->password[0])
        greet(store, NULL, (const char *const[]){"AUTH", store->password}, 2);
    if (store->url.db)
        greet(store, NULL, (const char *const[]){"SELECT", db}, 2);
    link_load_scripts(store);
}

/* --- connecting --- */

static void connect_to(struct store_redis *store, const char *address)
{
    redisAsyncContext *context =
        store->url.path[0] ? redisAsyncConnectUnix(store->url.path) : redisAsyncConnect(address, (int)store->url.port);
    if (!context || context->err) {
        say_why(store, "connect", context ? context->errstr : "no memory");
        if (context)
            redisAsyncFree(context);
        went_down(store);
        return;
    }
    fcntl(context->c.fd, F_SETFD, FD_CLOEXEC);
    if (!store->url.path[0])
        redisEnableKeepAlive(&context->c);
    context->data = store;
    if (!adapter_uv_attach(context, store->loop)) {
        say_why(store, "connect", "the loop does not take the socket");
        redisAsyncFree(context);
        went_down(store);
        return;
    }
    store->context = context;
    enter(store, LINK_CONNECTING);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
    redisAsyncSetConnectCallback(context, on_connect);
    wake(store, tick_of(store));
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct store_redis *store = request->data;
    char address[64] = "";
    store->resolving = false;
    if (status == 0 && found->ai_family == AF_INET6)
        uv_ip6_name((const struct sockaddr_in6 *)(const void *)found->ai_addr, address, sizeof address);
    else if (status == 0)
        uv_ip4_name((const struct sockaddr_in *)(const void *)found->ai_addr, address, sizeof address);
    uv_freeaddrinfo(found);
    if (store->closing) {
        close_when_quiet(store);
    } else if (store->state == LINK_RESOLVING && address[0]) {
        connect_to(store, address);
    } else if (store->state == LINK_RESOLVING) {
        say_why(store, store->url.host, status < 0 ? uv_strerror(status) : "no address");
        went_down(store);
    }
}

static void begin(struct store_redis *store)
{
    if (store->url.path[0]) {
        connect_to(store, NULL);
        return;
    }
    /* hiredis would look the name up itself, and block. */
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    enter(store, LINK_RESOLVING);
    wake(store, tick_of(store));
    if (store->resolving) /* the last look-up is not back yet: it will do */
        return;
    store->resolve.data = store;
    int status = uv_getaddrinfo(store->loop, &store->resolve, on_resolved, store->url.host, NULL, &hints);
    store->resolving = status == 0;
    if (status == 0)
        return;
    say_why(store, store->url.host, uv_strerror(status));
    went_down(store);
}

/* --- watching --- */

static void on_pong(redisAsyncContext *context, void *data, void *self)
{
    (void)self;
    struct store_redis *store = context->data;
    if (!data)
        return;
    store->pinging = false;
    store->heard_ms = uv_now(store->loop);
}

/* A look at the deadlines. One that came late itself judges nobody: the process slept, and replies may lie unread. */
static void watch(struct store_redis *store, uint64_t now)
{
    bool late = now - store->tick_ms > 4 * tick_of(store);
    uint64_t waited = store->first ? now - store->first->sent_ms : 0;
    uint64_t silent = now - store->heard_ms;
    store->tick_ms = now;
    if (!late && (waited > store->options.deadline_ms ||
                  (store->pinging && silent > store->options.ping_ms + store->options.deadline_ms))) {
        say_why(store, "store", "no reply within the deadline");
        drop(store);
        return;
    }
    if (!store->first && !store->pinging && silent >= store->options.ping_ms) {
        const char *ping[] = {"PING"};
        store->pinging = redisAsyncCommandArgv(store->context, on_pong, NULL, 1, ping, NULL) == REDIS_OK;
    }
    wake(store, tick_of(store));
}

static void on_timer(uv_timer_t *timer)
{
    struct store_redis *store = timer->data;
    uint64_t now = uv_now(store->loop);
    if (store->closing) {
        drop(store);
        close_when_quiet(store);
        return;
    }
    switch (store->state) {
    case LINK_DOWN:
        begin(store);
        return;
    case LINK_FALLING:
        drop(store);
        return;
    case LINK_UP:
        watch(store, now);
        return;
    case LINK_RESOLVING:
    case LINK_CONNECTING:
    case LINK_GREETING:
        break;
    }
    if (now - store->since_ms <= store->options.connect_ms) {
        wake(store, tick_of(store));
        return;
    }
    say_why(store, "connect", "no answer within the deadline");
    drop(store);
}

void link_start(struct store_redis *store)
{
    say_why(store, "store", "not connected yet");
    uv_timer_init(store->loop, &store->timer);
    store->timer.data = store;
    enter(store, LINK_DOWN);
    wake(store, 0);
}

void link_close(struct store_redis *store)
{
    store->closing = true;
    wake(store, 0);
}
