/* Effects that are calls of the store: packed, sent, sent again. What their replies say is read in driver_replies.c. */
#include "node/driver_impl.h"

#include <stdlib.h>

/* --- the list of calls on their way --- */

/* With room for so many parts, and none yet. */
static struct driver_call *call_new(struct driver *driver, const struct node_effect *effect, enum script script,
                                    size_t room)
{
    struct driver_call *out = calloc(1, sizeof *out + room * sizeof *out->parts);
    if (!out)
        return NULL;
    out->id = effect->call;
    out->type = effect->type;
    out->partition = effect->partition;
    out->script = script;
    out->next = driver->calls;
    driver->calls = out;
    return out;
}

static struct call_part *part_new(struct driver_call *call, size_t first)
{
    struct call_part *part = &call->parts[call->part_count++];
    part->first = first;
    call_init(&part->call, call->script);
    return part;
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
    for (size_t i = 0; i < call->part_count; i++)
        call_fini(&call->parts[i].call);
    free(call->sessions);
    free(call->facts);
    free(call->leases);
    free(call->section_counts);
    free(call->order);
    free(call);
}

void driver_calls_free(struct driver *driver)
{
    while (driver->calls)
        call_free(driver, driver->calls);
}

/* The core is told once the effects at hand are performed (driver_step). */
static void not_sent(struct driver *driver, uint64_t id, bool begun)
{
    if (driver->unsent_count == driver->unsent_room) {
        size_t room = driver->unsent_room ? 2 * driver->unsent_room : 16;
        struct unsent_call *unsent = realloc(driver->unsent, room * sizeof *unsent);
        if (!unsent)
            abort(); /* the core waits for this call for ever: better to die, and be taken over */
        driver->unsent = unsent;
        driver->unsent_room = room;
    }
    driver->unsent[driver->unsent_count++] = (struct unsent_call){id, begun};
}

/* The tag of a part: the first has the call's id, so that most calls have no other. */
#define PART_SHIFT 48

static bool send_part(struct driver *driver, struct driver_call *call, size_t part)
{
    struct store_call flat;
    struct call *packed = &call->parts[part].call;
    uint64_t tag = call->id | (uint64_t)part << PART_SHIFT;
    if (!call_seal(packed, &flat) || !driver->ports.store.ops->call(driver->ports.store.self, tag, &flat))
        return false;
    call->awaited++;
    driver->seen.commit_bytes += call->type == DO_COMMIT ? packed->bytes.bytes : 0;
    return true;
}

/* A call that is sent in part is given up; what comes for it finds it gone. */
static void send_call(struct driver *driver, uint64_t id, struct driver_call *call)
{
    size_t sent = 0;
    if (call)
        call->awaited = 0;
    while (call && !call->failed && sent < call->part_count && send_part(driver, call, sent))
        sent++;
    if (call && !call->failed && sent == call->part_count)
        return;
    not_sent(driver, id, sent > 0);
    if (call && call->type != DO_COMMIT)
        call_free(driver, call);
}

/* --- packing: calls of one part --- */

static struct call *only_part(struct driver_call *call)
{
    return &part_new(call, 0)->call;
}

static struct driver_call *pack_found(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_FOUND, 1);
    if (!out)
        return NULL;
    struct call *call = only_part(out);
    call_key_text(call, KEY_FACTS);
    call_u64(call, 1);
    call_u64(call, driver->options.partitions);
    call_u64(call, driver->options.groups);
    call_text(call, span_of(driver->config.cluster.text));
    return out;
}

static struct driver_call *pack_members(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_MEMBERS, 1);
    if (!out)
        return NULL;
    struct call *call = only_part(out);
    call_key_text(call, KEY_MEMBERS);
    call_lease(call, &driver->config);
    call_u64(call, driver->options.lease_ms);
    call_text(call, span_of(effect->as.members.leave ? "" : member_phase_name(effect->as.members.phase)));
    return out;
}

static uint64_t store_ms_now(const struct driver *driver)
{
    return node_store_ms(driver->node, driver_now(driver));
}

static struct driver_call *pack_commit(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_COMMIT, 1);
    if (!out)
        return NULL;
    struct call *call = only_part(out);
    struct commit *commit = effect->as.commit;
    out->count = commit->part_count;
    out->section_counts = malloc(out->count * sizeof *out->section_counts);
    out->failed = !out->section_counts;
    for (size_t i = 0; i < out->count && !out->failed; i++)
        out->section_counts[i] = commit->parts[i].section_count;
    out->failed |= !call_commit(call, &driver->config, commit, store_ms_now(driver), driver->mem, driver->scratch);
    return out;
}

