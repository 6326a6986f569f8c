#include "tests/unit/core/rig.h"

static struct rig *attached(void)
{
    struct rig *rig = rig_new();
    rig_do(rig, "attach", MK_OP_ATTACH);
    assert_said(rig, "result attach ok executor nil phase attached\n");
    return rig;
}

static struct rig *running(void)
{
    struct rig *rig = attached();
    rig_send(rig, "z", MK_PROMPT);
    rig_send(rig, "y", MK_PROMPT);
    return rig;
}

static void test_command__a_repeat_answers_the_first_result_and_does_nothing(void **state)
{
    (void)state;
    struct rig *rig = attached();
    rig_do(rig, "r", MK_OP_RESET);
    uint64_t next = rig->session->core.next_event;
    rig_do(rig, "r", MK_OP_RESET);
    assert_said(rig, "result r ok = result r\n");
    assert_int_equal(rig->session->core.next_event, next);
    rig_do(rig, "r", MK_OP_RETIRE);
    assert_said(rig, "result r id_conflict final\n");
    rig_free(rig);
}

static void test_command__a_repeat_in_the_same_stage_is_answered_alike(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_command command = rig_command("r", MK_OP_RETIRE);
    struct session_event event = {.type = EV_SESSION_COMMAND, .command = &command}, events[] = {event, event};
    rig_give_all(rig, events, 2);
    assert_said(rig, "result r ok abandoned 0 pending_drain 0 phase retired\n"
                     "result r ok abandoned 0 pending_drain 0 phase retired\n");
    rig_free(rig);
}

static void test_command__unknown_sessions_refuse_each_operation_in_its_way(void **state)
{
    (void)state;
    static const struct {
        enum mk_op op;
        const char *said;
    } cases[] = {
        {MK_OP_UNREGISTER, "result c ok\n"},
        {MK_OP_RETIRE, "result c not_found\n"},
        {MK_OP_RESET, "result c not_found\n"},
        {MK_OP_RECYCLE, "result c not_found\n"},
        {MK_OP_RECOVER, "result c not_found\n"},
        {MK_OP_STOP, "result c not_ready destroyed\n"},
        {MK_OP_DESTROY, "result c not_found\n"},
        {MK_OP_ABANDON_RETIRED, "result c not_ready destroyed\n"},
        {MK_OP_INTERRUPT, "result c destroyed\n"}, /* not final: it may still come into being */
        {MK_OP_CANCEL_AFTER_BOUNDARY, "result c not_ready destroyed\n"},
        {MK_OP_SILENT_INTENTS, "result c validation_failed destroyed\n"},
        {MK_OP_WAKE, "result c not_ready destroyed\n"},
        {MK_OP_STATE, "result c not_found\n"},
        {MK_OP_SHOW, "result c not_found\n"},
        {MK_OP_LIST_ACTIVE_INPUTS, "result c not_ready destroyed\n"},
        {MK_OP_TRANSCRIPT_EDIT, "result c not_ready destroyed\n"},
        {MK_OP_PING, "result c unknown_op final\n"},
        {MK_OP_COUNT, "result c unknown_op final\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "c", cases[i].op);
        assert_said(rig, cases[i].said);
        assert_int_equal(rig->commits, 0);
        rig_free(rig);
    }
}

static void test_command__what_comes_past_its_deadline_is_not_performed(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_command command = rig_command("d", MK_OP_DESTROY);
    command.h.ts = rig->ctx.store_ms - 101;
    command.deadline_ms = 100;
    rig_order(rig, command);
    assert_said(rig, "result d deadline_passed\n");
    assert_string_equal(rig_phase(rig), "attached");
    rig_free(rig);
}

static void test_command__retire_with_an_executor_drains_the_backlog_and_ends_retired(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "r", MK_OP_RETIRE);
    assert_said(rig, "result r ok abandoned 0 pending_drain 2 phase retired\n");
    assert_said(rig, "effect runtime_retired\n");
    rig_send(rig, "x", MK_PROMPT);
    assert_said(rig, "admission x rejected not_ready retired\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion z completed 1 >c1\n");
    assert_said(rig, "start y #1\n");
    rig_fail(rig);
    rig_tick(rig, BACKOFF_FIRST_MS);
    assert_said(rig, "start y #1\n"); /* retried like any other (D2) */
    rig_crash(rig);
    assert_said(rig, "start y #2\n");
    rig_succeed(rig, "2");
    assert_string_equal(rig_phase(rig), "retired");
    rig_free(rig);
}

