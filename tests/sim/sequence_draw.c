/* What a step sends. Every operation has a row: one that is new and has none is noticed (draw_missing). */
#include <stdio.h>

#include "codec/topic.h"
#include "tests/sim/sequence.h"

#define TURN_MS_MAX 150 /* of a service; inputs that come meanwhile wait as long */

static struct life *draw_life(struct sequence *q)
{
    return &q->lives[sim_below(q->sim, q->sessions)];
}

/* A former item of the session that `wanted` likes, or NULL. */
static struct item *draw_item(struct sequence *q, const struct life *life,
                              bool (*wanted)(struct sequence *q, struct item *item))
{
    struct item *found = NULL;
    uint64_t count = 0;
    for (struct item *item = sim_item_next(q->sim, NULL); item; item = sim_item_next(q->sim, item)) {
        bool mine = !life || span_equal(sim_item_session(item), life->name);
        if (mine && wanted(q, item) && sim_below(q->sim, ++count) == 0)
            found = item;
    }
    return found;
}

static bool any_item(struct sequence *q, struct item *item)
{
    (void)q;
    (void)item;
    return true;
}

static bool any_input(struct sequence *q, struct item *item)
{
    (void)q;
    return !sim_item_is_command(item);
}

/* Its content is remembered: the same id with another is a conflict. */
static bool remembered(struct sequence *q, struct item *item)
{
    const struct note *note = sequence_note(q, sim_item_session(item), sim_item_id(item));
    const struct mk_input *in = sim_clients_input(q->sim, sim_item_session(item), sim_item_id(item));
    return in ? note->admitted && in->durability != MK_EPHEMERAL : note->done;
}

static void sent(struct sequence *q, struct item *item)
{
    sequence_note(q, sim_item_session(item), sim_item_id(item))->sent_us = q->sim->now_us;
}

/* --- inputs --- */

static struct mk_input draw_input(struct sequence *q, const struct life *life)
{
    struct sim *s = q->sim;
    struct mk_input in = sim_draw_prompt(s, (size_t)life->index);
    uint64_t dice = sim_below(s, 100);
    in.kind = dice % 10 < 4   ? MK_PROMPT
              : dice % 10 < 5 ? MK_PEER_RESPONSE_PROGRESS /* two of them at once may coalesce */
                              : (enum mk_kind)sim_below(s, MK_KIND_COUNT);
    sim_fill_kind(s, &in);
    bool inner = in.kind == MK_PEER_RESPONSE_PROGRESS || in.kind == MK_EXTERNAL_EVENT || in.kind == MK_CONTINUATION ||
                 in.kind == MK_OPERATION;
    if (sim_chance(s, 200000) && in.kind != MK_PEER_RESPONSE_TERMINAL)
        in.origin = (enum mk_origin)sim_below(s, MK_ORIGIN_COUNT);
    in.durability = dice < 75 ? MK_DURABLE : MK_EPHEMERAL;
    if (inner && dice >= 80) {
        in.durability = MK_DERIVED;
        in.origin = sim_chance(s, 500000) ? MK_FLOW : MK_SYSTEM;
    }
    if (in.kind == MK_CONTINUATION && sim_chance(s, 300000))
        in.continuation = MK_WORKGRAPH_ATTENTION;
    if (in.kind != MK_PEER_RESPONSE_PROGRESS && sim_chance(s, 400000))
        in.handling = sim_chance(s, 600000) ? MK_HANDLING_STEER : MK_HANDLING_QUEUE;
    return in;
}

/* A counter is held against what it was given: it is never another executor's session. */
static bool counts(const struct life *life)
{
    return life->name.at[0] == 'c';
}

static void draw_extras(struct sequence *q, const struct life *life, struct mk_input *in)
{
    struct sim *s = q->sim;
    struct item *former = draw_item(q, life, any_input);
    in->wake = !sim_chance(s, 80000);
    if (sim_chance(s, 100000))
        in->deadline_ms = sim_between(s, 1, 600);
    if (sim_chance(s, 150000))
        in->idem = sim_text(s, "k%llu", (unsigned long long)sim_below(s, 3));
    if (former && sim_chance(s, 60000))
        in->after = sim_item_id(former);
    if (sim_chance(s, 100000))
        in->corr = SPAN_LIT("talk");
    if (sim_chance(s, 100000))
        in->operator_eligible = false;
    if (!counts(life) && sim_chance(s, 200000))
        in->executor = SPAN_LIT("");
}

