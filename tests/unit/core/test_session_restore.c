/* A session from its records (semantics-core.md 2 and 5.8): which authority comes back, what becomes of every stored
 * state, and what is refused and left alone. */
#include "tests/unit/core/rig.h"

/* The records of the store, or what a test made of them, brought to life; the session is NULL when it is refused. */
static enum mk_err restore(struct rig *rig, size_t *bad, struct mk_note *note)
{
    struct input_record records[RIG_ROWS];
    session_free(rig->session);
    for (size_t i = 0; i < rig->row_count; i++) {
        records[i] = rig->rows[i].record;
        records[i].input = rig->rows[i].input->input;
        records[i].last_run = id_span(&rig->rows[i].run);
    }
    *note = (struct mk_note){""};
    return session_restore(&rig->session, &rig->t.mem, SPAN_LIT("s1"), 7, &rig->head, records, rig->row_count,
                           rig->has_state ? span_bytes(rig->state, rig->state_bytes) : (struct span){NULL, 0}, bad,
                           note);
}

static void assert_refused(struct rig *rig, const char *why)
{
    struct mk_note note;
    size_t bad;
    assert_int_equal(restore(rig, &bad, &note), MK_ERR_QUARANTINED);
    assert_null(rig->session);
    if (!strstr(note.text, why))
        fail_msg("not said: %s, but: %s", why, note.text);
}

/* A new owner: a higher fence, and the rebind that the node stages first. */
static void take_over(struct rig *rig)
{
    struct mk_note note;
    size_t bad;
    if (restore(rig, &bad, &note))
        fail_msg("%s", note.text);
    assert_int_equal(bad, 0);
    rig->ctx.fence++;
    rig_give(rig, (struct session_event){.type = EV_SESSION_REBIND});
}

static struct rig *attached(void)
{
    struct rig *rig = rig_new();
    rig_do(rig, "g", MK_OP_REGISTER);
    assert_string_equal(rig_phase(rig), "attached");
    return rig;
}

/* With inputs a and b queued and no executor. */
static struct rig *waiting(void)
{
    struct rig *rig = rig_new();
    rig_register(rig, "g");
    rig->ctx.auto_register = false;
    rig_send(rig, "a", MK_PROMPT);
    rig_send(rig, "b", MK_PROMPT);
    assert_int_equal(rig->row_count, 2);
    return rig;
}

static const struct machine *machine_of(const struct rig *rig)
{
    return &rig->session->core.machine;
}

/* --- authority --- */

static void test_restore__a_name_that_was_only_remembered_is_a_fresh_session(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_command withdraw = rig_command("w", MK_OP_WITHDRAW);
    withdraw.args.id = SPAN_LIT("x");
    rig_order(rig, withdraw);
    assert_true(rig->has_head && !rig->head.registered);
    take_over(rig);
    assert_int_equal(machine_of(rig)->phase, PHASE_IDLE);
    assert_false(machine_of(rig)->registered || machine_of(rig)->binding.runtime);
    assert_string_equal(rig->log, ""); /* nothing is bound, nothing is said */
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 101 generation 1 epoch ");
    rig_free(rig);
}

static void test_restore__registered_and_unbound_stays_so(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_register(rig, "g");
    take_over(rig);
    assert_int_equal(machine_of(rig)->phase, PHASE_IDLE);
    assert_int_equal(machine_of(rig)->registration, REGISTRATION_QUEUING);
    assert_true(machine_of(rig)->registered);
    assert_false(machine_of(rig)->binding.runtime);
    assert_string_equal(rig->log, "");
    rig_free(rig);
}

static void test_restore__a_bound_session_keeps_its_epoch_under_the_next_generation(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_do(rig, "b", MK_OP_PREPARE_BINDINGS);
    struct binding before = machine_of(rig)->binding;
    take_over(rig);
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 101 generation 2 epoch ");
    assert_string_equal(machine_of(rig)->binding.epoch.text, before.epoch.text);
    assert_int_equal(machine_of(rig)->binding.fence, 101);
    assert_int_equal(machine_of(rig)->binding.generation, before.generation + 1);
    rig_free(rig);
}