static void test_command__retire_without_an_executor_abandons(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_register(rig, "g");
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "r", MK_OP_RETIRE);
    assert_said(rig, "result r ok abandoned 1 pending_drain 0 phase retired\n");
    assert_said(rig, "completion a runtime_terminated retired without runtime loop >c1\n");
    rig_free(rig);
}

static void test_command__reset_abandons_and_binds_again(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_input quiet = rig_input("a", MK_PROMPT);
    quiet.wake = false;
    rig_admit(rig, quiet);
    struct mk_id epoch = rig->session->core.machine.binding.epoch;
    rig_do(rig, "r", MK_OP_RESET);
    assert_said(rig, "result r ok abandoned 1 phase idle\n");
    assert_said(rig, "effect runtime_notice notice reset\n");
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 100 generation 2 epoch ");
    assert_string_equal(rig->session->core.machine.binding.epoch.text, epoch.text);
    rig_send(rig, "b", MK_PROMPT);
    assert_said(rig, "start b #1\n"); /* idle, but its executor stayed */
    rig_do(rig, "r2", MK_OP_RESET);
    assert_said(rig, "result r2 invalid_state running\n");
    rig_succeed(rig, "1");
    assert_string_equal(rig_phase(rig), "idle");
    rig_free(rig);
}

static void test_command__reset_of_a_draining_session_leaves_its_run_behind(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_do(rig, "s", MK_OP_RESET);
    assert_said(rig, "result s ok abandoned 2 phase idle\n");
    assert_said(rig, "hard_cancel\n");
    assert_said(rig, "completion z runtime_terminated runtime reset");
    rig_succeed(rig, "late");
    assert_string_equal(rig->log, "");
    rig_send(rig, "q", MK_PROMPT);
    assert_said(rig, "start q #1\n");
    rig_free(rig);
}

static void test_command__recycle_keeps_the_inputs_and_wakes(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_input quiet = rig_input("a", MK_PROMPT);
    quiet.wake = false;
    rig_admit(rig, quiet);
    struct mk_id epoch = rig->session->core.machine.binding.epoch;
    rig_do(rig, "r", MK_OP_RECYCLE);
    assert_said(rig, "result r ok transferred 1 phase attached\n");
    assert_said(rig, "start a #1\n");
    assert_string_equal(rig->session->core.machine.binding.epoch.text, epoch.text);
    rig_do(rig, "r2", MK_OP_RECYCLE);
    assert_said(rig, "result r2 invalid_state running\n");
    rig_free(rig);
}

static void test_command__recover_keeps_the_executor_and_wakes(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_input quiet = rig_input("a", MK_PROMPT);
    quiet.wake = false;
    rig_admit(rig, quiet);
    rig_do(rig, "r", MK_OP_RECOVER);
    assert_said(rig, "result r ok recovered 1 abandoned 0 requeued 0 phase attached\n");
    assert_said(rig, "start a #1\n");
    rig_do(rig, "r2", MK_OP_RECOVER);
    assert_said(rig, "result r2 invalid_state running\n");
    rig_free(rig);
}

static void test_command__stop_overtakes_what_is_queued_but_not_what_runs(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "s", MK_OP_STOP);
    assert_said(rig, "result s ok deferred true phase running\n");
    assert_unsaid(rig, "stop_executor");
    rig_succeed(rig, "1");
    assert_said(rig, "completion z completed 1 >c1\n");
    assert_said(rig, "completion y runtime_terminated runtime stopped >c1\n");
    assert_said(rig, "stop_executor\n");
    assert_string_equal(rig_phase(rig), "stopped");
    rig_do(rig, "s2", MK_OP_STOP);
    assert_said(rig, "result s2 validation_failed stopped\n");
    rig_free(rig);
}

