/* The promises P1-P10 and the rules of the design's section 5, checked at the moment something crosses a port. The
 * truth is what the store holds: every execution is followed in the records themselves, and whatever a node says or
 * starts is held against it. */
#include <stdlib.h>

#include "codec/message.h"
#include "codec/scan.h"
#include "codec/script.h"
#include "node/core/crc16.h"
#include "tests/sim/invariants.h"

#define KEYS_PER_PART 7 /* of a commit: l s i x t o d */

void checks_new(struct sim *s)
{
    s->checks = sim_alloc(s, sizeof *s->checks);
}

struct seen_session *checks_session(struct sim *s, struct span name)
{
    struct seen_session *session = map_get(&s->checks->sessions, name);
    if (session)
        return session;
    session = sim_alloc(s, sizeof *session);
    *session = (struct seen_session){.name = sim_copy(s, name), .partition = partition_of(name, s->config.partitions)};
    map_put(s, &s->checks->sessions, name, session);
    return session;
}

struct seen_input *checks_input(struct sim *s, struct span session, struct span id)
{
    struct map_key storage;
    struct span key = map_key2(&storage, session, id);
    struct seen_input *input = map_get(&s->checks->inputs, key);
    if (input)
        return input;
    input = sim_alloc(s, sizeof *input);
    map_put(s, &s->checks->inputs, key, input);
    return input;
}

static uint64_t number(struct span text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.bytes && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        n = 10 * n + (uint64_t)(text.at[i] - '0');
    return n;
}

static void push_event(struct sim *s, struct seen_event ***list, size_t *count, size_t *room, struct seen_event *event)
{
    if (*count == *room) {
        *room = *room ? 2 * *room : 16;
        struct seen_event **bigger = sim_alloc(s, *room * sizeof *bigger);
        if (*count)
            memcpy(bigger, *list, *count * sizeof *bigger);
        *list = bigger;
    }
    (*list)[(*count)++] = event;
}

/* --- facts of the store --- */

bool checks_fact(struct sim *s, struct span session, enum fact_kind kind, struct span name, struct fact_record *out)
{
    char field[FACT_FIELD_BYTES];
    struct mk_note note;
    struct span bytes = sim_store_get(s, partition_of(session, s->config.partitions), 't',
                                      (struct span){field, fact_field(field, session, kind, name)});
    if (!span_given(bytes))
        return false;
    if (fact_record_read(bytes, out, &note) == MK_ERR_OK)
        return true;
    sim_broken(s, "P4", "the fact %.*s cannot be read: %s", SPAN_ARGS(name), note.text);
    return false;
}

static bool phase_terminal(enum input_phase phase)
{
    return phase >= INPUT_CONSUMED;
}

/* --- commits as they are sent: byte-identical repeats, at most two in flight --- */

struct part {
    uint32_t partition;
    uint64_t fence, sequence;
    size_t first_arg, end_arg; /* its arguments */
    size_t first_section, sections;
};

uint32_t checks_key_partition(struct span key)
{
    return (uint32_t)strtoul((const char *)memchr(key.at, '}', key.bytes) + 2, NULL, 16);
}

/* The next part of a commit's arguments, from `at`. */
static struct part next_part(const struct span *keys, const struct span *args, size_t arg_count, size_t index,
                             size_t at)
{
    struct part part = {.partition = checks_key_partition(keys[index * KEYS_PER_PART]), .first_arg = at};
    part.fence = number(args[at]);
    part.sequence = number(args[at + 1]);
    part.sections = number(args[at + 6]);
    part.first_section = at + 7;
    at = part.first_section;
    for (size_t i = 0; i < part.sections && at < arg_count; i++)
        at += 1 + 3 * (size_t)number(args[at]);
    part.end_arg = at;
    return part;
}

static uint64_t hash_args(const struct span *args, size_t from, size_t end)
{
    uint64_t hash = 1469598103934665603ull;
    for (size_t i = from; i < end; i++)
        hash = (hash * 31 + span_hash(args[i])) * 1099511628211ull + args[i].bytes;
    return hash;
}

static struct sent_commit *sent_of(struct sim *s, struct span incarnation, const struct part *part)
{
    struct map_key first, second;
    struct span key = map_key3(&second, map_key3(&first, incarnation, part->partition, part->fence), part->sequence, 0);
    struct sent_commit *sent = map_get(&s->checks->commits, key);
    if (sent)
        return sent;
    sent = sim_alloc(s, sizeof *sent);
    sent->settled = true;
    map_put(s, &s->checks->commits, key, sent);
    return sent;
}

