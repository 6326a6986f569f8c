/* Effects that are calls of the store: packed, sent, sent again; and their replies, turned back into events of the
 * core. */
#include "node/driver_impl.h"

#include "node/core/crc16.h"

#include <stdlib.h>

/* --- the list of calls on their way --- */

static struct driver_call *call_new(struct driver *driver, const struct node_effect *effect, enum script script)
{
    struct driver_call *out = calloc(1, sizeof *out);
    if (!out)
        return NULL;
    out->id = effect->call;
    out->type = effect->type;
    out->partition = effect->partition;
    call_init(&out->call, script);
    out->next = driver->calls;
    driver->calls = out;
    return out;
}

static struct driver_call *call_find(struct driver *driver, uint64_t id)
{
    struct driver_call *call = driver->calls;
    while (call && call->id != id)
        call = call->next;
    return call;
}

static void call_free(struct driver *driver, struct driver_call *call)
{
    struct driver_call **link = &driver->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    call_fini(&call->call);
    free(call->sessions);
    free(call->facts);
    free(call->leases);
    free(call->section_counts);
    free(call);
}

void driver_calls_free(struct driver *driver)
{
    while (driver->calls)
        call_free(driver, driver->calls);
}

/* The core is told once the effects at hand are performed (driver_step). */
static void not_sent(struct driver *driver, uint64_t id)
{
    if (driver->unsent_count == driver->unsent_room) {
        size_t room = driver->unsent_room ? 2 * driver->unsent_room : 16;
        uint64_t *unsent = realloc(driver->unsent, room * sizeof *unsent);
        if (!unsent)
            abort(); /* the core waits for this call for ever: better to die, and be taken over */
        driver->unsent = unsent;
        driver->unsent_room = room;
    }
    driver->unsent[driver->unsent_count++] = id;
}

static void send_call(struct driver *driver, uint64_t id, struct driver_call *call)
{
    struct store_call flat;
    bool sent = call && !call->failed && call_seal(&call->call, &flat) &&
                driver->ports.store.ops->call(driver->ports.store.self, id, &flat);
    if (sent) {
        driver->seen.commit_bytes += call->type == DO_COMMIT ? call->call.bytes.bytes : 0;
        return;
    }
    not_sent(driver, id);
    if (call && call->type != DO_COMMIT)
        call_free(driver, call);
}

/* --- packing --- */

static struct driver_call *pack_found(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_FOUND);
    if (!out)
        return NULL;
    call_key_text(&out->call, KEY_FACTS);
    call_u64(&out->call, 1);
    call_u64(&out->call, driver->options.partitions);
    call_u64(&out->call, driver->options.groups);
    call_text(&out->call, span_of(driver->config.cluster.text));
    return out;
}

static void pack_lease(struct call *call, enum node_effect_type type, const struct lease_call *lease)
{
    call_u64(call, lease->fence);
    if (type == DO_CLAIM)
        call_text(call, span_of(lease->history.text));
    if (type == DO_RENEW)
        call_u64(call, lease->renewals);
    else
        call_text(call, SPAN_LIT("")); /* claim: no counter stood still; release: no successor */
}

static struct driver_call *pack_leases(struct driver *driver, const struct node_effect *effect)
{
    static const enum script scripts[] = {
        [DO_CLAIM] = SCRIPT_CLAIM, [DO_RENEW] = SCRIPT_RENEW, [DO_RELEASE] = SCRIPT_RELEASE};
    struct driver_call *out = call_new(driver, effect, scripts[effect->type]);
    if (!out)
        return NULL;
    out->count = effect->as.leases.count;
    out->leases = malloc(out->count * sizeof *out->leases);
    out->failed = !out->leases;
    if (out->failed)
        return out;
    memcpy(out->leases, effect->as.leases.leases, out->count * sizeof *out->leases);
    for (size_t i = 0; i < out->count; i++)
        call_key(&out->call, out->leases[i].partition, driver->options.groups, 'l');
    call_lease(&out->call, &driver->config);
    if (effect->type != DO_RELEASE)
        call_u64(&out->call, driver->options.lease_ms);
    for (size_t i = 0; i < out->count; i++)
        pack_lease(&out->call, effect->type, &out->leases[i]);
    return out;
}

static uint64_t store_ms_now(const struct driver *driver)
{
    return node_store_ms(driver->node, driver_now(driver));
}

static struct driver_call *pack_commit(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_COMMIT);
    if (!out)
        return NULL;
    struct commit *commit = effect->as.commit;
    out->count = commit->part_count;
    out->section_counts = malloc(out->count * sizeof *out->section_counts);
    out->failed = !out->section_counts;
    for (size_t i = 0; i < out->count && !out->failed; i++)
        out->section_counts[i] = commit->parts[i].section_count;
    out->failed |=
        !call_commit(&out->call, &driver->config, commit, store_ms_now(driver), driver->mem, driver->scratch);
    return out;
}

