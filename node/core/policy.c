#include "node/core/policy.h"

#include <assert.h>

/* Which rows of the table an input reads. A mode that a kind does not distinguish falls on the class's only row. */
enum class {
    QUEUED,           /* any mode-capable kind: explicit queue; prompt, flow_step, external_event: default */
    STEERED,          /* any mode-capable kind but a terminal response: explicit steer */
    PEER,             /* peer_message, peer_request: default */
    PROGRESS,         /* peer_response_progress */
    TERMINAL,         /* peer_response_terminal: default or queue */
    TERMINAL_STEERED, /* peer_response_terminal: steer */
    CONTINUED,        /* Ordinary continuation without mode: internal only, others are given queue when they are read */
    ATTENTION,        /* WorkgraphAttention continuation, any mode */
    IGNORED,          /* operation */
    CLASS_COUNT
};

enum flags { NO_FLAG = 0, IMMEDIATE = 1, INTERRUPT = 2, WAKE_IF = 4 };

struct row {
    enum apply_mode apply;
    enum drain_policy drain;
    enum queue_mode queue;
    enum routing routing;
    enum consume_point consume;
    enum lane lane;
    enum mk_boundary boundary;
    struct {
        enum wake_mode wake;
        enum flags flags;
    } idle, busy;
};

/* clang-format off */

#define RUN_STARTS  .apply = APPLY_STAGE_RUN_START,    .boundary = MK_RUN_START
#define CHECKPOINTS .apply = APPLY_STAGE_RUN_BOUNDARY, .boundary = MK_RUN_CHECKPOINT
#define QUEUES      .drain = DRAIN_QUEUE_NEXT_TURN, .routing = ROUTE_QUEUE, .lane = LANE_QUEUE
#define STEERS      .drain = DRAIN_STEER_BATCH,     .routing = ROUTE_STEER, .lane = LANE_STEER
#define IF_IDLE     WAKE_IF_IDLE
#define YIELDING    WAKE_INTERRUPT_YIELDING

/* Unless a row says more: consumed when the run completes, first in, first out. */
static const struct row rows[CLASS_COUNT] = {
    /*                    apply, boundary  drain, route, lane   idle: wake, flags            busy: wake, flags               */
    [QUEUED]           = {RUN_STARTS,      QUEUES,       .idle = {IF_IDLE,   WAKE_IF},   .busy = {WAKE_NONE, NO_FLAG}},
    [STEERED]          = {CHECKPOINTS,     STEERS,       .idle = {IF_IDLE,   IMMEDIATE}, .busy = {YIELDING,  IMMEDIATE}},
    [PEER]             = {RUN_STARTS,      QUEUES,       .idle = {IF_IDLE,   WAKE_IF},   .busy = {YIELDING,  INTERRUPT}},
    [PROGRESS]         = {CHECKPOINTS,     STEERS,       .idle = {WAKE_NONE, NO_FLAG},   .busy = {WAKE_NONE, NO_FLAG},
                          .queue = QUEUE_COALESCE},
    [TERMINAL]         = {RUN_STARTS,      QUEUES,       .idle = {IF_IDLE,   WAKE_IF},   .busy = {IF_IDLE,   WAKE_IF}},
    [TERMINAL_STEERED] = {RUN_STARTS,      STEERS,       .idle = {IF_IDLE,   IMMEDIATE}, .busy = {YIELDING,  IMMEDIATE}},
    [CONTINUED]        = {CHECKPOINTS,     STEERS,       .idle = {IF_IDLE,   WAKE_IF},   .busy = {YIELDING,  INTERRUPT}},
    [ATTENTION]        = {RUN_STARTS,      QUEUES,       .idle = {IF_IDLE,   WAKE_IF},   .busy = {WAKE_NONE, NO_FLAG}},
    [IGNORED]          = {.apply = APPLY_IGNORE, .boundary = MK_RUN_START, .drain = DRAIN_IGNORE, .routing = ROUTE_DROP,
                          .lane = LANE_QUEUE,            .idle = {WAKE_NONE, NO_FLAG},   .busy = {WAKE_NONE, NO_FLAG},
                          .queue = QUEUE_PRIORITY, .consume = CONSUME_ON_ACCEPT},
};