static void test_command__a_stop_behind_a_run_over_idle_or_retired_completes(void **state)
{
    (void)state;
    struct rig *rig = attached();
    rig_do(rig, "r", MK_OP_RESET); /* idle with an executor */
    rig_send(rig, "z", MK_PROMPT);
    rig_send(rig, "y", MK_PROMPT);
    rig_do(rig, "s", MK_OP_STOP);
    rig_crash(rig); /* and it survives a take-over */
    assert_said(rig, "start z #2\n");
    rig_succeed(rig, "1");
    assert_said(rig, "completion y runtime_terminated runtime stopped");
    assert_string_equal(rig_phase(rig), "stopped");
    rig_free(rig);
    rig = running();
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_do(rig, "s", MK_OP_STOP);
    rig_succeed(rig, "1");
    assert_said(rig, "completion z completed 1");
    assert_said(rig, "completion y runtime_terminated runtime stopped");
    assert_string_equal(rig_phase(rig), "retired");
    rig_free(rig);
}

static void test_command__register_binds_and_attaches(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_command command = rig_command("g", MK_OP_REGISTER);
    command.args.executor = SPAN_LIT("nobody");
    rig_order(rig, command);
    assert_said(rig, "result g unknown_executor\n");
    assert_int_equal(rig->commits, 0);
    rig_do(rig, "g", MK_OP_REGISTER);
    assert_said(rig, "result g ok phase attached\n");
    assert_said(rig, "effect runtime_bound");
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_command__registering_a_stopped_session_revives_it_with_its_identity(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_id epoch = rig->session->core.machine.binding.epoch;
    rig_do(rig, "s", MK_OP_STOP);
    assert_said(rig, "result s ok deferred false phase stopped\n");
    rig_do(rig, "x", MK_OP_ATTACH);
    assert_said(rig, "result x validation_failed stopped\n");
    rig_register(rig, "g");
    assert_said(rig, "result g ok phase idle\n");
    assert_string_equal(rig->session->core.machine.binding.epoch.text, epoch.text);
    rig_do(rig, "x2", MK_OP_ATTACH);
    assert_said(rig, "phase attached\n");
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_command__a_kept_record_registered_under_a_new_owner_is_bound_anew(void **state)
{
    (void)state;
    struct rig *rig = attached();
    rig_do(rig, "s", MK_OP_STOP);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_said(rig, "result u ok retained true");
    rig_crash(rig);
    assert_int_not_equal(rig->session->core.machine.binding.fence, rig->ctx.fence); /* nobody's: nobody binds it */
    uint64_t generation = rig->session->core.generation;
    rig_register(rig, "g");
    rig_do(rig, "a", MK_OP_ATTACH);
    assert_said(rig, "phase attached\n");
    assert_int_equal(rig->session->core.machine.binding.fence, rig->ctx.fence);
    assert_int_equal(rig->session->core.generation, generation + 1);
    rig_free(rig);
}

static void test_command__destroy_cancels_the_run_and_ends_everything(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "d", MK_OP_DESTROY);
    assert_said(rig, "result d ok abandoned 2 phase destroyed\n");
    assert_said(rig, "completion z runtime_terminated runtime destroyed >c1\ncompletion y runtime_terminated runtime "
                     "destroyed >c1\n");
    assert_said(rig, "effect runtime_destroyed\n");
    assert_said(rig, "hard_cancel\n");
    assert_said(rig, "stop_executor\n");
    rig_succeed(rig, "late");
    assert_string_equal(rig->log, "");
    uint64_t next = rig->session->core.next_event;
    rig_crash(rig);
    assert_int_equal(rig->session->core.next_event, next);
    rig_do(rig, "d2", MK_OP_DESTROY);
    assert_said(rig, "result d2 destroyed final\n");
    rig_register(rig, "g");
    assert_said(rig, "result g destroyed final\n");
    rig_do(rig, "q", MK_OP_STATE);
    assert_said(rig, "result q ok phase destroyed\n");
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_said(rig, "result u ok\n");
    rig_free(rig);
}

static void test_command__unregister_drives_the_drain_of_a_run_to_its_end(void **state)
{
    (void)state;
    struct rig *rig = running();
    uint64_t next;
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_string_equal(rig->log, "hard_cancel\n"); /* no answer before the end */
    rig_send(rig, "x", MK_PROMPT);
    assert_said(rig, "admission x rejected not_ready");
    rig_do(rig, "w", MK_OP_RETIRE);
    assert_said(rig, "result w not_ready");
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "completion z cancelled cancelled >c1\n");
    assert_said(rig, "completion y runtime_terminated runtime stopped >c1\n");
    assert_said(rig, "result u ok retained false abandoned 1\n");
    assert_said(rig, "stop_executor\n");
    rig_do(rig, "q", MK_OP_STATE);
    assert_said(rig, "result q not_found\n");
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_said(rig, "result u ok = result u\n");
    next = rig->session->core.next_event;
    rig_crash(rig); /* the tombstone keeps the numbers (rule 9) */
    assert_int_equal(rig->session->core.next_event, next);
    rig_send(rig, "b", MK_PROMPT); /* and the next input registers it anew */
    assert_said(rig, "effect runtime_bound");
    assert_said(rig, "start b #1\n");
    rig_free(rig);
}

