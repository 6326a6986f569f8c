/* The table of the machine against every phase, input and outcome of the guards. What is expected does not come from
 * the table. */
#include "node/core/machine_print.h"
#include "node/core/machine_rows.h"
#include "tests/unit/core/machine_kit.h"
#include "tests/unit/core/machine_page.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the specification once more, as a grid: where an input leads from Initializing, Idle, Attached, Running, Retired,
 * Stopped, Destroyed. '.' rejected, '=' stays, a letter the phase; 'b' stays or Attached, 'p' pre_run, 'x' Stopped or
 * (draining) Retired, 'g' the phase given. --- */

static const char grid[IN_COUNT][PHASE_COUNT + 1] = {
    [IN_INITIALIZE] = "I......",
    [IN_REGISTER_SESSION] = ".=====.",
    [IN_BEGIN_UNREGISTER_SESSION] = ".=====.",
    [IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER] = ".=====.",
    [IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER] = ".=====.",
    [IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER] = ".=====.",
    [IN_UNREGISTER_SESSION] = ".IIIII.",
    [IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY] = ".=====.",
    [IN_PREPARE_BINDINGS] = "=b====.",
    [IN_REBIND] = ".=====.",
    [IN_REVIVE] = ".....I.",
    [IN_ENSURE_SESSION_WITH_EXECUTOR] = ".A====.",
    [IN_RUNTIME_EXECUTOR_EXITED] = ".SSx==.",
    [IN_PREPARE] = ".RR....",
    [IN_DRAIN_QUEUED_RUN] = "....R..",
    [IN_START_CONVERSATION_RUN] = "RRR=...",
    [IN_RUN_COMPLETED] = "...=...",
    [IN_RUN_FAILED] = "...=...",
    [IN_RUN_CANCELLED] = "...=...",
    [IN_COMMIT] = "...p...",
    [IN_FAIL] = "...p...",
    [IN_CANCEL_RUN] = "...p...",
    [IN_ROLLBACK_RUN] = "...p...",
    [IN_SERVICE_TURN_COMMITTED] = "...p...",
    [IN_ACCEPT_WITH_COMPLETION] = ".===...",
    [IN_ACCEPT_WITHOUT_WAKE] = ".===...",
    [IN_INTERRUPT_CURRENT_RUN] = "..==...",
    [IN_CANCEL_AFTER_BOUNDARY] = "..==...",
    [IN_STOP_RUNTIME_EXECUTOR] = "=====..",
    [IN_RETIRE] = ".TT==..",
    [IN_RESET] = "III.I..",
    [IN_RECYCLE] = ".==.I..",
    [IN_RECOVER] = "===.==.",
    [IN_DESTROY] = "DDDDDD.",
    [IN_RESOLVE_TRANSCRIPT_EDIT_ADMISSION] = ".===...",
    [IN_SET_SILENT_INTENTS] = ".=====.",
    [IN_INGEST] = ".===...",
    [IN_PUBLISH_EVENT] = ".=====.",
    [IN_RECOVER_RUNTIME_AUTHORITY] = "g......",
};

static bool leads_there(char to, const struct machine *before, const struct machine_input *in, enum phase after)
{
    static const char letters[] = "NIARTSD";
    switch (to) {
    case '=':
        return after == before->phase;
    case 'b':
        return after == before->phase || after == PHASE_ATTACHED;
    case 'p':
        return after == before->pre_run;
    case 'x':
        return after == (before->pre_run == PHASE_RETIRED ? PHASE_RETIRED : PHASE_STOPPED);
    case 'g':
        return after == in->phase;
    default:
        return letters[after] == to;
    }
}

/* --- every machine x every input --- */

#define ROWS_MAX 128

struct census {
    size_t machines, taken, rejected;
    size_t of[IN_COUNT][ROWS_MAX], of_count[IN_COUNT]; /* the rows of an input */
    size_t rows[ROWS_MAX];                             /* times each row was taken */
    bool beside[ROWS_MAX][ROWS_MAX];                   /* the second row matched too when the first was taken */
    bool seen[ROWS_MAX][MACHINE_GUARDS_MAX][2];        /* a guard of a row, in one of its phases: did not hold, held */
    bool pair[IN_COUNT][PHASE_COUNT];
};

/* Every row that the input has in this phase: which guards hold, which rows match beside the one that is taken. */
static void look_at_rows(struct census *census, const struct machine *machine, const struct machine_input *in,
                         const struct machine_row *taken)
{
    for (size_t n = 0; n < census->of_count[in->type]; n++) {
        size_t i = census->of[in->type][n];
        const struct machine_row *row = &machine_rows[i];
        if (!(row->from & 1u << machine->phase))
            continue;
        for (size_t g = 0; g < MACHINE_GUARDS_MAX && row->guards[g]; g++)
            census->seen[i][g][machine_guard_holds((enum machine_guard)abs(row->guards[g]), machine, in)] = true;
        if (taken && row != taken && machine_row_matches(row, machine, in))
            census->beside[taken - machine_rows][i] = true;
    }
}

