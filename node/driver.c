#include "node/driver_impl.h"

#include "node/core/crc16.h"

#include <stdio.h>
#include <stdlib.h>

#define SILENT_HEARTBEATS 4 /* own heartbeats not heard before the bus is called down */

/* --- life --- */

static bool executor_known(void *self, struct span name)
{
    struct driver *driver = self;
    return driver->ports.executor.ops->known(driver->ports.executor.self, name);
}

static void random_hex(const struct driver *driver, struct mk_hex *hex)
{
    uint64_t bits[2];
    driver->ports.clock.ops->random(driver->ports.clock.self, bits, sizeof bits);
    snprintf(hex->text, sizeof hex->text, "%016llx%016llx", (unsigned long long)bits[0], (unsigned long long)bits[1]);
}

static enum mk_err check_options(const struct driver_options *options, struct mk_note *note)
{
    if (options->partitions < 1 || options->partitions > PARTITIONS_MAX)
        return err_set(note, MK_ERR_INVALID_FIELD, "partitions: %u, allowed 1..%d", options->partitions,
                       PARTITIONS_MAX);
    if (options->groups < 1 || options->groups > GROUPS_MAX || options->groups > options->partitions)
        return err_set(note, MK_ERR_INVALID_FIELD, "groups: %u, allowed 1..%d and at most the partitions",
                       options->groups, GROUPS_MAX);
    if (options->lease_ms < LEASE_MS_MIN || options->lease_ms > LEASE_MS_MAX)
        return err_set(note, MK_ERR_INVALID_FIELD, "lease: %llu ms, allowed %d..%d",
                       (unsigned long long)options->lease_ms, LEASE_MS_MIN, LEASE_MS_MAX);
    return MK_ERR_OK;
}

struct driver *driver_new(const struct driver_options *options, const struct ports *ports, const struct mk_mem *mem,
                          struct mk_note *note)
{
    if (check_options(options, note))
        return NULL;
    struct driver *driver = calloc(1, sizeof *driver);
    if (!driver)
        goto out;
    driver->options = *options;
    driver->ports = *ports;
    driver->mem = mem;
    node_effects_init(&driver->fx, mem);
    outgoing_init(&driver->out, mem, options->frame_bytes_max);
    driver->config = (struct node_config){
        .node = options->node,
        .partitions = options->partitions,
        .groups = options->groups,
        .lease_ms = options->lease_ms,
        .idle_evict_ms = options->idle_evict_ms,
        .heartbeat_ms = options->heartbeat_ms,
        .retain_ms = options->retain_ms,
        .retain_bytes = options->retain_bytes,
        .answer_bytes_max = options->frame_bytes_max - options->frame_bytes_max / 8,
        .held_events_max = HELD_EVENTS_MAX,
        .held_bytes_max = HELD_BYTES_MAX,
        .finish_ms = options->finish_ms,
        .auto_register = options->auto_register,
        .storeless = options->alone,
        .executor_known = executor_known,
        .self = driver,
    };
    random_hex(driver, &driver->config.incarnation);
    random_hex(driver, &driver->config.cluster);
    ports->clock.ops->random(ports->clock.self, driver->config.random_seed, sizeof driver->config.random_seed);
    driver->scratch = calloc(1, sizeof *driver->scratch);
    driver->node = node_new(&driver->config, mem);
    if (driver->scratch && driver->node)
        return driver;
out:
    driver_free(driver);
    err_set(note, MK_ERR_OVERLOADED, "no memory for the driver");
    return NULL;
}

void driver_free(struct driver *driver)
{
    if (!driver)
        return;
    node_effects_fini(&driver->fx);
    outgoing_fini(&driver->out);
    driver_calls_free(driver);
    node_free(driver->node);
    if (driver->scratch)
        buf_fini(&driver->scratch->record);
    buf_fini(&driver->pack);
    free(driver->scratch);
    free(driver->unsent);
    free(driver);
}

/* --- steps --- */

uint64_t driver_now(const struct driver *driver)
{
    return driver->ports.clock.ops->now_ms(driver->ports.clock.self);
}

struct node_event driver_event(const struct driver *driver, enum node_event_type type)
{
    return (struct node_event){.type = type,
                               .now_ms = driver_now(driver),
                               .unix_ms = driver->ports.clock.ops->unix_ms(driver->ports.clock.self)};
}

