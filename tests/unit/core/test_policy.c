/* The policy table, every combination, against the table of semantics-core.md 5.4 written out once more. */
#include "node/core/policy.h"
#include "tests/lib/t.h"

#include <stdio.h>

/* As the page words it. A row holds for each of its modes; busy, silence and wake are worked into it by assert_row. */
struct row {
    const char *kind, *modes; /* modes: '-' none, 'q' queue, 's' steer */
    const char *apply, *drain, *queue, *routing, *consume, *lane, *boundary, *turn, *transcript;
    const char *idle, *idle_flags, *busy, *busy_flags;
};

/* clang-format off */
#define START       "stage_run_start"
#define BOUND       "stage_run_boundary"
#define QUEUED      "queue_next_turn", "fifo", "queue", "on_run_complete", "queue", "run_start"
#define STEERED     "steer_batch", "fifo", "steer", "on_run_complete", "steer"
#define PROGRESS    "steer_batch", "coalesce", "steer", "on_run_complete", "steer"
#define DROPPED     "ignore", "priority", "drop", "on_accept", "queue", "run_start"
#define CONTENT     "content_turn", "kept"
#define RESUMES     "resume_pending", "none"
#define QUIET_LATER "wake_if_idle", "wake_if_idle", "none", ""
#define HASTE       "wake_if_idle", "immediate", "interrupt_yielding", "immediate"
#define YIELD       "wake_if_idle", "wake_if_idle", "interrupt_yielding", "interrupt"
#define ALWAYS      "wake_if_idle", "wake_if_idle", "wake_if_idle", "wake_if_idle"
#define NEVER       "none", "", "none", ""
static const struct row rows[] = {
    {"prompt",                 "-q",  START,    QUEUED,                    CONTENT,                     QUIET_LATER},
    {"prompt",                 "s",   BOUND,    STEERED,  "run_checkpoint", CONTENT,                    HASTE},
    {"flow_step",              "-q",  START,    QUEUED,                    CONTENT,                     QUIET_LATER},
    {"flow_step",              "s",   BOUND,    STEERED,  "run_checkpoint", CONTENT,                    HASTE},
    {"external_event",         "-q",  START,    QUEUED,                    CONTENT,                     QUIET_LATER},
    {"external_event",         "s",   BOUND,    STEERED,  "run_checkpoint", CONTENT,                    HASTE},
    {"peer_message",           "-",   START,    QUEUED,                    CONTENT,                     YIELD},
    {"peer_message",           "q",   START,    QUEUED,                    CONTENT,                     QUIET_LATER},
    {"peer_message",           "s",   BOUND,    STEERED,  "run_checkpoint", CONTENT,                    HASTE},
    {"peer_request",           "-",   START,    QUEUED,                    CONTENT,                     YIELD},
    {"peer_request",           "q",   START,    QUEUED,                    CONTENT,                     QUIET_LATER},
    {"peer_request",           "s",   BOUND,    STEERED,  "run_checkpoint", CONTENT,                    HASTE},
    {"peer_response_progress", "-qs", BOUND,    PROGRESS, "run_checkpoint", CONTENT,                    NEVER},
    {"peer_response_terminal", "-q",  START,    QUEUED,                    "append_context", "kept",    ALWAYS},
    {"peer_response_terminal", "s",   START,    STEERED,  "run_start",     "append_context", "kept",    HASTE},
    {"continuation",           "-",   BOUND,    STEERED,  "run_checkpoint", RESUMES,                    YIELD},
    {"continuation",           "q",   START,    QUEUED,                    RESUMES,                     QUIET_LATER},
    {"continuation",           "s",   BOUND,    STEERED,  "run_checkpoint", RESUMES,                    HASTE},
    {"workgraph_attention",    "-qs", START,    QUEUED,                    "content_turn", "none",      QUIET_LATER},
    {"operation",              "-qs", "ignore", DROPPED,                   "content_turn", "none",      NEVER},
};
/* clang-format on */

static struct mk_input input_of(const char *kind, char mode)
{
    enum mk_handling handling = mode == 'q' ? MK_HANDLING_QUEUE : mode == 's' ? MK_HANDLING_STEER : MK_HANDLING_NONE;
    bool attention = strcmp(kind, "workgraph_attention") == 0;
    return (struct mk_input){
        .kind = attention ? MK_CONTINUATION : mk_kind_parse(span_of(kind)),
        .continuation = attention ? MK_WORKGRAPH_ATTENTION : MK_ORDINARY,
        .handling = handling,
        .wake = true,
    };
}

