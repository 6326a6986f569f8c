/* The life of a session as its clients may see it. The model knows nothing of the core but the words of the wire: where
 * operations lead is sequence_phases.c's, what their results tell sequence_told.c's.
 *
 * A node says things of one session in the order in which it did them, so the model follows what is said. What a dead
 * owner did and did not say is unknown until every such operation has been repeated, and something tells the phase. */
#include "node/core/crc16.h"
#include "tests/sim/sequence_phases.h"
#include "tests/sim/sequence_told.h"

/* --- what the store holds: for the coverage --- */

enum sequence_phase model_seen(struct sim *s, struct span session)
{
    static struct run_record run;
    static uint64_t active[ACTIVE_INPUTS_MAX];
    struct session_record head;
    struct mk_note note;
    struct span bytes = sim_store_get(s, partition_of(session, s->config.partitions), 's', session);
    if (!span_given(bytes) || session_record_read(bytes, &head, &run, active, &note) != MK_ERR_OK)
        return SEEN_ABSENT;
    if (head.phase == PHASE_DESTROYED)
        return SEEN_DESTROYED;
    if (!head.registered)
        return SEEN_ABSENT;
    if (head.run && head.phase != PHASE_RETIRED)
        return SEEN_RUNNING;
    return head.phase == PHASE_RETIRED    ? SEEN_RETIRED
           : head.phase == PHASE_STOPPED  ? SEEN_STOPPED
           : head.phase == PHASE_ATTACHED ? SEEN_ATTACHED
                                          : SEEN_IDLE;
}

/* --- owners come and go --- */

static bool unheard(const struct item *item, const struct note *note)
{
    if (sim_item_is_command(item))
        return !note->done && sim_item_sends(item) > note->said;
    return !note->admitted && !sim_item_closed(item);
}

/* Another owner: what was asked of the one before, and not answered, may have been done. */
static void follow_owner(struct sequence *q, struct life *life)
{
    struct sim *s = q->sim;
    uint64_t fence = s->checks->partitions[partition_of(life->name, s->config.partitions)].lease.fence;
    if (fence == life->fence)
        return;
    life->fence = fence;
    for (struct item *item = sim_item_next(s, NULL); item; item = sim_item_next(s, item)) {
        if (!span_equal(sim_item_session(item), life->name))
            continue;
        struct note *note = sequence_note(q, life->name, sim_item_id(item));
        note->torn |= unheard(item, note);
    }
}

static bool any_torn(struct sequence *q, const struct life *life)
{
    for (struct item *item = sim_item_next(q->sim, NULL); item; item = sim_item_next(q->sim, item))
        if (span_equal(sim_item_session(item), life->name) && sequence_note(q, life->name, sim_item_id(item))->torn)
            return true;
    return false;
}

/* Such an operation was asked for, and may be performed or under way without an answer. */
static bool asked_openly(struct sequence *q, const struct life *life, enum mk_op op)
{
    for (struct item *item = sim_item_next(q->sim, NULL); item; item = sim_item_next(q->sim, item)) {
        if (!sim_item_is_command(item) || !span_equal(sim_item_session(item), life->name))
            continue;
        const struct mk_command *command = sim_clients_command(q->sim, life->name, sim_item_id(item));
        const struct note *note = sequence_note(q, life->name, sim_item_id(item));
        if (command->op == op && !note->done && (sim_item_sends(item) > note->said || !sim_item_closed(item)))
            return true;
    }
    return false;
}

/* An unregister that waits for its run holds up the others. */
static bool leaving(struct sequence *q, const struct life *life)
{
    return asked_openly(q, life, MK_OP_UNREGISTER) || asked_openly(q, life, MK_OP_UNREGISTER_IF_EPOCH);
}

/* A destroy ends an unregister at once, and is answered behind it. */
static bool ended_by_destroy(struct sequence *q, const struct life *life, enum mk_op op)
{
    return (op == MK_OP_UNREGISTER || op == MK_OP_UNREGISTER_IF_EPOCH) && asked_openly(q, life, MK_OP_DESTROY);
}

/* --- answers to operations --- */