void driver_say(struct driver *driver, enum trace_level level, const char *what, struct span why)
{
    struct trace_field field = {.key = "why", .text = why};
    driver->ports.trace.ops->line(driver->ports.trace.self, level, what, &field, span_given(why) ? 1 : 0);
}

static void perform(struct driver *driver, struct node_effect *effect)
{
    if (effect->type <= DO_FORGET)
        driver_call_effect(driver, effect);
    else
        driver_out_effect(driver, effect);
}

static void step_once(struct driver *driver, const struct node_event *event)
{
    node_step(driver->node, event, &driver->fx);
    for (size_t i = 0; i < driver->fx.count; i++)
        perform(driver, &driver->fx.list[i]);
    node_effects_reset(&driver->fx);
}

void driver_step(struct driver *driver, const struct node_event *event)
{
    step_once(driver, event);
    while (driver->unsent_count) {
        struct node_event failed = driver_event(driver, EV_CALL_FAILED);
        const struct unsent_call *unsent = &driver->unsent[--driver->unsent_count];
        failed.call = unsent->id;
        failed.as.failed.unknown = unsent->begun;
        failed.as.failed.transient = true;
        failed.as.failed.why = SPAN_LIT("not sent");
        step_once(driver, &failed);
    }
}

void driver_start(struct driver *driver)
{
    struct node_event event = driver_event(driver, EV_START);
    driver_step(driver, &event);
    driver_store_up(driver, driver->ports.store.ops->connected(driver->ports.store.self));
}

void driver_bus_up(struct driver *driver, bool up)
{
    struct node_event event = driver_event(driver, EV_BUS);
    event.as.up = up;
    driver_step(driver, &event);
}

void driver_store_up(struct driver *driver, bool up)
{
    struct node_event event = driver_event(driver, EV_STORE);
    event.as.up = up;
    driver_step(driver, &event);
}

static bool result_fits(const struct driver *driver, const struct run_done *done, struct mk_note *note)
{
    size_t most = driver->options.frame_bytes_max - driver->options.frame_bytes_max / 16 - 1024;
    for (size_t i = 0; i < done->result_count; i++)
        if (done->results[i].bytes > most)
            return !err_set(note, MK_ERR_RESULT_TOO_LARGE, "a result is %zu bytes, limit %zu", done->results[i].bytes,
                            most);
    for (size_t i = 0; i < done->event_count; i++)
        if (done->events[i].data.bytes + done->events[i].name.bytes > most)
            return !err_set(note, MK_ERR_RESULT_TOO_LARGE, "an event is %zu bytes, limit %zu",
                            done->events[i].data.bytes, most);
    if (done->has_state && done->state.bytes > STATE_BYTES_MAX)
        return !err_set(note, MK_ERR_RESULT_TOO_LARGE, "the state is %zu bytes, limit %u", done->state.bytes,
                        STATE_BYTES_MAX);
    return true;
}

void driver_run_done(struct driver *driver, struct span session, const struct run_done *done)
{
    struct mk_note note = {""};
    struct run_done failure = {.run = done->run,
                               .attempt = done->attempt,
                               .end = RUN_FAILED,
                               .cause = CAUSE_RUNTIME_APPLY,
                               .error = MK_ERR_RESULT_TOO_LARGE};
    struct node_event event = driver_event(driver, EV_RUN_DONE);
    event.as.run.session = session;
    event.as.run.done = done;
    if (!result_fits(driver, done, &note)) {
        failure.message = span_of(note.text);
        event.as.run.done = &failure;
    }
    driver_step(driver, &event);
}

void driver_boundary(struct driver *driver, struct span session, const struct run_at *at, bool live)
{
    struct node_event event = driver_event(driver, EV_BOUNDARY);
    event.as.boundary.session = session;
    event.as.boundary.at = at;
    event.as.boundary.live = live;
    driver_step(driver, &event);
}

void driver_injected(struct driver *driver, struct span session, const struct run_injected *injected)
{
    struct node_event event = driver_event(driver, EV_INJECTED);
    event.as.injected.session = session;
    event.as.injected.what = injected;
    driver_step(driver, &event);
}

