/* The machine: its table against every phase, input and outcome of the guards; and by name what is special. */
#include "node/core/machine.h"
#include "node/core/machine_print.h"
#include "node/core/machine_rows.h"
#include "tests/lib/t.h"

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

/* --- makers --- */

static struct mk_id id(const char *text)
{
    struct mk_id made;
    assert_true(id_set(&made, span_of(text)));
    return made;
}

static struct binding bound_at(uint64_t fence, uint64_t generation)
{
    return (struct binding){.runtime = true,
                            .has_fence = true,
                            .has_generation = true,
                            .fence = fence,
                            .generation = generation,
                            .epoch = id("e1")};
}

static struct binding without_fence(struct binding b)
{
    b.has_fence = false;
    b.fence = 0;
    return b;
}

/* A registered session in a phase; Running has run r1 from Attached. */
static struct machine at(enum phase phase)
{
    struct machine m = {.phase = phase, .registered = true, .binding = bound_at(5, 3)};
    if (phase == PHASE_RUNNING) {
        m.current_run = id("r1");
        m.pre_run = PHASE_ATTACHED;
    }
    return m;
}

static struct machine running_over(enum phase pre_run)
{
    struct machine m = at(PHASE_RUNNING);
    m.pre_run = pre_run;
    return m;
}

static struct machine_input input(enum machine_input_type type)
{
    return (struct machine_input){.type = type, .same_session = true, .binding = bound_at(5, 3), .run = id("r1")};
}

static bool apply(struct machine *m, enum machine_input_type type, struct machine_effects *fx)
{
    struct machine_input in = input(type);
    return machine_apply(m, &in, fx);
}

