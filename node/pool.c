#include "node/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/pool_impl.h"

uint64_t pools_now_ms(const struct pools *pools)
{
    const struct clock_port *clock = &pools->options.clock;
    return clock->ops->now_ms(clock->self);
}

/* --- when --- */

/* A node that cannot renew starts nothing; and what the supervisor has not been told yet must not be begun. */
bool pools_may_start(struct pools *pools)
{
    bool may = !pools->lost && pools_now_ms(pools) < pools->until_ms && supervised_clear(pools->supervised);
    pools->held = pools->held || !may;
    return may;
}

void pools_feed(struct pools *pools, uint64_t until_ms)
{
    if (until_ms != pools->until_ms && !pools->lost) {
        struct supervisor_order order = {.type = ORDER_FEED, .until_ms = until_ms};
        pools->until_ms = until_ms;
        supervised_order(pools->supervised, &order);
    }
    bool held = pools->held;
    pools->held = false;
    if (!held || !pools_may_start(pools))
        return;
    for (size_t i = 0; i < pools->child_count; i++)
        child_wake(&pools->children[i]);
    pools_dispatch(pools);
}

/* --- who --- */

static struct child *idle_child(const struct pool *pool)
{
    for (size_t i = 0; i < pool->name->children; i++)
        if (child_is_idle(&pool->children[i]))
            return &pool->children[i];
    return NULL;
}

/* The first that waits and whose session does nothing else. */
static struct pooled_run *next_run(const struct pool *pool)
{
    const struct pools_options *options = &pool->pools->options;
    struct pooled_run *run;
    TAILQ_FOREACH(run, &pool->waiting, waiting)
    if (!options->is_held(options->user, run))
        return run;
    return NULL;
}

static void dispatch(struct pool *pool)
{
    struct child *child;
    struct pooled_run *run;
    while (!TAILQ_EMPTY(&pool->waiting) && (child = idle_child(pool)) && pools_may_start(pool->pools) &&
           (run = next_run(pool))) {
        TAILQ_REMOVE(&pool->waiting, run, waiting);
        child_give(child, run);
    }
}

void pools_dispatch(struct pools *pools)
{
    for (size_t i = 0; i < pools->options.name_count && !pools->closed; i++)
        if (pools->pools[i].children)
            dispatch(&pools->pools[i]);
}

/* --- ends --- */

static void fill(struct pooled_run *run, enum run_end end)
{
    bool final = end == RUN_FAILED && run->answer && run->answer->failed && run->answer->final;
    run->done = (struct run_done){.run = run->id, .attempt = run->done.attempt, .end = end, .final = final};
}

void pool_run_end(struct pooled_run *run, enum run_end end)
{
    const struct pools_options *options = &run->pool->pools->options;
    const struct run_answer *answer = run->answer;
    fill(run, end);
    if (end == RUN_RESULT || end == RUN_NO_RESULT) {
        run->done.results = answer->results;
        run->done.result_count = answer->result_count;
        run->done.events = answer->events;
        run->done.event_count = answer->event_count;
        run->done.has_state = answer->has_state;
        run->done.state = answer->state;
    }
    options->on_end(options->user, run);
}

void pool_run_fail(struct pooled_run *run, enum mk_err error, enum failure_cause cause, struct span message)
{
    const struct pools_options *options = &run->pool->pools->options;
    fill(run, RUN_FAILED);
    run->done.error = error;
    run->done.cause = cause;
    run->done.message = span_bytes(run->message, run_text(run->message, sizeof run->message, message));
    options->on_end(options->user, run);
}

/* It keeps its place: before all that came later. */
void pool_run_again(struct pooled_run *run)
{
    run->asked = run->asked_hard = false;
    pool_run_renew(run);
    TAILQ_INSERT_HEAD(&run->pool->waiting, run, waiting);
}

/* None of its children lives long enough to answer: who waits would wait for ever. */
void pool_mind_the_crashes(struct pool *pool, const char *reason)
{
    struct pooled_run *run;
    char text[RUN_MESSAGE_BYTES];
    for (size_t i = 0; i < pool->name->children; i++)
        if (!crashes_loop(&pool->children[i].crashes))
            return;
    snprintf(text, sizeof text, "crash loop: no child of %s lives to answer a run; the last one %s",
             pool->name->name.text, reason);
    while ((run = TAILQ_FIRST(&pool->waiting))) {
        TAILQ_REMOVE(&pool->waiting, run, waiting);
        pool_run_fail(run, MK_ERR_EXECUTOR_FAILED, CAUSE_RUNTIME_APPLY, span_of(text));
    }
}

/* --- what the executor asks --- */

