/* Publishers that keep the protocol: what is sent is repeated with the same id until its answer is definite; sometimes
 * in batches, doubled, with the id of another, or garbage. And the watcher, which hands every numbered event to the
 * invariants. */
#include <stdio.h>

#include "codec/message.h"
#include "codec/topic.h"
#include "node/core/crc16.h"
#include "tests/sim/sim.h"

#define REFUSALS_MAX 4 /* then, once the load is over, an input is withdrawn */
#define BATCH_MAX    6

enum item_state { ITEM_OPEN, ITEM_ACCEPTED, ITEM_CLOSED };

struct item {
    struct item *next, *next_repeat; /* repeat: deduplicated to another */
    struct client *client;
    bool is_command, conflicted, repeats;
    enum item_state state;
    struct mk_input input;
    struct mk_command command;
    struct span id, session, existing; /* existing: the input that stands for it, after deduplication by key */
    unsigned sends, refusals;
    uint64_t written_ms_ago; /* before it is sent */
    const char *answer;      /* once closed */
};

struct client {
    struct sim *sim;
    size_t index;
    struct span name;
    uint64_t frames[2];               /* numbered apart: in/, ctl/ */
    uint64_t next_id, planned, looks; /* looks: at events and dead letters, in turns */
    struct item *items, **items_end;
    struct item *repeats;
    struct item *last_input; /* what commands that name an input mean */
};

struct sim_clients {
    struct client clients[SIM_CLIENTS_MAX];
    struct map items; /* session/id */
    uint64_t open;    /* items that are not closed */
    bool settling, woken;
};

static struct item *item_of(struct sim *s, struct span session, struct span id)
{
    struct map_key key;
    return map_get(&s->clients->items, map_key2(&key, session, id));
}

/* --- frames --- */

static uint64_t client_unix_ms(const struct client *c)
{
    return sim_unix_us(c->sim) / 1000;
}

static struct mk_header header(struct client *c, struct span id, bool is_command)
{
    return (struct mk_header){
        .id = id, .ts = client_unix_ms(c), .pub = c->name, .pe = 1, .ps = ++c->frames[is_command]};
}

static void put_on_bus(struct client *c, const struct topic *topic, struct span map)
{
    char text[TOPIC_BYTES_MAX + 1];
    size_t topic_bytes = topic_write(text, sizeof text, topic);
    char *frame = sim_alloc(c->sim, topic_bytes + map.bytes);
    memcpy(frame, text, topic_bytes);
    memcpy(frame + topic_bytes, map.at, map.bytes);
    sim_bus_send(c->sim, c->sim->config.nodes + c->index, (struct span){frame, topic_bytes + map.bytes});
}

static struct topic topic_for(const struct sim *s, const struct item *item)
{
    return (struct topic){
        .class = item->is_command ? TOPIC_CTL : TOPIC_IN,
        .partition = partition_of(item->session, s->config.partitions),
        .name = item->session,
    };
}

static void pack_item(struct buf *out, struct item *item)
{
    if (item->is_command)
        command_pack(out, &item->command);
    else
        input_pack(out, &item->input);
}

static void retry(struct sim *s, void *self, uint64_t sends);

/* A retry repeats the id and says when the first sending was. */
static void stamp(struct item *item, bool in_batch)
{
    struct client *c = item->client;
    struct mk_header *h = item->is_command ? &item->command.h : &item->input.h;
    uint64_t first_ts = h->ts;
    *h = in_batch ? (struct mk_header){.id = item->id, .ts = client_unix_ms(c)} : header(c, item->id, item->is_command);
    uint64_t *born = item->is_command ? &item->command.born : &item->input.born;
    if (item->sends && !*born)
        *born = first_ts;
    h->ts -= item->written_ms_ago;
    item->sends++;
    unsigned doublings = item->sends < 4 ? item->sends : 4;
    uint64_t wait_ms = item->state == ITEM_ACCEPTED ? 2000 : 100ull << doublings;
    sim_at(c->sim, sim_between(c->sim, wait_ms, 2 * wait_ms) * MILLISECOND, retry, item, item->sends);
}

