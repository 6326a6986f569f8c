/* One node for a test: the real driver and core over the shipped scripts in memory, a bus that ends here, an executor
 * that succeeds at once unless it is told to hold, and a clock that moves by itself. What is said goes to a log. */
#ifndef MEERKAT_TESTS_NODE_RIG_H
#define MEERKAT_TESTS_NODE_RIG_H

#include "tests/lib/t.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/json.h"
#include "node/driver_impl.h"
#include "node/pages.h"
#include "redis/store_memory.h"

#define NODE_RIG_RUNS     16
#define NODE_RIG_LEASE_MS 60000ull
#define NODE_RIG_ROUNDS   100000

struct node_rig_frame {
    struct node_rig_frame *next;
    size_t bytes;
    char frame[];
};

struct node_rig_run {
    struct mk_session_id session;
    struct mk_id run;
    uint64_t attempt;
};

struct node_rig {
    struct driver *driver; /* NULL: dead */
    struct store_memory *store;
    struct test_mem t;
    struct ports ports;
    uint64_t now_ms, random;
    struct node_rig_frame *bus, **bus_end; /* on their way to the node */
    struct node_rig_run runs[NODE_RIG_RUNS];
    size_t run_count;
    bool hold; /* runs do not end */
    char log[65536];
};

/* --- ports --- */

static inline uint64_t node_rig_now(void *self)
{
    return ((struct node_rig *)self)->now_ms;
}

static inline uint64_t node_rig_now_us(void *self)
{
    return (1700000000000ull + node_rig_now(self)) * 1000;
}

static inline uint64_t node_rig_unix(void *self)
{
    return node_rig_now_us(self) / 1000;
}

static inline void node_rig_random(void *self, void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((unsigned char *)bytes)[i] =
            (unsigned char)((((struct node_rig *)self)->random += 0x9e3779b97f4a7c15ull) >> 56);
}

static inline void node_rig_say(struct node_rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void node_rig_say(struct node_rig *rig, const char *format, ...)
{
    size_t used = strlen(rig->log);
    va_list args;
    va_start(args, format);
    vsnprintf(rig->log + used, sizeof rig->log - used, format, args);
    va_end(args);
}

static inline void node_rig_trace(void *self, enum trace_level level, const char *what,
                                  const struct trace_field *fields, size_t count)
{
    node_rig_say(self, "trace %d %s", (int)level, what);
    for (size_t i = 0; i < count; i++)
        node_rig_say(self, " %s=%.*s", fields[i].key, SPAN_ARGS(fields[i].text));
    node_rig_say(self, "\n");
}

static inline void node_rig_deliver(struct node_rig *rig, struct span frame)
{
    struct node_rig_frame *one = calloc(1, sizeof *one + frame.bytes);
    assert_non_null(one);
    one->bytes = frame.bytes;
    memcpy(one->frame, frame.at, frame.bytes);
    *rig->bus_end = one;
    rig->bus_end = &one->next;
}

/* The node hears its own heartbeats; clients what is said to them, one line each, keys in order. */
static inline void node_rig_publish(void *self, struct span frame)
{
    struct node_rig *rig = self;
    struct span text, map;
    struct topic topic;
    assert_true(frame_split(frame, &text, &map) == MK_ERR_OK && topic_parse(text, &topic) == MK_ERR_OK);
    if (topic.class == TOPIC_HB)
        node_rig_deliver(rig, frame);
    if (topic.class != TOPIC_RE)
        return;
    json_t *message = json_of_value((struct mk_bytes){map.at, map.bytes}), *items, *item;
    size_t i;
    items = json_object_get(message, "items");
    items = items ? json_incref(items) : json_pack("[O]", message);
    json_array_foreach(items, i, item)
    {
        char *line = json_dumps(item, JSON_COMPACT | JSON_SORT_KEYS);
        node_rig_say(rig, "said %s\n", line);
        free(line);
    }
    json_decref(items);
    json_decref(message);
}

static inline void node_rig_start_run(void *self, const struct run_request *request)
{
    struct node_rig *rig = self;
    assert_true(rig->run_count < NODE_RIG_RUNS);
    struct node_rig_run *run = &rig->runs[rig->run_count++];
    *run = (struct node_rig_run){.run = request->run->id, .attempt = request->run->attempt};
    session_id_set(&run->session, request->session);
}

static inline void node_rig_cancel(void *self, struct span session, struct span run, bool hard)
{
    (void)self, (void)session, (void)run, (void)hard;
}

static inline void node_rig_stop(void *self, struct span session)
{
    node_rig_say(self, "stop %.*s\n", SPAN_ARGS(session));
}

static inline bool node_rig_known(void *self, struct span name)
{
    (void)self, (void)name;
    return true;
}

/* --- time --- */

static inline void node_rig_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    struct node_rig *rig = user;
    if (rig->driver)
        driver_store_reply(rig->driver, tag, reply);
}

