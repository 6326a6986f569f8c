/* Turns that a service outside the node owns (semantics-core.md 1.3 StartConversationRun, 6.2). While one lasts the
 * session is Running: inputs queue, nothing is executed. It ends by its commit, by a cancel, or when its time is up, so
 * that no service that died keeps a session for ever (P8, L8). */
#include "node/core/session_ops.h"

void op_start_conversation_run(const struct turn_of *turn, const struct mk_command *command)
{
    struct session *session = turn->session;
    struct session_core *core = &session->core;
    struct machine_input in = {.type = IN_START_CONVERSATION_RUN, .same_session = true};
    uint64_t asked_ms = command->args.timeout_ms, bound_ms = asked_ms ? asked_ms : SERVICE_MS_DEFAULT;
    if (!command_run(command).bytes || bound_ms > SERVICE_MS_MAX) {
        answer_error(turn, command, command_run(command).bytes ? MK_ERR_INVALID_FIELD : MK_ERR_MISSING_FIELD);
        return;
    }
    id_set(&in.run, command_run(command));
    /* Over inputs that wait it could never be committed, and they would wait for it. */
    bool busy = session_run(session).bytes || core->ledger.count;
    if (busy || !session_machine(session, &in, NULL)) {
        answer_error(turn, command, MK_ERR_NOT_READY);
        return;
    }
    core->service = (struct service_turn){.run = in.run, .until_ms = turn->ctx->now_ms + bound_ms};
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_text(answer->data, "run", id_span(&in.run));
    doc_put_u64(answer->data, "timeout_ms", bound_ms);
    answer_put_phase(turn, answer);
}

static void end(const struct turn_of *turn, enum machine_input_type outcome, enum machine_input_type back)
{
    struct session *session = turn->session;
    struct machine_effects fx;
    session_step(session, outcome, NULL);
    session_step(session, back, &fx);
    memset(&session->core.service, 0, sizeof session->core.service);
    session_after_run(turn, &fx);
}

/* Refused, the turn goes on. */
void op_commit_service_turn(const struct turn_of *turn, const struct mk_command *command)
{
    struct session_core *core = &turn->session->core;
    struct mk_id run = core->service.run;
    if (!command_run(command).bytes) {
        answer_error(turn, command, MK_ERR_MISSING_FIELD);
        return;
    }
    if (!span_equal(command_run(command), id_span(&run)) || core->ledger.count) {
        answer_error(turn, command, MK_ERR_INVALID_STATE);
        return;
    }
    end(turn, IN_RUN_COMPLETED, IN_SERVICE_TURN_COMMITTED);
    struct answer *answer = answer_ok(turn, command);
    if (!answer)
        return;
    doc_put_text(answer->data, "run", id_span(&run));
    answer_put_phase(turn, answer);
}

void session_service_cancelled(const struct turn_of *turn)
{
    end(turn, IN_RUN_CANCELLED, IN_CANCEL_RUN);
}

void session_service_expired(const struct turn_of *turn)
{
    session_note_failure(turn, id_span(&turn->session->core.service.run), MK_ERR_DEADLINE_PASSED,
                         SPAN_LIT("the service did not commit its turn in time"), false);
    end(turn, IN_RUN_CANCELLED, IN_CANCEL_RUN);
}
