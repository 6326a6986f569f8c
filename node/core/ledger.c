#include "node/core/ledger.h"

#include <assert.h>

/* --- inputs --- */

/* Every span of an input, so that copying, counting and clearing cannot disagree. */
#define INPUT_SPANS(X)                                                                                                 \
    X(h.id)                                                                                                            \
    X(h.pub)                                                                                                           \
    X(session)                                                                                                         \
    X(body)                                                                                                            \
    X(idem)                                                                                                            \
    X(supersede)                                                                                                       \
    X(corr)                                                                                                            \
    X(after)                                                                                                           \
    X(reply_to)                                                                                                        \
    X(executor)                                                                                                        \
    X(peer_id)                                                                                                         \
    X(peer_name)                                                                                                       \
    X(request_id)                                                                                                      \
    X(intent)                                                                                                          \
    X(event_type)                                                                                                      \
    X(step_id)                                                                                                         \
    X(operation_id)

static size_t bytes_of(const struct mk_input *input)
{
    size_t bytes = 0;
#define X(field) bytes += input->field.bytes;
    INPUT_SPANS(X)
#undef X
    return bytes;
}

/* Moves a span's bytes behind the others. An absent one stays absent, an empty one present. */
static void take(struct span *span, char **at)
{
    if (!span->at)
        return;
    if (span->bytes)
        memcpy(*at, span->at, span->bytes);
    span->at = *at;
    *at += span->bytes;
}

struct admitted *input_copy(const struct mk_mem *mem, const struct mk_input *input)
{
    struct admitted *copy = mem_alloc(mem, sizeof *copy + bytes_of(input));
    if (!copy)
        return NULL;
    copy->mem = mem;
    copy->refs = 1;
    copy->input = *input;
    copy->digest = input_digest(input);
    char *at = copy->bytes;
#define X(field) take(&copy->input.field, &at);
    INPUT_SPANS(X)
#undef X
    return copy;
}

struct admitted *input_keep(struct admitted *input)
{
    if (input)
        input->refs++;
    return input;
}

void input_release(struct admitted *input)
{
    if (!input)
        return;
    assert(input->refs > 0);
    if (--input->refs == 0)
        mem_free(input->mem, input);
}

/* FNV-1a of the kind's name, a zero byte and the body. It is stored: it must never change. */
uint64_t input_digest(const struct mk_input *input)
{
    struct span parts[] = {span_of(mk_kind_name(input->kind)), SPAN_LIT("\0"), input->body};
    uint64_t digest = 14695981039346656037ull;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        for (size_t i = 0; i < parts[p].bytes; i++)
            digest = (digest ^ (uint8_t)parts[p].at[i]) * 1099511628211ull;
    return digest;
}

/* --- entries --- */

static void entry_release(struct entry *entry, const struct mk_mem *mem)
{
    assert(entry->refs > 0);
    if (--entry->refs)
        return;
    input_release(entry->input);
    mem_free(mem, entry);
}

bool entry_is_durable(const struct entry *entry)
{
    return entry->input->input.durability != MK_EPHEMERAL;
}

void entry_join(struct entry *entry, struct span reply_to)
{
    if (!reply_to.bytes || entry->waiter_count == WAITERS_MAX)
        return;
    for (size_t i = 0; i < entry->waiter_count; i++)
        if (span_equal(id_span(&entry->waiters[i]), reply_to))
            return;
    if (id_set(&entry->waiters[entry->waiter_count], reply_to))
        entry->waiter_count++;
}

/* After the first failure a batch is split into about as many parts as each part has members, after the second
 * everybody runs alone: so the third attempt, the last, is the culprit's own, and nobody pays more than two for
 * another's fault. */
static size_t share_after(uint64_t attempts, size_t together)
{
    if (attempts >= STAGE_ATTEMPTS_MAX - 1)
        return 1;
    size_t share = 1;
    while ((share + 1) * (share + 1) <= together)
        share++;
    return share;
}

