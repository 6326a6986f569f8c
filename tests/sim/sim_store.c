/* The store: one keyspace, the shipped scripts on it, and a connection from each node whose calls are executed and
 * answered in order. Faults end connections before or after the execution, execute late, refuse, are slow, or let a
 * script die half-way. */
#include <stdio.h>
#include <stdlib.h>

#include "codec/script.h"
#include "redis/keyspace.h"
#include "redis/script_host.h"
#include "redis/store_memory.h"
#include "tests/sim/sim.h"

#define STORE_EPOCH_US 1763700000000000ull /* virtual time 0, as the store's TIME */
#define IN_FLIGHT_MAX  64                  /* calls of one connection */

struct connection {
    struct sim_node *node;
    bool up;
    bool cut;         /* what is on its way vanishes; it notices when its deadline passes */
    uint64_t epoch;   /* counts its ends */
    uint64_t last_us; /* when the call sent last arrives, or the last reply does */
    uint64_t last_reply_us;
    struct sim_call *in_flight[IN_FLIGHT_MAX];
    size_t count;
};

struct sim_store {
    struct mk_mem mem;
    struct keyspace_clock clock;
    struct store_memory *memory;
    struct keyspace *keyspace; /* of the memory store */
    struct connection connections[SIM_NODES_MAX];
    uint64_t down_until_us;
    uint64_t clock_back_us; /* its clock is so far behind the true one */
    struct keyspace *remembered;
    const struct sim_call *half_done; /* a commit that died half-way and was not repeated yet; NULL: none */
};

/* What a call meets on its way. */
enum fate { FATE_NONE, FATE_LOST_BEFORE, FATE_LOST_AFTER, FATE_LATE, FATE_REFUSED, FATE_DIES };

static void *store_alloc(void *self, size_t bytes)
{
    (void)self;
    return calloc(1, bytes ? bytes : 1);
}

static void store_release(void *self, void *memory)
{
    (void)self;
    free(memory);
}

static uint64_t store_time(void *self)
{
    return sim_store_now_us(self);
}

uint64_t sim_store_now_us(const struct sim *s)
{
    return sim_unix_us(s) - s->store->clock_back_us;
}

uint64_t sim_unix_us(const struct sim *s)
{
    return STORE_EPOCH_US + s->now_us;
}

/* Backward only: a clock that jumps ahead takes leases from nodes that count on them. */
void sim_store_clock_back(struct sim *s, uint64_t us)
{
    sim_trace(s, "store", "the clock falls back by %llu ms", (unsigned long long)(us / 1000));
    s->store->clock_back_us += us;
    sim_disturbed(s);
}

/* --- connections --- */

struct answer_due {
    struct sim_call *call;
    struct store_reply reply;
};

static void reconnect(struct sim *s, void *self, uint64_t life)
{
    struct connection *c = self;
    if (!sim_node_lives(c->node, life) || c->up)
        return;
    if (c->cut) {
        sim_at(s, sim_between(s, 20, 100) * MILLISECOND, reconnect, c, life);
        return;
    }
    if (s->now_us < s->store->down_until_us) {
        sim_at(s, s->store->down_until_us - s->now_us + sim_below(s, 20 * MILLISECOND), reconnect, c, life);
        return;
    }
    c->up = true;
    sim_disturbed(s);
    sim_trace(s, c->node->name, "store connected");
    sim_node_store_up(c->node, true);
}

void sim_store_connect(struct sim *s, size_t node)
{
    struct connection *c = &s->store->connections[node];
    sim_at(s, sim_between(s, 1, 5) * MILLISECOND, reconnect, c, c->node->life);
}

/* Nobody reads the replies of what is in flight any more. */
static void orphan_all(struct connection *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->in_flight[i]->orphan = true;
    c->count = 0;
    c->up = false;
    c->epoch++;
}

void sim_store_abandon(struct sim *s, size_t node)
{
    orphan_all(&s->store->connections[node]);
}