static uint64_t *in_flight(struct sim *s, const struct sim_node *node, struct span key)
{
    struct checks *c = s->checks;
    if (c->life[node->index] != node->life) {
        c->life[node->index] = node->life;
        memset(c->in_flight[node->index], 0, sizeof c->in_flight[node->index]);
    }
    return &c->in_flight[node->index][checks_key_partition(key) % s->config.groups];
}

void checks_sent(struct sim *s, struct sim_node *node, const struct store_call *call)
{
    if (call->arg_count > 1 && call->script != SCRIPT_FOUND)
        memcpy(node->incarnation.text, call->args[1].at, sizeof node->incarnation.text - 1);
    if (call->script != SCRIPT_COMMIT || s->checks->blind)
        return;
    if (++*in_flight(s, node, call->keys[0]) > COMMITS_IN_FLIGHT_MAX)
        sim_broken(s, "section 3", "%s has more than %d commits in flight", node->name, COMMITS_IN_FLIGHT_MAX);
    size_t at = 2;
    for (size_t i = 0; i < call->key_count / KEYS_PER_PART; i++) {
        struct part part = next_part(call->keys, call->args, call->arg_count, i, at);
        struct sent_commit *sent = sent_of(s, call->args[1], &part);
        uint64_t hash = hash_args(call->args, part.first_arg, part.end_arg);
        if (!sent->settled && sent->hash != hash)
            sim_broken(s, "section 3", "%s resends commit %llu of partition %u with other bytes", node->name,
                       (unsigned long long)part.sequence, part.partition);
        sent->hash = hash;
        sent->settled = false;
        at = part.end_arg;
    }
}

/* Steps over one part of a commit's reply; the status says whether it stands. */
static struct span next_status(const struct store_reply *reply, size_t *at)
{
    struct span status = reply->items[*at];
    size_t skipped = (size_t)number(reply->items[*at + 4]);
    *at += 5;
    for (size_t i = 0; i < skipped; i++)
        *at += 2 + 2 * (size_t)number(reply->items[*at + 1]);
    return status;
}

void checks_answered(struct sim *s, const struct sim_call *call, const struct store_reply *reply)
{
    if (call->script == SCRIPT_RELEASE && reply->verdict == STORE_UNKNOWN)
        checks_release_lost(s, call);
    if (call->script != SCRIPT_COMMIT || s->checks->blind)
        return;
    --*in_flight(s, call->node, call->keys[0]);
    size_t at = 2, item = 1;
    for (size_t i = 0; i < call->key_count / KEYS_PER_PART; i++) {
        struct part part = next_part(call->keys, call->args, call->arg_count, i, at);
        struct sent_commit *sent = sent_of(s, call->args[1], &part);
        at = part.end_arg;
        if (reply->verdict == STORE_UNKNOWN)
            sent->uncertain = true;
        else if (reply->verdict == STORE_REFUSED)
            sent->settled = !sent->uncertain;
        else {
            struct span status = next_status(reply, &item);
            sent->settled = !span_is(status, "held") && !span_is(status, "again");
        }
    }
}

/* --- what a commit did --- */

static void read_field(struct sim *s, void *self, struct span field, struct span value)
{
    (void)s;
    struct seen_lease *lease = self;
    if (span_is(field, "history"))
        lease->history = value;
    else if (span_is(field, "node"))
        lease->node = value;
    else if (span_is(field, "inc"))
        lease->incarnation = value;
    else if (span_is(field, "fence"))
        lease->fence = number(value);
    else if (span_is(field, "seq"))
        lease->sequence = number(value);
    else if (span_is(field, "pub"))
        lease->published = number(value);
    else if (span_is(field, "exp"))
        lease->expires_ms = number(value);
}

static struct seen_lease lease_now(struct sim *s, uint32_t partition)
{
    struct seen_lease lease = {{0}, {0}, {0}, 0, 0, 0, 0};
    sim_store_each(s, partition, 'l', read_field, &lease);
    return lease;
}

static void check_fence(struct sim *s, uint32_t p, const struct seen_lease *was, const struct seen_lease *is)
{
    if (is->fence < was->fence)
        sim_broken(s, "P3", "the fence of partition %u fell from %llu to %llu", p, (unsigned long long)was->fence,
                   (unsigned long long)is->fence);
    if (is->incarnation.bytes && !span_equal(is->incarnation, was->incarnation) && is->fence <= was->fence)
        sim_broken(s, "P3", "partition %u has another owner under the old fence %llu", p,
                   (unsigned long long)is->fence);
    if (span_given(was->history) && !span_equal(is->history, was->history))
        sim_broken(s, "P3", "partition %u has another history", p);
}

