/* How an input of a kind and handling mode is to be processed: the policy table of semantics-core.md 5.4,
 * policy_version 1. Pure; the table is policy.c. */
#ifndef MEERKAT_CORE_POLICY_H
#define MEERKAT_CORE_POLICY_H

#include "node/core/msg.h"

#define POLICY_VERSION 1

enum apply_mode { APPLY_STAGE_RUN_START, APPLY_STAGE_RUN_BOUNDARY, APPLY_IGNORE };
enum wake_mode { WAKE_NONE, WAKE_IF_IDLE, WAKE_INTERRUPT_YIELDING };
enum drain_policy { DRAIN_QUEUE_NEXT_TURN, DRAIN_STEER_BATCH, DRAIN_IGNORE };
enum queue_mode { QUEUE_FIFO, QUEUE_COALESCE, QUEUE_PRIORITY };
enum routing { ROUTE_QUEUE, ROUTE_STEER, ROUTE_DROP };
enum consume_point { CONSUME_ON_RUN_COMPLETE, CONSUME_ON_ACCEPT };
enum lane { LANE_STEER, LANE_QUEUE }; /* in order of service */
enum execution { EXECUTION_CONTENT_TURN, EXECUTION_RESUME_PENDING };
enum terminal_apply { TERMINAL_APPLY_NONE, TERMINAL_APPLY_APPEND_CONTEXT_AND_RUN };

struct policy {
    enum apply_mode apply;
    enum wake_mode wake;
    enum drain_policy drain;
    enum queue_mode queue;
    enum routing routing;
    enum consume_point consume;
    enum lane lane;
    enum mk_boundary boundary;
    enum execution execution;
    enum terminal_apply terminal_apply;
    bool record_transcript;                  /* = emit_operator_content */
    bool immediate, interrupt, wake_if_idle; /* what AcceptWithCompletion is given */
};

/* busy: phase Running, or the executor reports a live turn boundary. running: phase Running only (what peer steer
 * asks). silent: a peer_request whose intent the session silenced. Defined for every combination. */
struct policy policy_of(const struct mk_input *input, bool busy, bool running, bool silent);

const char *apply_mode_name(enum apply_mode mode);
const char *wake_mode_name(enum wake_mode mode);
const char *drain_policy_name(enum drain_policy policy);
const char *queue_mode_name(enum queue_mode mode);
const char *routing_name(enum routing routing);
const char *consume_point_name(enum consume_point point);

#endif
