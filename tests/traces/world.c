#include "tests/traces/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/json.h"
#include "node/core/crc16.h"
#include "node/driver_impl.h"
#include "redis/store_memory.h"

#define PARTITIONS 1
#define LEASE_MS   60000ull  /* long: a step of a trace should not be in the way of renewals */
#define SETTLE_MS  5000ull   /* longer than any grace or backoff of a session */
#define READY_MS   600000ull /* for a new life to be ready: the lease of the one before must end */
#define ROUNDS_MAX 100000    /* turns of one settling: more is a loop without end */

struct message {
    struct message *next;
    size_t bytes;
    char frame[];
};

/* A run that the executor was given. */
struct applied {
    bool active, ended; /* ended: `end` is to be delivered */
    bool live_said;     /* the node was told of its boundary */
    struct run_at at;
    struct mk_id injected[INJECTED_MAX]; /* to be answered */
    size_t injected_count;
    enum run_end end;
    enum failure_cause cause;
};

struct world {
    struct driver *driver; /* NULL: dead */
    struct store_memory *store;
    bool durable, live_boundary;
    struct mk_mem mem;
    struct ports ports;
    uint64_t now_ms, random, sent;
    struct message *bus, **bus_end; /* frames on their way to the node */
    struct applied applied;
    json_t *heard, *asked;
};

/* --- memory, clock, chance --- */

static void *take(void *self, size_t bytes)
{
    (void)self;
    return calloc(1, bytes ? bytes : 1);
}

static void give_back(void *self, void *memory)
{
    (void)self;
    free(memory);
}

static void die(const char *why)
{
    fprintf(stderr, "traces: %s\n", why);
    exit(2);
}

static uint64_t clock_now(void *self)
{
    const struct world *world = self;
    return world->now_ms;
}

static uint64_t store_now_us(void *self)
{
    const struct world *world = self;
    return (1700000000000ull + world->now_ms) * 1000;
}

static uint64_t clock_unix(void *self)
{
    return store_now_us(self) / 1000;
}