static bool owned_by(const struct seen_lease *lease, const struct span *caller, uint64_t fence)
{
    return span_equal(lease->node, caller[0]) && span_equal(lease->incarnation, caller[1]) && lease->fence == fence;
}

static void check_sequence(struct sim *s, const struct sim_call *call, uint32_t p, uint64_t fence,
                           const struct seen_lease *was, const struct seen_lease *is)
{
    if (is->sequence == was->sequence)
        return;
    if (call->script != SCRIPT_COMMIT || is->sequence != was->sequence + 1)
        sim_broken(s, "P3", "%s moved the sequence of partition %u from %llu to %llu", script_name(call->script), p,
                   (unsigned long long)was->sequence, (unsigned long long)is->sequence);
    else if (!owned_by(was, call->args, fence))
        sim_broken(s, "P3", "a commit of %.*s, who does not own partition %u, moved its sequence",
                   SPAN_ARGS(call->args[0]), p);
}

/* Events at or below the published mark have been published; events above it are still in the outbox. */
static void check_mark(struct sim *s, uint32_t p, const struct seen_lease *was, const struct seen_lease *is)
{
    struct seen_partition *partition = &s->checks->partitions[p];
    if (is->published < was->published || is->published > is->sequence)
        sim_broken(s, "rule 5", "the published mark of partition %u went from %llu to %llu", p,
                   (unsigned long long)was->published, (unsigned long long)is->published);
    for (; partition->marked < partition->count; partition->marked++) {
        const struct seen_event *event = partition->events[partition->marked];
        if (event->commit > is->published)
            break;
        if (!event->published)
            sim_broken(s, "rule 5", "event %llu of %.*s lies below the mark and was not published",
                       (unsigned long long)event->seq, SPAN_ARGS(event->session->name));
    }
    if (partition->marked == partition->count)
        return;
    const struct seen_event *next = partition->events[partition->marked];
    uint64_t first = sim_store_first_entry(s, p);
    if (!first || first > next->commit)
        sim_broken(s, "rule 5", "event %llu of %.*s was trimmed before it was published", (unsigned long long)next->seq,
                   SPAN_ARGS(next->session->name));
}

/* --- new events --- */

/* {"value": n} as the counter packs it. */
static bool counter_value(struct span result, uint64_t *out)
{
    struct cursor cursor = cursor_of(result);
    struct value map, key, value;
    if (!span_given(result) || !cursor_read(&cursor, &map) || map.type != VALUE_MAP || !cursor_read(&cursor, &key) ||
        !span_is(key.text, "value") || !cursor_read(&cursor, &value) || value.type != VALUE_UINT)
        return false;
    *out = value.number;
    return true;
}

static void check_counter(struct sim *s, struct seen_session *session, const struct mk_completion *c, uint64_t amount)
{
    uint64_t value;
    if (!counter_value(c->result, &value)) {
        sim_broken(s, "P2", "the result of %.*s is not {value: n}", SPAN_ARGS(c->input));
        return;
    }
    if (value != session->counter + amount && !(session->may_forget && value == amount))
        sim_broken(s, "P2", "%.*s added %llu to %llu, and the counter says %llu", SPAN_ARGS(c->input),
                   (unsigned long long)amount, (unsigned long long)session->counter, (unsigned long long)value);
    session->counter = value;
}

static void check_order(struct sim *s, struct seen_session *session, const struct mk_completion *c,
                        const struct seen_input *input)
{
    uint64_t *last = &session->last_done[input->lane];
    if (input->order <= *last)
        sim_broken(s, "P5", "%.*s, number %llu of its lane, completed behind number %llu", SPAN_ARGS(c->input),
                   (unsigned long long)input->order, (unsigned long long)*last);
    *last = input->order;
}

