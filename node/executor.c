#include "node/executor.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "node/pool.h"

#define BUCKETS 1024

/* --- runs --- */

struct run {
    LIST_ENTRY(run) bucket;
    TAILQ_ENTRY(run) ready;
    struct executor *executor;
    struct mk_session_id session;
    struct mk_id id;
    struct builtin_run *builtin; /* NULL: a command's, or nobody's */
    struct pooled_run pooled;
    const struct run_done *done;
    bool ended; /* waits in `ready` */
    uv_timer_t timer;
    bool has_timer;
};

/* What is to be told of a run that goes on. */
struct news {
    TAILQ_ENTRY(news) next;
    struct mk_session_id session;
    bool boundary, live; /* else `injected` alone counts but for `at` */
    struct run_injected injected;
};

TAILQ_HEAD(news_queue, news);
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
    struct news_queue news;
    struct pools *pools; /* NULL: there is no command */
    size_t running;
    uv_idle_t awake; /* active while something is ready: the loop must not sleep on it */
};

static struct run_bucket *bucket_of(struct executor *executor, struct span session)
{
    return &executor->buckets[span_hash(session) % BUCKETS];
}

/* The session's run of that id, unless it has ended. */
static struct run *find(struct executor *executor, struct span session, struct span id)
{
    struct run *run;
    LIST_FOREACH(run, bucket_of(executor, session), bucket)
    {
        bool same = span_equal(id_span(&run->id), id) && span_equal(session_id_span(&run->session), session);
        if (same && !run->ended)
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
    if (run->builtin)
        builtin_release(run->builtin);
    free(run->builtin);
    pooled_run_release(&run->pooled);
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

/* A run that was started must end, and there is no memory to say so later: the node ends instead. Its runs are durable,
 * they start again. */
static void *need(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        abort();
    return memory;
}

static void start_builtin(struct run *run, enum builtin builtin, const struct run_request *request)
{
    run->builtin = need(sizeof *run->builtin);
    run->done = &run->builtin->done;
    builtin_apply(run->builtin, builtin, request);
    if (!run->builtin->delay_ms) {
        make_ready(run);
        return;
    }
    run->has_timer = true;
    uv_timer_init(run->executor->loop, &run->timer);
    run->timer.data = run;
    uv_update_time(run->executor->loop);
    uv_timer_start(&run->timer, on_time, run->builtin->delay_ms, 0);
}

/* It could not be refused before: the session remembers a name that this node was not started with. */
static void start_nothing(struct run *run, const struct run_request *request)
{
    run->pooled.done = (struct run_done){.run = request->run->id,
                                         .attempt = request->run->attempt,
                                         .end = RUN_FAILED,
                                         .cause = CAUSE_RUNTIME_APPLY,
                                         .error = MK_ERR_UNKNOWN_EXECUTOR,
                                         .message = SPAN_LIT("no executor of that name on this node")};
    make_ready(run);
}

static void start(void *self, const struct run_request *request)
{
    struct executor *executor = self;
    const struct executor_name *name = find_name(executor, request->executor);
    struct run *run = need(sizeof *run);
    run->executor = executor;
    run->id = request->run->id;
    run->done = &run->pooled.done;
    session_id_set(&run->session, request->session);
    LIST_INSERT_HEAD(bucket_of(executor, request->session), run, bucket);
    executor->running++;
    if (!name)
        start_nothing(run, request);
    else if (name->children)
        pools_start(executor->pools, (size_t)(name - executor->names) - BUILTIN_COUNT, &run->pooled, request);
    else
        start_builtin(run, name->builtin, request);
}

/* Builtins have no boundary, so nobody asks them. */
static void inject(void *self, struct span session, struct span id, const struct run_input *input)
{
    struct executor *executor = self;
    struct run *run = find(executor, session, id);
    if (run && run->pooled.pool)
        pools_inject(executor->pools, &run->pooled, input);
}

/* Only `sleep` takes time; a boundary comes whenever it is asked for one. */
static void cancel(void *self, struct span session, struct span id, bool hard)
{
    struct executor *executor = self;
    struct run *run = find(executor, session, id);
    if (!run)
        return;
    if (run->pooled.pool) {
        pools_cancel(executor->pools, &run->pooled, hard);
        return;
    }
    builtin_cut_short(run->builtin, RUN_CANCELLED);
    make_ready(run);
}

static void stop(void *self, struct span session)
{
    struct executor *executor = self;
    struct run *run, *next;
    for (run = LIST_FIRST(bucket_of(executor, session)); run; run = next) {
        next = LIST_NEXT(run, bucket);
        if (run->ended || !span_equal(session_id_span(&run->session), session))
            continue;
        if (run->pooled.pool) {
            pools_stop(executor->pools, &run->pooled);
            continue;
        }
        builtin_cut_short(run->builtin, RUN_STOPPED);
        make_ready(run);
    }
}

struct executor_port executor_port(struct executor *executor)
{
    static const struct executor_ops ops = {start, inject, cancel, stop, known};
    return (struct executor_port){&ops, executor};
}

/* --- what the pools say --- */

static struct run *run_of(struct pooled_run *pooled)
{
    return (struct run *)(void *)((char *)pooled - offsetof(struct run, pooled));
}

static void on_end(void *user, struct pooled_run *pooled)
{
    (void)user;
    make_ready(run_of(pooled));
}

/* Without memory for it the node ends: what was injected would be executed twice. */
static struct news *add_news(struct executor *executor, const struct pooled_run *pooled)
{
    struct news *news = need(sizeof *news);
    news->session = pooled->session;
    news->injected.at = (struct run_at){pooled->id, pooled->done.attempt};
    TAILQ_INSERT_TAIL(&executor->news, news, next);
    uv_idle_start(&executor->awake, stay_awake);
    return news;
}

static void on_boundary(void *user, struct pooled_run *pooled, bool live)
{
    struct news *news = add_news(user, pooled);
    news->boundary = true;
    news->live = live;
}

static void on_injected(void *user, struct pooled_run *pooled, const struct run_injected *injected)
{
    add_news(user, pooled)->injected = *injected;
}

/* One that was cut off may still be ending while the next waits. */
static bool is_held(void *user, const struct pooled_run *pooled)
{
    const struct run *run;
    LIST_FOREACH(run, bucket_of(user, session_id_span(&pooled->session)), bucket)
    {
        if (run->pooled.child && span_equal(session_id_span(&run->session), session_id_span(&pooled->session)))
            return true;
    }
    return false;
}

static void on_fault(void *user, const char *why)
{
    const struct executor *executor = user;
    executor->options.on_fault(executor->options.user, why);
}

static bool open_pools(struct executor *executor)
{
    const struct executor_options *options = &executor->options;
    const struct pools_options pools = {
        .names = executor->names + BUILTIN_COUNT,
        .name_count = options->name_count,
        .supervisor = options->supervisor,
        .trace = options->trace,
        .clock = options->clock,
        .answer_bytes_max = options->answer_bytes_max,
        .run_ms = options->run_ms,
        .on_end = on_end,
        .on_boundary = on_boundary,
        .on_injected = on_injected,
        .is_held = is_held,
        .on_fault = on_fault,
        .user = executor,
    };
    if (!supervisor_children(pools.names, pools.name_count))
        return true;
    executor->pools = options->supervisor.pid ? pools_open(executor->loop, &pools) : NULL;
    return executor->pools != NULL;
}

void executor_feed(struct executor *executor, uint64_t until_ms)
{
    if (executor->pools)
        pools_feed(executor->pools, until_ms);
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
    TAILQ_INIT(&executor->news);
    if (!open_pools(executor)) {
        free(executor);
        return NULL;
    }
    uv_idle_init(loop, &executor->awake);
    executor->awake.data = executor;
    return executor;
}

bool executor_pending(const struct executor *executor)
{
    return !TAILQ_EMPTY(&executor->ready) || !TAILQ_EMPTY(&executor->news);
}

size_t executor_running(const struct executor *executor)
{
    return executor->running;
}

/* Before the ends of their runs. */
static void deliver_news(struct executor *executor, struct news_queue *queue)
{
    const struct executor_options *options = &executor->options;
    for (struct news *news; (news = TAILQ_FIRST(queue));) {
        TAILQ_REMOVE(queue, news, next);
        if (news->boundary)
            options->on_boundary(options->user, session_id_span(&news->session), &news->injected.at, news->live);
        else
            options->on_injected(options->user, session_id_span(&news->session), &news->injected);
        free(news);
    }
}

size_t executor_deliver(struct executor *executor)
{
    struct run_queue now = TAILQ_HEAD_INITIALIZER(now);
    size_t delivered = 0;
    struct run *run;
    struct news_queue news = TAILQ_HEAD_INITIALIZER(news);
    TAILQ_CONCAT(&now, &executor->ready, ready);
    TAILQ_CONCAT(&news, &executor->news, next);
    uv_idle_stop(&executor->awake);
    deliver_news(executor, &news);
    while ((run = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, run, ready);
        executor->options.on_done(executor->options.user, session_id_span(&run->session), run->done);
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
    for (struct news *news; (news = TAILQ_FIRST(&executor->news));) {
        TAILQ_REMOVE(&executor->news, news, next);
        free(news);
    }
    if (executor->pools)
        pools_close(executor->pools);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct run *run = LIST_FIRST(&executor->buckets[i]), *next; run; run = next) {
            next = LIST_NEXT(run, bucket);
            drop(run);
        }
    }
    uv_close((uv_handle_t *)&executor->awake, on_executor_closed);
}