/* The same numbers for every trace: splitmix64. */
static void clock_random(void *self, void *bytes, size_t count)
{
    struct world *world = self;
    for (size_t i = 0; i < count; i++) {
        uint64_t z = (world->random += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        ((unsigned char *)bytes)[i] = (unsigned char)(z >> 56);
    }
}

static void trace_line(void *self, enum trace_level level, const char *what, const struct trace_field *fields,
                       size_t count)
{
    (void)self;
    (void)fields;
    (void)count;
    if (level == TRACE_ERROR)
        fprintf(stderr, "traces: the node says: %s\n", what);
}

/* --- bus --- */

static void put_on_bus(struct world *world, struct span frame)
{
    struct message *message = calloc(1, sizeof *message + frame.bytes);
    if (!message)
        die("no memory");
    message->bytes = frame.bytes;
    memcpy(message->frame, frame.at, frame.bytes);
    *world->bus_end = message;
    world->bus_end = &message->next;
}

static void forget_bus(struct world *world)
{
    for (struct message *next; world->bus; world->bus = next) {
        next = world->bus->next;
        free(world->bus);
    }
    world->bus_end = &world->bus;
}

static void hear_one(struct world *world, struct span client, struct span map)
{
    json_t *message = json_of_value((struct mk_bytes){map.at, map.bytes});
    json_t *items = json_object_get(message, "items"), *item;
    size_t i;
    if (!items)
        json_array_append_new(world->heard, json_pack("{s:s%,s:O}", "to", client.at, client.bytes, "message", message));
    json_array_foreach(items, i, item)
        json_array_append_new(world->heard, json_pack("{s:s%,s:O}", "to", client.at, client.bytes, "message", item));
    json_decref(message);
}

/* The node hears its own heartbeats, clients what is said to them; there is no watcher. */
static void publish(void *self, struct span frame)
{
    struct world *world = self;
    struct span text, map;
    struct topic topic;
    if (frame_split(frame, &text, &map) || topic_parse(text, &topic))
        die("the node published what is no frame");
    if (topic.class == TOPIC_HB)
        put_on_bus(world, frame);
    else if (topic.class == TOPIC_RE)
        hear_one(world, topic.name, map);
}

void world_send(struct world *world, const char *class, json_t *message)
{
    char head[64];
    char *text = json_dumps(message, JSON_COMPACT);
    struct buf frame = {0}, map = {0};
    struct span session = SPAN_LIT(WORLD_SESSION);
    int bytes = snprintf(head, sizeof head, "%s/%04x/%s", class, partition_of(session, PARTITIONS), WORLD_SESSION);
    buf_append(&frame, head, (size_t)bytes + 1);
    if (!text || !json_value_pack(&map, text, NULL))
        die("a message cannot be packed");
    buf_append(&frame, map.at, map.bytes);
    if (world->driver)
        put_on_bus(world, buf_span(&frame));
    buf_fini(&frame);
    buf_fini(&map);
    free(text);
    json_decref(message);
}

/* --- executor --- */

static void asked(struct world *world, json_t *what)
{
    json_array_append_new(world->asked, what);
}

static void start(void *self, const struct run_request *request)
{
    struct world *world = self;
    json_t *inputs = json_array();
    for (size_t i = 0; i < request->input_count; i++) {
        struct span id = request->inputs[i].input->h.id;
        json_array_append_new(inputs, json_stringn(id.at, id.bytes));
    }
    asked(world, json_pack("{s:{s:s,s:o,s:s,s:s}}", "apply", "boundary", mk_boundary_name(request->run->boundary),
                           "inputs", inputs, "primitive", "staged", "run", request->run->id.text));
    world->applied = (struct applied){.active = true, .at = {request->run->id, request->run->attempt}};
}

static void inject(void *self, struct span session, struct span run, const struct run_input *input)
{
    struct world *world = self;
    struct applied *applied = &world->applied;
    (void)session;
    if (!applied->active || !span_equal(id_span(&applied->at.run), run) || applied->injected_count == INJECTED_MAX)
        return;
    asked(world, json_pack("{s:s,s:i}", "call", "stage_at_boundary", "appends", 1));
    id_set(&applied->injected[applied->injected_count++], input->input->h.id);
}

/* A hard cancel makes the run return; a cancel at the boundary waits for the trace's verdict. */
static void cancel(void *self, struct span session, struct span run, bool hard)
{
    struct world *world = self;
    struct applied *applied = &world->applied;
    (void)session;
    if (!applied->active || !span_equal(id_span(&applied->at.run), run))
        return;
    asked(world, json_pack("{s:s}", "call", hard ? "hard_cancel" : "cancel_after_boundary"));
    if (hard && !applied->ended) {
        applied->ended = true;
        applied->end = RUN_CANCELLED;
    }
}

static void stop(void *self, struct span session)
{
    struct world *world = self;
    (void)session;
    asked(world, json_pack("{s:s}", "call", "stop_executor"));
}

static bool known(void *self, struct span name)
{
    (void)self;
    (void)name;
    return true;
}

bool world_finish(struct world *world, const char *with)
{
    static const struct {
        const char *word;
        enum run_end end;
        enum failure_cause cause;
    } verdicts[] = {
        {"result", RUN_RESULT, CAUSE_NONE},
        {"no_result", RUN_NO_RESULT, CAUSE_NONE},
        {"no_pending_boundary", RUN_NO_RESULT, CAUSE_NONE},
        {"callback_pending", RUN_CALLBACK_PENDING, CAUSE_NONE},
        {"fail", RUN_FAILED, CAUSE_RUNTIME_APPLY},
        {"fail_primitive", RUN_FAILED, CAUSE_PRIMITIVE_REJECTED},
        {"cancelled", RUN_CANCELLED, CAUSE_NONE},
        {"stopped", RUN_STOPPED, CAUSE_NONE},
        {"internal", RUN_INTERNAL, CAUSE_NONE},
    };
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        if (strcmp(verdicts[i].word, with) || !world->applied.active)
            continue;
        world->applied.ended = true;
        world->applied.end = verdicts[i].end;
        world->applied.cause = verdicts[i].cause;
        return true;
    }
    return false;
}

/* What the run says while it goes on. */
static bool deliver_words(struct world *world)
{
    struct applied *applied = &world->applied;
    struct span session = SPAN_LIT(WORLD_SESSION);
    bool said = applied->active && world->live_boundary && !applied->live_said;
    if (said) {
        applied->live_said = true;
        driver_boundary(world->driver, session, &applied->at, true);
    }
    for (; applied->active && applied->injected_count; said = true) {
        struct run_injected injected = {applied->at, applied->injected[0], true};
        memmove(applied->injected, applied->injected + 1, --applied->injected_count * sizeof *applied->injected);
        driver_injected(world->driver, session, &injected);
    }
    return said;
}

static bool deliver_end(struct world *world)
{
    struct applied applied = world->applied;
    const struct span result = SPAN_LIT("\xa4"
                                        "done");
    if (!applied.active || !applied.ended)
        return false;
    struct run_done done = {
        .run = applied.at.run, .attempt = applied.at.attempt, .end = applied.end, .cause = applied.cause};
    done.results = &result;
    done.result_count = applied.end == RUN_RESULT || applied.end == RUN_CALLBACK_PENDING;
    if (applied.end == RUN_FAILED)
        done.error = MK_ERR_EXECUTOR_FAILED;
    world->applied = (struct applied){0};
    driver_run_done(world->driver, SPAN_LIT(WORLD_SESSION), &done);
    return true;
}

/* --- time --- */

static void on_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    struct world *world = user;
    driver_store_reply(world->driver, tag, reply);
}