static void test_command__a_run_that_commits_during_the_drain_keeps_its_outcome(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "u", MK_OP_UNREGISTER);
    rig_succeed(rig, "1");
    assert_said(rig, "completion z completed 1 >c1\n");
    assert_said(rig, "result u ok retained false abandoned 1\n");
    rig_free(rig);
}

static void test_command__an_unregister_gives_a_run_up_after_its_grace(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "u", MK_OP_UNREGISTER);
    uint64_t due = session_due_ms(rig->session, rig->ctx.now_ms, rig->ctx.store_ms);
    assert_true(due > rig->ctx.now_ms && due < rig->ctx.now_ms + 10000);
    rig_tick(rig, due - rig->ctx.now_ms);
    assert_said(rig, "completion z cancelled");
    assert_said(rig, "result u ok");
    rig_free(rig);
}

static void test_command__unregistering_a_retired_session_keeps_its_record(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "result u ok retained true abandoned 1\n");
    rig_do(rig, "q", MK_OP_STATE);
    assert_said(rig, "result q not_found\n");
    rig_send(rig, "b", MK_PROMPT);
    assert_said(rig, "admission b rejected not_ready destroyed\n");
    rig_crash(rig);
    rig_register(rig, "g");
    assert_said(rig, "result g ok phase retired\n");
    rig_free(rig);
}

static void test_command__inputs_without_an_executor_outlive_an_unregister(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_register(rig, "g");
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    assert_said(rig, "result u ok retained false abandoned 0\n");
    rig_crash(rig);
    rig->ctx.auto_register = true;
    rig_send(rig, "b", MK_PROMPT);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_command__unregister_if_epoch_spares_another_epoch(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_command command = rig_command("u", MK_OP_UNREGISTER_IF_EPOCH);
    command.args.epoch = SPAN_LIT("another");
    rig_order(rig, command);
    assert_said(rig, "result u validation_failed attached\n");
    struct mk_id epoch = rig->session->core.machine.binding.epoch;
    command.h.id = SPAN_LIT("u2");
    command.args.epoch = id_span(&epoch);
    rig_order(rig, command);
    assert_said(rig, "result u2 ok retained false abandoned 0\n");
    rig_free(rig);
}

static void test_command__an_interrupt_is_bound_to_the_run_it_met_first(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "i", MK_OP_INTERRUPT);
    rig_finish(rig, (struct run_done){.end = RUN_CANCELLED});
    assert_said(rig, "start y #1\n");
    rig_do(rig, "i", MK_OP_INTERRUPT);
    assert_said(rig, "result i ok = result i\n");
    assert_unsaid(rig, "hard_cancel");
    struct mk_command named = rig_command("j", MK_OP_INTERRUPT);
    named.run = SPAN_LIT("an older run");
    rig_order(rig, named);
    assert_said(rig, "result j ok cancelled false run an older run\n");
    assert_unsaid(rig, "hard_cancel");
    named.h.id = SPAN_LIT("k");
    named.op = MK_OP_CANCEL_AFTER_BOUNDARY;
    named.run = id_span(&rig->run_id);
    rig_order(rig, named);
    assert_said(rig, "result k ok cancelled true");
    assert_said(rig, "boundary_cancel\n");
    rig_free(rig);
}

