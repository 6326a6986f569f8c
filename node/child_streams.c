/* A child's three pipes. They close in their own time, after the child was forgotten: so they have memory of their own.
 */
#include <stdlib.h>
#include <unistd.h>

#include "node/pool_impl.h"

struct streams {
    struct child *child; /* NULL: forgotten */
    struct pools *pools;
    uv_pipe_t in, out, err;
    bool out_ended, err_ended, hears;
    bool run_unread; /* its run was not written whole */
    int open;
};

struct writing {
    uv_write_t request;
    struct frame_bytes *frame;
    bool run;
};

struct frame_bytes *frame_new(void)
{
    struct frame_bytes *frame = calloc(1, sizeof *frame);
    if (frame)
        frame->refs = 1;
    return frame;
}

void frame_release(struct frame_bytes *frame)
{
    if (!frame || --frame->refs)
        return;
    buf_fini(&frame->bytes);
    free(frame);
}

/* --- closing --- */

static void on_closed(uv_handle_t *handle)
{
    struct streams *streams = handle->data;
    if (--streams->open == 0)
        free(streams);
}

static void close_pipe(uv_pipe_t *pipe)
{
    if (!uv_is_closing((uv_handle_t *)pipe))
        uv_close((uv_handle_t *)pipe, on_closed);
}

void streams_close(struct streams *streams)
{
    if (!streams)
        return;
    streams->child = NULL;
    close_pipe(&streams->in);
    close_pipe(&streams->out);
    close_pipe(&streams->err);
}

/* --- reading --- */

bool streams_ended(const struct streams *streams)
{
    return streams->out_ended && streams->err_ended;
}

static void end(struct streams *streams, bool *ended)
{
    struct child *child = streams->child;
    if (*ended)
        return;
    *ended = true;
    if (ended == &streams->out_ended)
        child_silent(child);
    if (streams->child && streams_ended(streams))
        child_read_all(child);
}

void streams_close_out(struct streams *streams)
{
    close_pipe(&streams->out);
    streams->out_ended = true;
}

/* One buffer for all: what was read is taken before anything else is read. */
static void lend(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct streams *streams = handle->data;
    (void)wanted;
    *out = uv_buf_init(streams->pools->buffer, sizeof streams->pools->buffer);
}

static void on_out(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer)
{
    struct streams *streams = stream->data;
    if (!streams->child)
        return;
    if (bytes < 0) {
        uv_read_stop(stream);
        end(streams, &streams->out_ended);
    } else if (bytes > 0) {
        child_said(streams->child, span_bytes(buffer->base, (size_t)bytes));
    }
}

static void on_err(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buffer)
{
    struct streams *streams = stream->data;
    if (!streams->child)
        return;
    if (bytes < 0) {
        uv_read_stop(stream);
        end(streams, &streams->err_ended);
    } else if (bytes > 0) {
        child_wrote(streams->child, span_bytes(buffer->base, (size_t)bytes));
    }
}

void streams_hear(struct streams *streams, bool on)
{
    if (streams->hears == on || streams->err_ended)
        return;
    streams->hears = on;
    if (on)
        uv_read_start((uv_stream_t *)&streams->err, lend, on_err);
    else
        uv_read_stop((uv_stream_t *)&streams->err);
}

/* --- writing --- */

static void on_written(uv_write_t *request, int status)
{
    struct writing *writing = (struct writing *)request;
    struct streams *streams = request->handle->data;
    frame_release(writing->frame);
    if (writing->run)
        streams->run_unread = false;
    free(writing);
    if (status < 0 && status != UV_ECANCELED && streams->child)
        child_deaf(streams->child);
}

void streams_write(struct streams *streams, struct frame_bytes *frame, bool run)
{
    struct writing *writing = calloc(1, sizeof *writing);
    uv_buf_t bytes = uv_buf_init(frame->bytes.at, (unsigned)frame->bytes.bytes);
    if (!writing)
        abort(); /* as for a run that could not be told to have ended (node/executor.c) */
    writing->frame = frame;
    writing->run = run;
    streams->run_unread = streams->run_unread || run;
    frame->refs++;
    if (uv_write(&writing->request, (uv_stream_t *)&streams->in, &bytes, 1, on_written) != 0) {
        frame_release(frame);
        free(writing);
        child_deaf(streams->child);
    }
}

bool streams_unread(const struct streams *streams)
{
    return streams->run_unread && uv_stream_get_write_queue_size((const uv_stream_t *)&streams->in) > 0;
}

/* --- opening --- */

struct streams *streams_open(struct child *child, const int *fds)
{
    struct streams *streams = calloc(1, sizeof *streams);
    uv_pipe_t *pipes[3];
    int taken = 0;
    if (!streams)
        goto out;
    streams->child = child;
    streams->pools = child->pool->pools;
    pipes[0] = &streams->in, pipes[1] = &streams->out, pipes[2] = &streams->err;
    for (size_t i = 0; i < 3; i++) {
        uv_pipe_init(streams->pools->loop, pipes[i], 0);
        pipes[i]->data = streams;
        streams->open++;
    }
    while (taken < 3 && uv_pipe_open(pipes[taken], fds[taken]) == 0)
        taken++;
    if (taken == 3) {
        streams->hears = true;
        uv_read_start((uv_stream_t *)&streams->out, lend, on_out);
        uv_read_start((uv_stream_t *)&streams->err, lend, on_err);
        return streams;
    }
    streams_close(streams);
out:
    for (; taken < 3; taken++)
        close(fds[taken]);
    return NULL;
}
