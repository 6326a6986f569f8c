/* What comes back: answers find their request by id, events and heartbeats go to their callbacks. Everything is
 * untrusted; what cannot be read is counted and forgotten. */
#include <string.h>

#include "bus/client.h"

/* Reasons that pass by themselves: the request stays and is repeated. */
static bool passes(enum mk_err reason)
{
    return reason == MK_ERR_OVERLOADED || reason == MK_ERR_UNAVAILABLE || reason == MK_ERR_LEASE_LOST ||
           reason == MK_ERR_STOPPING || reason == MK_ERR_NOT_KNOWN_YET || reason == MK_ERR_WRONG_PARTITION;
}

static void remember(struct pending *pending, enum mk_err reason, struct span detail)
{
    size_t bytes = detail.bytes < sizeof pending->detail ? detail.bytes : sizeof pending->detail - 1;
    pending->reason = reason;
    if (bytes)
        memcpy(pending->detail, detail.at, bytes);
    pending->detail[bytes] = '\0';
}

static enum mk_end end_of(enum mk_outcome outcome)
{
    bool done = outcome == MK_COMPLETED || outcome == MK_COMPLETED_WITHOUT_RESULT || outcome == MK_CALLBACK_PENDING ||
                outcome == MK_COALESCED;
    return done ? MK_END_DONE : MK_END_FAILED;
}