static void assert_effects(const struct machine_effects *fx, size_t count, const enum machine_effect *wanted)
{
    assert_int_equal(fx->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(machine_effect_name(fx->list[i]), machine_effect_name(wanted[i]));
}

#define EFFECTS(fx, ...)                                                                                               \
    assert_effects(fx, sizeof((enum machine_effect[]){__VA_ARGS__}) / sizeof(enum machine_effect),                     \
                   (enum machine_effect[]){__VA_ARGS__})

/* --- every machine x every input --- */

struct census {
    size_t machines, inputs, taken, rejected;
    size_t *rows; /* times each row was taken */
    bool pair[IN_COUNT][PHASE_COUNT];
};

static void check_one(struct census *census, const struct machine *before, const struct machine_input *in)
{
    struct machine after;
    struct machine_effects fx;
    memcpy(&after, before, sizeof after);
    const struct machine_row *row = machine_row_of(before, in);
    bool taken = machine_apply(&after, in, &fx);
    char to = grid[in->type][before->phase];
    assert_true(taken == (row != NULL));
    if (!taken) {
        assert_memory_equal(&after, before, sizeof after);
        assert_int_equal(fx.count, 0);
        census->rejected++;
        return;
    }
    if (to == '.' || !leads_there(to, before, in, after.phase))
        fail_msg("%s from %s led to %s", machine_input_name(in->type), phase_name(before->phase),
                 phase_name(after.phase));
    if (machine_broken(&after))
        fail_msg("%s from %s: %s", machine_input_name(in->type), phase_name(before->phase), machine_broken(&after));
    for (size_t i = 0; i < fx.count; i++)
        assert_int_equal(fx.list[i], row->effects[i]);
    assert_true(fx.count == MACHINE_EFFECTS_MAX || row->effects[fx.count] == FX_NONE);
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

static void each_input(struct census *census, const struct machine *m)
{
    struct binding given[BINDINGS_MAX];
    size_t binding_count = bindings(given);
    static const char *const runs[] = {"r1", "r2", ""};
    census->machines++;
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        for (size_t b = 0; b < (reads_binding(type) ? binding_count : 1); b++)
            for (size_t r = 0; r < (reads_run(type) ? 3u : 1u); r++)
                for (unsigned other = 0; other < 2; other++) {
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

static void test_machine__every_input_takes_a_row_or_changes_nothing(void **state)
{
    (void)state;
    struct census census = {.rows = calloc(machine_row_count(), sizeof(size_t))};
    assert_non_null(census.rows);
    each_machine(&census);
    for (size_t i = 0; i < machine_row_count(); i++)
        if (!census.rows[i])
            fail_msg("row %zu (%s) is never taken", i, machine_input_name(machine_rows[i].input));
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
            if (census.pair[type][phase] != (grid[type][phase] != '.'))
                fail_msg("%s from %s is never taken", machine_input_name(type), phase_name(phase));
    printf("%zu rows, %zu machines: %zu inputs taken, %zu rejected\n", machine_row_count(), census.machines,
           census.taken, census.rejected);
    free(census.rows);
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

/* --- 1.1 --- */

static void test_machine__the_predicates_follow_the_visible_phase(void **state)
{
    (void)state;
    static const struct {
        enum phase phase, pre_run, visible, durable;
        bool accepts;
        enum mk_err error;
    } cases[] = {
        {PHASE_INITIALIZING, 0, PHASE_INITIALIZING, PHASE_INITIALIZING, false, MK_ERR_OK},
        {PHASE_IDLE, 0, PHASE_IDLE, PHASE_IDLE, true, MK_ERR_OK},
        {PHASE_ATTACHED, 0, PHASE_ATTACHED, PHASE_IDLE, true, MK_ERR_OK},
        {PHASE_RUNNING, PHASE_IDLE, PHASE_RUNNING, PHASE_IDLE, true, MK_ERR_OK},
        {PHASE_RUNNING, PHASE_ATTACHED, PHASE_RUNNING, PHASE_IDLE, true, MK_ERR_OK},
        {PHASE_RUNNING, PHASE_RETIRED, PHASE_RETIRED, PHASE_RETIRED, false, MK_ERR_NOT_READY},
        {PHASE_RETIRED, 0, PHASE_RETIRED, PHASE_RETIRED, false, MK_ERR_NOT_READY},
        {PHASE_STOPPED, 0, PHASE_STOPPED, PHASE_STOPPED, false, MK_ERR_NOT_READY},
        {PHASE_DESTROYED, 0, PHASE_DESTROYED, PHASE_DESTROYED, false, MK_ERR_DESTROYED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine m = {.phase = cases[i].phase, .pre_run = cases[i].pre_run};
        assert_int_equal(machine_visible_phase(&m), cases[i].visible);
        assert_int_equal(machine_durable_phase(&m), cases[i].durable);
        assert_int_equal(machine_accepts_input(&m), cases[i].accepts);
        assert_int_equal(machine_ingress_error(&m), cases[i].error);
    }
}

/* --- bindings --- */

static void test_machine__an_exact_repeat_of_prepare_bindings_keeps_idle(void **state)
{
    (void)state;
    struct machine m = at(PHASE_IDLE);
    struct machine_effects fx;
    assert_true(apply(&m, IN_PREPARE_BINDINGS, &fx));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_int_equal(fx.count, 0);
}

static void test_machine__a_first_binding_attaches_idle_and_is_announced(void **state)
{
    (void)state;
    struct machine m = at(PHASE_IDLE);
    m.binding = (struct binding){0};
    struct machine_effects fx;
    assert_true(apply(&m, IN_PREPARE_BINDINGS, &fx));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_int_equal(m.binding.fence, 5);
    EFFECTS(&fx, FX_RUNTIME_BOUND);
}

static void test_machine__a_bound_component_cannot_be_changed_or_left_out(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_input in = input(IN_PREPARE_BINDINGS);
    in.binding.fence = 6;
    assert_false(machine_apply(&m, &in, NULL));
    in.binding = bound_at(5, 3);
    in.binding.has_generation = false;
    assert_false(machine_apply(&m, &in, NULL));
    in.binding = bound_at(5, 3);
    in.binding.epoch = id("e2");
    assert_false(machine_apply(&m, &in, NULL));
}

static void test_machine__rebind_wants_the_same_epoch_a_higher_fence_and_the_next_generation(void **state)
{
    (void)state;
    static const enum phase phases[] = {PHASE_IDLE, PHASE_ATTACHED, PHASE_RETIRED, PHASE_STOPPED};
    for (size_t i = 0; i < 4; i++) {
        struct machine m = at(phases[i]);
        struct machine_input in = input(IN_REBIND);
        struct machine_effects fx;
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(6, 3);
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(5, 4);
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(6, 5);
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(6, 4);
        in.binding.epoch = id("e2");
        assert_false(machine_apply(&m, &in, NULL));
        in.binding = bound_at(900, 4);
        assert_true(machine_apply(&m, &in, &fx));
        assert_int_equal(m.phase, phases[i]);
        assert_int_equal(m.binding.fence, 900);
        assert_int_equal(m.binding.generation, 4);
        EFFECTS(&fx, FX_RUNTIME_BOUND);
    }
}

static void test_machine__rebind_follows_reset_at_the_same_fence(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_RESET, NULL));
    struct machine_input in = input(IN_REBIND);
    in.binding = bound_at(5, 4);
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_true(m.binding.has_fence);
}

static void test_machine__a_recovered_run_is_bound_again_once_and_a_live_one_never(void **state)
{
    (void)state;
    struct machine m;
    memset(&m, 0, sizeof m);
    struct machine_input in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.phase = PHASE_RUNNING;
    in.pre_run = PHASE_RETIRED;
    assert_true(machine_apply(&m, &in, NULL));
    assert_true(m.recovered);
    in = input(IN_REBIND);
    in.binding = bound_at(6, 4);
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.phase, PHASE_RUNNING);
    in.binding = bound_at(7, 5);
    assert_false(machine_apply(&m, &in, NULL));
}

/* --- commands --- */

static void test_machine__reset_takes_the_fence_only(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RETIRED);
    m.silent_intents = true;
    struct machine_effects fx;
    assert_true(apply(&m, IN_RESET, &fx));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_false(m.binding.has_fence);
    assert_false(m.silent_intents);
    assert_true(m.binding.runtime && m.binding.has_generation);
    assert_span_equal(id_span(&m.binding.epoch), "e1");
    EFFECTS(&fx, FX_NOTICE_RESET);
}

static void test_machine__ingest_needs_the_whole_binding_with_its_fence(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_input in = input(IN_INGEST);
    assert_true(machine_apply(&m, &in, NULL));
    assert_true(apply(&m, IN_RESET, NULL));
    assert_false(machine_apply(&m, &in, NULL));
    in.binding = without_fence(in.binding);
    assert_false(machine_apply(&m, &in, NULL));
}

static void test_machine__recycle_takes_all_of_the_binding_and_keeps_attached(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_effects fx;
    assert_true(apply(&m, IN_RECYCLE, &fx));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_false(m.binding.runtime || m.binding.has_fence || m.binding.has_generation || m.binding.epoch.bytes);
    EFFECTS(&fx, FX_INITIATE_RECYCLE);
    m = at(PHASE_RETIRED);
    assert_true(apply(&m, IN_RECYCLE, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_false(m.binding.runtime);
}

static void test_machine__retire_during_a_run_keeps_it_and_ends_in_retired(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RUNNING);
    struct machine_effects fx;
    assert_true(apply(&m, IN_RETIRE, &fx));
    EFFECTS(&fx, FX_RUNTIME_RETIRED);
    assert_int_equal(m.phase, PHASE_RUNNING);
    assert_int_equal(machine_visible_phase(&m), PHASE_RETIRED);
    assert_span_equal(id_span(&m.current_run), "r1");
    assert_true(apply(&m, IN_RUN_COMPLETED, NULL));
    assert_span_equal(id_span(&m.result_run), "r1");
    assert_true(apply(&m, IN_COMMIT, NULL));
    assert_int_equal(m.phase, PHASE_RETIRED);
    assert_true(apply(&m, IN_DRAIN_QUEUED_RUN, NULL));
    assert_int_equal(machine_visible_phase(&m), PHASE_RETIRED);
    assert_true(apply(&m, IN_ROLLBACK_RUN, NULL));
    assert_int_equal(m.phase, PHASE_RETIRED);
}

static void test_machine__retire_is_announced_only_when_bound_with_a_fence(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    m.binding = without_fence(m.binding);
    struct machine_effects fx;
    assert_true(apply(&m, IN_RETIRE, &fx));
    assert_int_equal(m.phase, PHASE_RETIRED);
    assert_int_equal(fx.count, 0);
}

static void test_machine__stop_from_attached_waits_for_the_executor(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, &fx));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_true(m.stop_deferred);
    EFFECTS(&fx, FX_NOTICE_STOP, FX_FACT_STOP_RUNTIME_EXECUTOR);
    assert_true(apply(&m, IN_RUNTIME_EXECUTOR_EXITED, &fx));
    assert_int_equal(m.phase, PHASE_STOPPED);
    assert_false(m.stop_deferred);
    EFFECTS(&fx, FX_NOTICE_EXIT);
}

static void test_machine__attaching_again_takes_a_deferred_stop_back(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    assert_false(m.stop_deferred);
    assert_int_equal(m.registration, REGISTRATION_ACTIVE);
}

static void stop_during_a_run_over(enum phase pre_run, enum phase end)
{
    struct machine m = running_over(pre_run);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(m.stop_deferred);
    assert_true(apply(&m, IN_RUN_COMPLETED, NULL));
    assert_true(apply(&m, IN_COMMIT, &fx));
    assert_int_equal(m.phase, pre_run);
    assert_int_equal(m.stop_deferred, pre_run == PHASE_ATTACHED);
    assert_int_equal(machine_has_effect(&fx, FX_FACT_STOP_RUNTIME_EXECUTOR), pre_run != PHASE_ATTACHED);
    assert_true(apply(&m, IN_RUNTIME_EXECUTOR_EXITED, NULL));
    assert_int_equal(m.phase, end);
    assert_false(m.stop_deferred);
}

static void test_machine__a_stop_deferred_behind_a_run_completes(void **state)
{
    (void)state;
    stop_during_a_run_over(PHASE_IDLE, PHASE_STOPPED);
    stop_during_a_run_over(PHASE_ATTACHED, PHASE_STOPPED);
    stop_during_a_run_over(PHASE_RETIRED, PHASE_RETIRED);
}

static void test_machine__retire_does_not_forget_a_stop_that_waits_for_the_run(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RUNNING);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(apply(&m, IN_RETIRE, NULL));
    assert_true(apply(&m, IN_ROLLBACK_RUN, &fx));
    assert_int_equal(m.phase, PHASE_RETIRED);
    EFFECTS(&fx, FX_FACT_STOP_RUNTIME_EXECUTOR);
}