/* Refusals that lie in the command, or in the node's state, not in the session. */
static bool may_always(const struct mk_command *command, const struct note *note, enum mk_err err)
{
    bool names_executor = command->op == MK_OP_REGISTER || command->op == MK_OP_ATTACH;
    switch ((int)err) {
    case MK_ERR_OVERLOADED:
    case MK_ERR_UNAVAILABLE:
    case MK_ERR_LEASE_LOST:
    case MK_ERR_STOPPING:
        return true;
    case MK_ERR_ID_CONFLICT:
        return note->done;
    case MK_ERR_MISSING_FIELD:
    case MK_ERR_INVALID_FIELD:
    case MK_ERR_TOO_LARGE:
        return true;
    case MK_ERR_UNKNOWN_EXECUTOR:
        return names_executor && span_is(command->args.executor, "nobody");
    case MK_ERR_UNKNOWN_OP:
        return !span_is(command->op_text, mk_op_name(command->op)) || command->op >= MK_OP_PING;
    case MK_ERR_DEADLINE_PASSED:
        return told_too_late(command);
    default:
        return false;
    }
}

static void counted(struct life *life, enum mk_op op, struct span data)
{
    uint64_t abandoned = told_number(data, "abandoned");
    if (op == MK_OP_RESET)
        life->counted[0] += abandoned;
    if (op == MK_OP_DESTROY)
        life->counted[1] += abandoned;
    if (op == MK_OP_RETIRE)
        life->counted[2] += abandoned;
}

static void learn(struct sequence *q, struct life *life, struct span data)
{
    struct span epoch = told_text(data, "epoch"), run = told_text(data, "run");
    if (epoch.bytes)
        life->epoch = sim_copy(q->sim, epoch);
    if (run.bytes)
        life->run = sim_copy(q->sim, run);
}

/* Rule 6: a repeat gets the first success once more. True: it is one. */
static bool repeats(struct sequence *q, const struct mk_command *command, struct note *note, const struct result_in *r)
{
    if (!note->done)
        return false;
    if (r->ok && !span_equal(note->data, r->data))
        sim_broken(q->sim, "rule 6", "the repeat of %s %.*s has another result", mk_op_name(command->op),
                   SPAN_ARGS(r->re));
    if (!r->ok && !may_always(command, note, r->error))
        sim_broken(q->sim, "rule 6", "%s %.*s was done, and its repeat is %s", mk_op_name(command->op),
                   SPAN_ARGS(r->re), mk_err_code(r->error));
    return true;
}

static void count_judged(struct sequence *q, unsigned before)
{
    if (before == ANYTHING)
        q->cover->unjudged++;
    else
        q->cover->judged++;
}

/* A performance, in its place in the session's history. */
static void judge(struct sequence *q, struct life *life, const struct mk_command *command, const struct result_in *r)
{
    struct span phase = r->ok ? told_text(r->data, "phase") : r->phase;
    bool of_session = command->op != MK_OP_WITHDRAW && command->op != MK_OP_INPUT_STATE &&
                      command->op != MK_OP_OUTCOME && command->op != MK_OP_WAKE &&
                      command->op != MK_OP_INGEST; /* theirs is an input's, or a constant */
    unsigned before = life->may_be = phases_by_themselves(life, life->may_be);
    unsigned after = phases_after(life, command->op, r->ok, r->error, leaving(q, life));
    if (phase.bytes && of_session && command->op != MK_OP_ABANDON_RETIRED && after)
        after = phases_showing(after, phase);
    count_judged(q, before);
    if (r->ok && ended_by_destroy(q, life, command->op))
        after |= before;
    if (after)
        life->may_be = phases_by_themselves(life, after);
    else
        sim_broken(q->sim, "section 7", "%s %.*s of %.*s is %s%s%.*s; the session was %s", mk_op_name(command->op),
                   SPAN_ARGS(r->re), SPAN_ARGS(life->name), r->ok ? "ok" : mk_err_code(r->error),
                   phase.bytes ? ", phase " : "", SPAN_ARGS(phase), phases_text(q->sim, before));
}

/* --- what is said --- */

static void note_success(struct sequence *q, const struct mk_command *command, struct note *note,
                         const struct result_in *r)
{
    struct fact_record fact;
    q->cover->done[command->op]++;
    note->data = sim_copy(q->sim, r->data);
    if (command->op > MK_OP_LAST_MUTATING || !checks_fact(q->sim, command->session, FACT_COMMAND, r->re, &fact))
        return;
    note->done = true;
    struct life *life = sequence_life(q, command->session);
    if (life)
        counted(life, command->op, r->data);
}