static void end_completed(struct mk_client *client, struct pending *pending, struct span map)
{
    struct mk_completion in;
    if (completion_read(map, &in, NULL) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    const char *outcome = mk_outcome_name(in.outcome);
    const char *error = in.error == MK_ERR_OK ? NULL : mk_err_code(in.error);
    struct mk_answer answer = {
        .end = end_of(in.outcome),
        .outcome = bytes_of(span_of(outcome)),
        .reason = bytes_of(error ? span_of(error) : in.reason),
        .detail = bytes_of(in.error_message.at ? in.error_message : in.reason),
        .existing = bytes_of(id_span(&pending->existing)),
        .result = bytes_of(in.result),
        .node = bytes_of(in.node),
        .message = bytes_of(map),
        .final = true,
    };
    pending->admitted = true;
    client__end(client, pending, &answer);
}

static void end_rejected(struct mk_client *client, struct pending *pending, const struct mk_admission *in,
                         struct span map)
{
    struct mk_answer answer = {
        .end = MK_END_REFUSED,
        .outcome = bytes_of(SPAN_LIT("rejected")),
        .reason = bytes_of(span_of(mk_err_code(in->reason))),
        .detail = bytes_of(in->detail),
        .message = bytes_of(map),
        .final = in->final,
    };
    client__end(client, pending, &answer);
}

/* Accepted, or deduplicated and not terminal. */
static void admit(struct mk_client *client, struct pending *pending, const struct mk_admission *in, struct span map)
{
    struct mk_answer answer = {
        .kind = MK_ANSWER_ADMITTED,
        .end = MK_END_DONE,
        .outcome = bytes_of(span_of(mk_admitted_name(in->outcome))),
        .existing = bytes_of(in->existing),
        .message = bytes_of(map),
    };
    bool first = !pending->told_admitted;
    pending->admitted = pending->told_admitted = true;
    pending->reason = MK_ERR_OK;
    if (!pending->await_completion)
        client__end(client, pending, &answer);
    else if (first)
        client__tell(client, pending, &answer);
}

static void on_admission(struct mk_client *client, struct span map)
{
    struct mk_admission in;
    if (admission_read(map, &in, NULL) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    struct pending *pending = pending_find(&client->table, in.re);
    if (!pending || pending->is_command)
        return;
    if (in.outcome == MK_REJECTED) {
        if (passes(in.reason))
            remember(pending, in.reason, in.detail);
        else
            end_rejected(client, pending, &in, map);
        return;
    }
    /* that a repeat of ours was known already is no news */
    if (in.outcome == MK_DEDUPLICATED && !pending->admitted)
        pending->deduplicated = true;
    pending_set_existing(&client->table, pending, in.existing);
    if (in.completion.bytes)
        end_completed(client, pending, in.completion);
    else
        admit(client, pending, &in, map);
}

static void on_completion(struct mk_client *client, struct span map)
{
    struct mk_completion in;
    if (completion_read(map, &in, NULL) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    struct pending *pending = pending_find(&client->table, in.input);
    if (!pending)
        pending = pending_by_existing(&client->table, in.input);
    if (pending && !pending->is_command)
        end_completed(client, pending, map);
}

static void answer_order(struct mk_client *client, struct pending *pending, struct mk_answer *answer)
{
    if (!pending->gather) {
        client__end(client, pending, answer);
        return;
    }
    answer->kind = MK_ANSWER_ITEM;
    pending->items++;
    client__tell(client, pending, answer);
}

static void on_result(struct mk_client *client, struct span map)
{
    struct result_in in;
    if (result_read(map, &in, NULL) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    if (span_equal(in.re, id_span(&client->probe))) {
        client->ready_ms = client->ready ? client->ready_ms : client__now_ms();
        client->ready = true;
        return;
    }
    struct pending *pending = pending_find(&client->table, in.re);
    if (!pending || !pending->is_command)
        return;
    if (!in.ok && passes(in.error) && !pending->gather) {
        remember(pending, in.error, in.message);
        return;
    }
    struct mk_answer answer = {
        .end = in.ok ? MK_END_DONE : MK_END_REFUSED,
        .outcome = bytes_of(in.ok ? SPAN_LIT("ok") : SPAN_LIT("error")),
        .reason = bytes_of(in.error_code),
        .detail = bytes_of(in.message),
        .result = bytes_of(in.data),
        .message = bytes_of(map),
        .final = in.ok || in.final,
    };
    answer_order(client, pending, &answer);
}

bool mk_event_read(struct mk_bytes message, struct mk_event *out)
{
    struct message_head head;
    struct mk_completion completion;
    struct effect_in effect;
    struct span map = span_from(message);
    if (message_head_read(map, &head, NULL) != MK_ERR_OK)
        return false;
    if (head.type == MK_COMPLETION && completion_read(map, &completion, NULL) == MK_ERR_OK) {
        *out = (struct mk_event){.session = bytes_of(completion.session),
                                 .seq = completion.seq,
                                 .fence = completion.fence,
                                 .completion = true,
                                 .name = bytes_of(span_of(mk_outcome_name(completion.outcome))),
                                 .input = bytes_of(completion.input),
                                 .message = message};
        return true;
    }
    if (head.type != MK_EFFECT || effect_read(map, &effect, NULL) != MK_ERR_OK)
        return false;
    *out = (struct mk_event){.session = bytes_of(effect.session),
                             .seq = effect.seq,
                             .fence = effect.fence,
                             .name = bytes_of(effect.name),
                             .message = message};
    return true;
}

static void on_event(struct mk_client *client, struct span map)
{
    struct mk_event event;
    if (!mk_event_read(bytes_of(map), &event))
        client->frames_bad++;
    else if (client->on_event)
        client->on_event(client->event_user, &event);
}

/* One message of a known class of topic. */
static void hear_message(struct mk_client *client, enum topic_class class, struct span map)
{
    struct message_head head;
    struct mk_note note;
    if (message_head_read(map, &head, &note) != MK_ERR_OK)
        client->frames_bad++;
    else if (class == TOPIC_HB && head.type == MK_HEARTBEAT)
        client__heartbeat(client, map);
    else if (class == TOPIC_EV)
        on_event(client, map);
    else if (class == TOPIC_RE && head.type == MK_ADMISSION)
        on_admission(client, map);
    else if (class == TOPIC_RE && head.type == MK_COMPLETION)
        on_completion(client, map);
    else if (class == TOPIC_RE && head.type == MK_RESULT)
        on_result(client, map);
}

void client__hear(struct mk_client *client, struct span frame)
{
    struct span text, map, item;
    struct topic topic;
    struct message_head head;
    struct batch_reader batch;
    if (frame_split(frame, &text, &map) != MK_ERR_OK || topic_parse(text, &topic) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    if (message_head_read(map, &head, NULL) != MK_ERR_OK || head.type != MK_BATCH) {
        hear_message(client, topic.class, map);
        return;
    }
    if (batch_open(map, &batch, NULL) != MK_ERR_OK) {
        client->frames_bad++;
        return;
    }
    while (batch_next(&batch, &item))
        hear_message(client, topic.class, item);
}
