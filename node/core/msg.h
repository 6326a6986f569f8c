/* The wire's messages as plain structs (design section 6; docs/protocol.md). A decoded message borrows everything from
 * the frame it was read from; whoever keeps one copies it (input_copy in ledger.h). Absent spans are absent keys. */
#ifndef MEERKAT_CORE_MSG_H
#define MEERKAT_CORE_MSG_H

#include "node/core/doc.h"
#include "node/core/err.h"
#include "node/core/limits.h"
#include "node/core/span.h"

/* --- enumerations; the names in msg.c are the wire's and the records' (snake_case of the semantics pages) --- */

/* clang-format off */
enum mk_type { MK_INPUT, MK_COMMAND, MK_ADMISSION, MK_COMPLETION, MK_EFFECT, MK_RESULT, MK_HEARTBEAT, MK_BATCH, MK_TYPE_COUNT };

enum mk_kind {
    MK_PROMPT, MK_PEER_MESSAGE, MK_PEER_REQUEST, MK_PEER_RESPONSE_PROGRESS, MK_PEER_RESPONSE_TERMINAL,
    MK_FLOW_STEP, MK_EXTERNAL_EVENT, MK_CONTINUATION, MK_OPERATION, MK_KIND_COUNT
};

enum mk_origin { MK_OPERATOR, MK_PEER, MK_FLOW, MK_SYSTEM, MK_EXTERNAL, MK_ORIGIN_COUNT };

/* MISSING is what a publisher may not send; it exists so that validation can refuse it as the source does. */
enum mk_durability { MK_DURABLE, MK_EPHEMERAL, MK_DERIVED, MK_DURABILITY_MISSING, MK_DURABILITY_COUNT };

enum mk_handling { MK_HANDLING_NONE, MK_HANDLING_QUEUE, MK_HANDLING_STEER, MK_HANDLING_COUNT };

enum mk_continuation { MK_ORDINARY, MK_WORKGRAPH_ATTENTION, MK_CONTINUATION_COUNT };

enum mk_status { MK_STATUS_NONE, MK_STATUS_ACCEPTED, MK_STATUS_COMPLETED, MK_STATUS_FAILED, MK_STATUS_CANCELLED, MK_STATUS_COUNT };

enum mk_admitted { MK_ACCEPTED, MK_DEDUPLICATED, MK_REJECTED, MK_ADMITTED_COUNT };

enum mk_outcome {
    MK_COMPLETED, MK_COMPLETED_WITHOUT_RESULT, MK_CALLBACK_PENDING, MK_CANCELLED, MK_ABANDONED_WITH_ERROR,
    MK_COMPLETED_WITH_FINALIZATION_FAILURE, MK_RUNTIME_TERMINATED, MK_COALESCED, MK_SUPERSEDED, MK_OUTCOME_COUNT
};

/* The numbered effects. EXECUTOR_EVENT carries the executor's own name in the event. */
enum mk_effect_name {
    MK_RUNTIME_BOUND, MK_RUNTIME_RETIRED, MK_RUNTIME_DESTROYED, MK_RUNTIME_NOTICE,
    MK_RUN_STARTED, MK_RUN_FAILED, MK_INGRESS_NOTICE, MK_EXECUTOR_EVENT, MK_EFFECT_NAME_COUNT
};

enum mk_boundary { MK_RUN_START, MK_RUN_CHECKPOINT, MK_IMMEDIATE, MK_BOUNDARY_COUNT };

