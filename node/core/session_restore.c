/* A session made from its records: head, rows, state. Bytes of the store are as untrusted as those of the bus. */
#include "node/core/session_impl.h"

static bool row_usable(const struct input_record *row)
{
    return row->version == INPUT_RECORD_VERSION && row->seq && row->input.h.id.bytes &&
           row->input.kind < MK_KIND_COUNT && row->input.handling < MK_HANDLING_COUNT && row->phase < INPUT_CONSUMED &&
           row->input.durability != MK_EPHEMERAL && (row->lane == LANE_STEER || row->lane == LANE_QUEUE);
}

/* False: no memory. A row that cannot be used is counted and left out (D7). */
static bool restore_row(struct session *session, const struct input_record *row, size_t *bad_rows)
{
    struct ledger *ledger = &session->core.ledger;
    if (!row_usable(row) || ledger_by_seq(ledger, row->seq) || ledger_by_id(ledger, row->input.h.id)) {
        ++*bad_rows;
        return true;
    }
    bool running = row->admitted_while_running;
    struct policy policy = policy_of(&row->input, running, running, row->silent);
    struct admitted *input = input_copy(session->mem, &row->input);
    struct entry *entry = input ? ledger_restore(ledger, session->mem, input, &policy, row->seq) : NULL;
    input_release(input);
    if (!entry)
        return false;
    entry_restore(entry, row);
    if (ledger->next_admission <= row->seq)
        ledger->next_admission = row->seq + 1;
    return true;
}

static bool is_carried(const struct session_record *head, uint64_t seq)
{
    for (size_t i = 0; i < head->injected_count; i++)
        if (head->injected[i] == seq)
            return true;
    return false;
}

/* What was injected, in the head's order, for the next execution. False: no memory. */
static bool restore_carried(struct session *session, const struct input_record *row, size_t *bad_rows)
{
    struct session_core *core = &session->core;
    struct input_record checked = *row;
    checked.phase = INPUT_QUEUED;
    if (row->phase != INPUT_CONSUMED || !row_usable(&checked) || carried_has(&core->carried, row->seq)) {
        ++*bad_rows;
        return true;
    }
    struct policy policy = policy_of(&row->input, true, true, row->silent);
    struct admitted *input = input_copy(session->mem, &row->input);
    bool done = input && carried_restore(&core->carried, session->mem, input, &policy, row);
    input_release(input);
    if (done && core->ledger.next_admission <= row->seq)
        core->ledger.next_admission = row->seq + 1;
    return done;
}

static bool restore_rows(struct session *session, const struct session_record *head, const struct input_record *rows,
                         size_t row_count, size_t *bad_rows)
{
    for (size_t i = 0; i < row_count; i++)
        if (!is_carried(head, rows[i].seq) && !restore_row(session, &rows[i], bad_rows))
            return false;
    for (size_t i = 0; i < head->injected_count; i++)
        for (size_t r = 0; r < row_count; r++)
            if (rows[r].seq == head->injected[i] && !restore_carried(session, &rows[r], bad_rows))
                return false;
    return true;
}

/* What the head lists and no row was made of. Its numbers are not given again. False: no memory. */
static bool keep_unread(struct session *session, const struct session_record *head)
{
    struct ledger *ledger = &session->core.ledger;
    const struct carried *carried = &session->core.carried;
    size_t read = ledger->count + carried->count;
    if (head->active_count <= read)
        return true;
    session->unread = mem_alloc(session->mem, (head->active_count - read) * sizeof *session->unread);
    if (!session->unread)
        return false;
    for (size_t i = 0; i < head->active_count; i++) {
        uint64_t seq = head->active[i];
        bool known = ledger_by_seq(ledger, seq) || carried_has(carried, seq);
        if (known || session->unread_count == head->active_count - read)
            continue;
        session->unread[session->unread_count++] = seq;
        if (ledger->next_admission <= seq)
            ledger->next_admission = seq + 1;
    }
    return true;
}

/* The run's inputs that are still there (ephemeral ones died with their node), in order; none: no run is left. */
static bool restore_run(struct session *session, const struct run_record *run)
{
    struct run_record *mine = &session->core.run;
    *mine = *run;
    mine->input_count = 0;
    for (size_t i = 0; i < run->input_count; i++) {
        const struct entry *stored = ledger_by_seq(&session->core.ledger, run->inputs[i]);
        if (!stored || stored->phase == INPUT_STAGED) /* or the record names it twice */
            continue;
        mine->inputs[mine->input_count++] = run->inputs[i];
        struct entry *entry = ledger_edit(&session->core.ledger, session->mem, run->inputs[i]);
        if (!entry)
            return false;
        entry_recover(entry, &run->id);
        entry->dirty = false; /* as it is stored */
    }
    if (!mine->input_count)
        *mine = (struct run_record){0};
    return true;
}