/* Node commands have ids that name them (sequence_draw.c). */
static void said_of_node(struct sequence *q, const struct result_in *r)
{
    for (enum mk_op op = MK_OP_PING; op < MK_OP_COUNT; op++) {
        if (!span_is(r->re, sim_text(q->sim, "node-%u", (unsigned)op).at))
            continue;
        q->cover->ops[op][SEEN_ABSENT]++;
        q->cover->done[op] += r->ok;
    }
}

static void said_result(struct sequence *q, struct span map)
{
    struct result_in r;
    struct mk_note text;
    if (result_read(map, &r, &text) != MK_ERR_OK)
        return;
    if (!span_given(r.session)) {
        said_of_node(q, &r);
        return;
    }
    const struct mk_command *command = sim_clients_command(q->sim, r.session, r.re);
    struct life *life = sequence_life(q, r.session);
    if (!command || !life)
        return;
    struct note *note = sequence_note(q, r.session, r.re);
    bool torn = note->torn, other_op = !span_is(command->op_text, mk_op_name(command->op));
    note->said++;
    note->torn = false;
    if (!other_op)
        q->cover->ops[command->op][model_seen(q->sim, r.session)]++;
    if (!r.ok && r.final && !told_final_rightly(q->sim, r.session, r.error, false))
        sim_broken(q->sim, "rule 7", "%s %.*s is refused for good: %s", mk_op_name(command->op), SPAN_ARGS(r.re),
                   mk_err_code(r.error));
    if (repeats(q, command, note, &r))
        return;
    if (r.ok && command->op <= MK_OP_LAST_MUTATING && told_too_late(command))
        sim_broken(q->sim, "L19", "%s %.*s came too late and is performed", mk_op_name(command->op), SPAN_ARGS(r.re));
    if (r.ok)
        note_success(q, command, note, &r);
    if (r.ok)
        learn(q, life, r.data);
    if (r.ok)
        told_data(q, command, note, r.data);
    if ((torn && r.ok && command->op <= MK_OP_LAST_MUTATING) || any_torn(q, life) ||
        (r.ok && !phases_modelled(command->op)))
        life->may_be = ANYTHING;
    else if ((r.ok || !may_always(command, note, r.error)) && phases_modelled(command->op))
        judge(q, life, command, &r);
}

static void judge_admission(struct sequence *q, struct life *life, const struct mk_admission *a)
{
    bool about_phase = a->outcome == MK_ACCEPTED || a->reason == MK_ERR_NOT_READY || a->reason == MK_ERR_DESTROYED;
    if (!about_phase)
        return;
    unsigned before = life->may_be = phases_by_themselves(life, life->may_be);
    unsigned after = phases_after_input(life, a, leaving(q, life));
    count_judged(q, before);
    if (!after)
        sim_broken(q->sim, "section 5.3", "%.*s of %.*s is %s%s%s; the session was %s", SPAN_ARGS(a->re),
                   SPAN_ARGS(life->name), mk_admitted_name(a->outcome), a->outcome == MK_REJECTED ? ", " : "",
                   a->outcome == MK_REJECTED ? mk_err_code(a->reason) : "", phases_text(q->sim, before));
    life->may_be = after;
}

static void said_admission(struct sequence *q, struct span map)
{
    struct mk_admission a;
    struct mk_note text;
    if (admission_read(map, &a, &text) != MK_ERR_OK)
        return;
    const struct mk_input *in = sim_clients_input(q->sim, a.session, a.re);
    struct life *life = sequence_life(q, a.session);
    if (!in || !life)
        return;
    struct note *note = sequence_note(q, a.session, a.re);
    bool torn = note->torn;
    note->torn = false;
    q->cover->kinds[in->kind][a.outcome]++;
    if (a.final && !told_final_rightly(q->sim, a.session, a.reason, true))
        sim_broken(q->sim, "rule 7", "%.*s is refused for good: %s", SPAN_ARGS(a.re), mk_err_code(a.reason));
    if (a.outcome == MK_ACCEPTED && note->withdrawn)
        sim_broken(q->sim, "rule 7", "%.*s was withdrawn, and is accepted", SPAN_ARGS(a.re));
    if (a.outcome == MK_ACCEPTED && !note->admitted)
        note->said_us = q->sim->now_us;
    note->admitted |= a.outcome == MK_ACCEPTED;
    if ((torn && a.outcome == MK_DEDUPLICATED) || any_torn(q, life))
        life->may_be = ANYTHING;
    else if (a.outcome != MK_DEDUPLICATED)
        judge_admission(q, life, &a);
}