static struct driver_call *pack_load(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_LOAD);
    if (!out)
        return NULL;
    size_t count = out->count = effect->as.load.count;
    struct slot *const *slots = effect->as.load.slots;
    out->sessions = malloc(count * sizeof *out->sessions);
    out->failed = !out->sessions;
    for (size_t i = 0; i < count; i++)
        for (const char *letter = "lsix"; *letter; letter++)
            call_key(&out->call, slot_partition(slots[i]), driver->options.groups, *letter);
    call_lease(&out->call, &driver->config);
    for (size_t i = 0; i < count && !out->failed; i++) {
        session_id_set(&out->sessions[i], slot_id(slots[i]));
        call_u64(&out->call, slot_fence(driver->node, slots[i]));
        call_text(&out->call, slot_id(slots[i]));
    }
    return out;
}

static struct driver_call *pack_facts(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_FACTS);
    if (!out)
        return NULL;
    const struct slot *slot = effect->as.facts.slot;
    for (const struct fact_want *want = effect->as.facts.session->stage.wants; want; want = want->next)
        out->count++;
    out->sessions = malloc(sizeof *out->sessions);
    out->facts = malloc(out->count * sizeof *out->facts);
    out->failed = !out->sessions || !out->facts;
    if (out->failed)
        return out;
    session_id_set(out->sessions, slot_id(slot));
    for (size_t i = 0; i < out->count; i++) {
        call_key(&out->call, slot_partition(slot), driver->options.groups, 'l');
        call_key(&out->call, slot_partition(slot), driver->options.groups, 't');
    }
    call_lease(&out->call, &driver->config);
    size_t i = 0;
    for (const struct fact_want *want = effect->as.facts.session->stage.wants; want; want = want->next, i++) {
        char field[FACT_FIELD_BYTES];
        out->facts[i] = (struct asked_fact){want->kind, want->name};
        call_u64(&out->call, slot_fence(driver->node, slot));
        call_text(&out->call, (struct span){field, fact_field(field, slot_id(slot), want->kind, id_span(&want->name))});
    }
    return out;
}

static struct driver_call *pack_partition(struct driver *driver, const struct node_effect *effect)
{
    bool active = effect->type == DO_ACTIVE;
    struct driver_call *out = call_new(driver, effect, active ? SCRIPT_ACTIVE : SCRIPT_EVENTS);
    if (!out)
        return NULL;
    call_key(&out->call, effect->partition, driver->options.groups, 'l');
    call_key(&out->call, effect->partition, driver->options.groups, active ? 'i' : 'o');
    call_lease(&out->call, &driver->config);
    call_u64(&out->call, effect->fence);
    if (active)
        return out;
    call_text(&out->call, span_of(effect->as.events.from));
    call_u64(&out->call, effect->as.events.count);
    call_text(&out->call, session_id_span(&effect->as.events.session));
    return out;
}

void driver_call_effect(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *call = NULL;
    switch ((int)effect->type) {
    case DO_FOUND:
        call = pack_found(driver, effect);
        break;
    case DO_RELEASE: /* what waits leaves before the lease is given up */
        driver_out_flush(driver);
        call = pack_leases(driver, effect);
        break;
    case DO_CLAIM:
    case DO_RENEW:
        call = pack_leases(driver, effect);
        break;
    case DO_COMMIT:
        call = pack_commit(driver, effect);
        break;
    case DO_LOAD:
        call = pack_load(driver, effect);
        break;
    case DO_FACTS:
        call = pack_facts(driver, effect);
        break;
    case DO_ACTIVE:
    case DO_EVENTS:
        call = pack_partition(driver, effect);
        break;
    case DO_RESEND:
        call = call_find(driver, effect->call);
        break;
    default: /* DO_FORGET */
        if ((call = call_find(driver, effect->call)))
            call_free(driver, call);
        return;
    }
    send_call(driver, effect->call, call);
}

/* --- replies --- */

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

static void read_lease(struct reply_reader *reader, const struct driver_call *call, struct lease *lease)
{
    lease->status = reply_status(reader);
    if (call->type == DO_CLAIM)
        copy_hex(&lease->history, reply_text(reader));
    id_set(&lease->owner.node, reply_text(reader));
    if (call->type == DO_CLAIM)
        copy_hex(&lease->owner.incarnation, reply_text(reader));
    lease->fence = reply_u64(reader);
    if (call->type != DO_CLAIM)
        return;
    lease->sequence = reply_u64(reader);
    lease->published = reply_u64(reader);
    lease->horizon_ms = reply_u64(reader);
    lease->bytes = reply_u64(reader);
    lease->renewals = reply_u64(reader);
    lease->expires_ms = reply_u64(reader);
}

