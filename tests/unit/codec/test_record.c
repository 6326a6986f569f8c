#include "tests/lib/t.h"

#include "codec/pack.h"
#include "codec/record.h"
#include "node/core/crc16.h"

#include <stdlib.h>

#define FIXED(literal)                                                                                                 \
    {                                                                                                                  \
        literal, sizeof literal - 1                                                                                    \
    } /* in a table */

static void same(struct span a, struct span b)
{
    assert_int_equal(span_given(a), span_given(b));
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes)
        assert_memory_equal(a.at, b.at, a.bytes);
}

/* --- heads of sessions --- */

struct read_session {
    struct session_record record;
    struct run_record run;
    uint64_t active[ACTIVE_INPUTS_MAX];
};

static enum mk_err read_session(struct span bytes, struct read_session *out)
{
    return session_record_read(bytes, &out->record, &out->run, out->active, NULL);
}

static struct mk_id id_of(const char *text)
{
    struct mk_id id;
    assert_true(id_set(&id, span_of(text)));
    return id;
}

static struct session_record full_session(const struct run_record *run, const uint64_t *active, size_t count)
{
    return (struct session_record){
        .version = SESSION_RECORD_VERSION,
        .phase = PHASE_RUNNING,
        .registered = true,
        .attached = true,
        .stop_deferred = true,
        .binding = {.runtime = true,
                    .has_fence = true,
                    .fence = 0,
                    .has_generation = true,
                    .generation = 3,
                    .epoch = id_of("e-1")},
        .executor = FIXED("counter"),
        .next_admission = 10,
        .next_event = 20,
        .terminal_count = 30,
        .horizon_ms = 40,
        .created_ms = 50,
        .updated_ms = 60,
        .last_run = id_of("r-0"),
        .last_receipt_sequence = 2,
        .failure = {.at_ms = 55,
                    .run = id_of("r-0"),
                    .error = MK_ERR_EXECUTOR_FAILED,
                    .will_retry = true,
                    .bytes = 2,
                    .message = "no"},
        .run = run,
        .active = active,
        .active_count = count,
        .injected = {7, 3},
        .injected_count = 2,
    };
}

static struct run_record full_run(void)
{
    return (struct run_record){.id = id_of("r-1"),
                               .attempt = 2,
                               .deaths = 1,
                               .boundary = MK_RUN_CHECKPOINT,
                               .cancelled = true,
                               .inputs = {3, 5},
                               .input_count = 2};
}

static void same_run(const struct run_record *a, const struct run_record *b)
{
    assert_int_equal(!a, !b);
    if (!a)
        return;
    same(id_span(&a->id), id_span(&b->id));
    assert_true(a->attempt == b->attempt && a->deaths == b->deaths && a->boundary == b->boundary);
    assert_int_equal(a->cancelled, b->cancelled);
    assert_int_equal(a->input_count, b->input_count);
    assert_memory_equal(a->inputs, b->inputs, a->input_count * sizeof *a->inputs);
}

static void same_session(const struct session_record *a, const struct session_record *b)
{
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->phase, b->phase);
    assert_true(a->registered == b->registered && a->attached == b->attached && a->stop_deferred == b->stop_deferred);
    assert_int_equal(a->binding.runtime, b->binding.runtime);
    assert_true(a->binding.has_fence == b->binding.has_fence && a->binding.fence == b->binding.fence);
    assert_true(a->binding.has_generation == b->binding.has_generation &&
                a->binding.generation == b->binding.generation);
    same(id_span(&a->binding.epoch), id_span(&b->binding.epoch));
    same(a->executor, b->executor);
    assert_true(a->next_admission == b->next_admission && a->next_event == b->next_event);
    assert_true(a->terminal_count == b->terminal_count && a->horizon_ms == b->horizon_ms);
    assert_true(a->created_ms == b->created_ms && a->updated_ms == b->updated_ms);
    same(id_span(&a->last_run), id_span(&b->last_run));
    assert_int_equal(a->last_receipt_sequence, b->last_receipt_sequence);
    assert_true(a->failure.at_ms == b->failure.at_ms && a->failure.error == b->failure.error &&
                a->failure.will_retry == b->failure.will_retry);
    same(id_span(&a->failure.run), id_span(&b->failure.run));
    same(span_bytes(a->failure.message, a->failure.bytes), span_bytes(b->failure.message, b->failure.bytes));
    same_run(a->run, b->run);
    assert_int_equal(a->active_count, b->active_count);
    if (a->active_count)
        assert_memory_equal(a->active, b->active, a->active_count * sizeof *a->active);
    assert_int_equal(a->injected_count, b->injected_count);
    assert_memory_equal(a->injected, b->injected, a->injected_count * sizeof *a->injected);
}

