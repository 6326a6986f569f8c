/* Slots and their stages: events are applied as far as they go, undone when the session must know more, and released
 * once they are durable. */
#include "node/core/node_impl.h"

#include <assert.h>

#define STAGE_EVENTS_MAX 64 /* applied before a commit takes the stage: bounds a section */
/* Times a stage is undone for more knowledge. Each round learns a name, so more is a fault. */
#define ROUNDS_MAX (2 * STAGE_EVENTS_MAX)

static struct session_ctx context(struct node *node, const struct slot *slot)
{
    struct session_ctx ctx = {
        .mem = node->mem,
        .now_ms = node->now_ms,
        .store_ms = store_now(node),
        .fence = partition_at(node, slot->partition)->fence,
        .node = id_span(&node->config.node),
        .auto_register = node->config.auto_register,
        .live = slot->live ? &slot->live_at : NULL,
        .storeless = node->config.storeless,
        .owned_since_ms = partition_at(node, slot->partition)->owned_since_ms,
        .hold_runs = partition_at(node, slot->partition)->state >= PARTITION_FINISHING,
        .executor_known = node->config.executor_known,
        .self = node->config.self,
    };
    for (size_t i = 0; i < 2; i++)
        ctx.random[i] = next_random(node, i);
    return ctx;
}

struct slot *slot_for(struct node *node, struct span session, uint32_t partition)
{
    struct slot *slot = slot_find(&node->slots, session);
    if (!slot) {
        slot = slot_add(&node->slots, session, partition, node->now_ms);
        if (slot && partition_ours(partition_at(node, partition)))
            slot_ask(node, slot);
    }
    return slot;
}

static void refuse(struct node *node, const struct slot *slot, const struct session_event *event, enum mk_err why)
{
    struct span to = event->input     ? event->input->reply_to
                     : event->command ? event->command->reply_to
                                      : (struct span){NULL, 0};
    if (!span_given(to))
        return;
    struct answer *answer = mem_alloc(node->mem, sizeof *answer);
    if (!answer)
        return;
    id_set(&answer->to, to);
    id_set(&answer->re, event->input ? event->input->h.id : event->command->h.id);
    /* Of a session in quarantine also the fault itself. */
    bool fault = slot->fault && why == slot->trouble;
    struct span text = fault ? answer_text(answer, blob_span(slot->fault)) : span_of(mk_err_text(why));
    if (event->input) {
        answer->type = ANSWER_ADMISSION;
        answer->as.admission =
            (struct mk_admission){.outcome = MK_REJECTED, .reason = why, .durability = event->input->durability};
        answer->as.admission.re = id_span(&answer->re);
        answer->as.admission.session = session_id_span(&slot->id);
        answer->as.admission.final = mk_err_final(why);
        answer->as.admission.detail = text;
    } else {
        answer->type = ANSWER_RESULT;
        answer->as.result = (struct mk_result){.error = why, .final = mk_err_final(why)};
        answer->as.result.re = id_span(&answer->re);
        answer->as.result.session = session_id_span(&slot->id);
        answer->as.result.message = text;
    }
    answer_now(node, answer, partition_at(node, slot->partition));
}

static bool full(const struct node *node, size_t bytes)
{
    return node->seen.held_events >= node->config.held_events_max ||
           node->seen.held_bytes + bytes > node->config.held_bytes_max;
}

static void let_go(struct node *node, const struct slot *slot, struct queued *queued)
{
    if (queued->trim)
        retain_done(node, partition_at(node, slot->partition));
    node->seen.held_events--;
    node->seen.held_bytes -= queued->bytes;
    queued_free(node->mem, queued);
}

void slot_give(struct node *node, struct slot *slot, const struct session_event *event, struct mk_blob *frame,
               size_t bytes)
{
    bool from_bus = event->input || event->command;
    if (from_bus && slot->state == SLOT_QUARANTINED) {
        refuse(node, slot, event, slot->trouble);
        return;
    }
    struct queued *queued = from_bus && full(node, bytes) ? NULL : queued_new(node->mem, event, frame, bytes);
    assert(queued || from_bus ||
           event->trim); /* without the end of a run a session waits for ever: die, and be taken over */
    if (!queued && event->trim)
        retain_done(node, partition_at(node, slot->partition));
    if (!queued) {
        node->seen.overloaded++;
        if (partition_ours(partition_at(node, slot->partition))) /* else its owner answers, or nobody yet */
            refuse(node, slot, event, MK_ERR_OVERLOADED);
        return;
    }
    node->seen.held_events++;
    node->seen.held_bytes += bytes;
    queued_push(&slot->queue, queued);
    slot_touch(&node->slots, slot, node->now_ms);
    slot_pump(node, slot);
}

