/* What is durable of a session, as plain structs: the codec packs and reads them (codec/record.h), docs/keys.md
 * documents them. Spans borrow: from the session when packed, from the stored bytes when read. */
#ifndef MEERKAT_CORE_RECORD_H
#define MEERKAT_CORE_RECORD_H

#include "node/core/machine.h"
#include "node/core/msg.h"
#include "node/core/policy.h"

#define SESSION_RECORD_VERSION 1
#define INPUT_RECORD_VERSION   1
#define FACT_RECORD_VERSION    1
#define LETTER_RECORD_VERSION  1
#define MEMO_RECORD_VERSION    1

enum input_phase {
    INPUT_QUEUED,
    INPUT_STAGED,
    INPUT_APPLIED,
    INPUT_APPLIED_PENDING_CONSUMPTION, /* not terminal, up to here */
    INPUT_CONSUMED,
    INPUT_SUPERSEDED,
    INPUT_COALESCED,
    INPUT_ABANDONED,
    INPUT_PHASE_COUNT
};

enum abandon_reason {
    ABANDON_NONE,
    ABANDON_RETIRED,
    ABANDON_RESET,
    ABANDON_STOPPED,
    ABANDON_DESTROYED,
    ABANDON_CANCELLED,
    ABANDON_MAX_ATTEMPTS_EXHAUSTED,
    ABANDON_DEADLINE_PASSED,
    ABANDON_NODE_DEATHS,
    ABANDON_WITHDRAWN,
    ABANDON_REASON_COUNT
};

const char *input_phase_name(enum input_phase phase);
const char *abandon_reason_name(enum abandon_reason reason);

/* Whether who was abandoned so becomes a dead letter: not by its publisher's own wish. */
bool abandon_leaves_letter(enum abandon_reason reason);

/* A run as it is durable before the executor is called (design section 5, rule 3). */
struct run_record {
    struct mk_id id; /* absent: no run */
    uint64_t attempt, deaths;
    enum mk_boundary boundary;
    bool cancelled;                  /* somebody asked it to end: it is not run again */
    uint64_t inputs[RUN_INPUTS_MAX]; /* admission sequences, in order */
    size_t input_count;
};

/* The last run that failed, for people: why it did. */
struct failure_record {
    uint64_t at_ms; /* store time; 0: none has failed */
    struct mk_id run;
    enum mk_err error;
    bool will_retry;
    size_t bytes; /* of the message, shortened */
    char message[FAILURE_BYTES_MAX];
};

/* The head of a session: hash `s`, field = session id. Its stored form starts with the active admission sequences in
 * clear text, so that a script can fetch the rows that belong to it. */
struct session_record {
    uint64_t version;
    enum phase phase;          /* the durable projection */
    bool registered, attached; /* attached: an executor holds the registration (D17) */
    bool stop_deferred;
    struct binding binding;
    struct span executor;
    uint64_t next_admission, next_event;
    uint64_t terminal_count; /* deduplication records that were made and not trimmed */
    uint64_t horizon_ms;     /* store time: older ones may have been forgotten */
    uint64_t created_ms, updated_ms;
    struct mk_id last_run;
    uint64_t last_receipt_sequence; /* of last_run: the next receipt of the same run is n + 1 (D3) */
    struct failure_record failure;
    const struct run_record *run; /* NULL: none */
    const uint64_t *active;       /* admission sequences of the rows: active inputs and carried ones, ascending */
    size_t active_count;
    uint64_t injected[INJECTED_MAX]; /* those of `active` that are carried (ledger.h), in order of their injection */
    size_t injected_count;
};

/* One input, active or carried: hash `i`, field = session id "/" admission sequence. */
struct input_record {
    uint64_t version;
    struct mk_input input;
    uint64_t seq;   /* admission sequence, 1, 2, 3... of the session */
    uint64_t order; /* place in its lane; = seq unless moved */
    enum lane lane;
    enum input_phase phase; /* Queued or Staged; Consumed: carried */
    uint64_t attempts, deaths, recoveries;
    struct span last_run;
    uint64_t last_boundary_sequence; /* 0: none; else sequence + 1 */
    bool resume_pending;
    bool admitted_while_running;
    bool silent;                          /* its intent was silenced when it came */
    uint64_t admitted_ms, deadline_at_ms; /* store time; 0 = no deadline */
};

/* What is remembered of a name: hash `t`, field = session id "/" kind letter "/" name. Written with the admission (or
 * the command), replaced when the input goes terminal. */
enum fact_kind { FACT_INPUT /* i */, FACT_KEY /* k */, FACT_COMMAND /* c */, FACT_RECEIPT /* r */, FACT_KIND_COUNT };

struct fact_record {
    uint64_t version;
    enum fact_kind kind;
    uint64_t at_ms;             /* store time */
    bool ephemeral;             /* input, key: believed only under the fence that it is stamped with */
    uint64_t stamp;             /* fence: makes a record that a half-done commit wrote recognisable as its own */
    uint64_t digest;            /* of the input's kind and body, or of the command */
    struct span input;          /* key: the input's id */
    enum input_phase phase;     /* input */
    enum abandon_reason reason; /* input, abandoned */
    enum mk_outcome outcome;    /* input, terminal */
    uint64_t event;             /* input, terminal: the number of its completion */
    uint64_t attempts;          /* input, terminal */
    struct span run;            /* input, terminal: its last run */
    struct span bytes; /* input, terminal: its completion, a whole message; command: its result; receipt: the receipt */
};

/* An item of the outbox that is no event: it names a fact that no event names, so that retention, which walks the
 * outbox, comes by it. Nobody is told of it. */
struct memo_record {
    uint64_t version;
    enum fact_kind kind; /* input (withdrawn before it was seen), command */
    struct span name;
    uint64_t at_ms; /* store time */
};

/* A dead letter: an input that was abandoned, whole, with how it ended. Stream `d`; told by the op `dead` as it is
 * stored. */
struct letter_record {
    uint64_t version;
    uint64_t at_ms; /* store time */
    uint64_t seq;   /* the number of its completion */
    enum mk_outcome outcome;
    enum abandon_reason reason;
    struct span error, detail; /* a code, or absent; a sentence */
    uint64_t attempts;
    struct span run; /* the last one, if any */
    struct mk_input input;
    uint64_t left_out; /* bytes of the input's body, which was too much to keep; 0: it is whole */
};

#endif
