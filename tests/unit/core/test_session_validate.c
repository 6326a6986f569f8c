/* What an input must be, and in which order it is judged (semantics-core.md 5.1 and 5.3): of two broken rules the first
 * one is named. */
#include "tests/unit/core/rig.h"

#define UUID "33333333-3333-4333-8333-333333333333"

/* --- the rules, each with an input that breaks it --- */

struct broken {
    const char *what;
    enum mk_kind kind;
    enum mk_durability durability;
    enum mk_origin origin;
    enum mk_handling handling;
    const char *peer_id, *peer_name, *request_id;
    enum mk_status status;
    const char *said; /* the beginning of the detail; NULL: it is taken */
};

#define MISSING   "the durability is missing"
#define OUTSIDE   "external ingress cannot submit derived inputs"
#define KIND      "an input of this kind cannot be derived"
#define HANDLING  "a progress response has no handling mode"
#define NO_PEER   "a terminal response needs the uuid of its peer"
#define NO_NAME   "a terminal response needs its peer's display identity"
#define NO_ASKED  "a terminal response needs the uuid of its request"
#define CANCELLED "a terminal response cannot be cancelled"

/* clang-format off */
#define PROGRESS MK_PEER_RESPONSE_PROGRESS
#define TERMINAL MK_PEER_RESPONSE_TERMINAL
#define NONE     MK_HANDLING_NONE
#define STEER    MK_HANDLING_STEER
static const struct broken cases[] = {
    /* what is broken                      kind      durability             origin       mode   peer   name  request status */
    {"nothing",                            TERMINAL, MK_DURABLE,            MK_PEER,     NONE,  UUID,  "p",  UUID,   MK_STATUS_COMPLETED, NULL},
    {"missing, and steered progress",      PROGRESS, MK_DURABILITY_MISSING, MK_PEER,     STEER, NULL,  NULL, NULL,   MK_STATUS_NONE,      MISSING},
    {"missing, and no peer",               TERMINAL, MK_DURABILITY_MISSING, MK_PEER,     NONE,  "bob", "p",  UUID,   MK_STATUS_COMPLETED, MISSING},
    {"from outside, and of that kind",     MK_PROMPT, MK_DERIVED,           MK_OPERATOR, NONE,  NULL,  NULL, NULL,   MK_STATUS_NONE,      OUTSIDE},
    {"from outside, and steered progress", PROGRESS, MK_DERIVED,            MK_PEER,     STEER, NULL,  NULL, NULL,   MK_STATUS_NONE,      OUTSIDE},
    {"from outside, and no peer",          TERMINAL, MK_DERIVED,            MK_PEER,     NONE,  "bob", "p",  UUID,   MK_STATUS_COMPLETED, OUTSIDE},
    {"of that kind, from inside",          TERMINAL, MK_DERIVED,            MK_FLOW,     NONE,  "bob", NULL, NULL,   MK_STATUS_CANCELLED, KIND},
    {"steered progress, from inside",      PROGRESS, MK_DERIVED,            MK_SYSTEM,   STEER, NULL,  NULL, NULL,   MK_STATUS_NONE,      HANDLING},
    {"queued progress",                    PROGRESS, MK_DURABLE,            MK_PEER,     MK_HANDLING_QUEUE, NULL, NULL, NULL, MK_STATUS_NONE, HANDLING},
    {"progress without a mode",            PROGRESS, MK_DURABLE,            MK_PEER,     NONE,  NULL,  NULL, NULL,   MK_STATUS_NONE,      NULL},
    {"no peer, and no name",               TERMINAL, MK_DURABLE,            MK_PEER,     NONE,  "bob", NULL, UUID,   MK_STATUS_COMPLETED, NO_PEER},
    {"no name, and no request",            TERMINAL, MK_DURABLE,            MK_PEER,     NONE,  UUID,  NULL, "1",    MK_STATUS_COMPLETED, NO_NAME},
    {"no request, and cancelled",          TERMINAL, MK_DURABLE,            MK_PEER,     NONE,  UUID,  "p",  "1",    MK_STATUS_CANCELLED, NO_ASKED},
    {"cancelled",                          TERMINAL, MK_DURABLE,            MK_PEER,     NONE,  UUID,  "p",  UUID,   MK_STATUS_CANCELLED, CANCELLED},
    {"all of it, but not from a peer",     TERMINAL, MK_DURABLE,            MK_EXTERNAL, NONE,  "bob", NULL, NULL,   MK_STATUS_CANCELLED, NULL},
    {"all of it, from the system",         TERMINAL, MK_EPHEMERAL,          MK_SYSTEM,   NONE,  "bob", NULL, NULL,   MK_STATUS_CANCELLED, NULL},
};
/* clang-format on */

