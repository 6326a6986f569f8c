/* Queries that are answered page by page from what the store holds of a partition: `events` from its outbox, `dead`
 * from its dead letters, of one session or of all that this node owns. Where a page cannot be read nothing is answered:
 * who asked asks again, and hears the owner. */
#include "node/core/node_impl.h"

#include <stdio.h>

#define EVENT_ENTRIES  500 /* looked at in one call */
#define LETTER_ENTRIES 32  /* the same; each may be as large as a frame */

static void replay_free(struct node *node, struct replay *replay)
{
    doc_free(replay->data);
    mem_free(node->mem, replay);
}

static void unlink_replay(struct node *node, const struct replay *replay)
{
    struct replay **link = &node->replays;
    while (*link != replay)
        link = &(*link)->next;
    *link = replay->next;
}

static void give_up(struct node *node, struct replay *replay)
{
    unlink_replay(node, replay);
    replay_free(node, replay);
}

static void ask_page(struct node *node, struct replay *replay)
{
    struct node_effect *effect = emit(node, DO_EVENTS);
    if (!effect) {
        give_up(node, replay);
        return;
    }
    effect->call = replay->call = next_call(node);
    effect->partition = replay->partition;
    effect->fence = partition_at(node, replay->partition)->fence;
    memcpy(effect->as.events.from, replay->cursor, sizeof replay->cursor);
    effect->as.events.count = replay->letters ? LETTER_ENTRIES : EVENT_ENTRIES;
    effect->as.events.session = replay->session;
    effect->as.events.letters = replay->letters;
}

/* {items: [...], what finish() adds}: `items` is written as the pages come. NULL: no memory. */
static struct replay *replay_new(struct node *node, const struct mk_command *command)
{
    struct replay *replay = mem_alloc(node->mem, sizeof *replay);
    if (!replay)
        return NULL;
    replay->data = doc_new(node->mem);
    if (!replay->data) {
        mem_free(node->mem, replay);
        return NULL;
    }
    id_set(&replay->re, command->h.id);
    id_set(&replay->to, command->reply_to);
    replay->limit =
        command->args.limit && command->args.limit < EVENTS_PAGE_MAX ? command->args.limit : EVENTS_PAGE_MAX;
    doc_map(replay->data);
    doc_key(replay->data, "items");
    doc_array(replay->data);
    replay->next = node->replays;
    node->replays = replay;
    return replay;
}

/* --- the answer --- */

static void put_rest(struct replay *replay)
{
    struct mk_doc *doc = replay->data;
    char next[MESSAGE_ID_BYTES_MAX];
    doc_end(doc);
    if (!replay->letters) {
        doc_put_u64(doc, "head", replay->head);
        doc_put_u64(doc, "first", replay->first);
        doc_put_bool(doc, "truncated", replay->truncated);
    } else if (replay->truncated) {
        snprintf(next, sizeof next, "%04x:%s", (unsigned)replay->partition, replay->cursor);
        doc_put_text(doc, "next", span_of(next));
    }
    doc_end(doc);
}

static void finish(struct node *node, struct replay *replay)
{
    struct answer *answer = mem_alloc(node->mem, sizeof *answer);
    put_rest(replay);
    if (answer && !replay->data->failed) {
        answer->type = ANSWER_RESULT;
        answer->to = replay->to;
        answer->re = replay->re;
        answer->data = replay->data;
        replay->data = NULL;
        answer->as.result = (struct mk_result){.ok = true, .data = answer->data};
        answer->as.result.re = id_span(&answer->re);
        if (!replay->every)
            answer->as.result.session = answer_text(answer, session_id_span(&replay->session));
        answer_now(node, answer, replay->every ? NULL : partition_at(node, replay->partition));
    } else {
        mem_free(node->mem, answer);
    }
    give_up(node, replay);
}

/* --- which pages are asked for --- */

static void start_events(struct node *node, struct slot *slot, const struct mk_command *command)
{
    struct replay *replay = replay_new(node, command);
    if (!replay)
        return;
    replay->session = slot->id;
    replay->partition = slot->partition;
    replay->from = command->args.from;
    replay->head = slot->session->core.next_event - 1; /* nothing is staged: all of it is stored */
    ask_page(node, replay);
}

/* The first partition from `from` on whose letters this node may tell; the number of partitions: there is none. */
static uint32_t next_partition(const struct node *node, uint32_t from)
{
    while (from < node->config.partitions &&
           !(partition_ours(&node->partitions[from]) && node->partitions[from].committed))
        from++;
    return from;
}

static void letters_go_on(struct node *node, struct replay *replay, uint32_t partition)
{
    uint32_t next = replay->every ? next_partition(node, partition) : partition;
    if (next != partition) /* the cursor is of a partition that is not ours any more, or has nothing */
        memset(replay->cursor, 0, sizeof replay->cursor);
    replay->partition = next;
    if (next >= node->config.partitions)
        finish(node, replay);
    else
        ask_page(node, replay);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Where to go on: a partition as four hex digits, a colon, the id of the last letter that was told. */
static bool read_cursor(struct span text, struct replay *replay)
{
    uint32_t partition = 0;
    if (text.bytes < 5 || text.at[4] != ':' || text.bytes - 5 >= sizeof replay->cursor)
        return false;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(text.at[i]);
        if (digit < 0)
            return false;
        partition = 16 * partition + (uint32_t)digit;
    }
    size_t digits = 0, dashes = 0;
    for (size_t i = 5; i < text.bytes; i++) {
        bool digit = text.at[i] >= '0' && text.at[i] <= '9';
        digits += digit;
        dashes += text.at[i] == '-';
        if (!digit && (text.at[i] != '-' || !digits || dashes > 1 || i + 1 == text.bytes))
            return false;
    }
    replay->partition = partition;
    memcpy(replay->cursor, text.at + 5, text.bytes - 5);
    return true;
}