/* Every operation of `ctl/` and `node/` (docs/protocol.md says arguments and answers). */
enum mk_op {
    /* mutating: they enter the session's deduplication record with their result */
    MK_OP_REGISTER, MK_OP_ATTACH, MK_OP_PREPARE_BINDINGS, MK_OP_UNREGISTER, MK_OP_UNREGISTER_IF_EPOCH, MK_OP_RETIRE,
    MK_OP_RESET, MK_OP_RECYCLE, MK_OP_RECOVER, MK_OP_STOP, MK_OP_DESTROY, MK_OP_ABANDON_RETIRED, MK_OP_INTERRUPT,
    MK_OP_CANCEL_AFTER_BOUNDARY, MK_OP_SILENT_INTENTS, MK_OP_WITHDRAW, MK_OP_WAKE, MK_OP_PUBLISH_EVENT, MK_OP_INGEST,
    MK_OP_START_CONVERSATION_RUN, MK_OP_COMMIT_SERVICE_TURN,
    MK_OP_LAST_MUTATING = MK_OP_COMMIT_SERVICE_TURN,
    /* queries of one session */
    MK_OP_STATE, MK_OP_SHOW, MK_OP_INPUT_STATE, MK_OP_LIST_ACTIVE_INPUTS, MK_OP_OUTCOME, MK_OP_EVENTS, MK_OP_RECEIPT,
    MK_OP_TRANSCRIPT_EDIT, MK_OP_CONTAINS_SESSION, MK_OP_SESSION_HAS_EXECUTOR, MK_OP_SESSION_HAS_COMMS, MK_OP_WHY,
    /* of one session, or of a node */
    MK_OP_DEAD, MK_OP_LAST_OF_SESSION = MK_OP_DEAD,
    /* of a node */
    MK_OP_PING, MK_OP_SESSIONS, MK_OP_NODE_STATE, MK_OP_DRAIN,
    MK_OP_COUNT
};

/* clang-format on */

const char *mk_type_name(enum mk_type);
const char *mk_kind_name(enum mk_kind);
const char *mk_origin_name(enum mk_origin);
const char *mk_durability_name(enum mk_durability);
const char *mk_handling_name(enum mk_handling);
const char *mk_continuation_name(enum mk_continuation);
const char *mk_status_name(enum mk_status);
const char *mk_admitted_name(enum mk_admitted);
const char *mk_outcome_name(enum mk_outcome);
const char *mk_effect_name_name(enum mk_effect_name);
const char *mk_boundary_name(enum mk_boundary);
const char *mk_op_name(enum mk_op);

/* Each returns the enum's COUNT when the text names nothing. */
enum mk_type mk_type_parse(struct span);
enum mk_kind mk_kind_parse(struct span);
enum mk_origin mk_origin_parse(struct span);
enum mk_durability mk_durability_parse(struct span);
enum mk_handling mk_handling_parse(struct span);
enum mk_continuation mk_continuation_parse(struct span);
enum mk_status mk_status_parse(struct span);
enum mk_admitted mk_admitted_parse(struct span);
enum mk_outcome mk_outcome_parse(struct span);
enum mk_effect_name mk_effect_name_parse(struct span);
enum mk_boundary mk_boundary_parse(struct span);
enum mk_op mk_op_parse(struct span); /* by its short name, or the one of the semantics pages */

/* --- messages --- */

struct mk_header {
    struct span id;  /* 1..64 bytes; a retry repeats it */
    uint64_t ts;     /* ms since 1970, the sender's clock */
    struct span pub; /* the numbered publisher, if any */
    uint64_t pe, ps; /* its epoch, and its frame number on this topic class; 0 = not numbered */
};

struct mk_input {
    struct mk_header h;
    struct span session;
    enum mk_kind kind;
    struct span body; /* one msgpack value, unread; absent = nil */
    enum mk_durability durability;
    enum mk_origin origin;
    enum mk_handling handling;
    struct span idem, supersede, corr, after, reply_to, executor;
    uint64_t born;        /* ms; 0 = absent: this is the first sending */
    uint64_t deadline_ms; /* from admission; 0 = none */
    bool wake;
    bool transcript_eligible, operator_eligible;
    /* what the kinds need */
    struct span peer_id, peer_name;    /* origin peer: id, display identity */
    struct span request_id, intent;    /* peer_request; request_id of peer_response_* and continuation */
    enum mk_status status;             /* peer_response_terminal; progress carries ACCEPTED */
    struct span event_type;            /* external_event */
    struct span step_id;               /* flow_step */
    struct span operation_id;          /* operation */
    enum mk_continuation continuation; /* continuation */
};

