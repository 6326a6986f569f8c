#include "node/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "bus/json.h"
#include "node/clock.h"
#include "node/driver.h"
#include "node/executor.h"
#include "node/pages.h"
#include "redis/preflight.h"
#include "redis/store_memory.h"
#include "redis/store_redis.h"

#define FRAMES_A_TURN         4096 /* then the store and the clock have their turn too */
#define PULSE_MS              1000 /* the loop turns at least so often */
#define LINGER_MS             100  /* what was published last gets this long to leave the process */
#define HEARTBEAT_MS_MAX      1000
#define STORE_DEADLINE_MS_MAX 2000
#define ANSWER_BYTES_LEAST    (4u << 20) /* of a child, its state apart; or a frame, if that is more */

struct loop {
    const struct config *config;
    struct logger *logger;
    struct supervisor supervisor;
    struct mk_mem mem;
    struct clock_port clock;
    uv_loop_t uv;
    uv_check_t turn;
    uv_idle_t awake; /* active while something waits that no descriptor tells of */
    uv_async_t wake; /* frames wait */
    uv_timer_t due, pulse, stop;
    uv_signal_t terminate, interrupt;
    struct endpoint *endpoint;
    const char *bus;
    struct store_memory *memory; /* one of the two */
    struct store_redis *redis;
    struct keyspace_clock store_clock;
    uint64_t store_base_us;
    struct executor *executor;
    struct http_server *http;
    struct driver *driver;
    bool started;   /* the store was found good, the driver runs */
    bool announced; /* the ready line was written */
    bool leaving, lingering;
    uint64_t began_ms, turn_began_ms;
    struct driver_status status; /* as of the last turn */
    const char *unready_why;     /* as last logged; NULL: ready */
    int exit_code;
};

static uint64_t now_ms(const struct loop *loop)
{
    return loop->clock.ops->now_ms(loop->clock.self);
}

static void say(struct loop *loop, enum trace_level level, const char *what)
{
    logger_line(loop->logger, level, what, NULL, 0);
}

static void say_why(struct loop *loop, enum trace_level level, const char *what, const char *why)
{
    struct trace_field field = {"why", span_of(why), 0};
    logger_line(loop->logger, level, what, &field, 1);
}

static void finish(struct loop *loop, int exit_code)
{
    loop->exit_code = exit_code;
    uv_stop(&loop->uv);
}

/* Ends the program with one plain line that says why. */
static void give_up(struct loop *loop, int exit_code, const char *why)
{
    fprintf(stderr, "meerkat-node: %s\n", why);
    finish(loop, exit_code);
}

/* --- what the driver is given --- */

static void on_frame(void *user, struct span frame)
{
    struct loop *loop = user;
    driver_frame(loop->driver, frame);
}

static void on_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    struct loop *loop = user;
    driver_store_reply(loop->driver, tag, reply);
}

static void on_run_done(void *user, struct span session, const struct run_done *done)
{
    struct loop *loop = user;
    driver_run_done(loop->driver, session, done);
}

static void on_boundary(void *user, struct span session, const struct run_at *at, bool live)
{
    struct loop *loop = user;
    driver_boundary(loop->driver, session, at, live);
}

static void on_injected(void *user, struct span session, const struct run_injected *injected)
{
    struct loop *loop = user;
    driver_injected(loop->driver, session, injected);
}

static void on_executors_lost(void *user, const char *why)
{
    say_why(user, TRACE_ERROR, "the executors are lost", why);
    give_up(user, EXIT_FAULTY, why);
}

static void publish(void *self, struct span frame)
{
    struct loop *loop = self;
    endpoint_publish(loop->endpoint, frame);
}

/* --- a turn --- */

static const char *unready(struct loop *loop)
{
    if (loop->leaving)
        return "the node is leaving";
    if (!loop->started && loop->redis && store_redis_why(loop->redis)[0])
        return store_redis_why(loop->redis);
    if (!loop->started)
        return "the store is being looked at";
    return loop->status.ready ? NULL : loop->status.unready_why;
}

/* Readers of the file see nothing or the whole line. */
static bool write_ready_file(const char *path, const char *line)
{
    char temporary[CONFIG_TEXT_BYTES + 24];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    FILE *file = fopen(temporary, "we");
    bool written = file && fputs(line, file) >= 0;
    written = file && fclose(file) == 0 && written;
    return written && rename(temporary, path) == 0;
}

