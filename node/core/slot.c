#include "node/core/slot.h"

#include <assert.h>

#define NOT_IN_HEAP SIZE_MAX

/* --- events that wait --- */

void queued_list_init(struct queued_list *list)
{
    *list = (struct queued_list){NULL, NULL, 0};
    list->end = &list->first;
}

void queued_push(struct queued_list *list, struct queued *queued)
{
    queued->next = NULL;
    *list->end = queued;
    list->end = &queued->next;
    list->count++;
}

struct queued *queued_pop(struct queued_list *list)
{
    struct queued *queued = list->first;
    if (!queued)
        return NULL;
    list->first = queued->next;
    if (!list->first)
        list->end = &list->first;
    list->count--;
    queued->next = NULL;
    return queued;
}

void queued_prepend(struct queued_list *to, struct queued_list *from)
{
    if (!from->first)
        return;
    *from->end = to->first;
    if (!to->first)
        to->end = from->end;
    to->first = from->first;
    to->count += from->count;
    queued_list_init(from);
}

static size_t bytes_of_done(const struct run_done *done)
{
    size_t bytes = done->state.bytes + done->digest.bytes + done->message.bytes;
    for (size_t i = 0; i < done->result_count; i++)
        bytes += sizeof(struct span) + done->results[i].bytes;
    for (size_t i = 0; i < done->event_count; i++)
        bytes += sizeof(struct executor_event) + done->events[i].name.bytes + done->events[i].data.bytes;
    return bytes;
}

/* Moves a span's bytes to the end of a buffer and lets it point there. An absent span stays absent. */
static void take_span(struct span *span, char **at)
{
    if (!span->at)
        return;
    if (span->bytes)
        memcpy(*at, span->at, span->bytes);
    span->at = *at;
    *at += span->bytes;
}

/* What an executor returned lives only for the call that tells it: one allocation holds a copy, arrays first. */
static struct run_done *done_copy(const struct mk_mem *mem, const struct run_done *from)
{
    struct run_done *done = mem_alloc(mem, sizeof *done + bytes_of_done(from));
    if (!done)
        return NULL;
    *done = *from;
    struct span *results = (struct span *)(done + 1);
    struct executor_event *events = (struct executor_event *)(results + from->result_count);
    char *at = (char *)(events + from->event_count);
    for (size_t i = 0; i < from->result_count; i++) {
        results[i] = from->results[i];
        take_span(&results[i], &at);
    }
    for (size_t i = 0; i < from->event_count; i++) {
        events[i] = from->events[i];
        take_span(&events[i].name, &at);
        take_span(&events[i].data, &at);
    }
    done->results = results;
    done->events = events;
    take_span(&done->state, &at);
    take_span(&done->digest, &at);
    take_span(&done->message, &at);
    return done;
}

static bool copy_message(const struct mk_mem *mem, struct queued *queued, const struct session_event *event)
{
    if (event->input) {
        queued->input = mem_alloc(mem, sizeof *queued->input);
        if (!queued->input)
            return false;
        *queued->input = *event->input;
    }
    if (event->command) {
        queued->command = mem_alloc(mem, sizeof *queued->command);
        if (!queued->command)
            return false;
        *queued->command = *event->command;
    }
    if (event->done) {
        queued->done = done_copy(mem, event->done);
        if (!queued->done)
            return false;
    }
    if (event->injected) {
        queued->injected = mem_alloc(mem, sizeof *queued->injected);
        if (!queued->injected)
            return false;
        *queued->injected = *event->injected;
    }
    if (event->trim) {
        queued->trim = mem_alloc(mem, sizeof *queued->trim);
        if (!queued->trim)
            return false;
        *queued->trim = *event->trim;
    }
    return true;
}

struct queued *queued_new(const struct mk_mem *mem, const struct session_event *event, struct mk_blob *frame,
                          size_t bytes)
{
    struct queued *queued = mem_alloc(mem, sizeof *queued);
    if (!queued)
        return NULL;
    queued->type = event->type;
    queued->frame = blob_keep(frame);
    queued->bytes = bytes;
    if (!copy_message(mem, queued, event)) {
        queued_free(mem, queued);
        return NULL;
    }
    return queued;
}

