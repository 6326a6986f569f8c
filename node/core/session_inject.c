/* Live boundary injection (semantics-core.md 5.5; D3; design section 5, rule 3): a steered input goes into the turn
 * that runs, when its executor can take it, instead of waiting for a run of its own.
 *
 *   admitted, queued -> committed -> the executor is asked -> staged: consumed, and carried until a run commits
 *                                                          -> not staged, or the run is over first: stays queued
 *
 * Until it is answered the input counts as being on its way into the turn: it is not withdrawn, and its deadline does
 * not pass. Only an answer of the execution that was asked counts, so that no input is both injected and run. */
#include "node/core/session_impl.h"

/* --- it is over, and carried from now on --- */

static void inject(const struct turn_of *turn, struct entry *entry)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct mk_receipt receipt = {
        .run = id_span(&core->run.id),
        .sequence = session_next_receipt(session, &core->run.id, true),
        .boundary = MK_RUN_CHECKPOINT,
    };
    struct ending ending = {.phase = INPUT_CONSUMED, .outcome = MK_COMPLETED_WITHOUT_RESULT, .receipt = &receipt};
    session_write_receipt(turn, &receipt, &entry->seq, 1);
    entry_inject(entry, &core->run.id, receipt.sequence);
    session_say_end(turn, entry, &ending);
    if (!session->stage.failed)
        ledger_carry(&core->ledger, &core->carried, entry->seq);
}

/* --- it is offered --- */

static bool is_live(const struct turn_of *turn)
{
    const struct session_core *core = &turn->session->core;
    const struct run_at *live = turn->ctx->live;
    return live && core->run_ordered && core->run.attempt == live->attempt &&
           span_equal(id_span(&core->run.id), id_span(&live->run));
}

/* What a turn can append. */
static bool has_text(const struct mk_input *input)
{
    bool nil = input->body.bytes == 1 && (uint8_t)input->body.at[0] == 0xc0;
    return input->kind != MK_CONTINUATION && input->body.bytes && !nil;
}

static bool has_room(const struct session_core *core)
{
    size_t count = core->carried.count;
    for (size_t i = 0; i < core->ledger.count; i++)
        count += core->ledger.entries[i]->offer != OFFER_NONE;
    return count < INJECTED_MAX;
}

void session_offer(const struct turn_of *turn, const struct entry *entry, const struct machine_effects *signal)
{
    struct session *session = turn->session;
    bool urgent = machine_has_effect(signal, FX_INTERRUPT_YIELDING) ||
                  machine_has_effect(signal, FX_REQUEST_IMMEDIATE_PROCESSING);
    if (!urgent || entry->policy.apply != APPLY_STAGE_RUN_BOUNDARY || !has_text(&entry->input->input) ||
        !is_live(turn) || !has_room(&session->core))
        return;
    struct entry *mine = ledger_edit(&session->core.ledger, session->mem, entry->seq);
    if (!mine) {
        session->stage.failed = true;
        return;
    }
    mine->offer = OFFER_DUE;
    session->stage.order.inject = true;
}

/* --- it is answered --- */

void session_injected(const struct turn_of *turn, const struct run_injected *injected)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    bool ours = core->run.id.bytes && span_equal(id_span(&core->run.id), id_span(&injected->at.run)) &&
                core->run.attempt == injected->at.attempt;
    const struct entry *entry = ours ? ledger_by_id(&core->ledger, id_span(&injected->input)) : NULL;
    if (!entry || entry->offer != OFFER_MADE)
        return; /* of a run that is over, or of what was not asked */
    struct entry *mine = ledger_edit(&core->ledger, session->mem, entry->seq);
    if (!mine)
        session->stage.failed = true;
    else if (injected->ok)
        inject(turn, mine);
    else
        mine->offer = OFFER_NONE;
}

void session_end_offers(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct ledger *ledger = &session->core.ledger;
    for (size_t i = 0; i < ledger->count; i++) {
        if (ledger->entries[i]->offer == OFFER_NONE)
            continue;
        struct entry *mine = ledger_edit(ledger, session->mem, ledger->entries[i]->seq);
        if (!mine) {
            session->stage.failed = true;
            return;
        }
        mine->offer = OFFER_NONE;
    }
}

/* --- what is carried --- */

void session_drop_carried(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct carried *carried = &session->core.carried;
    for (size_t i = 0; i < carried->count; i++)
        stage_row_removed(session, carried->entries[i]->seq);
    carried_release(carried, session->mem);
}

/* As any input it is given up after so many attempts: what makes every run fail must not make the session fail for
 * ever. Those that are left keep their order. */
void session_carried_failed(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct carried *carried = &session->core.carried;
    for (size_t i = 0; i < carried->count;) {
        if (carried->entries[i]->attempts >= STAGE_ATTEMPTS_MAX) {
            stage_row_removed(session, carried->entries[i]->seq);
            carried_remove(carried, session->mem, i);
            continue;
        }
        struct entry *entry = carried_edit(carried, session->mem, i++);
        if (!entry) {
            session->stage.failed = true;
            return;
        }
        entry->attempts++;
        entry->dirty = entry_is_durable(entry);
    }
}
