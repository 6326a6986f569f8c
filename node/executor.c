#include "node/executor.h"

#include <stdlib.h>
#include <sys/queue.h>

#define BUILTIN_PREFIX "builtin:"
#define BUCKETS        1024

/* --- names --- */

static bool is_name(struct span text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    for (size_t i = 0; i < text.bytes; i++)
        if (!text.at[i] || !strchr(allowed, text.at[i]))
            return false;
    return text.bytes > 0;
}

enum mk_err executor_name_parse(struct executor_name *out, struct span text, struct mk_note *note)
{
    const char *equals = text.bytes ? memchr(text.at, '=', text.bytes) : NULL;
    struct span name = span_bytes(text.at, equals ? (size_t)(equals - text.at) : 0);
    if (!is_name(name) || !id_set(&out->name, name))
        return err_set(
            note, MK_ERR_INVALID_FIELD,
            "wanted NAME=SPEC, NAME of 1 to 64 characters of A-Z a-z 0-9 . _ : -, SPEC like builtin:counter");
    struct span spec = span_bytes(equals + 1, text.bytes - name.bytes - 1);
    size_t prefix = sizeof BUILTIN_PREFIX - 1;
    if (spec.bytes >= 5 && memcmp(spec.at, "exec:", 5) == 0)
        return err_set(note, MK_ERR_INVALID_FIELD,
                       "this build runs no commands; wanted builtin:echo, counter, sleep or fail");
    out->builtin = BUILTIN_COUNT;
    if (spec.bytes > prefix && memcmp(spec.at, BUILTIN_PREFIX, prefix) == 0)
        out->builtin = builtin_parse(span_bytes(spec.at + prefix, spec.bytes - prefix));
    if (out->builtin == BUILTIN_COUNT)
        return err_set(note, MK_ERR_INVALID_FIELD,
                       "wanted builtin:echo, builtin:counter, builtin:sleep or builtin:fail");
    return MK_ERR_OK;
}

/* --- runs --- */

struct run {
    LIST_ENTRY(run) bucket;
    TAILQ_ENTRY(run) ready;
    struct executor *executor;
    struct mk_session_id session;
    struct builtin_run work;
    bool ended; /* waits in `ready` */
    uv_timer_t timer;
    bool has_timer;
};

LIST_HEAD(run_bucket, run);
TAILQ_HEAD(run_queue, run);

struct executor {
    uv_loop_t *loop;
    struct executor_options options;
    struct mk_id default_name;
    struct executor_name names[BUILTIN_COUNT + EXECUTOR_NAMES_MAX];
    size_t name_count;
    struct run_bucket buckets[BUCKETS]; /* by session; every run that was not delivered */
    struct run_queue ready;
    size_t running;
    uv_idle_t awake; /* active while something is ready: the loop must not sleep on it */
};

static struct run_bucket *bucket_of(struct executor *executor, struct span session)
{
    return &executor->buckets[span_hash(session) % BUCKETS];
}

/* The first run of the session that has not ended; `id` absent: any. */
static struct run *find(struct executor *executor, struct span session, struct span id)
{
    struct run *run;
    LIST_FOREACH(run, bucket_of(executor, session), bucket)
    {
        bool same = !span_given(id) || span_equal(id_span(&run->work.done.run), id);
        if (same && !run->ended && span_equal(session_id_span(&run->session), session))
            return run;
    }
    return NULL;
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

static void make_ready(struct run *run)
{
    struct executor *executor = run->executor;
    run->ended = true;
    if (run->has_timer)
        uv_timer_stop(&run->timer);
    TAILQ_INSERT_TAIL(&executor->ready, run, ready);
    uv_idle_start(&executor->awake, stay_awake);
}

static void on_time(uv_timer_t *timer)
{
    make_ready(timer->data);
}

static void free_run(struct run *run)
{
    builtin_release(&run->work);
    free(run);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free_run(handle->data);
}

static void drop(struct run *run)
{
    LIST_REMOVE(run, bucket);
    run->executor->running--;
    if (run->has_timer)
        uv_close((uv_handle_t *)&run->timer, on_timer_closed);
    else
        free_run(run);
}

/* --- the port --- */

static const struct executor_name *find_name(const struct executor *executor, struct span name)
{
    struct span wanted = name.bytes ? name : id_span(&executor->default_name);
    for (size_t i = executor->name_count; i-- > 0;)
        if (span_equal(id_span(&executor->names[i].name), wanted))
            return &executor->names[i];
    return NULL;
}

static bool known(void *self, struct span name)
{
    return find_name(self, name) != NULL;
}

static void wait_for(struct run *run, uint64_t ms)
{
    run->has_timer = true;
    uv_timer_init(run->executor->loop, &run->timer);
    run->timer.data = run;
    uv_update_time(run->executor->loop);
    uv_timer_start(&run->timer, on_time, ms, 0);
}

/* A run that was started must end, and there is no memory to say so later: the node ends instead. Its runs are durable,
 * they start again. */
static struct run *new_run(void)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    return run;
}

