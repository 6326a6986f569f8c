/* What slots ask of the store: the records of their sessions, and facts that a session must know before it goes on. */
#include "node/core/node_impl.h"

/* --- who asks --- */

/* The slot's records, or the facts it wants, are to be asked for at the end of the turn. */
void slot_ask(struct node *node, struct slot *slot)
{
    slot->call = 0;
    if (slot->asking)
        return;
    slot->asking = true;
    slot->ask_next = NULL;
    *node->asks_end = slot;
    node->asks_end = &slot->ask_next;
}

static struct slot *next_ask(struct node *node)
{
    struct slot *slot = node->asks;
    if (!slot)
        return NULL;
    node->asks = slot->ask_next;
    if (!node->asks)
        node->asks_end = &node->asks;
    slot->asking = false;
    return slot;
}

void slot_unask(struct node *node, struct slot *slot)
{
    if (!slot->asking)
        return;
    struct slot **link = &node->asks;
    while (*link != slot)
        link = &(*link)->ask_next;
    *link = slot->ask_next;
    if (node->asks_end == &slot->ask_next)
        node->asks_end = link;
    slot->asking = false;
}

/* --- the questions of a turn --- */

static bool ask_facts(struct node *node, struct slot *slot)
{
    struct node_effect *effect = emit(node, DO_FACTS);
    if (!effect)
        return false;
    effect->call = slot->call = next_call(node);
    effect->as.facts.slot = slot;
    effect->as.facts.session = slot->session;
    return true;
}

static bool ask_records(struct node *node, struct slot **slots, size_t count)
{
    struct node_effect *effect = emit(node, DO_LOAD);
    if (!effect)
        return false;
    effect->call = next_call(node);
    effect->as.load.count = count;
    memcpy(effect->as.load.slots, slots, count * sizeof *slots);
    for (size_t i = 0; i < count; i++)
        slots[i]->call = effect->call;
    return true;
}

/* One call for many sessions' records; one for each session's facts. What cannot be asked now stays for the next turn.
 */
void slots_turn_end(struct node *node)
{
    struct slot *loads[LOADS_MAX];
    size_t count = 0;
    bool room = node->store_up && node->now_ms >= node->asks_due_ms;
    while (room && node->asks) {
        struct slot *slot = next_ask(node);
        if (slot->state == SLOT_READING && !ask_facts(node, slot)) {
            slot_ask(node, slot);
            room = false;
        }
        if (slot->state == SLOT_LOADING)
            loads[count++] = slot;
        if (!count || (count < LOADS_MAX && node->asks && room))
            continue;
        room = ask_records(node, loads, count) && room;
        for (size_t i = 0; i < count && !room; i++)
            if (!loads[i]->call)
                slot_ask(node, loads[i]);
        count = 0;
    }
}

/* --- the answers --- */

/* Rule 3 and D15: a session under a new fence is bound anew before anything else happens to it. */
static bool stage_rebind(struct node *node, struct slot *slot)
{
    struct session_event event = {.type = EV_SESSION_REBIND};
    struct queued *queued = queued_new(node->mem, &event, NULL, 0);
    if (!queued)
        return false;
    node->seen.held_events++;
    struct queued_list first;
    queued_list_init(&first);
    queued_push(&first, queued);
    queued_prepend(&slot->queue, &first);
    return true;
}

void slot_loaded(struct node *node, const struct node_event *event)
{
    const struct loaded *loaded = &event->as.loaded;
    struct slot *slot = slot_find(&node->slots, loaded->session);
    if (!slot || slot->state != SLOT_LOADING || slot->call != event->call)
        return;
    if (loaded->status != LEASE_HELD) {
        partition_doubt(node);
        slot_ask(node, slot);
        return;
    }
    struct mk_note note = loaded->note;
    enum mk_err err = loaded->error;
    size_t bad_rows = 0;
    if (!err && loaded->exists)
        err = session_restore(&slot->session, node->mem, loaded->session, slot->partition, loaded->head, loaded->rows,
                              loaded->row_count, loaded->state, &bad_rows, &note);
    else if (!err && !(slot->session = session_new(node->mem, loaded->session, slot->partition)))
        err = MK_ERR_OVERLOADED;
    if (err == MK_ERR_OVERLOADED) { /* no memory now: asked for again */
        slot_ask(node, slot);
        return;
    }
    if (err) {
        slot_quarantine(node, slot, err, note.text);
        return;
    }
    if (bad_rows + loaded->bad_rows) {
        node->seen.faults += bad_rows + loaded->bad_rows;
        trace(node, NOTE_ERROR, "unreadable inputs were left out", slot, "%zu rows", bad_rows + loaded->bad_rows);
    }
    if (loaded->exists && !stage_rebind(node, slot)) {
        session_free(slot->session);
        slot->session = NULL;
        slot_ask(node, slot);
        return;
    }
    slot->state = SLOT_READY;
    slot->call = 0;
    slot_pump(node, slot);
}

void slot_fact(struct node *node, const struct node_event *event)
{
    struct slot *slot = slot_find(&node->slots, event->as.fact.session);
    if (!slot || slot->state != SLOT_READING || slot->call != event->call)
        return;
    if (event->as.fact.status != LEASE_HELD) {
        partition_doubt(node);
        slot_ask(node, slot);
        return;
    }
    bool known = session_know(slot->session, event->as.fact.kind, event->as.fact.name, event->as.fact.record,
                              event->as.fact.bytes);
    if (!known || !event->as.fact.last) {
        if (!known) /* no memory: the whole question again */
            slot_ask(node, slot);
        return;
    }
    slot->call = 0;
    slot->state = SLOT_READY;
    slot_again(slot);
    slot_pump(node, slot);
}

bool slots_call_failed(struct node *node, const struct node_event *event)
{
    bool ours = false;
    for (struct slot *slot = node->slots.oldest; slot; slot = slot->age_next) {
        if (slot->call != event->call || (slot->state != SLOT_LOADING && slot->state != SLOT_READING))
            continue;
        ours = true;
        slot_ask(node, slot);
        node->asks_due_ms = node->now_ms + BACKOFF_FIRST_MS;
    }
    return ours;
}