static void test_command__a_run_that_nobody_was_told_of_is_cancelled_without_the_executor(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_input a = rig_input("a", MK_PROMPT), b = rig_input("b", MK_PROMPT);
    struct mk_command command = rig_command("i", MK_OP_INTERRUPT);
    struct session_event events[] = {{.type = EV_SESSION_INPUT, .input = &a},
                                     {.type = EV_SESSION_INPUT, .input = &b},
                                     {.type = EV_SESSION_COMMAND, .command = &command}};
    rig_give_all(rig, events, 3);
    assert_said(rig, "completion a cancelled");
    assert_said(rig, "start b #1\n");
    assert_unsaid(rig, "hard_cancel");
    rig_free(rig);
}

static void test_command__withdraw_stops_what_has_not_begun_and_tells_the_rest(void **state)
{
    (void)state;
    struct rig *rig = running();
    struct mk_command command = rig_command("w1", MK_OP_WITHDRAW);
    command.args.id = SPAN_LIT("y");
    rig_order(rig, command);
    assert_said(rig, "result w1 ok withdrawn true phase abandoned\n");
    assert_said(rig, "completion y cancelled withdrawn >c1\n");
    command.h.id = SPAN_LIT("w2");
    command.args.id = SPAN_LIT("z");
    rig_order(rig, command);
    assert_said(rig, "result w2 ok withdrawn false phase staged\n");
    rig_succeed(rig, "1");
    command.h.id = SPAN_LIT("w3");
    rig_order(rig, command);
    assert_said(rig,
                "result w3 ok withdrawn false phase consumed outcome completed completion completion z completed\n");
    command.h.id = SPAN_LIT("w4");
    command.args.id = SPAN_LIT("unborn");
    rig_order(rig, command);
    assert_said(rig, "result w4 ok withdrawn true phase abandoned\n");
    rig_send(rig, "unborn", MK_PROMPT);
    assert_said(rig, "admission unborn rejected withdrawn final\n");
    rig_free(rig);
}

static void test_command__wake_says_whether_there_was_anything_to_wake(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_register(rig, "g");
    rig_do(rig, "w", MK_OP_WAKE);
    assert_said(rig, "result w ok woken false\n");
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "w2", MK_OP_WAKE);
    assert_said(rig, "result w2 not_ready idle\n");
    rig_free(rig);
}

static void test_command__abandon_retired_asks_for_a_retired_session_that_does_not_drain(void **state)
{
    (void)state;
    struct rig *rig = running();
    rig_do(rig, "a", MK_OP_ABANDON_RETIRED);
    assert_said(rig, "result a not_ready running\n");
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_do(rig, "a2", MK_OP_ABANDON_RETIRED);
    assert_said(rig, "result a2 not_ready running\n");
    rig_fail(rig); /* retired, and waiting out a backoff */
    rig_do(rig, "a3", MK_OP_ABANDON_RETIRED);
    assert_said(rig, "result a3 ok abandoned 2 phase retired\n");
    rig_free(rig);
}