static void check_effects(const struct machine_effects *fx, const struct machine_effects *wanted)
{
    assert_int_equal(fx->count, wanted->count);
    for (size_t i = 0; i < fx->count; i++)
        assert_string_equal(machine_effect_name(fx->list[i]), machine_effect_name(wanted->list[i]));
}

static void check_one(struct census *census, const struct machine *before, const struct machine_input *in)
{
    struct machine after, wanted;
    struct machine_effects fx, effects;
    memcpy(&after, before, sizeof after);
    memcpy(&wanted, before, sizeof wanted);
    const struct machine_row *row = machine_row_of(before, in);
    bool taken = machine_apply(&after, in, &fx);
    look_at_rows(census, before, in, row);
    assert_true(taken == (row != NULL));
    if (page_apply(&wanted, in, &effects) != taken)
        fail_msg("%s in %s is %s", machine_input_name(in->type), phase_name(before->phase),
                 taken ? "taken" : "rejected");
    if (!taken) {
        assert_memory_equal(&after, before, sizeof after);
        assert_int_equal(fx.count, 0);
        census->rejected++;
        return;
    }
    char to = grid[in->type][before->phase];
    if (to == '.' || !leads_there(to, before, in, after.phase))
        fail_msg("%s from %s led to %s", machine_input_name(in->type), phase_name(before->phase),
                 phase_name(after.phase));
    if (machine_broken(&after))
        fail_msg("%s from %s: %s", machine_input_name(in->type), phase_name(before->phase), machine_broken(&after));
    if (!machine_equal(&after, &wanted))
        fail_msg("%s from %s, by row %zu, leaves another machine than the page says", machine_input_name(in->type),
                 phase_name(before->phase), (size_t)(row - machine_rows));
    check_effects(&fx, &effects);
    census->taken++;
    census->rows[row - machine_rows]++;
    census->pair[in->type][before->phase] = true;
}

/* The bindings that the guards tell apart from {5, 3, e1}, from that without its fence, and from none. */
static size_t bindings(struct binding *out)
{
    size_t n = 0;
    out[n++] = (struct binding){0};
    out[n++] = bound_at(5, 3);
    out[n++] = without_fence(bound_at(5, 3));
    out[n++] = bound_at(6, 4);
    out[n++] = bound_at(5, 4);
    out[n++] = bound_at(6, 5);
    out[n] = bound_at(6, 4), out[n++].epoch = id("e2");
    out[n] = bound_at(5, 3), out[n++].epoch.bytes = 0;
    out[n++] = (struct binding){.runtime = true, .has_fence = true, .fence = 5};
    out[n++] = (struct binding){.has_fence = true, .fence = 5};
    out[n++] = (struct binding){.epoch = id("e1")};
    return n;
}

enum { BINDINGS_MAX = 11 };

static void each_recovery(struct census *census, const struct machine *m, struct machine_input in)
{
    static const enum phase begun[] = {PHASE_INITIALIZING, PHASE_IDLE, PHASE_RETIRED, PHASE_STOPPED};
    for (unsigned stops = 0; stops < 2; stops++)
        for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
            for (size_t i = 0; i < sizeof begun / sizeof begun[0]; i++) {
                in.stop_deferred = stops;
                in.active = !stops;
                in.phase = phase;
                in.pre_run = begun[i];
                check_one(census, m, &in);
            }
}

/* Everything else that an input can say, for one session, binding and run. */
static void each_detail(struct census *census, const struct machine *m, struct machine_input in)
{
    if (in.type == IN_RECOVER_RUNTIME_AUTHORITY) {
        if (m->phase == PHASE_INITIALIZING)
            each_recovery(census, m, in);
        else
            check_one(census, m, &in);
        return;
    }
    static const enum failure_cause causes[] = {CAUSE_NONE, CAUSE_UNKNOWN, CAUSE_FAILED};
    bool fails = in.type == IN_RUN_FAILED;
    bool flagged = in.type == IN_ACCEPT_WITH_COMPLETION || in.type == IN_RESOLVE_TRANSCRIPT_EDIT_ADMISSION || fails ||
                   in.type == IN_SET_SILENT_INTENTS;
    for (unsigned bits = 0; bits < (flagged ? 8u : 1u); bits++)
        for (size_t c = 0; c < (fails ? 3u : 1u); c++) {
            in.immediate = in.running = in.any_intents = in.machine_already_terminal = bits & 1;
            in.interrupt = in.active_inputs = bits & 2;
            in.wake_if_idle = bits & 4;
            in.cause = causes[c];
            check_one(census, m, &in);
        }
}