/* The arguments of all operations together; each op says which it reads. Absent = zero. */
struct mk_args {
    struct span id, idem, run, reason, executor, epoch, incarnation, kind, cursor;
    struct span intents[SILENT_INTENTS_MAX];
    size_t intent_count;
    uint64_t from, limit, sequence, timeout_ms;
    struct span input;           /* ingest: a whole input message, unread */
    bool running, active_inputs; /* transcript_edit */
};

struct mk_command {
    struct mk_header h;
    struct span session; /* absent for node commands */
    enum mk_op op;       /* MK_OP_COUNT: unknown, answered unknown_op */
    struct span op_text;
    struct span reply_to;
    struct span run;
    uint64_t born; /* ms; 0 = absent: this is the first sending */
    uint64_t deadline_ms;
    struct mk_args args;
    struct mk_input input; /* ingest: args.input, read; without an id: it was not given */
};

struct mk_admission {
    struct span re, session;
    enum mk_admitted outcome;
    bool final;
    struct span existing;   /* deduplicated: the first input's id */
    struct span completion; /* deduplicated and terminal: the completion, a whole message */
    enum mk_err reason;     /* rejected */
    struct span detail;
    enum mk_durability durability;
    struct span phase;   /* of the input: queued, consumed, ... ; of the session when rejected not_ready */
    uint32_t partitions; /* wrong_partition: how many there are; else 0 */
};

struct mk_receipt {
    struct span run;
    uint64_t sequence;
    enum mk_boundary boundary;
    struct span digest; /* absent, or the executor's opaque text */
};

/* Numbered: `seq` counts a session's events. Encoded once, when staged; the outbox holds the very bytes. */
struct mk_completion {
    struct span session, input;
    enum mk_outcome outcome;
    struct span result; /* a msgpack value; absent unless completed */
    struct span reason;
    enum mk_err error; /* MK_ERR_OK = no error */
    struct span error_message;
    struct span aggregate; /* coalesced, superseded: the other input's id */
    struct span idem;      /* the input's idempotency key, if it had one */
    bool has_receipt;
    struct mk_receipt receipt; /* receipt.run is also the `run` of the message */
    uint64_t seq, fence, generation;
    struct span node, epoch;
    uint64_t ts;
};

struct mk_effect {
    struct span session;
    enum mk_effect_name name;
    struct span event_name;    /* EXECUTOR_EVENT: what the executor called it */
    const struct mk_doc *data; /* NULL = empty map */
    struct span data_raw;      /* or, given, a msgpack value as it is */
    uint64_t seq, fence, generation;
    struct span node, epoch;
    uint64_t ts;
};

struct mk_result {
    struct span re, session;
    bool ok;
    const struct mk_doc *data; /* NULL = no data */
    enum mk_err error;         /* when not ok */
    struct span message;
    struct span phase;
    bool final;
    uint32_t partitions; /* wrong_partition: how many there are; else 0 */
};

struct mk_owned {
    uint32_t partition;
    struct span history;
    uint64_t fence, sequence;
};

/* A partition that its owner is giving to another node. */
struct mk_handing {
    uint32_t partition;
    struct span successor;
    bool released;  /* done: the successor may claim; else it may begin to keep what arrives */
    uint64_t fence; /* of the owner that gives it */
};

/* The arrays are the encoder's; the decoder leaves them NULL, see message.h. */
struct mk_heartbeat {
    bool hub;
    struct span node, incarnation, phase;
    uint32_t partitions_total;
    const struct mk_owned *owned;
    size_t owned_count;
    const struct mk_handing *handing;
    size_t handing_count;
    const uint32_t *expecting; /* partitions of others whose inputs this node keeps already */
    size_t expecting_count;
    const uint32_t
        *suspended; /* partitions that it holds and does not work on: the store is not where they were left */
    size_t suspended_count;
    uint64_t sessions, load;
    uint64_t frames_in, frames_out, dropped, bytes_in; /* hubs */
};

#endif
