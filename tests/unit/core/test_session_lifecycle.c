/* What the commands of a session's life do to its inputs, what they report and what waiters are told (semantics-core.md
 * 5.7), a table; and what follows in the store. */
#include "tests/unit/core/rig.h"

struct lifecycle {
    const char *what;
    enum mk_op op;
    bool attached, retired; /* an executor is there; the session was retired before, without one */
    const char *result;     /* behind "result o " */
    const char *told;       /* every waiter of every input, behind the input's id; NULL: nobody is told anything */
    bool starts;            /* what was kept runs now */
};

/* clang-format off */
static const struct lifecycle table[] = {
    {"retire, live loop",    MK_OP_RETIRE,          true,  false, "ok abandoned 0 pending_drain 3 phase retired\n", NULL, true},
    {"retire, no live loop", MK_OP_RETIRE,          false, false, "ok abandoned 3 pending_drain 0 phase retired\n", "runtime_terminated retired without runtime loop", false},
    {"reset, attached",      MK_OP_RESET,           true,  false, "ok abandoned 3 phase idle\n",                    "runtime_terminated runtime reset", false},
    {"reset, no loop",       MK_OP_RESET,           false, false, "ok abandoned 3 phase idle\n",                    "runtime_terminated runtime reset", false},
    {"recycle, attached",    MK_OP_RECYCLE,         true,  false, "ok transferred 3 phase attached\n",              NULL, true},
    {"recycle, no loop",     MK_OP_RECYCLE,         false, false, "ok transferred 3 phase idle\n",                  NULL, false},
    {"recover, attached",    MK_OP_RECOVER,         true,  false, "ok recovered 3 abandoned 0 requeued 0 phase attached\n", NULL, true},
    {"recover, no loop",     MK_OP_RECOVER,         false, false, "ok recovered 3 abandoned 0 requeued 0 phase idle\n",     NULL, false},
    {"stop, attached",       MK_OP_STOP,            true,  false, "ok deferred false phase stopped\n",              "runtime_terminated runtime stopped", false},
    {"stop, no loop",        MK_OP_STOP,            false, false, "ok deferred false phase stopped\n",              "runtime_terminated runtime stopped", false},
    {"destroy, attached",    MK_OP_DESTROY,         true,  false, "ok abandoned 3 phase destroyed\n",               "runtime_terminated runtime destroyed", false},
    {"destroy, no loop",     MK_OP_DESTROY,         false, false, "ok abandoned 3 phase destroyed\n",               "runtime_terminated runtime destroyed", false},
    {"abandon_retired",      MK_OP_ABANDON_RETIRED, true,  true,  "ok abandoned 3 phase retired\n",                 "runtime_terminated it is late", false},
};
/* clang-format on */

/* Three inputs of two lanes that wait; the first has two waiters and a key. */
static struct rig *three_waiting(bool attached)
{
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_register(rig, "g");
    if (attached)
        rig_do(rig, "x", MK_OP_ATTACH);
    struct mk_input input = rig_input("a", MK_PROMPT);
    input.wake = false;
    input.idem = SPAN_LIT("k");
    rig_admit(rig, input);
    input.reply_to = SPAN_LIT("c2");
    rig_admit(rig, input);
    input.reply_to = SPAN_LIT("c1");
    input.idem = (struct span){NULL, 0};
    input.h.id = SPAN_LIT("b");
    rig_admit(rig, input);
    input.h.id = SPAN_LIT("s");
    input.handling = MK_HANDLING_STEER;
    rig_admit(rig, input);
    assert_int_equal(rig->row_count, 3);
    return rig;
}

static const struct fact_record *remembered(struct rig *rig, const char *id)
{
    const struct rig_fact *fact = rig_fact(rig, FACT_INPUT, span_of(id));
    if (!fact) {
        fail_msg("%s is not remembered", id);
        abort();
    }
    return &fact->record;
}

static void assert_all_told(struct rig *rig, const struct lifecycle *row)
{
    static const char *const ids[] = {"a", "b", "s"};
    char line[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "completion %s %s >c1%s\n", ids[i], row->told, i ? "" : " >c2");
        assert_said(rig, line);
        assert_int_equal(remembered(rig, ids[i])->phase, INPUT_ABANDONED);
    }
    assert_int_equal(rig->row_count, 0);
    assert_int_equal(rig->session->core.ledger.count, 0);
}

/* Kept: order, rows, keys, attempts and waiters. */
static void assert_all_kept(struct rig *rig, const struct lifecycle *row)
{
    assert_unsaid(rig, "completion");
    assert_int_equal(rig->row_count, 3);
    if (row->starts)
        assert_said(rig, "start s #1\n");
    else
        assert_unsaid(rig, "start");
    if (!row->attached)
        rig_do(rig, "x", MK_OP_ATTACH);
    rig_succeed(rig, "1");
    assert_said(rig, "start a #1\n");
    struct mk_input repeat = rig_input("again", MK_PROMPT);
    repeat.idem = SPAN_LIT("k");
    if (row->op != MK_OP_RETIRE) {
        rig_admit(rig, repeat);
        assert_said(rig, "admission again deduplicated of a staged\n");
    }
    rig_succeed(rig, "2");
    assert_said(rig, "completion a completed 2 >c1 >c2\n");
    assert_said(rig, "start b #1\n");
}