static void test_machine__only_revive_unregister_and_destroy_leave_stopped(void **state)
{
    (void)state;
    struct machine m = at(PHASE_STOPPED);
    assert_true(apply(&m, IN_REGISTER_SESSION, NULL));
    assert_int_equal(m.phase, PHASE_STOPPED);
    assert_true(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    assert_int_equal(m.registration, REGISTRATION_QUEUING);
    assert_true(apply(&m, IN_REVIVE, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_true(m.registered);
    assert_int_equal(m.binding.generation, 3);
}

static void test_machine__destroy_ends_everything(void **state)
{
    (void)state;
    struct machine m = at(PHASE_RUNNING);
    struct machine_effects fx;
    assert_true(apply(&m, IN_STOP_RUNTIME_EXECUTOR, NULL));
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_true(apply(&m, IN_DESTROY, &fx));
    EFFECTS(&fx, FX_RUNTIME_DESTROYED);
    assert_int_equal(m.registration, REGISTRATION_QUEUING);
    for (enum machine_input_type type = 0; type < IN_COUNT; type++)
        assert_false(apply(&m, type, NULL));
}

/* --- unregister --- */

static void report_all(struct machine *m)
{
    assert_false(apply(m, IN_UNREGISTER_SESSION, NULL));
    assert_true(apply(m, IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER, NULL));
    assert_false(apply(m, IN_RUNTIME_LOOP_STOPPED_FOR_UNREGISTER, NULL));
    assert_true(apply(m, IN_COMMS_DRAIN_EXITED_FOR_UNREGISTER, NULL));
    assert_false(apply(m, IN_UNREGISTER_SESSION, NULL));
    assert_true(apply(m, IN_COMPLETION_WAITERS_RESOLVED_FOR_UNREGISTER, NULL));
}

static void test_machine__unregister_waits_for_three_reports_and_forgets_all(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_effects fx;
    m.stop_deferred = true;
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, &fx));
    EFFECTS(&fx, FX_REQUEST_RUNTIME_LOOP_STOP_FOR_UNREGISTER, FX_REQUEST_COMMS_DRAIN_EXIT_FOR_UNREGISTER,
            FX_REQUEST_COMPLETION_WAITER_RESOLUTION_FOR_UNREGISTER);
    assert_false(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_false(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    report_all(&m);
    assert_true(apply(&m, IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY, &fx));
    EFFECTS(&fx, FX_DELETE_SNAPSHOT);
    assert_true(apply(&m, IN_UNREGISTER_SESSION, NULL));
    assert_int_equal(m.phase, PHASE_IDLE);
    assert_false(m.registered || m.binding.runtime || m.stop_deferred);
    assert_int_equal(m.registration, REGISTRATION_QUEUING);
}

static void test_machine__a_draining_run_counts_as_retired_when_unregistered(void **state)
{
    (void)state;
    struct machine m = running_over(PHASE_RETIRED);
    struct machine_effects fx;
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_true(apply(&m, IN_COMMIT, NULL));
    report_all(&m);
    assert_true(apply(&m, IN_RESOLVE_RUNTIME_OPS_LIFECYCLE_DURABILITY, &fx));
    EFFECTS(&fx, FX_RETAIN_SNAPSHOT);
}

static void test_machine__an_executor_exit_keeps_draining(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_ENSURE_SESSION_WITH_EXECUTOR, NULL));
    assert_true(apply(&m, IN_BEGIN_UNREGISTER_SESSION, NULL));
    assert_true(apply(&m, IN_RUNTIME_EXECUTOR_EXITED, NULL));
    assert_int_equal(m.phase, PHASE_STOPPED);
    assert_int_equal(m.registration, REGISTRATION_DRAINING);
}

/* --- admission --- */

static void accept(enum phase phase, bool now, bool yields, bool wakes, struct machine_effects *fx)
{
    struct machine m = at(phase);
    struct machine_input in = input(IN_ACCEPT_WITH_COMPLETION);
    in.immediate = now;
    in.interrupt = yields;
    in.wake_if_idle = wakes;
    assert_true(machine_apply(&m, &in, fx));
    assert_int_equal(m.phase, phase);
}

static void test_machine__accept_with_completion_signals_by_phase_and_flags(void **state)
{
    (void)state;
    struct machine_effects fx;
    accept(PHASE_IDLE, false, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_WAKE_LOOP);
    accept(PHASE_ATTACHED, false, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_WAKE_LOOP);
    accept(PHASE_IDLE, true, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_REQUEST_IMMEDIATE_PROCESSING);
    accept(PHASE_ATTACHED, true, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_REQUEST_IMMEDIATE_PROCESSING, FX_SUBMIT_RUN_PRIMITIVE);
    accept(PHASE_RUNNING, false, false, false, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED);
    accept(PHASE_RUNNING, false, false, true, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_WAKE_LOOP);
    accept(PHASE_RUNNING, false, true, true, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_INTERRUPT_YIELDING);
    accept(PHASE_RUNNING, true, false, true, &fx);
    EFFECTS(&fx, FX_INGRESS_ACCEPTED, FX_REQUEST_IMMEDIATE_PROCESSING);
}

static void test_machine__an_interrupting_accept_needs_a_run_and_no_haste(void **state)
{
    (void)state;
    struct machine_input in = input(IN_ACCEPT_WITH_COMPLETION);
    in.interrupt = true;
    struct machine m = at(PHASE_ATTACHED);
    assert_false(machine_apply(&m, &in, NULL));
    in.immediate = true;
    m = at(PHASE_RUNNING);
    assert_false(machine_apply(&m, &in, NULL));
}

/* --- runs --- */

static void test_machine__a_failed_run_needs_a_known_cause_and_wakes_the_loop(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_PREPARE, NULL));
    assert_false(apply(&m, IN_FAIL, NULL));
    struct machine_input in = input(IN_RUN_FAILED);
    in.cause = CAUSE_UNKNOWN;
    assert_false(machine_apply(&m, &in, NULL));
    in.machine_already_terminal = true;
    assert_false(machine_apply(&m, &in, NULL));
    in.machine_already_terminal = false;
    in.cause = CAUSE_TIME_BUDGET_EXCEEDED;
    struct machine_effects fx;
    assert_true(machine_apply(&m, &in, &fx));
    EFFECTS(&fx, FX_TURN_RUN_FAILED, FX_WAKE_LOOP);
    in.machine_already_terminal = true;
    in.cause = CAUSE_NONE;
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.cause, CAUSE_TIME_BUDGET_EXCEEDED);
    assert_true(apply(&m, IN_FAIL, &fx));
    EFFECTS(&fx, FX_RECORD_TERMINAL_OUTCOME);
    assert_int_equal(m.phase, PHASE_ATTACHED);
}