/* Each breaks one rule. */
static void spoil(struct sim *s, struct mk_input *in)
{
    switch (sim_below(s, 8)) {
    case 0:
        in->durability = MK_DURABILITY_MISSING;
        break;
    case 1:
        in->durability = MK_DERIVED;
        in->origin = (enum mk_origin)sim_below(s, MK_ORIGIN_COUNT);
        in->kind = MK_PROMPT;
        break;
    case 2:
        in->durability = MK_DERIVED;
        in->origin = MK_EXTERNAL;
        break;
    case 3:
        in->kind = MK_PEER_RESPONSE_PROGRESS;
        sim_fill_kind(s, in);
        in->handling = sim_chance(s, 500000) ? MK_HANDLING_STEER : MK_HANDLING_QUEUE;
        break;
    case 4:
        in->kind = MK_PEER_RESPONSE_TERMINAL;
        sim_fill_kind(s, in);
        in->request_id = SPAN_LIT("no uuid");
        break;
    case 5:
        in->event_type = in->step_id = in->intent = in->request_id = in->operation_id = (struct span){NULL, 0};
        in->kind = sim_chance(s, 500000) ? MK_OPERATION : MK_FLOW_STEP;
        break;
    case 6:
        in->after = SPAN_LIT("never-sent");
        break;
    default:
        in->executor = SPAN_LIT("nobody");
        break;
    }
}

void draw_input_step(struct sequence *q, bool wrong)
{
    const struct life *life = draw_life(q);
    struct mk_input in = draw_input(q, life);
    draw_extras(q, life, &in);
    if (wrong)
        spoil(q->sim, &in);
    q->cover->handlings[in.kind][in.handling]++;
    q->cover->durabilities[in.durability]++;
    q->cover->origins[in.origin]++;
    struct item *item = sim_send_input(q->sim, &in);
    sent(q, item);
    sequence_tell(q, "%s%.*s to %.*s: %s %s, %s%s%s%s%s", wrong ? "wrong input " : "input ",
                  SPAN_ARGS(sim_item_id(item)), SPAN_ARGS(life->name), mk_durability_name(in.durability),
                  mk_kind_name(in.kind), in.handling ? mk_handling_name(in.handling) : "no mode",
                  in.wake ? "" : ", no wake", in.deadline_ms ? ", deadline" : "", in.idem.bytes ? ", key" : "",
                  in.after.bytes ? ", after" : "");
}

/* --- operations --- */

/* What an operation is given besides a reason. */
enum need {
    NEED_NOTHING,
    NEED_EXECUTOR,
    NEED_INPUT,
    NEED_RUN,
    NEED_EPOCH,
    NEED_INTENTS,
    NEED_RANGE,
    NEED_FLAGS,
    NEED_TURN,
    NEED_MESSAGE
};

/* clang-format off */
static const struct {
    unsigned weight; /* 0: no step draws it */
    enum need need;
} drawn[MK_OP_COUNT] = {
    [MK_OP_REGISTER]            = {70, NEED_EXECUTOR},
    [MK_OP_ATTACH]              = {40, NEED_EXECUTOR},
    [MK_OP_PREPARE_BINDINGS]    = {40, NEED_NOTHING},
    [MK_OP_UNREGISTER]          = {40, NEED_NOTHING},
    [MK_OP_UNREGISTER_IF_EPOCH] = {20, NEED_EPOCH},
    [MK_OP_RETIRE]              = {45, NEED_NOTHING},
    [MK_OP_RESET]               = {60, NEED_NOTHING},
    [MK_OP_RECYCLE]             = {40, NEED_NOTHING},
    [MK_OP_RECOVER]             = {30, NEED_NOTHING},
    [MK_OP_STOP]                = {40, NEED_NOTHING},
    [MK_OP_DESTROY]             = {12, NEED_NOTHING},
    [MK_OP_ABANDON_RETIRED]     = {30, NEED_NOTHING},
    [MK_OP_INTERRUPT]           = {50, NEED_RUN},
    [MK_OP_CANCEL_AFTER_BOUNDARY] = {40, NEED_RUN},
    [MK_OP_SILENT_INTENTS]      = {20, NEED_INTENTS},
    [MK_OP_WITHDRAW]            = {50, NEED_INPUT},
    [MK_OP_WAKE]                = {40, NEED_NOTHING},
    [MK_OP_PUBLISH_EVENT]       = {20, NEED_NOTHING},
    [MK_OP_INGEST]              = {40, NEED_MESSAGE},
    [MK_OP_START_CONVERSATION_RUN] = {30, NEED_TURN},
    [MK_OP_COMMIT_SERVICE_TURN] = {30, NEED_TURN},
    [MK_OP_CONTAINS_SESSION]    = {15, NEED_NOTHING},
    [MK_OP_SESSION_HAS_EXECUTOR] = {15, NEED_NOTHING},
    [MK_OP_SESSION_HAS_COMMS]   = {15, NEED_NOTHING},
    [MK_OP_WHY]                 = {25, NEED_NOTHING},
    [MK_OP_STATE]               = {30, NEED_NOTHING},
    [MK_OP_SHOW]                = {30, NEED_NOTHING},
    [MK_OP_INPUT_STATE]         = {25, NEED_INPUT},
    [MK_OP_LIST_ACTIVE_INPUTS]  = {25, NEED_NOTHING},
    [MK_OP_OUTCOME]             = {30, NEED_INPUT},
    [MK_OP_EVENTS]              = {20, NEED_RANGE},
    [MK_OP_DEAD]                = {20, NEED_NOTHING},
    [MK_OP_RECEIPT]             = {20, NEED_RUN},
    [MK_OP_TRANSCRIPT_EDIT]     = {20, NEED_FLAGS},
    /* of a node */
    [MK_OP_PING]                = {4, NEED_NOTHING},
    [MK_OP_SESSIONS]            = {4, NEED_NOTHING},
    [MK_OP_NODE_STATE]          = {4, NEED_NOTHING},
    [MK_OP_DRAIN]               = {2, NEED_NOTHING},
};
/* clang-format on */

