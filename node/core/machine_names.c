/* The names of the machine's phases, inputs and effects. */
#include "node/core/machine.h"

/* Phases and registrations go over the wire: snake_case. Inputs and effects are for people: as the semantics pages have
 * them. */
static const char *const phases[PHASE_COUNT] = {
    [PHASE_INITIALIZING] = "initializing", [PHASE_IDLE] = "idle",       [PHASE_ATTACHED] = "attached",
    [PHASE_RUNNING] = "running",           [PHASE_RETIRED] = "retired", [PHASE_STOPPED] = "stopped",
    [PHASE_DESTROYED] = "destroyed",
};

static const char *const registrations[REGISTRATION_COUNT] = {
    [REGISTRATION_QUEUING] = "queuing",
    [REGISTRATION_ACTIVE] = "active",
    [REGISTRATION_DRAINING] = "draining",
};

static const char *const inputs[IN_COUNT] = {
    [IN_INITIALIZE] = "Initialize",
    [IN_REGISTER_SESSION] = "RegisterSession",
    [IN_BEGIN_UNREGISTER_SESSION] = "BeginUnregisterSession",
    [IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER] = "RuntimeLoopStoppedForUnregister",
    [IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER] = "CommsDrainExitedForUnregister",
    [IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER] = "CompletionWaitersResolvedForUnregister",
    [IN_UNREGISTER_SESSION] = "UnregisterSession",
    [IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY] = "ResolveRuntimeOpsLifecycleDurability",
    [IN_PREPARE_BINDINGS] = "PrepareBindings",
    [IN_REBIND] = "Rebind",
    [IN_REVIVE] = "Revive",
    [IN_ENSURE_SESSION_WITH_EXECUTOR] = "EnsureSessionWithExecutor",
    [IN_RUNTIME_EXECUTOR_EXITED] = "RuntimeExecutorExited",
    [IN_PREPARE] = "Prepare",
    [IN_DRAIN_QUEUED_RUN] = "DrainQueuedRun",
    [IN_START_CONVERSATION_RUN] = "StartConversationRun",
    [IN_RUN_COMPLETED] = "RunCompleted",
    [IN_RUN_FAILED] = "RunFailed",
    [IN_RUN_CANCELLED] = "RunCancelled",
    [IN_COMMIT] = "Commit",
    [IN_FAIL] = "Fail",
    [IN_CANCEL_RUN] = "CancelRun",
    [IN_ROLLBACK_RUN] = "RollbackRun",
    [IN_SERVICE_TURN_COMMITTED] = "ServiceTurnCommitted",
    [IN_ACCEPT_WITH_COMPLETION] = "AcceptWithCompletion",
    [IN_ACCEPT_WITHOUT_WAKE] = "AcceptWithoutWake",
    [IN_INTERRUPT_CURRENT_RUN] = "InterruptCurrentRun",
    [IN_CANCEL_AFTER_BOUNDARY] = "CancelAfterBoundary",
    [IN_STOP_RUNTIME_EXECUTOR] = "StopRuntimeExecutor",
    [IN_RETIRE] = "Retire",
    [IN_RESET] = "Reset",
    [IN_RECYCLE] = "Recycle",
    [IN_RECOVER] = "Recover",
    [IN_DESTROY] = "Destroy",
    [IN_RESOLVE_TRANSCRIPT_EDIT_ADMISSION] = "ResolveTranscriptEditAdmission",
    [IN_SET_SILENT_INTENTS] = "SetSilentIntents",
    [IN_INGEST] = "Ingest",
    [IN_PUBLISH_EVENT] = "PublishEvent",
    [IN_RECOVER_RUNTIME_AUTHORITY] = "RecoverRuntimeAuthority",
};

static const char *const effects[FX_COUNT] = {
    [FX_NONE] = "-",
    [FX_RUNTIME_BOUND] = "RuntimeBound",
    [FX_REQUEST_RUNTIME_LOOP_STOP_FOR_UNREGISTER] = "RequestRuntimeLoopStopForUnregister",
    [FX_REQUEST_COMMS_DRAIN_EXIT_FOR_UNREGISTER] = "RequestCommsDrainExitForUnregister",
    [FX_REQUEST_COMPLETION_WAITER_RESOLUTION_FOR_UNREGISTER] = "RequestCompletionWaiterResolutionForUnregister",
    [FX_RETAIN_SNAPSHOT] = "RuntimeOpsLifecycleDurabilityResolved(RetainSnapshot)",
    [FX_DELETE_SNAPSHOT] = "RuntimeOpsLifecycleDurabilityResolved(DeleteSnapshot)",
    [FX_NOTICE_EXIT] = "RuntimeNotice(Exit)",
    [FX_NOTICE_STOP] = "RuntimeNotice(Stop)",
    [FX_NOTICE_RESET] = "RuntimeNotice(Reset)",
    [FX_NOTICE_RECOVER] = "RuntimeNotice(Recover)",
    [FX_SUBMIT_RUN_PRIMITIVE] = "SubmitRunPrimitive",
    [FX_TURN_RUN_STARTED] = "TurnRunStarted",
    [FX_TURN_RUN_COMPLETED] = "TurnRunCompleted",
    [FX_TURN_RUN_FAILED] = "TurnRunFailed",
    [FX_RECORD_TERMINAL_OUTCOME] = "RecordTerminalOutcome",
    [FX_INGRESS_ACCEPTED] = "IngressAccepted",
    [FX_WAKE_LOOP] = "PostAdmissionSignal(WakeLoop)",
    [FX_INTERRUPT_YIELDING] = "PostAdmissionSignal(InterruptYielding)",
    [FX_REQUEST_IMMEDIATE_PROCESSING] = "PostAdmissionSignal(RequestImmediateProcessing)",
    [FX_WAKE_INTERRUPT] = "WakeInterrupt",
    [FX_REQUEST_CANCELLATION_AT_BOUNDARY] = "RequestCancellationAtBoundary",
    [FX_FACT_CANCEL_AFTER_BOUNDARY] = "RuntimeEffect(CancelAfterBoundary)",
    [FX_FACT_STOP_RUNTIME_EXECUTOR] = "RuntimeEffect(StopRuntimeExecutor)",
    [FX_RUNTIME_RETIRED] = "RuntimeRetired",
    [FX_INITIATE_RECYCLE] = "InitiateRecycle",
    [FX_RUNTIME_DESTROYED] = "RuntimeDestroyed",
    [FX_DENIED_BUSY] = "TranscriptEditAdmissionResolved(DeniedBusy)",
    [FX_ADMISSIBLE] = "TranscriptEditAdmissionResolved(Admissible)",
    [FX_RESOLVE_ADMISSION] = "ResolveAdmission",
    [FX_INGRESS_NOTICE] = "IngressNotice",
};

const char *phase_name(enum phase phase)
{
    return phases[phase];
}

enum phase phase_parse(struct span text)
{
    enum phase phase = PHASE_INITIALIZING;
    while (phase < PHASE_COUNT && !span_is(text, phases[phase]))
        phase++;
    return phase;
}

const char *registration_name(enum registration registration)
{
    return registrations[registration];
}

const char *machine_input_name(enum machine_input_type type)
{
    return inputs[type];
}

const char *machine_effect_name(enum machine_effect effect)
{
    return effects[effect];
}
