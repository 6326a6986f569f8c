/* Queries that no session answers: `events`, read page by page from the partition's outbox, and the node's own. */
#include "node/core/node_impl.h"

#define PAGE_ENTRIES    500 /* outbox entries looked at in one call */
#define SESSIONS_LISTED 1000

static void replay_free(struct node *node, struct replay *replay)
{
    doc_free(replay->data);
    mem_free(node->mem, replay);
}

static void ask_page(struct node *node, struct replay *replay)
{
    struct node_effect *effect = emit(node, DO_EVENTS);
    if (!effect)
        return;
    effect->call = replay->call = next_call(node);
    effect->partition = replay->partition;
    effect->fence = partition_at(node, replay->partition)->fence;
    memcpy(effect->as.events.from, replay->cursor, sizeof replay->cursor);
    effect->as.events.count = PAGE_ENTRIES;
    effect->as.events.session = replay->session;
}

/* {items: [...], head, first, truncated}: `items` is written as the pages come. */
void replay_start(struct node *node, struct slot *slot, const struct mk_command *command)
{
    struct replay *replay = mem_alloc(node->mem, sizeof *replay);
    if (!replay)
        return;
    replay->data = doc_new(node->mem);
    if (!replay->data) {
        mem_free(node->mem, replay);
        return;
    }
    replay->session = slot->id;
    replay->partition = slot->partition;
    id_set(&replay->re, command->h.id);
    id_set(&replay->to, command->reply_to);
    replay->from = command->args.from;
    replay->limit =
        command->args.limit && command->args.limit < EVENTS_PAGE_MAX ? command->args.limit : EVENTS_PAGE_MAX;
    const struct stage *stage = &slot->session->stage; /* what is staged is not stored: it does not count yet */
    uint64_t next = stage->open ? stage->before->next_event : slot->session->core.next_event;
    replay->head = next ? next - 1 : 0;
    doc_map(replay->data);
    doc_key(replay->data, "items");
    doc_array(replay->data);
    replay->next = node->replays;
    node->replays = replay;
    ask_page(node, replay);
}

static void unlink_replay(struct node *node, const struct replay *replay)
{
    struct replay **link = &node->replays;
    while (*link != replay)
        link = &(*link)->next;
    *link = replay->next;
}

static void finish(struct node *node, struct replay *replay)
{
    struct answer *answer = mem_alloc(node->mem, sizeof *answer);
    doc_end(replay->data);
    doc_put_u64(replay->data, "head", replay->head);
    doc_put_u64(replay->data, "first", replay->first);
    doc_put_bool(replay->data, "truncated", replay->truncated);
    doc_end(replay->data);
    if (answer && !replay->data->failed) {
        answer->type = ANSWER_RESULT;
        answer->to = replay->to;
        answer->re = replay->re;
        answer->data = replay->data;
        replay->data = NULL;
        answer->as.result = (struct mk_result){.ok = true, .data = answer->data};
        answer->as.result.re = id_span(&answer->re);
        answer->as.result.session = answer_text(answer, session_id_span(&replay->session));
        answer_now(node, answer, partition_at(node, replay->partition));
    } else {
        mem_free(node->mem, answer);
    }
    unlink_replay(node, replay);
    replay_free(node, replay);
}

/* Adds what is asked for; true when nothing more is wanted. */
static bool add_page(struct replay *replay, const struct node_event *event, uint64_t room)
{
    for (size_t i = 0; i < event->as.events.count; i++) {
        const struct outbox_event *item = &event->as.events.events[i];
        if (!replay->first)
            replay->first = item->seq;
        if (item->seq < replay->from || item->seq > replay->head)
            continue;
        bool full = replay->found && replay->bytes + item->message.bytes > room;
        if (replay->found == replay->limit || full) {
            replay->truncated = true;
            return true;
        }
        replay->bytes += item->message.bytes;
        doc_raw(replay->data, item->message);
        replay->found++;
    }
    return !event->as.events.last.bytes;
}

bool replay_page(struct node *node, const struct node_event *event)
{
    struct replay *replay = node->replays;
    while (replay && replay->call != event->call)
        replay = replay->next;
    if (!replay)
        return false;
    if (event->as.events.status !=
        LEASE_HELD) { /* nothing is answered: whoever asked asks again, and hears the owner */
        partition_doubt(node);
        unlink_replay(node, replay);
        replay_free(node, replay);
        return true;
    }
    bool done = add_page(replay, event, node->config.answer_bytes_max);
    struct span last = event->as.events.last;
    if (done || last.bytes >= sizeof replay->cursor) {
        finish(node, replay);
        return true;
    }
    memset(replay->cursor, 0, sizeof replay->cursor);
    memcpy(replay->cursor, last.at, last.bytes);
    ask_page(node, replay);
    return true;
}