static void test_machine__a_new_run_knows_nothing_of_the_turn_before(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    struct machine_input in = input(IN_RUN_FAILED);
    in.cause = CAUSE_BUDGET_EXHAUSTED;
    assert_true(apply(&m, IN_PREPARE, NULL));
    assert_true(machine_apply(&m, &in, NULL));
    assert_true(apply(&m, IN_FAIL, NULL));
    assert_true(apply(&m, IN_PREPARE, NULL));
    assert_int_equal(m.turn, TURN_IDLE);
    assert_false(m.result_run.bytes);
    assert_false(apply(&m, IN_FAIL, NULL));
    in.cause = CAUSE_RUNTIME_APPLY;
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.cause, CAUSE_RUNTIME_APPLY);
}

static void test_machine__another_run_cannot_end_the_current_one(void **state)
{
    (void)state;
    static const enum machine_input_type types[] = {IN_RUN_COMPLETED, IN_RUN_CANCELLED, IN_COMMIT, IN_ROLLBACK_RUN};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct machine m = at(PHASE_RUNNING);
        struct machine_input in = input(types[i]);
        in.run = id("r2");
        assert_false(machine_apply(&m, &in, NULL));
        in.run.bytes = 0;
        assert_false(machine_apply(&m, &in, NULL));
    }
}