/* Every call in flight gets STORE_UNKNOWN, in order; then the connection is down. */
static void end_connection(struct sim *s, struct connection *c)
{
    if (!c->up)
        return;
    sim_disturbed(s);
    sim_trace(s, c->node->name, "store connection ended, %zu in flight", c->count);
    for (size_t i = 0; i < c->count; i++) {
        struct store_reply reply = {.verdict = STORE_UNKNOWN, .error = SPAN_LIT("the connection ended")};
        checks_answered(s, c->in_flight[i], &reply);
        sim_node_reply(c->node, c->in_flight[i]->tag, &reply);
    }
    orphan_all(c);
    sim_node_store_up(c->node, false);
    sim_at(s, sim_between(s, 5, 200) * MILLISECOND, reconnect, c, c->node->life);
}

static void cut_noticed(struct sim *s, void *self, uint64_t epoch)
{
    struct connection *c = self;
    if (c->epoch == epoch)
        end_connection(s, c);
}

/* A cut says nothing: the node waits for its replies until their deadline. */
void sim_store_cut(struct sim *s, size_t node, bool cut)
{
    struct connection *c = &s->store->connections[node];
    if (c->cut == cut)
        return;
    c->cut = cut;
    sim_disturbed(s);
    sim_trace(s, c->node->name, cut ? "cut off the store" : "may reach the store again");
    if (!cut)
        end_connection(s, c); /* what vanished is never answered on it */
    else if (c->up)
        sim_at(s, sim_between(s, 0, 1500) * MILLISECOND, cut_noticed, c, c->epoch);
}

bool sim_store_is_cut(const struct sim *s, size_t node)
{
    return s->store->connections[node].cut;
}

bool sim_store_reaches(const struct sim *s, size_t node)
{
    const struct connection *c = &s->store->connections[node];
    return c->up && !c->cut;
}

void sim_store_down(struct sim *s, uint64_t us)
{
    if (sim_store_half_done(s))
        return;
    sim_trace(s, "store", "down for %llu ms", (unsigned long long)(us / 1000));
    s->store->down_until_us = s->now_us + us;
    for (size_t i = 0; i < s->config.nodes; i++)
        end_connection(s, &s->store->connections[i]);
}

bool sim_store_half_done(const struct sim *s)
{
    return s->store->half_done != NULL;
}

/* --- executing --- */

static bool repeats(const struct sim_call *call, const struct sim_call *first)
{
    if (call->script != first->script || call->arg_count != first->arg_count)
        return false;
    for (size_t i = 0; i < call->arg_count; i++)
        if (!span_equal(call->args[i], first->args[i]))
            return false;
    return span_equal(call->keys[0], first->keys[0]);
}

static void note_half_done(struct sim *s, const struct sim_call *call, bool died)
{
    struct sim_store *store = s->store;
    if (died)
        store->half_done = call;
    else if (store->half_done && repeats(call, store->half_done))
        store->half_done = NULL;
}

/* Runs the script, which dies after its nth write unless that is 0. False: it died. */
static bool run_script(struct sim *s, struct sim_call *call, size_t dies_after, struct store_reply *reply)
{
    struct script_host *host = store_memory_host(s->store->memory);
    struct script_call run = {script_name(call->script), call->keys, call->args, call->key_count, call->arg_count};
    struct script_result result;
    script_host_die_after(host, dies_after);
    script_host_run(host, &run, &result);
    script_host_die_after(host, 0);
    call->wrote = result.wrote;
    *reply = (struct store_reply){.verdict = STORE_REPLIED, .items = result.items, .count = result.count};
    if (!result.ok && !dies_after)
        sim_broken(s, "store", "%s of %s ends with an error: %.*s", run.name, call->node->name,
                   SPAN_ARGS(result.error));
    return result.ok;
}

