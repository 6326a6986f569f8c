/* A slot: a session's place in this node. The table finds slots by session id, by partition, by the time that is next
 * due, and by age of last use. Private to the node's core; slot.c writes the links, node*.c the rest. */
#ifndef MEERKAT_CORE_SLOT_H
#define MEERKAT_CORE_SLOT_H

#include "node/core/session.h"

enum slot_state {
    SLOT_LOADING,    /* its records are being read */
    SLOT_READY,      /* events can be applied; perhaps staged */
    SLOT_READING,    /* undone, waiting for facts */
    SLOT_IN_FLIGHT,  /* its section is on its way to the store */
    SLOT_QUARANTINED /* its record cannot be read, or an invariant broke: every event is refused, nothing is written */
};

/* An event that waits, with what it borrows. */
struct queued {
    struct queued *next;
    enum session_event_type type;
    struct mk_blob *frame; /* keeps the message's spans alive */
    size_t bytes;          /* counted against the node's bound */
    struct mk_input *input;
    struct mk_command *command;
    struct run_done *done;
    struct run_injected *injected;
    struct session_trim *trim;
};

struct queued_list {
    struct queued *first, **end;
    size_t count;
};

struct slot {
    struct mk_session_id id;
    uint32_t partition;
    enum slot_state state;
    enum mk_err trouble;     /* why it is quarantined ... */
    struct mk_blob *fault;   /* ... and the sentence; NULL: there was no memory for it */
    struct session *session; /* NULL while loading and in quarantine */
    uint64_t call;           /* LOADING, READING: the call that will answer; 0: not asked yet */
    bool asking;             /* in the node's list of slots to be asked for */
    bool dirty;              /* in the group's list: its stage waits for a commit */
    bool running;            /* the executor has a run of it */
    bool live;               /* and its turn takes inputs in, if it is still the one at `live_at` */
    struct run_at live_at;
    unsigned rounds;            /* times the present stage was undone for more knowledge */
    struct queued_list queue;   /* to be applied */
    struct queued_list applied; /* in the open stage: applied again after an undo */
    uint64_t used_ms, due_ms, staged_ms;
    /* links */
    struct slot *hash_next, *partition_prev, *partition_next, *dirty_next, *ask_next, *age_prev, *age_next;
    size_t heap_index; /* SIZE_MAX: not in the heap */
};

struct slot_table {
    const struct mk_mem *mem;
    struct slot **buckets;
    size_t bucket_count, count;
    struct slot **heap; /* min-heap by due_ms */
    size_t heap_count, heap_room;
    struct slot *oldest, *newest;
    struct slot **by_partition; /* heads of the partitions' lists */
};

bool slot_table_init(struct slot_table *table, const struct mk_mem *mem, uint32_t partitions);
void slot_table_fini(struct slot_table *table); /* frees every slot with its session */

struct slot *slot_find(const struct slot_table *table, struct span id);
/* A new slot, LOADING, with nothing. NULL: no memory. The id must not be there. */
struct slot *slot_add(struct slot_table *table, struct span id, uint32_t partition, uint64_t now_ms);
void slot_remove(struct slot_table *table, struct slot *slot); /* frees it with all it holds */
void slot_touch(struct slot_table *table, struct slot *slot, uint64_t now_ms);
void slot_expire(struct slot_table *table, struct slot *slot);               /* as if it had not been used for ever */
void slot_due(struct slot_table *table, struct slot *slot, uint64_t due_ms); /* UINT64_MAX: never */
struct slot *slot_first_due(const struct slot_table *table);                 /* NULL: none */

void queued_list_init(struct queued_list *list);
void queued_push(struct queued_list *list, struct queued *queued);
struct queued *queued_pop(struct queued_list *list);
void queued_prepend(struct queued_list *to, struct queued_list *from); /* all of `from`, in order, before `to` */
/* Copies the message; keeps the frame. NULL: no memory. */
struct queued *queued_new(const struct mk_mem *mem, const struct session_event *event, struct mk_blob *frame,
                          size_t bytes);
void queued_free(const struct mk_mem *mem, struct queued *queued);

#endif
