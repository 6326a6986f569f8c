/* The names of every enumeration of the wire, once. */
#include "node/core/msg.h"

static size_t find(const char *const *names, size_t count, struct span text)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(text, names[i]))
            return i;
    return count;
}

static const char *const type_names[MK_TYPE_COUNT] = {
    [MK_INPUT] = "input",   [MK_COMMAND] = "command", [MK_ADMISSION] = "admission", [MK_COMPLETION] = "completion",
    [MK_EFFECT] = "effect", [MK_RESULT] = "result",   [MK_HEARTBEAT] = "heartbeat", [MK_BATCH] = "batch",
};

static const char *const kind_names[MK_KIND_COUNT] = {
    [MK_PROMPT] = "prompt",
    [MK_PEER_MESSAGE] = "peer_message",
    [MK_PEER_REQUEST] = "peer_request",
    [MK_PEER_RESPONSE_PROGRESS] = "peer_response_progress",
    [MK_PEER_RESPONSE_TERMINAL] = "peer_response_terminal",
    [MK_FLOW_STEP] = "flow_step",
    [MK_EXTERNAL_EVENT] = "external_event",
    [MK_CONTINUATION] = "continuation",
    [MK_OPERATION] = "operation",
};

static const char *const origin_names[MK_ORIGIN_COUNT] = {
    [MK_OPERATOR] = "operator", [MK_PEER] = "peer",         [MK_FLOW] = "flow",
    [MK_SYSTEM] = "system",     [MK_EXTERNAL] = "external",
};

static const char *const durability_names[MK_DURABILITY_COUNT] = {
    [MK_DURABLE] = "durable",
    [MK_EPHEMERAL] = "ephemeral",
    [MK_DERIVED] = "derived",
    [MK_DURABILITY_MISSING] = "missing",
};

static const char *const handling_names[MK_HANDLING_COUNT] = {
    [MK_HANDLING_NONE] = "none",
    [MK_HANDLING_QUEUE] = "queue",
    [MK_HANDLING_STEER] = "steer",
};

static const char *const continuation_names[MK_CONTINUATION_COUNT] = {
    [MK_ORDINARY] = "ordinary",
    [MK_WORKGRAPH_ATTENTION] = "workgraph_attention",
};

static const char *const status_names[MK_STATUS_COUNT] = {
    [MK_STATUS_NONE] = "none",     [MK_STATUS_ACCEPTED] = "accepted",   [MK_STATUS_COMPLETED] = "completed",
    [MK_STATUS_FAILED] = "failed", [MK_STATUS_CANCELLED] = "cancelled",
};

static const char *const admitted_names[MK_ADMITTED_COUNT] = {
    [MK_ACCEPTED] = "accepted",
    [MK_DEDUPLICATED] = "deduplicated",
    [MK_REJECTED] = "rejected",
};

static const char *const outcome_names[MK_OUTCOME_COUNT] = {
    [MK_COMPLETED] = "completed",
    [MK_COMPLETED_WITHOUT_RESULT] = "completed_without_result",
    [MK_CALLBACK_PENDING] = "callback_pending",
    [MK_CANCELLED] = "cancelled",
    [MK_ABANDONED_WITH_ERROR] = "abandoned_with_error",
    [MK_COMPLETED_WITH_FINALIZATION_FAILURE] = "completed_with_finalization_failure",
    [MK_RUNTIME_TERMINATED] = "runtime_terminated",
    [MK_COALESCED] = "coalesced",
    [MK_SUPERSEDED] = "superseded",
};

static const char *const effect_name_names[MK_EFFECT_NAME_COUNT] = {
    [MK_RUNTIME_BOUND] = "runtime_bound",
    [MK_RUNTIME_RETIRED] = "runtime_retired",
    [MK_RUNTIME_DESTROYED] = "runtime_destroyed",
    [MK_RUNTIME_NOTICE] = "runtime_notice",
    [MK_RUN_STARTED] = "run_started",
    [MK_RUN_FAILED] = "run_failed",
    [MK_INGRESS_NOTICE] = "ingress_notice",
    [MK_EXECUTOR_EVENT] = "executor_event",
};

static const char *const boundary_names[MK_BOUNDARY_COUNT] = {
    [MK_RUN_START] = "run_start",
    [MK_RUN_CHECKPOINT] = "run_checkpoint",
    [MK_IMMEDIATE] = "immediate",
};