/* The first sending says what it is. */
static void trace_item(const struct item *item)
{
    struct sim *s = item->client->sim;
    const struct mk_input *in = &item->input;
    const char *who = item->client->name.at;
    if (item->sends > 1)
        sim_trace(s, who, "sends %.*s to %.*s, try %u", SPAN_ARGS(item->id), SPAN_ARGS(item->session), item->sends);
    else if (item->is_command)
        sim_trace(s, who, "sends %.*s to %.*s: %s", SPAN_ARGS(item->id), SPAN_ARGS(item->session),
                  mk_op_name(item->command.op));
    else
        sim_trace(s, who, "sends %.*s to %.*s: %s %s%s%s%s%s", SPAN_ARGS(item->id), SPAN_ARGS(item->session),
                  mk_durability_name(in->durability), mk_kind_name(in->kind), in->handling ? ", " : "",
                  in->handling ? mk_handling_name(in->handling) : "", in->wake ? "" : ", no wake",
                  in->deadline_ms ? ", deadline" : "");
}

static void send_item(struct item *item)
{
    struct sim *s = item->client->sim;
    stamp(item, false);
    trace_item(item);
    struct buf map = {0};
    pack_item(&map, item);
    struct topic topic = topic_for(s, item);
    put_on_bus(item->client, &topic, buf_span(&map));
    if (!item->is_command && sim_fault(s, FAULT_CLIENT_REPEATS))
        put_on_bus(item->client, &topic, buf_span(&map));
    buf_fini(&map);
}

static void send_batch(struct client *c, struct item **items, size_t count)
{
    struct sim *s = c->sim;
    struct mk_header head = header(c, sim_text(s, "%s-b%llu", c->name.at, (unsigned long long)c->next_id++), false);
    struct buf map = {0};
    struct topic topic = topic_for(s, items[0]);
    topic.any_name = true;
    batch_head_pack_numbered(&map, &head, count);
    sim_trace(s, c->name.at, "sends a batch of %zu", count);
    for (size_t i = 0; i < count; i++) {
        stamp(items[i], true);
        trace_item(items[i]);
        pack_item(&map, items[i]);
        topic.any_partition |= topic_for(s, items[i]).partition != topic.partition;
    }
    put_on_bus(c, &topic, buf_span(&map));
    buf_fini(&map);
}

static void withdraw(struct item *item);

static void retry(struct sim *s, void *self, uint64_t sends)
{
    struct item *item = self;
    if (item->state == ITEM_CLOSED || item->sends != sends)
        return;
    if (s->clients->settling && !item->is_command && item->state == ITEM_OPEN && item->refusals >= REFUSALS_MAX)
        withdraw(item);
    send_item(item);
}

/* --- items --- */

static struct item *new_item(struct client *c, struct span session, bool is_command)
{
    struct sim *s = c->sim;
    struct item *item = sim_alloc(s, sizeof *item);
    *item = (struct item){.client = c, .is_command = is_command, .session = session};
    item->id = sim_text(s, "%s-%llu", c->name.at, (unsigned long long)++c->next_id);
    *c->items_end = item;
    c->items_end = &item->next;
    s->clients->open++;
    struct map_key key;
    map_put(s, &s->clients->items, map_key2(&key, session, item->id), item);
    return item;
}

static struct item *new_command(struct client *c, struct span session, enum mk_op op)
{
    struct item *item = new_item(c, session, true);
    item->command = (struct mk_command){
        .session = session,
        .op = op,
        .op_text = span_of(mk_op_name(op)),
        .reply_to = c->name,
    };
    c->sim->totals.commands++;
    checks_commanded(c->sim, session, op);
    return item;
}

static void withdraw(struct item *item)
{
    struct item *command = new_command(item->client, item->session, MK_OP_WITHDRAW);
    command->command.args.id = item->id;
    item->refusals = 0;
    send_item(command);
}

static void close_item(struct item *item, const char *answer)
{
    if (item->state == ITEM_CLOSED)
        return;
    struct sim *s = item->client->sim;
    item->state = ITEM_CLOSED;
    item->answer = answer;
    s->clients->open--;
    sim_trace(s, item->client->name.at, "%.*s is %s", SPAN_ARGS(item->id), answer);
}

