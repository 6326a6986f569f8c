#include "node/core/record.h"

static const char *const phase_names[INPUT_PHASE_COUNT] = {
    [INPUT_QUEUED] = "queued",       [INPUT_STAGED] = "staged",
    [INPUT_APPLIED] = "applied",     [INPUT_APPLIED_PENDING_CONSUMPTION] = "applied_pending_consumption",
    [INPUT_CONSUMED] = "consumed",   [INPUT_SUPERSEDED] = "superseded",
    [INPUT_COALESCED] = "coalesced", [INPUT_ABANDONED] = "abandoned",
};

static const char *const reason_names[ABANDON_REASON_COUNT] = {
    [ABANDON_NONE] = "none",
    [ABANDON_RETIRED] = "retired",
    [ABANDON_RESET] = "reset",
    [ABANDON_STOPPED] = "stopped",
    [ABANDON_DESTROYED] = "destroyed",
    [ABANDON_CANCELLED] = "cancelled",
    [ABANDON_MAX_ATTEMPTS_EXHAUSTED] = "max_attempts_exhausted",
    [ABANDON_DEADLINE_PASSED] = "deadline_passed",
    [ABANDON_NODE_DEATHS] = "node_deaths",
    [ABANDON_WITHDRAWN] = "withdrawn",
};

const char *input_phase_name(enum input_phase phase)
{
    return (size_t)phase < INPUT_PHASE_COUNT ? phase_names[phase] : "unknown";
}

const char *abandon_reason_name(enum abandon_reason reason)
{
    return (size_t)reason < ABANDON_REASON_COUNT ? reason_names[reason] : "unknown";
}

bool abandon_leaves_letter(enum abandon_reason reason)
{
    return reason != ABANDON_NONE && reason != ABANDON_CANCELLED && reason != ABANDON_WITHDRAWN;
}