static void announce(struct loop *loop)
{
    char line[BUS_HUBS_MAX * BUS_URL_PAIR_BYTES + 256];
    const char *path = loop->config->ready_file;
    loop->announced = true;
    snprintf(line, sizeof line, "ready node=%s bus=%s http=%s\n", loop->config->node.text, loop->bus,
             loop->http ? http_server_address(loop->http) : "off");
    fputs(line, stdout);
    fflush(stdout);
    if (path[0] && !write_ready_file(path, line))
        give_up(loop, EXIT_FAULTY, "--ready-file cannot be written");
}

static void look_at_readiness(struct loop *loop)
{
    const char *why = unready(loop);
    if (why && loop->unready_why && strcmp(why, loop->unready_why) == 0)
        return;
    if (why == loop->unready_why)
        return;
    loop->unready_why = why;
    if (why)
        say_why(loop, loop->announced ? TRACE_WARN : TRACE_INFO, "not ready", why);
    else
        say(loop, TRACE_INFO, "ready");
    if (!why && !loop->announced)
        announce(loop);
}

static void on_too_late(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    say(loop, TRACE_WARN, "not everything was given away within --stop-ms; another node will wait for the leases");
    finish(loop, EXIT_STOPPED);
}

static void begin_leaving(struct loop *loop)
{
    loop->leaving = true;
    driver_leave(loop->driver);
    uv_timer_start(&loop->stop, on_too_late, loop->config->stop_ms, 0);
}

/* What `meerkat drain` is answered is printed too: the stop may have been a signal's. */
static void print_receipt(struct loop *loop)
{
    struct buf bytes = {0};
    json_t *json = NULL;
    char *text = NULL;
    if (driver_receipt(loop->driver, &bytes))
        json = json_of_value((struct mk_bytes){bytes.at, bytes.bytes});
    if (json && (text = json_dumps(json, JSON_COMPACT)))
        printf("left %s\n", text);
    fflush(stdout);
    free(text);
    json_decref(json);
    buf_fini(&bytes);
}

static void on_lingered(uv_timer_t *timer)
{
    finish(timer->data, EXIT_STOPPED);
}

static void look(struct loop *loop)
{
    driver_status(loop->driver, &loop->status);
    if (loop->status.mismatch) {
        give_up(loop, EXIT_PREFLIGHT, loop->status.mismatch_note.text);
        return;
    }
    look_at_readiness(loop);
    if (loop->status.leaving && !loop->leaving) /* an operator said `drain` */
        begin_leaving(loop);
    if (loop->leaving && loop->status.left && !loop->lingering) {
        loop->lingering = true;
        say(loop, TRACE_INFO, "everything is given away");
        print_receipt(loop);
        uv_timer_start(&loop->stop, on_lingered, LINGER_MS, 0);
    }
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

static void only_wake(uv_timer_t *timer)
{
    (void)timer;
}

/* When the loop must turn again by itself. */
static void plan(struct loop *loop, size_t frames_waiting)
{
    uint64_t due_ms = driver_due_ms(loop->driver), now = now_ms(loop);
    bool busy = frames_waiting || due_ms <= now || executor_pending(loop->executor) ||
                (loop->memory && store_memory_pending(loop->memory));
    if (busy)
        uv_idle_start(&loop->awake, stay_awake);
    else
        uv_idle_stop(&loop->awake);
    if (busy || due_ms == UINT64_MAX) {
        uv_timer_stop(&loop->due);
        return;
    }
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->due, only_wake, due_ms - now, 0);
}

static void on_turn(uv_check_t *check)
{
    struct loop *loop = check->data;
    uint64_t began_ms = now_ms(loop);
    if (loop->started) {
        size_t waiting = endpoint_drain(loop->endpoint, on_frame, loop, FRAMES_A_TURN);
        if (loop->memory)
            store_memory_pump(loop->memory, on_reply, loop);
        executor_deliver(loop->executor);
        if (driver_due_ms(loop->driver) <= now_ms(loop))
            driver_tick(loop->driver);
        executor_feed(loop->executor, driver_safe_until_ms(loop->driver));
        driver_turn_end(loop->driver);
        plan(loop, waiting);
        look(loop);
    } else {
        look_at_readiness(loop);
    }
    loop->turn_began_ms = began_ms;
}

static void on_wake(uv_async_t *wake)
{
    (void)wake; /* the turn drains */
}

void loop_wake(void *user)
{
    struct loop *loop = user;
    uv_async_send(&loop->wake);
}

/* --- starting the driver, once the store was found good --- */