/* --- how inputs end --- */

/* Whether what was asked and what executors did may lead to this end. */
static bool fits(struct sequence *q, const struct life *life, const struct mk_input *in, const struct note *note,
                 const struct mk_completion *c)
{
    const struct seen_input *seen = checks_input(q->sim, life->name, c->input);
    bool moved = in->durability == MK_EPHEMERAL && span_is(c->reason, "its partition went to another node");
    switch (c->outcome) {
    case MK_COMPLETED:
        return (note->ends & BIT(RUN_RESULT)) && span_given(c->result);
    case MK_COMPLETED_WITHOUT_RESULT:
        return in->kind == MK_OPERATION || (note->ends & BIT(RUN_NO_RESULT));
    case MK_CALLBACK_PENDING:
        return (note->ends & BIT(RUN_CALLBACK_PENDING)) != 0;
    case MK_CANCELLED:
        return (note->ends & BIT(RUN_CANCELLED)) ||
               life_asked(life, OP(WITHDRAW) | OP(INTERRUPT) | OP(CANCEL_AFTER_BOUNDARY) | OP(UNREGISTER) |
                                    OP(UNREGISTER_IF_EPOCH));
    case MK_ABANDONED_WITH_ERROR:
        if (c->error == MK_ERR_DEADLINE_PASSED)
            return in->deadline_ms != 0;
        if (span_is(c->reason, "node_deaths"))
            return q->sim->totals.crashes + q->sim->totals.left + q->sim->totals.taken_over > 2;
        return seen->failures >= 3 || note->gave_up;
    case MK_RUNTIME_TERMINATED:
        return moved || life_asked(life, OP(RETIRE) | OP(RESET) | OP(STOP) | OP(DESTROY) | OP(UNREGISTER) |
                                             OP(UNREGISTER_IF_EPOCH) | OP(ABANDON_RETIRED));
    case MK_COALESCED:
        return in->kind == MK_PEER_RESPONSE_PROGRESS && in->supersede.bytes && c->aggregate.bytes;
    case MK_SUPERSEDED:
    case MK_COMPLETED_WITH_FINALIZATION_FAILURE:
    case MK_OUTCOME_COUNT:
        break;
    }
    return false;
}

static void count_end(struct life *life, const struct mk_completion *c)
{
    if (span_is(c->reason, "runtime reset"))
        life->ended[0]++;
    else if (span_is(c->reason, "runtime destroyed"))
        life->ended[1]++;
    else if (span_is(c->reason, "retired without runtime loop"))
        life->ended[2]++;
}

static void said_completion(struct sequence *q, struct span map)
{
    struct mk_completion c;
    struct mk_note text;
    if (completion_read(map, &c, &text) != MK_ERR_OK)
        return;
    const struct mk_input *in = sim_clients_input(q->sim, c.session, c.input);
    struct life *life = sequence_life(q, c.session);
    if (life && c.seq > life->counted_to) { /* each once, in order */
        life->counted_to = c.seq;
        count_end(life, &c);
    }
    if (!in || !life)
        return;
    struct note *note = sequence_note(q, c.session, c.input);
    if (!note->admitted) /* by a former owner, who did not say so */
        life->may_be = ANYTHING;
    note->admitted = true;
    note->torn = false;
    if (note->over && (in->durability == MK_DURABLE || note->seq == c.seq))
        return; /* to another address, or once more; that there is no second one is the invariants' to see */
    note->over = true;
    note->over_us = q->sim->now_us;
    note->seq = c.seq;
    q->cover->outcomes[c.outcome]++;
    if (!fits(q, life, in, note, &c))
        sim_broken(q->sim, "section 6.3", "%.*s of %.*s ends as %s, %.*s, for which there is no cause",
                   SPAN_ARGS(c.input), SPAN_ARGS(life->name), mk_outcome_name(c.outcome), SPAN_ARGS(c.reason));
}