static void new_completion(struct sim *s, struct seen_session *session, const struct mk_completion *c,
                           struct span message)
{
    struct seen_input *input = checks_input(s, session->name, c->input);
    struct fact_record fact = {0};
    bool known = checks_fact(s, session->name, FACT_INPUT, c->input, &fact);
    if (input->terminal && input->durable)
        sim_broken(s, "P1", "%.*s has a second completion, %s", SPAN_ARGS(c->input), mk_outcome_name(c->outcome));
    if (input->durable && (!known || !phase_terminal(fact.phase) || !span_equal(fact.bytes, message)))
        sim_broken(s, "P4", "the completion of %.*s is in the outbox and not in its record", SPAN_ARGS(c->input));
    checks_receipt(s, session, c);
    input->terminal = true;
    session->completions++;
    s->totals.completions++;
    if (c->outcome != MK_COMPLETED)
        return;
    if (!input->started)
        sim_broken(s, "P6", "%.*s completed with a result and no run of it was started", SPAN_ARGS(c->input));
    if (input->durable)
        check_order(s, session, c, input);
    if (session->name.at[0] == 'c')
        check_counter(s, session, c, input->amount);
}

struct new_events {
    uint32_t partition;
    uint64_t fence;
    size_t abandoned; /* completions of inputs that ended otherwise than their publishers wished */
};

static void new_event(struct sim *s, void *self, uint64_t commit, struct span name, struct span message)
{
    struct new_events *of = self;
    if (span_given(memo_session(name)))
        return; /* no event */
    struct seen_session *session = checks_session(s, name);
    struct message_head head;
    struct mk_completion completion = {0};
    struct effect_in effect = {0};
    struct mk_note note;
    bool good = message_head_read(message, &head, &note) == MK_ERR_OK;
    bool is_completion = good && head.type == MK_COMPLETION;
    good = good && (is_completion ? completion_read(message, &completion, &note) == MK_ERR_OK
                                  : effect_read(message, &effect, &note) == MK_ERR_OK);
    if (!good) {
        sim_broken(s, "P7", "an event of %.*s cannot be read: %s", SPAN_ARGS(name), note.text);
        return;
    }
    uint64_t seq = is_completion ? completion.seq : effect.seq, fence = is_completion ? completion.fence : effect.fence;
    if (seq != session->count + 1)
        sim_broken(s, "P7", "event %llu of %.*s follows number %zu", (unsigned long long)seq, SPAN_ARGS(name),
                   session->count);
    if (fence != of->fence)
        sim_broken(s, "P7", "event %llu of %.*s has fence %llu under a lease of %llu", (unsigned long long)seq,
                   SPAN_ARGS(name), (unsigned long long)fence, (unsigned long long)of->fence);
    struct seen_event *event = sim_alloc(s, sizeof *event);
    *event = (struct seen_event){session, message, seq, commit, false};
    struct seen_partition *partition = &s->checks->partitions[of->partition];
    push_event(s, &session->events, &session->count, &session->room, event);
    push_event(s, &partition->events, &partition->count, &partition->room, event);
    s->totals.events++;
    if (is_completion)
        new_completion(s, session, &completion, message);
    of->abandoned +=
        is_completion && (completion.outcome == MK_ABANDONED_WITH_ERROR || completion.outcome == MK_RUNTIME_TERMINATED);
}

/* --- a session's records hang together (P4) --- */

struct head {
    struct session_record record;
    struct run_record run;
    uint64_t active[ACTIVE_INPUTS_MAX];
};

/* False: there is none, or it is broken. `run` and `active` are lent to the record. */
static bool head_of(struct sim *s, const struct seen_session *session, struct head *out)
{
    struct mk_note note;
    struct span bytes = sim_store_get(s, session->partition, 's', session->name);
    if (!span_given(bytes))
        return false;
    if (session_record_read(bytes, &out->record, &out->run, out->active, &note) == MK_ERR_OK)
        return true;
    sim_broken(s, "P4", "the head of %.*s cannot be read: %s", SPAN_ARGS(session->name), note.text);
    return false;
}

static bool row_of(struct sim *s, const struct seen_session *session, uint64_t seq, struct input_record *out)
{
    char field[INPUT_FIELD_BYTES];
    struct mk_note note;
    struct span bytes =
        sim_store_get(s, session->partition, 'i', (struct span){field, input_field(field, session->name, seq)});
    if (span_given(bytes) && input_record_read(bytes, out, &note) == MK_ERR_OK)
        return true;
    sim_broken(s, "P4", "row %llu of %.*s %s", (unsigned long long)seq, SPAN_ARGS(session->name),
               span_given(bytes) ? note.text : "is named by the head and absent");
    return false;
}

/* What an input adds to a counter: its body when that is a small integer, else 1. */
static uint64_t amount_of(struct span body)
{
    return body.bytes == 1 && (uint8_t)body.at[0] < 0x80 ? (uint64_t)body.at[0] : 1;
}