static bool reads_binding(enum machine_input_type type)
{
    return type == IN_BEGIN_UNREGISTER_SESSION || type == IN_UNREGISTER_SESSION ||
           type == IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY || type == IN_PREPARE_BINDINGS || type == IN_REBIND ||
           type == IN_INGEST || type == IN_RECOVER_RUNTIME_AUTHORITY;
}

static bool reads_run(enum machine_input_type type)
{
    return (type >= IN_PREPARE && type <= IN_SERVICE_TURN_COMMITTED) || type == IN_RECOVER_RUNTIME_AUTHORITY;
}

static bool reads_session(enum machine_input_type type)
{
    return (type >= IN_REGISTER_SESSION && type <= IN_REVIVE) || type == IN_INGEST;
}

static void each_input(struct census *census, const struct machine *m)
{
    struct binding given[BINDINGS_MAX];
    size_t binding_count = bindings(given);
    static const char *const runs[] = {"r1", "r2", ""};
    census->machines++;
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        for (size_t b = 0; b < (reads_binding(type) ? binding_count : 1); b++)
            for (size_t r = 0; r < (reads_run(type) ? 3u : 1u); r++)
                for (unsigned other = 0; other < (reads_session(type) ? 2u : 1u); other++) {
                    struct machine_input in = {.type = type, .same_session = !other, .binding = given[b]};
                    in.run = id(runs[r]);
                    each_detail(census, m, in);
                }
}

static void each_registration(struct census *census, struct machine m)
{
    for (enum registration registration = 0; registration < REGISTRATION_COUNT; registration++)
        for (unsigned bits = 0; bits < (registration == REGISTRATION_DRAINING ? 16u : 1u); bits++) {
            m.registration = registration;
            m.draining_loop = bits & 1;
            m.draining_comms = bits & 2;
            m.draining_waiters = bits & 4;
            m.retains_snapshot = bits & 8;
            if (!machine_broken(&m))
                each_input(census, &m);
        }
}

static void each_turn(struct census *census, struct machine m)
{
    for (enum turn turn = 0; turn < TURN_COUNT; turn++) {
        m.turn = turn;
        m.cause = turn == TURN_FAILED ? CAUSE_FAILED : CAUSE_NONE;
        m.silent_intents = turn & 1;
        each_registration(census, m);
    }
    m.turn = TURN_FAILED;
    m.cause = CAUSE_UNKNOWN;
    each_registration(census, m);
}

static void each_binding(struct census *census, struct machine m)
{
    struct binding now[] = {{0}, bound_at(5, 3), without_fence(bound_at(5, 3))};
    for (size_t b = 0; b < sizeof now / sizeof now[0]; b++)
        for (unsigned known = 0; known < 2; known++) {
            m.binding = now[b];
            m.registered = known;
            each_turn(census, m);
        }
}

/* Every phase with every run, deferred stop and recovery that 1.5 allows. */
static void each_machine(struct census *census)
{
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        for (enum phase pre = 0; pre <= PHASE_RETIRED; pre++)
            for (unsigned bits = 0; bits < 4; bits++) {
                struct machine m;
                memset(&m, 0, sizeof m);
                m.phase = phase;
                m.pre_run = pre;
                m.current_run = id(pre ? "r1" : "");
                m.stop_deferred = bits & 1;
                m.recovered = bits & 2;
                if (!machine_broken(&m))
                    each_binding(census, m);
            }
}

static struct census *all; /* of all tests */

static int make_census(void **state)
{
    (void)state;
    all = calloc(1, sizeof *all);
    if (!all || machine_row_count() > ROWS_MAX)
        return -1;
    for (size_t i = 0; i < machine_row_count(); i++)
        all->of[machine_rows[i].input][all->of_count[machine_rows[i].input]++] = i;
    return 0;
}

static int drop_census(void **state)
{
    (void)state;
    free(all);
    return 0;
}

/* First: the others look at what this one counted. */
static void test_machine__every_input_to_every_machine_does_what_the_page_says(void **state)
{
    (void)state;
    each_machine(all);
    size_t rows = 0;
    for (size_t i = 0; i < machine_row_count(); i++)
        rows += all->rows[i] > 0;
    printf("## machine: %d phases x %d inputs x %zu machines = %zu steps, as the page says: %zu of %zu rows taken (%zu "
           "times), %zu rejections\n",
           PHASE_COUNT, IN_COUNT, all->machines, all->taken + all->rejected, rows, machine_row_count(), all->taken,
           all->rejected);
}

