/* Replies of the store, turned into events of the core. */
#include "node/driver_impl.h"

#include "node/core/crc16.h"

#include <stdlib.h>

static void on_found(struct driver *driver, struct node_event *event, struct reply_reader *reader)
{
    event->type = EV_FOUND;
    event->as.found.version = reply_u64(reader);
    event->as.found.partitions = reply_u64(reader);
    event->as.found.groups = reply_u64(reader);
    if (!reader->bad)
        driver_step(driver, event);
}

static void copy_hex(struct mk_hex *out, struct span text)
{
    memset(out, 0, sizeof *out);
    if (text.bytes < sizeof out->text && text.bytes)
        memcpy(out->text, text.at, text.bytes);
}

/* <record> of codec/script.h: a lease as it is stored. */
static void read_record(struct reply_reader *reader, struct lease *lease)
{
    copy_hex(&lease->history, reply_text(reader));
    id_set(&lease->owner.node, reply_text(reader));
    copy_hex(&lease->owner.incarnation, reply_text(reader));
    lease->fence = reply_u64(reader);
    lease->sequence = reply_u64(reader);
    lease->published = reply_u64(reader);
    lease->horizon_ms = reply_u64(reader);
    lease->bytes = reply_u64(reader);
    lease->renewals = reply_u64(reader);
    lease->expires_ms = reply_u64(reader);
    lease->began = reply_u64(reader);
    id_set(&lease->successor, reply_text(reader));
}

static void read_lease(struct reply_reader *reader, enum node_effect_type type, struct lease *lease)
{
    lease->status = reply_status(reader);
    if (type == DO_CLAIM || type == DO_WATCH) {
        read_record(reader, lease);
        return;
    }
    id_set(&lease->owner.node, reply_text(reader));
    lease->fence = reply_u64(reader);
    if (type == DO_RENEW)
        lease->began = reply_u64(reader);
    else
        lease->sessions = reply_u64(reader);
}

/* The answers of all parts are one event. */
static void on_leases(struct driver *driver, struct node_event *event, struct reply_reader *reader,
                      struct driver_call *call, const struct call_part *part)
{
    for (size_t i = 0; i < part->count && !reader->bad; i++)
        read_lease(reader, call->type, &call->leases[call->order[part->first + i]]);
    event->type = call->type == DO_CLAIM   ? EV_CLAIMED
                  : call->type == DO_RENEW ? EV_RENEWED
                  : call->type == DO_WATCH ? EV_WATCHED
                                           : EV_RELEASED;
    event->store_ms = call->store_ms;
    event->as.leases.leases = call->leases;
    event->as.leases.count = call->count;
    if (!reader->bad && !call->awaited)
        driver_step(driver, event);
}

/* A word of another version: one that is there, and takes nothing that another can take. */
static enum member_phase phase_of(struct span text)
{
    for (enum member_phase phase = 0; phase < MEMBER_PHASE_COUNT; phase++)
        if (span_is(text, member_phase_name(phase)))
            return phase;
    return MEMBER_DEAF;
}

static void on_members(struct driver *driver, struct node_event *event, struct reply_reader *reader)
{
    event->type = EV_MEMBERS;
    event->as.members.status = reply_status(reader);
    struct member *list = calloc(reader->left / 4 + 1, sizeof *list);
    if (!list) {
        reader->bad = true; /* no memory: as good as a lost reply */
        return;
    }
    size_t count = 0;
    while (reader->left && !reader->bad) {
        struct member *member = &list[count];
        bool named = id_set(&member->who.node, reply_text(reader));
        copy_hex(&member->who.incarnation, reply_text(reader));
        member->phase = phase_of(reply_text(reader));
        member->expires_ms = reply_u64(reader);
        count += named; /* a name that is too long is no node's */
    }
    event->as.members.list = list;
    event->as.members.count = count;
    if (!reader->bad)
        driver_step(driver, event);
    free(list);
}

/* Where the failed conditions of a skipped section stand in the reply. */
struct skipped_at {
    size_t part, section;
    const struct span *items;
    size_t conditions;
};

struct skipped_list {
    struct skipped_at *list;
    size_t *sections; /* the same indexes, one part behind the other */
    size_t count;
};

static bool known(void *self, size_t part, size_t section, size_t index, struct known_fact *out)
{
    const struct skipped_list *skipped = self;
    for (size_t i = 0; i < skipped->count; i++) {
        const struct skipped_at *at = &skipped->list[i];
        if (at->part != part || at->section != section)
            continue;
        struct span session;
        if (index >= at->conditions || !fact_field_split(at->items[2 * index], &session, &out->kind, &out->name))
            return false;
        out->bytes = at->items[2 * index + 1];
        /* A record that cannot be read is still there: the name is taken, and nothing more is known of it. */
        if (fact_record_read(out->bytes, &out->record, NULL))
            out->record = (struct fact_record){.kind = out->kind, .phase = INPUT_PHASE_COUNT};
        return true;
    }
    return false;
}