/* D17: no attach is awaited; what a reset left Idle under its executor is Attached again. */
static void test_restore__an_attached_session_comes_back_with_its_executor(void **state)
{
    (void)state;
    struct rig *rig = attached();
    take_over(rig);
    assert_string_equal(rig_phase(rig), "attached");
    assert_int_equal(machine_of(rig)->registration, REGISTRATION_ACTIVE);
    rig_do(rig, "r", MK_OP_RESET);
    assert_string_equal(rig_phase(rig), "idle");
    take_over(rig);
    assert_string_equal(rig_phase(rig), "attached");
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "start a #1\n");
    rig_free(rig);
}

static void test_restore__a_retired_session_stays_retired(void **state)
{
    (void)state;
    struct rig *rig = attached();
    rig_do(rig, "r", MK_OP_RETIRE);
    take_over(rig);
    assert_string_equal(rig_phase(rig), "retired");
    rig_do(rig, "g2", MK_OP_REGISTER);
    assert_said(rig, "result g2 ok phase retired\n");
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a rejected not_ready");
    rig_free(rig);
}

/* L11, D5. */
static void test_restore__a_stopped_session_stays_stopped_until_it_is_registered(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_id epoch = machine_of(rig)->binding.epoch;
    rig_do(rig, "s", MK_OP_STOP);
    take_over(rig);
    assert_string_equal(rig_phase(rig), "stopped");
    assert_int_equal(machine_of(rig)->registration, REGISTRATION_QUEUING);
    rig_send(rig, "a", MK_PROMPT);
    assert_said(rig, "admission a rejected not_ready");
    rig_do(rig, "x", MK_OP_ATTACH);
    assert_said(rig, "result x validation_failed stopped\n");
    rig_do(rig, "g2", MK_OP_REGISTER);
    assert_said(rig, "result g2 ok phase attached\n");
    assert_string_equal(machine_of(rig)->binding.epoch.text, epoch.text);
    assert_int_equal(machine_of(rig)->binding.generation, 2); /* the take-over's */
    rig_free(rig);
}

static void test_restore__a_destroyed_session_refuses_to_be_registered(void **state)
{
    (void)state;
    struct rig *rig = attached();
    rig_do(rig, "d", MK_OP_DESTROY);
    struct session_record head = rig->head;
    take_over(rig);
    assert_string_equal(rig_phase(rig), "destroyed");
    assert_string_equal(rig->log, ""); /* it is not even bound again */
    static const enum mk_op ops[] = {MK_OP_REGISTER, MK_OP_ATTACH, MK_OP_PREPARE_BINDINGS};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        rig_do(rig, "g2", ops[i]);
        assert_said(rig, "result g2 destroyed final\n");
    }
    assert_int_equal(rig->head.updated_ms, head.updated_ms); /* the record was not touched */
    assert_int_equal(rig->head.next_event, head.next_event);
    rig_free(rig);
}

static void test_restore__a_record_of_running_or_of_a_later_version_is_refused(void **state)
{
    (void)state;
    struct rig *rig = attached();
    rig->head.phase = PHASE_RUNNING;
    assert_refused(rig, "the head has phase running");
    rig->head.phase = PHASE_INITIALIZING;
    assert_refused(rig, "the head has phase initializing");
    rig->head.phase = PHASE_IDLE;
    rig->head.version = SESSION_RECORD_VERSION + 1;
    assert_refused(rig, "the head has version 2, not 1");
    rig_free(rig);
}

static void test_restore__a_record_against_the_invariants_is_refused(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct binding sound = rig->head.binding;
    rig->head.binding.runtime = false;
    assert_refused(rig, "do not belong together");
    rig->head.binding = sound;
    rig->head.binding.has_generation = false;
    rig->head.binding.epoch.bytes = 0;
    assert_refused(rig, "do not belong together");
    rig->head.binding = sound;
    struct run_record run = {.id = sound.epoch, .attempt = 0, .input_count = 1};
    rig->head.run = &run;
    assert_refused(rig, "a run without id, attempt or bound");
    rig_free(rig);
}

/* --- runs --- */

static void test_restore__a_run_is_bound_anew_and_goes_on(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    struct mk_id run = rig->run_id;
    take_over(rig);
    assert_said(rig, "effect runtime_bound runtime rt:session:s1 fence 101 generation 2 epoch ");
    assert_said(rig, "start a #2\n");
    assert_string_equal(rig->run_id.text, run.text);
    assert_int_equal(machine_of(rig)->phase, PHASE_RUNNING);
    assert_int_equal(machine_of(rig)->pre_run, PHASE_ATTACHED);
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1");
    rig_free(rig);
}