/* --- drawing the load --- */

static const char *const executors[] = {"counter", "echo", "sleep", "fail"};

static struct span session_name(struct sim *s, uint64_t index)
{
    return sim_text(s, "%s-%llu", executors[index % 4], (unsigned long long)index);
}

static struct span executor_of(struct sim *s, struct span session)
{
    const char *dash = memchr(session.at, '-', session.bytes);
    return sim_copy(s, (struct span){session.at, dash ? (size_t)(dash - session.at) : session.bytes});
}

/* A small msgpack value that the session's executor understands. */
static struct span draw_body(struct sim *s, struct span session)
{
    char text[24];
    int n;
    switch (session.at[0]) {
    case 'c':
        if (sim_chance(s, 200000))
            return SPAN_LIT("\xa3one");
        n = snprintf(text, sizeof text, "%c", (int)sim_between(s, 1, 9));
        break;
    case 's': { /* milliseconds, 16 bits */
        uint64_t ms = sim_between(s, 1, 400);
        text[0] = '\xcd', text[1] = (char)(ms >> 8), text[2] = (char)(ms & 0xff), n = 3;
        break;
    }
    case 'f':
        if (sim_chance(s, 100000))
            return SPAN_LIT("\x81\xa3"
                            "die\xc3");
        memcpy(text,
               "\x81\xa4"
               "fail",
               6);
        text[6] = (char)sim_below(s, 3), n = 7;
        break;
    default:
        n = snprintf(text, sizeof text, "\xa8%08llx", (unsigned long long)sim_below(s, 1u << 31));
        break;
    }
    return sim_copy(s, (struct span){text, (size_t)n});
}

static void draw_peer(struct sim *s, struct mk_input *in)
{
    in->origin = MK_PEER;
    in->peer_id = SPAN_LIT("7b6c1f0a-9d54-4a53-8f6e-0123456789ab");
    in->peer_name = SPAN_LIT("peer");
    in->request_id = sim_text(s, "00000000-0000-4000-8000-%012llu", (unsigned long long)sim_below(s, 4));
    in->intent = SPAN_LIT("ask");
    in->status = in->kind == MK_PEER_RESPONSE_TERMINAL   ? MK_STATUS_COMPLETED
                 : in->kind == MK_PEER_RESPONSE_PROGRESS ? MK_STATUS_ACCEPTED
                                                         : MK_STATUS_NONE;
    if (in->kind == MK_PEER_RESPONSE_PROGRESS)
        in->supersede = sim_text(s, "p%llu", (unsigned long long)sim_below(s, 2));
}

void sim_fill_kind(struct sim *s, struct mk_input *in)
{
    in->origin = MK_EXTERNAL;
    if (in->kind >= MK_PEER_MESSAGE && in->kind <= MK_PEER_RESPONSE_TERMINAL)
        draw_peer(s, in);
    else if (in->kind == MK_FLOW_STEP)
        in->step_id = SPAN_LIT("step"), in->origin = MK_FLOW;
    else if (in->kind == MK_EXTERNAL_EVENT)
        in->event_type = SPAN_LIT("tick");
    else if (in->kind == MK_CONTINUATION)
        in->origin = MK_SYSTEM;
    else if (in->kind == MK_OPERATION)
        in->operation_id = SPAN_LIT("operation");
}

static void draw_kind(struct sim *s, struct mk_input *in)
{
    in->kind = sim_chance(s, 650000) ? MK_PROMPT : (enum mk_kind)sim_below(s, MK_KIND_COUNT);
    sim_fill_kind(s, in);
    bool free_mode = in->kind != MK_PEER_RESPONSE_PROGRESS && in->kind != MK_OPERATION;
    if (free_mode ? sim_chance(s, 300000) : sim_chance(s, 20000))
        in->handling = sim_chance(s, 700000) ? MK_HANDLING_STEER : MK_HANDLING_QUEUE;
}

