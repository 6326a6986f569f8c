/* clang-format off */
/* The session machine: every transition there is (semantics-core.md 1.3, with D2, D5, D15, D17 and D18 of the design).
 *
 *   +--------------+  Initialize  +----------------------------+  RuntimeExecutorExited  +---------+
 *   | Initializing |------------->|  Idle  ------>   Attached  |------------------------>| Stopped |
 *   +--------------+              | EnsureSessionWithExecutor, |     Revive, to Idle     |         |
 *          |                      | PrepareBindings            |<------------------------|         |
 *          |                      +----------------------------+                         +---------+
 *          |                        |         ^      |       ^                                ^
 *          |                Prepare |         | ends |Retire | Reset, Recycle, to Idle        | RuntimeExecutorExited
 *          |                        v         |      v       |                                |
 *          |                      +-----------+   +------------+                              |
 *          |                      |  Running  |<--|  Retired   |  DrainQueuedRun              |
 *          |                      | (pre_run) |-->|            |  ends, over a pre_run Retired|
 *          |                      +-----------+   +------------+                              |
 *          |                        |                                                         |
 *          |                        +---------------------------------------------------------+
 *          |
 *          +--> any other phase: RecoverRuntimeAuthority
 *
 *   ends: Commit, Fail, CancelRun, RollbackRun, ServiceTurnCommitted lead to pre_run, the phase in which the run began.
 *   UnregisterSession leads to Idle from every phase but Initializing and Destroyed. Destroy leads from every phase to
 *   Destroyed, which admits nothing. A run that is retired (D2) stays Running over a pre_run Retired, is shown as Retired
 *   and ends there.
 *
 * D18: a deferred stop stands in Attached and Running only. The row that would carry it to Idle or Retired drops it and says
 * stop_effect once more: the shell then stops the executor, and RuntimeExecutorExited completes the stop (Idle -> Stopped,
 * Retired stays). Over Attached it goes on standing, as in the source.
 *
 * The first row that matches is taken; with no row the input is rejected and nothing changes. docs/machine.md says how to read. */

/*  input                                       from               guards                                                       updates                     to     effects */

/* --- being there: registration and recovery --- */
ROW(INITIALIZE,                                 In,                (always),                                                    (nothing),                  Id,    (none))
ROW(REGISTER_SESSION,                           Id|At|Ru|Re|St,    (same_session),                                              (nothing),                  Same,  (none))
ROW(REGISTER_SESSION,                           Id|At|Ru|Re|St,    (always),                                                    (admit),                    Same,  (none))
ROW(REVIVE,                                     St,                (same_session, -draining),                                   (nothing),                  Id,    (none))
ROW(RECOVER_RUNTIME_AUTHORITY,                  In,                (asks_running, binding_sound, pair),                         (restore),                  Asked, (none))
ROW(RECOVER_RUNTIME_AUTHORITY,                  In,                (asks_attached, binding_sound, no_pair),                     (restore),                  Asked, (none))
ROW(RECOVER_RUNTIME_AUTHORITY,                  In,                (asks_retired, binding_sound, pair, -asks_stop),             (restore),                  Asked, (none))
ROW(RECOVER_RUNTIME_AUTHORITY,                  In,                (asks_retired, binding_sound, no_pair, -asks_stop),          (restore),                  Asked, (none))
ROW(RECOVER_RUNTIME_AUTHORITY,                  In,                (asks_rest, binding_sound, no_pair, -asks_stop),             (restore),                  Asked, (none))
ROW(RECOVER,                                    In|Id|At|Re|St,    (always),                                                    (nothing),                  Same,  (recover_notice))

/* --- unregister; what is retained is decided at its beginning, and a draining run counts as Retired (D2) --- */
ROW(BEGIN_UNREGISTER_SESSION,                   Re|St,             (same_session, binding_equal, -draining),                    (drain, retain),            Same,  (loop_stop, comms_exit, waiters_end))
ROW(BEGIN_UNREGISTER_SESSION,                   Ru,                (same_session, binding_equal, -draining, over_retired),      (drain, retain),            Same,  (loop_stop, comms_exit, waiters_end))
ROW(BEGIN_UNREGISTER_SESSION,                   Id|At|Ru,          (same_session, binding_equal, -draining),                    (drain),                    Same,  (loop_stop, comms_exit, waiters_end))
ROW(RUNTIME_LOOP_STOPPED_FOR_UNREGISTER,        Id|At|Ru|Re|St,    (same_session, draining, loop_due),                          (loop_done),                Same,  (none))
ROW(COMMS_DRAIN_EXITED_FOR_UNREGISTER,          Id|At|Ru|Re|St,    (same_session, draining, comms_due),                         (comms_done),               Same,  (none))
ROW(COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER, Id|At|Ru|Re|St,    (same_session, draining, waiters_due),                       (waiters_done),             Same,  (none))
ROW(RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY,   Id|At|Ru|Re|St,    (same_session, binding_equal, retaining),                    (nothing),                  Same,  (retain_snapshot))
ROW(RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY,   Id|At|Ru|Re|St,    (same_session, binding_equal),                               (nothing),                  Same,  (delete_snapshot))
ROW(UNREGISTER_SESSION,                         Id|At|Ru|Re|St,    (same_session, binding_equal, draining, -any_due),           (forget, undrain),          Id,    (none))