static void on_leases(struct driver *driver, struct node_event *event, struct reply_reader *reader,
                      const struct driver_call *call)
{
    struct lease *leases = calloc(call->count, sizeof *leases);
    if (!leases) {
        reader->bad = true; /* no memory: as good as a lost reply */
        return;
    }
    for (size_t i = 0; i < call->count; i++) {
        leases[i].partition = call->leases[i].partition;
        read_lease(reader, call, &leases[i]);
    }
    event->type = call->type == DO_CLAIM ? EV_CLAIMED : call->type == DO_RENEW ? EV_RENEWED : EV_RELEASED;
    event->as.leases.leases = leases;
    event->as.leases.count = call->count;
    if (!reader->bad)
        driver_step(driver, event);
    free(leases);
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
        loaded->error = session_record_read(bytes, &head, &run, driver->scratch->active, NULL);
    event->type = EV_LOADED;
    if (!reader->bad)
        driver_step(driver, event);
    free(rows);
}

static void on_loaded(struct driver *driver, struct node_event *event, struct reply_reader *reader,
                      const struct driver_call *call)
{
    for (size_t i = 0; i < call->count && !reader->bad; i++)
        load_one(driver, event, reader, session_id_span(&call->sessions[i]));
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

static void on_events(struct driver *driver, struct node_event *event, struct reply_reader *reader)
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
        describe(item);
        count++;
    }
    event->as.events.events = events;
    event->as.events.count = count;
    if (!reader->bad)
        driver_step(driver, event);
    free(events);
}

static void on_reply(struct driver *driver, struct driver_call *call, const struct store_reply *reply)
{
    struct node_event event = driver_event(driver, EV_CALL_FAILED);
    struct reply_reader reader = reply_open(reply, &event.store_ms);
    event.call = call->id;
    switch ((int)call->type) {
    case DO_FOUND:
        on_found(driver, &event, &reader);
        break;
    case DO_CLAIM:
    case DO_RENEW:
    case DO_RELEASE:
        on_leases(driver, &event, &reader, call);
        break;
    case DO_COMMIT:
        on_committed(driver, &event, &reader, call);
        break;
    case DO_LOAD:
        on_loaded(driver, &event, &reader, call);
        break;
    case DO_FACTS:
        on_facts(driver, &event, &reader, call);
        break;
    case DO_ACTIVE:
        on_active(driver, &event, &reader, call->partition);
        break;
    default:
        on_events(driver, &event, &reader);
    }
    if (!reader.bad)
        return;
    /* A reply that is none of ours is as good as lost. */
    driver_say(driver, TRACE_ERROR, "a reply of the store cannot be read", span_of(script_name(call->call.script)));
    event.type = EV_CALL_FAILED;
    event.as.failed.unknown = true;
    event.as.failed.transient = true;
    event.as.failed.why = SPAN_LIT("unreadable reply");
    driver_step(driver, &event);
}

static bool starts(struct span text, const char *prefix)
{
    return text.bytes >= strlen(prefix) && memcmp(text.at, prefix, strlen(prefix)) == 0;
}

/* The store refuses for reasons of its own, whatever was asked. */
static bool transient(struct span error)
{
    static const char *const prefixes[] = {"LOADING",  "BUSY",       "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN",
                                           "READONLY", "NOREPLICAS", "NOAUTH",     "NOPERM",   "OOM",
                                           "MISCONF",  "NOSCRIPT",   "UNKILLABLE", "MOVED",    "ASK"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (starts(error, prefixes[i]))
            return true;
    return false;
}

void driver_store_reply(struct driver *driver, uint64_t tag, const struct store_reply *reply)
{
    struct driver_call *call = call_find(driver, tag);
    if (!call)
        return;
    bool commit = call->type == DO_COMMIT;
    if (reply->verdict == STORE_REPLIED) {
        on_reply(driver, call, reply);
    } else {
        struct node_event event = driver_event(driver, EV_CALL_FAILED);
        event.call = tag;
        event.as.failed.unknown = reply->verdict == STORE_UNKNOWN;
        event.as.failed.transient = transient(reply->error);
        event.as.failed.why = reply->error;
        driver_say(driver, TRACE_WARN, "a call of the store failed", reply->error);
        driver_step(driver, &event);
    }
    if (!commit && (call = call_find(driver, tag)))
        call_free(driver, call);
}