static void check_key(struct sim *s, const struct seen_session *session, const struct mk_input *in)
{
    struct map_key storage;
    struct span key = map_key2(&storage, session->name, in->idem);
    const struct span *first = map_get(&s->checks->keys, key);
    if (first && !span_equal(*first, in->h.id))
        sim_broken(s, "P2", "%.*s and %.*s of %.*s were both admitted with the key %.*s", SPAN_ARGS(*first),
                   SPAN_ARGS(in->h.id), SPAN_ARGS(session->name), SPAN_ARGS(in->idem));
    if (first)
        return;
    struct span *id = sim_alloc(s, sizeof *id);
    *id = sim_copy(s, in->h.id);
    map_put(s, &s->checks->keys, key, id);
}

static void check_row(struct sim *s, struct seen_session *session, const struct input_record *row, uint64_t commit)
{
    const struct mk_input *in = &row->input;
    struct seen_input *input = checks_input(s, session->name, in->h.id);
    bool durable = in->durability == MK_DURABLE;
    if (durable && input->terminal && !input->durable) /* an ephemeral one of that name went with its owner */
        *input = (struct seen_input){.durable = false};
    if (durable && input->seq && input->seq != row->seq)
        sim_broken(s, "P2", "%.*s was admitted twice, as %llu and %llu", SPAN_ARGS(in->h.id),
                   (unsigned long long)input->seq, (unsigned long long)row->seq);
    if (durable && input->has_body && input->body != span_hash(in->body))
        sim_broken(s, "P2", "%.*s was admitted with two bodies", SPAN_ARGS(in->h.id));
    if (durable && input->terminal)
        sim_broken(s, "P1", "%.*s is active again behind its completion", SPAN_ARGS(in->h.id));
    if (durable && span_given(in->idem))
        check_key(s, session, in);
    if (!input->seq)
        input->first_commit = commit;
    input->durable = durable;
    input->has_body = true;
    input->body = span_hash(in->body);
    input->seq = row->seq;
    input->order = row->order;
    input->lane = row->lane;
    if (durable && row->attempts > input->failures + 1)
        sim_broken(s, "rule 4", "%.*s has %llu attempts behind %llu failures", SPAN_ARGS(in->h.id),
                   (unsigned long long)row->attempts, (unsigned long long)input->failures);
    struct fact_record fact;
    if (durable && (!checks_fact(s, session->name, FACT_INPUT, in->h.id, &fact) || phase_terminal(fact.phase)))
        sim_broken(s, "P4", "%.*s is active and its record says otherwise", SPAN_ARGS(in->h.id));
}

static bool in_run(const struct run_record *run, uint64_t seq)
{
    for (size_t i = 0; i < run->input_count; i++)
        if (run->inputs[i] == seq)
            return true;
    return false;
}

/* A run recorded for the first time takes the head of its lane, and the steer lane goes first. Rows of the same commit
 * may have come behind the selection. */
static void check_selection(struct sim *s, const struct seen_session *session, const struct run_record *run,
                            const struct input_record *rows, size_t count, uint64_t commit)
{
    const struct input_record *last = NULL;
    for (size_t i = 0; i < count; i++)
        if (in_run(run, rows[i].seq))
            last = &rows[i];
    if (!last)
        return; /* ephemeral inputs alone: they have no rows */
    for (size_t i = 0; i < count; i++) {
        const struct input_record *row = &rows[i];
        bool waited = checks_input(s, session->name, row->input.h.id)->first_commit < commit;
        bool before = row->lane != last->lane ? row->lane == LANE_STEER : row->order < last->order;
        if (waited && before && row->phase == INPUT_QUEUED && !in_run(run, row->seq))
            sim_broken(s, "P5", "the run %s of %.*s passes over %.*s", run->id.text, SPAN_ARGS(session->name),
                       SPAN_ARGS(row->input.h.id));
    }
}

static void check_run_record(struct sim *s, struct seen_session *session, const struct run_record *run,
                             const struct input_record *rows, size_t count, uint64_t commit)
{
    struct map_key storage;
    struct span key = map_key2(&storage, session->name, id_span(&run->id));
    struct seen_run *seen = map_get(&s->checks->runs, key);
    session->run = run->id;
    if (seen)
        return;
    seen = sim_alloc(s, sizeof *seen);
    seen->commit = commit;
    map_put(s, &s->checks->runs, key, seen);
    if (run->input_count)
        check_selection(s, session, run, rows, count, commit);
}