static void start_driver(struct loop *loop)
{
    static const char *const topics[] = {"in/", "ctl/", "node/", "hb/"};
    struct mk_note note = {""};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        if (endpoint_subscribe(loop->endpoint, span_of(topics[i]), &note)) {
            give_up(loop, EXIT_FAULTY, note.text);
            return;
        }
    }
    loop->started = true;
    uv_idle_start(&loop->awake, stay_awake); /* its first turn is due now */
    driver_start(loop->driver);
}

static void on_preflight(void *user, const struct preflight_report *report)
{
    struct loop *loop = user;
    if (report->lost || loop->started)
        return; /* the next connection is looked at again */
    for (size_t i = 0; i < report->line_count && report->ok; i++)
        say_why(loop, TRACE_INFO, "store", report->lines[i]);
    for (size_t i = 0; i < report->line_count && !report->ok; i++)
        fprintf(stderr, "meerkat-node: the store: %s\n", report->lines[i]);
    if (report->ok)
        start_driver(loop);
    else
        finish(loop, EXIT_PREFLIGHT);
}

static void on_store_up(void *user, bool up)
{
    struct loop *loop = user;
    say_why(loop, up ? TRACE_INFO : TRACE_WARN, up ? "the store answers" : "the store is gone",
            store_redis_why(loop->redis));
    if (loop->started)
        driver_store_up(loop->driver, up);
    else if (up && !preflight_start(loop->redis, &loop->mem, loop->config->allow_volatile, on_preflight, loop))
        give_up(loop, EXIT_FAULTY, "no memory to look at the store");
}

/* --- ending --- */

/* The first signal asks to finish and leave, the second to leave now. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    struct trace_field field = {"signal", {NULL, 0}, (uint64_t)number};
    logger_line(loop->logger, TRACE_INFO, loop->leaving ? "leaving now" : "leaving", &field, 1);
    if (loop->leaving || !loop->started) {
        finish(loop, EXIT_STOPPED);
        return;
    }
    begin_leaving(loop);
}

/* --- pages --- */

static void view_of(struct loop *loop, struct pages_view *view)
{
    uint64_t now = now_ms(loop);
    *view = (struct pages_view){
        .unready_why = unready(loop),
        .loop_age_ms = now - loop->turn_began_ms,
        .loop_age_ms_max = loop->config->lease_ms + 2ull * PULSE_MS,
        .uptime_ms = now - loop->began_ms,
        .runs = executor_running(loop->executor),
    };
    driver_status(loop->driver, &view->driver);
    endpoint_status(loop->endpoint, &view->bus);
}

static void on_healthz(void *user, struct http_page *page)
{
    struct pages_view view;
    view_of(user, &view);
    pages_health(&view, page);
}

static void on_readyz(void *user, struct http_page *page)
{
    struct pages_view view;
    view_of(user, &view);
    pages_ready(&view, page);
}

static void on_metrics(void *user, struct http_page *page)
{
    struct pages_view view;
    view_of(user, &view);
    pages_metrics(&view, page);
}

/* --- opening --- */

static void *take(void *self, size_t bytes)
{
    (void)self;
    return calloc(1, bytes ? bytes : 1);
}

static void give(void *self, void *memory)
{
    (void)self;
    free(memory);
}