static bool restore_machine(struct session *session, const struct session_record *head)
{
    struct session_core *core = &session->core;
    core->retained = !head->registered && (head->phase == PHASE_RETIRED || head->phase == PHASE_STOPPED);
    if (!head->registered && !core->retained && head->phase != PHASE_DESTROYED)
        return session_step(session, IN_INITIALIZE, NULL);
    bool runs = core->run.id.bytes != 0;
    core->stop_owed = head->stop_deferred && !runs && head->phase == PHASE_RETIRED;
    /* A new owner's executor claims the session as any does: what a reset left Idle is Attached again. */
    enum phase phase = head->phase == PHASE_IDLE && head->attached ? PHASE_ATTACHED : head->phase;
    struct machine_input in = {
        .type = IN_RECOVER_RUNTIME_AUTHORITY,
        .same_session = true,
        .binding = head->binding,
        .phase = phase,
        .active = head->attached,
        .stop_deferred = head->stop_deferred && (runs || phase == PHASE_ATTACHED),
    };
    if (runs) {
        in.phase = PHASE_RUNNING;
        in.run = core->run.id;
        in.pre_run = phase;
    }
    return session_machine(session, &in, NULL);
}

static void restore_numbers(struct session_core *core, const struct session_record *head)
{
    id_set(&core->executor, head->executor);
    core->attached = head->attached;
    core->ledger.next_admission = head->next_admission ? head->next_admission : 1;
    core->next_event = head->next_event ? head->next_event : 1;
    core->terminal_count = head->terminal_count;
    core->horizon_ms = head->horizon_ms;
    core->created_ms = head->created_ms;
    core->last_run = head->last_run;
    core->last_receipt_sequence = head->last_receipt_sequence;
    core->failure = head->failure;
    core->generation = head->binding.generation;
    core->wake = true; /* what waits is looked at */
}

static bool head_usable(const struct session_record *head, struct mk_note *note)
{
    const struct run_record *run = head->run;
    if (head->version != SESSION_RECORD_VERSION)
        return !err_set(note, MK_ERR_QUARANTINED, "the head has version %llu, not %d",
                        (unsigned long long)head->version, SESSION_RECORD_VERSION);
    if (head->phase >= PHASE_COUNT || head->phase == PHASE_RUNNING || head->phase == PHASE_INITIALIZING)
        return !err_set(note, MK_ERR_QUARANTINED, "the head has phase %s", phase_name(head->phase));
    if (run && (!run->id.bytes || !run->attempt || run->input_count > RUN_INPUTS_MAX))
        return !err_set(note, MK_ERR_QUARANTINED, "the head has a run without id, attempt or bound");
    return true;
}

enum mk_err session_restore(struct session **out, const struct mk_mem *mem, struct span id, uint32_t partition,
                            const struct session_record *head, const struct input_record *rows, size_t row_count,
                            struct span state, size_t *bad_rows, struct mk_note *note)
{
    *out = NULL;
    *bad_rows = 0;
    if (!head_usable(head, note))
        return MK_ERR_QUARANTINED;
    struct session *session = session_new(mem, id, partition);
    if (!session)
        return MK_ERR_OVERLOADED;
    enum mk_err err = MK_ERR_OVERLOADED;
    restore_numbers(&session->core, head);
    if (span_given(state) && !(session->core.state = blob_new(mem, state)))
        goto fail;
    if (!restore_rows(session, head, rows, row_count, bad_rows) || !keep_unread(session, head) ||
        (head->run && !restore_run(session, head->run)))
        goto fail;
    if (phase_is_over(head->phase) && session->core.ledger.count) {
        err = err_set(note, MK_ERR_QUARANTINED, "the head has phase %s and active inputs", phase_name(head->phase));
        goto fail;
    }
    if (!restore_machine(session, head)) {
        err = err_set(note, MK_ERR_QUARANTINED, "the head's phase, binding and run do not belong together");
        goto fail;
    }
    session->stage.durable = false; /* nothing is staged by restoring */
    session->restored = true;
    *out = session;
    return MK_ERR_OK;
fail:
    session_free(session);
    return err;
}