static void test_restore__a_draining_run_ends_in_retired(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "r", MK_OP_RETIRE);
    take_over(rig);
    assert_string_equal(rig_phase(rig), "retired");
    assert_said(rig, "start a #2\n");
    rig_succeed(rig, "1");
    assert_int_equal(machine_of(rig)->phase, PHASE_RETIRED);
    rig_free(rig);
}

static void test_restore__a_stop_that_waits_for_a_run_is_not_forgotten(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "s", MK_OP_STOP);
    assert_said(rig, "result s ok deferred true");
    take_over(rig);
    assert_true(machine_of(rig)->stop_deferred);
    rig_succeed(rig, "1");
    assert_said(rig, "completion a completed 1");
    assert_string_equal(rig_phase(rig), "stopped");
    rig_free(rig);
}

static void test_restore__a_run_whose_inputs_are_gone_is_none(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_drop_row(rig, 1);
    rig->head.active_count = 0;
    take_over(rig);
    assert_string_equal(rig_phase(rig), "attached");
    assert_unsaid(rig, "start");
    assert_int_equal(rig->head.run, NULL);
    rig_send(rig, "b", MK_PROMPT);
    assert_said(rig, "start b #1\n");
    rig_free(rig);
}

/* --- rows: 5.8 --- */

static void test_restore__every_stored_state_of_an_input_comes_back_queued(void **state)
{
    (void)state;
    static const enum input_phase stored[] = {INPUT_QUEUED, INPUT_STAGED, INPUT_APPLIED,
                                              INPUT_APPLIED_PENDING_CONSUMPTION};
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++) {
        struct rig *rig = waiting();
        struct input_record *row = &rig->rows[0].record;
        row->phase = stored[i];
        row->attempts = 2;
        row->last_boundary_sequence = 5;
        assert_true(id_set(&rig->rows[0].run, SPAN_LIT("r9")));
        take_over(rig);
        const struct entry *entry = ledger_by_seq(&rig->session->core.ledger, row->seq);
        assert_int_equal(entry->phase, INPUT_QUEUED);
        assert_int_equal(entry->attempts, 2);
        assert_string_equal(entry->run.text, "r9"); /* kept, though no run is there */
        assert_int_equal(entry->boundary_sequence, 5);
        assert_int_equal(machine_of(rig)->phase, PHASE_IDLE);
        assert_false(machine_of(rig)->current_run.bytes);
        rig_free(rig);
    }
}

static void test_restore__order_lane_and_numbers_are_those_of_the_rows(void **state)
{
    (void)state;
    struct rig *rig = waiting();
    struct mk_input steer = rig_input("c", MK_PROMPT);
    steer.handling = MK_HANDLING_STEER;
    rig_admit(rig, steer);
    rig->head.next_admission = 1; /* of an older record than its rows */
    take_over(rig);
    rig->ctx.auto_register = true;
    rig_do(rig, "x", MK_OP_ATTACH);
    assert_said(rig, "start c #1\n");
    rig_succeed(rig, "1");
    assert_said(rig, "start a #1\n");
    rig_send(rig, "d", MK_PROMPT);
    assert_int_equal(ledger_by_id(&rig->session->core.ledger, SPAN_LIT("d"))->seq, 4);
    rig_free(rig);
}

static void test_restore__a_row_that_cannot_be_used_costs_nobody_else_anything(void **state)
{
    (void)state;
    for (int what = 0; what < 6; what++) {
        struct rig *rig = waiting();
        struct mk_note note;
        struct input_record *row = &rig->rows[0].record;
        size_t bad = 0;
        switch (what) {
        case 0:
            row->version++;
            break;
        case 1:
            row->seq = 0; /* without its admission sequence */
            break;
        case 2:
            row->phase = INPUT_CONSUMED; /* history is no row of ours */
            break;
        case 3:
            row->lane = (enum lane)7;
            break;
        case 4:
            rig->rows[0].input->input.durability = MK_EPHEMERAL;
            break;
        case 5:
            row->seq = rig->rows[1].record.seq; /* two of one number: the first counts */
            break;
        }
        uint64_t lost = what == 5 ? 1 : row->seq ? row->seq : 1;
        assert_int_equal(restore(rig, &bad, &note), MK_ERR_OK);
        assert_int_equal(bad, 1);
        assert_int_equal(rig->session->core.ledger.count, 1);
        struct session_record head;
        uint64_t active[ACTIVE_INPUTS_MAX];
        session_record_of(rig->session, 0, active, &head);
        assert_int_equal(head.active_count, 2); /* L35: listed as before */
        assert_true(active[0] == lost || active[1] == lost);
        assert_null(session_broken(rig->session));
        rig_free(rig);
    }
}

