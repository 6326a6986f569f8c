/* The node's core: routes events to leases, slots and commits, and keeps what they share. */
#include "node/core/node_impl.h"

#include "node/core/crc16.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* --- effects --- */

void node_effects_init(struct node_effects *fx, const struct mk_mem *mem)
{
    *fx = (struct node_effects){.mem = mem};
}

void node_effects_reset(struct node_effects *fx)
{
    for (size_t i = 0; i < fx->count; i++) {
        struct node_effect *effect = &fx->list[i];
        switch ((int)effect->type) {
        case DO_CLAIM:
        case DO_RENEW:
        case DO_RELEASE:
        case DO_WATCH:
            mem_free(fx->mem, effect->as.leases.leases);
            break;
        case DO_ANSWER:
            staged_answer_free(fx->mem, effect->as.answer);
            break;
        case DO_PUBLISH:
            staged_event_free(fx->mem, effect->as.publish.event);
            break;
        default:
            break;
        }
    }
    fx->count = 0;
}

void node_effects_fini(struct node_effects *fx)
{
    node_effects_reset(fx);
    mem_free(fx->mem, fx->list);
    *fx = (struct node_effects){0};
}

struct node_effect *emit(struct node *node, enum node_effect_type type)
{
    struct node_effects *fx = node->fx;
    if (fx->count == fx->room) {
        size_t room = fx->room ? 2 * fx->room : 64;
        struct node_effect *list = mem_alloc(fx->mem, room * sizeof *list);
        if (!list) {
            node->seen.faults++;
            return NULL;
        }
        if (fx->count)
            memcpy(list, fx->list, fx->count * sizeof *list);
        mem_free(fx->mem, fx->list);
        fx->list = list;
        fx->room = room;
    }
    struct node_effect *effect = &fx->list[fx->count++];
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    return effect;
}

void trace(struct node *node, enum note_level level, const char *what, const struct slot *slot, const char *format, ...)
{
    struct node_effect *effect = emit(node, DO_TRACE);
    if (!effect)
        return;
    effect->as.trace.level = level;
    effect->as.trace.what = what;
    if (slot)
        effect->as.trace.session = slot->id;
    va_list args;
    va_start(args, format);
    vsnprintf(effect->as.trace.detail, sizeof effect->as.trace.detail, format, args);
    va_end(args);
}

struct span answer_text(struct answer *answer, struct span text)
{
    size_t bytes = text.bytes < sizeof answer->text ? text.bytes : sizeof answer->text;
    memcpy(answer->text, text.at ? text.at : "", bytes);
    return (struct span){answer->text, bytes};
}

/* partition NULL: the answer rests on nothing that the store holds, and may leave at any time. Takes the answer. */
void answer_now(struct node *node, struct answer *answer, const struct partition *partition)
{
    struct node_effect *effect = answer->to.bytes ? emit(node, DO_ANSWER) : NULL;
    if (!effect) {
        staged_answer_free(node->mem, answer);
        return;
    }
    effect->as.answer = answer;
    effect->partition = partition ? partition->id : 0;
    effect->fence = partition ? partition->fence : 0;
}

/* --- small things --- */

/* splitmix64, two of them. */
uint64_t next_random(struct node *node, size_t which)
{
    return mix64(node->random[which] += 0x9e3779b97f4a7c15ull + 2 * which);
}

uint64_t next_call(struct node *node)
{
    return ++node->calls;
}

uint64_t sequence_of(struct span id)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < id.bytes && id.at[i] >= '0' && id.at[i] <= '9'; i++)
        sequence = 10 * sequence + (uint64_t)(id.at[i] - '0');
    return sequence;
}

uint64_t store_now(const struct node *node)
{
    return node_store_ms(node, node->now_ms);
}

uint64_t node_store_ms(const struct node *node, uint64_t now_ms)
{
    return node->store_ms + (now_ms - node->store_at_ms);
}

static const char *const script_names[SCRIPT_COUNT] = {
    [SCRIPT_FOUND] = "found",   [SCRIPT_CLAIM] = "claim", [SCRIPT_RENEW] = "renew",     [SCRIPT_RELEASE] = "release",
    [SCRIPT_COMMIT] = "commit", [SCRIPT_LOAD] = "load",   [SCRIPT_FACTS] = "facts",     [SCRIPT_ACTIVE] = "active",
    [SCRIPT_EVENTS] = "events", [SCRIPT_LIST] = "list",   [SCRIPT_MEMBERS] = "members", [SCRIPT_WATCH] = "watch",
};