static inline bool node_rig_finish(struct node_rig *rig)
{
    const struct span result = SPAN_LIT("\xa4"
                                        "done");
    if (rig->hold || !rig->run_count)
        return false;
    struct node_rig_run run = rig->runs[--rig->run_count];
    struct run_done done = {
        .run = run.run, .attempt = run.attempt, .end = RUN_RESULT, .results = &result, .result_count = 1};
    driver_run_done(rig->driver, session_id_span(&run.session), &done);
    return true;
}

static inline bool node_rig_turn(struct node_rig *rig)
{
    struct node_rig_frame *first = rig->bus;
    bool busy = first != NULL;
    rig->bus = NULL;
    rig->bus_end = &rig->bus;
    for (struct node_rig_frame *one = first, *next; one; one = next) {
        next = one->next;
        driver_frame(rig->driver, (struct span){one->frame, one->bytes});
        free(one);
    }
    busy |= store_memory_pump(rig->store, node_rig_reply, rig) > 0;
    busy |= node_rig_finish(rig);
    if (driver_due_ms(rig->driver) <= rig->now_ms) {
        driver_tick(rig->driver);
        busy = true;
    }
    driver_turn_end(rig->driver);
    return busy || rig->bus || store_memory_pending(rig->store);
}

static inline struct driver_status node_rig_status(const struct node_rig *rig)
{
    struct driver_status status;
    driver_status(rig->driver, &status);
    return status;
}

/* Until nothing moves before that time; or, when it is not ready, until it is. */
static inline void node_rig_run_until(struct node_rig *rig, uint64_t until_ms, bool ready)
{
    for (size_t round = 0; round < NODE_RIG_ROUNDS; round++) {
        if (node_rig_turn(rig))
            continue;
        uint64_t due_ms = driver_due_ms(rig->driver);
        if ((ready && node_rig_status(rig).ready) || due_ms > until_ms)
            return;
        rig->now_ms = due_ms > rig->now_ms ? due_ms : rig->now_ms;
    }
    fail_msg("the node does not come to rest");
}

static inline void node_rig_settle(struct node_rig *rig)
{
    node_rig_run_until(rig, rig->now_ms + 5000, false);
}

/* --- life --- */

/* A new life on the same store, until it is ready. */
static inline void node_rig_start(struct node_rig *rig)
{
    struct driver_options options = {
        .partitions = 1,
        .groups = 1,
        .lease_ms = NODE_RIG_LEASE_MS,
        .heartbeat_ms = NODE_RIG_LEASE_MS / 6,
        .finish_ms = FINISH_MS_DEFAULT,
        .idle_evict_ms = RETAIN_MS_DEFAULT,
        .retain_ms = RETAIN_MS_DEFAULT,
        .retain_bytes = RETAIN_BYTES_DEFAULT,
        .frame_bytes_max = FRAME_BYTES_DEFAULT,
        .auto_register = true,
    };
    struct mk_note note = {""};
    id_set(&options.node, SPAN_LIT("n1"));
    rig->driver = driver_new(&options, &rig->ports, &rig->t.mem, &note);
    assert_non_null(rig->driver);
    driver_start(rig->driver);
    driver_store_up(rig->driver, true);
    node_rig_run_until(rig, rig->now_ms + 10 * NODE_RIG_LEASE_MS, true);
    assert_true(node_rig_status(rig).ready);
    node_rig_settle(rig);
}

static inline void node_rig_crash(struct node_rig *rig)
{
    driver_free(rig->driver);
    rig->driver = NULL;
    rig->run_count = 0;
    for (struct node_rig_frame *next; rig->bus; rig->bus = next) {
        next = rig->bus->next;
        free(rig->bus);
    }
    rig->bus_end = &rig->bus;
    while (store_memory_pump(rig->store, node_rig_reply, rig) > 0)
        continue;
}

/* No run of this rig takes inputs in. */
static inline void node_rig_inject(void *self, struct span session, struct span run, const struct run_input *input)
{
    (void)self;
    (void)session;
    (void)run;
    (void)input;
    fail();
}