void slot_again(struct slot *slot)
{
    slot->rounds++;
    session_undo(slot->session);
    queued_prepend(&slot->queue, &slot->applied);
}

static void run_gone(struct node *node, struct slot *slot)
{
    slot->running = false;
    node->seen.runs_active--;
    partition_at(node, slot->partition)->runs--;
}

/* The executor has nothing more to do for the session. */
static void end_run(struct node *node, struct slot *slot)
{
    if (!slot->running)
        return;
    struct node_effect *effect = emit(node, DO_STOP_EXECUTOR);
    if (effect)
        effect->as.stopped = slot->id;
    run_gone(node, slot);
}

void slot_cancel(struct node *node, struct slot *slot)
{
    struct node_effect *effect = slot->running && slot->session ? emit(node, DO_CANCEL) : NULL;
    if (!effect)
        return;
    effect->as.executor.session = slot->id;
    effect->as.executor.run = slot->session->taken_back = slot->session->core.run.id;
    effect->as.executor.hard = true;
}

void slot_drop(struct node *node, struct slot *slot)
{
    group_remove(node, slot);
    slot_unask(node, slot);
    node->seen.quarantined -= slot->state == SLOT_QUARANTINED;
    end_run(node, slot);
    for (struct queued *queued; (queued = queued_pop(&slot->applied)) || (queued = queued_pop(&slot->queue));)
        let_go(node, slot, queued);
    slot_remove(&node->slots, slot);
}

void slot_quarantine(struct node *node, struct slot *slot, enum mk_err why, const char *text)
{
    trace(node, NOTE_ERROR, "session quarantined", slot, "%s: %s", mk_err_code(why), text);
    node->seen.quarantined++;
    node->seen.faults++;
    group_remove(node, slot);
    end_run(node, slot);
    slot->state = SLOT_QUARANTINED;
    slot->trouble = why == MK_ERR_UNSUPPORTED_VERSION ? why : MK_ERR_QUARANTINED;
    slot->fault = blob_new(node->mem, span_of(text));
    session_free(slot->session);
    slot->session = NULL;
    slot_due(&node->slots, slot, UINT64_MAX);
    queued_prepend(&slot->queue, &slot->applied);
    for (struct queued *queued; (queued = queued_pop(&slot->queue));) {
        struct session_event event = {.type = queued->type, .input = queued->input, .command = queued->command};
        if (event.input || event.command)
            refuse(node, slot, &event, slot->trouble);
        let_go(node, slot, queued);
    }
}

/* No memory while the stage was built: nothing of it happened. Inputs and commands are refused, the rest is tried again
 * later. */
static void stage_failed(struct node *node, struct slot *slot)
{
    slot_again(slot);
    slot->rounds = 0; /* nothing was to be learnt */
    struct queued_list keep;
    queued_list_init(&keep);
    for (struct queued *queued; (queued = queued_pop(&slot->queue));) {
        struct session_event event = {.type = queued->type, .input = queued->input, .command = queued->command};
        if (!event.input && !event.command) {
            queued_push(&keep, queued);
            continue;
        }
        node->seen.overloaded++;
        refuse(node, slot, &event, MK_ERR_OVERLOADED);
        let_go(node, slot, queued);
    }
    queued_prepend(&slot->queue, &keep);
    slot_due(&node->slots, slot, node->now_ms + BACKOFF_FIRST_MS);
}

static void need_facts(struct node *node, struct slot *slot)
{
    slot->state = SLOT_READING;
    slot_ask(node, slot);
}

static void apply_one(struct node *node, struct slot *slot, struct queued *queued)
{
    struct session_ctx ctx = context(node, slot);
    struct session_event event = {.type = queued->type,
                                  .input = queued->input,
                                  .command = queued->command,
                                  .done = queued->done,
                                  .injected = queued->injected,
                                  .trim = queued->trim};
    session_apply(slot->session, &ctx, &event);
}