/* Of a commit also the first part's verdict, and what stood in the way of its first skipped section. */
static void trace_call(struct sim *s, const struct sim_call *call, bool died, const struct store_reply *reply)
{
    const char *how = died ? ", died half-way" : call->orphan ? ", nobody reads it" : "";
    const struct span *items = reply->items;
    if (call->script != SCRIPT_COMMIT || died || reply->count < 6)
        sim_trace(s, "store", "%s of %s%s", script_name(call->script), call->node->name, how);
    else if (reply->count < 9 || span_is(items[5], "0"))
        sim_trace(s, "store", "commit of %s: %.*s %.*s%s", call->node->name, SPAN_ARGS(items[1]), SPAN_ARGS(items[2]),
                  how);
    else
        sim_trace(s, "store", "commit of %s: %.*s %.*s, %.*s skipped, first for %.*s%s", call->node->name,
                  SPAN_ARGS(items[1]), SPAN_ARGS(items[2]), SPAN_ARGS(items[5]), SPAN_ARGS(items[8]), how);
}

/* Executes a call now; the reply borrows from the store. False: the script died and said nothing. */
static bool execute(struct sim *s, struct sim_call *call, bool dies, struct store_reply *reply)
{
    bool died = !run_script(s, call, dies ? sim_between(s, 1, 3) : 0, reply);
    note_half_done(s, call, died);
    trace_call(s, call, died, reply);
    s->totals.calls++;
    checks_executed(s, call); /* a script that died behind its last write is done all the same */
    return !died;
}

static void answer_due(struct sim *s, void *self, uint64_t word)
{
    (void)word;
    struct answer_due *due = self;
    struct sim_call *call = due->call;
    struct connection *c = &s->store->connections[call->node->index];
    if (call->orphan || c->cut)
        return;
    memmove(c->in_flight, c->in_flight + 1, --c->count * sizeof *c->in_flight);
    checks_answered(s, call, &due->reply);
    sim_node_reply(call->node, call->tag, &due->reply);
}

static void answer_later(struct sim *s, struct sim_call *call, const struct store_reply *reply)
{
    struct connection *c = &s->store->connections[call->node->index];
    struct answer_due *due = sim_alloc(s, sizeof *due);
    struct span *items = sim_alloc(s, (reply->count + 1) * sizeof *items);
    for (size_t i = 0; i < reply->count; i++)
        items[i] = sim_copy(s, reply->items[i]);
    *due = (struct answer_due){call, *reply};
    due->reply.items = items;
    uint64_t due_us = s->now_us + sim_between(s, 50, 300);
    if (due_us < c->last_reply_us)
        due_us = c->last_reply_us;
    c->last_reply_us = due_us;
    sim_at(s, due_us - s->now_us, answer_due, due, 0);
}

static struct span refusal(struct sim *s)
{
    static const char *const texts[] = {
        "OOM command not allowed when used memory > 'maxmemory'.",
        "LOADING Redis is loading the dataset in memory",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    };
    return span_of(texts[sim_below(s, sizeof texts / sizeof *texts)]);
}

static void execute_late(struct sim *s, void *self, uint64_t word)
{
    (void)word;
    struct store_reply reply;
    sim_disturbed(s); /* a dead node may have extended what it held */
    execute(s, self, false, &reply);
}

/* A call reaches the store, unless its connection ended before. */
static void arrive(struct sim *s, void *self, uint64_t fate)
{
    struct sim_call *call = self;
    struct connection *c = &s->store->connections[call->node->index];
    struct store_reply reply = {.verdict = STORE_REFUSED};
    if (call->orphan || c->cut)
        return;
    if (fate != FATE_NONE)
        sim_disturbed(s);
    switch ((enum fate)fate) {
    case FATE_LATE:
        sim_at(s, sim_between(s, 1, 4000) * MILLISECOND, execute_late, call, 0);
        end_connection(s, c);
        return;
    case FATE_LOST_BEFORE:
        end_connection(s, c);
        return;
    case FATE_REFUSED:
        reply.error = refusal(s);
        sim_trace(s, "store", "%s of %s refused: %.*s", script_name(call->script), call->node->name,
                  SPAN_ARGS(reply.error));
        answer_later(s, call, &reply);
        return;
    case FATE_DIES:
    case FATE_LOST_AFTER:
    case FATE_NONE:
        break;
    }
    bool whole = execute(s, call, fate == FATE_DIES, &reply);
    if (!whole || fate == FATE_LOST_AFTER)
        end_connection(s, c);
    else
        answer_later(s, call, &reply);
}

