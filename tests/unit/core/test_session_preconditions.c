/* Section 7 of semantics-core.md as one table: every operation in every phase is performed, or refused in its way, and
 * what is refused changes nothing. */
#include "tests/unit/core/rig.h"

enum place { UNKNOWN, IDLE, BOUND, ATTACHED, RUNNING, DRAINING, RETIRED, STOPPED, DESTROYED, PLACE_COUNT };

/* BOUND: attached by its binding, without executor. */
static struct rig *in_place(enum place place)
{
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    if (place >= IDLE)
        rig_do(rig, "register", MK_OP_REGISTER);
    if (place >= BOUND)
        rig_do(rig, "bind", MK_OP_PREPARE_BINDINGS);
    if (place >= ATTACHED)
        rig_do(rig, "attach", MK_OP_ATTACH);
    if (place == RUNNING || place == DRAINING)
        rig_send(rig, "z", MK_PROMPT);
    if (place == DRAINING || place == RETIRED)
        rig_do(rig, "retire", MK_OP_RETIRE);
    if (place == STOPPED)
        rig_do(rig, "stop", MK_OP_STOP);
    if (place == DESTROYED)
        rig_do(rig, "destroy", MK_OP_DESTROY);
    return rig;
}

/* clang-format off */
#define OK        "ok"
#define NR(phase) "not_ready " #phase
#define IS(phase) "invalid_state " #phase
#define VF(phase) "validation_failed " #phase