void queued_free(const struct mk_mem *mem, struct queued *queued)
{
    if (!queued)
        return;
    blob_release(queued->frame);
    mem_free(mem, queued->input);
    mem_free(mem, queued->command);
    mem_free(mem, queued->done);
    mem_free(mem, queued->injected);
    mem_free(mem, queued->trim);
    mem_free(mem, queued);
}

static void queued_list_free(const struct mk_mem *mem, struct queued_list *list)
{
    for (struct queued *queued; (queued = queued_pop(list));)
        queued_free(mem, queued);
}

/* --- the heap of what is due --- */

static void heap_put(struct slot_table *table, size_t index, struct slot *slot)
{
    table->heap[index] = slot;
    slot->heap_index = index;
}

static void heap_up(struct slot_table *table, size_t index)
{
    struct slot *slot = table->heap[index];
    while (index > 0 && table->heap[(index - 1) / 2]->due_ms > slot->due_ms) {
        heap_put(table, index, table->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    heap_put(table, index, slot);
}

static void heap_down(struct slot_table *table, size_t index)
{
    struct slot *slot = table->heap[index];
    for (size_t child; (child = 2 * index + 1) < table->heap_count; index = child) {
        if (child + 1 < table->heap_count && table->heap[child + 1]->due_ms < table->heap[child]->due_ms)
            child++;
        if (table->heap[child]->due_ms >= slot->due_ms)
            break;
        heap_put(table, index, table->heap[child]);
    }
    heap_put(table, index, slot);
}

static void heap_drop(struct slot_table *table, struct slot *slot)
{
    size_t index = slot->heap_index;
    slot->heap_index = NOT_IN_HEAP;
    struct slot *last = table->heap[--table->heap_count];
    if (last == slot)
        return;
    heap_put(table, index, last);
    heap_up(table, index);
    heap_down(table, last->heap_index);
}

/* The heap has room for every slot: it grows when a slot is added, so that a due time can always be noted. */
static bool heap_reserve(struct slot_table *table)
{
    if (table->count < table->heap_room)
        return true;
    size_t room = table->heap_room ? 2 * table->heap_room : 64;
    struct slot **heap = mem_alloc(table->mem, room * sizeof *heap);
    if (!heap)
        return false;
    if (table->heap_count)
        memcpy(heap, table->heap, table->heap_count * sizeof *heap);
    mem_free(table->mem, table->heap);
    table->heap = heap;
    table->heap_room = room;
    return true;
}

void slot_due(struct slot_table *table, struct slot *slot, uint64_t due_ms)
{
    if (slot->heap_index != NOT_IN_HEAP && slot->due_ms == due_ms)
        return;
    if (slot->heap_index != NOT_IN_HEAP)
        heap_drop(table, slot);
    slot->due_ms = due_ms;
    if (due_ms == UINT64_MAX)
        return;
    heap_put(table, table->heap_count++, slot);
    heap_up(table, table->heap_count - 1);
}

struct slot *slot_first_due(const struct slot_table *table)
{
    return table->heap_count ? table->heap[0] : NULL;
}

/* --- by age --- */

static void age_unlink(struct slot_table *table, struct slot *slot)
{
    *(slot->age_prev ? &slot->age_prev->age_next : &table->oldest) = slot->age_next;
    *(slot->age_next ? &slot->age_next->age_prev : &table->newest) = slot->age_prev;
}

static void age_append(struct slot_table *table, struct slot *slot)
{
    slot->age_prev = table->newest;
    slot->age_next = NULL;
    *(table->newest ? &table->newest->age_next : &table->oldest) = slot;
    table->newest = slot;
}

void slot_touch(struct slot_table *table, struct slot *slot, uint64_t now_ms)
{
    age_unlink(table, slot);
    age_append(table, slot);
    slot->used_ms = now_ms;
}

void slot_expire(struct slot_table *table, struct slot *slot)
{
    age_unlink(table, slot);
    slot->used_ms = 0;
    slot->age_prev = NULL;
    slot->age_next = table->oldest;
    *(table->oldest ? &table->oldest->age_prev : &table->newest) = slot;
    table->oldest = slot;
}

/* --- by id --- */

static struct slot **bucket_of(const struct slot_table *table, struct span id)
{
    return &table->buckets[span_hash(id) & (table->bucket_count - 1)];
}

static bool buckets_reserve(struct slot_table *table)
{
    if (table->count < table->bucket_count)
        return true;
    size_t count = 2 * table->bucket_count;
    struct slot **buckets = mem_alloc(table->mem, count * sizeof *buckets);
    if (!buckets)
        return false;
    struct slot **old = table->buckets;
    size_t old_count = table->bucket_count;
    table->buckets = buckets;
    table->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct slot *slot = old[i], *next; slot; slot = next) {
            next = slot->hash_next;
            struct slot **bucket = bucket_of(table, session_id_span(&slot->id));
            slot->hash_next = *bucket;
            *bucket = slot;
        }
    }
    mem_free(table->mem, old);
    return true;
}