static void draw_extras(struct sim *s, struct client *c, struct mk_input *in)
{
    uint64_t dice = sim_below(s, 100);
    in->durability = dice < 82 ? MK_DURABLE : dice < 96 ? MK_EPHEMERAL : MK_DERIVED;
    in->wake = !sim_chance(s, 50000);
    if (sim_chance(s, 50000))
        in->deadline_ms = sim_between(s, 1, 4000);
    if (sim_chance(s, 150000))
        in->idem = sim_text(s, "k%llu", (unsigned long long)sim_below(s, 8));
    if (sim_chance(s, 30000) && c->next_id > 1)
        in->after = sim_text(s, "%s-%llu", c->name.at, (unsigned long long)c->next_id - 1);
}

struct mk_input sim_draw_prompt(struct sim *s, size_t index)
{
    struct span session = session_name(s, index);
    return (struct mk_input){
        .session = session,
        .executor = executor_of(s, session),
        .body = draw_body(s, session),
        .wake = true,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
}

static struct item *draw_input(struct client *c)
{
    struct sim *s = c->sim;
    struct mk_input prompt = sim_draw_prompt(s, sim_below(s, s->config.sessions));
    struct item *item = new_item(c, prompt.session, false);
    struct mk_input *in = &item->input;
    *in = prompt;
    in->reply_to = c->name;
    draw_kind(s, in);
    draw_extras(s, c, in);
    c->last_input = item;
    s->totals.inputs++;
    return item;
}

#define SERVICE_TURN_MS 150

/* How often each operation is drawn; those that end a session are rare. */
static const struct {
    enum mk_op op;
    unsigned weight;
} drawn_ops[] = {
    {MK_OP_WAKE, 20},
    {MK_OP_INTERRUPT, 20},
    {MK_OP_CANCEL_AFTER_BOUNDARY, 15},
    {MK_OP_WITHDRAW, 25},
    {MK_OP_RETIRE, 6},
    {MK_OP_RESET, 8},
    {MK_OP_RECYCLE, 8},
    {MK_OP_RECOVER, 8},
    {MK_OP_STOP, 8},
    {MK_OP_REGISTER, 20},
    {MK_OP_ATTACH, 5},
    {MK_OP_UNREGISTER, 3},
    {MK_OP_DESTROY, 2},
    {MK_OP_SILENT_INTENTS, 5},
    {MK_OP_ABANDON_RETIRED, 3},
    {MK_OP_STATE, 4},
    {MK_OP_SHOW, 4},
    {MK_OP_INPUT_STATE, 4},
    {MK_OP_LIST_ACTIVE_INPUTS, 4},
    {MK_OP_OUTCOME, 15},
    {MK_OP_EVENTS, 10},
    {MK_OP_START_CONVERSATION_RUN, 8},
    {MK_OP_COMMIT_SERVICE_TURN, 8},
    {MK_OP_WHY, 8},
    {MK_OP_SESSION_HAS_EXECUTOR, 2},
};

static enum mk_op draw_op(struct sim *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof drawn_ops / sizeof *drawn_ops; i++)
        total += drawn_ops[i].weight;
    uint64_t at = sim_below(s, total);
    size_t i = 0;
    for (; at >= drawn_ops[i].weight; i++)
        at -= drawn_ops[i].weight;
    return drawn_ops[i].op;
}

static struct item *draw_command(struct client *c)
{
    struct sim *s = c->sim;
    struct span session = session_name(s, sim_below(s, s->config.sessions));
    enum mk_op op = draw_op(s);
    bool about_input = op == MK_OP_WITHDRAW || op == MK_OP_OUTCOME || op == MK_OP_INPUT_STATE;
    if (about_input)
        session = c->last_input->session;
    if (op == MK_OP_EVENTS && ++c->looks % 2)
        op = MK_OP_DEAD;
    struct item *item = new_command(c, session, op);
    struct mk_args *args = &item->command.args;
    args->reason = SPAN_LIT("drawn");
    if (op == MK_OP_REGISTER || op == MK_OP_ATTACH)
        args->executor = executor_of(s, session);
    if (about_input)
        args->id = c->last_input->id;
    if (op == MK_OP_START_CONVERSATION_RUN || op == MK_OP_COMMIT_SERVICE_TURN)
        args->run = SPAN_LIT("turn");
    if (op == MK_OP_START_CONVERSATION_RUN)
        args->timeout_ms = sim_between(s, 1, SERVICE_TURN_MS); /* inputs that come meanwhile wait as long */
    if (op == MK_OP_SILENT_INTENTS)
        args->intents[args->intent_count++] = SPAN_LIT("ask");
    if (op == MK_OP_EVENTS)
        args->from = sim_below(s, 10), args->limit = sim_between(s, 1, 20);
    return item;
}