/* Columns: no mode, queue, steer. */
static const enum class classes[MK_KIND_COUNT][MK_HANDLING_COUNT] = {
    [MK_PROMPT]                 = {QUEUED,    QUEUED,    STEERED},
    [MK_FLOW_STEP]              = {QUEUED,    QUEUED,    STEERED},
    [MK_EXTERNAL_EVENT]         = {QUEUED,    QUEUED,    STEERED},
    [MK_PEER_MESSAGE]           = {PEER,      QUEUED,    STEERED},
    [MK_PEER_REQUEST]           = {PEER,      QUEUED,    STEERED},
    [MK_PEER_RESPONSE_PROGRESS] = {PROGRESS,  PROGRESS,  PROGRESS},
    [MK_PEER_RESPONSE_TERMINAL] = {TERMINAL,  TERMINAL,  TERMINAL_STEERED},
    [MK_CONTINUATION]           = {CONTINUED, QUEUED,    STEERED},
    [MK_OPERATION]              = {IGNORED,   IGNORED,   IGNORED},
};

/* clang-format on */

static enum class class_of(const struct mk_input *input) {
    assert(input->kind < MK_KIND_COUNT && input->handling < MK_HANDLING_COUNT);
    if (input->kind == MK_CONTINUATION && input->continuation == MK_WORKGRAPH_ATTENTION) return ATTENTION;
    return classes[input->kind][input->handling];
}

/* A silenced request is queued like any other, but wakes nobody; an explicit steer keeps its lane and its haste. */
static void hush(struct policy *policy)
{
    policy->apply = APPLY_STAGE_RUN_START;
    policy->boundary = MK_RUN_START;
    policy->wake = WAKE_NONE;
    policy->interrupt = false;
    policy->wake_if_idle = false;
}

struct policy policy_of(const struct mk_input *input, bool busy, bool running, bool silent)
{
    (void)running; /* what it decides, the mode of a steered peer input's turn, is no part of the policy: see
                      ledger_select */
    enum class class = class_of(input);
    const struct row *row = &rows[class];
    enum flags flags = busy ? row->busy.flags : row->idle.flags;
    bool continuation = input->kind == MK_CONTINUATION;
    struct policy policy = {
        .apply = row->apply,
        .wake = busy ? row->busy.wake : row->idle.wake,
        .drain = row->drain,
        .queue = row->queue,
        .routing = row->routing,
        .consume = row->consume,
        .lane = row->lane,
        .boundary = row->boundary,
        .execution = continuation && class != ATTENTION ? EXECUTION_RESUME_PENDING : EXECUTION_CONTENT_TURN,
        .terminal_apply =
            input->kind == MK_PEER_RESPONSE_TERMINAL ? TERMINAL_APPLY_APPEND_CONTEXT_AND_RUN : TERMINAL_APPLY_NONE,
        .record_transcript = !continuation && input->kind != MK_OPERATION,
        .immediate = flags & IMMEDIATE,
        .interrupt = flags & INTERRUPT,
        .wake_if_idle = flags & WAKE_IF,
    };
    if (silent && input->kind == MK_PEER_REQUEST)
        hush(&policy);
    if (!input->wake) { /* admitted by AcceptWithoutWake, which takes no flags */
        policy.wake = WAKE_NONE;
        policy.immediate = policy.interrupt = policy.wake_if_idle = false;
    }
    return policy;
}

const char *apply_mode_name(enum apply_mode mode)
{
    static const char *const names[] = {"stage_run_start", "stage_run_boundary", "ignore"};
    return names[mode];
}

const char *wake_mode_name(enum wake_mode mode)
{
    static const char *const names[] = {"none", "wake_if_idle", "interrupt_yielding"};
    return names[mode];
}

const char *drain_policy_name(enum drain_policy policy)
{
    static const char *const names[] = {"queue_next_turn", "steer_batch", "ignore"};
    return names[policy];
}

const char *queue_mode_name(enum queue_mode mode)
{
    static const char *const names[] = {"fifo", "coalesce", "priority"};
    return names[mode];
}

const char *routing_name(enum routing routing)
{
    static const char *const names[] = {"queue", "steer", "drop"};
    return names[routing];
}

const char *consume_point_name(enum consume_point point)
{
    static const char *const names[] = {"on_run_complete", "on_accept"};
    return names[point];
}
