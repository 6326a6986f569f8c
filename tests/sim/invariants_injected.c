/* What goes into a run that is at work (semantics-core.md 5.5): consumed once, by the run that took it, and carried by
 * every execution until a run has committed. */
#include "tests/sim/invariants.h"

/* Receipts of a run are 1, 2, 3... for what was injected, and one more for itself (D3); 0 when nothing was. */
void checks_receipt(struct sim *s, struct seen_session *session, const struct mk_completion *c)
{
    session->gave_up |= span_is(c->reason, "node_deaths");
    if (!c->has_receipt)
        return;
    struct map_key storage;
    struct seen_input *input = checks_input(s, session->name, c->input);
    struct seen_run *run = map_get(&s->checks->runs, map_key2(&storage, session->name, c->receipt.run));
    bool injection =
        c->outcome == MK_COMPLETED_WITHOUT_RESULT && sim_executors_took(s, session->name, c->receipt.run, c->input);
    uint64_t before = run ? run->injections : 0, wanted = injection || before ? before + 1 : 0;
    session->committed |= !injection;
    if (c->receipt.sequence != wanted)
        sim_broken(s, "D3", "receipt %llu of run %.*s for %.*s, not %llu", (unsigned long long)c->receipt.sequence,
                   SPAN_ARGS(c->receipt.run), SPAN_ARGS(c->input), (unsigned long long)wanted);
    if (!injection && !input->started && input->durable)
        sim_broken(s, "P4", "%.*s is consumed, and was neither in run %.*s nor taken in by it", SPAN_ARGS(c->input),
                   SPAN_ARGS(c->receipt.run));
    if (!injection)
        return;
    if (run)
        run->injections++;
    input->injected = true;
    s->totals.injected++;
    if (!run || !span_equal(id_span(&session->run), c->receipt.run))
        sim_broken(s, "P4", "%.*s was injected into run %.*s, which is not the session's", SPAN_ARGS(c->input),
                   SPAN_ARGS(c->receipt.run));
    if (input->started && input->durable)
        sim_broken(s, "P2", "%.*s was given to a run, and then injected into one", SPAN_ARGS(c->input));
}

bool checks_is_carried(const struct session_record *head, uint64_t seq)
{
    for (size_t i = 0; i < head->injected_count; i++)
        if (head->injected[i] == seq)
            return true;
    return false;
}

static const struct input_record *row_at(const struct session_record *head, const struct input_record *rows,
                                         uint64_t seq)
{
    for (size_t i = 0; i < head->active_count; i++)
        if (head->active[i] == seq)
            return &rows[i];
    return NULL;
}

/* What is not named any more was in a run that committed, or in too many that failed, or its session has ended. */
static void check_dropped(struct sim *s, const struct seen_session *session, const struct session_record *head,
                          const struct input_record *rows)
{
    size_t at = 0;
    for (size_t i = 0; i < session->carried_count; i++) {
        const struct input_record *row = at < head->injected_count ? row_at(head, rows, head->injected[at]) : NULL;
        if (row && span_equal(row->input.h.id, session->carried[i])) {
            at++;
            continue;
        }
        bool may = session->committed || session->gave_up || session->may_end ||
                   session->carried_attempts[i] >= STAGE_ATTEMPTS_MAX;
        if (!may)
            sim_broken(s, "P4", "%.*s was injected, and is forgotten before a run has committed it",
                       SPAN_ARGS(session->carried[i]));
    }
}

void checks_carried(struct sim *s, struct seen_session *session, const struct session_record *head,
                    const struct input_record *rows)
{
    check_dropped(s, session, head, rows);
    session->committed = session->gave_up = false;
    session->carried_count = 0;
    for (size_t i = 0; i < head->injected_count && !sim_is_broken(s); i++) {
        const struct input_record *row = row_at(head, rows, head->injected[i]);
        struct fact_record fact;
        if (!row || row->phase != INPUT_CONSUMED) {
            sim_broken(s, "P4", "the head of %.*s carries %llu, which is no consumed row", SPAN_ARGS(session->name),
                       (unsigned long long)head->injected[i]);
            return;
        }
        if (!checks_input(s, session->name, row->input.h.id)->injected)
            sim_broken(s, "P4", "%.*s is carried and has no completion", SPAN_ARGS(row->input.h.id));
        if (checks_fact(s, session->name, FACT_INPUT, row->input.h.id, &fact) && fact.phase != INPUT_CONSUMED)
            sim_broken(s, "P4", "%.*s is carried and its record says otherwise", SPAN_ARGS(row->input.h.id));
        session->carried_attempts[session->carried_count] = row->attempts;
        session->carried[session->carried_count++] = sim_copy(s, row->input.h.id);
    }
}

/* P6, rule 3: an execution is given what the head names, in its order; ephemeral ones besides. */
void checks_carries(struct sim *s, const struct seen_session *session, const struct run_request *request)
{
    size_t at = 0;
    for (size_t i = 0; i < request->injected_count; i++) {
        struct span id = request->injected[i].input->h.id;
        if (request->injected[i].input->durability == MK_EPHEMERAL)
            continue;
        if (at == session->carried_count || !span_equal(id, session->carried[at]))
            sim_broken(s, "rule 3", "run %s is given %.*s, which is not what was injected", request->run->id.text,
                       SPAN_ARGS(id));
        at++;
    }
    s->totals.carried += at;
    if (at != session->carried_count)
        sim_broken(s, "rule 3", "run %s begins without %.*s, which was injected", request->run->id.text,
                   SPAN_ARGS(session->carried[at]));
}

void checks_offered(struct sim *s, struct span session, struct span run, struct span input)
{
    const struct seen_input *seen = checks_input(s, session, input);
    sim_trace(s, "", "run %.8s of %.*s is asked to take in %.*s", run.at, SPAN_ARGS(session), SPAN_ARGS(input));
    if (seen->durable && seen->terminal)
        sim_broken(s, "P2", "%.*s is offered to a run behind its completion", SPAN_ARGS(input));
    if (seen->durable && seen->started)
        sim_broken(s, "P2", "%.*s was in a run, and is offered to one", SPAN_ARGS(input));
}
