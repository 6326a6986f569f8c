/* hiredis on a libuv loop. Unlike the adapter that hiredis ships, a poll error is passed on as readable and writable,
 * so that a refused connection and a reset one are noticed. */
#ifndef MEERKAT_REDIS_ADAPTER_UV_H
#define MEERKAT_REDIS_ADAPTER_UV_H

#include <hiredis/async.h>
#include <stdbool.h>
#include <uv.h>

/* False: no memory, or the loop refuses the socket; then the caller frees the context. hiredis detaches by itself; the
 * handle closes in the loop's next turn and outlives the context until then. */
bool adapter_uv_attach(redisAsyncContext *context, uv_loop_t *loop);

#endif