static bool read_verdict(struct reply_reader *reader, size_t part, struct part_verdict *verdict,
                         struct skipped_list *skipped, size_t room)
{
    verdict->status = reply_status(reader);
    verdict->sequence = reply_u64(reader);
    verdict->fence = reply_u64(reader);
    verdict->began = reply_u64(reader);
    verdict->skipped_count = (size_t)reply_u64(reader);
    verdict->skipped = skipped->sections + skipped->count;
    for (size_t i = 0; i < verdict->skipped_count; i++) {
        if (skipped->count == room)
            return false;
        struct skipped_at *at = &skipped->list[skipped->count];
        *at = (struct skipped_at){.part = part, .section = (size_t)reply_u64(reader)};
        at->conditions = (size_t)reply_u64(reader);
        at->items = reader->items;
        skipped->sections[skipped->count++] = at->section;
        for (size_t c = 0; c < 2 * at->conditions && !reader->bad; c++)
            reply_text(reader);
    }
    return !reader->bad;
}

static void on_committed(struct driver *driver, struct node_event *event, struct reply_reader *reader,
                         const struct driver_call *call)
{
    size_t room = 1;
    for (size_t i = 0; i < call->count; i++)
        room += call->section_counts[i];
    struct skipped_list skipped = {calloc(room, sizeof *skipped.list), calloc(room, sizeof *skipped.sections), 0};
    struct part_verdict *verdicts = calloc(call->count, sizeof *verdicts);
    bool sound = skipped.list && skipped.sections && verdicts;
    for (size_t i = 0; i < call->count && sound; i++)
        sound = read_verdict(reader, i, &verdicts[i], &skipped, room);
    event->type = EV_COMMITTED;
    event->as.committed.parts = verdicts;
    event->as.committed.known = known;
    event->as.committed.self = &skipped;
    if (sound)
        driver_step(driver, event);
    reader->bad |= !sound;
    free(skipped.list);
    free(skipped.sections);
    free(verdicts);
}

/* Rows that cannot be read are counted and left out; the others are served (D7). */
static size_t read_rows(struct reply_reader *reader, size_t count, struct input_record *rows, size_t *bad_rows)
{
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        reply_text(reader); /* its sequence, which the row says too */
        struct span bytes = reply_text(reader);
        if (span_given(bytes) && !input_record_read(bytes, &rows[good], NULL))
            good++;
        else
            ++*bad_rows;
    }
    return good;
}

static void load_one(struct driver *driver, struct node_event *event, struct reply_reader *reader, struct span session)
{
    struct session_record head;
    struct run_record run;
    struct loaded *loaded = &event->as.loaded;
    *loaded = (struct loaded){.session = session, .status = reply_status(reader)};
    struct span bytes = reply_text(reader);
    loaded->state = reply_text(reader);
    size_t count = (size_t)reply_u64(reader);
    if (reader->bad || count > ACTIVE_INPUTS_MAX)
        return;
    struct input_record *rows = calloc(count ? count : 1, sizeof *rows);
    loaded->row_count = rows ? read_rows(reader, count, rows, &loaded->bad_rows) : 0;
    loaded->rows = rows;
    loaded->exists = span_given(bytes);
    loaded->head = &head;
    if (!rows)
        loaded->error = MK_ERR_OVERLOADED;
    else if (loaded->exists)
        loaded->error = session_record_read(bytes, &head, &run, driver->scratch->active, &loaded->note);
    event->type = EV_LOADED;
    if (!reader->bad)
        driver_step(driver, event);
    free(rows);
}

/* Each session is an event of its own, whatever part it comes in. */
static void on_loaded(struct driver *driver, struct node_event *event, struct reply_reader *reader,
                      const struct driver_call *call, const struct call_part *part)
{
    const size_t *items = call->order + part->first;
    for (size_t i = 0; i < part->count && !reader->bad; i++)
        load_one(driver, event, reader, session_id_span(&call->sessions[items[i]]));
}

static void on_facts(struct driver *driver, struct node_event *event, struct reply_reader *reader,
                     const struct driver_call *call)
{
    event->type = EV_FACTS;
    for (size_t i = 0; i < call->count && !reader->bad; i++) {
        struct fact_record record;
        event->as.fact.session = session_id_span(call->sessions);
        event->as.fact.kind = call->facts[i].kind;
        event->as.fact.name = id_span(&call->facts[i].name);
        event->as.fact.status = reply_status(reader);
        event->as.fact.bytes = reply_text(reader);
        event->as.fact.last = i + 1 == call->count;
        event->as.fact.record = NULL;
        if (span_given(event->as.fact.bytes)) {
            if (fact_record_read(event->as.fact.bytes, &record, NULL))
                record = (struct fact_record){.kind = call->facts[i].kind, .phase = INPUT_PHASE_COUNT};
            event->as.fact.record = &record;
        }
        if (!reader->bad)
            driver_step(driver, event);
    }
}