/* Without memory for it the node ends, as for every run that could not be told to have ended (node/executor.c). */
void pools_start(struct pools *pools, size_t name, struct pooled_run *run, const struct run_request *request)
{
    run->pool = &pools->pools[name];
    session_id_set(&run->session, request->session);
    run->input_count = request->input_count;
    run->id = request->run->id;
    run->done.attempt = request->run->attempt;
    run->injected_count = request->injected_count;
    TAILQ_INIT(&run->offers);
    run->frame = frame_new();
    if (run->frame)
        run->count_at = run_pack(&run->frame->bytes, request);
    if (!run->frame || run->frame->bytes.failed)
        abort();
    TAILQ_INSERT_TAIL(&run->pool->waiting, run, waiting);
    dispatch(run->pool);
}

/* Whether it only waited, and waits no more. */
static bool leave_queue(struct pooled_run *run)
{
    if (run->child)
        return false;
    TAILQ_REMOVE(&run->pool->waiting, run, waiting);
    return true;
}

void pools_cancel(struct pools *pools, struct pooled_run *run, bool hard)
{
    (void)pools;
    bool news = hard ? !run->asked_hard : !run->asked;
    run->asked = true;
    run->asked_hard = run->asked_hard || hard;
    if (leave_queue(run))
        pool_run_end(run, RUN_CANCELLED);
    else if (news)
        child_cancel(run->child, hard);
}

/* Perhaps the session has another owner by now: no grace. */
void pools_stop(struct pools *pools, struct pooled_run *run)
{
    (void)pools;
    if (leave_queue(run))
        pool_run_end(run, RUN_STOPPED);
    else if (!run->child->condemned)
        child_condemn(run->child, FOR_STOP, "was ended: its session has no more use for it");
}

void pooled_run_release(struct pooled_run *run)
{
    if (run->pool)
        pool_run_drop_offers(run);
    buf_fini(&run->injected);
    frame_release(run->frame);
    free(run->answer);
    free(run->answer_bytes);
    run->frame = NULL;
    run->answer = NULL;
    run->answer_bytes = NULL;
}

/* --- what the supervisor reports --- */

static void on_report(void *user, const struct supervisor_report *report, const int *fds)
{
    struct pools *pools = user;
    struct child *child = report->child < pools->child_count ? &pools->children[report->child] : NULL;
    bool meant = child && child->life == report->life;
    if (meant && report->type == REPORT_STARTED && child->state == CHILD_COMING) {
        child_started(child, report, fds);
        pools_dispatch(pools);
        return;
    }
    for (size_t i = 0; i < 3 && fds; i++)
        close(fds[i]);
    if (meant && report->type == REPORT_ENDED && child->state == CHILD_HERE && !child->over)
        child_ended(child, report);
}

static void on_lost(void *user, const char *why)
{
    struct pools *pools = user;
    pools->lost = true;
    pools->options.on_fault(pools->options.user, why);
}

/* --- life --- */

static bool is_hidden(const struct pools_options *options, size_t i)
{
    for (size_t later = i + 1; later < options->name_count; later++)
        if (span_equal(id_span(&options->names[i].name), id_span(&options->names[later].name)))
            return true;
    return false;
}

static void open_children(struct pools *pools)
{
    uint32_t id = 0;
    for (size_t i = 0; i < pools->options.name_count; i++) {
        struct pool *pool = &pools->pools[i];
        *pool =
            (struct pool){.pools = pools, .name = &pools->options.names[i], .hidden = is_hidden(&pools->options, i)};
        TAILQ_INIT(&pool->waiting);
        if (!pool->name->children)
            continue;
        pool->children = &pools->children[id];
        for (uint32_t c = 0; c < pool->name->children; c++, id++)
            child_open(&pools->children[id], pool, id);
    }
}

struct pools *pools_open(uv_loop_t *loop, const struct pools_options *options)
{
    struct pools *pools = calloc(1, sizeof *pools);
    if (!pools)
        return NULL;
    pools->loop = loop;
    pools->options = *options;
    pools->until_ms = UINT64_MAX;
    const struct supervised_options link = {options->supervisor, on_report, on_lost, pools};
    pools->child_count = supervisor_children(options->names, options->name_count);
    pools->pools = calloc(options->name_count, sizeof *pools->pools);
    pools->children = calloc(pools->child_count, sizeof *pools->children);
    if (pools->pools && pools->children)
        pools->supervised = supervised_open(loop, &link);
    if (!pools->supervised) {
        free(pools->pools);
        free(pools->children);
        free(pools);
        return NULL;
    }
    open_children(pools);
    for (size_t i = 0; i < pools->child_count; i++)
        child_wake(&pools->children[i]);
    return pools;
}

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    struct pools *pools = child->pool->pools;
    if (--pools->closing)
        return;
    free(pools->pools);
    free(pools->children);
    free(pools);
}

void pools_close(struct pools *pools)
{
    pools->closed = pools->lost = true;
    pools->closing = (int)(2 * pools->child_count);
    for (size_t i = 0; i < pools->child_count; i++) {
        struct child *child = &pools->children[i];
        child_close(child);
        uv_close((uv_handle_t *)&child->timer, on_closed);
        uv_close((uv_handle_t *)&child->window, on_closed);
    }
    supervised_close(pools->supervised);
}