const char *script_name(enum script script)
{
    return (size_t)script < SCRIPT_COUNT ? script_names[script] : "unknown";
}

struct partition *partition_at(struct node *node, uint32_t id)
{
    assert(id < node->config.partitions);
    return &node->partitions[id];
}

struct span slot_id(const struct slot *slot)
{
    return session_id_span(&slot->id);
}

uint32_t slot_partition(const struct slot *slot)
{
    return slot->partition;
}

uint64_t slot_fence(const struct node *node, const struct slot *slot)
{
    return node->partitions[slot->partition].fence;
}

const struct session *node_session(const struct node *node, struct span id)
{
    const struct slot *slot = slot_find(&node->slots, id);
    return slot ? slot->session : NULL;
}

const struct node_config *node_config_of(const struct node *node)
{
    return &node->config;
}

/* --- life --- */

struct node *node_new(const struct node_config *config, const struct mk_mem *mem)
{
    struct node *node = mem_alloc(mem, sizeof *node);
    if (!node)
        return NULL;
    node->mem = mem;
    node->config = *config;
    memcpy(node->random, config->random_seed, sizeof node->random);
    node->asks_end = &node->asks;
    node->tally.safe_until_ms = UINT64_MAX;
    node->partitions = mem_alloc(mem, config->partitions * sizeof *node->partitions);
    node->groups = mem_alloc(mem, config->groups * sizeof *node->groups);
    if (!node->partitions || !node->groups || !slot_table_init(&node->slots, mem, config->partitions)) {
        node_free(node);
        return NULL;
    }
    for (uint32_t p = 0; p < config->partitions; p++) {
        node->partitions[p].id = p;
        node->partitions[p].claim_due_ms = UINT64_MAX; /* not before it was looked at */
    }
    for (uint32_t g = 0; g < config->groups; g++) {
        node->groups[g].dirty_end = &node->groups[g].dirty;
        node->groups[g].flight_end = &node->groups[g].flight;
        node->groups[g].sections_max = COMMIT_SECTIONS_MAX;
    }
    return node;
}

static void commits_free(struct node *node)
{
    for (uint32_t g = 0; node->groups && g < node->config.groups; g++)
        for (struct commit *commit = node->groups[g].flight, *next; commit; commit = next) {
            next = commit->next;
            mem_free(node->mem, commit->parts);
            mem_free(node->mem, commit->sections);
            mem_free(node->mem, commit);
        }
}

void node_free(struct node *node)
{
    if (!node)
        return;
    const struct mk_mem *mem = node->mem;
    commits_free(node);
    replays_forget(node, 0, true);
    if (node->slots.mem)
        slot_table_fini(&node->slots);
    mem_free(mem, node->partitions);
    mem_free(mem, node->groups);
    mem_free(mem, node);
}

/* --- routing --- */

static void refuse_topic(struct node *node, const struct node_event *event, const struct partition *partition)
{
    const struct mk_input *input = event->as.message.input;
    const struct mk_command *command = event->as.message.command;
    struct span to = input ? input->reply_to : command->reply_to;
    struct answer *answer = span_given(to) ? mem_alloc(node->mem, sizeof *answer) : NULL;
    if (!answer)
        return;
    id_set(&answer->to, to);
    id_set(&answer->re, input ? input->h.id : command->h.id);
    char text[64];
    int bytes = snprintf(text, sizeof text, "this cluster has %u partitions", (unsigned)node->config.partitions);
    struct span detail = answer_text(answer, (struct span){text, (size_t)bytes});
    answer->type = input ? ANSWER_ADMISSION : ANSWER_RESULT;
    if (input)
        answer->as.admission = (struct mk_admission){.re = id_span(&answer->re),
                                                     .outcome = MK_REJECTED,
                                                     .final = true,
                                                     .reason = MK_ERR_WRONG_PARTITION,
                                                     .detail = detail,
                                                     .durability = input->durability,
                                                     .partitions = node->config.partitions};
    else
        answer->as.result = (struct mk_result){.re = id_span(&answer->re),
                                               .error = MK_ERR_WRONG_PARTITION,
                                               .final = true,
                                               .message = detail,
                                               .partitions = node->config.partitions};
    node->seen.rejected++;
    answer_now(node, answer, partition);
}