static void check_session(struct sim *s, struct seen_session *session, uint64_t commit)
{
    struct head *head = sim_alloc(s, sizeof *head);
    if (!head_of(s, session, head))
        return;
    const struct session_record *record = &head->record;
    session->waits = false;
    if (record->next_event != session->count + 1)
        sim_broken(s, "P7", "the head of %.*s says event %llu is next, the outbox has %zu", SPAN_ARGS(session->name),
                   (unsigned long long)record->next_event, session->count);
    struct input_record *rows = sim_alloc(s, (record->active_count + 1) * sizeof *rows);
    for (size_t i = 0; i < record->active_count && !sim_is_broken(s); i++)
        if (row_of(s, session, record->active[i], &rows[i]) && !checks_is_carried(record, record->active[i])) {
            check_row(s, session, &rows[i], commit);
            session->waits |= rows[i].input.wake && record->phase != PHASE_STOPPED;
        }
    checks_session_line(s, session);
    if (!sim_is_broken(s))
        checks_carried(s, session, record, rows);
    if (record->run && !sim_is_broken(s))
        check_run_record(s, session, record->run, rows, record->active_count, commit);
}

/* The sessions whose heads this part of a commit wrote. */
static void check_sections(struct sim *s, const struct sim_call *call, const struct part *part)
{
    size_t at = part->first_section;
    for (size_t i = 0; i < part->sections; i++) {
        size_t ops = (size_t)number(call->args[at++]);
        checks_section(s, part->partition, call->args + at, ops);
        for (size_t op = 0; op < ops; op++, at += 3)
            if (span_is(call->args[at], "s") && !sim_is_broken(s))
                check_session(s, checks_session(s, call->args[at + 1]), part->sequence);
    }
}

static void check_partition(struct sim *s, const struct sim_call *call, uint32_t p, const struct part *part)
{
    struct seen_partition *partition = &s->checks->partitions[p];
    struct seen_lease was = partition->lease, is = lease_now(s, p);
    check_fence(s, p, &was, &is);
    check_sequence(s, call, p, part ? part->fence : 0, &was, &is);
    partition->lease = is;
    checks_moved(s, call, p, &was, &is);
    if (part && is.sequence == was.sequence + 1 && !sim_is_broken(s)) {
        struct new_events of = {p, is.fence, 0};
        s->totals.commits++;
        checks_line(s, p, &is);
        sim_store_each_event(s, p, 'o', was.sequence, new_event, &of);
        checks_letters(s, p, was.sequence, of.abandoned);
        check_sections(s, call, part);
    }
    check_mark(s, p, &was, &is);
}

void checks_executed(struct sim *s, const struct sim_call *call)
{
    if (s->checks->blind)
        return;
    if (call->script == SCRIPT_CLAIM || call->script == SCRIPT_RENEW || call->script == SCRIPT_RELEASE)
        for (size_t i = 0; i < call->key_count; i += call->script == SCRIPT_RELEASE ? 2 : 1)
            check_partition(s, call, checks_key_partition(call->keys[i]), NULL);
    if (call->script != SCRIPT_COMMIT)
        return;
    size_t at = 2;
    bool any_owned = false;
    for (size_t i = 0; i < call->key_count / KEYS_PER_PART; i++) {
        struct part part = next_part(call->keys, call->args, call->arg_count, i, at);
        any_owned |= owned_by(&s->checks->partitions[part.partition].lease, call->args, part.fence);
        check_partition(s, call, part.partition, &part);
        at = part.end_arg;
    }
    if (call->wrote && !any_owned)
        sim_broken(s, "P3", "a commit of %.*s, who owns nothing of it, wrote", SPAN_ARGS(call->args[0]));
}

/* --- what is started --- */

void checks_owner(struct sim *s, const struct sim_node *node, struct span session, const char *does)
{
    const struct seen_lease *lease = &s->checks->partitions[partition_of(session, s->config.partitions)].lease;
    if (!span_is(lease->node, node->name) || !span_is(lease->incarnation, node->incarnation.text))
        sim_broken(s, "P3", "%s %s for %.*s, which %.*s owns", node->name, does, SPAN_ARGS(session),
                   SPAN_ARGS(lease->node));
    else if (sim_store_now_us(s) / 1000 >= lease->expires_ms)
        sim_broken(s, "P3", "%s %s for %.*s after its lease ran out", node->name, does, SPAN_ARGS(session));
}

