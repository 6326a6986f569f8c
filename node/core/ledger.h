/* The ledger: the active inputs of a session, in two lanes. Written by ledger.c only. */
#ifndef MEERKAT_CORE_LEDGER_H
#define MEERKAT_CORE_LEDGER_H

#include "node/core/mem.h"
#include "node/core/record.h"

/* An input as it was admitted: immutable, counted, all its spans in one allocation. */
struct admitted {
    const struct mk_mem *mem;
    size_t refs;
    struct mk_input input;
    uint64_t digest; /* of kind and body: tells an honest repeat from id_conflict */
    char bytes[];
};

struct admitted *input_copy(const struct mk_mem *mem, const struct mk_input *input); /* NULL: no memory */
struct admitted *input_keep(struct admitted *input);
void input_release(struct admitted *input); /* NULL is allowed */
uint64_t input_digest(const struct mk_input *input);

/* Whether an input that is Queued is on its way into the running turn (semantics-core.md 5.5). Not durable: it ends
 * with the run. */
enum offer {
    OFFER_NONE,
    OFFER_DUE, /* the executor is asked once this stage is committed */
    OFFER_MADE /* it was asked, and has not answered */
};

/* One active input. Shared between a session and the copy it may go back to: changed only through ledger_edit. */
struct entry {
    size_t refs;
    struct admitted *input;
    uint64_t seq, order; /* admission sequence; place in the lane */
    struct policy policy;
    enum lane lane;
    enum input_phase phase;
    uint64_t attempts, deaths, recoveries;
    size_t share;     /* it runs with at most so many, itself included, since a batch with it failed (D6); 0: any */
    struct mk_id run; /* the last one it was selected for */
    uint64_t boundary_sequence; /* 0: none; else sequence + 1 */
    bool admitted_while_running;
    enum offer offer;
    bool silent;
    bool dirty;                           /* its row is to be written */
    uint64_t admitted_ms, deadline_at_ms; /* store time */
    struct mk_id waiters[WAITERS_MAX];    /* reply addresses; the first is the input's own */
    size_t waiter_count;
};

struct ledger {
    struct entry **entries; /* ascending seq */
    size_t count, room;
    uint64_t next_admission; /* 1, 2, 3... */
};

/* Inputs that were injected into a run, in that order: consumed, and over for whoever sent them, but until a run has
 * committed what they said is nowhere but in the executor's turn. So they stay with the session, in memory and as rows,
 * and every execution is given them: of their run, and when that fails of the next one. */
struct carried {
    struct entry *entries[INJECTED_MAX]; /* phase Consumed */
    size_t count;
};

const struct entry *ledger_by_id(const struct ledger *ledger, struct span id);
const struct entry *ledger_by_key(const struct ledger *ledger, struct span key);
const struct entry *ledger_by_seq(const struct ledger *ledger, uint64_t seq);

/* A copy that shares every entry (costs a pointer and a count an entry). False: no memory, nothing changed. */
bool ledger_copy(struct ledger *to, const struct ledger *from, const struct mk_mem *mem);
void ledger_release(struct ledger *ledger, const struct mk_mem *mem);

/* The entry to change, a private copy of it first if it is shared. NULL: no memory. */
struct entry *ledger_edit(struct ledger *ledger, const struct mk_mem *mem, uint64_t seq);

/* Adds an entry with the next admission sequence. Takes a reference of its own of `input`. NULL: no memory, or full. */
struct entry *ledger_add(struct ledger *ledger, const struct mk_mem *mem, struct admitted *input,
                         const struct policy *policy);
/* The same with the numbers of a stored row, in any order of `seq`; next_admission is the caller's. NULL also when seq
 * is taken. */
struct entry *ledger_restore(struct ledger *ledger, const struct mk_mem *mem, struct admitted *input,
                             const struct policy *policy, uint64_t seq);
void ledger_remove(struct ledger *ledger, const struct mk_mem *mem, uint64_t seq);

/* An entry leaves the ledger and is carried from now on. There must be room. */
void ledger_carry(struct ledger *ledger, struct carried *carried, uint64_t seq);
void carried_copy(struct carried *to, const struct carried *from); /* shares every entry */
void carried_remove(struct carried *carried, const struct mk_mem *mem, size_t place);
void carried_release(struct carried *carried, const struct mk_mem *mem);
/* The entry to change, as ledger_edit. NULL: no memory. */
struct entry *carried_edit(struct carried *carried, const struct mk_mem *mem, size_t place);
/* A stored row: behind those that are there. False: no memory, or no room. */
bool carried_restore(struct carried *carried, const struct mk_mem *mem, struct admitted *input,
                     const struct policy *policy, const struct input_record *row);

bool carried_has(const struct carried *carried, uint64_t seq);

/* What a stored row says of an entry. Staged and beyond come back as Queued, for a run that is to go on is recorded by
 * itself. */
void entry_restore(struct entry *entry, const struct input_record *row);

/* The entry is part of a run from now on, or (again) of the one that a dead node had begun. */
void entry_stage(struct entry *entry, const struct mk_id *run);
void entry_recover(struct entry *entry, const struct mk_id *run);

/* The entry was staged into the current run by its executor, and is over. It is that run's nth receipt. */
void entry_inject(struct entry *entry, const struct mk_id *run, uint64_t n);

/* The entry goes back to Queued, after a failure (failed) or as if it had not been selected. It keeps its place (D19).
 * together: how many were in its batch. */
void entry_requeue(struct entry *entry, size_t together, bool failed);

/* Whether the entry is kept by the store: ephemeral ones are not. */
bool entry_is_durable(const struct entry *entry);

/* One more address that awaits the completion. One that is there already, or the ninth, is not added. */
void entry_join(struct entry *entry, struct span reply_to);

/* The next batch (semantics-core.md 5.6, D6, D16; deaths): admission sequences in order into `out` (room
 * RUN_INPUTS_MAX). Only Queued entries; 0: nothing is selectable. */
size_t ledger_select(const struct ledger *ledger, uint64_t *out);

#endif