void driver_tick(struct driver *driver)
{
    struct node_event event = driver_event(driver, EV_TICK);
    driver_step(driver, &event);
    uint64_t silent_ms = SILENT_HEARTBEATS * driver->options.heartbeat_ms;
    if (driver->own_heard_ms && event.now_ms > driver->own_heard_ms + silent_ms) {
        driver->own_heard_ms = 0;
        driver_bus_up(driver, false);
    }
}

void driver_turn_end(struct driver *driver)
{
    driver_out_flush(driver);
    struct node_event event = driver_event(driver, EV_TURN_END);
    driver_step(driver, &event);
    driver_out_flush(driver);
}

void driver_leave(struct driver *driver)
{
    struct node_event event = driver_event(driver, EV_LEAVE);
    driver_step(driver, &event);
}

uint64_t driver_due_ms(const struct driver *driver)
{
    uint64_t due = node_due_ms(driver->node), now = driver_now(driver);
    /* What waits for a lease to be safe again is looked at when the renewal comes; a short look now and then costs
     * nothing. */
    if (driver->out.waiting && due > now + 10)
        due = now + 10;
    return due;
}

/* --- frames in --- */

struct incoming {
    struct topic topic;
    struct mk_blob *frame;
};

static bool class_fits(enum topic_class class, enum mk_type type)
{
    return (class == TOPIC_IN && type == MK_INPUT) ||
           ((class == TOPIC_CTL || class == TOPIC_NODE) && type == MK_COMMAND) ||
           (class == TOPIC_HB && type == MK_HEARTBEAT);
}

static void bad(struct driver *driver, const struct incoming *in, const struct message_head *head, enum mk_err why,
                const struct mk_note *note)
{
    driver->seen.frames_bad++;
    bool ours = in->topic.class == TOPIC_NODE && !in->topic.any_name;
    if ((in->topic.class == TOPIC_IN || in->topic.class == TOPIC_CTL) && !in->topic.any_partition) {
        struct mk_owned owned;
        uint32_t wanted = in->topic.partition % driver->options.partitions, cursor = wanted;
        ours = node_owned_next(driver->node, &cursor, &owned) && owned.partition == wanted;
    }
    if (ours)
        driver_refuse(driver, head, why, note);
}

/* The partition that the topic names; where a star stands, the one that the session lies in. */
static uint32_t addressed(const struct driver *driver, const struct incoming *in, struct span session)
{
    return in->topic.any_partition ? partition_of(session, driver->options.partitions) : in->topic.partition;
}

static enum mk_err give_input(struct driver *driver, const struct incoming *in, struct span map, struct mk_note *note)
{
    struct mk_input input;
    enum mk_err err = input_read(map, &input, note);
    if (err)
        return err;
    if (!in->topic.any_name && !span_equal(in->topic.name, input.session))
        return err_set(note, MK_ERR_WRONG_PARTITION, "the topic names another session");
    struct node_event event = driver_event(driver, EV_INPUT);
    event.as.message.frame = in->frame;
    event.as.message.input = &input;
    event.as.message.partition = addressed(driver, in, input.session);
    event.as.message.bytes = map.bytes;
    driver_step(driver, &event);
    return MK_ERR_OK;
}

static enum mk_err give_command(struct driver *driver, const struct incoming *in, struct span map, struct mk_note *note)
{
    struct mk_command command;
    enum mk_err err = command_read(map, &command, note);
    if (err)
        return err;
    bool for_node = in->topic.class == TOPIC_NODE;
    if (for_node == span_given(command.session))
        return err_set(note, MK_ERR_INVALID_FIELD,
                       for_node ? "session: a node's command has none" : "session: missing");
    if (!for_node && !in->topic.any_name && !span_equal(in->topic.name, command.session))
        return err_set(note, MK_ERR_WRONG_PARTITION, "the topic names another session");
    if (span_given(command.input.session) && !span_equal(command.input.session, command.session))
        return err_set(note, MK_ERR_WRONG_PARTITION, "args.input is of another session");
    if (for_node && span_given(command.args.incarnation) &&
        !span_is(command.args.incarnation, driver->config.incarnation.text))
        return MK_ERR_OK; /* meant for an earlier life of this node */
    struct node_event event = driver_event(driver, EV_COMMAND);
    event.as.message.frame = in->frame;
    event.as.message.command = &command;
    event.as.message.partition = for_node ? 0 : addressed(driver, in, command.session);
    event.as.message.bytes = map.bytes;
    driver_step(driver, &event);
    return MK_ERR_OK;
}