/* On its way to a successor that is not known to keep it. */
void node_passed(struct node *node, uint32_t id)
{
    struct partition *partition = partition_at(node, id);
    bool leaves = partition->state == PARTITION_SETTLING || partition->state == PARTITION_RELEASING;
    bool left = partition->state == PARTITION_NONE && node->now_ms < partition->handing.told_until_ms;
    partition->handing.refused += (leaves || left) && !partition->handing.kept;
    node->seen.foreign++;
}

static void message(struct node *node, const struct node_event *event)
{
    const struct mk_input *input = event->as.message.input;
    const struct mk_command *command = event->as.message.command;
    struct span session = input ? input->session : command->session;
    struct partition *addressed = partition_at(node, event->as.message.partition % node->config.partitions);
    bool wrong = event->as.message.partition != partition_of(session, node->config.partitions);
    if (!partition_keeps(addressed) || (wrong && !partition_ours(addressed))) {
        node_passed(node, addressed->id);
        return;
    }
    if (wrong) {
        refuse_topic(node, event, addressed);
        return;
    }
    struct slot *slot = slot_for(node, session, addressed->id);
    if (!slot) {
        node->seen.overloaded++;
        return; /* no memory even for an answer: the publisher repeats */
    }
    struct session_event given = {
        .type = input ? EV_SESSION_INPUT : EV_SESSION_COMMAND, .input = input, .command = command};
    slot_give(node, slot, &given, event->as.message.frame, event->as.message.bytes);
}

static void run_done(struct node *node, const struct node_event *event)
{
    struct slot *slot = slot_find(&node->slots, event->as.run.session);
    if (!slot || !slot->session)
        return;
    struct session_event given = {.type = EV_SESSION_RUN_DONE, .done = event->as.run.done};
    slot_give(node, slot, &given, NULL, 0);
}

/* It lasts as long as the run that it is of, and is asked for when an input comes: nothing of it waits in the slot. */
static void boundary(struct node *node, const struct node_event *event)
{
    struct slot *slot = slot_find(&node->slots, event->as.boundary.session);
    if (!slot)
        return;
    slot->live = event->as.boundary.live;
    slot->live_at = *event->as.boundary.at;
}

static void injected(struct node *node, const struct node_event *event)
{
    struct slot *slot = slot_find(&node->slots, event->as.injected.session);
    if (!slot || !slot->session)
        return;
    struct session_event given = {.type = EV_SESSION_INJECTED, .injected = event->as.injected.what};
    slot_give(node, slot, &given, NULL, 0);
}

static void call_failed(struct node *node, const struct node_event *event)
{
    uint64_t call = event->call;
    if (!commit_call_failed(node, event) && !slots_call_failed(node, event) && !replay_call_failed(node, call) &&
        !retain_call_failed(node, call) && !recover_call_failed(node, call) && !handover_call_failed(node, call))
        lease_call_failed(node, call);
}

static bool owns_nothing(const struct node *node)
{
    for (uint32_t p = 0; p < node->config.partitions; p++)
        if (node->partitions[p].state >= PARTITION_CLAIMING)
            return false;
    return true;
}

static void tick(struct node *node)
{
    slots_tick(node);
    leases_tick(node);
    retain_tick(node);
    if (node->leaving && !node->store_up && owns_nothing(node)) {
        drain_end(node);
        node->left = true;
    }
    if (node->started && node->now_ms >= node->heartbeat_due_ms)
        node->beat_now = true;
}

/* Partitions move in numbers: one line for all of a turn. */
static void tell_news(struct node *node)
{
    struct news *news = &node->news;
    if (news->lost)
        trace(node, NOTE_WARN, "partitions lost", NULL, "%u: %s", (unsigned)news->lost, news->lost_why);
    if (news->claimed)
        trace(node, NOTE_INFO, "partitions claimed", NULL, "%u", (unsigned)news->claimed);
    if (news->given)
        trace(node, NOTE_INFO, "partitions given away", NULL, "%u", (unsigned)news->given);
    if (news->kept)
        trace(node, NOTE_INFO, "partitions offered to this node", NULL, "%u", (unsigned)news->kept);
    *news = (struct news){0};
}

