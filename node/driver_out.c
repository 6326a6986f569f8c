/* Effects that leave the node: answers, events, runs, heartbeats, lines of the log. */
#include "node/driver_impl.h"

#include <stdio.h>
#include <stdlib.h>

static struct span new_id(struct driver *driver, char *text, size_t room)
{
    int bytes = snprintf(text, room, "%.8s-%llu", driver->config.incarnation.text, (unsigned long long)++driver->ids);
    return (struct span){text, (size_t)bytes};
}

/* A stored result is answered as it is; everything else is packed now. */
static struct mk_blob *pack_answer(struct driver *driver, const struct node_effect *effect)
{
    struct answer *answer = effect->as.answer;
    if (answer->type == ANSWER_RESULT && answer->bytes)
        return blob_keep(answer->bytes);
    char text[32];
    struct span id = new_id(driver, text, sizeof text);
    struct message_from from = {.node = id_span(&driver->options.node),
                                .fence = effect->fence,
                                .ts = driver->ports.clock.ops->unix_ms(driver->ports.clock.self)};
    buf_reset(&driver->pack);
    if (answer->type == ANSWER_ADMISSION) {
        if (answer->bytes)
            answer->as.admission.completion = blob_span(answer->bytes);
        admission_pack(&driver->pack, id, &from, &answer->as.admission);
    } else {
        result_pack(&driver->pack, id, &from, &answer->as.result);
    }
    return driver->pack.failed ? NULL : blob_new(driver->mem, buf_span(&driver->pack));
}

static void out_answer(struct driver *driver, const struct node_effect *effect)
{
    struct mk_blob *message = pack_answer(driver, effect);
    struct outgoing_item *item = message ? outgoing_add(&driver->out, OUT_ANSWER) : NULL;
    if (!item) {
        blob_release(message);
        return; /* no memory: whoever asked asks again */
    }
    item->partition = effect->partition;
    item->fence = effect->fence;
    item->message = message;
    item->to[0] = effect->as.answer->to;
    item->to_count = 1;
    driver->seen.answers++;
}

void driver_refuse(struct driver *driver, const struct message_head *head, enum mk_err why, const struct mk_note *note)
{
    struct node_effect effect = {.type = DO_ANSWER};
    struct answer answer = {0};
    if (!span_given(head->reply_to) || !id_set(&answer.to, head->reply_to))
        return;
    id_set(&answer.re, head->h.id);
    driver->seen.rejected++;
    if (head->type == MK_INPUT)
        answer.as.admission = (struct mk_admission){.re = id_span(&answer.re),
                                                    .session = head->session,
                                                    .outcome = MK_REJECTED,
                                                    .final = mk_err_final(why),
                                                    .reason = why,
                                                    .detail = span_of(note->text)};
    else
        answer.as.result = (struct mk_result){.re = id_span(&answer.re),
                                              .session = head->session,
                                              .error = why,
                                              .final = mk_err_final(why),
                                              .message = span_of(note->text)};
    answer.type = head->type == MK_INPUT ? ANSWER_ADMISSION : ANSWER_RESULT;
    effect.as.answer = &answer;
    out_answer(driver, &effect);
}

static void out_event(struct driver *driver, const struct node_effect *effect)
{
    struct staged_event *event = effect->as.publish.event;
    if (!event->bytes)
        return; /* never encoded, so never committed: cannot be */
    struct outgoing_item *item = outgoing_add(&driver->out, OUT_EVENT);
    if (!item)
        abort(); /* the mark must not pass it: better to die, and be taken over */
    item->partition = effect->partition;
    item->fence = effect->fence;
    item->sequence = effect->as.publish.sequence;
    item->session = effect->as.publish.session;
    item->message = blob_keep(event->bytes);
    memcpy(item->to, event->waiters, sizeof item->to);
    item->to_count = event->waiter_count;
}

static void out_again(struct driver *driver, const struct node_effect *effect)
{
    struct mk_blob *message = blob_new(driver->mem, effect->as.republish.message);
    struct outgoing_item *item = message ? outgoing_add(&driver->out, OUT_EVENT) : NULL;
    if (!item)
        abort(); /* as above */
    item->partition = effect->partition;
    item->fence = effect->fence;
    item->sequence = effect->as.republish.sequence;
    session_id_set(&item->session, effect->as.republish.session);
    item->message = message;
}