static void update_due(struct node *node, struct slot *slot)
{
    slot_due(&node->slots, slot, session_due_ms(slot->session, node->now_ms, store_now(node)));
}

static bool is_replay(const struct queued *queued)
{
    return queued && queued->type == EV_SESSION_COMMAND &&
           (queued->command->op == MK_OP_EVENTS || queued->command->op == MK_OP_DEAD);
}

/* `events` and `dead` are answered from the store, which knows what is committed. They wait while something is staged:
 * false. */
static bool take_replay(struct node *node, struct slot *slot)
{
    if (slot->applied.first)
        return false;
    struct queued *queued = queued_pop(&slot->queue);
    replay_start(node, slot, queued->command);
    let_go(node, slot, queued);
    return true;
}

static bool check(struct node *node, struct slot *slot)
{
    const char *broken = session_broken(slot->session);
    if (!broken)
        return true;
    slot_quarantine(node, slot, MK_ERR_INTERNAL, broken);
    return false;
}

void slot_pump(struct node *node, struct slot *slot)
{
    if (slot->state != SLOT_READY || !partition_works(partition_at(node, slot->partition)))
        return;
    if (slot->rounds > ROUNDS_MAX) {
        slot_quarantine(node, slot, MK_ERR_INTERNAL, "the same events are applied again and again");
        return;
    }
    while (slot->queue.first && slot->applied.count < STAGE_EVENTS_MAX) {
        if (is_replay(slot->queue.first)) {
            if (take_replay(node, slot))
                continue;
            break;
        }
        struct queued *queued = queued_pop(&slot->queue);
        queued_push(&slot->applied, queued);
        apply_one(node, slot, queued);
        struct stage *stage = &slot->session->stage;
        if (stage->failed) {
            group_remove(node, slot);
            stage_failed(node, slot);
            return;
        }
        if (stage->wants) {
            group_remove(node, slot);
            need_facts(node, slot);
            return;
        }
        if (!check(node, slot))
            return;
        if (stage->durable)
            group_add(node, slot);
        else
            slot_release(node, slot, partition_at(node, slot->partition), 0);
    }
    update_due(node, slot);
}

/* --- what a durable stage leads to --- */

static void count_answer(struct node *node, const struct answer *answer)
{
    if (answer->type != ANSWER_ADMISSION)
        return;
    switch (answer->as.admission.outcome) {
    case MK_ACCEPTED:
        node->seen.accepted++;
        break;
    case MK_DEDUPLICATED:
        node->seen.deduplicated++;
        break;
    case MK_REJECTED:
    case MK_ADMITTED_COUNT:
        node->seen.rejected++;
        break;
    }
}

static void release_answers(struct node *node, struct stage *stage, const struct partition *partition)
{
    while (stage->answers) {
        struct answer *answer = stage->answers;
        stage->answers = answer->next;
        answer->next = NULL;
        count_answer(node, answer);
        answer_now(node, answer, partition);
    }
    stage->answers_end = &stage->answers;
}

static void count_event(struct node *node, const struct staged_event *event)
{
    if (event->is_completion)
        node->seen.completed++;
    else if (event->as.effect.name == MK_RUN_STARTED)
        node->seen.runs_started++;
    else if (event->as.effect.name == MK_RUN_FAILED)
        node->seen.runs_failed++;
}

/* An older commit may be confirmed behind a newer one. What came before, and had nothing to say, counts as published.
 */
static void spoke(struct partition *partition, uint64_t sequence)
{
    if (partition->spoken <= partition->published && sequence > partition->published)
        partition->published = sequence - 1;
    if (sequence > partition->spoken)
        partition->spoken = sequence;
}

static void release_events(struct node *node, struct slot *slot, const struct partition *partition, uint64_t sequence)
{
    struct stage *stage = &slot->session->stage;
    while (stage->events) {
        struct staged_event *event = stage->events;
        stage->events = event->next;
        event->next = NULL;
        count_event(node, event);
        spoke(partition_at(node, slot->partition), sequence);
        struct node_effect *effect = emit(node, DO_PUBLISH);
        assert(effect); /* the published mark must not pass it: better to die, and be taken over */
        effect->partition = partition->id;
        effect->fence = partition->fence;
        effect->as.publish.event = event;
        effect->as.publish.session = slot->id;
        effect->as.publish.sequence = sequence;
    }
    stage->events_end = &stage->events;
}