enum mk_op draw_missing(void)
{
    enum mk_op op = 0;
    while (op < MK_OP_COUNT && drawn[op].weight)
        op++;
    return op;
}

static enum mk_op draw_op(struct sim *s, enum mk_op from, enum mk_op end)
{
    uint64_t total = 0;
    for (enum mk_op op = from; op < end; op++)
        total += drawn[op].weight;
    uint64_t at = sim_below(s, total);
    enum mk_op op = from;
    for (; at >= drawn[op].weight; op++)
        at -= drawn[op].weight;
    return op;
}

static struct span draw_input_id(struct sequence *q, const struct life *life)
{
    struct item *former = draw_item(q, life, any_input);
    if (former && !sim_chance(q->sim, 100000))
        return sim_item_id(former);
    return sim_text(q->sim, "x-%llu", (unsigned long long)sim_below(q->sim, 3));
}

static void draw_intents(struct sim *s, struct mk_args *args)
{
    static const char *const intents[] = {"ask", "tell", "none"};
    size_t count = sim_below(s, 3);
    while (args->intent_count < count)
        args->intents[args->intent_count++] = span_of(intents[sim_below(s, 3)]);
}

/* Ids of its own: it is not a publisher's input. */
static struct span draw_message(struct sequence *q, const struct life *life)
{
    struct mk_input in = draw_input(q, life);
    struct buf map = {0};
    in.h.id = sim_text(q->sim, "inner-%llu", (unsigned long long)sim_below(q->sim, 4));
    in.h.ts = sim_unix_us(q->sim) / 1000;
    input_pack(&map, &in);
    struct span message = sim_copy(q->sim, buf_span(&map));
    buf_fini(&map);
    return message;
}

static void fill(struct sequence *q, const struct life *life, struct mk_command *command)
{
    struct sim *s = q->sim;
    struct mk_args *args = &command->args;
    args->reason = SPAN_LIT("drawn");
    switch (drawn[command->op].need) {
    case NEED_NOTHING:
        args->kind = SPAN_LIT("kind");
        break;
    case NEED_EXECUTOR:
        if (counts(life) || !sim_chance(s, 300000))
            args->executor = sim_draw_prompt(s, (size_t)life->index).executor;
        break;
    case NEED_INPUT:
        if (command->op == MK_OP_OUTCOME && sim_chance(s, 300000))
            args->idem = sim_text(s, "k%llu", (unsigned long long)sim_below(s, 3));
        else
            args->id = draw_input_id(q, life);
        break;
    case NEED_RUN:
        if (command->op == MK_OP_RECEIPT || sim_chance(s, 400000))
            command->run = life->run.bytes && !sim_chance(s, 200000) ? life->run : SPAN_LIT("no-run");
        args->sequence = sim_below(s, 2);
        break;
    case NEED_EPOCH:
        args->epoch = life->epoch.bytes && !sim_chance(s, 200000) ? life->epoch : SPAN_LIT("other");
        break;
    case NEED_INTENTS:
        draw_intents(s, args);
        break;
    case NEED_RANGE:
        args->from = sim_below(s, 10);
        args->limit = sim_between(s, 1, 20);
        break;
    case NEED_MESSAGE:
        args->input = draw_message(q, life);
        break;
    case NEED_TURN:
        args->run = SPAN_LIT("turn");
        if (command->op == MK_OP_START_CONVERSATION_RUN)
            args->timeout_ms = sim_between(s, 1, TURN_MS_MAX);
        break;
    case NEED_FLAGS:
        args->running = sim_chance(s, 500000);
        args->active_inputs = sim_chance(s, 500000);
        break;
    }
}