static void round_trip_session(const struct session_record *in)
{
    static struct read_session out;
    struct buf bytes = {0};
    session_record_pack(&bytes, in);
    assert_int_equal(read_session(buf_span(&bytes), &out), MK_ERR_OK);
    same_session(in, &out.record);
    buf_fini(&bytes);
}

static void test_record__a_session_comes_back_as_it_was(void **state)
{
    static const uint64_t active[] = {3, 5, 6, 7, 9};
    struct run_record run = full_run();
    struct session_record full = full_session(&run, active, 5), least = {.version = SESSION_RECORD_VERSION};
    (void)state;
    round_trip_session(&full);
    round_trip_session(&least);
    for (unsigned phase = 0; phase < PHASE_COUNT; phase++) {
        full.phase = (enum phase)phase;
        round_trip_session(&full);
    }
}

/* Records of before these keys existed have none of them, and those without such a run or failure still do not. */
static void test_record__a_run_nobody_cancelled_and_no_failure_take_no_room(void **state)
{
    struct run_record run = full_run();
    struct session_record in = full_session(&run, NULL, 0);
    struct read_session out;
    struct buf bytes = {0};
    (void)state;
    run.cancelled = false;
    in.failure.at_ms = 0;
    session_record_pack(&bytes, &in);
    for (size_t i = 0; i + 3 <= bytes.bytes; i++)
        assert_true(memcmp(bytes.at + i,
                           "\xa2"
                           "ca",
                           3) != 0 &&
                    memcmp(bytes.at + i,
                           "\xa2"
                           "lf",
                           3) != 0);
    assert_int_equal(read_session(buf_span(&bytes), &out), MK_ERR_OK);
    assert_false(out.run.cancelled);
    assert_int_equal(out.record.failure.at_ms, 0);
    buf_fini(&bytes);
}

/* A newer node's code must not put the session in quarantine. */
static void test_record__a_failure_with_an_unknown_code_reads_as_internal(void **state)
{
    struct session_record in = full_session(NULL, NULL, 0);
    struct read_session out;
    struct buf bytes = {0};
    (void)state;
    session_record_pack(&bytes, &in);
    for (size_t i = 0; i + 15 <= bytes.bytes; i++)
        if (!memcmp(bytes.at + i, "executor_failed", 15))
            memcpy((char *)bytes.at + i, "executor_fainted", 15);
    assert_int_equal(read_session(buf_span(&bytes), &out), MK_ERR_OK);
    assert_int_equal(out.record.failure.error, MK_ERR_INTERNAL);
    buf_fini(&bytes);
}

static void test_record__the_longest_session_comes_back_as_it_was(void **state)
{
    static uint64_t active[ACTIVE_INPUTS_MAX];
    struct run_record run = full_run();
    (void)state;
    run.input_count = RUN_INPUTS_MAX;
    for (size_t i = 0; i < RUN_INPUTS_MAX; i++)
        run.inputs[i] = 2 * i + 1;
    for (size_t i = 0; i < ACTIVE_INPUTS_MAX; i++)
        active[i] = 2 * i + 1;
    struct session_record in = full_session(&run, active, ACTIVE_INPUTS_MAX);
    round_trip_session(&in);
    for (size_t i = 0; i < ACTIVE_INPUTS_MAX; i++)
        active[i] = 1000000 + i;
    round_trip_session(&in);
}