static struct span maybe(const char *text)
{
    return text ? span_of(text) : (struct span){NULL, 0};
}

static struct mk_input input_of(const struct broken *from)
{
    struct mk_input input = rig_input("a", from->kind);
    input.durability = from->durability;
    input.origin = from->origin;
    input.handling = from->handling;
    input.peer_id = maybe(from->peer_id);
    input.peer_name = maybe(from->peer_name);
    input.request_id = maybe(from->request_id);
    input.status = from->status;
    return input;
}

static void assert_taken(const struct broken *from)
{
    struct rig *rig = rig_new();
    rig_admit(rig, input_of(from));
    if (strncmp(rig->log, "admission a accepted ", 21))
        fail_msg("%s of origin %s: %s", mk_kind_name(from->kind), mk_origin_name(from->origin), rig->log);
    rig_free(rig);
}

/* The answer is looked at while its stage is open, for the sentence in it. */
static void assert_refused(const struct broken *from)
{
    struct rig *rig = rig_new();
    struct mk_input input = input_of(from);
    struct session_event event = {.type = EV_SESSION_INPUT, .input = &input};
    session_apply(rig->session, &rig->ctx, &event);
    const struct answer *answer = rig->session->stage.answers;
    assert_non_null(answer);
    const struct mk_admission *said = &answer->as.admission;
    if (said->outcome != MK_REJECTED || !span_equal(said->detail, span_of(from->said)))
        fail_msg("%s: %s %.*s, not: %s", from->what, mk_admitted_name(said->outcome), SPAN_ARGS(said->detail),
                 from->said);
    assert_int_equal(said->reason, MK_ERR_VALIDATION_FAILED);
    assert_true(said->final); /* the reason lies in the frame alone */
    assert_false(rig->session->stage.durable || rig->session->stage.wants);
    rig_free(rig);
}

static void test_validate__of_two_broken_rules_the_first_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cases[i].said ? assert_refused(&cases[i]) : assert_taken(&cases[i]);
}

/* Only what is derived asks where it comes from. */
static void test_validate__durable_and_ephemeral_inputs_of_every_kind_come_from_anywhere(void **state)
{
    (void)state;
    static const enum mk_durability durabilities[] = {MK_DURABLE, MK_EPHEMERAL};
    for (int kind = 0; kind < MK_KIND_COUNT; kind++)
        for (int origin = 0; origin < MK_ORIGIN_COUNT; origin++)
            for (size_t d = 0; d < 2; d++) {
                struct broken taken = {.what = "nothing",
                                       .kind = (enum mk_kind)kind,
                                       .durability = durabilities[d],
                                       .origin = (enum mk_origin)origin,
                                       .peer_id = UUID,
                                       .peer_name = "p",
                                       .request_id = UUID};
                assert_taken(&taken);
            }
}

static void test_validate__an_operation_may_be_derived_inside(void **state)
{
    (void)state;
    static const enum mk_origin inside[] = {MK_FLOW, MK_SYSTEM};
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_new();
        struct mk_input input = rig_input("a", MK_OPERATION);
        input.durability = MK_DERIVED;
        input.origin = inside[i];
        rig_admit(rig, input);
        assert_said(rig, "admission a accepted consumed\n");
        rig_free(rig);
    }
}

/* --- what is judged before and behind it --- */

static struct mk_input wrong(const char *id)
{
    struct mk_input input = rig_input(id, MK_PROMPT);
    input.durability = MK_DURABILITY_MISSING;
    return input;
}