static void start(void *self, const struct run_request *request)
{
    struct executor *executor = self;
    const struct executor_name *name = find_name(executor, request->executor);
    struct run *run = new_run();
    run->executor = executor;
    session_id_set(&run->session, request->session);
    LIST_INSERT_HEAD(bucket_of(executor, request->session), run, bucket);
    executor->running++;
    if (name) {
        builtin_apply(&run->work, name->builtin, request);
    } else {
        run->work.done = (struct run_done){.run = request->run->id,
                                           .attempt = request->run->attempt,
                                           .end = RUN_FAILED,
                                           .cause = CAUSE_RUNTIME_APPLY,
                                           .error = MK_ERR_UNKNOWN_EXECUTOR,
                                           .message = SPAN_LIT("no executor of that name on this node")};
    }
    if (run->work.delay_ms)
        wait_for(run, run->work.delay_ms);
    else
        make_ready(run);
}

static void cut_short(struct run *run, enum run_end end)
{
    builtin_cut_short(&run->work, end);
    make_ready(run);
}

/* Only `sleep` takes time; a boundary comes whenever it is asked for one. */
static void cancel(void *self, struct span session, struct span id, bool hard)
{
    struct run *run = find(self, session, id);
    (void)hard;
    if (run)
        cut_short(run, RUN_CANCELLED);
}

static void stop(void *self, struct span session)
{
    struct run *run;
    while ((run = find(self, session, (struct span){0})))
        cut_short(run, RUN_STOPPED);
}

struct executor_port executor_port(struct executor *executor)
{
    static const struct executor_ops ops = {start, cancel, stop, known};
    return (struct executor_port){&ops, executor};
}

/* --- life --- */

struct executor *executor_new(uv_loop_t *loop, const struct executor_options *options)
{
    struct executor *executor = options->name_count > EXECUTOR_NAMES_MAX ? NULL : calloc(1, sizeof *executor);
    if (!executor)
        return NULL;
    executor->loop = loop;
    executor->options = *options;
    id_set(&executor->default_name, options->default_name);
    for (enum builtin b = BUILTIN_ECHO; b < BUILTIN_COUNT; b++) {
        struct executor_name *name = &executor->names[executor->name_count++];
        id_set(&name->name, span_of(builtin_name(b)));
        name->builtin = b;
    }
    for (size_t i = 0; i < options->name_count; i++)
        executor->names[executor->name_count++] = options->names[i];
    executor->options.names = NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        LIST_INIT(&executor->buckets[i]);
    TAILQ_INIT(&executor->ready);
    uv_idle_init(loop, &executor->awake);
    executor->awake.data = executor;
    return executor;
}

bool executor_pending(const struct executor *executor)
{
    return !TAILQ_EMPTY(&executor->ready);
}

size_t executor_running(const struct executor *executor)
{
    return executor->running;
}

size_t executor_deliver(struct executor *executor)
{
    struct run_queue now = TAILQ_HEAD_INITIALIZER(now);
    size_t delivered = 0;
    struct run *run;
    TAILQ_CONCAT(&now, &executor->ready, ready);
    uv_idle_stop(&executor->awake);
    while ((run = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, run, ready);
        executor->options.on_done(executor->options.user, session_id_span(&run->session), &run->work.done);
        drop(run);
        delivered++;
    }
    return delivered;
}

static void on_executor_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void executor_close(struct executor *executor)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct run *run = LIST_FIRST(&executor->buckets[i]), *next; run; run = next) {
            next = LIST_NEXT(run, bucket);
            drop(run);
        }
    }
    uv_close((uv_handle_t *)&executor->awake, on_executor_closed);
}
