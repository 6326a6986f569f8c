/* The stage: what one or several events changed and what is to be said of it, until the store has it. */
#include "node/core/session_impl.h"

#include <assert.h>
#include <stdio.h>

/* --- opening and emptying --- */

static bool core_copy(struct session_core *to, const struct session_core *from, const struct mk_mem *mem)
{
    *to = *from;
    if (!ledger_copy(&to->ledger, &from->ledger, mem))
        return false;
    carried_copy(&to->carried, &from->carried);
    blob_keep(to->state);
    return true;
}

void session_core_fini(struct session_core *core, const struct mk_mem *mem)
{
    ledger_release(&core->ledger, mem);
    carried_release(&core->carried, mem);
    blob_release(core->state);
    core->state = NULL;
}

static void stage_empty(struct stage *stage)
{
    *stage = (struct stage){.open = false};
    stage->answers_end = &stage->answers;
    stage->events_end = &stage->events;
    stage->writes_end = &stage->writes;
}

bool stage_open(struct session *session)
{
    struct stage *stage = &session->stage;
    struct session_core *before = mem_alloc(session->mem, sizeof *before);
    if (!before || !core_copy(before, &session->core, session->mem)) {
        mem_free(session->mem, before);
        return false;
    }
    stage_empty(stage);
    stage->before = before;
    stage->open = true;
    return true;
}

void staged_answer_free(const struct mk_mem *mem, struct answer *answer)
{
    if (!answer)
        return;
    doc_free(answer->data);
    blob_release(answer->bytes);
    mem_free(mem, answer);
}

void staged_event_free(const struct mk_mem *mem, struct staged_event *event)
{
    if (!event)
        return;
    doc_free(event->data);
    blob_release(event->result);
    blob_release(event->text);
    input_release(event->dead);
    blob_release(event->bytes);
    mem_free(mem, event);
}

static void write_free(const struct mk_mem *mem, struct fact_write *write)
{
    input_release(write->input);
    doc_free(write->receipt);
    mem_free(mem, write);
}

void stage_clear(struct session *session)
{
    struct stage *stage = &session->stage;
    const struct mk_mem *mem = session->mem;
    for (struct answer *answer; (answer = stage->answers);) {
        stage->answers = answer->next;
        staged_answer_free(mem, answer);
    }
    for (struct staged_event *event; (event = stage->events);) {
        stage->events = event->next;
        staged_event_free(mem, event);
    }
    for (struct fact_write *write; (write = stage->writes);) {
        stage->writes = write->next;
        write_free(mem, write);
    }
    for (struct fact_want *want; (want = stage->wants);) {
        stage->wants = want->next;
        mem_free(mem, want);
    }
    mem_free(mem, stage->removed);
    if (stage->before)
        session_core_fini(stage->before, mem);
    mem_free(mem, stage->before);
    stage_empty(stage);
}

/* --- what goes on it --- */

static void *stage_alloc(struct session *session, size_t bytes)
{
    void *memory = session->stage.failed ? NULL : mem_alloc(session->mem, bytes);
    if (!memory)
        session->stage.failed = true;
    return memory;
}

struct answer *stage_answer(struct session *session, enum answer_type type, struct span to, struct span re)
{
    struct answer *answer = stage_alloc(session, sizeof *answer);
    if (!answer)
        return NULL;
    answer->type = type;
    id_set(&answer->to, to);
    id_set(&answer->re, re);
    if (type == ANSWER_ADMISSION) {
        answer->as.admission.re = id_span(&answer->re);
        answer->as.admission.session = session_id_span(&session->id);
    } else {
        answer->as.result.re = id_span(&answer->re);
        answer->as.result.session = session_id_span(&session->id);
    }
    *session->stage.answers_end = answer;
    session->stage.answers_end = &answer->next;
    return answer;
}

static struct fact_write *find_write(const struct session *session, enum fact_kind kind, struct span name, bool forget)
{
    for (struct fact_write *write = session->stage.writes; write; write = write->next)
        if (write->forget == forget && write->record.kind == kind && span_equal(id_span(&write->name), name))
            return write;
    return NULL;
}

struct fact_write *stage_written(const struct session *session, enum fact_kind kind, struct span name)
{
    return find_write(session, kind, name, false);
}

void stage_forget(struct session *session, enum fact_kind kind, struct span name)
{
    if (stage_written(session, kind, name))
        return; /* it is remembered anew */
    struct fact_write *write = stage_write(session, kind, name);
    if (write)
        write->forget = true;
}

struct fact_write *stage_write(struct session *session, enum fact_kind kind, struct span name)
{
    struct fact_write *write = find_write(session, kind, name, true);
    if (write) {
        write->forget = false;
        return write;
    }
    write = stage_alloc(session, sizeof *write);
    if (!write)
        return NULL;
    write->record.version = FACT_RECORD_VERSION;
    write->record.kind = kind;
    id_set(&write->name, name);
    session->stage.durable = true;
    *session->stage.writes_end = write;
    session->stage.writes_end = &write->next;
    return write;
}

struct fact_write *stage_write_new(struct session *session, enum fact_kind kind, struct span name)
{
    struct fact_write *write = stage_write(session, kind, name);
    const struct fact *fact = session_fact(session, kind, name);
    if (write)
        write->condition = !fact || !fact->stale;
    return write;
}