/* Rule 3: the run, its inputs in order and its attempt are durable. */
static void check_recorded(struct sim *s, struct seen_session *session, const struct run_request *request)
{
    const struct run_record *asked = request->run;
    struct head *head = sim_alloc(s, sizeof *head);
    bool same = head_of(s, session, head) && head->record.run &&
                span_equal(id_span(&head->run.id), id_span(&asked->id)) && head->run.attempt == asked->attempt &&
                head->run.input_count == asked->input_count &&
                !memcmp(head->run.inputs, asked->inputs, asked->input_count * sizeof *asked->inputs);
    if (!same) {
        sim_broken(s, "rule 3", "run %s, attempt %llu, of %.*s starts and is not stored so", asked->id.text,
                   (unsigned long long)asked->attempt, SPAN_ARGS(session->name));
        return;
    }
    for (size_t i = 0; i < request->input_count && !sim_is_broken(s); i++) {
        struct input_record row;
        const struct mk_input *in = request->inputs[i].input;
        if (in->durability == MK_EPHEMERAL)
            continue; /* has no row */
        if (row_of(s, session, asked->inputs[i], &row) && !span_equal(row.input.h.id, in->h.id))
            sim_broken(s, "P6", "run %s starts with %.*s in the place of %.*s", asked->id.text, SPAN_ARGS(in->h.id),
                       SPAN_ARGS(row.input.h.id));
    }
}

/* P6: again means the same inputs in the same order, a higher attempt, and of another life a higher fence. */
static void check_again(struct sim *s, const struct sim_node *node, struct seen_session *session,
                        const struct run_request *r)
{
    struct map_key storage;
    struct seen_run *seen = map_get(&s->checks->runs, map_key2(&storage, session->name, id_span(&r->run->id)));
    uint64_t inputs = 1;
    for (size_t i = 0; i < r->input_count; i++)
        if (r->inputs[i].input->durability != MK_EPHEMERAL)
            inputs = inputs * 1099511628211ull + span_hash(r->inputs[i].input->h.id);
    if (!seen) /* recorded by a commit that was seen: check_recorded has spoken */
        return;
    if (seen->cancelled)
        sim_broken(s, "rule 6", "run %s starts, and its cancel was answered", r->run->id.text);
    bool first = !seen->attempt, other_life = !first && !span_is(seen->incarnation, node->incarnation.text);
    if (!first && (inputs != seen->inputs || r->run->attempt <= seen->attempt || r->fence < seen->fence ||
                   (other_life && r->fence == seen->fence)))
        sim_broken(s, "P6", "run %s, attempt %llu, fence %llu is not a proper repeat of attempt %llu, fence %llu",
                   r->run->id.text, (unsigned long long)r->run->attempt, (unsigned long long)r->fence,
                   (unsigned long long)seen->attempt, (unsigned long long)seen->fence);
    seen->attempt = r->run->attempt;
    seen->fence = r->fence;
    seen->inputs = inputs;
    seen->incarnation = sim_copy(s, span_of(node->incarnation.text));
}

void checks_started(struct sim *s, struct sim_node *node, const struct run_request *request)
{
    struct seen_session *session = checks_session(s, request->session);
    session->starts++;
    s->totals.runs++;
    sim_trace(s, node->name, "starts run %.8s of %.*s, attempt %llu, %zu inputs from %.*s", request->run->id.text,
              SPAN_ARGS(request->session), (unsigned long long)request->run->attempt, request->input_count,
              SPAN_ARGS(request->inputs[0].input->h.id));
    if (s->checks->blind)
        return;
    checks_owner(s, node, request->session, "starts a run");
    if (request->fence != s->checks->partitions[session->partition].lease.fence)
        sim_broken(s, "P3", "run %s starts with fence %llu, which is not the lease's", request->run->id.text,
                   (unsigned long long)request->fence);
    if (!span_equal(request->state, sim_store_get(s, session->partition, 'x', session->name)))
        sim_broken(s, "P4", "run %s of %.*s starts with a state that is not the stored one", request->run->id.text,
                   SPAN_ARGS(session->name));
    for (size_t i = 0; i < request->input_count; i++) {
        const struct mk_input *in = request->inputs[i].input;
        struct seen_input *input = checks_input(s, session->name, in->h.id);
        input->amount = amount_of(in->body);
        input->started = true;
        if (input->terminal && input->durable)
            sim_broken(s, "P2", "%.*s runs again behind its completion", SPAN_ARGS(in->h.id));
    }
    check_recorded(s, session, request);
    checks_carries(s, session, request);
    check_again(s, node, session, request);
}

void checks_failed(struct sim *s, struct span session, const struct span *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        checks_input(s, session, inputs[i])->failures++;
}