static void order_executor(struct node *node, struct slot *slot, const struct partition *partition,
                           const struct executor_order *order)
{
    struct node_effect *effect;
    if ((order->hard_cancel || order->boundary_cancel) && (effect = emit(node, DO_CANCEL))) {
        effect->as.executor.session = slot->id;
        effect->as.executor.run = order->cancel;
        effect->as.executor.hard = order->hard_cancel;
    }
    if (order->stop && (effect = emit(node, DO_STOP_EXECUTOR)))
        effect->as.stopped = slot->id;
    if (order->start) {
        effect = emit(node, DO_RUN);
        assert(effect); /* the run is durable and nobody would start it: better to die, and be taken over */
        effect->partition = partition->id;
        effect->fence = partition->fence;
        effect->as.executor.session = slot->id;
        effect->as.executor.run = slot->session->core.run.id;
        node->seen.runs_active += !slot->running;
        partition_at(node, slot->partition)->runs += !slot->running;
        slot->running = true;
    }
}

/* Of the run that the session has before it is committed: a new one is never offered anything. */
static void order_injections(struct node *node, const struct slot *slot, const struct partition *partition)
{
    const struct session_core *core = &slot->session->core;
    for (size_t i = 0; i < core->ledger.count; i++) {
        const struct entry *entry = core->ledger.entries[i];
        struct node_effect *effect = entry->offer == OFFER_DUE ? emit(node, DO_INJECT) : NULL;
        if (!effect) /* without memory for it the input waits for the run's end */
            continue;
        effect->partition = partition->id;
        effect->fence = partition->fence;
        effect->as.executor.session = slot->id;
        effect->as.executor.run = core->run.id;
        id_set(&effect->as.executor.input, entry->input->input.h.id);
    }
}

static void count_run(struct node *node, struct slot *slot)
{
    bool runs = slot->session->core.run.id.bytes != 0;
    if (slot->running && !runs)
        run_gone(node, slot);
}

void slot_release(struct node *node, struct slot *slot, const struct partition *partition, uint64_t sequence)
{
    struct stage *stage = &slot->session->stage;
    struct executor_order order = stage->order;
    release_answers(node, stage, partition);
    release_events(node, slot, partition, sequence);
    if (order.inject)
        order_injections(node, slot, partition);
    session_commit(slot->session);
    slot->state = SLOT_READY;
    slot->rounds = 0;
    for (struct queued *queued; (queued = queued_pop(&slot->applied));)
        let_go(node, slot, queued);
    count_run(node, slot);
    order_executor(node, slot, partition, &order);
    if (slot->session->core.machine.phase == PHASE_INITIALIZING)
        slot_expire(&node->slots, slot); /* asked about, and never came into being */
}

/* --- time --- */

static void fire_due(struct node *node)
{
    struct session_event tick = {.type = EV_SESSION_TICK};
    for (struct slot *slot; (slot = slot_first_due(&node->slots)) && slot->due_ms <= node->now_ms;) {
        slot_due(&node->slots, slot, UINT64_MAX);
        struct mk_session_id id = slot->id;
        if (slot->session && slot->state == SLOT_READY)
            slot_give(node, slot, &tick, NULL, 0);
        else if (slot->session)
            slot_due(&node->slots, slot, node->now_ms + BACKOFF_FIRST_MS);
        slot = slot_find(&node->slots, session_id_span(&id));
        if (slot && slot->session && slot->due_ms <= node->now_ms) /* what is due cannot be done yet: runs are held */
            slot_due(&node->slots, slot, node->now_ms + BACKOFF_FIRST_MS);
    }
}

static void evict_idle(struct node *node)
{
    for (struct slot *slot = node->slots.oldest; slot && slot->used_ms + node->config.idle_evict_ms <= node->now_ms;) {
        struct slot *next = slot->age_next;
        bool idle = slot->state == SLOT_READY && !slot->queue.first && !slot->applied.first &&
                    session_idle(slot->session) &&
                    partition_works(partition_at(node, slot->partition)); /* what is suspended stays */
        if (idle)
            slot_drop(node, slot);
        else
            slot_touch(&node->slots, slot, node->now_ms);
        slot = next;
    }
}

void slots_tick(struct node *node)
{
    fire_due(node);
    evict_idle(node);
}