static void test_machine__every_row_is_taken_from_every_phase_that_the_page_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < machine_row_count(); i++)
        if (!all->rows[i])
            fail_msg("row %zu (%s) is never taken", i, machine_input_name(machine_rows[i].input));
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
            if (all->pair[type][phase] != (grid[type][phase] != '.'))
                fail_msg("%s from %s is %s", machine_input_name(type), phase_name(phase),
                         all->pair[type][phase] ? "taken" : "never taken");
}

/* A guard that always holds where it stands would say nothing; one that never does, nothing either. */
static void test_machine__every_guard_of_every_row_holds_and_does_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < machine_row_count(); i++)
        for (size_t g = 0; g < MACHINE_GUARDS_MAX && machine_rows[i].guards[g]; g++)
            if (!all->seen[i][g][0] || !all->seen[i][g][1])
                fail_msg("guard %zu of row %zu (%s) %s", g + 1, i, machine_input_name(machine_rows[i].input),
                         all->seen[i][g][0] ? "never holds" : "always holds");
}

/* --- the table by itself --- */

static bool row_wants(const struct machine_row *row, int guard)
{
    for (size_t i = 0; i < MACHINE_GUARDS_MAX && row->guards[i]; i++)
        if (row->guards[i] == guard)
            return true;
    return false;
}

/* All that the later row takes, the earlier has taken. */
static bool hides(const struct machine_row *earlier, const struct machine_row *later)
{
    if (earlier->input != later->input || later->from & ~earlier->from)
        return false;
    for (size_t i = 0; i < MACHINE_GUARDS_MAX && earlier->guards[i]; i++)
        if (!row_wants(later, earlier->guards[i]))
            return false;
    return true;
}

static void test_machine__no_row_hides_a_later_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < machine_row_count(); i++)
        for (size_t j = i + 1; j < machine_row_count(); j++)
            if (hides(&machine_rows[i], &machine_rows[j]))
                fail_msg("row %zu (%s) is hidden by row %zu", j, machine_input_name(machine_rows[j].input), i);
}

/* Two rows may both match only when the earlier is the later with more guards: then their order says nothing else. */
static void test_machine__rows_that_overlap_go_from_the_special_to_the_general(void **state)
{
    (void)state;
    for (size_t i = 0; i < machine_row_count(); i++)
        for (size_t j = 0; j < machine_row_count(); j++) {
            bool general = true;
            for (size_t g = 0; g < MACHINE_GUARDS_MAX && machine_rows[j].guards[g]; g++)
                general = general && row_wants(&machine_rows[i], machine_rows[j].guards[g]);
            if (all->beside[i][j] && (j < i || !general))
                fail_msg("rows %zu and %zu (%s) overlap", i, j, machine_input_name(machine_rows[i].input));
        }
}

static void test_machine__every_row_can_be_described(void **state)
{
    (void)state;
    struct machine_row_text text;
    for (size_t i = 0; i < machine_row_count(); i++) {
        assert_true(machine_row_describe(i, &text));
        assert_true(text.input && text.to && *text.from && *text.guards && *text.updates && *text.effects);
    }
    assert_false(machine_row_describe(machine_row_count(), &text));
    assert_true(machine_row_describe(0, &text));
    assert_string_equal(text.input, "Initialize");
    assert_string_equal(text.from, "Initializing");
    assert_string_equal(text.to, "Idle");
    assert_string_equal(text.guards, "-");
    assert_string_equal(text.effects, "-");
}

static void test_machine__every_name_is_there_and_phases_can_be_read_back(void **state)
{
    (void)state;
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        assert_non_null(machine_input_name(type));
    for (enum machine_effect effect = 0; effect < FX_COUNT; effect++)
        assert_non_null(machine_effect_name(effect));
    for (enum registration registration = 0; registration < REGISTRATION_COUNT; registration++)
        assert_non_null(registration_name(registration));
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        assert_int_equal(phase_parse(span_of(phase_name(phase))), phase);
    assert_int_equal(phase_parse(SPAN_LIT("idl")), PHASE_COUNT);
    assert_int_equal(phase_parse((struct span){NULL, 0}), PHASE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine__every_input_to_every_machine_does_what_the_page_says),
        cmocka_unit_test(test_machine__every_row_is_taken_from_every_phase_that_the_page_has),
        cmocka_unit_test(test_machine__every_guard_of_every_row_holds_and_does_not),
        cmocka_unit_test(test_machine__no_row_hides_a_later_one),
        cmocka_unit_test(test_machine__rows_that_overlap_go_from_the_special_to_the_general),
        cmocka_unit_test(test_machine__every_row_can_be_described),
        cmocka_unit_test(test_machine__every_name_is_there_and_phases_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, make_census, drop_census);
}