void checks_commanded(struct sim *s, struct span session, enum mk_op op)
{
    if (op == MK_OP_UNREGISTER || op == MK_OP_UNREGISTER_IF_EPOCH || op == MK_OP_STOP || op == MK_OP_DESTROY ||
        op == MK_OP_RESET)
        checks_session(s, session)->may_end = true;
    if (op == MK_OP_UNREGISTER || op == MK_OP_DESTROY || op == MK_OP_RESET)
        checks_session(s, session)->may_forget = true;
}

/* --- after a turn, when it is quiet, at the end --- */

void checks_turn(struct sim *s, struct sim_node *node)
{
    if (s->checks->blind)
        return;
    struct driver_status status;
    driver_status(node->driver, &status);
    if (status.faults)
        sim_broken(s, "faults", "%s found %llu broken invariants of its own", node->name,
                   (unsigned long long)status.faults);
    if (status.inputs_held > HELD_EVENTS_MAX)
        sim_broken(s, "bounds", "%s holds %llu events", node->name, (unsigned long long)status.inputs_held);
    if (status.sessions_quarantined)
        sim_broken(s, "faults", "%s has quarantined a session", node->name);
}

/* Active inputs in the store that ask to be run, where nothing stands in their way. */
void checks_quiet(struct sim *s)
{
    struct head *head = sim_alloc(s, sizeof *head);
    for (size_t i = 0; i < s->checks->sessions.count; i++) {
        struct seen_session *session = s->checks->sessions.entries[i].value;
        if (!head_of(s, session, head) || head->record.phase == PHASE_STOPPED)
            continue;
        for (size_t a = 0; a < head->record.active_count; a++) {
            struct input_record row;
            if (row_of(s, session, head->record.active[a], &row) && row.input.wake && row.phase != INPUT_CONSUMED)
                sim_broken(s, "P8", "%.*s of %.*s waits and nothing runs", SPAN_ARGS(row.input.h.id),
                           SPAN_ARGS(session->name));
        }
    }
}

static void count_row(struct sim *s, void *self, struct span field, struct span value)
{
    (void)s, (void)field, (void)value;
    ++*(size_t *)self;
}

/* Consumption takes the rows away: there are as many as the heads name. */
static void check_rows(struct sim *s, uint32_t partition)
{
    struct head *head = sim_alloc(s, sizeof *head);
    size_t rows = 0, named = 0;
    sim_store_each(s, partition, 'i', count_row, &rows);
    for (size_t i = 0; i < s->checks->sessions.count; i++) {
        const struct seen_session *session = s->checks->sessions.entries[i].value;
        if (session->partition == partition && head_of(s, session, head))
            named += head->record.active_count;
    }
    if (rows != named)
        sim_broken(s, "P4", "partition %u holds %zu rows of inputs, its sessions name %zu", partition, rows, named);
}

void checks_end(struct sim *s)
{
    const struct checks *c = s->checks;
    for (uint32_t p = 0; p < s->config.partitions; p++)
        check_rows(s, p);
    for (size_t i = 0; i < c->inputs.count; i++) {
        const struct seen_input *input = c->inputs.entries[i].value;
        if (input->accepted && !input->terminal)
            sim_broken(s, "P1", "%.*s was accepted and has no completion", SPAN_ARGS(c->inputs.entries[i].key));
    }
    for (size_t i = 0; i < c->sessions.count; i++) {
        const struct seen_session *session = c->sessions.entries[i].value;
        for (size_t e = 0; e < session->count; e++)
            if (!session->events[e]->published)
                sim_broken(s, "P7", "event %zu of %.*s was stored and never published", e + 1,
                           SPAN_ARGS(session->name));
    }
}

uint64_t checks_completions(const struct sim *s, const char *session)
{
    const struct seen_session *seen = map_get(&s->checks->sessions, span_of(session));
    return seen ? seen->completions : 0;
}

uint64_t checks_attempts(struct sim *s, const char *session)
{
    struct seen_session *seen = checks_session(s, span_of(session));
    struct head *head = sim_alloc(s, sizeof *head);
    struct input_record row = {.attempts = 0};
    if (head_of(s, seen, head) && head->record.active_count)
        row_of(s, seen, head->record.active[0], &row);
    return row.attempts;
}

uint64_t checks_starts(const struct sim *s, const char *session)
{
    const struct seen_session *seen = map_get(&s->checks->sessions, span_of(session));
    return seen ? seen->starts : 0;
}
