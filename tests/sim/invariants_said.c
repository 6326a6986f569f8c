/* What nodes say on the bus, held against what the store holds at that moment. */
#include "codec/message.h"
#include "codec/scan.h"
#include "codec/topic.h"
#include "node/core/crc16.h"
#include "tests/sim/invariants.h"
#include "tests/sim/sequence_told.h"

static struct seen_event *stored_event(struct sim *s, struct span name, uint64_t seq, struct span message)
{
    struct seen_session *session = checks_session(s, name);
    if (!seq || seq > session->count) {
        sim_broken(s, "rule 1", "event %llu of %.*s is said before it is stored", (unsigned long long)seq,
                   SPAN_ARGS(name));
        return NULL;
    }
    struct seen_event *event = session->events[seq - 1];
    if (!span_equal(event->bytes, message)) {
        sim_broken(s, "P7", "event %llu of %.*s differs from what is stored", (unsigned long long)seq, SPAN_ARGS(name));
        return NULL;
    }
    return event;
}

static void said_event(struct sim *s, struct span name, uint64_t seq, struct span message)
{
    struct seen_event *event = stored_event(s, name, seq, message);
    if (!event)
        return;
    if (seq > 1 && !event->session->events[seq - 2]->published)
        sim_broken(s, "rule 5", "event %llu of %.*s is published before the one before it", (unsigned long long)seq,
                   SPAN_ARGS(name));
    s->totals.repeated += event->published;
    event->published = true;
}

static void said_completion(struct sim *s, struct sim_node *node, bool to_watchers, struct span map)
{
    struct mk_completion c;
    struct mk_note note;
    if (completion_read(map, &c, &note) != MK_ERR_OK) {
        sim_broken(s, "P10", "%s sends a completion that cannot be read: %s", node->name, note.text);
        return;
    }
    if (to_watchers)
        sim_trace(s, node->name, "event %llu of %.*s: %.*s is %s", (unsigned long long)c.seq, SPAN_ARGS(c.session),
                  SPAN_ARGS(c.input), mk_outcome_name(c.outcome));
    checks_owner(s, node, c.session, "publishes");
    if (to_watchers)
        said_event(s, c.session, c.seq, map);
    else
        stored_event(s, c.session, c.seq, map);
}

static void said_effect(struct sim *s, struct sim_node *node, struct span map)
{
    struct effect_in e;
    struct mk_note note;
    if (effect_read(map, &e, &note) != MK_ERR_OK) {
        sim_broken(s, "P7", "%s sends an effect that cannot be read: %s", node->name, note.text);
        return;
    }
    sim_trace(s, node->name, "event %llu of %.*s: %.*s", (unsigned long long)e.seq, SPAN_ARGS(e.session),
              SPAN_ARGS(e.name));
    checks_owner(s, node, e.session, "publishes");
    said_event(s, e.session, e.seq, map);
}

/* The key `fence` of a message: the decoder of admissions, a publisher's, has no use for it. */
static uint64_t fence_in(struct span map)
{
    struct cursor cursor = cursor_of(map);
    struct value head, key, value;
    if (!cursor_read(&cursor, &head))
        return 0;
    for (uint64_t i = 0; i < head.number && cursor_read(&cursor, &key); i++) {
        struct cursor at = cursor;
        if (span_is(key.text, "fence") && cursor_read(&at, &value))
            return value.number;
        if (!cursor_skip(&cursor, NULL))
            return 0;
    }
    return 0;
}

static void check_fence(struct sim *s, const struct sim_node *node, struct span session, uint64_t fence)
{
    uint64_t now = s->checks->partitions[partition_of(session, s->config.partitions)].lease.fence;
    if (fence != now)
        sim_broken(s, "P3", "%s answers for %.*s under the fence %llu, now it is %llu", node->name, SPAN_ARGS(session),
                   (unsigned long long)fence, (unsigned long long)now);
}

static void said_accepted(struct sim *s, const struct mk_admission *a)
{
    struct seen_input *input = checks_input(s, a->session, a->re);
    struct fact_record fact;
    s->totals.accepted++;
    if (a->durability != MK_DURABLE)
        return;
    if (input->accepted)
        sim_broken(s, "P2", "%.*s is accepted twice", SPAN_ARGS(a->re));
    if (!checks_fact(s, a->session, FACT_INPUT, a->re, &fact))
        sim_broken(s, "rule 2", "%.*s is accepted before it is stored", SPAN_ARGS(a->re));
    input->accepted = input->durable = true;
}