static void spoil_command(struct sim *s, struct mk_command *command)
{
    static const enum mk_op spoilable[] = {MK_OP_REGISTER, MK_OP_ATTACH,  MK_OP_WITHDRAW,       MK_OP_INPUT_STATE,
                                           MK_OP_OUTCOME,  MK_OP_RECEIPT, MK_OP_SILENT_INTENTS, MK_OP_STATE,
                                           MK_OP_PING,     MK_OP_DRAIN};
    command->op = spoilable[sim_below(s, sizeof spoilable / sizeof *spoilable)];
    command->args = (struct mk_args){.reason = SPAN_LIT("drawn")};
    command->run = (struct span){NULL, 0};
    if (command->op == MK_OP_STATE)
        command->op_text = SPAN_LIT("nonsense");
    if (command->op == MK_OP_REGISTER || command->op == MK_OP_ATTACH)
        command->args.executor = SPAN_LIT("nobody");
    if (command->op == MK_OP_SILENT_INTENTS)
        command->args.intents[command->args.intent_count++] =
            SPAN_LIT("an intent of more than sixty-four bytes, which is one byte more than the limit");
}

void draw_command_step(struct sequence *q, enum draw how)
{
    struct sim *s = q->sim;
    struct life *life = draw_life(q);
    struct mk_command command = {
        .session = life->name,
        .op = draw_op(s, 0, how == DRAW_LATE ? MK_OP_LAST_MUTATING + 1 : MK_OP_PING),
    };
    uint64_t written_ms_ago = 0;
    fill(q, life, &command);
    if (how == DRAW_WRONG)
        spoil_command(s, &command);
    if (how == DRAW_LATE) {
        command.deadline_ms = sim_between(s, 1, SEQUENCE_LATE_MS_MAX);
        written_ms_ago = sim_between(s, 2 * SEQUENCE_LATE_MS_MAX, 5000);
    } else if (sim_chance(s, 50000)) {
        command.deadline_ms = 60000;
    }
    life->asked |= 1ull << command.op;
    struct item *item = sim_send_command(s, &command, written_ms_ago);
    sent(q, item);
    sequence_tell(q, "%s%.*s to %.*s: %s%s%.*s%s%.*s",
                  how == DRAW_RIGHT   ? "command "
                  : how == DRAW_WRONG ? "wrong command "
                                      : "late command ",
                  SPAN_ARGS(sim_item_id(item)), SPAN_ARGS(life->name),
                  command.op_text.bytes ? "nonsense" : mk_op_name(command.op), command.run.bytes ? ", run " : "",
                  SPAN_ARGS(command.run), command.args.id.bytes ? ", input " : "", SPAN_ARGS(command.args.id));
}

/* --- former ids --- */

void draw_repeat_step(struct sequence *q, bool conflict)
{
    struct item *item = draw_item(q, NULL, conflict ? remembered : any_item);
    if (!item)
        return;
    sequence_tell(q, "%.*s of %.*s once more%s", SPAN_ARGS(sim_item_id(item)), SPAN_ARGS(sim_item_session(item)),
                  conflict ? ", with another content" : "");
    if (conflict)
        sim_item_conflict(item);
    else
        sim_item_repeat(item);
}

/* --- of a node --- */

void draw_node_command_step(struct sequence *q)
{
    struct sim *s = q->sim;
    struct sim_node *node = s->nodes[sim_below(s, s->config.nodes)];
    struct mk_command command = {.op = draw_op(s, MK_OP_PING, MK_OP_COUNT), .reply_to = SPAN_LIT("c1")};
    struct topic topic = {.class = TOPIC_NODE, .name = span_of(node->name)};
    bool drain = command.op == MK_OP_DRAIN;
    command.h.id = sim_text(s, "node-%u", (unsigned)command.op);
    command.h.ts = sim_unix_us(s) / 1000;
    command.op_text = span_of(mk_op_name(command.op));
    topic.any_name = !drain && sim_chance(s, 300000);
    if (drain || sim_chance(s, 300000))
        command.args.incarnation = span_of(node->incarnation.text);
    if (drain && !command.args.incarnation.bytes)
        command.op = MK_OP_PING, command.op_text = SPAN_LIT("ping");
    char text[TOPIC_BYTES_MAX + 1];
    struct buf frame = {0};
    buf_append(&frame, text, topic_write(text, sizeof text, &topic));
    command_pack(&frame, &command);
    sim_bus_send(s, s->config.nodes, buf_span(&frame));
    buf_fini(&frame);
    sequence_tell(q, "%.*s to %s", SPAN_ARGS(command.op_text), topic.any_name ? "every node" : node->name);
}