static void test_validate__the_phase_is_judged_before_the_input(void **state)
{
    (void)state;
    static const struct {
        enum mk_op op;
        const char *said;
    } ends[] = {
        {MK_OP_RETIRE, "admission a rejected not_ready retired\n"},
        {MK_OP_STOP, "admission a rejected not_ready stopped\n"},
        {MK_OP_DESTROY, "admission a rejected destroyed final\n"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct rig *rig = rig_new();
        rig_do(rig, "x", MK_OP_ATTACH);
        rig_do(rig, "o", ends[i].op);
        rig_admit(rig, wrong("a"));
        assert_said(rig, ends[i].said);
        rig_free(rig);
    }
    struct rig *rig = rig_new();
    rig->ctx.auto_register = false;
    rig_admit(rig, wrong("a"));
    assert_said(rig, "admission a rejected not_ready destroyed\n"); /* nobody knows the session */
    rig_free(rig);
}

static void test_validate__the_input_is_judged_before_its_key(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = rig_input("a", MK_PROMPT), bad = wrong("b");
    input.idem = bad.idem = SPAN_LIT("k");
    rig_admit(rig, input);
    rig_admit(rig, bad);
    assert_said(rig, "admission b rejected validation_failed final\n");
    rig_free(rig);
}

static void test_validate__what_is_refused_leaves_its_key_and_its_id_free(void **state)
{
    (void)state;
    struct rig *rig = rig_new();
    struct mk_input input = wrong("a");
    input.idem = SPAN_LIT("k");
    rig_admit(rig, input);
    assert_int_equal(rig->fact_count, 0);
    input.durability = MK_DURABLE;
    rig_admit(rig, input);
    assert_said(rig, "admission a accepted queued\n");
    assert_int_equal(rig->skips, 0);
    rig_free(rig);
}

/* --- what an input brings along --- */

/* Everything that its publisher said of it is there when it runs, also when it runs on another node. */
static void test_validate__every_kind_keeps_its_header_until_it_runs(void **state)
{
    (void)state;
    for (int kind = 0; kind < MK_KIND_COUNT; kind++) {
        struct rig *rig = rig_new();
        char text[] = UUID;
        struct mk_input input = rig_input("a", (enum mk_kind)kind);
        input.origin = MK_PEER;
        input.idem = input.supersede = input.corr = input.peer_id = input.peer_name = span_of(text);
        input.request_id = input.intent = input.event_type = input.step_id = input.operation_id = span_of(text);
        input.status = MK_STATUS_FAILED;
        input.transcript_eligible = false;
        input.h.ts = 77;
        rig_admit(rig, input);
        memset(text, 'z', sizeof text - 1); /* what was lent is gone */
        if (kind == MK_OPERATION) {
            assert_said(rig, "completion a completed_without_result >c1\n"); /* it never runs */
            rig_free(rig);
            continue;
        }
        assert_said(rig, "start a #1\n");
        rig_crash(rig);
        assert_said(rig, "start a #2\n");
        const struct mk_input *kept = &rig->session->core.ledger.entries[0]->input->input;
        const struct span texts[] = {kept->idem,      kept->supersede,   kept->corr,   kept->peer_id,
                                     kept->peer_name, kept->request_id,  kept->intent, kept->event_type,
                                     kept->step_id,   kept->operation_id};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            assert_span_equal(texts[i], UUID);
        assert_true(kept->kind == (enum mk_kind)kind && kept->origin == MK_PEER && kept->status == MK_STATUS_FAILED);
        assert_true(kept->h.ts == 77 && kept->operator_eligible && !kept->transcript_eligible);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validate__of_two_broken_rules_the_first_is_named),
        cmocka_unit_test(test_validate__durable_and_ephemeral_inputs_of_every_kind_come_from_anywhere),
        cmocka_unit_test(test_validate__an_operation_may_be_derived_inside),
        cmocka_unit_test(test_validate__the_phase_is_judged_before_the_input),
        cmocka_unit_test(test_validate__the_input_is_judged_before_its_key),
        cmocka_unit_test(test_validate__what_is_refused_leaves_its_key_and_its_id_free),
        cmocka_unit_test(test_validate__every_kind_keeps_its_header_until_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
