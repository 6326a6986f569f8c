/* Being there, and leaving: register, attach, prepare_bindings, unregister (semantics-core.md 2 to 4). */
#include "node/core/session_ops.h"

#define UNREGISTER_GRACE_MS 2000 /* for a run that is cancelled by an unregister; then it is given up (L8) */

/* --- being there --- */

static bool executor_there(const struct turn_of *turn, const struct mk_command *command)
{
    const struct session_ctx *ctx = turn->ctx;
    return !ctx->executor_known || ctx->executor_known(ctx->self, command->args.executor);
}

/* D5, L11: registering a stopped session revives it, with its identity and bindings. With auto_register a session that
 * can work is bound and gets its executor at once, as with its first input: nothing that is sent to it later waits for
 * one (P8). */
void op_register(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    bool whole = turn->ctx->auto_register;
    if (whole && !executor_there(turn, command)) {
        answer_error(turn, command, MK_ERR_UNKNOWN_EXECUTOR);
        return;
    }
    bool done = session_register(turn);
    if (done && session->core.machine.phase == PHASE_STOPPED)
        done = session_step(session, IN_REVIVE, NULL);
    enum phase phase = session->core.machine.phase;
    if (done && whole && (phase == PHASE_IDLE || phase == PHASE_ATTACHED))
        done = session_bind(turn) && session_attach(turn, command->args.executor);
    if (done)
        answer_with_phase(turn, command);
    else
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
}

void op_attach(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    enum phase phase = session->core.machine.phase;
    bool over = phase == PHASE_RETIRED || phase == PHASE_STOPPED;
    if (!executor_there(turn, command)) {
        answer_error(turn, command, MK_ERR_UNKNOWN_EXECUTOR);
        return;
    }
    if (over && !session->core.attached) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    bool bound = session_register(turn) && (!turn->ctx->auto_register || session_bind(turn));
    if (!bound || !session_attach(turn, command->args.executor)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_text(answer->data, "executor", id_span(&session->core.executor));
    answer_put_phase(turn, answer);
}

void op_prepare_bindings(const struct turn_of *turn, const struct mk_command *command)
{
    const struct binding *binding = &turn->session->core.machine.binding;
    if (!session_register(turn) || !session_bind(turn)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    if (turn->session->core.machine.phase == PHASE_IDLE && turn->session->core.attached)
        session_step(turn->session, IN_ENSURE_SESSION_WITH_EXECUTOR,
                     NULL); /* after a reset, which bound it again already */
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_u64(answer->data, "fence", binding->fence);
    doc_put_u64(answer->data, "generation", binding->generation);
    doc_put_text(answer->data, "epoch", id_span(&binding->epoch));
    answer_put_phase(turn, answer);
}

/* --- unregister --- */

void answer_left(const struct turn_of *turn, const struct leaving *leaving, bool retained, size_t abandoned)
{
    struct answer *answer = answer_plain(turn, id_span(&leaving->to), id_span(&leaving->re));
    if (!answer)
        return;
    answer_remember(turn, id_span(&leaving->re), leaving->digest, answer);
    doc_put_bool(answer->data, "retained", retained);
    doc_put_u64(answer->data, "abandoned", abandoned);
}

/* The executor's loop is stopped: what it would still have run is abandoned. Without one, inputs wait for the next
 * registration. */
static size_t stop_loop(const struct turn_of *turn)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    if (!session->core.attached)
        return 0;
    if (session_step(session, IN_RUNTIME_EXECUTOR_EXITED, &fx))
        session_announce(turn, &fx, SPAN_LIT("runtime session unregistered"));
    session->core.attached = false;
    session->stage.order.stop = true;
    return session_abandon_all(turn, ABANDON_STOPPED, SPAN_LIT("runtime stopped"));
}

/* The obligations of the drain, then the end. A Retired or Stopped session keeps its record as it was (section 4), any
 * other a tombstone: an Idle, unbound head with its event numbers (rule 9). */
void session_finish_leaving(const struct turn_of *turn)
{
    static const enum machine_input_type reports[] = {
        IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER, IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER,
        IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER, IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY,
        IN_UNREGISTER_SESSION};
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct leaving leaving = core->leaving;
    bool retains = core->machine.retains_snapshot && !turn->ctx->storeless; /* without a store there is no record */
    session_drop_carried(turn);
    size_t abandoned = stop_loop(turn);
    struct machine_input back = {
        .type = IN_RECOVER_RUNTIME_AUTHORITY,
        .same_session = true,
        .binding = core->machine.binding,
        .phase = core->machine.phase,
    };
    bool done = true;
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++)
        done = session_step(session, reports[i], NULL) && done;
    memset(&core->leaving, 0, sizeof core->leaving);
    memset(&core->executor, 0, sizeof core->executor);
    if (retains) {
        memset(&core->machine, 0, sizeof core->machine);
        core->retained = true;
        done = session_machine(session, &back, NULL) && done;
    }
    if (!done)
        session->fault = "an unregister did not reach its end";
    answer_left(turn, &leaving, retains, abandoned);
}

void op_unregister(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    if (core->leaving.re.bytes)
        return; /* another's is on its way, and not durable: who asks again is answered when it is done */
    if (!session_known(session) || core->machine.phase == PHASE_DESTROYED) {
        if (session_fact(session, FACT_COMMAND, command->h.id))
            answer_plain(turn, command->reply_to, command->h.id); /* it is gone: nothing changes */
        else
            stage_want(session, FACT_COMMAND, command->h.id); /* perhaps by this very command */
        return;
    }
    if (core->run_ordered && !session_fact(session, FACT_COMMAND, command->h.id)) {
        /* It will be remembered only when the run is over: whether it was done before must be known now. */
        stage_want(session, FACT_COMMAND, command->h.id);
        return;
    }
    if (core->run.id.bytes && !core->run_ordered)
        session_run_cancelled(turn); /* nobody was told of it */
    if (core->service.run.bytes)
        session_service_cancelled(turn);
    if (!session_step(session, IN_BEGIN_UNREGISTER_SESSION, NULL)) {
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
        return;
    }
    id_set(&core->leaving.to, command->reply_to);
    id_set(&core->leaving.re, command->h.id);
    core->leaving.digest = command_digest(command);
    core->leaving.until_ms = turn->ctx->now_ms + UNREGISTER_GRACE_MS;
    if (!core->run.id.bytes) {
        session_finish_leaving(turn);
        return;
    }
    core->run.cancelled = true;
    session->stage.order.hard_cancel = true;
    session->stage.order.cancel = core->run.id;
    session->stage.durable = true;
}

void op_unregister_if_epoch(const struct turn_of *turn, const struct mk_command *command)
{
    if (!command->args.epoch.bytes)
        answer_error(turn, command, MK_ERR_MISSING_FIELD);
    else if (span_equal(id_span(&turn->session->core.machine.binding.epoch), command->args.epoch))
        op_unregister(turn, command);
    else
        answer_error(turn, command, MK_ERR_VALIDATION_FAILED);
}