static void test_command__the_reason_of_an_abandonment_is_told_whole(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    char reason[REASON_BYTES_MAX + 1], said[REASON_BYTES_MAX + 64];
    memset(reason, 'x', sizeof reason);
    memcpy(reason + REASON_BYTES_MAX - 2, "\xc3\xa9", 3); /* its last character has two bytes */
    struct mk_command abandon = rig_command("x", MK_OP_ABANDON_RETIRED);
    abandon.args.reason = span_of(reason);
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    rig_fail(rig); /* nobody runs for a while */
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_order(rig, abandon);
    snprintf(said, sizeof said, "completion a runtime_terminated %s >c1\n", reason);
    assert_said(rig, said);
    rig_free(rig);
}

static void test_command__publish_event_is_a_numbered_notice(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_command command = rig_command("p", MK_OP_PUBLISH_EVENT);
    command.args.kind = SPAN_LIT("ping");
    rig_order(rig, command);
    assert_said(rig, "effect ingress_notice kind ping\n");
    rig_free(rig);
}

static void test_query__outcome_tells_the_four_answers_apart(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_input input = rig_input("a", MK_PROMPT);
    input.idem = SPAN_LIT("k");
    struct mk_command by_id = rig_command("q", MK_OP_OUTCOME), by_key = by_id;
    by_id.args.id = SPAN_LIT("a");
    by_key.args.idem = SPAN_LIT("k");
    rig_order(rig, by_id);
    assert_said(rig, "state never_seen input a repeat_safe true\n");
    rig_order(rig, by_key);
    assert_said(rig, "state never_seen input nil repeat_safe true\n");
    rig_admit(rig, input);
    rig_order(rig, by_key);
    assert_said(rig, "state in_flight input a repeat_safe true node n1 fence 100 phase staged");
    rig_succeed(rig, "1");
    rig_order(rig, by_id);
    assert_said(rig, "state committed input a repeat_safe true phase consumed attempts 1");
    assert_said(rig, "completion completion a completed\n");
    rig_order(rig, by_key);
    assert_said(rig, "state committed input a");
    rig_give(rig, (struct session_event){.type = EV_SESSION_TRIM, .trim = &(struct session_trim){.up_to_ms = 4000}});
    by_id.args.id = SPAN_LIT("b");
    rig_order(rig, by_id);
    assert_said(rig, "state unknown input b repeat_safe true why ");
    rig_free(rig);
}

static void test_query__they_show_the_session_and_change_nothing(void **state)
{
    (void)state;
    struct rig *rig = running();
    size_t commits = rig->commits;
    rig_do(rig, "q", MK_OP_SHOW);
    assert_said(
        rig, "result q ok phase running registration active attached true executor nil node n1 fence 100 generation 1");
    rig_do(rig, "q", MK_OP_LIST_ACTIVE_INPUTS);
    assert_said(rig, "result q ok inputs z y\n");
    struct mk_command command = rig_command("q", MK_OP_INPUT_STATE);
    command.args.id = SPAN_LIT("y");
    rig_order(rig, command);
    assert_said(rig, "result q ok input y phase queued kind prompt lane queue sequence 2 attempts 0");
    command.args.id = SPAN_LIT("x");
    rig_order(rig, command);
    assert_said(rig, "result q not_found\n");
    command.op = MK_OP_TRANSCRIPT_EDIT;
    command.args.running = true;
    rig_order(rig, command);
    assert_said(rig, "result q ok verdict denied_busy\n");
    assert_int_equal(rig->commits, commits);
    rig_free(rig);
}

/* --- retention (rule 8) --- */

static void trim_command(struct rig *rig, const char *id, uint64_t up_to_ms)
{
    struct session_trim trim = {.up_to_ms = up_to_ms};
    id_set(&trim.command, span_of(id));
    rig_give(rig, (struct session_event){.type = EV_SESSION_TRIM, .trim = &trim});
}