static void test_lifecycle__every_command_does_to_inputs_and_waiters_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct rig *rig = three_waiting(table[i].attached);
        if (table[i].retired) {
            rig->ctx.hold_runs = true; /* else it would drain */
            rig_do(rig, "r", MK_OP_RETIRE);
        }
        struct mk_command command = rig_command("o", table[i].op);
        command.args.reason = SPAN_LIT("it is late");
        size_t commits = rig->commits;
        rig_order(rig, command);
        char line[128];
        snprintf(line, sizeof line, "result o %s", table[i].result);
        assert_said(rig, line);
        assert_int_equal(rig->commits, commits + 1); /* machine, inputs and what is said: one */
        table[i].told ? assert_all_told(rig, &table[i]) : assert_all_kept(rig, &table[i]);
        rig_free(rig);
    }
}

static void test_lifecycle__the_reason_of_each_abandonment_is_remembered(void **state)
{
    (void)state;
    static const struct {
        enum mk_op op;
        bool attached;
        enum abandon_reason reason;
    } cases[] = {
        {MK_OP_RETIRE, false, ABANDON_RETIRED},    {MK_OP_RESET, true, ABANDON_RESET},
        {MK_OP_STOP, true, ABANDON_STOPPED},       {MK_OP_DESTROY, true, ABANDON_DESTROYED},
        {MK_OP_UNREGISTER, true, ABANDON_STOPPED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = three_waiting(cases[i].attached);
        rig_do(rig, "o", cases[i].op);
        assert_int_equal(remembered(rig, "a")->reason, cases[i].reason);
        assert_int_equal(remembered(rig, "a")->outcome, MK_RUNTIME_TERMINATED);
        rig_free(rig);
    }
}

/* A retire of nothing, and a second one, are answered alike. */
static void test_lifecycle__a_retire_of_nothing_reports_nothing(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_do(rig, "x", MK_OP_ATTACH);
    rig_do(rig, "r1", MK_OP_RETIRE);
    assert_said(rig, "result r1 ok abandoned 0 pending_drain 0 phase retired\n");
    rig_do(rig, "r2", MK_OP_RETIRE);
    assert_said(rig, "result r2 ok abandoned 0 pending_drain 0 phase retired\n");
    rig_free(rig);
}

/* The waiter of what is over already is told nothing again. */
static void test_lifecycle__what_is_over_is_told_once(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    rig_send(rig, "a", MK_PROMPT);
    rig_succeed(rig, "1");
    rig_do(rig, "r", MK_OP_RESET);
    assert_said(rig, "result r ok abandoned 0 phase idle\n");
    assert_unsaid(rig, "completion");
    rig_do(rig, "d", MK_OP_DESTROY);
    assert_said(rig, "result d ok abandoned 0 phase destroyed\n");
    assert_unsaid(rig, "completion");
    assert_int_equal(remembered(rig, "a")->phase, INPUT_CONSUMED); /* terminal is terminal */
    rig_free(rig);
}

/* What runs counts among the inputs; its run ends as each command has it. */
static void test_lifecycle__an_input_that_runs_is_counted_and_keeps_its_result_where_it_may(void **state)
{
    (void)state;
    static const struct {
        enum mk_op op;
        const char *result, *end;
    } cases[] = {
        {MK_OP_RETIRE, "result o ok abandoned 0 pending_drain 1 phase retired\n", "completion a completed 1 >c1\n"},
        {MK_OP_STOP, "result o ok deferred true phase running\n", "completion a completed 1 >c1\n"},
        {MK_OP_DESTROY, "result o ok abandoned 1 phase destroyed\n", NULL},
        {MK_OP_RESET, "result o invalid_state running\n", "completion a completed 1 >c1\n"},
        {MK_OP_RECYCLE, "result o invalid_state running\n", "completion a completed 1 >c1\n"},
        {MK_OP_RECOVER, "result o invalid_state running\n", "completion a completed 1 >c1\n"},
        {MK_OP_ABANDON_RETIRED, "result o not_ready running\n", "completion a completed 1 >c1\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig *rig = rig_new();
        rig_send(rig, "a", MK_PROMPT);
        rig_do(rig, "o", cases[i].op);
        assert_said(rig, cases[i].result);
        rig_succeed(rig, "1");
        if (cases[i].end)
            assert_said(rig, cases[i].end);
        else
            assert_string_equal(rig->log, ""); /* it was left behind, and its inputs told so */
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifecycle__every_command_does_to_inputs_and_waiters_what_the_table_says),
        cmocka_unit_test(test_lifecycle__the_reason_of_each_abandonment_is_remembered),
        cmocka_unit_test(test_lifecycle__a_retire_of_nothing_reports_nothing),
        cmocka_unit_test(test_lifecycle__what_is_over_is_told_once),
        cmocka_unit_test(test_lifecycle__an_input_that_runs_is_counted_and_keeps_its_result_where_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
