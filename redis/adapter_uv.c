#include "redis/adapter_uv.h"

#include <stdlib.h>

struct adapter {
    redisAsyncContext *context; /* NULL once hiredis has let go */
    uv_poll_t poll;
    int events;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct adapter *a = poll->data;
    if (status != 0)
        events = UV_READABLE | UV_WRITABLE;
    if (a->context && (events & UV_READABLE))
        redisAsyncHandleRead(a->context);
    if (a->context && (events & UV_WRITABLE))
        redisAsyncHandleWrite(a->context);
}

static void watch(struct adapter *a, int events)
{
    a->events = events;
    if (events)
        uv_poll_start(&a->poll, events, on_poll);
    else
        uv_poll_stop(&a->poll);
}

static void add_read(void *self)
{
    struct adapter *a = self;
    watch(a, a->events | UV_READABLE);
}

static void del_read(void *self)
{
    struct adapter *a = self;
    watch(a, a->events & ~UV_READABLE);
}

static void add_write(void *self)
{
    struct adapter *a = self;
    watch(a, a->events | UV_WRITABLE);
}

static void del_write(void *self)
{
    struct adapter *a = self;
    watch(a, a->events & ~UV_WRITABLE);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void cleanup(void *self)
{
    struct adapter *a = self;
    a->context = NULL;
    uv_close((uv_handle_t *)&a->poll, on_closed);
}

bool adapter_uv_attach(redisAsyncContext *context, uv_loop_t *loop)
{
    struct adapter *a = calloc(1, sizeof *a);
    if (!a)
        return false;
    if (uv_poll_init(loop, &a->poll, context->c.fd) != 0) {
        free(a);
        return false;
    }
    a->context = context;
    a->poll.data = a;
    context->ev.data = a;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = cleanup;
    return true;
}