static struct staged_event *event_add(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct staged_event *event = stage_alloc(session, sizeof *event);
    if (!event)
        return NULL;
    event->session = session->id;
    event->epoch = session->core.machine.binding.epoch;
    session->stage.durable = true;
    *session->stage.events_end = event;
    session->stage.events_end = &event->next;
    return event;
}

struct staged_event *stage_effect(const struct turn_of *turn, enum mk_effect_name name)
{
    struct staged_event *event = event_add(turn);
    if (!event)
        return NULL;
    event->data = doc_new(turn->session->mem);
    if (!event->data) {
        turn->session->stage.failed = true;
        return NULL;
    }
    doc_map(event->data);
    event->as.effect = (struct mk_effect){
        .session = session_id_span(&event->session),
        .name = name,
        .data = event->data,
        .seq = turn->session->core.next_event++,
        .fence = turn->ctx->fence,
        .generation = turn->session->core.generation,
        .node = turn->ctx->node,
        .epoch = id_span(&event->epoch),
        .ts = turn->ctx->store_ms,
    };
    return event;
}

struct staged_event *stage_completion(const struct turn_of *turn, const struct entry *entry, enum mk_outcome outcome)
{
    struct staged_event *event = event_add(turn);
    if (!event)
        return NULL;
    event->is_completion = true;
    id_set(&event->input, entry->input->input.h.id);
    id_set(&event->idem, entry->input->input.idem);
    memcpy(event->waiters, entry->waiters, sizeof event->waiters);
    event->waiter_count = entry->waiter_count;
    event->as.completion = (struct mk_completion){
        .session = session_id_span(&event->session),
        .input = id_span(&event->input),
        .idem = id_span(&event->idem),
        .outcome = outcome,
        .seq = turn->session->core.next_event++,
        .fence = turn->ctx->fence,
        .generation = turn->session->core.generation,
        .node = turn->ctx->node,
        .epoch = id_span(&event->epoch),
        .ts = turn->ctx->store_ms,
    };
    return event;
}

void stage_want(struct session *session, enum fact_kind kind, struct span name)
{
    struct fact_want *want = stage_alloc(session, sizeof *want);
    if (!want)
        return;
    want->kind = kind;
    id_set(&want->name, name);
    want->next = session->stage.wants;
    session->stage.wants = want;
}

void stage_row_removed(struct session *session, uint64_t seq)
{
    struct stage *stage = &session->stage;
    stage->durable = true;
    if (stage->removed_count == stage->removed_room) {
        size_t room = stage->removed_room ? 2 * stage->removed_room : 8;
        uint64_t *removed = stage_alloc(session, room * sizeof *removed);
        if (!removed)
            return;
        if (stage->removed_count)
            memcpy(removed, stage->removed, stage->removed_count * sizeof *removed);
        mem_free(session->mem, stage->removed);
        stage->removed = removed;
        stage->removed_room = room;
    }
    stage->removed[stage->removed_count++] = seq;
}

static uint64_t mix(uint64_t z) /* splitmix64's output function */
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void stage_run_id(const struct turn_of *turn, struct mk_id *out)
{
    uint64_t step = 0x9e3779b97f4a7c15ull * ++turn->session->stage.minted;
    uint64_t high = mix(turn->ctx->random[0] + step), low = mix(turn->ctx->random[1] + step);
    char text[33];
    snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
    id_set(out, span_bytes(text, 32));
}

/* --- what the node told --- */

const struct fact *session_fact(const struct session *session, enum fact_kind kind, struct span name)
{
    for (const struct fact *fact = session->facts; fact; fact = fact->next)
        if (fact->kind == kind && span_equal(id_span(&fact->name), name))
            return fact;
    return NULL;
}

/* A span into one buffer, moved to its copy. */
static struct span moved(struct span span, struct span from, const struct mk_blob *to)
{
    if (!span.at)
        return span;
    assert(span.at >= from.at && span.at + span.bytes <= from.at + from.bytes);
    return span_bytes(to->data + (span.at - from.at), span.bytes);
}

static bool fact_fill(struct fact *fact, const struct mk_mem *mem, const struct fact_record *record, struct span bytes)
{
    fact->exists = record != NULL;
    if (!record)
        return true;
    fact->bytes = blob_new(mem, bytes);
    if (!fact->bytes)
        return false;
    fact->record = *record;
    fact->record.input = moved(record->input, bytes, fact->bytes);
    fact->record.run = moved(record->run, bytes, fact->bytes);
    fact->record.bytes = moved(record->bytes, bytes, fact->bytes);
    return true;
}

bool session_know(struct session *session, enum fact_kind kind, struct span name, const struct fact_record *record,
                  struct span bytes)
{
    struct fact *fact = mem_alloc(session->mem, sizeof *fact);
    if (!fact)
        return false;
    fact->kind = kind;
    id_set(&fact->name, name);
    fact->stale = record && record->ephemeral && record->stamp != session->fence;
    if (fact->stale)
        record = NULL;
    if (!fact_fill(fact, session->mem, record, bytes)) {
        mem_free(session->mem, fact);
        return false;
    }
    fact->next = session->facts; /* the newest is found first */
    session->facts = fact;
    return true;
}

void session_forget(struct session *session)
{
    for (struct fact *fact; (fact = session->facts);) {
        session->facts = fact->next;
        blob_release(fact->bytes);
        mem_free(session->mem, fact);
    }
}