static void said_deduplicated(struct sim *s, const struct mk_admission *a)
{
    struct mk_completion c;
    struct mk_note note;
    struct fact_record fact;
    struct span id = span_given(a->existing) ? a->existing : a->re;
    const struct mk_input *first = sim_clients_input(s, a->session, id);
    if (first && first->durability == MK_DURABLE && !checks_fact(s, a->session, FACT_INPUT, id, &fact))
        sim_broken(s, "rule 2", "%.*s is called a repeat of %.*s, which is not stored", SPAN_ARGS(a->re),
                   SPAN_ARGS(id));
    if (!span_given(a->completion))
        return;
    if (completion_read(a->completion, &c, &note) != MK_ERR_OK)
        sim_broken(s, "P2", "the completion in the answer to %.*s cannot be read: %s", SPAN_ARGS(a->re), note.text);
    else
        stored_event(s, c.session, c.seq, a->completion);
}

/* A durable input that was accepted is refused for good only as one that was withdrawn, forgotten, or another's id. */
static void said_rejected(struct sim *s, const struct mk_admission *a)
{
    const struct seen_input *input = checks_input(s, a->session, a->re);
    bool known_way = a->reason == MK_ERR_ID_CONFLICT || a->reason == MK_ERR_WITHDRAWN || a->reason == MK_ERR_TOO_LATE;
    if (a->reason == MK_ERR_LEASE_LOST || a->reason == MK_ERR_STOPPING)
        sim_broken(s, "hand-over", "%.*s is refused because its partition moves: %s", SPAN_ARGS(a->re),
                   mk_err_code(a->reason));
    if (a->final && input->accepted && !known_way)
        sim_broken(s, "P10", "%.*s was accepted and is refused for good: %s", SPAN_ARGS(a->re), mk_err_code(a->reason));
}

static void said_admission(struct sim *s, struct sim_node *node, struct span map)
{
    struct mk_admission a;
    struct mk_note note;
    if (admission_read(map, &a, &note) != MK_ERR_OK) {
        sim_broken(s, "P10", "%s sends an admission that cannot be read: %s", node->name, note.text);
        return;
    }
    sim_trace(s, node->name, "%.*s of %.*s is %s%s%s", SPAN_ARGS(a.re), SPAN_ARGS(a.session),
              mk_admitted_name(a.outcome), a.outcome == MK_REJECTED ? ", " : "",
              a.outcome == MK_REJECTED ? mk_err_code(a.reason) : "");
    if (a.outcome != MK_REJECTED)
        checks_owner(s, node, a.session, "answers");
    if (a.outcome != MK_REJECTED)
        check_fence(s, node, a.session, fence_in(map));
    if (a.outcome == MK_ACCEPTED)
        said_accepted(s, &a);
    else if (a.outcome == MK_DEDUPLICATED)
        said_deduplicated(s, &a);
    else
        said_rejected(s, &a);
}

/* `events` answers {items, head, ...}: from the number asked for, without a gap, the very bytes that are stored. */
static void said_events(struct sim *s, const struct mk_command *asked, struct span data)
{
    const struct seen_session *session = checks_session(s, asked->session);
    struct cursor cursor = cursor_of(data);
    struct value map, key, items, head = {0};
    bool good = cursor_read(&cursor, &map) && cursor_read(&cursor, &key) && span_is(key.text, "items") &&
                cursor_read(&cursor, &items) && items.type == VALUE_ARRAY;
    uint64_t first = asked->args.from ? asked->args.from : 1;
    for (uint64_t i = 0; good && i < items.number; i++) {
        struct span item;
        good = cursor_skip(&cursor, &item) && first + i <= session->count &&
               span_equal(session->events[first + i - 1]->bytes, item);
    }
    good = good && cursor_read(&cursor, &key) && span_is(key.text, "head") && cursor_read(&cursor, &head) &&
           head.number <= session->count;
    uint64_t due = head.number >= first ? head.number - first + 1 : 0;
    if (!good || items.number < (due < asked->args.limit ? due : asked->args.limit))
        sim_broken(s, "P7", "events of %.*s from %llu, limit %llu: %llu items, head %llu, are not what is stored",
                   SPAN_ARGS(asked->session), (unsigned long long)first, (unsigned long long)asked->args.limit,
                   (unsigned long long)items.number, (unsigned long long)head.number);
}

static bool says_nothing(struct span data)
{
    struct cursor cursor = cursor_of(data);
    struct value map;
    return !cursor_read(&cursor, &map) || !map.number;
}

