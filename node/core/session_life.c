/* The life of the runtime: retire, reset, recycle, recover, stop, destroy (semantics-core.md 5.7 and 7). */
#include "node/core/session_ops.h"

void op_retire(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session_step(session, IN_RETIRE, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_announce(turn, &fx, command->args.reason);
    size_t count = session->core.ledger.count;
    bool drains = session->core.attached;
    session->core.wake = true;
    if (!drains)
        session_abandon_all(turn, ABANDON_RETIRED, SPAN_LIT("retired without runtime loop"));
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, "abandoned", drains ? 0 : count);
    doc_put_u64(answer->data, "pending_drain", drains ? count : 0);
    answer_put_phase(turn, answer);
}

/* A retired session may be reset while its last run goes on: the run is left behind. */
void op_reset(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct binding before = session->core.machine.binding;
    struct machine_effects fx;
    enum phase phase = session_phase(session);
    if (phase == PHASE_RUNNING || phase == PHASE_STOPPED) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    if (session_run(session).bytes) {
        session_step(session, IN_ROLLBACK_RUN, NULL);
        session_drop_run(turn);
    }
    session_step(session, IN_RESET, &fx);
    session_announce(turn, &fx, command->args.reason);
    session_drop_carried(turn);
    size_t count = session_abandon_all(turn, ABANDON_RESET, SPAN_LIT("runtime reset"));
    if (session->core.attached) /* D15; who works without one binds it when it needs to */
        session_rebind(turn, &before);
    answer_with_count(turn, command, "abandoned", count);
}

void op_recycle(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct binding before = session->core.machine.binding;
    if (!session_step(session, IN_RECYCLE, NULL)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_rebind(turn, &before);
    session->core.wake = true;
    answer_with_count(turn, command, "transferred", session->core.ledger.count);
}

/* D17: phase, registration and executor stay. Nothing is staged outside a run, so nothing is requeued. */
void op_recover(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session_step(session, IN_RECOVER, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_announce(turn, &fx, command->args.reason);
    session->core.wake = true;
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, "recovered", session->core.ledger.count);
    doc_put_u64(answer->data, "abandoned", 0);
    doc_put_u64(answer->data, "requeued", 0);
    answer_put_phase(turn, answer);
}

/* Overtakes queued work, but waits for a current run to end (D18). */
void op_stop(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session_step(session, IN_STOP_RUNTIME_EXECUTOR, &fx)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    session_announce(turn, &fx, command->args.reason);
    bool deferred = session_run(session).bytes != 0;
    if (!deferred)
        session_finish_stop(turn);
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_bool(answer->data, "deferred", deferred);
    answer_put_phase(turn, answer);
}

void op_destroy(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct machine_effects fx;
    if (!session_step(session, IN_DESTROY, &fx)) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    session_drop_run(turn);
    session->stage.order.stop |= core->attached;
    core->attached = false;
    session_drop_carried(turn);
    size_t count = session_abandon_all(turn, ABANDON_DESTROYED, SPAN_LIT("runtime destroyed"));
    session_announce(turn, &fx, command->args.reason);
    blob_release(core->state);
    core->state = NULL;
    session->stage.state_changed = true;
    if (core->leaving.re.bytes)
        answer_left(turn, &core->leaving, false, count);
    memset(&core->leaving, 0, sizeof core->leaving);
    answer_with_count(turn, command, "abandoned", count);
}

void op_abandon_retired(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    if (!session_known(session) || session->core.machine.phase != PHASE_RETIRED) {
        struct answer *answer = answer_error(turn, command, MK_ERR_NOT_READY);
        if (answer && session_known(session)) /* the machine's own phase: a draining session is Running */
            answer->as.result.phase = span_of(phase_name(session->core.machine.phase));
        return;
    }
    answer_with_count(turn, command, "abandoned", session_abandon_all(turn, ABANDON_RETIRED, command->args.reason));
}