/* --- faults of publishers --- */

/* The same id with another body, once its first body was accepted: must be answered id_conflict. */
static void send_conflict(struct item *item)
{
    struct sim *s = item->client->sim;
    if (item->input.durability != MK_DURABLE || span_given(item->existing) || !sim_fault(s, FAULT_CLIENT_CONFLICTS))
        return;
    sim_item_conflict(item);
}

static void send_garbage(struct client *c)
{
    static const char *const texts[] = {
        "\x80",
        "\xc1\xc1",
        "\x81\xa1v\x01",
        "\x82\xa1v\x01\xa1t\xa5other",
        "\x82\xa1v\xcd\xff\xff\xa1t\xa5input",
        "\x83\xa1v\x01\xa1t\245batch\xa5items\xdd\xff\xff\xff\xff",
        "\xdf\xff\xff\xff\xff",
        "\x84\xa1v\x01\xa1t\xa5input\xa2id\xa1x\xa7session\xa1!",
    };
    struct sim *s = c->sim;
    char noise[64];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)sim_below(s, 256);
    struct topic topic = {
        .class = TOPIC_IN, .partition = (uint32_t)sim_below(s, 2 * s->config.partitions), .any_name = true};
    struct span map = span_of(texts[sim_below(s, sizeof texts / sizeof *texts)]);
    if (sim_chance(s, 300000))
        map = (struct span){noise, sim_between(s, 1, sizeof noise)};
    put_on_bus(c, &topic, map);
}

/* --- acting --- */

static void act_once(struct client *c)
{
    struct sim *s = c->sim;
    size_t count = sim_chance(s, 150000) ? sim_between(s, 2, BATCH_MAX) : 1;
    if (count > c->planned)
        count = c->planned;
    c->planned -= count;
    struct item *items[BATCH_MAX];
    for (size_t i = 0; i < count; i++)
        items[i] = draw_input(c);
    if (count == 1)
        send_item(items[0]);
    else
        send_batch(c, items, count);
    if (s->config.commands && sim_chance(s, 150000))
        send_item(draw_command(c));
    if (sim_fault(s, FAULT_CLIENT_GARBAGE))
        send_garbage(c);
}

static void act(struct sim *s, void *self, uint64_t gap_us)
{
    struct client *c = self;
    if (!c->planned)
        return;
    act_once(c);
    sim_at(s, sim_between(s, 0, 2 * gap_us), act, c, gap_us);
}

void sim_clients_start(struct sim *s)
{
    for (size_t i = 0; i < s->config.clients; i++) {
        struct client *c = &s->clients->clients[i];
        c->planned = s->config.inputs / s->config.clients;
        uint64_t gap_us = s->config.load_us / (c->planned + 1);
        sim_at(s, sim_below(s, 500 * MILLISECOND), act, c, gap_us);
    }
}

void sim_clients_new(struct sim *s)
{
    s->clients = sim_alloc(s, sizeof *s->clients);
    for (size_t i = 0; i < s->config.clients; i++) {
        struct client *c = &s->clients->clients[i];
        *c = (struct client){.sim = s, .index = i, .name = sim_text(s, "c%zu", i + 1), .items_end = &c->items};
    }
}

/* --- answers --- */

static void refused(struct item *item, const struct mk_admission *answer)
{
    struct sim *s = item->client->sim;
    if (answer->reason == MK_ERR_ID_CONFLICT) {
        if (!item->conflicted)
            sim_broken(s, "P2", "%.*s was never sent with another body, and is answered id_conflict",
                       SPAN_ARGS(item->id));
        return;
    }
    item->refusals++;
    item->state = ITEM_OPEN; /* an ephemeral one may have been accepted by a life that ended */
    if (answer->final)
        close_item(item, mk_err_code(answer->reason));
}