/* --- bindings; an exact repeat changes nothing at all, so Idle stays Idle --- */
ROW(PREPARE_BINDINGS,                           In|Id|At|Ru|Re|St, (same_session, binding_whole, binding_equal),                (nothing),                  Same,  (none))
ROW(PREPARE_BINDINGS,                           Id,                (same_session, binding_whole, binding_fits, -binding_equal), (bind),                     At,    (runtime_bound))
ROW(PREPARE_BINDINGS,                           In|At|Ru|Re|St,    (same_session, binding_whole, binding_fits, -binding_equal), (bind),                     Same,  (runtime_bound))
ROW(REBIND,                                     Id|At|Re|St,       (same_session, binding_whole, binding_next),                 (bind),                     Same,  (runtime_bound))
ROW(REBIND,                                     Ru,                (same_session, binding_whole, binding_next, recovered),      (bind, resume),             Same,  (runtime_bound))

/* --- the executor comes and goes; in Retired and Stopped it is not given the registration --- */
ROW(ENSURE_SESSION_WITH_EXECUTOR,               Id,                (-draining),                                                 (activate),                 At,    (none))
ROW(ENSURE_SESSION_WITH_EXECUTOR,               At,                (-draining),                                                 (activate, drop_stop),      Same,  (none))
ROW(ENSURE_SESSION_WITH_EXECUTOR,               Ru,                (-draining),                                                 (activate),                 Same,  (none))
ROW(ENSURE_SESSION_WITH_EXECUTOR,               Re|St,             (always),                                                    (nothing),                  Same,  (none))
ROW(RUNTIME_EXECUTOR_EXITED,                    Ru,                (over_retired),                                              (end_all, release),         Re,    (exit_notice))
ROW(RUNTIME_EXECUTOR_EXITED,                    Id|At|Ru,          (always),                                                    (end_all, release),         St,    (exit_notice))
ROW(RUNTIME_EXECUTOR_EXITED,                    Re,                (always),                                                    (end_all, release),         Same,  (exit_notice))
ROW(RUNTIME_EXECUTOR_EXITED,                    St,                (always),                                                    (release),                  Same,  (none))

/* --- admission; Idle and Attached always wake, whatever the policy says --- */
ROW(ACCEPT_WITH_COMPLETION,                     At,                (registered, -interrupt, immediate),                         (nothing),                  Same,  (accepted, process_now, submit_run))
ROW(ACCEPT_WITH_COMPLETION,                     Id|Ru,             (registered, -interrupt, immediate),                         (nothing),                  Same,  (accepted, process_now))
ROW(ACCEPT_WITH_COMPLETION,                     Id|At,             (registered, -interrupt),                                    (nothing),                  Same,  (accepted, wake_loop))
ROW(ACCEPT_WITH_COMPLETION,                     Ru,                (registered, interrupt, -immediate),                         (nothing),                  Same,  (accepted, yield))
ROW(ACCEPT_WITH_COMPLETION,                     Ru,                (registered, -interrupt, -immediate, wake_if_idle),          (nothing),                  Same,  (accepted, wake_loop))
ROW(ACCEPT_WITH_COMPLETION,                     Ru,                (registered, -interrupt),                                    (nothing),                  Same,  (accepted))
ROW(ACCEPT_WITHOUT_WAKE,                        Id|At|Ru,          (registered),                                                (nothing),                  Same,  (accepted))
ROW(INGEST,                                     Id|At|Ru,          (same_session, binding_equal, fenced),                       (nothing),                  Same,  (resolve_admission))
ROW(PUBLISH_EVENT,                              Id|At|Ru|Re|St,    (registered),                                                (nothing),                  Same,  (ingress_notice))
ROW(SET_SILENT_INTENTS,                         Id|At|Ru|Re,       (registered),                                                (set_intents),              Same,  (none))
ROW(SET_SILENT_INTENTS,                         St,                (registered),                                                (nothing),                  Same,  (none))
ROW(RESOLVE_TRANSCRIPT_EDIT_ADMISSION,          Id|At|Ru,          (busy),                                                      (nothing),                  Same,  (denied_busy))
ROW(RESOLVE_TRANSCRIPT_EDIT_ADMISSION,          Id|At|Ru,          (always),                                                    (nothing),                  Same,  (admissible))

