/* What holds of a session after every event, whatever came (semantics-core.md 1.5, the design's promises). A fault is
 * our own: the node counts it, says it and quarantines this session; its neighbours go on. */
#include "node/core/session_impl.h"

/* What one look at the active inputs finds: it is taken after every event, over all of them. */
struct survey {
    const char *broken;
    size_t staged, offers;
    bool waits; /* one could be selected */
};

/* Inputs that asked not to wake wait for a wake. An input itself is looked at only when one may run. */
static struct survey survey(const struct session_core *core, bool may_run)
{
    struct survey found = {NULL, 0, 0, false};
    uint64_t last = 0, order[2] = {0, 0};
    for (size_t i = 0; i < core->ledger.count && !found.broken; i++) {
        const struct entry *entry = core->ledger.entries[i];
        if (entry->seq <= last || entry->seq >= core->ledger.next_admission)
            found.broken = "admission sequences do not ascend";
        else if (entry->order <= order[entry->lane])
            found.broken = "a lane is out of order";
        else if (entry->phase >= INPUT_CONSUMED)
            found.broken = "a terminal input is active";
        else if (entry->offer && (entry->phase != INPUT_QUEUED || !core->run_ordered))
            found.broken = "an input is on its way into a turn that is not there";
        order[entry->lane] = entry->order;
        last = entry->seq;
        found.staged += entry->phase == INPUT_STAGED;
        found.offers += entry->offer != OFFER_NONE;
        found.waits |= may_run && entry->phase == INPUT_QUEUED && (core->wake || entry->input->input.wake);
    }
    return found;
}

/* A run's inputs are staged, in its order, and no others are. */
static const char *run_broken(const struct session_core *core, size_t staged)
{
    const struct mk_id *run = core->service.run.bytes ? &core->service.run : &core->run.id;
    if (!span_equal(id_span(run), id_span(&core->machine.current_run)))
        return "the run record and the machine name different runs";
    if (core->service.run.bytes && core->run.id.bytes)
        return "two runs at once";
    if (staged != core->run.input_count)
        return "staged inputs outside the run";
    for (size_t i = 0; i < core->run.input_count; i++) {
        const struct entry *entry = ledger_by_seq(&core->ledger, core->run.inputs[i]);
        if (!entry || entry->phase != INPUT_STAGED || !span_equal(id_span(&entry->run), id_span(&core->run.id)))
            return "an input of the run is not staged for it";
    }
    return core->run.id.bytes && !core->run.input_count ? "a run without inputs" : NULL;
}

/* What is carried is over, and bounded with what may come to it. */
static const char *carried_broken(const struct session_core *core, size_t offers)
{
    if (offers + core->carried.count > INJECTED_MAX)
        return "more is injected than is allowed";
    for (size_t i = 0; i < core->carried.count; i++)
        if (core->carried.entries[i]->phase != INPUT_CONSUMED ||
            ledger_by_seq(&core->ledger, core->carried.entries[i]->seq))
            return "an injected input is not over";
    return NULL;
}

static const char *numbers_broken(const struct session *session)
{
    const struct session_core *core = &session->core, *before = session->stage.before;
    if (!before)
        return NULL;
    if (core->next_event < before->next_event || core->ledger.next_admission < before->ledger.next_admission ||
        core->generation < before->generation || core->horizon_ms < before->horizon_ms)
        return "a number fell";
    uint64_t seq = before->next_event;
    for (const struct staged_event *event = session->stage.events; event; event = event->next, seq++)
        if ((event->is_completion ? event->as.completion.seq : event->as.effect.seq) != seq)
            return "event numbers have a gap";
    return seq == core->next_event ? NULL : "an event number was skipped";
}

const char *session_broken(const struct session *session)
{
    const struct session_core *core = &session->core;
    bool may_run = !session->held && !core->not_before_ms && session_can_run(session);
    struct survey found = survey(core, may_run);
    const char *broken = session->fault ? session->fault : machine_broken(&core->machine);
    if (!broken)
        broken = found.broken;
    if (!broken)
        broken = run_broken(core, found.staged);
    if (!broken)
        broken = carried_broken(core, found.offers);
    if (!broken && found.waits) /* P8 */
        broken = "an input waits although the session could run it";
    return broken ? broken : numbers_broken(session);
}