void entry_restore(struct entry *entry, const struct input_record *row)
{
    entry->order = row->order;
    entry->lane = row->lane;
    entry->attempts = row->attempts;
    entry->deaths = row->deaths;
    entry->recoveries = row->recoveries;
    entry->share = row->attempts ? share_after(row->attempts, RUN_INPUTS_MAX) : 0;
    id_set(&entry->run, row->last_run);
    entry->boundary_sequence = row->last_boundary_sequence;
    entry->admitted_while_running = row->admitted_while_running;
    entry->silent = row->silent;
    entry->admitted_ms = row->admitted_ms;
    entry->deadline_at_ms = row->deadline_at_ms;
}

void entry_stage(struct entry *entry, const struct mk_id *run)
{
    entry->phase = INPUT_STAGED;
    entry->attempts++;
    entry->run = *run;
    entry->dirty = entry_is_durable(entry);
}

void entry_inject(struct entry *entry, const struct mk_id *run, uint64_t n)
{
    entry_stage(entry, run);
    entry->phase = INPUT_CONSUMED; /* staged, applied, consumed: one step, as it is one commit */
    entry->boundary_sequence = n + 1;
    entry->offer = OFFER_NONE;
}

void entry_recover(struct entry *entry, const struct mk_id *run)
{
    entry->phase = INPUT_STAGED;
    entry->run = *run;
    entry->dirty = entry_is_durable(entry);
}

void entry_requeue(struct entry *entry, size_t together, bool failed)
{
    entry->phase = INPUT_QUEUED;
    if (failed)
        entry->share = share_after(entry->attempts, together);
    else if (entry->attempts)
        entry->attempts--;
    entry->dirty = entry_is_durable(entry);
}

/* --- the ledger --- */

const struct entry *ledger_by_id(const struct ledger *ledger, struct span id)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (span_equal(ledger->entries[i]->input->input.h.id, id))
            return ledger->entries[i];
    return NULL;
}

const struct entry *ledger_by_key(const struct ledger *ledger, struct span key)
{
    for (size_t i = 0; key.bytes && i < ledger->count; i++)
        if (span_equal(ledger->entries[i]->input->input.idem, key))
            return ledger->entries[i];
    return NULL;
}