/* --- where it goes --- */

static enum may sink_may(void *self, uint32_t partition, uint64_t fence)
{
    struct driver *driver = self;
    return node_may(driver->node, partition, fence, driver_now(driver));
}

static void sink_publish(void *self, struct span frame)
{
    struct driver *driver = self;
    driver->ports.bus.ops->publish(driver->ports.bus.self, frame);
}

static void sink_start(void *self, struct span id, const struct mk_id *run)
{
    struct driver *driver = self;
    const struct session *session = node_session(driver->node, id);
    if (!session || !span_equal(id_span(&session->core.run.id), id_span(run)))
        return; /* over before it began: cancelled, or its session is gone */
    const struct session_core *core = &session->core;
    struct run_input inputs[RUN_INPUTS_MAX], injected[INJECTED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < core->carried.count; i++)
        injected[i] = (struct run_input){&core->carried.entries[i]->input->input, core->carried.entries[i]->attempts};
    for (size_t i = 0; i < core->run.input_count; i++) {
        const struct entry *entry = ledger_by_seq(&core->ledger, core->run.inputs[i]);
        if (entry)
            inputs[count++] = (struct run_input){&entry->input->input, entry->attempts};
    }
    struct run_request request = {
        .session = id,
        .executor = id_span(&core->executor),
        .run = &core->run,
        .fence = core->machine.binding.fence,
        .generation = core->generation,
        .state = blob_span(core->state),
        .inputs = inputs,
        .input_count = count,
        .injected = injected,
        .injected_count = core->carried.count,
    };
    driver->ports.executor.ops->start(driver->ports.executor.self, &request);
}

/* Unless the run is over, or somebody else's by now. */
static void sink_inject(void *self, struct span id, const struct mk_id *run, const struct mk_id *input)
{
    struct driver *driver = self;
    const struct session *session = node_session(driver->node, id);
    bool same = session && span_equal(id_span(&session->core.run.id), id_span(run));
    const struct entry *entry = same ? ledger_by_id(&session->core.ledger, id_span(input)) : NULL;
    if (!entry || entry->offer != OFFER_MADE)
        return;
    struct run_input given = {&entry->input->input, entry->attempts + 1};
    driver->ports.executor.ops->inject(driver->ports.executor.self, id, id_span(run), &given);
}

/* Without memory to queue it it is not asked, and stays queued until the run is over. */
static void out_inject(struct driver *driver, const struct node_effect *effect)
{
    struct outgoing_item *item = outgoing_add(&driver->out, OUT_INJECT);
    if (!item)
        return;
    item->partition = effect->partition;
    item->fence = effect->fence;
    item->session = effect->as.executor.session;
    item->run = effect->as.executor.run;
    item->input = effect->as.executor.input;
}

/* No memory to queue it: it starts at once, if it may. */
static void out_run(struct driver *driver, const struct node_effect *effect)
{
    struct outgoing_item *item = outgoing_add(&driver->out, OUT_RUN);
    if (!item) {
        if (sink_may(driver, effect->partition, effect->fence) == MAY_LEAVE)
            sink_start(driver, session_id_span(&effect->as.executor.session), &effect->as.executor.run);
        return;
    }
    item->partition = effect->partition;
    item->fence = effect->fence;
    item->session = effect->as.executor.session;
    item->run = effect->as.executor.run;
}

/* What the node says of partitions. */
struct beat_lists {
    struct mk_owned owned[PARTITIONS_MAX];
    struct mk_handing handing[PARTITIONS_MAX];
    uint32_t expecting[PARTITIONS_MAX], suspended[PARTITIONS_MAX];
};

static void fill_lists(const struct node *node, struct beat_lists *lists, struct mk_heartbeat *beat)
{
    for (uint32_t at = 0; node_owned_next(node, &at, &lists->owned[beat->owned_count]);)
        beat->owned_count++;
    for (uint32_t at = 0; node_handing_next(node, &at, &lists->handing[beat->handing_count]);)
        beat->handing_count++;
    for (uint32_t at = 0; node_expecting_next(node, &at, &lists->expecting[beat->expecting_count]);)
        beat->expecting_count++;
    for (uint32_t at = 0; node_suspended_next(node, &at, &lists->suspended[beat->suspended_count]);)
        beat->suspended_count++;
    beat->owned = lists->owned;
    beat->handing = lists->handing;
    beat->expecting = lists->expecting;
    beat->suspended = lists->suspended;
}