/* Every fault is asked for at every call, so that a plan counts calls. */
static enum fate fate_of(struct sim *s, const struct sim_node *node, enum script script)
{
    enum fate fate = FATE_NONE;
    if (sim_fault_on_call(s, FAULT_STORE_LOST_BEFORE, node, script))
        fate = FATE_LOST_BEFORE;
    else if (sim_fault_on_call(s, FAULT_STORE_LOST_AFTER, node, script))
        fate = FATE_LOST_AFTER;
    else if (sim_fault_on_call(s, FAULT_STORE_LATE, node, script))
        fate = FATE_LATE;
    else if (sim_fault_on_call(s, FAULT_STORE_REFUSES, node, script))
        fate = FATE_REFUSED;
    else if (script == SCRIPT_COMMIT && !sim_store_half_done(s) && sim_fault_on_call(s, FAULT_STORE_DIES, node, script))
        fate = FATE_DIES;
    return fate;
}

/* --- the port --- */

static struct span *copy_all(struct sim *s, const struct span *from, size_t count)
{
    struct span *copy = sim_alloc(s, (count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = sim_copy(s, from[i]);
    return copy;
}

static bool port_call(void *self, uint64_t tag, const struct store_call *in)
{
    struct connection *c = self;
    struct sim_node *node = c->node;
    struct sim *s = node->sim;
    if (!sim_node_may_act(node) || !c->up || c->count == IN_FLIGHT_MAX)
        return false;
    checks_sent(s, node, in);
    struct sim_call *call = sim_alloc(s, sizeof *call);
    *call = (struct sim_call){
        .node = node,
        .life = node->life,
        .tag = tag,
        .script = in->script,
        .keys = copy_all(s, in->keys, in->key_count),
        .args = copy_all(s, in->args, in->arg_count),
        .key_count = in->key_count,
        .arg_count = in->arg_count,
    };
    c->in_flight[c->count++] = call;
    uint64_t due_us = s->now_us + sim_between(s, 50, 300);
    if (sim_fault_on_call(s, FAULT_STORE_SLOW, node, in->script)) {
        due_us += sim_between(s, 5, s->config.slow_ms) * MILLISECOND;
        sim_disturbed(s);
    }
    if (due_us < c->last_us)
        due_us = c->last_us;
    c->last_us = due_us;
    sim_at(s, due_us - s->now_us, arrive, call, fate_of(s, node, in->script));
    return true;
}

static bool port_connected(void *self)
{
    return ((struct connection *)self)->up;
}

struct store_port sim_store_port(struct sim *s, size_t node)
{
    static const struct store_ops ops = {port_call, port_connected};
    s->store->connections[node].node = s->nodes[node];
    return (struct store_port){&ops, &s->store->connections[node]};
}

/* --- making and reading --- */

bool sim_store_new(struct sim *s)
{
    struct sim_store *store = sim_alloc(s, sizeof *store);
    s->store = store;
    store->mem = (struct mk_mem){store_alloc, store_release, NULL};
    store->clock = (struct keyspace_clock){store_time, s};
    struct mk_note note = {{0}};
    store->memory = store_memory_new(&store->mem, &store->clock, &note);
    if (!store->memory) {
        sim_broken(s, "sim", "no store: %s", note.text);
        return false;
    }
    store->keyspace = store_memory_keyspace(store->memory);
    return true;
}

static struct span partition_key(const struct sim *s, char out[KEY_BYTES], uint32_t partition, char letter)
{
    return (struct span){out, key_of(out, partition, s->config.groups, letter)};
}

struct span sim_store_get(struct sim *s, uint32_t partition, char letter, struct span field)
{
    char key[KEY_BYTES];
    struct span words[] = {SPAN_LIT("HGET"), partition_key(s, key, partition, letter), field};
    struct keyspace_reply reply;
    keyspace_command(s->store->keyspace, words, 3, &reply);
    return reply.count && reply.items[0].kind == KEYSPACE_TEXT ? sim_copy(s, reply.items[0].text) : (struct span){0};
}

static struct keyspace_item *command(struct sim *s, const struct span *words, size_t count, size_t *items)
{
    struct keyspace_reply reply;
    keyspace_command(s->store->keyspace, words, count, &reply);
    struct keyspace_item *copy = sim_alloc(s, (reply.count + 1) * sizeof *copy);
    for (size_t i = 0; i < reply.count; i++) {
        copy[i] = reply.items[i];
        copy[i].text = sim_copy(s, copy[i].text);
    }
    *items = reply.count;
    return copy;
}

void sim_store_each(struct sim *s, uint32_t partition, char letter,
                    void (*each)(struct sim *s, void *self, struct span field, struct span value), void *self)
{
    char key[KEY_BYTES];
    struct span words[] = {SPAN_LIT("HGETALL"), partition_key(s, key, partition, letter)};
    size_t count;
    struct keyspace_item *items = command(s, words, 2, &count);
    for (size_t i = 1; i + 1 < count; i += 2)
        each(s, self, items[i].text, items[i + 1].text);
}

void sim_store_each_event(struct sim *s, uint32_t partition, char letter, uint64_t after,
                          void (*each)(struct sim *s, void *self, uint64_t sequence, struct span session,
                                       struct span message),
                          void *self)
{
    char key[KEY_BYTES], from[32];
    snprintf(from, sizeof from, "%llu-0", (unsigned long long)after + 1);
    struct span words[] = {SPAN_LIT("XRANGE"), partition_key(s, key, partition, letter), span_of(from), SPAN_LIT("+")};
    size_t count;
    struct keyspace_item *items = command(s, words, 4, &count);
    for (size_t i = 1; i + 2 < count;) { /* each entry: array of 2, id, array of fields, the fields */
        uint64_t sequence = strtoull(items[i + 1].text.at, NULL, 10);
        size_t fields = (size_t)items[i + 2].number;
        for (size_t f = 0; f + 1 < fields; f += 2)
            each(s, self, sequence, items[i + 3 + f].text, items[i + 4 + f].text);
        i += 3 + fields;
    }
}

uint64_t sim_store_first_entry(struct sim *s, uint32_t partition)
{
    char key[KEY_BYTES];
    struct span words[] = {SPAN_LIT("XRANGE"), partition_key(s, key, partition, 'o'),
                           SPAN_LIT("-"),      SPAN_LIT("+"),
                           SPAN_LIT("COUNT"),  SPAN_LIT("1")};
    size_t count;
    struct keyspace_item *items = command(s, words, 6, &count);
    return count > 2 ? strtoull(items[2].text.at, NULL, 10) : 0;
}

/* --- a store that loses its tail --- */

void sim_store_remember(struct sim *s)
{
    keyspace_free(s->store->remembered);
    s->store->remembered = keyspace_copy(s->store->keyspace);
    if (!s->store->remembered)
        abort();
}

void sim_store_forget(struct sim *s)
{
    sim_trace(s, "store", "lost its tail");
    if (!keyspace_restore(s->store->keyspace, s->store->remembered))
        abort();
    for (size_t i = 0; i < s->config.nodes; i++)
        end_connection(s, &s->store->connections[i]);
}

void sim_store_free(struct sim *s)
{
    if (!s->store)
        return;
    keyspace_free(s->store->remembered);
    store_memory_free(s->store->memory);
}