bool slot_table_init(struct slot_table *table, const struct mk_mem *mem, uint32_t partitions)
{
    *table = (struct slot_table){.mem = mem, .bucket_count = 64};
    table->buckets = mem_alloc(mem, table->bucket_count * sizeof *table->buckets);
    table->by_partition = mem_alloc(mem, partitions * sizeof *table->by_partition);
    return table->buckets && table->by_partition;
}

void slot_table_fini(struct slot_table *table)
{
    while (table->oldest)
        slot_remove(table, table->oldest);
    mem_free(table->mem, table->buckets);
    mem_free(table->mem, table->by_partition);
    mem_free(table->mem, table->heap);
}

struct slot *slot_find(const struct slot_table *table, struct span id)
{
    struct slot *slot = *bucket_of(table, id);
    while (slot && !span_equal(session_id_span(&slot->id), id))
        slot = slot->hash_next;
    return slot;
}

struct slot *slot_add(struct slot_table *table, struct span id, uint32_t partition, uint64_t now_ms)
{
    if (!buckets_reserve(table) || !heap_reserve(table))
        return NULL;
    struct slot *slot = mem_alloc(table->mem, sizeof *slot);
    if (!slot)
        return NULL;
    bool valid = session_id_set(&slot->id, id);
    assert(valid);
    (void)valid;
    slot->partition = partition;
    slot->state = SLOT_LOADING;
    slot->heap_index = NOT_IN_HEAP;
    slot->due_ms = UINT64_MAX;
    slot->used_ms = now_ms;
    queued_list_init(&slot->queue);
    queued_list_init(&slot->applied);
    struct slot **bucket = bucket_of(table, id);
    slot->hash_next = *bucket;
    *bucket = slot;
    struct slot **head = &table->by_partition[partition];
    slot->partition_next = *head;
    if (*head)
        (*head)->partition_prev = slot;
    *head = slot;
    age_append(table, slot);
    table->count++;
    return slot;
}

void slot_remove(struct slot_table *table, struct slot *slot)
{
    struct slot **link = bucket_of(table, session_id_span(&slot->id));
    while (*link != slot)
        link = &(*link)->hash_next;
    *link = slot->hash_next;
    *(slot->partition_prev ? &slot->partition_prev->partition_next : &table->by_partition[slot->partition]) =
        slot->partition_next;
    if (slot->partition_next)
        slot->partition_next->partition_prev = slot->partition_prev;
    age_unlink(table, slot);
    if (slot->heap_index != NOT_IN_HEAP)
        heap_drop(table, slot);
    table->count--;
    queued_list_free(table->mem, &slot->queue);
    queued_list_free(table->mem, &slot->applied);
    session_free(slot->session);
    blob_release(slot->fault);
    mem_free(table->mem, slot);
}