/* Fields "session/seq", in any order: each session once is enough, the core ignores repeats. */
static void on_active(struct driver *driver, struct node_event *event, struct reply_reader *reader, uint32_t partition)
{
    event->type = EV_ACTIVE;
    event->as.active.status = reply_status(reader);
    struct span *sessions = calloc(reader->left ? reader->left : 1, sizeof *sessions);
    if (!sessions) {
        reader->bad = true;
        return;
    }
    size_t count = 0;
    while (reader->left && !reader->bad) {
        struct span field = reply_text(reader);
        const char *slash = field.bytes ? memchr(field.at, '/', field.bytes) : NULL;
        struct span session = {field.at, slash ? (size_t)(slash - field.at) : 0};
        if (session_id_valid(session) && partition_of(session, driver->options.partitions) == partition)
            sessions[count++] = session;
    }
    event->as.active.sessions = sessions;
    event->as.active.count = count;
    driver_step(driver, event);
    free(sessions);
}

/* What the core wants to know of a published message; one that cannot be read has number 0. */
static void describe(struct outbox_event *item)
{
    struct message_head head;
    struct mk_completion completion;
    struct effect_in effect;
    if (message_head_read(item->message, &head, NULL))
        return;
    item->ts = head.h.ts;
    if (head.type == MK_COMPLETION && !completion_read(item->message, &completion, NULL)) {
        item->seq = completion.seq;
        item->input = completion.input;
        item->idem = completion.idem;
        if (completion.has_receipt) {
            item->run = completion.receipt.run;
            item->receipt_sequence = completion.receipt.sequence;
        }
    } else if (head.type == MK_EFFECT && !effect_read(item->message, &effect, NULL)) {
        item->seq = effect.seq;
    }
}

/* Of one that cannot be read nothing is known but that it is a memo. */
static void describe_memo(struct outbox_event *item)
{
    struct memo_record memo;
    item->session = memo_session(item->session);
    item->memo = true;
    if (memo_record_read(item->message, &memo, NULL))
        return;
    item->ts = memo.at_ms;
    if (memo.kind == FACT_COMMAND)
        item->command = memo.name;
    else if (memo.kind == FACT_INPUT)
        item->input = memo.name;
}

/* A letter that cannot be read is still there, and told as it is. */
static void describe_letter(struct outbox_event *item)
{
    struct letter_record letter;
    if (letter_record_read(item->message, &letter, NULL))
        return;
    item->seq = letter.seq;
    item->ts = letter.at_ms;
    item->input = letter.input.h.id;
}

static void on_events(struct driver *driver, struct node_event *event, struct reply_reader *reader, bool letters)
{
    event->type = EV_EVENTS;
    event->as.events.status = reply_status(reader);
    event->as.events.last = reply_text(reader);
    struct outbox_event *events = calloc(reader->left / 3 + 1, sizeof *events);
    if (!events) {
        reader->bad = true;
        return;
    }
    size_t count = 0;
    while (reader->left && !reader->bad) {
        struct outbox_event *item = &events[count];
        item->id = reply_text(reader);
        item->session = reply_text(reader);
        item->message = reply_text(reader);
        if (reader->bad)
            break;
        if (letters)
            describe_letter(item);
        else if (span_given(memo_session(item->session)))
            describe_memo(item);
        else
            describe(item);
        count++;
    }
    event->as.events.events = events;
    event->as.events.count = count;
    if (!reader->bad)
        driver_step(driver, event);
    free(events);
}

static void read_reply(struct driver *driver, struct driver_call *call, const struct call_part *part,
                       struct node_event *event, struct reply_reader *reader)
{
    switch ((int)call->type) {
    case DO_FOUND:
        on_found(driver, event, reader);
        break;
    case DO_CLAIM:
    case DO_RENEW:
    case DO_RELEASE:
    case DO_WATCH:
        on_leases(driver, event, reader, call, part);
        break;
    case DO_MEMBERS:
        on_members(driver, event, reader);
        break;
    case DO_COMMIT:
        on_committed(driver, event, reader, call);
        break;
    case DO_LOAD:
        on_loaded(driver, event, reader, call, part);
        break;
    case DO_FACTS:
        on_facts(driver, event, reader, call);
        break;
    case DO_ACTIVE:
        on_active(driver, event, reader, call->partition);
        break;
    default:
        on_events(driver, event, reader, call->letters);
    }
}

bool driver_read_reply(struct driver *driver, struct driver_call *call, size_t part, const struct store_reply *reply)
{
    struct node_event event = driver_event(driver, EV_CALL_FAILED);
    struct reply_reader reader = reply_open(reply, &event.store_ms);
    event.call = call->id;
    if (call->store_ms < event.store_ms)
        call->store_ms = event.store_ms;
    enum script script = call->script;
    read_reply(driver, call, &call->parts[part], &event, &reader);
    if (!reader.bad)
        return true;
    /* A reply that is none of ours is as good as lost. */
    driver_say(driver, TRACE_ERROR, "a reply of the store cannot be read", span_of(script_name(script)));
    event.type = EV_CALL_FAILED;
    event.as.failed.unknown = true;
    event.as.failed.transient = true;
    event.as.failed.why = SPAN_LIT("unreadable reply");
    driver_step(driver, &event);
    return false;
}