/* What another node says of partitions, one by one; partitions that this cluster does not have are left out. */
static void give_lists(struct driver *driver, struct node_event *event, struct heartbeat_lists *lists)
{
    struct mk_owned owned;
    struct mk_handing handing;
    uint32_t *expecting = &event->as.heartbeat.expecting, partitions = driver->options.partitions;
    event->as.heartbeat.part = BEAT_OWNED;
    event->as.heartbeat.owned = &owned;
    while (owned_next(&lists->owned, &owned))
        if (owned.partition < partitions)
            driver_step(driver, event);
    event->as.heartbeat.owned = NULL;
    event->as.heartbeat.part = BEAT_HANDING;
    event->as.heartbeat.handing = &handing;
    while (handing_next(&lists->handing, &handing))
        if (handing.partition < partitions)
            driver_step(driver, event);
    event->as.heartbeat.handing = NULL;
    event->as.heartbeat.part = BEAT_EXPECTING;
    while (partition_next(&lists->expecting, expecting))
        if (*expecting < partitions)
            driver_step(driver, event);
}

static enum mk_err give_heartbeat(struct driver *driver, struct span map, struct mk_note *note)
{
    struct mk_heartbeat beat;
    struct heartbeat_lists lists;
    enum mk_err err = heartbeat_read(map, &beat, &lists, note);
    if (err)
        return err;
    struct node_event event = driver_event(driver, EV_HEARTBEAT);
    event.as.heartbeat.beat = &beat;
    event.as.heartbeat.part = BEAT_HEAD;
    driver_step(driver, &event);
    if (span_is(beat.incarnation, driver->config.incarnation.text))
        driver->own_heard_ms = event.now_ms;
    else
        give_lists(driver, &event, &lists);
    return MK_ERR_OK;
}

static void give(struct driver *driver, const struct incoming *in, struct span map, const struct message_head *head)
{
    struct mk_note note = {""};
    enum mk_err err = MK_ERR_UNKNOWN_TYPE;
    driver->seen.items_in++;
    if (!class_fits(in->topic.class, head->type))
        err_set(&note, err, "this type has no place on this topic");
    else if (head->type == MK_INPUT)
        err = give_input(driver, in, map, &note);
    else if (head->type == MK_COMMAND)
        err = give_command(driver, in, map, &note);
    else
        err = give_heartbeat(driver, map, &note);
    if (err)
        bad(driver, in, head, err, &note);
}

static void give_batch(struct driver *driver, const struct incoming *in, struct span map,
                       const struct message_head *batch)
{
    struct mk_note note = {""};
    struct batch_reader reader;
    enum mk_err err = batch_open(map, &reader, &note);
    if (err) {
        bad(driver, in, batch, err, &note);
        return;
    }
    struct span item;
    while (batch_next(&reader, &item)) {
        struct message_head head;
        err = message_head_read(item, &head, &note);
        if (!err && head.type == MK_BATCH)
            err = err_set(&note, MK_ERR_MALFORMED, "a batch within a batch");
        if (err)
            bad(driver, in, &head, err, &note);
        else
            give(driver, in, item, &head);
    }
}

static bool for_us(const struct driver *driver, const struct topic *topic)
{
    switch (topic->class) {
    case TOPIC_IN:
    case TOPIC_CTL:
        return topic->any_partition || node_takes(driver->node, topic->partition % driver->options.partitions);
    case TOPIC_NODE:
        return topic->any_name || span_equal(topic->name, id_span(&driver->options.node));
    case TOPIC_HB:
        return true;
    case TOPIC_RE:
    case TOPIC_EV:
    case TOPIC_CLASS_COUNT:
        break;
    }
    return false;
}