/* {cancelled: true, run, ...}: that run is not started any more. */
static void said_cancelled(struct sim *s, struct span session, struct span data)
{
    struct cursor cursor = cursor_of(data);
    struct value map, key, cancelled, run;
    struct map_key storage;
    bool read = cursor_read(&cursor, &map) && cursor_read(&cursor, &key) && span_is(key.text, "cancelled") &&
                cursor_read(&cursor, &cancelled) && cursor_read(&cursor, &key) && span_is(key.text, "run") &&
                cursor_read(&cursor, &run);
    if (!read)
        sim_broken(s, "P10", "a cancel of %.*s is answered in another form", SPAN_ARGS(session));
    if (!read || !cancelled.number)
        return;
    struct seen_run *seen = map_get(&s->checks->runs, map_key2(&storage, session, run.text));
    if (seen)
        seen->cancelled = true;
}

/* A mutating command that was done is in the session's record with its result (rule 6). */
static void said_result(struct sim *s, struct sim_node *node, struct span map)
{
    struct result_in r;
    struct mk_note note;
    struct fact_record fact;
    if (result_read(map, &r, &note) != MK_ERR_OK) {
        sim_broken(s, "P10", "%s sends a result that cannot be read: %s", node->name, note.text);
        return;
    }
    const struct mk_command *asked = sim_clients_command(s, r.session, r.re);
    if (r.ok && span_given(r.session))
        checks_owner(s, node, r.session, "answers");
    enum mk_op op = asked ? asked->op : MK_OP_COUNT;
    sim_trace(s, node->name, "%s %.*s of %.*s: %s", op < MK_OP_COUNT ? mk_op_name(op) : "command", SPAN_ARGS(r.re),
              SPAN_ARGS(r.session), r.ok ? "ok" : mk_err_code(r.error));
    bool nothing = op == MK_OP_UNREGISTER && says_nothing(r.data); /* it was not there: nothing to remember */
    nothing |= op == MK_OP_INGEST && span_is(told_text(r.data, "outcome"), "rejected");
    if (r.ok && op <= MK_OP_LAST_MUTATING && !nothing && !checks_fact(s, r.session, FACT_COMMAND, r.re, &fact))
        sim_broken(s, "rule 6", "%s %.*s is answered before it is stored", mk_op_name(op), SPAN_ARGS(r.re));
    if (r.ok && (op == MK_OP_INTERRUPT || op == MK_OP_CANCEL_AFTER_BOUNDARY))
        said_cancelled(s, r.session, r.data);
    if (r.ok && op == MK_OP_EVENTS)
        said_events(s, asked, r.data);
    if (r.ok && op == MK_OP_DEAD)
        checks_dead(s, asked, r.data);
}

static void said(struct sim *s, struct sim_node *node, const struct topic *topic, struct span map)
{
    struct message_head head;
    struct mk_note note;
    if (message_head_read(map, &head, &note) != MK_ERR_OK)
        sim_broken(s, "P10", "%s sends what cannot be read: %s", node->name, note.text);
    else if (head.type == MK_COMPLETION)
        said_completion(s, node, topic->class == TOPIC_EV, map);
    else if (head.type == MK_EFFECT)
        said_effect(s, node, map);
    else if (head.type == MK_ADMISSION)
        said_admission(s, node, map);
    else if (head.type == MK_RESULT)
        said_result(s, node, map);
    if (s->listener && !sim_is_broken(s))
        s->listener->said(s, node, head.type, map);
}

void checks_published(struct sim *s, struct sim_node *node, struct span frame)
{
    struct span text, map, item;
    struct topic topic;
    struct message_head head;
    struct batch_reader batch;
    struct mk_note note;
    if (frame_split(frame, &text, &map) != MK_ERR_OK || topic_parse(text, &topic) != MK_ERR_OK) {
        sim_broken(s, "P10", "%s sends a frame without a topic", node->name);
        return;
    }
    if (topic.class == TOPIC_HB) {
        checks_heartbeat(s, node, map);
        return;
    }
    if (s->checks->blind)
        return;
    if (message_head_read(map, &head, &note) != MK_ERR_OK || head.type != MK_BATCH) {
        said(s, node, &topic, map);
        return;
    }
    if (batch_open(map, &batch, &note) != MK_ERR_OK)
        sim_broken(s, "P10", "%s sends a batch that cannot be read: %s", node->name, note.text);
    else
        while (batch_next(&batch, &item) && !sim_is_broken(s))
            said(s, node, &topic, item);
}

void checks_watched(struct sim *s, struct span session, uint64_t seq, struct span message)
{
    if (!s->checks->blind)
        stored_event(s, session, seq, message);
}