static const char *turn_of_policy(const struct policy *p)
{
    if (p->terminal_apply == TERMINAL_APPLY_APPEND_CONTEXT_AND_RUN)
        return p->execution == EXECUTION_CONTENT_TURN ? "append_context" : "both";
    return p->execution == EXECUTION_RESUME_PENDING ? "resume_pending" : "content_turn";
}

static void say(const struct policy *p, char *text, size_t room)
{
    snprintf(text, room, "%s %s %s %s %s %s %s %s %s %s:%s%s%s", apply_mode_name(p->apply), drain_policy_name(p->drain),
             queue_mode_name(p->queue), routing_name(p->routing), consume_point_name(p->consume),
             p->lane == LANE_STEER ? "steer" : "queue", mk_boundary_name(p->boundary), turn_of_policy(p),
             p->record_transcript ? "kept" : "none", wake_mode_name(p->wake), p->immediate ? "immediate" : "",
             p->interrupt ? "interrupt" : "", p->wake_if_idle ? "wake_if_idle" : "");
}

static void assert_row(const struct row *row, char mode, bool busy, bool running, bool silent, bool wake)
{
    char is[256], wanted[256];
    struct mk_input input = input_of(row->kind, mode);
    input.wake = wake;
    struct policy p = policy_of(&input, busy, running, silent);
    bool hushed = silent && strcmp(row->kind, "peer_request") == 0, steered = mode == 's';
    const char *flags = busy ? row->busy_flags : row->idle_flags;
    if (hushed)
        flags = steered ? "immediate" : "";
    snprintf(wanted, sizeof wanted, "%s %s %s %s %s %s %s %s %s %s:%s", hushed ? START : row->apply, row->drain,
             row->queue, row->routing, row->consume, row->lane, hushed ? "run_start" : row->boundary, row->turn,
             row->transcript,
             hushed || !wake ? "none"
             : busy          ? row->busy
                             : row->idle,
             wake ? flags : "");
    say(&p, is, sizeof is);
    if (strcmp(is, wanted))
        fail_msg("%s, mode %c, busy %d, silent %d, wake %d:\n  is     %s\n  wanted %s", row->kind, mode, busy, silent,
                 wake, is, wanted);
}

/* Every kind, requested mode, phase, silence and wake: nothing of the table is left to another test. */
static void test_policy__the_whole_table_of_kind_mode_phase_silence_and_wake(void **state)
{
    (void)state;
    size_t cells = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (const char *mode = rows[i].modes; *mode; mode++) {
            for (unsigned bits = 0; bits < 16; bits++)
                assert_row(&rows[i], *mode, bits & 1, bits & 2, bits & 4, bits & 8);
            cells++;
        }
    assert_int_equal(cells, (MK_KIND_COUNT + 1) * MK_HANDLING_COUNT); /* attention counts as a kind of its own */
    assert_int_equal(POLICY_VERSION, 1);
}

static const struct row *row_of(const char *kind, char mode)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].kind, kind) == 0 && strchr(rows[i].modes, mode))
            return &rows[i];
    fail_msg("no row for %s, mode %c", kind, mode);
    return NULL;
}

/* What a request without a word would do is not asked of the silent one: it runs, but hurries nobody. */
static void test_policy__a_silenced_request_wakes_nobody_but_steer_keeps_lane_and_haste(void **state)
{
    (void)state;
    for (unsigned busy = 0; busy < 2; busy++) {
        struct mk_input request = input_of("peer_request", 's');
        struct policy p = policy_of(&request, busy, busy, true);
        assert_true(p.lane == LANE_STEER && p.immediate);
        assert_true(p.apply == APPLY_STAGE_RUN_START && p.boundary == MK_RUN_START && p.wake == WAKE_NONE);
        request.handling = MK_HANDLING_NONE;
        p = policy_of(&request, busy, busy, true);
        assert_true(p.lane == LANE_QUEUE && p.wake == WAKE_NONE);
        assert_false(p.immediate || p.interrupt || p.wake_if_idle);
    }
}

static void test_policy__silence_is_for_requests_only(void **state)
{
    (void)state;
    for (enum mk_kind kind = 0; kind < MK_KIND_COUNT; kind++)
        for (const char *mode = "-qs"; *mode; mode++)
            if (kind != MK_PEER_REQUEST)
                assert_row(row_of(mk_kind_name(kind), *mode), *mode, true, true, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy__the_whole_table_of_kind_mode_phase_silence_and_wake),
        cmocka_unit_test(test_policy__a_silenced_request_wakes_nobody_but_steer_keeps_lane_and_haste),
        cmocka_unit_test(test_policy__silence_is_for_requests_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