/* Microseconds that look like a calendar's and never jump. */
static uint64_t memory_now_us(void *self)
{
    const struct loop *loop = self;
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return loop->store_base_us + (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int open_store(struct loop *loop, struct mk_note *note)
{
    const struct config *config = loop->config;
    struct keyspace_clock clock = {memory_now_us, loop};
    if (config->store_memory) {
        loop->store_base_us = (loop->clock.ops->unix_ms(loop->clock.self) - now_ms(loop)) * 1000;
        loop->memory = store_memory_new(&loop->mem, &clock, note);
        return loop->memory ? 0 : EXIT_FAULTY;
    }
    uint64_t deadline_ms = config->lease_ms * 3 / 4;
    struct store_redis_options options = {
        .url = config->store,
        .password = config->store_password[0] ? span_of(config->store_password) : (struct span){0},
        .deadline_ms = deadline_ms < STORE_DEADLINE_MS_MAX ? deadline_ms : STORE_DEADLINE_MS_MAX,
        .on_reply = on_reply,
        .on_up = on_store_up,
        .user = loop,
    };
    loop->redis = store_redis_open(&loop->uv, &loop->mem, &options, note);
    return loop->redis ? 0 : EXIT_USAGE;
}

static int open_http(struct loop *loop, struct mk_note *note)
{
    static const struct http_route routes[] = {
        {"/healthz", on_healthz}, {"/readyz", on_readyz}, {"/metrics", on_metrics}, {NULL, NULL}};
    const struct http_options options = {loop->config->http_host, loop->config->http_port, routes, loop};
    if (!loop->config->http_given)
        return 0;
    enum mk_err err = http_server_open(&loop->http, &loop->uv, &options, note);
    err_wrap(note, err, "--http");
    return err == MK_ERR_OK ? 0 : err == MK_ERR_REFUSED ? EXIT_USAGE : EXIT_FAULTY;
}

static int open_driver(struct loop *loop, struct mk_note *note)
{
    static const struct bus_ops bus_ops = {publish};
    const struct config *config = loop->config;
    size_t answer_bytes = config->frame_bytes > ANSWER_BYTES_LEAST ? config->frame_bytes : ANSWER_BYTES_LEAST;
    const struct executor_options executor = {
        .names = config->executors,
        .name_count = config->executor_count,
        .default_name = id_span(&config->default_executor),
        .on_done = on_run_done,
        .on_boundary = on_boundary,
        .on_injected = on_injected,
        .user = loop,
        .supervisor = loop->supervisor,
        .trace = logger_port(loop->logger),
        .clock = loop->clock,
        .answer_bytes_max = STATE_BYTES_MAX + answer_bytes,
        .run_ms = config->run_ms,
        .on_fault = on_executors_lost,
    };
    uint64_t heartbeat_ms = config->lease_ms / 3;
    const struct driver_options options = {
        .node = config->node,
        .partitions = (uint32_t)config->partitions,
        .groups = (uint32_t)config->groups,
        .lease_ms = config->lease_ms,
        .finish_ms = config->finish_ms,
        .idle_evict_ms = config->idle_evict_ms,
        .retain_ms = config->retain_ms,
        .retain_bytes = config->retain_bytes,
        .frame_bytes_max = config->frame_bytes,
        .alone = config->store_memory,
        .auto_register = config->auto_register,
        .heartbeat_ms = heartbeat_ms < HEARTBEAT_MS_MAX ? heartbeat_ms : HEARTBEAT_MS_MAX,
    };
    loop->executor = executor_new(&loop->uv, &executor);
    if (!loop->executor) {
        err_set(note, MK_ERR_OVERLOADED, "no memory for the executors");
        return EXIT_FAULTY;
    }
    const struct ports ports = {
        .store = loop->memory ? store_memory_port(loop->memory) : store_redis_port(loop->redis),
        .bus = {&bus_ops, loop},
        .executor = executor_port(loop->executor),
        .clock = loop->clock,
        .trace = logger_port(loop->logger),
    };
    loop->driver = driver_new(&options, &ports, &loop->mem, note);
    return loop->driver ? 0 : EXIT_FAULTY;
}

struct loop *loop_new(const struct config *config, struct logger *logger, const struct supervisor *supervisor)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop || uv_loop_init(&loop->uv) != 0 || uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) {
        free(loop);
        return NULL;
    }
    loop->config = config;
    loop->logger = logger;
    loop->supervisor = *supervisor;
    loop->mem = (struct mk_mem){take, give, loop};
    loop->clock = clock_system();
    loop->began_ms = loop->turn_began_ms = now_ms(loop);
    uv_check_init(&loop->uv, &loop->turn);
    uv_idle_init(&loop->uv, &loop->awake);
    uv_timer_init(&loop->uv, &loop->due);
    uv_timer_init(&loop->uv, &loop->pulse);
    uv_timer_init(&loop->uv, &loop->stop);
    uv_signal_init(&loop->uv, &loop->terminate);
    uv_signal_init(&loop->uv, &loop->interrupt);
    loop->turn.data = loop->stop.data = loop->terminate.data = loop->interrupt.data = loop;
    return loop;
}

int loop_run(struct loop *loop, struct endpoint *endpoint, const char *bus)
{
    struct mk_note note = {""};
    loop->endpoint = endpoint;
    loop->bus = bus;
    int failed = open_store(loop, &note);
    if (!failed)
        failed = open_driver(loop, &note);
    if (!failed)
        failed = open_http(loop, &note);
    if (failed) {
        fprintf(stderr, "meerkat-node: %s\n", note.text);
        return failed;
    }
    uv_signal_start(&loop->terminate, on_signal, SIGTERM);
    uv_signal_start(&loop->interrupt, on_signal, SIGINT);
    uv_check_start(&loop->turn, on_turn);
    uv_timer_start(&loop->pulse, only_wake, 0, PULSE_MS);
    if (loop->memory)
        start_driver(loop);
    if (!loop->exit_code)
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    return loop->exit_code;
}