static struct driver_call *pack_facts(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *out = call_new(driver, effect, SCRIPT_FACTS, 1);
    if (!out)
        return NULL;
    struct call *call = only_part(out);
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
        call_key(call, slot_partition(slot), driver->options.groups, 'l');
        call_key(call, slot_partition(slot), driver->options.groups, 't');
    }
    call_lease(call, &driver->config);
    size_t i = 0;
    for (const struct fact_want *want = effect->as.facts.session->stage.wants; want; want = want->next, i++) {
        char field[FACT_FIELD_BYTES];
        out->facts[i] = (struct asked_fact){want->kind, want->name};
        call_u64(call, slot_fence(driver->node, slot));
        call_text(call, (struct span){field, fact_field(field, slot_id(slot), want->kind, id_span(&want->name))});
    }
    return out;
}

static struct driver_call *pack_partition(struct driver *driver, const struct node_effect *effect)
{
    bool active = effect->type == DO_ACTIVE;
    struct driver_call *out = call_new(driver, effect, active ? SCRIPT_ACTIVE : SCRIPT_EVENTS, 1);
    if (!out)
        return NULL;
    struct call *call = only_part(out);
    call_key(call, effect->partition, driver->options.groups, 'l');
    out->letters = !active && effect->as.events.letters;
    call_key(call, effect->partition, driver->options.groups, active ? 'i' : out->letters ? 'd' : 'o');
    call_lease(call, &driver->config);
    call_u64(call, effect->fence);
    if (active)
        return out;
    call_text(call, span_of(effect->as.events.from));
    call_u64(call, effect->as.events.count);
    call_text(call, session_id_span(&effect->as.events.session));
    return out;
}

/* --- packing: calls about many leases or sessions --- */

/* Their scripts, the keys of one item, and how many arguments come first and with each item. */
struct many {
    enum script script;
    const char *letters;
    size_t args, args_each;
};

static const struct many *many_of(enum node_effect_type type)
{
    static const struct many load = {SCRIPT_LOAD, "lsix", 2, 2}, claim = {SCRIPT_CLAIM, "l", 3, 3},
                             renew = {SCRIPT_RENEW, "l", 3, 2}, release = {SCRIPT_RELEASE, "ls", 2, 3},
                             watch = {SCRIPT_WATCH, "l", 0, 0};
    return type == DO_LOAD    ? &load
           : type == DO_CLAIM ? &claim
           : type == DO_RENEW ? &renew
           : type == DO_WATCH ? &watch
                              : &release;
}

static size_t item_count(const struct node_effect *effect)
{
    return effect->type == DO_LOAD ? effect->as.load.count : effect->as.leases.count;
}

static uint32_t item_partition(const struct node_effect *effect, size_t i)
{
    return effect->type == DO_LOAD ? slot_partition(effect->as.load.slots[i]) : effect->as.leases.leases[i].partition;
}

/* Which items go together: those of one group, no more of them than one call may carry. */
static void split(struct driver_call *call, const struct node_effect *effect, uint32_t groups, size_t most)
{
    size_t placed = 0;
    for (uint32_t group = 0; group < groups && placed < call->count; group++) {
        struct call_part *part = NULL;
        for (size_t i = 0; i < call->count; i++) {
            if (item_partition(effect, i) % groups != group)
                continue;
            if (!part || part->count == most)
                part = part_new(call, placed);
            part->count++;
            call->order[placed++] = i;
        }
    }
}

static void pack_session(struct driver *driver, struct call *call, const struct slot *slot)
{
    call_u64(call, slot_fence(driver->node, slot));
    call_text(call, slot_id(slot));
}

static void pack_lease(struct call *call, enum node_effect_type type, const struct lease_call *lease)
{
    if (type == DO_WATCH)
        return;
    call_u64(call, lease->fence);
    if (type == DO_CLAIM)
        call_text(call, span_of(lease->history.text));
    if (type == DO_RELEASE) {
        call_text(call, id_span(&lease->successor));
        call_u64(call, lease->published);
    } else if (type == DO_RENEW || lease->stood) {
        call_u64(call, lease->renewals);
    } else {
        call_text(call, SPAN_LIT("")); /* no counter stood still */
    }
}