static void stands_for(struct item *item, struct span existing)
{
    struct client *c = item->client;
    if (!item->repeats) {
        item->repeats = true;
        item->next_repeat = c->repeats;
        c->repeats = item;
    }
    item->existing = sim_copy(c->sim, existing);
}

static void take_admission(struct client *c, struct span map)
{
    struct mk_admission answer;
    struct mk_note note;
    if (admission_read(map, &answer, &note) != MK_ERR_OK) {
        sim_broken(c->sim, "P10", "an admission cannot be read: %s", note.text);
        return;
    }
    struct item *item = item_of(c->sim, answer.session, answer.re);
    if (!item || item->is_command || item->state == ITEM_CLOSED)
        return;
    if (answer.outcome == MK_REJECTED) {
        refused(item, &answer);
        return;
    }
    if (answer.outcome == MK_DEDUPLICATED && span_given(answer.existing) && !span_equal(answer.existing, item->id))
        stands_for(item, answer.existing);
    if (answer.outcome == MK_ACCEPTED) /* for itself: what it was a repeat of, an ephemeral one, is forgotten */
        item->existing = (struct span){NULL, 0};
    if (item->state == ITEM_OPEN)
        item->state = ITEM_ACCEPTED;
    if (c->sim->clients->woken && answer.outcome == MK_ACCEPTED && !item->input.wake)
        send_item(
            new_command(c, item->session, MK_OP_WAKE)); /* an ephemeral one, accepted once more behind the wakes */
    if (span_given(answer.completion))
        close_item(item, "completed, as the repeat says");
    else
        send_conflict(item);
}

/* A completion answers the input, and those that were deduplicated to it. */
static void take_completion(struct client *c, struct span map)
{
    struct mk_completion answer;
    struct mk_note note;
    if (completion_read(map, &answer, &note) != MK_ERR_OK) {
        sim_broken(c->sim, "P10", "a completion cannot be read: %s", note.text);
        return;
    }
    struct item *first = item_of(c->sim, answer.session, answer.input);
    if (first && first->client == c && !first->is_command)
        close_item(first, mk_outcome_name(answer.outcome));
    for (struct item *item = c->repeats; item; item = item->next_repeat)
        if (span_equal(item->existing, answer.input) && span_equal(item->session, answer.session))
            close_item(item, mk_outcome_name(answer.outcome));
}

static void take_result(struct client *c, struct span map)
{
    struct result_in answer;
    struct mk_note note;
    if (result_read(map, &answer, &note) != MK_ERR_OK) {
        sim_broken(c->sim, "P10", "a result cannot be read: %s", note.text);
        return;
    }
    struct item *item = item_of(c->sim, answer.session, answer.re);
    if (!item || item->client != c || !item->is_command || item->state == ITEM_CLOSED)
        return;
    bool later = !answer.ok && (answer.error == MK_ERR_UNAVAILABLE || answer.error == MK_ERR_OVERLOADED ||
                                answer.error == MK_ERR_LEASE_LOST || answer.error == MK_ERR_STOPPING);
    if (!later)
        close_item(item, answer.ok ? "ok" : mk_err_code(answer.error));
}

static void take_message(struct sim *s, size_t client, struct span map)
{
    struct message_head head;
    struct mk_note note;
    struct client *c = &s->clients->clients[client];
    enum mk_err err = message_head_read(map, &head, &note);
    if (err != MK_ERR_OK)
        sim_broken(s, "P10", "what a node sent cannot be read: %s: %s", mk_err_code(err), note.text);
    else if (head.type == MK_ADMISSION)
        take_admission(c, map);
    else if (head.type == MK_COMPLETION)
        take_completion(c, map);
    else if (head.type == MK_RESULT)
        take_result(c, map);
}