static void refuse_cursor(struct node *node, const struct mk_command *command)
{
    struct answer *answer = mem_alloc(node->mem, sizeof *answer);
    if (!answer)
        return;
    answer->type = ANSWER_RESULT;
    id_set(&answer->to, command->reply_to);
    id_set(&answer->re, command->h.id);
    answer->as.result = (struct mk_result){.re = id_span(&answer->re),
                                           .error = MK_ERR_INVALID_FIELD,
                                           .final = true,
                                           .message = SPAN_LIT("cursor: wanted what `next` said")};
    answer_now(node, answer, NULL);
}

static void start_letters(struct node *node, const struct slot *slot, const struct mk_command *command)
{
    struct replay *replay = replay_new(node, command);
    if (!replay)
        return;
    replay->letters = true;
    replay->every = !slot;
    id_set(&replay->input, command->args.id);
    if (slot) {
        replay->session = slot->id;
        replay->partition = slot->partition;
    }
    bool sound = !command->args.cursor.bytes || read_cursor(command->args.cursor, replay);
    if (!sound || (slot && replay->partition != slot->partition)) {
        refuse_cursor(node, command);
        give_up(node, replay);
    } else {
        letters_go_on(node, replay, replay->partition);
    }
}

void replay_start(struct node *node, struct slot *slot, const struct mk_command *command)
{
    if (command->op == MK_OP_DEAD)
        start_letters(node, slot, command);
    else
        start_events(node, slot, command);
}

/* --- pages --- */

/* Whether there is room for it; else the answer is full, and says that there is more. The first one is taken whatever
 * it costs. */
static bool fits(struct replay *replay, size_t bytes, uint64_t room)
{
    replay->truncated = replay->found == replay->limit || (replay->found && replay->bytes + bytes > room);
    if (replay->truncated)
        return false;
    replay->bytes += bytes;
    replay->found++;
    return true;
}

/* Adds what is asked for; false when nothing more is wanted. */
static bool add_events(struct replay *replay, const struct node_event *event, uint64_t room)
{
    for (size_t i = 0; i < event->as.events.count; i++) {
        const struct outbox_event *item = &event->as.events.events[i];
        if (!replay->first)
            replay->first = item->seq;
        if (item->seq < replay->from || item->seq > replay->head)
            continue;
        if (!fits(replay, item->message.bytes, room))
            return false;
        doc_raw(replay->data, item->message);
    }
    return true;
}

/* A letter is an input and more: one whose input just fitted a frame fits none itself, and is only named. */
static void put_letter(struct mk_doc *doc, const struct outbox_event *item, uint64_t room)
{
    if (item->message.bytes <= room + room / 8) {
        doc_raw(doc, item->message);
        return;
    }
    doc_map(doc);
    doc_put_text(doc, "session", item->session);
    doc_put_text(doc, "id", item->input);
    doc_put_u64(doc, "seq", item->seq);
    doc_put_u64(doc, "too_large", item->message.bytes);
    doc_end(doc);
}

static bool add_letters(struct replay *replay, const struct node_event *event, uint64_t room)
{
    for (size_t i = 0; i < event->as.events.count; i++) {
        const struct outbox_event *item = &event->as.events.events[i];
        bool wanted = !replay->input.bytes || span_equal(item->input, id_span(&replay->input));
        if (wanted && !fits(replay, item->message.bytes, room))
            return false;
        if (wanted)
            put_letter(replay->data, item, room);
        if (item->id.bytes < sizeof replay->cursor) {
            memset(replay->cursor, 0, sizeof replay->cursor);
            memcpy(replay->cursor, item->id.at, item->id.bytes);
        }
    }
    return true;
}

/* The next page of this partition, if there is one: false. */
static bool last_page(struct replay *replay, const struct node_event *event)
{
    struct span last = event->as.events.last;
    if (!last.bytes || last.bytes >= sizeof replay->cursor)
        return true;
    memset(replay->cursor, 0, sizeof replay->cursor);
    memcpy(replay->cursor, last.at, last.bytes);
    return false;
}

bool replay_page(struct node *node, const struct node_event *event)
{
    struct replay *replay = node->replays;
    while (replay && replay->call != event->call)
        replay = replay->next;
    if (!replay)
        return false;
    if (event->as.events.status != LEASE_HELD) {
        partition_doubt(node);
        give_up(node, replay);
        return true;
    }
    uint64_t room = node->config.answer_bytes_max;
    bool more = replay->letters ? add_letters(replay, event, room) : add_events(replay, event, room);
    if (more && !last_page(replay, event)) {
        ask_page(node, replay);
    } else if (more && replay->every) {
        memset(replay->cursor, 0, sizeof replay->cursor);
        letters_go_on(node, replay, replay->partition + 1);
    } else {
        finish(node, replay);
    }
    return true;
}

/* --- what ends it early --- */

bool replay_call_failed(struct node *node, uint64_t call)
{
    for (struct replay *replay = node->replays; replay; replay = replay->next)
        if (replay->call == call) {
            give_up(node, replay);
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