static const struct {
    enum mk_op op;
    const char *said[PLACE_COUNT]; /* ok; later: it waits for the run; or the error's code and the phase that comes with it */
} cases[] = {
    /*                              unknown        idle         bound         attached      running      draining     retired      stopped      destroyed */
    {MK_OP_REGISTER,               {OK,            OK,          OK,           OK,           OK,          OK,          OK,          OK,          "destroyed"}},
    {MK_OP_ATTACH,                 {OK,            OK,          OK,           OK,           OK,          OK,          OK,          VF(stopped), "destroyed"}},
    {MK_OP_PREPARE_BINDINGS,       {OK,            OK,          OK,           OK,           OK,          OK,          OK,          OK,          "destroyed"}},
    {MK_OP_UNREGISTER,             {OK,            OK,          OK,           OK,           "later",     "later",     OK,          OK,          OK}},
    {MK_OP_UNREGISTER_IF_EPOCH,    {NR(destroyed), "missing_field", OK,           OK,           "later",     "later",     OK,          OK,          "destroyed"}},
    {MK_OP_RETIRE,                 {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          IS(stopped), "destroyed"}},
    {MK_OP_RESET,                  {"not_found",   OK,          OK,           OK,           IS(running), OK,          OK,          IS(stopped), "destroyed"}},
    {MK_OP_RECYCLE,                {"not_found",   OK,          OK,           OK,           IS(running), IS(retired), OK,          IS(stopped), "destroyed"}},
    {MK_OP_RECOVER,                {"not_found",   OK,          OK,           OK,           IS(running), IS(retired), OK,          OK,          "destroyed"}},
    {MK_OP_STOP,                   {NR(destroyed), OK,          OK,           OK,           OK,          OK,          OK,          VF(stopped), "destroyed"}},
    {MK_OP_DESTROY,                {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          OK,          "destroyed"}},
    {MK_OP_ABANDON_RETIRED,        {NR(destroyed), NR(idle),    NR(attached), NR(attached), NR(running), NR(running), OK,          NR(stopped), NR(destroyed)}},
    {MK_OP_INTERRUPT,              {"destroyed",   NR(idle),    NR(attached), OK,           OK,          OK,          NR(retired), NR(stopped), "destroyed"}},
    {MK_OP_CANCEL_AFTER_BOUNDARY,  {NR(destroyed), NR(idle),    NR(attached), OK,           OK,          NR(retired), NR(retired), NR(stopped), "destroyed"}},
    {MK_OP_SILENT_INTENTS,         {VF(destroyed), OK,          OK,           OK,           OK,          OK,          OK,          OK,          "destroyed"}},
    {MK_OP_WITHDRAW,               {OK,            OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_WAKE,                   {NR(destroyed), OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_PUBLISH_EVENT,          {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          OK,          "destroyed"}},
    {MK_OP_INGEST,                 {"not_found",   IS(idle),    OK,           OK,           OK,          IS(retired), IS(retired), IS(stopped), IS(destroyed)}},
    {MK_OP_START_CONVERSATION_RUN, {NR(destroyed), NR(idle),    OK,           OK,           NR(running), NR(retired), NR(retired), NR(stopped), "destroyed"}},
    {MK_OP_COMMIT_SERVICE_TURN,    {NR(destroyed), IS(idle),    IS(attached), IS(attached), IS(running), IS(retired), IS(retired), IS(stopped), "destroyed"}},
    {MK_OP_STATE,                  {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_SHOW,                   {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_INPUT_STATE,            {NR(destroyed), "not_found", "not_found",  "not_found",  OK,          OK,          "not_found", "not_found", "not_found"}},
    {MK_OP_LIST_ACTIVE_INPUTS,     {NR(destroyed), OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_OUTCOME,                {OK,            OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_RECEIPT,                {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_TRANSCRIPT_EDIT,        {NR(destroyed), OK,          OK,           OK,           OK,          IS(retired), IS(retired), IS(stopped), IS(destroyed)}},
    {MK_OP_CONTAINS_SESSION,       {OK,            OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_SESSION_HAS_EXECUTOR,   {OK,            OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_SESSION_HAS_COMMS,      {NR(destroyed), OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
    {MK_OP_WHY,                    {"not_found",   OK,          OK,           OK,           OK,          OK,          OK,          OK,          OK}},
};
/* clang-format on */

/* "ok", "later", or the code and the phase of the result `c`. */
static void told(const struct rig *rig, char *out, size_t room)
{
    char words[2][40] = {"", ""};
    const char *line = strstr(rig->log, "result c ");
    snprintf(out, room, "later");
    if (!line)
        return;
    sscanf(line, "result c %39s%*1[ ]%39[a-z_]", words[0], words[1]);
    bool phase = strcmp(words[0], "ok") && words[1][0] && strcmp(words[1], "final");
    snprintf(out, room, "%s%s%s", words[0], phase ? " " : "", phase ? words[1] : "");
}

static void check(enum mk_op op, enum place place, const char *wanted)
{
    char got[96];
    struct rig *rig = in_place(place);
    struct mk_command command = rig_command("c", op);
    struct machine before = rig->session->core.machine;
    size_t commits = rig->commits;
    command.args.run = SPAN_LIT("turn");
    command.args.id = SPAN_LIT("z");
    command.args.epoch = id_span(&before.binding.epoch);
    command.input = rig_input("i", MK_PROMPT);
    rig_order(rig, command);
    told(rig, got, sizeof got);
    if (strcmp(got, wanted))
        fail_msg("%s in place %d: \"%s\", not \"%s\"", mk_op_name(op), (int)place, got, wanted);
    if (strcmp(wanted, "ok") && strcmp(wanted, "later")) {
        assert_int_equal(rig->commits, commits);
        assert_true(machine_equal(&before, &rig->session->core.machine));
    }
    rig_free(rig);
}

static void test_preconditions__every_operation_is_performed_or_refused_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int place = 0; place < PLACE_COUNT; place++)
            check(cases[i].op, (enum place)place, cases[i].said[place]);
}

static void test_preconditions__the_table_has_every_operation_of_a_session(void **state)
{
    (void)state;
    for (unsigned op = 0; op <= MK_OP_LAST_OF_SESSION; op++) {
        size_t rows = 0;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            rows += cases[i].op == op;
        assert_int_equal(rows, op != MK_OP_EVENTS && op != MK_OP_DEAD); /* which the node answers */
    }
}

static void test_preconditions__a_destroyed_session_refuses_for_good_and_an_unknown_one_for_now(void **state)
{
    (void)state;
    struct rig *rig = in_place(DESTROYED);
    rig_do(rig, "c", MK_OP_INTERRUPT);
    assert_said(rig, "result c destroyed final\n");
    rig_free(rig);
    rig = in_place(UNKNOWN);
    rig_do(rig, "c", MK_OP_INTERRUPT);
    assert_said(rig, "result c destroyed\n");
    rig_free(rig);
}

/* Rule 6: what became of the session since must not hide that the command was performed. */
static void test_preconditions__a_repeat_is_answered_even_where_it_would_be_refused_now(void **state)
{
    static const enum mk_op ops[] = {MK_OP_STOP, MK_OP_DESTROY, MK_OP_RESET, MK_OP_RECYCLE};
    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct rig *rig = in_place(ATTACHED);
        rig_do(rig, "c", ops[i]);
        if (ops[i] != MK_OP_DESTROY)
            rig_do(rig, "then", MK_OP_STOP);
        rig_do(rig, "c", ops[i]);
        assert_said(rig, "result c ok = result c\n");
        rig_do(rig, "d", ops[i]);
        assert_unsaid(rig, "result d ok");
        rig_free(rig);
    }
}

static void test_preconditions__who_is_there_is_told_by_three_queries(void **state)
{
    static const struct {
        enum place place;
        const char *contains, *executor;
    } wanted[] = {{UNKNOWN, "false", "false"}, {IDLE, "true", "false"},    {BOUND, "true", "false"},
                  {ATTACHED, "true", "true"},  {DRAINING, "true", "true"}, {STOPPED, "true", "false"},
                  {DESTROYED, "true", "false"}};
    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char line[80];
        struct rig *rig = in_place(wanted[i].place);
        rig_do(rig, "c", MK_OP_CONTAINS_SESSION);
        snprintf(line, sizeof line, "result c ok contains %s\n", wanted[i].contains);
        assert_said(rig, line);
        rig_do(rig, "c", MK_OP_SESSION_HAS_EXECUTOR);
        snprintf(line, sizeof line, "result c ok has_executor %s\n", wanted[i].executor);
        assert_said(rig, line);
        if (wanted[i].place != UNKNOWN) {
            rig_do(rig, "c", MK_OP_SESSION_HAS_COMMS);
            assert_said(rig, "result c ok has_comms false\n");
        }
        rig_free(rig);
    }
}

static void test_preconditions__an_executor_leaves_with_the_registration_draining(void **state)
{
    (void)state;
    struct rig *rig = in_place(RUNNING);
    rig_do(rig, "u", MK_OP_UNREGISTER);
    rig_do(rig, "c", MK_OP_SESSION_HAS_EXECUTOR);
    assert_said(rig, "result c ok has_executor false\n"); /* Draining */
    rig_free(rig);
}

static void test_preconditions__a_retired_session_gets_no_executor(void **state)
{
    (void)state;
    struct rig *rig = in_place(IDLE);
    rig_do(rig, "r", MK_OP_RETIRE);
    rig_do(rig, "a", MK_OP_ATTACH);
    assert_said(rig, "result a validation_failed retired\n");
    rig_free(rig);
}

/* Section 4: without a store there is no record that could be kept. */
static void test_preconditions__without_a_store_nothing_is_retained(void **state)
{
    static const enum place places[] = {RETIRED, STOPPED};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = in_place(places[i]);
        rig->ctx.storeless = true;
        rig_do(rig, "u", MK_OP_UNREGISTER);
        assert_said(rig, "result u ok retained false abandoned 0\n");
        rig_do(rig, "r", MK_OP_REGISTER);
        assert_said(rig, "result r ok phase idle\n");
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preconditions__every_operation_is_performed_or_refused_as_the_table_says),
        cmocka_unit_test(test_preconditions__the_table_has_every_operation_of_a_session),
        cmocka_unit_test(test_preconditions__a_destroyed_session_refuses_for_good_and_an_unknown_one_for_now),
        cmocka_unit_test(test_preconditions__a_repeat_is_answered_even_where_it_would_be_refused_now),
        cmocka_unit_test(test_preconditions__who_is_there_is_told_by_three_queries),
        cmocka_unit_test(test_preconditions__an_executor_leaves_with_the_registration_draining),
        cmocka_unit_test(test_preconditions__a_retired_session_gets_no_executor),
        cmocka_unit_test(test_preconditions__without_a_store_nothing_is_retained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