static void test_record__active_sequences_are_written_as_ranges(void **state)
{
    static const struct {
        uint64_t list[6];
        size_t count;
        const char *text;
    } cases[] = {
        {{0}, 0, "|"},       {{7}, 1, "7|"},
        {{1, 2}, 2, "1-2|"}, {{3, 5, 6, 7, 8, 9}, 6, "3,5-9|"},
        {{1, 3}, 2, "1,3|"}, {{1, 2, 4, 5}, 4, "1-2,4-5|"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf bytes = {0};
        struct session_record in = full_session(NULL, cases[i].list, cases[i].count);
        session_record_pack(&bytes, &in);
        assert_memory_equal(bytes.at, cases[i].text, strlen(cases[i].text));
        buf_fini(&bytes);
    }
}

/* The map of a sound session behind the given ranges. */
static enum mk_err read_ranges(const char *ranges, struct read_session *out)
{
    struct buf bytes = {0}, map = {0};
    struct session_record in = full_session(NULL, NULL, 0);
    session_record_pack(&map, &in);
    buf_append(&bytes, ranges, strlen(ranges));
    buf_append(&bytes, map.at, map.bytes); /* it begins with the bar */
    enum mk_err err = read_session(buf_span(&bytes), out);
    buf_fini(&bytes);
    buf_fini(&map);
    return err;
}

static void test_record__ranges_are_read_when_they_ascend_and_only_then(void **state)
{
    static struct read_session out;
    static const struct {
        const char *text;
        size_t count;
        uint64_t last;
    } good[] = {{"", 0, 0},
                {"1", 1, 1},
                {"3,5-9", 6, 9},
                {"1-1024", 1024, 1024},
                {"1-1", 1, 1},
                {"1,2,3", 3, 3},
                {"999999999999999999", 1, 999999999999999999ull}};
    static const char *const bad[] = {
        "0",
        "0-3",
        "5,3",
        "3,3",
        "1-3,3",
        "3-1",
        ",",
        ",1",
        "1,",
        "1,,2",
        "-",
        "1-",
        "-1",
        "1-2-3",
        "1 ",
        " 1",
        "a",
        "1a",
        "1.5",
        "+1",
        "1;2",
        "1,-2",
        "0x1",
        "1-1025",
        "2-1025,5000",
        "1-1024,5000",
        "1000000000000000000",
        "1-99999999999999999999",
        "1,|",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(read_ranges(good[i].text, &out), MK_ERR_OK);
        assert_int_equal(out.record.active_count, good[i].count);
        assert_ptr_equal(out.record.active, out.active);
        if (good[i].count)
            assert_int_equal(out.active[good[i].count - 1], good[i].last);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_ranges(bad[i], &out) != MK_ERR_MALFORMED)
            fail_msg("\"%s\" was read", bad[i]);
}

static void test_record__a_session_without_its_bar_is_malformed(void **state)
{
    static struct read_session out;
    (void)state;
    assert_int_equal(read_session(SPAN_LIT("\x80"), &out), MK_ERR_MALFORMED);
    assert_int_equal(read_session(SPAN_LIT("|"), &out), MK_ERR_MALFORMED);
    assert_int_equal(read_session((struct span){NULL, 0}, &out), MK_ERR_MALFORMED);
}

/* "3-4|" and {v: 1, ph: "idle", na: 5, ne: 9, ...}; `more`: further keys, how many. */
static enum mk_err read_head(unsigned more, struct span keys, struct read_session *out)
{
    struct buf bytes = {0};
    char map = (char)(0x84 + more);
    buf_append(&bytes, "3-4|", 4);
    buf_append(&bytes, &map, 1);
    buf_append(&bytes, "\xa1v\x01\xa2ph\xa4idle\xa2na\x05\xa2ne\x09", 19);
    buf_append(&bytes, keys.at, keys.bytes);
    enum mk_err err = read_session(buf_span(&bytes), out);
    buf_fini(&bytes);
    return err;
}

static void test_record__heads_of_before_there_were_injected_inputs_are_read(void **state)
{
    static struct read_session out;
    (void)state;
    assert_int_equal(read_head(0, SPAN_LIT(""), &out), MK_ERR_OK);
    assert_int_equal(out.record.injected_count, 0);
    assert_int_equal(out.record.active_count, 2);
}

static void test_record__what_a_head_says_of_injected_inputs_is_read_in_its_order(void **state)
{
    static struct read_session out;
    static const struct span bad[] = {FIXED("\xa3inj\x03"),
                                      FIXED("\xa3inj\x91\xa1"
                                            "3"),
                                      FIXED("\xa3inj\x91\xff")};
    struct buf many = {0};
    (void)state;
    assert_int_equal(read_head(1, SPAN_LIT("\xa3inj\x92\x04\x03"), &out), MK_ERR_OK);
    assert_int_equal(out.record.injected_count, 2);
    assert_true(out.record.injected[0] == 4 && out.record.injected[1] == 3);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(read_head(1, bad[i], &out), MK_ERR_INVALID_FIELD);
    buf_append(&many, "\xa3inj\xdc\x00\x41", 7);
    for (int i = 0; i <= INJECTED_MAX; i++)
        buf_append(&many, "\x01", 1);
    assert_int_equal(read_head(1, buf_span(&many), &out), MK_ERR_INVALID_FIELD);
    buf_fini(&many);
}

/* --- records as a whole: one reader for all three --- */

enum what { SESSION, INPUT, FACT };

static enum mk_err read_any(enum what what, struct span bytes)
{
    static struct read_session session;
    struct input_record input;
    struct fact_record fact;
    if (what == SESSION)
        return read_session(bytes, &session);
    return what == INPUT ? input_record_read(bytes, &input, NULL) : fact_record_read(bytes, &fact, NULL);
}

static struct input_record full_input(void)
{
    return (struct input_record){
        .version = INPUT_RECORD_VERSION,
        .input = {.h = {.id = FIXED("i-1"), .ts = 5},
                  .session = FIXED("s1"),
                  .body = FIXED("\x05"),
                  .origin = MK_EXTERNAL,
                  .wake = true,
                  .transcript_eligible = true,
                  .operator_eligible = true},
        .seq = 7,
        .order = 7,
        .lane = LANE_STEER,
        .phase = INPUT_APPLIED_PENDING_CONSUMPTION,
        .attempts = 1,
        .deaths = 2,
        .recoveries = 3,
        .last_run = FIXED("r-1"),
        .last_boundary_sequence = 4,
        .resume_pending = true,
        .admitted_while_running = true,
        .silent = true,
        .admitted_ms = 5,
        .deadline_at_ms = 6,
    };
}

static struct fact_record full_fact(enum fact_kind kind)
{
    return (struct fact_record){.version = FACT_RECORD_VERSION,
                                .kind = kind,
                                .at_ms = 1,
                                .ephemeral = true,
                                .stamp = 2,
                                .digest = UINT64_MAX,
                                .input = FIXED("i-1"),
                                .reason = ABANDON_WITHDRAWN,
                                .event = 3,
                                .attempts = 4,
                                .run = FIXED("r-1"),
                                .bytes = FIXED("\x80")};
}

static void pack_any(enum what what, uint64_t version, struct buf *out)
{
    static const uint64_t active[] = {3, 5};
    struct run_record run = full_run();
    struct session_record session = full_session(&run, active, 2);
    struct input_record input = full_input();
    struct fact_record fact = full_fact(FACT_INPUT);
    session.version = input.version = fact.version = version;
    if (what == SESSION)
        session_record_pack(out, &session);
    else if (what == INPUT)
        input_record_pack(out, &input);
    else
        fact_record_pack(out, &fact);
}

static void test_record__a_record_cut_short_at_any_byte_is_refused(void **state)
{
    (void)state;
    for (enum what what = SESSION; what <= FACT; what++) {
        struct buf bytes = {0};
        pack_any(what, 1, &bytes);
        assert_int_equal(read_any(what, buf_span(&bytes)), MK_ERR_OK);
        for (size_t i = 0; i < bytes.bytes; i++) {
            char *copy = malloc(i ? i : 1);
            assert_non_null(copy);
            memcpy(copy, bytes.at, i);
            assert_int_equal(read_any(what, span_bytes(copy, i)), MK_ERR_MALFORMED);
            free(copy);
        }
        buf_append(&bytes, "\xc0", 1);
        assert_int_equal(read_any(what, buf_span(&bytes)), MK_ERR_MALFORMED);
        buf_fini(&bytes);
    }
}

static void test_record__another_version_is_refused_as_such(void **state)
{
    static const struct span others[] = {FIXED("|\x81\xa1v\x02"), FIXED("\x81\xa1v\x02"), FIXED("\x81\xa1v\x02")};
    (void)state;
    for (enum what what = SESSION; what <= FACT; what++) {
        struct buf bytes = {0};
        pack_any(what, 2, &bytes);
        assert_int_equal(read_any(what, buf_span(&bytes)), MK_ERR_UNSUPPORTED_VERSION);
        assert_int_equal(read_any(what, others[what]), MK_ERR_UNSUPPORTED_VERSION); /* whatever else is in it */
        buf_reset(&bytes);
        pack_any(what, 0, &bytes);
        assert_int_equal(read_any(what, buf_span(&bytes)), MK_ERR_UNSUPPORTED_VERSION);
        buf_fini(&bytes);
    }
}

static void test_record__wrong_values_are_refused(void **state)
{
    static const struct {
        enum what what;
        struct span bytes;
        enum mk_err wanted;
    } cases[] = {
        {SESSION, FIXED("|\x84\xa1v\x01\xa2ph\xa4idle\xa2na\x01\xa2ne\x01"), MK_ERR_OK},
        {SESSION, FIXED("|\x83\xa1v\x01\xa2ph\xa4idle\xa2na\x01"), MK_ERR_MISSING_FIELD},
        {SESSION, FIXED("|\x84\xa1v\x01\xa2ph\xa4idly\xa2na\x01\xa2ne\x01"), MK_ERR_INVALID_FIELD},
        {SESSION, FIXED("|\x84\xa1v\x01\xa2ph\xa4idle\xa2na\xff\xa2ne\x01"), MK_ERR_INVALID_FIELD},
        {SESSION,
         FIXED("|\x85\xa1v\x01\xa2ph\xa4idle\xa2na\x01\xa2ne\x01\xa1"
               "b\x05"),
         MK_ERR_INVALID_FIELD},
        {SESSION, FIXED("|\x85\xa1v\x01\xa2ph\xa4idle\xa2na\x01\xa2ne\x01\xa3run\x80"), MK_ERR_MISSING_FIELD},
        {SESSION, FIXED("|\x85\xa1v\x01\xa2ph\xa4idle\xa2na\x01\xa2ne\x01\xa3run\x05"), MK_ERR_INVALID_FIELD},
        {SESSION, FIXED("|\x85\xa1v\x01\xa2ph\xa4idle\xa2na\x01\xa2ne\x01\xa1z\x05"), MK_ERR_OK}, /* not known */
        {SESSION, FIXED("|\x90"), MK_ERR_MALFORMED},
        {SESSION, FIXED("|\x80"), MK_ERR_MISSING_FIELD},
        {INPUT, FIXED("\x80"), MK_ERR_MISSING_FIELD},
        {INPUT, FIXED("\x85\xa1v\x01\xa3seq\x01\xa2ln\xa5queue\xa2ph\xa6queued\xa2in\x82\xa2id\xa1i\xa7session\xa1s"),
         MK_ERR_OK},
        {INPUT, FIXED("\x85\xa1v\x01\xa3seq\x01\xa2ln\xa5queue\xa2ph\xa6queued\xa2in\x81\xa2id\xa1i"),
         MK_ERR_MISSING_FIELD},
        {INPUT, FIXED("\x85\xa1v\x01\xa3seq\x01\xa2ln\xa4side\xa2ph\xa6queued\xa2in\x82\xa2id\xa1i\xa7session\xa1s"),
         MK_ERR_INVALID_FIELD},
        {INPUT, FIXED("\x84\xa1v\x01\xa3seq\x01\xa2ln\xa5queue\xa2ph\xa6queued"), MK_ERR_MISSING_FIELD},
        {FACT,
         FIXED("\x83\xa1v\x01\xa1k\xa3key\xa2"
               "at\x05"),
         MK_ERR_OK},
        {FACT,
         FIXED("\x83\xa1v\x01\xa1k\xa3kee\xa2"
               "at\x05"),
         MK_ERR_INVALID_FIELD},
        {FACT, FIXED("\x82\xa1v\x01\xa1k\xa3key"), MK_ERR_MISSING_FIELD},
        {FACT,
         FIXED("\x84\xa1v\x01\xa1k\xa3key\xa2"
               "at\x05\xa2"
               "by\x05"),
         MK_ERR_INVALID_FIELD},
        {FACT,
         FIXED("\x84\xa1v\x01\xa1k\xa3key\xa2"
               "at\x05\xa1v\x01"),
         MK_ERR_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum mk_err err = read_any(cases[i].what, cases[i].bytes);
        if (err != cases[i].wanted)
            fail_msg("case %zu: %s", i, mk_err_code(err));
    }
}

/* A run of so many inputs in an otherwise least session. */
static enum mk_err read_run_of(size_t inputs)
{
    static struct read_session out;
    static const char head[] = "|\x85\xa1v\x01\xa2ph\xa4idle\xa2na\x01\xa2ne\x01\xa3run\x84\xa2id\xa1r\xa2"
                               "at\x01\xa2"
                               "bo\xa9run_start\xa2in";
    struct buf bytes = {0};
    char array[3] = {'\xdc', (char)(inputs >> 8), (char)(inputs & 0xff)};
    buf_append(&bytes, head, sizeof head - 1);
    buf_append(&bytes, array, 3);
    for (size_t i = 0; i < inputs; i++)
        buf_append(&bytes, "\x01", 1);
    enum mk_err err = read_session(buf_span(&bytes), &out);
    if (!err)
        assert_int_equal(out.record.run->input_count, inputs);
    buf_fini(&bytes);
    return err;
}

static void test_record__a_run_has_at_most_its_bound_of_inputs(void **state)
{
    (void)state;
    assert_int_equal(read_run_of(0), MK_ERR_OK);
    assert_int_equal(read_run_of(RUN_INPUTS_MAX), MK_ERR_OK);
    assert_int_equal(read_run_of(RUN_INPUTS_MAX + 1), MK_ERR_INVALID_FIELD);
}

/* --- inputs --- */

static void round_trip_input(const struct input_record *in)
{
    struct buf bytes = {0};
    struct input_record out;
    input_record_pack(&bytes, in);
    assert_int_equal(input_record_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
    assert_true(in->version == out.version && in->seq == out.seq && in->order == out.order);
    assert_true(in->lane == out.lane && in->phase == out.phase);
    assert_true(in->attempts == out.attempts && in->deaths == out.deaths && in->recoveries == out.recoveries);
    same(in->last_run, out.last_run);
    assert_int_equal(in->last_boundary_sequence, out.last_boundary_sequence);
    assert_true(in->resume_pending == out.resume_pending && in->admitted_while_running == out.admitted_while_running);
    assert_true(in->silent == out.silent);
    assert_true(in->admitted_ms == out.admitted_ms && in->deadline_at_ms == out.deadline_at_ms);
    same(in->input.h.id, out.input.h.id);
    same(in->input.session, out.input.session);
    same(in->input.body, out.input.body);
    buf_fini(&bytes);
}

static void test_record__an_input_comes_back_as_it_was(void **state)
{
    struct input_record in = full_input();
    (void)state;
    round_trip_input(&in);
    in.order = 3;
    in.lane = LANE_QUEUE;
    round_trip_input(&in);
    in.order = 0;
    in.resume_pending = in.admitted_while_running = in.silent = false;
    for (unsigned phase = 0; phase < INPUT_PHASE_COUNT; phase++) {
        in.phase = (enum input_phase)phase;
        round_trip_input(&in);
    }
}

/* --- facts --- */

static void round_trip_fact(const struct fact_record *in)
{
    struct buf bytes = {0};
    struct fact_record out;
    fact_record_pack(&bytes, in);
    assert_int_equal(fact_record_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
    assert_true(in->version == out.version && in->kind == out.kind && in->at_ms == out.at_ms);
    assert_true(in->ephemeral == out.ephemeral && in->stamp == out.stamp && in->digest == out.digest);
    same(in->input, out.input);
    assert_true(in->phase == out.phase && in->reason == out.reason && in->outcome == out.outcome);
    assert_true(in->event == out.event && in->attempts == out.attempts);
    same(in->run, out.run);
    same(in->bytes, out.bytes);
    buf_fini(&bytes);
}

static void test_record__a_fact_comes_back_as_it_was(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < FACT_KIND_COUNT; kind++) {
        struct fact_record full = full_fact((enum fact_kind)kind);
        struct fact_record least = {.version = FACT_RECORD_VERSION, .kind = (enum fact_kind)kind};
        round_trip_fact(&full);
        round_trip_fact(&least);
    }
    for (unsigned i = 0; i < MK_OUTCOME_COUNT; i++) {
        struct fact_record in = full_fact(FACT_INPUT);
        in.outcome = (enum mk_outcome)i;
        in.reason = (enum abandon_reason)i;
        in.phase = (enum input_phase)(i % INPUT_PHASE_COUNT);
        round_trip_fact(&in);
    }
}

static void test_record__a_field_of_a_fact_is_split_as_it_was_made(void **state)
{
    char text[FACT_FIELD_BYTES], session[SESSION_ID_BYTES_MAX], name[MESSAGE_ID_BYTES_MAX];
    struct span session_out, name_out;
    enum fact_kind kind;
    (void)state;
    memset(session, 's', sizeof session);
    memset(name, '/', sizeof name); /* a name may hold anything */
    for (unsigned i = 0; i < FACT_KIND_COUNT; i++) {
        size_t bytes =
            fact_field(text, span_bytes(session, sizeof session), (enum fact_kind)i, span_bytes(name, sizeof name));
        assert_true(bytes < sizeof text);
        assert_true(fact_field_split(span_bytes(text, bytes), &session_out, &kind, &name_out));
        same(session_out, span_bytes(session, sizeof session));
        same(name_out, span_bytes(name, sizeof name));
        assert_int_equal(kind, i);
    }
    assert_int_equal(fact_field(text, SPAN_LIT("s1"), FACT_KEY, SPAN_LIT("k")), 6);
    assert_memory_equal(text, "s1/k/k", 6);
}

static void test_record__a_field_of_another_form_is_no_fact(void **state)
{
    static const char *const wrong[] = {
        "",      "s1",      "s1/",    "s1/i",
        "s1/i/", "/i/x",    "s1/z/x", "s1/ii/x",
        "s1/ix", "s 1/i/x", "s1//x",  "s1/i/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct span session, name;
        enum fact_kind kind;
        if (fact_field_split(span_of(wrong[i]), &session, &kind, &name))
            fail_msg("\"%s\" was split", wrong[i]);
    }
}

/* --- memos --- */

static void test_record__a_memo_comes_back_as_it_was(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < FACT_KIND_COUNT; kind++) {
        struct buf bytes = {0};
        struct memo_record in = {MEMO_RECORD_VERSION, (enum fact_kind)kind, SPAN_LIT("a name"), 1700000000000}, out;
        memo_record_pack(&bytes, &in);
        assert_int_equal(memo_record_read(buf_span(&bytes), &out, NULL), MK_ERR_OK);
        assert_true(in.version == out.version && in.kind == out.kind && in.at_ms == out.at_ms);
        same(in.name, out.name);
        for (size_t i = 0; i < bytes.bytes; i++)
            assert_int_equal(memo_record_read(span_bytes(bytes.at, i), &out, NULL), MK_ERR_MALFORMED);
        buf_reset(&bytes);
        in.version = 2;
        memo_record_pack(&bytes, &in);
        assert_int_equal(memo_record_read(buf_span(&bytes), &out, NULL), MK_ERR_UNSUPPORTED_VERSION);
        buf_fini(&bytes);
    }
}

static void test_record__a_memo_stands_where_no_session_is(void **state)
{
    char field[MEMO_FIELD_BYTES], session[SESSION_ID_BYTES_MAX];
    (void)state;
    memset(session, 's', sizeof session);
    size_t bytes = memo_field(field, span_bytes(session, sizeof session));
    assert_int_equal(bytes, sizeof field);
    assert_false(session_id_valid(span_bytes(field, bytes)));
    same(memo_session(span_bytes(field, bytes)), span_bytes(session, sizeof session));
    assert_false(span_given(memo_session(SPAN_LIT("s1"))));
    assert_false(span_given(memo_session(SPAN_LIT("/"))));
    assert_false(span_given(memo_session(SPAN_LIT(""))));
}

static void test_record__the_field_of_an_input_is_its_session_and_sequence(void **state)
{
    char text[INPUT_FIELD_BYTES], session[SESSION_ID_BYTES_MAX];
    (void)state;
    assert_int_equal(input_field(text, SPAN_LIT("s1"), 42), 5);
    assert_memory_equal(text, "s1/42", 5);
    memset(session, 's', sizeof session);
    assert_int_equal(input_field(text, span_bytes(session, sizeof session), UINT64_MAX), SESSION_ID_BYTES_MAX + 21);
    assert_memory_equal(text + SESSION_ID_BYTES_MAX, "/18446744073709551615", 22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record__a_session_comes_back_as_it_was),
        cmocka_unit_test(test_record__a_run_nobody_cancelled_and_no_failure_take_no_room),
        cmocka_unit_test(test_record__a_failure_with_an_unknown_code_reads_as_internal),
        cmocka_unit_test(test_record__the_longest_session_comes_back_as_it_was),
        cmocka_unit_test(test_record__active_sequences_are_written_as_ranges),
        cmocka_unit_test(test_record__ranges_are_read_when_they_ascend_and_only_then),
        cmocka_unit_test(test_record__a_session_without_its_bar_is_malformed),
        cmocka_unit_test(test_record__heads_of_before_there_were_injected_inputs_are_read),
        cmocka_unit_test(test_record__what_a_head_says_of_injected_inputs_is_read_in_its_order),
        cmocka_unit_test(test_record__a_record_cut_short_at_any_byte_is_refused),
        cmocka_unit_test(test_record__another_version_is_refused_as_such),
        cmocka_unit_test(test_record__wrong_values_are_refused),
        cmocka_unit_test(test_record__a_run_has_at_most_its_bound_of_inputs),
        cmocka_unit_test(test_record__an_input_comes_back_as_it_was),
        cmocka_unit_test(test_record__a_fact_comes_back_as_it_was),
        cmocka_unit_test(test_record__a_field_of_a_fact_is_split_as_it_was_made),
        cmocka_unit_test(test_record__a_field_of_another_form_is_no_fact),
        cmocka_unit_test(test_record__the_field_of_an_input_is_its_session_and_sequence),
        cmocka_unit_test(test_record__a_memo_comes_back_as_it_was),
        cmocka_unit_test(test_record__a_memo_stands_where_no_session_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