static void test_command__what_no_event_names_has_a_memo(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "w", MK_OP_WAKE);
    rig_do(rig, "w", MK_OP_WAKE); /* a repeat is remembered already */
    rig_do(rig, "q", MK_OP_SHOW);
    struct mk_command withdraw = rig_command("x", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("unborn");
    rig_order(rig, withdraw);
    rig_succeed(rig, "1");
    assert_string_equal(rig->memos, "w;unborn;x;");
    rig_free(rig);
}

static void test_command__a_result_that_was_forgotten_is_not_answered_again_but_too_late(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    struct mk_command wake = rig_command("w", MK_OP_WAKE);
    wake.born = 3999;
    rig_order(rig, wake);
    rig_do(rig, "kept", MK_OP_WAKE);
    trim_command(rig, "w", 4000);
    rig_order(rig, wake);
    assert_said(rig, "result w too_late final\n");
    wake.h.id = SPAN_LIT("kept");
    rig_order(rig, wake);
    assert_said(rig, "result kept ok = result kept");
    wake.h.id = SPAN_LIT("new");
    wake.born = 4000;
    rig_order(rig, wake);
    assert_said(rig, "result new ok woken");
    wake.h.id = SPAN_LIT("first sending");
    wake.born = 0;
    rig_order(rig, wake);
    assert_said(rig, "result first sending ok woken");
    rig_free(rig);
}

/* Until the trim is durable the store still holds the names: they are answered from it. */
static void test_command__what_is_forgotten_in_the_same_stage_is_still_known(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("a", MK_PROMPT), same_key = rig_input("b", MK_PROMPT);
    input.idem = same_key.idem = SPAN_LIT("key");
    rig_admit(rig, input);
    rig_do(rig, "w", MK_OP_WAKE);
    rig_succeed(rig, "1");
    struct mk_command wake = rig_command("w", MK_OP_WAKE);
    struct session_trim trim = {.up_to_ms = 4000};
    id_set(&trim.input, SPAN_LIT("a"));
    id_set(&trim.idem, SPAN_LIT("key"));
    id_set(&trim.command, SPAN_LIT("w"));
    struct session_event events[] = {{.type = EV_SESSION_TRIM, .trim = &trim},
                                     {.type = EV_SESSION_INPUT, .input = &input},
                                     {.type = EV_SESSION_INPUT, .input = &same_key},
                                     {.type = EV_SESSION_COMMAND, .command = &wake}};
    rig_give_all(rig, events, 4);
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    assert_said(rig, "admission b deduplicated of a consumed [completion a completed]\n");
    assert_said(rig, "result w ok = result w\n");
    rig_admit(rig, same_key); /* and then it is not */
    assert_said(rig, "admission b accepted");
    rig_free(rig);
}

/* A name that is remembered anew in the stage that forgets it: the newer record stands. */
static void test_command__a_trim_does_not_forget_what_the_same_stage_remembers(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input old = rig_input("a", MK_PROMPT), again = rig_input("a", MK_PROMPT);
    old.durability = MK_EPHEMERAL;
    rig_admit(rig, old);
    rig_succeed(rig, "1");
    rig_do(rig, "w", MK_OP_WAKE); /* a head, to be taken over by */
    rig_crash(rig);               /* what is remembered of the ephemeral one is stale */
    rig_admit(rig, again);
    assert_said(rig, "admission a accepted");
    struct session_trim trim = {.up_to_ms = 4000};
    id_set(&trim.input, SPAN_LIT("a"));
    struct span one = SPAN_LIT("2");
    struct run_done done = {.run = rig->run_id, .attempt = rig->attempt, .end = RUN_RESULT, .results = &one};
    done.result_count = 1;
    struct session_event events[] = {{.type = EV_SESSION_RUN_DONE, .done = &done},
                                     {.type = EV_SESSION_TRIM, .trim = &trim},
                                     {.type = EV_SESSION_TICK}};
    rig_give_all(rig, events, 3);
    rig_admit(rig, again);
    assert_said(rig, "admission a deduplicated of a consumed [completion a completed]\n");
    rig_free(rig);
}

