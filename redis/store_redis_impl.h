/* What store_redis.c (calls and replies) and store_redis_link.c (the connection's life) share. */
#ifndef MEERKAT_REDIS_STORE_REDIS_IMPL_H
#define MEERKAT_REDIS_STORE_REDIS_IMPL_H

#include <hiredis/async.h>

#include "redis/store_redis.h"
#include "redis/url.h"

enum link_state {
    LINK_DOWN,       /* the timer tries again */
    LINK_RESOLVING,  /* a name is looked up */
    LINK_CONNECTING, /* a context without a connection */
    LINK_GREETING,   /* AUTH, SELECT, SCRIPT LOAD */
    LINK_UP,
    LINK_FALLING /* the timer gives the connection up as soon as hiredis is not on the stack */
};

/* One call in flight. hiredis knows its address until its reply came. */
struct flight {
    struct flight *next;
    struct store_redis *store;
    uint64_t tag, sent_ms;
    char *wire; /* the command as sent, for the one repeat after NOSCRIPT */
    size_t wire_bytes;
    enum script script;
    bool is_script, repeated, done;
    store_redis_on_answer *answer; /* not a script */
    void *answer_user;
    struct stored_reply *kept; /* done before its turn */
};

struct store_redis {
    uv_loop_t *loop;
    const struct mk_mem *mem;
    struct store_redis_options options;
    struct redis_url url;
    char password[512];
    char why[512];
    /* the link */
    enum link_state state;
    redisAsyncContext *context;
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    bool resolving, told_up, closing;
    uint64_t since_ms, heard_ms, tick_ms; /* of this state; last reply; last look at the deadlines */
    uint64_t backoff_ms;
    unsigned greetings; /* answers still to come */
    bool pinging;
    char sha[SCRIPT_COUNT][41];
    store_redis_on_closed *closed;
    void *closed_user;
    /* calls */
    struct flight *first, **end;
    size_t calls, bytes;
    struct span *items;
    char (*numbers)[24];
    size_t item_room;
};

/* store_redis_link.c */
void link_start(struct store_redis *store);
void link_fall(struct store_redis *store, const char *why); /* safe anywhere: only marks, and wakes the timer */
void link_close(struct store_redis *store);
void link_load_scripts(struct store_redis *store); /* SCRIPT LOAD of all on the connection */

/* store_redis.c */
void store_redis_free(struct store_redis *store); /* nothing is in flight any more */

#endif