/* Another owner's frame: read for its number only, or each of them would look like a frame that was lost. */
static void pass_by(struct driver *driver, const struct topic *topic, struct span map)
{
    struct message_head head;
    driver->seen.items_foreign++;
    if ((topic->class == TOPIC_IN || topic->class == TOPIC_CTL) && !topic->any_partition)
        node_passed(driver->node, topic->partition % driver->options.partitions);
    if (message_head_read(map, &head, NULL) == MK_ERR_OK)
        driver->seen.frames_lost += gaps_note(&driver->gaps, topic->class, &head.h);
}

void driver_frame(struct driver *driver, struct span frame)
{
    struct span topic, map;
    struct incoming in = {0};
    driver->seen.frames_in++;
    if (frame.bytes > driver->options.frame_bytes_max || frame_split(frame, &topic, &map) ||
        topic_parse(topic, &in.topic)) {
        driver->seen.frames_bad++;
        return;
    }
    if (!for_us(driver, &in.topic)) {
        pass_by(driver, &in.topic, map);
        return;
    }
    in.frame = blob_new(driver->mem, map);
    if (!in.frame) {
        driver->seen.overloaded++;
        return;
    }
    map = blob_span(in.frame);
    struct message_head head;
    struct mk_note note = {""};
    enum mk_err err = message_head_read(map, &head, &note);
    driver->seen.frames_lost += gaps_note(&driver->gaps, in.topic.class, &head.h);
    if (err)
        bad(driver, &in, &head, err, &note);
    else if (head.type == MK_BATCH)
        give_batch(driver, &in, map, &head);
    else
        give(driver, &in, map, &head);
    blob_release(in.frame);
}

/* --- status --- */

static const char *unready(const struct driver *driver, const struct node_view *view)
{
    if (driver->mismatch)
        return "the store belongs to a cluster configured otherwise";
    if (!view->store_up)
        return "the store is not connected";
    if (!view->founded)
        return "the cluster's record has not been read";
    if (!view->joined)
        return "the node has not joined the cluster";
    if (!view->bus_up)
        return "own heartbeat not heard through the bus";
    if (driver->options.alone && view->foreign_heard)
        return "another node is heard, and memory: is a cluster of one";
    if (view->suspended)
        return "partitions are suspended: the store has lost commits";
    if (view->unsafe)
        return "leases are not renewed";
    if (view->recovering)
        return "partitions are being taken over";
    if (!view->owned && view->members < 2) /* beside others a node may well own nothing yet, and is ready to */
        return "no partition is owned yet";
    return view->leaving ? "the node is leaving" : NULL;
}

uint64_t driver_safe_until_ms(const struct driver *driver)
{
    struct node_view view;
    node_view(driver->node, driver_now(driver), &view);
    return view.safe_until_ms;
}

bool driver_receipt(struct driver *driver, struct buf *out)
{
    struct mk_doc *doc = doc_new(driver->mem);
    if (!doc)
        return false;
    node_receipt(driver->node, doc);
    doc_pack(out, doc);
    doc_free(doc);
    return !out->failed;
}

void driver_status(const struct driver *driver, struct driver_status *out)
{
    struct node_view view;
    node_view(driver->node, driver_now(driver), &view);
    *out = driver->seen;
    out->unready_why = unready(driver, &view);
    out->ready = !out->unready_why;
    out->left = view.left;
    out->leaving = view.leaving;
    out->mismatch = driver->mismatch;
    out->mismatch_note = driver->mismatch_note;
    out->partitions_owned = view.owned;
    out->sessions = view.sessions;
    out->sessions_quarantined = view.quarantined;
    out->runs_active = view.runs_active;
    out->inputs_held = view.held_events;
    out->oldest_unacknowledged_ms = view.oldest_staged_ms;
    out->items_foreign += view.foreign;
    out->accepted = view.accepted;
    out->deduplicated = view.deduplicated;
    out->rejected += view.rejected;
    out->overloaded += view.overloaded;
    out->completed = view.completed;
    out->runs_started = view.runs_started;
    out->runs_failed = view.runs_failed;
    out->commits = view.commits;
    out->sections = view.sections;
    out->sections_again = view.sections_again;
    out->commits_resent = view.commits_resent;
    out->leases_lost = view.leases_lost;
    out->faults = view.faults;
    out->published = driver->out.messages;
    out->published_bytes = driver->out.bytes;
}