/* --- a run begins, and its turn gets an outcome --- */
ROW(PREPARE,                                    Id|At,             (registered, run_given),                                     (begin_run),                Ru,    (submit_run))
ROW(DRAIN_QUEUED_RUN,                           Re,                (registered, run_given),                                     (begin_run),                Ru,    (submit_run))
ROW(START_CONVERSATION_RUN,                     In|At|Ru,          (run_given, -turn_open),                                     (begin_turn),               Ru,    (run_started))
ROW(START_CONVERSATION_RUN,                     Id,                (run_given, -turn_open, bound),                              (begin_turn),               Ru,    (run_started))
ROW(RUN_COMPLETED,                              Ru,                (same_run),                                                  (complete_turn),            Same,  (run_completed))
ROW(RUN_FAILED,                                 Ru,                (same_run, -seen_terminal, cause_known),                     (fail_turn),                Same,  (run_failed, wake_loop))
ROW(RUN_FAILED,                                 Ru,                (same_run, seen_terminal, turn_failed),                      (fail_turn),                Same,  (run_failed, wake_loop))
ROW(RUN_CANCELLED,                              Ru,                (same_run),                                                  (cancel_turn),              Same,  (none))

/* --- a run ends, with a stop behind it that cannot stand where it returns to (D18) --- */
ROW(COMMIT,                                     Ru,                (same_run, stop_falls),                                      (end_run, drop_stop),       Pre,   (stop_effect))
ROW(FAIL,                                       Ru,                (same_run, stop_falls, turn_failed),                         (end_run, drop_stop),       Pre,   (terminal_outcome, stop_effect))
ROW(CANCEL_RUN,                                 Ru,                (same_run, stop_falls, turn_cancelled),                      (end_run, drop_stop),       Pre,   (terminal_outcome, stop_effect))
ROW(ROLLBACK_RUN,                               Ru,                (same_run, stop_falls),                                      (end_run, drop_stop),       Pre,   (stop_effect))
ROW(SERVICE_TURN_COMMITTED,                     Ru,                (same_run, stop_falls, turn_completed),                      (end_run, drop_stop),       Pre,   (stop_effect))

/* --- a run ends --- */
ROW(COMMIT,                                     Ru,                (same_run),                                                  (end_run),                  Pre,   (none))
ROW(FAIL,                                       Ru,                (same_run, turn_failed),                                     (end_run),                  Pre,   (terminal_outcome))
ROW(CANCEL_RUN,                                 Ru,                (same_run, turn_cancelled),                                  (end_run),                  Pre,   (terminal_outcome))
ROW(ROLLBACK_RUN,                               Ru,                (same_run),                                                  (end_run),                  Pre,   (none))
ROW(SERVICE_TURN_COMMITTED,                     Ru,                (same_run, turn_completed),                                  (end_run),                  Pre,   (none))

/* --- a run is asked to end --- */
ROW(INTERRUPT_CURRENT_RUN,                      At|Ru,             (always),                                                    (nothing),                  Same,  (interrupt_wake, cancel_at_boundary))
ROW(CANCEL_AFTER_BOUNDARY,                      At|Ru,             (always),                                                    (nothing),                  Same,  (cancel_at_boundary, cancel_effect))

/* --- the session is asked to end, or to begin again; Reset keeps all of B but the fence --- */
ROW(STOP_RUNTIME_EXECUTOR,                      In|Id|Re,          (always),                                                    (end_all),                  Same,  (stop_notice, stop_effect))
ROW(STOP_RUNTIME_EXECUTOR,                      At|Ru,             (always),                                                    (defer_stop, drop_intents), Same,  (stop_notice, stop_effect))
ROW(RETIRE,                                     Ru,                (fenced),                                                    (retire_run),               Same,  (runtime_retired))
ROW(RETIRE,                                     Ru,                (always),                                                    (retire_run),               Same,  (none))
ROW(RETIRE,                                     Id|At|Re,          (fenced),                                                    (drop_stop),                Re,    (runtime_retired))
ROW(RETIRE,                                     Id|At|Re,          (always),                                                    (drop_stop),                Re,    (none))
ROW(RESET,                                      In|Id|At|Re,       (always),                                                    (end_all, unfence),         Id,    (reset_notice))
ROW(RECYCLE,                                    Id|Re,             (registered),                                                (unbind, end_run),          Id,    (initiate_recycle))
ROW(RECYCLE,                                    At,                (registered),                                                (unbind, end_run),          Same,  (initiate_recycle))
ROW(DESTROY,                                    In,                (bound),                                                     (end_all, undrain),         De,    (runtime_destroyed))
ROW(DESTROY,                                    Id|At|Ru|Re|St,    (always),                                                    (end_all, undrain),         De,    (runtime_destroyed))