void model_said(struct sim *s, struct sim_node *node, enum mk_type type, struct span map)
{
    (void)node;
    struct sequence *q = sequence_in(s);
    struct message_head head;
    struct mk_note note;
    struct life *life = message_head_read(map, &head, &note) == MK_ERR_OK ? sequence_life(q, head.session) : NULL;
    if (life)
        follow_owner(q, life);
    if (type == MK_RESULT)
        said_result(q, map);
    else if (type == MK_ADMISSION)
        said_admission(q, map);
    else if (type == MK_COMPLETION)
        said_completion(q, map);
}

/* Rule 10, where nothing holds up what was selected in time. */
static void check_in_time(struct sequence *q, const struct mk_input *in, const struct note *note)
{
    const uint64_t slack_us = 20 * MILLISECOND;
    bool undisturbed = in->durability != MK_EPHEMERAL && !q->trouble && !q->sim->totals.left && !q->sim->totals.crashes;
    uint64_t end_us = note->said_us + in->deadline_ms * MILLISECOND;
    if (undisturbed && in->deadline_ms && note->admitted && q->sim->now_us > end_us + slack_us)
        sim_broken(q->sim, "rule 10", "%.*s runs %llu ms behind its deadline", SPAN_ARGS(in->h.id),
                   (unsigned long long)(q->sim->now_us - end_us) / 1000);
}

void model_started(struct sequence *q, const struct run_request *request, const struct run_done *done)
{
    struct life *life = sequence_life(q, request->session);
    for (size_t i = 0; i < request->input_count; i++) {
        struct span id = request->inputs[i].input->h.id;
        struct note *note = sequence_note(q, request->session, id);
        if (note->withdrawn)
            sim_broken(q->sim, "rule 7", "%.*s was withdrawn, and runs", SPAN_ARGS(id));
        check_in_time(q, request->inputs[i].input, note);
        note->ends |= BIT(done->end);
        note->gave_up |= done->end == RUN_FAILED && done->final;
    }
    if (life)
        life->run = sim_copy(q->sim, id_span(&request->run->id));
}

/* --- the beginning and the end --- */

void model_start(struct sequence *q)
{
    for (size_t i = 0; i < q->sessions; i++)
        q->lives[i].may_be = BIT(ABSENT);
}

/* Everything is answered and published: what was counted is what ended, and nobody runs or leaves for ever. */
static void check_life(struct sequence *q, const struct life *life, struct item *show)
{
    static const char *const ops[] = {"reset", "destroy", "retire"};
    for (size_t i = 0; i < 3; i++)
        if (life->counted[i] != life->ended[i])
            sim_broken(q->sim, "section 5.7", "%s of %.*s counted %llu abandoned inputs, %llu ended so", ops[i],
                       SPAN_ARGS(life->name), (unsigned long long)life->counted[i], (unsigned long long)life->ended[i]);
    struct note *note = sequence_note(q, life->name, sim_item_id(show));
    struct span phase = told_text(note->data, "phase"), registration = told_text(note->data, "registration");
    if (span_is(phase, "running") || told_raw(note->data, "run").bytes)
        sim_broken(q->sim, "section 7", "%.*s is quiet and still runs", SPAN_ARGS(life->name));
    if (span_is(registration, "draining"))
        sim_broken(q->sim, "section 4", "%.*s is quiet and still drains", SPAN_ARGS(life->name));
    if (told_number(note->data, "active"))
        sim_broken(q->sim, "P8", "%.*s is quiet and has active inputs", SPAN_ARGS(life->name));
}

static bool all_closed(struct sim *s)
{
    return sim_clients_closed(s);
}

void model_end(struct sequence *q)
{
    struct item *shows[SEQUENCE_SESSIONS_MAX];
    for (size_t i = 0; i < q->sessions; i++) {
        struct mk_command show = {.session = q->lives[i].name, .op = MK_OP_SHOW};
        shows[i] = sim_send_command(q->sim, &show, 0);
    }
    if (!sim_rest_until(q->sim, all_closed, "P10"))
        return;
    for (size_t i = 0; i < q->sessions; i++)
        check_life(q, &q->lives[i], shows[i]);
}