static void turn_end(struct node *node)
{
    leases_tick(node);
    slots_turn_end(node);
    commits_turn_end(node);
    if (node->store_up)
        handovers_release(node);
    tell_news(node);
    if (!node->beat_now)
        return;
    node->beat_now = false;
    emit(node, DO_HEARTBEAT);
    node->heartbeat_due_ms = node->now_ms + node->config.heartbeat_ms;
}

static void published(struct node *node, const struct node_event *event)
{
    struct partition *partition = partition_at(node, event->as.published.partition);
    if (partition->fence == event->as.published.fence && event->as.published.sequence > partition->published)
        partition->published = event->as.published.sequence;
}

/* A node that does not hear is no good owner: the store is told at once. */
static void hear(struct node *node, bool up)
{
    if (node->bus_up != up)
        node->members_due_ms = node->now_ms;
    node->bus_up = up;
}

static void heartbeat(struct node *node, const struct node_event *event)
{
    const struct mk_heartbeat *beat = event->as.heartbeat.beat;
    if (span_is(beat->incarnation, node->config.incarnation.text)) {
        hear(node, true);
        return;
    }
    if (!beat->hub)
        node->foreign_heard = true;
    if (event->as.heartbeat.part == BEAT_HEAD && span_is(beat->phase, member_phase_name(MEMBER_DRAINING)))
        members_leaves(&node->members, beat->node, beat->incarnation);
    else if (event->as.heartbeat.part == BEAT_OWNED)
        lease_heard(node, event->as.heartbeat.owned);
    else if (event->as.heartbeat.part != BEAT_HEAD)
        handover_event(node, event);
}

static void command(struct node *node, const struct node_event *event)
{
    if (span_given(event->as.message.command->session))
        message(node, event);
    else
        node_query(node, event->as.message.command);
}

static void executor_event(struct node *node, const struct node_event *event)
{
    if (event->type == EV_RUN_DONE)
        run_done(node, event);
    else if (event->type == EV_BOUNDARY)
        boundary(node, event);
    else
        injected(node, event);
}

static void dispatch(struct node *node, const struct node_event *event)
{
    switch (event->type) {
    case EV_START:
        node->started = true;
        break;
    case EV_INPUT:
        message(node, event);
        break;
    case EV_COMMAND:
        command(node, event);
        break;
    case EV_HEARTBEAT:
        heartbeat(node, event);
        break;
    case EV_BUS:
        hear(node, event->as.up);
        break;
    case EV_STORE:
        node->store_up = event->as.up;
        leases_store_up(node);
        break;
    case EV_RUN_DONE:
    case EV_BOUNDARY:
    case EV_INJECTED:
        executor_event(node, event);
        break;
    case EV_TICK:
        tick(node);
        break;
    case EV_TURN_END:
        turn_end(node);
        break;
    case EV_LEAVE:
        drain_ask(node, NULL);
        break;
    case EV_PUBLISHED:
        published(node, event);
        break;
    case EV_FOUND:
    case EV_MEMBERS:
    case EV_CLAIMED:
    case EV_RENEWED:
    case EV_WATCHED:
        lease_event(node, event);
        break;
    case EV_RELEASED:
        handover_event(node, event);
        break;
    case EV_ACTIVE:
        recover_event(node, event);
        break;
    case EV_EVENTS:
        if (!replay_page(node, event) && !retain_page(node, event))
            recover_event(node, event);
        break;
    case EV_COMMITTED:
        commit_verdict(node, event);
        break;
    case EV_LOADED:
        slot_loaded(node, event);
        break;
    case EV_FACTS:
        slot_fact(node, event);
        break;
    case EV_CALL_FAILED:
        call_failed(node, event);
        break;
    }
}

/* Events of sessions are many, and leave the partitions where they are; what they do find out says so itself. */
static bool moves_partitions(enum node_event_type type)
{
    switch (type) {
    case EV_INPUT:
    case EV_COMMAND:
    case EV_RUN_DONE:
    case EV_BOUNDARY:
    case EV_INJECTED:
    case EV_TICK:
    case EV_TURN_END:
    case EV_PUBLISHED:
    case EV_COMMITTED:
    case EV_LOADED:
    case EV_FACTS:
        return false;
    case EV_START:
    case EV_HEARTBEAT:
    case EV_BUS:
    case EV_STORE:
    case EV_LEAVE:
    case EV_FOUND:
    case EV_CLAIMED:
    case EV_RENEWED:
    case EV_RELEASED:
    case EV_ACTIVE:
    case EV_EVENTS:
    case EV_MEMBERS:
    case EV_WATCHED:
    case EV_CALL_FAILED:
        break;
    }
    return true;
}