static void test_restore__what_is_over_has_no_active_inputs(void **state)
{
    (void)state;
    struct rig *rig = waiting();
    rig->head.phase = PHASE_STOPPED;
    assert_refused(rig, "the head has phase stopped and active inputs");
    rig->head.phase = PHASE_DESTROYED;
    assert_refused(rig, "the head has phase destroyed and active inputs");
    rig_free(rig);
}

static void test_restore__an_unread_input_is_listed_while_the_session_is_not_over(void **state)
{
    (void)state;
    struct rig *rig = waiting();
    struct mk_note note;
    uint64_t active[ACTIVE_INPUTS_MAX];
    struct session_record head;
    size_t bad;
    rig->rows[1].record.version++;
    assert_int_equal(restore(rig, &bad, &note), MK_ERR_OK);
    rig_drop_row(rig, 2); /* the store of this test counts what is listed */
    session_record_of(rig->session, 0, active, &head);
    assert_int_equal(head.active_count, 2);
    struct mk_command destroy = rig_command("d", MK_OP_DESTROY);
    struct session_event event = {.type = EV_SESSION_COMMAND, .command = &destroy};
    session_apply(rig->session, &rig->ctx, &event);
    session_record_of(rig->session, 0, active, &head);
    assert_int_equal(head.active_count, 0);
    rig_free(rig);
}

static void test_restore__an_ephemeral_input_dies_with_its_node(void **state)
{
    (void)state;
    struct rig *rig = waiting();
    struct mk_input input = rig_input("e", MK_PROMPT);
    input.durability = MK_EPHEMERAL;
    rig_admit(rig, input);
    assert_int_equal(rig->session->core.ledger.count, 3);
    take_over(rig);
    assert_int_equal(rig->session->core.ledger.count, 2);
    assert_null(ledger_by_id(&rig->session->core.ledger, SPAN_LIT("e")));
    rig_free(rig);
}

/* No kind fails its own recovery (the source's did, of workgraph_attention). */
static void test_restore__every_kind_of_input_comes_back_and_runs(void **state)
{
    (void)state;
    for (enum mk_kind kind = 0; kind < MK_KIND_COUNT; kind++)
        for (enum mk_continuation sort = 0; sort < MK_CONTINUATION_COUNT; sort++) {
            if (kind == MK_OPERATION || (kind != MK_CONTINUATION && sort))
                continue; /* an operation is over when it is admitted */
            struct rig *rig = waiting();
            struct mk_input input = rig_input("k", kind);
            input.origin = MK_SYSTEM;
            input.continuation = sort;
            input.handling = kind == MK_PEER_RESPONSE_PROGRESS ? MK_HANDLING_NONE : MK_HANDLING_QUEUE;
            input.step_id = input.event_type = input.request_id = input.intent = SPAN_LIT("x");
            rig_admit(rig, input);
            assert_said(rig, "admission k accepted");
            take_over(rig);
            assert_non_null(ledger_by_id(&rig->session->core.ledger, SPAN_LIT("k")));
            rig_do(rig, "x", MK_OP_ATTACH);
            for (int runs = 0; runs < 4 && rig->session->core.ledger.count; runs++)
                rig_succeed(rig, "1");
            assert_int_equal(rig->session->core.ledger.count, 0);
            rig_free(rig);
        }
}

/* The whole of it is tried on the side: what is refused leaves nothing, and the records stay. */
static void test_restore__what_is_refused_leaves_nothing_behind(void **state)
{
    (void)state;
    struct rig *rig = waiting();
    size_t rows = rig->row_count;
    session_free(rig->session);
    rig->session = NULL;
    size_t live = rig->t.live;
    rig->head.phase = PHASE_STOPPED;
    assert_refused(rig, "active inputs");
    assert_int_equal(rig->t.live, live);
    assert_int_equal(rig->row_count, rows);
    rig_free(rig);
}