static void watch_message(struct sim *s, size_t unused, struct span map)
{
    (void)unused;
    struct message_head head;
    struct mk_note note;
    struct mk_completion completion;
    struct effect_in effect;
    if (message_head_read(map, &head, &note) != MK_ERR_OK)
        sim_broken(s, "P7", "a watched event cannot be read: %s", note.text);
    else if (head.type == MK_COMPLETION && completion_read(map, &completion, &note) == MK_ERR_OK)
        checks_watched(s, completion.session, completion.seq, map);
    else if (head.type == MK_EFFECT && effect_read(map, &effect, &note) == MK_ERR_OK)
        checks_watched(s, effect.session, effect.seq, map);
    else
        sim_broken(s, "P7", "on ev/ there is a %s that cannot be read: %s", mk_type_name(head.type), note.text);
}

/* One message, or each of a batch. */
static void each_message(struct sim *s, size_t client, struct span frame,
                         void (*take)(struct sim *, size_t, struct span))
{
    struct span topic, map, item;
    struct message_head head;
    struct batch_reader batch;
    struct mk_note note;
    if (frame_split(frame, &topic, &map) != MK_ERR_OK)
        return;
    if (message_head_read(map, &head, &note) != MK_ERR_OK || head.type != MK_BATCH) {
        take(s, client, map);
        return;
    }
    if (batch_open(map, &batch, &note) != MK_ERR_OK)
        sim_broken(s, "P10", "a batch cannot be read: %s", note.text);
    else
        while (batch_next(&batch, &item))
            take(s, client, item);
}

void sim_client_frame(struct sim *s, size_t client, struct span frame)
{
    each_message(s, client, frame, take_message);
}

void sim_watcher_frame(struct sim *s, struct span frame)
{
    each_message(s, 0, frame, watch_message);
}

/* --- the end of the load --- */

/* Accepted, and not to run before somebody wakes the session; or a repeat, by key, of such a one. */
static bool sleeps(struct sim *s, const struct item *item)
{
    const struct item *first = span_given(item->existing) ? item_of(s, item->session, item->existing) : item;
    return !item->is_command && item->state == ITEM_ACCEPTED && first && !first->input.wake;
}

static struct item *next_open(struct sim *s, bool sleepers_too)
{
    for (size_t i = 0; i < s->config.clients; i++)
        for (struct item *item = s->clients->clients[i].items; item; item = item->next)
            if (item->state != ITEM_CLOSED && (sleepers_too || !sleeps(s, item)))
                return item;
    return NULL;
}

static bool all_sent(const struct sim *s)
{
    for (size_t i = 0; i < s->config.clients; i++)
        if (s->clients->clients[i].planned)
            return false;
    return true;
}

bool sim_clients_closed(struct sim *s)
{
    return !s->clients->open && all_sent(s);
}

bool sim_clients_quiet(struct sim *s)
{
    return all_sent(s) && (!s->clients->open || !next_open(s, false));
}

void sim_clients_settle(struct sim *s)
{
    s->clients->settling = true;
    for (size_t i = 0; i < s->config.clients; i++)
        s->clients->clients[i].planned = 0;
}

void sim_clients_wake_all(struct sim *s)
{
    s->clients->woken = true;
    for (size_t i = 0; i < s->config.sessions; i++) {
        struct span session = session_name(s, i);
        struct item *item = new_command(&s->clients->clients[0], session, MK_OP_REGISTER);
        item->command.args.executor = executor_of(s, session);
        send_item(item);
        send_item(new_command(&s->clients->clients[0], session, MK_OP_WAKE));
    }
}

const struct mk_command *sim_clients_command(struct sim *s, struct span session, struct span id)
{
    const struct item *item = item_of(s, session, id);
    return item && item->is_command ? &item->command : NULL;
}

const struct mk_input *sim_clients_input(struct sim *s, struct span session, struct span id)
{
    const struct item *item = item_of(s, session, id);
    return item && !item->is_command ? &item->input : NULL;
}

const char *sim_clients_open(struct sim *s)
{
    const struct item *item = next_open(s, false);
    item = item ? item : next_open(s, true);
    if (!item)
        return "nothing";
    static const char *const states[] = {"not answered", "accepted", "closed"};
    return sim_text(s, "%s %.*s to %.*s (%s, sent %u times, refused %u times)", item->is_command ? "command" : "input",
                    SPAN_ARGS(item->id), SPAN_ARGS(item->session), states[item->state], item->sends, item->refusals)
        .at;
}