/* Nothing is answered: whoever asked asks again. */
bool replay_call_failed(struct node *node, uint64_t call)
{
    for (struct replay *replay = node->replays; replay; replay = replay->next)
        if (replay->call == call) {
            unlink_replay(node, replay);
            replay_free(node, replay);
            return true;
        }
    return false;
}

void replays_forget(struct node *node, uint32_t partition, bool all)
{
    for (struct replay **link = &node->replays; *link;) {
        struct replay *replay = *link;
        if (!all && replay->partition != partition) {
            link = &replay->next;
            continue;
        }
        *link = replay->next;
        replay_free(node, replay);
    }
}

/* --- of the node --- */

static void put_session(const struct node *node, struct mk_doc *doc, const struct slot *slot)
{
    const struct session *session = slot->session;
    doc_map(doc);
    doc_put_text(doc, "session", session_id_span(&slot->id));
    doc_put_u64(doc, "partition", slot->partition);
    doc_put_u64(doc, "fence", slot_fence(node, slot));
    const char *state = slot->state == SLOT_QUARANTINED ? "quarantined"
                        : session                       ? phase_name(machine_visible_phase(&session->core.machine))
                                                        : "loading";
    doc_put_text(doc, "phase", span_of(state));
    doc_put_u64(doc, "active_inputs", session ? session->core.ledger.count : 0);
    doc_put_u64(doc, "events", session && session->core.next_event ? session->core.next_event - 1 : 0);
    if (session && session->core.run.id.bytes)
        doc_put_text(doc, "run", id_span(&session->core.run.id));
    if (session && session->core.executor.bytes)
        doc_put_text(doc, "executor", id_span(&session->core.executor));
    doc_end(doc);
}

static void put_sessions(const struct node *node, struct mk_doc *doc)
{
    size_t listed = 0;
    doc_map(doc);
    doc_put_text(doc, "node", id_span(&node->config.node));
    doc_key(doc, "sessions");
    doc_array(doc);
    for (const struct slot *slot = node->slots.newest; slot && listed < SESSIONS_LISTED; slot = slot->age_prev) {
        if (slot->session && slot->session->core.machine.phase == PHASE_INITIALIZING)
            continue; /* asked about, and never came into being */
        put_session(node, doc, slot);
        listed++;
    }
    doc_end(doc);
    doc_put_u64(doc, "total", node->slots.count);
    doc_end(doc);
}

static void put_node(const struct node *node, struct mk_doc *doc)
{
    struct node_view view;
    node_view(node, node->now_ms, &view);
    doc_map(doc);
    doc_put_text(doc, "node", id_span(&node->config.node));
    doc_put_text(doc, "incarnation", span_of(node->config.incarnation.text));
    doc_put_u64(doc, "partitions", view.partitions);
    doc_put_u64(doc, "owned", view.owned);
    doc_put_u64(doc, "suspended", view.suspended);
    doc_put_u64(doc, "handing", view.handing);
    doc_put_u64(doc, "expecting", view.expecting);
    doc_put_u64(doc, "members", view.members);
    doc_put_u64(doc, "sessions", view.sessions);
    doc_put_u64(doc, "quarantined", view.quarantined);
    doc_put_u64(doc, "runs_active", view.runs_active);
    doc_put_u64(doc, "held_events", view.held_events);
    doc_put_u64(doc, "accepted", view.accepted);
    doc_put_u64(doc, "completed", view.completed);
    doc_put_u64(doc, "faults", view.faults);
    doc_put_bool(doc, "store_up", view.store_up);
    doc_put_text(doc, "phase", span_of(member_phase_name(view.phase)));
    doc_end(doc);
}

void node_query(struct node *node, const struct mk_command *command)
{
    if (command->op == MK_OP_DRAIN) {
        drain_ask(node, command);
        return;
    }
    struct answer *answer = span_given(command->reply_to) ? mem_alloc(node->mem, sizeof *answer) : NULL;
    if (!answer)
        return;
    answer->type = ANSWER_RESULT;
    id_set(&answer->to, command->reply_to);
    id_set(&answer->re, command->h.id);
    answer->as.result = (struct mk_result){.ok = true};
    answer->as.result.re = id_span(&answer->re);
    answer->data = doc_new(node->mem);
    if (answer->data && command->op == MK_OP_SESSIONS)
        put_sessions(node, answer->data);
    else if (answer->data && (command->op == MK_OP_NODE_STATE || command->op == MK_OP_PING))
        put_node(node, answer->data);
    else
        answer->as.result = (struct mk_result){.re = id_span(&answer->re),
                                               .error = MK_ERR_UNKNOWN_OP,
                                               .final = true,
                                               .message = span_of(mk_err_text(MK_ERR_UNKNOWN_OP))};
    if (answer->as.result.ok)
        answer->as.result.data = answer->data;
    answer_now(node, answer, NULL);
}