static void test_restore__silent_intents_are_not_durable(void **state)
{
    (void)state;
    struct rig *rig = attached();
    struct mk_command silence = rig_command("i", MK_OP_SILENT_INTENTS);
    silence.args.intents[0] = SPAN_LIT("poke");
    silence.args.intent_count = 1;
    rig_order(rig, silence);
    assert_true(machine_of(rig)->silent_intents);
    take_over(rig);
    assert_false(machine_of(rig)->silent_intents);
    assert_int_equal(rig->session->core.intent_count, 0);
    rig_free(rig);
}

/* D18: the run that the stop waited for ended with its node. */
static void test_restore__a_stop_behind_a_run_that_died_with_its_node_completes_over_retired_too(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input ephemeral = rig_input("e", MK_PROMPT);
    ephemeral.durability = MK_EPHEMERAL;
    rig_admit(rig, ephemeral);
    assert_said(rig, "start e #1\n");
    rig_send(rig, "y", MK_PROMPT);
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_do(rig, "s", MK_OP_STOP);
    assert_said(rig, "result s ok deferred true");
    take_over(rig);
    assert_said(rig, "completion y runtime_terminated runtime stopped >c1\n");
    assert_unsaid(rig, "start");
    assert_string_equal(rig_phase(rig), "retired");
    assert_int_equal(rig->row_count, 0);
    take_over(rig); /* once */
    assert_unsaid(rig, "stop_executor");
    rig_free(rig);
}

static void test_restore__a_run_record_that_names_an_input_twice_runs_it_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_do(rig, "i", MK_OP_INTERRUPT); /* the next owner ends the run, input by input */
    rig->run.inputs[rig->run.input_count++] = rig->run.inputs[0];
    take_over(rig);
    assert_said(rig, "completion a cancelled");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restore__a_stop_behind_a_run_that_died_with_its_node_completes_over_retired_too),
        cmocka_unit_test(test_restore__a_run_record_that_names_an_input_twice_runs_it_once),
        cmocka_unit_test(test_restore__a_name_that_was_only_remembered_is_a_fresh_session),
        cmocka_unit_test(test_restore__registered_and_unbound_stays_so),
        cmocka_unit_test(test_restore__a_bound_session_keeps_its_epoch_under_the_next_generation),
        cmocka_unit_test(test_restore__an_attached_session_comes_back_with_its_executor),
        cmocka_unit_test(test_restore__a_retired_session_stays_retired),
        cmocka_unit_test(test_restore__a_stopped_session_stays_stopped_until_it_is_registered),
        cmocka_unit_test(test_restore__a_destroyed_session_refuses_to_be_registered),
        cmocka_unit_test(test_restore__a_record_of_running_or_of_a_later_version_is_refused),
        cmocka_unit_test(test_restore__a_record_against_the_invariants_is_refused),
        cmocka_unit_test(test_restore__a_run_is_bound_anew_and_goes_on),
        cmocka_unit_test(test_restore__a_draining_run_ends_in_retired),
        cmocka_unit_test(test_restore__a_stop_that_waits_for_a_run_is_not_forgotten),
        cmocka_unit_test(test_restore__a_run_whose_inputs_are_gone_is_none),
        cmocka_unit_test(test_restore__every_stored_state_of_an_input_comes_back_queued),
        cmocka_unit_test(test_restore__order_lane_and_numbers_are_those_of_the_rows),
        cmocka_unit_test(test_restore__a_row_that_cannot_be_used_costs_nobody_else_anything),
        cmocka_unit_test(test_restore__what_is_over_has_no_active_inputs),
        cmocka_unit_test(test_restore__an_unread_input_is_listed_while_the_session_is_not_over),
        cmocka_unit_test(test_restore__an_ephemeral_input_dies_with_its_node),
        cmocka_unit_test(test_restore__every_kind_of_input_comes_back_and_runs),
        cmocka_unit_test(test_restore__what_is_refused_leaves_nothing_behind),
        cmocka_unit_test(test_restore__silent_intents_are_not_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