static void test_machine__an_open_turn_ends_with_its_run(void **state)
{
    (void)state;
    struct machine m = at(PHASE_ATTACHED);
    assert_true(apply(&m, IN_START_CONVERSATION_RUN, NULL));
    assert_false(apply(&m, IN_START_CONVERSATION_RUN, NULL));
    assert_true(apply(&m, IN_ROLLBACK_RUN, NULL));
    assert_true(apply(&m, IN_START_CONVERSATION_RUN, NULL));
    assert_true(apply(&m, IN_RUN_COMPLETED, NULL));
    assert_true(apply(&m, IN_SERVICE_TURN_COMMITTED, NULL));
    assert_int_equal(m.phase, PHASE_ATTACHED);
}

/* --- recovery --- */

static void test_machine__recovery_restores_attached_with_its_registration_and_its_stop(void **state)
{
    (void)state;
    struct machine m;
    memset(&m, 0, sizeof m);
    struct machine_input in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.run.bytes = 0;
    in.phase = PHASE_ATTACHED;
    in.active = in.stop_deferred = true;
    assert_true(machine_apply(&m, &in, NULL));
    assert_int_equal(m.phase, PHASE_ATTACHED);
    assert_int_equal(m.registration, REGISTRATION_ACTIVE);
    assert_true(m.registered && m.stop_deferred && !m.recovered);
    assert_int_equal(m.binding.fence, 5);
}