/* --- by hand --- */

struct item *sim_send_input(struct sim *s, const struct mk_input *input)
{
    struct item *item = new_item(&s->clients->clients[0], sim_copy(s, input->session), false);
    item->input = *input;
    item->input.session = item->session;
    item->input.reply_to = item->client->name;
    s->totals.inputs++;
    send_item(item);
    return item;
}

struct item *sim_send(struct sim *s, const char *session, struct span body)
{
    struct mk_input input = {
        .session = span_of(session),
        .kind = MK_PROMPT,
        .origin = MK_EXTERNAL,
        .body = body,
        .executor = executor_of(s, span_of(session)),
        .wake = true,
        .transcript_eligible = true,
        .operator_eligible = true,
    };
    return sim_send_input(s, &input);
}

struct item *sim_command(struct sim *s, const char *session, enum mk_op op)
{
    struct item *item = new_command(&s->clients->clients[0], sim_copy(s, span_of(session)), op);
    send_item(item);
    return item;
}

struct item *sim_send_command(struct sim *s, const struct mk_command *command, uint64_t written_ms_ago)
{
    struct client *c = &s->clients->clients[0];
    struct item *item = new_command(c, sim_copy(s, command->session), command->op);
    item->written_ms_ago = written_ms_ago;
    item->command.args = command->args;
    item->command.run = command->run;
    item->command.deadline_ms = command->deadline_ms;
    if (span_given(command->op_text))
        item->command.op_text = command->op_text;
    send_item(item);
    return item;
}

struct item *sim_turn(struct sim *s, const char *session, uint64_t timeout_ms)
{
    struct item *item =
        new_command(&s->clients->clients[0], sim_copy(s, span_of(session)), MK_OP_START_CONVERSATION_RUN);
    item->command.args.run = SPAN_LIT("turn");
    item->command.args.timeout_ms = timeout_ms;
    send_item(item);
    return item;
}

void sim_item_repeat(struct item *item)
{
    struct sim *s = item->client->sim;
    if (item->state == ITEM_CLOSED) {
        item->state = ITEM_OPEN;
        s->clients->open++;
    }
    if (item->is_command)
        checks_commanded(s, item->session, item->command.op);
    send_item(item);
}

void sim_item_conflict(struct item *item)
{
    struct client *c = item->client;
    struct item other = *item;
    item->conflicted = true;
    sim_trace(c->sim, c->name.at, "sends %.*s with another content", SPAN_ARGS(item->id));
    other.input.body = SPAN_LIT("\xa5other");
    other.command.args.reason = SPAN_LIT("another reason");
    *(item->is_command ? &other.command.h : &other.input.h) = header(c, item->id, item->is_command);
    struct buf map = {0};
    pack_item(&map, &other);
    struct topic topic = topic_for(c->sim, item);
    put_on_bus(c, &topic, buf_span(&map));
    buf_fini(&map);
}

void sim_send_garbage(struct sim *s)
{
    send_garbage(&s->clients->clients[0]);
}

struct item *sim_item_of(struct sim *s, struct span session, struct span id)
{
    return item_of(s, session, id);
}

struct item *sim_item_next(struct sim *s, const struct item *after)
{
    return after ? after->next : s->clients->clients[0].items;
}

bool sim_item_closed(const struct item *item)
{
    return item->state == ITEM_CLOSED;
}

bool sim_item_accepted(const struct item *item)
{
    return item->state == ITEM_ACCEPTED;
}

const char *sim_item_answer(const struct item *item)
{
    return item->answer ? item->answer : "";
}

struct span sim_item_id(const struct item *item)
{
    return item->id;
}

struct span sim_item_session(const struct item *item)
{
    return item->session;
}

bool sim_item_is_command(const struct item *item)
{
    return item->is_command;
}

unsigned sim_item_sends(const struct item *item)
{
    return item->sends;
}

unsigned sim_item_refusals(const struct item *item)
{
    return item->refusals;
}