static void out_heartbeat(struct driver *driver)
{
    struct beat_lists *lists = malloc(sizeof *lists);
    if (!lists)
        return;
    struct node_view view;
    node_view(driver->node, driver_now(driver), &view);
    struct mk_heartbeat beat = {
        .node = id_span(&driver->options.node),
        .incarnation = span_of(driver->config.incarnation.text),
        .phase = span_of(member_phase_name(view.phase)),
        .partitions_total = driver->options.partitions,
        .sessions = view.sessions,
        .load = view.runs_active,
    };
    fill_lists(driver->node, lists, &beat);
    char text[TOPIC_BYTES_MAX + 1], id[32];
    struct topic topic = {.class = TOPIC_HB, .name = beat.node};
    buf_reset(&driver->pack);
    buf_append(&driver->pack, text, topic_write(text, sizeof text, &topic));
    heartbeat_pack(&driver->pack, new_id(driver, id, sizeof id),
                   driver->ports.clock.ops->unix_ms(driver->ports.clock.self), &beat);
    if (!driver->pack.failed)
        driver->ports.bus.ops->publish(driver->ports.bus.self, buf_span(&driver->pack));
    free(lists);
}

static void out_trace(struct driver *driver, const struct node_effect *effect)
{
    static const enum trace_level levels[] = {
        [NOTE_ERROR] = TRACE_ERROR, [NOTE_WARN] = TRACE_WARN, [NOTE_INFO] = TRACE_INFO};
    struct trace_field fields[2] = {{.key = "why", .text = span_of(effect->as.trace.detail)},
                                    {.key = "session", .text = session_id_span(&effect->as.trace.session)}};
    driver->ports.trace.ops->line(driver->ports.trace.self, levels[effect->as.trace.level], effect->as.trace.what,
                                  fields, effect->as.trace.session.bytes ? 2 : 1);
}

void driver_out_effect(struct driver *driver, struct node_effect *effect)
{
    const struct executor_port *executor = &driver->ports.executor;
    switch ((int)effect->type) {
    case DO_ANSWER:
        out_answer(driver, effect);
        break;
    case DO_PUBLISH:
        out_event(driver, effect);
        break;
    case DO_REPUBLISH:
        out_again(driver, effect);
        break;
    case DO_RUN:
        out_run(driver, effect);
        break;
    case DO_INJECT:
        out_inject(driver, effect);
        break;
    case DO_CANCEL:
        executor->ops->cancel(executor->self, session_id_span(&effect->as.executor.session),
                              id_span(&effect->as.executor.run), effect->as.executor.hard);
        break;
    case DO_STOP_EXECUTOR:
        executor->ops->stop(executor->self, session_id_span(&effect->as.stopped));
        break;
    case DO_HEARTBEAT:
        out_heartbeat(driver);
        break;
    case DO_FATAL:
        driver->mismatch = true;
        err_set(&driver->mismatch_note, MK_ERR_MISMATCH, "%s: %s", effect->as.trace.what, effect->as.trace.detail);
        break;
    case DO_TRACE:
        out_trace(driver, effect);
        break;
    default: /* a call of the store */
        break;
    }
}

/* --- the flush --- */

static void sink_published(void *self, uint32_t partition, uint64_t fence, uint64_t sequence)
{
    struct driver *driver = self;
    struct node_event event = driver_event(driver, EV_PUBLISHED);
    event.as.published.partition = partition;
    event.as.published.fence = fence;
    event.as.published.sequence = sequence;
    node_step(driver->node, &event, &driver->fx); /* has no effects */
}

void driver_out_flush(struct driver *driver)
{
    if (!driver->out.waiting)
        return;
    struct outgoing_sink sink = {.self = driver,
                                 .may = sink_may,
                                 .publish = sink_publish,
                                 .start = sink_start,
                                 .inject = sink_inject,
                                 .published = sink_published,
                                 .unix_ms = driver->ports.clock.ops->unix_ms(driver->ports.clock.self)};
    outgoing_flush(&driver->out, &sink);
}