static void pack_part(struct driver *driver, const struct node_effect *effect, const struct driver_call *out,
                      struct call_part *part)
{
    const size_t *items = out->order + part->first;
    const struct many *many = many_of(effect->type);
    for (size_t i = 0; i < part->count; i++)
        for (const char *letter = many->letters; *letter; letter++)
            call_key(&part->call, item_partition(effect, items[i]), driver->options.groups, *letter);
    if (many->args >= 2)
        call_lease(&part->call, &driver->config);
    if (many->args >= 3)
        call_u64(&part->call, driver->options.lease_ms);
    for (size_t i = 0; i < part->count; i++)
        if (effect->type == DO_LOAD)
            pack_session(driver, &part->call, effect->as.load.slots[items[i]]);
        else
            pack_lease(&part->call, effect->type, &effect->as.leases.leases[items[i]]);
}

/* What the answers will be about. False: no memory. */
static bool remember_items(struct driver_call *out, const struct node_effect *effect)
{
    bool load = effect->type == DO_LOAD;
    out->order = malloc((out->count + 1) * sizeof *out->order);
    out->sessions = load ? malloc((out->count + 1) * sizeof *out->sessions) : NULL;
    out->leases = load ? NULL : calloc(out->count + 1, sizeof *out->leases);
    if (!out->order || !(load ? (void *)out->sessions : (void *)out->leases))
        return false;
    for (size_t i = 0; i < out->count; i++)
        if (load)
            session_id_set(&out->sessions[i], slot_id(effect->as.load.slots[i]));
        else
            out->leases[i].partition = item_partition(effect, i);
    return true;
}

static struct driver_call *pack_many(struct driver *driver, const struct node_effect *effect)
{
    const struct many *many = many_of(effect->type);
    size_t most = (CALL_ARGS_MAX - many->args) / (strlen(many->letters) + many->args_each);
    size_t count = item_count(effect), room = driver->options.groups + count / most;
    struct driver_call *out = call_new(driver, effect, many->script, room);
    if (!out)
        return NULL;
    out->count = count;
    out->failed = !remember_items(out, effect);
    if (out->failed)
        return out;
    split(out, effect, driver->options.groups, most);
    for (size_t i = 0; i < out->part_count; i++)
        pack_part(driver, effect, out, &out->parts[i]);
    return out;
}

void driver_call_effect(struct driver *driver, const struct node_effect *effect)
{
    struct driver_call *call = NULL;
    switch ((int)effect->type) {
    case DO_FOUND:
        call = pack_found(driver, effect);
        break;
    case DO_CLAIM:
    case DO_RENEW:
    case DO_RELEASE:
    case DO_WATCH:
    case DO_LOAD:
        call = pack_many(driver, effect);
        break;
    case DO_MEMBERS:
        call = pack_members(driver, effect);
        break;
    case DO_COMMIT:
        call = pack_commit(driver, effect);
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

/* --- what becomes of a call --- */

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

static void say_failed(struct driver *driver, const struct driver_call *call, const struct store_reply *reply)
{
    struct node_event event = driver_event(driver, EV_CALL_FAILED);
    event.call = call->id;
    event.as.failed.unknown = reply->verdict == STORE_UNKNOWN || call->part_count > 1;
    event.as.failed.transient = transient(reply->error);
    event.as.failed.why = reply->error;
    driver_say(driver, TRACE_WARN, "a call of the store failed", reply->error);
    driver_step(driver, &event);
}

void driver_store_reply(struct driver *driver, uint64_t tag, const struct store_reply *reply)
{
    size_t part = (size_t)(tag >> PART_SHIFT);
    uint64_t id = tag & (((uint64_t)1 << PART_SHIFT) - 1);
    struct driver_call *call = call_find(driver, id);
    if (!call || part >= call->part_count || !call->awaited)
        return;
    bool commit = call->type == DO_COMMIT, last = --call->awaited == 0;
    bool failed = reply->verdict != STORE_REPLIED;
    if (failed)
        say_failed(driver, call, reply);
    else
        failed = !driver_read_reply(driver, call, part, reply);
    /* A commit stays until the core forgets it; what comes for the other parts of a call that failed finds it gone. */
    if (!commit && (failed || last) && (call = call_find(driver, id)))
        call_free(driver, call);
}