static void test_command__a_withdrawn_id_that_was_forgotten_is_too_late(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_command withdraw = rig_command("x", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("unborn");
    rig_order(rig, withdraw);
    struct session_trim trim = {.up_to_ms = 4000};
    id_set(&trim.input, SPAN_LIT("unborn"));
    struct mk_input input = rig_input("unborn", MK_PROMPT);
    input.born = 3999;
    rig_admit(rig, input);
    assert_said(rig, "admission unborn rejected withdrawn final\n");
    rig_give(rig, (struct session_event){.type = EV_SESSION_TRIM, .trim = &trim});
    rig_admit(rig, input);
    assert_said(rig, "admission unborn rejected too_late final\n");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command__a_repeat_answers_the_first_result_and_does_nothing),
        cmocka_unit_test(test_command__a_repeat_in_the_same_stage_is_answered_alike),
        cmocka_unit_test(test_command__unknown_sessions_refuse_each_operation_in_its_way),
        cmocka_unit_test(test_command__what_comes_past_its_deadline_is_not_performed),
        cmocka_unit_test(test_command__retire_with_an_executor_drains_the_backlog_and_ends_retired),
        cmocka_unit_test(test_command__retire_without_an_executor_abandons),
        cmocka_unit_test(test_command__reset_abandons_and_binds_again),
        cmocka_unit_test(test_command__reset_of_a_draining_session_leaves_its_run_behind),
        cmocka_unit_test(test_command__recycle_keeps_the_inputs_and_wakes),
        cmocka_unit_test(test_command__recover_keeps_the_executor_and_wakes),
        cmocka_unit_test(test_command__stop_overtakes_what_is_queued_but_not_what_runs),
        cmocka_unit_test(test_command__a_stop_behind_a_run_over_idle_or_retired_completes),
        cmocka_unit_test(test_command__register_binds_and_attaches),
        cmocka_unit_test(test_command__registering_a_stopped_session_revives_it_with_its_identity),
        cmocka_unit_test(test_command__a_kept_record_registered_under_a_new_owner_is_bound_anew),
        cmocka_unit_test(test_command__destroy_cancels_the_run_and_ends_everything),
        cmocka_unit_test(test_command__unregister_drives_the_drain_of_a_run_to_its_end),
        cmocka_unit_test(test_command__a_run_that_commits_during_the_drain_keeps_its_outcome),
        cmocka_unit_test(test_command__an_unregister_gives_a_run_up_after_its_grace),
        cmocka_unit_test(test_command__unregistering_a_retired_session_keeps_its_record),
        cmocka_unit_test(test_command__inputs_without_an_executor_outlive_an_unregister),
        cmocka_unit_test(test_command__unregister_if_epoch_spares_another_epoch),
        cmocka_unit_test(test_command__an_interrupt_is_bound_to_the_run_it_met_first),
        cmocka_unit_test(test_command__a_run_that_nobody_was_told_of_is_cancelled_without_the_executor),
        cmocka_unit_test(test_command__withdraw_stops_what_has_not_begun_and_tells_the_rest),
        cmocka_unit_test(test_command__wake_says_whether_there_was_anything_to_wake),
        cmocka_unit_test(test_command__abandon_retired_asks_for_a_retired_session_that_does_not_drain),
        cmocka_unit_test(test_command__the_reason_of_an_abandonment_is_told_whole),
        cmocka_unit_test(test_command__publish_event_is_a_numbered_notice),
        cmocka_unit_test(test_query__outcome_tells_the_four_answers_apart),
        cmocka_unit_test(test_query__they_show_the_session_and_change_nothing),
        cmocka_unit_test(test_command__what_no_event_names_has_a_memo),
        cmocka_unit_test(test_command__a_result_that_was_forgotten_is_not_answered_again_but_too_late),
        cmocka_unit_test(test_command__what_is_forgotten_in_the_same_stage_is_still_known),
        cmocka_unit_test(test_command__a_trim_does_not_forget_what_the_same_stage_remembers),
        cmocka_unit_test(test_command__a_withdrawn_id_that_was_forgotten_is_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