static bool deliver_frames(struct world *world)
{
    struct message *first = world->bus;
    world->bus = NULL;
    world->bus_end = &world->bus;
    for (struct message *message = first, *next; message; message = next) {
        next = message->next;
        driver_frame(world->driver, (struct span){message->frame, message->bytes});
        free(message);
    }
    return first != NULL;
}

/* One turn of the loop. False: there was nothing to do at this time. */
static bool turn(struct world *world)
{
    bool busy = deliver_frames(world);
    busy |= store_memory_pump(world->store, on_reply, world) > 0;
    busy |= deliver_words(world);
    busy |= deliver_end(world);
    if (driver_due_ms(world->driver) <= world->now_ms) {
        driver_tick(world->driver);
        busy = true;
    }
    driver_turn_end(world->driver);
    return busy || world->bus || store_memory_pending(world->store);
}

/* Until nothing moves before that time, or `done` says so. */
static void run_until(struct world *world, uint64_t until_ms, bool (*done)(const struct world *world))
{
    for (size_t round = 0; round < ROUNDS_MAX; round++) {
        if (turn(world))
            continue;
        uint64_t due_ms = driver_due_ms(world->driver);
        if ((done && done(world)) || due_ms > until_ms)
            return;
        if (due_ms > world->now_ms)
            world->now_ms = due_ms;
    }
    die("the node does not come to rest");
}

void world_settle(struct world *world)
{
    if (world->driver)
        run_until(world, world->now_ms + SETTLE_MS, NULL);
}

/* --- life --- */

static bool is_ready(const struct world *world)
{
    struct driver_status status;
    driver_status(world->driver, &status);
    return status.ready;
}

void world_start(struct world *world)
{
    struct driver_options options = {
        .partitions = PARTITIONS,
        .groups = 1,
        .lease_ms = LEASE_MS,
        .heartbeat_ms = LEASE_MS / 6,
        .finish_ms = FINISH_MS_DEFAULT,
        .idle_evict_ms = RETAIN_MS_DEFAULT,
        .retain_ms = RETAIN_MS_DEFAULT,
        .retain_bytes = RETAIN_BYTES_DEFAULT,
        .frame_bytes_max = FRAME_BYTES_DEFAULT,
        .auto_register = false,
        .alone = !world->durable,
    };
    struct mk_note note = {""};
    id_set(&options.node, SPAN_LIT("n1"));
    world->driver = driver_new(&options, &world->ports, &world->mem, &note);
    if (!world->driver)
        die(note.text);
    driver_start(world->driver);
    driver_store_up(world->driver, true);
    run_until(world, world->now_ms + READY_MS, is_ready);
    if (!is_ready(world))
        die("a node is not ready in time");
    world_settle(world);
}

static void open_store(struct world *world)
{
    struct keyspace_clock clock = {store_now_us, world};
    struct mk_note note = {""};
    store_memory_free(world->store);
    world->store = store_memory_new(&world->mem, &clock, &note);
    if (!world->store)
        die(note.text);
    world->ports.store = store_memory_port(world->store);
}

static void drop_reply(void *user, uint64_t tag, const struct store_reply *reply)
{
    (void)user;
    (void)tag;
    (void)reply;
}

void world_crash(struct world *world)
{
    driver_free(world->driver);
    world->driver = NULL;
    forget_bus(world);
    while (store_memory_pump(world->store, drop_reply, NULL) > 0)
        continue;
    if (!world->durable)
        open_store(world);
    world->applied = (struct applied){0};
}

bool world_alive(const struct world *world)
{
    return world->driver != NULL;
}

struct world *world_new(bool durable, bool live_boundary)
{
    static const struct bus_ops bus = {publish};
    static const struct executor_ops executor = {start, inject, cancel, stop, known};
    static const struct clock_ops clock = {clock_now, clock_unix, clock_random};
    static const struct trace_ops trace = {trace_line};
    struct world *world = calloc(1, sizeof *world);
    if (!world)
        die("no memory");
    world->durable = durable;
    world->live_boundary = live_boundary;
    world->mem = (struct mk_mem){take, give_back, world};
    world->now_ms = 1000000;
    world->bus_end = &world->bus;
    world->heard = json_array();
    world->asked = json_array();
    world->ports = (struct ports){
        .bus = {&bus, world},
        .executor = {&executor, world},
        .clock = {&clock, world},
        .trace = {&trace, world},
    };
    open_store(world);
    return world;
}

void world_free(struct world *world)
{
    driver_free(world->driver);
    forget_bus(world);
    store_memory_free(world->store);
    json_decref(world->heard);
    json_decref(world->asked);
    free(world);
}

/* --- what is seen --- */

static json_t *take_list(json_t **list)
{
    json_t *taken = *list;
    *list = json_array();
    return taken;
}

json_t *world_heard(struct world *world)
{
    return take_list(&world->heard);
}

json_t *world_asked(struct world *world)
{
    return take_list(&world->asked);
}

const struct session *world_session(const struct world *world)
{
    return world->driver ? node_session(world->driver->node, SPAN_LIT(WORLD_SESSION)) : NULL;
}