/* The place of `seq`, or where it would be inserted. */
static size_t place_of(const struct ledger *ledger, uint64_t seq)
{
    size_t low = 0, high = ledger->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ledger->entries[middle]->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct entry *ledger_by_seq(const struct ledger *ledger, uint64_t seq)
{
    size_t place = place_of(ledger, seq);
    return place < ledger->count && ledger->entries[place]->seq == seq ? ledger->entries[place] : NULL;
}

bool ledger_copy(struct ledger *to, const struct ledger *from, const struct mk_mem *mem)
{
    struct entry **entries = NULL;
    if (from->count) {
        entries = mem_alloc(mem, from->count * sizeof *entries);
        if (!entries)
            return false;
        memcpy(entries, from->entries, from->count * sizeof *entries);
        for (size_t i = 0; i < from->count; i++)
            entries[i]->refs++;
    }
    *to = (struct ledger){entries, from->count, from->count, from->next_admission};
    return true;
}

void ledger_release(struct ledger *ledger, const struct mk_mem *mem)
{
    for (size_t i = 0; i < ledger->count; i++)
        entry_release(ledger->entries[i], mem);
    mem_free(mem, ledger->entries);
    *ledger = (struct ledger){NULL, 0, 0, ledger->next_admission};
}

/* A private copy in the entry's place, if others share it. */
static struct entry *edit(struct entry **place, const struct mk_mem *mem)
{
    struct entry *entry = *place;
    if (entry->refs == 1)
        return entry;
    struct entry *copy = mem_alloc(mem, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *entry;
    copy->refs = 1;
    input_keep(copy->input);
    entry_release(entry, mem);
    *place = copy;
    return copy;
}

struct entry *ledger_edit(struct ledger *ledger, const struct mk_mem *mem, uint64_t seq)
{
    size_t place = place_of(ledger, seq);
    assert(place < ledger->count && ledger->entries[place]->seq == seq);
    return edit(&ledger->entries[place], mem);
}

static bool reserve(struct ledger *ledger, const struct mk_mem *mem)
{
    if (ledger->count < ledger->room)
        return true;
    size_t room = ledger->room ? 2 * ledger->room : 8;
    struct entry **entries = mem_alloc(mem, room * sizeof *entries);
    if (!entries)
        return false;
    if (ledger->count)
        memcpy(entries, ledger->entries, ledger->count * sizeof *entries);
    mem_free(mem, ledger->entries);
    ledger->entries = entries;
    ledger->room = room;
    return true;
}

static struct entry *entry_new(const struct mk_mem *mem, struct admitted *input, const struct policy *policy,
                               uint64_t seq)
{
    struct entry *entry = mem_alloc(mem, sizeof *entry);
    if (!entry)
        return NULL;
    *entry = (struct entry){
        .refs = 1, .input = input_keep(input), .seq = seq, .order = seq, .policy = *policy, .lane = policy->lane};
    entry_join(entry, input->input.reply_to);
    return entry;
}

struct entry *ledger_restore(struct ledger *ledger, const struct mk_mem *mem, struct admitted *input,
                             const struct policy *policy, uint64_t seq)
{
    if (ledger->count >= ACTIVE_INPUTS_MAX || ledger_by_seq(ledger, seq) || !reserve(ledger, mem))
        return NULL;
    struct entry *entry = entry_new(mem, input, policy, seq);
    if (!entry)
        return NULL;
    size_t place = place_of(ledger, seq);
    memmove(ledger->entries + place + 1, ledger->entries + place, (ledger->count - place) * sizeof *ledger->entries);
    ledger->entries[place] = entry;
    ledger->count++;
    return entry;
}

struct entry *ledger_add(struct ledger *ledger, const struct mk_mem *mem, struct admitted *input,
                         const struct policy *policy)
{
    struct entry *entry = ledger_restore(ledger, mem, input, policy, ledger->next_admission);
    if (!entry)
        return NULL;
    ledger->next_admission++;
    entry->dirty = entry_is_durable(entry);
    return entry;
}

/* Out of the list, with the list's reference. */
static struct entry *take_out(struct ledger *ledger, uint64_t seq)
{
    size_t place = place_of(ledger, seq);
    assert(place < ledger->count && ledger->entries[place]->seq == seq);
    struct entry *entry = ledger->entries[place];
    ledger->count--;
    memmove(ledger->entries + place, ledger->entries + place + 1, (ledger->count - place) * sizeof *ledger->entries);
    return entry;
}

void ledger_remove(struct ledger *ledger, const struct mk_mem *mem, uint64_t seq)
{
    entry_release(take_out(ledger, seq), mem);
}

/* --- what is carried --- */

void ledger_carry(struct ledger *ledger, struct carried *carried, uint64_t seq)
{
    assert(carried->count < INJECTED_MAX);
    carried->entries[carried->count++] = take_out(ledger, seq);
}

void carried_copy(struct carried *to, const struct carried *from)
{
    *to = *from;
    for (size_t i = 0; i < from->count; i++)
        from->entries[i]->refs++;
}

void carried_release(struct carried *carried, const struct mk_mem *mem)
{
    while (carried->count)
        entry_release(carried->entries[--carried->count], mem);
}

void carried_remove(struct carried *carried, const struct mk_mem *mem, size_t place)
{
    assert(place < carried->count);
    entry_release(carried->entries[place], mem);
    carried->count--;
    memmove(carried->entries + place, carried->entries + place + 1,
            (carried->count - place) * sizeof *carried->entries);
}

bool carried_has(const struct carried *carried, uint64_t seq)
{
    for (size_t i = 0; i < carried->count; i++)
        if (carried->entries[i]->seq == seq)
            return true;
    return false;
}

struct entry *carried_edit(struct carried *carried, const struct mk_mem *mem, size_t place)
{
    assert(place < carried->count);
    return edit(&carried->entries[place], mem);
}

bool carried_restore(struct carried *carried, const struct mk_mem *mem, struct admitted *input,
                     const struct policy *policy, const struct input_record *row)
{
    struct entry *entry = carried->count < INJECTED_MAX ? entry_new(mem, input, policy, row->seq) : NULL;
    if (!entry)
        return false;
    entry_restore(entry, row);
    entry->phase = INPUT_CONSUMED;
    carried->entries[carried->count++] = entry;
    return true;
}

/* --- selection --- */

/* The handling mode of the turn that an input asks for; two different ones cannot share a run (D16). NONE fits every
 * other. */
static enum mk_handling turn_mode(const struct entry *entry)
{
    const struct mk_input *input = &entry->input->input;
    bool peer = input->kind == MK_PEER_MESSAGE || input->kind == MK_PEER_REQUEST ||
                input->kind == MK_PEER_RESPONSE_PROGRESS || input->kind == MK_PEER_RESPONSE_TERMINAL;
    if (peer && entry->lane == LANE_STEER && !entry->admitted_while_running)
        return MK_HANDLING_QUEUE;
    if (input->handling == MK_HANDLING_NONE && (input->kind == MK_EXTERNAL_EVENT || input->kind == MK_CONTINUATION))
        return MK_HANDLING_QUEUE;
    return input->handling;
}

static bool runs_alone(const struct entry *entry)
{
    bool prompt = entry->lane == LANE_QUEUE && entry->input->input.kind == MK_PROMPT;
    return prompt || entry->deaths >= DEATHS_BEFORE_ALONE || entry->share == 1;
}

static bool batches_with(const struct entry *first, const struct entry *next)
{
    const struct policy *a = &first->policy, *b = &next->policy;
    return a->execution == b->execution && a->terminal_apply == b->terminal_apply &&
           (first->lane == LANE_QUEUE || a->boundary == b->boundary);
}

struct batch {
    const struct entry *first;
    enum mk_handling mode;
    size_t count, room; /* room: the smallest share of a member */
};

/* Whether the entry continues the batch; false ends it, for one run takes a prefix of its lane. */
static bool continues(struct batch *batch, const struct entry *entry)
{
    enum mk_handling mode = turn_mode(entry);
    size_t room = entry->share && entry->share < batch->room ? entry->share : batch->room;
    if (batch->count) {
        bool conflict = mode != MK_HANDLING_NONE && batch->mode != MK_HANDLING_NONE && mode != batch->mode;
        if (conflict || runs_alone(batch->first) || runs_alone(entry) || !batches_with(batch->first, entry))
            return false;
    } else {
        batch->first = entry;
    }
    if (batch->count >= room)
        return false;
    if (batch->mode == MK_HANDLING_NONE)
        batch->mode = mode;
    batch->room = room;
    batch->count++;
    return true;
}

static size_t select_from(const struct ledger *ledger, enum lane lane, uint64_t *out)
{
    struct batch batch = {.mode = MK_HANDLING_NONE, .room = RUN_INPUTS_MAX};
    for (size_t i = 0; i < ledger->count; i++) {
        const struct entry *entry = ledger->entries[i];
        if (entry->lane != lane || entry->phase != INPUT_QUEUED)
            continue;
        if (!continues(&batch, entry))
            break;
        out[batch.count - 1] = entry->seq;
    }
    return batch.count;
}

size_t ledger_select(const struct ledger *ledger, uint64_t *out)
{
    size_t count = select_from(ledger, LANE_STEER, out);
    return count ? count : select_from(ledger, LANE_QUEUE, out);
}