static const char *const op_names[MK_OP_COUNT] = {
    [MK_OP_REGISTER] = "register",
    [MK_OP_ATTACH] = "attach",
    [MK_OP_PREPARE_BINDINGS] = "prepare_bindings",
    [MK_OP_UNREGISTER] = "unregister",
    [MK_OP_UNREGISTER_IF_EPOCH] = "unregister_if_epoch",
    [MK_OP_RETIRE] = "retire",
    [MK_OP_RESET] = "reset",
    [MK_OP_RECYCLE] = "recycle",
    [MK_OP_RECOVER] = "recover",
    [MK_OP_STOP] = "stop",
    [MK_OP_DESTROY] = "destroy",
    [MK_OP_ABANDON_RETIRED] = "abandon_retired",
    [MK_OP_INTERRUPT] = "interrupt",
    [MK_OP_CANCEL_AFTER_BOUNDARY] = "cancel_after_boundary",
    [MK_OP_SILENT_INTENTS] = "silent_intents",
    [MK_OP_WITHDRAW] = "withdraw",
    [MK_OP_WAKE] = "wake",
    [MK_OP_PUBLISH_EVENT] = "publish_event",
    [MK_OP_INGEST] = "ingest",
    [MK_OP_START_CONVERSATION_RUN] = "start_conversation_run",
    [MK_OP_COMMIT_SERVICE_TURN] = "commit_service_turn_terminal_receipt",
    [MK_OP_STATE] = "state",
    [MK_OP_SHOW] = "show",
    [MK_OP_INPUT_STATE] = "input_state",
    [MK_OP_LIST_ACTIVE_INPUTS] = "list_active_inputs",
    [MK_OP_OUTCOME] = "outcome",
    [MK_OP_EVENTS] = "events",
    [MK_OP_DEAD] = "dead",
    [MK_OP_RECEIPT] = "receipt",
    [MK_OP_TRANSCRIPT_EDIT] = "transcript_edit",
    [MK_OP_CONTAINS_SESSION] = "contains_session",
    [MK_OP_SESSION_HAS_EXECUTOR] = "session_has_executor",
    [MK_OP_SESSION_HAS_COMMS] = "session_has_comms",
    [MK_OP_WHY] = "why",
    [MK_OP_PING] = "ping",
    [MK_OP_SESSIONS] = "sessions",
    [MK_OP_NODE_STATE] = "node_state",
    [MK_OP_DRAIN] = "drain",
};

/* The semantics pages' names of operations, where ours is shorter. Both mean the same operation everywhere, also to the
 * record of what a command's id has done. */
static const struct {
    const char *name;
    enum mk_op op;
} op_aliases[] = {
    {"register_session", MK_OP_REGISTER},
    {"ensure_session_with_executor", MK_OP_ATTACH},
    {"unregister_session", MK_OP_UNREGISTER},
    {"stop_runtime_executor", MK_OP_STOP},
    {"abandon_retired_pending_inputs", MK_OP_ABANDON_RETIRED},
    {"hard_cancel_current_run", MK_OP_INTERRUPT},
    {"set_session_silent_intents", MK_OP_SILENT_INTENTS},
    {"wake_runtime_if_active_inputs", MK_OP_WAKE},
    {"runtime_state", MK_OP_STATE},
    {"load_boundary_receipt", MK_OP_RECEIPT},
    {"resolve_transcript_edit_admission", MK_OP_TRANSCRIPT_EDIT},
};

#define NAME(what, type, count)                                                                                        \
    const char *what##_name(enum what value)                                                                           \
    {                                                                                                                  \
        return (size_t)value < (size_t)(count) ? type##_names[value] : "unknown";                                      \
    }

/* A name function and a parse function for each table. */
#define NAMES(what, type, count)                                                                                       \
    NAME(what, type, count)                                                                                            \
    enum what what##_parse(struct span text)                                                                           \
    {                                                                                                                  \
        return (enum what)find(type##_names, count, text);                                                             \
    }

NAMES(mk_type, type, MK_TYPE_COUNT)
NAMES(mk_kind, kind, MK_KIND_COUNT)
NAMES(mk_origin, origin, MK_ORIGIN_COUNT)
NAMES(mk_durability, durability, MK_DURABILITY_COUNT)
NAMES(mk_handling, handling, MK_HANDLING_COUNT)
NAMES(mk_continuation, continuation, MK_CONTINUATION_COUNT)
NAMES(mk_status, status, MK_STATUS_COUNT)
NAMES(mk_admitted, admitted, MK_ADMITTED_COUNT)
NAMES(mk_outcome, outcome, MK_OUTCOME_COUNT)
NAMES(mk_effect_name, effect_name, MK_EFFECT_NAME_COUNT)
NAMES(mk_boundary, boundary, MK_BOUNDARY_COUNT)
NAME(mk_op, op, MK_OP_COUNT)

enum mk_op mk_op_parse(struct span text)
{
    enum mk_op op = (enum mk_op)find(op_names, MK_OP_COUNT, text);
    for (size_t i = 0; op == MK_OP_COUNT && i < sizeof op_aliases / sizeof *op_aliases; i++)
        if (span_is(text, op_aliases[i].name))
            op = op_aliases[i].op;
    return op;
}