void node_step(struct node *node, const struct node_event *event, struct node_effects *fx)
{
    node->fx = fx;
    node->now_ms = event->now_ms;
    node->unix_ms = event->unix_ms;
    if (event->store_ms) {
        node->store_ms = event->store_ms;
        node->store_at_ms = event->now_ms;
    }
    node->moved |= moves_partitions(event->type);
    dispatch(node, event);
    node->fx = NULL;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t node_due_ms(const struct node *node)
{
    uint64_t due = earlier(earlier(leases_due_ms(node), commits_due_ms(node)), retain_due_ms(node));
    if (node->store_up && node->founded)
        due = earlier(due, handovers_due_ms(node));
    const struct slot *first = slot_first_due(&node->slots);
    if (first)
        due = earlier(due, first->due_ms);
    if (node->slots.oldest)
        due = earlier(due, node->slots.oldest->used_ms + node->config.idle_evict_ms);
    return node->started ? earlier(due, node->heartbeat_due_ms) : due;
}

/* --- views --- */

void node_view(const struct node *node, uint64_t now_ms, struct node_view *out)
{
    *out = node->seen;
    out->founded = node->founded;
    out->joined = node->joined;
    out->phase = node_phase(node);
    out->members = (uint32_t)node->members.count;
    out->store_up = node->store_up;
    out->bus_up = node->bus_up;
    out->foreign_heard = node->foreign_heard;
    out->leaving = node->leaving;
    out->left = node->left;
    out->partitions = node->config.partitions;
    out->sessions = node->slots.count;
    const struct tally *tally = &node->tally;
    out->owned = tally->owned;
    out->handing = tally->handing;
    out->expecting = tally->expecting;
    out->suspended = tally->suspended;
    out->recovering = tally->recovering;
    out->claiming = tally->claiming;
    out->safe_until_ms = tally->safe_until_ms;
    out->unsafe = now_ms >= tally->safe_until_ms;
    for (uint32_t g = 0; g < node->config.groups; g++) {
        const struct group *group = &node->groups[g];
        const struct slot *oldest =
            group->flight && group->flight->section_count ? group->flight->sections[0].slot : group->dirty;
        if (oldest && now_ms - oldest->staged_ms > out->oldest_staged_ms)
            out->oldest_staged_ms = now_ms - oldest->staged_ms;
    }
}

bool node_takes(const struct node *node, uint32_t partition)
{
    return partition_keeps(&node->partitions[partition]);
}

void node_receipt(const struct node *node, struct mk_doc *doc)
{
    drain_receipt(node, doc);
}

bool node_owned_next(const struct node *node, uint32_t *cursor, struct mk_owned *out)
{
    while (*cursor < node->config.partitions) {
        const struct partition *partition = &node->partitions[(*cursor)++];
        if (!partition_ours(partition))
            continue;
        *out =
            (struct mk_owned){partition->id, span_of(partition->history.text), partition->fence, partition->committed};
        return true;
    }
    return false;
}

bool node_handing_next(const struct node *node, uint32_t *cursor, struct mk_handing *out)
{
    while (*cursor < node->config.partitions) {
        const struct partition *partition = &node->partitions[(*cursor)++];
        bool offered = partition->state >= PARTITION_OFFERED && partition->state <= PARTITION_RELEASING;
        bool released = partition->state <= PARTITION_EXPECTED && node->now_ms < partition->handing.told_until_ms;
        if ((!offered && !released) || !partition->handing.successor.bytes)
            continue;
        *out = (struct mk_handing){partition->id, id_span(&partition->handing.successor), released, partition->fence};
        return true;
    }
    return false;
}

static bool next_in(const struct node *node, enum partition_state state, uint32_t *cursor, uint32_t *out)
{
    while (*cursor < node->config.partitions)
        if (node->partitions[(*cursor)++].state == state) {
            *out = *cursor - 1;
            return true;
        }
    return false;
}

bool node_expecting_next(const struct node *node, uint32_t *cursor, uint32_t *out)
{
    return next_in(node, PARTITION_EXPECTED, cursor, out);
}

bool node_suspended_next(const struct node *node, uint32_t *cursor, uint32_t *out)
{
    return next_in(node, PARTITION_SUSPENDED, cursor, out);
}