static inline struct node_rig *node_rig_new(void)
{
    static const struct bus_ops bus = {node_rig_publish};
    static const struct executor_ops executor = {node_rig_start_run, node_rig_inject, node_rig_cancel, node_rig_stop,
                                                 node_rig_known};
    static const struct clock_ops clock = {node_rig_now, node_rig_unix, node_rig_random};
    static const struct trace_ops trace = {node_rig_trace};
    struct mk_note note = {""};
    struct node_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    test_mem_init(&rig->t);
    rig->now_ms = 1000000;
    rig->bus_end = &rig->bus;
    struct keyspace_clock store_clock = {node_rig_now_us, rig};
    rig->store = store_memory_new(&rig->t.mem, &store_clock, &note);
    assert_non_null(rig->store);
    rig->ports =
        (struct ports){store_memory_port(rig->store), {&bus, rig}, {&executor, rig}, {&clock, rig}, {&trace, rig}};
    node_rig_start(rig);
    return rig;
}

static inline void node_rig_free(struct node_rig *rig)
{
    node_rig_crash(rig);
    store_memory_free(rig->store);
    assert_int_equal(rig->t.live, 0);
    free(rig);
}

/* --- what a client says --- */

/* Puts a message on the bus; takes the reference. */
static inline void node_rig_put(struct node_rig *rig, const char *class, const char *session, json_t *message)
{
    char head[64];
    struct buf frame = {0}, map = {0};
    char *text = json_dumps(message, JSON_COMPACT);
    int bytes = snprintf(head, sizeof head, "%s/0000/%s", class, session);
    assert_true(text && json_value_pack(&map, text, NULL));
    buf_append(&frame, head, (size_t)bytes + 1);
    buf_append(&frame, map.at, map.bytes);
    node_rig_deliver(rig, buf_span(&frame));
    buf_fini(&frame);
    buf_fini(&map);
    free(text);
    json_decref(message);
}

static inline json_t *node_rig_command(const char *session, const char *id, const char *op)
{
    return json_pack("{s:i,s:s,s:s,s:s,s:s,s:s}", "v", 1, "t", "command", "id", id, "session", session, "op", op,
                     "reply_to", "c");
}

/* What came of it is in the log. */
static inline void node_rig_send(struct node_rig *rig, const char *session, const char *id)
{
    rig->log[0] = '\0';
    node_rig_put(rig, "in", session,
                 json_pack("{s:i,s:s,s:s,s:s,s:s,s:s}", "v", 1, "t", "input", "id", id, "session", session, "body", "x",
                           "reply_to", "c"));
    node_rig_settle(rig);
}

static inline void node_rig_do(struct node_rig *rig, const char *session, const char *id, const char *op)
{
    rig->log[0] = '\0';
    node_rig_put(rig, "ctl", session, node_rig_command(session, id, op));
    node_rig_settle(rig);
}

/* --- what is seen --- */

/* The session in the node's memory, to be broken. */
static inline struct session *node_rig_session(const struct node_rig *rig, const char *session)
{
    return (struct session *)(uintptr_t)node_session(rig->driver->node, span_of(session));
}

/* A command to the store. Its reply's first item as a text: "" when there is none. Until the next call. */
static inline const char *node_rig_store(struct node_rig *rig, size_t count, const struct span *words, size_t *bytes)
{
    static char text[4096];
    struct keyspace_reply reply;
    keyspace_command(store_memory_keyspace(rig->store), words, count, &reply);
    const struct span *first = reply.count ? &reply.items[0].text : NULL;
    assert_true(!first || first->bytes < sizeof text);
    *bytes = first && first->at ? first->bytes : 0;
    if (*bytes)
        memcpy(text, first->at, *bytes);
    text[*bytes] = '\0';
    return text;
}

static inline const char *node_rig_metrics(const struct node_rig *rig)
{
    static char text[16384];
    struct pages_view view = {.driver = node_rig_status(rig)};
    struct http_page page = {.status = 200};
    pages_metrics(&view, &page);
    snprintf(text, sizeof text, "%.*s", (int)page.body.bytes, page.body.at);
    buf_fini(&page.body);
    return text;
}

#define assert_logged(rig, text)                                                                                       \
    do {                                                                                                               \
        if (!strstr((rig)->log, text))                                                                                 \
            fail_msg("not there: %s\nbut:\n%s", text, (rig)->log);                                                     \
    } while (0)

#endif