static void test_machine__recovery_refuses_what_would_break_an_invariant(void **state)
{
    (void)state;
    struct machine m;
    memset(&m, 0, sizeof m);
    struct machine_input in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.phase = PHASE_IDLE;
    in.pre_run = PHASE_ATTACHED;
    assert_false(machine_apply(&m, &in, NULL)); /* a run in Idle */
    in.phase = PHASE_RUNNING;
    in.pre_run = PHASE_STOPPED;
    assert_false(machine_apply(&m, &in, NULL)); /* no run begins in Stopped */
    in.pre_run = PHASE_ATTACHED;
    in.run.bytes = 0;
    assert_false(machine_apply(&m, &in, NULL)); /* Running without a run */
    in = input(IN_RECOVER_RUNTIME_AUTHORITY);
    in.run.bytes = 0;
    in.phase = PHASE_RETIRED;
    in.stop_deferred = true;
    assert_false(machine_apply(&m, &in, NULL)); /* a stop deferred in Retired */
    in.stop_deferred = false;
    in.binding = (struct binding){.has_fence = true, .fence = 5};
    assert_false(machine_apply(&m, &in, NULL)); /* a fence without a runtime */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine__every_input_takes_a_row_or_changes_nothing),
        cmocka_unit_test(test_machine__no_row_hides_a_later_one),
        cmocka_unit_test(test_machine__every_row_can_be_described),
        cmocka_unit_test(test_machine__every_name_is_there_and_phases_can_be_read_back),
        cmocka_unit_test(test_machine__the_predicates_follow_the_visible_phase),
        cmocka_unit_test(test_machine__an_exact_repeat_of_prepare_bindings_keeps_idle),
        cmocka_unit_test(test_machine__a_first_binding_attaches_idle_and_is_announced),
        cmocka_unit_test(test_machine__a_bound_component_cannot_be_changed_or_left_out),
        cmocka_unit_test(test_machine__rebind_wants_the_same_epoch_a_higher_fence_and_the_next_generation),
        cmocka_unit_test(test_machine__rebind_follows_reset_at_the_same_fence),
        cmocka_unit_test(test_machine__a_recovered_run_is_bound_again_once_and_a_live_one_never),
        cmocka_unit_test(test_machine__reset_takes_the_fence_only),
        cmocka_unit_test(test_machine__ingest_needs_the_whole_binding_with_its_fence),
        cmocka_unit_test(test_machine__recycle_takes_all_of_the_binding_and_keeps_attached),
        cmocka_unit_test(test_machine__retire_during_a_run_keeps_it_and_ends_in_retired),
        cmocka_unit_test(test_machine__retire_is_announced_only_when_bound_with_a_fence),
        cmocka_unit_test(test_machine__stop_from_attached_waits_for_the_executor),
        cmocka_unit_test(test_machine__attaching_again_takes_a_deferred_stop_back),
        cmocka_unit_test(test_machine__a_stop_deferred_behind_a_run_completes),
        cmocka_unit_test(test_machine__retire_does_not_forget_a_stop_that_waits_for_the_run),
        cmocka_unit_test(test_machine__only_revive_unregister_and_destroy_leave_stopped),
        cmocka_unit_test(test_machine__destroy_ends_everything),
        cmocka_unit_test(test_machine__unregister_waits_for_three_reports_and_forgets_all),
        cmocka_unit_test(test_machine__a_draining_run_counts_as_retired_when_unregistered),
        cmocka_unit_test(test_machine__an_executor_exit_keeps_draining),
        cmocka_unit_test(test_machine__accept_with_completion_signals_by_phase_and_flags),
        cmocka_unit_test(test_machine__an_interrupting_accept_needs_a_run_and_no_haste),
        cmocka_unit_test(test_machine__a_failed_run_needs_a_known_cause_and_wakes_the_loop),
        cmocka_unit_test(test_machine__a_new_run_knows_nothing_of_the_turn_before),
        cmocka_unit_test(test_machine__another_run_cannot_end_the_current_one),
        cmocka_unit_test(test_machine__an_open_turn_ends_with_its_run),
        cmocka_unit_test(test_machine__recovery_restores_attached_with_its_registration_and_its_stop),
        cmocka_unit_test(test_machine__recovery_refuses_what_would_break_an_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
